"""The parts of the estimator: amplitudes that are independent, a flat plateau that is exact."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2, kstest, wishart

from mdcoeffs.onsager import relaxation
from mdcoeffs.onsager.plateau import (
    Beliefs,
    flat_plateau,
    relaxing_plateau,
)
from mdcoeffs.onsager.spectrum import BIN_RATIO, EXACT_BINS, current_spectrum
from mdcoeffs.synthetic.walkers import Onset, bounded_motion, stretched_motion, walk, walk_of_spectrum
from mdcoeffs.synthetic.walkers import inertia as inertia_factor

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


def test_coarsening_widens_the_size_and_the_ratios_that_rest_on_a_bounded_motion_each_by_its_power():
    plain = current_spectrum([walk(OMEGA, frames=801, dt=DT, seed=6)])
    slow = current_spectrum([walk(OMEGA, frames=801, dt=DT, seed=6, onset=Onset(4 * DT, 3 * OMEGA))])
    none, size, rest = (1.0, 1.0), (0.75, 1.0), (1.0, 0.75)
    width = {}
    for coarse in (none, size, rest):
        for name, spectrum, flat, motions in (("plain", plain, 1.0, 0), ("slow", slow, 0.0, 1)):
            beliefs = Beliefs(flat=flat, motions=motions, further=1e-9, trust=((math.inf, 1.0),), coarse=coarse)
            samples = relaxing_plateau(spectrum, 4000, np.random.default_rng(7), beliefs=beliefs).samples
            parts = {"size": np.linalg.slogdet(samples)[1], "ratio": np.log(samples[:, 0, 0] / samples[:, 1, 1])}
            for part, values in parts.items():
                width[name, part, coarse] = np.ptp(np.quantile(values, [0.16, 0.84]))
    assert width["plain", "size", size] == width["plain", "size", none]
    wider = {key: width["slow", *key] / width["slow", key[0], none] for key in product(("size", "ratio"), (size, rest))}
    assert wider["size", size] == pytest.approx(0.75**-0.5, abs=0.06)
    assert wider["ratio", rest] == pytest.approx(0.75**-0.5, abs=0.06)
    assert wider["ratio", size] == pytest.approx(1.0, abs=0.06)
    assert wider["size", rest] == pytest.approx(1.0, abs=0.06)


def ratio_of_the_ions(extra, alike, frames=2001):
    """Quantiles of ln Omega_++/Omega_-- less that of the truth, of a walk whose onset adds `extra`."""
    spectrum = current_spectrum([walk(OMEGA, frames=frames, dt=DT, seed=8, onset=Onset(6 * DT, extra))])
    samples = relaxing_plateau(spectrum, 3000, np.random.default_rng(9), beliefs=Beliefs(alike=alike)).samples
    found = np.log(samples[:, 0, 0] / samples[:, 1, 1]) - np.log(OMEGA[0, 0] / OMEGA[1, 1])
    return np.quantile(found, [0.025, 0.5, 0.975])


def test_a_motion_in_the_proportions_of_diffusion_leaves_ratios_of_the_ions_known():
    own, both = (ratio_of_the_ions(4 * OMEGA, alike) for alike in ((0.0, 0.1), (0.5, 0.1)))
    assert both[0] < 0 < both[2]
    assert np.ptp(both) < 0.85 * np.ptp(own)


def test_a_motion_of_the_cations_alone_is_not_taken_for_one_of_all():
    own, both, forced = (
        ratio_of_the_ions(np.diag([6 * OMEGA[0, 0], 0.0]), alike) for alike in ((0.0, 0.1), (0.5, 0.1), (1.0, 0.1))
    )
    assert both[0] < 0 < both[2]
    same = pytest.approx(own, abs=0.2 * np.ptp(own))
    assert both == same
    assert forced != same  # the cations come out too mobile


def test_replicas_of_equal_and_unequal_length_give_the_same_total():
    runs = [walk(OMEGA, frames=n, dt=DT, seed=n) for n in (300, 300, 401)]
    apart = sum(current_spectrum([run]).W.sum(axis=0) for run in runs)
    together = current_spectrum(runs)
    assert np.max(np.abs(together.W.sum(axis=0) / apart - 1)) < 1e-12
    assert together.dof.sum() == 3 * (299 + 299 + 400)
    assert np.all(np.diff(together.s) >= 0)


# ---- the model of the spectrum --------------------------------------------------------------------------------------


def amplitudes(bins=30, n=2, seed=1, trust=math.inf):
    rng = np.random.default_rng(seed)
    s = 2 * np.sin(np.pi * np.arange(1, bins + 1) / (2 * (bins + 1)))
    times = np.log(0.4) + relaxation.TABLE_STEP * np.arange(30)
    v = rng.standard_normal((bins, n, 6))
    tables = relaxation.shape_tables(s, times)
    group = np.arange(bins) // 6
    W, dof = v @ v.swapaxes(1, 2), np.full(bins, 6.0)
    data = relaxation.Amplitudes(s**2, W, dof, tables, times[0], group, math.inf, 0.0, tuple(range(n)))
    return relaxation.trusted(data, trust)


@pytest.mark.parametrize("trust", [math.inf, 40.0])
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("shapes", "inertia"), [((), 0), ((0,), 1), ((1, 0), 1), ((4,), 0), ((5, 0), 0)])
def test_slopes_of_the_likelihood_are_those_of_its_values(n, shapes, inertia, trust):
    data, form = amplitudes(n=n, trust=trust), relaxation.Form(shapes, inertia)
    theta = 0.3 * np.random.default_rng(2).standard_normal(form.size(n))
    # away from the nodes of the tables, between which they are linear
    theta[form.times(n)] = data.first + relaxation.TABLE_STEP * (8.5 + 5 * np.arange(len(shapes)))
    for place in form.times(n)[form.places == relaxation.PERSISTENT]:
        theta[place + 1 : place + 1 + n] -= 1.5  # a weak loss: the spectrum stays positive
    gradient, information = np.empty(theta.size), np.empty((theta.size, theta.size))
    none, nothing = np.empty(0), np.empty((0, 0))

    def value(t):
        return relaxation.log_likelihood(t, form.places, inertia, data, none, nothing)

    relaxation.log_likelihood(theta, form.places, inertia, data, gradient, information)
    step = 1e-5
    numeric = [(value(theta + step * e) - value(theta - step * e)) / (2 * step) for e in np.eye(theta.size)]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5 * np.abs(gradient).max())
    assert np.all(np.linalg.eigvalsh(information) > -1e-9 * np.abs(information).max())


def test_a_model_that_is_not_trusted_is_integrated_over_its_error():
    # one ion, one group: the chi-square density of the data times that of the error, summed numerically
    data = amplitudes(bins=6, n=1)
    theta = np.array([0.3])
    empty, nothing, places = np.empty(0), np.empty((0, 0)), relaxation.Form(()).places
    none = relaxation.log_likelihood(theta, places, 0, data, empty, nothing)
    for trust in (6.0, 40.0):
        value = relaxation.log_likelihood(theta, places, 0, relaxation.trusted(data, trust), empty, nothing)
        T = data.W.sum() / np.exp(theta[0])
        error = np.geomspace(1e-3, 1e3, 200_001)
        prior = chi2.pdf(trust / error, trust) * trust / error**2  # trust/error is chi-square
        ratio = np.trapezoid(prior * error ** (-0.5 * data.dof.sum()) * np.exp(-0.5 * T * (1 / error - 1)), error)
        assert value - none == pytest.approx(np.log(ratio), rel=1e-8)
    nearly = relaxation.log_likelihood(theta, places, 0, relaxation.trusted(data, 1e9), empty, nothing)
    assert nearly == pytest.approx(none, abs=1e-5)


def test_likelihood_is_that_of_wishart_matrices():
    data, form = amplitudes(), relaxation.Form((0,), 1)
    theta = 0.3 * np.random.default_rng(3).standard_normal(form.size(2))
    theta[form.times(2)] = data.first + 1.0
    other = np.concatenate([theta[:2] + 0.1, theta[2:]])
    spectra = (relaxation.spectra(t[None], form, data)[0] for t in (theta, other))
    first, second = (sum(wishart.logpdf(W, 6, s) for W, s in zip(data.W, S, strict=True)) for S in spectra)
    empty = np.empty(0)
    own = relaxation.log_likelihood(theta, form.places, 1, data, empty, np.empty((0, 0)))
    difference = relaxation.log_likelihood(other, form.places, 1, data, empty, np.empty((0, 0))) - own
    assert difference == pytest.approx(second - first, rel=1e-9)  # normalisation apart


def test_shapes_are_what_they_are_called():
    # spectrum of the increments of exp(-t/tau) in closed form; a stretched exponential summed over all times
    s = 2 * np.sin(np.linspace(0.01, np.pi / 2, 50))
    tau = 7.3
    tables = relaxation.shape_tables(s, np.array([np.log(tau)]))[:, 0]
    a = np.exp(-1 / tau)
    np.testing.assert_allclose(tables[0], s**2 / ((1 - a) ** 2 + a * s**2) * ((1 - a) ** 2 + 4 * a) / 4, rtol=1e-12)
    omega = np.linspace(0, np.pi, 40001)
    for k, beta in ((1, 0.75), (2, 0.55), (3, 0.4)):
        exact = stretched_motion(omega, tau, beta)
        wanted = np.interp(s, 2 * np.sin(omega / 2), exact) / exact[-1]
        assert np.max(np.abs(tables[k] - wanted)) < 0.01


def test_short_time_coordinates_lead_back():
    shapes = np.array([0, relaxation.PERSISTENT])
    theta = 0.4 * np.random.default_rng(5).standard_normal(relaxation.Form((0, 0), 1).size(2))
    theta[[8, 9]] = -1.5  # a weak loss: the spectrum stays positive
    there = relaxation.short_time(theta, 2, shapes, False)
    np.testing.assert_allclose(relaxation.short_time(there, 2, shapes, True), theta, rtol=1e-12, atol=1e-12)
    L = relaxation.matrices(there[None], 2)[0]
    form, data = relaxation.Form((0, relaxation.PERSISTENT), 0), amplitudes()
    top = data._replace(tables=np.ones_like(data.tables))  # every x is 1 at the highest frequency, or -1
    np.testing.assert_allclose(relaxation.spectra(theta[None, :-1], form, top)[0, 0], L, rtol=1e-12)


def test_a_slow_motion_apart_from_the_fast_ones_is_allowed_for():
    # one run of 2000 frames with a motion of 50 frames that makes the ions five times as fast at short times
    omega = np.array([[1.0, 0.3], [0.3, 1.5]]) * 1e-10

    def spectrum(w):
        return omega + bounded_motion(w, 50.0)[:, None, None] * 100e-10 * np.array([[1.0, 0.2], [0.2, 1.0]])

    held = 0
    for seed in range(4):
        run = walk_of_spectrum(spectrum, frames=2000, dt=DT, seed=seed)
        samples = relaxing_plateau(current_spectrum([run]), 2000, np.random.default_rng(0)).samples
        kappa = np.einsum("sij,i,j->s", samples, [1, -1], [1, -1])
        low, high = np.quantile(kappa, [0.025, 0.975])
        held += low < 1.9e-10 < high
        assert low < 0.6 * 1.9e-10 * 4.4  # never the short-time value alone
    assert held >= 3  # all four with 81 %, three with 99 %


def test_walk_of_a_spectrum_has_it():
    run = walk_of_spectrum(lambda w: inertia_factor(w, 2.0)[:, None, None] * OMEGA, frames=20001, dt=DT, seed=8)
    spectrum = current_spectrum([run])
    want = inertia_factor(2 * np.arcsin(spectrum.s / 2), 2.0) * OMEGA[0, 0]
    z = (spectrum.W[:, 0, 0] / want - spectrum.dof) / np.sqrt(2 * spectrum.dof)
    assert np.std(z) == pytest.approx(1.0, abs=0.3) and abs(np.mean(z)) < 0.5
