"""OnsagerMatrix: what it accepts, what it refuses, the conversions it names."""

import numpy as np
import pytest

from cellsim.base import N_A, F, InputError, R
from cellsim.electrolyte.onsager import QUANTITIES, Composition, OnsagerMatrix

OMEGA = np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10
MIX = Composition((0.007, 0.28), 900.0, (0.0, 1.4e-4))


def build(Omega=OMEGA, z=(1, -1), nu=(1, 1), c=1000.0, T=360.0, frame="solvent", **rest):
    return OnsagerMatrix(Omega, z, nu, c, T, frame, **rest)


def test_fong_and_wheeler_newman_are_scaled_omega():
    # PHYSICS: L = N_A^2 Omega, L = Omega/(c_i c_j), by hand for one number each
    m = build(z=(2, -1), nu=(1, 2))
    assert m.fong[0, 1] == pytest.approx(0.3e-10 * N_A**2, rel=1e-14)
    assert m.wheeler_newman[0, 1] == pytest.approx(0.3e-10 / (1000.0 * 2000.0), rel=1e-14)
    assert m.wheeler_newman[1, 1] == pytest.approx(1.6e-10 / 2000.0**2, rel=1e-14)


@pytest.mark.parametrize("kind", ["fong", "wheeler_newman"])
def test_conversions_go_back(kind):
    m = build(z=(1, -20), nu=(20, 1), c=20.0, Omega=np.array([[1.0, 0.07], [0.07, 0.0062]]) * 1e-10)
    back = getattr(OnsagerMatrix, f"from_{kind}")(getattr(m, kind), z=m.z, nu=m.nu, c=m.c, T=m.T, frame=m.frame)
    np.testing.assert_allclose(back.Omega, m.Omega, rtol=1e-14, atol=0.0)


def test_kappa_by_hand():
    # F^2 (1.0 + 1.6 - 2 * 0.3) 1e-10
    assert build().kappa == pytest.approx(F**2 * 2.0e-10, rel=1e-14)


def test_ideal_solution_is_all_self():
    D_plus, D_minus, c, T = 1e-10, 3e-10, 500.0, 300.0
    own = c / (R * T) * np.array([D_plus, D_minus])
    m = build(np.diag(own), c=c, T=T)
    ideal = m.ideal(D_plus, D_minus)
    assert ideal.Omega_distinct is None  # the self part is barycentric, and nothing takes this matrix there
    assert ideal.t_app == pytest.approx(0.25, rel=1e-14)
    assert ideal.ionicity == pytest.approx(1.0, rel=1e-14)
    assert ideal.kappa_NE == pytest.approx(F**2 * c * (D_plus + D_minus) / (R * T), rel=1e-14)
    barycentric = build(np.diag(own), c=c, T=T, frame="barycentric").ideal(D_plus, D_minus)
    assert np.max(np.abs(barycentric.Omega_distinct)) < 1e-12 * own.max()
    assert m.t_plus == pytest.approx(ideal.t_app, rel=1e-14)
    assert m.rho_plus == pytest.approx(ideal.t_app, rel=1e-14)


@pytest.mark.parametrize("frame", ["solvent", "barycentric", "volume"])
def test_distinct_part_is_that_of_the_barycentric_frame_whatever_the_matrix_is_given_in(frame):
    # Shao 2023, Eq. 24: solvent frame = A barycentric A^T with A_ik = delta_ik + c_i M_k/rho_0, by hand.
    mix = Composition((0.007, 0.280), 900.0, (0.0, 1.3e-4))
    A = np.eye(2) + 1000.0 * np.array([[0.007, 0.280], [0.007, 0.280]]) / 900.0
    solvent = build(A @ OMEGA @ A.T, composition=mix)
    D_plus, D_minus = 0.3e-10, 0.5e-10
    self_part = 1000.0 * np.array([D_plus, D_minus]) / (R * 360.0)
    got = solvent.to_frame(frame).ideal(D_plus, D_minus)
    assert got.Omega_self == pytest.approx(tuple(self_part), rel=1e-14)
    assert got.Omega_distinct == pytest.approx(tuple(np.diag(OMEGA) - self_part), rel=1e-12)


def test_intervals_are_quantiles_of_what_the_samples_give():
    rng = np.random.default_rng(3)
    factors = rng.uniform(0.5, 1.5, 400)
    m = build(samples=factors[:, None, None] * OMEGA)
    low, high = m.interval("kappa", 0.9)
    assert (low, high) == pytest.approx(tuple(F**2 * 2.0e-10 * np.quantile(factors, [0.05, 0.95])), rel=1e-12)
    low, high = m.interval("t_plus")  # a common factor does not move a ratio
    assert low == pytest.approx(m.t_plus, rel=1e-12)
    assert high == pytest.approx(m.t_plus, rel=1e-12)
    low, high = m.interval("diffusion", chi=2.0)
    assert low < m.diffusion(2.0) < high


def test_every_named_quantity_has_an_interval_around_its_value():
    rng = np.random.default_rng(4)
    steps = rng.standard_normal((500, 2, 40)) / np.sqrt(40)
    root = np.linalg.cholesky(OMEGA)
    noisy = root @ (steps @ np.swapaxes(steps, 1, 2)) @ root.T
    m = build(samples=noisy)
    values = {"Omega_pp": 1e-10, "Omega_pm": 0.3e-10, "Omega_mm": 1.6e-10, "diffusion": m.diffusion(1.5)}
    for name in QUANTITIES:
        low, high = m.interval(name, 0.99, chi=1.5)
        value = values[name] if name in values else getattr(m, name)
        assert low < value < high, name


def test_covariance_follows_the_frame():
    # the 3 x 3 covariance transformed with the matrix equals that of the transformed samples
    rng = np.random.default_rng(5)
    steps = rng.standard_normal((300, 2, 60)) / np.sqrt(60)
    root = np.linalg.cholesky(OMEGA)
    samples = root @ (steps @ np.swapaxes(steps, 1, 2)) @ root.T

    def cov(S):
        return np.cov(S[:, [0, 0, 1], [0, 1, 1]].T)

    m = build(samples=samples, covariance=cov(samples), composition=MIX)
    moved = m.to_frame("barycentric")
    np.testing.assert_allclose(moved.covariance, cov(moved.samples), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Omega": [[1.0, 2.0], [2.0, 1.0]]}, "positive definite"),
        ({"Omega": [[1.0, 0.2], [0.3, 1.0]]}, "symmetric"),
        ({"Omega": [[1.0, np.nan], [np.nan, 1.0]]}, "finite"),
        ({"Omega": np.eye(3)}, "shape"),
        ({"z": (1, 1)}, "z_-"),
        ({"nu": (1, 2)}, "neutral"),
        ({"nu": (1, 1, 1)}, "two entries"),
        ({"c": 0.0}, "positive"),
        ({"frame": "centre"}, "allowed are solvent"),
        ({"samples": -np.ones((3, 2, 2))}, "samples"),
    ],
)
def test_bad_input_is_one_sentence(change, says):
    with pytest.raises(InputError, match=says) as caught:
        build(**change)
    assert "\n" not in str(caught.value)


def test_solvent_frame_quantities_refuse_other_frames():
    m = build(frame="barycentric", samples=OMEGA[None])
    with pytest.raises(InputError, match="solvent frame"):
        _ = m.rho_plus
    with pytest.raises(InputError, match="solvent frame"):
        m.interval("rho_plus")
    with pytest.raises(InputError, match="solvent frame"):
        m.diffusion(1.0)
    with pytest.raises(InputError, match="Composition"):
        m.to_frame("solvent")


def test_wohde_roling_refuses_unequal_charges():
    with pytest.raises(InputError, match="z:z"):
        build(z=(1, -20), nu=(20, 1)).wohde_roling()


def test_intervals_need_samples_and_known_names():
    with pytest.raises(InputError, match="posterior samples"):
        build().interval("kappa")
    with pytest.raises(InputError, match="allowed are"):
        build(samples=OMEGA[None]).interval("kapa")
    with pytest.raises(InputError, match="chi"):
        build(samples=OMEGA[None]).interval("diffusion")
    with pytest.raises(InputError, match="level"):
        build(samples=OMEGA[None]).interval("kappa", 95)


def test_the_standard_error_of_a_skewed_posterior_is_that_of_its_longer_side():
    # kappa = exp(s u) for Gaussian u: the median is 1, the ends exp(+-1.96 s)
    rng, spread = np.random.default_rng(3), 0.6
    samples = OMEGA * np.exp(spread * rng.standard_normal(200_000))[:, None, None]
    m = build(samples=samples)
    expected = m.kappa * (np.exp(1.959964 * spread) - 1) / 1.959964
    assert m.standard_error("kappa") == pytest.approx(expected, rel=0.02)
    low, high = m.interval("kappa")
    assert 2 * m.standard_error("kappa") > (high - low) / 2 * 1.2  # half the width would be too little upwards
    np.testing.assert_allclose(m.standard_errors, OMEGA[[0, 0, 1], [0, 1, 1]] * expected / m.kappa, rtol=0.02)
    assert m.standard_error("t_plus") < 1e-12  # the ratio of elements is known


def test_the_standard_error_of_a_gaussian_posterior_is_its_standard_deviation():
    rng = np.random.default_rng(4)
    samples = np.tile(OMEGA, (200_000, 1, 1))
    samples[:, 0, 0] += 0.02e-10 * rng.standard_normal(200_000)
    m = build(samples=samples)
    assert m.standard_error("Omega_pp") == pytest.approx(0.02e-10, rel=0.02)
    assert build(covariance=np.diag([4.0, 1.0, 9.0]) * 1e-24).standard_errors == pytest.approx([2e-12, 1e-12, 3e-12])
