"""What the sundials and the compiled solver share: the grid refined until a run is resolved, a protocol step by step.

The unknown is the cumulated salt, so none can be lost. The whole protocol is integrated with one degree, chosen from
the tolerance; where the profiles or the quadrature turn out unresolved, the degree is raised and the run repeated, and
past the largest degree graded finite volumes take over. A run keeps only states; every array of the Solution is made
when first asked for. How a protocol step is integrated in time is the solver's: :class:`Integration`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar
from typing import Protocol as Contract

import numpy as np

from cellsim.base import Array, interrupted
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import RATES, Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers import kernels
from cellsim.solvers.banded import Banded
from cellsim.solvers.double_layers import LayeredBanded, LayeredSpectral
from cellsim.solvers.march import (
    EARLY,
    LOWER,
    MOMENT,
    SMALLEST_CHANGE,
    CellState,
    Options,
    StepLog,
    expected,
    explain,
    fatal_limits,
    interruption,
    moments,
)
from cellsim.solvers.packing import Event, Frame, Physics
from cellsim.solvers.resolution import Sampled, apart, moved
from cellsim.solvers.spectral import Observed, Spectral
from cellsim.solvers.trajectory import Trajectory

logger = logging.getLogger(__name__)

Progress = Callable[[float], None]

DEGREES = ((3e-4, 24), (1e-4, 32), (3e-5, 40), (1e-5, 48), (1e-7, 72), (0.0, 108))
"""First degree tried, by the tolerance asked for; each further try takes 1.5 times as many."""
LARGEST = 170
FINEST = 8
HOPELESS = 0.3
"""Profiles of a whole run with more than this left out hold a front, which no degree follows: 107 in place of 71 took
minutes. Salt that runs out within a moment looks alike, but there the next degree does serve."""
MOST_STEPS = 5000
"""Time steps of a spectral grid between two output times, ten times what a resolved profile takes over a whole run."""
MOST_CELLS = 2000
TIGHTEST = 1e-9
LEAST_RTOL = 1e-13
"""The tolerance relative to the unknowns where the absolute one is to hold alone."""
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
    "voltage_rate_below": kernels.VOLTAGE_RATE,
    "current_relative_rate_below": kernels.CURRENT_RELATIVE_RATE,
}


class Job(Contract):
    """A piece of a run that compiled code does: a protocol step, in place."""

    def do(self) -> None:
        """Integrate; the results are the job's own."""


_T = TypeVar("_T")


def driven(work: Generator[Job, None, _T]) -> _T:
    """What `work` returns, each of its jobs done as it comes."""
    try:
        job = next(work)
        while True:
            try:
                job.do()
            except BaseException as error:
                job = work.throw(error)  # as if the work had done it itself
            else:
                job = next(work)
    except StopIteration as ended:
        return ended.value


def refined(
    integration: type[Integration],
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Progress | None = None,
) -> Trajectory:
    """Run a protocol by an `integration`; other arguments as :func:`cellsim.simulate`.

    Returns
    -------
    Trajectory
        Resolved in space to ten times `options.rtol` from a thousandth of each step on, or the finest grid's; the
        moment of a limit or stop condition to about a hundredth.
    """
    return driven(refining(integration, cell, transport, protocol, times, c0, options, progress))


def refining(
    integration: type[Integration],
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Progress | None = None,
    frame: Frame | None = None,
    limits: dict[str, float] | None = None,
) -> Generator[Job, None, Trajectory]:
    """:func:`refined` as a generator of its jobs, so that the jobs of many runs can be done together.

    With a `frame`, cell, set and all else are those of what the grid carries in the place of c, and so are `limits`.
    """
    limits = fatal_limits(transport, average_of(c0), options) if limits is None else limits
    physics = Physics(
        cell,
        transport,
        average_of(c0),
        min(limits.get(n, np.inf) for n in LOWER),
        min(max(0.02 * options.rtol, 1e-8), 1e-5),
        c0 if isinstance(c0, InitialProfile) else None,
        frame,
    )
    # each time step is kept to rtol; what adds up over a run is about ten times that, so space need not be finer
    target = 10 * options.rtol
    n = options.unknowns + 1 if options.unknowns else next(n for rtol, n in DEGREES if options.rtol >= rtol)
    fine, best, tail, given_up = 2, None, np.inf, 0
    while True:
        run = yield from integration(_spectral(physics, n, fine), protocol, times, limits, options, progress).going()
        if run.status == "interrupted":
            return run
        if run.status == "not_converged" and options.unknowns is None:
            # a polynomial that cannot follow swings below zero and back, in ever smaller time steps
            run.tail, given_up = np.inf, given_up + 1
        if run.doubt <= target:
            best = run
            break
        best = run if best is None or run.doubt < best.doubt else best
        # two ways to be unresolved: the integral of 1/kappa needs more points, or the profile itself more terms
        finer = run.quadrature > target and fine < FINEST
        further = run.tail > target and options.unknowns is None
        if further:
            n, tail, before = n * 3 // 2, run.tail, tail
            if (
                given_up > 1
                or n > LARGEST
                or tail > max(0.3 * before, 10 * target)
                or (tail > HOPELESS and run.status == "done")
            ):
                break
        elif not finer:
            break
        fine *= 2 if finer else 1
    if best.tail > target and options.unknowns is None:
        # a front or a kink: the terms of a polynomial fall off like a power there, graded cells like their square
        run = yield from _finite_volumes(integration, physics, protocol, times, limits, options, progress)
        best = run if run.status == "interrupted" or run.doubt < best.doubt else best
    best = yield from _settle(integration, best, protocol, times, limits, options, progress)
    if best.doubt > target and best.status != "interrupted":
        logger.warning("the finest grid leaves an estimated error of %.1e in space, %.1e was asked", best.doubt, target)
        best.message += f"; in space an error of about {best.doubt:.1e} is left ({target:.1e} asked)"
    return best


_GRIDS: dict[tuple[float, ...], Spectral] = {}
MOST_GRIDS = 8


def _spectral(physics: Physics, n: int, fine: int) -> Spectral:
    """The grid of an earlier run of the same cell and set, with what it packed, or a new one: a tenth of a run."""
    ids = id(physics.cell), id(physics.transport), id(physics.initial)
    key = (*ids, physics.c0, physics.c_floor, physics.tolerance, n, fine)
    grid = _GRIDS.get(key)  # it keeps all three alive, so that nothing else can have their identities
    if grid is None:
        if len(_GRIDS) >= MOST_GRIDS:
            _GRIDS.pop(list(_GRIDS)[0], None)  # noqa: RUF015 - another thread may change it while it is iterated
        kind = LayeredSpectral if physics.cell.has_double_layers else Spectral
        grid = _GRIDS[key] = kind(physics, n, fine)
    return grid


def _settle(
    integration: type[Integration],
    run: Trajectory,
    protocol: Protocol,
    times: Array,
    limits: dict[str, float],
    options: Options,
    progress: Progress | None,
) -> Generator[Job, None, Trajectory]:
    """Repeat a run whose steps did not all last their duration, ten times tighter each, until the moments stay.

    A limit far below what the tolerance resolves, such as the last millionth of the salt, is met at an arbitrary time.
    """
    if run.status in ("interrupted", "not_converged") or all(e.ended_by == "duration" for e in run.log):
        return run
    grid, rtol, off = run.grid, options.rtol, np.inf
    # near its end such a run steepens, so that the degree that served until then may not serve for the moment itself
    if isinstance(grid, Spectral) and options.unknowns is None:
        grid = replace(grid, n=min(grid.n * 3 // 2, max(grid.n, LARGEST)))
    while off > MOMENT and rtol > TIGHTEST:
        rtol = max(0.1 * rtol, TIGHTEST)
        tighter = yield from integration(grid, protocol, times, limits, replace(options, rtol=rtol), progress).going()
        if tighter.status == "interrupted":
            return tighter
        if tighter.status == "not_converged":
            break
        # successive tolerances, not an estimate: the time at which c passes a small level has no local error bound
        off = moved(tighter.log, run.log)
        tighter.evaluations += run.evaluations
        if isinstance(grid, Banded):
            tighter.tail = run.tail  # two grids were compared
        run = tighter
    if off > MOMENT:
        logger.warning("when a step ends is uncertain by %.0f %%", 100 * off)
        run.message += f"; when a step ends is uncertain by {100 * off:.0f} %"
    return run


def _finite_volumes(
    integration: type[Integration],
    physics: Physics,
    protocol: Protocol,
    times: Array,
    limits: dict[str, float],
    options: Options,
    progress: Progress | None,
) -> Generator[Job, None, Trajectory]:
    """Graded finite volumes, twice as many until two grids agree; the error left is taken as their difference.

    Of second order it is a third of that, but fronts come and go between the cells, and the order with them.
    """
    cells, before = options.cells, None
    kind = LayeredBanded if physics.cell.has_double_layers else Banded
    while True:
        run = yield from integration(
            kind(physics, cells, options.stretch), protocol, times, limits, options, progress
        ).going()
        if before is not None:
            run.tail = apart(_sampled(run), _sampled(before), protocol, 10 * options.rtol)
        else:
            run.tail = np.inf
        enough = run.tail <= 10 * options.rtol or (before is not None and 2 * cells > MOST_CELLS)
        # two grids that both got nowhere: a third, four times as dear, would not either
        enough |= before is not None and run.status == before.status == "not_converged"
        if run.status == "interrupted" or enough:
            return run
        before, cells = run, 2 * cells


def _sampled(run: Trajectory) -> Sampled:
    i, wall = (np.concatenate([getattr(s, name) for s in run.observed]) for name in ("i", "wall"))
    return Sampled(np.concatenate(run.time), (i, wall), run.log)


class Integration:
    """One run of a protocol on one grid; a solver's subclass integrates a protocol step.

    Parameters
    ----------
    grid : Spectral or Banded
        With cell, set and initial concentration.
    protocol : Protocol
        Steps in order.
    times : ndarray, shape (n,)
        Increasing times at which states are wanted [s].
    limits : mapping
        Fatal ones, by name [mol/m^3].
    options : Options
        Tolerance and limit on the time steps.
    progress : callable, optional
        Called with the fraction done.
    """

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
        self.change, self.charge_start = 1.0, 0.0
        self.tolerances: tuple[float, ...] = (LEAST_RTOL, 1.0, options.rtol)

    def over(
        self,
        index: int,
        step: Step,
        t_start: float,
        state: Array,
        data: Any,
        events: tuple[Event, ...],
        wanted: Array,
        edges: Array,
    ) -> Generator[Job, None, tuple[Array, float, str]]:
        """Integrate protocol step `index` from `state`, keep what was reached by :meth:`keep`, and fail the run if so.

        A generator of the jobs that this takes; none where a solver integrates by itself.

        Parameters
        ----------
        index, step, t_start, state
            The step, when it begins [s] and from what.
        data : tuple of ndarray
            What the kernels read, events included.
        events : tuple of Event
            What ends it.
        wanted, edges : ndarray
            As :func:`.moments` gives them [s].

        Returns
        -------
        tuple
            Last state, its time [s] and what ended the step, "duration" where nothing did.
        """
        raise NotImplementedError

    @property
    def first_state(self) -> Array:
        """The state that a run begins with."""
        m = self.grid.unknowns
        state = np.zeros(m + 1 + self.grid.further)
        state[:m] = self.grid.initial
        return state

    def go(self) -> Trajectory:
        """Step after step."""
        return driven(self.going())

    def going(self) -> Generator[Job, None, Trajectory]:
        """:meth:`go` as a generator of its jobs."""
        run, t_start, state = self.run, 0.0, self.first_state
        steps = self.protocol.steps
        try:
            for index, step in enumerate(steps):
                state, t_end, ended_by = yield from self._step(index, step, t_start, state)
                run.log.append(StepLog(index, step.label or step.drive, t_start, t_end, ended_by))
                if run.status != "done":
                    break
                if index == len(steps) - 1 and ended_by != "duration":
                    run.fail("stopped", f"step {index + 1} met its stop condition {ended_by}")
                t_start = t_end
        except (KeyboardInterrupt, SystemError) as error:
            if not interrupted(error) or not run.time:
                raise
            run.fail("interrupted", interruption(run.time[-1][-1]))
        return run

    def _step(
        self, index: int, step: Step, t_start: float, state: Array
    ) -> Generator[Job, None, tuple[Array, float, str]]:
        events, data, first = self.opened(index, step, t_start, state)
        met = self._met(t_start, state, data, events)
        if met:
            return state, float(self.run.time[-1][-1]), met
        spread = float(first.extremes[0, 1] - first.extremes[0, 0])
        self._set_tolerance(step, spread, state[self.grid.unknowns + 1 :])
        # a followed table has kinks, and an order above one across a kink costs more than a fresh start at each
        wanted, edges = moments(step, t_start, self.times, self.options.rtol)
        return (yield from self.over(index, step, t_start, state, data, events, wanted, edges))

    def opened(self, index: int, step: Step, t_start: float, state: Array) -> tuple[tuple[Event, ...], Any, Observed]:
        """What ends a step, what the kernels read, and what its first state shows, which is kept."""
        grid = self.grid
        self.charge_start = float(state[grid.unknowns])
        # packed once where no condition is relative to the current that is found with it
        relative = "current_below" in step.stop.given
        events = () if relative else self._events(step, 0.0)
        data = self._watching(step, t_start, events)
        # the start of a step is kept twice where another one ended: the current jumps, and both values are asked for
        first = grid.observe(np.array([t_start]), state[None], data)
        stamp = t_start if index == 0 else float(np.nextafter(t_start, np.inf))
        self.run.add(index, np.array([stamp]), state[None], first)
        if relative:
            events = self._events(step, float(first.i[0]))
            data = self._watching(step, t_start, events)
        return events, data, first

    def _watching(self, step: Step, t_start: float, events: tuple[Event, ...]) -> Any:
        """What the kernels read where events are watched, the charge from which a step counts its own with it."""
        data = self.grid.data(step, t_start, events)
        data[0][kernels.CHARGE_START] = self.charge_start
        return data

    def judge(self, times: Array, observed: Observed, step: Step, t_start: float, ended_by: str) -> None:
        """Note how well these states of a step, the last of them at its end where something ended it, are resolved."""
        late = int(np.searchsorted(times, t_start + EARLY * step.duration))
        if ended_by != "duration":
            late = min(late, times.size - 1)
        if late < times.size:
            self.run.tail = max(self.run.tail, float(observed.tail[late:].max()) / self.change)
            self.run.quadrature = max(self.run.quadrature, float(observed.quadrature[late:].max()))

    def fail_at(self, time: float, observed: Observed, ended_by: str, index: int) -> None:
        """End the run at a fatal limit, met where `observed` ends."""
        wall, extremes = (self.grid.physics.seen(pair[-1]) for pair in (observed.wall, observed.extremes))
        last = CellState(time, float(observed.i[-1]), extremes, wall, np.empty(0), (tuple, lambda: (np.empty(0),) * 2))
        self.run.fail(*explain(ended_by, last, index))

    def _set_tolerance(self, step: Step, spread: float, further: Array) -> None:
        """For a step that begins with the salt concentration spread by `spread` [mol/m^3], and the `further` states."""
        physics, rtol = self.grid.physics, self.options.rtol
        change, i = expected(physics.law, step, spread, physics.c0)
        # to half a power of ten, so that steps of about the same size share a kept solver
        self.change = _rounded(change)
        charge = rtol * self.change
        if i:
            # a tenth, since the norm is a mean over all unknowns: else the little charge that stiff kinetics let pass,
            # or that moves hardly any salt, came out wrong in its third digit
            charge = min(charge, 0.1 * rtol * _rounded(abs(i) * step.duration * physics.per_charge))
        self.tolerances = LEAST_RTOL, self.change, charge
        if step.largest == 0:
            # the tail of a relaxation is read on a logarithmic axis: relative to what is left, mode by mode
            self.tolerances = RELAXING * rtol, max(1e-3 * self.change, SMALLEST_CHANGE), charge
        self.tolerances += self.grid.further_tolerances(step, further, rtol)

    @property
    def atol(self) -> Array:
        """Absolute tolerances of the unknowns, of the charge passed and of what further states there are, in a step."""
        _, scale, *others = self.tolerances
        of_unknowns = self.grid.absolute_tolerance(0.3 * self.options.rtol)
        atol = np.empty(of_unknowns.size + len(others))
        atol[: of_unknowns.size], atol[of_unknowns.size :] = scale * of_unknowns, others
        return atol

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
        return next((name for name in met if name not in RATES), "")


def _rounded(x: float) -> float:
    """To half a power of ten."""
    return 10.0 ** (0.5 * round(2 * math.log10(x)))
