"""Time steps of a run that takes long, kept in a folder: a run begun again after a kill goes through them at once.

A march is deterministic: from the same start it takes the same steps. So a file holds the outcome of each, and a second
march takes them from there in place of solving for them; output times, stop conditions and statuses are found anew.
Steppers that can take such an outcome have :class:`Recalling`'s methods; the runs of the others take seconds.
"""

from __future__ import annotations

import shutil
import time
import typing
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError
from cellsim.files.reading import numbers, read_arrays
from cellsim.files.writing import write_arrays, write_text

EVERY = 30.0
"""Time between two writes [s]; a shorter run writes nothing."""
MARK = "run.txt"
"""File that says which run the steps belong to."""


@typing.runtime_checkable
class Recalling(typing.Protocol):
    """A stepper whose steps can be kept."""

    def newest(self) -> tuple[Array, ...]:
        """Outcome of the step that was taken last: arrays, of the same shapes at every step."""
        ...

    def recall(self, *outcome: Array) -> None:
        """Take a step whose outcome is known."""
        ...


class Tape:
    """The steps of the marches of one run, in their order.

    Parameters
    ----------
    folder : Path
        Made at the first write.
    mark : str
        What determines the run; steps of another one are not used.

    Attributes
    ----------
    finished : bool
        Whether the steps are of no more use when the run has ended; set it to False for a run that is to go on.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self.folder, self.mark = folder, mark
        self.marches = 0
        self.finished = True
        self.saved = time.monotonic()
        try:
            belongs = (folder / MARK).read_text(encoding="utf-8") == mark
        except (OSError, UnicodeDecodeError):
            belongs = False
        if not belongs and folder.is_dir():
            shutil.rmtree(folder)

    def next_march(self) -> Reel:
        """The steps of the next march."""
        self.marches += 1
        return Reel(self, self.marches)


class Reel:
    """The steps of one march: those of an earlier run, and those to be kept."""

    def __init__(self, tape: Tape, number: int) -> None:
        self._tape, self._number, self._files = tape, number, 0
        self._new: list[tuple[Array, ...]] = []
        self.left = deque(self._read())

    def add(self, outcome: tuple[Array, ...]) -> None:
        """Keep a step."""
        self._new.append(tuple(np.array(part) for part in outcome))
        if time.monotonic() - self._tape.saved > EVERY:
            self._write()

    def _write(self) -> None:
        tape, parts = self._tape, zip(*self._new, strict=True)
        tape.folder.mkdir(parents=True, exist_ok=True)
        write_text(tape.folder / MARK, tape.mark)
        write_arrays(self._file(), {f"part_{k}": np.array(part) for k, part in enumerate(parts)}, synced=True)
        self._files += 1
        self._new, tape.saved = [], time.monotonic()

    def _file(self) -> Path:
        return self._tape.folder / f"march-{self._number:02d}-{self._files:05d}.npz"

    def _read(self) -> Iterator[tuple[Array, ...]]:
        """Steps of the files in their order, up to one that is missing or damaged."""
        while self._file().is_file():
            try:
                arrays = read_arrays(self._file(), what="time steps of a run")
                where = str(self._file())
                parts = [numbers(arrays, f"part_{k}", where=where, finite=False) for k in range(len(arrays))]
            except InputError:
                return
            self._files += 1
            yield from zip(*parts, strict=False)


_tape: ContextVar[Tape | None] = ContextVar("tape", default=None)


@contextmanager
def kept_steps(folder: str | Path, mark: str) -> Iterator[Tape]:
    """Within the block the time steps of marches are kept in a folder, and taken from it; it is removed at the end.

    Parameters
    ----------
    folder : str or Path
        Of this run alone.
    mark : str
        What determines the run.
    """
    tape = Tape(Path(folder), mark)
    token = _tape.set(tape)
    try:
        yield tape
    finally:
        _tape.reset(token)
    if tape.finished:
        shutil.rmtree(folder, ignore_errors=True)


def reel_of(stepper: object) -> Reel | None:
    """The steps of the march that begins with this stepper; None where none are kept."""
    tape = _tape.get()
    return None if tape is None or not isinstance(stepper, Recalling) else tape.next_march()


def advance(stepper: typing.Any, bound: float, reel: Reel | None) -> None:
    """One accepted step, from an earlier run where that took it."""
    if reel is not None and reel.left:
        stepper.recall(*reel.left.popleft())
        return
    stepper.advance(bound)
    if reel is not None:
        reel.add(stepper.newest())
