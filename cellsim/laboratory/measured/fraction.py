"""The current fraction from a recorded current: Bruce and Vincent, with i_0 and i_ss from fits of both ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx

from cellsim.base import Array, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured, Typed
from cellsim.laboratory.measured.regression import Excess, Fit, averaged, excess, fit_course
from cellsim.model.small_signals import bruce_vincent, held_modes

REFERENCE = "Evans, Vincent & Bruce, Polymer 28 (1987) 2324, doi:10.1016/0032-3861(87)90394-6"
STARTS = (0.3, 0.5, 0.8, 1.2, 1.8, 2.5)
"""Where the late window may begin, in times 1/k of the slowest mode [1]."""
SHORTEST = 0.8
"""Length of a late window that tells the steady current from the decay at all, in 1/k [1]."""
EARLY = 0.008
"""Up to this D t/L^2 the two diffusion layers have not met [1]."""
CHARGING = (0.0, 0.01, 0.03, 0.1, 0.25)
"""Parts of the early window that may be left out, where the double layers charge [1]."""
FEWEST = 8
"""Readings of a window."""
STRUCTURE = 3.0
"""Standard errors at which a course that the model leaves out counts as seen."""
CUBE, CURVED = 0.07, 0.15
"""A concentration voltage of CUBE [V] may shift Ne by CURVED, relative, and a smaller one by the square of it:
20 mV held on five electrolytes shifted it by up to 0.5 %."""
SMALL = 0.02
"""Concentration voltage above which the linear theory is a question, about RT/F [V]."""


@dataclass(frozen=True)
class Resistances:
    """What impedance says of the cell, as draws that belong together, in ohm m^2 or all in ohm.

    Parameters
    ----------
    before, after : ndarray, shape (draws,)
        Both interfaces before the current and at its end.
    bulk : ndarray, shape (draws,), optional
        R_b; with it i_0 is V/(R_b + R_0), without it the first seconds are fitted.
    per_area : bool
        Whether they are in ohm m^2 and the current is a density.
    """

    before: Array
    after: Array
    bulk: Array | None = None
    per_area: bool = True


@dataclass(frozen=True)
class _End:
    """The fit of one end of the record and what it leaves out."""

    fit: Fit
    structure: tuple[Excess, ...]
    window: tuple[float, float]

    @property
    def sound(self) -> bool:
        return self.fit.white and all(one.seen < STRUCTURE for one in self.structure)


def steady_current(t: Array, i: Array, B: float, seed: int) -> _End:
    """The steady current under a small held voltage, extrapolated from the end of the record.

    i = i_ss + A times the settling of a cell with R_d/(R_b + R_i) = B, whose modes hang together; the rate is free.

    Parameters
    ----------
    t, i : ndarray, shape (n,)
        Time since the step [s] and current.
    B : float
        i_0/i_ss - 1, roughly [1].
    seed : int
        Of the random numbers.

    Returns
    -------
    _End
        `u` of its fit is ln of the slowest rate [1/s], `b` is (i_ss, A).

    Raises
    ------
    InputError
        A record too short to tell the steady current from the decay.
    """
    rates, weights = held_modes(max(B, 0.02), 6)
    rates, weights = rates / rates[0], weights / weights[0]
    end, rate = float(t[-1]), _rough_rate(t, i, rates, weights)
    found: _End | None = None
    for start in STARTS:
        here = None
        for _ in range(3):
            window = t >= start / rate
            if (end - start / rate) * rate < SHORTEST or window.sum() < FEWEST:
                break
            here = _late(t[window], i[window], rate, rates, weights, seed)
            low, middle, high = np.exp(np.quantile(here.fit.u, (0.005, 0.5, 0.995)))
            if low < rate < high:
                break
            rate = float(middle)
        if here is None:
            break
        found = here
        if found.sound:
            break
    if found is None or not found.fit.bounded:
        raise InputError(
            f"fraction: {end:.4g} s at the held voltage do not tell the steady current from the decay, of "
            f"{1 / rate:.3g} s or more; hold the voltage longer (at least {4 / rate:.2g} s)"
        )
    return found


def _settling(t: Array, rate: float, rates: Array, weights: Array) -> Array:
    return np.exp(-np.outer(t, rates * rate)) @ weights


def _rough_rate(t: Array, i: Array, rates: Array, weights: Array) -> float:
    course = averaged(t, i, bins=400)
    weight, best = np.sqrt(course.count), (np.inf, 1.0)
    for rate in np.geomspace(0.5, 300.0, 150) / t[-1]:
        columns = np.stack([np.ones_like(course.t), _settling(course.t, rate, rates, weights)], axis=1)
        b, *_ = np.linalg.lstsq(columns * weight[:, None], course.y * weight, rcond=None)
        squares = float(np.sum((weight * (course.y - columns @ b)) ** 2))
        if squares < best[0]:
            best = squares, float(rate)
    return best[1]


def _late(t: Array, i: Array, rate: float, rates: Array, weights: Array, seed: int) -> _End:
    course = averaged(t, i)

    def basis(u: float) -> Array:
        settling = _settling(course.t, float(np.exp(u)), rates, weights)
        return np.stack([np.ones_like(course.t), settling * np.exp(rate * course.t[0])], axis=1)

    middle = np.log(rate)
    fit = fit_course(course, basis, (middle - 2.5, middle + 2.5), seed=(seed, 21))
    x = np.exp(fit.best_u) * (course.t - course.t[0])
    structure = (excess(fit, basis, np.exp(-rates[1] * x)), excess(fit, basis, course.t - course.t[0]))
    return _End(fit, structure, (float(course.t[0]), float(course.t[-1])))


def first_current(t: Array, i: Array, B: float, rate: float, seed: int) -> _End:
    """The first current under a small held voltage, i = i_0 exp(b^2 t) erfc(b sqrt t) before the layers meet.

    Parameters
    ----------
    t, i : ndarray, shape (n,)
        Time since the step [s] and current.
    B, rate : float
        i_0/i_ss - 1 [1] and the rate of the slowest mode [1/s], which say how long that holds and b within a factor
        of three.
    seed : int
        Of the random numbers.

    Returns
    -------
    _End
        `b` of its fit is (i_0,).

    Raises
    ------
    InputError
        Too few readings before the layers meet.
    """
    pace = rate / float(held_modes(max(B, 0.02), 1)[0][0])  # D/L^2
    last = EARLY / pace
    expected = np.log(2 * max(B, 0.02) * np.sqrt(pace))
    found: _End | None = None
    for part in CHARGING:
        window = (t > 0) & (t >= part * last) & (t <= last)
        if window.sum() < FEWEST:
            break
        course = averaged(t[window], i[window], scale=np.sqrt)

        def basis(u: float, at: Array = course.t) -> Array:
            return np.asarray(erfcx(np.exp(u) * np.sqrt(at)))[:, None]

        fit = fit_course(course, basis, (expected - 1.1, expected + 1.1), seed=(seed, 22))
        charging = np.exp(-(course.t - course.t[0]) / max(0.1 * (last - course.t[0]), 1e-300))
        found = _End(fit, (excess(fit, basis, charging),), (float(course.t[0]), float(course.t[-1])))
        if found.sound:
            break
    if found is None:
        raise InputError(
            f"fraction: fewer than {FEWEST} readings within the first {last:.3g} s, before the diffusion layers meet, "
            "so that i_0 cannot be fitted; record faster at the start, or give R_b from impedance (bulk, before)"
        )
    return found


def fraction(
    t: Array,
    i: Array,
    voltage: Typed,
    resistances: Resistances,
    *,
    files: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding:
    """rho+ from the current under a small held voltage, rho+ = i_ss (V - i_0 R_0)/(i_0 (V - i_ss R_ss)).

    Parameters
    ----------
    t, i : ndarray, shape (n,)
        Time since the voltage was applied [s] and current, in A/m^2 or A as the resistances go.
    voltage : Typed
        Voltage held [V].
    resistances : Resistances
        Of the interfaces, and of the bulk where it is known.
    files : tuple of str
        Where they were read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding
        ``rho_plus``, ``Ne``, ``i_0``, ``i_ss`` and the bare ratio of the two.

    Raises
    ------
    InputError
        Signs that contradict one another, a current that does not fall, interfaces that take all of the voltage, a
        record too short or too coarse.

    References
    ----------
    Evans, Vincent & Bruce 1987, doi:10.1016/0032-3861(87)90394-6; i_0 by Ohm's law: Balsara & Newman 2015,
    doi:10.1149/2.0651514jes.
    """
    t, i, V, sign = _oriented(t, i, voltage)
    random = np.random.default_rng((seed, 23))
    drawn_V = V * (1 + voltage.error / abs(voltage.value) * random.standard_normal(DRAWS))
    R_0, R_ss = resistances.before, resistances.after
    n = max(5, t.size // 20)
    ohm = None if resistances.bulk is None else drawn_V / (resistances.bulk + R_0)
    top = float(np.median(i[:3])) if ohm is None else float(np.median(ohm))
    B = max(top / float(np.mean(i[-n:])) - 1, 0.02)
    late = steady_current(t, i, B, seed)
    i_ss, rate = late.fit.b[:, 0], float(np.exp(np.median(late.fit.u)))
    B = max(top / float(np.median(i_ss)) - 1, 0.02)
    early: _End | None = None
    if ohm is None:
        early = first_current(t, i, B, rate, seed)
        i_0 = early.fit.b[:, 0]
    else:
        i_0 = ohm
    _plausible(drawn_V, i_0, i_ss, R_0)
    inner = float(np.median(drawn_V - i_ss * (drawn_V / i_0 - R_0 + R_ss)))
    doubt = CURVED * (inner / CUBE) ** 2
    Ne = 1 / np.asarray(bruce_vincent(drawn_V, i_0, i_ss, R_0, R_ss)) - 1  # type: ignore[arg-type]
    Ne = Ne * (1 + doubt * random.standard_normal(DRAWS))
    unit = "A/m^2" if resistances.per_area else "A"
    away = abs(float(np.mean(i[-n:])) / float(np.median(i_ss)) - 1)
    lasts = (t[-1] - late.window[0]) * rate
    tests = [
        Assumption(
            f"from {late.window[0]:.4g} s on the current decays like that of a cell that approaches its steady state",
            late.structure[0].seen < STRUCTURE,
            "leave more of the start out, or look for an interface that still grows",
        ),
        Assumption(
            "the current does not drift at the end",
            late.structure[1].seen < STRUCTURE,
            "the interfaces change; measure R_int again at the end",
        ),
        Assumption(
            "apart from a slow drift the residuals there have no correlation in time",
            late.fit.white,
            "the interval may be too narrow",
        ),
        Assumption(
            f"the record lasts {lasts:.2g} slowest times from there; i_ss is {100 * away:.2g} % from the last readings",
            lasts > 2.5,
            "hold the voltage longer",
        ),
        Assumption(
            f"the signal is small, {1e3 * inner:.2g} mV of concentration voltage in the end "
            f"({100 * doubt:.1g} % of Ne is allowed for its size)",
            inner < SMALL,
            "hold a smaller voltage",
        ),
    ]
    if early is not None:
        tests.insert(
            0,
            Assumption(
                f"i_0 is fitted from {early.window[0]:.3g} s to {early.window[1]:.3g} s, where the current falls as "
                "diffusion from a plane has it",
                early.sound,
                "give R_b from impedance (bulk, before)",
            ),
        )
    notes = [] if early is not None else [f"i_0 is V/(R_b + R_0), and the first reading is {float(i[0]):.4g} {unit}"]
    if np.ptp(R_0) == 0:
        notes.append("the interfacial resistance is taken as exact; write it with its error, as in 50 ± 2 ohm")
    curve = np.concatenate([late.fit.line, [] if early is None else early.fit.line])
    times = np.concatenate([late.fit.course.t, [] if early is None else early.fit.course.t])
    return Finding(
        "fraction",
        "Current fraction (Bruce-Vincent)",
        files,
        (
            Measured.of(
                "rho_plus", "1", 1 / (1 + Ne), "Bruce-Vincent, i_0 " + ("by Ohm's law" if early is None else "fitted")
            ),
            Measured.of("Ne", "1", Ne, "Newman number, 1/ρ₊ - 1"),
            Measured.of("i_0", unit, sign * i_0, "V/(R_b + R_0)" if early is None else "fit of the first seconds"),
            Measured.of("i_ss", unit, sign * i_ss, "extrapolated from the late decay"),
            Measured.of(
                "i_ss/i_0", "1", i_ss / i_0, "without correction for the interfaces: not a property of the electrolyte"
            ),
            Measured.of(
                "R_d",
                "ohm m^2" if resistances.per_area else "ohm",
                (drawn_V / i_0 - R_0) * Ne,
                "V/i_ss - R_b - R_ss",
            ),
        ),
        tuple(tests),
        tuple(notes),
        REFERENCE,
        {
            "time": t,
            "i": sign * i,
            "fit_time": times,
            "fit_i": sign * curve,
            "late_time": late.fit.course.t,
            "late_residual": late.fit.course.y - late.fit.line,
            "i_0": np.array(sign * np.median(i_0)),
            "i_ss": np.array(sign * np.median(i_ss)),
        },
        {
            "voltage": voltage.value,
            "voltage_error": voltage.error,
            "R_0": float(np.median(R_0)),
            "R_ss": float(np.median(R_ss)),
            "late_window": list(late.window),
            "early_window": None if early is None else list(early.window),
            "per_area": resistances.per_area,
        },
        (figures.fraction, figures.fraction_residuals),
    )


def _oriented(t: Array, i: Array, voltage: Typed) -> tuple[Array, Array, float, float]:
    """Current and voltage counted positive, and the sign that was taken out."""
    if t.size < 3 * FEWEST:
        raise InputError(f"fraction: {t.size} readings at the held voltage; at least {3 * FEWEST} are needed")
    sign = float(np.sign(voltage.value))
    if sign == 0:
        raise InputError("fraction: the voltage held is 0 V; give it with --voltage")
    mean = float(np.mean(i))
    if mean * sign <= 0:
        raise InputError(
            f"fraction: the voltage held is {voltage.value:.4g} V and the average current {mean:.3g}, of the other "
            f"sign or none; give the voltage as {-voltage.value:.4g} V where the current counts the other way"
        )
    i = sign * i
    head, tail = float(np.median(i[:5])), float(np.mean(i[-max(5, i.size // 20) :]))
    if tail >= head:
        raise InputError(
            f"fraction: the current does not fall ({head:.4g} in the first readings, {tail:.4g} in the last), so there "
            "is no steady state to read; the interfaces may still improve, or the columns may be exchanged"
        )
    return t, i, abs(voltage.value), sign


def _plausible(V: Array, i_0: Array, i_ss: Array, R_0: Array) -> None:
    lost = float(np.median(i_0 * R_0) / np.median(V))
    if lost >= 0.98:
        raise InputError(
            f"fraction: the interfaces alone would take i_0 R_0 = {float(np.median(i_0 * R_0)):.3g} V of "
            f"{float(np.median(V)):.3g} V held, which leaves nothing for the electrolyte; check the units of current, "
            "area and resistance"
        )
    if float(np.median(i_ss)) <= 0 or float(np.median(i_0)) <= 0:
        raise InputError("fraction: a fitted current is not positive; the record is too noisy or too short")
