"""Trajectory files: opened and given snapshot by snapshot, read one ahead, each with a time that is certain.

Beside `mdcoeffs.frames.neighbours`, `topology`, `vasp`, `lammps`, `hoomd` and `xtc` the only module that imports
MDAnalysis. What its readers do not see in a damaged file, `mdcoeffs.frames.file_bytes`, `text_frames`, `lammps` and
`vasp` look for first.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import MDAnalysis as mda
import numpy as np
from MDAnalysis.coordinates.XYZ import XYZReader
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.base.errors import FULL
from mdcoeffs.frames.binary_frames import CutShort
from mdcoeffs.frames.clock import OwnTimes, clock_of, format_of, md_steps, stated_times
from mdcoeffs.frames.file_bytes import check_structure
from mdcoeffs.frames.hoomd import GsdReader
from mdcoeffs.frames.lammps import (
    IDENTITY,
    SCALED,
    DumpReader,
    check_dump,
    data_style,
    dump_head,
    dump_options,
    first_frame,
    is_data,
    topology_format,
)
from mdcoeffs.frames.snapshot import ANGSTROM, DALTON, PICOSECOND, Stored
from mdcoeffs.frames.text_frames import BOHR_PER_AU, cell_boxes, check_pdb, check_xyz, velocity_frames, xyz_comments
from mdcoeffs.frames.topology import brief, check_dump_masses
from mdcoeffs.frames.unwrap import box_matrix
from mdcoeffs.frames.vasp import XdatcarReader, check_xdatcar, is_xdatcar
from mdcoeffs.frames.xtc import XtcReader, is_plain, own_reader
from mdcoeffs.inputs.species import Replica, SpeciesFile
from mdcoeffs.inputs.units import RunUnits

log = logging.getLogger(__name__)

T = TypeVar("T")
Files = Sequence[tuple[Path | None, dict[str, Any]]]
"""Trajectory files in their order with the keywords of their reader and `OURS`; no path: what is loaded already."""
OURS = ("drop_cut", "units", "cell", "velocities")
"""Keywords that no reader gets: whether a cut last frame is left out, units of the run, further files of CP2K."""
LOST = 'cut cannot be opened by its library, so that cut_last_frame = "drop" does not help'
"""What is said of formats whose index lies behind the frames."""
UNFIXED = ("LAMMPSDUMP", "GSD", "XYZ", "DCD", "LAMMPS")
"""Formats whose numbers are in the units of the run."""
BAD_FILE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, AttributeError, RuntimeError, ArithmeticError),
    *(AssertionError, ImportError, NameError, SyntaxError, struct.error, StopIteration, ElementTree.ParseError),
)
"""What readers raise for a file they cannot read; an import where one of MDAnalysis' optional readers is missing."""
_PACKAGES = {".gsd": "gsd", ".tng": "pytng"}
"""Endings of the files whose reader needs a package of its own."""
_EXAMPLES = {"topology": '"DATA" or "PDB"', "trajectory": '"XTC" or "LAMMPSDUMP"'}


# ---- opening --------------------------------------------------------------------------------------------------------


def open_replica(
    replica: Replica, *, timestep: float | None = None, units: RunUnits | None = None, drop_cut: bool = False
) -> tuple[Any, Files]:
    """Open topology and trajectory files.

    Parameters
    ----------
    replica : Replica
        The files and, where their names do not tell, their formats.
    timestep : float, optional
        MD time step [s]; LAMMPS dumps number their frames in steps.
    units : RunUnits, optional
        Of the numbers in the files, where their format does not fix them.
    drop_cut : bool
        Leave out a last frame that is cut short.

    Returns
    -------
    universe : MDAnalysis.Universe
        With the first trajectory file loaded; masses in u.
    files : tuple
        Arguments of ``universe.load_new``, one (path, keywords) per trajectory file, and `OURS`.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    topology = replica.topology
    if topology is None:
        raise InputError(f"{replica.label}: a trajectory needs a topology")
    told = "XDATCAR" if is_xdatcar(topology) else topology_format(topology)
    options = {"topology_format": replica.topology_format or told}
    if options["topology_format"] == "DATA" or topology.suffix.lower() == ".data":
        options["atom_style"] = replica.atom_style or data_style(topology)
    elif replica.atom_style:
        options["atom_style"] = replica.atom_style
    nothing = (None,) * len(replica.trajectory)
    beside = zip(replica.trajectory, replica.cell or nothing, replica.velocities or nothing, strict=True)
    files = tuple(
        (
            path,
            {
                **_reader_options(path, replica, timestep, units),
                "drop_cut": drop_cut,
                "cell": cell,
                "velocities": velocities,
            },
        )
        for path, cell, velocities in beside
    )
    given = {key: value for key, value in options.items() if value}
    head = dump_head(topology)
    with logged_warnings():
        with _reading(topology, "topology"):
            universe = mda.Universe(str(topology) if head is None or head.plain else first_frame(topology), **given)
        _load(universe, *files[0])
    if head is not None:
        check_dump_masses(universe, topology.name, head.columns)
    own = files[0][1]["units"]
    kind = options["topology_format"] or topology.suffix[1:].upper()
    if own is not None and (is_data(topology) or head is not None or kind == "GSD"):
        universe.atoms.masses = universe.atoms.masses * (own.mass / DALTON)
    return universe, files


# ---- snapshots ------------------------------------------------------------------------------------------------------


def stored_snapshots(
    universe: Any, files: Files, file: SpeciesFile, begin: int, images: bool, skipped: Sequence[int] = ()
) -> Iterator[Stored]:
    """Snapshot after snapshot, from running number `begin` on.

    Positions are copied into two buffers in turn: one is worked on while the other is filled.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology.
    files : sequence
        As :func:`open_replica` gives them.
    file : SpeciesFile
        With ``stride``, ``timestep`` and ``frame_interval``.
    begin : int
        Running number of the first snapshot wanted.
    images : bool
        Read the image flags too.
    skipped : sequence of int
        Frames left out at the beginning of each file, as :func:`repeated` gives them; default none.

    Yields
    ------
    Stored

    Raises
    ------
    InputError
        A file that cannot be read or is cut short; frames that have no time.
    """
    buffers = [np.empty((len(universe.atoms), 3), dtype=np.float32) for _ in range(2)]
    reader, clock, scale, account = None, None, 1.0, OwnTimes(file)
    same: dict[str, Any] = {}
    boxes: NDArray[np.float64] | None = None
    for number, label, trajectory, ts in _frames(universe, files, file.stride, begin, skipped):
        if clock is None or trajectory is not reader:  # the next file
            reader = trajectory
            clock = clock_of(reader, file, label)
            boxes = _boxes(reader, label, ts.frame, file.stride)
            units = getattr(reader, "units_of_run", None)
            scale = 1.0 if units is None else units.length / ANGSTROM
            account.open(label, stated_times(reader), md_steps(reader) if format_of(reader) == "LAMMPSDUMP" else None)
            same = {
                key: ts.data[key].copy() for key in IDENTITY if format_of(reader) == "LAMMPSDUMP" and key in ts.data
            }
            if "id" in same and not np.all(np.diff(same["id"]) > 0):
                raise InputError(f"{label}: frame {ts.frame} holds an atom twice: the file is damaged")
        frame = number * file.stride
        name = f"{label}: frame {ts.frame}"
        for key, values in same.items():
            if not np.array_equal(ts.data[key], values):
                at = int(np.argmax(ts.data[key] != values))
                raise InputError(
                    f"{name}: the {key} of atom {at} is {ts.data[key][at]:g}, and {values[at]:g} in the first frame: "
                    "the file is damaged, or atoms changed in the run"
                )
        flags = np.stack([ts.data[key] for key in ("ix", "iy", "iz")], axis=1) if images else None
        # The reader owns its box and changes it in place (in nm, then in angstrom) while the next frame is read.
        vectors = boxes[ts.frame] if boxes is not None else ts.data.get("vectors")
        own = ts.dimensions if vectors is None else vectors
        box = np.array(own) if vectors is not None else None if own is None else box_matrix(np.array(own))
        if own is not None and file.box is not None:
            raise InputError(f"{name}: carries a box of its own; leave the key box out, which is for files without one")
        buffers.reverse()
        scaled = next((keys for keys in SCALED if box is not None and set(keys) <= ts.data.keys()), None)
        # MDAnalysis takes the corner of the box away from scaled coordinates too, which are counted from that corner:
        # at constant pressure, where the corner moves, everything then moves with it.
        positions = ts.positions if scaled is None else np.stack([ts.data[key] for key in scaled], axis=1) @ box
        buffers[0][:] = positions if scale == 1 else positions.astype(np.float64) * scale
        account.check(name, ts, buffers[0], buffers[1] if number > begin else None)
        box = _box(file) if box is None else box * scale
        yield Stored(number, name, clock(ts, frame), buffers[0], box, flags, _velocities(reader, ts))


def _velocities(reader: Any, ts: Any) -> NDArray[Any] | None:
    """Velocities of all atoms [m/s] where the file, or the one beside it, has them in a known unit."""
    moving = getattr(reader, "moving", None)
    if moving is not None:
        return moving(ts.frame)
    units = getattr(reader, "units_of_run", None)
    if not ts.has_velocities or (units is None and format_of(reader) not in MOVING):
        return None
    return np.asarray(ts.velocities * np.float32(ANGSTROM / PICOSECOND if units is None else units.velocity))


def _boxes(reader: Any, label: str, first: int, stride: int) -> NDArray[np.float64] | None:
    """Boxes that an XYZ file or the cell file beside it brings (frames, 3, 3), in the unit of the file.

    Those of the cell file from frame `first` on, every `stride`-th.
    """
    if format_of(reader) != "XYZ":
        return None
    comments, cell = xyz_comments(Path(reader.filename), reader.n_atoms), getattr(reader, "cell_file", None)
    if cell is None:
        return comments.boxes
    if comments.boxes is not None:
        raise InputError(f"{label}: carries a box of its own; leave the key cell out, which is for files without one")
    return cell_boxes(cell, comments, label, range(first, comments.frames, stride))


def _box(file: SpeciesFile) -> Array | None:
    """The box that the file states for frames that carry none [angstrom]."""
    return None if file.box is None else np.diag(np.array(file.box) / ANGSTROM)


def count_snapshots(
    universe: Any, files: Files, file: SpeciesFile, skipped: Sequence[int] = ()
) -> tuple[int, tuple[str, ...]]:
    """Snapshots that the stride leaves, an upper bound (start and stop may leave some out), and what was left out.

    Files whose frames have no certain time are refused here, before anything is read.
    """
    before, used, stride, notes = 0, 0, file.stride, list[str]()
    for (path, options), skip in zip(files, skipped or (0,) * len(files), strict=True):
        if path is not None and len(files) > 1:
            _load(universe, path, options)
        clock_of(universe.trajectory, file, _label(universe, path))
        length = len(universe.trajectory)
        if options.get("drop_cut"):
            length = _whole(universe, path, options, notes)
        length -= skip
        used += len(range(-before % stride, length, stride))
        before += length
    path, options = files[0]
    if path is not None and len(files) > 1:
        _load(universe, path, options)
    return used, tuple(notes)


def convention(universe: Any, path: Path | None, coordinates: str) -> tuple[bool, bool]:
    """Whether positions are or can be made unwrapped, and whether image flags do it."""
    head = dump_head(path) if path is not None and universe.trajectory.format == "LAMMPSDUMP" else None
    columns = () if head is None else head.columns
    flags = {"ix", "iy", "iz"} <= set(columns) and {"ix", "iy", "iz"} <= set(universe.trajectory.ts.data)
    wrapped = bool({"x", "xs"} & set(columns))
    if coordinates == "wrapped":
        return False, False
    if flags and wrapped:
        return True, True
    return coordinates == "unwrapped" or (bool({"xu", "xsu"} & set(columns)) and not wrapped), False


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one read in a thread of its own while the present one is worked on.

    One of the two, or both, leave the interpreter to the other: the decoder of XTC does and so does the unwrapping, so
    that on two cores only the longer of them takes time.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mdcoeffs-reader") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item


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
    CutShort
        The file does not end where its last frame does.
    InputError
        A frame that is damaged.
    """
    kind, atoms = format_of(trajectory), trajectory.n_atoms
    if kind == "LAMMPSDUMP":
        check_dump(path, atoms)
    elif kind == "XYZ":
        check_xyz(path, atoms)
    elif kind == "PDB":
        check_pdb(path)
    elif kind == "XDATCAR":
        check_xdatcar(path)
    check_structure(path, kind, atoms)


def _whole(universe: Any, path: Path | None, options: dict[str, Any], notes: list[str] | None = None) -> int:
    """Frames of the loaded file that are used; a cut last one is refused, or left out and told in `notes`.

    A file that is cut is sound up to there, and its reader gives the frames before the cut as those of a whole file.
    """
    if path is not None:
        try:
            check_complete(path, universe.trajectory)
        except CutShort as error:
            if not _may_drop(path, options, error):
                raise
            if notes is not None:
                notes.append(f"{path.name}: frame {error.whole} is cut short and left out")
                log.warning(notes[-1])
            return error.whole
    return len(universe.trajectory)


def _may_drop(path: Path, options: dict[str, Any], error: CutShort) -> bool:
    """Whether the cut last frame of a file is to be left out."""
    if options.get("drop_cut") and not error.whole:
        raise InputError(f"{path.name}: holds no whole frame") from error
    return bool(options.get("drop_cut"))


def _load(universe: Any, path: Path | None, options: dict[str, Any]) -> None:
    assert path is not None
    kind = options.get("format") or path.suffix[1:].upper()
    name = kind.upper() if isinstance(kind, str) else str(kind.format)
    with _reading(path, "trajectory"):
        try:
            if kind is DumpReader:
                check_dump(path, len(universe.atoms))
            elif name == "XYZ":
                xyz_comments(path, len(universe.atoms))
            check_structure(path, name, len(universe.atoms))
        except CutShort as error:
            if not _may_drop(path, options, error):
                raise
        except InputError as error:
            if name == "H5MD":
                raise InputError(f"{error}; an HDF5 file that is {LOST}") from error
            raise
        given = {key: value for key, value in options.items() if key not in OURS}
        own = {"format": XtcReader, "drop_cut": bool(options.get("drop_cut"))} if name == "XTC" else {}
        universe.load_new(str(path), **given | own)
        len(universe.trajectory)  # a reader of text counts its frames now, and stumbles over what is no text
    reader = universe.trajectory
    reader.units_of_run, reader.cell_file = options.get("units"), options.get("cell")
    if reader.units_of_run is not None:
        fixed = format_of(reader) == "DCD" and stated_times(reader) is not None
        if fixed or format_of(reader) not in UNFIXED:
            raise InputError(f"{path.name}: the units of this {format_of(reader)} file are fixed; leave [units] out")
    if reader.cell_file is not None and format_of(reader) != "XYZ":
        raise InputError(f"{path.name}: cell goes with XYZ files of CP2K; {format_of(reader)} files have boxes")
    velocities = options.get("velocities")
    if velocities is not None and format_of(reader) != "XYZ":
        raise InputError(f"{path.name}: velocities goes with XYZ files of CP2K, not with {format_of(reader)} files")
    reader.moving = None if velocities is None else _velocity_file(velocities, path, reader.n_atoms)


def _velocity_file(path: Path, positions: Path, atoms: int) -> Callable[[int], NDArray[Any]]:
    """Frame of the positions -> velocities of all atoms in the file of CP2K beside them [m/s]."""
    frames = velocity_frames(path, xyz_comments(positions, atoms), atoms, positions.name)
    with _reading(path, "velocity file"):
        reader = XYZReader(str(path), convert_units=False)
        len(reader)

    def moving(frame: int) -> NDArray[Any]:
        number = int(frames[frame])
        try:
            return np.asarray(reader[number].positions * np.float32(BOHR_PER_AU))
        except BAD_FILE as error:
            raise InputError(f"{path.name}: frame {number} cannot be read ({brief(error)}): it is damaged") from error

    return moving


@contextmanager
def _reading(path: Path | None, what: str) -> Iterator[None]:
    """One sentence for whatever a reader raises, and nothing after it.

    A reader of MDAnalysis that failed while it was made complains once more when it is collected, since its destructor
    closes what was never opened: it is collected here, where nobody hears it.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        complaint = ""
        try:
            yield
        except InputError:
            raise
        except BAD_FILE as error:
            if isinstance(error, OSError) and error.errno in FULL:  # compiled code is kept beside the package
                raise
            package = _PACKAGES.get("" if path is None else path.suffix.lower(), "")
            install = f"pip install {package}" if package else "install it"
            missing = f"needs a reader that is not installed: {install}, or convert the file, to XTC say"
            complaint = missing if isinstance(error, ImportError) else f"cannot be read as a {what}"
            if path is not None and path.is_file() and not path.stat().st_size:
                complaint += ": the file is empty"
            elif "dict_keys" in str(error):  # the reader's advice is a list of all formats and a link
                complaint += f", since its name tells no known format: say {what}_format, such as {_EXAMPLES[what]}"
            elif "readable units" in str(error):  # of H5MD
                complaint += ": its positions, box or times have no attribute unit, such as Angstrom or ps; add it"
            elif "end-of-stream" in str(error):  # of gzip and bz2
                complaint += (
                    ': its compressed data are cut short; unpack what is there, and set cut_last_frame = "drop"'
                )
            else:
                complaint += f" ({brief(error)})"
                if "GSD" in str(error):
                    complaint += f": a GSD file that is {LOST}"
            traceback.clear_frames(error.__traceback__)
        if complaint:
            gc.collect()
    finally:
        sys.unraisablehook = hook
    if complaint:
        raise InputError(f"{path}: {complaint}")


def _label(universe: Any, path: Path | None) -> str:
    return Path(path or universe.trajectory.filename or "trajectory").name


def _frames(
    universe: Any, files: Files, stride: int, begin: int, skipped: Sequence[int] = ()
) -> Iterator[tuple[int, str, Any, Any]]:
    """(running number of the used frame, file name, its reader, timestep), from number `begin` on."""
    number = 0
    before = 0
    for (path, options), left_out in zip(files, skipped or (0,) * len(files), strict=True):
        if path is not None and len(files) > 1:
            _load(universe, path, options)
        trajectory, label = universe.trajectory, _label(universe, path)
        with _reading(path or Path(label), "trajectory"):
            decoder = own_reader(trajectory)
        if decoder is not None and is_plain(trajectory):
            trajectory = decoder
        length = _whole(universe, path, options)
        used = range(left_out + -before % stride, length, stride)
        before += length - left_out
        skip = min(max(begin - number, 0), len(used))
        number += skip
        if skip == len(used):
            continue
        frame = used[skip]
        try:
            # Iteration is faster than slices, and the only way through some compressed files.
            snapshots = iter(trajectory[frame::stride] if frame or stride > 1 else trajectory)
            for frame in used[skip:]:
                if decoder is not None and decoder is not trajectory:
                    decoder[frame]  # MDAnalysis decodes it too, for what was added to its reader: not before a check
                ts = next(snapshots, None)
                if ts is None:
                    raise InputError(f"{label}: frame {frame} of {length} is missing: the file is cut short")
                yield number, label, trajectory, ts
                number += 1
        except InputError:
            raise
        except BAD_FILE as error:
            raise InputError(
                f"{label}: frame {frame} cannot be read ({brief(error)}): the file is cut short or damaged"
            ) from error


# ---- joins of files -------------------------------------------------------------------------------------------------


def repeated(universe: Any, files: Files, file: SpeciesFile) -> tuple[int, ...]:
    """How many frames at the beginning of each file the file before it ends with: the same times, the same atoms.

    A run that is restarted often writes the frame it starts from once more, or all since its last checkpoint.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology.
    files : sequence
        As :func:`open_replica` gives them.
    file : SpeciesFile
        With ``drop_repeated``.

    Returns
    -------
    tuple of int
        As many as files, the first 0.

    Raises
    ------
    InputError
        Frames that carry neither time nor step, that have the time of an earlier one and other positions, or that
        lie before what the file before them ends with; a file that holds nothing new.
    """
    if len(files) < 2:
        return (0,) * len(files)
    ends = [_first_and_last(universe, path, options) for path, options in files]
    skipped = [0]
    for k in range(1, len(files)):
        (first, last, step), begin = ends[k - 1], ends[k][0]
        near = 1e-3 * step
        if begin > last + near:
            skipped.append(0)
            continue
        # under frame_interval a continuation may count its times anew; then its first frame may be the last one before
        anew = file.frame_interval is not None and begin < last - near and begin <= first + 1.5 * step
        since = last if anew else begin
        tail = _states(universe, *files[k - 1], since - near)
        head = _states(universe, *files[k], -np.inf, len(tail) if tail else 1)
        names = [_label(universe, path) for path, _ in (files[k - 1], files[k])]
        if anew:
            skipped.append(int(bool(head) and head[0][1] == tail[-1][1]))
        else:
            _check_same(tail, head, near, *names)
            skipped.append(len(tail))
        if skipped[-1] >= _whole(universe, *files[k]):
            raise InputError(f"{names[1]}: holds only frames that {names[0]} ends with; leave it out")
    path, options = files[0]
    if path is not None:
        _load(universe, path, options)
    return tuple(skipped)


def _check_same(
    tail: Sequence[tuple[float, bytes]], head: Sequence[tuple[float, bytes]], near: float, before: str, name: str
) -> None:
    """Refuse frames at the beginning of a file that are not, one by one, those at the end of the file before it."""
    for frame, ((t, state), (t_before, state_before)) in enumerate(zip(head, tail, strict=False)):
        if abs(t - t_before) > near:
            raise InputError(
                f"{name}: frame {frame} is earlier than the end of {before} and has the time of none of its frames, so "
                "it is no repeated frame; give the parts as replicas, or cut one of them"
            )
        if state != state_before:
            raise InputError(
                f"{name}: frame {frame} has the time of a frame at the end of {before} and other positions, so the two "
                "are no parts of one run; give them as replicas, or cut one of them"
            )


def _account(trajectory: Any, label: str) -> Callable[[Any], float]:
    """Time [ps] or step [1] of a frame by the file's own account."""
    own = stated_times(trajectory) or md_steps(trajectory)
    if own is None:
        raise InputError(
            f"{label}: {format_of(trajectory)} files do not say when their frames were, so that drop_repeated cannot "
            "tell a repeated frame; remove the repeated frames and leave drop_repeated out"
        )
    return own


def _first_and_last(universe: Any, path: Path | None, options: dict[str, Any]) -> tuple[float, float, float]:
    """First and last time or step of a file, and the distance of its frames."""
    _load(universe, path, options)
    trajectory = universe.trajectory
    own = _account(trajectory, _label(universe, path))
    length = _whole(universe, path, options)
    first, last = (own(_frame(universe, path, frame)) for frame in (0, length - 1))
    return first, last, (last - first) / max(length - 1, 1)


def _frame(universe: Any, path: Path | None, frame: int) -> Any:
    """One frame."""
    with _reading(path, "trajectory"):
        return universe.trajectory[frame]


def _states(
    universe: Any, path: Path | None, options: dict[str, Any], since: float, most: int | None = None
) -> list[tuple[float, bytes]]:
    """Time or step, and a digest of box, positions and image flags, of the frames at the end of a file from `since` on.

    With `most` of the first frames of the file, so many.
    """
    _load(universe, path, options)
    own, length = _account(universe.trajectory, _label(universe, path)), _whole(universe, path, options)
    found: list[tuple[float, bytes]] = []
    for frame in range(min(most, length)) if most is not None else range(length - 1, -1, -1):
        ts = _frame(universe, path, frame)
        t = own(ts)
        if t < since:
            break
        state = hashlib.sha256(np.ascontiguousarray(ts.positions).tobytes())
        state.update(b"" if ts.dimensions is None else np.asarray(ts.dimensions, dtype=np.float64).tobytes())
        for key in ("ix", "iy", "iz"):
            if key in ts.data:
                state.update(np.asarray(ts.data[key], dtype=np.float64).tobytes())
        found.append((t, state.digest()))
    return found if most is not None else found[::-1]


# ---- readers --------------------------------------------------------------------------------------------------------

MOVING = ("TRR", "H5MD", "NC", "NCDF")
"""Formats of MDAnalysis whose velocities are in a known unit; those of a LAMMPS dump depend on the run's units."""


def _reader_options(path: Path, replica: Replica, timestep: float | None, units: RunUnits | None) -> dict[str, Any]:
    options: dict[str, Any] = {"units": units}
    if replica.trajectory_format:
        options["format"] = replica.trajectory_format
    if is_xdatcar(path):
        return {"format": XdatcarReader.format} | options
    if (replica.trajectory_format or path.suffix[1:]).upper() == "GSD":
        if units is None:
            raise InputError(
                f"{path}: GSD files do not say in which units they are; give a table [units] with length, mass and "
                "energy of the run"
            )
        return options | {"format": GsdReader, "dt": 1.0}
    return options | dump_options(path, replica.topology, timestep, units)


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Warnings of the reader go to the log, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for text in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        log.info("reader: %s", text)
