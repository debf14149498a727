"""A design from its own file to a folder (docs/fit.md): what may be chosen, what can be measured, and the goal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.drawing import figstyle
from cellsim.electrolyte.set_file import read_set
from cellsim.files.schema import Table, read_toml
from cellsim.fit.design import Candidate, Design, Rated, candidates, design
from cellsim.fit.experiment import Observation
from cellsim.fit.parameters import Space
from cellsim.fit.recipe import read_nuisances, read_set_model
from cellsim.fit.set_model import SetModel
from cellsim.instruments.looks import VelocityLook
from cellsim.instruments.measurement import UNITS, ConcentrationMap, series, velocities
from cellsim.run.case import Case, load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

KINDS = ("current", "profile", "velocity")


@dataclass(frozen=True)
class DesignFile:
    """A design, read and checked.

    Parameters
    ----------
    title : str
        For figure and table.
    found : tuple of Candidate
        Every cell that may be built.
    durations : tuple of float
        [s]
    overhead : float
        Beam time of a cell beside its duration [s].
    shrink : str
        A parameter, or "".
    rival : SetModel, optional
        The set to be told from the case's own.
    """

    title: str
    found: tuple[Candidate, ...]
    durations: tuple[float, ...]
    overhead: float
    shrink: str
    rival: SetModel | None


def read_design(path: str | Path) -> DesignFile:
    """Read and check a design's file.

    Parameters
    ----------
    path : str or Path
        The TOML file.

    Returns
    -------
    DesignFile

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds.
    """
    top = read_toml(path)
    top.only("title", "case", "set", "goal", "candidates", "measure", "fit", "nuisance", "overhead")
    case = load_case(top.path("case"))
    goal = top.table("goal")
    goal.only("shrink", "separate")
    which = goal.exactly_one("shrink", "separate")
    model, joint = read_set_model(top, case)
    rival = None
    if which == "separate":
        names = goal.strings("separate")
        if len(names) != 2:
            raise goal.error("separate", "must name two sets")
        if "fit" in top:
            raise top.error("fit", "has no meaning where two sets are separated as they stand; nuisances do")
        first, second = (read_set(name, folder=top.file.parent) for name in names)
        model = SetModel(first, (), case.transport.solvent_motion)
        rival = SetModel(second, (), case.transport.solvent_motion)
    elif joint is not None:
        raise top.error("fit", 'prior = "set" is not offered here; name the properties that are unknown')
    nuisances, roles = read_nuisances(top, case)
    if not model.parameters and which == "shrink":
        raise InputError(f"{top.file}: nothing is unknown; name the properties under [fit]")
    choices = top.table("candidates")
    choices.only("voltage", "thickness", "duration")
    durations = tuple(sorted(choices.quantities("duration", "s")))
    measure = top.table("measure")
    measure.only(*KINDS)
    if not measure.data:
        raise InputError(f"{top.file}: measure names nothing; there are {', '.join(KINDS)}")
    found = candidates(
        model, Space(nuisances) if nuisances else None, case.cell, case.c0,
        lambda cell: tuple(_observation(measure.table(kind), kind, cell, case, durations[-1]) for kind in measure),
        voltages=choices.quantities("voltage", "V"),
        thicknesses=choices.quantities("thickness", "m"), duration=durations[-1], cell_roles=roles,
    )  # fmt: skip
    shrink = goal.string("shrink", "")
    if shrink:
        found[0].problem.space.index(shrink)
    return DesignFile(
        top.string("title", top.file.stem), tuple(found), durations, top.quantity("overhead", "s", 0.0, least=0),
        shrink, rival,
    )  # fmt: skip


def _observation(table: Table, kind: str, cell: Cell, case: Case, end: float) -> Observation:
    own = {"current": (), "profile": ("positions", "margin"), "velocity": ("positions", "beam_width", "position_error")}
    table.only("error", "interval", *own[kind])
    interval = table.quantity("interval", "s", above=0)
    times = interval * np.arange(1.0, max(1, round(end / interval)) + 1)
    times = times[times <= end * (1 + 1e-9)]
    raw = table.data.get("error")
    relative = isinstance(raw, str) and raw.strip().endswith("%")
    error = table.quantity("error", "" if relative else UNITS[kind], above=0)
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
        errors = zeros + (error * case.c0 if relative else error)
        return Observation.of(ConcentrationMap(times, x, zeros, errors, label="profiles").measurement(case.c0))
    places = np.array([cell.thickness * f for f in table.array("positions")])
    if np.any(places <= 0) or np.any(places >= cell.thickness):
        raise table.error("positions", "are fractions of the thickness, between 0 and 1")
    t, x = np.repeat(times, places.size), np.tile(places, times.size)
    position_error, beam = (table.quantity(key, "m", 0.0, least=0) for key in ("position_error", "beam_width"))
    seen = VelocityLook(t, x, unsigned=False, position_error=position_error, beam_width=beam)
    return Observation.of(velocities(seen, np.zeros(t.size), error=error, label="velocities"))


def _typical_current(cell: Cell, case: Case) -> float:
    """Mean current of the case as it stands, scaled to another thickness [A/m^2]."""
    run = simulate(
        case.cell, case.transport.with_extrapolation("clamp"), case.protocol, c0=case.c0, solver="sundials",
        options=Options(rtol=1e-4),
    )  # fmt: skip
    return float(np.mean(np.abs(run["i"]))) * case.cell.thickness / cell.thickness


NUMBERS, FIGURE = "design.json", "design.png"
SHOWN = 10


def run_design(file: DesignFile, progress: Callable[[int, int], None] | None = None) -> Design:
    """Rate what a design's file offers."""
    return design(
        file.found, file.durations, shrink=file.shrink, rival=file.rival, overhead=file.overhead, progress=progress
    )


def lines(file: DesignFile, found: Design) -> list[str]:
    """The table: the best experiments, then the best single measurements of the first."""
    merit = "chi2 between the sets" if found.separates else "standard error"
    kinds = list(found.rated[0].share)
    told = [
        f"{file.title}: {found.goal}, per hour of beam time",
        "  ".join(
            ["voltage", "thickness", "duration", "hours", f"{merit:>21}", *(f"{k + ' alone':>14}" for k in kinds)]
        ),
    ]
    for r in found.rated[:SHOWN]:
        told.append(
            f"{r.voltage:5.3g} V  {1e3 * r.thickness:6.3g} mm  {r.duration / 3600:6.3g} h  {r.hours:5.3g}  "
            f"{_size(r.merit, found, file):>21}  " + "  ".join(f"{_size(r.share[k], found, file):>14}" for k in kinds)
            + (f"  salt runs out at {r.ends / 3600:.3g} h" if r.ends <= r.duration else "")
        )  # fmt: skip
    if found.choices:
        told.append("of the first, the measurements worth making, in order (the current is always recorded):")
        for c in found.choices:
            where = "" if math.isnan(c.position) else f" at {1e3 * c.position:.2f} mm"
            told.append(f"  {c.kind} at {c.time / 60:.0f} min{where}: {merit} {_size(c.merit, found, file)}")
    return told


def _size(x: float, found: Design, file: DesignFile) -> str:
    if found.separates:
        return f"{x:.3g}"
    p = file.found[0].problem.space.parameters[file.found[0].problem.space.index(file.shrink)]
    if x > 10:
        return "not held"
    return f"{100 * x:.3g} %" if p.logarithmic else f"{x * p.typical:.3g} {p.unit}".strip()


def write_design(file: DesignFile, found: Design, directory: str | Path) -> list[Path]:
    """Write ``design.json`` and ``design.png``.

    Parameters
    ----------
    file : DesignFile
        What was asked.
    found : Design
        The answer.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    data = {
        "title": file.title, "goal": found.goal, "separates": found.separates,
        "rated": [_plain(r) for r in found.rated],
        "choices": [
            {"kind": c.kind, "time": c.time, "position": None if math.isnan(c.position) else c.position,
             "merit": c.merit} for c in found.choices
        ],
    }  # fmt: skip
    (directory / NUMBERS).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return [_draw(file, found, directory / FIGURE), directory / NUMBERS]


def _plain(r: Rated) -> dict[str, object]:
    return {
        "voltage": r.voltage, "thickness": r.thickness, "duration": r.duration, "hours": r.hours, "merit": r.merit,
        "per_hour": r.rate, "alone": dict(r.share), "salt_runs_out": r.ends if math.isfinite(r.ends) else None,
    }  # fmt: skip


def _draw(file: DesignFile, found: Design, path: Path) -> Path:
    """Left: merit against beam time, a line per cell. Right: what each further measurement of the best adds."""
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    cells = list(dict.fromkeys((r.voltage, r.thickness) for r in found.rated))
    scale = 1.0 if found.separates else _unit(file)
    hours = sorted({round(r.hours, 2) for r in found.rated})
    name = "expected $\\chi^2$" if found.separates else f"standard error of {file.shrink}"
    with figstyle.drawing(
        path, 1, 2, title=file.title, width=figstyle.TWO_COLUMNS, height=2.6,
        note="Fisher information at the set the design starts from; overhead of every cell included.",
    ) as (_, axes):  # fmt: skip
        for (V, L), colour in zip(cells[:6], figstyle.shades(min(6, len(cells))), strict=True):
            mine = sorted((r for r in found.rated if (r.voltage, r.thickness) == (V, L)), key=lambda r: r.hours)
            axes[0].loglog(
                [r.hours for r in mine], [scale * r.merit for r in mine], "o-", color=colour,
                label=f"{V:g} V, {1e3 * L:g} mm",
            )  # fmt: skip
        axes[0].legend(fontsize=6)
        for axis in (axes[0].xaxis, axes[0].yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_formatter(ScalarFormatter() if axis is axes[0].xaxis else NullFormatter())
        axes[0].xaxis.set_major_locator(FixedLocator(hours))
        axes[0].xaxis.set_minor_locator(FixedLocator([]))
        axes[0].set_xlabel(figstyle.label("", "h", "beam time"))
        axes[0].set_ylabel(name)
        order = np.arange(1, len(found.choices) + 1)
        axes[1].plot(order, [scale * c.merit for c in found.choices], "o-", color=figstyle.COLOURS[0])
        for k, c in zip(order, found.choices, strict=True):
            where = "" if math.isnan(c.position) else f", {1e3 * c.position:.2f} mm"
            axes[1].annotate(f"{c.time / 60:.0f} min{where}", (k, scale * c.merit), fontsize=5.5,
                             xytext=(2, 4), textcoords="offset points")  # fmt: skip
        axes[1].set_xlabel("measurements made, the best first")
        axes[1].set_ylabel(name)
        axes[1].margins(x=0.15, y=0.15)
        axes[1].set_xticks(order)
    return path


def _unit(file: DesignFile) -> float:
    space = file.found[0].problem.space
    p = space.parameters[space.index(file.shrink)]
    return 1.0 if p.logarithmic else p.typical
