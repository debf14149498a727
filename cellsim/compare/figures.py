"""Measurement beside prediction: the current and its ratio, profiles, velocities at fixed positions, residuals.

After Figs. 3, 4 and 5 of Steinrueck 2020, doi:10.1039/D0EE02193H; a column for each case compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.compare.comparison import Compared, Comparison, PositionRatio
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.electrolyte.mixture_set import short_sum
from cellsim.instruments.looks import VelocityLook
from cellsim.run.figures import View, make_view
from cellsim.solvers.solution import VELOCITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = ("compare_current.png", "compare_profiles.png", "compare_velocities.png", "compare_residuals.png")
MOST = 250
"""Points drawn of a series; more are thinned out."""
PROFILES = 5
"""Profiles drawn of a map, spread over its times."""
SPREAD = 1.5
"""Standard deviations of the ratios that the band about their mean shows."""
NEAR_ZERO = 0.05
"""Share of the largest measured magnitude below which a ratio does not count for the scale of its axis [1]."""


@dataclass(frozen=True)
class _Pages:
    """What all figures share: the cases with the same data, how each is shown, title and note."""

    comparisons: Sequence[Comparison]
    views: Sequence[View]
    title: str
    note: str

    @property
    def first(self) -> Comparison:
        return self.comparisons[0]

    def layout(self, height: float, note: str = "") -> dict[str, Any]:
        """Of a figure with a column for each case."""
        width = figstyle.COLUMN if len(self.comparisons) == 1 else figstyle.TWO_COLUMNS
        return {"title": self.title, "note": f"{note} {self.note}".strip(), "width": width, "height": height}

    def name(self, panel: Axes, comparison: Comparison) -> None:
        """The set above a panel, where there are several cases."""
        if len(self.comparisons) > 1:
            panel.set_title(_short(comparison), loc="left")


def _pages(comparisons: Sequence[Comparison], title: str, note: str) -> _Pages:
    views = [make_view(c.solution, c.case) for c in comparisons]
    notes = " ".join(dict.fromkeys([note, *(view.note for view in views)])).strip()
    title = title or (comparisons[0].case.title if len(comparisons) == 1 else "Measured and predicted")
    return _Pages(comparisons, views, title, notes)


def write_comparison_figures(
    comparisons: Sequence[Comparison], directory: str | Path, *, title: str = "", note: str = ""
) -> list[Path]:
    """Draw the figures that the data allow.

    Parameters
    ----------
    comparisons : sequence of Comparison
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
    pages = _pages(comparisons, title, note)
    kinds = {str(item.measurement.kind) for item in pages.first.items}
    drawers: tuple[tuple[Callable[[_Pages, Path], None], set[str]], ...] = (
        (_draw_current, {"current", "voltage"}),
        (_draw_profiles, {"profile"}),
        (_draw_velocities, {"velocity"}),
        (_draw_residuals, kinds),
    )
    written = []
    for name, (drawer, wanted) in zip(FIGURES, drawers, strict=True):
        if kinds & wanted:
            written.append(Path(directory) / name)
            drawer(pages, written[-1])
    return written


def draw_residuals(comparisons: Sequence[Comparison], path: str | Path, *, title: str = "", note: str = "") -> Path:
    """Residuals of everything that was measured; arguments as :func:`write_comparison_figures`."""
    _draw_residuals(_pages(comparisons, title, note), Path(path))
    return Path(path)


def _thinned(size: int) -> slice:
    return slice(None, None, max(1, -(-size // MOST)))


def _said_thinned(sizes: Sequence[int]) -> str:
    """For the note of a figure in which not every point is drawn."""
    most = max(sizes, default=0)
    step = _thinned(most).step
    return f"Of {most} points one in {step} is drawn." if step > 1 else ""


def _short(comparison: Comparison) -> str:
    return comparison.case.transport.name


# ---- Fig. 3 -------------------------------------------------------------------------------------------------------


def _draw_current(pages: _Pages, path: Path) -> None:
    """Current (or voltage) against time, all predictions in one panel; below it predicted/measured."""
    first, view = pages.first, pages.views[0]
    kind = "current" if first.of_kind("current") else "voltage"
    name, unit, words = ("i", CURRENT, "current density") if kind == "current" else ("V", "V", "voltage")
    note = f"{_said_thinned([item.measurement.size for item in first.of_kind(kind)])} {pages.note}".strip()
    with figstyle.drawing(path, 2, title=pages.title, note=note, height=1.9, sharex=True) as (_, axes):
        top, bottom = axes
        for k, item in enumerate(first.of_kind(kind)):
            data, thin = item.measurement, _thinned(item.measurement.size)
            error = None if data.error is None else data.error[thin]
            t = data.time[thin] / view.time_scale
            look: dict[str, Any] = {"marker": figstyle.MARKERS[k], "label": data.label}
            if t.size > 60:
                look |= {"markersize": 1.6, "markeredgewidth": 0.5}
            figstyle.points(top, t, data.value[thin], error, **look)
        bottom.axhspan(0.9, 1.1, color="0.92", zorder=0)
        bottom.axhline(1, color=figstyle.GREY, linewidth=0.6, linestyle=":")
        styles = zip(pages.comparisons, pages.views, figstyle.COLOURS, figstyle.DASHES, strict=False)
        for comparison, own, colour, dash in styles:
            values = comparison.solution[name]
            top.plot(own.time, values, color=colour, linestyle=dash, label=_short(comparison), zorder=4)
            for item in comparison.of_kind(kind):
                thin = _thinned(item.measurement.size)
                t = item.measurement.time[thin] / own.time_scale
                bottom.plot(t, item.ratio[thin], color=colour, linestyle=dash, linewidth=1.0)
        top.set_ylabel(figstyle.label(f"${name}$", unit, words))
        every = [c.solution[name] for c in pages.comparisons] + [item.measured for item in first.of_kind(kind)]
        low, high = float(np.nanmin(np.concatenate(every))), float(np.nanmax(np.concatenate(every)))
        top.set_ylim(min(0.0, 1.05 * low), max(0.0, 1.08 * high))
        figstyle.legend_above(top, columns=3)
        ratios = np.concatenate([_away_from_zero(item) for c in pages.comparisons for item in c.of_kind(kind)])
        low, high = np.quantile(ratios, [0.005, 0.995]) if ratios.size else (1.0, 1.0)  # none against a voltage of 0
        bottom.set_ylim(min(0.85, low - 0.03), max(1.15, high + 0.03))
        bottom.set_ylabel("predicted / measured")
        bottom.set_xlabel(view.time_label)
        bottom.set_xlim(0, float(view.time[-1]))


def _away_from_zero(item: Compared) -> Array:
    """Ratios of points that are not near zero, which decide how much of the axis is shown."""
    away = np.abs(item.measured) > NEAR_ZERO * np.nanmax(np.abs(item.measured[item.used]), initial=0.0)
    return np.asarray(item.ratio[away & np.isfinite(item.ratio)])


# ---- Fig. 4 -------------------------------------------------------------------------------------------------------


def _draw_profiles(pages: _Pages, path: Path) -> None:
    """Profiles at some of the measured times, a row for every species; error bars at the last one only."""
    found, columns = pages.first.of_kind("profile"), len(pages.comparisons)
    bars = ", error bars at the last time of each file" if any(item.error is not None for item in found) else ""
    layout = pages.layout(2.9, f"Points: measured{bars}. Lines: predicted.")
    species = tuple(dict.fromkeys(item.measurement.species for item in found))
    with figstyle.drawing(path, len(species), columns, sharey="row", **layout) as (_, axes):
        for row, name in enumerate(species):
            shown = axes[row * columns : (row + 1) * columns]
            for panel, comparison, view in zip(shown, pages.comparisons, pages.views, strict=True):
                items = [item for item in comparison.of_kind("profile") if item.measurement.species == name]
                for item, marker in zip(items, figstyle.MARKERS, strict=False):
                    _profiles(panel, item, view, marker)
                centre = float(view.along(0.5 * float(comparison.solution["thickness"][0])))
                line: dict[str, Any] = {"color": figstyle.GREY, "linestyle": ":", "linewidth": 0.8}
                panel.axhline(comparison.case.setup.concentration(name) / 1e3, **line)
                panel.axvline(centre, **line)
                panel.set_xlabel(view.position_label)
                pages.name(panel, comparison)
            shown[0].set_ylabel(figstyle.label("$c$", CONCENTRATION, "concentration" if name else "salt concentration"))
            handles, labels = shown[0].get_legend_handles_labels()
            title = _above(name, f"$t$ ({pages.views[0].time_unit})")
            figstyle.legend_above(shown[0], title, handles=handles, labels=labels)


def _above(species: str, title: str) -> str:
    """The title of a legend, over it whose concentration or velocity the panels show; a sum is too long for an axis."""
    return f"{short_sum(species)}\n{title}" if species else title


def _profiles(panel: Axes, item: Compared, view: View, marker: str) -> None:
    data = item.measurement
    assert data.position is not None
    times = np.unique(data.time[item.used])
    times = times[np.unique(np.linspace(0, times.size - 1, min(PROFILES, times.size)).round().astype(int))]
    for time, colour in zip(times, figstyle.shades(times.size), strict=True):
        here = data.at(float(time))
        x = view.along(data.position[here])
        error = None if time != times[-1] or item.error is None else item.error[here] / 1e3
        figstyle.points(panel, x, item.measured[here] / 1e3, error, color=colour, marker=marker, markersize=2.0)
        label = f"{time / view.time_scale:.4g}"
        panel.plot(x, item.predicted[here] / 1e3, color=colour, zorder=4, label=label)


# ---- Fig. 5 -------------------------------------------------------------------------------------------------------


def _draw_velocities(pages: _Pages, path: Path) -> None:
    """Speed against time at the measured positions; below it the ratio averaged over the window, by position.

    Every velocity has a row of its own, by whose it is and in which frame, and one of its ratios.
    """
    kinds = {_velocity(item): None for item in pages.first.of_kind("velocity")}
    ratios = [r for comparison in pages.comparisons for r in comparison.ratios]
    converted = any(r.published != r.ratio for r in ratios)
    shown = "anion velocity measured/predicted, filled: interface frame, local ε; open: the published way"
    layout = pages.layout(
        2.1,
        f"Top: points measured, lines predicted. Bottom: {shown if converted else 'velocity measured/predicted'}; "
        f"band: mean ± {SPREAD} sd of {'the filled' if converted else 'those'} that count; cross: left out."
        if ratios
        else "Points: measured. Lines: predicted. No velocity lies in the window of the ratios (--window).",
    )
    columns, per = len(pages.comparisons), 2 if ratios else 1
    with figstyle.drawing(path, per * len(kinds), columns, **layout) as (_, axes):
        for k, kind in enumerate(kinds):
            rows = [axes[n * columns : (n + 1) * columns] for n in range(per * k, per * (k + 1))]
            _draw_velocity(pages, kind, rows)


def _velocity(item: Compared) -> tuple[str, str, bool]:
    """Whose velocity a measurement is, in which frame, and whether without its sign."""
    look = item.measurement.look
    assert isinstance(look, VelocityLook)
    return look.quantity, look.frame, look.unsigned


def _draw_velocity(pages: _Pages, kind: tuple[str, str, bool], rows: Sequence[Sequence[Axes]]) -> None:
    """One kind of velocity: a row of panels of it against time, and one of its ratios where there are two rows."""
    quantity, frame, unsigned = kind
    symbol = {"v_0": "v_0", "v_minus": "v_-", "v_plus": "v_+"}.get(quantity, "v")
    name = f"$|{symbol}|$, {frame} frame" if unsigned else f"${symbol}$, {frame} frame"
    above, below = rows[0], rows[1] if len(rows) > 1 else ()
    for top, comparison, view in zip(above, pages.comparisons, pages.views, strict=True):
        for item in comparison.of_kind("velocity"):
            if _velocity(item) == kind:
                _speeds(top, item, view)
        top.set_xlabel(view.time_label)
        pages.name(top, comparison)
    for bottom, comparison, view in zip(below, pages.comparisons, pages.views, strict=False):
        _ratios(bottom, [r for r in comparison.ratios if r.quantity == quantity], view)
        bottom.set_xlabel(view.position_label)
    for row in filter(None, (above, below)):  # the same scale in every column
        limits = np.array([panel.get_ylim() for panel in row])
        low, high = float(limits[:, 0].min()), float(limits[:, 1].max())
        if row is above:  # room for the legend
            low, high = 0.0 if unsigned else min(0.0, low), high + 0.35 * (high - low)
        for panel in row:
            panel.set_ylim(low, high)
    above[0].set_ylabel(figstyle.label(name, SPEED))
    if below:
        below[0].set_ylabel("measured / predicted")
    species = "" if quantity in VELOCITIES else quantity[2:]
    figstyle.legend_above(above[0], _above(species, f"position ({pages.views[0].length_unit})"), 3)


def _speeds(panel: Axes, item: Compared, view: View) -> None:
    data, t = item.measurement, item.measurement.time / view.time_scale
    assert data.position is not None
    styles = zip(figstyle.COLOURS * 3, figstyle.MARKERS * 3, figstyle.DASHES * 3, strict=False)
    for place, (colour, marker, dash) in zip(np.unique(data.position), styles, strict=False):
        here = np.flatnonzero((data.position == place) & item.used)
        here = here[np.argsort(t[here])]
        thin = here[_thinned(here.size)]
        error = None if item.error is None else item.error[thin] * ANGSTROM
        figstyle.points(panel, t[thin], item.measured[thin] * ANGSTROM, error, color=colour, marker=marker)
        label = f"{float(view.along(place)):+.2f}"
        alone: dict[str, Any] = {"marker": "_", "markersize": 10} if here.size == 1 else {}  # a line of one point
        panel.plot(t[here], item.predicted[here] * ANGSTROM, color=colour, linestyle=dash, label=label, **alone)


def _ratios(panel: Axes, ratios: Sequence[PositionRatio], view: View) -> None:
    counted = [r.ratio for r in ratios if not r.left_out]
    if len(counted) > 1:
        mean, sd = float(np.mean(counted)), float(np.std(counted, ddof=1))
        panel.axhspan(mean - SPREAD * sd, mean + SPREAD * sd, color="#D55E00", alpha=0.15, linewidth=0)
    panel.axhline(1, color=figstyle.GREY, linewidth=0.6, linestyle=":")
    for k, r in enumerate(ratios):
        x, colour = float(view.along(r.position)), figstyle.COLOURS[k % 7]
        marker = "x" if r.left_out else figstyle.MARKERS[k % 7]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        figstyle.points(panel, [x], [r.ratio], [r.error], markerfacecolor=colour, **look)
        if np.isfinite(r.published) and r.published != r.ratio and not r.left_out:
            figstyle.points(panel, [x], [r.published], **look)
    values = [v for r in ratios for v in (r.ratio, r.published) if np.isfinite(v)]
    if values:
        panel.set_ylim(min(0.8, *values) - 0.08, max(1.2, *values) + 0.08)


# ---- residuals ----------------------------------------------------------------------------------------------------


def _draw_residuals(pages: _Pages, path: Path) -> None:
    """(measured - predicted) over the error, or over the largest measured value where no errors are known."""
    first, view, several = pages.first, pages.views[0], len(pages.comparisons) > 1
    rows = len(first.items)
    with figstyle.drawing(path, rows, title=pages.title, note=pages.note, height=1.35, sharex=True) as (_, axes):
        for k, (panel, shown) in enumerate(zip(axes, first.items, strict=True)):
            styles = zip(pages.comparisons, pages.views, figstyle.COLOURS, figstyle.MARKERS, strict=False)
            for comparison, own, colour, marker in styles:
                item = comparison.items[k]
                scale = np.nanmax(np.abs(item.measured)) if item.error is None else item.error
                with np.errstate(divide="ignore", invalid="ignore"):
                    residual = ((item.measured - item.predicted) / scale)[item.used]
                time = item.measurement.time[item.used] / own.time_scale
                # all of them: a misfit of a few points is what one looks for here
                look: dict[str, Any] = {"color": colour, "markersize": 1.5, "markeredgewidth": 0, "alpha": 0.7}
                panel.plot(time, residual, marker, label=_short(comparison), **look)
            panel.axhline(0, color=figstyle.GREY, linewidth=0.6)
            panel.set_ylabel("residual / error" if shown.error is not None else "residual / max")
            panel.set_title(f"{shown.measurement.kind}: {shown.measurement.label}", loc="left")
        if several:
            figstyle.legend_above(axes[0], columns=2, markerscale=3)
        axes[-1].set_xlabel(view.time_label)
        axes[-1].set_xlim(0, float(view.time[-1]))
