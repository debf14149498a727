"""What a current, profiles and both together hold of four constant coefficients: the Fisher information, in one table.

    python validation/steinruck2020/fisher.py

A cell of 3 mm, 0.3 V, 0.02 ohm m^2 at each interface and known, r = 0.1, 363.15 K, volumes of Steinrück 2020, Eq. 4;
kappa 0.13 S/m, D 1e-11 m^2/s, t+0 0.2, chi 1.5. The current at 46 times from 600 to 40 000 s with an error of 1 %, 60
points of the profile at each with an error of 2 % of the mean concentration. fisher.md says what comes out and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cellsim.base import V_LITHIUM
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.set_file import read_set
from cellsim.fit.descent import inverse
from cellsim.fit.estimate import directions
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.parameters import Space
from cellsim.fit.problem import Problem, synthetic
from cellsim.fit.set_model import SetModel, constant_form
from cellsim.instruments.measurement import ConcentrationMap, series
from cellsim.instruments.noise import independent
from cellsim.solvers.march import Options

Array = NDArray[np.float64]

T, THICKNESS, VOLTAGE, R_INT, R0 = 363.15, 3e-3, 0.3, 0.02, 0.1
TRUTH = {"kappa": 0.13, "D": 1e-11, "t_plus": 0.2, "chi": 1.5}
CURRENT_ERROR, PROFILE_ERROR = 0.01, 0.02
TIMES = np.linspace(600.0, 40000.0, 46)
ORDER = ("t_plus", "D", "chi", "kappa")
ISSUED = {
    "current alone": (0.76, 1.80, 1.04, 0.027),
    "profiles alone": (4.3, 0.010, 5.4, 15.0),
    "both": (0.0025, 0.007, 0.010, 0.013),
}
"""An independent calculation, to which ours is held: sd of t+0, ln D, ln chi, ln kappa."""


def centres(points: int = 60) -> Array:
    """Middles of equal cells from one interface to the other, shape (points,) [m]."""
    return (np.arange(points) + 0.5) / points * THICKNESS


def problem(times: Array = TIMES, x: Array | None = None, rtol: float = 1e-8, lithium: float = 0.0) -> Problem:
    """Current and profiles of the truth, without noise but with its errors.

    Parameters
    ----------
    times : ndarray, shape (t,)
        Of the current and of the profiles [s].
    x : ndarray, shape (k,), optional
        Where the profile is measured, from the positive interface [m]; default :func:`centres`.
    rtol : float
        Of the solver [1].
    lithium : float
        Molar volume of the metal [m^3/mol]: 0 reads the profile from the interface, V_LITHIUM at places fixed in the
        lab, past which the interfaces creep.

    Returns
    -------
    Problem
    """
    x = centres() if x is None else x
    forms = (
        constant_form("t_plus", TRUTH["t_plus"], extra={"frame": "solvent"}),
        constant_form("D", TRUTH["D"]),
        constant_form("chi", TRUTH["chi"], extra={"basis": "molal"}),
        constant_form("kappa", TRUTH["kappa"]),
    )
    model = SetModel(read_set("steinruck2020_rs"), forms)
    electrode = Electrode(Resistance(np.array([R_INT])))
    cell = Cell(THICKNESS, T, positive=electrode, negative=electrode, V_metal=lithium)
    c0 = float(model.at(TRUTH, T).c_of(r=R0))
    current = Observation.of(series("current", times, np.ones(times.size), error=1.0))
    ones = np.ones((times.size, x.size))
    profiles = Observation.of(ConcentrationMap(times, x, ones, PROFILE_ERROR * c0 * ones).measurement(c0))
    e = Experiment("cell", cell, Protocol((hold_voltage(VOLTAGE, float(times[-1])),)), c0, (current, profiles),
                   options=Options(rtol=rtol))  # fmt: skip
    made = Problem(Space(model.parameters), model, (e,))
    u = made.space.start
    current = replace(current, noise=independent(CURRENT_ERROR * made.predictions(u)[0]))
    return synthetic(replace(made, experiments=(replace(e, observations=(current, profiles)),)), u, None)


def rows(p: Problem, jacobian: Array) -> dict[str, Array]:
    """The Jacobian of each row of the table."""
    n = p.observations[0].size
    return {"current alone": jacobian[:n], "profiles alone": jacobian[n:], "both": jacobian}


def standard_errors(jacobian: Array) -> Array:
    """Of t+0, ln D, ln chi, ln kappa, shape (4,); of a flat direction whatever the derivatives' errors leave."""
    return np.sqrt(np.diag(inverse(jacobian.T @ jacobian)))


def table(p: Problem | None = None) -> dict[str, Array]:
    """Standard errors of t+0, ln D, ln chi, ln kappa by what is measured."""
    p = problem() if p is None else p
    return {name: standard_errors(J) for name, J in rows(p, p.jacobian(p.space.start)).items()}


# ---- profiles alone -----------------------------------------------------------------------------------------------


def flat_direction() -> Array:
    """Unit vector in (t+0, ln D, ln chi, ln kappa) along which no profile changes, in closed form.

    c(x, t) depends on D, (1 - t+0) chi and (1 - t+0)/(L/kappa + 2 R) alone: d ln chi = d t/(1 - t) and
    d ln kappa = d t/(1 - t) * (1 + 2 R kappa/L).
    """
    slope = 1 / (1 - TRUTH["t_plus"])
    v = np.array([1.0, 0.0, slope, slope * (1 + 2 * R_INT * TRUTH["kappa"] / THICKNESS)])
    return np.asarray(v / np.linalg.norm(v))


def twin(kappa: float) -> dict[str, float]:
    """Another set with the same profiles: its conductivity is `kappa` [S/m]."""
    before, after = (THICKNESS / k + 2 * R_INT for k in (TRUTH["kappa"], kappa))
    rest = (1 - TRUTH["t_plus"]) * after / before
    return TRUTH | {"kappa": kappa, "t_plus": 1 - rest, "chi": (1 - TRUTH["t_plus"]) * TRUTH["chi"] / rest}


@dataclass(frozen=True)
class Twins:
    """Two sets with the same profiles.

    Parameters
    ----------
    profile : float
        Largest relative difference of their c(x, t) [1].
    current : float
        Smallest and largest ratio of their currents less 1 [1].
    """

    profile: float
    current: tuple[float, float]


def compare_twins(kappa: float, rtol: float = 1e-8, lithium: float = 0.0) -> Twins:
    """Run the truth and its twin at `kappa` [S/m]."""
    p = problem(rtol=rtol, lithium=lithium)
    first, second = (p.predictions(p.space.point(values)) for values in (TRUTH, twin(kappa)))
    ratio = second[0] / first[0] - 1
    return Twins(float(np.max(np.abs(second[1] / first[1] - 1))), (float(ratio.min()), float(ratio.max())))


def by_differences(function: Callable[[Array], Array], u: Array, step: float) -> Array:
    """Plain central differences of the given step, shape (n, p): what is left along a flat direction is their error."""
    e = step * np.eye(u.size)
    return np.column_stack([(function(u + x) - function(u - x)) / (2 * step) for x in e])


def sd_of_D(jacobian: Array) -> float:
    """sd(ln D), kappa held: D does not move along the flat direction, so this is its error whatever kappa is."""
    known = jacobian[:, :3]
    return float(np.sqrt(np.linalg.inv(known.T @ known)[1, 1]))


def main() -> None:
    """Print the table and what it rests on."""
    widths = (10, 10, 11, 13)
    print(f"{'':<16}{'sd(t+0)':>10}{'sd(ln D)':>10}{'sd(ln chi)':>11}{'sd(ln kappa)':>13}")
    for words, lithium in (("from the interface", 0.0), ("at places fixed in the lab", V_LITHIUM)):
        print(f"profiles {words}")
        p = problem(lithium=lithium)
        found = table(p)
        for name, sd in found.items():
            print(f"{name:<16}" + "".join(f"{s:>{w}.4g}" for s, w in zip(sd, widths, strict=True)))
            if not lithium:
                print(
                    f"{'  independent':<16}"
                    + "".join(f"{s:>{w}.4g}" for s, w in zip(ISSUED[name], widths, strict=True))
                )
    p = problem()
    u = p.space.start
    for name, part in rows(p, p.jacobian(u)).items():
        print(f"\n{name}")
        for d in directions(part.T @ part, p.space):
            print("  " + d.text)
    flat = flat_direction()
    print("\nprofiles alone, flat in closed form: d t : d ln chi : d ln kappa = 1 :",
          f"{flat[2] / flat[0]:.3f} : {flat[3] / flat[0]:.3f}")  # fmt: skip
    for lithium in (0.0, V_LITHIUM):
        for kappa in (0.10, 0.20, 0.30):
            pair, made = compare_twins(kappa, lithium=lithium), twin(kappa)
            print(f"  V_metal {lithium:.1e}: kappa {kappa:.2f}, t+0 {made['t_plus']:.3f}, chi {made['chi']:.3f}: "
                  f"profiles differ by {pair.profile:.1e}, currents by {100 * pair.current[0]:+.1f} %")  # fmt: skip
    print("\nprofiles alone by central differences in ln kappa, ln D, t+0, ln chi: what is left of the flat direction")
    for rtol in (1e-3, 1e-5, 1e-8):
        q = problem(rtol=rtol)
        for step in (0.1, 0.04, 0.02, 0.01):
            sd = standard_errors(rows(q, by_differences(q.residuals, u, step))["profiles alone"])
            print(f"  rtol {rtol:.0e}, step {step}: {np.array2string(sd, precision=3)}, as 1 : {sd[2] / sd[0]:.3f} : "
                  f"{sd[3] / sd[0]:.3f}")  # fmt: skip
    print("\ncurrent alone by the same: the limit of small steps")
    for step in (0.02, 0.01, 0.005):
        sd = standard_errors(rows(p, by_differences(p.residuals, u, step))["current alone"])
        print(f"  step {step}: {np.array2string(sd, precision=4)}")
    print("\nwhere and when the points lie")
    for words, times, x in grids():
        q = problem(times, x)
        parts = rows(q, q.jacobian(u))
        current, both = (np.array2string(standard_errors(parts[n]), precision=4) for n in ("current alone", "both"))
        sd_D = sd_of_D(parts["profiles alone"])
        print(f"  {words}: current alone {current}, profiles alone sd(ln D) {sd_D:.4f}, both {both}")


def grids() -> list[tuple[str, Array, Array]]:
    """Other times and places: in words, [s], [m]."""
    off = [(f"600 s, {1e3 * m * THICKNESS:.2f} mm off the faces", TIMES, _inset(m)) for m in (0.0, 0.05, 0.1, 0.2)]
    return [
        *off,
        ("from 60 s", np.linspace(60, 40000, 46), centres()),
        ("from 889 s", np.linspace(0, 40000, 46)[1:], centres()),
    ]


def _inset(share: float) -> Array:
    return np.linspace(share, 1 - share, 60) * THICKNESS


if __name__ == "__main__":
    main()
