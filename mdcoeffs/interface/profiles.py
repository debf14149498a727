"""What an interface looks like along its normal: regions and who crosses them, charge, displacements by layer.

Pure functions of arrays; `mdcoeffs.interface.sums` fills the arrays from frames. Free energies, wells and barriers are
in `mdcoeffs.interface.free_energy`.

References
----------
Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e, Eqs. 1-4 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, Bools, Ints
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
