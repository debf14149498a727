"""A fit from its file to a folder: numbers (JSON), a set (TOML), lines for the terminal, figures, one page.

The properties are drawn with bands over the concentrations that the experiments visited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, CellsimError
from cellsim.drawing import page
from cellsim.fit.bands import Bands, draw_bands
from cellsim.fit.estimate import Direction, Estimate, describe, directions, estimate
from cellsim.fit.figures import FIGURES, draw_data, draw_likelihood_profiles, draw_properties
from cellsim.fit.likelihood_profile import LikelihoodProfile, profiles
from cellsim.fit.posterior import Posterior, sample
from cellsim.fit.recipe import Recipe
from cellsim.instruments.looks import SetLook
from cellsim.run.case import Case

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


NUMBERS, SET, REPORT, CHAIN, KEPT = "fit.json", "fitted_set.toml", "fit.html", "posterior.h5", "profiles"
Progress = Callable[[str, int, int], None]
REFITS = 3
"""How often a fit begins again from a better point that a profile found."""


@dataclass(frozen=True)
class FitResult:
    """All that a fit found.

    Parameters
    ----------
    recipe : Recipe
        What was asked.
    estimate : Estimate
        The best point.
    directions : tuple of Direction
        Of the data's own information, the weakest first.
    profiles : mapping
        Parameter -> profile likelihood; empty where none was asked.
    posterior : Posterior, optional
        Where it was asked.
    """

    recipe: Recipe
    estimate: Estimate
    directions: tuple[Direction, ...]
    profiles: Mapping[str, LikelihoodProfile]
    posterior: Posterior | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Parameters these data hold no value for: by their profile where there is one, else by the curvature."""
        held = self.estimate.held_by
        return tuple(
            name for name in self.estimate.space.names
            if (self.profiles[name].shape != "bounded" if name in self.profiles else held[name] == "nothing")
        )  # fmt: skip


def run_fit(
    recipe: Recipe,
    directory: str | Path,
    *,
    starts: int = 3,
    with_profiles: bool = True,
    posterior_steps: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> FitResult:
    """Fit, profile and, where asked, sample; what took long is kept in the folder and taken up again.

    Parameters
    ----------
    recipe : Recipe
        As :func:`cellsim.fit.recipe.read_recipe` gives it.
    directory : str or Path
        Where partial results are kept.
    starts : int
        Searches.
    with_profiles : bool
        Whether to compute profile likelihoods.
    posterior_steps : int
        Steps of the sampler; 0: none.
    workers : int
        Processes for profiles and sampler.
    progress : callable, optional
        Called with (what, done, of all).

    Returns
    -------
    FitResult

    Raises
    ------
    ConvergenceError
        The fit found no end.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)

    def tell(what: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(what, done, total)

    found = estimate(recipe.problem, starts=starts, progress=tell("fitting"))
    curves: dict[str, LikelihoodProfile] = {}
    for _ in range(REFITS if with_profiles else 0):
        curves = profiles(found, workers=workers, folder=directory / KEPT, progress=tell("profile likelihoods"))
        better = [c for c in curves.values() if c.better]
        if not better:
            break
        lowest = min(better, key=lambda c: float(c.delta.min()))
        found = estimate(recipe.problem, starts=1, at=lowest.others[int(lowest.delta.argmin())], levels=found.levels)
    drawn = None
    if posterior_steps:
        drawn = sample(
            found, steps=posterior_steps, workers=workers, file=directory / CHAIN, progress=tell("posterior")
        )
    return FitResult(recipe, found, directions(found.data_information, found.space), curves, drawn)


def lines(result: FitResult) -> list[str]:
    """What the terminal shows."""
    found = result.estimate
    told = [
        f"{result.recipe.title}: {found.problem.size} points, {found.space.size} parameters, chi2 "
        f"{found.chi2_data:.1f} for {found.degrees_of_freedom} degrees of freedom, {len(found.starts)} starts"
    ]
    told += _agreement(found)
    if not result.profiles:
        told += describe(found)
    else:
        width = max(len(name) for name in found.space.names)
        for name, one in result.profiles.items():
            told.append(f"{name:<{width}}  {_value(result, name, one)}")
        told += describe(found, names=())
    weak = [d for d in result.directions if d.weak]
    if weak:
        told.append("what the data alone do not tell:")
        told += [f"  {d.text}" for d in weak]
    if result.posterior is not None:
        told.append(f"posterior: {result.posterior.message}")
    return told


def _agreement(found: Estimate) -> list[str]:
    """Whether the starts came to one point, whether the data are described, and free noise levels."""
    told = []
    ends = [s for s in found.starts if s.converged and s.chi2 < found.chi2 + 0.1]
    if len(found.starts) > 1 and len(ends) < len(found.starts):
        told.append(f"only {len(ends)} of {len(found.starts)} starts came to this point; the best one is reported")
    for o, level in zip(found.problem.observations, found.levels, strict=True):
        if o.noise.free:
            told.append(f"{o.label}: noise level {level:.3g} times the error it was given")
    if found.edge:
        told.append(
            f"a little further in {', '.join(found.edge)} the cell cannot be run to these data: the best point may "
            "stand at that edge, and errors by curvature then mean nothing"
        )
    free = max(found.degrees_of_freedom, 1)
    if not any(o.noise.free for o in found.problem.observations) and found.chi2_data > free + 5 * math.sqrt(2 * free):
        told.append(
            f"chi2 is {found.chi2_data / free:.2f} per degree of freedom: the model or the errors are wrong, and the "
            "intervals too narrow"
        )
    return told


def _value(result: FitResult, name: str, one: LikelihoodProfile) -> str:
    found = result.estimate
    p = found.space.parameters[found.space.index(name)]
    unit = f" {p.unit}" if p.unit else ""
    if one.shape != "bounded":
        return f"not identified: {one.text(p)}"
    low, high = one.interval
    doubt = "" if one.checked else "  (a refit from elsewhere came to another end)"
    prior = "  [its prior; the data add little]" if found.held_by[name] == "prior" else ""
    return f"{found.values[name]:.5g}{unit}, 95 % {low:.4g} to {high:.4g}{prior}{doubt}"


def numbers(result: FitResult) -> dict[str, Any]:
    """The same for programs, SI."""
    found = result.estimate
    parameters = {}
    for k, p in enumerate(found.space.parameters):
        one = result.profiles.get(p.name)
        parameters[p.name] = {
            "value": found.values[p.name], "error": _number(found.errors[p.name]), "unit": p.unit, "path": p.path,
            "relative_error": _number(float(found.sd[k])) if p.logarithmic else None,
            "held_by": found.held_by[p.name], "start": p.start,
            "prior": None if p.prior is None else {"mean": p.prior.mean, "sd": p.prior.sd},
            "identified": p.name not in result.unknown,
            "interval": None if one is None else [_number(x) for x in one.interval],
            "shape": None if one is None else one.shape,
            "profile": None if one is None else {"value": one.value.tolist(), "delta_chi2": one.delta.tolist()},
        }  # fmt: skip
    drawn = result.posterior
    return {
        "title": result.recipe.title, "parameters": parameters, "correlation": found.correlation.tolist(),
        "order": list(found.space.names), "chi2": found.chi2_data, "chi2_with_priors": found.chi2,
        "points": found.problem.size, "degrees_of_freedom": found.degrees_of_freedom,
        "noise_levels": {o.label: float(x) for o, x in zip(found.problem.observations, found.levels, strict=True)},
        "starts": [{"chi2": s.chi2, "converged": s.converged} for s in found.starts],
        "directions": [{"sd": _number(d.sd), "weights": d.weights, "text": d.text} for d in result.directions],
        "posterior": None if drawn is None else {
            "converged": drawn.converged, "message": drawn.message, "steps": drawn.steps,
            "intervals": {name: list(drawn.interval(name)) for name in found.space.names},
        },
        "evaluations": found.evaluations,
    }  # fmt: skip


def _number(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def write_fit(result: FitResult, directory: str | Path) -> list[Path]:
    """Write ``fit.json``, ``fitted_set.toml``, the figures and ``fit.html``.

    Parameters
    ----------
    result : FitResult
        What was found.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    found, title = result.estimate, result.recipe.title
    note = _note(result)
    drawn = [draw_data(found, directory / FIGURES[0], title=title, note=note)]
    if result.profiles:
        drawn.append(
            draw_likelihood_profiles(
                found,
                result.profiles,
                directory / FIGURES[1],
                title="Profile likelihoods",
                note="Others refitted at every point; dashed: 95 %. An open side bounds nothing.",
            )
        )
    fitted = [form.name for form in found.problem.model.forms]
    written = [*drawn]
    if fitted:
        points = result.posterior.draws[:: max(1, len(result.posterior.draws) // 300)] if result.posterior else None
        bands = property_bands(found, points)
        drawn.append(
            draw_properties(
                bands,
                directory / FIGURES[2],
                fitted=fitted,
                title="Properties where the cells have been",
                note=f"Bands: 95 %. Grey: not fitted. {note}",
            )
        )
        text = fitted_set(
            found, name=result.recipe.path.stem, title=title, source=f"the fit {result.recipe.path.name}",
            unknown=tuple(n for n in result.unknown if found.space.parameters[found.space.index(n)].path),
        )  # fmt: skip
        (directory / SET).write_text(text, encoding="utf-8")
        written = [*drawn, directory / SET]
    (directory / NUMBERS).write_text(json.dumps(numbers(result), indent=2) + "\n", encoding="utf-8")
    (directory / REPORT).write_text(_page(result, drawn), encoding="utf-8")
    return [*written, directory / NUMBERS, directory / REPORT]


def _note(result: FitResult) -> str:
    unknown = f" Not identified: {', '.join(result.unknown)}." if result.unknown else ""
    return f"Set {result.estimate.problem.model.base.name} with what was fitted.{unknown}"


def _page(result: FitResult, figures: list[Path]) -> str:
    found = result.estimate
    rows = []
    for k, p in enumerate(found.space.parameters):
        one = result.profiles.get(p.name)
        known = p.name not in result.unknown
        spread = f"{100 * found.sd[k]:.2g} %" if p.logarithmic else f"{found.errors[p.name]:.2g} {p.unit}"
        rows.append((
            p.name, f"{found.values[p.name]:.5g} {p.unit}" if known else "not identified", spread if known else "",
            "" if one is None else one.text(p), "" if p.prior is None else f"{p.prior.mean:.4g} ({p.prior.sd:.2g})",
        ))  # fmt: skip
    base = found.problem.model.base
    warned = [] if base.status == "measured" else [page.warning(f"Base set {base.name}: {base.status}. {base.note}")]
    if result.unknown:
        warned.append(page.warning(f"These data hold no value for {', '.join(result.unknown)}."))
    return page.page(
        result.recipe.title, *warned, *(page.paragraph(t) for t in lines(result)[: 1 + len(_agreement(found))]),
        page.table(("parameter", "value", "standard error", "95 % by profile likelihood", "prior (sd)"), rows),
        page.heading("What the data alone tell, weakest direction first"),
        page.bullets([d.text for d in result.directions]),
        page.heading("Figures"), page.figures(figures), page.heading("The fit"), page.verbatim(result.recipe.text),
    )  # fmt: skip


def write_bands(case: Case, found: Bands, directory: str | Path) -> list[str]:
    """Write ``bands.csv`` (i and V with their quantiles) and ``bands.png``; what was found, in lines."""
    directory = Path(directory)
    names = [f"{100 * q:g}%" for q in found.quantiles]
    head = ["time (s)", *(f"i {n} (A/m^2)" for n in names), *(f"V {n} (V)" for n in names)]
    table = np.column_stack([found.time, found.i.T, found.V.T])
    np.savetxt(directory / "bands.csv", table, delimiter=",", header=",".join(head), comments="", fmt="%.9g")
    draw_bands(found, directory / "bands.png", title=case.title, note=case.transport.note)
    low, middle, high = (float(found.i[k, -1]) for k in (0, 2, 4))
    told = [f"i at the end: {middle:.4g} A/m^2, 95 % {low:.4g} to {high:.4g} ({found.draws} draws of the set)"]
    if found.failed:
        told.append(f"{found.failed} draws could not be run and are left out: the bands are too narrow")
    return told
