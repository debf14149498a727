"""The closed-form impedance of a layer between two lithium electrodes; plain numbers in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.analytic import Layer

PEAK = 2.54065
"""w tau, tau = L^2/(4 D), at which -Im of tanh(q)/q, q = sqrt(i w tau), is largest [1]."""


def impedance(layer: Layer, omega: ArrayLike) -> NDArray[np.complex128]:
    """Small-signal impedance, Z = R_b + R_i + R_d tanh(q)/q with q = (L/2) sqrt(i w/D).

    From dc/dt = D d2c/dx2 with -D dc/dx = M i at both walls: the change of c is odd about the middle, c(0) - c(L) =
    2 M i/(D k) tanh(k L/2), k = sqrt(i w/D), and the voltage of that difference is i R_d tanh(q)/q, R_d = R_b Ne.
    Linear kinetics only add their resistance to R_i: the exchange current's dependence on c multiplies an overpotential
    that is zero at rest. The model has no double layer, so R_i is there at any frequency.

    Parameters
    ----------
    layer : Layer
        Properties.
    omega : array_like, shape (n,)
        Angular frequencies, not negative [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Impedance times area, complex [ohm m^2].

    References
    ----------
    Sorensen & Jacobsen, Electrochim. Acta 27 (1982) 1671; current_response of cellsim.analytic is its inverse.
    """
    q = 0.5 * layer.thickness * np.sqrt(1j * np.asarray(omega, dtype=float) / layer.D_time)
    small = np.abs(q) < 1e-4  # tanh(q)/q = 1 - q^2/3 to 1e-17
    safe = np.where(small, 1.0, q)
    warburg = np.where(small, 1 - q**2 / 3, np.tanh(safe) / safe)
    return np.asarray(layer.bulk_resistance + layer.resistance + layer.diffusion_resistance * warburg)
