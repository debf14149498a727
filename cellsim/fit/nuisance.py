"""Nuisances of a fit's file: numbers that belong to a cell or a measurement and not to the electrolyte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cellsim.case import Case
from cellsim.errors import InputError
from cellsim.fit.experiment import CELL_ROLES
from cellsim.fit.parameters import Parameter, Prior
from cellsim.schema import Table
from cellsim.units import to_si

DATA_ROLES = {
    "gain": "", "background": "mol/m^3", "time_offset": "s", "position_offset": "m", "velocity_scale": "",
}  # fmt: skip
ROLE_UNITS = DATA_ROLES | {
    "area": "m^2", "R_int": "ohm m^2", "R_positive": "ohm m^2", "R_negative": "ohm m^2", "thickness": "m",
    "c0": "mol/m^3",
}  # fmt: skip
LINEAR_ROLES = ("background", "time_offset", "position_offset")
_TYPICAL = {"background": 0.05, "time_offset": 100.0, "position_offset": 1e-5}


def read_nuisances(top: Table, case: Case) -> tuple[tuple[Parameter, ...], dict[str, str]]:
    """Nuisances of a design: those of its cell, by role.

    Raises
    ------
    InputError
        A nuisance of a measurement, which a design does not have.
    """
    found = [Nuisance.read(t, name, case) for name, t in named(top, "nuisance")]
    for n in found:
        if n.role not in CELL_ROLES:
            raise InputError(f"{n.where}: {n.role} belongs to a measurement; a design knows {', '.join(CELL_ROLES)}")
    return tuple(n.parameter for n in found), {n.role: n.parameter.name for n in found}


@dataclass(frozen=True)
class Nuisance:
    """A nuisance parameter and where it acts."""

    role: str
    parameter: Parameter
    experiments: tuple[str, ...]
    data: tuple[str, ...]
    where: str

    @staticmethod
    def read(table: Table, name: str, case: Case) -> Nuisance:
        """One [nuisance.NAME] table."""
        table.only("role", "experiments", "data", "start", "prior_sd", "min", "max", "spread")
        if "role" not in table and name not in ROLE_UNITS:
            raise table.error("role", f"is missing; one of {', '.join(ROLE_UNITS)}")
        role = table.choice("role", sorted(ROLE_UNITS), name)
        unit = ROLE_UNITS[role]

        def number(key: str, default: float | None) -> float | None:
            if key not in table:
                return default
            return table.number(key) if not unit else table.quantity(key, unit)

        logarithmic = role not in LINEAR_ROLES
        start = number("start", default_start(role, case))
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
                typical(role, case),
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
        if self.data:
            return label in self.data
        wanted = {"velocity_scale": ("velocity",), "position_offset": ("profile", "velocity")}
        if self.role in ("gain", "background"):
            return kind == "profile"
        return kind in wanted.get(self.role, ("current", "voltage", "profile", "velocity"))

    def check(self, names: Sequence[str]) -> None:
        """Refuse experiments that do not exist."""
        for one in self.experiments:
            if one not in names:
                raise InputError(
                    f"{self.where}.experiments: {one!r} is no experiment here; there are {', '.join(names)}"
                )


def default_start(role: str, case: Case) -> float | None:
    """Where a nuisance begins that the file gives no start: what the case states, or no effect; None without either."""
    values: Mapping[str, float | None] = {
        "area": case.cell.area, "thickness": case.cell.thickness, "c0": case.c0, "gain": 1.0, "velocity_scale": 1.0,
        "background": 0.0, "time_offset": 0.0, "position_offset": 0.0,
    }  # fmt: skip
    return values.get(role)


def read_prior(table: Table, p: Parameter, mean: float | None = None) -> Prior:
    """``prior_sd``: "20 %" or 0.2 of a positive quantity is relative, anything else is in its unit."""
    centre = p.start if mean is None else mean
    raw = table.data["prior_sd"]
    if isinstance(raw, str) and raw.strip().endswith("%"):
        sd = to_si(raw, "", field=table.where("prior_sd"))
        return Prior(centre, sd if p.logarithmic else sd * abs(centre))
    if isinstance(raw, str):
        sd = table.quantity("prior_sd", p.unit, above=0)
        return Prior(centre, sd / centre if p.logarithmic else sd)
    return Prior(centre, table.number("prior_sd", above=0))


def typical(role: str, case: Case) -> float:
    """A change of a nuisance that would count, in its unit."""
    return _TYPICAL.get(role, 1.0) * (case.c0 if role == "background" else 1.0)


def named(top: Table, key: str) -> list[tuple[str, Table]]:
    """The tables of ``[key.NAME]`` with their names."""
    table = top.table(key, {})
    return [(name, table.table(name)) for name in table]
