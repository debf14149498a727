"""Stated velocity intervals hold the truth as often as they say: exact binomial test, seeds fixed beforehand."""

import os

import numpy as np
import pytest
from scripts import loaded

study = loaded("benchmarks/xpcs_coverage.py")


@pytest.mark.slow  # 20 s; the study that is resumed stays
def test_coverage_small():
    # the two small designs of the study (6 x 3 and 12 x 6), same rule and same code
    rows = [study.run_one(k, seed=5101) for k in range(40) if k % 5 in (3, 4)]
    numbers, _ = study.verdict(rows)
    assert numbers["p"] >= study.ALPHA and numbers["p_upper"] >= study.ALPHA, numbers
    assert abs(numbers["bias"]) < study.BIAS + 3 / np.sqrt(numbers["above"]), numbers


@pytest.mark.slow
def test_coverage_of_the_whole_family():
    """Three minutes; CELLSIM_REPEATS asks for more series of the same family."""
    rows = [study.run_one(k, seed=5102) for k in range(int(os.environ.get("CELLSIM_REPEATS", "120")))]
    numbers, good = study.verdict(rows)
    assert good, numbers


def fake(rng, scale=1.0, shift=0.0):
    z = scale * rng.standard_normal() + shift
    return {
        "above": True,
        "v": 10.0,
        "fit": 10 + z,
        "error": 1.0,
        "low": 10 + z - 1.96,
        "high": 10 + z + 1.96,
        "resolved": True,
        "limit": 5.0,
    }


def test_the_rule_can_fail():
    rng = np.random.default_rng(1)
    rest = [{"above": False, "v": 0.0, "high": 1.0, "low": 0.0, "resolved": False, "limit": 5.0}] * 300
    assert study.verdict([fake(rng) for _ in range(1000)] + rest)[1]
    assert not study.verdict([fake(rng, scale=1.2) for _ in range(1000)] + rest)[1]
    assert not study.verdict([fake(rng, scale=0.8) for _ in range(1000)] + rest)[1]
    assert not study.verdict([fake(rng, shift=0.3) for _ in range(1000)] + rest)[1]
    low = [row | {"high": -1.0} for row in rest[:40]] + rest[40:]
    assert not study.verdict([fake(rng) for _ in range(1000)] + low)[1]


def test_study_resumes_where_it_was_killed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "DESIGNS", ((6, 3),))
    store = tmp_path / "part.jsonl"
    args = ["--n", "6", "--seed", "5", "--store", str(store)]
    study.main(args)
    whole = store.read_text()
    store.write_text("".join(whole.splitlines(keepends=True)[:4]) + '{"k": 3, "abo')  # killed while writing
    study.main(args)
    lines = [line.split('"s"')[0] for line in store.read_text().splitlines()]  # all but the times
    assert lines == [line.split('"s"')[0] for line in whole.splitlines()]
    assert "Rules:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="other settings"):
        study.main(["--n", "6", "--seed", "6", "--store", str(store)])
