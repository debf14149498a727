"""The sundials solver: CVODE's variable-order BDF (through scikit-sundae) on a spectral grid with compiled kernels.

The unknown is the cumulated salt, so none can be lost. The whole protocol is integrated with one degree, chosen from
the tolerance; where the profiles or the quadrature turn out unresolved, the degree is raised and the run repeated, and
past the largest degree graded finite volumes take over. A run keeps only states; every array of the Solution is made
when first asked for.

Hindmarsh et al., ACM Trans. Math. Softw. 31 (2005) 363, doi:10.1145/1089014.1089020.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cellsim.base import Array
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.equations import VoltageLaw
from cellsim.solvers import kernels
from cellsim.solvers.banded import Banded
from cellsim.solvers.march import (
    LOWER,
    SMALLEST_CHANGE,
    CellState,
    Options,
    StepLog,
    expected_change,
    explain,
    fatal_limits,
    interruption,
    moments,
)
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import Observed, Spectral
from cellsim.solvers.trajectory import Trajectory

logger = logging.getLogger(__name__)

Progress = Callable[[float], None]

DEGREES = ((3e-4, 24), (1e-4, 32), (1e-5, 48), (1e-7, 72), (0.0, 108))
"""First degree tried, by the tolerance asked for; each further try takes 1.5 times as many."""
LARGEST = 170
FINEST = 8
HOPELESS = 0.3
"""Profiles of a whole run with more than this left out hold a front, which no degree follows: 107 in place of 71 took
minutes. Salt that runs out within a moment looks alike, but there the next degree does serve."""
MOST_STEPS = 5000
"""Time steps of a spectral grid between two output times, ten times what a resolved profile takes over a whole run."""
INTERRUPTED = -1000
_kept = threading.local()
MOST_CELLS = 2000
EARLY = 1e-3
"""The spatial resolution is judged from this fraction of a step's duration on, and at whatever ends the step: just
after a drive has jumped, the salt layer at the walls is thinner than any grid."""
MOMENT = 3e-3
"""A limit or stop condition is met at a time known to this fraction of the step's length until then."""
TIGHTEST = 1e-9
LEAST_RTOL = 1e-13
"""CVODE's tolerance relative to the unknowns where the absolute one is to hold alone."""
RELAXING = 0.1
"""The same in a relaxation, over the tolerance asked for."""
MET = 1e-9
"""A stop condition this close to its level at the start of a step is met, relative to its size."""

_STOPS = {
    "current_below": kernels.CURRENT,
    "current_rate_below": kernels.CURRENT_RATE,
    "c_below": kernels.WALL_MIN,
    "c_above": kernels.WALL_MAX,
    "voltage_above": kernels.V_ABOVE,
    "voltage_below": kernels.V_BELOW,
    "current_density_below": kernels.CURRENT,
    "charge_above": kernels.CHARGE_ABOVE,
}


class _SaltGoneError(Exception):
    """A trial state without salt somewhere."""


def solve(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float,
    options: Options,
    progress: Progress | None = None,
) -> SolverRun:
    """Run a protocol; arguments as :func:`cellsim.simulate`."""
    return integrate(cell, transport, protocol, times, c0, options, progress).solver_run(cell, transport)


def integrate(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float,
    options: Options,
    progress: Progress | None = None,
) -> Trajectory:
    """Run a protocol; arguments as :func:`cellsim.simulate`.

    Returns
    -------
    Trajectory
        Resolved in space to ten times `options.rtol` from a thousandth of each step on, or the finest grid's; the
        moment of a limit or stop condition to about a hundredth.
    """
    limits = fatal_limits(transport, c0, options)
    physics = Physics(
        cell,
        transport,
        c0,
        min(limits.get(n, np.inf) for n in LOWER),
        float(np.clip(0.02 * options.rtol, 1e-8, 1e-5)),
    )
    # CVODE keeps each step to rtol; what adds up over a run is about ten times that, so space need not be finer
    target = 10 * options.rtol
    n = options.unknowns + 1 if options.unknowns else next(n for rtol, n in DEGREES if options.rtol >= rtol)
    fine, best, tail = 2, None, np.inf
    while True:
        run = _Integration(Spectral(physics, n, fine), protocol, times, limits, options, progress).go()
        if run.status == "interrupted":
            return run
        if run.status == "not_converged" and options.unknowns is None:
            # a polynomial that cannot follow swings below zero and back, in ever smaller time steps
            run.tail = np.inf
        if run.doubt <= target:
            best = run
            break
        best = run if best is None or run.doubt < best.doubt else best
        # two ways to be unresolved: the integral of 1/kappa needs more points, or the profile itself more terms
        finer = run.quadrature > target and fine < FINEST
        further = run.tail > target and options.unknowns is None
        if further:
            n, tail, before = n * 3 // 2, run.tail, tail
            if n > LARGEST or tail > max(0.3 * before, 10 * target) or (tail > HOPELESS and run.status == "done"):
                break  # no geometric decay: more terms will not do
        elif not finer:
            break
        fine *= 2 if finer else 1
    if best.tail > target and options.unknowns is None:
        # a front or a kink: the terms of a polynomial fall off like a power there, graded cells like their square
        run = _finite_volumes(physics, protocol, times, limits, options, progress)
        best = run if run.status == "interrupted" or run.doubt < best.doubt else best
    best = _settle(best, protocol, times, limits, options, progress)
    if best.doubt > target and best.status != "interrupted":
        logger.warning("the finest grid leaves an estimated error of %.1e in space, %.1e was asked", best.doubt, target)
        best.message += f"; in space an error of about {best.doubt:.1e} is left ({target:.1e} asked)"
    return best


def _settle(
    run: Trajectory,
    protocol: Protocol,
    times: Array,
    limits: dict[str, float],
    options: Options,
    progress: Progress | None,
) -> Trajectory:
    """Repeat a run whose steps did not all last their duration, ten times tighter each, until the moments stay.

    A limit far below what the tolerance resolves, such as the last millionth of the salt, is met at an arbitrary time.
    """
    if run.status in ("interrupted", "not_converged") or all(e.ended_by == "duration" for e in run.log):
        return run
    grid, rtol, moved = run.grid, options.rtol, np.inf
    # near its end such a run steepens, so that the degree that served until then may not serve for the moment itself
    if isinstance(grid, Spectral) and options.unknowns is None:
        grid = Spectral(grid.physics, min(grid.n * 3 // 2, max(grid.n, LARGEST)), grid.fine)
    while moved > MOMENT and rtol > TIGHTEST:
        rtol = max(0.1 * rtol, TIGHTEST)
        tighter = _Integration(grid, protocol, times, limits, replace(options, rtol=rtol), progress).go()
        if tighter.status == "interrupted":
            return tighter
        if tighter.status == "not_converged":
            break
        # successive tolerances, not an estimate: the time at which c passes a small level has no local error bound
        moved = _moved(tighter, run)
        tighter.evaluations += run.evaluations
        if isinstance(grid, Banded):
            tighter.tail = run.tail  # two grids were compared
        run = tighter
    if moved > MOMENT:
        logger.warning("when a step ends is uncertain by %.0f %%", 100 * moved)
        run.message += f"; when a step ends is uncertain by {100 * moved:.0f} %"
    return run


def _moved(a: Trajectory, b: Trajectory) -> float:
    """By how much steps that something ended differ in length between two runs, relative; infinite if the ends do."""
    if [(e.index, e.ended_by) for e in a.log] != [(e.index, e.ended_by) for e in b.log]:
        return np.inf
    worst = 0.0
    for x, y in zip(a.log, b.log, strict=True):
        lengths = x.t_end - x.t_start, y.t_end - y.t_start
        if x.ended_by != "duration" and lengths[0] != lengths[1]:
            worst = max(worst, abs(lengths[0] - lengths[1]) / max(lengths))
    return worst


def _finite_volumes(
    physics: Physics,
    protocol: Protocol,
    times: Array,
    limits: dict[str, float],
    options: Options,
    progress: Progress | None,
) -> Trajectory:
    """Graded finite volumes, twice as many until two grids agree; the error left is taken as their difference.

    Of second order it is a third of that, but fronts come and go between the cells, and the order with them.
    """
    cells, before = options.cells, None
    while True:
        run = _Integration(Banded(physics, cells, options.stretch), protocol, times, limits, options, progress).go()
        if before is not None:
            # a moment off by MOMENT counts as much as what may be left
            ends = 10 * options.rtol * min(_moved(run, before) / MOMENT, 1 / MOMENT)
            run.tail = max(_difference(run, before, protocol), ends)
        else:
            run.tail = np.inf
        enough = run.tail <= 10 * options.rtol or (before is not None and 2 * cells > MOST_CELLS)
        if run.status == "interrupted" or enough:
            return run
        before, cells = run, 2 * cells


def _difference(a: Trajectory, b: Trajectory, protocol: Protocol) -> float:
    """Largest difference of two runs in current and wall values, relative to the largest, where times agree."""
    time_a, time_b = np.concatenate(a.time), np.concatenate(b.time)
    _, in_a, in_b = np.intersect1d(time_a, time_b, return_indices=True)
    late = np.ones(in_a.size, dtype=bool)
    for entry in a.log:
        early = EARLY * protocol.steps[entry.index].duration
        late &= ~((time_a[in_a] >= entry.t_start) & (time_a[in_a] < entry.t_start + early))
    worst = 0.0
    for name in ("i", "wall"):
        x, y = (
            np.concatenate([getattr(s, name) for s in run.observed])[rows][late] for run, rows in ((a, in_a), (b, in_b))
        )
        if x.size and np.max(np.abs(x)) > 0:
            worst = max(worst, float(np.max(np.abs(x - y)) / np.max(np.abs(x))))
    return worst


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """CVODE announces failures on stdout; its flag says so too. Other threads' output is left alone."""
    if threading.current_thread() is threading.main_thread():
        return contextlib.redirect_stdout(io.StringIO())
    return contextlib.nullcontext()


class _Integration:
    """One run of a protocol on one grid."""

    def __init__(
        self,
        grid: Spectral | Banded,
        protocol: Protocol,
        times: Array,
        limits: dict[str, float],
        options: Options,
        progress: Progress | None,
    ) -> None:
        self.grid, self.protocol, self.times = grid, protocol, times
        self.limits, self.options, self.progress = limits, options, progress
        self.run = Trajectory(grid, options)
        self.law = VoltageLaw(grid.physics.cell, grid.physics.transport.with_extrapolation("clamp"))
        self.atol = np.append(grid.absolute_tolerance(0.3 * options.rtol), options.rtol)
        self.change, self.tolerances, self.charge_start = 1.0, (LEAST_RTOL, 1.0), 0.0

    def go(self) -> Trajectory:
        """Step after step."""
        run, state, t_start = self.run, np.zeros(self.grid.unknowns + 1), 0.0
        steps = self.protocol.steps
        try:
            for index, step in enumerate(steps):
                state, t_end, ended_by = self._step(index, step, t_start, state)
                run.log.append(StepLog(index, step.label or step.drive, t_start, t_end, ended_by))
                if run.status != "done":
                    break
                if index == len(steps) - 1 and ended_by != "duration":
                    run.fail("stopped", f"step {index + 1} met its stop condition {ended_by}")
                t_start = t_end
        except KeyboardInterrupt:
            if not run.time:
                raise
            run.fail("interrupted", interruption(run.time[-1][-1]))
        return run

    def _step(self, index: int, step: Step, t_start: float, state: Array) -> tuple[Array, float, str]:
        grid, run = self.grid, self.run
        data = grid.data(step, t_start, ())
        # the start of a step is kept twice where another one ended: the current jumps, and both values are asked for
        first = grid.observe(np.array([t_start]), state[None], data)
        stamp = t_start if index == 0 else float(np.nextafter(t_start, np.inf))
        run.add(index, np.array([stamp]), state[None], first)
        events = self._events(step, float(first.i[0]))
        self.charge_start = float(state[-1])
        met = self._met(t_start, state, self._watching(step, t_start, events), events)
        if met:
            return state, stamp, met
        self._set_tolerance(step, float(np.ptp(first.extremes)))
        t_end = t_start + step.duration
        # a followed table has kinks, and an order above one across a kink costs more than a fresh start at each
        wanted, edges = moments(step, t_start, self.times, self.options.rtol)
        t = t_start
        for bound in edges:
            asked = wanted[slice(*np.searchsorted(wanted, (t, bound), side="right"))]
            tspan = np.unique([t, *asked, bound])
            times, states, observed, ended_by = self._segment(index, step, t_start, tspan, state, events, data)
            keep = np.isin(times, asked)
            keep[-1] |= ended_by != "duration" or bound == t_end
            if keep.any():
                run.add(index, times[keep], states[keep], observed.subset(keep))
            late = times - t_start >= EARLY * step.duration
            late[-1] |= ended_by != "duration"
            if np.any(late):
                run.tail = max(run.tail, float(np.max(observed.tail[late])) / self.change)
                run.quadrature = max(run.quadrature, float(np.max(observed.quadrature[late])))
            t, state = float(times[-1]), states[-1]
            if ended_by != "duration":
                return state, t, ended_by
        return state, t_end, "duration"

    def _set_tolerance(self, step: Step, spread: float) -> None:
        """For a step that begins with the salt concentration spread by `spread` [mol/m^3]."""
        change = expected_change(self.law, step, spread, self.grid.physics.c0)
        # to half a power of ten, so that steps of about the same size share a kept solver
        self.change = float(10.0 ** (0.5 * np.round(2 * np.log10(change))))
        self.tolerances = LEAST_RTOL, self.change
        if not np.any(step.value):
            # the tail of a relaxation is read on a logarithmic axis: relative to what is left, mode by mode
            self.tolerances = RELAXING * self.options.rtol, max(1e-3 * self.change, SMALLEST_CHANGE)

    def _segment(
        self,
        index: int,
        step: Step,
        t_start: float,
        tspan: Array,
        state: Array,
        events: tuple[Event, ...],
        data: Any,
    ) -> tuple[Array, Array, Observed, str]:
        """Integrate over `tspan`; first without watching the fatal limits, which costs a call per time step."""
        if tspan.size == 2:
            tspan = np.insert(tspan, 1, tspan.mean())
        # Watching costs a call into Python per time step, three times the step itself. A fatal limit is met by few
        # runs: so integrate blindly, then look whether the kept states stay clear of it by more than they move.
        only_fatal = all(e.fatal for e in events)
        if only_fatal and self.progress is None:
            with contextlib.suppress(_SaltGoneError):
                times, states, flag, _ = self._solve(tspan, state, data, ())
                if flag >= 0:
                    observed = self.grid.observe(times, states, data)
                    if self._clear(observed):
                        return times[1:], states[1:], observed.subset(slice(1, None)), "duration"
        watched = self._watching(step, t_start, events)
        times, states, flag, message = self._solve(tspan, state, watched, events)
        observed = self.grid.observe(times, states, watched)
        ended_by = "duration"
        if flag == INTERRUPTED:
            ended_by = "interrupted"
            self.run.fail(ended_by, interruption(times[-1]))
        elif flag < 0:
            ended_by = "not_converged"
            self.run.fail(ended_by, f"step {index + 1} at t = {times[-1]:.6g} s: {message}")
        elif times[-1] < tspan[-1]:
            ended_by = self._which(times[-1], states[-1], watched, events)
            if any(e.fatal and e.name == ended_by for e in events):
                last = CellState(
                    float(times[-1]),
                    float(observed.i[-1]),
                    observed.extremes[-1],
                    observed.wall[-1],
                    (),
                    np.empty(0),
                    np.empty(0),
                    np.empty(0),
                )
                self.run.fail(*explain(ended_by, last, index))
        if times.size > 1:
            times, states, observed = times[1:], states[1:], observed.subset(slice(1, None))
        return times, states, observed, ended_by

    def _watching(self, step: Step, t_start: float, events: tuple[Event, ...]) -> Any:
        """What the kernels read where events are watched, the charge from which a step counts its own with it."""
        data = self.grid.data(step, t_start, events)
        data[0][kernels.CHARGE_START] = self.charge_start
        return data

    def _clear(self, observed: Observed) -> bool:
        """Whether no fatal limit can have been met between the kept states: all stay away by more than they move."""
        low, high = observed.extremes[:, 0], observed.extremes[:, 1]
        low_margin = low[1:] - np.abs(np.diff(low))
        high_margin = high[1:] + np.abs(np.diff(high))
        return all(
            bool(np.all(low_margin > limit)) if name in LOWER else bool(np.all(high_margin < limit))
            for name, limit in self.limits.items()
        )

    def _events(self, step: Step, i_first: float) -> tuple[Event, ...]:
        c_init = self.grid.physics.c0
        events = [
            Event(name, kernels.C_MIN if name in LOWER else kernels.C_MAX, limit, c_init, True)
            for name, limit in self.limits.items()
        ]
        for name, level in step.stop.given.items():
            size = c_init if name.startswith("c_") else max(abs(level), 1e-300)
            if name == "current_below" and i_first == 0:
                continue
            if name == "current_below":
                level *= abs(i_first)
                size = max(abs(i_first), 1e-300)
            events.append(Event(name, _STOPS[name], level, size, False))
        return tuple(events)

    def _met(self, time: float, state: Array, data: Any, events: tuple[Event, ...]) -> str:
        """The first stop condition that is met already, or nothing; a rate has to be above its limit first."""
        if all(e.fatal for e in events):
            return ""
        g = np.empty(len(events))
        self.grid.events(time, state, g, data)
        met = [e.name for e, left in zip(events, g, strict=True) if left <= MET and not e.fatal]
        return next((name for name in met if name != "current_rate_below"), "")

    def _which(self, time: float, state: Array, data: Any, events: tuple[Event, ...]) -> str:
        """The event that ended a step: the one at its root."""
        g = np.empty(len(events))
        self.grid.events(time, state, g, data)
        return events[int(np.argmin(np.abs(g)))].name

    def _solve(self, tspan: Array, state: Array, data: Any, events: tuple[Event, ...]) -> tuple[Array, Array, int, str]:
        """CVODE over `tspan`: times and states reached, its flag (negative: failed) and message."""
        if not events and self.progress is None and isinstance(self.grid, Spectral):
            solver = self._kept_solver(data)
        else:
            solver = self._solver([data], events)
        with _quiet():
            if self.progress is None:
                try:
                    result = solver.solve(tspan, state)
                except BaseException:
                    _kept.__dict__.pop("solvers", None)  # what it was doing is unknown
                    raise
                self.run.evaluations += result.nfev
                return result.t, result.y, result.status, result.message
            return self._watched(solver, tspan, state)

    def _kept_solver(self, data: Any) -> Any:
        """A CVODE from an earlier run of this thread on such a grid, or a new one: making it costs a tenth of a run."""
        solvers: dict[Any, Any] = _kept.__dict__.setdefault("solvers", {})
        grid = self.grid
        assert isinstance(grid, Spectral)
        key = (grid.n, grid.fine, self.options.rtol, self.options.max_steps, self.tolerances)
        if key not in solvers:
            if len(solvers) >= 16:
                solvers.pop(next(iter(solvers)))
            box: list[Any] = [data]
            solvers[key] = (box, self._solver(box, ()))
        box, solver = solvers[key]
        box[0] = data
        return solver

    def _solver(self, box: list[Any], events: tuple[Event, ...]) -> Any:
        """CVODE for the numbers in `box`."""
        from sksundae.cvode import CVODE, CVODEJacTimes, CVODEPrecond

        rate, judge = self.grid.rate, self.grid.events

        def rhsfn(t: float, s: Array, ds: Array) -> None:
            if not rate(t, s, ds, box[0]) and not events:
                raise _SaltGoneError  # no limit is watched here; the caller tries again, watching

        options = self.grid.solver_options(box)
        for key, wrapper in (("precond", CVODEPrecond), ("jactimes", CVODEJacTimes)):
            if key in options:
                options[key] = wrapper(*options[key])
        if events:

            def eventsfn(t: float, s: Array, g: Array) -> None:
                judge(t, s, g, box[0])

            eventsfn.direction = [-1] * len(events)  # type: ignore[attr-defined]
            options |= {"eventsfn": eventsfn, "num_events": len(events)}
        rtol, scale = self.tolerances
        most = self.options.max_steps
        if isinstance(self.grid, Spectral) and self.options.unknowns is None:
            most = min(most, MOST_STEPS)
        return CVODE(rhsfn, rtol=rtol, atol=scale * self.atol, max_num_steps=most, **options)

    def _watched(self, solver: Any, tspan: Array, state: Array) -> tuple[Array, Array, int, str]:
        """The same, output by output, with progress; an interrupt keeps what was reached."""
        times, states, flag, message = [tspan[0]], [state], 0, ""
        solver.init_step(float(tspan[0]), state)
        assert self.progress is not None
        try:
            for t in tspan[1:]:
                result = solver.step(float(t), "normal", float(tspan[-1]))
                times.append(result.t)
                states.append(result.y)
                flag, message = result.status, result.message
                if flag < 0 or result.t < t:
                    break
                self.progress(result.t / self.protocol.duration)
            self.run.evaluations += result.nfev
        except KeyboardInterrupt:
            flag = INTERRUPTED
        return np.array(times), np.array(states), flag, message
