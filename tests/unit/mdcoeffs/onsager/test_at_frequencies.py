"""Conductivity and transference number at a frequency against the exact spectrum of walkers with bounded motions."""

import numpy as np
import pytest

from cellsim.base import F
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.synthetic.walkers import Onset, walk

OMEGA, DT, TAU = 1e-10 * np.array([[1.0, 0.3], [0.3, 1.6]]), 1e-11, 8e-11
ADDED = np.array([[3e-10, 0.0], [0.0, 1e-10]])


def exact(frequency):
    """S(f) of the increments: Omega and what an Ornstein-Uhlenbeck motion of covariance ADDED tau/2 adds."""
    s2, rho = (2 * np.sin(np.pi * frequency * DT)) ** 2, np.exp(-DT / TAU)
    rise = 0.5 * TAU / DT * (1 - rho**2) * s2 / ((1 - rho) ** 2 + rho * s2)
    return OMEGA + ADDED * rise[:, None, None]


def test_the_posterior_of_the_spectrum_holds_the_exact_one():
    z, held = np.array([1.0, -1.0]), []
    for seed in range(3):
        run = walk(OMEGA, frames=2000, dt=DT, seed=seed, onset=Onset(TAU, ADDED))
        found = estimate_onsager(run, n_samples=500)
        kappa, t = found.spectrum.at_frequencies(found.z)
        S = exact(found.spectrum.frequency)
        for draws, truth in (
            (kappa, F**2 * np.einsum("i,kij,j->k", z, S, z)),
            (t, (S[:, 0] @ z) / np.einsum("i,kij,j->k", z, S, z)),
        ):
            low, high = np.quantile(draws, [0.025, 0.975], axis=0)
            held.append(np.mean((low <= truth) & (truth <= high)))
            # a band that holds all says nothing: where most amplitudes are, it is narrow
            assert np.median(((high - low) / truth)[truth.size // 2 :]) < 0.3
        assert np.median(kappa[:, 0]) == pytest.approx(found.kappa, rel=0.2)
    # frequencies of one run are right or wrong together: six curves, 95 % each
    assert np.mean(held) > 0.8
