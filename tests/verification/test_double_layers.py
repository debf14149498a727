"""Double layers in time: closed forms without salt, the impedance with it, and an independent method of lines."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.cell.protocol import Protocol, StopConditions, hold_current, hold_voltage, ramp, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.laboratory.impedance import transform
from cellsim.model.charging import Charging, cell_impedance
from cellsim.run.simulation import simulate
from cellsim.solvers import double_layers
from cellsim.solvers.double_layers import LayeredBanded, LayeredSpectral
from cellsim.solvers.march import Options, fatal_limits
from cellsim.solvers.packing import Physics
from cellsim.solvers.sundials import CvodeRun

STILL = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=1.0, chi=1.0)  # no salt moves
SALT = TransportSet.constant(kappa=0.1, D=1e-10, t_plus=0.3, chi=1.5, V_e=0.0)
STEEL = Electrode(capacitance=0.2, blocking=True)


def film(R: float, C: float = 0.0) -> Electrode:
    return Electrode(Resistance(np.array([R])), capacitance=C)


PAIR = Cell(1e-4, 298.15, positive=film(5e-3, 0.1), negative=film(2e-3, 0.3))
BLOCKED = Cell(1e-4, 298.15, positive=film(5e-3, 0.1), negative=STEEL)
ONE = Cell(1e-4, 298.15, positive=film(5e-3, 0.1), negative=film(2e-3))


def run(cell, *steps, t=None, transport=STILL, rtol=2e-5, **options):
    return simulate(
        cell, transport, Protocol(steps), c0=1000.0, times=t, solver="sundials", options=Options(rtol=rtol, **options)
    )


def at(s, t, name):
    return s[name][np.searchsorted(s["time"], t)]


@pytest.mark.parametrize("cell", [PAIR, BLOCKED, ONE])
def test_a_held_voltage_is_two_exponentials_and_its_error_follows_the_tolerance(cell):
    """Measured over V/R_s: 9e-4 to 1.9e-3 at rtol 1e-3, 2.7e-7 to 5.7e-7 at 1e-7; the logarithms
    have slopes of 0.84 to 0.86."""
    exact = Charging.of(cell, STILL, 1000.0)
    t, rtols = np.geomspace(1e-2, 4, 30) * exact.charged, np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
    wanted = exact.current(0.05, t)
    s = [run(cell, hold_voltage(0.05, 5 * exact.charged), t=t, rtol=rtol) for rtol in rtols]
    errors = np.array([np.max(np.abs(at(each, t, "i") - wanted)) for each in s]) / wanted[0]
    assert np.all(errors < 10 * rtols)  # the error that docs/solvers.md states
    assert 0.75 < np.polyfit(np.log(rtols), np.log(errors), 1)[0] < 1.1
    assert s[2]["V"] == pytest.approx(np.full(s[2]["V"].size, 0.05), rel=1e-9)


def test_a_held_current_a_rest_and_a_sweep():
    """V = i [R_s + R (1 - exp(-t/RC)) + t/C]; at rest each layer leaks through its own resistance, a blocked one not at
    all; a sweep from zero is the integral of the step response. Measured 8e-7, 7e-6 and 1e-5."""
    exact = Charging.of(BLOCKED, STILL, 1000.0)
    t = np.linspace(1e-4, 2e-3, 20)
    s = run(BLOCKED, hold_current(3.0, 2e-3), rest(3e-3), t=np.append(t, t + 2e-3), rtol=1e-6)
    assert at(s, t[:-1], "V") == pytest.approx(exact.voltage(3.0, t[:-1]), rel=3e-6)
    u = 3.0 * 5e-3 * -np.expm1(-2e-3 / 5e-4) * np.exp(-t[:-1] / 5e-4)
    assert at(s, t[:-1] + 2e-3, "V_positive") == pytest.approx(u, rel=2e-5)
    assert at(s, t[:-1] + 2e-3, "V") == pytest.approx(u + 3.0 * 2e-3 / 0.2, rel=1e-5)
    swept = run(PAIR, ramp("voltage", 0.0, 0.02, 10.0), t=t[:-1], rtol=1e-6)
    steps = Charging.of(PAIR, STILL, 1000.0)
    rates, weights = steps.modes
    built = t[:-1] + ((1 - np.exp(-np.outer(t[:-1], rates))) / rates) @ weights
    i_0 = 10.0 / (1e-3 + 7e-3)
    assert at(swept, t[:-1], "i") == pytest.approx(i_0 * built, rel=3e-5)


@pytest.mark.slow
def test_stops_are_met_when_the_closed_form_says():
    """Measured 2.8e-5 of the moment of a voltage, 1e-6 of that of a current, 2.6e-5 of that of a rate."""
    exact = Charging.of(BLOCKED, STILL, 1000.0)
    t = 1.5e-3
    s = run(BLOCKED, hold_current(3.0, 1.0, StopConditions(voltage_above=float(exact.voltage(3.0, t)))), rtol=1e-6)
    assert s.status == "stopped" and s["time"][-1] == pytest.approx(t, rel=1e-4)
    limit = float(exact.current(0.05, t))
    s = run(BLOCKED, hold_voltage(0.05, 1.0, StopConditions(current_density_below=limit)), rtol=1e-6)
    assert s.status == "stopped" and s["time"][-1] == pytest.approx(t, rel=1e-4)
    rate = (exact.current(0.05, t - 1e-8) - exact.current(0.05, t + 1e-8)) / 2e-8
    s = run(BLOCKED, hold_voltage(0.05, 1.0, StopConditions(current_rate_below=float(rate))), rtol=1e-6)
    assert s.status == "stopped" and s["time"][-1] == pytest.approx(t, rel=1e-4)


def test_what_is_plated_is_what_crosses():
    """The interface moves by the charge passed less that of its double layer; charge is the integral of the current."""
    t = np.linspace(0, 4e-4, 400)
    s = run(PAIR, hold_voltage(0.05, 4e-4), t=t, rtol=1e-6)
    i_crossing = s["V_positive"] / 5e-3
    moved = -s.arrays["v_interface"][:-1] * 96485.33212 / PAIR.V_metal
    assert moved == pytest.approx(i_crossing[:-1], rel=1e-8, abs=1e-9)
    shift = np.trapezoid(s["v_interface"], s["time"])
    assert s["interface_shift"][-1] == pytest.approx(shift, rel=1e-4)  # the trapezoidal rule's
    assert s.salt_drift == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("cell", [PAIR, BLOCKED], ids=["pair", "blocked"])
def test_a_small_step_with_salt_is_the_transform_of_the_impedance(cell):
    """From the capacitance of the double layers to the diffusion arc, six decades; measured 4.2e-4 of |Z| of the
    pair and 2.5e-4 of the blocked cell, at the highest frequencies: the first salt layer is thinner than the grid."""
    cell = replace(cell, thickness=2e-5)
    tau = cell.thickness**2 / 1e-10
    t = np.concatenate([[0.0], np.geomspace(1e-8, 6 * tau, 3000)])
    s = run(cell, hold_current(0.1, float(t[-1])), t=t, transport=SALT, rtol=1e-6)
    response, omega = s["V"] / 0.1, np.geomspace(0.3 / tau, 3e5, 60)
    time = s["time"]
    if cell.is_blocked:  # its voltage rises for ever, and the transform of t/C is 1/(i w C)
        response = response - time / 0.2
    Z = transform(time, response, omega) + (1 / (0.2j * omega) if cell.is_blocked else 0.0)
    exact = cell_impedance(cell, SALT, 1000.0, omega)
    assert np.max(np.abs(Z / exact - 1)) < 1e-3
    apart = cell_impedance(replace(cell, positive=film(5e-3)), SALT, 1000.0, omega)
    assert np.max(np.abs(Z / apart - 1)) > 0.3  # without a double layer it would not be


def lines(cell, transport, c0, voltage, t, n):
    """i(t) by cell averages on even cells and scipy's BDF: no table and no kernel of the solvers."""
    s, T, L = transport.with_extrapolation("clamp"), cell.temperature, cell.thickness
    dx, sides = L / n, (cell.positive, cell.negative)

    def parts(y):
        c, u = y[:n], y[n:]
        faces = 0.5 * (c[1:] + c[:-1])
        ends = [1.5 * c[0] - 0.5 * c[1], 1.5 * c[-1] - 0.5 * c[-2]]
        resistance = dx * np.sum(1 / s.kappa(c))
        i = (voltage - float(s.concentration_voltage(*ends)) - u.sum()) / resistance
        return c, u, faces, ends, i

    def rate(_, y):
        c, u, faces, ends, i = parts(y)
        flux = np.pad(-s.D(faces) * np.diff(c) / dx - s.migration(faces) * i, 1)
        charging = [
            (i - sign * e.transferred(sign * v, w, T, 0.0)) / e.capacitance
            for e, v, w, sign in zip(sides, u, ends, (1, -1), strict=True)
        ]
        return np.append(-np.diff(flux) / dx, charging)

    start = np.append(np.full(n, c0), [0.0, 0.0])
    found = solve_ivp(
        rate, (0.0, t[-1]), start, method="BDF", t_eval=t, rtol=1e-7, atol=1e-7 * np.append(start[:n], [1, 1])
    )
    return np.array([parts(y)[-1] for y in found.y.T])


@pytest.mark.slow
def test_kinetics_and_a_set_that_depends_on_c_agree_with_a_method_of_lines():
    """40 mV, j_0 that falls with c, layers so large that they charge while salt moves: on 20, 40 and 80 even cells the
    lines are 3.0e-2, 7.5e-3 and 1.9e-3 of the first current off, of order two, and 5.0e-5 extrapolated."""
    transport = load_set("steinruck2020_rs")
    c0 = float(transport.c_of(r=0.08))
    law = ButlerVolmer(10.0, 1000.0, 0.4, 0.5)
    cell = Cell(
        2e-5,
        transport.T,
        positive=Electrode(Resistance(np.array([1e-3])), law, capacitance=2000.0),
        negative=Electrode(kinetics=ButlerVolmer(20.0, 1000.0), capacitance=5000.0),
    )
    t = np.geomspace(0.5, 60.0, 40)
    s = simulate(cell, transport, Protocol((hold_voltage(0.04, 60.0),)), c0=c0, times=t, options=Options(rtol=1e-6))
    assert s.attributes["solver"] == "sundials"
    mine = np.append(at(s, t[:-1], "i"), s["i"][-1])
    found = [lines(cell, transport, c0, 0.04, t, n) for n in (20, 40, 80)]
    errors = [np.max(np.abs(each - mine)) / mine[0] for each in (*found, (4 * found[2] - found[1]) / 3)]
    assert 3.5 < errors[0] / errors[1] < 4.5 and 3.5 < errors[1] / errors[2] < 4.5
    assert errors[3] < 1.5e-4


@pytest.mark.slow
def test_finite_volumes_agree_with_the_spectral_grid():
    """They take over where a polynomial does not follow. Measured: 1.5e-5 of i, 9e-5 of when a rate slows."""
    cell = replace(PAIR, thickness=2e-5, positive=Electrode(kinetics=ButlerVolmer(10.0, 1000.0), capacitance=0.1))
    falls, slows = StopConditions(voltage_below=0.01), StopConditions(voltage_rate_below=2e-3)
    protocol = Protocol((hold_voltage(0.1, 1.0), hold_current(10.0, 1.0, slows), rest(1.0, falls)))
    options = Options(rtol=1e-5)
    limits, t = fatal_limits(SALT, 1000.0, options), np.geomspace(1e-5, 3.0, 60)
    physics = Physics(cell, SALT, 1000.0, min(limits.values()), 1e-8)
    grids = LayeredSpectral(physics, 60, 2), LayeredBanded(physics, 160, options.stretch)
    a, b = (CvodeRun(grid, protocol, t, limits, options, None).go().solver_run(cell, SALT) for grid in grids)
    for name in ("i", "V", "V_positive", "V_negative"):
        one, other = a.arrays[name], b.arrays[name]
        late = np.concatenate([[False], np.diff(a.arrays["step"]) == 0])  # no first moment of a step
        assert np.max(np.abs(one - other)[late]) < 4e-5 * np.max(np.abs(one))
    for one, other in zip(a.log[1:], b.log[1:], strict=True):
        assert one["ended_by"] == other["ended_by"] != "duration"
        lasted = [entry["t_end"] - entry["t_start"] for entry in (one, other)]
        assert lasted[0] == pytest.approx(lasted[1], rel=3e-4)


@pytest.mark.slow
def test_a_vanishing_double_layer_is_none():
    """A cell whose layers charge within a microsecond gives the run without, from then on; measured 2e-7."""
    law = ButlerVolmer(10.0, 1000.0)
    with_, without = (
        Cell(2e-5, 298.15, positive=Electrode(kinetics=law, capacitance=C), negative=film(1e-3, C)) for C in (1e-6, 0.0)
    )
    t = np.geomspace(1e-3, 2.0, 50)
    steps = hold_voltage(0.1, 1.0), hold_current(10.0, 1.0)
    a, b = (run(cell, *steps, t=t, transport=SALT) for cell in (with_, without))
    for name in ("i", "V", "V_positive", "V_negative"):
        assert at(a, t[:-1], name) == pytest.approx(at(b, t[:-1], name), rel=6e-7)


def test_what_crosses_is_the_inverse_of_the_loss_in_python_and_compiled():
    """Both signs, both electrodes; the kernel reads tables: measured 3e-9."""
    law = ButlerVolmer(10.0, 1000.0, 0.3, 0.6)
    cell = replace(PAIR, positive=Electrode(Resistance(np.array([1e-3])), law, capacitance=0.1))
    cell = replace(cell, negative=Electrode(kinetics=law, capacitance=0.1))
    data = LayeredSpectral(Physics(cell, SALT, 1000.0, 1.0, 1e-8), 8).data(hold_voltage(0.1, 1.0), 0.0, ())
    for side, sign, electrode in ((0, 1, cell.positive), (1, -1, cell.negative)):
        for u in (-0.4, -1e-3, 2e-3, 0.3):
            eta = sign * u
            i = electrode.transferred(eta, 700.0, 298.15, 0.0)
            assert electrode.loss(i, 700.0, 298.15, 0.0) == pytest.approx(eta, rel=1e-11)
            f, per_u, per_c = double_layers.crossing(0.0, side, u, 700.0, data)
            assert sign * f == pytest.approx(i, rel=1e-7)
            near = [double_layers.crossing(0.0, side, u + d, 700.0, data)[0] for d in (-1e-6, 1e-6)]
            assert per_u == pytest.approx((near[1] - near[0]) / 2e-6, rel=1e-5)
            near = [double_layers.crossing(0.0, side, u, 700.0 + d, data)[0] for d in (-0.1, 0.1)]
            assert per_c == pytest.approx((near[1] - near[0]) / 0.2, rel=1e-4)
    assert STEEL.transferred(0.3, 700.0, 298.15, 0.0) == 0.0


def test_what_cannot_be_run_is_said():
    for solver in ("compiled", "fipy", "material"):
        with pytest.raises(InputError, match=f"only sundials carries a double layer in time, not {solver}"):
            simulate(PAIR, SALT, Protocol((rest(1.0),)), c0=1000.0, solver=solver)
    bent = replace(PAIR, negative=replace(PAIR.negative, phase=0.8))
    with pytest.raises(InputError, match=r"electrodes.negative.phase = 0.8: a run in time takes a capacitance"):
        simulate(bent, SALT, Protocol((rest(1.0),)), c0=1000.0)
    wrong = (
        ({"capacitance": 0.1}, "needs a resistance above zero"),
        ({"blocking": True}, "needs a capacitance"),
        ({"blocking": True, "capacitance": 0.1, "resistance": Resistance(np.array([1e-3]))}, "no charge crosses"),
        ({"phase": 0.8}, "give capacitance too"),
        ({"capacitance": np.nan}, "must be finite"),
        ({"capacitance": 0.1, "phase": 0.4, "blocking": True}, "between 0.5 and 1"),
    )
    for what, message in wrong:
        with pytest.raises(InputError, match=message):
            Electrode(**what)
