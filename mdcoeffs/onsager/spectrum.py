"""The spectrum of the currents of a run: amplitudes that are independent of one another.

The increments of the summed displacements are expanded in sines that vanish at both ends of the
run (DST-I). For a stationary process the amplitudes are then independent, with covariance S(f), the current spectrum,
and S(f -> 0) = Omega. The sines vanish at the ends, so a bounded motion does not leak into low frequencies, and for
increments correlated between neighbours only the independence is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from cellsim.base import N_A, Array, k_B
from mdcoeffs.onsager.displacements import CollectiveDisplacements

EXACT_BINS = 24
"""Frequencies kept one by one, from the lowest."""
BIN_RATIO = 1.15
"""Above them, ratio of the edges of a bin."""


@dataclass(frozen=True, eq=False)
class CurrentSpectrum:
    """Outer products of the sine amplitudes, summed over directions, replicas and frequencies of a bin.

    Parameters
    ----------
    s : array (bins,)
        Discrete frequency 2 sin(omega dt/2), root-mean-square over the bin, in units of 1/dt.
    W : array (bins, n, n)
        Sums of outer products; expectation ``dof * S`` with S(0) = Omega [mol^2/(J m s)].
    dof : array (bins,)
        Number of real Gaussian amplitudes summed.
    dt : float
        Time between frames [s].
    steps : tuple of int
        Number of increments of each replica.
    """

    s: Array
    W: Array
    dof: Array
    dt: float
    steps: tuple[int, ...]

    @property
    def longest(self) -> int:
        """Steps of the longest replica."""
        return max(self.steps)


def current_spectrum(
    replicas: Sequence[CollectiveDisplacements],
    *,
    lags: tuple[float, float] | None = None,
    species: Sequence[int] | None = None,
) -> CurrentSpectrum:
    """Spectrum of the currents of some species, all replicas together.

    Parameters
    ----------
    replicas : sequence of CollectiveDisplacements
        Runs of one system, in one frame of reference.
    lags : (float, float), optional
        Keep only half-periods between these two times [s].
    species : sequence of int, optional
        Which species; cation and anion when left out.

    Returns
    -------
    CurrentSpectrum
        With the normalisation S(0) = Omega = <dx_i dx_j>/(2 k_B T V N_A^2 t) per direction.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 23, as a spectrum.
    """
    parts = []
    for run in replicas:
        scale = 2.0 * k_B * run.temperature * run.volume * N_A**2 * run.dt
        steps = np.diff(run.along[:, list(run.ions if species is None else species)], axis=0)
        v = fft.dst(steps, type=1, axis=0, norm="ortho")
        W = np.einsum("kix,kjx->kij", v, v) / scale
        n = W.shape[0]
        k = np.arange(1, n + 1)
        keep = np.ones(n, dtype=bool)
        if lags is not None:
            half_period = (n + 1) * run.dt / k
            slack = 1e-9 * run.dt
            keep = (half_period >= lags[0] - slack) & (half_period <= max(lags[1], lags[0]) + run.dt)
        s = 2.0 * np.sin(np.pi * k[keep] / (2 * (n + 1)))
        parts.append((s, W[keep], np.full(s.size, float(len(run.axes)))))
    return assembled(parts, dt=replicas[0].dt, steps=tuple(run.n_frames - 1 for run in replicas))


def assembled(replicas: Sequence[tuple[Array, Array, Array]], *, dt: float, steps: tuple[int, ...]) -> CurrentSpectrum:
    """One spectrum of the amplitudes of several replicas, in bins.

    Parameters
    ----------
    replicas : sequence of (array (k,), array (k, n, n), array (k,))
        Discrete frequency, sum of outer products and number of amplitudes of each frequency.
    dt : float
        Time between frames [s].
    steps : tuple of int
        Number of increments of each replica.

    Returns
    -------
    CurrentSpectrum
    """
    parts = [_binned(*replica) for replica in replicas]
    same = all(len(p[0]) == len(parts[0][0]) and np.array_equal(p[0], parts[0][0]) for p in parts)
    if same:  # replicas of one length share their frequencies
        s, W, dof = parts[0][0], sum(p[1] for p in parts), sum(p[2] for p in parts)
    else:
        s, W, dof = (np.concatenate([p[m] for p in parts]) for m in range(3))
        order = np.argsort(s, kind="stable")
        s, W, dof = s[order], W[order], dof[order]
    return CurrentSpectrum(s=s, W=np.asarray(W, dtype=float), dof=np.asarray(dof, dtype=float), dt=dt, steps=steps)


def _binned(s: Array, W: Array, dof: Array) -> tuple[Array, Array, Array]:
    n = s.size
    if n == 0:
        return s, W, dof
    starts = [0]
    while True:
        last = starts[-1]
        after = last + 1 if last < EXACT_BINS else max(last + 1, int(last * BIN_RATIO))
        if after >= n:
            break
        starts.append(after)
    edges = np.array(starts)
    width = np.diff(np.append(edges, n))
    mean_s = np.sqrt(np.add.reduceat(s**2, edges) / width)
    return mean_s, np.add.reduceat(W, edges, axis=0), np.add.reduceat(dof, edges)
