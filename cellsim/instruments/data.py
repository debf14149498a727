"""Data files and data sheets, read once into measurements (docs/compare.md).

A file that explains itself (a potentiostat export, a table with units in the header) is named as it is. What needs
more, a raster of intensities or raw MRI profiles, is named through a data sheet: a TOML file with `kind` and `file`.
The [[measured]] tables of a case are data sheets too. A table whose headings carry no units is read by its columns'
order, with the units in the sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.electrolyte.mixture_set import MixtureSet, species_sum
from cellsim.files.schema import Table, read_toml
from cellsim.instruments.attenuation import Absorber, attenuation, attenuation_of_species
from cellsim.instruments.exports import read_export
from cellsim.instruments.headings import Column, agreed_unit
from cellsim.instruments.looks import VelocityLook
from cellsim.instruments.measurement import QUANTITIES, ConcentrationMap, Measurement, series, velocities
from cellsim.instruments.potentiostat import ENDINGS, factor_of, from_table, per_area, read_potentiostat
from cellsim.instruments.records import Setup, concentrations, recorded, velocity_points
from cellsim.instruments.tables import DataTable, is_error, parse_number, read_table, read_text
from cellsim.solvers.solution import VELOCITIES

KINDS = ("current", "voltage", "profile", "velocity", "xam", "mri", "xpcs")


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
        from cellsim.instruments.xpcs.likelihood import read_speeds

        speeds = read_speeds(path)
        return (speeds.measurement(origin=setup.origin, quantity=_scatterer(setup, str(path))),)
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
    if "intensity" in names:
        raise InputError(f'{path}: intensities need a data sheet, a TOML file with kind = "xam" (docs/compare.md)')
    if names & {"v", *VELOCITIES} or (setup.species and any(name.startswith("v_") for name in names)):
        return (velocity_points(table, setup),)
    if names & {"c", "concentration"} or setup.species:
        data = concentrations(table, setup)
        return (data.measurement(setup.concentration(data.species)),)
    raise InputError(f"{path}: has positions but neither c nor v_0, v_minus nor intensity")


# ---- data sheets ----------------------------------------------------------------------------------------------------

_COMMON = ("kind", "file", "label", "time_offset")
_SALT_ONLY: Mapping[str, str] = {
    "quantity": "name species",
    "salt": "give formulas",
    "solvent": "give formulas",
    "harmonics": "leave it out and subtract their share from the intensities first, since at several energies these "
    "depend on several sums of the species",
}
"""Keys that speak of one salt in one solvent, and what to do of n components."""
_SPECIES = ("species", "formulas")
"""Keys that speak of n components."""
_BY_ORDER = ("unit", "time_unit")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "current": ("columns", "sign", "error", *_BY_ORDER),
    "voltage": ("columns", "sign", "error", *_BY_ORDER),
    "profile": ("species", "error", "beam_width", "position_unit", *_BY_ORDER),
    "velocity": ("quantity", "species", "frame", "unsigned", "error", "position_error", "beam_width"),
    "xam": (
        *("energy", "salt", "solvent", "harmonics", "species", "formulas", "path_length", "path_error", "beam_width"),
        *("counted", "margin", "position", "intensity", "monitor", "position_unit", "start_scan", "scans"),
    ),
    "mri": ("species", "positive", "normalise", "profiles", "margin"),
}
_XPCS = ("species", "label", "time_offset", "position_error", "beam_width")


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
    for key, instead in _SALT_ONLY.items() if setup.species else ():
        if key in sheet:
            raise sheet.error(key, f"is for one salt in one solvent; for a cell of n components {instead}")
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


def _species(sheet: Table, setup: Setup) -> str:
    """The species, or the sum of species, that a sheet names; "" where it names none."""
    for key in _SPECIES:
        if key in sheet and not setup.species:
            raise sheet.error(key, f"is for a cell of n components; {setup.transport.name} is a set of one salt")
    if "species" not in sheet:
        return ""
    text = sheet.string("species")
    try:
        species_sum(text, setup.species)
    except InputError as error:
        raise InputError(f'{sheet.where("species")} = "{text}": {error}') from None
    return text


def _required_species(sheet: Table, setup: Setup, why: str) -> str:
    """As :func:`_species`, of n components required."""
    species = _species(sheet, setup)
    if setup.species and not species:
        raise sheet.error("species", f"is missing: {why}, one or a sum of {', '.join(setup.species)}")
    return species


def _scatterer(setup: Setup, where: str) -> str:
    """The velocity that XPCS sees where nothing else is stated: that of the only solvent."""
    if not isinstance(setup.transport, MixtureSet):
        return "v_0"
    if setup.transport.neutral:
        raise InputError(
            f"{where}: needs species in a data sheet, whose velocity was measured: one or a sum of "
            f"{', '.join(setup.species)}"
        )
    return f"v_{setup.transport.solvent}"


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
    table, unit, species = read_table(sheet.path("file")), sheet.string("unit", None), _species(sheet, setup)
    if unit is None:
        data = concentrations(table, setup, label=label, species=species)
    else:
        species = _required_species(sheet, setup, "it says whose concentration was measured")
        data = replace(_wide(sheet, table, unit, setup), label=label, species=species)
    error = _error(sheet, "profile")
    errors = data.error if error is None else np.full(data.c.shape, error)
    data = replace(data, time=data.time + _offset(sheet), error=errors)
    beam = sheet.quantity("beam_width", "m", 0.0, least=0)
    return data.measurement(setup.concentration(data.species), beam_width=beam)


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
    species = _species(sheet, setup)
    data = velocity_points(
        read_table(sheet.path("file")),
        setup,
        quantity=f"v_{species}" if species else sheet.choice("quantity", list(VELOCITIES), None),
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
    beam = sheet.quantity("beam_width", "m", 0.0, least=0)
    margin = sheet.quantity("margin", "m", max(50e-6, 2 * beam), least=0)
    length = sheet.quantity("path_length", "m", above=0)
    length_error = sheet.quantity("path_error", "m", 0.0, least=0)
    absorber = _absorber(sheet, setup)
    before = setup.concentration(absorber.species)
    data = concentration(
        replace(intensities, time=intensities.time + _offset(sheet)),
        setup.transport,
        absorber,
        length,
        before,
        path_error=length_error,
        inside=(margin, setup.cell.thickness - margin),
    )
    return data.measurement(before, beam_width=beam)


def _absorber(sheet: Table, setup: Setup) -> Absorber:
    """What absorbs: a salt and its solvent, or every species of n components by its own formula."""
    energy = sheet.quantity("energy", "J", above=0)
    species = _required_species(sheet, setup, "all attenuation is counted as that of one species")
    if setup.species:
        given = sheet.table("formulas")
        given.only(*setup.species, chosen=True)
        missing = [name for name in setup.species if name not in given]
        if missing:
            raise InputError(f"{given.where()} lacks {', '.join(missing)}; every species needs its chemical formula")
        if species not in setup.species:
            raise sheet.error("species", f"must be one species here, of {', '.join(setup.species)}")
        return attenuation_of_species(energy, {name: given.string(name) for name in setup.species}, species)
    harmonics = sheet.table("harmonics", {})
    return attenuation(
        energy,
        salt=sheet.string("salt"),
        solvent=sheet.string("solvent"),
        harmonics={_order(harmonics, key): harmonics.number(key, least=0, most=1) for key in harmonics},
    )


def _correlations(sheet: Table, setup: Setup) -> Measurement:
    """Correlation functions: a list of series, in the sheet itself or named by it, or the result of `cellsim xpcs`."""
    from cellsim.instruments.xpcs.likelihood import read_speeds
    from cellsim.instruments.xpcs.series import list_of, read_list, speeds_of

    species = _species(sheet, setup)
    quantity = f"v_{species}" if species else _scatterer(setup, sheet.where())
    if "file" in sheet:
        sheet.only("kind", "file", *_XPCS)
        path = sheet.path("file")
        speeds = read_speeds(path) if path.suffix.lower() == ".nc" else speeds_of(read_list([path]))
    else:
        speeds = speeds_of(list_of(sheet, *_XPCS))
    with sheet.located():
        return replace(speeds, label=sheet.string("label", speeds.label)).measurement(
            origin=setup.origin,
            quantity=quantity,
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
    species = _required_species(sheet, setup, "it says whose nuclei give the signal")
    profiles = read_mri(sheet.path("file"), label=label)
    return normalised(
        profiles.first(sheet.integer("profiles", profiles.time.size, least=2)),
        setup.concentration(species),
        species=species,
        positive=cast(Any, sheet.choice("positive", ["lower", "upper"])),
        normalise=cast(Any, sheet.choice("normalise", ["pixel", "mean"], "pixel")),
        margin=sheet.number("margin", 1.6, least=0),
        time_offset=_offset(sheet),
    )
