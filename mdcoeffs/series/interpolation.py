"""Onsager matrices, and whatever else, between states of one parameter: smooth curves with their uncertainty.

Matrices are interpolated in coordinates that have no bounds. A curve is a polynomial in the parameter whose linear part
is free and whose higher Legendre coefficients are normal with standard deviation tau g^(d-2), d = 2, 3, ...; tau and g
are summed over a grid, weighted by their evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellsim.base import Array

DRAWS = 800
_TAU = np.geomspace(3e-3, 3.0, 10)
"""Standard deviations of the second Legendre coefficient: from a straight line to a factor of 20 beside it [1]."""
_DECAY = (0.15, 0.35, 0.6, 0.8)
"""Ratios of successive standard deviations: from a parabola to a crossover between two states [1]."""
_FREE = 30.0
"""Standard deviation of the first two coefficients [1]."""
DEGREES = 14
"""Legendre polynomials of a curve: with fewer, crossovers were missed (intervals held 90 % in place of 95 %)."""
SMALL = 1e-3
"""Columns whose largest value is below it, or above its inverse, are scaled [1]."""
FLOOR = 1e-5
"""Errors of the coordinates below it are taken as it: no run is as exact, and the algebra must not be [1]."""


def coordinates(Omega: Array) -> Array:
    """Unbounded coordinates of positive definite matrices.

    Parameters
    ----------
    Omega : array (..., 2, 2)
        Onsager matrices [mol^2/(J m s)].

    Returns
    -------
    array (..., 3)
        ln Omega_++, ln Omega_-- and artanh of Omega_+- over the root of their product.
    """
    plus, cross, minus = Omega[..., 0, 0], Omega[..., 0, 1], Omega[..., 1, 1]
    return np.stack([np.log(plus), np.log(minus), np.arctanh(cross / np.sqrt(plus * minus))], axis=-1)


def matrices_of(y: Array) -> Array:
    """The matrices that have these coordinates, the inverse of :func:`coordinates`.

    Parameters
    ----------
    y : array (..., 3)
        Coordinates.

    Returns
    -------
    array (..., 2, 2)
        Positive definite [mol^2/(J m s)].
    """
    plus, minus = np.exp(y[..., 0]), np.exp(y[..., 1])
    # beyond 12 a correlation is 1 but for 1e-10, and the determinant would be lost in round-off
    cross = np.tanh(np.clip(y[..., 2], -12.0, 12.0)) * np.sqrt(plus * minus)
    return np.stack([np.stack([plus, cross], -1), np.stack([cross, minus], -1)], -2)


@dataclass(frozen=True, eq=False)
class Curves:
    """Random smooth curves through values with errors: `draws` has the Legendre coefficients (M, columns, degrees)."""

    span: tuple[float, float]
    draws: Array
    scale: Array
    centre: Array

    def __call__(self, x: Array) -> Array:
        """Values (M, x, columns)."""
        basis = _basis(x, self.span, self.draws.shape[2])
        y: Array = np.einsum("xd,mjd->mxj", basis, self.draws) * self.scale + self.centre
        return y


def _basis(x: Array, span: tuple[float, float], size: int) -> Array:
    u = (2 * np.asarray(x) - span[0] - span[1]) / (span[1] - span[0])
    return np.asarray(np.polynomial.legendre.legvander(u, size - 1), dtype=np.float64)


def interpolate(
    x: Array, y: Array, noise: Array, span: tuple[float, float], *, seed: int = 0, count: int = DRAWS
) -> Curves:
    """Curves through y (states, columns) with covariances noise (states, columns, columns)."""
    rng = np.random.default_rng(seed)
    states, columns = y.shape
    size = DEGREES
    centre = y.mean(axis=0)
    # changes of ln, artanh and pure numbers are of order one; a column of small or large numbers is put on that scale
    width = np.max(np.abs(y), axis=0)
    scale = np.where((width > 0) & ((width < SMALL) | (width > 1 / SMALL)), width, 1.0)
    target, noise = (y - centre) / scale, noise / np.multiply.outer(scale, scale) + FLOOR**2 * np.eye(columns)
    B = _basis(x, span, size)
    priors = np.array(
        [np.concatenate([[_FREE, _FREE], tau * g ** np.arange(size - 2)]) for tau in _TAU for g in _DECAY]
    )
    chosen = np.empty((count, columns), dtype=np.int64)
    for j in range(columns):
        S = np.einsum("kd,hd,ld->hkl", B, priors**2, B) + np.diag(noise[:, j, j])
        solved = np.linalg.solve(S, np.broadcast_to(target[:, j, None], (len(S), states, 1)))[..., 0]
        weight = -0.5 * (solved @ target[:, j] + np.linalg.slogdet(S)[1])
        weight = np.exp(weight - weight.max())
        chosen[:, j] = rng.choice(len(priors), size=count, p=weight / weight.sum())
    precise = np.linalg.inv(noise)
    curvature = np.einsum("kd,kij,ke->idje", B, precise, B).reshape(columns * size, columns * size)
    pulled = np.einsum("kd,kij,kj->id", B, precise, target).reshape(-1)
    A = curvature + np.einsum("mp,pq->mpq", priors[chosen].reshape(count, -1) ** -2.0, np.eye(columns * size))
    C = np.linalg.cholesky(A)
    mean = np.linalg.solve(A, np.broadcast_to(pulled[:, None], (count, pulled.size, 1)))
    spread = np.linalg.solve(np.swapaxes(C, 1, 2), rng.standard_normal((count, pulled.size, 1)))
    return Curves(span, (mean + spread)[..., 0].reshape(count, columns, size), scale, centre)
