"""A run that is begun again after a kill takes the steps that were kept, and ends with the same numbers."""

from pathlib import Path

import numpy as np
import pytest

from cellsim.run import mixture
from cellsim.run.case import load_case
from cellsim.run.folder import STEPS, predict
from cellsim.solvers import bdf2, tape

BINARY = """
title = "refined"
[cell]
thickness = "0.3 mm"
temperature = "363.15 K"
[electrolyte]
transport = "steinruck2020_rs"
salt = { c = "1 mol/L" }
[[step]]
hold = "voltage"
value = "50 mV"
duration = "100 s"
[[step]]
hold = "current"
value = "0 A/m^2"
duration = "100 s"
[solver]
name = "fipy"
cells = 10
rtol = 1e-3
"""
MIXTURE = Path(__file__).parents[3] / "cases" / "mixed_solvent" / "segregation.toml"


@pytest.fixture
def case(tmp_path):
    (tmp_path / "case.toml").write_text(BINARY, encoding="utf-8")
    return load_case(tmp_path / "case.toml")


def killed(case, folder, after, **options):
    """Begin a run and kill it after so many steps; of all grids."""
    count = 0

    def stop(_):
        nonlocal count
        count += 1
        if count == after:
            raise MemoryError  # anything but Ctrl-C, after which a partial result would be returned

    with pytest.raises(MemoryError):
        predict(case, folder=folder, progress=stop, **options)


@pytest.mark.parametrize("after", [2, 120])  # on the first grid, and on a finer one
def test_the_steps_before_a_kill_are_not_solved_for_again(after, case, tmp_path, monkeypatch):
    monkeypatch.setattr(tape, "EVERY", -1.0)
    case = load_case(tmp_path / "case.toml", changes={"solver.refine": True})
    solved, attempt = [], bdf2.Bdf2Stepper._try
    monkeypatch.setattr(bdf2.Bdf2Stepper, "_try", lambda self, t: (solved.append(t), attempt(self, t))[1])
    whole = predict(case)
    solved_alone = len(solved)
    killed(case, tmp_path, after)
    marches = {path.name[:8] for path in (tmp_path / STEPS).glob("*.npz")}
    assert ("march-02" in marches) == (after == 120)
    solved.clear()
    again = predict(case, folder=tmp_path)
    assert solved_alone - 1.3 * after < len(solved) < solved_alone - 0.9 * after
    for name in ("time", "i", "V", "c", "v_minus"):
        assert np.array_equal(again[name], whole[name], equal_nan=True), name
    assert not (tmp_path / STEPS).exists()


def test_n_components(case, tmp_path, monkeypatch):
    monkeypatch.setattr(tape, "EVERY", -1.0)
    read = mixture.read_case(MIXTURE, changes={"solver.cells": 12, "solver.rtol": 1e-2})
    whole = predict(read, solver="fipy")
    killed(read, tmp_path / "n", 10, solver="fipy")
    again = predict(read, solver="fipy", folder=tmp_path / "n")
    assert np.array_equal(again["c_face"], whole["c_face"]) and np.array_equal(again["V"], whole["V"])


def test_steps_of_another_run_and_damaged_ones_are_not_used(case, tmp_path, monkeypatch):
    monkeypatch.setattr(tape, "EVERY", -1.0)
    whole = predict(case)
    killed(case, tmp_path, 5)
    last = max((tmp_path / STEPS).glob("*.npz"))
    last.write_bytes(last.read_bytes()[:-30])
    assert np.array_equal(predict(case, folder=tmp_path)["i"], whole["i"])
    killed(case, tmp_path, 5)
    (tmp_path / "other.toml").write_text(BINARY.replace("50 mV", "60 mV"), encoding="utf-8")
    other = load_case(tmp_path / "other.toml")
    assert np.array_equal(predict(other, folder=tmp_path)["i"], predict(other)["i"])


def test_a_short_run_writes_nothing(case, tmp_path):
    killed(case, tmp_path / "run", 5)
    assert not (tmp_path / "run").exists()


def test_after_ctrl_c_the_steps_are_kept(case, tmp_path, monkeypatch):
    monkeypatch.setattr(tape, "EVERY", -1.0)

    def stop(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    assert predict(case, folder=tmp_path, progress=stop).status == "interrupted"
    assert (tmp_path / STEPS).is_dir()
    assert predict(case, folder=tmp_path).status == "done"
    assert not (tmp_path / STEPS).exists()
