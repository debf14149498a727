"""Correlators against the naive loop, to 1e-10 relative."""

import tracemalloc

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.statistics.correlate import SelfSums, collective_msd, log_lags, self_msd, self_sums


def naive_collective(R):
    frames, species, _ = R.shape
    out = np.zeros((frames, species, species))
    for lag in range(frames):
        for i in range(species):
            for j in range(species):
                out[lag, i, j] = np.mean(
                    np.sum((R[lag:, i] - R[: frames - lag, i]) * (R[lag:, j] - R[: frames - lag, j]), axis=1)
                )
    return out


def naive_self(x):
    frames = x.shape[0]
    return np.array([np.mean(np.sum((x[lag:] - x[: frames - lag]) ** 2, axis=2)) for lag in range(frames)])


def correlated_walk(frames, species, seed=1, drift=0.0):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((species, species))
    steps = np.einsum("ij,tjx->tix", root, rng.standard_normal((frames, species, 3)))
    return np.cumsum(steps + drift, axis=0) * 1e-10


@pytest.mark.parametrize(("frames", "species"), [(2, 1), (17, 2), (64, 3), (601, 3)])
def test_collective_equals_naive_loop(frames, species):
    R = correlated_walk(frames, species)
    C = collective_msd(R)
    want = naive_collective(R)
    # relative to sqrt(C_ii C_jj): a cross-correlation may pass through zero; measured 3e-13 at 601 frames
    scale = np.sqrt(np.einsum("tii,tjj->tij", want, want))
    assert np.all(np.abs(C - want) <= 1e-10 * scale)
    assert np.array_equal(C, np.swapaxes(C, 1, 2))


def test_collective_with_drift_far_from_the_origin():
    R = correlated_walk(500, 2, drift=0.5) + 1e-6
    want = naive_collective(R)
    scale = np.sqrt(np.einsum("tii,tjj->tij", want, want))
    assert np.all(np.abs(collective_msd(R) - want) <= 1e-10 * scale)


def test_few_lags_and_all_lags_agree():
    R = correlated_walk(3000, 2)
    lags = log_lags(3000, per_decade=8)
    few, every = collective_msd(R, lags), collective_msd(R)[lags]
    scale = np.sqrt(np.einsum("tii,tjj->tij", few, few))
    assert np.all(np.abs(few - every) <= 1e-10 * scale)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize(("frames", "particles"), [(2, 1), (3, 2), (64, 5), (301, 7)])
def test_self_equals_naive_loop(dtype, frames, particles):
    walk = 1e3 * np.cumsum(np.random.default_rng(2).standard_normal((frames, particles, 3)), axis=0)
    x = walk.astype(dtype)
    got, want = self_msd(x), naive_self(x.astype(np.float64))
    assert got[0] == 0.0
    np.testing.assert_allclose(got[1:], want[1:], rtol=1e-12, atol=0.0)
    by_particle = np.ascontiguousarray(x.transpose(1, 0, 2))  # as paths that are read back lie in memory
    np.testing.assert_array_equal(self_msd(by_particle.transpose(1, 0, 2)), got)


def test_a_long_walk_keeps_its_first_lags_and_needs_little_memory():
    """The squares of a path of 10 000 steps are 10 000 times those of one, and so is their rounding."""
    x = np.cumsum(np.random.default_rng(5).standard_normal((10_000, 21, 3)), axis=0)
    self_msd(x[:10])  # compiled
    tracemalloc.start()
    msd = self_msd(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * x.nbytes + 4e6
    for lag in (1, 2, 30, 5000, 9990):
        step = x[lag:] - x[:-lag]
        want = np.einsum("tpx,tpx->t", step, step).sum() / (len(step) * 21)
        assert msd[lag] == pytest.approx(want, rel=2e-12)


def test_blocks_add_up():
    x = np.cumsum(np.random.default_rng(3).standard_normal((50, 5, 3)), axis=0)
    sums = SelfSums.zero(50) + self_sums(x[:, :2]) + self_sums(x[:, 2:])
    np.testing.assert_allclose(sums.msd()[1:], naive_self(x)[1:], rtol=1e-12, atol=0.0)
    assert sums.particles == 5


def test_log_lags_are_increasing_and_end_where_asked():
    lags = log_lags(1000, per_decade=10)
    assert lags[0] == 0
    assert lags[1] == 1
    assert lags[-1] == 999
    assert np.all(np.diff(lags) > 0)
    assert log_lags(1000, longest=100)[-1] == 100
    assert list(log_lags(2)) == [0, 1]


def test_bad_shapes_and_lags():
    with pytest.raises(InputError, match="lags must lie"):
        collective_msd(np.zeros((5, 1, 3)), [5])
    with pytest.raises(InputError, match="shape"):
        collective_msd(np.zeros((5, 3)))
    with pytest.raises(InputError, match="shape"):
        self_msd(np.zeros((5, 3)))
    with pytest.raises(InputError, match="longest"):
        log_lags(10, longest=10)
    with pytest.raises(InputError, match="no particle"):
        SelfSums.zero(5).msd()
