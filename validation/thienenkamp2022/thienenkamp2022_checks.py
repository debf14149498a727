"""What is asked of the fits: rival assumptions, weak directions, held-out profiles, kappa and chi, voltage."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from thienenkamp2022_cell import Choice, fit, model_of, noise_of, problem_of, quotient, signal_size, the_case

from cellsim.fit.checks import (
    ApparentResistance,
    Forecast,
    VoltageCheck,
    apparent_resistance,
    conditional,
    forecast,
    statistics,
    voltage_check,
)
from cellsim.fit.estimate import Direction, Estimate, directions, estimate
from cellsim.fit.experiment import Observation
from cellsim.fit.parameters import Parameter, Prior, Space
from cellsim.fit.problem import Problem
from cellsim.fit.rivals import log_likelihood
from cellsim.instruments.measurement import series
from cellsim.instruments.mri_signal import Spread
from cellsim.run.simulation import simulate

Array = NDArray[np.float64]
Noise = tuple[float, Spread]

CONSTANT = Choice()
"""The simplest that is not absurd; the reference."""
RIVALS: dict[str, Choice] = {
    "D constant": CONSTANT,
    "D constant, edges fixed": Choice(edges="fixed"),
    "D constant, cell drifts": Choice(edges="drift"),
    "D constant, negative edge grows": Choice(edges="growth"),
    "D constant, edges move with time": Choice(motion="time"),
    "D constant, gain drifts": Choice(gain="drift"),
    "D constant, gain and background per profile": Choice(gain="own"),
    "D constant, no solvent motion": Choice(solvent_motion="none"),
    "D constant, t+0 = 0.5 assumed": Choice(t_plus=0.5),
    "D constant, without the first profile": Choice(first=1),
    "D constant, inner pixels only": Choice(inner=True),
    "D constant, positive electrode below": Choice(positive="lower"),
    "D constant, gain drifts, signal nonlinear": Choice(gain="drift", nonlinear=True),
    "D with slope": Choice(slope=True),
    "D with slope, gain drifts": Choice(slope=True, gain="drift"),
    "D with slope, gain drifts, signal nonlinear": Choice(slope=True, gain="drift", nonlinear=True),
    "D with slope, no solvent motion": Choice(slope=True, gain="drift", solvent_motion="none"),
    "D with slope, inner pixels only": Choice(slope=True, inner=True),
}
QUICK = ("D constant", "D constant, edges fixed", "D with slope")
SHORT_OF_LIKE = tuple(name for name, choice in RIVALS.items() if choice.inner or choice.first)
"""Fits to fewer data: their likelihood cannot be compared."""


@dataclass(frozen=True)
class Rival:
    """A fit under one choice, in numbers."""

    name: str
    quotient: float
    quotient_sd: float
    D: float
    D_sd: float
    deviance: float
    parameters: int
    level: float
    trend: float
    values: dict[str, float]
    errors: dict[str, float]

    @property
    def aic(self) -> float:
        """-2 ln L + 2 k."""
        return self.deviance + 2 * self.parameters


def rival(name: str, choice: Choice, found: Estimate) -> Rival:
    """The numbers of a fit."""
    D = "D" if "D" in found.values else "D.k0"
    own = sum(len(o.profiled) * len(o.noise.slices) for o in found.problem.observations)
    w = found.residuals[: found.problem.size].reshape(len(found.problem.observations[0].noise.slices), -1)
    return Rival(
        name, quotient(found, choice), float(found.sd[found.space.index("area")]), found.values[D],
        float(found.sd[found.space.index(D)]), -2 * log_likelihood(found.problem, found.u, found.levels),
        found.space.size + own + 1, float(found.levels[0]), statistics(w)["trends in time, by pixel"],
        found.values, found.errors,
    )  # fmt: skip


def rivals(names: tuple[str, ...], every: int, start: dict[str, float], noise: Noise, folder: Path,
           say: Callable[[str], None]) -> list[Rival]:  # fmt: skip
    """Each choice fitted; those already kept in `folder` are read."""
    found = []
    for name in names:
        file = folder / ("rival-" + "".join(ch if ch.isalnum() else "_" for ch in name) + ".json")
        mark = [every, noise[0], noise[1].pattern]
        if file.is_file() and (kept := json.loads(file.read_text(encoding="utf-8")))["mark"] == mark:
            found.append(Rival(**kept["rival"]))
        else:
            choice = replace(RIVALS[name], every=every)
            near = next((r.values for r in reversed(found) if ("D.a1" in r.values) == choice.slope), start)
            one = rival(name, choice, fit(choice, near if choice.slope else start, noise))
            file.write_text(json.dumps({"mark": mark, "rival": one.__dict__}), encoding="utf-8")
            found.append(one)
        say(f"{name}: D {found[-1].D:.3g} m2/s, quotient {found[-1].quotient * 1e-4:.3f} 1/cm2")
    return found


def wall(choice: Choice, values: dict[str, float]) -> tuple[float, float]:
    """Lowest concentration at the negative electrode over c0 [1], and when [s]; 0 where the salt runs out.

    The point spread hides it: a layer of 10 µm is a sixth of its standard deviation.
    """
    e = problem_of(choice).experiments[0]
    known = values | {"t_plus": choice.t_plus}
    s = e.run(model_of(choice).at(known, e.cell.temperature), known)
    assert s is not None
    k = int(np.argmin(s["c_face"][:, -1]))
    return (float(s["c_face"][k, -1]) / e.c0 if s.succeeded else 0.0), float(s["time"][k])


def weak_directions(choice: Choice, values: dict[str, float], noise: Noise) -> tuple[Direction, ...]:
    """Directions of the data's information with area and t+0 both open, weakest first."""
    problem = problem_of(replace(choice, free_t_plus=True), noise)
    u = problem.space.point(values | {"t_plus": choice.t_plus})
    J = problem.jacobian(u)[: problem.size]
    return directions(J.T @ J, problem.space)


@dataclass(frozen=True)
class HeldOut:
    """Late profiles predicted from early ones, and as if nothing changed after the last early one."""

    early: Estimate
    model: Forecast
    null: Forecast
    late: NDArray[np.bool_]
    shape: tuple[int, int]


def held_out(choice: Choice, start: dict[str, float], share: float = 0.6) -> HeldOut:
    """Fit the first `share` of the profiles, noise and pattern found there too, and predict the rest."""
    rows = np.arange(choice.first, choice.stop, choice.every)
    stop = int(rows[round(share * rows.size) - 1]) + 1
    first = fit(replace(choice, stop=stop), start)
    sigma, spread, _ = noise_of(first)
    early = fit(replace(choice, stop=stop), first.values, (sigma, spread), signal_size(first)[1])
    whole = problem_of(choice, (sigma, spread))
    o = whole.observations[0]
    late = np.asarray(o.time > (stop - 0.5) * 513.0)
    predicted = whole.predictions(early.u)[0].reshape(rows.size, -1)
    frozen = predicted.copy()
    count = round(share * rows.size)
    frozen[count:] = predicted[count - 1]
    null = conditional(o, frozen.ravel(), late, level=float(early.levels[0]))
    return HeldOut(early, forecast(early, whole, late), null, late, (int(rows.size), predicted.shape[1]))


def without_effect(choice: Choice, found: Estimate) -> float:
    """Largest change of c/c0 anywhere, any time, with kappa a third or threefold and chi half or double [1]."""
    e = found.problem.experiments[0]
    model = model_of(choice, scaled=True)
    runs = []
    for factors in ((1.0, 1.0), (1 / 3, 1.0), (3.0, 1.0), (1.0, 0.5), (1.0, 2.0)):
        values = found.values | {"t_plus": choice.t_plus, "kappa factor": factors[0], "chi factor": factors[1]}
        solution = e.run(model.at(values, e.cell.temperature), values)
        assert solution is not None
        runs.append(solution["c_face"])
    return float(max(np.abs(run - runs[0]).max() for run in runs[1:]) / e.c0)


@dataclass(frozen=True)
class Voltage:
    """What the measured voltage says."""

    resistance: ApparentResistance
    checks: tuple[VoltageCheck, ...]
    current: Array


def with_voltage(choice: Choice, start: dict[str, float], noise: Noise, stop: float = 1800.0) -> Estimate:
    """The voltage of the beginning in the likelihood too, at 5 mV: kappa and chi by a factor, R_int constant."""
    problem = problem_of(choice, noise)
    (e,), (step,) = problem.experiments, the_case().protocol.steps
    assert step.measured_other is not None
    time = np.linspace(30.0, stop, 16)
    seen = Observation.of(series("voltage", time, np.interp(time, *step.measured_other), error=5e-3))
    kappa, chi = (form for form in model_of(choice, scaled=True).forms if form.name in ("kappa", "chi"))
    model = replace(problem.model, forms=(*problem.model.forms, kappa, chi))
    known = {"kappa factor": Prior(1.0, np.log(3) / 1.96), "chi factor": Prior(1.0, np.log(2) / 1.96)}
    own = [replace(p, prior=known.get(p.name)) for p in model.parameters]
    others = [p for p in problem.space.parameters if p.nuisance]
    resistance = Parameter("R_int", 0.06, "ohm m^2", True, prior=Prior(0.06, 2.0))
    both = replace(e, observations=(*e.observations, seen), nuisance=dict(e.nuisance) | {"R_int": "R_int"})
    joint = Problem(Space((*own, *others, resistance)), model, (both,))
    return estimate(joint, starts=1, at=joint.space.point(start))


STRETCHES = ((0.0, 600.0), (0.0, 1800.0), (0.0, 4900.0), (5200.0, 8800.0), (12000.0, 23500.0), (0.0, 23500.0))
"""Where the voltage is put to the check [s]: the beginning, constant current, constant voltage, all."""


def voltage(choice: Choice, found: Estimate, draws: int, seed: int = 0) -> Voltage:
    """Apparent resistance of the whole cell, kappa known within a factor of 3, chi of 2, t+0 within 0.2 +- 0.3.

    The quotient stays, so the area goes with t+0. All at 95 %.
    """
    (step,) = the_case().protocol.steps
    assert step.time is not None and step.measured_other is not None
    area = the_case().cell.area
    assert area is not None
    time = np.concatenate([np.arange(10.0, 600.0, 60.0), np.arange(600.0, 23500.0, 180.0)])
    U, current = np.interp(time, *step.measured_other), np.interp(time, step.time, step.value) * area
    e = found.problem.experiments[0]
    model, generator = model_of(choice, scaled=True), np.random.default_rng(seed)
    rows: list[Array] = []
    for _ in range(draws):
        u = generator.multivariate_normal(found.u, found.covariance)
        values: dict[str, Any] = found.space.values(u)
        t_plus = float(np.clip(generator.normal(0.2, 0.15), -0.4, 0.8))
        values |= {
            "t_plus": t_plus, "area": values["area"] * (1 - t_plus) / (1 - choice.t_plus),
            "kappa factor": float(np.exp(generator.normal() * np.log(3) / 1.96)),
            "chi factor": float(np.exp(generator.normal() * np.log(2) / 1.96)),
        }  # fmt: skip
        cell, protocol, c0 = e.build(values)
        assert protocol is not None
        s = simulate(cell, model.at(values, cell.temperature), protocol, c0=c0, times=np.append(0.0, time),
                     solver=e.solver, options=e.options)  # fmt: skip
        if s.succeeded:
            rows.append(np.interp(time, s["time"], s["V"]))
    electrolyte = np.array(rows)
    checks = tuple(voltage_check(time, U, current, electrolyte, error=1e-3, stretch=part) for part in STRETCHES)
    return Voltage(apparent_resistance(time, U, current, electrolyte), checks, current)
