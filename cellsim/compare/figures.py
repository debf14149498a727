"""Measurement beside prediction: the current and its ratio, profiles, velocities at fixed positions, residuals.

After Figs. 3, 4 and 5 of Steinrueck 2020, doi:10.1039/D0EE02193H; a column for each case compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.instruments.looks import VelocityLook
from cellsim.run.figures import View, make_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.compare.comparison import Compared, Comparison


FIGURES = ("compare_current.png", "compare_profiles.png", "compare_velocities.png", "compare_residuals.png")
MOST = 250
"""Points drawn of a series; more are thinned out."""


def write_comparison_figures(
    found: Sequence[Comparison], directory: str | Path, *, title: str = "", note: str = ""
) -> list[Path]:
    """Draw the figures that the data allow.

    Parameters
    ----------
    found : sequence of Comparison
        One per case; all are drawn side by side, with the same data.
    directory : str or Path
        An existing folder.
    title : str
        Above every figure; default the title of the one case.
    note : str
        Put before the notes of the cases, under every figure.

    Returns
    -------
    list of Path
        The files written, of :data:`FIGURES`.
    """
    views = [make_view(one.solution, one.case) for one in found]
    notes = " ".join(dict.fromkeys([note, *(view.note for view in views)])).strip()
    kinds = {item.measurement.kind for item in found[0].items}
    title = title or (found[0].case.title if len(found) == 1 else "Measured and predicted")
    written = []
    for drawer, name, wanted in (
        (_draw_current, FIGURES[0], {"current", "voltage"}),
        (_draw_profiles, FIGURES[1], {"profile"}),
        (_draw_velocities, FIGURES[2], {"velocity"}),
        (_draw_residuals, FIGURES[3], kinds),
    ):
        if kinds & wanted:
            written.append(Path(directory) / name)
            drawer(found, views, written[-1], title, notes)
    return written


def _thinned(size: int) -> slice:
    return slice(None, None, max(1, -(-size // MOST)))


# ---- Fig. 3 -------------------------------------------------------------------------------------------------------


def _draw_current(found: Sequence[Comparison], views: list[View], path: Path, title: str, note: str) -> None:
    """Current (or voltage) against time, all predictions in one panel; below it predicted/measured."""
    view = views[0]
    kind = "current" if found[0].of_kind("current") else "voltage"
    name, unit = ("i", CURRENT) if kind == "current" else ("V", "V")
    with figstyle.drawing(path, 2, title=title, note=note, height=1.9, sharex=True) as (_, axes):
        top, bottom = axes
        for k, item in enumerate(found[0].of_kind(kind)):
            data, thin = item.measurement, _thinned(item.measurement.size)
            error = None if data.error is None else data.error[thin]
            t = data.time[thin] / view.time_scale
            look: dict[str, Any] = {"marker": figstyle.MARKERS[k], "label": data.label}
            if t.size > 60:
                look |= {"markersize": 1.6, "markeredgewidth": 0.5}
            figstyle.points(top, t, data.value[thin], error, **look)
        bottom.axhspan(0.9, 1.1, color="0.92", zorder=0)
        bottom.axhline(1, color=figstyle.GREY, linewidth=0.6, linestyle=":")
        for one, own, colour, dash in zip(found, views, figstyle.COLOURS, figstyle.DASHES, strict=False):
            top.plot(own.time, one.solution[name], color=colour, linestyle=dash, label=_short(one), zorder=4)
            for item in one.of_kind(kind):
                thin = _thinned(item.measurement.size)
                t = item.measurement.time[thin] / own.time_scale
                bottom.plot(t, item.ratio[thin], color=colour, linestyle=dash, linewidth=1.0)
        top.set_ylabel(figstyle.label(f"${name}$", unit, "current density" if kind == "current" else "voltage"))
        values = np.concatenate([one.solution[name] for one in found] + [i.measured for i in found[0].of_kind(kind)])
        top.set_ylim(min(0.0, 1.05 * float(np.nanmin(values))), max(0.0, 1.08 * float(np.nanmax(values))))
        top.legend()
        ratios = np.concatenate([item.ratio[np.isfinite(item.ratio)] for one in found for item in one.of_kind(kind)])
        low, high = np.quantile(ratios, [0.005, 0.995])
        bottom.set_ylim(min(0.85, low - 0.03), max(1.15, high + 0.03))
        bottom.set_ylabel("predicted / measured")
        bottom.set_xlabel(view.time_label)
        bottom.set_xlim(0, float(view.time[-1]))


# ---- Fig. 4 -------------------------------------------------------------------------------------------------------


def _draw_profiles(found: Sequence[Comparison], views: list[View], path: Path, title: str, note: str) -> None:
    """Profiles at some of the measured times; error bars at the last one only."""
    with figstyle.drawing(
        path, 1, len(found), title=title, note=f"Points: measured. Lines: predicted. {note}",
        width=figstyle.COLUMN if len(found) == 1 else figstyle.TWO_COLUMNS, height=2.9, sharey=True,
    ) as (_, axes):  # fmt: skip
        for panel, one, view in zip(axes, found, views, strict=True):
            for item, marker in zip(one.of_kind("profile"), figstyle.MARKERS, strict=False):
                _profiles(panel, item, view, marker)
            panel.axhline(one.case.c0 / 1e3, color=figstyle.GREY, linestyle=":", linewidth=0.8)
            centre = float(view.along(0.5 * float(one.solution["thickness"][0])))
            panel.axvline(centre, color=figstyle.GREY, linestyle=":", linewidth=0.8)
            panel.set_xlabel(view.position_label)
            if len(found) > 1:
                panel.set_title(_short(one), loc="left")
        axes[0].set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].legend(handles, labels, title=f"$t$ ({views[0].time_unit})", loc="upper right")


def _profiles(panel: Axes, item: Compared, view: View, marker: str) -> None:
    data = item.measurement
    assert data.position is not None
    times = np.unique(data.time[item.used])
    times = times[np.unique(np.linspace(0, times.size - 1, min(5, times.size)).round().astype(int))]
    for time, colour in zip(times, figstyle.shades(times.size), strict=True):
        here = data.at(float(time))
        x = view.along(data.position[here])
        error = None if time != times[-1] or item.error is None else item.error[here] / 1e3
        figstyle.points(panel, x, item.measured[here] / 1e3, error, color=colour, marker=marker, markersize=2.0)
        label = f"{time / view.time_scale:.0f}"
        panel.plot(x, item.predicted[here] / 1e3, color=colour, zorder=4, label=label)


# ---- Fig. 5 -------------------------------------------------------------------------------------------------------


def _draw_velocities(found: Sequence[Comparison], views: list[View], path: Path, title: str, note: str) -> None:
    """Speed against time at the measured positions; below it the ratio averaged over the window, by position."""
    looks = [i.measurement.look for i in found[0].of_kind("velocity")]
    kinds = {(look.quantity, look.frame, look.unsigned) for look in looks if isinstance(look, VelocityLook)}
    quantity, frame, unsigned = sorted(kinds)[0]
    symbol = {"v_0": "v_0", "v_minus": "v_-", "v_plus": "v_+"}[quantity]
    name = f"$|{symbol}|$, {frame} frame" if unsigned else f"${symbol}$, {frame} frame"
    note = (
        "Top: points measured, lines predicted. Bottom: anion velocity measured/predicted, filled: interface frame, "
        f"local ε; open: the published way; band: mean ± 1.5 sd of the filled that count; cross: left out. {note}"
    )
    with figstyle.drawing(
        path, 2, len(found), title=title, note=note,
        width=figstyle.COLUMN if len(found) == 1 else figstyle.TWO_COLUMNS, height=2.1,
    ) as (_, axes):  # fmt: skip
        for k, (one, view) in enumerate(zip(found, views, strict=True)):
            top, bottom = axes[k], axes[len(found) + k]
            for item in one.of_kind("velocity"):
                _speeds(top, item, view)
            _ratios(bottom, one, view)
            top.set_xlabel(view.time_label)
            bottom.set_xlabel(view.position_label)
            if len(found) > 1:
                top.set_title(_short(one), loc="left")
        top = axes[0]
        for row in (axes[: len(found)], axes[len(found) :]):
            limits = np.array([panel.get_ylim() for panel in row])
            low, high = float(limits[:, 0].min()), float(limits[:, 1].max())
            for panel in row:
                panel.set_ylim(low, high)
            if row[0] is top:
                for panel in row:
                    panel.set_ylim(0.0 if unsigned else min(0.0, low), high + 0.35 * (high - low))
        top.set_ylabel(figstyle.label(name, SPEED))
        axes[len(found)].set_ylabel("measured / predicted")
        top.legend(title=f"position ({views[0].length_unit})", loc="upper right", ncols=3)


def _speeds(panel: Axes, item: Compared, view: View) -> None:
    data, t = item.measurement, item.measurement.time / view.time_scale
    assert data.position is not None
    for place, colour, marker, dash in zip(
        np.unique(data.position), figstyle.COLOURS * 3, figstyle.MARKERS * 3, figstyle.DASHES * 3, strict=False
    ):
        here = np.flatnonzero((data.position == place) & item.used)
        here = here[np.argsort(data.time[here])]
        thin = here[_thinned(here.size)]
        error = None if item.error is None else item.error[thin] * ANGSTROM
        figstyle.points(panel, t[thin], item.measured[thin] * ANGSTROM, error, color=colour, marker=marker)
        panel.plot(
            t[here],
            item.predicted[here] * ANGSTROM,
            color=colour,
            linestyle=dash,
            label=f"{float(view.along(place)):+.2f}",
        )


def _ratios(panel: Axes, one: Comparison, view: View) -> None:
    kept = [r for r in one.ratios if not r.left_out]
    if len(kept) > 1:
        mean, sd = float(np.mean([r.ratio for r in kept])), float(np.std([r.ratio for r in kept], ddof=1))
        panel.axhspan(mean - 1.5 * sd, mean + 1.5 * sd, color="#D55E00", alpha=0.15, linewidth=0)
    panel.axhline(1, color=figstyle.GREY, linewidth=0.6, linestyle=":")
    for k, r in enumerate(one.ratios):
        x, colour = float(view.along(r.position)), figstyle.COLOURS[k % 7]
        look: dict[str, Any] = {
            "color": colour,
            "marker": "x" if r.left_out else figstyle.MARKERS[k % 7],
            "markersize": 4,
        }
        figstyle.points(panel, [x], [r.ratio], [r.error], markerfacecolor=colour, **look)
        if np.isfinite(r.published) and r.published != r.ratio and not r.left_out:
            figstyle.points(panel, [x], [r.published], **look)
    values = [v for r in one.ratios for v in (r.ratio, r.published) if np.isfinite(v)]
    if values:
        low, high = min(0.8, *values), max(1.2, *values)
        panel.set_ylim(low - 0.08, high + 0.08)


# ---- residuals ----------------------------------------------------------------------------------------------------


def _draw_residuals(found: Sequence[Comparison], views: list[View], path: Path, title: str, note: str) -> None:
    """(measured - predicted) over the error, or over the largest measured value where no errors are known."""
    rows = len(found[0].items)
    with figstyle.drawing(path, rows, title=title, note=note, height=1.35, sharex=True) as (_, axes):
        for k, panel in enumerate(axes):
            for one, view, colour, marker in zip(found, views, figstyle.COLOURS, figstyle.MARKERS, strict=False):
                item = one.items[k]
                scale = np.nanmax(np.abs(item.measured)) if item.error is None else item.error
                used = item.used
                with np.errstate(divide="ignore", invalid="ignore"):
                    residual = (item.measured - item.predicted) / scale
                time = item.measurement.time
                thin = _thinned(int(used.sum()))
                panel.plot(
                    time[used][thin] / view.time_scale, residual[used][thin], marker, color=colour, markersize=1.5,
                    markeredgewidth=0, alpha=0.7, label=_short(one),
                )  # fmt: skip
            panel.axhline(0, color=figstyle.GREY, linewidth=0.6)
            data = found[0].items[k].measurement
            panel.set_ylabel("residual / error" if found[0].items[k].error is not None else "residual / max")
            panel.set_title(f"{data.kind}: {data.label}", loc="left")
        if len(found) > 1:
            axes[0].legend(markerscale=3)
        axes[-1].set_xlabel(views[0].time_label)
        axes[-1].set_xlim(0, float(views[0].time[-1]))


def _short(one: Comparison) -> str:
    return one.case.transport.name
