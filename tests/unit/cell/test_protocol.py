"""Steps: a followed table with fewer points, and what of its drive has passed."""

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.protocol import Step, corners, hold_current


def test_corners_keep_what_matters():
    x = np.linspace(0, 10, 101)
    y = np.where(x < 4, 1.0, np.where(x < 6, 1 + (x - 4), 3.0))
    kept = corners(x, y, 1e-6)
    assert x[kept] == pytest.approx([0, 4, 6, 10])


def test_a_thinned_drive_stays_within_its_tolerance_and_keeps_its_end():
    time = np.linspace(0, 2e4, 1001)
    step = Step("current", np.where(time < 5e3, 1.0, np.exp(-(time - 5e3) / 6e3)), 2e4, time)
    thin = step.thinned(1e-3, beyond=500.0)
    assert thin.time is not None and thin.time.size < 60
    assert np.abs(np.interp(time, thin.time, thin.value) - step.value).max() <= 1e-3
    assert thin.duration == 20500.0 and thin.value[-1] == step.value[-1]
    assert thin.integral(np.array([0.0, 2.5e3])) == pytest.approx([0.0, 2.5e3], rel=1e-12)
    exact = 5e3 + 6e3 * (1 - np.exp(-1.5e4 / 6e3))
    assert step.integral(np.array([2e4]))[0] == pytest.approx(exact, rel=1e-5)
    assert hold_current(2.0, 10.0).integral(np.array([4.0]))[0] == pytest.approx(8.0, rel=1e-12)
    with pytest.raises(InputError, match="only a followed table"):
        hold_current(1.0, 10.0).thinned(1e-3)
