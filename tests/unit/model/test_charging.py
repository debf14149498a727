"""The first milliseconds: double layers against the numerical inverse of the impedance, and when i_0 can be read."""

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.charging import Charging

SET = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=0.2, chi=1.5, V_e=0.0)


def cell(*resistances):
    positive, negative = (Electrode(Resistance(np.array([R]))) for R in resistances)
    return Cell(1e-3, 298.15, positive=positive, negative=negative)


def inverse(transform, t, n=24):
    """f(t) from its Laplace transform by the fixed Talbot method (Abate & Valko 2004, doi:10.1002/nme.995)."""
    r = 2 * n / (5 * t)
    theta = np.arange(1, n) * np.pi / n
    cot = 1 / np.tan(theta)
    s = r * theta * (cot + 1j)
    sigma = theta + (theta * cot - 1) * cot
    total = 0.5 * np.exp(r * t) * transform(r + 0j).real
    return r / n * (total + np.sum((np.exp(t * s) * transform(s) * (1 + 1j * sigma)).real))


@pytest.mark.parametrize("resistances", [(5e-3, 5e-3), (1e-3, 2e-2), (0.0, 1e-2)])
def test_the_current_is_the_inverse_of_the_impedance_with_its_double_layers(resistances):
    """V/(s Z(s)); the salt as a factor is right to how far the two are apart, here 200 in time; measured 4e-4."""
    found = Charging.of(cell(*resistances), SET, 1000.0, 0.1)
    layer = found.layer

    def current(s):
        q = 0.5 * layer.thickness * np.sqrt(s / layer.D_time)
        Z = layer.bulk_resistance + layer.diffusion_resistance * np.tanh(q) / q
        return 0.01 / (s * (Z + sum(R / (1 + s * R * 0.1) for R in resistances)))

    times = np.geomspace(1e-2 * found.charged, 10 * found.diffused, 40)
    exact = np.array([inverse(current, t) for t in times])
    np.testing.assert_allclose(found.current(0.01, times), exact, rtol=1e-3)
    assert exact[0] > 1.2 * exact[20]
    i_0 = 0.01 / (layer.bulk_resistance + layer.resistance)
    inside = (times > found.charged) & (times < found.diffused)
    assert inside.sum() > 5 and np.all(np.abs(exact[inside] / i_0 - 1) < 0.0105)
    assert abs(inverse(current, 0.5 * found.charged) / i_0 - 1) > 0.0105
    assert abs(inverse(current, 2 * found.diffused) / i_0 - 1) > 0.0105


def test_equal_interfaces_charge_by_one_exponential():
    """Two alike: rate (1/R + 2/R_b)/C, and V/R_b at the very start."""
    found = Charging.of(cell(4e-3, 4e-3), SET, 1000.0, 0.1)
    R_b = found.layer.bulk_resistance
    rates, weights = found.modes
    assert rates == pytest.approx([(1 / 4e-3) / 0.1, (1 / 4e-3 + 2 / R_b) / 0.1])
    assert weights == pytest.approx([0.0, 8e-3 / R_b], abs=1e-12)
    assert found.current(0.01, [0.0]) == pytest.approx([0.01 / R_b], rel=1e-12)
    assert found.charged == pytest.approx(np.log(8e-3 / R_b / 0.01) / rates[1], rel=1e-9)


def test_what_cannot_be_read_is_said():
    assert Charging.of(cell(0.0, 0.0), SET, 1000.0, 0.1).charged == 0.0
    told = Charging.of(cell(1e-2, 1e-2), SET, 1000.0, 1e6).lines(0.01)
    assert "no reading is i_0 to 1 %" in told[-1]
    still = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=0.9999)
    assert Charging.of(cell(1e-2, 1e-2), still, 1000.0, 0.1).diffused == np.inf
    assert "holds no voltage" in Charging.of(cell(1e-2, 1e-2), SET, 1000.0, 0.1).lines(None)[-1]
    with pytest.raises(InputError, match="must be positive"):
        Charging.of(cell(0.0, 0.0), SET, 1000.0, 0.0)
