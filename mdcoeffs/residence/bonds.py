"""Which bonds are asked about, and when they exist: their intervals, found snapshot by snapshot, in scratch files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, Bools, InputError, Ints
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.residence.lifetimes import MODES, Intervals, LagSums, lag_sums
from mdcoeffs.structure.shells import CoordinationSites, ShellSettings, bonds_in, read_shells

INTERVAL = np.dtype([("key", "<i8"), ("start", "<i4"), ("stop", "<i4")])
BUFFER = 1 << 16
"""Intervals gathered before they are written."""
SORTING = 8
"""Bytes that sorting and counting intervals hold, over those of the intervals [1]."""
KINDS = ("sites", "molecules", "linkers")
KEYS = ("max_lag", "tolerance")
ROUNDING = 1e-5
"""Relative error of a time between snapshots, from files in single precision [1]."""


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
    cutoffs : mapping
        Partner -> end of the shell, as given or found from g(r) [m].
    """

    shells: ShellSettings
    max_lag: float | None = None
    tolerance: float = 0.0
    cutoffs: Mapping[str, float] = field(default_factory=dict)

    def kinds(self) -> list[tuple[str, str, int | None]]:
        """(name, kind, partner) of every bond that is looked at; kinds are those of `Bonds`."""
        shells, kinds = self.shells, list[tuple[str, str, int | None]]()
        for k, name in enumerate(shells.partners):
            kinds += [(f"{shells.cation}-site({name})", "sites", k), (f"{shells.cation}-{name}", "molecules", k)]
        return kinds + ([(f"anion-{shells.cation}-anion", "linkers", None)] if shells.anions else [])

    def gap(self, dt: float) -> int:
        """Snapshots that an absence may last to be bridged; `dt` is the time between snapshots [s]."""
        return int(self.tolerance / dt * (1 + ROUNDING))

    def modes(self, dt: float) -> tuple[str, ...]:
        """The modes of `mdcoeffs.residence.lifetimes` that are asked for."""
        return tuple(mode for mode in MODES if mode != "tolerant" or self.gap(dt) > 0)


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
    table.only(*KEYS)
    max_lag, tolerance = table.quantity("max_lag", "s", None, above=0), table.quantity("tolerance", "s", 0.0, least=0)
    return ResidenceSettings(read_shells(file), max_lag, tolerance)


class BondLog:
    """The intervals in which bonds exist, found frame by frame; closed ones go to a file.

    Parameters
    ----------
    path : Path
        The file, of `INTERVAL`s; what it holds is lost unless :meth:`restore` takes it up first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys, self.starts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self.written, self.waiting, self.closed = 0, 0, [np.zeros(0, dtype=INTERVAL)]
        self.begun = False

    def add(self, keys: Ints, frame: int) -> None:
        """Bonds that exist in snapshot number `frame`, sorted and each once."""
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
        intervals = np.empty(keys.size, dtype=INTERVAL)
        intervals["key"], intervals["start"], intervals["stop"] = keys, starts, frame
        self.closed.append(intervals)
        self.waiting += keys.size
        if self.waiting >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        with self.path.open("ab" if self.begun else "wb") as stream:
            stream.write(np.concatenate(self.closed).tobytes())
        self.begun = True
        self.written += self.waiting
        self.waiting, self.closed = 0, [np.zeros(0, dtype=INTERVAL)]

    def finish(self, frames: int) -> None:
        """Close what still exists at the end of a run of `frames` snapshots."""
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
        size = self.written * INTERVAL.itemsize
        if not self.path.is_file() or self.path.stat().st_size < size:
            raise InputError(f"{self.path} is not the scratch file this run left; remove the checkpoints, start again")
        os.truncate(self.path, size)
        self.begun = True

    def chunks(self, stride: int, groups: int, memory: float) -> Iterator[NDArray[Any]]:
        """All intervals, by ranges of ``key // stride`` (0 ... groups - 1), each within `memory` [byte]."""
        stored = np.memmap(self.path, INTERVAL, "r") if self.written else np.zeros(0, dtype=INTERVAL)
        ranges = max(1, min(groups, int(np.ceil(SORTING * stored.nbytes / memory))))
        if ranges == 1:
            yield np.array(stored)
            return
        width, step = -(-groups // ranges), BUFFER * 16
        for low in range(0, groups, width):
            chosen = []
            for first in range(0, stored.size, step):
                block = stored[first : first + step]
                owner = block["key"] // stride
                chosen.append(np.array(block[(owner >= low) & (owner < low + width)]))
            yield np.concatenate(chosen)


class Bonds:
    """Accumulator: which sites and molecules are at which cation, and which anions are linked, when.

    Parameters
    ----------
    sites : CoordinationSites
        Who can coordinate.
    cutoffs : array (partners,)
        End of each partner's shell [m].
    anions : array of bool (partners,)
        Which partners are anions.
    folder : Path
        Where the scratch files go; made if it is not there.
    """

    follow = ""

    def __init__(self, sites: CoordinationSites, cutoffs: Array, anions: Bools, folder: Path) -> None:
        self.sites, self.cutoffs, self.anions = sites, cutoffs, anions
        self.molecules = int(sites.molecule.max()) + 1
        self.partner_of = np.full(self.molecules, -1, dtype=np.int64)
        self.partner_of[sites.molecule] = sites.partner
        folder.mkdir(parents=True, exist_ok=True)
        self.logs = {kind: BondLog(folder / f"{kind}.scratch") for kind in KINDS}
        self.frames, self.times = 0, np.zeros(2)

    @property
    def dt(self) -> float:
        """Time between snapshots [s]."""
        return float(self.times[1] - self.times[0])

    @property
    def strides(self) -> dict[str, int]:
        """Keys are the number of the cation times this, plus the number of what it holds."""
        m = self.molecules
        return {"sites": self.sites.atoms.size, "molecules": m, "linkers": m * m}

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        i, j = bonds_in(snapshot, self.sites, self.cutoffs)
        molecule = self.sites.molecule[j]
        n = snapshot.number
        self.logs["sites"].add(np.unique(i * self.strides["sites"] + j), n)
        bound = np.unique(i * self.molecules + molecule)
        self.logs["molecules"].add(bound, n)
        ionic = bound[self.anions[self.partner_of[bound % self.molecules]]]
        self.logs["linkers"].add(_links(ionic // self.molecules, ionic % self.molecules, self.molecules), n)
        if self.frames < 2:
            self.times[self.frames] = snapshot.time
        self.frames += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        state: dict[str, NDArray[Any]] = {"frames": np.array(self.frames), "times": self.times}
        for kind, log in self.logs.items():
            state |= {f"{kind}.{name}": array for name, array in log.arrays().items()}
        return state

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.frames, self.times = int(arrays["frames"]), arrays["times"].copy()
        for kind, log in self.logs.items():
            log.restore({name.removeprefix(f"{kind}."): a for name, a in arrays.items() if name.startswith(f"{kind}.")})

    def finish(self) -> None:
        """Close what still exists at the end of the run."""
        for log in self.logs.values():
            log.finish(self.frames)

    def sums(
        self, kind: str, partner: int | None, lags: int, *, mode: str, gap: int = 0, memory: float = np.inf
    ) -> LagSums | None:
        """Sums over origins of the bonds of a kind.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        partner : int, optional
            Number of a partner, for its bonds alone.
        lags : int
            How many.
        mode : str
            One of `mdcoeffs.residence.lifetimes.MODES`.
        gap : int
            Snapshots that an absence may last to be bridged, in tolerant sums.
        memory : float
            Cap on the working memory [byte].

        Returns
        -------
        LagSums or None
            None where there is no such bond.
        """
        total: LagSums | None = None
        stride = self.strides[kind]
        for stored in self.logs[kind].chunks(stride, self.sites.cations.size, memory):
            if partner is not None:
                held = stored["key"] % stride
                owner = self.sites.partner[held] if kind == "sites" else self.partner_of[held]
                stored = stored[owner == partner]
            if not stored.size:
                continue
            intervals = Intervals.sort(stored["key"], stored["start"], stored["stop"], self.frames)
            sums = lag_sums(intervals.bridged(gap) if mode == "tolerant" else intervals, lags, mode=mode)
            total = sums if total is None else total + sums
        return total


def _links(cation: Ints, anion: Ints, molecules: int) -> Ints:
    """Keys of all pairs of anions at the same cation; `cation` is sorted, `anion` within it."""
    keys = [np.zeros(0, dtype=np.int64)]
    shift = 1
    while shift < cation.size:
        same = cation[shift:] == cation[:-shift]
        if not same.any():
            break
        keys.append((cation[shift:] * molecules + anion[:-shift])[same] * molecules + anion[shift:][same])
        shift += 1
    return np.sort(np.concatenate(keys))
