"""Made-up measurements of a known set, drawn from their own error model: what every method here is tested on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.fit.problem import Problem

Array = NDArray[np.float64]


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
        made = []
        for o in e.observations:
            value = next(predicted)
            if not np.all(np.isfinite(value)):
                raise InputError(f"{o.label}: the run does not reach all points at these values; shorten the data")
            made.append(replace(o, measured=value if generator is None else value + o.noise.draw(generator)))
        experiments.append(replace(e, observations=tuple(made)))
    return Problem(problem.space, problem.model, tuple(experiments))
