"""A design as a table for the terminal, as numbers (JSON) and as a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellsim import figstyle
from cellsim.fit.design import Design, Rated, design
from cellsim.fit.design_file import DesignFile

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
