"""Least squares on a course in time whose noise may be correlated: draws of a rate and of the amplitudes with it.

The model is linear but for one number, the logarithm u of a rate::

    y(t) = X(t; u) b + noise,    cov(noise) = s^2 [(1 - f)/n_j + f exp(-|t_j - t_k|/t_c)]

white noise of the instrument beside a slow wander of correlation time t_c. A grid over f and t_c stands for what is not
known of the noise: every point gets the weight of its restricted likelihood, and for each u the squares that the best
b leaves give the density of u (an F statistic, exact in the linear case). All of it is drawn from, so that intervals
carry the doubt about the noise as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from cellsim.base import Array, InputError
from cellsim.laboratory.measured.quantity import DRAWS

BINS = 120
"""Averages that a course is made into; more change no interval by 1 %, and the time of one goes with their cube."""
SHARES = (0.15, 0.5, 0.85, 1.0)
"""Parts f of the variance that may wander."""
TIMES = 7
"""Correlation times t_c looked at, from the distance of two averages to a third of the window."""
POINTS = 90
"""Of u, over the span where its density is not negligible."""

Basis = Callable[[float], Array]
"""Columns of X at a value of u, shape (n, p)."""
Allowed = Callable[[Array, Array], NDArray[np.bool_]]
"""Which draws of u, shape (d,), and b, shape (d, p), physics allows."""
Seed = int | tuple[int, ...]
SPARE = 12
"""Draws made for each one that is wanted, where some are not allowed."""


@dataclass(frozen=True)
class Course:
    """Averages of a recorded course.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        Middle of each average [s] and the average, in any unit.
    count : ndarray, shape (n,)
        Readings in each.
    """

    t: Array
    y: Array
    count: Array


def averaged(t: Array, y: Array, *, bins: int = BINS, scale: Callable[[Array], Array] | None = None) -> Course:
    """Averages over equal spans of time, or of a function of it; an exponential keeps its rate under equal spans.

    Parameters
    ----------
    t, y : ndarray, shape (n,)
        Times, rising [s], and readings.
    bins : int
        Spans; those without a reading are left out.
    scale : callable, optional
        Function of time whose spans are equal.

    Returns
    -------
    Course
    """
    if t.size <= bins:
        return Course(t, y, np.ones(t.size))
    x = t if scale is None else scale(t)
    which = np.minimum((bins * (x - x[0]) / (x[-1] - x[0])).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    there = count > 0
    count_there = count[there].astype(float)
    return Course(
        np.bincount(which, t, bins)[there] / count_there,
        np.bincount(which, y, bins)[there] / count_there,
        count_there,
    )


@dataclass(frozen=True)
class Fit:
    """What the fit of a course leaves open, as draws.

    Parameters
    ----------
    course : Course
        The averages.
    u : ndarray, shape (draws,)
        ln of the rate.
    b : ndarray, shape (draws, p)
        Amplitudes that go with each.
    best_u : float
        At the highest density.
    best_b : ndarray, shape (p,)
        Amplitudes there.
    line : ndarray, shape (n,)
        The fitted course at the times of the averages.
    scatter : float
        Standard deviation of the noise of one average, in the unit of y.
    wander : float
        Part of its variance that is correlated, averaged over the grid [1].
    whitened : ndarray, shape (n,)
        Residuals after the likeliest correlation has been taken out, in units of `scatter` [1].
    bounded : bool
        Whether u is bounded on both sides by the readings rather than by the span that was searched.
    allowed : bool
        Whether physics allows what was drawn; False where next to none of the draws was, and all were kept.
    """

    course: Course
    u: Array
    b: Array
    best_u: float
    best_b: Array
    line: Array
    scatter: float
    wander: float
    whitened: Array
    bounded: bool
    allowed: bool = True

    @property
    def correlation(self) -> float:
        """Correlation of one whitened residual with the next [1]."""
        e = self.whitened
        return float(np.sum(e[1:] * e[:-1]) / max(np.sum(e**2), 1e-300))

    @property
    def white(self) -> bool:
        """Whether that correlation is within 3 standard errors of what independent residuals have."""
        return abs(self.correlation) < 3 / np.sqrt(self.whitened.size)


@dataclass(frozen=True)
class _Noise:
    """One point of the grid of noises: its factor, and weight, squares and amplitudes for each u."""

    share: float
    factor: Array
    log_weight: float
    squares: Array
    b: Array
    roots: Array


def noise_factors(course: Course) -> list[tuple[float, Array]]:
    """Every noise that is looked at.

    Parameters
    ----------
    course : Course
        The averages.

    Returns
    -------
    list of tuple
        Part of the variance that wanders, the first one 0, and the Cholesky factor of the correlation, shape (n, n).
    """
    t, white = course.t, np.diag(np.median(course.count) / course.count)
    span, step = t[-1] - t[0], float(np.median(np.diff(t)))
    distance = np.abs(t[:, None] - t[None, :])
    found = [(0.0, np.sqrt(white))]
    for time in np.geomspace(min(step, span / 6), span / 3, TIMES):
        wander = np.exp(-distance / time)
        # a wander quicker than the averages is averaged away by the same counts as white noise, no more
        found += [(f, np.linalg.cholesky((1 - f) * white + f * wander + 1e-10 * np.eye(t.size))) for f in SHARES]
    return found


def fit_course(
    course: Course,
    basis: Basis,
    span: tuple[float, float],
    *,
    seed: Seed,
    draws: int = DRAWS,
    allowed: Allowed | None = None,
) -> Fit:
    """Draw the rate and the amplitudes from what the readings say of them.

    Parameters
    ----------
    course : Course
        The averages, more than the columns by four at least.
    basis : callable
        u -> X at the times of the course, shape (n, p).
    span : tuple of float
        Lowest and highest u searched.
    seed : int or tuple of int
        Of the random numbers.
    draws : int
        How many.
    allowed : callable, optional
        Keeps the draws that physics allows.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        Too few readings.
    """
    p, n = basis(span[0]).shape[1], course.t.size
    if n < p + 5:
        raise InputError(f"{n} readings are too few for a fit of {p + 1} numbers; at least {p + 5} are needed")
    noises = noise_factors(course)
    low, high = span
    for _ in range(5):  # the span is found with every fourth noise: that of all is wider by little
        grid = np.linspace(low, high, POINTS)
        columns = np.stack([basis(u) for u in grid])
        some = [_weigh(course, columns, grid, share, factor) for share, factor in noises[::4]]
        weight = _density(some, max(one.log_weight for one in some), n - p - 1).sum(axis=0)
        seen = np.flatnonzero(weight > 1e-8 * weight.max())
        if seen.size > 0.4 * POINTS:
            break
        low, high = grid[max(seen[0] - 2, 0)], grid[min(seen[-1] + 2, POINTS - 1)]
    found = [_weigh(course, columns, grid, share, factor) for share, factor in noises]
    density = _density(found, max(one.log_weight for one in found), n - p - 1)
    fit = _drawn(course, grid, columns, found, density, np.random.default_rng(seed), draws * (SPARE if allowed else 1))
    if allowed is not None:
        good = np.flatnonzero(allowed(fit.u, fit.b))
        allows = good.size >= draws // 20
        good = np.resize(good if allows else np.arange(draws), draws)
        fit = replace(fit, u=fit.u[good], b=fit.b[good], allowed=allows)
    cell = grid[1] - grid[0]
    low, high = np.quantile(fit.u, (0.001, 0.999))
    return replace(fit, bounded=bool(low > span[0] + cell and high < span[1] - cell))


def _weigh(course: Course, columns: Array, grid: Array, share: float, factor: Array) -> _Noise:
    g, n, p = columns.shape
    if share == 0.0:
        inverse = 1 / np.diag(factor)
        y, X = course.y * inverse, columns * inverse[:, None]
    else:
        stacked = np.concatenate([course.y[:, None], columns.transpose(1, 0, 2).reshape(n, g * p)], axis=1)
        solved = solve_triangular(factor, stacked, lower=True, check_finite=False)
        y, X = solved[:, 0], solved[:, 1:].reshape(n, g, p).transpose(1, 0, 2)
    Q, root = np.linalg.qr(X)
    along = Q.transpose(0, 2, 1) @ y
    squares = np.sum(y**2) - np.sum(along**2, axis=1)
    squares = np.maximum(squares, 1e-24 * np.sum(y**2))
    b = np.linalg.solve(root, along[:, :, None])[:, :, 0]
    k = int(np.argmin(squares))
    # restricted likelihood with the slope along u as one more column, which is of the same size for every noise
    step = columns[min(k + 1, g - 1)] - columns[max(k - 1, 0)]
    bent = (step / (grid[min(k + 1, g - 1)] - grid[max(k - 1, 0)])) @ b[k]
    bent = bent / factor.diagonal() if share == 0.0 else solve_triangular(factor, bent, lower=True, check_finite=False)
    bent = bent - Q[k] @ (Q[k].T @ bent)
    log_weight = (
        -np.sum(np.log(np.diag(factor)))
        - np.sum(np.log(np.abs(np.diag(root[k]))))
        - 0.5 * np.log(max(float(bent @ bent), 1e-300))
        - 0.5 * (n - p - 1) * np.log(squares[k])
        # the white noise stands once in the grid and counts as one share does
        + (np.log(TIMES) if share == 0.0 else 0.0)
    )
    return _Noise(share, factor, float(log_weight), squares, b, root)


def _density(found: list[_Noise], top: float, freedom: int) -> Array:
    """Weight of every noise and u, shape (noises, grid)."""
    rows = []
    for one in found:
        density = (one.squares / one.squares.min()) ** (-0.5 * (freedom + 1))
        rows.append(np.exp(one.log_weight - top) * density / density.sum())
    return np.array(rows)


def _drawn(
    course: Course,
    grid: Array,
    columns: Array,
    found: list[_Noise],
    density: Array,
    random: np.random.Generator,
    draws: int,
) -> Fit:
    n, p = course.t.size, columns.shape[2]
    weights = (density / density.sum()).ravel()
    chosen = random.choice(weights.size, size=draws, p=weights)
    noise, place = np.unravel_index(chosen, density.shape)
    scale = np.sqrt(np.array([one.squares for one in found])[noise, place] / random.chisquare(n - p - 1, draws))
    roots = np.array([one.roots for one in found])[noise, place]
    normal = random.standard_normal((draws, p, 1))
    b = np.array([one.b for one in found])[noise, place] + scale[:, None] * np.linalg.solve(roots, normal)[:, :, 0]
    cell = grid[1] - grid[0]
    u = grid[place] + cell * random.uniform(-0.5, 0.5, draws)
    likeliest = int(np.argmax(density.sum(axis=1)))
    one, k = found[likeliest], int(np.argmax(density[likeliest]))
    line = columns[k] @ one.b[k]
    residual = course.y - line
    scatter = float(np.sqrt(one.squares[k] / (n - p - 1)))
    whitened = solve_triangular(one.factor, residual, lower=True, check_finite=False) / max(scatter, 1e-300)
    shares = np.array([one.share for one in found])
    return Fit(
        course,
        u,
        b,
        float(grid[k]),
        one.b[k],
        np.asarray(line),
        scatter,
        float(np.sum(density.sum(axis=1) * shares) / density.sum()),
        np.asarray(whitened),
        True,
    )


@dataclass(frozen=True)
class Excess:
    """One more column that the residuals of a fit may ask for.

    Parameters
    ----------
    amplitude, error : float
        Of the column, and its standard error, in the unit of y.
    pull : float
        By how much u rises per amplitude that the model leaves out, in its inverse.
    """

    amplitude: float
    error: float
    pull: float

    @property
    def seen(self) -> float:
        """Standard errors by which the amplitude differs from zero [1]."""
        return abs(self.amplitude) / self.error if self.error > 0 else 0.0


def excess(fit: Fit, basis: Basis, extra: Array) -> Excess:
    """Whether the residuals ask for one more column: a test of the model.

    Parameters
    ----------
    fit : Fit
        The fit.
    basis : callable
        As it was fitted.
    extra : ndarray, shape (n,)
        A course that the model leaves out.

    Returns
    -------
    Excess
    """
    step = 1e-4
    slope = (basis(fit.best_u + step) - basis(fit.best_u - step)) @ fit.best_b / (2 * step)
    X = np.concatenate([basis(fit.best_u), slope[:, None]], axis=1)
    residual = fit.course.y - fit.line
    factor = max(noise_factors(fit.course), key=lambda one: _score(one[1], X, residual))[1]
    solved = solve_triangular(factor, np.column_stack([residual, extra, X]), lower=True, check_finite=False)
    Q, root = np.linalg.qr(solved[:, 2:])
    y, z = (v - Q @ (Q.T @ v) for v in solved[:, :2].T)
    power = float(z @ z)
    if power <= 1e-12 * float(solved[:, 1] @ solved[:, 1]):  # the model has this column already
        return Excess(0.0, 0.0, 0.0)
    amplitude = float(z @ y) / power
    squares = float(y @ y) - amplitude**2 * power
    error = np.sqrt(max(squares, 0.0) / (fit.course.t.size - X.shape[1] - 1) / power)
    pull = np.linalg.lstsq(root, Q.T @ solved[:, 1])[0][-1]  # singular where the readings say nothing of u
    return Excess(amplitude, float(error), float(pull))


def _score(factor: Array, X: Array, residual: Array) -> float:
    """Restricted log likelihood of a noise."""
    solved = solve_triangular(factor, np.column_stack([residual, X]), lower=True, check_finite=False)
    Q, root = np.linalg.qr(solved[:, 1:])
    squares = np.sum(solved[:, 0] ** 2) - np.sum((Q.T @ solved[:, 0]) ** 2)
    n, p = X.shape
    logs = np.sum(np.log(np.diag(factor))) + np.sum(np.log(np.abs(np.diag(root)) + 1e-300))
    return float(-logs - 0.5 * (n - p) * np.log(max(squares, 1e-300)))
