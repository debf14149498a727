"""Stated intervals hold the truth as often as they say: exact binomial test, seeds fixed beforehand."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest


def benchmark(name):
    """A study as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


study, kinds = benchmark("onsager_coverage"), benchmark("onsager_kinds")


def rejected(rows):
    """Quantities whose coverage is not that of a 95 % interval, 1 % level, Bonferroni over the quantities."""
    held = np.array([row["held"] for row in rows if "refused" not in row])
    p = [study.p_value(column) for column in held.T]
    limit = study.ALPHA / len(study.QUANTITIES)
    return {name: (v, held.shape[0]) for name, v in zip(study.QUANTITIES, p, strict=True) if v < limit}


def test_coverage_small():
    # every fifth of the 24 scenarios in turn; same rule and same code as the full study
    rows = [study.run_one(5 * k, seed=4101, frames=1001) for k in range(10)]
    assert sum("refused" in row for row in rows) <= 1
    assert rejected(rows) == {}


@pytest.mark.slow
def test_coverage_full():
    # two systems of each scenario; plain walks are held more often than 95 %, so the test is of too few
    rows = [study.run_one(k, seed=4102, frames=4001) for k in range(48)]
    held = np.array([row["held"] for row in rows if "refused" not in row])
    p = [binomtest(int(h), held.shape[0], 0.95, alternative="less").pvalue for h in held.sum(axis=0)]
    assert min(p) > study.ALPHA / len(study.QUANTITIES), p


@pytest.mark.slow
def test_coverage_of_every_kind_of_motion():
    # the wide family thinned to 12 systems a kind; the study itself has hundreds (docs/onsager.md)
    rows = [kinds.run_one((kind, k), 4104, short=False, compare=False) for kind in kinds.KINDS for k in range(12)]
    for kind in kinds.KINDS:
        held = np.array([row["held"] for row in rows if row["kind"] == kind and "refused" not in row])
        p = [binomtest(int(h), held.shape[0], 0.95, alternative="less").pvalue for h in held.sum(axis=0)]
        assert min(p) > 0.01 / 21, (kind, p)
    warned = np.mean([bool(row["warnings"]) for row in rows if row["kind"] == "plain"])
    assert warned <= 0.17  # 5 % of plain walks: two of 12 at most


def test_the_rule_can_fail():
    # intervals a quarter too narrow (90 % -> 86 %) or always right are both thrown out at the size of the full study
    rng = np.random.default_rng(1)
    narrow = [{"held": (rng.random(6) < 0.90).astype(int)} for _ in range(1000)]
    always = [{"held": np.ones(6, dtype=int)} for _ in range(1000)]
    assert len(rejected(narrow)) == 6
    assert len(rejected(always)) == 6


def test_plain_diffusion_reaches_the_ideal_width():
    # median width over the Wishart limit of independent steps, which knows that nothing relaxes; measured 1.2-1.5
    plain = [k for k, s in enumerate(study.SCENARIOS) if not s.onset][::2]
    ratio = [study.run_one(k, 4103, 2001)["width"][0] / study.oracle_width(k, 4103, 2001) for k in plain]
    assert 0.9 < np.median(ratio) < 1.7


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
