"""Transport sets from files of other programs: PyBaMM's parameter values, BPX, tables. Nothing in them is executed.

What their transference number and thermodynamic factor are is said in :mod:`cellsim.instruments.exchange`.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from cellsim.base import Array, F, InputError, R
from cellsim.electrolyte.expression import FUNCTIONS, parse_expression
from cellsim.electrolyte.set_file import SetFile, parse_set
from cellsim.files.reading import read_json
from cellsim.instruments.exchange import (
    PEER_NAMES,
    QUANTITIES,
    T_PLUS_FUNCTION,
    Frame,
    Names,
    Portable,
    joined,
    sampled,
)
from cellsim.instruments.tables import read_table


def read_exchange(path: str | Path, like: SetFile, *, T: float | None = None, frame: Frame = "volume") -> SetFile:
    """A transport set from a file of another program; nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        ``.py``: parameter values of PyBaMM (numbers, functions of arithmetic, interpolants of arrays in the file).
        ``.json``: BPX. ``.csv``: columns c, m or r, kappa, D, t_plus_0 and chi, each with its unit.
    like : SetFile
        Says what those files do not: salt, solvent, molar masses, volumes; and the range of what is a formula.
    T : float, optional
        Temperature of what does not depend on it [K]; default that of `like`.
    frame : {"volume", "solvent"}
        What the transference number of a PyBaMM or BPX file is, see :mod:`cellsim.instruments.exchange`.

    Returns
    -------
    SetFile
        Its ``text`` is the file to keep.

    Raises
    ------
    InputError
        The file cannot be read, or holds something that is no property of an electrolyte.
    """
    path = Path(path)
    T = like.T_default if T is None else T
    document = tomllib.loads(like.text)
    if path.suffix == ".csv":
        blocks = _read_csv(path)
    elif path.suffix in (".py", ".json"):
        found = _read_python(path) if path.suffix == ".py" else _read_bpx(path)
        blocks = _blocks(found, frame, T, path.name)
    else:
        raise InputError(f"{path}: a set comes in from a .toml, .py (PyBaMM), .json (BPX) or .csv file")
    made = {
        "name": path.stem,
        "title": f"{path.stem}, from {path.name}",
        "status": like.status,
        "note": f"read from {path.name}; salt, solvent and volumes as in {like.name}",
        **{key: document[key] for key in ("salt", "solvent", "volumes")},
        "range": _range(blocks, like, T),
        **blocks,
    }
    return parse_set(tomli_w.dumps(made), path.with_suffix(".toml").name)


def _range(blocks: Mapping[str, Mapping[str, Any]], like: SetFile, T: float) -> dict[str, Any]:
    """Where the set is valid: the span that its tables share, else that of `like`."""
    span = dict(tomllib.loads(like.text)["range"])
    tables = [block for block in blocks.values() if "x" in block]
    if tables:
        low, high = max(block["x"][0] for block in tables), min(block["x"][-1] for block in tables)
        low = low if low > 0 else min(block["x"][1] for block in tables)  # a salt that is not there has no range
        unit = tables[0].get("x_unit")
        ends = (f"{low!r} {unit}", f"{high!r} {unit}") if unit else (low, high)
        span = {"variable": tables[0]["variable"], "min": ends[0], "max": ends[1]}
    texts = [block["expression"] for block in blocks.values() if "expression" in block]
    warm = any("T" in parse_expression(text, ("c", "T", "t_plus")).names for text in texts)
    coldest, warmest = like.T_range if warm else (T, T)
    return span | {"T_min": f"{coldest!r} K", "T_max": f"{warmest!r} K"}


def _blocks(found: Mapping[str, Portable], frame: Frame, T: float, source: str) -> dict[str, dict[str, Any]]:
    """The blocks of a set from the properties in the terms of PyBaMM's equations."""
    blocks = {name: _block(found[name], unit) for name, unit in (("kappa", "S/m"), ("D", "m^2/s"), ("t_plus", ""))}
    t_plus, factor = found["t_plus"], found["factor"]
    if frame == "solvent":
        chi = _block(factor, "")
    elif factor.text is not None and t_plus.text is not None:
        # (1 - t+0) chi on the molar basis is (1 - t+) TDF, whatever the volumes: phi_0 cancels
        chi = _block(Portable(f"(1 - t_plus) * ({factor.text})"), "")
    else:
        spans = [(one.x[0], one.x[-1]) for one in (t_plus, factor) if one.x is not None]
        span = max(low for low, _ in spans), min(high for _, high in spans)
        product = sampled(lambda c: (1 - _values(t_plus, c, T)) * _values(factor, c, T), span, "pchip", "chi")
        chi = _block(Portable(None, *product), "")
    blocks["t_plus"]["frame"] = frame
    blocks["chi"] = chi | {"basis": "molar"} | ({"gives": "(1-t_plus)*chi"} if frame == "volume" else {})
    return {name: block | {"source": source} for name, block in blocks.items()}


def _values(one: Portable, c: Array, T: float) -> Array:
    if one.text is not None:
        expression = parse_expression(one.text, ("c", "T"))
        scope = {"c": c, "T": np.full(c.shape, T)}
        return np.broadcast_to(expression(**{name: scope[name] for name in expression.names}), c.shape)
    assert one.x is not None and one.y is not None
    return np.asarray(joined(one.x, one.y, one.kind)(c))


def _block(one: Portable, unit: str) -> dict[str, Any]:
    if one.text is None:
        assert one.x is not None and one.y is not None
        x, y = one.x, one.y
        if one.kind != "pchip":  # tables of a set are monotone curves: so many points that the curve is the same
            x, y = sampled(joined(x, y, one.kind), (float(x[0]), float(x[-1])), "pchip")
        table = {"variable": "c", "x": x.tolist(), "x_unit": "mol/m^3", "y": y.tolist()}
        return table | ({"unit": unit} if unit else {})
    tree = ast.parse(one.text, mode="eval").body
    if not any(isinstance(node, ast.Name) for node in ast.walk(tree)):
        value = float(parse_expression(one.text, ())())
        return {"value": f"{value!r} {unit}" if unit else value}
    return {"expression": one.text, "units": {"c": "mol/m^3"}} | ({"unit": unit} if unit else {})


_TABLED = (
    ("kappa", ("kappa",), "S/m"),
    ("D", ("d",), "m^2/s"),
    ("t_plus", ("t_plus_0", "t+0"), ""),
    ("chi", ("chi",), ""),
)
_COMPOSITIONS = (("c", "mol/m^3"), ("m", "mol/kg"), ("r", ""))


def _read_csv(path: Path) -> dict[str, dict[str, Any]]:
    """The blocks of a set from a table; other columns are left alone."""
    table = read_table(path)
    for variable, unit in _COMPOSITIONS:
        x = table.quantity((variable,), (unit,))
        if x is not None:
            break
    else:
        raise InputError(f'{path}: no column of composition; add "c (mol/L)", "m (mol/kg)" or "r"')
    blocks = {}
    for name, headings, unit_y in _TABLED:
        y = table.required(headings, (unit_y,))
        own = _table(x, y, f"{path}: {name}")
        assert own.x is not None and own.y is not None
        blocks[name] = {"variable": variable, "x": own.x.tolist(), "y": own.y.tolist(), "source": path.name}
        blocks[name] |= ({"x_unit": unit} if unit else {}) | ({"unit": unit_y} if unit_y else {})
    blocks["t_plus"]["frame"], blocks["chi"]["basis"] = "solvent", "molal"
    return blocks


def _read_bpx(path: Path) -> dict[str, Portable]:
    data = read_json(path)
    try:
        parts = data["Parameterisation"]
        fields = dict(parts["Electrolyte"])
        own = parts.get("User-defined") or {}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f'{path}: no "Electrolyte" section under "Parameterisation", so no electrolyte in BPX'
        ) from error
    fields[QUANTITIES["t_plus"][1]] = own.get(T_PLUS_FUNCTION, fields.get(QUANTITIES["t_plus"][1]))
    fields[QUANTITIES["factor"][1]] = own.get(QUANTITIES["factor"][1], 1.0)
    found = {}
    for name, (_, key, _) in QUANTITIES.items():
        found[name] = _bpx_value(fields.get(key), f"{path}: {key}")
    return found


def _bpx_value(value: Any, where: str) -> Portable:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Portable(repr(float(value)))
    if isinstance(value, str):
        tree = Names({"x": ast.Name("c")}).visit(_tree(value, where))
        return Portable(_checked(ast.unparse(tree), where))
    if isinstance(value, dict) and {"x", "y"} <= value.keys():
        return _table(value["x"], value["y"], where, "linear")
    raise InputError(f"{where} must be a number, an expression in x or a table with x and y")


def _tree(text: str, where: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{where} = {text[:60]!r} is not an arithmetic expression") from error


def _table(x: Any, y: Any, where: str, kind: str = "pchip") -> Portable:
    try:
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: x and y must be lists of numbers") from error
    if x.ndim != 1 or x.shape != y.shape or x.size < 2 or np.any(np.diff(x) <= 0) or not np.all(np.isfinite([x, y])):
        raise InputError(f"{where}: x must increase and have as many numbers as y, two at least")
    keep = x >= 0
    return Portable(None, x[keep], y[keep], kind)


def _checked(text: str, where: str) -> str:
    parse_expression(text, ("c", "T"), field=where)
    return text


# ---- parameter values of PyBaMM, read as a text ---------------------------------------------------------------------

_CONSTANTS = {"R": R, "F": F}


@dataclass(frozen=True)
class _Module:
    """The functions and assigned values of a Python file."""

    path: Path
    functions: Mapping[str, ast.FunctionDef]
    values: Mapping[str, ast.expr]

    def error(self, what: str, node: ast.AST) -> InputError:
        """A complaint that names the line."""
        return InputError(
            f"{self.path}, line {getattr(node, 'lineno', 0)}: {what}; only arithmetic in concentration and "
            "temperature, and interpolants of arrays in the file, are read"
        )

    def resolved(self, node: ast.expr, scope: Mapping[str, ast.expr]) -> ast.expr:
        """An expression in c, T and numbers only, from one in the names of a function."""
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            if node.id in scope:
                return scope[node.id]
            if node.id in self.values:
                return self.resolved(self.values[node.id], {})
            raise self.error(f"{node.id} is not defined in this file", node)
        if isinstance(node, ast.BinOp):
            return ast.BinOp(self.resolved(node.left, scope), node.op, self.resolved(node.right, scope))
        if isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, self.resolved(node.operand, scope))
        if isinstance(node, ast.List | ast.Tuple):
            return ast.List([self.resolved(one, scope) for one in node.elts], ast.Load())
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node).removesuffix(".value").split(".")
            if name[-1] in _CONSTANTS and "constants" in name:
                return ast.Constant(_CONSTANTS[name[-1]])
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        raise self.error(f"{ast.unparse(node)[:60]!r} is not understood", node)

    def _call(self, node: ast.Call, scope: Mapping[str, ast.expr]) -> ast.expr:
        name = ast.unparse(node.func).split(".")[-1]
        if name == "array" and node.args:
            return self.resolved(node.args[0], scope)
        arguments = [self.resolved(one, scope) for one in node.args]
        if isinstance(node.func, ast.Name) and name in self.functions and not node.keywords:
            return self.returned(self.functions[name], arguments)
        name = {other: own for own, other in PEER_NAMES.items()}.get(name, name)
        if name == "Interpolant" and len(arguments) >= 3:
            given = {one.arg: one.value for one in node.keywords}
            kind = given.get("interpolator", arguments[4] if len(arguments) > 4 else ast.Constant("linear"))
            return ast.Call(ast.Name("Interpolant"), [*arguments[:3], kind], [])
        if name not in FUNCTIONS or node.keywords:
            raise self.error(f"{ast.unparse(node.func)} is no function that a set can hold", node)
        return ast.Call(ast.Name(name), arguments, [])

    def returned(self, function: ast.FunctionDef, arguments: list[ast.expr]) -> ast.expr:
        """What a function returns, in terms of its arguments."""
        names = [argument.arg for argument in function.args.args]
        if len(names) < len(arguments):
            raise self.error(f"{function.name} takes {len(names)} arguments, not {len(arguments)}", function)
        scope = dict(zip(names, arguments, strict=False))
        for line in function.body:
            if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                continue
            if isinstance(line, ast.Return) and line.value is not None:
                return self.resolved(line.value, scope)
            if not isinstance(line, ast.Assign) or len(line.targets) != 1:
                raise self.error(f"{ast.unparse(line)[:60]!r} is not understood", line)
            target, value = line.targets[0], self.resolved(line.value, scope)
            if isinstance(target, ast.Name):
                scope[target.id] = value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.List) and len(target.elts) == len(value.elts):
                scope |= {ast.unparse(one): each for one, each in zip(target.elts, value.elts, strict=True)}
            else:
                raise self.error(f"{ast.unparse(line)[:60]!r} is not understood", line)
        raise self.error(f"{function.name} returns nothing", function)

    def numbers(self, node: ast.expr, key: str) -> Any:
        """A list of numbers."""
        try:
            return ast.literal_eval(ast.unparse(node))
        except (ValueError, SyntaxError) as error:
            raise self.error(f"{key} is interpolated between {ast.unparse(node)[:40]!r}", node) from error

    def property(self, node: ast.expr, key: str) -> Portable:
        """One value of the dictionary: a number, or the name of a function of concentration and temperature."""
        where = f"{self.path}: {key}"
        if isinstance(node, ast.Name) and node.id in self.functions:
            function = self.functions[node.id]
            variables: list[ast.expr] = [ast.Name("c"), ast.Name("T")]
            tree = self.returned(function, variables[: len(function.args.args)])
        else:
            tree = self.resolved(node, {})
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Interpolant":
            x, y, at, kind = tree.args
            if not (isinstance(at, ast.Name) and at.id == "c"):
                raise self.error(f"{key} is interpolated in something else than the concentration", node)
            if not (isinstance(kind, ast.Constant) and kind.value in ("linear", "cubic", "pchip")):
                raise self.error(f"{key} is interpolated by {ast.unparse(kind)}", node)
            return _table(self.numbers(x, key), self.numbers(y, key), where, str(kind.value))
        return Portable(_checked(ast.unparse(tree), where))


def _read_python(path: Path) -> dict[str, Portable]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as Python ({error})") from error
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    }
    module = _Module(path, functions, values)
    entries: dict[str, ast.expr] = {}
    for table in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        for name, value in zip(table.keys, table.values, strict=True):
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                entries.setdefault(name.value, value)
    found = {}
    for quantity, (key, _, _) in QUANTITIES.items():
        if key not in entries:
            if quantity != "factor":
                raise InputError(f'{path}: contains no "{key}", so it is not an electrolyte for PyBaMM')
            entries[key] = ast.Constant(1.0)
        try:
            found[quantity] = module.property(entries[key], key)
        except RecursionError as error:
            raise InputError(f"{path}: {key} is defined by itself") from error
    return found
