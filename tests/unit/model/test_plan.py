"""Answers before a run: consistent with the closed forms they come from and with what the text says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.cell.geometry import Cell, Separator
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.cell.protocol import Protocol, Step, hold_current, hold_voltage, rest
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import closed_forms as analytic
from cellsim.model.plan import layer_of, plan, stop_concentration
from cellsim.model.steady import limiting_current, steady_state

L, T, C = 1e-3, 330.0, 1000.0
CELL = Cell(L, T)
SET = TransportSet.constant(kappa=0.4, D=2e-10, t_plus=0.3, chi=1.3, V_e=9e-5, V_0=4e-5, T=T, z_minus=-2)


def test_voltage_step() -> None:
    result = plan(CELL, SET, Protocol((hold_voltage(0.05, 3600.0),)), C)
    (step,) = result.steps
    assert step.i_0 == pytest.approx(0.05 / (L / 0.4), rel=1e-14)
    assert pytest.approx(0.05, rel=1e-14) == step.V_0
    state = steady_state(CELL, SET, C, voltage=0.05)
    assert step.i_steady == state.i
    assert (step.c_positive, step.c_negative) == (state.c_positive, state.c_negative)
    assert not step.depletes
    assert step.depletion_time == np.inf
    assert result.rho_plus == pytest.approx(1 / (1 + float(SET.newman_number(C))), rel=1e-14)
    assert result.layer.newman_number == pytest.approx(result.newman_number, rel=1e-13)
    assert result.current_ratio == result.rho_plus
    assert result.limiting_current.i == limiting_current(CELL, SET, C).i
    assert pytest.approx(result.depleting_voltage, rel=1e-9) == result.limiting_current.V


def test_velocities_obey_frames_and_charge() -> None:
    """v- = -epsilon v_0 (PHYSICS 2), F sum of z c v = i, lab minus interface = v_s."""
    for motion in ("volume", "none"):
        transport = SET.with_motion(motion)
        cell = Cell(L, T, separator=Separator(0.4, 5.0))
        (step,) = plan(cell, transport, Protocol((hold_current(-4.0, 10.0),)), C).steps
        charge = (
            transport.z_plus * transport.nu_plus * step.v_plus + transport.z_minus * transport.nu_minus * step.v_minus
        )
        assert F * C * 0.4 * charge == pytest.approx(-4.0, rel=1e-12)
        assert step.v_minus > 0  # against the current
        if motion == "volume":
            phi_e = C * 9e-5
            assert step.v_minus == pytest.approx(-(1 - phi_e) / phi_e * step.v_0, rel=1e-12)
        else:
            assert step.v_0 == 0
        assert step.v_interface == pytest.approx(4.0 * 13e-6 / F, rel=1e-12)
        assert step.interface_shift == pytest.approx(10 * step.v_interface, rel=1e-12)


def test_initial_current_with_kinetics_solves_the_balance() -> None:
    kinetics = ButlerVolmer(j_ref=3.0, c_ref=800.0)
    electrode = Electrode(Resistance(np.array([2e-3])), kinetics)
    cell = Cell(L, T, positive=electrode, negative=electrode)
    result = plan(cell, SET, Protocol((hold_voltage(0.2, 60.0),)), C)
    i_0 = result.steps[0].i_0
    j_0 = kinetics.exchange_current(C)
    eta = 2 * R * T / F * np.arcsinh(i_0 / (2 * j_0))
    assert i_0 * (L / 0.4 + 4e-3) + 2 * eta == pytest.approx(0.2, rel=1e-12)
    assert result.interface_resistance == pytest.approx(4e-3 + 2 * R * T / (F * j_0), rel=1e-12)
    assert result.current_ratio > result.rho_plus


def test_depletion_at_constant_current() -> None:
    transport = replace(SET, volumes=replace(SET.volumes, V_e=0.0))
    i = 1.6 * limiting_current(CELL, transport, C).i
    protocol = Protocol((hold_current(i, 1e6), rest(10.0), hold_current(i, 1.0)))
    result = plan(CELL, transport, protocol, C)
    first, second, third = result.steps
    assert first.depletes
    assert np.isnan(first.i_steady)
    assert first.depletion_time == pytest.approx(
        analytic.depletion_time(layer_of(CELL, transport, C), i, stop_concentration(transport, C)), rel=1e-12
    )
    assert first.sand_time == pytest.approx(analytic.sand_time(result.layer, i), rel=1e-12)
    assert "no steady state" in first.outcome
    assert second.i_0 == 0
    assert not third.depletes
    assert "not within this step" in third.outcome
    text = "\n".join(result.lines())
    assert "step 2: rest" in text
    assert "every step as if it began on the uniform initial concentration" in text


def test_depletion_at_constant_voltage() -> None:
    result = plan(CELL, SET, Protocol((hold_voltage(0.1, 60.0),)), C)
    V = result.depleting_voltage
    (below,) = plan(CELL, SET, Protocol((hold_voltage(0.99 * V, 1e7),)), C).steps
    (above,) = plan(CELL, SET, Protocol((hold_voltage(1.01 * V, 1e7),)), C).steps
    assert not below.depletes
    assert above.depletes
    assert 0 < above.depletion_time < 1e7
    clamped = SET.with_extrapolation("clamp")
    assert plan(CELL, clamped, Protocol((hold_voltage(1.01 * V, 1e7),)), C).steps[0].depletes
    backwards = plan(CELL, SET, Protocol((hold_voltage(-0.1, 60.0),)), C)
    assert backwards.depleting_voltage == pytest.approx(-V, rel=1e-12)


def test_followed_tables_are_planned_at_their_peak() -> None:
    time = np.array([0.0, 100.0, 200.0])
    step = Step("current", np.array([0.0, -6.0, 0.0]), 200.0, time=time)
    planned = plan(CELL, SET, Protocol((step,)), C).steps[0]
    assert planned.i_0 == -6.0
    assert planned.interface_shift == pytest.approx(600 * 13e-6 / F, rel=1e-12)
    by_voltage = Step("voltage", np.array([0.0, 0.05, 0.0]), 200.0, time=time)
    held = plan(CELL, SET, Protocol((hold_voltage(0.05, 200.0),)), C).steps[0]
    ramped = plan(CELL, SET, Protocol((by_voltage,)), C).steps[0]
    assert ramped.i_0 == pytest.approx(held.i_0, rel=1e-12)
    assert 0.3 < ramped.interface_shift / held.interface_shift < 0.6


def test_full_transference_has_nothing_to_deplete() -> None:
    result = plan(CELL, TransportSet.constant(kappa=0.4, D=2e-10, t_plus=1.0, T=T),
                  Protocol((hold_voltage(0.1, 60.0),)), C)  # fmt: skip
    assert result.newman_number == 0
    assert result.steps[0].i_steady == pytest.approx(result.steps[0].i_0, rel=1e-14)
    assert result.steps[0].sand_time == np.inf
    assert "unlimited" in "\n".join(result.lines())


def test_text_says_units_and_reasons() -> None:
    lines = plan(CELL, SET, Protocol((hold_voltage(0.05, 3600.0),)), C).lines()
    text = "\n".join(lines)
    assert lines[0] == "constant, before any run"
    assert "step 1: hold voltage, 0.05 V for 60 min" in text
    assert "limiting current" in text
    assert "the negative face reaches the lower end of range of constant" in text
    # t+0 is constant, and phi_0 is 1 - V_e c = 0.9 at c0 and 1 in an empty face: 1.099
    assert "towards depletion phi_0 (1 - t+0) changes by +10 %" in text
    assert "nan" not in text
    assert all(len(line) < 150 for line in lines)


def test_initial_concentration_outside_the_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"electrolyte.salt: c = .* lies outside"):
        plan(CELL, SET, Protocol((hold_voltage(0.05, 60.0),)), 2e4)
