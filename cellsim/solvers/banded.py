"""Finite volumes for the sundials solver: where a polynomial cannot follow the profile, and for any number of cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cellsim.base import Array
from cellsim.cell.protocol import Step
from cellsim.model import equations
from cellsim.solvers import kernels, kernels_banded
from cellsim.solvers.grid import graded_faces
from cellsim.solvers.march import Options
from cellsim.solvers.packing import Event, Physics
from cellsim.solvers.spectral import Fields, Observed


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

    rate = staticmethod(kernels_banded.rate)
    events = staticmethod(kernels_banded.events)

    @property
    def unknowns(self) -> int:
        """The cumulated salt at the interior faces."""
        return self.cells - 1

    @cached_property
    def _xi(self) -> Array:
        return graded_faces(self.cells, 2.0, self.stretch) - 1

    @cached_property
    def _operators(self) -> Array:
        widths = np.diff(self._xi)
        near = widths[1:] / (widths[:-1] + widths[1:])
        return np.concatenate([widths, near, 2 / (widths[:-1] + widths[1:]), wall_weights(widths[:3])])

    @cached_property
    def _tables(self) -> Array:
        return self.physics.pack_tables()

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> tuple[Array, Array, Array]:
        """What the kernels read during one protocol step."""
        return self.physics.pack(step, t_start, {kernels.M: self.cells - 1}, events), self._operators, self._tables

    def absolute_tolerance(self, rtol: float) -> Array:
        """Tolerances of s, as for the spectral grid of about the same wall spacing."""
        distance = np.minimum(self._xi[1:-1] + 1, 1 - self._xi[1:-1])
        return np.asarray(0.1 * rtol * np.sqrt(distance))

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """The linear solver CVODE is to use: GMRES, preconditioned by the exact solve: one iteration."""
        m = self.unknowns
        bands, per_i, per_s = np.zeros((3, m)), np.zeros(m), np.zeros(m)

        def linearise(t: float, s: Array, ds: Array) -> None:
            kernels_banded.linearise(t, s, box[0], bands, per_i, per_s)

        def setup(t: float, s: Array, ds: Array, jok: bool, jnew: list[int], gamma: float) -> None:
            jnew[0] = 0 if jok else 1

        def solve(t: float, s: Array, ds: Array, r: Array, z: Array, gamma: float, delta: float, lr: int) -> None:
            kernels_banded.solve(bands, per_i, per_s, box[0][0][kernels.CHARGE], gamma, r, z)

        def multiply(t: float, s: Array, ds: Array, v: Array, Jv: Array) -> None:
            kernels_banded.multiply(bands, per_i, per_s, box[0][0][kernels.CHARGE], v, Jv)

        return {
            "linsolver": "gmres",
            "precond": (setup, solve),
            "jactimes": (linearise, multiply),
        }

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """Current, walls, resistance and extremes of many states; the error is judged by comparing two grids."""
        size = times.size
        i, resistance, wall, extremes = np.empty(size), np.empty(size), np.empty((size, 2)), np.empty((size, 2))
        kernels_banded.observe(times, states, data, i, wall, resistance, extremes)
        return Observed(i, wall, resistance, extremes, np.zeros(size), np.zeros(size))

    def fields(self, states: Array, i: Array, options: Options) -> Fields:
        """Profiles on the output cells, each an exact union of the grid's."""
        physics, every = self.physics, self.cells // options.cells
        thickness, c_init = physics.cell.thickness, physics.c_initial
        faces = graded_faces(options.cells, thickness, options.stretch)
        closed = np.pad(states[:, : self.unknowns], ((0, 0), (1, 1)))
        widths = np.diff(self._xi)
        fine = c_init * (1 + np.diff(closed, axis=1) / widths)
        c = c_init * (1 + np.diff(closed[:, ::every], axis=1) / np.diff(self._xi[::every]))
        near = widths[1:] / (widths[:-1] + widths[1:])
        weights = wall_weights(widths[:3])
        inner = near * fine[:, :-1] + (1 - near) * fine[:, 1:]
        ends = fine[:, :3] @ weights, fine[:, :-4:-1] @ weights
        c_face = np.column_stack([ends[0], inner, ends[1]])[:, ::every]
        slope = 2 / thickness * np.diff(fine, axis=1) * 2 / (widths[:-1] + widths[1:])
        slope = np.pad(slope, ((0, 0), (1, 1)))[:, ::every]
        factor = physics.cell.separator.transport_factor
        held = physics.transport.with_extrapolation("clamp")
        N_salt = equations.salt_flux(factor * held.D(c_face), held.migration(c_face), slope, i[:, None])
        N_salt[:, [0, -1]] = 0.0
        return Fields(c, c_face, N_salt, faces)


def wall_weights(widths: Array) -> Array:
    """Weights of the three cell averages next to a wall in the wall value of the parabola that has them, shape (3,)."""
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    averages = np.array([np.diff(edges ** (p + 1)) / ((p + 1) * widths) for p in range(3)])
    return np.asarray(np.linalg.solve(averages, np.array([1.0, 0.0, 0.0])))
