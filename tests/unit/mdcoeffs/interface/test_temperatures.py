"""One barrier at several temperatures: against the binomial of two, against quadrature, and as often as it says."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from cellsim.base import InputError
from mdcoeffs.interface.free_energy import flank_slope
from mdcoeffs.interface.rates import rate_ratio
from mdcoeffs.interface.temperatures import State, joint_barrier

NS = 1e-9
# Kozdra 2025, Sec. 3.3: 7 entries in 380 ns at 700 K, 2 in 300 ns at 600 K, 15 ions, 330 K lower there
KOZDRA = (State(700.0, 7, 15 * 380 * NS, 7700.0, 1e-6), State(600.0, 2, 15 * 300 * NS, reduction=330.0))


def test_two_temperatures_are_the_ratio_of_their_rates():
    # dE = (4200 ln gamma + 2310) K, Eq. 9 of the paper, at the ends of the conditional binomial's interval
    ratio = rate_ratio((7, 2), (380.0, 300.0))
    dE = joint_barrier(KOZDRA).dE
    low, high = (4200 * np.log(gamma) + 2310 for gamma in (ratio.low, ratio.high))
    assert dE.low == pytest.approx(low, abs=250) and dE.high == pytest.approx(high, abs=250)  # 8000 draws; sd 3300 K
    assert low < dE.value < high


def test_entropy_is_what_the_energy_leaves():
    joint = joint_barrier(KOZDRA)
    np.testing.assert_allclose(joint.entropy, (joint.energy - 7700.0) / 700.0, rtol=0, atol=1e-6)
    # the rate at 700 K is that of the counts: Eq. 12 would give it with the entropy, which cancels
    middle, low, high = joint.rate(700.0)
    assert low < 7 / (15 * 380 * NS) < high and middle == pytest.approx(7 / (15 * 380 * NS), rel=0.15)
    assert joint.barrier(700.0)[0] == pytest.approx(7700.0, abs=1e-6)


def test_four_temperatures_against_quadrature():
    T, n, X = np.array([400.0, 500.0, 600.0, 700.0]), np.array([0, 1, 4, 9]), np.array([2.0, 2.0, 1.0, 1.0]) * 1e-6
    joint = joint_barrier([State(*each) for each in zip(T, n, X, strict=True)])

    def posterior(dE):
        p = X * np.exp(-dE * (1 / T - 1 / 600))
        p /= p.sum()
        return 1e9 * np.prod(p**n) * np.sqrt(p @ (1 / T - p @ (1 / T)) ** 2)

    span = (-5000.0, 20000.0)
    whole = quad(posterior, *span, limit=400, epsabs=0)[0]
    for end, share in ((joint.dE.low, 0.025), (joint.dE.value, 0.5), (joint.dE.high, 0.975)):
        below = quad(posterior, span[0], end, limit=400, epsabs=0)[0] / whole
        assert below == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 8000))


def test_counts_at_one_end_leave_the_energy_open():
    joint = joint_barrier([State(600.0, 0, 1e-6), State(700.0, 7, 1e-6, 7700.0, 100.0, 16)])
    assert joint.bounded == (True, False)
    assert np.isinf(joint.dE.high) and np.isinf(joint.dS.high) and np.isfinite(joint.dE.low)
    assert joint.dE.low == pytest.approx(4200 * np.log(rate_ratio((7, 0), (1, 1)).low), abs=600)  # one-sided there


def test_counts_that_no_energy_explains():
    fits = joint_barrier([State(T, n, 1e-6) for T, n in ((500.0, 10), (600.0, 40), (700.0, 100))])
    bent = joint_barrier([State(T, n, 1e-6) for T, n in ((500.0, 60), (600.0, 5), (700.0, 60))])
    assert fits.p_counts > 0.05 and bent.p_counts < 1e-3


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([State(600.0, 3, 1e-6)], "two temperatures"),
        ([State(600.0, 3, 1e-6), State(600.0, 4, 1e-6)], "two temperatures"),
        ([State(600.0, 3, 1e-6), State(700.0, 4, 0.0)], "two temperatures"),
        ([State(600.0, 0, 1e-6), State(700.0, 0, 1e-6)], "no ion entered"),
    ],
)
def test_refusals(states, words):
    with pytest.raises(InputError, match=words):
        joint_barrier(states)


def test_few_counts_hold_energy_entropy_and_a_rate_elsewhere():
    # Poisson counts of 1, 3 and 7 on the mean, barriers with errors from 16 blocks; exact binomial, 1 % over three
    rng = np.random.default_rng(29)
    T, r, held = np.array([500.0, 600.0, 700.0]), np.array([200.0, 100.0, 0.0]), []
    for _ in range(80):
        dE, dS = rng.uniform(3200, 4500), rng.uniform(-1, 1)
        rate = np.exp(-(dE - r) / T)
        X = 7.0 / rate[2] * np.ones(3)
        error = np.array([150.0, 100.0, 80.0])
        found = dE - r - T * dS + error * rng.standard_normal(3)
        stated = error * np.sqrt(rng.chisquare(15, 3) / 15)
        n = rng.poisson(X * rate)
        joint = joint_barrier([State(*each) for each in zip(T, n, X, found, stated, [16.0] * 3, r, strict=True)])
        cold = np.exp(-(dE - 300.0) / 400.0)  # the reductions go on in a straight line
        ends = [(joint.dE.low, joint.dE.high), (joint.dS.low, joint.dS.high), joint.rate(400.0)[1:]]
        held.append([low <= value <= high for (low, high), value in zip(ends, (dE, dS, cold), strict=True)])
    least, most = binom.ppf([0.005 / 3, 1 - 0.005 / 3], 80, 0.95)
    assert np.all((np.sum(held, axis=0) >= least) & (np.sum(held, axis=0) <= most))


def test_slope_of_a_flank_without_and_with_noise():
    z = np.linspace(0, 4e-10, 9)
    flank = (z > 0.6e-10) & (z < 3.4e-10)
    rho = np.exp(-1850e10 * z / 600.0)
    exact = flank_slope([np.stack([rho] * 8)], [np.ones(8)], 600.0, z, flank)
    assert float(exact.value) == pytest.approx(1850e10, rel=1e-9)
    noisy = np.random.default_rng(8).poisson(2e4 * rho, (64, 9)).astype(float)
    found = flank_slope([noisy], [np.ones(64)], 600.0, z, flank)
    assert abs(float(found.value) - 1850e10) < 4 * float(found.error) < 0.1 * 1850e10
    empty = flank_slope([np.zeros((8, 9))], [np.ones(8)], 600.0, z, flank)
    assert np.isnan(empty.value)
