"""SPECIES.toml: which atoms are which ions, where the trajectories lie, and what is asked of them.

``docs/mdcoeffs.md`` lists every key. Values with a dimension are strings with a unit; unknown keys are errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cellsim.base import N_A, InputError, factor_to_si
from cellsim.files.schema import Table, read_toml

ROLES = ("cation", "anion", "solvent")
MOLECULES = ("fragment", "residue", "molecule", "atom")
COORDINATES = ("auto", "wrapped", "unwrapped")
SELF_PARTS = ("ions", "all", "none")
FRAMES = ("solvent", "barycentric", "volume")

TOP_KEYS = (
    "title", "temperature", "volume", "coordinates", "timestep", "frame_interval", "start", "stop", "stride",
    "ignore", "memory", "scratch", "self", "species", "replica", "estimate", "units",
)  # fmt: skip
REPLICA_KEYS = (
    "topology", "trajectory", "topology_format", "trajectory_format", "atom_style", "arrays", "octp", "octp_self",
)  # fmt: skip
SPECIES_KEYS = ("selection", "charge", "role", "molecule", "centre", "count", "mass", "molecular_volume")
ESTIMATE_KEYS = ("frame", "solvents", "window", "prior_flat", "seed")
UNITS_KEYS = ("position", "time", "volume")
ANALYSES = ("structure", "residence", "mobility", "interface", "activity")
"""Tables of the analyses beside transport; each is read by the module of its analysis."""
SOURCES = ("trajectory", "arrays", "octp")


@dataclass(frozen=True)
class Species:
    """One species of the electrolyte.

    Parameters
    ----------
    name : str
        Name, as in the TOML table.
    z : float
        Charge number; 0 for a solvent.
    role : str
        One of `ROLES`.
    selection : str
        Selection of all its atoms, in MDAnalysis' language.
    molecule : str
        How atoms make molecules, one of `MOLECULES`.
    centre : str
        ``"mass"`` (centre of mass) or the selection of the one atom per molecule that is followed instead.
    count : int, optional
        Number of molecules; for inputs without atoms (summed displacements, OCTP tables).
    mass : float, optional
        Mass of one molecule; likewise [kg].
    molecular_volume : float, optional
        Partial volume of one molecule, for the volume frame [m^3].
    """

    name: str
    z: float
    role: str
    selection: str = ""
    molecule: str = "fragment"
    centre: str = "mass"
    count: int | None = None
    mass: float | None = None
    molecular_volume: float | None = None


@dataclass(frozen=True)
class Replica:
    """One run: a topology with its trajectory files, or an array file, or OCTP tables.

    Parameters
    ----------
    topology : Path, optional
        Topology, any format MDAnalysis reads.
    trajectory : tuple of Path
        Files that follow one another in time.
    topology_format, trajectory_format, atom_style : str
        Hints for the reader, in MDAnalysis' names; empty: by file name.
    arrays : Path, optional
        A .npz or .h5 file.
    octp : Path, optional
        Collective mean displacements of OCTP (``diffonsag.dat``).
    octp_self : Path, optional
        Self mean displacements of OCTP (``diffself.dat``).
    """

    topology: Path | None = None
    trajectory: tuple[Path, ...] = ()
    topology_format: str = ""
    trajectory_format: str = ""
    atom_style: str = ""
    arrays: Path | None = None
    octp: Path | None = None
    octp_self: Path | None = None

    @property
    def label(self) -> str:
        """File name for messages."""
        path = next((p for p in (*self.trajectory, self.arrays, self.octp, self.topology) if p is not None), None)
        return path.name if path is not None else "replica"


@dataclass(frozen=True)
class SpeciesFile:
    """A SPECIES.toml, read and checked; SI floats.

    Parameters
    ----------
    path : Path
        The file.
    temperature : float
        Temperature [K].
    species : tuple of Species
        In the order of the file.
    replicas : tuple of Replica
        At least one.
    title : str
        For figures.
    volume : float, optional
        Box volume, for inputs without a box [m^3].
    coordinates : str
        One of `COORDINATES`.
    timestep : float, optional
        MD time step: a frame's time is its step number times this [s].
    frame_interval : float, optional
        Time between frames; overrides what the file says [s].
    start, stop : float, optional
        Part of the run that is used [s].
    stride : int
        Use every stride-th frame.
    ignore : str
        Selection of atoms left out on purpose (massless sites).
    memory : float
        Cap on the memory for single-particle displacements [byte].
    scratch : Path, optional
        Folder for the scratch file; the output folder when left out.
    self_part : str
        One of `SELF_PARTS`.
    frame : str
        Frame in which the coefficients are reported, one of `FRAMES`.
    solvents : tuple of str, optional
        Solvent species that make the solvent frame.
    window : tuple of float, optional
        Fit window, first and last lag [s].
    prior_flat : float
        Prior probability that the motion is diffusive from the first step on; see `mdcoeffs.onsager.estimate` [1].
    seed : int
        Seed of the posterior samples.
    units : mapping
        Units of array files: position, time, volume.
    """

    path: Path
    temperature: float
    species: tuple[Species, ...]
    replicas: tuple[Replica, ...]
    title: str = ""
    volume: float | None = None
    coordinates: str = "auto"
    timestep: float | None = None
    frame_interval: float | None = None
    start: float | None = None
    stop: float | None = None
    stride: int = 1
    ignore: str = ""
    memory: float = 1e9
    scratch: Path | None = None
    self_part: str = "ions"
    frame: str = "solvent"
    solvents: tuple[str, ...] | None = None
    window: tuple[float, float] | None = None
    prior_flat: float = 0.5
    seed: int = 0
    units: Mapping[str, str] = field(default_factory=dict)

    def scale(self, quantity: str) -> float:
        """Factor from an array file's unit to SI; ``position``, ``time`` or ``volume``."""
        default = {"position": "m", "time": "s", "volume": "m^3"}[quantity]
        return factor_to_si(self.units.get(quantity, default), default, field=f"units.{quantity}")


def read_species(path: str | Path) -> SpeciesFile:
    """Read a SPECIES.toml.

    Parameters
    ----------
    path : str or Path
        The file; paths in it are relative to it.

    Returns
    -------
    SpeciesFile

    Raises
    ------
    InputError
        Unreadable TOML, unknown keys, missing files, values of the wrong kind.
    """
    top = read_toml(path)
    top.only(*TOP_KEYS, *REPLICA_KEYS, *ANALYSES)
    species = tuple(_species(top.table("species"), name) for name in top.table("species"))
    if not species:
        raise InputError(f"{top.where('species')} is empty; add tables [species.NAME] with selection, charge and role")
    estimate = _part(top, "estimate")
    estimate.only(*ESTIMATE_KEYS)
    units = _part(top, "units")
    units.only(*UNITS_KEYS)
    result = SpeciesFile(
        path=Path(path),
        temperature=top.quantity("temperature", "K", above=0),
        species=species,
        replicas=_replicas(top),
        title=top.string("title", Path(path).stem),
        volume=top.quantity("volume", "m^3", None, above=0),
        coordinates=top.choice("coordinates", COORDINATES, "auto"),
        timestep=top.quantity("timestep", "s", None, above=0),
        frame_interval=top.quantity("frame_interval", "s", None, above=0),
        start=top.quantity("start", "s", None),
        stop=top.quantity("stop", "s", None),
        stride=top.integer("stride", 1, least=1),
        ignore=top.string("ignore", ""),
        memory=top.quantity("memory", "byte", 1e9, above=0),
        scratch=top.file.parent / top.string("scratch") if "scratch" in top else None,
        self_part=top.choice("self", SELF_PARTS, "ions"),
        frame=estimate.choice("frame", FRAMES, "solvent"),
        solvents=_solvents(estimate, species),
        window=_window(estimate),
        prior_flat=estimate.number("prior_flat", 0.5, least=0, most=0.99),
        seed=estimate.integer("seed", 0, least=0),
        units={key: units.string(key) for key in units},
    )
    for key in UNITS_KEYS:
        result.scale(key)
    _check_sources(result)
    return result


def analysis_table(file: SpeciesFile, name: str) -> Table:
    """The table of one analysis, empty where the file has none; its reader checks the keys.

    Parameters
    ----------
    file : SpeciesFile
        The file.
    name : str
        One of `ANALYSES`.

    Returns
    -------
    Table
    """
    return _part(read_toml(file.path), name)


def _part(top: Table, key: str) -> Table:
    return top.table(key) if key in top else Table({}, top.file, key)


def _species(tables: Table, name: str) -> Species:
    entry = tables.table(name)
    entry.only(*SPECIES_KEYS)
    role = entry.choice("role", ROLES)
    z = entry.number("charge", 0.0) if role == "solvent" else entry.number("charge")
    if (role == "cation" and z <= 0) or (role == "anion" and z >= 0) or (role == "solvent" and z != 0):
        raise entry.error("charge", f"does not fit role = {role!r} (cation > 0, anion < 0, solvent 0)")
    mass = entry.quantity("mass", "kg/mol", None, above=0)
    return Species(
        name=name,
        z=z,
        role=role,
        selection=entry.string("selection", ""),
        molecule=entry.choice("molecule", MOLECULES, "fragment"),
        centre=entry.string("centre", "mass"),
        count=entry.integer("count", None, least=1),
        mass=None if mass is None else mass / N_A,
        molecular_volume=entry.quantity("molecular_volume", "m^3", None, least=0),
    )


def _replicas(top: Table) -> tuple[Replica, ...]:
    tables = top.tables("replica")
    here = [key for key in SOURCES if key in top]
    if here and tables:
        raise InputError(f"{top.where(here[0])} stands beside [[replica]] tables; give it in one place only")
    short = {key: top.data[key] for key in REPLICA_KEYS if key in top}
    found = []
    for table in tables or [Table({}, top.file)]:
        table.only(*REPLICA_KEYS)
        merged = Table({**short, **table.data}, top.file, table.name)
        source = merged.exactly_one(*SOURCES)
        if source == "trajectory" and "topology" not in merged:
            raise merged.error("topology", "is missing; give the file with the atoms and their masses")
        found.append(
            Replica(
                topology=merged.path("topology", None),
                trajectory=_files(merged),
                topology_format=merged.string("topology_format", ""),
                trajectory_format=merged.string("trajectory_format", ""),
                atom_style=merged.string("atom_style", ""),
                arrays=merged.path("arrays", None),
                octp=merged.path("octp", None),
                octp_self=merged.path("octp_self", None),
            )
        )
    return tuple(found)


def _files(table: Table) -> tuple[Path, ...]:
    value = table.data.get("trajectory", [])
    names = [value] if isinstance(value, str) else table.strings("trajectory", [])
    for name in names:
        if not (table.file.parent / name).is_file():
            raise InputError(f"{table.where('trajectory')}: {name!r} names no file that exists")
    return tuple(table.file.parent / name for name in names)


def _check_sources(file: SpeciesFile) -> None:
    for replica in file.replicas:
        for one in file.species:
            if replica.trajectory and not one.selection:
                raise InputError(f'{file.path}: species.{one.name}.selection is missing, for example "resname LI"')
            if replica.octp and (one.count is None or file.volume is None):
                raise InputError(f"{file.path}: an OCTP table needs volume, and a count for species {one.name}")


def _solvents(table: Table, species: tuple[Species, ...]) -> tuple[str, ...] | None:
    if "solvents" not in table:
        return None
    names = table.strings("solvents")
    known = [one.name for one in species if one.role == "solvent"]
    for name in names:
        if name not in known:
            raise InputError(f"{table.where('solvents')}: {name!r} is not a solvent here; allowed: {', '.join(known)}")
    return tuple(names)


def _window(table: Table) -> tuple[float, float] | None:
    if "window" not in table:
        return None
    pair = table.quantities("window", "s")
    if len(pair) != 2 or not 0 <= pair[0] < pair[1]:
        raise InputError(f'{table.where("window")} must be two increasing times, for example ["1 ns", "5 ns"]')
    return pair[0], pair[1]
