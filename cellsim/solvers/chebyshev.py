"""The spectral grid: salt cumulated from the positive electrode, as a polynomial on Chebyshev-Lobatto points.

Unknown is s(xi), xi = 2x/L - 1, with S(x) = integral of porosity c dx = porosity c_init (L/2) (xi + 1 + s): zero at
both walls for ever, so no salt can be lost, and c = c_init (1 + ds/dxi) is a polynomial of one degree less. With
dS/dt = -N at the same points this is the staggered scheme (c at Gauss points, flux at Lobatto points) in its cheapest
form: one differentiation for c, two for its slope, no divergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
        return np.asarray(chebyshev.chebder(self.to_coefficients)[-2 * (self.n // 4) :])

    def tail(self, s: Array) -> Array:
        """What is left out of c over c_init, for many states: the coefficients beyond the last, continued and summed.

        From their third quarter to their last they fall R times; at that pace the sum beyond is n/(4 R ln R) times the
        largest of the last quarter: less than it for a resolved profile, many times for a front.
        """
        coefficients = np.abs(s @ self.to_tail.T)
        quarter = self.n // 4
        before = np.max(coefficients[:, :quarter], axis=1) + 1e-300
        last = np.max(coefficients[:, quarter:], axis=1) + 1e-301
        R = np.maximum(before / last, 1.01)
        return np.asarray(last * np.clip(quarter / (R * np.log(R)), 0.5, self.n))

    @cached_property
    def operators(self) -> Array:
        """All that the kernels read, flat: columns of `to_c` and `to_slope`, then the weights."""
        return np.concatenate([self.to_c.T.ravel(), self.to_slope.T.ravel(), self.weights])

    @cached_property
    def coarse_weights(self) -> Array:
        """Clenshaw-Curtis weights of every other point of the quadrature."""
        return clenshaw_curtis(self.fine * self.n // 2)

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
    xi = _lobatto(n)
    k = np.arange(n + 1)
    to_values = np.cos(np.outer(np.pi - np.pi * k / n, k))  # T_j(xi_k), without the rounding of powers
    to_coefficients = np.linalg.inv(to_values)[:, 1:-1]
    grid = SpectralGrid(n, xi, fine, np.empty(0), np.empty(0), clenshaw_curtis(fine * n), to_coefficients)
    to_c = grid.differentiate(_lobatto(fine * n), 1)
    to_slope = grid.differentiate(xi[1:-1], 2)
    return SpectralGrid(n, xi, fine, to_c, to_slope, grid.weights, to_coefficients)


def _lobatto(n: int) -> Array:
    return np.sin(0.5 * np.pi * np.arange(-n, n + 1, 2) / n)


def clenshaw_curtis(n: int) -> Array:
    """Weights on the n + 1 Lobatto points, exact for polynomials of degree n."""
    moments = np.zeros(n + 1)
    moments[::2] = 2 / (1 - np.arange(0, n + 1, 2.0) ** 2)
    to_values = np.cos(np.outer(np.pi * np.arange(n + 1) / n, np.arange(n + 1)))
    return np.asarray(np.linalg.solve(to_values.T, moments))
