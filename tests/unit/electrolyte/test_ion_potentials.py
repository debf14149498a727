"""Potentials of single ions: a convention moves them, and nothing that is measured."""

import numpy as np
import pytest

from cellsim import OnsagerMatrix
from cellsim.base import F, InputError
from cellsim.electrolyte.onsager import ion_potentials

ONE = OnsagerMatrix([[2.0e-13, 0.6e-13], [0.6e-13, 5.0e-13]], (1, -1), (1, 1), 1000.0, 350.0, "solvent")
STAR = OnsagerMatrix([[2.0e-12, 1.2e-13], [1.2e-13, 9.0e-15]], (1, -20), (20, 1), 10.0, 303.0, "solvent")
TWO = OnsagerMatrix([[2.0e-13, 0.6e-13], [0.6e-13, 5.0e-13]], (2, -2), (1, 1), 1000.0, 350.0, "solvent")


@pytest.mark.parametrize("onsager", [ONE, TWO], ids=["1:1", "2:2"])
@pytest.mark.parametrize("x", [-0.5, 0.0, 0.3, 1.0, 4.0])
def test_the_gradients_are_those_of_the_paper(onsager, x):
    (pp, pm), (_, mm) = onsager.Omega
    z, i = onsager.z[0], 3.0
    found = ion_potentials(onsager, x, i)
    phi = -i / (z * F) / (z * F) * (x * pm + mm) / ((x + 1) * (pp * mm - pm**2))  # Eq. 18
    minus = -z * F * (pm - mm) / (x * pm + mm) * phi
    assert found.phi == pytest.approx(phi, rel=1e-12)  # round-off of a 3 x 3 solve
    assert found.mu_minus == pytest.approx(minus, rel=1e-12)
    assert found.mu_plus == pytest.approx(x * minus, rel=1e-12, abs=1e-12 * abs(minus))
    assert found.voltage * z * F == pytest.approx(-mm / (pp * mm - pm**2) * i / (z * F), rel=1e-12)  # Eq. 19
    assert found.salt == pytest.approx((pm - mm) / (pp * mm - pm**2) * i / (z * F), rel=1e-12)  # Eq. 20


@pytest.mark.parametrize("onsager", [ONE, TWO, STAR], ids=["1:1", "2:2", "20:1"])
def test_nothing_measurable_depends_on_the_convention(onsager):
    found = [ion_potentials(onsager, x, 2.0) for x in np.linspace(0, 5, 11)]
    assert np.ptp([f.phi for f in found]) > 0.05 * abs(found[0].phi)  # the convention does move something
    for name in ("voltage", "salt", "current", "current_fraction"):
        values = np.array([getattr(f, name) for f in found])
        assert np.ptp(values) < 1e-12 * abs(values[0]), name  # measured: 9e-16
    assert found[0].current == pytest.approx(2.0, rel=1e-12)
    assert found[0].current_fraction == pytest.approx(onsager.rho_plus, rel=1e-12)
    assert max(abs(f.fluxes[1] / f.fluxes[0]) for f in found) < 1e-12


@pytest.mark.parametrize("onsager", [ONE, TWO, STAR], ids=["1:1", "2:2", "20:1"])
def test_the_share_of_the_salt_in_the_voltage_is_the_potential_split(onsager):
    found = ion_potentials(onsager, 0.7, 2.0)
    share = found.salt / (sum(onsager.nu) * onsager.z[0] * F) / found.voltage  # Eq. 22, any valence
    assert share == pytest.approx(onsager.potential_split(), rel=1e-12)


def test_refusals_name_the_value():
    with pytest.raises(InputError, match=r"x = -1.0 must differ from z_\+/z_- = -1"):
        ion_potentials(ONE, -1.0, 1.0)
    with pytest.raises(InputError, match="finite"):
        ion_potentials(ONE, float("nan"), 1.0)
    volume = OnsagerMatrix(ONE.Omega, ONE.z, ONE.nu, ONE.c, ONE.T, "barycentric")
    with pytest.raises(InputError, match="solvent frame"):
        ion_potentials(volume, 1.0, 1.0)
