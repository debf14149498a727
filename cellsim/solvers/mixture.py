"""Two solvers of n components over one march: coupled finite volumes in FiPy, and a spectral method of lines on CVODE.

Both stand in the material coordinate of the reference solvent, d xi = c_0 dx, where the unknowns are r_k = c_k/c_0.
They share the equations (:mod:`cellsim.model.mixture`) and the march; grid, quadrature and time stepping are their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cellsim.base import Array, ConvergenceError, F, R
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.mixture_set import Coefficients, MixtureSet
from cellsim.model import equations, mixture
from cellsim.solvers.bdf2 import Bdf2Stepper
from cellsim.solvers.fipy import CoupledSystem
from cellsim.solvers.grid import graded_faces, wall_values
from cellsim.solvers.march import EARLY, SMALLEST_CHANGE, Limits, Options, Run, march
from cellsim.solvers.refinement import DEGREES, FINEST, LARGEST, LEAST_RTOL, RELAXING
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import lobatto, output_operators, spectral_grid
from cellsim.solvers.sundials import cvode, quiet

logger = logging.getLogger(__name__)

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
NUDGE = 1e-6
"""Relative change of r by which slopes of the coefficients are taken."""


@dataclass(frozen=True)
class MixtureState:
    """The cell at one instant.

    Attributes
    ----------
    time, i : float
        [s], current density [A/m^2].
    r : ndarray, shape (n, K)
        Averages over the cells of xi [1].
    r_face : ndarray, shape (n + 1, K)
        At the faces, walls included [1].
    wall : ndarray, shape (2,)
        Concentration of the cation at both walls [mol/m^3].
    parts : ndarray, shape (K + 3,)
        Of the voltage: ohmic, each component's, positive and negative interface [V].
    J : ndarray, shape (n + 1, K)
        Fluxes of the components against the reference solvent at the faces [mol/(m^2 s)].
    doubt : float
        What the solver takes for the relative error that its grid leaves [1].
    """

    time: float
    i: float
    r: Array
    r_face: Array
    wall: Array
    parts: Array
    J: Array
    doubt: float = 0.0

    @property
    def voltage(self) -> float:
        """Cell voltage [V]."""
        return float(self.parts.sum())


@dataclass(frozen=True, eq=False)
class Filled:
    """A cell filled uniformly: what both solvers begin with.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes; the thickness is that of the uniform state.
    transport : MixtureSet
        The set, held at the ends of its range inside the solvers; the march checks the range.
    r0 : ndarray, shape (K,)
        Initial composition [1].
    """

    cell: Cell
    transport: MixtureSet
    r0: Array

    @cached_property
    def initial(self) -> Coefficients:
        """Coefficients of the uniform state."""
        return self.transport.at(self.r0)

    @cached_property
    def length(self) -> float:
        """Solvent in the cell over the porosity, the extent of xi [mol/m^2]."""
        return self.cell.thickness * float(self.initial.c_0)

    @property
    def factor(self) -> float:
        """What kappa and L are multiplied by, 1/MacMullin number."""
        return self.cell.separator.transport_factor

    def salt(self, r: Array) -> Array:
        """Concentration of the cation at compositions r (..., K), shape (...) [mol/m^3]."""
        return self.transport.r_plus(r) * self.transport.c_0(r)

    def current(self, voltage: float, resistance: float, concentration: float, salt: Array, time: float) -> float:
        """The current density of a held voltage [A/m^2]; see :func:`.balanced_current`."""
        walls = (float(salt[0]), float(salt[1]))
        return equations.balanced_current(self.cell, voltage, resistance, concentration, walls, time)

    def initial_current(self, voltage: float, time: float) -> float:
        """i_0 of a voltage [V] on the uniform cell [A/m^2]."""
        resistance = self.cell.thickness / (self.factor * float(self.initial.kappa))
        return self.current(voltage, resistance, 0.0, self.salt(self.r0[None].repeat(2, 0)), time)

    def parts(self, i: float, resistance: float, potentials: Array, salt: Array, time: float) -> Array:
        """The voltage in parts, shape (K + 3,); see :class:`MixtureState`."""
        losses = equations.interface_losses(self.cell, i, (float(salt[0]), float(salt[1])), time)
        return np.concatenate([[i * resistance], potentials, losses])

    def expected_change(self, step: Step, spread: float) -> float:
        """How far a step may move r, over the average: the slope at the walls over the distance diffusion reaches.

        Parameters
        ----------
        step : Step
            The protocol step.
        spread : float
            Largest change of r_k/r0_k along the profile at its start [1].

        Returns
        -------
        float
            Between SMALLEST_CHANGE and 1 [1].
        """
        at = self.initial
        slope = mixture.wall_slope(at.tau, self.factor * at.diffusion, 1.0)
        fastest = self.factor * float(mixture.relaxation_modes(at)[0][-1])
        reach = min(self.cell.thickness, 2 * np.sqrt(fastest / self.cell.separator.porosity * step.duration))
        change = slope * reach * float(at.c_0)
        i = step.largest
        if step.drive == "voltage" and i > 0:
            drive, i = i, self.initial_current(i, 0.0)
            i *= drive / (drive + i * abs(float(mixture.potential_slopes(at, change).sum())))
        return float(np.clip(spread + i * np.max(np.abs(change) / self.r0), SMALLEST_CHANGE, 1.0))


def limits_of(filled: Filled, options: Options) -> Limits[MixtureState]:
    """What ends a run: a component used up at some place, or a composition outside the range.

    Parameters
    ----------
    filled : Filled
        Set and initial composition.
    options : Options
        ``c_min``: a concentration of the cation below this is depleted [mol/m^3]; else, of every component, the lower
        end of the range where that lies below 1 % of the initial amount, or 0.1 % of it.
    """
    transport, r0 = filled.transport, filled.r0
    low, high = transport.r_range.T
    least = np.where(low <= 0.01 * r0, low, 1e-3 * r0)
    plus = float(transport.r_plus(r0))
    names = (*transport.components, transport.cation)
    salt = float(filled.salt(r0))

    def left(s: MixtureState) -> Array:
        every = np.concatenate([s.r, s.r_face[[0, -1]]])
        if options.c_min is None:
            cation = (transport.r_plus(every).min() - 1e-3 * plus) / plus
        else:
            cation = (filled.salt(every).min() - options.c_min) / salt
        return np.append((every.min(axis=0) - least) / r0, cation)

    def lowest(s: MixtureState) -> Array:
        return np.minimum(s.r.min(axis=0), s.r_face.min(axis=0))

    def highest(s: MixtureState) -> Array:
        return np.maximum(s.r.max(axis=0), s.r_face.max(axis=0))

    def explain(name: str, s: MixtureState, index: int) -> tuple[str, str]:
        when = f"step {index + 1}, t = {s.time:.6g} s, i = {s.i:.4g} A/m^2"
        if name == "depleted":
            k = int(np.argmin(left(s)))
            column = transport.r_plus(s.r_face) if k == len(r0) else s.r_face[:, k]
            at = int(np.argmin(column))
            place = "at the positive electrode" if at == 0 else "inside the electrolyte"
            place = "at the negative electrode" if at == column.size - 1 else place
            return "depleted", (
                f"{names[k]} ran out {place} ({when}): the current exceeds what diffusion can feed; lower the voltage "
                "or current"
            )
        below = low * (1 - 1e-9) - lowest(s) >= 0
        k = int(np.argmax(below)) if np.any(below) else int(np.argmax(highest(s) / high))
        value = lowest(s)[k] if below[k] else highest(s)[k]
        return "out_of_range", (
            f"r_{names[k]} = {value:.4g} left the range of the transport set, {low[k]:.4g}-{high[k]:.4g} ({when}); "
            'lower the drive, choose another set, or say extrapolate = "clamp"'
        )

    conditions: dict[str, Callable[[MixtureState], float]] = {"depleted": lambda s: float(left(s).min())}
    if transport.extrapolate == "error":
        conditions["below_range"] = lambda s: float(np.min((lowest(s) - low * (1 - 1e-9)) / r0))
        conditions["above_range"] = lambda s: float(np.min((high * (1 + 1e-9) - highest(s)) / r0))
    return Limits(conditions, explain)


# ---- FiPy ---------------------------------------------------------------------------------------------------------


class CoupledStepper(Bdf2Stepper[MixtureState]):
    """All components at once by coupled finite volumes; see :class:`.Bdf2Stepper`.

    Parameters
    ----------
    filled : Filled
        Cell, set and initial composition.
    options : Options
        Grid and tolerances.
    """

    def __init__(self, filled: Filled, options: Options) -> None:
        self.filled = filled
        self.transport = filled.transport.with_extrapolation("clamp")
        self.porosity = filled.cell.separator.porosity
        self.faces = graded_faces(options.cells, filled.length, options.stretch)
        self.widths = np.diff(self.faces)
        centres = 0.5 * (self.faces[1:] + self.faces[:-1])
        self.between = np.diff(centres)[:, None]
        fastest = filled.factor * float(mixture.relaxation_modes(filled.initial)[0][-1])
        self.fastest = fastest * float(filled.initial.c_0) ** 2
        self.system = CoupledSystem(self.widths / filled.length, filled.r0.size)
        r = np.tile(filled.r0, (options.cells, 1))
        quickest = self.porosity * float(self.widths.min()) ** 2 / self.fastest
        super().__init__(filled.cell, r, filled.r0, quickest, options)

    def snapshot(self, time: float) -> MixtureState:
        """As :meth:`Bdf2Stepper.snapshot`."""
        r = self._dense(time)
        i, wall = self._observe(r, time)
        at, slope = self._between(r)
        J = np.zeros((r.shape[0] + 1, r.shape[1]))
        J[1:-1] = mixture.component_flux(at.tau, self.filled.factor * at.diffusion, slope, i)
        r_face = np.concatenate([wall[:1], self._faces(r), wall[1:]])
        resistance, potentials = self._along(r, wall)
        salt = self.filled.salt(wall)
        parts = self.filled.parts(i, resistance, potentials, salt, time)
        return MixtureState(time, i, r, r_face, salt, parts, J)

    def walls_of(self, state: MixtureState) -> Array:
        """As :meth:`Bdf2Stepper.walls_of`."""
        return state.r_face[[0, -1]]

    def expected_change(self, step: Step, first: MixtureState) -> float:
        """As :meth:`Bdf2Stepper.expected_change`."""
        return self.filled.expected_change(step, float(np.max(np.ptp(first.r_face, axis=0) / self.c_scale)))

    def walls(self, c: Array, i: float) -> Array:
        """As :meth:`Bdf2Stepper.walls`."""

        def slope(wall: Array) -> Array:
            at = self.transport.at(wall)
            return mixture.wall_slope(at.tau, self.filled.factor * at.diffusion, np.full(2, i))

        return wall_values(self.widths, c, slope)

    def salt(self, wall: Array) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.salt`."""
        positive, negative = self.filled.salt(wall)
        return float(positive), float(negative)

    def drops(self, c: Array, wall: Array) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.drops`."""
        resistance, potentials = self._along(c, wall)
        return resistance, float(potentials.sum())

    def sizes(self, voltage: float, time: float) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.sizes`."""
        thermal = R * self.transport.T / F
        return self.filled.initial_current(voltage or 1e-3 * thermal, time), max(abs(voltage), 1e-3 * thermal)

    def linearised(self, c: Array, i: float, t_new: float, dt: float, a_0: float, risen: Array) -> tuple[Array, Array]:
        """As :meth:`Bdf2Stepper.linearised`."""
        K, factor = c.shape[1], self.filled.factor
        middle, slope = 0.5 * (c[1:] + c[:-1]), np.diff(c, axis=0) / self.between
        # the coefficients, and their slopes by central differences, in one call
        h = NUDGE * self.filled.r0
        moved = np.concatenate([middle[None], middle + np.diag(h)[:, None], middle - np.diag(h)[:, None]])
        at = self.transport.at(moved)
        A = factor * at.diffusion
        J = mixture.component_flux(at.tau, A, slope, i)
        turn = (J[1 : K + 1] - J[K + 1 :]) / (2 * h[:, None, None])  # (m, face, k): dJ_k/dr_m
        flux, per_current = np.zeros((2, c.shape[0] + 1, K))
        flux[1:-1], per_current[1:-1] = J[0], at.tau[0] / F
        scale, widths = self.filled.length**2 / self.fastest, self.widths[:, None]
        residual = -np.diff(flux, axis=0) / widths - self.porosity * risen / dt
        unit = self.c_scale[:, None] / self.c_scale  # unknowns and balances of size one: r_k over its average
        delta, gain = self.system.solve(
            diffusion=np.moveaxis(A[0], 0, -1) / self.fastest / unit[..., None],
            convection=-np.transpose(turn, (2, 0, 1)) * (scale / self.filled.length) / unit[..., None],
            decay=self.porosity * a_0 / dt * scale,
            sources=(residual * scale / self.c_scale, -np.diff(per_current, axis=0) / widths * scale / self.c_scale),
        )
        return delta * self.c_scale, gain * self.c_scale

    def _between(self, r: Array) -> tuple[Coefficients, Array]:
        """Coefficients half-way between neighbouring cells, and the slopes dr/dxi there."""
        return self.transport.at(0.5 * (r[1:] + r[:-1])), np.diff(r, axis=0) / self.between

    def _along(self, r: Array, wall: Array) -> tuple[float, Array]:
        """Integral of dx/kappa and the potential of every component.

        The first along a line through the average of every cell, exact to third order in its width. The second along
        straight pieces from wall to wall, which for one component is exact: it depends on its ends alone.
        """
        nodes = np.concatenate([wall[:1], r, wall[1:]])
        face = np.concatenate([wall[:1], self._faces(r), wall[1:]])
        half = 0.5 * np.diff(face, axis=0)
        # a line through the average of a curved profile may cross zero before the profile does
        floor = 0.5 * np.minimum(face[1:], face[:-1])
        lines = np.maximum(r[:, None, :] + _NODES[:, None] * half[:, None, :], floor[:, None, :])
        change = np.diff(nodes, axis=0)[:, None, :]
        pieces = nodes[:-1, None, :] + 0.5 * (1 + _NODES)[:, None] * change
        at, cells, weights = self.transport.at(pieces), self.transport.at(lines), 0.5 * _WEIGHTS
        resistance = self.widths @ ((1 / (cells.kappa * cells.c_0)) @ weights) / self.filled.factor
        potentials = np.einsum("spk,p->k", mixture.potential_slopes(at, np.broadcast_to(change, at.tau.shape)), weights)
        return float(resistance), potentials

    def _faces(self, r: Array) -> Array:
        """Linear interpolation of cell values to the interior faces, shape (n - 1, K)."""
        near = (self.widths[1:] / (self.widths[:-1] + self.widths[1:]))[:, None]
        return np.asarray(near * r[:-1] + (1 - near) * r[1:])


# ---- CVODE --------------------------------------------------------------------------------------------------------


class SpectralStepper:
    """All components as polynomials: the cumulated amounts s_k on Chebyshev points, zero at both walls for ever.

    As for a binary salt (:mod:`cellsim.solvers.spectral`), r_k = r0_k (1 + ds_k/dxi) and porosity dS_k/dt = -J_k, so
    that nothing can be lost. CVODE's own steps are marched, and within one its own polynomial is the solution.

    Parameters
    ----------
    filled : Filled
        Cell, set and initial composition.
    options : Options
        Output cells and tolerances.
    n, fine : int
        Degree, and points of the quadrature per point of the grid.
    """

    def __init__(self, filled: Filled, options: Options, n: int, fine: int) -> None:
        self.filled, self.options = filled, options
        self.transport = filled.transport.with_extrapolation("clamp")
        self.n, self.fine, self.K = n, fine, filled.r0.size
        self.grid = spectral_grid(n, fine)
        self.to_slope = self.grid.differentiate(lobatto(fine * n), 2)
        self.inside = slice(fine, -1, fine)
        _, *self.output = output_operators(n, fine, options.cells, filled.length, options.stretch)
        self.time, self.count = 0.0, 0
        self._ends: list[tuple[float, Array, Array]] = [(0.0, np.zeros((n - 1) * self.K), np.zeros((n - 1) * self.K))]
        self._step: Step | None = None
        self._t_start = 0.0
        self._solver: Any = None
        self._bound = -1.0

    # ---- the Stepper contract ----

    def start(self, step: Step, t_start: float) -> None:
        """Begin a protocol step at `t_start`."""
        y = self._dense(t_start)
        self._step, self._t_start, self.time = step, t_start, t_start
        self._ends = [(t_start, y, self._rate(t_start, y))]
        s = y.reshape(-1, self.K)
        spread = float(np.max(np.ptp(self.grid.to_c @ s, axis=0)))
        change = self.filled.expected_change(step, spread)
        rest = not np.any(step.value)
        scale = max(1e-3 * change, SMALLEST_CHANGE) if rest else change
        # fluxes are second derivatives: an error of rtol in them is one of rtol times the squared distance of points
        atol = np.repeat(scale * self.options.rtol * self.grid.gaps**2, self.K)
        rtol = RELAXING * self.options.rtol if rest else LEAST_RTOL
        self._solver = cvode(self._fill_rate, self._fill_jacobian, rtol, atol)
        self._bound = -1.0

    def advance(self, t_bound: float) -> None:
        """One internal step of CVODE, which starts afresh at every bound."""
        t, y, _ = self._ends[-1]
        try:
            with quiet():
                if t_bound != self._bound:
                    self._solver.init_step(t, y)
                    self._bound = t_bound
                result = self._solver.step(t_bound, "onestep", t_bound)
                if result.status >= 0 and result.t <= t:  # what it was last asked for lay inside the step before
                    result = self._solver.step(t_bound, "onestep", t_bound)
        except (FloatingPointError, np.linalg.LinAlgError) as error:
            raise ConvergenceError(f"the time integrator gave up: {error}") from error
        if result.status < 0 or not np.all(np.isfinite(result.y)):
            raise ConvergenceError(f"the time integrator gave up: {result.message}")
        self.time = float(result.t)
        y = np.array(result.y)
        self._ends = [*self._ends[-2:], (self.time, y, self._rate(self.time, y))]
        self.count += 1

    def current(self, time: float) -> float:
        """The current density at `time`."""
        return self.snapshot(time).i

    def snapshot(self, time: float) -> MixtureState:
        """The cell at `time`, within the last step of CVODE."""
        s = self._dense(time).reshape(-1, self.K)
        at, slope, resistance, potentials, walls = self._observe(s)
        salt = self.filled.salt(walls)
        i = float(self._current(resistance, potentials.sum(axis=-1), salt, time))
        averages, values, fluxes = self.output
        r0 = self.filled.r0
        J = mixture.component_flux(*self._inner(at), slope[self.inside], i)
        parts = self.filled.parts(i, float(resistance), potentials, salt, time)
        r_face = r0 * (1 + values @ s)
        r_face[[0, -1]] = walls
        doubt = self._doubt(s, at, float(resistance))
        return MixtureState(time, i, r0 * (1 + averages @ s), r_face, salt, parts, fluxes @ J, doubt)

    # ---- the balance ----

    def _observe(self, s: Array) -> tuple[Coefficients, Array, Array, Array, Array]:
        """Coefficients and slopes at the points of the quadrature; integral of dx/kappa, potentials, wall values."""
        half, r0 = 0.5 * self.filled.length, self.filled.r0
        r = r0 * (1 + self.grid.to_c @ s)
        slope = r0 / half * (self.to_slope @ s)
        at = self.transport.at(r)
        weights = half * self.grid.weights
        resistance = (1 / (at.kappa * at.c_0)) @ weights / self.filled.factor
        potentials = np.einsum("...qk,q->...k", mixture.potential_slopes(at, slope), weights)
        return at, slope, resistance, potentials, r[..., [0, -1], :]

    def _inner(self, at: Coefficients) -> tuple[Array, Array]:
        """tau and RT c_0 L G, the separator's factor in it, at the interior points of the grid."""
        picked = Coefficients(
            at.kappa[..., self.inside],
            at.tau[..., self.inside, :],
            at.L[..., self.inside, :, :],
            at.G[..., self.inside, :, :],
            at.c_0[..., self.inside],
            at.T,
        )
        return picked.tau, self.filled.factor * picked.diffusion

    def _current(self, resistance: Array, concentration: Array, salt: Array, time: float) -> Array:
        """Current density of one state, or of many [A/m^2]."""
        step = self._step
        assert step is not None
        drive = step.at(time - self._t_start)
        if step.drive == "current":
            return np.full(np.shape(resistance), drive)
        states = zip(resistance.reshape(-1), concentration.reshape(-1), salt.reshape(-1, 2), strict=True)
        found = [self.filled.current(drive, float(a), float(b), c, time) for a, b, c in states]
        return np.array(found).reshape(np.shape(resistance))

    def _rates(self, time: float, s: Array) -> Array:
        """ds/dt = -2 J/(porosity length r0), for one state or many, shape of s (..., n - 1, K)."""
        at, slope, resistance, potentials, walls = self._observe(s)
        i = self._current(resistance, potentials.sum(axis=-1), self.filled.salt(walls), time)
        J = mixture.component_flux(*self._inner(at), slope[..., self.inside, :], i[..., None])
        return np.asarray(-2 * J / (self.filled.cell.separator.porosity * self.filled.length * self.filled.r0))

    def _rate(self, time: float, y: Array) -> Array:
        return self._rates(time, y.reshape(-1, self.K)).ravel()

    def _fill_rate(self, time: float, y: Array, out: Array) -> None:
        out[:] = self._rate(time, y)

    def _fill_jacobian(self, time: float, y: Array, rate: Array, out: Array) -> None:
        """By differences, all unknowns moved in one call."""
        h = np.repeat(NUDGE * self.grid.gaps, self.K)
        moved = (y + np.diag(h)).reshape(y.size, -1, self.K)
        back = (y - np.diag(h)).reshape(y.size, -1, self.K)
        change = self._rates(time, moved) - self._rates(time, back)
        out[:] = (change.reshape(y.size, y.size) / (2 * h[:, None])).T

    def _dense(self, time: float) -> Array:
        """The state at `time`: within its last step CVODE's own polynomial, just before it the cubic of that step."""
        ends = self._ends
        t_1, y_1, _ = ends[-1]
        if time >= t_1 or len(ends) == 1:
            return y_1
        if time > ends[-2][0]:
            with quiet():
                return np.array(self._solver.step(time, "normal").y)
        (t_0, y_0, f_0), (t_1, y_1, f_1) = ends[0], ends[-2]
        if time <= t_0 or t_0 == t_1:
            return y_0 if time <= t_0 else y_1
        h, w = t_1 - t_0, (time - t_0) / (t_1 - t_0)
        ahead, behind = w**2 * (3 - 2 * w), h * w * (1 - w)
        return np.asarray(y_0 + ahead * (y_1 - y_0) + behind * ((1 - w) * f_0 - w * f_1))

    def _doubt(self, s: Array, at: Coefficients, resistance: float) -> float:
        """Last half of the terms of the profiles over their change, or what fewer points make of the resistance."""
        r = 1 + self.grid.to_c @ s
        moved = max(float(np.max(np.ptp(r, axis=0))), SMALLEST_CHANGE)
        tail = float(np.max(np.abs(self.grid.to_tail @ s)) / moved / max(float(r.min()), 0.02))
        weights = 0.5 * self.filled.length * self.grid.judging[0]
        coarse = float((1 / (at.kappa * at.c_0))[::2] @ weights) / self.filled.factor
        return max(tail, 0.25 * abs(coarse / resistance - 1))


# ---- running ------------------------------------------------------------------------------------------------------


def solve(
    name: str,
    cell: Cell,
    transport: MixtureSet,
    protocol: Protocol,
    times: Array,
    r0: Array,
    options: Options,
    progress: Callable[[float], None] | None = None,
) -> SolverRun:
    """Run a protocol on a cell of n components.

    Parameters
    ----------
    name : {"fipy", "sundials"}
        The solver.
    cell, transport, protocol
        As :func:`cellsim.simulate`.
    times : ndarray, shape (t,)
        Increasing output times [s].
    r0 : ndarray, shape (K,)
        Initial, uniform composition [1].
    options : Options
        Grid and tolerances.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    SolverRun
    """
    filled = Filled(cell, transport, np.asarray(r0, dtype=float))
    limits = limits_of(filled, options)
    if name == "fipy":
        run = march(CoupledStepper(filled, options), protocol, limits, times, options, progress)
        return assemble(run, filled, options, {"time_steps": run.time_steps})
    return _refined(filled, protocol, limits, times, options, progress)


def _refined(
    filled: Filled,
    protocol: Protocol,
    limits: Limits[MixtureState],
    times: Array,
    options: Options,
    progress: Callable[[float], None] | None,
) -> SolverRun:
    """The spectral grid refined until its profiles are resolved to ten times the tolerance of a time step."""
    n = options.unknowns + 1 if options.unknowns else next(n for rtol, n in DEGREES if options.rtol >= rtol)
    fine, target, before = 2, 10 * options.rtol, np.inf
    while True:
        stepper = SpectralStepper(filled, options, n, fine)
        run = march(stepper, protocol, limits, times, options, progress)
        doubt = _late_doubt(run, protocol)
        resolved = doubt <= target or options.unknowns is not None or run.status == "interrupted"
        if resolved or n * 3 // 2 > LARGEST or doubt > 0.3 * before:
            break
        n, fine, before = n * 3 // 2, min(fine + 2, FINEST), doubt
    if doubt > target:
        logger.warning("the finest grid leaves an estimated error of %.1e in space, %.1e was asked", doubt, target)
        run.message += f"; in space an error of about {doubt:.1e} is left ({target:.1e} asked)"
    said = {"time_steps": run.time_steps, "unknowns": (n - 1) * filled.r0.size, "spatial_doubt": doubt}
    return assemble(run, filled, options, said)


def _late_doubt(run: Run[MixtureState], protocol: Protocol) -> float:
    """The largest doubt from a thousandth of each step on: at first the layers are thinner than any grid."""
    begins: dict[int, float] = {}
    worst = 0.0
    for state, index in zip(run.snapshots, run.step_index, strict=True):
        begins.setdefault(index, state.time)
        if state.time - begins[index] >= EARLY * protocol.steps[index].duration:
            worst = max(worst, state.doubt)
    return worst


def assemble(run: Run[MixtureState], filled: Filled, options: Options, attributes: Mapping[str, Any]) -> SolverRun:
    """Every variable of a :class:`.MixtureSolution` from the states of a run."""
    states, transport, cell = run.snapshots, filled.transport, filled.cell
    time, i, charge = np.array([s.time for s in states]), np.array([s.i for s in states]), np.array(run.charge)
    r, r_face = np.array([s.r for s in states]), np.array([s.r_face for s in states])
    parts, J = np.array([s.parts for s in states]), np.array([s.J for s in states])
    pitch = np.diff(graded_faces(r.shape[1], filled.length, options.stretch))
    widths = pitch / transport.c_0(r)
    faces = np.concatenate([np.zeros((time.size, 1)), np.cumsum(widths, axis=1)], axis=1)
    position = 0.5 * (faces[:, 1:] + faces[:, :-1])
    held = transport.with_extrapolation("clamp")
    at, porosity = held.at(r), cell.separator.porosity
    c, c_face = transport.concentrations(r), transport.concentrations(r_face)
    v_0 = mixture.solvent_velocity(J, np.asarray(transport.partial_volumes(r)))
    N = mixture.species_fluxes(J, v_0, c_face[..., 1:-1], c_face[..., -1], i[:, None], transport.z, transport.z_plus)
    v = N / (porosity * c_face)
    v_s = equations.interface_velocity(i, cell.V_metal, transport.z_plus)
    frames = np.stack([v, v + v_s[:, None, None], v - v[..., -1:]])
    amount = porosity * np.sum(c * widths[..., None], axis=1)
    arrays = {
        "step": np.array(run.step_index),
        "i": i,
        "V": parts.sum(axis=1),
        "V_ohmic": parts[:, 0],
        "V_component": parts[:, 1:-2].T,
        "V_positive": parts[:, -2],
        "V_negative": parts[:, -1],
        "c": np.moveaxis(c, -1, 0),
        "c_face": np.moveaxis(c_face, -1, 0),
        "r": np.moveaxis(r, -1, 0),
        "kappa": at.kappa,
        "tau": np.moveaxis(at.tau, -1, 0),
        "N": np.moveaxis(N, -1, 0),
        "v": np.moveaxis(frames, -1, 1),
        "v_interface": v_s,
        "interface_shift": equations.interface_velocity(charge, cell.V_metal, transport.z_plus),
        "position": position,
        "position_face": faces,
        "thickness": faces[:, -1],
        "inventory": amount.T,
    }
    coordinates = {"time": time, "x": position[0].copy(), "face": faces[0].copy()}
    log = tuple(asdict(entry) for entry in run.log)
    return SolverRun(arrays, coordinates, run.status, run.message, log, r.reshape(-1, r.shape[-1]), attributes)
