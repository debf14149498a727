"""What is done to the cell: steps that hold or follow a voltage or a current, and when each ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from cellsim.base import Array, InputError, Ints

COINCIDENT = 1e-12
"""Times closer than this fraction of themselves are one moment. Converted units and summed durations leave a few ulp
(2e-16 each) between times that were meant to be the same, and no solver can step across so little."""


@dataclass(frozen=True)
class StopConditions:
    """When a step ends before its duration; a limit already passed at its start ends it at once.

    Parameters
    ----------
    current_below : float, optional
        Fraction of the step's initial |i|, below 1; without effect where that is zero [1].
    current_rate_below : float, optional
        |di/dt|, once it has been above [A/m^2/s].
    current_density_below : float, optional
        |i| itself [A/m^2].
    charge_above : float, optional
        |charge| passed within the step [C/m^2].
    voltage_rate_below : float, optional
        |dV/dt|, once it has been above [V/s].
    current_relative_rate_below : float, optional
        |di/dt|/|i|, once it has been above [1/s].
    c_below, c_above : float, optional
        Limits on the face concentrations [mol/m^3].
    voltage_above, voltage_below : float, optional
        Limits on the cell voltage [V].
    """

    current_below: float | None = None
    current_rate_below: float | None = None
    c_below: float | None = None
    c_above: float | None = None
    voltage_above: float | None = None
    voltage_below: float | None = None
    current_density_below: float | None = None
    charge_above: float | None = None
    voltage_rate_below: float | None = None
    current_relative_rate_below: float | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not np.isfinite(value):
                raise InputError(f"stop.{f.name} = {value!r} must be finite")
            if value is not None and f.name not in ("voltage_above", "voltage_below") and value <= 0:
                raise InputError(f"stop.{f.name} = {value!r} must be positive")
        if self.current_below is not None and self.current_below >= 1:
            raise InputError(
                f"stop.current_below = {self.current_below!r} must lie below 1, a fraction of the first current"
            )

    @cached_property
    def given(self) -> Mapping[str, float]:
        """The conditions that are set, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


NEVER = StopConditions()
"""No condition: the step lasts its duration."""
RATES = ("current_rate_below", "current_relative_rate_below", "voltage_rate_below")
"""Conditions on a rate: where a step begins the drive jumps, and what jumps has none."""


@dataclass(frozen=True)
class Step:
    """One step: a drive that is constant or a table in time, relative to the start of the step.

    Parameters
    ----------
    drive : {"voltage", "current"}
        What is imposed; a rest is a current of zero.
    value : ndarray, shape (n,)
        Values imposed [V] or [A/m^2]; one value, or as many as times.
    duration : float
        [s]
    time : ndarray, shape (n,), optional
        Times of a followed table from the start of the step, first 0 [s]; linear between.
    stop : StopConditions
        When to end early.
    measured_other : tuple of ndarray, optional
        (time [s], value) of the drive that was measured and not imposed; only drawn.
    label : str
        For messages.
    began : float
        What the clock of a followed table says at its first row [s].
    """

    drive: Literal["voltage", "current"]
    value: Array
    duration: float
    time: Array | None = None
    stop: StopConditions = NEVER
    measured_other: tuple[Array, Array] | None = None
    label: str = ""
    began: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", np.atleast_1d(np.asarray(self.value, dtype=float)))
        if not np.all(np.isfinite(self.value)):
            raise InputError(f"step {self.label or self.drive}: value is not finite")
        if not (np.isfinite(self.duration) and self.duration > 0):
            raise InputError(f"step {self.label or self.drive}: duration = {self.duration!r} s must be positive")
        if self.time is None:
            if self.value.size != 1:
                raise InputError(f"step {self.label or self.drive}: a table needs times")
            return
        object.__setattr__(self, "time", np.asarray(self.time, dtype=float))
        if self.time.shape != self.value.shape or self.time.size < 2 or np.any(np.diff(self.time) <= 0):
            raise InputError(
                f"step {self.label or self.drive}: the times of a followed table must be strictly increasing"
            )

    def at(self, time: float) -> float:
        """The value imposed at `time` [s] from the start of the step [V or A/m^2]."""
        if self.time is None:
            return float(self.value[0])
        return float(np.interp(time, self.time, self.value))

    @cached_property
    def largest(self) -> float:
        """The largest value imposed, without its sign [V or A/m^2]."""
        return float(np.max(np.abs(self.value)))

    @property
    def is_rest(self) -> bool:
        """Whether no current flows."""
        return self.drive == "current" and not np.any(self.value)

    def thinned(self, tolerance: float, *, beyond: float = 0.0) -> Step:
        """The same table by straight lines between few of its points: each is a kink where a solver starts afresh.

        Parameters
        ----------
        tolerance : float
            Largest deviation, as a fraction of the table's largest magnitude [1].
        beyond : float
            For how long the last value is kept after the end [s], for clocks that do not agree.

        Returns
        -------
        Step

        Raises
        ------
        InputError
            A step without a table, or a tolerance that is not positive.
        """
        if self.time is None or not tolerance > 0:
            raise InputError("only a followed table can be thinned, to a tolerance above 0")
        some = corners(self.time, self.value, tolerance * float(np.abs(self.value).max()))
        time, value = self.time[some], self.value[some]
        if beyond > 0:
            end = max(self.time[-1], self.duration) + beyond
            time, value = np.append(time, end), np.append(value, self.value[-1])
        return replace(self, time=time, value=value, duration=self.duration + beyond, measured_other=None)

    def integral(self, times: Array) -> Array:
        """Integral of the drive from the start of the step to each of `times` [s], shape (n,) [V s or C/m^2]."""
        t = np.array([0.0, self.duration]) if self.time is None else self.time
        y = np.repeat(self.value, 2) if self.time is None else self.value
        total = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(t) * (y[1:] + y[:-1]))])
        k = np.clip(np.searchsorted(t, times, side="right") - 1, 0, t.size - 2)
        within = np.clip(times, t[0], t[-1]) - t[k]
        slope = np.diff(y)[k] / np.diff(t)[k]
        return np.asarray(total[k] + within * (y[k] + 0.5 * slope * within))


JUMP = 1e-6
"""A jump of a followed table is a straight line over this fraction of the time to the row before it."""


def with_jumps(time: Array, value: Array, *, held: bool = False) -> tuple[Array, Array]:
    """A table with jumps as one of strictly increasing times, which every solver can follow.

    Parameters
    ----------
    time, value : ndarray, shape (n,)
        Times that do not fall [s], and values; two rows at one time are a jump from the first to the last of them.
    held : bool
        Whether each value holds until the next time (a zero-order hold); else the values are joined by straight lines.

    Returns
    -------
    time, value : ndarray, shape (m,)
        Linear between; a jump takes the last :data:`JUMP` of the time since the row before it.
    """
    if held:
        time, value = np.repeat(time, 2)[1:], np.repeat(value, 2)[:-1]
    first = np.append(True, np.diff(time) > 0)
    last = np.append(np.diff(time) > 0, True)
    keep = first | last
    time, value, first, last = time[keep], value[keep], first[keep], last[keep]
    if time.size > 1 and time[1] == time[0]:  # nothing lies before the first row to jump from
        time, value, first, last = time[1:], value[1:], np.append(True, first[2:]), last[1:]
    before = np.flatnonzero(first & ~last)  # the earlier of two rows at one time
    moved = time.copy()
    # longer than what tells two moments apart at the end of the table
    moved[before] -= np.maximum(JUMP * (time[before] - time[before - 1]), 1e2 * COINCIDENT * time[-1])
    return moved, value


def corners(x: Array, y: Array, tolerance: float) -> Ints:
    """Places kept by the Ramer-Douglas-Peucker simplification of y(x).

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        A polyline, x increasing.
    tolerance : float
        Largest vertical distance of a point from the simpler line, in the unit of `y`.

    Returns
    -------
    ndarray of int, shape (m,)
        Increasing, the first and the last point among them.
    """
    keep = np.zeros(x.size, dtype=bool)
    keep[[0, -1]] = True
    stack = [(0, x.size - 1)]
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        inner = slice(a + 1, b)
        miss = np.abs(y[inner] - np.interp(x[inner], x[[a, b]], y[[a, b]]))
        worst = int(np.argmax(miss))
        if miss[worst] > tolerance:
            middle = a + 1 + worst
            keep[middle] = True
            stack += [(a, middle), (middle, b)]
    return np.flatnonzero(keep)


LISTED = 12
"""So many steps are listed one by one; of more, every kind is listed once."""


def numbered(numbers: Sequence[int]) -> str:
    """Which steps, in words.

    Examples
    --------
    >>> numbered([3]), numbered([1, 3]), numbered([1, 3, 5, 7, 9])
    ('step 3', 'steps 1, 3', 'steps 1, 3, ... 9 (5)')
    """
    if len(numbers) < 4:
        return f"step{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return f"steps {numbers[0]}, {numbers[1]}, ... {numbers[-1]} ({len(numbers)})"


@dataclass(frozen=True)
class Protocol:
    """Steps in order.

    Parameters
    ----------
    steps : tuple of Step
        At least one.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("a case needs at least one [[step]]")
        begins = 0.0
        for number, step in enumerate(self.steps, 1):
            if step.duration <= 2 * COINCIDENT * begins:
                raise InputError(
                    f"step {number}: duration = {step.duration:.3g} s is too short to be resolved {begins:.6g} s "
                    f"after the start; make it longer than {2 * COINCIDENT * begins:.1g} s, or leave the step out"
                )
            begins += step.duration

    def spans(self, log: Sequence[Mapping[str, Any]] = ()) -> tuple[tuple[str, float, float], ...]:
        """What each step drives, and when it begins and ends [s].

        Parameters
        ----------
        log : sequence of mapping
            That of a run, which says when its steps began (``index``, ``t_start``); default: none ends early.
        """
        if not log:
            starts = np.concatenate([[0.0], np.cumsum([step.duration for step in self.steps])]).tolist()
            steps = self.steps
        else:
            steps = tuple(self.steps[int(entry["index"])] for entry in log)
            starts = [float(entry["t_start"]) for entry in log]
            starts.append(starts[-1] + steps[-1].duration)
        return tuple((step.drive, a, b) for step, a, b in zip(steps, starts[:-1], starts[1:], strict=True))

    @property
    def moved(self) -> float:
        """By how much the clock of a followed table was moved to the run's, of the first one that was [s]; 0: none."""
        spans = zip(self.steps, self.spans(), strict=True)
        followed = [(step, start) for step, (_, start, _) in spans if step.began]
        return next(
            (start - step.began for step, start in followed if abs(start - step.began) > 1e-9 * step.began), 0.0
        )

    @property
    def may_end_early(self) -> bool:
        """Whether a step before the last one has a stop condition, so that only a run tells when the next begins."""
        return any(step.stop.given for step in self.steps[:-1])

    @property
    def duration(self) -> float:
        """Longest possible duration [s]."""
        return float(sum(step.duration for step in self.steps))


def hold_voltage(voltage: float, duration: float, stop: StopConditions | None = None) -> Step:
    """Hold `voltage` [V] for `duration` [s]."""
    return Step("voltage", np.array([voltage]), duration, stop=stop or NEVER, label="hold voltage")


def hold_current(i: float, duration: float, stop: StopConditions | None = None) -> Step:
    """Hold the current density `i` [A/m^2] for `duration` [s]."""
    return Step("current", np.array([i]), duration, stop=stop or NEVER, label="hold current")


def ramp(
    drive: Literal["voltage", "current"], begin: float, end: float, rate: float, stop: StopConditions | None = None
) -> Step:
    """Sweep linearly from `begin` to `end` [V or A/m^2] at `rate` [V/s or A/m^2/s], positive whichever way it goes.

    Raises
    ------
    InputError
        No way to go, or a rate that is not positive.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"ramp {drive}: rate = {rate!r} must be positive, also for a sweep downwards")
    if begin == end:
        raise InputError(f"ramp {drive}: it begins and ends at {begin:.4g}; hold that value instead")
    time = np.array([0.0, abs(end - begin) / rate])
    label = f"ramp {drive}"
    return Step(drive, np.array([begin, end]), float(time[1]), time, stop=stop or NEVER, label=label)


def rest(duration: float, stop: StopConditions | None = None) -> Step:
    """No current for `duration` [s]."""
    return Step("current", np.zeros(1), duration, stop=stop or NEVER, label="rest")


def lasting(seconds: float) -> str:
    """A time in the largest unit of which it is three or more; "never" where it is not finite.

    Examples
    --------
    >>> lasting(120.0), lasting(3 * 3600.0), lasting(np.inf)
    ('120 s', '3 h', 'never')
    """
    if not np.isfinite(seconds):
        return "never"
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 3 * size:
            return f"{seconds / size:.4g} {name}"
    return f"{seconds:.4g} s"
