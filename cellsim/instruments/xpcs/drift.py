"""A speed that changes: within a series of heterodyne XPCS, where it blurs the oscillation, or between series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError
from cellsim.instruments.xpcs.correlation import CorrelationSet
from cellsim.instruments.xpcs.fit import LEVEL95, VelocityFit, fit_velocity


@dataclass(frozen=True)
class SpreadFit:
    """How far the speed drifts within one series.

    Parameters
    ----------
    spread : float
        Full width of the drift, fitted [m/s]; g2 does not know whether v rose or fell.
    interval : tuple of float
        95 % likelihood-ratio interval of it [m/s].
    ratio, p_value : float
        Likelihood ratio against a steady speed, and its probability without drift [1].
    fit : VelocityFit
        The joint fit with that spread: the mean speed of the series.
    """

    spread: float
    interval: tuple[float, float]
    ratio: float
    p_value: float
    fit: VelocityFit


def fit_spread(data: CorrelationSet, *, points: int = 7, **options: Any) -> SpreadFit:
    """Fit the drift of v within a series, with everything else.

    A drift that is even in time multiplies the cosine by sin(x)/x, x = q spread cos(azimuth) tau/2: fringes fade with
    q tau beyond what the envelope does. chi^2 is profiled over the spread in its square.

    Parameters
    ----------
    data : CorrelationSet
        The series.
    points : int
        Spreads tried in each of two rounds.
    **options
        Of :func:`fit_velocity`.

    Returns
    -------
    SpreadFit

    Raises
    ------
    InputError
        If no motion is resolved, or as :func:`fit_velocity` does.
    """
    steady = fit_velocity(data, **options)
    if not steady.resolved:
        raise InputError(f"{data.label or 'XPCS'}: no motion is resolved, so its drift cannot be; {steady.describe()}")
    options = options | {"v_max": min(2.5 * steady.v, steady.scanned[0])}
    fits = {0.0: steady}

    def profile(spreads: Array) -> tuple[Array, Array]:
        for s in spreads:
            if float(s) not in fits:
                fits[float(s)] = fit_velocity(data, **(options | {"spread": float(s)}))
        tried = np.array(sorted(fits))
        return tried, np.array([fits[s].chi2 for s in tried])

    longest = float(np.max(data.along) * data.tau[-1])
    tried, chi2 = profile(np.linspace(0.0, min(2 * steady.v, 60 / longest), points))
    for _ in range(2):
        k = int(np.argmin(chi2))
        tried, chi2 = profile(np.linspace(tried[max(0, k - 1)], tried[min(tried.size - 1, k + 1)], points))
    k = int(np.argmin(chi2))
    factor = fits[tried[k]].used_inflation
    inside = chi2 - chi2[k] <= LEVEL95 * factor
    low, high = int(np.argmax(inside)), int(tried.size - 1 - np.argmax(inside[::-1]))
    ends = (
        _end(tried, chi2 - chi2[k], low, -1, LEVEL95 * factor),
        _end(tried, chi2 - chi2[k], high, 1, LEVEL95 * factor),
    )
    ratio = float(max(steady.chi2 - chi2[k], 0.0) / factor)
    p = 0.5 * float(chi2_distribution.sf(ratio, 1)) if ratio > 0 else 1.0
    return SpreadFit(float(tried[k]), ends, ratio, p, fits[float(tried[k])])


def _end(x: Array, rise: Array, inside: int, sign: int, level: float) -> float:
    """Where the rise passes `level` beyond the point `inside`, linear in the square of x."""
    outside = inside + sign
    if not 0 <= outside < x.size:
        return 0.0 if sign < 0 else np.inf
    a, b = rise[inside], rise[outside]
    return float(np.sqrt(x[inside] ** 2 + (level - a) / (b - a) * (x[outside] ** 2 - x[inside] ** 2)))


@dataclass(frozen=True)
class Trend:
    """Speeds of several series against time.

    Parameters
    ----------
    mean, mean_error : float
        Speed at the weighted mean time, and its standard error [m/s].
    rate, rate_error : float
        Change per time [m/s^2].
    time : float
        Weighted mean time [s].
    chi2_constant, chi2_line : float
        About a constant and about the line [1].
    p_constant : float
        Probability of scatter this large about a constant speed [1].
    used : ndarray of bool, shape (n,)
        Series with a resolved speed.
    """

    mean: float
    mean_error: float
    rate: float
    rate_error: float
    time: float
    chi2_constant: float
    chi2_line: float
    p_constant: float
    used: NDArray[np.bool_]


def trend(fits: Sequence[VelocityFit], times: Sequence[float]) -> Trend:
    """A constant and a straight line through the speeds of several series at `times` [s].

    Series without resolved motion are left out: an upper limit is not a value.

    Parameters
    ----------
    fits : sequence of VelocityFit
        One per series.
    times : sequence of float
        Middle of every series [s].

    Returns
    -------
    Trend

    Raises
    ------
    InputError
        Unequal lengths, or fewer than three resolved series.
    """
    if len(fits) != len(times):
        raise InputError(f"trend: {len(fits)} fits need as many times, not {len(times)}")
    used = np.array([fit.resolved for fit in fits], dtype=bool)
    if used.sum() < 3:
        raise InputError(f"trend: {int(used.sum())} series show motion; a drift needs three")
    v = np.array([fit.v for fit in fits])[used]
    w = np.array([fit.error for fit in fits])[used] ** -2.0
    t = np.asarray(times, dtype=float)[used]
    total = w.sum()
    middle, mean = float((w * t).sum() / total), float((w * v).sum() / total)
    lever = float((w * (t - middle) ** 2).sum())
    if lever <= 0:
        raise InputError("trend: the times of the series must differ")
    rate = float((w * (t - middle) * v).sum() / lever)
    constant = float((w * (v - mean) ** 2).sum())
    line = float((w * (v - mean - rate * (t - middle)) ** 2).sum())
    p = float(chi2_distribution.sf(constant, used.sum() - 1))
    return Trend(mean, total**-0.5, rate, lever**-0.5, middle, constant, line, p, used)
