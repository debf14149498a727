"""Near the limiting current, where the conductivity falls to nothing at one wall, against closed forms."""

import numpy as np
import pytest

from cellsim import Cell, Options, Protocol, hold_voltage, load_set, simulate
from cellsim.base import F, R
from cellsim.solvers.grid import cell_resistances, graded_faces

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("fipy", "material")]
T, C0 = 298.15, 10.0


@pytest.mark.parametrize("solver", ["compiled", "sundials", *SLOW])
def test_the_resistance_of_a_depleted_wall(solver: str) -> None:
    """Dilute ideal, 0.5 V: i = (4 F D+ c/L) tanh(FV/4RT) and c(L) = c (1 - tanh), 1.2e-4 of the average salt.

    Measured, relative: c(L) 2e-9 with FiPy and 4e-11 with the material solver. With the conductivity at the cells'
    averages it was 0.16.
    """
    transport, cell = load_set("dilute_ideal", T=T), Cell(1e-4, T)
    u = np.tanh(F * 0.5 / (4 * R * T))
    D_plus = float(transport.kappa(C0) * transport.t_plus(C0)) * R * T / (F**2 * C0)
    end = 3 * cell.thickness**2 / float(transport.D(C0))
    run = Protocol((hold_voltage(0.5, end),))
    s = simulate(cell, transport, run, c0=C0, times=[end], solver=solver, options=Options(cells=80))
    assert s["c_face"][-1, -1] == pytest.approx(C0 * (1 - u), rel=1e-3)
    assert s["i"][-1] == pytest.approx(4 * F * D_plus * C0 / cell.thickness * u, rel=1e-4)
    # phi ends at the negative interface; of the last half cell it is told to first order
    assert s["phi"][-1, 0] == pytest.approx(0.5, rel=1e-2)


def test_the_resistance_of_a_line_is_exact_and_of_a_curve_of_fourth_order() -> None:
    """kappa ~ c and c a line down to a thousandth of its start: integral dx/kappa = ln(c_0/c_L)/(c_0 - c_L)."""
    faces = graded_faces(20, 1.0)
    at = 1.0 - 0.999 * faces
    R_line = cell_resistances(np.diff(faces), 0.5 * (at[1:] + at[:-1]), at[[0, -1]], lambda c: 1.0 * c)
    assert R_line.sum() == pytest.approx(np.log(1000) / 0.999, rel=1e-12)
    uniform = cell_resistances(np.diff(faces), np.full(20, 3.0), np.full(2, 3.0), lambda c: 2 * c)
    np.testing.assert_allclose(uniform, np.diff(faces) / 6.0, rtol=1e-14)
    misses = []
    for n in (20, 40, 80, 160):  # c = exp(-3 x), kappa = c^1.5: integral exp(4.5 x)
        faces = graded_faces(n, 1.0)
        average = -np.diff(np.exp(-3 * faces)) / (3 * np.diff(faces))
        total = cell_resistances(np.diff(faces), average, np.exp(-3 * faces[[0, -1]]), lambda c: c**1.5).sum()
        misses.append(abs(total / ((np.exp(4.5) - 1) / 4.5) - 1))
    slope = np.polyfit(np.log([20, 40, 80, 160]), np.log(misses), 1)[0]
    assert -4.3 <= slope <= -3.7  # measured -4.00
