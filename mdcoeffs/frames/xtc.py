"""A reader of XTC files for MDAnalysis, which checks what it decodes, and lets other threads run meanwhile.

The decoder of MDAnalysis trusts the bits of a frame. Where they are damaged, which no head shows, it writes outside of
its arrays, and while it decodes, no other thread can run Python. The decoder of this module gives the same positions to
the last bit, and tells where the bits do not make the atoms of the topology.

The positions of an XTC are whole numbers: coordinates times a precision. For one atom, its three numbers less the least
ones of the frame are made into a single number, which takes as many bits in every frame as the largest possible one.
Up to ten atoms after it are stored by their differences from the atom before, again three numbers in one. A table
lists how large these may be, and their number of bits is the place in that table. The first of these atoms stands
before the atom that they are counted from: of a water molecule, oxygen is then stored by differences too.

References
----------
GROMACS, src/gromacs/fileio/libxdrf.cpp (xdr3dfcoord); Lindahl, Hess & van der Spoel, J. Mol. Model. 7, 306 (2001),
doi:10.1007/s008940100045.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from MDAnalysis.coordinates.base import ReaderBase
from MDAnalysis.coordinates.chain import ChainReader
from MDAnalysis.coordinates.XTC import XTCReader
from MDAnalysis.lib.mdamath import triclinic_box
from numpy.typing import NDArray

from mdcoeffs.frames.binary_frames import CutShort, XtcHead, cut, damaged, xtc_head
from mdcoeffs.frames.file_bytes import check_structure

_NM = np.float32(10.0)
"""A nanometre [angstrom]."""
_U = np.uint64
_TABLE = """
8 10 12 16 20 25 32 40 50 64 80 101 128 161 203 256 322 406 512 645 812 1024 1290 1625 2048 2580 3250 4096 5060 6501
8192 10321 13003 16384 20642 26007 32768 41285 52015 65536 82570 104031 131072 165140 208063 262144 330280 416127 524287
660561 832255 1048576 1321122 1664510 2097152 2642245 3329021 4194304 5284491 6658042 8388607 10568983 13316085 16777216
"""
_SIZES = np.array([0] * 9 + [int(size) for size in _TABLE.split()])
"""Number of bits -> how large each of three numbers may be that take so many together, as the format has it."""


class XtcReader(ReaderBase):
    """Frames of an XTC, each checked while it is decoded.

    Parameters
    ----------
    filename : str
        The file.
    n_atoms : int
        Of the topology.
    drop_cut : bool
        Leave out a last frame that is cut short, which is refused otherwise.
    **kwargs
        ``dt``: time between frames [ps] in place of the times in the file.
    """

    units = {"time": "ps", "length": "nm"}  # noqa: RUF012 (as MDAnalysis has it)
    stream: Any = None

    def __init__(self, filename: str, *, n_atoms: int, drop_cut: bool = False, **kwargs: Any) -> None:
        super().__init__(filename, n_atoms=n_atoms, **kwargs)
        self.path, self.n_atoms = Path(filename), n_atoms
        try:
            self.places = [*(check_structure(self.path, "XTC", n_atoms) or ()), self.path.stat().st_size]
        except CutShort as error:
            if not drop_cut:
                raise
            self.places = list(error.places or ())
        self.ts = self._Timestep(n_atoms, **self._ts_kwargs)
        self._reopen()
        if "dt" not in self._ts_kwargs:
            times = [self._head(self._raw(frame, 96), frame).time for frame in range(min(self.n_frames, 2))]
            self.ts.dt = times[-1] - times[0]
        self._read_next_timestep()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.places) - 1

    def _reopen(self) -> None:
        self.close()
        self.stream = self.path.open("rb")
        self._next = 0

    def _read_frame(self, frame: int) -> Any:
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"no frame {frame}")
        self._next = frame
        return self._read_next_timestep()

    def _raw(self, frame: int, most: float = math.inf) -> bytes:
        """The first bytes of a frame, or all."""
        begin, end = self.places[frame : frame + 2]
        self.stream.seek(begin)
        raw: bytes = self.stream.read(min(end - begin, most))
        return raw

    def _head(self, raw: bytes, frame: int) -> XtcHead:
        return xtc_head(raw[:96], self.n_atoms, self.path, frame)

    def _read_next_timestep(self, ts: Any = None) -> Any:
        ts, frame = self.ts, self._next
        if frame >= self.n_frames:
            raise EOFError
        raw = self._raw(frame)
        head = self._head(raw, frame)
        if len(raw) < head.length:
            raise cut(self.path, frame)
        if not unpack(raw, head, ts.positions):
            raise damaged(self.path, frame, f"its packed positions are not those of {self.n_atoms} atoms")
        self._next, ts.frame = frame + 1, frame
        ts.time = head.time if "dt" not in self._ts_kwargs else frame * self._ts_kwargs["dt"]
        ts.data["step"] = head.step
        ts.dimensions = _dimensions(raw[16:52])
        return ts

    def close(self) -> None:
        """Close the file."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


# Not in its body: MDAnalysis would then read every XTC of the process with it.
XtcReader.format = XTCReader.format


def own_reader(trajectory: Any) -> Any:
    """An `XtcReader` of the file that MDAnalysis' reader of XTC has open, or a chain of them for a chain of files.

    Parameters
    ----------
    trajectory : MDAnalysis reader
        Of a universe; it stays as it is.

    Returns
    -------
    MDAnalysis reader or None
        None where `trajectory` is a reader of something else, or of a part of the atoms.
    """
    if type(trajectory) is ChainReader:
        readers = [own_reader(reader) for reader in trajectory.readers]
        if None in readers:
            return None
        files = [(reader.filename, XtcReader) for reader in readers]
        return ChainReader(files, n_atoms=trajectory.n_atoms, continuous=trajectory._kwargs.get("continuous", False))
    if type(trajectory) is not XTCReader or trajectory._kwargs.get("sub") is not None:
        return None
    return XtcReader(trajectory.filename, n_atoms=trajectory.n_atoms)


def is_plain(trajectory: Any) -> bool:
    """Whether a reader of XTC gives what its files hold: nothing was added to it that changes positions or times."""
    options = {"convert_units": True, "dt": None, "time_offset": 0}
    changed = any(
        reader._kwargs.get(key, value) != value
        for reader in getattr(trajectory, "readers", [trajectory])
        for key, value in options.items()
    )
    return not (changed or trajectory.transformations or trajectory.aux_list)


@lru_cache(maxsize=4)  # most boxes are the same frame after frame
def _dimensions(box: bytes) -> NDArray[np.float32]:
    """Lengths [angstrom] and angles [degree] of a box, as MDAnalysis rounds them, from the nine numbers in the file."""
    with np.errstate(all="ignore"):  # whoever uses a box judges it
        sizes: NDArray[np.float32] = triclinic_box(*np.frombuffer(box, ">f4").reshape(3, 3))
        sizes[:3] *= _NM
    return sizes


# ---- positions ------------------------------------------------------------------------------------------------------


def unpack(raw: bytes, head: XtcHead, positions: NDArray[np.float32]) -> bool:
    """Decode the positions of a frame.

    Parameters
    ----------
    raw : bytes
        The frame.
    head : XtcHead
        Its head.
    positions : array of float32 (atoms, 3)
        Filled in place [angstrom].

    Returns
    -------
    bool
        Whether the bits are those of so many atoms and of nothing else; otherwise `positions` are of no use.
    """
    if not head.precision:
        with np.errstate(all="ignore"):  # whoever uses a position judges it
            positions[:] = np.frombuffer(raw, ">f4", positions.size, head.start).reshape(-1, 3)
            positions *= _NM
        return True
    words = np.zeros(-(-head.packed // 8) + 2, ">u8")
    words.view(np.uint8)[: head.packed] = np.frombuffer(raw, np.uint8, head.packed, head.start)
    sizes = tuple(b - a + 1 for a, b in zip(head.least, head.most, strict=True))
    if max(sizes) >= 2**31:
        return False
    apart = max(sizes) > 0xFFFFFF  # then each coordinate has its own bits, else the three are one number
    bits = 0 if apart else math.prod(sizes).bit_length()
    scale = np.float32(1.0 / head.precision)
    return bool(
        _unpacked(words.astype(np.uint64), 8 * head.packed, head.least, sizes, bits, head.small, scale, positions)
    )


_scalar = numba.njit(error_model="numpy")
_inline = numba.njit(error_model="numpy", inline="always")  # a call with an array counts its references, which is dear


@_inline
def _left(words, place):  # type: ignore[no-untyped-def]
    """The 64 bits from `place` on."""
    word, bit = _U(place) >> _U(6), _U(place) & _U(63)
    return (words[word] << bit) | ((words[word + _U(1)] >> _U(1)) >> (_U(63) - bit))


@_inline
def _put(positions, atom, x, y, z, scale):  # type: ignore[no-untyped-def]
    """Whole numbers to angstrom, rounded as often and where GROMACS and MDAnalysis round."""
    positions[atom, 0] = np.float32(x) * scale * _NM
    positions[atom, 1] = np.float32(y) * scale * _NM
    positions[atom, 2] = np.float32(z) * scale * _NM


@_scalar
def _bits_of(size):  # type: ignore[no-untyped-def]
    """Bits of a positive number."""
    bits = 0
    while size:
        size >>= 1
        bits += 1
    return bits


@_scalar
def _turned(word):  # type: ignore[no-untyped-def]
    """The bytes of a word in reverse order."""
    word = ((word & _U(0x00FF00FF00FF00FF)) << _U(8)) | ((word >> _U(8)) & _U(0x00FF00FF00FF00FF))
    word = ((word & _U(0x0000FFFF0000FFFF)) << _U(16)) | ((word >> _U(16)) & _U(0x0000FFFF0000FFFF))
    return (word << _U(32)) | (word >> _U(32))


@_scalar
def _three(word, more, bits, second, third):  # type: ignore[no-untyped-def]
    """The three numbers a, b, c that are stored as (a second + b) third + c in 9 to 72 bits, the least byte first.

    `word` are the 64 bits from the first of them on, `more` the next 64.
    """
    b, c = _U(second), _U(third)
    value = _turned(word)
    if bits <= 64:
        last = _U((bits - 1) & 0x78)  # where the last byte stands, which may have less than eight bits
        rest = ((value >> last) & _U(255)) >> (last + _U(8) - _U(bits))
        value = (value & ((_U(1) << last) - _U(1))) | (rest << last)
        q = value // c
        p = q // b
        return np.int64(p), np.int64(q - p * b), np.int64(value - q * c)
    # More than a word: three digits of 24 bits, divided as on paper.
    low, middle, high = value & _U(0xFFFFFF), (value >> _U(24)) & _U(0xFFFFFF), value >> _U(48)
    high |= (more >> _U(128 - bits)) << _U(16)
    low, middle, high, z = _divided(low, middle, high, c)
    low, middle, high, y = _divided(low, middle, high, b)
    return np.int64(low | (middle << _U(24)) | (high << _U(48))), np.int64(y), np.int64(z)


@_scalar
def _divided(low, middle, high, by):  # type: ignore[no-untyped-def]
    """The digits of a quotient, and the remainder."""
    middle |= (high % by) << _U(24)
    low |= (middle % by) << _U(24)
    return low // by, middle // by, high // by, low % by


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _unpacked(words, end, least, sizes, bits, small, scale, positions):  # type: ignore[no-untyped-def]
    """Fill `positions`; whether the packed ones, `end` bits, are those of so many atoms.

    `words` has at least two more than the bits take. Whatever the bits are, no place outside of the arrays is used.
    `bits` is 0 where each coordinate has its own, and `small` the place in the table of sizes.
    """
    atoms = positions.shape[0]
    place = atom = run = np.int64(0)
    own = (_bits_of(sizes[0]), _bits_of(sizes[1]), _bits_of(sizes[2]))
    each = bits if bits else own[0] + own[1] + own[2]
    while atom < atoms:
        # An atom by itself: its numbers above the least. None is written that is above the largest.
        if place + each >= end:
            return False
        word = _left(words, place)
        if bits:
            more = _left(words, place + 64) if bits > 64 else _U(0)
            x, y, z = _three(word, more, bits, sizes[1], sizes[2])
        else:
            x = np.int64(word >> _U(64 - own[0]))
            y = np.int64(_left(words, place + own[0]) >> _U(64 - own[1]))
            z = np.int64(_left(words, place + own[0] + own[1]) >> _U(64 - own[2]))
        if x >= sizes[0] or y >= sizes[1] or z >= sizes[2]:
            return False
        x, y, z = x + least[0], y + least[1], z + least[2]
        place += each
        # A bit says whether five more follow: how many atoms are counted from this one, as many as before if none
        # follow, and whether the next differences are of a smaller size, of the same or of a larger one.
        word = _left(words, place)
        change = np.int64(0)
        place += 1
        if word >> _U(63):
            if place + 5 > end:
                return False
            five = np.int64((word >> _U(58)) & _U(31))
            place += 5
            run = five // 3
            change = five % 3 - 1
        if atom + run >= atoms or place + run * small > end:
            return False
        _put(positions, atom + (run > 0), x, y, z, scale)
        size = _SIZES[small]
        for k in range(run):
            more = _left(words, place + 64) if small > 64 else _U(0)
            u, v, w = _three(_left(words, place), more, small, size, size)
            if u >= size:
                return False
            place += small
            x, y, z = x + u - size // 2, y + v - size // 2, z + w - size // 2
            _put(positions, atom + k + (k > 0), x, y, z, scale)
        atom += run + 1
        small += change
        if not 9 <= small <= 72:
            return False
    return end < place + 8
