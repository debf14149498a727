"""Restricted diffusion from a recorded voltage: D by least squares on U itself, with its baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured, Typed
from cellsim.laboratory.measured.regression import Excess, Fit, averaged, excess, fit_course

REFERENCE = "Newman & Chapman, AIChE J. 19 (1973) 343, doi:10.1002/aic.690190220"
STARTS = (0.25, 0.4, 0.6, 0.9, 1.3, 1.8)
"""Where the window may begin, in tau = L^2/(pi^2 D); the third mode is down to exp(-25 x) there [1]."""
LATEST = 8.0
"""Where it ends at the latest, in tau: what follows is baseline and its drift alone [1]."""
SHORTEST = 1.0
"""Length of a window that tells the decay from the baseline at all, in tau [1]."""
STRUCTURE = 3.0
"""Standard errors at which a course that the model leaves out counts as seen."""
FEWEST = 20
"""Readings of a rest."""
CUBE = 0.07
"""Signal whose cubic term, exp(-3 t/tau), may be as large as itself [V]; 2 RT/F and the change of D with c."""
SMALL = 0.02
"""Amplitude above which the linear theory is a question, about RT/F [V]."""


def modes(t: Array, u: float) -> Array:
    """Baseline, slowest mode and the next one that a voltage shows, which is nine times faster; shape (n, 3)."""
    x = np.exp(u) * (t - t[0])
    return np.stack([np.ones_like(t), np.exp(-x), np.exp(-9 * x)], axis=1)


def rough_rate(t: Array, U: Array) -> float:
    """Rate of the slowest mode, by least squares on all but the first readings, noise taken as white [1/s].

    The modes stand in the proportions that a constant current leaves, (1 - exp(-n^2 p))/n^2 after p relaxation times:
    with free ones a decay may pass for the second mode of a slower one.
    """
    late = t >= t[0] + 0.01 * (t[-1] - t[0])
    course = averaged(t[late], U[late], bins=400)
    x, weight = course.t, np.sqrt(course.count)
    n = np.arange(1, 12, 2)
    best = np.inf, 1.0
    for pulse in (0.1, 0.7, 5.0):
        part = (1 - np.exp(-(n**2) * pulse)) / n**2
        for rate in np.geomspace(0.5, 200.0, 120) / t[-1]:
            shape = np.exp(-np.outer(x, n**2 * rate)) @ part
            columns = np.stack([weight, weight * shape], axis=1)
            b, *_ = np.linalg.lstsq(columns, course.y * weight, rcond=None)
            squares = float(np.sum((weight * course.y - columns @ b) ** 2))
            if squares < best[0]:
                best = squares, float(rate)
    return best[1]


def relaxation(t: Array, U: Array, thickness: Typed, *, files: tuple[str, ...] = (), seed: int = 0) -> Finding:
    """D from the voltage at open circuit after a current, D = L^2/(pi^2 tau).

    The course U_inf + A exp(-t/tau) + B exp(-9 t/tau) is fitted in a window that begins as early as the residuals
    allow.

    Parameters
    ----------
    t, U : ndarray, shape (n,)
        Time since the current stopped [s] and voltage [V].
    thickness : Typed
        Distance of the electrodes [m].
    files : tuple of str
        Where they were read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding
        ``D`` [m^2/s], ``tau`` [s] and ``U_inf`` [V].

    Raises
    ------
    InputError
        Too few readings, a voltage that does not change, a rest too short to tell the decay from its baseline.

    References
    ----------
    Newman & Chapman 1973, doi:10.1002/aic.690190220.
    """
    _check(t, U)
    end, rate = float(t[-1]), rough_rate(t, U)
    found: _Window | None = None
    for start in STARTS:
        here = None
        for _ in range(3):  # the window goes by the rate, and a rate that its own fit excludes was the wrong one
            first = start / rate
            window = (t >= first) & (t <= first + LATEST / rate)
            if (end - first) * rate < SHORTEST or window.sum() < FEWEST // 2:
                break
            here = _fitted(t[window], U[window], rate, seed)
            low, middle, high = np.exp(np.quantile(here.fit.u, (0.005, 0.5, 0.995)))
            if low < rate < high or not here.fit.allowed:
                break
            rate = float(middle)
        if here is None:
            break
        if found is None or here.fit.allowed:
            found = here
        if here.sound:
            break
    if found is None or not found.fit.bounded:
        noise = "" if found is None else f" and noise of {1e6 * found.fit.scatter:.2g} µV"
        raise InputError(
            f"relaxation: a rest of {end:.4g} s{noise} does not tell the decay, of {1 / rate:.3g} s or more, from its "
            f"baseline; record a longer rest (at least {4 / rate:.2g} s) or use a larger current before it"
        )
    random = np.random.default_rng((seed, 12))
    fit, L = found.fit, thickness.draws()
    # the cube of a signal that is not small: what neither the readings nor its size exclude shifts the rate
    cubic, size = found.cubic, abs(fit.best_b[1]) * (fit.best_b[1] / CUBE) ** 2
    doubt = size**2 / (size**2 + cubic.error**2)
    amplitude = doubt * cubic.amplitude + np.sqrt(doubt) * cubic.error * random.standard_normal(DRAWS)
    tau = np.exp(-(fit.u - cubic.pull * amplitude))
    rate = float(1 / np.median(tau))
    used = fit.course.t
    signal, length = abs(float(fit.best_b[1])), (used[-1] - used[0]) * rate
    wander = f", {100 * fit.wander:.0f} % of their variance from a slow drift" if fit.wander > 0.05 else ""
    return Finding(
        "relaxation",
        "Restricted diffusion",
        files,
        (
            Measured.of("D", "m^2/s", L**2 / (np.pi**2 * tau), "L²/(π² τ), least squares on U with its baseline"),
            Measured.of("tau", "s", tau, "slowest mode of the decay"),
            Measured.of("U_inf", "V", fit.b[:, 0], "baseline"),
        ),
        (
            Assumption(
                f"the window from {used[0]:.4g} s to {used[-1]:.4g} s, {used[0] * rate:.2g} to "
                f"{used[-1] * rate:.2g} τ, contains two modes and a baseline and nothing else",
                fit.allowed and cubic.seen < STRUCTURE,
                "leave more of the start out with --from, or look for a slow process at the electrodes",
            ),
            Assumption(
                "the baseline does not drift",
                found.drift.seen < STRUCTURE,
                "wait until the cell is quiet before the current, or subtract a drift measured beside it",
            ),
            Assumption(
                f"the residuals ({1e6 * fit.scatter:.2g} µV per average{wander}) have no other correlation in time",
                fit.white,
                "the interval may be too narrow",
            ),
            Assumption(
                f"the window lasts {length:.2g} τ, enough to see the baseline", length > 2.5, "record a longer rest"
            ),
            Assumption(
                f"the signal is small, {1e3 * signal:.2g} mV where the window begins",
                signal < SMALL,
                "use a smaller current; the late part is right all the same where D depends on c",
            ),
        ),
        () if thickness.error else ("the thickness is taken as exact; write it with its error, as in 0.50 ± 0.01 mm",),
        REFERENCE,
        {
            "time": t,
            "U": U,
            "fit_time": used,
            "fit_U": fit.line,
            "average_U": fit.course.y,
            "baseline": np.array(np.median(fit.b[:, 0])),
        },
        {
            "thickness": thickness.value,
            "thickness_error": thickness.error,
            "window": [float(used[0]), float(used[-1])],
            "noise": fit.scatter,
            "wander": fit.wander,
        },
        (figures.relaxation, figures.relaxation_residuals),
    )


@dataclass(frozen=True)
class _Window:
    """The fit of a window, and what the cube of a large signal and a drift would add to it."""

    fit: Fit
    cubic: Excess
    drift: Excess

    @property
    def sound(self) -> bool:
        return self.fit.allowed and self.fit.white and max(self.cubic.seen, self.drift.seen) < STRUCTURE


def _fitted(t: Array, U: Array, rate: float, seed: int) -> _Window:
    course = averaged(t, U)

    def basis(u: float) -> Array:
        return modes(course.t, u)

    def allowed(u: Array, b: Array) -> NDArray[np.bool_]:
        # a current of any length leaves a second mode of the sign of the first and no larger, when it stops
        second = b[:, 2] * np.exp(np.minimum(8 * np.exp(u) * t[0], 100.0))
        return np.asarray(np.abs(second - 0.5 * b[:, 1]) < 0.7 * np.abs(b[:, 1]))

    middle = np.log(rate)
    fit = fit_course(course, basis, (middle - 2.5, middle + 2.5), seed=(seed, 11), allowed=allowed)
    x = np.exp(fit.best_u) * (course.t - course.t[0])
    return _Window(fit, excess(fit, basis, np.exp(-3 * x)), excess(fit, basis, course.t - course.t[0]))


def _check(t: Array, U: Array) -> None:
    if t.size < FEWEST:
        raise InputError(f"relaxation: {t.size} readings after the current stopped; at least {FEWEST} are needed")
    if np.ptp(U) <= 0:
        raise InputError("relaxation: the voltage stands still after the current stopped; there is no decay to read")
