"""Conductivity against salt content where segmental friction rules: kappa(r) = A r exp(-r / r_star).

References
----------
Siegel, Nazar, Chiang, Fang & Balsara, Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Eq. 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from cellsim.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrictionFit:
    """kappa(r) = A r exp(-r / r_star) fitted to data.

    Parameters
    ----------
    A : float
        Prefactor [S/m].
    r_star : float
        Salt content at which kappa is largest [1].
    covariance : array (2, 2)
        Of (A, r_star), in the squares and products of their units.
    scatter : float
        Root mean square of the residuals over the error given, or, where none was, relative to the fit [1].
    points : int
        Data points.
    """

    A: float
    r_star: float
    covariance: Array
    scatter: float
    points: int

    def kappa(self, r: ArrayLike) -> Array:
        """Conductivity at salt content `r` [S/m]."""
        x = np.asarray(r, dtype=np.float64)
        return np.asarray(self.A * x * np.exp(-x / self.r_star))


def fit_conductivity(r: ArrayLike, kappa: ArrayLike, error: ArrayLike | None = None) -> FrictionFit:
    """Fit the conductivity that segmental friction explains, kappa = A r exp(-r / r_star) (Siegel 2021, Eq. 7).

    Parameters
    ----------
    r : array (points,)
        Salt molecules per solvent repeat unit [1].
    kappa : array (points,)
        Conductivity [S/m].
    error : array (points,), optional
        Standard errors of `kappa`, taken at their word; when left out the same *relative* error for every point is
        found from the scatter [S/m].

    Returns
    -------
    FrictionFit

    Raises
    ------
    InputError
        Fewer than 3 points, values that are not positive, or data that do not bend down.
    """
    x, y = np.asarray(r, dtype=np.float64).ravel(), np.asarray(kappa, dtype=np.float64).ravel()
    if x.size != y.size or x.size < 3 or not (np.all(x > 0) and np.all(y > 0)):
        raise InputError(f"r and kappa need at least 3 positive pairs, got {x.size} and {y.size} values")
    sigma = y if error is None else np.broadcast_to(np.asarray(error, dtype=np.float64), y.shape)
    if not np.all(sigma > 0):
        raise InputError("error must be positive")
    # ln(kappa / r) is a straight line in r: the start, and, where errors are relative, the answer.
    weight = y / sigma
    slope, level = np.polyfit(x, np.log(y / x), 1, w=weight)
    if not slope < 0:
        raise InputError("kappa / r does not fall with r, so A r exp(-r / r_star) has no finite r_star")
    design = np.stack([x, np.ones(x.size)], axis=1) * weight[:, None]
    spread = np.linalg.inv(design.T @ design)
    A, r_star = float(np.exp(level)), float(-1.0 / slope)
    if error is None:
        rest = np.log(y / x) - (slope * x + level)
        spread = spread * float(rest @ rest) / (x.size - 2)
        turn = np.array([[0.0, A], [r_star**2, 0.0]])  # (slope, level) -> (A, r_star)
        return FrictionFit(A, r_star, turn @ spread @ turn.T, float(np.sqrt(rest @ rest / (x.size - 2))), x.size)
    scale = np.array([A, r_star])

    def model(x_: Array, a: float, b: float) -> Array:
        return np.asarray(a * scale[0] * x_ * np.exp(-x_ / (b * scale[1])) / scale[0])

    found, covariance = curve_fit(model, x, y / scale[0], p0=[1.0, 1.0], sigma=sigma / scale[0], absolute_sigma=True)
    best = found * scale
    rest = (y - best[0] * x * np.exp(-x / best[1])) / sigma
    return FrictionFit(
        float(best[0]), float(best[1]), covariance * np.outer(scale, scale),
        float(np.sqrt(rest @ rest / (x.size - 2))), x.size,
    )  # fmt: skip
