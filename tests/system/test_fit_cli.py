"""cellsim fit, design, compare --refit and run --bands, as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cellsim.cli import main
from cellsim.electrolyte.set_file import load_set

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "cases" / "fit_example"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A fit of three parameters to the shipped data, in seconds."""
    for name in ("cell.toml", "current.csv", "profiles.csv"):
        shutil.copy(EXAMPLE / name, tmp_path)
    (tmp_path / "fit.toml").write_text(
        'title = "small"\n[[experiment]]\ncase = "cell.toml"\n'
        'data = [{ file = "current.csv", error = "1 %" }, { file = "profiles.csv", every = 5 }]\n'
        '[fit.D]\nform = "constant"\n[fit.t_plus]\nform = "constant"\nstart = 0.3\n',
        encoding="utf-8",
    )
    return tmp_path / "fit.toml"


def test_fit_writes_numbers_a_set_figures_and_a_page(small: Path, tmp_path: Path) -> None:
    done = call("fit", small, "-o", tmp_path / "out", "--starts", "1")
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    found = json.loads((out / "fit.json").read_text(encoding="utf-8"))
    assert found["order"] == ["D", "t_plus"]
    for name, truth in (("D", 1.4e-11), ("t_plus", 0.2)):  # the truth of make_data.py
        one = found["parameters"][name]
        assert one["shape"] == "bounded" and one["identified"]
        assert abs(one["value"] - truth) < 4 * one["error"]
    for name in ("fit_data.png", "fit_profiles.png", "fit_properties.png", "fit.html"):
        assert (out / name).stat().st_size > 5000
    kept = sorted((out / "profiles").glob("*.npz"))
    stamps = [p.stat().st_mtime_ns for p in kept]
    again = call("fit", small, "-o", out, "--starts", "1")  # takes the profiles from the folder
    assert again.stdout == done.stdout and len(kept) == 2
    assert [p.stat().st_mtime_ns for p in kept] == stamps
    fitted = load_set(out / "fitted_set.toml", 363.15)
    assert float(fitted.D(1800.0)) == pytest.approx(found["parameters"]["D"]["value"], rel=1e-9)
    # the set serves the next run, with bands from its own covariance
    case = (tmp_path / "cell.toml").read_text(encoding="utf-8")
    (tmp_path / "next.toml").write_text(case.replace('"steinruck2020_rs"', '"out/fitted_set.toml"'), encoding="utf-8")
    run = call(
        "run", tmp_path / "next.toml", "-o", tmp_path / "run", "--bands", "20", "--no-figures", "--solver", "sundials"
    )
    assert run.exit_code == 0, run.output
    table = np.loadtxt(tmp_path / "run" / "bands.csv", delimiter=",", skiprows=1)
    assert np.all(np.diff(table[:, 1:6], axis=1) >= 0) and (tmp_path / "run" / "bands.png").stat().st_size > 5000


def test_bad_input_is_one_line_and_exit_code_2(small: Path, tmp_path: Path) -> None:
    small.write_text(small.read_text(encoding="utf-8").replace("[fit.D]", "[fit.d]"), encoding="utf-8")
    done = call("fit", small, "-o", tmp_path / "out")
    assert done.exit_code == 2 and done.output.startswith("error: ") and done.output.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert call("design", tmp_path / "none.toml").exit_code == 2
    assert (
        call(
            "run", EXAMPLE / "cell.toml", "-o", tmp_path / "r", "--bands", "20", "--no-figures", "--solver", "sundials"
        ).exit_code
        == 2
    )


def test_design_prints_its_table_and_writes_its_figure(tmp_path: Path) -> None:
    done = call("design", EXAMPLE / "design.toml", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "standard error" in done.output and "profile at" in done.output
    rated = json.loads((tmp_path / "design.json").read_text(encoding="utf-8"))["rated"]
    assert len(rated) == 36 and rated[0]["per_hour"] == max(r["per_hour"] for r in rated)
    assert (tmp_path / "design.png").stat().st_size > 5000


@pytest.mark.slow  # two FiPy runs and twelve fits
def test_compare_refit_names_what_the_data_do_not_tell_apart(tmp_path: Path) -> None:
    case = (EXAMPLE / "cell.toml").read_text(encoding="utf-8")
    names = ("steinruck2020_rs", "steinruck2020_rs_volume")
    for name in names:
        (tmp_path / f"{name}.toml").write_text(case.replace('"steinruck2020_rs"', f'"{name}"'), encoding="utf-8")
    sheet = tmp_path / "i.toml"
    shutil.copy(EXAMPLE / "current.csv", tmp_path)
    sheet.write_text('kind = "current"\nfile = "current.csv"\nerror = "0.03 A/m^2"\n', encoding="utf-8")
    done = call(
        "compare",
        tmp_path / f"{names[0]}.toml",
        sheet,
        "--also",
        tmp_path / f"{names[1]}.toml",
        "--refit",
        "R_int",
        "--refit",
        "area",
        "-o",
        tmp_path / "out",
    )
    assert done.exit_code == 0, done.output
    assert "dAIC" in done.output and "do not distinguish" in done.output
