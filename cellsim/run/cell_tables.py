"""The cell and the electrolyte of a case, with what the run begins with: its tables [cell], [electrodes], [electrolyte]
and [initial] (docs/schema.md, section 1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from cellsim.base import V_LITHIUM, InputError, factor_to_si
from cellsim.cell.geometry import Cell, InitialProfile, Separator
from cellsim.cell.kinetics import LAWS, ButlerVolmer, Electrode, Kinetics, Resistance
from cellsim.electrolyte.mixture_file import is_mixture
from cellsim.electrolyte.set_file import read_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import file_hash, text_hash
from cellsim.files.schema import REQUIRED, Table, read_toml
from cellsim.instruments.headings import read_column
from cellsim.instruments.potentiostat import read_resistance
from cellsim.instruments.tables import read_table
from cellsim.run.simulation import check_initial_state
from cellsim.run.steps import named_file
from cellsim.solvers.solution import Solution


def read_cell(top: Table, inputs: dict[str, str]) -> Cell:
    """The cell of a case, ``[cell]`` and ``[electrodes]``; checksums of the files read go to `inputs`."""
    table = top.table("cell")
    table.only("thickness", "area", "temperature", "position_origin", "separator")
    electrodes = top.table("electrodes", {})
    electrodes.only("V_metal", "positive", "negative")
    with table.located():
        area = table.quantity("area", "m^2", None, above=0)
        return Cell(
            thickness=table.quantity("thickness", "m", above=0),
            temperature=table.quantity("temperature", "K", above=0),
            area=area,
            positive=_electrode(electrodes.table("positive", {}), area, inputs),
            negative=_electrode(electrodes.table("negative", {}), area, inputs),
            separator=_separator(table.table("separator", None)),
            V_metal=electrodes.quantity("V_metal", "m^3/mol", V_LITHIUM, least=0),
            position_origin=cast(Any, table.choice("position_origin", ["positive", "centre"], "positive")),
        )


def _separator(table: Table | None) -> Separator:
    if table is None:
        return Separator()
    table.only("porosity", "tortuosity", "macmullin")
    porosity = table.number("porosity", above=0, most=1)
    if table.exactly_one("tortuosity", "macmullin") == "macmullin":
        return Separator(porosity, table.number("macmullin", least=1))
    tortuosity = table.number("tortuosity", above=0)
    if tortuosity < porosity:
        raise table.error("tortuosity", f"gives a MacMullin number below 1 at porosity {porosity:g}")
    return Separator.from_tortuosity(porosity, tortuosity)


def _electrode(table: Table, cell_area: float | None, inputs: dict[str, str]) -> Electrode:
    """An electrode, with everything per area of the cell: what it states per area of its own is scaled to that."""
    table.only("area", "resistance", "kinetics", "capacitance", "phase", "blocking")
    area, share = table.quantity("area", "m^2", None, above=0), 1.0
    if area is not None:
        share = area / _cell_area(table, "area", cell_area)
    kinetics = table.table("kinetics", None)
    resistance, law = _resistance(table, cell_area, share, inputs), None if kinetics is None else _kinetics(kinetics)
    if law is not None and share != 1:
        law = replace(
            cast(Any, law), **{name: getattr(law, name) * share for name, unit in law.units.items() if unit == "A/m^2"}
        )
    capacitance, total = _per_area_or_total(table, "capacitance", "F/m^2", "F")
    capacitance = capacitance / _cell_area(table, "capacitance", cell_area) if total else capacitance * share
    phase, blocking = table.number("phase", 1.0), table.boolean("blocking", False)
    try:
        return Electrode(resistance, law, capacitance, phase, blocking, area)
    except InputError as error:
        raise InputError(f"{table.where()}: {error}") from error


def _cell_area(table: Table, key: str, area: float | None) -> float:
    if area is None:
        raise table.error(key, "needs cell.area, the area of the electrolyte that carries the current")
    return area


def _per_area_or_total(table: Table, key: str, unit: str, total: str) -> tuple[float, bool]:
    """A quantity of which the default is none, and whether it is that of the whole electrode, not per area of it."""
    try:
        return table.quantity(key, unit, 0.0, least=0), False
    except InputError as error:
        try:
            table.quantity(key, total)
        except InputError:
            raise error from None
    return table.quantity(key, total, least=0), True


def _resistance(table: Table, cell_area: float | None, share: float, inputs: dict[str, str]) -> Resistance:
    if not isinstance(table.data.get("resistance"), dict):
        R, total = _per_area_or_total(table, "resistance", "ohm m^2", "ohm")
        return Resistance(np.array([R * _cell_area(table, "resistance", cell_area) if total else R / share]))
    entry = table.table("resistance")
    entry.only("file", "time", "value")
    data = read_table(named_file(entry, inputs))
    time, value = read_resistance(data, read_column(entry, "time"), read_column(entry, "value"), field=entry.where())
    return Resistance(value / share, time)


def _kinetics(table: Table) -> Kinetics:
    law = LAWS[table.choice("law", tuple(LAWS), ButlerVolmer.law)]
    table.only("law", *law.units)
    values = {
        name: table.quantity(name, unit, getattr(law, name, REQUIRED), above=0) for name, unit in law.units.items()
    }
    with table.located():
        return law(**values)


def read_electrolyte(table: Table, cell: Cell, inputs: dict[str, str]) -> TransportSet:
    """The transport set of a case, ``[electrolyte]``; checksums of the files read go to `inputs`."""
    if "composition" in table:
        if _names_a_mixture(table):
            raise InputError(f"{table.file}: {OF_MIXTURES}")
        raise table.error(
            "composition", f"belongs to a set of n components; {table.string('transport')} is binary: give salt instead"
        )
    table.only("transport", "change", "salt", "solvent_motion", "extrapolate")
    transport = _transport(table, cell.temperature)
    inputs[table.string("transport")] = text_hash(transport.text)
    with table.located():
        return transport.with_motion(
            cast(Any, table.choice("solvent_motion", ["volume", "none"], "volume"))
        ).with_extrapolation(cast(Any, table.choice("extrapolate", ["error", "clamp"], "error")))


OF_MIXTURES = (
    "the case has a set of n components; cellsim.run.mixture.read_case reads it, and so do the commands on cases; "
    "this one is for the set of one salt in one solvent"
)
"""What a command for binary cases says of another."""


def _names_a_mixture(table: Table) -> bool:
    """Whether the set of an [electrolyte] is one of n components."""
    path = table.file.parent / table.string("transport")
    return path.is_file() and path.suffix == ".toml" and is_mixture(read_toml(path))


def _transport(table: Table, temperature: float) -> TransportSet:
    name = table.string("transport")
    try:
        if _names_a_mixture(table):
            raise InputError(OF_MIXTURES)
        return read_set(name, folder=table.file.parent, changes=table.table("change", {}).data).bind(temperature)
    except InputError as error:
        raise InputError(f"{table.where('transport')}: {error}") from error


def read_initial(table: Table, transport: TransportSet) -> float:
    """The initial concentration [mol/m^3], inside the set's range and short of saturation."""
    table.only("c", "m", "r")
    key = table.exactly_one("c", "m", "r")
    unit = {"c": "mol/m^3", "m": "mol/kg", "r": ""}[key]
    value = table.quantity(key, unit, above=0)
    with table.located():
        c0 = transport.c_of(**{key: value})
    if transport.extrapolate == "error" and not transport.contains(c0):
        low, high = (_in_terms_of(key, c, transport) for c in transport.c_range)
        raise table.error(
            key,
            f"lies outside {low:.4g}-{high:.4g} {unit or ''}".rstrip()
            + f' of {transport.name}; choose another set or extrapolate = "clamp"',
        )
    return c0


def read_initial_profile(
    table: Table | None, cell: Cell, transport: TransportSet, inputs: dict[str, str]
) -> InitialProfile | None:
    """What ``[initial]`` says: the profile of a table, or the last one of a former run; None where there is no such."""
    if table is None:
        return None
    if table.exactly_one("file", "from") == "file":
        profile = _tabulated(table, cell, inputs)
    else:
        table.only("from")
        folder = table.file.parent / table.string("from")
        path = folder / "solution.nc" if folder.is_dir() else folder
        if not path.is_file():
            raise table.error(
                "from", "is no folder of a run; name the folder that cellsim run wrote, or its solution.nc"
            )
        inputs[table.string("from")] = file_hash(path)
        profile = last_profile(Solution.from_netcdf(path), cell, transport, source=_stated(table, "from"))
    with table.located():
        check_initial_state(cell, transport, profile)
    return profile


def _stated(table: Table, key: str) -> str:
    return f'{table.where(key)} = "{table.string(key)}"'


def _tabulated(table: Table, cell: Cell, inputs: dict[str, str]) -> InitialProfile:
    table.only("file", "position", "concentration")
    data = read_table(named_file(table, inputs))
    columns = {key: read_column(table, key) for key in ("position", "concentration")}
    x, c = (
        data.column(column.heading, factor_to_si(column.unit, unit, field=table.where(key)))
        for (key, column), unit in zip(columns.items(), ("m", "mol/m^3"), strict=True)
    )
    return InitialProfile.from_points(
        x + cell.from_origin(0.0), c, cell.thickness, source=f'{table.where("file")} = "{table.string("file")}"'
    )


def last_profile(
    solution: Solution, cell: Cell, transport: TransportSet, *, source: str = "the former run"
) -> InitialProfile:
    """The profile that a run ended with, for another one to begin with.

    Parameters
    ----------
    solution : Solution
        The former run, also one that ended early.
    cell, transport
        Of the run that is to begin; the former one must have had the same thickness, porosity and set.
    source : str
        What to call it in messages.

    Returns
    -------
    InitialProfile
        Distances from the positive interface, wherever that has moved; its time is that of the former run's end.

    Raises
    ------
    InputError
        Another thickness, porosity or transport set, or a profile that is none.
    """
    before = str(solution.attributes.get("transport_toml", ""))
    if (before and before != transport.text) or str(solution.attributes.get("transport")) != transport.name:
        raise InputError(
            f"{source}: that run had another transport set or another version of it, "
            f"{solution.attributes.get('transport')}; name the one it had, or give its last profile as a table"
        )
    thickness = float(solution.attributes.get("cell_thickness", solution["thickness"][0]))
    if not abs(thickness / cell.thickness - 1) <= 1e-9:
        raise InputError(
            f"{source}: that run had a cell of {1e3 * thickness:.6g} mm, cell.thickness is "
            f"{1e3 * cell.thickness:.6g} mm; the two must agree"
        )
    faces, c, wall = solution["position_face"][-1], solution["c"][-1], solution["c_face"][-1][[0, -1]]
    porosity = float(solution["salt_inventory"][-1]) / float(np.sum(c * np.diff(faces)))
    if not abs(porosity / cell.separator.porosity - 1) <= 1e-6:
        raise InputError(
            f"{source}: that run had a porosity of {porosity:.4g}, cell.separator.porosity is "
            f"{cell.separator.porosity:.4g}; the two must agree"
        )
    return InitialProfile.from_cells(faces, c, wall, source=source, time=float(solution["time"][-1]))


def _in_terms_of(key: str, c: float, transport: TransportSet) -> float:
    return c if key == "c" else float(transport.m(c) if key == "m" else transport.r(c))
