"""Closed forms of the dilute ideal salt: chi = 1, V_e = 0, no interaction of the ions; any valence, any voltage."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.constants import F, R

Array = NDArray[np.float64]


def dilute_ideal_properties(
    D_plus: float, D_minus: float, c: float, T: float,
    *, z_plus: int = 1, z_minus: int = -1, nu_plus: int = 1, nu_minus: int = 1,
) -> tuple[float, float, float]:  # fmt: skip
    """Properties of a dilute ideal salt by Nernst-Einstein and Nernst-Hartley.

    Parameters
    ----------
    D_plus, D_minus : float
        Diffusion coefficients of the ions [m^2/s].
    c, T : float
        Salt concentration [mol/m^3], temperature [K].
    z_plus, z_minus, nu_plus, nu_minus : int
        Charges and stoichiometric numbers.

    Returns
    -------
    tuple of float
        kappa [S/m], D [m^2/s], t_plus [1].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11.
    """
    kappa = F**2 * c / (R * T) * (z_plus**2 * nu_plus * D_plus + z_minus**2 * nu_minus * D_minus)
    mobility = z_plus * D_plus - z_minus * D_minus
    return kappa, D_plus * D_minus * (z_plus - z_minus) / mobility, z_plus * D_plus / mobility


def dilute_ideal_current(
    voltage: ArrayLike, *, D_plus: float, c: float, thickness: float, T: float,
    z_plus: int = 1, z_minus: int = -1, nu_plus: int = 1, macmullin: float = 1.0,
) -> Array:  # fmt: skip
    """Steady current of a dilute ideal salt at any voltage; for 1:1 it is (4 F D+ c/L) tanh(F V/4RT).

    The anion stands still in Boltzmann equilibrium, so c(x) is linear and c(0)/c(L) = exp(2 a) with
    a = F V/(2 R T (1/z+ - 1/z-)); i = 2 z+ nu+ F D+ (1 - z+/z-) c tanh(a)/L.

    Parameters
    ----------
    voltage : array_like, shape (n,)
        Cell voltage without interfacial losses [V].
    D_plus : float
        Diffusion coefficient of the cation [m^2/s].
    c, thickness, T : float
        Average concentration [mol/m^3], distance of the electrodes [m], temperature [K].
    z_plus, z_minus, nu_plus : int
        Charges and cations per formula unit.
    macmullin : float
        MacMullin number of a separator [1].

    Returns
    -------
    ndarray, shape (n,)
        Current density [A/m^2].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11, with N- = 0.
    """
    a = F * np.asarray(voltage, dtype=float) / (2 * R * T * (1 / z_plus - 1 / z_minus))
    limit = 2 * z_plus * nu_plus * F * D_plus * (1 - z_plus / z_minus) * c / (macmullin * thickness)
    return np.asarray(limit * np.tanh(a))
