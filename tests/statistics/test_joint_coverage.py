"""Files of a beam time (current, raw g2, photon counts) through one fit; the study is benchmarks/joint_coverage.py."""

from __future__ import annotations

from types import ModuleType

import pytest
from scripts import loaded


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return loaded("benchmarks/joint_coverage.py")


@pytest.mark.slow
def test_a_beam_time_without_noise_gives_its_truth(study: ModuleType) -> None:
    """All that is left are means over the beam and over the series, which the fit leaves out."""
    row = study.run_one(0, 20261201, noisy=False)
    for name in study.RANGES:
        assert abs(row[name]["pull"]) < 0.08, name  # 0.03; with delays seen early in a series chi was at 0.22
    assert row["chi2"] < 0.1  # 0.02
