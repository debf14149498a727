"""The identities of concentrated-solution theory and the printed formulas, for any valence (closed forms)."""

import numpy as np
import pytest

from cellsim.base import F, R
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix

SALTS = [((1, -1), (1, 1)), ((2, -1), (1, 2)), ((1, -20), (20, 1)), ((2, -2), (1, 1)), ((3, -2), (2, 3))]
T, C, CHI = 363.0, 300.0, 1.7


def random_matrix(seed, z, nu, frame="solvent", **rest):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((2, 2)) * np.array([[1.0], [nu[1] / nu[0]]])
    return OnsagerMatrix(
        (root @ root.T + 0.05 * np.diag([1.0, (nu[1] / nu[0]) ** 2])) * 1e-10, z, nu, C, T, frame, **rest
    )


@pytest.mark.parametrize(("z", "nu"), SALTS)
@pytest.mark.parametrize("seed", range(5))
def test_newman_number_from_kappa_t_plus_and_D(z, nu, seed):
    # Ne = nu/(z+ nu+)^2 kappa R T (1-t+)^2 chi/(F^2 D c), whatever chi; equal to round-off, scaled by conditioning
    m = random_matrix(seed, z, nu)
    for chi in (1.0, CHI):
        Ne = sum(nu) / (z[0] * nu[0]) ** 2 * m.kappa * R * T * (1 - m.t_plus) ** 2 * chi / (F**2 * m.diffusion(chi) * C)
        assert m.rho_plus == pytest.approx(1 / (1 + Ne), rel=1e-9)
        assert m.newman_number == pytest.approx(Ne, rel=1e-8)


@pytest.mark.parametrize(("z", "nu"), SALTS)
def test_frames_leave_kappa_and_go_round(z, nu):
    mix = Composition((0.0069, 0.28), 950.0, (0.0, 2.1e-4 / nu[1]))
    m = random_matrix(7, z, nu, composition=mix)
    bary, volume = m.to_frame("barycentric"), m.to_frame("volume")
    assert bary.kappa == pytest.approx(m.kappa, rel=1e-12)
    assert volume.kappa == pytest.approx(m.kappa, rel=1e-12)
    assert not np.isclose(bary.t_plus, m.t_plus, rtol=1e-6, atol=0.0)
    # 1 - t+V = phi_0 (1 - t+0) with all of the salt's volume on the anion
    phi_0 = 1 - C * 2.1e-4
    assert 1 - volume.t_plus == pytest.approx(phi_0 * (1 - m.t_plus), rel=1e-10)
    # barycentric -> volume by the printed matrix A_ik = delta_ik - c_i (V_k - M_k V_0/M_0)
    c_ions = C * np.asarray(nu)
    lever = np.asarray(mix.partial_volumes) - np.asarray(mix.molar_masses) * phi_0 / mix.solvent_density
    A = np.eye(2) - np.outer(c_ions, lever)
    np.testing.assert_allclose(bary.to_frame("volume").Omega, A @ bary.Omega @ A.T, rtol=1e-9, atol=0.0)
    # barycentric -> solvent by the printed matrix A_ik = delta_ik + c_i M_k/rho_0 (Shao Eq. 24)
    A = np.eye(2) + np.outer(c_ions, mix.molar_masses) / mix.solvent_density
    np.testing.assert_allclose(A @ bary.Omega @ A.T, m.Omega, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("z", [1, 2])
def test_shao_eq_14_and_22_as_printed(z):
    m = random_matrix(11, (z, -z), (1, 1))
    (pp, pm), (_, mm) = m.Omega
    assert m.rho_plus == pytest.approx((pp - pm**2 / mm) / (pp + mm - 2 * pm), rel=1e-12)
    assert m.potential_split() == pytest.approx((mm - pm) / (2 * mm), rel=1e-12)
    assert m.kappa == pytest.approx(z**2 * F**2 * (pp + mm - 2 * pm), rel=1e-12)


@pytest.mark.parametrize(("z", "nu"), SALTS)
def test_fang_eqs_2_to_4_as_printed_in_wheeler_newman_form(z, nu):
    m = random_matrix(13, z, nu)
    (pp, pm), (_, mm) = m.wheeler_newman
    c_plus = nu[0] * C
    total = pp - 2 * pm + mm
    assert m.kappa == pytest.approx(F**2 * c_plus**2 * z[0] ** 2 * total, rel=1e-12)
    assert m.t_plus == pytest.approx((pp - pm) / total, rel=1e-10)
    assert m.newman_number == pytest.approx((mm - pm) ** 2 / (pp * mm - pm**2), rel=1e-9)


@pytest.mark.parametrize(("z", "nu"), SALTS)
def test_potential_split_from_the_blocked_steady_state(z, nu):
    # independent route: solve N_- = 0, N_+ = 1 for the driving forces (Shao Eqs. 19, 20), then their ratio
    m = random_matrix(17, z, nu)
    force = -np.linalg.solve(m.Omega, [1.0, 0.0])  # grad of electrochemical potentials
    phi_salt = (nu[0] * force[0] + nu[1] * force[1]) / (sum(nu) * z[0] * F)
    voltage = force[0] / (z[0] * F)
    assert m.potential_split() == pytest.approx(phi_salt / voltage, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_wohde_roling_gives_the_current_fraction(seed):
    m = random_matrix(seed, (1, -1), (1, 1))
    assert m.wohde_roling().anion_blocking == pytest.approx(m.rho_plus, rel=1e-10)


@pytest.mark.parametrize(("z", "nu"), SALTS)
def test_stefan_maxwell_gives_back_flux_law_t_plus_and_D(z, nu):
    m = random_matrix(19, z, nu)
    c0 = 9000.0
    D = m.stefan_maxwell(c0)
    c_plus, c_minus = m.c_ions
    c_T = c0 + c_plus + c_minus
    # force balance (Newman & Balsara Eq. 12.1) for arbitrary velocities, against grad mu = -Omega^-1 N
    v = np.array([0.3, -0.7])  # relative to the solvent
    K_p0, K_m0, K_pm = (
        R * T * a * b / (c_T * d)
        for a, b, d in ((c_plus, c0, D.D_plus_0), (c_minus, c0, D.D_minus_0), (c_plus, c_minus, D.D_plus_minus))
    )
    pull = np.array([-K_p0 * v[0] + K_pm * (v[1] - v[0]), -K_m0 * v[1] + K_pm * (v[0] - v[1])])
    grad_mu = -np.linalg.solve(m.Omega, m.c_ions * v)
    np.testing.assert_allclose(pull, m.c_ions * grad_mu, rtol=1e-8, atol=0.0)
    # textbook relations: t+0 = z+ D+0/(z+ D+0 - z- D-0);  D = D0 (c_T/c0) chi
    below = z[0] * D.D_plus_0 - z[1] * D.D_minus_0
    assert m.t_plus == pytest.approx(z[0] * D.D_plus_0 / below, rel=1e-9)
    assert m.diffusion(CHI) == pytest.approx(
        D.D_plus_0 * D.D_minus_0 * (z[0] - z[1]) / below * c_T / c0 * CHI, rel=1e-9
    )


def test_fang_like_matrix_has_high_current_fraction_and_negative_transference():
    # the two happen together for z = 1:-20: rho+ > 0.5 and t+0 close to -1
    Omega = np.array([[1.0, 0.059], [0.059, 0.003864]]) * 1e-10
    m = OnsagerMatrix(Omega, (1, -20), (20, 1), 20.0, 303.0, "solvent")
    assert m.rho_plus > 0.5
    assert m.t_plus == pytest.approx(-0.969, abs=1e-3)
