"""What papers state in place of the properties of a set: rho+, dU/dln m, Li:EO by another name, and named expressions.

All of it is turned into kappa, D, t+0 and chi against c, m or r where a set is read, so that nothing above knows of it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.electrolyte.expression import FUNCTIONS
from cellsim.electrolyte.properties import Curve, Law
from cellsim.electrolyte.relations import thermal_voltage
from cellsim.files.schema import Table

OTHER_VARIABLES = ("EO:Li", "w")
"""Variables of a table beside c, m and r: solvent units per salt, and the mass fraction of salt."""
_TAKEN = {"c", "m", "r", "T", "t_plus", "F", "R", *FUNCTIONS}


def with_names(top: Table) -> Table:
    """A set whose expressions hold what [let] stands for, in place of its names.

    Parameters
    ----------
    top : Table
        The file; each name of ``[let]`` is a number or an expression, in the units of the block that uses it, and may
        use the names before it.

    Returns
    -------
    Table
        Without ``[let]``.

    Raises
    ------
    InputError
        A name that is taken, or that is no arithmetic.
    """
    given = top.table("let", {})
    trees: dict[str, ast.expr] = {}
    for name in given:
        value = given.data[name]
        if not name.isidentifier() or name in _TAKEN:
            raise InputError(f"{given.where(name)} cannot name an expression; choose another name")
        text = given.string(name) if isinstance(value, str) else repr(given.number(name))
        try:
            trees[name] = _Replaced(trees).visit(ast.parse(" ".join(text.split()), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"{given.where(name)} = {text[:60]!r} is not an arithmetic expression") from error
    if not trees:
        return top
    data = {key: _filled(value, trees) for key, value in top.data.items() if key != "let"}
    return Table(data, top.file, top.name, top.text)


def _filled(block: Any, trees: Mapping[str, ast.expr]) -> Any:
    if not isinstance(block, Mapping):
        return block
    filled = {key: _filled(value, trees) for key, value in block.items()}
    text = filled.get("expression")
    if isinstance(text, str):
        try:
            filled["expression"] = ast.unparse(
                _Replaced(trees).visit(ast.parse(" ".join(text.split()), mode="eval").body)
            )
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return filled  # what is wrong with it is said by whoever reads it
    return filled


class _Replaced(ast.NodeTransformer):
    def __init__(self, trees: Mapping[str, ast.expr]):
        self.trees = trees

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.trees.get(node.id, node)


def with_composition(table: Table, M_e: float, M_0: float) -> Table:
    """A property's block whose table is against r, where it was stated against EO:Li or the mass fraction of salt.

    Parameters
    ----------
    table : Table
        The block.
    M_e, M_0 : float
        Molar masses of salt and solvent [kg/mol].

    Returns
    -------
    Table

    Raises
    ------
    InputError
        Values that are no composition, or that do not go from little salt to much.
    """
    variable = table.data.get("variable")
    if variable not in OTHER_VARIABLES or "x" not in table:
        return table
    x = np.array(table.array("x"))
    try:
        r = salt_ratio(variable, x, M_e, M_0)
    except InputError as error:
        raise InputError(f"{table.where('x')}: {error}") from error
    rising = x[::-1] if variable == "EO:Li" else x
    if np.any(np.diff(rising) <= 0):
        order = "decrease, so that the salt increases" if variable == "EO:Li" else "increase"
        raise InputError(f"{table.where('x')}: the values of {variable} must {order}")
    if "x_unit" in table:
        raise table.error("x_unit", f"does not go with {variable}, which is a number")
    return Table({**table.data, "variable": "r", "x": r.tolist()}, table.file, table.name, table.text)


def salt_ratio(variable: str, x: ArrayLike, M_e: float, M_0: float) -> Array:
    """r, salt per solvent [1], from one of :data:`OTHER_VARIABLES`; molar masses of salt and solvent in kg/mol.

    Raises
    ------
    InputError
        Values that are no composition.
    """
    x = np.asarray(x, dtype=float)
    if np.any(x <= 0) or (variable == "w" and np.any(x >= 1)):
        raise InputError(f"{variable} must be positive{' and below 1' if variable == 'w' else ''}")
    return np.asarray(1 / x if variable == "EO:Li" else (x / M_e) / ((1 - x) / M_0))


@dataclass(frozen=True)
class FromSlope:
    """(1 - t+0) chi from dU/dln m [V]: over nu R T/(F z+ nu+).

    Parameters
    ----------
    slope : Law
        [V]
    nu : int
        Ions per formula unit.
    charge : float
        Of the cations of one mole of salt [C/mol].
    """

    slope: Law
    nu: int
    charge: float
    covers: ClassVar[None] = None

    @property
    def uses(self) -> frozenset[str]:
        """See :class:`.Law`."""
        return self.slope.uses | {"T"}

    @property
    def parts(self) -> tuple[Law, ...]:
        """What it is made of."""
        return (self.slope,)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`.Law`."""
        T = np.asarray(values["T"], dtype=float)
        return np.asarray(self.slope(values) / thermal_voltage(self.nu, 1.0, self.charge) / T)


@dataclass(frozen=True)
class FromThermodynamic:
    """The measured D from Newman's thermodynamic one, D (c_0 + nu c)/c_0 chi.

    Parameters
    ----------
    D : Law
        Referred to gradients of the chemical potential [m^2/s].
    chi : Law
        Molal [1].
    nu : int
        Ions per formula unit.

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., ch. 12.
    """

    D: Law
    chi: Law
    nu: int
    covers: ClassVar[None] = None

    @property
    def uses(self) -> frozenset[str]:
        """See :class:`.Law`."""
        return self.D.uses | self.chi.uses | {"r"}

    @property
    def parts(self) -> tuple[Law, ...]:
        """What it is made of; chi is looked at on its own."""
        return (self.D,)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`.Law`."""
        return np.asarray(self.D(values) * (1 + self.nu * values["r"]) * self.chi(values))


@dataclass(frozen=True)
class FromFraction:
    """t+0 from the current fraction rho+ = 1/(1 + Ne) and the other properties.

    1 - t+0 = z+ nu+ F D c (1/rho+ - 1)/(kappa K P), K = nu R T/(F z+ nu+), where P = (1 - t+0) chi is stated; its root,
    the one below t+0 = 1, where chi is.

    Parameters
    ----------
    rho : Law
        [1]
    kappa, D, chi : Law
        Conductivity [S/m], diffusion coefficient [m^2/s], chi or (1 - t+0) chi, molal.
    is_product : bool
        Whether `chi` is (1 - t+0) chi.
    nu : int
        Ions per formula unit.
    charge : float
        z+ nu+ F [C/mol].

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes.
    """

    rho: Law
    kappa: Law
    D: Law
    chi: Law
    is_product: bool
    nu: int
    charge: float
    covers: ClassVar[None] = None

    @property
    def uses(self) -> frozenset[str]:
        """See :class:`.Law`."""
        return frozenset({"c", "m", "r", "T"})

    @property
    def parts(self) -> tuple[Law, ...]:
        """What it is made of; the other properties are looked at on their own."""
        return (self.rho,)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """See :class:`.Law`."""
        T = np.asarray(values["T"], dtype=float)
        K = thermal_voltage(self.nu, 1.0, self.charge) * T
        with np.errstate(all="ignore"):  # what is no number is refused where the set is checked
            Ne = 1 / self.rho(values) - 1
            left = self.charge * self.D(values) * values["c"] * Ne / (self.kappa(values) * K * self.chi(values))
            return np.asarray(1 - (left if self.is_product else np.sqrt(left)))


def tables_of(law: Law) -> list[Curve]:
    """The tables that a law rests on: itself, or what it is made of."""
    if isinstance(law, Curve):
        return [law]
    return [table for part in getattr(law, "parts", ()) for table in tables_of(part)]
