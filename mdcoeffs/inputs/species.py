"""SPECIES.toml: which atoms are which ions, where the trajectories lie, and what is asked of them.

``docs/mdcoeffs.md`` lists every key. Values with a dimension are strings with a unit; unknown keys are errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import inf
from pathlib import Path
from typing import Any

from cellsim.base import N_A, InputError, factor_to_si
from cellsim.files.schema import Table, read_toml, with_values
from mdcoeffs.inputs.units import RUN_KEYS, RunUnits, read_units, with_reduced

ANALYSES = {
    "onsager": "Compute Onsager coefficients from trajectories, arrays or OCTP tables.",
    "structure": "Shells of the cations: g(r), coordination, bound and free ions, clusters.",
    "residence": "How long solvent and anions stay at a cation, and how long cations link two anions.",
    "activity": "Thermodynamic factor chi from fluctuations of the composition and Kirkwood-Buff integrals.",
    "interface": "Profiles, populations and barriers along z: is the interface in equilibrium?",
    "mobility": "How ions and their cages move and turn: exponents, order parameters, relaxation, paddle-wheel.",
}
"""Every analysis, ``mdcoeffs.NAME.ANALYSIS``, with what its command says of it."""
ROLES = ("cation", "anion", "solvent")
MOLECULES = ("fragment", "residue", "molecule", "atom")
COORDINATES = ("auto", "wrapped", "unwrapped")
SELF_PARTS = ("ions", "all", "none")
TABLES = {name: name for name in ANALYSES} | {"onsager": "estimate"}
"""Analysis -> its table in SPECIES.toml; read by the module of the analysis."""
SOURCES = ("trajectory", "arrays", "octp")
CUT_FRAMES = ("refuse", "drop")
REPLICA_KEYS = (
    "topology",
    "topology_format",
    "trajectory_format",
    "atom_style",
    "cell",
    "velocities",
    "octp_self",
    *SOURCES,
)
UNITS = {"position": "m", "time": "s", "volume": "m^3", "velocity": "m/s"}
"""Quantities of array files, and their units where [units] says nothing."""
TOP_KEYS = ("title", "temperature", "volume", "self", "thermostat", "species", "replica", "units")
THERMOSTATS = ("none", "nose-hoover", "velocity-rescaling", "berendsen", "dpd", "langevin", "andersen")
"""What may have held the temperature; the last two destroy momentum."""
READING_KEYS = (
    *("coordinates", "timestep", "frame_interval", "start", "stop", "stride", "drop_repeated"),
    *("ignore", "memory", "scratch", "box", "cut_last_frame", "every"),
)
SERVES = {
    **dict.fromkeys(("timestep", "ignore", "drop_repeated", "box", "cut_last_frame"), ("trajectory",)),
    **dict.fromkeys(
        ("coordinates", "frame_interval", "start", "stop", "stride", "every", "memory", "scratch"),
        ("trajectory", "arrays"),
    ),
    "units": ("arrays", "trajectory"),
}
"""Key -> the kinds of files that it says something of."""
_SAMPLE = 1 << 20
SPECIES_KEYS = ("selection", "charge", "role", "molecule", "centre", "count", "mass", "molecular_volume")


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
    cell : tuple of Path
        Cell files of CP2K with the boxes, one for each trajectory file; empty where the trajectory has boxes.
    velocities : tuple of Path
        Velocity files of CP2K, one for each trajectory file; empty where there are none, or the trajectory has them.
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
    cell: tuple[Path, ...] = ()
    velocities: tuple[Path, ...] = ()
    arrays: Path | None = None
    octp: Path | None = None
    octp_self: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it names."""
        paths = (self.topology, *self.trajectory, *self.cell, *self.velocities, self.arrays, self.octp, self.octp_self)
        return tuple(path for path in paths if path is not None)

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
    every : float, optional
        Use the frames at the multiples of this interval after start only [s].
    drop_repeated : bool
        Leave out the frames at the beginning of a trajectory file that the file before it ends with.
    cut_last_frame : str
        What is done with a last frame that is cut short, one of `CUT_FRAMES`.
    ignore : str
        Selection of atoms left out on purpose (massless sites).
    memory : float
        Cap on the memory for single-particle displacements [byte].
    scratch : Path, optional
        Folder for the scratch file; the output folder when left out.
    self_part : str
        One of `SELF_PARTS`.
    box : tuple of float, optional
        Edges of an orthorhombic box, where the frames of a trajectory carry none [m].
    thermostat : str
        One of `THERMOSTATS`, or empty where nothing is said.
    units : mapping
        Units of array files: position, time, volume, velocity.
    run_units : RunUnits, optional
        Units of trajectory files whose format does not fix them.
    changes : mapping
        Dotted key -> value that took the place of the file's own.
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
    every: float | None = None
    drop_repeated: bool = False
    cut_last_frame: str = "refuse"
    ignore: str = ""
    memory: float = 1e9
    scratch: Path | None = None
    self_part: str = "ions"
    box: tuple[float, ...] | None = None
    thermostat: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    run_units: RunUnits | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    def scale(self, quantity: str) -> float:
        """Factor from an array file's unit to SI; ``position``, ``time``, ``volume`` or ``velocity``."""
        default = UNITS[quantity]
        return factor_to_si(self.units.get(quantity, default), default, field=f"units.{quantity}")

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file and every file it names."""
        return (self.path, *(path for replica in self.replicas for path in replica.files))

    def anchored(self) -> SpeciesFile:
        """The same with absolute paths: a worker has another working folder."""
        replicas = []
        for replica in self.replicas:
            moved = {name: getattr(replica, name) for name in ("topology", "arrays", "octp", "octp_self")}
            moved = {name: path.resolve() for name, path in moved.items() if path is not None}
            trajectory, cell = (tuple(path.resolve() for path in paths) for paths in (replica.trajectory, replica.cell))
            replicas.append(replace(replica, trajectory=trajectory, cell=cell, **moved))
        scratch = None if self.scratch is None else self.scratch.resolve()
        return replace(self, path=self.path.resolve(), replicas=tuple(replicas), scratch=scratch)


def read_species(path: str | Path, changes: Mapping[str, Any] | None = None) -> SpeciesFile:
    """Read a SPECIES.toml.

    Parameters
    ----------
    path : str or Path
        The file; paths in it are relative to it.
    changes : mapping, optional
        Dotted key -> value in place of the file's own, such as ``{"temperature": "350 K"}``.

    Returns
    -------
    SpeciesFile

    Raises
    ------
    InputError
        Unreadable TOML, unknown keys, missing files, values of the wrong kind.
    """
    top, run_units = _opened(path, changes or {})
    top.only(*TOP_KEYS, *READING_KEYS, *REPLICA_KEYS, *TABLES.values())
    species = tuple(_species(top.table("species"), name) for name in top.table("species"))
    if not species:
        raise InputError(f"{top.where('species')} is empty; add tables [species.NAME] with selection, charge and role")
    units = _table(top, "units")
    units.only(*UNITS, *RUN_KEYS)
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
        every=top.quantity("every", "s", None, above=0),
        drop_repeated=top.boolean("drop_repeated", False),
        cut_last_frame=top.choice("cut_last_frame", CUT_FRAMES, "refuse"),
        ignore=top.string("ignore", ""),
        memory=top.quantity("memory", "byte", 1e9, above=0),
        scratch=top.file.parent / top.string("scratch") if "scratch" in top else None,
        self_part=top.choice("self", SELF_PARTS, "ions"),
        box=_box(top),
        thermostat=top.choice("thermostat", THERMOSTATS, ""),
        units={key: units.string(key) for key in units if key in UNITS},
        run_units=run_units,
        changes=dict(changes or {}),
    )
    for quantity in UNITS:
        result.scale(quantity)
    _check_sources(result, top)
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
    return _table(_opened(file.path, file.changes)[0], TABLES[name])


def _opened(path: str | Path, changes: Mapping[str, Any]) -> tuple[Table, RunUnits | None]:
    """The file, and the units of its run; what it states in them is converted."""
    top = with_values(read_toml(path), changes)
    units = read_units(_table(top, "units"))
    return with_reduced(top, units), units


def _box(top: Table) -> tuple[float, ...] | None:
    edges = top.quantities("box", "m", [])
    if "box" not in top:
        return None
    if len(edges) != 3 or not all(0 < edge < inf for edge in edges):
        raise InputError(f'{top.where("box")} must be three positive lengths, such as ["3 nm", "3 nm", "5 nm"]')
    return tuple(edges)


def _table(top: Table, key: str) -> Table:
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
    sources = [key for key in SOURCES if key in top]
    if sources and tables:
        raise InputError(f"{top.where(sources[0])} is given beside [[replica]] tables; give it in one place only")
    for_all = {key: top.data[key] for key in REPLICA_KEYS if key in top}
    replicas = []
    for table in tables or [Table({}, top.file)]:
        table.only(*REPLICA_KEYS)
        merged = Table({**for_all, **table.data}, top.file, table.name)
        source = merged.exactly_one(*SOURCES)
        if source == "trajectory" and "topology" not in merged:
            raise merged.error("topology", "is missing; give the file with the atoms and their masses")
        replicas.append(
            Replica(
                topology=merged.path("topology", None),
                trajectory=_files(merged, "trajectory"),
                topology_format=merged.string("topology_format", ""),
                trajectory_format=merged.string("trajectory_format", ""),
                atom_style=merged.string("atom_style", ""),
                cell=_beside(merged, "cell", "boxes", all_in_one=True),
                velocities=_beside(merged, "velocities", "velocities"),
                arrays=merged.path("arrays", None),
                octp=merged.path("octp", None),
                octp_self=merged.path("octp_self", None),
            )
        )
    return tuple(replicas)


def _files(table: Table, key: str) -> tuple[Path, ...]:
    value = table.data.get(key, [])
    names = [table.string(key)] if isinstance(value, str) else table.strings(key, [])
    if key in table and not names:
        raise table.error(key, "names no file; give one, or a list of files that follow one another")
    for name in names:
        if not (table.file.parent / name).is_file():
            raise InputError(f"{table.where(key)}: {name!r} names no file that exists")
    return tuple(table.file.parent / name for name in names)


def _beside(table: Table, key: str, what: str, *, all_in_one: bool = False) -> tuple[Path, ...]:
    """Files with what the trajectory files do not contain, one for each."""
    found, files = _files(table, key), _files(table, "trajectory")
    if found and not files:
        raise table.error(key, f"goes with trajectory, whose {what} it contains; leave it out")
    if all_in_one and len(found) == 1 < len(files):
        found *= len(files)  # CP2K appends to it after a restart
    if found and len(found) != len(files):
        one = "give one, or one for each" if all_in_one else "give one for each"
        raise table.error(key, f"names {len(found)} files and trajectory {len(files)}; {one}")
    return found


def _check_sources(file: SpeciesFile, top: Table) -> None:
    kinds = {kind for replica in file.replicas for kind in SOURCES if getattr(replica, kind)}
    for key, serves in SERVES.items():
        # A key that changes nothing is taken for one that was heeded: a trajectory in bohr was read as in angstrom.
        if key in top and not kinds & set(serves):
            raise InputError(
                f"{top.where(key)} goes with {' or '.join(serves)} and not with {' or '.join(sorted(kinds))}, "
                "whose format decides; leave it out"
            )
    units = _table(top, "units")
    for key in units:
        kind = "arrays" if key in UNITS else "trajectory"
        if kind not in kinds:
            raise InputError(
                f"{units.where(key)} goes with {kind} and not with {' or '.join(sorted(kinds))}; leave it out"
            )
    if file.timestep is not None and file.frame_interval is not None:
        raise InputError(f"{top.where('timestep')} and frame_interval both say when the frames were; give one of them")
    if file.every is not None and file.stride > 1:
        raise InputError(f"{top.where('every')} and stride both say which frames are used; give one of them")
    check_runs_differ(file)
    for replica in file.replicas:
        for species in file.species:
            name = species.name
            if replica.trajectory and not species.selection:
                raise InputError(f'{file.path}: species.{name}.selection is missing, for example "resname LI"')
            if replica.octp and (species.count is None or file.volume is None):
                raise InputError(f"{file.path}: an OCTP table needs volume, and a count for species {name}")


def check_runs_differ(file: SpeciesFile) -> None:
    """Refuse the same run given twice: it would be taken for two that agree, and every interval would narrow.

    Parameters
    ----------
    file : SpeciesFile
        With its replicas.

    Raises
    ------
    InputError
        Two files of the same content.
    """
    runs = [
        (number, path)
        for number, replica in enumerate(file.replicas, 1)
        for path in (*replica.trajectory, replica.arrays, replica.octp)
        if path is not None
    ]
    for (one, first), (other, second) in combinations(runs, 2):
        if _same_content(first, second):
            where = f"replica {one}" if one == other else f"replicas {one} and {other}"
            raise InputError(
                f"{file.path}: {first.name} and {second.name} of {where} contain the same run; give every run once"
            )


def _same_content(one: Path, other: Path) -> bool:
    """Whether two files are alike: in size and in their first, middle and last megabyte."""
    size = one.stat().st_size
    if other.stat().st_size != size or not size:
        return False
    if one.samefile(other):
        return True
    with one.open("rb") as left, other.open("rb") as right:
        for place in (0, size // 2, max(size - _SAMPLE, 0)):
            left.seek(place)
            right.seek(place)
            if left.read(_SAMPLE) != right.read(_SAMPLE):
                return False
    return True
