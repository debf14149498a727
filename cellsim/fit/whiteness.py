"""Whether residuals of profiles are noise: by time, by position, neighbours, runs; judged against the fit's own noise.

Fitting and common patterns leave correlations in residuals that are no misfit, so each number is compared with what the
same fit makes of made-up noise: white numbers with the fitted directions taken out, passed through the same statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.fit.estimate import Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """One statistic of the residuals.

    Parameters
    ----------
    name : str
        What it looks at.
    value : float
        Of the residuals [1].
    expected : float
        Mean of it over made-up noise [1].
    sd : float
        Its standard deviation over made-up noise [1].
    p : float
        Share of made-up noise that lies as far from its mean, or farther [1].
    """

    name: str
    value: float
    expected: float
    sd: float
    p: float


@dataclass(frozen=True)
class Whiteness:
    """What the residuals look like.

    Parameters
    ----------
    residual : ndarray, shape (t, k)
        Whitened: measured minus predicted with what pixels and profiles share taken off [1].
    checks : tuple of Check
        Statistics.
    by_profile, by_pixel : ndarray, shape (t,), (k,)
        Mean square [1].
    """

    residual: Array
    checks: tuple[Check, ...]
    by_profile: Array
    by_pixel: Array

    @property
    def worst(self) -> Check:
        """The check with the smallest p."""
        return min(self.checks, key=lambda c: (c.p, -abs(c.value - c.expected) / max(c.sd, 1e-300)))


def whiteness(
    found: Estimate, shape: tuple[int, int], *, draws: int = 400, seed: int = 0, noise: Array | None = None
) -> Whiteness:
    """Check the residuals of a fit to one set of profiles.

    Parameters
    ----------
    found : Estimate
        A fit with one observation.
    shape : tuple of int
        Profiles and pixels.
    draws : int
        Made-up residuals for comparison.
    seed : int
        Of them.
    noise : ndarray, shape (t k,), optional
        Whitened residuals to look at instead of the fit's own.

    Returns
    -------
    Whiteness

    Raises
    ------
    InputError
        Several observations, or a shape that is not theirs.
    """
    problem = found.problem
    if len(problem.observations) != 1 or problem.size != shape[0] * shape[1]:
        raise InputError(f"residuals of {shape[0]} x {shape[1]} points asked for, the fit has {problem.size}")
    w = (found.residuals[: problem.size] if noise is None else noise).reshape(shape)
    model = problem.observations[0].noise
    fitted, _ = np.linalg.qr(found.jacobian[: problem.size])
    generator = np.random.default_rng(seed)
    seen = statistics(w)
    made: dict[str, list[float]] = {name: [] for name in seen}
    for _ in range(draws):
        z = model.whiten(model.draw(generator))
        z = z - fitted @ (fitted.T @ z)
        for name, value in statistics(z.reshape(shape)).items():
            made[name].append(value)
    checks = []
    for name, value in seen.items():
        drawn = np.array(made[name])
        centre = float(drawn.mean())
        far = np.count_nonzero(np.abs(drawn - centre) >= abs(value - centre))
        checks.append(Check(name, value, centre, float(drawn.std(ddof=1)), float((far + 1) / (draws + 1))))
    return Whiteness(w, tuple(checks), (w**2).mean(axis=1), (w**2).mean(axis=0))


def statistics(w: Array) -> Mapping[str, float]:
    """Statistics of whitened residuals of shape (t, k), by name [1]."""
    square = w**2
    total = float(square.sum())
    signs_z, signs_t = np.diff(np.sign(w), axis=1) != 0, np.diff(np.sign(w), axis=0) != 0
    trend = np.linspace(-1, 1, w.shape[0])
    return {
        "mean square": float(square.mean()),
        "largest mean square of a profile": float(square.mean(axis=1).max()),
        "largest mean square of a pixel": float(square.mean(axis=0).max()),
        "neighbouring pixels": float(np.sum(w[:, 1:] * w[:, :-1])) / total,
        "second neighbours along z": float(np.sum(w[:, 2:] * w[:, :-2])) / total,
        "successive profiles": float(np.sum(w[1:] * w[:-1])) / total,
        "second profiles": float(np.sum(w[2:] * w[:-2])) / total,
        "profiles' means": float(np.mean(w.mean(axis=1) ** 2) * w.shape[1]),
        "trends in time, by pixel": float(np.mean((trend @ w) ** 2) / (trend @ trend)),
        "changes of sign along z": float(signs_z.mean()),
        "changes of sign in time": float(signs_t.mean()),
        "excess kurtosis": float(np.mean(square**2) / np.mean(square) ** 2 - 3),
    }
