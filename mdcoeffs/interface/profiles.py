"""What an interface looks like along its normal: free energy, wells and barriers, charge, regions and who crosses them.

Pure functions of arrays; `mdcoeffs.interface.sums` fills the arrays from frames. Free energies are over k_B [K].

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

from cellsim.base import Array, Bools, InputError, Ints, k_B
from mdcoeffs.statistics.blocks import Averaged, average, jackknife

LONG_BLOCKS = 16
"""Blocks that errors of densities and free energies are taken from [1]. More would be shorter, and the slow exchange of
ions between regions, weak beside the noise of counting in a short block, would be missed: in a double well with 8
residence times of 20 ions, 128 blocks gave barriers whose 95 % intervals held in 86 % of 81 runs."""
SIGNIFICANT = 2.0
"""Standard errors by which a charge must differ from zero for its sign to be believed [1]."""


def wrap(z: ArrayLike, length: float) -> Array:
    """Positions along a periodic axis, folded into -length/2 to length/2 [m]."""
    z = np.asarray(z, dtype=np.float64)
    folded: Array = z - length * np.rint(z / length)
    return folded


def centre_of(z: Array, mass: Array, length: float) -> float:
    """Centre of mass of a slab in a periodic box.

    Parameters
    ----------
    z : array (n,)
        Positions, folded or not [m].
    mass : array (n,)
        Weights; any unit.
    length : float
        Length of the box [m].

    Returns
    -------
    float
        Centre of mass of the slab made whole around its circular mean [m]; meaningless for atoms that fill the box.
    """
    angle = 2.0 * np.pi * np.asarray(z) / length
    first = length / (2.0 * np.pi) * float(np.arctan2(mass @ np.sin(angle), mass @ np.cos(angle)))
    return first + float(mass @ wrap(z - first, length) / mass.sum())


def long_blocks(sums: Sequence[Array], frames: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """Neighbouring blocks added up until about `LONG_BLOCKS` are left, at least 4 in every replica.

    Parameters
    ----------
    sums : sequence of array (blocks, ...)
        Sums over the frames of each block, one array per replica; any unit.
    frames : sequence of array (blocks,)
        Frames in each block.

    Returns
    -------
    sums, frames : list of array
        The same for longer blocks.
    """
    most = max(4, LONG_BLOCKS // max(len(sums), 1))
    added: tuple[list[Array], list[Array]] = ([], [])
    for replica, n in zip(sums, frames, strict=True):
        starts = np.unique(np.linspace(0, len(n), min(most, len(n)) + 1).astype(int)[:-1])
        added[0].append(np.add.reduceat(np.asarray(replica, dtype=np.float64), starts, axis=0))
        added[1].append(np.add.reduceat(np.asarray(n, dtype=np.float64), starts))
    return added


# ---- free energy ------------------------------------------------------------------------------------------------


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


# ---- regions ----------------------------------------------------------------------------------------------------


def inside(z: Array, edges: Array, length: float, shift: float = 0.0) -> Bools:
    """Which points lie in a region made of intervals.

    Parameters
    ----------
    z : array (n,)
        Places, folded [m].
    edges : array (intervals, 2)
        Lower and upper ends [m].
    length : float
        Length of the box; an interval that reaches its end goes on at the other [m].
    shift : float
        How far the ends are moved outwards; negative: inwards [m].

    Returns
    -------
    array of bool (n,)
    """
    within = np.zeros(z.shape, dtype=bool)
    for low, high in edges:
        half = 0.5 * (high - low) + shift
        within |= np.abs(wrap(z - 0.5 * (low + high), length)) <= half
    return within


def update_states(state: Bools, z: Array, edges: Array, length: float, margin: float) -> Bools:
    """Who is in a region, with a margin that must be crossed for a change to count.

    An ion inside leaves when it is farther than `margin` outside; one outside enters when it is deeper than `margin`
    inside. With margin 0 every crossing of the edge counts.

    Parameters
    ----------
    state : array of bool (n,)
        Before.
    z, edges, length
        As :func:`inside`.
    margin : float
        The margin [m].

    Returns
    -------
    array of bool (n,)
        After.
    """
    if margin == 0.0:
        return inside(z, edges, length)
    return np.where(state, inside(z, edges, length, margin), inside(z, edges, length, -margin))


def faces(z: Array, edges: Array, length: float) -> Ints:
    """Which face of a region a point outside or just inside is nearest to: 0 lower, 1 upper.

    Parameters
    ----------
    z, edges, length
        As :func:`inside`.

    Returns
    -------
    array of int (n,)
    """
    lower = np.min(np.abs(wrap(z[:, None] - edges[None, :, 0], length)), axis=1)
    upper = np.min(np.abs(wrap(z[:, None] - edges[None, :, 1], length)), axis=1)
    return (upper < lower).astype(np.int64)


def region_faces(edges: ArrayLike, length: float) -> tuple[int, int]:
    """Lower and upper faces of a region made of intervals; an end that touches another interval is none.

    Parameters
    ----------
    edges : array (intervals, 2)
        Lower and upper ends [m].
    length : float
        Length of the box, whose ends are one place [m].

    Returns
    -------
    (int, int)
    """
    ends = np.asarray(edges, dtype=float)
    apart = np.abs(wrap(ends[:, None, 0] - ends[None, :, 1], length)) > 1e-6 * length
    return int(np.count_nonzero(apart.all(axis=1))), int(np.count_nonzero(apart.all(axis=0)))


def correlate_populations(x: Sequence[Array], y: Sequence[Array], *, blocks: int = LONG_BLOCKS) -> Averaged:
    """How one population follows another: slope of y over x, and their correlation coefficient.

    Parameters
    ----------
    x, y : sequence of array (samples,)
        Time series of both, one per replica [1].
    blocks : int
        Most blocks per replica.

    Returns
    -------
    Averaged
        Two numbers: slope dy/dx and Pearson's r [1]; NaN where x or y never changes. Jackknife over blocks.
    """
    sums = []
    for a, b in zip(x, y, strict=True):
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        rows = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=1)
        starts = np.unique(np.linspace(0, len(a), min(blocks, len(a)) + 1).astype(int)[:-1])
        sums.append(np.add.reduceat(rows, starts, axis=0))

    def of(total: Array) -> Array:
        n, a, b, aa, ab, bb = total
        va, vb, c = aa / n - (a / n) ** 2, bb / n - (b / n) ** 2, ab / n - a * b / n**2
        if va < 1e-9 * (1 + aa / n) or vb < 1e-9 * (1 + bb / n):  # rounding leaves 1e-15 of the mean square
            return np.array([np.nan, np.nan])
        return np.array([c / va, c / np.sqrt(va * vb)])

    with np.errstate(invalid="ignore"):
        return jackknife(sums, of, weights=[replica[:, 0] for replica in sums])


# ---- charge -----------------------------------------------------------------------------------------------------


def charge_integral(sums: Sequence[Array], frames: Sequence[Array]) -> Averaged:
    """Charge per area between the lower end of the box and the upper end of each bin.

    Parameters
    ----------
    sums : sequence of array (blocks, bins)
        Charge per area in each bin, summed over the frames of a block, one array per replica [C/m^2].
    frames : sequence of array (blocks,)
        Frames in each block.

    Returns
    -------
    Averaged
        ``E_eff(z) = int rho_q dz`` (bins,) [C/m^2].

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 6.
    """
    sums, frames = long_blocks(sums, frames)
    series = [np.cumsum(replica, axis=1) / n[:, None] for replica, n in zip(sums, frames, strict=True)]
    return average(series, weights=frames)


def sign_changes(value: ArrayLike, error: ArrayLike, *, factor: float = SIGNIFICANT) -> Ints:
    """Where a curve changes its sign beyond its error; with the integrated charge: overcharging.

    Parameters
    ----------
    value : array_like (n,)
        The curve; any unit.
    error : array_like (n,)
        Its standard error; the unit of `value`.
    factor : float
        How many standard errors make a sign [1]; a millionth of the largest value never does.

    Returns
    -------
    array of int (changes,)
        The last point before each change that has the old sign by the plain value.
    """
    v, e = np.asarray(value, dtype=float), np.nan_to_num(np.asarray(error, dtype=float), nan=np.inf)
    least = 1e-6 * np.max(np.abs(v), initial=0.0)
    sure = np.flatnonzero(np.abs(v) > np.maximum(factor * e, least))
    signs = np.sign(v[sure])
    places = []
    for k in np.flatnonzero(signs[1:] != signs[:-1]):
        between = np.arange(sure[k], sure[k + 1] + 1)
        places.append(int(between[np.flatnonzero(np.sign(v[between]) == signs[k])[-1]]))
    return np.array(places, dtype=np.int64)


# ---- displacements by layer -------------------------------------------------------------------------------------


def displacement_variance(sums: Sequence[Array], frames: Sequence[Array]) -> Averaged:
    """Variance of displacements by layer of origin, the mean displacement of the layer taken away.

    Parameters
    ----------
    sums : sequence of array (blocks, ..., 7)
        Per block: number of displacements, their sums along x, y, z [m] and the sums of their squares [m^2].
    frames : sequence of array (blocks,)
        Frames in each block.

    Returns
    -------
    Averaged
        ``<dr^2> - <dr>^2`` (..., 3) [m^2]; NaN in layers nobody started from.

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 4.
    """
    shape = sums[0].shape[1:]
    sums, frames = long_blocks(sums, frames)
    flat = [replica.reshape(len(replica), -1) for replica in sums]

    def of(total: Array) -> Array:
        s = total.reshape(shape)
        n = np.where(s[..., :1] > 0, s[..., :1], np.nan)
        return np.asarray(s[..., 4:] / n - (s[..., 1:4] / n) ** 2)

    with np.errstate(invalid="ignore"):
        return jackknife(flat, of, weights=list(frames))
