"""Atoms into molecules, molecules into species: the checks that every atom is somewhere and none is twice.

Knows nothing of file formats; `mdcoeffs.frames.trajectory` hands over indices, masses and molecule numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.unwrap import LONGEST_STEP, Molecules
from mdcoeffs.inputs.species import Species


@dataclass(frozen=True, eq=False)
class Selected:
    """The atoms of one species.

    Parameters
    ----------
    species : Species
        The species.
    index : array of int (atoms,)
        Its atoms.
    key : array of int (atoms,)
        Molecule number of each of them.
    size : array of int (atoms,), optional
        Atoms that the molecule of each atom has in the whole system; given where a cut molecule is an error.
    tracer : array of int, optional
        Atoms followed instead of the centres of mass, one per molecule.
    """

    species: Species
    index: Ints
    key: Ints
    size: Ints | None = None
    tracer: Ints | None = None


def sort_molecules(
    parts: Sequence[Selected], mass: Array, describe: Callable[[int], str], *, ignored: Ints | None = None
) -> Molecules:
    """Sort atoms into molecules and species.

    Parameters
    ----------
    parts : sequence of Selected
        All species.
    mass : array (all atoms,)
        Mass of every atom; any unit.
    describe : callable
        Name of an atom for messages.
    ignored : array of int, optional
        Massless sites that belong to no species.

    Returns
    -------
    Molecules

    Raises
    ------
    InputError
        Selections that overlap, miss atoms or cut molecules; masses that are not positive.
    """
    owner = np.full(mass.size, -1, dtype=np.int64)
    if ignored is not None:
        if np.any(mass[ignored] != 0):
            raise InputError("ignore selects atoms that have mass; only massless sites may be left out")
        owner[ignored] = -2
    groups = []
    for number, part in enumerate(parts):
        taken = part.index[owner[part.index] != -1]
        if taken.size:
            other = "ignore" if owner[taken[0]] == -2 else f"species.{parts[owner[taken[0]]].species.name}"
            raise InputError(
                f"the selections of species.{part.species.name} and {other} overlap in {taken.size} atoms, "
                f"the first is atom {taken[0]} ({describe(int(taken[0]))})"
            )
        owner[part.index] = number
        groups.append(_group(part, mass, describe))
    missed = np.flatnonzero(owner == -1)
    if missed.size:
        raise InputError(
            f"the selections miss {missed.size} of {owner.size} atoms, the first is atom {missed[0]} "
            f"({describe(int(missed[0]))}): every atom must belong to a species"
        )
    atoms = np.concatenate([g[0] for g in groups])
    lengths = np.concatenate([g[1] for g in groups])
    offset = np.cumsum([0] + [g[0].size for g in groups])[:-1]
    tracer = np.concatenate([np.where(g[2] < 0, -1, g[2] + o) for g, o in zip(groups, offset, strict=True)])
    kind = np.repeat(np.arange(len(parts)), [g[1].size for g in groups])
    first = np.concatenate([[0], np.cumsum(lengths)])
    molecule_mass = np.add.reduceat(mass[atoms], first[:-1])
    mean = np.array([molecule_mass[kind == k].mean() for k in range(len(parts))])
    for number, part in enumerate(parts):
        spread = float(np.ptp(molecule_mass[kind == number]))
        if part.species.role != "solvent" and spread > 1e-3 * mean[number]:
            raise InputError(
                f"species.{part.species.name} holds molecules of different mass ({mean[number]:.3f} u on average, "
                f"spread {spread:.3f} u), but an ion is one kind of molecule"
            )
    return Molecules(
        atoms=atoms.astype(np.int64), first=first.astype(np.int64),
        weights=mass[atoms] / np.repeat(molecule_mass, lengths), species=kind.astype(np.int64),
        share=molecule_mass / mean[kind], masses=mean, tracer=tracer.astype(np.int64),
    )  # fmt: skip


def _group(part: Selected, mass: Array, describe: Callable[[int], str]) -> tuple[Ints, Ints, Ints]:
    """(atoms molecule by molecule, atoms per molecule, place of the followed atom or -1)."""
    where = f"species.{part.species.name}"
    if part.size is not None:
        _, inverse, counts = np.unique(part.key, return_inverse=True, return_counts=True)
        cut = np.flatnonzero(counts[inverse] != part.size)
        if cut.size:
            atom = int(part.index[cut[0]])
            raise InputError(
                f"{where}: selection {part.species.selection!r} cuts the molecule of atom {atom} ({describe(atom)}); "
                f"select whole molecules"
            )
    order = np.argsort(part.key, kind="stable")
    atoms, key = part.index[order], part.key[order]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    lengths = np.diff(np.append(starts, key.size))
    bad = np.flatnonzero(~(mass[atoms] > 0))
    if bad.size:
        atom = int(atoms[bad[0]])
        raise InputError(
            f"{where}: atom {atom} ({describe(atom)}) has mass {mass[atom]:g}, masses must be positive: "
            f"use a topology with masses, or name massless sites in ignore"
        )
    tracer = np.full(lengths.size, -1, dtype=np.int64)
    if part.tracer is not None:
        chosen = np.isin(atoms, part.tracer)
        if not np.all(np.add.reduceat(chosen.astype(int), starts) == 1):
            raise InputError(f"{where}.centre = {part.species.centre!r} must select exactly one atom of every molecule")
        tracer = np.flatnonzero(chosen)
    return atoms, lengths, tracer


@numba.njit(cache=True)
def _walk(order, parent, positions, box, inverse, relative):  # type: ignore[no-untyped-def]
    """Place every atom of `order` next to its parent, nearest image; `relative` is filled in place."""
    for i in order:
        p = parent[i]
        if p < 0:
            continue
        d = positions[i] - positions[p]
        s = np.rint(np.dot(d, inverse))
        relative[i] = relative[p] + d - np.dot(s, box)


def whole_molecules(molecules: Molecules, positions: NDArray[Any], box: Array, bonds: NDArray[Any] | None) -> Array:
    """Positions of all atoms relative to the first of their molecule, with no molecule cut by the box.

    Parameters
    ----------
    molecules : Molecules
        Who is who.
    positions : array (all atoms, 3)
        Wrapped positions of one frame.
    box : array (3, 3)
        Box vectors as rows.
    bonds : array of int (bonds, 2), optional
        Bonded pairs; without them a molecule must be smaller than half the box.

    Returns
    -------
    array (atoms, 3)
        Relative positions, in the order of ``molecules.atoms``.

    Raises
    ------
    InputError
        A molecule without bonds that spans more than 0.45 of the box.
    """
    inverse = np.linalg.inv(box)
    size = molecules.atoms.size
    lengths = np.diff(molecules.first)
    head = np.repeat(molecules.first[:-1], lengths)
    local = np.full(positions.shape[0], -1, dtype=np.int64)
    local[molecules.atoms] = np.arange(size)
    parent = np.where(np.arange(size) == head, -1, head)
    order = np.arange(size)
    bonded = np.zeros(size, dtype=bool)
    if bonds is not None and len(bonds):
        order, parent, bonded = _bond_tree(local[np.asarray(bonds, dtype=np.int64)], head, order, parent)
    relative = np.zeros((size, 3))
    _walk(order, parent, np.ascontiguousarray(positions[molecules.atoms], dtype=np.float64), box, inverse, relative)
    span = np.abs(relative @ inverse).max(axis=1)
    cut = np.flatnonzero((span > LONGEST_STEP) & ~bonded)
    if cut.size:
        raise InputError(
            f"a molecule of {lengths[int(np.searchsorted(molecules.first, cut[0], side='right')) - 1]} atoms spans "
            f"{span[cut[0]]:.2f} of the box and the topology has no bonds to make it whole: use a topology with bonds"
        )
    return relative


def _bond_tree(pairs: Ints, head: Ints, order: Ints, parent: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Walk order, parent and whether the atom hangs on bonds, by breadth-first search from each first atom."""
    size = head.size
    inside = np.all(pairs >= 0, axis=1)
    pairs = pairs[inside]
    pairs = pairs[head[pairs[:, 0]] == head[pairs[:, 1]]]
    heads = np.unique(head)
    # One root tied to all first atoms turns the forest into one tree: a single search serves every molecule.
    rows = np.concatenate([pairs[:, 0], np.full(heads.size, size)])
    columns = np.concatenate([pairs[:, 1], heads])
    graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(size + 1, size + 1)).tocsr()
    found, predecessor = breadth_first_order(graph, size, directed=False, return_predecessors=True)
    reached = found[found < size].astype(np.int64)
    bonded = np.zeros(size, dtype=bool)
    bonded[reached] = True
    parent = np.where(bonded, np.where(predecessor[:size] == size, -1, predecessor[:size]), parent).astype(np.int64)
    lost = np.flatnonzero(~bonded)
    return np.concatenate([reached, lost]), parent, bonded
