"""Where to start: every velocity on a grid, by variable projection.

For given v, h, tau0 and stretch the model is linear in the contrast, and everything it needs are sums over the points
that depend on v, tau0 and stretch alone. chi^2 on a grid of all four is a closed form; the best h, tau0 and stretch of
each ring are taken at every v, once below h = 1/2 and once above, because h and 1 - h are nearly alike while the
envelope has not decayed. The local minima of the sum over rings are where the full fit begins, so that it cannot end in
the wrong fringe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.observables.xpcs_engine import Array, Parameters, Problem

STEP = 0.7
"""Phase by which the fastest curve turns between two grid velocities, at the last delay that matters [rad]."""
MOST = 3000
"""Grid velocities at most."""


H_GRID = np.array([0.05, 0.12, 0.2, 0.3, 0.4, 0.47, 0.53, 0.6, 0.7, 0.8, 0.88, 0.95])
"""Moving fractions tried, as many below one half as above [1]."""


@dataclass(frozen=True)
class Scan:
    """chi^2 along the grid of velocities, and the best shape of every ring there, for small and for large h.

    Parameters
    ----------
    u : ndarray, shape (g,)
        Internal velocities.
    chi2 : ndarray, shape (2, g, rings)
        For h below and above one half.
    contrast, h, tau0, stretch : ndarray, shape (2, g, rings)
        Internal coordinates.
    """

    u: Array
    chi2: Array
    contrast: Array
    h: Array
    tau0: Array
    stretch: Array

    @property
    def total(self) -> Array:
        """chi^2 of all rings, each with the better h, shape (g,)."""
        return np.asarray(self.chi2.min(axis=0).sum(axis=-1))


def effective_lag(problem: Problem, *, exact: bool = False) -> float:
    """The last delay, as a share of the longest, at which the curves still differ from where they end [1].

    `exact`: the curves carry no noise; how far they differ is still judged by their errors.
    """
    w, y = problem.root_weight, problem.y[0]
    k = problem.lag.size
    tail = slice(max(0, k - max(2, k // 10)), k)
    weight = np.sum(w[:, tail] ** 2, axis=1, keepdims=True)
    plateau = np.sum(w[:, tail] ** 2 * y[:, tail], axis=1, keepdims=True) / np.where(weight > 0, weight, 1.0)
    excess = np.sum((w * (y - plateau)) ** 2, axis=0)
    n = np.count_nonzero(w, axis=0)
    seen = np.flatnonzero(excess > (0 if exact else n) + 4 * np.sqrt(2 * n) + 4)
    last = min(k - 1, (int(seen[-1]) + 1 if seen.size else k - 1))
    return float(np.exp(problem.lag[last] - problem.lag[-1]))


def first_fringe(problem: Problem, *, exact: bool = False) -> float:
    """Internal velocity at which the fastest curve turns by pi within the effective delay: slower is next to rest."""
    return np.pi / max(effective_lag(problem, exact=exact), 1e-3)


def velocity_grid(problem: Problem, u_max: float) -> Array:
    """Internal velocities from 0 to `u_max`, fine enough that no fringe is stepped over."""
    step = STEP / max(effective_lag(problem), 1e-3)
    return np.linspace(0.0, u_max, int(np.clip(np.ceil(u_max / step), 8, MOST)) + 1)


def scan(problem: Problem, u: Array, *, times: int = 10, stretches: tuple[float, ...] = (0.5, 0.8, 1.3)) -> Scan:
    """chi^2 for every velocity of `u`, minimised over contrast, h, tau0 and stretch ring by ring."""
    low, high = problem.lag[0], problem.lag[-1]
    t_grid = np.linspace(low + 0.35 * (high - low), high + 1.5, times) if problem.lag.size > 1 else np.array([low])
    lt, ls = (a.ravel() for a in np.meshgrid(t_grid, np.log(stretches), indexing="ij"))
    E = np.exp(-np.exp(np.minimum(np.exp(ls)[:, None] * (problem.lag - lt[:, None]), 6.0)))
    edges = np.r_[problem.starts, problem.ring.size]
    rings = edges.size - 1
    chi2, contrast, h, shape = (np.empty((2, u.size, rings)) for _ in range(4))
    for r in range(rings):
        chi2[..., r], contrast[..., r], h[..., r], shape[..., r] = _ring(problem, slice(edges[r], edges[r + 1]), E, u)
    best = shape.astype(np.intp)
    return Scan(u, chi2, np.log(contrast), np.log(h / (1 - h)), lt[best], ls[best])


def _ring(problem: Problem, here: slice, E: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """Least chi^2, contrast, h and number of the shape for every u, below and above h = 1/2, shape (2, g)."""
    W, y = problem.root_weight[here] ** 2, problem.y[0, here]
    phase, damping = problem.phase[here], problem.half_spread[here]
    s_1, s_y, s_yy = W.sum(), (W * y).sum(), (W * y * y).sum()
    s_2, s_4, s_y2 = (E**2) @ W.sum(0), (E**4) @ W.sum(0), (E**2) @ (W * y).sum(0)
    flat = phase.reshape(-1)
    cosine = np.cos(u[:, None] * flat) * damping.reshape(-1)

    def project(power: int, weight: Array, wave: Array) -> Array:
        return wave @ (weight[:, None] * E**power).transpose(0, 2, 1).reshape(flat.size, -1)

    s_c, s_c2, s_cy = project(1, W, cosine), project(3, W, cosine), project(1, W * y, cosine)
    s_cc = project(2, W, cosine**2)
    rows, half = np.arange(u.size), H_GRID.size // 2
    found = []
    for part in (H_GRID[:half], H_GRID[half:]):
        drop = np.empty((part.size, *s_c.shape))
        contrast = np.empty_like(drop)
        for n, h in enumerate(part):
            a, b, d = (1 - h) ** 2, h**2, 2 * h * (1 - h)
            below = a * a * s_1 + b * b * s_4 + 2 * a * b * s_2 + d * (d * s_cc + 2 * a * s_c + 2 * b * s_c2)
            contrast[n] = np.maximum(a * s_y + b * s_y2 + d * s_cy, 0.0) / below
            drop[n] = contrast[n] ** 2 * below
        across = drop.transpose(1, 0, 2).reshape(u.size, -1)
        n, k = np.divmod(np.argmax(across, axis=1), E.shape[0])
        found.append((s_yy - drop[n, rows, k], np.maximum(contrast[n, rows, k], 1e-9), part[n], k.astype(float)))
    return tuple(np.stack(parts) for parts in zip(*found, strict=True))  # type: ignore[return-value]


def minima(values: Array, most: int) -> NDArray[np.intp]:
    """The deepest local minima of a sequence, at most `most`."""
    padded = np.r_[np.inf, values, np.inf]
    local = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]))
    return local[np.argsort(values[local])][:most]


def starts_at(found: Scan, rows: NDArray[np.intp]) -> Parameters:
    """Two starts on every chosen row of a scan: all small h first, then all large."""
    a, b, c, d = (x[:, rows].reshape(-1, x.shape[-1]) for x in (found.contrast, found.h, found.tau0, found.stretch))
    return Parameters(np.tile(found.u[rows], 2)[:, None], a, b, c, d, np.zeros_like(a))
