"""Current and voltage as a potentiostat records them, from a run, and how two of them compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.solvers.solution import Solution


@dataclass(frozen=True)
class RatioStatistics:
    """A ratio over time or over points.

    Parameters
    ----------
    count : int
        Number of ratios.
    mean, sd : float
        Mean and standard deviation (n - 1) [1].
    low, high : float
        Least and largest [1].
    within : float
        Share of ratios within 10 % of 1 [1].
    """

    count: int
    mean: float
    sd: float
    low: float
    high: float
    within: float


def recorded(solution: Solution, name: Literal["i", "V"], times: ArrayLike, *, area: float | None = None) -> Array:
    """Current density, current or voltage at the times of a recording, linear between kept states.

    Parameters
    ----------
    solution : Solution
        The run.
    name : {"i", "V"}
        What is recorded.
    times : array_like, shape (n,)
        [s] from the start of the run.
    area : float, optional
        Electrode area [m^2]: gives the current in A.

    Returns
    -------
    ndarray, shape (n,)
        [A/m^2, A or V]; NaN before the start and after the end of the run.
    """
    values = np.interp(np.asarray(times, dtype=float), solution["time"], solution[name], left=np.nan, right=np.nan)
    return values * area if area is not None and name == "i" else values


def ratio_statistics(ratio: ArrayLike) -> RatioStatistics:
    """Statistics of the finite ones among `ratio`.

    Raises
    ------
    InputError
        If none is finite.
    """
    values = np.asarray(ratio, dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise InputError("no ratio can be formed: measurement and prediction do not overlap, or one of them is zero")
    return RatioStatistics(
        values.size,
        float(values.mean()),
        float(values.std(ddof=1)) if values.size > 1 else 0.0,
        float(values.min()),
        float(values.max()),
        float(np.mean(np.abs(values - 1) <= 0.1)),
    )
