"""The bytes of trajectory and topology files: compressed or not, which format, whole or cut short, damaged or sound.

Readers drop a last frame that was cut short without a word, and decoders trust what a frame says of itself: a damaged
one kills the process or writes where it must not. So the heads of all frames are read here first, and the packed
positions of an XTC are walked, without decoding anything.
"""

from __future__ import annotations

import bz2
import gzip
import math
import mmap
import os
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numba
import numpy as np
from numpy.typing import NDArray

from cellsim.base import InputError, shown
from cellsim.files.reading import check_hdf5_length

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


def check_complete(path: Path, trajectory: Any) -> Sequence[int] | None:
    """Refuse a trajectory whose last frame is cut short, where its format lets one see it.

    Parameters
    ----------
    path : Path
        The file.
    trajectory : MDAnalysis reader
        Of that file.

    Returns
    -------
    sequence of int or None
        As :func:`check_structure`.

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
    return check_structure(path, kind, trajectory.n_atoms)


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
        Of an XTC, where its frames begin: each is to be checked with :func:`check_packed` before it is decoded.

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
        return _check_xtc(path, atoms)
    if trajectory_format == "TRR":
        _check_trr(path, atoms)
    elif trajectory_format in ("DCD", "LAMMPS"):
        _check_dcd(path)
    elif trajectory_format in ("NCDF", "NC"):
        _check_netcdf(path, atoms)
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
    _refuse_rest(path, rest, atoms + 9, "lines")
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
                raise _damaged(
                    path, frame, f"its first line is not the number of atoms, {atoms}, but {shown(_text(head))}"
                )
            box = _lattice(path, frame, stream.readline())
            if frame and bool(box) != (len(boxes) == frame):
                raise _damaged(path, frame, "it states a Lattice and others do not, or the other way round")
            boxes += [box] if box else []
            rows = list(islice(stream, atoms))
            if len(rows) < atoms:
                _refuse_rest(path, len(rows) + 2, atoms + 2, "lines")
            lines, last = [row.split(None, 4) for row in rows], rows[-1]
            found = [line[0] if len(line) > 3 else b"" for line in lines]
            names = names or found
            if found != names or b"" in found:
                at = next(k for k in range(atoms) if found[k] != names[k] or not found[k])
                raise _damaged(
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
        raise _damaged(path, frame, f"its Lattice is {shown(_text(lattice[1]))}, which are not nine numbers")
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
                    raise _damaged(path, models, "its atoms are outside of a model, or a model begins inside another")
                text = line[6:].strip()
                before, number, inside = number, int(text) if text.isdigit() else 0, True
                step = number - before if models == 1 else step
                anew = before >= 9999 and number <= 1  # there are four digits
                if models > 1 and number - before != step and not anew:
                    raise _damaged(path, models, f"model {number} follows model {before}")
                models += 1
            elif record == b"ENDMDL":
                first = first or found
                if not inside or found != first:
                    raise _damaged(path, models - 1, "its atoms are not those of the first model")
                found, inside = [], False
    if inside or (models and found):
        raise _cut(path)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()


_XTC_HEAD, _XTC_PACKED = struct.Struct(">3i10fi"), struct.Struct(">f7i")


def _check_xtc(path: Path, atoms: int) -> Sequence[int]:
    """An XTC: every frame's head says how long it is, and what the decoder, which trusts it, is to write where.

    References
    ----------
    GROMACS, src/gromacs/fileio/xtcio.cpp and libxdrf.cpp.
    """
    end = path.stat().st_size
    with path.open("rb", buffering=0) as stream:
        place = 0
        places: list[int] = []
        while place < end:
            head = os.pread(stream.fileno(), 96, place)
            if len(head) < 56:
                raise _cut(path)
            magic, count, _, *real, again = _XTC_HEAD.unpack_from(head)
            if magic not in (1995, 2023):
                raise _damaged(path, len(places), "it does not begin as a frame does")
            if not count == again == atoms:
                raise _damaged(path, len(places), f"it holds {count} atoms, the topology {atoms}")
            if not math.isfinite(sum(real)):
                raise _damaged(path, len(places), "its time or its box is no number")
            if atoms <= 9:
                length = 56 + 12 * atoms  # so few atoms are not compressed
            else:
                start = 96 if magic == 2023 else 92
                if len(head) < start:
                    raise _cut(path)
                precision, a, b, c, A, B, C, small = _XTC_PACKED.unpack_from(head, 56)
                # outside 9 to 72 the decoder reads behind its table of small numbers
                if not (0 < precision < math.inf and 9 <= small <= 72 and a <= A and b <= B and c <= C):
                    raise _damaged(path, len(places), "the head of its packed positions is none")
                packed = int.from_bytes(head[88:start], "big", signed=True)
                if not 0 < packed <= 24 * atoms + 64:  # packed positions are shorter than unpacked ones
                    raise _damaged(path, len(places), f"it says that its positions take {packed} bytes")
                length = start + -(-packed // 4) * 4
            places.append(place)
            place += length
    if place != end:
        raise _cut(path)
    return places


def _check_trr(path: Path, atoms: int) -> None:
    """A TRR: every frame's head holds the sizes of its blocks, single or double precision.

    References
    ----------
    GROMACS, src/gromacs/fileio/trrio.cpp.
    """
    end = path.stat().st_size
    with path.open("rb", buffering=0) as stream:
        place = frame = 0
        while place < end:
            head = os.pread(stream.fileno(), 76, place)
            if len(head) < 76:
                raise _cut(path)
            *begin, name = struct.unpack_from(">3i12s", head)
            *sizes, count, _, _ = struct.unpack_from(">13i", head, 24)
            if begin != [1993, 13, 12] or name != b"GMX_trn_file":
                raise _damaged(path, frame, "it does not begin as a frame does")
            if count != atoms:
                raise _damaged(path, frame, f"it holds {count} atoms, the topology {atoms}")
            real = sizes[2] // 9 or max(sizes[7:]) // (3 * atoms)
            matrix, vectors = 9 * real, 3 * atoms * real
            allowed = [(0,), (0,), (0, matrix), (0, matrix), (0, matrix), (0,), (0,), *[(0, vectors)] * 3]
            if real not in (4, 8) or any(size not in sizes_of for size, sizes_of in zip(sizes, allowed, strict=True)):
                raise _damaged(path, frame, f"the sizes of its blocks do not fit {atoms} atoms")
            place += 76 + 2 * real + sum(sizes)
            frame += 1
    if place != end:
        raise _cut(path)


def _check_dcd(path: Path) -> None:
    """A DCD: frames of equal length after the head, every record between two numbers that say how long it is."""
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
    end, axis = path.stat().st_size, 4 * atoms + 8
    records = ([56] if number(head[48:52]) else []) + [axis] * (4 if number(head[52:56]) else 3)
    frame = sum(records)
    if start > end or not atoms:
        raise InputError(f"{path.name}: its head is damaged; take the file from its source again")
    _refuse_rest(path, (end - start) % frame, frame, "bytes")
    data = (
        np.memmap(path, np.uint8, "r", start, ((end - start) // frame, frame)) if end > start else np.empty((0, frame))
    )
    place = 0
    for length in records:
        for at in (place, place + length - 4):
            marks = np.ascontiguousarray(data[:, at : at + 4]).view("<u4" if order == "little" else ">u4")
            if np.any(marks != length - 8):
                raise _damaged(
                    path, int(np.argmax(marks != length - 8)), "its records do not begin and end as they say"
                )
        place += length


_NC_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}
"""Type of a NetCDF value -> its length [byte]."""


def _check_netcdf(path: Path, atoms: int) -> None:
    """An AMBER NetCDF: its head says where each variable lies, how long a frame is, and how many frames there are.

    References
    ----------
    "The NetCDF Classic Format Specification", Unidata (file_format_specifications.html).
    """
    end = path.stat().st_size
    if not end:
        raise InputError(f"{path}: cannot be read as a trajectory: the file is empty")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:8] == b"\x89HDF\r\n\x1a\n":
            raise InputError(
                f"{path}: is a NetCDF-4 file, and AMBER's trajectories are NetCDF-3; convert it with nccopy -k "
                "64-bit-offset"
            )
        if data[:3] != b"CDF" or data[3] not in (1, 2):
            raise InputError(f"{path}: cannot be read as a trajectory (it does not begin as NetCDF does)")
        wide = data[3] == 2
        try:
            frames, sizes, variables, head = _netcdf_head(data, wide)
        except (struct.error, ValueError, LookupError) as error:
            raise InputError(f"{path.name}: its head is damaged; take the file from its source again") from error
    if sizes.get("atom") != atoms:
        raise InputError(f"{path.name}: it holds {sizes.get('atom', 'no')} atoms, the topology {atoms}")
    fixed = sorted((begin, length) for begin, length, of_frame in variables if not of_frame)
    framed = sorted((begin, length) for begin, length, of_frame in variables if of_frame)
    place = head
    for begin, length in fixed:
        place = begin + length if begin >= place else end + 1
    start = framed[0][0] if framed else 0
    sound = bool(framed) and place <= start
    place = start
    for begin, length in framed:  # they follow one another without gaps
        sound, place = sound and begin == place, begin + length
    if not sound:
        raise InputError(
            f"{path.name}: its head is damaged: its variables overlap or lie outside the file; take the file from its "
            "source again"
        )
    frame = place - start
    if frames == 0xFFFFFFFF:  # written as a stream: as many as there are
        frames = (end - start) // frame
    _refuse_rest(path, (end - start) % frame, frame, "bytes")
    if end != start + frames * frame:
        raise InputError(
            f"{path.name}: says that it holds {frames} frames and has the length of {(end - start) // frame}; take the "
            "file from its source again"
        )


def _netcdf_head(data: mmap.mmap, wide: bool) -> tuple[int, dict[str, int], list[tuple[int, int, bool]], int]:
    """Frames, lengths of dimensions, (begin, length, whether one for each frame) of variables, length of the head."""
    place = 4

    def number(kind: str = "I") -> int:
        nonlocal place
        (value,) = struct.unpack_from(f">{kind}", data, place)
        place += struct.calcsize(kind)
        return int(value)

    def skip(length: int) -> bytes:
        nonlocal place
        begin, place = place, place + -(-length // 4) * 4
        if place > len(data) or any(data[begin + length : place]):
            raise ValueError("the file ends there, or what fills up four bytes is not zero")
        return data[begin : begin + length]

    def name() -> str:
        text = skip(number()).decode("utf-8")
        if not text or not text.isprintable():
            raise ValueError("no name")
        return text

    def count(tag: int) -> int:
        found, items = number(), number()
        if found not in (0, tag) or (not found and items):
            raise ValueError("a list of something else")
        return items

    def attributes() -> None:
        for _ in range(count(12)):
            name()
            kind, items = number(), number()
            skip(_NC_SIZES[kind] * items)

    frames = number()
    dimensions = [(name(), number()) for _ in range(count(10))]
    attributes()
    variables = []
    for _ in range(count(11)):
        name()
        axes = [dimensions[number()] for _ in range(number())]
        attributes()
        kind, _, begin = number(), number(), number("Q" if wide else "I")
        framed = bool(axes) and axes[0][1] == 0
        lengths = [length for _, length in axes[framed:]]
        if 0 in lengths:
            raise ValueError("an axis without length")
        variables.append((begin, _NC_SIZES[kind] * math.prod(lengths), framed))
    # each fills up four bytes, but for one that is the only one with a value for each frame
    alone = sum(framed for _, _, framed in variables) == 1
    padded = [(at, size if alone and framed else -(-size // 4) * 4, framed) for at, size, framed in variables]
    return frames, dict(dimensions), padded, place


def _damaged(path: Path, frame: int, why: str) -> InputError:
    return InputError(
        f"{path.name}: frame {frame} is damaged: {why}; take the file from its source again, or cut it there"
    )


def _cut(path: Path) -> InputError:
    return InputError(f"{path.name}: the last frame is cut short or followed by something else; remove it first")


# The decoder of XTC trusts the bits it decodes: where they are damaged, which no head betrays, it writes where it must
# not, and the process dies of it or, worse, goes on. Walking over the bits first, without making numbers of them, tells
# what it would do: it must stay inside its tables, make as many atoms as there are, and end where the bits end.


def check_packed(path: Path, place: int) -> None:
    """Refuse a frame of an XTC whose packed positions cannot have been written as they are.

    Parameters
    ----------
    path : Path
        The file, its structure checked.
    place : int
        Where the frame begins [byte].

    Raises
    ------
    InputError
        The bits do not make the atoms.
    """
    with path.open("rb", buffering=0) as stream:
        head = os.pread(stream.fileno(), 96, place)
        magic, atoms = struct.unpack_from(">2i", head)
        if atoms <= 9:
            return
        start = 96 if magic == 2023 else 92
        packed = np.frombuffer(
            os.pread(stream.fileno(), int.from_bytes(head[88:start], "big"), place + start), np.uint8
        )
    _, a, b, c, A, B, C, small = _XTC_PACKED.unpack_from(head, 56)
    sizes = (A - a + 1, B - b + 1, C - c + 1)
    wide = max(sizes) > 0xFFFFFF  # then each coordinate has its own bits, else the three are one number
    bits = sum(size.bit_length() for size in sizes) if wide else math.prod(sizes).bit_length()
    if max(sizes) >= 2**31 or not _walked(packed, atoms, bits, small):
        raise InputError(
            f"{path.name}: the packed positions of the frame at byte {place} are damaged; take the file from "
            f"its source again, or cut it there"
        )


@numba.njit(cache=True, nogil=True)
def _walked(packed: NDArray[np.uint8], atoms: int, bits: int, small: int) -> bool:
    """Whether packed positions hold so many atoms and nothing else; as xdr3dfcoord of GROMACS' libxdrf.cpp decodes."""
    place = done = run = 0
    end = 8 * packed.size
    while done < atoms:
        place += bits
        if place >= end:
            return False
        done += 1
        change = 0
        flag = (packed[place >> 3] >> (7 - (place & 7))) & 1
        place += 1
        if flag:
            if place + 5 > end:
                return False
            run = 0
            for _ in range(5):
                run = 2 * run + ((packed[place >> 3] >> (7 - (place & 7))) & 1)
                place += 1
            change = run % 3
            run -= change
            change -= 1
        done += run // 3
        place += run // 3 * small
        small += change
        if not 9 <= small <= 72:
            return False
    return done == atoms and place <= end < place + 8


def _refuse_rest(path: Path, rest: int, whole: int, unit: str) -> None:
    if rest:
        raise InputError(f"{path.name}: the last frame is cut short ({rest} of {whole} {unit}); remove it first")
