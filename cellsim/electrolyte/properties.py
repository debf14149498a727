"""The properties of a transport set: the one table of them, and the block of a file that states one.

A block is a constant, a table or an expression, with unit and source. It is read once (:func:`read_property`) and bound
to a temperature and a composition scale later; what comes out is a function of c [mol/m^3], m [mol/kg] and r [1] that
returns SI values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, F, InputError, R, factor_to_si
from cellsim.electrolyte.expression import Expression, parse_expression
from cellsim.electrolyte.transport import Property
from cellsim.files.schema import Table


@dataclass(frozen=True)
class PropertyKind:
    """What a property of a transport set is; readers, writers, figures and fits take it from :data:`PROPERTIES`.

    Parameters
    ----------
    name : str
        Key of its block in a file, and the method of :class:`.TransportSet` that gives it.
    letter : str
        In the lines of the terminal.
    symbol, figure_unit : str
        On axes, mathtext.
    unit : str
        SI, as pint reads it; ``""`` for a number.
    positive : bool
        Whether it must be above zero, so that a fit moves its logarithm.
    extra : tuple of str
        Further keys its block may have.
    names : tuple of str
        What an expression of it may use beyond c, m, r and T.
    """

    name: str
    letter: str
    symbol: str
    unit: str
    figure_unit: str
    positive: bool = True
    extra: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


PROPERTIES: Mapping[str, PropertyKind] = {
    kind.name: kind
    for kind in (
        PropertyKind("kappa", "κ", r"$\kappa$", "S/m", "S m$^{-1}$"),
        PropertyKind("D", "D", "$D$", "m^2/s", "m$^2$ s$^{-1}$"),
        PropertyKind("t_plus", "t+", "$t_+^0$", "", "1", positive=False, extra=("frame",)),
        PropertyKind("chi", "χ", r"$\chi$", "", "1", extra=("basis", "gives"), names=("t_plus",)),
    )
}
"""By name, in the order of files and figures."""
PRODUCT = r"$(1-t_+^0)\,\chi$"
"""Symbol of what concentration cells give instead of chi."""

VARIABLES = ("c", "m", "r")
SI_UNITS = {"c": "mol/m^3", "m": "mol/kg", "r": "", "T": "K", "t_plus": ""}
DEFAULT_UNITS = {"c": "mol/L", "m": "mol/kg", "r": "", "T": "K", "t_plus": ""}
_COMMON = ("source", "uncertainty")
_FORMS = {
    "value": ("value",),
    "x": ("variable", "x", "y", "unit", "x_unit", "log", "below"),
    "expression": ("expression", "unit", "units", "constants"),
}


@dataclass(frozen=True)
class PropertyBlock:
    """A property as its source states it.

    Parameters
    ----------
    field : str
        The block's name, ``"kappa"``.
    source : str
        Where it comes from.
    uncertainty : str
        As stated, ``""`` where none is.
    uses : frozenset of str
        Which of c, m, r, T, t_plus it depends on.
    function : callable
        ``function(values)`` with a mapping of those names to SI arrays -> SI values.
    covers : tuple of float, optional
        Span of a table in its variable, SI; from zero where `below` says what happens there.
    """

    field: str
    source: str
    uncertainty: str
    uses: frozenset[str]
    function: Callable[[Mapping[str, Array]], Array]
    covers: tuple[float, float] | None = None

    def bind(self, T: float, t_plus: Property | None = None) -> Property:
        """The property at temperature `T` [K]; `t_plus` serves expressions that mention it."""

        def evaluate(c: Array, m: Array, r: Array) -> Array:
            values = {"c": c, "m": m, "r": r, "T": np.full(np.shape(c), T)}
            if t_plus is not None and "t_plus" in self.uses:
                values["t_plus"] = t_plus(c, m, r)
            return self.function(values)

        return evaluate


def read_property(table: Table, kind: PropertyKind) -> PropertyBlock:
    """Read one property block.

    Parameters
    ----------
    table : Table
        The block.
    kind : PropertyKind
        What it states.

    Returns
    -------
    PropertyBlock

    Raises
    ------
    InputError
        Unknown key, two forms at once, wrong unit, a table that does not increase, an expression that is not
        arithmetic, no source.
    """
    unit = kind.unit
    every = {key for keys in _FORMS.values() for key in keys}
    table.only(*sorted(every), *_COMMON, *kind.extra)
    form = _form(table)
    for key in table:
        if key in every and key not in _FORMS[form]:
            raise table.error(key, f"does not go with `{form}`; a block is one of value, table (x, y) and expression")
    source = table.string("source")
    uncertainty = table.string("uncertainty", "")
    covers = None
    if form == "value":
        value = table.quantity("value", unit)
        uses: frozenset[str] = frozenset()

        def function(values: Mapping[str, Array]) -> Array:
            return np.full(np.shape(values["c"]), value)

    elif form == "x":
        variable, interpolant, covers = _read_table(table, unit)
        uses = frozenset({variable})

        def function(values: Mapping[str, Array]) -> Array:
            return interpolant(values[variable])

    else:
        expression, factor, scales = _read_expression(table, unit, kind.names)
        uses = expression.names

        def function(values: Mapping[str, Array]) -> Array:
            scaled = {name: values[name] / scales[name] for name in uses}
            result = expression(**scaled) if uses else np.broadcast_to(expression(), np.shape(values["c"]))
            return result * factor

    return PropertyBlock(table.name, source, uncertainty, uses, function, covers)


def _form(table: Table) -> str:
    given = [form for form in _FORMS if form in table]
    if not given and "y" in table:
        given = ["x"]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none"
        raise InputError(f"{table.where()} needs exactly one of value, table (x, y) and expression; {found}")
    return given[0]


def _unit_factor(table: Table, key: str, unit: str, default: str | None) -> float:
    """Factor to SI of the unit named by `key`; a dimensionless property needs none."""
    if not unit:
        given = table.string(key, "1")
        return 1.0 if given == "1" else _located_factor(table, key, given, "")
    given = table.string(key) if default is None else table.string(key, default)
    return _located_factor(table, key, given, unit)


def _located_factor(table: Table, key: str, given: str, unit: str) -> float:
    with table.located():
        return factor_to_si(given, unit, field=f"{table.name}.{key}")


def _read_table(table: Table, unit: str) -> tuple[str, Callable[[Array], Array], tuple[float, float]]:
    variable = table.choice("variable", VARIABLES)
    x_factor = _unit_factor(table, "x_unit", SI_UNITS[variable], DEFAULT_UNITS[variable])
    x = np.array(table.array("x")) * x_factor
    y = np.array(table.array("y")) * _unit_factor(table, "unit", unit, None)
    log = table.boolean("log", False)
    below = table.choice("below", ("proportional", "constant"), None)
    if x.size != y.size:
        raise InputError(f"{table.where('y')} has {y.size} values for {x.size} in x")
    if x.size < 2:
        raise InputError(f"{table.where('x')} needs at least two points")
    if np.any(np.diff(x) <= 0):
        k = int(np.argmax(np.diff(x) <= 0)) + 1
        raise InputError(f"{table.where('x')}[{k}] = {table.data['x'][k]!r} is not above the value before it")
    if x[0] < 0:
        raise InputError(f"{table.where('x')}[0] = {table.data['x'][0]!r} must not be negative")
    if log and (x[0] <= 0 or np.any(y <= 0)):
        raise InputError(f"{table.where('log')} = true needs positive x and y")
    if below == "proportional" and x[0] <= 0:
        raise table.error("below", "needs a first point above zero")

    from scipy.interpolate import PchipInterpolator

    spline = PchipInterpolator(np.log(x), np.log(y)) if log else PchipInterpolator(x, y)
    first, last, lowest = float(x[0]), float(x[-1]), float(y[0])

    def interpolant(values: Array) -> Array:
        inside = np.clip(values, first, last)
        result = np.asarray(np.exp(spline(np.log(inside))) if log else spline(inside), dtype=float)
        if below == "proportional":
            result = np.where(values < first, lowest * values / first, result)
        return result

    return variable, interpolant, (0.0 if below else first, last)


def _read_expression(table: Table, unit: str, names: tuple[str, ...]) -> tuple[Expression, float, Mapping[str, float]]:
    factor = _unit_factor(table, "unit", unit, None)
    units = table.table("units", {})
    units.only("c", "m", "r", "T")
    scales = {"t_plus": 1.0}
    for name in ("c", "m", "r", "T"):
        scales[name] = _unit_factor(units, name, SI_UNITS[name], DEFAULT_UNITS[name])
    constants = {"F": F, "R": R}
    given = table.table("constants", {})
    for name in given:
        if not name.isidentifier() or name in {*scales, "F", "R"}:
            raise InputError(f"{given.where(name)} cannot name a constant; choose another name")
        constants[name] = given.number(name)
    with table.located():
        expression = parse_expression(
            table.string("expression"), ("c", "m", "r", "T", *names), constants, field=f"{table.name}.expression"
        )
    return expression, factor, scales
