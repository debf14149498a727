"""Onsager coefficients of a binary salt: trajectories, arrays or OCTP tables to Omega with error bars.

The analysis ``mdcoeffs onsager``: settings, what looks at the snapshots, and the estimate from all replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import N_A, InputError, Progress
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from cellsim.files.schema import Table
from mdcoeffs.analysis import Analysis, analyse
from mdcoeffs.frames.molecules import check_density
from mdcoeffs.frames.stream import Accumulator, Stream
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD
from mdcoeffs.onsager.estimate import MIN_STEPS, OnsagerEstimate, estimate_onsager, self_diffusion
from mdcoeffs.onsager.motion import ReplicaMotion, hashes, motion_accumulators, motion_of, motion_of_arrays
from mdcoeffs.onsager.octp import OctpRun, fit_slopes, read_octp, read_octp_self
from mdcoeffs.onsager.result import OnsagerResult
from mdcoeffs.statistics.correlate import collective_msd, log_lags

FRAMES = ("solvent", "barycentric", "volume")
KEYS = ("frame", "solvents", "window", "prior_flat", "seed")


@dataclass(frozen=True)
class OnsagerSettings:
    """The table [estimate] of a SPECIES.toml, and its ``self``.

    Parameters
    ----------
    frame : str
        Frame in which the coefficients are reported, one of `FRAMES`.
    solvents : tuple of str, optional
        Solvent species that make the solvent frame.
    window : tuple of float, optional
        Fit window, first and last lag [s].
    prior_flat : float
        Prior probability that the motion is diffusive from the first step on; see `mdcoeffs.onsager.estimate` [1].
    seed : int
        Seed of the posterior samples.
    self_part : str
        Whose single-particle paths are kept, one of `mdcoeffs.inputs.species.SELF_PARTS`.
    """

    frame: str = "solvent"
    solvents: tuple[str, ...] | None = None
    window: tuple[float, float] | None = None
    prior_flat: float = 0.3
    seed: int = 0
    self_part: str = "ions"


def read_estimate(file: SpeciesFile) -> OnsagerSettings:
    """Read the table [estimate] of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    OnsagerSettings

    Raises
    ------
    InputError
        Unknown keys, solvents that are none, a window that is none, anything but one cation and one anion species.
    """
    table = analysis_table(file, "onsager")
    table.only(*KEYS)
    for role in ("cation", "anion"):
        names = [species.name for species in file.species if species.role == role]
        if len(names) != 1:
            raise InputError(
                f"{file.path}: a binary salt has one {role} species, found {len(names)} ({', '.join(names) or 'none'})"
            )
    return OnsagerSettings(
        frame=table.choice("frame", FRAMES, "solvent"),
        solvents=_solvents(table, file),
        window=_window(table),
        prior_flat=table.number("prior_flat", 0.3, least=0, most=0.99),
        seed=table.integer("seed", 0, least=0),
        self_part=file.self_part,
    )


def _solvents(table: Table, file: SpeciesFile) -> tuple[str, ...] | None:
    if "solvents" not in table:
        return None
    names = table.strings("solvents")
    known = [species.name for species in file.species if species.role == "solvent"]
    for name in names:
        if name not in known:
            raise InputError(f"{table.where('solvents')}: {name!r} is not a solvent here; allowed: {', '.join(known)}")
    return tuple(names)


def _window(table: Table) -> tuple[float, float] | None:
    if "window" not in table:
        return None
    pair = table.quantities("window", "s")
    if len(pair) != 2 or not 0 <= pair[0] < pair[1]:
        raise InputError(f'{table.where("window")} must be two increasing times, for example ["1 ns", "5 ns"]')
    return pair[0], pair[1]


# ---- replicas -------------------------------------------------------------------------------------------------------


def _accumulators(stream: Stream, settings: OnsagerSettings) -> dict[str, Accumulator]:
    if len(stream.file.replicas) == 1 and stream.n_frames <= MIN_STEPS:  # said before the pass, not after it
        raise InputError(
            f"{stream.label}: {stream.n_frames} frames are too few, more than {MIN_STEPS} are needed for an Onsager "
            "coefficient: use a longer run or more replicas"
        )
    return motion_accumulators(stream, settings.self_part)


def _motion(stream: Stream, settings: OnsagerSettings, accumulators: Mapping[str, Any]) -> ReplicaMotion:
    return replace(motion_of(stream, accumulators), inputs=hashes(stream.paths))


def _without_snapshots(file: SpeciesFile, number: int, settings: OnsagerSettings) -> ReplicaMotion | OctpRun | None:
    """Summed displacements and OCTP tables: what a pass over snapshots would give, or its means."""
    replica = file.replicas[number]
    if replica.octp is not None:
        names = [species.name for species in file.species]
        counts = [species.count or 0 for species in file.species]
        own = None if replica.octp_self is None else read_octp_self(replica.octp_self, names, counts)
        return OctpRun(read_octp(replica.octp, names), own, hashes([replica.octp]))
    motion = None if replica.arrays is None else motion_of_arrays(file, replica.arrays)
    return None if motion is None else replace(motion, inputs=hashes(replica.files))


# ---- the estimate ---------------------------------------------------------------------------------------------------


def _result(file: SpeciesFile, settings: OnsagerSettings, runs: Sequence[ReplicaMotion | OctpRun]) -> OnsagerResult:
    tables = [run for run in runs if isinstance(run, OctpRun)]
    motions = [run for run in runs if isinstance(run, ReplicaMotion)]
    if tables and motions:
        raise InputError(f"{file.path}: OCTP tables and trajectories cannot be combined; give replicas of one kind")
    result = _from_octp(file, settings, tables) if tables else _from_motion(file, settings, motions)
    inputs = hashes([file.path])
    for run in runs:
        inputs |= run.inputs or {}
    return replace(result, inputs=inputs)


def _from_motion(file: SpeciesFile, settings: OnsagerSettings, motions: Sequence[ReplicaMotion]) -> OnsagerResult:
    runs = [motion.displacements for motion in motions]
    frame, solvents = settings.frame, settings.solvents
    estimate = estimate_onsager(
        runs, window=settings.window, frame=frame, solvents=solvents, prior_flat=settings.prior_flat, seed=settings.seed
    )
    estimate = replace(estimate, composition=_composition(runs[0], estimate, solvents))
    moved = [run.to_frame(frame, solvents=solvents if frame == "solvent" else None) for run in runs]
    first, ions = runs[0], list(moved[0].ions)
    assert first.names is not None
    weights = np.array([run.n_frames for run in runs], dtype=float)
    lags = log_lags(min(run.n_frames for run in runs), per_decade=20)[1:]
    each = [collective_msd(run.R[:, ions], lags) for run in moved]
    msd = _self_msd(motions, ions)
    own, ideal = None, None
    notes = [f"{doubt.name}: {doubt.text}" for doubt in estimate.warnings]
    if msd is not None and estimate.local_exponent is not None:
        own = self_diffusion(msd, window=estimate.local_exponent.window)
        ideal = estimate.ideal(float(own.D[0]), float(own.D[1]))
        if ideal.Omega_distinct is None:
            notes.append(
                "distinct part: not given, since the self part belongs to the barycentric frame and the ions alone do "
                f"not take this {frame} frame there"
            )
    return OnsagerResult(
        title=file.title,
        matrix=estimate,
        names=(first.names[ions[0]], first.names[ions[1]]),
        lag=np.asarray(lags * first.dt, dtype=np.float64),
        correlations=np.einsum("r,rlij->lij", weights / weights.sum(), np.array(each)),
        volume=float(np.average([run.volume for run in runs], weights=[run.duration for run in runs])),
        counts=(first.counts[ions[0]], first.counts[ions[1]]),
        self_part=msd,
        self_diffusion=own,
        ideal=ideal,
        drift_velocity=np.array([motion.drift_velocity for motion in motions]),
        longest_step=max(motion.longest_step for motion in motions),
        frames=tuple(run.n_frames for run in runs),
        duration=sum(run.duration for run in runs),
        notes=tuple(notes),
    )


def _composition(
    run: CollectiveDisplacements, estimate: OnsagerEstimate, solvents: Sequence[str] | None
) -> Composition | None:
    """What takes an estimate to the barycentric frame; None where that needs more than ions and one mean solvent."""
    assert run.names is not None
    everything = {run.names[k] for k in run.solvents}
    some = estimate.frame == "solvent" and solvents is not None and set(solvents) != everything
    if run.frame != "barycentric" or run.masses is None or some or (estimate.frame == "volume" and len(everything) > 1):
        return None
    plus, minus = run.ions
    M = N_A * np.array(run.masses)  # in the unit of the masses: only ratios enter
    concentrations = np.array(run.counts) / run.counts[plus] * estimate.c_ions[0]
    volumes = None
    if run.molecular_volumes is not None:
        v = N_A * np.array(run.molecular_volumes)
        v /= v @ concentrations  # a volume frame divides by what the molecules fill, not by the box
        volumes = (float(v[plus]), float(v[minus]))
    density = float(sum(M[k] * concentrations[k] for k in run.solvents))
    return Composition((float(M[plus]), float(M[minus])), density, volumes)


def _self_msd(motions: Sequence[ReplicaMotion], ions: Sequence[int]) -> SelfMSD | None:
    """Self part of the ions, mean over the replicas weighted by their length."""
    sums = [motion.self_sums for motion in motions if motion.self_sums]
    if len(sums) < len(motions):
        return None
    runs = [motion.displacements for motion in motions]
    lags = log_lags(min(run.n_frames for run in runs), per_decade=20)
    weights = np.array([run.n_frames for run in runs], dtype=float)
    curves = np.array([[own[ion].msd()[lags] for ion in ions] for own in sums])
    return SelfMSD(
        lag=np.asarray(lags * runs[0].dt, dtype=np.float64),
        msd=np.einsum("r,ril->li", weights / weights.sum(), curves),
        counts=tuple(runs[0].counts[ion] for ion in ions),
        duration=sum(run.duration for run in runs),
    )


def _from_octp(file: SpeciesFile, settings: OnsagerSettings, runs: Sequence[OctpRun]) -> OnsagerResult:
    """OCTP tables hold means only: slopes, and their scatter between the runs, but no posterior."""
    role = {species.role: k for k, species in enumerate(file.species)}
    if file.volume is None or len(file.species) != 3 or len(role) != 3:
        raise InputError(f"{file.path}: OCTP tables of an electrolyte need volume and one cation, anion and solvent")
    masses = [species.mass * (species.count or 0) for species in file.species if species.mass is not None]
    mass = sum(masses) if len(masses) == len(file.species) else None
    check_density(file.species, [species.count or 0 for species in file.species], file.volume, mass)
    ions = [role["cation"], role["anion"]]
    plus, minus = (file.species[k] for k in ions)
    counts = (plus.count or 0, minus.count or 0)
    slopes = fit_slopes([run.table for run in runs], settings.window)
    mean, each = (M[..., ions, :][..., :, ions] for M in slopes.omega(file.temperature, file.volume))
    flat = each[:, [0, 0, 1], [0, 1, 1]]
    covariance = np.cov(flat.T) / len(flat) if len(flat) > 1 else None
    divisor = np.gcd(*counts)
    nu = (float(counts[0] // divisor), float(counts[1] // divisor))
    c = counts[0] / nu[0] / (N_A * file.volume)
    matrix = OnsagerMatrix(mean, (plus.z, minus.z), nu, c, file.temperature, "barycentric", covariance)
    notes = ["OCTP tables give means only: standard errors are the scatter of the runs, there is no posterior"]
    if covariance is None:
        notes.append("a single run has no scatter: no error can be given")
    if settings.frame == "solvent":
        solvent = file.species[role["solvent"]]
        if plus.mass is None or minus.mass is None or solvent.mass is None:
            raise InputError(f"{file.path}: the solvent frame needs mass for every species")
        density = (solvent.count or 0) * solvent.mass / file.volume
        matrix = matrix.to_frame("solvent", Composition((plus.mass * N_A, minus.mass * N_A), density))
    msd, own = None, None
    pairs = [run.own for run in runs if run.own is not None]
    if len(pairs) == len(runs):
        msd = SelfMSD(pairs[0][0], np.mean([curve for _, curve in pairs], axis=0)[:, ions], counts)
        own = self_diffusion(msd, window=slopes.window)
    curves = np.mean([run.table.curves for run in runs], axis=0)
    return OnsagerResult(
        title=file.title,
        matrix=matrix,
        names=(plus.name, minus.name),
        lag=runs[0].table.lag,
        correlations=6 * curves[:, ions][:, :, ions],
        volume=file.volume,
        counts=counts,
        self_part=msd,
        self_diffusion=own,
        ideal=None if own is None else matrix.ideal(float(own.D[0]), float(own.D[1])),
        slopes=slopes,
        notes=tuple(notes),
    )


def _self_part(settings: OnsagerSettings) -> str:
    return settings.self_part


ANALYSIS = Analysis(
    name="onsager",
    settings=read_estimate,
    accumulators=_accumulators,
    result=_result,
    reduce=_motion,
    tabulated=_without_snapshots,
    depends_on=_self_part,
)


def onsager_from_file(
    file: SpeciesFile | str | Path,
    *,
    folder: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> OnsagerResult:
    """Read all replicas and estimate the Onsager matrix: :func:`mdcoeffs.analysis.analyse` of this analysis.

    Parameters
    ----------
    file : SpeciesFile, str or Path
        A SPECIES.toml.
    folder : Path, optional
        Where scratch files and checkpoints go; a reading that was killed goes on from there.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (snapshots done, in all) of each replica.

    Returns
    -------
    OnsagerResult

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    result: OnsagerResult = analyse(ANALYSIS, file, folder=folder, checkpoint_every=checkpoint_every, progress=progress)
    return result
