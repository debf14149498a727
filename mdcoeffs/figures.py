"""The one-page figure of an Onsager estimate: correlations, local exponent, window, posterior of t+ and rho+."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label
from mdcoeffs.estimate import EXPONENT_RULE, OnsagerEstimate
from mdcoeffs.onsager_run import OnsagerResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAIRS = (("++", 0, 0), ("+-", 0, 1), ("--", 1, 1))


def onsager_figure(result: OnsagerResult, path: str | Path) -> None:
    """Draw correlations, beta(t), the window, and the posterior of t+ and rho+ on one page.

    Parameters
    ----------
    result : OnsagerResult
        What was estimated.
    path : str or Path
        PNG, PDF or SVG.
    """
    m = result.matrix
    factor, unit = _time_unit(float(result.lag[-1]))
    note = f"{m.frame} frame, {m.T:g} K, {m.c / 1000:.3g} mol/L"
    if isinstance(m, OnsagerEstimate):
        note += f", {m.n_replicas} replica(s), {m.n_origins:.0f} independent origins"
    if result.notes:
        note += ". " + "; ".join(result.notes)
    with drawing(path, 2, 2, title=result.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
        _correlations(axes[0], result, factor, unit)
        _exponent(axes[1], result, factor, unit)
        name = r"$t_+^0$" if m.frame == "solvent" else r"$t_+$"
        _posterior(axes[2], result, "t_plus", f"{name} ({m.frame} frame)")
        _posterior(axes[3], result, "rho_plus", r"current fraction $\rho_+$")


def _time_unit(longest: float) -> tuple[float, str]:
    units = ((1e15, "fs"), (1e12, "ps"), (1e9, "ns"), (1e6, "µs"))
    return next(((f, u) for f, u in units if longest * f < 5e4), units[-1])


def _window(axes: Axes, result: OnsagerResult, factor: float) -> None:
    m = result.matrix
    found = m.window if isinstance(m, OnsagerEstimate) else result.slopes.window if result.slopes else None
    if found is None:
        return
    low, high = (min(max(v * factor, axes.get_xlim()[0]), axes.get_xlim()[1]) for v in found)
    axes.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0, zorder=0)


def _correlations(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    lag = result.lag * factor
    shown = lag <= lag[-1] / 4 if result.slopes is None else np.ones(lag.size, dtype=bool)
    volume = result.counts[0] + result.counts[1]
    for k, (name, i, j) in enumerate(_PAIRS):
        C = result.correlations[:, i, j] / volume * 1e20
        sign = np.sign(np.median(C[shown]))
        text = rf"$\langle\Delta r_{name[0]}\cdot\Delta r_{name[1]}\rangle$" + (" × (−1)" if sign < 0 else "")
        good = shown & (sign * C > 0)
        axes.loglog(lag[good], sign * C[good], color=COLOURS[k], linestyle=DASHES[k], label=text)
    if result.self_part is not None:
        own = result.self_part
        inside = (own.lag > 0) & (own.lag * factor <= lag[shown][-1])
        for k, ion in enumerate("+-"):
            C = own.msd[inside, k] * own.counts[k] / volume * 1e20
            axes.loglog(own.lag[inside] * factor, C, color=GREY, linewidth=0.8, linestyle=DASHES[2 * k],
                        label=f"self {ion}")  # fmt: skip
    low = np.abs(result.correlations[shown][:, [0, 1], [0, 1]]).min() / volume * 1e20
    axes.set_ylim(bottom=low / 30)
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label("", "Å²", "correlation per ion"))
    _window(axes, result, factor)
    axes.legend(ncols=1)


def _exponent(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    m = result.matrix
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label(r"$\beta$", "", "local exponent"))
    axes.set_ylim(0, 2)
    axes.set_xscale("log")
    axes.axhline(1.0, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.axhspan(1 - EXPONENT_RULE, 1 + EXPONENT_RULE, color=COLOURS[4], alpha=0.2, linewidth=0, zorder=0)
    if not isinstance(m, OnsagerEstimate) or m.local_exponent is None:
        axes.set_xlim(result.lag[0] * factor, result.lag[-1] * factor)
        _window(axes, result, factor)
        if result.slopes is not None:
            low, high = (v * factor for v in result.slopes.window)
            for k, (name, i, j) in enumerate(_PAIRS):
                axes.plot([low, high], [result.slopes.exponent[i, j]] * 2, color=COLOURS[k], linestyle=DASHES[k],
                          label=name)  # fmt: skip
            axes.legend()
        return
    exponent = m.local_exponent
    axes.set_xlim(exponent.lag[0] * factor, result.lag[-1] * factor / 4)
    for k, (name, _, _) in enumerate(_PAIRS):
        axes.plot(exponent.lag * factor, exponent.beta[:, k], color=COLOURS[k], linestyle=DASHES[k], label=name)
    _window(axes, result, factor)
    axes.set_title(f"window from {m.window[0] * factor:.3g} {unit} (grey)", loc="right")
    axes.legend(ncols=3, loc="upper center")


def _posterior(axes: Axes, result: OnsagerResult, name: str, text: str) -> None:
    m = result.matrix
    axes.set_xlabel(text)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if name == "rho_plus" and m.frame != "solvent":
        _mark(axes, "defined in the solvent frame only")
        return
    value = float(getattr(m, name))
    if m.samples is None:
        axes.axvline(value, color=COLOURS[0])
        _mark(axes, f"{value:.3g}; no posterior")
        return
    draws = m.draws(name)
    low, high = m.interval(name)
    span = np.quantile(draws, [0.002, 0.998])
    axes.hist(draws, bins=61, range=(float(span[0]), float(span[1])), color=COLOURS[5], density=True)
    axes.axvline(value, color=COLOURS[0])
    for end in (low, high):
        axes.axvline(end, color=COLOURS[0], linestyle=":")
    axes.set_ylabel("posterior")
    axes.set_title(f"{value:.3g}, 95 %: {low:.3g} to {high:.3g}", loc="right")


def _mark(axes: Axes, text: str, *, right: bool = False, top: bool = True) -> None:
    """A few words in a corner of a panel."""
    axes.annotate(
        text, (1.0 if right else 0.0, 1.0 if top else 0.0), xycoords="axes fraction",
        xytext=(-3 if right else 3, -3 if top else 3), textcoords="offset points",
        ha="right" if right else "left", va="top" if top else "bottom",
    )  # fmt: skip
