"""Walkers of known exponent, series of known covariance, rotors of known diffusion, oscillators, jumps that turn a cage
or open a window or not, partners that come and go.

Partners: every cation has partners of its own; each pair is bound or not, a two-state Markov chain from frame to frame
with mean residence time tau and stationary probability p of being bound:

    P(bound at all frames 0..k | bound at 0) = exp(-k dt/tau),     P(bound at k | bound at 0) = p + (1 - p) s^k,
    s = (exp(-dt/tau) - p)/(1 - p).

Positions follow: cations on a lattice, a bound partner at `near`, an unbound one at `far`, with Gaussian jitter.

References
----------
Davies & Harte, Biometrika 74, 95 (1987), doi:10.1093/biomet/74.1.95 (exact fractional noise by a circulant matrix).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.signal import lfilter

from cellsim.base import Array, InputError, Ints


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


DIRECTIONS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)


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


@dataclass(frozen=True)
class Partner:
    """Partners of one species.

    Parameters
    ----------
    name : str
        Species.
    count : int
        Partners each cation has of this species, bound or not.
    tau : float
        Mean residence time [s].
    bound : float
        Probability of being bound [1].
    """

    name: str
    count: int
    tau: float
    bound: float


@dataclass(frozen=True, eq=False)
class Exchange:
    """A made-up run.

    Parameters
    ----------
    time : array (frames,)
        Times [s].
    states : tuple of array of bool (frames, cations, count)
        Which pairs are bound, species by species.
    labels : array of str (particles,)
        Species of every particle; cations first.
    partners : tuple of Partner
        What was asked for.
    """

    time: Array
    states: tuple[NDArray[np.bool_], ...]
    labels: NDArray[np.str_]
    partners: tuple[Partner, ...]

    def positions(
        self, frame: int, *, spacing: float = 16e-10, near: float = 2e-10, far: float = 6e-10, jitter: float = 0.1e-10
    ) -> Array:
        """Positions of all particles in one frame, (particles, 3) [m]; the box is :meth:`edge` wide.

        Parameters
        ----------
        frame : int
            Which frame.
        spacing : float
            Of the cations' lattice [m].
        near, far : float
            Distance of bound and unbound partners [m].
        jitter : float
            Standard deviation of each coordinate of the partners [m].

        Returns
        -------
        array (particles, 3)
        """
        n = self.states[0].shape[1]
        side = round(self.edge(spacing) / spacing)
        cell = np.stack(np.unravel_index(np.arange(n), (side, side, side)), axis=1)
        lattice = (cell + 0.5) * spacing
        rng = np.random.default_rng([frame, 7])
        parts, used = [lattice], 0
        for state in self.states:
            count = state.shape[2]
            toward = DIRECTIONS[used : used + count]
            used += count
            where = lattice[:, None] + np.where(state[frame], near, far)[..., None] * toward
            parts.append((where + jitter * rng.standard_normal(where.shape)).reshape(-1, 3))
        return np.concatenate(parts)

    def edge(self, spacing: float = 16e-10) -> float:
        """Edge of the cubic box [m]."""
        return float(np.ceil(round(self.states[0].shape[1] ** (1 / 3), 9)) * spacing)


def exchange(
    partners: Sequence[Partner],
    *,
    cations: int,
    frames: int,
    dt: float,
    seed: int | np.random.SeedSequence | np.random.Generator,
    cation: str = "Li",
) -> Exchange:
    """Make such a run.

    Parameters
    ----------
    partners : sequence of Partner
        At most six partners per cation in all.
    cations, frames : int
        How many of each.
    dt : float
        Time between frames [s].
    seed : int, SeedSequence or Generator
        Source of randomness.
    cation : str
        Name of the cation.

    Returns
    -------
    Exchange

    Raises
    ------
    InputError
        Too many partners, a residence time too short for its probability (the chain would have to alternate).
    """
    rng = np.random.default_rng(seed)
    if sum(partner.count for partner in partners) > len(DIRECTIONS):
        raise InputError(f"a cation has room for {len(DIRECTIONS)} partners")
    states, labels = [], [np.full(cations, cation, dtype="<U16")]
    for partner in partners:
        stay = np.exp(-dt / partner.tau)
        gain = partner.bound * (1 - stay) / (1 - partner.bound)
        if not 0 < partner.bound < 1 or gain > 1:
            raise InputError(
                f"{partner.name}: tau = {partner.tau:g} s and bound = {partner.bound:g} fit no chain of step {dt:g} s"
            )
        state = np.empty((frames, cations, partner.count), dtype=bool)
        state[0] = rng.random(state.shape[1:]) < partner.bound
        for t in range(1, frames):
            state[t] = rng.random(state.shape[1:]) < np.where(state[t - 1], stay, gain)
        states.append(state)
        labels.append(np.full(cations * partner.count, partner.name, dtype="<U16"))
    time: Array = dt * np.arange(frames, dtype=np.float64)
    return Exchange(time, tuple(states), np.concatenate(labels), tuple(partners))
