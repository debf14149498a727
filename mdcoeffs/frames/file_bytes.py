"""The bytes of trajectory files: compressed or not, and for binary ones whether they are whole and sound.

Readers drop a last frame that was cut short without a word, and decoders trust what a frame says of itself: a damaged
one kills the process or writes where it must not. So the heads of all frames are read here first, without decoding
anything.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO

from cellsim.base import InputError
from cellsim.files.reading import check_hdf5_length
from mdcoeffs.frames.binary_frames import check_dcd, check_netcdf, check_trr, check_xtc

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open}


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file that may be compressed (.gz, .bz2)."""
    opener = _OPENERS.get(path.suffix.lower())
    return opener(path, "rb") if opener else path.open("rb")  # type: ignore[operator]


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file as it lies on the disk."""
    with path.open("rb") as stream:
        return stream.read(count)


def first_lines(path: Path, count: int) -> list[str]:
    """The first lines of a text file; not text: empty strings.

    Raises
    ------
    InputError
        The file cannot be opened.
    """
    try:
        with open_bytes(path) as stream:
            return [stream.readline(4096).decode("utf-8", "replace").strip() for _ in range(count)]
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def check_structure(path: Path, trajectory_format: str, atoms: int) -> Sequence[int] | None:
    """Refuse a binary trajectory whose frames do not follow one another as their heads say; nothing is decoded.

    Parameters
    ----------
    path : Path
        The file.
    trajectory_format : str
        As MDAnalysis calls it; others than XTC, TRR, DCD, AMBER NetCDF and H5MD are taken as they are.
    atoms : int
        Of the topology.

    Returns
    -------
    sequence of int or None
        Of an XTC, where its frames begin [byte].

    Raises
    ------
    InputError
        With the first frame that is damaged.
    """
    status = path.stat()
    return _check_structure(path, trajectory_format, atoms, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)  # a file is opened several times: once is enough while it does not change
def _check_structure(path: Path, trajectory_format: str, atoms: int, size: int, changed: int) -> Sequence[int] | None:
    begins = {"XTC": (b"\0\0\x07\xcb", b"\0\0\x07\xe7"), "TRR": (b"\0\0\x07\xc9",)}.get(trajectory_format)
    if begins and not size:
        raise InputError(f"{path}: cannot be read as a trajectory: the file is empty")
    if begins and first_bytes(path, 4) not in begins:
        raise InputError(f"{path}: cannot be read as a trajectory (it does not begin as {trajectory_format} does)")
    if trajectory_format == "XTC":
        return check_xtc(path, atoms)
    if trajectory_format == "TRR":
        check_trr(path, atoms)
    elif trajectory_format in ("DCD", "LAMMPS"):
        check_dcd(path)
    elif trajectory_format in ("NCDF", "NC"):
        check_netcdf(path, atoms)
    elif trajectory_format == "H5MD":
        check_hdf5_length(path)
    return None
