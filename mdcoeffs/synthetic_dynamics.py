"""Walkers of known exponent, rotors of known diffusion, jumps that do or do not turn a cage: test doubles.

References
----------
Davies & Harte, Biometrika 74, 95 (1987), doi:10.1093/biomet/74.1.95 (exact fractional noise by a circulant matrix).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from cellsim.errors import InputError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


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
    row = np.concatenate([rho, rho[-2:0:-1]])
    power = np.maximum(np.fft.rfft(row).real, 0.0)
    noise = np.fft.rfft(rng.standard_normal((particles, 3, row.size)), axis=-1)
    steps = np.fft.irfft(np.sqrt(power) * noise, row.size, axis=-1)[..., :n]
    path = np.concatenate([np.zeros((particles, 3, 1)), np.cumsum(steps, axis=-1)], axis=-1)
    return np.ascontiguousarray(np.moveaxis(path, 1, 2))


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


@dataclass(frozen=True, eq=False)
class Paddlewheel:
    """Cations that hop between the sites of a row, each site with a rotor beside it.

    Parameters
    ----------
    cations : array (cations, frames, 3)
        Unwrapped positions; hops are 1 long.
    centres : array (rotors, frames, 3)
        Positions of the rotors.
    axes : array (rotors, frames, 3)
        Their axes.
    edge : float
        Edge of the box.
    """

    cations: Array
    centres: Array
    axes: Array
    edge: float


def paddlewheel(
    *, cations: int, frames: int, rng: np.random.Generator, delay: int | None, rate: float = 0.004,
    own: float = 0.004, noise: float = 0.05,
) -> Paddlewheel:  # fmt: skip
    """A system in which jumps turn the nearest rotor after a delay, or in which they do not.

    Parameters
    ----------
    cations : int
        Number of cations, each on a row of its own with rotors beside it.
    frames : int
        Frames.
    rng : Generator
        Source of randomness.
    delay : int, optional
        Frames from a jump to the reorientation of the nearest rotor; negative: the rotor turns first. None: jumps
        and rotors know nothing of one another.
    rate : float
        Jumps of a cation per frame.
    own : float
        Reorientations of a rotor per frame that no jump causes.
    noise : float
        Rattling of positions (in jump lengths) and of axes [rad].

    Returns
    -------
    Paddlewheel
    """
    sites = 6
    edge = 4.0 * cations + 4.0
    jumps = rng.random((cations, frames)) < rate
    steps = np.where(jumps, rng.choice([-1.0, 1.0], size=jumps.shape), 0.0)
    along = rng.integers(0, sites, size=(cations, 1)) + np.cumsum(steps, axis=1)
    before = along - steps
    row = 4.0 * np.arange(cations)
    path = np.zeros((cations, frames, 3))
    path[..., 0] = along
    path[..., 1] = row[:, None]
    centres = np.zeros((cations, sites, 3))
    centres[..., 0] = np.arange(sites) * edge / sites  # far apart: one rotor per cation is near at a time
    centres[..., 1] = row[:, None] + 0.5
    path[..., 0] *= edge / sites
    turns = rng.random((cations, sites, frames)) < own
    if delay is not None:
        c, t = np.nonzero(jumps)
        site = np.round(before[c, t]).astype(int) % sites
        inside = (t + delay >= 0) & (t + delay < frames)
        turns[c[inside], site[inside], t[inside] + delay] = True
    u = rng.standard_normal((cations, sites, 3))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    axes = np.empty((cations, sites, frames, 3))
    for k in range(frames):
        here = turns[..., k]
        fresh = rng.standard_normal((int(here.sum()), 3))
        u[here] = fresh / np.linalg.norm(fresh, axis=-1, keepdims=True)
        axes[:, :, k] = u
    axes = axes.reshape(cations * sites, frames, 3) + noise * rng.standard_normal((cations * sites, frames, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    scale = sites / edge  # hops of length 1
    path = (path + noise * edge / sites * rng.standard_normal(path.shape)) * scale
    still = np.repeat(centres.reshape(-1, 1, 3), frames, axis=1) * scale
    return Paddlewheel(path, still, axes, edge * scale)
