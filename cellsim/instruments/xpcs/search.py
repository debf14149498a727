"""chi^2 of a shared velocity, minimised over everything else: where to start, its minima, where it has risen enough.

For given v, h, tau0 and stretch the model is linear in the contrast, and everything it needs are sums over the points
that depend on v, tau0 and stretch alone. chi^2 on a grid of all four is a closed form (variable projection); the best
h, tau0 and stretch of each ring are taken at every v, once below h = 1/2 and once above, because h and 1 - h are nearly
alike while the envelope has not decayed. The local minima of the sum over rings are where the full fit begins, so that
it cannot end in the wrong fringe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.instruments.xpcs.engine import LeastSquares, Levels, Parameters, V, minimise, spread_on, standard_error

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


def effective_lag(problem: LeastSquares, *, exact: bool = False) -> float:
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
    moving = np.flatnonzero(excess > (0 if exact else n) + 4 * np.sqrt(2 * n) + 4)
    last = min(k - 1, (int(moving[-1]) + 1 if moving.size else k - 1))
    return float(np.exp(problem.lag[last] - problem.lag[-1]))


def first_fringe(problem: LeastSquares, *, exact: bool = False) -> float:
    """Internal velocity at which the fastest curve turns by pi within the effective delay: slower is next to rest."""
    return np.pi / max(effective_lag(problem, exact=exact), 1e-3)


def velocity_grid(problem: LeastSquares, u_max: float) -> Array:
    """Internal velocities from 0 to `u_max`, fine enough that no fringe is stepped over."""
    step = STEP / max(effective_lag(problem), 1e-3)
    return np.linspace(0.0, u_max, int(np.clip(np.ceil(u_max / step), 8, MOST)) + 1)


def scan(problem: LeastSquares, u: Array, *, times: int = 10, stretches: tuple[float, ...] = (0.5, 0.8, 1.3)) -> Scan:
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


def _ring(problem: LeastSquares, here: slice, E: Array, u: Array) -> tuple[Array, Array, Array, Array]:
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
    best = []
    for fractions in (H_GRID[:half], H_GRID[half:]):
        drop = np.empty((fractions.size, *s_c.shape))
        contrast = np.empty_like(drop)
        for n, h in enumerate(fractions):
            a, b, d = (1 - h) ** 2, h**2, 2 * h * (1 - h)
            below = a * a * s_1 + b * b * s_4 + 2 * a * b * s_2 + d * (d * s_cc + 2 * a * s_c + 2 * b * s_c2)
            contrast[n] = np.maximum(a * s_y + b * s_y2 + d * s_cy, 0.0) / below
            drop[n] = contrast[n] ** 2 * below
        across = drop.transpose(1, 0, 2).reshape(u.size, -1)
        n, k = np.divmod(np.argmax(across, axis=1), E.shape[0])
        least, amplitude = s_yy - drop[n, rows, k], np.maximum(contrast[n, rows, k], 1e-9)
        best.append((least, amplitude, fractions[n], k.astype(float)))
    return tuple(np.stack(halves) for halves in zip(*best, strict=True))  # type: ignore[return-value]


def minima(values: Array, most: int) -> NDArray[np.intp]:
    """The deepest local minima of a sequence, at most `most`."""
    padded = np.r_[np.inf, values, np.inf]
    local = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]))
    return local[np.argsort(values[local])][:most]


def starts_at(scanned: Scan, rows: NDArray[np.intp]) -> Parameters:
    """Two starts on every chosen row of a scan: all small h first, then all large."""
    shape = (scanned.contrast, scanned.h, scanned.tau0, scanned.stretch)
    a, b, c, d = (x[:, rows].reshape(-1, x.shape[-1]) for x in shape)
    return Parameters(np.tile(scanned.u[rows], 2)[:, None], a, b, c, d, np.zeros_like(a))


@dataclass(frozen=True)
class Fits:
    """Several fits: parameters, and chi^2 of each, shape (starts,)."""

    theta: Parameters
    chi2: Array

    def take(self, which: Any) -> Fits:
        """Some of them."""
        return Fits(self.theta.take(which), self.chi2[which])

    @property
    def best(self) -> Fits:
        """The deepest one."""
        return self.take([int(np.argmin(self.chi2))])

    @property
    def u(self) -> float:
        """Internal velocity of the first."""
        return float(self.theta.v[0, 0])


def joined(*several: Fits) -> Fits:
    """Lists of fits one after the other."""
    theta = Parameters(*(np.concatenate(parts) for parts in zip(*(f.theta for f in several), strict=True)))
    return Fits(theta, np.concatenate([f.chi2 for f in several]))


@dataclass(frozen=True)
class Profile:
    """A problem and which parameters are adjusted besides v.

    Parameters
    ----------
    problem : LeastSquares
        Data.
    levels : tuple of int
        Level of each parameter.
    shape : list of int
        Parameters adjusted besides v.
    """

    problem: LeastSquares
    levels: Levels
    shape: list[int]

    def at(self, starts: Parameters, alternatives: int) -> Fits:
        """Fit at the velocities of `starts`, which come `alternatives` times one after the other with other shapes.

        Rings that share nothing but v take the best of the alternatives one by one: h and 1 - h may both be minima,
        ring by ring.
        """
        theta, chi2 = minimise(self.problem, self._on_levels(starts), self.levels, self.shape)
        chi2 = chi2.reshape(alternatives, -1, chi2.shape[1])
        best = np.argmin(chi2, axis=0)
        component = max(self.levels[p] for p in self.shape)
        chosen = [theta.v[: best.shape[0]]]
        for p in range(1, 6):
            pick = spread_on(self.problem, best, component, self.levels[p])
            values = theta[p].reshape(alternatives, -1, theta[p].shape[1])
            chosen.append(np.take_along_axis(values, np.broadcast_to(pick, values.shape[1:])[None], axis=0)[0])
        return Fits(Parameters(*chosen), chi2.min(axis=0).sum(axis=1))

    def _on_levels(self, ringwise: Parameters) -> Parameters:
        """Starts given per ring, on the levels of the fit."""
        rings, curves = self.problem.starts.size, self.problem.ring.size
        values = list(ringwise)
        for p in range(1, 6):
            size = (curves, rings, 1)[self.levels[p]]
            if values[p].shape[1] != size:
                values[p] = values[p][:, self.problem.ring] if size == curves else values[p].mean(axis=1, keepdims=True)
        return Parameters(*values)

    def from_scan(self, scanned: Scan, rows: NDArray[np.intp]) -> Fits:
        """Fit at the velocities of some rows of a scan."""
        return self.at(starts_at(scanned, rows), 2)

    def near(self, theta: Parameters, u: Array) -> Fits:
        """Fit at velocities `u`, starting from one `theta` and from what a scan finds there."""
        scanned = self._on_levels(starts_at(scan(self.problem, u), np.arange(u.size)))
        start = [np.concatenate([np.repeat(a, u.size, axis=0), b]) for a, b in zip(theta, scanned, strict=True)]
        return self.at(Parameters(np.tile(u, 3)[:, None], *start[1:]), 3)

    def free(self, starts: Parameters) -> Fits:
        """Fit everything, v too."""
        theta, chi2 = minimise(self.problem, starts, self.levels, [V, *self.shape])
        return Fits(theta, chi2[:, 0])

    def width(self, theta: Parameters) -> float:
        """Standard error of the internal velocity by the curvature of chi^2; inf where it has none."""
        return standard_error(self.problem, theta, self.levels, [V, *self.shape])


AROUND = np.array([0.1, 0.25, 0.45, 0.7, 1.0, 1.4, 2.0, 3.0])
"""Distances from a minimum at which velocities are fitted afresh, in steps of the grid [1]."""


def search(profile: Profile, scanned: Scan, rows: NDArray[np.intp]) -> tuple[Fits, Fits]:
    """The best fit at rest, and fits from `rows` (of which the first is v = 0), the best one looked at more closely.

    Which h is better may change with v ring by ring, and h, tau0 and v make up for one another next to rest: the sum
    over rings has several minima within one fringe. Velocities on both sides of the best fit are fitted afresh, and
    every local minimum of that profile is followed.
    """
    step, top = scanned.u[1], 1.05 * scanned.u[-1]
    fixed = profile.from_scan(scanned, rows)
    fits = profile.free(fixed.take(rows > 0).theta)
    for _ in range(3):
        best = fits.best
        around = best.u + step * np.r_[-AROUND[::-1], AROUND]
        close = profile.near(best.theta, around[(around > 0) & (around < top)])
        followed = profile.free(close.take(minima(close.chi2, 3)).theta)
        fits = joined(fits, followed)
        if float(best.chi2[0] - fits.best.chi2[0]) < 0.01:
            break
    still = joined(fixed.take(rows == 0), profile.near(fits.best.theta, np.zeros(1))).best
    shallow = profile.free(still.theta._replace(v=np.full((1, 1), 0.3 * step)))
    fits = joined(fits, shallow)
    inside = fits.theta.v[:, 0] <= top
    return still, fits.take(inside) if inside.any() else still


@dataclass(frozen=True)
class Interval:
    """The minimum, the ends of the set within the rise, and those of the fringe around the minimum [internal]."""

    best: Fits
    low: float
    high: float
    fringe: tuple[float, float]


@dataclass(frozen=True)
class FringeChoice:
    """Which minimum is believed: the deepest, unless it is a distant fringe that rest does as well as by chance.

    Next to rest v adds one parameter to the model at rest. A distant fringe is another model, free to use the shape of
    every ring, and many of them are searched: it must be better than rest by `gain`.

    Parameters
    ----------
    near : float
        Velocities up to here are next to rest [internal].
    limit : float
        chi^2 below which a distant fringe is believed: that at rest less the gain [1].
    """

    near: float
    limit: float

    def of(self, fits: Fits) -> Fits:
        """The fit that is believed."""
        slow = fits.theta.v[:, 0] <= self.near
        best = fits.best
        if best.u <= self.near or float(best.chi2[0]) < self.limit or not slow.any():
            return best
        return fits.take(slow).best


def interval(
    profile: Profile, fits: Fits, still: Fits, rise: float, step: float, top: float, choice: FringeChoice
) -> Interval:
    """Hull of all velocities at which chi^2 lies no more than `rise` above the minimum that is believed.

    Parameters
    ----------
    profile : Profile
        The problem.
    fits : Fits
        Minima of chi^2 found.
    still : Fits
        The fit at v = 0.
    rise : float
        Rise of chi^2.
    step : float
        Velocity in which a fringe does not change [internal].
    top : float
        Nothing is tried beyond [internal].
    choice : FringeChoice
        Which minimum is believed.

    Returns
    -------
    Interval
        `high` is inf where nothing below `top` is excluded.
    """
    known = joined(fits, still)
    # A crossing may come across a deeper minimum than the one it began from; then the limit was too high and the whole
    # set is made again.
    for _ in range(3):
        best = choice.of(known)
        limit = float(best.chi2[0]) + rise
        low, below = _crossing(profile, best, -1, limit, step, top)
        high, above = _crossing(profile, best, +1, limit, step, top)
        fringe = (low, high)
        tried = [known, *below, *above]
        u = known.theta.v[:, 0]
        others = np.flatnonzero((known.chi2 <= limit) & ((u < low) | (u > high)))
        if others.size:
            slowest, quickest = others[np.argmin(u[others])], others[np.argmax(u[others])]
            if u[slowest] < low:
                low, below = _crossing(profile, known.take([slowest]), -1, limit, step, top)
                tried += below
            if u[quickest] > high:
                high, above = _crossing(profile, known.take([quickest]), +1, limit, step, top)
                tried += above
        lowest = choice.of(joined(*tried))
        if abs(float(lowest.chi2[0] - best.chi2[0])) < 2e-3:
            break
        known = joined(known, lowest, profile.free(lowest.theta))
    return Interval(best, low, high, fringe)


def _crossing(
    profile: Profile, start: Fits, sign: int, limit: float, step: float, top: float
) -> tuple[float, list[Fits]]:
    """Where chi^2 rises through `limit` going down (-1) or up (+1) from `start`, and the fits made on the way.

    The root of the rise is close to linear in v far from 0 and in v^2 near it; the bracket is closed in v^2.
    """
    u, tried = start.u, list[Fits]()
    if sign < 0 and u == 0.0:
        return 0.0, tried
    width = profile.width(start.theta) if u > 0 else np.inf
    reach = float(np.clip(1.6 * width, 1e-7 * u, step)) if np.isfinite(width) else 0.2 * step
    open_end = 0.0 if sign < 0 else np.inf
    inner, outer = (u, float(start.chi2[0])), (np.nan, np.nan)
    for _ in range(14):
        trial = np.unique(np.clip(u + sign * reach * np.array([1.0, 1.6, 2.6]), 0.0, top))[::sign]
        inner, outer, fits = _advance(profile, start, trial, limit, inner)
        tried.append(fits)
        if np.isfinite(outer[0]):
            break
        if inner[0] in (0.0, top):
            return open_end, tried
        reach *= 2.6
    else:
        return open_end, tried
    for _ in range(2):
        trial = np.sqrt(np.linspace(inner[0] ** 2, outer[0] ** 2, 6)[1:-1])
        inner, closer, fits = _advance(profile, start, trial, limit, inner)
        outer = closer if np.isfinite(closer[0]) else outer
        tried.append(fits)
    floor = min(float(start.chi2[0]), inner[1])
    a, b, c = (np.sqrt(max(x - floor, 0.0)) for x in (inner[1], limit, outer[1]))
    share = np.clip((b - a) / max(c - a, 1e-12), 0.0, 1.0)
    return float(np.sqrt(inner[0] ** 2 + share * (outer[0] ** 2 - inner[0] ** 2))), tried


def _advance(
    profile: Profile, start: Fits, trial: Array, limit: float, inner: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float], Fits]:
    """Fit at `trial` velocities, in the order of going outward; the last inside and the first outside the limit."""
    fits = profile.near(start.theta, trial)
    outside = np.flatnonzero(fits.chi2 > limit)
    j = int(outside[0]) if outside.size else trial.size
    if j:
        inner = (float(trial[j - 1]), float(fits.chi2[j - 1]))
    outer = (float(trial[j]), float(fits.chi2[j])) if j < trial.size else (np.nan, np.nan)
    return inner, outer, fits
