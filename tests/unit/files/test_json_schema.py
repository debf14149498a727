"""The shipped JSON schemas: they are what the readers ask for, accept every shipped file, and mark mistakes."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

from cellsim.base import InputError
from cellsim.files.json_schema import FORMATS, Format, as_text, complaints, shipped
from cellsim.files.schema import read_toml

ROOT = Path(__file__).parents[3]
SCHEMAS = {name: json.loads(shipped(name).read_text(encoding="utf-8")) for name in FORMATS}


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "docs" / "schemas.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow  # reads every case, set and fit and all examples of the pages: 6 s
def test_the_schemas_are_what_the_readers_ask_for(recipe):
    learned = recipe.learn()
    for name, format_ in learned.items():
        assert as_text(format_.schema()) == shipped(name).read_text(encoding="utf-8"), "run python docs/schemas.py"
    # Of 262 keys the readers accept, the examples leave the values of this many open: they take any value.
    assert sum(len(format_.unknown()) for format_ in learned.values()) <= 60


def test_every_shipped_file_is_right_by_its_schema(recipe):
    files = list(recipe.shipped_files())
    assert {name for name, _ in files} == set(FORMATS) and len(files) > 25
    for name, path in files:
        assert complaints(tomllib.loads(path.read_text(encoding="utf-8")), SCHEMAS[name]) == [], path


@pytest.mark.parametrize(
    ("format_", "old", "new", "said"),
    [
        ("case", 'thickness = "3 mm"', "thickness = 3", "cell.thickness must be of type string"),
        ("case", 'thickness = "3 mm"', 'thickness = "3"', "cell.thickness must be a number with a unit"),
        ("case", 'thickness = "3 mm"', 'thicknes = "3 mm"', "cell.thicknes is not a key"),
        ("case", 'hold = "voltage"', 'hold = "volts"', "step[0].hold must be one of"),
        ("case", "[cell]\n", "", "cell is missing"),
    ],
)
def test_a_mistake_is_marked(format_, old, new, said):
    text = (ROOT / "cellsim" / "templates" / "thick-polymer.toml").read_text(encoding="utf-8")
    assert old in text and complaints(tomllib.loads(text), SCHEMAS[format_]) == []
    assert any(said in sentence for sentence in complaints(tomllib.loads(text.replace(old, new)), SCHEMAS[format_]))


def test_a_schema_says_units_limits_and_defaults():
    cell = SCHEMAS["case"]["properties"]["cell"]
    assert set(cell["required"]) == {"thickness", "temperature"} and cell["additionalProperties"] is False
    assert cell["properties"]["thickness"]["description"] == 'A number with a unit, such as "1 m"; above 0.'
    assert SCHEMAS["case"]["properties"]["solver"]["properties"]["cells"] == {
        "type": "integer",
        "minimum": 10,
        "default": 160,
    }
    species = SCHEMAS["species"]["properties"]["species"]["additionalProperties"]
    assert species["properties"]["role"]["enum"] == ["cation", "anion", "solvent"]


def test_a_refused_example_says_nothing_of_what_is_required(tmp_path):
    whole, part = tmp_path / "whole.toml", tmp_path / "part.toml"
    whole.write_text('name = "a"\nsize = "1 m"\n')
    part.write_text('nam = "a"\n')

    def read(path):
        top = read_toml(path)
        top.only("name", "size")
        top.string("name")
        top.quantity("size", "m")

    format_ = Format("case")
    format_.learn(whole, read)
    with pytest.raises(InputError):
        format_.learn(part, read)
    assert format_.schema()["required"] == ["name", "size"] and format_.unknown() == []


def test_an_unknown_format_is_one_sentence():
    with pytest.raises(InputError, match="sweep has no schema; choose one of case, set, fit, species"):
        shipped("sweep")
