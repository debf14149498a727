"""Single-particle displacements of a whole run, in memory or in a scratch file, and the checkpoint of a reading.

The self part of an Onsager coefficient needs the path of every particle; the cap on memory is the user's. Above the
cap the paths go to a scratch file, whose size is logged before it is made, and come back in blocks of particles.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError

log = logging.getLogger(__name__)

CHUNK = 128
"""Frames that lie together in the store."""


@dataclass(frozen=True, eq=False)
class ParticleStore:
    """Displacements of many particles, written by frame and read by particle.

    Parameters
    ----------
    data : array (chunks, particles, CHUNK, 3)
        Displacements since the first frame; in memory or mapped from `path`.
    frames : int
        Frames there is room for.
    path : Path, optional
        The scratch file.
    """

    data: Array
    frames: int
    path: Path | None = None

    @property
    def particles(self) -> int:
        """Number of particles."""
        return int(self.data.shape[1])

    def put(self, frame: int, displacement: Array) -> None:
        """Write one frame, (particles, 3)."""
        self.data[frame // CHUNK, :, frame % CHUNK] = displacement

    def block(self, first: int, last: int, frames: int) -> Array:
        """Paths of particles first..last-1 over the first `frames` frames, (particles, frames, 3)."""
        part = self.data[:, first:last]
        return np.ascontiguousarray(
            np.moveaxis(part, 0, 1).reshape(part.shape[1], part.shape[0] * CHUNK, 3)[:, :frames]
        )

    def blocks(self, first: int, last: int, frames: int, memory: float) -> Iterator[Array]:
        """The same for all of first..last-1, in blocks whose working set stays under `memory` [byte].

        An FFT correlator holds about six times the bytes of its block.
        """
        size = max(1, int(memory / (6 * 24 * max(frames, 1))))
        for start in range(first, last, size):
            yield self.block(start, min(start + size, last), frames)

    def flush(self) -> None:
        """Push a mapped file to disk."""
        if isinstance(self.data, np.memmap):
            self.data.flush()

    def close(self) -> None:
        """Remove the scratch file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def store_size(particles: int, frames: int) -> int:
    """Bytes that the displacements of `particles` over `frames` frames take."""
    return -(-frames // CHUNK) * CHUNK * particles * 24


def open_store(
    particles: int, frames: int, *, memory: float, folder: Path, resume: bool = False, on_disk: bool = False
) -> ParticleStore:
    """Room for the displacements, in memory if they fit under the cap, else in a scratch file.

    Parameters
    ----------
    particles, frames : int
        How many of each.
    memory : float
        Cap [byte].
    folder : Path
        Where a scratch file goes.
    resume : bool
        Open the scratch file of a run that was stopped.
    on_disk : bool
        Use a scratch file whatever the cap (a checkpoint needs one).

    Returns
    -------
    ParticleStore

    Raises
    ------
    InputError
        Not enough room on the disk, or no scratch file to resume from.
    """
    shape = (-(-frames // CHUNK), particles, CHUNK, 3)
    size = store_size(particles, frames)
    if size <= memory and not on_disk:
        return ParticleStore(np.zeros(shape), frames)
    path = folder / "self.scratch"
    if resume:
        if not path.is_file() or path.stat().st_size != size:
            raise InputError(f"{path} is not the scratch file this run left; remove the checkpoint and start again")
        return ParticleStore(np.memmap(path, np.float64, "r+", shape=shape), frames, path)
    free = shutil.disk_usage(folder).free
    log.info("single-particle displacements: scratch file %s of %s", path, human_size(size))
    if size > 0.95 * free:
        raise InputError(
            f"the self part needs a scratch file of {human_size(size)}, but {folder} has {human_size(free)} free: "
            f'give another folder as scratch, use a larger stride, or self = "none"'
        )
    return ParticleStore(np.memmap(path, np.float64, "w+", shape=shape), frames, path)


def human_size(size: float) -> str:
    """``"1.2 GB"``."""
    for unit in ("byte", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def save_checkpoint(path: Path, state: Mapping[str, NDArray[Any]], identity: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old one or the new one, never half of one.

    Parameters
    ----------
    path : Path
        The file.
    state : mapping
        Arrays.
    identity : mapping
        What the reading is of; a checkpoint is taken up only by the same.
    """
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        np.savez(stream, **state, identity=np.array(json.dumps(identity, sort_keys=True)))  # type: ignore[arg-type]
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def load_checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
    """The state of a checkpoint, or None if there is none.

    Parameters
    ----------
    path : Path
        The file.
    identity : mapping
        What the reading is of.

    Returns
    -------
    dict or None

    Raises
    ------
    InputError
        A checkpoint of another reading, or not a checkpoint.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path) as archive:
            state = {name: archive[name] for name in archive.files}
        found = json.loads(str(state.pop("identity")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a checkpoint of mdcoeffs; remove it and start again") from error
    wanted = json.loads(json.dumps(identity, sort_keys=True))
    if found != wanted:
        changed = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        raise InputError(f"{path} belongs to a run with other {', '.join(changed)}; remove it and start again")
    return state
