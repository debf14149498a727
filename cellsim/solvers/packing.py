"""What a run's compiled kernels read: one flat array of numbers, one of tables (places in kernels.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim import equations
from cellsim.cell import Cell
from cellsim.constants import F
from cellsim.kinetics import ButlerVolmer
from cellsim.protocol import Step
from cellsim.solvers import kernels as k
from cellsim.solvers.tabulate import U_MAX, PropertyTables, kinetic_tables, property_tables
from cellsim.transport import TransportSet

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """A limit: its code in kernels.py, its level and the size of the quantity it watches."""

    name: str
    code: int
    level: float
    size: float
    fatal: bool


@dataclass(frozen=True)
class Physics:
    """A cell and a set in the form compiled code reads, for any discretisation.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    c_initial : float
        Initial, uniform concentration [mol/m^3].
    c_floor : float
        Lowest concentration that has to be told from zero [mol/m^3].
    tolerance : float
        Mean relative error allowed to the tables.
    """

    cell: Cell
    transport: TransportSet
    c_initial: float
    c_floor: float
    tolerance: float

    @property
    def per_charge(self) -> float:
        """The states carry the charge passed times this [m^2/C]: as much salt, in units of half the cell's."""
        return 2 / (self.cell.separator.porosity * self.c_initial * self.cell.thickness * F)

    def tables(self) -> PropertyTables:
        """The set's tables over every concentration that may come up."""
        low, high = self.transport.c_range
        moves = self.transport.solvent_motion == "volume"
        saturation = self.transport.volumes.c_saturation if moves else np.inf
        if self.transport.extrapolate == "clamp":
            high = max(high, 20 * self.c_initial)
        high = min(high, 0.9999 * saturation, 1e3 * self.c_initial)
        return property_tables(self.transport, 0.5 * min(low, self.c_floor), high, self.tolerance)

    def pack(self, step: Step, t_start: float, grid: Mapping[int, float], events: tuple[Event, ...]) -> Array:
        """The numbers of one protocol step.

        Parameters
        ----------
        step : Step
            Drive.
        t_start : float
            Where it begins [s].
        grid : mapping
            Place -> number, of the discretisation.
        events : tuple of Event
            What to watch.

        Returns
        -------
        ndarray
        """
        tables = self.tables()
        head = np.zeros(k.HEADER)
        thickness = self.cell.thickness
        for place, number in grid.items():
            head[place] = number
        head[k.C_INIT] = self.c_initial
        head[k.RATE] = 2 / (self.cell.separator.porosity * self.c_initial * thickness)
        head[k.CHARGE] = self.per_charge
        head[k.SLOPE] = 2 * self.c_initial / thickness
        head[k.FACTOR] = self.cell.separator.transport_factor
        head[k.R_SCALE] = 0.5 * thickness / self.cell.separator.transport_factor
        head[k.K_T] = equations.thermal_voltage(self.transport)
        head[k.VOLTAGE] = float(step.drive == "voltage")
        head[k.T_START] = t_start
        head[k.TAB_START], head[k.TAB_PER_PITCH] = tables.start, 1 / tables.pitch
        head[k.TAB_N] = tables.cubics.shape[1]
        head[k.U_MAX] = U_MAX
        parts, end = [head], head.size

        def append(place: int, table: Array, count: int) -> None:
            nonlocal end
            head[place], head[place + 1] = end, count
            parts.append(table)
            end += table.size

        for place, time, values in (
            (k.DRIVE, step.time, step.value),
            (k.R_POS, self.cell.positive.resistance.time, self.cell.positive.resistance.value),
            (k.R_NEG, self.cell.negative.resistance.time, self.cell.negative.resistance.value),
        ):
            append(place, np.concatenate([np.zeros(1) if time is None else time, values]), values.size)
        append(k.EVENTS, np.array([[e.code, e.level, e.size] for e in events], dtype=float).ravel(), len(events))
        offset = tables.cubics.size
        for place, kinetics in self._kinetics():
            made = kinetic_tables(kinetics, self.cell.temperature, tables)
            head[place], head[place + 1] = offset, made.overpotential.shape[0]
            offset += made.exchange.size + made.overpotential.size
        return np.concatenate(parts)

    def pack_tables(self) -> Array:
        """All cubics, flat; not copied where there are no kinetics."""
        tables = self.tables()
        parts = [tables.cubics.ravel()]
        for _, kinetics in self._kinetics():
            made = kinetic_tables(kinetics, self.cell.temperature, tables)
            parts += [made.exchange.ravel(), made.overpotential.ravel()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _kinetics(self) -> list[tuple[int, ButlerVolmer]]:
        both = ((k.BV_POS, self.cell.positive.kinetics), (k.BV_NEG, self.cell.negative.kinetics))
        return [(place, kinetics) for place, kinetics in both if kinetics is not None]
