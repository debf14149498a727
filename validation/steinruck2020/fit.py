"""Fits to SYNTHETIC data of the RS reconstruction: the truth comes back, current alone does not hold it, rivals judged.

    python validation/steinruck2020/fit.py [recover|current|rivals]        # all three: some minutes

Nothing here is a measurement. The cell is the paper's (3 mm, 0.3 V, 90 degC, r = 0.1) with 12 ohm cm^2 at each
interface; 46 currents to 40 000 s with an error of 1 %, 60-point profiles at the times of the paper's scans with an
error of 2 % of the mean concentration at places fixed in the lab, |v0| in the lab at the four well-measured positions
every 50 min until 550 min with an error of 1.2 A/s (3 to 7 %). Area (1 %), R_int (a factor of two) and the beam's place
(0.04 mm) are nuisances with priors. fit.md says what comes out.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.set_file import read_set
from cellsim.fit.estimate import Estimate, describe, directions, estimate
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.likelihood_profile import LikelihoodProfile, profile
from cellsim.fit.parameters import Parameter, Prior, Space
from cellsim.fit.problem import Problem, synthetic
from cellsim.fit.rivals import Evidence, evidence
from cellsim.fit.set_model import PropertyForm, SetModel, constant_form, scaled_form, spline_form
from cellsim.instruments.looks import VelocityLook
from cellsim.instruments.measurement import ConcentrationMap, series, velocities
from cellsim.instruments.noise import independent
from cellsim.solvers.march import Options

Array = NDArray[np.float64]

SEED = 20261121
T, THICKNESS, VOLTAGE, R0, MINUTE = 363.15, 3e-3, 0.3, 0.1, 60.0
R_INT, AREA = 1.2e-3, 1e-4
TIMES = np.linspace(600.0, 40000.0, 46)
SCANS = np.array([10.0, 30.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0]) * MINUTE
PLACES = np.linspace(0.1e-3, 2.9e-3, 60)
BEAMS = np.array([-0.50, -0.15, 0.20, 0.55]) * 1e-3 + THICKNESS / 2
SERIES = np.arange(50.0, 551.0, 50.0) * MINUTE
CURRENT_ERROR, PROFILE_ERROR, VELOCITY_ERROR, BEAM_ERROR = 0.01, 0.02, 1.2e-10, 0.04e-3
RIVALS = ("steinruck2020_rs", "steinruck2020_rs_volume", "steinruck2020_pnb")
KINDS = {
    "current": ("current",),
    "current and profiles": ("current", "profiles"),
    "current, profiles and velocities": ("current", "profiles", "velocities"),
}


def problem(name: str, forms: tuple[PropertyForm, ...], kinds: tuple[str, ...]) -> Problem:
    """A set of the library, in part fitted, under the experiment; its data are still ones.

    Parameters
    ----------
    name : str
        Of the set.
    forms : tuple of PropertyForm
        What is fitted of it.
    kinds : tuple of str
        Of "current", "profiles", "velocities".

    Returns
    -------
    Problem
    """
    model = SetModel(read_set(name), forms)
    electrode = Electrode(Resistance(np.array([R_INT])))
    cell = Cell(THICKNESS, T, positive=electrode, negative=electrode, area=AREA)
    c0 = float(read_set(name).bind(T).c_of(r=R0))
    nuisances = [
        Parameter("area", AREA, "m^2", True, prior=Prior(AREA, 0.01)),
        Parameter("R_int", 2 * R_INT, "ohm m^2", True, prior=Prior(2 * R_INT, 0.7)),
    ]
    made = []
    if "current" in kinds:
        made.append(Observation.of(series("current", TIMES, np.ones(TIMES.size), error=1.0)))
    if "profiles" in kinds:
        ones = np.ones((SCANS.size, PLACES.size))
        profiles = ConcentrationMap(SCANS, PLACES, ones, PROFILE_ERROR * c0 * ones, label="profiles")
        made.append(Observation.of(profiles.measurement(c0)))
    if "velocities" in kinds:
        time, place = (x.ravel() for x in np.meshgrid(SERIES, BEAMS, indexing="ij"))
        nuisances.append(Parameter("beam_offset", 0.0, "m", typical=1e-4, prior=Prior(0.0, BEAM_ERROR)))
        seen = velocities(VelocityLook(time, place), np.ones(time.size), error=VELOCITY_ERROR, label="velocities")
        made.append(Observation.of(seen, {"position_offset": "beam_offset"}))
    e = Experiment("cell", cell, Protocol((hold_voltage(VOLTAGE, 40000.0),)), c0, tuple(made),
                   {"area": "area", "R_int": "R_int"}, options=Options(rtol=1e-5))  # fmt: skip
    return Problem(Space((*model.parameters, *nuisances)), model, (e,))


def data(seed: int | None = SEED) -> dict[str, Observation]:
    """Everything measured on RS, by label; without noise where `seed` is None."""
    p = problem(RIVALS[0], (), KINDS["current, profiles and velocities"])
    u = p.space.start
    e = p.experiments[0]
    current = replace(e.observations[0], noise=independent(CURRENT_ERROR * p.predictions(u)[0]))
    p = replace(p, experiments=(replace(e, observations=(current, *e.observations[1:])),))
    made = synthetic(p, u, None if seed is None else np.random.default_rng(seed))
    return {o.label: o for o in made.observations}


def given(p: Problem, measured: dict[str, Observation]) -> Problem:
    """A problem with those data."""
    e = p.experiments[0]
    own = tuple(replace(o, value=measured[o.label].value, noise=measured[o.label].noise) for o in e.observations)
    return replace(p, experiments=(replace(e, observations=own),))


# ---- the truth comes back -----------------------------------------------------------------------------------------


def forms_of_recovery() -> tuple[PropertyForm, ...]:
    """kappa and (1-t) chi of RS, scaled; D and t+0 monotone splines through three knots in r, from wrong starts."""
    blocks = tomllib.loads(read_set(RIVALS[0]).text)
    knots, covers = (0.03, 0.1, 0.18), (1e-4, 0.30)
    return (
        scaled_form("kappa", blocks["kappa"], of="RS"),
        spline_form("D", [1e-11] * 3, knots, variable="r", covers=covers),
        spline_form("t_plus", [0.0, 0.0, 0.0], knots, variable="r", covers=covers, extra={"frame": "solvent"}),
        scaled_form("chi", blocks["chi"], of="RS"),
    )


def truth_of(p: Problem) -> dict[str, float]:
    """RS in the parameters of :func:`forms_of_recovery`."""
    known = {
        "D": 1.4e-11,
        "t_plus": 0.2,
        "kappa": 1.0,
        "chi": 1.0,
        "area": AREA,
        "R_int": 2 * R_INT,
        "beam_offset": 0.0,
    }
    return {n: known[n.split("(")[0].split(" ")[0]] for n in p.space.names}


def recover(measured: dict[str, Observation], starts: int = 2) -> Estimate:
    """Fit everything to everything."""
    return estimate(given(problem(RIVALS[0], forms_of_recovery(), KINDS["current, profiles and velocities"]), measured),
                    starts=starts)  # fmt: skip


# ---- current alone ------------------------------------------------------------------------------------------------


def forms_of_constants() -> tuple[PropertyForm, ...]:
    """kappa and (1-t) chi of RS, scaled; D and t+0 constant: the true forms, so that only the data are to blame."""
    blocks = tomllib.loads(read_set(RIVALS[0]).text)
    return (
        scaled_form("kappa", blocks["kappa"], of="RS"),
        constant_form("D", 1.4e-11),
        constant_form("t_plus", 0.2, extra={"frame": "solvent"}),
        scaled_form("chi", blocks["chi"], of="RS"),
    )


def fit_constants(measured: dict[str, Observation], kinds: tuple[str, ...]) -> Estimate:
    """Four numbers and the nuisances to some of the data."""
    return estimate(given(problem(RIVALS[0], forms_of_constants(), kinds), measured), starts=1)


def profile_of_t_plus(found: Estimate) -> LikelihoodProfile:
    """How far t+0 can go."""
    return profile(found, "t_plus")


# ---- rivals -------------------------------------------------------------------------------------------------------


def scaled(name: str) -> tuple[PropertyForm, ...]:
    """kappa, D and (1-t) chi of a set, scaled: t+0 alone is kept as the set has it."""
    blocks = tomllib.loads(read_set(name).text)
    return tuple(scaled_form(key, blocks[key], of=name) for key in ("kappa", "D", "chi"))


def none(name: str) -> tuple[PropertyForm, ...]:
    """The set as it is."""
    return ()


def rivals(
    measured: dict[str, Observation],
    kinds: tuple[str, ...],
    forms: Callable[[str], tuple[PropertyForm, ...]] = none,
    folds: int = 0,
) -> tuple[Evidence, ...]:
    """Both readings of RS and PNB judged by some of the data, nuisances refitted."""
    return evidence({n: given(problem(n, forms(n), kinds), measured) for n in RIVALS}, folds=folds, starts=1)


def table_of(found: tuple[Evidence, ...]) -> list[str]:
    """Lines: AIC, BIC and held-out likelihood less those of the best."""
    top = min(found, key=lambda e: e.aic)
    best = max(e.held_out for e in found) if found[0].held_out is not None else None
    lines = []
    for name in RIVALS:
        e = next(e for e in found if e.name == name)
        v = e.fit.values
        held = "" if best is None or e.held_out is None else f" ln L held out {e.held_out - best:+.1f}"
        factors = "".join(f", {n} {v[n]:.3f}" for n in v if n.endswith("factor"))
        reduced, bic = e.fit.chi2_data / e.fit.degrees_of_freedom, e.bic - min(x.bic for x in found)
        lines.append(
            f"  {name:<24} chi2/dof {reduced:8.3f} dAIC {e.aic - top.aic:+10.1f} dBIC {bic:+10.1f}{held}   area "
            f"{1e4 * v['area']:.3f} cm2, R_int {1e4 * v['R_int']:.1f} ohm cm2{factors}"
        )
    return lines


def main() -> None:
    """Print all three parts, or those named."""
    parts = sys.argv[1:] or ["recover", "current", "rivals"]
    measured = data()
    if "recover" in parts:
        found = recover(measured)
        print(f"everything from everything: chi2 {found.chi2:.0f} for {found.degrees_of_freedom} degrees of freedom")
        print("\n".join(describe(found)))
        truth = truth_of(found.problem)
        pulls = (found.u - found.space.point(truth)) / found.sd
        print("pulls: " + ", ".join(f"{n} {x:+.2f}" for n, x in zip(found.space.names, pulls, strict=True)))
    if "current" in parts:
        for words, kinds in KINDS.items():
            found = fit_constants(measured, kinds)
            print(f"\n{words}, four numbers: chi2 {found.chi2:.0f} for {found.degrees_of_freedom}")
            print("\n".join(describe(found)))
            for d in directions(found.information, found.space)[:3]:  # with what is known of area and R_int
                print("  " + d.text)
            one = profile_of_t_plus(found)
            print("  profile: " + one.shape + "; " + one.text(found.space.parameters[found.space.index("t_plus")]))
            print("  " + ", ".join(f"{v:.3g}: {d:.2f}" for v, d in zip(one.value, one.delta, strict=True)))
    if "rivals" in parts:
        for words, kinds in KINDS.items():
            for label, forms in (("as they are", none), ("kappa, D, (1-t) chi scaled", scaled)):
                print(f"\n{words}; sets {label}")
                print("\n".join(table_of(rivals(measured, kinds, forms, folds=4 if forms is none else 0))))


if __name__ == "__main__":
    main()
