"""Delimited text tables with one header row: comma, semicolon or tab, decimal point or decimal comma."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.files.schema import did_you_mean

DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma"}


@dataclass(frozen=True)
class DataTable:
    """A table as text; columns become numbers when they are asked for, so columns of no interest may hold anything.

    Parameters
    ----------
    path : Path
        Where it was read, for messages.
    header : tuple of str
        Column names, as they stand in the first row.
    rows : tuple of list of str
        The cells, without the header.
    lines : tuple of int
        Line in the file of each row.
    delimiter : str
        ``","``, ``";"`` or a tab. With the last two a comma inside a number is a decimal comma.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[list[str], ...]
    lines: tuple[int, ...]
    delimiter: str

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: k for k, name in reversed(list(enumerate(self.header)))}

    def find(self, name: str) -> int:
        """The place of the column `name`.

        Raises
        ------
        InputError
            If there is none, with the column that comes closest, or several.
        """
        if name not in self._index:
            raise InputError(f'{self.path}: no column "{name}"{did_you_mean(name, self.header)}')
        if self.header.count(name) > 1:
            raise InputError(f'{self.path}: column "{name}" stands there {self.header.count(name)} times')
        return self._index[name]

    def column(self, name: str, factor: float = 1.0) -> Array:
        """The numbers of one column, times `factor`.

        Parameters
        ----------
        name : str
            The column, as the header has it.
        factor : float
            What the tabulated numbers are multiplied by, such as a unit in SI.

        Returns
        -------
        ndarray, shape (rows,)

        Raises
        ------
        InputError
            No such column, an empty cell, a cell that is not a number, or one that is not finite.
        """
        return self.numbers(self.find(name)) * factor

    def numbers(self, k: int) -> Array:
        """The numbers of column number `k`, counted from 0; raises as :meth:`column` does."""
        return np.array([self._number(row, k, line) for row, line in zip(self.rows, self.lines, strict=True)])

    def _number(self, row: list[str], k: int, line: int) -> float:
        text = row[k].strip()
        where = f'{self.path}: row {line}, column "{self.header[k]}"'
        if not text:
            raise InputError(f"{where} is empty; fill it or take the row out")
        number = parse_number(text, self.delimiter)
        if number is None:
            raise InputError(f"{where}: {text!r} is not a number")
        if not math.isfinite(number):
            raise InputError(f"{where}: {text!r} is not a finite number; fill it or take the row out")
        return number

    def increasing(self, values: Array, name: str) -> None:
        """Refuse `values` of the column `name` unless they increase strictly.

        Raises
        ------
        InputError
            With the first row that does not.
        """
        bad = np.flatnonzero(np.diff(values) <= 0)
        if bad.size:
            k = int(bad[0]) + 1
            how = "repeats" if values[k] == values[k - 1] else "falls below"
            raise InputError(
                f'{self.path}: row {self.lines[k]}: "{name}" {how} the value of row {self.lines[k - 1]}; '
                "it must increase strictly, take one of the rows out"
            )


def parse_number(text: str, delimiter: str = ",") -> float | None:
    """A number as written in a file of that delimiter, or None where `text` is not one.

    Examples
    --------
    >>> parse_number("1,5e-3", ";")
    0.0015
    >>> parse_number("1.234,5", ";") is None
    True
    """
    if "," in text:
        if delimiter == "," or "." in text or text.count(",") > 1:
            return None
        text = text.replace(",", ".")
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def read_table(path: str | Path) -> DataTable:
    """Read a delimited text file with a header row.

    Lines that begin with ``#`` and empty lines are passed over. The delimiter is the one of tab, semicolon and comma
    (in this order) by which the rows agree best with the header.

    Parameters
    ----------
    path : str or Path
        The file, UTF-8 or Windows-1252.

    Returns
    -------
    DataTable

    Raises
    ------
    InputError
        Missing or binary file, no header, no rows, or a row with another number of columns than the header.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if b"\0" in raw:
        raise InputError(f"{path}: not a text table")
    return parse_table(_decode(raw), path)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def parse_table(text: str, path: str | Path = "<text>") -> DataTable:
    """The same for text already in memory; `path` stands in messages. Raises as :func:`read_table` does."""
    path = Path(path)
    numbered = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError(f"{path}: the table is empty; its first row names the columns")
    delimiter = _delimiter([line for _, line in numbered])
    cells = [(k, _split(line, delimiter)) for k, line in numbered]
    header = tuple(name.strip() for name in cells[0][1])
    if all(parse_number(name, delimiter) is not None for name in header):
        raise InputError(f"{path}: row {cells[0][0]} holds numbers; the first row must name the columns")
    if len(cells) < 2:
        raise InputError(f"{path}: the table has a header and no rows")
    for line, row in cells[1:]:
        if len(row) != len(header):
            raise InputError(
                f"{path}: row {line} has {len(row)} cells, its header {len(header)} "
                f"(delimiter: {DELIMITERS[delimiter]})"
            )
    return DataTable(path, header, tuple(row for _, row in cells[1:]), tuple(k for k, _ in cells[1:]), delimiter)


def _delimiter(lines: list[str]) -> str:
    """The delimiter by which most rows have as many cells as the header, of those that part the header at all."""
    agreement = {}
    for delimiter in DELIMITERS:
        cells = len(_split(lines[0], delimiter))
        if cells > 1:
            agreement[delimiter] = sum(len(_split(line, delimiter)) == cells for line in lines[1:])
    return max(agreement, key=lambda delimiter: agreement[delimiter]) if agreement else ","


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=delimiter, skipinitialspace=True))


def unit_factor(unit: str, si_units: Sequence[str], *, field: str) -> tuple[float, str]:
    """The factor of `unit` to the first of `si_units` it has the dimension of, and that SI unit.

    Raises
    ------
    InputError
        If it has none of these dimensions.

    Examples
    --------
    >>> unit_factor("mA", ["A/m^2", "A"], field="unit")
    (0.001, 'A')
    """
    first: InputError | None = None
    for si_unit in si_units:
        try:
            return factor_to_si(unit, si_unit, field=field), si_unit
        except InputError as error:
            first = first or error
    raise first or InputError(f"{field} = {unit!r} is not understood")
