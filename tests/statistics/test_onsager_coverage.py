"""Stated intervals hold the truth as often as they say: exact binomial test, seeds fixed beforehand."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_PATH = Path(__file__).parents[2] / "benchmarks" / "onsager_coverage.py"
_SPEC = importlib.util.spec_from_file_location("onsager_coverage", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
study = importlib.util.module_from_spec(_SPEC)
sys.modules["onsager_coverage"] = study
_SPEC.loader.exec_module(study)


def rejected(rows):
    """Quantities whose coverage is not that of a 95 % interval, 1 % level, Bonferroni over the quantities."""
    held = np.array([row["held"] for row in rows if "refused" not in row])
    p = [study.p_value(column) for column in held.T]
    limit = study.ALPHA / len(study.QUANTITIES)
    return {name: (v, held.shape[0]) for name, v in zip(study.QUANTITIES, p, strict=True) if v < limit}


def test_coverage_small():
    # four systems of each of the 24 scenarios; same rule and same code as the full study
    rows = [study.run_one(k, seed=4101, frames=2001) for k in range(96)]
    assert sum("refused" in row for row in rows) <= 5
    assert rejected(rows) == {}


@pytest.mark.slow
def test_coverage_full():
    rows = [study.run_one(k, seed=4102, frames=4001) for k in range(1008)]
    assert rejected(rows) == {}


def test_the_rule_can_fail():
    # intervals a quarter too narrow (90 % -> 86 %) or always right are both thrown out at the size of the full study
    rng = np.random.default_rng(1)
    narrow = [{"held": (rng.random(6) < 0.90).astype(int)} for _ in range(1000)]
    always = [{"held": np.ones(6, dtype=int)} for _ in range(1000)]
    assert len(rejected(narrow)) == 6
    assert len(rejected(always)) == 6


def test_plain_diffusion_reaches_the_ideal_width():
    # median width over the Wishart limit of independent steps; measured 1.01-1.02
    plain = [k for k, s in enumerate(study.SCENARIOS) if not s.onset]
    ratio = [study.run_one(k, 4103, 2001)["width"][0] / study.oracle_width(k, 4103, 2001) for k in plain]
    assert 0.9 < np.median(ratio) < 1.1


def test_oracle_of_plain_diffusion_uses_every_step():
    plain = next(k for k, s in enumerate(study.SCENARIOS) if not s.onset and s.replicas == 1)
    assert study.oracle_width(plain, 1, 4001) == pytest.approx(2 * 1.959964 * np.sqrt(2 / 12000), rel=1e-12)
    onset = next(k for k, s in enumerate(study.SCENARIOS) if s.onset and s.replicas == 1)
    assert study.oracle_width(onset, 1, 4001) > 3 * study.oracle_width(plain, 1, 4001)


def test_study_resumes_where_it_was_killed(tmp_path, capsys):
    store = tmp_path / "part.jsonl"
    args = ["--seed", "5", "--frames", "301", "--store", str(store)]
    study.main(["--n", "4", *args])
    whole = store.read_text()
    store.write_text("".join(whole.splitlines(keepends=True)[:3]) + '{"k": 2, "he')  # killed while writing
    study.main(["--n", "4", *args])
    lines = [line.split('"s"')[0] for line in store.read_text().splitlines()]  # all but the wall time
    assert lines == [line.split('"s"')[0] for line in whole.splitlines()]
    assert "Rule:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="other settings"):
        study.main(["--n", "4", "--seed", "6", "--frames", "301", "--store", str(store)])
