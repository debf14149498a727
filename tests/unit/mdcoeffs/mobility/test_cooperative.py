"""Jumps of neighbours: independent Poisson processes and processes with a shared part, in closed form."""

import math

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.mobility.cooperative import SIZES, Coincidences, cooperation, neighbours_of
from mdcoeffs.synthetic.jumps import shared_jumps


def ring(rng, ions, frames, rate, shared=0.0):
    """Poisson jumps; every ion shares a process with each of its two neighbours, two frames or less apart."""
    made = shared_jumps(rate, shared, particles=ions, frames=frames, rng=rng)
    return Coincidences(*made, ions, 0, frames)


def of(run, window=4, seed=0, dt=1e-12):
    return cooperation([run], window=window, dt=dt, rng=np.random.default_rng(seed))


def test_independent_jumps_are_those_of_chance():
    rate, window, deviations, shares = 0.004, 4, [], []
    for seed in range(12):
        found = of(ring(np.random.default_rng([1, seed]), 20, 4000, rate), window)
        value, low, high = found.ratio
        assert low < value < high and found.chance > 1 / 300
        deviations.append(found.log_ratio.value / found.log_ratio.error)
        shares.append((found.share, found.by_chance))
    # 1 - exp(-2 lambda (2 w + dt)) of two neighbours, 0.0695; measured 0.0635 and 0.0698
    want = 1 - math.exp(-2 * rate * (2 * window + 1))
    share, by_chance = np.mean(shares, axis=0)
    assert by_chance == pytest.approx(want, rel=0.02)
    assert share == pytest.approx(want, rel=0.27)  # 129 coincidences of two jumps: three errors
    assert abs(np.mean(deviations)) < 0.9 and np.std(deviations) < 2  # of 12: 0.29 and 1 +- 0.2


def test_a_shared_process_has_its_ratio():
    rate, shared, window = 0.004, 0.0006, 4
    truth = 1 + shared / (rate**2 * (2 * window + 1))  # 5.17
    runs = [ring(np.random.default_rng([2, seed]), 20, 4000, rate, shared) for seed in range(3)]
    one, three = of(runs[0]), cooperation(runs, window=window, rng=np.random.default_rng(0))
    assert three.together and three.chance == pytest.approx(1 / 300)
    assert abs(math.log(three.ratio[0] / truth)) < 3 * three.log_ratio.error
    assert three.log_ratio.error == pytest.approx(one.log_ratio.error / math.sqrt(3), rel=0.5)
    # within two frames of one another, and nowhere else
    near = np.abs(one.delay) < 2.5e-12
    assert one.correlation[near].min() > 4 and one.correlation[~near].max() < 3
    assert three.sizes.sum() == pytest.approx(1) and three.sizes_by_chance.sum() == pytest.approx(1)
    assert three.sizes[0] == pytest.approx(1 - three.share, abs=0.01) and three.sizes[1] > 2 * three.sizes_by_chance[1]


def test_chance_is_counted_frame_by_frame():
    """Two ions: what lies within the window of a jump of the other, by hand; shifts by every frame, exactly."""
    frames, window = 200, 3
    cation, frame = np.array([0, 0, 1, 1, 1]), np.array([60, 100, 70, 72, 150])
    run = Coincidences(cation, frame, np.arange(5), 1 - cation, 2, 0, frames)
    import mdcoeffs.mobility.cooperative as module

    asked = module._Run(run, 5 * window)
    covered = [np.unique(np.concatenate([np.arange(t - 3, t + 4) for t in frame[cation == k]])).size for k in (0, 1)]
    np.testing.assert_allclose(asked.covered(window), np.array(covered) / frames, rtol=1e-12)
    hits = np.zeros(2)
    for shift in range(frames):
        pair, other, delay = asked.links(window, np.array([shift, 0]))
        assert np.abs(delay).max(initial=0) <= window
        for k in (0, 1):
            of_k = cation[asked.centre[pair]] == k
            assert np.all(cation[other[of_k]] == 1 - k)
            hits[k] += of_k.sum()
    # every jump of the one meets every jump of the other in 2 w + 1 of all shifts
    assert hits.tolist() == [2 * 3 * 7, 2 * 3 * 7]


def test_few_coincidences_are_counted():
    frame = np.array([100, 300, 500, 700, 101, 401, 601, 801, 201, 901])
    run = Coincidences(np.repeat([0, 1], [4, 6]), frame, np.arange(10), np.repeat([1, 0], [4, 6]), 2, 0, 1000)
    found = of(run, window=2)
    value, low, high = found.ratio
    assert found.coincidences == 2 and low < value < high
    # one coincidence of two jumps: Jeffreys' interval of a count of one, 0.108 to 4.67
    assert [low, high] == pytest.approx([2 * 0.10790 / found.expected, 2 * 4.67416 / found.expected], rel=1e-4)
    none = of(Coincidences(run.cation, frame + 10 * run.cation, run.centre, run.neighbour, 2, 0, 1000), window=2)
    assert none.coincidences == 0 and none.ratio[:2] == (0.0, 0.0) and none.ratio[2] > 1
    assert none.sizes.tolist() == [1, 0, 0, 0, 0] and len(none.sizes) == SIZES
    assert of(Coincidences(run.cation[:5], frame[:5], run.centre[:5], run.neighbour[:5], 2, 0, 1000), window=2) is None
    with pytest.raises(InputError, match="a window of 60 frames needs a run of 1200 frames"):
        of(run, window=60)


def test_neighbours_across_the_box():
    centres = np.array([[[0.5, 0, 0], [9.5, 0, 0], [5, 0, 0]]])
    box = 10 * np.eye(3)[None]
    found = neighbours_of([[0.5, 0, 0]], np.array([0]), centres, box, cutoff=2.0)
    assert [each.tolist() for each in found] == [[0], [1]]
    assert neighbours_of([[0.5, 0, 0]], np.array([0]), centres, None, cutoff=2.0)[0].size == 0
