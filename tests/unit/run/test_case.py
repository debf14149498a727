"""Reading a case: every key of docs/schema.md section 1 arrives in SI, where it belongs."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import V_LITHIUM, InputError
from cellsim.cell.kinetics import ButlerVolmer
from cellsim.model.plan import plan
from cellsim.run.case import Case, describe, load_case, parse_case
from cellsim.run.folder import predict, summarise
from cellsim.solvers.march import Options

MINIMAL = """
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

FULL = """
title = "everything"
[cell]
thickness = "250 um"
area = "2 cm^2"
temperature = "25 degC"
position_origin = "centre"
[cell.separator]
porosity = 0.5
tortuosity = 2.0
[electrolyte]
transport = "landesfeind2019_ec_emc"
salt = { m = "1 mol/kg" }
solvent_motion = "none"
extrapolate = "clamp"
[electrodes]
V_metal = "12 cm^3/mol"
[electrodes.positive]
resistance = "10 ohm cm^2"
[electrodes.positive.kinetics]
j_ref = "10 A/m^2"
c_ref = "1 mol/L"
alpha_a = 0.4
alpha_c = 0.6
[electrodes.negative]
resistance = { file = "R.csv", time = "t (h)", value = "R [ohm cm^2]" }
[[step]]
hold = "current"
value = "0.5 mA"
duration = "10 min"
stop = { c_below = "0.2 mol/L", c_above = "2 mol/L", voltage_above = "1 V", voltage_below = "-1 V" }
[[step]]
hold = "rest"
duration = "5 min"
[[step]]
follow = "voltage"
file = "drive.csv"
time = { column = "t", unit = "min" }
value = { column = "U", unit = "mV" }
other = { column = "I", unit = "mA" }
stop = { current_below = 0.05, current_rate_below = "1e-4 A/m^2/s" }
[[measured]]
kind = "profile"
file = "profiles.csv"
unit = "mol/L"
position_unit = "um"
time_unit = "min"
error = "0.04 mol/L"
label = "MRI"
[[measured]]
kind = "current"
file = "current.csv"
unit = "mA"
time_unit = "s"
error = "0.02 mA"
[output]
interval = "30 s"
times = ["1 min"]
profiles_at = ["0 min", "10 min"]
positions = ["-100 um", "50 um"]
[solver]
name = "fipy"
cells = 60
rtol = 1e-3
c_min = "1 mol/m^3"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "R.csv").write_text("t (h),R [ohm cm^2]\n0,10\n1,20\n")
    (tmp_path / "drive.csv").write_text("t;U;I\n5,0;100;1\n6,0;200;2\n9,0;50;1,5\n")
    (tmp_path / "profiles.csv").write_text("x,0,1.5\n-50,1,1.1\n0,1,1\n50,1,0.9\n")
    (tmp_path / "current.csv").write_text("t,I\n0,1\n10,2\n")
    return tmp_path


def read(folder: Path, text: str) -> Case:
    path = folder / "case.toml"
    path.write_text(text)
    return load_case(path)


def test_minimal_case_has_the_documented_defaults(tmp_path: Path) -> None:
    case = read(tmp_path, MINIMAL)
    assert case.title == "case"
    assert case.cell.thickness == 250e-6
    assert case.cell.temperature == 298.15
    assert case.cell.area is None
    assert case.cell.position_origin == "positive"
    assert case.cell.separator.macmullin == 1
    assert case.cell.V_metal == V_LITHIUM
    assert case.cell.positive.resistance.at(0) == 0
    assert case.cell.positive.kinetics is None
    assert case.transport.solvent_motion == "volume"
    assert case.transport.extrapolate == "error"
    assert case.c0 == 1000
    assert case.output.interval is None
    assert case.solver.name == "auto"
    assert (case.solver.cells, case.solver.rtol) == (Options().cells, Options().rtol)
    assert case.solver.c_min is None
    assert case.text == MINIMAL
    (step,) = case.protocol.steps
    assert (step.drive, step.at(0), step.duration) == ("voltage", 0.3, 600)


def test_every_key_arrives_in_si(folder: Path) -> None:
    case = read(folder, FULL)
    assert case.title == "everything"
    assert case.cell.area == 2e-4
    assert case.cell.separator.macmullin == 4
    assert case.cell.V_metal == 12e-6
    assert case.cell.positive.resistance.at(0) == 1e-3
    kinetics = case.cell.positive.kinetics
    assert kinetics is not None
    assert (kinetics.j_ref, kinetics.c_ref, kinetics.alpha_a, kinetics.alpha_c) == (10, 1000, 0.4, 0.6)
    assert case.cell.negative.resistance.at(1800) == pytest.approx(1.5e-3, rel=1e-12)
    assert case.transport.solvent_motion == "none"
    assert case.transport.extrapolate == "clamp"
    assert float(case.transport.m(case.c0)) == pytest.approx(1, rel=1e-12)
    assert case.output.interval == 30
    assert case.output.times == (60,)
    assert case.output.profiles_at == (0, 600)
    assert case.output.positions == pytest.approx((25e-6, 175e-6), rel=1e-12)
    assert (case.solver.name, case.solver.cells, case.solver.rtol, case.solver.c_min) == ("fipy", 60, 1e-3, 1)


@pytest.mark.parametrize(
    ("keys", "refines"),
    [
        ("", True),
        ("cells = 60", False),
        ("cells = 160", False),
        ("cells = 60\nrefine = true", True),
        ("refine = false", False),
    ],
)
def test_cells_that_a_case_states_are_kept(folder: Path, keys: str, refines: bool) -> None:
    case = read(folder, f"{MINIMAL}\n[solver]\n{keys}\n")
    assert case.solver.options.refines is refines


def test_a_total_current_is_divided_by_the_area(folder: Path) -> None:
    step = read(folder, FULL).protocol.steps[0]
    assert (step.drive, step.at(0)) == ("current", 2.5)
    assert step.stop.given == {"c_below": 200, "c_above": 2000, "voltage_above": 1, "voltage_below": -1}


def test_a_rest_is_a_current_of_zero(folder: Path) -> None:
    step = read(folder, FULL).protocol.steps[1]
    assert step.is_rest
    assert step.duration == 300


def test_a_followed_table_starts_at_its_first_time(folder: Path) -> None:
    step = read(folder, FULL).protocol.steps[2]
    assert step.drive == "voltage"
    assert step.time is not None
    np.testing.assert_allclose(step.time, [0, 60, 240], rtol=1e-12)
    np.testing.assert_allclose(step.value, [0.1, 0.2, 0.05], rtol=1e-12)
    assert step.duration == pytest.approx(240)
    assert step.measured_other is not None
    np.testing.assert_allclose(step.measured_other[1], [5, 10, 7.5], rtol=1e-12)  # mA over 2 cm^2
    assert step.stop.given == {"current_below": 0.05, "current_rate_below": 1e-4}


def test_rates_that_end_a_step_are_read_in_their_units(folder: Path) -> None:
    text = FULL.replace('duration = "5 min"', 'duration = "5 min"\nstop = { voltage_rate_below = "1.8 mV/h" }')
    text = text.replace("current_below = 0.05,", 'current_relative_rate_below = "3.6 percent/h",')
    steps = read(folder, text).protocol.steps
    assert steps[1].stop.given == {"voltage_rate_below": pytest.approx(5e-7, rel=1e-12)}
    assert steps[2].stop.given["current_relative_rate_below"] == pytest.approx(1e-5, rel=1e-12)
    assert "stop when voltage rate below 5e-07 V/s" in "\n".join(describe(read(folder, text)))


def test_measured_data_count_positions_from_the_case_origin(folder: Path) -> None:
    profile, current = read(folder, FULL).measured
    assert profile.position is not None
    np.testing.assert_allclose(profile.position, [75e-6, 125e-6, 175e-6] * 2, rtol=1e-12)
    np.testing.assert_allclose(profile.times, [0, 90], rtol=1e-12)
    np.testing.assert_allclose(profile.value, [1000, 1000, 1000, 1100, 1000, 900], rtol=1e-12)
    assert np.all(profile.error == 40) and profile.label == "MRI"
    np.testing.assert_allclose(current.value, [5, 10], rtol=1e-12)
    assert current.error == pytest.approx(0.1 * np.ones(2))
    assert current.label == "current.csv"


def test_inputs_hold_a_checksum_of_every_file(folder: Path) -> None:
    inputs = read(folder, FULL).inputs
    assert set(inputs) == {
        "case.toml", "landesfeind2019_ec_emc", "R.csv", "drive.csv", "profiles.csv", "current.csv",
    }  # fmt: skip
    assert inputs["R.csv"] == hashlib.sha256((folder / "R.csv").read_bytes()).hexdigest()


def test_a_set_beside_the_case_is_found(tmp_path: Path) -> None:
    from importlib import resources

    library = resources.files("cellsim.electrolyte") / "library"
    text = (library / "landesfeind2019_ec_emc.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('"landesfeind2019_ec_emc"', '"mine"'), encoding="utf-8")
    case = read(tmp_path, MINIMAL.replace('"landesfeind2019_ec_emc"', '"mine.toml"'))
    assert case.transport.name == "mine"


def test_a_copy_elsewhere_reads_files_from_the_folder_given(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("run") / "case.toml"
    elsewhere.write_text(FULL)
    assert load_case(elsewhere, folder=folder).inputs == read(folder, FULL).inputs


def test_clamp_admits_an_initial_state_outside_the_range(tmp_path: Path) -> None:
    text = MINIMAL.replace('"1 mol/L"', '"0.01 mol/L"')
    assert read(tmp_path, text.replace("[[step]]", 'extrapolate = "clamp"\n[[step]]')).c0 == pytest.approx(10)


def test_a_case_can_be_read_from_text() -> None:
    assert parse_case(MINIMAL, "somewhere.toml").title == "somewhere"


CYCLE = """
[[step]]
repeat = 20

[[step.step]]
hold = "current"
value = "0.05 mA"
duration = "2 h"
stop = { charge_above = "0.05 mA h", current_density_below = "1 uA" }

[[step.step]]
ramp = "voltage"
from = "0.1 V"
to = "-0.1 V"
rate = "1 mV/s"
"""


def test_a_group_of_steps_repeats(tmp_path: Path) -> None:
    cycle = CYCLE.replace(', current_density_below = "1 uA"', "")
    text = MINIMAL[: MINIMAL.index("[[step]]")].replace("[cell]", '[cell]\narea = "1 cm^2"') + cycle
    case = read(tmp_path, text)
    steps = case.protocol.steps
    assert len(steps) == 40 and steps[0] is steps[38] and steps[1] is steps[39]
    assert steps[0].at(0) == pytest.approx(0.5, rel=1e-12)
    assert steps[0].stop.charge_above == pytest.approx(0.05e-3 * 3600 / 1e-4, rel=1e-12)
    assert steps[1].duration == pytest.approx(200.0, rel=1e-12) and steps[1].at(150) == pytest.approx(-0.05, rel=1e-12)
    words = describe(case)
    assert len(words) < 12 and any(line.startswith("steps 1, 3, ... 39 (20) hold 0.5 A/m^2") for line in words)
    told = plan(case.cell, case.transport, case.protocol, case.c0).lines()
    assert len(told) < 70
    assert any("steps 2, 4, ... 40 (20): ramp voltage, 0.1 to -0.1 V at -0.001 V/s" in line for line in told)
    assert any(line.split()[:5] == ["V", "at", "the", "start", "0.1"] for line in told)


def test_a_followed_table_may_jump_and_may_hold(folder: Path) -> None:
    (folder / "steps.csv").write_text("t (s),i (A/m^2)\n0,1\n10,1\n10,2\n20,2\n")
    follow = '[[step]]\nfollow = "current"\nfile = "steps.csv"\ntime = "t (s)"\nvalue = "i (A/m^2)"\n'
    head = MINIMAL[: MINIMAL.index("[[step]]")]
    (step,) = read(folder, head + follow).protocol.steps
    assert (step.at(9.9), step.at(10.0), step.at(15.0)) == (1.0, 2.0, 2.0) and step.duration == 20.0
    (folder / "steps.csv").write_text("t (s),i (A/m^2)\n0,1\n10,3\n20,2\n")
    (step,) = read(folder, head + follow + 'between = "hold"\n').protocol.steps
    assert (step.at(9.9), step.at(10.0), step.at(19.9), step.at(20.0)) == (1.0, 3.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("repeat = 20", "repeat = 0", "step[0].repeat"),
        ("repeat = 20", "repeat = 6000", "more than 10000 steps"),
        ('rate = "1 mV/s"', 'rate = "-1 mV/s"', "rate = '-1 mV/s' must be positive"),
        ('to = "-0.1 V"', 'to = "0.1 V"', "to = '0.1 V' is where the ramp begins"),
        ('rate = "1 mV/s"', 'rate = "1 mV"', "step[0].step[1].rate"),
        ('charge_above = "0.05 mA h"', 'charge_above = "-1 C/m^2"', "charge_above"),
        ("", "", "has no place in a step whose current is imposed"),
    ],
)
def test_repeats_and_ramps_are_refused_in_a_sentence(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = MINIMAL[: MINIMAL.index("[[step]]")].replace("[cell]", '[cell]\narea = "1 cm^2"') + CYCLE
    if old:
        text = text.replace(old, new).replace(', current_density_below = "1 uA"', "")
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert expected in str(caught.value)


LAYERS = """
[electrodes.positive]
resistance = "50 ohm cm^2"
capacitance = "10 uF/cm^2"

[electrodes.negative]
blocking = true
capacitance = "0.2 F/m^2"

[solver]
name = "auto"
"""


def with_layers(old: str = "", new: str = "") -> Case:
    text = (
        '[cell]\nthickness = "100 um"\ntemperature = "90 degC"\n[electrolyte]\ntransport = "steinruck2020_rs"\n'
        'salt = { r = 0.08 }\n[[step]]\nhold = "voltage"\nvalue = "10 mV"\nduration = "20 ms"\n'
    )
    return parse_case(text + LAYERS.replace(old, new, 1) if old else text + LAYERS)


def test_double_layers_are_read_and_described() -> None:
    case = with_layers()
    assert case.cell.positive.capacitance == pytest.approx(0.1) and case.cell.is_blocked
    told = "\n".join(describe(case))
    assert "50 ohm cm^2, double layer 10 uF/cm^2; negative: blocking, double layer 20 uF/cm^2" in told
    assert "solver        sundials" in told


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('capacitance = "10 uF/cm^2"', 'capacitance = "-1 uF/cm^2"', "electrodes.positive.capacitance = '-1 uF/cm^2'"),
        ('capacitance = "10 uF/cm^2"', 'capacitance = "10 ohm"', "electrodes.positive.capacitance = '10 ohm'"),
        (
            'resistance = "50 ohm cm^2"',
            "",
            "electrodes.positive: capacitance = 0.1 F/m^2 needs a resistance above zero",
        ),
        ('capacitance = "0.2 F/m^2"', "", "electrodes.negative: blocking = true needs a capacitance"),
        ("blocking = true", "blocking = 1", "electrodes.negative.blocking = 1 must be true or false"),
        (
            "blocking = true",
            "blocking = true\nphase = 3.0",
            "electrodes.negative: phase = 3.0 must lie between 0.5 and 1",
        ),
        ("blocking = true", "blocking = true\nphase = 0.9", "electrodes.negative.phase = 0.9: a run in time takes"),
        ("blocking = true", "blocked = true", "electrodes.negative.blocked"),
        ('name = "auto"', 'name = "fipy"', "of the solvers only sundials carries a double layer in time, not fipy"),
    ],
)
def test_double_layers_that_cannot_be_are_refused_in_a_sentence(old: str, new: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        describe(with_layers(old, new))
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_a_blocked_cell_has_a_summary_and_no_steady_state() -> None:
    case = with_layers()
    summary = summarise(case, predict(case))
    assert summary["status"] == "done" and summary["limiting_current"] is summary["i_end_over_i_0"] is None
    assert summary["i_0"] == pytest.approx(0.01 / (1e-4 / 0.1495), rel=1e-3)  # V/R_b
    assert abs(summary["i_end"]) < 1e-4 * summary["i_0"]


OWN = """
[electrodes.positive]
area = "0.5 cm^2"
resistance = "40 ohm cm^2"
capacitance = "10 uF/cm^2"

[electrodes.positive.kinetics]
j_ref = "10 A/m^2"
c_ref = "1 mol/L"

[electrodes.negative]
resistance = "30 ohm"
capacitance = "4 uF"
"""


def with_areas(text: str = OWN, area: str = 'area = "2 cm^2"') -> Case:
    return parse_case(
        f'[cell]\nthickness = "0.1 mm"\ntemperature = "90 degC"\n{area}\n'
        '[electrolyte]\ntransport = "steinruck2020_rs"\n'
        'salt = { r = 0.08 }\n[[step]]\nhold = "voltage"\nvalue = "10 mV"\nduration = "20 ms"\n' + text
    )


def test_electrodes_of_other_areas_enter_by_what_the_whole_current_meets() -> None:
    """40 ohm cm^2 on 0.5 cm^2 are 80 ohm, or 160 ohm cm^2 of a cell of 2 cm^2: the loss at a total current is R I."""
    case = with_areas()
    one, other = case.cell.positive, case.cell.negative
    assert one.resistance.at(0.0) == pytest.approx(1.6e-2) and one.capacitance == pytest.approx(0.1 / 4)
    assert one.kinetics is not None and one.kinetics.exchange_current(1000.0) == pytest.approx(10.0 / 4)
    assert other.resistance.at(0.0) == pytest.approx(30 * 2e-4) and other.capacitance == pytest.approx(4e-6 / 2e-4)
    total = 1e-4  # A
    assert other.loss(total / 2e-4, 1000.0, 300.0, 0.0) == pytest.approx(30 * total)
    law = ButlerVolmer(10.0, 1000.0)
    expected = 80 * total + law.overpotential(total / 0.5e-4, 1575.0, 363.15)
    assert one.loss(total / 2e-4, 1575.0, 363.15, 0.0) == pytest.approx(expected, rel=1e-12)
    assert "its own area is 0.5 cm^2" in "\n".join(describe(case))
    same = with_areas(OWN.replace('area = "0.5 cm^2"', ""))
    assert same.cell.positive.resistance.at(0.0) == pytest.approx(4e-3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", "electrodes.positive.area = '0.5 cm^2' needs cell.area"),
        ('area = "0.5 cm^2"', "", "electrodes.negative.resistance = '30 ohm' needs cell.area"),
        ('"30 ohm"', '"-30 ohm"', "electrodes.negative.resistance = '-30 ohm' must not be negative"),
        ('"30 ohm"', '"30 V"', "electrodes.negative.resistance = '30 V'"),
        ('"0.5 cm^2"', '"0 cm^2"', "electrodes.positive.area = '0 cm^2'"),
    ],
)
def test_areas_that_cannot_be_are_refused_in_a_sentence(old: str, new: str, expected: str) -> None:
    area = "" if "needs cell.area" in expected else 'area = "2 cm^2"'
    with pytest.raises(InputError) as error:
        with_areas(OWN.replace(old, new) if old else OWN, area)
    assert expected in str(error.value) and "\n" not in str(error.value)
