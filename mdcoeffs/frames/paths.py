"""Paths of single particles over a whole run: written snapshot by snapshot, read back particle by particle.

Correlations need the whole path of a particle, and a trajectory gives all particles at one time. The paths go to a
scratch file, mapped into memory: what fits stays there, and a checkpoint finds it after a crash.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.snapshot import Snapshot

log = logging.getLogger(__name__)

CHUNK = 128
"""Snapshots that lie together in the file: one by one, a path would be read in pieces of 24 bytes."""
WORKING_SET = 6
"""Bytes that an FFT correlator holds, over those of its paths [1]."""


@dataclass(frozen=True, eq=False)
class ParticleStore:
    """Vectors of many particles, written by snapshot and read by particle.

    Parameters
    ----------
    data : array (chunks, particles, CHUNK, 3)
        Mapped from a file; in memory after a journey to another machine.
    """

    data: Array

    @staticmethod
    def open(path: Path, particles: int, frames: int, *, memory: float = np.inf, resume: bool = False) -> ParticleStore:
        """Room in a scratch file.

        Parameters
        ----------
        path : Path
            The file; its folder exists.
        particles, frames : int
            How many of each.
        memory : float
            A file above this size is announced [byte].
        resume : bool
            Take up the file of a run that was stopped.

        Returns
        -------
        ParticleStore

        Raises
        ------
        InputError
            Not enough room on the disk, or no such file to take up.
        """
        shape = (-(-frames // CHUNK), particles, CHUNK, 3)
        size = 8 * int(np.prod(shape))
        if resume:
            if not path.is_file() or path.stat().st_size != size:
                raise InputError(f"{path} is not the scratch file this run left; remove the checkpoint and start again")
            return ParticleStore(np.memmap(path, np.float64, "r+", shape=shape))
        free = shutil.disk_usage(path.parent).free
        level = logging.WARNING if size > memory else logging.INFO
        log.log(level, "single-particle displacements: scratch file %s of %s", path, human_size(size))
        if size > 0.95 * free:
            raise InputError(
                f"the self part needs a scratch file of {human_size(size)}, but {path.parent} has {human_size(free)} "
                f'free: give another folder as scratch, use a larger stride, or self = "none"'
            )
        # A map of a sparse file dies by a signal, without a word, when the disk fills; its room is taken first.
        try:
            with path.open("wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, size)
                else:
                    stream.truncate(size)
        except OSError as error:
            path.unlink(missing_ok=True)  # nothing is in it yet
            error.filename = str(path)
            raise
        return ParticleStore(np.memmap(path, np.float64, "r+", shape=shape))

    @property
    def particles(self) -> int:
        """Number of particles."""
        return int(self.data.shape[1])

    def put(self, frame: int, vectors: Array) -> None:
        """Write one snapshot, (particles, 3)."""
        self.data[frame // CHUNK, :, frame % CHUNK] = vectors

    def at(self, frames: Ints) -> Array:
        """Some snapshots, (frames, particles, 3)."""
        rows = [self.data[k // CHUNK, :, k % CHUNK] for k in frames]
        return np.array(rows).reshape(-1, self.particles, 3)

    def block(self, first: int, last: int, frames: int) -> Array:
        """Paths of particles first..last-1 over the first `frames` snapshots, (particles, frames, 3)."""
        chunks = self.data[:, first:last]
        rows = np.moveaxis(chunks, 0, 1).reshape(chunks.shape[1], chunks.shape[0] * CHUNK, 3)
        return np.array(rows[:, :frames], order="C")  # a copy: what is done to it must not reach the file

    def blocks(self, frames: int, memory: float) -> Iterator[tuple[int, Array]]:
        """Number of the first particle and paths of blocks of particles, whose working set stays under `memory` [byte].

        The working set is that of an FFT correlator, `WORKING_SET` times the bytes of its block.
        """
        size = max(1, int(memory / (WORKING_SET * 24 * max(frames, 1))))
        for start in range(0, self.particles, size):
            yield start, self.block(start, min(start + size, self.particles), frames)

    def flush(self) -> None:
        """Push the file to disk."""
        if isinstance(self.data, np.memmap):
            self.data.flush()

    def __getstate__(self) -> dict[str, Any]:
        """To another process, the paths themselves: its machine may not see the file."""
        return {"data": np.array(self.data)}


@dataclass(frozen=True, eq=False)
class Followed:
    """One kind of thing whose paths are written.

    Parameters
    ----------
    owner : array of int (particles,)
        Molecule of each particle.
    pick : callable
        Snapshot -> what is stored of it, (particles, 3): positions or displacements [m], or unit vectors [1].
    mass : float, optional
        Of a particle; None where it is unknown, or not the same for all, and of unit vectors [kg].
    """

    owner: Ints
    pick: Callable[[Snapshot], Array]
    mass: float | None = None


class PathRecorder:
    """Accumulator: the paths of some things, each kind in a scratch file of its own, with times and boxes.

    Parameters
    ----------
    followed : mapping
        By name.
    folder : Path
        Where the scratch files go; made if it is not there.
    frames : int
        Most snapshots there will be.
    memory : float
        A file above this size is announced [byte].
    """

    follow = "unwrap"

    def __init__(self, followed: Mapping[str, Followed], folder: Path, frames: int, memory: float = np.inf) -> None:
        self.followed, self.folder, self.memory = dict(followed), folder, memory
        self.frames, self.times, self.boxes = 0, np.zeros(frames), np.full((frames, 3, 3), np.nan)
        self.stores: dict[str, ParticleStore] = {}

    def _open(self, *, resume: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, (name, kind) in enumerate(self.followed.items()):
            path = self.folder / f"{number}.scratch"
            self.stores[name] = ParticleStore.open(
                path, kind.owner.size, len(self.times), memory=self.memory, resume=resume
            )

    def add(self, snapshot: Snapshot) -> None:
        """Write one snapshot."""
        if not self.stores:
            self._open(resume=False)
        number = snapshot.number
        for name, kind in self.followed.items():
            self.stores[name].put(number, kind.pick(snapshot))
        self.times[number] = snapshot.time
        if snapshot.box is not None:
            self.boxes[number] = snapshot.box
        self.frames = number + 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state; the paths themselves are pushed to disk."""
        for store in self.stores.values():
            store.flush()
        return {"times": self.times[: self.frames], "boxes": self.boxes[: self.frames]}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up, and the files of the run that was stopped."""
        self._open(resume=True)
        self.frames = len(arrays["times"])
        self.times[: self.frames], self.boxes[: self.frames] = arrays["times"], arrays["boxes"]


def human_size(size: float) -> str:
    """``"1.2 GB"``."""
    for unit in ("byte", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
