"""How long bonds last: survival and autocorrelation of bonds from the intervals in which they exist.

A bond (a pair of atoms, say) exists in intervals of frames [start, stop). With h(t) = 1 where it does,

    continuous:    C(k) = <h(t) h(t+1) ... h(t+k)> / <h(t)>,
    intermittent:  C(k) = <h(t) h(t+k)> / <h(t)>,

averages over all bonds and all origins t with t + k inside the run. Neither needs h itself: an interval of n frames
holds max(n - k, 0) origins that survive k frames, and two intervals of one bond overlap after a shift by k in a
number of frames that is a trapezoid in k. Gaps up to a tolerance can be bridged first; then "continuous" is the
survival of Impey, Madden & McDonald with that tolerance. Sums are kept by block of origins, for the errors.

References
----------
Fang et al., J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F, Eq. 6; Impey, Madden & McDonald, J. Phys. Chem. 87, 5071
(1983), doi:10.1021/j150643a008; Rapaport, Mol. Phys. 50, 1151 (1983), doi:10.1080/00268978300102931.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import gammaln

from cellsim.base import Array, InputError, Ints
from mdcoeffs.statistics.blocks import Averaged, jackknife

BLOCKS = 32
"""Blocks of origins per replica."""
MODES = ("continuous", "tolerant", "intermittent")
FLOOR = 0.02
"""A fit takes C(t) down to this value [1]."""
LEVEL = 0.9
"""An intermittent C(t) that keeps this share of itself while the lag doubles has levelled off [1]."""
FARTHEST = 10.0
"""Longest mean time that is believed, in units of the longest lag of the fit [1]."""
STRETCH = (0.2, 2.0)
"""Range of the stretching exponent in a fit [1]."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """When bonds exist, in one replica, bond after bond and in order of time.

    Parameters
    ----------
    key : array of int (n,)
        Which bond; sorted.
    start, stop : array of int (n,)
        First frame of the interval, and the first frame after it; `frames` where it lasts to the end.
    frames : int
        Frames of the run.
    """

    key: Ints
    start: Ints
    stop: Ints
    frames: int

    @staticmethod
    def sort(key: Ints, start: Ints, stop: Ints, frames: int) -> Intervals:
        """The same from intervals in any order."""
        order = np.lexsort((start, key))
        a, b, c = (np.ascontiguousarray(column[order], dtype=np.int64) for column in (key, start, stop))
        return Intervals(a, b, c, frames)

    @staticmethod
    def of_states(states: NDArray[np.bool_]) -> Intervals:
        """From h itself, (frames, bonds)."""
        frames, bonds = states.shape
        edges = np.diff(np.vstack([np.zeros(bonds, bool), states, np.zeros(bonds, bool)]).astype(np.int8), axis=0)
        start, stop = np.argwhere(edges.T == 1), np.argwhere(edges.T == -1)
        return Intervals(start[:, 0], start[:, 1], stop[:, 1], frames)

    def bridged(self, gap: int) -> Intervals:
        """Absences of at most `gap` frames count as presence."""
        if gap <= 0 or not self.key.size:
            return self
        joins = (self.key[1:] == self.key[:-1]) & (self.start[1:] - self.stop[:-1] <= gap)
        first = np.flatnonzero(np.concatenate([[True], ~joins]))
        last = np.append(first[1:], self.key.size) - 1
        return Intervals(self.key[first], self.start[first], self.stop[last], self.frames)


@dataclass(frozen=True, eq=False)
class LagSums:
    """Sums over origins, by block of origins and lag.

    Parameters
    ----------
    pairs : array (blocks, lags)
        Origins at which a bond exists and, in the sense of the mode, still does after the lag [1].
    origins : array (blocks, lags)
        Origins at which a bond exists, the lag inside the run [1].
    """

    pairs: Array
    origins: Array

    def __add__(self, other: LagSums) -> LagSums:
        """Sums over other bonds of the same run."""
        return LagSums(self.pairs + other.pairs, self.origins + other.origins)

    def until(self, lags: int) -> LagSums:
        """The first `lags` lags, as if no more had been asked for: they are counts, and do not know of one another."""
        return LagSums(self.pairs[:, :lags], self.origins[:, :lags])


def lag_sums(intervals: Intervals, lags: int, *, mode: str = "continuous", blocks: int = BLOCKS) -> LagSums:
    """Sums that make C(k) for k = 0 ... lags - 1.

    Parameters
    ----------
    intervals : Intervals
        Bonds of one run (bridge gaps first).
    lags : int
        How many.
    mode : {"continuous", "tolerant", "intermittent"}
        What "still exists" means; "tolerant" is "continuous" on bridged intervals.
    blocks : int
        Blocks of origins; fewer in a run too short for them.

    Returns
    -------
    LagSums

    Raises
    ------
    InputError
        More lags than frames.
    """
    frames = intervals.frames
    if not 1 <= lags <= frames:
        raise InputError(f"{lags} lags need a run of as many frames, this one has {frames}")
    edges = np.linspace(0, frames, min(blocks, frames) + 1).astype(np.int64)
    kernel = _intermittent if mode == "intermittent" else _continuous
    # Counted from the ends of the intervals: the work grows with the number of bonds made and broken, not with frames
    # times lags, and whole numbers add up the same in any order.
    pairs = kernel(intervals.key, intervals.start, intervals.stop, edges, lags)
    count = np.zeros(frames + 1)
    np.add.at(count, intervals.start, 1.0)
    np.subtract.at(count, intervals.stop, 1.0)
    before = np.concatenate([[0.0], np.cumsum(np.cumsum(count[:-1]))])
    last = frames - np.arange(lags)
    origins = before[np.minimum(edges[1:, None], last)] - before[np.minimum(edges[:-1, None], last)]
    return LagSums(pairs.astype(np.float64), origins)


@numba.njit(cache=True)
def _continuous(key, start, stop, edges, lags):  # type: ignore[no-untyped-def]
    """Origins that survive each lag: an origin t of an interval that stops at e survives e - t - 1 frames."""
    blocks = edges.size - 1
    left = np.zeros((blocks, lags + 2), dtype=np.int64)  # differences of the number of origins by frames left
    for n in range(start.size):
        s, e = start[n], stop[n]
        b = np.searchsorted(edges, s, side="right") - 1
        while b < blocks and edges[b] < e:
            low, high = max(s, edges[b]), min(e, edges[b + 1])
            a, c = e - high + 1, e - low  # frames left, this one included: a ... c
            if c > lags:
                left[b, lags] += c - max(a, lags + 1) + 1
                left[b, lags + 1] -= c - max(a, lags + 1) + 1
                c = lags
            if a <= c:
                left[b, a] += 1
                left[b, c + 1] -= 1
            b += 1
    origins = np.zeros((blocks, lags), dtype=np.int64)
    for b in range(blocks):
        for m in range(1, lags + 1):
            left[b, m] += left[b, m - 1]
        total = 0
        for k in range(lags - 1, -1, -1):
            total += left[b, k + 1]
            origins[b, k] = total
    return origins


@numba.njit(cache=True)
def _ramp(second, at, sign):  # type: ignore[no-untyped-def]
    """Add sign * max(k - at + 1, 0), as second differences from k = 0 on."""
    if at >= second.size:
        return
    if at >= 0:
        second[at] += sign
    else:
        second[0] += sign * (1 - at)
        second[1] += sign * at


@numba.njit(cache=True)
def _intermittent(key, start, stop, edges, lags):  # type: ignore[no-untyped-def]
    """Origins at which the bond exists that find it, whatever happened between, after each lag."""
    blocks = edges.size - 1
    second = np.zeros((blocks, lags + 1), dtype=np.int64)
    first = 0
    while first < key.size:
        last = first
        while last < key.size and key[last] == key[first]:
            last += 1
        for n in range(first, last):
            b = np.searchsorted(edges, start[n], side="right") - 1
            while b < blocks and edges[b] < stop[n]:
                low, high = max(start[n], edges[b]), min(stop[n], edges[b + 1])
                for m in range(n, last):
                    s, e = start[m], stop[m]
                    if s - high + 1 >= lags:
                        break
                    _ramp(second[b], s - high + 1, 1)
                    _ramp(second[b], s - low + 1, -1)
                    _ramp(second[b], e - high + 1, -1)
                    _ramp(second[b], e - low + 1, 1)
                b += 1
        first = last
    for b in range(blocks):
        for _ in range(2):
            for k in range(1, lags + 1):
                second[b, k] += second[b, k - 1]
    return second[:, :lags].copy()


@dataclass(frozen=True, eq=False)
class Survival:
    """C(t) with errors, and the stretched exponential through it.

    Parameters
    ----------
    lag : array (lags,)
        Lag times, the first zero, then evenly in the logarithm [s].
    C : Averaged (lags,)
        Continuous, tolerant or intermittent [1].
    fit : Averaged (4,) or None
        a [1], tau_0 [s], beta [1] of a exp(-(t/tau_0)^beta), and the mean time a tau_0 Gamma(1/beta)/beta [s]; None
        where C(t) does not decay enough, levels off (intermittent), or is no stretched exponential (beta at the end of
        its range, or a mean time beyond `FARTHEST` lags).
    mean : Averaged or None
        Logarithm of the mean time over 1 s, with its error; the interval is that of :meth:`mean_interval`.
    window : tuple of float
        First and last lag of the fit [s].
    floor : float
        Value of C at the last lag of the fit [1]; above 1/e the mean time is an extrapolation.
    """

    lag: Array
    C: Averaged
    fit: Averaged | None
    mean: Averaged | None
    window: tuple[float, float]
    floor: float

    def mean_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval of the mean time [s]; NaN without a fit."""
        if self.mean is None:
            return np.nan, np.nan
        low, high = np.exp(self.mean.interval(level))
        return float(low), float(high)

    def curve(self, t: Array) -> Array:
        """The fitted C at times t [s]."""
        assert self.fit is not None
        a, tau, beta, _ = self.fit.value
        return np.asarray(a * np.exp(-((t / tau) ** beta)))


def survival(sums: Sequence[LagSums], dt: float, *, mode: str = "continuous", per_decade: int = 20) -> Survival:
    """C(t), its errors, and the stretched-exponential fit.

    Parameters
    ----------
    sums : sequence of LagSums
        One per replica, of the same number of lags.
    dt : float
        Time between frames [s].
    mode : {"continuous", "tolerant", "intermittent"}
        An intermittent C(t) that levels off gets no fit: its plateau is the equilibrium fraction, not a slow decay.
    per_decade : int
        Lags per decade that are kept.

    Returns
    -------
    Survival

    Raises
    ------
    InputError
        No bonds at all.
    """
    lags = sums[0].pairs.shape[1]
    chosen = np.unique(np.round(np.geomspace(1, lags - 1, max(2, int(per_decade * np.log10(max(lags - 1, 2))) + 1))))
    chosen = np.concatenate([[0], chosen]).astype(np.int64) if lags > 1 else np.zeros(1, dtype=np.int64)
    rows = [np.hstack([run.pairs[:, chosen], run.origins[:, chosen]]) for run in sums]
    total = np.asarray(sum(row.sum(axis=0) for row in rows))
    n = chosen.size
    if not total[n] > 0:
        raise InputError("no such bond exists in any frame")
    alive = total[n:] > 0  # lags with origins at all
    rows = [row[:, np.concatenate([alive, alive])] for row in rows]
    chosen = chosen[alive]
    n, lag = chosen.size, np.asarray(dt * chosen, dtype=np.float64)

    def ratio(s: Array) -> Array:
        return np.asarray(s[:n] / np.maximum(s[n:], 1.0))

    C = jackknife(rows, ratio)
    inside = np.flatnonzero((C.value > FLOOR) & (lag > 0))
    if inside.size:  # to the first lag at which C drops below the floor: what comes back later is noise
        inside = inside[: int(np.argmax(np.diff(inside, append=inside[-1] + 2) > 1)) + 1]
    none = Survival(lag, C, None, None, (np.nan, np.nan), float("nan"))
    if inside.size < 5 or C.value[inside[-1]] > 0.95:
        return none
    t = lag[inside]
    end = float(C.value[inside[-1]])
    if mode == "intermittent" and end > LEVEL * float(np.interp(0.5 * t[-1], t, C.value[inside])):
        return none
    # A stretch at its bounds or a time far beyond the lags is no measurement: then C alone is reported.
    start = fit_stretched(t, C.value[inside])
    if not STRETCH[0] + 1e-3 < start[2] < STRETCH[1] - 1e-3 or start[3] > FARTHEST * t[-1]:
        return none

    def fitted(s: Array) -> Array:
        a, tau, beta, mean = fit_stretched(t, ratio(s)[inside], start=start)
        # The logarithm as well: the interval of a mean time is symmetric in it, and never reaches below zero.
        return np.array([a, tau, beta, mean, np.log(mean)])

    fit = jackknife(rows, fitted)
    return Survival(lag, C, fit[:4], fit[4], (float(t[0]), float(t[-1])), float(C.value[inside[-1]]))


def fit_stretched(t: Array, C: Array, *, start: Array | None = None) -> Array:
    """Least squares of a exp(-(t/tau_0)^beta).

    Parameters
    ----------
    t : array (n,)
        Times [s].
    C : array (n,)
        Values [1].
    start : array (4,), optional
        A fit near by.

    Returns
    -------
    array (4,)
        a [1], tau_0 [s], beta [1], mean time a tau_0 Gamma(1/beta)/beta [s].

    References
    ----------
    doi:10.1039/D5TA05739F, as its supplement has it.
    """
    # In the logarithm of time: tau_0 may be anything between a frame and many runs, and the fit of a blocked sample
    # must converge from that of the whole without being led.
    unit = float(t[-1])
    x = np.log(t / unit)

    def shape(p: Array) -> Array:
        return np.exp(-np.exp(p[1] * (x - p[0])))

    def rest(p: Array) -> Array:
        return p[2] * shape(p) - C

    def slope(p: Array) -> Array:
        power = np.exp(p[1] * (x - p[0]))
        own = np.exp(-power)
        down = -p[2] * own * power
        return np.stack([-down * p[1], down * (x - p[0]), own], axis=1)

    if start is None:
        below = np.flatnonzero(C / C[0] < np.exp(-1.0))
        guess = np.array([x[below[0]] if below.size else 0.5, 0.8, min(C[0], 1.0)])
    else:
        guess = np.array([np.log(start[1] / unit), start[2], start[0]])
    low, high = [-30.0, STRETCH[0], 1e-3], [15.0, STRETCH[1], 2.0]
    guess = np.clip(guess, np.array(low) + 1e-6, np.array(high) - 1e-6)
    fit = least_squares(rest, guess, jac=slope, bounds=(low, high), x_scale=[1.0, 0.3, 0.3], xtol=1e-12, ftol=1e-12)
    log_tau, beta, a = fit.x
    tau = unit * np.exp(log_tau)
    return np.array([a, tau, beta, a * tau / beta * np.exp(gammaln(1.0 / beta))])
