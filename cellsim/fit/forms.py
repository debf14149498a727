"""The set of a fit's or a design's file: which properties change, in which form, from where and within which bounds."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from cellsim.base import factor_to_si, to_si
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.properties import DEFAULT_UNITS, PROPERTIES, SI_UNITS
from cellsim.electrolyte.set_file import SetFile, file_of, read_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.schema import Table
from cellsim.fit.mixture_model import MixtureModel, mixture_number, own_mixture
from cellsim.fit.parameters import JointPrior, Parameter, Prior
from cellsim.fit.set_model import (
    FORMS,
    PropertyForm,
    SetModel,
    constant_form,
    own_numbers,
    polynomial_form,
    scaled_form,
    spline_form,
)
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase

REACH = 30.0
"""Bounds of a positive property where none are given: so many times less and more than its start."""
STEEPEST = 5.0
"""Bounds of a transference number and of a polynomial's coefficients where none are given, either way."""


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


def base_set(top: Table, case: Case) -> SetFile:
    """The set of a fit or design: the one that its file names, or that of its first case."""
    if "set" not in top:
        return file_of(case.transport)
    return read_set(top.string("set"), folder=top.file.parent)


@dataclass(frozen=True)
class Ground:
    """Where the forms of a fit begin.

    Parameters
    ----------
    base : SetFile
        What is not fitted is taken from it.
    temperature : float
        Of the first experiment [K].
    c0 : float
        Concentration at which a form takes its first value, the zero of polynomials [mol/m^3].
    solvent_motion : {"volume", "none"}
        As in the case.
    """

    base: SetFile
    temperature: float
    c0: float
    solvent_motion: Literal["volume", "none"] = "volume"

    @classmethod
    def of_case(cls, top: Table, case: Case) -> Ground:
        """That of a fit's first case."""
        return cls(base_set(top, case), case.cell.temperature, case.c0, case.transport.solvent_motion)

    @cached_property
    def transport(self) -> TransportSet:
        """The base set as the experiments see it."""
        return self.base.bind(self.temperature).with_motion(self.solvent_motion)


def read_set_model(top: Table, ground: Ground) -> tuple[SetModel, JointPrior | None]:
    """The set of a fit or design, with the forms of what is unknown, and the joint prior of its own covariance.

    Parameters
    ----------
    top : Table
        The whole file.
    ground : Ground
        Where they begin.

    Returns
    -------
    model : SetModel
    joint : JointPrior or None
        For ``prior = "set"``.
    """
    base, motion = ground.base, ground.solvent_motion
    table = top.table("fit", {})
    table.only("prior", *PROPERTIES)
    if "prior" in table:
        table.choice("prior", ["set"])
        if len(table.data) > 1:
            raise table.error("prior", '= "set" fits the numbers of the set\'s own covariance; no other form beside it')
        return own_numbers(base, motion)
    forms = [_form(name, table.table(name), ground) for name in PROPERTIES if name in table]
    return SetModel(base, tuple(forms), motion), None


def read_mixture_model(top: Table, case: MixtureCase) -> tuple[MixtureModel, JointPrior | None]:
    """The set of a fit to a cell of n components: the numbers of its file that [[fit.number]] names.

    Parameters
    ----------
    top : Table
        The whole file.
    case : MixtureCase
        The first one; its set is the base where none is named.

    Returns
    -------
    model : MixtureModel
    joint : JointPrior or None
        For ``prior = "set"``.
    """
    base: TransportSet | MixtureSet = case.transport
    if "set" in top:
        base = load_electrolyte(top.string("set"), case.cell.temperature, folder=top.file.parent)
    if not isinstance(base, MixtureSet) or base.species != case.transport.species:
        raise top.error("set", f"is no set of the species of the case, {', '.join(case.transport.species)}")
    table = top.table("fit", {})
    table.only("prior", "number")
    if "prior" in table:
        table.choice("prior", ["set"])
        if "number" in table:
            raise table.error("prior", "fits the numbers of the set's own covariance; no other beside them")
        return own_mixture(base)
    with table.located():
        return MixtureModel(base, tuple(_mixture_number(each, base) for each in table.tables("number"))), None


def _mixture_number(table: Table, base: MixtureSet) -> Parameter:
    """One [[fit.number]]: its name, start, bounds, prior and spread, in the unit that stands in the set's file."""
    table.only("name", "start", "min", "max", "prior_sd", "spread")
    with table.located():
        p = mixture_number(base, table.string("name"))
        start = table.number("start") if "start" in table else p.start
        away = REACH * p.typical
        widest = (start / REACH, start * REACH) if p.logarithmic else (start - away, start + away)
        low, high = (table.number(k) if k in table else end for k, end in zip(("min", "max"), widest, strict=True))
        p = replace(p, start=start, lower=low, upper=high, spread=table.number("spread", p.spread, above=0))
        return replace(p, prior=read_prior(table, p)) if "prior_sd" in table else p


def _form(name: str, table: Table, ground: Ground) -> PropertyForm:
    base, c0, transport = ground.base, ground.c0, ground.transport
    form = table.choice("form", FORMS)
    own = {"constant": (), "polynomial": ("degree", "variable"), "spline": ("knots",), "scaled": ("of",)}[form]
    table.only("form", "start", "min", "max", "prior_sd", "spread", *own, *(("gives",) if name == "chi" else ()))
    product = name == "chi" and table.choice("gives", ["chi", "(1-t_plus)*chi"], "chi") != "chi"
    extra: dict[str, Any] = {}
    if name == "t_plus":
        extra = {"frame": "solvent"}
    elif name == "chi":
        extra = {"basis": "molal", "gives": "(1-t_plus)*chi" if product else "chi"}
    clamped = transport.with_extrapolation("clamp")
    value_of = clamped.one_minus_t_plus_chi if product else getattr(clamped, name)
    start = _start(table, name, float(value_of(c0)))
    if form == "constant":
        fitted = constant_form(name, start, extra=extra)
    elif form == "polynomial":
        variable = table.choice("variable", ["c", "m", "r"], "c")
        centre = float({"c": lambda c: c, "m": clamped.m, "r": clamped.r}[variable](c0))
        degree = table.integer("degree", least=1)
        with table.located():
            fitted = polynomial_form(name, start, degree, variable=variable, centre=centre, extra=extra)
    elif form == "spline":
        fitted = _spline(name, table, clamped, value_of, extra)
    else:
        of = table.string("of", base.name)
        other = base if of == base.name else read_set(of, folder=table.file.parent)
        block = tomllib.loads(other.text)[name]
        if product or (name == "chi" and other.chi_is_product):
            block = block | {"gives": "(1-t_plus)*chi"}
        fitted = scaled_form(name, block, of=other.name)
    return _bounded(fitted, table, name)


def _start(table: Table, name: str, default: float) -> float:
    if "start" not in table:
        return default
    unit = PROPERTIES[name].unit
    return table.number("start") if not unit else table.quantity("start", unit, above=0)


def _spline(name: str, table: Table, clamped: TransportSet, value_of: Any, extra: dict[str, Any]) -> PropertyForm:
    knots = table.table("knots")
    knots.only("c", "m", "r")
    variable = knots.exactly_one("c", "m", "r")
    raw = knots.data[variable]
    if isinstance(raw, list) and raw and isinstance(raw[0], str):
        places = np.array(knots.quantities(variable, SI_UNITS[variable]))
    else:
        places = np.array(knots.array(variable)) * factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])
    ends = {"c": lambda c: c, "m": clamped.m, "r": clamped.r}[variable]
    low, high = (float(ends(c)) for c in clamped.c_range)
    if np.any(places < low * (1 - 1e-9)) or np.any(places > high * (1 + 1e-9)):
        raise knots.error(variable, f"must lie inside the set's range, {low:.4g} to {high:.4g} {SI_UNITS[variable]}")
    starts = [float(value_of(clamped.c_of(**{variable: float(x)}))) for x in places]
    with table.located():
        return spline_form(name, starts, places.tolist(), variable=variable, covers=(low, high), extra=extra)


def _bounded(form: PropertyForm, table: Table, name: str) -> PropertyForm:
    """Bounds, prior and spread of a form's value-like parameters."""
    unit = PROPERTIES[name].unit

    def end(key: str, default: float) -> float:
        if key not in table:
            return default
        return table.number(key) if not unit else table.quantity(key, unit)

    factor = table.choice("form", FORMS) == "scaled"
    changed = []
    for p in form.parameters:
        low, high = (p.start / REACH, p.start * REACH) if p.logarithmic else (-STEEPEST, STEEPEST)
        if p.path.split(".")[-1].startswith("a"):  # a coefficient of a polynomial
            changed.append(replace(p, lower=low, upper=high))
            continue
        prior = read_prior(table, p) if "prior_sd" in table else None
        bounds = (low, high) if factor else (end("min", low), end("max", high))
        with table.located():
            changed.append(
                replace(
                    p, lower=bounds[0], upper=bounds[1], prior=prior, spread=table.number("spread", p.spread, above=0)
                )
            )
    return replace(form, parameters=tuple(changed))
