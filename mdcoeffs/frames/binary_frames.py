"""Binary trajectory frames: their heads and packed bits are walked, and nothing is decoded.

Decoders trust what a frame says of itself: a damaged one kills the process or writes where it must not.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from cellsim.base import InputError

_XTC_HEAD, _XTC_PACKED = struct.Struct(">3i10fi"), struct.Struct(">f7i")


def check_xtc(path: Path, atoms: int) -> Sequence[int]:
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
                _check_begun(path, len(places), head, os.pread(stream.fileno(), 8, 0))
                raise cut(path, len(places), [*places, place])
            magic, count, _, *real, again = _XTC_HEAD.unpack_from(head)
            if magic not in (1995, 2023):
                raise damaged(path, len(places), "it does not begin as a frame does")
            if not count == again == atoms:
                raise damaged(path, len(places), f"it holds {count} atoms, the topology {atoms}")
            if not math.isfinite(sum(real)):
                raise damaged(path, len(places), "its time or its box is no number")
            if atoms <= 9:
                length = 56 + 12 * atoms  # so few atoms are not compressed
            else:
                start = 96 if magic == 2023 else 92
                if len(head) < start:
                    raise cut(path, len(places), [*places, place])
                precision, a, b, c, A, B, C, small = _XTC_PACKED.unpack_from(head, 56)
                # outside 9 to 72 the decoder reads behind its table of small numbers
                if not (0 < precision < math.inf and 9 <= small <= 72 and a <= A and b <= B and c <= C):
                    raise damaged(path, len(places), "the head of its packed positions is none")
                packed = int.from_bytes(head[88:start], "big", signed=True)
                if not 0 < packed <= 24 * atoms + 64:  # packed positions are shorter than unpacked ones
                    raise damaged(path, len(places), f"it says that its positions take {packed} bytes")
                length = start + -(-packed // 4) * 4
            places.append(place)
            place += length
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
