"""How a measurement scatters: standard errors, correlation along a profile, errors that many points share.

Whitening turns residuals into independent ones of unit variance, so that their sum of squares is chi squared and its
minimum the maximum of the likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.linalg import solve_triangular

from cellsim.base import Array, Bools, InputError, Ints

JITTER = 1e-10
"""Added to the diagonal of R: points much closer than the correlation length make it singular to rounding."""
LEAST_OWN = 0.1
"""Share of a point's standard error that is its own at least, whatever it is said to share: a point of which nothing
is its own would make the others' errors in common known exactly."""


@dataclass(frozen=True)
class SharedError:
    """An error that points have in common: one draw for all points of a member, each by its own amplitude.

    The scan before a polarisation, to which all profiles refer, is such an error with one member for each position; the
    path length of a beam is one with a single member.

    Parameters
    ----------
    amplitude : ndarray, shape (n,)
        Standard deviation of it at each point, with a sign where it moves points against one another (unit of the
        measurement).
    member : ndarray of int, shape (n,)
        Points with the same number share one draw.
    stated : bool
        Whether the standard errors of the points, as stated, hold it already.
    """

    amplitude: Array
    member: Ints
    stated: bool = False

    def only(self, keep: Bools) -> SharedError:
        """The same for some of the points."""
        return SharedError(self.amplitude[keep], self.member[keep], self.stated)


@dataclass(frozen=True)
class Noise:
    """The error model of a measurement.

    C = S (R + B B^T) S with S = diag(own errors), R the correlation exp(-|x - x'|/length) inside each profile, B the
    errors that points share, as a multiple of their own.

    Parameters
    ----------
    sigma : ndarray, shape (n,), optional
        Standard error of each point, in the unit of the measurement; None where none is stated.
    group : ndarray of int, shape (n,)
        Which profile a point belongs to; points of a profile stand together.
    position : ndarray, shape (n,), optional
        Where each point lies [m], for the correlation.
    length : float
        Correlation length along a profile [m]; 0: independent.
    shared : tuple of SharedError
        What points have in common.
    free : bool
        Whether the level of the noise is unknown: sigma then holds up to a factor, which a fit finds.

    Raises
    ------
    InputError
        An error that is negative or no number, shapes that do not agree.
    """

    sigma: Array | None
    group: Ints
    position: Array | None = None
    length: float = 0.0
    shared: tuple[SharedError, ...] = ()
    free: bool = False

    def __post_init__(self) -> None:
        if self.sigma is not None:
            if not (np.all(np.isfinite(self.sigma)) and np.all(self.sigma >= 0)):
                raise InputError('standard errors must be positive and finite; give error, or noise = "free"')
            if self.sigma.shape != self.group.shape:
                raise InputError("every point needs the profile it belongs to and its error")
        if np.any(np.diff(self.group) < 0):
            raise InputError("the points of a profile must follow one another")
        if self.length > 0 and self.position is None:
            raise InputError("a correlation length needs positions")

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.group.size)

    @cached_property
    def own(self) -> Array:
        """Standard error of each point without what it shares, shape (n,), in the unit of the measurement.

        Raises
        ------
        InputError
            Errors that are not stated, or not positive.
        """
        if self.sigma is None or not np.all(self.sigma > 0):
            raise InputError('standard errors must be positive and finite; give error, or noise = "free"')
        common = [s.amplitude**2 for s in self.shared if s.stated]
        if not common:
            return self.sigma
        return np.asarray(np.sqrt(np.maximum(self.sigma**2 - sum(common), (LEAST_OWN * self.sigma) ** 2)))

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The points of each profile."""
        edges = np.concatenate([[0], np.flatnonzero(np.diff(self.group)) + 1, [self.size]])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(edges))

    @cached_property
    def _factors(self) -> tuple[Array, ...] | None:
        """Cholesky factors of R, profile by profile; equal ones are one object."""
        if self.length <= 0 or self.position is None:
            return None
        # A map has the same positions in every profile: one factor of k x k instead of t of them.
        known: dict[bytes, Array] = {}
        factors = []
        for profile in self.slices:
            x = self.position[profile]
            key = x.tobytes()
            if key not in known:
                R = np.exp(-np.abs(x[:, None] - x) / self.length)
                known[key] = np.asarray(np.linalg.cholesky(R + JITTER * np.eye(x.size)), dtype=np.float64)
            factors.append(known[key])
        return tuple(factors)

    @cached_property
    def columns(self) -> Array:
        """B: one column for each draw that points share, as a multiple of their own errors, shape (n, m) [1]."""
        columns = [np.zeros((self.size, 0))]
        for error in self.shared:
            belongs = error.member[:, None] == np.unique(error.member)
            column = np.where(belongs, (error.amplitude / self.own)[:, None], 0.0)
            columns.append(column[:, np.any(column != 0, axis=0)])
        return np.concatenate(columns, axis=1)

    @cached_property
    def common(self) -> tuple[Array, Array] | None:
        """Directions U, shape (n, m), and weights (1 + lambda)^(-1/2) - 1 of the shared errors, the rest whitened."""
        if not self.columns.shape[1]:
            return None
        B = np.column_stack([self.correlated(column) for column in self.columns.T])
        # Through the small matrix B^T B, of as many rows as there are shared errors: a map of 50 000 points has no
        # room for its own covariance. What squaring loses of a weak direction has next to no weight.
        square, V = np.linalg.eigh(B.T @ B)
        nonzero = square > 1e-13 * square[-1]
        return (B @ V[:, nonzero]) / np.sqrt(square[nonzero]), 1 / np.sqrt(1 + square[nonzero]) - 1

    def correlated(self, x: Array) -> Array:
        """R^(-1/2) x, profile by profile, shape (n,)."""
        if self._factors is None:
            return x
        pairs = zip(self.slices, self._factors, strict=True)
        return np.concatenate([solve_triangular(L, x[p], lower=True, check_finite=False) for p, L in pairs])

    @cached_property
    def log_determinant(self) -> float:
        """ln det C, what a likelihood needs to compare error models; errors in their own unit."""
        total = 2 * float(np.sum(np.log(self.own)))
        if self._factors is not None:
            total += 2 * sum(float(np.sum(np.log(np.diag(L)))) for L in self._factors)
        if self.common is not None:
            total -= 2 * float(np.sum(np.log1p(self.common[1])))
        return total

    def whiten(self, residual: Array) -> Array:
        """C^(-1/2) times a residual, shape (n,) [1]."""
        w = self.correlated(residual / self.own)
        if self.common is not None:
            U, weight = self.common
            w = w + U @ (weight * (U.T @ w))
        return np.asarray(w)

    @property
    def covariance(self) -> Array:
        """C, shape (n, n), in the square of the measurement's unit."""
        R = np.eye(self.size)
        if self._factors is not None:
            for profile, L in zip(self.slices, self._factors, strict=True):
                R[profile, profile] = L @ L.T
        R = R + self.columns @ self.columns.T
        return np.asarray(R * np.outer(self.own, self.own))

    def draw(self, generator: np.random.Generator) -> Array:
        """One realisation, shape (n,), in the unit of the measurement."""
        z = generator.standard_normal(self.size)
        if self._factors is not None:
            z = np.concatenate([L @ z[profile] for profile, L in zip(self.slices, self._factors, strict=True)])
        if self.shared:
            z = z + self.columns @ generator.standard_normal(self.columns.shape[1])
        return np.asarray(self.own * z)

    def only(self, keep: Bools) -> Noise:
        """The same for some of the points."""
        return replace(
            self,
            sigma=None if self.sigma is None else self.sigma[keep],
            group=self.group[keep],
            position=None if self.position is None else self.position[keep],
            shared=tuple(error.only(keep) for error in self.shared),
        )

    def with_errors(self, sigma: Array) -> Noise:
        """The same with other standard errors, shape (n,); what the stated ones held in common goes with them."""
        return replace(self, sigma=sigma, shared=tuple(error for error in self.shared if not error.stated))


def independent(sigma: Array | Sequence[float], *, free: bool = False) -> Noise:
    """Points that know nothing of one another."""
    errors = np.asarray(sigma, dtype=float)
    return Noise(errors, np.zeros(errors.size, dtype=np.int64), free=free)
