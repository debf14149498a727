"""What a sweep is made of: keys with their values, from a command line or a file (docs/sweep.md)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, factor_to_si, shown, to_si
from cellsim.drawing import figstyle
from cellsim.files.schema import Table, assignment, read_toml, toml_value
from cellsim.run.case import bare, changed

MOST = 100_000
"""Runs of one sweep."""


@dataclass(frozen=True)
class Axis:
    """One key and its values.

    Parameters
    ----------
    key : str
        As :func:`.changed` takes it.
    values : tuple
        As TOML has them: "1 mm", 0.3, "steinruck2020_rs".
    """

    key: str
    values: tuple[Any, ...]

    @property
    def unit(self) -> str | None:
        """The unit of the first value, "" for bare numbers; None where the values are no numbers."""
        return _split(self.values[0])[1] if self.numbers is not None else None

    @property
    def numbers(self) -> Array | None:
        """The values in the unit of the first, None where they are no numbers."""
        parts = [_split(value) for value in self.values]
        if any(number is None for number, _ in parts):
            return None
        unit, numbers = parts[0][1], []
        for number, own in parts:
            if own != unit:
                try:
                    number = to_si(f"{number!r} {own}", unit, field=self.key)
                except InputError:
                    return None
            numbers.append(number)
        return np.array(numbers, dtype=float)

    @property
    def label(self) -> str:
        """Name and unit, for figures."""
        return figstyle.label(self.key.rsplit(".", 1)[-1] if "[" not in self.key else self.key, self.unit or "")

    def texts(self) -> list[str]:
        """The values as people write them."""
        return [words_of(value) for value in self.values]


def words_of(value: Any) -> str:
    """A value as people write it, numbers with five digits."""
    number, unit = _split(value)
    return str(value) if number is None else f"{number:.5g} {unit}".rstrip()


def _split(value: Any) -> tuple[float | None, str]:
    """Number and unit of a value; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, ""
    if not isinstance(value, str):
        return float(value), ""
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*", value)
    return (float(match[1]), match[2]) if match else (None, "")


_RANGE = re.compile(r"(?P<begin>.+?)\s+to\s+(?P<end>.+?)\s+in\s+(?P<number>\d+)(?P<log>\s+log)?\s*")


def read_axis(text: str) -> Axis:
    """An axis from a command line.

    ``thickness=0.5 mm, 1 mm, 2 mm`` (a unit at the last value serves those before it), ``voltage=0.1 V to 0.5 V in 5``,
    ``current=0.1 to 10 A/m^2 in 7 log``.

    Raises
    ------
    InputError
        No "=", no values, a range whose ends are no numbers.
    """
    key, value = assignment(text)
    if isinstance(value, list):
        return Axis(key, tuple(value))
    value = text.partition("=")[2].strip()
    if match := _RANGE.fullmatch(value):
        return Axis(key, _range(key, match["begin"], match["end"], int(match["number"]), bool(match["log"])))
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise InputError(f"{key}: {shown(value)} has an empty value; separate values by commas")
    unit = _split(parts[-1])[1]
    if unit and all(_split(part)[0] is not None and not _split(part)[1] for part in parts[:-1]):
        parts = [*(f"{part} {unit}" for part in parts[:-1]), parts[-1]]
    return Axis(key, tuple(toml_value(part) for part in parts))


def _range(key: str, begin: Any, end: Any, number: int, log: bool) -> tuple[Any, ...]:
    (a, unit_a), (b, unit_b) = _split(begin), _split(end)
    unit_a = unit_a or unit_b
    if a is None or b is None:
        raise InputError(f"{key}: a range goes from a number to a number, such as 0.1 V to 0.5 V in 5")
    if unit_a != unit_b:
        b = b * factor_to_si(unit_b, unit_a, field=key)
    if not 2 <= number <= MOST:
        raise InputError(f"{key}: a range needs 2 to {MOST} values, not {number}")
    if log and a * b <= 0:
        raise InputError(f"{key}: a logarithmic range needs ends of one sign that are not zero")
    values = np.geomspace(a, b, number) if log else np.linspace(a, b, number)
    return tuple(f"{value:.12g} {unit_a}" if unit_a else float(f"{value:.12g}") for value in values)


@dataclass(frozen=True)
class Sweep:
    """A case and what is swept.

    Parameters
    ----------
    top : Table
        The case's file, changed where asked.
    axes : tuple of Axis
        At least one.
    paired : bool
        The values of all axes go together, one by one, in place of every combination.
    """

    top: Table
    axes: tuple[Axis, ...]
    paired: bool = False

    def __post_init__(self) -> None:
        if not self.axes:
            raise InputError(f"{self.top.file}: nothing to sweep; say --over KEY=VALUES")
        names = [axis.key for axis in self.axes]
        if len(set(names)) < len(names):
            raise InputError(f"{self.top.file}: {names} names a key twice; sweep each key once")
        for axis in self.axes:
            if not axis.values:
                raise InputError(f"{self.top.file}: {axis.key} has no values")
        if self.paired and len({len(axis.values) for axis in self.axes}) > 1:
            sizes = ", ".join(f"{axis.key}: {len(axis.values)}" for axis in self.axes)
            raise InputError(f"{self.top.file}: paired axes need as many values each ({sizes})")
        if np.prod(self.shape) > MOST:
            raise InputError(f"{self.top.file}: {np.prod(self.shape)} runs; at most {MOST} are made in one sweep")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the results: one dimension per axis, or one where they are paired."""
        sizes = tuple(len(axis.values) for axis in self.axes)
        return sizes[:1] if self.paired else sizes

    def points(self) -> list[dict[str, Any]]:
        """Key -> value of every run, in the order of the results."""
        columns = [axis.values for axis in self.axes]
        rows = zip(*columns, strict=True) if self.paired else itertools.product(*columns)
        return [dict(zip((axis.key for axis in self.axes), row, strict=True)) for row in rows]

    def words(self, point: Mapping[str, Any]) -> str:
        """The values of one run, for people."""
        return ", ".join(f"{key} = {words_of(value)}" for key, value in point.items())


def read_sweep(
    path: str | Path, over: Sequence[str] = (), settings: Sequence[str] = (), *, paired: bool = False
) -> Sweep:
    """A sweep from a command line: a case, or a file that names a case and what to sweep.

    Parameters
    ----------
    path : str or Path
        A case, or a TOML file with ``case``, ``[over]``, and if wanted ``paired`` and ``[set]``.
    over : sequence of str
        Axes, see :func:`read_axis`.
    settings : sequence of str
        ``KEY=VALUE`` that hold for all runs.
    paired : bool
        See :class:`Sweep`.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        Anything wrong in what is named.
    """
    top = read_toml(path)
    axes = [read_axis(text) for text in over]
    changes = dict(assignment(text) for text in settings)
    if "over" in top:
        top.only("case", "over", "paired", "set")
        table = top.table("over")
        axes = [*(_axis(table, key) for key in table), *axes]
        changes = {**top.table("set", {}).data, **changes}
        paired = paired or top.boolean("paired", False)
        top = read_toml(top.path("case"))
    # what is drawn of one run, and what was measured in it, has no place in many
    return Sweep(changed(bare(top), changes), tuple(axes), paired)


def _axis(table: Table, key: str) -> Axis:
    value = table.data[key]
    if isinstance(value, str):
        return read_axis(f"{key}={value}")
    if not isinstance(value, list):
        raise table.error(key, 'must be a list of values or a text such as "0.1 V to 0.5 V in 5"')
    return Axis(key, tuple(value))
