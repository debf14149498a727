"""Power spectra of velocities: oscillators and walkers in closed form."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import t as student

from cellsim.base import InputError, k_B
from mdcoeffs.mobility.vibration import frequencies, peak_of, segment_of, spectra, vibration_of
from mdcoeffs.statistics.lagged import Lagged, join
from mdcoeffs.synthetic.jumps import oscillators


def spectrum(x, size, dt=1.0):
    return Lagged(frequencies(size, dt), *spectra(x, dt, size, np.arange(len(x)), len(x)))


def expected(f_0, damping, size):
    """Mean of the estimate, from the exact autocorrelation of positions at whole frames and the window's own."""
    w = 2 * np.pi * f_0
    R = np.array([expm(k * np.array([[0, 1], [-(w**2), -damping]]))[0, 0] for k in range(size + 1)])
    of_v = np.array([2 * R[k] - R[k + 1] - R[abs(k - 1)] for k in range(size)])
    weight = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    of_w = np.correlate(weight, weight, "full")[size - 1 :] / np.sum(weight**2)
    f = frequencies(size, 1.0)
    cosine = np.cos(2 * np.pi * np.outer(f, np.arange(size)))
    cosine[:, 1:] *= 2
    return 2 * cosine @ (of_v * of_w) / np.sinc(f) ** 2


def lorentz(f_0, damping, f):
    """Continuous time: one axis, <x^2> = 1, one-sided."""
    w, W = 2 * np.pi * f_0, 2 * np.pi * f
    return 4 * damping * w**2 * W**2 / ((w**2 - W**2) ** 2 + damping**2 * W**2)


def test_oscillators_of_known_spectrum():
    f_0, damping, size = 0.05, 0.1, 256
    x = oscillators(particles=40, frames=4001, frequency=f_0, damping=damping, rng=np.random.default_rng(1))
    assert x.var() == pytest.approx(1, rel=0.05) and np.diff(x, axis=1).var() == pytest.approx(
        2 - 2 * expm([[0, 1], [-((0.1 * np.pi) ** 2), -0.1]])[0, 0], rel=0.02
    )
    found = spectrum(x, size)
    exact, error = 3 * expected(f_0, damping, size), found.standard_error()
    inside = np.abs(found.mean - exact) <= student.ppf(0.975, 39) * error
    assert inside.mean() > 0.85  # 0.95 of 513 values, four of which are worth one; measured 0.94
    assert abs(((found.mean - exact) / error).mean()) < 0.5
    # and the Lorentzian of continuous time where neither the window (1/256 wide) nor the time between frames matters
    f = found.lag
    middle = (f > 0.02) & (f < 0.15)
    np.testing.assert_allclose(found.mean[middle], 3 * lorentz(f_0, damping, f[middle]), rtol=0.2)  # measured 0.12
    assert np.mean(found.mean[middle] / (3 * lorentz(f_0, damping, f[middle]))) == pytest.approx(1, abs=0.04)
    peak = peak_of(found)
    assert abs(peak.value - f_0) < 3 * peak.error and peak.error < 0.005 * f_0


def test_velocities_of_langevin_walkers_are_lorentzian():
    """Ornstein and Uhlenbeck: S = 4 <v^2> g/(g^2 + W^2) per axis, S(0) = 12 D of three, D = <v^2>/g."""
    damping, frames, n = 0.05, 3001, 40
    rng = np.random.default_rng(2)
    # exact: velocity and its integral over a frame are jointly normal (Chandrasekhar 1943)
    a, noise = np.exp(-damping), rng.standard_normal((2, frames, n, 3))
    vv, xx = 1 - a**2, (2 * damping - 3 + 4 * a - a**2) / damping**2
    xv = (1 - a) ** 2 / damping
    v = rng.standard_normal((n, 3))
    steps = np.empty((frames, n, 3))
    for k in range(frames):
        kick = np.sqrt(vv) * noise[0, k]
        steps[k] = v * (1 - a) / damping + xv / vv * kick + np.sqrt(xx - xv**2 / vv) * noise[1, k]
        v = a * v + kick
    found = spectrum(np.cumsum(steps, axis=0).transpose(1, 0, 2), 256)
    low = (found.lag > 0.01) & (found.lag < 0.1)
    want = 12 * damping / (damping**2 + (2 * np.pi * found.lag) ** 2)
    assert np.mean(found.mean[low] / want[low]) == pytest.approx(1, abs=0.02)  # measured 1.002
    assert found.mean[0] / 12 == pytest.approx(1 / damping, abs=3.5 * found.standard_error()[0] / 12 + 0.3)
    assert np.isnan(peak_of(found).value)  # it stands at frequency zero
    whole = vibration_of("Li", "molecules", found, k_B * 300.0, 300.0)
    assert whole.kinetic == pytest.approx(1, abs=0.03) and whole.mean_square == pytest.approx(3, rel=0.03)


def test_units_and_replicas():
    x = oscillators(particles=6, frames=600, frequency=0.1, damping=0.2, rng=np.random.default_rng(3))
    dt, length = 2e-15, 1e-11
    plain, scaled = spectrum(x, 64), spectrum(length * x, 64, dt)
    np.testing.assert_allclose(scaled.lag, plain.lag / dt, rtol=1e-12)
    np.testing.assert_allclose(scaled.mean, plain.mean * length**2 / dt, rtol=1e-9)
    both = join([plain, plain])
    np.testing.assert_allclose(both.mean, plain.mean, rtol=1e-12)
    assert both.standard_error()[20] < plain.standard_error()[20]


def test_peaks_that_are_not_there():
    narrow = oscillators(particles=8, frames=2000, frequency=0.1, damping=0.03, rng=np.random.default_rng(4))
    assert np.isnan(peak_of(spectrum(narrow, 64)).value)  # narrower than the segments resolve
    assert peak_of(spectrum(narrow, 512)).value == pytest.approx(0.1, rel=0.01)
    white = np.random.default_rng(5).standard_normal((8, 2000, 3))
    assert np.isnan(peak_of(spectrum(white, 64)).value)  # grows to the last frequency


def test_segments_that_do_not_fit():
    assert segment_of(2000, 1e-15, None) == 2 * 1999 // 17 and segment_of(100_000, 1e-15, None) == 1024
    assert segment_of(2000, 1e-15, 5e12) == 200
    with pytest.raises(InputError, match="a spectrum needs 41 frames, there are 30"):
        segment_of(30, 1e-15, None)
    for wrong in (1e9, 1e15, 1e-300):
        with pytest.raises(InputError, match=r"1\.25e\+12 to 6\.25e\+13 Hz are possible"):
            segment_of(2000, 1e-15, wrong)
    with pytest.raises(InputError, match="the run is too short for any"):
        segment_of(20, 1e-15, 5e12)
