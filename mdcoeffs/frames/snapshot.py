"""One snapshot as the analyses see it, and the walker that makes it: checks, SI units and, where asked, unwrapping.

The rule of which snapshots are used is here too, once for every kind of file: those from `start` to `stop`, in the
order of the files, evenly spaced in time (:func:`inside`, :func:`uneven`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import N_A, Array, Bools, InputError, Ints, shown
from mdcoeffs.frames.molecules import Molecules, whole_molecules
from mdcoeffs.frames.unwrap import Track, advance

ANGSTROM = 1e-10
PICOSECOND = 1e-12
DALTON = 1e-3 / N_A
ROUNDING = 2.0**-21
"""Relative error of a time that a file keeps in single precision, and of a difference of two such times [1]."""
UNEVEN = 1e-3
"""Largest difference of a step between snapshots from the first one, in units of it [1]."""
FOLLOW = ("", "whole", "unwrap")
"""How molecules are followed, from the least to the most: not at all; made whole; made whole and unwrapped."""


MOST_BINS = 10_000_000
"""Of a histogram over a box; more are a box in the wrong unit."""


def bins_over(length: float, width: float, name: str) -> int:
    """How many bins of a width lie over a length.

    Parameters
    ----------
    length, width : float
        Of the box, and of a bin [m].
    name : str
        What asks for them, for the message.

    Returns
    -------
    int

    Raises
    ------
    InputError
        So many that the length cannot be meant.
    """
    bins = length / width
    if not bins <= MOST_BINS:
        raise InputError(
            f"{name}: {length:.3g} m hold {bins:.3g} bins of {width:.3g} m; a box of molecules is nanometres wide: "
            f"[units] says what the numbers of arrays are in"
        )
    return round(bins)


def inside(time: ArrayLike, start: float | None, stop: float | None) -> Bools:
    """Whether a time lies in the part of the run that is used, both ends included.

    Parameters
    ----------
    time : array (...)
        Times [s].
    start, stop : float, optional
        First and last time [s].

    Returns
    -------
    array (...) of bool
    """
    t = np.asarray(time, dtype=np.float64)
    low = -np.inf if start is None else start - ROUNDING * abs(start)
    high = np.inf if stop is None else stop + ROUNDING * abs(stop)
    return np.asarray((t >= low) & (t <= high))


def uneven(time: ArrayLike, before: ArrayLike, first: float, step: float) -> Bools:
    """Whether the step from one snapshot to the next differs from the first step by more than rounding explains.

    Parameters
    ----------
    time, before : array (...)
        Time of a snapshot and of the one before it [s].
    first : float
        Time of the first snapshot [s].
    step : float
        The first step [s].

    Returns
    -------
    array (...) of bool
    """
    t, b = np.asarray(time, dtype=np.float64), np.asarray(before, dtype=np.float64)
    # Each step is a difference of times up to the larger of `time` and `first`, and carries their rounding.
    return np.asarray(np.abs(t - b - step) > UNEVEN * step + ROUNDING * np.maximum(np.abs(t), abs(first)))


def box_volume(box: ArrayLike) -> Array:
    """Volume that the vectors of boxes span, shape (..., 3, 3) -> (...); infinite or NaN where theirs are."""
    with np.errstate(over="ignore", invalid="ignore"):  # the caller judges what comes out
        return np.asarray(np.abs(np.linalg.det(np.asarray(box, dtype=float))))


class Stored(NamedTuple):
    """A snapshot as a file holds it.

    Parameters
    ----------
    number : int
        Running number among those that `stride` leaves, over all files.
    name : str
        File and number of the frame in it, for messages.
    time : float
        Time [s].
    positions : array (atoms, 3)
        Wrapped or not [angstrom].
    box : array (3, 3) or None
        Box vectors as rows [angstrom].
    images : array of int (atoms, 3) or None
        Periodic image of every atom, where the file tells.
    velocities : array (atoms, 3) or None
        Where the file has them [m/s].
    """

    number: int
    name: str
    time: float
    positions: NDArray[Any]
    box: Array | None
    images: NDArray[Any] | None = None
    velocities: NDArray[Any] | None = None


def used_snapshots(
    snapshots: Iterator[Stored], start: float | None, stop: float | None, every: float | None, begin: int
) -> Iterator[Stored]:
    """The snapshots of the part of the run that is used; what lies behind is not read.

    Parameters
    ----------
    snapshots : iterator of Stored
        In the order of the files.
    start, stop : float, optional
        First and last time [s].
    every : float, optional
        Only those at its multiples after `start`, or after time zero; of several that are at one to rounding the first.
    begin : int
        Running number of the first snapshot wanted.

    Yields
    ------
    Stored

    Raises
    ------
    InputError
        Under `every`, a snapshot that is not later than the one before, used or not, or a multiple without snapshot.
    """
    last, before, origin = -np.inf, None, start or 0.0
    for stored in snapshots:
        time = stored.time
        if not inside(time, None, stop):
            return
        chosen = stored.number >= begin
        if every is not None and np.isfinite(time):
            _check_order(stored.name, time, last)
            passed = (time - origin) / every
            here = round(passed)
            off = abs(time - origin - here * every)
            at = off <= 1e-6 * every + ROUNDING * max(abs(time), abs(origin)) and bool(inside(time, start, None))
            if before is not None and (here > before + 1 if at else passed > before + 1):
                raise InputError(
                    f"{stored.name} at {time:.6g} s: no frame before it is at {origin + (before + 1) * every:.6g} s, "
                    f"but every = {every:.6g} s asks for one; give the interval at which frames are there, or an "
                    "evenly spaced part of the run (start, stop)"
                )
            chosen &= at and here != before
            last, before = time, here if at else before
            if chosen:  # while it is worked on, the reader passes over others and overwrites what it gave
                stored = stored._replace(positions=stored.positions.copy())
        if chosen and inside(time, start, None):
            yield stored


def used_frames(
    time: Array, start: float | None, stop: float | None, stride: int, every: float | None, label: str = "arrays"
) -> Ints:
    """Which frames of arrays are used, as :func:`used_snapshots` says it of files.

    Parameters
    ----------
    time : array (frames,)
        [s]
    start, stop, every
        As of :func:`used_snapshots`.
    stride : int
        Use every stride-th frame of that part.
    label : str
        Name for messages.

    Returns
    -------
    array of int
        Their numbers, in order.

    Raises
    ------
    InputError
        As :func:`used_snapshots`.
    """
    if every is None:
        return np.flatnonzero(inside(time, start, stop))[::stride]
    nothing = np.empty((0, 3))
    stored = (Stored(k, f"{label}: frame {k}", float(t), nothing, None) for k, t in enumerate(time))
    return np.array([each.number for each in used_snapshots(stored, start, stop, every, 0)], dtype=np.intp)


def _check_order(name: str, time: float, last: float) -> None:
    """Refuse a snapshot that is not later than the one before."""
    if time <= last:
        what = "repeats the time of" if time == last else "is earlier than"
        raise InputError(
            f"{name} at {time:.6g} s {what} the frame before: frames are out of order or duplicated, as "
            "when runs are joined; leave out repeated frames at the beginning of a file with drop_repeated = true, or "
            "give the runs as replicas"
        )


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One moment of a run; its arrays are overwritten when the next one is read, and made when they are first used.

    Parameters
    ----------
    number : int
        Snapshots used before this one (after start, stop and stride).
    time : float
        Time [s].
    raw : array (atoms, 3)
        Positions of all atoms as stored, wrapped or not [angstrom].
    box : array (3, 3) or None
        Box vectors as rows, this snapshot's [m].
    walker : Walker, optional
        What made it: the molecules as they are followed.
    velocities : array (atoms, 3) or None
        Of all atoms, where the file has them [m/s].
    """

    number: int
    time: float
    raw: NDArray[Any]
    box: Array | None
    walker: Walker | None = None
    velocities: NDArray[Any] | None = None

    @property
    def positions(self) -> Array:
        """Positions of all atoms as stored (atoms, 3) [m]."""
        return np.asarray(self.raw, dtype=np.float64) * ANGSTROM

    @property
    def cell(self) -> Array:
        """The box; an error where there is none (3, 3) [m]."""
        if self.box is None:
            raise InputError(f"frame {self.number} has no box, and this analysis needs one")
        return self.box

    @property
    def lengths(self) -> Array:
        """Lengths of the box vectors (3,) [m]."""
        return np.linalg.norm(self.cell, axis=1)

    @property
    def heights(self) -> Array:
        """Distances between opposite faces of the box (3,) [m]; half the least is the longest distance without images.

        Equal to the lengths where the box vectors are at right angles.
        """
        box = self.cell
        return self.volume / np.linalg.norm(np.cross(box[[1, 2, 0]], box[[2, 0, 1]]), axis=1)

    @property
    def volume(self) -> float:
        """Volume of the box [m^3]."""
        return float(box_volume(self.cell))

    @cached_property
    def centres(self) -> Array:
        """Centres of mass of the molecules, in the order of ``stream.molecules`` (molecules, 3) [m].

        Unwrapped, the first snapshot's in the box, the drift of the centre of mass of everything since then taken away;
        where molecules are only made whole, as they lie in the box in every snapshot.
        """
        w = self._walked
        return np.asarray((w.origin + w.track.displacement - w.drift) * ANGSTROM)

    @cached_property
    def relative(self) -> Array:
        """Atoms relative to the centre of mass of their molecule, molecules whole (atoms used, 3) [m].

        In the order of ``stream.molecules.atoms``.
        """
        track, sizes = self._walked.track, self._walked.molecules.sizes
        return np.asarray((track.relative - np.repeat(track.middle, sizes, axis=0)) * ANGSTROM)

    @property
    def drift(self) -> Array:
        """What was taken away from `centres` (3,) [m]; zero where masses are not known or nothing is unwrapped."""
        return self._walked.drift * ANGSTROM

    @property
    def summed(self) -> Array:
        """Unwrapped displacements since the first snapshot, summed over each species, drift included (species, 3) [m].

        In the box of the simulation: nothing is taken away.
        """
        return self._walked.track.summed * ANGSTROM

    @cached_property
    def paths(self) -> Array:
        """Unwrapped displacement since the first snapshot of what stands for each molecule (molecules, 3) [m].

        The atom that ``centre`` of its species names, else its centre of mass; drift included.
        """
        w = self._walked
        offsets = w.track.tracer_offsets(w.molecules) - w.first_offsets
        return np.asarray((w.track.displacement + offsets) * ANGSTROM)

    @property
    def longest_step(self) -> float:
        """Longest step of a molecule between two snapshots until now, as a fraction of the box [1]."""
        return self._walked.longest_step

    @property
    def _walked(self) -> Walker:
        assert self.walker is not None and self.walker.follow  # who asks for molecules says so: `Accumulator.follow`
        return self.walker


class Walker:
    """Turns stored snapshots, one after the other, into snapshots.

    Parameters
    ----------
    molecules : Molecules
        Which atoms make which molecule.
    mass : array (molecules,)
        Share of every molecule in the mass of everything [1]; zeros where masses are not known.
    follow : str
        One of `FOLLOW`; molecules that are only made whole may move any distance between snapshots.
    unwrapped : bool
        The stored positions (with their images) are unwrapped already.
    bonds : array of int (bonds, 2), optional
        Bonded pairs, to make molecules whole.
    """

    def __init__(
        self,
        molecules: Molecules,
        mass: Array,
        *,
        follow: str,
        unwrapped: bool,
        bonds: NDArray[np.int64] | None = None,
    ) -> None:
        self.molecules, self.mass, self.unwrapped, self.bonds = molecules, mass, unwrapped, bonds
        self.follow, self.track = follow, Track.empty(molecules)
        self.used, self.times = 0, np.full(3, np.nan)  # the first, second and last time
        self.origin, self.first_offsets = np.zeros((2, molecules.count, 3))
        self.longest_step = 0.0
        self.roots, self.steps = np.zeros((molecules.count, 3)), np.zeros(4, dtype=np.int64)

    @property
    def drift(self) -> Array:
        """Displacement of the centre of mass of everything since the first snapshot (3,) [angstrom]."""
        return np.asarray(self.mass @ self.track.displacement)

    def snapshot(self, stored: Stored) -> Snapshot:
        """The next snapshot.

        Raises
        ------
        InputError
            Order, uneven spacing, NaN, a box without volume, no box to unwrap in, steps too long to unwrap.
        """
        self._check_time(stored)
        if stored.box is not None and not 0 < box_volume(stored.box) < np.inf:  # false for NaN too
            raise InputError(f"{stored.name}: the box {shown(stored.box.tolist())} angstrom spans no volume")
        if self.follow:
            self._advance(stored)
        elif not np.isfinite(stored.positions).all():
            atom = int(np.argmin(np.isfinite(stored.positions).all(axis=1)))
            raise InputError(f"{stored.name}: the position of atom {atom} is NaN or infinite")
        box = None if stored.box is None else stored.box * ANGSTROM
        self.used += 1
        return Snapshot(self.used - 1, stored.time, stored.positions, box, self, stored.velocities)

    def _check_time(self, stored: Stored) -> None:
        first, second, last = self.times
        time = stored.time
        if not np.isfinite(time):  # nothing below is true of NaN
            raise InputError(f"{stored.name}: its time is {time}; the file is damaged, or give frame_interval")
        if self.used:
            _check_order(stored.name, time, last)
        if self.used > 1 and uneven(time, last, first, second - first):
            raise InputError(
                f"{stored.name}: frames are not evenly spaced: step {time - last:.6g} s, the first was "
                f"{second - first:.6g} s; use an evenly spaced part of the run (start, stop), or of log-spaced frames "
                'those at a fixed interval, by every = "100 ps", say'
            )
        if self.used < 2:
            self.times[self.used] = time
        self.times[2] = time

    def _advance(self, stored: Stored) -> None:
        box, first, track = stored.box, self.used == 0, self.track
        if box is None and not self.unwrapped:
            raise InputError(
                f"{stored.name} has no box, so wrapped positions cannot be unwrapped; give a trajectory with its box, "
                "the key box if it was rectangular and constant, or "
                'coordinates = "unwrapped" (and volume, where it is needed) if positions are unwrapped'
            )
        if self.unwrapped and self.follow == "unwrap":
            self._check_unwrapped(stored)
        if first and box is not None and not self.unwrapped:
            track.relative[:] = whole_molecules(self.molecules, stored.positions, box, self.bonds)
        anew = first or self.follow == "whole"
        try:
            step = advance(
                self.molecules, track, stored.positions, box, images=stored.images, known=self.unwrapped, start=anew
            )
        except InputError as error:
            raise InputError(f"{stored.name}: {error}") from error
        self.longest_step = max(self.longest_step, step)
        if anew:
            self.origin = track.wrapped.copy() if box is None else track.wrapped + 0.5 * box.sum(axis=0)
        if first:
            self.first_offsets = track.tracer_offsets(self.molecules)

    def _check_unwrapped(self, stored: Stored) -> None:
        """Refuse positions that jump by the box while hardly anything moves half as far: they are wrapped after all.

        Steps are judged by their sizes in units of the box, one count per molecule and box vector: where they scatter
        so widely that a jump could be a step, there are more of them between 0.35 and 0.65 than above.
        """
        first = self.molecules.atoms[self.molecules.first[:-1]]
        roots = stored.positions[first].astype(np.float64)
        box = stored.box
        if stored.images is not None and box is not None:
            roots += stored.images[first] @ box
        if box is None:  # the extent of the first snapshot is the box, or less by the gaps between molecules
            box = np.diag(np.ptp(roots if not self.used else self.origin, axis=0))
        before, self.roots = self.roots, roots
        if not self.used or not np.all(np.diagonal(box) > 0) or not np.isfinite(roots).all():
            return
        moved = np.abs((roots - before) @ np.linalg.inv(box))
        jumps = moved > 0.65
        kinds = (moved >= 0.0, moved < 0.25, (moved > 0.35) & ~jumps, jumps)
        self.steps += np.array([np.count_nonzero(kind) for kind in kinds])
        every, small, middle, far = self.steps
        if far > 2 * middle and (small > 0.9 * every or (far >= 3 and small > 0.6 * every)):
            worst = int(np.argmax(moved.max(axis=1)))
            raise InputError(
                f"{stored.name}: molecule {worst} jumps by {moved.max():.2f} of the box where molecules else move less "
                f'than half of it: the positions are wrapped, not unwrapped; say coordinates = "wrapped" (where image '
                "flags are stored they were set back; then start after that frame)"
            )

    def arrays(self, begin: int) -> dict[str, NDArray[Any]]:
        """The state before the stored snapshot with running number `begin`."""
        state: dict[str, NDArray[Any]] = {"numbers": np.array([begin, self.used]), "times": self.times}
        if self.follow:
            state |= {"origin": self.origin, "first_offsets": self.first_offsets, **self.track.arrays()}
            state |= {"longest_step": np.array(self.longest_step), "roots": self.roots, "steps": self.steps}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> int:
        """Take a state up; the running number of the stored snapshot that comes next."""
        begin, self.used = (int(v) for v in state["numbers"])
        self.times = state["times"].copy()
        if self.follow:
            self.origin, self.first_offsets = state["origin"], state["first_offsets"]
            self.longest_step = float(state["longest_step"])
            self.roots, self.steps = state["roots"], state["steps"].copy()
            for name, array in self.track.arrays().items():
                array[:] = state[name]
        return begin
