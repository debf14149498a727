"""Trajectories in text: XYZ files with what their comments say, cells and velocities of CP2K, PDB of several models.

Readers take the numbers of a frame and skip what stands around them; here the frames are counted and compared, and the
boxes and times in the comments are read.

References
----------
CP2K manual, MOTION/PRINT/VELOCITIES: the unit of velocities is bohr*au_t^-1 unless UNIT says otherwise.
Extended XYZ, https://github.com/libAtoms/extxyz: Lattice and Properties. CP2K, src/motion_utils.F: the comments of an
XYZ file (``i = , time = , E =``; fs) and the columns of a cell file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, Ints, shown
from mdcoeffs.frames.binary_frames import cut, damaged
from mdcoeffs.frames.file_bytes import open_bytes

FEMTOSECOND = 1e-3
"""In the unit of MDAnalysis [ps]."""
_LATTICE, _PROPERTIES = re.compile(rb'\bLattice\s*=\s*"([^"]*)"'), re.compile(rb'\bProperties\s*=\s*"?([^\s"]*)')
_CP2K = re.compile(rb"\s*i\s*=\s*(\d+),\s*time\s*=\s*([-+.\dEe*]+),\s*E\s*=")


@dataclass(frozen=True, eq=False)
class Comments:
    """What the comments of an XYZ file say.

    Parameters
    ----------
    frames : int
        Whole frames.
    boxes : array (frames, 3, 3) or None
        Box vectors as rows [angstrom]; None where no comment states one.
    steps : array of int (frames,) or None
        MD steps; None where the comments are not those of CP2K.
    times : array (frames,) or None
        Likewise [ps].
    names : tuple of bytes
        Of the atoms, the same in every frame.
    rest : str
        Empty where the file ends with a whole frame, else how it is seen to be cut short.
    """

    frames: int
    boxes: Array | None
    steps: Ints | None
    times: Array | None
    names: tuple[bytes, ...]
    rest: str


def xyz_comments(path: Path, atoms: int) -> Comments:
    """What the comments of an XYZ file say, its frames looked through; a cut last frame is not among them.

    Parameters
    ----------
    path : Path
        The file, plain or compressed.
    atoms : int
        Of the topology.

    Returns
    -------
    Comments

    Raises
    ------
    InputError
        A frame that is damaged: it must have the number of atoms, a comment, and the same names in order; comments
        that state a box or a time in some frames only, or columns other than species and positions first.
    """
    status = path.stat()
    return _xyz_comments(path, atoms, status.st_size, status.st_mtime_ns)


def check_xyz(path: Path, atoms: int) -> None:
    """Refuse an XYZ file that does not consist of whole, equal frames; as :func:`xyz_comments`.

    Raises
    ------
    CutShort
        The last frame is not whole.
    InputError
        A frame that is damaged.
    """
    found = xyz_comments(path, atoms)
    if found.rest:
        raise cut(path, found.frames, how=f" ({found.rest})")


@lru_cache(maxsize=8)  # read when it is checked, and again by whoever needs the boxes
def _xyz_comments(path: Path, atoms: int, size: int, changed: int) -> Comments:
    names: list[bytes] = []
    boxes: list[list[float]] = []
    moments: list[tuple[int, float]] = []
    frame, rest = 0, ""
    with open_bytes(path) as stream:
        while head := stream.readline():
            if not head.strip() and not stream.read().strip():
                break  # empty lines at the end
            comment, rows = stream.readline(), list(islice(stream, atoms))
            if len(rows) < atoms and (head.split() == [b"%d" % atoms] or not comment):
                rest = f"{1 + bool(comment) + len(rows)} of {atoms + 2} lines"
                break
            if head.split() != [b"%d" % atoms]:
                raise damaged(
                    path, frame, f"its first line is not the number of atoms, {atoms}, but {shown(_text(head))}"
                )
            if not rows[-1].endswith(b"\n"):
                rest = "its last line has no end"
                break
            box, moment = _lattice(path, frame, comment), _CP2K.match(comment)
            if frame and (bool(box), bool(moment)) != (len(boxes) == frame, len(moments) == frame):
                what = "a Lattice" if bool(box) != (len(boxes) == frame) else "step and time"
                raise damaged(path, frame, f"it states {what} and others do not, or the other way round")
            lines = [row.split(None, 4) for row in rows]
            found = [line[0] if len(line) > 3 else b"" for line in lines]
            names = names or found
            if found != names or b"" in found:
                at = next(k for k in range(atoms) if found[k] != names[k] or not found[k])
                raise damaged(
                    path, frame, f"atom {at} is {shown(_text(found[at]))}, and {_text(names[at])} in the first frame"
                )
            boxes += [box] if box else []
            moments += [_moment(path, frame, moment)] if moment else []
            frame += 1
    return Comments(
        frame,
        np.array(boxes).reshape(-1, 3, 3) if boxes else None,
        np.array([step for step, _ in moments]) if moments else None,
        np.array([time for _, time in moments]) * FEMTOSECOND if moments else None,
        tuple(names),
        rest,
    )


def _moment(path: Path, frame: int, found: re.Match[bytes]) -> tuple[int, float]:
    """MD step and time [fs] of a frame of CP2K."""
    try:
        return int(found[1]), float(found[2])
    except ValueError:
        raise damaged(path, frame, f"its time is {shown(_text(found[2]))}") from None


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


# ---- velocity files of CP2K -----------------------------------------------------------------------------------------

BOHR_PER_AU = 0.529177210903e-10 / 2.4188843265857e-17
"""The atomic unit of velocity, in which CP2K writes unless it is told otherwise [m/s]."""


def velocity_frames(path: Path, positions: Comments, atoms: int, label: str) -> Ints:
    """Which frame of a velocity file of CP2K belongs to each frame of the positions of the same run.

    Parameters
    ----------
    path : Path
        The velocity file, ``PROJECT-vel-1.xyz``; a cut last frame is not used.
    positions : Comments
        Of the XYZ file with the positions.
    atoms : int
        Of the topology.
    label : str
        Name of that file, for messages.

    Returns
    -------
    array of int (frames,)

    Raises
    ------
    InputError
        Comments that are not those of CP2K, other atoms, a frame without velocities, or with another time.
    """
    found = xyz_comments(path, atoms)
    for name, each in ((label, positions), (path.name, found)):
        if each.steps is None or each.times is None:
            raise InputError(
                f"{name}: its comments are not those of CP2K (i = ..., time = ..., E = ...), so that velocities cannot "
                "be assigned to its frames; leave velocities out"
            )
    assert positions.steps is not None and positions.times is not None
    assert found.steps is not None and found.times is not None
    if found.names != positions.names:
        at = next(k for k in range(atoms) if found.names[k] != positions.names[k])
        raise InputError(
            f"{path.name}: atom {at} is {_text(found.names[at])}, and {_text(positions.names[at])} in {label}; the two "
            "files are of different runs"
        )
    frames = {step: frame for frame, step in enumerate(found.steps.tolist())}
    for frame, (step, time) in enumerate(zip(positions.steps.tolist(), positions.times.tolist(), strict=True)):
        if step not in frames:
            raise InputError(
                f"{path.name}: has no frame of step {step}, which is frame {frame} of {label}; print velocities as "
                "often as positions, or leave velocities out"
            )
        stated = float(found.times[frames[step]])
        if abs(stated - time) > 2e-3 * FEMTOSECOND:
            raise InputError(
                f"{path.name}: step {step} was at {stated / FEMTOSECOND:.6g} fs, and in {label} at "
                f"{time / FEMTOSECOND:.6g} fs; the two files are of different runs"
            )
    return np.array([frames[step] for step in positions.steps.tolist()], dtype=np.int64)


# ---- cell files of CP2K ---------------------------------------------------------------------------------------------

_UNITS = {"angstrom": 1.0, "bohr": 0.529177210903, "nm": 10.0}
"""Units of length in the heading of a cell file [angstrom]."""


def cell_boxes(path: Path, comments: Comments, label: str, used: range) -> Array:
    """Boxes of the frames of an XYZ file of CP2K, from the cell file of the same run.

    Parameters
    ----------
    path : Path
        The cell file: a heading with units, then step, time, nine components of the box vectors and the volume.
    comments : Comments
        Of the XYZ file.
    label : str
        Its name, for messages.
    used : range
        Frames whose box is wanted; the cell may have been printed less often than the positions.

    Returns
    -------
    array (frames, 3, 3)
        Box vectors as rows [angstrom]; NaN for frames that are not used.

    Raises
    ------
    InputError
        A heading or a row that is none, a box whose volume is not the one stated, a frame without a row.
    """
    if comments.steps is None or comments.times is None:
        raise InputError(
            f"{label}: its comments are not those of CP2K (i = ..., time = ..., E = ...), so that the rows of "
            f"{path.name} cannot be assigned to its frames; leave cell out"
        )
    rows = _cell_rows(path)
    found = np.full((comments.frames, 3, 3), np.nan)
    for frame in used:
        step, time = int(comments.steps[frame]), float(comments.times[frame])
        if step not in rows:
            raise InputError(
                f"{path.name}: has no row for step {step}, which is frame {frame} of {label}; print the cell as often "
                "as the positions, or use only the frames that it covers (stride)"
            )
        stated, found[frame] = rows[step]
        if abs(stated - time) > 2e-3 * FEMTOSECOND:  # both are rounded to 0.001 fs
            raise InputError(
                f"{path.name}: step {step} was at {stated / FEMTOSECOND:.6g} fs, and in {label} at "
                f"{time / FEMTOSECOND:.6g} fs; the two files are of different runs"
            )
    return found


def _cell_rows(path: Path) -> dict[int, tuple[float, Array]]:
    """MD step -> time [ps] and box vectors [angstrom]."""
    rows: dict[int, tuple[float, Array]] = {}
    scale = math.nan
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            text = _text(line)
            if text.startswith("#"):
                heading = re.search(r"Time\s*\[fs\]\s+Ax\s*\[(\w+)\]", text)
                scale = _UNITS.get(heading[1].lower(), math.nan) if heading else math.nan
            if math.isnan(scale):
                raise InputError(
                    f"{path.name}: line {number} is {shown(text)} and not the heading of a cell file of CP2K, "
                    f"# Step Time [fs] Ax [Angstrom] ... (units of length: {', '.join(_UNITS)})"
                )
            if text.startswith("#") or not text:
                continue
            try:
                step, (time, *vectors, volume) = int(text.split()[0]), map(float, text.split()[1:])
                box = np.array(vectors).reshape(3, 3)
            except ValueError:
                step, time, box, volume = 0, math.nan, np.full((3, 3), math.nan), math.nan
            # A row that is cut in its last column has another volume; both have ten decimals.
            if not abs(abs(np.linalg.det(box)) - volume) <= 1e-6 * volume or not math.isfinite(time):  # false for NaN
                if not line.endswith(b"\n"):
                    break  # cut short: a frame that needs it says so
                raise InputError(
                    f"{path.name}: line {number} is {shown(text)}: not a step, a time, the nine components of the box "
                    "vectors and their volume"
                )
            if step in rows and not np.array_equal(rows[step][1], scale * box):
                raise InputError(f"{path.name}: line {number} gives step {step} another box than a line before it")
            rows[step] = time * FEMTOSECOND, scale * box
    return rows


# ---- PDB ------------------------------------------------------------------------------------------------------------


def check_pdb(path: Path) -> None:
    """A PDB of several models: each has the atoms of the first one in their order, and their numbers are evenly spaced.

    Raises
    ------
    CutShort
        The last model has no end.
    InputError
        A model that is damaged.

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
        raise cut(path, models - inside)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
