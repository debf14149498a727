"""Properties of the Onsager matrix and its estimator over random systems."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellsim.base import InputError
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.synthetic.walkers import walk

SALT = st.sampled_from([((1, -1), (1, 1)), ((2, -1), (1, 2)), ((1, -20), (20, 1)), ((1, -3), (3, 1))])
POSITIVE = st.floats(0.05, 20.0)
CORRELATION = st.floats(-0.95, 0.95)


def matrix(a, b, r):
    return np.array([[a, r * np.sqrt(a * b)], [r * np.sqrt(a * b), b]]) * 1e-10


def answer(run):
    """The matrix, or NaN where a short run is refused: that must not depend on units or orientation either."""
    try:
        return estimate_onsager(run).Omega
    except InputError:
        return np.full((2, 2), np.nan)


def same(a, b):
    return np.allclose(a, b, rtol=1e-6, atol=0.0, equal_nan=True)


@given(SALT, POSITIVE, POSITIVE, CORRELATION)
@settings(max_examples=60, deadline=None)
def test_current_fraction_lies_between_zero_and_one(salt, a, b, r):
    m = OnsagerMatrix(matrix(a, b, r), *salt, 500.0, 350.0, "solvent")
    assert 0 < m.rho_plus <= 1 + 1e-12
    assert m.kappa > 0
    assert m.diffusion(1.0) > 0
    assert abs(m.t_plus + m.t_minus - 1) < 1e-9 * max(1.0, abs(m.t_plus))


@given(SALT, POSITIVE, POSITIVE, CORRELATION, st.floats(0.05, 0.9), st.floats(200.0, 2000.0))
@settings(max_examples=60, deadline=None)
def test_frame_round_trip(salt, a, b, r, filled, density):
    z, nu = salt
    c = 500.0
    mix = Composition((0.007, 0.28), density, (0.0, filled / (c * nu[1])))
    m = OnsagerMatrix(matrix(a, b, r), z, nu, c, 350.0, "solvent", composition=mix)
    back = m.to_frame("barycentric").to_frame("volume").to_frame("solvent")
    # relative to the largest element reached on the way; conditioning of A is at most (1 + c M/rho)/phi_0 ~ 1e3
    scale = max(np.max(np.abs(m.Omega)), np.max(np.abs(m.to_frame("barycentric").Omega)))
    assert np.max(np.abs(back.Omega - m.Omega)) < 1e-8 * scale


@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.floats(0.1, 10.0))
@settings(max_examples=8, deadline=None)
def test_estimate_scales_with_length_and_time(seed, stretch, slow):
    # x -> stretch x, t -> slow t turns Omega into Omega stretch^2/slow, window and all, to round-off
    run = walk(matrix(1.0, 1.6, 0.3), frames=301, dt=1e-12, seed=seed)
    other = CollectiveDisplacements(
        stretch * run.R, slow * run.time, run.volume, run.temperature, run.z, run.counts, run.frame
    )
    assert same(answer(other), answer(run) * stretch**2 / slow)


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_estimate_does_not_see_rotations_mirrors_or_time_reversal(seed):
    run = walk(matrix(1.0, 1.6, 0.3), frames=301, dt=1e-12, seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    want = answer(run)
    for R in (run.R @ turn, -run.R, run.R[::-1] - run.R[-1:]):
        other = CollectiveDisplacements(R, run.time, run.volume, run.temperature, run.z, run.counts, run.frame)
        assert same(answer(other), want)
