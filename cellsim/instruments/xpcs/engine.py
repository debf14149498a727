"""Least squares of many correlation functions at once, with parameters shared by a curve, a ring of q, or all.

The six parameters of a curve are v, contrast, h, tau0, stretch and a baseline. Each has a *level*: it is common to one
curve, to one ring, or to all. Levels nest, so the normal equations are solved by eliminating curve by curve, then ring
by ring (Schur complements); the cost of a step is linear in the number of curves. A leading axis of the parameters
runs over independent starts.

Internal coordinates: v in units of `scale`, ln contrast, logit h, ln tau0, ln stretch, baseline.

The estimate is biased, because g2 is not linear in its parameters. Next to rest a curve knows v^2 h (1 - h) better than
v or h. Where the envelope has hardly decayed within the delays, h is poorly known in every ring, and the errors of many
h add up in the one v: its estimate is off by more than its error, and the interval fails. The bias to first order
follows from the curvature of the model (Box 1971, J. R. Stat. Soc. B 33, 171).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.instruments.xpcs.correlation import CorrelationSet

Index = NDArray[np.intp]

CURVE, RING, ALL = 0, 1, 2
V, CONTRAST, H, TAU0, STRETCH, BASELINE = range(6)
H_LIMIT = 8.0
STRETCH_BOUNDS = float(np.log(0.15)), float(np.log(4.0))


class Parameters(NamedTuple):
    """Internal coordinates, each of shape (starts, groups of its level)."""

    v: Array
    contrast: Array
    h: Array
    tau0: Array
    stretch: Array
    baseline: Array

    def take(self, which: Any) -> Parameters:
        """Some of the starts."""
        return Parameters(*(a[which] for a in self))


Levels = tuple[int, int, int, int, int, int]
JOINT: Levels = (ALL, RING, RING, RING, RING, RING)
SINGLE: Levels = (CURVE,) * 6


@dataclass(frozen=True)
class LeastSquares:
    """Correlation functions in the order of the rings, reduced to what least squares needs.

    Parameters
    ----------
    lag : ndarray, shape (k,)
        ln tau, tau in [s].
    phase : ndarray, shape (n, k)
        q cos(azimuth) tau scale, the phase at unit internal velocity [rad].
    half_spread : ndarray, shape (n, k)
        sin(x)/x of a drifting velocity, or ones [1].
    y : ndarray, shape (1 or starts, n, k)
        g2 - 1.
    root_weight : ndarray, shape (n, k)
        1/error, 0 where a point does not count.
    ring : ndarray, shape (n,)
        Ring of each curve, not decreasing.
    scale : float
        Velocity of internal value 1 [m/s].
    order : ndarray, shape (n,)
        Number of every curve in its set (of joined curves, of the first).
    constant : float
        chi^2 that no parameter changes, from joined curves.
    points : int
        Number of data points, joined ones counted singly.
    """

    lag: Array
    phase: Array
    half_spread: Array
    y: Array
    root_weight: Array
    ring: Index
    scale: float
    order: Index
    constant: float
    points: int

    @cached_property
    def starts(self) -> Index:
        """First curve of each ring."""
        return np.flatnonzero(np.r_[True, np.diff(self.ring) > 0])

    @cached_property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Bounds of the internal coordinates, in the order of :class:`Parameters`."""
        tau0 = float(self.lag[0]) - 4, float(self.lag[-1]) + 6
        return (0.0, np.inf), (-30.0, 7.0), (-H_LIMIT, H_LIMIT), tau0, STRETCH_BOUNDS, (-1.0, 1.0)

    def of_starts(self, which: Index) -> LeastSquares:
        """The data of some of the starts, where every start has data of its own."""
        return replace(self, y=self.y[which]) if self.y.shape[0] > 1 else self

    def groups(self, level: int) -> Index:
        """Group of each curve at a level."""
        n = self.ring.size
        return (np.arange(n), self.ring, np.zeros(n, dtype=np.intp))[level]


def prepare(data: CorrelationSet, *, spread: float = 0.0, join: bool = True, blur: float = 0.0) -> LeastSquares:
    """A set as a problem; `join` replaces curves of equal q |cos(azimuth)| in a ring by their weighted mean (exact).

    Across a sector the phase of a speed `blur` [m/s] runs over q |sin(azimuth)| blur tau sector, whose average
    multiplies the cosine by sin(x)/x of half of it, as a drift does.
    """
    ring = data.ring
    along, across = data.along, data.q * np.abs(np.sin(data.azimuth)) * (data.sector or 0.0)
    along[along < 1e-9 * data.q] = 0.0
    order = np.lexsort((along, ring))
    scale = 1 / max(float(along.max() * data.tau[-1]), 1e-300)
    root = np.where(data.usable, 1 / np.where(data.usable, data.error, 1.0), 0.0)[order]
    y = np.where(data.usable, data.g2 - 1, 0.0)[order]
    along, across, ring = along[order], across[order], ring[order]
    constant, points = 0.0, int(data.usable.sum())
    if join:
        fresh = (np.diff(ring) > 0) | (np.diff(along) > 1e-7 * along[1:])
        first = np.flatnonzero(np.r_[True, fresh])
        weight = np.add.reduceat(root**2, first)
        mean = np.add.reduceat(root**2 * y, first) / np.where(weight > 0, weight, 1.0)
        member = np.repeat(np.arange(first.size), np.diff(np.r_[first, ring.size]))
        constant = float(np.sum((root * (y - mean[member])) ** 2))
        root, y, ring, order = np.sqrt(weight), mean, ring[first], order[first]
        along, across = along[first], across[first]
    phase = along[:, None] * data.tau * scale
    damping = np.sinc(along[:, None] * data.tau * spread / (2 * np.pi))
    damping *= np.sinc(across[:, None] * data.tau * blur / (2 * np.pi))
    return LeastSquares(np.log(data.tau), phase, damping, y[None], root, ring, scale, order, constant, points)


def _expand(value: Array, groups: Index) -> Array:
    return value[:, groups, None]


def model(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> tuple[Array, list[Array]]:
    """g2 - 1, shape (starts, n, k), and its derivatives by the free parameters.

    Steinrueck 2020, doi:10.1039/D0EE02193H, Eq. 1, with E and its derivatives on the rings where they are shared.
    """
    shape_level = min(max(levels[TAU0], levels[STRETCH]), RING)
    at = {CURVE: np.arange(problem.ring.size), RING: np.arange(problem.starts.size)}[shape_level]

    def on_shape(value: Array, level: int) -> Array:
        """A parameter on the groups on which E is computed."""
        groups = at if level == shape_level else (np.zeros(at.size, dtype=np.intp) if level == ALL else problem.ring)
        return value[:, groups, None]

    to_curve = problem.groups(shape_level)
    stretch = np.exp(on_shape(theta.stretch, levels[STRETCH]))
    x = problem.lag - on_shape(theta.tau0, levels[TAU0])
    z = np.exp(np.minimum(stretch * x, 6.0))
    E_shape = np.exp(-z)
    E = E_shape[:, to_curve]
    C = np.exp(_expand(theta.contrast, problem.groups(levels[CONTRAST])))
    h = 1 / (1 + np.exp(-_expand(theta.h, problem.groups(levels[H]))))
    argument = _expand(theta.v, problem.groups(levels[V])) * problem.phase
    cosine = np.cos(argument) * problem.half_spread
    still, moving = 1 - h, h * E
    mixed = 2 * still * cosine
    shape = still**2 + moving * (moving + mixed)
    f = C * shape + _expand(theta.baseline, problem.groups(levels[BASELINE]))
    columns = []
    for p in free:
        if p == V:
            columns.append(-2 * C * still * moving * np.sin(argument) * problem.half_spread * problem.phase)
        elif p == CONTRAST:
            columns.append(C * shape)
        elif p == H:
            columns.append(C * h * still * (-2 * still + 2 * moving * E + 2 * (1 - 2 * h) * cosine * E))
        elif p == BASELINE:
            columns.append(np.ones_like(f))
        else:
            slope = E_shape * z * stretch * (1.0 if p == TAU0 else -x)
            columns.append(C * h * (2 * moving + mixed) * slope[:, to_curve])
    return f, columns


@dataclass(frozen=True)
class Normal:
    """Residuals and normal equations of each curve: chi^2 (s, n), H (s, n, p, p), g (s, n, p)."""

    chi2: Array
    H: Array
    g: Array


def normal(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> Normal:
    """The normal equations at `theta`."""
    f, columns = model(problem, theta, levels, free)
    residual = (problem.y - f) * problem.root_weight
    J = np.stack(columns, axis=-1)
    J *= problem.root_weight[..., None]
    Jt = np.swapaxes(J, -1, -2)
    return Normal(np.einsum("snk,snk->sn", residual, residual), Jt @ J, (Jt @ residual[..., None])[..., 0])


class Elimination(NamedTuple):
    """One level's elimination: which parameters, their own solution, and how they follow the coarser ones."""

    level: int
    own: list[int]
    coarser: list[int]
    solution: Array
    follows: Array
    inverse: Array


def _gather(a: Array, fine: int, coarse: int, starts: Index) -> Array:
    """Sum over the groups of a finer level to those of a coarser one (axis 1)."""
    if fine < RING <= coarse:
        a = np.add.reduceat(a, starts, axis=1)
    return a.sum(axis=1, keepdims=True) if coarse == ALL and fine < ALL else a


def eliminate(
    problem: LeastSquares, equations: Normal, levels: Levels, free: Sequence[int], damping: Array | None, component: int
) -> list[Elimination]:
    """Solve the normal equations level by level; `damping` (starts, components) multiplies the diagonal."""
    own_level = [levels[p] for p in free]
    H, g, here = equations.H, equations.g, CURVE
    diagonal = np.einsum("snpp->snp", H)
    left, done = list(range(len(free))), []
    for level in sorted(set(own_level)):
        H, g, diagonal = (_gather(a, here, level, problem.starts) for a in (H, g, diagonal))
        here = level
        mine = [i for i, p in enumerate(left) if own_level[p] == level]
        rest = [i for i, p in enumerate(left) if own_level[p] != level]
        A = H[:, :, mine][..., mine].copy()
        size = diagonal[:, :, mine]
        lift = 1e-13 * size + 1e-12
        if damping is not None:
            factor = damping if component in (level, ALL) else damping[:, problem_ring(problem, level)]
            lift = lift + factor[..., None] * size
        A[..., range(len(mine)), range(len(mine))] += lift
        B = H[:, :, mine][..., rest]
        identity = np.broadcast_to(np.eye(len(mine)), A.shape)
        solved = np.linalg.solve(A, np.concatenate([g[:, :, mine, None], B, identity], axis=-1))
        X_g, X_B, inverse = solved[..., 0], solved[..., 1 : 1 + len(rest)], solved[..., 1 + len(rest) :]
        done.append(Elimination(level, [left[i] for i in mine], [left[i] for i in rest], X_g, X_B, inverse))
        Bt = np.swapaxes(B, -1, -2)
        H = H[:, :, rest][..., rest] - Bt @ X_B
        g = g[:, :, rest] - (Bt @ X_g[..., None])[..., 0]
        diagonal = diagonal[:, :, rest]
        left = [left[i] for i in rest]
    return done


def problem_ring(problem: LeastSquares, level: int) -> Index:
    """Ring of each group of a level."""
    return problem.ring if level == CURVE else np.arange(problem.starts.size)


def back_substitute(problem: LeastSquares, done: list[Elimination]) -> dict[int, Array]:
    """The step of every free parameter, by its place among the free ones, shape (starts, groups)."""
    step: dict[int, Array] = {}
    where: dict[int, int] = {}
    for stage in reversed(done):
        solution = stage.solution
        for j, other in enumerate(stage.coarser):
            value = step[other]
            if value.shape[1] != solution.shape[1]:
                value = value[:, problem_ring(problem, stage.level)] if where[other] == RING else value
            solution = solution - stage.follows[..., j] * value[..., None]
        for i, p in enumerate(stage.own):
            step[p], where[p] = solution[..., i], stage.level
    return step


def minimise(
    problem: LeastSquares,
    theta: Parameters,
    levels: Levels,
    free: Sequence[int],
    *,
    iterations: int = 50,
    tol: float = 1e-4,
) -> tuple[Parameters, Array]:
    """Levenberg-Marquardt of all starts at once.

    Parameters
    ----------
    problem : LeastSquares
        Data.
    theta : Parameters
        Starts.
    levels : tuple of int
        Level of each parameter.
    free : sequence of int
        Which parameters are adjusted.
    iterations : int
        At most.
    tol : float
        A start has converged when a step changes chi^2 by less (absolute, plus 1e-12 of chi^2).

    Returns
    -------
    theta : Parameters
    chi2 : ndarray, shape (starts, components)
        Minimum of each independent component: curves or rings where nothing coarser is free, else one.
    """
    # Components that share no free parameter are separate problems: each has its own damping and accepts its own steps.
    # One damping for all would let the ring that fits worst hold back every other one.
    component = max(levels[p] for p in free)
    result = Parameters(*(a.copy() for a in theta))
    running = np.arange(theta.v.shape[0])
    data = problem.of_starts(running)
    equations = normal(data, theta, levels, free)
    chi2 = _gather(equations.chi2, CURVE, component, problem.starts)
    lowest = chi2.copy()
    damping = np.full(chi2.shape, 1e-3)
    quiet = np.zeros(chi2.shape, dtype=np.intp)
    for _ in range(iterations):
        bounded = _within_bounds(problem, equations, theta, levels, free)
        step = back_substitute(problem, eliminate(data, bounded, levels, free, damping, component))
        candidate = _moved(problem, theta, step, free)
        new = normal(data, candidate, levels, free)
        new_chi2 = _gather(new.chi2, CURVE, component, problem.starts)
        gain = chi2 - new_chi2
        better = gain > 0
        quiet = np.where(better & (gain > tol + 1e-12 * chi2), 0, quiet + 1)
        # With 0.5 and 2 in place of 0.15 and 6 starts of five test series were up to 161 above their minimum of chi^2
        # after 50 steps.
        damping = np.clip(np.where(better, damping * 0.15, damping * 6), 1e-9, 1e9)
        accepted = {p: spread_on(problem, better, component, levels[p]) for p in free}
        theta = Parameters(
            *(np.where(accepted[p], candidate[p], a) if p in accepted else a for p, a in enumerate(theta))
        )
        pick = spread_on(problem, better, component, CURVE)
        equations = Normal(
            np.where(pick, new.chi2, equations.chi2),
            np.where(pick[..., None, None], new.H, equations.H),
            np.where(pick[..., None], new.g, equations.g),
        )
        chi2 = np.where(better, new_chi2, chi2)
        # One quiet step is not enough: in the flat valley of h and v of a homodyne sample it stopped 0.9 above the
        # minimum. A step that failed counts once the damping is large, or as the sixth in a row: then rounding of
        # chi^2 is all that is left.
        finished = np.all((quiet >= 2) & (better | (damping > 1e3) | (quiet >= 6)), axis=1)
        if finished.any():
            for whole, a in zip(result, theta, strict=True):
                whole[running[finished]] = a[finished]
            lowest[running[finished]] = chi2[finished]
            left = ~finished
            if not left.any():
                return result, lowest
            running, theta, chi2, damping, quiet = (
                running[left],
                theta.take(left),
                chi2[left],
                damping[left],
                quiet[left],
            )
            equations = Normal(equations.chi2[left], equations.H[left], equations.g[left])
            data = problem.of_starts(running)
    for whole, a in zip(result, theta, strict=True):
        whole[running] = a
    lowest[running] = chi2
    return result, lowest


def _moved(problem: LeastSquares, theta: Parameters, step: dict[int, Array], free: Sequence[int]) -> Parameters:
    """`theta` after a step, within the bounds; g2 is even in v, so a velocity that passes 0 comes back positive."""
    moved = list(theta)
    for i, p in enumerate(free):
        # A logarithm that moves by more than 3 in one step leaves the region where the expansion says anything.
        bounded = step[i] if p == V else np.clip(step[i], -3.0, 3.0)
        moved[p] = np.abs(theta[p] + bounded) if p == V else np.clip(theta[p] + bounded, *problem.bounds[p])
    return Parameters(*moved)


def _within_bounds(
    problem: LeastSquares, equations: Normal, theta: Parameters, levels: Levels, free: Sequence[int]
) -> Normal:
    """Take parameters that lie at a bound and are pushed beyond it out of the equations of this step.

    Clipping alone is not enough: the other parameters would move as if the clipped one had followed, and the step
    fails again and again. Starts of five test series stayed up to 500 above their minimum of chi^2 that way.
    """
    H, g = equations.H, equations.g
    for i, p in enumerate(free):
        low, high = problem.bounds[p]
        edge = (theta[p] <= low) | (theta[p] >= high)
        if p == V or not edge.any():
            continue
        push = _gather(equations.g[..., i : i + 1], CURVE, levels[p], problem.starts)[..., 0]
        out = ((theta[p] <= low) & (push < 0)) | ((theta[p] >= high) & (push > 0))
        inside = 1.0 - out[:, problem.groups(levels[p])]
        H, g = H.copy(), g.copy()
        H[..., i, :] *= inside[..., None]
        H[..., :, i] *= inside[..., None]
        g[..., i] *= inside
    return Normal(equations.chi2, H, g)


def spread_on(problem: LeastSquares, value: NDArray[Any], component: int, level: int) -> NDArray[Any]:
    """A value per component spread over the groups of a (finer or equal) level."""
    if component in (level, ALL):
        return value
    return value[:, problem_ring(problem, level)]


def start_values(problem: LeastSquares, levels: Levels, starts: int) -> Parameters:
    """Arrays of the right shape with a neutral value: half moving, exponential, tau0 in the middle of the delays."""
    sizes = (problem.ring.size, problem.starts.size, 1)
    neutral = (0.0, np.log(0.1), 0.0, float(np.mean(problem.lag)), 0.0, 0.0)
    return Parameters(*(np.full((starts, sizes[level]), x) for level, x in zip(levels, neutral, strict=True)))


STEP = 1e-4
"""Step of the numerical second derivatives [internal]."""


def relative_bias(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> Array:
    """First-order bias of v over its standard error, for every start in `theta`, shape (starts,) [1].

    b = -C J^T m/2, m_k = tr(C H_k): C the covariance of the parameters, J the derivatives of the weighted model, H_k
    the second derivatives of point k.

    Parameters
    ----------
    problem : LeastSquares
        Data; only errors and geometry are used.
    theta : Parameters
        Where the bias is wanted; v > 0.
    levels : tuple of int
        Level of each parameter.
    free : sequence of int
        Parameters that are fitted, v first.

    Returns
    -------
    ndarray
        NaN where the parameters cannot be told apart.
    """
    J = _weighted(problem, theta, levels, free)
    H = np.empty((*J.shape, len(free)))
    for j, p in enumerate(free):
        step = STEP * np.maximum(np.abs(theta[p]), 1.0) if p == V else np.full_like(theta[p], STEP)
        up, down = (Parameters(*(a + s * step if i == p else a for i, a in enumerate(theta))) for s in (1.0, -1.0))
        change = _weighted(problem, up, levels, free) - _weighted(problem, down, levels, free)
        H[..., j] = change / (2 * step[:, problem.groups(levels[p])][..., None, None])
    place = _places(problem, levels, free)
    size = int(place.max()) + 1
    bias = np.full(J.shape[0], np.nan)
    for s in range(J.shape[0]):
        information = np.zeros((size, size))
        np.add.at(information, (place[:, :, None], place[:, None, :]), np.swapaxes(J[s], 1, 2) @ J[s])
        scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
        scaled = information * scale[:, None] * scale
        if not np.all(np.isfinite(scaled)) or np.linalg.cond(scaled) > 1e13:
            continue
        covariance = np.linalg.inv(scaled) * scale[:, None] * scale
        m = np.einsum("nij,nkij->nk", covariance[place[:, :, None], place[:, None, :]], H[s])
        pull = np.zeros(size)
        np.add.at(pull, place, np.einsum("nki,nk->ni", J[s], m))
        first = place[0, 0]
        bias[s] = -0.5 * covariance[first] @ pull / np.sqrt(covariance[first, first])
    return bias


def _weighted(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> Array:
    """Derivatives of the model over the errors, shape (starts, n, k, parameters of a curve)."""
    _, columns = model(problem, theta, levels, free)
    return np.stack(columns, axis=-1) * problem.root_weight[..., None]


def _places(problem: LeastSquares, levels: Levels, free: Sequence[int]) -> Index:
    """Number of every parameter of every curve among all parameters, shape (n, parameters of a curve)."""
    columns, start = [], 0
    for p in free:
        groups = problem.groups(levels[p])
        columns.append(start + groups)
        start += int(groups.max()) + 1
    return np.stack(columns, axis=1)


def standard_error(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> float:
    """Standard error of the internal velocity by the curvature of chi^2; inf where it has none."""
    equations = normal(problem, theta, levels, free)
    last = eliminate(problem, equations, levels, free, None, ALL)[-1]
    variance = float(last.inverse[0, 0, last.own.index(0), last.own.index(0)])
    return float(np.sqrt(variance)) if 0 < variance < 1e10 else np.inf


def score_scatter(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> float:
    """Variance of v from the scatter between curves, over that from the stated errors [1].

    Every curve pulls v by its score, carried through the eliminated normal equations; independent curves pull
    independently (cluster-robust variance).

    Parameters
    ----------
    problem : LeastSquares
        Data, curves not joined.
    theta : Parameters
        One start; v > 0.
    levels : tuple of int
        Level of each parameter.
    free : sequence of int
        Parameters that are fitted, v first.
    """
    equations = normal(problem, theta, levels, free)
    stages = eliminate(problem, equations, levels, free, None, ALL)
    last = stages[-1]
    variance = float(last.inverse[0, 0, last.own.index(0), last.own.index(0)])
    direction = np.zeros((problem.ring.size, len(free)))
    direction[:, last.own] = last.inverse[0, 0, last.own.index(0)]
    for stage in reversed(stages[:-1]):
        follows = stage.follows[0][problem.groups(stage.level)]
        direction[:, stage.own] = -np.einsum("nij,nj->ni", follows, direction[:, stage.coarser])
    pull = np.einsum("np,np->n", direction, equations.g[0])
    n = pull.size
    if n < 3 or not 0 < variance < 1e10:
        return 1.0
    return float(np.sum((pull - pull.mean()) ** 2) * n / (n - 1) / variance)


def variances(problem: LeastSquares, theta: Parameters, levels: Levels, free: Sequence[int]) -> dict[int, Array]:
    """Variance of every free internal parameter of one start, shape (groups of its level,).

    The inverse of the normal matrix is never formed: from the coarsest level down, the covariance of a group's
    parameters with the coarser ones follows from how they follow them (block inverse).
    """
    equations = normal(problem, theta, levels, free)
    result: dict[int, Array] = {}
    order: list[int] = []
    joint = np.zeros((1, 0, 0))
    for stage in reversed(eliminate(problem, equations, levels, free, None, ALL)):
        own = stage.inverse[0]
        groups = own.shape[0]
        if joint.shape[0] not in (1, groups):
            joint = joint[problem.ring]
        follows = stage.follows[0][:, :, [stage.coarser.index(p) for p in order]]
        across = -follows @ joint
        block = own - across @ np.swapaxes(follows, 1, 2)
        upper = np.concatenate([block, across], axis=2)
        coarser = np.broadcast_to(joint, (groups, *joint.shape[1:]))
        joint = np.concatenate([upper, np.concatenate([np.swapaxes(across, 1, 2), coarser], axis=2)], axis=1)
        order = [*stage.own, *order]
        result |= {free[p]: block[:, i, i] for i, p in enumerate(stage.own)}
    return result
