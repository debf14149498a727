"""The limit of a profile likelihood against a search that shares nothing with it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from cellsim.fit.estimate import estimate
from cellsim.fit.recipe import read_recipe

CASE = Path(__file__).parents[2] / "cases" / "fit_example" / "current_only.toml"


@pytest.mark.slow
def test_the_limit_of_d_from_a_current_alone_is_where_the_simplex_finds_it():
    """D below 2.03e-11 m^2/s (README): delta chi2 = 3.84 there, by Nelder and Mead in the other four parameters.

    Differential evolution over a box of two in every logarithm, then the simplex, gave 3.90; a profile whose refits had
    stopped short once put the limit at 2.43e-11, where it is 10.5.
    """
    fit = estimate(read_recipe(CASE).problem, starts=1)
    names = fit.space.names
    k = names.index("D")
    others = [j for j in range(len(names)) if j != k]
    D = fit.space.parameters[k].u(2.031e-11)

    def chi2(v):
        u = fit.u.copy()
        u[others], u[k] = v, D
        r = fit.problem.residuals(u, fit.levels)
        return float(r @ r) if np.all(np.isfinite(r)) else 1e9

    # kappa, t+, chi and R_int near where the evolution ended
    found = minimize(
        chi2, [0.0, -0.2, -0.2, -3.215], method="Nelder-Mead", options={"maxfev": 900, "xatol": 1e-4, "fatol": 1e-3}
    )
    assert found.fun - fit.chi2 == pytest.approx(3.84, abs=0.25)
