"""From a SPECIES.toml to Onsager coefficients: read every replica, estimate, gather what is reported."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cellsim.base import N_A, Array, InputError, Progress
from cellsim.electrolyte.onsager import Composition, Ideal, OnsagerMatrix
from mdcoeffs.frames.reading import Reading
from mdcoeffs.inputs.species import Replica, SpeciesFile
from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD
from mdcoeffs.onsager.estimate import SelfDiffusion, estimate_onsager, self_diffusion
from mdcoeffs.onsager.octp import MeanSlopes, fit_slopes, read_octp, read_octp_self
from mdcoeffs.statistics.correlate import SelfSums, collective_msd, log_lags, self_sums

log = logging.getLogger(__name__)
HASHED = 1 << 28
"""Largest file whose SHA-256 is taken [byte]."""


@dataclass(frozen=True, eq=False)
class OnsagerResult:
    """What ``mdcoeffs onsager`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    matrix : OnsagerMatrix
        The coefficients, with samples where displacements were at hand.
    names : tuple of str
        Cation and anion.
    lag : array (lags,)
        Lag times of the correlations [s].
    correlations : array (lags, 2, 2)
        <dr_i . dr_j> of cation and anion, in the frame of the matrix, replicas averaged [m^2].
    volume : float
        Mean volume [m^3].
    counts : tuple of int
        Numbers of cations and anions.
    self_part : SelfMSD, optional
        Single-particle mean-squared displacements of cation and anion.
    self_diffusion : SelfDiffusion, optional
        Their slopes over the window.
    ideal : Ideal, optional
        Nernst-Einstein quantities and the self/distinct split.
    drift_velocity : array (replicas, 3)
        Velocity of the centre of mass that was taken away [m/s].
    longest_step : float
        Longest step between frames, as a fraction of the box [1].
    frames : tuple of int
        Frames of each replica.
    duration : float
        Length of all replicas together [s].
    slopes : MeanSlopes, optional
        For OCTP tables: the fit behind the matrix.
    notes : tuple of str
        What the user must know.
    inputs : mapping
        File name -> SHA-256 (size, for large files).
    """

    title: str
    matrix: OnsagerMatrix
    names: tuple[str, str]
    lag: Array
    correlations: Array
    volume: float
    counts: tuple[int, int]
    self_part: SelfMSD | None = None
    self_diffusion: SelfDiffusion | None = None
    ideal: Ideal | None = None
    drift_velocity: Array = field(default_factory=lambda: np.zeros((0, 3)))
    longest_step: float = 0.0
    frames: tuple[int, ...] = ()
    duration: float = 0.0
    slopes: MeanSlopes | None = None
    notes: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)


def onsager_from_file(
    file: SpeciesFile,
    *,
    folder: Path,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> OnsagerResult:
    """Read all replicas and estimate the Onsager matrix.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    folder : Path
        Where scratch files and checkpoints go; a reading that was killed goes on from there.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica.

    Returns
    -------
    OnsagerResult

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    binary_salt(file)
    if file.replicas[0].octp is not None:
        return _from_octp(file)
    parts, used = [], []
    for number, replica in enumerate(file.replicas):
        check, here = folder / f"checkpoint-{number}.npz", (file.scratch or folder) / f"replica-{number}"
        if replica.arrays is None:
            here.mkdir(parents=True, exist_ok=True)
            used += [check, here]
        part = read_part(
            file, number, folder=here if replica.arrays is None else file.scratch or folder, checkpoint=check,
            checkpoint_every=checkpoint_every, progress=progress,
        )  # fmt: skip
        parts.append(part)
    result = onsager_from_parts(file, parts)
    for part in parts:
        if part.reading.store is not None:
            part.reading.store.close()
    for path in used:
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    return result


@dataclass(frozen=True, eq=False)
class ReplicaPart:
    """What one replica contributes to a result.

    Parameters
    ----------
    reading : Reading
        Its summed displacements.
    sums : mapping, optional
        Species index -> sums of the self part; None where no single-particle paths were kept.
    inputs : mapping
        File name -> SHA-256 (size, for large files).
    """

    reading: Reading
    sums: dict[int, SelfSums] | None
    inputs: dict[str, str]


def read_part(
    file: SpeciesFile,
    number: int,
    *,
    folder: Path,
    checkpoint: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> ReplicaPart:
    """Read one replica; replicas do not depend on each other, so any process may read any of them.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    number : int
        Which replica.
    folder : Path
        Of its scratch file; must exist.
    checkpoint : Path, optional
        Where a trajectory's reading leaves a checkpoint, and looks for one.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    ReplicaPart
        With the store of single-particle paths still open, where there is one.

    Raises
    ------
    InputError
        As :func:`onsager_from_file`.
    """
    if file.replicas[number].arrays is not None:
        from mdcoeffs.inputs.arrays import read_arrays

        reading = read_arrays(file, number, folder=folder)
    else:
        from mdcoeffs.frames.trajectory import read_replica

        reading = read_replica(
            file, number, folder=folder, checkpoint=checkpoint, checkpoint_every=checkpoint_every, progress=progress
        )
    sums = None if reading.store is None else self_sums_of(reading, memory=file.memory)
    return ReplicaPart(reading, sums, _hashes(_files(file.replicas[number])))


def onsager_from_parts(file: SpeciesFile, parts: Sequence[ReplicaPart]) -> OnsagerResult:
    """Estimate the Onsager matrix from what was read of the replicas.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    parts : sequence of ReplicaPart
        One per replica, in the order of the file.

    Returns
    -------
    OnsagerResult

    Raises
    ------
    InputError
        Too little of it, or replicas that differ.
    """
    result = _estimate(file, [part.reading for part in parts], [part.sums for part in parts if part.sums is not None])
    inputs = _hashes([file.path])
    for part in parts:
        inputs |= part.inputs
    return replace(result, inputs=inputs)


def binary_salt(file: SpeciesFile) -> None:
    """Refuse anything but one cation and one anion species."""
    for role in ("cation", "anion"):
        found = [one.name for one in file.species if one.role == role]
        if len(found) != 1:
            raise InputError(
                f"{file.path}: a binary salt has one {role} species, found {len(found)} ({', '.join(found) or 'none'})"
            )


def self_sums_of(reading: Reading, *, memory: float) -> dict[int, SelfSums]:
    """Self part of one replica, in blocks of particles, relative to the centre of mass.

    Parameters
    ----------
    reading : Reading
        With a store.
    memory : float
        Cap on the working memory [byte].

    Returns
    -------
    dict
        Species index -> sums.
    """
    if reading.store is None:
        raise InputError("the reading kept no single-particle displacements (self = none)")
    frames = reading.displacements.n_frames
    found = {}
    for kind in np.unique(reading.particles):
        rows = np.flatnonzero(reading.particles == kind)
        sums = SelfSums.zero(frames)
        for block in reading.store.blocks(int(rows[0]), int(rows[-1]) + 1, frames, memory):
            block -= reading.drift
            sums = sums + self_sums(block.transpose(1, 0, 2))
        found[int(kind)] = sums
    return found


def _estimate(file: SpeciesFile, readings: Sequence[Reading], parts: Sequence[dict[int, SelfSums]]) -> OnsagerResult:
    runs = [reading.displacements for reading in readings]
    estimate = estimate_onsager(
        runs,
        window=file.window,
        frame=file.frame,
        solvents=file.solvents,
        prior_flat=file.prior_flat,
        seed=file.seed,
    )
    moved = [run.to_frame(file.frame, solvents=file.solvents if file.frame == "solvent" else None) for run in runs]
    frames = min(run.n_frames for run in moved)
    lags = log_lags(frames, per_decade=20)[1:]
    weights = np.array([run.n_frames for run in moved], dtype=float)
    ions = list(moved[0].ions)
    each = [collective_msd(run.R[:, ions], lags) for run in moved]
    msd = _self_msd(runs, parts, ions) if parts else None
    slopes, ideal = None, None
    if msd is not None and estimate.local_exponent is not None:
        slopes = self_diffusion(msd, window=estimate.local_exponent.window)
        ideal = estimate.ideal(float(slopes.D[0]), float(slopes.D[1]))
    first = runs[0]
    assert first.names is not None
    return OnsagerResult(
        title=file.title, matrix=estimate, names=(first.names[ions[0]], first.names[ions[1]]),
        lag=np.asarray(lags * first.dt, dtype=np.float64),
        correlations=np.einsum("r,rlij->lij", weights / weights.sum(), np.array(each)),
        volume=float(np.average([run.volume for run in runs], weights=[run.duration for run in runs])),
        counts=(first.counts[ions[0]], first.counts[ions[1]]), self_part=msd, self_diffusion=slopes, ideal=ideal,
        drift_velocity=np.array([reading.drift_velocity for reading in readings]),
        longest_step=max(reading.longest_step for reading in readings),
        frames=tuple(run.n_frames for run in runs), duration=sum(run.duration for run in runs),
        notes=tuple(f"{doubt.name}: {doubt.text}" for doubt in estimate.warnings),
    )  # fmt: skip


def _self_msd(
    runs: Sequence[CollectiveDisplacements], parts: Sequence[dict[int, SelfSums]], ions: Sequence[int]
) -> SelfMSD:
    frames = min(run.n_frames for run in runs)
    lags = log_lags(frames, per_decade=20)
    weights = np.array([run.n_frames for run in runs], dtype=float)
    curves = np.array([[part[ion].msd()[lags] for ion in ions] for part in parts])
    return SelfMSD(
        lag=np.asarray(lags * runs[0].dt, dtype=np.float64),
        msd=np.einsum("r,ril->li", weights / weights.sum(), curves),
        counts=tuple(runs[0].counts[ion] for ion in ions),
        duration=sum(run.duration for run in runs),
    )


def _from_octp(file: SpeciesFile) -> OnsagerResult:
    """OCTP tables hold means only: slopes, and their scatter between the runs, but no posterior."""
    species = {one.role: one for one in file.species}
    names = [one.name for one in file.species]
    if file.volume is None or len(file.species) != 3 or len(species) != 3:
        raise InputError(f"{file.path}: OCTP tables of an electrolyte need volume and one cation, anion and solvent")
    counts = [one.count or 0 for one in file.species]
    slopes = fit_slopes([read_octp(r.octp, names) for r in file.replicas if r.octp is not None], file.window)
    order = [names.index(species[role].name) for role in ("cation", "anion")]
    mean, runs = (M[..., order, :][..., :, order] for M in slopes.omega(file.temperature, file.volume))
    flat = runs[:, [0, 0, 1], [0, 1, 1]]
    covariance = np.cov(flat.T) / len(flat) if len(flat) > 1 else None
    z = (species["cation"].z, species["anion"].z)
    divisor = np.gcd(counts[order[0]], counts[order[1]])
    nu = (float(counts[order[0]] // divisor), float(counts[order[1]] // divisor))
    matrix = OnsagerMatrix(
        mean, z, nu, counts[order[0]] / nu[0] / (N_A * file.volume), file.temperature, "barycentric", covariance
    )
    notes = ["OCTP tables give means only: standard errors are the scatter of the runs, there is no posterior"]
    if covariance is None:
        notes.append("a single run has no scatter: no error can be given")
    masses = [one.mass for one in file.species]
    if file.frame == "solvent":
        if any(m is None for m in masses):
            raise InputError(f"{file.path}: the solvent frame needs mass for every species")
        solvent = species["solvent"]
        density = (solvent.count or 0) * (solvent.mass or 0.0) / file.volume
        matrix = matrix.to_frame(
            "solvent",
            Composition(tuple(float(masses[k] or 0) * N_A for k in order), density),  # type: ignore[arg-type]
        )
    tables = [read_octp(r.octp, names) for r in file.replicas if r.octp is not None]
    lag, curves = tables[0].lag, np.mean([t.curves for t in tables], axis=0)
    msd = None
    if all(r.octp_self is not None for r in file.replicas):
        pairs = [read_octp_self(r.octp_self, names, counts) for r in file.replicas if r.octp_self is not None]
        msd = SelfMSD(pairs[0][0], np.mean([p[1] for p in pairs], axis=0)[:, order], tuple(counts[k] for k in order))
    own = self_diffusion(msd, window=slopes.window) if msd is not None else None
    return OnsagerResult(
        title=file.title, matrix=matrix, names=(names[order[0]], names[order[1]]), lag=lag,
        correlations=6 * curves[:, order][:, :, order], volume=file.volume,
        counts=(counts[order[0]], counts[order[1]]), self_part=msd, self_diffusion=own,
        ideal=matrix.ideal(float(own.D[0]), float(own.D[1])) if own is not None else None, slopes=slopes,
        notes=tuple(notes),
        inputs=_hashes([file.path, *(path for replica in file.replicas for path in _files(replica))]),
    )  # fmt: skip


def _files(replica: Replica) -> list[Path]:
    paths = (replica.topology, *replica.trajectory, replica.arrays, replica.octp)
    return [path for path in paths if path is not None]


def _hashes(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of every file; the size alone above `HASHED` bytes."""
    found = {}
    for path in paths:
        if path.stat().st_size > HASHED:
            found[path.name] = f"{path.stat().st_size} bytes"
            continue
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        found[path.name] = digest.hexdigest()
    return found
