"""Walks of any current spectrum: the test double of estimators that must not be told its form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import fft
from scipy.special import gamma

from cellsim.base import N_A, Array, InputError, k_B
from mdcoeffs.onsager.displacements import CollectiveDisplacements

LONGER = 8
"""How many times longer the periodic process is from which a walk is cut: its ends then do not know each other."""


def walk_of_spectrum(
    spectrum: Callable[[Array], Array],
    *,
    frames: int,
    dt: float,
    seed: int | np.random.SeedSequence | np.random.Generator,
    z: Sequence[float] = (1, -1),
    nu: Sequence[int] = (1, 1),
    n_salt: int = 100,
    c: float = 1000.0,
    T: float = 300.0,
) -> CollectiveDisplacements:
    """Gaussian walk whose increments have a given spectrum, exactly.

    A periodic process is made frequency by frequency, each an independent amplitude of covariance S, and cut.

    Parameters
    ----------
    spectrum : callable
        omega (frequencies,) in radians per step, 0 to pi -> S (frequencies, 2, 2), positive semi-definite, S(0) = Omega
        [mol^2/(J m s)].
    frames : int
        Number of frames.
    dt : float
        Time between frames [s].
    seed : int, SeedSequence or Generator
        Source of randomness.
    z, nu : sequence (2,)
        Charge and stoichiometric numbers.
    n_salt : int
        Number of formula units in the box.
    c : float
        Salt concentration; fixes the volume [mol/m^3].
    T : float
        Temperature [K].

    Returns
    -------
    CollectiveDisplacements
        In the solvent frame.

    Raises
    ------
    InputError
        Fewer than two frames, or a spectrum that is not positive semi-definite.
    """
    if frames < 2 or not dt > 0:
        raise InputError("frames >= 2 and dt > 0 are needed")
    rng = np.random.default_rng(seed)
    period = 2 ** int(np.ceil(np.log2(LONGER * frames)))
    S = np.asarray(spectrum(np.linspace(0, np.pi, period // 2 + 1)), dtype=float)
    values, vectors = np.linalg.eigh(S)
    if np.any(values[:, 0] < -1e-12 * values[:, 1]):
        raise InputError("the spectrum must be positive semi-definite at all frequencies")
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    noise = rng.standard_normal((2, S.shape[0], 2, 3)) / np.sqrt(2)
    amplitudes = noise[0] + 1j * noise[1]
    amplitudes[[0, -1]] = np.sqrt(2) * noise[0][[0, -1]]  # the ends of the half spectrum are real
    steps = fft.irfft(root @ amplitudes * np.sqrt(period), n=period, axis=0)
    first = int(rng.integers(period - frames))
    volume = n_salt / (N_A * c)
    R = np.zeros((frames, 2, 3))
    R[1:] = np.sqrt(2 * k_B * T * volume * N_A**2 * dt) * np.cumsum(steps[first : first + frames - 1], axis=0)
    return CollectiveDisplacements(
        R=R,
        time=dt * np.arange(frames, dtype=np.float64),
        volume=volume,
        temperature=T,
        z=(float(z[0]), float(z[1])),
        counts=(n_salt * int(nu[0]), n_salt * int(nu[1])),
        frame="solvent",
    )


def bounded_motion(omega: Array, time: float) -> Array:
    """Spectrum of the increments of an Ornstein-Uhlenbeck motion of unit variance, relaxing in `time` steps."""
    a = np.exp(-1 / time)
    return np.asarray((2 - 2 * np.cos(omega)) * (1 - a * a) / (1 + a * a - 2 * a * np.cos(omega)))


def stretched_motion(omega: Array, mean_time: float, beta: float) -> Array:
    """The same of a motion that forgets itself as exp(-(t/t0)^beta), of mean time t0 Gamma(1/beta)/beta.

    `omega` must be the whole grid from 0 to pi: the spectrum is that of the periodic process of twice its length.
    """
    period = 2 * (omega.size - 1)
    t = np.minimum(np.arange(period), period - np.arange(period))
    C = np.exp(-((t * gamma(1 / beta) / beta / mean_time) ** beta))
    return np.maximum(fft.rfft(2 * C - np.roll(C, 1) - np.roll(C, -1)).real, 0.0)


def inertia(omega: Array, time: float) -> Array:
    """Factor on the spectrum of a walk whose velocities persist over `time` steps."""
    a = np.exp(-1 / time)
    return np.asarray((1 - a) ** 2 / (1 + a * a - 2 * a * np.cos(omega)))
