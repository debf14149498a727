"""Is a fit to be believed? Whiteness of its residuals, forecasts of data held out, the voltage that is left over.

**Whiteness.** Fitting and common patterns leave correlations in residuals that are no misfit, so each number is
compared with what the same fit makes of made-up noise: white numbers with the fitted directions taken out, passed
through the same statistics.

**Forecast.** With r = measured - predicted at the fit to the early data, C the errors, J the derivatives, S the fit's
covariance:

    late residual:   mean  K r_e,   K = C_le C_ee^-1
                     covariance  C_ll - K C_el + G S G^T,   G = J_l - K J_e

so a pattern learned from early profiles is expected again in late ones, and the parameters' own uncertainty counts.

**Apparent resistance.** R_app(t) = (U_measured - U_electrolyte)/i, in ohm with a whole current for i. U_electrolyte
comes from draws of the set, so the band of R_app is what the electrolyte's uncertainty does to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from cellsim.base import Array, InputError
from cellsim.electrolyte.relations import TWO_SIDED, band
from cellsim.fit.estimate import Estimate
from cellsim.fit.experiment import Observation
from cellsim.fit.problem import Problem


@dataclass(frozen=True)
class ResidualCheck:
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
    checks : tuple of ResidualCheck
        Statistics.
    by_profile, by_pixel : ndarray, shape (t,), (k,)
        Mean square [1].
    """

    residual: Array
    checks: tuple[ResidualCheck, ...]
    by_profile: Array
    by_pixel: Array

    @property
    def worst(self) -> ResidualCheck:
        """The check with the smallest p."""
        return min(self.checks, key=lambda c: (c.p, -abs(c.value - c.expected) / max(c.sd, 1e-300)))


def whiteness(
    fit: Estimate, shape: tuple[int, int], *, draws: int = 400, seed: int = 0, noise: Array | None = None
) -> Whiteness:
    """Check the residuals of a fit to one set of profiles.

    Parameters
    ----------
    fit : Estimate
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
    problem = fit.problem
    if len(problem.observations) != 1 or problem.size != shape[0] * shape[1]:
        raise InputError(f"residuals of {shape[0]} x {shape[1]} points asked for, the fit has {problem.size}")
    w = (fit.residuals[: problem.size] if noise is None else noise).reshape(shape)
    model = problem.observations[0].noise
    fitted, _ = np.linalg.qr(fit.jacobian[: problem.size])
    generator = np.random.default_rng(seed)
    measured = statistics(w)
    simulated: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(draws):
        z = model.whiten(model.draw(generator))
        z = z - fitted @ (fitted.T @ z)
        for name, value in statistics(z.reshape(shape)).items():
            simulated[name].append(value)
    checks = []
    for name, value in measured.items():
        drawn = np.array(simulated[name])
        centre = float(drawn.mean())
        far = np.count_nonzero(np.abs(drawn - centre) >= abs(value - centre))
        checks.append(ResidualCheck(name, value, centre, float(drawn.std(ddof=1)), float((far + 1) / (draws + 1))))
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


Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Forecast:
    """A prediction of held-out points.

    Parameters
    ----------
    measured, mean, sd : ndarray, shape (n,)
        Points, prediction and its standard deviation, noise included (unit of the measurement).
    whitened : ndarray, shape (n,)
        Independent standard normal numbers if the prediction and its errors are right [1].
    log_density : float
        ln of the predictive density of the points, without ln(2 pi) [1].
    """

    measured: Array
    mean: Array
    sd: Array
    whitened: Array
    log_density: float

    @property
    def z(self) -> Array:
        """Score of each point by itself, shape (n,) [1]."""
        return np.asarray((self.measured - self.mean) / self.sd)

    @property
    def chi2_per_point(self) -> float:
        """Mean square of the whitened scores: 1 if all is right."""
        return float(np.mean(self.whitened**2))

    @property
    def inside(self) -> float:
        """Share of points inside their 95 % interval."""
        return float(np.mean(np.abs(self.z) < TWO_SIDED))

    @property
    def rms(self) -> float:
        """Root mean square of measured minus predicted (unit of the measurement)."""
        return float(np.sqrt(np.mean((self.measured - self.mean) ** 2)))


def forecast(early: Estimate, whole: Problem, late: Mask, *, observation: int = 0) -> Forecast:
    """Predict the points of one observation that a fit did not see.

    Parameters
    ----------
    early : Estimate
        The fit to the points where `late` is False; same parameters, same noise level.
    whole : Problem
        The same problem with all points.
    late : ndarray of bool, shape (n,)
        Points of the observation to predict.
    observation : int
        Which one.

    Returns
    -------
    Forecast
    """
    return conditional(
        whole.observations[observation],
        whole.predictions(early.u)[observation],
        late,
        level=float(early.levels[observation]),
        slopes=whole.slopes(early.u)[observation],
        covariance=early.covariance,
    )


def conditional(
    observation: Observation,
    predicted: Array,
    late: Mask,
    *,
    level: float = 1.0,
    slopes: Array | None = None,
    covariance: Array | None = None,
) -> Forecast:
    """Late points from early ones under any prediction.

    Parameters
    ----------
    observation : Observation
        All points and their errors; profiled gains are not supported.
    predicted : ndarray, shape (n,)
        At all points (unit of the measurement).
    late : ndarray of bool, shape (n,)
        Which to predict.
    level : float
        What the errors are multiplied by [1].
    slopes : ndarray, shape (n, p), optional
        Derivatives of the prediction.
    covariance : ndarray, shape (p, p), optional
        Of what they are derivatives by.

    Returns
    -------
    Forecast
    """
    C = level**2 * observation.noise.covariance
    residual = observation.value - predicted
    factor = cho_factor(C[np.ix_(~late, ~late)], lower=True)
    cross = C[np.ix_(~late, late)]
    K = cho_solve(factor, cross).T
    mean = predicted[late] + K @ residual[~late]
    spread = C[np.ix_(late, late)] - K @ cross
    if slopes is not None and covariance is not None:
        G = slopes[late] - K @ slopes[~late]
        spread = spread + G @ covariance @ G.T
    spread = 0.5 * (spread + spread.T)
    L = np.linalg.cholesky(spread)
    measured = observation.value[late]
    w = solve_triangular(L, measured - mean, lower=True)
    density = -0.5 * float(w @ w) - float(np.sum(np.log(np.diag(L))))
    return Forecast(measured, mean, np.sqrt(np.diag(spread)), np.asarray(w), density)


CONVINCING = 0.05
"""A predictive probability below this fails the check."""


@dataclass(frozen=True)
class ApparentResistance:
    """Resistance that closes the gap between measured and electrolyte voltage.

    Parameters
    ----------
    time : ndarray, shape (t,)
        [s]
    value, low, high : ndarray, shape (t,)
        Median and 95 % band over the draws [ohm m^2].
    share : ndarray, shape (t,)
        Of the measured voltage that the median electrolyte explains [1].
    """

    time: Array
    value: Array
    low: Array
    high: Array
    share: Array


@dataclass(frozen=True)
class VoltageCheck:
    """Posterior predictive check of electrolyte plus a constant resistance over a stretch of time.

    Parameters
    ----------
    start, stop : float
        The stretch [s].
    resistance : float
        That fits best [ohm m^2].
    rms : float
        What it leaves of the voltage [V].
    expected : float
        What the set's uncertainty and the voltmeter's would leave, median [V].
    p : float
        Share of draws that leave as much or more [1].
    """

    start: float
    stop: float
    resistance: float
    rms: float
    expected: float
    p: float

    @property
    def passed(self) -> bool:
        """Whether the voltage may enter a likelihood there."""
        return self.p >= CONVINCING


def apparent_resistance(time: Array, U: Array, i: Array, electrolyte: Array) -> ApparentResistance:
    """R_app(t) with its band.

    Parameters
    ----------
    time, U, i : ndarray, shape (t,)
        Measured [s, V, A/m^2]; i nowhere zero; the whole current [A] does as well.
    electrolyte : ndarray, shape (draws, t)
        Its voltage [V].

    Returns
    -------
    ApparentResistance

    Raises
    ------
    InputError
        A current of zero.
    """
    if np.any(i == 0):
        raise InputError("an apparent resistance needs a current at every time asked")
    low, middle, high = band((U - electrolyte) / i)
    return ApparentResistance(time, middle, low, high, np.median(electrolyte, axis=0) / U)


def voltage_check(
    time: Array,
    U: Array,
    i: Array,
    electrolyte: Array,
    *,
    error: float,
    stretch: tuple[float, float],
    seed: int = 0,
) -> VoltageCheck:
    """Could U be the electrolyte's voltage plus i times one constant, within what is known?

    Parameters
    ----------
    time, U, i : ndarray, shape (t,)
        Measured [s, V, A/m^2].
    electrolyte : ndarray, shape (draws, t)
        Its voltage [V].
    error : float
        Of the voltmeter [V].
    stretch : tuple of float
        First and last time looked at [s].
    seed : int
        Of the made-up voltmeter errors.

    Returns
    -------
    VoltageCheck

    Raises
    ------
    InputError
        Fewer than three points in the stretch.
    """
    use = (time >= stretch[0]) & (time <= stretch[1])
    if np.count_nonzero(use) < 3:
        raise InputError(f"fewer than three voltages between {stretch[0]:.6g} and {stretch[1]:.6g} s")
    drive = i[use]

    def left(voltage: Array) -> tuple[float, Array]:
        resistance = float(voltage @ drive / (drive @ drive))
        return resistance, voltage - resistance * drive

    centre = np.median(electrolyte[:, use], axis=0)
    resistance, residual = left(U[use] - centre)
    generator = np.random.default_rng(seed)
    simulated = []
    for row in electrolyte[:, use]:
        remainder = left(row - centre + error * generator.standard_normal(drive.size))[1]
        simulated.append(float(np.sqrt(np.mean(remainder**2))))
    rms = float(np.sqrt(np.mean(residual**2)))
    p = (1 + np.count_nonzero(np.array(simulated) >= rms)) / (1 + len(simulated))
    return VoltageCheck(stretch[0], stretch[1], resistance, rms, float(np.median(simulated)), float(p))
