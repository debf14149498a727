"""Trajectories to summed displacements: one pass, bounded memory; the only module that imports MDAnalysis.

A trajectory is read once, frame by frame: molecules are made whole and unwrapped (`mdcoeffs.frames.unwrap`), their
displacements summed over each species, the drift of the total momentum measured and taken away. The paths of single
ions, needed only for the self part, go to a store with a cap on memory (`mdcoeffs.frames.scratch`). A checkpoint lets a
reading that was killed go on where it was.
"""

from __future__ import annotations

import logging
import time as clock
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import MDAnalysis as mda
import numpy as np
from MDAnalysis.exceptions import NoDataError, SelectionError
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Progress
from mdcoeffs.frames.reading import ANGSTROM, PICOSECOND, Reading, Record, finish, restore, save
from mdcoeffs.frames.scratch import load_checkpoint, open_store
from mdcoeffs.frames.snapshots import BAD_FILE, ahead, brief, convention, lengths, load, snapshots
from mdcoeffs.frames.topology import Selected, sort_molecules, whole_molecules
from mdcoeffs.frames.unwrap import Molecules, Track, advance, box_matrix, tracer_offsets
from mdcoeffs.inputs.files import dump_columns, topology_format
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile

log = logging.getLogger(__name__)


def open_replica(replica: Replica, *, timestep: float | None = None) -> tuple[Any, tuple[Any, ...]]:
    """Open topology and trajectory files.

    Parameters
    ----------
    replica : Replica
        The files and, where their names do not tell, their formats.
    timestep : float, optional
        MD time step [s]; LAMMPS dumps number their frames in steps.

    Returns
    -------
    universe : MDAnalysis.Universe
        With the first trajectory file loaded.
    files : tuple
        Arguments of ``universe.load_new``, one (path, keywords) per trajectory file.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    if replica.topology is None:
        raise InputError(f"{replica.label}: a trajectory needs a topology")
    options: dict[str, Any] = {"topology_format": replica.topology_format or topology_format(replica.topology)}
    if replica.atom_style:
        options["atom_style"] = replica.atom_style
    files = tuple((path, _reader_options(path, replica, timestep)) for path in replica.trajectory)
    with logged_warnings():
        try:
            universe = mda.Universe(str(replica.topology), **{k: v for k, v in options.items() if v})
        except BAD_FILE as error:
            raise InputError(f"{replica.topology}: cannot be read as a topology ({brief(error)})") from error
        load(universe, *files[0])
    return universe, files


def molecules_of(universe: Any, species: Sequence[Species], *, ignore: str = "") -> Molecules:
    """Sort the atoms into molecules and the molecules into species.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology with masses.
    species : sequence of Species
        Selections, and how atoms make molecules.
    ignore : str
        Selection of massless sites that belong to no species.

    Returns
    -------
    Molecules
        Masses in dalton.

    Raises
    ------
    InputError
        Selections that are empty, overlap, miss atoms or cut molecules; masses that are not positive.
    """
    ignored = select(universe, ignore, "ignore") if ignore else None
    parts = [_selected(universe, one) for one in species]
    return sort_molecules(parts, _masses(universe), lambda atom: _describe(universe, atom), ignored=ignored)


def read_trajectory(
    universe: Any,
    species: Sequence[Species],
    *,
    temperature: float,
    files: Sequence[Any] = (),
    coordinates: str = "auto",
    timestep: float | None = None,
    frame_interval: float | None = None,
    start: float | None = None,
    stop: float | None = None,
    stride: int = 1,
    ignore: str = "",
    volume: float | None = None,
    self_part: str = "ions",
    memory: float = 1e9,
    folder: Path | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> Reading:
    """Read a trajectory once: displacements summed over each species, unwrapped, drift taken away.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology and trajectory.
    species : sequence of Species
        What is what; must cover every atom.
    temperature : float
        Temperature [K].
    files : sequence, optional
        Trajectory files in their order, as :func:`open_replica` returns them; the loaded one when left out.
    coordinates : {"auto", "wrapped", "unwrapped"}
        "auto": unwrapped where the file says so (LAMMPS image flags or xu yu zu), else wrapped.
    timestep : float, optional
        MD time step for files that number their frames in steps [s].
    frame_interval : float, optional
        Time between stored frames; overrides the file [s].
    start, stop : float, optional
        Part of the run to use [s].
    stride : int
        Use every stride-th frame.
    ignore : str
        Selection of massless sites.
    volume : float, optional
        Volume, where the file has no box [m^3].
    self_part : {"ions", "all", "none"}
        Whose single-particle paths are kept.
    memory : float
        Cap on what is kept in memory for them [byte].
    folder : Path, optional
        Folder of the scratch file; the present one when left out.
    checkpoint : Path, optional
        Where to leave a checkpoint, and to look for one.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    Reading

    Raises
    ------
    InputError
        Any of the ways a trajectory can be bad: one sentence, never a silent number.
    """
    molecules = molecules_of(universe, species, ignore=ignore)
    files = list(files) or [(None, {})]
    total = sum(lengths(universe, files, stride))
    unwrapped, flags = convention(universe, files[0][0], coordinates)
    kept = np.flatnonzero(np.isin(molecules.species, [
        k for k, one in enumerate(species) if self_part == "all" or (self_part == "ions" and one.role != "solvent")
    ]))  # fmt: skip
    identity = {
        "species": [repr(one) for one in species], "trajectory": [fingerprint(path) for path, _ in files],
        "atoms": len(universe.atoms),
        "options": [coordinates, timestep, frame_interval, start, stop, stride, self_part],
    }  # fmt: skip
    state = load_checkpoint(checkpoint, identity) if checkpoint is not None else None
    folder = Path() if folder is None else folder
    store = None
    if kept.size:
        store = open_store(kept.size, total, memory=memory, folder=folder, resume=state is not None,
                           on_disk=checkpoint is not None)  # fmt: skip
    track, record = Track.empty(molecules), Record.empty(total, len(species))
    begin = restore(state, track, record) if state is not None else 0
    offset = state["offset"] if state is not None else np.zeros((molecules.count, 3))
    saved = clock.monotonic()
    with logged_warnings():
        for number, label, time, positions, dimensions, images in ahead(
            snapshots(universe, files, stride, begin, timestep, frame_interval, flags)
        ):
            if (start is not None and time < start * (1 - 1e-9)) or (stop is not None and time > stop * (1 + 1e-9)):
                continue
            record.check_order(time, label, number * stride)
            box = box_matrix(dimensions)
            if box is None and not unwrapped:
                raise InputError(
                    f"{label}: frame {number * stride} has no box, so wrapped positions cannot be unwrapped; give a "
                    f'trajectory with its box, or coordinates = "unwrapped" and volume if it is unwrapped'
                )
            first = record.used == 0
            if first and box is not None and not unwrapped:
                track.relative[:] = whole_molecules(molecules, positions, box, bonds_of(universe))
            try:
                longest = advance(molecules, track, positions, box, images=images, known=unwrapped, start=first)
            except InputError as error:
                raise InputError(f"{label}: frame {number * stride}: {error}") from error
            if first:
                offset = tracer_offsets(molecules, track)
            if store is not None:
                path = track.displacement + tracer_offsets(molecules, track) - offset
                store.put(record.used, path[kept] * ANGSTROM)
            record.add(time, track.summed, 0.0 if box is None else float(np.prod(np.diagonal(box))), longest)
            if progress is not None:
                progress(number + 1, total)
            if checkpoint is not None and clock.monotonic() - saved > checkpoint_every:
                save(checkpoint, identity, track, record, offset, store, number + 1)
                saved = clock.monotonic()
    if checkpoint is not None:
        save(checkpoint, identity, track, record, offset, store, total)
    return finish(record, molecules, species, temperature, volume, store, kept, begin)


def read_replica(file: SpeciesFile, number: int, **options: Any) -> Reading:
    """Read replica `number` of a SPECIES.toml; `options` go to :func:`read_trajectory`.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    number : int
        Which replica.
    **options
        ``folder``, ``checkpoint``, ``checkpoint_every``, ``progress``.

    Returns
    -------
    Reading

    Raises
    ------
    InputError
        As :func:`read_trajectory`.
    """
    replica = file.replicas[number]
    universe, files = open_replica(replica, timestep=file.timestep)
    reading = read_trajectory(
        universe, file.species, temperature=file.temperature, files=files, coordinates=file.coordinates,
        timestep=file.timestep, frame_interval=file.frame_interval, start=file.start, stop=file.stop,
        stride=file.stride, ignore=file.ignore, volume=file.volume, self_part=file.self_part, memory=file.memory,
        **options,
    )  # fmt: skip
    return reading


# ---- topology ---------------------------------------------------------------------------------------------------


def _selected(universe: Any, one: Species) -> Selected:
    where = f"species.{one.name}"
    index = select(universe, one.selection, where)
    tracer = None if one.centre == "mass" else select(universe, one.centre, f"{where}.centre")
    if one.molecule == "atom":
        return Selected(one, index, index, None, tracer)
    try:
        if one.molecule == "fragment":
            if not len(universe.bonds):
                raise NoDataError("no bonds")
            whole = np.asarray(universe.atoms.fragindices, dtype=np.int64)
            return Selected(one, index, whole[index], np.bincount(whole)[whole[index]], tracer)
        atoms = universe.atoms[index]
        key = atoms.resindices if one.molecule == "residue" else atoms.molnums
    except (NoDataError, AttributeError) as error:
        missing = "bonds" if one.molecule == "fragment" else "molecule numbers"
        raise InputError(
            f'{where}: the topology has no {missing}, so molecule = "{one.molecule}" is not possible; choose '
            f'"residue" or "atom"'
        ) from error
    return Selected(one, index, np.asarray(key, dtype=np.int64), None, tracer)


def select(universe: Any, selection: str, where: str) -> NDArray[np.int64]:
    """Indices of the atoms of a selection; `where` is its place in the file, for messages."""
    try:
        index = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{where}: selection {selection!r} is not understood ({brief(error)})") from error
    if not index.size:
        raise InputError(f"{where}: selection {selection!r} selects no atoms")
    return np.asarray(index, dtype=np.int64)


def _masses(universe: Any) -> Array:
    try:
        mass = np.array(universe.atoms.masses, dtype=float)
    except NoDataError as error:
        raise InputError("the topology has no masses and they cannot be guessed; use a topology with masses") from error
    return np.nan_to_num(mass, nan=0.0)


def bonds_of(universe: Any) -> NDArray[np.int64] | None:
    """Bonded pairs (bonds, 2), or None where the topology has none."""
    try:
        return np.asarray(universe.bonds.indices, dtype=np.int64)
    except (NoDataError, AttributeError):
        return None


def _describe(universe: Any, atom: int) -> str:
    one = universe.atoms[atom]
    for name in ("resname", "type", "name"):
        value = getattr(one, name, "")
        if value:
            return f"{name} {value}"
    return "no name"


# ---- files ------------------------------------------------------------------------------------------------------


def _reader_options(path: Path, replica: Replica, timestep: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"format": replica.trajectory_format} if replica.trajectory_format else {}
    columns = dump_columns(path)
    if columns:
        options["format"] = "LAMMPSDUMP"
        options["dt"] = 1.0 if timestep is None else timestep / PICOSECOND
        if {"ix", "iy", "iz"} <= set(columns):
            options["additional_columns"] = ["ix", "iy", "iz"]
    return options


def fingerprint(path: Path | None) -> list[Any]:
    """Name, size and time of change of a file: enough to tell that a checkpoint is of another one."""
    if path is None:
        return ["memory"]
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Warnings of the reader go to the log, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for text in dict.fromkeys(" ".join(str(one.message).split()) for one in caught):
        log.info("reader: %s", text)
