"""The compiled solver: a protocol step of a run, or of many runs, in one compiled call.

Grids, kernels, refinement and protocol are those of the sundials solver (:mod:`cellsim.solvers.refinement`), the time
integration is :mod:`cellsim.solvers.differences`. Every run is a generator of jobs, each a protocol step; a run by
itself does its jobs as they come, and of many runs those on the same grid are done together. The same compiled loop
does one job and a hundred, so that a run gives the same numbers to the last bit whatever runs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError, interrupted
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import RATES, Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.banded import Banded
from cellsim.solvers.breathing import Carried, as_carried, solving
from cellsim.solvers.dense import in_eights, in_lines
from cellsim.solvers.differences import (
    AT_ONCE,
    DONE,
    EVALUATIONS,
    EVENT,
    INTERRUPTED,
    MET,
    MOST_ORDER,
    NUMBERS,
    PAUSED,
    ROWS,
    TOO_MANY,
    WRITTEN,
    T,
    integrate_each,
)
from cellsim.solvers.march import Options, StepLog, interruption
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.refinement import MOST_STEPS, TIGHTEST, Integration, Job, Progress, driven, refining
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import Observed, Spectral
from cellsim.solvers.trajectory import LazyArrays

STANDSTILL = 1e-9
"""A run that has covered less than this share of a protocol step after its first `AT_ONCE` time steps is given up: a
resolved profile takes a few hundred over the whole of it."""
WITH_PROGRESS = 1
"""Time steps taken in one call where progress is reported."""


def solve(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Progress | None = None,
) -> SolverRun:
    """Run a protocol; arguments as :func:`cellsim.simulate`."""
    return driven(solving(CompiledRun, cell, transport, protocol, times, c0, options, progress))


Aside = Callable[[], AbstractContextManager[None]]
"""What surrounds a compiled call, in which nothing of Python is touched."""


def solve_many(runs: Sequence[tuple[Any, ...]], aside: Aside = nullcontext) -> list[SolverRun | Exception]:
    """Many runs, those of their protocol steps that are on the same grid together.

    Parameters
    ----------
    runs : sequence of tuple
        Arguments of :func:`solve` without `progress`.
    aside : callable, optional
        Gives the context of every compiled call, in which others may use the interpreter.

    Returns
    -------
    list
        In the order of `runs`; of one that raised, what it raised.
    """
    done: dict[int, SolverRun | Exception] = {}
    works = {k: solving(CompiledRun, *arguments) for k, arguments in enumerate(runs)}
    jobs: dict[int, StepJob] = {}
    while works:
        for k, work in list(works.items()):
            try:
                jobs[k] = next(work)  # type: ignore[assignment]
                continue
            except StopIteration as ended:
                done[k] = ended.value
            except Exception as error:  # one run's trouble must not end the others'; it is reported in its place
                done[k] = error
            jobs.pop(k, None)
            del works[k]
        alike: dict[Any, list[StepJob]] = {}
        for job in jobs.values():
            alike.setdefault(job.kind, []).append(job)
        for group in alike.values():
            together(group, aside)
    return [done[k] for k in range(len(runs))]


Arguments = tuple[Cell, TransportSet, Protocol, float | InitialProfile]
"""What a run is of: cell, set, protocol and initial concentration."""


def solve_beside(
    first: Arguments,
    others: Sequence[Arguments],
    times: Array,
    options: Options,
    precise: bool = False,
    known: Mapping[str, Array] | None = None,
) -> list[SolverRun]:
    """A run, and beside it runs of other numbers by the very same time steps: orders, lengths, matrices, iterations.

    What two such runs differ by is smooth in the numbers down to rounding, for nothing in it is decided anew; divided
    by a small difference of the numbers it is the derivative of what the first run found. A step that ends at an event
    ends for each run at its own moment, from which its own clock runs on.

    Parameters
    ----------
    first : tuple
        Cell, set, protocol and initial concentration: of the run that decides.
    others : sequence of tuple
        The same of each run beside it. Steps must last as long and be driven at the same times.
    times : ndarray, shape (n,)
        Output times, of all [s].
    options : Options
        Of all.
    precise : bool
        Whether all of them are made more exactly than the first run by itself: at a tenth of its tolerance, with twice
        as many points of the integral of dx/kappa and with finer tables. Where properties are tables with kinks the
        derivative of the run's own error is 7e-4 of the derivative at the default tolerance, so it is 3e-5.
    known : mapping, optional
        The arrays of the first run, where it was made before: what is known of it need not be found again.

    Returns
    -------
    list of SolverRun
        The first, to the last bit what :func:`solve` gives if not `precise`, and the others in their order.

    Raises
    ------
    InputError
        A run whose steps are not those of the first.
    ConvergenceError
        The first run does not get to an end, or one beside it only grazes the event that ends a step of it.

    References
    ----------
    Internal numerical differentiation: Bock 1981, in Ebert, Deuflhard & Jaeger (eds.), *Modelling of Chemical Reaction
    Systems*, Springer, p. 102, doi:10.1007/978-3-642-68220-9_8.
    """
    carried = [as_carried(*run, options) for run in (first, *others)]
    own = carried[0]
    for other in carried[1:]:
        _check_steps(own.protocol, other.protocol)
    if isinstance(known, LazyArrays):
        found = known.trajectory
    else:
        found = driven(refining(CompiledRun, *own.refining(times, None)))
    grid, options = found.grid, found.options
    if precise:
        options = replace(options, rtol=max(0.1 * options.rtol, TIGHTEST))
        if isinstance(grid, Spectral):
            # the slopes of the tables matter too, which converge an order later than their values
            physics = replace(grid.physics, tolerance=max(grid.physics.tolerance / 16, 1e-8))
            grid = replace(grid, physics=physics, fine=2 * grid.fine)
    run = CompiledRun(grid, own.protocol, times, own.limits, options, None)
    run.beside = [CompiledRun(_alike(grid, c), c.protocol, times, c.limits, options, None) for c in carried[1:]]
    run.go()
    ended = run.run if precise else found  # which also says how well the finest grid resolves it
    if "interrupted" in (found.status, run.run.status):
        raise KeyboardInterrupt
    if ended.status == "not_converged":
        raise ConvergenceError(f"the run ends early, so that it has no derivatives: {ended.message}")
    results = []
    for one, (cell, transport, _, _) in zip([run.run, *(o.run for o in run.beside)], (first, *others), strict=True):
        one.status, one.message = ended.status, ended.message
        results.append(one.solver_run(cell, transport))
    return results


def _check_steps(own: Protocol, other: Protocol) -> None:
    """Refuse a protocol that the time steps of a run under another one do not fit, and stop conditions on a rate.

    How the moment of a rate moves needs second derivatives in time, which a tabulated property does not have: it was
    8 % off at the default tolerance, and still 1 % at 1e-8.
    """
    for name in RATES:
        if any(name in step.stop.given for step in own.steps):
            raise InputError(
                f"protocol: a step that stops by {name} has no accurate derivatives by shared time steps; use another "
                'stop condition, or cellsim.sensitivities with method = "differences"'
            )
    alike = len(own.steps) == len(other.steps) and all(
        a.drive == b.drive
        and a.duration == b.duration
        and np.array_equal(_times_of(a), _times_of(b))
        and a.stop.given.keys() == b.stop.given.keys()
        for a, b in zip(own.steps, other.steps, strict=True)
    )
    if not alike:
        raise InputError(
            "protocol: runs that share their time steps must have steps of the same drives, durations and stop "
            "conditions; only values and levels may differ"
        )


def _times_of(step: Step) -> Array:
    return np.zeros(0) if step.time is None else step.time


def _alike(grid: Spectral | Banded, other: Carried) -> Spectral | Banded:
    """The grid of a run for another one, whose tables are on the nodes of its."""
    own, c0 = grid.physics, other.c0
    initial = c0 if isinstance(c0, InitialProfile) else None
    physics = Physics(
        *(other.cell, other.transport, average_of(c0), own.c_floor, own.tolerance, initial, other.frame),
        alike=own,
    )
    return replace(grid, physics=physics)


@dataclass
class StepJob:
    """A protocol step of one run: what it begins with, and what became of it.

    Attributes
    ----------
    grid : Spectral or Banded
    data : tuple of ndarray
        What the kernels read.
    state : ndarray, shape (n,)
        To begin with, then the last one reached.
    t_start, before : float
        When the step begins, and the time of the last state that the run has already [s].
    wanted, edges : ndarray
        As :func:`.moments` gives them [s].
    fatal : list of bool
        Of each event whether it can be met at once.
    rtol, atol : float, ndarray
        Tolerances.
    most : int
        Time steps allowed.
    duration : float
        Of the step [s].
    progress : callable, optional
        Called with the time reached [s].
    beside : sequence of CompiledRun
        Runs that take the same time steps.
    """

    grid: Spectral | Banded
    data: Any
    state: Array
    t_start: float
    before: float
    wanted: Array
    edges: Array
    fatal: list[bool]
    rtol: float
    atol: Array
    most: int
    duration: float
    progress: Progress | None = None
    beside: Sequence[CompiledRun] = ()
    flag: int = PAUSED
    numbers: Array = field(default_factory=lambda: np.zeros(NUMBERS))
    times: Array = field(default_factory=lambda: np.empty(0))
    states: Array = field(default_factory=lambda: np.empty(0))
    observed: Observed | None = None

    @property
    def kind(self) -> tuple[int, ...]:
        """Jobs of one kind can be done together: same grid, as many numbers, tables, times and events."""
        par, ops, tables, _room = self.data
        return id(ops), par.size, tables.size, self.edges.size, self.wanted.size, len(self.fatal)

    def do(self) -> None:
        """By itself; what was reached when it is interrupted is kept."""
        together([self])


def together(jobs: Sequence[StepJob], aside: Aside = nullcontext) -> None:
    """Do jobs of one kind in one compiled call, which holds no lock of the interpreter."""
    first, m = jobs[0], len(jobs)
    dense, n, w = isinstance(first.grid, Spectral), first.state.size, first.wanted.size + 1
    alone, progress = m == 1, first.progress
    numbers, D = np.zeros((m, NUMBERS)), in_lines(m, MOST_ORDER + 3, n)
    times, states = np.empty((m, w)), np.empty((m, w, n))
    watched, atol = np.zeros((m, 2, len(first.fatal))), np.empty((m, n))
    flags, most = np.full(m, PAUSED), np.array([job.most for job in jobs])
    for k, job in enumerate(jobs):
        numbers[k, T], D[k, 0], times[k, :-1] = job.t_start, job.state, job.wanted
        watched[k, 0], atol[k] = job.fatal, job.atol
    par, ops, tables, room = first.data
    which = np.zeros(m, dtype=np.int64)
    if alone:
        par, tables, edges = par[None], tables[None], first.edges[None]
    else:
        par, edges = np.stack([job.data[0] for job in jobs]), np.stack([job.edges for job in jobs])
        sets = {id(job.data[2]): job.data[2] for job in jobs}
        places = {key: place for place, key in enumerate(sets)}
        which[:] = [places[id(job.data[2])] for job in jobs]
        tables = tables[None] if len(sets) == 1 else np.stack(list(sets.values()))
    J, inverse = (in_lines(n, n), in_lines(n, in_eights(n))) if dense else (np.empty((3, n - 1)), np.empty((1, 1)))
    per_i, per_s, pivots = np.empty(n - 1), np.empty(n - 1), np.empty(inverse.shape[0], dtype=np.int64)
    memory = (numbers, D, in_lines(ROWS, n), J, per_i, per_s, inverse, pivots, in_lines(*room.shape))
    tolerances = np.array([job.rtol for job in jobs]), atol
    before = np.array([job.before for job in jobs])
    least = np.array([job.t_start + STANDSTILL * job.duration for job in jobs])
    scalars, pairs = np.zeros((m, 4, w)), np.empty((m, 2, w, 2))
    pause = AT_ONCE if progress is None else WITH_PROGRESS
    beside = _packed(first.beside, n, w) if first.beside else NOTHING_BESIDE
    try:
        while np.any(flags == PAUSED):
            with aside():
                integrate_each(
                    dense,
                    (par, ops, tables, which),
                    memory,
                    (edges, times, states),
                    before,
                    watched,
                    tolerances,
                    (most, least, pause),
                    flags,
                    first.grid.judging,
                    (scalars, pairs),
                    beside,
                )
            if progress is not None:
                progress(numbers[0, T])
    except (KeyboardInterrupt, SystemError) as error:
        if not alone or not interrupted(error):
            raise
        flags[0] = INTERRUPTED
    for k, job in enumerate(jobs):
        written = int(numbers[k, WRITTEN])
        if flags[k] == INTERRUPTED:
            t = numbers[k, T]
            if t > (times[k, written - 1] if written else before[k]):
                times[k, written], states[k, written] = t, D[k, 0]
                written += 1
            job.observed = first.grid.observe(times[k, :written], states[k, :written], job.data)
        else:
            i, resistance, quadrature, tail = scalars[k, :, :written]
            wall, extremes = pairs[k, :, :written]
            job.observed = Observed(i, wall, resistance, extremes, tail, quadrature)
        job.flag, job.numbers, job.state = int(flags[k]), numbers[k], D[k, 0]
        job.times, job.states = times[k, :written], states[k, :written]
    for other, D_beside, shift, states_beside in zip(first.beside, *beside[2:], strict=True):
        other.state, other.shift, other.states = D_beside[0], float(shift), states_beside


NOTHING_BESIDE = np.empty((0, 1)), np.empty((0, 1)), np.empty((0, 1, 1)), np.empty(0), np.empty((0, 1, 1))


def _packed(runs: Sequence[CompiledRun], n: int, w: int) -> tuple[Array, ...]:
    """What the compiled loop works on of runs beside a run, which has `n` unknowns and up to `w` states to keep."""
    par, tables = (np.stack([run.data[k] for run in runs]) for k in (0, 2))
    D = in_lines(len(runs), MOST_ORDER + 3, n)
    D[:, 0] = [run.state for run in runs]
    return par, tables, D, np.array([run.shift for run in runs]), np.empty((len(runs), w, n))


class CompiledRun(Integration):
    """By backward differences, one call for a whole protocol step.

    Attributes
    ----------
    beside : sequence of CompiledRun
        Runs that take the time steps of this one; they do not go by themselves.
    state, shift, data, states
        Of such a run: the last state, how far its clock is ahead [s], what the kernels read in the step, and what it
        has at the times wanted.
    """

    beside: Sequence[CompiledRun] = ()
    shift: float = 0.0
    state: Array
    data: Any
    states: Array

    def _step(
        self, index: int, step: Step, t_start: float, state: Array
    ) -> Generator[Job, None, tuple[Array, float, str]]:
        starts = []
        for other in self.beside:
            if index == 0:
                other.state = other.first_state
            starts.append(t_start + other.shift)
            other.data = other.opened(index, other.protocol.steps[index], starts[-1], other.state)[1]
        reached = yield from super()._step(index, step, t_start, state)
        for other, start in zip(self.beside, starts, strict=True):
            other.run.log.append(StepLog(index, step.label or step.drive, start, reached[1] + other.shift, reached[2]))
        return reached

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
    ) -> Generator[StepJob, None, tuple[Array, float, str]]:
        """As :meth:`Integration.over`."""
        run = self.run
        asked = _looked_at(t_start, wanted, edges)
        most = self.options.max_steps
        if isinstance(self.grid, Spectral) and self.options.unknowns is None:
            most = min(most, MOST_STEPS * (asked.size + 1))
        job = StepJob(
            self.grid,
            data,
            state,
            t_start,
            float(run.time[-1][-1]),
            asked,
            edges,
            [e.fatal for e in events],
            self.tolerances[0],
            self.atol,
            most,
            step.duration,
            self._heard if self.progress is not None else None,
            self.beside,
        )
        yield job
        times, states, observed, flag = job.times, job.states, job.observed, job.flag
        assert observed is not None
        run.evaluations += int(job.numbers[EVALUATIONS])
        t = float(job.numbers[T])
        ended_by, met = "duration", int(job.numbers[MET])
        if flag == EVENT:
            ended_by = events[met].name
        elif flag == INTERRUPTED:
            ended_by = "interrupted"
            run.fail(ended_by, interruption(t))
        elif flag != DONE:
            ended_by = "not_converged"
            why = (
                f"more than {most} time steps; raise max_steps or rtol"
                if flag == TOO_MANY
                else "time steps that are accurate have become too short to get anywhere"
            )
            run.fail(ended_by, f"step {index + 1} at t = {t:.6g} s: {why}")
        if not times.size:
            return state, t, ended_by
        self.judge(times, observed, step, t_start, ended_by)
        keep: Any = slice(None)
        if asked is wanted:
            run.add(index, times, states, observed)
        else:
            keep = np.isin(times, wanted)
            keep[-1] |= times[-1] == t
            run.add(index, times[keep], states[keep], observed.subset(keep))
        for other in self.beside:
            other.keep(index, times, keep, not np.any(asked == times[-1]))
        if flag == EVENT and events[met].fatal:
            self.fail_at(t, observed, ended_by, index)
        return states[-1], t, ended_by

    def keep(self, index: int, times: Array, keep: Any, ended: bool) -> None:
        """Keep states of a run beside another one, whose times are `times`; the last the end of a step if `ended`."""
        own, states = times.copy(), self.states[: times.size]
        if ended:
            own[-1] += self.shift
        if not np.all(np.isfinite(states)) or not np.all(np.isfinite(self.state)):
            raise ConvergenceError(
                f"step {index + 1}: a run with changed parameters does not follow the time steps of the run itself, or "
                "only grazes the stop condition that ends it; take differences of whole runs instead"
            )
        self.run.add(index, own[keep], states[keep], self.grid.observe(own, states, self.data).subset(keep))

    def _heard(self, time: float) -> None:
        assert self.progress is not None
        self.progress(time / self.protocol.duration)


def _looked_at(t_start: float, wanted: Array, edges: Array) -> Array:
    """Times at which the resolution is judged: the wanted ones, kinks, and the middle of what has none between."""
    if edges.size == 1 and wanted.size:
        return wanted
    known = np.union1d(wanted, edges)
    starts = np.append(t_start, edges[:-1])
    empty = np.searchsorted(known, edges) == np.searchsorted(known, starts, side="right")
    return np.union1d(known[known < edges[-1]], 0.5 * (starts + edges)[empty])
