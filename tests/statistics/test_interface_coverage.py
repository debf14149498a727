"""Barriers, free energies and rates in a double well: intervals hold the truth as often as they say."""

import numpy as np
import pytest
from double_well import study


def rejected(rows):
    """Quantities whose coverage is not that of a 95 % interval, 1 % level, Bonferroni."""
    held = np.array([row["held"] for row in rows])
    p = {name: study.p_value(column) for name, column in zip(study.QUANTITIES, held.T, strict=True)}
    return {name: value for name, value in p.items() if value < study.ALPHA / len(study.QUANTITIES)}


@pytest.mark.slow
def test_coverage_small():
    assert rejected([study.run_one(k, seed=71) for k in range(8)]) == {}


@pytest.mark.slow
def test_coverage_of_sixty():
    assert rejected([study.run_one(k, seed=72) for k in range(60)]) == {}


def test_the_rule_can_fail():
    narrow = [{"held": [int(v) for v in np.random.default_rng(k).random(7) < 0.85]} for k in range(240)]
    always = [{"held": [1] * 7} for _ in range(240)]
    assert len(rejected(narrow)) == 7 and len(rejected(always)) == 7


def test_exact_rates_are_those_of_first_passage():
    # one step per frame: residence = mean first-passage time from core to core, by the birth-death formula
    well = study.make_well(4.0, 0.3)
    a, b = int(np.flatnonzero(study.X < -study.MARGIN)[-1]), int(np.flatnonzero(study.X > study.MARGIN)[0])
    up, pi = np.diag(well.step, 1), well.density
    forth = sum(pi[: k + 1].sum() / (up[k] * pi[k]) for k in range(a, b))
    back = sum(pi[k:].sum() / (well.step[k, k - 1] * pi[k]) for k in range(a + 1, b + 1))
    entry, exit_ = study.true_rates(well, 1)
    left = pi[study.X < -1e-9].sum()
    # a cycle is one crossing each way
    assert 1 / (entry * left) == pytest.approx(forth + back, rel=1e-9)
    assert entry * left == pytest.approx(exit_ * (1 - left), rel=1e-12)


def test_study_resumes(tmp_path, capsys):
    store = tmp_path / "part.jsonl"
    study.main(["--n", "2", "--seed", "5", "--store", str(store)])
    whole = store.read_text()
    store.write_text("".join(whole.splitlines(keepends=True)[:2]) + '{"k": 1, "he')
    study.main(["--n", "2", "--seed", "5", "--store", str(store)])
    assert store.read_text() == whole
    assert "Rule:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="other settings"):
        study.main(["--n", "2", "--seed", "6", "--store", str(store)])
