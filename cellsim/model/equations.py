"""The physics, once: concentrated-solution theory of a binary electrolyte between two lithium electrodes.

Pure numpy functions of values at any nodes; solvers bring the grid, the quadrature and the time stepping.

Interface frame, constant partial molar volumes (no volume crosses an interface)::

    N_s = N-/nu- = -D dc/dx - M(c) i,        M = phi_0 (1 - t+0)/(z+ nu+ F)
    porosity dc/dt = -dN_s/dx,               N_s = 0 at both walls
    V = i integral dx/kappa + K [W(c(0)) - W(c(L))] + eta_0 - eta_L,   K = nu R T/(F z+ nu+),  dW = (1 - t+0) chi dln m

Material coordinate, exact for any density curve (d xi = c0 dx moves with the solvent, r = c/c0)::

    porosity dr/dt = -dJ/dxi,   J = N_s - c v_0 = -(D/phi_0) dc/dx - (1 - t+0) i/(z+ nu+ F) = N_s/phi_0

Every D and kappa carries the separator's factor 1/MacMullin; M does not. Sources: Newman & Balsara, *Electrochemical
Systems*, 4th ed., sections 12.8-12.9; Steinrueck et al. 2020, doi:10.1039/D0EE02193H, Eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, F, R
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet


def charge_per_salt(transport: TransportSet) -> float:
    """z+ nu+ F, the charge of the cations of one mole of salt [C/mol]."""
    return transport.z_plus * transport.nu_plus * F


def thermal_voltage(transport: TransportSet) -> float:
    """K = nu R T/(F z+ nu+), what one unit of (1 - t+0) chi ln m is worth [V]."""
    return transport.nu * R * transport.T / charge_per_salt(transport)


def migration(transport: TransportSet, c: ArrayLike) -> Array:
    """M = phi_0 (1 - t+0)/(z+ nu+ F): salt moved per charge, interface frame [mol/C]."""
    return transport.phi_0(c) * (1 - transport.t_plus(c)) / charge_per_salt(transport)


def salt_flux(transport: TransportSet, c: ArrayLike, dc_dx: ArrayLike, i: float, factor: float) -> Array:
    """N_s = N-/nu- = -factor D dc/dx - M i, interface frame.

    Parameters
    ----------
    transport : TransportSet
        Properties.
    c, dc_dx : array_like, shape (n,)
        Concentration [mol/m^3] and its slope [mol/m^4] at the same points.
    i : float
        Current density [A/m^2].
    factor : float
        Separator factor of D, 1/MacMullin number [1].

    Returns
    -------
    ndarray, shape (n,)
        [mol/(m^2 s)]
    """
    return -factor * transport.D(c) * np.asarray(dc_dx) - migration(transport, c) * i


def wall_slope(transport: TransportSet, c_wall: ArrayLike, i: float, factor: float) -> Array:
    """dc/dx at a wall, where no anion and no solvent crosses: -M i/(factor D) [mol/m^4]."""
    return -migration(transport, c_wall) * i / (factor * transport.D(c_wall))


def newman_number(transport: TransportSet, c: ArrayLike) -> Array:
    """Ne = nu/(z+ nu+)^2 kappa R T (1 - t+0)^2 chi/(F^2 D c), the same with and without solvent motion [1].

    Balsara & Newman 2015, doi:10.1149/2.0651514jes; written with (1 - t+0) chi so that t+0 = 1 gives 0.
    """
    c = np.asarray(c, dtype=float)
    drive = (1 - transport.t_plus(c)) * transport.one_minus_t_plus_chi(c)
    scale = transport.nu * R * transport.T / charge_per_salt(transport) ** 2
    return scale * transport.kappa(c) * drive / (transport.D(c) * c)


def concentration_voltage(transport: TransportSet, c_positive: ArrayLike, c_negative: ArrayLike) -> Array:
    """K [W(c(0)) - W(c(L))], the concentration part of the cell voltage [V]; at rest it is the cell voltage.

    Parameters
    ----------
    transport : TransportSet
        Properties.
    c_positive, c_negative : array_like
        Concentrations at the positive (x = 0) and the negative interface (x = L) [mol/m^3].
    """
    both = transport.potential_integral(np.stack(np.broadcast_arrays(c_positive, c_negative)))
    return thermal_voltage(transport) * (both[0] - both[1])


def interface_velocity(i: ArrayLike, V_metal: float, z_plus: int) -> Array:
    """v_s = -i V_metal/(z+ F), velocity of both interfaces in the lab frame [m/s]; of a charge, their shift [m]."""
    return -np.asarray(i, dtype=float) * V_metal / (z_plus * F)


def cation_flux(transport: TransportSet, N_salt: ArrayLike, i: ArrayLike) -> Array:
    """N+ = -(z-/z+) N- + i/(z+ F) with N- = nu- N_s [mol/(m^2 s)]."""
    N_minus = transport.nu_minus * np.asarray(N_salt)
    return -(transport.z_minus / transport.z_plus) * N_minus + np.asarray(i) / (transport.z_plus * F)


def solvent_flux(transport: TransportSet, c: ArrayLike, N_salt: ArrayLike) -> Array:
    """N_0 = -(V_e/V_0) N_s, interface frame, no net volume flux; 0 without solvent motion [mol/(m^2 s)]."""
    if transport.solvent_motion == "none":
        return np.zeros(np.shape(N_salt))
    return -transport.V_e(c) / transport.V_0(c) * np.asarray(N_salt)


@dataclass(frozen=True)
class VoltageLaw:
    """The cell voltage as a function of current and of what the profile adds up to.

    Parameters
    ----------
    cell : Cell
        Electrodes and temperature.
    transport : TransportSet
        Properties.
    """

    cell: Cell
    transport: TransportSet

    def parts(
        self, i: float, resistance: float, c_positive: float, c_negative: float, time: float
    ) -> tuple[float, ...]:
        """Ohmic, concentration, positive and negative interface part; they add up to the cell voltage.

        Parameters
        ----------
        i : float
            Current density [A/m^2].
        resistance : float
            Integral of dx/kappa over the electrolyte, separator included [ohm m^2].
        c_positive, c_negative : float
            Concentrations at the interfaces [mol/m^3].
        time : float
            For interfacial resistances that change [s].

        Returns
        -------
        tuple of float
            Four voltages [V].
        """
        cell, T = self.cell, self.cell.temperature
        return (
            i * resistance,
            float(concentration_voltage(self.transport, c_positive, c_negative)),
            cell.positive.loss(i, c_positive, T, time),
            -cell.negative.loss(-i, c_negative, T, time),
        )

    def voltage(self, i: float, resistance: float, c_positive: float, c_negative: float, time: float) -> float:
        """The cell voltage [V]; arguments as in :meth:`parts`."""
        return float(sum(self.parts(i, resistance, c_positive, c_negative, time)))

    def current(self, voltage: float, resistance: float, c_positive: float, c_negative: float, time: float) -> float:
        """The current density [A/m^2] at which the cell shows `voltage` [V] with this profile.

        The voltage rises strictly with i; for resistances alone it is linear, with Butler-Volmer kinetics the root is
        found by bracketing.
        """
        cell = self.cell
        total = resistance + cell.positive.resistance.at(time) + cell.negative.resistance.at(time)
        free = voltage - float(concentration_voltage(self.transport, c_positive, c_negative))
        i_ohmic = free / total
        if (cell.positive.kinetics is None and cell.negative.kinetics is None) or free == 0:
            return i_ohmic
        from scipy.optimize import brentq

        def miss(fraction: float) -> float:
            return (self.voltage(fraction * i_ohmic, resistance, c_positive, c_negative, time) - voltage) / free

        return float(i_ohmic * brentq(miss, 0.0, 1.0, xtol=1e-15, rtol=1e-13))

    def initial_current(self, voltage: float, c: float, time: float = 0.0) -> float:
        """i_0 [A/m^2] of `voltage` [V] on a uniform salt concentration `c` [mol/m^3]: before any time step."""
        resistance = self.cell.thickness / (self.cell.separator.transport_factor * float(self.transport.kappa(c)))
        return self.current(voltage, resistance, c, c, time)
