"""Strict TOML reading: what is accepted, and the one sentence for what is not."""

import pytest

from cellsim.base import InputError
from cellsim.files.schema import parse_toml, read_toml

TEXT = """
title = "a cell"
[cell]
thickness = "3 mm"
area = "3 mm"
count = 4
flag = true
values = [1, 2.5]
lengths = ["1 mm", "2 cm"]
broken = [1, nan]
words = ["a", "b"]
empty = ""
[[step]]
hold = "rest"
[[step]]
hold = "voltage"
"""


@pytest.fixture
def top():
    return parse_toml(TEXT, "case.toml")


def test_values(top):
    cell = top.table("cell")
    assert top.string("title") == "a cell"
    assert cell.quantity("thickness", "m", above=0) == 0.003
    assert cell.quantity("missing", "m", None) is None
    assert cell.integer("count", least=1) == 4
    assert cell.number("count") == 4.0
    assert cell.boolean("flag") is True
    assert cell.array("values") == [1.0, 2.5]
    assert cell.quantities("lengths", "m") == [0.001, 0.02]
    assert cell.strings("words") == ["a", "b"]
    assert cell.choice("nothing", ["x", "y"], "x") == "x"
    assert [step.string("hold") for step in top.tables("step")] == ["rest", "voltage"]
    assert top.tables("step")[1].name == "step[1]"
    assert list(top.table("absent", {})) == []
    assert top.table("absent", None) is None
    assert cell.exactly_one("thickness", "length") == "thickness"
    assert "area" in cell


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda c: c.only("thicknes", "area"),
            'case.toml: cell.thickness is not a key of [cell]; did you mean "thicknes"?',
        ),
        (
            lambda c: c.only("thickness", "area"),
            "case.toml: cell.count is not a key of [cell]; allowed: thickness, area",
        ),
        (lambda c: c.quantity("area", "m^2"), "case.toml: cell.area = '3 mm' is in mm"),
        (lambda c: c.quantity("count", "m"), "case.toml: cell.count = 4 has no unit"),
        (lambda c: c.quantity("width", "m"), "case.toml: cell.width is missing"),
        (lambda c: c.quantity("thickness", "m", above=1), "must be above 1 m"),
        (lambda c: c.quantity("thickness", "m", most=1e-3), "must be at most 0.001 m"),
        (lambda c: c.quantity("thickness", "m", least=1), "must be at least 1 m"),
        (lambda c: c.number("thickness"), "must be a bare number, without quotes"),
        (lambda c: c.number("flag"), "case.toml: cell.flag = True is not a quantity"),
        (lambda c: c.integer("flag"), "must be a whole number"),
        (lambda c: c.integer("count", least=5), "must be at least 5"),
        (lambda c: c.boolean("count"), "must be true or false"),
        (lambda c: c.string("empty"), "must be a string in quotes"),
        (lambda c: c.choice("thickness", ["x", "y"]), 'must be "x" | "y"'),
        (lambda c: c.array("broken"), "case.toml: cell.broken[1] = nan must be a finite number"),
        (lambda c: c.array("count"), "must be a list of numbers"),
        (lambda c: c.quantities("words", "m"), "cell.words[0] = 'a'"),
        (lambda c: c.quantities("count", "m"), "must be a list such as"),
        (lambda c: c.strings("values"), "must be a list of strings"),
        (lambda c: c.exactly_one("thickness", "area"), "exactly one of thickness, area; found thickness and area"),
        (lambda c: c.exactly_one("a", "b"), "exactly one of a, b; found none"),
        (lambda c: c.table("count"), "must be a table, [cell.count]"),
        (lambda c: c.table("nothing"), "the table [cell.nothing] is missing"),
        (lambda c: c.tables("count"), "must be a list of tables, [[cell.count]]"),
        (lambda c: c.path("title"), "cell.title is missing"),
        (lambda c: c.path("thickness"), "names no file that exists"),
    ],
)
def test_complaints_are_one_sentence(top, ask, message):
    with pytest.raises(InputError) as caught:
        ask(top.table("cell"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("case.toml: ")
    assert "\n" not in str(caught.value)


def test_located_adds_the_file_once(top):
    with pytest.raises(InputError, match=r"^case\.toml: cell\.area is odd$"), top.located():
        raise InputError("cell.area is odd")
    with pytest.raises(InputError, match=r"^case\.toml: done$"), top.located():
        raise InputError("case.toml: done")


def test_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(tmp_path)
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(InputError, match=r"bad\.toml: not valid TOML"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(InputError, match="UTF-8"):
        read_toml(tmp_path / "latin.toml")
    (tmp_path / "good.toml").write_text('data = "x.csv"')
    (tmp_path / "x.csv").write_text("")
    assert read_toml(tmp_path / "good.toml").path("data") == tmp_path / "x.csv"
