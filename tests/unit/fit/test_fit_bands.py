import numpy as np
import pytest
from fit_toys import BASE, T

from cellsim.base import ConvergenceError, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.fit.bands import bands, normal_draws
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.set_model import SetModel, constant_form
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

MODEL = SetModel(
    BASE,
    (constant_form("kappa", 0.13), constant_form("D", 1e-10), constant_form("t_plus", 0.2, extra={"frame": "solvent"})),
)
CELL = Cell(3e-4, T)
PROTOCOL = Protocol((hold_voltage(0.02, 300.0),))
TIMES, POSITIONS = np.array([0.0, 100.0, 300.0]), np.array([1e-4, 2.5e-4])
SD = np.array([0.02, 0.05, 0.03])
CORRELATION = np.array([[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1.0]])
C = np.outer(SD, SD) * CORRELATION


def outputs(u):
    s = simulate(
        CELL,
        MODEL.at(Space(MODEL.parameters).values(u), T),
        PROTOCOL,
        c0=1600.0,
        times=TIMES,
        solver="sundials",
        options=Options(rtol=1e-6),
    )
    rows = [np.interp(POSITIONS, f, c) for f, c in zip(s["position_face"], s["c_face"], strict=True)]
    return np.concatenate([np.interp(TIMES, s["time"], s["i"]), np.ravel(rows)])


def test_small_uncertainties_propagate_linearly():
    space = Space(MODEL.parameters)
    u = space.start
    J = np.column_stack([(outputs(u + e) - outputs(u - e)) / 0.02 for e in 0.01 * np.eye(3)])
    linear = np.sqrt(np.diag(J @ C @ J.T))
    n = 300
    found = bands(
        MODEL, normal_draws(space, u, C, n, seed=2), CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS
    )
    assert found.draws == n and found.failed == 0
    half = np.concatenate([(found.i[3] - found.i[1]) / 2, np.ravel((found.c[3] - found.c[1]) / 2)])
    # 16 % and 84 % are 0.994 of a standard deviation away; from 300 draws their distance/2 is known to 5.4 %
    moving = linear > 1e-6 * np.abs(outputs(u))
    assert moving.sum() == 7  # three currents, four concentrations: at t = 0 those do not move
    assert half[moving] == pytest.approx(0.994 * linear[moving], rel=0.16)
    assert found.i[2] == pytest.approx(outputs(u)[:3], rel=0.01)
    assert np.all(np.diff(found.i, axis=0) >= 0) and found.c.shape == found.v_minus.shape == (5, 3, 2)


def test_draws_have_their_covariance_and_stay_inside_the_bounds():
    space = Space((Parameter("a", 1.0, logarithmic=True), Parameter("b", 0.5, lower=0.0)))
    cov = np.array([[0.04, 0.005], [0.005, 0.0025]])
    draws = normal_draws(space, np.array([0.0, 0.5]), cov, 4000, seed=1)
    assert np.cov(draws.T) == pytest.approx(cov, rel=0.1)  # 4000 draws: 2 % for a variance, 5 % for the covariance
    assert np.array_equal(draws, normal_draws(space, np.array([0.0, 0.5]), cov, 4000, seed=1))
    cut = normal_draws(space, np.array([0.0, 0.05]), cov, 200)
    assert np.all(cut[:, 1] > 0)


def test_a_covariance_that_leaves_the_bounds():
    space = Space((Parameter("b", 0.5, lower=0.499, upper=0.501),))
    with pytest.raises(InputError, match="too wide"):
        normal_draws(space, np.array([0.5]), np.array([[1.0]]), 50)


def test_draws_that_cannot_be_run_are_counted_or_refused():
    good = np.tile(Space(MODEL.parameters).start, (6, 1))
    bad = good.copy()
    bad[:2, 0] = np.inf
    found = bands(MODEL, bad, CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS)
    assert (found.draws, found.failed) == (4, 2)
    bad[:, 0] = np.inf
    with pytest.raises(ConvergenceError, match="6 of 6 draws of the set could not be run"):
        bands(MODEL, bad, CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS)
