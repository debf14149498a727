"""Who coordinates whom: settings of the analyses of solvation, and the accumulator of first shells and clusters.

A *site* is an atom that can coordinate a cation (an oxygen of the solvent, say); a molecule is *bound* to a cation
when at least one of its sites lies within the cutoff of its species.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cellsim.base import Array, Bools, InputError, Ints
from cellsim.files.schema import Table, did_you_mean
from mdcoeffs.frames.neighbours import dimensions, pairs_within
from mdcoeffs.frames.snapshot import ANGSTROM, Snapshot
from mdcoeffs.frames.stream import Stream
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.statistics.blocks import BlockSums

MOST = 10
"""Bound molecules are counted apart up to this number; the last class holds the rest."""
CLUSTERS = ("free", "pair", "triple", "larger")
"""Classes of clusters of cations and anions: alone, one of each, three ions, more."""

STRUCTURE_KEYS = ("cation", "partners", "sites", "cutoffs", "r_max", "bin", "centres", "anion_size", "onsager")


@dataclass(frozen=True)
class ShellSettings:
    """What [structure] of a SPECIES.toml says.

    Parameters
    ----------
    cation : str
        Species at the middle of the shells.
    partners : tuple of str
        Species that coordinate it.
    anions : tuple of str
        The anions among them.
    sites : mapping
        Partner -> selection of its coordinating atoms; all its atoms when left out.
    cutoffs : mapping
        Partner -> end of its shell; found from g(r) when left out [m].
    r_max : float
        Range of g(r) between cation and sites [m].
    bin : float
        Width of its bins [m].
    centres : bool
        Also g(r) between the centres of all molecules, to half the box.
    half : float
        That half, found from the first boxes; 0 before [m].
    anion_size : float, optional
        Diameter of an anion, for the overlap concentration; from its radius of gyration when left out [m].
    onsager : str
        Folder of a result of ``mdcoeffs onsager`` in the barycentric frame, for self and distinct shares.
    """

    cation: str
    partners: tuple[str, ...]
    anions: tuple[str, ...]
    sites: Mapping[str, str] = field(default_factory=dict)
    cutoffs: Mapping[str, float] = field(default_factory=dict)
    r_max: float = 10e-10
    bin: float = 0.05e-10
    centres: bool = True
    half: float = 0.0
    anion_size: float | None = None
    onsager: str = ""


def read_shells(file: SpeciesFile) -> ShellSettings:
    """Read the table [structure] of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    ShellSettings

    Raises
    ------
    InputError
        Unknown keys, names that are no species, more than one cation and none chosen.
    """
    table = analysis_table(file, "structure")
    table.only(*STRUCTURE_KEYS)
    names = [species.name for species in file.species]
    cations = [species.name for species in file.species if species.role == "cation"]
    anions = [species.name for species in file.species if species.role == "anion"]
    if "cation" not in table and len(cations) != 1:
        raise InputError(
            f"{file.path}: structure.cation must say which species is at the middle of the shells; "
            f"cations here: {', '.join(cations) or 'none'}"
        )
    cation = _known(table, "cation", table.string("cation", cations[0] if cations else ""), names)
    others = [name for name in names if name != cation]
    partners = tuple(_known(table, "partners", name, others) for name in table.strings("partners", others))
    if not partners:
        raise table.error("partners", "is empty; name the species that coordinate the cation")
    sites, cutoffs = table.table("sites", {}), table.table("cutoffs", {})
    for by_partner in (sites, cutoffs):
        for name in by_partner:
            _known(by_partner, name, name, list(partners))
    r_max = table.quantity("r_max", "m", 10e-10, above=0)
    width = table.quantity("bin", "m", 0.05e-10, above=0)
    if r_max < 20 * width:
        raise table.error("bin", f"must be at most a twentieth of r_max ({r_max / ANGSTROM:g} angstrom)")
    folder = table.string("onsager", "")
    return ShellSettings(
        cation=cation,
        partners=partners,
        anions=tuple(name for name in anions if name in partners),
        sites={name: sites.string(name) for name in sites},
        cutoffs={name: cutoffs.quantity(name, "m", above=0) for name in cutoffs},
        r_max=r_max,
        bin=width,
        centres=table.boolean("centres", True),
        anion_size=table.quantity("anion_size", "m", None, above=0),
        onsager=str(file.path.parent / folder) if folder else "",
    )


def _known(table: Table, key: str, name: str, names: list[str]) -> str:
    if name not in names:
        raise InputError(f"{table.where(key)}: {name!r} is no species that fits here{did_you_mean(name, names)}")
    return name


@dataclass(frozen=True, eq=False)
class CoordinationSites:
    """The cations of a stream and the atoms that can coordinate them.

    Parameters
    ----------
    cations : array of int (cations,)
        Atom that stands for each cation.
    atoms : array of int (sites,)
        Coordinating atoms of all partners.
    partner : array of int (sites,)
        Number of the partner each belongs to.
    molecule : array of int (sites,)
        Molecule of each.
    """

    cations: Ints
    atoms: Ints
    partner: Ints
    molecule: Ints


def sites_of(stream: Stream, settings: ShellSettings) -> CoordinationSites:
    """Find cations and coordinating atoms in a stream.

    Parameters
    ----------
    stream : Stream
        The run.
    settings : ShellSettings
        Which atoms coordinate.

    Returns
    -------
    CoordinationSites

    Raises
    ------
    InputError
        A selection that is empty or reaches into another species; a cation of several atoms without ``centre``.
    """
    molecules, chosen = stream.molecules, stream.molecules_of(settings.cation)
    first, tracer = molecules.first[chosen], molecules.tracer[chosen]
    if not np.all((molecules.sizes[chosen] == 1) | (tracer >= 0)):
        raise InputError(
            f'species.{settings.cation} has several atoms; name the one at its middle, for example centre = "name N1"'
        )
    cations = molecules.atoms[np.where(tracer >= 0, tracer, first)]
    atoms, partner = [], []
    for k, name in enumerate(settings.partners):
        where = f"structure.sites.{name}"
        selected = stream.select(settings.sites.get(name, name), where)
        outside = ~np.isin(selected, stream.select(name))
        if outside.any():
            raise InputError(
                f"{where}: selection {settings.sites[name]!r} takes {int(outside.sum())} atoms that are not of species "
                f'{name}; write "({settings.sites[name]}) and ..." so that it stays inside'
            )
        atoms.append(selected)
        partner.append(np.full(selected.size, k))
    flat = np.concatenate(atoms)
    return CoordinationSites(cations, flat, np.concatenate(partner), stream.molecule_of(flat))


def bonds_in(snapshot: Snapshot, sites: CoordinationSites, cutoffs: Array) -> tuple[Ints, Ints]:
    """Coordination in one snapshot: number of the cation and of the site, (bonds,) each.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.
    sites : CoordinationSites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].

    Returns
    -------
    cation, site : array of int (bonds,)
        Rows of ``sites.cations`` and ``sites.atoms``.
    """
    # One search for all partners, to the longest cutoff, and the shorter ones afterwards: building the cell list is
    # the dear part of a search. In the angstrom of the stored positions, for they are in single precision, and a
    # distance within rounding of a cutoff must fall on the same side in every analysis.
    box, reach = dimensions(snapshot), cutoffs / ANGSTROM
    i, j, distance = pairs_within(snapshot.raw[sites.cations], snapshot.raw[sites.atoms], float(reach.max()), box)
    near = distance < reach[sites.partner[j]]
    return i[near], j[near]


def tetrahedral_order(directions: Array) -> Array:
    """How tetrahedral the four neighbours of an atom are.

    Parameters
    ----------
    directions : array (n, 4, 3)
        Unit vectors to them [1].

    Returns
    -------
    array (n,)
        ``q = 1 - 3/8 sum_(j<k) (cos psi_jk + 1/3)^2`` [1]: 1 for a tetrahedron, 1/2 for a square, 0 on average for
        directions at random.

    References
    ----------
    Errington & Debenedetti, Nature 409, 318 (2001), doi:10.1038/35053024, Eq. 1.
    """
    return np.asarray(1.0 - 0.375 * ((_cosines(directions) + 1.0 / 3.0) ** 2).sum(axis=1))


def angle_variance(directions: Array) -> Array:
    """By how much the angles of a cage of four or six differ from those of a tetrahedron or an octahedron.

    Parameters
    ----------
    directions : array (n, 4, 3) or (n, 6, 3)
        Unit vectors to the sites [1].

    Returns
    -------
    array (n,)
        ``sum (theta - theta_0)^2 / (m - 1)`` over the m = 6 angles of a tetrahedron, theta_0 = 109.47 degrees, or the
        m = 12 smallest of an octahedron, 90 degrees (the other three are 180) [degree^2].

    References
    ----------
    Robinson, Gibbs & Ribbe, Science 172, 567 (1971), doi:10.1126/science.172.3983.567.
    """
    angles = np.degrees(np.arccos(np.clip(_cosines(directions), -1.0, 1.0)))
    if directions.shape[1] == 4:
        return np.asarray(((angles - np.degrees(np.arccos(-1.0 / 3.0))) ** 2).sum(axis=1) / 5.0)
    return np.asarray(((np.sort(angles, axis=1)[:, :12] - 90.0) ** 2).sum(axis=1) / 11.0)


def _cosines(directions: Array) -> Array:
    """Of the angles between all pairs of directions, (n, pairs)."""
    first, second = np.triu_indices(directions.shape[1], k=1)
    return np.asarray(np.einsum("npx,npx->np", directions[:, first], directions[:, second]))


class ShellSums:
    """Accumulator: coordination numbers, how many molecules are bound, clusters of ions, symmetry of the cages.

    Parameters
    ----------
    sites : CoordinationSites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].
    anions : array of bool (partners,)
        Which partners are anions.
    """

    follow = ""

    def __init__(self, sites: CoordinationSites, cutoffs: Array, anions: Bools) -> None:
        self.sites, self.cutoffs, self.anions = sites, cutoffs, anions
        ions = np.unique(sites.molecule[anions[sites.partner]])
        self.place = np.full(int(sites.molecule.max()) + 1, -1, dtype=np.int64)  # of a molecule among the anions
        self.place[ions] = np.arange(ions.size)
        self.n_anions = ions.size
        partners, classes, clusters = cutoffs.size, MOST + 1, len(CLUSTERS)
        sizes = {"atoms": partners, "molecules": partners, "bound": partners * classes}
        sizes |= {"anions": classes, "cations": classes, "cation_clusters": clusters, "anion_clusters": clusters}
        # cages of four sites and of six: how many, sum of q (of four), sum of the variances of the angles
        sizes |= {"sizes": 2, "sites": classes, "cages": 5, "frames": 1}
        edges = np.concatenate([[0], np.cumsum(list(sizes.values()))]).tolist()
        self.columns = {name: slice(a, b) for name, a, b in zip(sizes, edges[:-1], edges[1:], strict=True)}
        self.sums = BlockSums(edges[-1])

    def add(self, snapshot: Snapshot) -> None:
        """Count one snapshot."""
        i, j = bonds_in(snapshot, self.sites, self.cutoffs)
        n, partners, columns = self.sites.cations.size, self.cutoffs.size, self.columns
        row = np.zeros(self.sums.size)
        row[columns["atoms"]] = np.bincount(self.sites.partner[j], minlength=partners) / n
        # A molecule that holds a cation with two of its sites is bound to it once.
        bound = np.unique(np.stack([i, self.sites.molecule[j], self.sites.partner[j]]), axis=1)
        cation, molecule, partner = bound
        row[columns["molecules"]] = np.bincount(partner, minlength=partners) / n
        numbers = np.zeros((n, partners), dtype=np.int64)
        np.add.at(numbers, (cation, partner), 1)
        row[columns["bound"]] = np.concatenate([_shares(numbers[:, k], n) for k in range(partners)])
        row[columns["anions"]] = _shares(numbers[:, self.anions].sum(axis=1), n)
        if self.n_anions:
            ionic = self.anions[partner]
            anion = self.place[molecule[ionic]]
            row[columns["cations"]] = _shares(np.bincount(anion, minlength=self.n_anions), self.n_anions)
            self._clusters(row, cation[ionic], anion)
        number = np.bincount(i, minlength=n)
        row[columns["sites"]] = _shares(number, n)
        four, six = (self._directions(snapshot, i, j, number == fold, fold) for fold in (4, 6))
        variances = [float(angle_variance(each).sum()) for each in (four, six)]
        row[columns["cages"]] = [len(four), float(tetrahedral_order(four).sum()), variances[0], len(six), variances[1]]
        row[columns["frames"]] = 1.0
        self.sums.add(row)

    def _directions(self, snapshot: Snapshot, cation: Ints, site: Ints, chosen: Bools, fold: int) -> Array:
        """Unit vectors from the chosen cations to the sites in their shells, (cations, fold, 3)."""
        mine = np.flatnonzero(chosen[cation])
        mine = mine[np.argsort(cation[mine], kind="stable")]
        ends, starts = self.sites.atoms[site[mine]], self.sites.cations[cation[mine]]
        vectors = snapshot.positions[ends] - snapshot.positions[starts]
        # a bond is shorter than half the least height of the box, so that this is its nearest image
        vectors -= np.rint(vectors @ np.linalg.inv(snapshot.cell)) @ snapshot.cell
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).reshape(-1, fold, 3)

    def _clusters(self, row: Array, cation: Ints, anion: Ints) -> None:
        n, m, classes = self.sites.cations.size, self.n_anions, len(CLUSTERS)
        graph = coo_array((np.ones(cation.size), (cation, n + anion)), shape=(n + m, n + m))
        count, label = connected_components(graph, directed=False)
        size = np.bincount(label, minlength=count)
        kind = np.minimum(size, classes) - 1
        row[self.columns["cation_clusters"]] = np.bincount(kind[label[:n]], minlength=classes) / n
        row[self.columns["anion_clusters"]] = np.bincount(kind[label[n:]], minlength=classes) / m
        # The mean over the ions, not over the clusters: a large cluster counts as often as it has members.
        row[self.columns["sizes"]] = [float((size.astype(float) ** 2).sum()) / (n + m), float(size.max())]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return self.sums.arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.sums.restore(arrays)


def _shares(number: Ints, of: int) -> Array:
    """Share of the entries that are 0, 1, ... MOST or more, (MOST + 1,)."""
    return np.bincount(np.minimum(number, MOST), minlength=MOST + 1) / of


class GyrationSums:
    """Accumulator: mean squared radius of gyration of some molecules; needs whole molecules.

    Parameters
    ----------
    rows : array of int (atoms,)
        Their atoms, as rows of ``snapshot.relative``.
    weights : array (atoms,)
        Share of each atom in the mass of its molecule, over the number of molecules [1].
    """

    follow = "whole"

    def __init__(self, rows: Ints, weights: Array) -> None:
        self.rows, self.weights = rows, weights
        self.sums = BlockSums(2)

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        self.sums.add([float(self.weights @ (snapshot.relative[self.rows] ** 2).sum(axis=1)), 1.0])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return self.sums.arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.sums.restore(arrays)


def gyration_of(stream: Stream, name: str) -> GyrationSums:
    """The radius of gyration of the molecules of a species, as an accumulator.

    Parameters
    ----------
    stream : Stream
        The run.
    name : str
        The species.

    Returns
    -------
    GyrationSums
    """
    molecules, chosen = stream.molecules, stream.molecules_of(name)
    rows = np.flatnonzero(np.isin(molecules.owner, chosen))
    return GyrationSums(rows, molecules.weights[rows] / chosen.size)
