"""What a fit leaves behind: properties with bands over the concentrations visited, and a set like any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import CellsimError
from cellsim.fit.estimate import Estimate
from cellsim.fit.looks import SetLook

Array = NDArray[np.float64]

PROPERTIES = ("kappa", "D", "t_plus", "one_minus_t_plus_chi")
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
        Property (:data:`PROPERTIES`) -> values, shape (n,) [SI].
    low, high : dict
        2.5 and 97.5 % quantiles over draws of the parameters.
    """

    c: Array
    best: dict[str, Array]
    low: dict[str, Array]
    high: dict[str, Array]


def visited(found: Estimate) -> tuple[float, float]:
    """Smallest and largest concentration in any of the experiments, walls included [mol/m^3]."""
    problem, values = found.problem, found.values
    low, high = np.inf, 0.0
    for e in problem.experiments:
        transport = problem.transport(values, e.cell.temperature)
        for o in e.observations:
            if isinstance(o.look, SetLook):
                seen = o.look.c if np.isnan(o.look.c_ref) else np.append(o.look.c, o.look.c_ref)
                low, high = min(low, float(seen.min())), max(high, float(seen.max()))
        solution = e.run(transport, values)
        if solution is not None:
            low, high = min(low, float(solution["c_face"].min())), max(high, float(solution["c_face"].max()))
    return low, high


def draws(found: Estimate, count: int = 300, seed: int = 0) -> Array:
    """Points u by the curvature, shape (count, p), inside the bounds; flat directions reach two units."""
    weight, directions = np.linalg.eigh(found.information)
    sd = np.minimum(1 / np.sqrt(np.maximum(weight, 1e-30)), 2.0)
    points = found.u + (np.random.default_rng(seed).standard_normal((count, found.u.size)) * sd) @ directions.T
    return np.clip(points, *found.space.bounds)


def property_bands(found: Estimate, points: Array | None = None, *, nodes: int = 60) -> PropertyBands:
    """The properties over what was visited.

    Parameters
    ----------
    found : Estimate
        The fit.
    points : ndarray, shape (n, p), optional
        Draws u; default by the curvature.
    nodes : int
        Concentrations.

    Returns
    -------
    PropertyBands
    """
    c = np.linspace(*visited(found), nodes)
    T = found.problem.experiments[0].cell.temperature

    def values(u: Array) -> Array:
        transport = found.problem.transport(found.space.values(u), T)
        return np.array([getattr(transport, name)(c) for name in PROPERTIES])

    sampled = []
    for u in draws(found) if points is None else points:
        try:
            sampled.append(values(u))
        except CellsimError:
            continue
    best = values(found.u)
    low, high = np.quantile(np.array(sampled), [0.025, 0.975], axis=0) if sampled else (best, best)
    return PropertyBands(
        c, dict(zip(PROPERTIES, best, strict=True)), dict(zip(PROPERTIES, low, strict=True)),
        dict(zip(PROPERTIES, high, strict=True)),
    )  # fmt: skip


def fitted_set(found: Estimate, *, name: str, title: str, source: str, unknown: tuple[str, ...] = ()) -> str:
    """The best set as TOML, its range what was visited, its covariance the fit's.

    Parameters
    ----------
    found : Estimate
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
    model = found.problem.model
    note = f"Fitted to {source}; valid over the concentrations visited."
    if unknown:
        note += f" NOT identified by these data, and no more than a guess: {', '.join(unknown)}."
    if any(p.path.endswith(".factor") for p in model.parameters):
        note += " The covariance leaves scale factors out."
    kept = [
        k for k, p in enumerate(found.space.parameters)
        if p.path and not p.path.endswith(".factor") and p.name not in unknown
    ]  # fmt: skip
    slope = np.array([found.space.parameters[k].error(found.values[found.space.names[k]], 1.0) for k in kept])
    matrix = found.covariance[np.ix_(kept, kept)] * np.outer(slope, slope)
    low, high = visited(found)
    set_range = found.problem.transport(found.values, found.problem.experiments[0].cell.temperature).c_range
    span = (max(low * (1 - MARGIN), set_range[0]), min(high * (1 + MARGIN), set_range[1]))
    return model.document(
        found.values, name=name, title=title, note=note, source=source, span=span,
        covariance=([found.space.parameters[k].path for k in kept], matrix),
    )  # fmt: skip
