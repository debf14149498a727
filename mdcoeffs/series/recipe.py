"""SERIES.toml: the states of a family, what is analysed in each, and the measured values to draw beside them.

``docs/series.md`` lists every key. A state is a SPECIES.toml to be analysed, or result folders that are there already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cellsim.base import InputError, factor_to_si, to_si
from cellsim.files.schema import Table, did_you_mean, read_toml
from cellsim.instruments.tables import DataTable, read_table
from mdcoeffs.inputs.species import ANALYSES, SpeciesFile, check_runs_differ, read_species
from mdcoeffs.series.quantities import PANELS, Panel, analysis_of, panel_of
from mdcoeffs.series.temperature import FEWEST, LAWS

UNITS = {"c": "mol/L", "T": "K", "m": "mol/kg", "r": "", "charge_scaling": ""}
"""Variables that have a unit of their own; any other name is a pure number unless `unit` says otherwise."""
TOP_KEYS = ("title", "series", "state", "measured")
SERIES_KEYS = ("variable", "unit", "analyses", "fits", "predict", "set")
STATE_KEYS = ("name", "value", "species", "result", "set")
COLUMNS = ("quantity", "value", "error", "unit", "source")
"""Columns of a table of measured values, beside that of the variable."""
_NAME = re.compile(r"[\w.+-]+")
_CLOSE = 0.5


@dataclass(frozen=True)
class State:
    """One member of a family.

    Parameters
    ----------
    name : str
        Of its folder.
    value : float
        Of the series' variable, in the series' unit; NaN where the results are to say it.
    species : SpeciesFile, optional
        What is to be analysed; None where results are there.
    settings : mapping
        Analysis -> its settings.
    results : mapping
        Analysis -> folder with its result, where they are there.
    """

    name: str
    value: float
    species: SpeciesFile | None
    settings: Mapping[str, Any]
    results: Mapping[str, Path]


@dataclass(frozen=True)
class Measured:
    """A measured value.

    Parameters
    ----------
    at : float
        Of the series' variable, in the series' unit.
    quantity : str
        Name of the quantity.
    value : float
        In SI.
    error : float
        Standard error, in SI; NaN where none is stated.
    source : str
        Where it comes from.
    """

    at: float
    quantity: str
    value: float
    error: float
    source: str


@dataclass(frozen=True)
class Recipe:
    """A SERIES.toml, read and checked.

    Parameters
    ----------
    path : Path
        The file.
    title : str
        Of the page.
    variable : str
        What distinguishes the states, such as ``"c"`` or ``"T"``.
    unit : str
        Of the variable; "" for a pure number.
    analyses : tuple of str
        What is run in every state that has a SPECIES.toml.
    fits : tuple of str
        Laws of temperature to try, of `mdcoeffs.series.temperature.LAWS`.
    states : tuple of State
        In the order of the file.
    measured : tuple of Measured
        Values to draw beside.
    text : str
        The file verbatim.
    predict : tuple of float
        Temperatures at which rates over barriers are asked for [K].
    """

    path: Path
    title: str
    variable: str
    unit: str
    analyses: tuple[str, ...]
    fits: tuple[str, ...]
    states: tuple[State, ...]
    measured: tuple[Measured, ...]
    text: str
    predict: tuple[float, ...] = ()


def read_series(path: str | Path) -> Recipe:
    """Read a SERIES.toml.

    Parameters
    ----------
    path : str or Path
        The file; paths in it are relative to it.

    Returns
    -------
    Recipe

    Raises
    ------
    InputError
        Unreadable TOML, unknown or missing keys, files that are not there, states that cannot be told apart.
    """
    top = read_toml(path)
    top.only(*TOP_KEYS)
    table = top.table("series")
    table.only(*SERIES_KEYS)
    variable = table.string("variable")
    unit = table.string("unit", UNITS.get(variable, ""))
    _check_unit(table, variable, unit)
    tables = top.tables("state")
    if not tables:
        raise InputError(f"{top.file}: no [[state]]; a series needs one for each concentration or temperature")
    analyses = tuple(dict.fromkeys(table.strings("analyses", ["onsager"])))
    for name in analyses:
        if name not in ANALYSES:
            raise InputError(
                f"{table.where('analyses')}: {name!r} is no analysis of mdcoeffs{did_you_mean(name, ANALYSES)}"
            )
    if not analyses:
        raise table.error("analyses", "is empty; name one at least, such as onsager")
    for_all = dict(table.table("set", {}).data)
    states = tuple(_state(each, variable, unit, analyses, for_all) for each in tables)
    _check_apart(top, states)
    return Recipe(
        path=Path(path),
        title=top.string("title", top.file.stem),
        variable=variable,
        unit=unit,
        analyses=analyses,
        fits=_fits(table, variable, len(states)),
        states=states,
        measured=tuple(value for each in top.tables("measured") for value in _measured(each, variable, unit)),
        text=top.text,
        predict=_predict(table, variable),
    )


def _predict(table: Table, variable: str) -> tuple[float, ...]:
    if "predict" not in table:
        return ()
    if variable != "T":
        raise table.error("predict", 'holds temperatures; they go with variable = "T"')
    temperatures = tuple(table.quantities("predict", "K"))
    if not temperatures or min(temperatures) <= 0:
        raise table.error("predict", 'must hold temperatures above 0, for example ["400 K"]')
    return temperatures


def _check_unit(table: Table, variable: str, unit: str) -> None:
    if not _NAME.fullmatch(variable):
        raise table.error("variable", "must be a name of letters, digits, points, dashes and underscores")
    if variable == "T" and unit != "K":
        raise table.error("unit", "of a temperature is K; values may have any unit of temperature")
    if unit:
        factor_to_si(unit, UNITS.get(variable) or unit, field=table.where("unit"))


def _fits(table: Table, variable: str, states: int) -> tuple[str, ...]:
    if "fits" not in table:
        return LAWS if variable == "T" else ()
    fits = tuple(dict.fromkeys(table.strings("fits")))
    for law in fits:
        if law not in LAWS:
            raise InputError(f"{table.where('fits')}: {law!r} is no law of temperature; allowed: {', '.join(LAWS)}")
        if variable != "T":
            raise table.error("fits", 'are laws of temperature; they go with variable = "T"')
        if states < FEWEST[law]:
            raise InputError(
                f"{table.where('fits')}: the law {law!r} needs at least {FEWEST[law]} states and the series has "
                f"{states}; add states or leave the law out"
            )
    return fits


def _state(table: Table, variable: str, unit: str, analyses: tuple[str, ...], for_all: Mapping[str, Any]) -> State:
    table.only(*STATE_KEYS)
    source = table.exactly_one("species", "result")
    value = math.nan
    if "value" in table:
        value = table.quantity("value", unit, above=0.0 if variable in ("T", "c") else -math.inf)
    elif variable not in ("c", "T"):
        raise table.error("value", f'is missing; give the {variable} of this state, for example "1 {unit}"'.rstrip())
    if source == "result":
        if "set" in table:
            raise table.error("set", "changes a SPECIES.toml, and this state has a result; leave it out")
        results, first = _results(table), _one_or_more(table, "result")[0]
        label = (table.file.parent / first).resolve().name
        return State(_name(table, variable, value, label), value, None, {}, results)
    changes = {**for_all, **table.table("set", {}).data}
    file = _species(table, changes)
    if variable == "T":
        if math.isnan(value):
            value = file.temperature
        if abs(value - file.temperature) > _CLOSE:
            raise table.error(
                "value", f"is {value:g} K, and {file.path} says {file.temperature:g} K; correct one of the two"
            )
    settings = {}
    for name in analyses:
        settings[name] = import_module(f"mdcoeffs.{name}").ANALYSIS.settings(file)
    label = file.path.parent.resolve().name if file.path.name == "SPECIES.toml" else file.path.stem
    return State(_name(table, variable, value, label), value, file, settings, {})


def _name(table: Table, variable: str, value: float, label: str) -> str:
    name = table.string("name", label if math.isnan(value) else f"{variable}_{value:.6g}")
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise table.error("name", f"{name!r} cannot name a folder; use letters, digits, points, dashes, underscores")
    return name


def _one_or_more(table: Table, key: str) -> list[str]:
    names = [table.string(key)] if isinstance(table.data[key], str) else table.strings(key)
    if not names:
        raise table.error(key, "is empty; name one at least")
    return names


def _species(table: Table, changes: Mapping[str, Any]) -> SpeciesFile:
    """One SPECIES.toml, or several of the same system whose replicas go together."""
    paths = [table.file.parent / name for name in _one_or_more(table, "species")]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{table.where('species')}: {str(path)!r} names no file that exists")
    files = [read_species(path, changes) for path in paths]
    first = files[0]
    for file in files[1:]:
        if replace(file, path=first.path, replicas=first.replicas, title=first.title, scratch=first.scratch) != first:
            raise InputError(
                f"{table.where('species')}: {file.path} and {first.path} differ in more than their replicas, so they "
                "are no replicas of one state; make two states of them, or correct one file"
            )
    replicas = tuple(replica for file in files for replica in file.replicas)
    merged = replace(first, replicas=replicas)
    check_runs_differ(merged)
    return merged


def _results(table: Table) -> dict[str, Path]:
    """Analysis -> folder; a folder may hold one result, or a folder for each analysis."""
    found: dict[str, Path] = {}
    for name in _one_or_more(table, "result"):
        folder = table.file.parent / name
        inner = [folder / each for each in ANALYSES if (folder / each / "summary.json").is_file()]
        folders = [folder] if (folder / "summary.json").is_file() else inner
        if not folders:
            raise InputError(
                f"{table.where('result')}: {str(folder)!r} contains no result of mdcoeffs (no summary.json); name the "
                "folder given with -o"
            )
        for each in folders:
            with table.located():
                analysis = analysis_of(each)
            if analysis in found:
                raise InputError(f"{table.where('result')}: two results of mdcoeffs {analysis}; name one of them")
            found[analysis] = each
    return found


def _check_apart(top: Table, states: tuple[State, ...]) -> None:
    names = [state.name for state in states]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{top.file}: two states would both be called {name!r}; give each a name of its own with name = ..."
            )


# ---- measured values ------------------------------------------------------------------------------------------------


def _measured(table: Table, variable: str, unit: str) -> list[Measured]:
    table.only("file", "source")
    return read_measured(table.path("file"), variable, unit, source=table.string("source", ""))


def read_measured(
    path: str | Path, variable: str, unit: str, *, source: str = "", extra: Mapping[str, Panel] | None = None
) -> list[Measured]:
    """Read a table of measured values.

    Parameters
    ----------
    path : str or Path
        Columns: the variable with its unit, ``T (K)``, and `COLUMNS`, of which error, unit and source may be left out.
    variable : str
        Of the series; "" where the table has no such column, then it is not known at what value they were measured.
    unit : str
        Of the variable.
    source : str
        Where the values come from, where the table does not say.
    extra : mapping, optional
        Names that the table may have beside those of a series' quantities, with their panels.

    Returns
    -------
    list of Measured

    Raises
    ------
    InputError
        Missing columns, quantities that do not exist, values that are no numbers or of another unit.
    """
    data = read_table(path)
    known = (variable, *COLUMNS) if variable else COLUMNS
    for column in data.columns:
        if column.name not in known:
            raise InputError(f"{data.path}: column {column.heading!r} is not known{did_you_mean(column.name, known)}")
    place = {column.name: k for k, column in enumerate(data.columns)}
    for name in (variable, "quantity", "value"):
        if name and name not in place:
            raise InputError(f"{data.path}: the column {name!r} is missing; the columns are {', '.join(data.header)}")
    return [
        _row(data, place, row, line, (variable, unit), source, extra or {})
        for row, line in zip(data.rows, data.lines, strict=True)
    ]


def _row(
    data: DataTable,
    place: Mapping[str, int],
    row: list[str],
    line: int,
    variable: tuple[str, str],
    source: str,
    extra: Mapping[str, Panel],
) -> Measured:
    def cell(name: str) -> str:
        return row[place[name]].strip() if name in place else ""

    def number(name: str, own: str, wanted: str) -> float:
        text = cell(name)
        try:
            float(text)
        except ValueError:
            raise InputError(f"{data.path}: line {line}, {name} = {text!r} must be a number") from None
        return to_si(f"{text} {own}" if own else float(text), wanted, field=f"{data.path}: line {line}, {name}")

    try:
        panel = extra[cell("quantity")] if cell("quantity") in extra else PANELS[panel_of(cell("quantity"))]
    except InputError as complaint:
        raise InputError(f"{data.path}: line {line}: {complaint}") from complaint
    name, unit = variable
    own = data.columns[place[name]].unit if name else ""
    if name and bool(own) != bool(unit):
        wanted = f"{name} ({unit})" if unit else name
        raise InputError(f"{data.path}: the column of {name} must be headed {wanted!r}")
    of_value = cell("unit") if cell("unit") != "1" else ""
    wanted = "" if panel.unit == "1" else panel.unit
    if wanted and not of_value:
        raise InputError(
            f"{data.path}: line {line}, the unit of {cell('quantity')} is missing; write one such as {wanted}"
        )
    error = math.nan
    if cell("error"):
        error = number("error", of_value, wanted)
        if not error > 0:
            raise InputError(f"{data.path}: line {line}, error = {cell('error')} must be positive")
    at = number(name, own, unit) if name else math.nan
    return Measured(at, cell("quantity"), number("value", of_value, wanted), error, cell("source") or source)
