"""Averages over time origins at a set of lags, kept apart by group of particles and by block of origins.

A statistic of such averages (an exponent, a ratio, a relaxation time) is to first order a sum of contributions of
every group and block, its *influence*. Groups that do not know of one another (molecules, chains) give the standard
error. Where the blocks of time scatter more than independent groups can (all particles moving together), an F test at
0.1 % finds it and the error is that of the blocks and groups together (two-way clusters).

References
----------
Cameron, Gelbach & Miller, J. Bus. Econ. Stat. 29, 238 (2011), doi:10.1198/jbes.2010.07136 (two-way clusters);
Satterthwaite, Biometrics Bull. 2, 110 (1946), doi:10.2307/3002019 (degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri, stdtrit

from cellsim.base import Array, InputError, Ints

FEWEST = 5
"""Fewest groups, or blocks, that an error is taken from."""
COMMON = 0.001
"""Level of the test for motion that the groups share."""


@dataclass(frozen=True, eq=False)
class LaggedEstimate:
    """A number with its standard error and what the error rests on.

    Parameters
    ----------
    value : float
        The estimate; unit of the quantity.
    error : float
        Standard error; NaN where there are too few groups and blocks to tell.
    freedom : float
        Degrees of freedom of the error [1].
    common : bool
        True where the particles move together, so that the error is that of blocks of time.
    cells : tuple of array (groups, blocks)
        Influence of each group and block, one array per kind of particle; unit of the quantity.
    """

    value: float
    error: float
    freedom: float
    common: bool
    cells: tuple[Array, ...]

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval that holds the truth with probability `level`, by Student's t; unit of the quantity."""
        half = self.error * float(stdtrit(max(self.freedom, 1.0), 0.5 + 0.5 * level))
        return self.value - half, self.value + half

    def numbers(self) -> dict[str, Any]:
        """Value, standard error and 95 % interval, in plain values."""
        return {"value": self.value, "standard_error": self.error, "interval": list(self.interval())}


@dataclass(frozen=True, eq=False)
class Lagged:
    """Sums over origins of a quantity that depends on the lag.

    Parameters
    ----------
    lag : array (lags,)
        Lag times [s].
    sums : array (groups, blocks, lags)
        Sum over particles of the group and origins of the block; any unit.
    counts : array (groups, blocks, lags)
        How many terms each sum has [1].
    """

    lag: Array
    sums: Array
    counts: Array

    @property
    def mean(self) -> Array:
        """Mean at every lag (lags,); unit of the quantity."""
        return np.asarray(self.sums.sum(axis=(0, 1)) / self.counts.sum(axis=(0, 1)))

    def influence(self, weights: ArrayLike) -> Array:
        """Influence of every cell on ``sum_l weights[l] mean[l]``, (groups, blocks).

        Parameters
        ----------
        weights : array (lags,)
            Derivative of the statistic by the mean at each lag.

        Returns
        -------
        array (groups, blocks)
            Sums to zero.
        """
        share = np.asarray(weights, dtype=np.float64) / self.counts.sum(axis=(0, 1))
        return np.asarray((self.sums - self.mean * self.counts) @ share)

    def standard_error(self) -> Array:
        """Standard error of the mean at every lag (lags,); unit of the quantity."""
        return np.array([spread([self.influence(row)])[0] for row in np.eye(self.lag.size)])


def total(parts: Iterable[tuple[Array, Array]], lag: Array) -> Lagged:
    """Sums over blocks of particles of the same run, added up.

    Parameters
    ----------
    parts : iterable of (sums, counts)
        As :func:`squares` gives them, with the same groups and blocks of origins.
    lag : array (lags,)
        Lag times [s].

    Returns
    -------
    Lagged
    """
    sums, counts = (sum(each) for each in zip(*parts, strict=True))
    return Lagged(lag, np.asarray(sums), np.asarray(counts))


def join(parts: Sequence[Lagged]) -> Lagged:
    """Replicas together: groups and blocks of one are not those of another.

    Parameters
    ----------
    parts : sequence of Lagged
        With the same lags.

    Returns
    -------
    Lagged

    Raises
    ------
    InputError
        Lags that differ.
    """
    lag = parts[0].lag
    # Times of frames come from files in single precision.
    if any(replica.lag.size != lag.size or np.any(np.abs(replica.lag - lag) > 1e-4 * lag) for replica in parts):
        raise InputError("replicas have different lags; use the same time between frames in all of them")
    groups, blocks = (sum(replica.sums.shape[k] for replica in parts) for k in (0, 1))
    sums, counts = np.zeros((2, groups, blocks, parts[0].lag.size))
    g = b = 0
    for replica in parts:
        here = slice(g, g + replica.sums.shape[0]), slice(b, b + replica.sums.shape[1])
        sums[here], counts[here] = replica.sums, replica.counts
        g, b = here[0].stop, here[1].stop
    return Lagged(parts[0].lag, sums, counts)


def spread(cells: Sequence[Array]) -> tuple[float, float, bool]:
    """Standard error of a statistic from its influences.

    Parameters
    ----------
    cells : sequence of array (groups, blocks)
        One per kind of particle; blocks are the same for all, groups are not.

    Returns
    -------
    error : float
        Standard error; NaN where there are fewer than `FEWEST` groups and blocks; unit of the cells.
    freedom : float
        Degrees of freedom [1].
    common : bool
        Blocks of time scatter more than independent groups can.
    """
    # Groups are independent unless particles move together: then all of them follow the same few events in time, and
    # their sum over a block scatters more than independent groups allow. An F test decides at the level `COMMON`.
    by_group = [_variance(kind.sum(axis=1)) for kind in cells]
    variance = sum(v for v, _ in by_group)
    n = [size for _, size in by_group]
    few = any(size < FEWEST for size, (v, _) in zip(n, by_group, strict=True) if v > 0 or size < 2)
    blocks = np.sum([kind.sum(axis=0) for kind in cells], axis=0)
    in_time, n_time = _variance(blocks)
    if few:
        if n_time < FEWEST or not in_time > 0:
            return np.nan, 1.0, False
        return float(np.sqrt(in_time)), n_time - 1.0, True
    if not variance > 0:
        return 0.0, 1.0, False
    freedom = variance**2 / sum(v**2 / (size - 1) for v, size in by_group if v > 0)
    if n_time >= 3 and in_time > variance * fdtri(n_time - 1, freedom, 1 - COMMON):
        # Clustered in both ways: what groups and blocks both count, the cells themselves, is taken off once. No less
        # than the error of the blocks, since the difference may come out small by chance.
        both = sum(float((kind**2).sum()) for kind in cells)
        return float(np.sqrt(max(in_time + variance - both, in_time))), n_time - 1.0, True
    return float(np.sqrt(variance)), float(freedom), False


def estimate(value: float, cells: Sequence[Array]) -> LaggedEstimate:
    """A value with the error that its influences give.

    Parameters
    ----------
    value : float
        The statistic.
    cells : sequence of array (groups, blocks)
        As for :func:`spread`.

    Returns
    -------
    LaggedEstimate
    """
    error, freedom, common = spread(cells)
    return LaggedEstimate(float(value), error, freedom, common, tuple(cells))


def blocks_of(frames: int, longest: int, most: int = 16) -> Ints:
    """Bounds of blocks of origins, each at least as long as the longest lag where the run allows.

    Parameters
    ----------
    frames : int
        Frames of the run.
    longest : int
        Longest lag in frames.
    most : int
        Most blocks.

    Returns
    -------
    array of int (blocks + 1,)
        Origins ``[k], ..., [k + 1] - 1`` make block k.
    """
    # Shorter blocks would share their displacements with their neighbours and look independent without being so.
    number = int(np.clip((frames - longest) // max(longest, 1), 1, most))
    return np.round(np.linspace(0, frames, number + 1)).astype(np.int64)


def groups_of(owner: Ints, most: int = 256) -> Ints:
    """Number of the group of every particle: its owner's, owners merged evenly where there are too many.

    Parameters
    ----------
    owner : array of int (particles,)
        Molecule of each particle.
    most : int
        Most groups.

    Returns
    -------
    array of int (particles,)
        0, 1, 2, ...
    """
    _, number = np.unique(owner, return_inverse=True)
    size = int(number.max()) + 1
    return np.asarray(number if size <= most else number * most // size, dtype=np.int64)


def squares(paths: ArrayLike, lags: Ints, bounds: Ints, group: Ints, groups: int) -> tuple[Array, Array]:
    """Sums of squared displacements.

    Parameters
    ----------
    paths : array (particles, frames, dimensions)
        Unwrapped positions, or angles; any unit.
    lags : array of int (lags,)
        Lags in frames.
    bounds : array of int (blocks + 1,)
        Blocks of origins, as :func:`blocks_of` gives them.
    group : array of int (particles,)
        Group of each particle.
    groups : int
        Number of groups; some may have no particle here.

    Returns
    -------
    sums, counts : array (groups, blocks, lags)
        Unit of the paths squared, and numbers of terms.
    """
    # Term by term and not by FFT: the sums are needed for every block of origins apart, and only at a few dozen lags.
    X = np.ascontiguousarray(paths, dtype=np.float64)
    sums = np.zeros((groups, bounds.size - 1, lags.size))
    _squares(X, np.asarray(lags, np.int64), np.asarray(bounds, np.int64), np.asarray(group, np.int64), sums)
    return sums, _counts(X.shape[1], lags, bounds, group, groups)


def cosines(axes: ArrayLike, lags: Ints, bounds: Ints, group: Ints, groups: int) -> tuple[Array, Array]:
    """Sums of the Legendre polynomials P1 and P2 of u(s + t) . u(s).

    Parameters
    ----------
    axes : array (rotors, frames, 3)
        Unit vectors.
    lags : array of int (lags,)
        Lags in frames.
    bounds : array of int (blocks + 1,)
        Blocks of origins.
    group : array of int (rotors,)
        Group of each rotor.
    groups : int
        Number of groups; some may have no rotor here.

    Returns
    -------
    sums : array (2, groups, blocks, lags)
        Of P1 and P2.
    counts : array (groups, blocks, lags)
        Numbers of terms.
    """
    X = np.ascontiguousarray(axes, dtype=np.float64)
    sums = np.zeros((2, groups, bounds.size - 1, lags.size))
    _cosines(X, np.asarray(lags, np.int64), np.asarray(bounds, np.int64), np.asarray(group, np.int64), sums)
    return sums, _counts(X.shape[1], lags, bounds, group, groups)


def _variance(values: Array) -> tuple[float, int]:
    n = values.size
    if n < 2:
        return 0.0, n
    return float(((values - values.mean()) ** 2).sum() * n / (n - 1)), n


def _counts(frames: int, lags: Ints, bounds: Ints, group: Ints, groups: int) -> Array:
    ends = np.minimum(bounds[1:, None], frames - lags[None, :])
    origins = np.maximum(ends - bounds[:-1, None], 0)
    return np.asarray(np.bincount(group, minlength=groups)[:, None, None] * origins[None], dtype=np.float64)


@numba.njit(cache=True)
def _squares(X, lags, bounds, group, sums):  # type: ignore[no-untyped-def]
    """Fill `sums`."""
    particles, frames, dimensions = X.shape
    for p in range(particles):
        for k in range(lags.size):
            lag = lags[k]
            for b in range(bounds.size - 1):
                total = 0.0
                for s in range(bounds[b], min(bounds[b + 1], frames - lag)):
                    for d in range(dimensions):
                        total += (X[p, s + lag, d] - X[p, s, d]) ** 2
                sums[group[p], b, k] += total


@numba.njit(cache=True)
def _cosines(X, lags, bounds, group, sums):  # type: ignore[no-untyped-def]
    """Fill `sums`."""
    particles, frames, dimensions = X.shape
    for p in range(particles):
        for k in range(lags.size):
            lag = lags[k]
            for b in range(bounds.size - 1):
                first = 0.0
                second = 0.0
                for s in range(bounds[b], min(bounds[b + 1], frames - lag)):
                    c = 0.0
                    for d in range(dimensions):
                        c += X[p, s + lag, d] * X[p, s, d]
                    first += c
                    second += 1.5 * c * c - 0.5
                sums[0, group[p], b, k] += first
                sums[1, group[p], b, k] += second
