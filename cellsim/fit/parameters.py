"""What a fit may change: parameters with bounds and priors, and the coordinates in which it moves them.

A positive quantity moves in its logarithm, any other in units of the change that would count: the coordinate u has no
dimension, its standard error reads as a relative error, or as an error in that unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

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
class Space:
    """All parameters of a fit, in their order.

    Parameters
    ----------
    parameters : tuple of Parameter
        With names that differ.
    joint_mean, joint_covariance : ndarray, optional
        A joint normal prior of the first parameters, in u, shapes (k,) and (k, k): a set's own covariance.

    Raises
    ------
    InputError
        Nothing to fit, or one name twice.
    """

    parameters: tuple[Parameter, ...]
    joint_mean: Array | None = None
    joint_covariance: Array | None = None

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
        if self.joint_mean is None or self.joint_covariance is None:
            return np.array(single)
        k = self.joint_mean.size
        joint = np.linalg.solve(np.linalg.cholesky(self.joint_covariance), u[:k] - self.joint_mean)
        return np.concatenate([single, joint])

    def without_priors(self) -> Space:
        """The same parameters, nothing known beforehand."""
        return Space(tuple(replace(p, prior=None) for p in self.parameters))
