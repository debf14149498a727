"""The cell, its raw profiles and what a fit may change: one choice of assumptions, one problem."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.set_file import read_set
from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.parameters import Parameter, Prior, Space
from cellsim.fit.problem import Problem
from cellsim.fit.set_model import SetModel, constant_form, polynomial_form, scaled_form
from cellsim.instruments.mri import Edges, MriProfiles, find_edges
from cellsim.instruments.mri_signal import (
    SignalLook,
    Spread,
    independent_step,
    pixel_noise,
    signal_measurement,
    thinned,
    variances,
)
from cellsim.run.case import Case, load_case
from cellsim.solvers.march import Options

Array = NDArray[np.float64]

CASE = Path(__file__).resolve().parents[2] / "cases" / "thienenkamp2022"
SET = "thienenkamp2022_peo_litfsi"
PROFILES, INTERVAL = 46, 513.0
AREA = 1e-4
"""Nominal area by which the measured current is divided; the fit's area takes its place [m^2]."""
WINDOW = (0.9e-3, 2.7e-3)
"""Pixels used: the cell and 0.3 mm of background on either side [m]."""
INNER = 0.16e-3
"""Distance from the edges beyond which the point spread does not reach [m]."""


@dataclass(frozen=True)
class Choice:
    """One set of assumptions.

    Parameters
    ----------
    spread : {"pattern", "sensitivity", "none"}
        What stays in all profiles: added, in proportion to the signal, or nothing.
    edges : {"fixed", "drift", "growth", "both"}
        How the edges may move.
    motion : {"charge", "time"}
        Whether they move with the charge passed or steadily.
    gain : {"constant", "drift", "scatter", "own"}
        One gain; one that changes steadily; one with scatter; one, and one background, for each profile.
    solvent_motion : {"volume", "none"}
        As in a case.
    slope : bool
        D = D0 exp(a1 (r/0.1 - 1)) instead of a constant.
    t_plus : float
        Assumed t+0, or first guess [1].
    free_t_plus : bool
        Whether t+0 is a parameter beside the area.
    positive : {"upper", "lower"}
        Edge at which lithium dissolves.
    inner : bool
        Only pixels that the point spread of the edges does not reach.
    first, stop : int
        Profiles used.
    every : int
        Every so many of them.
    nonlinear : bool
        Whether the signal may be nonlinear in c, as where relaxation depends on it.
    """

    spread: Literal["pattern", "sensitivity", "none"] = "pattern"
    edges: Literal["fixed", "drift", "growth", "both"] = "both"
    motion: Literal["charge", "time"] = "charge"
    gain: Literal["constant", "drift", "scatter", "own"] = "constant"
    solvent_motion: Literal["volume", "none"] = "volume"
    slope: bool = False
    t_plus: float = 0.2
    free_t_plus: bool = False
    positive: Literal["upper", "lower"] = "upper"
    inner: bool = False
    first: int = 0
    stop: int = PROFILES
    every: int = 1
    nonlinear: bool = False


@cache
def the_case() -> Case:
    """The shipped case."""
    return load_case(CASE / "polarisation.toml")


@cache
def raw() -> MriProfiles:
    """The profiles of the polarisation, all pixels, times as labelled."""
    table = np.loadtxt(CASE / "Li_Li_profiles_raw.csv", delimiter=",", skiprows=1)
    return MriProfiles(np.arange(PROFILES) * INTERVAL, table[:, 0] * 1e-3, table[:, 1 : 1 + PROFILES].T, "MRI signal")


@cache
def first_edges() -> Edges:
    """Edges and blur by the first profile."""
    return find_edges(raw())


@cache
def pixels() -> tuple[MriProfiles, float, Array]:
    """Independent pixels in the window, their noise, the correlation of all pixels."""
    correlation = pixel_noise(raw())[1]
    some = thinned(raw(), independent_step(correlation), WINDOW)
    return some, pixel_noise(some)[0], correlation


@cache
def drive() -> Step:
    """The measured current over the nominal area, few points, its last value kept for 1500 s."""
    (step,) = the_case().protocol.steps
    area = the_case().cell.area
    assert area is not None
    nominal = replace(step, value=step.value * area / AREA)
    return nominal.thinned(1e-3, beyond=1500.0)


def model_of(choice: Choice, *, scaled: bool = False) -> SetModel:
    """The set with D (and t+0) open; `scaled`: kappa and chi by a factor each as well."""
    base = read_set(SET)
    start = 8e-13
    forms = [
        polynomial_form("D", start, 1, variable="r", centre=0.1) if choice.slope else constant_form("D", start),
        constant_form("t_plus", choice.t_plus, extra={"frame": "solvent"}),
    ]
    if scaled:
        blocks = tomllib.loads(base.text)
        forms += [scaled_form(name, blocks[name], of=SET) for name in ("kappa", "chi")]
    return SetModel(base, tuple(forms), choice.solvent_motion)


def parameters(choice: Choice, plateau: float) -> dict[str, Parameter]:
    """Nuisances of the cell and of the scanner, with what is known beforehand of each.

    The cell's edges and the blur have priors from the first profile, several times wider than its own errors, so that
    a pattern at the edges can take over; the clock's is a profile's own duration.
    """
    e, c0 = first_edges(), the_case().c0
    upper = choice.positive == "upper"
    edge = e.upper if upper else e.lower
    found = [
        Parameter("area", 0.9e-4, "m^2", True),
        Parameter("thickness", e.thickness, "m", True, prior=Prior(e.thickness, 0.01)),
        Parameter("time_offset", 256.0, "s", typical=1000.0, prior=Prior(256.0, 300.0)),
        Parameter("edge", edge, "m", typical=1e-5, prior=Prior(edge, 1e-5)),
        Parameter("blur", e.blur, "m", True, prior=Prior(e.blur, 0.2)),
        Parameter("gain", plateau / c0, "m^3/mol", True),
        Parameter("background", float(np.quantile(pixels()[0].signal, 0.1)), "", typical=1e4),
    ]
    if choice.edges in ("drift", "both"):
        found.append(Parameter("drift", 0.0, "m", typical=1e-5, prior=Prior(0.0, 2e-5)))
    if choice.edges in ("growth", "both"):
        found.append(Parameter("growth", 2e-5, "m", typical=1e-5, prior=Prior(0.0, 5e-5)))
    if choice.gain == "drift":
        found.append(Parameter("gain_drift", 0.0, "1/s", typical=1e-6))
    if choice.nonlinear:
        found.append(Parameter("nonlinearity", 0.0, "", typical=1.0, prior=Prior(0.0, 0.5)))
    own = ("gain", "background") if choice.gain == "own" else ()
    return {p.name: p for p in found if p.name not in own}


def problem_of(choice: Choice, noise: tuple[float, Spread] | None = None, size: Array | None = None) -> Problem:
    """One problem.

    Parameters
    ----------
    choice : Choice
        Assumptions.
    noise : tuple, optional
        Noise of a pixel and what pixels and profiles share [unit of the signal]; default the scatter between profiles,
        and a pattern of 3 % of the plateau.
    size : ndarray, shape (t, k), optional
        Predicted signal without background, what a sensitivity or a gain that scatters multiplies.
    """
    all_pixels, sigma, _ = pixels()
    e = first_edges()
    z = all_pixels.z
    keep = (z > e.lower + INNER) & (z < e.upper - INNER) if choice.inner else np.ones(z.size, dtype=bool)
    rows = slice(choice.first, choice.stop, choice.every)
    data = replace(all_pixels, time=all_pixels.time[rows], z=z[keep], signal=all_pixels.signal[rows][:, keep])
    inside = (z > e.lower + INNER) & (z < e.upper - INNER)
    background = float(np.quantile(all_pixels.signal, 0.1))
    plateau = float(np.median(all_pixels.signal[0, inside])) - background
    if noise is None:
        spread = {"pattern": Spread(pattern=0.03 * plateau), "sensitivity": Spread(sensitivity=0.03), "none": Spread()}
        chosen = spread[choice.spread]
        noise = sigma, replace(chosen, gain=0.003) if choice.gain == "scatter" else chosen
    nuisances = parameters(choice, plateau)
    if choice.inner:  # nothing but the flat part is seen: one level, edges as the first profile says
        nuisances = {n: p for n, p in nuisances.items() if n not in ("background", "drift", "growth")}
    share = drive().integral(data.time + 256.0) / drive().integral(np.array([data.time[0] + PROFILES * INTERVAL]))
    motion = share if choice.motion == "charge" else (data.time + 256.0) / (PROFILES * INTERVAL)
    look = SignalLook(data.time, data.z, choice.positive, nuisances["edge"].start, e.blur, np.asarray(motion))
    own = ("gain", "background") if choice.gain == "own" else ()
    roles = {n: n for n in nuisances if n not in ("area", "thickness")}
    if choice.inner:
        data = replace(data, signal=data.signal - background)
    seen = Observation.of(signal_measurement(data, look, noise[0], spread=noise[1], reference=size), roles, own)
    cell = replace(the_case().cell, area=AREA, thickness=e.thickness)
    model = model_of(choice)
    experiment = Experiment(
        "Thienenkamp 2022", cell, Protocol((drive(),)), the_case().c0, (seen,),
        {"area": "area", "thickness": "thickness"}, options=Options(rtol=1e-4), driven_by_total=True,
    )  # fmt: skip
    if choice.free_t_plus:
        return Problem(Space((*model.parameters, *nuisances.values())), model, (experiment,))
    held = SetModel(model.base, tuple(f for f in model.forms if f.name != "t_plus"), choice.solvent_motion)
    assumed = constant_form("t_plus", choice.t_plus, extra={"frame": "solvent"})
    held = replace(held, forms=(*held.forms, replace(assumed, parameters=())))
    return Problem(Space((*held.parameters, *nuisances.values())), held, (experiment,))


def begin(problem: Problem, values: Mapping[str, float]) -> Array:
    """A point to start from: known values where the names are the same."""
    known = dict(values)
    if "D" in known:
        known.setdefault("D.k0", known["D"])
    if known.get("t_plus") is None:
        known.pop("t_plus", None)
    return problem.space.point(known)


def fit(choice: Choice, values: Mapping[str, float] | None = None, noise: tuple[float, Spread] | None = None,
        size: Array | None = None) -> Estimate:  # fmt: skip
    """One search, from known values where there are some."""
    problem = problem_of(choice, noise, size)
    return estimate(problem, starts=1, at=begin(problem, values or {}))


def signal_size(found: Estimate) -> tuple[Array, Array]:
    """Residual and predicted signal without background, shapes (t, k) [unit of the signal]."""
    o = found.problem.observations[0]
    predicted = o.adjusted(found.problem.predictions(found.u)[0])
    shape = (len(o.noise.slices), -1)
    background = found.values.get("background", 0.0)
    return (o.value - predicted).reshape(shape), (predicted - background).reshape(shape)


def noise_of(found: Estimate, kinds: tuple[str, ...] = ("pattern",)) -> tuple[float, Spread, float]:
    """Noise and spreads of some kinds under which the residuals of a fit are most likely, and ln L."""
    residual, size = signal_size(found)
    first = {"pattern": 7000.0, "sensitivity": 0.02, "gain": 0.003, "background": 1000.0}
    spread = Spread(**{kind: first[kind] for kind in kinds})
    return variances(residual, size, (float(found.problem.observations[0].noise.own[0]), spread))


def without_shared(found: Estimate) -> Array:
    """Measured less what pixels and profiles share, best guess, shape (t, k) [unit of the signal]."""
    o = found.problem.observations[0]
    residual = signal_size(found)[0].ravel()
    own = o.noise.own * o.noise.whiten(o.noise.own * o.noise.whiten(residual))
    return np.asarray((o.value - residual + own).reshape(len(o.noise.slices), -1))


def quotient(found: Estimate, choice: Choice) -> float:
    """(1 - t+0) phi_0 / area at c0 [1/m^2]: the salt that leaves the positive electrode per charge number and area."""
    values = found.values
    transport = found.problem.model.at(values, the_case().cell.temperature)
    c0 = the_case().c0
    return float((1 - transport.t_plus(np.array([c0]))[0]) * transport.phi_0(np.array([c0]))[0] / values["area"])
