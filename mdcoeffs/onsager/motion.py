"""How the species of one replica move: summed displacements and the self part, from snapshots or from arrays.

`SummedDisplacements` and the paths of single particles (`mdcoeffs.frames.paths`) are the accumulators of
``mdcoeffs onsager``; :func:`collective_displacements` is the way in for Python users.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, Progress
from cellsim.files.folder import file_hash
from mdcoeffs.frames.molecules import check_density
from mdcoeffs.frames.paths import Followed, PathRecorder
from mdcoeffs.frames.snapshot import ANGSTROM, DALTON, Snapshot, box_volume, used_frames
from mdcoeffs.frames.stream import Accumulator, Stream, feed, open_stream, stream_of_arrays, stream_of_universe
from mdcoeffs.inputs.arrays import array_names, check_volume, load_arrays, masses_of, times_of, volume_of
from mdcoeffs.inputs.species import Species, SpeciesFile
from mdcoeffs.onsager.displacements import CollectiveDisplacements, check_neutral
from mdcoeffs.onsager.self_motion import SelfPower, self_power
from mdcoeffs.statistics.correlate import SelfSums, self_sums

FARTHEST = 1e6
"""Summed displacements beyond this are none [m]: a million ions that all move by a metre."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ReplicaMotion:
    """What one replica says about motion.

    Parameters
    ----------
    displacements : CollectiveDisplacements
        Summed over each species; barycentric (the drift of the centre of mass taken away) where masses are known.
    drift : array (frames, 3)
        Displacement of the centre of mass in the box, as it was taken away [m].
    longest_step : float
        Longest step of a molecule between two snapshots, as a fraction of the box [1]; below 0.5 by construction.
    self_sums : mapping
        Number of a species -> sums of its self part; empty where no paths of single particles were kept.
    self_powers : mapping
        Number of a species -> squared sine amplitudes of its particles, where their paths were kept.
    inputs : mapping
        File name -> SHA-256.
    velocities : array (frames, species, 3), optional
        Summed over each species, in the box [m/s].
    """

    displacements: CollectiveDisplacements
    drift: Array
    longest_step: float = 0.0
    self_sums: Mapping[int, SelfSums] | None = None
    self_powers: Mapping[int, SelfPower] | None = None
    inputs: Mapping[str, str] | None = None
    velocities: Array | None = None

    @property
    def drift_velocity(self) -> Array:
        """Mean velocity of the centre of mass (3,) [m/s]."""
        return np.asarray((self.drift[-1] - self.drift[0]) / self.displacements.duration)


class SummedDisplacements:
    """Accumulator: displacements summed over each species, in the box, drift included.

    Parameters
    ----------
    frames : int
        Most snapshots there will be.
    species : int
        Number of species.
    """

    follow = "unwrap"

    def __init__(self, frames: int, species: int) -> None:
        self.rows, self.times, self.used = np.zeros((frames, species, 3)), np.zeros(frames), 0
        self.volume, self.boxes, self.longest_step = 0.0, 0, 0.0

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        self.rows[self.used], self.times[self.used] = snapshot.summed, snapshot.time
        self.used += 1
        self.longest_step = snapshot.longest_step
        if snapshot.box is not None:
            self.volume += snapshot.volume
            self.boxes += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        numbers = np.array([self.volume, self.boxes, self.longest_step])
        return {"rows": self.rows[: self.used], "times": self.times[: self.used], "numbers": numbers}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.used = len(arrays["times"])
        self.rows[: self.used], self.times[: self.used] = arrays["rows"], arrays["times"]
        self.volume, self.longest_step = float(arrays["numbers"][0]), float(arrays["numbers"][2])
        self.boxes = int(arrays["numbers"][1])


class SummedVelocities:
    """Accumulator: velocities of centres of mass summed over each species, in the box.

    Parameters
    ----------
    stream : Stream
        The replica.
    """

    follow = ""

    def __init__(self, stream: Stream) -> None:
        m = stream.molecules
        self.atoms, self.species, self.label = m.atoms, m.species[m.owner], stream.label
        self.weights = m.weights * m.share[m.owner]
        self.rows, self.used = np.zeros((stream.n_frames, len(stream.species), 3)), 0

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        if snapshot.velocities is None:
            raise InputError(
                f"{self.label}: frame {snapshot.number} has no velocities in a known unit; velocities in [estimate] "
                "needs TRR, H5MD, AMBER NetCDF or arrays with velocities, the velocity file of CP2K (velocities), or a "
                'LAMMPS dump with the columns vx vy vz and its units ([units] style = "real", say): leave it out '
                "otherwise"
            )
        moving = self.weights[:, None] * snapshot.velocities[self.atoms]
        if not np.isfinite(moving).all():
            raise InputError(f"{self.label}: frame {snapshot.number} has a velocity that is NaN or infinite")
        np.add.at(self.rows[self.used], self.species, moving)
        self.used += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return {"rows": self.rows[: self.used]}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.used = len(arrays["rows"])
        self.rows[: self.used] = arrays["rows"]


def motion_accumulators(stream: Stream, self_part: str, velocities: bool = False) -> dict[str, Accumulator]:
    """What gathers the motion of a replica.

    Parameters
    ----------
    stream : Stream
        The replica.
    self_part : str
        Whose single-particle paths are kept, one of `mdcoeffs.inputs.species.SELF_PARTS`.
    velocities : bool
        Whether velocities are summed too.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        A net charge, before anything is read.
    """
    try:
        check_neutral([species.z for species in stream.species], stream.molecules.counts)
    except InputError as error:
        raise InputError(f"{stream.label}: {error}") from error
    gathered: dict[str, Accumulator] = {"sums": SummedDisplacements(stream.n_frames, len(stream.species))}
    if velocities:
        gathered["velocities"] = SummedVelocities(stream)
    followed = {}
    for number, species in enumerate(stream.species):
        if self_part == "all" or (self_part == "ions" and species.role != "solvent"):
            rows = np.flatnonzero(stream.molecules.species == number)
            followed[str(number)] = Followed(rows, partial(_paths_of, rows))
    if followed:
        gathered["paths"] = PathRecorder(followed, stream.scratch, stream.n_frames, stream.file.memory)
    return gathered


def _paths_of(rows: Ints, snapshot: Snapshot) -> Array:
    return np.asarray(snapshot.paths[rows])


def motion_of(stream: Stream, accumulators: Mapping[str, Any]) -> ReplicaMotion:
    """What the accumulators say, when all snapshots are in.

    Parameters
    ----------
    stream : Stream
        The replica.
    accumulators : mapping
        As :func:`motion_accumulators` made them.

    Returns
    -------
    ReplicaMotion

    Raises
    ------
    InputError
        No volume, a net charge, or anything else `CollectiveDisplacements` refuses.
    """
    sums, file = accumulators["sums"], stream.file
    volume = stream.volume
    if volume is None:
        if not sums.boxes:
            raise InputError(
                f"{stream.label}: no volume: there is no box, so give volume (in SPECIES.toml, or beside the arrays)"
            )
        volume = sums.volume / sums.boxes
    masses = stream.molecules.masses * DALTON if stream.has_masses else None
    used = sums.used
    raw = _lab_displacements(file, sums.rows[:used], sums.times[:used], volume, stream.molecules.counts, masses)
    displacements, drift = _without_drift(raw)
    own, powers = {}, {}
    if "paths" in accumulators:
        for number, store in accumulators["paths"].stores.items():
            own[int(number)], powers[int(number)] = SelfSums.zero(used), SelfPower.zero(used)
            for _, paths in store.blocks(used, file.memory):
                # The drift is that of the sums, bit for bit, so that self and distinct part add up to the whole.
                paths -= drift
                own[int(number)] += self_sums(paths.transpose(1, 0, 2))
                powers[int(number)] += self_power(paths)
    moving = accumulators["velocities"].rows[:used] if "velocities" in accumulators else None
    return ReplicaMotion(displacements, drift, sums.longest_step, own, powers, velocities=moving)


def motion_of_sums(file: SpeciesFile, data: Mapping[str, NDArray[Any]]) -> ReplicaMotion:
    """The same for arrays that hold the summed displacements themselves.

    Parameters
    ----------
    file : SpeciesFile
        Species with counts, units, and which frames are used.
    data : mapping
        With ``time`` and ``R``, and ``volume`` or ``box``.

    Returns
    -------
    ReplicaMotion

    Raises
    ------
    InputError
        Shapes that do not fit, a count or the volume that is missing.
    """
    with np.errstate(over="ignore"):
        time, R = times_of(file, data), np.asarray(data["R"], dtype=np.float64) * file.scale("position")
    if R.ndim != 3 or R.shape[0] != time.size or R.shape[1:] != (len(file.species), 3):
        raise InputError(
            f"R has shape {R.shape}, allowed is (frames, species, 3) = ({time.size}, {len(file.species)}, 3), "
            f"species in the order of SPECIES.toml"
        )
    if (farthest := float(np.max(np.abs(R), initial=0.0))) > FARTHEST:  # false for NaN, which is found below
        raise InputError(f"R reaches {farthest:.3g} m; is the unit of position right, and the file whole?")
    counts = []
    for species in file.species:
        if species.count is None:
            raise InputError(f"species.{species.name} needs its count, because R does not contain it")
        counts.append(species.count)
    used = used_frames(time, file.start, file.stop, file.stride, file.every)
    if used.size < 2:
        raise InputError(f"{used.size} frame(s) lie in the part of the run asked for; at least 2 are needed")
    volume = volume_of(file, data, used)
    if "box" in data:
        volumes = box_volume(data["box"])
        box = float(np.mean(volumes[used] if volumes.ndim else volumes)) * file.scale("position") ** 3
        if volume is not None:
            check_volume(volume, box, "the box")
        volume = box if volume is None else volume
    if volume is None:
        raise InputError("no volume: give volume or box in the file, or volume in SPECIES.toml")
    masses = masses_of(file)
    check_density(file.species, counts, volume, None if masses is None else float(masses @ np.array(counts)))
    raw = _lab_displacements(file, R[used] - R[used[0]], time[used], volume, counts, masses)
    return ReplicaMotion(*_without_drift(raw))


def motion_of_arrays(file: SpeciesFile, path: Path) -> ReplicaMotion | None:
    """The motion in an array file of summed displacements; None for one that holds positions."""
    if "R" not in array_names(path):
        return None
    data = load_arrays(path, file)
    try:
        return motion_of_sums(file, data)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def motion_of_replica(
    file: SpeciesFile, number: int = 0, *, self_part: str = "none", scratch: Path = Path()
) -> ReplicaMotion:
    """The motion of one replica of a SPECIES.toml, read without a checkpoint.

    Parameters
    ----------
    file : SpeciesFile
        The file.
    number : int
        Which replica.
    self_part : str
        Whose single-particle paths are kept, one of `mdcoeffs.inputs.species.SELF_PARTS`.
    scratch : Path
        Folder for the scratch files of those.

    Returns
    -------
    ReplicaMotion

    Raises
    ------
    InputError
        Bad input of any kind.
    """
    path = file.replicas[number].arrays
    motion = None if path is None else motion_of_arrays(file, path)
    if motion is not None:
        return motion
    stream = open_stream(file, number, scratch=scratch)
    accumulators = motion_accumulators(stream, self_part)
    feed(stream, accumulators)
    return motion_of(stream, accumulators)


def collective_displacements(
    source: Any,
    species: Sequence[Species],
    *,
    temperature: float,
    files: Sequence[Any] = (),
    progress: Progress | None = None,
    **options: Any,
) -> CollectiveDisplacements:
    """Summed displacements of every species, unwrapped, the drift of the centre of mass taken away.

    Parameters
    ----------
    source : MDAnalysis.Universe or mapping
        A universe; or a mapping of arrays with the names that `mdcoeffs.inputs.arrays` lists, in SI units: ``time``
        and one of ``R``, ``positions``, ``labels``, ``box``, ...
    species : sequence of Species
        What is what.
    temperature : float
        Temperature [K].
    files : sequence of (Path, mapping), optional
        Trajectory files of a universe in their order; the loaded one when left out.
    progress : callable, optional
        Called with (snapshots done, in all).
    **options
        Fields of `mdcoeffs.inputs.species.SpeciesFile`: ``coordinates``, ``volume``, ``start``, ``stop``, ``stride``,
        ``every``, ``timestep``, ``frame_interval``, ``ignore``, ``units``.

    Returns
    -------
    CollectiveDisplacements
        Barycentric; "lab" for arrays without masses.

    Raises
    ------
    InputError
        Bad input of any kind, one sentence.

    Examples
    --------
    >>> from mdcoeffs import Species, collective_displacements
    >>> species = [Species("Li", 1, "cation"), Species("X", -1, "anion"), Species("S", 0, "solvent")]
    >>> run = collective_displacements(arrays, species, temperature=353.0)  # doctest: +SKIP
    """
    file = SpeciesFile(Path("source"), temperature, tuple(species), (), **options)
    if isinstance(source, Mapping) and "R" in source:
        return motion_of_sums(file, source).displacements
    arrays = isinstance(source, Mapping)
    stream = stream_of_arrays(file, source) if arrays else stream_of_universe(file, source, files)
    accumulators = motion_accumulators(stream, "none")
    feed(stream, accumulators, progress=progress)
    return motion_of(stream, accumulators).displacements


def hashes(paths: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256; of samples, for large files."""
    return {path.name: file_hash(path) for path in paths}


def _lab_displacements(
    file: SpeciesFile, R: Array, time: Array, volume: float, counts: Sequence[int], masses: Array | None
) -> CollectiveDisplacements:
    volumes = [species.molecular_volume for species in file.species]
    missing = [species.name for species in file.species if species.molecular_volume is None]
    if 0 < len(missing) < len(volumes):
        raise InputError(f"molecular_volume is given for some species but not for {', '.join(missing)}")
    return CollectiveDisplacements(
        R=R,
        time=time,
        volume=volume,
        temperature=file.temperature,
        z=tuple(species.z for species in file.species),
        counts=tuple(counts),
        frame="lab",
        masses=None if masses is None else tuple(masses.tolist()),
        molecular_volumes=None if missing else tuple(float(v) for v in volumes if v is not None),
        roles=tuple(species.role for species in file.species),
        names=tuple(species.name for species in file.species),
    )


def _without_drift(raw: CollectiveDisplacements) -> tuple[CollectiveDisplacements, Array]:
    """Barycentric, and the drift that was taken away; as it is where masses or a solvent are not known."""
    if raw.masses is None or not raw.solvents:
        log.info("no masses for all species: the drift of the centre of mass is not removed")
        return raw, np.zeros((raw.n_frames, 3))
    drift = raw.reference_displacement("barycentric")
    way = float(np.linalg.norm(drift[-1])) / ANGSTROM
    log.info("centre of mass moved %.3g angstrom in %.3g ns; removed", way, raw.duration * 1e9)
    return raw.to_frame("barycentric"), drift
