"""What one pass over a trajectory gives, and the running record it is made from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError
from mdcoeffs.frames.scratch import ParticleStore, save_checkpoint
from mdcoeffs.frames.unwrap import Molecules, Track
from mdcoeffs.inputs.species import Species
from mdcoeffs.onsager.displacements import CollectiveDisplacements

log = logging.getLogger(__name__)

ANGSTROM = 1e-10
PICOSECOND = 1e-12
DALTON = 1e-3 / N_A


@dataclass(frozen=True, eq=False)
class Reading:
    """What one pass over a trajectory gave.

    Parameters
    ----------
    displacements : CollectiveDisplacements
        Summed over each species, barycentric: the drift of the centre of mass is taken away.
    drift : array (frames, 3)
        Displacement of the centre of mass in the box, as it was taken away [m].
    longest_step : float
        Longest step of a molecule between two frames, as a fraction of the box [1]; below 0.5 by construction.
    store : ParticleStore, optional
        Displacements of single particles [m], in the box, drift included.
    particles : array of int (particles,)
        Species of each particle in `store`.
    resumed_from : int
        First frame this call read; 0 unless it took up a checkpoint.
    """

    displacements: CollectiveDisplacements
    drift: Array
    longest_step: float
    store: ParticleStore | None
    particles: NDArray[np.int64]
    resumed_from: int = 0

    @property
    def drift_velocity(self) -> Array:
        """Mean velocity of the centre of mass (3,) [m/s]."""
        velocity: Array = (self.drift[-1] - self.drift[0]) / self.displacements.duration
        return velocity


@dataclass(eq=False)
class Record:
    """Rows gathered frame by frame; filled in place [angstrom, s, angstrom^3]."""

    rows: Array
    times: Array
    used: int = 0
    volume: float = 0.0
    longest: float = 0.0

    @staticmethod
    def empty(frames: int, species: int) -> Record:
        """Room for so many frames."""
        return Record(np.zeros((frames, species, 3)), np.zeros(frames))

    def check_order(self, time: float, label: str, frame: int) -> None:
        """Refuse a frame that is not later than the one before."""
        if self.used and time <= self.times[self.used - 1]:
            what = "repeats the time of" if time == self.times[self.used - 1] else "is earlier than"
            raise InputError(
                f"{label}: frame {frame} at {time:.6g} s {what} the frame before: frames are out of order or "
                f"duplicated, as when runs are joined; remove the repeated frames or give the runs as replicas"
            )

    def add(self, time: float, row: Array, volume: float, longest: float) -> None:
        """Append a frame."""
        self.rows[self.used], self.times[self.used] = row, time
        self.used += 1
        self.volume += volume
        self.longest = max(self.longest, longest)


def finish(
    record: Record,
    molecules: Molecules,
    species: Sequence[Species],
    temperature: float,
    volume: float | None,
    store: ParticleStore | None,
    kept: NDArray[np.int64],
    begin: int,
) -> Reading:
    """Make a record a reading: SI units, drift measured and taken away.

    Raises
    ------
    InputError
        Fewer than two frames, no volume, or anything `CollectiveDisplacements` refuses.
    """
    if record.used < 2:
        raise InputError(f"{record.used} frame(s) lie in the part of the run asked for; at least 2 are needed")
    if record.volume == 0.0 and volume is None:
        raise InputError("the trajectory has no box, so the volume is not known; give volume")
    raw = CollectiveDisplacements(
        R=record.rows[: record.used] * ANGSTROM,
        time=record.times[: record.used],
        volume=volume if volume is not None else record.volume / record.used * ANGSTROM**3,
        temperature=temperature,
        z=tuple(one.z for one in species),
        counts=molecules.counts,
        frame="lab",
        masses=tuple(float(m) * DALTON for m in molecules.masses),
        roles=tuple(one.role for one in species),
        names=tuple(one.name for one in species),
        molecular_volumes=_molecular_volumes(species),
    )
    return finish_raw(raw, record.longest, store, molecules.species[kept], begin)


def finish_raw(
    raw: CollectiveDisplacements,
    longest: float,
    store: ParticleStore | None,
    particles: NDArray[np.int64],
    begin: int = 0,
) -> Reading:
    """Take the drift away where masses are known, and say so; else leave the displacements in the lab frame."""
    if raw.masses is None or not raw.solvents:
        log.info("no masses for all species: the drift of the centre of mass is not removed")
        return Reading(raw, np.zeros((raw.n_frames, 3)), longest, store, particles, begin)
    drift = mass_drift(raw)
    shift = np.asarray(raw.counts, dtype=float)[None, :, None] * drift[:, None, :]
    log.info(
        "centre of mass moved %.3g angstrom in %.3g ns; removed",
        float(np.linalg.norm(drift[-1])) / ANGSTROM, raw.duration * 1e9,
    )  # fmt: skip
    still = replace(raw, R=raw.R - shift, frame="barycentric")
    return Reading(still, drift, longest, store, particles, begin)


def mass_drift(displacements: CollectiveDisplacements) -> Array:
    """Displacement of the centre of mass of all species, (frames, 3) [m].

    Parameters
    ----------
    displacements : CollectiveDisplacements
        With masses; in any frame.

    Returns
    -------
    array (frames, 3)

    Raises
    ------
    InputError
        No masses.
    """
    if displacements.masses is None:
        raise InputError("masses are needed to measure the drift of the centre of mass")
    masses = np.asarray(displacements.masses)
    total = float(masses @ np.asarray(displacements.counts, dtype=float))
    drift: Array = np.einsum("k,tkx->tx", masses / total, displacements.R)
    return drift


def _molecular_volumes(species: Sequence[Species]) -> tuple[float, ...] | None:
    if all(one.molecular_volume is None for one in species):
        return None
    missing = [one.name for one in species if one.molecular_volume is None]
    if missing:
        raise InputError(f"molecular_volume is given for some species but not for {', '.join(missing)}")
    return tuple(float(one.molecular_volume or 0.0) for one in species)


def save(
    path: Path,
    identity: Mapping[str, Any],
    track: Track,
    record: Record,
    offset: Array,
    store: ParticleStore | None,
    done: int,
) -> None:
    """Leave a checkpoint after `done` frames."""
    if store is not None:
        store.flush()
    state = {
        **track.arrays(), "rows": record.rows[: record.used], "times": record.times[: record.used], "offset": offset,
        "numbers": np.array([done, record.volume, record.longest]),
    }  # fmt: skip
    save_checkpoint(path, state, identity)


def restore(state: dict[str, NDArray[Any]], track: Track, record: Record) -> int:
    """Fill track and record from a checkpoint; the number of frames it had done."""
    for name, array in track.arrays().items():
        array[:] = state[name]
    record.used = len(state["times"])
    record.rows[: record.used], record.times[: record.used] = state["rows"], state["times"]
    done, record.volume, record.longest = (float(v) for v in state["numbers"])
    log.info("taking up the checkpoint after %d frames", int(done))
    return int(done)
