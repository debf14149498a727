"""One barrier at several temperatures: energy and entropy from the crossings counted in all of them.

One ion enters a region at the rate

    Gamma(T) = transmission nu exp(dS) exp(-(dE - r(T)) / T),    dF(T) = dE - r(T) - T dS,

where r(T) is how much lower the barrier is because the box is shorter (the slope of F times the shift of the well).
Counted entries n_i in the exposures X_i (time of all ions that could enter) are Poisson numbers. Given their sum they
are multinomial with the probabilities

    p_i ~ X_i exp(-(dE - r_i) / T_i),

so that dE follows from the counts alone, transmission and nu dropping out; a temperature at which no ion crossed
counts too. With Jeffreys' prior, sqrt(N Var_p(1/T)), the posterior of dE at two temperatures is the beta distribution
of `mdcoeffs.interface.rates.rate_ratio`. dS is what dE leaves of the mean barrier, dS = (dE - r - dF) / T: the slope of
dF over T is not used, since the density on a top and the crossings of it come from the same few passages and their
errors are not independent. It is an answer of its own, and stands beside (`straight`).

References
----------
Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e, Eqs. 7-12, for
several temperatures at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, stdtrit

from cellsim.base import Array, InputError
from mdcoeffs.interface.rates import CountEstimate

DRAWS = 8000
"""Draws of the posterior [1]."""
_SHIFTS = 50
"""Draws of the reductions, each with a posterior of dE of its own [1]."""
_GRID = 1501
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class State:
    """What one temperature says about a barrier.

    Parameters
    ----------
    T : float
        Temperature [K].
    entered : int
        Ions that were counted entering [1].
    exposure : float
        Time during which they could, added up over the ions [s].
    barrier, barrier_error : float
        Barrier over k_B and its standard error [K]; NaN where it is not known, as in a run without crossings.
    blocks : float
        Blocks the error was taken from [1].
    reduction, reduction_error : float
        How much lower the barrier is for the other box, over k_B, with its standard error [K].
    """

    T: float
    entered: int
    exposure: float
    barrier: float = np.nan
    barrier_error: float = np.nan
    blocks: float = np.inf
    reduction: float = 0.0
    reduction_error: float = 0.0

    @property
    def has_barrier(self) -> bool:
        """Whether its barrier counts."""
        return bool(np.isfinite(self.barrier) and self.barrier_error > 0 and np.isfinite(self.barrier_error))


@dataclass(frozen=True, eq=False)
class Joint:
    """Energy and entropy of a barrier, with draws of their posterior.

    Parameters
    ----------
    states : tuple of State
        What they come from, by temperature.
    energy : array (draws,)
        dE over k_B [K].
    entropy : array (draws,), optional
        dS over k_B [1]; None where no barrier is known.
    prefactor : array (draws,)
        ln(transmission nu exp(dS)), of the rate in 1/s.
    reductions : array (draws, states)
        [K].
    p_counts : float
        Probability of counts that fit no better, were there one dE and one prefactor (posterior predictive) [1].
    straight : tuple of CountEstimate, optional
        dE [K] and dS [1] from a straight line through the barriers over T alone, from two of them on.
    """

    states: tuple[State, ...]
    energy: Array
    entropy: Array | None
    prefactor: Array
    reductions: Array
    p_counts: float
    straight: tuple[CountEstimate, CountEstimate] | None

    @property
    def bounded(self) -> tuple[bool, bool]:
        """Whether counts bound dE from below and above: entries at one end alone let it lie anywhere beyond."""
        at = [state.T for state in self.states if state.exposure > 0]
        seen = [state.T for state in self.states if state.entered]
        return max(seen) > min(at), min(seen) < max(at)

    @property
    def dE(self) -> CountEstimate:
        """Energy over k_B [K]: median and 95 %; an end that the counts leave open is infinite."""
        return self._open(_estimate(self.energy))

    @property
    def dS(self) -> CountEstimate | None:
        """Entropy over k_B [1]."""
        return None if self.entropy is None else self._open(_estimate(self.entropy))

    def _open(self, found: CountEstimate) -> CountEstimate:
        below, above = self.bounded
        return replace(found, low=found.low if below else -np.inf, high=found.high if above else np.inf)

    def reduction(self, T: ArrayLike) -> Array:
        """Reduction at any temperature, from a straight line through those of the states, (draws, ...) [K]."""
        T, at = np.asarray(T, dtype=float), np.array([state.T for state in self.states])
        moved = at - at.mean()
        slope = self.reductions @ moved / (moved @ moved)
        middle = self.reductions.mean(axis=1)
        return np.asarray(middle.reshape(-1, *[1] * T.ndim) + np.multiply.outer(slope, T - at.mean()))

    def rate(self, T: ArrayLike, *, level: float = LEVEL) -> tuple[Array, Array, Array]:
        """Rate at which one ion enters.

        Parameters
        ----------
        T : array_like
            Temperatures [K].
        level : float
            Probability of the interval [1].

        Returns
        -------
        middle, low, high : array
            Median and equal-tailed ends [1/s].

        References
        ----------
        doi:10.1039/d5cp01988e, Eq. 11.
        """
        T = np.asarray(T, dtype=float)
        shape = (-1, *[1] * T.ndim)
        log = self.prefactor.reshape(shape) - (self.energy.reshape(shape) - self.reduction(T)) / T
        return _ends(np.exp(log), level)

    def barrier(self, T: ArrayLike, *, level: float = LEVEL) -> tuple[Array, Array, Array] | None:
        """Barrier over k_B: median and ends [K]; None where none is known."""
        if self.entropy is None:
            return None
        T = np.asarray(T, dtype=float)
        shape = (-1, *[1] * T.ndim)
        dF = self.energy.reshape(shape) - self.reduction(T) - T * self.entropy.reshape(shape)
        return _ends(dF, level)

    def transmission(self, frequency: float, *, level: float = LEVEL) -> CountEstimate | None:
        """Share of the crossings that do not turn back, from the frequency of the well [1/s]."""
        if self.entropy is None or not frequency > 0:
            return None
        return _estimate(np.exp(self.prefactor - self.entropy) / frequency, level)

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        return {
            "dE_K": self.dE.numbers(),
            "dS": None if self.dS is None else self.dS.numbers(),
            "p_counts": self.p_counts,
            "barriers_alone": None
            if self.straight is None
            else {"dE_K": self.straight[0].numbers(), "dS": self.straight[1].numbers()},
        }


def joint_barrier(states: Sequence[State], *, seed: int = 0) -> Joint:
    """Energy and entropy of a barrier from several temperatures.

    Parameters
    ----------
    states : sequence of State
        Two temperatures at least, with one entry at least in all of them together.
    seed : int
        Of the draws.

    Returns
    -------
    Joint

    Raises
    ------
    InputError
        One temperature only, no entry at all, or no time in which one could have happened.
    """
    states = tuple(sorted(states, key=lambda state: state.T))
    T = np.array([state.T for state in states])
    n, X = np.array([state.entered for state in states]), np.array([state.exposure for state in states])
    if np.unique(T[X > 0]).size < 2:
        raise InputError("energy and entropy of a barrier need two temperatures at least at which ions could enter")
    if n.sum() == 0:
        raise InputError("no ion entered at any temperature, so the energy of the barrier is not known; run longer")
    rng = np.random.default_rng(seed)
    spread = np.array([state.reduction_error for state in states])
    shifts = np.array([state.reduction for state in states]) + spread * rng.standard_normal((_SHIFTS, T.size))
    if not spread.any():
        shifts = shifts[:1]
    each = -(-DRAWS // len(shifts))
    energy = np.concatenate([_energies(n, X, T, r, rng.random(each)) for r in shifts])
    reductions = np.repeat(shifts, each, axis=0)
    weight = logsumexp(_terms(X, T, reductions, energy), axis=1)
    prefactor = np.log(rng.gamma(n.sum() + 0.5, size=energy.size)) - weight
    entropy = _entropies(states, energy, reductions, rng)
    p = _misfit(n, _terms(X, T, reductions, energy), rng)
    return Joint(states, energy, entropy, prefactor, reductions, p, _straight_line(states))


def _terms(X: Array, T: Array, r: Array, dE: Array) -> Array:
    """ln(X_i exp(-(dE - r_i)/T_i)), (..., states)."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(X) - (dE[..., None] - r) / T)


def _energies(n: Array, X: Array, T: Array, r: Array, u: Array) -> Array:
    """Quantiles `u` of the posterior of dE under Jeffreys' prior, on a grid that is laid around its mode."""
    x, total = 1.0 / T, float(n.sum())

    def log_posterior(dE: Array) -> Array:
        terms = _terms(X, T, r, dE)
        p = np.exp(terms - logsumexp(terms, axis=-1, keepdims=True))
        mean = p @ x
        variance = (p * (x - mean[..., None]) ** 2).sum(axis=-1)
        kept = n > 0
        likelihood = terms[..., kept] @ n[kept] - total * logsumexp(terms, axis=-1)
        return np.asarray(likelihood + 0.5 * np.log(np.maximum(variance, 1e-300)))

    scale = 1.0 / (x.max() - x.min())
    # With counts at one end only the posterior falls as exp(-dE/(2 scale)): 60 scales hold all but 1e-13 of it.
    grid = scale * np.linspace(-60.0, 60.0, 4001) + float(np.median(T))
    for _ in range(2):
        values = log_posterior(grid)
        seen = grid[values > values.max() - 30.0]
        step = grid[1] - grid[0]
        grid = np.linspace(seen[0] - step, seen[-1] + step, _GRID)
    density = np.exp(log_posterior(grid) - log_posterior(grid).max())
    total_mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(u, total_mass / total_mass[-1], grid)


def _entropies(states: Sequence[State], energy: Array, reductions: Array, rng: np.random.Generator) -> Array | None:
    """dS of each draw: what dE leaves of the weighted mean of the barriers."""
    known = np.array([state.has_barrier for state in states])
    if not known.any():
        return None
    used = [state for state in states if state.has_barrier]
    w = np.array([1.0 / state.barrier_error**2 for state in used])
    share = w / w.sum()
    freedom = np.array([max(state.blocks - 1.0, 1.0) for state in used])
    # Welch and Satterthwaite: degrees of freedom of a sum of means with errors of their own
    of_mean = 1.0 / max(float((share**2 / freedom).sum()), 1e-9)
    dF = share @ [state.barrier for state in used]
    drawn = dF + rng.standard_t(of_mean, energy.size) / np.sqrt(w.sum())
    T = share @ [state.T for state in used]
    return np.asarray((energy - reductions[:, known] @ share - drawn) / T)


def _misfit(n: Array, terms: Array, rng: np.random.Generator) -> float:
    """Share of the draws whose own counts lie farther from their expectation than those that were found."""
    p = np.exp(terms - logsumexp(terms, axis=1, keepdims=True))

    def deviance(counts: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(counts > 0, counts * np.log(counts / (counts.sum(axis=-1, keepdims=True) * p)), 0.0)
        return np.asarray(2.0 * parts.sum(axis=-1))

    made = rng.multinomial(int(n.sum()), p).astype(float)
    return float(np.mean(deviance(made) >= deviance(np.broadcast_to(n, made.shape)) * (1 - 1e-12)))


def _straight_line(states: Sequence[State]) -> tuple[CountEstimate, CountEstimate] | None:
    """dE and dS from dF + r over T by weighted least squares; Student's t of the fewest blocks."""
    used = [state for state in states if state.has_barrier]
    T = np.array([state.T for state in used])
    if np.unique(T).size < 2:
        return None
    y = np.array([state.barrier + state.reduction for state in used])
    w = 1.0 / np.array([state.barrier_error**2 + state.reduction_error**2 for state in used])
    design = np.stack([np.ones_like(T), -T], axis=1)
    C = np.linalg.inv(design.T @ (w[:, None] * design))
    best = C @ design.T @ (w * y)
    half = np.sqrt(np.diag(C)) * stdtrit(max(min(state.blocks for state in used) - 1.0, 1.0), 0.5 + LEVEL / 2)
    dE, dS = (CountEstimate(float(v), float(v - d), float(v + d), LEVEL) for v, d in zip(best, half, strict=True))
    return dE, dS


def _ends(draws: Array, level: float) -> tuple[Array, Array, Array]:
    low, middle, high = np.quantile(draws, [0.5 - level / 2, 0.5, 0.5 + level / 2], axis=0)
    return middle, low, high


def _estimate(draws: Array, level: float = LEVEL) -> CountEstimate:
    middle, low, high = (float(v) for v in _ends(draws, level))
    return CountEstimate(middle, low, high, level)
