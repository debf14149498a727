"""What the cells of FiPy and the material solver leave in space: estimated, and refined where it is too much.

A run begins on `cells` cells, with D between two of them at their mean concentration. Where its states show more than
ten times the tolerance, it is given up and repeated with D as the mean over all concentrations between them, on the
same cells and on twice as many, until two grids agree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from cellsim.base import Array, ConvergenceError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.columns import Columns, derive
from cellsim.solvers.grid import MeanDiffusion
from cellsim.solvers.march import (
    EARLY,
    MOMENT,
    SMALLEST_CHANGE,
    CellState,
    Limits,
    Options,
    Run,
    StepLog,
    Stepper,
    march,
    salt_limits,
)
from cellsim.solvers.solution import SolverRun

logger = logging.getLogger(__name__)

JUDGED = 40
"""States whose spatial error is estimated, even in time."""
FRONT = 2.0
"""The part of the estimate that fronts in D leave counts this often: with 60 cells on 27 fronts the current was off by
up to that much more."""
STEEP = 10
"""A run is given up between those states too where fronts leave this many times what is asked."""
FINER = 2
"""Refined grids have so many times the cells of the one before."""
Make = Callable[[Options, MeanDiffusion | None], Stepper[CellState]]
"""A stepper at t = 0 on so many cells, with D between two cells at their mean, or as a mean over what lies between."""


@dataclass(frozen=True)
class Estimate:
    """What cells leave in space, estimated from states alone.

    Fluxes take D and M at the mean of two neighbouring cells. Along a steady profile x i = integral (D/M) dc, so that
    the sum of (D/M at the mean - its mean over the interval) |Delta c| over the cells is what the profile is wrong by.
    A front or a dip in D that the cells do not resolve shows here, and nowhere else in the result. In the half cells at
    the walls the same integral is held against the flux, which is known there. Where the profile still moves, the
    slope between two centres is wrong by a 24th of its second difference besides.

    Parameters
    ----------
    transport : TransportSet
        Properties, clamped.
    factor : float
        Of the separator, in D [1].
    """

    transport: TransportSet
    factor: float

    def _per_slope(self, c: Array) -> Array:
        return np.asarray(self.factor * self.transport.D(c) / np.maximum(self.transport.migration(c), 1e-30))

    def _integral(self, left: Array, right: Array) -> Array:
        """Of D/M from one concentration to another, in two halves: a front may lie anywhere between them."""
        quarter = 0.25 * (right - left)
        c = 0.5 * (left + right) + quarter * _POINTS.reshape(-1, *(1,) * left.ndim)
        return np.asarray(np.tensordot(_WEIGHTS, self._per_slope(c), 1) * quarter)

    def of(self, c: Array, wall: Array, i: Array, N_salt: Array, faces: Array) -> tuple[Array, Array, Array]:
        """Of some states what fronts in D leave, all that is left, and the whole, shape (t,) each [A/m].

        Parameters
        ----------
        c, wall, i : ndarray, shapes (t, n), (t, 2), (t,)
            Cell averages, wall values [mol/m^3] and current densities [A/m^2].
        N_salt, faces : ndarray, shape (t, n + 1)
            Salt flux [mol/(m^2 s)] at the faces and their positions [m].
        """
        widths, middle = np.diff(faces, axis=1), 0.5 * (c[:, 1:] + c[:, :-1])
        pieces, gaps = self._integral(c[:, :-1], c[:, 1:]), 0.5 * (widths[:, 1:] + widths[:, :-1])
        miss = np.abs(pieces - self._per_slope(middle) * np.diff(c, axis=1)).sum(axis=1)
        ends = np.stack([self._integral(wall[:, 0], c[:, 0]), self._integral(c[:, -1], wall[:, 1])])
        h = widths[:, [0, -1]].T
        # -D dc/dx = N + M i, and N rises from none at the wall to that of the first face
        along = -h / 2 * i - h / 8 * N_salt[:, [1, -2]].T / self.transport.migration(c[:, [0, -1]].T)
        bend = np.diff(pieces, 2, axis=1) - np.diff(gaps, 2, axis=1) * (pieces / gaps)[:, 1:-1]
        bent = np.abs(np.cumsum(bend, axis=1)).max(axis=1, initial=0.0) / 24
        total = np.abs(pieces).sum(axis=1) + np.abs(ends).sum(axis=0)
        # a state that hardly moved is uniform, and its rounding no profile
        still = np.ptp(c, axis=1) <= SMALLEST_CHANGE * np.mean(c, axis=1)
        left = FRONT * (miss + np.abs(ends - along).sum(axis=0)) + bent
        return np.where(still, 0.0, FRONT * miss), np.where(still, 0.0, left), np.maximum(total, 1e-300)

    def at(self, s: CellState) -> tuple[float, float]:
        """What fronts in D leave, and all that is left, relative to the whole [1]."""
        front, left, total = self.of(s.c[None], s.wall[None], np.array([s.i]), s.fluxes[0][None], s.faces[None])
        return float(front[0] / total[0]), float(left[0] / total[0])


_NODES, _HALF = np.polynomial.legendre.leggauss(6)
_POINTS, _WEIGHTS = np.concatenate([_NODES - 1, _NODES + 1]), np.concatenate([_HALF, _HALF])


def spatial_doubt(run: Run[CellState], columns: Columns, protocol: Protocol, estimate: Estimate) -> float:
    """Estimated relative error in space of a run, largest over its states [1].

    Of states even in time relative to the profile there; of those early in a step, where no grid resolves the layer
    at the walls but little salt has moved, relative to the largest profile.

    Parameters
    ----------
    run, columns : Run, Columns
        What a march found, and the same stacked.
    protocol : Protocol
        Its steps.
    estimate : Estimate
        Of states.
    """
    time, early = columns.time, [np.empty(0)]
    for entry in run.log[:JUDGED]:
        duration = protocol.steps[entry.index].duration
        early.append(entry.t_start + duration * np.geomspace(EARLY, 1 / JUDGED, JUDGED // 5))
    even = np.searchsorted(time, np.linspace(time[0], time[-1], JUDGED))
    some, back = np.unique(
        np.minimum(np.concatenate([even, np.searchsorted(time, np.concatenate(early))]), time.size - 1),
        return_inverse=True,
    )
    wall = columns.c_face[:, [0, -1]]
    states = (columns.c, wall, columns.i, columns.N_salt, columns.faces)
    _, left, total = estimate.of(*(each[some] for each in states))
    settled = back[:JUDGED]
    return float(max(np.max((left / total)[settled]), np.max(left) / np.max(total)))


class _UnresolvedError(Exception):
    """A run on cells that are too coarse, given up."""


class _Watch:
    """Looks at a run while it goes on, and gives it up where the cells do not resolve it.

    Parameters
    ----------
    estimate : Estimate
        Of the error.
    duration : float
        Of the protocol [s].
    target : float
        What may be left [1].
    """

    def __init__(self, estimate: Estimate, duration: float, target: float) -> None:
        self.estimate, self.pitch, self.target = estimate, duration / JUDGED, target
        self.next, self.count = self.pitch, 0

    def __call__(self, s: CellState) -> float:
        """As a condition of :class:`.Limits`, never met."""
        self.count += 1
        due = s.time >= self.next
        if due or self.count % 10 == 0:
            front, left = self.estimate.at(s)
            if front > STEEP * self.target or (due and left > self.target):
                raise _UnresolvedError
        if due:
            self.next = self.pitch * (1 + s.time // self.pitch)
        return 1.0


@dataclass(frozen=True)
class Sampled:
    """What two runs are compared by.

    Attributes
    ----------
    time : ndarray, shape (t,)
        [s]
    values : tuple of ndarray, shape (t, ...)
        Quantities, each compared relative to its largest value.
    log : sequence of StepLog
        Its steps.
    """

    time: Array
    values: tuple[Array, ...]
    log: Sequence[StepLog]


def difference(a: Sampled, b: Sampled, protocol: Protocol) -> float:
    """Largest difference of two runs relative to the largest value, where times agree, early moments left out [1]."""
    _, in_a, in_b = np.intersect1d(a.time, b.time, return_indices=True)
    late = np.ones(in_a.size, dtype=bool)
    for entry in a.log:
        early = EARLY * protocol.steps[entry.index].duration
        late &= ~((a.time[in_a] >= entry.t_start) & (a.time[in_a] < entry.t_start + early))
    worst = 0.0
    for values_a, values_b in zip(a.values, b.values, strict=True):
        x, y = values_a[in_a][late], values_b[in_b][late]
        if x.size and np.max(np.abs(x)) > 0:
            worst = max(worst, float(np.max(np.abs(x - y)) / np.max(np.abs(x))))
    return worst


def moved(a: Sequence[StepLog], b: Sequence[StepLog]) -> float:
    """By how much steps that something ended differ in length between two runs, relative; infinite if the ends do."""
    if [(e.index, e.ended_by) for e in a] != [(e.index, e.ended_by) for e in b]:
        return np.inf
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        lengths = x.t_end - x.t_start, y.t_end - y.t_start
        if x.ended_by != "duration" and lengths[0] != lengths[1]:
            worst = max(worst, abs(lengths[0] - lengths[1]) / max(lengths))
    return worst


def apart(a: Sampled, b: Sampled, protocol: Protocol, target: float) -> float:
    """How far two runs differ; a moment off by :data:`.MOMENT` counts as much as `target`, what may be left [1]."""
    ends = target * min(moved(a.log, b.log) / MOMENT, 1 / MOMENT)
    return max(difference(a, b, protocol), ends)


def _sampled(run: Run[CellState]) -> Sampled:
    time, i, wall = (np.array([getattr(s, name) for s in run.snapshots]) for name in ("time", "i", "wall"))
    return Sampled(time, (i, wall), run.log)


def solve_refined(
    make: Make,
    most: int,
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float,
    options: Options,
    progress: Callable[[float], None] | None = None,
) -> SolverRun:
    """A protocol on the cell of a binary salt by a stepper, on as many cells as it takes.

    Parameters
    ----------
    make : callable
        Gives the stepper.
    most : int
        Cells at which refinement ends.
    cell, transport, protocol, times
        As :func:`cellsim.simulate`.
    c0 : float
        Average concentration [mol/m^3].
    options : Options
        Grid and tolerances; whether to refine.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    SolverRun
        Its doubt, if it was refined, is the difference of the last two grids.
    """
    estimate = Estimate(transport.with_extrapolation("clamp"), cell.separator.transport_factor)
    target, limits = 10 * options.rtol, salt_limits(transport, c0, options)
    refines = options.refines and FINER * options.cells <= most

    def run(cells: int, mean: MeanDiffusion | None, limits: Limits[CellState] = limits) -> Run[CellState]:
        chosen = replace(options, cells=cells)
        return march(make(chosen, mean), protocol, limits, times, chosen, progress)

    watched, first = limits, None
    if refines:
        watch = _Watch(estimate, protocol.duration, target)
        watched = Limits({**limits.conditions, "unresolved": watch}, limits.explain)
    try:
        first = run(options.cells, None, watched)
    except _UnresolvedError:
        logger.info("%d cells do not resolve the profiles; refining", options.cells)
    else:
        columns = _stack(first)
        doubt = spatial_doubt(first, columns, protocol, estimate)
        # a run that takes too many time steps would take more on finer grids; one that fails may be too coarse for it
        failed = first.status == "not_converged" and first.time_steps < options.max_steps
        if not refines or first.status == "interrupted" or (doubt <= target and not failed):
            remedy = TYPED if options.refines else KEPT.format(options.cells)
            return assemble(first, columns, cell, transport, doubt, target, remedy)
    mean = MeanDiffusion(estimate.transport.D, transport.c_range)
    best, doubt = _finer(lambda cells: run(cells, mean), first, options, most, protocol)
    columns = _stack(best)
    if not np.isfinite(doubt):  # there are no two grids that could be compared
        doubt = spatial_doubt(best, columns, protocol, estimate)
    return assemble(best, columns, cell, transport, doubt, target, MOST.format(columns.c.shape[1]))


KEPT = (
    ": {} cells are too few for properties that change so steeply; leave `cells` out or set refine = true, and they "
    "are chosen"
)
TYPED = ": the properties change too steeply for these cells"
MOST = " on {} cells, the most that were tried"
STALLED, NOISE = 0.7, 5.0
"""Where two grids differ by less than the second of these times what is asked, and by more than the first of what the
two before differed by, it is the time steps that differ, and more cells will not do."""


def _finer(
    run: Callable[[int], Run[CellState]],
    failed: Run[CellState] | None,
    options: Options,
    most: int,
    protocol: Protocol,
) -> tuple[Run[CellState], float]:
    """Runs on more and more cells until two agree: the last of them, and by how much it differs from the one before.

    Of second order the error left is a third of that, but fronts come and go between the cells, and the order too.

    Parameters
    ----------
    run : callable
        Of a number of cells.
    failed : Run, optional
        One that came to no end, kept if none comes further.
    options : Options
        With how many cells to begin, and the tolerance.
    most : int
        Cells that are not exceeded.
    protocol : Protocol
        The steps.
    """
    target, cells, doubt, best, last = 10 * options.rtol, options.cells, np.inf, failed, None
    while doubt > target and cells <= most:
        try:
            finer = run(cells)
        except ConvergenceError:
            if best is None:
                raise
            break  # not even its first state was found, and another has some
        # of runs that fail, the one that came further is of more use
        if best is None or finer.status != "not_converged" or finer.snapshots[-1].time >= best.snapshots[-1].time:
            best = finer
        if finer.status == "interrupted":
            break
        if last is not None:
            before, doubt = doubt, apart(_sampled(finer), _sampled(last), protocol, target)
            if STALLED * before < doubt <= NOISE * target:
                break
        last, cells = finer, FINER * cells
    assert best is not None
    return best, doubt


def assemble(
    run: Run[CellState], columns: Columns, cell: Cell, transport: TransportSet, doubt: float, target: float, remedy: str
) -> SolverRun:
    """What a march found, every derived quantity with it.

    Parameters
    ----------
    run : Run
        Snapshots with at least one entry.
    columns : Columns
        The same, stacked.
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties; evaluated clamped, since a run may end a hair outside the range.
    doubt, target : float
        What the cells leave in space, and how much that may be; the message says so where it is more [1].
    remedy : str
        What is said then besides.

    Returns
    -------
    SolverRun
    """
    if doubt > target:
        logger.warning("the cells leave an estimated error of %.1e in space, %.1e was asked", doubt, target)
        run.message += f"; in space an error of about {doubt:.1e} is left ({target:.1e} asked){remedy}"
    arrays = derive(columns, cell, transport)
    coordinates = {"time": columns.time, "x": arrays["position"][0].copy(), "face": columns.faces[0].copy()}
    extremes = np.array([(s.c_min, s.c_max) for s in run.snapshots])
    log = tuple(asdict(entry) for entry in run.log)
    attributes = {"time_steps": run.time_steps, "unknowns": columns.c.shape[1], "spatial_doubt": doubt}
    return SolverRun(arrays, coordinates, run.status, run.message, log, extremes, attributes)


def _stack(run: Run[CellState]) -> Columns:
    c = np.array([s.c for s in run.snapshots])
    wall = np.array([s.wall for s in run.snapshots])
    faces = np.array([s.faces for s in run.snapshots])
    widths = np.diff(faces, axis=1)
    near = widths[:, 1:] / (widths[:, :-1] + widths[:, 1:])
    inner = near * c[:, :-1] + (1 - near) * c[:, 1:]
    return Columns(
        time=np.array([s.time for s in run.snapshots]),
        step=np.array(run.step_index),
        i=np.array([s.i for s in run.snapshots]),
        c=c,
        c_face=np.concatenate([wall[:, :1], inner, wall[:, 1:]], axis=1),
        parts=np.array([s.parts for s in run.snapshots]),
        faces=faces,
        N_salt=np.array([s.fluxes[0] for s in run.snapshots]),
        N_0=np.array([s.fluxes[1] for s in run.snapshots]),
        charge=np.array(run.charge),
    )
