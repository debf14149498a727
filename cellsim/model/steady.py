"""The steady state by quadrature, never by time stepping: profile, current, voltage, limiting current, depletion.

At steady state no anion moves and, in the interface frame, no solvent either (N- = 0, v_0 = 0), so that

    dc/dx = -i/g(c),   g = factor D/M,   M = phi_0 (1 - t+0)/(z+ nu+ F)

for any partial molar volumes. With G, P integrals over c between the faces (a: where c is high, b: where it is low)

    i L = G = int g dc,   ohmic voltage P = int g/(factor kappa) dc,   H = int (c - c0) g dc = 0 conserves the salt.

Where the partial molar volumes vary the layer breathes: salt and solvent are both conserved, which puts c - r_avg c0(c)
in place of c - c0, and i L(0) = int g c_0(c)/c_0(c0) dc. One unknown is left: how far c goes on one side of c0;
the other side has the same part of H. Where 1 - t+0 changes sign G diverges and no profile passes.
Source: Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, ConvergenceError, InputError, RangeError
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.equations import VoltageLaw

UNIFORM = 1e-13  # below this |1 - t+0| the migration of salt is round-off and the profile uniform
DEEPEST = 25.0  # how close, as exp(-DEEPEST), a profile may come to a concentration it cannot pass
EMPTY = 1e-9  # fraction of c0 that stands for zero where properties are clamped and a face can run empty
NODES, WEIGHTS = np.polynomial.legendre.leggauss(6)

Limit = Literal["depletion", "lower end of range", "upper end of range", "saturation", "none"]
Depth = tuple[float, float] | None


@dataclass(frozen=True)
class SteadyState:
    """The steady state of a cell.

    Attributes
    ----------
    i : float
        Current density [A/m^2].
    V, V_ohmic, V_concentration, V_positive, V_negative : float
        Cell voltage and its four parts [V].
    c_positive, c_negative : float
        Salt concentration at x = 0 and x = L [mol/m^3].
    thickness : float
        Of the electrolyte; the initial one unless the partial molar volumes vary [m].
    """

    i: float
    V: float
    V_ohmic: float
    V_concentration: float
    V_positive: float
    V_negative: float
    c_positive: float
    c_negative: float
    thickness: float
    _curve: _Curve
    _depth: Depth

    def profile(self, x: ArrayLike) -> Array:
        """Salt concentration [mol/m^3] at distances `x` [m] from the positive electrode, 0 to `thickness`."""
        x = np.asarray(x, dtype=float)
        if self._depth is None:
            return np.full(x.shape, self._curve.c0)
        low, high = self._curve.low, self._curve.high
        ends = float(low.total(self._depth[0])[0]), float(high.total(self._depth[1])[0])
        y = np.clip(x / self.thickness, 0, 1)
        if self.c_positive < self.c_negative:
            y = 1 - y
        beyond = ends[1] - y * sum(ends)  # part of G between c0 and the point, positive on the high side
        above, below = high.invert(0, np.maximum(beyond, 0.0)), low.invert(0, np.maximum(-beyond, 0.0))
        return np.asarray(np.where(beyond > 0, high.c(above), low.c(below)))


@dataclass(frozen=True)
class LimitingCurrent:
    """The largest steady current, and what it is limited by.

    Attributes
    ----------
    i : float
        Current density, of the sign asked for; infinite if nothing limits it [A/m^2].
    V : float
        Cell voltage there, infinite where the face runs empty [V].
    c_positive, c_negative : float
        Salt concentrations at the faces [mol/m^3].
    limited_by : str
        "depletion" (a face runs empty), "lower end of range", "upper end of range" (a face leaves the set's range),
        "saturation" (no room is left for solvent), "none" (t+0 = 1 at the average or beyond a face).
    reason : str
        The same as a sentence.
    """

    i: float
    V: float
    c_positive: float
    c_negative: float
    limited_by: Limit
    reason: str


def steady_state(
    cell: Cell,
    transport: TransportSet,
    c0: float,
    *,
    voltage: float | None = None,
    current: float | None = None,
    time: float = np.inf,
) -> SteadyState:
    """The steady state at a held voltage or current.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    c0 : float
        Initial, average salt concentration [mol/m^3].
    voltage, current : float
        Exactly one of them: cell voltage [V] or current density [A/m^2].
    time : float
        When to read interfacial resistances that are tables [s]; default: their last value.

    Returns
    -------
    SteadyState

    Raises
    ------
    RangeError
        If a face would run empty or leave the range of the set first.
    InputError
        If not exactly one of voltage and current is given, or it is not finite.
    ConvergenceError
        If the profile has turned into a step at a concentration where t+0 = 1.
    """
    given = [value for value in (voltage, current) if value is not None]
    if len(given) != 1 or not np.isfinite(given[0]):
        raise InputError("steady_state: give exactly one of voltage and current, a finite number")
    return _Curve(cell, transport, float(c0)).state(voltage, current, time)


def steady_curve(cell: Cell, transport: TransportSet, c0: float, currents: ArrayLike) -> list[SteadyState]:
    """The steady states at many currents, quicker than one by one: what does not depend on the current is made once.

    Parameters
    ----------
    cell, transport, c0
        As of :func:`steady_state`.
    currents : array_like, shape (n,)
        Current densities [A/m^2].

    Returns
    -------
    list of SteadyState

    Raises
    ------
    RangeError
        As :func:`steady_state`.
    """
    curve = _Curve(cell, transport, float(c0))
    return [curve.state(None, float(current), np.inf) for current in np.asarray(currents, dtype=float)]


def limiting_current(
    cell: Cell, transport: TransportSet, c0: float, *, direction: int = 1, time: float = np.inf
) -> LimitingCurrent:
    """The current at which, in a steady state, a face runs empty or leaves the range of the set.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties; with ``extrapolate = "clamp"`` the face may run empty, else it stops at the end of the range.
    c0 : float
        Initial, average salt concentration [mol/m^3].
    direction : {1, -1}
        Sign of the current.
    time : float
        When to read interfacial resistances that are tables [s].

    Returns
    -------
    LimitingCurrent
    """
    return _Curve(cell, transport, float(c0)).limit(direction, time)


def depleting_voltage(
    cell: Cell,
    transport: TransportSet,
    c0: float,
    *,
    c_min: float | None = None,
    direction: int = 1,
    time: float = np.inf,
) -> float:
    """The held voltage whose steady state brings a face down to `c_min`.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    c0 : float
        Initial, average salt concentration [mol/m^3].
    c_min : float, optional
        What counts as depleted [mol/m^3]; default: the lower end of the set's range.
    direction : {1, -1}
        Sign of the current.
    time : float
        When to read interfacial resistances that are tables [s].

    Returns
    -------
    float
        [V]; infinite where no steady state reaches `c_min`.
    """
    curve = _Curve(cell, transport, float(c0))
    c_min = transport.c_range[0] if c_min is None else c_min
    if curve.uniform or not 0 < c_min < c0:
        return float(direction) * np.inf
    low, limited, depth = curve.low, curve.limiting_side, float(np.log(c0 / c_min))
    if depth > low.y_end * (1 + 1e-9) or (low.barred and depth >= low.y_end):
        return float(direction) * np.inf
    w = low.w(min(depth, low.y_end))
    if limited is not low:
        inventory = low.total(w)[1]
        if inventory > limited.panels[1][1, -1]:
            return float(direction) * np.inf
        w = float(limited.invert(1, inventory))
    return curve.at(w, direction, time).V


@dataclass(frozen=True)
class _Side:
    """Integrals from c0 outwards, in y = |ln c/c0| or, where no profile can pass, y = y_end (1 - exp(-w))."""

    curve: _Curve
    sign: int
    y_end: float
    stop: Limit

    @property
    def barred(self) -> bool:
        """Whether 1/g vanishes at the end, so that no profile arrives there."""
        return self.stop in ("none", "saturation")

    @property
    def w_end(self) -> float:
        return DEEPEST if self.barred else self.y_end

    def y(self, w: Array) -> Array:
        return np.asarray(-self.y_end * np.expm1(-w)) if self.barred else w

    def w(self, y: float) -> float:
        return float(-np.log1p(-y / self.y_end)) if self.barred else y

    def c(self, w: ArrayLike) -> Array:
        """Concentration [mol/m^3]."""
        return np.asarray(self.curve.c0 * np.exp(self.sign * self.y(np.asarray(w, dtype=float))))

    def slopes(self, w: Array) -> Array:
        """Integrands by w: G, H, G weighted with c0, P, concentration potential; scaled, the first four positive."""
        jacobian = self.y_end * np.exp(-w) if self.barred else 1.0
        return np.asarray(self.curve.integrands(self.sign, self.y(w)) * jacobian)

    @cached_property
    def panels(self) -> tuple[Array, Array]:
        count = int(np.clip(np.ceil(60 * self.w_end), 60, 3000))
        edges = np.linspace(0.0, self.w_end, count + 1)
        parts = self._gauss(edges[:-1], edges[1:])
        return edges, np.concatenate([np.zeros((5, 1)), np.cumsum(parts, axis=1)], axis=1)

    def _gauss(self, a: Array, b: Array) -> Array:
        half = 0.5 * (b - a)
        points = (a + half)[..., None] + half[..., None] * NODES
        return np.asarray(half * (self.slopes(points) @ WEIGHTS))

    def total(self, w: ArrayLike) -> Array:
        """The five integrals from c0 to w, shape (5, ...)."""
        w = np.asarray(w, dtype=float)
        edges, cumulated = self.panels
        panel = np.clip(np.searchsorted(edges, w, side="right") - 1, 0, edges.size - 2)
        return np.asarray(cumulated[:, panel] + self._gauss(edges[panel], w))

    def invert(self, row: int, value: ArrayLike) -> Array:
        """w at which integral `row` has the `value`: Newton in a panel; on sqrt(H), which is linear near w = 0."""
        value = np.asarray(value, dtype=float)
        power = 0.5 if row == 1 else 1.0
        edges, cumulated = self.panels
        known, target = cumulated[row] ** power, value**power
        panel = np.clip(np.searchsorted(known, target, side="right") - 1, 0, edges.size - 2)
        low, high = edges[panel], edges[panel + 1]
        rise = np.maximum(known[panel + 1] - known[panel], 1e-300)
        w = low + (high - low) * np.clip((target - known[panel]) / rise, 0.0, 1.0)
        for _ in range(12):
            got, slope = self.total(w)[row], self.slopes(w)[row]
            slope = np.where(slope > 0, slope, np.inf)  # H and its slope vanish at w = 0, which then is the answer
            step = (got - target) / slope if power == 1 else 2 * np.sqrt(got) * (np.sqrt(got) - target) / slope
            before, w = w, np.clip(w - step, low, high)
            if np.all(np.abs(w - before) <= 1e-15 * high):
                break
        return np.asarray(w)


@dataclass(frozen=True)
class _Curve:
    """All steady states of one cell at one average concentration."""

    cell: Cell
    transport: TransportSet
    c0: float

    def __post_init__(self) -> None:
        if self.cell.is_blocked:
            raise InputError("blocking = true: no current lasts where an electrode blocks; there is no steady state")
        if self.transport.extrapolate == "error":
            self.transport.check(self.c0, what="c0")

    @property
    def breathes(self) -> bool:
        return self.transport.volumes.varies and self.transport.solvent_motion == "volume"

    @cached_property
    def uniform(self) -> bool:
        return abs(1 - float(self.transport.t_plus(self.c0))) < UNIFORM

    @cached_property
    def g_scale(self) -> float:
        """|g(c0)| [A m^2/mol]."""
        return abs(self._g(np.asarray(self.c0)).item())

    def _g(self, c: Array) -> Array:
        factor = self.cell.separator.transport_factor
        return np.asarray(factor * self.transport.D(c) / self.transport.migration(c))

    def integrands(self, sign: int, y: Array) -> Array:
        transport, c0 = self.transport, self.c0
        c = c0 * np.exp(sign * y)
        g = np.abs(self._g(c)) / self.g_scale * (c / c0)  # by y: dc = c dy
        excess = np.abs(np.expm1(sign * y))  # |c - c0|/c0 without cancellation
        weight: Array | float = 1.0
        if self.breathes:
            r_avg, c_0 = float(transport.r(c0)), transport.c_0(c)
            middle = transport.volumes.dc_0(0.5 * (c + c0))
            step = np.where(y > 1e-3, (c_0 - transport.c_0(c0)) / np.where(y > 1e-3, c - c0, 1.0), middle)
            excess = excess * (1 - r_avg * step)
            weight = c_0 / float(transport.c_0(c0))
        ohmic = g * self.g_scale * c0 / (self.cell.separator.transport_factor * transport.kappa(c))
        potential = transport.potential_slope(c)
        return np.stack([g, g * excess, g * weight, ohmic, transport.thermal_voltage * potential])

    @cached_property
    def low(self) -> _Side:
        return self._side(-1)

    @cached_property
    def high(self) -> _Side:
        return self._side(+1)

    def _side(self, sign: int) -> _Side:
        from scipy.optimize import brentq

        top = self.transport.volumes.c_saturation if self.transport.solvent_motion == "volume" else np.inf
        c_end, stop = self.transport.c_range[sign > 0], f"{'upper' if sign > 0 else 'lower'} end of range"
        if self.transport.extrapolate == "clamp":
            c_end = min(top, self.c0 / EMPTY) if sign > 0 else EMPTY * self.c0
            stop = "depletion" if sign < 0 else "saturation" if np.isfinite(top) and not self.breathes else stop

        def sense(y: ArrayLike) -> Array:
            return 1 - self.transport.t_plus(self.c0 * np.exp(sign * np.asarray(y)))

        y = np.linspace(0, max(abs(np.log(c_end / self.c0)), 1e-12), 2001)
        signs = np.sign(sense(y))
        if np.all(signs == signs[0]):
            return _Side(self, sign, float(y[-1]), stop)  # type: ignore[arg-type]
        first = int(np.argmax(signs != signs[0]))
        return _Side(self, sign, float(brentq(sense, y[first - 1], y[first], xtol=1e-15, rtol=1e-14)), "none")

    @cached_property
    def limiting_side(self) -> _Side:
        """The side that comes to its end first."""
        return self.low if self.low.panels[1][1, -1] <= self.high.panels[1][1, -1] else self.high

    def at(self, w: float, direction: int, time: float) -> SteadyState:
        """The steady state whose profile goes to `w` on the limiting side."""
        inventory, limited = self.limiting_side.total(w)[1], self.limiting_side
        w_low, w_high = (w if side is limited else float(side.invert(1, inventory)) for side in (self.low, self.high))
        G, _, weighted, ohmic, potential = self.low.total(w_low) + self.high.total(w_high)
        i = direction * float(weighted) * self.g_scale * self.c0 / self.cell.thickness
        sense = 1 if float(self.transport.t_plus(self.c0)) < 1 else -1  # the potential's integrand has this sign
        faces = [float(self.high.c(w_high)), float(self.low.c(w_low))]
        if direction * sense < 0:
            faces.reverse()
        drops = direction * float(ohmic), direction * sense * float(potential)
        return self._state(i, drops, faces, self.cell.thickness * float(G / weighted), time, (w_low, w_high))

    def flat(self, i: float, time: float) -> SteadyState:
        """The state without gradients: at rest, or at any current where t+0 = 1."""
        factor = self.cell.separator.transport_factor
        resistance = self.cell.thickness / (factor * float(self.transport.kappa(self.c0)))
        return self._state(i, (i * resistance, 0.0), [self.c0] * 2, self.cell.thickness, time, None)

    def _state(
        self, i: float, drops: tuple[float, float], faces: list[float], thickness: float, time: float, depth: Depth
    ) -> SteadyState:
        positive = self.cell.positive.loss(i, faces[0], self.cell.temperature, time)
        negative = -self.cell.negative.loss(-i, faces[1], self.cell.temperature, time)
        V = sum(drops) + positive + negative
        return SteadyState(i, V, *drops, positive, negative, faces[0], faces[1], thickness, self, depth)

    def state(self, voltage: float | None, current: float | None, time: float) -> SteadyState:
        """At a voltage or at a current."""
        from scipy.optimize import brentq

        wanted = float(voltage if current is None else current)  # type: ignore[arg-type]
        if self.uniform or wanted == 0:
            law = VoltageLaw(self.cell, self.transport)
            return self.flat(law.initial_current(wanted, self.c0, time) if current is None else wanted, time)
        direction = 1 if wanted > 0 else -1

        w_end = self.limiting_side.w_end

        def miss(log_w: float) -> float:  # w is proportional to the signal while it is small
            state = self.at(w_end * np.exp(log_w), direction, time)
            return float(np.log((state.V if current is None else state.i) / wanted))

        if (short := miss(0.0)) <= 0:
            end = self.at(w_end, direction, time)
            if short < -1e-12:
                self._refuse(wanted, end, "V" if current is None else "A/m^2")
            return end
        lowest = -1.0
        while miss(lowest) > 0:
            lowest *= 2
            if lowest < -300:
                raise ConvergenceError(f"steady_state: {wanted:.4g} is too small to resolve; ask for a larger signal")
        root = brentq(miss, lowest, 0.0, xtol=1e-14, rtol=1e-14)
        return self.at(w_end * float(np.exp(root)), direction, time)

    def limit(self, direction: int, time: float) -> LimitingCurrent:
        infinite = direction * np.inf
        stop = "none" if self.uniform else self.limiting_side.stop
        if stop == "none":
            what = "t+0 = 1, salt does not migrate" if self.uniform else "the profile stops short of where t+0 = 1"
            return LimitingCurrent(infinite, infinite, np.nan, np.nan, "none", f"no limiting current: {what}")
        end = self.at(self.limiting_side.w_end, direction, time)
        V = infinite if stop in ("depletion", "saturation") else end.V
        return LimitingCurrent(end.i, V, end.c_positive, end.c_negative, stop, self._reason(end))

    def _reason(self, end: SteadyState) -> str:
        side = self.limiting_side
        c = float(side.c(side.w_end))
        where = "positive" if (end.c_positive > end.c_negative) == (side.sign > 0) else "negative"
        if side.stop in ("depletion", "saturation"):
            return f"the {where} face {'has no salt left' if side.sign < 0 else 'has no solvent left'}"
        return f"the {where} face reaches the {side.stop} of {self.transport.name}, {c / 1e3:.4g} mol/L"

    def _refuse(self, wanted: float, end: SteadyState, unit: str) -> None:
        side = self.limiting_side
        if side.stop == "none":
            raise ConvergenceError(
                f"no steady state resolved at {wanted:.4g} {unit}: the profile has become a step at the concentration "
                f"where t+0 = 1, {float(side.c(side.w_end)) / 1e3:.4g} mol/L; ask for a smaller signal"
            )
        most = f"{end.V if unit == 'V' else end.i:.4g} {unit}"
        remedy = "" if side.stop in ("depletion", "saturation") else ', choose another set or extrapolate = "clamp"'
        message = f"no steady state at {wanted:.4g} {unit}: at {most} {self._reason(end)}; ask for less{remedy}"
        raise RangeError(message, "c", float(side.c(side.w_end)))
