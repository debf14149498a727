"""Double layers at the electrodes of the sundials solver: the voltage across each interface becomes a state.

With u the part of the cell voltage at an interface (the overpotential eta at x = 0, -eta at x = L), i the current of
the electrolyte and f(u) the part of it that crosses by charge transfer::

    C du/dt = i - f(u),    f(u) = u/R, or the kinetics' inverse, or 0 at a blocking electrode
    V = i integral dx/kappa + K [W(c(0)) - W(c(L))] + u_0 + u_L

What charges a double layer is the cation: no anion and no solvent crosses a wall, as everywhere in the model, so that
the salt balance and its walls are those of the current i and salt is conserved as before. At given u the electrolyte is
a cell without interfaces that sees V - u_0 - u_L, and the kernels of both grids solve it unchanged; here are the two
further states and what they add to the Jacobian. A state is the salt, the charge, then u_0 and u_L.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cellsim.base import Array
from cellsim.cell.kinetics import Electrode
from cellsim.cell.protocol import Step
from cellsim.model.equations import compiled
from cellsim.solvers import banded, kernels
from cellsim.solvers.banded import Banded
from cellsim.solvers.kernels import (
    BV_NEG,
    BV_POS,
    C_INIT,
    CHARGE,
    DRIVE,
    DRIVE_N,
    FINE,
    MIGRATION,
    R_NEG,
    R_POS,
    RATE,
    ROWS,
    T_START,
    VOLTAGE,
    M,
    Q,
)
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.spectral import Observed, Spectral

SHARE = 0.03
"""Of the tolerance of a time step, which is a mean over all states, that the voltages of the interfaces may use."""
LEAST_VOLTAGE = 1e-6
"""Voltages below this share of nu RT/F count as none."""

# ---- kernels ---------------------------------------------------------------------------------------------------------
# `data`: `par`, operators and tables of the whole cell, `par` of the electrolyte alone, and four numbers of the layers:
# both capacitances (0: none), and whether each electrode is blocking; then the room of the grid's kernels


@compiled
def electrolyte(t, s, data):  # type: ignore[no-untyped-def]
    """What the grid's own kernels read: the numbers of the electrolyte alone, with the drive that it sees now."""
    par, ops, tab, inner, _layers, room = data
    m = int(par[M])
    drive = kernels.interp(par, int(par[DRIVE]), int(par[DRIVE_N]), t - par[T_START])
    if par[VOLTAGE] != 0.0:
        drive -= s[m + 1] + s[m + 2]
    inner[int(inner[DRIVE]) + 1] = drive
    return inner, ops, tab, room


@compiled
def walls(dense, s, data):  # type: ignore[no-untyped-def]
    """Salt concentrations at both walls."""
    par, ops = data[0], data[1]
    if not dense:
        return banded.cells(par, ops, s, np.empty(int(par[M]) + 1))
    q, rows, c_0, c_L = int(par[Q]), int(par[ROWS]), 0.0, 0.0
    for j in range(int(par[M])):
        c_0 += ops[j * rows] * s[j]
        c_L += ops[j * rows + q - 1] * s[j]
    return par[C_INIT] * (1 + c_0), par[C_INIT] * (1 + c_L)


@compiled
def crossing(t, side, u, c, data):  # type: ignore[no-untyped-def]
    """f(u) of electrode `side`, 0 or 1, and its slopes with respect to u and c."""
    par, tab, layers = data[0], data[2], data[4]
    if layers[2 + side] != 0.0:
        return 0.0, 0.0, 0.0
    place = R_POS if side == 0 else R_NEG
    R = kernels.interp(par, int(par[place]), int(par[place + 1]), t)
    place = BV_POS if side == 0 else BV_NEG
    if par[place] == 0.0:
        return u / R, 1 / R, 0.0
    # the dissolution current at x = L is -f at the overpotential -u
    sign = 1.0 if side == 0 else -1.0
    eta, f, per_f, per_c = sign * u, 0.0, 1.0, 0.0
    for _ in range(100):  # concave on either side of zero: from zero Newton comes monotonically
        loss, per_f, per_c = kernels.loss(par, tab, place, f, c)
        per_f += R
        change = (loss + R * f - eta) / per_f
        f -= change
        if abs(change) <= 1e-13 * abs(f):
            break
    return sign * f, 1 / per_f, -sign * per_c / per_f


@compiled
def rate(dense, t, s, ds, data):  # type: ignore[no-untyped-def]
    """ds/dt; whether all c are positive."""
    par, layers = data[0], data[4]
    m = int(par[M])
    own = electrolyte(t, s, data)
    salt, change = s[: m + 1], ds[: m + 1]
    sound = kernels.rate(t, salt, change, own) if dense else banded.rate(t, salt, change, own)
    i = ds[m] / par[CHARGE]
    wall = walls(dense, s, data)
    for side in range(2):
        ds[m + 1 + side] = 0.0
        if layers[side] > 0.0:
            ds[m + 1 + side] = (i - crossing(t, side, s[m + 1 + side], wall[side], data)[0]) / layers[side]
    return sound


@compiled
def seen(dense, t, s, c, data):  # type: ignore[no-untyped-def]
    """Concentrations into `c`; current, voltage, c at both walls and dV/di of the electrolyte."""
    par, own = data[0], electrolyte(t, s, data)
    inner, ops, tab, room = own
    m = int(par[M])
    if dense:
        whole, places = room[0], room[1, : c.size]
        kernels.profile(inner, ops, whole.size, s, whole)
        c[:], places[:] = whole[: c.size], whole[: c.size]
        kernels.places(inner, places)
        c_0, c_L, resistance = c[0], c[c.size - 1], kernels.resistance_of(inner, ops, tab, places)
    else:
        c_0, c_L = banded.cells(inner, ops, s, c)
        resistance = banded.resistance_of(inner, ops, tab, c)
    i, V, dV_di, _a, _b = kernels.close(inner, tab, t, resistance, c_0, c_L)
    return i, V + s[m + 1] + s[m + 2], c_0, c_L, dV_di


@compiled
def events(dense, t, s, g, data):  # type: ignore[no-untyped-def]
    """Stop conditions and limits, by the grids' `judge`; the state moves as the right-hand side says."""
    par, tab = data[0], data[2]
    m = int(par[M])
    c = np.empty(int(par[Q]) if dense else m + 1)
    rate_of_i, rate_of_V = 0.0, 0.0
    if kernels.watches_rate(par):
        ds = np.empty(s.size)
        rate(dense, t, s, ds, data)
        dt = 1e-6 * (t - par[T_START]) + 1e-9
        i, V, _c, _d, _e = seen(dense, t, s, c, data)
        later = seen(dense, t + dt, s + dt * ds, c, data)
        rate_of_i, rate_of_V = (later[0] - i) / dt, (later[1] - V) / dt
    i, V, c_0, c_L, _e = seen(dense, t, s, c, data)
    last = c.size - 1
    c[0], c[last] = (
        min(c[0], c_0) if c_0 < c[1] else max(c[0], c_0),
        (min(c[last], c_L) if c_L < c[last - 1] else max(c[last], c_L)),
    )
    kernels.judge(par, tab, i, V, rate_of_i, rate_of_V, kernels.passed(par, s, m), c, c_0, c_L, g)


@compiled
def observe(dense, times, states, data, judging, i, wall, resistance, extremes, quadrature, tail):  # type: ignore[no-untyped-def]
    """As the grids' own, of many states."""
    for j in range(times.size):
        k = j + 1
        own = electrolyte(times[j], states[j], data)
        if dense:
            kernels.observe(
                times[j:k],
                states[j:k],
                own,
                judging[0],
                judging[1],
                i[j:k],
                wall[j:k],
                resistance[j:k],
                extremes[j:k],
                quadrature[j:k],
                tail[j:k],
            )
        else:
            banded.observe(times[j:k], states[j:k], own, i[j:k], wall[j:k], resistance[j:k], extremes[j:k])


@compiled
def linearise(dense, t, s, data, joint):  # type: ignore[no-untyped-def]
    """Into `joint`: di/du, then f's slopes with respect to u and to c of both electrodes."""
    par, layers = data[0], data[4]
    m = int(par[M])
    _i, _V, c_0, c_L, dV_di = seen(dense, t, s, np.empty(int(par[Q]) if dense else m + 1), data)
    joint[0] = -1 / dV_di if par[VOLTAGE] != 0.0 else 0.0
    for side in range(2):
        joint[1 + side], joint[3 + side] = 0.0, 0.0
        if layers[side] > 0.0:
            _f, joint[1 + side], joint[3 + side] = crossing(t, side, s[m + 1 + side], c_0 if side == 0 else c_L, data)


@compiled
def jacobian(t, s, ds, J, data):  # type: ignore[no-untyped-def]
    """d(ds/dt)/ds on the spectral grid."""
    par, ops, tab, _inner, layers, room = data
    m, q, fine = int(par[M]), int(par[Q]), int(par[FINE])
    joint, u = np.empty(5), room[0, :q]
    linearise(True, t, s, data, joint)
    kernels.jacobian(t, s[: m + 1], ds[: m + 1], J[: m + 1, : m + 1], electrolyte(t, s, data))
    kernels.profile(par, ops, room.shape[1], s, room[0])
    kernels.places(par, u)
    for p in range(m):
        J[p, m + 1] = par[RATE] * kernels.value_at(par, tab, MIGRATION, u[fine * (p + 1)]) * joint[0]
    J[m, m + 1] = par[CHARGE] * joint[0]
    for p in range(m + 1):
        J[p, m + 2] = J[p, m + 1]
        for side in range(2):
            J[m + 1 + side, p] = 0.0
            if layers[side] > 0.0:
                per_c = ops[p * int(par[ROWS]) + side * (q - 1)] * par[C_INIT] if p < m else 0.0
                per_s = J[m, p] / par[CHARGE]
                J[m + 1 + side, p] = (per_s - joint[3 + side] * per_c) / layers[side]
    for side in range(2):
        for other in range(2):
            J[m + 1 + side, m + 1 + other] = 0.0
            if layers[side] > 0.0:
                own = joint[1 + side] if side == other else 0.0
                J[m + 1 + side, m + 1 + other] = (joint[0] - own) / layers[side]


@compiled
def wall_change(side, v, data):  # type: ignore[no-untyped-def]
    """The change of c at a wall of the finite volumes for a change `v` of the state."""
    par, ops = data[0], data[1]
    n = int(par[M]) + 1
    total = 0.0
    for j in range(3):
        cell = j if side == 0 else n - 1 - j
        change = (v[cell] if cell < n - 1 else 0.0) - (v[cell - 1] if cell > 0 else 0.0)
        total += ops[2 * n - 1 + j] * par[C_INIT] * change / ops[cell]
    return total


@compiled
def of_current(per_s, v):  # type: ignore[no-untyped-def]
    """The change of the current for a change `v` of the salt."""
    total = 0.0
    for p in range(per_s.size):
        total += per_s[p] * v[p]
    return total


@compiled
def multiply(bands, per_i, per_s, joint, v, out, data):  # type: ignore[no-untyped-def]
    """The Jacobian of the finite volumes times `v`."""
    charge, layers, m = data[0][CHARGE], data[4], per_i.size
    banded.multiply(bands, per_i, per_s, charge, v[: m + 1], out[: m + 1])
    by_layers = joint[0] * (v[m + 1] + v[m + 2])
    for p in range(m):
        out[p] += per_i[p] * by_layers
    out[m] += charge * by_layers
    change = of_current(per_s, v) + by_layers
    for side in range(2):
        out[m + 1 + side] = 0.0
        if layers[side] > 0.0:
            crossed = joint[1 + side] * v[m + 1 + side] + joint[3 + side] * wall_change(side, v, data)
            out[m + 1 + side] = (change - crossed) / layers[side]


@compiled
def solve(bands, per_i, per_s, joint, gamma, r, out, data):  # type: ignore[no-untyped-def]
    """(1 - gamma J)^-1 r on the finite volumes: the salt eliminated, two equations are left for the layers."""
    charge, layers, m = data[0][CHARGE], data[4], per_i.size
    source, answer = np.empty(m + 1), np.empty(m + 1)
    source[:m], source[m] = per_i, charge
    banded.solve(bands, per_i, per_s, charge, gamma, r[: m + 1], out[: m + 1])
    banded.solve(bands, per_i, per_s, charge, gamma, source, answer)
    left, right = np.eye(2), np.empty(2)
    for side in range(2):
        right[side] = r[m + 1 + side]
        if layers[side] > 0.0:
            scale = gamma / layers[side]
            to_out = of_current(per_s, out) - joint[3 + side] * wall_change(side, out, data)
            to_answer = of_current(per_s, answer) - joint[3 + side] * wall_change(side, answer, data)
            right[side] += scale * to_out
            for other in range(2):
                left[side, other] -= scale * joint[0] * (1 + gamma * to_answer)
            left[side, side] += scale * joint[1 + side]
    determinant = left[0, 0] * left[1, 1] - left[0, 1] * left[1, 0]
    u_0 = (right[0] * left[1, 1] - right[1] * left[0, 1]) / determinant
    u_L = (right[1] * left[0, 0] - right[0] * left[1, 0]) / determinant
    for p in range(m + 1):
        out[p] += gamma * joint[0] * (u_0 + u_L) * answer[p]
    out[m + 1], out[m + 2] = u_0, u_L


@compiled
def rate_spectral(t, s, ds, data):  # type: ignore[no-untyped-def]
    """:func:`rate` on the spectral grid."""
    return rate(True, t, s, ds, data)


@compiled
def events_spectral(t, s, g, data):  # type: ignore[no-untyped-def]
    """:func:`events` on the spectral grid."""
    events(True, t, s, g, data)


@compiled
def rate_banded(t, s, ds, data):  # type: ignore[no-untyped-def]
    """:func:`rate` on finite volumes."""
    return rate(False, t, s, ds, data)


@compiled
def events_banded(t, s, g, data):  # type: ignore[no-untyped-def]
    """:func:`events` on finite volumes."""
    events(False, t, s, g, data)


# ---- grids -----------------------------------------------------------------------------------------------------------


def layered_data(physics: Physics, data: tuple[Array, Array, Array, Array]) -> tuple[Array, ...]:
    """What the kernels above read, from what those of the grid do."""
    par, ops, tab, room = data
    end, layers = par.size, np.zeros(4)
    inner = np.concatenate([par, np.zeros(4)])  # a resistance of none, and a drive that changes with every call
    electrodes = (physics.cell.positive, R_POS, BV_POS), (physics.cell.negative, R_NEG, BV_NEG)
    for side, (electrode, R, law) in enumerate(electrodes):
        layers[side], layers[2 + side] = electrode.capacitance, electrode.blocking
        if electrode.capacitance:
            inner[R], inner[R + 1], inner[law] = end, 1, 0
    inner[DRIVE], inner[DRIVE_N] = end + 2, 1
    return par, ops, tab, inner, layers, room


def voltage_tolerances(physics: Physics, step: Step, u: Array, rtol: float) -> tuple[float, ...]:
    """Absolute tolerances of both interface voltages in a step that begins with `u` [V]."""
    cell, thermal = physics.cell, physics.transport.thermal_voltage
    size = max(float(np.max(np.abs(u))), LEAST_VOLTAGE * thermal)
    if step.drive == "voltage":
        size = max(size, step.largest)
    else:
        size = max(size, *(_charged_to(e, step, physics.c0, cell.temperature) for e in (cell.positive, cell.negative)))
    # the tail of a relaxation is read on a logarithmic axis
    return (SHARE * rtol * (1.0 if np.any(step.value) else 1e-3) * 10.0 ** round(math.log10(size)),) * 2


def _charged_to(electrode: Electrode, step: Step, c: float, T: float) -> float:
    """The voltage that a double layer reaches at most within a step of an imposed current [V]."""
    if not electrode.capacitance:
        return 0.0
    i = step.largest
    alone = i * step.duration / electrode.capacitance
    return alone if electrode.blocking else min(alone, electrode.loss(i, c, T, 0.0))


class LayeredSpectral(Spectral):
    """The spectral grid with the voltages of double layers behind the charge; see the module."""

    further = 2
    rate = staticmethod(rate_spectral)
    events = staticmethod(events_spectral)

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> Any:
        """What the kernels read during one protocol step."""
        return layered_data(self.physics, super().data(step, t_start, events))

    def further_tolerances(self, step: Step, further: Array, rtol: float) -> tuple[float, ...]:
        """Of the voltages across the interfaces [V]."""
        return voltage_tolerances(self.physics, step, further, rtol)

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """As :meth:`Spectral.solver_options`."""

        def jacfn(t: float, s: Array, ds: Array, J: Array) -> None:
            jacobian(t, s, ds, J, box[0])

        return {"linsolver": "dense", "jacfn": jacfn}

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """As :meth:`Spectral.observe`."""
        size = times.size
        i, resistance, quadrature, tail = np.empty((4, size))
        wall, extremes = np.empty((2, size, 2))
        observe(True, times, states, data, self.judging, i, wall, resistance, extremes, quadrature, tail)
        return Observed(i, wall, resistance, extremes, tail, quadrature)


class LayeredBanded(Banded):
    """The finite volumes with the voltages of double layers behind the charge; see the module."""

    further = 2
    rate = staticmethod(rate_banded)
    events = staticmethod(events_banded)

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> Any:
        """What the kernels read during one protocol step."""
        return layered_data(self.physics, super().data(step, t_start, events))

    def further_tolerances(self, step: Step, further: Array, rtol: float) -> tuple[float, ...]:
        """Of the voltages across the interfaces [V]."""
        return voltage_tolerances(self.physics, step, further, rtol)

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """As :meth:`Banded.solver_options`: GMRES, preconditioned by the exact solve."""
        m = self.unknowns
        bands, per_i, per_s, joint = np.zeros((3, m)), np.zeros(m), np.zeros(m), np.zeros(5)

        def at_state(t: float, s: Array, ds: Array) -> None:
            linearise(False, t, s, box[0], joint)
            banded.linearise(t, s, electrolyte(t, s, box[0]), bands, per_i, per_s)

        def setup(t: float, s: Array, ds: Array, jok: bool, jnew: list[int], gamma: float) -> None:
            jnew[0] = 0 if jok else 1

        def precondition(
            t: float, s: Array, ds: Array, r: Array, z: Array, gamma: float, delta: float, lr: int
        ) -> None:
            solve(bands, per_i, per_s, joint, gamma, r, z, box[0])

        def times_vector(t: float, s: Array, ds: Array, v: Array, Jv: Array) -> None:
            multiply(bands, per_i, per_s, joint, v, Jv, box[0])

        return {"linsolver": "gmres", "precond": (setup, precondition), "jactimes": (at_state, times_vector)}

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """As :meth:`Banded.observe`."""
        size = times.size
        i, resistance, quadrature, tail = np.zeros((4, size))
        wall, extremes = np.empty((2, size, 2))
        observe(False, times, states, data, self.judging, i, wall, resistance, extremes, quadrature, tail)
        return Observed(i, wall, resistance, extremes, tail, quadrature)
