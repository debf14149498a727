"""Double layers in closed form: how they charge, before the salt moves, and the impedance of a cell that has them.

A double layer of capacitance C_k lies beside each interfacial resistance R_k (none crosses a blocking electrode:
1/R_k = 0), in series with the electrolyte R_b and whatever interface has no double layer, R_s together. While the
concentrations are still uniform, with u_k the voltage across an interface::

    C_k du_k/dt = i - u_k/R_k,   i = (V - sum u_k)/R_s

so the current of a held voltage falls from V/R_s to i_0 = V/(R_s + sum R_k) by as many exponentials as there are double
layers, and a held current gives V = i [R_s + sum R_k (1 - exp(-t/(R_k C_k)))], i t/C_k where the electrode blocks.
Without a capacitance runs begin with i_0; with one they follow these equations (:mod:`cellsim.solvers.double_layers`).
The salt that a double layer stores is left aside: 10 uF/cm^2 at 0.1 V is as much as 0.1 nm of a solution of 1 mol/L.

References
----------
Bard & Faulkner, *Electrochemical Methods*, 2nd ed., section 1.2 (a resistance in series with a parallel R and C).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import mixture
from cellsim.model.closed_forms import Layer
from cellsim.model.plan import layer_of, plan_line
from cellsim.model.small_signals import current_response, impedance, interface_impedance

LEFT = 0.01
"""Share of i_0 by which a current may differ from it and count as i_0."""


@dataclass(frozen=True)
class Charging:
    """Interfaces with double layers, and what lies in series with them.

    Parameters
    ----------
    layer : Layer
        The electrolyte; its resistance is the sum of the interfaces.
    interfaces : tuple of float
        Resistance of each interface with a double layer, infinite where it blocks; those without one have no voltage
        to charge to [ohm m^2].
    capacitances : tuple of float
        Of these interfaces [F/m^2].
    series : float
        Electrolyte and interfaces without a double layer [ohm m^2].
    """

    layer: Layer
    interfaces: tuple[float, ...]
    capacitances: tuple[float, ...]
    series: float

    @classmethod
    def of(cls, cell: Cell, transport: TransportSet, c0: float, capacitance: float | None = None) -> Charging:
        """The double layers of a cell at the concentration `c0` [mol/m^3].

        Parameters
        ----------
        cell, transport, c0
            The cell, its set and the salt concentration [mol/m^3].
        capacitance : float, optional
            Of both double layers, in the place of the electrodes' own [F/m^2].

        Raises
        ------
        InputError
            A capacitance that is not positive.
        """
        if capacitance is not None and not (np.isfinite(capacitance) and capacitance > 0):
            raise InputError(f"--capacitance = {capacitance:.4g} F/m^2 must be positive")
        layer = layer_of(cell, transport, c0)
        sides = [
            (e.small_signal(c0, cell.temperature, 0.0), e.capacitance if capacitance is None else capacitance)
            for e in (cell.positive, cell.negative)
        ]
        charged = [(R, C) for R, C in sides if R > 0 and C > 0]
        series = layer.bulk_resistance + sum(R for R, C in sides if not C)
        return cls(layer, tuple(R for R, _ in charged), tuple(C for _, C in charged), series)

    @property
    def blocked(self) -> bool:
        """Whether no current lasts."""
        return bool(np.isinf(self.layer.resistance))

    @property
    def _rise(self) -> float:
        """Of the voltage per current density at a blocked cell, once the other interfaces are charged [m^2/F]."""
        pairs = zip(self.interfaces, self.capacitances, strict=True)
        return sum(1 / C for R, C in pairs if np.isinf(R))

    @cached_property
    def _decay(self) -> tuple[Array, Array]:
        """Rates [1/s] and amplitudes [1] of V/R_s = 1, i R_s/V = what lasts + sum of amplitudes exp(-rate t)."""
        root = np.sqrt(np.array(self.capacitances))
        matrix = (np.diag(1 / np.array(self.interfaces)) + 1 / self.series) / np.outer(root, root)
        rates, vectors = np.linalg.eigh(matrix)
        share = vectors.T @ (1 / root)
        moving = rates > 1e-12 * rates[-1]  # two blocked electrodes hold a charge between them for ever
        return rates[moving], (share**2)[moving] / (self.series * rates[moving])

    @cached_property
    def modes(self) -> tuple[Array, Array]:
        """Rates [1/s] and weights [1] of the exponentials that i/i_0 exceeds 1 by, slowest first.

        Where an electrode blocks and i_0 is none, of those that i R_s/V is the sum of.
        """
        rates, amplitudes = self._decay
        whole = 1.0 if self.blocked else self._whole / self.series
        return rates, amplitudes * whole

    @property
    def _whole(self) -> float:
        """R_b and all interfaces [ohm m^2]."""
        return self.layer.bulk_resistance + self.layer.resistance

    def current(self, voltage: float, t: ArrayLike) -> Array:
        """Current after a voltage step, the salt's small response taken as a factor [A/m^2].

        At a blocked cell, whose current ends before salt has moved, it is left out.

        Parameters
        ----------
        voltage : float
            Held [V].
        t : array_like, shape (n,)
            Time since the step, from 0 [s].
        """
        t = np.asarray(t, dtype=float)
        slow = np.full(t.shape, voltage / self.series) if self.blocked else current_response(self.layer, voltage, t)
        if not self.interfaces:
            return slow
        rates, weights = self.modes
        return np.asarray(slow * ((0.0 if self.blocked else 1.0) + np.exp(-t[..., None] * rates) @ weights))

    def voltage(self, i: float, t: ArrayLike) -> Array:
        """Voltage after a current step, before salt has moved, i [R_s + sum R_k (1 - exp(-t/(R_k C_k)))] [V].

        Parameters
        ----------
        i : float
            Held [A/m^2].
        t : array_like, shape (n,)
            Time since the step, from 0 [s].
        """
        t = np.asarray(t, dtype=float)
        found = np.full(t.shape, i * self.series)
        for R, C in zip(self.interfaces, self.capacitances, strict=True):
            found += i * (t / C if np.isinf(R) else -R * np.expm1(-t / (R * C)))
        return found

    @cached_property
    def charged(self) -> float:
        """When the double layers leave no more than :data:`LEFT` of i_0 on top of it; of V/R_s where one blocks [s]."""
        if not self.interfaces:
            return 0.0
        rates, weights = self.modes
        if weights.sum() <= LEFT:
            return 0.0
        return _crossing(lambda t: float(np.exp(-t * rates) @ weights) - LEFT, 1 / rates[-1])

    @cached_property
    def settled(self) -> float:
        """Five of the longest time constants, R C at rest and at a held current unless an electrode blocks [s]."""
        alone = [R * C for R, C in zip(self.interfaces, self.capacitances, strict=True) if np.isfinite(R)]
        return 5 * max([*alone, *(1 / self._decay[0][:1] if self.interfaces else [])], default=0.0)

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

    def times(self, protocol: Protocol) -> Array:
        """Moments at which a run shows how the double layers charge, after the beginning of each step [s].

        From a thirtieth of the fastest exponential to five of the slowest; of many steps of the first ones only.
        """
        if not self.interfaces:
            return np.empty(0)
        after = np.geomspace(0.03 / self.modes[0][-1], self.settled, 40)
        spans = protocol.spans()[:STEPS]
        return np.concatenate([begin + after[after < end - begin] for _, begin, end in spans])

    def lines(self, voltage: float | None) -> list[str]:
        """What `cellsim plan` says of it; `voltage` of the first step, None where that holds none."""
        sizes = " and ".join(f"{100 * C:.4g}" for C in dict.fromkeys(self.capacitances))
        both = "each electrode" if len(self.capacitances) != 1 else "one electrode"
        rows = [f"with a double layer of {sizes} uF/cm^2 at {both}"] if sizes else ["no interface for a double layer"]
        if self.blocked:
            rows += [
                "  an electrode blocks: no current lasts, and there is no steady state to plan",
                plan_line("conductivity", self.layer.kappa, "S/m", "free electrolyte, at c0"),
                plan_line("bulk resistance", self.layer.bulk_resistance, "ohm m^2", "separator included"),
                plan_line("time constant of a held voltage", 1 / self.modes[0][0], "s", "its slowest exponential"),
                plan_line(
                    "a held current of 1 A/m^2 raises V by", self._rise, "V/s", "without limit: use voltage_above"
                ),
            ]
        if voltage is None:
            return [*rows, "  the first step holds no voltage, so that there is no i_0 to read"]
        series = "V/R_b" if self.series == self.layer.bulk_resistance else "V/(R_b + R_int without a double layer)"
        rows.append(plan_line("current at the very start", voltage / self.series, "A/m^2", series))
        if self.blocked:
            stored = voltage / sum(
                1 / C for R, C in zip(self.interfaces, self.capacitances, strict=True) if np.isinf(R)
            )
            rows.append(plan_line("charge stored in the end", stored, "C/m^2", "V C"))
            return [*rows, plan_line("1 % of the first current is left after", self.charged, "s", "no salt has moved")]
        i_0 = voltage / self._whole
        rows.append(plan_line("i_0 of the formulas", i_0, "A/m^2", "V/(R_b + R_int)"))
        rows.append(plan_line("double layers charged", self.charged, "s", "to 1 % of i_0"))
        if np.isfinite(self.diffused):
            rows.append(plan_line("the salt has taken 1 % of i_0", self.diffused, "s", "small signals"))
        if self.charged < self.diffused:
            return [*rows, "  read i_0 between these two times; before and after it is another current"]
        told = "no reading is i_0 to 1 %: the salt moves before the double layers are charged"
        return [*rows, f"  {told}; take R_b and R_int by impedance"]


STEPS = 10
"""Protocol steps at whose beginning the charging of the double layers is kept."""


def electrode_impedance(electrode: Electrode, c: float, T: float, omega: ArrayLike) -> NDArray[np.complex128]:
    """Small-signal impedance of one interface: R/(1 + (i w R C)^phase), and 1/(C (i w)^phase) where it blocks.

    Parameters
    ----------
    electrode : Electrode
        With its resistance at the start, kinetics, capacitance and phase. Below a phase of 1 `C` is the capacitance at
        the top of the arc; of a blocking electrode at 1 rad/s.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].
    omega : array_like, shape (n,)
        Angular frequencies above zero [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Complex [ohm m^2].
    """
    omega = np.asarray(omega, dtype=float)
    if electrode.blocking:
        return np.asarray(1 / (electrode.capacitance * (1j * omega) ** electrode.phase))
    R = electrode.small_signal(c, T, 0.0)
    return interface_impedance(R, R * electrode.capacitance, omega, electrode.phase)


def cell_impedance(cell: Cell, transport: TransportSet, c: float, omega: ArrayLike) -> NDArray[np.complex128]:
    """Small-signal impedance of a cell with its double layers, the transform of what a run does after a small step.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    c : float
        Salt concentration [mol/m^3].
    omega : array_like, shape (n,)
        Angular frequencies above zero [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Impedance times area, complex [ohm m^2].

    References
    ----------
    :func:`cellsim.model.small_signals.impedance` and :func:`electrode_impedance` in series.
    """
    bare = Cell(cell.thickness, cell.temperature, separator=cell.separator)
    electrodes = (electrode_impedance(e, c, cell.temperature, omega) for e in (cell.positive, cell.negative))
    return np.asarray(impedance(layer_of(bare, transport, c), omega) + sum(electrodes))


def spectrum(
    cell: Cell, transport: TransportSet, c: float, per_decade: int = 10
) -> tuple[Array, NDArray[np.complex128]]:
    """:func:`cell_impedance` from below the slowest process of a cell to above its fastest.

    Parameters
    ----------
    cell, transport, c
        As of :func:`cell_impedance`.
    per_decade : int
        Points in a decade of frequency.

    Returns
    -------
    frequency : ndarray, shape (n,)
        Rising [Hz].
    Z : ndarray, shape (n,)
        Complex [ohm m^2].
    """
    layers = Charging.of(cell, transport, c)
    low = 0.2 * layers.layer.D_time / layers.layer.thickness**2
    high = 100 * max(layers.modes[0][-1] if layers.interfaces else 0.0, 10 * low)
    omega = np.geomspace(low, high, int(per_decade * np.log10(high / low)) + 1)
    return omega / (2 * np.pi), cell_impedance(cell, transport, c, omega)


def spectrum_of_species(
    cell: Cell, transport: MixtureSet, r: ArrayLike, per_decade: int = 10
) -> tuple[Array, NDArray[np.complex128]]:
    """As :func:`spectrum`, of n components: :func:`.mixture.impedance` and :func:`electrode_impedance` in series.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : MixtureSet
        The set.
    r : array_like, shape (K,)
        Composition [1].
    per_decade : int
        Points in a decade of frequency.

    Returns
    -------
    frequency : ndarray, shape (n,)
        Rising [Hz].
    Z : ndarray, shape (n,)
        Complex [ohm m^2].
    """
    layer = mixture.MixtureLayer.of(Cell(cell.thickness, cell.temperature, separator=cell.separator), transport, r)
    salt = float(transport.r_plus(r) * transport.c_0(r))
    sides = (cell.positive, cell.negative)
    resistances = [e.small_signal(salt, cell.temperature, 0.0) for e in sides]
    # no double layer charges faster than through its own resistance and the electrolyte side by side
    rates = [
        (1 / R + 1 / layer.bulk_resistance) / e.capacitance
        for e, R in zip(sides, resistances, strict=True)
        if R > 0 and e.capacitance > 0
    ]
    pace = 1 / (layer.macmullin * layer.porosity * layer.thickness**2)
    low, high = 0.2 * pace * layer.modes[0], 100 * max(*rates, 2 * pace * layer.modes[-1], 0.0)
    omega = np.geomspace(low, high, int(per_decade * np.log10(high / low)) + 1)
    electrodes = (electrode_impedance(e, salt, cell.temperature, omega) for e in sides)
    return omega / (2 * np.pi), np.asarray(mixture.impedance(layer, omega) + sum(electrodes))


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
