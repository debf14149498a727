"""The folder of a run: complete or not there, never half replaced."""

import csv
import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.files.folder import check_writable, file_hash, text_hash
from cellsim.files.writing import write_netcdf
from cellsim.run import folder as run_folder
from cellsim.run import simulation
from cellsim.run.case import Case, parse_case
from cellsim.run.cite import citation
from cellsim.run.folder import REPORT, predict, read_run, summarise, wanted_times, write_run
from cellsim.run.simulation import output_times
from cellsim.solvers import columns as columns_module
from cellsim.solvers.columns import Columns, derive
from cellsim.solvers.solution import Solution

SCHEMA = Path(__file__).parents[3] / "docs/schema.md"
TEXT = """
title = "small"
[cell]
thickness = "100 um"
temperature = "25 degC"
[electrolyte]
transport = "dilute_ideal"
salt = { c = "10 mol/m^3" }
[[step]]
hold = "voltage"
value = "50 mV"
duration = "20 s"
[solver]
name = "sundials"
cells = 20
rtol = 1e-3
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    path = tmp_path_factory.mktemp("case") / "small.toml"
    path.write_text(TEXT)
    return parse_case(TEXT, path)


@pytest.fixture(scope="module")
def done(case: Case) -> Solution:
    return predict(case)


@pytest.fixture(scope="module")
def interrupted(case: Case) -> Solution:
    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    return predict(case, progress=stop)


def a_figure(directory: Path) -> None:
    (directory / "current.png").write_text("drawn")
    (directory / REPORT).write_text("told")


def test_a_run_is_a_record_that_can_be_cited(case: Case, done: Solution, tmp_path: Path) -> None:
    kept = write_run(tmp_path / "run", case, done)
    with xr.open_dataset(kept.directory / "solution.nc", engine="h5netcdf") as data:
        for name in ("Conventions", "title", "summary", "history", "date_created", "id"):
            assert data.attrs[name], name
        assert "ACDD-1.3" in data.attrs["Conventions"]
        assert data.attrs["id"] == text_hash(TEXT + data.attrs["inputs"])
        assert all("units" in data[name].attrs for name in data.variables if name != "frame")
    again = Solution.from_netcdf(kept.directory / "solution.nc")
    assert set(again.attributes) == set(done.attributes)  # what follows from the others is not kept twice
    said = citation(str(kept.directory))
    assert f"  SHA-256 {file_hash(kept.directory / 'solution.nc')}  solution.nc" in said
    assert any("input small.toml" in line for line in said)
    assert "transport set dilute_ideal (model)" in said


def test_the_folder_holds_case_solution_and_summary(case: Case, done: Solution, tmp_path: Path) -> None:
    kept = write_run(tmp_path / "run", case, done)
    assert sorted(path.name for path in kept.directory.iterdir()) == ["case.toml", "solution.nc", "summary.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (kept.directory / "case.toml").read_text() == TEXT
    again = Solution.from_netcdf(kept.directory / "solution.nc")
    np.testing.assert_array_equal(again["c"], done["c"])
    assert again.attributes["case_toml"] == TEXT
    assert json.loads(again.attributes["inputs"]) == dict(case.inputs)


def test_the_summary_has_the_keys_of_the_schema(case: Case, done: Solution) -> None:
    section = SCHEMA.read_text(encoding="utf-8").split("`summary.json` contains these keys")[1]
    documented = [key for row in re.findall(r"^\| (`[^|]*)\|", section, re.M) for key in re.findall(r"`(\w+)`", row)]
    summary = summarise(case, done)
    assert list(summary) == documented
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_summary_says_what_happened(case: Case, done: Solution, interrupted: Solution) -> None:
    summary = summarise(case, done)
    assert (summary["status"], summary["exit_code"], summary["time_end"]) == ("done", 0, 20)
    assert summary["steps"] == [
        {"index": 0, "drive": "hold voltage", "t_start": 0, "t_end": 20, "ended_by": "duration"}
    ]
    # dilute ideal salt: kappa = F^2 c (D+ + D-)/RT = 0.015021 S/m at 298.15 K, i_0 = kappa V/L
    assert summary["i_0"] == pytest.approx(7.5108, rel=1e-4)
    assert summary["Ne"] == pytest.approx(3, rel=1e-9)  # = D-/D+
    assert summary["rho_plus"] == pytest.approx(0.25, rel=1e-9)
    # 4 F D+ c/L, times no tanh at infinite voltage; the set's range ends just above c = 0
    assert summary["limiting_current"] == pytest.approx(4 * 96485.33 * 1e-10 * 10 / 1e-4, rel=2e-4)
    assert summary["salt_drift"] < 1e-12
    early = summarise(case, interrupted)
    assert (early["status"], early["exit_code"]) == ("interrupted", 1)
    assert 6 < early["time_end"] < 20
    assert "is kept" in early["message"]


def test_the_summary_compares_the_ratio_with_what_the_interfaces_leave_of_it(case: Case) -> None:
    R_b, R, Ne = 1e-4 / 0.015021, 2e-3, 3
    text = case.text.replace("[[step]]", '[electrodes.positive]\nresistance = "20 ohm cm^2"\n\n[[step]]', 1)
    text = re.sub(r'value = ".*"', 'value = "1 mV"', text)
    text = re.sub(r'duration = ".*"', 'duration = "500 s"', text)
    small = parse_case(text, case.path)
    summary = summarise(small, predict(small, solver="sundials"))
    assert summary["ratio_expected"] == pytest.approx((R_b + R) / (R_b * (1 + Ne) + R), rel=1e-4)
    assert summary["i_end_over_i_0"] == pytest.approx(summary["ratio_expected"], rel=1e-3)
    assert summary["bruce_vincent"] == pytest.approx(summary["rho_plus"], rel=1e-3)


def test_without_interfaces_there_is_nothing_to_take_out(case: Case, done: Solution) -> None:
    summary = summarise(case, done)
    assert summary["ratio_expected"] is None and summary["bruce_vincent"] is None


def test_a_finished_run_is_not_replaced_by_one_that_ended_early(
    case: Case, done: Solution, interrupted: Solution, tmp_path: Path
) -> None:
    write_run(tmp_path / "run", case, done)
    before = (tmp_path / "run" / "summary.json").read_bytes()
    kept = write_run(tmp_path / "run", case, interrupted)
    assert kept.beside
    assert kept.directory == tmp_path / "run-partial"
    assert kept.summary["exit_code"] == 1
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_a_partial_run_is_replaced(case: Case, done: Solution, interrupted: Solution, tmp_path: Path) -> None:
    assert write_run(tmp_path / "run", case, interrupted).directory == tmp_path / "run"
    kept = write_run(tmp_path / "run", case, done)
    assert not kept.beside
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "done"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failure_while_writing_leaves_the_finished_run(case: Case, done: Solution, tmp_path: Path) -> None:
    write_run(tmp_path / "run", case, done)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    def fail(directory: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path / "run", case, done, draw=fail)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_old_figures_and_report_go_and_other_files_stay(case: Case, done: Solution, tmp_path: Path) -> None:
    write_run(tmp_path / "run", case, done, draw=a_figure)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert all((tmp_path / "run" / name).exists() for name in ("current.png", REPORT))
    write_run(tmp_path / "run", case, done)
    assert not any((tmp_path / "run" / name).exists() for name in ("current.png", REPORT))
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        check_writable(tmp_path / "file" / "run")
    assert check_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()


def test_the_folder_one_stands_in(
    case: Case, done: Solution, interrupted: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    assert write_run(".", case, done).directory == tmp_path / "run"
    assert write_run(".", case, interrupted).directory == tmp_path / "run-partial"


def test_a_run_is_read_back_with_its_case(case: Case, done: Solution, tmp_path: Path) -> None:
    write_run(tmp_path / "run", case, done)
    again, solution = read_run(tmp_path / "run")
    assert again.title == "small"
    assert again.path.parent == case.path.parent
    assert solution.status == "done"
    (tmp_path / "run" / "summary.json").unlink()
    with pytest.raises(InputError, match="--case"):
        read_run(tmp_path / "run")
    assert read_run(tmp_path / "run", case.path)[0].inputs.keys() != set()
    with pytest.raises(InputError, match="no run folder"):
        read_run(tmp_path)


def test_a_solution_is_written_as_xarray_writes_its_dataset(done: Solution, tmp_path: Path) -> None:
    whole = {"zlib": True, "shuffle": True}
    write_netcdf(tmp_path / "theirs.nc", done.dataset, dict.fromkeys(done.arrays, whole))
    done.to_netcdf(tmp_path / "ours.nc")
    with xr.open_dataset(tmp_path / "theirs.nc") as theirs, xr.open_dataset(tmp_path / "ours.nc") as ours:
        xr.testing.assert_identical(ours, theirs)
        assert list(ours.variables) == list(theirs.variables) and ours.attrs == theirs.attrs
        for name, variable in theirs.variables.items():
            stored, asked = (dict(v.encoding, source="") for v in (ours[name], variable))
            np.testing.assert_equal(stored, asked)


def test_wanted_times_hold_the_interval_and_the_extra_times(case: Case) -> None:
    output = '[output]\ninterval = "6 s"\ntimes = ["1 s"]\nprofiles_at = ["7 s"]\n'
    times = wanted_times(parse_case(TEXT.replace("[solver]", output + "[solver]")))
    np.testing.assert_array_equal(times, [0, 1, 6, 7, 12, 18, 20])
    assert wanted_times(case)[-1] == 20


def test_csv_holds_every_variable_with_its_unit(done: Solution, tmp_path: Path) -> None:
    paths = run_folder.export_csv(done, tmp_path / "csv")
    assert [path.name for path in paths] == ["series.csv", "cells.csv", "faces.csv", "velocities.csv"]
    headings: list[str] = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            headings += next(csv.reader(file))
    assert all(re.fullmatch(r"\w+ \([^()]*(\([^()]*\))?[^()]*\)", heading) for heading in headings), headings
    names = {heading.split(" ")[0] for heading in headings}
    for name, variable in done.dataset.data_vars.items():
        wanted = (
            {f"{name}_{frame}" for frame in ("interface", "lab", "solvent")} if "frame" in variable.dims else {name}
        )
        assert wanted <= names
    cells = np.loadtxt(tmp_path / "csv" / "cells.csv", delimiter=",", skiprows=1)
    assert cells.shape[0] == done["c"].size
    np.testing.assert_allclose(cells[:, 2], done["c"].ravel(), rtol=1e-9)


def test_many_steps_share_the_default_states() -> None:
    """Twenty steps have 200 states each; of more, none has fewer than seven and a long rest keeps its 200."""
    few = output_times(Protocol((rest(60.0),) * 20))
    assert few.size == 20 * 199  # 60 and 140, the end of a step in both
    for steps, most in ((300, 4500), (2000, 14_000)):
        times = output_times(Protocol((rest(60.0),) * steps))
        assert times.size < most
        inside = np.histogram(times, np.arange(steps + 1) * 60.0)[0]
        assert inside.min() >= 5  # the start and the end are kept besides
    pulses = (rest(1.0),) * 1000
    times = output_times(Protocol((*pulses, rest(3 * 3600.0))))
    assert np.count_nonzero(times > 1000.0) >= 190


def test_deriving_needs_little_more_than_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured 1.6 times the result, and 3.6 times before it went piece by piece; the pieces change no number."""
    states, cells = 1500, 40
    rng = np.random.default_rng(1)
    c = 1000 + 100 * rng.random((states, cells))
    faces = np.broadcast_to(np.linspace(0, 1e-3, cells + 1), (states, cells + 1))
    time, i, N = np.arange(states) * 1.0, rng.random(states), rng.random((states, cells + 1))
    c_face = np.pad(0.5 * (c[:, 1:] + c[:, :-1]), ((0, 0), (1, 1)), mode="edge")
    columns = Columns(time, time.astype(int), i, c, c_face, rng.random((states, 4)), faces, N, -N)
    transport = load_set("steinruck2020_rs", T=363.15)
    derive(columns, Cell(1e-3, 363.15), transport)
    tracemalloc.start()
    arrays = derive(columns, Cell(1e-3, 363.15), transport)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 2.0 * sum(values.nbytes for values in arrays.values())
    monkeypatch.setattr(columns_module, "AT_ONCE", states)
    for name, values in derive(columns, Cell(1e-3, 363.15), transport).items():
        np.testing.assert_array_equal(arrays[name], values)


def test_who_runs_many_is_ended_by_an_interruption(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    arguments = (case.cell, case.transport, case.protocol)
    assert simulation.simulate(*arguments, c0=case.c0, progress=stop).status == "interrupted"
    with pytest.raises(KeyboardInterrupt):  # no failed member, no bad point of a fit
        simulation.simulate_whole(*arguments, c0=case.c0, progress=stop)
