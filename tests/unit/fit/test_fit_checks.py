"""Is a fit to be believed: apparent resistance, the check of a voltage, forecasts of profiles, whiteness."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.fit.checks import apparent_resistance, conditional, statistics, voltage_check
from cellsim.fit.experiment import Observation
from cellsim.instruments.mri import MriProfiles
from cellsim.instruments.mri_signal import SignalLook, Spread, signal_measurement

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


# ---- residuals and forecasts of profiles --------------------------------------------------------------------------


def observed(p: MriProfiles, **options) -> Observation:
    return Observation.of(signal_measurement(p, SignalLook(p.time, p.z, "lower", 1e-4, 3e-5), 2.0, **options))


def test_a_forecast_expects_the_pattern_again():
    """Scores of the last third, the pattern learned from the rest; without it they are far off."""
    generator = np.random.default_rng(2)
    t, k = 30, 40
    pattern = 5.0 * generator.standard_normal(k)
    signal = 100 + pattern + 2.0 * generator.standard_normal((t, k))
    p = MriProfiles(np.arange(t) * 1.0, np.arange(k) * 1e-5, signal)
    late = np.repeat(p.time >= 20, k)
    with_pattern = conditional(observed(p, spread=Spread(pattern=5.0)), np.full(t * k, 100.0), late)
    without = conditional(observed(p), np.full(t * k, 100.0), late)
    assert with_pattern.chi2_per_point == pytest.approx(1.0, abs=0.14)  # standard error sqrt(2/400)
    assert with_pattern.inside == pytest.approx(0.95, abs=0.03)
    assert without.chi2_per_point > 5 and without.log_density < with_pattern.log_density - 500
    assert with_pattern.rms == pytest.approx(2.05, rel=0.1) and without.rms > 4
    wide = conditional(
        observed(p, spread=Spread(pattern=5.0)),
        np.full(t * k, 100.0),
        late,
        slopes=np.full((t * k, 1), 1.0),
        covariance=np.eye(1) * 100,
    )
    assert np.all(wide.sd >= with_pattern.sd * (1 - 1e-12))


def test_whiteness_statistics_tell_structure_from_noise():
    w = np.random.default_rng(6).standard_normal((46, 58))
    white = statistics(w)
    assert white["mean square"] == pytest.approx(1.0, abs=0.08)
    assert abs(white["neighbouring pixels"]) < 0.06 and abs(white["successive profiles"]) < 0.06
    trend = statistics(w + np.linspace(-1, 1, 46)[:, None] * np.sign(np.linspace(-1, 1, 58)))
    assert trend["trends in time, by pixel"] > 5 and trend["successive profiles"] > 0.2
