"""How a measurement scatters: standard errors, correlation along a profile, errors that all profiles share.

Whitening turns residuals into independent ones of unit variance, so that their sum of squares is chi squared and its
minimum the maximum of the likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from cellsim.base import Array, InputError

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Noise:
    """The error model of one observation.

    C = S (R + B B^T) S with S = diag(sigma), R the correlation exp(-|x - x'|/length) inside each group, B the errors
    that points share, as a multiple of their own sigma.

    Parameters
    ----------
    sigma : ndarray, shape (n,)
        Standard error of each point, in the unit of the measurement.
    group : ndarray of int, shape (n,)
        Which profile a point belongs to; points of a group stand together.
    position : ndarray, shape (n,), optional
        Where each point lies [m], for the correlation.
    length : float
        Correlation length along a profile [m]; 0: independent.
    shared : ndarray, shape (n, m), optional
        B, one column for each error in common [1].
    free : bool
        Whether the level of the noise is unknown: sigma then holds up to a factor, which the fit finds.

    Raises
    ------
    InputError
        An error that is not positive, shapes that do not agree.
    """

    sigma: Array
    group: Index
    position: Array | None = None
    length: float = 0.0
    shared: Array | None = None
    free: bool = False

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.sigma)) and np.all(self.sigma > 0)):
            raise InputError('standard errors must be positive and finite; give error, or noise = "free"')
        if self.group.shape != self.sigma.shape or np.any(np.diff(self.group) < 0):
            raise InputError("the points of a profile must stand together")
        if self.length > 0 and self.position is None:
            raise InputError("a correlation length needs positions")

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.sigma.size)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The points of each group."""
        edges = np.concatenate([[0], np.flatnonzero(np.diff(self.group)) + 1, [self.size]])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(edges))

    @cached_property
    def _factors(self) -> tuple[Array, ...] | None:
        """Cholesky factors of R, group by group; equal ones are one object."""
        if self.length <= 0 or self.position is None:
            return None
        known: dict[bytes, Array] = {}
        found = []
        for part in self.slices:
            x = self.position[part]
            key = x.tobytes()
            if key not in known:
                R = np.exp(-np.abs(x[:, None] - x) / self.length)
                known[key] = np.asarray(np.linalg.cholesky(R + 1e-10 * np.eye(x.size)), dtype=np.float64)
            found.append(known[key])
        return tuple(found)

    @cached_property
    def common(self) -> tuple[Array, Array] | None:
        """Directions U, shape (n, m), and weights (1 + lambda)^(-1/2) - 1 of the shared errors, the rest whitened."""
        if self.shared is None or not np.any(self.shared):
            return None
        B = np.column_stack([self.correlated(column) for column in self.shared.T])
        square, V = np.linalg.eigh(B.T @ B)  # what is lost of a weak direction has next to no weight
        seen = square > 1e-13 * square[-1]
        return (B @ V[:, seen]) / np.sqrt(square[seen]), 1 / np.sqrt(1 + square[seen]) - 1

    def correlated(self, x: Array) -> Array:
        """R^(-1/2) x, profile by profile, shape (n,)."""
        if self._factors is None:
            return x
        parts = [solve_triangular(L, x[part], lower=True, check_finite=False)
                 for part, L in zip(self.slices, self._factors, strict=True)]  # fmt: skip
        return np.concatenate(parts)

    @cached_property
    def log_determinant(self) -> float:
        """ln det C, what a likelihood needs to compare error models; `sigma` in its own unit."""
        total = 2 * float(np.sum(np.log(self.sigma)))
        if self._factors is not None:
            total += 2 * sum(float(np.sum(np.log(np.diag(L)))) for L in self._factors)
        if self.common is not None:
            total -= 2 * float(np.sum(np.log1p(self.common[1])))
        return total

    def whiten(self, residual: Array) -> Array:
        """C^(-1/2) times a residual, shape (n,) [1]."""
        w = self.correlated(residual / self.sigma)
        if self.common is not None:
            U, weight = self.common
            w = w + U @ (weight * (U.T @ w))
        return np.asarray(w)

    @property
    def covariance(self) -> Array:
        """C, shape (n, n), in the square of the measurement's unit."""
        R = np.eye(self.size)
        if self._factors is not None:
            for part, L in zip(self.slices, self._factors, strict=True):
                R[part, part] = L @ L.T
        if self.shared is not None:
            R = R + self.shared @ self.shared.T
        return np.asarray(R * np.outer(self.sigma, self.sigma))

    def draw(self, generator: np.random.Generator) -> Array:
        """One realisation, shape (n,), in the unit of the measurement."""
        z = generator.standard_normal(self.size)
        if self._factors is not None:
            z = np.concatenate([L @ z[part] for part, L in zip(self.slices, self._factors, strict=True)])
        if self.shared is not None:
            z = z + self.shared @ generator.standard_normal(self.shared.shape[1])
        return np.asarray(self.sigma * z)

    def only(self, keep: NDArray[np.bool_]) -> Noise:
        """The same for some of the points."""
        return Noise(
            self.sigma[keep], self.group[keep], None if self.position is None else self.position[keep], self.length,
            None if self.shared is None else self.shared[keep], self.free,
        )  # fmt: skip


def independent(sigma: Array | Sequence[float], *, free: bool = False) -> Noise:
    """Points that know nothing of one another."""
    errors = np.asarray(sigma, dtype=float)
    return Noise(errors, np.zeros(errors.size, dtype=np.int64), free=free)
