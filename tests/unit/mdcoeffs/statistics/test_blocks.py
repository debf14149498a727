"""Block averages: what they are for data that need no statistics to check."""

import itertools

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.statistics.blocks import LIMIT, BlockSums, average, jackknife


def test_independent_values_give_the_textbook_error():
    x = np.random.default_rng(0).normal(size=(400, 3))
    found = average([x])
    assert found.value == pytest.approx(x.mean(axis=0), rel=1e-12, abs=1e-15)
    # what neighbouring values happen to correlate is added: 0 to 10 % here
    ratio = found.error / (x.std(axis=0, ddof=1) / 20)
    assert np.all((ratio > 0.999) & (ratio < 1.11))
    assert found.blocks.tolist() == [400] * 3
    low, high = found[0].interval()
    assert high - low == pytest.approx(2 * 1.966 * found.error[0], rel=1e-3)  # t(399)


def test_constant_values_have_no_error_and_few_values_none_that_is_known():
    assert average([np.full((64, 2), 3.0)]).error.tolist() == [0.0, 0.0]
    short = average([np.arange(5.0)])
    assert np.isnan(short.error)
    assert not short.settled
    assert short.value == 2.0


def test_replicas_are_not_neighbours():
    """Six runs, each constant: the error is that of the six means, not of 6 x 64 values."""
    x = [np.full(64, v) for v in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    found = average(x)
    assert found.value == 3.5
    assert found.blocks == 6
    assert found.error == pytest.approx(np.std(range(6), ddof=1) / np.sqrt(6), rel=1e-12)


def test_block_sums_keep_everything_in_bounded_memory():
    x = np.random.default_rng(1).normal(size=(1000, 2))
    sums = BlockSums(2)
    for k, row in enumerate(x):
        sums.add(row)
        if k == 300:  # a checkpoint on the way changes nothing
            other = BlockSums(2)
            other.restore({name: array.copy() for name, array in sums.arrays().items()})
            sums = other
    assert sums.frames == 1000
    assert len(sums.sums) <= LIMIT
    assert sums.lengths.sum() == 1000
    edges = np.concatenate([[0], np.cumsum(sums.lengths)]).astype(int)
    wanted = np.array([x[a:b].sum(axis=0) for a, b in itertools.pairwise(edges)])
    assert sums.sums == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_jackknife_of_a_linear_function_is_the_average():
    x = np.random.default_rng(2).normal(size=(60, 2))
    plain, jack = average([x]), jackknife([np.c_[x, np.ones(60)]], lambda s: s[:2] / s[2])
    assert jack.value == pytest.approx(plain.value, rel=1e-12)
    assert jack.error == pytest.approx(plain.error, rel=1e-9)


def test_bad_input():
    with pytest.raises(InputError, match="no values to average"):
        average([])
    with pytest.raises(InputError, match="replicas to average differ in shape"):
        average([np.zeros((4, 2)), np.zeros((4, 3))])
    with pytest.raises(InputError, match="no values to average"):
        jackknife([np.zeros((0, 2))], np.sum)
