import numpy as np
import pytest
from fit_toys import toy, with_observation

from cellsim.fit.parameters import Parameter, Prior
from cellsim.fit.rivals import chi2_beside, evidence, folds_of, log_likelihood, verdict
from cellsim.instruments.noise import independent

TIME = np.linspace(0, 10, 40)
PARAMETERS = [Parameter("a", 0.5), Parameter("b", 0.0)]


def rivals(slope, seed=0, **noise):
    y = 1 + slope * TIME + 0.1 * np.random.default_rng(seed).standard_normal(40)
    made = {
        "constant": toy(lambda v: np.full(40, v["a"]) if len(v) else TIME, y, PARAMETERS[:1], sd=0.1, time=TIME),
        "line": toy(lambda v: v["a"] + v["b"] * TIME, y, PARAMETERS, sd=0.1, time=TIME),
    }
    # a held-out block is looked at through a cut of the whole look
    return {k: with_observation(p, noise=independent(np.full(40, 0.1), **noise)) for k, p in made.items()}


def test_the_true_line_wins_by_every_measure():
    best, other = evidence(rivals(0.05), folds=4, starts=1)
    assert (best.name, other.name) == ("line", "constant")
    assert best.aic < other.aic - 10 and best.bic < other.bic - 10 and best.held_out > other.held_out + 10
    assert best.held_out_error > 0


def test_a_slope_that_is_not_there_is_not_paid_for():
    wins = []
    for seed in range(12):
        found = {e.name: e for e in evidence(rivals(0.0, seed), folds=0, starts=1)}
        gain = 2 * (found["line"].log_likelihood - found["constant"].log_likelihood)
        assert gain >= -1e-6
        assert found["line"].aic - found["constant"].aic == pytest.approx(2 - gain, abs=1e-9)
        assert found["line"].bic - found["constant"].bic == pytest.approx(np.log(40) - gain, abs=1e-9)
        assert found["line"].held_out is None
        wins.append(found["constant"].bic < found["line"].bic)
    assert sum(wins) >= 9  # 5 % of chi2(1) beyond ln 40 = 3.7: 11.3 of 12 expected


def test_numbers_by_hand():
    problems = rivals(0.05)
    found = {e.name: e for e in evidence(problems, folds=0, starts=1)}["line"]
    y = problems["line"].observations[0].value
    A = np.column_stack([np.ones(40), TIME])
    chi2 = np.sum((y - A @ np.linalg.lstsq(A, y, rcond=None)[0]) ** 2) / 0.01
    assert found.log_likelihood == pytest.approx(-chi2 / 2 - 40 * np.log(0.1), rel=1e-6)
    assert found.aic == pytest.approx(-2 * found.log_likelihood + 4, rel=1e-12)
    assert found.bic == pytest.approx(-2 * found.log_likelihood + 2 * np.log(40), rel=1e-12)


def test_a_free_level_counts_as_a_parameter_and_in_the_likelihood():
    found = {e.name: e for e in evidence(rivals(0.05, free=True), folds=0, starts=1)}["line"]
    level = found.fit.levels[0]
    assert found.log_likelihood == pytest.approx(-19 - 40 * np.log(0.1 * level), rel=2e-3)
    assert found.aic == pytest.approx(-2 * found.log_likelihood + 6, rel=1e-12)


def test_free_noise_does_not_hide_a_misfit():
    """By levels of their own both sets have chi2 = points, beside a difference of AIC that says otherwise."""
    judged = evidence(rivals(0.05, free=True), folds=0, starts=1)
    stated = {e.name: e for e in evidence(rivals(0.05), folds=0, starts=1)}
    best, other = judged
    assert (best.name, other.name) == ("line", "constant")
    assert best.fit.chi2_data == pytest.approx(other.fit.chi2_data, rel=0.1)
    ratio = stated["constant"].fit.chi2_data / stated["line"].fit.chi2_data
    assert chi2_beside(other, best) / chi2_beside(best, best) == pytest.approx(ratio, rel=1e-3)
    text = "\n".join(verdict(judged))
    assert f"{chi2_beside(other, best):.1f}" in text and "noise levels that the first one's fit found" in text


def test_priors_count_as_data():
    p = rivals(0.0)["constant"]
    with_prior = toy(
        lambda v: np.full(40, v["a"]),
        p.observations[0].value,
        [Parameter("a", 0.5, prior=Prior(0.0, 0.5))],
        sd=0.1,
        time=TIME,
    )
    u = np.array([1.0])
    assert log_likelihood(with_prior, u, p.levels) == pytest.approx(log_likelihood(p, u, p.levels) - 2.0, rel=1e-12)


def test_every_point_is_held_out_once_in_blocks_of_time():
    p = rivals(0.0)["line"]
    masks = np.array([folds_of(p, k, 4)[0] for k in range(4)])
    assert np.array_equal(masks.sum(axis=0), np.ones(40)) and np.array_equal(masks.sum(axis=1), np.full(4, 10))
    assert np.all(np.diff(np.argmax(masks, axis=0)) >= 0)


def test_progress():
    told = []
    evidence(rivals(0.05), folds=2, starts=1, progress=lambda *n: told.append(n))
    assert list(dict.fromkeys(told)) == [(k, 6) for k in range(7)]  # in order; the same again while a search is on
