"""`mdcoeffs series` as a user types it: states analysed and collected, resumed, damaged, beside measured values."""

import csv
import json
import math
import re
import shutil

import numpy as np
import pytest
import xarray as xr
from md_toys import mdcoeffs as call
from scripts import loaded
from series_toys import exchange_state, onsager_folder

from cellsim.base import InputError
from mdcoeffs.series import run as series_run
from mdcoeffs.series.recipe import read_series

T = (290.0, 310.0, 330.0, 350.0, 370.0, 390.0)
HEAD = 'title = "made up"\n[series]\nvariable = "{variable}"\n{more}\n'


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Six temperatures whose results are there already, and a table of measured values."""
    folder = tmp_path_factory.mktemp("collected")
    text = HEAD.format(variable="T", more="")
    for k, temperature in enumerate(T):
        onsager_folder(folder / f"T{k}", T=temperature, seed=40 + k)
        text += f'[[state]]\nresult = "T{k}"\n'
    (folder / "m.csv").write_text("T (K),quantity,value,error,unit,source\n290,kappa,0.31,0.02,S/m,a notebook\n")
    (folder / "series.toml").write_text(text + '[[measured]]\nfile = "m.csv"\n')
    result = call("series", folder / "series.toml", "-o", folder / "out")
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_the_page_and_every_figure_as_data(collected):
    folder, output = collected
    out = folder / "out"
    names = {path.name for path in out.iterdir()}
    assert names >= {"report.html", "series.csv", "series.nc", "fits.csv", "summary.json", "series.toml"}
    assert {p.stem for p in out.glob("*.png")} == {"transport", "onsager", "temperature"}
    assert all((out / f"{p.stem}.csv").is_file() for p in out.glob("*.png"))
    page = (out / "report.html").read_text()
    assert page.count('src="data:image/png') == 3 and not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "a notebook" in page and "E = " in page and "standard errors apart" in page
    measured = [row for row in rows_of(out / "transport.csv") if row["kind"] == "measured"]
    assert [float(measured[0][key]) for key in ("at", "value")] == [290.0, 0.31]
    half = (float(measured[0]["high"]) - float(measured[0]["low"])) / 2
    assert half == pytest.approx(1.96 * 0.02, rel=1e-3)
    assert "kappa, Arrhenius: E = " in output


def test_the_tables_agree_and_the_law_is_found_again(collected):
    folder, _ = collected
    data = xr.load_dataset(folder / "out" / "series.nc")
    assert data["at"].values.tolist() == list(T) and data["at"].attrs["units"] == "K"
    table = {(row["quantity"], float(row["T (K)"])): row for row in rows_of(folder / "out" / "series.csv")}
    for name in ("kappa", "D_plus_minus", "Omega_mm_barycentric"):
        for temperature in T:
            row = table[name, temperature]
            one = data.sel(quantity=name).isel(state=T.index(temperature))
            assert float(one["value"]) == pytest.approx(float(row["value"]), rel=1e-6, abs=0)
            assert float(row["low"]) < float(row["value"]) < float(row["high"])
    (energy,) = [r for r in rows_of(folder / "out" / "fits.csv") if (r["quantity"], r["parameter"]) == ("kappa", "E")]
    assert float(energy["low"]) < 25e3 < float(energy["high"]) and energy["holds"] == "yes"
    by_hand = np.polyfit(1 / np.array(T), np.log([float(table["kappa", t]["value"]) for t in T]), 1)
    assert float(energy["value"]) == pytest.approx(-by_hand[0] * 8.314462618, rel=0.02)  # unweighted; widths are alike


def test_a_concentration_may_be_read_from_the_results(tmp_path):
    text = HEAD.format(variable="c", more="")
    for k, c in enumerate((1500.0, 500.0)):
        onsager_folder(tmp_path / f"c{k}", c=c)
        text += f'[[state]]\nresult = "c{k}"\n'
    (tmp_path / "series.toml").write_text(text)
    result = call("series", tmp_path / "series.toml", "-o", tmp_path / "out", "--no-figures")
    assert result.exit_code == 0, result.output
    assert [float(r["c (mol/L)"]) for r in rows_of(tmp_path / "out" / "series.csv")[:2]] == [0.5, 1.5]
    assert not list((tmp_path / "out").glob("*.png")) and not (tmp_path / "out" / "fits.csv").exists()
    (tmp_path / "series.toml").write_text(text.replace('"c0"', '"c0"\nvalue = "1 mol/L"'))
    assert call("series", tmp_path / "series.toml", "-o", tmp_path / "out", "--no-figures").exit_code == 0
    notes = json.loads((tmp_path / "out" / "summary.json").read_text())["states"]["c_1"]["notes"]
    assert notes == ["stated c = 1 mol/L, but its results say 1.5 mol/L"]


# ---- states that are analysed ---------------------------------------------------------------------------------------

ANALYSED = HEAD.format(variable="T", more='analyses = ["residence"]\nfits = ["arrhenius"]')


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysed")
    text = ANALYSED
    for k, temperature in enumerate((300.0, 330.0, 360.0)):
        exchange_state(folder / f"T{k}", temperature, seed=60 + k)
        text += f'[[state]]\nspecies = "T{k}/SPECIES.toml"\n'
    (folder / "series.toml").write_text(text)
    result = call("series", folder / "series.toml", "-o", folder / "out", "--jobs", "1")
    assert result.exit_code == 0, result.output
    return folder, result.output


def how(output):
    return re.findall(r"^(T_\d+) residence: (made|from cache|failed)", output, re.M)


@pytest.mark.slow
def test_states_are_analysed_as_the_command_does(analysed):
    folder, output = analysed
    assert how(output) == [("T_300", "made"), ("T_330", "made"), ("T_360", "made")]
    own = folder / "out" / "states" / "T_330" / "residence"
    assert {p.name for p in own.iterdir()} >= {"residence.nc", "residence.png", "summary.json", "stage.json"}
    found = json.loads((own / "summary.json").read_text())["curves"]["Li-X"]["continuous"]["mean_time"]["value"]
    table = {(r["quantity"], r["state"]): r for r in rows_of(folder / "out" / "series.csv")}
    assert float(table["residence_continuous_Li-X", "T_330"]["value"]) == pytest.approx(found, rel=1e-6, abs=0)
    assert found == pytest.approx(8e-12, rel=0.35)  # measured 7.5e-12
    energy = [r for r in rows_of(folder / "out" / "fits.csv") if r["quantity"] == "residence_continuous_Li-X"][1]
    assert energy["parameter"] == "E" and float(energy["low"]) < 15e3 < float(energy["high"])


@pytest.mark.slow
def test_what_has_not_changed_is_not_repeated(analysed, tmp_path):
    folder, _ = analysed
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    again = call("series", place / "series.toml", "-o", place / "out", "--no-figures", "--jobs", "1")
    assert [kind for _, kind in how(again.output)] == ["from cache"] * 3
    text = (place / "series.toml").read_text()
    # a setting of one state: that state alone
    changed = text.replace('"T1/SPECIES.toml"', '"T1/SPECIES.toml"\nset = { "residence.max_lag" = "40 ps" }')
    (place / "series.toml").write_text(changed)
    again = call("series", place / "series.toml", "-o", place / "out", "--no-figures", "--jobs", "1")
    assert how(again.output) == [("T_300", "from cache"), ("T_360", "from cache"), ("T_330", "made")]
    # the results as they are, collected
    states = "".join(f'[[state]]\nresult = "out/states/T_{t}"\n' + f'value = "{t} K"\n' for t in (300, 330, 360))
    (place / "other.toml").write_text(ANALYSED + states)
    taken = call("series", place / "other.toml", "-o", place / "other", "--no-figures")
    assert taken.exit_code == 0 and how(taken.output) == []
    assert rows_of(place / "other" / "series.csv") == rows_of(place / "out" / "series.csv")


@pytest.mark.slow
def test_a_state_that_fails_is_named_and_the_page_is_made_from_the_others(analysed, tmp_path):
    folder, _ = analysed
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    run = place / "T2" / "run.npz"
    run.write_bytes(run.read_bytes()[:2000])
    result = call("series", place / "series.toml", "-o", place / "out", "--jobs", "1")
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert ("T_360", "failed") in how(result.output)
    page = (place / "out" / "report.html").read_text()
    assert 'class="warn">T_360, residence: ' in page and "T_330" in page
    saved = json.loads((place / "out" / "summary.json").read_text())
    assert "residence" in saved["states"]["T_360"]["failed"] and not saved["states"]["T_360"]["quantities"]
    # two temperatures are left, too few for a line
    assert saved["fits"] == [] and any("too few for the law" in text for text in saved["laws_not_fitted"])
    for k in (0, 1):
        other = place / f"T{k}" / "run.npz"
        other.write_bytes(other.read_bytes()[:2000])
    result = call("series", place / "series.toml", "-o", tmp_path / "none", "--jobs", "1")
    assert result.exit_code == 2 and "run.npz" in result.output.splitlines()[-1]
    assert not (tmp_path / "none" / "series.csv").exists()


@pytest.mark.slow
def test_processes_give_the_same_numbers(analysed, tmp_path):
    folder, _ = analysed
    recipe = read_series(folder / "series.toml")
    series = series_run.run_series(recipe, tmp_path / "two", jobs=2, tell=lambda text: None)
    table = {(r["quantity"], r["state"]): float(r["value"]) for r in rows_of(folder / "out" / "series.csv")}
    for state in series.states:
        for name, each in state.found.items():
            assert each.value == pytest.approx(table[name, state.name], rel=1e-7, abs=0)


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "series.toml").write_text('[series]\nvariable = "T"\n[[state]]\nspecies = "no.toml"\n')
    result = call("series", tmp_path / "series.toml", "-o", tmp_path / "out")
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    assert result.output.count("\n") == 1 and "names no file that exists" in result.output
    both = call("series", tmp_path / "series.toml", "-o", tmp_path / "out", "--jobs", "2", "--scheduler", "tcp://x:1")
    assert both.exit_code == 2 and "exclude each other" in both.output
    with pytest.raises(InputError):
        read_series(tmp_path / "absent.toml")


def test_a_result_that_does_not_say_the_variable(tmp_path):
    onsager_folder(tmp_path / "a")
    data = json.loads((tmp_path / "a" / "summary.json").read_text())
    del data["temperature"]
    (tmp_path / "a" / "summary.json").write_text(json.dumps(data))
    onsager_folder(tmp_path / "b", T=300.0)
    (tmp_path / "series.toml").write_text(
        HEAD.format(variable="T", more="") + '[[state]]\nresult = "a"\n[[state]]\nresult = "b"\n'
    )
    result = call("series", tmp_path / "series.toml", "-o", tmp_path / "out", "--no-figures")
    assert result.exit_code == 1 and "do not say what T is; give value" in result.output
    assert not math.isnan(json.loads((tmp_path / "out" / "summary.json").read_text())["states"]["b"]["at"])


# ---- calibration ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """Four charge scalings whose results are there: kappa falls from 1.75 to 0.57 times that at 350 K."""
    folder = tmp_path_factory.mktemp("scaled")
    text = HEAD.format(variable="charge_scaling", more="")
    for k, scaling in enumerate((0.7, 0.8, 0.9, 1.0)):
        energy = 340 * 350 / 10 * 8.31446261815324 * math.log(1.75) * (scaling - 0.85) / 0.15  # the toy's is at 350 K
        onsager_folder(folder / f"s{k}", T=340.0, energy=energy, seed=60 + k)
        text += f'[[state]]\nvalue = {scaling}\nresult = "s{k}"\n'
    (folder / "series.toml").write_text(text)
    return folder


def test_a_charge_scaling_is_calibrated(scaled):
    (scaled / "m.csv").write_text("quantity,value,error,unit,source\nkappa,17.7,0.5,mS/cm,a notebook\n")
    out = scaled / "out"
    result = call("calibrate", scaled / "series.toml", "--measured", scaled / "m.csv", "-o", out)
    assert result.exit_code == 0, result.output
    made = {path.name for path in (out / "calibration").iterdir()}
    assert made == {"calibration.csv", "points.csv", "calibration.png", "report.html", "summary.json"}
    measured, *computed = rows_of(out / "calibration/points.csv")
    assert float(measured["value"]) == pytest.approx(1.77) and measured["charge_scaling"] == ""
    assert [float(row["charge_scaling"]) for row in computed] == [0.7, 0.8, 0.9, 1.0]
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in computed)
    found = json.loads((out / "calibration/summary.json").read_text())
    low, high = found["interval"]
    # kappa is 17.7 mS/cm at 0.85, and ln kappa falls by 3.7 a unit: 3 % of it, and 2 % of the runs, are 0.01
    assert low < 0.85 < high and high - low == pytest.approx(4 * 0.01, rel=0.5)
    rows = rows_of(out / "calibration/calibration.csv")
    assert list(rows[0]) == ["charge_scaling", "density", "chi2", "kappa", "kappa_low", "kappa_high"]
    density = np.array([[float(row["charge_scaling"]), float(row["density"])] for row in rows])
    assert np.trapezoid(density[:, 1], density[:, 0]) == pytest.approx(1, rel=1e-4)
    page = (out / "calibration/report.html").read_text()
    assert "a notebook" in page and page.count('src="data:image/png') == 1
    assert "cannot contradict" in result.output and "charge_scaling = 0.8" in result.output


def test_two_concentrations_are_calibrated_together(scaled, tmp_path):
    # the same law at half the concentration: the toy's matrix, and so kappa, is proportional to c
    text = HEAD.format(variable="charge_scaling", more="")
    for k, scaling in enumerate((0.7, 0.8, 0.9, 1.0)):
        energy = 340 * 350 / 10 * 8.31446261815324 * math.log(1.75) * (scaling - 0.85) / 0.15
        onsager_folder(tmp_path / f"s{k}", T=340.0, c=500.0, energy=energy, seed=70 + k)
        text += f'[[state]]\nvalue = {scaling}\nresult = "s{k}"\n'
    (tmp_path / "series.toml").write_text(text)
    for name, kappa in (("one", 17.7), ("half", 17.7 / 2)):
        (tmp_path / f"{name}.csv").write_text(f"quantity,value,error,unit\nkappa,{kappa},{0.03 * kappa},mS/cm\n")
    series = [scaled / "series.toml", tmp_path / "series.toml"]
    tables = ["--measured", tmp_path / "one.csv", "--measured", tmp_path / "half.csv"]
    result = call("calibrate", *series, *tables, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out/joint/summary.json").read_text())
    alone = [np.diff(each["interval"])[0] for each in found["conditions"].values()]
    low, high = found["interval"]
    assert low < 0.85 < high and high - low == pytest.approx(min(alone) / math.sqrt(2), rel=0.25)
    assert list(found["conditions"]) == ["1 mol/L, 340 K", "0.5 mol/L, 340 K"] and found["p_common"] > 0.01
    assert (tmp_path / "out/joint/joint.png").is_file() and (tmp_path / "out/series2/calibration/report.html").is_file()
    result = call("calibrate", *series, "--measured", tmp_path / "one.csv", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "2 series and 1 tables: give --measured once for each" in result.output
    result = call("calibrate", series[0], series[0], *tables, "-o", tmp_path / "out2", "--no-figures")
    assert result.exit_code == 2 and "two series are at 1 mol/L, 340 K" in result.output


def test_calibrations_that_cannot_be(scaled, collected):
    table = scaled / "bad.csv"
    table.write_text("quantity,value,error,unit\nD_salt,1e-10,1e-11,m^2/s\n")
    result = call("calibrate", scaled / "series.toml", "--measured", table, "-o", scaled / "out")
    assert result.exit_code == 2 and "needs the thermodynamic factor" in result.output
    result = call("calibrate", collected[0] / "series.toml", "--measured", table, "-o", collected[0] / "out2")
    assert result.exit_code == 2 and "series.variable = 'T' is a condition of the experiment" in result.output


@pytest.mark.slow
def test_one_energy_of_a_barrier_at_four_temperatures(tmp_path):
    # the example of docs/interface.md with a quarter of its frames, three times as long apart
    wall = loaded("cases/series/wall.py")
    wall.ENTRIES *= 3
    wall.make(tmp_path, frames=2000)
    text = (tmp_path / "series.toml").read_text()
    (tmp_path / "series.toml").write_text(text.replace('"330 K"', '"330 K", "800 K"'))
    result = call("series", tmp_path / "series.toml", "-o", tmp_path / "out", "--jobs", "1")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["barriers"][0]
    assert (tmp_path / "out" / "barrier_slab.png").is_file() and "Barriers at all temperatures" in (
        tmp_path / "out" / "report.html"
    ).read_text()
    # two faces of 3900 and 4200 K: the energy is their mean, each by its share of the rate (0.61 and 0.39 at 600 K)
    low, high = found["dE_K"]["interval"]
    assert low < wall.DE + 0.39 * wall.HIGHER < high and high - low < 800
    shift = {(a["barrier"], a["T"]): a["shift"] for a in found["aligned"]}
    for T, known in wall.SHIFT.items():
        assert shift["RIGHT", T] == pytest.approx(known * 1e-10, abs=0.04e-10)
        assert shift["LEFT", T] == pytest.approx(-known * 1e-10, abs=0.04e-10)
    assert [each["T"] for each in found["predicted"]] == [330.0, 800.0]
    barriers = [row for row in rows_of(tmp_path / "out" / "series.csv") if row["quantity"].startswith("barrier_")]
    assert {row["unit"] for row in barriers} == {"K"} and len(barriers) >= 4
