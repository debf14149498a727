"""Is a trajectory file whole? Readers drop a last frame that was cut short without a word; this looks at the bytes."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import IO

from cellsim.base import InputError

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open}


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file that may be compressed (.gz, .bz2)."""
    opener = _OPENERS.get(path.suffix.lower())
    return opener(path, "rb") if opener else path.open("rb")  # type: ignore[operator]


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


def dump_columns(path: Path) -> list[str]:
    """Column names of a LAMMPS text dump; an empty list if it is not one."""
    lines = first_lines(path, 9)
    if not lines or lines[0] != "ITEM: TIMESTEP":
        return []
    header = next((line for line in lines if line.startswith("ITEM: ATOMS")), "")
    return header.split()[2:]


def topology_format(path: Path) -> str:
    """LAMMPS data files go by any name; their first line tells them."""
    line = first_lines(path, 1)[0]
    if line.startswith("LAMMPS") and path.suffix.lower() not in (".data", ".lammpsdump"):
        return "DATA"
    return "LAMMPSDUMP" if line == "ITEM: TIMESTEP" else ""


def check_dump(path: Path, atoms: int) -> None:
    """Refuse a LAMMPS dump whose last frame is cut short.

    Parameters
    ----------
    path : Path
        The dump, plain or compressed.
    atoms : int
        Atoms per frame.

    Raises
    ------
    InputError
        If lines are missing at the end.
    """
    lines = 0
    tail = b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            lines += block.count(b"\n")
            tail = block[-1:]
    _short(path, (lines + (tail != b"\n")) % (atoms + 9), atoms + 9, "lines")
    if tail != b"\n":
        raise InputError(f"{path.name}: the last line is cut short; remove the last frame first")


def check_xtc(path: Path, last: int) -> None:
    """Refuse an XTC whose last frame is cut short.

    Parameters
    ----------
    path : Path
        The file.
    last : int
        Offset of the last frame [byte].

    Raises
    ------
    InputError
        If the file does not end where its last frame does.
    """
    end = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(last)
        head = stream.read(96)
    atoms = int.from_bytes(head[4:8], "big")
    if atoms <= 9:
        length = 56 + 12 * atoms
    else:
        start = 96 if int.from_bytes(head[:4], "big") == 2023 else 92
        length = start + -(-int.from_bytes(head[88:start], "big") // 4) * 4
    if last + length != end:
        raise InputError(f"{path.name}: the last frame is cut short or followed by something else; remove it first")


def check_dcd(path: Path) -> None:
    """Refuse a DCD whose last frame is cut short.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If its size is not a whole number of frames.
    """
    with path.open("rb") as stream:
        head = stream.read(92)
        order = "little" if head[:4] == b"\x54\x00\x00\x00" else "big"

        def number(data: bytes) -> int:
            return int.from_bytes(data, order)  # type: ignore[arg-type]

        if number(head[:4]) != 84 or head[4:8] != b"CORD" or number(head[40:44]):
            return  # a dialect (64-bit markers, fixed atoms) that is left to the reader
        title = number(stream.read(4))
        stream.seek(title + 8, 1)
        atoms = number(stream.read(4))
        start = stream.tell() + 4
    frame = 3 * (4 * atoms + 8) + (56 if number(head[48:52]) else 0) + (
        4 * atoms + 8 if number(head[52:56]) else 0
    )  # fmt: skip
    _short(path, (path.stat().st_size - start) % frame, frame, "bytes")


def _short(path: Path, rest: int, whole: int, unit: str) -> None:
    if rest:
        raise InputError(f"{path.name}: the last frame is cut short ({rest} of {whole} {unit}); remove it first")
