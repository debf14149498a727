"""Which experiment tells most per hour: Fisher information over candidate measurements, each cell run once.

For every voltage and thickness the cell is run to the longest duration, with its derivatives; every candidate
measurement (a current reading, a profile, a velocity at one place and time) is then a few rows of one Jacobian, and
durations, times and places are judged by choosing rows. To tell two sets apart, the rows are the differences of their
predictions, less what the nuisances can take up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, Bools, InputError, Progress
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.drawing import figstyle
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet, short_sum, species_sum, sum_name
from cellsim.electrolyte.set_file import read_set
from cellsim.files.folder import result_folder
from cellsim.files.schema import Table, read_toml
from cellsim.files.writing import write_json
from cellsim.fit.descent import inverse
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.forms import Ground, read_mixture_model, read_set_model
from cellsim.fit.mixture_model import MixtureModel
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.problem import Problem
from cellsim.fit.recipe import read_nuisances
from cellsim.fit.set_model import SetModel
from cellsim.instruments.looks import VelocityLook
from cellsim.instruments.measurement import QUANTITIES, ConcentrationMap, series, velocities
from cellsim.instruments.records import Setup, usual_frame
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase, read_case
from cellsim.run.simulation import simulate_whole
from cellsim.solvers.march import Options

if TYPE_CHECKING:
    import xarray as xr

HOUR = 3600.0
KINDS = ("current", "profile", "velocity")
NUMBERS, FIGURE = "design.json", "design.png"
SHOWN, DRAWN = 10, 6
"""Experiments in the table, and cells in the figure, at most."""


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
class NextMeasurement:
    """One measurement of the best experiment, in the order in which it is worth making.

    Parameters
    ----------
    kind : str
        "profile" or "velocity", of n components with the species, "profile of EC".
    time, position : float
        When [s]; where [m], NaN for a whole profile.
    merit : float
        Of this one with those before it, as in :class:`Rated`.
    """

    kind: str
    time: float
    position: float
    merit: float

    @property
    def where(self) -> str:
        """Its place in words; empty for a whole profile."""
        return "" if math.isnan(self.position) else f"{1e3 * self.position:.2f} mm"


@dataclass(frozen=True)
class Design:
    """The answer, a :class:`.Result` like any other.

    Parameters
    ----------
    title : str
        For figure and table.
    goal : str
        In words.
    parameter : Parameter, optional
        Whose error is to shrink (merit: standard error); None where two sets are to be told apart (merit: chi2).
    rated : tuple of Rated
        The best first.
    choices : tuple of NextMeasurement
        Single measurements of the best, by greedy choice; the current is taken as always there.
    """

    title: str
    goal: str
    parameter: Parameter | None
    rated: tuple[Rated, ...]
    choices: tuple[NextMeasurement, ...]

    @property
    def separates(self) -> bool:
        """Whether the goal is to tell two sets apart."""
        return self.parameter is None

    def _text(self, merit: float) -> str:
        """A merit in words: chi2, or the standard error in the parameter's own terms."""
        if self.parameter is None:
            return f"{merit:.3g}"
        if merit > 10:
            return "not determined"
        p = self.parameter
        return f"{100 * merit:.3g} %" if p.logarithmic else f"{merit * p.typical:.3g} {p.unit}".strip()

    def lines(self) -> list[str]:
        """The table: the best experiments, then the best single measurements of the first."""
        merit = "chi2 between the sets" if self.separates else "standard error"
        kinds = list(self.rated[0].share)
        widths = {k: max(14, len(f"{k} alone")) for k in kinds}
        alone = (f"{k + ' alone':>{widths[k]}}" for k in kinds)
        heads = ["voltage", "thickness", "duration", "hours", f"{merit:>21}", *alone]
        lines = [f"{self.title}: {self.goal}, per hour of beam time", "  ".join(heads)]
        for r in self.rated[:SHOWN]:
            cells = [
                f"{r.voltage:5.3g} V",
                f"{1e3 * r.thickness:6.3g} mm",
                f"{r.duration / HOUR:6.3g} h",
                f"{r.hours:5.3g}",
                f"{self._text(r.merit):>21}",
                *(f"{self._text(r.share[k]):>{widths[k]}}" for k in kinds),
            ]
            if r.ends <= r.duration:
                cells.append(f"salt runs out at {r.ends / HOUR:.3g} h")
            lines.append("  ".join(cells))
        if self.choices:
            lines.append(
                "best single measurements for the first row of the table, in order (the current is always recorded):"
            )
            for c in self.choices:
                at = f" at {c.where}" if c.where else ""
                lines.append(f"  {c.kind} at {c.time / 60:.4g} min{at}: {merit} {self._text(c.merit)}")
        return lines

    def numbers(self) -> dict[str, Any]:
        """What design.json holds, SI."""
        return {
            "title": self.title,
            "goal": self.goal,
            "separates": self.separates,
            "rated": [
                {
                    "voltage": r.voltage,
                    "thickness": r.thickness,
                    "duration": r.duration,
                    "hours": r.hours,
                    "merit": r.merit,
                    "per_hour": r.rate,
                    "alone": r.share,
                    "salt_runs_out": r.ends,
                }
                for r in self.rated
            ],
            "choices": [vars(c) for c in self.choices],
        }

    def dataset(self) -> xr.Dataset:
        """Every experiment with its merit, the best first."""
        import xarray as xr

        units = {"voltage": "V", "thickness": "m", "duration": "s", "hours": "h", "merit": "1", "rate": "1/h"}
        kinds = list(self.rated[0].share)
        variables: dict[str, Any] = {
            name: ("experiment", [getattr(r, name) for r in self.rated], {"units": unit})
            for name, unit in units.items()
        }
        alone = [[r.share[kind] for kind in kinds] for r in self.rated]
        variables["alone"] = (("experiment", "kind"), alone, {"long_name": "merit with one kind of measurement"})
        return xr.Dataset(variables, {"kind": kinds}, {"title": self.title, "goal": self.goal})

    def draw(self, path: str | Path) -> Path:
        """Left: merit against beam time, a line per cell. Right: what each further measurement of the best adds."""
        from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, StrMethodFormatter

        p = self.parameter
        scale = 1.0 if p is None or p.logarithmic else p.typical
        gap = " " if p is None or len(p.name) < 12 else "\n"  # the number of a set's file is longer than the axis
        name = "expected $\\chi^2$" if p is None else f"standard error of{gap}{p.name}"
        note = "Fisher information at the set the design starts from; overhead of every cell included."
        layout = {"title": self.title, "note": note, "width": figstyle.TWO_COLUMNS, "height": 2.6}
        cells = list(dict.fromkeys((r.voltage, r.thickness) for r in self.rated))[:DRAWN]
        with figstyle.drawing(path, 1, 2, **layout) as (_, (left, right)):
            for (V, L), colour in zip(cells, figstyle.shades(len(cells)), strict=True):
                own = sorted((r for r in self.rated if (r.voltage, r.thickness) == (V, L)), key=lambda r: r.hours)
                hours, merits = [r.hours for r in own], [scale * r.merit for r in own]
                left.loglog(hours, merits, "o-", color=colour, label=f"{V:g} V, {1e3 * L:g} mm")
            figstyle.legend_above(left, columns=3)
            for axis in (left.xaxis, left.yaxis):
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_formatter(NullFormatter())
            left.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            left.xaxis.set_major_locator(FixedLocator(sorted({round(r.hours, 2) for r in self.rated})))
            left.xaxis.set_minor_locator(FixedLocator([]))
            left.set_xlabel(figstyle.label("", "h", "beam time"))
            order = np.arange(1, len(self.choices) + 1)
            right.plot(order, [scale * c.merit for c in self.choices], "o-", color=figstyle.COLOURS[0])
            names = [_short(c) for c in self.choices]
            right.set_xlabel("measurements made, the best first")
            right.margins(y=0.15)
            right.set_xticks(order, names, rotation=45, ha="right", rotation_mode="anchor")
            for panel in (left, right):
                panel.set_ylabel(name)
        return Path(path)


def _short(c: NextMeasurement) -> str:
    """A measurement as a tick of an axis: of which species, when and where."""
    species = c.kind.partition(" of ")[2]
    return ", ".join(word for word in (short_sum(species), f"{c.time / 60:.4g} min", c.where) if word)


def write_design(design: Design, directory: str | Path) -> list[Path]:
    """Write ``design.png`` and ``design.json``, all or nothing.

    Parameters
    ----------
    design : Design
        The answer.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
    """
    directory = Path(directory)
    with result_folder(directory, last=NUMBERS, stale=(FIGURE,)) as fresh:
        written = [design.draw(fresh / FIGURE), write_json(fresh / NUMBERS, design.numbers())]
    return [directory / path.name for path in written]


# ---- rating ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """Whitened derivatives of all candidate measurements of a cell, and to what each belongs."""

    J: Array
    difference: Array
    kind: NDArray[np.str_]
    time: Array
    position: Array
    ends: float


@dataclass(frozen=True)
class Offer:
    """What may be chosen, and the goal.

    Parameters
    ----------
    title : str
        For figure and table.
    candidates : tuple of Candidate
        Every cell that may be built.
    durations : tuple of float
        [s]
    overhead : float
        Beam time of a cell beside its duration [s].
    shrink : str
        The parameter whose error is to shrink; or
    rival : SetModel or MixtureModel, optional
        the other set, to be told from the candidates' own.
    """

    title: str
    candidates: tuple[Candidate, ...]
    durations: tuple[float, ...]
    overhead: float = 0.0
    shrink: str = ""
    rival: SetModel | MixtureModel | None = None


def design(offer: Offer, *, choose: int = 8, progress: Progress | None = None) -> Design:
    """Rate every candidate at every duration.

    Parameters
    ----------
    offer : Offer
        As :func:`read_design` gives it.
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
    if bool(offer.shrink) == (offer.rival is not None):
        raise InputError("a design has one goal: shrink = a parameter, or separate = two sets")
    if not offer.candidates or not offer.durations:
        raise InputError("a design needs voltages, thicknesses and durations to choose from")
    problem = offer.candidates[0].problem
    space, goal = problem.space, problem.space.index(offer.shrink) if offer.shrink else -1
    rated: list[Rated] = []
    rows_of: dict[tuple[float, float], _Rows] = {}
    for k, c in enumerate(offer.candidates):
        rows = _rows(c.problem, offer.rival)
        rows_of[c.voltage, c.thickness] = rows
        for duration in offer.durations:
            inside = rows.time <= duration * (1 + 1e-9)
            merit = _merit(rows, inside, space, goal)
            share = {kind: _merit(rows, inside & (rows.kind == kind), space, goal) for kind in dict.fromkeys(rows.kind)}
            hours = (duration + offer.overhead) / HOUR
            rate = merit / hours if goal < 0 else 1 / (merit**2 * hours)
            rated.append(Rated(c.voltage, c.thickness, duration, hours, merit, rate, share, rows.ends))
        if progress is not None:
            progress(k + 1, len(offer.candidates))
    rated.sort(key=lambda r: -r.rate)
    best = rated[0]
    choices = _greedy(rows_of[best.voltage, best.thickness], best.duration, space, goal, choose)
    text = f"the standard error of {offer.shrink}" if goal >= 0 else f"{problem.model.base.name} against the rival set"
    return Design(offer.title, text, space.parameters[goal] if goal >= 0 else None, tuple(rated), tuple(choices))


def _rows(problem: Problem, rival: SetModel | MixtureModel | None) -> _Rows:
    """Derivatives at the start; points the run does not reach tell nothing."""
    space, u = problem.space, problem.space.start
    base, slopes = problem.predictions(u), problem.slopes(u)
    other = base if rival is None else Problem(space, rival, problem.experiments).predictions(u)
    blocks: list[tuple[Array, Array, Array, Array]] = []
    kinds: list[str] = []
    ends = np.inf
    for j, o in enumerate(problem.observations):
        visible = np.isfinite(base[j]) & np.isfinite(other[j]) & np.all(np.isfinite(slopes[j]), axis=1)
        if not visible.all() and o.time.size:
            ends = min(ends, float(o.time[~visible].min()))
        J = np.column_stack([o.noise.whiten(np.where(visible, column, 0.0)) for column in slopes[j].T])
        difference = o.noise.whiten(np.where(visible, other[j] - base[j], 0.0))
        position = np.full(o.size, np.nan) if o.position is None else o.position
        blocks.append((J, difference, o.time, position))
        kinds += [o.label] * o.size
    J, difference, time, position = (np.concatenate(block) for block in zip(*blocks, strict=True))
    return _Rows(J, difference, np.array(kinds), time, position, ends)


def _merit(rows: _Rows, keep: Bools, space: Space, goal: int) -> float:
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


def _greedy(rows: _Rows, duration: float, space: Space, goal: int, count: int) -> list[NextMeasurement]:
    """Measurement after measurement, each time the one that helps most; the current is there already."""
    inside = rows.time <= duration * (1 + 1e-9)
    chosen = inside & np.isin(rows.kind, ["current", "voltage"])
    units: list[tuple[str, float, float]] = []
    for kind in dict.fromkeys(rows.kind[inside & ~chosen].tolist()):
        here = inside & (rows.kind == kind)
        places = [np.nan] if kind.startswith("profile") else np.unique(rows.position[here])
        units += [(kind, float(t), float(x)) for t in np.unique(rows.time[here]) for x in list(places)]
    picked: list[NextMeasurement] = []
    for _ in range(min(count, len(units))):
        tried: list[tuple[float, Bools]] = []
        for kind, t, x in units:
            more = chosen | ((rows.kind == kind) & (rows.time == t) & ((rows.position == x) | np.isnan(x)))
            tried.append((_merit(rows, more, space, goal), more))
        merits = [merit for merit, _ in tried]
        best = int(np.argmax(merits) if goal < 0 else np.argmin(merits))
        kind, t, x = units.pop(best)
        chosen = tried[best][1]
        picked.append(NextMeasurement(kind, t, x, tried[best][0]))
    return picked


# ---- a design's file ------------------------------------------------------------------------------------------------


def read_design(path: str | Path) -> Offer:
    """Read and check a design's file: what may be chosen, what can be measured, and the goal.

    Parameters
    ----------
    path : str or Path
        The TOML file.

    Returns
    -------
    Offer

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds.
    """
    top = read_toml(path)
    top.only("title", "case", "set", "goal", "candidates", "measure", "fit", "nuisance", "overhead")
    case = read_case(top.path("case"))
    goal = top.table("goal")
    goal.only("shrink", "separate")
    which = goal.exactly_one("shrink", "separate")
    model: SetModel | MixtureModel
    if isinstance(case, MixtureCase):
        model, joint = read_mixture_model(top, case)
    else:
        model, joint = read_set_model(top, Ground.of_case(top, case))
    rival: SetModel | MixtureModel | None = None
    if which == "separate":
        names = goal.strings("separate")
        if len(names) != 2:
            raise goal.error("separate", "must name two sets")
        if "fit" in top:
            raise top.error("fit", "has no meaning where two sets are separated as they stand; nuisances do")
        model, rival = (_as_it_stands(name, goal, case) for name in names)
    elif joint is not None:
        raise top.error("fit", 'prior = "set" is not offered here; name the properties or numbers that are unknown')
    nuisances, roles = read_nuisances(top, case)
    if not model.parameters and which == "shrink":
        what = "numbers of the set under [[fit.number]]" if isinstance(case, MixtureCase) else "properties under [fit]"
        raise InputError(f"{top.file}: nothing is unknown; name the {what}")
    choices = top.table("candidates")
    choices.only("voltage", "thickness", "duration")
    durations = tuple(sorted(choices.quantities("duration", "s")))
    measure = top.table("measure")
    measure.only(*KINDS)
    if not measure.data:
        raise InputError(f"{top.file}: measure names nothing; there are {', '.join(KINDS)}")
    space = Space((*model.parameters, *nuisances))
    voltages, end = choices.quantities("voltage", "V"), durations[-1]
    cells = []
    for thickness in choices.quantities("thickness", "m"):
        cell = replace(case.cell, thickness=thickness)
        setup = replace(case.setup, cell=cell)
        observations = tuple(
            _observation(entry, kind, setup, case, end) for kind in measure for entry in _entries(measure, kind)
        )
        labels = [o.label for o in observations]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise InputError(f"{measure.where()}: {', '.join(sorted(twice))} is named twice; name it once")
        for voltage in voltages:
            name, protocol = f"{voltage:g} V, {1e3 * thickness:g} mm", Protocol((hold_voltage(voltage, end),))
            e = Experiment(name, cell, protocol, case.filled, observations, roles, solver=case.fastest)
            cells.append(Candidate(voltage, thickness, Problem(space, model, (e,))))
    shrink = goal.string("shrink", "")
    if shrink:
        space.index(shrink)
    overhead = top.quantity("overhead", "s", 0.0, least=0)
    return Offer(top.string("title", top.file.stem), tuple(cells), durations, overhead, shrink, rival)


def _as_it_stands(name: str, goal: Table, case: Case | MixtureCase) -> SetModel | MixtureModel:
    """A set to be told from another, with nothing left open."""
    if isinstance(case, Case):
        return SetModel(read_set(name, folder=goal.file.parent), (), case.transport.solvent_motion)
    transport = load_electrolyte(name, case.cell.temperature, folder=goal.file.parent)
    if not isinstance(transport, MixtureSet) or transport.species != case.transport.species:
        species = ", ".join(case.transport.species)
        raise InputError(f"{goal.where('separate')}: {name} is no set of the species of the case, {species}")
    return MixtureModel(transport)


def _entries(measure: Table, kind: str) -> list[Table]:
    """The tables of a kind of measurement: one, or a list of them for several species."""
    return measure.tables(kind) if isinstance(measure.data[kind], list) else [measure.table(kind)]


def _observation(table: Table, kind: str, setup: Setup, case: Case | MixtureCase, end: float) -> Observation:
    """A kind of measurement that a cell would allow, at every time and place; measured values do not matter."""
    own = {"current": (), "profile": ("positions", "margin"), "velocity": ("positions", "beam_width", "position_error")}
    cell, species, label = setup.cell, "", kind
    if setup.species and kind != "current":
        own[kind] = ("species", *own[kind])
        with table.located():
            species = sum_name(species_sum(table.string("species"), setup.species))
        label = f"{kind} of {short_sum(species)}"
    table.only("error", "interval", *own[kind])
    interval = table.quantity("interval", "s", above=0)
    times = interval * np.arange(1.0, max(1, round(end / interval)) + 1)
    times = times[times <= end * (1 + 1e-9)]
    raw = table.data.get("error")
    relative = isinstance(raw, str) and raw.strip().endswith("%")
    error = table.quantity("error", "" if relative else QUANTITIES[kind].unit, above=0)
    if kind == "current":
        size = error * _typical_current(cell, case) if relative else error
        return Observation.of(series("current", times, np.zeros(times.size), error=size))
    if relative and kind == "velocity":
        raise table.error("error", 'must be a velocity, such as "2 angstrom/s"')
    if kind == "profile":
        margin = table.quantity("margin", "m", 0.0, least=0)
        count = table.integer("positions", 40, least=2)
        x = margin + (np.arange(count) + 0.5) / count * (cell.thickness - 2 * margin)
        zeros = np.zeros((times.size, count))
        filled = setup.concentration(species)
        errors = zeros + (error * filled if relative else error)
        profiles = ConcentrationMap(times, x, zeros, errors, label=label, species=species)
        return Observation.of(profiles.measurement(filled))
    places = np.array([cell.thickness * f for f in table.array("positions")])
    if np.any(places <= 0) or np.any(places >= cell.thickness):
        raise table.error("positions", "are fractions of the thickness, between 0 and 1")
    t, x = np.repeat(times, places.size), np.tile(places, times.size)
    position_error, beam = (table.quantity(key, "m", 0.0, least=0) for key in ("position_error", "beam_width"))
    quantity = f"v_{species}" if species else "v_0"
    frame = usual_frame(quantity, setup)
    look = VelocityLook(t, x, quantity, frame, unsigned=False, position_error=position_error, beam_width=beam)
    return Observation.of(velocities(look, np.zeros(t.size), error=error, label=label))


def _typical_current(cell: Cell, case: Case | MixtureCase) -> float:
    """Mean current of the case as it stands, scaled to another thickness [A/m^2]."""
    transport, coarse = case.transport.with_extrapolation("clamp"), Options(rtol=1e-4)
    run = simulate_whole(case.cell, transport, case.protocol, c0=case.start, solver=case.fastest, options=coarse)
    return float(np.mean(np.abs(run["i"]))) * case.cell.thickness / cell.thickness
