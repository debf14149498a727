"""Arrhenius and VFT fits: exact laws are found again, intervals cover, misfits are seen, too few states are refused."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import binomtest

from cellsim.base import InputError, R
from mdcoeffs.series.quantities import Found
from mdcoeffs.series.temperature import Z95, compare_laws, fit_law

T = np.array([280.0, 300.0, 320.0, 340.0, 360.0, 380.0])


def values(T, law, *, sigma=0.05, rng=None, name="kappa"):
    """Values of a law with intervals of a relative width, scattered by it where there is an rng."""
    y = law(T) + (0 if rng is None else sigma * rng.standard_normal(T.size))
    return [Found(name, math.exp(v), math.exp(v - Z95 * sigma), math.exp(v + Z95 * sigma)) for v in y]


def arrhenius(T):
    return math.log(40.0) - 2e4 / (R * T)


def vft(T):
    return math.log(8.0) - 700.0 / (T - 200.0)


def covered(fits, name, truth):
    held = sum(low <= truth <= high for low, high in (fit.parameters[name][1:] for fit in fits))
    return binomtest(held, len(fits), 0.95).pvalue


def test_an_exact_arrhenius_law_is_found_again():
    fit = fit_law("arrhenius", T, values(T, arrhenius))
    assert fit.parameters["E"][0] == pytest.approx(2e4, rel=1e-10)
    assert fit.parameters["A"][0] == pytest.approx(40.0, rel=1e-10)
    assert fit.chi2 < 1e-18 and fit.freedom == 4 and fit.holds
    assert np.allclose(np.log(fit.curve(T)[0]), arrhenius(T), rtol=1e-10, atol=0)


def test_intervals_are_those_of_another_least_squares():
    # scipy's curve_fit of the same logarithms: its covariance is that of the stated sigma
    rng = np.random.default_rng(5)
    sigma = np.array([0.02, 0.05, 0.1, 0.03, 0.2, 0.05])
    y = arrhenius(T) + sigma * rng.standard_normal(6)
    found = [Found("kappa", *np.exp([v, v - Z95 * s, v + Z95 * s])) for v, s in zip(y, sigma, strict=True)]
    fit = fit_law("arrhenius", T, found)
    best, C = curve_fit(
        lambda x, a, b: a - b * x, 1 / T, y, sigma=sigma, absolute_sigma=True, p0=[math.log(40.0), 2400.0]
    )
    value, low, high = fit.parameters["E"]
    assert value == pytest.approx(R * best[1], rel=1e-6)
    assert (high - low) / 2 == pytest.approx(Z95 * R * math.sqrt(C[1, 1]), rel=1e-6)


def test_arrhenius_intervals_cover():
    # 600 families; E and A each: exact binomial test at the 1 % level over two
    rng = np.random.default_rng(11)
    fits = [fit_law("arrhenius", T, values(T, arrhenius, rng=rng)) for _ in range(600)]
    assert covered(fits, "E", 2e4) > 0.005 and covered(fits, "A", 40.0) > 0.005
    inside = [low[0] <= math.exp(arrhenius(310.0)) <= high[0] for _, low, high in (f.curve([310.0]) for f in fits)]
    assert binomtest(sum(inside), 600, 0.95).pvalue > 0.005


def test_vft_is_found_again_and_its_profile_intervals_cover():
    fit = fit_law("vft", T, values(T, vft, sigma=0.01))
    # the grid of T_0 is 0.35 % of the distance to the lowest temperature apart: 0.28 K here
    assert fit.parameters["T_0"][0] == pytest.approx(200.0, abs=0.3)
    assert fit.parameters["B"][0] == pytest.approx(700.0, rel=0.01)
    assert fit.chi2 < 1e-2  # measured 4.3e-3, of the grid
    rng = np.random.default_rng(12)
    fits = [fit_law("vft", T, values(T, vft, sigma=0.02, rng=rng)) for _ in range(300)]
    for name, truth in (("T_0", 200.0), ("B", 700.0), ("A", 8.0)):
        assert covered(fits, name, truth) > 0.01 / 3, name


def test_a_bent_line_is_no_arrhenius_law_and_a_straight_one_needs_no_vft():
    bent = values(T, vft, sigma=0.01)
    assert not fit_law("arrhenius", T, bent).holds
    assert compare_laws(fit_law("arrhenius", T, bent), fit_law("vft", T, bent)) < 1e-6
    rng = np.random.default_rng(13)
    p = []
    for _ in range(200):
        straight = values(T, arrhenius, rng=rng)
        p.append(compare_laws(fit_law("arrhenius", T, straight), fit_law("vft", T, straight)))
    assert binomtest(sum(each < 0.05 for each in p), 200, 0.05).pvalue > 0.01


def test_misfit_is_called_one_in_a_hundred_times_where_the_law_holds():
    rng = np.random.default_rng(14)
    bad = sum(not fit_law("arrhenius", T, values(T, arrhenius, rng=rng)).holds for _ in range(500))
    assert binomtest(bad, 500, 0.01).pvalue > 0.01


def test_times_fall_with_temperature_and_have_a_positive_energy():
    times = values(T, lambda T: -arrhenius(T), name="residence_continuous_Li-X")
    fit = fit_law("arrhenius", T, times, sign=-1)
    assert fit.parameters["E"][0] == pytest.approx(2e4, rel=1e-10)
    value, low, high = fit.parameters["A"]
    assert low < value < high and value == pytest.approx(1 / 40.0, rel=1e-9) and fit.unit == "s"


@pytest.mark.parametrize(("law", "fewest"), [("arrhenius", 3), ("vft", 4)])
def test_too_few_temperatures_are_refused(law, fewest):
    few = T[: fewest - 1]
    with pytest.raises(InputError, match=f"needs at least {fewest} temperatures"):
        fit_law(law, few, values(few, arrhenius))


def test_values_without_a_logarithm_are_left_out_by_name():
    found = values(T, arrhenius)
    found[0] = Found("kappa", 1.0, -0.1, 2.0)
    found[1] = Found("kappa", 1.0)
    fit = fit_law("arrhenius", T, found)
    assert fit.T.tolist() == T[2:].tolist()
    assert "280 K: the interval reaches zero" in fit.left_out[0] and "300 K: no interval" in fit.left_out[1]
    with pytest.raises(InputError, match="280 K: the interval reaches zero"):
        fit_law("arrhenius", T[:3], found[:3])
