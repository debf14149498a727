"""Atoms into molecules, molecules into species: the checks that every atom is somewhere and none is twice.

Knows nothing of file formats; `mdcoeffs.frames.trajectory` hands over indices, masses and molecule numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from cellsim.base import N_A, Array, Bools, InputError, Ints
from mdcoeffs.inputs.species import Species

LONGEST_STEP = 0.45
"""Longest distance that is still believed to be the nearest image, in units of the box [1]; 0.5 would be ambiguous."""
CROWDED, SPARSE, SPARSE_SALT = 130e27, 5e25, 1e24
"""Molecules per volume: more than solid LiF has; far fewer than a liquid has; fewer than a salt of 1 mmol/L [1/m^3]."""
MASS_DENSITY = (10.0, 25e3)
"""Mass per volume between thin vapour and osmium; a slab may lie in much vacuum [kg/m^3]."""


def check_density(species: Sequence[Species], counts: Sequence[int], volume: float, mass: float | None = None) -> None:
    """Refuse a box that no electrolyte has: its length, or the positions, are in another unit than was said.

    A factor of ten in length is a factor of a thousand here, so that wide limits catch it.

    Parameters
    ----------
    species : sequence of Species
        With their roles.
    counts : sequence of int
        Molecules of each.
    volume : float
        Of the box [m^3].
    mass : float, optional
        Of everything in it, where masses are known in a unit [kg].

    Raises
    ------
    InputError
        Molecules or mass per volume outside the limits.
    """
    solvent = sum(n for one, n in zip(species, counts, strict=True) if one.role == "solvent")
    total = sum(counts)
    # A long polymer is one molecule: only many small ones say that this is a liquid.
    least = SPARSE if 2 * solvent >= total else SPARSE_SALT
    if not volume > 0:
        raise InputError(f"the volume is {volume * 1e27:.3g} nm^3, and it must be positive")
    density = total / volume
    complaint = ""
    if not least <= density <= CROWDED:
        complaint = f"{density * 1e-27:.3g} molecules per nm^3 lie outside {least * 1e-27:g}-{CROWDED * 1e-27:g}"
    elif mass is not None and not MASS_DENSITY[0] <= mass / volume <= MASS_DENSITY[1]:
        complaint = f"{mass / volume:.3g} kg/m^3 lies outside {MASS_DENSITY[0]:g}-{MASS_DENSITY[1]:g} kg/m^3"
    if complaint:
        ions = [(one, n) for one, n in zip(species, counts, strict=True) if one.role != "solvent"]
        each = ", ".join(f"{one.name} {n / (N_A * volume * 1e3):.3g} mol/L" for one, n in ions)
        raise InputError(
            f"{complaint} (box of {volume * 1e27:.3g} nm^3; {each}): check the unit of positions, box and volume "
            "(nm for angstrom is a factor of 1000)"
        )


@dataclass(frozen=True, eq=False)
class Molecules:
    """Which atoms make which molecule, and which molecule belongs to which species.

    Parameters
    ----------
    atoms : array of int (atoms,)
        Index of every atom used, molecule by molecule.
    first : array of int (molecules + 1,)
        Molecule k owns ``atoms[first[k]:first[k + 1]]``.
    weights : array (atoms,)
        Share of every atom in the mass of its molecule [1]; they add up to 1 in each molecule.
    species : array of int (molecules,)
        Species of every molecule.
    share : array (molecules,)
        Weight of a molecule in its species' sum; 1, or mass over mean mass for molecules of unequal mass.
    masses : array (species,)
        Mean mass of one molecule of each species; any unit.
    tracer : array of int (molecules,)
        Place in `atoms` of the atom whose path is the molecule's in the self part; -1 for the centre of mass.
    """

    atoms: Ints
    first: Ints
    weights: Array
    species: Ints
    share: Array
    masses: Array
    tracer: Ints

    @property
    def count(self) -> int:
        """Number of molecules."""
        return int(self.species.size)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of molecules of each species."""
        return tuple(int(n) for n in np.bincount(self.species, minlength=self.masses.size))

    @property
    def sizes(self) -> Ints:
        """Atoms of each molecule, (molecules,)."""
        return np.diff(self.first)

    @property
    def owner(self) -> Ints:
        """Molecule of every entry of `atoms`, (atoms,)."""
        return np.repeat(np.arange(self.count), self.sizes)

    @staticmethod
    def particles(species: Ints, masses: ArrayLike) -> Molecules:
        """Single particles: molecules of one atom each, sorted by species.

        Parameters
        ----------
        species : array of int (particles,)
            Species of each particle.
        masses : array (species,)
            Mass of one particle of each species; any unit.

        Returns
        -------
        Molecules
            Molecule k is particle ``atoms[k]``.
        """
        order, size = np.argsort(species, kind="stable"), species.size
        ones, no_tracer = np.ones(size), np.full(size, -1)
        return Molecules(order, np.arange(size + 1), ones, species[order], ones, np.asarray(masses, float), no_tracer)


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
    selections: Sequence[Selected], mass: Array, describe: Callable[[int], str], *, ignored: Ints | None = None
) -> Molecules:
    """Sort atoms into molecules and species.

    Parameters
    ----------
    selections : sequence of Selected
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
    species = np.full(mass.size, -1, dtype=np.int64)  # of every atom; -1: of none yet, -2: ignored
    if ignored is not None:
        if np.any(mass[ignored] != 0):
            raise InputError("ignore selects atoms that have mass; only massless sites may be left out")
        species[ignored] = -2
    groups = []
    for number, selected in enumerate(selections):
        taken = selected.index[species[selected.index] != -1]
        if taken.size:
            other = species[taken[0]]
            name = "ignore" if other == -2 else f"species.{selections[other].species.name}"
            raise InputError(
                f"the selections of species.{selected.species.name} and {name} overlap in {taken.size} atoms, "
                f"the first is atom {taken[0]} ({describe(int(taken[0]))})"
            )
        species[selected.index] = number
        groups.append(_group(selected, mass, describe))
    missed = np.flatnonzero(species == -1)
    if missed.size:
        raise InputError(
            f"the selections miss {missed.size} of {species.size} atoms, the first is atom {missed[0]} "
            f"({describe(int(missed[0]))}): every atom must belong to a species"
        )
    atoms, sizes = (np.concatenate([group[k] for group in groups]) for k in (0, 1))
    before = np.cumsum([0] + [group[0].size for group in groups])[:-1]
    tracer = np.concatenate([np.where(t < 0, -1, t + n) for (_, _, t), n in zip(groups, before, strict=True)])
    kind = np.repeat(np.arange(len(selections)), [group[1].size for group in groups])
    first = np.concatenate([[0], np.cumsum(sizes)])
    molecule_mass = np.add.reduceat(mass[atoms], first[:-1])
    mean = np.array([molecule_mass[kind == k].mean() for k in range(len(selections))])
    for number, selected in enumerate(selections):
        spread = float(np.ptp(molecule_mass[kind == number]))
        if selected.species.role != "solvent" and spread > 1e-3 * mean[number]:
            raise InputError(
                f"species.{selected.species.name} holds molecules of different mass ({mean[number]:.3f} u on average, "
                f"spread {spread:.3f} u), but an ion is one kind of molecule"
            )
    weights = mass[atoms] / np.repeat(molecule_mass, sizes)
    return Molecules(atoms, first, weights, kind, molecule_mass / mean[kind], mean, tracer)


def _group(selected: Selected, mass: Array, describe: Callable[[int], str]) -> tuple[Ints, Ints, Ints]:
    """(atoms molecule by molecule, atoms per molecule, place of the followed atom or -1)."""
    name = f"species.{selected.species.name}"
    if selected.size is not None:
        _, inverse, counts = np.unique(selected.key, return_inverse=True, return_counts=True)
        cut = np.flatnonzero(counts[inverse] != selected.size)
        if cut.size:
            atom = int(selected.index[cut[0]])
            raise InputError(
                f"{name}: selection {selected.species.selection!r} cuts the molecule of atom {atom} "
                f"({describe(atom)}); select whole molecules"
            )
    order = np.argsort(selected.key, kind="stable")
    atoms, key = selected.index[order], selected.key[order]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    sizes = np.diff(np.append(starts, key.size))
    bad = np.flatnonzero(~(mass[atoms] > 0))
    if bad.size:
        atom = int(atoms[bad[0]])
        raise InputError(
            f"{name}: atom {atom} ({describe(atom)}) has mass {mass[atom]:g}, masses must be positive: "
            f"use a topology with masses, or name massless sites in ignore"
        )
    tracer = np.full(sizes.size, -1, dtype=np.int64)
    if selected.tracer is not None:
        chosen = np.isin(atoms, selected.tracer)
        if not np.all(np.add.reduceat(chosen.astype(int), starts) == 1):
            centre = selected.species.centre
            raise InputError(f"{name}.centre = {centre!r} must select exactly one atom of every molecule")
        tracer = np.flatnonzero(chosen)
    return atoms, sizes, tracer


@numba.njit(cache=True)
def _walk(order, parent, positions, box, inverse, relative):  # type: ignore[no-untyped-def]
    """Place every atom of `order` next to its parent, nearest image; `relative` is filled in place.

    Bonds are shorter than half the box even where molecules are longer: only neighbours along bonds are compared.
    """
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
        Wrapped positions of one snapshot.
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
    head = np.repeat(molecules.first[:-1], molecules.sizes)
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
            f"a molecule of {molecules.sizes[molecules.owner[cut[0]]]} atoms spans "
            f"{span[cut[0]]:.2f} of the box and the topology has no bonds to make it whole: use a topology with bonds"
        )
    return relative


def _bond_tree(pairs: Ints, head: Ints, order: Ints, parent: Ints) -> tuple[Ints, Ints, Bools]:
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
    order_of_visit, predecessor = breadth_first_order(graph, size, directed=False, return_predecessors=True)
    reached = order_of_visit[order_of_visit < size].astype(np.int64)
    bonded = np.zeros(size, dtype=bool)
    bonded[reached] = True
    parent = np.where(bonded, np.where(predecessor[:size] == size, -1, predecessor[:size]), parent).astype(np.int64)
    lost = np.flatnonzero(~bonded)
    return np.concatenate([reached, lost]), parent, bonded
