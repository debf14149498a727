"""Figures of an interface: densities with regions, populations, free energy, displacement variance, charge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label, legend_above, points, wrap
from mdcoeffs.interface_result import InterfaceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANGSTROM = 1e-10
Panel = Callable[["Axes", InterfaceResult], None]


def interface_figure(result: InterfaceResult, path: str | Path) -> None:
    """Draw all that was asked for on one page.

    Parameters
    ----------
    result : InterfaceResult
        What was found.
    path : str or Path
        PNG, PDF or SVG.
    """
    panels: list[Panel] = [_density]
    if result.barriers:
        panels.append(_free_energy)
    if result.regions:
        panels += [_populations, _coefficients]
    if result.charge is not None:
        panels.append(_charge)
    if result.variance:
        panels.append(_variance)
    rows = -(-len(panels) // 2)
    note = f"{result.T:g} K, {sum(result.frames)} frames; bands and bars: one standard error from blocks."
    if result.regions:
        note += "\n" + "\n".join(wrap(one.verdict.sentence, TWO_COLUMNS) for one in result.regions)
    with drawing(path, rows, 2, title=result.title, note=note, width=TWO_COLUMNS, height=2.3) as (_, axes):
        for axis, panel in zip(axes, panels, strict=False):
            panel(axis, result)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)


def _band(axes: Axes, x: Any, y: Any, error: Any, **look: Any) -> None:
    error = np.nan_to_num(error, nan=0.0)
    axes.fill_between(x, y - error, y + error, color=look["color"], alpha=0.25, linewidth=0)
    axes.plot(x, y, **look)


def _density(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    for k, name in enumerate(result.profiles):
        _band(axes, z, result.density.value[k] * 1e-27, result.density.error[k] * 1e-27, color=COLOURS[k % 7],
              linestyle=DASHES[k % 7], linewidth=0.9, label=name)  # fmt: skip
    top = axes.get_ylim()[1]
    for k, region in enumerate(result.settings.regions):
        colour = COLOURS[result.profiles.index(region.points) % 7]
        for low, high in region.edges:
            axes.plot([low / ANGSTROM, high / ANGSTROM], [top * (1.03 + 0.05 * k)] * 2, color=colour, linewidth=3,
                      alpha=0.6, solid_capstyle="butt")  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label(r"$\rho$", "nm⁻³", "density"))
    legend_above(axes)


def _free_energy(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    drawn: set[str] = set()
    for k, one in enumerate(result.barriers):
        settings = result.settings.barriers[k]
        colour = COLOURS[k % 7]
        key = f"{settings.points} {settings.zero}"
        if key not in drawn:
            seen = np.isfinite(one.profile.value)
            _band(axes, z[seen], one.profile.value[seen], one.profile.error[seen], color=GREY, linewidth=0.9)
            drawn.add(key)
        height, _, well, top = one.numbers.value
        inside = (result.z >= settings.well[0]) & (result.z <= settings.well[1]) & np.isfinite(one.profile.value)
        if inside.any():
            floor = float(one.profile.value[inside].min())
            axes.plot([well / ANGSTROM, top / ANGSTROM], [floor, floor + height], color=colour, marker=MARKERS[k % 7],
                      markersize=3, linestyle=DASHES[k % 7], label=f"{one.name}: {height:.0f} K")  # fmt: skip
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label("$F/k_B$", "K", "free energy"))
    legend_above(axes, columns=2)


def _populations(axes: Axes, result: InterfaceResult) -> None:
    for k, one in enumerate(result.regions):
        base = result.settings.regions[k].stoichiometric
        name = one.name + (" (excess)" if base else "")
        for r, times in enumerate(result.times):
            axes.plot(times * 1e9, one.series[r] - base, color=COLOURS[k % 7], linestyle=DASHES[r % 7], linewidth=0.8,
                      label=name if r == 0 else None)  # fmt: skip
    if result.settings.settled > 0:
        axes.axvline(result.settings.settled * 1e9, color=GREY, linestyle=":")
    axes.set_xlabel(label("$t$", "ns", "time"))
    axes.set_ylabel("population")
    legend_above(axes, columns=3)


def _coefficients(axes: Axes, result: InterfaceResult) -> None:
    x = np.arange(len(result.regions))
    counts = np.array([[sum(one.entered), sum(one.left)] for one in result.regions])
    axes.bar(x, [one.verdict.coefficient for one in result.regions], width=0.5, color=COLOURS[5])
    for k, (entered, left) in enumerate(counts):
        axes.annotate(
            f"{entered} in\n{left} out",
            (k, result.regions[k].verdict.coefficient),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=0.9)
    axes.set_xticks(x, [one.name for one in result.regions])
    axes.set_xlim(-0.75, len(x) - 0.25)
    axes.set_ylim(0, 1.25)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("EC")


def _charge(axes: Axes, result: InterfaceResult) -> None:
    assert result.charge is not None
    z = result.charge_edges[1:] / ANGSTROM
    _band(axes, z, result.charge.value * 1e2, result.charge.error * 1e2, color=COLOURS[1], linewidth=0.9)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    points(axes, result.changes / ANGSTROM, np.zeros(result.changes.size))
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label(r"$E_\mathrm{eff}$", "µC/cm²"))
    axes.set_title(f"{result.changes.size} sign changes (circles)", loc="right")


def _variance(axes: Axes, result: InterfaceResult) -> None:
    assert result.settings.layers is not None
    edges = np.array(result.settings.layers) / ANGSTROM
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    number = 0
    for name, one in result.variance.items():
        for axis in range(3):
            value, error = one.value[0, :, axis] / ANGSTROM**2, one.error[0, :, axis] / ANGSTROM**2
            axes.errorbar(middle, value, xerr=half, yerr=np.nan_to_num(error), color=COLOURS[number % 7],
                          marker=MARKERS[axis], markersize=3, linestyle="none", elinewidth=0.7,
                          label=f"{name} {'xyz'[axis]}")  # fmt: skip
            number += 1
    axes.set_yscale("log")
    axes.set_xlabel(label("$z$", "Å", "layer of origin"))
    axes.set_ylabel(label(r"Var$(\Delta r)$", "Å²"))
    axes.set_title(f"after {result.lags[0] * 1e12:g} ps", loc="right")
    axes.legend(ncols=2)
