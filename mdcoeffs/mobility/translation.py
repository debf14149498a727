"""Translation: mean-squared displacements, their exponents, the mobility order parameter; conductivity by friction.

``<dr_i^2(t)> = D_i t^alpha_i`` (Eq. 2): alpha_i is the slope of ln <dr_i^2> against ln t over a stated window, every
lag of the (evenly log-spaced) window weighing the same. ``M = alpha_i / alpha_+`` (Eq. 3). Where segmental friction
rules, ``kappa(r) = A r exp(-r / r_star)`` (Eq. 7).

References
----------
Siegel, Nazar, Chiang, Fang & Balsara, Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Eqs. 1-3 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import curve_fit

from cellsim.base import Array, InputError, Ints, e, k_B
from mdcoeffs.statistics.correlate import log_lags
from mdcoeffs.statistics.lagged import Lagged, LaggedEstimate, blocks_of, estimate, groups_of, squares

Window = tuple[float, float]

EPSILON_0 = 8.8541878188e-12
"""Vacuum permittivity, CODATA 2022 [F/m]."""
FEWEST_LAGS = 3
"""Fewest lags in a window."""
LONGEST = 0.5
"""Largest part of the run a lag may be."""
DEFAULT = (0.02, 0.2)
"""Window where none is asked for, as parts of the shortest run."""


@dataclass(frozen=True, eq=False)
class Exponent:
    """Exponent of a power law over a window.

    Parameters
    ----------
    alpha : LaggedEstimate
        The exponent [1].
    prefactor : float
        Mean square at a lag of 1 s by the power law; square of the unit of the paths per s^alpha.
    window : tuple of float
        First and last lag used [s].
    """

    alpha: LaggedEstimate
    prefactor: float
    window: Window


def lags_for(frames: int, dt: float, window: Window, *, per_decade: int = 12) -> Ints:
    """Lags in frames, log-spaced from 1 up to the end of the window and a little beyond.

    Parameters
    ----------
    frames : int
        Frames of the run.
    dt : float
        Time between frames [s].
    window : tuple of float
        First and last lag of the fits [s].
    per_decade : int
        Lags per factor of ten.

    Returns
    -------
    array of int (lags,)

    Raises
    ------
    InputError
        A window that does not fit the run.
    """
    run = (frames - 1) * dt
    last = min(int(np.floor(window[1] / dt * 1.5)), int(LONGEST * (frames - 1)))
    inside = []
    if last >= 1:
        lags = log_lags(frames, per_decade=per_decade, longest=last)[1:]
        inside = [lag for lag in lags if _inside(lag * dt, window)]
    if len(inside) < FEWEST_LAGS or window[1] > LONGEST * run * (1 + 1e-9):
        raise InputError(
            f"mobility.window: {len(inside)} lags lie in {window[0]:.3g} to {window[1]:.3g} s, at least {FEWEST_LAGS} "
            f"are needed and none longer than half of the run, which has {frames} frames and lasts {run:.3g} s: the "
            f"run is too short or stored too seldom for an exponent there"
        )
    return lags


def displacements(paths: ArrayLike, dt: float, lags: Ints, *, owner: Ints | None = None, longest: int = 0) -> Lagged:
    """Squared displacements of single particles at a set of lags.

    Parameters
    ----------
    paths : array (particles, frames, dimensions)
        Unwrapped positions [m], or unwrapped angles [rad].
    dt : float
        Time between frames [s].
    lags : array of int (lags,)
        Lags in frames.
    owner : array of int (particles,), optional
        Molecule of each particle: those of one molecule are one group; each its own when left out.
    longest : int
        Longest lag a statistic will use, in frames: blocks of time are at least as long; the longest of `lags`
        where 0.

    Returns
    -------
    Lagged
        Its mean is the mean-squared displacement [m^2].
    """
    X = np.asarray(paths)
    group = groups_of(np.arange(X.shape[0]) if owner is None else owner)
    bounds = blocks_of(X.shape[1], longest or int(lags[-1]))
    sums, counts = squares(X, lags, bounds, group, int(group.max()) + 1)
    lag: Array = np.asarray(lags * dt, dtype=np.float64)
    return Lagged(lag, sums, counts)


def exponent(msd: Lagged, window: Window) -> Exponent:
    """Slope of ln <dr^2> against ln t.

    Parameters
    ----------
    msd : Lagged
        Squared displacements, as :func:`displacements` gives them.
    window : tuple of float
        First and last lag [s].

    Returns
    -------
    Exponent

    Raises
    ------
    InputError
        Fewer than `FEWEST_LAGS` lags in the window, or particles that do not move at all.
    """
    inside = np.array([_inside(t, window) for t in msd.lag])
    if inside.sum() < FEWEST_LAGS:
        raise InputError(
            f"{int(inside.sum())} lags lie in the window {window[0]:.3g} to {window[1]:.3g} s; at least {FEWEST_LAGS} "
            f"are needed"
        )
    mean = msd.mean
    if not np.all(mean[inside] > 0):
        raise InputError("the particles do not move at all, so their mean-squared displacement has no exponent")
    x, y = np.log(msd.lag[inside]), np.log(mean[inside])
    slope = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    weights = np.zeros(mean.size)
    weights[inside] = slope / mean[inside]
    alpha = float(slope @ y)
    used = msd.lag[inside]
    prefactor = float(np.exp(y.mean() - alpha * x.mean()))
    return Exponent(estimate(alpha, [msd.influence(weights)]), prefactor, (float(used[0]), float(used[-1])))


def order_parameter(cage: Exponent, cation: Exponent, *, same: bool = False) -> LaggedEstimate:
    """Mobility order parameter M = alpha_cage / alpha_+ (Siegel 2021, Eqs. 3 and 5).

    Parameters
    ----------
    cage : Exponent
        Of the entities in the cage or shell: of their displacement (M) or of their angle (M_theta).
    cation : Exponent
        Of the working ion, from the same runs.
    same : bool
        Both are of the same molecules, group by group.

    Returns
    -------
    LaggedEstimate
        NaN where alpha_+ cannot be told from zero at two standard errors.
    """
    a, plus = cage.alpha, cation.alpha
    if not plus.value > 2 * plus.error:
        return LaggedEstimate(np.nan, np.nan, 1.0, False, ())
    ratio = a.value / plus.value
    own = [cell / plus.value for cell in a.cells]
    other = [-ratio / plus.value * cell for cell in plus.cells]
    return estimate(ratio, [x + y for x, y in zip(own, other, strict=True)] if same else own + other)


def bjerrum_length(permittivity: float, T: float) -> float:
    """Distance at which the Coulomb energy of two elementary charges is k_B T.

    ``l_B = e^2 / (4 pi epsilon_0 epsilon_r k_B T)``.

    Parameters
    ----------
    permittivity : float
        Relative permittivity of the solvent [1].
    T : float
        Temperature [K].

    Returns
    -------
    float
        Bjerrum length [m].

    Raises
    ------
    InputError
        Values that are not positive.
    """
    if not permittivity > 0 or not T > 0:
        raise InputError(f"permittivity = {permittivity:g} and T = {T:g} K must be positive")
    return float(e**2 / (4 * np.pi * EPSILON_0 * permittivity * k_B * T))


def default_window(runs: Sequence[float]) -> Window:
    """Window where none is asked for: `DEFAULT` parts of the shortest run.

    Parameters
    ----------
    runs : sequence of float
        Length of each replica [s].

    Returns
    -------
    tuple of float
        [s]
    """
    return DEFAULT[0] * min(runs), DEFAULT[1] * min(runs)


def _inside(t: float, window: Window) -> bool:
    return bool(window[0] * (1 - 1e-9) <= t <= window[1] * (1 + 1e-9))


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

    # In units of the first guess, from the straight line, both numbers are near one, whatever the units of the data.
    scaled, covariance = curve_fit(model, x, y / scale[0], p0=[1.0, 1.0], sigma=sigma / scale[0], absolute_sigma=True)
    A, r_star = (float(value) for value in scaled * scale)
    rest = (y - A * x * np.exp(-x / r_star)) / sigma
    misfit = float(np.sqrt(rest @ rest / (x.size - 2)))
    return FrictionFit(A, r_star, covariance * np.outer(scale, scale), misfit, x.size)


@dataclass(frozen=True, eq=False)
class SegmentFit:
    """Friction of the segments against salt content, zeta(r) = zeta(0) exp(r / r_star), from their displacements.

    Parameters
    ----------
    r_star : float
        Salt content over which the friction grows by a factor of e [1].
    error : float
        Its standard error [1].
    exponent : float
        alpha of <dr^2> = D_0 t^alpha, the same at every salt content [1].
    scatter : float
        Root mean square of the residuals of ln D_0 over the error given, or, where none was, their own size [1].
    points : int
        Salt contents.
    """

    r_star: float
    error: float
    exponent: float
    scatter: float
    points: int

    def zeta(self, r: ArrayLike) -> Array:
        """Friction at salt content `r` over that without salt [1]."""
        return np.asarray(np.exp(np.asarray(r, dtype=np.float64) / self.r_star))

    def conductivity(self, r: ArrayLike, kappa: ArrayLike, error: ArrayLike | None = None) -> FrictionFit:
        """kappa(r) = A r/zeta(r), only A fitted: what friction alone says of the conductivity (Siegel 2021, Eq. 7).

        Parameters
        ----------
        r, kappa : array (points,)
            Salt contents [1] and conductivities [S/m].
        error : array (points,), optional
            Standard errors of `kappa`; the same relative error for every point when left out [S/m].

        Returns
        -------
        FrictionFit
            `r_star` is that of the segments, and the error of A has its share; `scatter` says whether the two agree.

        Raises
        ------
        InputError
            Fewer than 2 points, or values that are not positive.
        """
        x, y = np.asarray(r, dtype=np.float64).ravel(), np.asarray(kappa, dtype=np.float64).ravel()
        if x.size != y.size or x.size < 2 or not (np.all(x > 0) and np.all(y > 0)):
            raise InputError(f"r and kappa need at least 2 positive pairs, got {x.size} and {y.size} values")
        sigma = np.ones(x.size) if error is None else np.broadcast_to(np.asarray(error, dtype=np.float64), y.shape) / y
        weight = sigma**-2.0 / np.sum(sigma**-2.0)
        level = np.log(y / x) + x / self.r_star
        mean, lever = float(weight @ level), float(weight @ x)
        rest = (level - mean) / sigma
        scatter = float(np.sqrt(rest @ rest / (x.size - 1)))
        own = 1 / float(np.sum(sigma**-2.0)) * (scatter**2 if error is None else 1.0)
        turn = -lever / self.r_star**2  # d ln A / d r_star
        A, of_r = float(np.exp(mean)), self.error**2
        covariance = np.array([[A**2 * (own + turn**2 * of_r), A * turn * of_r], [A * turn * of_r, of_r]])
        return FrictionFit(A, self.r_star, covariance, scatter, x.size)


def fit_segments(
    r: ArrayLike, prefactor: ArrayLike, error: ArrayLike | None = None, *, exponent: float = 0.5
) -> SegmentFit:
    """Friction from displacements of segments, <dr^2> = D_0 t^alpha, at several salt contents (Siegel 2021, Fig. 5a).

    Displacements that depend on time by t/zeta alone have D_0 ~ zeta^(-alpha), for Rouse chains zeta^(-1/2); so
    ln D_0 falls by alpha r / r_star.

    Parameters
    ----------
    r : array (points,)
        Salt contents, 0 included where it was measured [1].
    prefactor : array (points,)
        D_0, in one unit: only ratios count.
    error : array (points,), optional
        Their standard errors; when left out the same relative error is found from the scatter.
    exponent : float
        alpha [1].

    Returns
    -------
    SegmentFit

    Raises
    ------
    InputError
        Fewer than 3 points, values that are not positive, an exponent outside (0, 1], D_0 that does not fall with r.
    """
    x, D_0 = np.asarray(r, dtype=np.float64).ravel(), np.asarray(prefactor, dtype=np.float64).ravel()
    if x.size != D_0.size or x.size < 3 or not (np.all(x >= 0) and np.all(D_0 > 0)) or np.ptp(x) == 0:
        raise InputError(f"r and D_0 need at least 3 pairs, D_0 positive, got {x.size} and {D_0.size} values")
    if not 0 < exponent <= 1:
        raise InputError(f"exponent = {exponent:g} must lie above 0 and not above 1")
    given = error is not None
    sigma = np.broadcast_to(np.asarray(error if given else D_0, dtype=np.float64), D_0.shape) / D_0
    if not np.all(sigma > 0):
        raise InputError("error must be positive")
    design = np.stack([x, np.ones(x.size)], axis=1) / sigma[:, None]
    spread = np.linalg.inv(design.T @ design)
    slope, level = spread @ design.T @ (np.log(D_0) / sigma)
    rest = (np.log(D_0) - slope * x - level) / sigma
    scatter = float(np.sqrt(rest @ rest / (x.size - 2)))
    if not slope < 0:
        raise InputError("D_0 does not fall with r, so the friction has no finite r_star")
    of_slope = float(np.sqrt(spread[0, 0])) * (1.0 if given else scatter)
    r_star = float(-exponent / slope)
    return SegmentFit(r_star, r_star * of_slope / abs(float(slope)), exponent, scatter, x.size)
