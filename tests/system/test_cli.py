"""The commands, as a user types them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cellsim.cli import main
from cellsim.electrolyte.set_file import list_sets, load_set
from cellsim.instruments.spectrum import read_spectrum
from cellsim.model.charging import cell_impedance
from cellsim.run.case import load_case
from cellsim.run.figures import FIGURES
from cellsim.run.folder import REPORT
from cellsim.run.mixture import MixtureCase, read_case
from cellsim.solvers.solution import Solution

ROOT = Path(__file__).parents[2]
CASES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "cases").rglob("*.toml")
    if "\n[cell]" in (text := path.read_text()) and "\ntransport = " in text  # not sets, nor what other commands read
)
COMMANDS = [
    "new",
    "examples",
    "check",
    "plan",
    "run",
    "sweep",
    "plot",
    "compare",
    "xpcs",
    "volumes",
    "fit",
    "watch",
    "design",
    "lab",
    "analyse",
    "sets",
    "app",
    "export",
    "cite",
]
SMALL = """
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
DEPLETES = SMALL.replace('hold = "voltage"\nvalue = "50 mV"', 'hold = "current"\nvalue = "10 A/m^2"')


def cellsim(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the small case, with its case beside it."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "small.toml").write_text(SMALL)
    result = cellsim("run", folder / "small.toml", "-o", folder / "run", "--no-figures")
    assert result.exit_code == 0, result.output
    return folder / "run"


def copy_of(ran: Path, here: Path) -> Path:
    shutil.copytree(ran, here / "run")
    return here / "run"


# ---- help and start-up --------------------------------------------------------------------------------------------


def test_help_lists_the_commands() -> None:
    result = cellsim("--help")
    assert result.exit_code == 0
    found = [line.split()[0] for line in result.output.split("Commands:")[1].splitlines() if line.strip()]
    assert found == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_one_worked_line(command: str) -> None:
    result = cellsim(command, "--help")
    assert result.exit_code == 0
    assert f"Example:  cellsim {command}" in result.output


def test_help_imports_nothing_heavy() -> None:
    """What keeps `cellsim --help` at 0.1 s; a wall-clock limit would depend on the machine."""
    heavy = {"numpy", "scipy", "fipy", "pint", "xarray", "matplotlib", "pydantic", "pandas"}
    code = "import sys, cellsim, cellsim.cli; print(*{name.split('.')[0] for name in sys.modules})"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(output.split())


def test_a_run_imports_only_what_it_uses(tmp_path: Path) -> None:
    """What keeps a run without figures at a second, from the shell to its files."""
    heavy = {"pint", "xarray", "pandas", "dask", "matplotlib", "fipy"}
    arguments = ["run", str(ROOT / "cases" / "steinruck2020/rs.toml"), "--no-figures", "-o", str(tmp_path / "rs")]
    code = "import sys, cellsim.cli; cellsim.cli.main(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert not heavy & {name.split(".")[0] for name in done.stdout.split()}
    assert (tmp_path / "rs" / "solution.nc").is_file()


def test_the_installed_command_answers() -> None:
    script = Path(sys.executable).with_name("cellsim")
    result = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("cellsim, version")


# ---- new, check, sets ---------------------------------------------------------------------------------------------


def test_new_writes_a_case_that_is_valid(here: Path) -> None:
    result = cellsim("new", "mine.toml")
    assert result.exit_code == 0, result.output
    assert "cellsim run mine.toml" in result.output
    assert "cellsim run mine.toml" in (here / "mine.toml").read_text(encoding="utf-8")
    assert load_case("mine.toml").protocol.duration == 60_000
    again = cellsim("new", "mine.toml")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert cellsim("new", "mine.toml", "--force").exit_code == 0
    assert cellsim("new", "coin.toml", "--template", "coin").exit_code == 0
    checked = cellsim("check", "coin.toml")
    assert checked.exit_code == 0 and "hold 4.975 A/m^2" in checked.output  # 1 mA on 2.01 cm^2
    assert cellsim("new", "other.toml", "--template", "pouch").exit_code == 2
    assert cellsim("new", "mine.txt").exit_code == 2


def test_new_names_the_schema_that_editors_complete_keys_by(here: Path) -> None:
    cellsim("new", "mine.toml")
    first = (here / "mine.toml").read_text(encoding="utf-8").splitlines()[0]
    place = Path(first.removeprefix("#:schema file://"))
    assert json.loads(place.read_text(encoding="utf-8"))["title"] == "cellsim case file"


def test_examples_are_copied_with_their_data(here: Path) -> None:
    result = cellsim("examples", "mine")
    assert result.exit_code == 0, result.output
    assert cellsim("check", "mine/cases/thienenkamp2022/polarisation.toml").exit_code == 0
    assert len(list((here / "mine" / "docs" / "notebooks").glob("*.py"))) == 6
    assert "next: cd mine && cellsim run" in result.stdout
    again = cellsim("examples", "mine")
    assert again.exit_code == 2 and "exists and is not empty" in again.stderr


def test_every_option_of_the_new_case_is_valid_when_uncommented(here: Path) -> None:
    cellsim("new", "mine.toml")
    lines = (here / "mine.toml").read_text(encoding="utf-8").splitlines()
    options = [line.removeprefix("# ") for line in lines[lines.index("[cell]") :]]
    (here / "mine.toml").write_text("\n".join(options), encoding="utf-8")
    (here / "polarisation.csv").write_text("t_h,I_mA,U_V\n0,0.1,0.2\n1,0.2,0.3\n")
    result = cellsim("check", "mine.toml")
    assert result.exit_code == 0, result.output
    assert "follow a current of 1 to 2 A/m^2" in result.output
    assert "Butler-Volmer, 10 A/m^2" in result.output


@pytest.mark.parametrize("case", CASES)
def test_check_says_what_a_shipped_case_will_do(case: str) -> None:
    result = cellsim("check", ROOT / case)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) <= 12
    read = read_case(ROOT / case)
    assert read.title in result.output
    assert f"{read.transport.name} ({read.transport.status})" in result.output


def test_every_shipped_case_has_a_line_in_the_readme_and_a_header() -> None:
    readme = (ROOT / "cases/README.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"`{case.removeprefix('cases/')}`" in readme
        assert (ROOT / case).read_text(encoding="utf-8").startswith("# ")


def test_sets_lists_them_with_their_status() -> None:
    result = cellsim("sets")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(list_sets())
    assert "reconstruction" in next(line for line in result.output.splitlines() if line.startswith("steinruck2020_rs "))


def test_sets_shows_range_sources_and_values(here: Path) -> None:
    result = cellsim("sets", "landesfeind2019_ec_emc", "-T", "25 degC", "--plot", "set.png")
    assert result.exit_code == 0, result.output
    assert "c = 0.1-3 mol/L" in result.output
    for name in ("kappa", "D", "t_plus", "chi", "volumes"):
        assert f"\n  {name} " in result.output
    assert (here / "set.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["landesfeind2019_ec_emd"], 'did you mean "landesfeind2019_ec_emc"'),
        (["landesfeind2019_ec_emc", "-T", "25"], "--temperature"),
        (["landesfeind2019_ec_emc", "-T", "400 K"], "lies outside"),
        (["landesfeind2019_ec_emc", "--plot", "set.xyz"], "set.xyz: the picture cannot be written"),
        (["--plot", "set.png"], "need the name of a set"),
    ],
)
def test_sets_refuses_in_one_line(here: Path, arguments: list[str], expected: str) -> None:
    result = cellsim("sets", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr
    assert [path.name for path in here.iterdir()] == ["small.toml"]


def test_sets_go_out_and_come_in(here: Path) -> None:
    result = cellsim("sets", "nyman2008_ec_emc", "--to", "pybamm", "-o", "nyman.py")
    assert (result.exit_code, result.output) == (0, "nyman.py written\n")
    back = cellsim("sets", "nyman.py", "--like", "nyman2008_ec_emc", "--to", "toml", "-o", "back.toml")
    assert back.exit_code == 0, back.output
    for name in ("kappa", "D", "t_plus", "chi"):
        one, other = (getattr(load_set(path), name)(900.0) for path in ("nyman2008_ec_emc", "back.toml"))
        assert float(one) == pytest.approx(float(other), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nyman.py", "--to", "toml", "-o", "a.toml"], "name with --like a set"),
        (["nyman2008_ec_emc", "--to", "bpx"], "with -o"),
        (["poss_ptf", "--to", "bpx", "-o", "a.json"], "1:1 salts only"),
        (["nyman2008_ec_emc", "--to", "bpx", "--c", "9 mol/L", "-o", "a.json"], "lies outside"),
        (["--to", "bpx"], "need the name of a set"),
        (["none.csv", "--like", "poss_ptf", "--to", "toml", "-o", "a.toml"], "none.csv"),
    ],
)
def test_exchange_refuses_in_one_line(here: Path, arguments: list[str], expected: str) -> None:
    result = cellsim("sets", *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert expected in result.stderr


def test_figures_for_a_paper_and_a_talk(here: Path) -> None:
    assert cellsim("run", "small.toml", "-o", "run").exit_code == 0
    kept = {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()}
    assert "voltage.png" in kept
    result = cellsim("plot", "run", "--format", "svg", "--no-title", "--time", "root", "--paper-units")
    assert result.exit_code == 0, result.output
    text = (here / "run/figures/current.svg").read_text()
    assert text.startswith("<?xml") and (here / "run/figures/voltage.svg").is_file()
    assert {name: (here / "run" / name).read_bytes() for name in kept} == kept
    assert "a .gif or .html" in cellsim("plot", "run", "--animate", "a.mp4").stderr
    assert sorted(path.name for path in here.iterdir()) == ["run", "small.toml"]


def test_several_sets_over_one_another_and_a_set_is_checked(here: Path) -> None:
    result = cellsim("sets", "steinruck2020_rs", "steinruck2020_pnb", "--plot", "both.png")
    assert result.exit_code == 0, result.output
    assert result.output.count("\nsources") == 2 and (here / "both.png").read_bytes().startswith(b"\x89PNG")
    assert cellsim("sets", "nyman2008_ec_emc", "--to", "toml", "-o", "mine.toml").exit_code == 0
    checked = cellsim("check", "mine.toml")
    assert checked.exit_code == 0 and "values at 298.15 K" in checked.output
    assert cellsim("check", "mine.toml", "--set", "a=1").exit_code == 2


def test_cite_a_set_and_the_program() -> None:
    said = cellsim("cite", "nyman2008_ec_emc").output
    assert "https://doi.org/10.1016/j.electacta.2008.04.023" in said and "Version" in said
    assert cellsim("cite").output.count("\n") == 2
    assert cellsim("cite", "nowhere").exit_code == 2


# ---- run, plot, export --------------------------------------------------------------------------------------------


def test_run_writes_the_folder_and_tells_what_matters(here: Path) -> None:
    result = cellsim("run", "small.toml", "--no-figures")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert sorted(path.name for path in (here / "runs/small").iterdir()) == [
        "case.toml", "solution.nc", "summary.json",
    ]  # fmt: skip
    assert "i   7.51" in result.stdout
    assert "transport set: dilute_ideal (model)" in result.stdout
    assert result.stdout.endswith("written to runs/small\n")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_shipped_case_runs_to_its_end_with_figures(here: Path, case: str) -> None:
    result = cellsim("run", ROOT / case, "-o", "out")
    assert result.exit_code == 0, result.output
    summary = json.loads((here / "out/summary.json").read_text())
    assert summary["status"] == "done"
    assert summary["salt_drift"] < 1e-12
    assert not summary["clamped"]
    own = ("current.png", "profiles.png", "velocities.png")
    drawn = own if isinstance(read_case(ROOT / case), MixtureCase) else set(FIGURES) - {"voltage.png"}
    assert all((here / "out" / name).is_file() for name in drawn)


@pytest.mark.parametrize("case", ["segregation", "two_salts"])
def test_a_cell_of_n_components_goes_through_the_same_commands(here: Path, case: str) -> None:
    file = ROOT / f"cases/mixed_solvent/{case}.toml"
    plan = cellsim("plan", file, "--set", "thickness=0.5 mm")
    assert plan.exit_code == 0, plan.output
    result = cellsim("run", file, "--no-figures", "-o", "out", "--set", "rtol=1e-4")
    assert result.exit_code == 0, result.output
    summary = json.loads((here / "out/summary.json").read_text())
    assert summary["status"] == "done" and summary["salt_drift"] < 1e-12
    assert cellsim("plot", "out").exit_code == 0
    assert (here / "out" / REPORT).is_file()
    for command in (
        ["compare", file, "x.csv"],
        ["sweep", file, "--over", "c=1, 2 mol/L"],
        ["design", file],
        ["lab", "chain", file],
        ["fit", file],
    ):
        refused = cellsim(*command)
        assert refused.exit_code == 2 and refused.stderr.count("\n") == 1, refused.output
    assert "there is nothing to compare with; name data files" in cellsim("compare", "out").output


def test_a_plan_of_a_changed_cell_needs_no_place_of_the_output(here: Path) -> None:
    """Positions of [output] and data of [measured] need not lie inside the changed cell; a run still refuses them."""
    case = ROOT / "cases/steinruck2020/rs.toml"
    planned = cellsim("plan", case, "--set", "thickness=1 mm")
    assert planned.exit_code == 0 and "120.6 min" in planned.output, planned.output  # L^2/(pi^2 D) of 1 mm
    refused = cellsim("run", case, "--set", "thickness=1 mm", "-o", "out")
    assert refused.exit_code == 2 and "outside the cell" in refused.output


def test_a_composition_with_a_binary_set_is_refused_by_what_belongs_there(here: Path) -> None:
    text = (ROOT / "cases/dilute_ideal.toml").read_text().replace("salt = ", "composition = ")
    assert "composition" in text
    Path("odd.toml").write_text(text)
    refused = cellsim("check", "odd.toml")
    assert refused.exit_code == 2 and "is binary: give salt instead" in refused.output


def test_the_solver_can_be_named(here: Path) -> None:
    result = cellsim("run", "small.toml", "--no-figures", "--solver", "material", "-o", "out")
    assert result.exit_code == 0, result.output
    assert json.loads((here / "out/summary.json").read_text())["solver"] == "material"
    wrong = cellsim("run", "small.toml", "--solver", "fast", "-o", "other")
    assert wrong.exit_code == 2
    assert "solver" in wrong.stderr
    assert not (here / "other").exists()


def test_a_second_run_begins_with_what_the_first_ended_with(here: Path) -> None:
    """check, plan, run and compare take [initial]; the first current of a rest is none, its voltage that of the end."""
    assert cellsim("run", "small.toml", "--no-figures").exit_code == 0
    later = SMALL.replace('salt = { c = "10 mol/m^3" }\n', "").replace(
        'hold = "voltage"\nvalue = "50 mV"', 'hold = "rest"'
    )
    (here / "later.toml").write_text(later + '[initial]\nfrom = "runs/small"\n')
    checked, planned = cellsim("check", "later.toml"), cellsim("plan", "later.toml")
    assert 'initial.from = "runs/small", which ended at 20 s' in checked.output, checked.output
    assert "voltage at rest" in planned.output and "do not depend on how a run begins" in planned.output
    assert cellsim("run", "later.toml", "--no-figures").exit_code == 0
    first, second = (Solution.from_netcdf(here / "runs" / name / "solution.nc") for name in ("small", "later"))
    rest_voltage = first["V_concentration"][-1]
    assert second["V"][0] == pytest.approx(rest_voltage, rel=1e-5) and second["i"][0] == 0.0
    (row,) = [line for line in planned.output.splitlines() if line.startswith("  voltage at rest")]
    assert float(row.split()[3]) == pytest.approx(rest_voltage, rel=1e-3)
    summary = json.loads((here / "runs" / "later" / "summary.json").read_text())
    assert summary["initial"].endswith('initial.from = "runs/small"') and "runs/small" in summary["inputs"]

    rows = zip(second["time"], second["V"], strict=True)
    (here / "V.csv").write_text("t (s),U (V)\n" + "".join(f"{t},{V}\n" for t, V in rows))
    compared = cellsim("compare", "later.toml", "V.csv", "-o", "compared")
    assert compared.exit_code == 0, compared.output
    numbers = json.loads((here / "compared" / "comparison.json").read_text())
    assert "V.csv" in json.dumps(numbers)

    (here / "other.toml").write_text((here / "later.toml").read_text().replace('"100 um"', '"90 um"'))
    refused = cellsim("run", "other.toml")
    assert refused.exit_code == 2 and "a cell of 0.1 mm, cell.thickness is 0.09 mm" in refused.output


def test_a_run_that_depletes_keeps_its_part_and_says_so(here: Path) -> None:
    (here / "depletes.toml").write_text(DEPLETES)
    result = cellsim("run", "depletes.toml", "--no-figures", "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("depleted: the salt ran out at the negative electrode")
    assert "the partial result is kept in out" in result.stderr
    summary = json.loads((here / "out/summary.json").read_text())
    assert (summary["status"], summary["exit_code"]) == ("depleted", 1)
    assert 0 < summary["time_end"] < 20


def test_a_finished_run_outlives_one_that_ended_early(here: Path, ran: Path) -> None:
    run = copy_of(ran, here)
    before = (run / "summary.json").read_bytes()
    (here / "small.toml").write_text(DEPLETES)
    result = cellsim("run", "small.toml", "--no-figures", "-o", "run")
    assert result.exit_code == 1
    assert "kept in run-partial" in result.stderr
    assert "run contains a finished run and was not changed" in result.stderr
    assert (run / "summary.json").read_bytes() == before


def test_plot_draws_the_figures_again(here: Path, ran: Path) -> None:
    run = copy_of(ran, here)
    result = cellsim("plot", "run")
    assert result.exit_code == 0, result.output
    for name in FIGURES:
        assert (run / name).read_bytes().startswith(b"\x89PNG")
    assert (run / REPORT).read_text(encoding="utf-8").count("data:image/png;base64,") == len(FIGURES)
    assert "no run folder" in cellsim("plot", ".").stderr


def test_plot_says_when_the_case_has_moved(here: Path, ran: Path) -> None:
    """A case that follows a table needs that table again; its run says where it was."""
    run = copy_of(ran, here)
    (run / "case.toml").write_text(
        SMALL + '[[measured]]\nkind = "voltage"\nfile = "U.csv"\nunit = "V"\ntime_unit = "s"\n'
    )
    result = cellsim("plot", "run")
    assert result.exit_code == 2
    assert "measured[0].file = 'U.csv' names no file" in result.stderr
    assert "--case" in result.stderr
    (here / "U.csv").write_text("t,U\n0,0.05\n20,0.05\n")
    assert cellsim("plot", "run", "--case", "small.toml").exit_code == 0


def test_run_draws_figures(here: Path) -> None:
    result = cellsim("run", "small.toml", "-o", "out")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (here / "out").iterdir()} == {
        "case.toml", "solution.nc", "summary.json", REPORT, *FIGURES,
    }  # fmt: skip


def test_export_writes_csv(here: Path, ran: Path) -> None:
    copy_of(ran, here)
    result = cellsim("export", "run", "--csv")
    assert result.exit_code == 0, result.output
    assert (here / "run/csv/series.csv").read_text().startswith("time (s),step (1),i (A/m^2),V (V)")
    assert cellsim("export", "run").exit_code == 2
    assert "no run folder" in cellsim("export", "nothing", "--csv").stderr


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("thickness", "thicknes", 'cell.thicknes is not a key of [cell]; did you mean "thickness"?'),
        ('"100 um"', '"100 s"', "cell.thickness = '100 s' is in s, which is not a length"),
        ('"100 um"', '"-100 um"', "cell.thickness = '-100 um' must be positive"),
        ('"10 mol/m^3"', '"1 mmol/m^3"', "electrolyte.salt.c = '1 mmol/m^3'"),
        ('"50 mV"', '"nan V"', "step[0].value"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(here: Path, command: str, old: str, new: str, expected: str) -> None:
    (here / "small.toml").write_text(SMALL.replace(old, new).replace('"1 mmol/m^3"', '"0.0001 mol/m^3"'))
    expected = expected.replace("1 mmol/m^3", "0.0001 mol/m^3")
    result = cellsim(command, "small.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: small.toml: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr
    assert [path.name for path in here.iterdir()] == ["small.toml"]


def test_bad_input_on_a_real_command_line_shows_no_traceback(here: Path) -> None:
    script = Path(sys.executable).with_name("cellsim")
    result = subprocess.run([script, "run", "nothing.toml"], capture_output=True, text=True, check=False, cwd=here)
    assert result.returncode == 2
    assert result.stderr == "error: nothing.toml: no such file\n"
    assert [path.name for path in here.iterdir()] == ["small.toml"]


def test_a_run_folder_that_is_a_file(here: Path) -> None:
    (here / "taken").write_text("")
    result = cellsim("run", "small.toml", "-o", "taken")
    assert result.exit_code == 2
    assert "taken: is a file" in result.stderr


# ---- Ctrl-C -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c_keeps_what_is_done_and_says_so(here: Path) -> None:
    """On a terminal, where the progress bar tells that the run is under way."""
    import pty

    text = SMALL.replace("cells = 20\nrtol = 1e-3", "cells = 400\nrtol = 1e-6")
    (here / "small.toml").write_text(text)
    leader, follower = pty.openpty()
    script = Path(sys.executable).with_name("cellsim")
    command = [str(script), "run", "small.toml", "-o", "out", "--no-figures"]

    def heed_interrupts() -> None:
        """A background job inherits SIGINT ignored; a person at a terminal does not."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=here, stdout=subprocess.PIPE, stderr=follower, text=True, preexec_fn=heed_interrupts
    ) as process:
        os.close(follower)
        seen = b""
        while not re.search(rb"[1-9]%", seen) and process.poll() is None:
            seen += os.read(leader, 1024)
        process.send_signal(signal.SIGINT)
        while chunk := _read(leader):
            seen += chunk
        process.wait(timeout=60)
    os.close(leader)
    assert process.returncode == 1, seen.decode()
    assert b"interrupted: at t = " in seen
    assert b"the partial result is kept in out" in seen
    summary = json.loads((here / "out/summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert 0 < summary["time_end"] < 20


def _read(leader: int) -> bytes:
    """What the terminal shows next; nothing once the other end is closed."""
    try:
        return os.read(leader, 1024)
    except OSError:
        return b""


def test_a_blocked_cell_is_planned_and_its_spectrum_is_read_again(tmp_path: Path) -> None:
    """Also with a constant-phase element, which a run refuses."""
    film = '[electrodes.positive]\nresistance = "50 ohm cm^2"\ncapacitance = "10 uF/cm^2"\n'
    steel = '[electrodes.negative]\nblocking = true\ncapacitance = "20 uF/cm^2"\nphase = 0.9\n'
    case = tmp_path / "case.toml"
    case.write_text(SMALL + film + steel, "utf-8")
    planned = cellsim("plan", case, "--spectrum", tmp_path / "Z.csv")
    assert planned.exit_code == 0 and "no current lasts" in planned.output and "constant-phase" in planned.output
    data, read = read_spectrum(tmp_path / "Z.csv"), load_case(case)
    exact = cell_impedance(read.cell, read.transport, read.c0, data.omega)
    assert data.per_area and np.max(np.abs(data.Z / exact - 1)) < 1e-12
    refused = cellsim("run", case, "-o", tmp_path / "run")
    assert refused.exit_code == 2 and "electrodes.negative.phase = 0.9: a run in time takes" in refused.output
