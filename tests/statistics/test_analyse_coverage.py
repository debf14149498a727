"""The intervals of `cellsim analyse` hold the truth as often as they say: the study of benchmarks/, thinned."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from cellsim.base import F, R
from cellsim.laboratory.measured import limiting

_PATH = Path(__file__).parents[2] / "benchmarks" / "analyse_coverage.py"
_SPEC = importlib.util.spec_from_file_location("analyse_coverage", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
study = importlib.util.module_from_spec(_SPEC)
sys.modules["analyse_coverage"] = study
_SPEC.loader.exec_module(study)

NUMBERS = {
    "relaxation": 24,
    "fraction": 10,
    "impedance": 6,
    "concentration-cell": 100,
    "chain": 1,
}


@pytest.mark.slow
def test_coverage_thinned() -> None:
    rows = [study.run_one((kind, k), seed=20261202) for kind, n in NUMBERS.items() for k in range(n)]
    numbers, good = study.verdict(rows)
    assert good, numbers


@pytest.mark.slow
def test_limiting_currents_of_ideal_ions() -> None:
    """160 sweeps of the closed form i_L tanh(F V/(4 R T)), which is none of the fitted curves.

    All were held: the doubt of the model is set for sets that vary, and is too much for these.
    """
    held = 0
    for k in range(160):
        random = np.random.default_rng((20261203, k))
        end = random.choice([0.2, 0.3, 0.45])
        V = np.linspace(0.01 * end, end, int(random.choice([30, 100, 400])))
        i = np.tanh(F * V / (4 * R * 298.15)) + study.noise(random, V, 10 ** random.uniform(-3.5, -2), end)
        low, high = limiting(V, i, seed=k)["i_L"].interval
        held += low < 1.0 < high
    assert binomtest(held, 160, 0.95, alternative="less").pvalue > 0.01, held


def fake(kind: str, quantity: str, miss: float) -> dict[str, object]:
    row = {"kind": kind, "k": 0, "refused": "", "holds": True}
    return row | {"quantities": {quantity: [1.0, 1.0 + miss, 0.9 + miss, 1.1 + miss]}}


def test_the_rule_fails_where_intervals_miss() -> None:
    right = [fake("relaxation", "D", 0.0)] * 95 + [fake("relaxation", "D", 0.5)] * 5
    wrong = [fake("relaxation", "D", 0.0)] * 85 + [fake("relaxation", "D", 0.5)] * 15
    assert study.verdict(right)[1] and not study.verdict(wrong)[1]
