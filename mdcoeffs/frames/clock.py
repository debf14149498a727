"""When the frames of a trajectory were: as the user says, by MD steps, or by the file where it is certain."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import InputError
from mdcoeffs.frames.snapshot import PICOSECOND, uneven
from mdcoeffs.frames.text_frames import xyz_comments
from mdcoeffs.inputs.species import SpeciesFile

log = logging.getLogger(__name__)

Clock = Callable[[Any, int], float]
"""(snapshot of the reader, running number of the frame) -> its time [s]."""
TIMED = ("XTC", "TRR", "NC", "NCDF", "H5MD", "TNG", "TRC", "TRZ")
"""Formats of MDAnalysis whose frames carry their time in a known unit."""
AKMA_WRITERS = re.compile(r"\b(CHARMM|NAMD|OPENMM)\b")
"""Programs that give the time step of a DCD in AKMA units; LAMMPS gives it in whatever units it runs in."""


def clock_of(trajectory: Any, file: SpeciesFile, label: str) -> Clock:
    """How the frames of a file get their times: as the user says, by MD steps, or by the file where it is certain.

    MDAnalysis gives a file without times one picosecond a frame, and reads every DCD as if its unit were AKMA time: of
    what a LAMMPS run wrote kappa then comes out 49 times too small (real units) or 20 times too large (lj).
    """
    own = stated_times(trajectory)
    interval, timestep = file.frame_interval, file.timestep
    if interval is not None and timestep is not None:
        raise InputError("timestep and frame_interval both say when the frames were; give one of them")
    if interval is not None:
        return lambda ts, frame: frame * interval
    steps = md_steps(trajectory)
    if timestep is not None:
        if steps is None:
            raise InputError(
                f"{label}: timestep goes with files that number their frames in MD steps (LAMMPS dumps, DCD, GSD); "
                "leave it out, or give frame_interval, the time between stored frames"
            )
        stated = own if format_of(trajectory) == "LAMMPSDUMP" else None
        return _by_steps(steps, timestep, stated, label)
    if own is not None:
        return lambda ts, frame: own(ts) * PICOSECOND
    either = 'timestep = "2 fs" (the MD step) or ' if steps is not None else ""
    if getattr(trajectory, "timed", False):
        either = '[units] style = "real" (the unit style of the run, in whose units it states the time), ' + either
    raise InputError(
        f"{label}: {format_of(trajectory)} files do not say for certain when their frames were; give {either}"
        'frame_interval = "1 ps" (the time between stored frames)'
    )


def _by_steps(steps: Callable[[Any], float], timestep: float, own: Callable[[Any], float] | None, label: str) -> Clock:
    """Times by MD steps, which times that the file states too must not contradict."""
    first: list[float] = []

    def time(ts: Any, frame: int) -> float:
        t = steps(ts) * timestep
        if own is not None:
            stated = own(ts) * PICOSECOND
            first[:] = first or [t, stated]
            passed, its = t - first[0], stated - first[1]
            if abs(its - passed) > 1e-3 * abs(passed):
                raise InputError(
                    f"{label}: frame {frame} is {its:.6g} s after the first one by the file and {passed:.6g} s by "
                    "timestep; correct timestep or leave it out"
                )
        return t

    return time


def stated_times(trajectory: Any) -> Callable[[Any], float] | None:
    """What the file itself says of the time of a frame [ps], None where it does not for certain."""
    readers = getattr(trajectory, "readers", [trajectory])  # several, where a Universe was given several files
    clocks = [_stated_times(reader) for reader in readers]
    if len(clocks) == 1:
        return clocks[0]
    return (
        (lambda ts: float(ts.time)) if all(format_of(r) in ("DCD", *TIMED) for r in readers) and all(clocks) else None
    )


def _stated_times(reader: Any) -> Callable[[Any], float] | None:
    name = format_of(reader)
    if name == "DCD":
        remarks = re.sub(r"FILENAME *= *\S+", "", str(reader._file.header["remarks"]).upper())
        timed = bool(AKMA_WRITERS.search(remarks)) and reader._file.header["nsavc"] > 0
    elif name == "XYZ":
        times = _cp2k_times(reader)
        return None if times is None else lambda ts: float(times[ts.frame])
    elif name == "LAMMPSDUMP":
        units = getattr(reader, "units_of_run", None)
        if units is None or not getattr(reader, "timed", False):
            return None
        return lambda ts: float(ts.time) * units.time / PICOSECOND
    else:
        timed = name in TIMED and "time" in reader.ts.data
    return (lambda ts: float(ts.time)) if timed else None


def _cp2k_times(reader: Any) -> NDArray[Any] | None:
    """Times in the comments of an XYZ file of CP2K (frames,) [ps]."""
    path = Path(str(reader.filename))
    return xyz_comments(path, reader.n_atoms).times if path.is_file() else None


def md_steps(trajectory: Any) -> Callable[[Any], float] | None:
    """The MD step at which a frame was stored [1], None where the file does not say.

    Other readers have a `step` too, but in an XTC that MDAnalysis wrote it is the number of the frame.
    """
    names = {format_of(reader) for reader in getattr(trajectory, "readers", [trajectory])}
    if names <= {"LAMMPSDUMP", "GSD"}:
        return lambda ts: float(ts.data["step"])
    if names <= {"DCD", "LAMMPS"} and not hasattr(trajectory, "readers"):
        head = trajectory._file.header  # the step of its first frame, and how many steps lie between frames
        if head["nsavc"] > 0:
            return lambda ts: float(head["istart"] + ts.frame * head["nsavc"])
    return None


class OwnTimes:
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


def format_of(trajectory: Any) -> str:
    """The first name that MDAnalysis gives the format of a reader."""
    return str(np.atleast_1d(trajectory.format)[0])
