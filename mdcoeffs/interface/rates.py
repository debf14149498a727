"""Rates of crossing a free-energy barrier, and how far they can be carried to other temperatures.

A well ``F = k (z - z0)^2`` (no 1/2, so ``k = m omega^2 / 2``) has the frequency ``nu = sqrt(k / (2 pi^2 m))``;
transition-state theory gives the rate at which one particle leaves it over a barrier dF,

    Gamma = transmission * nu * exp(-dF / T).                                                       (Eq. 7, 8)

Two temperatures split the barrier, ``dF = dE - T dS``; with ``gamma = Gamma(T1) / Gamma(T2)``, and a barrier that is
lower by r2 at T2 because the box is shorter there,

    gamma = exp(-dE / T1) / exp(-(dE - r2) / T2),    dE - T1 dS = dF(T1),                           (Eq. 9, 10)
    Gamma(T) = transmission * nu * exp(dS) * exp(-(dE - r) / T).                                    (Eq. 11)

Barriers are energies over k_B [K], entropies are over k_B [1].

References
----------
Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e, Eqs. 5 and 7-12.

Is this interface equilibrated, and how long would it take? An answer in words, from counted transitions.

Asked of a region: that ions crossed its edge at all, both ways about equally often, and often enough for the
coefficient EC to pass one half (lambda crossings in all); of its population, that both halves of the run agree and that
it has forgotten its start. What is missing is turned into a time: the run in which EC is expected to pass one half, at
the temperature of the run and, with a predicted rate, at others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, binomtest, gamma

from cellsim.base import Array, InputError


@dataclass(frozen=True)
class CountEstimate:
    """A number from counts of rare events, with the interval that holds it.

    Parameters
    ----------
    value : float
        The number; its unit is that of the quantity [SI].
    low, high : float
        Ends of the interval [SI].
    level : float
        Probability that the interval holds the truth [1].
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        return {"value": self.value, "interval": [self.low, self.high], "level": self.level}


@dataclass(frozen=True, eq=False)
class Split:
    """A barrier split into energy and entropy, ``dF(T) = dE - reduction - T dS``.

    Parameters
    ----------
    dE : array
        Energy over k_B [K].
    dS : array
        Entropy over k_B [1].
    """

    dE: Array
    dS: Array

    def barrier(self, T: ArrayLike, *, reduction: ArrayLike = 0.0) -> Array:
        """Free-energy barrier over k_B [K] at `T` [K], lowered by `reduction` [K]."""
        return np.asarray(self.dE - np.asarray(reduction) - np.asarray(T) * self.dS)


def well_frequency(k: ArrayLike, m: ArrayLike) -> Array:
    """Frequency of a harmonic well ``F = k (z - z0)^2``; there is no 1/2 in it.

    Parameters
    ----------
    k : array_like
        Curvature; half of the usual force constant [J/m^2].
    m : array_like
        Mass of the particle [kg].

    Returns
    -------
    array
        ``nu = sqrt(k / (2 pi^2 m))`` [1/s].

    Raises
    ------
    InputError
        A curvature or mass that is not positive.

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 8.
    """
    stiffness, mass = _positive("k", k), _positive("m", m)
    nu: Array = np.sqrt(stiffness / (2.0 * np.pi**2 * mass))
    return nu


def tst_rate(frequency: ArrayLike, barrier: ArrayLike, T: ArrayLike, *, transmission: ArrayLike = 1.0) -> Array:
    """Rate at which one particle crosses a barrier.

    Parameters
    ----------
    frequency : array_like
        Frequency of the well it sits in [1/s].
    barrier : array_like
        Free energy of the barrier above the bottom of the well, over k_B [K].
    T : array_like
        Temperature [K].
    transmission : array_like
        Share of the crossings that do not turn back, 0 to 1 [1].

    Returns
    -------
    array
        ``transmission * nu * exp(-dF / T)`` [1/s].

    Raises
    ------
    InputError
        A temperature or frequency that is not positive, a transmission outside 0 to 1.

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 7.
    """
    share = np.asarray(transmission, dtype=float)
    if np.any((share < 0) | (share > 1)):
        raise InputError(f"transmission = {share} must lie between 0 and 1")
    k_jump: Array = share * _positive("frequency", frequency) * np.exp(-np.asarray(barrier) / _positive("T", T))
    return k_jump


def mean_barrier(barriers: ArrayLike, T: float) -> float:
    """The one barrier whose rate is the mean of the rates over several: their Boltzmann average.

    Parameters
    ----------
    barriers : array_like
        Barriers over k_B, such as those of the two faces of a slab [K].
    T : float
        Temperature [K].

    Returns
    -------
    float
        ``-T ln <exp(-dF/T)>`` [K].
    """
    heights = np.asarray(barriers, dtype=float)
    least = float(heights.min())
    return least - T * float(np.log(np.mean(np.exp(-(heights - least) / _positive("T", T)))))


def expected_jumps(rate: ArrayLike, particles: float, time: float) -> Array:
    """Jumps to expect in a run.

    Parameters
    ----------
    rate : array_like
        Of one particle [1/s].
    particles : float
        Mean number of particles that can jump [1].
    time : float
        Length of the run [s].

    Returns
    -------
    array
        ``rate * particles * time`` [1].
    """
    expected: Array = np.asarray(rate, dtype=float) * particles * time
    return expected


def jump_probability(rate: ArrayLike, particles: float, time: float) -> Array:
    """Probability that at least one jump happens in a run: ``1 - exp(-rate * particles * time)`` [1].

    Parameters
    ----------
    rate : array_like
        Of one particle [1/s].
    particles : float
        Mean number of particles that can jump [1].
    time : float
        Length of the run [s].
    """
    probability: Array = -np.expm1(-expected_jumps(rate, particles, time))
    return probability


def jump_rate(jumps: float, exposure: float, *, level: float = 0.95) -> CountEstimate:
    """Rate of one particle from counted jumps, with the interval that counting allows.

    Parameters
    ----------
    jumps : float
        Jumps seen; independent ones, whose number need not be whole.
    exposure : float
        Time during which they could have happened, added up over all particles [s].
    level : float
        Probability of the interval [1].

    Returns
    -------
    CountEstimate
        ``jumps / exposure`` [1/s]; the equal-tailed interval of Jeffreys' prior, from zero on where none was seen.
    """
    if jumps < 0 or not exposure > 0:
        raise InputError(f"a rate needs jumps >= 0 and a time above 0, found {jumps} and {exposure:g} s")
    tail = 0.5 * (1.0 - level)
    low = float(gamma.ppf(tail, jumps + 0.5)) if jumps else 0.0
    high = float(gamma.ppf(1.0 - tail if jumps else level, jumps + 0.5))
    return CountEstimate(jumps / exposure, low / exposure, high / exposure, level)


def rate_in(jumps: float, exposure: float) -> CountEstimate:
    """:func:`jump_rate`, or not a number where nothing could have happened.

    Parameters
    ----------
    jumps : float
        Jumps seen [1].
    exposure : float
        Time during which they could have happened [s].

    Returns
    -------
    CountEstimate
        [1/s].
    """
    return jump_rate(jumps, exposure) if exposure > 0 else CountEstimate(np.nan, np.nan, np.nan)


def rate_ratio(jumps: tuple[int, int], exposures: tuple[float, float], *, level: float = 0.95) -> CountEstimate:
    """gamma, the ratio of two rates, from the jumps counted at either temperature.

    Given their sum, the first count is binomial; Jeffreys' interval of its probability is turned into one of the ratio.

    Parameters
    ----------
    jumps : tuple of int
        Counted at T1 and at T2.
    exposures : tuple of float
        Times they were counted over [s].
    level : float
        Probability of the interval [1].

    Returns
    -------
    CountEstimate
        ``(n1/t1) / (n2/t2)`` [1]; infinite where none was seen at T2.
    """
    first, second = jumps
    if min(jumps) < 0 or not min(exposures) > 0 or first + second == 0:
        raise InputError(f"a ratio of rates needs jumps and times above 0, found {jumps} in {exposures} s")
    scale = exposures[1] / exposures[0]
    tail = 0.5 * (1.0 - level)
    low = float(beta.ppf(tail, first + 0.5, second + 0.5)) if first else 0.0
    high = float(beta.ppf(1.0 - tail, first + 0.5, second + 0.5)) if second else 1.0
    ratio = first / second * scale if second else np.inf
    return CountEstimate(ratio, low / (1 - low) * scale, high / (1 - high) * scale if high < 1 else np.inf, level)


def split_barrier(ratio: ArrayLike, *, temperatures: tuple[float, float], barrier: float, reduction: float) -> Split:
    """Energy and entropy of a barrier from the ratio of the rates at two temperatures.

    Parameters
    ----------
    ratio : array_like
        gamma, rate at the first temperature over rate at the second [1].
    temperatures : tuple of float
        The two temperatures [K].
    barrier : float
        Barrier at the first temperature, over k_B [K].
    reduction : float
        How much lower the energy of the barrier is at the second [K].

    Returns
    -------
    Split
        One entry per ratio.

    References
    ----------
    doi:10.1039/d5cp01988e, Eqs. 9 and 10.
    """
    T1, T2 = (float(_positive("temperatures", T)) for T in temperatures)
    if T1 == T2:
        raise InputError(f"temperatures = {T1:g} K, twice the same: a split needs two temperatures")
    dE = (np.log(_positive("ratio", ratio)) + reduction / T2) / (1.0 / T2 - 1.0 / T1)
    return Split(np.asarray(dE), np.asarray((dE - barrier) / T1))


def rate_at(
    T: ArrayLike, split: Split, frequency: float, *, transmission: float = 1.0, reduction: ArrayLike = 0.0
) -> Array:
    """Rate at another temperature.

    Parameters
    ----------
    T : array_like
        Temperature [K].
    split : Split
        Energy and entropy of the barrier.
    frequency : float
        Frequency of the well [1/s].
    transmission : float
        Share of the crossings that do not turn back [1].
    reduction : array_like
        How much lower the energy of the barrier is at `T` [K].

    Returns
    -------
    array
        [1/s].

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 11.
    """
    return tst_rate(frequency, split.barrier(T, reduction=reduction), T, transmission=transmission)


def equilibration_coefficient(forward: ArrayLike, backward: ArrayLike, *, scale: float = 10.0) -> Array:
    """The coefficient EC: near 1 where many transitions go both ways, 0 where none or all go one way.

    Parameters
    ----------
    forward, backward : array_like
        Transitions counted in either direction [1].
    scale : float
        lambda, the number of transitions that counts as many [1].

    Returns
    -------
    array
        ``2 min(S_AB, S_BA) / (S_AB + S_BA + lambda)``, 0 to 1 [1].

    References
    ----------
    doi:10.1039/d5cp01988e, Eq. 5.
    """
    a, b = np.asarray(forward, dtype=float), np.asarray(backward, dtype=float)
    if np.any(a < 0) or np.any(b < 0) or not scale > 0:
        raise InputError(f"transitions must be >= 0 and lambda > 0, found {a}, {b} and {scale}")
    symmetry: Array = 2.0 * np.minimum(a, b) / (a + b + scale)
    return symmetry


def time_to_coefficient(rate: ArrayLike, particles: float, *, coefficient: float = 0.5, scale: float = 10.0) -> Array:
    """Run in which EC is expected to reach a value, both directions being equally frequent.

    Parameters
    ----------
    rate : array_like
        Of one particle [1/s].
    particles : float
        Mean number of particles that can jump [1].
    coefficient : float
        The value, below 1 [1].
    scale : float
        lambda of the coefficient [1].

    Returns
    -------
    array
        ``lambda EC / (2 (1 - EC)) / (rate * particles)`` [s]; infinite where the rate is zero.
    """
    if not 0 < coefficient < 1:
        raise InputError(f"coefficient = {coefficient} must lie between 0 and 1")
    jumps = scale * coefficient / (2.0 * (1.0 - coefficient))
    flux = np.asarray(rate, dtype=float) * particles
    with np.errstate(divide="ignore"):
        duration: Array = jumps / flux
    return duration


def _positive(name: str, value: ArrayLike) -> Array:
    array = np.asarray(value, dtype=float)
    if not np.all(array > 0):
        raise InputError(f"{name} = {array} must be positive")
    return array


EQUILIBRATED = 0.5
"""EC from which a region is called equilibrated; Kozdra 2025 calls 0.6 well and 0.3 not fully equilibrated."""
ALPHA = 0.01
"""Level at which a difference between the two directions, or between two halves of the run, is believed."""


@dataclass(frozen=True)
class Verdict:
    """What can be said of one region.

    Parameters
    ----------
    state : {"equilibrated", "exchanging", "wandering", "drifting", "one-way", "frozen"}
        exchanging: both ways alike but too rarely; wandering: often enough, but the population is correlated over the
        length of the run; drifting: one way prevails, or the two halves differ; one-way: all crossings in one
        direction; frozen: none.
    coefficient : float
        EC [1].
    entry : CountEstimate
        Rate at which one ion outside enters [1/s].
    needed : float
        Run in which EC is expected to reach one half at this temperature [s]; a lower bound if frozen.
    sentence : str
        The answer in words.
    """

    state: str
    coefficient: float
    entry: CountEstimate
    needed: float
    sentence: str

    @property
    def equilibrated(self) -> bool:
        """Whether averages over this run are those of equilibrium, as far as crossings tell."""
        return self.state == "equilibrated"


def judge(
    name: str,
    entered: int,
    left: int,
    *,
    donors: float,
    time: float,
    scale: float = 10.0,
    drift: float | None = None,
    settled: bool = True,
) -> Verdict:
    """Judge one region.

    Parameters
    ----------
    name : str
        What to call it.
    entered, left : int
        Ions that went in and out [1].
    donors : float
        Mean number of ions that could enter [1].
    time : float
        Length of the run [s].
    scale : float
        lambda of EC [1].
    drift : float, optional
        Probability of a difference between the two halves of the population as large as seen, were there none [1].
    settled : bool
        False where the population is still correlated over the longest blocks of the run.

    Returns
    -------
    Verdict
    """
    total = entered + left
    coefficient = float(equilibration_coefficient(entered, left, scale=scale))
    rate = jump_rate(entered, donors * time)
    if total:
        each_way = time_to_coefficient(0.5 * total / time, 1.0, coefficient=EQUILIBRATED, scale=scale)
    else:
        each_way = time_to_coefficient(rate.high, donors, coefficient=EQUILIBRATED, scale=scale)
    needed = float(each_way)
    run = duration(time)
    counted = f"{name}: {entered} in, {left} out in {run}, EC = {coefficient:.2f}"
    one_way = binomtest(entered, total).pvalue < ALPHA if total else False
    if total == 0:
        state = "frozen"
        text = (
            f"not equilibrated, no ion crossed: the rate of one ion is below {rate.high:.2g} /s (95 %), and to see "
            f"{scale / 2:g} crossings each way takes more than {duration(needed)}"
        )
    elif coefficient == 0.0:
        state = "one-way"
        text = (
            f"not equilibrated, all crossings go one way: the population is still "
            f"{'growing' if entered else 'shrinking'}, and about {duration(needed)} would be needed at this rate"
        )
    elif one_way:
        state = "drifting"
        text = f"not equilibrated, {'entering' if entered > left else 'leaving'} prevails: the population still changes"
    elif drift is not None and drift < ALPHA:
        state = "drifting"
        text = "not equilibrated, the population of the first half of the run differs from that of the second"
    elif coefficient < EQUILIBRATED:
        state = "exchanging"
        text = (
            f"not shown to be equilibrated: ions go both ways, but too few; {duration(needed)} would be needed "
            f"at this rate"
        )
    elif not settled:
        state = "wandering"
        text = (
            "not shown to be equilibrated: ions cross often enough, but the population is correlated over the length "
            "of the run, so its mean is not yet known"
        )
    else:
        state = "equilibrated"
        text = "equilibrated, as far as crossings tell: many go both ways, as many in as out"
    return Verdict(state, coefficient, rate, needed, f"{counted}: {text}")


def duration(time: float) -> str:
    """``"3.8e-07 s"`` as ``"380 ns"``, with three digits."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps")):
        if time >= factor * 0.9995 or unit == "ps":
            return f"{time / factor:.3g} {unit}" if time < 1e5 else f"{time:.2g} s"
    raise AssertionError("unreachable")
