"""cellsim analyse, as a user types it, on the records of cases/analyse_example, whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cellsim.cli import main
from cellsim.electrolyte.set_file import load_set, read_set

EXAMPLE = Path(__file__).parents[2] / "cases" / "analyse_example"
TRUE = {"kappa": 0.1515, "D": 1.4e-11, "rho_plus": 0.1347, "dU/dlnm": 0.07164, "t_plus": 0.2, "chi": 1.431}


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["analyse", *(str(w) for w in words)], catch_exceptions=False)


def measured(folder: Path) -> dict[str, dict]:
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert all(one["what"] and isinstance(one["holds"], bool) for one in found["assumptions"])
    return {one["quantity"]: one for one in found["measured"]}


def holds(found: dict[str, dict], *quantities: str) -> None:
    """The truth lies within the interval, or within two of its standard errors: the seeds are fixed."""
    for quantity in quantities:
        one = found[quantity]
        assert abs(one["value"] - TRUE[quantity]) < 3 * one["standard_error"] + 1e-3 * abs(TRUE[quantity]), one


def test_the_kinds_are_listed() -> None:
    done = call()
    assert done.exit_code == 0
    for name in ("relaxation", "fraction", "impedance", "concentration-cell", "chain"):
        assert f"\n{name} " in f"\n{done.output}"


def test_a_rest_gives_d(tmp_path: Path) -> None:
    done = call("relaxation", EXAMPLE / "rest.csv", "--thickness", "0.500 ± 0.005 mm", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    holds(measured(tmp_path / "out"), "D")
    assert "the baseline does not drift: yes" in done.output and "95 %" in done.output
    assert (tmp_path / "out" / "relaxation.png").read_bytes()[:4] == b"\x89PNG"


def test_concentration_cells_give_a_slope(tmp_path: Path) -> None:
    done = call("concentration-cell", EXAMPLE / "cells.csv", "--at", "1 mol/L", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    # against ln c: the slope against ln m over the volume fraction of the solvent, 1 - c V_e = 0.8651
    assert measured(tmp_path / "out")["dU/dlnc"]["value"] == pytest.approx(0.07164 / 0.8651, rel=0.01)


def test_a_current_in_amperes_gives_the_same_as_one_per_area(tmp_path: Path) -> None:
    call("fraction", EXAMPLE / "hold.csv", "--r0", "35.4 ± 0.1 ohm", "--bulk", "29.2 ohm", "-o", tmp_path / "total")
    text = (EXAMPLE / "hold.csv").read_text().replace("I (mA)", "I (mA/cm^2)")  # a cell of 1 cm^2
    (tmp_path / "hold.csv").write_text(text)
    words = ("--r0", "35.4 ± 0.1 ohm cm^2", "--bulk", "29.2 ohm", "--area", "1 cm^2")
    done = call("fraction", tmp_path / "hold.csv", *words, "-o", tmp_path / "per_area")
    assert done.exit_code == 0, done.output
    one, other = measured(tmp_path / "total")["rho_plus"], measured(tmp_path / "per_area")["rho_plus"]
    assert other["value"] == pytest.approx(one["value"], rel=1e-3)  # the draws differ with the file
    holds({"rho_plus": one}, "rho_plus")


@pytest.mark.slow  # 5 s
def test_the_chain_gives_a_set(tmp_path: Path) -> None:
    done = call("chain", EXAMPLE / "chain.toml", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = measured(tmp_path / "out")
    holds(found, *TRUE)
    transport = load_set(tmp_path / "out" / "set.toml", 363.15)
    assert float(transport.D(1000.0)) == pytest.approx(found["D"]["value"], rel=1e-9)
    assert float(transport.t_plus(1000.0)) == pytest.approx(found["t_plus"]["value"], rel=1e-9)
    covariance = read_set(tmp_path / "out" / "set.toml").covariance
    assert covariance is not None
    errors = np.sqrt(np.diag(covariance.matrix))
    for k, quantity in enumerate(("kappa", "D", "t_plus", "chi")):
        assert errors[k] == pytest.approx(found[quantity]["standard_error"], rel=0.1)
    # 1 % of the thickness, shared: kappa goes with L and D with L^2
    assert 0.5 < covariance.matrix[0, 1] / (errors[0] * errors[1]) < 0.9


REST, HOLD, CELLS, SPECTRUM = (EXAMPLE / f"{name}.csv" for name in ("rest", "hold", "cells", "spectrum"))
L = ("--thickness", "0.5 mm")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("relax", REST), 'did you mean "relaxation"'),
        (("relaxation",), "name the file"),
        (("relaxation", REST), "--thickness"),
        (("relaxation", REST, "--thickness", "0.5 kg"), "not a length"),
        (("relaxation", REST, "--thickness", "0 mm"), "must be positive"),
        (("relaxation", REST, *L, "--r0", "3 ohm"), "--r0 is not asked for here"),
        (("relaxation", REST, *L, "--from", "1 d"), "no readings"),
        (("relaxation", REST, *L, "--column", "U"), "ROLE=COLUMN"),
        (("relaxation", REST, HOLD, *L), "takes one file"),
        (("relaxation", "none.csv", *L), "no such file"),
        (("relaxation", HOLD, *L), "a current flows in every row"),
        (("relaxation", SPECTRUM, *L), "impedance spectrum"),
        (("impedance", REST), "no column of frequency"),
        (("impedance", SPECTRUM, "--area", "1 mm"), "area"),
        (("fraction", HOLD), "resistance of the interfaces is needed"),
        (("fraction", HOLD, "--r0", "-3 ohm"), "must not be negative"),
        (("fraction", HOLD, "--r0", "3 V"), "--r0"),
        (("fraction", HOLD, "--r0", "40 ohm cm^2"), "--area"),
        (("fraction", HOLD, "--r0", "4 kohm"), "check the units"),
        (("fraction", HOLD, "--r0", "3 ohm", "--before", "none.csv"), "names no file"),
        (("fraction", HOLD, "--r0", "3 ohm", "--voltage", "-10 mV"), "other sign"),
        (("fraction", REST, "--r0", "3 ohm"), "the voltage is not held"),
        (("concentration-cell", CELLS), "--at"),
        (("concentration-cell", CELLS, "--at", "5 mol/L"), "lies outside"),
        (("concentration-cell", REST, "--at", "1 mol/L"), "composition"),
        (("chain", REST), "one TOML file"),
        (("chain", EXAMPLE / "chain.toml", *L), "states everything else"),
    ],
)
def test_bad_input_is_one_sentence(words: tuple[str | Path, ...], said: str, tmp_path: Path) -> None:
    done = call(*words, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert said in done.stderr and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('area = "1.13 cm^2 +- 1 %"', "", "no kappa"),
        ('temperature = "90 degC"', "", "cell.temperature is missing"),
        ('c = "1 mol/L"', 'c = "1 kg"', "cell.c"),
        ('M = "287.08 g/mol"', 'mass = "287.08 g/mol"', "salt.mass is not a key"),
        ('before = "spectrum.csv"', 'befor = "spectrum.csv"', "did you mean"),
        ('file = "cells.csv"', 'file = "sells.csv"', "names no file"),
    ],
)
def test_a_chain_file_that_is_wrong_is_said(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = (EXAMPLE / "chain.toml").read_text(encoding="utf-8")
    assert old in text
    for name in ("rest", "hold", "cells", "spectrum"):
        (tmp_path / f"{name}.csv").write_bytes((EXAMPLE / f"{name}.csv").read_bytes())
    (tmp_path / "chain.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    done = call("chain", tmp_path / "chain.toml", "-o", tmp_path / "out")
    assert done.exit_code == 2 and said in done.stderr, done.output
