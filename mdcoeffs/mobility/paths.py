"""Paths of what a mobility analysis follows, written frame by frame to scratch files and read back by particle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.scratch import ParticleStore, open_store
from mdcoeffs.frames.stream import Stream
from mdcoeffs.frames.walker import Frame
from mdcoeffs.mobility.rotation import unit_vectors
from mdcoeffs.mobility.settings import MobilitySettings, Rotor


@dataclass(frozen=True, eq=False)
class Track:
    """One kind of thing that is followed.

    Parameters
    ----------
    name : str
        Name in the results.
    owner : array of int (particles,)
        Molecule of each particle.
    pick : callable
        Frame -> what is stored of it, (particles, 3): positions [m], or unit vectors.
    """

    name: str
    owner: Ints
    pick: Callable[[Frame], Array]


class Recorder:
    """Accumulator that writes the paths of some tracks to scratch files.

    Parameters
    ----------
    tracks : mapping
        By key.
    folder : Path
        Where the scratch files go; made if it is not there.
    frames : int
        Most frames there will be.
    """

    def __init__(self, tracks: Mapping[str, Track], folder: Path, frames: int) -> None:
        self.tracks, self.folder, self.frames = dict(tracks), folder, 0
        self.times, self.boxes = np.zeros(frames), np.full((frames, 3, 3), np.nan)
        self.stores: dict[str, ParticleStore] = {}

    def _open(self, *, resume: bool) -> None:
        for number, (key, track) in enumerate(self.tracks.items()):
            here = self.folder / str(number)
            here.mkdir(parents=True, exist_ok=True)
            self.stores[key] = open_store(
                track.owner.size, len(self.times), memory=0.0, folder=here, resume=resume, on_disk=True
            )

    def add(self, frame: Frame) -> None:
        """Write one frame."""
        if not self.stores:
            self._open(resume=False)
        for key, track in self.tracks.items():
            self.stores[key].put(frame.number, track.pick(frame))
        self.times[frame.number] = frame.time
        if frame.box is not None:
            self.boxes[frame.number] = frame.box
        self.frames = frame.number + 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state; the paths themselves are pushed to disk."""
        for store in self.stores.values():
            store.flush()
        return {"times": self.times[: self.frames], "boxes": self.boxes[: self.frames]}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up, and the files of the run that was stopped."""
        self._open(resume=True)
        self.frames = len(arrays["times"])
        self.times[: self.frames], self.boxes[: self.frames] = arrays["times"], arrays["boxes"]

    def close(self) -> None:
        """Remove the scratch files."""
        for number, store in enumerate(self.stores.values()):
            store.close()
            (self.folder / str(number)).rmdir()
        if self.stores:
            self.folder.rmdir()


def tracks_of(stream: Stream, settings: MobilitySettings) -> dict[str, Track]:
    """Everything that is followed in a replica: molecules of every species, chosen atoms, axes, centres of rotors.

    Parameters
    ----------
    stream : Stream
        The replica.
    settings : MobilitySettings
        What is asked.

    Returns
    -------
    dict
        Keys ``"species NAME"``, ``"follow NAME"``, ``"rotor NAME"``.

    Raises
    ------
    InputError
        Selections that do not fit.
    """
    found = {f"species {one.name}": _centres(stream, one.name) for one in stream.species}
    for extra in settings.follow:
        atoms = stream.select(extra.selection, f"mobility.follow.{extra.name}.selection")
        place, owner = _places(stream, atoms, f"mobility.follow.{extra.name}.selection")
        found[f"follow {extra.name}"] = Track(extra.name, owner, _atoms(place, owner))
    for rotor in settings.rotors:
        found[f"rotor {rotor.name}"] = _rotor(stream, rotor)
    return found


def _centres(stream: Stream, name: str) -> Track:
    which = stream.molecules_of(name)
    return Track(name, which, lambda frame: np.asarray(_need(frame.centres)[which]))


def _atoms(place: Ints, owner: Ints) -> Callable[[Frame], Array]:
    return lambda frame: np.asarray(_need(frame.centres)[owner] + _need(frame.relative)[place])


def _rotor(stream: Stream, rotor: Rotor) -> Track:
    where = f"mobility.rotor.{rotor.name}"
    mine = stream.molecules_of(rotor.species)
    if rotor.plane is not None:
        place, owner = _of_species(stream, rotor.plane, f"{where}.plane", mine)
        if place.size != 3 * mine.size or np.any(np.bincount(owner, minlength=mine.max() + 1)[mine] != 3):
            raise InputError(f"{where}.plane = {rotor.plane!r} must select exactly three atoms of every molecule")
        corners = place.reshape(-1, 3)

        def normal(frame: Frame) -> Array:
            a, b, c = np.moveaxis(_need(frame.relative)[corners], 1, 0)
            return unit_vectors(np.cross(b - a, c - a))

        return Track(rotor.name, mine, normal)
    assert rotor.axis is not None
    begin, begin_owner = _of_species(stream, rotor.axis[0], f"{where}.axis[0]", mine)
    end, end_owner = _of_species(stream, rotor.axis[1], f"{where}.axis[1]", mine)
    for what, owner in (("begins", begin_owner), ("ends", end_owner)):
        if np.setdiff1d(mine, owner).size:
            raise InputError(f"{where}.axis: where it {what} there is no atom in some molecules of {rotor.species}")
    first = np.searchsorted(begin_owner, mine)
    counts = np.bincount(begin_owner, minlength=mine.max() + 1)[mine]
    which = np.searchsorted(mine, end_owner)

    def axis(frame: Frame) -> Array:
        relative = _need(frame.relative)
        root = np.add.reduceat(relative[begin], first, axis=0) / counts[:, None]
        return unit_vectors(relative[end] - root[which])

    return Track(rotor.name, end_owner, axis)


def _of_species(stream: Stream, selection: str, where: str, mine: Ints) -> tuple[Ints, Ints]:
    """Places and owners, sorted by owner; only molecules of the species."""
    place, owner = _places(stream, stream.select(selection, where), where)
    keep = np.isin(owner, mine)
    order = np.argsort(owner[keep], kind="stable")
    return place[keep][order], owner[keep][order]


def _places(stream: Stream, atoms: Ints, where: str) -> tuple[Ints, Ints]:
    """Places of atoms in ``frame.relative``, and their molecules."""
    owner = stream.molecule_of(atoms)
    if np.any(owner < 0):
        raise InputError(f"{where}: {int((owner < 0).sum())} of the atoms belong to no species")
    place = np.full(stream.n_atoms, -1, dtype=np.int64)
    place[stream.molecules.atoms] = np.arange(stream.molecules.atoms.size)
    return place[atoms], owner


def _need(array: Array | None) -> Array:
    assert array is not None  # run_stream was asked to unwrap
    return array
