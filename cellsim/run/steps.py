"""The steps of a case, ``[[step]]``: read from its file, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import numpy as np

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import LISTED, Protocol, Step, StopConditions, numbered, ramp, with_jumps
from cellsim.files.folder import file_hash
from cellsim.files.schema import Table
from cellsim.instruments.headings import read_column
from cellsim.instruments.potentiostat import first_time, per_area, read_drive
from cellsim.instruments.tables import read_table

Drive = Literal["voltage", "current"]


def named_file(table: Table, inputs: dict[str, str], key: str = "file") -> Path:
    """The file a key names, relative to the case; its SHA-256 is noted in `inputs`.

    Raises
    ------
    InputError
        If the key or the file is missing.
    """
    path = table.path(key)
    inputs[table.string(key)] = file_hash(path)
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
        return Protocol(tuple(_steps(top.tables("step"), cell, inputs)))


MOST_REPEATED = 10_000
"""Steps that a case may come to with its repeats written out."""


def _steps(tables: list[Table], cell: Cell, inputs: dict[str, str]) -> list[Step]:
    """Steps in order, groups that repeat written out."""
    steps: list[Step] = []
    for table in tables:
        if "repeat" not in table:
            steps.append(_step(table, cell, inputs))
            continue
        table.only("repeat", "step")
        times = table.integer("repeat", least=1)
        group = _steps(table.tables("step"), cell, inputs)
        if not group:
            raise table.error("repeat", "has no [[step.step]] below it that it could repeat")
        if len(steps) + times * len(group) > MOST_REPEATED:
            raise table.error("repeat", f"makes more than {MOST_REPEATED} steps; take fewer")
        steps += times * group
    return steps


def _step(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    match table.exactly_one("hold", "ramp", "follow"):
        case "follow":
            return _follow(table, cell, inputs)
        case "ramp":
            return _ramp(table, cell)
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
        drive,
        np.array([value]),
        duration,
        stop=_stop(table, drive, cell.area),
        label=hold if hold == "rest" else f"hold {hold}",
    )


def _current(table: Table, area: float | None) -> float:
    """A current density, or a total current divided by the area [A/m^2]."""
    return _per_area(table, "value", "A/m^2", "A", area)


def _per_area(table: Table, key: str, unit: str, total_unit: str, area: float | None) -> float:
    """A quantity per electrode area in `unit`, or one of the whole cell in `total_unit` divided by the area."""
    value = table.data.get(key)
    try:
        return table.quantity(key, unit)
    except InputError as error:
        if not isinstance(value, str):
            raise
        try:
            total = table.quantity(key, total_unit)
        except InputError:
            raise error from None
    return total / per_area(area, f"{table.where(key)} = {value!r}")


def _ramp(table: Table, cell: Cell) -> Step:
    table.only("ramp", "from", "to", "rate", "stop")
    drive = cast(Drive, table.choice("ramp", ["voltage", "current"]))
    unit, total = ("V", None) if drive == "voltage" else ("A/m^2", "A")
    begin, end, rate = (
        table.quantity(key, per) if total is None else _per_area(table, key, per, total + more, cell.area)
        for key, per, more in (("from", unit, ""), ("to", unit, ""), ("rate", f"{unit}/s", "/s"))
    )
    if rate <= 0:
        raise table.error("rate", "must be positive, also for a sweep downwards")
    if begin == end:
        raise table.error("to", "is where the ramp begins; hold that value instead")
    return ramp(drive, begin, end, rate, _stop(table, drive, cell.area))


def _stop(table: Table, drive: Drive, area: float | None) -> StopConditions:
    stop = table.table("stop", {})
    units = {"current_below": "", "current_rate_below": "A/m^2/s", "c_below": "mol/m^3", "c_above": "mol/m^3"}
    units |= {"voltage_rate_below": "V/s", "current_relative_rate_below": "1/s"}
    limits = {"voltage_above": "V", "voltage_below": "V"}
    per_area = {"current_density_below": ("A/m^2", "A"), "charge_above": ("C/m^2", "C")}
    stop.only(*units, *limits, *per_area)
    for key in stop:
        if drive == "current" and key.startswith("current"):
            raise stop.error(key, "has no place in a step whose current is imposed")
        if drive == "voltage" and key.startswith("voltage"):
            raise stop.error(key, "has no place in a step whose voltage is imposed")
    given = {key: stop.quantity(key, unit, None, above=0) for key, unit in units.items()}
    given |= {key: stop.quantity(key, unit, None) for key, unit in limits.items()}
    for key, (unit, total) in per_area.items():
        if key in stop and (value := _per_area(stop, key, unit, total, area)) <= 0:
            raise stop.error(key, "must be positive; it is compared with the magnitude")
        given[key] = value if key in stop else None
    return StopConditions(**given)


def _follow(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    table.only("follow", "file", "time", "value", "between", "duration", "other", "stop")
    drive = cast(Drive, table.choice("follow", ["current", "voltage"]))
    data, clock = read_table(named_file(table, inputs)), read_column(table, "time")
    time, value = read_drive(
        data, clock, read_column(table, "value"), drive, area=cell.area, field=table.where("value")
    )
    other = None
    if "other" in table:
        imposed_by: Drive = "voltage" if drive == "current" else "current"
        column = read_column(table, "other")
        other = read_drive(data, clock, column, imposed_by, area=cell.area, field=table.where("other"))
    end = float(time[-1])
    duration = table.quantity("duration", "s", end, above=0)
    if duration > end * (1 + 1e-9):
        raise table.error("duration", f"is longer than its table, which ends after {end:.6g} s")
    began = first_time(data, clock, field=table.where("time.unit"))
    if end == 0:
        raise table.error("file", "has all its rows at one time")
    time, value = with_jumps(time, value, held=table.choice("between", ["linear", "hold"], "linear") == "hold")
    return Step(drive, value, duration, time, _stop(table, drive, cell.area), other, f"follow {drive}", began)


# ---- in words ------------------------------------------------------------------------------------------------------

STOP_UNITS = {
    "current_below": "of the initial current",
    "current_rate_below": "A/m^2/s",
    "c_below": "mol/m^3",
    "c_above": "mol/m^3",
    "voltage_above": "V",
    "voltage_below": "V",
    "current_density_below": "A/m^2",
    "charge_above": "C/m^2",
    "voltage_rate_below": "V/s",
    "current_relative_rate_below": "1/s",
}


def duration(seconds: float) -> str:
    """A time span with a unit that suits it.

    Examples
    --------
    >>> duration(90), duration(60000), duration(300000)
    ('90 s', '1000 min', '83.33 h')
    """
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 100_000 else f"{seconds / 3600:.4g} h"


def step_lines(steps: Sequence[Step]) -> list[str]:
    """One line per step, or, of many, one per kind of step with the numbers of all that are alike."""
    words = [_step_words(step) for step in steps]
    if len(steps) <= LISTED:
        return [f"step {k}        {text}" for k, text in enumerate(words, 1)]
    numbers: dict[str, list[int]] = {}
    for k, text in enumerate(words, 1):
        numbers.setdefault(text, []).append(k)
    lines = [f"steps         {len(steps)} in all, {len(numbers)} different"]
    lines += [f"{numbered(k):<13} {text}" for text, k in islice(numbers.items(), LISTED)]
    return lines + ([f"              and {len(numbers) - LISTED} more kinds"] if len(numbers) > LISTED else [])


def _step_words(step: Step) -> str:
    unit = "V" if step.drive == "voltage" else "A/m^2"
    if step.label.startswith("ramp"):
        text = f"ramp from {step.value[0]:.4g} to {step.value[-1]:.4g} {unit}"
    elif step.time is not None:
        text = f"follow a {step.drive} of {step.value.min():.4g} to {step.value.max():.4g} {unit}"
        text += f", {step.value.size} points"
        if step.began:
            text += f" from {duration(step.began)} of its file on"
    elif step.is_rest:
        text = "rest"
    else:
        text = f"hold {step.value[0]:.4g} {unit}"
    text += f", {duration(step.duration)}"
    stops = [f"{key.replace('_', ' ')} {value:.4g} {STOP_UNITS[key]}" for key, value in step.stop.given.items()]
    return text + (f"; stop when {' or '.join(stops)}" if stops else "")
