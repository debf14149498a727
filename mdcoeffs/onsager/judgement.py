"""What speaks against an estimate: the local exponent, the spectrum beside its model, and doubts in words.

None of it enters the estimate, so that each is a check of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from cellsim.base import Array
from cellsim.electrolyte.relations import conductivity
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.plateau import Plateau
from mdcoeffs.onsager.spectrum import CurrentSpectrum
from mdcoeffs.statistics.correlate import collective_msd, log_lags

logger = logging.getLogger(__name__)

FEW_ORIGINS = 6
"""Below this number of independent origins, a standard error of a third, the estimate carries a warning."""
EXPONENT_RULE = 0.1
"""Largest |beta - 1| over a decade of lags without a warning, noise apart (Fang 2026, below Eq. 1)."""
NOISE = 3.0
"""Standard deviations of beta that count as noise."""
LENGTHS = 20.0
"""A run should be this many times as long as the slowest relaxation."""
UNFINISHED = 0.3
"""Posterior probability that it is not, above which the estimate carries a warning."""
LOW_FREQUENCIES = 12
"""Amplitudes of each ion and direction, from the lowest frequency on, that must agree with the model's plateau."""
SURPRISE = 2e-3
"""Probability below which their disagreement is a warning."""


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


def doubts_of(
    plateau: Plateau,
    origins: float,
    exponent: LocalExponent,
    fit: SpectrumFit | None,
    longest: float,
    dt: float,
) -> tuple[EstimateWarning, ...]:
    """Everything that a user should know before believing an estimate; also written to the log.

    Parameters
    ----------
    plateau : Plateau
        The posterior.
    origins : float
        Effective number of independent origins.
    exponent : LocalExponent
        Over the window of the estimate.
    fit : SpectrumFit, optional
        The spectrum beside its model; None where the window was given.
    longest : float
        Length of the longest run [s].
    dt : float
        Time between frames [s].

    Returns
    -------
    tuple of EstimateWarning
        None for a sound estimate.
    """
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
