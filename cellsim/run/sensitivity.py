"""How outputs of a run answer to parameters: central differences over whole runs, measured to be the best choice here.

scikit-sundae exposes no forward sensitivities, and complex steps cannot pass CVODE's real states. An augmented tangent
system was tried against differences (docs/solvers.md): it was not cheaper at one per mille, and knows neither stop
conditions, kinetic tables nor the other solvers. Central differences with steps of a few per cent and the solver's
tolerance at 1e-5 reach one per mille, with any solver, protocol and output, and run in parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, ConvergenceError
from cellsim.run.ensemble import Member, simulate_many
from cellsim.solvers.solution import Solution
from cellsim.workers import Workers


@dataclass(frozen=True)
class Sensitivities:
    """Outputs at a point of the parameter space and their derivatives.

    Attributes
    ----------
    value : ndarray, shape (outputs,)
        Outputs at the parameters.
    jacobian : ndarray, shape (outputs, parameters)
        d(output)/d(parameter).
    error : ndarray, shape (outputs, parameters), or None
        Estimated error of the derivatives, from a second step; None where it was not asked for.
    """

    value: Array
    jacobian: Array
    error: Array | None = None


def sensitivities(
    build: Callable[[Array], Member],
    parameters: ArrayLike,
    outputs: Callable[[Solution], Any],
    *,
    step: float = 0.03,
    scale: ArrayLike | None = None,
    estimate_error: bool = False,
    workers: int | Workers | None = 1,
    scheduler: str | None = None,
) -> Sensitivities:
    """Derivatives of outputs with respect to parameters.

    d(output)/d(p) = [output(p + h) - output(p - h)]/(2h), h = `step` times `scale`: an error of the order h^2 from the
    curvature, and of the solver's error over h. Ask the solver for 1e-5 or better (`Options(rtol=1e-5)`).

    Parameters
    ----------
    build : callable
        Makes a member of an ensemble from parameters, shape (p,); in parallel runs it is called here, not in workers.
    parameters : array_like, shape (p,)
        Where to differentiate.
    outputs : callable
        Makes numbers of a Solution, all in the same places every time, ``lambda s: s["i"]``.
    step : float
        Relative step [1].
    scale : array_like, shape (p,), optional
        What a parameter's step is relative to; default its own size, 1 for zero.
    estimate_error : bool
        Twice the runs: a second, double step, the extrapolated derivative and an estimate of what is left.
    workers, scheduler
        As :func:`cellsim.run.ensemble.simulate_many`; default: in this process.

    Returns
    -------
    Sensitivities

    Raises
    ------
    ConvergenceError
        If one of the runs fails.
    """
    point = np.atleast_1d(np.asarray(parameters, dtype=float))
    size = np.abs(point) if scale is None else np.broadcast_to(np.asarray(scale, dtype=float), point.shape)
    h = step * np.where(size > 0, size, 1.0)
    factors = (1.0, 2.0) if estimate_error else (1.0,)
    points = [point] + [
        point + sign * factor * h[k] * np.eye(point.size)[k]
        for factor in factors
        for k in range(point.size)
        for sign in (1, -1)
    ]
    found = simulate_many(
        [build(p) for p in points], keep=outputs, workers=None if scheduler else workers, scheduler=scheduler
    )
    for outcome in found:
        if not outcome.succeeded:
            raise ConvergenceError(
                f"run {outcome.index} of {len(points)} for the sensitivities failed: {outcome.error}"
            )
    values = np.array([np.atleast_1d(np.asarray(outcome.value, dtype=float)) for outcome in found])
    pairs = values[1:].reshape(len(factors), point.size, 2, -1)
    slopes = [((pairs[f, :, 0] - pairs[f, :, 1]) / (2 * factor * h[:, None])).T for f, factor in enumerate(factors)]
    if not estimate_error:
        return Sensitivities(values[0], slopes[0])
    correction = (slopes[0] - slopes[1]) / 3
    return Sensitivities(values[0], slopes[0] + correction, np.abs(correction))
