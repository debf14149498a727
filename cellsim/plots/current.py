"""Current and voltage against time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim import figstyle
from cellsim.plots.view import CURRENT, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.readers.measured import Measured
    from cellsim.solution import Solution


def draw_current(view: View, path: Path) -> None:
    """i(t); with the voltage and its parts below it unless the voltage was held."""
    solution = view.solution
    i, V = solution["i"], solution["V"]
    with_voltage = bool(np.ptp(V) > 1e-6 * np.max(np.abs(V))) or bool(view.of_kind("voltage"))
    rows = 2 if with_voltage else 1
    with figstyle.drawing(path, rows, title=view.title, note=view.note, sharex=True) as (_, axes):
        top = axes[0]
        top.plot(view.time, i, color=figstyle.COLOURS[0], label="prediction")
        _overlay(top, view, "current")
        top.set_ylabel(figstyle.label("$i$", CURRENT, "current density"))
        if not with_voltage and i[0] > 0:
            top.plot(view.time[:1], i[:1], "o", color=figstyle.COLOURS[0], clip_on=False, zorder=4)
            top.annotate(
                f"$i_0$ = {i[0]:.4g} {CURRENT}", (view.time[0], i[0]), xytext=(6, 0),
                textcoords="offset points", va="center",
            )  # fmt: skip
            top.set_ylim(0, None)
            limit = small_signal_limit(solution)
            if limit is not None:
                text = "small-voltage steady state, $i_0/(1+\\mathrm{Ne})$"
                figstyle.reference(top, limit, text, above=bool(i[-1] < limit))
        elif np.any(i):
            top.set_ylim(min(0.0, 1.08 * i.min()), max(0.0, 1.08 * i.max()))
        if view.of_kind("current"):
            top.legend()
        if with_voltage:
            _draw_voltage(axes[1], view)
        axes[-1].set_xlabel(view.time_label)
        top.set_xlim(0, None)


def _draw_voltage(axes: Axes, view: View) -> None:
    solution, factor, unit = view.solution, 1.0, "V"
    largest = max(
        [float(np.max(np.abs(solution["V"])))] + [float(np.max(np.abs(d.value))) for d in view.of_kind("voltage")]
    )
    if largest < 0.5:
        factor, unit = 1e3, "mV"
    axes.plot(view.time, factor * solution["V"], color="black", label="cell voltage")
    interfaces = solution["V_positive"] + solution["V_negative"]
    parts = [("ohmic", solution["V_ohmic"]), ("concentration", solution["V_concentration"])]
    if np.any(interfaces):
        parts.append(("interfaces", interfaces))
    for (name, values), colour, dash in zip(parts, figstyle.COLOURS, figstyle.DASHES[1:], strict=False):
        axes.plot(view.time, factor * values, color=colour, linestyle=dash, linewidth=1.0, label=name)
    for data in view.of_kind("voltage"):
        _series(axes, view, data, factor)
    predicted = float(np.max(np.abs(solution["V"])))
    if view.of_kind("voltage") and largest > 5 * predicted:
        axes.set_yscale("symlog", linthresh=factor * 10 ** np.floor(np.log10(0.3 * max(predicted, 1e-9))), linscale=0.5)
        axes.minorticks_off()
    axes.set_ylabel(figstyle.label("$V$", unit, "voltage"))
    axes.legend()


def _overlay(axes: Axes, view: View, kind: str) -> None:
    for data in view.of_kind(kind):
        _series(axes, view, data, 1.0)


def _series(axes: Axes, view: View, data: Measured, factor: float) -> None:
    inside = data.time <= view.solution["time"][-1] * (1 + 1e-9)
    error = None if data.error is None else factor * data.error
    size = {"markersize": 1.6, "markeredgewidth": 0.5} if inside.sum() > 80 else {}
    figstyle.points(
        axes, data.time[inside] / view.time_scale, factor * data.value[inside], error, label=data.label,
        color=figstyle.GREY, **size,
    )  # fmt: skip


def small_signal_limit(solution: Solution) -> float | None:
    """Steady current density of the same cell at small voltage, scaled from i_0 [A/m^2]; None where it has no meaning.

    i_0 (R_b + R_s)/(R_b (1 + Ne) + R_s), with R_b the electrolyte's and R_s the interfaces' resistance; for R_s = 0
    it is i_0/(1 + Ne). Balsara & Newman 2015, doi:10.1149/2.0651514jes; PHYSICS section 4. None where the current is
    not the response to one voltage, or where the interfaces are not resistances.
    """
    i = solution["i"]
    if len(solution.log) > 1 or i[0] == 0 or i[-1] == 0:
        return None
    interfaces = (solution["V_positive"] + solution["V_negative"]) / i
    if abs(interfaces[-1] - interfaces[0]) > 1e-6 * abs(interfaces[0]):
        return None
    bulk, series = float(solution["V_ohmic"][0] / i[0]), float(interfaces[0])
    Ne = float(np.mean(solution["Ne"][0]))
    return float(i[0] * (bulk + series) / (bulk * (1 + Ne) + series))
