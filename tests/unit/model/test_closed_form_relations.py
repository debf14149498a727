"""The closed forms against independent numerics: heat kernels by quadrature, solve_bvp, Laplace inversion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad, solve_bvp

from cellsim.base import F, R
from cellsim.model import closed_forms as analytic
from cellsim.model import small_signals
from cellsim.model.closed_forms import Layer, dilute_ideal_current, dilute_ideal_properties

LAYER = Layer(
    1e-3, 800.0, kappa=0.5, D=2e-10, t_plus=0.3, chi=1.4, T=330.0, z_plus=2, nu_plus=1, nu_minus=2, phi_0=0.9,
    porosity=0.45, macmullin=4.9, resistance=2e-3,
)  # fmt: skip
TAU = LAYER.thickness**2 / LAYER.D_time
S = [1e-4, 1e-3, 0.0199, 0.0201, 0.1, 0.5]  # D t/L^2, on both sides of the switch from images to Fourier series


def kernel(y: float, source: float, s: float) -> float:
    """Green's function of the unit slab with insulated walls: images, enough of them for s <= 1."""
    k = np.arange(-8, 9)
    images = np.exp(-((y - source - 2 * k) ** 2) / (4 * s)) + np.exp(-((y + source - 2 * k) ** 2) / (4 * s))
    return float(images.sum() / np.sqrt(4 * np.pi * s))


def built_by_flux(y: float, s: float) -> float:
    """Unit flux in at 0 and out at 1, by Duhamel's integral with w = sqrt(time) to take the singularity out."""

    def integrand(w: float) -> float:
        return 2 * w * (kernel(y, 0.0, w * w) - kernel(y, 1.0, w * w)) if w > 0 else 0.0

    return float(quad(integrand, 0, np.sqrt(s), epsabs=1e-13, epsrel=1e-12, limit=200)[0])


@pytest.mark.parametrize("s", S)
@pytest.mark.parametrize("y", [0.0, 0.03, 0.5, 0.8, 1.0])
def test_galvanostatic_profile_is_the_duhamel_integral(y: float, s: float) -> None:
    i = 3.0
    slope = LAYER.migration * i * LAYER.thickness / LAYER.D_eff
    c = analytic.galvanostatic_profile(LAYER, i, np.array([y * LAYER.thickness]), s * TAU)[0]
    # measured: 3e-16
    assert (c - LAYER.c) / slope == pytest.approx(built_by_flux(y, s), rel=0, abs=1e-15)


def test_galvanostatic_profile_keeps_salt_and_shape_of_arguments() -> None:
    x = np.linspace(0, LAYER.thickness, 2001)
    c = analytic.galvanostatic_profile(LAYER, 2.0, x, np.array(S) * TAU)
    assert c.shape == (len(S), x.size)
    assert np.trapezoid(c, x, axis=1) / LAYER.thickness == pytest.approx(np.full(len(S), LAYER.c), rel=1e-12)
    start = analytic.galvanostatic_profile(LAYER, 2.0, x, 0.0)
    assert np.array_equal(start, np.full(x.size, LAYER.c))


@pytest.mark.parametrize("s", S)
def test_relaxation_of_a_ramp_and_of_a_step_against_the_kernel(s: float) -> None:
    left, right, where = 950.0, 700.0, 0.35
    for y in (0.0, 0.2, 0.37, 1.0):
        x = np.array([y * LAYER.thickness])
        points = sorted({np.clip(y - 8 * np.sqrt(s), 0, 1), y, np.clip(y + 8 * np.sqrt(s), 0, 1), where})

        def average(profile, y: float = y, points: list[float] = points) -> float:
            return quad(lambda u: kernel(y, u, s) * profile(u), 0, 1, points=points, epsabs=1e-10, limit=200)[0]

        ramp = average(lambda u: 800 + 100 * (0.5 - u))
        step = average(lambda u: left if u < where else right)
        # measured: 1.3e-15
        assert analytic.relaxation_from_ramp(LAYER, 100.0, x, s * TAU)[0] == pytest.approx(ramp, rel=5e-15)
        got = analytic.relaxation_from_step(LAYER, left, right, where * LAYER.thickness, x, s * TAU)[0]
        assert got == pytest.approx(step, rel=5e-15)


def test_slowest_mode_decays_at_the_rate_stated() -> None:
    """Restricted diffusion: late differences between the faces fall by exp(-rate dt)."""
    ends = np.array([0.0, LAYER.thickness])
    late, later = analytic.relaxation_from_step(LAYER, 900.0, 700.0, 4e-4, ends, np.array([0.8, 1.1]) * TAU)
    ratio = np.diff(later)[0] / np.diff(late)[0]
    # measured: 2e-12, the second mode
    assert np.log(ratio) == pytest.approx(-LAYER.relaxation_rate * 0.3 * TAU, rel=6e-12)


def test_short_time_law_and_sand_time_against_the_half_space_kernel() -> None:
    i, t = 4.0, 50.0
    flux = LAYER.migration * i
    D = LAYER.D_time

    def rate(w: float) -> float:  # superficial flux into the pores: divided by the porosity
        return 2 * flux / LAYER.porosity / np.sqrt(np.pi * D)  # 1/sqrt(pi D tau) dtau = 2 dw/sqrt(pi D)

    rise = quad(rate, 0, np.sqrt(t))[0]
    assert analytic.face_change(LAYER, i, t) == pytest.approx(rise, rel=1e-12)
    # the finite layer starts the same way: D t/L^2 = 2e-3
    face = analytic.galvanostatic_profile(LAYER, i, np.zeros(1), t)[0] - LAYER.c
    assert face == pytest.approx(rise, rel=1e-12)
    assert analytic.face_change(LAYER, i, analytic.sand_time(LAYER, i)) == pytest.approx(LAYER.c, rel=1e-12)
    assert analytic.sand_time(replace(LAYER, t_plus=1.0), i) == np.inf


def test_depletion_time_knows_the_other_wall() -> None:
    limit = 2 * LAYER.c * LAYER.D_eff / (LAYER.migration * LAYER.thickness)
    assert analytic.depletion_time(LAYER, 0.999 * limit) == np.inf
    for factor in (1.02, 1.5, 20.0):
        t = analytic.depletion_time(LAYER, factor * limit)
        slope = LAYER.migration * factor * limit * LAYER.thickness / LAYER.D_eff
        assert built_by_flux(0.0, t / TAU) * slope == pytest.approx(LAYER.c, rel=1e-9)
    assert analytic.depletion_time(LAYER, 20 * limit) == pytest.approx(analytic.sand_time(LAYER, 20 * limit), rel=1e-12)
    assert analytic.depletion_time(LAYER, -20 * limit) == analytic.depletion_time(LAYER, 20 * limit)
    assert analytic.depletion_time(LAYER, 1.5 * limit, 100.0) < analytic.depletion_time(LAYER, 1.5 * limit)


def talbot(transform, t: float, terms: int = 24) -> float:
    """Fixed Talbot inversion (Abate & Valko 2004, doi:10.1002/nme.995), good to ~1e-10 here."""
    theta = np.arange(1, terms) * np.pi / terms
    cot = 1 / np.tan(theta)
    r = 2 * terms / (5 * t)
    p = r * theta * (cot + 1j)
    sigma = theta + (theta * cot - 1) * cot
    total = 0.5 * np.exp(r * t) * transform(r + 0j).real
    return float(r / terms * (total + (np.exp(p * t) * transform(p) * (1 + 1j * sigma)).real.sum()))


@pytest.mark.parametrize("s", [1e-6, 1e-3, 0.0079, 0.0081, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("chi", [0.02, 1.4, 60.0])
def test_small_signal_responses_against_laplace_inversion(chi: float, s: float) -> None:
    layer = replace(LAYER, chi=chi)
    Rs, Rd = layer.bulk_resistance + layer.resistance, layer.diffusion_resistance

    def impedance(p):
        q = np.sqrt(p) / 2
        return Rs + Rd * np.tanh(q) / q

    i = talbot(lambda p: 1e-3 / (p * impedance(p)), s)
    V = talbot(lambda p: 0.1 * impedance(p) / p, s)
    # measured: 1.9e-12, the inversion's own error
    assert float(small_signals.current_response(layer, 1e-3, s * TAU)) == pytest.approx(i, rel=5e-12)
    assert float(small_signals.voltage_response(layer, 0.1, s * TAU)) == pytest.approx(V, rel=5e-12)


def test_responses_begin_with_ohms_law_and_end_with_the_current_fraction() -> None:
    R_b, R_i, Ne = LAYER.bulk_resistance, LAYER.resistance, LAYER.newman_number
    i = small_signals.current_response(LAYER, 1e-3, np.array([0.0, 50 * TAU]))
    assert i[0] == pytest.approx(1e-3 / (R_b + R_i), rel=1e-12)
    assert i[1] / i[0] == pytest.approx(
        analytic.current_fraction(Ne, bulk_resistance=R_b, resistance_initial=R_i), rel=1e-12
    )
    response = small_signals.voltage_response(LAYER, 2.0, np.array([0.0, 50 * TAU]))
    assert response / 2.0 == pytest.approx([R_b + R_i, R_b * (1 + Ne) + R_i], rel=1e-12)


@pytest.mark.parametrize("chi", [0.2, 1.4, 30.0])
def test_settling_at_a_held_voltage_is_a_zero_of_the_impedance_and_the_inverted_response(chi: float) -> None:
    layer = replace(LAYER, chi=chi)
    R_s, R_d = layer.bulk_resistance + layer.resistance, layer.diffusion_resistance
    rate = small_signals.held_rate(layer)
    q = 0.5 * layer.thickness * np.sqrt(rate / layer.D_time)
    assert np.pi / 2 < q < np.pi
    assert R_s + R_d * np.tan(q) / q == pytest.approx(0, abs=1e-12 * R_s)  # Z(-i w) = 0 at w = i rate
    t = small_signals.settling_time(layer, 0.02)

    def current(p: complex) -> complex:
        s = 0.5 * layer.thickness * np.sqrt(p / layer.D_time)
        return 1 / (p * (R_s + R_d * np.tanh(s) / s))

    assert talbot(current, t) * (R_s + R_d) == pytest.approx(1.02, rel=1e-8)
    assert small_signals.settling_time(replace(layer, t_plus=1 - 1e-9)) == 0.0  # it does not fall at all


VALENCES = [(1, -1), (2, -1), (1, -2), (1, -20), (3, -2)]


def stoichiometry(z_plus: int, z_minus: int) -> tuple[int, int]:
    divisor = int(np.gcd(z_plus, -z_minus))
    return -z_minus // divisor, z_plus // divisor


@pytest.mark.parametrize(("z_plus", "z_minus"), VALENCES)
def test_newman_number_is_that_of_the_onsager_matrix(z_plus: int, z_minus: int) -> None:
    """kappa, t+, D from a correlated Omega; 1/(1 + Ne) must be its anion-blocking conductivity ratio, whatever chi."""
    nu_p, nu_m = stoichiometry(z_plus, z_minus)
    z, n = np.array([z_plus, z_minus]), np.array([nu_p, nu_m])
    c, T, chi = 900.0, 350.0, 2.2
    Omega = np.array([[3.1, 0.9], [0.9, 1.7]]) * 1e-12
    charge = z @ Omega @ z
    kappa = F**2 * charge
    t_plus = z[0] * (Omega[0] @ z) / charge
    D = n.sum() * R * T * chi / (c * n @ np.linalg.solve(Omega, n))
    blocking = z[0] ** 2 * (Omega[0, 0] - Omega[0, 1] ** 2 / Omega[1, 1]) / charge
    Ne = analytic.newman_number(kappa, D, t_plus, chi, c, T, z_plus=z_plus, nu_plus=nu_p, nu_minus=nu_m)
    assert analytic.current_fraction(Ne) == pytest.approx(blocking, rel=1e-12)


@pytest.mark.parametrize(("z_plus", "z_minus"), VALENCES)
@pytest.mark.parametrize("voltage", [0.005, 0.15])
def test_dilute_law_against_nernst_planck_by_a_boundary_value_solver(z_plus: int, z_minus: int, voltage: float) -> None:
    """dc/dx and dphi/dx from the two Nernst-Planck fluxes with N- = 0; i is the unknown parameter of solve_bvp."""
    nu_p = stoichiometry(z_plus, z_minus)[0]
    D_plus, c0, L, T = 4e-11, 50.0, 5e-4, 330.0
    law = dilute_ideal_current(
        voltage, D_plus=D_plus, c=c0, thickness=L, T=T, z_plus=z_plus, z_minus=z_minus, nu_plus=nu_p
    )
    scale = z_plus * F * D_plus * nu_p * c0 / L
    f = F / (R * T)

    def slopes(y, state, unknown):
        c = np.exp(state[0])  # in c0
        # 0 = c' + z- c psi', i = -scale (c' + z+ c psi')
        d_psi = unknown[0] / (c * (z_minus - z_plus))
        return np.vstack([-z_minus * d_psi, d_psi, c])

    def ends(a, b, unknown):
        drop = (a[1] - b[1]) + (a[0] - b[0]) / z_plus  # of lithium's electrochemical potential
        return np.array([drop - f * voltage, a[1], a[2], b[2] - 1.0])

    y = np.linspace(0, 1, 41)
    guess = np.vstack([0.2 * (0.5 - y), 0 * y, y])
    solution = solve_bvp(slopes, ends, y, guess, p=[0.1], tol=1e-10, max_nodes=20000)
    assert solution.success
    # measured: 6e-12
    assert scale * solution.p[0] == pytest.approx(float(law), rel=2e-11)


@pytest.mark.parametrize(("z_plus", "z_minus"), VALENCES)
def test_dilute_properties_meet_the_dilute_law_at_small_voltage(z_plus: int, z_minus: int) -> None:
    nu_p, nu_m = stoichiometry(z_plus, z_minus)
    ions = {"z_plus": z_plus, "z_minus": z_minus, "nu_plus": nu_p, "nu_minus": nu_m}
    D_plus, D_minus, c, T, L = 4e-11, 7e-11, 50.0, 330.0, 5e-4
    kappa, D, t_plus = dilute_ideal_properties(D_plus, D_minus, c, T, **ions)
    Ne = analytic.newman_number(kappa, D, t_plus, 1.0, c, T, z_plus=z_plus, nu_plus=nu_p, nu_minus=nu_m)
    i = dilute_ideal_current(1e-9, D_plus=D_plus, c=c, thickness=L, T=T, z_plus=z_plus, z_minus=z_minus, nu_plus=nu_p)
    assert float(i) / (kappa / L * 1e-9) == pytest.approx(analytic.current_fraction(Ne), rel=1e-12)


def test_dilute_one_to_one_is_the_tanh_law() -> None:
    i = dilute_ideal_current(0.2, D_plus=1e-10, c=100.0, thickness=1e-3, T=300.0)
    assert float(i) == pytest.approx(4 * F * 1e-10 * 100 / 1e-3 * np.tanh(F * 0.2 / (4 * R * 300)), rel=1e-14)
