"""Delimited tables and what is read from them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellsim.base import InputError
from cellsim.files.schema import parse_toml
from cellsim.instruments.headings import Column, agreed_unit, read_column
from cellsim.instruments.tables import decimal_mark, parse_number, parse_table, read_table


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("t,I\n0,1.5\n1,-2e-3\n", [1.5, -2e-3]),
        ("t;I\n0;1,5\n1;-2e-3\n", [1.5, -2e-3]),
        ("t\tI\n0\t1,5\n1\t-2E-3\n", [1.5, -2e-3]),
        ("t;I\n0;1.5\n1;-0.002\n", [1.5, -2e-3]),
        ('t, I\n0, 1.5\n# a remark\n\n1, "-2e-3"\n', [1.5, -2e-3]),
        ("\ufefft,I\r\n0,1.5\r\n1,-0.002\r\n", [1.5, -2e-3]),
        ("t;time, I\n0;1,5\n1;-0,002\n", [1.5, -2e-3]),
    ],
)
def test_delimiters_and_decimal_commas(tmp_path: Path, text: str, values: list[float]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    table = read_table(path)
    np.testing.assert_array_equal(table.numbers(1), values)
    np.testing.assert_array_equal(table.column("t"), [0, 1])


def test_a_header_with_another_delimiter_in_it() -> None:
    """As in a real file: "I(col3; mA?)" in a table parted by commas."""
    table = parse_table("t_h,I(col3; mA?)\n0,1\n1,2\n")
    assert table.header == ("t_h", "I(col3; mA?)")


def test_columns_of_no_interest_may_hold_anything() -> None:
    table = parse_table("t,mode,I\n0,CC,1\n1,CV,2\n")
    np.testing.assert_array_equal(table.column("I", 1e-3), [1e-3, 2e-3])


def test_windows_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("t;I (µA)\n0;1\n1;2\n".encode("cp1252"))
    assert read_table(path).header == ("t", "I (µA)")


@pytest.mark.parametrize("text", ["1.234,5", "1,2,3", "1_000", "", "abc", "--1", "1 2"])
def test_what_is_not_a_number(text: str) -> None:
    assert parse_number(text, ";") is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_with_either_decimal_sign(number: float) -> None:
    assert parse_number(repr(number), ",") == number
    assert parse_number(repr(number).replace(".", ","), ";") == number


def test_binary_files_doubled_columns_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\x00\x01")
    with pytest.raises(InputError, match="not a text table"):
        read_table(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match='"t" occurs 2 times'):
        parse_table("t,t\n1,2\n").column("t")


def test_units_name_what_they_are() -> None:
    assert Column("j", "mA/cm^2").factor(["A/m^2", "A"], field="unit") == (pytest.approx(10), "A/m^2")
    with pytest.raises(InputError, match="unit = '1 V' is in V, which is not a current density"):
        Column("j", "V").factor(["A/m^2", "A"], field="unit")


@pytest.mark.parametrize(
    ("heading", "name", "unit"),
    [
        ("<I>/mA", "<I>", "mA"),
        ("t (h)", "t", "h"),
        ("j [mA/cm^2]", "j", "mA/cm^2"),
        ("<Ewe/V>", "<Ewe", "V"),
        ("j/mA cm-2", "j", "mA cm^-2"),
        ("I (µA)", "I", "uA"),
        ("cycle number", "cycle number", ""),
    ],
)
def test_headings(heading: str, name: str, unit: str) -> None:
    column = Column.parse(heading)
    assert (column.name, column.unit, column.heading) == (name, unit, heading)


@pytest.mark.parametrize(
    ("heading", "unit"), [("time (s)", "h"), ("I (mA)", "A"), ("I (mA)", "V"), ("Ewe/V", "mV"), ("x [mm]", "um")]
)
def test_a_unit_that_contradicts_the_heading_is_refused(heading: str, unit: str) -> None:
    with pytest.raises(InputError, match=rf'unit = "{unit}", but the heading .* says') as error:
        agreed_unit(heading, unit, field="unit")
    assert "\n" not in str(error.value)
    text = f'a = {{ column = "{heading}", unit = "{unit}" }}\n'
    with pytest.raises(InputError, match=r"a\.unit"):
        read_column(parse_toml(text, "case.toml"), "a")


@pytest.mark.parametrize(
    ("heading", "unit"), [("time (s)", "second"), ("I (raw)", "mA"), ("I", "mA"), ("V (L)", "dm^3"), ("U (cell)", "V")]
)
def test_a_unit_that_says_the_same_or_alone_is_taken(heading: str, unit: str) -> None:
    assert agreed_unit(heading, unit, field="unit") == unit


def test_a_column_is_named_with_its_unit_or_beside_it() -> None:
    text = 'a = "R (ohm cm^2)"\nb = { column = "R", unit = "ohm cm^2" }\nc = "R"\nd = { column = "R" }\n'
    table = parse_toml(text, "case.toml")
    assert read_column(table, "a") == Column("R (ohm cm^2)", "ohm cm^2")
    assert read_column(table, "b") == Column("R", "ohm cm^2")
    for key, says in (
        ("c", "c = 'R' names no unit; write the column as \"t \\(h\\)\""),
        ("d", "d.unit is missing"),
        ("e", "e is missing; name the column"),
    ):
        with pytest.raises(InputError, match=says):
            read_column(table, key)


def test_a_column_is_found_by_its_heading_and_by_its_name_where_that_is_allowed() -> None:
    table = parse_table("t (h),I (mA)\n0,1\n1,2\n")
    assert table.find("I (mA)") == 1 and table.find("I", by_name=True) == 1
    with pytest.raises(InputError, match='no column "I"'):
        table.find("I")


def test_many_rows_are_read_at_once_and_the_first_bad_one_is_named() -> None:
    rows = "".join(f"{k};{k},5\n" for k in range(1000))
    values = parse_table("t;I\n" + rows).numbers(1)
    np.testing.assert_array_equal(values, np.arange(1000) + 0.5)
    for bad, says in (("1_0", "is not a number"), ("", "is empty"), ("nan", "is not a finite number")):
        with pytest.raises(InputError, match=f'row 502, column "I".*{says}'):
            parse_table("t;I\n" + rows.replace("\n500;500,5\n", f"\n500;{bad}\n")).numbers(1)


def test_one_leading_zero_settles_what_the_comma_means() -> None:
    assert decimal_mark(["1,234", "0,500"], "here") == ","
    assert decimal_mark(["12", "7"], "here") == "."
    assert decimal_mark(["1,5E-003"], "here") == ","


@pytest.mark.parametrize("head", ["q (1/nm) tau (s) g2", "q tau g2", "q(1/nm tau)s( g2"])
def test_columns_parted_by_spaces_are_refused_in_one_sentence(head: str) -> None:
    with pytest.raises(InputError, match="parted by spaces"):
        parse_table(f"{head}\n0.01 1.0 1.2\n0.01 2.0 1.1\n")


@pytest.mark.parametrize("unit", ["(", "m s)", "[", "1/nm) azimuth (deg"])
def test_unbalanced_brackets_in_a_unit_are_no_traceback(unit: str) -> None:
    with pytest.raises(InputError):
        Column("q", unit).factor(["1/m"], field="q")
