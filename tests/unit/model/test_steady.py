"""The steady state by quadrature against boundary-value solutions, closed forms, and the cases that have none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from cellsim.base import ConvergenceError, F, InputError, R, RangeError
from cellsim.cell.geometry import Cell, Separator
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import DensityVolumes
from cellsim.model import closed_forms as analytic
from cellsim.model.closed_forms import dilute_ideal_current, dilute_ideal_properties
from cellsim.model.steady import depleting_voltage, limiting_current, steady_state

L, T, C = 1e-3, 330.0, 1000.0
CELL = Cell(L, T)


def constants(**changes) -> TransportSet:
    values = {"kappa": 0.4, "D": 2e-10, "t_plus": 0.3, "chi": 1.3, "V_e": 9e-5, "V_0": 4e-5, "T": T}
    return TransportSet.constant(**(values | changes))


def varying(**changes) -> TransportSet:
    """All four properties vary strongly, t+0 through zero."""
    base = constants(z_plus=2, c_range=(20.0, 5000.0))
    return replace(
        base,
        kappa_source=lambda c, m, r: 8e-4 * c * np.exp(-c / 1500),
        D_source=lambda c, m, r: 2e-10 * np.exp(-c / 1200),
        t_plus_source=lambda c, m, r: 0.4 - 0.5 * c / 1500,
        chi_source=lambda c, m, r: 0.8 + 1.5 * (c / 1500) ** 2,
        **changes,
    )


def with_density() -> TransportSet:
    """The same with partial molar volumes that vary."""
    M_e, M_0 = 0.28, 0.1
    volumes = DensityVolumes.from_density(lambda c: 1100 + 0.16 * c - 1.2e-5 * c**2, M_e, M_0, 4000.0)
    return varying(volumes=volumes, M_e=M_e, M_0=M_0, c_range=(20.0, 3900.0))


def boundary_value(transport: TransportSet, i: float, x: np.ndarray):
    """c(x) and V from solve_bvp, with the conserved amounts as boundary conditions; x from 0 to 1."""
    charge = transport.z_plus * transport.nu_plus * F
    breathes = transport.volumes.varies and transport.solvent_motion == "volume"
    n_0 = float(transport.c_0(C)) if breathes else 1.0

    def slopes(x, state, unknown):  # c/C, salt, solvent, ohmic V, concentration V; thickness/L is the unknown
        c, stretch = C * state[0], unknown[0]
        phi_0 = transport.phi_0(c)
        dc = -i * L * stretch * phi_0 * (1 - transport.t_plus(c)) / (charge * transport.D(c))
        potential = transport.nu * R * T / charge * transport.one_minus_t_plus_chi(c) / phi_0
        solvent = transport.c_0(c) / n_0 if breathes else 1.0
        return np.vstack([
            dc / C, stretch * state[0], stretch * solvent * np.ones_like(c),
            i * L * stretch / transport.kappa(c), -potential * dc / c,
        ])  # fmt: skip

    def ends(a, b, unknown):
        return np.array([a[1], a[2], a[3], a[4], b[1] - 1, b[2] - 1])

    start = np.vstack([1 + 0.1 * (0.5 - x), x, x, 0 * x, 0 * x])
    solution = solve_bvp(slopes, ends, x, start, p=[1.0], tol=1e-10, max_nodes=50000)
    assert solution.success
    return C * solution.sol(x)[0], solution.y[3, -1] + solution.y[4, -1], L * solution.p[0]


@pytest.mark.parametrize("motion", ["volume", "none"])
@pytest.mark.parametrize("make", [varying, with_density])
@pytest.mark.parametrize("i", [0.5, 12.0, -12.0])
def test_profile_and_voltage_against_a_boundary_value_solver(make, motion: str, i: float) -> None:
    transport = make().with_motion(motion)
    x = np.linspace(0, 1, 101)
    c, V, thickness = boundary_value(transport, i, x)
    state = steady_state(CELL, transport, C, current=i)
    assert state.i == pytest.approx(i, rel=1e-12)
    # measured: c 5e-14, V 6e-12, thickness 2e-16 (solve_bvp was asked for 1e-10)
    assert state.profile(x * state.thickness) == pytest.approx(c, rel=1.5e-13)
    assert pytest.approx(V, rel=1.5e-11) == state.V
    assert state.thickness == pytest.approx(thickness, rel=1e-14)
    if motion == "volume" and make is with_density and abs(i) > 1:
        assert abs(state.thickness / L - 1) > 1e-6  # the cell breathes; with constant volumes it does not
    else:
        assert state.thickness == pytest.approx(L, rel=1e-6)
    again = steady_state(CELL, transport, C, voltage=state.V)
    assert again.i == pytest.approx(i, rel=1e-11)


@pytest.mark.parametrize("voltage", [1e-9, 0.01, 0.1, 0.2, -0.6])
@pytest.mark.parametrize(("z_plus", "z_minus"), [(1, -1), (2, -1), (1, -20)])
def test_dilute_ideal_law(z_plus: int, z_minus: int, voltage: float) -> None:
    c, ions = 50.0, {"z_plus": z_plus, "z_minus": z_minus}
    nu_plus, nu_minus = -z_minus // np.gcd(z_plus, -z_minus), z_plus // np.gcd(z_plus, -z_minus)
    kappa, D, t_plus = dilute_ideal_properties(4e-11, 7e-11, c, T, nu_plus=nu_plus, nu_minus=nu_minus, **ions)
    constant = constants(D=D, t_plus=t_plus, chi=1.0, V_e=0.0, c_range=(1e-30, 1e5), **ions)
    transport = replace(constant, kappa_source=lambda x, m, r: kappa * x / c)
    law = dilute_ideal_current(voltage, D_plus=4e-11, c=c, thickness=L, T=T, nu_plus=nu_plus, **ions)
    state = steady_state(CELL, transport, c, voltage=voltage)
    assert state.i == pytest.approx(float(law), rel=5e-15)  # measured: 1.6e-15
    x = np.linspace(0, L, 7)
    line = state.c_positive + (state.c_negative - state.c_positive) * x / L
    assert state.profile(x) == pytest.approx(line, rel=1e-12)


@pytest.mark.parametrize("t_plus", [-20.0, -1.0, 0.2, 0.9, 1 - 1e-9, 1.5])
@pytest.mark.parametrize("motion", ["volume", "none"])
def test_small_signal_is_the_current_fraction(t_plus: float, motion: str) -> None:
    transport = constants(t_plus=t_plus).with_motion(motion)
    Ne = float(transport.newman_number(C))
    i_0 = 1e-5 * 0.4 / L
    state = steady_state(CELL, transport, C, voltage=1e-5)
    # measured: 2.4e-10; beyond linear response the difference is of order (voltage F/RT)^2 = 1e-7
    assert state.i / i_0 == pytest.approx(analytic.current_fraction(Ne), rel=7e-10)
    if t_plus > 1:
        assert state.c_positive < C < state.c_negative
    else:
        assert state.c_positive > C > state.c_negative


def test_full_transference_leaves_no_gradient_and_no_limit() -> None:
    transport = constants(t_plus=1.0)
    cell = Cell(L, T, positive=Electrode(Resistance(np.array([1e-3]))))
    state = steady_state(cell, transport, C, voltage=0.5)
    assert state.i == pytest.approx(0.5 / (L / 0.4 + 1e-3), rel=1e-14)
    assert state.c_positive == state.c_negative == C
    assert np.array_equal(state.profile([0.0, L / 3]), [C, C])
    limit = limiting_current(cell, transport, C)
    assert limit.i == np.inf
    assert limit.limited_by == "none"
    assert depleting_voltage(cell, transport, C) == np.inf


def test_a_profile_cannot_pass_a_concentration_where_t_plus_is_one() -> None:
    """t+0 reaches 1 at 600 mol/m^3 on the way down: the plating face stops there, whatever the current."""
    transport = replace(constants(V_e=0.0, c_range=(10.0, 1e5)), t_plus_source=lambda c, m, r: 1 - (c / 600 - 1))
    state = steady_state(CELL, transport, C, current=60.0)
    assert 600 < state.c_negative < 620
    assert state.c_positive > C
    assert limiting_current(CELL, transport, C).limited_by == "none"
    assert depleting_voltage(CELL, transport, C) == np.inf
    with pytest.raises(ConvergenceError, match=r"where t\+0 = 1, 0.6 mol/L"):
        steady_state(CELL, transport, C, current=1e6)


def test_limiting_current_says_what_limits_it() -> None:
    transport = constants(t_plus=0.3, V_e=0.0, c_range=(100.0, 2500.0))
    per_difference = F * 2e-10 / 0.7 / L
    lower = limiting_current(CELL, transport, C)
    assert lower.limited_by == "lower end of range"
    assert lower.reason == "the negative face reaches the lower end of range of constant, 0.1 mol/L"
    assert lower.i == pytest.approx(per_difference * 1800, rel=1e-12)
    assert depleting_voltage(CELL, transport, C) == pytest.approx(lower.V, rel=1e-12)
    empty = limiting_current(CELL, transport.with_extrapolation("clamp"), C, direction=-1)
    assert empty.limited_by == "depletion"
    assert empty.reason == "the positive face has no salt left"
    assert empty.i == pytest.approx(-per_difference * 2000, rel=1e-8)
    assert np.isneginf(empty.V)
    upper = limiting_current(CELL, transport, 2000.0)
    assert upper.limited_by == "upper end of range"
    assert upper.i == pytest.approx(per_difference * 1000, rel=1e-12)
    assert depleting_voltage(CELL, transport, 2000.0) == np.inf
    partly = depleting_voltage(CELL, transport, C, c_min=700.0)
    assert steady_state(CELL, transport, C, voltage=partly).c_negative == pytest.approx(700.0, rel=1e-12)
    with pytest.raises(
        RangeError, match=r"no steady state at 1 V: at 0\.2764 V the negative face reaches the lower end"
    ):
        steady_state(CELL, transport, C, voltage=1.0)
    with pytest.raises(RangeError, match=r"c0 = 0.05 mol/L lies outside"):
        steady_state(CELL, transport, 50.0, voltage=0.1)
    with pytest.raises(InputError, match="exactly one"):
        steady_state(CELL, transport, C, voltage=0.1, current=1.0)


def test_start_at_the_end_of_the_range_has_no_way_down() -> None:
    transport = constants(c_range=(100.0, 2500.0))
    assert abs(limiting_current(CELL, transport, 100.0).i) < 1e-6
    with pytest.raises(RangeError, match="lower end of range"):
        steady_state(CELL, transport, 100.0, voltage=0.1)


def test_saturation_bars_the_stripping_face() -> None:
    """With clamped properties and V_e > 0 migration stops as the last solvent leaves: the face never fills up."""
    transport = constants(V_e=9e-5, c_range=(1.0, 9500.0)).with_extrapolation("clamp")
    high = steady_state(CELL, transport, 9000.0, current=3.0)
    assert 9000 < high.c_positive < 1 / 9e-5


def test_interfaces_separator_and_time_of_the_resistance() -> None:
    """The four parts add up to V; kinetics and resistances are the electrode's; the separator slows D and kappa."""
    transport = varying()
    kinetics = ButlerVolmer(j_ref=3.0, c_ref=800.0, alpha_a=0.3, alpha_c=0.7)
    resistance = Resistance(np.array([1e-3, 4e-3]), np.array([0.0, 100.0]))
    cell = Cell(L, T, positive=Electrode(resistance, kinetics), separator=Separator(0.4, 5.0))
    state = steady_state(cell, transport, C, voltage=-0.2)
    assert pytest.approx(-0.2, rel=1e-12) == state.V
    assert state.V_ohmic + state.V_concentration + state.V_positive + state.V_negative == pytest.approx(-0.2, rel=1e-12)
    eta = state.V_positive - 4e-3 * state.i
    assert kinetics.current(eta, state.c_positive, T) == pytest.approx(state.i, rel=1e-10)
    assert state.V_negative == 0
    early = steady_state(cell, transport, C, voltage=-0.2, time=0.0)
    assert abs(early.i) > abs(state.i)
    bare = steady_state(Cell(L, T), transport, C, current=5 * state.i)  # a fifth of D and kappa: a fifth of the current
    assert bare.c_negative == pytest.approx(state.c_negative, rel=1e-12)
    assert bare.V_concentration == pytest.approx(state.V_concentration, rel=1e-12)
    assert bare.V_ohmic == pytest.approx(state.V_ohmic, rel=1e-12)
