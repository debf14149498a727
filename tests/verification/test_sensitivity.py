"""Derivatives of runs against those of closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim.base import ConvergenceError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.transport import TransportSet
from cellsim.run.ensemble import Member, sensitivities
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

L, D = 1e-4, 1e-10
TIMES = np.array([0.05, 0.1, 4.0]) * L**2 / D


def build(p: np.ndarray) -> Member:
    """A small voltage: i_0 = V kappa/L, i_ss = i_0/(1 + Ne), Ne = 2 kappa R T (1 - t+)^2 chi/(F^2 D c)."""
    kappa, diffusion, t_plus = p
    transport = TransportSet.constant(kappa=kappa, D=diffusion, t_plus=t_plus)
    protocol = Protocol((hold_voltage(1e-3, float(TIMES[-1])),))
    return Member(
        Cell(L, 298.15), transport, protocol, 1000.0, times=TIMES, solver="sundials", options=Options(rtol=1e-6)
    )


def first_and_last(s: Solution) -> np.ndarray:
    return s["i"][[0, -1]]


@pytest.mark.parametrize("estimate_error", [False, True])
def test_against_the_closed_form(estimate_error: bool) -> None:
    p = np.array([0.1, D, 0.3])
    found = sensitivities(build, p, first_and_last, estimate_error=estimate_error)
    F, RT = 96485.33212, 8.314462618 * 298.15
    Ne = 2 * p[0] * RT * (1 - p[2]) ** 2 / (F**2 * p[1] * 1000.0)
    i_0, i_ss = 1e-3 * p[0] / L, 1e-3 * p[0] / L / (1 + Ne)
    assert found.value == pytest.approx([i_0, i_ss], rel=1e-5)
    exact = np.array(
        [[i_0 / p[0], 0.0, 0.0],
         [i_ss / p[0] / (1 + Ne), i_ss * Ne / (1 + Ne) / p[1], i_ss * Ne / (1 + Ne) * 2 / (1 - p[2])]]
    )  # fmt: skip
    relative = (found.jacobian - exact) * p / i_0
    # measured: 1.3e-4 and 1e-5, from the curvature; at i_0 round-off
    assert np.max(np.abs(relative)) <= (3e-5 if estimate_error else 3e-4)
    if estimate_error:
        assert found.error is not None
        assert np.all(np.abs(relative) <= 3 * found.error * p / i_0 + 1e-5)


def test_a_failed_run_is_said() -> None:
    with pytest.raises(ConvergenceError, match="failed"):
        sensitivities(lambda p: build(np.array([0.1, D, p[0]])), [0.3], lambda s: s["nonsense"])
