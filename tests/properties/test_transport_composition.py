"""Whatever the volumes: c, m and r are one composition, volume fractions add up, conversions invert."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellsim.base import InputError, RangeError
from cellsim.electrolyte.expression import parse_expression
from cellsim.electrolyte.set_file import load_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes, DensityVolumes

V_e = st.floats(0.0, 6e-4)
V_0 = st.floats(1e-5, 3e-4)
filling = st.floats(1e-6, 0.95)
t_plus = st.floats(-3.0, 0.99)
valence = st.sampled_from([(1, -1), (2, -1), (1, -2), (1, -20), (3, -2)])

PEO = load_set("steinruck2020_rs")


def a_set(V_e: float, V_0: float, **other) -> TransportSet:
    return TransportSet.constant(kappa=0.1, D=1e-11, **({"t_plus": 0.3} | other), V_e=V_e, V_0=V_0)


@given(V_e, V_0, filling)
def test_c_r_m_round_trips(V_e, V_0, filling):
    s = a_set(V_e, V_0)
    c = filling * s.c_range[1]
    assert s.c_of(c=c) == c
    # 1 - c V_e cancels by at most 20 here: a few hundred roundings
    assert s.c_of(r=float(s.r(c))) == pytest.approx(c, rel=1e-13, abs=0)
    assert s.c_of(m=float(s.m(c))) == pytest.approx(c, rel=1e-13, abs=0)
    assert s.m(c) == pytest.approx(s.r(c) / s.M_0, rel=1e-15, abs=0)


@given(V_e, V_0, filling)
def test_volume_fractions_add_up(V_e, V_0, filling):
    s = a_set(V_e, V_0)
    c = filling * s.c_range[1]
    assert s.phi_0(c) + c * s.V_e(c) == pytest.approx(1.0, rel=1e-13, abs=0)
    assert s.V_e(c) == pytest.approx(V_e, rel=1e-13, abs=1e-30)
    assert s.V_0(c) == pytest.approx(V_0, rel=1e-13, abs=0)


@settings(max_examples=30)
@given(st.floats(0.0, 3e-4), st.floats(-5e-8, 5e-8), st.floats(0.05, 0.95))
def test_volume_fractions_add_up_for_a_density_curve(slope, curvature, filling):
    M_e, M_0, top = 0.1, 0.05, 3000.0
    volumes = DensityVolumes.from_density(
        lambda c: 1000 + M_e * c - 1000 * slope * c - 50 * curvature * c**2, M_e, M_0, top
    )
    s = replace(a_set(0.0, 1e-4), volumes=volumes, M_e=M_e, M_0=M_0, c_range=(1.0, top))
    c = filling * top
    assert s.phi_0(c) + c * s.V_e(c) == pytest.approx(1.0, rel=1e-12, abs=0)
    assert s.c_of(r=float(s.r(c))) == pytest.approx(c, rel=1e-9, abs=0)
    # Gibbs-Duhem, c dV_e + c0 dV_0 = 0: the sum of the two terms against their size, central differences
    step = 1.0
    dV_e = float(s.V_e(c + step) - s.V_e(c - step)) / (2 * step)
    dV_0 = float(s.V_0(c + step) - s.V_0(c - step)) / (2 * step)
    assert c * dV_e + float(s.c_0(c)) * dV_0 == pytest.approx(0.0, abs=1e-5 * abs(c * dV_e) + 1e-12)


@given(V_e, V_0, filling, t_plus)
def test_the_frame_of_t_plus(V_e, V_0, filling, t_plus):
    s = a_set(V_e, V_0, t_plus=t_plus)
    volume = replace(s, t_plus_frame="volume")
    c = filling * s.c_range[1]
    assert float(s.phi_0(c) * (1 - volume.t_plus(c))) == pytest.approx(1 - t_plus, rel=1e-12, abs=1e-14)
    assert volume.with_motion("none").t_plus(c) == pytest.approx(t_plus, rel=1e-13, abs=1e-15)


@given(V_e, V_0, filling, t_plus, st.floats(0.1, 10.0), st.sampled_from(["molal", "molar", "particle_fraction"]))
def test_factor_and_product_are_one_thing(V_e, V_0, filling, t_plus, chi, basis):
    factor = a_set(V_e, V_0, t_plus=t_plus, chi=chi, chi_basis=basis)
    product = a_set(V_e, V_0, t_plus=t_plus, chi=(1 - t_plus) * chi, chi_basis=basis, chi_is_product=True)
    c = filling * factor.c_range[1]
    assert factor.one_minus_t_plus_chi(c) == pytest.approx(product.one_minus_t_plus_chi(c), rel=1e-12, abs=0)
    assert factor.chi(c) == pytest.approx(product.chi(c), rel=1e-12, abs=0)


@given(valence)
def test_salts_are_neutral(z):
    s = a_set(1e-4, 1e-4, z_plus=z[0], z_minus=z[1])
    assert s.z_plus * s.nu_plus + s.z_minus * s.nu_minus == 0
    assert np.gcd(s.nu_plus, s.nu_minus) == 1


def test_unbalanced_charges_are_refused():
    with pytest.raises(InputError, match="a salt is neutral"):
        a_set(0.0, 1e-4, nu_plus=2)


@given(st.floats(-0.5, -1e-6) | st.floats(0, 1) | st.floats(1 + 1e-6, 1.5))  # the ends hold to 1e-9
def test_outside_the_range_is_an_error_inside_is_not(position):
    low, high = PEO.c_range
    c = low + position * (high - low)
    if 0 <= position <= 1:
        assert np.isfinite(PEO.kappa(c))
    else:
        with pytest.raises(RangeError, match="outside"):
            PEO.kappa(c)
        end = high if position > 1 else low
        clamped = PEO.with_extrapolation("clamp")
        assert clamped.kappa(c) == clamped.kappa(end)


@given(st.lists(st.floats(1e-4, 0.3), min_size=1, max_size=20))
def test_properties_are_elementwise(r):
    c = np.array([PEO.c_of(r=x) for x in r]).clip(*PEO.c_range)
    for name in ("kappa", "D", "t_plus", "chi"):
        together = getattr(PEO, name)(c)
        assert np.array_equal(together, [getattr(PEO, name)(x) for x in c])
        assert np.array_equal(getattr(PEO, name)(c[:, None]), together[:, None])


@settings(deadline=None)
@given(st.floats(1e-4, 0.3), st.floats(1e-4, 0.3))
def test_the_potential_integral_is_additive_and_increasing(first, second):
    a, b = (float(np.clip(PEO.c_of(r=r), *PEO.c_range)) for r in sorted((first, second)))
    W = PEO.potential_integral(np.array([a, b, np.sqrt(a * b)]))
    assert W[0] <= W[2] <= W[1]


numbers = st.floats(1e-3, 1e3)


@given(numbers, numbers, numbers)
def test_expressions_are_python_arithmetic(a, b, x):
    text = f"({a!r} + x) * {b!r} - x**2 / {a!r}"
    assert float(parse_expression(text, ["x"])(x=x)) == pytest.approx((a + x) * b - x**2 / a, rel=1e-12, abs=1e-9)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_arithmetic_or_an_input_error(text):
    try:
        result = parse_expression(text, ["r"])(r=0.1)
    except InputError:
        return
    assert isinstance(result, np.ndarray)


@given(st.floats(max_value=0.0), st.floats(max_value=-1e-12))
def test_volumes_refuse_nonsense(V_0, V_e):
    with pytest.raises(InputError, match="must be positive"):
        ConstantVolumes(1e-4, V_0)
    with pytest.raises(InputError, match="must not be negative"):
        ConstantVolumes(V_e, 1e-4)
