"""A fit in pictures: data and best model with residuals, profile likelihoods, the properties with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import CURRENT, SPEED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.fit.estimate import Estimate
    from cellsim.fit.experiment import Observation
    from cellsim.fit.likelihood_profile import LikelihoodProfile
    from cellsim.fit.report import PropertyBands

FIGURES = ("fit_data.png", "fit_profiles.png", "fit_properties.png")
_SCALE = {
    "current": (1.0, "$i$", CURRENT), "voltage": (1.0, "$V$", "V"), "profile": (1e-3, "$c$", "mol L$^{-1}$"),
    "velocity": (1e10, "$v$", SPEED), "signal": (1.0, "signal", "arb."), "potential": (1e3, "$U$", "mV"),
    "current_fraction": (1.0, "$\\rho_+$", "1"), "conductivity": (1.0, "$\\kappa$", "S m$^{-1}$"),
}  # fmt: skip
_SHOWN = 5
_NAMES = {"kappa": "$\\kappa$", "D": "$D$", "t_plus": "$t_+^0$", "one_minus_t_plus_chi": "$(1-t_+^0)\\,\\chi$"}
_UNITS = {"kappa": "S m$^{-1}$", "D": "m$^2$ s$^{-1}$", "t_plus": "1", "one_minus_t_plus_chi": "1"}


def draw_data(found: Estimate, path: str | Path, *, title: str = "", note: str = "") -> Path:
    """Each observation with the best model above its residuals.

    Parameters
    ----------
    found : Estimate
        The fit.
    path : str or Path
        PNG, PDF or SVG.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    observations = found.problem.observations
    predictions = found.problem.predictions(found.u)
    with figstyle.drawing(
        path, len(observations), 2, title=title, note=note, width=figstyle.TWO_COLUMNS, height=2.1
    ) as (_, axes):
        for k, (o, seen, level) in enumerate(zip(observations, predictions, found.levels, strict=True)):
            _draw_one(axes[2 * k], o, o.adjusted(seen), float(level))
            _draw_residuals(axes[2 * k + 1], o, o.residual(seen) / level)
    return Path(path)


def _draw_one(axes: Axes, o: Observation, best: Array, level: float) -> None:
    scale, symbol, unit = _SCALE[o.kind]
    error = scale * level * (o.noise.own if o.error is None else o.error)
    if o.position is not None and o.time.size:
        mm = 1e3
        times = np.unique(o.time)
        chosen = times[np.unique(np.linspace(0, times.size - 1, _SHOWN).astype(int))]
        if o.kind == "velocity":
            places = np.unique(o.position)
            for place, colour in zip(places, figstyle.shades(places.size), strict=True):
                here = o.position == place
                figstyle.points(axes, o.time[here] / 60, scale * o.value[here], error[here], color=colour)
                axes.plot(o.time[here] / 60, scale * best[here], color=colour, label=f"{mm * place:.2f} mm")
            axes.set_xlabel(figstyle.label("$t$", "min"))
        else:
            for time, colour in zip(chosen, figstyle.shades(chosen.size), strict=True):
                here = o.time == time
                x = mm * o.position[here]
                axes.plot(x, scale * o.value[here], ".", color=colour, markersize=2, alpha=0.6)
                axes.plot(x, scale * best[here], color=colour, label=f"{time / 60:.0f} min")
            axes.set_xlabel(figstyle.label("$x$", "mm", "from the positive electrode"))
        figstyle.legend_above(axes, columns=5)
    elif o.time.size:
        figstyle.points(axes, o.time / 60, scale * o.value, error)
        axes.plot(o.time / 60, scale * best, color=figstyle.COLOURS[1])
        axes.set_xlabel(figstyle.label("$t$", "min"))
    else:
        c: Any = getattr(o.look, "c", np.arange(o.size))
        figstyle.points(axes, c / 1e3, scale * o.value, error)
        order = np.argsort(c)
        axes.plot(c[order] / 1e3, scale * best[order], color=figstyle.COLOURS[1])
        axes.set_xlabel(figstyle.label("$c$", "mol L$^{-1}$"))
    axes.set_ylabel(figstyle.label(symbol, unit, o.label if len(o.label) < 18 else ""))


def _draw_residuals(axes: Axes, o: Observation, r: Array) -> None:
    """Whitened residuals against time, one column of dots per profile."""
    x = o.time / 60 if o.time.size else np.arange(r.size, dtype=float)
    axes.axhspan(-2, 2, color=figstyle.GREY, alpha=0.15, linewidth=0)
    axes.plot(x, r, ".", markersize=2, color=figstyle.COLOURS[0], alpha=0.5)
    axes.axhline(0, color=figstyle.GREY, linewidth=0.6)
    axes.set_xlabel(figstyle.label("$t$", "min") if o.time.size else "point")
    axes.set_ylabel("residual (standard errors)")
    reach = max(4.0, 1.1 * float(np.max(np.abs(r))))
    axes.set_ylim(-reach, reach)


def draw_likelihood_profiles(
    found: Estimate, profiles: Mapping[str, LikelihoodProfile], path: str | Path, *, title: str = "", note: str = ""
) -> Path:
    """Delta chi2 of every parameter, threshold and shape.

    Parameters
    ----------
    found : Estimate
        The fit.
    profiles : mapping
        Name -> profile.
    path : str or Path
        PNG, PDF or SVG.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    columns = 3
    rows = -(-len(profiles) // columns)
    with figstyle.drawing(path, rows, columns, title=title, note=note, width=figstyle.TWO_COLUMNS, height=1.75) as (
        _,
        axes,
    ):
        for panel, (name, one) in zip(axes, profiles.items(), strict=False):
            p = found.space.parameters[found.space.index(name)]
            bounded = one.shape == "bounded"
            colour = figstyle.COLOURS[0] if bounded else figstyle.COLOURS[1]
            panel.plot(one.value, one.delta, "o-", color=colour, markersize=2.5)
            panel.axhline(one.threshold, color=figstyle.GREY, linewidth=0.6, linestyle="--")
            if p.logarithmic and one.value[-1] > 5 * one.value[0] > 0:
                panel.set_xscale("log")
            panel.set_ylim(-0.3, 2.2 * one.threshold)
            panel.set_xlabel(figstyle.label(name, p.unit or "1"))
            panel.set_title(one.shape, fontsize=7, color=colour, pad=2)
            panel.locator_params(axis="x", nbins=4) if panel.get_xscale() == "linear" else None
        for panel in axes[::columns]:
            panel.set_ylabel("$\\Delta\\chi^2$")
        for panel in axes[len(profiles) :]:
            panel.set_visible(False)
    return Path(path)


def draw_properties(
    bands: PropertyBands, path: str | Path, *, fitted: Sequence[str] = (), title: str = "", note: str = ""
) -> Path:
    """The four functions over the concentrations visited, with 95 % bands.

    Parameters
    ----------
    bands : PropertyBands
        What :func:`cellsim.fit.report.property_bands` gives.
    path : str or Path
        PNG, PDF or SVG.
    fitted : sequence of str
        The properties that were fitted; the others are drawn grey.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    with figstyle.drawing(path, 2, 2, title=title, note=note, width=figstyle.TWO_COLUMNS, height=1.8, sharex=True) as (
        _,
        axes,
    ):
        for panel, (name, best) in zip(axes, bands.best.items(), strict=True):
            scale = 10.0 ** np.floor(np.log10(np.max(np.abs(best)))) if name == "D" else 1.0
            touched = name in fitted or (name == "one_minus_t_plus_chi" and {"chi", "t_plus"} & set(fitted))
            colour = figstyle.COLOURS[0] if touched else figstyle.GREY
            x = bands.c / 1e3
            panel.fill_between(
                x, bands.low[name] / scale, bands.high[name] / scale, color=colour, alpha=0.25, linewidth=0
            )
            panel.plot(x, best / scale, color=colour)
            unit = _UNITS[name] if scale == 1.0 else f"10$^{{{int(np.log10(scale))}}}$ {_UNITS[name]}"
            panel.set_ylabel(figstyle.label(_NAMES[name], unit))
            size = float(np.max(np.abs(best / scale)))
            low, high = float(np.min(bands.low[name] / scale)), float(np.max(bands.high[name] / scale))
            low, high = max(low, -3 * size), min(high, 3 * size)
            pad = 0.08 * (high - low) or 0.1 * size
            panel.set_ylim(low - pad, high + pad)
            panel.set_xlim(x[0], x[-1])
        for panel in axes[2:]:
            panel.set_xlabel(figstyle.label("$c$", "mol L$^{-1}$", "salt, where the experiments have been"))
    return Path(path)
