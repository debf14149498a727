"""JSON Schema of a TOML format, learned from the readers: every key they ask for, its unit, limits and default.

A reader asks a :class:`~cellsim.files.schema.Table` for its keys. Listening to it while it reads examples gives the
format as it is really read, with no second list of keys that could differ from the first. Editors use the schema to
complete keys, to show units and to mark mistakes. ``python docs/schemas.py`` writes the schemas that are shipped.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from cellsim.base import InputError
from cellsim.files.schema import REQUIRED, Table, listening

FORMATS = {
    "case": "a case of cellsim: the cell, its electrolyte and the protocol",
    "set": "a transport set: the properties of an electrolyte",
    "fit": "a fit: which cases and data, and what may change",
    "species": "SPECIES.toml of mdcoeffs: atoms, ions, trajectories and analyses",
}
"""Every format with a schema that is shipped."""
QUANTITY = r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*[^\s0-9.].*$"
"""A number and a unit."""
ANY_NAME = "*"
"""Stands for the name of a table that the user chooses."""
_PLAIN = {"string": "string", "boolean": "boolean", "integer": "integer", "number": "number"}


@dataclass
class _Key:
    """What readers asked of one key: schemas of its values without repeats, and where it was required."""

    forms: list[dict[str, Any]] = field(default_factory=list)
    required: set[tuple[int, str]] = field(default_factory=set)


@dataclass
class _Node:
    """What readers asked of one table."""

    keys: dict[str, _Key] = field(default_factory=dict)
    allowed: dict[str, None] = field(default_factory=dict)
    alternatives: set[str] = field(default_factory=set)
    visits: set[tuple[int, str]] = field(default_factory=set)

    def add(self, other: _Node) -> None:
        """Take over what was asked of another table of the same kind."""
        self.allowed |= other.allowed
        self.alternatives |= other.alternatives
        self.visits |= other.visits
        for name, theirs in other.keys.items():
            own = self.keys.setdefault(name, _Key())
            own.forms += [form for form in theirs.forms if form not in own.forms]
            own.required |= theirs.required


class Format:
    """A format as its readers ask for it.

    Parameters
    ----------
    name : str
        One of :data:`FORMATS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: dict[str, _Node] = {}
        self._examples = 0

    def learn(self, path: str | Path, read: Callable[[Path], object]) -> None:
        """Listen while a file is read; what is asked of other files is left aside.

        Parameters
        ----------
        path : str or Path
            An example of the format.
        read : callable
            Its reader. It may refuse the example: what it asked for until then counts, but not which keys are required.

        Raises
        ------
        InputError
            The reader's own.
        """
        path = Path(path)
        self._examples += 1

        def hear(table: Table, what: str, key: str, how: Mapping[str, Any]) -> None:
            if table.file == path:
                self._hear(table, what, key, how)

        try:
            with listening(hear):
                read(path)
        except InputError:
            for node in self._nodes.values():
                node.visits = {visit for visit in node.visits if visit[0] != self._examples}
            raise

    def _hear(self, table: Table, what: str, key: str, how: Mapping[str, Any]) -> None:
        node = self._nodes.setdefault(re.sub(r"\[\d+\]", "[]", table.name), _Node())
        if what == "only":
            node.allowed |= dict.fromkeys(how["keys"])
            node.visits.add((self._examples, table.name))
        elif what == "one_of":
            node.alternatives |= set(how["keys"])
        else:
            asked = node.keys.setdefault(key, _Key())
            if how["default"] is REQUIRED:
                asked.required.add((self._examples, table.name))
            form = _form(what, how)
            if form not in asked.forms:
                asked.forms.append(form)

    # ---- the schema ------------------------------------------------------------------------------------------------

    def schema(self) -> dict[str, Any]:
        """The schema, JSON Schema draft 7."""
        nodes = _share(_with_free_names(self._nodes))
        head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"cellsim {self.name} file"}
        return head | {"description": f"This schema describes {FORMATS[self.name]}."} | _table(nodes, "")

    def unknown(self) -> list[str]:
        """Keys that readers accept, but of whose values nothing was learned: dotted names."""
        return [
            f"{name}.{key}".lstrip(".")
            for name, node in _share(_with_free_names(self._nodes)).items()
            for key in node.allowed
            if key not in node.keys
        ]


def _with_free_names(nodes: Mapping[str, _Node]) -> dict[str, _Node]:
    """The same tables, those whose names the user chooses (a species, a nuisance) put together as one, ``*``."""
    merged = {name: copy.deepcopy(node) for name, node in nodes.items()}
    for name in sorted(nodes, key=lambda name: name.count(".")):
        if name not in merged or merged[name].allowed or not name:
            continue
        for key, asked in list(merged[name].keys.items()):
            if {"table": True} not in asked.forms:
                continue
            old, new = f"{name}.{key}", f"{name}.{ANY_NAME}"
            for inner in [n for n in merged if n == old or n.startswith((f"{old}.", f"{old}["))]:
                merged.setdefault(new + inner.removeprefix(old), _Node()).add(merged.pop(inner))
            merged[name].keys.pop(key)
            merged[name].keys.setdefault(ANY_NAME, _Key()).forms = [{"table": True}]
    return merged


def _share(nodes: dict[str, _Node]) -> dict[str, _Node]:
    """What was learned of one property holds for all that have the same keys, but for units."""
    for node in nodes.values():
        for other in nodes.values():
            if node is other or not node.allowed or not other.allowed:
                continue
            both = set(node.allowed) & set(other.allowed)
            if len(both) < 0.7 * max(len(node.allowed), len(other.allowed)):
                continue
            for key in sorted((set(other.keys) & both) - set(node.keys)):
                forms = [form for form in other.keys[key].forms if "pattern" not in json.dumps(form)]
                if forms and not any("table" in form or "tables" in form for form in forms):
                    node.keys[key] = _Key(list(forms))
    return nodes


def _table(nodes: Mapping[str, _Node], name: str) -> dict[str, Any]:
    """The schema of one table."""
    node = nodes.get(name, _Node())
    if not node.allowed:  # the user chooses its keys, or a reader takes it whole
        each = [_key(nodes, name, key) for key in node.keys]
        return {"type": "object"} | ({"additionalProperties": _any_of(each)} if each else {})
    properties = {key: _key(nodes, name, key) for key in node.allowed}
    required = [
        key
        for key, asked in node.keys.items()
        if node.visits and node.visits <= asked.required and key in node.allowed and key not in node.alternatives
    ]
    result = {"type": "object", "properties": properties, "additionalProperties": False}
    return result | ({"required": required} if required else {})


def _key(nodes: Mapping[str, _Node], table: str, key: str) -> dict[str, Any]:
    """The schema of one key of a table."""
    inner = f"{table}.{key}".lstrip(".")
    forms: list[dict[str, Any]] = []
    for form in nodes[table].keys.get(key, _Key()).forms:
        if form == {"table": True}:
            forms.append(_table(nodes, inner))
        elif form == {"tables": True}:
            forms.append({"type": "array", "items": _table(nodes, f"{inner}[]")})
        else:
            forms.append(form)
    return _any_of(forms)


def _form(what: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of one value, from how a reader asked for it."""
    if what in ("table", "tables"):
        return {what: True}
    form: dict[str, Any]
    if what == "quantity" and how["unit"]:
        unit = how["unit"]
        words = [f'A number with a unit, such as "1 {unit}"', *_limits(how, unit)]
        form = {"type": "string", "pattern": QUANTITY, "description": "; ".join(words) + "."}
    elif what in ("quantity", "number", "integer"):
        kinds: Any = ["number", "string"] if what == "quantity" else _PLAIN[what]
        form = {"type": kinds}
        for key, keyword in (("above", "exclusiveMinimum"), ("least", "minimum"), ("most", "maximum")):
            if math.isfinite(how.get(key, math.inf)):
                form[keyword] = how[key]
    elif what == "choice":
        form = {"enum": list(how["options"])}
    elif what == "array":
        form = {"type": "array", "items": {"type": "number"}, "minItems": 1}
    elif what == "quantities":
        each = {
            "type": "string",
            "pattern": QUANTITY,
            "description": f'A number with a unit, such as "1 {how["unit"]}".',
        }
        form = {"type": "array", "items": each}
    elif what == "strings":
        form = {"type": "array", "items": {"type": "string"}}
    else:
        form = {"type": _PLAIN[what]}
    default = how.get("default")
    plain = isinstance(default, str | int | float) and default != "" and default == default
    # A default of a quantity is a float in SI, which is no value that could be written.
    if plain and not (what == "quantity" and how["unit"]):
        form["default"] = default
    return form


def _limits(how: Mapping[str, Any], unit: str) -> Iterator[str]:
    for key, word in (("above", "above"), ("least", "at least"), ("most", "at most")):
        limit = how[key]
        if math.isfinite(limit):
            yield f"{word} {limit:g}" + (f" {unit}" if limit else "")


def _any_of(forms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One schema that accepts what any of several does; the empty one where nothing is known."""
    distinct: list[dict[str, Any]] = []
    for form in forms:
        if form not in distinct:
            distinct.append(form)
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct} if distinct else {}


def as_text(schema: Mapping[str, Any]) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


# ---- the schemas that are shipped ------------------------------------------------------------------------------------


def shipped(name: str) -> Path:
    """Where the schema of a format lies in the installed package.

    Parameters
    ----------
    name : str
        One of :data:`FORMATS`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        There is no such format.
    """
    if name not in FORMATS:
        raise InputError(f"{name} has no schema; choose one of {', '.join(FORMATS)}")
    return Path(str(resources.files("cellsim.files"))) / "schemas" / f"{name}.json"


def complaints(value: Any, schema: Mapping[str, Any], where: str = "") -> list[str]:
    """What a value has wrong by a schema; of JSON Schema only the words that :class:`Format` writes.

    Parameters
    ----------
    value : object
        As ``tomllib`` or ``json`` reads it.
    schema : mapping
        The schema.
    where : str
        Dotted name of the value.

    Returns
    -------
    list of str
        Sentences; none where the value is right.
    """
    if "anyOf" in schema:
        tries = [complaints(value, form, where) for form in schema["anyOf"]]
        return min(tries, key=len) if all(tries) else []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [f"{where} must be of type {' or '.join(kinds)}"]
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} must be one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{where} must be a number with a unit")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not low <= value <= high or value <= schema.get("exclusiveMinimum", -math.inf):
            found.append(f"{where} lies outside its limits")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append(f"{where} has too few entries")
        for k, entry in enumerate(value):
            found += complaints(entry, schema.get("items", {}), f"{where}[{k}]")
    if isinstance(value, dict):
        lacking = [key for key in schema.get("required", ()) if key not in value]
        found += [f"{where}.{key} is missing".lstrip(".") for key in lacking]
        other = schema.get("additionalProperties", True)
        for key, entry in value.items():
            name = f"{where}.{key}".lstrip(".")
            if key in schema.get("properties", {}):
                found += complaints(entry, schema["properties"][key], name)
            elif other is False:
                found.append(f"{name} is not a key")
            elif isinstance(other, dict):
                found += complaints(entry, other, name)
    return found


def _is(value: Any, kind: str) -> bool:
    """Whether a value is of a type of JSON."""
    if kind in ("integer", "number"):
        return not isinstance(value, bool) and isinstance(value, int if kind == "integer" else int | float)
    return isinstance(value, {"string": str, "boolean": bool, "array": list, "object": dict}[kind])
