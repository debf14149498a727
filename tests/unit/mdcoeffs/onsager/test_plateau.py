"""The parts of the estimator: amplitudes that are independent, a flat plateau that is exact."""

import numpy as np
import pytest
from scipy.stats import kstest

from mdcoeffs.onsager.plateau import BIN_RATIO, EXACT_BINS, current_spectrum, flat_plateau, relaxing_plateau
from mdcoeffs.synthetic.walkers import Onset, walk

OMEGA = np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10
DT = 1e-11


def test_spectrum_of_a_plain_walk_is_flat_and_right():
    runs = [walk(OMEGA, frames=4001, dt=DT, seed=s) for s in range(3)]
    spectrum = current_spectrum(runs)
    assert spectrum.dof.sum() == 3 * 3 * 4000
    mean = spectrum.W.sum(axis=0) / spectrum.dof.sum()
    assert np.max(np.abs(mean / OMEGA - 1)) < 0.05  # standard error 0.7 % on the diagonal, 1.9 % off it
    high = spectrum.s > 1.0
    top = spectrum.W[high].sum(axis=0) / spectrum.dof[high].sum()
    assert np.max(np.abs(np.diag(top) / np.diag(OMEGA) - 1)) < 0.05


def test_energy_is_kept():
    # the sine transform is orthonormal: the amplitudes' squares add up to those of the steps
    run = walk(OMEGA, frames=500, dt=DT, seed=1)
    total = current_spectrum([run]).W.sum(axis=0)
    steps = np.diff(run.R, axis=0)
    direct = np.einsum("tix,tjx->ij", steps, steps)
    assert np.max(np.abs(total / total[0, 0] - direct / direct[0, 0])) < 1e-12


def test_spectrum_of_an_onset_follows_the_closed_form():
    # Omega + extra * tau (1 - rho^2)/2 s^2 / ((1 - rho)^2 + rho s^2), tau in steps: increments of an AR(1) motion
    extra, tau = 4e-10, 8.0
    runs = [walk(OMEGA, frames=20001, dt=DT, seed=s, onset=Onset(tau * DT, extra * np.eye(2))) for s in range(2)]
    spectrum = current_spectrum(runs)
    rho = np.exp(-1 / tau)
    want = 1e-10 + extra * tau * (1 - rho**2) / 2 * spectrum.s**2 / ((1 - rho) ** 2 + rho * spectrum.s**2)
    ratio = spectrum.W[:, 0, 0] / want
    # each bin is chi-squared: standardised residuals, 90 of them
    z = (ratio - spectrum.dof) / np.sqrt(2 * spectrum.dof)
    assert abs(np.sum(ratio) / np.sum(spectrum.dof) - 1) < 4 * np.sqrt(2 / spectrum.dof.sum())
    assert np.std(z) == pytest.approx(1.0, abs=0.3)


def test_bins_start_one_by_one_and_lose_nothing():
    spectrum = current_spectrum([walk(OMEGA, frames=3001, dt=DT, seed=2)])
    assert np.all(spectrum.dof[:EXACT_BINS] == 3)
    assert spectrum.dof.sum() == 9000
    assert np.all(np.diff(spectrum.s) > 0)
    assert np.max(spectrum.s[EXACT_BINS + 1 :] / spectrum.s[EXACT_BINS:-1]) < BIN_RATIO * 1.05


def test_flat_plateau_is_exact_for_a_diagonal_element():
    # the posterior probability of the truth is uniform over repeats, at 12 amplitudes already
    rng = np.random.default_rng(3)
    rank = []
    for _ in range(400):
        v = np.linalg.cholesky(OMEGA) @ rng.standard_normal((2, 12))
        samples = flat_plateau(v @ v.T, 12, 400, rng).samples
        rank.append(np.mean(samples[:, 0, 0] < OMEGA[0, 0]))
    assert kstest(rank, "uniform").pvalue > 0.001
    assert kstest(np.asarray(rank) * 0.9, "uniform").pvalue < 0.001  # the test would see a tenth of a difference


def test_relaxing_plateau_sees_an_onset_and_its_samples_are_positive_definite():
    run = walk(OMEGA, frames=4001, dt=DT, seed=4, onset=Onset(6 * DT, 5 * np.diag(np.diag(OMEGA))))
    plateau = relaxing_plateau(current_spectrum([run]), 2000, np.random.default_rng(5))
    assert np.median(plateau.relaxation) > 6
    assert np.all(np.linalg.eigvalsh(plateau.samples)[:, 0] > 0)
    assert plateau.effective_size > 400
    assert np.median(plateau.samples[:, 0, 0]) < 2.5 * OMEGA[0, 0]  # six times at short times


def test_replicas_of_equal_and_unequal_length_give_the_same_total():
    runs = [walk(OMEGA, frames=n, dt=DT, seed=n) for n in (300, 300, 401)]
    apart = sum(current_spectrum([run]).W.sum(axis=0) for run in runs)
    together = current_spectrum(runs)
    assert np.max(np.abs(together.W.sum(axis=0) / apart - 1)) < 1e-12
    assert together.dof.sum() == 3 * (299 + 299 + 400)
    assert np.all(np.diff(together.s) >= 0)
