"""cellsim lab, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cellsim.cli import main


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)


def test_lab_lists_its_experiments() -> None:
    done = call("lab")
    assert done.exit_code == 0
    for name in ("impedance", "restricted-diffusion", "hittorf", "enmr", "chain", "misuse", "all"):
        assert f"\n{name} " in f"\n{done.output}"


def test_the_chain_prints_true_beside_inferred() -> None:
    done = call("lab", "chain", "landesfeind2019_ec_dmc", "--c", "1.5 mol/L")
    assert done.exit_code == 0, done.output
    row = next(line for line in done.output.splitlines() if line.strip().startswith("t_plus")).split()
    assert abs(float(row[1]) - float(row[2])) < 0.002
    assert "1.5 mol/L" in done.output


def test_all_writes_figures_and_numbers(tmp_path: Path) -> None:
    done = call("lab", "all", "steinruck2020_rs", "--r", "0.08", "--noise", "-o", tmp_path / "lab")
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "lab" / "summary.json").read_text(encoding="utf-8"))
    assert len(data["experiments"]) == 9
    for experiment in data["experiments"]:
        picture = tmp_path / "lab" / f"{experiment['name']}.png"
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert all(x["error"] is None or x["error"] >= 0 for x in experiment["readings"])
    chain = next(x for x in data["experiments"] if x["name"] == "chain")["readings"]
    for reading in chain:  # five standard errors, and the systematic 1e-3
        assert abs(reading["inferred"] - reading["true"]) < 5 * reading["error"] + 2e-3 * abs(reading["true"])


def test_a_seed_draws_its_own_noise_and_draws_it_again() -> None:
    first, again, other = (
        call("lab", "impedance", "steinruck2020_rs", "--r", "0.1", "--noise", "--seed", seed).output for seed in "112"
    )
    assert first == again and first != other


def test_a_case_goes_on_the_bench() -> None:
    done = call("lab", "current-fraction", "cases/steinruck2020/rs.toml")
    assert done.exit_code == 0, done.output
    assert "L = 3 mm" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lab", "impedence", "poss_ptf"), "is no experiment"),
        (("lab", "impedance"), "give an experiment and a set"),
        (("lab", "impedance", "poss_pft"), "poss_ptf"),
        (("lab", "impedance", "poss_ptf", "--c", "3 mol/L"), "saturation"),
        (("lab", "impedance", "poss_ptf", "--c", "20 kg"), "--c"),
        (("lab", "impedance", "poss_ptf", "--thickness", "-1 mm"), "thickness"),
        (("lab", "chain", "README.md"), "README.md"),
        (("lab", "hittorf", "poss_ptf", "--seed", "3"), "add --noise or leave it out"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
