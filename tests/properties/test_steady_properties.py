"""Properties of the steady state: mirror symmetry, scaling, conservation, growth with the drive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson

from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.steady import limiting_current, steady_state

T = 330.0
FEW = settings(max_examples=25, deadline=None)


@st.composite
def sets(draw) -> TransportSet:
    """Electrolytes with four varying properties, t+0 below 1, any valence, with or without solvent motion."""
    a, b, d, e = (draw(st.floats(-0.5, 0.5)) for _ in range(4))
    t_plus = draw(st.floats(-3.0, 0.9))
    z_plus, z_minus = draw(st.sampled_from([(1, -1), (2, -1), (1, -20)]))
    motion = draw(st.sampled_from(["volume", "none"]))
    base = TransportSet.constant(kappa=1.0, D=1e-10, t_plus=0.0, V_e=1e-4, V_0=5e-5, T=T, z_plus=z_plus,
                                 z_minus=z_minus, c_range=(10.0, 4000.0), solvent_motion=motion)  # fmt: skip
    return replace(
        base,
        kappa_source=lambda c, m, r: 0.3 * (c / 1000) ** (1 + a),
        D_source=lambda c, m, r: 1e-10 * np.exp(b * c / 1000),
        t_plus_source=lambda c, m, r: t_plus + 0.04 * d * c / 1000,
        chi_source=lambda c, m, r: 1 + 0.5 * e * c / 1000 + 0.3 * (c / 1000) ** 2,
    )


@given(transport=sets(), fraction=st.floats(1e-4, 0.95), thickness=st.floats(1e-5, 1e-2))
@FEW
def test_mirror_scaling_and_inventory(transport: TransportSet, fraction: float, thickness: float) -> None:
    cell = Cell(thickness, T)
    i = fraction * limiting_current(cell, transport, 1000.0).i
    state = steady_state(cell, transport, 1000.0, current=i)
    mirrored = steady_state(cell, transport, 1000.0, current=-i)
    assert (mirrored.c_positive, mirrored.c_negative) == (state.c_negative, state.c_positive)
    assert mirrored.V == -state.V
    double = steady_state(Cell(2 * thickness, T), transport, 1000.0, current=i / 2)
    assert double.c_negative == pytest.approx(state.c_negative, rel=1e-10)
    assert pytest.approx(state.V, rel=1e-10) == double.V
    # salt: quadrature of the inverted profile; the profile may steepen at the depleted face, hence the tanh grid
    x = 0.5 * thickness * (1 + np.tanh(np.linspace(-6, 6, 2001)) / np.tanh(6))
    assert simpson(state.profile(x), x=x) / thickness == pytest.approx(1000.0, rel=1e-6)
    assert np.all(np.diff(state.profile(x)) <= 1e-9)


@given(transport=sets(), low=st.floats(1e-3, 0.9), more=st.floats(1.01, 1.1))
@FEW
def test_current_and_depth_grow_with_voltage(transport: TransportSet, low: float, more: float) -> None:
    electrode = Electrode(Resistance(np.array([1e-3])), ButlerVolmer(5.0, 1000.0, 0.4, 0.6))
    cell = Cell(1e-3, T, negative=electrode)
    limit = limiting_current(cell, transport, 1000.0)
    voltage = low * limit.V
    first = steady_state(cell, transport, 1000.0, voltage=voltage)
    second = steady_state(cell, transport, 1000.0, voltage=voltage * more)
    assert first.i < second.i < limit.i
    assert first.c_negative > second.c_negative
    assert pytest.approx(voltage, rel=1e-10) == first.V
    parts = first.V_ohmic + first.V_concentration + first.V_positive + first.V_negative
    assert parts == pytest.approx(voltage, rel=1e-10)
