"""cellsim compare, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cellsim.cli import main

CASE = """
title = "small cell"
[cell]
thickness = "0.3 mm"
area = "1 cm^2"
temperature = "90 degC"
[electrolyte]
transport = "steinruck2020_rs"
salt = { r = 0.1 }
[[step]]
hold = "voltage"
value = "20 mV"
duration = "61 min"
[solver]
cells = 30
rtol = 1e-3
"""


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, words)])


@pytest.fixture
def case(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CASE)
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "current.csv"
    path.write_text("time (min);I (mA)\n" + "".join(f"{t};{9 - t / 20:.4f}\n".replace(".", ",") for t in range(60)))
    return path


def test_a_case_beside_a_potentiostat_table(case: Path, export: Path, tmp_path: Path) -> None:
    done = typed(case, export, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "nothing fitted" in done.output and "predicted/measured current" in done.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "compare_current.png",
        "compare_residuals.png",
        "comparison.html",
        "comparison.json",
    }
    (one,) = json.loads((tmp_path / "out/comparison.json").read_text())
    assert one["data"][0]["points"] == 60 and one["merits"][0]["name"] == "current_ratio"


def test_two_cases_and_a_run_folder(case: Path, export: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CASE.replace("steinruck2020_rs", "steinruck2020_pnb"))
    assert CliRunner().invoke(main, ["run", str(case), "-o", str(tmp_path / "kept"), "--no-figures"]).exit_code == 0
    done = typed(tmp_path / "kept", export, "--also", other, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    a, b = json.loads((tmp_path / "out/comparison.json").read_text())
    assert (a["transport"], b["transport"]) == ("steinruck2020_rs", "steinruck2020_pnb")


@pytest.mark.slow  # two runs
def test_cases_that_count_from_different_origins_are_refused(case: Path, export: Path, tmp_path: Path) -> None:
    other, profile = tmp_path / "other.toml", tmp_path / "profile.csv"
    other.write_text(CASE.replace('area = "1 cm^2"', 'position_origin = "centre"\narea = "1 cm^2"'))
    profile.write_text("time (min),position (mm),c (mol/m^3),error (mol/m^3)\n30,0.05,2300,40\n30,0.1,2350,40\n")
    done = typed(case, profile, "--also", other, "-o", tmp_path / "out")
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert 'cell.position_origin = "centre"' in done.output and "profile.csv would be read at different" in done.output
    assert typed(case, export, "--also", other, "-o", tmp_path / "out").exit_code == 0  # a current has no positions


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "nothing to compare with"),
        (("none.csv",), "cannot be read"),
        (("current.csv", "--leave-out", "-0.85 mm"), "no velocity was measured there"),
        (("current.csv", "--leave-out", "-0.85"), "--leave-out"),
        (("current.csv", "--window", "1 min", "2 mm"), "--window"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    case: Path, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = typed(case, *words, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert match in done.output and done.output.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_help_shows_a_worked_line() -> None:
    assert "Example:" in typed("--help").output
