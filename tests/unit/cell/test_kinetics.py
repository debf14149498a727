"""Interfaces: resistances and Butler-Volmer kinetics."""

import numpy as np
import pytest

import cellsim
from cellsim import ButlerVolmer, Cell, Electrode, Options, Protocol, Resistance, TransportSet
from cellsim.base import InputError
from cellsim.cell.protocol import hold_voltage
from cellsim.model.equations import VoltageLaw

T = 330.0


@pytest.mark.parametrize(("alpha_a", "alpha_c"), [(0.5, 0.5), (0.3, 0.7), (0.8, 0.2)])
@pytest.mark.parametrize("i", [-1e4, -3.0, -1e-9, 0.0, 1e-9, 2.0, 1e4])
def test_overpotential_inverts_the_current(alpha_a, alpha_c, i):
    kinetics = ButlerVolmer(5.0, 1000.0, alpha_a, alpha_c)
    eta = kinetics.overpotential(i, 700.0, T)
    assert kinetics.current(eta, 700.0, T) == pytest.approx(i, rel=1e-12, abs=1e-22)
    assert np.sign(eta) == np.sign(i)


def test_exchange_current_scales_with_the_face_concentration():
    kinetics = ButlerVolmer(5.0, 1000.0, 0.3, 0.7)
    assert kinetics.exchange_current(500.0) == pytest.approx(5.0 * 0.5**0.3, rel=1e-14)


def test_resistance_table_is_linear_and_held_beyond():
    resistance = Resistance(np.array([1.0, 3.0]), np.array([10.0, 20.0]))
    assert [resistance.at(t) for t in (0.0, 10.0, 15.0, 20.0, 99.0)] == [1.0, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Resistance(np.array([-1.0])),
        lambda: Resistance(np.array([np.nan])),
        lambda: Resistance(np.array([1.0, 2.0])),
        lambda: Resistance(np.array([1.0, 2.0]), np.array([1.0, 1.0])),
        lambda: ButlerVolmer(0.0, 1000.0),
        lambda: ButlerVolmer(1.0, 1000.0, alpha_a=-0.5),
    ],
)
def test_bad_interfaces_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_current_is_the_root_of_the_voltage_law_with_butler_volmer():
    transport = TransportSet.constant(kappa=0.5, D=1e-10, t_plus=0.3, T=T)
    electrode = Electrode(Resistance(0.002), ButlerVolmer(5.0, 1000.0, 0.4, 0.6))
    law = VoltageLaw(Cell(1e-4, T, positive=electrode, negative=electrode), transport)
    for voltage in (-0.3, -1e-3, 1e-3, 0.3):
        i = law.current(voltage, 2e-4, 1200.0, 800.0, 0.0)
        assert law.voltage(i, 2e-4, 1200.0, 800.0, 0.0) == pytest.approx(voltage, rel=1e-11)


@pytest.mark.parametrize(
    "solver", ["sundials", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fipy", "material"))]
)
def test_a_fast_interface_is_no_interface_and_a_slow_one_rules(solver):
    transport = TransportSet.constant(kappa=0.5, D=1e-10, t_plus=0.3, T=T)

    def i_0_and_end(electrode):
        cell = Cell(1e-4, T, positive=electrode, negative=electrode)
        protocol = Protocol((hold_voltage(0.05, 30.0),))
        s = cellsim.simulate(
            cell, transport, protocol, c0=1000.0, solver=solver, options=Options(cells=24), times=[10.0]
        )
        return s["i"][[0, -1]]

    fast = i_0_and_end(Electrode(kinetics=ButlerVolmer(1e9, 1000.0)))
    assert fast == pytest.approx(i_0_and_end(Electrode()), rel=1e-5)
    slow = i_0_and_end(Electrode(kinetics=ButlerVolmer(1e-3, 1000.0)))
    # half of the voltage falls at each interface: 2 j_ref sinh(F V/2 / (2 R T))
    sinh = 2e-3 * np.sinh(96485.33212 * 0.025 / (2 * 8.314462618 * T))
    assert slow == pytest.approx([sinh, sinh], rel=1e-4)
