"""The figure of a mobility analysis: displacements and angles as in Siegel 2021, Fig. 2, the cage as in Fig. 4."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cellsim.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label
from mdcoeffs.lagged import Estimate, Lagged
from mdcoeffs.mobility_result import MobilityResult
from mdcoeffs.paddlewheel import Response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def mobility_figure(result: MobilityResult, path: str | Path) -> None:
    """Draw mean squares with their power laws, autocorrelations, and the response of the cage.

    Parameters
    ----------
    result : MobilityResult
        The result.
    path : str or Path
        PNG, PDF or SVG.
    """
    factor, unit = _time_unit(float(result.movers[0].msd.lag[-1]))
    panels = 1 + 2 * bool(result.turners) + (result.response is not None) + (result.friction is not None)
    columns = 1 if panels == 1 else 2
    rows = -(-panels // columns)
    note = f"{result.temperature:g} K; window in grey, dashed: fitted power laws; bands, bars: one standard error"
    if result.notes:
        note += ". " + "; ".join(result.notes)
    with drawing(path, rows, columns, title=result.title, note=note, width=TWO_COLUMNS if columns == 2 else 4.5,
                 height=2.5) as (_, axes):  # fmt: skip
        for spare in axes[panels:]:
            spare.remove()
        free = iter(axes)
        _laws(
            next(free), [(m.name, m.msd, m.law.alpha, m.law.prefactor) for m in result.movers], result.window, factor,
            unit, 1e20, label(r"$\langle\Delta r_i^2\rangle$", "Å²"), r"\alpha",
        )  # fmt: skip
        if result.turners:
            _laws(
                next(free), [(t.name, t.msad, t.law.alpha, t.law.prefactor) for t in result.turners], result.window,
                factor, unit, 1.0, label(r"$\langle\Delta\theta_i^2\rangle$", "rad²"), r"\alpha_\theta",
            )  # fmt: skip
            _decay(next(free), result, factor, unit)
        if result.response is not None:
            _cage(next(free), result.response)
        if result.friction is not None:
            _conductivity(next(free), result)


def _laws(
    axes: Axes, curves: list[tuple[str, Lagged, Estimate, float]], window: tuple[float, float], factor: float,
    unit: str, scale: float, text: str, symbol: str,
) -> None:  # fmt: skip
    for k, (name, msd, alpha, prefactor) in enumerate(curves):
        t, y, error = msd.lag * factor, msd.mean * scale, msd.standard_error() * scale
        shown = rf"{name}: ${symbol} = {alpha.value:.2f}$"
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(t, y, color=colour, linestyle="", marker=MARKERS[k % len(MARKERS)], markersize=2.5, label=shown)
        axes.fill_between(t, np.maximum(y - error, 1e-3 * y), y + error, color=colour, alpha=0.2, linewidth=0)
        line = np.array(window)
        axes.plot(line * factor, prefactor * line**alpha.value * scale, color=colour, linestyle="--", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvspan(window[0] * factor, window[1] * factor, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    axes.set_xlabel(label("$t$", unit))
    axes.set_ylabel(text)
    axes.legend()


def _decay(axes: Axes, result: MobilityResult, factor: float, unit: str) -> None:
    for k, turner in enumerate(result.turners):
        colour = COLOURS[k % len(COLOURS)]
        for order, (C, fit) in enumerate(zip(turner.correlations, turner.relaxations, strict=True), start=1):
            t, y, error = C.lag * factor, C.mean, C.standard_error()
            axes.errorbar(t, y, error, color=colour, marker=MARKERS[order - 1], markersize=2.5, linestyle="",
                          elinewidth=0.6, markerfacecolor=colour if order == 1 else "none",
                          label=f"{turner.name}: $C_{order}$")  # fmt: skip
            if np.isfinite(fit.tau):
                x = np.geomspace(C.lag[0], fit.longest, 100)
                axes.plot(x * factor, np.exp(-x / fit.tau), color=colour, linestyle=DASHES[order])
    axes.set_xscale("log")
    axes.set_xlabel(label("$t$", unit))
    axes.set_ylabel(r"orientational autocorrelation $C_l$")
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.legend()


def _cage(axes: Axes, found: Response) -> None:
    factor, unit = _time_unit(float(found.delay[-1]))
    t, y, error = found.delay * factor, np.degrees(found.excess), np.degrees(found.error)
    axes.fill_between(t, y - error, y + error, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(t, y, color=COLOURS[0])
    axes.axvline(0.0, color=GREY, linestyle=":", linewidth=0.9)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.set_xlabel(label("time after the jump", unit))
    axes.set_ylabel(label("turn of the cage above average", "°"))
    told = "told from chance" if found.coupled else "not told from chance"
    axes.set_title(f"{found.events} jumps; {told} (p = {found.chance:.2g})", loc="right")


def _conductivity(axes: Axes, result: MobilityResult) -> None:
    fit, data = result.friction, result.friction_data
    assert fit is not None and data is not None
    r = np.array(data.r)
    error = None if data.error is None else 10 * np.array(data.error)
    axes.errorbar(r, 10 * np.array(data.kappa), error, color=COLOURS[6], marker="o", markerfacecolor="none",
                  linestyle="", label="data")  # fmt: skip
    x = np.linspace(0, 1.05 * r.max(), 200)
    axes.plot(x, 10 * fit.kappa(x), color=COLOURS[0], label=rf"$A\,r\,e^{{-r/r^*}}$, $r^* = {fit.r_star:.3g}$")
    axes.set_xlabel("$r$")
    axes.set_ylabel(label(r"$\kappa$", "mS/cm"))
    axes.set_ylim(bottom=0)
    axes.legend()


def _time_unit(longest: float) -> tuple[float, str]:
    units = ((1e15, "fs"), (1e12, "ps"), (1e9, "ns"), (1e6, "µs"))
    return next(((f, u) for f, u in units if longest * f < 2e3), units[-1])
