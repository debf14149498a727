"""What a case takes from files: tables that drive a step, resistances in time, and data drawn over a prediction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.instruments.tables import DataTable, parse_number, read_table, unit_factor

Kind = Literal["profile", "current", "voltage"]

SI_OF_KIND = {"profile": ["mol/m^3"], "current": ["A/m^2", "A"], "voltage": ["V"]}


@dataclass(frozen=True)
class Measured:
    """Data to draw over a prediction; never imposed on it.

    Parameters
    ----------
    kind : {"profile", "current", "voltage"}
        What was measured.
    time : ndarray, shape (n,)
        [s] from the start of the run.
    value : ndarray, shape (n,) or (n, k)
        Current density [A/m^2] or voltage [V]; for a profile concentrations [mol/m^3] at the positions.
    position : ndarray, shape (k,), optional
        Profiles only: distance from the positive interface at t = 0, in the lab frame [m].
    error : float, optional
        One standard error of every point, in the unit of `value`.
    label : str
        For the legend.
    """

    kind: Kind
    time: Array
    value: Array
    position: Array | None = None
    error: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table and the unit its numbers are in."""

    name: str
    unit: str

    @classmethod
    def from_header(cls, text: str, *, field: str) -> Column:
        """A column whose name carries its unit: ``"R (ohm cm^2)"``, ``"t [h]"``.

        Raises
        ------
        InputError
            If no unit stands in parentheses at the end.
        """
        found = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", text)
        if not found:
            raise InputError(f'{field} = {text!r} names no unit; write the column as "t (h)"')
        return cls(text, found.group(1).strip())


def _values(table: DataTable, column: Column, si_units: list[str], area: float | None, field: str) -> Array:
    """A column in the first of `si_units`; in A it is divided by the area."""
    factor, si_unit = unit_factor(column.unit, si_units, field=f"{field}.unit")
    if si_unit == "A" and "A/m^2" in si_units:
        factor /= per_area(area, f"{field}.unit = {column.unit!r}")
    return table.column(column.name, factor)


def per_area(area: float | None, what: str) -> float:
    """The electrode area [m^2], or the complaint that `what` needs it.

    Raises
    ------
    InputError
        If `area` is None.
    """
    if area is None:
        raise InputError(f"{what} is a total current, which needs cell.area; give it, or a current density in A/m^2")
    return area


def read_drive(
    path: Path, time: Column, value: Column, drive: Literal["current", "voltage"], *, area: float | None, field: str
) -> tuple[Array, Array]:
    """A table of U(t) or I(t).

    Parameters
    ----------
    path : Path
        The file.
    time, value : Column
        Its columns and their units.
    drive : {"current", "voltage"}
        What `value` is.
    area : float or None
        Electrode area [m^2], for a value in A.
    field : str
        The case's key of `value`, for messages; ``time`` stands beside it.

    Returns
    -------
    time : ndarray, shape (n,)
        [s], relative to the first time of the table.
    value : ndarray, shape (n,)
        [A/m^2] or [V].

    Raises
    ------
    InputError
        Anything missing or not a number, times that do not increase strictly, a current in A without an area.
    """
    table = read_table(path)
    beside = f"{field.rpartition('.')[0]}.time.unit"
    t = table.column(time.name, factor_to_si(time.unit, "s", field=beside))
    table.increasing(t, time.name)
    if t.size < 2:
        raise InputError(f"{path}: a table to follow needs at least two rows")
    return t - t[0], _values(table, value, SI_OF_KIND[drive], area, field)


def read_resistance(path: Path, time: Column, value: Column, *, field: str) -> tuple[Array, Array]:
    """A table of area-specific resistance in time.

    Parameters
    ----------
    path : Path
        The file.
    time, value : Column
        Its columns; times count from the start of the run.
    field : str
        For messages.

    Returns
    -------
    time : ndarray, shape (n,)
        [s]
    resistance : ndarray, shape (n,)
        [ohm m^2]

    Raises
    ------
    InputError
        Anything missing or not a number, times that do not increase strictly, a negative resistance.
    """
    table = read_table(path)
    t = table.column(time.name, factor_to_si(time.unit, "s", field=f"{field}.time"))
    table.increasing(t, time.name)
    r = table.column(value.name, factor_to_si(value.unit, "ohm m^2", field=f"{field}.value"))
    if np.any(r < 0):
        raise InputError(
            f'{path}: row {table.lines[int(np.argmax(r < 0))]}: "{value.name}" is negative; '
            "a resistance must not be negative"
        )
    return t, r


def read_series(
    path: Path, kind: Literal["current", "voltage"], *, unit: str, time_unit: str, area: float | None, field: str
) -> tuple[Array, Array]:
    """A measured current or voltage: first column time, second column the value.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"current", "voltage"}
        What the second column holds.
    unit, time_unit : str
        Of the tabulated numbers.
    area : float or None
        Electrode area [m^2], for a unit of A.
    field : str
        For messages.

    Returns
    -------
    time : ndarray, shape (n,)
        [s] from the start of the run.
    value : ndarray, shape (n,)
        [A/m^2] or [V].

    Raises
    ------
    InputError
        Fewer than two columns, anything that is not a number, times that do not increase strictly.
    """
    table = read_table(path)
    if len(table.header) < 2:
        raise InputError(f"{path}: needs two columns, time and {kind}")
    t = table.numbers(0) * factor_to_si(time_unit, "s", field=f"{field}.time_unit")
    table.increasing(t, table.header[0])
    return t, _values(table, Column(table.header[1], unit), SI_OF_KIND[kind], area, field)


def read_profile(
    path: Path, *, unit: str, position_unit: str, time_unit: str, field: str
) -> tuple[Array, Array, Array]:
    """Measured profiles: first column position, then one column per time, headed by that time.

    Parameters
    ----------
    path : Path
        The file.
    unit, position_unit, time_unit : str
        Of values, positions and the times in the header.
    field : str
        For messages.

    Returns
    -------
    time : ndarray, shape (n,)
        [s]
    position : ndarray, shape (k,)
        As tabulated, from the origin of the file's positions [m].
    value : ndarray, shape (n, k)
        [mol/m^3]

    Raises
    ------
    InputError
        A header that is not a time, times or positions that do not increase strictly, anything not a number.
    """
    table = read_table(path)
    times = []
    for name in table.header[1:]:
        number = parse_number(name, table.delimiter)
        if number is None or not np.isfinite(number):
            raise InputError(f'{path}: column "{name}" must be headed by its time, a number in {time_unit}')
        times.append(number)
    if not times:
        raise InputError(f"{path}: needs a column of positions and at least one profile, headed by its time")
    t = np.array(times) * factor_to_si(time_unit, "s", field=f"{field}.time_unit")
    if np.any(np.diff(t) <= 0):
        k = int(np.argmax(np.diff(t) <= 0)) + 2
        raise InputError(f'{path}: the times in the header must increase strictly; "{table.header[k]}" does not')
    x = table.numbers(0) * factor_to_si(position_unit, "m", field=f"{field}.position_unit")
    table.increasing(x, table.header[0])
    factor = factor_to_si(unit, "mol/m^3", field=f"{field}.unit")
    return t, x, np.stack([table.numbers(k) for k in range(1, len(table.header))]) * factor
