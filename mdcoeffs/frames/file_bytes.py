"""The bytes of trajectory and topology files: compressed or not, which format, whole or cut short, damaged or sound.

Readers drop a last frame that was cut short without a word, and decoders trust what a frame says of itself: a damaged
one kills the process or writes where it must not. So the heads of all frames are read here first, without decoding
anything.
"""

from __future__ import annotations

import bz2
import gzip
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import InputError, shown
from cellsim.files.reading import check_hdf5_length
from mdcoeffs.frames.binary_frames import check_dcd, check_netcdf, check_trr, check_xtc, cut, damaged, refuse_rest

STYLES = {
    "atomic": "id type x y z",
    "charge": "id type charge x y z",
    **dict.fromkeys(("bond", "angle", "molecular"), "id resid type x y z"),
    "full": "id resid type charge x y z",
    "dipole": "id type charge x y z mux muy muz",
    "sphere": "id type diameter density x y z",
}
"""Atom style of LAMMPS -> its columns."""
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


def dump_columns(path: Path) -> list[str]:
    """Column names of a LAMMPS text dump; an empty list if it is not one."""
    lines = first_lines(path, 9)
    if extra := {"ITEM: UNITS", "ITEM: TIME"} & set(lines):
        raise InputError(
            f"{path}: has the lines {' and '.join(sorted(extra))}, which the reader does not know; write the dump with "
            "dump_modify units no time no, or remove these lines and those after them"
        )
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


def data_style(path: Path) -> str:
    """Columns of the atoms of a LAMMPS data file by the name of its style, ``Atoms # charge``; empty where it has none.

    Parameters
    ----------
    path : Path
        A data file, plain or compressed.

    Returns
    -------
    str
        In MDAnalysis' words, which takes seven columns for full and six for molecular where nothing is said.

    Raises
    ------
    InputError
        The file cannot be read, or its first atom has not as many columns as its style, with or without image flags.

    References
    ----------
    LAMMPS documentation, read_data: "Atoms section".
    """
    try:
        with open_bytes(path) as stream:
            for line in stream:
                if line.startswith(b"Atoms"):
                    name = _text(line.partition(b"#")[2])
                    style = STYLES.get(name, "")
                    first = next((row for row in islice(stream, 9) if row.strip()), b"").partition(b"#")[0].split()
                    if style and len(first) - len(style.split()) not in (0, 3):
                        raise InputError(
                            f"{path}: says that its atoms are of the style {name}, {style}, and the first one has "
                            f"{len(first)} columns; correct the line, or give atom_style"
                        )
                    return style
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return ""


def check_complete(path: Path, trajectory: Any) -> None:
    """Refuse a trajectory whose last frame is cut short, where its format lets one see it.

    Parameters
    ----------
    path : Path
        The file.
    trajectory : MDAnalysis reader
        Of that file.

    Raises
    ------
    InputError
        The file does not end where its last frame does.
    """
    kind = trajectory.format if isinstance(trajectory.format, str) else trajectory.format[0]  # NetCDF has several names
    if kind == "LAMMPSDUMP":
        _check_dump(path, trajectory.n_atoms)
    elif kind == "XYZ":
        xyz_boxes(path, trajectory.n_atoms)
    elif kind == "PDB":
        _check_pdb(path)
    check_structure(path, kind, trajectory.n_atoms)


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


def _check_dump(path: Path, atoms: int) -> None:
    """A LAMMPS dump, plain or compressed: nine lines of head and one per atom in every frame."""
    lines = 0
    tail = b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            lines += block.count(b"\n")
            tail = block[-1:]
    rest = (lines + (tail != b"\n")) % (atoms + 9)
    if rest:
        _refuse_lost(path, atoms)
    refuse_rest(path, rest, atoms + 9, "lines")
    if tail != b"\n":
        raise InputError(f"{path.name}: the last line is cut short; remove the last frame first")


def _refuse_lost(path: Path, atoms: int) -> None:
    """A LAMMPS dump in which atoms were lost or added: its lines do not divide into frames either."""
    frame = 0
    with open_bytes(path) as stream:
        for line in stream:
            if line.startswith(b"ITEM: NUMBER OF ATOMS"):
                count = next(stream, b"").strip()
                if count.isdigit() and int(count) != atoms:
                    raise InputError(
                        f"{path.name}: frame {frame} has {int(count)} atoms and the topology {atoms}: atoms were lost "
                        "or added there; cut the file before it, or use a run that keeps its atoms"
                    )
                frame += 1


def xyz_boxes(path: Path, atoms: int) -> NDArray[np.float64] | None:
    """Boxes in the comments of an XYZ file, plain or compressed, as extended XYZ has them; None where it has none.

    Parameters
    ----------
    path : Path
        The file.
    atoms : int
        Of the topology.

    Returns
    -------
    array (frames, 3, 3) or None
        Box vectors as rows [angstrom].

    Raises
    ------
    InputError
        A frame that is damaged or cut short: it must have the number of atoms, a comment, and the same names in order;
        comments that state a box in some frames only, or columns other than species and positions first.

    References
    ----------
    Extended XYZ, https://github.com/libAtoms/extxyz: Lattice and Properties.
    """
    status = path.stat()
    return _xyz_boxes(path, atoms, status.st_size, status.st_mtime_ns)


_LATTICE, _PROPERTIES = re.compile(rb'\bLattice\s*=\s*"([^"]*)"'), re.compile(rb'\bProperties\s*=\s*"?([^\s"]*)')


@lru_cache(maxsize=8)  # read when it is checked, and again by whoever needs the boxes
def _xyz_boxes(path: Path, atoms: int, size: int, changed: int) -> NDArray[np.float64] | None:
    names: list[bytes] = []
    boxes: list[list[float]] = []
    frame = 0
    last = b"\n"
    with open_bytes(path) as stream:
        while head := stream.readline():
            if not head.strip() and not stream.read().strip():
                break  # empty lines at the end
            if head.split() != [b"%d" % atoms]:
                raise damaged(
                    path, frame, f"its first line is not the number of atoms, {atoms}, but {shown(_text(head))}"
                )
            box = _lattice(path, frame, stream.readline())
            if frame and bool(box) != (len(boxes) == frame):
                raise damaged(path, frame, "it states a Lattice and others do not, or the other way round")
            boxes += [box] if box else []
            rows = list(islice(stream, atoms))
            if len(rows) < atoms:
                refuse_rest(path, len(rows) + 2, atoms + 2, "lines")
            lines, last = [row.split(None, 4) for row in rows], rows[-1]
            found = [line[0] if len(line) > 3 else b"" for line in lines]
            names = names or found
            if found != names or b"" in found:
                at = next(k for k in range(atoms) if found[k] != names[k] or not found[k])
                raise damaged(
                    path, frame, f"atom {at} is {shown(_text(found[at]))}, and {_text(names[at])} in the first frame"
                )
            frame += 1
    if not last.endswith(b"\n"):
        raise InputError(
            f"{path.name}: the last line is cut short; remove the last frame first, or end the line if it is whole"
        )
    return np.array(boxes).reshape(-1, 3, 3) if boxes else None


def _lattice(path: Path, frame: int, comment: bytes) -> list[float]:
    """The nine numbers of the box in the comment of a frame; none where there is no box."""
    columns = _PROPERTIES.search(comment)
    if columns and not columns[1].lower().startswith(b"species:s:1:pos:r:3"):
        raise InputError(
            f"{path.name}: frame {frame} has the columns {shown(_text(columns[1]))}; species and positions must come "
            "first, as in Properties=species:S:1:pos:R:3"
        )
    lattice = _LATTICE.search(comment)
    if not lattice:
        return []
    try:
        numbers = [float(each) for each in lattice[1].split()]
    except ValueError:
        numbers = []
    if len(numbers) != 9 or not all(map(math.isfinite, numbers)):
        raise damaged(path, frame, f"its Lattice is {shown(_text(lattice[1]))}, which are not nine numbers")
    return numbers


def _check_pdb(path: Path) -> None:
    """A PDB of several models: each has the atoms of the first one in their order, and their numbers are evenly spaced.

    References
    ----------
    "Atomic Coordinate Entry Format Description", version 3.3, wwPDB, sections 9 (MODEL, ATOM, ENDMDL).
    """
    first: list[bytes] = []  # name, residue, chain and number of the residue of each atom
    found: list[bytes] = []
    models, number, step, inside = 0, 0, 0, False
    with open_bytes(path) as stream:
        for line in stream:
            record = line[:6]
            if record in (b"ATOM  ", b"HETATM"):
                found.append(line[12:26])
            elif record == b"MODEL ":
                if inside or found:
                    raise damaged(path, models, "its atoms are outside of a model, or a model begins inside another")
                text = line[6:].strip()
                before, number, inside = number, int(text) if text.isdigit() else 0, True
                step = number - before if models == 1 else step
                anew = before >= 9999 and number <= 1  # there are four digits
                if models > 1 and number - before != step and not anew:
                    raise damaged(path, models, f"model {number} follows model {before}")
                models += 1
            elif record == b"ENDMDL":
                first = first or found
                if not inside or found != first:
                    raise damaged(path, models - 1, "its atoms are not those of the first model")
                found, inside = [], False
    if inside or (models and found):
        raise cut(path)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
