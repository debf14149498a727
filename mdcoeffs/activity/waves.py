"""Fluctuations of composition as plane waves, and their limit at long wavelength.

With rho_i(k) = sum_j exp(-i k.r_j) over the N_i points of kind i (s: all ions as one kind; 0: solvent), the relative
fluctuations

    A_ij(k) = V <rho_i rho_j*>/(N_i N_j)  ->  1/rho_i delta_ij + G_ij        for k -> 0

hold everything that Kirkwood-Buff integrals hold. The wave of composition alone,

    Y(k) = N_s <|rho_s/N_s - rho_0/N_0|^2> = rho_s (A_ss + A_00 - 2 A_s0)  ->  1/chi,

is free of the compressibility, and waves of the box (k L/2 pi whole) see no walls: no pair is cut off. What is left is
the limit. 1/Y is a polynomial in k^2; a wave of one k is a complex Gaussian number, so the mean of |.|^2 over n
independent ones is gamma distributed, and 1/Y is fitted by maximum likelihood with that distribution. Degrees and
ranges of k are averaged with Akaike weights, and their scatter is part of the error.

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; Bhatia & Thornton, Phys. Rev. B 2, 3004 (1970),
doi:10.1103/PhysRevB.2.3004 (composition waves); Jay & Neil, Phys. Rev. D 103, 114502 (2021),
doi:10.1103/PhysRevD.103.114502 (weights over models and ranges).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.statistics.blocks import Averaged, BlockSums, average, jackknife

MOST_VECTORS = 600
"""Most wave vectors followed; the longest waves are kept."""
MOST_SHELLS = 64
"""Most shells of |k|."""
CHUNK = 1 << 21
"""Most phase factors held at a time; 16 byte each."""
COLUMNS = ("ss", "s0", "00", "zz", "k2")
"""What is summed for every shell."""
HIGHEST = 3
"""Highest degree of 1/Y in k^2."""


@dataclass(frozen=True, eq=False)
class WaveVectors:
    """Wave vectors of a box, one of each pair k, -k, in shells of nearly equal length.

    Parameters
    ----------
    whole : array of int (vectors, 3)
        Multiples of the three reciprocal box vectors.
    shell : array of int (vectors,)
        Shell of each.
    k : array (shells,)
        Mean length of a shell in the box they were chosen for [1/m].
    """

    whole: Ints
    shell: Ints
    k: Array

    @property
    def counts(self) -> Ints:
        """Vectors in each shell, (shells,)."""
        return np.bincount(self.shell, minlength=self.k.size)


def wave_vectors(box: Array, k_max: float) -> WaveVectors:
    """Wave vectors of a box up to a length.

    Parameters
    ----------
    box : array (3, 3)
        Box vectors as rows [m].
    k_max : float
        Longest wave vector [1/m].

    Returns
    -------
    WaveVectors

    Raises
    ------
    InputError
        Fewer than four shells lie below `k_max`.
    """
    reciprocal = 2.0 * np.pi * np.linalg.inv(box).T
    reach = np.floor(k_max * np.linalg.norm(box, axis=1) / (2.0 * np.pi) * (1 + 1e-9)).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    whole = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    first = np.where(whole[:, 0] != 0, whole[:, 0], np.where(whole[:, 1] != 0, whole[:, 1], whole[:, 2]))
    whole = whole[first > 0]
    k = np.linalg.norm(whole @ reciprocal, axis=1)
    order = np.argsort(k, kind="stable")
    order = order[k[order] <= k_max * (1 + 1e-9)]
    if order.size > MOST_VECTORS:  # whole shells only
        order = order[k[order] < k[order[MOST_VECTORS]] * (1 - 1e-6)]
    whole, k = whole[order], k[order]
    gap = 1e-3
    shell = _shells(k, gap)
    while k.size and shell[-1] >= MOST_SHELLS:
        gap *= 1.5
        shell = _shells(k, gap)
    if not k.size or shell[-1] < HIGHEST:
        raise InputError(
            f"k_max = {k_max * 1e-9:.4g} 1/nm leaves {shell[-1] + 1 if k.size else 0} lengths of waves in this box; "
            f"at least {HIGHEST + 1} are needed: choose a larger k_max"
        )
    return WaveVectors(whole, shell, np.bincount(shell, k) / np.bincount(shell))


def _shells(k: Array, gap: float) -> Ints:
    """Shell of each of the lengths `k` in increasing order; a shell is no wider than `gap` of its length."""
    shell, first, number = np.zeros(k.size, dtype=np.int64), 0.0, -1
    for j, length in enumerate(k):
        if number < 0 or length > first * (1 + gap):
            first, number = length, number + 1
        shell[j] = number
    return shell


class WaveSums:
    """Accumulator: squares and products of the waves of ions, solvent and charge.

    Parameters
    ----------
    vectors : WaveVectors
        Of all replicas.
    ions, solvent : array of int (n,), (m,)
        Rows of the points: molecules where `centres` is true, else atoms.
    charges : array (n,)
        Charge numbers of the ions [1].
    centres : bool
        Points are centres of mass of molecules.
    """

    def __init__(self, vectors: WaveVectors, ions: Ints, solvent: Ints, charges: Array, *, centres: bool) -> None:
        self.vectors, self.ions, self.solvent, self.charges, self.centres = vectors, ions, solvent, charges, centres
        self.follow = "whole" if centres else ""
        self.sums = BlockSums(len(COLUMNS) * vectors.k.size + 2)

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        to_fractions = np.linalg.inv(snapshot.cell)
        points = snapshot.centres if self.centres else snapshot.positions
        s, zero, z = self.waves(points @ to_fractions)
        k2 = np.sum((self.vectors.whole @ (2.0 * np.pi * to_fractions.T)) ** 2, axis=1)
        squares = (abs(s) ** 2, (s * zero.conj()).real, abs(zero) ** 2, abs(z) ** 2, k2)
        shell, count = self.vectors.shell, self.vectors.counts
        means = [np.bincount(shell, each) / count for each in squares]
        self.sums.add(np.concatenate([*means, [snapshot.volume, 1.0]]))

    def waves(self, fractions: Array) -> NDArray[np.complex128]:
        """rho_s/N_s, rho_0/N_0 and rho_z of every wave vector, (3, vectors), from fractional coordinates."""
        rows = np.concatenate([self.ions, self.solvent])
        n, m = self.ions.size, self.solvent.size
        load = np.zeros((rows.size, 3))
        load[:n, 0], load[n:, 1], load[:n, 2] = 1.0 / n, 1.0 / m, self.charges
        whole, most = self.vectors.whole, int(np.abs(self.vectors.whole).max())
        # A vector is a whole multiple along each reciprocal axis, so its phase is a product of three powers, and the
        # exponentials, the dear part, are taken once per point and axis.
        step = np.exp(-2j * np.pi * fractions[rows].T)
        powers = np.ones((most + 1, 3, rows.size), dtype=np.complex128)
        for j in range(most):
            powers[j + 1] = powers[j] * step
        waves = np.empty((3, len(whole)), dtype=np.complex128)
        width = max(1, CHUNK // rows.size)
        for start in range(0, len(whole), width):
            some = whole[start : start + width]
            phase = np.ones((len(some), rows.size), dtype=np.complex128)
            for axis in range(3):
                power = powers[np.abs(some[:, axis]), axis]
                phase *= np.where(some[:, axis, None] < 0, power.conj(), power)
            waves[:, start : start + width] = (phase @ load).T
        return waves

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return self.sums.arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.sums.restore(arrays)


@dataclass(frozen=True, eq=False)
class Limit:
    """A limit k -> 0 of 1/Y.

    Parameters
    ----------
    value : Averaged
        1/Y(0), and its standard error from blocks alone [1].
    spread : float
        Scatter over the models, weighted [1].
    degrees : array (models,)
        Degree of each model in k^2 [1].
    ranges : array (models,)
        Shells each model was fitted to [1].
    weights : array (models,)
        Their weights; sum one [1].
    curve : array (shells,)
        1/Y(k), averaged over the models that reach so far; NaN beyond [1].
    gradient : array (shells,)
        d(1/Y(0))/dY(k) [1].
    independent : array (shells,)
        Independent waves behind every shell [1].
    """

    value: Averaged
    spread: float
    degrees: Ints
    ranges: Ints
    weights: Array
    curve: Array
    gradient: Array
    independent: Array

    @property
    def error(self) -> float:
        """Standard error: blocks and scatter over models [1]."""
        return float(np.hypot(self.value.error, self.spread))


def composition(total: Array, n_ions: int) -> Array:
    """Y(k) (shells,) [1] from sums over blocks (5 shells + 2,)."""
    ss, s0, zero = total[:-2].reshape(len(COLUMNS), -1)[:3] / total[-1]
    return np.asarray(n_ions * (ss + zero - 2.0 * s0))


def long_wave_limit(blocks: Sequence[Array], lengths: Sequence[Array], counts: Ints, n_ions: int) -> Limit:
    """1/Y at k -> 0.

    Parameters
    ----------
    blocks : sequence of array (blocks, 5 shells + 2)
        Sums over blocks of each replica.
    lengths : sequence of array (blocks,)
        Frames in each block.
    counts : array of int (shells,)
        Wave vectors in each shell.
    n_ions : int
        Ions in the box.

    Returns
    -------
    Limit
    """
    total = np.asarray(sum(each.sum(axis=0) for each in blocks))
    Y = composition(total, n_ions)
    q = total[:-2].reshape(len(COLUMNS), -1)[4] / total[-1]
    q = q / q[-1]
    n = independent_waves(blocks, lengths, counts, n_ions, q)
    degrees, ranges, values, gradients, curves, scores = [], [], [], [], [], []
    for degree in range(1, HIGHEST + 1):
        for size in range(degree + 2, q.size + 1):
            fitted = gamma_fit(q[:size], Y[:size], n[:size], degree)
            if fitted is None:
                continue
            beta, deviance, gradient = fitted
            degrees.append(degree)
            ranges.append(size)
            values.append(beta[0])
            gradients.append(np.concatenate([gradient, np.zeros(q.size - size)]))
            curve = np.full(q.size, np.nan)
            curve[:size] = np.vander(q[:size], degree + 1, increasing=True) @ beta
            curves.append(curve)
            # Akaike: a parameter costs one; so does every shell left out, which a parameter of its own would fit.
            scores.append(-0.5 * deviance - (degree + 1) - (q.size - size))
    if not values:
        raise InputError("1/Y(k) of the composition waves could not be fitted; look at Y(k), the run may be demixing")
    weights = np.exp(np.array(scores) - np.max(scores))
    weights /= weights.sum()
    best = float(weights @ np.array(values))
    gradient = weights @ np.array(gradients)
    # Linear in Y about the fit: a new fit for every block left out would jump between models.
    error = jackknife(blocks, lambda sums: best + gradient @ (composition(sums, n_ions) - Y), weights=lengths)
    seen = ~np.isnan(curves)
    share = weights @ seen
    with np.errstate(invalid="ignore"):
        curve = np.where(share > 0.05, weights @ np.nan_to_num(curves) / share, np.nan)
    spread = float(np.sqrt(weights @ (np.array(values) - best) ** 2))
    return Limit(error, spread, np.array(degrees), np.array(ranges), weights, curve, gradient, n)


def independent_waves(blocks: Sequence[Array], lengths: Sequence[Array], counts: Ints, n_ions: int, q: Array) -> Array:
    """Independent values of |wave|^2 behind the mean of each shell, (shells,) [1].

    The relative variance of a mean of n squares of complex Gaussian numbers is 1/n. Its estimate from blocks is
    smoothed by a power law in k per wave vector, for it is as rough as there are few blocks.
    """
    series = [np.array([composition(row, n_ions) for row in each]) for each in blocks]
    mean = average(series, weights=lengths)
    frames = float(sum(each.sum() for each in lengths))
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (mean.value / mean.error) ** 2 / counts
    each = np.where(np.isfinite(each) & (each > 0), each, frames)
    line = np.polyfit(np.log(q), np.log(each), 1, w=np.sqrt(counts.astype(float)))
    return np.asarray(np.clip(np.exp(np.polyval(line, np.log(q))), 1e-3, frames) * counts)


def gamma_fit(q: Array, Y: Array, n: Array, degree: int) -> tuple[Array, float, Array] | None:
    """Polynomial 1/Y = sum_p beta_p q^p by maximum likelihood, Y gamma distributed.

    Parameters
    ----------
    q : array (shells,)
        Squared wave numbers, in any unit [1].
    Y : array (shells,)
        Means [1].
    n : array (shells,)
        Independent values behind each mean [1].
    degree : int
        Of the polynomial.

    Returns
    -------
    beta : array (degree + 1,)
        Coefficients [1].
    deviance : float
        Twice the log-likelihood lost against the data themselves [1].
    gradient : array (shells,)
        d beta_0/dY [1].

    or None where no positive polynomial is found.
    """
    X = np.vander(q, degree + 1, increasing=True)
    scale = float(np.sum(n) / np.sum(n * Y))
    beta = np.zeros(degree + 1)
    beta[0] = scale
    f = X @ beta
    value = float(n @ (np.log(f) - Y * f))
    for _ in range(100):
        weighted = X * (n / f**2)[:, None]
        try:
            step = np.linalg.solve(X.T @ weighted, X.T @ (n * (1.0 / f - Y)))
        except np.linalg.LinAlgError:
            return None
        length = 1.0
        while length > 1e-8:
            trial = X @ (beta + length * step)
            if np.all(trial > 0):
                new = float(n @ (np.log(trial) - Y * trial))
                if new >= value - 1e-12 * abs(value):
                    break
            length *= 0.5
        else:
            return None
        beta = beta + length * step
        f = X @ beta
        done, value = abs(new - value) < 1e-10 * (1 + abs(new)), new
        if done and length == 1.0:
            break
    curvature = X.T @ (X * (n / f**2)[:, None])
    gradient = -np.linalg.solve(curvature, X.T * n)[0]
    if beta[0] <= 0:
        return None
    return beta, float(2.0 * n @ (Y * f - 1.0 - np.log(Y * f))), gradient
