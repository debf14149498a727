"""A search for the least sum of squares that learns its derivatives on the way.

A fit's residuals cost a run of every experiment, and their derivatives as many runs as there are parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from cellsim.base import Array

TOLERANCE = 1e-9
"""Relative change of chi squared, and of the parameters, at which a search ends."""
SETTLED = 1e-3
"""Fall of chi squared still to be had from a search that ends without meeting its tolerance: 0.03 standard errors."""
SAME = 1e-6
"""The tolerance of searches from other starts, which are to tell whether they lead to the same point."""
PRECISE = 1e-5
"""The same of the search that gives the best point, as long as the runs allow: 0.003 standard errors."""
RUNS = (25, 75)
"""After how many runs a search is looked at, and how many more it may take with derivatives made at every step."""
ROUNDS = 4
"""How often a search goes on from derivatives made anew before they are made at every step."""
SHARED = (10, 6)
"""The same two where derivatives come from runs that share their time steps: they take less time, so that they are
made anew sooner. Of (25, 4) to (3, 12) a fit of six parameters and one of a beam time took the least together."""
FAR = 1e-2
"""Relative change of chi squared at which a search that began far from its end makes its derivatives anew."""


def inverse(information: Array) -> Array:
    """Covariance from information; a direction without any gets a variance of 1e12, not an error.

    Parameters
    ----------
    information : ndarray, shape (p, p)
        Symmetric.

    Returns
    -------
    ndarray, shape (p, p)
    """
    alone = np.diag(information)
    scale = np.sqrt(np.where(alone > 1e-24, alone, 1.0))  # one that nothing tells of is correlated with none
    scaled = information / np.outer(scale, scale)
    weight, directions = np.linalg.eigh(0.5 * (scaled + scaled.T))
    weight = np.maximum(weight, 1e-12)
    with np.errstate(over="ignore", invalid="ignore"):  # where all predictions are lost nothing is known of anything
        covariance = (directions / weight) @ directions.T / np.outer(scale, scale)
    return np.asarray(np.where(np.isfinite(covariance), covariance, 1e12))


class _Secants:
    """Derivatives that learn from the runs of a search: Broyden's update of rank one at every accepted step.

    Parameters
    ----------
    residuals : callable
        Of the free parameters.
    jacobian : ndarray, shape (n, free)
        To begin with.
    """

    def __init__(self, residuals: Callable[[Array], Array], jacobian: Array) -> None:
        self._residuals, self.J = residuals, jacobian
        self._run: tuple[Array, Array] | None = None
        self._last: tuple[Array, Array] | None = None

    def residuals(self, v: Array) -> Array:
        """Those at `v`, remembered."""
        self._run = v.copy(), self._residuals(v)
        return self._run[1]

    def jacobian(self, v: Array) -> Array:
        """The derivatives at the point whose residuals were asked for last."""
        assert self._run is not None
        r = self._run[1]
        if self._last is not None:
            step = v - self._last[0]
            if length := float(step @ step):
                self.J = self.J + np.outer(r - self._last[1] - self.J @ step, step) / length
        self._last = v.copy(), r
        return self.J


@dataclass(frozen=True)
class Descent:
    """Where a search for the least sum of squares ended.

    Parameters
    ----------
    v : ndarray, shape (p,)
        The point.
    chi2 : float
        Sum of squares there.
    jacobian : ndarray, shape (n, p)
        Derivatives of the residuals next to it.
    ended : bool
        Whether by these derivatives next to nothing is left to be gained.
    evaluations : int
        Residual evaluations, those of derivatives included.
    """

    v: Array
    chi2: float
    jacobian: Array
    ended: bool
    evaluations: int


def descend(
    residuals: Callable[[Array], Array],
    derivatives: Callable[[Array, bool], Array],
    v: Array,
    bounds: tuple[Array, Array],
    jacobian: Array | None = None,
    *,
    rough: bool = False,
    most: Sequence[int] = (60,),
    known: float = -np.inf,
    shared: bool = False,
) -> Descent:
    """The least sum of squares from `v` on, with derivatives that are learned on the way.

    Derivatives cost as many runs as there are parameters, a step costs one. So a search begins with those at hand and
    corrects them by what its own runs show. Where it ends they are made anew: the end is believed if by them nothing is
    left to be gained, else the search goes on with them. One that still has not ended makes them at every step.

    Parameters
    ----------
    residuals : callable
        At a point, shape (n,).
    derivatives : callable
        At a point, one-sided or central, shape (n, p).
    v : ndarray, shape (p,)
        Where to begin.
    bounds : tuple of ndarray
        Of `v`.
    jacobian : ndarray, shape (n, p), optional
        Derivatives not far from `v`; made where there are none.
    rough : bool
        Whether one-sided derivatives and :data:`SETTLED` are good enough for the end, else :data:`PRECISE` by central
        ones.
    most : sequence of int
        Steps with derivatives made at every one of them; after each number it is asked whether the search has ended.
    known : float
        Sum of squares at an end that was found before: a search that comes to it needs no derivatives of its own.
    shared : bool
        Whether derivatives come from runs that share their time steps: exact, and one run for each parameter; so they
        are made anew more often.

    Returns
    -------
    Descent
    """
    p, evaluations, chi2 = v.size, 0, np.inf
    one_side, both_sides = (1, 1) if shared else (1, 2)
    runs, rounds = SHARED if shared else (RUNS[0], ROUNDS)
    tolerance, enough = (SAME, SETTLED) if rough else (TOLERANCE, PRECISE)
    search = partial(least_squares, bounds=bounds, xtol=tolerance, gtol=1e-8, x_scale=1.0)
    first = FAR if jacobian is None else tolerance
    if jacobian is None:
        jacobian, evaluations = derivatives(v, True), one_side * p + 1
    for round_ in range(rounds):
        secants = _Secants(residuals, jacobian)
        ftol = tolerance if round_ else first
        solution = search(secants.residuals, v, jac=secants.jacobian, max_nfev=runs, ftol=ftol)
        evaluations += solution.nfev
        v, gained, chi2 = solution.x, chi2 - 2 * solution.cost, float(2 * solution.cost)
        jacobian = secants.J
        if solution.status > 0 and (gained < enough or abs(chi2 - known) < SETTLED):
            return Descent(v, chi2, jacobian, True, evaluations)
        one_sided = rough or bool(gained > 1.0)  # next to the end the derivatives of the fit itself are due
        solution.jac = jacobian = derivatives(v, one_sided)
        evaluations += (one_side if one_sided else both_sides) * p
        solution.grad = jacobian.T @ solution.fun
        if settled(solution, enough):
            return Descent(v, chi2, jacobian, True, evaluations)
    ended = False
    for runs in most:
        solution = search(residuals, v, jac=lambda v: derivatives(v, False), max_nfev=runs, ftol=tolerance)
        evaluations += solution.nfev + both_sides * p * solution.njev
        v, ended = solution.x, bool(solution.status > 0 or settled(solution))
        if ended:
            break
    return Descent(v, float(2 * solution.cost), solution.jac, ended, evaluations)


def settled(solution: Any, least: float = SETTLED) -> bool:
    """Whether chi2 could fall by no more than `least`, by its slope and curvature.

    Where data are far more exact than the runs, the runs' own error keeps chi2 from settling to :data:`TOLERANCE`.
    """
    free = solution.active_mask == 0
    slope, J = solution.grad[free], solution.jac[:, free]
    return bool(slope @ inverse(J.T @ J) @ slope < least)
