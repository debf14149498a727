"""The 95 % intervals of chi and of G hold the truth, for walkers without forces.

chi = phi_0 = n_0/(n_0 + n_s) exactly; G that of an ideal mixture of solvates, free solvent and a second solvent.
"""

import os

import numpy as np
import pytest
from activity_toys import CHARGES, NAMES, solvate_G, solvate_sums
from scipy.stats import binomtest

from mdcoeffs.activity import species_pairs
from mdcoeffs.activity.fluctuations import activity_from_sums
from mdcoeffs.activity.mixture import mixture_from_sums
from mdcoeffs.activity.waves import WaveSums, wave_vectors
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.structure.radial import RadialSums

IONS, SOLVENT, FRAMES, REPLICAS, EDGE = 20, 60, 300, 2, 2e-9


def walkers(rng, step):
    """chi of random walkers, `step` boxes between frames; the longest live (2 pi step)^-2 frames."""
    box = np.eye(3) * EDGE
    n = IONS + SOLVENT
    vectors = wave_vectors(box, np.pi / (EDGE / n ** (1 / 3)))
    edges = np.linspace(0, 0.49 * EDGE, 50)
    s, zero = np.arange(IONS), np.arange(IONS, n)
    species = (s[::2], s[1::2], zero)
    pairs, waves = [], []
    for _ in range(REPLICAS):
        pairs.append(RadialSums(species_pairs(species, centres=False), edges))
        waves.append(WaveSums(vectors, species, centres=False))
        x = rng.random((n, 3))
        for k in range(FRAMES):
            frame = Snapshot(k, float(k), x * EDGE * 1e10, box)
            pairs[-1].add(frame)
            waves[-1].add(frame)
            x = (x + rng.normal(0, step, (n, 3))) % 1
    return activity_from_sums(pairs, waves, T=300.0)


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.1, 0.04])
def test_coverage(step):
    """Measured, other seeds: 192 of 200 at step 0.1, 60 of 60 at 0.04."""
    rng = np.random.default_rng(7)
    systems, held, z = int(os.environ.get("CELLSIM_REPEATS", "40")), 0, []
    for _ in range(systems):
        found = walkers(rng, step)
        low, high = found.interval()
        held += low < 0.75 < high
        z.append(found.difference[0] / found.difference[1])
    assert binomtest(held, systems, 0.95, alternative="less").pvalue > 0.01 / 2
    assert np.std(z) < 1.3  # the routes agree within the error of their difference


@pytest.mark.slow
def test_coverage_of_G():
    """Every entry of G of two components, off-diagonal as large as diagonal.

    Measured, other seeds: 233, 234 and 232 of 240.
    """
    rng, molecules = np.random.default_rng(8), (15, 15, 40)
    exact, systems = solvate_G(*molecules), int(os.environ.get("CELLSIM_REPEATS", "10"))
    held, names = np.zeros((2, 2)), {"names": NAMES, "z": CHARGES, "cation": "M", "solvent": "B"}
    for _ in range(systems):
        pairs, waves = solvate_sums(rng, *molecules, frames=300, step=0.1)
        low, high = mixture_from_sums(pairs, waves, **names, T=300.0).interval()
        held += (low < exact) & (exact < high)
    for count in held[np.triu_indices(2)]:
        assert binomtest(int(count), systems, 0.95, alternative="less").pvalue > 0.01 / 3
