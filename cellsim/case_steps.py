"""The steps of a case: what ``[[step]]`` says, with the tables it follows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, cast

import numpy as np

from cellsim.cell import Cell
from cellsim.errors import InputError
from cellsim.protocol import Protocol, Step, StopConditions
from cellsim.readers.measured import Column, per_area, read_drive
from cellsim.schema import Table

Drive = Literal["voltage", "current"]


def named_file(table: Table, inputs: dict[str, str], key: str = "file") -> Path:
    """The file a key names, relative to the case; its SHA-256 is noted in `inputs`.

    Raises
    ------
    InputError
        If the key or the file is missing.
    """
    path = table.path(key)
    inputs[table.string(key)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def read_protocol(top: Table, cell: Cell, inputs: dict[str, str]) -> Protocol:
    """The steps of a case, ``[[step]]``.

    Parameters
    ----------
    top : Table
        The whole case.
    cell : Cell
        For the electrode area.
    inputs : dict
        Checksums, to which the files read are added.

    Returns
    -------
    Protocol

    Raises
    ------
    InputError
        With one sentence: file, key or row, value, what is allowed.
    """
    with top.located():
        return Protocol(tuple(_step(entry, cell, inputs) for entry in top.tables("step")))


def _step(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    if table.exactly_one("hold", "follow") == "follow":
        return _follow(table, cell, inputs)
    table.only("hold", "value", "duration", "stop")
    hold = table.choice("hold", ["voltage", "current", "rest"])
    if hold == "rest" and "value" in table:
        raise table.error("value", "has no place in a rest; leave it out")
    duration = table.quantity("duration", "s", above=0)
    drive: Drive = "voltage" if hold == "voltage" else "current"
    value = 0.0
    if hold != "rest":
        value = table.quantity("value", "V") if drive == "voltage" else _current(table, cell.area)
    return Step(
        drive, np.array([value]), duration, stop=_stop(table, drive), label=hold if hold == "rest" else f"hold {hold}"
    )


def _current(table: Table, area: float | None) -> float:
    """A current density, or a total current divided by the area [A/m^2]."""
    value = table.data.get("value")
    try:
        return table.quantity("value", "A/m^2")
    except InputError as error:
        if not isinstance(value, str):
            raise
        try:
            total = table.quantity("value", "A")
        except InputError:
            raise error from None
    return total / per_area(area, f"{table.where('value')} = {value!r}")


def _stop(table: Table, drive: Drive) -> StopConditions:
    stop = table.table("stop", {})
    units = {"current_below": "", "current_rate_below": "A/m^2/s", "c_below": "mol/m^3", "c_above": "mol/m^3"}
    limits = {"voltage_above": "V", "voltage_below": "V"}
    stop.only(*units, *limits)
    for key in stop:
        if drive == "current" and key.startswith("current"):
            raise stop.error(key, "has no place in a step whose current is imposed")
        if drive == "voltage" and key in limits:
            raise stop.error(key, "has no place in a step whose voltage is imposed")
    given = {key: stop.quantity(key, unit, None, above=0) for key, unit in units.items()}
    return StopConditions(**given, **{key: stop.quantity(key, unit, None) for key, unit in limits.items()})


def _follow(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    table.only("follow", "file", "time", "value", "duration", "other", "stop")
    drive = cast(Drive, table.choice("follow", ["current", "voltage"]))
    path = named_file(table, inputs)
    time_column = _column(table.table("time"))
    time, value = read_drive(
        path, time_column, _column(table.table("value")), drive, area=cell.area, field=table.where("value")
    )
    other = None
    if "other" in table:
        other_drive: Drive = "voltage" if drive == "current" else "current"
        column = _column(table.table("other"))
        other = read_drive(path, time_column, column, other_drive, area=cell.area, field=table.where("other"))
    end = float(time[-1])
    duration = table.quantity("duration", "s", end, above=0)
    if duration > end * (1 + 1e-9):
        raise table.error("duration", f"is longer than its table, which ends after {end:.6g} s")
    return Step(drive, value, duration, time, _stop(table, drive), other, f"follow {drive}")


def _column(table: Table) -> Column:
    table.only("column", "unit")
    return Column(table.string("column"), table.string("unit"))
