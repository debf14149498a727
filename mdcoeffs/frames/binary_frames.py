"""Binary trajectory frames: their heads are walked, and nothing is decoded.

Decoders trust what a frame says of itself: a damaged one kills the process or writes where it must not.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cellsim.base import InputError

_XTC_HEAD, _XTC_PACKED = struct.Struct(">3i10fi"), struct.Struct(">f7i")


class XtcHead(NamedTuple):
    """What the head of a frame of an XTC says.

    Parameters
    ----------
    step : int
        MD step.
    time : float
        [ps].
    precision : float
        Positions were multiplied with it and rounded to whole numbers [1/nm]; 0 where they are not packed.
    least, most : tuple of int
        Of these whole numbers, along x, y and z.
    small : int
        Which size the first differences between neighbours have, 9 to 72.
    packed : int
        Length of the packed positions [byte].
    start, length : int
        Where the positions begin in the frame, and how long the frame is [byte].
    """

    step: int
    time: float
    precision: float
    least: tuple[int, ...]
    most: tuple[int, ...]
    small: int
    packed: int
    start: int
    length: int


def xtc_head(raw: bytes, atoms: int, path: Path, frame: int) -> XtcHead:
    """The head of a frame of an XTC.

    Parameters
    ----------
    raw : bytes
        From the beginning of the frame, 96 where there are as many.
    atoms : int
        Of the topology.
    path : Path
        The file, for messages.
    frame : int
        Number of the frame in it, for messages.

    Returns
    -------
    XtcHead

    Raises
    ------
    InputError
        A head that no frame of so many atoms has.

    References
    ----------
    GROMACS, src/gromacs/fileio/xtcio.cpp and libxdrf.cpp.
    """
    if len(raw) < 56:
        raise cut(path, frame)
    magic, count, step, *real, again = _XTC_HEAD.unpack_from(raw)
    if magic not in (1995, 2023):
        raise damaged(path, frame, "it does not begin as a frame does")
    if not count == again == atoms:
        raise damaged(path, frame, f"it holds {count} atoms, the topology {atoms}")
    if not math.isfinite(sum(real)):
        raise damaged(path, frame, "its time or its box is no number")
    if atoms <= 9:  # so few atoms are not packed
        return XtcHead(step, real[0], 0.0, (), (), 0, 12 * atoms, 56, 56 + 12 * atoms)
    start = 96 if magic == 2023 else 92
    if len(raw) < start:
        raise cut(path, frame)
    precision, *bounds, small = _XTC_PACKED.unpack_from(raw, 56)
    least, most = tuple(bounds[:3]), tuple(bounds[3:])
    # the table of small numbers goes from 9 to 72
    if not (
        1e-30 < precision < math.inf and 9 <= small <= 72 and all(a <= b for a, b in zip(least, most, strict=True))
    ):
        raise damaged(path, frame, "the head of its packed positions is none")
    packed = int.from_bytes(raw[88:start], "big", signed=True)
    if not 0 < packed <= 24 * atoms + 64:  # packed positions are shorter than unpacked ones
        raise damaged(path, frame, f"it says that its positions take {packed} bytes")
    return XtcHead(step, real[0], precision, least, most, small, packed, start, start + -(-packed // 4) * 4)


def check_xtc(path: Path, atoms: int) -> Sequence[int]:
    """An XTC: every frame's head says how long it is; where the frames begin [byte]."""
    end = path.stat().st_size
    place = 0
    places: list[int] = []
    with path.open("rb", buffering=0) as stream:
        while place < end:
            try:
                head = xtc_head(os.pread(stream.fileno(), 96, place), atoms, path, len(places))
            except CutShort as error:
                _check_begun(path, len(places), os.pread(stream.fileno(), 8, place), os.pread(stream.fileno(), 8, 0))
                error.places = [*places, place]
                raise
            places.append(place)
            place += head.length
    if place != end:
        raise cut(path, len(places) - 1, places)
    return places


def check_trr(path: Path, atoms: int) -> None:
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
                _check_begun(path, frame, head, os.pread(stream.fileno(), 24, 0))
                raise cut(path, frame)
            *begin, name = struct.unpack_from(">3i12s", head)
            *sizes, count, _, _ = struct.unpack_from(">13i", head, 24)
            if begin != [1993, 13, 12] or name != b"GMX_trn_file":
                raise damaged(path, frame, "it does not begin as a frame does")
            if count != atoms:
                raise damaged(path, frame, f"it holds {count} atoms, the topology {atoms}")
            real = sizes[2] // 9 or max(sizes[7:]) // (3 * atoms)
            matrix, vectors = 9 * real, 3 * atoms * real
            allowed = [(0,), (0,), (0, matrix), (0, matrix), (0, matrix), (0,), (0,), *[(0, vectors)] * 3]
            if real not in (4, 8) or any(size not in sizes_of for size, sizes_of in zip(sizes, allowed, strict=True)):
                raise damaged(path, frame, f"the sizes of its blocks do not fit {atoms} atoms")
            place += 76 + 2 * real + sum(sizes)
            frame += 1
    if place != end:
        raise cut(path, frame - 1)


def check_dcd(path: Path) -> None:
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
    data = (
        np.memmap(path, np.uint8, "r", start, ((end - start) // frame, frame)) if end > start else np.empty((0, frame))
    )
    place = 0
    for length in records:
        for at in (place, place + length - 4):
            marks = np.ascontiguousarray(data[:, at : at + 4]).view("<u4" if order == "little" else ">u4")
            if np.any(marks != length - 8):
                raise damaged(path, int(np.argmax(marks != length - 8)), "its records do not begin and end as they say")
        place += length
    refuse_rest(path, (end - start) % frame, frame, "bytes", len(data))


_NC_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}
"""Type of a NetCDF value -> its length [byte]."""


def check_netcdf(path: Path, atoms: int) -> None:
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
    whole, rest = divmod(end - start, frame)
    if frames == 0xFFFFFFFF:  # written as a stream: as many as there are
        frames = whole
    if rest and frames != whole:
        raise InputError(
            f"{path.name}: the last frame is cut short ({rest} of {frame} bytes) and its head says that there are "
            f"{frames} frames, not {whole}; copy the file from its source again"
        )
    refuse_rest(path, rest, frame, "bytes", whole)
    if end != start + frames * frame:
        raise InputError(
            f"{path.name}: says that it holds {frames} frames and has the length of {whole}; take the file from its "
            "source again"
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


def damaged(path: Path, frame: int, why: str) -> InputError:
    """A frame that cannot have been written as it is, in a sentence."""
    return InputError(
        f"{path.name}: frame {frame} is damaged: {why}; take the file from its source again, or cut it there"
    )


class CutShort(InputError):
    """A file that does not end with a whole frame.

    Attributes
    ----------
    whole : int
        Frames before the one that is cut short; they are sound.
    places : sequence of int or None
        Of an XTC, where these begin, and behind them the one that is cut short.
    """

    whole: int = 0
    places: Sequence[int] | None = None


def cut(path: Path, whole: int, places: Sequence[int] | None = None, *, how: str = "") -> CutShort:
    """A file that ends after `whole` frames and a part of one, in a sentence; `how` it is seen to be cut."""
    error = CutShort(
        f"{path.name}: the last frame is cut short{how or ' or followed by something else'}; remove it, or set "
        'cut_last_frame = "drop" to leave it out'
    )
    error.whole, error.places = whole, places
    return error


def _check_begun(path: Path, frame: int, rest: bytes, beginning: bytes) -> None:
    """Refuse a rest that does not begin as all frames do: then something was lost or added before it."""
    shared = min(len(rest), len(beginning))
    if rest[:shared] != beginning[:shared]:
        raise damaged(path, frame, "it does not begin as a frame does")


def refuse_rest(path: Path, rest: int, length: int, unit: str, whole: int) -> None:
    """Refuse a file that ends after `whole` frames with the first `rest` lines or bytes of one of `length`."""
    if rest:
        raise cut(path, whole, how=f" ({rest} of {length} {unit})")
