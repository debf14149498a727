"""Self-diffusion coefficients as the plateau of single particles' spectra, by the estimator of the collective ones.

The increments of every particle are expanded in the sines of :mod:`.plateau`; the mean of their squared amplitudes is
the spectrum of one particle, whose limit at low frequency is 2 D dt. The particles of a species are many and not quite
independent, nor are their amplitudes quite Gaussian, so that a mean over N of them knows less than 3 N amplitudes do:
how much less is read from their scatter, frequency by frequency, and from how far the collective motion is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from cellsim.base import Array, InputError, k_B
from mdcoeffs.onsager.displacements import SelfMSD
from mdcoeffs.onsager.plateau import Beliefs, relaxing_plateau
from mdcoeffs.onsager.spectrum import CurrentSpectrum, assembled

CUBIC = 2.837297
"""Of the periodic images of a particle in a cubic box (Yeh & Hummer 2004) [1]."""
CACHE = 4e6
"""Bytes of paths transformed at a time."""


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


@dataclass(frozen=True, eq=False)
class SelfPower:
    """Squared sine amplitudes of the increments of single particles, added up; add blocks of particles with ``+``.

    Parameters
    ----------
    power : array (steps,)
        Sum over particles and directions [m^2].
    squares : array (steps,)
        Sum over particles of the square of what each adds to `power` [m^4].
    particles : int
        Number of particles.
    """

    power: Array
    squares: Array
    particles: int

    @classmethod
    def zero(cls, frames: int) -> SelfPower:
        """The empty sum for a trajectory of `frames` frames."""
        return cls(np.zeros(frames - 1), np.zeros(frames - 1), 0)

    def __add__(self, other: SelfPower) -> SelfPower:
        return SelfPower(self.power + other.power, self.squares + other.squares, self.particles + other.particles)


def self_power(paths: ArrayLike) -> SelfPower:
    """Squared sine amplitudes of one block of particles.

    Parameters
    ----------
    paths : array (particles, frames, 3)
        Unwrapped positions [m].

    Returns
    -------
    SelfPower
    """
    X = np.asarray(paths)
    few = max(1, int(CACHE // (24 * X.shape[1])))
    total = SelfPower.zero(X.shape[1])
    for start in range(0, X.shape[0], few):
        steps = np.diff(X[start : start + few], axis=1)
        each = np.sum(fft.dst(steps, type=1, axis=1, norm="ortho", overwrite_x=True) ** 2, axis=2)
        total += SelfPower(each.sum(axis=0), np.einsum("pk,pk->k", each, each), each.shape[0])
    return total


def self_spectrum(replicas: Sequence[SelfPower], dt: float, *, together: float = 0.0) -> CurrentSpectrum:
    """Spectrum of one particle, whose plateau is D.

    Parameters
    ----------
    replicas : sequence of SelfPower
        Of one species.
    dt : float
        Time between frames [s].
    together : float
        Collective over self part of the mobility, less one: N - 1 times the correlation of two particles [1].

    Returns
    -------
    CurrentSpectrum
        S(0) = D [m^2/s], a matrix of one element.
    """
    parts = []
    for run in replicas:
        N, steps = run.particles, run.power.size
        mean = run.power / N
        # of a Gaussian amplitude in three directions the variance is 2/3 of the mean's square
        scatter = run.squares / N - mean**2 if N > 1 else 2 / 3 * mean**2
        width = max(1, 30 // N)
        kernel = np.ones(2 * width + 1) / (2 * width + 1)
        smooth = np.convolve(np.pad(scatter / mean**2, width, mode="edge"), kernel, mode="valid")
        # N particles of pairwise correlation r are worth N/(1 + (N - 1) r^2), and r = together/(N - 1)
        excess = np.maximum(smooth * 1.5, 1.0) + together**2 / max(N - 1, 1)
        k = np.arange(1, steps + 1)
        s = 2.0 * np.sin(np.pi * k / (2 * (steps + 1)))
        known = N / excess  # particles' worth of amplitudes
        parts.append((s, (mean / (2 * dt) * known)[:, None, None], 3.0 * known))
    return assembled(parts, dt=dt, steps=tuple(run.power.size for run in replicas))


def self_plateau(
    species: Sequence[Sequence[SelfPower]],
    dt: float,
    *,
    together: Sequence[float],
    beliefs: Beliefs | None = None,
    n_samples: int = 4000,
    seed: int = 0,
) -> Array:
    """Posterior samples of the self-diffusion coefficients of several species.

    Parameters
    ----------
    species : sequence of sequence of SelfPower
        For each species its replicas.
    dt : float
        Time between frames [s].
    together : sequence of float
        For each species, as for :func:`self_spectrum`.
    beliefs, n_samples, seed
        As for :func:`mdcoeffs.onsager.estimate.estimate_onsager`.

    Returns
    -------
    array (S, species)
        Samples; those of different species are independent [m^2/s].

    Raises
    ------
    InputError
        Particles that do not move.
    """
    columns = []
    for number, (replicas, shared) in enumerate(zip(species, together, strict=True)):
        if not all(run.power.sum() > 0 for run in replicas):
            raise InputError("a species does not move at all; check the selection and the trajectory")
        spectrum = self_spectrum(replicas, dt, together=shared)
        plateau = relaxing_plateau(spectrum, n_samples, np.random.default_rng([seed, number]), beliefs=beliefs)
        columns.append(plateau.samples[:, 0, 0])
    return np.column_stack(columns)


def moving_together(collective: Sequence[Array], own: Sequence[SelfPower]) -> float:
    """Collective over self part of the mobility of a species, less one, from the slowest tenth of the amplitudes.

    Parameters
    ----------
    collective : sequence of array (frames, 3)
        Summed displacement of the species in each replica [m].
    own : sequence of SelfPower
        Of the same replicas.

    Returns
    -------
    float
    """
    whole = parts = 0.0
    for R, run in zip(collective, own, strict=True):
        slow = slice(0, max(20, run.power.size // 10))
        whole += float(self_power(R[None]).power[slow].sum())
        parts += float(run.power[slow].sum())
    return whole / parts - 1


@dataclass(frozen=True)
class Viscosity:
    """Shear viscosity of the liquid simulated.

    Parameters
    ----------
    value : float
        [Pa s]
    relative_error : float
        Standard error over the value [1].
    """

    value: float
    relative_error: float = 0.0


def without_images(
    own: SelfDiffusion, viscosity: Viscosity, *, T: float, volume: float, seed: int = 0
) -> SelfDiffusion:
    """Self-diffusion in an unbounded liquid: D + 2.837297 k_B T/(6 pi eta L), of a cubic box of the volume L^3.

    A particle drags the liquid, and with it, in a periodic box, its own images. The correction is that of a particle
    small against the box; that of collective coefficients is another one, and is not made.

    Parameters
    ----------
    own : SelfDiffusion
        In the box.
    viscosity : Viscosity
        Of the liquid; it depends on the box hardly at all.
    T : float
        Temperature [K].
    volume : float
        Of the box [m^3].
    seed : int
        Of the draws of the viscosity.

    Returns
    -------
    SelfDiffusion
        With the error of the viscosity, which all species share.

    References
    ----------
    Yeh & Hummer 2004, doi:10.1021/jp0477147, Eq. 12.
    """
    added = CUBIC * k_B * T / (6 * np.pi * viscosity.value * volume ** (1 / 3))
    error = np.hypot(own.standard_error, added * viscosity.relative_error)
    samples = own.samples
    if samples is not None:
        # the viscosity is a positive number known to so many per cent: lognormal
        drawn = np.exp(-viscosity.relative_error * np.random.default_rng([seed, 12]).standard_normal(len(samples)))
        samples = samples + added * drawn[:, None]
    return replace(own, D=own.D + added, standard_error=np.asarray(error), samples=samples)
