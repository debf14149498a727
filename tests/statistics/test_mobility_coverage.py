"""Stated intervals of exponents, M, relaxation times and delays hold the truth as often as they say."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_PATH = Path(__file__).parents[2] / "benchmarks" / "mobility_coverage.py"
_SPEC = importlib.util.spec_from_file_location("mobility_coverage", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
study = importlib.util.module_from_spec(_SPEC)
sys.modules["mobility_coverage"] = study
_SPEC.loader.exec_module(study)


def test_coverage_small():
    # translation only, 20 systems of each alpha; same rule and same code as the study
    rows = []
    for k in range(60):
        rng = np.random.default_rng(np.random.SeedSequence([7101, k]))
        rows.append({"k": k, **study.translation(rng, study.CAGES[k % 3])})
    numbers, good = study.verdict(rows)
    assert good, numbers


@pytest.mark.slow
def test_coverage_full():
    rows = [study.run_one(k, seed=7102) for k in range(60)]
    numbers, good = study.verdict(rows)
    assert good, numbers


def fake(rng, scale=1.0, shift=0.0):
    z = scale * rng.standard_normal() + shift
    return {"k": 0, "alpha": [float(abs(z) < 1.96), z]}


def test_the_rule_can_fail():
    rng = np.random.default_rng(1)
    rest = [{"k": 0, "false": [0.0, 0.5], "found": [1.0, 0.0]}] * 200
    assert study.verdict([fake(rng) for _ in range(400)] + rest)[1]
    assert not study.verdict([fake(rng, scale=1.3) for _ in range(400)] + rest)[1]
    assert not study.verdict([fake(rng, scale=0.7) for _ in range(400)] + rest)[1]
    assert not study.verdict([fake(rng, shift=0.5) for _ in range(400)] + rest)[1]
    alarmed = [row | {"false": [1.0, 0.003]} for row in rest[:8]] + rest[8:]
    assert not study.verdict([fake(rng) for _ in range(400)] + alarmed)[1]
    missed = [row | {"found": [0.0, 0.0]} for row in rest[:20]] + rest[20:]
    assert not study.verdict([fake(rng) for _ in range(400)] + missed)[1]


def test_study_resumes_where_it_was_killed(tmp_path, capsys, monkeypatch):
    store = tmp_path / "part.jsonl"
    made = []

    class Here:
        def __init__(self, jobs):
            self.imap_unordered = map

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

    def quick(k, seed):
        made.append(k)
        return {"k": k, "alpha": [1.0, 0.1 * (-1) ** k]}

    monkeypatch.setattr(study, "Pool", Here)
    monkeypatch.setattr(study, "run_one", quick)
    study.main(["--n", "3", "--store", str(store)])
    study.main(["--n", "5", "--store", str(store)])
    assert made == [0, 1, 2, 3, 4]
    assert len(store.read_text().splitlines()) == 5
    assert "all rules met" in capsys.readouterr().out
