"""Onsager coefficients from summed displacements, with error bars that hold what they say.

The matrix is the plateau of the current spectrum at low frequency (:mod:`.plateau`): all of its
elements are estimated jointly from amplitudes that are independent of one another, so neither overlapping time origins
nor correlated lags enter, and every posterior sample is positive definite. Replicas add their amplitudes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cellsim.base import Array, InputError
from cellsim.electrolyte.onsager import FRAMES, OnsagerMatrix
from cellsim.electrolyte.relations import TWO_SIDED
from mdcoeffs.onsager.displacements import CollectiveDisplacements, check_replicas, mean_volume
from mdcoeffs.onsager.judgement import (
    LENGTHS,
    EstimateWarning,
    LocalExponent,
    SpectrumFit,
    doubts_of,
    local_exponent,
    spectrum_fit,
)
from mdcoeffs.onsager.plateau import Beliefs, Plateau, flat_plateau, relaxing_plateau
from mdcoeffs.onsager.spectrum import CurrentSpectrum, current_spectrum

MIN_STEPS = 50
"""Fewest steps between frames, all replicas together, that an estimate is made from."""
MIN_ORIGINS = 2
"""Fewest independent origins an estimate is given for: the ends of its 95 % interval lie a factor of ten apart."""
MIN_IN_WINDOW = 3
"""Fewest independent origins in a window that the user gives."""
ONSETS = 4.0
"""Over a decade from this many times t_0 on, <dr^2> ~ t + t_0 has an exponent within 0.1 of one."""
AIM = 0.05
"""Relative standard error of kappa for which a length of run is advised."""
PAIRS = ("pp", "pm", "mm")
"""Order of the three elements of the matrix: cation-cation, cation-anion, anion-anion."""
CRITERION = (
    "plateau of the current spectrum; relaxations by Bayesian model averaging; "
    "window from 2 pi times the slowest relaxation time, or where growth is linear to 10 % if that is later (posterior "
    "medians), to the length of the run"
)
"""How the window is chosen when the user does not give one."""


@dataclass(frozen=True, eq=False)
class OnsagerEstimate(OnsagerMatrix):
    """An Onsager matrix with its posterior and the story of how it was found.

    Besides the fields of :class:`cellsim.electrolyte.onsager.OnsagerMatrix`:

    Parameters
    ----------
    window : (float, float)
        Lag times the estimate rests on: amplitudes of half-period between the two [s].
    criterion : str
        How the window was chosen.
    relaxation_time : float
        Slowest relaxation time allowed for, posterior median; 0 for none [s].
    n_origins : float
        Effective number of independent origins: that of a plain random walk with the same error bar.
    n_replicas : int
        Number of runs.
    local_exponent : LocalExponent, optional
        beta(t) and its mean over the window.
    spectrum : SpectrumFit, optional
        The spectrum and its model; None where the window was given.
    duration : float
        Length of all replicas together [s].
    warnings : tuple of EstimateWarning
        Named doubts; empty when there are none.
    """

    window: tuple[float, float] = (0.0, math.inf)
    criterion: str = CRITERION
    relaxation_time: float = 0.0
    n_origins: float = 0.0
    n_replicas: int = 1
    local_exponent: LocalExponent | None = None
    spectrum: SpectrumFit | None = None
    duration: float = 0.0
    warnings: tuple[EstimateWarning, ...] = field(default=())

    def length_for(self, error: float = AIM) -> float:
        """Total length of run after which kappa would have the relative standard error `error` [s].

        Errors fall with the square root of the length once diffusion is reached, and faster before: an upper estimate.
        """
        draws = np.log(self.draws("kappa"))
        low, high = np.quantile(draws, [0.025, 0.975])
        return self.duration * (float(high - low) / (2 * TWO_SIDED * error)) ** 2


def estimate_onsager(
    displacements: CollectiveDisplacements | Sequence[CollectiveDisplacements],
    *,
    window: tuple[float, float] | None = None,
    frame: str = "solvent",
    solvents: Sequence[int | str] | None = None,
    prior_flat: float | None = None,
    n_samples: int = 4000,
    seed: int = 0,
) -> OnsagerEstimate:
    """Onsager matrix of a binary salt from one run or several replicas.

    Omega_ij = lim 1/(6 k_B T V N_A^2) d/dt <dr_i . dr_j>, as the zero-frequency limit of the spectrum of the
    increments of the summed displacements.

    Parameters
    ----------
    displacements : CollectiveDisplacements or sequence of them
        One run, or replicas of one system.
    window : (float, float), optional
        Lag times to rest on, in place of the criterion: the motion is then taken as diffusive from the first
        one on [s].
    frame : str
        ``"solvent"`` (the default), ``"barycentric"`` or ``"volume"``; the displacements are moved there.
    solvents : sequence of int or str, optional
        Solvent species that make the solvent frame; all, mass-averaged, when left out.
    prior_flat : float
        Prior probability that there is no bounded motion at all, that of :class:`.Beliefs` when left out; 0 where
        one is known to be there, which gives wider, safer intervals.
    n_samples : int
        Number of posterior samples.
    seed : int
        Seed of the sampling; the result is the same for the same input and seed.

    Returns
    -------
    OnsagerEstimate
        Median matrix, covariance, samples, window, local exponent, origins, warnings.

    Raises
    ------
    InputError
        Fewer than `MIN_STEPS` steps or `MIN_ORIGINS` independent origins, replicas that differ, a frame that
        cannot be reached, ions that do not move.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 23.
    """
    replicas = [displacements] if isinstance(displacements, CollectiveDisplacements) else list(displacements)
    if frame not in FRAMES:
        raise InputError(f"frame = {frame!r} is unknown; allowed are {', '.join(FRAMES)}")
    beliefs = Beliefs() if prior_flat is None else Beliefs(flat=prior_flat)
    if not 0 <= beliefs.flat < 1 or n_samples < 100:
        raise InputError(f"prior_flat = {prior_flat!r} must lie in [0, 1) and n_samples = {n_samples} be at least 100")
    check_replicas(replicas)
    steps = sum(run.n_frames - 1 for run in replicas)
    if steps < MIN_STEPS:
        raise InputError(
            f"{steps + len(replicas)} frames hold at most {steps} independent origins, at least {MIN_STEPS} steps "
            "are needed for an Onsager coefficient: use a longer run or more replicas"
        )
    runs = [run.to_frame(frame, solvents=solvents if frame == "solvent" else None) for run in replicas]
    found = posterior(runs, runs[0].ions, window=window, beliefs=beliefs, n_samples=n_samples, seed=seed)
    first = runs[0]
    plus, minus = first.ions
    volume = mean_volume(runs)
    return OnsagerEstimate(
        Omega=centre(found.samples),
        z=(first.z[plus], first.z[minus]),
        nu=first.nu,
        c=first.c * first.volume / volume,
        T=first.temperature,
        frame=frame,
        covariance=np.cov(found.samples[:, [0, 0, 1], [0, 1, 1]].T),
        samples=found.samples,
        window=found.window,
        criterion=found.criterion,
        relaxation_time=found.relaxation_time,
        n_origins=found.n_origins,
        n_replicas=len(runs),
        local_exponent=found.local_exponent,
        spectrum=found.spectrum,
        duration=sum(run.duration for run in runs),
        warnings=found.warnings,
    )


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the displacements of some species say of their matrix: samples, and the story of how they were found.

    Parameters
    ----------
    samples : array (S, n, n)
        Posterior samples, each positive definite [mol^2/(J m s)].
    window : (float, float)
        Lag times they rest on [s].
    criterion : str
        How the window was chosen.
    relaxation_time : float
        Slowest relaxation time allowed for, posterior median; 0 for none [s].
    n_origins : float
        Effective number of independent origins.
    local_exponent : LocalExponent
        beta(t) and its mean over the window.
    spectrum : SpectrumFit, optional
        The spectrum and its model; None where the window was given.
    warnings : tuple of EstimateWarning
        Named doubts.
    """

    samples: Array
    window: tuple[float, float]
    criterion: str
    relaxation_time: float
    n_origins: float
    local_exponent: LocalExponent
    spectrum: SpectrumFit | None
    warnings: tuple[EstimateWarning, ...]


def posterior(
    runs: Sequence[CollectiveDisplacements],
    species: Sequence[int],
    *,
    window: tuple[float, float] | None,
    beliefs: Beliefs,
    n_samples: int,
    seed: int,
) -> Posterior:
    """Posterior of the matrix of some species, in the frame their displacements are in.

    Parameters
    ----------
    runs : sequence of CollectiveDisplacements
        Replicas, in the frame wanted.
    species : sequence of int
        Which species; they must move independently.
    window, n_samples, seed
        As for :func:`estimate_onsager`.
    beliefs : Beliefs
        The prior.

    Returns
    -------
    Posterior

    Raises
    ------
    InputError
        Fewer than `MIN_ORIGINS` independent origins, species that do not move or move together.
    """
    rng = np.random.default_rng(seed)
    longest = max(run.duration for run in runs)
    if window is None:
        spectrum = current_spectrum(runs, species=species)
        plateau = relaxing_plateau(spectrum, n_samples, rng, beliefs=beliefs)
        fit = spectrum_fit(spectrum, plateau)
        relaxation = float(np.median(plateau.relaxation)) * spectrum.dt
        # The slowest relaxation bends the spectrum above 1/tau: below, at lags longer than 2 pi tau, it is flat.
        start = max(spectrum.dt, 2 * math.pi * relaxation, ONSETS * _onset(spectrum, plateau))
        used, criterion = (min(start, longest), longest), CRITERION
    else:
        fit = None
        plateau, used = _in_window(runs, species, window, n_samples, rng)
        relaxation, criterion = 0.0, "given by the user; diffusive from its start on"
    origins = independent_origins(plateau.samples, len(runs[0].axes))
    if origins < MIN_ORIGINS:
        why = (
            f"the slowest relaxation ({relaxation:.3g} s) is too slow for its length; use a longer run or more replicas"
        )
        if fit is not None and LENGTHS * relaxation < longest:
            name, share = _most_bounded(plateau, [(runs[0].names or ())[k] for k in species])
            why = (
                f"at long times {name} moves {100 * share:.2g} % of what it does at short ones, too little to tell its "
                "diffusion; use a longer run, or name all species of an immobile lattice as framework "
                '(matrix = "species")'
            )
        raise InputError(f"the run holds {origins:.3g} independent origins, at least {MIN_ORIGINS} are needed: {why}")
    # Not used by the estimate, and so a check of it: growth in a window that the spectrum calls diffusive.
    exponent = local_exponent(runs, start=used[0], end=used[1], species=species)
    doubts = doubts_of(plateau, origins, exponent, fit, longest, runs[0].dt)
    return Posterior(plateau.samples, used, criterion, relaxation, origins, exponent, fit, doubts)


def _most_bounded(plateau: Plateau, names: Sequence[str]) -> tuple[str, float]:
    """The species with the least share of diffusion in its motion between frames, and that share [1]."""
    short = np.diagonal(plateau.spectra[:, -1], axis1=1, axis2=2)
    limit = np.diagonal(plateau.samples[plateau.shown], axis1=1, axis2=2)
    share = np.median(limit / short, axis=0)
    return names[int(np.argmin(share))], float(share.min())


def _onset(spectrum: CurrentSpectrum, plateau: Plateau) -> float:
    """t_0 of the later ion, where <dr^2> ~ t + t_0 at long times, posterior median of the model [s].

    <dr^2> of n steps is the integral of S (sin(pi f n)/sin(pi f))^2 over f, so t_0 = int (S/Omega - 1) 4/s^2 df.
    """
    f = np.arcsin(0.5 * spectrum.s) / math.pi
    limit = np.diagonal(plateau.samples[plateau.shown], axis1=1, axis2=2)[:, None]
    rise = np.diagonal(plateau.spectra, axis1=2, axis2=3) / limit - 1
    steps = np.trapezoid(rise * 4 / spectrum.s[:, None] ** 2, f, axis=1)
    return float(np.median(np.abs(steps).max(axis=1))) * spectrum.dt


def _in_window(
    runs: Sequence[CollectiveDisplacements],
    species: Sequence[int],
    window: tuple[float, float],
    n_samples: int,
    rng: np.random.Generator,
) -> tuple[Plateau, tuple[float, float]]:
    start, end = (float(v) for v in window)
    longest = max(run.duration for run in runs)
    if not (0 < start < end and start < longest):
        raise InputError(
            f"window = {start:.3g}-{end:.3g} s must increase and start before the end of the run ({longest:.3g} s)"
        )
    spectrum = current_spectrum(runs, lags=(start, min(end, longest)), species=species)
    dof = float(spectrum.dof.sum())
    directions = len(runs[0].axes)
    if dof < directions * MIN_IN_WINDOW:
        raise InputError(
            f"window = {start:.3g}-{end:.3g} s holds {dof / directions:.0f} independent origins, at least "
            f"{MIN_IN_WINDOW} are needed: start it earlier or use more replicas"
        )
    plateau = flat_plateau(spectrum.W.sum(axis=0), dof, n_samples, rng)
    return plateau, (start, min(end, longest))


def independent_origins(samples: Array, directions: int) -> float:
    """Independent origins: the 95 % interval of ln Omega_ii is 2 x 1.96 sqrt(2/(d n)) wide for n free steps.

    Parameters
    ----------
    samples : array (S, n, n)
        Posterior samples.
    directions : int
        How many independent directions they rest on, d.

    Returns
    -------
    float
    """
    ends = np.quantile(np.log(np.diagonal(samples, axis1=1, axis2=2)), [0.025, 0.975], axis=0)
    deviation = float(np.max(ends[1] - ends[0])) / (2 * TWO_SIDED)
    return 2.0 / (directions * deviation**2)


def centre(samples: Array) -> Array:
    """Median of a posterior (S, n, n) in Cholesky coordinates: positive definite whatever the shape."""
    root = np.linalg.cholesky(samples)
    scale = np.diagonal(root, axis1=1, axis2=2)
    unit = np.median(root / scale[:, None, :], axis=0)
    return np.asarray((unit * np.exp(np.median(2 * np.log(scale), axis=0))) @ unit.T)
