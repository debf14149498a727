"""Apparent coefficients over a lag: the closed form of walkers with a bounded motion, and the bands of estimates."""

import numpy as np
import pytest
from scipy.stats import binomtest

from cellsim.base import F
from cellsim.electrolyte.relations import band
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.judgement import SpectrumFit
from mdcoeffs.onsager.mixture import SpeciesResult, estimate_species
from mdcoeffs.onsager.running import mobility_over, running
from mdcoeffs.synthetic.walkers import Onset, bounded_motion, mixture_walk, walk

OMEGA, BOUND = 1e-10 * np.array([[1.0, 0.3], [0.3, 1.6]]), 1e-10 * np.array([[3.0, 0.0], [0.0, 0.6]])
DT, TAU = 1e-11, 5e-11


def exact(t):
    """Omega + B (1 - exp(-t/tau)) tau/t: free diffusion and an Ornstein-Uhlenbeck motion."""
    return OMEGA + BOUND * ((1 - np.exp(-t / TAU)) * TAU / t)[:, None, None]


def test_the_integral_over_the_spectrum_is_the_closed_form():
    # the spectrum itself, at the frequencies at which an estimate of 3000 steps has it
    f = np.concatenate([np.arange(1, 25), np.unique(np.geomspace(25, 3000, 36).astype(int))]) / 6002
    times = TAU / DT
    # increments of the bounded motion: B tau/dt times the spectrum of an Ornstein-Uhlenbeck motion of unit variance
    S = OMEGA + BOUND * times / 2 * bounded_motion(2 * np.pi * f, times)[:, None, None]
    fit = SpectrumFit(f / DT, S, np.ones(f.size), S[None], 1.0)
    steps = np.array([1, 2, 5, 20, 100, 700])
    # 0.4 % from the steps of 15 % in frequency
    assert mobility_over(fit, DT, steps)[0] == pytest.approx(exact(steps * DT), rel=8e-3)
    flat = SpectrumFit(f / DT, S, np.ones(f.size), np.broadcast_to(OMEGA, (1, f.size, 2, 2)), 1.0)
    assert mobility_over(flat, DT, steps)[0] == pytest.approx(np.broadcast_to(OMEGA, (6, 2, 2)), rel=1e-12)


def test_a_band_of_few_draws_holds_one_more_draw_as_often_as_it_says():
    # of n draws the k-th smallest lies above a share k/(n + 1) of the distribution, on average
    draws = np.arange(1, 201) / 201
    assert band(draws) == pytest.approx([0.025, 0.5, 0.975], rel=1e-12)
    assert np.ptp(np.quantile(draws, [0.025, 0.975])) == pytest.approx(0.9405, abs=1e-4)
    rng = np.random.default_rng(3)
    low, _, high = band(rng.normal(size=(200, 4000)))
    held = int(np.sum((low < (x := rng.normal(size=4000))) & (x < high)))
    assert binomtest(held, 4000, 0.95).pvalue > 0.01 > binomtest(held, 4000, 0.9405).pvalue


@pytest.mark.slow
def test_bands_hold_the_closed_form():
    # 6 runs: 0.97 of all lags, 0.92 at the longest
    steps = np.array([1, 4, 20, 100, 700])
    truth = exact(steps * DT)
    flow = truth @ np.array([1.0, -1.0])
    held = []
    for seed in range(3):
        e = estimate_onsager(walk(OMEGA, frames=1500, dt=DT, seed=seed, onset=Onset(TAU, BOUND)), seed=seed)
        over = running(e.spectrum, DT, steps, e.z)
        charge = flow[:, 0] - flow[:, 1]
        for draws, value in ((over.kappa, F**2 * charge), (over.t[..., 0], flow[:, 0] / charge)):
            low, high = np.quantile(draws, [0.0005, 0.9995], axis=0)
            held += [np.all((low < value) & (value < high))]
        assert over.t.sum(axis=2) == pytest.approx(1.0)
        assert np.median(over.kappa[:, -1]) == pytest.approx(e.kappa, rel=0.05)
    assert all(held)


def test_of_all_species():
    run = mixture_walk(
        OMEGA,
        frames=400,
        dt=DT,
        seed=4,
        volume=78e-27,
        z=(1, -1, 0),
        counts=(100, 100, 400),
        masses=(7, 145, 88),
        names=("Li", "PF6", "EC"),
    )
    data = SpeciesResult("walkers", estimate_species(run, frame="EC", n_samples=400)).dataset()
    t = data["t_running"]
    assert t.dims == ("quantile", "lag", "species") and float(np.abs(t.sel(species="EC")).max()) == 0.0
    low, middle, high = t.sel(species="Li").values
    assert low[-1] < 0.35 < high[-1]
    # of free walkers the displacements over one step are as good an estimate: 1200 of them, 4 %
    steps = np.diff(run.to_frame("solvent").R[:, :2], axis=0)
    C = np.einsum("tix,tjx->ij", steps, steps) @ [1, -1]
    assert middle[0] == pytest.approx(C[0] / (C[0] - C[1]), abs=0.04)
