"""Frame after frame through the files of one run, read one ahead, with the checks a reader does not make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cellsim.base import InputError
from mdcoeffs.frames.reading import PICOSECOND
from mdcoeffs.inputs.files import check_dcd, check_dump, check_xtc, dump_columns

T = TypeVar("T")
BAD_FILE = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, AttributeError, RuntimeError)
"""What readers raise for a file they cannot read."""


def load(universe: Any, path: Path, options: dict[str, Any]) -> None:
    """Make `path` the trajectory of `universe`.

    Raises
    ------
    InputError
        A file that cannot be read, or with another number of atoms.
    """
    try:
        universe.load_new(str(path), **options)
    except BAD_FILE as error:
        raise InputError(f"{path}: cannot be read as a trajectory ({brief(error)})") from error


def frames(universe: Any, files: Sequence[Any], stride: int, begin: int) -> Iterator[tuple[int, str, Any]]:
    """(running number of the used frame, file name, timestep), from number `begin` on."""
    number = 0
    before = 0
    for path, options in files:
        if path is not None and len(files) > 1:
            load(universe, path, options)
        trajectory = universe.trajectory
        label = Path(path or trajectory.filename or "trajectory").name
        _check_complete(path, trajectory)
        offset = -before % stride
        before += len(trajectory)
        here = range(offset, len(trajectory), stride)
        skip = min(max(begin - number, 0), len(here))
        number += skip
        frame = here[skip] if skip < len(here) else len(trajectory)
        if frame >= len(trajectory):
            continue
        try:
            for ts in trajectory[frame::stride] if frame or stride > 1 else trajectory:
                yield number, label, ts
                number += 1
                frame += stride
        except InputError:
            raise
        except BAD_FILE as error:
            raise InputError(
                f"{label}: frame {frame} cannot be read ({brief(error)}): the file is cut short or damaged"
            ) from error
        if frame < len(trajectory):
            raise InputError(f"{label}: frame {frame} of {len(trajectory)} is missing: the file is cut short")


def snapshots(
    universe: Any,
    files: Sequence[Any],
    stride: int,
    begin: int,
    timestep: float | None,
    interval: float | None,
    flags: bool,
) -> Iterator[tuple[int, str, float, NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]]:
    """(running number, file name, time [s], positions, box lengths and angles, image flags).

    Positions are copied into two buffers in turn: one is worked on while the other is filled.
    """
    buffers = [np.empty((len(universe.atoms), 3), dtype=np.float32) for _ in range(2)]
    for number, label, ts in frames(universe, files, stride, begin):
        time = _frame_time(universe.trajectory, number * stride, timestep, interval, label)
        images = np.stack([ts.data[key] for key in ("ix", "iy", "iz")], axis=1) if flags else None
        buffers.reverse()
        buffers[0][:] = ts.positions
        # The reader owns its box and changes it in place (in nm, then in angstrom) while the next frame is read.
        box = None if ts.dimensions is None else np.array(ts.dimensions)
        yield number, label, time, buffers[0], box, images


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one read in a thread of its own while the present one is worked on.

    The reader holds the interpreter and the unwrapping does not, so on two cores the unwrapping costs no time.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mdcoeffs-reader") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item


def _check_complete(path: Path | None, trajectory: Any) -> None:
    if path is None:
        return
    if trajectory.format == "LAMMPSDUMP":
        check_dump(path, trajectory.n_atoms)
    elif trajectory.format == "XTC":
        check_xtc(path, int(trajectory._xdr.offsets[-1]))
    elif trajectory.format in ("DCD", "LAMMPS"):
        check_dcd(path)


def _frame_time(trajectory: Any, frame: int, timestep: float | None, interval: float | None, label: str) -> float:
    ts = trajectory.ts
    if interval is not None:
        return frame * interval
    if trajectory.format == "LAMMPSDUMP":
        if timestep is None:
            raise InputError(
                f'{label}: frames are numbered in steps, not in time; give timestep = "2 fs" (the MD step)'
            )
        return float(ts.data["step"]) * timestep
    return float(ts.time) * PICOSECOND


def lengths(universe: Any, files: Sequence[Any], stride: int) -> list[int]:
    """Used frames per file, an upper bound (start and stop may leave some out)."""
    found = []
    before = 0
    for path, options in files:
        if path is not None and len(files) > 1:
            load(universe, path, options)
        count = len(universe.trajectory)
        found.append(len(range(-before % stride, count, stride)))
        before += count
    if path is not None and len(files) > 1:
        load(universe, *files[0])
    return found


def convention(universe: Any, path: Path | None, coordinates: str) -> tuple[bool, bool]:
    """(positions are or can be made unwrapped, by image flags)."""
    columns = dump_columns(path) if path is not None and universe.trajectory.format == "LAMMPSDUMP" else []
    flags = {"ix", "iy", "iz"} <= set(columns) and {"ix", "iy", "iz"} <= set(universe.trajectory.ts.data)
    wrapped = bool({"x", "xs"} & set(columns))
    if coordinates == "wrapped":
        return False, False
    if flags and wrapped:
        return True, True
    return coordinates == "unwrapped" or (bool({"xu", "xsu"} & set(columns)) and not wrapped), False


def brief(error: BaseException) -> str:
    """The message of an error on one line."""
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__
