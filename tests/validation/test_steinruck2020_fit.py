"""Fits to synthetic data of RS: the truth comes back, current alone does not hold t+0, rivals judged."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "validation" / "steinruck2020" / "fit.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("steinruck2020_fit", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_current_alone_takes_either_set_once_the_rest_is_scaled(study: ModuleType) -> None:
    # RS is the truth; with kappa, D and (1-t) chi scaled PNB, whose t+0 runs from 0.5 to -0.3, does as well: AIC +1.5
    found = {e.name: e for e in study.rivals(study.data(), ("current",), study.scaled)}
    rs, pnb = found["steinruck2020_rs"], found["steinruck2020_pnb"]
    assert abs(pnb.aic - rs.aic) < 6
    assert 0.5 < rs.fit.chi2_data / rs.fit.degrees_of_freedom < 1.5


def test_profiles_tell_them_apart(study: ModuleType) -> None:
    kinds = study.KINDS["current and profiles"]
    found = study.rivals(study.data(), kinds)
    assert found[0].name == "steinruck2020_rs"
    by_name = {e.name: e for e in found}
    rs = by_name["steinruck2020_rs"]
    assert rs.fit.chi2_data / rs.fit.degrees_of_freedom == pytest.approx(1, abs=0.2)  # 1.07, 0.06 its own scatter
    assert by_name["steinruck2020_pnb"].aic - rs.aic > 1000  # 2665
    assert by_name["steinruck2020_rs_volume"].aic - rs.aic > 300  # 927


@pytest.mark.slow
def test_the_truth_comes_back_from_everything(study: ModuleType) -> None:
    found = study.recover(study.data(), starts=1)
    pulls = (found.u - found.space.point(study.truth_of(found.problem))) / found.sd
    assert np.max(np.abs(pulls)) < 3  # 1.5
    assert found.chi2_data / found.degrees_of_freedom == pytest.approx(1, abs=0.2)  # 1.08
    sd = dict(zip(found.space.names, found.sd, strict=True))
    assert sd["t_plus(r=0.1)"] < 0.02 and sd["D(r=0.1)"] < 0.06  # 0.008, 3 %
    assert found.held_by["area"] == "prior" and found.held_by["R_int"] == "prior"


@pytest.mark.slow
def test_current_alone_leaves_t_plus_open_upwards(study: ModuleType) -> None:
    found = study.fit_constants(study.data(), ("current",))
    one = study.profile_of_t_plus(found)
    can_be_run = one.delta < 100  # t+0 = 1 and beyond: no cell
    assert one.delta[can_be_run][-1] < one.threshold and one.value[can_be_run][-1] > 0.9  # delta 1.6 at 0.98
    assert one.interval[0] == pytest.approx(0.095, abs=0.03)
    assert one.shape == "open above" and one.interval[1] == np.inf
    # while the curvature at the best point pretends 0.09
    assert found.errors["t_plus"] < 0.2
