"""Intervals of the matrix of all species hold the truth as often as they say: seeds fixed beforehand."""

import numpy as np
import pytest
from scipy.stats import binom
from scripts import loaded

study = loaded("benchmarks/onsager_mixture.py")


def test_exact_intervals_of_both_sizes():
    # the study has 1020 systems of each size (docs/mixtures.md); same rule and same code
    rows = [study.run_one(k, 5301, 401, flat=True) for k in range(120)]
    for size in study.BOXES:
        numbers, good = study.verdict(rows, size)
        assert good, numbers


@pytest.mark.slow
def test_intervals_of_some_systems_with_and_without_bounded_motions():
    # so few held of a quantity as here would happen once in a thousand times
    every = [study.run_one(k, 5302, 601) for k in range(8)]
    rows = [row for row in every if "held" in row]
    assert len(rows) >= 7  # 601 frames of motions of up to 30 may hold fewer than two independent origins
    held = np.array([np.mean(list(row["held"].values())) for row in rows])
    kappa = sum(row["held"]["kappa"] for row in rows)
    assert kappa >= binom.ppf(0.001, len(rows), 0.95) and held.mean() > 0.85
    # intervals that say nothing would hold everything
    assert np.median([row["width"] for row in rows]) < 1.5


def test_the_rule_can_fail():
    row = {"held": {"kappa": 1}, "above": {"kappa": 0}, "width": 0.1, "s": 1.0}
    rows = [row | {"k": 2 * k, "held": {"kappa": int(k % 20 > 0)}} for k in range(400)]
    assert study.verdict(rows, 3)[1]
    assert not study.verdict([row | {"k": 2 * k, "held": {"kappa": int(k % 10 > 0)}} for k in range(400)], 3)[1]
    assert not study.verdict([row | {"k": 2 * k} for k in range(400)], 3)[1]


def test_random_matrices_are_positive_and_of_all_signs():
    drawn = [study.matrix(np.random.default_rng(k), 4) for k in range(50)]
    assert all(np.linalg.eigvalsh(M)[0] > 0 for M in drawn)
    signs = np.sign([M[0, 1] for M in drawn])
    assert {-1.0, 1.0} == set(signs)
