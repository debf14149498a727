"""Potentiostat exports -> time, voltage and current: EC-Lab .mpt, Gamry .DTA, tables with units in the header, .mpr.

Text exports are written with a decimal point or, in some locales, a decimal comma. Which of the two a file uses is
read off its time, voltage and current cells; a file that mixes them, or whose commas might just as well part
thousands, is refused. The time may start anywhere: it is given from the first row, the offset beside it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.files.schema import did_you_mean
from cellsim.instruments.tables import DataTable, parse_table, unit_factor

ROLES = ("time", "voltage", "current")
SI_UNITS: Mapping[str, Sequence[str]] = {"time": ["s"], "voltage": ["V"], "current": ["A/m^2", "A"]}
PREFERRED: Mapping[str, Sequence[str]] = {
    "time": ("time", "t", "T"),
    "voltage": ("Ewe-Ece", "Ecell", "<Ewe>", "<Ewe", "Ewe", "Vf", "voltage", "E", "U", "V"),
    "current": ("<I>", "I", "Im", "current", "j", "i"),
}
"""Column names in order of preference, without unit; Ewe - Ece is the voltage of the whole cell however it is wired."""

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?|[+-]?[.,]\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class PotentiostatData:
    """What a potentiostat recorded.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        ``"mpt"``, ``"dta"``, ``"table"`` or ``"mpr"``.
    time : ndarray, shape (n,)
        From the first row [s]; never decreasing.
    voltage : ndarray, shape (n,), optional
        Cell voltage, working minus counter electrode [V].
    current : ndarray, shape (n,), optional
        As recorded, its sign untouched [A, or A/m^2 where `per_area`].
    per_area : bool
        Whether `current` is a current density [A/m^2].
    offset : float
        The instrument's time of the first row [s].
    area : float, optional
        Electrode area the file states [m^2]; often a default nobody changed.
    notes : tuple of str
        What a reader of the data should know.
    """

    path: Path
    kind: str
    time: Array
    voltage: Array | None = None
    current: Array | None = None
    per_area: bool = False
    offset: float = 0.0
    area: float | None = None
    notes: tuple[str, ...] = ()

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


def read_potentiostat(path: str | Path, *, columns: Mapping[str, str] | None = None) -> PotentiostatData:
    """Read a potentiostat export; the content decides the format, the name only for the binary .mpr.

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
    for role in chosen:
        if role not in ROLES:
            raise InputError(f"{path}: columns: {role!r} is not one of {', '.join(ROLES)}")
    if path.suffix.lower() == ".mpr":
        return _read_mpr(path, chosen)
    text = _text(path)
    first = text.lstrip("\ufeff").split("\n", 1)[0].strip()
    if first.startswith("EC-Lab ASCII FILE"):
        return _read_mpt(path, text, chosen)
    if first.upper() == "EXPLAIN":
        return _read_dta(path, text, chosen)
    return _assemble(path, "table", _columns_of(parse_table(text, path)), chosen)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if b"\0" in raw:
        raise InputError(f"{path}: is binary; export it as text, or name an EC-Lab binary .mpr")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---- columns ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column as text: name without unit, unit, the cells and the lines they stand in."""

    heading: str
    name: str
    unit: str
    cells: Sequence[str]
    lines: Sequence[int]


def split_heading(heading: str) -> tuple[str, str]:
    """Name and unit of a column.

    Examples
    --------
    >>> split_heading("<I>/mA"), split_heading("t (h)"), split_heading("j [mA/cm^2]"), split_heading("<Ewe/V>")
    (('<I>', 'mA'), ('t', 'h'), ('j', 'mA/cm^2'), ('<Ewe', 'V'))
    """
    found = re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*", heading)
    name, unit = found.groups() if found else heading.strip().partition("/")[::2]
    unit = unit.strip().rstrip(">").replace("µ", "u").replace("μ", "u")
    return name.strip(), re.sub(r"(?<=[A-Za-z])-(?=\d)", "^-", unit)


def _columns_of(table: DataTable) -> list[_Column]:
    cells = list(zip(*table.rows, strict=True))
    return [_Column(h, *split_heading(h), cells[k], table.lines) for k, h in enumerate(table.header)]


def _factor(column: _Column, role: str) -> tuple[float, str] | None:
    """The factor to SI and the SI unit, or None where the column does not hold what `role` asks for."""
    if not column.unit:
        return None
    try:
        return unit_factor(column.unit, SI_UNITS[role], field=column.heading)
    except InputError:
        return None


def _pick(path: Path, role: str, columns: list[_Column], chosen: Mapping[str, str]) -> _Column | None:
    """The column of a role: the one named, else the most usual name, else the only one of the dimension."""
    if role in chosen:
        named = [c for c in columns if chosen[role] in (c.heading, c.name)]
        if not named:
            headings = [c.heading for c in columns if c.heading]
            raise InputError(f'{path}: no column "{chosen[role]}"{did_you_mean(chosen[role], headings)}')
        if _factor(named[0], role) is None:
            wanted = " or ".join(SI_UNITS[role])
            raise InputError(f'{path}: column "{named[0].heading}" carries no unit of {role} (such as {wanted})')
        return named[0]
    fitting = [c for c in columns if _factor(c, role) is not None]
    for name in PREFERRED[role]:
        usual = [c for c in fitting if c.name == name]
        if len(usual) == 1:
            return usual[0]
    if len(fitting) > 1:
        listed = ", ".join(f'"{c.heading}"' for c in fitting)
        raise InputError(f"{path}: which column is the {role}? {listed} all could be; name one")
    return fitting[0] if fitting else None


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


def _numbers(path: Path, column: _Column, mark: str) -> Array:
    cells = [cell.strip() for cell in column.cells]
    try:
        values = np.array([cell.replace(",", ".") if mark == "," else cell for cell in cells], dtype=float)
    except ValueError:
        values = np.full(len(cells), np.nan)
    if not np.all(np.isfinite(values)):
        for cell, line in zip(cells, column.lines, strict=True):
            if not _NUMBER.fullmatch(cell):
                complaint = f"{cell!r} is not a finite number" if cell else "is empty"
                raise InputError(f'{path}: row {line}, column "{column.heading}": {complaint}; take the row out')
    return values


def _assemble(
    path: Path,
    kind: str,
    columns: list[_Column],
    chosen: Mapping[str, str],
    *,
    area: float | None = None,
    notes: tuple[str, ...] = (),
) -> PotentiostatData:
    picked = {role: _pick(path, role, columns, chosen) for role in ROLES}
    _refuse_incomplete(path, picked, columns)
    counter = _counter(picked["voltage"], columns) if "voltage" not in chosen else None
    used = [c for c in (*picked.values(), counter) if c is not None]
    if not used[0].cells:
        raise InputError(f"{path}: holds a header and no rows of data")
    mark = decimal_mark([cell.strip() for c in used for cell in c.cells], str(path))
    values: dict[str, Array | None] = {}
    si: dict[str, str] = {}
    for role, column in picked.items():
        values[role] = None
        if column is not None:
            factor, si[role] = _factor(column, role) or (1.0, "")
            values[role] = _numbers(path, column, mark) * factor
    time, voltage = values["time"], values["voltage"]
    assert time is not None
    if counter is not None and voltage is not None:
        voltage = voltage - _numbers(path, counter, mark) * (_factor(counter, "voltage") or (1.0, ""))[0]
        notes = (*notes, f"voltage: working electrode minus {counter.heading}")
    back = np.flatnonzero(np.diff(time) < 0)
    if back.size:
        line = used[0].lines[int(back[0]) + 1]
        raise InputError(f"{path}: row {line}: the time runs backwards; give one run per file")
    return PotentiostatData(
        path, kind, time - time[0], voltage, values["current"], si.get("current") == "A/m^2",
        float(time[0]), area, notes,
    )  # fmt: skip


def _counter(voltage: _Column | None, columns: list[_Column]) -> _Column | None:
    """The potential of the counter electrode, where `voltage` is that of the working electrode against a reference."""
    if voltage is None or voltage.name not in ("<Ewe>", "<Ewe", "Ewe"):
        return None
    found = [c for c in columns if c.name in ("<Ece>", "<Ece", "Ece", "<Ecv>") and _factor(c, "voltage")]
    return found[0] if found else None


def _refuse_incomplete(path: Path, picked: Mapping[str, object], columns: list[_Column]) -> None:
    headings = ", ".join(f'"{c.heading}"' for c in columns[:8])
    if picked["time"] is None:
        raise InputError(f'{path}: no column of time with a unit, such as "time (s)"; found {headings}')
    if picked["voltage"] is None and picked["current"] is None:
        raise InputError(f'{path}: neither voltage nor current with a unit, such as "I (mA)"; found {headings}')


# ---- EC-Lab -------------------------------------------------------------------------------------------------------


def _read_mpt(path: Path, text: str, chosen: Mapping[str, str]) -> PotentiostatData:
    """EC-Lab ASCII: line 2 says how many lines the header has; its last names the columns."""
    lines = text.split("\n")
    found = re.match(r"\s*Nb header lines\s*:\s*(\d+)\s*$", lines[1] if len(lines) > 1 else "")
    if not found:
        raise InputError(f'{path}: line 2 should read "Nb header lines : N"; export the file again from EC-Lab')
    count = int(found.group(1))
    if not 3 <= count <= len(lines):
        raise InputError(f"{path}: announces {count} header lines and has {len(lines)} lines; it is cut short")
    headings = lines[count - 1].removesuffix("\t").split("\t")
    numbered = [
        (k, line.removesuffix("\t").split("\t")) for k, line in enumerate(lines[count:], count + 1) if line.strip()
    ]
    return _assemble(path, "mpt", _parted(path, headings, numbered), chosen)


def _parted(path: Path, headings: list[str], numbered: list[tuple[int, list[str]]]) -> list[_Column]:
    for line, row in numbered:
        if len(row) != len(headings):
            raise InputError(
                f"{path}: row {line} has {len(row)} cells, its header {len(headings)}; which is which cannot be told"
            )
    lines = [line for line, _ in numbered]
    cells = list(zip(*(row for _, row in numbered), strict=True)) or [()] * len(headings)
    return [_Column(h, *split_heading(h), cells[k], lines) for k, h in enumerate(headings)]


def _read_mpr(path: Path, chosen: Mapping[str, str]) -> PotentiostatData:
    """The binary file of EC-Lab, through a reader the user has installed (both are GPL)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for module, read in (("galvani.BioLogic", _by_galvani), ("yadg.extractors", _by_yadg)):
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        names = read(found, path)
        columns = [_Column(h, *split_heading(h), [repr(float(v)) for v in c], range(len(c))) for h, c in names.items()]
        return _assemble(path, "mpr", columns, chosen)
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
    found = {"time/s": np.asarray(data["uts"].values, dtype=float)}
    for name, variable in data.data_vars.items():
        if variable.dims == ("uts",) and variable.dtype.kind in "fiu":
            found[f"{name}/{variable.attrs.get('units', '')}"] = np.asarray(variable.values, dtype=float)
    return found


# ---- Gamry --------------------------------------------------------------------------------------------------------


def _read_dta(path: Path, text: str, chosen: Mapping[str, str]) -> PotentiostatData:
    """Gamry Framework: lines of TAG, TYPE, value; tables begin with a line TAG, TABLE, rows."""
    lines = text.split("\n")
    area: float | None = None
    begin: list[tuple[int, str, str]] = []
    for k, line in enumerate(lines):
        cells = line.split("\t")
        if len(cells) > 2 and cells[1] == "TABLE":
            begin.append((k, cells[0], cells[2]))
        elif cells[0] == "AREA" and len(cells) > 2:
            mark = decimal_mark([cells[2]], f"{path}: AREA")
            area = float(cells[2].replace(mark, ".")) * factor_to_si("cm^2", "m^2")
    curves = [entry for entry in begin if entry[1].startswith("CURVE")]
    if not curves:
        listed = ", ".join(name for _, name, _ in begin) or "none"
        raise InputError(f"{path}: no table CURVE in this Gamry file (tables: {listed})")
    if len(curves) > 1:
        raise InputError(f"{path}: holds {len(curves)} curves; export one run per file")
    start, name, announced = curves[0]
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
    if "EXPERIMENTABORTED" in text:
        notes = (*notes, "the experiment was aborted")
    return _assemble(path, "dta", _parted(path, headings, numbered), chosen, area=area, notes=notes)
