"""One pass over the snapshots of a replica, with any number of accumulators: bounded memory, resumable.

Every analysis is a set of *accumulators* that look at one snapshot after the other. The contract (`Accumulator`):

- ``follow`` says what is needed of the molecules: ``""`` nothing, ``"whole"`` made whole, ``"unwrap"`` also unwrapped.
- ``add(snapshot)`` takes one `Snapshot` in. Its arrays are valid only during the call: copy what is kept.
- ``arrays()`` gives the whole state as numpy arrays by name, without having changed it.
- ``restore(arrays)`` puts that state into an accumulator made anew with the same settings.

`feed` gives every used snapshot of a replica to its accumulators and leaves a checkpoint now and then: a run that was
killed goes on from there and ends with the same numbers, bit for bit. What only needs the snapshots iterates over
``open_stream(file, number).snapshots()``.
"""

from __future__ import annotations

import json
import logging
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, Progress
from cellsim.files.reading import read_arrays
from cellsim.files.writing import write_arrays
from mdcoeffs.frames.molecules import Molecules, check_density
from mdcoeffs.frames.snapshot import ANGSTROM, DALTON, FOLLOW, Snapshot, Stored, Walker, used_frames, used_snapshots
from mdcoeffs.inputs.arrays import (
    array_names,
    check_counts,
    check_masses,
    check_volume,
    labels_and_masses,
    load_arrays,
    times_of,
    volume_of,
)
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile

log = logging.getLogger(__name__)

_REFUSED = "-refused"


class Accumulator(Protocol):
    """What `feed` feeds; see the head of this module."""

    follow: str

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The whole state."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A replica, opened: which atoms are what, and its snapshots.

    Parameters
    ----------
    label : str
        Name of the run, for messages.
    file : SpeciesFile
        Species, and which snapshots are used.
    molecules : Molecules
        Which atoms make which molecule, which molecule belongs to which species; masses in dalton.
    n_atoms : int
        Atoms in a snapshot.
    n_frames : int
        Snapshots there are, an upper bound: start and stop may leave some out.
    has_masses : bool
        False for arrays without masses: then no drift is taken away.
    unwrapped : bool
        Stored positions (with their image flags) are unwrapped.
    volume : float or None
        As the files say beside the box, which says it otherwise [m^3].
    paths : tuple of Path
        The files it is read from; empty where it is in memory.
    universe : MDAnalysis.Universe or None
        For trajectories.
    source : callable
        Stored snapshots from running number `begin` on.
    scratch : Path
        Folder for scratch files, may have to be made.
    notes : tuple of str
        What was left out of the files, a sentence each.
    """

    label: str
    file: SpeciesFile
    molecules: Molecules
    n_atoms: int
    n_frames: int
    has_masses: bool
    unwrapped: bool
    volume: float | None
    paths: tuple[Path, ...]
    universe: Any
    source: Callable[[int], Iterator[Stored]] = field(repr=False)
    scratch: Path = Path()
    notes: tuple[str, ...] = ()

    @property
    def species(self) -> tuple[Species, ...]:
        """In the order of the file."""
        return self.file.species

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        f = self.file
        options = [f.coordinates, f.timestep, f.frame_interval, f.start, f.stop, f.stride, f.ignore, dict(f.units)]
        options += [True] if f.drop_repeated else []
        options += [f.cut_last_frame] if f.cut_last_frame != "refuse" else []
        options += [repr(f.box)] if f.box is not None else []
        options += [repr(each) for each in (f.every, f.run_units) if each is not None]
        species, files = [repr(each) for each in f.species], [_fingerprint(path) for path in self.paths]
        return {"species": species, "trajectory": files, "options": options}

    def number_of(self, name: str, where: str = "species") -> int:
        """Number of a species by its name.

        Raises
        ------
        InputError
            No such species; `where` says who asked.
        """
        names = [species.name for species in self.species]
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
        molecules = self.molecules
        if selection in [species.name for species in self.species]:
            kind = molecules.species[molecules.owner]
            return np.sort(molecules.atoms[kind == self.number_of(selection)])
        if self.universe is None:
            self.number_of(selection, where)
        from mdcoeffs.frames.topology import select

        return select(self.universe, selection, where)

    def molecule_of(self, atoms: Ints) -> Ints:
        """Number of the molecule of each of `atoms` (n,); -1 for sites that belong to none."""
        return self._of_atoms(self.molecules.owner)[np.asarray(atoms, dtype=np.int64)]

    def places_of(self, atoms: Ints) -> Ints:
        """Place of each of `atoms` (n,) in ``molecules.atoms``; -1 for sites that belong to no molecule."""
        return self._of_atoms(np.arange(self.molecules.atoms.size))[np.asarray(atoms, dtype=np.int64)]

    def _of_atoms(self, values: Ints) -> Ints:
        """Values given in the order of ``molecules.atoms``, in the order of the atoms; -1 for the others."""
        by_atom = np.full(self.n_atoms, -1, dtype=np.int64)
        by_atom[self.molecules.atoms] = values
        return by_atom

    @property
    def molecule_masses(self) -> Array:
        """Mass of every molecule (molecules,) [kg]; masses of an array file are taken as kg."""
        molecules = self.molecules
        return np.asarray(molecules.masses[molecules.species] * molecules.share * DALTON)

    @property
    def charges(self) -> Array | None:
        """Partial charges of all atoms (atoms,) [elementary_charge]; None where the topology has none."""
        values = getattr(getattr(self.universe, "atoms", None), "charges", None) if self.universe is not None else None
        return None if values is None else np.asarray(values, dtype=np.float64)

    def check_density(self, volume: float | None = None) -> None:
        """Refuse a box that is in another unit than was said, by what it holds; `volume`: of a snapshot [m^3]."""
        box, volume = volume, self.volume if volume is None else volume
        if volume is None:
            return
        masses = [species.mass for species in self.species]
        mass = None
        if self.universe is not None:
            mass = float(self.molecule_masses.sum())
        elif None not in masses:
            mass = sum(n * m for n, m in zip(self.molecules.counts, masses, strict=True) if m is not None)
        try:
            if self.volume is not None and box is not None:
                check_volume(self.volume, box, "the box")
            check_density(self.species, self.molecules.counts, volume, mass)
        except InputError as error:
            raise InputError(f"{self.label}: {error}") from error

    def walker(self, follow: str) -> Walker:
        """What turns the snapshots of ``source`` into snapshots to work with."""
        mass = self.molecule_masses
        share = mass / mass.sum() if self.has_masses else np.zeros(mass.size)
        bonds = None
        if follow and self.universe is not None:
            from mdcoeffs.frames.topology import bonds_of

            bonds = bonds_of(self.universe)
        return Walker(self.molecules, share, follow=follow, unwrapped=self.unwrapped, bonds=bonds)

    def snapshots(self, follow: str = "") -> Iterator[Snapshot]:
        """Every used snapshot.

        Parameters
        ----------
        follow : str
            One of `mdcoeffs.frames.snapshot.FOLLOW`.

        Yields
        ------
        Snapshot

        Raises
        ------
        InputError
            A snapshot that cannot be used: order, NaN, no box to unwrap in, steps too long to unwrap.
        """
        walker = self.walker(follow)
        for stored in self._stored(0):
            yield walker.snapshot(stored)

    def _stored(self, begin: int) -> Iterator[Stored]:
        from mdcoeffs.frames.trajectory import ahead

        return ahead(self.source(begin))


# ---- opening --------------------------------------------------------------------------------------------------------


def open_stream(file: SpeciesFile, number: int = 0, *, scratch: Path = Path()) -> Stream:
    """Open replica `number` of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    number : int
        Which replica.
    scratch : Path
        Folder for scratch files of its accumulators.

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
        path = with_positions(replica).arrays
        assert path is not None
        data = load_arrays(path, file)
        try:
            stream = stream_of_arrays(file, data, label=path.name)
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error
        return replace(stream, paths=(path,), scratch=scratch)
    if not replica.trajectory:
        raise InputError(f"{replica.label}: this analysis needs positions: a trajectory, or arrays with positions")
    from mdcoeffs.frames.trajectory import open_replica

    universe, files = open_replica(
        replica, timestep=file.timestep, units=file.run_units, drop_cut=file.cut_last_frame == "drop"
    )
    stream = stream_of_universe(file, universe, files, label=replica.label)
    return replace(stream, paths=replica.files, scratch=scratch)


def with_positions(replica: Replica) -> Replica:
    """The same replica; for summed displacements, with the positions that ``mdcoeffs simulate`` put beside them.

    Parameters
    ----------
    replica : Replica
        With an array file.

    Returns
    -------
    Replica

    Raises
    ------
    InputError
        Summed displacements, and no positions beside them.
    """
    path = replica.arrays
    if path is None or "R" not in array_names(path):
        return replica
    beside = path.parent / "positions.npz"
    if beside.is_file():
        return replace(replica, arrays=beside)
    if path.name == "displacements.npz":
        raise InputError(
            f"{path.parent}: holds displacements but no positions.npz, and this analysis needs positions; run "
            f'mdcoeffs simulate with [run] positions_interval, such as "5 ps"'
        )
    raise InputError(f"{path.name}: this analysis needs positions and labels, not summed displacements R")


def stream_of_universe(
    file: SpeciesFile, universe: Any, files: Sequence[Any] = (), *, label: str = "trajectory"
) -> Stream:
    """A stream of a universe.

    Parameters
    ----------
    file : SpeciesFile
        Species, and which snapshots are used.
    universe : MDAnalysis.Universe
        Topology and trajectory.
    files : sequence of (Path, mapping)
        Trajectory files in their order; the loaded one when left out.
    label : str
        Name for messages.

    Returns
    -------
    Stream

    Raises
    ------
    InputError
        Files that cannot be read, selections that do not fit.
    """
    from mdcoeffs.frames.topology import molecules_of
    from mdcoeffs.frames.trajectory import convention, count_snapshots, repeated, stored_snapshots

    files = tuple(files) or ((None, {}),)
    molecules = molecules_of(universe, file.species, ignore=file.ignore)
    check_counts(file, molecules.counts, "the selections")
    check_masses(file, molecules.masses * DALTON, "the masses of the topology")
    skipped = repeated(universe, files, file) if file.drop_repeated else (0,) * len(files)
    total, notes = count_snapshots(universe, files, file, skipped)
    unwrapped, images = convention(universe, files[0][0], file.coordinates)

    def source(begin: int) -> Iterator[Stored]:
        from_here = begin if file.every is None else max(begin - 1, 0)  # which of several at a multiple is the first
        stored = stored_snapshots(universe, files, file, from_here, images, skipped)
        return used_snapshots(stored, file.start, file.stop, file.every, begin)

    return Stream(
        label=label,
        file=file,
        molecules=molecules,
        n_atoms=len(universe.atoms),
        n_frames=total,
        has_masses=True,
        unwrapped=unwrapped,
        volume=file.volume,
        paths=tuple(path for path, _ in files if path is not None),
        universe=universe,
        source=source,
        notes=notes,
    )


def stream_of_arrays(file: SpeciesFile, data: Mapping[str, NDArray[Any]], *, label: str = "arrays") -> Stream:
    """A stream of arrays with positions.

    Parameters
    ----------
    file : SpeciesFile
        Species, units, and which snapshots are used.
    data : mapping
        Arrays by the names of `mdcoeffs.inputs.arrays`.
    label : str
        Name for messages.

    Returns
    -------
    Stream

    Raises
    ------
    InputError
        Shapes that do not fit, labels that are no species, unequal masses.
    """
    positions = np.asarray(data["positions"])
    species, masses = labels_and_masses(file, data, positions.shape)
    check_counts(file, np.bincount(species, minlength=len(file.species)).tolist(), "the labels")
    time = times_of(file, data)
    box = np.asarray(data["box"], dtype=np.float64) if "box" in data else None
    velocities = None if "velocities" not in data else np.asarray(data["velocities"])
    if velocities is not None and velocities.shape != positions.shape:
        raise InputError(
            f"velocities have shape {velocities.shape} and positions {positions.shape}; they must be alike"
        )
    if len(time) != len(positions) or (box is not None and box.shape not in ((3, 3), (len(time), 3, 3))):
        raise InputError(
            f"{len(positions)} frames of positions need as many times, and a box (3, 3) or one per frame; time has "
            f"{len(time)}"
        )
    molecules = Molecules.particles(species, np.ones(len(file.species)) if masses is None else masses / DALTON)
    scale, speed = file.scale("position") / ANGSTROM, file.scale("velocity")
    used = used_frames(time, file.start, file.stop, file.stride, file.every, label)

    def source(begin: int) -> Iterator[Stored]:
        for number in range(begin, len(used)):
            k = used[number]
            cell = None if box is None else (box[k] if box.ndim == 3 else box) * scale
            moving = None if velocities is None else velocities[k] * speed
            name = f"{label}: frame {k}"
            yield Stored(number, name, float(time[k]), positions[k] * scale, cell, velocities=moving)

    unwrapped = file.coordinates == "unwrapped" or (file.coordinates == "auto" and box is None)
    return Stream(
        label=label,
        file=file,
        molecules=molecules,
        n_atoms=positions.shape[1],
        n_frames=len(used),
        has_masses=masses is not None,
        unwrapped=unwrapped,
        volume=volume_of(file, data, used),
        paths=(),
        universe=None,
        source=source,
    )


def _fingerprint(path: Path) -> list[Any]:
    """Name, size and time of change of a file: enough to tell that a checkpoint is of another one."""
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]


# ---- the pass -------------------------------------------------------------------------------------------------------


def feed(
    stream: Stream,
    accumulators: Mapping[str, Accumulator],
    *,
    checkpoint: Path | None = None,
    settings: Any = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> None:
    """Give every used snapshot of a stream to accumulators.

    Parameters
    ----------
    stream : Stream
        The replica.
    accumulators : mapping
        By name; filled in place.
    checkpoint : Path, optional
        Where to leave a checkpoint, and to look for one; it stays when the pass is done.
    settings : object, optional
        What the accumulators' numbers depend on, in plain values; a checkpoint with other settings is refused.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (snapshots done, in all).

    Raises
    ------
    InputError
        As :meth:`Stream.snapshots`, a checkpoint of another run, or fewer than two snapshots.
    """
    from mdcoeffs.frames.trajectory import logged_warnings

    follow = max((accumulator.follow for accumulator in accumulators.values()), key=FOLLOW.index)
    walker = stream.walker(follow)
    identity = {**stream.identity, "settings": settings, "follow": follow, "accumulators": sorted(accumulators)}
    begin = 0
    state = None
    if checkpoint is not None:
        state = load_checkpoint(checkpoint, identity) or _left_by_refused(checkpoint, identity)
    if state is not None:
        begin = walker.restore(_under(state, "walker."))
        for name, accumulator in accumulators.items():
            accumulator.restore(_under(state, f"{name}."))
        log.info("%s: taking up the checkpoint after %d frames", stream.label, begin)

    def save(done: int) -> None:
        if checkpoint is None:
            return
        state = {f"walker.{key}": value for key, value in walker.arrays(done).items()}
        for name, accumulator in accumulators.items():
            state |= {f"{name}.{key}": value for key, value in accumulator.arrays().items()}
        save_checkpoint(checkpoint, state, identity)

    saved, first = clock.monotonic(), begin == 0
    with logged_warnings() if stream.universe is not None else nullcontext():
        for stored in stream._stored(begin):
            snapshot = walker.snapshot(stored)
            if first:
                stream.check_density(None if snapshot.box is None else snapshot.volume)
                first = False
            for accumulator in accumulators.values():
                accumulator.add(snapshot)
            if progress is not None:
                progress(stored.number + 1, stream.n_frames)
            if clock.monotonic() - saved > checkpoint_every:
                save(stored.number + 1)
                saved = clock.monotonic()
    if walker.used < 2:
        raise InputError(
            f"{stream.label}: {walker.used} frame(s) lie in the part of the run asked for; at least 2 are needed"
        )
    save(stream.n_frames)


def set_aside(checkpoint: Path) -> None:
    """Mark a checkpoint as left by a run that was refused: it serves the same run and stands in no other's way.

    Parameters
    ----------
    checkpoint : Path
        The file; nothing happens where there is none.
    """
    if checkpoint.is_file() and not checkpoint.stem.endswith(_REFUSED):
        checkpoint.replace(_refused(checkpoint))


def _refused(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.stem}{_REFUSED}{checkpoint.suffix}")


def _left_by_refused(checkpoint: Path, identity: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
    """The state that a refused run left, if only what comes after the pass was mended; otherwise it is removed."""
    path = _refused(checkpoint)
    try:
        return load_checkpoint(path, identity)
    except InputError:
        log.info("%s is of the run that was refused; reading anew", path.name)
        return None
    finally:
        path.unlink(missing_ok=True)


def _under(state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) :]: array for name, array in state.items() if name.startswith(prefix)}


def save_checkpoint(path: Path, state: Mapping[str, NDArray[Any]], identity: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old one or the new one, never half of one.

    Parameters
    ----------
    path : Path
        The file.
    state : mapping
        Arrays.
    identity : mapping
        What the pass is of, in plain values; a checkpoint is taken up only by the same.
    """
    arrays = {**state, "identity": np.array(json.dumps(identity, sort_keys=True))}
    write_arrays(path, arrays, compressed=False, synced=True)


def load_checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
    """The state of a checkpoint, or None if there is none.

    Parameters
    ----------
    path : Path
        The file.
    identity : mapping
        What the pass is of.

    Returns
    -------
    dict or None

    Raises
    ------
    InputError
        A checkpoint of another pass, or not a checkpoint.
    """
    if not path.is_file():
        return None
    try:
        state = read_arrays(path, what="a checkpoint")
        stored = dict(json.loads(str(state.pop("identity"))))
    except (InputError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a checkpoint of mdcoeffs; remove it and start again") from error
    wanted = json.loads(json.dumps(identity, sort_keys=True))
    if stored != wanted:
        changed = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
        raise InputError(f"{path} belongs to a run with other {', '.join(changed)}; remove it and start again")
    return state
