"""One pass over the frames of a replica, with any number of accumulators: bounded memory, resumable.

Every analysis beside transport (structure, residence, mobility, interface) is a set of *accumulators* that look at
one frame after the other. The contract is three methods (`Accumulator`):

- ``add(frame)`` takes one `Frame` in. The arrays of a frame are valid only during the call: copy what is kept.
- ``arrays()`` gives the whole state as numpy arrays by name, without having changed it.
- ``restore(arrays)`` puts that state into an accumulator made anew with the same settings.

`run_stream` opens each replica of a SPECIES.toml, asks `make(stream)` for its accumulators by name, feeds them every
used frame, and leaves a checkpoint now and then: a run that was killed goes on from there and ends with the same
numbers, bit for bit. What only needs the frames iterates over ``open_stream(file, number).frames()``.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, Progress
from mdcoeffs.frames.reading import ANGSTROM, DALTON
from mdcoeffs.frames.scratch import load_checkpoint, save_checkpoint
from mdcoeffs.frames.snapshots import ahead, convention, lengths, snapshots
from mdcoeffs.frames.unwrap import Molecules, box_matrix
from mdcoeffs.frames.walker import Frame, Raw, Walker
from mdcoeffs.inputs.arrays import labelled_molecules, load_arrays
from mdcoeffs.inputs.species import Species, SpeciesFile

log = logging.getLogger(__name__)


class Accumulator(Protocol):
    """What `run_stream` feeds; see the head of this module."""

    def add(self, frame: Frame) -> None:
        """Take one frame in."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The whole state."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A replica, opened: who is who, and its frames.

    Parameters
    ----------
    label : str
        Name of the run, for messages.
    species : tuple of Species
        In the order of the file.
    molecules : Molecules
        Which atoms make which molecule, which molecule belongs to which species; masses in dalton.
    n_atoms : int
        Atoms in a frame.
    n_frames : int
        Frames there are, an upper bound: start and stop may leave some out.
    has_masses : bool
        False for arrays without masses: then no drift is taken away.
    unwrapped : bool
        Stored positions (with their image flags) are unwrapped.
    identity : mapping
        What a checkpoint must agree with.
    universe : MDAnalysis.Universe or None
        For trajectories.
    source : callable
        Frames from running number `begin` on.
    """

    label: str
    species: tuple[Species, ...]
    molecules: Molecules
    n_atoms: int
    n_frames: int
    has_masses: bool
    unwrapped: bool
    identity: Mapping[str, Any]
    universe: Any
    source: Callable[[int], Iterator[Raw]] = field(repr=False)

    def number_of(self, name: str, where: str = "species") -> int:
        """Number of a species by its name.

        Raises
        ------
        InputError
            No such species; `where` says who asked.
        """
        names = [one.name for one in self.species]
        if name not in names:
            raise InputError(f"{where}: {name!r} is not a species here; allowed: {', '.join(names)}")
        return names.index(name)

    def molecules_of(self, name: str) -> Ints:
        """Numbers of the molecules of a species, (n,)."""
        return np.flatnonzero(self.molecules.species == self.number_of(name))

    def select(self, selection: str, where: str = "selection") -> Ints:
        """Indices of atoms, (n,): of a species by its name, or of a selection in MDAnalysis' language.

        Parameters
        ----------
        selection : str
            ``"Li"`` where Li is a species, or ``"resname EC and name O*"``.
        where : str
            Place in the file, for messages.

        Returns
        -------
        array of int (n,)
            In increasing order.

        Raises
        ------
        InputError
            No atoms, not understood, or a selection where there is no topology.
        """
        if selection in [one.name for one in self.species]:
            who = self.molecules
            kind = np.repeat(who.species, np.diff(who.first))
            return np.sort(who.atoms[kind == self.number_of(selection)])
        if self.universe is None:
            self.number_of(selection, where)
        from mdcoeffs.frames.trajectory import select

        return select(self.universe, selection, where)

    def molecule_of(self, atoms: Ints) -> Ints:
        """Number of the molecule of each of `atoms` (n,); -1 for sites that belong to none."""
        who = self.molecules
        owner = np.full(self.n_atoms, -1, dtype=np.int64)
        owner[who.atoms] = np.repeat(np.arange(who.count), np.diff(who.first))
        return owner[np.asarray(atoms, dtype=np.int64)]

    @property
    def molecule_masses(self) -> Array:
        """Mass of every molecule (molecules,) [kg]; masses of an array file are taken as kg."""
        who = self.molecules
        return np.asarray(who.masses[who.species] * who.share * DALTON)

    @property
    def charges(self) -> Array | None:
        """Partial charges of all atoms (atoms,) [elementary_charge]; None where the topology has none."""
        values = getattr(getattr(self.universe, "atoms", None), "charges", None) if self.universe is not None else None
        return None if values is None else np.asarray(values, dtype=np.float64)

    def walker(self, follow: str) -> Walker:
        """What turns raw frames of ``source`` into frames."""
        mass = self.molecule_masses
        bonds = None
        if follow and self.universe is not None:
            from mdcoeffs.frames.trajectory import bonds_of

            bonds = bonds_of(self.universe)
        return Walker(
            self.molecules, mass / mass.sum() if self.has_masses else np.zeros(mass.size), follow=follow,
            unwrapped=self.unwrapped, bonds=bonds,
        )  # fmt: skip

    def frames(self, *, unwrap: bool = False, whole: bool = False) -> Iterator[Frame]:
        """Every used frame.

        Parameters
        ----------
        unwrap : bool
            Also follow the molecules: fills ``centres``, ``relative`` and ``drift``.
        whole : bool
            Fill them without following the molecules: ``centres`` lie in the box, and frames may be far apart.

        Yields
        ------
        Frame

        Raises
        ------
        InputError
            A frame that cannot be used: order, NaN, no box to unwrap in, steps too long to unwrap.
        """
        walker = self.walker("unwrap" if unwrap else "whole" if whole else "")
        for raw in ahead(self.source(0)):
            yield walker.frame(raw)


def open_stream(file: SpeciesFile, number: int = 0) -> Stream:
    """Open replica `number` of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    number : int
        Which replica.

    Returns
    -------
    Stream

    Raises
    ------
    InputError
        Files that cannot be read, selections that do not fit, or a replica without positions.
    """
    replica = file.replicas[number]
    if replica.arrays is not None:
        return _open_arrays(file, replica.arrays)
    if not replica.trajectory:
        raise InputError(f"{replica.label}: this analysis needs positions: a trajectory, or arrays with positions")
    from mdcoeffs.frames.trajectory import fingerprint, molecules_of, open_replica

    universe, files = open_replica(replica, timestep=file.timestep)
    molecules = molecules_of(universe, file.species, ignore=file.ignore)
    total = sum(lengths(universe, files, file.stride))
    unwrapped, flags = convention(universe, files[0][0], file.coordinates)

    def source(begin: int) -> Iterator[Raw]:
        shots = snapshots(universe, files, file.stride, begin, file.timestep, file.frame_interval, flags)
        for count, label, time, positions, dimensions, images in shots:
            if _after(time, file):
                return
            if not _before(time, file):
                yield count, label, time, positions, box_matrix(dimensions), images

    return Stream(
        replica.label, file.species, molecules, len(universe.atoms), total, True, unwrapped,
        _identity(file, [fingerprint(path) for path, _ in files]), universe, source,
    )  # fmt: skip


def run_stream(
    file: SpeciesFile,
    make: Callable[[Stream], Mapping[str, Accumulator]],
    *,
    name: str,
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    unwrap: bool = False,
    whole: bool = False,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> list[Mapping[str, Any]]:
    """Feed every used frame of every replica to its accumulators.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    make : callable
        Called with the `Stream` of each replica; gives its accumulators by name.
    name : str
        Of the analysis; checkpoints are ``folder/checkpoint-NAME-REPLICA.npz`` and stay until
        :func:`remove_checkpoints` is called.
    folder : Path
        The output folder; must exist.
    settings : mapping, optional
        What the accumulators' numbers depend on, in plain values; a checkpoint with other settings is refused.
    unwrap, whole : bool
        As in :meth:`Stream.frames`.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica.

    Returns
    -------
    list of mapping
        One for each replica, as `make` gave it.

    Raises
    ------
    InputError
        As :meth:`Stream.frames`, or a checkpoint of another run.
    """
    done = []
    follow = "unwrap" if unwrap else "whole" if whole else ""
    for number in range(len(file.replicas)):
        stream = open_stream(file, number)
        parts = make(stream)
        identity = {**stream.identity, "settings": dict(settings or {}), "follow": follow, "parts": sorted(parts)}
        _run_one(
            stream, parts, folder / f"checkpoint-{name}-{number}.npz", identity, follow, checkpoint_every, progress
        )
        done.append(parts)
    return done


def remove_checkpoints(folder: Path, name: str) -> None:
    """Remove the checkpoints of an analysis, once its results are written."""
    for path in folder.glob(f"checkpoint-{name}-*.npz"):
        path.unlink(missing_ok=True)


def _run_one(
    stream: Stream,
    parts: Mapping[str, Accumulator],
    path: Path,
    identity: Mapping[str, Any],
    follow: str,
    every: float,
    progress: Progress | None,
) -> None:
    from mdcoeffs.frames.trajectory import logged_warnings

    walker = stream.walker(follow)
    begin = 0
    state = load_checkpoint(path, identity)
    if state is not None:
        begin = walker.restore(_part(state, "walker"))
        for key, part in parts.items():
            part.restore(_part(state, f"part.{key}"))
        log.info("%s: taking up the checkpoint after %d frames", stream.label, begin)
    saved = clock.monotonic()
    with logged_warnings() if stream.universe is not None else nullcontext():
        for raw in ahead(stream.source(begin)):
            frame = walker.frame(raw)
            for part in parts.values():
                part.add(frame)
            begin = raw[0] + 1
            if progress is not None:
                progress(begin, stream.n_frames)
            if clock.monotonic() - saved > every:
                _save(path, identity, walker, parts, begin)
                saved = clock.monotonic()
    if walker.used < 2:
        raise InputError(
            f"{stream.label}: {walker.used} frame(s) lie in the part of the run asked for; at least 2 are needed"
        )
    _save(path, identity, walker, parts, stream.n_frames)


def _save(
    path: Path, identity: Mapping[str, Any], walker: Walker, parts: Mapping[str, Accumulator], begin: int
) -> None:
    state = {f"walker.{k}": v for k, v in walker.arrays(begin).items()}
    for key, part in parts.items():
        state |= {f"part.{key}.{k}": v for k, v in part.arrays().items()}
    save_checkpoint(path, state, identity)


def _part(state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(prefix + ".")}


# ---- arrays -----------------------------------------------------------------------------------------------------


def _open_arrays(file: SpeciesFile, path: Path) -> Stream:
    data = load_arrays(path)
    if "positions" not in data:
        raise InputError(f"{path.name}: this analysis needs positions and labels, not summed displacements R")
    positions = data["positions"]
    try:
        molecules, masses = labelled_molecules(file, data, positions.shape)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    time: Array = np.asarray(data["time"], dtype=np.float64).ravel() * file.scale("time")
    if file.frame_interval is not None:
        time = np.arange(time.size, dtype=np.float64) * file.frame_interval
    box = np.asarray(data["box"], dtype=np.float64) if "box" in data else None
    if len(time) != len(positions) or (box is not None and box.shape not in ((3, 3), (len(time), 3, 3))):
        raise InputError(
            f"{path.name}: {len(positions)} frames of positions need as many times, and a box (3, 3) or one per frame"
        )
    if masses is not None:
        molecules = replace(molecules, masses=np.array(masses) / DALTON)
    scale = file.scale("position") / ANGSTROM
    keep = [k for k, t in enumerate(time) if not (_before(t, file) or _after(t, file))][:: file.stride]

    def source(begin: int) -> Iterator[Raw]:
        for count in range(begin, len(keep)):
            k = keep[count]
            here = None if box is None else (box[k] if box.ndim == 3 else box) * scale
            yield count, path.name, float(time[k]), positions[k] * scale, here, None

    status = path.stat()
    return Stream(
        path.name, file.species, molecules, positions.shape[1], len(keep), masses is not None,
        file.coordinates == "unwrapped" or (file.coordinates == "auto" and box is None),
        _identity(file, [[path.name, status.st_size, status.st_mtime_ns]]), None, source,
    )  # fmt: skip


def _identity(file: SpeciesFile, prints: list[list[Any]]) -> dict[str, Any]:
    return {
        "species": [repr(one) for one in file.species], "trajectory": prints,
        "options": [file.coordinates, file.timestep, file.frame_interval, file.start, file.stop, file.stride,
                    file.ignore, dict(file.units)],
    }  # fmt: skip


def _before(time: float, file: SpeciesFile) -> bool:
    return file.start is not None and time < file.start - 1e-9 * abs(file.start)


def _after(time: float, file: SpeciesFile) -> bool:
    return file.stop is not None and time > file.stop + 1e-9 * abs(file.stop)
