"""Concentration against position, and over time and position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim import figstyle
from cellsim.plots.view import CONCENTRATION, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.readers.measured import Measured
    from cellsim.solution import Solution
Array = NDArray[np.float64]


def draw_profiles(view: View, path: Path) -> None:
    """c(x) at chosen times, with r on the right; a panel for each time where there are measured profiles."""
    times = view.profile_times
    if view.of_kind("profile"):
        _draw_with_data(view, path)
        return
    with figstyle.drawing(path, title=view.title, note=view.note, height=2.9) as (_, axes):
        panel = axes[0]
        for time, colour in zip(times, figstyle.shades(len(times)), strict=True):
            _profile(panel, view, time, colour)
        panel.set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        low, high = panel.get_ylim()
        panel.set_ylim(max(low, 0.0), high)
        position_axis(panel, view)
        r_axis(panel, view.solution)
        figstyle.legend_above(panel, f"$t$ ({view.time_unit})", min(len(times), 5))


def _draw_with_data(view: View, path: Path) -> None:
    times = view.profile_times
    names = "; ".join(dict.fromkeys(data.label for data in view.of_kind("profile")))
    note = f"Lines: prediction. Points: {names}. "
    with figstyle.drawing(
        path, len(times), title=view.title, note=note + view.note, height=1.25, sharex=True, sharey=True
    ) as (_, axes):
        for panel, time, colour in zip(axes, times, figstyle.shades(len(times)), strict=True):
            for data, marker in zip(view.of_kind("profile"), figstyle.MARKERS, strict=False):
                _profile_points(panel, view, data, time, marker)
            _profile(panel, view, time, colour)
            panel.set_title(f"$t$ = {time_text(view, time)} {view.time_unit}", loc="right", y=0.86)
            r_axis(panel, view.solution, with_label=panel is axes[len(axes) // 2])
        axes[len(axes) // 2].set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        position_axis(axes[-1], view)


def _profile(axes: Axes, view: View, time: float, colour: Any) -> None:
    x, c = view.along(view.at_time("position_face", time)), view.at_time("c_face", time)
    axes.plot(x, c / 1e3, color=colour, label=time_text(view, time), zorder=4)


def _profile_points(axes: Axes, view: View, data: Measured, time: float, marker: str) -> None:
    """The measured profile nearest to `time`, if one lies within half its spacing, seen from the moving interface."""
    assert data.position is not None
    k = int(np.argmin(np.abs(data.time - time)))
    spacing = float(np.median(np.diff(data.time))) if data.time.size > 1 else 60.0
    if abs(data.time[k] - time) > 0.51 * spacing:
        return
    shift = float(view.at_time("interface_shift", time))
    error = None if data.error is None else data.error / 1e3
    x = view.along(data.position - shift)
    figstyle.points(axes, x, data.value[k] / 1e3, error, color=figstyle.GREY, marker=marker, markersize=2.0)


def _pairs(solution: Solution) -> tuple[Array, Array]:
    """Increasing pairs (c [mol/L], r) of a run."""
    c, keep = np.unique(solution["c"].ravel() / 1e3, return_index=True)
    return c, solution["r"].ravel()[keep]


def r_axis(axes: Axes, solution: Solution, *, with_label: bool = True) -> None:
    """r on the right-hand axis, by the run's own pairs (c, r), carried on to both sides."""
    c, r = _pairs(solution)
    steep = max((r[-1] - r[0]) / (c[-1] - c[0]) if c[-1] > c[0] else 0.0, r[-1] / c[-1])
    c = np.concatenate([[-c[-1], 0.0], c, [4 * c[-1]]])
    r = np.concatenate([[-r[-1], 0.0], r, [r[-1] + 3 * c[-2] * steep]])

    def forward(value: Any) -> Any:
        return np.interp(value, c, r)

    def back(value: Any) -> Any:
        return np.interp(value, r, c)

    second = axes.secondary_yaxis("right", functions=(forward, back))
    second.spines["right"].set_visible(True)
    if with_label:
        second.set_ylabel("salt per solvent unit $r$")


def position_axis(axes: Axes, view: View) -> None:
    """The position axis, with the sign of the electrodes at its ends, in a row of their own above the label."""
    axes.set_xlabel(view.position_label, labelpad=12.0)
    axes.set_xlim(*view.along(np.array([0.0, float(np.max(view.solution["thickness"]))])))
    for x, sign, side in ((0.0, "(+)", "left"), (1.0, "(−)", "right")):
        axes.annotate(
            sign, (x, 0), xycoords="axes fraction", xytext=(0, -15), textcoords="offset points", ha=side, va="top"
        )


def time_text(view: View, time: float) -> str:
    """A time in the unit of the axes."""
    return f"{time / view.time_scale:.4g}"


def draw_map(view: View, path: Path) -> None:
    """c over time and position, with lines of equal r."""
    solution = view.solution
    keep = np.concatenate([[True], np.diff(view.time) > 1e-9 * view.time[-1]])
    x = view.along(solution["position_face"][keep])
    t = np.broadcast_to(view.time[keep][:, None], x.shape)
    c = solution["c_face"][keep] / 1e3
    r = np.interp(c, *_pairs(solution))
    with figstyle.drawing(path, title=view.title, note=view.note, height=2.6) as (figure, axes):
        panel = axes[0]
        mesh = panel.pcolormesh(t, x, c, cmap=figstyle.SEQUENTIAL, shading="gouraud", rasterized=True)
        bar = figure.colorbar(mesh, ax=panel, pad=0.02, aspect=25)
        bar.set_label(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        if np.ptp(r) > 1e-3 * np.max(r):
            _contours(panel, t, x, c, r)
            panel.set_title("lines: salt per solvent unit $r$", loc="left")
        panel.set_xlabel(view.time_label)
        panel.set_ylabel(view.position_label)


def _contours(axes: Axes, t: Array, x: Array, c: Array, r: Array) -> None:
    """Lines of equal r, pale on dark and dark on pale, labelled late in the run or where they are widest apart."""
    from matplotlib.ticker import MaxNLocator

    levels = [v for v in MaxNLocator(6).tick_values(r.min(), r.max()) if r.min() < v < r.max()]
    if not levels:
        return
    middle = 0.5 * (c.min() + c.max())
    dark = [float(np.interp(v, np.sort(r.ravel()), np.sort(c.ravel()))) > middle for v in levels]
    lines = axes.contour(t, x, r, levels=levels, colors=["black" if d else "white" for d in dark], linewidths=0.7)
    late, widest = int(np.searchsorted(t[:, 0], 0.8 * t[-1, 0])), _widest(r)
    spots = [spot for v in levels for spot in [_spot(t, x, r, v, late) or _spot(t, x, r, v, widest)] if spot]
    axes.clabel(lines, fmt=lambda value: f"{value:.3g}", fontsize=figstyle.FONT, manual=spots)


def _widest(r: Array) -> int:
    """A state in the middle of those whose concentrations are farthest apart."""
    spread = np.ptp(r, axis=1)
    rows = np.flatnonzero(spread > 0.98 * spread.max())
    return int(rows[rows.size // 2])


def _spot(t: Array, x: Array, r: Array, level: float, row: int) -> tuple[float, float] | None:
    """Where a line of equal r crosses one state, unless that is too near a wall for a label."""
    crossing = np.flatnonzero(np.diff(np.sign(r[row] - level)))
    if not crossing.size:
        return None
    place = float(x[row, crossing[0]])
    margin = 0.05 * float(x[row, -1] - x[row, 0])
    return (float(t[row, 0]), place) if x[row, 0] + margin < place < x[row, -1] - margin else None
