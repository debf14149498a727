"""Made-up partners that come and go.

Every cation has partners of its own; each pair is bound or not, a two-state Markov chain from frame to frame with mean
residence time tau and stationary probability p of being bound:

    P(bound at all frames 0..k | bound at 0) = exp(-k dt/tau),     P(bound at k | bound at 0) = p + (1 - p) s^k,
    s = (exp(-dt/tau) - p)/(1 - p).

Positions follow: cations on a lattice, a bound partner at `near`, an unbound one at `far`, with Gaussian jitter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError

DIRECTIONS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)


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
