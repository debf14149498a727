"""Steps that end when a voltage or a current hardly changes any more, at the time that the closed form gives."""

import numpy as np
import pytest
from scipy.optimize import brentq

from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, StopConditions, hold_voltage, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.model.plan import layer_of
from cellsim.model.small_signals import current_response
from cellsim.run.simulation import SOLVERS, simulate
from cellsim.solvers.march import Options

T, L, C0 = 363.15, 2e-4, 1500.0
SET = load_set("steinruck2020_rs", T).with_motion("none")
LAYER = layer_of(Cell(L, T), SET, C0)
TAU = L**2 / (np.pi**2 * float(SET.D(C0)))
CELLS = {"fipy": 60, "material": 60, "sundials": 160, "compiled": 160}
ALLOWED = {"fipy": 5e-3, "material": 2e-3, "sundials": 1e-5, "compiled": 1e-5}
"""Of the time of the end; measured: 2.0e-3, 8.0e-4, 4.0e-6 and 4.8e-6. 60 cells leave 8e-4 of the slowest rate."""


def rest_voltage_rate(time, amplitude):
    """-dV/dt [V/s] of a profile that was straight: sum over odd k of (8/pi^2)(A/tau) exp(-k^2 t/tau)."""
    k = np.arange(1, 61, 2)
    return float(8 / np.pi**2 * amplitude / TAU * np.sum(np.exp(-(k**2) * time / TAU)))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("late", [0.5, 3.0])
def test_a_rest_ends_when_its_voltage_hardly_moves(solver, late):
    """The straight profile of a steady current at rest: dV/dt is known, from the start to the one mode that stays."""
    change = 1e-3 * C0
    profile = InitialProfile.from_points(np.array([0.0, L]), C0 + 0.5 * change * np.array([1.0, -1.0]), L)
    amplitude = SET.thermal_voltage * float(SET.potential_slope(C0)) * change / C0
    limit = rest_voltage_rate(late * TAU, amplitude)
    step = rest(20 * TAU, StopConditions(voltage_rate_below=limit))
    run = simulate(
        Cell(L, T), SET, Protocol((step,)), c0=profile, times=[], solver=solver, options=Options(cells=CELLS[solver])
    )
    assert run.status == "stopped" and run.log[0]["ended_by"] == "voltage_rate_below"
    assert abs(run["time"][-1] / (late * TAU) - 1) <= ALLOWED[solver]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_held_voltage_ends_when_its_current_hardly_moves(solver):
    """|di/dt|/|i| of the linear response with interfacial resistance, from its modal sum."""
    resistance = 0.5 * LAYER.bulk_resistance
    electrode = Electrode(Resistance(np.array([0.5 * resistance])))
    cell = Cell(L, T, positive=electrode, negative=electrode)
    layer, V = layer_of(cell, SET, C0), 1e-4

    def relative_rate(time):
        i = current_response(layer, V, time * np.array([1 - 1e-4, 1.0, 1 + 1e-4]))
        return float(abs(i[2] - i[0]) / (2e-4 * time) / abs(i[1]))

    expected = 0.8 * TAU
    limit = relative_rate(expected)
    assert brentq(lambda t: relative_rate(t) - limit, 0.1 * TAU, 3 * TAU) == pytest.approx(expected, rel=1e-6)
    step = hold_voltage(V, 20 * TAU, StopConditions(current_relative_rate_below=limit))
    run = simulate(cell, SET, Protocol((step,)), c0=C0, times=[], solver=solver, options=Options(cells=CELLS[solver]))
    assert run.status == "stopped" and run.log[0]["ended_by"] == "current_relative_rate_below"
    assert abs(run["time"][-1] / expected - 1) <= ALLOWED[solver]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_rate_that_was_never_above_its_limit_ends_nothing(solver):
    """A uniform cell at rest: its voltage does not move, which is no reason to stop; the step lasts its time."""
    step = rest(0.1 * TAU, StopConditions(voltage_rate_below=1e-9))
    run = simulate(Cell(L, T), SET, Protocol((step,)), c0=C0, times=[], solver=solver, options=Options(cells=20))
    assert run.status == "done" and run["time"][-1] == pytest.approx(0.1 * TAU, rel=1e-12)
