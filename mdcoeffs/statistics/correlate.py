"""Mean-squared displacements and their cross-correlations, in float64, equal to the naive loop.

``C_ij(t) = < [R_i(s+t) - R_i(s)] . [R_j(s+t) - R_j(s)] >_s``, over all time origins s. All lags by FFT (Wiener-
Khinchin with the two end corrections), a few lags by direct differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from cellsim.base import Array, InputError

Lags = NDArray[np.int64]

DIRECT_LAGS = 16
"""Lags up to this one are always differenced directly: there the FFT route cancels most."""

CACHE = 2e6
"""Padded series transformed at once, so that they stay in the cache [byte]; twice as fast as large blocks."""


def log_lags(frames: int, *, per_decade: int = 20, longest: int | None = None) -> Lags:
    """Integer lags, 0 and then evenly spaced on a log scale.

    Parameters
    ----------
    frames : int
        Number of frames of the trajectory.
    per_decade : int
        Lags per factor of ten.
    longest : int, optional
        Longest lag in frames; ``frames - 1`` when left out.

    Returns
    -------
    array of int (lags,)
        Increasing, each once.
    """
    last = frames - 1 if longest is None else longest
    if not 1 <= last <= frames - 1:
        raise InputError(f"longest = {longest} must lie between 1 and frames - 1 = {frames - 1}")
    n = max(2, int(np.ceil(per_decade * np.log10(last))) + 1) if last > 1 else 1
    raw = np.unique(np.round(np.logspace(0.0, np.log10(last), n)).astype(np.int64))
    lags: Lags = np.concatenate([np.zeros(1, dtype=np.int64), raw])
    return lags


def collective_msd(R: ArrayLike, lags: ArrayLike | None = None) -> Array:
    """Correlations of summed displacements, all pairs of species at once, symmetric in them.

    Parameters
    ----------
    R : array (frames, species, 3)
        Summed unwrapped displacements [m].
    lags : array of int (lags,), optional
        Lags in frames; all of 0 ... frames - 1 when left out.

    Returns
    -------
    array (lags, species, species)
        C_ij at each lag [m^2].

    Raises
    ------
    InputError
        Wrong shape, or a lag outside the trajectory.
    """
    X = np.asarray(R, dtype=np.float64)
    if X.ndim != 3:
        raise InputError(f"R has shape {X.shape}, allowed is (frames, species, 3)")
    frames = X.shape[0]
    wanted = _checked_lags(lags, frames)
    # direct differences cost frames per lag, the FFT route about 12 log2(2 frames) altogether
    if wanted.size <= 12 * np.log2(2 * frames):
        return np.stack([_direct(X, int(lag)) for lag in wanted])
    X = X - X.mean(axis=0)
    n = fft.next_fast_len(2 * frames - 1, real=True)
    spectrum = fft.rfft(X, n, axis=0)
    cross = np.einsum("fix,fjx->fij", spectrum, spectrum.conj())
    both = fft.irfft(cross.real, n, axis=0)[:frames]  # (c_ij(t) + c_ji(t)) / 2
    squares = np.einsum("tix,tjx->tij", X, X)
    C = (_end_sums(squares) - 2 * both) / np.arange(frames, 0, -1)[:, None, None]
    for lag in range(min(DIRECT_LAGS, frames - 1) + 1):
        C[lag] = _direct(X, lag)
    out: Array = C[wanted]
    return out


def running_integral(runs: Sequence[Array], dt: float, longest: int) -> tuple[Array, Array]:
    """Green-Kubo integral of an autocorrelation up to a lag, of independent series of one variance.

    Parameters
    ----------
    runs : sequence of array (series, frames)
        Of each run; nothing is taken away.
    dt : float
        Time between frames [s].
    longest : int
        Of the lags, in frames.

    Returns
    -------
    lag : array (longest + 1,)
        [s]
    integral : array (longest + 1,)
        By the trapezoidal rule, in the square of the unit of the series times seconds.
    """
    total, weight = np.zeros(longest + 1), np.zeros(longest + 1)
    for run in runs:
        frames = run.shape[1]
        n = fft.next_fast_len(frames + longest + 1, real=True)
        power = np.sum(np.abs(fft.rfft(run, n, axis=1)) ** 2, axis=0)
        total += fft.irfft(power, n)[: longest + 1]
        weight += len(run) * (frames - np.arange(longest + 1))
    C = total / weight
    lag = dt * np.arange(longest + 1, dtype=np.float64)
    return lag, np.asarray(dt * (np.cumsum(C) - (C + C[0]) / 2), dtype=np.float64)


def self_msd(
    positions: ArrayLike,
    lags: ArrayLike | None = None,
    *,
    memory: float = 32e6,
    workers: int = 1,
) -> Array:
    """Mean-squared displacement of single particles of one species, in blocks of particles.

    Parameters
    ----------
    positions : array (frames, particles, 3)
        Unwrapped positions, single or double precision [m].
    lags : array of int (lags,), optional
        Lags in frames; all when left out.
    memory : float
        Working memory above the input, at least one particle's worth [byte].
    workers : int
        Threads of the FFT.

    Returns
    -------
    array (lags,)
        Mean over particles and time origins [m^2].

    Raises
    ------
    InputError
        Wrong shape, or a lag outside the trajectory.
    """
    X = np.asarray(positions)
    if X.ndim != 3 or X.shape[2] != 3 or X.shape[1] < 1:
        raise InputError(f"positions have shape {X.shape}, allowed is (frames, particles, 3)")
    frames = X.shape[0]
    wanted = _checked_lags(lags, frames)
    block = block_size(frames, memory)
    sums = SelfSums.zero(frames)
    for start in range(0, X.shape[1], block):
        sums = sums + self_sums(X[:, start : start + block], workers=workers)
    out: Array = sums.msd()[wanted]
    return out


@dataclass(frozen=True, eq=False)
class SelfSums:
    """What blocks of particles add up to before the one inverse transform; add blocks with ``+``.

    Parameters
    ----------
    power : array (frequencies,)
        Sum over particles and directions of the power spectrum [m^2].
    squares : array (frames,)
        Sum over particles of the squared distance from each particle's mean position [m^2].
    particles : int
        Number of particles summed.
    """

    power: Array
    squares: Array
    particles: int

    @classmethod
    def zero(cls, frames: int) -> SelfSums:
        """The empty sum for a trajectory of `frames` frames."""
        return cls(np.zeros(_padded(frames) // 2 + 1), np.zeros(frames), 0)

    def __add__(self, other: SelfSums) -> SelfSums:
        return SelfSums(self.power + other.power, self.squares + other.squares, self.particles + other.particles)

    def msd(self) -> Array:
        """Mean-squared displacement at every lag (frames,) [m^2]."""
        if self.particles == 0:
            raise InputError("no particle was added, so there is no mean-squared displacement")
        frames = self.squares.size
        autocorrelation = fft.irfft(self.power, _padded(frames))[:frames]
        total = _end_sums(self.squares) - 2 * autocorrelation
        out: Array = np.maximum(total / np.arange(frames, 0, -1), 0.0) / self.particles
        out[0] = 0.0
        return out


def self_sums(block: ArrayLike, *, workers: int = 1) -> SelfSums:
    """Power spectrum and squares of one block of particles.

    Parameters
    ----------
    block : array (frames, particles, 3)
        Unwrapped positions [m].
    workers : int
        Threads of the FFT.

    Returns
    -------
    SelfSums
        To be added to those of the other blocks.
    """
    X = np.asarray(block)
    frames, particles = X.shape[:2]
    n = _padded(frames)
    power, squares = np.zeros(n // 2 + 1), np.zeros(frames)
    few = max(1, int(CACHE // (24 * n)))
    for start in range(0, particles, few):
        part = X[:, start : start + few]
        padded = np.zeros((3 * part.shape[1], n))
        series = padded[:, :frames]
        series[:] = part.reshape(frames, -1).T
        series -= series.mean(axis=1, keepdims=True)
        squares += np.einsum("st,st->t", series, series)
        flat = fft.rfft(padded, axis=1, overwrite_x=True, workers=workers).view(np.float64)
        power += np.einsum("sf,sf->f", flat, flat).reshape(-1, 2).sum(axis=1)
    return SelfSums(power, squares, particles)


def block_size(frames: int, memory: float) -> int:
    """Particles per block so that the working arrays of :func:`self_sums` stay below `memory`.

    Parameters
    ----------
    frames : int
        Number of frames.
    memory : float
        Working memory [byte].

    Returns
    -------
    int
        At least 1.
    """
    per_series = 8 * frames + 8 * _padded(frames) + 16 * (_padded(frames) // 2 + 1)
    return max(1, int(memory // (3 * per_series)))


def _padded(frames: int) -> int:
    return int(fft.next_fast_len(2 * frames - 1, real=True))


def _checked_lags(lags: ArrayLike | None, frames: int) -> Lags:
    if lags is None:
        return np.arange(frames, dtype=np.int64)
    wanted = np.atleast_1d(np.asarray(lags)).astype(np.int64)
    if wanted.size and not (int(wanted.min()) >= 0 and int(wanted.max()) < frames):
        raise InputError(f"lags must lie between 0 and frames - 1 = {frames - 1}")
    return wanted


def _direct(X: Array, lag: int) -> Array:
    moved = X[lag:] - X[: X.shape[0] - lag]
    C: Array = np.einsum("tix,tjx->ij", moved, moved) / moved.shape[0]
    return C


def _end_sums(squares: Array) -> Array:
    """sum_{s=t}^{T-1} q(s) + sum_{s=0}^{T-1-t} q(s) for every lag t, along axis 0."""
    running = np.cumsum(squares, axis=0)
    total = running[-1]
    head = running[::-1]  # sum over s = 0 ... T-1-t
    tail = total - np.concatenate([np.zeros_like(running[:1]), running[:-1]])
    out: Array = head + tail
    return out
