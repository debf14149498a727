"""In a fluctuating box the diffusion coefficient survives unwrapping; by image count it would not."""

import numpy as np

from mdcoeffs.frames.molecules import Molecules
from mdcoeffs.frames.unwrap import Track, advance


def test_fluctuating_box_keeps_the_diffusion_coefficient():
    # 400 walkers, D known, box breathing by 1 % (uncorrelated in time: the worst case), all coordinates rescaled with
    # the box about its centre, as a barostat does. Each has travelled ~10 boxes at the end.
    rng = np.random.default_rng(20200713)
    walkers, frames, mean, step = 400, 4000, 10.0, 0.8
    lengths = mean * (1 + 0.01 * rng.normal(size=frames))
    moves = step * rng.normal(size=(frames, walkers, 3))
    place = rng.uniform(-0.5, 0.5, size=(walkers, 3)) * lengths[0]
    crossings = np.zeros((walkers, 3))
    who = Molecules.particles(np.zeros(walkers, dtype=np.int64), np.ones(1))
    track = Track.empty(who)
    tor = np.zeros((frames, walkers, 3))
    lattice = np.zeros_like(tor)
    for t in range(frames):
        if t:
            place = place * lengths[t] / lengths[t - 1] + moves[t]
            jumps = np.floor(place / lengths[t] + 0.5)
            place -= jumps * lengths[t]
            crossings += jumps
        advance(who, track, place + 0.5 * lengths[t], np.eye(3) * lengths[t], start=t == 0)
        tor[t] = track.displacement
        lattice[t] = place + crossings * lengths[t]

    def slope(path, lag):
        return float(np.mean((path[lag:] - path[:-lag]) ** 2)) / lag

    late = frames // 2
    # The breathing moves a walker by w dL/L per frame, bounded: it adds 2 (0.01)^2 <w^2> = 0.0017 to one step of
    # 0.64, and nothing at long lags. Statistics: 400 x 3 paths of ~40 independent stretches each at lag 100, ~1 %.
    assert abs(slope(tor, 100) / step**2 - 1) < 0.02  # measured: 0.006
    # By image count every fluctuation is multiplied by the boxes travelled: n^2 L^2 2 (0.01)^2 at every lag.
    assert slope(lattice[late:], 1) / step**2 > 1.3  # measured: 1.6
    assert abs(slope(tor[late:], 1) / step**2 - 1) < 0.01  # measured: 0.002
