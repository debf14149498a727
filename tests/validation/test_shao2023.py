"""Shao & Zhang 2023: formulas, cells and the synthetic twin against what the paper prints."""

import pytest
from scripts import loaded


@pytest.fixture(scope="module")
def study():
    return loaded("validation/shao2023/run.py")


def test_every_formula_agrees(study):
    rows = {row.key: row for row in study.formulas()}
    assert {"eq4", "eq6", "eq11", "eq13", "eq14", "eq15", "eq18", "eq19", "eq20", "eq22"} <= set(rows)
    assert [key for key, row in rows.items() if not row.verdict.startswith("agrees")] == ["order"]
    assert rows["order"].value < 3e-4  # the first-order law of t_ss - t_app, 8e-5 off at correlations of 1e-4
    assert rows["eq15"].value == pytest.approx(1, abs=0.006)  # measured 0.998: the gap is linear in the correlations


@pytest.mark.slow
def test_cells_the_twin_and_what_is_written(study, tmp_path):
    rows = {row.key: row for row in study.main(tmp_path)}
    assert rows["cell"].value < 1.2e-6  # measured 4e-7 at 0.1 mV: the small-signal limit
    assert rows["range"].verdict == rows["app"].verdict == "cannot be checked"
    assert all(rows[key].verdict.startswith("agrees") for key in ("eq23", "eq24", "twin", "frame"))
    assert rows["eq24"].value < 2e-14  # measured 5e-15
    # what forgetting the frame does: little to t_ss (5 %), much to t_+ (0.63)
    assert rows["frame"].value == pytest.approx(0.051, abs=0.002)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "Of 21: 18 agree, 3 cannot be checked." in text and "*synthetic* walkers" in text
    assert (tmp_path / "current_fraction.png").stat().st_size > 10_000
