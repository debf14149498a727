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

from cellsim.base import Array, InputError, Ints
from cellsim.files.schema import Table, did_you_mean
from mdcoeffs.frames.neighbours import dimensions, pairs_within
from mdcoeffs.frames.reading import ANGSTROM
from mdcoeffs.frames.stream import Stream
from mdcoeffs.frames.walker import Frame
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.statistics.blocks import BlockSums

MOST = 10
"""Bound molecules are counted apart up to this number; the last class holds the rest."""
CLUSTERS = ("free", "pair", "triple", "larger")
"""Classes of clusters of cations and anions: alone, one of each, three ions, more."""

STRUCTURE_KEYS = (
    "cation", "partners", "sites", "cutoffs", "r_max", "bin", "centres", "anion_size", "onsager",
)  # fmt: skip


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
    names = [one.name for one in file.species]
    cations = [one.name for one in file.species if one.role == "cation"]
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
    for part in (sites, cutoffs):
        for name in part:
            _known(part, name, name, list(partners))
    r_max = table.quantity("r_max", "m", 10e-10, above=0)
    width = table.quantity("bin", "m", 0.05e-10, above=0)
    if r_max < 20 * width:
        raise table.error("bin", f"must be at most a twentieth of r_max ({r_max / ANGSTROM:g} angstrom)")
    folder = table.string("onsager", "")
    return ShellSettings(
        cation=cation, partners=partners,
        anions=tuple(one.name for one in file.species if one.role == "anion" and one.name in partners),
        sites={name: sites.string(name) for name in sites},
        cutoffs={name: cutoffs.quantity(name, "m", above=0) for name in cutoffs},
        r_max=r_max, bin=width, centres=table.boolean("centres", True),
        anion_size=table.quantity("anion_size", "m", None, above=0),
        onsager=str(file.path.parent / folder) if folder else "",
    )  # fmt: skip


def _known(table: Table, key: str, name: str, names: list[str]) -> str:
    if name not in names:
        raise InputError(f"{table.where(key)}: {name!r} is no species that fits here{did_you_mean(name, names)}")
    return name


@dataclass(frozen=True, eq=False)
class Sites:
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
    counts : tuple of int
        Molecules of each partner.
    """

    cations: Ints
    atoms: Ints
    partner: Ints
    molecule: Ints
    counts: tuple[int, ...]


def sites_of(stream: Stream, settings: ShellSettings) -> Sites:
    """Find cations and coordinating atoms in a stream.

    Parameters
    ----------
    stream : Stream
        The run.
    settings : ShellSettings
        Which atoms coordinate.

    Returns
    -------
    Sites

    Raises
    ------
    InputError
        A selection that is empty or reaches into another species; a cation of several atoms without ``centre``.
    """
    who = stream.molecules
    middle = stream.molecules_of(settings.cation)
    first, tracer = who.first[middle], who.tracer[middle]
    single = np.diff(who.first)[middle] == 1
    if not np.all(single | (tracer >= 0)):
        raise InputError(
            f'species.{settings.cation} has several atoms; name the one at its middle, for example centre = "name N1"'
        )
    cations = who.atoms[np.where(tracer >= 0, tracer, first)]
    atoms, partner = [], []
    for k, name in enumerate(settings.partners):
        where = f"structure.sites.{name}"
        chosen = stream.select(settings.sites.get(name, name), where)
        outside = ~np.isin(chosen, stream.select(name))
        if outside.any():
            raise InputError(
                f"{where}: selection {settings.sites[name]!r} takes {int(outside.sum())} atoms that are not of species "
                f'{name}; write "({settings.sites[name]}) and ..." so that it stays inside'
            )
        atoms.append(chosen)
        partner.append(np.full(chosen.size, k))
    flat = np.concatenate(atoms)
    return Sites(
        cations, flat, np.concatenate(partner), stream.molecule_of(flat),
        tuple(stream.molecules_of(name).size for name in settings.partners),
    )  # fmt: skip


def bonds_in(frame: Frame, sites: Sites, cutoffs: Array) -> tuple[Ints, Ints]:
    """Coordination in one frame: number of the cation and of the site, (bonds,) each.

    Parameters
    ----------
    frame : Frame
        The frame.
    sites : Sites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].

    Returns
    -------
    cation, site : array of int (bonds,)
        Rows of ``sites.cations`` and ``sites.atoms``.
    """
    box = dimensions(frame)
    reach = cutoffs / ANGSTROM
    i, j, distance = pairs_within(frame.raw[sites.cations], frame.raw[sites.atoms], float(reach.max()), box)
    near = distance < reach[sites.partner[j]]
    return i[near], j[near]


class ShellSums:
    """Accumulator: coordination numbers, how many molecules are bound, clusters of ions.

    Parameters
    ----------
    sites : Sites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].
    anions : array of bool (partners,)
        Which partners are anions.
    """

    def __init__(self, sites: Sites, cutoffs: Array, anions: NDArray[np.bool_]) -> None:
        self.sites, self.cutoffs, self.anions = sites, cutoffs, anions
        partners = cutoffs.size
        ions = np.unique(sites.molecule[anions[sites.partner]])
        self.place = np.full(int(sites.molecule.max()) + 1, -1, dtype=np.int64)
        self.place[ions] = np.arange(ions.size)
        self.n_anions = ions.size
        wide = MOST + 1
        sizes = {
            "atoms": partners, "molecules": partners, "bound": partners * wide, "anions": wide, "cations": wide,
            "cation_clusters": len(CLUSTERS), "anion_clusters": len(CLUSTERS), "sizes": 2, "frames": 1,
        }  # fmt: skip
        edges = np.concatenate([[0], np.cumsum(list(sizes.values()))])
        self.parts = {k: slice(int(a), int(b)) for k, a, b in zip(sizes, edges[:-1], edges[1:], strict=True)}
        self.sums = BlockSums(int(edges[-1]))

    def add(self, frame: Frame) -> None:
        """Count one frame."""
        i, j = bonds_in(frame, self.sites, self.cutoffs)
        n, partners, wide = self.sites.cations.size, self.cutoffs.size, MOST + 1
        row = np.zeros(self.sums.arrays()["sums"].shape[1])
        part = self.parts
        row[part["atoms"]] = np.bincount(self.sites.partner[j], minlength=partners) / n
        pair = np.unique(np.stack([i, self.sites.molecule[j], self.sites.partner[j]]), axis=1)
        cation, molecule, partner = pair
        row[part["molecules"]] = np.bincount(partner, minlength=partners) / n
        table = np.zeros((n, partners), dtype=np.int64)
        np.add.at(table, (cation, partner), 1)
        row[part["bound"]] = np.concatenate([_shares(table[:, k], n) for k in range(partners)])
        row[part["anions"]] = _shares(table[:, self.anions].sum(axis=1), n)
        ionic = self.anions[partner]
        anion = self.place[molecule[ionic]]
        if self.n_anions:
            row[part["cations"]] = _shares(np.bincount(anion, minlength=self.n_anions), self.n_anions)
            self._clusters(row, cation[ionic], anion)
        row[part["frames"]] = 1.0
        assert row[part["anions"]].size == wide
        self.sums.add(row)

    def _clusters(self, row: Array, cation: Ints, anion: Ints) -> None:
        n, m = self.sites.cations.size, self.n_anions
        graph = coo_array((np.ones(cation.size), (cation, n + anion)), shape=(n + m, n + m))
        count, label = connected_components(graph, directed=False)
        size = np.bincount(label, minlength=count)
        kind = np.minimum(size, len(CLUSTERS)) - 1
        row[self.parts["cation_clusters"]] = np.bincount(kind[label[:n]], minlength=len(CLUSTERS)) / n
        row[self.parts["anion_clusters"]] = np.bincount(kind[label[n:]], minlength=len(CLUSTERS)) / m
        row[self.parts["sizes"]] = [float((size.astype(float) ** 2).sum()) / (n + m), float(size.max())]

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
        Their atoms, as rows of ``frame.relative``.
    weights : array (atoms,)
        Share of each atom in the mass of its molecule, over the number of molecules [1].
    """

    def __init__(self, rows: Ints, weights: Array) -> None:
        self.rows, self.weights = rows, weights
        self.sums = BlockSums(2)

    def add(self, frame: Frame) -> None:
        """Take one frame in."""
        assert frame.relative is not None
        self.sums.add([float(self.weights @ (frame.relative[self.rows] ** 2).sum(axis=1)), 1.0])

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
    who = stream.molecules
    chosen = stream.molecules_of(name)
    rows = np.concatenate([np.arange(who.first[k], who.first[k + 1]) for k in chosen])
    return GyrationSums(rows, who.weights[rows] / chosen.size)
