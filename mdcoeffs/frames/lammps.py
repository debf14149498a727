"""Files of LAMMPS: what their heads say, and dumps with optional heads or in yaml for MDAnalysis' reader of dumps.

MDAnalysis reads dumps whose frames have nine lines of head. `DumpReader` hands it the frames of other dumps one by one
in that form: those with ``ITEM: UNITS`` and ``ITEM: TIME``, and those of ``dump yaml``.

References
----------
LAMMPS documentation, "dump", "dump_modify" (units, time), "dump yaml", "read_data".
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import MDAnalysis.coordinates.LAMMPS
import numpy as np
from MDAnalysis.lib.util import NamedStream

from cellsim.base import Array, InputError, shown
from mdcoeffs.frames.binary_frames import cut, damaged, refuse_rest
from mdcoeffs.frames.file_bytes import first_lines, open_bytes
from mdcoeffs.frames.snapshot import PICOSECOND
from mdcoeffs.inputs.units import RunUnits, units_of_file

log = logging.getLogger(__name__)

STYLES = {
    "atomic": "id type x y z",
    "charge": "id type charge x y z",
    **dict.fromkeys(("bond", "angle", "molecular"), "id resid type x y z"),
    "full": "id resid type charge x y z",
    "dipole": "id type charge x y z mux muy muz",
    "sphere": "id type diameter density x y z",
}
"""Atom style of LAMMPS -> its columns."""
SCALED = (("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
"""Columns of a LAMMPS dump with positions in units of the box vectors, from the corner of the box."""
IDENTITY = ("id", "type")
"""Columns of a LAMMPS dump that say which atom a line is of."""
_UNITS, _TIME, _STEP = b"ITEM: UNITS", b"ITEM: TIME", b"ITEM: TIMESTEP"
_DOCUMENT, _END = b"---", b"..."
_LONGEST_HEAD = 40
"""Lines of the head of a frame, at most."""


@dataclass(frozen=True)
class DumpHead:
    """What the first frame of a dump says of the file.

    Parameters
    ----------
    columns : tuple of str
        Of its atoms.
    style : str
        Unit style of the run; empty where the file does not say.
    plain : bool
        Frames have nine lines of head, as MDAnalysis reads them.
    """

    columns: tuple[str, ...]
    style: str
    plain: bool


def dump_head(path: Path) -> DumpHead | None:
    """The head of a LAMMPS dump, text or yaml.

    Parameters
    ----------
    path : Path
        Any file, plain or compressed.

    Returns
    -------
    DumpHead or None
        None where it is no such dump.

    Raises
    ------
    InputError
        The file cannot be opened, or its box is that of a general triclinic run.
    """
    lines = first_lines(path, _LONGEST_HEAD)
    if lines[0] == _DOCUMENT.decode() and lines[1].startswith("creator: LAMMPS"):
        head = dict(line.partition(":")[::2] for line in lines[: lines.index("data:") if "data:" in lines else None])
        return DumpHead(tuple(_words(head.get("keywords", ""))), head.get("units", "").strip(), False)
    if lines[0].encode() not in (_UNITS, _TIME, _STEP):
        return None
    style = lines[lines.index(_UNITS.decode()) + 1] if _UNITS.decode() in lines[:-1] else ""
    header = next((line for line in lines if line.startswith("ITEM: ATOMS")), "")
    if any(line.startswith("ITEM: BOX BOUNDS abc") for line in lines):
        raise InputError(
            f"{path.name}: states its box by three vectors (dump_modify triclinic/general yes), which are not read; "
            "write it with triclinic/general no"
        )
    return DumpHead(tuple(header.split()[2:]), style, lines[0].encode() == _STEP)


def _words(text: str) -> list[str]:
    """Entries of a list in brackets, as ``dump yaml`` writes it."""
    return text.replace("[", " ").replace("]", " ").replace(",", " ").split()


def data_units(path: Path) -> str:
    """Unit style in the first line of a LAMMPS data file, as write_data leaves it; empty where it says none."""
    found = re.search(r"\bunits = (\w+)", first_lines(path, 1)[0]) if is_data(path) else None
    return found[1] if found else ""


def is_data(path: Path) -> bool:
    """Whether a file is a LAMMPS data file; they go by any name, and the first line tells them."""
    return path.suffix.lower() == ".data" or first_lines(path, 1)[0].startswith("LAMMPS")


def topology_format(path: Path) -> str:
    """MDAnalysis' name for a file of LAMMPS that its own name may not tell; empty for others."""
    if first_lines(path, 1)[0].startswith("LAMMPS") and path.suffix.lower() not in (".data", ".lammpsdump"):
        return "DATA"
    return "LAMMPSDUMP" if dump_head(path) else ""


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


# ---- dumps ----------------------------------------------------------------------------------------------------------


def check_dump(path: Path, atoms: int) -> None:
    """Refuse a dump that does not consist of whole frames of as many atoms.

    Parameters
    ----------
    path : Path
        Text or yaml, plain or compressed.
    atoms : int
        Of the topology.

    Raises
    ------
    CutShort
        The last frame is not whole.
    InputError
        A frame that is damaged, or has another number of atoms.
    """
    head = dump_head(path)
    if head is None or head.plain:
        _check_plain(path, atoms)
        return
    index = dump_index(path, atoms)
    if index.rest:
        raise cut(path, len(index.places), how=" (it has not all its lines)")


def _check_plain(path: Path, atoms: int) -> None:
    """Nine lines of head and one per atom in every frame."""
    lines = 0
    tail = b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            lines += block.count(b"\n")
            tail = block[-1:]
    whole, rest = divmod(lines + (tail != b"\n"), atoms + 9)
    if rest:
        _refuse_lost(path, atoms)
    refuse_rest(path, rest, atoms + 9, "lines", whole)
    if tail != b"\n":
        raise cut(path, whole - 1, how=" (its last line has no end)")


def _refuse_lost(path: Path, atoms: int) -> None:
    """A dump in which atoms were lost or added: its lines do not divide into frames either."""
    frame = 0
    with open_bytes(path) as stream:
        for line in stream:
            if line.startswith(b"ITEM: NUMBER OF ATOMS"):
                count = next(stream, b"").strip()
                _check_atoms(path, frame, int(count) if count.isdigit() else atoms, atoms)
                frame += 1


def _check_atoms(path: Path, frame: int, count: int, atoms: int) -> None:
    if count != atoms:
        raise InputError(
            f"{path.name}: frame {frame} has {count} atoms and the topology {atoms}: atoms were lost or added "
            "there; cut the file before it, or use a run that keeps its atoms"
        )


def dump_options(path: Path, topology: Path | None, timestep: float | None, units: RunUnits | None) -> dict[str, Any]:
    """Keywords of the reader of a dump: the columns that MDAnalysis does not read by itself, and the units of the run.

    Parameters
    ----------
    path : Path
        Any trajectory.
    topology : Path, optional
        Whose first line may name the units.
    timestep : float, optional
        MD time step [s].
    units : RunUnits, optional
        As the user states them.

    Returns
    -------
    dict
        Empty where `path` is no dump.

    Raises
    ------
    InputError
        Units that contradict each other, or reduced ones without their meaning.
    """
    head = dump_head(path)
    if head is None:
        return {}
    images = ("ix", "iy", "iz")
    scaled = next((keys for keys in SCALED if set(keys) <= set(head.columns) and "x" not in head.columns), ())
    more = [*scaled, *(images if set(images) <= set(head.columns) else ())]
    more += [key for key in IDENTITY if key in head.columns]
    if "id" not in head.columns:
        log.warning(
            "%s: has no column id, so its atoms are taken to be in the order of the topology in every frame, which "
            "LAMMPS keeps only with dump_modify sort id; if it did not, self-diffusion is wrong",
            path.name,
        )
    source, said = (path, head.style) if head.style or topology is None else (topology, data_units(topology))
    return {
        "format": "LAMMPSDUMP" if head.plain else DumpReader,
        "dt": 1.0 if timestep is None else timestep / PICOSECOND,
        "units": units_of_file(source.name, said, units),
        **({"additional_columns": more} if more else {}),
    }


@dataclass(frozen=True, eq=False)
class DumpIndex:
    """Where the frames of a dump are that MDAnalysis does not read as they stand.

    Parameters
    ----------
    path : Path
        The file.
    atoms : int
        In every frame.
    places : tuple of int (frames,)
        Where the whole frames begin [byte].
    times : array (frames,)
        As the file says, in the units of the run; NaN where it does not.
    rest : bool
        Whether a part of another frame follows.
    """

    path: Path
    atoms: int
    places: tuple[int, ...]
    times: Array
    rest: bool


def dump_index(path: Path, atoms: int | None = None) -> DumpIndex:
    """Where the frames are, and when.

    Parameters
    ----------
    path : Path
        A dump that is not plain (:class:`DumpHead`).
    atoms : int, optional
        Of the topology; those of the first frame where it is left out.

    Returns
    -------
    DumpIndex

    Raises
    ------
    InputError
        A frame that is damaged, has another number of atoms or is in other units.
    """
    status = path.stat()
    return _indexed(path, atoms, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _indexed(path: Path, atoms: int | None, size: int, changed: int) -> DumpIndex:
    places: list[int] = []
    times: list[float] = []
    style, rest = "", False
    with open_bytes(path) as stream:
        while True:
            place = stream.tell()
            try:
                frame = _frame(path, len(places), stream)
            except EOFError:
                rest = True
                break
            if frame is None:
                break
            atoms = frame.atoms if atoms is None else atoms
            _check_atoms(path, len(places), frame.atoms, atoms)
            if style and frame.style not in ("", style):
                raise damaged(path, len(places), f"it is in {frame.style} units, and those before it in {style}")
            style = style or frame.style
            places.append(place)
            times.append(frame.time)
    return DumpIndex(path, atoms or 0, tuple(places), np.array(times), rest)


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame: unit style and time where it says them, nine lines of head and one line for each atom."""

    style: str
    time: float
    atoms: int
    lines: list[bytes]


def _frame(path: Path, number: int, stream: IO[bytes]) -> _Frame | None:
    """The next frame; None at the end of the file, and EOFError where it ends within a frame."""

    def line() -> bytes:
        raw = stream.readline()
        if not raw.endswith(b"\n"):
            raise EOFError
        return raw.rstrip()

    first = stream.readline()
    while first and not first.strip():
        first = stream.readline()
    if not first:
        return None
    if not first.endswith(b"\n"):
        raise EOFError
    said, head = (_yaml_head if first.strip() == _DOCUMENT else _item_head)(path, number, first.rstrip(), line)
    try:
        atoms, time = int(said["natoms"]), float(said.get("time", "nan"))
        if atoms < 1:
            raise ValueError
    except (KeyError, ValueError):
        raise damaged(
            path, number, f"its head says {shown(said)}: no number of atoms, or a time that is none"
        ) from None
    rows = list(islice(stream, atoms))
    if len(rows) < atoms or (rows and not rows[-1].endswith(b"\n")):
        raise EOFError
    if first.strip() == _DOCUMENT:
        if (end := line()) != _END:
            raise damaged(path, number, f"behind its atoms stands {shown(_text(end))}")
        rows = [row.partition(b"[")[2].replace(b",", b" ").replace(b"]", b" ") for row in rows]
    return _Frame(said.get("units", ""), time, atoms, [*head, *rows])


def _item_head(path: Path, number: int, found: bytes, line: Callable[[], bytes]) -> tuple[dict[str, str], list[bytes]]:
    """What the head of a text dump says beside the nine lines, and these lines; `found` is its first one."""
    said: dict[str, str] = {}
    while found in (_UNITS, _TIME):
        said["units" if found == _UNITS else "time"] = _text(line())
        found = line()
    head = [found, *(line() for _ in range(8))]
    wanted = (_STEP, b"ITEM: NUMBER OF ATOMS", b"ITEM: BOX BOUNDS", b"ITEM: ATOMS")
    for at, words in zip((0, 2, 4, 8), wanted, strict=True):
        if not head[at].startswith(words):
            raise damaged(path, number, f"a line of its head is {shown(_text(head[at]))} and not {_text(words)}")
    return said | {"natoms": _text(head[3])}, head


def _yaml_head(path: Path, number: int, found: bytes, line: Callable[[], bytes]) -> tuple[dict[str, str], list[bytes]]:
    """The same of a dump in yaml: its bounds are those of the box around a tilted one, as in a text dump."""
    said: dict[str, str] = {}
    box: list[list[str]] = []
    while (found := line()) != b"data:":
        key, _, value = _text(found).partition(":")
        if not found.startswith(b" "):
            said[key] = value.strip()
        elif list(said)[-1:] == ["box"]:
            box.append(_words(_text(found).lstrip("-")))
        if len(said) > _LONGEST_HEAD:
            raise damaged(path, number, "its head is none that LAMMPS writes")
    tilted = len(box) == 4
    if len(box) not in (3, 4) or any(len(row) != 2 for row in box[:3]) or (tilted and len(box[3]) != 3):
        raise damaged(path, number, f"its box is {shown(box)}")
    rows = [" ".join([*bounds, *(box[3][k : k + 1] if tilted else [])]) for k, bounds in enumerate(box[:3])]
    text = ["ITEM: TIMESTEP", said.get("timestep", ""), "ITEM: NUMBER OF ATOMS", said.get("natoms", "")]
    text += [f"ITEM: BOX BOUNDS{' xy xz yz' * tilted} pp pp pp", *rows]
    text += [f"ITEM: ATOMS {' '.join(_words(said.get('keywords', '')))}"]
    return said, [row.encode() for row in text]


class DumpReader(MDAnalysis.coordinates.LAMMPS.DumpReader):
    """MDAnalysis' reader for dumps that are not plain; ``ts.time`` is what the file says, in the units of the run."""

    def __init__(self, filename: str, **kwargs: Any) -> None:
        self.index = dump_index(Path(filename), kwargs.get("n_atoms"))
        self.timed = bool(np.isfinite(self.index.times).all())  # whether every frame says when it was
        self.stream: IO[bytes] | None = None
        super().__init__(filename, **kwargs)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.index.atoms

    @property
    def n_frames(self) -> int:
        """Number of whole frames."""
        return len(self.index.places)

    def _reopen(self) -> None:
        self.close()
        self.stream = open_bytes(self.index.path)
        self.ts = self._Timestep(self.n_atoms, **self._ts_kwargs)
        self.ts.frame = -1

    def close(self) -> None:
        """Close the file."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def _read_frame(self, frame: int) -> Any:
        self.ts.frame = frame - 1
        return self._read_next_timestep()

    def _read_next_timestep(self) -> Any:
        frame = self.ts.frame + 1
        if frame < self.n_frames:
            self._file = _as_plain(self.index, frame, self.stream)
        ts = super()._read_next_timestep()
        if self.timed:
            ts.data["time"] = float(self.index.times[frame])
        return ts


def first_frame(path: Path) -> NamedStream:
    """The first frame of a dump that is not plain, as MDAnalysis' parser of topologies reads it.

    Raises
    ------
    InputError
        The file is damaged or holds no whole frame.
    """
    index = dump_index(path)
    if not index.places:
        raise InputError(f"{path.name}: holds no whole frame")
    with open_bytes(path) as stream:
        return NamedStream(_as_plain(index, 0, stream), path.name)


def _as_plain(index: DumpIndex, frame: int, stream: IO[bytes] | None) -> io.StringIO:
    """A frame with nine lines of head."""
    assert stream is not None
    stream.seek(index.places[frame])
    found = _frame(index.path, frame, stream)
    assert found is not None
    return io.StringIO("\n".join(_text(row) for row in found.lines) + "\n")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
