import json

import numpy as np
import pytest
from fit_toys import linear, toy, with_observation

from cellsim.base import InputError
from cellsim.files.reading import read_arrays
from cellsim.files.writing import write_arrays
from cellsim.fit import posterior
from cellsim.fit.estimate import estimate
from cellsim.fit.parameters import Parameter, Prior
from cellsim.fit.posterior import diagnosed, log_posterior, sample
from cellsim.instruments.noise import independent

A = np.random.default_rng(11).standard_normal((12, 2))
TRUTH = np.array([0.4, -0.2])


def fit(seed=0):
    return estimate(linear(A, TRUTH, sd=0.1, seed=seed), starts=1)


def test_a_gaussian_posterior_comes_back(tmp_path):
    found = fit()
    told = []
    post = sample(found, steps=2500, seed=1, progress=lambda done, of: told.append(done))
    assert post.converged and post.message.startswith("converged") and post.steps == told[-1] < 2500
    n = len(post.draws) / (2 * np.max(post.autocorrelation))  # roughly the independent draws
    assert np.max(np.abs(post.draws.mean(axis=0) - found.u) / found.sd) < 5 / np.sqrt(n)
    ratio = np.cov(post.draws.T) / found.covariance
    assert ratio == pytest.approx(np.ones((2, 2)), abs=8 * np.sqrt(2 / n))
    low, high = post.interval("p0")
    assert (low, high) == pytest.approx(found.interval("p0"), abs=0.15 * found.errors["p0"])
    assert 0.2 < post.acceptance < 0.9 and np.all(post.r_hat < 1.01) and np.all(post.effective >= 2000)


def test_a_posterior_that_is_not_normal_keeps_its_shape():
    """exp(k) measured as 1 +/- 0.5 and k known as 0 +/- 1: proposals by the curvature, moments by quadrature."""
    p = toy(lambda v: np.exp([v["k"]]), np.ones(1), [Parameter("k", 0.0, prior=Prior(0.0, 1.0))], sd=0.5)
    post = sample(estimate(p, starts=1), steps=6000, seed=3)
    k = np.linspace(-8, 4, 24001)
    density = np.exp(-0.5 * ((np.exp(k) - 1) / 0.5) ** 2 - 0.5 * k**2)
    density /= density.sum()
    mean = density @ k
    sd, skew = np.sqrt(density @ (k - mean) ** 2), density @ (k - mean) ** 3
    assert skew / sd**3 < -0.5  # far from normal
    assert post.converged and post.effective[0] > 2000
    own = post.draws[:, 0]
    assert own.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(2000))
    assert own.std() == pytest.approx(sd, rel=4 / np.sqrt(2000))  # its kurtosis of some 4 in the place of 3
    assert np.mean((own - mean) ** 3) == pytest.approx(skew, rel=0.25)


def test_effective_draws_of_a_chain_of_known_correlation():
    """x' = a x + noise forgets as a^t: n (1 - a)/(1 + a) draws; chains about different means have a known R-hat."""
    rng, a = np.random.default_rng(5), 0.8
    x = np.zeros((4000, 8, 1))
    x[0] = rng.standard_normal((8, 1)) / np.sqrt(1 - a**2)
    for t in range(1, 4000):
        x[t] = a * x[t - 1] + rng.standard_normal((8, 1))
    r_hat, effective = diagnosed(x)
    assert effective[0] == pytest.approx(x.size * (1 - a) / (1 + a), rel=0.1)
    assert 1 <= r_hat[0] < 1.005
    apart = rng.standard_normal((2000, 4, 1)) + np.array([0.0, 0.0, 0.6, 0.6])[:, None]
    r_hat, effective = diagnosed(apart)
    # means 0 and 0.6 of as many half chains: variance of the means 0.09 * 8/7, of the ranks nearly the same
    assert r_hat[0] == pytest.approx(np.sqrt(1 + 0.09 * 8 / 7), abs=0.01)
    # the chains never exchange their means: a correlation of 0.093 at all of the 1000 lags leaves 43 draws of 8000
    assert 30 < effective[0] < 80
    assert diagnosed(np.zeros((100, 4, 1))) == (np.array([np.inf]), np.array([0.0]))
    assert not diagnosed(x[:6])[1].any()


def test_too_short_a_chain_says_so():
    post = sample(fit(), steps=60, seed=1)
    assert not post.converged and "not converged after 60 steps" in post.message and "take more steps" in post.message


def test_a_chain_goes_on_from_its_file(tmp_path):
    found, file = fit(), tmp_path / "chain.npz"
    sample(found, steps=150, seed=1, file=file)
    first = read_arrays(file)["chain"]
    post = sample(found, steps=300, seed=1, file=file)
    both = read_arrays(file)["chain"]
    assert post.steps == len(both) == 300 and np.array_equal(both[:150], first)
    assert np.all(np.any(both[150] != both[149], axis=1).mean() > 0.2)  # it moves on, it does not stand still
    whole = sample(found, steps=300, seed=1)
    assert np.array_equal(whole.draws, post.draws)  # as if it had never stopped
    again = sample(found, steps=300, seed=1, file=file)  # nothing left to do: the same draws
    assert np.array_equal(again.draws, post.draws)
    assert json.dumps({"steps": again.steps}) == '{"steps": 300}'  # the file counts in numpy's integers


def test_the_file_of_another_fit_is_refused(tmp_path):
    file = tmp_path / "chain.npz"
    sample(fit(), steps=20, file=file)
    with pytest.raises(InputError, match="holds a chain of 16 walkers in 2 dimensions, not 20 in 2"):
        sample(fit(), steps=20, walkers=20, file=file)
    with pytest.raises(InputError, match="belongs to another fit"):
        sample(fit(seed=1), steps=40, file=file)


def test_an_interrupted_chain_goes_on_to_the_same_draws(tmp_path, monkeypatch):
    found, file = fit(), tmp_path / "chain.npz"
    asked = []

    def stop(fit):
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return mark(fit)

    mark = posterior._mark
    monkeypatch.setattr(posterior, "EVERY", -1.0)  # a state after every step
    monkeypatch.setattr(posterior, "_mark", stop)
    with pytest.raises(KeyboardInterrupt):
        sample(found, steps=40, seed=1, file=file)
    monkeypatch.setattr(posterior, "_mark", mark)
    assert 1 <= len(read_arrays(file)["chain"]) <= 2
    assert np.array_equal(sample(found, steps=40, seed=1, file=file).draws, sample(found, steps=40, seed=1).draws)


def test_a_damaged_chain_is_one_sentence(tmp_path):
    found, file = fit(), tmp_path / "chain.npz"
    sample(found, steps=20, file=file)
    arrays = read_arrays(file)
    for name, value in (
        ("chain", arrays["chain"][..., None]),
        ("chain", arrays["chain"] * np.nan),
        ("accepted", arrays["accepted"][1:]),
        ("random_keys", -arrays["random_keys"].astype(float)),
        ("random_numbers", np.array([1e9, 0.0, 0.0])),
    ):
        write_arrays(file, {**arrays, name: value})
        with pytest.raises(InputError, match=r"chain\.npz"):
            sample(found, steps=40, file=file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read as the chain of a posterior"):
        sample(found, steps=40, file=file)


def test_bounds_and_missing_predictions_have_no_probability():
    p = toy(
        lambda v: np.array([v["k"]]) if v["k"] < 2 else np.array([np.nan]), np.ones(1), [Parameter("k", 1.0, lower=0.0)]
    )
    assert log_posterior(p, np.array([1.5]), p.levels) == pytest.approx(-0.125, rel=1e-12)
    assert log_posterior(p, np.array([-0.1]), p.levels) == -np.inf
    assert log_posterior(p, np.array([2.1]), p.levels) == -np.inf


def test_a_free_level_is_integrated_out():
    # the mean of n points of unknown spread has Student's t distribution
    y = np.random.default_rng(4).standard_normal(6)
    p = toy(lambda v: np.full(6, v["m"]), y, [Parameter("m", 0.0)])
    p = with_observation(p, noise=independent(np.full(6, 0.01), free=True))
    m = np.linspace(-1, 1, 5)
    ours = np.array([log_posterior(p, np.array([x]), p.levels) for x in m])
    t2 = (m - y.mean()) ** 2 / (y.var(ddof=1) / 6)
    student = -0.5 * 6 * np.log1p(t2 / 5)
    assert ours - ours[0] == pytest.approx(student - student[0], rel=1e-9)
