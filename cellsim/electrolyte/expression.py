"""Arithmetic written by a user, ``0.043 * r * exp(-r / 0.085)``, turned into a vectorised function and nothing else.

The text is parsed to a syntax tree; only numbers, known names, ``+ - * / **``, signs and a short list of functions are
let through, so no attribute, no call of anything else and no builtin can be reached.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.files.schema import did_you_mean

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}
"""Functions an expression may call; ``min`` and ``max`` take two arguments, the others one."""

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.UAdd, ast.USub)
_LONGEST = 4000


@dataclass(frozen=True)
class Expression:
    """A checked expression; call it with its variables by name.

    Parameters
    ----------
    text : str
        As written.
    names : frozenset of str
        The variables that occur in it.
    constants : mapping
        Values of the named constants.
    code : CodeType
        The checked tree, compiled.
    field : str
        Name used in messages.
    """

    text: str
    names: frozenset[str]
    constants: Mapping[str, float]
    code: CodeType
    field: str

    def __call__(self, **variables: ArrayLike) -> Array:
        """The value at arrays (or numbers) of the variables, broadcast together.

        Returns
        -------
        ndarray
            Same shape as the variables, in the expression's own unit; not finite where the arithmetic is not.

        Raises
        ------
        InputError
            If the arithmetic on constants alone overflows, divides by zero or is not real.
        """
        arrays = {name: np.asarray(value, dtype=float) for name, value in variables.items()}
        scope = {"__builtins__": {}, **FUNCTIONS, **self.constants, **arrays}
        shape = np.broadcast_shapes(*(value.shape for value in arrays.values()))
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(eval(self.code, scope))  # the tree holds arithmetic only, see _check
        except ArithmeticError as error:
            raise InputError(f'{self.field} = "{self.text}" cannot be evaluated: {error}') from error
        if np.iscomplexobj(result):
            raise InputError(f'{self.field} = "{self.text}" is not real')
        return np.array(result if result.shape == shape else np.broadcast_to(result, shape), dtype=float)


def parse_expression(
    text: str,
    variables: Collection[str],
    constants: Mapping[str, float] | None = None,
    *,
    field: str = "expression",
) -> Expression:
    """Check an expression and make it callable.

    Parameters
    ----------
    text : str
        Arithmetic in `variables` and `constants`.
    variables : collection of str
        Names it may use.
    constants : mapping, optional
        Names with fixed values.
    field : str
        Name used in messages.

    Returns
    -------
    Expression

    Raises
    ------
    InputError
        For anything but finite arithmetic: unknown names or functions, attributes, subscripts, comparisons, ...

    Examples
    --------
    >>> float(parse_expression("0.043 * r * exp(-r / 0.085)", ["r"])(r=0.1))
    0.0013259...
    """
    constants = dict(constants or {})
    if len(text) > _LONGEST:
        raise InputError(f"{field} is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
        names = _check(tree.body, variables, constants, field)
        code = compile(ast.fix_missing_locations(_Floats().visit(tree)), f"<{field}>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply or holds a null byte"
        raise InputError(f'{field} = "{text[:60]}" is not an arithmetic expression: {reason}') from error
    return Expression(text, frozenset(names) & frozenset(variables), constants, code, field)


class _Floats(ast.NodeTransformer):
    """Whole numbers become floats, so that 9**9**9 overflows instead of running for ever."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        assert isinstance(node.value, int | float)
        return ast.Constant(float(node.value))


def _check(node: ast.AST, variables: Collection[str], constants: Mapping[str, float], field: str) -> set[str]:
    """The names in the tree; an InputError for anything that is not arithmetic."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise InputError(f"{field}: {node.value!r} is not a number")
        if not abs(node.value) < 1e300:
            raise InputError(f"{field}: a number in it is too large")
        return set()
    if isinstance(node, ast.Name):
        if node.id in FUNCTIONS:
            raise InputError(f"{field}: {node.id} is a function; call it as {node.id}(...)")
        if node.id not in variables and node.id not in constants:
            raise InputError(f'{field}: unknown name "{node.id}"{did_you_mean(node.id, [*variables, *constants])}')
        return {node.id}
    if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
        return _check(node.left, variables, constants, field) | _check(node.right, variables, constants, field)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, _OPERATORS):
        return _check(node.operand, variables, constants, field)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        name = node.func.id
        if name not in FUNCTIONS:
            raise InputError(f'{field}: unknown function "{name}"{did_you_mean(name, FUNCTIONS)}')
        wanted = 2 if name in ("min", "max") else 1
        if len(node.args) != wanted:
            raise InputError(f"{field}: {name} takes {wanted} argument{'s'[: wanted - 1]}, not {len(node.args)}")
        return set[str]().union(*(_check(argument, variables, constants, field) for argument in node.args))
    allowed = f"numbers, {', '.join(variables)}, + - * / ** (power), brackets and {', '.join(FUNCTIONS)}"
    raise InputError(f"{field}: only {allowed} are allowed, not {ast.unparse(node)!r}")
