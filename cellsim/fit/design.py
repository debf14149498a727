"""Which experiment tells most per hour: Fisher information over candidate measurements, each cell run once.

For every voltage and thickness the cell is run to the longest duration, with its derivatives; every candidate
measurement (a current reading, a profile, a velocity at one place and time) is then a few rows of one Jacobian, and
durations, times and places are judged by choosing rows. To tell two sets apart, the rows are the differences of their
predictions, less what the nuisances can take up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.fit.estimate import inverse
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.parameters import Space
from cellsim.fit.problem import STEP, Problem
from cellsim.fit.set_model import SetModel

HOUR = 3600.0


@dataclass(frozen=True)
class Candidate:
    """One cell with all its candidate measurements.

    Parameters
    ----------
    voltage, thickness : float
        [V, m]
    problem : Problem
        Its one experiment, to the longest duration; measured values do not matter.
    """

    voltage: float
    thickness: float
    problem: Problem


@dataclass(frozen=True)
class Rated:
    """A voltage, a thickness and a duration, and what they tell.

    Parameters
    ----------
    voltage, thickness, duration : float
        [V, m, s]
    hours : float
        Beam time, overhead included [h].
    merit : float
        Standard error of the goal in u [1], or expected chi2 between the two sets [1].
    rate : float
        Information on the goal per hour, 1/(sd^2 h) [1/h], or chi2 per hour [1/h].
    share : mapping
        Kind of measurement -> the merit with that kind alone.
    ends : float
        When the run ends because salt runs out [s]; infinite where it does not.
    """

    voltage: float
    thickness: float
    duration: float
    hours: float
    merit: float
    rate: float
    share: Mapping[str, float]
    ends: float


@dataclass(frozen=True)
class Choice:
    """One measurement of the best experiment, in the order in which it is worth making.

    Parameters
    ----------
    kind : str
        "profile" or "velocity".
    time, position : float
        When [s]; where [m], NaN for a whole profile.
    merit : float
        Of this one with those before it, as in :class:`Rated`.
    """

    kind: str
    time: float
    position: float
    merit: float


@dataclass(frozen=True)
class Design:
    """The answer.

    Parameters
    ----------
    goal : str
        In words.
    separates : bool
        Whether the goal is to tell two sets apart (merit: chi2), else to shrink an error (merit: standard error).
    rated : tuple of Rated
        The best first.
    choices : tuple of Choice
        Single measurements of the best, by greedy choice; the current is taken as always there.
    """

    goal: str
    separates: bool
    rated: tuple[Rated, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class _Rows:
    """Whitened derivatives of all candidate measurements of a cell, and to what each belongs."""

    J: Array
    difference: Array
    kind: NDArray[np.str_]
    time: Array
    position: Array
    ends: float


def candidates(
    model: SetModel,
    nuisances: Space | None,
    cell: Cell,
    c0: float,
    observations: Callable[[Cell], tuple[Observation, ...]],
    *,
    voltages: Sequence[float],
    thicknesses: Sequence[float],
    duration: float,
    cell_roles: Mapping[str, str],
) -> list[Candidate]:
    """All voltages and thicknesses with the same kinds of measurement.

    Parameters
    ----------
    model : SetModel
        The set and what of it is unknown.
    nuisances : Space or None
        What else is.
    cell : Cell
        But for its thickness.
    c0 : float
        Initial salt [mol/m^3].
    observations : callable
        The measurements a cell of given thickness would allow.
    voltages, thicknesses : sequence of float
        [V], [m]
    duration : float
        The longest [s].
    cell_roles : mapping
        As :class:`Experiment.nuisance`.

    Returns
    -------
    list of Candidate
    """
    space = Space((*model.parameters, *(nuisances.parameters if nuisances else ())))
    found = []
    for thickness in thicknesses:
        scaled = replace(cell, thickness=thickness)
        for voltage in voltages:
            protocol = Protocol((hold_voltage(voltage, duration),))
            e = Experiment(
                f"{voltage:g} V, {1e3 * thickness:g} mm", scaled, protocol, c0, observations(scaled), cell_roles
            )
            found.append(Candidate(voltage, thickness, Problem(space, model, (e,))))
    return found


def design(
    found: Sequence[Candidate],
    durations: Sequence[float],
    *,
    shrink: str = "",
    rival: SetModel | None = None,
    overhead: float = 0.0,
    choose: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Design:
    """Rate every candidate at every duration.

    Parameters
    ----------
    found : sequence of Candidate
        Cells.
    durations : sequence of float
        [s]
    shrink : str
        The parameter whose error is to shrink; or
    rival : SetModel, optional
        the other set, to be told from the candidates' own.
    overhead : float
        Beam time each cell costs beside its duration [s].
    choose : int
        Single measurements picked for the best.
    progress : callable, optional
        Called with (cells done, of all).

    Returns
    -------
    Design

    Raises
    ------
    InputError
        No goal or two, an unknown parameter, no candidate.
    """
    if bool(shrink) == (rival is not None):
        raise InputError("a design has one goal: shrink = a parameter, or separate = two sets")
    if not found or not len(durations):
        raise InputError("a design needs voltages, thicknesses and durations to choose from")
    space = found[0].problem.space
    goal = space.index(shrink) if shrink else -1
    rated: list[Rated] = []
    rows_of: dict[tuple[float, float], _Rows] = {}
    for k, one in enumerate(found):
        rows = _rows(one.problem, rival)
        rows_of[one.voltage, one.thickness] = rows
        for duration in durations:
            keep = rows.time <= duration * (1 + 1e-9)
            merit = _merit(rows, keep, space, goal)
            share = {kind: _merit(rows, keep & (rows.kind == kind), space, goal) for kind in dict.fromkeys(rows.kind)}
            hours = (duration + overhead) / HOUR
            rate = merit / hours if goal < 0 else 1 / (merit**2 * hours)
            rated.append(Rated(one.voltage, one.thickness, duration, hours, merit, rate, share, rows.ends))
        if progress is not None:
            progress(k + 1, len(found))
    rated.sort(key=lambda r: -r.rate)
    best = rated[0]
    picked = _greedy(rows_of[best.voltage, best.thickness], best.duration, space, goal, choose)
    text = f"the standard error of {shrink}" if shrink else f"{found[0].problem.model.base.name} against the rival set"
    return Design(text, goal < 0, tuple(rated), tuple(picked))


def _rows(problem: Problem, rival: SetModel | None) -> _Rows:
    """Derivatives at the start, by central differences; points the run does not reach tell nothing."""
    space, u = problem.space, problem.space.start
    base = problem.predictions(u)
    columns = []
    for k in range(space.size):
        e = np.zeros(space.size)
        e[k] = STEP
        pairs = zip(problem.predictions(u + e), problem.predictions(u - e), strict=True)
        columns.append([(up - down) / (2 * STEP) for up, down in pairs])
    other = base
    if rival is not None:
        other = Problem(space, rival, problem.experiments).predictions(u)
    parts: dict[str, list[Array]] = {name: [] for name in ("J", "d", "time", "position")}
    kinds: list[str] = []
    ends = np.inf
    for j, o in enumerate(problem.observations):
        seen = np.isfinite(base[j]) & np.isfinite(other[j]) & np.all([np.isfinite(c[j]) for c in columns], axis=0)
        if not seen.all() and o.time.size:
            ends = min(ends, float(o.time[~seen].min()))
        block = np.stack([np.where(seen, c[j], 0.0) for c in columns], axis=1) if columns else np.zeros((o.size, 0))
        parts["J"].append(np.column_stack([o.noise.whiten(c) for c in block.T]) if columns else block)
        parts["d"].append(o.noise.whiten(np.where(seen, other[j] - base[j], 0.0)))
        parts["time"].append(o.time)
        parts["position"].append(np.full(o.size, np.nan) if o.position is None else o.position)
        kinds += [o.kind] * o.size
    merged = {name: np.concatenate(values) for name, values in parts.items()}
    return _Rows(merged["J"], merged["d"], np.array(kinds), merged["time"], merged["position"], ends)


def _merit(rows: _Rows, keep: NDArray[np.bool_], space: Space, goal: int) -> float:
    J = rows.J[keep]
    prior = np.diag([0.0 if p.prior_u is None else 1 / p.prior_u[1] ** 2 for p in space.parameters])
    if goal >= 0:
        return float(np.sqrt(max(inverse(J.T @ J + prior)[goal, goal], 0.0)))
    d: Array = rows.difference[keep]
    if not space.size:
        return float(d @ d)
    b = J.T @ d
    taken_up = float(b @ np.linalg.lstsq(J.T @ J + prior, b, rcond=1e-12)[0])
    return max(float(d @ d) - taken_up, 0.0)


def _greedy(rows: _Rows, duration: float, space: Space, goal: int, count: int) -> list[Choice]:
    """Measurement after measurement, each time the one that helps most; the current is there already."""
    inside = rows.time <= duration * (1 + 1e-9)
    chosen = inside & np.isin(rows.kind, ["current", "voltage"])
    units: list[tuple[str, float, float]] = []
    for kind in ("profile", "velocity"):
        here = inside & (rows.kind == kind)
        places = [np.nan] if kind == "profile" else np.unique(rows.position[here])
        units += [(kind, float(t), float(x)) for t in np.unique(rows.time[here]) for x in list(places)]
    picked: list[Choice] = []
    for _ in range(min(count, len(units))):
        tried: list[tuple[float, NDArray[np.bool_]]] = []
        for kind, t, x in units:
            more = chosen | ((rows.kind == kind) & (rows.time == t) & ((rows.position == x) | np.isnan(x)))
            tried.append((_merit(rows, more, space, goal), more))
        order = [m for m, _ in tried]
        best = int(np.argmax(order) if goal < 0 else np.argmin(order))
        kind, t, x = units.pop(best)
        chosen = tried[best][1]
        picked.append(Choice(kind, t, x, tried[best][0]))
    return picked
