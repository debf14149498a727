"""The physics, once: concentrated-solution theory of a binary electrolyte between two lithium electrodes.

Functions of the *values* of properties: the same function serves numpy arrays and, compiled, the inner loops of a
solver (:func:`compiled`). Solvers bring the grid, the quadrature and the time stepping.

Interface frame, constant partial molar volumes (no volume crosses an interface)::

    N_s = N-/nu- = -D dc/dx - M(c) i,        M = phi_0 (1 - t+0)/(z+ nu+ F)
    porosity dc/dt = -dN_s/dx,               N_s = 0 at both walls
    V = i integral dx/kappa + K [W(c(0)) - W(c(L))] + eta_0 - eta_L,   K = nu R T/(F z+ nu+),  dW = (1 - t+0) chi dln m

Material coordinate, exact for any density curve (d xi = c0 dx moves with the solvent, r = c/c0)::

    porosity dr/dt = -dJ/dxi,   J = N_s - c v_0 = -(D/phi_0) dc/dx - (1 - t+0) i/(z+ nu+ F) = N_s/phi_0

Every D and kappa carries the separator's factor 1/MacMullin; M does not. M, K and W belong to the electrolyte alone:
:class:`.TransportSet` gives them.

References
----------
Newman & Balsara, *Electrochemical Systems*, 4th ed., sections 12.8-12.9; Steinrueck et al. 2020,
doi:10.1039/D0EE02193H, Eq. 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cellsim.base import F
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet

# ---- fluxes -------------------------------------------------------------------------------------------------------


def salt_flux(D, M, dc_dx, i):  # type: ignore[no-untyped-def]
    """N_s = N-/nu- = -D dc/dx - M i, interface frame [mol/(m^2 s)].

    Parameters
    ----------
    D, M : float or ndarray
        Salt diffusion coefficient, the separator's factor in it [m^2/s]; salt moved per charge [mol/C].
    dc_dx : float or ndarray
        Slope of the concentration at the same points [mol/m^4].
    i : float or ndarray
        Current density [A/m^2].
    """
    return -D * dc_dx - M * i


def salt_flux_slope(dD, dM, dc_dx, i):  # type: ignore[no-untyped-def]
    """dN_s/dc at a fixed slope of the concentration [m/s], from dD/dc and dM/dc."""
    return -dD * dc_dx - dM * i


def wall_slope(D, M, i):  # type: ignore[no-untyped-def]
    """dc/dx at a wall, where no anion and no solvent crosses, N_s = 0 [mol/m^4]; arguments as :func:`salt_flux`."""
    return -M * i / D


def cation_flux(N_salt: Any, i: Any, transport: TransportSet) -> Any:
    """N+ = -(z-/z+) N- + i/(z+ F) with N- = nu- N_s [mol/(m^2 s)]."""
    return -(transport.z_minus / transport.z_plus) * (transport.nu_minus * N_salt) + i / (transport.z_plus * F)


def solvent_flux(N_salt: Any, volume_ratio: Any) -> Any:
    """N_0 = -(V_e/V_0) N_s, interface frame: no net volume moves [mol/(m^2 s)]."""
    return -volume_ratio * N_salt


def interface_velocity(i: Any, V_metal: float, z_plus: int) -> Any:
    """v_s = -i V_metal/(z+ F), velocity of both interfaces in the lab frame [m/s]; of a charge, their shift [m]."""
    return -i * V_metal / (z_plus * F)


# ---- the voltage --------------------------------------------------------------------------------------------------


def cell_voltage(i, resistance, concentration, eta_positive, eta_negative):  # type: ignore[no-untyped-def]
    """V = i R + K [W(c(0)) - W(c(L))] + eta_0 - eta_L [V].

    Parameters
    ----------
    i : float
        Current density [A/m^2].
    resistance : float
        Of the electrolyte and both interfaces in series [ohm m^2].
    concentration : float
        K [W(c(0)) - W(c(L))] [V].
    eta_positive, eta_negative : float
        Overpotentials of the kinetics of both electrodes, each for its own dissolution current, i and -i [V].
    """
    return concentration + i * resistance + eta_positive - eta_negative


def held_current(voltage, resistance, concentration):  # type: ignore[no-untyped-def]
    """The current density at which a cell without kinetics shows `voltage` [A/m^2]; see :func:`cell_voltage`."""
    return (voltage - concentration) / resistance


def compiled(function: Any) -> Any:
    """A function of this module for compiled code.

    The arithmetic may be rearranged where that changes the last bit only; division by zero gives infinity, as numpy's.
    """
    import numba

    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"})(function)


def interface_losses(cell: Cell, i: float, walls: tuple[float, float], time: float) -> tuple[float, float]:
    """What the positive and the negative interface add to the cell voltage [V].

    Parameters
    ----------
    cell : Cell
        Electrodes and temperature.
    i : float
        Current density [A/m^2].
    walls : tuple of float
        Salt concentrations at x = 0 and x = L [mol/m^3].
    time : float
        For interfacial resistances that change [s].
    """
    T = cell.temperature
    return cell.positive.loss(i, walls[0], T, time), -cell.negative.loss(-i, walls[1], T, time)


def balanced_current(
    cell: Cell, voltage: float, resistance: float, concentration: float, walls: tuple[float, float], time: float
) -> float:
    """The current density [A/m^2] at which the cell shows `voltage` [V] with the profile it has.

    The voltage rises strictly with i; for resistances alone it is linear, with kinetics the root is found by
    bracketing.

    Parameters
    ----------
    cell : Cell
        Electrodes and temperature.
    voltage : float
        [V]
    resistance, concentration : float
        Integral of dx/kappa over the electrolyte [ohm m^2], and the voltage it has without current [V].
    walls, time
        As in :func:`interface_losses`.
    """
    total = resistance + cell.positive.resistance.at(time) + cell.negative.resistance.at(time)
    i_ohmic = held_current(voltage, total, concentration)
    if (cell.positive.kinetics is None and cell.negative.kinetics is None) or i_ohmic == 0:
        return float(i_ohmic)
    from scipy.optimize import brentq

    def miss(fraction: float) -> float:
        # kinetics only takes from the current, so that the root lies between none of the ohmic current and all
        i = fraction * i_ohmic
        found = sum((i * resistance, concentration, *interface_losses(cell, i, walls, time)))
        return float(found - voltage) / (voltage - concentration)

    return float(i_ohmic * brentq(miss, 0.0, 1.0, xtol=1e-15, rtol=1e-13))


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

    @cached_property
    def _uniform(self) -> dict[float, tuple[float, float, float, float]]:
        return {}

    def uniform(self, c: float) -> tuple[float, float, float, float]:
        """kappa [S/m], D [m^2/s], M [mol/C] and dW/dln c [1] at one concentration [mol/m^3], evaluated once."""
        if c not in self._uniform:
            s = self.transport
            self._uniform[c] = float(s.kappa(c)), float(s.D(c)), float(s.migration(c)), float(s.potential_slope(c))
        return self._uniform[c]

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
        concentration = float(self.transport.concentration_voltage(c_positive, c_negative))
        return i * resistance, concentration, *interface_losses(self.cell, i, (c_positive, c_negative), time)

    def voltage(self, i: float, resistance: float, c_positive: float, c_negative: float, time: float) -> float:
        """The cell voltage [V]; arguments as in :meth:`parts`."""
        return float(sum(self.parts(i, resistance, c_positive, c_negative, time)))

    def current(self, voltage: float, resistance: float, c_positive: float, c_negative: float, time: float) -> float:
        """The current density [A/m^2] at which the cell shows `voltage` [V]; see :func:`balanced_current`."""
        concentration = float(self.transport.concentration_voltage(c_positive, c_negative))
        return balanced_current(self.cell, voltage, resistance, concentration, (c_positive, c_negative), time)

    def initial_current(self, voltage: float, c: float, time: float = 0.0) -> float:
        """i_0 [A/m^2] of `voltage` [V] on a uniform salt concentration `c` [mol/m^3]: before any time step."""
        cell = self.cell
        resistance = cell.thickness / (cell.separator.transport_factor * self.uniform(c)[0])
        if cell.positive.kinetics is None and cell.negative.kinetics is None:
            total = resistance + cell.positive.resistance.at(time) + cell.negative.resistance.at(time)
            return float(held_current(voltage, total, 0.0))  # uniform: no concentration part to integrate
        return self.current(voltage, resistance, c, c, time)
