"""Which of rival sets is right, nuisances refitted for each: AIC, BIC and the likelihood of data held out.

With the same data for all: AIC = -2 ln L + 2 k, BIC = -2 ln L + k ln n, k the number of fitted parameters (priors count
as data, one each). Held-out likelihoods refit on the rest and predict the fold. Differences matter, not values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, ConvergenceError, InputError
from cellsim.electrolyte.set_file import file_of
from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.experiment import CELL_ROLES, Experiment, Selection, observe
from cellsim.fit.mixture_model import MixtureModel
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.problem import Problem
from cellsim.fit.recipe import DATA_ROLES, LINEAR_ROLES, ROLE_UNITS, SEEN, default_start, typical
from cellsim.fit.set_model import SetModel
from cellsim.instruments.measurement import Measurement
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase


@dataclass(frozen=True)
class Evidence:
    """How well one set does.

    Parameters
    ----------
    name : str
        Of the set.
    fit : Estimate
        With its nuisances refitted.
    log_likelihood : float
        At the best point, up to a constant that all sets share [1].
    aic, bic : float
        Smaller is better [1].
    held_out : float or None
        ln likelihood of the data, fold by fold, by fits to the other folds [1]; None where none was asked.
    held_out_error : float
        Standard error of it, from its scatter over the folds [1].
    """

    name: str
    fit: Estimate
    log_likelihood: float
    aic: float
    bic: float
    held_out: float | None = None
    held_out_error: float = 0.0


def evidence(
    problems: Mapping[str, Problem],
    *,
    folds: int = 5,
    starts: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Evidence, ...]:
    """Fit each problem and judge it; all must hold the same data.

    Parameters
    ----------
    problems : mapping
        Name of the set -> problem; a set without anything to fit has an empty model and nuisances only.
    folds : int
        Contiguous blocks of time that are held out in turn; 0: none.
    starts : int
        Searches of each fit.
    seed : int
        Of the other starts.
    progress : callable, optional
        Called with (fits done, of all).

    Returns
    -------
    tuple of Evidence
        The best first, by held-out likelihood, else by AIC.
    """
    total = len(problems) * (1 + folds)
    done = 0
    judged = []
    for name, problem in problems.items():
        at_work = None if progress is None else lambda *_, done=done: progress(done, total)
        best = estimate(problem, starts=starts, seed=seed, progress=at_work)
        done += 1
        if progress is not None:
            progress(done, total)
        ln_l = log_likelihood(problem, best.u, best.levels)
        own = sum(len(o.profiled) * len(o.noise.slices) for o in problem.observations)
        k = problem.space.size + own + sum(o.noise.free for o in problem.observations)
        log_densities: list[float] = []
        for fold in range(folds):
            log_densities.append(_held_out(problem, best, fold, folds))
            done += 1
            if progress is not None:
                progress(done, total)
        error = float(np.sqrt(folds) * np.std(log_densities, ddof=1)) if folds > 1 else 0.0
        n = problem.size + problem.space.prior_residuals(best.u).size
        judged.append(
            Evidence(
                name,
                best,
                ln_l,
                -2 * ln_l + 2 * k,
                -2 * ln_l + k * np.log(n),
                float(np.sum(log_densities)) if folds else None,
                error,
            )
        )
    return tuple(sorted(judged, key=lambda e: -e.held_out if e.held_out is not None else e.aic))


def log_likelihood(problem: Problem, u: Array, levels: Array) -> float:
    """ln L of data and priors at a point, up to what depends on neither sets nor error models [1]."""
    r = problem.residuals(u, levels)
    sizes = np.array([o.size for o in problem.observations])
    spread = sum(o.noise.log_determinant for o in problem.observations)
    return float(-0.5 * r @ r - sizes @ np.log(levels) - 0.5 * spread)


def folds_of(problem: Problem, fold: int, folds: int) -> list[NDArray[np.bool_]]:
    """Which points are held out: of every observation, block `fold` of `folds` in time."""
    masks = []
    for o in problem.observations:
        time = o.time if o.time.size else np.arange(o.size, dtype=float)
        order = np.unique(time)
        block = np.minimum(np.searchsorted(order, time) * folds // order.size, folds - 1)
        masks.append(np.asarray(block == fold))
    return masks


def _held_out(problem: Problem, best: Estimate, fold: int, folds: int) -> float:
    """ln likelihood of one block predicted from the others; profiled gains are taken from the block itself."""
    out = folds_of(problem, fold, folds)
    others = problem.only([~m for m in out])
    try:
        fit = estimate(others, starts=1, at=best.u, levels=_levels_of_others(best.levels, out))
    except ConvergenceError:
        return -np.inf
    tested = problem.only(out)
    in_fold = [k for k, m in enumerate(out) if m.any()]
    r = tested.residuals(fit.u, best.levels[in_fold])[: tested.size]
    sizes = np.array([o.size for o in tested.observations])
    return float(-0.5 * r @ r - sizes @ np.log(best.levels[in_fold]))


def _levels_of_others(levels: Array, out: list[NDArray[np.bool_]]) -> Array:
    return np.array([level for level, m in zip(levels, out, strict=True) if not m.all()])


START_RESISTANCE = 0.01
"""Where a resistance begins that the case does not state [ohm m^2]."""
STRONG = 10.0
"""A difference in AIC that counts as strong evidence (Burnham & Anderson, doi:10.1177/0049124104268644)."""
REACH = 100.0
"""A nuisance may go so many times up or down from its start."""


def rival(case: Case | MixtureCase, data: Sequence[Measurement], nuisances: Sequence[str]) -> Problem:
    """A case with its set as it stands and nuisances free.

    Parameters
    ----------
    case : Case or MixtureCase
        Cell, protocol and set.
    data : sequence of Measurement
        What was measured; where no errors are stated the noise level is found.
    nuisances : sequence of str
        Which are refitted: R_int, area, gain, background, time_offset, ...

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        An unknown nuisance, or none.
    """
    parameters = tuple(_parameter(role, case) for role in nuisances)
    if not parameters:
        raise InputError("--refit needs the name of at least one nuisance, such as R_int")
    observations = []
    spans = case.protocol.spans()
    for m in (m for m in data if not m.imposed(spans).all()):
        roles = {role: role for role in nuisances if role in DATA_ROLES and m.kind in SEEN[role]}
        observations.append(observe(m, case.setup, Selection(free=m.error is None), nuisance=roles))
    cell_roles = {role: role for role in nuisances if role in CELL_ROLES}
    e = Experiment(
        case.path.stem,
        case.cell,
        case.protocol,
        case.filled,
        tuple(observations),
        cell_roles,
        case.fastest,
        driven_by_total="area" in cell_roles,
        initial=case.initial,
    )
    return Problem(Space(parameters), _as_it_stands(case), (e,))


def _as_it_stands(case: Case | MixtureCase) -> SetModel | MixtureModel:
    """The set of a case with no number of it open."""
    if isinstance(case, MixtureCase):
        return MixtureModel(case.transport)
    return SetModel(file_of(case.transport), (), case.transport.solvent_motion)


def _parameter(role: str, case: Case | MixtureCase) -> Parameter:
    if role not in ROLE_UNITS:
        raise InputError(f"--refit {role}: is not a nuisance parameter; choose one of {', '.join(ROLE_UNITS)}")
    if role == "c0" and isinstance(case, MixtureCase):
        raise InputError(f"--refit {role}: is no nuisance of a cell of n components")
    start = default_start(role, case)
    if start is None and role.startswith("R_"):
        sides = {"R_positive": (case.cell.positive,), "R_negative": (case.cell.negative,)}
        both = (case.cell.positive, case.cell.negative)
        start = sum(side.resistance.at(0.0) for side in sides.get(role, both)) or START_RESISTANCE
    if start is None:
        raise InputError(f"--refit {role}: the case must state it, so that there is somewhere to begin")
    logarithmic = role not in LINEAR_ROLES
    p = Parameter(role, start, ROLE_UNITS[role], logarithmic, typical(role, case), spread=0.3)
    return replace(p, lower=start / REACH, upper=start * REACH) if logarithmic else p


def rivals(
    cases: Sequence[tuple[Case | MixtureCase, Sequence[Measurement]]], nuisances: Sequence[str]
) -> dict[str, Problem]:
    """The problems of several cases with the same data.

    Parameters
    ----------
    cases : sequence of tuple
        Each case with its measurements; the cases may differ in their set only as far as the data are concerned.
    nuisances : sequence of str
        Which are refitted.

    Returns
    -------
    dict
        Name of the set -> problem.
    """
    problems: dict[str, Problem] = {}
    for case, data in cases:
        name = case.transport.name
        problems[name if name not in problems else f"{name} ({case.path.stem})"] = rival(case, data, nuisances)
    return problems


def chi2_beside(judged: Evidence, reference: Evidence) -> float:
    """chi2 of the data by the noise levels of another fit; by its own free levels chi2 is the number of points.

    Parameters
    ----------
    judged : Evidence
        Whose misfit.
    reference : Evidence
        Whose levels.

    Returns
    -------
    float
        [1]
    """
    fit = judged.fit
    sizes = [o.size for o in fit.problem.observations]
    data = fit.residuals[: fit.problem.size] * np.repeat(fit.levels / reference.fit.levels, sizes)
    return float(data @ data)


def verdict(judged: Sequence[Evidence]) -> list[str]:
    """Which set is right, as a table for the terminal, the best set first."""
    best_aic, best_bic = min(e.aic for e in judged), min(e.bic for e in judged)
    width, top = max(len(e.name) for e in judged), judged[0].held_out
    free = any(o.noise.free for e in judged for o in e.fit.problem.observations)
    lines = [
        f"{'set':<{width}}  {'chi2':>10}  {'dAIC':>8}  {'dBIC':>8}  ln L of held-out data, less the best   refitted"
    ]
    for e in judged:
        held = "-" if e.held_out is None or top is None else f"{e.held_out - top:+.1f} (scatter {e.held_out_error:.1f})"
        remarks = {"bound": " (at its bound)", "nothing": " (not identified)"}
        held_by = e.fit.held_by
        values = ", ".join(f"{n} = {e.fit.values[n]:.4g}{remarks.get(held_by[n], '')}" for n in e.fit.space.names)
        score = f"{chi2_beside(e, judged[0]):10.1f}  {e.aic - best_aic:8.1f}  {e.bic - best_bic:8.1f}"
        lines.append(f"{e.name:<{width}}  {score}  {held:<32}  {values}")
    early = [f"{e.name}: {sentence}" for e in judged for sentence in e.fit.early]
    if early:
        return [*lines, *early, "no verdict: a run that ends before its data measures no misfit"]
    if len(judged) > 1:
        close = [e.name for e in judged if e.aic < best_aic + STRONG]
        if len(close) == 1:
            lines.append(f"{close[0]} is favoured over all others")
        else:
            others = "" if len(close) == len(judged) else "; the others are disfavoured"
            lines.append(f"the data do not distinguish {' and '.join(close)}{others}")
        if free:
            lines.append("(chi2 of every set by the noise levels that the first one's fit found)")
        lines.append(f"(a difference of {STRONG:g} in AIC counts as strong evidence)")
    return lines
