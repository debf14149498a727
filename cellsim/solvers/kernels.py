"""Compiled inner loops of the sundials solver: the equations of the model on tabulated values.

Every property value comes from tables (packing.py) that the set and the kinetics filled themselves; flux, voltage and
their derivatives are the functions of :mod:`cellsim.model.equations`, compiled.

The numbers of a run travel in one flat array `par` (places named below) with the tables in `tab`; callbacks of CVODE
then cost one unboxing instead of twenty. A state may carry one number more than the grid has unknowns: the charge
passed, times `par[CHARGE]`; nothing else depends on it.
"""

from __future__ import annotations

import math

import numpy as np

from cellsim.model import equations
from cellsim.model.equations import compiled

# places in `par`
M, Q, FINE, C_INIT, RATE, SLOPE, FACTOR, R_SCALE, K_T, VOLTAGE, T_START = range(11)
TAB_START, TAB_PER_PITCH, TAB_N = range(11, 14)
DRIVE, DRIVE_N, R_POS, R_POS_N, R_NEG, R_NEG_N = range(14, 20)
BV_POS, BV_POS_ETA_N, BV_NEG, BV_NEG_ETA_N, U_MAX, EVENTS, EVENTS_N = range(20, 27)
CHARGE, DIFFUSED, CHARGE_START = 27, 28, 29
HEADER = 32

# event codes
C_MIN, C_MAX, CURRENT, CURRENT_RATE, WALL_MIN, WALL_MAX, V_ABOVE, V_BELOW, CHARGE_ABOVE = range(9)
VOLTAGE_RATE, CURRENT_RELATIVE_RATE = 9, 10

D, MIGRATION, RESISTIVITY, POTENTIAL = range(4)


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
def places(par, c, u):  # type: ignore[no-untyped-def]
    """Places of many concentrations in the tables, held at their ends: the interval is the whole part, into `u`.

    ln c from the bits of c, by the series of artanh (rounding aside exact): a loop that the compiler can vectorise,
    which it cannot with the library's logarithm; 50 of those were half of an evaluation of the right-hand side.
    """
    start, per_pitch, n = par[TAB_START], par[TAB_PER_PITCH], par[TAB_N]
    for p in range(c.size):
        u[p] = max(c[p], 1e-30)
    bits = u.view(np.int64)
    for p in range(c.size):
        # u = 2**k x with x between sqrt(1/2) and sqrt(2), whose bits are subtracted first
        k = (bits[p] - 0x3FE6A09E667F3BCD) >> 52
        exponent = float(k)
        bits[p] -= k << 52
        f = (u[p] - 1) / (u[p] + 1)
        q = f * f
        series = 1 / 13 + q * (1 / 15 + q * (1 / 17 + q * (1 / 19 + q / 21)))
        series = 1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * series))))
        x = exponent * 0.6931471805599453 + 2 * f * (1 + q * series)
        u[p] = min(max((x - start) * per_pitch, 0.0), n)


@compiled
def combine(columns, s, factor, m, out):  # type: ignore[no-untyped-def]
    """Add to `out` the `m` columns of a matrix, one behind the other, times `factor` s.

    Four columns at a time, so that `out` is read and written a quarter as often: half the time of one by one.
    """
    n, whole = out.size, m - m % 4
    for j in range(0, whole, 4):
        a, b, c, d = factor * s[j], factor * s[j + 1], factor * s[j + 2], factor * s[j + 3]
        A, B, C, E = columns[j * n :], columns[(j + 1) * n :], columns[(j + 2) * n :], columns[(j + 3) * n :]
        for p in range(n):
            out[p] += (a * A[p] + b * B[p]) + (c * C[p] + d * E[p])
    for j in range(whole, m):
        a, A = factor * s[j], columns[j * n :]
        for p in range(n):
            out[p] += a * A[p]


@compiled
def profile(par, ops, s, c):  # type: ignore[no-untyped-def]
    """Concentrations at all points of the quadrature into `c`."""
    m, q, c_init = int(par[M]), int(par[Q]), par[C_INIT]
    for p in range(q):
        c[p] = c_init
    combine(ops[: m * q], s, c_init, m, c)


@compiled
def resistance_of(par, ops, tab, u):  # type: ignore[no-untyped-def]
    """Integral of dx/kappa over the electrolyte, from the places of the points of the quadrature."""
    m, q = int(par[M]), int(par[Q])
    o, n, total = m * q + m * m, int(par[TAB_N]), 0.0
    for p in range(q):
        k = min(int(u[p]), n - 1)
        total += ops[o + p] * value(par, tab, RESISTIVITY, k, u[p] - k)
    return total * par[R_SCALE]


@compiled
def slopes(par, ops, s, g):  # type: ignore[no-untyped-def]
    """dc/dx at the interior points into `g`."""
    m = int(par[M])
    base = m * int(par[Q])
    for p in range(m):
        g[p] = 0.0
    combine(ops[base : base + m * m], s, par[SLOPE], m, g[:m])


@compiled
def rate(t, s, ds, data):  # type: ignore[no-untyped-def]
    """ds/dt: what flows through every interior point, with the current of the drive; whether all c are positive."""
    par, ops, tab = data
    m, q, fine, n = int(par[M]), int(par[Q]), int(par[FINE]), int(par[TAB_N])
    c, u = np.empty(q), np.empty(q)
    profile(par, ops, s, c)
    places(par, c, u)
    if par[VOLTAGE] == 0.0:
        i = interp(par, int(par[DRIVE]), int(par[DRIVE_N]), t - par[T_START])
    else:
        i = close(par, tab, t, resistance_of(par, ops, tab, u), c[0], c[q - 1])[0]
    slopes(par, ops, s, ds)
    for p in range(m):
        at = u[fine * (p + 1)]
        k = min(int(at), n - 1)
        diffusion = par[FACTOR] * value(par, tab, D, k, at - k)
        ds[p] = -par[RATE] * salt_flux(diffusion, value(par, tab, MIGRATION, k, at - k), ds[p], i)
    if ds.size > m:
        ds[m] = par[CHARGE] * i
    return c.min() > 0.0


@compiled
def jacobian(t, s, ds, J, data):  # type: ignore[no-untyped-def]
    """d(ds/dt)/ds: rows of the two differentiation matrices, and the rank one of the current."""
    par, ops, tab = data
    m, q, fine, n = int(par[M]), int(par[Q]), int(par[FINE]), int(par[TAB_N])
    base, weights = m * q, m * q + m * m
    c, u, g = np.empty(q), np.empty(q), np.empty(m)
    profile(par, ops, s, c)
    places(par, c, u)
    slopes(par, ops, s, g)
    i, _V, dV_di, dV_0, dV_L = close(par, tab, t, resistance_of(par, ops, tab, u), c[0], c[q - 1])
    per_s = np.zeros(m)
    if par[VOLTAGE] != 0.0:
        per_c = np.empty(q)
        for p in range(q):
            k = min(int(u[p]), n - 1)
            per_c[p] = i * par[R_SCALE] * ops[weights + p] * slope(par, tab, RESISTIVITY, k, u[p] - k, c[p])
        per_c[0] += dV_0
        per_c[q - 1] += dV_L
        for j in range(m):
            total = 0.0
            for p in range(q):
                total += per_c[p] * ops[j * q + p]
            per_s[j] = -total * par[C_INIT] / dV_di
    for p in range(m):
        at = fine * (p + 1)
        k = min(int(u[at]), n - 1)
        w = u[at] - k
        a = par[RATE] * par[FACTOR] * value(par, tab, D, k, w) * par[SLOPE]
        dD, dM = par[FACTOR] * slope(par, tab, D, k, w, c[at]), slope(par, tab, MIGRATION, k, w, c[at])
        b = -salt_flux_slope(dD, dM, g[p], i) * par[RATE] * par[C_INIT]
        d = par[RATE] * value(par, tab, MIGRATION, k, w)
        for j in range(m):
            J[p, j] = a * ops[base + j * m + p] + b * ops[j * q + at] + d * per_s[j]
    if s.size > m:
        for j in range(m):
            J[m, j] = par[CHARGE] * per_s[j]
            J[j, m] = 0.0
        J[m, m] = 0.0


@compiled
def judge(par, tab, i, V, rate_of_i, rate_of_V, charge, c, c_0, c_L, g):  # type: ignore[no-untyped-def]
    """The events of a run, each positive while all is well."""
    offset = int(par[EVENTS])
    low, high = c[0], c[0]
    for p in range(c.size):
        low, high = min(low, c[p]), max(high, c[p])
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
    par, ops, tab = data
    q = int(par[Q])
    c, u = np.empty(q), np.empty(q)
    profile(par, ops, s, c)
    extremes_only = True
    for e in range(int(par[EVENTS_N])):
        extremes_only &= par[int(par[EVENTS]) + 3 * e] <= C_MAX
    if extremes_only:
        judge(par, tab, 0.0, 0.0, 0.0, 0.0, 0.0, c, c[0], c[q - 1], g)
        return
    places(par, c, u)
    i, V, _a, _b, _c = close(par, tab, t, resistance_of(par, ops, tab, u), c[0], c[q - 1])
    rate_of_i, rate_of_V = 0.0, 0.0
    if watches_rate(par):
        dt = 1e-6 * (t - par[T_START]) + 1e-9
        after = np.empty(q)
        profile(par, ops, s + dt * ds, after)
        places(par, after, u)
        later = close(par, tab, t + dt, resistance_of(par, ops, tab, u), after[0], after[q - 1])
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
def observe(times, states, data, coarse, to_tail, i, wall, resistance, extremes, quadrature, tail):  # type: ignore[no-untyped-def]
    """Current, wall values, integral of dx/kappa and extremes of c of many states; how well each is resolved.

    `quadrature`: how far two quadratures of 1/kappa differ; `tail`: what is left out of c, over c_init. The Chebyshev
    coefficients of c, of which `to_tail` gives the last half (its columns one behind the other), fall R times from
    their third quarter to their last; at that pace the sum beyond is n/(4 R ln R) times the largest of the last
    quarter: less than it for a resolved profile, many times for a front.
    """
    par, ops, tab = data
    m, q, n = int(par[M]), int(par[Q]), int(par[TAB_N])
    left_out = np.empty(to_tail.size // m)
    weights, half_of_tail = m * q + m * m, left_out.size // 2
    c, u = np.empty(q), np.empty(q)
    for j in range(times.size):
        profile(par, ops, states[j], c)
        places(par, c, u)
        fine, half, low, high = 0.0, 0.0, c[0], c[0]
        for p in range(q):
            k = min(int(u[p]), n - 1)
            resistivity = value(par, tab, RESISTIVITY, k, u[p] - k)
            fine += ops[weights + p] * resistivity
            if p % 2 == 0:
                half += coarse[p // 2] * resistivity
            low, high = min(low, c[p]), max(high, c[p])
        resistance[j] = fine * par[R_SCALE]
        i[j] = close(par, tab, times[j], resistance[j], c[0], c[q - 1])[0]
        wall[j, 0], wall[j, 1] = c[0], c[q - 1]
        extremes[j, 0], extremes[j, 1] = low, high
        quadrature[j] = abs(half / fine - 1)
        before, last = 1e-300, 1e-301
        for a in range(left_out.size):
            left_out[a] = 0.0
        combine(to_tail, states[j], 1.0, m, left_out)
        for a in range(half_of_tail):
            before = max(before, abs(left_out[a]))
        for a in range(half_of_tail, left_out.size):
            last = max(last, abs(left_out[a]))
        R = max(before / last, 1.01)
        tail[j] = last * min(max(half_of_tail / (R * math.log(R)), 0.5), m + 1.0)
