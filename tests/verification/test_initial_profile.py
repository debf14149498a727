"""A run that begins with a profile: what a former one ended with, and profiles whose relaxation is a closed form."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.geometry import Cell, InitialProfile, Separator
from cellsim.cell.protocol import Protocol, hold_current, hold_voltage, rest
from cellsim.electrolyte.set_file import load_set, parse_set
from cellsim.run.cell_tables import last_profile
from cellsim.run.simulation import SOLVERS, simulate
from cellsim.solvers.march import Options

T = 363.15
SET = load_set("steinruck2020_rs", T)
CELL = Cell(3e-4, T)
C0 = float(SET.c_of(r=0.08))

CONSTANT = """
name = "constant"
title = "constant properties"
status = "model"
note = "a toy"
[salt]
formula = "LiX"
M = "100 g/mol"
z_plus = 1
z_minus = -1
[solvent]
name = "S"
M = "50 g/mol"
[volumes]
{volumes}
source = "toy"
[range]
variable = "c"
min = 0.001
max = 2.0
[kappa]
value = "0.1 S/m"
source = "toy"
[D]
value = "1e-11 m^2/s"
source = "toy"
[t_plus]
value = 0.3
frame = "volume"
source = "toy"
[chi]
value = 1.0
basis = "molar"
source = "toy"
"""
COARSE, FINE = Options(cells=24, rtol=1e-3), Options(cells=60)
OPTIONS = {"fipy": COARSE, "material": COARSE, "sundials": FINE, "compiled": FINE}
DENSITY = 'density = { expression = "1000 + 60 * c + 8 * c**2", unit = "kg/m^3", source = "toy" }'


def toy(volumes='V_0 = "50 cm^3/mol"'):
    return parse_set(CONSTANT.format(volumes=volumes), "constant").bind(T)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["rest after a voltage", "voltage back"])
def test_two_runs_in_a_row_are_one(solver, kind):
    """Steps A and B in one run, and a run of B from what a run of A ended with."""
    first = hold_voltage(0.1, 900.0)
    second = rest(600.0) if kind == "rest after a voltage" else hold_voltage(-0.05, 600.0)
    after, options = np.linspace(0.0, 600.0, 13)[1:], OPTIONS[solver]
    times = np.append(450.0, 900.0 + after)
    whole = simulate(CELL, SET, Protocol((first, second)), c0=C0, times=times, solver=solver, options=options)
    a = simulate(CELL, SET, Protocol((first,)), c0=C0, times=[450.0], solver=solver, options=options)
    profile = last_profile(a, CELL, SET)
    b = simulate(CELL, SET, Protocol((second,)), c0=profile, times=after, solver=solver, options=options)

    rows = np.flatnonzero(whole["step"] == 1)
    assert np.abs(whole["time"][rows] - (900.0 + b["time"])).max() < 1e-9
    # measured: 6e-14 of the largest with fipy and material, whose cells are the same; with sundials and compiled 1.4e-7
    # at the start, a spline through 60 cells, and 4e-6 later, since the two runs take other time steps
    allowed = 1e-12 if solver in ("fipy", "material") else 2e-5
    for name in ("i", "V"):
        assert np.abs(b[name] - whole[name][rows]).max() <= allowed * np.abs(whole[name]).max()
    moved = np.ptp(whole["c_face"])
    assert np.abs(b["c_face"] - whole["c_face"][rows]).max() <= allowed * moved
    assert np.abs(b["salt_inventory"] / whole["salt_inventory"][0] - 1).max() <= 1e-13
    assert profile.time == 900.0


@pytest.mark.parametrize("solver", ["compiled", "sundials", "material"])
def test_a_cell_that_breathes_goes_on_from_its_own_thickness(solver):
    """Volumes that vary: the cells of the second run hold the solvent that they held in the first, at its thickness."""
    transport = toy(DENSITY)
    assert transport.volumes.varies
    steps = hold_current(2.0, 3000.0), hold_current(-1.0, 3000.0)
    options = Options(cells=40, rtol=1e-4) if solver == "material" else Options(rtol=1e-6)
    after = np.linspace(0.0, 3000.0, 7)[1:]
    cell = Cell(2e-4, T)
    whole = simulate(cell, transport, Protocol(steps), c0=1000.0, times=3000.0 + after, solver=solver, options=options)
    a = simulate(cell, transport, Protocol(steps[:1]), c0=1000.0, times=[1500.0], solver=solver, options=options)
    b = simulate(
        cell,
        transport,
        Protocol(steps[1:]),
        c0=last_profile(a, cell, transport),
        times=after,
        solver=solver,
        options=options,
    )
    rows = np.flatnonzero(whole["step"] == 1)
    assert abs(a["thickness"][-1] / cell.thickness - 1) > 1e-5  # it does breathe
    # measured: 5e-10 of the change of the thickness, 2e-8 of that of c
    assert np.abs(b["thickness"] - whole["thickness"][rows]).max() <= 1e-8 * np.ptp(whole["thickness"])
    assert np.abs(b["c"] - whole["c"][rows]).max() <= 1e-7 * np.ptp(whole["c"])
    assert np.abs(b["salt_inventory"] / whole["salt_inventory"][0] - 1).max() <= 1e-13


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_cosine_at_rest_relaxes_as_its_own_mode(solver):
    """c = c0 + a cos(pi x/L) with constant D: a falls as exp(-pi^2 D t/L^2), whatever a is (PHYSICS, 9c)."""
    transport, L, c0, a = toy(), 2e-4, 1000.0, 300.0
    x = np.linspace(0.0, L, 401)
    profile = InitialProfile.from_points(x, c0 + a * np.cos(np.pi * x / L), L)
    tau = L**2 / (np.pi**2 * 1e-11)
    times = tau * np.array([0.3, 1.0, 2.0])
    run = simulate(
        Cell(L, T),
        transport,
        Protocol((rest(2.0 * tau),)),
        c0=profile,
        times=times,
        solver=solver,
        options=Options(cells=120, rtol=1e-5 if solver in ("fipy", "material") else 1e-6),
    )
    rows = np.searchsorted(run["time"], times * (1 - 1e-12))
    expected = c0 + a * np.exp(-times / tau)[:, None] * np.cos(np.pi * run["face"] / L)
    # measured: 1.8e-4 and 1.6e-4 (fipy, material) on 120 cells of second order, 1e-7 (sundials, compiled); at the
    # start 2e-6, a monotone cubic through 401 points
    allowed = 4e-4 if solver in ("fipy", "material") else 3e-7
    assert np.abs(run["c_face"][rows] - expected).max() <= allowed * a
    assert abs(run["c_face"][0, 0] - (c0 + a)) <= 1e-5 * a and abs(run["c_face"][0, -1] - (c0 - a)) <= 1e-5 * a


def test_a_former_run_serves_any_solver_and_grid():
    """What FiPy ended with on 60 cells, taken over by the others on theirs: the same course to what 60 cells leave."""
    step, options = hold_voltage(0.1, 900.0), Options(cells=60)
    a = simulate(CELL, SET, Protocol((step,)), c0=C0, times=[450.0], solver="fipy", options=options)
    profile = last_profile(a, CELL, SET)
    ends = [
        simulate(
            CELL, SET, Protocol((rest(300.0),)), c0=profile, times=[150.0], solver=solver, options=Options(cells=n)
        )
        for solver, n in (("fipy", 60), ("sundials", 160), ("material", 90), ("compiled", 40))
    ]
    voltages = np.array([run["V"][-1] for run in ends])
    assert np.ptp(voltages) <= 2e-3 * voltages[0]  # measured: 1.0e-3 between fipy on 60 cells and the finest
    assert abs(voltages[1] / voltages[3] - 1) <= 2e-6  # sundials and compiled, which refine; measured: 5e-7
    assert np.ptp([run["salt_inventory"][-1] for run in ends]) <= 1e-13 * ends[0]["salt_inventory"][0]


def test_the_profile_is_what_was_given():
    """Points are met, nothing passes above or below them; averages and salt are those of the closed form."""
    L = 1e-3
    x = np.array([0.05, 0.2, 0.5, 0.8, 0.97]) * L
    c = np.array([1200.0, 1200.0, 900.0, 500.0, 400.0])
    profile = InitialProfile.from_points(x - 0.0, c, L)
    assert np.abs(profile.at(x) - c).max() <= 1e-9 * 1200
    assert profile.extremes == (pytest.approx(400.0, rel=1e-12), pytest.approx(1200.0, rel=1e-12))
    assert profile.wall == pytest.approx([1200.0, 400.0], rel=1e-12)  # held up to the walls
    fine = np.linspace(0, L, 20001)
    assert profile.average == pytest.approx(np.trapezoid(profile.at(fine), fine) / L, rel=1e-8)
    turned = InitialProfile.from_points(x[::-1], c[::-1], L)
    assert np.abs(turned.at(fine) - profile.at(fine)).max() <= 1e-9 * 1200
    wider = profile.scaled(2 * profile.average, 3 * L)
    assert np.abs(wider.at(3 * fine) - 2 * profile.at(fine)).max() <= 1e-9 * 2400
    assert wider.average == pytest.approx(2 * profile.average, rel=1e-12)


def test_a_front_between_two_cells_stays_positive():
    """A cubic spline of the salt would dip below zero there; the monotone one in its place keeps every average."""
    faces = np.linspace(0.0, 1e-3, 21)
    c = np.where(np.arange(20) < 10, 2000.0, 2.0)
    profile = InitialProfile.from_cells(faces, c, np.array([2000.0, 2.0]))
    assert profile.extremes[0] >= 0.0
    assert np.abs(profile.averages(faces) - c).max() <= 1e-9 * 2000


@pytest.mark.parametrize(
    ("x", "c", "words"),
    [
        ([0.0, 1.1e-3], [1e3, 1e3], "1.1 mm from the positive electrode lies outside the cell of 1 mm"),
        ([-1e-5, 1e-3], [1e3, 1e3], "-0.01 mm from the positive electrode lies outside"),
        ([0.0, 0.5e-3, 1e-3], [1e3, -1.0, 1e3], "c = -1 mol/m^3 of point 2 must be positive"),
        ([0.0, 0.5e-3, 1e-3], [1e3, np.nan, 1e3], "point 2 is not a number"),
        ([0.0, 0.5e-3, 0.4e-3, 1e-3], [1e3] * 4, "run one way"),
        ([0.0], [1e3], "two points or more"),
        ([0.2e-3, 1e-3], [1e3, 1e3], "0.2 mm next to a wall are without points"),
    ],
)
def test_points_that_are_no_profile(x, c, words):
    with pytest.raises(InputError, match=re.escape(words)):
        InitialProfile.from_points(np.array(x), np.array(c), 1e-3)


def test_another_cell_or_set_is_refused():
    a = simulate(CELL, SET, Protocol((hold_voltage(0.05, 60.0),)), c0=C0, times=[30.0])
    other = load_set("steinruck2020_pnb", T)
    for cell, transport, words in (
        (replace(CELL, thickness=4e-4), SET, "a cell of 0.3 mm, cell.thickness is 0.4 mm"),
        (replace(CELL, separator=Separator(0.5, 2.0)), SET, "a porosity of 1, cell.separator.porosity is 0.5"),
        (CELL, other, "had another transport set"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            last_profile(a, cell, transport)
    thin = InitialProfile.from_points(np.array([0.0, 3.1e-4]), np.array([C0, C0]), 3.1e-4)
    with pytest.raises(InputError, match=r"0\.31 mm thick, cell.thickness is 0\.3 mm"):
        simulate(CELL, SET, Protocol((rest(60.0),)), c0=thin)
    dilute = InitialProfile.from_points(np.array([0.0, 3e-4]), np.array([C0, 0.1]), 3e-4)
    with pytest.raises(InputError, match=r"c = 0\.0001 mol/L lies outside"):
        simulate(CELL, SET, Protocol((rest(60.0),)), c0=dilute)
