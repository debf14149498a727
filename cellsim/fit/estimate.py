"""The best point: multi-start least squares, with errors, correlations and what is not identified.

The likelihood is Gaussian with the stated errors; a free noise level is found together with the parameters, by turns.
Errors are those of the curvature at the best point, in the fit's coordinates: relative for what is positive.

The Fisher information is F = J^T J of the whitened data, in coordinates where 1 means a relative change of e, or one
typical unit. An eigenvector of small eigenvalue is a change of several parameters at once that the data do not see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm, qmc

from cellsim.base import Array, ConvergenceError, InputError, Progress
from cellsim.fit.descent import descend, inverse
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.problem import STEP, Problem

RIDGE = 5.0
"""Pull towards the start during a search, as a standard deviation in u: far too weak to bias what the data see, it
keeps what they do not see from drifting to where nothing depends on anything. Without it a rate of which data show only
that it is slow went from 0.03 to 1.5e-10 1/s, where its profile is flat and its upper limit lost."""
IDENTIFIED = 0.7
"""A standard error beyond this in u, of a parameter or along a direction, is no measurement: without priors the value
may be off by a factor of two."""


@dataclass(frozen=True)
class Start:
    """What became of one start.

    Parameters
    ----------
    u : ndarray, shape (p,)
        Where it ended.
    chi2 : float
        Sum of squared residuals, priors included [1].
    converged : bool
        Whether the search ended by its tolerance.
    """

    u: Array
    chi2: float
    converged: bool


LEAST_FREEDOM = 0.5
"""Degrees of freedom that a data set must keep for its chi2 to say anything."""
DOUBTFUL = 1e-3
"""Probability below which the chi2 of one data set is no accident, shared among the sets of a fit."""


@dataclass(frozen=True)
class DataSetMisfit:
    """How well one data set is described: sixty misfitted currents drown in the chi2 of three thousand other points.

    Parameters
    ----------
    label : str
        Of the data set.
    points : int
        In it.
    chi2 : float
        Its share of the sum of squares [1].
    freedom : float
        Points less what they gave to the parameters, by the trace of its part of the hat matrix [1].
    """

    label: str
    points: int
    chi2: float
    freedom: float

    @property
    def p(self) -> float:
        """Probability of a chi2 as large or larger if model and errors are right [1].

        1 where the points went into the parameters, so that their chi2 is rounding and tests nothing.
        """
        return float(chi2_distribution.sf(self.chi2, self.freedom)) if self.freedom > LEAST_FREEDOM else 1.0


@dataclass(frozen=True)
class Estimate:
    """A fit's result.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    u : ndarray, shape (p,)
        The best point, in the fit's coordinates.
    jacobian : ndarray, shape (n + priors, p)
        Of the whitened residuals.
    residuals : ndarray, shape (n + priors,)
        Whitened.
    levels : ndarray, shape (observations,)
        Noise levels, 1 where the stated errors were kept.
    starts : tuple of Start
        Every search.
    evaluations : int
        Residual evaluations, those of derivatives included.
    early : tuple of str
        Of each experiment whose run at the best point does not reach all of its data, one sentence: nothing follows
        from such a fit.
    edge : tuple of str
        Parameters in which, a step further, the cell can no longer be run to the data: a search may have been stopped
        there by the edge and not by the data.
    """

    problem: Problem
    u: Array
    jacobian: Array
    residuals: Array
    levels: Array
    starts: tuple[Start, ...] = ()
    evaluations: int = 0
    edge: tuple[str, ...] = ()
    early: tuple[str, ...] = ()

    @property
    def space(self) -> Space:
        """The parameters."""
        return self.problem.space

    @property
    def values(self) -> dict[str, float]:
        """Best values by name, SI."""
        return self.space.values(self.u)

    @property
    def chi2(self) -> float:
        """Sum of squared residuals, priors included [1]."""
        return float(self.residuals @ self.residuals)

    @property
    def chi2_data(self) -> float:
        """The data's share of it [1]."""
        data = self.residuals[: self.problem.size]
        return float(data @ data)

    @property
    def data_sets(self) -> tuple[DataSetMisfit, ...]:
        """Each observation's chi2 with the degrees of freedom that are left to it."""
        observations = self.problem.observations
        given = _degrees_of_freedom(self.problem, self.jacobian)
        parts = np.split(self.residuals[: self.problem.size], np.cumsum([o.size for o in observations])[:-1])
        return tuple(
            DataSetMisfit(o.label, o.size, float(r @ r), o.size - float(used) - o.profiled_numbers)
            for o, r, used in zip(observations, parts, given, strict=True)
        )

    @property
    def degrees_of_freedom(self) -> int:
        """Points less parameters, and less what is profiled out [1]."""
        return self.problem.size - self.space.size - sum(o.profiled_numbers for o in self.problem.observations)

    @property
    def information(self) -> Array:
        """Fisher information in u with the priors, shape (p, p)."""
        return np.asarray(self.jacobian.T @ self.jacobian)

    @property
    def data_information(self) -> Array:
        """Fisher information in u of the data alone, shape (p, p)."""
        data = self.jacobian[: self.problem.size]
        return np.asarray(data.T @ data)

    @property
    def covariance(self) -> Array:
        """Of u, shape (p, p); by the pseudo-inverse, so huge where a direction is flat."""
        return inverse(self.information)

    @property
    def sd(self) -> Array:
        """Standard errors of u, shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors by name, SI."""
        return {p.name: p.error(self.values[p.name], s) for p, s in zip(self.space.parameters, self.sd, strict=True)}

    @property
    def correlation(self) -> Array:
        """Of u, shape (p, p)."""
        return np.asarray(self.covariance / np.outer(self.sd, self.sd))

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Interval by the curvature, symmetric in u, SI; a profile likelihood serves where that is no good.

        Parameters
        ----------
        name : str
            Of the parameter.
        level : float
            Probability that the truth lies in it.
        """
        k = self.space.index(name)
        half = float(norm.ppf(0.5 + 0.5 * level)) * float(self.sd[k])
        p = self.space.parameters[k]
        return p.value(float(self.u[k]) - half), p.value(float(self.u[k]) + half)

    @property
    def held_by(self) -> dict[str, str]:
        """By name: "data", "prior" (the data add less than a third of the information), "bound" or "nothing".

        "data" includes what the data determine only because the prior of another parameter, a nuisance say, helps them.
        """
        low, high = self.space.bounds
        alone = np.sqrt(np.maximum(np.diag(inverse(self.data_information)), 0.0))
        sources = {}
        for k, p in enumerate(self.space.parameters):
            if min(self.u[k] - low[k], high[k] - self.u[k]) < 1e-3 * min(self.sd[k], 1.0):
                sources[p.name] = "bound"
            elif alone[k] <= IDENTIFIED and (p.prior_u is None or alone[k] < 1.5 * p.prior_u[1]):
                sources[p.name] = "data"
            elif self.sd[k] <= IDENTIFIED:
                sources[p.name] = "data" if self.sd[k] < 0.8 * self._before(k) else "prior"
            else:
                sources[p.name] = "nothing"
        return sources

    @property
    def without(self) -> dict[str, Array]:
        """Standard errors in u if one data set were missing, by its label, shape (p,); data of one label go together.

        From the information at the best point: what a data set holds that no other does. Next to infinite where without
        it nothing is held.
        """
        labels = [o.label for o in self.problem.observations]
        ends = np.cumsum([0, *(o.size for o in self.problem.observations)])
        errors = {}
        for label in dict.fromkeys(labels):
            keep = np.ones(len(self.jacobian), dtype=bool)
            for k, own in enumerate(labels):
                if own == label:
                    keep[ends[k] : ends[k + 1]] = False
            rest = self.jacobian[keep]
            errors[label] = np.asarray(np.sqrt(np.maximum(np.diag(inverse(rest.T @ rest)), 0.0)))
        return errors

    def _before(self, k: int) -> float:
        """Standard deviation of u[k] by the priors alone."""
        known = self.space.parameters[k].prior_u
        if known is not None:
            return known[1]
        if self.space.joint is not None and k < self.space.joint.mean.size:
            return float(self.space.joint.sd[k])
        return np.inf


def estimate(
    problem: Problem,
    *,
    starts: int = 3,
    seed: int = 0,
    at: Array | None = None,
    levels: Array | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Fit: multi-start least squares.

    Parameters
    ----------
    problem : Problem
        What to fit.
    starts : int
        Number of searches; the first from the parameters' own starts, the others spread about it.
    seed : int
        Of the other starts.
    at : ndarray, shape (p,), optional
        Where the first search begins, in u.
    levels : ndarray, shape (observations,), optional
        Noise levels to begin with.
    progress : callable, optional
        Called with (searches done, of all), again and again while a search is on.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        A noise level that is to be found from no more points than there are parameters.
    ConvergenceError
        No search reached an end, or none of the cells can be run.
    """
    _check_levels(problem)
    first = problem.space.start if at is None else at
    points = [first, *_spread(problem.space, first, starts - 1, seed)]
    searches: list[_Search] = []
    for k, point in enumerate(points):
        # one-sided derivatives at the tolerance SAME: where the other starts lead is all they are asked for
        at_work = None if progress is None else partial(progress, k, len(points))
        searches.append(_search(problem, point, levels, rough=k > 0, tick=at_work))
        if progress is not None:
            progress(k + 1, len(points))
    evaluations = sum(search.evaluations for search in searches)
    converged = [search for search in searches if search.start.converged]
    if not converged:
        raise ConvergenceError(
            f"the fit did not converge from any of {len(points)} starts; give starts closer to the truth, bounds, or "
            "fewer parameters"
        )
    best = min(converged, key=lambda search: _objective(problem, search.start, search.level))
    if best is not searches[0]:  # a rough search came lower: on to its end
        best = _search(problem, best.start.u, best.level)
        evaluations += best.evaluations
    u, level = best.start.u, best.level
    for o, predicted in zip(problem.observations, problem.predictions(u), strict=True):
        # Points without a prediction have a large, constant residual: a search may end among them with no slope at all.
        if np.all(np.isnan(predicted)):
            raise ConvergenceError(
                f"{o.label}: the cell cannot be run to these data from any of {len(points)} starts; give other starts"
            )
    return Estimate(
        problem,
        u,
        jacobian=problem.jacobian(u, level),
        residuals=problem.residuals(u, level),
        levels=level,
        starts=tuple(search.start for search in searches),
        evaluations=evaluations + (1 if problem.together else 2) * u.size + 1,
        edge=_edge(problem, u),
        early=problem.ended_early(u),
    )


def _check_levels(problem: Problem) -> None:
    """Refuse to find the noise of points that the parameters pass through: it came out as zero, and so all errors."""
    free = [o.label for o in problem.observations if o.noise.free]
    profiled = sum(o.profiled_numbers for o in problem.observations)
    unknown = problem.space.size - problem.space.prior_residuals(problem.space.start).size + profiled
    if free and problem.size <= unknown:
        raise InputError(
            f'{free[0]}: noise = "free" needs more points than there are unknowns, and {problem.size} points face '
            f"{unknown}; state error instead, or fit fewer parameters"
        )


def _edge(problem: Problem, u: Array) -> tuple[str, ...]:
    """Parameters that cannot go a step further, on one side or the other."""
    reached = [np.isfinite(prediction) for prediction in problem.predictions(u)]
    names = []
    for k, name in enumerate(problem.space.names):
        e = STEP * np.eye(u.size)[k]
        sides = (problem.predictions(u + e), problem.predictions(u - e))
        if any(np.any(~np.isfinite(s) & r) for side in sides for s, r in zip(side, reached, strict=True)):
            names.append(name)
    return tuple(names)


def _objective(problem: Problem, start: Start, level: Array) -> float:
    """-2 ln likelihood up to a constant, levels included."""
    sizes = np.array([o.size for o in problem.observations])
    return start.chi2 + 2 * float(sizes @ np.log(level))


def _spread(space: Space, first: Array, count: int, seed: int) -> list[Array]:
    if count < 1:
        return []
    cube = qmc.LatinHypercube(space.size, rng=np.random.default_rng(seed)).random(count)
    spread = np.array([p.spread if p.prior_u is None else min(p.spread, p.prior_u[1]) for p in space.parameters])
    low, high = space.bounds
    points = np.clip(first + spread * (2 * cube - 1), low, high)
    return [np.where(np.isfinite(point), point, first) for point in points]


@dataclass(frozen=True)
class _Search:
    """What became of a start, the noise levels that go with it, and the residual evaluations that it took."""

    start: Start
    level: Array
    evaluations: int


def _search(
    problem: Problem,
    point: Array,
    levels: Array | None,
    *,
    rough: bool = False,
    tick: Callable[[], None] | None = None,
) -> _Search:
    """One search; the noise levels follow by turns where they are free. A rough one only tells where it leads.

    `tick` is called before every Jacobian, which takes the time of all its runs.
    """
    free = any(o.noise.free for o in problem.observations)
    bounds, origin = problem.space.bounds, point
    pull = np.eye(point.size) / RIDGE
    level, used, jacobian, evaluations = problem.levels if levels is None else levels, None, None, 0

    def residuals(u: Array) -> Array:
        return np.append(problem.residuals(u, level), (u - origin) / RIDGE)

    def derivatives(u: Array, one_sided: bool) -> Array:
        if tick is not None:
            tick()
        return np.vstack([problem.jacobian(u, level, rough=one_sided), pull])

    # A level among the parameters would need the logarithm of the level among the residuals, which is no sum of
    # squares. By turns each step is least squares or a closed form; the second turn begins next to its end.
    for turn in range(12 if free else 1):
        if free and (turn or levels is None):
            before, level = level, problem.noise_levels(point, used)
            if jacobian is not None:
                jacobian[: problem.size] *= np.repeat(before / level, [o.size for o in problem.observations])[:, None]
        found = descend(
            *(residuals, derivatives, np.clip(point, *bounds), bounds, jacobian),
            rough=rough,
            shared=problem.together,
        )
        evaluations += found.evaluations
        moved = float(np.max(np.abs(found.v - point)))
        point, jacobian = found.v, found.jacobian
        if not free:
            break
        used = _degrees_of_freedom(problem, found.jacobian)
        new = problem.noise_levels(point, used)
        if turn and np.all(np.abs(new / level - 1) < 1e-3) and moved < 1e-3:
            break
    chi2 = float(found.chi2 - np.sum(((point - origin) / RIDGE) ** 2))
    return _Search(Start(point, chi2, found.ended), level, evaluations)


def _degrees_of_freedom(problem: Problem, jacobian: Array) -> Array:
    """Degrees of freedom that each observation gives to the parameters: its share of the hat matrix's trace."""
    covariance = inverse(jacobian.T @ jacobian)
    ends = np.cumsum([0, *(o.size for o in problem.observations)])
    return np.array([float(np.sum(J @ covariance * J)) for J in (jacobian[a:b] for a, b in pairwise(ends))])


_REMARKS = {"data": "", "prior": "  [its prior; the data add little]", "bound": "  [at its bound]"}


def describe(fit: Estimate, names: Sequence[str] | None = None) -> list[str]:
    """Lines for people: value, error and what determines it, then the large correlations.

    Parameters
    ----------
    fit : Estimate
        A fit.
    names : sequence of str, optional
        Which parameters; default all.

    Returns
    -------
    list of str
    """
    lines = []
    held_by, values, errors = fit.held_by, fit.values, fit.errors
    width = max(len(n) for n in fit.space.names)
    for p, sd in zip(fit.space.parameters, fit.sd, strict=True):
        if names is not None and p.name not in names:
            continue
        if held_by[p.name] == "nothing":
            text = "not identified: the data do not determine it"
        else:
            relative = f" ({100 * sd:.2g} %)" if p.logarithmic else ""
            text = f"{values[p.name]:.5g} +/- {errors[p.name]:.2g} {p.unit}{relative}".replace("  ", " ")
            text += _REMARKS[held_by[p.name]]
        lines.append(f"{p.name:<{width}}  {text}")
    correlation, order = fit.correlation, fit.space.names
    pairs = [(abs(correlation[a, b]), a, b) for a in range(fit.space.size) for b in range(a)]
    strong = [(a, b) for c, a, b in sorted(pairs, reverse=True) if c > 0.7][:8]
    if strong:
        listed = ", ".join(f"{order[b]} ~ {order[a]} {correlation[a, b]:+.2f}" for a, b in strong)
        lines.append(f"correlations above 0.7: {listed}")
    return lines


_SHARE = 0.2
"""Share of a direction's largest component from which a parameter is named in its sentence."""


@dataclass(frozen=True)
class Direction:
    """One eigen-direction of the information.

    Parameters
    ----------
    sd : float
        Standard error along it, in u [1]; infinite where the data do not see it at all.
    weights : dict
        Parameter name -> component of the unit vector [1].
    text : str
        The same for people.
    """

    sd: float
    weights: dict[str, float]
    text: str

    @property
    def weak(self) -> bool:
        """Whether it counts as not identified."""
        return self.sd > IDENTIFIED


def directions(information: Array, space: Space) -> tuple[Direction, ...]:
    """Eigen-directions, the weakest first.

    Parameters
    ----------
    information : ndarray, shape (p, p)
        Fisher information in u; of the data alone, to learn what they alone determine.
    space : Space
        The parameters.

    Returns
    -------
    tuple of Direction
    """
    weight, vectors = np.linalg.eigh(0.5 * (information + information.T))
    floor = 1e-10 * max(float(weight[-1]), 1e-300)
    result = []
    for w, v in zip(weight, vectors.T, strict=True):
        sd = float(1 / np.sqrt(w)) if w > floor else np.inf
        v = v * np.sign(v[int(np.argmax(np.abs(v)))])
        weights = dict(zip(space.names, (float(x) for x in v), strict=True))
        result.append(Direction(sd, weights, _words(sd, v, space)))
    return tuple(result)


def _words(sd: float, v: Array, space: Space) -> str:
    order = np.argsort(-np.abs(v))
    main = [int(k) for k in order if abs(v[k]) >= _SHARE * abs(v[order[0]])]
    names = [space.names[k] for k in main]
    size = "the data do not see it" if not np.isfinite(sd) else f"standard error along it {_size(sd)}"
    if len(main) == 1:
        return f"{names[0]} by itself: {size if sd > IDENTIFIED else f'held to {_size(sd)}'}"
    together = " and ".join([", ".join(names[:-1]), names[-1]])
    scale = 0.1 / abs(v[main[0]])
    moves = ", ".join(_move(space.parameters[k], float(v[k]) * scale) for k in main)
    if sd > IDENTIFIED:
        return f"{together} trade off: {moves} changes little that is measured; {size}"
    return f"{together} together ({moves}): held to {_size(sd)}"


def _move(p: Parameter, du: float) -> str:
    if p.logarithmic:
        return f"{p.name} {100 * np.expm1(du):+.2g} %"
    unit = f" {p.unit}" if p.unit else ""
    return f"{p.name} {du * p.typical:+.2g}{unit}"


def _size(sd: float) -> str:
    if sd > 3:
        return f"{sd:.2g}, many times its value"
    return f"{100 * sd:.2g} %" if sd < 0.3 else f"{sd:.2g}"
