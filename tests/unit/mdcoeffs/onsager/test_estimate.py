"""estimate_onsager: what it returns, what it warns of, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.judgement import local_exponent
from mdcoeffs.onsager.self_motion import self_diffusion
from mdcoeffs.statistics.correlate import self_msd
from mdcoeffs.synthetic.walkers import Onset, Solvent, particles, walk

OMEGA = np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10
DT = 1e-11


@pytest.fixture(scope="module")
def plain():
    return estimate_onsager(walk(OMEGA, frames=2001, dt=DT, seed=11))


def test_estimate_is_an_onsager_matrix_with_its_story(plain):
    assert isinstance(plain, OnsagerMatrix)
    assert plain.samples.shape == (4000, 2, 2)
    assert np.all(np.linalg.eigvalsh(plain.samples)[:, 0] > 0)
    assert plain.window == pytest.approx((DT, 2000 * DT))
    assert plain.relaxation_time == 0.0
    assert 400 < plain.n_origins < 2600  # 2000 independent steps, less what motions too weak to be seen may hide
    assert plain.frame == "solvent" and plain.nu == (1.0, 1.0)
    assert plain.c == pytest.approx(1000.0, rel=1e-12)
    low, high = plain.interval("t_plus", 0.95)
    assert low < plain.t_plus < high
    assert plain.warnings == ()


def test_same_input_same_answer(plain):
    again = estimate_onsager(walk(OMEGA, frames=2001, dt=DT, seed=11))
    assert np.array_equal(again.samples, plain.samples)


def test_covariance_is_that_of_the_samples(plain):
    want = np.cov(plain.samples[:, [0, 0, 1], [0, 1, 1]].T)
    np.testing.assert_allclose(plain.covariance, want, rtol=1e-12, atol=0.0)


def test_replicas_add_information():
    runs = [walk(OMEGA, frames=1001, dt=DT, seed=s) for s in range(4)]
    one, four = estimate_onsager(runs[:1]), estimate_onsager(runs)
    width = [np.subtract(*e.interval("Omega_pp")[::-1]) / e.Omega[0, 0] for e in (one, four)]
    assert 0.35 < width[1] / width[0] < 0.7  # 1/2 for a plain walk
    assert four.n_replicas == 4


def test_replicas_of_different_length_combine():
    runs = [walk(OMEGA, frames=n, dt=DT, seed=n) for n in (800, 1201)]
    both = estimate_onsager(runs)
    assert 400 < both.n_origins < 2700  # 1999 independent steps, less what motions too weak to be seen may hide
    low, high = both.interval("Omega_mm", 0.9999)
    assert low < OMEGA[1, 1] < high


def test_onset_moves_the_window_and_not_the_answer():
    own = 4 * np.diag(np.diag(OMEGA))
    run = walk(OMEGA, frames=8001, dt=DT, seed=5, onset=Onset(5 * DT, own))
    found = estimate_onsager(run)
    assert found.relaxation_time == pytest.approx(5 * DT, rel=0.3)
    # <dr^2> ~ t + t_0 with t_0 = 4 x 5 steps: linear to 10 % over a decade from 4 t_0 on
    assert found.window[0] == pytest.approx(4 * 20 * DT, rel=0.3)
    low, high = found.interval("Omega_pp", 0.999)
    assert low < OMEGA[0, 0] < high < 5 * OMEGA[0, 0]  # the short-time mobility is 5 times the true one
    # a user who takes the motion as diffusive from the first step on is told by the local exponent
    wrong = estimate_onsager(run, window=(DT, 8000 * DT))
    assert wrong.interval("Omega_pp", 0.999)[0] > OMEGA[0, 0]
    assert "local-exponent" in [w.name for w in wrong.warnings]


def test_given_window_is_used_and_exact():
    run = walk(OMEGA, frames=1001, dt=DT, seed=6)
    e = estimate_onsager(run, window=(10 * DT, 1000 * DT))
    assert e.window == (10 * DT, 1000 * DT)
    assert e.n_origins == pytest.approx(100, rel=0.2)
    assert "user" in e.criterion


@pytest.mark.parametrize("frame", ["solvent", "barycentric"])
def test_frame_of_the_estimate(frame):
    run = walk(OMEGA, frames=3001, dt=DT, seed=8, n_salt=40, solvents=Solvent(400, 44.0))
    e = estimate_onsager(run, frame=frame)
    assert e.frame == frame
    k = estimate_onsager(run, frame="solvent").kappa
    assert e.kappa == pytest.approx(k, rel=0.02)  # frame-invariant up to the sampling of the posterior


def test_few_origins_are_named():
    own = 8 * np.diag(np.diag(OMEGA))
    run = walk(OMEGA, frames=1501, dt=DT, seed=9, onset=Onset(20 * DT, own))
    doubts = {w.name: w.text for w in estimate_onsager(run).warnings}
    assert "times as much simulation" in doubts["few-origins"]


def test_a_slow_motion_is_named_with_what_to_do():
    own = 4 * np.diag(np.diag(OMEGA))
    e = estimate_onsager([walk(OMEGA, frames=3001, dt=DT, seed=k, onset=Onset(400 * DT, own)) for k in range(30, 34)])
    doubts = {w.name: w.text for w in e.warnings}
    assert "times longer" in doubts["slow-relaxation"]
    assert e.interval("Omega_pp")[0] < OMEGA[0, 0]  # five times as mobile at short times, and it knows
    assert e.length_for(0.05) > 20 * e.duration


def test_low_frequencies_that_contradict_the_model_are_named():
    # a drift is in no stationary process: its spectrum rises without end towards low frequencies
    run = walk(OMEGA, frames=4001, dt=DT, seed=4)
    drifting = replace(run, R=run.R + 20 * np.std(run.R) * np.linspace(0, 1, 4001)[:, None, None])
    assert estimate_onsager(run).spectrum.surprise > 0.01
    doubts = {w.name: w.text for w in estimate_onsager(drifting).warnings}
    assert "drifts" in doubts["low-frequencies"]


def test_advised_length_is_that_of_the_error():
    # the interval of a plain walk narrows with the square root of its length
    e = estimate_onsager(walk(OMEGA, frames=2001, dt=DT, seed=11))
    low, high = e.interval("kappa")
    relative = np.log(high / low) / (2 * 1.959964)
    assert e.length_for(relative) == pytest.approx(e.duration, rel=1e-9)
    assert e.length_for(relative / 2) == pytest.approx(4 * e.duration, rel=1e-9)


def test_a_run_too_short_for_its_relaxation_is_refused():
    # glassy: bounded motion 100 times as fast as the diffusion, relaxing in 10 frames, seen for 100 frames
    own = 100 * np.diag(np.diag(OMEGA))
    run = walk(OMEGA, frames=101, dt=DT, seed=9, onset=Onset(10 * DT, own))
    with pytest.raises(InputError, match="independent origins"):
        estimate_onsager(run)


def test_local_exponent_of_plain_and_ballistic_motion():
    run = walk(OMEGA, frames=20001, dt=DT, seed=10)
    beta = local_exponent(run)
    assert np.max(np.abs(beta.beta[:4, [0, 2]] - 1)) < 0.05
    fast = walk(OMEGA, frames=20001, dt=DT, seed=10, ballistic_time=50 * DT)
    assert np.all(local_exponent(fast).beta[0, [0, 2]] > 1.9)


def frozen(R, n=4):
    return CollectiveDisplacements(R, DT * np.arange(len(R)), 1e-26, 300.0, (1, -1), (n, n), "solvent")


@pytest.mark.parametrize(
    ("R", "options", "says"),
    [
        (np.cumsum(np.ones((7, 2, 3)), axis=0), {}, "7 frames"),
        (np.zeros((100, 2, 3)), {}, "does not move"),
        (np.repeat(np.random.default_rng(1).standard_normal((100, 1, 3)), 2, axis=1), {}, "species move together"),
        (np.random.default_rng(1).standard_normal((100, 2, 3)), {"window": (1.0, 2.0)}, "window"),
        (
            np.random.default_rng(1).standard_normal((100, 2, 3)),
            {"window": (98.5 * DT, 99 * DT)},
            "independent origins",
        ),
        (np.random.default_rng(1).standard_normal((100, 2, 3)), {"frame": "lab"}, "allowed are"),
        (np.random.default_rng(1).standard_normal((100, 2, 3)), {"frame": "barycentric"}, "solvent"),
        (np.random.default_rng(1).standard_normal((100, 2, 3)), {"prior_flat": 1.0}, "prior_flat"),
    ],
)
def test_refusals_are_one_sentence(R, options, says):
    with pytest.raises(InputError, match=says) as caught:
        estimate_onsager(frozen(R), **options)
    assert "\n" not in str(caught.value)


def test_replicas_must_be_of_one_system():
    runs = [walk(OMEGA, frames=101, dt=DT, seed=1), walk(OMEGA, frames=101, dt=2 * DT, seed=1)]
    with pytest.raises(InputError, match="dt"):
        estimate_onsager(runs)
    with pytest.raises(InputError, match="no replica"):
        estimate_onsager([])


def test_self_diffusion_of_known_particles():
    # 60 particles, 2000 steps: relative error sqrt(4 t/(9 N T)) = 0.6 % at t = T/200; asserted at four of them
    run = walk(OMEGA, frames=2001, dt=DT, seed=12, n_salt=60, c=1000.0)
    D = (9e-7, 1.3e-6)
    tracks = particles(run, D, seed=13)
    lags = np.arange(11)
    msd = np.stack([self_msd(tracks.positions[:, tracks.species == k], lags) for k in (0, 1)], axis=1)
    data = SelfMSD(lags * DT, msd, run.counts, duration=run.duration)
    found = self_diffusion(data, window=(DT, 10 * DT))
    assert np.all(np.abs(found.D - D) < 4 * found.standard_error)
    assert np.all(found.standard_error < 0.01 * found.D)
    assert np.all(np.abs(found.exponent - 1) < 0.02)
    with pytest.raises(InputError, match="two lags"):
        self_diffusion(data, window=(20 * DT, 30 * DT))
