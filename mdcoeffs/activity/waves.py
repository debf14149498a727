"""Fluctuations of composition as plane waves, and their limit at long wavelength.

With rho_i(k) = sum_j exp(-i k.r_j) over the N_i points of species i, the relative fluctuations

    a_ij(k) = <rho_i rho_j*>/(N_i N_j) = A_ij/V,        A_ij -> 1/rho_i delta_ij + G_ij        for k -> 0

hold everything that Kirkwood-Buff integrals hold. The waves of composition alone, x = M a with the rows of
`composition_map`, are free of charge and of the compressibility, and waves of the box (k L/2 pi whole) see no walls: no
pair is cut off. What is left is the limit of their covariance Y(k) = M a(k) M^T, (K, K); its inverse at k = 0 is the
matrix of thermodynamic factors, for one salt in one solvent the number chi.

Y^-1 is a polynomial in k^2. A wave of one k is a vector of complex Gaussian numbers, so the mean of its squares over n
independent ones is Wishart distributed (gamma, for one number), and Y^-1 is fitted by maximum likelihood with that
distribution. Degrees and ranges of k are averaged with Akaike weights, and their scatter is part of the error.

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; Bhatia & Thornton, Phys. Rev. B 2, 3004 (1970),
doi:10.1103/PhysRevB.2.3004 (composition waves); Goodman, Ann. Math. Stat. 34, 152 (1963),
doi:10.1214/aoms/1177704250 (the complex Wishart distribution); Jay & Neil, Phys. Rev. D 103, 114502 (2021),
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
HIGHEST = 3
"""Highest degree of Y^-1 in k^2."""


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
    """Accumulator: squares and products of the waves of all species.

    Parameters
    ----------
    vectors : WaveVectors
        Of all replicas.
    groups : sequence of array of int
        Rows of the points of each species: molecules where `centres` is true, else atoms.
    centres : bool
        Points are centres of mass of molecules.
    """

    def __init__(self, vectors: WaveVectors, groups: Sequence[Ints], *, centres: bool) -> None:
        self.vectors, self.groups, self.centres = vectors, tuple(groups), centres
        self.follow = "whole" if centres else ""
        n = len(self.groups)
        self.sums = BlockSums((n * (n + 1) // 2 + 1) * vectors.k.size + 2)

    @property
    def counts(self) -> tuple[int, ...]:
        """Points of each species."""
        return tuple(rows.size for rows in self.groups)

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        to_fractions = np.linalg.inv(snapshot.cell)
        points = snapshot.centres if self.centres else snapshot.positions
        rho = self.waves(points @ to_fractions)
        k2 = np.sum((self.vectors.whole @ (2.0 * np.pi * to_fractions.T)) ** 2, axis=1)
        i, j = np.triu_indices(len(self.groups))
        shell, count = self.vectors.shell, self.vectors.counts
        means = [np.bincount(shell, each) / count for each in (*(rho[i] * rho[j].conj()).real, k2)]
        self.sums.add(np.concatenate([*means, [snapshot.volume, 1.0]]))

    def waves(self, fractions: Array) -> NDArray[np.complex128]:
        """rho_i/N_i of every species and wave vector, (species, vectors), from fractional coordinates."""
        rows, counts = np.concatenate(self.groups), self.counts
        load = np.repeat(np.eye(len(counts)) / counts, counts, axis=0)
        whole, most = self.vectors.whole, int(np.abs(self.vectors.whole).max())
        # A vector is a whole multiple along each reciprocal axis, so its phase is a product of three powers, and the
        # exponentials, the dear part, are taken once per point and axis.
        step = np.exp(-2j * np.pi * fractions[rows].T)
        powers = np.ones((most + 1, 3, rows.size), dtype=np.complex128)
        for j in range(most):
            powers[j + 1] = powers[j] * step
        waves = np.empty((len(counts), len(whole)), dtype=np.complex128)
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


# ---- from waves of species to waves of composition -----------------------------------------------------------------


def fluctuations(total: Array, species: int) -> tuple[Array, Array]:
    """From sums over blocks: a_ij(k) (shells, species, species) [1], and k^2 (shells,) [1/m^2]."""
    i, j = np.triu_indices(species)
    rows = total[:-2].reshape(i.size + 1, -1) / total[-1]
    a = np.empty((rows.shape[1], species, species))
    a[:, i, j] = a[:, j, i] = rows[:-1].T
    return a, rows[-1]


def neutral_map(counts: Sequence[int], z: Sequence[float]) -> Array:
    """Relative fluctuations of the species with the charge taken away, as a matrix on those that there are.

    At long wavelength the mixture is neutral; the charge of a wave is taken away where that costs least,
    delta_i - z_i N_i (sum_j z_j delta_j)/(sum_j z_j^2 N_j). Then every ion of a binary salt fluctuates as all of its
    ions together, delta N_+/nu_+ = delta N_-/nu_-.

    Parameters
    ----------
    counts : sequence of int (n,)
        Points of each species.
    z : sequence of float (n,)
        Charge numbers.

    Returns
    -------
    array (n, n)
    """
    N, q = np.array(counts, dtype=float), np.array(z, dtype=float)
    return np.asarray(np.eye(N.size) - np.outer(q, q * N) / max(float(q**2 @ N), 1e-300))


def composition_map(counts: Sequence[int], z: Sequence[float], components: Sequence[int], reference: int) -> Array:
    """M, (K, n): what takes relative fluctuations of all species to sqrt(N_k) delta ln(N_k/N_0) of the components.

    Then Y = M a M^T -> Gamma^-1, with Gamma_kl = sqrt(r_k r_l) G_kl, r_k = N_k/N_0 and G the slope of the chemical
    potentials over RT in r: the probability of a composition in a large open volume is exp(-N_0 dr^T G dr/2).

    Parameters
    ----------
    counts : sequence of int (n,)
        Points of each species.
    z : sequence of float (n,)
        Charge numbers.
    components : sequence of int (K,)
        Species that count a component.
    reference : int
        The species 0.

    Returns
    -------
    array (K, n)
    """
    neutral, places = neutral_map(counts, z), list(components)
    return np.asarray(np.sqrt(np.array(counts, dtype=float)[places, None]) * (neutral[places] - neutral[reference]))


def triangle(matrices: NDArray[np.floating[Any]]) -> Array:
    """Upper triangle (..., K (K + 1)/2) of symmetric matrices (..., K, K)."""
    i, j = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices[..., i, j], dtype=np.float64)


def square(entries: Array) -> Array:
    """Symmetric matrices (..., K, K) from their upper triangles (..., K (K + 1)/2)."""
    K = round((np.sqrt(8 * entries.shape[-1] + 1) - 1) / 2)
    i, j = np.triu_indices(K)
    matrices = np.empty((*entries.shape[:-1], K, K))
    matrices[..., i, j] = matrices[..., j, i] = entries
    return matrices


# ---- the limit ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Limit:
    """A limit k -> 0 of Y^-1; matrices by their upper triangles, `entries` = K (K + 1)/2 numbers.

    Parameters
    ----------
    value : Averaged (entries,)
        Y^-1 at k = 0, and its standard error from blocks alone [1].
    spread : array (entries, entries)
        Covariance of the models about their mean, weighted [1].
    degrees : array (models,)
        Degree of each model in k^2 [1].
    ranges : array (models,)
        Shells each model was fitted to [1].
    weights : array (models,)
        Their weights; sum one [1].
    curve : array (shells, entries)
        Y^-1 of k, averaged over the models that reach so far; NaN beyond [1].
    gradient : array (entries, shells, entries)
        d(Y^-1 at 0)/dY(k) [1].
    independent : array (shells,)
        Independent waves behind every shell [1].
    """

    value: Averaged
    spread: Array
    degrees: Ints
    ranges: Ints
    weights: Array
    curve: Array
    gradient: Array
    independent: Array

    @property
    def error(self) -> Array:
        """Standard errors (entries,): blocks and scatter over models [1]."""
        return np.asarray(np.hypot(self.value.error, np.sqrt(np.diag(self.spread))))

    def moved(self, change: Array) -> Array:
        """Y^-1 at 0 (entries,), to first order, where Y(k) is changed by `change` (shells, entries)."""
        return np.asarray(self.value.value + np.einsum("asb,sb->a", self.gradient, change))


def composition(total: Array, M: Array) -> Array:
    """Y(k) as triangles (shells, entries) [1] from sums over blocks, with the rows of `composition_map`."""
    return triangle(M @ fluctuations(total, M.shape[1])[0] @ M.T)


def long_wave_limit(blocks: Sequence[Array], lengths: Sequence[Array], counts: Ints, M: Array) -> Limit:
    """Y^-1 at k -> 0.

    Parameters
    ----------
    blocks : sequence of array (blocks, numbers)
        Sums over blocks of each replica.
    lengths : sequence of array (blocks,)
        Frames in each block.
    counts : array of int (shells,)
        Wave vectors in each shell.
    M : array (K, species)
        From `composition_map`.

    Returns
    -------
    Limit

    Raises
    ------
    InputError
        No positive polynomial fits, as near demixing.
    """
    total = np.asarray(sum(each.sum(axis=0) for each in blocks))
    Y, q = composition(total, M), fluctuations(total, M.shape[1])[1]
    q = q / q[-1]
    n = independent_waves(blocks, lengths, counts, M, q)
    entries = Y.shape[1]
    degrees, ranges, values, gradients, curves, scores = [], [], [], [], [], []
    for degree in range(1, HIGHEST + 1):
        for size in range(degree + 2, q.size + 1):
            fitted = wishart_fit(q[:size], square(Y[:size]), n[:size], degree)
            if fitted is None:
                continue
            beta, deviance, gradient = fitted
            degrees.append(degree)
            ranges.append(size)
            values.append(beta[0])
            gradients.append(np.concatenate([gradient, np.zeros((entries, q.size - size, entries))], axis=1))
            curve = np.full((q.size, entries), np.nan)
            curve[:size] = np.vander(q[:size], degree + 1, increasing=True) @ beta
            curves.append(curve)
            # Akaike: a parameter costs one; so does every number left out, which a parameter of its own would fit.
            scores.append(-0.5 * deviance - entries * (degree + 1 + q.size - size))
    if not values:
        raise InputError("1/Y(k) of the composition waves could not be fitted; look at Y(k), the run may be demixing")
    weights = np.exp(np.array(scores) - np.max(scores))
    weights /= weights.sum()
    best = weights @ np.array(values)
    gradient = np.tensordot(weights, np.array(gradients), 1)
    # Linear in Y about the fit: a new fit for every block left out would jump between models.
    error = jackknife(
        blocks, lambda sums: best + np.einsum("asb,sb->a", gradient, composition(sums, M) - Y), weights=lengths
    )
    each = np.array(curves)
    share = np.einsum("m,mse->se", weights, ~np.isnan(each))
    with np.errstate(invalid="ignore"):
        curve = np.where(share > 0.05, np.einsum("m,mse->se", weights, np.nan_to_num(each)) / share, np.nan)
    apart = np.array(values) - best
    spread = np.einsum("m,ma,mb->ab", weights, apart, apart)
    return Limit(error, spread, np.array(degrees), np.array(ranges), weights, curve, gradient, n)


def independent_waves(blocks: Sequence[Array], lengths: Sequence[Array], counts: Ints, M: Array, q: Array) -> Array:
    """Independent values of the waves behind the mean of each shell, (shells,) [1].

    The relative variance of a mean of n squares of complex Gaussian numbers is 1/n. Its estimate from blocks, the
    geometric mean over the components, is smoothed by a power law in k per wave vector, for it is as rough as there are
    few blocks.
    """
    K = M.shape[0]
    own = np.flatnonzero(np.equal(*np.triu_indices(K)))
    series = [np.array([composition(row, M)[:, own] for row in each]) for each in blocks]
    mean = average(series, weights=lengths)
    frames = float(sum(each.sum() for each in lengths))
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (mean.value / mean.error) ** 2 / counts[:, None]
    each = np.where(np.isfinite(each) & (each > 0), each, frames)
    line = np.polyfit(np.log(q), np.log(each).mean(axis=1), 1, w=np.sqrt(counts.astype(float)))
    return np.asarray(np.clip(np.exp(np.polyval(line, np.log(q))), 1e-3, frames) * counts)


def wishart_fit(q: Array, Y: Array, n: Array, degree: int) -> tuple[Array, float, Array] | None:
    """Polynomial Y^-1 = sum_p B_p q^p by maximum likelihood, Y complex Wishart distributed.

    Parameters
    ----------
    q : array (shells,)
        Squared wave numbers, in any unit [1].
    Y : array (shells, K, K)
        Means of squares, symmetric [1].
    n : array (shells,)
        Independent values behind each mean [1].
    degree : int
        Of the polynomial.

    Returns
    -------
    beta : array (degree + 1, entries)
        Upper triangles of B_p [1].
    deviance : float
        Twice the log-likelihood lost against the data themselves [1].
    gradient : array (entries, shells, entries)
        d B_0/dY, by upper triangles [1].

    or None where no positive polynomial is found.

    References
    ----------
    Goodman, Ann. Math. Stat. 34, 152 (1963), doi:10.1214/aoms/1177704250.
    """
    K = Y.shape[-1]
    i, j = np.triu_indices(K)
    entries, twice = i.size, np.where(i == j, 1.0, 2.0)
    X, y = np.vander(q, degree + 1, increasing=True), triangle(Y)
    beta = np.zeros((degree + 1, entries))
    beta[0] = triangle(float(n.sum()) * np.linalg.inv(np.einsum("s,sab->ab", n, Y)))

    def likelihood(f: Array) -> float:
        sign, size = np.linalg.slogdet(square(f))
        # all minors must be positive, not only the determinant; for one number they are the same
        good = np.all(sign > 0) and np.all(f[:, i == j] > 0) and (K < 2 or np.all(np.linalg.eigvalsh(square(f)) > 0))
        return float(n @ (size - (y * f) @ twice)) if good else -np.inf

    def curvature(f: Array) -> tuple[Array, Array]:
        inverse = np.asarray(np.linalg.inv(square(f)), dtype=np.float64)
        one = inverse[:, i[:, None], i] * inverse[:, j[:, None], j]
        other = inverse[:, i[:, None], j] * inverse[:, j[:, None], i]
        metric = 0.5 * (one + other) * twice[:, None] * twice  # trace(E_a f^-1 E_b f^-1)
        whole = np.einsum("s,sp,sr,sab->parb", n, X, X, metric)
        return inverse, np.asarray(whole.reshape(2 * (beta.size,)))

    f = X @ beta
    value = likelihood(f)
    for _ in range(100):
        inverse, whole = curvature(f)
        slope = np.einsum("s,sp,sa->pa", n, X, (triangle(inverse) - y) * twice)
        try:
            step = np.linalg.solve(whole, slope.ravel()).reshape(beta.shape)
        except np.linalg.LinAlgError:
            return None
        length = 1.0
        while length > 1e-8:
            new = likelihood(X @ (beta + length * step))
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
    if np.linalg.eigvalsh(square(beta[0]))[0] <= 0:
        return None
    right = np.einsum("s,sp,ab->pasb", n, X, np.diag(twice)).reshape(beta.size, -1)
    gradient = -np.linalg.solve(curvature(f)[1], right)[:entries].reshape(entries, q.size, entries)
    with np.errstate(divide="ignore"):
        deviance = 2.0 * float(n @ ((y * f) @ twice - K - np.linalg.slogdet(Y @ square(f))[1]))
    return beta, deviance, gradient
