"""The compiled solver's own pieces: formulas, linear algebra, events met for a moment, charge, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.cell.protocol import Protocol, Step, StopConditions, hold_current, hold_voltage, rest
from cellsim.electrolyte.transport import TransportSet
from cellsim.run.simulation import simulate
from cellsim.solvers import differences as formulas
from cellsim.solvers.march import Options

fast_solvers = pytest.mark.parametrize("solver", ["compiled", "sundials"])


def differences(y: np.ndarray) -> np.ndarray:
    """Backward differences at the last of some values, order 0 first."""
    return np.array([sum((-1) ** m * comb(j, m) * y[-1 - m] for m in range(j + 1)) for j in range(len(y))])


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_the_formulas_are_exact_to_their_order_and_know_their_error(order: int) -> None:
    """sum of nabla^j y/j - kappa gamma (y - predicted) = h y' for powers of t; of the next, ERROR nabla^(k+1) y."""
    t = np.arange(-order - 1.0, 1.0)
    for power in range(order + 2):
        y = t**power if power else np.ones_like(t)
        now, before = differences(y), differences(y[:-1])
        predicted = before[: order + 1].sum()
        left = sum(now[j] / j for j in range(1, order + 1))
        left -= formulas.KAPPA[order] * formulas.GAMMA[order] * (y[-1] - predicted)
        derivative = 1.0 if power == 1 else 0.0  # at t = 0, steps of one
        miss = formulas.ERROR[order] * now[order + 1] if power == order + 1 else 0.0
        assert derivative - left == pytest.approx(miss, abs=1e-12)


def test_differences_of_other_steps_and_values_between() -> None:
    """A polynomial of degree 5: its differences at steps 0.37 times as long, and its values between."""
    rng = np.random.default_rng(3)
    cubics = rng.normal(size=(4, 6))
    at = lambda t: np.array([np.polyval(c, t) for c in cubics])  # noqa: E731
    D = np.zeros((8, 4))
    D[:6] = differences(np.array([at(t) for t in np.arange(-5.0, 1.0)]))
    out = np.empty(4)
    formulas.interpolate(D, 5, -0.4, out)
    assert out == pytest.approx(at(-0.4), rel=1e-11)
    formulas.rescale(D, 5, 0.37)
    expected = differences(np.array([at(0.37 * t) for t in np.arange(-5.0, 1.0)]))
    np.testing.assert_allclose(D[:6], expected, rtol=0, atol=1e-10)


@fast_solvers
def test_a_rate_that_falls_below_its_limit_for_a_moment_ends_the_step(solver: str) -> None:
    """A growing interfacial resistance makes |i| turn: |di/dt| passes zero between two time steps.

    The moment by the differences of 20 001 currents of a run without the condition.
    """
    transport = TransportSet.constant(kappa=0.5, D=2e-11, t_plus=0.3, chi=1.4, V_e=1e-4, V_0=1e-4)
    grows = Resistance(np.array([2e-3, 2e-3, 1e-3, 1e-3]), np.array([0.0, 300.0, 2300.0, 1e5]))
    cell = Cell(3e-4, 298.15, positive=Electrode(grows))
    times = np.linspace(0.0, 4000.0, 20001)
    free = simulate(
        cell,
        transport,
        Protocol((hold_voltage(0.02, 4000.0),)),
        c0=1000.0,
        times=times,
        solver="sundials",
        options=Options(rtol=1e-8),
    )
    slope = np.abs(np.diff(free["i"])) / np.diff(times)
    limit = 1e-4
    moment = times[int(np.argmax(slope < limit))]
    turn = times[1 + int(np.argmax(np.diff(free["i"])[5:] > 0))]
    assert 300 < moment < 2300 and turn < 2300  # that of the turn
    step = hold_voltage(0.02, 4000.0, StopConditions(current_rate_below=limit))
    s = simulate(cell, transport, Protocol((step,)), c0=1000.0, solver=solver, options=Options(rtol=1e-5))
    assert s.log[0]["ended_by"] == "current_rate_below"
    assert s["time"][-1] == pytest.approx(moment, rel=0.01)


@fast_solvers
def test_little_charge_is_as_exact_as_much(solver: str) -> None:
    """A followed voltage whose current moves hardly any salt: charge against the integral of the current.

    Measured: sundials 1.9e-6, compiled 2.7e-6, the trapezoidal rule's share in it.
    """
    transport = TransportSet.constant(kappa=0.05, D=1e-10, t_plus=0.2, chi=1.5)
    slow = Electrode(kinetics=ButlerVolmer(1e-4, 1000.0))
    cell = Cell(1e-3, 298.15, positive=slow, negative=slow)
    time = np.array([0.0, 1e5, 2e6, 5e6, 9e6])
    step = Step("voltage", np.array([6e-4, 1e-4, 2e-3, -3e-3, 1e-3]), 9e6, time)
    times = np.unique(np.concatenate([np.linspace(a, b, 2001) for a, b in pairwise(time)]))
    s = simulate(cell, transport, Protocol((step,)), c0=1000.0, times=times, solver=solver, options=Options(rtol=2e-6))
    charge = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(s["time"]) * (s["i"][1:] + s["i"][:-1]))])
    shift = -charge * cell.V_metal / 96485.33212
    assert np.max(np.abs(s["interface_shift"] - shift)) <= 1e-5 * np.max(np.abs(shift))


def several(k: int) -> np.ndarray:
    """Steps of every drive on a cell of its own; what a thread of an ensemble does."""
    base = TransportSet.constant(kappa=0.3 + 0.01 * k, D=2e-10, t_plus=0.3, V_e=1e-4, V_0=1e-4, c_range=(1.0, 5000.0))
    transport = replace(base, D_source=lambda c, m, r: 2e-10 * np.exp(-c / 3000))
    steps = hold_voltage(0.1, 2000.0), hold_current(-3.0, 1500.0), rest(3000.0), hold_voltage(-0.05, 1000.0)
    s = simulate(Cell(5e-4, 298.15), transport, Protocol(steps), c0=1000.0, solver="compiled")
    assert s.salt_drift <= 1e-14  # measured 4e-16
    return np.concatenate([s["i"], s["V"], s["c_face"][-1]])


def test_threads_do_not_disturb_one_another() -> None:
    """Grids, tables and set-up are shared; the numbers are those of one run after another, to the last bit."""
    alone = [several(k) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(several, range(8)))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_gets_nowhere_is_given_up() -> None:
    """Coefficients that a search may try: 50 000 time steps of 1e-16 s on each of eight grids took eight minutes."""
    absurd = TransportSet.constant(kappa=0.1, D=1e-20, t_plus=0.998, chi=1e16, T=363.0)
    hold = Protocol((hold_voltage(0.3, 4e4),))
    s = simulate(Cell(2e-3, 363.0), absurd, hold, c0=1200.0, solver="compiled", options=Options(rtol=1e-5))
    assert s.status == "not_converged" and "too short to get anywhere" in s.message
