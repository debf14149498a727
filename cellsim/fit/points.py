"""The [[points]] of a fit's file: tables of properties against concentration, alone or beside experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.properties import PROPERTIES, SI_UNITS
from cellsim.electrolyte.set_file import COMPOSITION, SetFile, constant_set, read_set
from cellsim.electrolyte.transport import CHI_BASES, T_PLUS_FRAMES, Basis, Frame
from cellsim.files.schema import Table
from cellsim.fit.experiment import Experiment, Selection, observe, read_selection
from cellsim.fit.forms import Ground
from cellsim.instruments.looks import SetKind
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.points import POINTS, kinds_of, read_points
from cellsim.instruments.tables import read_table

_GUESSES = {"kappa": 0.1, "D": 1e-11, "t_plus": 0.3, "chi": 1.0}
"""Where a fit begins that no set, no table and no `start` tell of; only t+ and chi are numbers of a known size."""
_DIRECT = {"conductivity": "kappa", "diffusion": "D", "transference": "t_plus", "factor": "chi"}


def ground_of_points(top: Table, tables: Sequence[Table]) -> Ground:
    """Where a fit to tables alone begins: at the middle of their concentrations.

    Parameters
    ----------
    top : Table
        The fit's file. Its set is the one it names, or one of constants for the salt, solvent, volumes and range that
        it states, of which all properties are then fitted.
    tables : sequence of Table
        The [[points]].

    Returns
    -------
    Ground

    Raises
    ------
    InputError
        No electrolyte or two of them, a property that is neither in a set nor fitted or whose size nothing tells.
    """
    own = "set" not in top
    base = read_set(top.string("set"), folder=top.file.parent) if not own else _own_set(top, {})
    ground = Ground(base, _temperature(tables[0], base.T_default), 1.0)
    measured = [m for table in tables for m in _measured(table, ground)]
    if own:
        base = _own_set(top, {_DIRECT[m.kind]: float(np.mean(m.value)) for m in measured if m.kind in _DIRECT})
    c = np.concatenate([m.look.c for m in measured])  # type: ignore[attr-defined]
    return Ground(base, ground.temperature, 0.5 * float(c.min() + c.max()))


def _own_set(top: Table, found: Mapping[str, float]) -> SetFile:
    """A set of constants: what the tables hold, or a guess that `start` replaces."""
    if "salt" not in top:
        said = "names no set and states no electrolyte; give set, or [salt], [solvent], [volumes] and [range]"
        raise InputError(f"{top.file}: {said}")
    fit = top.table("fit", {})
    for name in PROPERTIES if "prior" not in fit else ():
        if name not in fit:
            raise fit.error(name, "is missing; where no set is named, all of kappa, D, t_plus and chi are fitted")
        if found and name in ("kappa", "D") and name not in found and "start" not in fit.table(name):
            raise fit.table(name).error("start", "is missing, and no table tells the size of it")
    positive = {name: value for name, value in found.items() if value > 0 or not PROPERTIES[name].positive}
    return constant_set(top, _GUESSES | positive, note="the first guess of a fit")


def refuse_composition(top: Table) -> None:
    """Refuse the blocks of an electrolyte where a set or a case states it."""
    for key in COMPOSITION:
        if key in top:
            raise top.error(key, "has no place beside set or an [[experiment]], which state the electrolyte")


def read_point_experiments(
    tables: Sequence[Table], ground: Ground, gains: Mapping[str, str], cell: Cell | None = None
) -> list[Experiment]:
    """The [[points]] as experiments without a run, one for each temperature.

    Parameters
    ----------
    tables : sequence of Table
        Of the file.
    ground : Ground
        The set; its temperature is that of tables which state none.
    gains : mapping
        Label of a table -> name of the parameter that multiplies it.
    cell : Cell, optional
        That of the first case; only its temperature is looked at.

    Returns
    -------
    list of Experiment

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds in a table.
    """
    base = cell or Cell(thickness=1e-3, temperature=ground.temperature)
    found: dict[float, list[tuple[Measurement, Selection]]] = {}
    for table in tables:
        T = _temperature(table, ground.temperature)
        found.setdefault(T, []).extend((m, read_selection(table, m.kind)) for m in _measured(table, ground))
    experiments = []
    for T, pairs in found.items():
        name = "points" if len(found) == 1 else f"points at {T:.6g} K"
        seen = [
            observe(m, None, selection, nuisance={"gain": gains[m.label]} if m.label in gains else {})
            for m, selection in pairs
        ]
        experiments.append(Experiment(name, replace(base, temperature=T), None, ground.c0, tuple(seen)))
    return experiments


def _temperature(table: Table, default: float) -> float:
    return table.quantity("temperature", "K", default, above=0)


def _measured(table: Table, ground: Ground) -> list[Measurement]:
    """What one table holds: the kind that is named, or all that its columns are."""
    table.only("kind", "file", "temperature", "reference", "frame", "basis", "error", "noise", "label")
    frame, basis = table.choice("frame", T_PLUS_FRAMES, None), table.choice("basis", CHI_BASES, None)
    chosen = table.choice("kind", tuple(POINTS), None)
    transport = replace(ground, temperature=_temperature(table, ground.temperature)).transport
    reference = None
    if "reference" in table:
        given = table.table("reference")
        given.only("c", "m", "r")
        key = given.exactly_one("c", "m", "r")
        reference = transport.c_of(**{key: given.quantity(key, SI_UNITS[key], above=0)})
        if not transport.contains(reference):
            low, high = (x / 1e3 for x in transport.c_range)
            raise given.error(key, f"lies outside {low:.4g} to {high:.4g} mol/L, the range of {transport.name}")
    path = table.path("file")
    data, label = read_table(path), table.string("label", path.name)
    kinds = kinds_of(data) if chosen is None else (chosen,)
    if not kinds:
        raise InputError(
            f"{path}: no column of kappa, D, t_plus, chi, rho_plus, U or dU/dlnm; name kind, or the column"
        )
    for key, kind, value in (("frame", "transference", frame), ("basis", "factor", basis)):
        if kind in kinds and value is None:
            raise table.error(key, f"is missing; a table of {'t_plus' if key == 'frame' else 'chi'} must state it")
    measured = []
    for kind in kinds:
        with table.located():
            measured.append(
                read_points(
                    data,
                    cast(SetKind, kind),
                    transport,
                    reference=reference,
                    frame=cast(Frame, frame or "solvent"),
                    basis=cast(Basis, basis or "molal"),
                    label=label if len(kinds) == 1 else f"{label} {kind.replace('_', ' ')}",
                )
            )
    return measured
