"""Potentiostat exports -> time, voltage and current: EC-Lab .mpt and .mpr, Gamry .DTA, Neware .nda and .ndax, tables.

And the tables against time that a case names: what a step follows, a resistance.

Text exports are written with a decimal point or, in some locales, a decimal comma. Which of the two a file uses is
read off its time, voltage and current cells; a file that mixes them, or whose commas might just as well part
thousands, is refused. Times stay on the clock of the file, as those of profiles and velocities do.
"""

from __future__ import annotations

import importlib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cellsim.base import Array, InputError, factor_to_si, shortened, shown
from cellsim.instruments.exports import BINARY, read_export, text_of
from cellsim.instruments.headings import Column
from cellsim.instruments.tables import (
    DataTable,
    decimal_mark,
    is_error,
    make_table,
    parse_number,
    parse_table,
    read_text,
)

ROLES = ("time", "voltage", "current")
SI_UNITS: Mapping[str, Sequence[str]] = {"time": ["s"], "voltage": ["V"], "current": ["A/m^2", "A"]}
PREFERRED: Mapping[str, Sequence[str]] = {
    "time": ("time", "t", "T", "Test Time"),
    "voltage": ("Ewe-Ece", "Ecell", "<Ewe>", "<Ewe", "Ewe", "Vf", "voltage", "E", "U", "V"),
    "current": ("<I>", "I", "Im", "current", "j", "i"),
}
"""Column names in order of preference, without unit; Ewe - Ece is the voltage of the whole cell however it is wired."""


FREQUENCIES = ("freq", "frequency", "f")
"""Names of the column that makes a file an impedance spectrum."""


@dataclass(frozen=True)
class PotentiostatData:
    """What a potentiostat recorded.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        ``"mpt"``, ``"dta"``, ``"table"``, ``"mpr"`` or one of :data:`.exports.KNOWN`.
    time : ndarray, shape (n,)
        On the clock of the file [s]; never decreasing.
    voltage : ndarray, shape (n,), optional
        Cell voltage, working minus counter electrode [V].
    current : ndarray, shape (n,), optional
        As recorded, its sign untouched [A, or A/m^2 where `per_area`].
    per_area : bool
        Whether `current` is a current density [A/m^2].
    area : float, optional
        Electrode area the file states [m^2]; often a default nobody changed.
    errors : mapping
        Standard errors of "current" or "voltage", as far as the file states them, in the unit of the values.
    notes : tuple of str
        What a reader of the data should know.
    """

    path: Path
    kind: str
    time: Array
    voltage: Array | None = None
    current: Array | None = None
    per_area: bool = False
    area: float | None = None
    notes: tuple[str, ...] = ()
    errors: Mapping[str, Array] = field(default_factory=dict)

    def current_density(self, area: float | None) -> Array:
        """The current density for an electrode `area` [m^2], A/m^2.

        Raises
        ------
        InputError
            No current in the file, or a current in A and no area.
        """
        if self.current is None:
            raise InputError(f"{self.path}: has no column of current")
        if self.per_area:
            return self.current
        if area is None:
            raise InputError(f"{self.path}: holds a total current, which needs cell.area in the case")
        return self.current / area


NEWARE = (".nda", ".ndax")
"""Binary files of Neware."""
ENDINGS = (".mpt", ".dta", ".mpr", *NEWARE, *BINARY)
"""Of files that are potentiostat exports by their name."""


def read_potentiostat(path: str | Path, *, columns: Mapping[str, str] | None = None) -> PotentiostatData:
    """Read a potentiostat export; the content decides the format, the name only for the binary .mpr, .nda and .ndax.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : mapping, optional
        ``"time"``, ``"voltage"``, ``"current"`` -> column to take, where the choice is not the usual one.

    Returns
    -------
    PotentiostatData

    Raises
    ------
    InputError
        Missing or binary file, no time, neither voltage nor current, mixed or ambiguous decimal marks, anything that is
        not a number, a time that runs backwards.

    Examples
    --------
    >>> read_potentiostat("tests/data/gamry/chronoa_point.dta").kind
    'dta'
    """
    path = Path(path)
    chosen = dict(columns or {})
    if path.suffix.lower() == ".mpr":
        return from_table(read_mpr(path), chosen, kind="mpr")
    if path.suffix.lower() in NEWARE:
        return from_table(read_neware(path), chosen, kind="neware")
    binary = path.suffix.lower() in BINARY
    text = text_of(path) if binary else read_text(path, binary="is binary; export it as text, or name a binary .mpr")
    first = text.split("\n", 1)[0].strip()
    if first.startswith(("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")):
        return from_table(parse_mpt(path, text), chosen, kind="mpt")
    if first.upper() == "EXPLAIN":
        table, area, notes = _parse_dta(path, text)
        return from_table(table, chosen, kind="dta", area=area, notes=notes)
    export = read_export(path, text)
    if export is not None:
        return from_table(export.table, chosen, kind=export.kind, notes=export.notes)
    return from_table(parse_table(text, path), chosen)


# ---- columns ------------------------------------------------------------------------------------------------------


def from_table(
    table: DataTable,
    columns: Mapping[str, str] | None = None,
    *,
    kind: str = "table",
    area: float | None = None,
    notes: tuple[str, ...] = (),
) -> PotentiostatData:
    """Time, voltage and current of a table with units in its header.

    Parameters
    ----------
    table : DataTable
        The table.
    columns : mapping, optional
        As :func:`read_potentiostat`.
    kind : str
        What file it comes from.
    area : float, optional
        Electrode area the file states [m^2].
    notes : tuple of str
        What a reader of the data should know.

    Returns
    -------
    PotentiostatData

    Raises
    ------
    InputError
        As :func:`read_potentiostat`.
    """
    path, chosen = table.path, dict(columns or {})
    for role in chosen:
        if role not in ROLES:
            raise InputError(f"{path}: columns: {role!r} is not one of {', '.join(ROLES)}")
    _not_impedance(table)
    places = {role: _pick(table, role, chosen) for role in ROLES}
    headings = shortened(", ".join(f'"{heading}"' for heading in table.header[:8]), 300)
    if places["time"] is None:
        raise InputError(f'{path}: no column of time with a unit, such as "time (s)"; found {headings}')
    if places["voltage"] is None and places["current"] is None:
        raise InputError(f'{path}: neither voltage nor current with a unit, such as "I (mA)"; found {headings}')
    if not table.rows:
        raise InputError(f"{path}: holds a header and no rows of data")
    places["voltage"], unrecorded = _recorded_voltage(table, places, "voltage" in chosen)
    notes = (*notes, *unrecorded)
    counter = None if "voltage" in chosen else _counter(table, places["voltage"])
    used = [k for k in (*places.values(), counter) if k is not None]
    decimal_mark([cell for k in used for cell in table.cells(k)], str(path))
    values: dict[str, Array | None] = dict.fromkeys(ROLES)
    per_area = False
    for role, k in places.items():
        if k is not None:
            factor, si_unit = table.columns[k].factor(SI_UNITS[role], field=table.header[k])
            values[role] = table.numbers(k) * factor
            per_area |= si_unit == "A/m^2"
    time, voltage = values["time"], values["voltage"]
    assert time is not None
    if counter is not None and voltage is not None:
        heading, column = table.header[counter], table.columns[counter]
        voltage = voltage - table.numbers(counter) * column.factor(["V"], field=heading)[0]
        notes = (*notes, f"voltage: working electrode minus {heading}")
    back = np.flatnonzero(np.diff(time) < 0)
    if back.size:
        line = table.lines[int(back[0]) + 1]
        raise InputError(f"{path}: row {line}: the time runs backwards; give one run per file")
    # exports of instruments have columns named "error" that are flags; a table made by hand says what it means
    errors = _errors(table, values, per_area) if kind == "table" else {}
    return PotentiostatData(path, kind, time, voltage, values["current"], per_area, area, notes, errors)


def _not_impedance(table: DataTable) -> None:
    """Refuse a spectrum: its rows are frequencies, and their average currents are no course in time."""
    for k, column in enumerate(table.columns):
        if column.name.lower() in FREQUENCIES and column.fits(["Hz"]) and np.any(table.numbers(k, gaps=True) > 0):
            raise InputError(
                f'{table.path}: holds an impedance spectrum (column "{table.header[k]}"), no current or voltage '
                "against time; export the polarisation, or take the resistance from the spectrum into the case"
            )


def _recorded_voltage(
    table: DataTable, places: Mapping[str, int | None], named: bool
) -> tuple[int | None, tuple[str, ...]]:
    """The column of the voltage, with a note where the usual one was not recorded: 0 in all rows with a current."""
    k, current = places["voltage"], places["current"]
    if k is None or current is None or named or not table.rows:
        return k, ()
    if np.any(table.numbers(k)) or not np.any(table.numbers(current)):
        return k, ()
    others = [c.name in PREFERRED["voltage"] and _fits(c, "voltage") for c in table.columns]
    other = next((j for j, fits in enumerate(others) if fits and j != k and np.any(table.numbers(j))), None)
    instead = "no voltage" if other is None else f'"{table.header[other]}"'
    note = f'"{table.header[k]}" is 0 in every row while a current flows, so it was not recorded; {instead} is taken'
    return other, (note,)


def _errors(table: DataTable, values: Mapping[str, Array | None], per_area: bool) -> dict[str, Array]:
    """The standard errors that the table states of each quantity, told apart by their units."""
    units = {"current": ["A/m^2"] if per_area else ["A"], "voltage": ["V"]}
    named = [column for column in table.columns if is_error(column.name)]
    for column in named:
        if not any(column.fits(units[role]) for role in units if values[role] is not None):
            wanted = " or ".join(units[role][0] for role in units if values[role] is not None)
            raise InputError(
                f'{table.path}: column "{column.heading}" names standard errors, but not in {wanted}, the unit of '
                "what the table contains; correct its unit, or remove the column"
            )
    found = {role: table.errors(units[role]) for role in units if any(c.fits(units[role]) for c in named)}
    return {role: errors for role, errors in found.items() if errors is not None and values[role] is not None}


def _fits(column: Column, role: str) -> bool:
    """Whether a column carries a unit of what `role` asks for."""
    return bool(column.unit) and column.fits(SI_UNITS[role])


def _pick(table: DataTable, role: str, chosen: Mapping[str, str]) -> int | None:
    """The column of a role: the one named, else the most usual name, else the only one of the dimension."""
    columns = table.columns
    if role in chosen:
        k = table.find(chosen[role], by_name=True)
        if not _fits(columns[k], role):
            wanted = " or ".join(SI_UNITS[role])
            raise InputError(f'{table.path}: column "{table.header[k]}" carries no unit of {role} (such as {wanted})')
        return k
    fitting = [k for k, column in enumerate(columns) if _fits(column, role) and not is_error(column.name)]
    for name in PREFERRED[role]:
        usual = [k for k in fitting if columns[k].name == name]
        if len(usual) == 1:
            return usual[0]
    if len(fitting) > 1:
        listed = shortened(", ".join(f'"{table.header[k]}"' for k in fitting), 300)
        raise InputError(f"{table.path}: which column is the {role}? {listed} all could be; name one")
    return fitting[0] if fitting else None


def _counter(table: DataTable, voltage: int | None) -> int | None:
    """The potential of the counter electrode, where `voltage` is that of the working electrode against a reference."""
    if voltage is None or table.columns[voltage].name not in ("<Ewe>", "<Ewe", "Ewe"):
        return None
    names = ("<Ece>", "<Ece", "Ece", "<Ecv>")
    return next((k for k, c in enumerate(table.columns) if c.name in names and _fits(c, "voltage")), None)


# ---- EC-Lab -------------------------------------------------------------------------------------------------------


def parse_mpt(path: Path, text: str) -> DataTable:
    """EC-Lab ASCII: line 2 says how many lines the header has; its last names the columns."""
    lines = text.split("\n")
    announced = re.match(r"\s*Nb header lines\s*:\s*(\d+)\s*$", lines[1] if len(lines) > 1 else "")
    if not announced:
        raise InputError(f'{path}: line 2 should read "Nb header lines : N"; export the file again from EC-Lab')
    count = int(announced.group(1))
    if not 3 <= count <= len(lines):
        raise InputError(f"{path}: announces {count} header lines and has {len(lines)} lines; it is cut short")
    headings = lines[count - 1].removesuffix("\t").split("\t")
    rows = [(k, line.removesuffix("\t")) for k, line in enumerate(lines[count:], count + 1) if line.strip()]
    numbered = [(k, row.split("\t")) for k, row in rows]
    return make_table(path, headings, numbered, "\t")


def read_mpr(path: Path) -> DataTable:
    """The binary file of EC-Lab, through a reader the user has installed (both are GPL)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for module, read in (("galvani.BioLogic", _by_galvani), ("yadg.extractors", _by_yadg)):
        try:
            reader = importlib.import_module(module)
        except ImportError:
            continue
        columns = read(reader, path)
        rows = zip(*([repr(float(v)) for v in values] for values in columns.values()), strict=True)
        return make_table(path, list(columns), list(enumerate(map(list, rows), 1)), "\t")
    raise InputError(
        f"{path}: a binary .mpr needs galvani or yadg, which are not installed; export it as .mpt from EC-Lab, or "
        "install one of them"
    )


def _by_galvani(module: Any, path: Path) -> dict[str, Array]:
    try:
        data = module.MPRfile(str(path)).data
    except (ValueError, NotImplementedError, KeyError, AssertionError) as error:
        raise InputError(f"{path}: galvani cannot read it ({error}); export it as .mpt from EC-Lab") from error
    return {name: np.asarray(data[name], dtype=float) for name in data.dtype.names if data[name].dtype.kind in "fiu"}


def _by_yadg(module: Any, path: Path) -> dict[str, Array]:
    try:
        data = module.extract(filetype="eclab.mpr", path=path)
    except (ValueError, NotImplementedError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: yadg cannot read it ({error}); export it as .mpt from EC-Lab") from error
    columns = {"time/s": np.asarray(data["uts"].values, dtype=float)}
    for name, variable in data.data_vars.items():
        if variable.dims == ("uts",) and variable.dtype.kind in "fiu":
            columns[f"{name}/{variable.attrs.get('units', '')}"] = np.asarray(variable.values, dtype=float)
    return columns


# ---- Neware ---------------------------------------------------------------------------------------------------------


def read_neware(path: Path) -> DataTable:
    """The binary files of Neware, .nda and .ndax, through fastnda where the user has installed it (BSD-3)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        module = importlib.import_module("fastnda")
    except ImportError:
        raise InputError(
            f"{path}: a binary file of Neware needs fastnda, which is not installed; install it, or export the test as "
            "CSV from BTSDA"
        ) from None
    quiet = logging.getLogger("fastnda")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL + 1)  # it prints tracebacks of what it passes over
    try:
        data = module.read(path)
        columns = {
            heading: np.asarray(data[name].to_numpy(), dtype=float)
            for heading, name in (
                ("time (s)", "total_time_s"),
                ("voltage (V)", "voltage_V"),
                ("current (mA)", "current_mA"),
            )
        }
    except Exception as error:  # a file that is no file of Neware's ends anywhere in a reader of undocumented bytes
        told = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: fastnda cannot read it ({shortened(told, 200)}); export the test as CSV from BTSDA"
        ) from error
    finally:
        quiet.setLevel(level)
    rows = zip(*([repr(float(v)) for v in values] for values in columns.values()), strict=True)
    return make_table(path, list(columns), list(enumerate(map(list, rows), 1)), "\t")


# ---- Gamry --------------------------------------------------------------------------------------------------------


def _parse_dta(path: Path, text: str) -> tuple[DataTable, float | None, tuple[str, ...]]:
    """Gamry Framework: lines of TAG, TYPE, value; tables begin with a line TAG, TABLE, rows. With area and notes."""
    lines = text.split("\n")
    area: float | None = None
    begin = dta_tables(text)
    for k, line in enumerate(lines):
        cells = line.split("\t")
        if cells[0] == "AREA" and len(cells) > 2:
            stated = cells[2].strip()
            number = parse_number(stated.replace(decimal_mark([stated], f"{path}: AREA"), "."))
            if number is None or not 0 < number < math.inf:
                raise InputError(f"{path}: row {k + 1}: AREA = {shown(stated)} is no positive number of cm^2")
            area = number * factor_to_si("cm^2", "m^2")
    curves = [entry for entry in begin if entry[1].startswith("CURVE")]
    if not curves:
        listed = shortened(", ".join(name for _, name, _ in begin), 300) or "none"
        if any(name == "ZCURVE" for _, name, _ in begin):
            raise InputError(
                f"{path}: holds an impedance spectrum (table ZCURVE), no current or voltage against time; export the "
                "polarisation"
            )
        raise InputError(f"{path}: no table CURVE in this Gamry file (tables: {listed})")
    if len(curves) > 1:
        raise InputError(f"{path}: holds {len(curves)} curves; export one run per file")
    table, notes = dta_table(path, text, curves[0])
    if "EXPERIMENTABORTED" in text:
        notes = (*notes, "the experiment was aborted")
    return table, area, notes


def dta_tables(text: str) -> list[tuple[int, str, str]]:
    """The tables of a Gamry file: line, counted from 0, name and number of rows as it is announced."""
    begin = []
    for k, line in enumerate(text.split("\n")):
        cells = line.split("\t")
        if len(cells) > 1 and cells[1].strip().upper() == "TABLE":  # the number of rows may be missing
            begin.append((k, cells[0].strip(), cells[2] if len(cells) > 2 else ""))
    return begin


def dta_table(path: Path, text: str, entry: tuple[int, str, str]) -> tuple[DataTable, tuple[str, ...]]:
    """One of those tables, with a note where it does not hold what it announces.

    Raises
    ------
    InputError
        A table that is cut short.
    """
    lines = text.split("\n")
    start, name, announced = entry
    numbered: list[tuple[int, list[str]]] = []
    for k in range(start + 3, len(lines)):
        if not lines[k].startswith("\t"):
            break
        numbered.append((k + 1, lines[k].split("\t")[1:]))
    if len(lines) < start + 3:
        raise InputError(f"{path}: the table {name} is cut short")
    names, units = lines[start + 1].split("\t")[1:], lines[start + 2].split("\t")[1:]
    headings = [f"{n}/{u.split(' vs.')[0]}" for n, u in zip(names, units, strict=False)]
    notes: tuple[str, ...] = ()
    if announced.strip().isdigit() and int(announced) != len(numbered):
        notes = (f"the table {name} announces {int(announced)} rows and holds {len(numbered)}",)
    return make_table(path, headings, numbered, "\t"), notes


# ---- tables against time that a case names ------------------------------------------------------------------


def read_drive(
    table: DataTable,
    time: Column,
    value: Column,
    drive: Literal["current", "voltage"],
    *,
    area: float | None,
    field: str,
) -> tuple[Array, Array]:
    """A table of U(t) or I(t) that a step follows.

    Parameters
    ----------
    table : DataTable
        The file.
    time, value : Column
        Its columns and their units.
    drive : {"current", "voltage"}
        What `value` is.
    area : float or None
        Electrode area [m^2], for a value in A.
    field : str
        The case's key of `value`, for messages; ``time`` is the key next to it.

    Returns
    -------
    time : ndarray, shape (n,)
        [s], relative to the first time of the table.
    value : ndarray, shape (n,)
        [A/m^2] or [V].

    Raises
    ------
    InputError
        Anything missing or not a number, times that fall, a current in A without an area. Two rows at one time are a
        jump.
    """
    of_time = f"{field.rpartition('.')[0]}.time.unit"
    t = table.column(time.heading, factor_to_si(time.unit, "s", field=of_time))
    table.increasing(t, time.heading, strictly=False)
    if t.size < 2:
        raise InputError(f"{table.path}: a table to follow needs at least two rows")
    return t - t[0], table.column(value.heading, factor_of(value, drive, area, field=f"{field}.unit"))


def first_time(table: DataTable, time: Column, *, field: str) -> float:
    """What the clock of a followed table says at its first row, which is the start of the step [s]."""
    return float(table.column(time.heading, factor_to_si(time.unit, "s", field=field))[0])


def read_resistance(table: DataTable, time: Column, value: Column, *, field: str) -> tuple[Array, Array]:
    """A table of area-specific resistance in time.

    Parameters
    ----------
    table : DataTable
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
    t = table.column(time.heading, factor_to_si(time.unit, "s", field=f"{field}.time"))
    table.increasing(t, time.heading)
    r = table.column(value.heading, factor_to_si(value.unit, "ohm m^2", field=f"{field}.value"))
    if np.any(r < 0):
        raise InputError(
            f'{table.path}: row {table.lines[int(np.argmax(r < 0))]}: "{value.heading}" is negative; '
            "a resistance must not be negative"
        )
    return t, r


def factor_of(column: Column, kind: str, area: float | None, *, field: str) -> float:
    """From the unit of a column of currents or voltages to SI; a total current is divided by the electrode area [m^2].

    Raises
    ------
    InputError
        Another dimension, or a total current without an area.
    """
    factor, si_unit = column.factor(SI_UNITS[kind], field=field)
    return factor / per_area(area, f"{field} = {column.unit!r}") if si_unit == "A" else factor


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
