"""Which speeds a heterodyne XPCS series can resolve, before or after measuring, and the master curve.

Slow: the curves of a moving sample must differ from the best curves of one at rest by more than noise does, and the
shape of the rings must be known well enough that least squares is not biased. Fast: the phase must not turn by more
than pi between neighbouring delays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import Array
from cellsim.instruments.xpcs.correlation import CorrelationSet, envelope, heterodyne_g2
from cellsim.instruments.xpcs.engine import JOINT, LeastSquares, Parameters, V, minimise, prepare, relative_bias
from cellsim.instruments.xpcs.fit import SHAPE, VelocityFit, fastest, fringe_gain
from cellsim.instruments.xpcs.search import effective_lag, first_fringe

DETECTION = 5.0
"""Standard errors of v^2 that a speed next to rest must have: a likelihood ratio of their square is expected [1]."""
CERTAINTY = 3.0
"""Standard deviations by which the ratio expected of a faster fringe must pass what chance gives [1]."""


LARGEST_BIAS = 0.05
"""Bias of v, in its standard errors, to first order; it falls steeply with v, and higher orders with it [1]."""


@dataclass(frozen=True)
class Window:
    """The speeds a series resolves.

    Parameters
    ----------
    low, high : float
        Ends of the window [m/s]; low = inf where nothing is resolved.
    v : ndarray, shape (n,)
        Speeds at which the expectation was computed [m/s].
    ratio, needed : ndarray, shape (n,)
        Likelihood ratio against v = 0 that is expected there, and the one that is needed [1].
    bias : ndarray, shape (n,)
        First-order bias of v over its standard error there; at most :data:`LARGEST_BIAS` [1].
    """

    low: float
    high: float
    v: Array
    ratio: Array
    needed: Array
    bias: Array

    def contains(self, v: float) -> bool:
        """Whether a speed [m/s] lies inside."""
        return self.low <= v <= self.high


def usable_window(
    data: CorrelationSet,
    *,
    contrast: ArrayLike,
    h: ArrayLike,
    tau0: ArrayLike,
    stretch: ArrayLike = 1.0,
    points: int = 24,
) -> Window:
    """The speeds that the geometry, delays and errors of a series resolve.

    At every trial speed the noise-free curves are fitted with v = 0, contrast, h, tau0 and stretch of every ring free;
    chi^2 of that fit is the likelihood ratio to be expected. Where the envelope has hardly decayed within the delays, h
    is poorly known and the bias that follows sets the limit. The values of g2 in `data` are not used.

    Parameters
    ----------
    data : CorrelationSet
        Scattering vectors, delays and errors.
    contrast, h, tau0, stretch : array_like, scalar or shape (n,)
        What the curves are, measured or assumed; tau0 in [s].
    points : int
        Trial speeds.

    Returns
    -------
    Window

    Raises
    ------
    InputError
        If no scattering vector has a component along the velocity.
    """
    top = fastest(data)
    shape = {"contrast": contrast, "h": h, "tau0": tau0, "stretch": stretch}
    still = prepare(replace(data, g2=heterodyne_g2(data.q, data.azimuth, data.tau, v=0.0, **shape)))  # type: ignore[arg-type]
    near = first_fringe(still, exact=True) * still.scale
    fringes = max(1.0, top / still.scale * effective_lag(still, exact=True) / np.pi)
    far = (CERTAINTY + np.sqrt(CERTAINTY**2 + fringe_gain(still.starts.size, fringes))) ** 2

    def needed(speed: Array) -> Array:
        return np.where(speed <= near, DETECTION**2, max(DETECTION**2, far))

    v = np.geomspace(1e-4 * top, top, points)
    ratio, bias = _expected(data, v, shape), _bias(data, v, shape)
    low, high = np.inf, top
    for final in (False, False, True):
        enough = np.minimum(ratio / needed(v), LARGEST_BIAS / np.maximum(np.nan_to_num(np.abs(bias), nan=9e9), 1e-9))
        start, end = _longest_run(enough >= 1, np.log(v))
        if end < 0:
            break
        low, high = float(v[start]), float(v[end])
        if start:
            a, b = np.log(enough[start - 1]), np.log(enough[start])
            low = float(v[start - 1] * (v[start] / v[start - 1]) ** np.clip(-a / (b - a), 0, 1))
        if final or not start:
            break
        finer = np.geomspace(v[start - 1], v[start], 8)[1:-1]
        ratio = np.insert(ratio, start, _expected(data, finer, shape))
        bias = np.insert(bias, start, _bias(data, finer, shape))
        v = np.insert(v, start, finer)
    return Window(low, high, v, ratio, needed(v), bias)


def _longest_run(mask: NDArray[np.bool_], position: Array) -> tuple[int, int]:
    """First and last index of the run of True that is longest in `position`; (0, -1) where there is none."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False]))
    runs = list(zip(edges[::2], edges[1::2] - 1, strict=True))
    return max(runs, key=lambda run: position[run[1]] - position[run[0]], default=(0, -1))


def window_of(data: CorrelationSet, fit: VelocityFit) -> Window:
    """:func:`usable_window` of a series with the shape of its fit."""
    return usable_window(data, contrast=fit.contrast, h=fit.h, tau0=fit.tau0, stretch=fit.stretch)


def _expected(data: CorrelationSet, v: Array, shape: dict[str, ArrayLike]) -> Array:
    """chi^2 of the best fit at rest to noise-free curves at speeds `v`, shape (n,)."""
    clean = [heterodyne_g2(data.q, data.azimuth, data.tau, v=x, **shape) for x in v]  # type: ignore[arg-type]
    problems = [prepare(replace(data, g2=g2, good=data.usable)) for g2 in clean]
    stacked = replace(problems[0], y=np.concatenate([p.y for p in problems]))
    start = _truth(data, stacked, np.zeros(v.size), shape)
    theta, first = minimise(stacked, start, JOINT, SHAPE)
    others = [start._replace(tau0=start.tau0 - 1.0, stretch=start.stretch + 0.3), theta._replace(h=-theta.h)]
    chi2 = np.minimum.reduce([first, *(minimise(stacked, other, JOINT, SHAPE)[1] for other in others)])
    return chi2.sum(axis=1) + np.array([p.constant for p in problems])


def _bias(data: CorrelationSet, v: Array, shape: dict[str, ArrayLike]) -> Array:
    """First-order bias of v over its error at speeds `v`, shape (n,)."""
    problem = prepare(data)
    return relative_bias(problem, _truth(data, problem, v / problem.scale, shape), JOINT, [V, *SHAPE])


def _truth(data: CorrelationSet, problem: LeastSquares, u: Array, shape: dict[str, ArrayLike]) -> Parameters:
    """Internal coordinates of the given shape, ring by ring, at internal velocities `u`."""
    rings = problem.order[problem.starts]
    contrast, h, tau0, stretch = (
        np.broadcast_to(np.asarray(shape[name], dtype=float), data.q.shape)[rings]
        for name in ("contrast", "h", "tau0", "stretch")
    )
    h = np.clip(h, 1e-3, 1 - 1e-3)
    values = (np.log(contrast), np.log(h / (1 - h)), np.log(tau0), np.log(stretch), np.zeros(rings.size))
    a, b, c, d, e = (np.tile(x, (u.size, 1)) for x in values)
    return Parameters(u[:, None], a, b, c, d, e)


@dataclass(frozen=True)
class MasterCurve:
    """All curves on one axis.

    Parameters
    ----------
    path : ndarray, shape (m,)
        q |cos(azimuth)| tau, the abscissa on which the phase collapses [s/m]; phase = v path.
    cosine, cosine_error : ndarray, shape (m,)
        cos(omega tau) of every point, static part and envelope taken out [1].
    age : ndarray, shape (m,)
        (tau/tau0)^stretch, the abscissa on which the envelope collapses [1].
    envelope, envelope_error : ndarray, shape (m,)
        E of every point, the oscillation taken out [1].
    curve : ndarray of int, shape (m,)
        Which curve a point belongs to.
    """

    path: Array
    cosine: Array
    cosine_error: Array
    age: Array
    envelope: Array
    envelope_error: Array
    curve: NDArray[np.intp]

    def binned(self, edges: ArrayLike) -> tuple[Array, Array, Array]:
        """Weighted means of `cosine` between `edges` of `path` [s/m]: path, mean and error, empty bins left out."""
        bins = np.digitize(self.path, np.asarray(edges, dtype=float))
        weight = self.cosine_error**-2.0
        total = np.bincount(bins, weight)
        inside = (total > 0) & (np.arange(total.size) > 0) & (np.arange(total.size) < np.size(edges))
        mean, path = (np.bincount(bins, weight * a)[inside] / total[inside] for a in (self.cosine, self.path))
        return path, mean, np.sqrt(1 / total[inside])


def master_curve(data: CorrelationSet, fit: VelocityFit, *, largest_error: float = 1.0) -> MasterCurve:
    """Collapse a series by q cos(azimuth), the envelope scaled out separately.

    g2 is linear in the cosine, so every point gives one value of it, [g2 - 1 - contrast (1-h)^2 - contrast h^2 E^2] /
    [2 contrast h (1-h) E], with E, h and contrast of the fit; and one value of E, to first order about the fit.

    Parameters
    ----------
    data : CorrelationSet
        The series.
    fit : VelocityFit
        Its fit.
    largest_error : float
        Points whose cosine is known worse are left out [1].

    Returns
    -------
    MasterCurve
        Sorted by `path`.

    References
    ----------
    Steinrueck 2020, doi:10.1039/D0EE02193H, Fig. 2(e).
    """
    C, h, tau0, stretch = (a[:, None] for a in (fit.contrast, fit.h, fit.tau0, fit.stretch))
    E = envelope(data.tau, tau0, stretch)
    path = data.along[:, None] * data.tau
    cosine = np.cos(fit.v * path) * np.sinc(path * fit.spread / (2 * np.pi))
    slope = 2 * C * h * (1 - h) * E
    slope_E = C * (2 * h**2 * E + 2 * h * (1 - h) * cosine)
    residual = data.g2 - fit.g2(data.tau)
    good = data.usable & (slope > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        good &= data.error < largest_error * slope
        waves = [cosine + residual / slope, data.error / slope]
        decays = [(data.tau / tau0) ** stretch, E + residual / slope_E, data.error / np.abs(slope_E)]
    order = np.argsort(path[good], kind="stable")
    curve = np.broadcast_to(np.arange(data.q.size)[:, None], data.g2.shape)
    a, b, c, d, e, f = (np.broadcast_to(x, data.g2.shape)[good][order] for x in (path, *waves, *decays))
    return MasterCurve(a, b, c, d, e, f, curve[good][order])
