"""Heterodyne XPCS curve by curve: a frequency each, then frequency against q cos(azimuth), as Steinrueck 2020 does.

The weaker routes, for looking: a frequency next to zero is folded to positive values, so that curves at nearly a right
angle bias a mean of speeds. The speed to quote is that of `fit.fit_velocity`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.instruments.xpcs.correlation import CorrelationSet
from cellsim.instruments.xpcs.engine import RING, LeastSquares, Levels, Parameters, V, eliminate, minimise, normal
from cellsim.instruments.xpcs.fit import SHAPE
from cellsim.instruments.xpcs.search import Scan, minima, scan, starts_at, velocity_grid

OWN: Levels = (RING,) * 6
SEEN = 16.0
"""Likelihood ratio against omega = 0 from which a curve's frequency counts as seen [1]."""


@dataclass(frozen=True)
class CurveFits:
    """Every curve fitted by itself.

    Parameters
    ----------
    omega, omega_error : ndarray, shape (n,)
        Angular frequency, not negative, and its standard error [rad/s].
    contrast, h, tau0, stretch : ndarray, shape (n,)
        [1], [1], [s], [1].
    chi2 : ndarray, shape (n,)
        Of every curve [1].
    points : ndarray of int, shape (n,)
        Data points of every curve.
    ratio : ndarray, shape (n,)
        Likelihood ratio against omega = 0 [1].
    """

    omega: Array
    omega_error: Array
    contrast: Array
    h: Array
    tau0: Array
    stretch: Array
    chi2: Array
    points: NDArray[np.intp]
    ratio: Array

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Curves whose frequency is seen (:data:`SEEN`)."""
        return (self.ratio >= SEEN) & np.isfinite(self.omega_error)


def fit_curves(data: CorrelationSet, *, omega_max: float | None = None) -> CurveFits:
    """Fit each curve with five parameters of its own (Steinrueck 2020, doi:10.1039/D0EE02193H, Eq. 1).

    Parameters
    ----------
    data : CorrelationSet
        The series.
    omega_max : float, optional
        Highest frequency searched [rad/s]; default pi over the smallest step of the delays.

    Returns
    -------
    CurveFits
        In the order of the curves; a curve with fewer than six good points has NaN.

    Raises
    ------
    InputError
        If no curve has six good points.
    """
    count = data.usable.sum(axis=1)
    enough = np.flatnonzero(count > 5)
    if not enough.size:
        raise InputError(f"{data.label or 'XPCS'}: a curve needs six good points to be fitted by itself")
    step = float(np.min(np.diff(data.tau)))
    top = np.pi / step if omega_max is None else float(omega_max)
    problem = _alone(data.select(enough))
    grid = velocity_grid(problem, top / problem.scale)
    scanned = scan(problem, grid)
    choices = [np.union1d(minima(column[1:], 3) + 1, [0, 1])[:5] for column in scanned.chi2.min(axis=0).T]
    deepest = max(len(c) for c in choices)
    rows = np.stack([np.resize(c, deepest) for c in choices], axis=1)
    columns = np.arange(enough.size)
    theta = starts_at(_rows_of_curves(scanned, rows), np.arange(deepest))
    theta = theta._replace(v=np.concatenate([grid[rows]] * 2))
    fixed, chi2_fixed = minimise(problem, theta, OWN, SHAPE)
    still = np.where(fixed.v == 0, chi2_fixed, np.inf).min(axis=0)
    free, chi2 = minimise(problem, fixed._replace(v=np.maximum(fixed.v, 0.2 * grid[1])), OWN, [V, *SHAPE])
    best = np.argmin(np.where(free.v <= 1.05 * grid[-1], chi2, np.inf), axis=0)
    theta = Parameters(*(a[best, columns][None] for a in free))
    equations = normal(problem, theta, OWN, [V, *SHAPE])
    stage = eliminate(problem, equations, OWN, [V, *SHAPE], None, RING)[-1]
    lowest = chi2[best, columns]

    def of_all(values: Array) -> Array:
        """The values of the curves that were fitted, NaN for the others."""
        out = np.full(data.q.size, np.nan)
        out[enough] = values
        return out

    return CurveFits(
        omega=of_all(theta.v[0] * problem.scale),
        omega_error=of_all(np.sqrt(np.maximum(stage.inverse[0, :, 0, 0], 0.0)) * problem.scale),
        contrast=of_all(np.exp(theta.contrast[0])),
        h=of_all(1 / (1 + np.exp(-theta.h[0]))),
        tau0=of_all(np.exp(theta.tau0[0])),
        stretch=of_all(np.exp(theta.stretch[0])),
        chi2=of_all(lowest),
        points=count,
        ratio=np.nan_to_num(of_all(np.maximum(still - lowest, 0.0))),
    )


def _alone(data: CorrelationSet) -> LeastSquares:
    """Every curve a ring of its own, its phase omega tau."""
    n = data.q.size
    root = np.where(data.usable, 1 / np.where(data.usable, data.error, 1.0), 0.0)
    y = np.where(data.usable, data.g2 - 1, 0.0)
    scale = 1 / float(data.tau[-1])
    phase = np.tile(data.tau * scale, (n, 1))
    steady, curves, points = np.ones_like(phase), np.arange(n), int(data.usable.sum())
    return LeastSquares(np.log(data.tau), phase, steady, y[None], root, curves, scale, curves, 0.0, points)


def _rows_of_curves(scanned: Scan, rows: NDArray[np.intp]) -> Scan:
    """A scan whose row j holds row `rows[j, n]` of curve n."""
    columns = np.arange(rows.shape[1])
    values = (scanned.chi2, scanned.contrast, scanned.h, scanned.tau0, scanned.stretch)
    return Scan(np.zeros(len(rows)), *(a[:, rows, columns] for a in values))


@dataclass(frozen=True)
class FrequencyLine:
    """Frequencies against q |cos(azimuth)|.

    Parameters
    ----------
    v, error : float
        Slope of the line through the origin and its standard error [m/s].
    chi2 : float
        About that line [1].
    used : ndarray of bool, shape (n,)
        Curves taken: by the frequency the line predicts, never by the one measured.
    intercept, intercept_error : float
        Of a line that need not pass through the origin [rad/s]; Eq. 2 asks for 0.
    ring_q, ring_v, ring_error : ndarray, shape (rings,)
        Speed of every ring alone [1/m], [m/s], [m/s]; NaN where no curve is used.
    """

    v: float
    error: float
    chi2: float
    used: NDArray[np.bool_]
    intercept: float
    intercept_error: float
    ring_q: Array
    ring_v: Array
    ring_error: Array


def frequencies_to_velocity(data: CorrelationSet, curves: CurveFits) -> FrequencyLine:
    """omega = q v cos(azimuth) through the frequencies of single curves (Steinrueck 2020 Eq. 2, Fig. 2 c, d).

    Parameters
    ----------
    data : CorrelationSet
        The series.
    curves : CurveFits
        Its single fits.

    Returns
    -------
    FrequencyLine

    Raises
    ------
    InputError
        If fewer than three curves show a frequency.

    References
    ----------
    doi:10.1039/D0EE02193H, Eq. 2.
    """
    along = data.along
    seen = curves.seen & (along > 0.2 * along.max())
    if seen.sum() < 3:
        raise InputError(f"{data.label or 'XPCS'}: fewer than three curves show a frequency; fit them jointly")
    v = float(np.median(curves.omega[seen] / along[seen]))
    finite = np.isfinite(curves.omega) & np.isfinite(curves.omega_error) & (curves.omega_error > 0)
    noise = np.where(finite, curves.omega_error, 1.0)
    typical = float(np.median(noise[seen]))
    used = finite & (along * v > 5 * typical)
    for _ in range(3):
        off = np.abs(curves.omega - v * along) > 5 * np.maximum(noise, 1e-3 * along * v)
        chosen = used & ~off if (used & ~off).sum() >= 3 else used
        weight = np.where(chosen, noise**-2.0, 0.0)
        v = float(np.nansum(weight * along * np.nan_to_num(curves.omega)) / np.sum(weight * along**2))
    used = chosen
    omega = np.where(used, curves.omega, 0.0)
    w, x = weight[used], along[used]
    u = x / along.max()
    covariance = np.linalg.pinv(np.array([[w.sum(), (w * u).sum()], [(w * u).sum(), (w * u * u).sum()]]))
    line = covariance @ np.array([(w * omega[used]).sum(), (w * u * omega[used]).sum()])
    ring, rings = data.ring, data.ring_q.size
    below = np.bincount(ring, weight * along**2, rings)
    with np.errstate(divide="ignore", invalid="ignore"):
        ring_v = np.where(below > 0, np.bincount(ring, weight * along * omega, rings) / below, np.nan)
        ring_error = np.where(below > 0, below**-0.5, np.nan)
    chi2 = float(np.sum(w * (omega[used] - v * x) ** 2))
    error = float(np.sum(w * x * x)) ** -0.5
    intercept = (float(line[0]), float(np.sqrt(covariance[0, 0])))
    return FrequencyLine(v, error, chi2, used, *intercept, data.ring_q, ring_v, ring_error)
