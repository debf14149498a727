"""Means with standard errors from correlated frames: blocks in time, replicas, and functions of block sums.

A run is cut into blocks of equal length. Neighbouring blocks are merged, two by two, until they are no longer
correlated; what correlation is left is added. The standard error is that of independent blocks, and an interval takes
Student's t for the blocks there are, so that few blocks give a wide interval and not an over-confident one.

References
----------
Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480; Miller, Biometrika 61, 1 (1974),
doi:10.1093/biomet/61.1.1 (pseudo-values of the jackknife).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from cellsim.base import Array, InputError

LIMIT = 128
"""Most blocks kept of a run; above, neighbours are merged."""
FEWEST = 6
"""Fewest blocks a standard error is taken from [1]; below, it is NaN."""
INDEPENDENT = 10
"""Independent values below which an error is not trusted [1]."""
CORRELATED = 0.1
"""Correlation of neighbouring blocks above which they are merged [1]."""


@dataclass(frozen=True, eq=False)
class Averaged:
    """A mean with its standard error.

    Parameters
    ----------
    value : array (...)
        Mean; the unit of the data.
    error : array (...)
        Standard error of the mean; NaN where the run is too short to tell. The unit of the data.
    blocks : array (...)
        Blocks the error was taken from, after merging [1].
    settled : array (...) of bool
        False where the data are worth fewer than `INDEPENDENT` independent values: the error is a lower bound.
    """

    value: Array
    error: Array
    blocks: Array
    settled: NDArray[np.bool_]

    def interval(self, level: float = 0.95) -> Array:
        """Interval that holds the truth with probability `level`, (2, ...); Student's t.

        Parameters
        ----------
        level : float
            Probability [1].

        Returns
        -------
        array (2, ...)
            Lower and upper end; the unit of the data.
        """
        half = self.error * stdtrit(np.maximum(self.blocks - 1, 1), 0.5 + 0.5 * level)
        return np.stack([self.value - half, self.value + half])

    def numbers(self, level: float = 0.95) -> dict[str, Any]:
        """Of a single mean, in plain values: value, standard error, interval, blocks."""
        low, high = self.interval(level)
        value, error, blocks = float(self.value), float(self.error), int(self.blocks)
        return {"value": value, "standard_error": error, "interval": [float(low), float(high)], "blocks": blocks}

    def __getitem__(self, key: Any) -> Averaged:
        """The same for a part of the array."""
        return Averaged(self.value[key], self.error[key], self.blocks[key], self.settled[key])

    def reshape(self, *shape: int) -> Averaged:
        """The same with another shape."""
        return Averaged(
            self.value.reshape(shape),
            self.error.reshape(shape),
            self.blocks.reshape(shape),
            self.settled.reshape(shape),
        )


class BlockSums:
    """Sums over blocks of frames, filled frame by frame in bounded memory.

    At most `LIMIT` blocks are kept: when they are full, neighbours are merged and blocks become twice as long.

    Parameters
    ----------
    size : int
        Numbers per frame.
    """

    def __init__(self, size: int) -> None:
        self._sums, self._length, self._frames = np.zeros((LIMIT, size)), 1, 0

    def add(self, values: ArrayLike) -> None:
        """Add the numbers of one frame, (size,)."""
        if self._frames == LIMIT * self._length:
            half = self._sums[0::2] + self._sums[1::2]
            self._sums[:] = 0.0
            self._sums[: LIMIT // 2] = half
            self._length *= 2
        self._sums[self._frames // self._length] += values
        self._frames += 1

    @property
    def size(self) -> int:
        """Numbers per frame."""
        return int(self._sums.shape[1])

    @property
    def frames(self) -> int:
        """Frames added."""
        return self._frames

    @property
    def sums(self) -> Array:
        """Sums over each block (blocks, size); the last block may be shorter than the others."""
        return self._sums[: -(-self._frames // self._length)]

    @property
    def lengths(self) -> Array:
        """Frames in each block, (blocks,)."""
        count = self.sums.shape[0]
        lengths = np.full(count, float(self._length))
        if count:
            lengths[-1] = self._frames - (count - 1) * self._length
        return lengths

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state, for a checkpoint."""
        return {"sums": self._sums, "numbers": np.array([self._length, self._frames])}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self._sums = arrays["sums"].copy()
        self._length, self._frames = (int(v) for v in arrays["numbers"])


def average(series: Sequence[ArrayLike], *, weights: Sequence[ArrayLike] | None = None) -> Averaged:
    """Mean of correlated values with its standard error.

    Parameters
    ----------
    series : sequence of array (n, ...)
        One array per replica: values of successive blocks (or frames); any unit.
    weights : sequence of array (n,), optional
        Weight of each value, for instance the frames in the block; equal when left out.

    Returns
    -------
    Averaged

    Raises
    ------
    InputError
        No values, or shapes that do not fit.
    """
    runs = [np.asarray(run, dtype=np.float64) for run in series]
    if not runs or any(run.ndim == 0 or not len(run) for run in runs):
        raise InputError("no values to average")
    shape = runs[0].shape[1:]
    if any(run.shape[1:] != shape for run in runs):
        raise InputError(f"replicas to average differ in shape: {', '.join(str(run.shape[1:]) for run in runs)}")
    flat = [run.reshape(len(run), -1) for run in runs]
    load = [np.ones(len(run)) if weights is None else np.asarray(weights[k], float) for k, run in enumerate(flat)]
    total = sum(float(w.sum()) for w in load)
    value = np.asarray(sum(w @ run for w, run in zip(load, flat, strict=True)) / total)
    size = value.size
    error, used = np.full(size, np.nan), np.zeros(size)
    plain, count = np.full(size, np.nan), sum(len(run) for run in flat)
    open_ = np.ones(size, dtype=bool)
    while True:
        # Weighted residuals: they sum to zero, and their sum of squares is the variance of independent blocks.
        rest = [(w[:, None] * (run - value)) / total for w, run in zip(load, flat, strict=True)]
        n = sum(len(run) for run in rest)
        if n < FEWEST:
            break
        squares = np.asarray(sum((r**2).sum(axis=0) for r in rest))
        pairs = sum(max(len(r) - 1, 0) for r in rest)
        products = np.asarray(sum((r[1:] * r[:-1]).sum(axis=0) for r in rest))
        with np.errstate(invalid="ignore", divide="ignore"):
            near = products / max(pairs, 1) / (squares / n) + 1.0 / n
        near = np.where(squares > 0, near, 0.0) if pairs else np.zeros(size)
        error[open_] = np.sqrt(squares * n / (n - 1) * (1.0 + 2.0 * np.clip(near, 0.0, 0.5)))[open_]
        used[open_] = n
        if n == count:
            plain = np.sqrt(squares * n / (n - 1))
        open_ &= near >= CORRELATED
        if not open_.any() or not pairs:
            break
        flat, load = _merge(flat, load)
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = np.where(error > 0, count * (plain / error) ** 2, count)
    return Averaged(value, error, used, (worth >= INDEPENDENT) & (used > 0)).reshape(*shape)


def jackknife(
    sums: Sequence[ArrayLike], function: Callable[[Array], ArrayLike], *, weights: Sequence[ArrayLike] | None = None
) -> Averaged:
    """A function of summed blocks with its standard error.

    Parameters
    ----------
    sums : sequence of array (n, k)
        One array per replica: sums over successive blocks, whatever has to be summed; any unit.
    function : callable
        Takes the sum over all blocks (k,), gives the quantity (...): a ratio, a fit, an integral. It is also called
        with one block left out, so it must divide by a sum (of counts, of frames), never by a number of its own.
    weights : sequence of array (n,), optional
        Weight of each block; equal when left out.

    Returns
    -------
    Averaged
        `value` is ``function`` of everything; the error comes from the pseudo-values of the blocks, whose
        correlation is treated as in :func:`average`.

    Raises
    ------
    InputError
        No blocks.
    """
    runs = [np.asarray(run, dtype=np.float64) for run in sums]
    if not runs or not sum(len(run) for run in runs):
        raise InputError("no values to average")
    load = [np.ones(len(run)) if weights is None else np.asarray(weights[k], float) for k, run in enumerate(runs)]
    whole = np.asarray(sum(run.sum(axis=0) for run in runs))
    value = np.asarray(function(whole), dtype=np.float64)
    total = sum(float(w.sum()) for w in load)
    pseudo = []
    for run, w in zip(runs, load, strict=True):
        share = (w / total).reshape(-1, *[1] * value.ndim)
        left = np.array([function(whole - row) for row in run], dtype=np.float64).reshape(len(run), *value.shape)
        pseudo.append((value - (1.0 - share) * left) / share)
    averaged = average(pseudo, weights=load)
    return Averaged(value, averaged.error, averaged.blocks, averaged.settled)


def jackknife_covariance(
    sums: Sequence[ArrayLike], function: Callable[[Array], Array], *, weights: Sequence[ArrayLike] | None = None
) -> tuple[Averaged, Array]:
    """Several functions of summed blocks with their standard errors, and the covariance of these.

    Parameters
    ----------
    sums, weights
        As for :func:`jackknife`.
    function : callable
        As for :func:`jackknife`; gives (m,) numbers of one size, for covariances are taken from the errors of their
        differences, cov(a, b) = (var a + var b - var(a - b))/2, each with blocks as long as it needs.

    Returns
    -------
    averaged : Averaged (m,)
        Of the functions.
    covariance : array (m, m)
        Symmetric, positive semi-definite; NaN where there are too few blocks.
    """
    size = np.size(function(np.asarray(sum(np.asarray(run, dtype=np.float64).sum(axis=0) for run in sums))))
    i, j = np.triu_indices(size, 1)

    def with_differences(total: Array) -> Array:
        values = np.asarray(function(total))
        return np.concatenate([values, values[i] - values[j]])

    found = jackknife(sums, with_differences, weights=weights)
    variance = found.error**2
    own = variance[:size]
    covariance = np.diag(own)
    covariance[i, j] = covariance[j, i] = 0.5 * (own[i] + own[j] - variance[size:])
    scale = np.sqrt(np.where(own > 0, own, 1.0))
    correlation = covariance / np.outer(scale, scale)
    if np.all(np.isfinite(correlation)):
        values, vectors = np.linalg.eigh(correlation)
        if values[0] < 0:  # blocks of different lengths: the nearest that is one, with the variances kept
            nearest = (vectors * np.maximum(values, 0.0)) @ vectors.T
            length = np.sqrt(np.maximum(np.diag(nearest), 1e-300))
            covariance = nearest / np.outer(length, length) * np.outer(scale, scale)
    return found[:size], covariance


def _merge(flat: Sequence[Array], load: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """Neighbours of each replica merged two by two; an odd one at the end joins the last pair."""
    values, weights = [], []
    for run, w in zip(flat, load, strict=True):
        starts = np.arange(0, max(len(run) - 1, 1), 2)
        heavy = np.add.reduceat(w, starts)
        values.append(np.add.reduceat(w[:, None] * run, starts, axis=0) / heavy[:, None])
        weights.append(heavy)
    return values, weights
