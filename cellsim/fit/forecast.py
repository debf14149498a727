"""Held-out measurements predicted from the others: what errors in common tell about them included.

With r = measured - predicted at the fit to the early data, C the errors, J the derivatives, S the fit's covariance:

    late residual:   mean  K r_e,   K = C_le C_ee^-1
                     covariance  C_ll - K C_el + G S G^T,   G = J_l - K J_e

so a pattern learned from early profiles is expected again in late ones, and the parameters' own uncertainty counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from cellsim.fit.estimate import Estimate
from cellsim.fit.observation import Observation
from cellsim.fit.problem import STEP, Problem

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Forecast:
    """A prediction of held-out points.

    Parameters
    ----------
    measured, mean, sd : ndarray, shape (n,)
        Points, prediction and its standard deviation, noise included (unit of the measurement).
    whitened : ndarray, shape (n,)
        Independent standard normal numbers if the prediction and its errors are right [1].
    log_density : float
        ln of the predictive density of the points, without ln(2 pi) [1].
    """

    measured: Array
    mean: Array
    sd: Array
    whitened: Array
    log_density: float

    @property
    def z(self) -> Array:
        """Score of each point by itself, shape (n,) [1]."""
        return np.asarray((self.measured - self.mean) / self.sd)

    @property
    def chi2_per_point(self) -> float:
        """Mean square of the whitened scores: 1 if all is right."""
        return float(np.mean(self.whitened**2))

    @property
    def inside(self) -> float:
        """Share of points inside their 95 % interval."""
        return float(np.mean(np.abs(self.z) < 1.959964))

    @property
    def rms(self) -> float:
        """Root mean square of measured minus predicted (unit of the measurement)."""
        return float(np.sqrt(np.mean((self.measured - self.mean) ** 2)))


def forecast(early: Estimate, whole: Problem, late: Mask, *, observation: int = 0) -> Forecast:
    """Predict the points of one observation that a fit did not see.

    Parameters
    ----------
    early : Estimate
        The fit to the points where `late` is False; same parameters, same noise level.
    whole : Problem
        The same problem with all points.
    late : ndarray of bool, shape (n,)
        Points of the observation to predict.
    observation : int
        Which one.

    Returns
    -------
    Forecast
    """
    values = whole.predictions(early.u)[observation]
    slopes = np.empty((values.size, early.u.size))
    for k in range(early.u.size):
        e = np.zeros(early.u.size)
        e[k] = STEP
        up, down = whole.predictions(early.u + e)[observation], whole.predictions(early.u - e)[observation]
        slopes[:, k] = (up - down) / (2 * STEP)
    return conditional(
        whole.observations[observation], values, late, level=float(early.levels[observation]), slopes=slopes,
        covariance=early.covariance,
    )  # fmt: skip


def conditional(
    observation: Observation,
    predicted: Array,
    late: Mask,
    *,
    level: float = 1.0,
    slopes: Array | None = None,
    covariance: Array | None = None,
) -> Forecast:
    """Late points from early ones under any prediction.

    Parameters
    ----------
    observation : Observation
        All points and their errors; profiled gains are not supported.
    predicted : ndarray, shape (n,)
        At all points (unit of the measurement).
    late : ndarray of bool, shape (n,)
        Which to predict.
    level : float
        What the errors are multiplied by [1].
    slopes : ndarray, shape (n, p), optional
        Derivatives of the prediction.
    covariance : ndarray, shape (p, p), optional
        Of what they are derivatives by.

    Returns
    -------
    Forecast
    """
    C = level**2 * observation.noise.covariance
    residual = observation.measured - predicted
    factor = cho_factor(C[np.ix_(~late, ~late)], lower=True)
    cross = C[np.ix_(~late, late)]
    K = cho_solve(factor, cross).T
    mean = predicted[late] + K @ residual[~late]
    spread = C[np.ix_(late, late)] - K @ cross
    if slopes is not None and covariance is not None:
        G = slopes[late] - K @ slopes[~late]
        spread = spread + G @ covariance @ G.T
    spread = 0.5 * (spread + spread.T)
    L = np.linalg.cholesky(spread)
    measured = observation.measured[late]
    w = solve_triangular(L, measured - mean, lower=True)
    density = -0.5 * float(w @ w) - float(np.sum(np.log(np.diag(L))))
    return Forecast(measured, mean, np.sqrt(np.diag(spread)), np.asarray(w), density)
