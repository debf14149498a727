"""Curves without time: the slope of concentration cells at one composition, and the plateau of an i-V sweep.

Concentration cells, with as much curvature as the readings ask for:

U is a line plus terms x^k/k! for k from 2 to 8, x = ln m less that wanted, whose coefficients are normal with the
standard deviation |slope| b^(k - 1): b is by how much the slope changes over a factor e. Of b and of the noise nothing
is known beforehand but their range, and every pair counts by its restricted likelihood.

The plateau: V = a + R i - A ln(1 - i/i_L). The resistance stands for all that is smooth, the logarithm for the wall
that runs empty, where the concentration's potential and the resistance both end as one. Solved for the current it is
i = i_L (1 - w), w exp(rho w) = exp((V_0 - V)/A).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import least_squares
from scipy.special import factorial, lambertw

from cellsim.base import Array, F, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured, Typed
from cellsim.laboratory.measured.regression import Course, averaged, noise_factors

REFERENCE = "Ma, Doyle, Fuller, Doeff, De Jonghe & Newman, J. Electrochem. Soc. 142 (1995) 1859, doi:10.1149/1.2044206"
CURVATURES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Values of b that count [1]; with the shipped sets it is 0.1 to 10."""
TERMS = np.arange(2, 9)
"""Powers beyond the line."""
NOISES = 40
"""Sizes of the noise that count, from 1e-5 of the span of U to all of it."""
FEWEST = 5
"""Cells."""

LIMITING = "Newman & Balsara, Electrochemical Systems, 4th ed., ch. 11-12"
BEGIN = (0.5, 0.7, 0.85)
"""Currents from which the window may begin, relative to the largest [1]."""
FEWEST_READINGS = 12
"""Of a window."""
BINS = 60
"""Averages that a window is made into."""
SLOPES, SHARES = (np.log(0.06), 0.7), (np.log(2.0), 1.0)
"""ln A [ln V] and ln rho before the readings, with standard deviations: four sets have 45 to 90 mV and 1 to 7."""
SHORT = 0.2
"""Standard error of i_L per part of it that the last current falls short: four sets miss by 0.0 to 0.35 of that [1]."""
REACHED = 0.03
"""Part of i_L that the last current may fall short of it [1]."""
PARTED = 0.02
"""Part of i_L by which the current may fall again, or the way back may differ [1]."""


def potentials(
    x: Array,
    U: Array,
    *,
    errors: Array | None = None,
    against: str = "m",
    thermal_voltage: float | None = None,
    files: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding:
    """The slope of U against ln m where both halves of the cell are alike.

    Parameters
    ----------
    x : ndarray, shape (n,)
        ln of the composition of the second half-cell over the one wanted [1].
    U : ndarray, shape (n,)
        Voltage at open circuit [V]; its sign is turned where it falls with x.
    errors : ndarray, shape (n,), optional
        Standard errors relative to one another; their common size is estimated [V].
    against : {"m", "c"}
        What `x` is the logarithm of.
    thermal_voltage : float, optional
        nu R T/(F z+ nu+), for (1 - t+0) chi [V].
    files : tuple of str
        Where they were read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding
        ``dU/dlnm`` [V], and ``(1-t_plus)chi`` where the thermal voltage is known.

    Raises
    ------
    InputError
        Too few cells, or a composition wanted that lies beyond them.

    References
    ----------
    Ma et al. 1995, doi:10.1149/1.2044206.
    """
    n = x.size
    if n < FEWEST:
        raise InputError(f"concentration-cell: {n} cells; at least {FEWEST} are needed for a slope and its error")
    if not x.min() < 0 < x.max():
        raise InputError(
            "concentration-cell: the composition wanted lies outside those of the cells, "
            f"{np.exp(x.min()):.3g} to {np.exp(x.max()):.3g} times it; name one between them"
        )
    weight = np.ones(n) if errors is None else np.mean(errors) / errors
    turned = -1.0 if float(np.polyfit(x, U, 1)[0]) < 0 else 1.0
    U = turned * U
    span, steep = float(np.ptp(U)), abs(float(np.polyfit(x, U, 1)[0]))
    H = np.stack([np.ones(n), x], axis=1)
    terms = x[:, None] ** TERMS / factorial(TERMS)
    fits = []
    for b in CURVATURES:
        sizes = (steep * b ** (TERMS - 1.0)) ** 2
        for noise in span * np.geomspace(1e-5, 1.0, NOISES):
            V = np.diag((noise / weight) ** 2) + (terms * sizes) @ terms.T
            factor = np.linalg.cholesky(V)
            y, X = (solve_triangular(factor, z, lower=True) for z in (U, H))
            information = X.T @ X
            line = np.linalg.solve(information, X.T @ y)
            rest = y - X @ line
            score = (
                -np.sum(np.log(np.diag(factor))) - 0.5 * np.linalg.slogdet(information)[1] - 0.5 * float(rest @ rest)
            )
            curved = sizes * (terms.T @ solve_triangular(factor.T, rest, lower=False))
            fits.append((score, line, np.linalg.inv(information), curved, noise, b))
    scores = np.array([fit[0] for fit in fits])
    odds = np.exp(scores - scores.max())
    odds /= odds.sum()
    random = np.random.default_rng((seed, 41))
    which = random.choice(len(fits), size=DRAWS, p=odds)
    roots = np.linalg.cholesky(np.array([fit[2] for fit in fits]))
    drawn = np.array([fit[1] for fit in fits])[which]
    drawn = drawn + np.einsum("dij,dj->di", roots[which], random.standard_normal((DRAWS, 2)))
    zero, slope = drawn.T
    _, line, _, curved, noise, _ = fits[int(np.argmax(odds))]
    bent = float(np.sum(odds * np.array([fit[5] for fit in fits])))
    offset = float(np.median(zero)), float(np.std(zero))
    measured = [Measured.of(f"dU/dln{against}", "V", slope, "slope of a curve as smooth as the cells")]
    if thermal_voltage is not None and against == "m":
        measured.append(Measured.of("(1-t_plus)chi", "1", slope / thermal_voltage, "slope over ν R T/(F z₊ ν₊)"))
    at = np.linspace(x.min(), x.max(), 100)
    curve = line[0] + line[1] * at + (at[:, None] ** TERMS / factorial(TERMS)) @ curved
    return Finding(
        "concentration-cell",
        "Concentration cells",
        files,
        tuple(measured),
        (
            Assumption(
                f"two equal halves read zero: {1e3 * offset[0]:.2g} ± {1e3 * offset[1]:.1g} mV",
                bool(abs(offset[0]) < 3 * max(offset[1], 1e-12)),
                "the electrodes have a bias; read the cell of two equal halves and subtract it",
            ),
            Assumption(
                f"the curve is smooth: cells deviate from it by {1e3 * noise:.2g} mV, {100 * noise / span:.2g} % of "
                f"the span, and its slope changes by about {100 * bent:.1g} % per factor of e in composition",
                bool(noise < 0.05 * span),
                "look for cells that leak or were read too late",
            ),
            Assumption(
                f"cells are on both sides of the wanted composition: {np.sum(x < 0)} below and {np.sum(x > 0)} above",
                bool(min(np.sum(x < 0), np.sum(x > 0)) >= 2),
                "add cells on the other side",
            ),
        ),
        ("the sign of U is turned, so that it rises with the concentration",) if turned < 0 else (),
        REFERENCE,
        {
            "x": x,
            "U": U,
            "curve_x": at,
            "curve_U": curve,
            "slope": np.array(np.median(slope)),
            "zero": np.array(np.median(zero)),
        },
        {"against": against, "noise": noise, "curvature": bent},
        (figures.potentials,),
    )


# ---- limiting current ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plateau:
    """The fit of a window; `limit` are draws of i_L."""

    course: Course
    line: Array
    limit: Array
    slope: float
    scatter: float
    wander: float
    whitened: Array

    @property
    def white(self) -> bool:
        e = self.whitened
        return abs(float(np.sum(e[1:] * e[:-1]) / max(np.sum(e**2), 1e-300))) < 3 / np.sqrt(e.size)


def limiting(
    V: Array,
    i: Array,
    *,
    back: tuple[Array, Array] | None = None,
    duration: float | None = None,
    thickness: Typed | None = None,
    c: Typed | None = None,
    area: Typed | None = None,
    per_area: bool = True,
    files: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding:
    """The limiting current from the plateau of a sweep, or of steps, of the voltage.

    The fit is :func:`approach`, from half of the current on, or from a higher one where the residuals ask for it. With
    the salt concentration and the thickness D/(1 - t+) follows: the salt carried, (1 - t+) i/F in the frame of the
    volume, is all that diffuses when the concentration falls from 2 c to 0, i_L = 2 F c D/((1 - t+) L).

    Parameters
    ----------
    V, i : ndarray, shape (n,)
        Voltage [V] and current [A/m^2], or [A] without `per_area`, in the order of the sweep; both of one sign.
    back : tuple of ndarray, optional
        Voltage and current of the way back.
    duration : float, optional
        Time that a sweep takes; None: each current is a steady one [s].
    thickness, c : Typed, optional
        Distance of the electrodes [m] and average salt concentration of a 1:1 salt [mol/m^3].
    area : Typed, optional
        Of an electrode [m^2].
    per_area : bool
        Whether `i` is a density.
    files : tuple of str
        Where they were read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding
        ``i_L`` [A/m^2], or ``I_L`` [A] where no area is known, and ``D/(1-t_plus)`` [m^2/s].

    Raises
    ------
    InputError
        Too few readings, a current that falls to the end, a sweep that ends before a plateau shows.

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., ch. 11; the closed form i_L tanh(F V/(4 R T)) of ideal ions.
    """
    sign = -1.0 if float(np.sum(i)) < 0 else 1.0
    V, i = sign * V, sign * i
    order = np.argsort(V, kind="stable")
    V, i = V[order], i[order]
    if V.size < FEWEST_READINGS:
        raise InputError(
            f"limiting-current: {V.size} reading{'s' if V.size > 1 else ''}; at least {FEWEST_READINGS} are needed"
        )
    smooth = averaged(V, i, bins=60)
    top = float(smooth.y.max())
    if top <= 0 or np.ptp(V) <= 0:
        raise InputError("limiting-current: the current or the voltage does not rise, so there is no plateau to read")
    fallen = (top - float(smooth.y[-1])) / top
    fit, begun = _window(V, i, smooth.t, smooth.y, top, seed)
    used, limit = fit.course.t, fit.limit
    i_L = float(np.median(limit))
    short = 1 - float(fit.line[-1]) / i_L
    if not 0.05 < 1 - short < 1.15:
        raise InputError(
            f"limiting-current: at {V[-1]:.3g} V the current is {1 - short:.3g} times the plateau that the curve as a "
            "whole tends to, so it is no sweep to a limiting current; is it the right file, and are the columns right?"
        )
    if short > 0.15 or float(np.quantile(limit, 0.025)) <= 0:
        raise InputError(
            f"limiting-current: the sweep ends at {V[-1]:.3g} V, where the current is {100 * (1 - short):.2g} % of "
            "what it tends to, before a plateau shows; sweep further"
        )
    measured = [Measured.of("i_L", "A/m^2", sign * limit, "plateau of i(V)")]
    if not per_area:
        measured = [Measured.of("I_L", "A", sign * limit, "plateau of i(V)")]
        if area is not None:
            limit = limit / area.draws()
            measured.append(Measured.of("i_L", "A/m^2", sign * limit, "the same over the area"))
    notes = [f"the voltage rises on the plateau with A = {1e3 * fit.slope:.3g} mV per factor e"]
    tests = [
        Assumption(
            f"from {used[0]:.3g} V, {100 * begun:.2g} % of the current, to {used[-1]:.3g} V the curve is a resistance "
            "and a plateau and nothing else: the residuals are white",
            fit.white,
            "look for a second process: dendrites, side reactions, contact lost",
        ),
        Assumption(
            f"the last current is {100 * (1 - short):.4g} % of the plateau",
            short < REACHED,
            "sweep to a higher voltage",
        ),
        Assumption(
            f"the current passes no peak: it falls by {100 * fallen:.2g} % from its largest value",
            fallen < PARTED,
            "the sweep is quicker than diffusion; sweep more slowly",
        ),
    ]
    if back is not None:
        tests.append(_compared(V, i, sign * back[0], sign * back[1], i_L))
    elif duration is not None:
        notes.append("a sweep in the reverse direction would show whether the sweep is slow enough")
    if thickness is not None and c is not None and (per_area or area is not None):
        L = thickness.draws()
        ratio = limit * L / (2 * F * c.draws())
        measured.append(Measured.of("D/(1-t_plus)", "m^2/s", ratio, "i_L L/(2 F c), t+ in the frame of the volume"))
        notes.append("D/(1 - t+) is that of a 1:1 salt, averaged over the concentrations from 0 to about 2 c")
        if duration is not None:
            # 1 - t+ of 0.7 stands for what the sweep cannot tell: D is then known to a factor of two
            relaxation_time = float(np.median(L**2 / (np.pi**2 * 0.7 * ratio)))
            rests = duration * (used[-1] - float(np.interp(0.9 * i_L, smooth.y, smooth.t))) / np.ptp(V)
            tests.append(
                Assumption(
                    f"the sweep is slow: it spends {rests / relaxation_time:.2g} relaxation times, L²/(π² D), above "
                    "90 % of the plateau",
                    rests > 5 * relaxation_time,
                    "sweep more slowly",
                )
            )
    else:
        notes.append("with --thickness, --c and a current density or --area, D/(1 - t+) follows from i_L")
    return Finding(
        "limiting-current",
        "Limiting current",
        files,
        tuple(measured),
        tuple(tests),
        tuple(notes),
        LIMITING,
        {
            "V": sign * V,
            "i": sign * i,
            "fit_V": sign * used,
            "fit_i": sign * fit.line,
            "average_i": sign * fit.course.y,
            "i_L": np.array(sign * float(np.median(fit.limit))),
        },
        {"per_area": per_area, "window": [float(used[0]), float(used[-1])], "noise": fit.scatter, "wander": fit.wander},
        (figures.limiting, figures.limiting_residuals),
    )


def _window(V: Array, i: Array, x: Array, y: Array, top: float, seed: int) -> tuple[_Plateau, float]:
    """The widest window whose residuals are white, and the current it begins at, relative to the largest."""
    best: tuple[_Plateau, float] | None = None
    for begin in BEGIN:
        window = float(x[int(np.argmax(y >= begin * top))]) <= V
        if window.sum() < FEWEST_READINGS:
            break
        here = _plateau(averaged(V[window], i[window], bins=BINS), top, seed)
        if best is None or here.white:
            best = here, begin
        if here.white:
            break
    if best is None:
        raise InputError(
            f"limiting-current: fewer than {FEWEST_READINGS} readings lie on the upper part of the curve; record more "
            "of them where the current bends"
        )
    return best


def approach(V: Array, p: Array) -> Array:
    """i(V) of a resistance and a wall that runs empty, i_L (1 - w) with w exp(rho w) = exp((V_0 - V)/A).

    Parameters
    ----------
    V : ndarray, shape (n,)
        Voltage [V].
    p : ndarray, shape (4,)
        i_L, ln A [V], V_0 [V], ln rho.

    Returns
    -------
    ndarray, shape (n,)
        In the unit of i_L.
    """
    rho = np.exp(p[3])
    power = p[3] + (p[2] - V) / np.exp(p[1])  # of W's argument; beyond 500 W is ln x - ln ln x to 1e-2, and w above 1
    large = np.maximum(power, 2.0)
    w = np.where(power > 500, large - np.log(large), lambertw(np.exp(np.minimum(power, 500))).real) / rho
    return np.asarray(p[0] * (1 - w))


def _plateau(course: Course, top: float, seed: int) -> _Plateau:
    """Draws of i_L: a normal for every noise looked at, weighed by its restricted likelihood, and the model's doubt."""
    t, y, weight = course.t, course.y / top, np.sqrt(course.count / np.median(course.count))
    middles, widths = np.array([SLOPES[0], SHARES[0]]), np.array([SLOPES[1], SHARES[1]])

    def misses(scale: float) -> Callable[[Array], Array]:
        def both(p: Array) -> Array:
            own = scale * (p[[1, 3]] - middles) / widths
            return np.concatenate([weight * (approach(t, p) - y), own])

        return both

    low, high = [0.5, np.log(0.005), t[0] - 5 * np.ptp(t), np.log(0.02)], [3.0, np.log(2.0), t[-1], np.log(100.0)]
    foot = t[0] - min(0.02, 4 * np.ptp(t))
    starts = [[1.02, np.log(0.06), foot, share] for share in (-0.5, 0.7, 1.7)]
    rough = [least_squares(misses(1e-3), start, bounds=(low, high), x_scale=[0.05, 0.3, 0.05, 1]) for start in starts]
    first = min(rough, key=lambda one: float(one.cost))
    size = max(float(np.sqrt(2 * first.cost / max(t.size - 4, 1))), 1e-7)  # what the prior is weighed with
    best = least_squares(misses(size), first.x, bounds=(low, high), x_scale=[0.05, 0.3, 0.05, 1]).x
    step = np.diag([1e-4, 1e-4, 1e-4 * np.exp(best[1]), 1e-4])
    J = np.stack([(approach(t, best + h) - approach(t, best - h)) / 2e-4 for h in step], axis=1)
    J[:, 2] /= np.exp(best[1])
    line = approach(t, best)
    prior = np.diag([0.0, widths[0] ** -2, 0.0, widths[1] ** -2])
    pull = np.array([0.0, *((middles[:1] - best[1]) / widths[0] ** 2), 0.0, (middles[1] - best[3]) / widths[1] ** 2])
    fits = []
    for share, factor in noise_factors(course):
        solved = solve_triangular(factor, np.column_stack([y - line, J]), lower=True)
        e, X = solved[:, 0], solved[:, 1:]
        variance = max(float(e @ e) / (t.size - 4), 1e-18)
        information = X.T @ X / variance + prior
        move = np.linalg.solve(information, X.T @ e / variance + pull)
        rest = e - X @ move
        squares = float(rest @ rest) + 1e-20
        score = -np.sum(np.log(np.diag(factor))) - 0.5 * np.linalg.slogdet(information * variance)[1]
        score -= 0.5 * (t.size - 4) * np.log(squares)
        spread = np.sqrt(np.linalg.inv(information)[0, 0] * squares / variance / (t.size - 4))
        fits.append((float(score), best[0] + float(move[0]), float(spread), share, rest / np.sqrt(squares / t.size)))
    scores = np.array([one[0] for one in fits])
    scores[0] += np.log(7)  # the white noise stands once in the grid and counts as one share does
    odds = np.exp(scores - scores.max())
    odds /= odds.sum()
    random = np.random.default_rng((seed, 51))
    which = random.choice(len(fits), size=DRAWS, p=odds)
    middle, spread = (np.array([one[k] for one in fits])[which] for k in (1, 2))
    limit = middle + spread * random.standard_t(max(t.size - 4, 3), DRAWS)
    limit = limit + SHORT * np.maximum(limit - line[-1], 0.0) * random.standard_normal(DRAWS)
    likeliest = fits[int(np.argmax(odds))]
    return _Plateau(
        course,
        top * line,
        top * limit,
        float(np.exp(best[1])),
        top * float(np.std(y - line)),
        float(np.sum(odds * np.array([one[3] for one in fits]))),
        likeliest[4],
    )


def _compared(V: Array, i: Array, V_back: Array, i_back: Array, i_L: float) -> Assumption:
    """Whether the way back is the way forth where the current is above half of the plateau."""
    order = np.argsort(V_back)
    there = V[(i > 0.5 * i_L) & (V_back.min() <= V) & (V_back.max() >= V)]
    apart = 1.0
    if there.size:
        forth = averaged(V, i, bins=60)
        apart = float(
            np.median(np.abs(np.interp(there, V_back[order], i_back[order]) - np.interp(there, forth.t, forth.y)))
        )
        apart /= i_L
    return Assumption(
        f"the way back is the way forth, to {100 * apart:.2g} % of the plateau",
        apart < PARTED,
        "the sweep is quicker than diffusion, or the cell changed; sweep more slowly",
    )
