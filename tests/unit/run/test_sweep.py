"""Changed values of a case, and sweeps over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import cellsim
from cellsim.base import InputError
from cellsim.cli import main
from cellsim.files.schema import assignment, parse_toml, with_values
from cellsim.model.closed_forms import sand_time
from cellsim.model.plan import layer_of
from cellsim.run import sweep as module
from cellsim.run.axes import read_axis, read_sweep
from cellsim.run.case import load_case
from cellsim.run.folder import read_run
from cellsim.run.sweep import run_sweep

CASE = """
title = "small"
[cell]
thickness = "100 um"
temperature = "25 degC"
[electrolyte]
transport = "dilute_ideal"
solvent_motion = "none"
salt = { c = "10 mol/m^3" }
[[step]]
hold = "voltage"
value = "10 mV"
duration = "60 s"
[output]
positions = ["90 um"]
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CASE)
    return path


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.output


# ---- changed values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("cell.thickness=1 mm", "cell.thickness", "1 mm"),
        ('voltage = "0.1 V"', "voltage", "0.1 V"),
        ("solver.cells=80", "solver.cells", 80),
        ("set.D.value=1e-10 m^2/s", "set.D.value", "1e-10 m^2/s"),
        ("a=[1, 2]", "a", [1, 2]),
        ("title=x = 1\ny = 2", "title", "x = 1\ny = 2"),
    ],
)
def test_an_assignment_is_a_key_and_a_value_of_toml(text, key, value):
    assert assignment(text) == (key, value)


@pytest.mark.parametrize("text", ["thickness", "=1 mm", "thickness=", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(InputError, match="KEY=VALUE"):
        assignment(text)


def test_values_change_where_they_stand_and_the_text_tells_of_it():
    top = parse_toml(CASE, "small.toml")
    new = with_values(top, {"step[0].value": "20 mV", "solver.cells": 40})
    assert new.data["step"][0]["value"] == "20 mV" and new.data["solver"] == {"cells": 40}
    assert top.data["step"][0]["value"] == "10 mV" and "solver" not in top.data
    assert parse_toml(new.text).data == new.data and "# changed: step[0].value" in new.text


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("step[3].value", "there are 1"),
        ("step.value", "needs an entry"),
        ("title.x", "which is a value"),
        ("a b", "no key"),
        ("[0]", "no key"),
        ("cell[0]", "there are 0"),
    ],
)
def test_keys_that_lead_nowhere_are_refused(key, told):
    with pytest.raises(InputError, match=told):
        with_values(parse_toml(CASE, "small.toml"), {key: "1"})


def test_short_names_and_keys_of_the_set(case):
    read = load_case(
        case, changes={"thickness": "95 um", "current": "1 A/m^2", "c": "20 mol/m^3", "resistance": "1 ohm m^2"}
    )
    assert read.cell.thickness == 9.5e-5 and read.c0 == 20 and read.protocol.steps[0].drive == "current"
    assert read.cell.positive.resistance.at(0.0) == read.cell.negative.resistance.at(0.0) == 1.0
    plain, other = load_case(case), load_case(case, changes={"set.D": "3e-10 m^2/s"})
    assert float(other.transport.D(10.0)) == 3e-10 != float(plain.transport.D(10.0))
    assert float(other.transport.kappa(10.0)) == float(plain.transport.kappa(10.0))
    assert other.transport.note.endswith("changed: D = 3e-10 m^2/s")


def test_a_changed_chi_is_chi_where_the_set_tabulates_a_product():
    # steinruck2020_rs holds (1 - t+0) chi, t+0 = 0.2; who writes chi = 1.5 means chi
    rs = load_case(
        Path(__file__).parents[3] / "cases/steinruck2020/rs.toml", changes={"set.chi": 1.5, "set.t_plus": 0.4}
    )
    c = float(rs.c0)
    assert float(rs.transport.chi(c)) == pytest.approx(1.5, rel=1e-12)
    assert float(rs.transport.one_minus_t_plus_chi(c)) == pytest.approx(0.9, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"thicknes": "1 mm"}, 'did you mean "thickness"'),
        ({"cell.thicknes": "1 mm"}, 'did you mean "thickness"'),
        ({"set.DD": "1"}, 'did you mean "D"'),
        ({"set.D.valu": "1"}, "valu"),
        ({"thickness": "1 V"}, "not a length"),
    ],
)
def test_wrong_changes_are_one_sentence(case, changes, told):
    with pytest.raises(InputError, match=told):
        load_case(case, changes=changes)


def test_a_short_name_that_could_mean_two_steps_is_refused(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(CASE + '[[step]]\nhold = "voltage"\nvalue = "1 mV"\nduration = "1 s"\n')
    with pytest.raises(InputError, match=r"step\[0\].value"):
        load_case(path, changes={"voltage": "1 V"})


def test_a_changed_run_is_kept_as_it_was_run(case, tmp_path):
    code, _ = call(
        "run", case, "--no-figures", "-o", tmp_path / "out", "--set", "voltage=20 mV", "--set", "set.t_plus=0.3"
    )
    assert code == 0
    kept, solution = read_run(tmp_path / "out")
    assert kept.protocol.steps[0].value[0] == 0.02 and float(kept.transport.t_plus(10.0)) == 0.3
    assert solution["V"][-1] == pytest.approx(0.02) and "changed" in kept.transport.name


# ---- axes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("thickness=0.5, 1, 2 mm", ("0.5 mm", "1 mm", "2 mm")),
        ("thickness=500 um, 1 mm", ("500 um", "1 mm")),
        ("voltage=0.1 V to 0.3 V in 3", ("0.1 V", "0.2 V", "0.3 V")),
        ("voltage=100 to 300 mV in 3", ("100 mV", "200 mV", "300 mV")),
        ("voltage=100 mV to 0.3 V in 3", ("100 mV", "200 mV", "300 mV")),
        ("current=1 to 100 A/m^2 in 3 log", ("1 A/m^2", "10 A/m^2", "100 A/m^2")),
        ("r=0.1, 0.2", (0.1, 0.2)),
        ("set=dilute_ideal, steinruck2020_rs", ("dilute_ideal", "steinruck2020_rs")),
        ('voltage=["1 V", "2 V"]', ("1 V", "2 V")),
    ],
)
def test_axes_as_people_write_them(text, values):
    assert read_axis(text).values == values


def test_numbers_of_an_axis_share_a_unit():
    axis = read_axis("thickness=500 um, 1 mm")
    assert axis.unit == "um" and axis.numbers == pytest.approx([500, 1000])
    assert read_axis("set=a, b").numbers is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("thickness=1 mm,,2 mm", "empty value"),
        ("voltage=a to b in 3", "from a number"),
        ("voltage=0 to 1 V in 1", "2 to"),
        ("voltage=0 to 1 V in 4 log", "logarithmic"),
        ("voltage=1 mm to 1 V in 4", "voltage"),
        ("voltage", "KEY=VALUE"),
    ],
)
def test_axes_that_mean_nothing_are_refused(text, told):
    with pytest.raises(InputError, match=told):
        read_axis(text)


# ---- sweeps --------------------------------------------------------------------------------------------------------


def test_every_run_of_a_sweep_is_the_run_of_its_own_case(case, tmp_path):
    sweep = read_sweep(case, ["thickness=50, 100 um", "voltage=10, 20 mV"])
    result = run_sweep(sweep, tmp_path / "out")
    assert result.sweep.shape == (2, 2) and set(result.status) == {"done"}
    for k, point in enumerate(sweep.points()):
        own = load_case(case, changes=point | {"output.positions": []})
        alone = cellsim.simulate(own.cell, own.transport, own.protocol, c0=own.c0)
        assert result.values["i_end"][k] == pytest.approx(alone["i"][-1], rel=1e-9)
        assert result.values["c_min"][k] == pytest.approx(float(alone["c_face"].min()), rel=1e-6)
        # a first current is V kappa/L, whatever the salt does afterwards
        exact = own.protocol.steps[0].value[0] * float(own.transport.kappa(10.0)) / own.cell.thickness
        assert result.values["i_0"][k] == pytest.approx(exact, rel=1e-7)


def test_times_of_depletion_follow_sand_and_the_limit_divides_the_currents(case, tmp_path):
    sweep = read_sweep(case, ["current=0.5, 0.9, 1.1, 40, 80"], ["duration=2000 s"])
    with pytest.raises(InputError, match="current"):  # a current needs its unit
        run_sweep(sweep, tmp_path / "out")
    blank = load_case(case)
    limit = float(module.limiting_current(blank.cell, blank.transport, 10.0).i)
    currents = ", ".join(f"{x * limit:.9g} A/m^2" for x in (0.5, 0.98, 1.02, 20, 40))
    result = run_sweep(read_sweep(case, [f"current={currents}"], ["duration=2000 s"]), tmp_path / "out")
    assert list(result.status) == ["done", "done", "depleted", "depleted", "depleted"]
    assert result.limit() == pytest.approx(np.full(5, limit), rel=1e-9)
    layer = layer_of(blank.cell, blank.transport, 10.0)
    for k in (3, 4):  # long before the other electrode is felt; D and kappa of a dilute solution are what Sand takes
        exact = sand_time(layer, float(result.values["i_0"][k]))
        assert result.values["time_to_depletion"][k] == pytest.approx(exact, rel=5e-3)
        assert result.values["sand_time"][k] == pytest.approx(exact, rel=1e-12)
    # with the thickness of the cell the formula is exact here, just above the limiting current too
    formula, empty = result.values["depletion_by_formula"], result.values["time_to_depletion"]
    assert formula[2:] == pytest.approx(empty[2:], rel=1e-5) and formula[2] > 1.5 * result.values["sand_time"][2]
    assert np.all(np.isnan(formula[:2]))


@pytest.mark.parametrize("drive", ["voltage=1 mV, 2 mV", "current=0.01 A/m^2, 0.02 A/m^2"])
def test_small_responses_settle_when_the_formula_says(case, tmp_path, drive):
    """By the run, until 1 % is left of its end after 12 relaxation times; measured 2.5e-4."""
    key = drive.split("=")[0]
    hold = f'hold = "{key}"\nvalue = "{drive.split("=")[1].split(",")[0]}"'
    case.write_text(CASE.replace('hold = "voltage"\nvalue = "10 mV"', hold))
    result = run_sweep(read_sweep(case, [drive], ["duration=90 s"]), tmp_path / "out")
    settled, formula = result.values["time_to_1_percent"], result.values["settling_by_formula"]
    assert settled == pytest.approx(formula, rel=1e-3) and np.all(
        np.isnan(result.values["sand_time"]) == (key == "voltage")
    )


@pytest.fixture
def drawn(monkeypatch):
    """Name of the file -> figure, of all that are saved."""
    from matplotlib.figure import Figure

    kept, original = {}, Figure.savefig

    def savefig(self, path, **options):
        kept[path.name] = self
        original(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return kept


def test_the_figure_does_not_magnify_the_last_digits_of_runs_that_agree(case, tmp_path, drawn):
    code, _ = call("sweep", case, "--over", "voltage=10 uV, 20 uV", "-o", tmp_path / "swept")
    assert code == 0
    times = drawn[".sweep.partial.png"].axes[3]
    y = times.get_lines()[0].get_ydata()
    assert 0 < np.ptp(y) < 1e-3 * y[0]  # the same time to within 1 % at any small voltage
    low, high = times.get_ylim()
    assert low < y.min() and y.max() < high and high - low > 0.019 * y[0]


def test_the_figure_draws_sands_law_beside_the_runs(case, tmp_path, drawn):
    code, _ = call("sweep", case, "--over", "current=10, 20, 40 A/m^2", "-o", tmp_path / "swept")
    assert code == 0
    law, finite, *runs = drawn[".sweep_curves.partial.png"].axes[1].get_lines()
    inverse, t = law.get_data()
    layer = layer_of(load_case(case).cell, load_case(case).transport, 10.0)
    assert t / inverse == pytest.approx(np.full(t.size, sand_time(layer, 1.0)), rel=1e-12)  # s: no other unit is drawn
    assert len(runs) == 3
    for run in runs:
        x, y = (float(value[0]) for value in run.get_data())
        assert y == pytest.approx(np.interp(x, *finite.get_data()), rel=1e-3)


def test_what_an_interrupted_sweep_has_made_is_not_made_again(case, tmp_path):
    sweep, seen = read_sweep(case, ["voltage=1 mV to 5 mV in 5"]), []

    def stop(done: int, of: int) -> None:
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path / "out", progress=stop)
    assert len(list((tmp_path / "out" / "members").glob("*.npz"))) == 3
    seen.clear()
    result = run_sweep(sweep, tmp_path / "out", progress=lambda done, of: seen.append(done))
    assert seen == [4, 5] and set(result.status) == {"done"}
    assert result.values["i_end"] == pytest.approx(result.values["i_end"][0] * np.arange(1, 6), rel=1e-2)


def test_the_command_writes_a_table_a_netcdf_and_figures(case, tmp_path):
    out = tmp_path / "swept"
    code, text = call("sweep", case, "--over", "thickness=50, 100 um", "--over", "set.D=1e-10, 2e-10 m^2/s", "-o", out)
    assert code == 0 and "4 runs (4 done)" in text
    assert sorted(path.name for path in out.iterdir()) == ["sweep.csv", "sweep.nc", "sweep.png", "sweep_curves.png"]
    with xr.open_dataset(out / "sweep.nc") as data:
        assert data["i_end"].dims == ("thickness", "set_D") and data["thickness"].attrs["units"] == "um"
        assert data["i_0"].sel(thickness=50).values == pytest.approx(2 * data["i_0"].sel(thickness=100).values)
        rows = np.loadtxt(out / "sweep.csv", delimiter=",", skiprows=1, usecols=(0, 3))
        assert rows[:, 1] == pytest.approx(data["i_0"].values.ravel())


def test_pairs_and_a_file_of_its_own(case, tmp_path):
    file = tmp_path / "pairs.toml"
    lists = 'voltage = "10 to 30 mV in 3"\nthickness = ["50 um", "60 um", "70 um"]\n'
    file.write_text(f'case = "small.toml"\npaired = true\n[over]\n{lists}')
    result = run_sweep(read_sweep(file), tmp_path / "out")
    kappa = float(load_case(case).transport.kappa(10.0))
    assert result.values["i_0"] == pytest.approx(kappa * np.array([0.01 / 50e-6, 0.02 / 60e-6, 0.03 / 70e-6]))
    with pytest.raises(InputError, match="as many values"):
        read_sweep(file, ["c=1, 2 mol/m^3"])


def test_runs_that_cannot_be_made_are_named_and_do_not_stop_the_others(case, tmp_path):
    code, text = call("sweep", case, "--over", "thickness=1 mm, 1 V", "-o", tmp_path / "out", "--no-figures")
    assert code == 1 and "1 refused" in text and "not a length" in text
    code, text = call("sweep", case, "--over", "thickness=1 V, 2 V", "-o", tmp_path / "none")
    assert (
        code == 2
        and "the case refuses all 2 runs" in text
        and "thickness = 1 V" in text
        and not (tmp_path / "none").exists()
    )


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ([], "nothing to sweep"),
        (["thicknes=1, 2 mm"], "did you mean"),
        (["c=1 mol/L", "c=2 mol/L"], "names a key twice"),
    ],
)
def test_sweeps_that_are_none_exit_with_2(case, tmp_path, over, told):
    code, text = call("sweep", case, *(word for text in over for word in ("--over", text)), "-o", tmp_path / "out")
    assert code == 2 and told in text and not (tmp_path / "out").exists()
