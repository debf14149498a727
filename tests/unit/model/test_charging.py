"""The first milliseconds: double layers against the numerical inverse of the impedance, and when i_0 can be read."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.charging import Charging, cell_impedance, electrode_impedance, spectrum, spectrum_of_species
from cellsim.model.plan import plan

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


def test_electrodes_with_layers_of_their_own():
    """Against the matrix exponential; an interface without a layer is in series, a blocked one has no leak."""
    positive, negative = (
        Electrode(Resistance(np.array([5e-3])), capacitance=0.1),
        Electrode(Resistance(np.array([2e-3]))),
    )
    found = Charging.of(Cell(1e-3, 298.15, positive=positive, negative=negative), SET, 1000.0)
    rates, weights = found.modes
    assert rates == pytest.approx([(1 / 5e-3 + 1 / 0.012) / 0.1])  # R_b = 0.01
    assert weights == pytest.approx([5e-3 / 0.012])
    assert found.voltage(2.0, [0.0, 1.0]) == pytest.approx([0.024, 0.034])
    steel = Electrode(capacitance=0.3, blocking=True)
    found = Charging.of(Cell(1e-3, 298.15, positive=positive, negative=steel), SET, 1000.0)
    matrix = np.array([[1 / 5e-3 + 100.0, 100.0], [100.0, 100.0]]) / np.array([[0.1], [0.3]])
    times = np.linspace(0.0, 0.02, 9)
    end = np.linalg.solve(matrix, 0.05 * 100.0 / np.array([0.1, 0.3]))
    u = np.array([end - expm(-t * matrix) @ end for t in times])
    assert found.blocked and end == pytest.approx([0.0, 0.05], abs=1e-15)
    assert found.current(0.05, times) == pytest.approx(100.0 * (0.05 - u.sum(axis=1)), rel=1e-9)
    assert found.voltage(2.0, [0.03])[0] == pytest.approx(2.0 * (0.01 + 5e-3 * -np.expm1(-60.0) + 0.1))
    told = "\n".join(found.lines(0.05))
    assert "no current lasts" in told and "0.015 C/m^2" in told
    with pytest.raises(InputError, match="no current lasts where an electrode blocks"):
        plan(Cell(1e-3, 298.15, positive=positive, negative=steel), SET, Protocol((hold_voltage(0.01, 1.0),)), 1000.0)


def test_the_impedance_of_a_cell_has_each_electrode():
    """High frequencies leave R_b, low ones all resistances; a blocked cell has 1/(w C) more, a phase turns it."""
    omega = np.array([1e-12, 1e11])
    films = [Electrode(Resistance(np.array([R])), capacitance=C) for R, C in ((5e-3, 0.1), (2e-3, 0.3))]
    both = Cell(1e-3, 298.15, positive=films[0], negative=films[1])
    layer = Charging.of(both, SET, 1000.0).layer
    Z = cell_impedance(both, SET, 1000.0, omega)
    whole = layer.bulk_resistance + 7e-3 + layer.diffusion_resistance
    assert Z[0] == pytest.approx(whole, rel=1e-7) and Z[1] == pytest.approx(layer.bulk_resistance, rel=1e-5)
    middle = electrode_impedance(films[0], 1000.0, 298.15, [1 / (5e-3 * 0.1)])
    assert middle[0] == pytest.approx(5e-3 * (0.5 - 0.5j))
    bent = Electrode(capacitance=0.2, blocking=True, phase=0.8)
    Z = electrode_impedance(bent, 1000.0, 298.15, [1.0, 100.0])
    assert np.abs(Z) == pytest.approx([5.0, 5.0 / 100**0.8]) and np.angle(Z) == pytest.approx([-0.4 * np.pi] * 2)


def test_a_spectrum_reaches_from_the_slowest_process_to_the_fastest():
    """Of two films down to all resistances within 1 %, and up to R_b; of a blocked cell up to R_b."""
    film, steel = Electrode(Resistance(np.array([5e-3])), capacitance=0.1), Electrode(capacitance=0.3, blocking=True)
    both = Cell(1e-3, 298.15, positive=film, negative=film)
    layer = Charging.of(both, SET, 1000.0).layer
    frequency, Z = spectrum(both, SET, 1000.0)
    assert np.all(np.diff(frequency) > 0) and frequency.size > 50
    whole = layer.bulk_resistance + 1e-2 + layer.diffusion_resistance
    assert abs(Z[0] / whole - 1) < 0.02 and abs(Z[-1] / layer.bulk_resistance - 1) < 0.02
    _, Z = spectrum(replace(both, negative=steel), SET, 1000.0)
    assert abs(Z[-1] / layer.bulk_resistance - 1) < 0.02 and -Z[0].imag > 100 * whole


def test_a_spectrum_of_one_salt_as_one_of_n_components_is_the_same():
    film, steel = Electrode(Resistance(np.array([5e-3])), capacitance=0.1), Electrode(capacitance=0.3, blocking=True)
    mixed, r = MixtureSet.from_binary(SET), [float(SET.r(1000.0))]
    for negative in (film, steel, Electrode()):
        both = Cell(1e-3, 298.15, positive=film, negative=negative)
        frequency, Z = spectrum_of_species(both, mixed, r)
        exact = cell_impedance(both, SET, 1000.0, 2 * np.pi * frequency)
        assert np.abs(Z / exact - 1).max() < 1e-9
        assert abs(Z[-1] / Charging.of(both, SET, 1000.0).layer.bulk_resistance - 1) < 0.02
    assert spectrum_of_species(Cell(1e-3, 298.15), mixed, r)[0].size > 30


def test_what_cannot_be_read_is_said():
    assert Charging.of(cell(0.0, 0.0), SET, 1000.0, 0.1).charged == 0.0
    told = Charging.of(cell(1e-2, 1e-2), SET, 1000.0, 1e6).lines(0.01)
    assert "no reading is i_0 to 1 %" in told[-1]
    still = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=0.9999)
    assert Charging.of(cell(1e-2, 1e-2), still, 1000.0, 0.1).diffused == np.inf
    assert "holds no voltage" in Charging.of(cell(1e-2, 1e-2), SET, 1000.0, 0.1).lines(None)[-1]
    with pytest.raises(InputError, match="must be positive"):
        Charging.of(cell(0.0, 0.0), SET, 1000.0, 0.0)
