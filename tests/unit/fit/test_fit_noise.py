import numpy as np
import pytest
from fit_toys import Function, toy, with_observation

from cellsim.base import InputError
from cellsim.fit.experiment import NO_PREDICTION, Cut, Observation
from cellsim.fit.noise import Noise, independent
from cellsim.fit.parameters import Parameter

GROUP = np.repeat([0, 1, 2], [5, 7, 4])
X = np.concatenate([np.linspace(0, 1e-3, n) for n in (5, 7, 4)])
SIGMA = np.random.default_rng(5).uniform(0.5, 2.0, GROUP.size)
SHARED = np.column_stack([np.ones(GROUP.size), np.sin(1e4 * X), (GROUP == 1).astype(float)])


def noises():
    return {
        "independent": independent(SIGMA),
        "correlated": Noise(SIGMA, GROUP, X, 2e-4),
        "shared": Noise(SIGMA, GROUP, shared=SHARED),
        "all": Noise(SIGMA, GROUP, X, 2e-4, SHARED),
    }


def dense(noise):
    R = np.eye(noise.size)
    if noise.length:
        R = np.exp(-np.abs(noise.position[:, None] - noise.position) / noise.length)
        R *= noise.group[:, None] == noise.group
    B = np.zeros((noise.size, 1)) if noise.shared is None else noise.shared
    return np.outer(noise.sigma, noise.sigma) * (R + B @ B.T)


@pytest.mark.parametrize("name", noises())
def test_whitening_is_the_inverse_root_of_the_covariance(name):
    noise = noises()[name]
    C = dense(noise)
    for r in np.random.default_rng(1).standard_normal((4, noise.size)):
        w = noise.whiten(r)
        assert w @ w == pytest.approx(r @ np.linalg.solve(C, r), rel=1e-8)  # the jitter of 1e-10 on R
    W = np.column_stack([noise.whiten(e) for e in np.eye(noise.size)])
    assert np.allclose(W @ C @ W.T, np.eye(noise.size), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", noises())
def test_draws_have_the_covariance(name):
    noise = noises()[name]
    generator = np.random.default_rng(7)
    draws = np.array([noise.draw(generator) for _ in range(8000)])
    C = dense(noise)
    scale = np.sqrt(np.outer(np.diag(C), np.diag(C)))
    # the standard error of an element is at most sqrt(2/8000) = 0.016 of the variances: 5 of them over 256 elements
    assert np.max(np.abs(draws.T @ draws / 8000 - C) / scale) < 0.08


@pytest.mark.parametrize("name", noises())
def test_some_of_the_points_have_the_same_covariance_between_them(name):
    noise = noises()[name]
    keep = np.arange(noise.size) % 3 != 1
    assert np.allclose(dense(noise.only(keep)), dense(noise)[np.ix_(keep, keep)], rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: independent([1.0, 0.0]), "standard errors must be positive and finite"),
        (lambda: independent([1.0, np.nan]), "standard errors must be positive and finite"),
        (lambda: Noise(np.ones(3), np.array([0, 1, 0])), "the points of a profile must stand together"),
        (lambda: Noise(np.ones(3), np.zeros(2, dtype=int)), "the points of a profile must stand together"),
        (lambda: Noise(np.ones(3), np.zeros(3, dtype=int), length=1e-4), "a correlation length needs positions"),
        (lambda: Observation("V", "voltage", np.ones(2), independent(np.ones(3)), Function(len)), "V: 2 points, but 3"),
        (lambda: Observation("V", "voltage", np.array([1.0, np.nan]), independent(np.ones(2)), Function(len)),
         "V: holds points that are not numbers"),
    ],
)  # fmt: skip
def test_bad_noise(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


# ---- gain and background of every profile by itself ---------------------------------------------------------------


def profiled(roles, name, seed=3):
    noise = noises()[name]
    rng = np.random.default_rng(seed)
    f = 2 + np.cos(3e3 * X) + 0.1 * rng.standard_normal(X.size)
    y = 1.3 * f * (1 + 0.2 * GROUP) + 0.5 - 0.4 * GROUP + rng.standard_normal(X.size)
    o = Observation("p", "profile", y, noise, Function(lambda v: f), profiled=roles)
    return o, f, y, noise


@pytest.mark.parametrize("roles", [("gain",), ("background",), ("gain", "background")])
@pytest.mark.parametrize("name", ["independent", "correlated"])
def test_profiled_nuisances_are_those_of_the_big_least_squares(roles, name):
    o, f, y, noise = profiled(roles, name)
    if name == "independent":
        noise = Noise(SIGMA, GROUP)
        o = Observation("p", "profile", y, noise, Function(lambda v: f), profiled=roles)
    one_hot = (GROUP[:, None] == np.arange(3)).astype(float)
    columns = {"gain": one_hot * f[:, None], "background": one_hot}
    A = np.column_stack([columns[role] for role in roles])
    rest = y if "gain" in roles else y - f
    W = np.linalg.cholesky(np.linalg.inv(dense(noise))).T
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
