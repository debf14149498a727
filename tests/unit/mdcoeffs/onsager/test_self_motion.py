"""Self-diffusion from single particles' spectra: sums against definitions, known diffusion, shared motion."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.onsager.self_motion import SelfPower, moving_together, self_plateau, self_power, self_spectrum

D, DT = 2e-10, 1e-12


def paths(particles, frames, rng, *, cage=0.0, time=5.0):
    """Walks of known D on top of a motion in a cage of variance cage x 2 D dt time, that relaxes in `time` steps."""
    X = np.zeros((particles, frames, 3))
    X[:, 1:] = np.cumsum(np.sqrt(2 * D * DT) * rng.standard_normal((particles, frames - 1, 3)), axis=1)
    a = np.exp(-1 / time)
    inside = rng.standard_normal((particles, frames, 3))
    for k in range(1, frames):
        inside[:, k] = a * inside[:, k - 1] + np.sqrt(1 - a * a) * inside[:, k]
    X += np.sqrt(cage * 2 * D * DT * time) * inside
    return X - X[:, :1]


def test_amplitudes_are_the_sine_sums_and_blocks_add_up():
    X = paths(5, 12, np.random.default_rng(1))
    steps, n = np.diff(X, axis=1), 11
    sines = np.sqrt(2 / (n + 1)) * np.sin(np.pi * np.outer(np.arange(1, n + 1), np.arange(1, n + 1)) / (n + 1))
    each = np.sum(np.einsum("kj,pjx->pkx", sines, steps) ** 2, axis=2)
    found = self_power(X)
    assert found.power == pytest.approx(each.sum(axis=0), rel=1e-12)
    assert found.squares == pytest.approx((each**2).sum(axis=0), rel=1e-12)
    parts = SelfPower.zero(12) + self_power(X[:2]) + self_power(X[2:])
    assert parts.power == pytest.approx(found.power, rel=1e-12)
    assert parts.particles == 5


def test_free_particles_are_worth_three_amplitudes_each_and_copies_of_one_only_three():
    rng = np.random.default_rng(2)
    X = paths(200, 101, rng)
    free = self_spectrum([self_power(X)], DT)
    assert free.dof.sum() == pytest.approx(3 * 200 * 100, rel=0.05)
    assert free.W[:, 0, 0].sum() / free.dof.sum() == pytest.approx(D, rel=4 * np.sqrt(2 / 60_000))
    one = paths(1, 101, rng)
    copies = np.repeat(one, 20, axis=0)
    together = moving_together([copies.sum(axis=0)], [self_power(copies)])
    assert together == pytest.approx(19.0)
    assert self_spectrum([self_power(copies)], DT, together=together).dof.sum() == pytest.approx(300, rel=1e-6)


@pytest.mark.parametrize("cage", [0.0, 2.0])
def test_the_diffusion_of_walkers_is_held_caged_or_not(cage):
    held, deviations = 0, []
    for seed in range(12):
        rng = np.random.default_rng([7, seed])
        runs = [self_power(paths(30, 400, rng, cage=cage)) for _ in range(2)]
        samples = self_plateau([runs], DT, together=[0.0], n_samples=600, seed=seed)[:, 0]
        low, high = np.quantile(samples, [0.025, 0.975])
        held += low < D < high
        deviations.append(np.median(samples) / D - 1)
    assert held >= 9  # of 12 at 95 %: fewer once in 10 000 times
    assert abs(np.mean(deviations)) < 0.05


def test_particles_that_stand_still_are_refused():
    with pytest.raises(InputError, match="does not move"):
        self_plateau([[self_power(np.zeros((3, 60, 3)))]], DT, together=[0.0])
