"""The spectral grid of the sundials solver: cumulated salt as a polynomial on Chebyshev-Lobatto points.

Unknown is s(xi), xi = 2x/L - 1, with S(x) = integral of porosity c dx = porosity c_init (L/2) (xi + 1 + s): zero at
both walls for ever, so no salt can be lost, and c = c_init (1 + ds/dxi) is a polynomial of one degree less. With
dS/dt = -N at the same points this is the staggered scheme (c at Gauss points, flux at Lobatto points) in its cheapest
form: one differentiation for c, two for its slope, no divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.cell.protocol import Step
from cellsim.model.equations import salt_flux
from cellsim.solvers import kernels
from cellsim.solvers.dense import by_columns, in_eights, in_lines
from cellsim.solvers.grid import graded_faces
from cellsim.solvers.march import Options
from cellsim.solvers.packing import Event, Physics


@dataclass(frozen=True)
class SpectralGrid:
    """Operators on the n - 1 interior values of s.

    Attributes
    ----------
    n : int
        Degree of s; c has degree n - 1.
    xi : ndarray, shape (n + 1,)
        Lobatto points, -1 to 1.
    fine : int
        The points of the quadrature divide every step of xi (in angle) by this.
    to_c : ndarray, shape (fine n + 1, n - 1)
        ds/dxi at the points of the quadrature; every `fine`-th is a Lobatto point.
    to_slope : ndarray, shape (n - 1, n - 1)
        d2s/dxi2 at the interior Lobatto points.
    weights : ndarray, shape (fine n + 1,)
        Clenshaw-Curtis weights over xi, sum 2.
    to_coefficients : ndarray, shape (n + 1, n - 1)
        Chebyshev coefficients of s.
    """

    n: int
    xi: Array
    fine: int
    to_c: Array
    to_slope: Array
    weights: Array
    to_coefficients: Array

    def differentiate(self, xi: Array, order: int) -> Array:
        """The matrix from the unknowns to the `order`-th derivative of s at any `xi`, shape (xi.size, n - 1)."""
        coefficients: NDArray[Any] = self.to_coefficients
        for _ in range(order):
            coefficients = chebyshev.chebder(coefficients)
        return np.asarray(chebyshev.chebvander(xi, coefficients.shape[0] - 1) @ coefficients)

    @cached_property
    def to_tail(self) -> Array:
        """The matrix from the unknowns to the last half of the Chebyshev coefficients of c/c_init."""
        return np.ascontiguousarray(chebyshev.chebder(self.to_coefficients)[-2 * (self.n // 4) :])

    @cached_property
    def judging(self) -> tuple[Array, Array]:
        """What the kernel judges the resolution by: weights of a coarser quadrature, columns of to_c over `to_tail`."""
        return clenshaw_curtis(self.fine * self.n // 2), by_columns(self.to_c, self.to_tail, empty=1)

    @cached_property
    def operators(self) -> Array:
        """All that the kernels read, flat: columns of `to_c` over `to_slope`, then the weights."""
        columns = by_columns(self.to_c, self.to_slope, empty=1)
        flat = in_lines(columns.size + self.weights.size)
        flat[: columns.size], flat[columns.size :] = columns.ravel(), self.weights
        return flat

    @property
    def rows(self) -> int:
        """Numbers in a column of :attr:`operators`."""
        return in_eights((self.fine + 1) * self.n)

    @cached_property
    def gaps(self) -> Array:
        """Distance of each interior Lobatto point to the nearer neighbour."""
        gaps = np.diff(self.xi)
        return np.minimum(gaps[:-1], gaps[1:])


@lru_cache(maxsize=32)
def spectral_grid(n: int, fine: int = 2) -> SpectralGrid:
    """The grid of degree `n`, made once.

    Parameters
    ----------
    n : int
        Degree of the cumulated salt, at least 4; n - 1 unknowns.
    fine : int
        Refinement of the quadrature, even.

    Returns
    -------
    SpectralGrid
    """
    xi = lobatto(n)
    k = np.arange(n + 1)
    to_values = np.cos(np.outer(np.pi - np.pi * k / n, k))  # T_j(xi_k), without the rounding of powers
    to_coefficients = np.linalg.inv(to_values)[:, 1:-1]
    grid = SpectralGrid(n, xi, fine, np.empty(0), np.empty(0), clenshaw_curtis(fine * n), to_coefficients)
    to_c = grid.differentiate(lobatto(fine * n), 1)
    to_slope = grid.differentiate(xi[1:-1], 2)
    return SpectralGrid(n, xi, fine, to_c, to_slope, grid.weights, to_coefficients)


def lobatto(n: int) -> Array:
    """The n + 1 Chebyshev-Lobatto points, -1 to 1."""
    return np.sin(0.5 * np.pi * np.arange(-n, n + 1, 2) / n)


def clenshaw_curtis(n: int) -> Array:
    """Weights on the n + 1 Lobatto points, exact for polynomials of degree n."""
    moments = np.zeros(n + 1)
    moments[::2] = 2 / (1 - np.arange(0, n + 1, 2.0) ** 2)
    to_values = np.cos(np.outer(np.pi * np.arange(n + 1) / n, np.arange(n + 1)))
    return np.asarray(np.linalg.solve(to_values.T, moments))


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

    def subset(self, keep: Any) -> Observed:
        """Those of some states."""
        return Observed(
            self.i[keep],
            self.wall[keep],
            self.resistance[keep],
            self.extremes[keep],
            self.tail[keep],
            self.quadrature[keep],
        )


@dataclass(frozen=True)
class Fields:
    """Profiles on the output cells, each made when it is first asked for: data of a fit look at one or two of them.

    Attributes
    ----------
    faces : ndarray, shape (n + 1,)
        Of the cells [m].
    averages, at_faces, fluxes : callable
        Make `c`, `c_face` and `N_salt`.
    position, N_0 : ndarray, shape (t, n + 1), optional
        Where the electrolyte breathes: the faces as they move [m], and the flux of solvent there [mol/(m^2 s)].
    """

    faces: Array
    averages: Callable[[], Array]
    at_faces: Callable[[], Array]
    fluxes: Callable[[], Array]
    position: Array | None = None
    N_0: Array | None = None

    @cached_property
    def c(self) -> Array:
        """Cell averages [mol/m^3], shape (t, n)."""
        return self.averages()

    @cached_property
    def c_face(self) -> Array:
        """Concentrations at the faces [mol/m^3], shape (t, n + 1)."""
        return self.at_faces()

    @cached_property
    def N_salt(self) -> Array:
        """Flux of salt at the faces [mol/(m^2 s)], shape (t, n + 1)."""
        return self.fluxes()


@lru_cache(maxsize=32)
def output_operators(n: int, fine: int, cells: int, thickness: float, stretch: float) -> tuple[Array, ...]:
    """Faces of the output cells, and the matrices from the unknowns to averages and face values over c_init, and from
    the fluxes at the interior points to those at the faces.

    Made once for all runs of a fit: they depend on the grid alone.
    """
    grid, faces = spectral_grid(n, fine), graded_faces(cells, thickness, stretch)
    xi = 2 * faces / thickness - 1
    at_faces = grid.differentiate(xi, 0)
    at_faces[[0, -1]] = 0.0
    averages = np.diff(at_faces, axis=0) / np.diff(xi)[:, None]
    return faces, averages, grid.differentiate(xi, 1), at_faces


@dataclass(frozen=True)
class Spectral:
    """Salt as a polynomial; see :mod:`cellsim.solvers.spectral`.

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

    further: ClassVar[int] = 0
    """States behind the salt and the charge."""
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
    def initial(self) -> Array:
        """The unknowns at the start of a run."""
        return self.physics.excess(self._grid.xi[1:-1])

    @property
    def room(self) -> Array:
        """What the kernels work in, of one run at a time."""
        return np.empty((2, int(self._places[kernels.ROWS])))

    @cached_property
    def _tables(self) -> Array:
        return self.physics.pack_tables()

    def data(self, step: Step, t_start: float, events: tuple[Event, ...]) -> tuple[Array, Array, Array, Array]:
        """What the kernels read during one protocol step."""
        return self.physics.pack(step, t_start, self._places, events), self._grid.operators, self._tables, self.room

    @cached_property
    def _places(self) -> dict[int, float]:
        grid = self._grid
        return {kernels.M: self.n - 1, kernels.Q: grid.weights.size, kernels.FINE: self.fine, kernels.ROWS: grid.rows}

    def absolute_tolerance(self, rtol: float) -> Array:
        """Tolerances of s: an error `rtol` c_init in c in the middle, less towards the walls, where c acts on i."""
        return np.asarray(rtol * self._tolerances)

    @cached_property
    def _tolerances(self) -> Array:
        return np.asarray(3 * self._grid.gaps**1.5)

    def further_tolerances(self, step: Step, further: Array, rtol: float) -> tuple[float, ...]:
        """Absolute tolerances of the further states, which have the values `further` when a step begins."""
        return ()

    def solver_options(self, box: list[Any]) -> dict[str, Any]:
        """The linear solver CVODE is to use: dense, with the Jacobian written out."""
        jacobian = kernels.jacobian

        def jacfn(t: float, s: Array, ds: Array, J: Array) -> None:
            jacobian(t, s, ds, J, box[0])

        return {"linsolver": "dense", "jacfn": jacfn}

    def observe(self, times: Array, states: Array, data: Any) -> Observed:
        """Current, walls, resistance and extremes of many states, and how well each is resolved."""
        size = times.size
        i, resistance, quadrature, tail = np.empty((4, size))
        wall, extremes = np.empty((2, size, 2))
        kernels.observe(times, states, data, *self.judging, i, wall, resistance, extremes, quadrature, tail)
        return Observed(i, wall, resistance, extremes, tail, quadrature)

    @property
    def judging(self) -> tuple[Array, Array]:
        """What the kernel judges the resolution by."""
        return self._grid.judging

    def fields(self, states: Array, i: Array, options: Options) -> Fields:
        """Profiles on the output cells; the averages are exact integrals of the polynomial, so salt is kept.

        The flux is the polynomial through its values where it was solved and none at the walls: D dc/dx + M i formed
        at a face next to a wall would be a difference of large numbers, of the wrong sign at times.
        """
        states = states[:, : self.unknowns]
        thickness, c_init = self.physics.cell.thickness, self.physics.c0
        faces, averages, values, fluxes = output_operators(self.n, self.fine, options.cells, thickness, options.stretch)

        def flux() -> Array:
            grid = self._grid
            c = c_init * (1 + states @ grid.to_c[self.fine : -1 : self.fine].T)
            slope = 2 * c_init / thickness * (states @ grid.to_slope.T)
            D, M = self.physics.diffusion(c), self.physics.migration(c)
            return np.asarray(salt_flux(D, M, slope, i[:, None]) @ fluxes.T)

        return Fields(
            faces,
            lambda: c_init * (1 + states @ averages.T),
            lambda: c_init * (1 + states @ values.T),
            flux,
        )
