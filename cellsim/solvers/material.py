"""The material-coordinate solver: d xi = c0 dx moves with the solvent, so no solvent flux remains.

Exact for any density curve; for constant partial molar volumes it is the independent route to the volume frame.
Unknown is the cumulated salt S(xi), the integral of r d xi from the positive electrode: dS/dt = -J at the interior
faces and S at both ends never changes, so salt is conserved exactly, whatever the time stepping does. Time stepping is
scipy's Radau IIA (order 5, error-controlled); nothing but the equations and the wall fit is shared with FiPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cellsim.base import Array, ConvergenceError
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import equations
from cellsim.solvers.grid import (
    MeanDiffusion,
    cell_resistances,
    face_slopes,
    face_values,
    find_current,
    graded_faces,
    pair_means,
    wall_values,
)
from cellsim.solvers.march import CellState, Options
from cellsim.solvers.resolution import solve_refined
from cellsim.solvers.solution import SolverRun

MOST_CELLS = 640
"""Of a refined run: every step factorises a full matrix of that size."""


class MaterialStepper:
    """Steps the salt balance in the solvent's own coordinate; see :class:`cellsim.solvers.march.Stepper`.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes; `thickness` is that of the initial state.
    transport : TransportSet
        Properties; held at the ends of their range inside the iteration, the march checks the range.
    c0 : float or InitialProfile
        Initial concentration [mol/m^3].
    options : Options
        Grid and tolerances.
    mean : MeanDiffusion, optional
        Takes D between two cells as its mean over the concentrations there, and not at their mean.
    """

    def __init__(
        self,
        cell: Cell,
        transport: TransportSet,
        c0: float | InitialProfile,
        options: Options,
        mean: MeanDiffusion | None = None,
    ) -> None:
        self.cell, self.mean = cell, mean
        self.transport = transport.with_extrapolation("clamp")
        self.moves = transport.solvent_motion == "volume"
        self.law = equations.VoltageLaw(cell, self.transport)
        self.factor = cell.separator.transport_factor
        self.porosity = cell.separator.porosity
        self.options = options
        self.c_scale = average_of(c0)
        self.c_0_initial = float(transport.c_0(self.c_scale)) if self.moves else 1.0
        self.r_scale = self._r_of_c(np.array([self.c_scale]))[0]
        faces = graded_faces(options.cells, cell.thickness, options.stretch)
        if isinstance(c0, InitialProfile):
            self.widths_xi, cumulated = self._of_profile(c0, faces / cell.thickness)
            self.c_0_initial = float(self.widths_xi.sum()) / c0.thickness
            self._wall_start = c0.wall
        else:
            self.widths_xi = np.diff(faces) * self.c_0_initial
            cumulated = np.concatenate([[0.0], np.cumsum(self.widths_xi * self.r_scale)])
            self._wall_start = np.array([self.c_scale, self.c_scale])
        self.total = float(cumulated[-1])
        self.time = 0.0
        self.count = 0
        self._S = cumulated[1:-1]
        self._solver: Any = None
        self._dense: Any = None
        self._step: Step | None = None
        self._t_start = 0.0
        self._first_dt = 0.0
        self._i_last = 0.0
        self._slope: float | None = None  # of the voltage with the current, where it was last solved for
        self._i_scale = 0.0

    def _of_profile(self, profile: InitialProfile, parts: Array) -> tuple[Array, Array]:
        """Cells with the same parts of the solvent as those of a uniform start, and the salt up to their faces.

        Parameters
        ----------
        profile : InitialProfile
            Salt to begin with.
        parts : ndarray, shape (n + 1,)
            Of the solvent up to each face, from 0 to 1.

        Returns
        -------
        widths : ndarray, shape (n,)
            Solvent of each cell, or its width where nothing moves [mol/m^2, m].
        salt : ndarray, shape (n + 1,)
            Up to each face [mol/m^2].
        """
        faces = parts * profile.thickness
        if not self.moves:
            return np.diff(faces), profile.salt(faces)
        x = np.unique(np.concatenate([profile.cumulated.x, faces]))
        nodes, weights = np.polynomial.legendre.leggauss(5)
        inside = x[:-1, None] + 0.5 * np.diff(x)[:, None] * (nodes + 1)
        pieces = 0.5 * np.diff(x) * (self.transport.c_0(profile.at(inside)) @ weights)
        solvent = np.concatenate([[0.0], np.cumsum(pieces)])
        faces[1:-1] = np.interp(parts[1:-1] * solvent[-1], solvent, x)
        # of each cell what its average says, as later on: so the cell begins with the thickness of the profile
        return self.transport.c_0(profile.averages(faces)) * np.diff(faces), profile.salt(faces)

    # ---- the Stepper contract ----

    def start(self, step: Step, t_start: float) -> None:
        """Begin a protocol step from the state at `t_start`."""
        self._S = self._state(t_start)
        if self._step is not None:
            self._wall_start = self.snapshot(t_start).wall  # the current jumps, the concentrations do not
        self._step, self._t_start, self.time = step, t_start, t_start
        self._dense = None
        D = self.factor * float(self.transport.D(self.c_scale))
        width = float(self.widths_xi.min()) / self.c_0_initial
        self._i_scale = self.snapshot(t_start).i
        self._first_dt = max(1e-3 * self.porosity * width**2 / D, 1e4 * np.spacing(t_start))
        self._solver = None

    def advance(self, t_bound: float) -> None:
        """One accepted Radau step; a new integrator is begun at every bound."""
        from scipy.integrate import Radau

        if self._solver is None or self._solver.t_bound != t_bound or self._solver.status != "running":
            first = min(self._first_dt, t_bound - self.time)
            rtol = 0.1 * self.options.rtol
            scale = self.widths_xi.min() * self.r_scale
            self._solver = Radau(
                self._rate,
                self.time,
                self._state(self.time),
                t_bound,
                rtol=1e-10,
                atol=rtol * scale,
                first_step=first,
                jac=self._jacobian,
            )
        message = self._solver.step()
        if self._solver.status == "failed":
            raise ConvergenceError(f"the time integrator gave up: {message}")
        self._dense = self._solver.dense_output()
        self._first_dt = self._solver.h_abs
        self.time = float(self._solver.t)
        self._S = np.array(self._solver.y)
        self.count += 1

    def snapshot(self, time: float) -> CellState:
        """The cell at `time`, within the last accepted step."""
        c, widths = self._profile(self._state(time))
        i, wall = self._current(c, widths, time)
        faces = np.concatenate([[0.0], np.cumsum(widths)])

        def parts() -> tuple[float, ...]:
            return self.law.parts(i, self._resistance(c, widths, wall), float(wall[0]), float(wall[1]), time)

        return CellState(time, i, c, wall, faces, (parts, lambda: self._fluxes(c, widths, wall, i)))

    def current(self, time: float) -> float:
        """The current density at `time`."""
        step = self._step
        assert step is not None
        if step.drive == "current":
            return step.at(time - self._t_start)
        return self._current(*self._profile(self._state(time)), time)[0]

    def _fluxes(self, c: Array, widths: Array, wall: Array, i: float) -> tuple[Array, Array]:
        """Of salt and solvent at all faces, none at the walls."""
        J = self._salt_flux(c, widths, i)
        c_cells_V_e = self.transport.V_e(c) if self.moves else np.zeros_like(c)
        v_0 = np.concatenate([[0.0], -np.cumsum(c_cells_V_e * np.diff(J))])
        c_face = np.concatenate([wall[:1], face_values(widths, c), wall[1:]])
        N_salt = J + c_face * v_0
        N_salt[0] = 0.0
        return N_salt, self.transport.c_0(c_face) * v_0

    # ---- the balance ----

    def _rate(self, time: float, S: Array) -> Array:
        """dS/dt = -J at the interior faces."""
        c, widths = self._profile(S)
        i, _ = self._current(c, widths, time)
        self._i_last = i
        return -self._salt_flux(c, widths, i)[1:-1] / self.porosity

    def _jacobian(self, time: float, S: Array) -> Array:
        """d(rate)/dS: tridiagonal at fixed current, by differences in three colours, plus the current's rank one."""
        step = self._step
        assert step is not None
        n = S.size
        c, widths = self._profile(S)
        i, _ = self._current(c, widths, time)
        h = 1e-7 * self.r_scale * self.widths_xi.min()

        def rate(S: Array, i: float) -> Array:
            c, widths = self._profile(S)
            return -self._salt_flux(c, widths, i)[1:-1] / self.porosity

        base = rate(S, i)
        jacobian = np.zeros((n, n))
        rows = np.arange(n)
        for colour in range(3):
            moved = (rows % 3) == colour
            change = (rate(S + h * moved, i) - base) / h
            column = rows + (colour - rows % 3 + 1) % 3 - 1  # the one neighbour of each row with this colour
            inside = (column >= 0) & (column < n)
            jacobian[rows[inside], column[inside]] = change[inside]
        if step.drive == "voltage":
            d_i = 1e-6 * max(abs(i), abs(self._i_scale), self._thermal_current())
            per_current = (rate(S, i + d_i) - base) / d_i
            law_i = (self._voltage(S, i + d_i, time) - self._voltage(S, i - d_i, time)) / (2 * d_i)
            jacobian -= np.outer(per_current, self._voltage_gradient(S, i, time, h) / law_i)
        return jacobian

    def _voltage(self, S: Array, i: float, time: float) -> float:
        c, widths = self._profile(S)
        wall = self._walls(c, widths, i)
        return self.law.voltage(i, self._resistance(c, widths, wall), float(wall[0]), float(wall[1]), time)

    def _voltage_gradient(self, S: Array, i: float, time: float, h: float) -> Array:
        """dV/dS at fixed current: cell by cell through the resistance, at the ends through the wall values too."""

        def resistances(S: Array) -> Array:
            c, widths = self._profile(S)
            return widths / self.transport.kappa(c) / self.factor

        base = resistances(S)
        gradient = np.zeros(S.size)
        for colour in range(2):  # S_j moves the cells j and j + 1 only
            moved = (np.arange(S.size) % 2) == colour
            change = i * (resistances(S + h * moved) - base) / h
            gradient[moved] = (change[:-1] + change[1:])[moved]
        V = self._voltage(S, i, time)
        for j in {0, 1, S.size - 2, S.size - 1}:
            moved = np.arange(S.size) == j
            gradient[j] = (self._voltage(S + h * moved, i, time) - V) / h
        return gradient

    def _salt_flux(self, c: Array, widths: Array, i: float) -> Array:
        """J = N_s/phi_0 at all faces, zero at both walls [mol/(m^2 s)]."""
        c_face = pair_means(c)
        J = np.zeros(c.size + 1)
        D = self.factor * (self.transport.D(c_face) if self.mean is None else self.mean.between(c))
        flux = equations.salt_flux(D, self.transport.migration(c_face), face_slopes(widths, c), i)
        J[1:-1] = flux / self.transport.phi_0(c_face)
        return J

    def _current(self, c: Array, widths: Array, time: float) -> tuple[float, Array]:
        """Current and wall concentrations that belong to a profile."""
        step = self._step
        assert step is not None
        drive = step.at(time - self._t_start)
        if time == self._t_start:
            wall = self._wall_start
            if step.drive == "voltage":
                resistance = self._resistance(c, widths, wall)
                drive = self.law.current(drive, resistance, float(wall[0]), float(wall[1]), time)
            return drive, wall
        if step.drive == "current":
            return drive, self._walls(c, widths, drive)

        def miss(x: float) -> float:
            wall = self._walls(c, widths, x)
            return self.law.voltage(x, self._resistance(c, widths, wall), float(wall[0]), float(wall[1]), time) - drive

        scale = max(abs(self._i_last), abs(self._i_scale), 1e-3 * self._thermal_current())
        voltage_scale = max(abs(drive), 1e-3 * self.transport.thermal_voltage)
        i, self._slope = find_current(miss, self._i_last, scale, voltage_scale, self._slope)
        return i, self._walls(c, widths, i)

    def _thermal_current(self) -> float:
        """What one thermal voltage drives through the uniform cell [A/m^2]."""
        return abs(self.law.initial_current(self.transport.thermal_voltage, self.c_scale))

    def _walls(self, c: Array, widths: Array, i: float) -> Array:
        D, M = self.transport.D, self.transport.migration
        if self.mean is not None:
            return self.mean.walls(widths, c, lambda wall: equations.wall_slope(self.factor, M(wall), i))
        return wall_values(widths, c, lambda wall: equations.wall_slope(self.factor * D(wall), M(wall), i))

    def _resistance(self, c: Array, widths: Array, wall: Array) -> float:
        return float(np.sum(cell_resistances(widths, c, wall, self.transport.kappa))) / self.factor

    # ---- composition ----

    def _state(self, time: float) -> Array:
        if time == self.time or self._dense is None:
            return self._S
        return np.asarray(self._dense(time))

    def _profile(self, S: Array) -> tuple[Array, Array]:
        """Cell concentrations [mol/m^3] and their present widths [m]."""
        r = np.diff(np.concatenate([[0.0], S, [self.total]])) / self.widths_xi
        c = self.transport.c_of_r(r) if self.moves else r
        return c, (self.widths_xi / self.transport.c_0(c) if self.moves else self.widths_xi)

    def _r_of_c(self, c: Array) -> Array:
        return self.transport.r(c) if self.moves else c


def solve(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Callable[[float], None] | None = None,
) -> SolverRun:
    """Run a protocol; arguments as :func:`cellsim.simulate`."""

    def make(options: Options, mean: MeanDiffusion | None) -> MaterialStepper:
        return MaterialStepper(cell, transport, c0, options, mean)

    return solve_refined(make, MOST_CELLS, cell, transport, protocol, times, average_of(c0), options, progress)
