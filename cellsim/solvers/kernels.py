"""Compiled inner loops of the sundials solver: the equations of the model on tabulated values.

Every property value comes from tables (packing.py) that the set and the kinetics filled themselves; flux, voltage and
their derivatives are the functions of :mod:`cellsim.model.equations`, compiled.

The numbers of a run travel in one flat array `par` (places named below) with the operators of the grid in `ops`, the
tables in `tab` and two rows to work in, `room`; callbacks of CVODE then cost one unboxing instead of twenty. A state
may carry one number more than the grid has unknowns, the charge passed times `par[CHARGE]`; nothing depends on it.
"""

from __future__ import annotations

import math

import numpy as np

from cellsim.model import equations
from cellsim.model.equations import compiled
from cellsim.solvers.dense import combine

# places in `par`
M, Q, FINE, C_INIT, RATE, SLOPE, FACTOR, R_SCALE, K_T, VOLTAGE, T_START = range(11)
TAB_START, TAB_PER_PITCH, TAB_N = range(11, 14)
DRIVE, DRIVE_N, R_POS, R_POS_N, R_NEG, R_NEG_N = range(14, 20)
BV_POS, BV_POS_ETA_N, BV_NEG, BV_NEG_ETA_N, U_MAX, EVENTS, EVENTS_N = range(20, 27)
CHARGE, DIFFUSED, CHARGE_START, ROWS = 27, 28, 29, 30
HEADER = 32

# event codes
C_MIN, C_MAX, CURRENT, CURRENT_RATE, WALL_MIN, WALL_MAX, V_ABOVE, V_BELOW, CHARGE_ABOVE = range(9)
VOLTAGE_RATE, CURRENT_RELATIVE_RATE = 9, 10

D, MIGRATION, RESISTIVITY, POTENTIAL = range(4)
BELOW_ONE = 1 - 2.0**-50
"""The end of the tables lies so little within their last interval."""


salt_flux, salt_flux_slope = compiled(equations.salt_flux), compiled(equations.salt_flux_slope)
cell_voltage, held_current = compiled(equations.cell_voltage), compiled(equations.held_current)


@compiled
def interp(par, offset, n, t):  # type: ignore[no-untyped-def]
    """Linear interpolation in a table of `n` times and `n` values at `offset`, held beyond its ends."""
    if n == 1 or t <= par[offset]:
        return par[offset + n]
    if t >= par[offset + n - 1]:
        return par[offset + 2 * n - 1]
    low, high = 0, n - 1
    while high - low > 1:
        middle = (low + high) // 2
        if par[offset + middle] <= t:
            low = middle
        else:
            high = middle
    t_0, y_0 = par[offset + low], par[offset + n + low]
    return y_0 + (t - t_0) / (par[offset + low + 1] - t_0) * (par[offset + n + low + 1] - y_0)


@compiled
def locate(par, c):  # type: ignore[no-untyped-def]
    """Interval and position in it of a concentration, and how far ln c lies beyond the table, in pitches."""
    n = par[TAB_N]
    u = (math.log(c) - par[TAB_START]) * par[TAB_PER_PITCH] if c > 1e-30 else -n
    inside = min(max(u, 0.0), n)
    k = int(inside)
    if k >= n:
        k = int(n) - 1
    return k, inside - k, u - inside


@compiled
def value(par, tab, which, k, w):  # type: ignore[no-untyped-def]
    """A property in interval `k` at position `w`."""
    o = 4 * (which * int(par[TAB_N]) + k)
    return tab[o] + w * (tab[o + 1] + w * (tab[o + 2] + w * tab[o + 3]))


@compiled
def slope(par, tab, which, k, w, c):  # type: ignore[no-untyped-def]
    """Its derivative with respect to c."""
    o = 4 * (which * int(par[TAB_N]) + k)
    return (tab[o + 1] + w * (2 * tab[o + 2] + w * 3 * tab[o + 3])) * par[TAB_PER_PITCH] / max(c, 1e-30)


@compiled
def loss(par, tab, place, i, c):  # type: ignore[no-untyped-def]
    """Overpotential of one electrode's kinetics, its slopes with respect to i and c."""
    offset, n = int(par[place]), int(par[place + 1])
    k, w, _ = locate(par, c)
    o = offset + 4 * k
    j_0 = max(tab[o] + w * (tab[o + 1] + w * (tab[o + 2] + w * tab[o + 3])), 1e-300)
    dj_0 = (tab[o + 1] + w * (2 * tab[o + 2] + w * 3 * tab[o + 3])) * par[TAB_PER_PITCH] / max(c, 1e-30)
    half = 0.5 * i / j_0
    u = (math.asinh(half) / par[U_MAX] + 1) * 0.5 * n
    inside = min(max(u, 0.0), float(n))
    k = min(int(inside), n - 1)
    w = inside - k
    o = offset + 4 * (int(par[TAB_N]) + k)
    d_eta = (tab[o + 1] + w * (2 * tab[o + 2] + w * 3 * tab[o + 3])) * 0.5 * n / par[U_MAX]
    eta = tab[o] + w * (tab[o + 1] + w * (tab[o + 2] + w * tab[o + 3])) + d_eta * (u - inside) * 2 * par[U_MAX] / n
    per_half = d_eta / math.sqrt(1 + half * half)
    return eta, per_half * 0.5 / j_0, -per_half * half * dj_0 / j_0


@compiled
def close(par, tab, t, resistance, c_0, c_L):  # type: ignore[no-untyped-def]
    """Current and voltage that belong to a profile, and dV by di, dc_0, dc_L at fixed resistance."""
    k_0, w_0, out_0 = locate(par, c_0)
    k_L, w_L, out_L = locate(par, c_L)
    dW_0 = slope(par, tab, POTENTIAL, k_0, w_0, 1.0)
    dW_L = slope(par, tab, POTENTIAL, k_L, w_L, 1.0)
    W_0 = value(par, tab, POTENTIAL, k_0, w_0) + dW_0 / par[TAB_PER_PITCH] * out_0
    W_L = value(par, tab, POTENTIAL, k_L, w_L) + dW_L / par[TAB_PER_PITCH] * out_L
    dW_0, dW_L = dW_0 / max(c_0, 1e-30), dW_L / max(c_L, 1e-30)
    total = (
        resistance
        + interp(par, int(par[R_POS]), int(par[R_POS_N]), t)
        + interp(par, int(par[R_NEG]), int(par[R_NEG_N]), t)
    )
    drive = interp(par, int(par[DRIVE]), int(par[DRIVE_N]), t - par[T_START])
    concentration = par[K_T] * (W_0 - W_L)
    kinetic = par[BV_POS] > 0 or par[BV_NEG] > 0
    if par[VOLTAGE] == 0.0:
        i = drive
    elif not kinetic:
        i = held_current(drive, total, concentration)
    else:
        i = 0.0
        for _ in range(100):  # concave on either side of zero: from zero Newton comes monotonically
            eta_0, eta_L, per_i = 0.0, 0.0, total
            if par[BV_POS] > 0:
                eta_0, d_i, _c = loss(par, tab, BV_POS, i, c_0)
                per_i += d_i
            if par[BV_NEG] > 0:
                eta_L, d_i, _c = loss(par, tab, BV_NEG, -i, c_L)
                per_i += d_i
            change = (cell_voltage(i, total, concentration, eta_0, eta_L) - drive) / per_i
            i -= change
            if abs(change) <= 1e-13 * abs(i):
                break
    eta_0, eta_L, dV_di = 0.0, 0.0, total
    dV_0, dV_L = par[K_T] * dW_0, -par[K_T] * dW_L
    if par[BV_POS] > 0:
        eta_0, d_i, d_c = loss(par, tab, BV_POS, i, c_0)
        dV_di += d_i
        dV_0 += d_c
    if par[BV_NEG] > 0:
        eta_L, d_i, d_c = loss(par, tab, BV_NEG, -i, c_L)
        dV_di += d_i
        dV_L -= d_c
    return i, cell_voltage(i, total, concentration, eta_0, eta_L), dV_di, dV_0, dV_L


@compiled
def places(par, c):  # type: ignore[no-untyped-def]
    """Turn concentrations into their places in the tables, held within their ends: the interval is the whole part.

    ln c from the bits of c, by the series of artanh (rounding aside exact): a loop that the compiler can vectorise,
    which it cannot with the library's logarithm; 50 of those were half of an evaluation of the right-hand side.
    """
    start, per_pitch, bits = par[TAB_START], par[TAB_PER_PITCH], c.view(np.int64)
    last = par[TAB_N] * BELOW_ONE
    for p in range(c.size):
        c[p] = max(c[p], 1e-30)
    for p in range(c.size):
        # c = 2**k x with x between sqrt(1/2) and sqrt(2), whose bits are subtracted first
        k = (bits[p] - 0x3FE6A09E667F3BCD) >> 52
        exponent = float(k)
        bits[p] -= k << 52
        f = (c[p] - 1) / (c[p] + 1)
        q = f * f
        series = 1 / 13 + q * (1 / 15 + q * (1 / 17 + q * (1 / 19 + q / 21)))
        series = 1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * series))))
        x = exponent * 0.6931471805599453 + 2 * f * (1 + q * series)
        c[p] = min(max((x - start) * per_pitch, 0.0), last)


@compiled
def profile(par, columns, rows, s, c):  # type: ignore[no-untyped-def]
    """Concentrations at all points of the quadrature into `c`, and behind them what else `columns` make of the state.

    Parameters
    ----------
    columns : ndarray
        Of the matrix that makes ds/dxi at these points and other things of the unknowns, and one for the charge, zeros.
    rows : int
        Of them; `c` has as many, or fewer.
    """
    q, c_init = int(par[Q]), par[C_INIT]
    combine(columns, rows, s, min(s.size, int(par[M]) + 1), c)
    for p in range(q):
        c[p] = c_init * (1 + c[p])


@compiled
def value_at(par, tab, which, u):  # type: ignore[no-untyped-def]
    """A property at a place that :func:`places` gave."""
    k = int(u)
    return value(par, tab, which, k, u - k)


@compiled
def resistance_of(par, ops, tab, u):  # type: ignore[no-untyped-def]
    """Integral of dx/kappa over the electrolyte, from the places of the points of the quadrature."""
    o, total = (int(par[M]) + 1) * int(par[ROWS]), 0.0
    weights = ops[o : o + int(par[Q])]
    for p in range(weights.size):
        total += weights[p] * value_at(par, tab, RESISTIVITY, u[p])
    return total * par[R_SCALE]


@compiled
def rate(t, s, ds, data):  # type: ignore[no-untyped-def]
    """ds/dt: what flows through every interior point, with the current of the drive; whether all c are positive."""
    par, ops, tab, room = data
    m, q, fine = int(par[M]), int(par[Q]), int(par[FINE])
    c = room[0]
    profile(par, ops, c.size, s, c)
    c_0, c_L, positive = c[0], c[q - 1], 0
    for p in range(q):
        positive += c[p] > 0.0
    places(par, c[:q])
    if par[VOLTAGE] == 0.0:
        i = interp(par, int(par[DRIVE]), int(par[DRIVE_N]), t - par[T_START])
    else:
        i = close(par, tab, t, resistance_of(par, ops, tab, c), c_0, c_L)[0]
    factor = par[FACTOR] * par[SLOPE]
    for p in range(m):
        u = c[fine * (p + 1)]
        diffusion, migration = factor * value_at(par, tab, D, u), value_at(par, tab, MIGRATION, u)
        ds[p] = -par[RATE] * salt_flux(diffusion, migration, c[q + p], i)
    if ds.size > m:
        ds[m] = par[CHARGE] * i
    return positive == q


@compiled
def jacobian(t, s, ds, J, data):  # type: ignore[no-untyped-def]
    """d(ds/dt)/ds: rows of the two differentiation matrices, and the rank one of the current."""
    par, ops, tab, room = data
    m, q, fine = int(par[M]), int(par[Q]), int(par[FINE])
    rows = int(par[ROWS])
    weights = (m + 1) * rows
    c, u = room[0], room[1, :q]
    profile(par, ops, rows, s, c)
    u[:] = c[:q]
    places(par, u)
    i, _V, dV_di, dV_0, dV_L = close(par, tab, t, resistance_of(par, ops, tab, u), c[0], c[q - 1])
    per_s = np.zeros(m)
    if par[VOLTAGE] != 0.0:
        per_c = np.empty(q)
        for p in range(q):
            k = int(u[p])
            per_c[p] = i * par[R_SCALE] * ops[weights + p] * slope(par, tab, RESISTIVITY, k, u[p] - k, c[p])
        per_c[0] += dV_0
        per_c[q - 1] += dV_L
        for j in range(m):
            total = 0.0
            for p in range(q):
                total += per_c[p] * ops[j * rows + p]
            per_s[j] = -total * par[C_INIT] / dV_di
    for p in range(m):
        at = fine * (p + 1)
        k = int(u[at])
        w = u[at] - k
        a = par[RATE] * par[FACTOR] * value(par, tab, D, k, w) * par[SLOPE]
        dD, dM = par[FACTOR] * slope(par, tab, D, k, w, c[at]), slope(par, tab, MIGRATION, k, w, c[at])
        b = -salt_flux_slope(dD, dM, c[q + p] * par[SLOPE], i) * par[RATE] * par[C_INIT]
        d = par[RATE] * value(par, tab, MIGRATION, k, w)
        for j in range(m):
            J[p, j] = a * ops[j * rows + q + p] + b * ops[j * rows + at] + d * per_s[j]
    if s.size > m:
        for j in range(m):
            J[m, j] = par[CHARGE] * per_s[j]
            J[j, m] = 0.0
        J[m, m] = 0.0


@compiled
def range_of(c):  # type: ignore[no-untyped-def]
    """Lowest and highest of some concentrations, two at a time: each comparison waits for the one before it."""
    low, high = c[0], c[0]
    low_odd, high_odd = low, high
    for p in range(1, c.size - 1, 2):
        low, high = min(low, c[p]), max(high, c[p])
        low_odd, high_odd = min(low_odd, c[p + 1]), max(high_odd, c[p + 1])
    last = c[c.size - 1]
    return min(min(low, low_odd), last), max(max(high, high_odd), last)


@compiled
def judge(par, tab, i, V, rate_of_i, rate_of_V, charge, c, c_0, c_L, g):  # type: ignore[no-untyped-def]
    """The events of a run, each positive while all is well."""
    offset = int(par[EVENTS])
    low, high = range_of(c)
    for e in range(int(par[EVENTS_N])):
        code, level, size = int(par[offset + 3 * e]), par[offset + 3 * e + 1], par[offset + 3 * e + 2]
        if code == C_MIN:
            g[e] = (low - level) / size
        elif code == C_MAX:
            g[e] = (level - high) / size
        elif code == CURRENT:
            g[e] = (abs(i) - level) / size
        elif code == CURRENT_RATE:
            g[e] = (abs(rate_of_i) - level) / size
        elif code == WALL_MIN:
            g[e] = (min(c_0, c_L) - level) / size
        elif code == WALL_MAX:
            g[e] = (level - max(c_0, c_L)) / size
        elif code == V_ABOVE:
            g[e] = (level - V) / size
        elif code == V_BELOW:
            g[e] = (V - level) / size
        elif code == VOLTAGE_RATE:
            g[e] = (abs(rate_of_V) - level) / size
        elif code == CURRENT_RELATIVE_RATE:
            g[e] = (abs(rate_of_i) / max(abs(i), 1e-300) - level) / size
        else:
            g[e] = (level - abs(charge)) / size


@compiled
def events_along(t, s, ds, g, data):  # type: ignore[no-untyped-def]
    """The same for a state that moves as `ds` says, which is read only where a rate is watched."""
    par, ops, tab, room = data
    q = int(par[Q])
    rows, both = int(par[ROWS]), room[0, : q + (-q) % 8]
    c, u = both[:q], room[1, :q]
    profile(par, ops, rows, s, both)
    extremes_only = True
    for e in range(int(par[EVENTS_N])):
        extremes_only &= par[int(par[EVENTS]) + 3 * e] <= C_MAX
    if extremes_only:
        judge(par, tab, 0.0, 0.0, 0.0, 0.0, 0.0, c, c[0], c[q - 1], g)
        return
    u[:] = c
    places(par, u)
    i, V, _a, _b, _c = close(par, tab, t, resistance_of(par, ops, tab, u), c[0], c[q - 1])
    rate_of_i, rate_of_V = 0.0, 0.0
    if watches_rate(par):
        dt = 1e-6 * (t - par[T_START]) + 1e-9
        after = room[1, : both.size]
        profile(par, ops, rows, s + dt * ds, after)
        c_0, c_L = u[0], u[q - 1]
        places(par, u)
        later = close(par, tab, t + dt, resistance_of(par, ops, tab, u), c_0, c_L)
        rate_of_i, rate_of_V = (later[0] - i) / dt, (later[1] - V) / dt
    judge(par, tab, i, V, rate_of_i, rate_of_V, passed(par, s, int(par[M])), c, c[0], c[q - 1], g)


@compiled
def watches_rate(par):  # type: ignore[no-untyped-def]
    """Whether an event is one of a rate, which costs an evaluation of the right-hand side."""
    for e in range(int(par[EVENTS_N])):
        code = par[int(par[EVENTS]) + 3 * e]
        if code == CURRENT_RATE or code >= VOLTAGE_RATE:
            return True
    return False


@compiled
def passed(par, s, m):  # type: ignore[no-untyped-def]
    """Charge passed since the step began, of a state of `m` unknowns and perhaps the charge [C/m^2]."""
    return (s[m] - par[CHARGE_START]) / par[CHARGE] if s.size > m else 0.0


@compiled
def events(t, s, g, data):  # type: ignore[no-untyped-def]
    """Stop conditions and limits, by `judge`; the state moves as the right-hand side says."""
    ds = np.empty(s.size)
    if watches_rate(data[0]):
        rate(t, s, ds, data)
    events_along(t, s, ds, g, data)


@compiled
def observe(times, states, data, coarse, to_judge, i, wall, resistance, extremes, quadrature, tail):  # type: ignore[no-untyped-def]
    """Current, wall values, integral of dx/kappa and extremes of c of many states; how well each is resolved.

    `quadrature`: a quarter of what two quadratures of 1/kappa differ by; `tail`: what is left out of c, over its lowest
    value, or 2 % of c_init where that is more. The Chebyshev coefficients of c, of which `to_judge` gives the last half
    behind c itself, fall R times from their third quarter to their last; at that pace the sum beyond is n/(4 R ln R)
    times the largest of the last quarter: less than it for a resolved profile, many times for a front.
    """
    par, ops, tab, room = data
    m, q = int(par[M]), int(par[Q])
    weights, quarter = ops[(m + 1) * int(par[ROWS]) :], (m + 1) // 4
    both = room[0, : to_judge.shape[1]]
    c, left_out = both[:q], both[q : q + 2 * quarter]
    for j in range(times.size):
        profile(par, to_judge, both.size, states[j], both)
        wall[j, 0], wall[j, 1] = c[0], c[q - 1]
        extremes[j, 0], extremes[j, 1] = range_of(c)
        places(par, c)
        even, odd, half = 0.0, 0.0, 0.0
        for p in range(coarse.size):
            resistivity = value_at(par, tab, RESISTIVITY, c[2 * p])
            even += weights[2 * p] * resistivity
            half += coarse[p] * resistivity
        for p in range(coarse.size - 1):
            odd += weights[2 * p + 1] * value_at(par, tab, RESISTIVITY, c[2 * p + 1])
        resistance[j] = (even + odd) * par[R_SCALE]
        i[j] = close(par, tab, times[j], resistance[j], wall[j, 0], wall[j, 1])[0]
        quadrature[j] = 0.25 * abs(half / (even + odd) - 1)
        before, last = 1e-300, 1e-301
        for a in range(quarter):
            before, last = max(before, abs(left_out[a])), max(last, abs(left_out[quarter + a]))
        R = max(before / last, 1.01)
        left = last * min(max(quarter / (R * math.log(R)), 0.5), m + 1.0)
        tail[j] = left / max(extremes[j, 0] / par[C_INIT], 0.02)
