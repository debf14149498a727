"""Potentiostat exports: EC-Lab .mpt, Gamry .DTA, tables, and what is refused."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellsim.base import InputError
from cellsim.instruments.headings import Column
from cellsim.instruments.potentiostat import read_drive, read_potentiostat, read_resistance
from cellsim.instruments.tables import parse_table, read_table

DATA = Path(__file__).parents[2] / "data"
CASES = Path(__file__).parents[3] / "cases"
POINT, COMMA = DATA / "eclab/ca_point.mpt", DATA / "eclab/ca_comma.mpt"


def written(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# ---- EC-Lab


def test_decimal_comma_and_point_of_one_run_give_identical_arrays() -> None:
    a, b = read_potentiostat(POINT), read_potentiostat(COMMA)
    assert a.kind == b.kind == "mpt"
    assert a.time[0] == b.time[0] == 1234.5  # the file's own clock, whatever it began at
    for name in ("time", "voltage", "current"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


def test_mpt_is_in_si_on_its_own_clock() -> None:
    data = read_potentiostat(POINT)
    assert data.time[-1] == pytest.approx(1834.5, rel=1e-12)
    assert data.voltage is not None and data.current is not None
    assert data.voltage[3] == pytest.approx(0.3, abs=2e-5)
    assert data.current[0] == pytest.approx(1.325e-3, rel=1e-12)  # 1.325 mA
    assert data.current_density(1e-4)[0] == pytest.approx(13.25, rel=1e-12)
    with pytest.raises(InputError, match=r"needs cell\.area"):
        data.current_density(None)


@pytest.mark.parametrize("heading", ["Ewe/V\t<I>/mA", "<Ewe>/V\tI/mA", "<Ewe/V>\tI/mA", "Ecell/V\tI/mA"])
def test_mpt_columns_by_any_of_their_names(tmp_path: Path, heading: str) -> None:
    text = f"EC-Lab ASCII FILE\r\nNb header lines : 3\r\ntime/s\t{heading}\t\r\n5.0E+0\t3.0E-1\t2.0E+0\r\n"
    data = read_potentiostat(written(tmp_path, "a.mpt", text))
    assert data.voltage is not None and data.current is not None
    assert (data.voltage[0], data.current[0], data.time[0]) == (0.3, 2e-3, 5.0)


def test_mpt_counter_electrode_is_taken_off(tmp_path: Path) -> None:
    head = "EC-Lab ASCII FILE\nNb header lines : 3\n"
    data = read_potentiostat(written(tmp_path, "a.mpt", head + "time/s\tEwe/V\tEce/V\t<I>/mA\n0.0\t0.5\t0.2\t1.0\n"))
    assert data.voltage is not None
    assert data.voltage[0] == pytest.approx(0.3, rel=1e-12)
    assert "Ece" in data.notes[0]
    text = head + "time/s\tEwe/V\tEce/V\tEwe-Ece/V\t<I>/mA\n0.0\t0.5\t0.2\t0.31\t1.0\n"
    given = read_potentiostat(written(tmp_path, "b.mpt", text)).voltage
    assert given is not None and given[0] == 0.31


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("EC-Lab ASCII FILE\nheader\n", "line 2 should read"),
        ("EC-Lab ASCII FILE\nNb header lines : 99\n", "cut short"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n", "no rows"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1.0\n", "1 cells, its header 2"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1.0\tx\n", "'x' is not a number"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tmode\n1.0\t1\n", "neither voltage nor current"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\nmode\tEwe/V\n1\t1.0\n", "no column of time"),
        (
            "EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n2.0\t1.0\n1.0\t1.0\n",
            "row 5: the time runs backwards",
        ),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1,5\t1.0\n", "are mixed"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1.234,5\t1,0\n", "more than one decimal mark"),
        ("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\n1,234\t2,500\n", "decimal comma or a thousands"),
    ],
)
def test_what_is_mixed_ambiguous_or_cut_short_is_refused_with_a_sentence(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_potentiostat(written(tmp_path, "a.mpt", text))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path))


def test_same_numbers_with_mixed_marks_between_columns_are_refused(tmp_path: Path) -> None:
    raw = COMMA.read_bytes().decode("cp1252")
    rows = raw.split("\r\n")
    rows[12] = rows[12].replace(",", ".")
    with pytest.raises(InputError, match="mixed"):
        read_potentiostat(written(tmp_path, "a.mpt", "\r\n".join(rows), "cp1252"))


# ---- Gamry


@pytest.mark.parametrize("name", ["chronoa_point.dta", "chronoa_comma.dta"])
def test_real_gamry_exports(name: str) -> None:
    data = read_potentiostat(DATA / "gamry" / name)
    assert data.kind == "dta" and data.time.size == 10
    assert data.voltage is not None and data.current is not None
    assert data.time[3] == 90.0001
    assert data.voltage[1] == 4.99669e-1
    assert data.current[1] == 1.40441e-8
    assert data.area == pytest.approx(1e-4, rel=1e-12)
    assert "announces 5258 rows and holds 10" in data.notes[0]


def test_gamry_comma_and_point_of_one_run_give_identical_arrays(tmp_path: Path) -> None:
    text = (DATA / "gamry/chronoa_point.dta").read_text()
    head, table = text.split("CURVE\tTABLE")
    a = read_potentiostat(DATA / "gamry/chronoa_point.dta")
    b = read_potentiostat(
        written(tmp_path, "b.dta", head + "CURVE\tTABLE" + table.replace("V vs. Ref.", "V").replace(".", ","))
    )
    for field in ("time", "voltage", "current"):
        assert np.array_equal(getattr(a, field), getattr(b, field))


def test_gamry_without_a_curve_or_with_several(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table CURVE"):
        read_potentiostat(written(tmp_path, "a.dta", "EXPLAIN\nTAG\tOCV\nOCVCURVE\tTABLE\t1\n\tPt\n\t#\n\t0\n"))
    one = "CURVE{}\tTABLE\t1\n\tPt\tT\tVf\tIm\n\t#\ts\tV\tA\n\t0\t0\t0.1\t0.2\n"
    with pytest.raises(InputError, match="2 curves"):
        read_potentiostat(written(tmp_path, "a.dta", "EXPLAIN\n" + one.format(1) + one.format(2)))


@pytest.mark.parametrize("head", ["CURVE1\tTABLE\t2", "CURVE1\tTABLE", "CURVE1\tTABLE\t"])
def test_gamry_curves_have_numbers_and_may_not_count_their_rows(tmp_path: Path, head: str) -> None:
    rows = "\tPt\tT\tVf\tIm\n\t#\ts\tV\tA\n\t0\t0.5\t0.1\t0.2\n\t1\t1.5\t0.1\t0.3\n"
    data = read_potentiostat(written(tmp_path, "a.dta", f"EXPLAIN\nTAG\tCHRONOA\n{head}\n{rows}"))
    assert data.current is not None and data.current.tolist() == [0.2, 0.3] and data.time.tolist() == [0.5, 1.5]
    with pytest.raises(InputError, match="impedance spectrum"):
        read_potentiostat(written(tmp_path, "b.dta", f"EXPLAIN\nTAG\tEISPOT\nZCURVE\tTABLE\n{rows}"))


@pytest.mark.parametrize("heading", ["freq/Hz", "Frequency (kHz)", "f (Hz)"])
def test_a_spectrum_is_no_course_in_time(tmp_path: Path, heading: str) -> None:
    text = f"time/s\t{heading}\t<Ewe>/V\t<I>/mA\n0\t1e5\t0.1\t1\n1\t1e4\t0.1\t1\n"
    with pytest.raises(InputError, match="impedance spectrum"):
        read_potentiostat(written(tmp_path, "a.csv", text))
    assert read_potentiostat(written(tmp_path, "b.csv", text.replace("1e5", "0").replace("1e4", "0"))).time.size == 2


def test_a_voltage_that_was_not_recorded_is_not_0_volt(tmp_path: Path) -> None:
    text = "time/s\t<Ewe>/V\tEwe/V\t<I>/mA\n0\t0\t0.3\t1\n1\t0\t0.2\t1\n"
    other = read_potentiostat(written(tmp_path, "a.csv", text)).voltage
    assert other is not None and other.tolist() == [0.3, 0.2]
    none = read_potentiostat(written(tmp_path, "a.csv", "time/s\t<Ewe>/V\t<I>/mA\n0\t0\t1\n1\t0\t1\n"))
    assert none.voltage is None and '"<Ewe>/V" is 0 in every row while a current flows' in none.notes[0]
    short = read_potentiostat(written(tmp_path, "a.csv", "time/s\t<Ewe>/V\t<I>/mA\n0\t0\t0\n1\t0\t0\n"))
    assert short.voltage is not None and short.voltage.tolist() == [0.0, 0.0]  # nothing flows: 0 V is a reading


# ---- tables


@pytest.mark.parametrize(
    "text",
    [
        "time (min),U (mV),I (uA)\n10,300,1.5\n20,300,1.25\n",
        "time (min);U (mV);I (µA)\n10;300;1,5\n20;300;1,25\n",
        "t [h]\tE [V]\tI [mA]\n0.16666666666666666\t0.3\t0.0015\n0.3333333333333333\t0.3\t0.00125\n",
    ],
)
def test_tables_with_units_in_the_header(tmp_path: Path, text: str) -> None:
    data = read_potentiostat(written(tmp_path, "a.csv", text))
    assert data.voltage is not None and data.current is not None
    np.testing.assert_allclose(data.time, [600, 1200], rtol=1e-12, atol=0)
    np.testing.assert_allclose(data.voltage, 0.3, rtol=1e-12)
    np.testing.assert_allclose(data.current, [1.5e-6, 1.25e-6], rtol=1e-12)


def test_current_density_needs_no_area(tmp_path: Path) -> None:
    data = read_potentiostat(written(tmp_path, "a.csv", "t (s),j (mA/cm^2)\n0,1.5\n1,1.0\n"))
    assert data.per_area
    np.testing.assert_allclose(data.current_density(None), [15.0, 10.0], rtol=1e-12)


def test_columns_that_could_both_be_it_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "t (s),first (V),second (V)\n0,1.5,2.5\n")
    with pytest.raises(InputError, match=r'"first \(V\)", "second \(V\)" all could be'):
        read_potentiostat(path)
    chosen = read_potentiostat(path, columns={"voltage": "second"}).voltage
    assert chosen is not None and chosen[0] == 2.5
    with pytest.raises(InputError, match="did you mean"):
        read_potentiostat(path, columns={"voltage": "secnd (V)"})
    with pytest.raises(InputError, match="carries no unit of voltage"):
        read_potentiostat(path, columns={"voltage": "t"})


def test_decimal_commas_between_commas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 cells, its header 2"):
        read_potentiostat(written(tmp_path, "a.csv", "t (s),I (mA)\n0,5,1,5\n"))


# ---- binary


def test_mpr_without_a_reader_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.mpr", "BIO-LOGIC MODULAR FILE\0")
    for name in ("galvani", "galvani.BioLogic", "yadg", "yadg.extractors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"export it as \.mpt"):
        read_potentiostat(path)


def test_mpr_through_galvani_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with galvani's interface; the real one was checked by hand (docs/compare.md)."""
    data = np.array([(1, 10.0, 0.3, 2.0)], dtype=[("flags", "u1"), ("time/s", "f8"), ("Ewe/V", "f4"), ("I/mA", "f4")])
    module = types.SimpleNamespace(MPRfile=lambda path: types.SimpleNamespace(data=data))
    monkeypatch.setitem(sys.modules, "galvani", types.ModuleType("galvani"))
    monkeypatch.setitem(sys.modules, "galvani.BioLogic", module)
    found = read_potentiostat(written(tmp_path, "a.mpr", "x"))
    assert (found.kind, found.time[0], found.current) == ("mpr", 10.0, np.array([2e-3]))


@pytest.mark.parametrize("name", ["a.nda", "a.NDAX"])
def test_neware_without_a_reader_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastnda", None)
    with pytest.raises(InputError, match=r"needs fastnda, which is not installed.* export the test as CSV"):
        read_potentiostat(written(tmp_path, name, "NEWARE\0"))
    with pytest.raises(InputError, match="no such file"):
        read_potentiostat(tmp_path / "b.nda")


def test_neware_through_fastnda_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with fastnda's interface; the real one was compared with exports of BTSDA (docs/compare.md)."""
    table = pd.DataFrame(
        {"index": [1, 2], "total_time_s": [0.0, 1.5], "voltage_V": [3.2, 3.3], "current_mA": [0, -2.0]}
    )
    monkeypatch.setitem(sys.modules, "fastnda", types.SimpleNamespace(read=lambda path: table))
    found = read_potentiostat(written(tmp_path, "a.ndax", "x"))
    assert found.kind == "neware" and not found.per_area
    assert found.time.tolist() == [0.0, 1.5] and found.current is not None and found.voltage is not None
    assert found.current.tolist() == [0.0, -2e-3] and found.voltage.tolist() == [3.2, 3.3]

    def broken(path: Path) -> None:
        raise ValueError("File does not contain\na table")

    monkeypatch.setitem(sys.modules, "fastnda", types.SimpleNamespace(read=broken))
    with pytest.raises(InputError, match=r"fastnda cannot read it \(File does not contain a table\); export"):
        read_potentiostat(tmp_path / "a.ndax")


def test_binary_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_potentiostat(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is binary"):
        read_potentiostat(written(tmp_path, "a.csv", "a\0b"))


# ---- drives and resistances ----------------------------------------------------------------------------------------


def test_a_real_polarisation_starts_at_zero() -> None:
    """Thienenkamp 2022: 1022 points over 6.54 h, 0.0998 mA at first, 0.0238 mA at the end."""
    table = read_table(CASES / "thienenkamp2022/Li_Li_pol.csv")
    columns = Column("t_h", "h"), Column("I(col3; mA?)", "mA")
    t, i = read_drive(table, *columns, "current", area=1e-4, field="step[0].value")
    assert t.size == 1022
    assert t[0] == 0
    assert t[-1] / 3600 == pytest.approx(9.09941 - 2.55705, rel=1e-9)
    assert (i[0], i.min()) == (pytest.approx(0.9984), pytest.approx(0.2381))
    with pytest.raises(InputError, match=r"is a total current, which needs cell\.area"):
        read_drive(table, *columns, "current", area=None, field="step[0].value")


def test_resistances_in_time() -> None:
    columns = (Column("t (h)", "h"), Column("R (ohm cm^2)", "ohm cm^2"))
    with pytest.raises(InputError, match=r'R\.csv: row 3: "R \(ohm cm\^2\)" is negative'):
        read_resistance(parse_table("t (h),R (ohm cm^2)\n0,10\n2,-1\n", "R.csv"), *columns, field="resistance")
    t, r = read_resistance(parse_table("t (h),R (ohm cm^2)\n0,10\n2,30\n"), *columns, field="resistance")
    np.testing.assert_allclose(t, [0, 7200], rtol=1e-12)
    np.testing.assert_allclose(r, [1e-3, 3e-3], rtol=1e-12)
