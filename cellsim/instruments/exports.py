"""Text exports of cyclers and potentiostats that say more, or less, than a table with units in its header.

An export is known by what stands in its first lines. What is read of it are its columns of time, voltage and current,
or of frequency and impedance, as a table with units; everything after that is as for any other table. Clock times
("1d 02:03:04.5") become seconds, rows of a summary between the records are passed over.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from cellsim.base import InputError
from cellsim.instruments.headings import Column
from cellsim.instruments.tables import DELIMITERS, DataTable, make_table, parse_number, parted

LOOKED_AT = 1000
"""Lines among which the headings must stand."""
_CLOCK = re.compile(r"\s*(?:(\d+)\s*d\s+)?(\d+):(\d{1,2}):(\d{1,2}(?:[.,]\d*)?)\s*")
_TIMES = ("test time", "total time", "cumulative time", "run time", "elapsed time", "corrected time", "time")
_VOLTAGES = (
    "voltage",
    "volts",
    "potential",
    "we(1).potential",
    "working electrode",
    "working electrode potential",
    "u",
    "e",
)
_CURRENTS = ("current", "amps", "we(1).current", "i")
_FREQUENCIES = ("freq", "frequency")
_REAL, _IMAGINARY = ("z'", "z real"), ("z''", 'z"', "z imag", "-z''", "-z imag")
_UNSTATED = {"amps": "A", "current": "A", "volts": "V", "voltage": "V", "z real": "ohm", "z imag": "ohm"}
"""Units that an instrument leaves out of its headings."""
_SPELLED = {"ω": "ohm", "sec": "s", "seconds": "s", "hours": "h", "ohms": "ohm", "a": "A", "v": "V"}


@dataclass(frozen=True)
class Export:
    """A recognised export.

    Parameters
    ----------
    kind : str
        The instrument or its program.
    table : DataTable
        Its columns, with units in their headings.
    notes : tuple of str
        What a reader of the data should know.
    """

    kind: str
    table: DataTable
    notes: tuple[str, ...] = ()


def read_export(path: Path, text: str) -> Export | None:
    """The table of an export, None where the text is none that is known here.

    Parameters
    ----------
    path : Path
        For messages.
    text : str
        The file.

    Returns
    -------
    Export or None

    Raises
    ------
    InputError
        A known export whose table is missing or holds no record.
    """
    lines = text.split("\n")
    kind = next((name for name, known in KNOWN.items() if known(lines)), None)
    if kind is None:
        return None
    for k, line in enumerate(lines[:LOOKED_AT]):
        for cells, delimiter in _partings(line):
            places = _places(cells, kind)
            if places is not None:
                return _records(path, kind, lines, k, delimiter, places, cells)
    raise InputError(
        f"{path}: is an export of {kind}, but no line of it names a time with a voltage or a current, nor a frequency "
        "with an impedance; export the records"
    )


# ---- which export it is ---------------------------------------------------------------------------------------------


def _starts(*beginnings: str) -> Callable[[Sequence[str]], bool]:
    return lambda lines: lines[0].lstrip('\ufeff"').startswith(beginnings)


def _names(*names: str) -> Callable[[Sequence[str]], bool]:
    """Whether one of the first lines has cells of all these names, or of one of those that a name lists by "|"."""

    def known(lines: Sequence[str]) -> bool:
        wanted = [set(name.split("|")) for name in names]
        return any(
            all(own & known for known in wanted)
            for line in lines[:LOOKED_AT]
            if not line[:1].isdigit()  # a record, as most lines are
            for own in _names_in(line)
        )

    return known


KNOWN: dict[str, Callable[[Sequence[str]], bool]] = {
    "ZPlot": _starts("ZPLOT", "ZPlotW", "Z60W"),
    "VersaStudio": _starts("<Application>"),
    "CH Instruments": lambda lines: any(line.startswith("Instrument Model:  CHI") for line in lines[:20]),
    "PalmSens": lambda lines: any(line.startswith(("Date and time measurement:", "freq / Hz,")) for line in lines[:40]),
    "BaSyTec": _starts("~Resultfile from Basytec"),
    "Novonix": _starts("[Summary]"),
    "PEC": _names("position start time", "total time", "voltage"),
    "Neware": _names("datapoint|record id|record number", "total time|cumulative time|time", "voltage"),
    "Maccor": _names("rec#|rec", "testtime|test time", "volts|voltage"),
    "Arbin": _names("data point", "test time", "voltage"),
    "Nova": _names("we(1).current|we(1).potential"),
    "Squidstat": _names("elapsed time", "step number|step name"),
}
"""Instrument or program -> whether the lines of a text are its export."""


# ---- its columns ----------------------------------------------------------------------------------------------------


def _partings(line: str) -> list[tuple[list[str], str]]:
    """The cells of a line by every delimiter that parts it; a quoted heading of ZPlot by its wide gaps."""
    found = [(parted(line, d), d) for d in DELIMITERS if d in line]
    if line.startswith('"  Freq'):
        found = [(re.split(r"\s+(?!\()", line.strip('" ')), ",")]
    return found


@lru_cache(maxsize=2 * LOOKED_AT)
def _names_in(line: str) -> tuple[frozenset[str], ...]:
    """The names of headings that a line would hold, by every delimiter that parts it."""
    return tuple(frozenset(_name(cell) for cell in cells) for cells, _ in _partings(line))


def _heading(cell: str) -> Column:
    cell = cell.strip().lstrip("~").replace("TestTime", "Test Time").replace("StepTime", "Step Time")
    cell = cell.replace("_", " ").removeprefix("Definition=")
    return Column.parse(cell)


def _name(cell: str) -> str:
    """A heading without unit, lower case; spaces as one."""
    return " ".join(_heading(cell).name.lower().split())


def _unit(cell: str) -> str:
    column = _heading(cell)
    unit = column.unit or _UNSTATED.get(_name(cell), "")
    if _name(cell) in (*_REAL, *_IMAGINARY):
        return "ohm"  # ZPlot heads its columns Z'(a) and Z''(b)
    return _SPELLED.get(unit.lower(), unit)


def _places(cells: Sequence[str], kind: str) -> dict[str, int] | None:
    """Column of each role, where the cells are headings of records; None where they are not."""
    if kind == "PalmSens" and [c.strip() for c in cells[:2]] in (["s", "µA"], ["s", "V"], ["s", "mV"], ["s", "A"]):
        return {"time": 0, "current" if cells[1].strip().endswith("A") else "voltage": 1}
    names = [_name(cell) for cell in cells]

    def first(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    found = {"frequency": first(_FREQUENCIES), "real": first(_REAL), "imaginary": first(_IMAGINARY)}
    spectrum = {role: k for role, k in found.items() if k is not None}
    found = {"time": first(_TIMES), "voltage": first(_VOLTAGES), "current": first(_CURRENTS)}
    course = {role: k for role, k in found.items() if k is not None}
    whole = len(spectrum) == 3
    if not whole and not ("time" in course and len(course) > 1):
        return None
    return (course | spectrum if "time" in course and len(course) > 1 else spectrum) if whole else course


def _records(
    path: Path, kind: str, lines: Sequence[str], k: int, delimiter: str, places: dict[str, int], cells: Sequence[str]
) -> Export:
    """The rows below the headings in line `k` that are records."""
    units = {
        role: cells[j] if kind == "PalmSens" and "time" in places else _unit(cells[j]) for role, j in places.items()
    }
    names = {"time": "time", "voltage": "U", "current": "I", "frequency": "freq", "real": "Re(Z)", "imaginary": "Im(Z)"}
    if kind == "PalmSens":
        names["imaginary"] = "-Im(Z)"  # PSTrace writes what a Nyquist plot shows
    if "imaginary" in places and cells[places["imaginary"]].strip().startswith("-"):
        names["imaginary"] = "-Im(Z)"
    empty = [j for j, cell in enumerate(cells) if not cell.strip() and j < max(places.values())]
    state = next((j for j, cell in enumerate(cells) if kind == "Maccor" and cell.strip() == "State"), None)
    by = places.get("time", places.get("frequency", 0))
    rows: list[tuple[int, list[str]]] = []
    passed, clock = 0, False
    for number, line in enumerate(lines[k + 1 :], k + 2):
        own = parted(line, delimiter) if line.strip() else []
        if len(own) <= by or any(own[j].strip() for j in empty if j < len(own)):
            passed += bool(own) and bool(rows)
            continue
        value, at_clock = _seconds(own[by])
        if value is None and parse_number(own[by].strip(), delimiter) is None:
            passed += bool(rows)
            continue
        if len(own) <= max(*places.values(), state or 0):
            raise InputError(f"{path}: row {number} has {len(own)} cells, too few for its headings; it is cut short")
        clock |= at_clock
        picked = {role: own[j].strip() for role, j in places.items()}
        if value is not None and "time" in picked and at_clock:
            picked["time"] = value
        if state is not None and "current" in picked and own[state].strip() == "D":
            picked["current"] = f"-{picked['current'].removeprefix('-')}"
        rows.append((number, list(picked.values())))
    if clock:
        units["time"] = "s"
    if not rows:
        raise InputError(f"{path}: is an export of {kind} with headings in line {k + 1} and no records below them")
    headings = [f"{names[role]} ({units[role]})" for role in places]
    notes = [f"export of {kind}, headings in line {k + 1}"]
    if passed:
        notes.append(f"skipped lines that contain no record: {passed}")
    if state is not None:
        notes.append("the current of rows in state D is taken as negative: Maccor writes magnitudes")
    elif kind == "Maccor":
        notes.append("the file has no column State, so its current is taken as written; Maccor writes magnitudes")
    return Export(kind, make_table(path, headings, rows, delimiter), tuple(notes))


def _seconds(cell: str) -> tuple[str | None, bool]:
    """A clock time in seconds as text, and whether the cell is one."""
    found = _CLOCK.fullmatch(cell)
    if found is None:
        return None, False
    days, hours, minutes, seconds = found.groups()
    whole = 86400 * int(days or 0) + 3600 * int(hours) + 60 * int(minutes)
    return repr(whole + float(seconds.replace(",", ".").rstrip("."))), True


# ---- workbooks and column files -------------------------------------------------------------------------------------

BINARY = (".xlsx", ".parquet")
"""Endings of tables that a library reads, which the user has installed."""


def text_of(path: Path) -> str:
    """A workbook's first sheet that holds an export or a table, or a Parquet file, as tab-separated text.

    Raises
    ------
    InputError
        A missing file, a library that is not installed, a file that it cannot read, or no sheet with a table.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    library = "openpyxl" if path.suffix.lower() == ".xlsx" else "pyarrow.parquet"
    try:
        module = importlib.import_module(library)
    except ImportError:
        name = library.split(".")[0]
        raise InputError(
            f"{path}: needs {name}, which is not installed; install it, or save the table as CSV"
        ) from None
    try:
        sheets = _sheets(module, path) if library == "openpyxl" else [_parquet(module, path)]
    except Exception as error:  # these libraries raise whatever their parts do
        raise InputError(f"{path}: {library.split('.')[0]} cannot read it ({str(error)[:120]})") from error
    texts = ["\n".join("\t".join(_shown(cell) for cell in row) for row in rows) for rows in sheets if len(rows) > 1]
    if not texts:
        raise InputError(f"{path}: contains no table")
    return next((text for text in texts if any(known(text.split("\n")) for known in KNOWN.values())), texts[0])


def _sheets(module: Any, path: Path) -> list[list[tuple[Any, ...]]]:
    book = module.load_workbook(path, read_only=True, data_only=True)
    try:
        return [list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets]
    finally:
        book.close()


def _parquet(module: Any, path: Path) -> list[tuple[Any, ...]]:
    table = module.read_table(path)
    columns = [column.to_pylist() for column in table.columns]
    return [tuple(table.column_names), *zip(*columns, strict=True)]


def _shown(cell: Any) -> str:
    """A cell as a text file has it; lengths of time as a clock."""
    if cell is None:
        return ""
    if isinstance(cell, timedelta):
        seconds = cell.total_seconds()
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{seconds % 60:09.6f}"
    return repr(cell) if isinstance(cell, float) else str(cell).replace("\t", " ").replace("\n", " ")
