"""A fit in pictures: data and best model with residuals, and profile likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import CONCENTRATION
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.fit.estimate import Estimate
from cellsim.fit.experiment import Observation
from cellsim.fit.likelihood_profile import LikelihoodProfile
from cellsim.instruments.looks import SetLook, Values
from cellsim.instruments.measurement import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DATA, PROFILES = "fit_data.png", "fit_profiles.png"
SHOWN = 5
"""Profiles drawn of an observation, spread over its times."""
COLUMNS = 3
"""Panels of profile likelihoods in a row."""


def draw_data(fit: Estimate, path: str | Path, *, title: str = "", note: str = "") -> Path:
    """Each observation with the best model, its residuals to the right.

    Parameters
    ----------
    fit : Estimate
        The fit.
    path : str or Path
        PNG, PDF or SVG.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    observations, predictions = fit.problem.observations, fit.problem.predictions(fit.u)
    owners = [e for e in fit.problem.experiments for _ in e.observations]
    size = {"width": figstyle.TWO_COLUMNS, "height": 2.1}
    with figstyle.drawing(path, len(observations), 2, title=title, note=note, **size) as (_, axes):
        for k, (o, predicted, level) in enumerate(zip(observations, predictions, fit.levels, strict=True)):
            if isinstance(o.look, SetLook):
                at_best = fit.problem.transport(fit.values, owners[k].cell.temperature)
                _draw_points(axes[2 * k], o, at_best, o.roles(fit.values), float(level))
            else:
                _draw_observation(axes[2 * k], o, o.adjusted(predicted), float(level))
            _draw_residuals(axes[2 * k + 1], o, o.residual(predicted) / level)
    return Path(path)


def _draw_observation(axes: Axes, o: Observation, best: Array, level: float) -> None:
    quantity = QUANTITIES[o.kind]
    measured, model = quantity.scale * o.value, quantity.scale * best
    error = quantity.scale * level * (o.noise.own if o.error is None else o.error)
    if o.position is not None and o.time.size:
        groups, where = (o.position, o.time / 60) if o.kind == "velocity" else (o.time, 1e3 * o.position)
        values = np.unique(groups)
        if o.kind != "velocity":
            values = values[np.unique(np.linspace(0, values.size - 1, SHOWN).astype(int))]
        for value, colour in zip(values, figstyle.shades(values.size), strict=True):
            here = groups == value
            if o.kind == "velocity":
                figstyle.points(axes, where[here], measured[here], error[here], color=colour)
                label = f"{1e3 * value:.2f} mm"
            else:
                axes.plot(where[here], measured[here], ".", color=colour, markersize=2, alpha=0.6)
                label = f"{value / 60:.4g} min"
            axes.plot(where[here], model[here], color=colour, label=label)
        over_time = o.kind == "velocity"
        axes.set_xlabel(figstyle.label("$t$", "min") if over_time else figstyle.label("$x$", "mm", _FROM))
        figstyle.legend_above(axes, columns=5)
    elif o.time.size:
        figstyle.points(axes, o.time / 60, measured, error)
        axes.plot(o.time / 60, model, color=figstyle.COLOURS[1])
        axes.set_xlabel(figstyle.label("$t$", "min"))
    else:
        figstyle.points(axes, np.arange(o.size), measured, error)
        axes.plot(np.arange(o.size), model, color=figstyle.COLOURS[1])
        axes.set_xlabel("point")
    axes.set_ylabel(figstyle.label(quantity.symbol, quantity.figure_unit, o.label if len(o.label) < 18 else ""))


def _draw_points(axes: Axes, o: Observation, transport: Electrolyte, roles: Values, level: float) -> None:
    """A table against concentration, and the curve of the best set between its ends."""
    quantity, look = QUANTITIES[o.kind], cast(SetLook, o.look)
    c = np.linspace(look.c.min(), look.c.max(), 101)
    curve = roles["gain"] * replace(look, c=c).predict(transport, None, roles)
    figstyle.points(axes, look.c / 1e3, quantity.scale * o.value, quantity.scale * level * o.noise.own)
    axes.plot(c / 1e3, quantity.scale * curve, color=figstyle.COLOURS[1])
    axes.set_xlabel(figstyle.label("$c$", CONCENTRATION))
    axes.set_ylabel(figstyle.label(quantity.symbol, quantity.figure_unit, o.label if len(o.label) < 18 else ""))


_FROM = "from the positive electrode"


def _draw_residuals(axes: Axes, o: Observation, r: Array) -> None:
    """Whitened residuals against time, one column of dots per profile."""
    x, name = o.time / 60, figstyle.label("$t$", "min")
    if isinstance(o.look, SetLook):
        x, name = o.look.c / 1e3, figstyle.label("$c$", CONCENTRATION)
    elif not o.time.size:
        x, name = np.arange(r.size, dtype=float), "point"
    axes.axhspan(-2, 2, color=figstyle.GREY, alpha=0.15, linewidth=0)
    axes.plot(x, r, ".", markersize=2, color=figstyle.COLOURS[0], alpha=0.5)
    axes.axhline(0, color=figstyle.GREY, linewidth=0.6)
    axes.set_xlabel(name)
    axes.set_ylabel("residual (standard errors)")
    axes.margins(x=0.02)
    reach = max(4.0, 1.1 * float(np.max(np.abs(r))))
    axes.set_ylim(-reach, reach)


def draw_likelihood_profiles(
    fit: Estimate, profiles: Mapping[str, LikelihoodProfile], path: str | Path, *, title: str = "", note: str = ""
) -> Path:
    """Delta chi2 of every parameter, threshold and shape.

    Parameters
    ----------
    fit : Estimate
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
    rows, size = -(-len(profiles) // COLUMNS), {"width": figstyle.TWO_COLUMNS, "height": 1.75}
    with figstyle.drawing(path, rows, COLUMNS, title=title, note=note, **size) as (_, axes):
        for panel, (name, profile) in zip(axes, profiles.items(), strict=False):
            p = fit.space.parameters[fit.space.index(name)]
            colour = figstyle.COLOURS[0] if profile.shape == "bounded" else figstyle.COLOURS[1]
            panel.plot(profile.value, profile.delta, "o-", color=colour, markersize=2.5)
            panel.axhline(profile.threshold, color=figstyle.GREY, linewidth=0.6, linestyle="--")
            if p.logarithmic and profile.value[-1] > 5 * profile.value[0] > 0:
                panel.set_xscale("log")
            else:
                panel.locator_params(axis="x", nbins=4)
            panel.set_ylim(-0.3, 2.2 * profile.threshold)
            panel.set_xlabel(figstyle.label(name, p.unit or "1"))
            panel.set_title(profile.shape, fontsize=7, color=colour, pad=2)
        for panel in axes[::COLUMNS]:
            panel.set_ylabel("$\\Delta\\chi^2$")
        for panel in axes[len(profiles) :]:
            panel.set_visible(False)
    return Path(path)
