"""A fit as a function: parameters in, whitened residuals and their derivatives out; synthetic data of a known set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, CellsimError, InputError
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.fit.experiment import Experiment, NothingMeasured, Observation
from cellsim.fit.memory import Memory
from cellsim.fit.mixture_model import MixtureModel
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import SetModel, recalled
from cellsim.run.simulation import FASTEST, NUDGE
from cellsim.solvers.solution import Solution

STEP = 0.02
"""Step of the central differences in u: a curvature error of some 1e-4, far above the solver's error over the step."""
ROUGH = 0.1
"""The step of a one-sided difference, relative to that: its curvature error is of first order."""
RUNS, SETS, POINTS = 8, 32, 64
"""How many of the last runs, sets and points are remembered: a set's tables cost more than the run made with them, and
the columns of a Jacobian that move a nuisance need the set of the point, not a new one."""
LOST = 25.0
"""Residuals beyond this, of more than half the points: a run that was not made."""


@dataclass(frozen=True)
class Problem:
    """Experiments, the set they share, and what may change.

    Parameters
    ----------
    space : Space
        All parameters, the set's first.
    model : SetModel or MixtureModel
        Values -> transport set of a binary salt, or of n components.
    experiments : tuple of Experiment
        At least one.

    Raises
    ------
    InputError
        A nuisance that is no parameter, a parameter that nothing uses.
    """

    space: Space
    model: SetModel | MixtureModel
    experiments: tuple[Experiment, ...]

    @cached_property
    def _runs(self) -> dict[tuple[object, ...], Solution | None]:
        return {}

    @cached_property
    def _sets(self) -> dict[tuple[float, ...], Electrolyte]:
        return {}

    @cached_property
    def _points(self) -> dict[bytes, list[Array]]:
        return {}

    @cached_property
    def _predict(self) -> Callable[[Array], list[Array]]:
        return self._predicted

    def __post_init__(self) -> None:
        used = {p.name for p in self.model.parameters}
        for e in self.experiments:
            used |= set(e.nuisance.values()) | {n for o in e.observations for n in o.nuisance.values()}
        for name in used:
            self.space.index(name)
        idle = [name for name in self.space.names if name not in used]
        if idle:
            raise NothingMeasured(f"the parameter {idle[0]} changes nothing that was measured; take it out")

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Of all experiments, in their order."""
        return tuple(o for e in self.experiments for o in e.observations)

    @property
    def size(self) -> int:
        """Number of points measured."""
        return sum(e.size for e in self.experiments)

    @property
    def levels(self) -> Array:
        """First guess of the noise levels, one per observation [1]."""
        return np.ones(len(self.observations))

    # ---- predictions ----------------------------------------------------------------------------------------------

    def transport(self, values: Mapping[str, float], T: float) -> Electrolyte:
        """The set at parameter values, one of the last again where they are the same."""
        key = (T, *(values[p.name] for p in self.model.parameters))
        return recalled(self._sets, key, SETS, lambda: self.model.at(values, T))

    def predictions(self, u: Array) -> list[Array]:
        """Predictions of all observations at the point `u`, shape (p,); NaN where a run cannot be made."""
        return recalled(self._points, np.asarray(u, dtype=float).tobytes(), POINTS, lambda: self._predict(u))

    @contextmanager
    def remembering(self, file: str | Path) -> Iterator[None]:
        """Within the block, what points predict is kept in a file (.npz), and taken from it by a later call."""
        self.__dict__["_predict"] = Memory(Path(file), self._predicted)
        try:
            yield
        finally:
            del self.__dict__["_predict"]

    def _predicted(self, u: Array) -> list[Array]:
        values = self.space.values(u)
        return [prediction for k in range(len(self.experiments)) for prediction in self._of_experiment(k, values)]

    def _of_experiment(self, k: int, values: dict[str, float]) -> list[Array]:
        e = self.experiments[k]
        try:
            transport = self.transport(values, e.cell.temperature)
            solution = self._run(k, transport, values)
        except CellsimError:
            return [np.full(o.size, np.nan) for o in e.observations]
        return e.look(transport, solution, values)

    def _run(self, k: int, transport: Electrolyte, values: dict[str, float]) -> Solution | None:
        """The run of an experiment, one of the last few again where nothing it depends on has changed."""
        e = self.experiments[k]
        return recalled(self._runs, self._run_key(k, values), RUNS, lambda: e.run(transport, values))

    def _run_key(self, k: int, values: Mapping[str, float]) -> tuple[object, ...]:
        """All that the run of an experiment depends on."""
        e = self.experiments[k]
        names = [p.name for p in self.model.parameters] + list(e.nuisance.values())
        names += [o.nuisance["time_offset"] for o in e.observations if "time_offset" in o.nuisance]
        return (k, *(values[name] for name in names))

    def ended_early(self, u: Array) -> tuple[str, ...]:
        """One sentence for each experiment whose run at the point `u` does not reach all of its data.

        Such points have no residual but a large constant: they are no measure of a misfit, and no derivative sees them.
        """
        sentences, values = [], self.space.values(u)
        for k, e in enumerate(self.experiments):
            try:
                solution = self._run(k, self.transport(values, e.cell.temperature), values)
            except CellsimError as error:
                sentences.append(f"{e.name}: the cell cannot be run at these values ({error})")
                continue
            missing = sum(int(np.count_nonzero(~np.isfinite(p))) for p in self._of_experiment(k, values))
            if missing and solution is not None:
                end, status = float(solution["time"][-1]), solution.status
                why = f": {solution.message}" if solution.message else ""
                sentences.append(
                    f"{e.name}: the run ends at {end:.6g} s ({status}{why}), and {missing} of {e.size} points have no "
                    "prediction"
                )
        return tuple(sentences)

    # ---- residuals ------------------------------------------------------------------------------------------------

    def residuals(self, u: Array, levels: Array | None = None) -> Array:
        """Whitened residuals of all data, then of the priors, shape (n + priors,) [1].

        Parameters
        ----------
        u : ndarray, shape (p,)
            Point in the fit's coordinates.
        levels : ndarray, shape (observations,), optional
            What the standard errors of each observation are multiplied by.
        """
        scale = self.levels if levels is None else levels
        points = zip(self.observations, self.predictions(u), scale, strict=True)
        data = [o.residual(prediction) / s for o, prediction, s in points]
        return np.concatenate([*data, self.space.prior_residuals(u)])

    def jacobian(
        self,
        u: Array,
        levels: Array | None = None,
        columns: NDArray[np.int64] | None = None,
        *,
        rough: bool = False,
    ) -> Array:
        """d(residuals)/du, shape (n + priors, columns).

        By runs beside the one at `u` (:func:`.simulate_beside`) where the compiled solver makes them; else, and for an
        offset of times, by central differences of whole runs, one-sided where the run on one side cannot be made;
        everywhere where `rough`, at half the runs. Rough ones beside one another are not more exact than a run.
        """
        which = np.arange(u.size) if columns is None else columns
        smooth = np.array([k for k in which if k not in self._clocks], dtype=np.int64)
        tangents = self._tangents(u, levels, smooth, precise=not rough)
        if tangents is None:
            return self._differences(u, levels, which, rough)
        J = np.empty((tangents.shape[0], which.size))
        moved = np.isin(which, smooth)
        J[:, moved] = tangents
        if not moved.all():
            J[:, ~moved] = self._differences(u, levels, which[~moved], rough)
        return J

    def _differences(self, u: Array, levels: Array | None, which: NDArray[np.int64], rough: bool) -> Array:
        base: Array | None = None
        J = np.empty((self.size + self.space.prior_residuals(u).size, which.size))
        step = ROUGH * STEP if rough else STEP
        for j, k in enumerate(which):
            e = np.zeros(u.size)
            e[k] = step
            up = self.residuals(u + e, levels)
            down = None if rough and not _lost(up) else self.residuals(u - e, levels)
            if down is None or _lost(up) != _lost(down):
                base = self.residuals(u, levels) if base is None else base
                J[:, j] = (up - base) / step if down is None or _lost(down) else (base - down) / step
            else:
                J[:, j] = (up - down) / (2 * step)
        return J

    @property
    def together(self) -> bool:
        """Whether derivatives come from runs that share their time steps: where the compiled solver makes all runs."""
        solvers = {e.solver for e in self.experiments if e.protocol is not None}
        return isinstance(self.model, SetModel) and solvers == {FASTEST}

    @cached_property
    def _clocks(self) -> set[int]:
        """Parameters that move the times at which a run is looked at."""
        names = {o.nuisance["time_offset"] for o in self.observations if "time_offset" in o.nuisance}
        return {self.space.index(name) for name in names}

    def _tangents(self, u: Array, levels: Array | None, which: NDArray[np.int64], *, precise: bool) -> Array | None:
        """The columns `which` of the Jacobian from runs beside the one at `u`; None where they cannot be made."""
        beside = self._beside(u, which, precise=precise)
        if beside is None:
            return None
        rows = []
        points = zip(self.observations, beside, self.levels if levels is None else levels, strict=True)
        for o, (own, *others), level in points:
            rows.append(np.column_stack([_slope(o, own, other) / level for other in others]))
        own, *others = (self.space.prior_residuals(u + NUDGE * e) for e in self._directions(which))
        rows.append(np.column_stack([(other - own) / NUDGE for other in others]))
        return np.concatenate(rows)

    def _directions(self, which: NDArray[np.int64]) -> Array:
        """Nothing, and a step of 1 in each of `which`, shape (which + 1, p)."""
        return np.concatenate([np.zeros((1, self.space.size)), np.eye(self.space.size)[which]])

    def _beside(self, u: Array, which: NDArray[np.int64], *, precise: bool) -> list[list[Array]] | None:
        """What each observation is predicted to be at `u`, and next to it by the same time steps in each of `which`.

        None where such runs cannot be made.
        """
        if not (self.together and which.size):
            return None
        values = [self.space.values(u + NUDGE * e) for e in self._directions(which)]
        found: list[list[Array]] = []
        try:
            for k, e in enumerate(self.experiments):
                sets = [self.transport(v, e.cell.temperature) for v in values]
                runs = self._runs_beside(k, sets, values, precise)
                first = 0 if precise else 1
                looks = [e.look(*one) for one in zip(sets[first:], runs[first:], values[first:], strict=True)]
                found += [list(predictions) for predictions in zip(*looks, strict=True)]
        except CellsimError:
            return None
        return found if precise else [[own, *more] for own, more in zip(self.predictions(u), found, strict=True)]

    def _runs_beside(
        self, k: int, sets: list[Electrolyte], values: list[dict[str, float]], precise: bool
    ) -> list[Solution | None]:
        """The run of an experiment at the first values, and beside it those at the others that it depends on."""
        e = self.experiments[k]
        if e.protocol is None:
            return [None] * len(values)
        known, keys = self._run(k, sets[0], values[0]), [self._run_key(k, v) for v in values]
        places = [0, *(place for place, key in enumerate(keys) if key != keys[0])]
        made = e.run_beside([(sets[place], values[place]) for place in places], known, precise=precise)
        runs: list[Solution | None] = [made[0]] * len(values)
        for place, run in zip(places, made, strict=True):
            runs[place] = run
        return runs

    def slopes(self, u: Array) -> list[Array]:
        """d(predictions)/du of each observation, shape (n, p), as :meth:`jacobian`; NaN where a run does not reach."""
        smooth = np.array([k for k in range(u.size) if k not in self._clocks], dtype=np.int64)
        beside = self._beside(u, smooth, precise=True)
        columns: dict[int, list[Array]] = {}
        if beside is not None:
            for j, k in enumerate(smooth):
                columns[int(k)] = [(predicted[j + 1] - predicted[0]) / NUDGE for predicted in beside]
        for k in range(u.size):
            if k not in columns:
                e = STEP * np.eye(u.size)[k]
                pairs = zip(self.predictions(u + e), self.predictions(u - e), strict=True)
                columns[k] = [(up - down) / (2 * STEP) for up, down in pairs]
        return [np.column_stack([columns[k][n] for k in range(u.size)]) for n in range(len(self.observations))]

    def noise_levels(self, u: Array, used: Array | None = None) -> Array:
        """What scales the standard errors of observations with a free noise level, at the point `u`.

        Parameters
        ----------
        u : ndarray, shape (p,)
            Point in the fit's coordinates.
        used : ndarray, shape (observations,), optional
            Degrees of freedom that each observation gives to the parameters [1]; default its share of the points.
        """
        if used is None:
            used = np.array([o.size for o in self.observations]) * self.space.size / self.size
        levels = self.levels
        for k, (o, prediction) in enumerate(zip(self.observations, self.predictions(u), strict=True)):
            if o.noise.free:
                free = max(1.0, o.size - float(used[k]) - o.profiled_numbers)
                levels[k] = max(float(np.sqrt(np.sum(o.residual(prediction) ** 2) / free)), 1e-12)
        return levels

    def information(self, jacobian: Array) -> Array:
        """Fisher information J^T J in u, shape (p, p), of a Jacobian with or without its priors' rows."""
        return np.asarray(jacobian.T @ jacobian)

    def only(self, keep: list[NDArray[np.bool_]]) -> Problem:
        """The same problem on some of the points, one mask per observation; empty observations fall out."""
        experiments, k = [], 0
        for e in self.experiments:
            observations = []
            for o in e.observations:
                if keep[k].all():
                    observations.append(o)
                elif keep[k].any():
                    observations.append(o.only(keep[k]))
                k += 1
            if observations:
                experiments.append(replace(e, observations=tuple(observations)))
        return Problem(self.space, self.model, tuple(experiments))

    def __getstate__(self) -> dict[str, object]:
        """Runs and sets are not worth sending to another process."""
        state = {name: value for name, value in self.__dict__.items() if name != "_predict"}
        return state | {"_runs": {}, "_sets": {}, "_points": {}}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


def _slope(o: Observation, own: Array, other: Array) -> Array:
    """Derivative of the whitened residuals from two predictions; 0 where one of them is missing."""
    missing = ~(np.isfinite(own) & np.isfinite(other))
    own, other = (np.where(missing, np.nan, each) for each in (own, other))
    return np.asarray((o.residual(other) - o.residual(own)) / NUDGE)


def _lost(residuals: Array) -> bool:
    return bool(np.count_nonzero(np.abs(residuals) > LOST) > 0.5 * residuals.size)


def synthetic(problem: Problem, u: Array, generator: np.random.Generator | None) -> Problem:
    """The same problem with data drawn at the point `u`; without noise where `generator` is None.

    Parameters
    ----------
    problem : Problem
        Its measured values do not matter.
    u : ndarray, shape (p,)
        The truth, in the fit's coordinates.
    generator : numpy.random.Generator, optional
        Where the noise comes from.

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        A truth at which a run cannot be made, or does not reach all data.
    """
    predicted = iter(problem.predictions(u))
    experiments = []
    for e in problem.experiments:
        observations = []
        for o in e.observations:
            value = next(predicted)
            if not np.all(np.isfinite(value)):
                raise InputError(f"{o.label}: the run does not reach all points at these values; shorten the data")
            observations.append(replace(o, value=value if generator is None else value + o.noise.draw(generator)))
        experiments.append(replace(e, observations=tuple(observations)))
    return Problem(problem.space, problem.model, tuple(experiments))
