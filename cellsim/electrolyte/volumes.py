"""How much room salt and solvent take: the solvent concentration c0(c) and the partial molar volumes behind it.

Everything follows from c0(c) and its slope (PHYSICS: V_e c + V_0 c0 = 1 and Gibbs-Duhem, c dV_e + c0 dV_0 = 0)::

    V_0 = 1 / (c0 - c c0'),   V_e = -c0' V_0,   phi_0 = c0 V_0 = 1 / (1 - dln c0/dln c)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError


@dataclass(frozen=True)
class PartialVolumes:
    """Constant partial molar volumes from the volumes of several solutions, with errors.

    Parameters
    ----------
    V_e, V_0 : float
        Partial molar volumes of salt and solvent [m^3/mol].
    covariance : ndarray, shape (2, 2)
        Of V_e and V_0 [m^6/mol^2]; NaN where two solutions without errors leave nothing to judge by.
    chi2 : float
        Of the straight line, by the stated errors [1]; NaN where none are stated.
    points : int
        Number of solutions.
    """

    V_e: float
    V_0: float
    covariance: Array
    chi2: float
    points: int

    @property
    def error(self) -> tuple[float, float]:
        """Standard errors of V_e and V_0 [m^3/mol]."""
        return float(np.sqrt(self.covariance[0, 0])), float(np.sqrt(self.covariance[1, 1]))

    @property
    def curved(self) -> bool:
        """Whether the solutions miss the straight line by more than their errors: the volumes vary with composition."""
        from scipy.stats import chi2 as chi2_distribution  # which a set that is only read does without

        freedom = self.points - 2
        return bool(freedom > 0 and self.chi2 > float(chi2_distribution.isf(0.01, freedom)))


def partial_volumes(r: ArrayLike, volume: ArrayLike, error: ArrayLike | None = None) -> PartialVolumes:
    """V_0 and V_e by the straight line V = V_0 + r V_e through the volumes of solutions per mole of solvent.

    Parameters
    ----------
    r : array_like, shape (n,)
        Moles of salt per mole of solvent [1].
    volume : array_like, shape (n,)
        Volume of the solution per mole of solvent [m^3/mol].
    error : array_like, shape (n,), optional
        Standard errors of `volume` [m^3/mol]; without them the scatter about the line gives the errors, the same
        relative one for all.

    Returns
    -------
    PartialVolumes
        Errors are widened by the misfit where the line misses the points by more than chance (chi^2 per degree of
        freedom above 1); they are NaN where two solutions without errors leave no scatter to judge by.

    Raises
    ------
    InputError
        Fewer than two different solutions, volumes or errors that are not positive, a V_0 that would not be.

    References
    ----------
    doi:10.1039/D0EE02193H, Eq. 4, which is this line in terms of densities.
    """
    x, y = np.asarray(r, dtype=float), np.asarray(volume, dtype=float)
    if x.size < 2 or np.ptp(x) <= 1e-9 * np.max(np.abs(x)):
        raise InputError(f"partial volumes need solutions of two concentrations or more, not {np.unique(x).size}")
    sigma = y.copy() if error is None else np.asarray(error, dtype=float)
    if np.any(x < 0) or not (np.all(np.isfinite(x)) and np.all(y > 0) and np.all(np.isfinite(y)) and np.all(sigma > 0)):
        raise InputError("partial volumes need concentrations from 0 on, and volumes and errors that are positive")
    A = np.column_stack([x, np.ones(x.size)]) / sigma[:, None]
    scale = np.linalg.norm(A, axis=0)
    inverse = np.linalg.inv((A / scale).T @ (A / scale)) / np.outer(scale, scale)
    V_e, V_0 = inverse @ A.T @ (y / sigma)
    chi2, freedom = float(np.sum((y / sigma - A @ [V_e, V_0]) ** 2)), x.size - 2
    if error is None:
        covariance = inverse * (chi2 / freedom if freedom else np.nan)
        chi2 = np.nan
    else:
        covariance = inverse * (max(1.0, chi2 / freedom) if freedom else 1.0)
    if V_0 <= 0:
        raise InputError(f"the solutions give V_0 = {1e6 * V_0:.4g} cm^3/mol; check their units")
    return PartialVolumes(float(V_e), float(V_0), np.asarray(covariance), float(chi2), x.size)


class Volumes(Protocol):
    """The volume balance of a solution.

    Attributes
    ----------
    varies : bool
        True where the partial molar volumes depend on concentration.
    c_saturation : float
        Salt concentration at which no room is left for solvent [mol/m^3].
    """

    @property
    def varies(self) -> bool: ...
    @property
    def c_saturation(self) -> float: ...
    def c_0(self, c: ArrayLike) -> Array:
        """Solvent concentration, shape of `c` [mol/m^3]."""
        ...

    def dc_0(self, c: ArrayLike) -> Array:
        """Slope dc0/dc, shape of `c` [1]."""
        ...


@dataclass(frozen=True)
class ConstantVolumes:
    """Constant partial molar volumes, c0 = (1 - c V_e) / V_0.

    Parameters
    ----------
    V_e, V_0 : float
        Partial molar volumes of salt and solvent [m^3/mol].
    """

    V_e: float
    V_0: float

    def __post_init__(self) -> None:
        if not (self.V_0 > 0 and np.isfinite(self.V_0)):
            raise InputError(f"volumes.V_0 = {self.V_0!r} m^3/mol must be positive")
        if not (self.V_e >= 0 and np.isfinite(self.V_e)):
            raise InputError(f"volumes.V_e = {self.V_e!r} m^3/mol must not be negative")

    @property
    def varies(self) -> bool:
        return False

    @property
    def c_saturation(self) -> float:
        return 1 / self.V_e if self.V_e > 0 else np.inf

    def c_0(self, c: ArrayLike) -> Array:
        return (1 - np.asarray(c, dtype=float) * self.V_e) / self.V_0

    def dc_0(self, c: ArrayLike) -> Array:
        return np.full(np.shape(c), -self.V_e / self.V_0)


@dataclass(frozen=True)
class DensityVolumes:
    """Volumes from a measured density curve, c0 = (rho - M_e c) / M_0, as a spline consistent in value and slope.

    Parameters
    ----------
    c : ndarray, shape (n,)
        Increasing salt concentrations from 0 (or the lower end of the measured range) up [mol/m^3].
    c_solvent : ndarray, shape (n,)
        Solvent concentrations there [mol/m^3].
    """

    c: Array
    c_solvent: Array

    @classmethod
    def from_density(
        cls, rho: Callable[[Array], Any], M_e: float, M_0: float, c_max: float, *, points: int = 801
    ) -> DensityVolumes:
        """From a density as a function of concentration.

        Parameters
        ----------
        rho : callable
            Density [kg/m^3] at concentrations [mol/m^3].
        M_e, M_0 : float
            Molar masses of salt and solvent [kg/mol].
        c_max : float
            Upper end of the curve [mol/m^3].
        points : int
            Nodes of the spline.

        Returns
        -------
        DensityVolumes

        Raises
        ------
        InputError
            Where the density leaves no solvent or gives negative volumes.
        """
        c = np.linspace(0.0, c_max, points)
        return cls(c, (np.asarray(rho(c), dtype=float) - M_e * c) / M_0)

    def __post_init__(self) -> None:
        if np.any(np.diff(self.c) <= 0) or not np.all(np.isfinite(self.c_solvent)):
            raise InputError("volumes.density must be finite on increasing concentrations")
        if np.any(self.c_solvent <= 0):
            c_bad = float(self.c[np.argmax(self.c_solvent <= 0)])
            raise InputError(f"volumes.density leaves no room for solvent at c = {c_bad:.4g} mol/m^3")
        if np.any(self.c_0(self.c) - self.c * self.dc_0(self.c) <= 0):
            raise InputError("volumes.density gives a negative partial molar volume of the solvent")

    @cached_property
    def _spline(self) -> tuple[Any, Any]:
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(self.c, self.c_solvent)
        return spline, spline.derivative()

    @property
    def varies(self) -> bool:
        return True

    @property
    def c_saturation(self) -> float:
        return float(self.c[-1])

    def c_0(self, c: ArrayLike) -> Array:
        return np.asarray(self._spline[0](np.asarray(c, dtype=float)), dtype=float)

    def dc_0(self, c: ArrayLike) -> Array:
        return np.asarray(self._spline[1](np.asarray(c, dtype=float)), dtype=float)
