"""How long partners stay: residence times of sites and molecules at a cation, and of cations that link two anions.

The analysis ``mdcoeffs residence``: one pass finds the intervals in which bonds exist (after a pass for g(r), where a
cutoff is not given); `mdcoeffs.residence.lifetimes` makes correlations and times of them.

References
----------
Fang, Woolsey, Chakraborty, Halat, Balsara & Wang, J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F, Eq. 6, Fig. 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cellsim.base import InputError
from mdcoeffs.analysis import Analysis, First
from mdcoeffs.frames.stream import Stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.residence.bonds import Bonds, ResidenceSettings, read_residence
from mdcoeffs.residence.lifetimes import LagSums, Survival, survival
from mdcoeffs.residence.result import Residence
from mdcoeffs.structure import RADIAL, find_cutoffs
from mdcoeffs.structure.shells import sites_of


def _with_cutoffs(file: SpeciesFile, settings: ResidenceSettings, first: First) -> ResidenceSettings:
    shells, cutoffs = settings.shells, dict(settings.shells.cutoffs)
    if set(shells.partners) - set(cutoffs):
        radial = first(RADIAL, replace(shells, centres=False))
        cutoffs, _ = find_cutoffs(shells, radial.sites)
    return replace(settings, cutoffs=cutoffs)


# ---- one replica ----------------------------------------------------------------------------------------------------


def _bonds(stream: Stream, settings: ResidenceSettings) -> dict[str, Bonds]:
    shells = settings.shells
    reach = np.array([settings.cutoffs[name] for name in shells.partners])
    anions = np.isin(shells.partners, shells.anions)
    return {"bonds": Bonds(sites_of(stream, shells), reach, anions, stream.scratch)}


@dataclass(frozen=True, eq=False)
class ReplicaBonds:
    """What one replica says about bonds.

    Parameters
    ----------
    frames : int
        Its snapshots.
    dt : float
        Time between them [s].
    sums : mapping
        (name of the bond, mode) -> sums over origins; None where no such bond exists.
    """

    frames: int
    dt: float
    sums: Mapping[tuple[str, str], LagSums | None]


def _sums(stream: Stream, settings: ResidenceSettings, accumulators: Mapping[str, Bonds]) -> ReplicaBonds:
    """Sums at as many lags as any set of replicas with this one may ask for."""
    bonds = accumulators["bonds"]
    bonds.finish()
    dt, memory = bonds.dt, stream.file.memory
    lags = _lags(settings, bonds.frames, dt)
    sums = {
        (name, mode): bonds.sums(kind, partner, lags, mode=mode, gap=settings.gap(dt), memory=memory)
        for name, kind, partner in settings.kinds()
        for mode in settings.modes(dt)
    }
    return ReplicaBonds(bonds.frames, dt, sums)


def _lags(settings: ResidenceSettings, frames: int, dt: float) -> int:
    # Room for replicas whose steps differ from this one's by as much as is allowed.
    wanted = frames // 2 if settings.max_lag is None else round(1.002 * settings.max_lag / dt) + 2
    return max(1, min(wanted, frames))


# ---- all replicas ---------------------------------------------------------------------------------------------------


def _residence(file: SpeciesFile, settings: ResidenceSettings, runs: Sequence[ReplicaBonds]) -> Residence:
    steps = [run.dt for run in runs]
    dt, shortest = steps[0], min(run.frames for run in runs)
    if max(steps) - min(steps) > 1e-3 * dt:
        raise InputError(
            f"{file.path}: replicas differ in the time between frames ({min(steps):.6g} and {max(steps):.6g} s)"
        )
    lags = shortest // 2 if settings.max_lag is None else round(settings.max_lag / dt) + 1
    if not 2 <= lags <= shortest:
        raise InputError(
            f"{file.path}: residence.max_lag = {(lags - 1) * dt:.4g} s must lie between one frame ({dt:.4g} s) and the "
            f"shortest run ({(shortest - 1) * dt:.4g} s)"
        )
    notes = []
    tolerance = settings.tolerance
    if 0 < tolerance < dt * (1 - 1e-9):
        notes.append(f"tolerance {tolerance:.3g} s is shorter than a frame ({dt:.3g} s): it bridges nothing")
    curves: dict[tuple[str, str], Survival] = {}
    absent = []
    for name, _, _ in settings.kinds():
        for mode in settings.modes(dt):
            sums = [run.sums[name, mode] for run in runs]
            present = next((each for each in sums if each is not None), None)
            if present is None:
                absent.append(name)
                break
            none = LagSums(np.zeros_like(present.pairs), np.zeros_like(present.pairs))
            curve = survival([(each or none).until(lags) for each in sums], dt, mode=mode)
            curves[name, mode] = curve
            if mode == "continuous":
                notes += _doubts(name, curve, dt)
    frames = tuple(run.frames for run in runs)
    return Residence(file.title, settings, settings.cutoffs, curves, tuple(absent), dt, frames, tuple(notes))


def _doubts(name: str, curve: Survival, dt: float) -> list[str]:
    if curve.fit is None:
        return [f"{name}: C(t) decays too little or too fast for a fit: use a longer run or frames closer in time"]
    notes = []
    if curve.floor > 1 / math.e:
        notes.append(
            f"{name}: C(t) falls only to {curve.floor:.2g} within the longest lag, its mean time is extrapolated"
        )
    if curve.C.value[1] < 0.7:
        notes.append(
            f"{name}: a third of the bonds or more break between two frames: use frames closer than {dt:.3g} s"
        )
    return notes


def _depends_on(settings: ResidenceSettings) -> list[Any]:
    return [repr(settings.shells), list(settings.cutoffs.values())]


ANALYSIS = Analysis(
    name="residence",
    settings=read_residence,
    accumulators=_bonds,
    result=_residence,
    prepare=_with_cutoffs,
    reduce=_sums,
    depends_on=_depends_on,
)
