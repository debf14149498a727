"""The FiPy solver: cell-centred finite volumes on a graded grid, second order in space and time.

Time: variable-step BDF2 with an error estimate from the third divided difference. Each time step is a Newton iteration
whose linear system is FiPy's,

    d/dx(D d(delta)/dx) + d/dx(u delta) - (a_0/dt) delta + residual = 0,   u = D' dc/dx + M' i,

for the concentration change `delta`; concentration and current are found together: the same matrix gives the change
per current, and the current is the root of the voltage law along that line. The residual is a difference of face
fluxes, so the salt inventory is kept to round-off whatever the iteration does. On how many cells a run is solved, and
how D is taken between two of them, :mod:`cellsim.solvers.resolution` decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from cellsim.base import Array, ConvergenceError
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import equations
from cellsim.solvers.bdf2 import Bdf2Stepper
from cellsim.solvers.grid import (
    MeanDiffusion,
    cell_resistances,
    face_slopes,
    face_values,
    graded_faces,
    pair_means,
    wall_values,
)
from cellsim.solvers.march import CellState, Options, expected_change
from cellsim.solvers.resolution import solve_refined
from cellsim.solvers.solution import SolverRun

Source = Callable[[float], Array]
MOST_CELLS = 2560
"""Of a refined run; a time step takes about twice as long as with 160."""


class FipyStepper(Bdf2Stepper[CellState]):
    """Steps the salt balance in the interface frame; see :class:`cellsim.solvers.march.Stepper`.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties; held at the ends of their range inside the iteration, the march checks the range.
    c0 : float, ndarray, shape (cells,), or InitialProfile
        Initial concentration [mol/m^3].
    options : Options
        Grid and tolerances.
    source : callable, optional
        Salt source per cell as a function of time [mol/(m^3 s)], for manufactured solutions.
    mean : MeanDiffusion, optional
        Takes D between two cells as its mean over the concentrations there, and not at their mean.
    """

    def __init__(
        self,
        cell: Cell,
        transport: TransportSet,
        c0: float | Array | InitialProfile,
        options: Options,
        source: Source | None = None,
        mean: MeanDiffusion | None = None,
    ) -> None:
        self.transport = transport.with_extrapolation("clamp")
        self.law = equations.VoltageLaw(cell, self.transport)
        self.factor = cell.separator.transport_factor
        self.porosity = cell.separator.porosity
        self.source, self.mean = source, mean
        self.faces = graded_faces(options.cells, cell.thickness, options.stretch)
        self.widths = np.diff(self.faces)
        wall = None
        if isinstance(c0, InitialProfile):
            c, c_scale, wall = c0.averages(self.faces), c0.average, c0.wall
        else:
            c = np.array(np.broadcast_to(np.asarray(c0, dtype=float), self.widths.shape))
            c_scale = float(np.mean(c))
        self.D_scale = self.factor * float(self.transport.D(c_scale))
        self.system = LinearSystem(self.widths / cell.thickness)
        self.time_scale = cell.thickness**2 / self.D_scale
        quickest = self.porosity * float(self.widths.min()) ** 2 / self.D_scale
        super().__init__(cell, c, c_scale, quickest, options, wall)

    def snapshot(self, time: float) -> CellState:
        """As :meth:`Bdf2Stepper.snapshot`."""
        c = self._dense(time)
        i, wall = self._observe(c, time)

        def parts() -> tuple[float, ...]:
            return self.law.parts(i, self.drops(c, wall)[0], float(wall[0]), float(wall[1]), time)

        return CellState(time, i, c, wall, self.faces, (parts, lambda: self._fluxes(c, i)))

    def _fluxes(self, c: Array, i: float) -> tuple[Array, Array]:
        """Of salt and solvent at all faces, none at the walls."""
        N_salt = np.zeros(c.size + 1)
        slope = face_slopes(self.widths, c)
        c_face = pair_means(c)
        D = self.factor * (self.transport.D(c_face) if self.mean is None else self.mean.between(c))
        N_salt[1:-1] = equations.salt_flux(D, self.transport.migration(c_face), slope, i)
        N_0 = np.zeros_like(N_salt)
        N_0[1:-1] = equations.solvent_flux(N_salt[1:-1], self.transport.volume_ratio(face_values(self.widths, c)))
        return N_salt, N_0

    def linearised(self, c: Array, i: float, t_new: float, dt: float, a_0: float, risen: Array) -> tuple[Array, Array]:
        """As :meth:`Bdf2Stepper.linearised`."""
        transport, widths = self.transport, self.widths
        c_face, slope = pair_means(c), face_slopes(widths, c)
        M, dM = _with_slope(transport.migration, c_face)
        if self.mean is None:
            D, dD = (self.factor * value for value in _with_slope(transport.D, c_face))
            between, convection = D, -equations.salt_flux_slope(dD, dM, slope, i)
        else:
            # d(integral of D)/dc is D at either cell: split so that FiPy's face value, w c_left + (1 - w) c_right of
            # the convected change, and its difference give these two exactly
            at, near = self.factor * self.mean.at(c), widths[1:] / (widths[:-1] + widths[1:])
            D, between = near * at[1:] + (1 - near) * at[:-1], self.factor * self.mean.between(c)
            rise = np.diff(at) / (0.5 * (widths[:-1] + widths[1:]))
            convection = rise - equations.salt_flux_slope(0.0, dM, slope, i)
        flux = np.zeros(c.size + 1)
        flux[1:-1] = equations.salt_flux(between, M, slope, i)
        residual = -np.diff(flux) / widths - self.porosity * risen / dt
        if self.source is not None:
            residual += self.source(t_new)
        per_current = np.zeros(c.size + 1)
        per_current[1:-1] = M
        return self.system.solve(
            diffusion=D / self.D_scale,
            convection=convection * self.time_scale / self.faces[-1],
            decay=self.porosity * a_0 / dt * self.time_scale,
            sources=(residual * self.time_scale, np.diff(per_current) / widths * self.time_scale),
        )

    def walls_of(self, state: CellState) -> Array:
        """As :meth:`Bdf2Stepper.walls_of`."""
        return state.wall

    def expected_change(self, step: Step, first: CellState) -> float:
        """As :meth:`Bdf2Stepper.expected_change`."""
        return expected_change(self.law, step, first.c_max - first.c_min, self.c_scale)

    def walls(self, c: Array, i: float) -> Array:
        """Concentrations at both walls [mol/m^3]."""
        D, M = self.transport.D, self.transport.migration
        if self.mean is not None:
            return self.mean.walls(self.widths, c, lambda wall: equations.wall_slope(self.factor, M(wall), i))
        return wall_values(self.widths, c, lambda wall: equations.wall_slope(self.factor * D(wall), M(wall), i))

    def salt(self, wall: Array) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.salt`."""
        return float(wall[0]), float(wall[1])

    def drops(self, c: Array, wall: Array) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.drops`."""
        resistance = float(np.sum(cell_resistances(self.widths, c, wall, self.transport.kappa))) / self.factor
        return resistance, float(self.transport.concentration_voltage(wall[0], wall[1]))

    def sizes(self, voltage: float, time: float) -> tuple[float, float]:
        """As :meth:`Bdf2Stepper.sizes`."""
        i_0 = self.law.initial_current(voltage, self.c_scale, time)
        return i_0, max(abs(voltage), 1e-3 * self.transport.thermal_voltage)


class LinearSystem:
    """FiPy's part: the linearised balance on a mesh of unit length, as FiPy's terms discretise it.

    On a mesh that stays, the matrix of a term is linear in the term's coefficients, and a coefficient at a face enters
    the rows and columns of the two cells beside it alone. So FiPy assembles its equation five times when the mesh is
    made, and every later matrix is the sum of those blocks times the coefficients, to the last bits the one FiPy would
    assemble: that took it 20 ms a time step, 80 % of a run.

    Parameters
    ----------
    widths : ndarray, shape (n,)
        Cell widths over the electrolyte's thickness [1].
    """

    def __init__(self, widths: Array) -> None:
        self.widths = widths
        self.diffusion, self.convection, self.decay = _blocks(widths.tobytes())

    def bands(self, diffusion: Array, convection: Array, decay: float) -> Array:
        """The matrix by its upper, middle and lower band, shape (3, n).

        Parameters
        ----------
        diffusion, convection : ndarray, shape (n - 1,)
            Coefficients at the interior faces; at both walls there is no flux.
        decay : float
            Of the change itself.
        """
        block = self.diffusion * diffusion[:, None, None] + self.convection * convection[:, None, None]
        bands = np.zeros((3, self.widths.size))
        bands[1] = decay * self.decay
        bands[1, :-1] += block[:, 0, 0]
        bands[1, 1:] += block[:, 1, 1]
        bands[0, 1:], bands[2, :-1] = block[:, 0, 1], block[:, 1, 0]
        return bands

    def solve(
        self, *, diffusion: Array, convection: Array, decay: float, sources: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        """Solve for two right-hand sides; coefficients at interior faces, zero flux at both walls."""
        from scipy.linalg import solve_banded

        bands = self.bands(diffusion, convection, decay)
        if not np.all(np.isfinite(bands)):
            raise ConvergenceError("a trial profile has properties that are not numbers")
        right = -np.stack(sources, axis=1) * self.widths[:, None]
        try:
            solved = solve_banded((1, 1), bands, right, check_finite=False)
        except np.linalg.LinAlgError as error:
            raise ConvergenceError("the linear system of a time step is singular") from error
        return solved[:, 0], solved[:, 1]


@lru_cache(maxsize=16)
def _blocks(widths: bytes) -> tuple[Array, Array, Array]:
    """What a coefficient of one does in FiPy's matrix: of diffusion and convection at every interior face, shape
    (n - 1, 2, 2), of the decay in every cell, shape (n,); faces of even and of odd number apart, which share no entry.
    """
    equation = FipyEquation(np.frombuffer(widths))
    n = equation.widths.size
    faces, none = np.arange(n - 1), np.zeros(n - 1)
    # not quite none: of a decay without diffusion FiPy cannot tell which side of the equation it belongs to
    least = np.full(n - 1, 1e-30)
    base = equation.matrix(least, none, 1.0)

    def blocks(of: Callable[[Array], Array]) -> Array:
        found = np.empty((n - 1, 2, 2))
        for parity in (0, 1):
            some = faces[faces % 2 == parity]
            matrix = of((faces % 2 == parity).astype(float)) - base
            for row in (0, 1):
                for column in (0, 1):
                    found[some, row, column] = matrix[some + row, some + column]
        return found

    return (
        blocks(lambda on: equation.matrix(least + on, none, 1.0)),
        blocks(lambda on: equation.matrix(least, on, 1.0)),
        np.diagonal(base).copy(),
    )


class FipyEquation:
    """The linearised balance as FiPy states, assembles and solves it.

    Parameters
    ----------
    widths : ndarray, shape (n,)
        Cell widths over the electrolyte's thickness [1].
    """

    def __init__(self, widths: Array) -> None:
        os.environ.setdefault("FIPY_SOLVERS", "scipy")
        import fipy

        mesh = fipy.Grid1D(dx=widths)
        self.widths = widths
        self.delta = fipy.CellVariable(mesh=mesh, value=0.0)
        self.diffusion = fipy.FaceVariable(mesh=mesh, value=0.0)
        self.convection = fipy.FaceVariable(mesh=mesh, rank=1, value=0.0)
        self.decay = fipy.CellVariable(mesh=mesh, value=0.0)
        self.source = fipy.CellVariable(mesh=mesh, value=0.0)
        self.equation = (
            fipy.DiffusionTerm(coeff=self.diffusion, var=self.delta)
            + fipy.CentralDifferenceConvectionTerm(coeff=self.convection, var=self.delta)
            - fipy.ImplicitSourceTerm(coeff=self.decay, var=self.delta)
            + self.source
        )
        self.equation.cacheMatrix()
        self.solver = fipy.solvers.scipy.LinearLUSolver()

    def sweep(self, diffusion: Array, convection: Array, decay: float, source: Array) -> Array:
        """The change that FiPy's own solver finds; arguments as :meth:`LinearSystem.solve`."""
        self.diffusion[1:-1] = diffusion
        self.convection[0, 1:-1] = convection
        self.decay.setValue(decay)
        self.source.setValue(source)
        self.delta.setValue(0.0)
        self.equation.sweep(var=self.delta, solver=self.solver)
        return np.array(self.delta.value)

    def matrix(self, diffusion: Array, convection: Array, decay: float) -> Array:
        """The matrix that FiPy assembles, shape (n, n)."""
        self.sweep(diffusion, convection, decay, np.zeros(self.widths.size))
        return np.asarray(self.equation.matrix.matrix.toarray())


class CoupledSystem:
    """FiPy's part for several components: one vector variable, all balances in one matrix, on a mesh of unit length.

    A vector variable takes a fifth of the time of as many coupled equations.

    Parameters
    ----------
    widths : ndarray, shape (n,)
        Cell widths over the whole [1].
    K : int
        Components.
    """

    def __init__(self, widths: Array, K: int) -> None:
        os.environ.setdefault("FIPY_SOLVERS", "scipy")
        import fipy

        mesh = fipy.Grid1D(dx=widths)
        self.widths = widths
        self.delta = fipy.CellVariable(mesh=mesh, value=0.0, elementshape=(K,))
        self.diffusion = fipy.FaceVariable(mesh=mesh, value=0.0, elementshape=(K, K))
        self.convection = fipy.FaceVariable(mesh=mesh, value=0.0, elementshape=(1, K, K))
        self.source = fipy.CellVariable(mesh=mesh, value=0.0, elementshape=(K,))
        # The decay is written as a change in time, from none. As an ImplicitSourceTerm FiPy would drop it from a
        # balance whose own diffusion coefficient is negative: L G has positive eigenvalues, not a positive diagonal.
        self.equation = fipy.TransientTerm() == (
            fipy.DiffusionTerm(coeff=[self.diffusion])
            + fipy.CentralDifferenceConvectionTerm(coeff=self.convection)
            + self.source
        )
        self.equation.cacheMatrix()
        self.solver = fipy.solvers.scipy.LinearLUSolver()

    def solve(
        self, *, diffusion: Array, convection: Array, decay: float, sources: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        """Solve for two right-hand sides, as :meth:`_LinearSystem.solve`.

        Parameters
        ----------
        diffusion, convection : ndarray, shape (K, K, n - 1)
            At the interior faces: row balance, column unknown.
        decay : float
            The same for all components.
        sources : tuple of ndarray, shape (n, K)
            Both right-hand sides.

        Returns
        -------
        tuple of ndarray, shape (n, K)
        """
        from scipy.sparse.linalg import splu

        self.diffusion[..., 1:-1] = diffusion
        self.convection[0, ..., 1:-1] = convection
        K, n = self.delta.value.shape
        self.source.setValue(sources[0].T)
        self.delta.setValue(0.0)
        self.equation.sweep(var=self.delta, dt=1 / decay, solver=self.solver)
        matrix: Any = self.equation.matrix.matrix
        gain = splu(matrix.tocsc()).solve((sources[1] * self.widths[:, None]).T.ravel())
        return np.array(self.delta.value).T, gain.reshape(K, n).T


def _with_slope(function: Callable[[Array], Array], c: Array) -> tuple[Array, Array]:
    """Value and central-difference slope of a property."""
    h = 1e-6 * np.maximum(np.abs(c), 1e-30)
    return function(c), (function(c + h) - function(c - h)) / (2 * h)


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

    def make(options: Options, mean: MeanDiffusion | None) -> FipyStepper:
        return FipyStepper(cell, transport, c0, options, mean=mean)

    return solve_refined(make, MOST_CELLS, cell, transport, protocol, times, average_of(c0), options, progress)
