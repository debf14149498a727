"""The first milliseconds after a voltage step: double layers charge before the salt moves, and when i_0 can be read.

A double layer of capacitance C lies beside each interfacial resistance R_k, in series with the electrolyte R_b. While
the concentrations are still uniform, with v_k the voltage across an interface::

    C dv_k/dt = i - v_k/R_k,   i = (V - sum v_k)/R_b

so the current falls from V/R_b to i_0 = V/(R_b + sum R_k) by as many exponentials as there are interfaces. The solvers
have no double layer: their runs begin with i_0. The salt that a double layer stores is left aside; 10 uF/cm^2 at 0.1 V
is as much as 0.1 nm of a solution of 1 mol/L.

References
----------
Bard & Faulkner, *Electrochemical Methods*, 2nd ed., section 1.2 (a resistance in series with a parallel R and C).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.closed_forms import Layer
from cellsim.model.plan import layer_of, plan_line
from cellsim.model.small_signals import current_response

LEFT = 0.01
"""Share of i_0 by which a current may differ from it and count as i_0."""


@dataclass(frozen=True)
class Charging:
    """Two interfaces with double layers, and the electrolyte between them.

    Parameters
    ----------
    layer : Layer
        The electrolyte; its resistance is the sum of the interfaces.
    interfaces : tuple of float
        Resistance of each interface; those without one have no voltage to charge to [ohm m^2].
    capacitance : float
        Of each double layer [F/m^2].
    """

    layer: Layer
    interfaces: tuple[float, ...]
    capacitance: float

    @classmethod
    def of(cls, cell: Cell, transport: TransportSet, c0: float, capacitance: float) -> Charging:
        """The double layers of a cell at the concentration `c0` [mol/m^3].

        Raises
        ------
        InputError
            A capacitance that is not positive.
        """
        if not (np.isfinite(capacitance) and capacitance > 0):
            raise InputError(f"--capacitance = {capacitance:.4g} F/m^2 must be positive")
        sides = (e.small_signal(c0, cell.temperature, 0.0) for e in (cell.positive, cell.negative))
        return cls(layer_of(cell, transport, c0), tuple(R for R in sides if R > 0), capacitance)

    @cached_property
    def modes(self) -> tuple[Array, Array]:
        """Rates [1/s] and weights [1] of the exponentials that i/i_0 exceeds 1 by, slowest first."""
        R_b, n = self.layer.bulk_resistance, len(self.interfaces)
        matrix = (np.diag(1 / np.array(self.interfaces)) + 1 / R_b) / self.capacitance
        rates, vectors = np.linalg.eigh(matrix)
        share = vectors.T @ np.ones(n)
        whole = R_b + self.layer.resistance
        return rates, share**2 * whole / (R_b**2 * self.capacitance * rates)

    def current(self, voltage: float, t: ArrayLike) -> Array:
        """Current after a voltage step, the salt's small response taken as a factor [A/m^2].

        Parameters
        ----------
        voltage : float
            Held [V].
        t : array_like, shape (n,)
            Time since the step, from 0 [s].
        """
        t = np.asarray(t, dtype=float)
        slow = current_response(self.layer, voltage, t)
        if not self.interfaces:
            return slow
        rates, weights = self.modes
        return np.asarray(slow * (1 + np.exp(-t[..., None] * rates) @ weights))

    @cached_property
    def charged(self) -> float:
        """When the double layers leave no more than :data:`LEFT` of i_0 on top of it [s]."""
        if not self.interfaces:
            return 0.0
        rates, weights = self.modes
        if weights.sum() <= LEFT:
            return 0.0
        return _crossing(lambda t: float(np.exp(-t * rates) @ weights) - LEFT, 1 / rates[-1])

    @cached_property
    def diffused(self) -> float:
        """When the salt has taken :data:`LEFT` of i_0 away, small signals; infinite where it never does [s]."""
        layer = self.layer
        first = float(current_response(layer, 1.0, 0.0))
        end = first * (layer.bulk_resistance + layer.resistance)
        end /= layer.bulk_resistance + layer.resistance + layer.diffusion_resistance
        if end > (1 - LEFT) * first:
            return float("inf")
        scale = 1e-12 * layer.thickness**2 / layer.D_time
        return _crossing(lambda t: float(current_response(layer, 1.0, t)) / first - (1 - LEFT), scale)

    def lines(self, voltage: float | None) -> list[str]:
        """What `cellsim plan` says of it; `voltage` of the first step, None where that holds none."""
        rows = [f"with a double layer of {100 * self.capacitance:.4g} uF/cm^2 at each electrode"]
        if voltage is None:
            return [*rows, "  the first step holds no voltage, so that there is no i_0 to read"]
        i_0 = voltage / (self.layer.bulk_resistance + self.layer.resistance)
        rows.append(plan_line("current at the very start", voltage / self.layer.bulk_resistance, "A/m^2", "V/R_b"))
        rows.append(plan_line("i_0 of the formulas and of runs", i_0, "A/m^2", "V/(R_b + R_int)"))
        rows.append(plan_line("double layers charged", self.charged, "s", "to 1 % of i_0"))
        if np.isfinite(self.diffused):
            rows.append(plan_line("the salt has taken 1 % of i_0", self.diffused, "s", "small signals"))
        if self.charged < self.diffused:
            return [*rows, "  read i_0 between these two times; before and after it is another current"]
        told = "no reading is i_0 to 1 %: the salt moves before the double layers are charged"
        return [*rows, f"  {told}; take R_b and R_int by impedance"]


def _crossing(function: Callable[[float], float], start: float) -> float:
    """Where a falling function of time, positive at `start`, meets zero [s]."""
    from scipy.optimize import brentq

    low = start
    while function(low) < 0:
        low *= 0.1
    high = 10 * low
    while function(high) > 0:
        high *= 10
    return float(np.exp(brentq(lambda x: function(float(np.exp(x))), np.log(low), np.log(high), xtol=1e-12)))
