"""The sundials solver: CVODE's variable-order BDF (through scikit-sundae) on a spectral grid with compiled kernels.

Grid, refinement and protocol are those of :mod:`cellsim.solvers.refinement`; here a protocol step is integrated.

Hindmarsh et al., ACM Trans. Math. Softw. 31 (2005) 363, doi:10.1145/1089014.1089020.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Generator
from typing import Any

import numpy as np

from cellsim.base import Array, interrupted
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.breathing import solving
from cellsim.solvers.march import LOWER, Options, interruption
from cellsim.solvers.packing import Event
from cellsim.solvers.refinement import MOST_STEPS, Integration, Job, Progress, driven
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import Observed, Spectral

INTERRUPTED = -1000
_kept = threading.local()


class _SaltGoneError(Exception):
    """A trial state without salt somewhere."""


def solve(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Progress | None = None,
) -> SolverRun:
    """Run a protocol; arguments as :func:`cellsim.simulate`."""
    return driven(solving(CvodeRun, cell, transport, protocol, times, c0, options, progress))


def cvode(rate: Any, jacobian: Any, rtol: float, atol: Array) -> Any:
    """A CVODE of variable order with a dense Jacobian, to be stepped by :meth:`CVODE.init_step` and ``step``.

    Parameters
    ----------
    rate : callable
        (time, y, out), fills `out` with dy/dt.
    jacobian : callable
        (time, y, dy/dt, out), fills `out` with its slopes.
    rtol, atol : float, ndarray
        Tolerances of y.
    """
    from sksundae.cvode import CVODE

    return CVODE(rate, jacfn=jacobian, linsolver="dense", rtol=rtol, atol=atol)


def quiet() -> contextlib.AbstractContextManager[Any]:
    """CVODE announces failures on stdout; its flag says so too. Other threads' output is left alone."""
    if threading.current_thread() is threading.main_thread():
        return contextlib.redirect_stdout(io.StringIO())
    return contextlib.nullcontext()


class CvodeRun(Integration):
    """By CVODE, one call from edge to edge of a step."""

    def over(
        self,
        index: int,
        step: Step,
        t_start: float,
        state: Array,
        data: Any,
        events: tuple[Event, ...],
        wanted: Array,
        edges: Array,
    ) -> Generator[Job, None, tuple[Array, float, str]]:
        """As :meth:`Integration.over`."""
        yield from ()  # CVODE is called from here
        t, t_end = t_start, edges[-1]
        for bound in edges:
            asked = wanted[slice(*np.searchsorted(wanted, (t, bound), side="right"))]
            tspan = np.unique([t, *asked, bound])
            times, states, observed, ended_by = self._segment(index, step, t_start, tspan, state, events, data)
            keep = np.isin(times, asked)
            keep[-1] |= ended_by != "duration" or bound == t_end
            if keep.any():
                self.run.add(index, times[keep], states[keep], observed.subset(keep))
            self.judge(times, observed, step, t_start, ended_by)
            t, state = float(times[-1]), states[-1]
            if ended_by != "duration":
                return state, t, ended_by
        return state, float(t_end), "duration"

    def _segment(
        self,
        index: int,
        step: Step,
        t_start: float,
        tspan: Array,
        state: Array,
        events: tuple[Event, ...],
        data: Any,
    ) -> tuple[Array, Array, Observed, str]:
        """Integrate over `tspan`; first without watching the fatal limits, which costs a call per time step."""
        if tspan.size == 2:
            tspan = np.insert(tspan, 1, tspan.mean())
        # Watching costs a call into Python per time step, three times the step itself. A fatal limit is met by few
        # runs: so integrate blindly, then look whether the kept states stay clear of it by more than they move.
        only_fatal = all(e.fatal for e in events)
        if only_fatal and self.progress is None:
            with contextlib.suppress(_SaltGoneError):
                times, states, flag, _ = self._solve(tspan, state, data, ())
                if flag >= 0:
                    observed = self.grid.observe(times, states, data)
                    if self._clear(observed):
                        return times[1:], states[1:], observed.subset(slice(1, None)), "duration"
        times, states, flag, message = self._solve(tspan, state, data, events)
        observed = self.grid.observe(times, states, data)
        ended_by = "duration"
        if flag == INTERRUPTED:
            ended_by = "interrupted"
            self.run.fail(ended_by, interruption(times[-1]))
        elif flag < 0:
            ended_by = "not_converged"
            self.run.fail(ended_by, f"step {index + 1} at t = {times[-1]:.6g} s: {message}")
        elif times[-1] < tspan[-1]:
            ended_by = self._which(times[-1], states[-1], data, events)
            if any(e.fatal and e.name == ended_by for e in events):
                self.fail_at(float(times[-1]), observed, ended_by, index)
        if times.size > 1:
            times, states, observed = times[1:], states[1:], observed.subset(slice(1, None))
        return times, states, observed, ended_by

    def _clear(self, observed: Observed) -> bool:
        """Whether no fatal limit can have been met between the kept states: all stay away by more than they move."""
        low, high = observed.extremes[:, 0], observed.extremes[:, 1]
        low_margin = low[1:] - np.abs(np.diff(low))
        high_margin = high[1:] + np.abs(np.diff(high))
        return all(
            bool(np.all(low_margin > limit)) if name in LOWER else bool(np.all(high_margin < limit))
            for name, limit in self.limits.items()
        )

    def _which(self, time: float, state: Array, data: Any, events: tuple[Event, ...]) -> str:
        """The event that ended a step: the one at its root."""
        g = np.empty(len(events))
        self.grid.events(time, state, g, data)
        return events[int(np.argmin(np.abs(g)))].name

    def _solve(self, tspan: Array, state: Array, data: Any, events: tuple[Event, ...]) -> tuple[Array, Array, int, str]:
        """CVODE over `tspan`: times and states reached, its flag (negative: failed) and message."""
        if not events and self.progress is None and isinstance(self.grid, Spectral):
            solver = self._kept_solver(data)
        else:
            solver = self._solver([data], events)
        with quiet():
            if self.progress is None:
                try:
                    result = solver.solve(tspan, state)
                except BaseException:
                    _kept.__dict__.pop("solvers", None)  # what it was doing is unknown
                    raise
                self.run.evaluations += result.nfev
                return result.t, result.y, result.status, result.message
            return self._watched(solver, tspan, state)

    def _kept_solver(self, data: Any) -> Any:
        """A CVODE from an earlier run of this thread on such a grid, or a new one: making it costs a tenth of a run."""
        solvers: dict[Any, Any] = _kept.__dict__.setdefault("solvers", {})
        grid = self.grid
        assert isinstance(grid, Spectral)
        key = (type(grid), grid.n, grid.fine, self.options.rtol, self.options.max_steps, self.tolerances)
        if key not in solvers:
            if len(solvers) >= 16:
                solvers.pop(next(iter(solvers)))
            box: list[Any] = [data]
            solvers[key] = (box, self._solver(box, ()))
        box, solver = solvers[key]
        box[0] = data
        return solver

    def _solver(self, box: list[Any], events: tuple[Event, ...]) -> Any:
        """CVODE for the numbers in `box`."""
        from sksundae.cvode import CVODE, CVODEJacTimes, CVODEPrecond

        rate, judge = self.grid.rate, self.grid.events

        def rhsfn(t: float, s: Array, ds: Array) -> None:
            if not rate(t, s, ds, box[0]) and not events:
                raise _SaltGoneError  # no limit is watched here; the caller tries again, watching

        options = self.grid.solver_options(box)
        for key, wrapper in (("precond", CVODEPrecond), ("jactimes", CVODEJacTimes)):
            if key in options:
                options[key] = wrapper(*options[key])
        if events:

            def eventsfn(t: float, s: Array, g: Array) -> None:
                judge(t, s, g, box[0])

            eventsfn.direction = [-1] * len(events)  # type: ignore[attr-defined]
            options |= {"eventsfn": eventsfn, "num_events": len(events)}
        rtol = self.tolerances[0]
        most = self.options.max_steps
        if isinstance(self.grid, Spectral) and self.options.unknowns is None:
            most = min(most, MOST_STEPS)
        return CVODE(rhsfn, rtol=rtol, atol=self.atol, max_num_steps=most, **options)

    def _watched(self, solver: Any, tspan: Array, state: Array) -> tuple[Array, Array, int, str]:
        """The same, output by output, with progress; an interrupt keeps what was reached."""
        times, states, flag, message = [tspan[0]], [state], 0, ""
        solver.init_step(float(tspan[0]), state)
        assert self.progress is not None
        try:
            for t in tspan[1:]:
                result = solver.step(float(t), "normal", float(tspan[-1]))
                times.append(result.t)
                states.append(result.y)
                flag, message = result.status, result.message
                if flag < 0 or result.t < t:
                    break
                self.progress(result.t / self.protocol.duration)
            self.run.evaluations += result.nfev
        except (KeyboardInterrupt, SystemError) as error:
            if not interrupted(error):
                raise
            flag = INTERRUPTED
        return np.array(times), np.array(states), flag, message
