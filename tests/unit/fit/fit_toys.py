"""Fits without a cell: looks that are plain functions of their own nuisances, on a set that nothing looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cellsim.cell.geometry import Cell
from cellsim.electrolyte.set_file import read_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.problem import Problem
from cellsim.fit.set_model import SetModel
from cellsim.instruments.looks import Cut
from cellsim.instruments.noise import Noise, independent

Array = NDArray[np.float64]
BASE = read_set("steinruck2020_rs")
T = 363.15
CELL = Cell(3e-3, T)
BOUND = BASE.bind(T)


@dataclass(frozen=True)
class Still(SetModel):
    """A set in which nothing is fitted, bound once."""

    def at(self, values: Mapping[str, float], T: float) -> TransportSet:
        return BOUND


@dataclass(frozen=True)
class Function:
    """A look that is a function of nuisances by role."""

    function: Callable[[Mapping[str, float]], Array]

    def times(self, values: Mapping[str, float]) -> Array:
        return np.zeros(0)

    def predict(self, transport: object, solution: object, values: Mapping[str, float]) -> Array:
        return np.asarray(self.function(values))

    def subset(self, keep: NDArray[np.bool_], end: float = np.inf) -> Cut:
        return Cut(self, keep)

    def delayed(self, offset: float) -> Function:
        return self


def toy(
    function: Callable[[Mapping[str, float]], Array],
    measured: Array,
    parameters: Sequence[Parameter],
    *,
    noise: Noise | None = None,
    sd: float = 1.0,
    space: Space | None = None,
    **more: object,
) -> Problem:
    """One observation that is `function` of all parameters, by name."""
    names = {p.name: p.name for p in parameters}
    more.setdefault("time", np.zeros(0))
    noise = noise or independent(np.full(measured.size, sd))
    o = Observation("current", "toy", measured, Function(function), noise, nuisance=names, **more)  # type: ignore[arg-type]
    e = Experiment("toy", CELL, None, 1000.0, (o,))
    return Problem(space or Space(tuple(parameters)), Still(BASE), (e,))


def linear(A: Array, truth: Array, *, sd: float = 1.0, seed: int = 0, priors: object = None, **more: object) -> Problem:
    """y = A p + noise; parameters p0, p1, ..."""
    parameters = [Parameter(f"p{k}", 0.0) for k in range(A.shape[1])]
    y = A @ truth + sd * np.random.default_rng(seed).standard_normal(len(A))
    return toy(lambda v: A @ [v[p.name] for p in parameters], y, parameters, sd=sd, **more)  # type: ignore[arg-type]


def with_observation(problem: Problem, **changes: object) -> Problem:
    """The same toy with another observation."""
    e = problem.experiments[0]
    o = replace(e.observations[0], **changes)  # type: ignore[arg-type]
    return replace(problem, experiments=(replace(e, observations=(o,)),))
