"""How long partners stay: residence times of sites and molecules at a cation, and of cations that link two anions.

References
----------
Fang, Woolsey, Chakraborty, Halat, Balsara & Wang, J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F, Eq. 6, Fig. 5.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, Progress
from mdcoeffs.frames.stream import Stream, remove_checkpoints, run_stream
from mdcoeffs.frames.walker import Frame
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.residence.lifetimes import Intervals, LagSums, Survival, lag_sums, survival
from mdcoeffs.structure.analysis import find_cutoffs, radial_functions
from mdcoeffs.structure.shells import ShellSettings, Sites, bonds_in, read_shells, sites_of

RECORD = np.dtype([("key", "<i8"), ("start", "<i4"), ("stop", "<i4")])
BUFFER = 1 << 16
"""Intervals gathered before they are written."""
RESIDENCE_KEYS = ("max_lag", "tolerance")
KINDS = ("sites", "molecules", "linkers")


@dataclass(frozen=True)
class ResidenceSettings:
    """What [residence] of a SPECIES.toml says.

    Parameters
    ----------
    shells : ShellSettings
        Who coordinates whom, from [structure].
    max_lag : float, optional
        Longest lag; half the shortest run when left out [s].
    tolerance : float
        Absences up to this long are bridged in the tolerant curves; none are made at 0 [s].
    """

    shells: ShellSettings
    max_lag: float | None = None
    tolerance: float = 0.0


def read_residence(file: SpeciesFile) -> ResidenceSettings:
    """Read the tables [residence] and [structure] of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    ResidenceSettings

    Raises
    ------
    InputError
        As :func:`mdcoeffs.structure.shells.read_shells`.
    """
    table = analysis_table(file, "residence")
    table.only(*RESIDENCE_KEYS)
    return ResidenceSettings(
        read_shells(file), table.quantity("max_lag", "s", None, above=0), table.quantity("tolerance", "s", 0.0, least=0)
    )


class BondLog:
    """The intervals in which bonds exist, found frame by frame; closed ones go to a file.

    Parameters
    ----------
    path : Path
        The file, of `RECORD`s; what it holds is lost unless :meth:`restore` takes it up first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys, self.starts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self.written, self.waiting, self.parts = 0, 0, [np.zeros(0, dtype=RECORD)]
        self.taken = False

    def add(self, keys: Ints, frame: int) -> None:
        """Bonds that exist in a frame, sorted and each once."""
        place = np.searchsorted(keys, self.keys)
        stays = np.zeros(self.keys.size, dtype=bool)
        inside = place < keys.size
        stays[inside] = keys[place[inside]] == self.keys[inside]
        starts = np.full(keys.size, frame, dtype=np.int64)
        starts[place[stays]] = self.starts[stays]
        self._close(self.keys[~stays], self.starts[~stays], frame)
        self.keys, self.starts = keys, starts

    def _close(self, keys: Ints, starts: Ints, frame: int) -> None:
        if not keys.size:
            return
        part = np.empty(keys.size, dtype=RECORD)
        part["key"], part["start"], part["stop"] = keys, starts, frame
        self.parts.append(part)
        self.waiting += keys.size
        if self.waiting >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        with self.path.open("ab" if self.taken else "wb") as stream:
            stream.write(np.concatenate(self.parts).tobytes())
        self.taken = True
        self.written += self.waiting
        self.waiting, self.parts = 0, [np.zeros(0, dtype=RECORD)]

    def finish(self, frames: int) -> None:
        """Close what still exists at the end of a run of `frames` frames."""
        self._close(self.keys, self.starts, frames)
        self.keys, self.starts = self.keys[:0], self.starts[:0]
        self.flush()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state; the file is part of it."""
        self.flush()
        return {"keys": self.keys, "starts": self.starts, "written": np.array(self.written)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up: what the file holds beyond it is cut off."""
        self.keys, self.starts, self.written = arrays["keys"], arrays["starts"], int(arrays["written"])
        size = self.written * RECORD.itemsize
        if not self.path.is_file() or self.path.stat().st_size < size:
            raise InputError(f"{self.path} is not the scratch file this run left; remove the checkpoints, start again")
        os.truncate(self.path, size)
        self.taken = True

    def chunks(self, stride: int, groups: int, memory: float) -> Iterator[NDArray[Any]]:
        """All records, by ranges of ``key // stride`` (0 ... groups - 1) so that each part stays under `memory` [byte].

        Sorting and counting hold about eight times the bytes of the records.
        """
        records = np.memmap(self.path, RECORD, "r") if self.written else np.zeros(0, dtype=RECORD)
        parts = max(1, min(groups, int(np.ceil(8 * records.nbytes / memory))))
        step = BUFFER * 16
        for low in range(0, groups, -(-groups // parts)):
            high = low + -(-groups // parts)
            if parts == 1:
                yield np.array(records)
                return
            chosen = []
            for first in range(0, records.size, step):
                block = records[first : first + step]
                owner = block["key"] // stride
                chosen.append(np.array(block[(owner >= low) & (owner < high)]))
            yield np.concatenate(chosen)


class Bonds:
    """Accumulator: which sites and molecules are at which cation, and which anions are linked, when.

    Parameters
    ----------
    sites : Sites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].
    anions : array of bool (partners,)
        Which partners are anions.
    folder : Path
        Where the scratch files go.
    label : str
        Of the replica, for their names.
    """

    def __init__(self, sites: Sites, cutoffs: Array, anions: NDArray[np.bool_], folder: Path, label: str) -> None:
        self.sites, self.cutoffs, self.anions = sites, cutoffs, anions
        self.molecules = int(sites.molecule.max()) + 1
        self.partner_of = np.full(self.molecules, -1, dtype=np.int64)
        self.partner_of[sites.molecule] = sites.partner
        paths = {kind: folder / f"bonds-{kind}-{label}.scratch" for kind in KINDS}
        self.logs = {kind: BondLog(path) for kind, path in paths.items()}
        self.frames, self.times = 0, np.zeros(2)

    @property
    def strides(self) -> dict[str, int]:
        """Keys are cation times this plus the rest."""
        m = self.molecules
        return {"sites": self.sites.atoms.size, "molecules": m, "linkers": m * m}

    def add(self, frame: Frame) -> None:
        """Take one frame in."""
        i, j = bonds_in(frame, self.sites, self.cutoffs)
        molecule = self.sites.molecule[j]
        n = frame.number
        self.logs["sites"].add(np.unique(i * self.strides["sites"] + j), n)
        bound = np.unique(i * self.molecules + molecule)
        self.logs["molecules"].add(bound, n)
        ionic = bound[self.anions[self.partner_of[bound % self.molecules]]]
        self.logs["linkers"].add(_links(ionic // self.molecules, ionic % self.molecules, self.molecules), n)
        if self.frames < 2:
            self.times[self.frames] = frame.time
        self.frames += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        state: dict[str, NDArray[Any]] = {"frames": np.array(self.frames), "times": self.times}
        for kind, one in self.logs.items():
            state |= {f"{kind}.{name}": array for name, array in one.arrays().items()}
        return state

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.frames, self.times = int(arrays["frames"]), arrays["times"].copy()
        for kind, one in self.logs.items():
            part = {name[len(kind) + 1 :]: a for name, a in arrays.items() if name.startswith(kind + ".")}
            one.restore(part)

    def sums(self, kind: str, partner: int | None, lags: int, mode: str, gap: int, memory: float) -> LagSums | None:
        """Sums over origins of the bonds of a kind and, where given, a partner; None where there are none."""
        found: LagSums | None = None
        stride = self.strides[kind]
        for records in self.logs[kind].chunks(stride, self.sites.cations.size, memory):
            rest = records["key"] % stride
            if partner is not None:
                owner = self.sites.partner[rest] if kind == "sites" else self.partner_of[rest]
                records = records[owner == partner]
            if not records.size:
                continue
            part = Intervals.sort(records["key"], records["start"], records["stop"], self.frames)
            one = lag_sums(part.bridged(gap) if mode == "tolerant" else part, lags, mode=mode)
            found = one if found is None else found + one
        return found


def _links(cation: Ints, anion: Ints, molecules: int) -> Ints:
    """Keys of all pairs of anions at the same cation; `cation` is sorted, `anion` within it."""
    found = [np.zeros(0, dtype=np.int64)]
    shift = 1
    while shift < cation.size:
        same = cation[shift:] == cation[:-shift]
        if not same.any():
            break
        found.append((cation[shift:] * molecules + anion[:-shift])[same] * molecules + anion[shift:][same])
        shift += 1
    return np.sort(np.concatenate(found))


@dataclass(frozen=True, eq=False)
class Residence:
    """What ``mdcoeffs residence`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    settings : ResidenceSettings
        What was asked for.
    cutoffs : mapping
        Partner -> end of the shell [m].
    curves : mapping
        (name of the bond, mode) -> Survival. Names: ``Li-site(X)``, ``Li-X``, ``anion-Li-anion``.
    absent : tuple of str
        Bonds that exist in no frame.
    dt : float
        Time between frames [s].
    frames : tuple of int
        Frames of each replica.
    notes : tuple of str
        What the user must know.
    """

    title: str
    settings: ResidenceSettings
    cutoffs: Mapping[str, float]
    curves: Mapping[tuple[str, str], Survival]
    absent: tuple[str, ...]
    dt: float
    frames: tuple[int, ...]
    notes: tuple[str, ...]


def residence_from_file(
    file: SpeciesFile, *, folder: Path, checkpoint_every: float = 60.0, progress: Progress | None = None
) -> Residence:
    """Read all replicas, follow every bond, fit residence times.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    folder : Path
        Where checkpoints and scratch files go; must exist.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica and pass.

    Returns
    -------
    Residence

    Raises
    ------
    InputError
        Bad input of any kind; no first shell where a cutoff is needed.
    """
    settings = read_residence(file)
    shells = settings.shells
    cutoffs = dict(shells.cutoffs)
    if set(shells.partners) - set(cutoffs):
        without = ShellSettings(**{**vars(shells), "centres": False})
        radial, _ = radial_functions(file, without, folder, checkpoint_every, progress)
        cutoffs, _ = find_cutoffs(shells, radial)
    reach = np.array([cutoffs[name] for name in shells.partners])
    anions = np.isin(shells.partners, shells.anions)
    where = file.scratch or folder
    numbers = iter(range(len(file.replicas)))

    def make(stream: Stream) -> dict[str, Bonds]:
        return {"bonds": Bonds(sites_of(stream, shells), reach, anions, where, str(next(numbers)))}

    runs = [one["bonds"] for one in run_stream(
        file, make, name="bonds", folder=folder, checkpoint_every=checkpoint_every, progress=progress,
        settings={"structure": repr(shells), "cutoffs": reach.tolist()},
    )]  # fmt: skip
    for one in runs:
        for book in one.logs.values():
            book.finish(one.frames)
    result = _curves(file, settings, cutoffs, runs)
    remove_checkpoints(folder, "bonds")  # first: a checkpoint is worth nothing without its scratch files
    for one in runs:
        for book in one.logs.values():
            book.path.unlink(missing_ok=True)
    return result


def _curves(
    file: SpeciesFile, settings: ResidenceSettings, cutoffs: Mapping[str, float], runs: list[Bonds]
) -> Residence:
    shells = settings.shells
    steps = [float(one.times[1] - one.times[0]) for one in runs]
    dt = steps[0]
    if max(steps) - min(steps) > 1e-3 * dt:
        raise InputError(
            f"{file.path}: replicas differ in the time between frames ({min(steps):.6g} and {max(steps):.6g} s)"
        )
    shortest = min(one.frames for one in runs)
    lags = shortest // 2 if settings.max_lag is None else round(settings.max_lag / dt) + 1
    if not 2 <= lags <= shortest:
        raise InputError(
            f"{file.path}: residence.max_lag = {(lags - 1) * dt:.4g} s must lie between one frame ({dt:.4g} s) and the "
            f"shortest run ({(shortest - 1) * dt:.4g} s)"
        )
    gap = int(settings.tolerance / dt * (1 + 1e-9))
    notes = []
    if 0 < settings.tolerance < dt * (1 - 1e-9):
        notes.append(f"tolerance {settings.tolerance:.3g} s is shorter than a frame ({dt:.3g} s): it bridges nothing")
    wanted: list[tuple[str, str, int | None]] = []
    for k, name in enumerate(shells.partners):
        wanted += [(f"{shells.cation}-site({name})", "sites", k), (f"{shells.cation}-{name}", "molecules", k)]
    if shells.anions:
        wanted.append((f"anion-{shells.cation}-anion", "linkers", None))
    curves: dict[tuple[str, str], Survival] = {}
    absent = []
    for name, kind, partner in wanted:
        for mode in ("continuous", "tolerant", "intermittent"):
            if mode == "tolerant" and gap == 0:
                continue
            sums = [one.sums(kind, partner, lags, mode, gap, file.memory) for one in runs]
            present = [one for one in sums if one is not None]
            if not present:
                absent.append(name)
                break
            empty = np.zeros_like(present[0].pairs)
            found = curves[name, mode] = survival([one or LagSums(empty, empty) for one in sums], dt, mode=mode)
            if mode == "continuous":
                notes += _doubts(name, found, dt)
    return Residence(
        title=file.title, settings=settings, cutoffs=cutoffs, curves=curves, absent=tuple(absent), dt=dt,
        frames=tuple(one.frames for one in runs), notes=tuple(notes),
    )  # fmt: skip


def _doubts(name: str, found: Survival, dt: float) -> list[str]:
    if found.fit is None:
        return [f"{name}: C(t) decays too little or too fast for a fit: use a longer run or frames closer in time"]
    notes = []
    if found.floor > 1 / math.e:
        notes.append(
            f"{name}: C(t) falls only to {found.floor:.2g} within the longest lag, its mean time is extrapolated"
        )
    if found.C.value[1] < 0.7:
        notes.append(
            f"{name}: a third of the bonds or more break between two frames: use frames closer than {dt:.3g} s"
        )
    return notes
