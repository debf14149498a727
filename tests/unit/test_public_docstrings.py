"""Every public thing has a docstring, and every unit in one is a unit."""

import ast
import re
from pathlib import Path

import pint
import pytest

from cellsim.base.units import registry

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "cellsim").rglob("*.py"), *(ROOT / "mdcoeffs").rglob("*.py")])
UNIT = re.compile(r"\[([^\[\]\n]{1,40})\]")
FORMULA = re.compile(r"[=`\"'|]|\w\(|\w \(?[-+]|\.\.|\w\.\w|^:|^\d")  # brackets of an equation, an index or a range
WORDS = re.compile(r"^(SI|N|S\d|[a-z]\w*(, [a-z]\w*)*|[A-Z]\w+ .*)$")
KNOWN = {"CHARGE", "internal units", "c/(2 M i)", "., e^b + phi^2 e^a", "e^a, phi e^a"}


def public_docstrings(path):
    """(name, docstring) of the module, its public functions and classes and their public methods."""
    tree = ast.parse(path.read_text())
    yield path.stem, ast.get_docstring(tree)
    nodes = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
    nodes += [m for n in nodes if isinstance(n, ast.ClassDef) for m in n.body if isinstance(m, ast.FunctionDef)]
    for node in nodes:
        overload = any(getattr(d, "id", "") == "overload" for d in node.decorator_list)
        if not node.name.startswith(("_", "visit_")) and not overload:
            yield node.name, ast.get_docstring(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_public_name_is_documented(path):
    exempt = {"varies", "c_saturation", "c_0", "dc_0"}  # of the Volumes protocol, documented there
    missing = [n for n, text in public_docstrings(path) if not text and n not in exempt]
    assert not missing


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_unit_in_a_docstring_is_a_unit(path):
    wrong = []
    for name, text in public_docstrings(path):
        for unit in UNIT.findall(text or ""):
            for part in re.split(r", | or | and |; ", unit):
                try:
                    registry().parse_units("" if part == "1" else part)
                except (pint.PintError, ValueError, TypeError, AttributeError, AssertionError):
                    if not (FORMULA.search(unit) or WORDS.match(unit) or unit in KNOWN):
                        wrong.append(f"{name}: [{unit}]")
    assert not wrong
