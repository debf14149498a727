"""The figures of a sweep: what each run came to, its course in time, and times of depletion beside Sand's law."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.model.closed_forms import depletion_time, sand_time
from cellsim.run.axes import words_of
from cellsim.run.figures import time_scale
from cellsim.run.sweep import SweepResult, cosolvents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.electrolyte.mixture_set import MixtureSet

CURVES = 8
"""Curves in one panel; more are drawn with a colour bar in place of a legend."""
SPAN = 0.02
"""Least range of an axis, per value: what varies by less is shown as the same."""


def _families(result: SweepResult) -> tuple[Array, list[tuple[str, list[int]]], bool]:
    """Abscissa, the runs of each curve with its name, and whether the abscissa is logarithmic."""
    sweep = result.sweep
    first = sweep.axes[0]
    numbers = first.numbers
    x = numbers if numbers is not None else np.arange(len(first.values), dtype=float)
    log = numbers is not None and x.size > 2 and bool(x.min() > 0) and _even(np.log(x)) and not _even(x)
    if sweep.paired or len(sweep.axes) == 1:
        return x, [("", list(range(x.size)))], log
    places = np.arange(int(np.prod(sweep.shape))).reshape(x.size, -1)
    values = itertools.product(*(axis.values for axis in sweep.axes[1:]))
    others = [dict(zip((axis.key for axis in sweep.axes[1:]), row, strict=True)) for row in values]
    names = [sweep.words(other) if len(other) > 1 else words_of(next(iter(other.values()))) for other in others]
    named = [(name, places[:, j].tolist()) for j, name in enumerate(names)]
    return x, named, log


def _even(x: Array) -> bool:
    """Whether values are equally spaced, to a thousandth of their span."""
    return bool(np.ptp(np.diff(x)) < 1e-3 * np.ptp(x))


def draw(result: SweepResult, path: str | Path) -> Path:
    """What a sweep shows at a glance: the response at the end, the walls, the time it took, the limiting current.

    Parameters
    ----------
    result : SweepResult
        What :func:`run_sweep` gave.
    path : str or Path
        PNG, PDF or SVG.

    Returns
    -------
    Path
    """
    x, families, log = _families(result)
    axis, ended = result.sweep.axes[0], result.status != "done"
    colours = figstyle.COLOURS if len(families) <= len(figstyle.COLOURS) else figstyle.shades(len(families))
    note = "Dotted: closed form for the properties at the average concentration."
    if result.transport is not None and not np.any(np.isfinite(result.values["time_to_depletion"])):
        note = ""
    if np.any(ended):
        note = f"Crosses: runs that ended early (depleted, out of range or stopped). {note}".rstrip()
    size = {"width": figstyle.TWO_COLUMNS, "height": 2.0}
    with figstyle.drawing(path, 2, 2, title=result.title, note=note, sharex=True, **size) as (_, axes):
        for panel, (values, label, law, scale) in zip(axes, _panels(result), strict=True):
            for j, (name, runs) in enumerate(families):
                y = values[runs]
                look: Any = {"color": colours[j], "marker": figstyle.MARKERS[j % len(figstyle.MARKERS)]}
                panel.plot(x, y, label=name, linestyle=figstyle.DASHES[j % len(figstyle.DASHES)], **look)
                early = ended[runs] & np.isfinite(y)
                panel.plot(x[early], y[early], "x", color="black", markersize=6, zorder=4)
                if law:
                    formula = result.values[law][runs] / scale
                    panel.plot(x, formula, color=figstyle.GREY, linestyle=":", linewidth=0.9, zorder=1)
            panel.set_ylabel(label)
            low, high = panel.get_ylim()
            if high - low < SPAN * max(abs(low), abs(high)):  # all runs agree: their last digits are no course
                middle, half = 0.5 * (low + high), 0.5 * SPAN * max(abs(low), abs(high))
                panel.set_ylim(middle - half, middle + half)
            if log:
                panel.set_xscale("log")
            if axis.numbers is None:
                panel.set_xticks(x, axis.texts(), rotation=20, ha="right")
        for panel in axes[2:]:
            panel.set_xlabel(axis.label)
        if 1 < len(families) <= CURVES:
            others = result.sweep.axes[1:]
            figstyle.legend_above(axes[0], title=others[0].key if len(others) == 1 else "", columns=4)
    return Path(path)


def _panels(result: SweepResult) -> list[tuple[Array, str, str, float]]:
    """Of the four panels: values, axis label, the closed form drawn beside them, and what divides that."""
    values, i, V = result.values, "$i$ at the end", "$V$ at the end"
    empty = values["time_to_depletion"]
    name, words, law = "time_to_1_percent", "$t$ to within 1 %", "settling_by_formula"
    if np.sum(np.isfinite(empty)) > 0.5 * empty.size:
        name, words, law = "time_to_depletion", "$t$ to depletion", "sand_time"
    scale, unit = time_scale(float(np.nanmax(values[name])) if np.any(np.isfinite(values[name])) else 1.0)
    held = result.drive == "voltage"
    if result.transport is None:
        between = [
            (result.limit(), figstyle.label("limiting $i$", figstyle.CURRENT), "", 1.0),
            (1e-3 * values["c_min"], figstyle.label("least $c$", figstyle.CONCENTRATION), "", 1.0),
        ]
    else:
        between, law = _panels_of_species(result, result.transport), law if law in values else ""
    response = (values["V_end"], figstyle.label(V, "V"), "", 1.0)
    if held:
        response = (values["i_end"], figstyle.label(i, figstyle.CURRENT), "", 1.0)
        if not np.any(np.nan_to_num(values["i_end"])):  # all runs end with a rest
            response = (1e-3 * values["charge"], figstyle.label("charge", "kC m$^{-2}$"), "", 1.0)
    return [
        response,
        *between,
        (values[name] / scale, figstyle.label(words, unit), law, scale),
    ]


def _panels_of_species(result: SweepResult, transport: MixtureSet) -> list[tuple[Array, str, str, float]]:
    """How far the first cosolvent parts from the others, or else the least of the first salt; and the least cation."""
    values, names = result.values, (transport.components[0], transport.cation)
    shown = [
        (1e-3 * values[f"c_min_{name}"], figstyle.label(f"least $c$ of {name}", figstyle.CONCENTRATION), "", 1.0)
        for name in names
    ]
    if transport.neutral:
        name = cosolvents(transport)[0]
        parted = 100 * (values[f"share_max_{name}"] - values[f"share_min_{name}"])
        shown[0] = (parted, figstyle.label(f"{name} share, spread", "%"), "", 1.0)
    return shown


def draw_curves(result: SweepResult, path: str | Path) -> Path:
    """What was not imposed, current or voltage, of all runs over time; and the times of depletion against i^-2.

    Parameters
    ----------
    result : SweepResult
        What :func:`run_sweep` gave.
    path : str or Path
        PNG, PDF or SVG.

    Returns
    -------
    Path
    """
    points, curves = result.sweep.points(), result.curves
    runs = [k for k in range(len(points)) if np.any(np.isfinite(curves[k]))]
    colours = dict(zip(runs, figstyle.shades(len(runs)), strict=True)) if runs else {}
    scale, unit = time_scale(max((float(np.nanmax(curves[k, 0])) for k in runs), default=1.0))
    row, name, of = (1, "$i$", figstyle.CURRENT) if result.drive == "voltage" else (2, "$V$", "V")
    empty = result.values["time_to_depletion"]
    sand = result.drive == "current" and np.sum(np.isfinite(empty)) > 1
    size = {"width": figstyle.TWO_COLUMNS, "height": 2.6}
    with figstyle.drawing(path, 1, 2 if sand else 1, title=result.title, **size) as (figure, axes):
        for k in runs:
            label = ", ".join(words_of(value) for value in points[k].values())
            axes[0].plot(curves[k, 0] / scale, curves[k, row], color=colours[k], label=label)
        axes[0].set_xlabel(figstyle.label("$t$", unit))
        axes[0].set_ylabel(figstyle.label(name, of))
        if 1 < len(runs) <= 2 * CURVES:
            keys = ", ".join(axis.key for axis in result.sweep.axes)
            figure.legend(title=keys, loc="outside right upper")
        if sand:
            scale, unit = time_scale(float(np.nanmax(empty)))
            inverse = 1 / result.values["i_0"] ** 2
            if result.transport is None:
                _draw_sand(axes[1], result, scale)
            else:
                law = result.values["sand_time"] / scale
                look: Any = {"marker": "_", "linestyle": "", "markersize": 14, "color": "black", "zorder": 4}
                axes[1].plot(inverse, law, **look, label="Sand's time of these properties")
                figstyle.legend_above(axes[1])
            for k in runs:
                axes[1].plot(inverse[k], empty[k] / scale, "o", color=colours[k], zorder=3)
            axes[1].set_xlim(0, 1.08 * float(np.max(inverse[np.isfinite(empty)])))
            axes[1].set_ylim(0, 1.25 * float(np.nanmax(empty)) / scale)
            axes[1].set_xlabel(figstyle.label("$i^{-2}$", "m$^4$ A$^{-2}$"))
            axes[1].set_ylabel(figstyle.label("$t$ to depletion", unit))
    return Path(path)


def _draw_sand(axes: Axes, result: SweepResult, scale: float) -> None:
    """Sand's law as a line for each set of properties, dashed with the thickness of the cell; the runs are points."""
    empty = result.values["time_to_depletion"]
    layers = list(
        dict.fromkeys(layer for layer, t in zip(result.layers, empty, strict=True) if layer and np.isfinite(t))
    )
    if not layers or len(layers) > CURVES:
        return
    for j, layer in enumerate(layers):
        own = [k for k, one in enumerate(result.layers) if one == layer and np.isfinite(empty[k])]
        i = np.abs(result.values["i_0"][own])
        inverse = np.linspace(0, 1.08 / float(i.min()) ** 2, 200)[1:]
        sand = np.array([sand_time(layer, x**-0.5) for x in inverse])
        finite = np.array([depletion_time(layer, x**-0.5) for x in inverse])
        finite[~np.isfinite(finite)] = np.nan
        told = ("Sand's law", "with the thickness of the cell") if j == 0 else (None, None)
        axes.plot(inverse, sand / scale, color=figstyle.GREY, linewidth=0.9, label=told[0], zorder=1)
        axes.plot(inverse, finite / scale, color=figstyle.GREY, linewidth=0.9, linestyle="--", label=told[1], zorder=1)
    figstyle.legend_above(axes, columns=2)
