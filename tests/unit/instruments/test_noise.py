"""Whitening, draws and subsets of correlated and shared errors, against the dense covariance."""

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.noise import Noise, SharedError, independent

GROUP = np.repeat([0, 1, 2], [5, 7, 4])
X = np.concatenate([np.linspace(0, 1e-3, n) for n in (5, 7, 4)])
PLACES = np.concatenate([np.arange(n) for n in (5, 7, 4)])
SIGMA = np.random.default_rng(5).uniform(0.5, 2.0, GROUP.size)
COLUMNS = np.column_stack([np.ones(GROUP.size), np.sin(1e4 * X), (GROUP == 1).astype(float)])
SHARED = tuple(SharedError(column * SIGMA, np.zeros(GROUP.size, dtype=int)) for column in COLUMNS.T)


def noises():
    return {
        "independent": independent(SIGMA),
        "correlated": Noise(SIGMA, GROUP, X, 2e-4),
        "shared": Noise(SIGMA, GROUP, shared=SHARED),
        "all": Noise(SIGMA, GROUP, X, 2e-4, SHARED),
        "stated": Noise(SIGMA, GROUP, shared=(SharedError(0.6 * SIGMA, PLACES, stated=True),)),
    }


def dense(noise):
    R = np.eye(noise.size)
    if noise.length:
        R = np.exp(-np.abs(noise.position[:, None] - noise.position) / noise.length)
        R *= noise.group[:, None] == noise.group
    own, C = noise.sigma**2, np.zeros_like(R)
    for error in noise.shared:
        together = error.member[:, None] == error.member
        C += np.outer(error.amplitude, error.amplitude) * together
        own = own - error.amplitude**2 * error.stated
    return R * np.sqrt(np.outer(own, own)) + C


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
        (lambda: independent([1.0, -1.0]), "standard errors must be positive and finite"),
        (lambda: independent([1.0, 0.0]).own, "standard errors must be positive and finite"),
        (lambda: Noise(None, np.zeros(2, dtype=int)).own, "standard errors must be positive and finite"),
        (lambda: independent([1.0, np.nan]), "standard errors must be positive and finite"),
        (lambda: Noise(np.ones(3), np.array([0, 1, 0])), "the points of a profile must follow one another"),
        (lambda: Noise(np.ones(3), np.zeros(2, dtype=int)), "every point needs the profile it belongs to and its"),
        (lambda: Noise(np.ones(3), np.zeros(3, dtype=int), length=1e-4), "a correlation length needs positions"),
    ],
)
def test_bad_noise(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def test_what_stated_errors_hold_in_common_goes_with_them():
    noise = noises()["stated"]
    assert noise.own == pytest.approx(0.8 * SIGMA, rel=1e-12)
    assert np.diag(noise.covariance) == pytest.approx(SIGMA**2, rel=1e-12)
    other = noise.with_errors(2 * SIGMA)
    assert np.allclose(other.covariance, np.diag(4 * SIGMA**2), rtol=1e-13, atol=0)
    path = Noise(SIGMA, GROUP, shared=(SHARED[0],))
    assert path.with_errors(SIGMA).shared == path.shared


def test_an_error_that_is_all_in_common_leaves_a_tenth_of_its_own():
    noise = Noise(SIGMA, GROUP, shared=(SharedError(SIGMA, PLACES, stated=True),))
    assert noise.own == pytest.approx(0.1 * SIGMA, rel=1e-12)


@pytest.mark.parametrize("length", [0.0, 2e-5])
def test_log_determinant_and_whitening_with_a_pattern_that_many_profiles_share(length):
    """12 profiles of 9 pixels, a pattern and two more errors in common."""
    t, k = 12, 9
    generator = np.random.default_rng(3)
    others = generator.standard_normal((2, t * k))
    sigma, pixel = generator.uniform(0.5, 2.0, t * k), np.tile(np.arange(k), t)
    shared = (
        SharedError(1.5 * sigma, pixel),
        *(SharedError(sigma * column, np.zeros(t * k, dtype=int)) for column in others),
    )
    noise = Noise(sigma, np.repeat(np.arange(t), k), pixel * 1e-5, length, shared)
    C, r = noise.covariance, np.random.default_rng(4).standard_normal(t * k)
    assert noise.log_determinant == pytest.approx(np.linalg.slogdet(C)[1], rel=1e-8)
    w = noise.whiten(r)
    assert w @ w == pytest.approx(r @ np.linalg.solve(C, r), rel=1e-7)
