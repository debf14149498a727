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
    "solver", ["compiled", "sundials", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fipy", "material"))]
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


@pytest.mark.parametrize(("alpha_a", "alpha_c"), [(0.5, 0.5), (0.3, 0.7), (0.8, 0.5)])
def test_at_a_fixed_potential_dissolution_is_free_of_salt_and_plating_of_the_order_stated(alpha_a, alpha_c) -> None:
    law, T, c = ButlerVolmer(5.0, 1000.0, alpha_a, alpha_c), 330.0, np.array([100.0, 300.0])
    thermal = 8.314462618 * T / 96485.33212

    def current(E: float) -> np.ndarray:  # E against lithium at c_ref, Nernst slope RT/F
        return np.array([law.current(E - thermal * np.log(x / 1000.0), x, T) for x in c])

    anodic, cathodic = current(1.5), current(-1.5)
    assert anodic[1] / anodic[0] == pytest.approx(1, rel=1e-9)
    order = np.log(cathodic[1] / cathodic[0]) / np.log(c[1] / c[0])
    assert order == pytest.approx(alpha_a + alpha_c, rel=1e-9)
    assert ("order 1.3 in c" in law.describe()) == (alpha_a + alpha_c != 1)


def test_the_plan_says_an_order_of_reaction_that_is_not_one() -> None:
    from cellsim.cell.protocol import hold_voltage
    from cellsim.model.plan import plan

    salt = TransportSet.constant(kappa=0.4, D=2e-10, t_plus=0.3)
    for alphas, said in (((0.8, 0.5), True), ((0.3, 0.7), False)):
        electrode = Electrode(kinetics=ButlerVolmer(5.0, 1000.0, *alphas))
        lines = plan(
            Cell(1e-3, salt.T, negative=electrode), salt, Protocol((hold_voltage(0.01, 60.0),)), 1000.0
        ).lines()
        assert any("negative electrode: plating of order 1.3 in c" in line for line in lines) == said
