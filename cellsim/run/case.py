"""A case: one TOML file that says what is to be predicted (docs/schema.md, section 1), and the same in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsim.base import InputError
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.protocol import Protocol
from cellsim.drawing.page import Carded
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import text_hash
from cellsim.files.schema import Table, did_you_mean, parse_toml, read_toml, with_values
from cellsim.instruments.data import read_sheet
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.records import Setup
from cellsim.run.cell_tables import read_cell, read_electrolyte, read_initial, read_initial_profile
from cellsim.run.simulation import SOLVERS, choose_solver, fastest
from cellsim.run.steps import duration, named_file, read_protocol, step_lines
from cellsim.solvers.march import Options

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    refine : bool, optional
        Whether fipy and material take more cells where these are too few; None: as
        :class:`cellsim.solvers.march.Options` says. A case that states `cells` and nothing else keeps them.
    """

    name: str = "auto"
    cells: int = Options.cells
    rtol: float = Options.rtol
    c_min: float | None = None
    refine: bool | None = None

    @property
    def options(self) -> Options:
        """The same as a solver takes it."""
        return Options(cells=self.cells, rtol=self.rtol, c_min=self.c_min, refine=self.refine)


@dataclass(frozen=True, repr=False)
class Case(Carded):
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

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        """What will be run, one row for a line of :func:`describe`."""
        title, *lines = describe(self)
        return f"Case: {title}", [(line[:14].strip(), line[14:].strip()) for line in lines]

    def plot(self) -> Figure:
        """Draw what is imposed on the cell in time: the voltage, the current, or both.

        Returns
        -------
        Figure
            Of matplotlib; a notebook shows it.
        """
        from cellsim.run.figures import figure_of_protocol  # which shows runs of cases

        return figure_of_protocol(self.protocol, self.title)

    @property
    def start(self) -> float | InitialProfile:
        """What :func:`cellsim.simulate` takes as `c0`: the uniform concentration [mol/m^3], or the profile."""
        return self.c0 if self.initial is None else self.initial

    @property
    def filled(self) -> float:
        """What the cell is filled with where no profile says more: the average concentration [mol/m^3]."""
        return self.c0

    @property
    def fastest(self) -> str:
        """The solver for those who run it a hundred times."""
        return fastest(self.cell)

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
    return case_of(changed(top, changes or {}))


def parse_case(text: str, path: str | Path = "case.toml") -> Case:
    """The same for TOML text; `path` stands in messages and its folder anchors relative paths.

    Raises
    ------
    InputError
        As :func:`load_case`.
    """
    return case_of(parse_toml(text, path))


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
        of the only step, ``resistance`` of each interface, the salt's ``c``, ``m`` or ``r`` or that of a species
        (``r.EC``), and :data:`NAMES`.

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
            if "composition" in top.table("electrolyte"):
                raise InputError(f"{top.file}: {key} is the amount of one salt; name a species, such as {key}.NAME")
            values["electrolyte.salt"] = {key: value}
        elif _AMOUNT.fullmatch(key):
            values[_amount_of_species(top, key)] = value
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


_AMOUNT = re.compile(r"([cmr])\.([^.\[\]]+)")
"""The amount of one species of a case of n components, such as ``r.EC``."""


def _amount_of_species(top: Table, key: str) -> str:
    """The full key of an amount, in the form that the case states."""
    form, _, name = key.partition(".")
    electrolyte = top.table("electrolyte")
    if "composition" not in electrolyte:
        raise InputError(f"{top.file}: {key} names a species, and this case states one salt; change {form} instead")
    stated = electrolyte.table("composition")
    if form not in stated:
        own = ", ".join(f"{each}.{name}" for each in stated)
        raise InputError(f"{top.file}: {key}: the case states its composition by {', '.join(stated)}; change {own}")
    return f"electrolyte.composition.{key}"


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


def bare(top: Table) -> Table:
    """A case's file without what is kept of its run and what was measured in it, which need not fit a changed cell.

    Parameters
    ----------
    top : Table
        The file.

    Returns
    -------
    Table
    """
    return Table({k: v for k, v in top.data.items() if k not in ("output", "measured")}, top.file, top.name, top.text)


KEYS = ("title", "cell", "electrolyte", "initial", "electrodes", "step", "measured", "output", "solver")


def case_of(top: Table) -> Case:
    """A case from its file as read; see :func:`load_case`."""
    top.only(*KEYS)
    inputs = {top.file.name: text_hash(top.text)}
    title = top.string("title", top.file.stem)
    cell = read_cell(top, inputs)
    transport = read_electrolyte(top.table("electrolyte"), cell, inputs)
    initial = read_initial_profile(top.table("initial", None), cell, transport, inputs)
    if initial is None:
        c0 = read_initial(top.table("electrolyte").table("salt"), transport)
    elif "salt" in top.table("electrolyte"):
        raise top.table("electrolyte").error("salt", "has no place beside [initial], whose profile says how much salt")
    else:
        c0 = initial.average
    protocol = read_protocol(top, cell, inputs)
    setup = Setup(cell, transport, protocol, c0, initial is None)
    measured = read_measured(top, setup, inputs)
    output = read_output(top.table("output", {}), cell, protocol)
    solver = read_solver(top.table("solver", {}))
    return Case(title, cell, transport, protocol, c0, output, solver, measured, top.text, top.file, inputs, initial)


# ---- what is drawn, and how it is solved ---------------------------------------------------------------------------


def read_measured(top: Table, setup: Setup, inputs: dict[str, str]) -> tuple[Measurement, ...]:
    """The data of a case, ``[[measured]]``; checksums of the files read go to `inputs`."""
    found: list[Measurement] = []
    for table in top.tables("measured"):
        found += read_sheet(table, setup)
        named_file(table, inputs)
    return tuple(found)


def _auto(table: Table, key: str, unit: str) -> float | None:
    """A positive quantity, or None for ``"auto"`` (the default)."""
    if table.data.get(key) == "auto":
        table.choice(key, ["auto"])
        return None
    return table.quantity(key, unit, None, above=0)


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
    table.only("name", "cells", "rtol", "c_min", "refine")
    return SolverChoice(
        name=table.choice("name", ("auto", *SOLVERS), "auto"),
        cells=table.integer("cells", Options.cells, least=10),
        rtol=table.number("rtol", Options.rtol, above=0, most=0.1),
        c_min=_auto(table, "c_min", "mol/m^3"),
        refine=table.boolean("refine", False if "cells" in table else None),
    )


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
    solver = choose_solver(case.solver.name, transport, cell)
    more = " or more" if solver in ("fipy", "material") and case.solver.options.refines else ""
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
        f"solver        {solver}, {case.solver.cells} cells{more}, rtol {case.solver.rtol:g}",
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
