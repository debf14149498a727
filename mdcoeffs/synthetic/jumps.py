"""Made-up jumps: cations that turn a cage or open a window as they pass or not, that jump together, that vibrate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from cellsim.base import Array, InputError, Ints


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
    *,
    cations: int,
    frames: int,
    rng: np.random.Generator,
    delay: int | None,
    rate: float = 0.004,
    own: float = 0.004,
    noise: float = 0.05,
) -> Paddlewheel:
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


def oscillators(
    *, particles: int, frames: int, frequency: float, damping: float, rng: np.random.Generator, dimensions: int = 3
) -> Array:
    """Damped harmonic oscillators in a bath, sampled exactly: x'' = -w^2 x - g x' + noise, w = 2 pi f, <x^2> = 1.

    The one-sided spectrum of the velocity along one axis is 4 g w^2 W^2/((w^2 - W^2)^2 + g^2 W^2) at the angular
    frequency W, largest at W = w whatever the damping.

    Parameters
    ----------
    particles, frames : int
        How many of each.
    frequency : float
        f, per frame.
    damping : float
        g, per frame.
    rng : Generator
        Source of randomness.
    dimensions : int
        Independent axes.

    Returns
    -------
    array (particles, frames, dimensions)
        Positions.
    """
    w = 2 * np.pi * frequency
    step = expm(np.array([[0.0, 1.0], [-(w**2), -damping]]))
    stationary = np.diag([1.0, w**2])
    root = np.linalg.cholesky(stationary - step @ stationary @ step.T + 1e-15 * stationary)
    path = np.empty((frames, 2, particles, dimensions))
    path[0] = np.sqrt(np.diag(stationary))[:, None, None] * rng.standard_normal(path.shape[1:])
    for k in range(1, frames):
        path[k] = np.tensordot(step, path[k - 1], 1) + np.tensordot(root, rng.standard_normal(path.shape[1:]), 1)
    return np.ascontiguousarray(path[:, 0].transpose(1, 0, 2))


RISE = 6
"""Frames in which a window opens, and closes."""


@dataclass(frozen=True, eq=False)
class Gates:
    """A made-up run of cations that jump through triangles.

    Parameters
    ----------
    cations : array (cations, frames, 3)
        Positions; a jump has the length 1, neighbours are 3 apart along y.
    corners : array (3 cations, frames, 3)
        Positions of the corners, three of each cation's window.
    area : float
        Area of a window that is closed.
    opening : float
        Mean relative opening of the area while a cation passes [1].
    open : float
        Part of the time that a window is open, counted by how far [1].
    rate : float
        Jumps of a cation per frame.
    joint : float
        Jumps of both cations of a pair, per frame and pair.
    """

    cations: Array
    corners: Array
    area: float
    opening: float
    open: float
    rate: float
    joint: float

    def ratio(self, window: int) -> float:
        """Coincidences within a window of so many frames over those of independent cations, on a ring of pairs.

        Of a cation's two neighbours one is its partner, whose jumps are its own or farther away than any window.
        """
        return 0.5 + 0.5 * self.joint / (self.rate**2 * (2 * window + 1))


def gates(
    *,
    cations: int,
    frames: int,
    rng: np.random.Generator,
    opening: float = 0.25,
    together: float = 0.3,
    apart: int = 60,
    width: int = 3,
    noise: float = 0.03,
    frequency: float = 0.15,
) -> Gates:
    """Cations that jump to and fro between two sites, each through a window of three corners that opens as it passes.

    Cations 0 and 1, 2 and 3, ... are partners: some of the jumps of a pair are jumps of both, at the same
    frame, the others of one of the two. How far a window opens differs from jump to jump: its relative opening is
    uniform between 0 and twice the mean. All vibrate as damped oscillators, corners in the plane of the window and each
    on its own, which leaves the mean of its area unchanged.

    Parameters
    ----------
    cations, frames : int
        How many of each; cations come in pairs.
    rng : Generator
        Source of randomness.
    opening : float
        Mean relative opening of the area while a cation passes [1].
    together : float
        Part of a pair's jumps that both make [1].
    apart : int
        Fewest frames between jumps of a pair, half of their mean time apart.
    width : int
        Frames before and after the middle of a jump that it takes, and that the window is open.
    noise : float
        Amplitude of vibrations (rms per axis), in jump lengths.
    frequency : float
        Of the vibrations of cations, per frame; corners have half of it.

    Returns
    -------
    Gates

    Raises
    ------
    InputError
        Cations that make no pairs.
    """
    if cations % 2:
        raise InputError(f"cations = {cations} must be even: they jump in pairs")
    path, corners = np.zeros((cations, frames, 3)), np.zeros((cations, 3, frames, 3))
    angles = 2 * np.pi * np.arange(3) / 3
    triangle = 1.2 * np.stack([np.zeros(3), np.cos(angles), np.sin(angles)], axis=-1)
    course = np.hanning(2 * width + 3)[1:-1]
    course /= course.sum()
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, RISE + 1) / (RISE + 1))
    shape = np.concatenate([rise, np.ones(2 * width + 1), rise[::-1]])
    opened = 0.0
    for first in range(0, cations, 2):
        at = np.cumsum(apart + rng.geometric(1 / apart, size=2 + frames // apart))
        at = at[at < frames - apart]
        both, which = rng.random(at.size) < together, rng.integers(0, 2, at.size)
        for k in (first, first + 1):
            wide, side = np.ones(frames), np.zeros(frames)
            for jump in at[both | (which == k - first)]:
                wide[jump - width - RISE : jump + width + RISE + 1] += rng.uniform(0, 2 * opening) * shape
                side[jump:] += 1
                opened += shape.sum()
            path[k, :, 0] = np.convolve(np.pad(side % 2 - 0.5, width, mode="edge"), course, mode="valid")
            corners[k] = np.sqrt(wide)[:, None] * triangle[:, None]
            path[k, :, 1] += 3.0 * k
            corners[k, ..., 1] += 3.0 * k
    path += noise * oscillators(particles=cations, frames=frames, frequency=frequency, damping=0.1, rng=rng)
    shaken = oscillators(
        particles=3 * cations, frames=frames, frequency=0.5 * frequency, damping=0.1, rng=rng, dimensions=2
    )
    corners[..., 1:] += noise * shaken.reshape(cations, 3, frames, 2)
    share, joint = (1 + together) / (4 * apart), together / (2 * apart)
    area = 0.75 * np.sqrt(3) * 1.2**2
    return Gates(
        path, corners.reshape(3 * cations, frames, 3), area, opening, opened / (cations * frames), share, joint
    )


def shared_jumps(
    rate: float, shared: float = 0.0, *, particles: int, frames: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """Poisson jumps on a ring; every pair of neighbours has a process that both follow, at most two frames apart.

    Parameters
    ----------
    rate, shared : float
        Of the jumps of a particle, those of the processes that it shares among them, and of one such process [1/frame].
    particles, frames : int
        How many.
    rng : Generator
        Source of randomness.

    Returns
    -------
    particle, frame : array of int (jumps,)
        Of each jump, sorted within a particle.
    jump, neighbour : array of int (2 jumps,)
        Each jump twice, and the particles on both sides.
    """
    times = [list(np.flatnonzero(rng.random(frames) < rate - 2 * shared)) for _ in range(particles)]
    for i in range(particles):
        first = np.flatnonzero(rng.random(frames) < shared)
        other = first + rng.integers(-2, 3, first.size)
        times[i] += list(first)
        times[(i + 1) % particles] += list(other[(other >= 0) & (other < frames)])
    particle = np.repeat(np.arange(particles), [len(each) for each in times])
    frame = np.concatenate([np.sort(each) for each in times]).astype(np.int64)
    neighbour = np.stack([particle + 1, particle - 1], 1).ravel() % particles
    return particle, frame, np.repeat(np.arange(frame.size), 2), neighbour
