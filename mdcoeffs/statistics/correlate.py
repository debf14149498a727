"""Mean-squared displacements and their cross-correlations, in float64, equal to the naive loop.

``C_ij(t) = < [R_i(s+t) - R_i(s)] . [R_j(s+t) - R_j(s)] >_s``, over all time origins s. All lags by FFT (Wiener-
Khinchin with the two end corrections), a few lags by direct differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from cellsim.base import Array, InputError

Lags = NDArray[np.int64]

DIRECT_LAGS = 16
"""Lags up to this one are always differenced directly: there the FFT route cancels most."""

CACHE = 2e6
"""Series transformed at once, so that they stay in the cache [byte]; twice as fast as large blocks."""
TILE = 64
"""Frames that are brought into the order of the series at a time: what they read is still in the cache for the next."""


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


def self_msd(positions: ArrayLike, lags: ArrayLike | None = None, *, workers: int = 1) -> Array:
    """Mean-squared displacement of single particles of one species, some particles at a time.

    Parameters
    ----------
    positions : array (frames, particles, 3)
        Unwrapped positions, single or double precision [m].
    lags : array of int (lags,), optional
        Lags in frames; all when left out.
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
    wanted = _checked_lags(lags, X.shape[0])
    out: Array = self_sums(X, workers=workers).msd()[wanted]
    return out


@dataclass(frozen=True, eq=False)
class SelfSums:
    """What blocks of particles add up to before the one inverse transform; add blocks with ``+``.

    Parameters
    ----------
    power : array (frequencies,)
        Sum over particles and directions of the power spectrum [m^2].
    squares : array (frames,)
        Sum over particles of the squared distance from a place in the middle of each particle's path [m^2].
    particles : int
        Number of particles summed.
    """

    power: Array
    squares: Array
    particles: int

    @classmethod
    def zero(cls, frames: int) -> SelfSums:
        """The empty sum for a trajectory of `frames` frames."""
        return cls(np.zeros(2 * _padded(frames)), np.zeros(frames), 0)

    def __add__(self, other: SelfSums) -> SelfSums:
        return SelfSums(self.power + other.power, self.squares + other.squares, self.particles + other.particles)

    def msd(self) -> Array:
        """Mean-squared displacement at every lag (frames,) [m^2]."""
        if self.particles == 0:
            raise InputError("no particle was added, so there is no mean-squared displacement")
        frames = self.squares.size
        autocorrelation = fft.ifft(self.power).real[:frames]
        total = _end_sums(self.squares) - 2 * autocorrelation
        out: Array = np.maximum(total / np.arange(frames, 0, -1), 0.0) / self.particles
        out[0] = 0.0
        return out


def self_sums(block: ArrayLike, *, workers: int = 1) -> SelfSums:
    """Power spectrum and squares of one block of particles.

    Two coordinates x, y go through one complex transform: the real part of the autocorrelation of x + iy is the sum of
    theirs, and only sums are wanted. Twice the frames are needed, so that late and early frames do not mix; as the
    second half is empty, the even frequencies are the transform of the frames themselves and the odd ones that of the
    frames times exp(-i pi s/length), each of half the length.

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
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    frames, particles = X.shape[:2]
    length = _padded(frames)
    few = 2 * max(1, int(CACHE // (96 * length)))
    turn = np.exp(-1j * np.pi * np.arange(frames) / length)
    centres = X[:: max(1, frames // 64)].mean(axis=0, dtype=np.float64)
    power, squares = np.zeros((2, 2 * length)), np.zeros(frames)
    room = np.empty((2, (3 * min(few, particles) + 1) // 2, length), dtype=np.complex128)
    for start in range(0, particles, few):
        part = slice(start, start + few)
        series = room[:, : (3 * len(centres[part]) + 1) // 2]
        series[:, -1] = series[:, :, frames:] = 0.0  # of an odd number of coordinates the last has no other
        _pack(X[:, part], centres[part], turn, series.view(np.float64).reshape(*series.shape, 2), series, squares)
        spectra = fft.fft(series, axis=2, overwrite_x=True, workers=workers).view(np.float64)
        power += np.einsum("hsf,hsf->hf", spectra, spectra)
    return SelfSums(power.reshape(2, length, 2).sum(axis=2).T.ravel(), squares, particles)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pack(X, centres, turn, coordinates, series, squares):  # type: ignore[no-untyped-def]
    """Positions into complex series of two coordinates each, as they are and turned; a few frames at a time."""
    for begin in range(0, X.shape[0], TILE):
        end = min(begin + TILE, X.shape[0])
        for column in range(3 * X.shape[1]):
            p, x = column // 3, column % 3
            for s in range(begin, end):
                far = X[s, p, x] - centres[p, x]
                squares[s] += far * far
                coordinates[0, column // 2, s, column % 2] = far
        for k in range(series.shape[1]):
            for s in range(begin, end):
                series[1, k, s] = series[0, k, s] * turn[s]


def _padded(frames: int) -> int:
    """Half the length of the transforms: no less than the frames, and with many factors of two, which are fast."""
    return 64 * int(fft.next_fast_len(-(-frames // 64), real=True))


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
    frames = len(squares)
    both = np.cumsum(squares + squares[::-1], axis=0)  # the first and the last k + 1
    out: Array = both[::-1].copy()
    # of a short lag what is left out is little: a difference from the whole, whose rounding the lag would magnify
    out[0] = 2 * squares.sum(axis=0)
    out[1 : frames // 2] = out[0] - both[: max(frames // 2 - 1, 0)]
    return out
