"""Bad input in a case: one sentence that names file, key, value and what is allowed."""

from pathlib import Path

import pytest

from cellsim.base import InputError
from cellsim.run.case import load_case

GOOD = """
title = "a case"
[cell]
thickness = "250 um"
temperature = "25 degC"
[electrolyte]
transport = "landesfeind2019_ec_emc"
salt = { c = "1 mol/L" }
[[step]]
hold = "voltage"
value = "0.3 V"
duration = "10 min"
"""

FOLLOW = """follow = "current"
file = "drive.csv"
time = { column = "t", unit = "h" }
value = { column = "I", unit = "A/m^2" }
"""
HOLD = GOOD[GOOD.index("hold =") :]


def complaint(folder: Path, text: str) -> str:
    path = folder / "case.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_case(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder)), message
    return message.replace(f"{folder}/", "")


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


CHANGES = [
    # unknown keys, at every level
    ("title =", "titel =", ["case.toml: titel is not a key", 'did you mean "title"']),
    ("thickness =", "thicknes =", ["cell.thicknes is not a key", 'did you mean "thickness"']),
    ("transport =", "trasport =", ["electrolyte.trasport", 'did you mean "transport"']),
    ("salt = { c", "salt = { molality", ["electrolyte.salt.molality", "c, m, r"]),
    ("duration =", "time =", ["step[0].time is not a key"]),
    ('"10 min"', '"10 min"\nstop = { c_under = "1 mol/L" }', ["step[0].stop.c_under", "c_below"]),
    (
        '"10 min"',
        '"10 min"\nstop = { voltage_rate_below = "1 mV/h" }',
        ["stop.voltage_rate_below", "voltage is imposed"],
    ),
    ('"10 min"', '"10 min"\nstop = { current_relative_rate_below = "0 1/h" }', ["relative_rate_below", "positive"]),
    ('"10 min"', '"10 min"\nstop = { current_relative_rate_below = "1 A/h" }', ["relative_rate_below", "1/s"]),
    ('"10 min"', '"10 min"\n[solver]\ncell = 3', ["solver.cell", 'did you mean "cells"']),
    ('"10 min"', '"10 min"\n[output]\ntime = []', ["output.time", 'did you mean "times"']),
    ('"10 min"', '"10 min"\n[electrodes.postive]', ["electrodes.postive", 'did you mean "positive"']),
    # units and dimensions
    ('"250 um"', "250", ["cell.thickness = 250 has no unit", "1 m"]),
    ('"250 um"', '"250 mmm"', ["cell.thickness = '250 mmm'", "cannot be read"]),
    ('"250 um"', '"250 s"', ["cell.thickness = '250 s'", "not a length"]),
    ('"25 degC"', '"25 C"', ["cell.temperature", "degC"]),
    ('"1 mol/L"', '"1 mol/kg"', ["electrolyte.salt.c", "concentration"]),
    ('"1 mol/L"', "1", ["electrolyte.salt.c = 1 has no unit"]),
    ('{ c = "1 mol/L" }', '{ r = "1 mol/L" }', ["electrolyte.salt.r", "not a pure number"]),
    ('"0.3 V"', '"0.3 A"', ["step[0].value", "voltage"]),
    ('"10 min"', '"ten minutes"', ["step[0].duration", "cannot be read"]),
    # bounds
    ('"250 um"', '"-250 um"', ["cell.thickness = '-250 um' must be positive"]),
    ('"250 um"', '"0 um"', ["cell.thickness = '0 um' must be positive"]),
    ('"250 um"', '"nan um"', ["cell.thickness"]),
    ('"25 degC"', '"-300 degC"', ["cell.temperature", "must be positive"]),
    ('"10 min"', '"-10 min"', ["step[0].duration", "must be positive"]),
    ('"25 degC"', '"25 degC"\n[cell.separator]\nporosity = 1.2\ntortuosity = 2', ["porosity = 1.2", "at most 1"]),
    ('"25 degC"', '"25 degC"\n[cell.separator]\nporosity = 0.5', ["tortuosity, macmullin; found none"]),
    ('"25 degC"', '"25 degC"\n[cell.separator]\nporosity = 0.5\ntortuosity = 0.4', ["tortuosity = 0.4", "MacMullin"]),
    ('"10 min"', '"10 min"\n[electrodes.positive]\nresistance = "-1 ohm m^2"', ["resistance", "must not be negative"]),
    (
        '"10 min"',
        '"10 min"\n[electrodes.positive.kinetics]\nj_ref = "1 A/m^2"\nc_ref = "1 mol/L"\nalpha_a = 1.5',
        ["alpha_a = 1.5", "between 0 and 1"],
    ),
    ('"10 min"', '"10 min"\n[solver]\ncells = 2', ["solver.cells = 2", "at least 10"]),
    ('"10 min"', '"10 min"\n[solver]\nname = "fast"', ["solver.name = 'fast'", '"fipy"']),
    ('"10 min"', '"10 min"\n[solver]\nrtol = 0', ["solver.rtol = 0", "must be positive"]),
    ('"10 min"', '"10 min"\nstop = { current_below = -1 }', ["current_below", "must be positive"]),
    ('"10 min"', '"10 min"\n[output]\ntimes = ["11 min"]', ["output.times[0] = '11 min'", "at most 10 min"]),
    ('"10 min"', '"10 min"\n[output]\npositions = ["1 mm"]', ["output.positions[0] = '1 mm'", "outside the cell"]),
    # the initial state
    ('"1 mol/L"', '"0.001 mol/L"', ["electrolyte.salt.c", "lies outside", "mol/m^3", 'extrapolate = "clamp"']),
    ('"1 mol/L"', '"-1 mol/L"', ["electrolyte.salt.c", "must be positive"]),
    ('{ c = "1 mol/L" }', "{ r = 5.0 }", ["electrolyte.salt"]),
    ('{ c = "1 mol/L" }', '{ c = "1 mol/L", r = 0.1 }', ["exactly one of c, m, r", "found c and r"]),
    ('salt = { c = "1 mol/L" }', "", ["electrolyte.salt"]),
    # the set
    ('"landesfeind2019_ec_emc"', '"landesfeind2019_ec_emd"', ["electrolyte.transport", "landesfeind2019_ec_emc"]),
    ('"landesfeind2019_ec_emc"', '"mine.toml"', ["electrolyte.transport", "mine.toml: no such file"]),
    ('"25 degC"', '"90 degC"', ["electrolyte.transport", "363.15 K lies outside"]),
    # steps
    ("hold =", "held =", ["step[0] needs exactly one of hold, ramp, follow"]),
    ('hold = "voltage"', 'hold = "power"', ["step[0].hold = 'power'", '"voltage" | "current" | "rest"']),
    ('hold = "voltage"', 'hold = "rest"', ["step[0].value", "no place in a rest"]),
    ('hold = "voltage"\nvalue = "0.3 V"', 'hold = "current"\nvalue = "1 mA"', ["total current", "cell.area"]),
    ('hold = "voltage"\nvalue = "0.3 V"', 'hold = "current"\nvalue = "1 V"', ["step[0].value", "current density"]),
    (HOLD, HOLD + 'stop = { voltage_above = "1 V" }', ["stop.voltage_above", "whose voltage is imposed"]),
    # files
    (HOLD, FOLLOW, ["step[0].file = 'drive.csv' names no file"]),
    ('"10 min"', '"10 min"\n[[measured]]\nkind = "temperature"', ["measured[0].kind = 'temperature'"]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES, ids=[c[2][0] + " <- " + c[1][-25:] for c in CHANGES])
def test_the_complaint_names_key_value_and_remedy(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    message = complaint(tmp_path, changed(old, new))
    for part in expected:
        assert part in message, message


def test_no_step_at_all(tmp_path: Path) -> None:
    assert "at least one [[step]]" in complaint(tmp_path, GOOD[: GOOD.index("[[step]]")])


def test_a_missing_case_and_one_that_is_not_toml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.toml: no such file"):
        load_case(tmp_path / "nothing.toml")
    assert "not valid TOML" in complaint(tmp_path, "thickness = 3 mm")


def test_a_state_beyond_saturation_of_the_volume_balance(tmp_path: Path) -> None:
    """c = 8 mol/L of a salt that takes 134.9 cm^3/mol leaves no room for solvent (phi_0 <= 0)."""
    from importlib import resources

    library = resources.files("cellsim.electrolyte") / "library"
    text = (library / "landesfeind2019_ec_emc.toml").read_text(encoding="utf-8")
    start, end = text.index("[volumes]"), text.index("[range]")
    volumes = '[volumes]\nV_e = "134.9 cm^3/mol"\nV_0 = "80 cm^3/mol"\nsource = "assumed"\n\n'
    mine = text.replace('"landesfeind2019_ec_emc"', '"mine"').replace(text[start:end], volumes)
    (tmp_path / "mine.toml").write_text(mine, encoding="utf-8")
    case = changed('"landesfeind2019_ec_emc"', '"mine.toml"').replace('"1 mol/L"', '"8 mol/L"')
    message = complaint(tmp_path, case)
    assert "saturation of the volume balance" in message
    assert "7413 mol/m^3" in message  # 1/134.9 cm^3/mol


TABLES = [
    ("t,I\n1,1\n1,2\n1,3\n", ["has all its rows at one time"]),
    ("t,I\n0,1\n2,2\n1,3\n", ['drive.csv: row 4: "t" falls below the value of row 3']),
    ("# made by hand\nt,I\n0,1\n1,nan\n", ['drive.csv: row 4, column "I"', "not a finite number"]),
    ("t,I\n0,1\n1,\n", ['row 3, column "I" is empty']),
    ("t,I\n0,1\n1,off\n", ["row 3, column \"I\": 'off' is not a number"]),
    ("t,I\n0,1\n1,2,3\n", ["row 3 has 3 cells, its header 2", "comma"]),
    ("time,I\n0,1\n1,2\n", ['no column "t"', "time, I"]),
    ("t,i\n0,1\n1,2\n", ['no column "I"', 'did you mean "i"']),
    ("t,I\n0,1\n", ["at least two rows"]),
    ("t,I\n", ["a header and no rows"]),
    ("0,1\n1,2\n", ["the first row must name the columns"]),
    ("", ["the table is empty"]),
]


@pytest.mark.parametrize(("table", "expected"), TABLES, ids=[t[1][0] for t in TABLES])
def test_a_followed_table_is_refused_with_its_row(tmp_path: Path, table: str, expected: list[str]) -> None:
    (tmp_path / "drive.csv").write_text(table)
    message = complaint(tmp_path, GOOD.replace(HOLD, FOLLOW))
    for part in expected:
        assert part in message, message


FOLLOWED = [
    ('unit = "h"', 'unit = "V"', ["step[0].time.unit = '1 V'", "time"]),
    ('unit = "A/m^2"', 'unit = "mA"', ["step[0].value.unit = 'mA' is a total current", "cell.area"]),
    ('unit = "A/m^2"', 'unit = "V"', ["step[0].value.unit", "current density"]),
    ('unit = "A/m^2" }', 'unit = "A/m^2" }\nduration = "3 h"', ["duration = '3 h' is longer than its table", "7200 s"]),
    ('unit = "A/m^2" }', 'units = "A/m^2" }', ["step[0].value.units", 'did you mean "unit"']),
    ('unit = "A/m^2" }', 'unit = "A/m^2" }\nother = { column = "U", unit = "V" }', ['no column "U"']),
]


@pytest.mark.parametrize(("old", "new", "expected"), FOLLOWED, ids=[f[2][0] for f in FOLLOWED])
def test_a_followed_step_is_refused_with_its_key(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    (tmp_path / "drive.csv").write_text("t,I\n0,1\n2,2\n")
    assert old in FOLLOW
    message = complaint(tmp_path, GOOD.replace(HOLD, FOLLOW.replace(old, new)))
    for part in expected:
        assert part in message, message


# ---- [initial] ------------------------------------------------------------------------------------------------------

NO_SALT = GOOD.replace('salt = { c = "1 mol/L" }\n', "")
TABLE = """[initial]
file = "start.csv"
position = "x (um)"
concentration = "c (mol/L)"
"""


@pytest.mark.parametrize(
    ("text", "rows", "words"),
    [
        (GOOD + TABLE, "0,1\n250,1.1\n", ["electrolyte.salt", "no place beside [initial]"]),
        (
            NO_SALT + TABLE,
            "0,1\n260,1.1\n",
            ["initial.file", "0.26 mm from the positive", "outside the cell"],
        ),
        (NO_SALT + TABLE, "0,1\n250,-1.1\n", ["initial.file", "point 2", "must be positive"]),
        (NO_SALT + TABLE, "0,1\n250,nan\n", ["start.csv", "row 3"]),
        (NO_SALT + TABLE, "0,1\n250,9\n", ["initial.file", "c = 9 mol/L lies outside", "clamp"]),
        (NO_SALT + TABLE, "0,1\n250,1\n100,1\n", ["initial.file", "run one way"]),
        (NO_SALT + TABLE, "0,1\n100,1\n", ["initial.file", "without points", "10% of the thickness"]),
        (NO_SALT + TABLE.replace("(um)", "(V)"), "0,1\n", ["initial.position", "V"]),
        (NO_SALT + TABLE.replace("x (um)", "y (um)"), "0,1\n", ["start.csv", 'no column "y (um)"', "x (um)"]),
        (NO_SALT + TABLE.replace("concentration", "c"), "0,1\n", ["initial.c is not a key", "concentration"]),
        (NO_SALT + '[initial]\nfrom = "nowhere"\n', "", ["initial.from", "no folder of a run"]),
        (NO_SALT + '[initial]\nfrom = "start.csv"\n', "0,1\n", ["start.csv"]),
        (NO_SALT + "[initial]\n", "", ["initial needs exactly one of file, from"]),
        (NO_SALT + TABLE + 'from = "a"\n', "0,1\n", ["exactly one of file, from", "found file and from"]),
    ],
)
def test_an_initial_profile_that_is_none(tmp_path, text, rows, words):
    heading = "x (V),c (mol/L)\n" if "(V)" in text else "x (um),c (mol/L)\n"
    (tmp_path / "start.csv").write_text(heading + rows)
    message = complaint(tmp_path, text)
    assert all(word in message for word in words), message
