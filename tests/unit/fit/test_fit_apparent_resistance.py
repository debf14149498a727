"""Apparent resistance, and the check of a voltage against electrolyte plus a constant resistance."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.fit.checks import apparent_resistance, voltage_check

TIME = np.linspace(0.0, 1000.0, 101)
CURRENT = 1.0 + 0.5 * np.exp(-TIME / 300)


def electrolyte(draws: int, seed: int = 0) -> np.ndarray:
    """Voltages of draws whose conductivity is known within 10 %, and a drift within 5 mV."""
    generator = np.random.default_rng(seed)
    scale = 1 + 0.1 * generator.standard_normal((draws, 1))
    return 0.1 * scale * CURRENT + 5e-3 * generator.standard_normal((draws, 1)) * TIME / 1000


def test_the_resistance_and_its_band():
    found = apparent_resistance(TIME, 0.1 * CURRENT + 0.3 * CURRENT, CURRENT, electrolyte(2000))
    assert found.value == pytest.approx(np.full(101, 0.3), abs=2e-3)
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.96 * 0.01, rel=0.1)
    assert found.share == pytest.approx(np.full(101, 0.25), abs=3e-3)
    with pytest.raises(InputError, match="needs a current"):
        apparent_resistance(TIME, CURRENT, np.zeros(101), electrolyte(3))


def test_the_check_passes_what_is_possible_and_fails_a_resistance_that_grows():
    draws = electrolyte(400)
    truth = electrolyte(60, seed=1) + 0.3 * CURRENT
    noise = 1e-3 * np.random.default_rng(2).standard_normal(truth.shape)
    p = [voltage_check(TIME, U, CURRENT, draws, error=1e-3, stretch=(0, 1000)).p for U in truth + noise]
    assert np.count_nonzero(np.array(p) < 0.05) <= 9  # 3 expected; binomial, 0.3 % above 9
    assert np.quantile(p, 0.5) == pytest.approx(0.5, abs=0.2)
    one = voltage_check(TIME, truth[0], CURRENT, draws, error=1e-3, stretch=(0, 1000))
    assert one.passed and one.resistance == pytest.approx(0.3, abs=0.03)
    grown = voltage_check(TIME, truth[0] + 0.1 * CURRENT * TIME / 1000, CURRENT, draws, error=1e-3, stretch=(0, 1000))
    assert not grown.passed and grown.rms > 5 * grown.expected
    with pytest.raises(InputError, match="fewer than three voltages"):
        voltage_check(TIME, truth[0], CURRENT, draws, error=1e-3, stretch=(0, 15))
