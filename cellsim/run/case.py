"""A case: one TOML file that says what is to be predicted (docs/schema.md, section 1), and the same in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cellsim.base import V_LITHIUM, InputError, factor_to_si
from cellsim.cell.geometry import Cell, InitialProfile, Separator
from cellsim.cell.kinetics import LAWS, ButlerVolmer, Electrode, Kinetics, Resistance
from cellsim.cell.protocol import LISTED, Protocol, Step, StopConditions, numbered, ramp, with_jumps
from cellsim.electrolyte.mixture_set import is_mixture
from cellsim.electrolyte.set_file import read_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import file_hash, text_hash
from cellsim.files.schema import REQUIRED, Table, did_you_mean, parse_toml, read_toml, with_values
from cellsim.instruments.data import Setup, read_sheet
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.potentiostat import first_time, per_area, read_drive, read_resistance
from cellsim.instruments.tables import read_column, read_table
from cellsim.run.simulation import SOLVERS, check_initial_state, choose_solver
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

Drive = Literal["voltage", "current"]


def named_file(table: Table, inputs: dict[str, str], key: str = "file") -> Path:
    """The file a key names, relative to the case; its SHA-256 is noted in `inputs`.

    Raises
    ------
    InputError
        If the key or the file is missing.
    """
    path = table.path(key)
    inputs[table.string(key)] = file_hash(path)
    return path


def read_protocol(top: Table, cell: Cell, inputs: dict[str, str]) -> Protocol:
    """The steps of a case, ``[[step]]``.

    Parameters
    ----------
    top : Table
        The whole case.
    cell : Cell
        For the electrode area.
    inputs : dict
        Checksums, to which the files read are added.

    Returns
    -------
    Protocol

    Raises
    ------
    InputError
        With one sentence: file, key or row, value, what is allowed.
    """
    with top.located():
        return Protocol(tuple(_steps(top.tables("step"), cell, inputs)))


MOST_REPEATED = 10_000
"""Steps that a case may come to with its repeats written out."""


def _steps(tables: list[Table], cell: Cell, inputs: dict[str, str]) -> list[Step]:
    """Steps in order, groups that repeat written out."""
    steps: list[Step] = []
    for table in tables:
        if "repeat" not in table:
            steps.append(_step(table, cell, inputs))
            continue
        table.only("repeat", "step")
        times = table.integer("repeat", least=1)
        group = _steps(table.tables("step"), cell, inputs)
        if not group:
            raise table.error("repeat", "has no [[step.step]] below it that it could repeat")
        if len(steps) + times * len(group) > MOST_REPEATED:
            raise table.error("repeat", f"makes more than {MOST_REPEATED} steps; take fewer")
        steps += times * group
    return steps


def _step(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    match table.exactly_one("hold", "ramp", "follow"):
        case "follow":
            return _follow(table, cell, inputs)
        case "ramp":
            return _ramp(table, cell)
    table.only("hold", "value", "duration", "stop")
    hold = table.choice("hold", ["voltage", "current", "rest"])
    if hold == "rest" and "value" in table:
        raise table.error("value", "has no place in a rest; leave it out")
    duration = table.quantity("duration", "s", above=0)
    drive: Drive = "voltage" if hold == "voltage" else "current"
    value = 0.0
    if hold != "rest":
        value = table.quantity("value", "V") if drive == "voltage" else _current(table, cell.area)
    return Step(
        drive,
        np.array([value]),
        duration,
        stop=_stop(table, drive, cell.area),
        label=hold if hold == "rest" else f"hold {hold}",
    )


def _current(table: Table, area: float | None) -> float:
    """A current density, or a total current divided by the area [A/m^2]."""
    return _per_area(table, "value", "A/m^2", "A", area)


def _per_area(table: Table, key: str, unit: str, total_unit: str, area: float | None) -> float:
    """A quantity per electrode area in `unit`, or one of the whole cell in `total_unit` divided by the area."""
    value = table.data.get(key)
    try:
        return table.quantity(key, unit)
    except InputError as error:
        if not isinstance(value, str):
            raise
        try:
            total = table.quantity(key, total_unit)
        except InputError:
            raise error from None
    return total / per_area(area, f"{table.where(key)} = {value!r}")


def _ramp(table: Table, cell: Cell) -> Step:
    table.only("ramp", "from", "to", "rate", "stop")
    drive = cast(Drive, table.choice("ramp", ["voltage", "current"]))
    unit, total = ("V", None) if drive == "voltage" else ("A/m^2", "A")
    begin, end, rate = (
        table.quantity(key, per) if total is None else _per_area(table, key, per, total + more, cell.area)
        for key, per, more in (("from", unit, ""), ("to", unit, ""), ("rate", f"{unit}/s", "/s"))
    )
    if rate <= 0:
        raise table.error("rate", "must be positive, also for a sweep downwards")
    if begin == end:
        raise table.error("to", "is where the ramp begins; hold that value instead")
    return ramp(drive, begin, end, rate, _stop(table, drive, cell.area))


def _stop(table: Table, drive: Drive, area: float | None) -> StopConditions:
    stop = table.table("stop", {})
    units = {"current_below": "", "current_rate_below": "A/m^2/s", "c_below": "mol/m^3", "c_above": "mol/m^3"}
    units |= {"voltage_rate_below": "V/s", "current_relative_rate_below": "1/s"}
    limits = {"voltage_above": "V", "voltage_below": "V"}
    per_area = {"current_density_below": ("A/m^2", "A"), "charge_above": ("C/m^2", "C")}
    stop.only(*units, *limits, *per_area)
    for key in stop:
        if drive == "current" and key.startswith("current"):
            raise stop.error(key, "has no place in a step whose current is imposed")
        if drive == "voltage" and key.startswith("voltage"):
            raise stop.error(key, "has no place in a step whose voltage is imposed")
    given = {key: stop.quantity(key, unit, None, above=0) for key, unit in units.items()}
    given |= {key: stop.quantity(key, unit, None) for key, unit in limits.items()}
    for key, (unit, total) in per_area.items():
        if key in stop and (value := _per_area(stop, key, unit, total, area)) <= 0:
            raise stop.error(key, "must be positive; it is compared with the magnitude")
        given[key] = value if key in stop else None
    return StopConditions(**given)


def _follow(table: Table, cell: Cell, inputs: dict[str, str]) -> Step:
    table.only("follow", "file", "time", "value", "between", "duration", "other", "stop")
    drive = cast(Drive, table.choice("follow", ["current", "voltage"]))
    data, clock = read_table(named_file(table, inputs)), read_column(table, "time")
    time, value = read_drive(
        data, clock, read_column(table, "value"), drive, area=cell.area, field=table.where("value")
    )
    other = None
    if "other" in table:
        imposed_by: Drive = "voltage" if drive == "current" else "current"
        column = read_column(table, "other")
        other = read_drive(data, clock, column, imposed_by, area=cell.area, field=table.where("other"))
    end = float(time[-1])
    duration = table.quantity("duration", "s", end, above=0)
    if duration > end * (1 + 1e-9):
        raise table.error("duration", f"is longer than its table, which ends after {end:.6g} s")
    began = first_time(data, clock, field=table.where("time.unit"))
    if end == 0:
        raise table.error("file", "has all its rows at one time")
    time, value = with_jumps(time, value, held=table.choice("between", ["linear", "hold"], "linear") == "hold")
    return Step(drive, value, duration, time, _stop(table, drive, cell.area), other, f"follow {drive}", began)


@dataclass(frozen=True)
class Output:
    """What to keep and what to draw.

    Parameters
    ----------
    interval : float, optional
        Time between kept states [s]; None: dense early, then even.
    times : tuple of float
        Extra times to keep [s].
    profiles_at : tuple of float
        Times at which profiles are drawn [s]; empty: five spread over the run.
    positions : tuple of float
        Where v(t) is drawn: distance from the positive interface at t = 0, in the lab frame [m].
    """

    interval: float | None = None
    times: tuple[float, ...] = ()
    profiles_at: tuple[float, ...] = ()
    positions: tuple[float, ...] = ()


@dataclass(frozen=True)
class SolverChoice:
    """How to solve it.

    Parameters
    ----------
    name : {"auto", "compiled", "fipy", "material", "sundials"}
        The solver; "auto" picks one.
    cells : int
        Number of cells of the grid.
    rtol : float
        Error asked of one time step; see :class:`cellsim.solvers.march.Options` [1].
    c_min : float, optional
        A face below this is depleted [mol/m^3]; None: as :class:`cellsim.solvers.march.Options` says.
    """

    name: str = "auto"
    cells: int = Options.cells
    rtol: float = Options.rtol
    c_min: float | None = None


@dataclass(frozen=True)
class Case:
    """A polarisation experiment to predict, read and checked.

    Parameters
    ----------
    title : str
        Free text, shown in figures.
    cell : Cell
        Geometry, temperature, electrodes, separator.
    transport : TransportSet
        The electrolyte, bound to the cell's temperature and to the case's solvent motion and extrapolation.
    protocol : Protocol
        The steps.
    c0 : float
        Average salt concentration; where no `initial` is given, that of every place at the start [mol/m^3].
    output : Output
        What to keep and draw.
    solver : SolverChoice
        How to solve it.
    measured : tuple of Measurement
        Data to draw over the prediction.
    text : str
        The file, verbatim.
    path : Path
        Where it was read.
    inputs : mapping
        File named by the case (and the case itself), as written there -> SHA-256.
    initial : InitialProfile, optional
        The salt profile that the run begins with; None: uniform.
    """

    title: str
    cell: Cell
    transport: TransportSet
    protocol: Protocol
    c0: float
    output: Output = Output()
    solver: SolverChoice = SolverChoice()
    measured: tuple[Measurement, ...] = ()
    text: str = ""
    path: Path = Path("case.toml")
    inputs: Mapping[str, str] = field(default_factory=dict)
    initial: InitialProfile | None = None

    @property
    def start(self) -> float | InitialProfile:
        """What :func:`cellsim.simulate` takes as `c0`: the uniform concentration [mol/m^3], or the profile."""
        return self.c0 if self.initial is None else self.initial

    @property
    def setup(self) -> Setup:
        """What data measured on it need to know."""
        return Setup(self.cell, self.transport, self.protocol, self.c0, self.initial is None)


def load_case(path: str | Path, *, folder: str | Path | None = None, changes: Mapping[str, Any] | None = None) -> Case:
    """Read and check a case.

    Parameters
    ----------
    path : str or Path
        The TOML file.
    folder : str or Path, optional
        What the paths inside it are relative to; default: the folder it lies in.
    changes : mapping, optional
        Key (see :func:`changed`) -> value that takes the place of the file's.

    Returns
    -------
    Case

    Raises
    ------
    InputError
        Anything unknown, missing, of the wrong dimension or out of bounds in the case or in a file it names.
    """
    top = read_toml(path)
    top = top if folder is None else Table(top.data, Path(folder) / Path(path).name, "", top.text)
    return read_case(changed(top, changes or {}))


def parse_case(text: str, path: str | Path = "case.toml") -> Case:
    """The same for TOML text; `path` stands in messages and its folder anchors relative paths.

    Raises
    ------
    InputError
        As :func:`load_case`.
    """
    return read_case(parse_toml(text, path))


NAMES = {
    "thickness": "cell.thickness",
    "area": "cell.area",
    "temperature": "cell.temperature",
    "set": "electrolyte.transport",
    "solver": "solver.name",
    "rtol": "solver.rtol",
}
"""Short names of keys, for command lines; the drive, the salt and the interfaces have more than one key behind them."""
SALT = ("c", "m", "r")


def changed(top: Table, changes: Mapping[str, Any]) -> Table:
    """A case's file with some of its values changed.

    Parameters
    ----------
    top : Table
        The file.
    changes : mapping
        Key -> value as TOML has it. Keys are those of the file (``cell.thickness``, ``step[0].value``), those of the
        transport set behind ``set.`` (``set.t_plus.value``), and short names: ``voltage``, ``current`` and ``duration``
        of the only step, ``resistance`` of each interface, the salt's ``c``, ``m`` or ``r``, and :data:`NAMES`.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        A key that is none; a drive where there are several steps.
    """
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key in NAMES:
            values[NAMES[key]] = value
        elif key in SALT:
            values["electrolyte.salt"] = {key: value}
        elif key == "resistance":
            values |= {f"electrodes.{side}.resistance": value for side in ("positive", "negative")}
        elif key in ("voltage", "current", "duration"):
            place = _only_step(top, key)
            values |= (
                {f"{place}.duration": value}
                if key == "duration"
                else {
                    f"{place}.hold": key,
                    f"{place}.value": value,
                }
            )
        elif key.startswith("set."):
            own = top.table("electrolyte").table("change", {})
            values.setdefault("electrolyte.change", dict(own.data))[key.removeprefix("set.")] = value
        elif re.split(r"[.\[]", key)[0] not in KEYS:
            known = (*KEYS, *NAMES, *SALT, "resistance", "voltage", "current", "duration", "set")
            raise InputError(f"{top.file}: {key} is no key of a case{did_you_mean(key, known)}")
        else:
            values[key] = value
    return with_values(top, values)


def _only_step(top: Table, key: str) -> str:
    """The one step a short name can mean: the only one, or the only one that holds what is named."""
    steps = [entry for entry in top.data.get("step", []) if isinstance(entry, dict)]
    alike = [k for k, entry in enumerate(steps) if entry.get("hold") == key] if key != "duration" else []
    if len(steps) == 1 and "hold" in steps[0]:
        return "step[0]"
    if len(alike) == 1:
        return f"step[{alike[0]}]"
    what = "a duration" if key == "duration" else f"a {key} held"
    raise InputError(f"{top.file}: {key} is clear where one step has {what}; name the step, such as step[0].value")


KEYS = ("title", "cell", "electrolyte", "initial", "electrodes", "step", "measured", "output", "solver")


def read_case(top: Table) -> Case:
    """A case from its file as read; see :func:`load_case`."""
    top.only(*KEYS)
    inputs = {top.file.name: text_hash(top.text)}
    title = top.string("title", top.file.stem)
    cell = read_cell(top, inputs)
    transport = _electrolyte(top.table("electrolyte"), cell, inputs)
    initial = _initial_profile(top.table("initial", None), cell, transport, inputs)
    if initial is None:
        c0 = _initial(top.table("electrolyte").table("salt"), transport)
    elif "salt" in top.table("electrolyte"):
        raise top.table("electrolyte").error("salt", "has no place beside [initial], whose profile says how much salt")
    else:
        c0 = initial.average
    protocol = read_protocol(top, cell, inputs)
    setup = Setup(cell, transport, protocol, c0, initial is None)
    measured = tuple(m for entry in top.tables("measured") for m in _measured(entry, setup, inputs))
    output = read_output(top.table("output", {}), cell, protocol)
    solver = read_solver(top.table("solver", {}))
    return Case(title, cell, transport, protocol, c0, output, solver, measured, top.text, top.file, inputs, initial)


# ---- cell ---------------------------------------------------------------------------------------------------------


def read_cell(top: Table, inputs: dict[str, str]) -> Cell:
    """The cell of a case, ``[cell]`` and ``[electrodes]``; checksums of the files read go to `inputs`."""
    table = top.table("cell")
    table.only("thickness", "area", "temperature", "position_origin", "separator")
    electrodes = top.table("electrodes", {})
    electrodes.only("V_metal", "positive", "negative")
    with table.located():
        return Cell(
            thickness=table.quantity("thickness", "m", above=0),
            temperature=table.quantity("temperature", "K", above=0),
            area=table.quantity("area", "m^2", None, above=0),
            positive=_electrode(electrodes.table("positive", {}), inputs),
            negative=_electrode(electrodes.table("negative", {}), inputs),
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


def _electrode(table: Table, inputs: dict[str, str]) -> Electrode:
    table.only("resistance", "kinetics")
    kinetics = table.table("kinetics", None)
    return Electrode(_resistance(table, inputs), None if kinetics is None else _kinetics(kinetics))


def _resistance(table: Table, inputs: dict[str, str]) -> Resistance:
    if not isinstance(table.data.get("resistance"), dict):
        return Resistance(np.array([table.quantity("resistance", "ohm m^2", 0.0, least=0)]))
    entry = table.table("resistance")
    entry.only("file", "time", "value")
    data = read_table(named_file(entry, inputs))
    time, value = read_resistance(data, read_column(entry, "time"), read_column(entry, "value"), field=entry.where())
    return Resistance(value, time)


def _kinetics(table: Table) -> Kinetics:
    law = LAWS[table.choice("law", tuple(LAWS), ButlerVolmer.law)]
    table.only("law", *law.units)
    values = {
        name: table.quantity(name, unit, getattr(law, name, REQUIRED), above=0) for name, unit in law.units.items()
    }
    with table.located():
        return law(**values)


# ---- electrolyte --------------------------------------------------------------------------------------------------


def _electrolyte(table: Table, cell: Cell, inputs: dict[str, str]) -> TransportSet:
    if "composition" in table:
        raise table.error("composition", "belongs to a set of n species, which check, plan, run and plot take")
    table.only("transport", "change", "salt", "solvent_motion", "extrapolate")
    transport = _transport(table, cell.temperature)
    inputs[table.string("transport")] = text_hash(transport.text)
    with table.located():
        return transport.with_motion(
            cast(Any, table.choice("solvent_motion", ["volume", "none"], "volume"))
        ).with_extrapolation(cast(Any, table.choice("extrapolate", ["error", "clamp"], "error")))


def _transport(table: Table, temperature: float) -> TransportSet:
    name = table.string("transport")
    try:
        path = table.file.parent / name
        if path.is_file() and path.suffix == ".toml" and is_mixture(read_toml(path)):
            raise InputError(f"{name} is a set of n species, which run, plan, check and plot take")
        return read_set(name, folder=table.file.parent, changes=table.table("change", {}).data).bind(temperature)
    except InputError as error:
        raise InputError(f"{table.where('transport')}: {error}") from error


def _initial(table: Table, transport: TransportSet) -> float:
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


def _initial_profile(
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


# ---- what is drawn, and how it is solved ---------------------------------------------------------------------------


def _measured(table: Table, setup: Setup, inputs: dict[str, str]) -> tuple[Measurement, ...]:
    data = read_sheet(table, setup)
    named_file(table, inputs)
    return data


def _auto(table: Table, key: str, unit: str) -> float | None:
    """A positive quantity, or None for ``"auto"`` (the default)."""
    return None if table.data.get(key, "auto") == "auto" else table.quantity(key, unit, above=0)


def read_output(table: Table, cell: Cell, protocol: Protocol) -> Output:
    """What to keep and to draw, ``[output]``."""
    table.only("interval", "times", "profiles_at", "positions")
    times = {}
    for key in ("times", "profiles_at"):
        times[key] = tuple(table.quantities(key, "s", []))
        for k, time in enumerate(times[key]):
            if not 0 <= time <= protocol.duration * (1 + 1e-9):
                raise InputError(
                    f"{table.where(key)}[{k}] = {table.data[key][k]!r} lies outside the run, "
                    f"which lasts at most {protocol.duration / 60:.6g} min"
                )
    positions = []
    for k, position in enumerate(table.quantities("positions", "m", [])):
        x = cell.from_origin(position)
        if not 0 <= x <= cell.thickness:
            raise InputError(
                f"{table.where('positions')}[{k}] = {table.data['positions'][k]!r} lies outside the cell, "
                f'counted from cell.position_origin = "{cell.position_origin}"'
            )
        positions.append(x)
    return Output(_auto(table, "interval", "s"), times["times"], times["profiles_at"], tuple(positions))


def read_solver(table: Table) -> SolverChoice:
    """How to solve it, ``[solver]``."""
    table.only("name", "cells", "rtol", "c_min")
    return SolverChoice(
        name=table.choice("name", ("auto", *SOLVERS), "auto"),
        cells=table.integer("cells", Options.cells, least=10),
        rtol=table.number("rtol", Options.rtol, above=0, most=0.1),
        c_min=_auto(table, "c_min", "mol/m^3"),
    )


STOP_UNITS = {
    "current_below": "of the initial current",
    "current_rate_below": "A/m^2/s",
    "c_below": "mol/m^3",
    "c_above": "mol/m^3",
    "voltage_above": "V",
    "voltage_below": "V",
    "current_density_below": "A/m^2",
    "charge_above": "C/m^2",
    "voltage_rate_below": "V/s",
    "current_relative_rate_below": "1/s",
}


def duration(seconds: float) -> str:
    """A time span with a unit that suits it.

    Examples
    --------
    >>> duration(90), duration(60000), duration(300000)
    ('90 s', '1000 min', '83.33 h')
    """
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 100_000 else f"{seconds / 3600:.4g} h"


def describe(case: Case) -> list[str]:
    """What will be run.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    list of str
        Lines to print.

    Raises
    ------
    InputError
        If the solver named cannot run this case.
    """
    cell, transport = case.cell, case.transport
    clamp = ', held at the ends of its range (extrapolate = "clamp")' if transport.extrapolate == "clamp" else ""
    before, after = electrode_lines(cell)
    return [
        case.title,
        before,
        f"electrolyte   {transport.name} ({transport.status}){clamp}",
        f"salt          {'average ' if case.initial else ''}c = {case.c0 / 1e3:.4g} mol/L, "
        f"m = {float(transport.m(case.c0)):.4g} mol/kg, r = {float(transport.r(case.c0)):.4g}; "
        f"solvent motion: {transport.solvent_motion}",
        *_initial_line(case.initial),
        after,
        *step_lines(case.protocol.steps),
        *(f"measured      {data.kind}: {data.label}" for data in case.measured),
        f"solver        {choose_solver(case.solver.name, transport)}, {case.solver.cells} cells, "
        f"rtol {case.solver.rtol:g}",
    ]


def _initial_line(initial: InitialProfile | None) -> list[str]:
    if initial is None:
        return []
    (low, high), (left, right) = initial.extremes, initial.wall
    source = initial.source.partition(": ")[2] or initial.source
    after = f", which ended at {duration(initial.time)}" if initial.time else ""
    return [
        f"begins with   {left / 1e3:.4g} mol/L at the positive and {right / 1e3:.4g} mol/L at the negative electrode, "
        f"{low / 1e3:.4g} to {high / 1e3:.4g} mol/L in all; {source}{after}"
    ]


def electrode_lines(cell: Cell) -> tuple[str, str]:
    """The cell and its electrodes, one line each."""
    separator = cell.separator
    pores = f", separator: porosity {separator.porosity:g}, MacMullin number {separator.macmullin:.4g}"
    area = "" if cell.area is None else f", {1e4 * cell.area:.4g} cm^2"
    return (
        f"cell          {1e3 * cell.thickness:.4g} mm{area}, {cell.temperature:.2f} K"
        + (pores if separator.porosity < 1 or separator.macmullin > 1 else ""),
        f"electrodes    positive: {cell.positive.describe()}; negative: {cell.negative.describe()}",
    )


def step_lines(steps: Sequence[Step]) -> list[str]:
    """One line per step, or, of many, one per kind of step with the numbers of all that are alike."""
    words = [_step_words(step) for step in steps]
    if len(steps) <= LISTED:
        return [f"step {k}        {text}" for k, text in enumerate(words, 1)]
    numbers: dict[str, list[int]] = {}
    for k, text in enumerate(words, 1):
        numbers.setdefault(text, []).append(k)
    lines = [f"steps         {len(steps)} in all, {len(numbers)} different"]
    lines += [f"{numbered(k):<13} {text}" for text, k in islice(numbers.items(), LISTED)]
    return lines + ([f"              and {len(numbers) - LISTED} more kinds"] if len(numbers) > LISTED else [])


def _step_words(step: Step) -> str:
    unit = "V" if step.drive == "voltage" else "A/m^2"
    if step.label.startswith("ramp"):
        text = f"ramp from {step.value[0]:.4g} to {step.value[-1]:.4g} {unit}"
    elif step.time is not None:
        text = f"follow a {step.drive} of {step.value.min():.4g} to {step.value.max():.4g} {unit}"
        text += f", {step.value.size} points"
        if step.began:
            text += f" from {duration(step.began)} of its file on"
    elif step.is_rest:
        text = "rest"
    else:
        text = f"hold {step.value[0]:.4g} {unit}"
    text += f", {duration(step.duration)}"
    stops = [f"{key.replace('_', ' ')} {value:.4g} {STOP_UNITS[key]}" for key, value in step.stop.given.items()]
    return text + (f"; stop when {' or '.join(stops)}" if stops else "")
