"""Does a cation's jump go with a turn of its cage, and which comes first? (the paddle-wheel effect)

A *jump* of a cation is a frame where its mean position over `half` frames before and after differs by more than a
threshold, most of all frames within `half`. The *reorientation* theta(t) of a rotor is the angle between its mean axis
over the same spans. The response is the reorientation of the rotors nearest to the cation before the jump, a time
`delay` after it, above those rotors' own average over the run:

    E(delay) = < theta_cage(t_jump + delay) - mean theta of the same rotors >_jumps

Rotors that turn much and cations that jump much in the same soft corner therefore give no response by that alone.
A positive delay means that the cage turns after the jump.

References
----------
Siegel et al., Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Fig. 4b; Smith & Siegel, Nat. Commun. 11,
1483 (2020), doi:10.1038/s41467-020-15245-5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError, Ints
from mdcoeffs.statistics.lagged import LaggedEstimate, estimate

LEVEL = 0.01
"""Probability that uncoupled jumps and turns are called coupled, all delays considered."""
SURROGATES = 299
"""Sets of shifts of the rotors' times, to learn what chance gives."""
FEWEST_EVENTS = 10
"""Fewest jumps a response is given for."""


@dataclass(frozen=True, eq=False)
class Events:
    """Jumps of cations.

    Parameters
    ----------
    cation : array of int (events,)
        Which cation.
    frame : array of int (events,)
        First frame at the new place.
    before, after : array (events, 3)
        Mean positions before and after [m].
    """

    cation: Ints
    frame: Ints
    before: Array
    after: Array

    @property
    def count(self) -> int:
        """Number of jumps."""
        return int(self.frame.size)


@dataclass(frozen=True, eq=False)
class Response:
    """Reorientation of the cage around the time of a jump, or the area of the window that it leads through.

    Parameters
    ----------
    delay : array (delays,)
        Time after the jump [s].
    excess : array (delays,)
        Mean reorientation above the rotors' own average; of windows, mean area above their own [rad or m^2].
    error : array (delays,)
        Standard error; the unit of `excess`.
    baseline : float
        The rotors' or windows' own average; the unit of `excess`.
    events : int
        Jumps counted.
    chance : float
        Probability that jumps and turns which know nothing of one another give as large a peak at some delay [1].
    peak : LaggedEstimate
        Excess at the delay where it is largest; the unit of `excess`.
    at_jump : LaggedEstimate
        Excess at the delay 0; the unit of `excess`.
    lead : LaggedEstimate
        Delay of the cage behind the jump: centroid of the peak; NaN where not coupled [s].
    """

    delay: Array
    excess: Array
    error: Array
    baseline: float
    events: int
    chance: float
    peak: LaggedEstimate
    at_jump: LaggedEstimate
    lead: LaggedEstimate

    @property
    def coupled(self) -> bool:
        """Chance alone does not explain the peak, at `LEVEL`."""
        return self.chance <= LEVEL

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return {
            "jumps_counted": self.events,
            "coupled": self.coupled,
            "chance": self.chance,
            "peak_excess": self.peak.numbers(),
            "peak_delay": self.delay[int(np.argmax(self.excess))],
            "lead": self.lead.numbers(),
            "baseline": self.baseline,
        }


def shift(paths: Array, half: int) -> tuple[Array, Array]:
    """Means over the `half` frames before each frame, and over the `half` frames from it on.

    Parameters
    ----------
    paths : array (particles, frames, 3)
        Positions or axes; any unit.
    half : int
        Frames averaged on each side.

    Returns
    -------
    before, after : array (particles, frames - 2 half + 1, 3)
        For frames ``half`` to ``frames - half``; the same unit.
    """
    total = np.concatenate([np.zeros_like(paths[:, :1]), np.cumsum(paths, axis=1)], axis=1)
    means = (total[:, half:] - total[:, :-half]) / half
    return means[:, :-half], means[:, half:]


def jumps(cations: ArrayLike, *, half: int, threshold: float) -> Events:
    """Find the jumps of all cations.

    Parameters
    ----------
    cations : array (cations, frames, 3)
        Unwrapped positions [m].
    half : int
        Frames averaged before and after.
    threshold : float
        Shortest jump [m].

    Returns
    -------
    Events
        In the order of cations, then of time.

    Raises
    ------
    InputError
        A run too short for `half`, or a threshold that is not positive.
    """
    X = np.asarray(cations, dtype=np.float64)
    if half < 1 or X.shape[1] < 2 * half + 1 or not threshold > 0:
        raise InputError(f"jumps need a positive threshold and more than {2 * half} frames; the run has {X.shape[1]}")
    places: list[tuple[int, int]] = []
    befores, afters = [], []
    for number, path in enumerate(X):
        before, after = (mean[0] for mean in shift(path[None], half))
        length = np.linalg.norm(after - before, axis=1)
        padded = np.pad(length, half, constant_values=-1.0)
        highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1)
        last = -half - 1
        for k in np.flatnonzero((length > threshold) & (length == highest)):
            if k - last > half:
                places.append((number, int(k) + half))
                befores.append(before[k])
                afters.append(after[k])
                last = int(k)
    where = np.array(places, dtype=np.int64).reshape(-1, 2)
    return Events(where[:, 0], where[:, 1], np.array(befores).reshape(-1, 3), np.array(afters).reshape(-1, 3))


def reorientation(axes: ArrayLike, *, half: int) -> Array:
    """Angle between the mean axes before and after every frame.

    Parameters
    ----------
    axes : array (rotors, frames, 3)
        Unit vectors.
    half : int
        Frames averaged on each side.

    Returns
    -------
    array (rotors, frames)
        NaN within `half` of the ends [rad].
    """
    X = np.asarray(axes, dtype=np.float64)
    before, after = shift(X, half)
    sine = np.linalg.norm(np.cross(before, after), axis=-1)
    angle = np.full(X.shape[:2], np.nan)
    angle[:, half : X.shape[1] - half + 1] = np.arctan2(sine, (before * after).sum(axis=-1))
    return angle


def nearest(points: ArrayLike, centres: ArrayLike, boxes: ArrayLike | None, *, count: int, cutoff: float) -> Ints:
    """The nearest rotors to each point, each point having centres and a box of its own.

    Parameters
    ----------
    points : array (events, 3)
        Where the cations are [m].
    centres : array (events, rotors, 3)
        Where the rotors are at that moment [m].
    boxes : array (events, 3, 3), optional
        Box vectors as rows; no periodic images when left out [m].
    count : int
        At most so many.
    cutoff : float
        And none farther than this [m].

    Returns
    -------
    array of int (events, count)
        Nearest first; -1 where there are fewer.
    """
    order_of = np.full((len(np.asarray(points)), count), -1, dtype=np.int64)
    for k, point in enumerate(np.asarray(points, dtype=np.float64)):
        d = np.asarray(centres, dtype=np.float64)[k] - point
        if boxes is not None:
            box = np.asarray(boxes, dtype=np.float64)[k]
            d = d - np.rint(d @ np.linalg.inv(box)) @ box
        distance = np.linalg.norm(d, axis=1)
        order = np.argsort(distance, kind="stable")[:count]
        order = order[distance[order] <= cutoff]
        order_of[k, : order.size] = order
    return order_of


@dataclass(frozen=True, eq=False)
class Sampled:
    """Reorientation of the cages of one run around its jumps.

    Parameters
    ----------
    excess : array (events, delays)
        Above the rotors' own averages [rad].
    baseline : array (events,)
        Averages of the cage's rotors over the run [rad].
    cation : array of int (events,)
        Which cation jumped.
    shifted : array (surrogates, delays)
        Sum over events of the excess with the time of every rotor shifted, each by its own amount [rad].
    """

    excess: Array
    baseline: Array
    cation: Ints
    shifted: Array


def sample(
    events: Events,
    cage: Ints,
    blocks: Iterable[tuple[int, Array]],
    delays: Ints,
    *,
    half: int,
    rng: np.random.Generator,
) -> Sampled:
    """Reorientation of the cage of every jump, around it, above the rotors' own averages.

    Parameters
    ----------
    events : Events
        The jumps; those without a rotor in the cage, or too near to the ends of the run, are left out.
    cage : array of int (events, count)
        Rotors of each cage, as :func:`nearest` gives them.
    blocks : iterable of (int, array (rotors, frames))
        Number of the first rotor and reorientation angles, block after block [rad].
    delays : array of int (delays,)
        In frames.
    half : int
        Frames averaged on each side.
    rng : Generator
        Of the shifts.

    Returns
    -------
    Sampled
    """
    size = (cage >= 0).sum(axis=1).astype(np.float64)
    total, average = np.zeros((events.count, delays.size)), np.zeros(events.count)
    shifted, whole = np.zeros((SURROGATES, delays.size)), np.zeros(events.count, dtype=bool)
    for first, theta in blocks:
        length = theta.shape[1] - 2 * half + 1  # frames that have an angle
        shifts = rng.integers(0, length, (len(theta), SURROGATES))
        start = events.frame - half
        whole = (start + delays[0] >= 0) & (start + delays[-1] < length) & (size > 0)
        mean = np.nanmean(theta, axis=1)
        for event, place in np.argwhere((cage >= first) & (cage < first + len(theta)) & whole[:, None]):
            rotor = cage[event, place] - first
            above = theta[rotor, half : half + length] - mean[rotor]
            at = start[event] + delays
            total[event] += above[at] / size[event]
            average[event] += mean[rotor] / size[event]
            shifted += above[(at[None, :] + shifts[rotor][:, None]) % length] / size[event]
    return Sampled(total[whole], average[whole], events.cation[whole], shifted)


def response(runs: Sequence[Sampled], delays: Ints, dt: float, *, half: int) -> Response | None:
    """Average over the jumps of all replicas.

    Errors come from the scatter between cations. Turns are rare and their angles far from normal, so whether the
    largest excess says anything is judged otherwise: against the largest that the same jumps find when the time of
    every rotor is shifted (circularly, each by its own random amount). That keeps jumps that come together, and the
    turns of one rotor; it takes rotors as turning each on its own.

    Parameters
    ----------
    runs : sequence of Sampled
        One per replica.
    delays : array of int (delays,)
        In frames.
    dt : float
        Time between frames [s].
    half : int
        Frames averaged on each side.

    Returns
    -------
    Response or None
        None where fewer than `FEWEST_EVENTS` jumps have all their delays inside the run.
    """
    E = np.concatenate([run.excess for run in runs])
    n = len(E)
    if n < FEWEST_EVENTS:
        return None
    pairs = np.concatenate([np.stack([np.full(len(run.cation), k), run.cation], axis=1) for k, run in enumerate(runs)])
    who = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    mean = E.mean(axis=0)
    cells = np.zeros((int(who.max()) + 1, delays.size))
    np.add.at(cells, who, (E - mean) / n)
    each = [estimate(float(m), [cells[:, k : k + 1]]) for k, m in enumerate(mean)]
    null = np.sum([run.shifted for run in runs], axis=0).max(axis=1) / n
    top = int(np.argmax(mean))
    chance = float((1 + (null >= mean[top]).sum()) / (1 + null.size))
    near = np.abs(delays - delays[top]) <= half
    times: Array = np.asarray(delays * dt, dtype=np.float64)
    lead = LaggedEstimate(np.nan, np.nan, 1.0, False, ())
    if chance <= LEVEL:
        w = np.where(near, mean, 0.0)
        centre = float(w @ delays / w.sum())
        pull = np.where(near, (delays - centre) / w.sum(), 0.0) * dt
        lead = estimate(centre * dt, [cells @ pull[:, None]])
    errors = np.array([at_delay.error for at_delay in each])
    baseline = float(np.concatenate([run.baseline for run in runs]).mean())
    at_jump = each[int(np.argmin(np.abs(delays)))]
    return Response(times, mean, errors, baseline, n, chance, each[top], at_jump, lead)
