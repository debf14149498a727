"""Chebyshev discretisation for the sundials solver: grid, numbers for the kernels, and the way back to output cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim import equations
from cellsim.protocol import Step
from cellsim.solvers import kernels
from cellsim.solvers.chebyshev import SpectralGrid, spectral_grid
from cellsim.solvers.grid import graded_faces
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.state import Options

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """Scalars of many states: current [A/m^2], wall values [mol/m^3], integral of dx/kappa [ohm m^2], extremes of c.

    `tail` and `quadrature` are the estimated relative errors of the profile and of the integral of dx/kappa.
    """

    i: Array
    wall: Array
    resistance: Array
    extremes: Array
    tail: Array
    quadrature: Array

    def some(self, keep: Any) -> Observed:
        """Those of some states."""
        return Observed(
            self.i[keep], self.wall[keep], self.resistance[keep], self.extremes[keep], self.tail[keep],
            self.quadrature[keep],
        )  # fmt: skip


@dataclass(frozen=True)
class Fields:
    """Profiles on the output cells: averages and face values [mol/m^3], N-/nu- at the faces [mol/(m^2 s)]."""

    c: Array
    c_face: Array
    N_salt: Array
    faces: Array


@dataclass(frozen=True)
class Spectral:
    """Salt as a polynomial; see :mod:`cellsim.solvers.chebyshev`.

    Parameters
    ----------
    physics : Physics
        Cell and set.
    n : int
        Degree; n - 1 unknowns.
    fine : int
        Points of the quadrature per point of the grid, even.
    """

    physics: Physics
    n: int
    fine: int = 2

    rate = staticmethod(kernels.rate)
    events = staticmethod(kernels.events)

    @property
    def unknowns(self) -> int:
        """Interior values of the cumulated salt."""
        return self.n - 1

    @cached_property
    def _grid(self) -> SpectralGrid:
        return spectral_grid(self.n, self.fine)

    @cached_property
    def _tables(self) -> Array:
        return self.physics.pack_tables()

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> tuple[Array, Array, Array]:
        """What the kernels read during one protocol step."""
        places = {kernels.M: self.n - 1, kernels.Q: self.fine * self.n + 1, kernels.FINE: self.fine}
        return self.physics.pack(step, t_start, places, events), self._grid.operators, self._tables

    def absolute_tolerance(self, rtol: float) -> Array:
        """Tolerances of s: an error `rtol` c_init in c in the middle, less towards the walls, where c acts on i."""
        return np.asarray(3 * rtol * self._grid.gaps**1.5)

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """The linear solver CVODE is to use: dense, with the Jacobian written out."""
        jacobian = kernels.jacobian

        def jacfn(t: float, s: Array, ds: Array, J: Array) -> None:
            jacobian(t, s, ds, J, box[0])

        return {"linsolver": "dense", "jacfn": jacfn}

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """Current, walls, resistance and extremes of many states, and how well each is resolved."""
        size = times.size
        i, resistance, quadrature = np.empty(size), np.empty(size), np.empty(size)
        wall, extremes = np.empty((size, 2)), np.empty((size, 2))
        kernels.observe(times, states, data, self._grid.coarse_weights, i, wall, resistance, extremes, quadrature)
        c_init = self.physics.c_initial
        tail = self._grid.tail(states[:, : self.unknowns]) / np.maximum(extremes[:, 0] / c_init, 0.02)
        return Observed(i, wall, resistance, extremes, tail, 0.25 * quadrature)

    def fields(self, states: Array, i: Array, options: Options) -> Fields:
        """Profiles on the output cells; the averages are exact integrals of the polynomial, so salt is kept."""
        physics, grid, states = self.physics, self._grid, states[:, : self.unknowns]
        thickness, c_init = physics.cell.thickness, physics.c_initial
        faces = graded_faces(options.cells, thickness, options.stretch)
        xi = 2 * faces / thickness - 1
        at_faces = grid.differentiate(xi, 0)
        at_faces[[0, -1]] = 0.0
        c = c_init * (1 + states @ (np.diff(at_faces, axis=0) / np.diff(xi)[:, None]).T)
        c_face = c_init * (1 + states @ grid.differentiate(xi, 1).T)
        slope = 2 * c_init / thickness * (states @ grid.differentiate(xi, 2).T)
        factor = physics.cell.separator.transport_factor
        held = physics.transport.with_extrapolation("clamp")
        N_salt = equations.salt_flux(held, c_face, slope, 0.0, factor) - equations.migration(held, c_face) * i[:, None]
        N_salt[:, [0, -1]] = 0.0
        return Fields(c, c_face, N_salt, faces)
