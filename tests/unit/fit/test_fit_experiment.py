"""An observation: which points of a measurement are used, their errors, gains of every profile by itself."""

import numpy as np
import pytest
from fit_toys import Function, toy, with_observation

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.set_file import load_set
from cellsim.fit.experiment import MOST_POINTS, NO_PREDICTION, Observation, Selection, observe
from cellsim.fit.parameters import Parameter
from cellsim.instruments.looks import Cut, ProfileLook
from cellsim.instruments.measurement import ConcentrationMap, series
from cellsim.instruments.noise import Noise, SharedError, independent
from cellsim.instruments.records import Setup

GROUP = np.repeat([0, 1, 2], [5, 7, 4])
X = np.concatenate([np.linspace(0, 1e-3, n) for n in (5, 7, 4)])
SIGMA = np.random.default_rng(5).uniform(0.5, 2.0, GROUP.size)
NONE = np.zeros(0)


def observation(value, noise, look=None, **more):
    return Observation("profile", "p", value, look or Function(len), noise, NONE, **more)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: observation(np.ones(2), independent(np.ones(3))), "p: 2 points, but 3"),
        (lambda: observation(np.array([1.0, np.nan]), independent(np.ones(2))), "p: holds points that are not numbers"),
        (lambda: observation(np.ones(2), independent([1.0, 0.0])), "p: standard errors must be positive"),
    ],
)
def test_bad_observations(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


# ---- gain and background of every profile by itself ---------------------------------------------------------------


def profiled(roles, name, seed=3):
    noise = Noise(SIGMA, GROUP, X, 2e-4 if name == "correlated" else 0.0)
    rng = np.random.default_rng(seed)
    f = 2 + np.cos(3e3 * X) + 0.1 * rng.standard_normal(X.size)
    y = 1.3 * f * (1 + 0.2 * GROUP) + 0.5 - 0.4 * GROUP + rng.standard_normal(X.size)
    return observation(y, noise, Function(lambda v: f), profiled=roles), f, y, noise


@pytest.mark.parametrize("roles", [("gain",), ("background",), ("gain", "background")])
@pytest.mark.parametrize("name", ["independent", "correlated"])
def test_profiled_nuisances_are_those_of_the_big_least_squares(roles, name):
    o, f, y, noise = profiled(roles, name)
    one_hot = (GROUP[:, None] == np.arange(3)).astype(float)
    columns = {"gain": one_hot * f[:, None], "background": one_hot}
    A = np.column_stack([columns[role] for role in roles])
    rest = y if "gain" in roles else y - f
    W = np.linalg.cholesky(np.linalg.inv(noise.covariance)).T
    best, *_ = np.linalg.lstsq(W @ A, W @ rest, rcond=None)
    expected = W @ (rest - A @ best)
    w = o.residual(f)
    assert w @ w == pytest.approx(expected @ expected, rel=1e-8)
    assert o.adjusted(f) == pytest.approx(y - (rest - A @ best), rel=1e-7)


def test_profiling_takes_the_gain_out_of_the_information():
    # y = gain * exp(-k x): with the gain profiled the information on k is that with the gain fitted
    x = np.linspace(0, 1, 12)
    y = 3.0 * np.exp(-2 * x) + 0.01 * np.random.default_rng(0).standard_normal(12)
    k, gain = Parameter("k", 2.0), Parameter("gain", 3.0)
    both = toy(lambda v: v["gain"] * np.exp(-v["k"] * x), y, [k, gain], sd=0.01)
    both = with_observation(both, nuisance={"k": "k", "gain": "gain"})
    # the role "gain" multiplies what the look gives, so the look leaves it out
    both = with_observation(both, look=Function(lambda v: np.exp(-v["k"] * x)))
    alone = with_observation(toy(lambda v: np.exp(-v["k"] * x), y, [k], sd=0.01), profiled=("gain",))
    u = np.array([2.0, np.linalg.lstsq(np.exp(-2 * x)[:, None], y, rcond=None)[0][0]])
    F = both.information(both.jacobian(u))
    assert alone.information(alone.jacobian(u[:1]))[0, 0] == pytest.approx(1 / np.linalg.inv(F)[0, 0], rel=2e-3)


def test_a_point_without_a_prediction_costs_much():
    o, f, y, _ = profiled((), "independent")
    part = f.copy()
    part[3] = np.nan
    w = o.residual(part)
    assert w[3] == NO_PREDICTION and np.delete(w, 3) == pytest.approx(np.delete((y - f) / SIGMA, 3), rel=1e-12)


def test_some_points_of_an_observation():
    o, _, _, _ = profiled((), "correlated")
    keep = GROUP != 1
    cut = o.only(keep)
    assert isinstance(cut.look, Cut) and cut.size == keep.sum()
    whole, some = o.predict(None, None, o.roles({})), cut.predict(None, None, cut.roles({}))
    assert some == pytest.approx(whole[keep], rel=1e-15)


@pytest.mark.parametrize("length", [0.0, 2e-5])
@pytest.mark.parametrize("profiled", [("gain",), ("background",), ("gain", "background")])
def test_profiled_gains_minimise_chi_squared_with_errors_in_common(length, profiled):
    """Against generalised least squares with the dense covariance: 12 profiles of 9 pixels, a pattern in common."""
    t, k = 12, 9
    generator = np.random.default_rng(3)
    sigma, pixel = generator.uniform(0.5, 2.0, t * k), np.tile(np.arange(k), t)
    path = SharedError(sigma * generator.standard_normal(t * k), np.zeros(t * k, dtype=int))
    n = Noise(sigma, np.repeat(np.arange(t), k), pixel * 1e-5, length, (SharedError(1.5 * sigma, pixel), path))
    predicted = 3.0 + generator.standard_normal(t * k)
    measured = 2.0 * predicted + 1.0 + n.draw(generator)
    o = observation(measured, n, profiled=profiled)
    A = np.zeros((t * k, len(profiled) * t))
    for row, points in enumerate(n.slices):
        for j, name in enumerate(profiled):
            A[points, row * len(profiled) + j] = predicted[points] if name == "gain" else 1.0
    y = measured if "gain" in profiled else measured - predicted
    W = np.linalg.inv(np.linalg.cholesky(n.covariance))
    best = np.linalg.lstsq(W @ A, W @ y, rcond=None)[0]
    expected = float(np.sum((W @ (y - A @ best)) ** 2))
    assert float(np.sum(o.residual(predicted) ** 2)) == pytest.approx(expected, rel=1e-7)


# ---- what of a measurement is used --------------------------------------------------------------------------------

SETUP = Setup(
    Cell(1e-3, 363.15),
    load_set("steinruck2020_rs", T=363.15),
    Protocol((hold_voltage(0.1, 1000.0),)),
    1000.0,
)


def test_a_long_series_is_thinned_and_ends_with_the_run():
    t = np.linspace(0, 1000.5, 5001)
    o = observe(series("current", t, np.ones(t.size), error=0.1), SETUP)
    assert MOST_POINTS / 2 < o.size <= MOST_POINTS
    assert o.time.max() <= 1000.0 and o.look.times(o.roles({})).max() <= 1000.0
    some = observe(series("current", t, np.ones(t.size), error=0.1), SETUP, Selection(start=200.0, stop=300.0, every=5))
    assert some.time.min() >= 200.0 and some.time.max() <= 300.3
    with pytest.raises(InputError, match="no point lies within"):
        observe(series("current", t, np.ones(t.size), error=0.1), SETUP, Selection(start=2000.0))


def test_errors_are_the_fits_then_the_datas_then_a_guess():
    t = np.linspace(0, 900, 4)
    value = np.array([4.0, 2.0, 1.0, 1.0])
    stated = series("current", t, value, error=0.3)  # what a hold of a voltage leaves free
    assert observe(stated, SETUP).noise.own == pytest.approx(0.3, rel=1e-15)
    assert observe(stated, SETUP, Selection(error=0.1)).noise.own == pytest.approx(0.1, rel=1e-15)
    assert observe(stated, SETUP, Selection(relative_error=0.05)).noise.own == pytest.approx(0.1, rel=1e-12)
    bare = series("current", t, value)
    free = observe(bare, SETUP, Selection(free=True)).noise
    assert free.free and free.own == pytest.approx(0.02, rel=1e-12)
    with pytest.raises(InputError, match="states no errors"):
        observe(bare, SETUP)


def test_profiles_inside_the_cell_with_what_their_errors_share():
    t, x = np.array([0.0, 300.0, 600.0]), np.array([-1e-4, 2e-4, 5e-4, 9e-4])
    c = 1000.0 + 100.0 * np.arange(12.0).reshape(3, 4)
    error = np.full((3, 4), 10.0)
    error[0] = 0.0  # by definition, as the first profile that others refer to
    data = ConcentrationMap(t, x, c, error, shared=np.full(4, 6.0), scale_error=0.02, resolution=1e-4)
    o = observe(data.measurement(1000.0), SETUP)
    assert o.size == 6 and np.all(o.time > 0) and np.all(o.position > 0)
    assert isinstance(o.look, ProfileLook) and o.look.time.tolist() == [300.0, 600.0]
    assert o.noise.own == pytest.approx(8.0, rel=1e-12) and o.noise.length == 5e-5
    other = observe(data.measurement(1000.0), SETUP, Selection(error=5.0, correlation=2e-4, every=2))
    assert np.unique(other.time).tolist() == [0.0, 600.0]  # with an error of its own the first one counts
    assert other.noise.own == pytest.approx(5.0, rel=1e-15) and other.noise.length == 2e-4
    assert [error.stated for error in other.noise.shared] == [False]  # the path length's
    assert other.noise.shared[0].amplitude == pytest.approx(0.02 * (other.value - 1000.0), rel=1e-12)
    with pytest.raises(InputError, match="needs profiles"):
        observe(series("current", t, np.ones(3), error=1.0), SETUP, profiled=("gain",))
