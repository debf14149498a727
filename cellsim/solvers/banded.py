"""Finite volumes of the sundials solver: where a polynomial cannot follow the profile, and for any number of cells.

The same tables and voltage law as on the spectral grid. At fixed current the balance of the cumulated salt couples
neighbours only; the current of a held voltage adds one rank, d(ds/dt)/ds = T + u g^T with T tridiagonal, u =
d(ds/dt)/di and g = di/ds. Products and solves with it are O(n).

Between two cells D is its mean over the concentrations between them (Kirchhoff's transformation), so that a front or
a dip in D narrower than what two neighbours differ by is not stepped over: D that falls to 0.4 % within 20 mol/m^3
left 5e-2 of the current with D at the faces on 1280 cells, and leaves 5e-6 on 160.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from cellsim.base import Array
from cellsim.cell.protocol import Step
from cellsim.model.equations import compiled
from cellsim.model.equations import salt_flux as salt_flux_of
from cellsim.solvers import kernels
from cellsim.solvers.grid import graded_faces
from cellsim.solvers.kernels import (
    C_INIT,
    CHARGE,
    DIFFUSED,
    DRIVE,
    DRIVE_N,
    FACTOR,
    MIGRATION,
    R_SCALE,
    RATE,
    RESISTIVITY,
    SLOPE,
    T_START,
    TAB_PER_PITCH,
    VOLTAGE,
    D,
    M,
    close,
    interp,
    judge,
    locate,
    passed,
    salt_flux,
    salt_flux_slope,
    slope,
    value,
    watches_rate,
)
from cellsim.solvers.march import Options
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.spectral import Fields, Observed

ALIKE = 1e-4
"""Neighbours closer than this relative to themselves have D at their mean: a difference of integrals would be noise."""


@compiled
def cells(par, ops, s, c):  # type: ignore[no-untyped-def]
    """Cell averages into `c`; c at both walls by the parabolas through three of them."""
    n = int(par[M]) + 1
    before = 0.0
    for j in range(n):
        after = s[j] if j < n - 1 else 0.0
        c[j] = par[C_INIT] * (1 + (after - before) / ops[j])
        before = after
    o = 2 * n - 1
    c_0 = ops[o] * c[0] + ops[o + 1] * c[1] + ops[o + 2] * c[2]
    c_L = ops[o] * c[n - 1] + ops[o + 1] * c[n - 2] + ops[o + 2] * c[n - 3]
    return c_0, c_L


@compiled
def resistance_of(par, ops, tab, c):  # type: ignore[no-untyped-def]
    """Integral of dx/kappa over the electrolyte."""
    total = 0.0
    for j in range(c.size):
        k, w, _ = locate(par, c[j])
        total += ops[j] * value(par, tab, RESISTIVITY, k, w)
    return total * par[R_SCALE]


@compiled
def diffused(par, tab, c):  # type: ignore[no-untyped-def]
    """The integral of D dc up to c; beyond the table D is held."""
    k, w, beyond = locate(par, c)
    o = int(par[DIFFUSED]) + 4 * k
    total = tab[o] + w * (tab[o + 1] + w * (tab[o + 2] + w * tab[o + 3]))
    if beyond != 0.0:
        total += value(par, tab, D, k, w) * c * (1 - math.exp(-beyond / par[TAB_PER_PITCH]))
    return total


@compiled
def rate(t, s, ds, data):  # type: ignore[no-untyped-def]
    """ds/dt at the interior faces; whether all c are positive."""
    par, ops, tab, _room = data
    m = int(par[M])
    c = np.empty(m + 1)
    c_0, c_L = cells(par, ops, s, c)
    if par[VOLTAGE] == 0.0:
        i = interp(par, int(par[DRIVE]), int(par[DRIVE_N]), t - par[T_START])
    else:
        i = close(par, tab, t, resistance_of(par, ops, tab, c), c_0, c_L)[0]
    right = diffused(par, tab, c[0])
    for p in range(m):
        left, right = right, diffused(par, tab, c[p + 1])
        change = c[p + 1] - c[p]
        k, w, _ = locate(par, 0.5 * (c[p] + c[p + 1]))
        # the mean over the interval: exact across a front or a dip in D that lies between two cells, however steep
        mean = (right - left) / change if abs(change) > ALIKE * c[p] else value(par, tab, D, k, w)
        g = change * ops[m + 1 + p] * par[SLOPE] / par[C_INIT]
        ds[p] = -par[RATE] * salt_flux(par[FACTOR] * mean, value(par, tab, MIGRATION, k, w), g, i)
    if ds.size > m:
        ds[m] = par[CHARGE] * i
    return c.min() > 0.0 and c_0 > 0.0 and c_L > 0.0


@compiled
def linearise(t, s, data, bands, per_i, per_s):  # type: ignore[no-untyped-def]
    """The three bands of T (lower, middle, upper), u and g."""
    par, ops, tab, _room = data
    m = int(par[M])
    n = m + 1
    c = np.empty(n)
    c_0, c_L = cells(par, ops, s, c)
    i, _V, dV_di, dV_0, dV_L = close(par, tab, t, resistance_of(par, ops, tab, c), c_0, c_L)
    per_s[:] = 0.0
    if par[VOLTAGE] != 0.0:
        per_c = np.empty(n)
        for j in range(n):
            k, w, _ = locate(par, c[j])
            per_c[j] = i * par[R_SCALE] * ops[j] * slope(par, tab, RESISTIVITY, k, w, c[j])
        for j in range(3):
            per_c[j] += dV_0 * ops[2 * n - 1 + j]
            per_c[n - 1 - j] += dV_L * ops[2 * n - 1 + j]
        for p in range(m):
            per_s[p] = -par[C_INIT] / dV_di * (per_c[p] / ops[p] - per_c[p + 1] / ops[p + 1])
    k, w, _ = locate(par, c[0])
    D_right = par[FACTOR] * value(par, tab, D, k, w)
    for p in range(m):
        per_gap, mean = ops[n + p] * par[SLOPE] / par[C_INIT], 0.5 * (c[p] + c[p + 1])
        k, w, _ = locate(par, c[p + 1])
        D_left, D_right = D_right, par[FACTOR] * value(par, tab, D, k, w)  # the slopes of the integral of D
        k, w, _ = locate(par, mean)
        b = -salt_flux_slope(0.0, 0.5 * slope(par, tab, MIGRATION, k, w, mean), 0.0, i)
        left = par[RATE] * par[C_INIT] * (b - D_left * per_gap) / ops[p]
        right = par[RATE] * par[C_INIT] * (b + D_right * per_gap) / ops[p + 1]
        bands[0, p] = -left
        bands[1, p] = left - right
        bands[2, p] = right
        per_i[p] = par[RATE] * value(par, tab, MIGRATION, k, w)


@compiled
def multiply(bands, per_i, per_s, charge, v, out):  # type: ignore[no-untyped-def]
    """(T + u g^T) v; where v has one row more, the charge's: `charge` g^T v."""
    m = per_i.size
    total = 0.0
    for p in range(m):
        total += per_s[p] * v[p]
    for p in range(m):
        out[p] = bands[1, p] * v[p] + per_i[p] * total
        if p > 0:
            out[p] += bands[0, p] * v[p - 1]
        if p < m - 1:
            out[p] += bands[2, p] * v[p + 1]
    if v.size > m:
        out[m] = charge * total


@compiled
def solve(bands, per_i, per_s, charge, gamma, r, out):  # type: ignore[no-untyped-def]
    """(1 - gamma (T + u g^T))^-1 r by elimination and the Sherman-Morrison formula; the charge's row follows."""
    m = per_i.size
    ratio, u = np.empty(m), np.empty(m)
    pivot = 1 - gamma * bands[1, 0]
    ratio[0], out[0], u[0] = -gamma * bands[2, 0] / pivot, r[0] / pivot, per_i[0] / pivot
    for p in range(1, m):
        lower = -gamma * bands[0, p]
        pivot = 1 - gamma * bands[1, p] - lower * ratio[p - 1]
        ratio[p] = -gamma * bands[2, p] / pivot
        out[p] = (r[p] - lower * out[p - 1]) / pivot
        u[p] = (per_i[p] - lower * u[p - 1]) / pivot
    for p in range(m - 2, -1, -1):
        out[p] -= ratio[p] * out[p + 1]
        u[p] -= ratio[p] * u[p + 1]
    with_r, with_u = 0.0, 0.0
    for p in range(m):
        with_r += per_s[p] * out[p]
        with_u += per_s[p] * u[p]
    scale = gamma * with_r / (1 - gamma * with_u)
    for p in range(m):
        out[p] += scale * u[p]
    if r.size > m:
        out[m] = r[m] + charge * scale


@compiled
def events(t, s, g, data):  # type: ignore[no-untyped-def]
    """Stop conditions and limits, by `judge`; the state moves as the right-hand side says."""
    ds = np.empty(s.size)
    if watches_rate(data[0]):
        rate(t, s, ds, data)
    events_along(t, s, ds, g, data)


@compiled
def events_along(t, s, ds, g, data):  # type: ignore[no-untyped-def]
    """The same for a state that moves as `ds` says, which is read only where a rate is watched."""
    par, ops, tab, _room = data
    m = int(par[M])
    c = np.empty(m + 1)
    c_0, c_L = cells(par, ops, s, c)
    i, V, _a, _b, _c = close(par, tab, t, resistance_of(par, ops, tab, c), c_0, c_L)
    rate_of_i, rate_of_V = 0.0, 0.0
    if watches_rate(par):
        dt = 1e-6 * (t - par[T_START]) + 1e-9
        after = np.empty(m + 1)
        d_0, d_L = cells(par, ops, s + dt * ds, after)
        later = close(par, tab, t + dt, resistance_of(par, ops, tab, after), d_0, d_L)
        rate_of_i, rate_of_V = (later[0] - i) / dt, (later[1] - V) / dt
    c[0], c[m] = min(c[0], c_0) if c_0 < c[1] else max(c[0], c_0), min(c[m], c_L) if c_L < c[m - 1] else max(c[m], c_L)
    judge(par, tab, i, V, rate_of_i, rate_of_V, passed(par, s, m), c, c_0, c_L, g)


@compiled
def observe(times, states, data, i, wall, resistance, extremes):  # type: ignore[no-untyped-def]
    """Current, wall values, integral of dx/kappa and extremes of c of many states."""
    par, ops, tab, _room = data
    c = np.empty(int(par[M]) + 1)
    for j in range(times.size):
        c_0, c_L = cells(par, ops, states[j], c)
        resistance[j] = resistance_of(par, ops, tab, c)
        i[j] = close(par, tab, times[j], resistance[j], c_0, c_L)[0]
        wall[j, 0], wall[j, 1] = c_0, c_L
        extremes[j, 0] = min(c.min(), min(c_0, c_L))
        extremes[j, 1] = max(c.max(), max(c_0, c_L))


@dataclass(frozen=True)
class Banded:
    """Cell averages on a graded grid, second order.

    Parameters
    ----------
    physics : Physics
        Cell and set.
    cells : int
        A multiple of the output cells, so that every output face is one of the grid's.
    stretch : float
        Grading of the grid.
    """

    physics: Physics
    cells: int
    stretch: float

    further: ClassVar[int] = 0
    """States behind the salt and the charge."""
    rate = staticmethod(rate)
    events = staticmethod(events)

    room: ClassVar[Array] = np.empty((0, 0))
    """What the kernels work in; those of the finite volumes make it when they are called."""

    @property
    def unknowns(self) -> int:
        """The cumulated salt at the interior faces."""
        return self.cells - 1

    @cached_property
    def _xi(self) -> Array:
        return graded_faces(self.cells, 2.0, self.stretch) - 1

    @cached_property
    def initial(self) -> Array:
        """The unknowns at the start of a run."""
        return self.physics.excess(self._xi[1:-1])

    @cached_property
    def _operators(self) -> Array:
        widths = np.diff(self._xi)
        return np.concatenate([widths, 2 / (widths[:-1] + widths[1:]), wall_weights(widths[:3])])

    @cached_property
    def _tables(self) -> tuple[float, Array]:
        return self.physics.pack_diffused()

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> tuple[Array, Array, Array, Array]:
        """What the kernels read during one protocol step."""
        begin, tables = self._tables
        places = {kernels.M: self.cells - 1, kernels.DIFFUSED: begin}
        return self.physics.pack(step, t_start, places, events), self._operators, tables, self.room

    def absolute_tolerance(self, rtol: float) -> Array:
        """Tolerances of s, as for the spectral grid of about the same wall spacing."""
        distance = np.minimum(self._xi[1:-1] + 1, 1 - self._xi[1:-1])
        return np.asarray(0.1 * rtol * np.sqrt(distance))

    def further_tolerances(self, step: Step, further: Array, rtol: float) -> tuple[float, ...]:
        """Absolute tolerances of the further states, which have the values `further` when a step begins."""
        return ()

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """The linear solver CVODE is to use: GMRES, preconditioned by the exact solve: one iteration."""
        m = self.unknowns
        bands, per_i, per_s = np.zeros((3, m)), np.zeros(m), np.zeros(m)

        def at_state(t: float, s: Array, ds: Array) -> None:
            linearise(t, s, box[0], bands, per_i, per_s)

        def setup(t: float, s: Array, ds: Array, jok: bool, jnew: list[int], gamma: float) -> None:
            jnew[0] = 0 if jok else 1

        def precondition(
            t: float, s: Array, ds: Array, r: Array, z: Array, gamma: float, delta: float, lr: int
        ) -> None:
            solve(bands, per_i, per_s, box[0][0][kernels.CHARGE], gamma, r, z)

        def times_vector(t: float, s: Array, ds: Array, v: Array, Jv: Array) -> None:
            multiply(bands, per_i, per_s, box[0][0][kernels.CHARGE], v, Jv)

        return {
            "linsolver": "gmres",
            "precond": (setup, precondition),
            "jactimes": (at_state, times_vector),
        }

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """Current, walls, resistance and extremes of many states; the error is judged by comparing two grids."""
        size = times.size
        i, resistance, wall, extremes = np.empty(size), np.empty(size), np.empty((size, 2)), np.empty((size, 2))
        observe(times, states, data, i, wall, resistance, extremes)
        return Observed(i, wall, resistance, extremes, np.zeros(size), np.zeros(size))

    judging = np.zeros(1), np.zeros((1, 1))
    """In place of :attr:`Spectral.judging`; two grids are compared instead."""

    def fields(self, states: Array, i: Array, options: Options) -> Fields:
        """Profiles on the output cells, each an exact union of the grid's, with the fluxes as they were solved."""
        physics, every = self.physics, self.cells // options.cells
        c_init = physics.c0
        faces = graded_faces(options.cells, physics.cell.thickness, options.stretch)
        closed = np.pad(states[:, : self.unknowns], ((0, 0), (1, 1)))
        widths = np.diff(self._xi)
        fine = c_init * (1 + np.diff(closed, axis=1) / widths)
        c = c_init * (1 + np.diff(closed[:, ::every], axis=1) / np.diff(self._xi[::every]))
        near = widths[1:] / (widths[:-1] + widths[1:])
        weights = wall_weights(widths[:3])
        inner = near * fine[:, :-1] + (1 - near) * fine[:, 1:]
        ends = fine[:, :3] @ weights, fine[:, :-4:-1] @ weights
        c_face = np.column_stack([ends[0], inner, ends[1]])[:, ::every]

        def flux() -> Array:
            some = np.arange(every, self.cells, every)  # faces of the output among the interior ones
            left, right = fine[:, some - 1], fine[:, some]
            change, mean = right - left, 0.5 * (left + right)
            apart = np.abs(change) > ALIKE * left
            tables, factor = physics.tables, physics.cell.separator.transport_factor
            risen = factor * (tables.diffused_up_to(right) - tables.diffused_up_to(left))
            D = np.where(apart, risen / np.where(apart, change, 1.0), physics.diffusion(mean))
            slope = 4 / physics.cell.thickness * change / (widths[:-1] + widths[1:])[some - 1]
            return np.pad(salt_flux_of(D, physics.migration(mean), slope, i[:, None]), ((0, 0), (1, 1)))

        return Fields(faces, lambda: c, lambda: c_face, flux)


def wall_weights(widths: Array) -> Array:
    """Weights of the three cell averages next to a wall in the wall value of the parabola that has them, shape (3,)."""
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    averages = np.array([np.diff(edges ** (p + 1)) / ((p + 1) * widths) for p in range(3)])
    return np.asarray(np.linalg.solve(averages, np.array([1.0, 0.0, 0.0])))
