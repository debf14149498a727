"""Trajectory files: opened, looked over by their bytes, and given snapshot by snapshot, read one ahead.

Beside `mdcoeffs.frames.neighbours` the only module that imports MDAnalysis. Readers drop a last frame that was cut
short without a word; `check_complete` looks at the bytes for what they do not say.
"""

from __future__ import annotations

import bz2
import gc
import gzip
import logging
import math
import os
import re
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar
from xml.etree import ElementTree

import MDAnalysis as mda
import numba
import numpy as np
from MDAnalysis.exceptions import NoDataError, SelectionError
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.molecules import Molecules, Selected, sort_molecules
from mdcoeffs.frames.snapshot import PICOSECOND, Stored, uneven
from mdcoeffs.frames.unwrap import box_matrix
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile

log = logging.getLogger(__name__)

T = TypeVar("T")
Files = Sequence[tuple[Path | None, dict[str, Any]]]
"""Trajectory files in their order with the keywords of their reader; no path: what is loaded already."""
BAD_FILE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, AttributeError, RuntimeError, ArithmeticError),
    *(AssertionError, ImportError, SyntaxError, struct.error, StopIteration, ElementTree.ParseError),
)
"""What readers raise for a file they cannot read; an import where one of MDAnalysis' optional readers is missing."""
_EXAMPLES = {"topology": '"DATA" or "PDB"', "trajectory": '"XTC" or "LAMMPSDUMP"'}
LONGEST_ADVICE = 600
"""Characters of a reader's message that are passed on; the advice stands at its end [1]."""


# ---- topology -------------------------------------------------------------------------------------------------------


def open_replica(replica: Replica, *, timestep: float | None = None) -> tuple[Any, Files]:
    """Open topology and trajectory files.

    Parameters
    ----------
    replica : Replica
        The files and, where their names do not tell, their formats.
    timestep : float, optional
        MD time step [s]; LAMMPS dumps number their frames in steps.

    Returns
    -------
    universe : MDAnalysis.Universe
        With the first trajectory file loaded.
    files : tuple
        Arguments of ``universe.load_new``, one (path, keywords) per trajectory file.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    if replica.topology is None:
        raise InputError(f"{replica.label}: a trajectory needs a topology")
    options = {
        "topology_format": replica.topology_format or topology_format(replica.topology),
        "atom_style": replica.atom_style,
    }
    files = tuple((path, _reader_options(path, replica, timestep)) for path in replica.trajectory)
    given = {key: value for key, value in options.items() if value}
    with logged_warnings():
        with _reading(replica.topology, "topology"):
            universe = mda.Universe(str(replica.topology), **given)
        _load(universe, *files[0])
    return universe, files


def molecules_of(universe: Any, species: Sequence[Species], *, ignore: str = "") -> Molecules:
    """Sort the atoms into molecules and the molecules into species.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology with masses.
    species : sequence of Species
        Selections, and how atoms make molecules.
    ignore : str
        Selection of massless sites that belong to no species.

    Returns
    -------
    Molecules
        Masses in dalton.

    Raises
    ------
    InputError
        Selections that are empty, overlap, miss atoms or cut molecules; masses that are not positive.
    """
    ignored = select(universe, ignore, "ignore") if ignore else None
    selections = [_selected(universe, each) for each in species]
    return sort_molecules(selections, _masses(universe), lambda atom: _describe(universe, atom), ignored=ignored)


def _selected(universe: Any, species: Species) -> Selected:
    name = f"species.{species.name}"
    index = select(universe, species.selection, name)
    tracer = None if species.centre == "mass" else select(universe, species.centre, f"{name}.centre")
    if species.molecule == "atom":
        return Selected(species, index, index, None, tracer)
    try:
        if species.molecule == "fragment":
            if not len(universe.bonds):
                raise NoDataError("no bonds")
            whole = np.asarray(universe.atoms.fragindices, dtype=np.int64)
            return Selected(species, index, whole[index], np.bincount(whole)[whole[index]], tracer)
        atoms = universe.atoms[index]
        key = atoms.resindices if species.molecule == "residue" else atoms.molnums
    except (NoDataError, AttributeError) as error:
        missing = "bonds" if species.molecule == "fragment" else "molecule numbers"
        raise InputError(
            f'{name}: the topology has no {missing}, so molecule = "{species.molecule}" is not possible; choose '
            f'"residue" or "atom"'
        ) from error
    return Selected(species, index, np.asarray(key, dtype=np.int64), None, tracer)


def select(universe: Any, selection: str, name: str) -> Ints:
    """Indices of the atoms of a selection; `name` is its place in the file, for messages."""
    try:
        index = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{name}: selection {selection!r} is not understood ({_brief(error)})") from error
    if not index.size:
        raise InputError(f"{name}: selection {selection!r} selects no atoms")
    return np.asarray(index, dtype=np.int64)


def _masses(universe: Any) -> Array:
    try:
        mass = np.array(universe.atoms.masses, dtype=float)
    except NoDataError as error:
        raise InputError("the topology has no masses and they cannot be guessed; use a topology with masses") from error
    return np.nan_to_num(mass, nan=0.0)


def bonds_of(universe: Any) -> Ints | None:
    """Bonded pairs (bonds, 2), or None where the topology has none."""
    try:
        return np.asarray(universe.bonds.indices, dtype=np.int64)
    except (NoDataError, AttributeError):
        return None


def _describe(universe: Any, atom: int) -> str:
    for name in ("resname", "type", "name"):
        value = getattr(universe.atoms[atom], name, "")
        if value:
            return f"{name} {value}"
    return "no name"


# ---- snapshots ------------------------------------------------------------------------------------------------------


def stored_snapshots(universe: Any, files: Files, file: SpeciesFile, begin: int, images: bool) -> Iterator[Stored]:
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

    Yields
    ------
    Stored

    Raises
    ------
    InputError
        A file that cannot be read or is cut short; frames that have no time.
    """
    buffers = [np.empty((len(universe.atoms), 3), dtype=np.float32) for _ in range(2)]
    reader, clock, account = None, None, _Account(file)
    for number, label, ts in _frames(universe, files, file.stride, begin):
        if clock is None or universe.trajectory is not reader:  # the next file
            reader = universe.trajectory
            clock = _clock(reader, file, label)
            account.open(label, _stated(reader), _steps(reader) if _format(reader) == "LAMMPSDUMP" else None)
        frame = number * file.stride
        name = f"{label}: frame {frame}"
        flags = np.stack([ts.data[key] for key in ("ix", "iy", "iz")], axis=1) if images else None
        # The reader owns its box and changes it in place (in nm, then in angstrom) while the next frame is read.
        box = None if ts.dimensions is None else box_matrix(np.array(ts.dimensions))
        buffers.reverse()
        scaled = next((keys for keys in SCALED if box is not None and set(keys) <= ts.data.keys()), None)
        # MDAnalysis takes the corner of the box away from scaled coordinates too, which are counted from that corner:
        # at constant pressure, where the corner moves, everything then moves with it.
        buffers[0][:] = ts.positions if scaled is None else np.stack([ts.data[key] for key in scaled], axis=1) @ box
        account.check(name, ts, buffers[0], buffers[1] if number > begin else None)
        yield Stored(number, name, clock(ts, frame), buffers[0], box, flags)


def count_snapshots(universe: Any, files: Files, file: SpeciesFile) -> int:
    """Snapshots that the stride leaves, an upper bound: start and stop may leave some out.

    Files whose frames have no certain time are refused here, before anything is read.
    """
    before, used, stride = 0, 0, file.stride
    for path, options in files:
        if path is not None and len(files) > 1:
            _load(universe, path, options)
        _clock(universe.trajectory, file, _label(universe, path))
        length = len(universe.trajectory)
        used += len(range(-before % stride, length, stride))
        before += length
    path, options = files[0]
    if path is not None and len(files) > 1:
        _load(universe, path, options)
    return used


def convention(universe: Any, path: Path | None, coordinates: str) -> tuple[bool, bool]:
    """Whether positions are or can be made unwrapped, and whether image flags do it."""
    columns = dump_columns(path) if path is not None and universe.trajectory.format == "LAMMPSDUMP" else []
    flags = {"ix", "iy", "iz"} <= set(columns) and {"ix", "iy", "iz"} <= set(universe.trajectory.ts.data)
    wrapped = bool({"x", "xs"} & set(columns))
    if coordinates == "wrapped":
        return False, False
    if flags and wrapped:
        return True, True
    return coordinates == "unwrapped" or (bool({"xu", "xsu"} & set(columns)) and not wrapped), False


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one read in a thread of its own while the present one is worked on.

    The reader holds the interpreter and the unwrapping does not, so on two cores the unwrapping costs no time.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mdcoeffs-reader") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item


def _load(universe: Any, path: Path | None, options: dict[str, Any]) -> None:
    assert path is not None
    name = str(options.get("format") or path.suffix[1:]).upper()
    with _reading(path, "trajectory"):
        places = check_structure(path, name, len(universe.atoms))
        if places is not None:
            check_packed(path, places[0])  # loading decodes the first frame
        universe.load_new(str(path), **options)


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
            missing = "needs a reader that is not installed; install it, or convert the file, to XTC say"
            complaint = missing if isinstance(error, ImportError) else f"cannot be read as a {what}"
            if path is not None and path.is_file() and not path.stat().st_size:
                complaint += ": the file is empty"
            elif "dict_keys" in str(error):  # the reader's advice is a list of all formats and a link
                complaint += f", since its name tells no known format: say {what}_format, such as {_EXAMPLES[what]}"
            else:
                complaint += f" ({_brief(error)})"
            traceback.clear_frames(error.__traceback__)
        if complaint:
            gc.collect()
    finally:
        sys.unraisablehook = hook
    if complaint:
        raise InputError(f"{path}: {complaint}")


def _label(universe: Any, path: Path | None) -> str:
    return Path(path or universe.trajectory.filename or "trajectory").name


def _frames(universe: Any, files: Files, stride: int, begin: int) -> Iterator[tuple[int, str, Any]]:
    """(running number of the used frame, file name, timestep), from number `begin` on."""
    number = 0
    before = 0
    for path, options in files:
        if path is not None and len(files) > 1:
            _load(universe, path, options)
        trajectory = universe.trajectory
        label = _label(universe, path)
        places = None if path is None else check_complete(path, trajectory)
        used = range(-before % stride, len(trajectory), stride)
        before += len(trajectory)
        skip = min(max(begin - number, 0), len(used))
        number += skip
        if skip == len(used):
            continue
        frame = used[skip]
        try:
            # Iteration is faster than slices, and the only way through some compressed files.
            snapshots = iter(trajectory[frame::stride] if frame or stride > 1 else trajectory)
            for frame in used[skip:]:
                if places is not None:
                    check_packed(Path(path or ""), places[frame])
                ts = next(snapshots, None)
                if ts is None:
                    raise InputError(f"{label}: frame {frame} of {len(trajectory)} is missing: the file is cut short")
                yield number, label, ts
                number += 1
        except InputError:
            raise
        except BAD_FILE as error:
            raise InputError(
                f"{label}: frame {frame} cannot be read ({_brief(error)}): the file is cut short or damaged"
            ) from error


# ---- time -----------------------------------------------------------------------------------------------------------

Clock = Callable[[Any, int], float]
"""(snapshot of the reader, running number of the frame) -> its time [s]."""
SCALED = (("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
"""Columns of a LAMMPS dump with positions in units of the box vectors, from the corner of the box."""
TIMED = ("XTC", "TRR", "NC", "NCDF", "H5MD", "TNG", "TRC", "TRZ")
"""Formats of MDAnalysis whose frames carry their time in a known unit."""
AKMA_WRITERS = re.compile(r"\b(CHARMM|NAMD|OPENMM)\b")
"""Programs that give the time step of a DCD in AKMA units; LAMMPS gives it in whatever units it runs in."""


def _clock(trajectory: Any, file: SpeciesFile, label: str) -> Clock:
    """How the frames of a file get their times: as the user says, by MD steps, or by the file where it is certain.

    MDAnalysis gives a file without times one picosecond a frame, and reads every DCD as if its unit were AKMA time: of
    what a LAMMPS run wrote kappa then comes out 49 times too small (real units) or 20 times too large (lj).
    """
    own = _stated(trajectory)
    interval, timestep = file.frame_interval, file.timestep
    if interval is not None and timestep is not None:
        raise InputError("timestep and frame_interval both say when the frames were; give one of them")
    if interval is not None:
        return lambda ts, frame: frame * interval
    steps = _steps(trajectory)
    if timestep is not None:
        if steps is None:
            raise InputError(
                f"{label}: timestep goes with files that number their frames in MD steps (LAMMPS dumps, DCD); leave it "
                "out, or give frame_interval, the time between stored frames"
            )
        return lambda ts, frame: steps(ts) * timestep
    if own is not None:
        return lambda ts, frame: own(ts) * PICOSECOND
    either = 'timestep = "2 fs" (the MD step) or ' if steps is not None else ""
    raise InputError(
        f"{label}: {_format(trajectory)} files do not say for certain when their frames were; give {either}"
        'frame_interval = "1 ps" (the time between stored frames)'
    )


def _stated(trajectory: Any) -> Callable[[Any], float] | None:
    """What the file itself says of the time of a frame [ps], None where it does not for certain."""
    for reader in getattr(trajectory, "readers", [trajectory]):  # several, where a Universe was given several files
        name = _format(reader)
        if name == "DCD":
            remarks = re.sub(r"FILENAME *= *\S+", "", str(reader._file.header["remarks"]).upper())
            timed = bool(AKMA_WRITERS.search(remarks)) and reader._file.header["nsavc"] > 0
        else:
            timed = name in TIMED and "time" in reader.ts.data
        if not timed:
            return None
    return lambda ts: float(ts.time)


def _steps(trajectory: Any) -> Callable[[Any], float] | None:
    """The MD step at which a frame was stored [1], None where the file does not say.

    Other readers have a `step` too, but in an XTC that MDAnalysis wrote it is the number of the frame.
    """
    names = {_format(reader) for reader in getattr(trajectory, "readers", [trajectory])}
    if names == {"LAMMPSDUMP"}:
        return lambda ts: float(ts.data["step"])
    if names <= {"DCD", "LAMMPS"} and not hasattr(trajectory, "readers"):
        head = trajectory._file.header  # the step of its first frame, and how many steps lie between frames
        if head["nsavc"] > 0:
            return lambda ts: float(head["istart"] + ts.frame * head["nsavc"])
    return None


class _Account:
    """The times of frames by the files' own account, where frame_interval replaces them: it must not hide a joint.

    Parameters
    ----------
    file : SpeciesFile
        With ``frame_interval``; without it times are checked where they are used.
    """

    def __init__(self, file: SpeciesFile) -> None:
        self.interval, self.stride = file.frame_interval, file.stride
        self.label, self.timed = "", False
        self.own: Callable[[Any], float] | None = None
        self.times: list[float] = []  # first, second and last of the file that is read
        self.before: list[float] = []  # of the file before it

    def open(self, label: str, times: Callable[[Any], float] | None, steps: Callable[[Any], float] | None) -> None:
        """The next file: what it says of its frames, times [ps] or steps [1], None where it says nothing."""
        self.label, self.timed, self.own = label, times is not None, times or steps
        self.before, self.times = self.times, []

    def check(self, name: str, ts: Any, positions: NDArray[Any], before: NDArray[Any] | None) -> None:
        """Refuse a frame that repeats the one before, lies before it or after a gap."""
        if self.interval is None:
            return
        if before is not None and np.array_equal(positions[:1], before[:1]) and np.array_equal(positions, before):
            raise InputError(f"{name} has the very positions of the frame before; remove the repeated frame")
        if self.own is None:
            return
        t = self.own(ts)
        if len(self.times) == 1 and t == self.times[0]:
            self.own = None  # a placeholder, such as zero in every frame
            return
        complaint = self._complaint(t)
        if complaint:
            raise InputError(
                f"{name} {complaint} by the file's own times, which frame_interval would hide; remove repeated frames, "
                "or give the parts as replicas"
            )
        self.times = [*self.times[:2], t] if len(self.times) != 1 else [self.times[0], t, t]
        wanted = self.interval * self.stride / PICOSECOND
        if (
            self.timed
            and not self.before
            and self.times[1:] == [t, t]
            and abs(t - self.times[0] - wanted) > 1e-3 * wanted
        ):
            log.warning(
                "%s: frames are %.6g ps apart by the file; frame_interval makes it %.6g ps",
                *(self.label, (t - self.times[0]) / self.stride, wanted / self.stride),
            )

    def _complaint(self, t: float) -> str:
        times = self.times or self.before
        if not times:
            return ""
        first, last = times[0], times[-1]
        step = times[1] - times[0] if len(times) > 1 else 0.0
        if not self.times and t < last and t <= first + 1.5 * step:
            return ""  # a continuation that counts its times anew
        if t <= last:
            return "repeats the time of the frame before" if t == last else "is earlier than the frame before"
        return "does not follow at the first step" if step and uneven(t, last, first, step) else ""


def _format(trajectory: Any) -> str:
    return str(np.atleast_1d(trajectory.format)[0])


def _reader_options(path: Path, replica: Replica, timestep: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"format": replica.trajectory_format} if replica.trajectory_format else {}
    columns = dump_columns(path)
    if columns:
        options["format"] = "LAMMPSDUMP"
        options["dt"] = 1.0 if timestep is None else timestep / PICOSECOND
        images = ("ix", "iy", "iz")
        scaled = next((keys for keys in SCALED if set(keys) <= set(columns) and "x" not in columns), ())
        if more := [*scaled, *(images if set(images) <= set(columns) else ())]:
            options["additional_columns"] = more
    return options


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Warnings of the reader go to the log, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for text in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        log.info("reader: %s", text)


def _brief(error: BaseException) -> str:
    """The message of an error on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_ADVICE else text[:LONGEST_ADVICE].rsplit(" ", 1)[0] + " ..."


# ---- the bytes of a file --------------------------------------------------------------------------------------------

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
    if trajectory.format == "LAMMPSDUMP":
        _check_dump(path, trajectory.n_atoms)
        return None
    return check_structure(path, str(trajectory.format), trajectory.n_atoms)  # NetCDF has a list of names


def check_structure(path: Path, trajectory_format: str, atoms: int) -> Sequence[int] | None:
    """Refuse a binary trajectory whose frames do not follow one another as their heads say; nothing is decoded.

    Parameters
    ----------
    path : Path
        The file.
    trajectory_format : str
        As MDAnalysis calls it; others than XTC, TRR and DCD are taken as they are.
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
