"""A fit from its file to a folder: the whole way, its result, and what is written of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, CellsimError
from cellsim.drawing import page
from cellsim.electrolyte.properties import PROPERTIES
from cellsim.electrolyte.set_covariance import LEAST_DRAWS, write_draws
from cellsim.files.folder import result_folder
from cellsim.files.writing import write_json, write_text
from cellsim.fit.estimate import DOUBTFUL, IDENTIFIED, Direction, Estimate, describe, directions, estimate
from cellsim.fit.figures import DATA, PROFILES, draw_data, draw_likelihood_profiles
from cellsim.fit.likelihood_profile import LikelihoodProfile, profiles
from cellsim.fit.mixture_model import MixtureModel
from cellsim.fit.parameters import Parameter
from cellsim.fit.posterior import Posterior, sample
from cellsim.fit.problem import STEP
from cellsim.fit.property_bands import draw_properties, property_bands, visited
from cellsim.fit.recipe import Recipe
from cellsim.fit.set_model import SetModel

if TYPE_CHECKING:
    import xarray as xr

SET_DRAWS = "fitted_set.draws.nc"
KEPT_DRAWS = 4000
"""Draws of the posterior that are written beside the set, at most."""
NUMBERS, SET, REPORT, CHAIN, KEPT = "fit.json", "fitted_set.toml", "fit.html", "posterior.npz", "profiles"
SEARCH = "search.npz"
"""What the points of a search predicted, while the fit is not finished."""
PROPERTIES_FIGURE = "fit_properties.png"
MARGIN = 0.05
"""How far the fitted set's range reaches beyond what was visited, relative: room for the last digits of a run."""
Tell = Callable[[str, int, int], None]
REFITS = 3
"""How often a fit begins again from a better point that a profile found."""
HOLDERS, NOTICED = 3, 1.1
"""Data sets named for each parameter at most, and how much wider its error must be without one that is named."""
DRAWN = 300
"""Draws of the posterior that bands on the properties rest on, at most."""


@dataclass(frozen=True)
class FitResult:
    """All that a fit found, a :class:`.Result` like any other.

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

        def is_unknown(name: str) -> bool:
            if self.estimate.early:
                return True
            return self.profiles[name].shape != "bounded" if name in self.profiles else held[name] == "nothing"

        return tuple(name for name in self.estimate.space.names if is_unknown(name))

    # ---- for people -------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """What the terminal shows."""
        fit = self.estimate
        lines = self.agreement()
        if fit.early:
            return [*lines, *(f"{name}  {fit.values[name]:.5g}, no verdict" for name in fit.space.names)]
        if not self.profiles:
            lines += describe(fit)
        else:
            width = max(len(name) for name in fit.space.names)
            lines += [f"{name:<{width}}  {self._value(name)}" for name in self.profiles]
            lines += describe(fit, names=())
        weak = [d for d in self.directions if d.weak]
        if weak:
            lines += ["what the data alone do not determine:", *(f"  {d.text}" for d in weak)]
        holders = self.holders()
        if holders:
            lines += ["which data determine each parameter:", *(f"  {line}" for line in holders)]
        lines += [line for k in range(len(self.estimate.problem.experiments)) for line in self._resistance(k)]
        if self.posterior is not None:
            lines.append(f"posterior: {self.posterior.message}")
        return lines

    def _resistance(self, k: int) -> list[str]:
        """The sum of resistances of an experiment's cell, where kappa and an interface share what is known of it."""
        fit, e = self.estimate, self.estimate.problem.experiments[k]
        of_kappa = [p.name for p in fit.space.parameters if p.path.startswith("kappa.")]
        of_interfaces = [e.nuisance[role] for role in ("R_int", "R_positive", "R_negative") if role in e.nuisance]
        if e.protocol is None or not of_kappa or not of_interfaces:
            return []

        def total(u: Array) -> float:
            values = fit.space.values(u)
            return e.resistance(fit.problem.transport(values, e.cell.temperature), values)

        steps = STEP * np.eye(fit.u.size)
        slope = np.array([(total(fit.u + step) - total(fit.u - step)) / (2 * STEP) for step in steps])
        sd, value = float(np.sqrt(slope @ fit.covariance @ slope)), total(fit.u)
        if not sd < IDENTIFIED * value:
            return []
        return [
            f"{e.name}: sum of thickness/kappa and the interfaces, which a current shows as one resistance: "
            f"{value:.5g} +/- {sd:.2g} ohm m^2"
        ]

    def agreement(self) -> list[str]:
        """How well the data are described, whether the starts came to one point, and free noise levels."""
        fit = self.estimate
        lines = [
            f"{self.recipe.title}: {fit.problem.size} points, {fit.space.size} parameters, {self._tested()}, "
            f"{len(fit.starts)} start{'s' * (len(fit.starts) != 1)}"
        ]
        for sentence in fit.early:
            lines.append(f"{sentence}; chi2 counts them as misfits, and no value or interval follows from this fit")
        ends = [s for s in fit.starts if s.converged and s.chi2 < fit.chi2 + 0.1]
        if len(fit.starts) > 1 and len(ends) < len(fit.starts):
            lines.append(
                f"only {len(ends)} of {len(fit.starts)} searches ended at this point; the best one is reported"
            )
        lines += self._by_data_set()
        for o, level in zip(fit.problem.observations, fit.levels, strict=True):
            if o.noise.free:
                lines.append(f"{o.label}: noise level {level:.3g} times the error it was given")
        if fit.edge:
            lines.append(
                f"slightly beyond this value of {', '.join(fit.edge)} the cell cannot be simulated: the best point may "
                "lie at that limit, and errors by curvature are then not valid"
            )
        freedom = fit.degrees_of_freedom
        stated = not any(o.noise.free for o in fit.problem.observations)
        if stated and freedom > 0 and fit.chi2_data > freedom + 5 * math.sqrt(2 * freedom):
            lines.append(
                f"chi2 is {fit.chi2_data / freedom:.2f} per degree of freedom: the model or the errors are wrong, and "
                "the intervals too narrow"
            )
        return lines

    def _tested(self) -> str:
        """chi2 against the degrees of freedom, or that there are none."""
        fit = self.estimate
        if fit.degrees_of_freedom > 0:
            return f"chi2 {fit.chi2_data:.1f} for {fit.degrees_of_freedom} degrees of freedom"
        return "no more points than parameters, so chi2 does not test the model"

    def holders(self) -> list[str]:
        """Of each parameter that is held, which data sets hold it: how much wider its error is without each."""
        fit = self.estimate
        without = fit.without
        if len(without) < 2 or fit.early:
            return []
        lines = []
        for k, p in enumerate(fit.space.parameters):
            if p.name in self.unknown or fit.held_by[p.name] != "data":
                continue
            wider = sorted(((float(sd[k] / fit.sd[k]), label) for label, sd in without.items()), reverse=True)
            told = []
            for factor, label in wider[:HOLDERS]:
                if factor > NOTICED:
                    lost = without[label][k] > IDENTIFIED
                    told.append(f"{label} (without it {'not determined' if lost else f'{factor:.3g} times the error'})")
            lines.append(f"{p.name}: {', '.join(told) if told else 'no single data set; several determine it alike'}")
        return lines

    def _by_data_set(self) -> list[str]:
        """What became of each data set's points, and those whose own chi2 is no accident."""
        observations, sets = self.estimate.problem.observations, self.estimate.data_sets
        lines = [note for e in self.estimate.problem.experiments for note in e.notes]
        lines += [f"{o.label}: {note}" for o in observations for note in o.notes]
        missed = [
            not o.noise.free and part.p < DOUBTFUL / len(sets) for o, part in zip(observations, sets, strict=True)
        ]
        hints = self._hints() if any(missed) or any(o.noise.free for o in observations) else [""] * len(sets)
        for o, part, hint, miss in zip(observations, sets, hints, missed, strict=True):
            if miss:
                lines.append(
                    f"{part.label}: chi2 {part.chi2:.1f} for {part.freedom:.1f} degrees of freedom: the model misses "
                    "this data set, or its errors, its clock or its units are wrong"
                )
            if hint and (miss or o.noise.free):
                lines.append(f"{part.label}: with the starting values {hint}")
        return lines

    def _hints(self) -> list[str]:
        """By observation, which misreading of its file would explain that the starting values miss it by far."""
        problem = self.estimate.problem
        values = problem.space.values(problem.space.start)
        hints: list[str] = []
        for e in problem.experiments:
            try:
                hints += e.hints(problem.transport(values, e.cell.temperature), values)
            except CellsimError:  # no run at the starting values: nothing to compare with
                hints += [""] * len(e.observations)
        return hints

    def _value(self, name: str) -> str:
        fit, profile = self.estimate, self.profiles[name]
        p = fit.space.parameters[fit.space.index(name)]
        if profile.shape != "bounded":
            return f"not identified: {profile.text(p)}"
        low, high = profile.interval
        unit = f" {p.unit}" if p.unit else ""
        doubt = "" if profile.checked else "  (a refit from another start gave another end)"
        prior = "  [its prior; the data add little]" if fit.held_by[name] == "prior" else ""
        return f"{fit.values[name]:.5g}{unit}, 95 % {low:.4g} to {high:.4g}{prior}{doubt}"

    def page(self, drawn: list[Path]) -> str:
        """The same as one HTML page with the figures `drawn`."""
        base = self.estimate.problem.model.base
        warnings = [*self.estimate.early]
        if base.status != "measured" and self._rests_on_base:
            warnings.append(f"Base set {base.name}: {base.status}. {base.note}")
        if self.unknown:
            warnings.append(f"The data do not determine {', '.join(self.unknown)}.")
        head = ("parameter", "value", "standard error", "95 % by profile likelihood", "prior (sd)")
        return page.report(
            self.recipe.title,
            *(page.paragraph(text) for text in self.agreement()),
            page.table(head, [self._row(k, p) for k, p in enumerate(self.estimate.space.parameters)]),
            *(
                (page.heading("Which data determine each parameter"), page.bullets(holders))
                if (holders := self.holders())
                else ()
            ),
            page.heading("What the data alone determine, weakest direction first"),
            page.bullets([d.text for d in self.directions]),
            warnings=warnings,
            drawn=drawn,
            sources=[("The fit", self.recipe.text)],
        )

    def _row(self, k: int, p: Parameter) -> tuple[str, ...]:
        fit, profile = self.estimate, self.profiles.get(p.name)
        known = p.name not in self.unknown
        spread = f"{100 * fit.sd[k]:.2g} %" if p.logarithmic else f"{fit.errors[p.name]:.2g} {p.unit}"
        return (
            p.name,
            f"{fit.values[p.name]:.5g} {p.unit}" if known else "not identified",
            spread if known else "",
            "" if profile is None else profile.text(p),
            "" if p.prior is None else f"{p.prior.mean:.4g} ({p.prior.sd:.2g})",
        )

    # ---- for programs -----------------------------------------------------------------------------------------------

    def numbers(self) -> dict[str, Any]:
        """What fit.json holds: values, errors, intervals, shapes, correlations, directions and every start, SI."""
        fit, posterior = self.estimate, self.posterior
        levels = zip(fit.problem.observations, fit.levels, strict=True)
        return {
            "title": self.recipe.title,
            "parameters": {p.name: self._parameter(k, p) for k, p in enumerate(fit.space.parameters)},
            "correlation": fit.correlation,
            "order": fit.space.names,
            "chi2": fit.chi2_data,
            "chi2_with_priors": fit.chi2,
            "points": fit.problem.size,
            "degrees_of_freedom": fit.degrees_of_freedom,
            "without": {
                label: dict(zip(fit.space.names, sd.tolist(), strict=True)) for label, sd in fit.without.items()
            },
            "data_sets": [vars(part) | {"p": part.p} for part in fit.data_sets],
            "noise_levels": {o.label: level for o, level in levels},
            "ended_early": fit.early,
            "starts": [{"chi2": s.chi2, "converged": s.converged} for s in fit.starts],
            "directions": [{"sd": d.sd, "weights": d.weights, "text": d.text} for d in self.directions],
            "posterior": None
            if posterior is None
            else {
                "converged": posterior.converged,
                "message": posterior.message,
                "steps": posterior.steps,
                "effective": posterior.effective.tolist(),
                "r_hat": posterior.r_hat.tolist(),
                "intervals": {name: posterior.interval(name) for name in fit.space.names},
            },
            "evaluations": fit.evaluations,
        }

    def _parameter(self, k: int, p: Parameter) -> dict[str, Any]:
        fit, profile = self.estimate, self.profiles.get(p.name)
        return {
            "value": fit.values[p.name],
            "error": fit.errors[p.name],
            "unit": p.unit,
            "path": p.path,
            "relative_error": fit.sd[k] if p.logarithmic else None,
            "held_by": fit.held_by[p.name],
            "start": p.start,
            "prior": None if p.prior is None else {"mean": p.prior.mean, "sd": p.prior.sd},
            "identified": p.name not in self.unknown,
            "interval": None if profile is None else profile.interval,
            "shape": None if profile is None else profile.shape,
            "profile": None if profile is None else {"value": profile.value, "delta_chi2": profile.delta},
        }

    def dataset(self) -> xr.Dataset:
        """Every point of the data with the best model, and the parameters with their errors and correlations."""
        import xarray as xr

        fit = self.estimate
        pairs = list(zip(fit.problem.observations, fit.problem.predictions(fit.u), strict=True))
        nothing = [np.full(o.size, np.nan) for o, _ in pairs]
        columns = {
            "observation": [np.full(o.size, o.label) for o, _ in pairs],
            "time": [o.time if o.time.size else gap for (o, _), gap in zip(pairs, nothing, strict=True)],
            "position": [gap if o.position is None else o.position for (o, _), gap in zip(pairs, nothing, strict=True)],
            "measured": [o.value for o, _ in pairs],
            "predicted": [o.adjusted(predicted) for o, predicted in pairs],
        }
        points: dict[str, Any] = {name: ("point", np.concatenate(values)) for name, values in columns.items()}
        points["residual"] = ("point", fit.residuals[: fit.problem.size], {"long_name": "in standard errors"})
        names = list(fit.space.names)
        parameters = {
            "value": ("parameter", [fit.values[name] for name in names]),
            "standard_error": ("parameter", [fit.errors[name] for name in names]),
            "correlation": (("parameter", "other"), fit.correlation),
            "unit": ("parameter", [p.unit for p in fit.space.parameters]),
        }
        return xr.Dataset(points | parameters, {"parameter": names, "other": names}, {"title": self.recipe.title})

    # ---- figures ----------------------------------------------------------------------------------------------------

    @property
    def note(self) -> str:
        """What stands under the figures."""
        unknown = f" Not identified: {', '.join(self.unknown)}." if self.unknown else ""
        base = f"Set {self.estimate.problem.model.base.name} with what was fitted." if self._rests_on_base else ""
        return f"{base}{unknown}".strip()

    @property
    def _rests_on_base(self) -> bool:
        """Whether a property of the base set is left as it was, or only scaled."""
        model = self.estimate.problem.model
        if isinstance(model, MixtureModel):
            return True
        forms = model.forms
        return len(forms) < len(PROPERTIES) or any(form.scaled for form in forms)

    def draw(self, path: str | Path) -> Path:
        """Data and best model, with residuals."""
        return draw_data(self.estimate, path, title=self.recipe.title, note=self.note)

    def figures(self, directory: Path) -> list[Path]:
        """All figures: the data, the profile likelihoods and the properties, as far as there are any."""
        drawn = [self.draw(directory / DATA)]
        if self.profiles:
            note = "Others refitted at every point; dashed: 95 %. An open side bounds nothing."
            path = directory / PROFILES
            drawn.append(
                draw_likelihood_profiles(self.estimate, self.profiles, path, title="Profile likelihoods", note=note)
            )
        model = self.estimate.problem.model
        fitted = [form.name for form in model.forms] if isinstance(model, SetModel) else []
        if fitted:
            points = None
            if self.posterior is not None:
                points = self.posterior.draws[:: max(1, len(self.posterior.draws) // DRAWN)]
            bands, path = property_bands(self.estimate, points), directory / PROPERTIES_FIGURE
            title, note = "Properties over the concentrations measured", f"Bands: 95 %. Grey: not fitted. {self.note}"
            drawn.append(draw_properties(bands, path, fitted=fitted, title=title, note=note))
        return drawn

    def set(self) -> FittedSet | None:
        """The fitted set; None where no property was fitted."""
        fit = self.estimate
        model = fit.problem.model
        if not (model.forms if isinstance(model, SetModel) else model.parameters):
            return None
        of_the_set = {p.name for p in fit.space.parameters if p.path}
        unknown = tuple(name for name in self.unknown if name in of_the_set)
        source = f"the fit {self.recipe.path.name}"
        return fitted_set(
            fit,
            name=self.recipe.path.stem,
            title=self.recipe.title,
            source=source,
            unknown=unknown,
            draws=self._drawn,
        )

    @property
    def _drawn(self) -> Array | None:
        """Draws of the posterior in u, shape (n, p), where it converged; no more than a set needs."""
        if self.posterior is None or not self.posterior.converged:
            return None
        return self.posterior.draws[:: max(1, len(self.posterior.draws) // KEPT_DRAWS)]


def run_fit(
    recipe: Recipe,
    directory: str | Path,
    *,
    starts: int = 3,
    with_profiles: bool = True,
    posterior_steps: int = 0,
    workers: int = 1,
    progress: Tell | None = None,
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

    def tell(what: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(what, done, total)

    with recipe.problem.remembering(directory / SEARCH):
        fit = estimate(recipe.problem, starts=starts, progress=tell("fitting"))
    curves: dict[str, LikelihoodProfile] = {}
    for _ in range(REFITS if with_profiles and not fit.early else 0):
        curves = profiles(fit, workers=workers, folder=directory / KEPT, progress=tell("profile likelihoods"))
        better = [curve for curve in curves.values() if curve.better]
        if not better:
            break
        lowest = min(better, key=lambda curve: float(curve.delta.min()))
        with recipe.problem.remembering(directory / SEARCH):
            fit = estimate(recipe.problem, starts=1, at=lowest.others[int(lowest.delta.argmin())], levels=fit.levels)
    posterior = None
    if posterior_steps and not fit.early:
        directory.mkdir(parents=True, exist_ok=True)
        chain = directory / CHAIN
        posterior = sample(fit, steps=posterior_steps, workers=workers, file=chain, progress=tell("posterior"))
    return FitResult(recipe, fit, directions(fit.data_information, fit.space), curves, posterior)


def write_fit(result: FitResult, directory: str | Path) -> list[Path]:
    """Write ``fit.json``, ``fitted_set.toml``, the figures and ``fit.html``, all or nothing.

    Parameters
    ----------
    result : FitResult
        What was found.
    directory : str or Path
        Made if it is not there; the profiles and the chain that :func:`run_fit` keeps in it are left alone.

    Returns
    -------
    list of Path
        The files written, the page last.
    """
    directory = Path(directory)
    with result_folder(
        directory, last=NUMBERS, stale=(DATA, PROFILES, PROPERTIES_FIGURE, SET, SET_DRAWS, REPORT)
    ) as fresh:
        drawn, fitted = result.figures(fresh), result.set()
        written = [*drawn]
        if fitted is not None:
            if fitted.draws is not None:
                told = "posterior of a fit"
                written.append(write_draws(fresh / SET_DRAWS, fitted.numbers, fitted.draws, source=told))
            written.append(write_text(fresh / SET, fitted.text))
        written.append(write_json(fresh / NUMBERS, result.numbers()))
        written.append(write_text(fresh / REPORT, result.page(drawn)))
    (directory / SEARCH).unlink(missing_ok=True)
    return [directory / path.name for path in written]


@dataclass(frozen=True)
class FittedSet:
    """A set from a fit.

    Parameters
    ----------
    text : str
        The TOML.
    numbers : tuple of str
        Numbers of the file that its covariance is of.
    draws : ndarray, shape (n, numbers), optional
        Draws of them from the posterior, in the units of the file.
    """

    text: str
    numbers: tuple[str, ...]
    draws: Array | None = None


def fitted_set(
    fit: Estimate, *, name: str, title: str, source: str, unknown: tuple[str, ...] = (), draws: Array | None = None
) -> FittedSet:
    """The best set, its range what was visited, its covariance the fit's, or that of draws of the posterior.

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
    draws : ndarray, shape (n, p), optional
        Of the posterior, in u.

    Returns
    -------
    FittedSet
    """
    model, space = fit.problem.model, fit.space
    note = f"Fitted to {source}; valid over the compositions visited."
    if unknown:
        note += f" NOT identified by these data, and no more than a guess: {', '.join(unknown)}."
    if any(p.path.endswith(".factor") for p in model.parameters):
        note += " The covariance leaves scale factors out."
    # A factor is no number of the file: what it scales is a whole table, whose points would vary together.
    covered = [
        k for k, p in enumerate(space.parameters) if p.path and not p.path.endswith(".factor") and p.name not in unknown
    ]
    slope = np.array([space.parameters[k].error(fit.values[space.names[k]], 1.0) for k in covered])
    matrix, values = fit.covariance[np.ix_(covered, covered)] * np.outer(slope, slope), None
    if draws is not None and covered and len(draws) >= LEAST_DRAWS:
        values = np.array([[space.parameters[k].value(float(u[k])) for k in covered] for u in draws])
        matrix = np.atleast_2d(np.cov(values.T))
    numbers = tuple(space.parameters[k].path for k in covered)
    said: dict[str, Any] = {"name": name, "title": title, "note": note, "source": source}
    said |= {"covariance": (numbers, matrix), "draws": None if values is None else SET_DRAWS}
    if isinstance(model, SetModel):
        low, high = visited(fit)
        first, last = model.at(fit.values, fit.problem.experiments[0].cell.temperature).c_range
        said["span"] = (max(low * (1 - MARGIN), first), min(high * (1 + MARGIN), last))
    return FittedSet(model.document(fit.values, **said), numbers, values)
