"""The functions of a fitted set over the concentrations that the experiments have visited, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellsim.base import Array, CellsimError
from cellsim.drawing import figstyle
from cellsim.electrolyte.properties import PRODUCT, PROPERTIES
from cellsim.electrolyte.relations import band
from cellsim.fit.estimate import Estimate
from cellsim.instruments.looks import SetLook

FUNCTIONS = tuple("one_minus_t_plus_chi" if name == "chi" else name for name in PROPERTIES)
"""What is drawn of a set: its properties, chi times (1 - t+), which is what the equations and so the data see of it."""


@dataclass(frozen=True)
class PropertyBands:
    """The set's functions over what was visited, with 95 % bands.

    Parameters
    ----------
    c : ndarray, shape (n,)
        [mol/m^3]
    best : dict
        Function (:data:`FUNCTIONS`) -> values, shape (n,) [SI].
    low, high : dict
        2.5 and 97.5 % quantiles over draws of the parameters.
    """

    c: Array
    best: dict[str, Array]
    low: dict[str, Array]
    high: dict[str, Array]


def visited(fit: Estimate) -> tuple[float, float]:
    """Smallest and largest concentration in any of the experiments, walls included [mol/m^3]."""
    problem, values = fit.problem, fit.values
    visited = []
    for e in problem.experiments:
        transport = problem.transport(values, e.cell.temperature)
        for o in e.observations:
            if isinstance(o.look, SetLook):
                visited.append(o.look.c if np.isnan(o.look.c_ref) else np.append(o.look.c, o.look.c_ref))
        solution = e.run(transport, values)
        if solution is not None:
            visited.append(solution["c_face"])
    return min(float(c.min()) for c in visited), max(float(c.max()) for c in visited)


def draws(fit: Estimate, count: int = 300, seed: int = 0) -> Array:
    """Points u by the curvature, shape (count, p), inside the bounds; flat directions reach two units."""
    weight, directions = np.linalg.eigh(fit.information)
    sd = np.minimum(1 / np.sqrt(np.maximum(weight, 1e-30)), 2.0)
    points = fit.u + (np.random.default_rng(seed).standard_normal((count, fit.u.size)) * sd) @ directions.T
    return np.clip(points, *fit.space.bounds)


def property_bands(fit: Estimate, points: Array | None = None, *, nodes: int = 60) -> PropertyBands:
    """The set's functions over what was visited.

    Parameters
    ----------
    fit : Estimate
        The fit.
    points : ndarray, shape (n, p), optional
        Draws u; default by the curvature.
    nodes : int
        Concentrations.

    Returns
    -------
    PropertyBands
    """
    c = np.linspace(*visited(fit), nodes)
    T = fit.problem.experiments[0].cell.temperature

    def values(u: Array) -> Array:
        transport = fit.problem.transport(fit.space.values(u), T)
        return np.array([getattr(transport, name)(c) for name in FUNCTIONS])

    sampled = []
    for u in draws(fit) if points is None else points:
        try:
            sampled.append(values(u))
        except CellsimError:
            continue
    best = values(fit.u)
    low, high = band(sampled)[[0, -1]] if sampled else (best, best)
    return PropertyBands(c, *(dict(zip(FUNCTIONS, rows, strict=True)) for rows in (best, low, high)))


def draw_properties(
    bands: PropertyBands, path: str | Path, *, fitted: Sequence[str] = (), title: str = "", note: str = ""
) -> Path:
    """The four functions over the concentrations visited, with 95 % bands.

    Parameters
    ----------
    bands : PropertyBands
        What :func:`property_bands` gives.
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
    size = {"width": figstyle.TWO_COLUMNS, "height": 1.8}
    x = bands.c / 1e3
    with figstyle.drawing(path, 2, 2, title=title, note=note, sharex=True, **size) as (_, axes):
        for panel, (name, best) in zip(axes, bands.best.items(), strict=True):
            kind = PROPERTIES.get(name)
            scale = 10.0 ** np.floor(np.log10(np.max(np.abs(best)))) if name == "D" else 1.0
            touched = name in fitted or (kind is None and {"chi", "t_plus"} & set(fitted))
            colour = figstyle.COLOURS[0] if touched else figstyle.GREY
            low, high = bands.low[name] / scale, bands.high[name] / scale
            panel.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(x, best / scale, color=colour)
            symbol, unit = (kind.symbol, kind.figure_unit) if kind else (PRODUCT, "1")
            power = "" if scale == 1.0 else f"10$^{{{int(np.log10(scale))}}}$ "
            panel.set_ylabel(figstyle.label(symbol, power + unit))
            # a band that says "not known" would flatten the rest: three times the best value is enough of it
            size_of = float(np.max(np.abs(best / scale)))
            bottom, top = max(float(np.min(low)), -3 * size_of), min(float(np.max(high)), 3 * size_of)
            pad = 0.08 * (top - bottom) or 0.1 * size_of
            panel.set_ylim(bottom - pad, top + pad)
            panel.set_xlim(x[0], x[-1])
        for panel in axes[2:]:
            panel.set_xlabel(figstyle.label("$c$", "mol L$^{-1}$", "salt"))
    return Path(path)
