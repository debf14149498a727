"""Free energy along the normal of an interface: profiles, the vertices of wells and tops, barriers, slopes of flanks.

Pure functions of arrays. Free energies are over k_B [K].

References
----------
Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e, Eqs. 1-4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from cellsim.base import Array, Bools, InputError, k_B
from mdcoeffs.interface.profiles import long_blocks
from mdcoeffs.statistics.blocks import Averaged, average, jackknife


def free_energy(density: ArrayLike, T: float, zero: int) -> Array:
    """Free energy along z, zero in a named bin.

    Parameters
    ----------
    density : array_like (bins,)
        Number density; any unit.
    T : float
        Temperature [K].
    zero : int
        The bin.

    Returns
    -------
    array (bins,)
        ``-T ln(rho / rho_zero)``, over k_B [K]; infinite where nothing was found.

    Raises
    ------
    InputError
        Nothing was found in the bin of zero.

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 2.
    """
    rho = np.asarray(density, dtype=np.float64)
    if not rho[zero] > 0:
        raise InputError("the bin where the free energy is zero is empty; choose another place")
    with np.errstate(divide="ignore"):
        F: Array = -T * np.log(rho / rho[zero])
    return F


def free_energy_profile(sums: Sequence[Array], frames: Sequence[Array], T: float, zero: int) -> Averaged:
    """Free energy along z with standard errors from blocks.

    Parameters
    ----------
    sums : sequence of array (blocks, bins)
        Density summed over the frames of each block, one array per replica; any unit.
    frames : sequence of array (blocks,)
        Frames in each block.
    T : float
        Temperature [K].
    zero : int
        Bin of zero.

    Returns
    -------
    Averaged
        Over k_B [K]; the errors, linear in the density, are those of differences from the bin of zero.
    """
    sums, frames = long_blocks(sums, frames)
    mean = np.asarray(sum(replica.sum(axis=0) for replica in sums)) / sum(float(n.sum()) for n in frames)
    value = free_energy(mean, T, zero)
    seen = mean > 0
    safe = np.where(seen, mean, 1.0)
    series = []
    for replica, n in zip(sums, frames, strict=True):
        relative = replica / n[:, None] / safe
        series.append(-T * (relative - relative[:, [zero]]))
    averaged = average(series, weights=frames)
    return Averaged(value, np.where(seen, averaged.error, np.nan), averaged.blocks, averaged.settled & seen)


Fit = Callable[[Array, Array, float], "Parabola"]
"""(places [m], densities, temperature [K]) -> vertex of the free energy."""
STEPS = 60
"""Most steps of Newton in a fit of counts."""


@dataclass(frozen=True)
class Parabola:
    """A parabola ``F = height + k (z - z0)^2`` through the bottom of a well or, with k < 0, the top of a barrier.

    Parameters
    ----------
    height : float
        Value at the vertex, over k_B [K].
    k : float
        Curvature, without 1/2 [J/m^2].
    z0 : float
        Place of the vertex [m].
    """

    height: float
    k: float
    z0: float


def fit_parabola(z: ArrayLike, F: ArrayLike, weights: ArrayLike) -> Parabola:
    """Weighted least squares of a parabola.

    Parameters
    ----------
    z : array_like (n,)
        Places [m].
    F : array_like (n,)
        Free energies, over k_B [K].
    weights : array_like (n,)
        Inverse variances up to a factor: the density, if the errors are those of counting; zero leaves out.

    Returns
    -------
    Parabola
        NaN where fewer than three places count.
    """
    weight = np.asarray(weights, dtype=np.float64)
    use = weight > 0
    if np.count_nonzero(use) < 3:
        return Parabola(np.nan, np.nan, np.nan)
    x, y, w = np.asarray(z)[use], np.asarray(F)[use], np.sqrt(weight[use] / weight.max())
    middle, half = 0.5 * (x[0] + x[-1]), 0.5 * (x[-1] - x[0])
    u = (x - middle) / half
    a, b, c = np.linalg.lstsq(np.stack([np.ones_like(u), u, u**2], axis=1) * w[:, None], y * w, rcond=None)[0]
    if c == 0:
        return Parabola(np.nan, 0.0, np.nan)
    return Parabola(float(a - b**2 / (4 * c)), float(k_B * c / half**2), float(middle - half * b / (2 * c)))


def log_density(z: Array, rho: Array, degree: int) -> Polynomial | None:
    """The polynomial that is the logarithm of a density, by the likelihood of counting (Poisson).

    A straight fit of -ln n to counts n, weighted by n, lies low, since counts that are high by chance weigh more: by
    half an ion's share, 0.03 k_B T where the ten bins of a top have ten ions each, more where visits are longer than a
    frame, and empty bins are not seen at all. The likelihood sees them, and sets sum_i x_i^k (n_i - mean_i) = 0.

    Parameters
    ----------
    z : array (n,)
        Places [m].
    rho : array (n,)
        Counts, or densities proportional to them.
    degree : int
        Of the polynomial.

    Returns
    -------
    Polynomial or None
        Of z; None where fewer than degree + 1 places have a count, or the likelihood has no maximum.

    References
    ----------
    McCullagh & Nelder, Generalized Linear Models, 2nd ed. (1989), ch. 6 (log-linear models) and 9 (quasi-likelihood).
    """
    seen = rho > 0
    if np.count_nonzero(seen) <= degree:
        return None
    n = np.maximum(rho, 0.0) / rho.max()
    start = Polynomial.fit(z[seen], np.log(n[seen]), degree, domain=[z[0], z[-1]], w=np.sqrt(n[seen]))
    x = np.vander(2 * (z - z[0]) / (z[-1] - z[0]) - 1, degree + 1, increasing=True)

    def likelihood(beta: Array) -> float:
        return float(n @ (x @ beta) - np.exp(np.minimum(x @ beta, 700.0)).sum())

    beta = np.asarray(start.coef, dtype=np.float64)
    best = likelihood(beta)
    for _ in range(STEPS):
        mean = np.exp(np.minimum(x @ beta, 700.0))
        try:
            step = np.linalg.solve((x.T * mean) @ x, x.T @ (n - mean))
        except np.linalg.LinAlgError:
            return None
        new = likelihood(beta + step)
        while not new >= best - 1e-12 * abs(best) and np.abs(step).max() > 1e-12:
            step = 0.5 * step
            new = likelihood(beta + step)
        beta, best = beta + step, new
        if np.abs(step).max() < 1e-7 * (1 + np.abs(beta).max()):  # the next one is its square
            return Polynomial(beta, domain=[z[0], z[-1]])
    return None


def fit_vertex(z: Array, rho: Array, T: float) -> Parabola:
    """Vertex of a parabola through the free energy, by :func:`log_density`.

    Parameters
    ----------
    z : array (n,)
        Places [m].
    rho : array (n,)
        Counts, or densities proportional to them; heights are -T ln of them.
    T : float
        Temperature [K].

    Returns
    -------
    Parabola
        NaN where fewer than three places have a count.
    """
    found = log_density(z, rho, 2)
    if found is None or found.coef[2] == 0:
        return Parabola(np.nan, np.nan, np.nan)
    return _vertex(found, float(found.deriv().roots()[0].real), float(np.max(rho)), T)


def fit_quartic(z: Array, rho: Array, T: float) -> Parabola:
    """The same with terms of third and fourth order: vertex, and the curvature at it.

    Parameters
    ----------
    z, rho, T
        As :func:`fit_vertex`.

    Returns
    -------
    Parabola
        Of the vertex nearest to that of the parabola and curved as it is; NaN where fewer than seven places count or
        there is no such vertex between them.
    """
    first, seen = fit_vertex(z, rho, T), np.asarray(rho) > 0
    found = log_density(z, rho, 4) if np.count_nonzero(seen) >= 7 else None
    if found is None:
        return Parabola(np.nan, np.nan, np.nan)
    flat = found.deriv().roots()
    places = flat[np.abs(flat.imag) < 1e-6 * np.abs(flat).max()].real
    curved = found.deriv(2)(places) * first.k < 0
    places = places[curved & (places >= z[seen].min()) & (places <= z[seen].max())]
    if not places.size:
        return Parabola(np.nan, np.nan, np.nan)
    return _vertex(found, float(places[np.argmin(np.abs(places - first.z0))]), float(np.max(rho)), T)


def _vertex(found: Polynomial, z0: float, largest: float, T: float) -> Parabola:
    """Of -T ln rho, `found` being the logarithm of rho over its largest value."""
    height = -T * (float(found(z0)) + np.log(largest))
    return Parabola(float(height), float(-0.5 * k_B * T * found.deriv(2)(z0)), z0)


def barrier_between(
    sums: Sequence[Array],
    frames: Sequence[Array],
    T: float,
    z: Array,
    well: Bools,
    top: Bools,
    *,
    fit: Fit = fit_vertex,
) -> Averaged:
    """Barrier above a well, curvature and places, from parabolas through the bottom and the top.

    Parameters
    ----------
    sums, frames, T
        As :func:`free_energy_profile`.
    z : array (bins,)
        Middles of the bins [m].
    well, top : array of bool (bins,)
        Bins the parabolas go through.
    fit : callable
        :func:`fit_vertex`, or :func:`fit_quartic` to see what it misses.

    Returns
    -------
    Averaged
        Four numbers: barrier over k_B [K], curvature of the well [J/m^2], place of the well and of the top [m];
        jackknife over blocks.
    """
    sums, frames = long_blocks(sums, frames)
    return jackknife(sums, lambda total: _vertices(total, T, z, well, top, fit), weights=frames)


def barrier_missed(
    sums: Sequence[Array], frames: Sequence[Array], T: float, z: Array, well: Bools, top: Bools
) -> Array:
    """By how much the parabolas of :func:`barrier_between` miss their points, where it shows beyond the noise.

    Parameters
    ----------
    sums, frames, T, z, well, top
        As :func:`barrier_between`.

    Returns
    -------
    array (4,)
        The same four numbers with terms of fourth order less those of the parabolas; zero where their difference is
        within 2.5 of its own standard errors, or where quartics cannot be laid.
    """

    def difference(total: Array) -> Array:
        bent, plain = (_vertices(total, T, z, well, top, fit) for fit in (fit_quartic, fit_vertex))
        return bent - plain

    sums, frames = long_blocks(sums, frames)
    missed = jackknife(sums, difference, weights=frames)
    clear = np.abs(missed.value) > 2.5 * np.nan_to_num(missed.error, nan=np.inf)
    return np.where(clear & np.isfinite(missed.value), missed.value, 0.0)


def flank_slope(sums: Sequence[Array], frames: Sequence[Array], T: float, z: Array, flank: Bools) -> Averaged:
    """Slope of the free energy between the top of a barrier and its well, from a straight line (:func:`log_density`).

    Parameters
    ----------
    sums, frames, T, z
        As :func:`barrier_between`.
    flank : array of bool (bins,)
        Bins the line goes through.

    Returns
    -------
    Averaged
        dF/dz over k_B [K/m]; jackknife over blocks, NaN where ions were found in fewer than two bins.

    References
    ----------
    doi:10.1039/d5cp01988e, Sec. 3.3: 1850 K/angstrom.
    """

    def of(total: Array) -> Array:
        found = log_density(z[flank], total[flank], 1) if flank.sum() > 1 else None
        return np.array(np.nan if found is None else -T * found.deriv()(0.0))

    sums, frames = long_blocks(sums, frames)
    return jackknife(sums, of, weights=frames)


def _vertices(total: Array, T: float, z: Array, well: Bools, top: Bools, fit: Fit) -> Array:
    rho = total / total[well].max()
    bottom, summit = fit(z[well], rho[well], T), fit(z[top], rho[top], T)
    return np.array([summit.height - bottom.height, bottom.k, bottom.z0, summit.z0])
