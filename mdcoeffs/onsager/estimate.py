"""Onsager coefficients from summed displacements, with error bars that hold what they say.

The matrix is the plateau of the current spectrum at low frequency (:mod:`.plateau`): all of its
elements are estimated jointly from amplitudes that are independent of one another, so neither overlapping time origins
nor correlated lags enter, and every posterior sample is positive definite. Replicas add their amplitudes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import chdtrc

from cellsim.base import Array, InputError
from cellsim.electrolyte.onsager import FRAMES, OnsagerMatrix
from cellsim.electrolyte.relations import conductivity
from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD, check_replicas, mean_volume
from mdcoeffs.onsager.plateau import Beliefs, Plateau, flat_plateau, relaxing_plateau
from mdcoeffs.onsager.spectrum import CurrentSpectrum, current_spectrum
from mdcoeffs.statistics.correlate import collective_msd, log_lags

logger = logging.getLogger(__name__)

MIN_STEPS = 50
"""Fewest steps between frames, all replicas together, that an estimate is made from."""
MIN_ORIGINS = 2
"""Fewest independent origins an estimate is given for: the ends of its 95 % interval lie a factor of ten apart."""
MIN_IN_WINDOW = 3
"""Fewest independent origins in a window that the user gives."""
FEW_ORIGINS = 6
"""Below this number of independent origins, a standard error of a third, the estimate carries a warning."""
EXPONENT_RULE = 0.1
"""Largest |beta - 1| over a decade of lags without a warning, noise apart (Fang 2026, below Eq. 1)."""
ONSETS = 4.0
"""Over a decade from this many times t_0 on, <dr^2> ~ t + t_0 has an exponent within 0.1 of one."""
NOISE = 3.0
"""Standard deviations of beta that count as noise."""
LENGTHS = 20.0
"""A run should be this many times as long as the slowest relaxation."""
UNFINISHED = 0.3
"""Posterior probability that it is not, above which the estimate carries a warning."""
AIM = 0.05
"""Relative standard error of kappa for which a length of run is advised."""
LOW_FREQUENCIES = 12
"""Amplitudes of each ion and direction, from the lowest frequency on, that must agree with the model's plateau."""
SURPRISE = 2e-3
"""Probability below which their disagreement is a warning."""
PAIRS = ("pp", "pm", "mm")
"""Order of the three elements of the matrix: cation-cation, cation-anion, anion-anion."""
CRITERION = (
    "plateau of the current spectrum; relaxations by Bayesian model averaging; "
    "window from 2 pi times the slowest relaxation time, or where growth is linear to 10 % if that is later (posterior "
    "medians), to the length of the run"
)
"""How the window is chosen when the user does not give one."""


@dataclass(frozen=True)
class EstimateWarning:
    """A named doubt about an estimate.

    Parameters
    ----------
    name : str
        ``"slow-relaxation"``, ``"low-frequencies"``, ``"local-exponent"``, ``"few-origins"`` or
        ``"posterior-sampling"``.
    text : str
        One sentence: what was found and what to do.
    """

    name: str
    text: str


@dataclass(frozen=True, eq=False)
class LocalExponent:
    """Local exponent beta(t) = d ln|<dr_i . dr_j>| / d ln t of the displacement correlations.

    Parameters
    ----------
    lag : array (lags,)
        Lag times [s].
    beta : array (lags, pairs)
        Exponent between each lag and twice that lag, for the pairs of species of the upper triangle: ++, +-, --.
    window : (float, float)
        The decade of lags (or less) from the start of the fit window that is judged [s].
    mean : array (pairs,)
        Exponent over that decade.
    correlation : array (pairs,)
        |<dr_i dr_j>| / sqrt(<dr_i^2><dr_j^2>) at the end of it; pairs are judged above 0.5 only.
    noise : float
        Standard deviation of the exponent over that decade for a random walk of the length of the data.
    """

    lag: Array
    beta: Array
    window: tuple[float, float]
    mean: Array
    correlation: Array
    noise: float = 0.0

    @property
    def worst(self) -> float:
        """Largest |beta - 1| of the judged elements."""
        return float(np.max(np.abs(self.mean[self.correlation > 0.5] - 1.0)))

    @property
    def in_doubt(self) -> bool:
        """Whether growth is not linear over the window, by more than the rule allows and noise explains."""
        return self.worst > EXPONENT_RULE + NOISE * self.noise


@dataclass(frozen=True, eq=False)
class SpectrumFit:
    """The current spectrum beside its model: to see at a glance whether to believe the plateau.

    Parameters
    ----------
    frequency : array (bins,)
        Of the amplitudes [1/s].
    data : array (bins, 2, 2)
        Mean outer products, whose expectation at low frequency is Omega [mol^2/(J m s)].
    dof : array (bins,)
        Number of amplitudes averaged; the relative standard error of a diagonal element is sqrt(2/dof).
    draws : array (draws, bins, 2, 2)
        Posterior draws of the whole spectrum.
    surprise : float
        Posterior predictive probability that the lowest amplitudes disagree with the model as much as they do.
    """

    frequency: Array
    data: Array
    dof: Array
    draws: Array
    surprise: float

    def at_frequencies(self, z: Sequence[float] | Array) -> tuple[Array, Array]:
        """Conductivity and share of the first species in the current at every frequency, drawn from the posterior.

        Those of displacements between frames: up to about a fifth of the highest frequency they are those of the
        velocities.

        Parameters
        ----------
        z : sequence of float (species,)
            Charge numbers.

        Returns
        -------
        kappa, t : array (draws, bins)
            [S/m], [1]
        """
        flow = np.einsum("dkij,j->dki", self.draws, np.asarray(z, dtype=float))
        charge = np.einsum("i,dki->dk", np.asarray(z, dtype=float), flow)
        return conductivity(self.draws, z), z[0] * flow[..., 0] / charge


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
        return self.duration * (float(high - low) / (2 * 1.959964 * error)) ** 2


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
        raise InputError(
            f"the run holds {origins:.1f} independent origins, at least {MIN_ORIGINS} are needed: the slowest "
            f"relaxation ({relaxation:.3g} s) is too slow for its length; use a longer run or more replicas"
        )
    # Not used by the estimate, and so a check of it: growth in a window that the spectrum calls diffusive.
    exponent = local_exponent(runs, start=used[0], end=used[1], species=species)
    doubts = _doubts(plateau, origins, exponent, fit, longest, runs[0].dt)
    return Posterior(plateau.samples, used, criterion, relaxation, origins, exponent, fit, doubts)


def local_exponent(
    displacements: CollectiveDisplacements | Sequence[CollectiveDisplacements],
    *,
    start: float | None = None,
    end: float | None = None,
    species: Sequence[int] | None = None,
) -> LocalExponent:
    """Local exponent beta(t) of the displacement correlations, replicas averaged.

    Parameters
    ----------
    displacements : CollectiveDisplacements or sequence of them
        One run, or replicas, in the frame wanted.
    start : float, optional
        Start of the window that is judged; the time step when left out [s].
    end : float, optional
        Its end at most; one decade and a quarter of the shortest run are the other limits [s].
    species : sequence of int, optional
        Which species; cation and anion when left out.

    Returns
    -------
    LocalExponent
        beta on log-spaced lags and over the window.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 23; the 10 % rule: Fang et al. 2026, below Eq. 1.
    """
    runs = [displacements] if isinstance(displacements, CollectiveDisplacements) else list(displacements)
    frames = min(run.n_frames for run in runs)
    dt = runs[0].dt
    # Beyond a quarter of the run fewer than four displacements are independent, and slopes there are noise.
    longest = max(2, frames // 4)
    first = min(max(1, round((start or dt) / dt)), longest // 2)
    last = max(2 * first, min(longest, 10 * first, round((end or math.inf) / dt) if end else longest))
    lags = log_lags(frames, per_decade=12, longest=longest)[1:]
    lags = lags[2 * lags <= longest]
    wanted = np.concatenate([lags, 2 * lags, [first, last]])
    weights = np.array([run.n_frames for run in runs], dtype=float)
    every = [collective_msd(run.along[:, list(runs[0].ions if species is None else species)], wanted) for run in runs]
    C = np.abs(np.einsum("r,rlij->lij", weights / weights.sum(), np.array(every)))
    pairs = np.triu_indices(C.shape[1])
    scale = np.sqrt(np.diagonal(C[-1]))
    correlation = C[-1][pairs] / np.outer(scale, scale)[pairs]
    C = np.maximum(C[:, pairs[0], pairs[1]], np.finfo(float).tiny)  # a cross term may pass through zero
    n = lags.size
    return LocalExponent(
        lag=np.asarray(lags * dt, dtype=np.float64),
        beta=np.log2(C[n : 2 * n] / C[:n]),
        window=(first * dt, last * dt),
        mean=np.log(C[-1] / C[-2]) / math.log(last / first),
        correlation=np.asarray(correlation),
        # Of a random walk in d directions the relative variance of <dr^2> at lag t in a run of length T is 4 t/(3 d T);
        # the early end of the decade adds a tenth of that, partly correlated.
        noise=math.sqrt(4 * last / (3 * len(runs[0].axes) * weights.sum())) / math.log(last / first),
    )


def _onset(spectrum: CurrentSpectrum, plateau: Plateau) -> float:
    """t_0 of the later ion, where <dr^2> ~ t + t_0 at long times, posterior median of the model [s].

    <dr^2> of n steps is the integral of S (sin(pi f n)/sin(pi f))^2 over f, so t_0 = int (S/Omega - 1) 4/s^2 df.
    """
    f = np.arcsin(0.5 * spectrum.s) / math.pi
    limit = np.diagonal(plateau.samples[plateau.shown], axis1=1, axis2=2)[:, None]
    rise = np.diagonal(plateau.spectra, axis1=2, axis2=3) / limit - 1
    steps = np.trapezoid(rise * 4 / spectrum.s[:, None] ** 2, f, axis=1)
    return float(np.median(np.abs(steps).max(axis=1))) * spectrum.dt


def spectrum_fit(spectrum: CurrentSpectrum, plateau: Plateau) -> SpectrumFit:
    """The spectrum beside its model, and whether the lowest amplitudes agree with it.

    Parameters
    ----------
    spectrum : CurrentSpectrum
        The data.
    plateau : Plateau
        What was made of them, with draws of the whole spectrum.

    Returns
    -------
    SpectrumFit

    Notes
    -----
    The check is of the data against each posterior sample, sum tr(S^-1 W) ~ chi^2, so that no model, however sure of
    itself, is believed where the frequencies that Omega is read from speak against it (Gelman, Meng and Stern 1996).
    """
    lowest = np.arange(min(LOW_FREQUENCIES, spectrum.s.size))
    inverse = np.linalg.inv(plateau.spectra[:, lowest])
    distance = np.einsum("dkij,kji->d", inverse, spectrum.W[lowest])
    tail = chdtrc(spectrum.W.shape[1] * spectrum.dof[lowest].sum(), distance)
    p = float(np.mean(tail))
    return SpectrumFit(
        frequency=np.arcsin(0.5 * spectrum.s) / (math.pi * spectrum.dt),
        data=spectrum.W / spectrum.dof[:, None, None],
        dof=spectrum.dof,
        draws=plateau.spectra,
        surprise=2 * min(p, 1 - p),
    )


@dataclass(frozen=True, eq=False)
class SelfDiffusion:
    """Self-diffusion coefficients of the species.

    Parameters
    ----------
    D : array (species,)
        Median of the posterior, or the slope of the mean-squared displacement over six [m^2/s].
    standard_error : array (species,)
        Of the posterior, or for particles that move independently; NaN where the length of the run is unknown [m^2/s].
    exponent : array (species,)
        Local exponent over the window.
    window : (float, float)
        Lag times of the exponent, and of the slope [s].
    samples : array (S, species), optional
        Posterior samples, where the paths of single particles were at hand [m^2/s].
    """

    D: Array
    standard_error: Array
    exponent: Array
    window: tuple[float, float]
    samples: Array | None = None


def self_diffusion(msd: SelfMSD, *, window: tuple[float, float]) -> SelfDiffusion:
    """Self-diffusion coefficients from the slope of the mean-squared displacement in a window of lags.

    Parameters
    ----------
    msd : SelfMSD
        Mean-squared displacements of single particles.
    window : (float, float)
        Lag times of the fit, e.g. the local-exponent window of an estimate [s].

    Returns
    -------
    SelfDiffusion
        Ordinary least squares; the standard error is sqrt(4 t/(9 N T)) relative, t the end of the window, N
        particles, T the length of the run.

    Raises
    ------
    InputError
        Fewer than two lags in the window.
    """
    inside = (msd.lag >= window[0] * (1 - 1e-9)) & (msd.lag <= window[1] * (1 + 1e-9)) & (msd.lag > 0)
    if np.count_nonzero(inside) < 2:
        raise InputError(f"the window {window[0]:.3g}-{window[1]:.3g} s holds fewer than two lags of the msd")
    t, y = msd.lag[inside], msd.msd[inside]
    centred = t - t.mean()
    D = centred @ y / (6.0 * centred @ centred)
    error = np.abs(D) * np.sqrt(4 * t[-1] / (9 * np.asarray(msd.counts) * msd.duration))
    exponent = np.log(y[-1] / y[0]) / math.log(t[-1] / t[0])
    return SelfDiffusion(D, error, exponent, (float(t[0]), float(t[-1])))


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
    deviation = float(np.max(ends[1] - ends[0])) / (2 * 1.959964)
    return 2.0 / (directions * deviation**2)


def centre(samples: Array) -> Array:
    """Median of a posterior (S, n, n) in Cholesky coordinates: positive definite whatever the shape."""
    root = np.linalg.cholesky(samples)
    scale = np.diagonal(root, axis1=1, axis2=2)
    unit = np.median(root / scale[:, None, :], axis=0)
    return np.asarray((unit * np.exp(np.median(2 * np.log(scale), axis=0))) @ unit.T)


def _doubts(
    plateau: Plateau,
    origins: float,
    exponent: LocalExponent,
    fit: SpectrumFit | None,
    longest: float,
    dt: float,
) -> tuple[EstimateWarning, ...]:
    doubts = []
    too_slow = LENGTHS * plateau.relaxation * dt > longest
    if np.mean(too_slow) > UNFINISHED:
        relaxation = float(np.median(plateau.relaxation[too_slow])) * dt
        doubts.append(
            EstimateWarning(
                "slow-relaxation",
                f"motion on a scale of {relaxation:.3g} s has not finished in runs of {longest:.3g} s: make each at "
                f"least {LENGTHS * relaxation / longest:.2g} times longer (frames may be saved less often)",
            )
        )
    if fit is not None and fit.surprise < SURPRISE:
        doubts.append(
            EstimateWarning(
                "low-frequencies",
                f"the slowest {LOW_FREQUENCIES} amplitudes do not fit the model of the spectrum (probability "
                f"{fit.surprise:.1g}): the run drifts or is not in equilibrium; see the spectrum in the figure",
            )
        )
    if exponent.in_doubt:
        doubts.append(
            EstimateWarning(
                "local-exponent",
                f"|beta - 1| = {exponent.worst:.2f} over {exponent.window[0]:.3g}-{exponent.window[1]:.3g} s exceeds "
                f"{EXPONENT_RULE} and its noise of {exponent.noise:.2f}: growth is not linear there; a longer run or "
                "more replicas would tell",
            )
        )
    if origins < FEW_ORIGINS:
        doubts.append(
            EstimateWarning(
                "few-origins",
                f"{origins:.1f} independent origins, below {FEW_ORIGINS}: intervals are wide; "
                f"{FEW_ORIGINS / origins:.2g} times as much simulation would be enough",
            )
        )
    if plateau.effective_size < 0.05 * len(plateau.samples):
        doubts.append(
            EstimateWarning(
                "posterior-sampling",
                f"only {plateau.effective_size:.0f} effective posterior samples: ends of intervals are rough",
            )
        )
    for doubt in doubts:
        logger.info("%s: %s", doubt.name, doubt.text)
    return tuple(doubts)
