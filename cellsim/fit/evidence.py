"""Which of rival sets is right, nuisances refitted for each: AIC, BIC and the likelihood of data held out.

With the same data for all: AIC = -2 ln L + 2 k, BIC = -2 ln L + k ln n, k the number of fitted parameters (priors count
as data, one each). Held-out likelihoods refit on the rest and predict the fold. Differences matter, not values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import ConvergenceError
from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.problem import Problem

Array = NDArray[np.float64]


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
    found = []
    for name, problem in problems.items():
        best = estimate(problem, starts=starts, seed=seed)
        done += 1
        if progress is not None:
            progress(done, total)
        ln_l = log_likelihood(problem, best.u, best.levels)
        own = sum(len(o.profiled) * len(o.noise.slices) for o in problem.observations)
        k = problem.space.size + own + sum(o.noise.free for o in problem.observations)
        held: list[float] = []
        for fold in range(folds):
            held.append(_held_out(problem, best, fold, folds))
            done += 1
            if progress is not None:
                progress(done, total)
        error = float(np.sqrt(folds) * np.std(held, ddof=1)) if folds > 1 else 0.0
        n = problem.size + problem.space.prior_residuals(best.u).size
        found.append(Evidence(name, best, ln_l, -2 * ln_l + 2 * k, -2 * ln_l + k * np.log(n),
                              float(np.sum(held)) if folds else None, error))  # fmt: skip
    return tuple(sorted(found, key=lambda e: -e.held_out if e.held_out is not None else e.aic))


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
    rest = problem.only([~m for m in out])
    try:
        fit = estimate(rest, starts=1, at=best.u, levels=_of_rest(best.levels, out))
    except ConvergenceError:
        return -np.inf
    tested = problem.only(out)
    kept = [k for k, m in enumerate(out) if m.any()]
    r = tested.residuals(fit.u, best.levels[kept])[: tested.size]
    sizes = np.array([o.size for o in tested.observations])
    return float(-0.5 * r @ r - sizes @ np.log(best.levels[kept]))


def _of_rest(levels: Array, out: list[NDArray[np.bool_]]) -> Array:
    return np.array([level for level, m in zip(levels, out, strict=True) if not m.all()])
