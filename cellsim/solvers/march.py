"""Carries a protocol through any time stepper: output times, stop conditions, statuses, partial results.

A stepper hands over snapshots of the cell in time; :class:`Stepper` is the small contract that each one meets.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError, interrupted
from cellsim.cell.protocol import COINCIDENT, RATES, Protocol, Step, corners
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.equations import VoltageLaw
from cellsim.solvers.tape import Reel, advance, reel_of


@dataclass(frozen=True)
class CellState:
    """The cell at one instant.

    Attributes
    ----------
    time : float
        [s]
    i : float
        Current density [A/m^2].
    c : ndarray, shape (n,)
        Cell averages [mol/m^3].
    wall : ndarray, shape (2,)
        c at x = 0 and x = L [mol/m^3].
    faces : ndarray, shape (n + 1,)
        Positions of the faces from the positive interface [m].
    further : callable
        Gives `parts` and `fluxes`, which a time step that is not kept has no use for and which cost half of it.
    """

    time: float
    i: float
    c: Array
    wall: Array
    faces: Array
    further: tuple[Callable[[], tuple[float, ...]], Callable[[], tuple[Array, Array]]] = field(repr=False)

    @cached_property
    def parts(self) -> tuple[float, ...]:
        """Ohmic, concentration, positive and negative part of the voltage [V]."""
        return self.further[0]()

    @cached_property
    def fluxes(self) -> tuple[Array, Array]:
        """Salt N-/nu- and solvent at all faces, shape (n + 1,) each, interface frame [mol/(m^2 s)]."""
        return self.further[1]()

    @property
    def voltage(self) -> float:
        """Cell voltage [V]."""
        return float(sum(self.parts))

    @property
    def c_min(self) -> float:
        """Lowest concentration, walls included [mol/m^3]."""
        return float(min(self.c.min(), self.wall.min()))

    @property
    def c_max(self) -> float:
        """Highest concentration, walls included [mol/m^3]."""
        return float(max(self.c.max(), self.wall.max()))


@dataclass(frozen=True)
class Options:
    """How finely to solve.

    Parameters
    ----------
    cells : int
        Cells across the electrolyte.
    rtol : float
        Error asked of one time step, relative to the change of concentration that is to be expected of the protocol
        step (the average concentration at most), and in a rest to what is left of it.
    c_min : float, optional
        A face below this is depleted [mol/m^3]; default: the lower end of the set's range where that lies below 1 %
        of the average concentration, else 0.1 % of the average.
    stretch : float
        Grading of the grid, 0 for uniform.
    fixed_step : float, optional
        Constant time step without error control, for measuring the order of accuracy [s].
    max_steps : int
        Time steps of one protocol step after which the run ends as not converged.
    unknowns : int, optional
        Unknowns of sundials and compiled, which otherwise choose and refine them; `cells` is their output grid.
    refine : bool, optional
        Whether fipy and material repeat a run on finer grids where `cells` leave more in space than ten times `rtol`.
        Default: only where `cells` is the default; a number of cells that was chosen is kept.
    """

    cells: int = 160
    rtol: float = 2e-5
    c_min: float | None = None
    stretch: float = 2.5
    fixed_step: float | None = None
    max_steps: int = 50_000
    unknowns: int | None = None
    refine: bool | None = None

    @property
    def refines(self) -> bool:
        """Whether fipy and material choose more cells by themselves."""
        if self.fixed_step is not None:
            return False
        return self.cells == Options.cells if self.refine is None else self.refine

    def __post_init__(self) -> None:
        if not (self.cells >= 4 and int(self.cells) == self.cells):
            raise InputError(f"solver.cells = {self.cells!r} must be a whole number of at least 4")
        if self.cells > 20_000:
            raise InputError(f"solver.cells = {self.cells!r} must be at most 20000")
        for name in ("rtol", "c_min", "fixed_step", "max_steps"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"solver.{name} = {value!r} must be positive")
        if not 1e-12 <= self.rtol <= 0.1:
            raise InputError(f"solver.rtol = {self.rtol!r} lies outside 1e-12-0.1")
        if not 0 <= self.stretch <= 5:
            raise InputError(f"solver.stretch = {self.stretch!r} lies outside 0-5")


class Observable(typing.Protocol):
    """What the march asks of a state, whatever the electrolyte."""

    @property
    def time(self) -> float:
        """[s]"""
        ...

    @property
    def i(self) -> float:
        """Current density [A/m^2]."""
        ...

    @property
    def voltage(self) -> float:
        """Cell voltage [V]."""
        ...

    @property
    def wall(self) -> Array:
        """Salt concentrations at x = 0 and x = L, shape (2,) [mol/m^3]."""
        ...


S = typing.TypeVar("S", bound=Observable)
S_co = typing.TypeVar("S_co", bound=Observable, covariant=True)
Condition = Callable[[S], float]
"""Positive while all is well, negative once the condition is met."""


@dataclass(frozen=True)
class Limits(typing.Generic[S]):
    """What ends a run for good.

    Parameters
    ----------
    conditions : mapping
        By name.
    explain : callable
        Of a name, the state where it was met and the index of the step: status and message.
    """

    conditions: Mapping[str, Condition[S]]
    explain: Callable[[str, S, int], tuple[str, str]]


class Stepper(typing.Protocol[S_co]):
    """A time stepper in the manner of scipy's OdeSolver: one accepted step at a time, dense output within it."""

    time: float
    count: int

    def start(self, step: Step, t_start: float) -> None:
        """Begin a protocol step at `t_start` [s], within the last time step, from the state there."""
        ...

    def advance(self, t_bound: float) -> None:
        """Take one accepted time step, not beyond `t_bound` [s].

        Raises
        ------
        ConvergenceError
            If no step, however small, converges.
        """
        ...

    def snapshot(self, time: float) -> S_co:
        """The cell at `time` [s], within the last accepted time step."""
        ...

    def current(self, time: float) -> float:
        """Its current density [A/m^2], for less than the rest of it where the current is imposed."""
        ...


@dataclass(frozen=True)
class StepLog:
    """When a protocol step ran and what ended it."""

    index: int
    drive: str
    t_start: float
    t_end: float
    ended_by: str


@dataclass
class Run(typing.Generic[S]):
    """What came out of a march: snapshots in time order, with the index of their protocol step."""

    snapshots: list[S] = field(default_factory=list)
    step_index: list[int] = field(default_factory=list)
    charge: list[float] = field(default_factory=list)  # passed since t = 0 [C/m^2], integrated over every time step
    log: list[StepLog] = field(default_factory=list)
    status: str = "done"
    message: str = "the protocol ran to its end"
    time_steps: int = 0

    def add(self, snapshot: S, index: int, charge: float) -> None:
        """Keep a snapshot."""
        self.snapshots.append(snapshot)
        self.step_index.append(index)
        self.charge.append(charge)


def march(
    stepper: Stepper[S],
    protocol: Protocol,
    limits: Limits[S],
    times: Array,
    options: Options,
    progress: Callable[[float], None] | None = None,
) -> Run[S]:
    """Run the protocol and collect snapshots.

    Parameters
    ----------
    stepper : Stepper
        At t = 0, holding the initial state.
    protocol : Protocol
        Steps in order.
    limits : Limits
        What ends the run for good, such as depletion: :func:`salt_limits`.
    times : ndarray, shape (n,)
        Increasing times at which snapshots are wanted [s]; starts and ends of steps are always kept.
    options : Options
        Tolerance and step limit.
    progress : callable, optional
        Called with the fraction of the protocol's longest duration that is done.

    Returns
    -------
    Run
        With status "done", "stopped", "depleted", "out_of_range", "not_converged" or "interrupted"; whatever was
        reached is kept.
    """
    run, reel = Run[S](), reel_of(stepper)
    t_start = 0.0
    try:
        for index, step in enumerate(protocol.steps):
            try:
                stepper.start(step, t_start)
                ended_by = _march_step(
                    run, stepper, step, index, t_start, times, limits, options, protocol, progress, reel
                )
            except ConvergenceError as error:  # at an output time within a time step, or where a step begins
                if not run.snapshots:
                    raise
                run.status, ended_by = "not_converged", "not_converged"
                run.message = f"step {index + 1} after t = {run.snapshots[-1].time:.6g} s: {error}"
            t_end = run.snapshots[-1].time
            run.log.append(StepLog(index, step.label or step.drive, t_start, t_end, ended_by))
            if run.status != "done":
                break
            if index == len(protocol.steps) - 1 and ended_by != "duration":
                run.status, run.message = "stopped", f"step {index + 1} met its stop condition {ended_by}"
            t_start = t_end
    except (KeyboardInterrupt, SystemError) as error:
        if not interrupted(error) or not run.snapshots:  # nothing is there that could be kept
            raise
        reached = run.snapshots[-1].time
        run.status, run.message = "interrupted", interruption(reached)
    run.time_steps = stepper.count
    return run


def _march_step(
    run: Run[S],
    stepper: Stepper[S],
    step: Step,
    index: int,
    t_start: float,
    times: Array,
    limits: Limits[S],
    options: Options,
    protocol: Protocol,
    progress: Callable[[float], None] | None,
    reel: Reel | None,
) -> str:
    t_end, fatal = t_start + step.duration, limits.conditions
    # the end of the step before and the start of this one are the same moment; the later one is moved by one ulp, so
    # that times increase strictly and both currents are kept
    first = stepper.snapshot(t_start)
    passed = _Charge(t_start, first.i, run.charge[-1] if run.charge else 0.0)
    run.add(_stamp(first, t_start if index == 0 else np.nextafter(t_start, np.inf)), index, passed.total)
    stop = dict(_stop_conditions(step, first, stepper, passed))
    met = [name for name, condition in stop.items() if name not in RATES and condition(first) <= 0]
    if met:
        return met[0]
    # a condition can end a step only once it has been clear of it: a current that starts below its limit has not met it
    armed = {name for name, condition in stop.items() if condition(first) > 0}
    wanted, edges = moments(step, t_start, times, options.rtol)
    written, taken = 0, stepper.count
    while stepper.time < t_end:
        t_old = stepper.time
        bound = float(edges[np.searchsorted(edges, t_old, side="right")])
        try:
            if stepper.count - taken >= options.max_steps:
                raise ConvergenceError(f"more than {options.max_steps} time steps; raise max_steps or rtol")
            advance(stepper, bound, reel)
            newest = stepper.snapshot(stepper.time)
            # the charge needs the middle of every time step: Simpson's rule is as accurate as the steps themselves
            middle = stepper.current(0.5 * (t_old + stepper.time))
        except ConvergenceError as error:
            run.status, run.message = "not_converged", f"step {index + 1} at t = {t_old:.6g} s: {error}"
            if run.snapshots[-1].time < t_old:
                run.add(stepper.snapshot(t_old), index, passed.total)
            return "not_converged"
        passed.extend(stepper.time, middle, newest.i)
        hits = []
        for name, condition in [*fatal.items(), *stop.items()]:
            if condition(newest) <= 0 and (name in armed or name in fatal):
                hits.append((_locate(condition, stepper, t_old, stepper.time), name))
            elif name in stop and condition(newest) > 0:
                armed.add(name)
        # of several conditions met within one time step the earliest ends it; wanted times after that are not reached
        t_hit, name = min(hits) if hits else (stepper.time, "")
        while written < wanted.size and wanted[written] < t_hit:
            run.add(stepper.snapshot(float(wanted[written])), index, passed.at(float(wanted[written])))
            written += 1
        if hits:
            last = stepper.snapshot(t_hit)
            run.add(last, index, passed.at(t_hit))
            if name in fatal:
                run.status, run.message = limits.explain(name, last, index)
            return name
        if progress is not None:
            progress(stepper.time / protocol.duration)
    run.add(stepper.snapshot(t_end), index, passed.total)
    return "duration"


class _Charge:
    """The time integral of the current: the parabola through both ends and the middle of every time step.

    Parameters
    ----------
    time, i, total : float
        Where it begins [s], the current density there [A/m^2] and the charge passed before [C/m^2].
    """

    def __init__(self, time: float, i: float, total: float) -> None:
        self.begin = self.end = time
        self.i = i
        self.before = self.total = total
        self.parabola = np.zeros(3)

    def extend(self, time: float, i_middle: float, i: float) -> None:
        """Over one more time step, to `time` [s]."""
        self.begin, self.end, self.before = self.end, time, self.total
        self.parabola = np.array([2 * (self.i - 2 * i_middle + i), 4 * i_middle - 3 * self.i - i, self.i])
        self.i = i
        self.total = self.at(time)

    def at(self, time: float) -> float:
        """Charge passed at `time` [s], within the last step [C/m^2]."""
        length = self.end - self.begin
        if length == 0:
            return self.before
        s = (time - self.begin) / length
        return float(self.before + length * np.polyval(np.polyint(self.parabola), s))


def _stamp(snapshot: S, time: float) -> S:
    return snapshot if time == snapshot.time else replace(snapshot, time=float(time))  # type: ignore[type-var]


def interruption(time: float) -> str:
    """What is said of a run that was interrupted when it had come to `time` [s]; the status stands before it."""
    return f"at t = {time:.6g} s; what was done until then is kept"


def fatal_limits(transport: TransportSet, c0: float, options: Options) -> dict[str, float]:
    """Concentrations that end a run [mol/m^3], by name; "depleted" and "below_range" from below, the others above."""
    low, high = transport.c_range
    near_zero = low <= 0.01 * c0
    depleted = options.c_min if options.c_min is not None else (low if near_zero else 1e-3 * c0)
    limits = {"depleted": depleted}
    if transport.extrapolate == "error":
        if low > depleted:
            limits["below_range"] = low * (1 - 1e-9)
        limits["above_range"] = high * (1 + 1e-9)
    elif transport.solvent_motion == "volume" and np.isfinite(transport.volumes.c_saturation):
        limits["saturated"] = 0.999 * transport.volumes.c_saturation
    return limits


LOWER = ("depleted", "below_range")
"""Limits on the smallest concentration; the other fatal ones are on the largest."""


def salt_limits(transport: TransportSet, c0: float, options: Options) -> Limits[CellState]:
    """What ends the run of a binary salt; with ``extrapolate = "clamp"`` only depletion and saturation.

    Parameters
    ----------
    transport : TransportSet
        For the validity range.
    c0 : float
        Average concentration [mol/m^3].
    options : Options
        Depletion limit.
    """

    def condition(name: str, limit: float) -> Condition[CellState]:
        if name in LOWER:
            return lambda s: (s.c_min - limit) / c0
        return lambda s: (limit - s.c_max) / c0

    limits = fatal_limits(transport, c0, options)
    return Limits({name: condition(name, limit) for name, limit in limits.items()}, explain)


def explain(name: str, s: CellState, index: int) -> tuple[str, str]:
    """Status and message: what happened, when, where, and what to try."""
    low_side = name in LOWER
    values = np.array([s.wall[0], s.wall[1], s.c.min() if low_side else s.c.max()])
    place = int(np.argmin(values) if low_side else np.argmax(values))
    where = ("at the positive electrode", "at the negative electrode", "inside the electrolyte")[place]
    value = float(values[place])
    when = f"step {index + 1}, t = {s.time:.6g} s, i = {s.i:.4g} A/m^2"
    if name == "depleted":
        return "depleted", (
            f"the salt ran out {where} ({value:.4g} mol/m^3; {when}): the current exceeds what diffusion can "
            "feed; lower the voltage or current, or see the limiting current of `cellsim plan`"
        )
    if name == "saturated":
        return "out_of_range", f"no room is left for solvent {where} (c = {value:.4g} mol/m^3; {when})"
    return "out_of_range", (
        f"c = {value:.4g} mol/m^3 {where} left the range of the transport set ({when}); lower the drive, choose "
        'another set, or say extrapolate = "clamp"'
    )


def _stop_conditions(step: Step, first: S, stepper: Stepper[S], passed: _Charge) -> Iterator[tuple[str, Condition[S]]]:
    given = step.stop.given
    if "current_density_below" in given:
        i_below = given["current_density_below"]
        yield "current_density_below", lambda s: abs(s.i) - i_below
    if "charge_above" in given:
        charge, before = given["charge_above"], passed.total
        yield "charge_above", lambda s: charge - abs(passed.at(s.time) - before)
    if "current_below" in given and first.i != 0:
        level = given["current_below"] * abs(first.i)
        yield "current_below", lambda s: abs(s.i) - level
    yield from ((name, _slower(name, given[name], first.time, stepper)) for name in RATES if name in given)
    if "c_below" in given:
        c_below = given["c_below"]
        yield "c_below", lambda s: float(s.wall.min()) - c_below
    if "c_above" in given:
        c_above = given["c_above"]
        yield "c_above", lambda s: c_above - float(s.wall.max())
    if "voltage_above" in given:
        V_above = given["voltage_above"]
        yield "voltage_above", lambda s: V_above - s.voltage
    if "voltage_below" in given:
        V_below = given["voltage_below"]
        yield "voltage_below", lambda s: s.voltage - V_below


def _slower(name: str, level: float, begin: float, stepper: Stepper[S]) -> Condition[S]:
    """Whether a rate is above `level`, from what the dense output says of the last 2e-4 of the step that began then."""
    of: Callable[[S], float] = (lambda s: s.voltage) if name.startswith("voltage") else (lambda s: s.i)

    def left(s: S) -> float:
        back = 1e-4 * (s.time - begin)
        if back <= 0:
            return -1.0  # a jump of the drive is no rate; armed once it has been above
        # of second order: the first was 5e-5 t/tau off, so that a tail was cut off by that much too late
        before, earlier = (of(stepper.snapshot(s.time - k * back)) for k in (1, 2))
        rate = abs(3 * of(s) - 4 * before + earlier) / (2 * back)
        return rate / level - (max(abs(s.i), 1e-300) if name == "current_relative_rate_below" else 1.0)

    return left


def _locate(condition: Condition[S], stepper: Stepper[S], t_old: float, t_new: float) -> float:
    """First time in (t_old, t_new] at which the condition is met, by bisection on the dense output."""
    low, high = t_old, t_new
    for _ in range(40):
        middle = 0.5 * (low + high)
        if high - low <= 1e-9 * max(high, 1e-30) or middle in (low, high):
            break
        if condition(stepper.snapshot(middle)) > 0:
            low = middle
        else:
            high = middle
    return high


def moments(step: Step, t_start: float, times: Array, rtol: float) -> tuple[Array, Array]:
    """What happens when inside a step, moments that coincide made one.

    Parameters
    ----------
    step : Step
        The protocol step.
    t_start : float
        When it begins [s].
    times : ndarray, shape (n,)
        Increasing times at which the result is wanted [s].
    rtol : float
        The corners of a followed table matter at ten times this, relative to its largest value [1].

    Returns
    -------
    wanted : ndarray, shape (w,)
        Of `times` those strictly inside the step [s]: its start and its end are kept in any case.
    edges : ndarray, shape (e,)
        Times that no time step may straddle: the corners of a followed table, and the end of the step last [s].
    """
    key = (id(times), t_start, step.duration)
    again = step.time is None and not times.flags.writeable
    known = _MOMENTS.get(key) if again else None
    if known is not None:
        return known[1:]
    t_end = t_start + step.duration
    near = COINCIDENT * t_end
    inner = np.empty(0)
    if step.time is not None:
        keep = corners(step.time, step.value, 10 * rtol * step.largest)
        inner = _apart(t_start + step.time[keep], t_start, t_end, near)
    wanted = _apart(times, t_start, t_end, near)
    if inner.size:
        after = np.minimum(np.searchsorted(inner, wanted), inner.size - 1)
        before = np.maximum(after - 1, 0)
        closest = np.where(wanted - inner[before] < inner[after] - wanted, inner[before], inner[after])
        wanted = np.unique(np.where(np.abs(wanted - closest) <= near, closest, wanted))
    edges = np.append(inner, t_end)
    if again:
        if len(_MOMENTS) >= MOST_MOMENTS:
            _MOMENTS.clear()
        _MOMENTS[key] = times, wanted, edges
    return wanted, edges


_MOMENTS: dict[tuple[int, float, float], tuple[Array, Array, Array]] = {}
"""Those of steps without a table at times that cannot change, which it keeps alive: ensembles ask again and again."""
MOST_MOMENTS = 32


def _apart(times: Array, low: float, high: float, near: float) -> Array:
    """Those of increasing `times` that are further than `near` from `low`, from `high` and from the one before."""
    inside = times[np.searchsorted(times, low + near, side="right") : np.searchsorted(times, high - near)]
    if not inside.size:
        return inside
    return inside[np.concatenate([[inside[0] - low > near], inside[1:] - inside[:-1] > near])]


SMALLEST_CHANGE = 1e-5
"""Changes of concentration below this fraction of the average are not told from the rounding of the average."""
EARLY = 1e-3
"""The spatial resolution is judged from this fraction of a step's duration on, and at whatever ends the step: just
after a drive has jumped, the salt layer at the walls is thinner than any grid."""
MOMENT = 3e-3
"""A limit or stop condition is met at a time known to this fraction of the step's length until then."""


def expected_change(law: VoltageLaw, step: Step, spread: float, c0: float) -> float:
    """How far a step may move the concentration, over the average: what its tolerances are relative to.

    The slope at the walls, M i/D, over the thickness or the distance that diffusion reaches within the step. A
    tolerance relative to the concentration itself would be of no use where a millivolt moves it by a thousandth.

    Parameters
    ----------
    law : VoltageLaw
        Cell and set.
    step : Step
        The protocol step.
    spread : float
        Difference between the largest and the smallest concentration at its start [mol/m^3].
    c0 : float
        Average concentration [mol/m^3].

    Returns
    -------
    float
        Between :data:`SMALLEST_CHANGE` and 1 [1].
    """
    return expected(law, step, spread, c0)[0]


def expected(law: VoltageLaw, step: Step, spread: float, c0: float) -> tuple[float, float]:
    """:func:`expected_change`, and the current density that goes with it [A/m^2]."""
    cell, transport = law.cell, law.transport
    _, D, migration, potential_slope = law.uniform(c0)
    D *= cell.separator.transport_factor
    reach = min(cell.thickness, 2 * math.sqrt(D / cell.separator.porosity * step.duration))
    per_current = migration / D * reach / c0
    drive = step.largest
    i, moved = drive, per_current * drive
    if step.drive == "voltage" and drive > 0:
        # of a held voltage the part that the concentration takes, K dW, drives no current: V = i R + K dW
        per_change = transport.thermal_voltage * potential_slope
        i = law.initial_current(drive, c0)
        i *= drive / (drive + per_current * i * per_change)
        moved = per_current * i  # none where only the cation moves
    return min(max(spread / c0 + abs(moved), SMALLEST_CHANGE), 1.0), i
