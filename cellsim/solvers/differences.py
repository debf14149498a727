"""Time integration of the compiled solver: variable-order backward differences, for many runs in one compiled call.

The numerical differentiation formulas of order 1 to 5 of Shampine & Reichelt, in backward differences of
quasi-constant step, simplified Newton iterations with the Jacobian written out, output by the interpolating
polynomial, roots of events on it. Nothing in it calls Python, so that it runs beside other threads. What is
integrated, and what becomes of it, is :mod:`cellsim.solvers.compiled`'s.

Shampine & Reichelt, SIAM J. Sci. Comput. 18 (1997) 1, doi:10.1137/S1064827594276424.
"""

from __future__ import annotations

import math

import numpy as np

from cellsim.model.equations import compiled
from cellsim.solvers import banded, kernels
from cellsim.solvers.dense import combine, invert, lent
from cellsim.solvers.kernels import C_MAX, CHARGE, EVENTS, EVENTS_N

MOST_ORDER = 5
KAPPA = np.array([0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0])
"""What the formulas of order 0 to 5 take of the next difference (Table 1 there): smaller errors, still stable."""
GAMMA = np.array([0.0, 1.0, 3 / 2, 11 / 6, 25 / 12, 137 / 60])
ALPHA = (1 - KAPPA) * GAMMA
ERROR = KAPPA * GAMMA + 1 / np.arange(1.0, 7.0)
"""The local error is this times the next difference."""

NEWTON = 0.1
"""Newton's error left in a step, over the tolerance."""
RATE_FRESH, RATE_LEAST = 0.2, 0.02
"""Convergence rate supposed for a new Jacobian, and the least that is relied on."""
ITERATIONS = 4
OLDEST = 25
"""Time steps after which the Jacobian is made anew."""
FIRST = 0.5
"""Error over the tolerance that the first step is to make, estimated from the second derivative, as order 1."""
SAME, LOWER, HIGHER = 1 / 1.2, 1 / 1.3, 1 / 1.25
"""Of the step that would just meet the tolerance this is taken, at the same order and at the neighbouring ones."""
WORTH = 1.8
"""A longer step is worth a new inverse from this ratio on. At 47 unknowns that takes 29 of them; by 1.3 it was 42, and
a tenth fewer evaluations, of which an inverse costs eight or more."""
WORTH_BANDED = 1.2
"""The same where no inverse is kept."""
MOST_FAILURES = 30
AT_ONCE = 2000
"""Time steps taken in one call: an interrupt is noticed between two, and a run that no longer gets anywhere."""
REACH = 1e-4
"""Part of a time step over which the slope of an event is read."""
LOOKS = 4
"""At so many points of a time step a stop condition is looked at: one met for a moment only, as |di/dt| where it
changes sign, was missed between two steps."""

DONE, PAUSED, EVENT, FAILED, TOO_MANY, INTERRUPTED = range(6)

# places in `numbers`: time, step, order, steps of this length, next edge, outputs written, steps, evaluations,
# convergence rate, steps since the Jacobian, step over alpha of the inverse, event that was met, iterations of the
# newest step, how often the step was resized for it, and for each time the order and the factor
T, H, ORDER, EQUAL, EDGE, WRITTEN, STEPS, EVALUATIONS, NEWTON_RATE, AGE, INVERTED, MET, ITERATED, RESIZED = range(14)
RESIZES = 14
NUMBERS = RESIZES + 2 * (2 * MOST_FAILURES + 4)
# rows of `work`
Y, CORRECTION, PREDICTED, SLOPE, RESIDUAL, PUSH, INVERSE = range(7)
ROWS = 7


@compiled
def rate(dense, t, s, ds, data):  # type: ignore[no-untyped-def]
    """ds/dt on either grid, spectral (`dense`) or finite volumes."""
    if dense:
        return kernels.rate(t, s, ds, data)
    return banded.rate(t, s, ds, data)


@compiled
def watch(dense, D, order, x, t, h, s, ds, g, data):  # type: ignore[no-untyped-def]
    """Stop conditions and limits, each positive while all is well, on either grid, `x` steps after the newest point.

    Rates are those of the polynomial: of its states the right-hand side, which is stiff, makes noise, and a step ended
    by a rate that was noise after a hundredth of a second.
    """
    interpolate(D, order, x, s)
    if kernels.watches_rate(data[0]):
        differentiate(D, order, x, h, ds)
    if dense:
        kernels.events_along(t + x * h, s, ds, g, data)
    else:
        banded.events_along(t + x * h, s, ds, g, data)


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
def differentiate(D, order, x, h, out):  # type: ignore[no-untyped-def]
    """The slope of that polynomial in time."""
    for p in range(out.size):
        out[p] = 0.0
    weight, slope = 1.0, 0.0
    for i in range(1, order + 1):
        slope = (slope * (x + i - 1) + weight) / i
        weight *= (x + i - 1) / i
        for p in range(out.size):
            out[p] += slope / h * D[i, p]


@compiled
def norm(x, inverse):  # type: ignore[no-untyped-def]
    """Root of the mean square of x over its tolerances, of which the inverses are given."""
    total = 0.0
    for p in range(x.size):
        e = x[p] * inverse[p]
        total += e * e
    return math.sqrt(total / x.size)


@compiled
def crossing(dense, data, D, order, t, h, event, low, high, g_low, g_high, s, ds):  # type: ignore[no-untyped-def]
    """Where an event is met in the newest step, in steps from its end, from `low` to `high`: the Illinois method."""
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
        watch(dense, D, order, x, t, h, s, ds, g, data)
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
def begin(dense, data, memory, bound, rtol, atol):  # type: ignore[no-untyped-def]
    """Order 1 from the state at hand, with a step by the second derivative; nothing is known of what was before."""
    numbers, D, work = memory[0], memory[1], memory[2]
    t, f, later, trial, inverse = numbers[T], work[SLOPE], work[RESIDUAL], work[Y], work[INVERSE]
    n = f.size
    for p in range(n):
        inverse[p] = 1 / (rtol * abs(D[0, p]) + atol[p])
    rate(dense, t, D[0], f, data)
    size = norm(f, inverse)
    delta = 1e-6 * (bound - t)
    if size > 0:
        delta = min(delta, 1e-2 / size)
    for p in range(n):
        trial[p] = D[0, p] + delta * f[p]
    rate(dense, t + delta, trial, later, data)
    for p in range(n):
        later[p] = (later[p] - f[p]) / delta
    curvature = norm(later, inverse)
    h = bound - t
    if curvature > 0:
        h = min(h, math.sqrt(FIRST / (ERROR[1] * curvature)))
    for p in range(n):
        D[1, p] = h * f[p]
        D[2, p] = 0.0
        D[3, p] = 0.0
    numbers[EVALUATIONS] += 2
    numbers[H], numbers[ORDER], numbers[EQUAL], numbers[AGE], numbers[INVERTED] = h, 1.0, 0.0, OLDEST + 1.0, 0.0


@compiled
def predict(D, order, work):  # type: ignore[no-untyped-def]
    """The polynomial one step on, and what the formula takes from the differences."""
    predicted, push = work[PREDICTED], work[PUSH]
    n = predicted.size
    for p in range(n):
        predicted[p] = D[0, p]
        push[p] = 0.0
    for i in range(1, order + 1):
        weight = GAMMA[i] / ALPHA[order]
        for p in range(n):
            predicted[p] += D[i, p]
            push[p] += weight * D[i, p]


@compiled
def improve(dense, data, memory, t_new):  # type: ignore[no-untyped-def]
    """One of Newton's iterations: what it adds to y and to y - predicted is left among the residuals."""
    numbers, work, inverse = memory[0], memory[2], memory[6]
    y, d, f, r, push = work[Y], work[CORRECTION], work[SLOPE], work[RESIDUAL], work[PUSH]
    n, c = y.size, numbers[H] / ALPHA[int(numbers[ORDER])]
    rate(dense, t_new, y, f, data)
    for p in range(n):
        r[p] = c * f[p] - push[p] - d[p]
    if dense:
        solved = data[3][0, : inverse.shape[1]]
        combine(inverse, inverse.shape[1], r, n, solved)
        for p in range(n):
            r[p] = solved[p]
    else:
        banded.solve(memory[3], memory[4], memory[5], data[0][CHARGE], c, r, r)
    for p in range(n):
        y[p] += r[p]
        d[p] += r[p]


@compiled
def correct(dense, data, memory, t_new):  # type: ignore[no-untyped-def]
    """Newton's iterations for y at `t_new`: c f(t, y) = push + (y - predicted), c = h/alpha; whether they converged."""
    numbers, _D, work, J, per_i, per_s, inverse, pivots = memory
    y, d, f, r, weight = work[Y], work[CORRECTION], work[SLOPE], work[RESIDUAL], work[INVERSE]
    room = data[3]
    predicted = work[PREDICTED]
    n, c = y.size, numbers[H] / ALPHA[int(numbers[ORDER])]
    while True:
        fresh = numbers[AGE] > OLDEST
        if fresh:
            if dense:
                kernels.jacobian(t_new, predicted, f, J, data)
                for j in range(n):  # by columns, as the inverse
                    for p in range(j):
                        J[j, p], J[p, j] = J[p, j], J[j, p]
            else:
                banded.linearise(t_new, predicted, data, J, per_i, per_s)
            numbers[AGE], numbers[INVERTED], numbers[NEWTON_RATE] = 0.0, 0.0, RATE_FRESH
        if dense and numbers[INVERTED] != c:
            for j in range(n):
                for p in range(n):
                    inverse[j, p] = -c * J[j, p]
                inverse[j, j] += 1.0
            numbers[INVERTED] = c
            if not invert(inverse, pivots, room):
                numbers[AGE] = OLDEST + 1.0
                return False
        for p in range(n):
            y[p] = predicted[p]
            d[p] = 0.0
        before = 0.0
        for iteration in range(ITERATIONS):
            improve(dense, data, memory, t_new)
            numbers[EVALUATIONS] += 1
            size = norm(r, weight)
            if not math.isfinite(size) or (iteration > 0 and size > 2 * before and size > NEWTON):
                break
            if iteration > 0 and before > 0:
                numbers[NEWTON_RATE] = max(0.3 * numbers[NEWTON_RATE], size / before, RATE_LEAST)
            q = numbers[NEWTON_RATE]
            if q < 1 and size * min(1.0, q / (1 - q)) <= NEWTON:
                numbers[ITERATED] = iteration + 1
                return True
            before = size
        numbers[AGE] = OLDEST + 1.0
        if fresh:
            return False


@compiled
def append(D, order, d):  # type: ignore[no-untyped-def]
    """The differences with the newest state, which the next difference `d` tells."""
    for p in range(d.size):
        D[order + 2, p] = d[p] - D[order + 1, p]
        D[order + 1, p] = d[p]
    for i in range(order, -1, -1):
        for p in range(d.size):
            D[i, p] += D[i + 1, p]


@compiled
def resize(memory, factor):  # type: ignore[no-untyped-def]
    """Go on with steps `factor` times as long, and note it for what is integrated beside this run."""
    numbers, D = memory[0], memory[1]
    at = RESIZES + 2 * int(numbers[RESIZED])
    numbers[at], numbers[at + 1] = numbers[ORDER], factor
    numbers[RESIZED] += 1
    rescale(D, int(numbers[ORDER]), factor)
    numbers[H] *= factor
    numbers[EQUAL] = 0.0


@compiled
def advance(dense, data, memory, bound, rtol, atol):  # type: ignore[no-untyped-def]
    """One accepted time step, not beyond `bound`: its error over the tolerance, or -1 where none converges."""
    numbers, D, work = memory[0], memory[1], memory[2]
    t, failures = numbers[T], 0
    while failures <= MOST_FAILURES:
        t_new = t + numbers[H]
        if t + 1.0001 * numbers[H] >= bound:  # also what would leave next to nothing
            t_new = bound
            if numbers[H] != bound - t:
                resize(memory, (bound - t) / numbers[H])
                numbers[H] = bound - t
        if not numbers[H] > 4e-16 * abs(t):
            return -1.0
        order = int(numbers[ORDER])
        predict(D, order, work)
        for p in range(atol.size):
            work[INVERSE, p] = 1 / (rtol * abs(D[0, p]) + atol[p])
        if not correct(dense, data, memory, t_new):
            failures += 1
            resize(memory, 0.25)
            continue
        error = ERROR[order] * norm(work[CORRECTION], work[INVERSE])
        if error <= 1.0:
            append(D, order, work[CORRECTION])
            numbers[T] = t_new
            numbers[AGE] += 1
            numbers[STEPS] += 1
            numbers[EQUAL] += 1
            return error
        failures += 1
        if failures > 3:
            numbers[ORDER] = 1.0  # the differences describe something that has ended
        resize(memory, max(0.1, 0.9 * error ** (-1 / (order + 1))) if failures < 3 else 0.1)
    return -1.0


@compiled
def choose(dense, memory, error):  # type: ignore[no-untyped-def]
    """Order and length of the next step, after as many equal ones as the differences need to be known."""
    numbers, D, inverse = memory[0], memory[1], memory[2][INVERSE]
    order = int(numbers[ORDER])
    if numbers[EQUAL] < order + 1:
        return
    factor, change = SAME * max(error, 1e-30) ** (-1 / (order + 1)), 0
    if order > 1:
        lower = LOWER * max(ERROR[order - 1] * norm(D[order], inverse), 1e-30) ** (-1 / order)
        if lower > factor:
            factor, change = lower, -1
    if order < MOST_ORDER:
        higher = HIGHER * max(ERROR[order + 1] * norm(D[order + 2], inverse), 1e-30) ** (-1 / (order + 2))
        if higher > factor:
            factor, change = higher, 1
    if factor > (WORTH if dense else WORTH_BANDED) or factor < 0.9:
        numbers[ORDER] += change
        resize(memory, min(10.0, factor))


@compiled
def look(dense, data, memory, watched, looks, g):  # type: ignore[no-untyped-def]
    """Where in the newest time step an event is met first, in steps from its end, -1 to 0; 1 where none is.

    `watched`: which events can be met, since they have been clear of it, and their values at the last look.
    """
    numbers, D, s, ds = memory[0], memory[1], memory[2][Y], memory[2][SLOPE]
    t, h, order = numbers[T], numbers[H], int(numbers[ORDER])
    x = -1.0
    for k in range(looks):
        x_before, x, first = x, -1.0 + (k + 1) / looks, 1.0
        watch(dense, D, order, x, t, h, s, ds, g, data)
        for e in range(g.size):
            if g[e] > 0:
                watched[0, e] = 1.0
            elif watched[0, e] > 0:
                met = crossing(dense, data, D, order, t, h, e, x_before, x, watched[1, e], g[e], s, ds)
                if met < first:
                    first, numbers[MET] = met, e
            watched[1, e] = g[e]
        if first < 1:
            return first
    return 1.0


# ---- runs beside a run: of other numbers, by the very same steps ----------------------------------------------------


@compiled
def join(dense, data, memory, D, shift):  # type: ignore[no-untyped-def]
    """The differences that a run beside this one begins with, once :func:`begin` has chosen the step."""
    numbers, f = memory[0], memory[2][SLOPE]
    rate(dense, numbers[T] + shift, D[0], f, data)
    for p in range(f.size):
        D[1, p] = numbers[H] * f[p]
        D[2, p] = 0.0
        D[3, p] = 0.0


@compiled
def follow(dense, data, memory, D, shift):  # type: ignore[no-untyped-def]
    """The newest time step once more, of a run beside this one: the same order, length, matrix and iterations."""
    numbers, work = memory[0], memory[2]
    y, d, order = work[Y], work[CORRECTION], int(numbers[ORDER])
    for e in range(int(numbers[RESIZED])):
        rescale(D, int(numbers[RESIZES + 2 * e]), numbers[RESIZES + 2 * e + 1])
    predict(D, order, work)
    for p in range(y.size):
        y[p] = work[PREDICTED, p]
        d[p] = 0.0
    for _ in range(int(numbers[ITERATED])):
        improve(dense, data, memory, numbers[T] + shift)
    append(D, order, d)


@compiled
def reach(dense, data, memory, D, shift, met):  # type: ignore[no-untyped-def]
    """Go to where a run beside this one meets the event that this one met at `met`: how much later that is [s].

    By Newton's method on its polynomial; not a number where it only grazes the event.
    """
    numbers, s, ds = memory[0], memory[2][Y], memory[2][SLOPE]
    t, h, order, event = numbers[T] + shift, numbers[H], int(numbers[ORDER]), int(numbers[MET])
    g = np.empty(int(data[0][EVENTS_N]))
    x = met
    for _ in range(4):
        watch(dense, D, order, x + REACH, t, h, s, ds, g, data)
        after = g[event]
        watch(dense, D, order, x, t, h, s, ds, g, data)
        x -= g[event] * REACH / (after - g[event])
    if not abs(x - met) < 0.5:
        x = math.nan
    interpolate(D, order, x, s)
    D[0] = s
    return (x - met) * h


@compiled
def integrate(dense, data, memory, edges, wanted, states, watched, rtol, atol, most, pause, beside):  # type: ignore[no-untyped-def]
    """A protocol step, or its next `pause` time steps.

    Parameters
    ----------
    dense : bool
        Whether the grid is the spectral one.
    data : tuple of ndarray
        What the kernels read.
    memory : tuple of ndarray
        `numbers`, the backward differences (8, n), `work` (ROWS, n), the Jacobian or its bands, u and g of its rank
        one, the inverse and its pivots: all that a later call goes on with.
    edges, wanted : ndarray
        Times that no time step may straddle, the step's end last; times at which states are wanted.
    states : ndarray, shape (w + 1, n)
        Filled.
    watched : ndarray, shape (2, e)
        See `look`; to begin with 1 for what can be met at once.
    rtol, atol : float, ndarray
        Tolerance of a time step in the mean over the unknowns.
    most, pause : int
        Time steps allowed in all, and in this call.
    beside : tuple of ndarray
        Of the runs beside it: numbers (b, p), tables (b, l), backward differences (b, 8, n), how far their clocks are
        ahead of this run's, shape (b,) [s], and states at the times wanted (b, w + 1, n). Filled.

    Returns
    -------
    int
        DONE, PAUSED, EVENT, FAILED or TOO_MANY; time and state reached are numbers[T] and the first difference.
    """
    numbers, D = memory[0], memory[1]
    par = data[0]
    g = np.empty(int(par[EVENTS_N]))
    others, shifts, beside_states = beside[2], beside[3], beside[4]
    looks = 1
    for e in range(g.size):
        if par[int(par[EVENTS]) + 3 * e] > C_MAX:
            looks = LOOKS
    if g.size > 0 and numbers[STEPS] == 0:
        if dense:
            kernels.events(numbers[T], D[0], g, data)
        else:
            banded.events(numbers[T], D[0], g, data)
        for e in range(g.size):
            watched[1, e] = g[e]
            if g[e] > 0:
                watched[0, e] = 1.0
    last = numbers[STEPS] + pause
    while numbers[EDGE] < edges.size:
        if numbers[STEPS] >= most:
            return TOO_MANY
        if numbers[STEPS] >= last:
            return PAUSED
        bound = edges[int(numbers[EDGE])]
        if numbers[H] == 0.0:
            begin(dense, data, memory, bound, rtol, atol)
            numbers[RESIZED] = 0.0
            for k in range(others.shape[0]):
                join(dense, (beside[0][k], data[1], beside[1][k], data[3]), memory, others[k], shifts[k])
        error = advance(dense, data, memory, bound, rtol, atol)
        if error < 0:
            return FAILED
        for k in range(others.shape[0]):
            follow(dense, (beside[0][k], data[1], beside[1][k], data[3]), memory, others[k], shifts[k])
        numbers[RESIZED] = 0.0
        t, h, order = numbers[T], numbers[H], int(numbers[ORDER])
        met = look(dense, data, memory, watched, looks, g) if g.size > 0 else 1.0
        until = t + min(met, 0.0) * h
        written = int(numbers[WRITTEN])
        while written < wanted.size and (wanted[written] < until or (met > 0 and wanted[written] == until)):
            interpolate(D, order, (wanted[written] - t) / h, states[written])
            for k in range(others.shape[0]):
                interpolate(others[k], order, (wanted[written] - shifts[k] - t) / h, beside_states[k, written])
            written += 1
        numbers[WRITTEN] = written
        if met <= 0:
            interpolate(D, order, met, memory[2][Y])
            D[0] = memory[2][Y]
            for k in range(others.shape[0]):
                own = beside[0][k], data[1], beside[1][k], data[3]
                shifts[k] += reach(dense, own, memory, others[k], shifts[k], met)
            numbers[T] = until
            return EVENT
        if t == bound:
            numbers[EDGE] += 1
            numbers[H] = 0.0
        else:
            choose(dense, memory, error)
    return DONE


@compiled
def integrate_each(dense, data, memory, times, before, watched, tolerances, limits, flags, judging, seen, beside):  # type: ignore[no-untyped-def]
    """A protocol step of many runs on one grid, or the next `pause` time steps of each, and what their states show.

    Parameters
    ----------
    dense : bool
        Whether the grid is the spectral one.
    data : tuple of ndarray
        The numbers of each run, shape (m, p); operators of the grid; tables, shape (k, l), and which of them each run
        reads, shape (m,). See :mod:`.kernels`.
    memory : tuple of ndarray
        `numbers` (m, NUMBERS) and backward differences (m, 8, n) of each run; `work` (ROWS, n), the Jacobian or its
        bands, u and g of its rank one, the inverse and its pivots, and what the kernels work in, which all runs share.
    times : tuple of ndarray
        Of each run: times that no time step may straddle, the step's end last, shape (m, e); times at which states are
        wanted, with a place for the last one reached, shape (m, w + 1) [s]; the states, shape (m, w + 1, n). Filled.
    before : ndarray, shape (m,)
        Time of the state that a run has already [s].
    watched : ndarray, shape (m, 2, events)
        See `look`.
    tolerances : tuple of ndarray
        Relative, shape (m,), and absolute, shape (m, n).
    limits : tuple
        Time steps allowed each in all, shape (m,); times that have to be reached in the first `AT_ONCE` of them, shape
        (m,) [s]; time steps in this call, of a run that is alone.
    flags : ndarray, shape (m,)
        PAUSED for what is to be done; then what became of it.
    judging : tuple of ndarray
        What the spectral grid's `observe` judges the resolution by.
    seen : tuple of ndarray
        Current, resistance, quadrature, tail, shape (m, 4, w + 1), and walls and extremes, shape (m, 2, w + 1, 2).
    beside : tuple of ndarray
        See :func:`integrate`; none where there are several runs.
    """
    par, ops, tables, which = lent(data[0]), lent(data[1]), lent(data[2]), data[3]
    edges, when, states = lent(times[0]), lent(times[1]), lent(times[2])
    numbers, D, work, J = lent(memory[0]), lent(memory[1]), lent(memory[2]), lent(memory[3])
    per_i, per_s, inverse, pivots = lent(memory[4]), lent(memory[5]), lent(memory[6]), lent(memory[7])
    room = lent(memory[8])
    watched, atol, coarse, to_judge = lent(watched), lent(tolerances[1]), lent(judging[0]), lent(judging[1])
    scalars, pairs = lent(seen[0]), lent(seen[1])
    others = lent(beside[0]), lent(beside[1]), lent(beside[2]), lent(beside[3]), lent(beside[4])
    alone = numbers.shape[0] == 1
    for k in range(numbers.shape[0]):
        if flags[k] != PAUSED:
            continue
        own = par[k], ops, tables[which[k]], room
        wanted = when[k][: when.shape[1] - 1]
        mine = numbers[k], D[k], work, J, per_i, per_s, inverse, pivots
        flag = PAUSED
        while flag == PAUSED:  # of many, each is done before the next, for they share the Jacobian and the inverse
            flag = integrate(
                *(dense, own, mine, edges[k], wanted, states[k], watched[k], tolerances[0][k], atol[k]),
                *(limits[0][k], limits[2], others),
            )
            if flag == PAUSED and numbers[k, STEPS] >= AT_ONCE and numbers[k, T] < limits[1][k]:
                flag = FAILED
            if alone:
                break
        flags[k] = flag
        if flag == PAUSED:
            continue
        t, written = numbers[k, T], int(numbers[k, WRITTEN])
        if t > (when[k, written - 1] if written > 0 else before[k]):
            when[k, written] = t
            states[k, written] = D[k, 0]
            for j in range(others[2].shape[0]):
                others[4][j, written] = others[2][j, 0]
            written += 1
            numbers[k, WRITTEN] = written
        at, y = when[k][:written], states[k][:written]
        i, resistance = scalars[k, 0][:written], scalars[k, 1][:written]
        wall, extremes = pairs[k, 0][:written], pairs[k, 1][:written]
        if dense:
            quadrature, tail = scalars[k, 2][:written], scalars[k, 3][:written]
            kernels.observe(at, y, own, coarse, to_judge, i, wall, resistance, extremes, quadrature, tail)
        else:
            banded.observe(at, y, own, i, wall, resistance, extremes)
