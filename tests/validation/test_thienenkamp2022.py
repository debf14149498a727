"""Raw MRI profiles of a real cell: what the fit finds, asserted where it is bad too. validation/thienenkamp2022."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "validation" / "thienenkamp2022"


def module(name: str) -> ModuleType:
    """A script of the folder, with its neighbours importable."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        return loaded
    finally:
        sys.path.remove(str(FOLDER))


def test_the_raw_data_are_as_documented():
    """Zero-filled twofold; noise; edges; where the signal rises."""
    cell = module("thienenkamp2022_cell")
    raw = cell.raw()
    some, sigma, correlation = cell.pixels()
    assert some.signal.shape == (46, 58)
    assert correlation[1:4] == pytest.approx([2 / np.pi, 0, -2 / (3 * np.pi)], abs=0.05)  # 0.643 0.037 -0.183
    assert sigma == pytest.approx(5820, rel=0.05)
    edges = cell.first_edges()
    assert (edges.lower * 1e3, edges.upper * 1e3) == pytest.approx((1.194, 2.387), abs=0.003)
    late = raw.signal[40:].mean(axis=0) / raw.signal[:4].mean(axis=0)
    upper, lower = (raw.z > 2.2e-3) & (raw.z < 2.3e-3), (raw.z > 1.28e-3) & (raw.z < 1.38e-3)
    assert late[upper].mean() == pytest.approx(1.12, abs=0.03)  # 1.13: lithium dissolves at the upper edge
    assert late[lower].mean() < 0.92


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> dict[str, Any]:
    """Every third profile, three rivals."""
    module("thienenkamp2022_cell")
    module("thienenkamp2022_checks")
    module("thienenkamp2022_figure")
    folder = tmp_path_factory.mktemp("thienenkamp2022")
    found: dict[str, Any] = module("run").main(folder, quick=True)
    assert (folder / "fit.png").stat().st_size > 20_000 and "| D constant |" in (folder / "table.md").read_text()
    return found


@pytest.mark.slow
def test_quotient_and_diffusion(quick):
    """0.653 1/cm2 and 6.7e-13 m2/s from a third of the profiles; 0.665 and 7.9e-13 from all."""
    rival = quick["rivals"]["D constant"]
    assert rival["quotient"] * 1e-4 == pytest.approx(0.653, rel=0.02)
    assert rival["quotient_sd"] == pytest.approx(0.051, rel=0.15)
    assert pytest.approx(6.70e-13, rel=0.05) == rival["D"]
    assert rival["D_sd"] == pytest.approx(0.136, rel=0.15)
    assert rival["values"]["growth"] == pytest.approx(22.7e-6, rel=0.1)
    assert quick["pattern"] > 1.1 * quick["noise of the fit"]  # what stays in all profiles exceeds the noise
    assert quick["shared errors"]["none"] > 300


@pytest.mark.slow
def test_the_negative_edge_moves_and_fixed_edges_bias_the_answer(quick):
    """Fixed edges raise the quotient and lower D; the evidence is against them."""
    free, fixed = quick["rivals"]["D constant"], quick["rivals"]["D constant, edges fixed"]
    assert fixed["deviance"] - free["deviance"] > 20  # 2 parameters
    assert fixed["quotient"] > 1.08 * free["quotient"] and fixed["D"] < 0.85 * free["D"]


@pytest.mark.slow
def test_a_slope_in_D_goes_to_the_brink_of_depletion(quick):
    """Better by likelihood, and hidden under the point spread: the wall concentration is not known."""
    constant, slope = quick["rivals"]["D constant"], quick["rivals"]["D with slope"]
    assert 3 < constant["deviance"] - slope["deviance"] < 40
    assert slope["values"]["D.a1"] == pytest.approx(2.9, abs=1.0)
    assert quick["wall"]["D constant"][0] == pytest.approx(0.63, abs=0.06)
    assert quick["wall"]["D with slope"][0] < 0.45
    assert 4000 < quick["wall"]["D with slope"][1] < 6000  # as the voltage shoots up


@pytest.mark.slow
def test_area_and_t_plus_trade_off_exactly(quick):
    for motion, least in (("volume", 30.0), ("none", 30.0)):
        sd, text, area, t_plus = quick["directions"][motion][0]
        assert sd > least and "area and t_plus trade off" in text
        # along it d ln(area) = d ln(1 - t+0): 1 : -0.8 at t+0 = 0.2
        assert t_plus / area == pytest.approx(-0.8, abs=0.02)
        assert quick["directions"][motion][1][0] < 2


@pytest.mark.slow
def test_profiles_under_imposed_current_do_not_see_kappa_or_chi(quick):
    assert quick["kappa and chi"] < 1e-9  # exactly 0


@pytest.mark.slow
def test_what_is_bad(quick):
    """Residuals that trend in time, forecasts worse than stated, a voltage that no constant resistance explains."""
    checks = {c["name"]: c for c in quick["whiteness"]}
    assert checks["mean square"]["p"] > 0.05
    assert checks["trends in time, by pixel"]["value"] > 1.3  # 1.58, noise alone 0.94 +- 0.18
    assert checks["neighbouring pixels"]["value"] == pytest.approx(0.095, abs=0.04)
    late = quick["held out"]
    assert 0.9 < late["chi2 per point"] < 1.25  # 1.11, 1 if all were right (+- 0.08)
    assert 0.89 < late["inside 95 %"] < 0.97
    assert late["null chi2 per point"] > late["chi2 per point"] and late["gain of ln density"] > 15
    passed = [c["passed"] for c in quick["voltage"]["checks"]]
    assert passed == [True, True, False, False, False, False]
    resistance = quick["voltage"]["resistance"]
    assert resistance["10"][1] < 0  # not even its sign is known at first: kappa is not
    assert resistance["23400"][0] / resistance["1800"][0] > 30
    assert resistance["23400"][3] < 0.1  # the electrolyte's share of the voltage at the end
