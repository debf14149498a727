"""XDATCAR files of VASP for MDAnalysis: a reader and a topology, registered when this module is imported.

A head of seven lines (title, scale, three box vectors, names, counts) stands at the beginning, and again before every
configuration where the box changes; then a line ``Direct configuration= n`` and a line of three fractions for each
atom.

References
----------
VASP manual, "XDATCAR" and "POSCAR" (scale: a factor, or the negative of the volume).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from MDAnalysis.coordinates.base import ReaderBase
from MDAnalysis.core.topology import Topology
from MDAnalysis.core.topologyattrs import Atomids, Atomnames, Atomtypes, Elements, Resids, Resnums, Segids
from MDAnalysis.lib.mdamath import triclinic_box
from MDAnalysis.topology.base import TopologyReaderBase

from cellsim.base import Array, InputError, shown
from mdcoeffs.frames.binary_frames import cut
from mdcoeffs.frames.file_bytes import open_bytes

_CONFIGURATION = re.compile(rb"\s*direct\s+configuration\s*=\s*(\d+)\s*", re.IGNORECASE)
MOST = 10_000_000
"""Atoms that no such file has more of."""


@dataclass(frozen=True, eq=False)
class Index:
    """What an XDATCAR holds and where.

    Parameters
    ----------
    names : tuple of str (atoms,)
        Element of every atom.
    places : tuple of int (frames,)
        Where the fractions of each configuration begin [byte].
    boxes : array (frames, 3, 3)
        Box vectors as rows [angstrom].
    rest : str
        How the file is seen to end within another configuration; empty where it does not.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    boxes: Array
    rest: str


def is_xdatcar(path: Path) -> bool:
    """Whether a file is one by its name: XDATCAR, XDATCAR_2, run1.XDATCAR; perhaps compressed."""
    name = path.name.upper()
    return name.startswith("XDATCAR") or path.with_suffix("").suffix.upper() == ".XDATCAR" or name.endswith(".XDATCAR")


def index_of(path: Path) -> Index:
    """Where the configurations of an XDATCAR are; the fractions are counted and not read.

    Parameters
    ----------
    path : Path
        The file, plain or compressed.

    Returns
    -------
    Index

    Raises
    ------
    InputError
        A head or a configuration that is damaged or out of order.
    """
    status = path.stat()
    return _indexed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _indexed(path: Path, size: int, changed: int) -> Index:
    names: tuple[str, ...] = ()
    places: list[int] = []
    boxes: list[Array] = []
    numbers: list[int] = []
    box, rest = np.zeros((3, 3)), ""
    with open_bytes(path) as stream:
        while line := stream.readline():
            found = _CONFIGURATION.fullmatch(line)
            if found is None:
                if not line.strip() and places:
                    continue  # empty lines at the end
                box, its_names = _head(path, len(places), [line, *(stream.readline() for _ in range(6))])
                if names and its_names != names:
                    raise _broken(path, len(places), "its atoms are not those of the first one")
                names = its_names
                continue
            if not names:
                raise _broken(path, 0, "no head with the box, the names and the counts stands before it")
            if not line.endswith(b"\n"):
                rest = "no line follows its number"
                break
            numbers.append(int(found[1]))
            if len(numbers) > 2 and numbers[-1] - numbers[-2] != numbers[1] - numbers[0]:
                raise _broken(path, len(places), f"configuration {numbers[-1]} follows configuration {numbers[-2]}")
            place = stream.tell()
            for atom in range(len(names)):
                row = stream.readline()
                if len(row.split()) < 3 or not row.endswith(b"\n"):
                    if stream.read().strip():
                        raise _broken(path, len(places), f"the line of atom {atom} is {shown(_words(row))}")
                    rest = f"{atom} of {len(names)} whole lines"
                    break
            if rest:
                break
            places.append(place)
            boxes.append(box)
    if not places and not rest:
        raise InputError(f"{path.name}: holds no configuration; is it an XDATCAR of VASP 5 or 6?")
    return Index(names, tuple(places), np.array(boxes), rest)


def check_xdatcar(path: Path) -> None:
    """Refuse an XDATCAR that does not consist of whole configurations.

    Raises
    ------
    CutShort
        The last configuration is not whole.
    InputError
        As :func:`index_of`.
    """
    index = index_of(path)
    if index.rest:
        raise cut(path, len(index.places), how=f" ({index.rest})")


def _head(path: Path, frame: int, lines: Sequence[bytes]) -> tuple[Array, tuple[str, ...]]:
    """Box [angstrom] and the element of every atom, from the seven lines of a head."""
    try:
        scale = float(lines[1])
        box = np.array([[float(each) for each in line.split()[:3]] for line in lines[2:5]])
        counts = [int(each) for each in lines[6].split()]
        kinds = [each.decode("ascii").partition("/")[0].partition("_")[0] for each in lines[5].split()]
        volume = abs(float(np.linalg.det(box)))
        if not (box.shape == (3, 3) and np.isfinite(volume) and 0 < volume < 1e15 and np.isfinite(scale) and scale):
            raise ValueError
        if len(kinds) != len(counts) or not counts or min(counts) < 1 or sum(counts) > MOST:
            raise ValueError
    except (ValueError, OverflowError):
        told = " / ".join(_words(line) for line in lines[1:])
        raise _broken(path, frame, f"its head is {shown(told)}: not a scale, a box, names and counts") from None
    factor = scale if scale > 0 else (-scale / volume) ** (1 / 3)
    return factor * box, tuple(kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count))


def _words(raw: bytes) -> str:
    return " ".join(raw.decode("utf-8", "replace").split())


def _broken(path: Path, frame: int, why: str) -> InputError:
    return InputError(f"{path.name}: frame {frame} is damaged: {why}; take the file from its source again")


class XdatcarReader(ReaderBase):
    """Configurations of an XDATCAR; ``ts.data["vectors"]`` are the box vectors as the file has them."""

    format = "XDATCAR"
    units = {"time": None, "length": "Angstrom"}  # noqa: RUF012 (as MDAnalysis has it)

    def __init__(self, filename: str, **kwargs: Any) -> None:
        super().__init__(filename, **kwargs)
        self.index = index_of(Path(filename))
        self.n_atoms = len(self.index.names)
        self.stream: Any = None
        self.ts = self._Timestep(self.n_atoms, **self._ts_kwargs)
        self._reopen()
        self._read_next_timestep()

    @property
    def n_frames(self) -> int:
        """Number of configurations."""
        return len(self.index.places)

    def _reopen(self) -> None:
        self.close()
        self.stream = open_bytes(Path(self.filename))
        self.ts.frame = -1

    def _read_frame(self, frame: int) -> Any:
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"no frame {frame}")
        self.ts.frame = frame - 1
        return self._read_next_timestep()

    def _read_next_timestep(self, ts: Any = None) -> Any:
        frame = self.ts.frame + 1
        if frame >= self.n_frames:
            raise EOFError
        self.stream.seek(self.index.places[frame])
        rows = [self.stream.readline().split()[:3] for _ in range(self.n_atoms)]
        box = self.index.boxes[frame]
        self.ts.positions = np.array(rows, dtype=np.float64) @ box
        self.ts.dimensions = triclinic_box(*box)
        self.ts.data["vectors"] = box
        self.ts.frame = frame
        return self.ts

    def close(self) -> None:
        """Close the file."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


class XdatcarParser(TopologyReaderBase):
    """Elements of the atoms; masses are guessed from them, and there are no bonds."""

    format = "XDATCAR"

    def parse(self, **kwargs: Any) -> Topology:
        """The topology."""
        names = np.array(index_of(Path(self.filename)).names, dtype=object)
        count = np.arange(1, names.size + 1)
        attributes = [Atomids(count), Atomnames(names), Atomtypes(names.copy()), Elements(names.copy())]
        attributes += [Resids(np.ones(1, dtype=int)), Resnums(np.ones(1, dtype=int))]
        attributes += [Segids(np.array(["SYSTEM"], dtype=object))]
        return Topology(names.size, 1, 1, attrs=attributes)
