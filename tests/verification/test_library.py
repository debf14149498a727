"""The shipped sets: they load, are finite and positive, and give the values their sources print."""

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.set_file import list_sets, load_set, read_set

SETS = (
    "dilute_ideal",
    "landesfeind2019_ec_dmc",
    "landesfeind2019_ec_emc",
    "landesfeind2019_emc_fec",
    "nyman2008_ec_emc",
    "peo_litfsi_siegel2021",
    "poss_ptf",
    "steinruck2020_pnb",
    "steinruck2020_rs",
    "steinruck2020_rs_volume",
    "thienenkamp2022_peo_litfsi",
    "valoen2005_pc_ec_dmc",
)


def newman_number(s, c):
    """PHYSICS section 4, written out."""
    return s.nu / (s.z_plus * s.nu_plus) ** 2 * s.kappa(c) * R * s.T * (1 - s.t_plus(c)) ** 2 * s.chi(c) / (
        F**2 * s.D(c) * c
    )  # fmt: skip


def test_the_list():
    assert list_sets() == SETS


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("motion", ["volume", "none"])
def test_every_set_is_sound_over_its_range_and_temperatures(name, motion):
    file = read_set(name)
    assert file.name == name
    for T in np.linspace(*file.T_range, 5):
        s = file.bind(float(T)).with_motion(motion)
        c = np.geomspace(*s.c_range, 2001).clip(*s.c_range)
        for values in (s.kappa(c), s.D(c), s.chi(c), s.phi_0(c), newman_number(s, c)):
            assert np.all(np.isfinite(values))
            assert np.all(values > 0)
        assert np.all(np.isfinite(s.t_plus(c)))
        assert np.all(s.t_plus(c) < 1)


@pytest.mark.parametrize("name", SETS)
def test_every_set_says_what_it_rests_on(name):
    s = load_set(name)
    assert s.title
    assert set(s.source) == {"kappa", "D", "t_plus", "chi", "volumes"}
    assert all(len(text) > 5 for text in s.source.values())
    assert s.status == "measured" or s.note
    if "steinruck" in name:
        assert s.status == "reconstruction"
        assert "Table S3" not in s.text
        assert "reconstruct" in s.title
        assert "assumed" in s.source["chi"]
    if s.status == "assumed":
        assert any("assumed" in text for text in s.source.values())
    with pytest.raises(InputError, match="lies outside"):
        load_set(name, T=600.0)


# Landesfeind & Gasteiger 2019 at 298.15 K and c = 0.5, 1, 2 mol/L: kappa [mS/cm], D [1e-10 m^2/s], TDF (molar), t+
LANDESFEIND = {
    "ec_dmc": ([10.227, 11.819, 7.312], [3.840, 2.905, 1.662], [1.653, 2.201, 4.011], [0.420, 0.325, 0.193]),
    "ec_emc": ([7.558, 9.130, 5.939], [3.950, 2.892, 1.551], [1.367, 2.182, 3.850], [0.305, 0.221, 0.106]),
}


@pytest.mark.parametrize("solvent", LANDESFEIND)
def test_landesfeind_to_the_printed_digits(solvent):
    kappa, D, factor, t_plus = LANDESFEIND[solvent]
    s = load_set(f"landesfeind2019_{solvent}")
    c = np.array([500.0, 1000.0, 2000.0])
    half = 0.51e-3  # half a unit of the last printed digit, and round-off
    assert s.kappa(c) * 10 == pytest.approx(kappa, abs=half, rel=0)
    assert s.D(c) * 1e10 == pytest.approx(D, abs=half, rel=0)
    assert s.t_plus(c) == pytest.approx(t_plus, abs=half, rel=0)
    assert s.with_motion("none").chi(c) == pytest.approx(factor, abs=half, rel=0)
    # molal basis: phi_0 times the molar factor, phi_0 = 1 - c V_e by hand with V_e = 50 cm^3/mol
    assert s.chi(c) == pytest.approx((1 - 50e-6 * c) * s.with_motion("none").chi(c), rel=1e-12, abs=0)


def test_emc_fec_by_hand():
    """No printed value: the printed coefficients once more, term by term, at 1 mol/L and 300 K."""
    s = load_set("landesfeind2019_emc_fec", T=300.0).with_motion("none")
    e = np.exp(1000 / 300)
    kappa = 2.51e-2 * (1 + 125) * (1 + 1.23 + 2.05e-1 * (1 - 8.81e-2 * e)) / (1 + 2.83e-3 * e)
    assert s.kappa(1000.0) * 10 == pytest.approx(kappa, rel=1e-12, abs=0)
    D = 1e-10 * 5.86e2 * np.exp(1.33) * np.exp(-1.38e3 / 300) * np.exp(-5.82e2 / 300)
    assert s.D(1000.0) == pytest.approx(D, rel=1e-12, abs=0)
    p = (3.22, -10.1, -1.58e-2, 6.12, 2.96e-2, 2.42e-5, -2.22e-1, -1.57e-2, 6.30e-6)
    q = (-12.2, -3.05, 8.38e-2, 1.78, 1.51e-3, -1.37e-4, -2.45e-2, -5.15e-3, 2.14e-5)
    powers = np.array([1, 1, 300, 1, 300, 9e4, 1, 300, 9e4])
    assert s.chi(1000.0) == pytest.approx(powers @ p, rel=1e-10, abs=0)
    assert s.t_plus(1000.0) == pytest.approx(powers @ q, rel=1e-10, abs=0)


def test_nyman_at_one_molar():
    s = load_set("nyman2008_ec_emc")
    assert s.kappa(1000.0) == pytest.approx(0.1297 - 2.51 + 3.329, rel=1e-12, abs=0)
    assert s.D(1000.0) == pytest.approx(0.8794e-10 - 3.972e-10 + 4.862e-10, rel=1e-12, abs=0)
    assert s.t_plus(1000.0) == pytest.approx(0.4492 - 0.4717 + 0.4106 - 0.1287, rel=1e-12, abs=0)
    assert s.with_motion("none").one_minus_t_plus_chi(1000.0) == pytest.approx(1.47468, rel=1e-12, abs=0)


def test_valoen_reimers_at_one_molar_294_kelvin():
    s = load_set("valoen2005_pc_ec_dmc", T=294.0)
    assert s.D(1000.0) == pytest.approx(1e-4 * 10 ** (-4.43 - 54 / 60 - 0.22), rel=1e-12, abs=0)
    root = (-10.5 + 21.756 - 6.96e-5 * 294**2) + (0.668 - 0.0178 * 294 + 2.80e-5 * 294**2) + (0.494 - 8.86e-4 * 294)
    assert s.kappa(1000.0) == pytest.approx(0.1 * root**2, rel=1e-12, abs=0)
    assert s.with_motion("none").one_minus_t_plus_chi(1000.0) == pytest.approx(0.601 - 0.24 + 0.982, rel=1e-12, abs=0)
    assert s.t_plus(1000.0) == 0.38


def test_peo_conductivities():
    siegel = load_set("peo_litfsi_siegel2021")
    c = siegel.c_of(r=0.1)
    assert siegel.kappa(c) == pytest.approx(4.3 * 0.1 * np.exp(-0.1 / 0.085), rel=1e-12, abs=0)
    for name in ("steinruck2020_rs", "steinruck2020_rs_volume", "steinruck2020_pnb"):
        s = load_set(name)
        assert s.kappa(s.c_of(r=0.1)) == pytest.approx(0.1448, rel=1e-9, abs=0)
        assert s.kappa(s.c_of(r=1e-3)) == pytest.approx(0.0267 / 5, rel=1e-9, abs=0)  # proportional below r = 0.005
        assert s.one_minus_t_plus_chi(s.c_of(r=0.12)) == pytest.approx(2.16, rel=1e-9, abs=0)


def test_the_two_readings_of_rs():
    """t+V = 0.2 is t+0 = 1 - 0.8/phi_0 = -0.07 at r = 0.1; PHYSICS section 2: phi_0/phi_e = 2.96 there."""
    solvent, volume = load_set("steinruck2020_rs"), load_set("steinruck2020_rs_volume")
    c = solvent.c_of(r=0.1)
    ratio = 39.99e-6 / (134.9e-6 * 0.1)
    phi_0 = ratio / (1 + ratio)
    assert ratio == pytest.approx(2.96, abs=0.005, rel=0)
    assert solvent.t_plus(c) == 0.2
    assert volume.t_plus(c) == pytest.approx(1 - 0.8 / phi_0, rel=1e-12, abs=0)
    assert volume.t_plus(c) == pytest.approx(-0.07, abs=0.005, rel=0)
    assert volume.with_motion("none").t_plus(c) == pytest.approx(0.2, rel=1e-15, abs=0)  # no solvent motion, one frame


def test_molecular_volumes_of_steinruck():
    """66.4 and 224 cubic angstrom per molecule are 39.99 and 134.9 cm^3/mol (N_A = 6.02214076e23)."""
    s = load_set("steinruck2020_rs")
    assert s.V_0(1000.0) == pytest.approx(66.4e-30 * 6.02214076e23, rel=2e-4, abs=0)
    assert s.V_e(1000.0) == pytest.approx(224e-30 * 6.02214076e23, rel=2e-4, abs=0)


def test_pnb_varies_sharply_around_one_tenth():
    s = load_set("steinruck2020_pnb")
    t_plus = [float(s.t_plus(s.c_of(r=r))) for r in (0.06, 0.1, 0.12, 0.16, 0.2, 0.24)]
    assert t_plus[0] - t_plus[2] > 0.5
    assert all(t < 0 for t in t_plus[2:])
    assert min(t_plus) > -0.8
    assert max(t_plus) < 0.7


def test_dilute_ideal_by_its_closed_forms():
    s = load_set("dilute_ideal", T=310.0)
    c = np.array([1.0, 100.0])
    assert s.kappa(c) == pytest.approx(F**2 * c * 4e-10 / (R * 310), rel=1e-12, abs=0)
    assert s.D(c) == pytest.approx(1.5e-10, rel=1e-12, abs=0)
    assert s.t_plus(c) == pytest.approx(0.25, rel=1e-12, abs=0)
    assert s.phi_0(c) == pytest.approx(1.0, rel=1e-15, abs=0)
    # Nernst-Einstein and Nernst-Hartley together: 1 + Ne = 1/t+
    assert 1 / (1 + newman_number(s, c)) == pytest.approx(0.25, rel=1e-12, abs=0)


def test_poss_has_negative_transference_and_a_large_current_fraction():
    s = load_set("poss_ptf")
    assert (s.z_minus, s.nu_plus, s.nu_minus) == (-20, 20, 1)
    c = np.geomspace(*s.c_range, 500).clip(*s.c_range)
    rho_plus = 1 / (1 + newman_number(s, c))
    assert np.all(s.t_plus(c) < 0)
    assert np.all(rho_plus > 0.5)
    assert float(1 / (1 + newman_number(s, 10.0))) == pytest.approx(0.68, abs=0.03, rel=0)  # c+ = 0.2 mol/L
    assert c[np.argmax(s.t_plus(c))] * 20 == pytest.approx(400, rel=0.05, abs=0)
