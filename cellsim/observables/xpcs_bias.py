"""How far least squares is off on average, to first order, because g2 is not linear in its parameters.

Next to rest a curve knows v^2 h (1 - h) better than v or h. Where the envelope has hardly decayed within the delays, h
is poorly known in every ring, and the errors of many h add up in the one v: its estimate is biased by more than its
error, and the interval fails. The bias follows from the curvature of the model (Box 1971, J. R. Stat. Soc. B 33, 171).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellsim.observables import xpcs_engine as engine
from cellsim.observables.xpcs_engine import Array, Levels, Parameters, Problem

STEP = 1e-4
"""Step of the numerical second derivatives [internal]."""


def relative_bias(problem: Problem, theta: Parameters, levels: Levels, free: Sequence[int]) -> Array:
    """First-order bias of v over its standard error, for every start in `theta`, shape (starts,) [1].

    b = -C J^T m/2, m_k = tr(C H_k): C the covariance of the parameters, J the derivatives of the weighted model, H_k
    the second derivatives of point k.

    Parameters
    ----------
    problem : Problem
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
        step = STEP * np.maximum(np.abs(theta[p]), 1.0) if p == engine.V else np.full_like(theta[p], STEP)
        up, down = (Parameters(*(a + s * step if i == p else a for i, a in enumerate(theta))) for s in (1.0, -1.0))
        change = _weighted(problem, up, levels, free) - _weighted(problem, down, levels, free)
        H[..., j] = change / (2 * step[:, problem.groups(levels[p])][..., None, None])
    place = _places(problem, levels, free)
    size = int(place.max()) + 1
    found = np.full(J.shape[0], np.nan)
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
        found[s] = -0.5 * covariance[first] @ pull / np.sqrt(covariance[first, first])
    return found


def _weighted(problem: Problem, theta: Parameters, levels: Levels, free: Sequence[int]) -> Array:
    """Derivatives of the model over the errors, shape (starts, n, k, parameters of a curve)."""
    _, columns = engine.model(problem, theta, levels, free)
    return np.stack(columns, axis=-1) * problem.root_weight[..., None]


def _places(problem: Problem, levels: Levels, free: Sequence[int]) -> engine.Index:
    """Number of every parameter of every curve among all parameters, shape (n, parameters of a curve)."""
    columns, start = [], 0
    for p in free:
        groups = problem.groups(levels[p])
        columns.append(start + groups)
        start += int(groups.max()) + 1
    return np.stack(columns, axis=1)
