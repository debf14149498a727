"""Onsager coefficients of a binary salt, or of all species: trajectories, arrays or OCTP tables to Omega with errors.

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
from cellsim.electrolyte.relations import standard_error_of
from cellsim.files.schema import Table
from mdcoeffs.analysis import Analysis, First, analyse
from mdcoeffs.frames.molecules import check_density
from mdcoeffs.frames.stream import Accumulator, Stream, open_stream
from mdcoeffs.inputs.arrays import array_names
from mdcoeffs.inputs.species import ROLES, SpeciesFile, analysis_table
from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD
from mdcoeffs.onsager.estimate import MIN_STEPS, OnsagerEstimate, estimate_onsager
from mdcoeffs.onsager.mixture import FRAMES as SPECIES_FRAMES
from mdcoeffs.onsager.mixture import FRAMEWORK, SpeciesResult, estimate_species
from mdcoeffs.onsager.motion import ReplicaMotion, hashes, motion_accumulators, motion_of, motion_of_arrays
from mdcoeffs.onsager.octp import OctpRun, fit_slopes, read_octp, read_octp_self
from mdcoeffs.onsager.plateau import Beliefs
from mdcoeffs.onsager.result import OnsagerResult
from mdcoeffs.onsager.self_motion import (
    SelfDiffusion,
    Viscosity,
    moving_together,
    self_diffusion,
    self_plateau,
    without_images,
)
from mdcoeffs.onsager.velocities import VelocityCheck, compare_velocities
from mdcoeffs.statistics.correlate import collective_msd, log_lags

FRAMES = ("solvent", "barycentric", "volume")
KEYS = (
    *("matrix", "frame", "solvents", "framework", "window", "prior_flat", "seed", "axes"),
    *("viscosity", "viscosity_error", "velocities"),
)
VISCOSITIES = (1e-6, 1e6)
"""Viscosities that a liquid may have [Pa s]."""
DESTROYING = ("langevin", "andersen")
"""Thermostats that destroy momentum."""
MATRICES = ("salt", "species")
"""Of which species: cation and anion of one salt in a solvent, or all that there are."""


@dataclass(frozen=True)
class OnsagerSettings:
    """The table [estimate] of a SPECIES.toml, and its ``self``.

    Parameters
    ----------
    matrix : str
        One of `MATRICES`.
    frame : str
        Frame in which the coefficients are reported, one of `FRAMES`; of all species one of those that
        :func:`mdcoeffs.onsager.mixture.estimate_species` knows, or empty for its own choice.
    solvents : tuple of str, optional
        Solvent species that make the solvent frame.
    framework : tuple of str
        Species of an immobile lattice.
    window : tuple of float, optional
        Fit window, first and last lag [s].
    prior_flat : float
        Prior probability that the motion is diffusive from the first step on; see `mdcoeffs.onsager.estimate` [1].
    seed : int
        Seed of the posterior samples.
    self_part : str
        Whose single-particle paths are kept, one of `mdcoeffs.inputs.species.SELF_PARTS`.
    viscosity : Viscosity, optional
        Of the liquid simulated, for self-diffusion in an unbounded one.
    axes : tuple of int
        Directions that are used, 0 to 2.
    velocities : bool
        Whether the currents of the velocities are compared with those of the displacements.
    """

    matrix: str = "salt"
    frame: str = "solvent"
    solvents: tuple[str, ...] | None = None
    framework: tuple[str, ...] = ()
    window: tuple[float, float] | None = None
    prior_flat: float = Beliefs.flat
    seed: int = 0
    self_part: str = "ions"
    viscosity: Viscosity | None = None
    axes: tuple[int, ...] = (0, 1, 2)
    velocities: bool = False


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
        Unknown keys, solvents that are none, a window that is none, a species that is none; for the matrix of a salt
        anything but one cation and one anion species.
    """
    table = analysis_table(file, "onsager")
    table.only(*KEYS)
    names = {role: [species.name for species in file.species if species.role == role] for role in ROLES}
    binary = len(names["cation"]) == len(names["anion"]) == 1
    octp = any(replica.octp is not None for replica in file.replicas)
    matrix = table.choice("matrix", MATRICES, "salt" if octp or (binary and names["solvent"]) else "species")
    if matrix == "salt":
        for role in ("cation", "anion"):
            if len(names[role]) != 1:
                raise InputError(
                    f"{file.path}: a binary salt has one {role} species, found {len(names[role])} "
                    f'({", ".join(names[role]) or "none"}); matrix = "species" in [estimate] takes any number'
                )
        if "framework" in table:
            raise table.error("framework", 'is for the matrix of all species: add matrix = "species"')
        frame = table.choice("frame", FRAMES, "solvent")
    else:
        known = [species.name for species in file.species]
        frame = table.choice("frame", (*SPECIES_FRAMES, *known), "") if "frame" in table else ""
        if frame == FRAMEWORK and "framework" not in table:
            raise table.error("frame", 'of the framework needs framework = ["NAME", ...], the species of the lattice')
        if octp:
            raise table.error("matrix", "of all species needs trajectories or arrays; OCTP tables are for one salt")
    axes = _axes(table, octp)
    return OnsagerSettings(
        matrix=matrix,
        frame=frame,
        solvents=_chosen(table, "solvents", [species.name for species in file.species if species.role == "solvent"]),
        framework=_chosen(table, "framework", [species.name for species in file.species]) or (),
        window=_window(table),
        prior_flat=table.number("prior_flat", Beliefs.flat, least=0, most=0.99),
        seed=table.integer("seed", 0, least=0),
        self_part=file.self_part if len(axes) == 3 else "none",
        viscosity=_viscosity(table),
        axes=axes,
        velocities=_velocities(file, table),
    )


def _velocities(file: SpeciesFile, table: Table) -> bool:
    if not table.boolean("velocities", False):
        return False
    for replica in file.replicas:
        if replica.octp is not None or (replica.arrays is not None and "R" in array_names(replica.arrays)):
            raise table.error("velocities", f"needs trajectories or arrays with velocities; {replica.label} has none")
    return True


def _axes(table: Table, octp: bool) -> tuple[int, ...]:
    """The directions that ``axes = "xy"`` names; what is of all three has no place beside fewer."""
    letters = table.string("axes", "xyz")
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set("xyz"):
        raise table.error("axes", 'must be some of the letters x, y and z, each once, such as "z" or "xy"')
    if len(letters) < 3 and octp:
        raise table.error("axes", "needs trajectories or arrays; OCTP tables are means over all directions")
    if len(letters) < 3 and "viscosity" in table:
        raise table.error("axes", "leaves self-diffusion out, which viscosity is for; give one of the two")
    return tuple(sorted("xyz".index(letter) for letter in letters))


def _viscosity(table: Table) -> Viscosity | None:
    if "viscosity" not in table:
        if "viscosity_error" in table:
            raise table.error("viscosity_error", "is of a viscosity, which is not given")
        return None
    value = table.quantity("viscosity", "Pa s", above=0)
    if not VISCOSITIES[0] <= value <= VISCOSITIES[1]:
        raise table.error("viscosity", f"must lie between {VISCOSITIES[0]:g} and {VISCOSITIES[1]:g} Pa s")
    return Viscosity(value, table.quantity("viscosity_error", "", 0.0, least=0, most=1))


def _chosen(table: Table, key: str, known: Sequence[str]) -> tuple[str, ...] | None:
    if key not in table:
        return None
    names = table.strings(key)
    for name in names:
        if name not in known:
            kind = "a solvent" if key == "solvents" else "a species"
            raise InputError(f"{table.where(key)}: {name!r} is not {kind} here; allowed: {', '.join(known)}")
    return tuple(names)


def _window(table: Table) -> tuple[float, float] | None:
    if "window" not in table:
        return None
    pair = table.quantities("window", "s")
    if len(pair) != 2 or not 0 <= pair[0] < pair[1]:
        raise InputError(f'{table.where("window")} must be two increasing times, for example ["1 ns", "5 ns"]')
    return pair[0], pair[1]


# ---- replicas -------------------------------------------------------------------------------------------------------


def _prepare(file: SpeciesFile, settings: OnsagerSettings, first: First) -> OnsagerSettings:
    """Refuse several replicas that together hold too few frames by what their headers say, before a pass of hours."""
    steps = 0
    if len(file.replicas) == 1:
        return settings  # of one it is said where it is opened
    for number, replica in enumerate(file.replicas):
        if replica.octp is not None or (replica.arrays is not None and "R" in array_names(replica.arrays)):
            return settings  # nothing to pass over
        steps += max(open_stream(file, number).n_frames - 1, 0)
        if steps >= MIN_STEPS:
            return settings
    raise InputError(
        f"{file.path}: the {len(file.replicas)} replicas hold {steps + len(file.replicas)} frames in all, which are "
        f"too few: at least {MIN_STEPS} steps between frames are needed for an Onsager coefficient; use longer runs "
        "or more replicas"
    )


def _accumulators(stream: Stream, settings: OnsagerSettings) -> dict[str, Accumulator]:
    if len(stream.file.replicas) == 1 and stream.n_frames <= MIN_STEPS:  # said before the pass, not after it
        raise InputError(
            f"{stream.label}: {stream.n_frames} frames are too few, more than {MIN_STEPS} are needed for an Onsager "
            "coefficient: use a longer run or more replicas"
        )
    return motion_accumulators(stream, settings.self_part, settings.velocities)


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


def _result(
    file: SpeciesFile, settings: OnsagerSettings, runs: Sequence[ReplicaMotion | OctpRun]
) -> OnsagerResult | SpeciesResult:
    tables = [run for run in runs if isinstance(run, OctpRun)]
    motions = [run for run in runs if isinstance(run, ReplicaMotion)]
    if tables and motions:
        raise InputError(f"{file.path}: OCTP tables and trajectories cannot be combined; give replicas of one kind")
    inputs = hashes([file.path])
    for run in runs:
        inputs |= run.inputs or {}
    if settings.matrix == "species":
        return replace(_of_species(file, settings, motions), inputs=inputs)
    result = _from_octp(file, settings, tables) if tables else _from_motion(file, settings, motions)
    return replace(result, inputs=inputs)


def _of_species(file: SpeciesFile, settings: OnsagerSettings, motions: Sequence[ReplicaMotion]) -> SpeciesResult:
    runs = [replace(motion.displacements, axes=settings.axes) for motion in motions]
    estimate = estimate_species(
        runs,
        frame=settings.frame or None,
        solvents=settings.solvents,
        framework=settings.framework,
        window=settings.window,
        prior_flat=settings.prior_flat,
        seed=settings.seed,
    )
    notes = [f"{doubt.name}: {doubt.text}" for doubt in estimate.found.warnings]
    notes += [*_told_of_axes(settings), *_told_of_thermostat(file)]
    if not runs[0].solvents and not settings.framework:
        weight = "" if runs[0].masses is None else f", {_density(runs[0]):.3g} g/cm3 in all"
        notes.append(
            f"no solvent: the species listed are taken as all there is{weight}; diffusion of salt against a solvent "
            "does not exist here"
        )
    first = runs[0]
    assert first.names is not None
    kept = [k for k in range(len(first.names)) if all(k in (motion.self_sums or {}) for motion in motions)]
    msd, window = _self_msd(motions, kept) if kept else None, estimate.found.local_exponent.window
    own = None if msd is None else _self_diffusion(motions, kept, msd, window, settings)
    if own is not None and first.frame == "lab":
        notes.append("self-diffusion is that in the box, whose centre of mass was not taken away")
    if settings.viscosity is not None:
        if own is None:
            raise InputError(f"{file.path}: viscosity is for self-diffusion, of which nothing was kept; set self")
        volume = float(np.average([run.volume for run in runs], weights=[run.duration for run in runs]))
        T = first.temperature
        unbounded = without_images(own, settings.viscosity, T=T, volume=volume, seed=settings.seed)
        notes.append(_told_of_images(own, unbounded, [first.names[k] for k in kept]))
    moving = _from_velocities(runs, motions)
    if moving is not None:
        notes.append(moving.note)
    return SpeciesResult(
        title=file.title,
        velocities=moving,
        estimate=estimate,
        self_diffusion={}
        if own is None
        else {
            first.names[k]: (float(D), float(error))
            for k, D, error in zip(kept, own.D, own.standard_error, strict=True)
        },
        drift_velocity=np.array([motion.drift_velocity for motion in motions]),
        longest_step=max(motion.longest_step for motion in motions),
        notes=tuple(notes),
    )


def _from_velocities(runs: Sequence[CollectiveDisplacements], motions: Sequence[ReplicaMotion]) -> VelocityCheck | None:
    known = [motion.velocities for motion in motions if motion.velocities is not None]
    return compare_velocities(runs, known) if len(known) == len(runs) else None


def _told_of_axes(settings: OnsagerSettings) -> list[str]:
    if len(settings.axes) == 3:
        return []
    named = " and ".join("xyz"[k] for k in settings.axes)
    return [f"along {named} only: all coefficients are of motion in these directions; self-diffusion is left out"]


def _told_of_thermostat(file: SpeciesFile) -> list[str]:
    if file.thermostat not in DESTROYING:
        return []
    return [
        f"thermostat: {file.thermostat} destroys momentum: every particle is slowed by itself, so that diffusion and "
        "conductivity come out too small and the flow of the liquid around an ion is lost; use one that keeps it, such "
        "as nose-hoover or velocity-rescaling"
    ]


def _told_of_images(own: SelfDiffusion, unbounded: SelfDiffusion, names: Sequence[str]) -> str:
    each = ", ".join(
        f"{name} {D:.4g} +- {error:.2g}"
        for name, D, error in zip(names, unbounded.D, unbounded.standard_error, strict=True)
    )
    return (
        "self-diffusion in an unbounded liquid (Yeh and Hummer, cubic box: "
        f"{unbounded.D[0] - own.D[0]:.4g} m^2/s more): {each} m^2/s"
    )


def _density(run: CollectiveDisplacements) -> float:
    """Mass of all species over the volume [g/cm^3]."""
    assert run.masses is not None
    return float(np.array(run.masses) @ np.array(run.counts)) / run.volume * 1e-3


def _from_motion(file: SpeciesFile, settings: OnsagerSettings, motions: Sequence[ReplicaMotion]) -> OnsagerResult:
    runs = [replace(motion.displacements, axes=settings.axes) for motion in motions]
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
    each = [3 / len(run.axes) * collective_msd(run.along[:, ions], lags) for run in moved]
    msd = _self_msd(motions, ions)
    own, ideal, unbounded = None, None, None
    notes = [f"{doubt.name}: {doubt.text}" for doubt in estimate.warnings]
    notes += [*_told_of_axes(settings), *_told_of_thermostat(file)]
    volume = float(np.average([run.volume for run in runs], weights=[run.duration for run in runs]))
    if msd is not None and estimate.local_exponent is not None:
        own = _self_diffusion(motions, ions, msd, estimate.local_exponent.window, settings)
        if settings.viscosity is not None:
            unbounded = without_images(own, settings.viscosity, T=estimate.T, volume=volume, seed=settings.seed)
        ideal = estimate.ideal(float(own.D[0]), float(own.D[1]))
        if ideal.Omega_distinct is None:
            notes.append(
                "distinct part: not given, since the self part belongs to the barycentric frame and the ions alone do "
                f"not take this {frame} frame there"
            )
    moving = _from_velocities(runs, motions)
    if moving is not None:
        notes.append(moving.note)
    return OnsagerResult(
        title=file.title,
        velocities=moving,
        matrix=estimate,
        names=(first.names[ions[0]], first.names[ions[1]]),
        lag=np.asarray(lags * first.dt, dtype=np.float64),
        correlations=np.einsum("r,rlij->lij", weights / weights.sum(), np.array(each)),
        volume=volume,
        counts=(first.counts[ions[0]], first.counts[ions[1]]),
        self_part=msd,
        self_diffusion=own,
        unbounded=unbounded,
        ideal=ideal,
        drift_velocity=np.array([motion.drift_velocity for motion in motions]),
        longest_step=max(motion.longest_step for motion in motions),
        frames=tuple(run.n_frames for run in runs),
        c_solvent=float(sum(first.concentrations[k] for k in first.solvents)),
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


def _self_diffusion(
    motions: Sequence[ReplicaMotion],
    species: Sequence[int],
    msd: SelfMSD,
    window: tuple[float, float],
    settings: OnsagerSettings,
) -> SelfDiffusion:
    """By the plateau of single particles' spectra where there are enough steps for one, else the slope in a window."""
    own = self_diffusion(msd, window=window)
    powers = [[(motion.self_powers or {}).get(k) for motion in motions] for k in species]
    known = [[power for power in runs if power is not None] for runs in powers]
    steps = sum(motion.displacements.n_frames - 1 for motion in motions)
    if steps < MIN_STEPS or any(len(runs) < len(motions) for runs in known):
        return own
    samples = self_plateau(
        known,
        motions[0].displacements.dt,
        together=[
            moving_together([motion.displacements.R[:, k] for motion in motions], runs)
            for k, runs in zip(species, known, strict=True)
        ],
        beliefs=Beliefs(flat=settings.prior_flat),
        seed=settings.seed,
    )
    return replace(own, D=np.median(samples, axis=0), standard_error=standard_error_of(samples), samples=samples)


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


def _read(settings: OnsagerSettings) -> str:
    return settings.self_part + (", velocities" if settings.velocities else "")


ANALYSIS = Analysis(
    name="onsager",
    settings=read_estimate,
    accumulators=_accumulators,
    result=_result,
    reduce=_motion,
    prepare=_prepare,
    tabulated=_without_snapshots,
    depends_on=_read,
)


def onsager_from_file(
    file: SpeciesFile | str | Path,
    *,
    folder: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> OnsagerResult | SpeciesResult:
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
    OnsagerResult or SpeciesResult
        The latter where the matrix of all species was asked for.

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    result: OnsagerResult | SpeciesResult = analyse(
        ANALYSIS, file, folder=folder, checkpoint_every=checkpoint_every, progress=progress
    )
    return result
