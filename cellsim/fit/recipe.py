"""A fit's own file: which cases, which data, what may change, what is known beforehand (docs/fit.md).

Nuisances are numbers that belong to a cell or a measurement and not to the electrolyte.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cellsim.base import InputError
from cellsim.electrolyte.set_file import COMPOSITION
from cellsim.files.schema import Table, read_toml
from cellsim.fit.experiment import CELL_ROLES, Experiment, Observation, observe, read_selection
from cellsim.fit.forms import Ground, read_mixture_model, read_prior, read_set_model
from cellsim.fit.mixture_model import MixtureModel
from cellsim.fit.parameters import JointPrior, Parameter, Space
from cellsim.fit.points import ground_of_points, read_point_experiments, refuse_composition
from cellsim.fit.problem import Problem
from cellsim.fit.set_model import SetModel
from cellsim.instruments.data import read_measurements
from cellsim.instruments.measurement import Measurement, Spans
from cellsim.instruments.xpcs.likelihood import CorrelationLook
from cellsim.run.case import Case
from cellsim.run.folder import predict
from cellsim.run.mixture import MixtureCase, read_case
from cellsim.run.simulation import FASTEST, check_initial_state, choose_solver

DATA_ROLES = {
    "gain": "",
    "background": "mol/m^3",
    "time_offset": "s",
    "position_offset": "m",
    "position_drift": "m/s",
    "interface_motion": "",
    "velocity_scale": "",
}
ROLE_UNITS = DATA_ROLES | {
    "area": "m^2",
    "R_int": "ohm m^2",
    "R_positive": "ohm m^2",
    "R_negative": "ohm m^2",
    "thickness": "m",
    "c0": "mol/m^3",
}
LINEAR_ROLES = ("background", "time_offset", "position_offset", "position_drift", "interface_motion")
_TYPICAL = {
    "background": 0.05,
    "time_offset": 100.0,
    "position_offset": 1e-5,
    "position_drift": 1e-9,
    "interface_motion": 0.3,
}
SEEN = {
    "gain": ("profile",),
    "background": ("profile",),
    "velocity_scale": ("velocity",),
    "time_offset": ("current", "voltage", "profile", "velocity"),
    "position_offset": ("profile", "velocity"),
    "position_drift": ("profile", "velocity"),
    "interface_motion": ("profile", "velocity"),
}
"""Kinds of data that a nuisance of a measurement acts on, where the fit's file names no data."""


def read_nuisances(top: Table, case: Case | MixtureCase) -> tuple[tuple[Parameter, ...], dict[str, str]]:
    """Nuisances of a design: those of its cell, by role.

    Raises
    ------
    InputError
        A nuisance of a measurement, which a design does not have.
    """
    nuisances = [Nuisance.read(t, name, case) for name, t in named(top, "nuisance")]
    for n in nuisances:
        if n.role not in CELL_ROLES:
            raise InputError(
                f"{n.where}: {n.role} belongs to a measurement; in a design use one of {', '.join(CELL_ROLES)}"
            )
    return tuple(n.parameter for n in nuisances), {n.role: n.parameter.name for n in nuisances}


@dataclass(frozen=True)
class Nuisance:
    """A nuisance parameter and where it acts."""

    role: str
    parameter: Parameter
    experiments: tuple[str, ...]
    data: tuple[str, ...]
    where: str

    @staticmethod
    def read(table: Table, name: str, case: Case | MixtureCase | None) -> Nuisance:
        """One [nuisance.NAME] table; without a case, of a fit to tables alone, which know a gain."""
        table.only("role", "experiments", "data", "start", "prior_sd", "min", "max", "spread")
        if "role" not in table and name not in ROLE_UNITS:
            raise table.error("role", f"is missing; one of {', '.join(ROLE_UNITS)}")
        role = table.choice("role", sorted(ROLE_UNITS), name)
        if case is None and role != "gain":
            raise table.error("role", f"is {role}, which needs an [[experiment]]; a table has a gain")
        if role == "c0" and isinstance(case, MixtureCase):
            raise InputError(f"{table.where()}: c0 is no nuisance of a cell of n components")
        unit = ROLE_UNITS[role]

        def number(key: str, default: float | None) -> float | None:
            if key not in table:
                return default
            return table.number(key) if not unit else table.quantity(key, unit)

        logarithmic = role not in LINEAR_ROLES
        start = number("start", 1.0 if case is None else default_start(role, case))
        if start is None:
            raise table.error("start", "is missing")
        low, high = number("min", -np.inf), number("max", np.inf)
        assert low is not None and high is not None
        with table.located():
            p = Parameter(
                name,
                start,
                unit,
                logarithmic,
                1.0 if case is None else typical(role, case),
                low,
                high,
                spread=table.number("spread", 0.3, above=0),
            )
            if "prior_sd" in table:
                p = replace(p, prior=read_prior(table, p))
        listed = {}
        for key in ("experiments", "data"):
            listed[key] = tuple(table.strings(key)) if key in table else ()
        return Nuisance(role, p, listed["experiments"], listed["data"], table.where())

    def acts_on(self, experiment: str) -> bool:
        """Whether it belongs to this experiment."""
        return not self.experiments or experiment in self.experiments

    def sees(self, label: str, kind: str) -> bool:
        """Whether it belongs to this data set."""
        return label in self.data if self.data else kind in SEEN[self.role]

    def check(self, names: Sequence[str]) -> None:
        """Refuse experiments that do not exist."""
        for one in self.experiments:
            if one not in names:
                raise InputError(
                    f"{self.where}.experiments: {one!r} is no experiment here; there are {', '.join(names)}"
                )


def default_start(role: str, case: Case | MixtureCase) -> float | None:
    """Where a nuisance begins that the file gives no start: what the case states, or no effect; None without either."""
    values: Mapping[str, float | None] = {
        "area": case.cell.area,
        "thickness": case.cell.thickness,
        "c0": case.c0,
        "gain": 1.0,
        "velocity_scale": 1.0,
        "background": 0.0,
        "time_offset": 0.0,
        "position_offset": 0.0,
        "position_drift": 0.0,
        "interface_motion": 1.0,
    }
    return values.get(role)


def typical(role: str, case: Case | MixtureCase) -> float:
    """A change of a nuisance that would count, in its unit."""
    return _TYPICAL.get(role, 1.0) * (case.c0 if role == "background" else 1.0)


def named(top: Table, key: str) -> list[tuple[str, Table]]:
    """The tables of ``[key.NAME]`` with their names."""
    table = top.table(key, {})
    return [(name, table.table(name)) for name in table]


@dataclass(frozen=True)
class Recipe:
    """A fit, read and checked.

    Parameters
    ----------
    title : str
        For figures and reports.
    path : Path
        The file.
    problem : Problem
        What is to be fitted.
    cases : tuple of Case or MixtureCase
        One per experiment, all of one kind; none where only tables are fitted.
    text : str
        The file, verbatim.
    """

    title: str
    path: Path
    problem: Problem
    cases: tuple[Case | MixtureCase, ...]
    text: str = ""


@dataclass
class Arriving:
    """Files of a measurement that goes on: those that match a pattern now, and those that cannot be read yet.

    Parameters
    ----------
    folder : Path
        Where they appear.
    taken : list of str
        Filled with the names of the files used.
    refused : dict
        Filled with the names of those that could not be read or repeat another, and why.
    patterns : list of str
        Filled with what was looked for.
    space : Space or None
        Filled with what is fitted, which is known before the first file comes.
    """

    folder: Path
    taken: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    patterns: list[str] = field(default_factory=list)
    space: Space | None = None


def read_recipe(path: str | Path, *, arriving: Arriving | None = None) -> Recipe:
    """Read and check a fit's file.

    Parameters
    ----------
    path : str or Path
        The TOML file.
    arriving : Arriving, optional
        Where patterns (``files = "*.csv"``) are looked up, and where a file that cannot be read is kept with its reason
        instead of ending everything; default the folder of the fit's file, and no mercy.

    Returns
    -------
    Recipe

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds in it or in a file it names.
    """
    top = read_toml(path)
    top.only("title", "set", *COMPOSITION, "experiment", "points", "fit", "nuisance", "watch")
    tables, point_tables = top.tables("experiment"), top.tables("points")
    if not tables and not point_tables:
        raise InputError(f"{top.file}: a fit needs at least one [[experiment]] with its case, or [[points]]")
    cases = [_case(t) for t in tables]
    if cases or "set" in top:
        refuse_composition(top)
    model, joint, ground = _model(top, cases, point_tables)
    nuisances = [Nuisance.read(t, name, cases[0] if cases else None) for name, t in named(top, "nuisance")]
    names = [_name(t, k, case) for k, (t, case) in enumerate(zip(tables, cases, strict=True))]
    for nuisance in nuisances:
        nuisance.check(names)
    space = Space((*model.parameters, *(n.parameter for n in nuisances)), joint)
    if arriving is not None:
        arriving.space = space
    experiments = [
        _experiment(t, case, name, nuisances, arriving) for t, case, name in zip(tables, cases, names, strict=True)
    ]
    if ground is not None:
        gains = {label: n.parameter.name for n in nuisances if n.role == "gain" for label in n.data}
        experiments += read_point_experiments(point_tables, ground, gains, cases[0].cell if cases else None)
    title = top.string("title", top.file.stem)
    return Recipe(title, top.file, Problem(space, model, tuple(experiments)), tuple(cases), top.text)


def _model(
    top: Table, cases: Sequence[Case | MixtureCase], point_tables: Sequence[Table]
) -> tuple[SetModel | MixtureModel, JointPrior | None, Ground | None]:
    """What is left open of the electrolyte, its joint prior, and where the forms of a binary salt begin."""
    first = cases[0] if cases else None
    for case in cases[1:]:
        if isinstance(case, MixtureCase) != isinstance(first, MixtureCase):
            both = f"{case.path} and {cases[0].path}"
            raise InputError(f"{top.file}: {both} are not both of one salt, or of n components")
    if isinstance(first, MixtureCase):
        if point_tables:
            raise InputError(f"{top.file}: points look at the set of a binary salt; this one has n components")
        return *read_mixture_model(top, first), None
    ground = ground_of_points(top, point_tables) if first is None else Ground.of_case(top, first)
    return *read_set_model(top, ground), ground


# ---- experiments --------------------------------------------------------------------------------------------------


def _case(table: Table) -> Case | MixtureCase:
    table.only("case", "name", "data", "measured", "solver")
    return read_case(table.path("case"))


def _name(table: Table, k: int, case: Case | MixtureCase) -> str:
    return table.string("name", f"{k + 1} {case.path.stem}")


def _experiment(
    table: Table, case: Case | MixtureCase, name: str, nuisances: Sequence[Nuisance], arriving: Arriving | None
) -> Experiment:
    own = [n for n in nuisances if n.acts_on(name)]
    known: dict[Hashable, str] = {}
    repeated: list[str] = []
    pairs = [pair for entry in _data_tables(table) for pair in _measured(entry, case, arriving, known, repeated)]
    if table.boolean("measured", True):
        pairs += [(m, Table({}, table.file, table.name)) for m in case.measured]
    spans = case.protocol.spans()
    if case.protocol.may_end_early and any(m.kind in ("current", "voltage") for m, _ in pairs):
        spans = case.protocol.spans(predict(case, solver=_solver(table, case)).log)
    delayed = [(m.delayed(entry.quantity("time_offset", "s", 0.0)), entry) for m, entry in pairs]
    observations = []
    for m, entry in delayed:
        if m.imposed(spans).all():
            continue
        try:
            observations.append(_observation(m, entry, case, own, spans))
        except InputError as error:
            if arriving is None or "files" not in entry:
                raise
            arriving.refused[m.label] = str(error)
    notes = tuple(repeated) + tuple(
        f"{m.label}: the case imposes this {m.kind}, so it is not used as data"
        for m, _ in delayed
        if m.imposed(spans).all()
    )
    cell = {n.role: n.parameter.name for n in own if n.role in CELL_ROLES}
    with table.located():
        solver = choose_solver(_solver(table, case), case.transport, case.cell)
        if isinstance(case, Case):
            check_initial_state(case.cell, case.transport.with_extrapolation("clamp"), case.start)
        return Experiment(
            *(name, case.cell, case.protocol, case.filled, tuple(observations)),
            *(cell, solver),
            driven_by_total="area" in cell,
            notes=notes,
            initial=case.initial,
        )


def _measured(
    entry: Table, case: Case | MixtureCase, arriving: Arriving | None, known: dict[Hashable, str], repeated: list[str]
) -> list[tuple[Measurement, Table]]:
    """What the file of an entry holds, or all the files that its pattern matches.

    A measurement that patterns find twice, in a copy of a file say, is used once: `known` is filled with what was found
    and in which file, `repeated` with a sentence on each file that repeats another.
    """
    if entry.exactly_one("file", "files") == "file":
        return [(m, entry) for m in read_measurements(entry.path("file"), case.setup)]
    pattern = entry.string("files")
    folder = entry.file.parent if arriving is None else arriving.folder
    if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise entry.error("files", 'must be a pattern inside the folder, such as "*.csv" or "scans/*.toml"')
    try:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    except ValueError as error:  # "**" inside a name, before Python 3.13
        raise entry.error("files", f"is no pattern ({error})") from None
    if arriving is None:
        if not paths:
            raise entry.error("files", f"matches no file in {folder.resolve()}")
    else:
        arriving.patterns.append(pattern)
    found: list[tuple[Measurement, Table]] = []
    for path in paths:
        try:
            measured = read_measurements(path, case.setup)
        except InputError as error:  # half written, or not what it should be: the others are worth a fit
            if arriving is None:
                raise
            arriving.refused[path.name] = str(error)
            continue
        keys = [_content(m, entry) for m in measured]
        fresh = [(m, entry) for m, key in zip(measured, keys, strict=True) if key not in known]
        if len(fresh) < len(measured):
            first = next(known[key] for key in keys if key in known)
            said = "another pattern finds it too" if first == path.name else f"it repeats {first}"
            repeated.append(f"{path.name}: {said}; the measurement is used once")
            if arriving is not None and first != path.name:
                arriving.refused[path.name] = f"{said}; the measurement is used once"
        for key in keys:
            known.setdefault(key, path.name)
        found += fresh
        if fresh and arriving is not None:
            arriving.taken.append(path.name)
    return found


def _content(m: Measurement, entry: Table) -> Hashable:
    """What makes two measurements the same, whatever their files are called, if the same times of them are used."""
    places = b"" if m.position is None else m.position.tobytes()
    used = tuple(str(entry.data.get(key)) for key in ("from", "to"))
    return m.kind, m.value.tobytes(), m.time.tobytes(), places, used


def _solver(table: Table, case: Case | MixtureCase) -> str:
    chosen = table.choice("solver", ["compiled", "sundials", "material", "fipy"], FASTEST)
    return chosen if "solver" in table else case.fastest


def _data_tables(table: Table) -> list[Table]:
    raw = table.data.get("data", [])
    entries = raw if isinstance(raw, list) else [raw]
    tables = []
    for k, entry in enumerate(entries):
        where = f"{table.name}.data[{k}]"
        if not isinstance(entry, str | dict):
            raise InputError(f"{table.file}: {where} must be the name of a file, or a table with file or files = ...")
        tables.append(Table({"file": entry} if isinstance(entry, str) else entry, table.file, where))
    return tables


def _observation(
    measurement: Measurement, entry: Table, case: Case | MixtureCase, nuisances: Sequence[Nuisance], spans: Spans
) -> Observation:
    entry.only(
        "file", "files", "error", "noise", "correlation", "from", "to", "every", "free_in_each_profile", "time_offset"
    )
    if "error" in entry and isinstance(measurement.look, CorrelationLook):
        # one error for all would divide the roots of chi^2 by something else than what they were made with
        raise entry.error("error", "has no place beside correlation functions, whose likelihood carries their errors")
    profiled = tuple(entry.strings("free_in_each_profile")) if "free_in_each_profile" in entry else ()
    for role in profiled:
        if role not in ("gain", "background"):
            raise entry.error("free_in_each_profile", 'may hold "gain" and "background"')
    roles = {
        n.role: n.parameter.name
        for n in nuisances
        if n.role in DATA_ROLES and n.sees(measurement.label, measurement.kind) and n.role not in profiled
    }
    selection = replace(
        read_selection(entry, measurement.kind),
        correlation=entry.quantity("correlation", "m", 0.0, least=0),
        start=entry.quantity("from", "s", -np.inf),
        stop=entry.quantity("to", "s", np.inf),
        every=entry.integer("every", 1, least=1),
    )
    with entry.located():
        return observe(measurement, case.setup, selection, nuisance=roles, profiled=profiled, spans=spans)
