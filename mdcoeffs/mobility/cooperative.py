"""Do neighbouring cations jump together? Jumps within a time of one another, against independent chance.

Jump k of a cation at the time t_k has the neighbours N_k: the other cations within a cutoff before the jump. Two jumps
of neighbours *coincide* where they are at most a window w apart, and a jump is *cooperative* where a neighbour's jump
coincides with it. The ratio

    G = (coincidences) / (sum_k sum_{j in N_k} lambda_j (2 w + dt)),        lambda_j = n_j/T,

is one where cations jump independently, whatever the rate lambda_j of each (n_j jumps in the time T, frames dt apart).
By chance a jump is cooperative with the probability 1 - prod_j (1 - u_j), where u_j is the part of the run within w of
a jump of j; for Poisson processes that is 1 - exp(-(2 w + dt) sum_j lambda_j).

Errors come from blocks of time: of ln G = ln C - ln E with E = sum_ij C_ij n_j (2 w + dt)/T to first order in the
blocks' contributions to C, C_ij (jumps of i that have the neighbour j), n_j and T. Where C is small its interval is
that of counting (Jeffreys), of C/2, for two jumps that coincide are two centres. Whether coincidences are more than
chance is judged by shifting the times of every cation by an amount of its own, which keeps the jumps of each as they
are and who is near whom when.

References
----------
Siegel et al., Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Fig. 4a (three ions that migrate together);
Daley & Vere-Jones, An Introduction to the Theory of Point Processes, vol. 1, 2nd ed., Springer 2003 (second moments).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import gamma

from cellsim.base import Array, InputError, Ints
from mdcoeffs.mobility.paddlewheel import FEWEST_EVENTS, LEVEL, SURROGATES
from mdcoeffs.statistics.lagged import LaggedEstimate, estimate

REACH = 5
"""Delays that are drawn, in windows; jumps nearer than that to the ends of the run are no centres [1]."""
BLOCKS = 24
"""Blocks of time of each replica."""
FEW = 20
"""Coincidences below which the interval of G is that of counting [1]."""
SIZES = 5
"""Clusters of so many jumps, or more, are counted together."""


@dataclass(frozen=True, eq=False)
class Coincidences:
    """Jumps of one run and who is near whom.

    Parameters
    ----------
    cation, frame : array of int (events,)
        Which cation jumps when; in the order of cations, then of time.
    centre, neighbour : array of int (pairs,)
        A jump and a cation near it.
    cations : int
        How many there are.
    first, last : int
        Frames at which jumps can be found: first, ..., last - 1.
    """

    cation: Ints
    frame: Ints
    centre: Ints
    neighbour: Ints
    cations: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Cooperation:
    """Jumps that come together.

    Parameters
    ----------
    jumps : int
        Jumps that are centres.
    neighbours : float
        Mean number of neighbours of a jump [1].
    coincidences : int
        Jumps of neighbours within the window of a centre.
    expected : float
        How many independent cations would have [1].
    log_ratio : LaggedEstimate
        ln G; NaN where there are no coincidences [1].
    share : float
        Part of the jumps that are cooperative [1].
    by_chance : float
        The same for independent cations of the same jumps [1].
    chance : float
        Probability that independent cations have as many coincidences [1].
    sizes, sizes_by_chance : array (SIZES,)
        Part of the jumps in clusters of 1, 2, ... jumps, the last of `SIZES` or more [1].
    delay : array (bins,)
        Middle of each bin of delays [s].
    correlation, error : array (bins,)
        G of each bin, and its standard error [1].
    window : float
        [s]
    """

    jumps: int
    neighbours: float
    coincidences: int
    expected: float
    log_ratio: LaggedEstimate
    share: float
    by_chance: float
    chance: float
    sizes: Array
    sizes_by_chance: Array
    delay: Array
    correlation: Array
    error: Array
    window: float

    @property
    def ratio(self) -> tuple[float, float, float]:
        """G and the ends of its 95 % interval [1]."""
        value = self.coincidences / self.expected
        if self.coincidences >= FEW:
            low, high = self.log_ratio.interval()
            return value, math.exp(low), math.exp(high)
        low, high = (2 * float(gamma.ppf(p, 0.5 * self.coincidences + 0.5)) / self.expected for p in (0.025, 0.975))
        return value, low if self.coincidences else 0.0, high

    @property
    def together(self) -> bool:
        """Chance alone does not explain the coincidences, at `LEVEL`."""
        return self.chance <= LEVEL

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        value, low, high = self.ratio
        return {
            "jumps_counted": self.jumps,
            "neighbours": self.neighbours,
            "coincidences": self.coincidences,
            "ratio": {"value": value, "interval": [low, high]},
            "cooperative_share": self.share,
            "share_by_chance": self.by_chance,
            "cooperative": self.together,
            "chance": self.chance,
            "cluster_sizes": self.sizes.tolist(),
            "cluster_sizes_by_chance": self.sizes_by_chance.tolist(),
        }


def neighbours_of(
    before: ArrayLike, cation: Ints, centres: ArrayLike, boxes: ArrayLike | None, *, cutoff: float
) -> tuple[Ints, Ints]:
    """The cations near each jump.

    Parameters
    ----------
    before : array (events, 3)
        Where the cation is before it jumps [m].
    cation : array of int (events,)
        Which cation it is.
    centres : array (events, cations, 3)
        Where all cations are then [m].
    boxes : array (events, 3, 3), optional
        Box vectors as rows; no periodic images when left out [m].
    cutoff : float
        Largest distance [m].

    Returns
    -------
    centre, neighbour : array of int (pairs,)
        Number of the jump and of the cation, which is never the one that jumps.
    """
    d = np.asarray(centres, dtype=np.float64) - np.asarray(before, dtype=np.float64)[:, None]
    if boxes is not None:
        box = np.asarray(boxes, dtype=np.float64)
        d = d - np.rint(d @ np.linalg.inv(box)) @ box
    near = np.linalg.norm(d, axis=-1) <= cutoff
    near[np.arange(len(near)), cation] = False
    centre, neighbour = np.nonzero(near)
    return centre, neighbour


class _Run:
    """One run, its centres chosen, ready to be asked for coincidences under any shifts of the cations."""

    def __init__(self, run: Coincidences, reach: int) -> None:
        self.run, self.reach = run, reach
        self.length = run.last - run.first
        self.time = run.frame - run.first
        inside = (self.time >= reach) & (self.time < self.length - reach)
        self.inside = inside
        kept = inside[run.centre]
        self.centre, self.neighbour = run.centre[kept], run.neighbour[kept]
        # all jumps thrice, a run length apart, in one increasing list: windows that cross an end find them too
        span = 4 * self.length
        turns = np.array([-1, 0, 1])[:, None] * self.length
        self.span = span
        base = (run.cation * span + self.time)[None] + turns + self.length
        order = np.argsort(base, axis=None)
        self.key, self.event = base.ravel()[order], np.tile(np.arange(self.time.size), 3)[order]

    def links(self, window: int, shifts: Ints | None = None) -> tuple[Ints, Ints, Ints]:
        """Pair, jump of its neighbour, and delay, for all within the window of the centre."""
        at = self.time[self.centre]
        if shifts is not None:
            at = (at + shifts[self.run.cation[self.centre]] - shifts[self.neighbour]) % self.length
        query = self.neighbour * self.span + at + self.length
        low, high = np.searchsorted(self.key, query - window), np.searchsorted(self.key, query + window, "right")
        count = high - low
        pair = np.repeat(np.arange(count.size), count)
        place = low[pair] + np.arange(pair.size) - np.repeat(np.cumsum(count) - count, count)
        return pair, self.event[place], self.key[place] - query[pair]

    def covered(self, window: int) -> Array:
        """Part of the run within the window of a jump, for every cation."""
        part = np.zeros(self.run.cations)
        for j in range(self.run.cations):
            times = np.sort(self.time[self.run.cation == j])
            if times.size:
                gaps = np.diff(np.append(times, times[0] + self.length))
                part[j] = np.minimum(gaps, 2 * window + 1).sum() / self.length
        return part

    def sizes(self, pair: Ints, other: Ints) -> Array:
        """Jumps in clusters of each size, among the centres."""
        n = self.time.size
        graph = coo_array((np.ones(pair.size), (self.centre[pair], other)), shape=(n, n))
        _, label = connected_components(graph, directed=False)
        size = np.minimum(np.bincount(label)[label[self.inside]], SIZES)
        return np.bincount(size, minlength=SIZES + 1)[1:].astype(np.float64)


def cooperation(
    runs: Sequence[Coincidences], *, window: int, dt: float = 1.0, rng: np.random.Generator
) -> Cooperation | None:
    """Coincidences of jumps of neighbours, and what independent cations would have.

    Parameters
    ----------
    runs : sequence of Coincidences
        One per replica.
    window : int
        Longest time between jumps that coincide, in frames.
    dt : float
        Time between frames [s].
    rng : Generator
        Of the shifts.

    Returns
    -------
    Cooperation or None
        None where fewer than `FEWEST_EVENTS` jumps with neighbours are away from the ends of the runs.

    Raises
    ------
    InputError
        A run that is too short for the window.
    """
    reach = REACH * window
    for run in runs:
        if run.last - run.first < 4 * reach:
            raise InputError(
                f"a window of {window:.6g} frames needs a run of {4 * reach:.6g} frames in which jumps can be found, "
                f"there are {run.last - run.first}"
            )
    all_runs = [_Run(run, reach) for run in runs]
    if sum(np.unique(each.centre).size for each in all_runs) < FEWEST_EVENTS:
        return None
    edges = _bins(window, reach)
    parts = [_blocks(each, window, edges) for each in all_runs]
    counts, expected = (np.concatenate(part) for part in list(zip(*parts, strict=True))[:2])
    number, joint = sum(part[2] for part in parts), sum(part[3] for part in parts)
    widths = np.append(np.diff(edges), 2 * window + 1)
    expected = expected[:, None] * widths
    G, errors, cells = _ratios(counts, expected)
    by_chance = 0.0
    surrogate, clusters, by_shift = np.zeros(SURROGATES), np.zeros(SIZES), np.zeros(SIZES)
    for each in all_runs:
        free = np.ones(each.time.size)
        np.multiply.at(free, each.centre, 1 - each.covered(window)[each.neighbour])
        by_chance += float((1 - free[each.inside]).sum() / number)
        pair, other, _ = each.links(window)
        clusters += each.sizes(pair, other) / number
        for s in range(SURROGATES):
            pair, other, _ = each.links(window, rng.integers(0, each.length, each.run.cations))
            surrogate[s] += pair.size
            by_shift += each.sizes(pair, other) / (number * SURROGATES)
    total = int(counts[:, -1].sum())
    log = estimate(math.log(G[-1]) if total else math.nan, [cells[None, :]])
    return Cooperation(
        jumps=number,
        neighbours=float(sum(each.centre.size for each in all_runs) / number),
        coincidences=total,
        expected=float(expected[:, -1].sum()),
        log_ratio=log,
        share=float(joint / number),
        by_chance=by_chance,
        chance=float((1 + (surrogate >= total).sum()) / (1 + SURROGATES)),
        sizes=clusters,
        sizes_by_chance=by_shift,
        delay=np.asarray(0.5 * (edges[1:] + edges[:-1] - 1) * dt),
        correlation=G[:-1],
        error=errors[:-1],
        window=window * dt,
    )


def _bins(window: int, reach: int) -> Ints:
    """Edges of bins of delays, -reach to reach frames, about half a window wide."""
    number = 2 * min(2 * REACH, reach) + 1
    return np.round(np.linspace(-reach, reach + 1, number + 1)).astype(np.int64)


def _blocks(run: _Run, window: int, edges: Ints) -> tuple[Array, Array, int, int]:
    """Over blocks of time, and how many centres there are and how many of them are cooperative.

    The blocks have coincidences in each bin of delays and, last, in the window (blocks, bins + 1); and what each
    contributes to the coincidences that are expected per frame of a bin (blocks,).
    """
    bounds = np.linspace(run.reach, run.length - run.reach, BLOCKS + 1)
    block = np.clip(np.searchsorted(bounds, run.time, "right") - 1, 0, BLOCKS - 1)
    pair, _, delay = run.links(run.reach)
    at = block[run.centre[pair]]
    counts = np.zeros((BLOCKS, edges.size))
    np.add.at(counts, (at, np.searchsorted(edges, delay, "right") - 1), 1.0)
    within = np.abs(delay) <= window
    counts[:, -1] = np.bincount(at[within], minlength=BLOCKS)
    # E = sum_ij C_ij n_j/T; a block has its share of C, of n and of T
    n = np.bincount(run.run.cation, minlength=run.run.cations).astype(np.float64)
    near = np.bincount(run.neighbour, minlength=run.run.cations).astype(np.float64)
    of_centres = np.bincount(block[run.centre], n[run.neighbour], minlength=BLOCKS)
    of_neighbours = np.bincount(block, near[run.run.cation], minlength=BLOCKS)
    expected = of_centres + of_neighbours - n @ near / BLOCKS
    cooperative = np.unique(run.centre[pair[within]]).size
    return counts, expected / run.length, int(run.inside.sum()), cooperative


def _ratios(counts: Array, expected: Array) -> tuple[Array, Array, Array]:
    """G of every bin, its standard error, and the blocks' influence on ln G of the window, the last one."""
    observed, whole = counts.sum(axis=0), expected.sum(axis=0)
    G = observed / whole
    influence = (counts - G * expected) / whole
    n = len(counts)
    errors = np.sqrt(n / (n - 1) * (influence**2).sum(axis=0))
    return G, errors, influence[:, -1] / G[-1] if G[-1] > 0 else np.full(n, np.nan)
