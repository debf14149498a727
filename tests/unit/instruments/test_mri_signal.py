"""Raw MRI profiles: moving edges, independent pixels, errors that pixels or profiles share."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.mri import MriProfiles
from cellsim.instruments.mri_signal import (
    SignalLook,
    Spread,
    independent_step,
    pixel_noise,
    signal_measurement,
    thinned,
    variances,
)


@pytest.mark.parametrize(("positive", "sign"), [("lower", 1.0), ("upper", -1.0)])
def test_drift_growth_and_gain_drift_move_the_signal_as_stated(positive, sign):
    """One profile before, one after: uniform salt, so the edges alone tell."""
    faces = np.tile(np.linspace(0, 1e-3, 81), (3, 1))
    run = {
        "time": np.array([0.0, 100.0, 1e4]),
        "position_face": faces,
        "c_face": np.ones((3, 81)),
        "interface_shift": np.zeros(3),
    }
    z = np.arange(0.5e-3, 3e-3, 1e-5)
    look = SignalLook(np.array([0.0, 1e4]), z, positive, 1.75e-3, 3e-5, np.array([0.0, 1.0]))
    values = {"time_offset": 0.0, "drift": 5e-5, "growth": 2e-4, "gain_drift": 1e-5}
    signal = look.predict(None, run, values).reshape(2, -1)
    assert signal[1].max() == pytest.approx(1.1, rel=1e-3)
    for row, width, start in ((signal[0], 1e-3, 1.75e-3), (signal[1] / 1.1, 0.8e-3, 1.75e-3 + 5e-5)):
        assert row.sum() * 1e-5 == pytest.approx(width, rel=1e-3)
        centre = float((row * z).sum() / row.sum())
        assert centre == pytest.approx(start + sign * width / 2, abs=1e-7)


def test_a_nonlinear_signal_bends_about_the_first_concentration():
    faces = np.tile(np.linspace(0, 1e-3, 81), (2, 1))
    c = np.vstack([np.full(81, 2.0), np.linspace(3.0, 1.0, 81)])
    run = {"time": np.array([0.0, 1e3]), "position_face": faces, "c_face": c, "interface_shift": np.zeros(2)}
    look = SignalLook(np.array([0.0, 1e3]), np.array([0.25e-3, 0.75e-3]), "lower", 0.0, 1e-6)
    first, last = look.predict(None, run, {"time_offset": 0.0, "nonlinearity": -0.4}).reshape(2, 2)
    assert first == pytest.approx([2.0, 2.0], rel=1e-9)
    # between 41 nodes straight lines: measured within 3e-5
    assert last == pytest.approx([2.5 * (1 - 0.4 * 0.25), 1.5 * (1 + 0.4 * 0.25)], rel=1e-4)


def zero_filled(t: int, k: int, generator: np.random.Generator, pattern: float = 0.0) -> MriProfiles:
    """Noise of k pixels interpolated twofold by filling the spectrum with zeros; a plateau and a pattern under it."""
    z = np.arange(2 * k) * 1e-5
    white = generator.standard_normal((t, k))
    spectrum = np.zeros((t, 2 * k), dtype=complex)
    f = np.fft.fft(white, axis=1)
    spectrum[:, : k // 2], spectrum[:, -(k // 2) + 1 :] = f[:, : k // 2], f[:, -(k // 2) + 1 :]
    filled = 2 * np.fft.ifft(spectrum, axis=1).real
    plateau = np.where((z > 0.3 * z[-1]) & (z < 0.7 * z[-1]), 100.0, 0.0)
    signal = filled + plateau + pattern * generator.standard_normal(2 * k)
    return MriProfiles(np.arange(t) * 1.0, z, signal)


def test_zero_filling_is_found_and_undone():
    p = zero_filled(40, 128, np.random.default_rng(0))
    _, correlation = pixel_noise(p)
    assert correlation[1] == pytest.approx(2 / np.pi, abs=0.03)  # sinc(1/2); measured within 0.005
    assert independent_step(correlation) == 2
    every = thinned(p, 2, (1e-4, 2e-3))
    assert every.z[0] == pytest.approx(1.2e-4, rel=1e-9) and every.signal.shape[1] == every.z.size
    again = pixel_noise(every)[1]
    assert independent_step(again) == 1
    with pytest.raises(InputError, match="three profiles"):
        pixel_noise(p.first(2))
    with pytest.raises(InputError, match="too many pixels"):
        independent_step(np.ones(12))


def test_variances_are_those_of_the_truth():
    """Pattern and gain scatter drawn with known spread; the estimate's own scatter is 1/sqrt(2 k) and 1/sqrt(2 t)."""
    generator = np.random.default_rng(8)
    t, k = 40, 30
    size = np.full((t, k), 100.0)
    truth = (2.0, Spread(pattern=3.0, gain=0.01))
    residual = (
        2.0 * generator.standard_normal((t, k))
        + 3.0 * generator.standard_normal(k)
        + 0.01 * size * generator.standard_normal((t, 1))
    )
    sigma, spread, best = variances(residual, size, (1.0, Spread(pattern=1.0, gain=0.003)))
    assert sigma == pytest.approx(2.0, rel=0.06)  # standard error 2 %
    assert spread.pattern == pytest.approx(3.0, rel=0.35)  # 13 %
    assert spread.gain == pytest.approx(0.01, rel=0.35)  # 11 % and more
    assert spread.background == 0.0
    assert best > variances(residual, size, (1.0, Spread(pattern=1.0)))[2] + 50
    assert truth[1].sensitivity == 0.0


def measured(p: MriProfiles, **options) -> Measurement:
    return signal_measurement(p, SignalLook(p.time, p.z, "lower", 1e-4, 3e-5), 2.0, **options)


def test_there_is_a_column_for_every_error_in_common():
    p = zero_filled(6, 64, np.random.default_rng(1))
    m = measured(p, spread=Spread(pattern=1.0, sensitivity=0.1, gain=0.2, background=0.5))
    assert m.noise.columns.shape == (6 * 128, 128 + 128 + 6 + 6)
    assert measured(p).noise.shared == () and measured(p).noise.free
    with pytest.raises(InputError, match="the look has 6 x 128 points, the data 5 x 128"):
        signal_measurement(p.first(5), SignalLook(p.time, p.z, "lower", 1e-4, 3e-5), 2.0)
