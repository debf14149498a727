"""What a fit says of the set: its functions with bands over the concentrations that were visited, and its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, CellsimError
from cellsim.electrolyte.properties import PROPERTIES
from cellsim.fit.estimate import Estimate
from cellsim.instruments.looks import SetLook

FUNCTIONS = tuple("one_minus_t_plus_chi" if name == "chi" else name for name in PROPERTIES)
"""What is drawn of a set: its properties, chi times (1 - t+), which is what the equations and so the data see of it."""
MARGIN = 0.05
"""How far the fitted set's range reaches beyond what was visited, relative: room for the last digits of a run."""


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
    low, high = np.quantile(np.array(sampled), [0.025, 0.975], axis=0) if sampled else (best, best)
    return PropertyBands(c, *(dict(zip(FUNCTIONS, rows, strict=True)) for rows in (best, low, high)))


def fitted_set(fit: Estimate, *, name: str, title: str, source: str, unknown: tuple[str, ...] = ()) -> str:
    """The best set as TOML, its range what was visited, its covariance the fit's.

    Parameters
    ----------
    fit : Estimate
        The fit.
    name, title : str
        Of the set.
    source : str
        What the fitted properties rest on.
    unknown : tuple of str
        Parameters that are not identified: named in the set's note, and left out of its covariance.

    Returns
    -------
    str
    """
    model, space = fit.problem.model, fit.space
    note = f"Fitted to {source}; valid over the concentrations visited."
    if unknown:
        note += f" NOT identified by these data, and no more than a guess: {', '.join(unknown)}."
    if any(p.path.endswith(".factor") for p in model.parameters):
        note += " The covariance leaves scale factors out."
    # A factor is no number of the file: what it scales is a whole table, whose points would vary together.
    covered = [
        k for k, p in enumerate(space.parameters) if p.path and not p.path.endswith(".factor") and p.name not in unknown
    ]
    slope = np.array([space.parameters[k].error(fit.values[space.names[k]], 1.0) for k in covered])
    matrix = fit.covariance[np.ix_(covered, covered)] * np.outer(slope, slope)
    low, high = visited(fit)
    first, last = fit.problem.transport(fit.values, fit.problem.experiments[0].cell.temperature).c_range
    return model.document(
        fit.values,
        name=name,
        title=title,
        note=note,
        source=source,
        span=(max(low * (1 - MARGIN), first), min(high * (1 + MARGIN), last)),
        covariance=([space.parameters[k].path for k in covered], matrix),
    )
