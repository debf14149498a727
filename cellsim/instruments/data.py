"""Data files and data sheets, read once into measurements (docs/compare.md).

A file that explains itself (a potentiostat export, a table with units in the header) is named as it is. What needs
more, a raster of intensities or raw MRI profiles, is named through a data sheet: a TOML file with `kind` and `file`.
The [[measured]] tables of a case are data sheets too. A table whose headings carry no units is read by its columns'
order, with the units in the sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import Electrolyte, MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.schema import Table, read_toml
from cellsim.instruments.exports import read_export
from cellsim.instruments.looks import Frame, Velocity, VelocityLook
from cellsim.instruments.measurement import QUANTITIES, ConcentrationMap, Measurement, series, velocities
from cellsim.instruments.potentiostat import (
    ENDINGS,
    PotentiostatData,
    factor_of,
    from_table,
    per_area,
    read_potentiostat,
)
from cellsim.instruments.tables import (
    Column,
    DataTable,
    agreed_unit,
    axes,
    grid,
    is_error,
    parse_number,
    read_table,
    read_text,
)
from cellsim.solvers.solution import Solution

KINDS = ("current", "voltage", "profile", "velocity", "xam", "mri", "xpcs")


@dataclass(frozen=True)
class Setup:
    """What was measured on, as far as data need it.

    Parameters
    ----------
    cell : Cell
        Electrode area, thickness, and the origin of positions.
    transport : TransportSet or MixtureSet
        The electrolyte.
    protocol : Protocol
        Which of current and voltage is imposed.
    c0 : float
        Average concentration of the salt, of n components that of the cation [mol/m^3].
    uniform : bool
        Whether the run begins with it everywhere.
    """

    cell: Cell
    transport: Electrolyte
    protocol: Protocol
    c0: float
    uniform: bool = True

    @property
    def origin(self) -> float:
        """Where positions count from: distance from the positive interface [m]."""
        return self.cell.from_origin(0.0)

    def binary(self, what: str) -> TransportSet:
        """The set of a binary salt, for data that know one salt only.

        Raises
        ------
        InputError
            A set of n components.
        """
        if isinstance(self.transport, MixtureSet):
            raise InputError(
                f"{what}: of a cell of n components, currents, voltages and tables of concentrations are read so far"
            )
        return self.transport


# ---- files ----------------------------------------------------------------------------------------------------------


def read_measurements(path: str | Path, setup: Setup) -> tuple[Measurement, ...]:
    """What one file holds of measurements on a cell.

    Parameters
    ----------
    path : str or Path
        A potentiostat export, a table with units in its header, or a data sheet.
    setup : Setup
        What was measured on.

    Returns
    -------
    tuple of Measurement
        A potentiostat file gives the current, the voltage or both, whichever the protocol does not impose throughout.

    Raises
    ------
    InputError
        Anything unreadable, or a file that needs a data sheet.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending == ".toml":
        return read_sheet(read_toml(path), setup)
    if ending == ".nc":
        setup.binary(str(path))
        from cellsim.instruments.xpcs.likelihood import read_speeds

        return (read_speeds(path).measurement(origin=setup.origin),)
    if ending in ENDINGS:
        return recorded(read_potentiostat(path), setup)
    if ending in (".npz", ".spec", ".h5", ".hdf", ".hdf5"):
        raise InputError(
            f'{path}: intensities need a data sheet, a TOML file with kind = "xam" (docs/compare.md); correlation '
            "functions need a list with the position and time of each series (docs/xpcs.md)"
        )
    export = read_export(path, read_text(path))
    if export is not None:
        return recorded(from_table(export.table, kind=export.kind, notes=export.notes), setup)
    table = read_table(path)
    names = {column.name.lower() for column in table.columns}
    if not names & {"position", "x"}:
        return recorded(from_table(table), setup)
    if names & {"c", "concentration"} or isinstance(setup.transport, MixtureSet):
        return (_concentrations(table, setup).measurement(setup.c0),)
    if names & {"v", "v_0", "v_minus", "v_plus"}:
        return (velocity_points(table, origin=setup.origin),)
    if "intensity" in names:
        raise InputError(f'{path}: intensities need a data sheet, a TOML file with kind = "xam" (docs/compare.md)')
    raise InputError(f"{path}: has positions but neither c nor v_0, v_minus nor intensity")


def recorded(
    data: PotentiostatData, setup: Setup, *, only: str = "", label: str = "", error: float | None = None
) -> tuple[Measurement, ...]:
    """Current and voltage of a potentiostat file, what the protocol imposes from beginning to end left out.

    Parameters
    ----------
    data : PotentiostatData
        The file.
    setup : Setup
        What was measured on.
    only : str
        "current" or "voltage": this one, imposed or not.
    label : str
        Default the name of the file.
    error : float, optional
        Standard error of every point [A/m^2 or V]; default those of the file.

    Returns
    -------
    tuple of Measurement

    Raises
    ------
    InputError
        None of them, or a total current without an area.
    """
    free = {"current" if step.drive == "voltage" else "voltage" for step in setup.protocol.steps}
    wanted = {only} if only else free
    label = label or data.path.name
    taken = []
    if "current" in wanted and data.current is not None:
        density = data.current_density(setup.cell.area)
        notes = data.notes
        stated, used = None if data.per_area else data.area, setup.cell.area
        if stated is not None and used is not None and abs(stated / used - 1) > 1e-3:
            notes += (f"the file states an area of {1e4 * stated:.4g} cm^2; the case's is used",)
        stated_error = data.errors.get("current")
        error_of_each: Array | float | None = error
        if error is None and stated_error is not None:
            error_of_each = stated_error if data.per_area else stated_error / per_area(used, label)
        taken.append(series("current", data.time, density, error=error_of_each, label=label, notes=notes))
    if "voltage" in wanted and data.voltage is not None:
        error_of_each = data.errors.get("voltage") if error is None else error
        taken.append(series("voltage", data.time, data.voltage, error=error_of_each, label=label, notes=data.notes))
    if not taken:
        said = f" ({'; '.join(data.notes)})" if data.notes else ""
        raise InputError(
            f"{data.path}: contains no {' or '.join(sorted(wanted))}, the quantity this case leaves free{said}"
        )
    return tuple(taken)


def _concentrations(table: DataTable, setup: Setup, label: str = "") -> ConcentrationMap:
    """Concentrations of the salt, or of the species of n components that the column names, as in ``c_EC``."""
    species = ""
    if isinstance(setup.transport, MixtureSet):
        known = setup.transport.species
        named = [name for name in known if f"c_{name}" in {column.name for column in table.columns}]
        if len(named) != 1:
            columns = ", ".join(f"c_{name}" for name in known)
            raise InputError(f"{table.path}: has positions and must have one concentration beside them: {columns}")
        species = named[0]
    return concentrations(table, origin=setup.origin, label=label, species=species)


def concentrations(table: DataTable, *, origin: float = 0.0, label: str = "", species: str = "") -> ConcentrationMap:
    """A long table of concentrations: time, position, c and, if known, error, one row per point; some may be missing.

    Parameters
    ----------
    table : DataTable
        Units in the header.
    origin : float
        Where its positions count from: distance from the positive interface [m].
    label : str
        For figures; default the name of the file.
    species : str
        Of n components: whose column it is, ``c_EC``.

    Returns
    -------
    ConcentrationMap

    Raises
    ------
    InputError
        A column missing or without unit, a point twice, an error that is not positive, anything not a number.
    """
    time, position = axes(table, origin)
    c = table.required((f"c_{species}",) if species else ("c", "concentration"), ["mol/m^3"], gaps=True)
    error = table.errors(["mol/m^3"], c)
    # noise about an empty wall may be negative, a concentration may not
    noise = 0.05 * float(np.nanmax(np.abs(c))) if error is None else error
    wrong = np.flatnonzero(c < -5 * noise) if error is not None else np.flatnonzero(c < -noise)
    if wrong.size:
        raise InputError(
            f"{table.path}: row {table.lines[int(wrong[0])]}: a concentration of {c[wrong[0]]:.4g} mol/m^3 is negative "
            "beyond its error; give concentrations, not their changes, or remove the row"
        )
    times, places, (values, errors) = grid(table.path, time, position, c, error)
    assert values is not None
    return ConcentrationMap(times, places, values, errors, label=label or table.path.name, species=species)


def velocity_points(
    table: DataTable,
    *,
    origin: float = 0.0,
    quantity: Velocity | None = None,
    frame: Frame | None = None,
    unsigned: bool | None = None,
    label: str = "",
) -> Measurement:
    """A long table of velocities: time, position, v and, if known, error, one row per point.

    Parameters
    ----------
    table : DataTable
        Units in the header. The column is ``v_0`` (solvent), ``v_minus``, ``v_plus``, or ``v``.
    origin : float
        Where its positions count from: distance from the positive interface [m].
    quantity, frame : str, optional
        What ``v`` is; default: by the column's name, the lab frame for the solvent, the interface frame for ions.
    unsigned : bool, optional
        Only the magnitude was measured; default: true where no value is negative.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    Measurement

    Raises
    ------
    InputError
        A column missing or without unit, anything not a number, a negative value among magnitudes.
    """
    time, position = axes(table, origin)
    names = {column.name for column in table.columns}
    known: tuple[Velocity, ...] = ("v_0", "v_minus", "v_plus")
    chosen = next((name for name in known if name in names), known[0]) if quantity is None else quantity
    v = table.required((chosen, "v"), ["m/s"])
    magnitudes = bool(np.all(v >= 0)) if unsigned is None else unsigned
    if magnitudes and np.any(v < 0):
        raise InputError(f"{table.path}: a velocity is negative, but only magnitudes were announced")
    look = VelocityLook(time, position, chosen, frame or ("lab" if chosen == "v_0" else "interface"), magnitudes)
    return velocities(look, v, error=table.errors(["m/s"], v), label=label or table.path.name)


# ---- data sheets ----------------------------------------------------------------------------------------------------

_COMMON = ("kind", "file", "label", "time_offset")
_BY_ORDER = ("unit", "time_unit")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "current": ("columns", "sign", "error", *_BY_ORDER),
    "voltage": ("columns", "sign", "error", *_BY_ORDER),
    "profile": ("error", "beam_width", "position_unit", *_BY_ORDER),
    "velocity": ("quantity", "frame", "unsigned", "error", "position_error", "beam_width"),
    "xam": (
        *("energy", "salt", "solvent", "harmonics", "path_length", "path_error", "beam_width", "counted", "margin"),
        *("position", "intensity", "monitor", "position_unit", "start_scan", "scans"),
    ),
    "mri": ("positive", "normalise", "profiles", "margin"),
}
_XPCS = ("label", "time_offset", "position_error", "beam_width")


def read_sheet(sheet: Table, setup: Setup) -> tuple[Measurement, ...]:
    """What a data sheet names: a TOML file of its own, or a [[measured]] table of a case.

    Parameters
    ----------
    sheet : Table
        With `kind`, `file` and the keys of its kind.
    setup : Setup
        What was measured on.

    Returns
    -------
    tuple of Measurement

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds in it or in the file it names.
    """
    kind = "xpcs" if "series" in sheet and "kind" not in sheet else sheet.choice("kind", KINDS)
    if kind == "xpcs":
        return (_correlations(sheet, setup),)
    sheet.only(*_COMMON, *_KEYS[kind])
    if kind not in ("current", "voltage", "profile"):
        with sheet.located():
            setup.binary(f'kind = "{kind}"')
    readers: Mapping[str, Callable[[Table, str, Setup], Measurement]] = {
        "current": _series,
        "voltage": _series,
        "profile": _profiles,
        "velocity": _velocities,
        "xam": _xam,
        "mri": _mri,
    }
    label = sheet.string("label", sheet.path("file").name)
    with sheet.located():
        return (readers[kind](sheet, label, setup),)


def _offset(sheet: Table) -> float:
    return sheet.quantity("time_offset", "s", 0.0)


def _series(sheet: Table, label: str, setup: Setup) -> Measurement:
    kind = cast(Literal["current", "voltage"], sheet.data["kind"])
    path, area = sheet.path("file"), setup.cell.area
    sign = sheet.number("sign", 1.0)
    if abs(sign) != 1:
        raise sheet.error("sign", "must be 1 or -1")
    error, unit = _error(sheet, kind, area), sheet.string("unit", None)
    if unit is not None:
        time, value, errors = _by_order(sheet, read_table(path), kind, unit, area)
        of_each = errors if error is None else error
        return series(kind, time + _offset(sheet), sign * value, error=of_each, label=label)
    columns = sheet.table("columns", {})
    columns.only("time", "voltage", "current")
    data = read_potentiostat(path, columns={key: columns.string(key) for key in columns})
    data = replace(
        data,
        time=data.time + _offset(sheet),
        current=None if data.current is None else sign * data.current,
        voltage=None if data.voltage is None else sign * data.voltage,
    )
    return recorded(data, setup, only=kind, label=label, error=error)[0]


def _by_order(
    sheet: Table, table: DataTable, kind: str, unit: str, area: float | None
) -> tuple[Array, Array, Array | None]:
    """Time, value and, in a third column of that name, errors of a table without units [s; A/m^2 or V]."""
    if len(table.header) < 2:
        raise InputError(f"{table.path}: needs two columns, time and {kind}")
    time_unit = agreed_unit(table.header[0], sheet.string("time_unit"), field=sheet.where("time_unit"))
    t = table.numbers(0) * factor_to_si(time_unit, "s", field=sheet.where("time_unit"))
    table.increasing(t, table.header[0])
    agreed_unit(table.header[1], unit, field=sheet.where("unit"))
    factor = factor_of(Column(table.header[1], unit), kind, area, field=sheet.where("unit"))
    errors = None
    if len(table.header) > 2 and is_error(table.columns[2].name):
        agreed_unit(table.header[2], unit, field=sheet.where("unit"))
        errors = factor * table.positive(2)
    return t, table.numbers(1) * factor, errors


def _error(sheet: Table, kind: str, area: float | None = None) -> float | None:
    """The standard error of every point that a sheet states [SI]; that of a current may be one of the total current."""
    if kind == "current" and isinstance(sheet.data.get("error"), str):
        try:
            return sheet.quantity("error", "A/m^2", above=0)
        except InputError as complaint:
            try:
                total = sheet.quantity("error", "A", above=0)
            except InputError:
                raise complaint from None
            return total / per_area(area, sheet.where("error"))
    return sheet.quantity("error", QUANTITIES[kind].unit, None, above=0)


def _profiles(sheet: Table, label: str, setup: Setup) -> Measurement:
    table, unit = read_table(sheet.path("file")), sheet.string("unit", None)
    if unit is None:
        data = _concentrations(table, setup, label)
    else:
        setup.binary(f"{table.path}: a column for every time")
        data = replace(_wide(sheet, table, unit, setup), label=label)
    error = _error(sheet, "profile")
    errors = data.error if error is None else np.full(data.c.shape, error)
    data = replace(data, time=data.time + _offset(sheet), error=errors)
    return data.measurement(setup.c0, beam_width=sheet.quantity("beam_width", "m", 0.0, least=0))


def _wide(sheet: Table, table: DataTable, unit: str, setup: Setup) -> ConcentrationMap:
    """A column of positions, then one of concentrations for every time, headed by that time; units in the sheet."""
    path, time_unit = table.path, sheet.string("time_unit")
    times = []
    for heading in table.header[1:]:
        number = parse_number(heading, table.delimiter)
        if number is None or not np.isfinite(number):
            raise InputError(f'{path}: column "{heading}" must be headed by its time, a number in {time_unit}')
        times.append(number)
    if not times:
        raise InputError(f"{path}: needs a column of positions and at least one profile, headed by its time")
    t = np.array(times) * factor_to_si(time_unit, "s", field=sheet.where("time_unit"))
    if np.any(np.diff(t) <= 0):
        k = int(np.argmax(np.diff(t) <= 0)) + 2
        raise InputError(f'{path}: the times in the header must increase strictly; "{table.header[k]}" does not')
    position_unit = agreed_unit(table.header[0], sheet.string("position_unit"), field=sheet.where("position_unit"))
    x = table.numbers(0) * factor_to_si(position_unit, "m", field=sheet.where("position_unit"))
    table.increasing(x, table.header[0])
    factor = factor_to_si(unit, "mol/m^3", field=sheet.where("unit"))
    c = np.stack([table.numbers(k, gaps=True) for k in range(1, len(table.header))]) * factor
    if np.any(c < -0.05 * np.nanmax(np.abs(c))):
        row = table.lines[int(np.argwhere(c < -0.05 * np.nanmax(np.abs(c)))[0, 1])]
        raise InputError(
            f"{path}: row {row}: a concentration is negative beyond noise; give concentrations, not changes"
        )
    return ConcentrationMap(t, x + setup.origin, c)


def _velocities(sheet: Table, label: str, setup: Setup) -> Measurement:
    data = velocity_points(
        read_table(sheet.path("file")),
        origin=setup.origin,
        quantity=cast(Any, sheet.choice("quantity", ["v_0", "v_minus", "v_plus"], None)),
        frame=cast(Any, sheet.choice("frame", ["lab", "interface", "solvent"], None)),
        unsigned=sheet.boolean("unsigned", None),
        label=label,
    )
    look = replace(
        cast(VelocityLook, data.look),
        time=data.time + _offset(sheet),
        position_error=sheet.quantity("position_error", "m", 0.0, least=0),
        beam_width=sheet.quantity("beam_width", "m", 0.0, least=0),
    )
    error = _error(sheet, "velocity")
    return velocities(look, data.value, error=data.error if error is None else error, label=label)


def _xam(sheet: Table, label: str, setup: Setup) -> Measurement:
    from cellsim.instruments.attenuation import attenuation
    from cellsim.instruments.xam import concentration
    from cellsim.instruments.xam_files import read_intensity, read_spec

    _needs_uniform(sheet, setup)
    path, counted = sheet.path("file"), sheet.boolean("counted", None)
    if "start_scan" in sheet:
        intensities = read_spec(
            path,
            position=sheet.string("position"),
            intensity=sheet.string("intensity"),
            monitor=sheet.string("monitor", None),
            start_scan=sheet.integer("start_scan"),
            position_unit=sheet.string("position_unit", "mm"),
            origin=setup.origin,
            counted=counted,
            label=label,
            scans=tuple(int(n) for n in sheet.array("scans", [])),
        )
    else:
        intensities = read_intensity(path, origin=setup.origin, counted=counted, label=label)
    harmonics = sheet.table("harmonics", {})
    light = attenuation(
        sheet.quantity("energy", "J", above=0),
        salt=sheet.string("salt"),
        solvent=sheet.string("solvent"),
        harmonics={_order(harmonics, key): harmonics.number(key, least=0, most=1) for key in harmonics},
    )
    beam = sheet.quantity("beam_width", "m", 0.0, least=0)
    margin = sheet.quantity("margin", "m", max(50e-6, 2 * beam), least=0)
    data = concentration(
        replace(intensities, time=intensities.time + _offset(sheet)),
        setup.binary(sheet.where()),
        light,
        sheet.quantity("path_length", "m", above=0),
        setup.c0,
        path_error=sheet.quantity("path_error", "m", 0.0, least=0),
        inside=(margin, setup.cell.thickness - margin),
    )
    return data.measurement(setup.c0, beam_width=beam)


def _correlations(sheet: Table, setup: Setup) -> Measurement:
    """Correlation functions: a list of series, in the sheet itself or named by it, or the result of `cellsim xpcs`."""
    from cellsim.instruments.xpcs.likelihood import read_speeds
    from cellsim.instruments.xpcs.series import list_of, read_list, speeds_of

    if "file" in sheet:
        sheet.only("kind", "file", *_XPCS)
        path = sheet.path("file")
        speeds = read_speeds(path) if path.suffix.lower() == ".nc" else speeds_of(read_list([path]))
    else:
        speeds = speeds_of(list_of(sheet, *_XPCS))
    with sheet.located():
        return replace(speeds, label=sheet.string("label", speeds.label)).measurement(
            origin=setup.origin,
            time_offset=_offset(sheet),
            beam_width=sheet.quantity("beam_width", "m", 0.0, least=0),
            position_error=sheet.quantity("position_error", "m", 0.0, least=0),
        )


def _needs_uniform(sheet: Table, setup: Setup) -> None:
    """Refuse raw intensities, counted from a first profile taken as uniform, where the run begins otherwise."""
    if not setup.uniform:
        raise InputError(
            f"{sheet.where('file')}: raw intensities are counted from the first profile as that of uniform salt, and "
            '[initial] of the case says otherwise; give concentrations instead (kind = "profile")'
        )


def _order(harmonics: Table, key: str) -> int:
    if not key.isdigit() or int(key) < 2:
        raise harmonics.error(key, "must be headed by the order of the harmonic, 2 or more")
    return int(key)


def _mri(sheet: Table, label: str, setup: Setup) -> Measurement:
    from cellsim.instruments.mri import normalised, read_mri

    _needs_uniform(sheet, setup)
    profiles = read_mri(sheet.path("file"), label=label)
    return normalised(
        profiles.first(sheet.integer("profiles", profiles.time.size, least=2)),
        setup.c0,
        positive=cast(Any, sheet.choice("positive", ["lower", "upper"])),
        normalise=cast(Any, sheet.choice("normalise", ["pixel", "mean"], "pixel")),
        margin=sheet.number("margin", 1.6, least=0),
        time_offset=_offset(sheet),
    )


def not_imposed(protocol: Protocol, solution: Solution) -> tuple[Measurement, ...]:
    """What the tables of following steps hold of the drive that was measured and not imposed.

    Parameters
    ----------
    protocol : Protocol
        The steps.
    solution : Solution
        Their run: its log says when each began.

    Returns
    -------
    tuple of Measurement
    """
    others = []
    for entry in solution.log:
        step = protocol.steps[int(entry["index"])]
        if step.measured_other is not None:
            time, value = step.measured_other
            kind: Literal["current", "voltage"] = "voltage" if step.drive == "current" else "current"
            others.append(series(kind, time + float(entry["t_start"]), value, label=f"{kind}, not imposed"))
    return tuple(others)
