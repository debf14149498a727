"""Delimited tables and what is read from them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellsim.base import InputError
from cellsim.instruments.measured import Column, read_drive, read_profile, read_resistance, read_series
from cellsim.instruments.tables import parse_number, parse_table, read_table, unit_factor

HERE = Path(__file__).parents[3]


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
    with pytest.raises(InputError, match='"t" stands there 2 times'):
        parse_table("t,t\n1,2\n").column("t")


def test_units_name_what_they_are() -> None:
    assert unit_factor("mA/cm^2", ["A/m^2", "A"], field="unit") == (pytest.approx(10), "A/m^2")
    with pytest.raises(InputError, match="unit = '1 V' is in V, which is not a current density"):
        unit_factor("V", ["A/m^2", "A"], field="unit")
    assert Column.from_header("R (ohm cm^2)", field="value") == Column("R (ohm cm^2)", "ohm cm^2")
    with pytest.raises(InputError, match="names no unit"):
        Column.from_header("R", field="value")


def test_a_real_polarisation_starts_at_zero() -> None:
    """Thienenkamp 2022: 1022 points over 6.54 h, 0.0998 mA at first, 0.0238 mA at the end."""
    path = HERE / "cases/thienenkamp2022/Li_Li_pol.csv"
    t, i = read_drive(
        path, Column("t_h", "h"), Column("I(col3; mA?)", "mA"), "current", area=1e-4, field="step[0].value"
    )
    assert t.size == 1022
    assert t[0] == 0
    assert t[-1] / 3600 == pytest.approx(9.09941 - 2.55705, rel=1e-9)
    assert (i[0], i.min()) == (pytest.approx(0.9984), pytest.approx(0.2381))


def test_profiles_are_read_with_their_times() -> None:
    t, x, c = read_profile(
        HERE / "cases/thienenkamp2022/profiles.csv", unit="mol/m^3", position_unit="mm", time_unit="s", field="measured"
    )
    assert c.shape == (t.size, x.size)
    assert t[-1] == 45 * 513
    assert np.mean(c[0]) == pytest.approx(1869.86, abs=0.1)  # one decimal is kept in the file


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x,0,later\n0,1,2\n", '"later" must be headed by its time'),
        ("x,0,10,5\n0,1,2,3\n", 'times in the header must increase strictly; "5"'),
        ("x,0\n1,1\n0,2\n", 'row 3: "x" falls below'),
        ("x\n1\n", "at least one profile"),
        ("x,0\n1,1\n2,inf\n", 'row 3, column "0"'),
    ],
)
def test_profiles_that_are_refused(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_profile(path, unit="mol/m^3", position_unit="mm", time_unit="s", field="measured[0]")


def test_resistances_in_time(tmp_path: Path) -> None:
    path = tmp_path / "R.csv"
    path.write_text("t (h),R (ohm cm^2)\n0,10\n2,-1\n")
    columns = (Column("t (h)", "h"), Column("R (ohm cm^2)", "ohm cm^2"))
    with pytest.raises(InputError, match=r'R\.csv: row 3: "R \(ohm cm\^2\)" is negative'):
        read_resistance(path, *columns, field="resistance")
    path.write_text("t (h),R (ohm cm^2)\n0,10\n2,30\n")
    t, r = read_resistance(path, *columns, field="resistance")
    np.testing.assert_allclose(t, [0, 7200], rtol=1e-12)
    np.testing.assert_allclose(r, [1e-3, 3e-3], rtol=1e-12)


def test_a_measured_series_needs_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "U.csv"
    path.write_text("t\n1\n")
    with pytest.raises(InputError, match="needs two columns, time and voltage"):
        read_series(path, "voltage", unit="V", time_unit="s", area=None, field="measured[0]")
