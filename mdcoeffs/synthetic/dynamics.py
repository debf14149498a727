"""Made-up motions: walkers of known exponent, series of known covariance, rotors of known diffusion, librations, traps.

References
----------
Davies & Harte, Biometrika 74, 95 (1987), doi:10.1093/biomet/74.1.95 (exact fractional noise by a circulant matrix).
"""

from __future__ import annotations

import numba
import numpy as np
from scipy.signal import lfilter

from cellsim.base import Array, InputError


def fractional_walk(alpha: float, *, particles: int, frames: int, rng: np.random.Generator) -> Array:
    """Walkers with <dr^2(t)> proportional to t^alpha at every lag (fractional Brownian motion, exact).

    Parameters
    ----------
    alpha : float
        Exponent, above 0 and below 2; 1 is Brownian motion.
    particles, frames : int
        How many of each.
    rng : Generator
        Source of randomness.

    Returns
    -------
    array (particles, frames, 3)
        Each direction has <dx^2> = t^alpha, t in frames.

    Raises
    ------
    InputError
        An exponent outside (0, 2).
    """
    if not 0 < alpha < 2:
        raise InputError(f"alpha = {alpha:g} must lie between 0 and 2")
    n = frames - 1
    k = np.arange(n + 1, dtype=np.float64)
    rho = 0.5 * ((k + 1) ** alpha - 2 * k**alpha + np.abs(k - 1) ** alpha)
    steps = stationary(rho, (particles, 3), rng)
    path = np.concatenate([np.zeros((particles, 3, 1)), np.cumsum(steps, axis=-1)], axis=-1)
    return np.ascontiguousarray(np.moveaxis(path, 1, 2))


def stationary(covariance: Array, series: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Gaussian series of a known autocovariance, exact where its circulant matrix has no negative eigenvalue.

    It has none where the covariance falls and is convex, such as that of any sum of relaxations; others are cut.

    Parameters
    ----------
    covariance : array (steps + 1,)
        At lags of 0, 1, ... steps.
    series : tuple of int
        Shape of the set of independent series.
    rng : Generator
        Source of randomness.

    Returns
    -------
    array (*series, steps)

    References
    ----------
    doi:10.1093/biomet/74.1.95.
    """
    row = np.concatenate([covariance, covariance[-2:0:-1]])
    power = np.maximum(np.fft.rfft(row).real, 0.0)
    noise = np.fft.rfft(rng.standard_normal((*series, row.size)), axis=-1)
    made: Array = np.fft.irfft(np.sqrt(power) * noise, row.size, axis=-1)[..., : covariance.size - 1]
    return made


def langevin_walk(
    D: float, time: float, dt: float, *, particles: int, frames: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Walkers with inertia: velocities forget themselves in one exponential, and positions are their integral, exactly.

    Parameters
    ----------
    D : float
        Diffusion coefficient [m^2/s].
    time : float
        Over which velocities persist [s].
    dt : float
        Between frames [s].
    particles, frames : int
        How many of each.
    rng : Generator
        Source of randomness.

    Returns
    -------
    positions : array (particles, frames, 3)
        The first at 0 [m].
    velocities : array (particles, frames, 3)
        Of variance D/time in each direction [m/s].

    References
    ----------
    Gillespie 1996, doi:10.1103/PhysRevE.54.2084, Eqs. 2.12: velocity and position in one step.
    """
    a, x = np.exp(-dt / time), dt / time
    both = (
        D
        / time
        * np.array([[1 - a * a, time * (1 - a) ** 2], [time * (1 - a) ** 2, time**2 * (2 * x - 3 + 4 * a - a * a)]])
    )
    noise = rng.standard_normal((particles, frames, 3, 2)) @ np.linalg.cholesky(both).T
    noise[:, 0, :, 0] = np.sqrt(D / time) * rng.standard_normal((particles, 3))
    velocities: Array = lfilter([1.0], [1.0, -a], noise[..., 0], axis=1)
    positions = np.zeros_like(velocities)
    positions[:, 1:] = np.cumsum(time * (1 - a) * velocities[:, :-1] + noise[:, 1:, :, 1], axis=1)
    return positions, velocities


def trapped_walk(time: float, *, particles: int, frames: int, rng: np.random.Generator) -> Array:
    """Walkers in a harmonic trap (stationary Ornstein-Uhlenbeck): alpha = 0 at lags far beyond `time`.

    Parameters
    ----------
    time : float
        Relaxation time in frames.
    particles, frames : int
        How many of each.
    rng : Generator
        Source of randomness.

    Returns
    -------
    array (particles, frames, 3)
        Each direction of variance 1.
    """
    rho = float(np.exp(-1.0 / time))
    kicks = np.sqrt(1 - rho**2) * rng.standard_normal((particles, frames, 3))
    kicks[:, 0] = rng.standard_normal((particles, 3))
    return np.asarray(lfilter([1.0], [1.0, -rho], kicks, axis=1))


def rotors(D: float, *, particles: int, frames: int, rng: np.random.Generator, fine: int = 8) -> Array:
    """Axes in free rotational diffusion.

    Parameters
    ----------
    D : float
        Rotational diffusion coefficient, rad^2 per frame: C_1 = exp(-2 D t), C_2 = exp(-6 D t).
    particles, frames : int
        How many of each.
    rng : Generator
        Source of randomness.
    fine : int
        Steps per frame; the walk on the sphere is exact as they become many.

    Returns
    -------
    array (particles, frames, 3)
        Unit vectors.
    """
    u = rng.standard_normal((particles, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    path = np.empty((particles, frames, 3))
    for first in range(0, frames, 256):
        part = path[:, first : first + 256]
        _diffuse(u, np.sqrt(2 * D / fine) * rng.standard_normal((particles, part.shape[1] * fine, 3)), part)
    return path


@numba.njit(cache=True)
def _diffuse(u, turns, path):  # type: ignore[no-untyped-def]
    """Fill `path` (rotors, frames, 3), each frame before its steps; `u` is left where the last step ends."""
    fine = turns.shape[1] // path.shape[1]
    for p in range(path.shape[0]):
        x = u[p].copy()
        for t in range(path.shape[1]):
            path[p, t] = x
            for k in range(fine):
                turn = turns[p, t * fine + k]
                turn = turn - np.dot(turn, x) * x
                angle = np.sqrt(np.dot(turn, turn))
                if angle > 0.0:
                    x = np.cos(angle) * x + np.sin(angle) / angle * turn
            x /= np.sqrt(np.dot(x, x))
        u[p] = x


def librators(width: float, time: float, *, particles: int, frames: int, rng: np.random.Generator) -> Array:
    """Axes that rattle about a fixed direction and never turn.

    Parameters
    ----------
    width : float
        Standard deviation of each of the two tilts [rad].
    time : float
        Relaxation time in frames.
    particles, frames : int
        How many of each.
    rng : Generator
        Source of randomness.

    Returns
    -------
    array (particles, frames, 3)
        Unit vectors.
    """
    tilt = width * trapped_walk(time, particles=particles, frames=frames, rng=rng)
    u = np.concatenate([tilt[..., :2], np.ones((particles, frames, 1))], axis=-1)
    frame = np.linalg.qr(rng.standard_normal((particles, 3, 3)))[0]
    u = np.einsum("pxy,pty->ptx", frame, u)
    return np.asarray(u / np.linalg.norm(u, axis=-1, keepdims=True))
