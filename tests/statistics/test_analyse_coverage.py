"""The intervals of `cellsim analyse` hold the truth as often as they say: the study of benchmarks/, thinned."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_PATH = Path(__file__).parents[2] / "benchmarks" / "analyse_coverage.py"
_SPEC = importlib.util.spec_from_file_location("analyse_coverage", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
study = importlib.util.module_from_spec(_SPEC)
sys.modules["analyse_coverage"] = study
_SPEC.loader.exec_module(study)

NUMBERS = {"relaxation": 24, "fraction": 10, "impedance": 6, "concentration-cell": 100, "chain": 1}


@pytest.mark.slow
def test_coverage_thinned() -> None:
    rows = [study.run_one((kind, k), seed=20261202) for kind, n in NUMBERS.items() for k in range(n)]
    numbers, good = study.verdict(rows)
    assert good, numbers


def fake(kind: str, quantity: str, miss: float) -> dict[str, object]:
    row = {"kind": kind, "k": 0, "refused": "", "holds": True}
    return row | {"quantities": {quantity: [1.0, 1.0 + miss, 0.9 + miss, 1.1 + miss]}}


def test_the_rule_fails_where_intervals_miss() -> None:
    right = [fake("relaxation", "D", 0.0)] * 95 + [fake("relaxation", "D", 0.5)] * 5
    wrong = [fake("relaxation", "D", 0.0)] * 85 + [fake("relaxation", "D", 0.5)] * 15
    assert study.verdict(right)[1] and not study.verdict(wrong)[1]
