"""From files to measurements: long and wide tables, data sheets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.files.schema import parse_toml
from cellsim.instruments.data import read_measurements, read_sheet
from cellsim.instruments.looks import ProfileLook, SeriesLook, VelocityLook
from cellsim.instruments.records import Setup, concentrations, velocity_points
from cellsim.instruments.tables import parse_table

CASES = Path(__file__).parents[3] / "cases"
SETUP = Setup(
    Cell(3e-3, 363.15, area=2e-4, position_origin="centre"),
    load_set("steinruck2020_rs", T=363.15),
    Protocol((hold_voltage(0.3, 6e4),)),
    1600.0,
)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_long_tables_in_any_order() -> None:
    rows = ["10,0.5,1.2,0.1", "0,-0.5,1.0,0.1", "10,-0.5,0.8,0.1", "0,0.5,1.1,0.1"]
    text = "time (min),position (mm),c (mol/L),error (mol/L)\n" + "\n".join(rows) + "\n"
    found = concentrations(parse_table(text), SETUP)
    np.testing.assert_allclose(found.time, [0, 600], rtol=1e-12)
    np.testing.assert_allclose(found.position, [1e-3, 2e-3], rtol=1e-12)
    np.testing.assert_allclose(found.c, [[1000, 1100], [800, 1200]], rtol=1e-12)
    assert found.error is not None
    np.testing.assert_allclose(found.error, 100, rtol=1e-12)
    with pytest.raises(InputError, match="2 rows have the time 600 s"):
        concentrations(parse_table(text + rows[2] + "\n"), SETUP)
    with pytest.raises(InputError, match="no column"):
        concentrations(parse_table("time (min),position (mm),g (mol/L)\n0,0,1\n"), SETUP)


@pytest.mark.parametrize("gap", ["0,0.5,nan,0.1\n", "0,0.5,,\n", ""])
def test_maps_may_have_gaps(gap: str) -> None:
    """A point that was not measured is NaN in the map and no point of the measurement, with a row or without."""
    rows = "10,0.5,1.2,0.1\n0,-0.5,1.0,0.1\n10,-0.5,0.8,0.1\n"
    text = "time (min),position (mm),c (mol/L),error (mol/L)\n" + rows + gap
    found = concentrations(parse_table(text), SETUP)
    assert np.isnan(found.c).tolist() == [[False, True], [False, False]]
    m = found.measurement(1000.0)
    np.testing.assert_allclose(m.value, [1000, 800, 1200], rtol=1e-12)
    np.testing.assert_allclose(m.time, [0, 600, 600], rtol=1e-12)
    with pytest.raises(InputError, match="row 2: a concentration of -1000 mol"):
        concentrations(parse_table("time (min),position (mm),c (mol/L)\n0,0,-1\n0,1,1\n"), SETUP)
    with pytest.raises(InputError, match="contains no number"):
        concentrations(parse_table("time (min),position (mm),c (mol/L)\n0,0,nan\n"), SETUP)


@pytest.mark.parametrize("bad", ["0", "-0.1", "nan"])
def test_errors_that_are_not_positive_are_refused_with_their_row(bad: str) -> None:
    with pytest.raises(InputError, match=r'row 3: "error .mol/L." is|row 3, column "error .mol/L.": .nan.'):
        concentrations(parse_table(f"time (min),position (mm),c (mol/L),error (mol/L)\n0,0,1,1\n0,1,1,{bad}\n"), SETUP)
    with pytest.raises(InputError, match="row 3"):
        velocity_points(parse_table(f"time (s),position (mm),v_0 (nm/s),error (nm/s)\n0,0,1,1\n0,1,1,{bad}\n"), SETUP)


@pytest.mark.parametrize("name", ["error (mA)", "I_error (uA)", "sigma (A)"])
def test_a_table_of_currents_states_its_errors_point_by_point(tmp_path: Path, name: str) -> None:
    scale = {"mA": 1.0, "uA": 1e3, "A": 1e-3}[name.split("(")[1][:-1]]
    text = f"t (s),I (mA),{name}\n0,1,{0.02 * scale!r}\n60,0.5,{0.01 * scale!r}\n"
    (found,) = read_measurements(written(tmp_path, "i.csv", text), SETUP)
    np.testing.assert_allclose(found.value, [5.0, 2.5], rtol=1e-12)
    assert found.error is not None
    np.testing.assert_allclose(found.error, [0.1, 0.05], rtol=1e-12)  # over 2 cm^2
    bare = sheet(tmp_path, 'kind = "current"\nunit = "mA"\ntime_unit = "s"', "t,I,error\n0,1,0.02\n60,0.5,0.01\n")
    np.testing.assert_allclose(bare.error, [0.1, 0.05], rtol=1e-12)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="names standard errors, but not in A, the unit"):
        read_measurements(written(tmp_path, "j.csv", "t (s),I (mA),error (V)\n0,1,0.02\n60,0.5,0.01\n"), SETUP)


def test_errors_of_a_table_belong_to_the_quantity_of_their_unit(tmp_path: Path) -> None:
    text = "t (s),U (V),I (mA),error (mV),error (mA)\n0,0.3,1,2,0.02\n60,0.3,0.5,2,0.01\n"
    free = replace(SETUP, protocol=Protocol((hold_voltage(0.3, 1e3), rest(1e3))))
    found = {m.kind: m.error for m in read_measurements(written(tmp_path, "i.csv", text), free)}
    np.testing.assert_allclose(found["voltage"], 2e-3, rtol=1e-12)
    np.testing.assert_allclose(found["current"], [0.1, 0.05], rtol=1e-12)


def test_velocities() -> None:
    text = "time (min),position (mm),v_0 (angstrom/s),error (angstrom/s)\n10,-0.85,20,1\n10,0.2,35,2\n"
    found = velocity_points(parse_table(text), SETUP)
    look = found.look
    assert isinstance(look, VelocityLook) and found.error is not None
    assert (look.quantity, look.frame, look.unsigned) == ("v_0", "lab", True)
    np.testing.assert_allclose(found.value, [2e-9, 3.5e-9], rtol=1e-12)
    np.testing.assert_allclose(found.error, [1e-10, 2e-10], rtol=1e-12)
    np.testing.assert_allclose(look.positions, [0.65e-3, 1.7e-3], rtol=1e-12)
    negative = parse_table(text.replace("v_0", "v_minus").replace(",20", ",-20"))
    signed = velocity_points(negative, SETUP).look
    assert isinstance(signed, VelocityLook)
    assert (signed.quantity, signed.frame, signed.unsigned) == ("v_minus", "interface", False)
    with pytest.raises(InputError, match="only magnitudes"):
        velocity_points(negative, SETUP, unsigned=True)


def test_a_file_that_explains_itself_is_told_by_its_columns(tmp_path: Path) -> None:
    (current,) = read_measurements(written(tmp_path, "i.csv", "t (s),U (V),I (mA)\n5,0.3,1\n65,0.3,0.5\n"), SETUP)
    assert current.kind == "current" and isinstance(current.look, SeriesLook)  # the voltage is imposed
    np.testing.assert_allclose(current.value, [5.0, 2.5], rtol=1e-12)
    np.testing.assert_allclose(current.time, [5.0, 65.0], rtol=1e-12)  # the clock of the file, as of a profile
    text = "time (min),position (mm),c (mol/m^3)\n0,-1,1600\n0,1,1600\n10,-1,1650\n10,1,1550\n"
    (profile,) = read_measurements(written(tmp_path, "c.csv", text), SETUP)
    assert profile.kind == "profile" and profile.error is None and profile.position is not None
    np.testing.assert_allclose(profile.position, [0.5e-3, 2.5e-3] * 2, rtol=1e-12)
    assert profile.at(600.0).tolist() == [False, False, True, True]
    with pytest.raises(InputError, match="neither c nor v_0"):
        read_measurements(written(tmp_path, "g.csv", "time (min),position (mm),g (1)\n0,1,0.3\n"), SETUP)


# ---- units in a sheet, for tables whose headings have none ---------------------------------------------------------


def sheet(folder: Path, text: str, table: str) -> object:
    written(folder, "a.csv", table)
    return read_sheet(parse_toml(f'file = "a.csv"\n{text}', folder / "sheet.toml"), SETUP)[0]


def test_profiles_are_read_with_their_times() -> None:
    text = 'kind = "profile"\nunit = "mol/m^3"\nposition_unit = "mm"\ntime_unit = "s"\nfile = "profiles.csv"\n'
    (found,) = read_sheet(parse_toml(text, CASES / "thienenkamp2022/sheet.toml"), SETUP)
    assert isinstance(found.look, ProfileLook)
    assert found.size == found.look.time.size * found.look.position.size
    assert found.times[-1] == 45 * 513
    assert np.mean(found.value[found.at(0.0)]) == pytest.approx(1869.86, abs=0.1)  # one decimal is kept in the file


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
    with pytest.raises(InputError, match=match):
        sheet(tmp_path, 'kind = "profile"\nunit = "mol/m^3"\nposition_unit = "mm"\ntime_unit = "s"', text)


def test_a_series_by_the_order_of_its_columns(tmp_path: Path) -> None:
    text = 'kind = "current"\nunit = "mA"\ntime_unit = "min"\nerror = "0.02 mA"\ntime_offset = "5 s"\nsign = -1\n'
    found = sheet(tmp_path, text, "t,I\n0,-1\n10,-2\n")
    np.testing.assert_allclose(found.value, [5.0, 10.0], rtol=1e-12)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.time, [5.0, 605.0], rtol=1e-12)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.error, 0.1, rtol=1e-12)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="needs two columns, time and voltage"):
        sheet(tmp_path, 'kind = "voltage"\nunit = "V"\ntime_unit = "s"', "t\n1\n")
    with pytest.raises(InputError, match="is in V, which is not a current density"):
        sheet(tmp_path, 'kind = "current"\nunit = "V"\ntime_unit = "s"', "t,I\n0,1\n1,1\n")
    with pytest.raises(InputError, match=r'time_unit = "s", but the heading "t .min." of the table says min'):
        sheet(tmp_path, 'kind = "current"\nunit = "mA/cm^2"\ntime_unit = "s"', "t (min),I\n0,1\n1,1\n")
    with pytest.raises(InputError, match=r'unit = "mA/cm.2", but the heading "I .A/m.2."'):
        sheet(tmp_path, 'kind = "current"\nunit = "mA/cm^2"\ntime_unit = "s"', "t,I (A/m^2)\n0,1\n1,1\n")
    with pytest.raises(InputError, match="error = '1 V' is in V, which is not a current density"):
        sheet(tmp_path, 'kind = "current"\nerror = "1 V"', "t (s),I (mA)\n0,1\n1,1\n")


def test_errors_whose_unit_no_column_has_are_not_ignored() -> None:
    """A wrong unit would take the errors, and with them chi squared, away without a word."""
    lost = parse_table("time (s),position (mm),v (angstrom/s),error (mol/s)\n1,0.2,5,1\n")
    with pytest.raises(InputError, match=r'"error \(mol/s\)": no other column has a unit of this kind'):
        lost.errors(["m/s"])
    of_the_position = parse_table("time (s),position (mm),v (angstrom/s),error (um)\n1,0.2,5,1\n")
    assert of_the_position.errors(["m/s"]) is None
