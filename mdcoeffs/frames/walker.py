"""One frame as the analyses see it, and the walker that makes it: checks, SI units and, where asked, unwrapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from mdcoeffs.frames.reading import ANGSTROM
from mdcoeffs.frames.topology import whole_molecules
from mdcoeffs.frames.unwrap import Molecules, Track, advance

Raw = tuple[int, str, float, NDArray[Any], Array | None, NDArray[Any] | None]
"""Running number, file, time [s], positions [angstrom], box [angstrom], image flags."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame; its arrays are overwritten when the next one is read.

    Parameters
    ----------
    number : int
        Frames used before this one (after start, stop and stride).
    time : float
        Time of the frame [s].
    raw : array (atoms, 3)
        Positions of all atoms as stored, wrapped or not [angstrom].
    box : array (3, 3) or None
        Box vectors as rows, this frame's [m].
    centres : array (molecules, 3) or None
        Centres of mass, unwrapped, the drift of the centre of mass of everything since the first used frame taken
        away; molecules in the order of ``stream.molecules``. The first frame's lie in the box. Only with
        ``unwrap = True``; with ``whole = True`` instead, as they lie in the box in every frame [m].
    relative : array (atoms used, 3) or None
        Atoms relative to the centre of mass of their molecule, molecules whole, in the order of
        ``stream.molecules.atoms``. Only with ``unwrap = True`` or ``whole = True`` [m].
    drift : array (3,) or None
        What was taken away from `centres`; zero where the masses are not known, or with ``whole = True`` [m].
    """

    number: int
    time: float
    raw: NDArray[Any]
    box: Array | None
    centres: Array | None = None
    relative: Array | None = None
    drift: Array | None = None

    @property
    def positions(self) -> Array:
        """Positions of all atoms as stored (atoms, 3) [m]."""
        return np.asarray(self.raw, dtype=np.float64) * ANGSTROM

    @property
    def lengths(self) -> Array:
        """Lengths of the box vectors (3,) [m]."""
        return np.linalg.norm(self._box(), axis=1)

    @property
    def volume(self) -> float:
        """Volume of the box [m^3]."""
        return float(abs(np.linalg.det(self._box())))

    def _box(self) -> Array:
        if self.box is None:
            raise InputError(f"frame {self.number} has no box, and this analysis needs one")
        return self.box


class Walker:
    """Turns raw frames, one after the other, into frames.

    Parameters
    ----------
    molecules : Molecules
        Who is who.
    mass : array (molecules,)
        Share of every molecule in the mass of everything [1]; zeros where masses are not known.
    follow : {"", "unwrap", "whole"}
        Unwrap the molecules; only make them whole (no limit on how far they move between frames); or neither.
    unwrapped : bool
        The raw positions (with image flags) are unwrapped already.
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
        self.paths = follow == "unwrap"
        self.used, self.times = 0, np.full(3, np.nan)  # the first, second and last time
        self.track = Track.empty(molecules) if follow else None
        self.origin: Array = np.zeros((molecules.count, 3))

    def frame(self, raw: Raw) -> Frame:
        """The next frame.

        Raises
        ------
        InputError
            Order, uneven spacing, NaN, no box to unwrap in, steps too long to unwrap.
        """
        number, label, time, positions, box, images = raw
        where = f"{label}: frame {number}"
        self._check_time(time, where)
        found = Frame(self.used, time, positions, None if box is None else box * ANGSTROM)
        if self.track is not None:
            found = self._followed(found, self.track, box, images, where)
        elif not np.isfinite(positions).all():
            atom = int(np.argmin(np.isfinite(positions).all(axis=1)))
            raise InputError(f"{where}: the position of atom {atom} is NaN or infinite")
        self.used += 1
        return found

    def _check_time(self, time: float, where: str) -> None:
        first, second, last = self.times
        if self.used and time <= last:
            what = "repeats the time of" if time == last else "is earlier than"
            raise InputError(
                f"{where} at {time:.6g} s {what} the frame before: frames are out of order or duplicated, as when "
                f"runs are joined; remove the repeated frames or give the runs as replicas"
            )
        if self.used > 1:
            step = second - first
            if abs(time - last - step) > 1e-3 * step + 2.0**-21 * max(abs(time), abs(first)):
                raise InputError(
                    f"{where}: frames are not evenly spaced: step {time - last:.6g} s, the first was {step:.6g} s"
                )
        if self.used < 2:
            self.times[self.used] = time
        self.times[2] = time

    def _followed(
        self, frame: Frame, track: Track, box: Array | None, images: NDArray[Any] | None, where: str
    ) -> Frame:
        who, first = self.molecules, self.used == 0
        if box is None and not self.unwrapped:
            raise InputError(
                f"{where} has no box, so wrapped positions cannot be unwrapped; give a trajectory with its box, or "
                f'coordinates = "unwrapped"'
            )
        if first and box is not None and not self.unwrapped:
            track.relative[:] = whole_molecules(who, frame.raw, box, self.bonds)
        try:
            advance(who, track, frame.raw, box, images=images, known=self.unwrapped, start=first or not self.paths)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if first or not self.paths:
            self.origin = track.wrapped.copy() if box is None else track.wrapped + 0.5 * box.sum(axis=0)
        drift = self.mass @ track.displacement
        return replace(
            frame, centres=(self.origin + track.displacement - drift) * ANGSTROM, drift=drift * ANGSTROM,
            relative=(track.relative - np.repeat(track.middle, np.diff(who.first), axis=0)) * ANGSTROM,
        )  # fmt: skip

    def arrays(self, begin: int) -> dict[str, NDArray[Any]]:
        """The state after the frame with running number ``begin - 1``."""
        state: dict[str, NDArray[Any]] = {"numbers": np.array([begin, self.used]), "times": self.times}
        if self.track is not None:
            state |= {"origin": self.origin, **self.track.arrays()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> int:
        """Take a state up; the running number of the frame that comes next."""
        begin, self.used = (int(v) for v in state["numbers"])
        self.times = state["times"].copy()
        if self.track is not None:
            self.origin = state["origin"]
            for name, array in self.track.arrays().items():
                array[:] = state[name]
        return begin
