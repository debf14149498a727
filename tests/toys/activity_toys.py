"""Mixtures of known thermodynamics for the tests of activity: molecules without forces that share their points."""

import numpy as np

from mdcoeffs.activity import species_pairs
from mdcoeffs.activity.waves import WaveSums, wave_vectors
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.structure.radial import RadialSums

EDGE = 2e-9
NAMES, CHARGES = ("M", "X", "A", "B"), (1.0, -1.0, 0.0, 0.0)


def solvate_counts(salts, free, others):
    """Points of M, X, A, B where every ion pair carries one A: an ideal mixture of MX.A, free A and B."""
    return salts, salts, salts + free, others


def solvate_G(salts, free, others):
    """G of X and A per B: that of the ideal mixture of solvates and free A, counted by what they are made of.

    With s = MX.A and f = free A, mu_X = mu_s - mu_f, r_s = r_X, r_f = r_A - r_X, and G of the molecules is
    delta/r - 1/(1 + r_s + r_f).
    """
    r = np.array([salts, free]) / others
    molecules = np.diag(1 / r) - 1 / (1 + r.sum())
    turn = np.array([[1.0, 0.0], [-1.0, 1.0]])
    return turn.T @ molecules @ turn


def solvate_sums(rng, salts, free, others, *, frames, step, replicas=2, bins=50):
    """Pairs and waves of random walkers of these molecules, `step` boxes between frames."""
    box = np.eye(3) * EDGE
    molecules = salts + free + others
    place = np.r_[np.arange(salts), np.arange(salts), np.arange(salts + free), np.arange(salts + free, molecules)]
    counts = solvate_counts(salts, free, others)
    groups = np.split(np.arange(place.size), np.cumsum(counts)[:-1])
    vectors = wave_vectors(box, np.pi / (EDGE / molecules ** (1 / 3)))
    edges = np.linspace(0, 0.49 * EDGE, bins)
    pairs, waves = [], []
    for _ in range(replicas):
        pairs.append(RadialSums(species_pairs(groups, centres=False), edges))
        waves.append(WaveSums(vectors, groups, centres=False))
        x = rng.random((molecules, 3))
        for k in range(frames):
            frame = Snapshot(k, float(k), x[place] * EDGE * 1e10, box)
            pairs[-1].add(frame)
            waves[-1].add(frame)
            x = (x + rng.normal(0, step, x.shape)) % 1
    return pairs, waves
