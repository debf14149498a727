"""Intervals on the page of a series hold the truth: walkers, seeds fixed beforehand, the rule of the study."""

import numpy as np
import pytest
from scripts import loaded

from cellsim.electrolyte.onsager import Composition, OnsagerMatrix

study = loaded("benchmarks/series_coverage.py")


@pytest.mark.slow
def test_intervals_of_a_few_families_hold_the_truth():
    # three temperatures of six families; the study itself has six temperatures and more families (docs/series.md)
    rows = [study.family(k, 5101, 151, (300.0, 350.0, 400.0)) for k in range(6)]
    counts = study.counts(rows)
    assert counts["kappa"][1] == 18 and counts["E of kappa"][1] == 6
    assert {"t_app", "ionicity", "self_share_minus", "friction_plus_minus", "Omega_mm_barycentric"} <= set(counts)
    assert study.too_rare(rows) == {}


def test_the_rule_can_fail():
    # intervals that hold the truth in 88 % of 1200 states are thrown out, those that hold it in 95 % are not
    rng = np.random.default_rng(2)
    rows = [{"k": k, "held": {"kappa": (rng.random(6) < 0.88).astype(int).tolist()}, "refused": 0} for k in range(200)]
    assert set(study.too_rare(rows)) == {"kappa"}
    rows = [{"k": k, "held": {"kappa": (rng.random(6) < 0.95).astype(int).tolist()}, "refused": 0} for k in range(200)]
    assert study.too_rare(rows) == {}
    assert "| all | 200 | kappa | 0.9" in study.table(rows)


def test_the_truth_is_that_of_the_matrix_in_both_frames():
    m = OnsagerMatrix(
        study.OMEGA, (1, -1), (1, 1), 1000.0, 350.0, "solvent", composition=Composition((7.0, 280.0), 9e4)
    )
    known = study.truth(m, study.OMEGA, np.array([3e-10, 4e-10]), 4000.0)
    assert known["kappa"] == pytest.approx(m.kappa, rel=1e-12)
    box = m.to_frame("barycentric").Omega
    assert known["Omega_self_plus"] + known["Omega_distinct_plus"] == pytest.approx(box[0, 0], rel=1e-12, abs=0)
    assert known["D_plus_0"] * known["friction_plus_0"] == pytest.approx(8.314462618 * 350, rel=1e-9)
