"""Delimited text tables with one header row: comma, semicolon or tab, decimal point or comma.

The headings of their columns are in `headings`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, shortened, shown
from cellsim.files.reading import read_bytes
from cellsim.files.schema import did_you_mean
from cellsim.instruments.headings import Column

DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma"}
MISSING = ("", "nan", "na", "n/a", "-")
"""What stands in a cell for a point that was not measured, where points may be missing."""
BEYOND = 1e100
"""No measurement in any unit reaches it; squares of larger numbers overflow."""

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?|[+-]?[.,]\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


# ---- tables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataTable:
    """A table as text; columns become numbers when they are asked for, so columns of no interest may hold anything.

    Parameters
    ----------
    path : Path
        Where it was read, for messages.
    header : tuple of str
        Headings, as they stand in the first row.
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
    def columns(self) -> tuple[Column, ...]:
        """The columns with the units of their headings."""
        return tuple(Column.parse(heading) for heading in self.header)

    def find(self, heading: str, *, by_name: bool = False) -> int:
        """The place of a column by its heading, or, where `by_name` allows it, by its name without the unit.

        Raises
        ------
        InputError
            If there is none, with the column that comes closest, or several.
        """
        for headings in (self.header, tuple(column.name for column in self.columns))[: 2 if by_name else 1]:
            if headings.count(heading) > 1:
                raise InputError(f'{self.path}: column "{heading}" occurs {headings.count(heading)} times')
            if heading in headings:
                return headings.index(heading)
        raise InputError(f'{self.path}: no column "{heading}"{did_you_mean(heading, self.header)}')

    def column(self, heading: str, factor: float = 1.0) -> Array:
        """The numbers of one column, times `factor`.

        Parameters
        ----------
        heading : str
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
        return self.numbers(self.find(heading)) * factor

    def quantity(self, names: Sequence[str], si_units: Sequence[str], *, gaps: bool = False) -> Array | None:
        """The column of one of `names`, whatever their case, in the first of `si_units` its heading fits; None: none.

        With `gaps`, an empty cell or one that says NaN is NaN, as of a point that was not measured.

        Raises
        ------
        InputError
            A unit of another dimension, decimal marks that are mixed or ambiguous, anything that is not a number.
        """
        wanted = {name.lower() for name in names}
        for k, column in enumerate(self.columns):
            if column.name.lower() in wanted:
                where = f'{self.path}: column "{column.heading}"'
                if not column.unit and "" not in si_units:
                    raise InputError(f'{where} names no unit; write "{column.name} ({si_units[0]})"')
                decimal_mark(self.cells(k), where)
                return self.numbers(k, gaps=gaps) * column.factor(si_units, field=where)[0]
        return None

    def errors(self, si_units: Sequence[str], value: Array | None = None, *, of: Sequence[str] = ()) -> Array | None:
        """The standard errors in a column named as one, "error" or "I_error" or "sigma_c"; None without such a column.

        Parameters
        ----------
        si_units : sequence of str
            What their unit may be; the column of another dimension belongs to another quantity.
        value : ndarray, shape (rows,), optional
            Of the quantity; where it is NaN, the error may be missing as well.
        of : sequence of str
            Names of the quantity, lower case: of several columns that fit, the one that has such a name in it, and none
            that has the name of another column in it.

        Returns
        -------
        ndarray, shape (rows,), or None
            In the first of `si_units` the heading fits.

        Raises
        ------
        InputError
            Two such columns, an error without a unit where one is needed, one that is not positive, and as
            :meth:`quantity`.
        """
        named = [k for k, column in enumerate(self.columns) if is_error(column.name)]
        bare = [k for k in named if not self.columns[k].unit and "" not in si_units]
        fitting = [k for k in named if k not in bare and self.columns[k].fits(si_units)]
        if of:
            whose = {k: _whose(self.columns[k].name) for k in fitting}
            others = {column.name.lower() for k, column in enumerate(self.columns) if k not in named} - set(of)
            fitting = [k for k in fitting if whose[k] in of] or [k for k in fitting if whose[k] not in others]
        if len(fitting) > 1:
            listed = shortened(" and ".join(f'"{self.header[k]}"' for k in fitting), 300)
            raise InputError(f"{self.path}: {listed} both could be the standard errors; leave one of them")
        if not fitting:
            if bare:
                name = self.columns[bare[0]].name
                raise InputError(f'{self.path}: column "{name}" names no unit; write "{name} ({si_units[0]})"')
            self._errors_of_something(named)
            return None
        (k,) = fitting
        where = f'{self.path}: column "{self.header[k]}"'
        return self.positive(k, value) * self.columns[k].factor(si_units, field=where)[0]

    def _errors_of_something(self, named: Sequence[int]) -> None:
        """Raise where errors that name no quantity have the unit of no column: nobody would ever use them."""
        for k in named:
            unit = self.columns[k].unit
            others = (column for j, column in enumerate(self.columns) if j not in named)
            if unit and not _whose(self.columns[k].name) and not any(column.fits((unit,)) for column in others):
                raise InputError(
                    f'{self.path}: column "{self.header[k]}": no other column has a unit of this kind, so that it is '
                    "not known whose errors these are; correct the unit, or remove the column"
                )

    def positive(self, k: int, value: Array | None = None) -> Array:
        """The standard errors in column number `k`, in its own unit, which must be positive where `value` is a number.

        Raises
        ------
        InputError
            With the first row that is not, and as :meth:`column`.
        """
        decimal_mark(self.cells(k), f'{self.path}: column "{self.header[k]}"')
        gone = np.zeros(len(self.rows), dtype=bool) if value is None else np.isnan(value)
        values = self.numbers(k, gaps=bool(gone.any()))
        bad = np.flatnonzero(~gone & ~(values > 0))
        if bad.size:
            row, text = self.lines[int(bad[0])], self.cells(k)[int(bad[0])]
            raise InputError(
                f'{self.path}: row {row}: "{self.header[k]}" is {text or "empty"}; standard errors '
                "must be positive; correct it or remove the row"
            )
        return values

    def required(self, names: Sequence[str], si_units: Sequence[str], *, gaps: bool = False) -> Array:
        """As :meth:`quantity`, of a column that must be there.

        Raises
        ------
        InputError
            No such column, and as :meth:`quantity`.
        """
        values = self.quantity(names, si_units, gaps=gaps)
        if values is None:
            wanted = f"{names[0]} ({si_units[0]})" if si_units[0] else names[0]
            raise InputError(f'{self.path}: no column "{wanted}"; found {shortened(", ".join(self.header[:8]), 300)}')
        if np.all(np.isnan(values)):
            raise InputError(f'{self.path}: column "{names[0]}" contains no number')
        return values

    def cells(self, k: int) -> list[str]:
        """The text of column number `k`, counted from 0."""
        return [row[k].strip() for row in self.rows]

    def numbers(self, k: int, *, gaps: bool = False) -> Array:
        """The numbers of column number `k`, from 0; raises as :meth:`column` does; `gaps` are NaN if allowed."""
        cells = self.cells(k)
        if gaps and any(cell.lower() in MISSING for cell in cells):
            there = [j for j, cell in enumerate(cells) if cell.lower() not in MISSING]
            some = DataTable(
                self.path,
                self.header,
                tuple(self.rows[j] for j in there),
                tuple(self.lines[j] for j in there),
                self.delimiter,
            )
            filled = np.full(len(cells), np.nan)
            filled[there] = some.numbers(k)
            return filled
        try:  # all at once, as a potentiostat's hundred thousand rows need; the first bad cell is then looked for
            values = np.array([c.replace(",", ".") if self.delimiter != "," else c for c in cells], dtype=float)
        except ValueError:
            values = np.full(len(cells), np.nan)
        if np.all(np.abs(values) < BEYOND) and not any("_" in cell or cell.count(",") > 1 for cell in cells):
            return values
        return np.array([self._number(cell, k, line) for cell, line in zip(cells, self.lines, strict=True)])

    def _number(self, text: str, k: int, line: int) -> float:
        where = f'{self.path}: row {line}, column "{self.header[k]}"'
        if not text:
            raise InputError(f"{where} is empty; fill it or remove the row")
        number = parse_number(text, self.delimiter)
        if number is None:
            raise InputError(f"{where}: {shown(text)} is not a number; correct it or remove the row")
        if math.isfinite(number) and abs(number) >= BEYOND:
            raise InputError(f"{where}: {shown(text)} is not a possible measured value; correct it or remove the row")
        if not math.isfinite(number):
            raise InputError(f"{where}: {shown(text)} is not a finite number; fill it or remove the row")
        return number

    def increasing(self, values: Array, heading: str, *, strictly: bool = True) -> None:
        """Refuse `values` of the column `heading` unless they increase, `strictly` or with repeats.

        Raises
        ------
        InputError
            With the first row that does not.
        """
        bad = np.flatnonzero(np.diff(values) <= 0 if strictly else np.diff(values) < 0)
        if bad.size:
            k = int(bad[0]) + 1
            how = "repeats" if values[k] == values[k - 1] else "falls below"
            raise InputError(
                f'{self.path}: row {self.lines[k]}: "{heading}" {how} the value of row {self.lines[k - 1]}; '
                + ("it must increase strictly, take one of the rows out" if strictly else "it must not fall")
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


def decimal_mark(cells: Sequence[str], where: str) -> str:
    """``"."`` or ``","``, whichever the numbers are written with (``"."`` where neither occurs).

    Raises
    ------
    InputError
        Both occur, one of them twice in a number, or every comma might part thousands.
    """
    marked = [cell for cell in cells if ("," in cell or "." in cell) and _NUMBER.fullmatch(cell)]
    commas = [cell for cell in marked if "," in cell]
    points = [cell for cell in marked if "." in cell]
    twice = [cell for cell in marked if cell.count(",") + cell.count(".") > 1]
    if twice:
        raise InputError(f"{where}: {twice[0]!r} has more than one decimal mark; export without thousands separators")
    if commas and points:
        raise InputError(
            f"{where}: decimal commas ({commas[0]!r}) and decimal points ({points[0]!r}) are mixed; export the file "
            "again with one of them"
        )
    if commas and all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise InputError(
            f"{where}: {commas[0]!r} may be a decimal comma or a thousands separator, and no other number of the file "
            "tells; export it again with decimal points"
        )
    return "," if commas else "."


# ---- long tables of times and positions -----------------------------------------------------------------------------

TIME, POSITION = ("time", "t"), ("position", "x")
"""Names of the columns of a long table: one row per point."""
_ERROR = re.compile(r"(^|[\s_.-])(error|errors|err|sigma|stderr|std|sd|uncertainty)($|[\s_.-])", re.IGNORECASE)


def is_error(name: str) -> bool:
    """Whether a column of this name holds standard errors.

    Examples
    --------
    >>> is_error("I_error"), is_error("sigma c"), is_error("terror")
    (True, True, False)
    """
    return bool(_ERROR.search(name))


def _whose(name: str) -> str:
    """What a column of standard errors is of, lower case: its name without the word for an error."""
    return _ERROR.sub(" ", name.lower()).strip(" _.-")


def axes(table: DataTable, origin: float) -> tuple[Array, Array]:
    """Time [s] and position [m] of every row; `origin` is where the file's positions count from.

    Raises
    ------
    InputError
        A column missing or without unit, anything not a number.
    """
    return table.required(TIME, ["s"]), table.required(POSITION, ["m"]) + origin


def grid(path: Path, time: Array, position: Array, *columns: Array | None) -> tuple[Array, Array, list[Array | None]]:
    """Long columns as arrays (time, position).

    Parameters
    ----------
    path : Path
        For messages.
    time, position : ndarray, shape (n,)
        Of every row.
    *columns : ndarray, shape (n,), or None
        Values of every row.

    Returns
    -------
    times, positions : ndarray
        The different ones, increasing.
    arrays : list
        Each column, shape (times, positions), NaN where no row stands; None where it was.

    Raises
    ------
    InputError
        A time that has a position twice.
    """
    times, rows = np.unique(time, return_inverse=True)
    places, places_of = np.unique(position, return_inverse=True)
    cells, counts = np.unique(rows * places.size + places_of, return_counts=True)
    if counts.max(initial=1) > 1:
        k = int(cells[int(np.argmax(counts))])
        raise InputError(
            f"{path}: {counts.max()} rows have the time {times[k // places.size]:.6g} s and "
            f"{places[k % places.size]:.6g} m; every time may have a position once, take the others out"
        )
    arrays: list[Array | None] = []
    for column in columns:
        filled = None if column is None else np.full((times.size, places.size), np.nan)
        if filled is not None and column is not None:
            filled[rows, places_of] = column
        arrays.append(filled)
    return times, places, arrays


# ---- reading --------------------------------------------------------------------------------------------------------


def read_text(path: str | Path, *, binary: str = "not a text table") -> str:
    """The text of a file, UTF-8, UTF-16 with its mark or Windows-1252, its lines ended by line feeds.

    Parameters
    ----------
    path : str or Path
        The file.
    binary : str
        What to say of a file that is no text.

    Raises
    ------
    InputError
        A missing or a binary file.
    """
    raw = read_bytes(path)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return raw.decode("utf-16").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: begins as UTF-16 text and is not; it is cut short or damaged") from error
    if b"\0" in raw:
        raise InputError(f"{path}: {binary}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    return parse_table(read_text(path), path)


def parse_table(text: str, path: str | Path = "<text>") -> DataTable:
    """The same for text already in memory; `path` stands in messages. Raises as :func:`read_table` does."""
    path = Path(path)
    lines = enumerate(text.removeprefix("\ufeff").splitlines(), 1)
    numbered = [(k, line) for k, line in lines if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError(f"{path}: the table is empty; its first row names the columns")
    delimiter = _delimiter([line for _, line in numbered])
    cells = [(k, parted(line, delimiter)) for k, line in numbered]
    header = tuple(name.strip() for name in cells[0][1])
    if all(parse_number(name, delimiter) is not None for name in header):
        raise InputError(f"{path}: row {cells[0][0]} holds numbers; the first row must name the columns")
    if len(cells) < 2:
        raise InputError(f"{path}: the table has a header and no rows")
    spaced = cells[1][1][0].split() if len(header) == 1 else []
    if len(spaced) > 1 and all(parse_number(cell) is not None for cell in spaced):
        raise InputError(f"{path}: its columns are parted by spaces; part them by commas, semicolons or tabs")
    return make_table(path, header, cells[1:], delimiter)


def make_table(path: Path, header: Sequence[str], cells: Sequence[tuple[int, list[str]]], delimiter: str) -> DataTable:
    """A table from a header and rows with the lines they stand in.

    Raises
    ------
    InputError
        A row with another number of cells than the header.
    """
    for line, row in cells:
        if len(row) != len(header):
            raise InputError(
                f"{path}: row {line} has {len(row)} cells, its header {len(header)} "
                f"(delimiter: {DELIMITERS[delimiter]})"
            )
    rows, lines = tuple(row for _, row in cells), tuple(line for line, _ in cells)
    return DataTable(path, tuple(header), rows, lines, delimiter)


def _delimiter(lines: list[str]) -> str:
    """The delimiter by which most rows have as many cells as the header, of those that part the header at all."""
    agreement = {}
    for delimiter in DELIMITERS:
        cells = len(parted(lines[0], delimiter))
        if cells > 1:
            agreement[delimiter] = sum(len(parted(line, delimiter)) == cells for line in lines[1:])
    return max(agreement, key=lambda delimiter: agreement[delimiter]) if agreement else ","


def parted(line: str, delimiter: str) -> list[str]:
    """The cells of a line; a delimiter between quotation marks parts nothing."""
    return next(csv.reader(io.StringIO(line), delimiter=delimiter, skipinitialspace=True))
