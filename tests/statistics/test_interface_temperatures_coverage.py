"""Joint dE, dS, barriers and rates of made-up barriers at three temperatures: intervals hold as often as they say."""

import numpy as np
import pytest
from scipy.stats import binom
from scripts import loaded

study = loaded("benchmarks/interface_temperatures.py")


@pytest.mark.slow
def test_intervals_of_some_walls_hold_the_truth():
    # the study has 300 (docs/interface.md); so few of any quantity would happen once in a hundred times over all nine
    rows = [study.run_one(k, seed=73) for k in range(6)]
    held = np.array([row["held"] for row in rows])
    least = binom.ppf(0.01 / len(study.QUANTITIES), len(rows), 0.95)
    assert np.all(np.nansum(held, axis=0) + np.isnan(held).sum(axis=0) >= least)
    # intervals that say nothing would hold everything: dE of 3500 K within less than a half, measured 0.3
    assert np.median([row["width"][0] for row in rows]) < 0.5 * 3500


def test_the_rule_can_fail():
    row = {"width": [1.0] * 9, "off": [0.0] * 9, "entered": [30, 80, 150], "p": 0.5}
    rows = [row | {"held": [float(k % 10 > 0)] * 9} for k in range(300)]
    assert not study.table(rows)[1] and "FAIL" in study.table(rows)[0]
    assert study.table([row | {"held": [float(k % 20 > 0)] * 9} for k in range(300)])[1]


def test_the_wall_is_what_it_says():
    # detailed balance, and a barrier and a slope that the free energy has on the sites
    wall = study.make_wall(np.random.default_rng(4))
    for t in study.T:
        F = wall.free_energy(t)
        up, down = study.hops(F, t)
        pi = np.exp(-F / t)
        np.testing.assert_allclose(pi[:-1] * up[:-1], pi[1:] * down[1:], rtol=1e-12)
        top, outer = F[np.argmin(np.abs(study.Z))], study.Z > 0
        fine = np.min(F[outer])  # a site lies within half a step of the vertex
        assert top - fine == pytest.approx(wall.barrier(t), abs=study.BENT * (study.STEP / 2) ** 2 + 1e-9)
