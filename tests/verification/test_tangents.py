"""Tangents of a run against derivatives of closed forms, and against differences of whole runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import ConvergenceError, InputError
from cellsim.cell.geometry import Cell, InitialProfile, Separator
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.cell.protocol import Protocol, StopConditions, hold_current, hold_voltage, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.closed_forms import Layer, depletion_time, galvanostatic_profile
from cellsim.model.plan import layer_of
from cellsim.model.small_signals import current_response
from cellsim.run.ensemble import Member, sensitivities
from cellsim.run.simulation import simulate
from cellsim.run.tangents import PARAMETERS, Tangents, tangents
from cellsim.solvers import refinement
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

L, C0 = 1e-4, 1000.0
SET = TransportSet.constant(kappa=0.1, D=1e-10, t_plus=0.3, chi=1.5)
CELL = Cell(L, SET.T, separator=Separator(0.5, 3.0), positive=Electrode(resistance=Resistance(np.array([4e-4]))))
DIFFUSION = L**2 / 1e-10
TIMES = np.array([0.03, 0.1, 0.3, 1.0, 3.0]) * DIFFUSION
MOVED: dict[str, Callable[[Layer, float], Layer]] = {
    "kappa": lambda layer, by: replace(layer, kappa=layer.kappa * np.exp(by)),
    "D": lambda layer, by: replace(layer, D=layer.D * np.exp(by)),
    "t_plus": lambda layer, by: replace(layer, t_plus=layer.t_plus + by),
    "chi": lambda layer, by: replace(layer, chi=layer.chi * np.exp(by)),
    "thickness": lambda layer, by: replace(layer, thickness=layer.thickness + by),
    "c0": lambda layer, by: replace(layer, c=layer.c + by),
    "R_positive": lambda layer, by: replace(layer, resistance=layer.resistance + by),
    "porosity": lambda layer, by: replace(layer, porosity=layer.porosity + by),
    "macmullin": lambda layer, by: replace(layer, macmullin=layer.macmullin + by),
}
"""What a change of each parameter does to the layer of the closed forms."""
V, I, LATER = 1e-4, 60.0, 0.5 * DIFFUSION
SIZE = {"thickness": L, "c0": C0, "R_positive": 1e-3, "porosity": 0.5, "macmullin": 3.0}
STEP = {"thickness": 1e-3 * L, "c0": 1e-3 * C0, "R_positive": 1e-6}


def derivative(of: Callable[[Layer], float | np.ndarray], name: str) -> np.ndarray:
    """Of a closed form, by central differences with one extrapolation."""
    layer = layer_of(CELL, SET, C0)
    slopes = []
    for h in (STEP.get(name, 1e-3), 2 * STEP.get(name, 1e-3)):
        up, down = (np.asarray(of(MOVED[name](layer, by))) for by in (h, -h))
        slopes.append((up - down) / (2 * h))
    return np.asarray((4 * slopes[0] - slopes[1]) / 3)


def worst(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(found - exact)) / np.max(np.abs(exact)))


@pytest.fixture(scope="module")
def driven() -> Tangents:
    """A current until a face has lost 40 % of its salt, then the other way: c is linear in i, without approximation."""
    until = hold_current(I, DIFFUSION, StopConditions(c_below=600.0))
    steps = Protocol((until, hold_current(-I, DIFFUSION)))
    return tangents(CELL, SET, steps, c0=C0, parameters=list(MOVED), times=[0.02 * DIFFUSION, LATER])


def test_the_current_of_a_small_voltage() -> None:
    """By symmetry the current departs from the linear law by (V/25 mV)^2 of itself, some 1e-5."""
    steps = Protocol((hold_voltage(V, TIMES[-1]),))
    found = tangents(CELL, SET, steps, c0=C0, parameters=list(MOVED), times=TIMES)
    at = np.searchsorted(found.solution["time"], TIMES)
    for name in MOVED:
        exact = derivative(lambda layer: current_response(layer, V, TIMES), name)
        # measured: 2e-6 to 1.5e-5, rounding of the potential's integral
        assert worst(found.of("i", name)[at], exact) < 4e-5, name


@pytest.mark.parametrize(("rtol", "error"), [(1e-2, 3e-3), (1e-3, 3e-4), (1e-4, 3e-5), (1e-6, 3e-6)])
def test_the_profile_of_a_current_at_any_tolerance(rtol: float, error: float) -> None:
    """Measured: 9.7e-4, 1.1e-4, 9.2e-6 and 1.0e-6, the curvature over the change."""
    steps, names = Protocol((hold_current(0.5 * I, TIMES[-1]),)), ("D", "thickness", "t_plus")
    found = tangents(CELL, SET, steps, c0=C0, parameters=names, times=TIMES, options=Options(rtol=rtol))
    faces = found.solution["position_face"][0]
    at = np.searchsorted(found.solution["time"], TIMES)
    for name in names:
        exact = derivative(lambda y: galvanostatic_profile(y, 0.5 * I, faces * y.thickness / L, TIMES), name)
        assert worst(found.of("c_face", name)[at], exact) < error, name


@pytest.mark.parametrize("name", MOVED)
def test_the_moment_of_a_stop_condition_and_the_profile_after_it(driven: Tangents, name: str) -> None:
    own, size = layer_of(CELL, SET, C0), SIZE.get(name, 1.0)
    exact = derivative(lambda layer: depletion_time(layer, I, 600.0), name)
    # measured: 4e-6 of it at most
    assert driven.moments(name)[0] == pytest.approx(exact, rel=1e-5, abs=1e-7 * depletion_time(own, I, 600.0) / size)
    at = int(np.searchsorted(driven.solution["time"], LATER))
    faces = driven.solution["position_face"][at]

    def profile(layer: Layer) -> np.ndarray:
        """The first current all the time, and twice the other way from its end on."""
        place, end = faces * layer.thickness / L, depletion_time(layer, I, 600.0)
        first, second = (galvanostatic_profile(layer, i, place, t) for i, t in ((I, LATER), (-2 * I, LATER - end)))
        return first + second - layer.c

    # measured: 1.3e-6 at most, c0; the others 5e-7
    assert np.max(np.abs(driven.of("c_face", name)[at] - derivative(profile, name))) < 4e-6 * C0 / size


# ---- differences of whole runs --------------------------------------------------------------------------------------

SALT = load_set("steinruck2020_rs", 363.15)
START = SALT.c_of(r=0.08)
WIDE = Cell(3e-3, SALT.T)
EVEN = np.linspace(0.0, 60_000.0, 101)


def by_differences(of: Callable[[float], Solution], variable: str, h: float) -> np.ndarray:
    first, second = ((of(by)[variable] - of(-by)[variable]) / (2 * by) for by in (h, 2 * h))
    return np.asarray((4 * first - second) / 3)


CASES: dict[str, tuple[Cell, Protocol, float | InitialProfile]] = {
    "held voltage": (WIDE, Protocol((hold_voltage(0.3, 60_000.0),)), START),
    "kinetics": (
        replace(WIDE, positive=Electrode(kinetics=ButlerVolmer(0.5, 1000.0, 0.4, 0.6))),
        Protocol((hold_voltage(0.3, 40_000.0, StopConditions(current_below=0.6)), rest(20_000.0))),
        START,
    ),
    "resistance that grows": (
        replace(WIDE, positive=Electrode(resistance=Resistance(np.array([0.1, 0.3]), np.array([0.0, 5e4])))),
        Protocol((hold_current(4.0, 60_000.0, StopConditions(c_below=0.6 * START)), hold_voltage(0.1, 30_000.0))),
        START,
    ),
    "initial profile": (
        WIDE,
        Protocol((rest(7_000.0), hold_voltage(0.3, 40_000.0))),
        InitialProfile.from_points(np.array([0.0, 1e-3, 3e-3]), START * np.array([1.2, 1.0, 0.9]), 3e-3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_against_differences_of_whole_runs(case: str) -> None:
    """Of runs at a tolerance of 1e-7, 2000 s and more away from jumps.

    Measured: i, V and c 3e-7 to 3.2e-5, v_0 3e-6 to 6e-4 (which takes D dc/dx through kinks of the tables).
    """
    cell, protocol, c0 = CASES[case]
    found = tangents(cell, SALT, protocol, c0=c0, parameters=("D", "t_plus"), times=EVEN)
    options = Options(rtol=1e-7, unknowns=71)

    def run(name: str, by: float) -> Solution:
        scaled = {"D_source": lambda c, m, r: (1 + by) * SALT.D_source(c, m, r)}
        shifted = {
            "t_plus_source": lambda c, m, r: SALT.t_plus(c) + by,
            "t_plus_frame": "solvent",
            "chi_source": lambda c, m, r: SALT.chi(c),
            "chi_basis": "molal",
            "chi_is_product": False,
        }
        transport = replace(SALT, **(scaled if name == "D" else shifted))  # type: ignore[arg-type]
        return simulate(cell, transport, protocol, c0=c0, times=EVEN, solver="compiled", options=options)

    jumps = np.array([0.0, *(step["t_end"] for step in found.solution.log)])
    calm = EVEN[np.all(np.abs(EVEN[:, None] - jumps) > 2_000.0, axis=1) & (jumps[-1] > EVEN)]
    for name in found.parameters:
        pairs = [(run(name, by), run(name, -by)) for by in (2e-3, 4e-3)]
        for variable in ("i", "V", "c_face", "v_0"):

            def rows(s: Solution, variable: str = variable) -> np.ndarray:
                values = s[variable][1] if variable == "v_0" else s[variable]
                return np.asarray(values[np.searchsorted(s["time"], calm)])

            first, second = (
                (rows(up) - rows(down)) / (2 * h) for (up, down), h in zip(pairs, (2e-3, 4e-3), strict=True)
            )
            at = np.searchsorted(found.solution["time"], calm)
            own = found.of(variable, name)
            own = own[1][at] if variable == "v_0" else own[at]
            exact = (4 * first - second) / 3
            size = max(float(np.max(np.abs(exact))), 1e-4 * float(np.max(np.abs(rows(found.solution)))))
            assert np.max(np.abs(own - exact)) < (2e-3 if variable == "v_0" else 1e-4) * size, (name, variable)


def test_the_run_is_the_one_without_derivatives_but_more_exact() -> None:
    cell, protocol, c0 = CASES["held voltage"]
    found = tangents(cell, SALT, protocol, c0=c0, parameters="kappa", times=EVEN).solution
    alone = simulate(cell, SALT, protocol, c0=c0, times=EVEN, solver="compiled")
    # measured: 1.0e-5; the tolerance of a time step is 2e-5
    assert np.array_equal(found["time"], alone["time"])
    assert np.max(np.abs(found["i"] / alone["i"] - 1)) < 3e-5


def test_on_finite_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A polynomial that is not allowed the terms it needs gives way to cells. Measured: 4e-5 and 6e-5."""
    monkeypatch.setattr(refinement, "DEGREES", ((0.0, 8),))
    monkeypatch.setattr(refinement, "LARGEST", 8)
    until = Protocol((hold_current(4 * I, DIFFUSION, StopConditions(c_below=100.0)),))
    found = tangents(CELL, SET, until, c0=C0, parameters=("D", "t_plus"), times=[], options=Options(rtol=1e-4))
    assert found.solution.attributes["unknowns"] > 100
    for name in found.parameters:
        exact = derivative(lambda layer: depletion_time(layer, 4 * I, 100.0), name)
        assert found.moments(name)[0] == pytest.approx(exact, rel=2e-4)


def test_derivatives_of_outputs_take_the_same_way() -> None:
    """`sensitivities` of members of the compiled solver: to the last bit, for steps and changes are the same."""
    cell, protocol, c0 = CASES["held voltage"]

    def build(p: np.ndarray) -> Member:
        transport = replace(SALT, D_source=lambda c, m, r: (1 + p[0]) * SALT.D_source(c, m, r))
        return Member(cell, transport, protocol, c0, times=EVEN, solver="compiled")

    found = sensitivities(build, [0.0], lambda s: s["i"])
    own = tangents(cell, SALT, protocol, c0=c0, parameters=["D"], times=EVEN)
    assert np.array_equal(found.jacobian[:, 0], own.of("i", "D"))
    coarse = sensitivities(build, [0.0], lambda s: s["i"], method="differences")
    assert worst(coarse.jacobian[3:, 0], own.of("i", "D")[3:]) < 3e-3  # measured: 1e-3, the differences' own error


def test_what_cannot_be_is_said_in_a_sentence() -> None:
    cell, protocol, c0 = CASES["held voltage"]
    with pytest.raises(InputError, match="'viscosity' is none of kappa, D, t_plus"):
        tangents(cell, SALT, protocol, c0=c0, parameters=["viscosity"])
    with pytest.raises(InputError, match="name at least one of kappa"):
        tangents(cell, SALT, protocol, c0=c0, parameters=[])
    cations_only = TransportSet.constant(kappa=0.1, D=1e-10, t_plus=1.0, chi_is_product=True)
    with pytest.raises(InputError, match="t_plus of constant cannot change at fixed chi"):
        tangents(CELL, cations_only, Protocol((hold_voltage(0.01, 10.0),)), c0=C0, parameters=["t_plus"])
    layered = replace(cell, positive=Electrode(kinetics=ButlerVolmer(0.5, 1000.0), capacitance=0.1))
    with pytest.raises(InputError, match="carries a double layer"):
        tangents(layered, SALT, protocol, c0=c0, parameters=["D"])
    rates = Protocol((hold_voltage(0.3, 60_000.0, StopConditions(current_rate_below=1e-4)),))
    with pytest.raises(InputError, match="stops by current_rate_below"):
        tangents(cell, SALT, rates, c0=c0, parameters=["D"])
    with pytest.raises(ConvergenceError, match="max_steps"):
        tangents(cell, SALT, protocol, c0=c0, parameters=["D"], options=Options(max_steps=3, unknowns=31))
    found = tangents(cell, SALT, protocol, c0=c0, parameters=["D"], times=EVEN)
    with pytest.raises(InputError, match="'kappa' was not asked for"):
        found.of("i", "kappa")
    with pytest.raises(InputError, match="variable = 'j' is none"):
        found.of("j", "D")

    def build(p: np.ndarray) -> Member:
        steps = Protocol((hold_voltage(0.3, float(p[0])),))
        return Member(cell, SALT, steps, c0, times=[900.0], solver="compiled")

    with pytest.raises(InputError, match="steps of the same drives, durations"):
        sensitivities(build, [1000.0], lambda s: s["i"][-1], method="together")
    assert np.isfinite(sensitivities(build, [1000.0], lambda s: s["i"][-1]).jacobian).all()  # by differences
    with pytest.raises(InputError, match="method = 'tangent' must be"):
        sensitivities(build, [1000.0], lambda s: s["i"], method="tangent")  # type: ignore[arg-type]


def test_derivatives_with_their_units() -> None:
    found = tangents(CELL, SET, Protocol((hold_voltage(0.01, 10.0),)), c0=C0, parameters=["D", "c0"], times=[1.0])
    table = found.dataset
    assert list(table["unit"].values) == ["1", "mol/m^3"]
    assert np.array_equal(table["d_c"].sel(parameter="c0"), found.of("c", "c0"))
    assert set(PARAMETERS) >= set(MOVED)
