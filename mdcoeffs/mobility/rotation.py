"""Rotation: unwrapped angles, their mean square, and the orientational autocorrelation with its relaxation time.

The unit vector u of a molecule (a bond, the normal of a plane) moves on a sphere. Rolled without slipping on a plane
it draws a path there, its *unwrapped angle*: every step as long as the angle turned, its direction carried along
parallel to itself. Rotational diffusion becomes a plane random walk of slope ``<dtheta^2> = 4 D_r t`` at every time,
where the angle between u(0) and u(t) would stop at 180 degrees.

(The usual sum of rotation vectors has the same slope, but the area that a trapped axis sweeps as it rattles adds up
in it, and looks like rotation. Rolling lets it in two orders of the amplitude later.)

References
----------
Siegel et al., Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Eqs. 4-5 and Fig. 4c; Kaemmerer, Kob &
Schilling, Phys. Rev. E 56, 5450 (1997), doi:10.1103/PhysRevE.56.5450 (unwrapped rotation); Hsu, *Stochastic Analysis
on Manifolds* (2002), ch. 2 (rolling).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from cellsim.base import Array, InputError, Ints
from mdcoeffs.statistics.lagged import Lagged, LaggedEstimate, blocks_of, cosines, estimate, groups_of

COARSE = 0.7
"""Root mean square step above which frames are too far apart to unwrap an angle [rad]."""
DECAYED = 0.2
"""The autocorrelation is fitted down to this value [1]."""
BEGUN = 0.7
"""It must have fallen below this for a relaxation time to be given [1]."""


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Relaxation time of an orientational autocorrelation.

    Parameters
    ----------
    order : int
        Of the Legendre polynomial, 1 or 2.
    tau : float
        From the fit exp(-t / tau); NaN where the autocorrelation has not fallen far enough [s].
    log_tau : LaggedEstimate
        Of ln(tau / 1 s), which is what scatters evenly [1].
    longest : float
        Last lag of the fit [s].
    misfit : float
        Largest difference between data and fit [1].
    """

    order: int
    tau: float
    log_tau: LaggedEstimate
    longest: float
    misfit: float

    @property
    def error(self) -> float:
        """Standard error of tau [s]."""
        return self.tau * self.log_tau.error

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval that holds tau with probability `level` [s]."""
        low, high = self.log_tau.interval(level)
        return float(np.exp(low)), float(np.exp(high))


def unit_vectors(vectors: ArrayLike) -> Array:
    """Vectors of length one.

    Parameters
    ----------
    vectors : array (..., 3)
        Any unit.

    Returns
    -------
    array (..., 3)

    Raises
    ------
    InputError
        A vector of no length.
    """
    u = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(u, axis=-1, keepdims=True)
    if not np.all(length > 0):
        raise InputError("an axis or a normal has no length: its two ends coincide, or its three atoms lie on a line")
    return np.asarray(u / length)


def unwrapped_angles(axes: ArrayLike) -> tuple[Array, float]:
    """Roll the path of every axis on a plane.

    Parameters
    ----------
    axes : array (rotors, frames, 3)
        Unit vectors.

    Returns
    -------
    path : array (rotors, frames, 2)
        Unwrapped angle since the first frame [rad].
    step : float
        Root mean square angle between two frames; above `COARSE` the path is not to be trusted [rad].
    """
    u = np.ascontiguousarray(axes, dtype=np.float64)
    path = np.zeros((*u.shape[:2], 2))
    _roll(u, path)
    return path, float(np.sqrt((np.diff(path, axis=1) ** 2).sum(axis=-1).mean())) if u.shape[1] > 1 else 0.0


def autocorrelation(
    axes: ArrayLike, dt: float, lags: Ints, *, owner: Ints | None = None, longest: int = 0
) -> tuple[Lagged, Lagged]:
    """Orientational autocorrelations C_l(t) = <P_l(u(s) . u(s + t))>, l = 1 and 2.

    Parameters
    ----------
    axes : array (rotors, frames, 3)
        Unit vectors.
    dt : float
        Time between frames [s].
    lags : array of int (lags,)
        Lags in frames.
    owner : array of int (rotors,), optional
        Molecule of each axis; each its own when left out.
    longest : int
        As in :func:`mdcoeffs.mobility.translation.displacements`.

    Returns
    -------
    first, second : Lagged
        For the two polynomials [1].
    """
    X = np.asarray(axes)
    group = groups_of(np.arange(X.shape[0]) if owner is None else owner)
    sums, counts = cosines(X, lags, blocks_of(X.shape[1], longest or int(lags[-1])), group, int(group.max()) + 1)
    t: Array = np.asarray(lags * dt, dtype=np.float64)
    return Lagged(t, sums[0], counts), Lagged(t, sums[1], counts)


def relaxation(correlation: Lagged, order: int = 1) -> Relaxation:
    """Fit exp(-t / tau) by least squares, from the first lag to where the autocorrelation is `DECAYED`.

    Free rotational diffusion has tau = 1 / (l (l + 1) D_r).

    Parameters
    ----------
    correlation : Lagged
        As :func:`autocorrelation` gives it.
    order : int
        Which polynomial it is, for the record.

    Returns
    -------
    Relaxation
    """
    C, t = correlation.mean, correlation.lag
    nothing = Relaxation(order, np.nan, LaggedEstimate(np.nan, np.nan, 1.0, False, ()), float(t[-1]), np.nan)
    if C.min() > BEGUN:
        return nothing
    below = np.flatnonzero(C < DECAYED)
    last = max(int(below[0]) + 1 if below.size else t.size, 2)
    C, t = C[:last], t[:last]
    start = np.log(t[np.argmin(np.abs(C - np.exp(-1)))])

    def rest(x: Array) -> Any:
        return np.exp(-t * np.exp(-x[0])) - C

    log_tau = float(least_squares(rest, [start], method="lm", x_scale=0.1).x[0])
    s = t * np.exp(-log_tau)
    model = np.exp(-s)
    # Derivative of the model by ln tau is g; that of the estimate by C, from the normal equation, g / h.
    g = s * model
    h = float((g * g + (model - C) * (s * s - s) * model).sum())
    weights = np.zeros(correlation.lag.size)
    weights[:last] = g / h
    uncertain = estimate(log_tau, [correlation.influence(weights)])
    return Relaxation(order, float(np.exp(log_tau)), uncertain, float(t[-1]), float(np.max(np.abs(model - C))))


@numba.njit(cache=True)
def _roll(u, path):  # type: ignore[no-untyped-def]
    """Fill `path` (rotors, frames, 2): steps along the great circle, in a tangent frame carried parallel to itself."""
    for r in range(u.shape[0]):
        now = u[r, 0]
        small = 0
        for d in range(3):
            if abs(now[d]) < abs(now[small]):
                small = d
        e1 = -now[small] * now
        e1[small] += 1.0
        e1 /= np.sqrt(np.dot(e1, e1))
        for t in range(1, u.shape[1]):
            new = u[r, t]
            e2 = np.array(
                [now[1] * e1[2] - now[2] * e1[1], now[2] * e1[0] - now[0] * e1[2], now[0] * e1[1] - now[1] * e1[0]]
            )
            c = np.dot(now, new)
            x = np.dot(new, e1)
            y = np.dot(new, e2)
            s = np.sqrt(x * x + y * y)
            angle = np.arctan2(s, c)
            path[r, t, 0] = path[r, t - 1, 0]
            path[r, t, 1] = path[r, t - 1, 1]
            if s > 0.0:
                path[r, t, 0] += angle * x / s
                path[r, t, 1] += angle * y / s
            if c > -1.0 + 1e-12:
                e1 = e1 - np.dot(e1, new) / (1.0 + c) * (now + new)
            e1 = e1 - np.dot(e1, new) * new
            e1 /= np.sqrt(np.dot(e1, e1))
            now = new
