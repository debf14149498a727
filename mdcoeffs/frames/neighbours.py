"""Pairs of atoms within a distance, across the periodic box: the neighbour search of MDAnalysis, in metres."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.snapshot import ANGSTROM, Snapshot

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from MDAnalysis.lib.distances import calc_bonds, capped_distance, distance_array


CHUNK = 1 << 22
"""Most distances held at a time; 8 byte each."""


def dimensions(snapshot: Snapshot) -> NDArray[np.float32] | None:
    """Box lengths and angles of a snapshot, (6,) [angstrom, angstrom, angstrom, degree, degree, degree].

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.

    Returns
    -------
    array (6,) or None
        None where it has no box.

    Raises
    ------
    InputError
        Box vectors that are not a along x and b in the xy plane.
    """
    if snapshot.box is None:
        return None
    box = snapshot.box / ANGSTROM
    if np.any(np.abs(np.triu(box, 1)) > 1e-6 * np.abs(box).max()) or np.any(np.diag(box) <= 0):
        raise InputError(
            f"frame {snapshot.number}: the first box vector must lie along x and the second in the xy plane (a lower "
            f"triangular box); turn positions and box"
        )
    lengths = np.linalg.norm(box, axis=1)
    cosines = [box[i] @ box[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    return np.array([*lengths, *np.degrees(np.arccos(cosines))], dtype=np.float32)


def pairs_within(
    a: NDArray[np.floating], b: NDArray[np.floating], cutoff: float, box: NDArray[np.float32] | None
) -> tuple[Ints, Ints, Array]:
    """Pairs of points closer than a cutoff, nearest image.

    Parameters
    ----------
    a : array (n, 3)
        Points [angstrom].
    b : array (m, 3)
        Points [angstrom].
    cutoff : float
        Largest distance [angstrom].
    box : array (6,) or None
        As :func:`dimensions` gives it.

    Returns
    -------
    i, j : array of int (pairs,)
        Row of `a` and of `b`.
    distance : array (pairs,)
        Their distance [angstrom].
    """
    a32, b32 = (np.ascontiguousarray(points, dtype=np.float32) for points in (a, b))
    pairs, distance = capped_distance(a32, b32, cutoff, box=box)
    i, j = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    return i, j, np.asarray(distance, dtype=np.float64)


def histogram(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    edges: Array,
    box: NDArray[np.float32] | None,
    without: tuple[Ints, Ints] | None = None,
) -> Array:
    """Numbers of pairs in equal bins of distance.

    Parameters
    ----------
    a : array (n, 3)
        Points [angstrom].
    b : array (m, 3)
        Points [angstrom].
    edges : array (bins + 1,)
        Edges of equal bins, the first at zero [angstrom].
    box : array (6,) or None
        As :func:`dimensions` gives it.
    without : pair of array of int, optional
        Rows of `a` and of `b` that are no pairs: atoms of the same molecule.

    Returns
    -------
    array (bins,)
        Pairs (i of a, j of b), each counted once.
    """
    reach, bins = float(edges[-1]), len(edges) - 1
    a32, b32 = (np.ascontiguousarray(points, dtype=np.float32) for points in (a, b))
    counts = np.zeros(bins)
    rows = max(1, CHUNK // max(len(b32), 1))
    # Where a small part of the box is asked for, a cell list visits few pairs; else it visits all of them, slower.
    near = box is not None and reach < 0.25 * float(box[:3].min())
    for start in range(0, len(a32), rows):
        some = a32[start : start + rows]
        distance = capped_distance(some, b32, reach, box=box)[1] if near else distance_array(some, b32, box=box)
        counts += _binned(distance.ravel(), reach, bins)
    if without is not None and len(without[0]):
        for start in range(0, len(without[0]), CHUNK):
            i, j = (side[start : start + CHUNK] for side in without)
            counts -= _binned(calc_bonds(a32[i], b32[j], box=box), reach, bins)
    return counts


def _binned(distance: NDArray[np.floating], reach: float, bins: int) -> Array:
    which = (distance * (bins / reach)).astype(np.int64)
    return np.bincount(which[which < bins], minlength=bins).astype(np.float64)
