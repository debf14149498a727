"""Unwrapping of molecules in a periodic box, snapshot by snapshot, right for constant and for fluctuating boxes.

Each molecule is first made whole (every atom is followed relative to the first atom of its molecule), then its
centre is unwrapped by adding up the shortest displacement between successive *wrapped* centres: the
toroidal-view-preserving (TOR) scheme,

    u(t+1) = u(t) + [w(t+1) - w(t)] - H(t+1) round(H(t+1)^-1 [w(t+1) - w(t)]),

where w is the centre wrapped into the box and H the box matrix. In a fixed box this is the ordinary unwrapping; in a
fluctuating box (NPT) it keeps the diffusion coefficient, which the usual lattice-preserving unwrapping
u = w + n H(t) does not: there every box fluctuation is multiplied by the number n of boxes travelled. Where the
number of crossings is known (image flags, unwrapped coordinates) it replaces the rounding, so that steps
longer than half a box are followed too. Positions are taken relative to the centre of the box.

References
----------
von Bülow, Bullerjahn & Hummer, J. Chem. Phys. 153, 021101 (2020), doi:10.1063/5.0008316, Eq. 5;
Bullerjahn, von Bülow, Heidari, Hénin & Hummer, J. Chem. Theory Comput. 19, 3406 (2023), doi:10.1021/acs.jctc.3c00308.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.molecules import LONGEST_STEP, Molecules

_NO_BOX = np.eye(3)
_NO_IMAGES = np.zeros((1, 3), dtype=np.int64)


class Track(NamedTuple):
    """Where every molecule is and how far it has come; the arrays are advanced in place, snapshot by snapshot.

    A tuple, since compiled code takes one as a single argument.

    Parameters
    ----------
    relative : array (atoms, 3)
        Atom relative to the first atom of its molecule, molecule whole; unit of the positions.
    wrapped : array (molecules, 3)
        Centre wrapped into the box, relative to the centre of the box.
    image : array of int (molecules, 3)
        Periodic image the centre was found in, where known.
    middle : array (molecules, 3)
        Centre of mass relative to the first atom of the molecule.
    displacement : array (molecules, 3)
        Unwrapped displacement of the centre since the first snapshot.
    summed : array (species, 3)
        The same, summed over each species.
    """

    relative: Array
    wrapped: Array
    image: Ints
    middle: Array
    displacement: Array
    summed: Array

    @staticmethod
    def empty(molecules: Molecules) -> Track:
        """A track before the first snapshot."""
        n = molecules.count
        wrapped, middle, displacement = np.zeros((3, n, 3))
        summed = np.zeros((molecules.masses.size, 3))
        images = np.zeros((n, 3), dtype=np.int64)
        return Track(np.zeros((molecules.atoms.size, 3)), wrapped, images, middle, displacement, summed)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, for a checkpoint."""
        return self._asdict()

    def tracer_offsets(self, molecules: Molecules) -> Array:
        """Where the followed atom of every molecule is, relative to the centre of mass, (molecules, 3).

        Zero where the centre of mass itself is followed; unit of the positions.
        """
        chosen = molecules.tracer >= 0
        offsets = np.zeros((molecules.count, 3))
        offsets[chosen] = self.relative[molecules.tracer[chosen]] - self.middle[chosen]
        return offsets


class _Members(NamedTuple):
    """What compiled code needs of `Molecules`."""

    atoms: Ints
    first: Ints
    weights: Array
    species: Ints
    share: Array


class _Cell(NamedTuple):
    """A box: vectors as rows, their inverse, whether they are at right angles, whether there is a box at all."""

    vectors: Array
    inverse: Array
    orthogonal: bool
    periodic: bool


def box_matrix(dimensions: NDArray[Any] | None) -> Array | None:
    """Box vectors as rows from lengths and angles.

    Parameters
    ----------
    dimensions : array (6,) or None
        Three lengths, and the angles alpha, beta, gamma [degree].

    Returns
    -------
    array (3, 3) or None
        Lower-triangular matrix of the box vectors a, b, c; None if there is no box (absent or zero lengths).

    Raises
    ------
    InputError
        Lengths or angles that span no volume.
    """
    if dimensions is None:
        return None
    return _matrix_of(np.asarray(dimensions, dtype=np.float64).tobytes())


@lru_cache(maxsize=4)
def _matrix_of(dimensions: bytes) -> Array | None:
    a, b, c, alpha, beta, gamma = (float(v) for v in np.frombuffer(dimensions))
    if not np.all(np.isfinite([a, b, c, alpha, beta, gamma])):
        raise InputError("the box holds NaN or infinity; the frame cannot be used")
    if a == b == c == 0.0:
        return None
    if alpha == beta == gamma == 90.0:
        box = np.diag([a, b, c])
    else:
        ca, cb, cg = (np.cos(np.radians(v)) for v in (alpha, beta, gamma))
        sg = np.sin(np.radians(gamma))
        cy = (ca - cb * cg) / sg if sg > 0 else np.nan
        height = 1.0 - cb * cb - cy * cy
        box = np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * cy, c * np.sqrt(max(height, 0.0))]])
    if not (np.all(np.isfinite(box)) and np.all(np.diag(box) > 0)):
        raise InputError(f"the box {[a, b, c, alpha, beta, gamma]} spans no volume; check its lengths and angles")
    return box


def advance(
    molecules: Molecules,
    track: Track,
    positions: NDArray[Any],
    box: Array | None,
    *,
    images: NDArray[Any] | None = None,
    known: bool = False,
    start: bool = False,
) -> float:
    """Advance the track by one snapshot, in place.

    Parameters
    ----------
    molecules : Molecules
        Which atoms make which molecule.
    track : Track
        State after the previous snapshot; changed in place.
    positions : array (all atoms, 3)
        Positions; any unit, the unit of `box`.
    box : array (3, 3) or None
        Box vectors as rows; None only with `known`.
    images : array of int (all atoms, 3), optional
        Periodic image of every atom (LAMMPS ix iy iz).
    known : bool
        True where `positions` (plus `images`) are unwrapped already: crossings are counted, not guessed.
    start : bool
        True for the first snapshot: `track.relative` must hold the whole molecules unless `known`.

    Returns
    -------
    float
        Longest step of any centre, as a fraction of the box [1]; 0 without a box or when `known`.

    Raises
    ------
    InputError
        NaN in the positions, or a step too long to be unwrapped.
    """
    cell = _cell((_NO_BOX if box is None else np.asarray(box, dtype=np.float64)).tobytes(), box is not None)
    flags = _NO_IMAGES if images is None else np.ascontiguousarray(images, dtype=np.int64)
    members = _Members(molecules.atoms, molecules.first, molecules.weights, molecules.species, molecules.share)
    atom, longest, worst = _advance(
        np.ascontiguousarray(positions), flags, images is not None, cell, known, start, members, track
    )
    if atom >= 0:
        raise InputError(f"the position of atom {atom} is NaN or infinite")
    if longest > LONGEST_STEP:
        raise InputError(
            f"molecule {worst} moves {longest:.2f} of the box between two frames, too far to unwrap (allowed is "
            f"{LONGEST_STEP}): save frames more often, or give unwrapped coordinates or image flags"
        )
    return float(longest)


@lru_cache(maxsize=4)
def _cell(box: bytes, periodic: bool) -> _Cell:
    """Most boxes are the same snapshot after snapshot, so what is made of one is kept."""
    vectors = np.frombuffer(box, dtype=np.float64).reshape(3, 3)
    inverse = np.asarray(np.linalg.inv(vectors), dtype=np.float64)
    return _Cell(vectors, inverse, not np.any(vectors - np.diag(np.diagonal(vectors))), periodic)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def _advance(positions, images, flagged, cell, known, start, molecules, track):  # type: ignore[no-untyped-def]
    """Return (index of a bad atom or -1, longest fractional step, molecule that made it).

    Written out in scalars, one box vector after the other (a, b, c with components x, y, z): this loop runs once per
    atom and snapshot and must stay below the cost of reading, and arrays of three numbers would be made anew for every
    atom. `nogil`: the next snapshot is decompressed by another thread meanwhile. Of the liberties of fast arithmetic
    only those are taken that keep NaN and the order of the sums, so that a resumed pass gives the same bits.
    """
    box, inverse, orthogonal, periodic = cell.vectors, cell.inverse, cell.orthogonal, cell.periodic
    atoms, first, weights = molecules.atoms, molecules.first, molecules.weights
    relative, wrapped, image = track.relative, track.wrapped, track.image
    ax, ay, az = box[0, 0], box[0, 1], box[0, 2]
    bx, by, bz = box[1, 0], box[1, 1], box[1, 2]
    cx, cy, cz = box[2, 0], box[2, 1], box[2, 2]
    ia, ib, ic = inverse[0, 0], inverse[1, 1], inverse[2, 2]
    half_x, half_y, half_z = 0.5 * (ax + bx + cx), 0.5 * (ay + by + cy), 0.5 * (az + bz + cz)
    longest = 0.0
    worst = -1
    fold = periodic and not known
    for k in range(first.size - 1):
        # 1. Make the molecule whole. Its first atom is the root; the others are placed where they were relative to it
        #    one snapshot ago. No atom moves half a box against its neighbours, however long the molecule is.
        j = first[k]
        a = atoms[j]
        ox, oy, oz = np.float64(positions[a, 0]), np.float64(positions[a, 1]), np.float64(positions[a, 2])
        if flagged:
            u, v, w = images[a, 0], images[a, 1], images[a, 2]
            ox, oy, oz = ox + u * ax + v * bx + w * cx, oy + u * ay + v * by + w * cy, oz + u * az + v * bz + w * cz
        mx = my = mz = 0.0
        for j in range(first[k] + 1, first[k + 1]):
            a = atoms[j]
            x, y, z = positions[a, 0] - ox, positions[a, 1] - oy, positions[a, 2] - oz
            if flagged:
                u, v, w = images[a, 0], images[a, 1], images[a, 2]
                x, y, z = x + u * ax + v * bx + w * cx, y + u * ay + v * by + w * cy, z + u * az + v * bz + w * cz
            if fold:
                dx, dy, dz = x - relative[j, 0], y - relative[j, 1], z - relative[j, 2]
                if orthogonal:  # tests first: rounding is the dear part, and crossings are rare
                    if abs(dx) > half_x:
                        x -= ax * np.rint(dx * ia)
                    if abs(dy) > half_y:
                        y -= by * np.rint(dy * ib)
                    if abs(dz) > half_z:
                        z -= cz * np.rint(dz * ic)
                else:
                    u = np.rint(dx * ia + dy * inverse[1, 0] + dz * inverse[2, 0])
                    v = np.rint(dx * inverse[0, 1] + dy * ib + dz * inverse[2, 1])
                    w = np.rint(dx * inverse[0, 2] + dy * inverse[1, 2] + dz * ic)
                    x, y, z = x - u * ax - v * bx - w * cx, y - u * ay - v * by - w * cy, z - u * az - v * bz - w * cz
            relative[j, 0], relative[j, 1], relative[j, 2] = x, y, z
            m = weights[j]
            mx, my, mz = mx + m * x, my + m * y, mz + m * z
        track.middle[k, 0], track.middle[k, 1], track.middle[k, 2] = mx, my, mz
        x, y, z = ox + mx, oy + my, oz + mz
        if not np.isfinite(x + y + z):
            return _bad_atom(positions, atoms, first[k], first[k + 1]), longest, worst
        # 2. Wrap its centre. Only wrapped centres are compared (the TOR scheme): an unwrapped one, rescaled with the
        #    box, would carry the fluctuation of every box it has travelled. Relative to the centre of the box, which a
        #    barostat leaves in place.
        if periodic and orthogonal:
            u, v, w = np.floor(x * ia), np.floor(y * ib), np.floor(z * ic)
            x, y, z = x - u * ax - half_x, y - v * by - half_y, z - w * cz - half_z
        elif periodic:
            u = np.floor(x * ia + y * inverse[1, 0] + z * inverse[2, 0])
            v = np.floor(x * inverse[0, 1] + y * ib + z * inverse[2, 1])
            w = np.floor(x * inverse[0, 2] + y * inverse[1, 2] + z * ic)
            x -= u * ax + v * bx + w * cx + half_x
            y -= u * ay + v * by + w * cy + half_y
            z -= u * az + v * bz + w * cz + half_z
        dx, dy, dz = x - wrapped[k, 0], y - wrapped[k, 1], z - wrapped[k, 2]
        wrapped[k, 0], wrapped[k, 1], wrapped[k, 2] = x, y, z
        # 3. Add the boxes crossed since the last snapshot: as counted where the crossings are known, else the shortest
        #    way, and how short it is in units of the box decides whether it is believed.
        if periodic:
            if known:
                n, o, q = np.int64(u), np.int64(v), np.int64(w)
                u, v, w = n - image[k, 0], o - image[k, 1], q - image[k, 2]
                image[k, 0], image[k, 1], image[k, 2] = n, o, q
            else:
                if orthogonal:
                    x, y, z = dx * ia, dy * ib, dz * ic
                else:
                    x = dx * ia + dy * inverse[1, 0] + dz * inverse[2, 0]
                    y = dx * inverse[0, 1] + dy * ib + dz * inverse[2, 1]
                    z = dx * inverse[0, 2] + dy * inverse[1, 2] + dz * ic
                u, v, w = -np.rint(x), -np.rint(y), -np.rint(z)
                step = max(abs(x + u), abs(y + v), abs(z + w))
                if step > longest and not start:
                    longest = step
                    worst = k
            dx, dy, dz = dx + u * ax + v * bx + w * cx, dy + u * ay + v * by + w * cy, dz + u * az + v * bz + w * cz
        if not start:
            i = molecules.species[k]
            track.displacement[k, 0] += dx
            track.displacement[k, 1] += dy
            track.displacement[k, 2] += dz
            track.summed[i, 0] += molecules.share[k] * dx
            track.summed[i, 1] += molecules.share[k] * dy
            track.summed[i, 2] += molecules.share[k] * dz
    return -1, longest, worst


@numba.njit(cache=True)
def _bad_atom(positions, atoms, begin, end):  # type: ignore[no-untyped-def]
    for j in range(begin, end):
        a = atoms[j]
        if not np.isfinite(positions[a, 0] + positions[a, 1] + positions[a, 2]):
            return a
    return atoms[begin]
