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
