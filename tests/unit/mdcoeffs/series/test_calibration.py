"""A parameter of the force field from measured coefficients: closed forms, misfits, and what is refused."""

import math

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.series.calibration import (
    Family,
    calibrate,
    highest_density,
    read_targets,
    state_values,
)
from mdcoeffs.series.interpolation import coordinates, matrices_of
from mdcoeffs.series.quantities import Found
from mdcoeffs.series.recipe import Measured

AT = np.array([0.6, 0.7, 0.8, 0.9, 1.0])
SLOPE = -4.0


def omega(x, slope=SLOPE):
    """All three coefficients proportional: ln kappa has the slope, rho_+ and t_+ do not change."""
    return np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10 * math.exp(slope * (x - 0.8))


def matrix(Omega, sigma=1e-4, seed=0):
    rng = np.random.default_rng(seed)
    y = coordinates(Omega) + sigma * rng.standard_normal((1000, 3))
    return OnsagerMatrix(Omega, (1, -1), (1, 1), 1000.0, 350.0, "solvent", samples=matrices_of(y))


def family(law=omega, at=AT, sigma=1e-4, others=None):
    return Family("charge_scaling", "", at, tuple(matrix(law(x), sigma, k) for k, x in enumerate(at)), others or {})


def value(name, value, error):
    return Measured(math.nan, name, value, error, "")


def test_coordinates_go_round():
    Omega = np.array([[[1.0, 0.97], [0.97, 1.1]], [[2.0, -0.4], [-0.4, 0.1]]]) * 1e-10
    np.testing.assert_allclose(matrices_of(coordinates(Omega)), Omega, rtol=1e-12, atol=0)


def test_interval_of_an_exponential_law_is_that_of_the_measured_error():
    # ln kappa = a + SLOPE x, runs without noise: x is normal with the error of ln kappa over the slope
    truth = matrix(omega(0.77)).kappa
    found = calibrate(family(), [value("kappa", truth, 0.04 * truth)])
    half = 1.96 * 0.04 / abs(SLOPE)
    # the grid has steps of 0.001; measured 0.7575 + 0.0195 on both sides
    assert found.best == pytest.approx(0.77, abs=0.0015)
    assert found.interval == pytest.approx((0.77 - half, 0.77 + half), abs=0.0025)
    assert found.profile[0] == pytest.approx((0.77 - half, 0.77 + half), abs=0.0025)
    assert math.isnan(found.p) and "cannot contradict" in found.notes[0]
    assert np.trapezoid(found.density, found.at) == pytest.approx(1, rel=1e-9)


def test_noise_of_the_runs_widens_it():
    # five states with 10 % noise of ln Omega each (kappa less): wider than the measured error alone, by a known order
    truth = matrix(omega(0.77)).kappa
    quiet, noisy = (calibrate(family(sigma=s), [value("kappa", truth, 0.01 * truth)]) for s in (1e-4, 0.1))
    ratio = np.ptp(noisy.interval) / np.ptp(quiet.interval)
    assert 3 < ratio < 12  # 0.1/sqrt(2 to 5) over 0.01, measured 5.6


def test_all_quantities_are_those_of_the_matrix_at_a_state():
    chi = 1.4
    m = matrix(omega(0.7))
    true = {"kappa": m.kappa, "rho_plus": m.rho_plus, "t_plus_solvent": m.t_plus, "D_salt": m.diffusion(chi)}
    targets = [value(name, each, 0.05 * each) for name, each in true.items()] + [value("chi", chi, 0.05)]
    found = calibrate(family(), targets)
    k = int(np.argmin(np.abs(found.at - 0.7)))
    for name, each in true.items():
        assert found.predicted[name][k, 0] == pytest.approx(each, rel=1e-3)  # measured 2e-4
        assert state_values(found, name)[1, 0] == pytest.approx(each, rel=1e-3)
    assert found.best == pytest.approx(0.7, abs=0.002)
    assert found.p == pytest.approx(1, abs=1e-3) and found.fits and found.notes == ()
    assert found.held["kappa"].without > 1 and found.held["rho_plus"].without == pytest.approx(1, abs=0.05)


def test_the_error_of_chi_widens_what_D_says():
    m = matrix(omega(0.8))
    D = value("D_salt", m.diffusion(1.4), 0.01 * m.diffusion(1.4))
    widths = [np.ptp(calibrate(family(), [D, value("chi", 1.4, 1.4 * e)]).interval) for e in (1e-3, 0.03)]
    # 0.01 and sqrt(0.01^2 + 0.03^2): 3.15
    assert widths[1] / widths[0] == pytest.approx(3.15, rel=0.08)


def test_a_misfit_is_said():
    m = matrix(omega(0.8))
    # no charge scaling changes rho_+ here
    found = calibrate(family(), [value("kappa", m.kappa, 0.03 * m.kappa), value("rho_plus", m.rho_plus + 0.2, 0.03)])
    assert not found.fits and "no charge_scaling between 0.6 and 1 fits" in found.notes[0]
    assert "farthest is rho_plus" in found.notes[0] and "1 degree of freedom" in found.notes[0]


def test_what_holds_nothing_and_what_ends_at_a_state_is_said():
    m = matrix(omega(0.8))
    flat = calibrate(family(), [value("rho_plus", m.rho_plus, 0.03), value("t_plus_solvent", m.t_plus, 0.02)])
    assert flat.interval == pytest.approx((0.6, 1.0), abs=0.03)
    edge = calibrate(family(), [value("kappa", matrix(omega(0.55)).kappa, 0.05)])
    assert any("simulate beyond it" in note for note in edge.notes) and edge.interval[0] == 0.6


def test_two_stretches():
    def bent(x):
        return omega(0.8, 0) * math.exp(-30 * (x - 0.8) ** 2)

    kappa = matrix(bent(0.68)).kappa
    found = calibrate(family(bent), [value("kappa", kappa, 0.02 * kappa)])
    assert len(found.profile) == 2 and any("separate stretches" in note for note in found.notes)
    assert [np.mean(ends) for ends in found.profile] == pytest.approx([0.68, 0.92], abs=0.01)


def test_a_state_off_the_curve_is_said():
    def jumps(x):
        return omega(x) * (2.0 if x == 0.8 else 1.0)

    at = np.linspace(0.6, 1.0, 7)
    at[3] = 0.8
    found = calibrate(family(jumps, at, sigma=0.01), [value("kappa", matrix(omega(0.7)).kappa, 0.05)])
    assert any("charge_scaling = 0.8 does not lie on the curve" in note for note in found.notes)


def test_quantities_beside_the_matrix():
    # D_self with an exponential law of its own and 2 % of noise: alone it holds the parameter
    own = tuple(
        Found("D_self_plus", 1e-10 * math.exp(-3 * x), *(1e-10 * math.exp(-3 * x + s) for s in (-0.04, 0.04)))
        for x in AT
    )
    target = 1e-10 * math.exp(-3 * 0.85)
    found = calibrate(family(others={"D_self_plus": own}), [value("D_self_plus", target, 0.05 * target)])
    half = 1.96 * math.hypot(0.05, 0.01) / 3
    assert found.interval == pytest.approx((0.85 - half, 0.85 + half), abs=0.008)


def test_region_of_highest_density():
    x = np.linspace(-5, 5, 4001)
    assert highest_density(x, np.exp(-(x**2) / 2)) == pytest.approx((-1.96, 1.96), abs=5e-3)
    end = -math.log(1 - 0.95 * (1 - math.exp(-5)))  # of exp(-x) cut at 5: 2.876
    assert highest_density(x, np.where(x >= 0, np.exp(-x), 0.0)) == pytest.approx((0, end), abs=5e-3)


def test_a_current_fraction_of_one_stays_finite():
    # Omega_+- = Omega_-- is t+0 = 1 and rho_+ = 1 to round-off; warnings are errors here
    def one(x):
        return np.array([[2.0, 1.0], [1.0, 1.0]]) * 1e-10 * math.exp(SLOPE * (x - 0.8))

    kappa = matrix(one(0.8)).kappa
    found = calibrate(family(one, sigma=1e-10), [value("rho_plus", 0.98, 0.02), value("kappa", kappa, 0.05 * kappa)])
    assert np.all(np.isfinite(found.density)) and found.best == pytest.approx(0.8, abs=0.01)
    assert found.predicted["rho_plus"][:, 0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([("D_salt", 1e-10, 1e-11)], "D_salt needs the thermodynamic factor"),
        ([("chi", 1.0, 0.1)], "nothing to calibrate with"),
        ([("rho_plus", 1.2, 0.1)], "rho_plus = 1.2 must lie between 0 and 1"),
        ([("kappa", -1.0, 0.1)], "kappa = -1 must be positive"),
        ([("D_salt", 1e-10, 1e-11), ("chi", -1.0, 0.1)], "chi = -1 must be positive"),
        ([("t_app", 0.3, 0.1)], "t_app cannot be calibrated with"),
    ],
)
def test_impossible_targets(targets, said):
    with pytest.raises(InputError, match=said):
        calibrate(family(), [value(*each) for each in targets])


def test_impossible_families():
    good = family()
    with pytest.raises(InputError, match=r"2 states .* too few"):
        Family("s", "", AT[:2], good.matrices[:2], {})
    with pytest.raises(InputError, match="the same s"):
        Family("s", "", np.array([0.6, 0.6, 0.7]), good.matrices[:3], {})
    other = OnsagerMatrix(omega(0.8), (1, -1), (1, 1), 1100.0, 350.0, "solvent", samples=good.matrices[2].samples)
    with pytest.raises(InputError, match="differ in s only"):
        Family("s", "", AT[:3], (*good.matrices[:2], other), {})
    bare = OnsagerMatrix(omega(0.8), (1, -1), (1, 1), 1000.0, 350.0, "solvent")
    with pytest.raises(InputError, match="no posterior samples"):
        Family("s", "", AT[:3], (*good.matrices[:2], bare), {})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("kappa,1,,S/m", "kappa has no error"),
        ("kappa,1,0.1,S/m\nkappa,2,0.1,S/m", "kappa stands there twice"),
        ("kapa,1,0.1,S/m", 'did you mean "kappa"'),
        ("D_salt,1,0.1,S/m", "D_salt|m\\^2/s|value"),
    ],
)
def test_impossible_tables(tmp_path, rows, said):
    path = tmp_path / "m.csv"
    path.write_text(f"quantity,value,error,unit\n{rows}\n")
    with pytest.raises(InputError, match=said):
        read_targets(path)


def test_a_table_is_read(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("quantity,value,error,unit,source\nkappa,1.2,0.1,mS/cm,a notebook\nD_salt,2e-7,1e-8,cm^2/s,\n")
    kappa, D = read_targets(path)
    assert (kappa.value, kappa.error, kappa.source) == (pytest.approx(0.12), pytest.approx(0.01), "a notebook")
    assert D.value == pytest.approx(2e-11, rel=1e-12, abs=0) and math.isnan(D.at)
