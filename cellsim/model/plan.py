"""Answers before a run: what a protocol will do to a cell, from closed forms and quadrature, never by time stepping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cellsim.base import ConvergenceError, InputError, RangeError
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import LISTED, Protocol, Step, lasting, numbered
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import closed_forms as analytic
from cellsim.model import equations, small_signals
from cellsim.model.closed_forms import Layer
from cellsim.model.equations import VoltageLaw
from cellsim.model.steady import LimitingCurrent, SteadyState, depleting_voltage, limiting_current, steady_state

LEFT = 0.01
"""What is left at the "time to steady state": part of a held current's build-up, excess of a held voltage's current."""
NUDGE = 1e-4
"""Relative change of a steady current by which its differential resistance is read."""


@dataclass(frozen=True)
class StepPlan:
    """What one step does, as if it began on the uniform initial concentration.

    Attributes
    ----------
    label, drive : str
        Name, and "voltage" or "current".
    value, duration : float
        Drive, of a followed table or a ramp the value of largest magnitude [V or A/m^2]; how long [s].
    first : float or None
        Drive at the start of a followed table or a ramp; None where the drive is held [V or A/m^2].
    course : str
        The drive in words.
    i_0, V_0 : float
        Current density [A/m^2] and voltage [V] at the start, before any salt has moved.
    i_steady, V_steady : float
        At steady state; nan where there is none [A/m^2], [V].
    c_positive, c_negative : float
        Salt concentration at the faces at steady state; nan where there is none [mol/m^3].
    sand_time : float
        Sand's time at `i_0` [s].
    migration_change, D_change : float
        Relative change of phi_0 (1 - t+0) and of D from c0 to the concentration that ends a run [1].
    settling_time : float
        When the current of a held voltage is within 1 % of the steady one, from a uniform start, linearised about the
        steady state; nan for other steps and where there is none [s].
    depletes : bool
        Whether the step ends early because a face runs empty or leaves the range of the set.
    depletion_time : float
        When: an estimate for a held current, at the earliest for a held voltage; infinite if not within the step [s].
    v_minus, v_plus, v_0 : float
        Velocities at mid-cell at `i_0`, before the profile gets there, interface frame [m/s].
    v_interface : float
        Velocity of the interfaces in the lab frame at `i_0`; add it to the three above for the lab frame [m/s].
    interface_shift : float
        Displacement of the interfaces in the lab frame by the end of the step, an estimate [m].
    outcome : str
        A sentence.
    """

    label: str
    drive: str
    value: float
    duration: float
    first: float | None
    course: str
    i_0: float
    V_0: float
    i_steady: float
    V_steady: float
    c_positive: float
    c_negative: float
    sand_time: float
    migration_change: float
    D_change: float
    settling_time: float
    depletes: bool
    depletion_time: float
    v_minus: float
    v_plus: float
    v_0: float
    v_interface: float
    interface_shift: float
    outcome: str


@dataclass(frozen=True)
class StartPlan:
    """What is known of a run that begins with a profile.

    Attributes
    ----------
    c_positive, c_negative : float
        Salt concentration at both walls [mol/m^3].
    resistance : float
        Integral of dx/kappa over the profile, separator included [ohm m^2].
    rest_voltage : float
        The concentration potential between the walls: the voltage while no current flows [V].
    i, V : float
        Current density [A/m^2] and voltage [V] at the very start of the first step.
    """

    c_positive: float
    c_negative: float
    resistance: float
    rest_voltage: float
    i: float
    V: float

    def lines(self) -> list[str]:
        """As text, with what else of the plan holds for such a start."""
        rows = (
            ("c at the positive face, start", self.c_positive, "mol/m^3", ""),
            ("c at the negative face, start", self.c_negative, "mol/m^3", ""),
            ("bulk resistance of the profile", self.resistance, "ohm m^2", "separator included"),
            ("voltage at rest", self.rest_voltage, "V", "concentration potential between the faces"),
            ("first current", self.i, "A/m^2", "step 1, on this profile"),
            ("first voltage", self.V, "V", "step 1, on this profile"),
        )
        return [
            "",
            "the run begins with a profile",
            *(plan_line(*row) for row in rows),
            "  Steady states, the limiting current and the depleting voltage do not depend on how a run begins.",
            "  All else is that of a uniform start at the average: i_0, Sand's time, when a face is depleted, when a",
            "  current settles, velocities and shifts; only a run tells these for this profile.",
        ]


@dataclass(frozen=True)
class Plan:
    """What is known of a case before it runs.

    Attributes
    ----------
    transport : str
        Name of the set.
    c0, r0 : float
        Initial salt concentration [mol/m^3], salt per solvent [1].
    layer : Layer
        Thickness and the properties at the initial concentration.
    rho_plus, newman_number : float
        Current fraction 1/(1 + Ne), and Ne [1].
    interface_resistance : float
        Small-signal resistance of both interfaces, kinetics included [ohm m^2].
    current_ratio : float
        Small-signal steady over initial current with these interfaces [1].
    relaxation_time : float
        L^2/(pi^2 D), of the slowest mode at rest and at a held current [s].
    held_relaxation_time : float
        Of the slowest mode at a held voltage, small signals, L^2/(4 q^2 D) with q cot q = -Ne R_b/(R_b + R_i) [s].
    time_to_steady : float
        When 1 % of a constant current's build-up is left [s].
    held_time_to_steady : float
        When the current at a held voltage is within 1 % of the steady one, small signals [s].
    limiting_current : LimitingCurrent
        The largest steady current, in the direction of the first drive.
    depleting_voltage : float
        The held voltage whose steady state empties a face, or takes it out of the range [V].
    steps : tuple of StepPlan
        One per protocol step.
    assumptions : tuple of str
        What the electrodes' kinetics assume, where it is not the usual.
    start : StartPlan or None
        Of a run that begins with a profile; None: uniform.
    """

    transport: str
    c0: float
    r0: float
    layer: Layer
    rho_plus: float
    newman_number: float
    interface_resistance: float
    current_ratio: float
    relaxation_time: float
    held_relaxation_time: float
    time_to_steady: float
    held_time_to_steady: float
    limiting_current: LimitingCurrent
    depleting_voltage: float
    steps: tuple[StepPlan, ...]
    assumptions: tuple[str, ...] = ()
    start: StartPlan | None = None

    def table(self) -> tuple[tuple[str, float, str, str], ...]:
        """Rows of (what, value, SI unit, remark) for the cell as a whole."""
        limit, layer = self.limiting_current, self.layer
        swings = "" if layer.phi_0 == 1 else "; constants at c0"
        deplete = "held, at steady state" if np.isfinite(self.depleting_voltage) else "no steady state empties a face"
        return (
            ("salt concentration", self.c0, "mol/m^3", f"r = {self.r0:.4g}, solvent volume fraction {layer.phi_0:.3g}"),
            ("conductivity", layer.kappa, "S/m", "free electrolyte, at c0"),
            ("diffusion coefficient", layer.D, "m^2/s", "free electrolyte, at c0"),
            ("transference number", layer.t_plus, "1", "solvent frame, at c0"),
            ("Newman number Ne", self.newman_number, "1", ""),
            ("current fraction rho+ = 1/(1 + Ne)", self.rho_plus, "1", "small signals, no interfacial resistance"),
            ("bulk resistance", layer.bulk_resistance, "ohm m^2", "separator included"),
            ("interfacial resistance, total", self.interface_resistance, "ohm m^2", "both together, small signals"),
            ("i_ss/i_0 with these interfaces", self.current_ratio, "1", "small signals"),
            (
                "relaxation time L^2/(pi^2 D)",
                self.relaxation_time,
                "s",
                "at rest, held current" + swings,
            ),
            (
                "relaxation time L^2/(4 q^2 D)",
                self.held_relaxation_time,
                "s",
                "held voltage, small signals",
            ),
            (
                "time to steady state, held current",
                self.time_to_steady,
                "s",
                f"{LEFT:.0%} of the build-up left" + swings,
            ),
            (
                "time to steady state, held voltage",
                self.held_time_to_steady,
                "s",
                f"current within {LEFT:.0%} of the steady one, small signals",
            ),
            ("limiting current", limit.i, "A/m^2", limit.reason),
            ("voltage that would deplete", self.depleting_voltage, "V", deplete),
        )

    def lines(self) -> list[str]:
        """The plan as text, one line per quantity."""
        text = [f"{self.transport}, before any run"]
        text += [plan_line(*row) for row in self.table()]
        text += [f"  {sentence}" for sentence in self.assumptions]
        text += [] if self.start is None else self.start.lines()
        # of many steps those that are alike stand once; by their text, since NaN does not equal itself
        alike: dict[str, list[int]] = {}
        for number, step in enumerate(self.steps, 1):
            kind = repr(step) if len(self.steps) > LISTED else str(number)
            alike.setdefault(kind, []).append(number)
        for numbers in alike.values():
            step = self.steps[numbers[0] - 1]
            text += ["", f"{numbered(numbers)}: {step.label}, {step.course} for {lasting(step.duration)}"]
            text += [plan_line(*row) for row in step_table(step)]
            text.append(f"  {step.outcome}")
        if len(self.steps) > 1 or self.start is not None:
            text += ["", "every step as if it began on the uniform initial concentration"]
        return text


def step_table(step: StepPlan) -> tuple[tuple[str, float, str, str], ...]:
    """Rows of (what, value, SI unit, remark) for one step; no rows for a rest.

    What a followed table or a ramp gives is that of its largest value, held from a uniform start.

    Parameters
    ----------
    step : StepPlan
        The step.

    Returns
    -------
    tuple of (str, float, str, str)
    """
    if step.i_0 == 0:
        return ()
    changes = (("phi_0 (1 - t+0)", step.migration_change), ("D", step.D_change))
    swings = [f"{what} changes by {100 * change:+.0f} %" for what, change in changes if abs(change) > 0.01]
    caveat = f"constants at c0; towards depletion {' and '.join(swings)}" if swings else ""
    when = "at the earliest" if step.drive == "voltage" else "constants at c0"
    beyond = " (beyond this step)" if step.settling_time > step.duration else ""
    settling = [("current within 1 % of steady after", step.settling_time, "s", f"from a uniform start{beyond}")]
    settling = settling if np.isfinite(step.settling_time) else []
    if step.first is not None:
        drive, unit, other = ("V", "V", "i") if step.drive == "voltage" else ("i", "A/m^2", "V")
        size = f"{step.value:.4g} {unit}"
        remark = f"if {drive} = {size} were held"
        begins: tuple[tuple[str, float, str, str], ...] = (
            (f"{drive} at the start", step.first, unit, ""),
            (f"largest {drive}", step.value, unit, ""),
            (
                f"{other} there, uniform salt",
                step.i_0 if other == "i" else step.V_0,
                "A/m^2" if other == "i" else "V",
                "as if no salt had moved till then",
            ),
        )
    else:
        begins = (
            ("i_0", step.i_0, "A/m^2", "before any salt has moved"),
            ("V at the start", step.V_0, "V", ""),
        )
        remark = ""
    late, fades = step.i_steady / step.i_0, "the same, until the gradient gets there and stops it"
    return (
        *begins,
        ("steady current", step.i_steady, "A/m^2", remark),
        ("steady voltage", step.V_steady, "V", remark),
        *settling,
        ("c at the positive face, steady", step.c_positive, "mol/m^3", ""),
        ("c at the negative face, steady", step.c_negative, "mol/m^3", ""),
        ("Sand's time at i_0", step.sand_time, "s", caveat),
        ("face depleted after", step.depletion_time, "s", when if step.depletes else "not in this step"),
        ("anion velocity, mid-cell, at i_0", step.v_minus, "m/s", "interface frame; interstitial"),
        ("solvent velocity, mid-cell, at i_0", step.v_0, "m/s", "interface frame; interstitial"),
        ("anion velocity at the steady current", step.v_minus * late, "m/s", fades),
        ("solvent velocity at the steady current", step.v_0 * late, "m/s", fades),
        ("interface velocity at i_0", step.v_interface, "m/s", "add it to the velocities above for the lab frame"),
        ("interface shift by the end", step.interface_shift, "m", "estimate from linear response"),
    )


def plan(cell: Cell, transport: TransportSet, protocol: Protocol, c0: float | InitialProfile) -> Plan:
    """What a protocol will do, before any run.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    protocol : Protocol
        Steps in order.
    c0 : float or InitialProfile
        Initial salt concentration [mol/m^3]; of a profile its average is planned with, but for :class:`StartPlan`.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If `c0` lies outside the range of the set, or an electrode blocks (:mod:`cellsim.model.charging`).
    """
    if cell.is_blocked:
        raise InputError(
            "blocking = true: no current lasts where an electrode blocks, so that there is no steady state to plan"
        )
    start = _start(cell, transport, protocol.steps[0], c0) if isinstance(c0, InitialProfile) else None
    c0 = average_of(c0)
    try:
        layer = layer_of(cell, transport, c0)
    except RangeError as error:
        raise InputError(f"electrolyte.salt: {error}") from error
    Ne = float(transport.newman_number(c0))
    first = next((_peak(step) for step in protocol.steps if np.any(step.value)), 1.0)
    direction = 1 if first > 0 else -1
    c_stop = stop_concentration(transport, c0)
    limit = limiting_current(cell, transport, c0, direction=direction)
    return Plan(
        transport=transport.name,
        c0=float(c0),
        r0=float(transport.r(c0)),
        layer=layer,
        rho_plus=analytic.current_fraction(Ne),
        newman_number=Ne,
        interface_resistance=layer.resistance,
        current_ratio=analytic.current_fraction(
            Ne, bulk_resistance=layer.bulk_resistance, resistance_initial=layer.resistance
        ),
        relaxation_time=1 / layer.relaxation_rate,
        held_relaxation_time=1 / small_signals.held_rate(layer),
        time_to_steady=float(np.log(8 / (np.pi**2 * LEFT))) / layer.relaxation_rate,
        held_time_to_steady=small_signals.settling_time(layer, LEFT),
        limiting_current=limit,
        depleting_voltage=depleting_voltage(cell, transport, c0, c_min=c_stop, direction=direction),
        steps=_steps(cell, transport, protocol, float(c0), layer, c_stop),
        assumptions=_assumptions(cell),
        start=start,
    )


def _start(cell: Cell, transport: TransportSet, step: Step, profile: InitialProfile) -> StartPlan:
    law, x = VoltageLaw(cell, transport), profile.cumulated.x
    nodes, weights = np.polynomial.legendre.leggauss(5)
    inside = x[:-1, None] + 0.5 * np.diff(x)[:, None] * (nodes + 1)
    R = float(0.5 * np.diff(x) @ ((1 / transport.kappa(profile.at(inside))) @ weights)) * cell.separator.macmullin
    left, right = (float(c) for c in profile.wall)
    drive = step.at(0.0)
    i = law.current(drive, R, left, right, 0.0) if step.drive == "voltage" else drive
    return StartPlan(
        left,
        right,
        R,
        float(transport.concentration_voltage(left, right)),
        i,
        law.voltage(i, R, left, right, 0.0),
    )


def _assumptions(cell: Cell) -> tuple[str, ...]:
    """Orders of reaction that follow from transfer coefficients which do not add up to one."""
    laws = {side: getattr(cell, side).kinetics for side in ("positive", "negative")}
    orders = {side: getattr(law, "cathodic_order", 1.0) for side, law in laws.items()}
    return tuple(
        f"{side} electrode: plating of order {order:.3g} in c, for alpha_a + alpha_c is not 1"
        for side, order in orders.items()
        if abs(order - 1) > 1e-9
    )


def layer_of(cell: Cell, transport: TransportSet, c0: float, time: float = 0.0) -> Layer:
    """The layer of constant properties that the cell is at `c0`, for the closed forms.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes; kinetics enter by their small-signal resistance.
    transport : TransportSet
        Properties.
    c0 : float
        Salt concentration [mol/m^3].
    time : float
        When to read resistances that are tables [s].

    Returns
    -------
    Layer
    """
    t_minus = 1 - float(transport.t_plus(c0))
    drive = float(transport.one_minus_t_plus_chi(c0))
    return Layer(
        cell.thickness,
        float(c0),
        float(transport.kappa(c0)),
        float(transport.D(c0)),
        1 - t_minus,
        drive / t_minus if t_minus else 1.0,
        transport.T,
        transport.z_plus,
        transport.nu_plus,
        transport.nu_minus,
        float(transport.phi_0(c0)),
        cell.separator.porosity,
        cell.separator.macmullin,
        sum(e.small_signal(c0, cell.temperature, time) for e in (cell.positive, cell.negative)),
    )


def stop_concentration(transport: TransportSet, c0: float) -> float:
    """The face concentration that ends a run: the lower end of the range, or nearly nothing where that is clamped.

    Parameters
    ----------
    transport : TransportSet
        Its range, and whether it is clamped.
    c0 : float
        Average concentration [mol/m^3].

    Returns
    -------
    float
        [mol/m^3]
    """
    low = transport.c_range[0]
    return low if transport.extrapolate == "error" or low <= 0.01 * c0 else 1e-3 * c0


def _peak(step: Step) -> float:
    return float(step.value[np.argmax(np.abs(step.value))])


def _steps(
    cell: Cell, transport: TransportSet, protocol: Protocol, c0: float, layer: Layer, c_stop: float
) -> tuple[StepPlan, ...]:
    starts = np.cumsum([0.0, *(step.duration for step in protocol.steps)])
    parts = zip(protocol.steps, starts, strict=False)
    return tuple(_step(cell, transport, step, float(t), c0, layer, c_stop) for step, t in parts)


def _step(
    cell: Cell, transport: TransportSet, step: Step, t_start: float, c0: float, layer: Layer, c_stop: float
) -> StepPlan:
    law, value = VoltageLaw(cell, transport), _peak(step)
    by_voltage = step.drive == "voltage"
    i_0 = law.initial_current(value, c0, t_start) if by_voltage else value
    V_0 = law.voltage(i_0, layer.bulk_resistance, c0, c0, t_start)
    t_end = t_start + step.duration
    i_ss = V_ss = c_positive = c_negative = settling = float("nan")
    depletes, outcome = False, "rests"
    try:
        drive = {"voltage": value} if by_voltage else {"current": value}
        state = steady_state(cell, transport, c0, time=t_end, **drive)
    except (RangeError, ConvergenceError) as error:
        depletes, outcome = isinstance(error, RangeError), f"{error}"
    else:
        i_ss, V_ss, c_positive, c_negative = state.i, state.V, state.c_positive, state.c_negative
        depletes = min(c_positive, c_negative) < c_stop * (1 - 1e-9)
        if by_voltage and i_0 and step.time is None and not depletes:
            settling = _settling(cell, transport, layer, state, t_end)
        if i_0:
            outcome = f"tends to i_ss/i_0 = {i_ss / i_0:.4g}" if by_voltage else f"tends to {V_ss:.4g} V"
            outcome = outcome if step.time is None else f"held at its largest value, it {outcome}"
    t_depleted = analytic.depletion_time(layer, i_0, c_stop) if depletes else float("inf")
    if t_depleted > step.duration:
        outcome += "; but not within this step" if depletes else ""
        depletes, t_depleted = False, float("inf")
    N = transport.migration(c0) * -i_0  # salt flux where there is no gradient
    pores, held = cell.separator.porosity, transport.with_extrapolation("clamp")
    return StepPlan(
        label=step.label or f"follow {step.drive}",
        drive=step.drive,
        value=value,
        duration=step.duration,
        first=None if step.time is None else float(step.value[0]),
        course=_course(step),
        i_0=i_0,
        V_0=V_0,
        i_steady=i_ss,
        V_steady=V_ss,
        c_positive=c_positive,
        c_negative=c_negative,
        sand_time=analytic.sand_time(layer, i_0),
        migration_change=_change(held.migration, c0, c_stop),
        D_change=_change(held.D, c0, c_stop),
        settling_time=settling,
        depletes=depletes,
        depletion_time=t_depleted,
        v_minus=float(N) / (c0 * pores),
        v_plus=float(equations.cation_flux(N, i_0, transport)) / (transport.nu_plus * c0 * pores),
        v_0=float(equations.solvent_flux(N, transport.volume_ratio(c0))) / (float(transport.c_0(c0)) * pores),
        v_interface=float(equations.interface_velocity(i_0, cell.V_metal, transport.z_plus)),
        interface_shift=_shift(cell, transport, step, layer, i_0, i_ss),
        outcome=outcome,
    )


def _course(step: Step) -> str:
    unit = "V" if step.drive == "voltage" else "A/m^2"
    if step.time is None:
        return f"{step.value[0]:.4g} {unit}"
    if step.value.size == 2:
        rate = (step.value[1] - step.value[0]) / step.time[1]
        return f"{step.value[0]:.4g} to {step.value[1]:.4g} {unit} at {rate:.4g} {unit}/s"
    return f"{step.value.min():.4g} to {step.value.max():.4g} {unit}"


def _change(of: Callable[[float], Any], c0: float, c_stop: float) -> float:
    """Relative change of a property between two concentrations [1]."""
    return float(of(c_stop) / of(c0)) - 1 if of(c0) else 0.0


def _settling(cell: Cell, transport: TransportSet, layer: Layer, state: SteadyState, time: float) -> float:
    """When the current is within :data:`LEFT` of the steady one, by linear response about the steady state.

    With constant D and phi_0 (1 - t+0) a small change of the profile is odd about the middle whatever the steady one
    is, so the closed form holds with the differential resistances there: B = (dV/di - R)/R, R = dV/di at fixed profile.
    0.3 V on the 3 mm cell of Steinrueck 2020: 29.0 h for 29.3 h of the full model; about the uniform cell 31.8 h.
    """
    resistance = state.V_ohmic / state.i
    ends = state.c_positive, state.c_negative
    i = state.i * np.array([1 - NUDGE, 1 + NUDGE])
    try:
        moved = [steady_state(cell, transport, layer.c, current=each, time=time).V for each in i]
    except (RangeError, ConvergenceError):  # at the limiting current itself
        return float("nan")
    law = VoltageLaw(cell, transport)
    fixed = [law.voltage(each, resistance, *ends, time) for each in i]
    D = transport.D(state.profile(np.linspace(0, state.thickness, 201)))
    about = replace(layer, thickness=state.thickness, D=float(1 / np.mean(1 / D)))
    B = (moved[1] - moved[0]) / (fixed[1] - fixed[0]) - 1
    return small_signals.settling_time(about, LEFT, B)


def _shift(cell: Cell, transport: TransportSet, step: Step, layer: Layer, i_0: float, i_ss: float) -> float:
    """Shift from the charge passed: exact for currents, linear response from i_0 to i_ss for a voltage."""
    if step.drive == "current":
        inside = step.duration if step.time is None else step.time
        times = np.unique(np.append(np.clip(inside, 0, step.duration), [0.0, step.duration]))
        i = np.array([step.at(t) for t in times])
    else:
        times = np.append(0.0, np.geomspace(1e-6, 1.0, 400) * step.duration)
        fall = small_signals.current_response(layer, 1.0, times) * (layer.bulk_resistance + layer.resistance)
        last = analytic.current_fraction(
            layer.newman_number, bulk_resistance=layer.bulk_resistance, resistance_initial=layer.resistance
        )
        if np.isfinite(i_ss) and last < 1:
            fall = i_ss / i_0 + (1 - i_ss / i_0) * (fall - last) / (1 - last) if i_0 else fall
        drive = np.array([step.at(t) for t in times])
        i = i_0 * fall * drive / _peak(step) if _peak(step) else np.zeros(times.size)
    charge = float(np.trapezoid(i, times))
    return float(equations.interface_velocity(charge, cell.V_metal, transport.z_plus))


def plan_line(what: str, value: float, unit: str, remark: str) -> str:
    """One line of text, in units a person reads."""
    if np.isnan(value):
        number = "none"
    elif unit == "s":
        number = lasting(value)
    elif unit == "m/s":
        number = f"{value * 1e10:.4g} angstrom/s"
    elif unit == "m":
        number = f"{value * 1e6:.4g} um"
    elif unit == "mol/m^3":
        number = f"{value / 1e3:.4g} mol/L"
    else:
        number = f"{value:.4g} {unit}".removesuffix(" 1") if np.isfinite(value) else "unlimited"
    return f"  {what:<39} {number:<19} {remark}".rstrip()
