"""The properties of a transport set: the one table of them, and the block of a file that states one.

A block is a constant, a table or an expression, with unit and source. It is read once (:func:`read_property`); what
comes out, a :class:`Law`, is numbers only: a fit moves them without writing or reading any text. A law is bound to a
temperature and a composition scale later, as a function of c [mol/m^3], m [mol/kg] and r [1] that returns SI values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Protocol, cast

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
        PropertyKind("D", "D", "$D$", "m^2/s", "m$^2$ s$^{-1}$", extra=("gives",)),
        PropertyKind("t_plus", "t+", "$t_+^0$", "", "1", positive=False, extra=("frame", "gives")),
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


class Law(Protocol):
    """How a property depends on composition and temperature: numbers in, SI values out."""

    @property
    def uses(self) -> frozenset[str]:
        """Which of c, m, r, T and t_plus it depends on."""

    @property
    def covers(self) -> tuple[float, float] | None:
        """Span of a table in its variable [SI], from zero where it says what happens below; None: everywhere."""

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """The property, SI, from a mapping of those names (c always among them) to SI arrays of one shape."""


@dataclass(frozen=True)
class Constant:
    """One value [SI] at every composition."""

    value: float
    uses: ClassVar[frozenset[str]] = frozenset()
    covers: ClassVar[None] = None

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`Law`."""
        return np.full(np.shape(values["c"]), self.value)


@dataclass(frozen=True)
class Curve:
    """A monotone (PCHIP) curve through tabulated points, held beyond them.

    Parameters
    ----------
    variable : {"c", "m", "r"}
        Of the abscissa.
    x : ndarray, shape (n,)
        Increasing [SI].
    y : ndarray, shape (n,)
        As tabulated.
    factor : float
        From the unit of `y` to SI.
    log : bool
        Whether the curve is drawn through logarithms of both.
    below : {"proportional", "constant"}, optional
        What happens below the first point; None: the table does not reach there.
    """

    variable: str
    x: Array
    y: Array
    factor: float = 1.0
    log: bool = False
    below: Literal["proportional", "constant"] | None = None

    @property
    def uses(self) -> frozenset[str]:
        """See :class:`Law`."""
        return frozenset({self.variable})

    @property
    def covers(self) -> tuple[float, float]:
        """See :class:`Law`."""
        return (0.0 if self.below else float(self.x[0])), float(self.x[-1])

    @cached_property
    def _spline(self) -> Callable[[Array], Array]:
        from scipy.interpolate import PchipInterpolator

        y = self.y * self.factor
        return PchipInterpolator(np.log(self.x), np.log(y)) if self.log else PchipInterpolator(self.x, y)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`Law`."""
        x = values[self.variable]
        first = float(self.x[0])
        inside = np.clip(x, first, float(self.x[-1]))
        result = np.exp(self._spline(np.log(inside))) if self.log else self._spline(inside)
        if self.below == "proportional":
            result = np.where(x < first, float(self.y[0] * self.factor) * x / first, result)
        return np.asarray(result, dtype=float)


@dataclass(frozen=True)
class Formula:
    """An expression in c, m, r, T and, for chi, t_plus.

    Parameters
    ----------
    expression : Expression
        Checked, with its constants.
    factor : float
        From its own unit to SI.
    scales : mapping
        Name of a variable -> the unit [SI] in which the expression has it.
    """

    expression: Expression
    factor: float
    scales: Mapping[str, float]

    @property
    def uses(self) -> frozenset[str]:
        """See :class:`Law`."""
        return self.expression.names

    covers: ClassVar[None] = None

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`Law`."""
        if not self.uses:
            return np.full(np.shape(values["c"]), float(self.expression()) * self.factor)
        return self.expression(**{name: values[name] / self.scales[name] for name in self.uses}) * self.factor


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
    law : Law
        The property itself.
    """

    field: str
    source: str
    uncertainty: str
    law: Law

    def bind(self, T: float, t_plus: Property | None = None) -> Property:
        """The property at temperature `T` [K]; `t_plus` serves expressions that mention it.

        At the temperature of the call before, the same function: what is tabulated of it is known by that.
        """
        if "t_plus" in self.law.uses:
            return self._bind(T, t_plus)
        if T not in self._bound:
            self._bound.clear()
            self._bound[T] = self._bind(T, None)
        return self._bound[T]

    @cached_property
    def _bound(self) -> dict[float, Property]:
        return {}

    def _bind(self, T: float, t_plus: Property | None) -> Property:
        law, uses = self.law, self.law.uses

        def evaluate(c: Array, m: Array, r: Array) -> Array:
            values = {"c": c, "m": m, "r": r}
            if "T" in uses:
                values["T"] = np.full(np.shape(c), T)
            if t_plus is not None and "t_plus" in uses:
                values["t_plus"] = t_plus(c, m, r)
            return law(values)

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
    law: Law
    if form == "value":
        law = Constant(table.quantity("value", unit))
    elif form == "x":
        law = _read_curve(table, unit)
    else:
        law = _read_formula(table, unit, kind.names)
    return PropertyBlock(table.name, source, uncertainty, law)


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


def _read_curve(table: Table, unit: str) -> Curve:
    variable = table.choice("variable", VARIABLES)
    x = np.array(table.array("x")) * _unit_factor(table, "x_unit", SI_UNITS[variable], DEFAULT_UNITS[variable])
    y, factor = np.array(table.array("y")), _unit_factor(table, "unit", unit, None)
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
    return Curve(variable, x, y, factor, log, cast(Literal["proportional", "constant"] | None, below))


def _read_formula(table: Table, unit: str, names: tuple[str, ...]) -> Formula:
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
    return Formula(expression, factor, scales)
