"""The compiled solver: variable-order BDF over a whole protocol step in one compiled call."""

from __future__ import annotations

import math

import numpy as np

from cellsim.base import Array
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.equations import compiled
from cellsim.solvers import banded, kernels
from cellsim.solvers.kernels import C_MAX, C_MIN, CHARGE, EVENTS, EVENTS_N, Q
from cellsim.solvers.march import Options, interruption
from cellsim.solvers.packing import Event
from cellsim.solvers.refinement import Integration, Progress, refined
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import Spectral

MOST_ORDER = 5
KAPPA = np.array([0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0])
GAMMA = np.array([0.0, 1.0, 3 / 2, 11 / 6, 25 / 12, 137 / 60])
ALPHA = (1 - KAPPA) * GAMMA
ERROR = np.append(KAPPA * GAMMA + 1 / np.arange(1.0, 7.0), 1 / 7)

DONE, PAUSED, EVENT, FAILED, TOO_MANY = range(5)

# places in `numbers`
T, H, ORDER, EQUAL, EDGE, WRITTEN, STEPS, EVALUATIONS, THETA, AGE, LU_C, HIT, JACOBIANS, FACTORS = range(14)
NUMBERS = 16


@compiled
def rate(dense, t, s, ds, data):  # type: ignore[no-untyped-def]
    if dense:
        return kernels.rate(t, s, ds, data)
    return banded.rate(t, s, ds, data)


@compiled
def watch(dense, t, s, g, data):  # type: ignore[no-untyped-def]
    par, ops, _tab = data
    offset, n = int(par[EVENTS]), int(par[EVENTS_N])
    simple = dense
    for e in range(n):
        if par[offset + 3 * e] != C_MIN and par[offset + 3 * e] != C_MAX:
            simple = False
    if simple:
        c = np.empty(int(par[Q]))
        kernels.profile(par, ops, s, c)
        low, high = c[0], c[0]
        for p in range(c.size):
            low, high = min(low, c[p]), max(high, c[p])
        for e in range(n):
            level, size = par[offset + 3 * e + 1], par[offset + 3 * e + 2]
            g[e] = (low - level) / size if par[offset + 3 * e] == C_MIN else (level - high) / size
    elif dense:
        kernels.events(t, s, g, data)
    else:
        banded.events(t, s, g, data)


@compiled
def factorise(lu, pivots):  # type: ignore[no-untyped-def]
    """LU of a matrix kept by columns, lu[column, row], in place with partial pivoting; whether there is one.

    Column after column takes what the columns before it leave, four of those at a time: half the time of one by one.
    """
    n = pivots.size
    for j in range(n):
        column = lu[j]
        for k in range(j):
            at = pivots[k]
            if at != k:
                column[k], column[at] = column[at], column[k]
        whole = j - j % 4
        for k in range(0, whole, 4):
            a, b, c, d = lu[k], lu[k + 1], lu[k + 2], lu[k + 3]
            w = column[k]
            x = column[k + 1] - w * a[k + 1]
            y = column[k + 2] - w * a[k + 2] - x * b[k + 2]
            z = column[k + 3] - w * a[k + 3] - x * b[k + 3] - y * c[k + 3]
            column[k + 1], column[k + 2], column[k + 3] = x, y, z
            for r in range(k + 4, n):
                column[r] -= (w * a[r] + x * b[r]) + (y * c[r] + z * d[r])
        for k in range(whole, j):
            a, w = lu[k], column[k]
            for r in range(k + 1, n):
                column[r] -= w * a[r]
        largest, at = abs(column[j]), j
        for r in range(j + 1, n):
            if abs(column[r]) > largest:
                largest, at = abs(column[r]), r
        pivots[j] = at
        if largest == 0.0 or not math.isfinite(largest):
            return False
        if at != j:
            for k in range(j + 1):
                lu[k, j], lu[k, at] = lu[k, at], lu[k, j]
        scale = 1 / column[j]
        for r in range(j + 1, n):
            column[r] *= scale
    return True


@compiled
def substitute(lu, pivots, x):  # type: ignore[no-untyped-def]
    n = pivots.size
    for k in range(n):
        at = pivots[k]
        if at != k:
            x[k], x[at] = x[at], x[k]
    for k in range(n):
        column, y = lu[k], x[k]
        for r in range(k + 1, n):
            x[r] -= y * column[r]
    for k in range(n - 1, -1, -1):
        column = lu[k]
        y = x[k] / column[k]
        x[k] = y
        for r in range(k):
            x[r] -= y * column[r]


@compiled
def rescale(D, order, factor):  # type: ignore[no-untyped-def]
    """Backward differences of the same polynomial at steps `factor` times as long."""
    W = np.empty((order + 1, order + 1))
    for m in range(order + 1):
        W[m, 0] = 1.0
        for i in range(1, order + 1):
            W[m, i] = W[m, i - 1] * (i - 1 - m * factor) / i
    for j in range(1, order + 1):
        for m in range(order, j - 1, -1):
            for i in range(order + 1):
                W[m, i] = W[m - 1, i] - W[m, i]
    new = np.zeros((order + 1, D.shape[1]))
    for j in range(order + 1):
        for i in range(order + 1):
            w = W[j, i]
            if w != 0.0:
                for p in range(D.shape[1]):
                    new[j, p] += w * D[i, p]
    D[: order + 1] = new


@compiled
def interpolate(D, order, x, out):  # type: ignore[no-untyped-def]
    """The polynomial at `x` steps after the newest point."""
    for p in range(out.size):
        out[p] = D[0, p]
    weight = 1.0
    for i in range(1, order + 1):
        weight *= (x + i - 1) / i
        for p in range(out.size):
            out[p] += weight * D[i, p]


@compiled
def norm(x, inverse):  # type: ignore[no-untyped-def]
    total = 0.0
    for p in range(x.size):
        e = x[p] * inverse[p]
        total += e * e
    return math.sqrt(total / x.size)


@compiled
def crossing(dense, data, D, order, t, h, event, low, high, g_low, g_high, s):  # type: ignore[no-untyped-def]
    """Where an event is met within the newest step, in steps from its end, from `low` to `high`: the Illinois method."""
    g = np.empty(int(data[0][EVENTS_N]))
    if g_low <= 0:
        return low
    least = max(1e-13, 4e-16 * abs(t) / h)
    side = 0
    for tries in range(100):
        if high - low <= least:
            break
        x = high - g_high * (high - low) / (g_high - g_low)
        if not (low < x < high) or tries % 4 == 3:
            x = 0.5 * (low + high)
            side = 0
        interpolate(D, order, x, s)
        watch(dense, t + x * h, s, g, data)
        if g[event] > 0:
            low, g_low = x, g[event]
            if side == 1:
                g_high *= 0.5
            side = 1
        else:
            high, g_high = x, g[event]
            if side == -1:
                g_low *= 0.5
            side = -1
    return high


@compiled
def integrate(dense, data, numbers, D, J, per_i, per_s, lu, pivots, edges, wanted, states, watched, atol, rtol, most, pause, tune):  # type: ignore[no-untyped-def]
    n = D.shape[1]
    par = data[0]
    t, h, order, equal = numbers[T], numbers[H], int(numbers[ORDER]), int(numbers[EQUAL])
    edge, written = int(numbers[EDGE]), int(numbers[WRITTEN])
    steps, evaluations = int(numbers[STEPS]), int(numbers[EVALUATIONS])
    theta, age, fresh, lu_c = numbers[THETA], numbers[AGE], False, numbers[LU_C]
    jacobians, factors = 0, 0
    n_events = int(par[EVENTS_N])
    g = np.empty(max(n_events, 1))
    y, d, f, r, psi, inverse, trial = (
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    )
    flag = DONE
    taken = 0
    stops = False
    for e in range(n_events):
        if par[int(par[EVENTS]) + 3 * e] > C_MAX:
            stops = True
    if n_events > 0 and steps == 0:
        watch(dense, t, D[0], g, data)
        for e in range(n_events):
            watched[1, e] = g[e]
            if g[e] > 0:
                watched[0, e] = 1.0
    newton_tol, theta_start, safety = tune[0], tune[1], tune[2]
    while edge < edges.size:
        if steps >= most:
            flag = TOO_MANY
            break
        if taken >= pause:
            flag = PAUSED
            break
        taken += 1
        bound = edges[edge]
        if h == 0.0:
            # start
            order, equal, lu_c = 1, 0, 0.0
            for p in range(n):
                y[p] = D[0, p]
                inverse[p] = 1 / (rtol * abs(y[p]) + atol[p])
            rate(dense, t, y, f, data)
            span = bound - t
            size = norm(f, inverse)
            delta = span * 1e-6
            if size > 0:
                delta = min(delta, 1e-2 / size)
            for p in range(n):
                trial[p] = y[p] + delta * f[p]
            rate(dense, t + delta, trial, r, data)
            evaluations += 2
            for p in range(n):
                r[p] = (r[p] - f[p]) / delta
            curve = norm(r, inverse)
            h = span
            if curve > 0:
                h = min(h, math.sqrt(tune[3] / curve))
            for p in range(n):
                D[1, p] = h * f[p]
                D[2, p] = 0.0
                D[3, p] = 0.0
            fresh = False
            age = 1000.0
        # one step
        failures = 0
        while True:
            if t + h >= bound - 1e-13 * (abs(bound)) or t + 1.0001 * h >= bound:
                new_h = bound - t
                if new_h != h:
                    rescale(D, order, new_h / h)
                    h, equal = new_h, 0
                t_new = bound
            else:
                t_new = t + h
            if h < 4e-16 * abs(t) + 1e-300 or not math.isfinite(h):
                flag = FAILED
                break
            c = h / ALPHA[order]
            for p in range(n):
                total, push = D[0, p], 0.0
                for i in range(1, order + 1):
                    total += D[i, p]
                    push += GAMMA[i] * D[i, p]
                trial[p] = total
                psi[p] = push / ALPHA[order]
                inverse[p] = 1 / (rtol * abs(D[0, p]) + atol[p])
            converged = False
            while True:
                if age > tune[4]:
                    # new Jacobian at the predicted point
                    if dense:
                        kernels.jacobian(t_new, trial, f, J, data)
                    else:
                        banded.linearise(t_new, trial, data, J, per_i, per_s)
                    jacobians += 1
                    age, fresh, lu_c = 0.0, True, 0.0
                    theta = theta_start
                if lu_c != c:
                    if dense:
                        for j in range(n):
                            for p in range(n):
                                lu[j, p] = -c * J[p, j]
                            lu[j, j] += 1.0
                        factors += 1
                        if not factorise(lu, pivots):
                            break
                    lu_c = c
                for p in range(n):
                    y[p] = trial[p]
                    d[p] = 0.0
                before = 0.0
                for it in range(4):
                    rate(dense, t_new, y, f, data)
                    evaluations += 1
                    for p in range(n):
                        r[p] = c * f[p] - psi[p] - d[p]
                    if dense:
                        substitute(lu, pivots, r)
                    else:
                        banded.solve(J, per_i, per_s, par[CHARGE], c, r, r)
                    size = norm(r, inverse)
                    if not math.isfinite(size):
                        break
                    if it > 0:
                        theta = max(0.3 * theta, size / before) if before > 0 else theta
                        if size > 2 * before and size > newton_tol:
                            break
                    for p in range(n):
                        y[p] += r[p]
                        d[p] += r[p]
                    if size * min(1.0, theta / max(1 - theta, 1e-3)) <= newton_tol or size < 1e-10:
                        converged = True
                        break
                    before = size
                if converged or fresh:
                    break
                age = 1000.0
            if not converged:
                failures += 1
                factor = 0.25
                rescale(D, order, factor)
                h, equal = factor * h, 0
                if failures > 30:
                    flag = FAILED
                    break
                continue
            error = ERROR[order] * norm(d, inverse)
            if error > 1.0:
                failures += 1
                factor = max(0.1, 0.9 * error ** (-1 / (order + 1)))
                if failures > 2:
                    factor = 0.1
                rescale(D, order, factor)
                h, equal = factor * h, 0
                fresh = False
                if failures > 30:
                    flag = FAILED
                    break
                continue
            break
        if flag == FAILED:
            break
        # accepted
        fresh = False
        age += 1
        steps += 1
        equal += 1
        t_old, t = t, t_new
        for p in range(n):
            D[order + 2, p] = d[p] - D[order + 1, p]
            D[order + 1, p] = d[p]
        for i in range(order, -1, -1):
            for p in range(n):
                D[i, p] += D[i + 1, p]
        t_stop = t
        if n_events > 0:
            earliest, x, looks = 1.0, -1.0, 4 if stops else 1
            for look in range(looks):
                x_before, x = x, -1.0 + (look + 1) / looks
                interpolate(D, order, x, trial)
                watch(dense, t + x * h, trial, g, data)
                for e in range(n_events):
                    if g[e] > 0:
                        watched[0, e] = 1.0
                    elif watched[0, e] > 0:
                        met = crossing(dense, data, D, order, t, h, e, x_before, x, watched[1, e], g[e], trial)
                        if met < earliest:
                            earliest, flag = met, EVENT
                            numbers[HIT] = e
                    watched[1, e] = g[e]
                if flag == EVENT:
                    break
            if flag == EVENT:
                t_stop = t + earliest * h if earliest < 0 else t
                interpolate(D, order, earliest, y)
        while written < wanted.size and wanted[written] < t_stop:
            interpolate(D, order, (wanted[written] - t) / h, states[written])
            written += 1
        if written < wanted.size and wanted[written] == t_stop:
            for p in range(n):
                states[written, p] = D[0, p]
            written += 1
        if flag == EVENT:
            for p in range(n):
                D[0, p] = y[p]
            t = t_stop
            break
        if t >= bound:
            edge += 1
            h = 0.0
            continue
        if equal < order + 1:
            continue
        keep = tune[5] * max(error, 1e-30) ** (-1 / (order + 1))
        best, change = keep, 0
        if order > 1:
            lower = tune[6] * max(ERROR[order - 1] * norm(D[order], inverse), 1e-30) ** (-1 / order)
            if lower > best:
                best, change = lower, -1
        if order < MOST_ORDER:
            higher = tune[7] * max(ERROR[order + 1] * norm(D[order + 2], inverse), 1e-30) ** (-1 / (order + 2))
            if higher > best:
                best, change = higher, 1
        if best > tune[8] or best < 0.9:
            order += change
            factor = min(10.0, best)
            rescale(D, order, factor)
            h, equal = h * factor, 0
    numbers[T], numbers[H], numbers[ORDER], numbers[EQUAL] = t, h, order, equal
    numbers[EDGE], numbers[WRITTEN], numbers[STEPS], numbers[EVALUATIONS] = edge, written, steps, evaluations
    numbers[THETA], numbers[AGE], numbers[LU_C] = theta, age, lu_c
    numbers[JACOBIANS] += jacobians
    numbers[FACTORS] += factors
    return flag


INTERRUPTED = 5
AT_ONCE = 20000
"""Time steps taken in one call: an interrupt is noticed between two."""
WATCHED = 10
"""The same where progress is reported."""
TUNE = np.array([0.1, 0.2, 0.9, 0.5, 25, 1 / 1.2, 1 / 1.3, 1 / 1.25, 1.3])


def solve(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float,
    options: Options,
    progress: Progress | None = None,
) -> SolverRun:
    """Run a protocol; arguments as :func:`cellsim.simulate`."""
    return refined(CompiledRun, cell, transport, protocol, times, c0, options, progress).solver_run(cell, transport)


class CompiledRun(Integration):
    """By backward differences, one call for a whole protocol step."""

    steps = 0

    def over(
        self,
        index: int,
        step: Step,
        t_start: float,
        state: Array,
        events: tuple[Event, ...],
        wanted: Array,
        edges: Array,
    ) -> tuple[Array, float, str]:
        """As :meth:`Integration.over`."""
        grid, run = self.grid, self.run
        dense, n = isinstance(grid, Spectral), state.size
        data = grid.data(step, t_start, events)
        D, numbers, states = np.zeros((MOST_ORDER + 3, n)), np.zeros(NUMBERS), np.empty((wanted.size + 1, n))
        J, lu = np.empty((n if dense else 3, n if dense else n - 1)), np.empty((n, n) if dense else (1, 1))
        per_i, per_s, pivots = np.empty(n - 1), np.empty(n - 1), np.empty(n if dense else 1, dtype=np.int64)
        watched = np.zeros((2, len(events)))
        watched[0] = [e.fatal for e in events]
        D[0], numbers[T] = state, t_start
        times = np.append(wanted, t_start)
        most, pause = self.options.max_steps - self.steps, AT_ONCE if self.progress is None else WATCHED
        flag = PAUSED
        try:
            while flag == PAUSED:
                flag = integrate(
                    dense, data, numbers, D, J, per_i, per_s, lu, pivots, edges, wanted, states, watched,
                    self.atol, self.tolerances[0], most, pause, TUNE,
                )  # fmt: skip
                if self.progress is not None:
                    self.progress(numbers[T] / self.protocol.duration)
        except KeyboardInterrupt:
            flag = INTERRUPTED
        self.steps += int(numbers[STEPS])
        run.evaluations += int(numbers[EVALUATIONS])
        t, written = float(numbers[T]), int(numbers[WRITTEN])
        ended_by = "duration"
        if flag == EVENT:
            ended_by = events[int(numbers[HIT])].name
        elif flag == INTERRUPTED:
            ended_by = "interrupted"
            run.fail(ended_by, interruption(t))
        elif flag != DONE:
            ended_by = "not_converged"
            why = (
                f"more than {self.options.max_steps} time steps; raise max_steps or rtol"
                if flag == TOO_MANY
                else "no time step converges, however short"
            )
            run.fail(ended_by, f"step {index + 1} at t = {t:.6g} s: {why}")
        if t > (times[written - 1] if written else run.time[-1][-1]):
            times[written], states[written] = t, D[0]
            written += 1
        if written:
            times, states = times[:written], states[:written]
            observed = grid.observe(times, states, data)
            run.add(index, times, states, observed)
            self.judge(times, observed, step, t_start, ended_by)
            if flag == EVENT and events[int(numbers[HIT])].fatal:
                self.fail_at(t, observed, ended_by, index)
        return states[written - 1] if written else state, t, ended_by
