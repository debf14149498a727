"""The prepared profiles are what the script makes of the raw signal, and what the case says of them is so."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from cellsim.run.case import load_case

FOLDER = Path(__file__).parents[3] / "cases/thienenkamp2022"


@pytest.fixture(scope="module")
def prepared() -> tuple[np.ndarray, np.ndarray, float]:
    prepare = runpy.run_path(str(FOLDER / "prepare_profiles.py"))["prepare"]
    raw = np.loadtxt(FOLDER / "Li_Li_profiles_raw.csv", delimiter=",", skiprows=1)
    position, c, thickness = prepare(raw)
    return position, c, thickness


def test_profiles_are_those_of_the_script(prepared: tuple[np.ndarray, np.ndarray, float]) -> None:
    position, c, _ = prepared
    (profile,) = load_case(FOLDER / "polarisation.toml").measured
    assert profile.position is not None
    assert profile.value.size == c.size and profile.times.size == c.shape[1]
    first = profile.position[: position.size]
    np.testing.assert_allclose(first, position * 1e-3, rtol=0, atol=0.5e-7)  # four decimals of a mm
    np.testing.assert_allclose(profile.value, c.T.ravel(), rtol=0, atol=0.051)  # one decimal of a mol/m^3


def test_thickness_and_concentration_of_the_case_are_those_of_the_profiles(
    prepared: tuple[np.ndarray, np.ndarray, float],
) -> None:
    case = load_case(FOLDER / "polarisation.toml")
    assert case.cell.thickness == pytest.approx(prepared[2] * 1e-3, abs=0.005e-3)  # two decimals of a mm
    assert case.c0 == pytest.approx(float(np.mean(prepared[1][:, 0])), rel=1e-5)


def test_salt_gathers_at_the_positive_electrode_and_its_total_stays(
    prepared: tuple[np.ndarray, np.ndarray, float],
) -> None:
    position, c, thickness = prepared
    change = np.mean(c[:, -4:], axis=1) - np.mean(c[:, :2], axis=1)
    assert np.mean(change[position < 0.3]) > 100
    assert np.mean(change[position > thickness - 0.3]) < -100
    assert np.all(np.abs(np.mean(c, axis=0) / np.mean(c[:, 0]) - 1) < 0.025)  # measured: 0.02 at most
