"""SYSTEM.toml: the electrolyte that ``mdcoeffs simulate`` makes, its state points and how long each is run.

``docs/engine.md`` lists every key. Values with a dimension are strings with a unit; unknown keys are errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from cellsim.base import N_A, InputError
from cellsim.files.folder import values_hash
from cellsim.files.schema import Table, read_toml

T = TypeVar("T")

FORMAT = 1
"""Version of what a run means; part of every content hash."""
THERMOSTATS = ("nose-hoover", "dpd", "none")
VALUES = ("title", "temperature", "relative_permittivity", "charge_scaling", "well_depth", "cutoff")
TABLES = ("species", "volumes", "thermostat", "run", "state", "field")
SPECIES_KEYS = ("role", "charge", "mass", "diameter", "well_depth", "model")
RUN_KEYS = ("timestep", "equilibration", "production", "frame_interval", "positions_interval", "replicas", "seed")
FIELD_KEYS = ("states", "strengths", "production", "replicas")
ROLES = ("cation", "anion", "solvent")
MODELS = ("spc/e",)
"""Molecules of several sites that a solvent can be."""
_SPCE = {"mass": 18.0154e-3, "diameter": 3.166e-10, "well_depth": 650.2}
LARGEST_SCALING = 2.0
"""Of the charges; beyond it ions stick together and the time step is too long."""
LONGEST = 10**10
"""Most time steps of one run."""


@dataclass(frozen=True)
class Particle:
    """One species of charged spheres.

    Parameters
    ----------
    name : str
        Name, as in the TOML table.
    role : str
        ``"cation"``, ``"anion"`` or ``"solvent"``.
    z : int
        Charge number.
    mass : float
        Molar mass [kg/mol].
    diameter : float
        Lennard-Jones diameter; between unlike species the mean of the two [m].
    well_depth : float, optional
        Its own Lennard-Jones depth, geometric mean between unlike species; that of the system when left out [J/mol].
    model : str, optional
        One of `MODELS`; a sphere when left out.
    """

    name: str
    role: str
    z: int
    mass: float
    diameter: float
    well_depth: float | None = None
    model: str | None = None


@dataclass(frozen=True)
class StatePoint:
    """Everything that decides one run; SI.

    Parameters
    ----------
    state : str
        Name of the concentration.
    species : tuple of Particle
        Cation, anion, then the solvents in the order of the file.
    counts : tuple of int
        Number of particles of each species.
    volume : float
        Volume of the cubic box [m^3].
    temperature : float
        Temperature [K].
    permittivity : float
        Relative permittivity of the medium the charges sit in [1].
    well_depth : float
        Depth of the Lennard-Jones well of the species that have none of their own [J/mol].
    cutoff : float
        Range of the Lennard-Jones force and of the direct part of particle-mesh Ewald [m].
    thermostat : str
        One of `THERMOSTATS`.
    thermostat_time : float
        Its time constant; friction 1/time for DPD [s].
    timestep : float
        Time step [s].
    equilibration : int
        Steps before frame 0.
    frame_every : int
        Steps between frames of the summed displacements.
    positions_every : int
        Steps between stored positions; 0 for none.
    seed : int
        Seed of the start.
    replica : int
        Number of the replica.
    field : float
        Applied field along x [V/m].
    frames : int
        Frames after frame 0 that are asked for; the one entry that is not part of the content hash, since a longer
        run goes on where a shorter one ended.
    charge_scaling : float
        Factor on the charges of the ions where they act on one another and on a solvent, not in a field or in a
        current [1].
    """

    state: str
    species: tuple[Particle, ...]
    counts: tuple[int, ...]
    volume: float
    temperature: float
    permittivity: float
    well_depth: float
    cutoff: float
    thermostat: str
    thermostat_time: float
    timestep: float
    equilibration: int
    frame_every: int
    positions_every: int
    seed: int
    replica: int = 0
    field: float = 0.0
    frames: int = 0
    charge_scaling: float = 1.0

    @property
    def label(self) -> str:
        """Folder of the run below that of its state, ``r0`` or ``E0.03_r0`` (field in V/nm)."""
        return f"r{self.replica}" if self.field == 0 else f"E{self.field * 1e-9:.6g}_r{self.replica}"

    @property
    def steps(self) -> int:
        """Steps of the production."""
        return self.frames * self.frame_every

    @property
    def z(self) -> tuple[int, ...]:
        """Charge numbers of the species."""
        return tuple(particle.z for particle in self.species)

    @property
    def masses(self) -> tuple[float, ...]:
        """Mass of one particle of each species [kg]."""
        return tuple(particle.mass / N_A for particle in self.species)

    @property
    def frame_interval(self) -> float:
        """Time between frames [s]."""
        return self.frame_every * self.timestep

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the run but its length."""
        inputs = asdict(replace(self, frames=0)) | {"format": FORMAT}
        if self.charge_scaling == 1:  # so that runs from before there was a scaling are found again
            del inputs["charge_scaling"]
        inputs["species"] = [{k: v for k, v in particle.items() if v is not None} for particle in inputs["species"]]
        return values_hash(inputs)


@dataclass(frozen=True)
class SystemFile:
    """A SYSTEM.toml, read and checked.

    Parameters
    ----------
    path : Path
        The file.
    title : str
        For figures and tables.
    points : tuple of StatePoint
        All runs without a field: states times replicas.
    field_points : tuple of StatePoint
        All runs in a field.
    text : str
        The file verbatim.
    """

    path: Path
    title: str
    points: tuple[StatePoint, ...]
    field_points: tuple[StatePoint, ...]
    text: str

    @property
    def all_points(self) -> tuple[StatePoint, ...]:
        """Every run, those without a field first."""
        return self.points + self.field_points


def read_system(path: str | Path) -> SystemFile:
    """Read a SYSTEM.toml.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    SystemFile

    Raises
    ------
    InputError
        Unreadable TOML, unknown or missing keys, values out of bounds, a box too small for the cutoff.
    """
    top = read_toml(path)
    top.only(*VALUES, *TABLES)
    species = _species(top)
    basis = _basis(top, species)
    states = _states(top, species, basis)
    run = top.table("run")
    frames = _steps(run, "production", basis.timestep) // basis.frame_every
    if frames < 1:
        raise run.error("production", "is shorter than frame_interval")
    replicas = run.integer("replicas", 1, least=1)
    points = tuple(
        replace(state, replica=k, frames=frames, seed=basis.seed + k)
        for state, table in zip(states, top.tables("state"), strict=True)
        for k in range(table.integer("replicas", replicas, least=1))
    )
    return SystemFile(
        Path(path), top.string("title", Path(path).stem), points, _field_points(top, states, basis, frames), top.text
    )


def _species(top: Table) -> tuple[Particle, ...]:
    tables = top.table("species")
    by_role: dict[str, list[Particle]] = {role: [] for role in ROLES}
    for name in tables:
        entry = tables.table(name)
        entry.only(*SPECIES_KEYS)
        role = entry.choice("role", ROLES)
        z = entry.integer("charge", 0) if role == "solvent" else entry.integer("charge")
        if (role == "cation" and z <= 0) or (role == "anion" and z >= 0) or (role == "solvent" and z != 0):
            raise entry.error("charge", f"does not fit role = {role!r} (cation > 0, anion < 0, solvent 0)")
        if role != "solvent" and by_role[role]:
            first = by_role[role][0].name
            raise entry.error("role", f"is taken by species {first}; one cation, one anion, one solvent or more")
        if "model" in entry:
            by_role[role].append(_molecule(entry, name, role))
            continue
        mass, diameter = entry.quantity("mass", "kg/mol", above=0), entry.quantity("diameter", "m", above=0)
        depth = entry.quantity("well_depth", "J/mol", None, above=0)
        by_role[role].append(Particle(name, role, z, mass, diameter, depth))
    missing = [role for role in ROLES if not by_role[role]]
    if missing:
        raise InputError(
            f"{top.where('species')} has no {missing[0]}; one cation, one anion and at least one solvent are needed"
        )
    return tuple(particle for role in ROLES for particle in by_role[role])


def _molecule(entry: Table, name: str, role: str) -> Particle:
    model = entry.choice("model", MODELS)
    if role != "solvent":
        raise entry.error("model", "is for a solvent; ions are spheres")
    entry.only("role", "charge", "model")
    return Particle(name, role, 0, _SPCE["mass"], _SPCE["diameter"], _SPCE["well_depth"], model)


def _basis(top: Table, species: tuple[Particle, ...]) -> StatePoint:
    """What all runs of the file share; counts, volume, replica and field are filled in later."""
    run, heat = top.table("run"), top.table("thermostat", {})
    run.only(*RUN_KEYS)
    heat.only("kind", "time")
    timestep = run.quantity("timestep", "s", above=0)
    frame = _steps(run, "frame_interval", timestep)
    if frame < 1:
        raise run.error("frame_interval", "is shorter than the timestep")
    stored = _steps(run, "positions_interval", timestep) if "positions_interval" in run else 0
    if stored and (stored < frame or stored % frame):
        raise run.error("positions_interval", f"must be a multiple of frame_interval, {run.data['frame_interval']}")
    return StatePoint(
        state="",
        species=species,
        counts=(0,) * len(species),
        volume=0.0,
        temperature=top.quantity("temperature", "K", above=0),
        permittivity=top.number("relative_permittivity", least=1.0),
        charge_scaling=_scaling(top, 1.0),
        well_depth=_well_depth(top, species),
        cutoff=top.quantity("cutoff", "m", above=0),
        thermostat=heat.choice("kind", THERMOSTATS, "nose-hoover"),
        thermostat_time=heat.quantity("time", "s", 1e-12, above=0),
        timestep=timestep,
        equilibration=_steps(run, "equilibration", timestep),
        frame_every=frame,
        positions_every=stored,
        seed=run.integer("seed", 1, least=1),
    )


def _scaling(table: Table, default: float) -> float:
    return table.number("charge_scaling", default, least=0.0, most=LARGEST_SCALING)


def _well_depth(top: Table, species: tuple[Particle, ...]) -> float:
    if all(particle.well_depth is not None for particle in species):
        return top.quantity("well_depth", "J/mol", 0.0, above=0)
    return top.quantity("well_depth", "J/mol", above=0)


def _steps(table: Table, key: str, timestep: float) -> int:
    time = table.quantity(key, "s", least=0)
    steps = round(time / timestep)
    if steps > LONGEST:
        raise table.error(key, f"is {time / timestep:.3g} time steps, allowed are at most {LONGEST:.0e}")
    if abs(steps * timestep - time) > 1e-6 * time:
        raise table.error(key, f"is not a multiple of the timestep, {timestep * 1e15:g} fs")
    return steps


def _states(top: Table, species: tuple[Particle, ...], basis: StatePoint) -> tuple[StatePoint, ...]:
    volumes = top.table("volumes")
    volumes.only("V_e", "V_0", "source")
    V_e = volumes.quantity("V_e", "m^3/mol", least=0) / N_A
    cation, anion, *solvents = species
    names = [solvent.name for solvent in solvents]
    if len(names) == 1:
        V_0 = np.array([volumes.quantity("V_0", "m^3/mol", above=0)]) / N_A
    else:
        V_0 = np.array(_of_each(volumes, "V_0", names, lambda of, name: of.quantity(name, "m^3/mol", above=0))) / N_A
    divisor = math.gcd(cation.z, anion.z)
    nu = (-anion.z // divisor, cation.z // divisor)
    tables = top.tables("state")
    if not tables:
        raise InputError(f"{top.where('state')} is missing; add [[state]] tables with salt and solvent, in particles")
    states: list[StatePoint] = []
    for number, table in enumerate(tables, start=1):
        table.only("name", "salt", "solvent", "replicas", "charge_scaling")
        name = table.string("name", f"c{number}")
        if not name.replace("_", "").replace("-", "").isalnum() or name in [state.state for state in states]:
            raise table.error("name", "must be a folder name of its own: letters, digits, - and _")
        salt = table.integer("salt", least=1)
        if len(names) == 1:
            each = [table.integer("solvent", least=1)]
        else:
            each = _of_each(table, "solvent", names, lambda of, name: of.integer(name, least=1))
        volume = float(salt * V_e + np.array(each) @ V_0)
        if volume ** (1 / 3) < 2 * basis.cutoff:
            raise InputError(
                f"{table.where()}: the box is {volume ** (1 / 3) * 1e9:.3g} nm wide, at least twice the cutoff of "
                f"{basis.cutoff * 1e9:g} nm is needed; use more particles"
            )
        counts = (salt * nu[0], salt * nu[1], *each)
        scaling = _scaling(table, basis.charge_scaling)
        states.append(replace(basis, state=name, counts=counts, volume=volume, charge_scaling=scaling))
    return tuple(states)


def _of_each(table: Table, key: str, names: Sequence[str], read: Callable[[Table, str], T]) -> list[T]:
    """A value for each of several solvents, stated as a table by name."""
    if not isinstance(table.data.get(key), dict):
        raise table.error(key, f"must be a table with a value for each of the solvents {', '.join(names)}")
    given = table.table(key)
    given.only(*names)
    return [read(given, name) for name in names]


def _field_points(top: Table, states: Sequence[StatePoint], basis: StatePoint, frames: int) -> tuple[StatePoint, ...]:
    """Runs of [field], or of every [[field]], in the order of the states."""
    single = isinstance(top.data.get("field"), dict)
    points: list[StatePoint] = []
    for table in [top.table("field")] if single else top.tables("field"):
        new = _points_in(table, states, basis, frames)
        both = {(point.state, point.field) for point in points} & {(point.state, point.field) for point in new}
        if both:
            name, E = min(both)
            raise table.error("strengths", f"gives {E * 1e-9:g} V/nm for state {name} a second time; use replicas")
        points += new
    order = [state.state for state in states]
    return tuple(sorted(points, key=lambda point: order.index(point.state)))


def _points_in(table: Table, states: Sequence[StatePoint], basis: StatePoint, frames: int) -> list[StatePoint]:
    table.only(*FIELD_KEYS)
    names = [state.state for state in states]
    wanted = table.strings("states", names)
    for name in wanted:
        if name not in names:
            raise InputError(f"{table.where('states')}: {name!r} is not a state here; allowed: {', '.join(names)}")
    strengths = table.quantities("strengths", "V/m")
    if not strengths or any(E <= 0 for E in strengths) or len(set(strengths)) != len(strengths):
        raise table.error("strengths", 'must be different positive fields, for example ["0.03 V/nm", "0.06 V/nm"]')
    if "production" in table:
        frames = _steps(table, "production", basis.timestep) // basis.frame_every
        if frames < 1:
            raise table.error("production", "is shorter than frame_interval")
    replicas = table.integer("replicas", 1, least=1)
    return [
        replace(state, replica=k, frames=frames, field=E, seed=basis.seed + 1000 + k, positions_every=0)
        for state in states
        if state.state in wanted
        for E in strengths
        for k in range(replicas)
    ]
