"""Variable-step BDF2 of concentrations and current together, whatever is balanced.

The error of a step is estimated from the third divided difference. :mod:`cellsim.solvers.fipy` balances the salt,
:mod:`cellsim.solvers.mixture` n components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

import numpy as np

from cellsim.base import Array, ConvergenceError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import COINCIDENT, Step
from cellsim.model import equations
from cellsim.solvers.grid import find_current
from cellsim.solvers.march import SMALLEST_CHANGE, Options, S


class Bdf2Stepper(Generic[S]):
    """Steps concentrations and current together by variable-step BDF2; see :class:`cellsim.solvers.march.Stepper`.

    A subclass says what is balanced: the linearised balance of a step, the walls and the voltage of a profile.

    Parameters
    ----------
    cell : Cell
        Electrodes and temperature.
    c : ndarray, shape (cells, ...)
        Initial state, positive.
    c_scale : float or ndarray, shape (...)
        Its size, of each column.
    quickest : float
        Time in which a change crosses the smallest cell [s].
    options : Options
        Tolerances.
    wall : ndarray, shape (2, ...), optional
        Values at both walls, where the initial state is not uniform but they are known.
    """

    def __init__(
        self, cell: Cell, c: Array, c_scale: Any, quickest: float, options: Options, wall: Array | None = None
    ) -> None:
        self.cell, self.options, self.c_scale, self.quickest = cell, options, c_scale, quickest
        uniform = wall is None and not np.any(np.ptp(c, axis=0))
        self._wall_start = c[[0, -1]] if uniform else wall
        self.time = 0.0
        self.count = 0
        self._history: list[tuple[float, Array]] = [(0.0, c)]  # newest first
        self._i: list[tuple[float, float]] = []
        self._slope: float | None = None  # of the voltage with the current, where it was last solved for
        self._newest = np.nan, np.empty(0)  # a time, and the wall values of the step that was tried up to it
        self._step: Step | None = None
        self._t_start = 0.0
        self._dt = 0.0
        self._change = 1.0

    # ---- what a subclass says ----

    def snapshot(self, time: float) -> S:
        """The state at `time`; concentrations from the BDF2 parabola, current and walls made consistent with them."""
        raise NotImplementedError

    def walls_of(self, state: S) -> Array:
        """Values of a snapshot at both walls, shape (2, ...)."""
        raise NotImplementedError

    def expected_change(self, step: Step, first: S) -> float:
        """How far a step may move the concentration, over its size [1]."""
        raise NotImplementedError

    def walls(self, c: Array, i: float) -> Array:
        """Values at both walls, shape (2, ...), that belong to a profile and a current density [A/m^2]."""
        raise NotImplementedError

    def salt(self, wall: Array) -> tuple[float, float]:
        """Salt concentrations at both walls, which kinetics see [mol/m^3]."""
        raise NotImplementedError

    def drops(self, c: Array, wall: Array) -> tuple[float, float]:
        """Integral of dx/kappa [ohm m^2], and the voltage without current [V], of a profile."""
        raise NotImplementedError

    def linearised(self, c: Array, i: float, t_new: float, dt: float, a_0: float, risen: Array) -> tuple[Array, Array]:
        """The change that solves the linearised balance at this current, and the change per current.

        The formula gives dc/dt = `risen`/`dt`, which rises with c as `a_0`/`dt`.
        """
        raise NotImplementedError

    def sizes(self, voltage: float, time: float) -> tuple[float, float]:
        """A current density [A/m^2] and a voltage [V] of the size at hand."""
        raise NotImplementedError

    # ---- the Stepper contract ----

    def start(self, step: Step, t_start: float) -> None:
        """Begin a protocol step; the history restarts, since the drive jumps."""
        c = self._dense(t_start)
        if self._step is not None:
            self._wall_start = self.walls_of(self.snapshot(t_start))  # the current jumps, the concentrations do not
        self._step, self._t_start, self.time = step, t_start, t_start
        self._history = [(t_start, c)]
        self._i = [(np.nan, self._i[0][1])] if self._i else [(np.nan, 0.0)]  # a guess until the drive's own is known
        self._dt = self.options.fixed_step or max(1e-3 * self.quickest, 1e4 * np.spacing(t_start))
        first = self.snapshot(t_start)
        self._i = [(t_start, first.i)]
        if self.options.fixed_step is None:
            self._change = self.expected_change(step, first)

    def advance(self, t_bound: float) -> None:
        """One accepted BDF2 step (implicit Euler for the very first)."""
        fixed = self.options.fixed_step
        smallest = max(1e-9 * self._dt, 1e2 * np.spacing(self.time)) if fixed is None else fixed
        dt = min(self._dt, t_bound - self.time)
        if 0 < t_bound - self.time - dt < 0.5 * dt and fixed is None:
            dt = 0.5 * (t_bound - self.time)
        while True:
            # a sliver left before the bound would put two levels of the history a few ulp apart: noise in its slope
            left = abs(t_bound - self.time - dt)
            t_new = t_bound if left <= max(1e-12 * dt, COINCIDENT * t_bound) else self.time + dt
            outcome = self._try(t_new)
            if outcome is None:
                dt *= 0.25
                if fixed is not None or dt < smallest:
                    raise ConvergenceError(
                        f"Newton's method fails for steps down to {dt:.2g} s; try more cells, or check that the "
                        "transport set is smooth"
                    )
                continue
            c, i, error = outcome
            if fixed is None and error > 1:
                dt *= max(0.2, 0.9 * error ** (-1 / 3))
                continue
            break
        self._accept(t_new, c, i)
        if fixed is None:
            grow = 2.0 if error == 0 else min(2.0, 0.9 * error ** (-1 / 3))
            self._dt = max(self._dt, dt) if dt < self._dt and grow >= 1 else dt * grow

    def _accept(self, time: float, c: Array, i: float) -> None:
        self._history = [(time, c), *self._history[:2]]
        self._i = [(time, i), *self._i[:2]]
        self.time = time
        self.count += 1

    def newest(self) -> tuple[Array, ...]:
        """The step that was taken last: time, current, length of the next step and slope of the voltage; c; walls."""
        (time, c), slope = self._history[0], np.nan if self._slope is None else self._slope
        return np.array([time, self._i[0][1], self._dt, slope]), c, self._newest[1]

    def recall(self, numbers: Array, c: Array, wall: Array) -> None:
        """Take a step whose outcome is known, as :meth:`newest` gave it."""
        time, i, self._dt, slope = (float(x) for x in numbers)
        self._slope = None if np.isnan(slope) else slope
        self._newest = time, wall
        self._accept(time, c, i)

    def current(self, time: float) -> float:
        """The current density at `time`."""
        step = self._step
        assert step is not None
        if step.drive == "current":
            return step.at(time - self._t_start)
        return self._observe(self._dense(time), time)[0]

    # ---- one time step ----

    def _try(self, t_new: float) -> tuple[Array, float, float] | None:
        """Newton for one step: new concentrations, current and scaled error; None where it does not converge."""
        times = [t for t, _ in self._history]
        dt = t_new - times[0]
        c = _extrapolate(self._history, t_new)
        i = float(_extrapolate(self._i, t_new))
        c_n = self._history[0][1]
        if np.any(c <= 0):
            c, i = c_n.copy(), self._i[0][1]
        if len(times) == 1:
            a_0, before = 1.0, np.zeros_like(c_n)
        else:
            w = dt / (times[0] - times[1])
            a_0 = (1 + 2 * w) / (1 + w)
            before = w**2 / (1 + w) * (c_n - self._history[1][1])
        tolerance = 0.02 * self.options.rtol if self.options.fixed_step is None else 1e-12
        for _ in range(12):
            try:
                # of differences: a sum of the profiles themselves would round at their size, and salt would drift
                c_new, i_new = self._newton(c, i, t_new, dt, a_0, a_0 * (c - c_n) - before)
            except ConvergenceError:
                return None
            if not np.all(np.isfinite(c_new)):
                return None
            change = np.abs(c_new - c) / self.c_scale
            relative = change / np.maximum(np.minimum(np.abs(c_new), np.abs(c)) / self.c_scale, 1e-6)
            i_change = abs(i_new - i) / max(abs(i_new), abs(self._i[-1][1]), 1e-30)
            c, i = c_new, i_new
            # Newton: what is left after an update is of the order of its relative square
            if max(float(np.max(change * relative)) / self._scale(c), i_change**2) <= tolerance:
                break
        else:
            return None
        wall = self.walls(c, i)
        if min(float(c.min()), float(wall.min())) <= 0:
            return None  # a step beyond depletion: come closer first
        self._newest = t_new, wall
        return c, i, self._error(c, t_new, dt, a_0)

    def _error(self, c: Array, t_new: float, dt: float, a_0: float) -> float:
        """Local error over tolerance: BDF2 leaves dt^2 (dt + dt_1) c[3]/a_0, c[3] the third divided difference."""
        if len(self._history) < 3:
            return 0.0 if len(self._history) == 1 else 0.1
        miss = c - _extrapolate(self._history, t_new)
        reach = t_new - self._history[2][0]
        local = np.abs(miss) * dt / (a_0 * reach)
        weight = np.sqrt(
            np.clip(c / self.c_scale, 1e-3, 1.0)
        )  # finer where the salt runs low and the voltage rides on ln c
        return float(np.max(local / (weight * self.c_scale))) / (self.options.rtol * self._scale(c))

    def _scale(self, c: Array) -> float:
        """What the tolerance is relative to, over the average concentration [1]."""
        if self.options.fixed_step is not None:
            return 1.0
        assert self._step is not None
        now = float(np.max(np.ptp(c, axis=0) / self.c_scale))
        if not np.any(self._step.value):
            return max(now, SMALLEST_CHANGE)  # the tail of a relaxation is read on a logarithmic axis
        # at first nothing has changed yet, and steps that resolve a tenth of what comes are fine enough
        return min(max(now, 0.1 * self._change), 1.0)

    def _newton(self, c: Array, i: float, t_new: float, dt: float, a_0: float, risen: Array) -> tuple[Array, float]:
        """One coupled update of concentration and current."""
        delta, gain = self.linearised(c, i, t_new, dt, a_0, risen)
        step = self._step
        assert step is not None
        drive = step.at(t_new - self._t_start)
        if step.drive == "current":
            return c + delta + (drive - i) * gain, drive
        i_new = self._balance(lambda x: c + delta + (x - i) * gain, i, drive, t_new)
        return c + delta + (i_new - i) * gain, i_new

    def _balance(self, profile: Callable[[float], Array], i: float, voltage: float, time: float) -> float:
        """Current at which the voltage law holds along a line of profiles."""
        size, voltage_size = self.sizes(voltage, time)

        def miss(x: float) -> float:
            c = profile(x)
            wall = self.walls(c, x)
            resistance, concentration = self.drops(c, wall)
            losses = equations.interface_losses(self.cell, x, self.salt(wall), time)
            return float(sum((x * resistance, concentration, *losses))) - voltage

        scale = max(abs(i), abs(size)) or 1e-6
        found, self._slope = find_current(miss, i, scale, voltage_size, self._slope)
        return found

    # ---- observation ----

    def _observe(self, c: Array, time: float) -> tuple[float, Array]:
        """Current and wall values that belong to a profile under the present drive."""
        step = self._step
        assert step is not None
        drive = step.at(time - self._t_start)
        wall = self._wall_start
        if time == self._t_start and wall is not None:
            i = drive
            if step.drive == "voltage":
                i = equations.balanced_current(self.cell, drive, *self.drops(c, wall), self.salt(wall), time)
            return i, wall
        if step.drive == "current":
            i = drive
        elif time == self._i[0][0]:
            i = self._i[0][1]
        else:
            guess = self._i[0][1] if np.isnan(self._i[0][0]) else float(_extrapolate(self._i, time))
            i = self._balance(lambda _: c, guess, drive, time)
        if time == self._newest[0] == self.time and i == self._i[0][1]:
            return i, self._newest[1]  # those of the time step just taken
        return i, self.walls(c, i)

    def _dense(self, time: float) -> Array:
        if time == self._history[0][0]:
            return self._history[0][1]
        return np.asarray(_extrapolate(self._history, time))


def _extrapolate(history: list[tuple[float, Any]], time: float) -> Any:
    """Value at `time` of the polynomial through up to three (time, value) pairs, newest first."""
    (t_0, y_0), *older = history
    if not older:
        return np.array(y_0, copy=True) if isinstance(y_0, np.ndarray) else y_0
    t_1, y_1 = older[0]
    first = (y_0 - y_1) / (t_0 - t_1)
    value = y_0 + (time - t_0) * first
    if len(older) == 2:
        t_2, y_2 = older[1]
        second = (first - (y_1 - y_2) / (t_1 - t_2)) / (t_0 - t_2)
        value = value + (time - t_0) * (time - t_1) * second
    return value
