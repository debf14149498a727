"""Folders of results: filled beside their place and moved in, locked while a process works in them; digests of files.

A folder of results is moved in file by file, the file that vouches for the others last; `cellsim.files.writing` writes
the files.

Whatever was run, an Onsager matrix, a fit, a comparison, a record of the virtual laboratory, is a `Result`: whoever
knows one knows all, and :func:`keep` writes any of them into a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from glob import escape as glob_escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from cellsim.base import CellsimError, InputError
from cellsim.files.writing import Rows, write_json, write_netcdf, write_rows

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import xarray as xr

LOCK = ".lock"
"""File in a folder that a process works in."""
HALF = ".partial"
"""End of the name of what is half made."""
PATIENCE = 60.0
"""How long a finished result waits for another process to leave its folder [s]."""
SAMPLED = 1 << 28
"""Above this size a file is told apart by its size, its time of change and samples of its contents [byte]."""


# ---- a folder of results ----------------------------------------------------------------------------------------


def check_writable(directory: str | Path, *, option: str = "-o") -> Path:
    """The folder of a result, not yet made: refuse what is no folder before any work is done.

    Parameters
    ----------
    directory : str or Path
        Where results are to go.
    option : str
        How another place is named on the command line, for the message.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        It is a file, or cannot be made.
    """
    directory = Path(directory)
    if directory.name in ("", ".."):
        directory = directory.resolve()
    parent = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    if not parent.is_dir():
        raise InputError(f"{parent}: is a file; name a folder with {option}")
    try:
        with tempfile.TemporaryDirectory(prefix=".cellsim-", dir=parent):
            pass
    except OSError as error:
        raise InputError(f"{parent}: is not writable ({error.strerror}); name another folder with {option}") from error
    return directory


@contextmanager
def work_folder(directory: str | Path) -> Iterator[Path]:
    """A folder in which long work keeps what it needs to go on; gone again where it leaves nothing there.

    Parameters
    ----------
    directory : str or Path
        Made if it is not there; one that was there stays, whatever is in it.

    Yields
    ------
    Path

    Raises
    ------
    InputError
        It is a file, or cannot be made.
    """
    directory = check_writable(directory)
    there = directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with alone_in(directory):
            yield directory
    finally:
        if not there:  # refused input, say: nothing to go on from
            _remove_empty(directory)


def _remove_empty(directory: Path) -> None:
    """Remove a folder that holds nothing but empty folders."""
    if directory.is_dir() and not any(path.is_file() for path in directory.rglob("*")):
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def result_folder(directory: str | Path, *, last: str = "summary.json", stale: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to fill; when the block ends well, its files are moved into `directory`.

    Parameters
    ----------
    directory : str or Path
        Where the results are to be; other files in it are left alone.
    last : str
        The file that vouches for the others: it leaves the old folder first and arrives in the new one last.
    stale : sequence of str
        Files of an earlier result that must not stay beside the new ones.

    Yields
    ------
    Path
        A hidden folder beside `directory`, gone afterwards.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    directory = check_writable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    _sweep(directory)
    there = directory.exists()
    try:
        with _own_folder(directory) as fresh:
            yield fresh
            directory.mkdir(exist_ok=True)
            with alone_in(directory, patience=PATIENCE):
                for old in (last, *stale):
                    (directory / old).unlink(missing_ok=True)
                for path in sorted(fresh.iterdir(), key=lambda path: (path.name == last, path.name)):
                    shutil.move(path, directory / path.name)
    except OSError as error:
        raise CellsimError(f"{directory}: cannot be written ({error.strerror or error})") from error
    finally:
        if not there:
            _remove_empty(directory)


@contextmanager
def _own_folder(directory: Path) -> Iterator[Path]:
    """A hidden folder beside a result's, locked while its process lives."""
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", suffix=HALF, dir=directory.parent) as name:
        if fcntl is None:
            yield Path(name)
            return
        lock = os.open(name, os.O_RDONLY)
        try:
            _try_lock(lock)
            yield Path(name)
        finally:
            os.close(lock)


def _sweep(directory: Path) -> None:
    """Remove what killed processes left half made beside a result's folder; those that live hold a lock."""
    own = f"{glob_escape(f'.{directory.name}-')}*{HALF}"
    for path in (*directory.parent.glob(".cellsim-????????"), *directory.parent.glob(own)):
        if fcntl is None or not path.is_dir():
            continue
        with suppress(OSError):  # gone meanwhile, or somebody else's
            lock = os.open(path, os.O_RDONLY)
            try:
                if _try_lock(lock):
                    shutil.rmtree(path, ignore_errors=True) if path.name.endswith(HALF) else path.rmdir()
            finally:
                os.close(lock)


def _try_lock(file: int) -> bool:
    """Whether this process now has the lock of an open file; the system takes it back when the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


_held: set[Path] = set()


@contextmanager
def alone_in(directory: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Work in a folder of results that no other process works in.

    The lock is the system's: that of a process that was killed is free again. Where there are no such locks, no check.

    Parameters
    ----------
    directory : Path
        It exists.
    patience : float
        How long to wait for another process [s].

    Raises
    ------
    InputError
        Another process works in it.
    """
    place = directory.resolve()
    if fcntl is None or place in _held:
        yield
        return
    path = place / LOCK
    begun = time.monotonic()
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        # the file may have been removed between opening and locking it: then it is the lock of nobody
        if _try_lock(lock) and path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
            break
        holder = os.read(lock, 200).decode("utf-8", "replace").strip() or "another process"
        os.close(lock)
        if time.monotonic() - begun > patience:
            raise InputError(
                f"{directory}: {holder} is working in it; wait until that has ended, or name another folder"
            )
        time.sleep(0.05)
    _held.add(place)
    try:
        os.truncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        _held.discard(place)
        path.unlink(missing_ok=True)
        os.close(lock)


def check_room(directory: Path, wanted: float, what: str) -> None:
    """Refuse to begin what the disk has no room for.

    Parameters
    ----------
    directory : Path
        An existing folder on that disk.
    wanted : float
        Room needed [byte].
    what : str
        What needs it, for the message.

    Raises
    ------
    InputError
        There is less.
    """
    free = shutil.disk_usage(directory).free
    if wanted > free:
        raise InputError(
            f"{directory}: {what} needs {wanted / 1e6:.3g} MB and the disk has {free / 1e6:.3g} MB free; make room, or "
            f"name another folder"
        )


# ---- contents ---------------------------------------------------------------------------------------------------


EXAMPLES = ("cases", "docs/notebooks")
"""Folders of examples, as the README names them."""


def copy_examples(directory: str | Path) -> Path:
    """Copy the cases with their data, and the notebooks, out of the installed package.

    Parameters
    ----------
    directory : str or Path
        A folder that does not exist yet, or is empty.

    Returns
    -------
    Path
        The folder, with ``cases`` and ``docs/notebooks`` in it.

    Raises
    ------
    InputError
        The folder holds something, or cannot be made.
    """
    target = Path(directory)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not empty; name another folder for the examples")
    package = Path(__file__).resolve().parents[1]
    source = package / "examples" if (package / "examples").is_dir() else package.parent  # a wheel, or a checkout
    left_out = shutil.ignore_patterns("__pycache__", "__marimo__", "*.pyc")
    try:
        for name in EXAMPLES:
            shutil.copytree(source / name, target / name, ignore=left_out, dirs_exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: the examples cannot be copied there ({error.strerror or error})") from error
    return target


def text_hash(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def values_hash(value: Any) -> str:
    """SHA-256 of plain values, whatever the order of their keys."""
    return text_hash(json.dumps(value, sort_keys=True))


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file; above `SAMPLED` of its size, time of change and 64 samples of a megabyte.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
    """
    path = Path(path)
    status = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if status.st_size <= SAMPLED:
            while block := stream.read(1 << 20):
                digest.update(block)
        else:
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            for k in range(64):
                stream.seek(k * (status.st_size - (1 << 20)) // 63, os.SEEK_SET)
                digest.update(stream.read(1 << 20))
    return digest.hexdigest()


# ---- results ----------------------------------------------------------------------------------------------------


class Result(Protocol):
    """What a finished analysis, fit, comparison or experiment hands over."""

    def lines(self) -> list[str]:
        """What the terminal shows."""

    def numbers(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Everything found as plain values, for JSON; a list where there is one entry for each of several cases."""

    def dataset(self) -> xr.Dataset | None:
        """The arrays behind the figure, with units and dimensions; None where there are none."""

    def draw(self, path: Path) -> Path:
        """The figure, written to `path`."""


def keep(
    result: Result,
    directory: str | Path,
    name: str,
    *,
    numbers: str = "summary.json",
    figure: bool = True,
    tables: Mapping[str, Rows] = MappingProxyType({}),
) -> list[Path]:
    """Write a result into a folder: ``NAME.nc``, ``NAME.png`` and its numbers, all or nothing.

    Parameters
    ----------
    result : Result
        What was found.
    directory : str or Path
        Made if it is not there; other files in it are left alone.
    name : str
        Of the dataset and the figure.
    numbers : str
        File of the numbers.
    figure : bool
        Whether to draw.
    tables : mapping
        Further tables: name of the file -> rows.

    Returns
    -------
    list of Path
        The files written.
    """
    directory = Path(directory)
    written = []
    with result_folder(directory, last=numbers) as fresh:
        data = result.dataset()
        if data is not None:
            written.append(write_netcdf(fresh / f"{name}.nc", data))
        written += [write_rows(fresh / table, rows) for table, rows in tables.items()]
        if figure:
            written.append(result.draw(fresh / f"{name}.png"))
        written.append(write_json(fresh / numbers, result.numbers()))
    return [directory / path.name for path in written]
