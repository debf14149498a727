"""What a fit may change: parameters with bounds and priors, and the coordinates in which it moves them.

A positive quantity moves in its logarithm, any other in units of the change that would count: the coordinate u has no
dimension, its standard error reads as a relative error, or as an error in that unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.linalg import solve_triangular
from scipy.special import ndtr, ndtri

from cellsim.base import Array, InputError


@dataclass(frozen=True)
class Prior:
    """What is known beforehand: a normal distribution of the value, or of its logarithm.

    Parameters
    ----------
    mean : float
        In the unit of the parameter.
    sd : float
        In the unit of the parameter; relative (of the logarithm) for a logarithmic one.
    """

    mean: float
    sd: float


@dataclass(frozen=True)
class Parameter:
    """One number that a fit may change.

    Parameters
    ----------
    name : str
        Unique; what reports call it.
    start : float
        First guess, in `unit`.
    unit : str
        SI unit, for reports.
    logarithmic : bool
        Positive by nature: u = ln(value); else u = value/typical.
    typical : float
        A change that would count, in `unit`; without effect for a logarithmic parameter.
    lower, upper : float
        Bounds, in `unit`.
    prior : Prior, optional
        What is known beforehand.
    spread : float
        How far from the start other starts are looked for, in u.
    path : str
        The number of a set's file it stands for, ``"D.value"``; "" for a nuisance.

    Raises
    ------
    InputError
        A start outside its bounds, a prior without width, a logarithmic parameter that is not positive.
    """

    name: str
    start: float
    unit: str = ""
    logarithmic: bool = False
    typical: float = 1.0
    lower: float = -np.inf
    upper: float = np.inf
    prior: Prior | None = None
    spread: float = 0.5
    path: str = ""

    def __post_init__(self) -> None:
        if self.logarithmic and self.lower <= 0:
            object.__setattr__(self, "lower", 0.0)
        inside = self.lower < self.start < self.upper if self.logarithmic else self.lower <= self.start <= self.upper
        if not (np.isfinite(self.start) and inside):
            raise InputError(
                f"{self.name}: start = {self.start:.6g} {self.unit} lies outside its bounds, "
                f"{self.lower:.6g} to {self.upper:.6g}"
            )
        if self.prior is not None and not (self.prior.sd > 0 and (self.prior.mean > 0 or not self.logarithmic)):
            raise InputError(f"{self.name}: a prior needs sd > 0" + (" and mean > 0" if self.logarithmic else ""))

    @property
    def nuisance(self) -> bool:
        """Whether it belongs to the experiment and not to the electrolyte."""
        return not self.path

    def u(self, value: float) -> float:
        """Coordinate of a value [1]."""
        with np.errstate(divide="ignore"):
            return float(np.log(value)) if self.logarithmic else value / self.typical

    def value(self, u: float) -> float:
        """Value of a coordinate, in `unit`."""
        return float(np.exp(u)) if self.logarithmic else u * self.typical

    def error(self, value: float, sd: float) -> float:
        """Standard error of the value, in `unit`, from that of u."""
        return value * sd if self.logarithmic else sd * self.typical

    @property
    def prior_u(self) -> tuple[float, float] | None:
        """Mean and standard deviation of u beforehand."""
        if self.prior is None:
            return None
        return self.u(self.prior.mean), self.prior.sd if self.logarithmic else self.prior.sd / self.typical


@dataclass(frozen=True)
class JointPrior:
    """What a set's own file says of its numbers together: a normal distribution, or draws of any shape.

    Draws are taken by their normal scores: z_j(u_j) turns the ranks of each parameter's draws into a standard normal
    variable (monotone cubics between quantiles, straight lines beyond them), and z is taken as jointly normal with the
    correlation of the scores (a Gaussian copula). Every parameter then keeps its own distribution, long tails included.

    Parameters
    ----------
    mean : ndarray, shape (k,)
        In u.
    covariance : ndarray, shape (k, k)
        In u.
    draws : ndarray, shape (n, k), optional
        In u.

    References
    ----------
    Normal scores and the Gaussian copula: Liu, Lafferty & Wasserman 2009, J. Mach. Learn. Res. 10, 2295.
    """

    mean: Array
    covariance: Array
    draws: Array | None = None

    @cached_property
    def _root(self) -> Array:
        if self.draws is None:
            return np.asarray(np.linalg.cholesky(self.covariance))
        ranks = np.argsort(np.argsort(self.draws, axis=0), axis=0)
        scores = ndtri((ranks + 0.5) / len(self.draws))
        correlation = np.corrcoef(scores.T).reshape(self.mean.size, self.mean.size)
        return np.asarray(np.linalg.cholesky(correlation + ROUNDING * np.eye(self.mean.size)))

    @cached_property
    def _scores(self) -> tuple[PchipInterpolator, ...]:
        """z_j as a function of u_j, between quantiles that the draws resolve."""
        assert self.draws is not None
        ends = ndtri(0.5 - np.array([-0.5, 0.5]) * (1 - TAIL / len(self.draws)))
        z = np.linspace(float(ends.min()), float(ends.max()), KNOTS)
        curves = []
        for own in self.draws.T:
            # two draws may be equal to the last bit; the curve must rise
            u = np.maximum.accumulate(np.quantile(own, ndtr(z)))
            u = u + np.arange(KNOTS) * 1e-12 * max(float(np.ptp(u)), 1e-12)
            curves.append(PchipInterpolator(u, z))
        return tuple(curves)

    def _score(self, u: Array) -> tuple[Array, Array]:
        """z of every parameter and dz/du, beyond the outermost quantiles on a straight line."""
        z, slope = np.empty((2, u.size))
        for j, (curve, x) in enumerate(zip(self._scores, u, strict=True)):
            low, high = float(curve.x[0]), float(curve.x[-1])
            inside = min(max(float(x), low), high)
            if inside == x:
                slope[j] = float(curve(x, 1))
            else:  # that of the tail's last sixth
                a, b = (curve.x[0], curve.x[KNOTS // 6]) if x < low else (curve.x[-1 - KNOTS // 6], curve.x[-1])
                slope[j] = float((curve(b) - curve(a)) / (b - a))
            z[j] = float(curve(inside)) + (float(x) - inside) * slope[j]
        return z, slope

    def residuals(self, u: Array) -> Array:
        """Independent standard normal numbers if the first k of `u` are as the prior has them, shape (k,)."""
        own = u[: self.mean.size]
        centred = own - self.mean if self.draws is None else self._score(own)[0]
        return np.asarray(solve_triangular(self._root, centred, lower=True))

    def log_jacobian(self, u: Array) -> float:
        """ln |d residuals/du|: the density of u is that of the residuals times this slope; 0 for a normal prior."""
        if self.draws is None:
            return 0.0
        return float(np.sum(np.log(np.maximum(self._score(u[: self.mean.size])[1], 1e-300))))

    @property
    def sd(self) -> Array:
        """Standard deviations in u, shape (k,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


KNOTS = 37
"""Quantiles between which normal scores are interpolated: every sixth of a standard deviation."""
TAIL = 10.0
"""Draws beyond the outermost quantiles, on each side half of it: fewer do not tell where a quantile lies."""
ROUNDING = 1e-6
"""Added to correlations of scores: numbers that follow from one another make them singular."""


@dataclass(frozen=True)
class Space:
    """All parameters of a fit, in their order.

    Parameters
    ----------
    parameters : tuple of Parameter
        With names that differ.
    joint : JointPrior, optional
        A joint prior of the first parameters: a set's own covariance or draws.

    Raises
    ------
    InputError
        Nothing to fit, or one name twice.
    """

    parameters: tuple[Parameter, ...]
    joint: JointPrior | None = None

    def __post_init__(self) -> None:
        if not self.parameters:
            raise InputError("a fit needs at least one parameter; name a property under [fit] or a [nuisance]")
        names = self.names
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"the parameter {name} is named twice")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in their order."""
        return tuple(p.name for p in self.parameters)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    @cached_property
    def start(self) -> Array:
        """First guess in u, shape (p,)."""
        return np.array([p.u(p.start) for p in self.parameters])

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Bounds in u, shapes (p,)."""
        low, high = np.array([(p.u(p.lower), p.u(p.upper)) for p in self.parameters]).T
        return low, high

    def index(self, name: str) -> int:
        """Place of a parameter.

        Raises
        ------
        InputError
            Unknown name.
        """
        if name not in self.names:
            raise InputError(f"{name!r} is no parameter of this fit; there are {', '.join(self.names)}")
        return self.names.index(name)

    def values(self, u: Sequence[float] | Array) -> dict[str, float]:
        """Values by name, in the parameters' units, of a point u, shape (p,)."""
        return {p.name: p.value(float(x)) for p, x in zip(self.parameters, u, strict=True)}

    def point(self, values: Mapping[str, float]) -> Array:
        """The point u, shape (p,), of values by name; the start where a name is missing."""
        return np.array([p.u(values.get(p.name, p.start)) for p in self.parameters])

    def prior_residuals(self, u: Array) -> Array:
        """(u - mean)/sd of every prior, and the whitened joint one; shape (priors,)."""
        single = [
            (x - known[0]) / known[1]
            for p, x in zip(self.parameters, u, strict=True)
            if (known := p.prior_u) is not None
        ]
        if self.joint is None:
            return np.array(single)
        return np.concatenate([single, self.joint.residuals(u)])

    def without_priors(self) -> Space:
        """The same parameters, nothing known beforehand."""
        return Space(tuple(replace(p, prior=None) for p in self.parameters))
