"""One parameter from several concentrations: closed forms, how often it holds, and what is refused."""

import csv
import math

import numpy as np
import pytest
from scipy.stats import binom
from scripts import loaded

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.series.calibration import Family, calibrate
from mdcoeffs.series.interpolation import coordinates, matrices_of
from mdcoeffs.series.joint_calibration import join_calibrations, write_joint
from mdcoeffs.series.recipe import Measured

AT = np.array([0.6, 0.7, 0.8, 0.9, 1.0])


def omega(x, slope):
    return np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10 * math.exp(slope * (x - 0.8))


def matrix(x, slope, c, seed=0):
    rng = np.random.default_rng(seed)
    Omega = omega(x, slope)
    samples = matrices_of(coordinates(Omega) + 1e-4 * rng.standard_normal((1000, 3)))
    return OnsagerMatrix(Omega, (1, -1), (1, 1), c, 350.0, "solvent", samples=samples)


def part(hidden, slope, error, c, *, off=0.0, at=AT, name="charge_scaling"):
    """ln kappa = a + slope x without noise of the runs; kappa measured with a relative error, `off` errors away."""
    family = Family(name, "", at, tuple(matrix(x, slope, c, k) for k, x in enumerate(at)), {})
    kappa = matrix(hidden, slope, c).kappa * (1 + off * error)
    return calibrate(family, [Measured(math.nan, "kappa", kappa, error * kappa, "")])


def test_two_normal_likelihoods_are_their_weighted_mean():
    # x from each is normal with sigma = error/|slope|: 0.01 around 0.76 and 0.02 around 0.79
    found = join_calibrations([part(0.76, -4.0, 0.04, 500.0), part(0.79, -4.0, 0.08, 1500.0)])
    w = np.array([1 / 0.01**2, 1 / 0.02**2])
    mean, sigma = w @ [0.76, 0.79] / w.sum(), w.sum() ** -0.5
    assert found.best == pytest.approx(mean, abs=0.0015)  # steps of the grid are 0.001
    assert found.interval == pytest.approx((mean - 1.96 * sigma, mean + 1.96 * sigma), abs=0.0025)
    # 0.03 apart with sigma of 0.0224: chi^2 of 1.8 with one degree of freedom
    assert found.chi2.min() == pytest.approx(0.03**2 / (0.01**2 + 0.02**2), rel=0.1)
    assert found.p_common == pytest.approx(found.p) and found.freedom == 1 and not found.notes


def test_conditions_that_ask_for_different_values_are_said():
    found = join_calibrations([part(0.70, -4.0, 0.02, 500.0), part(0.85, -4.0, 0.02, 1500.0)])
    assert found.p_common < 1e-6 and "one value does not serve them all" in found.notes[0]
    assert "0.7 at 0.5 mol/L, 350 K" in found.notes[0] and "0.85 at 1.5 mol/L, 350 K" in found.notes[0]


def test_a_range_that_ends_is_said(tmp_path):
    short = np.array([0.6, 0.7, 0.8])
    found = join_calibrations([part(0.795, -4.0, 0.04, 500.0), part(0.795, -4.0, 0.04, 1500.0, at=short)])
    assert found.at[-1] == pytest.approx(0.8) and any("simulate beyond it" in note for note in found.notes)
    write_joint(found, tmp_path, "made up")
    assert {path.name for path in tmp_path.iterdir()} == {"joint.csv", "joint.png", "summary.json"}
    with (tmp_path / "joint.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(found.at) and "chi2 at 1.5 mol/L, 350 K" in rows[0]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "two conditions at least"),
        ([{"c": 500.0}], "two series are at 0.5 mol/L, 350 K"),
        ([{"c": 900.0, "name": "epsilon"}], "is of one parameter"),
        ([{"c": 900.0, "at": np.array([1.1, 1.2, 1.3])}], "no value of charge_scaling in common"),
    ],
)
def test_what_cannot_be_joined(others, said):
    parts = [part(0.76, -4.0, 0.04, 500.0), *(part(0.76, -4.0, 0.04, **other) for other in others)]
    with pytest.raises(InputError, match=said):
        join_calibrations(parts)


@pytest.mark.slow
def test_three_concentrations_hold_the_hidden_value():
    # laws, states and errors of benchmarks/calibration_coverage.py, three of them with one hidden value
    study = loaded("benchmarks/calibration_coverage.py")
    rows = [study.together(k, 5310) for k in range(8)]
    assert sum(row["held"] for row in rows) >= binom.ppf(0.01, 8, 0.95)
    assert np.mean([row["width"] for row in rows]) < np.mean([row["alone"] for row in rows])
