"""Potentials of single ions in a polarised cell: what a choice decides, and what no choice moves. numpy only.

At the steady state of a cell whose electrodes pass the cation alone, in the solvent frame::

    -J_i = sum_j Omega_ij (grad mu_j + z_j F grad phi),     J_- = 0,     z_+ F J_+ = i

are two equations in three unknowns, grad phi, grad mu_+ and grad mu_-. A third, mu_+ = x mu_-, is a convention: no
experiment tells x (Gibbs and Guggenheim). The electrochemical potential of the cation, which a cell's voltage is made
of, and the chemical potential of the salt do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellsim.base import F, InputError
from cellsim.electrolyte.onsager import OnsagerMatrix

__all__ = ["IonPotentials", "ion_potentials"]


@dataclass(frozen=True)
class IonPotentials:
    """Gradients at the anion-blocking steady state under the convention mu_+ = x mu_-.

    Parameters
    ----------
    onsager : OnsagerMatrix
        The electrolyte.
    x : float
        The convention [1].
    phi : float
        Gradient of the Galvani potential of the solution [V/m].
    mu_plus, mu_minus : float
        Gradients of the chemical potentials of cation and anion [J/(mol m)].
    """

    onsager: OnsagerMatrix
    x: float
    phi: float
    mu_plus: float
    mu_minus: float

    @property
    def voltage(self) -> float:
        """Gradient of (mu_+ + z_+ F phi)/(z_+ F): the potential of an electrode of M, measurable [V/m]."""
        return self.mu_plus / (self.onsager.z[0] * F) + self.phi

    @property
    def salt(self) -> float:
        """Gradient of nu_+ mu_+ + nu_- mu_-, the chemical potential of the salt, measurable [J/(mol m)]."""
        nu_plus, nu_minus = self.onsager.nu
        return nu_plus * self.mu_plus + nu_minus * self.mu_minus

    @property
    def fluxes(self) -> tuple[float, float]:
        """J_+ and J_- relative to the solvent, by the flux law from the three gradients [mol/(m^2 s)]."""
        z = np.asarray(self.onsager.z)
        J = -self.onsager.Omega @ (np.array([self.mu_plus, self.mu_minus]) + z * F * self.phi)
        return float(J[0]), float(J[1])

    @property
    def current(self) -> float:
        """i = F sum z_i J_i [A/m^2]."""
        z, J = self.onsager.z, self.fluxes
        return F * (z[0] * J[0] + z[1] * J[1])

    @property
    def current_fraction(self) -> float:
        """Steady current over the initial one at the same voltage, i/(-kappa grad V) = rho_+ [1]."""
        return -self.current / (self.onsager.kappa * self.voltage)


def ion_potentials(onsager: OnsagerMatrix, x: float, i: float) -> IonPotentials:
    """Solve the steady state for the three gradients, x chosen.

    Parameters
    ----------
    onsager : OnsagerMatrix
        In the solvent frame.
    x : float
        mu_+ = x mu_-; 0 and 1 are the choices found in the literature. x = z_+/z_- is not allowed: the two potentials
        of ions then cannot add up to that of the salt [1].
    i : float
        Current density [A/m^2].

    Returns
    -------
    IonPotentials

    Raises
    ------
    InputError
        Another frame, a number that is not finite, or x = z_+/z_-.

    References
    ----------
    doi:10.1063/5.0155301 (Shao & Zhang 2023), Eqs. 16-20, for any valence.
    """
    if onsager.frame != "solvent":
        raise InputError(f"ion_potentials needs the solvent frame, this matrix is {onsager.frame}; use to_frame")
    if not (np.isfinite(x) and np.isfinite(i)):
        raise InputError(f"x = {x!r} and i = {i!r} A/m^2 must be finite numbers")
    z_plus, z_minus = onsager.z
    if abs(z_plus - x * z_minus) < 1e-9 * z_plus:
        raise InputError(f"x = {x!r} must differ from z_+/z_- = {z_plus / z_minus:.6g}, where the gradients diverge")
    scale = float(np.sqrt(onsager.Omega[0, 0] * onsager.Omega[1, 1]))
    law = np.zeros((3, 3))  # unknowns: F grad phi, grad mu_+, grad mu_-
    law[:2] = onsager.Omega / scale @ np.array([[z_plus, 1.0, 0.0], [z_minus, 0.0, 1.0]])
    law[2] = 0.0, 1.0, -x
    F_phi, mu_plus, mu_minus = np.linalg.solve(law, [-i / (z_plus * F * scale), 0.0, 0.0])
    return IonPotentials(onsager, float(x), float(F_phi) / F, float(mu_plus), float(mu_minus))
