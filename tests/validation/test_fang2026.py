"""Fang et al. 2026: formulas and statements, also where the paper and its own equations differ."""

import pytest
from scripts import loaded


@pytest.fixture(scope="module")
def study():
    return loaded("validation/fang2026/run.py")


def test_formulas(study):
    rows = {row.key: row for row in study.formulas()}
    agreeing = {key for key, row in rows.items() if row.verdict.startswith("agrees")}
    assert {"eq2", "eq3", "eq4", "text4", "eq5", "eq6"} == agreeing
    assert rows["eq4"].value < 3e-9  # polarised cells, measured 7e-10
    # Eq. 7 has not the normalisation of Eq. 1: the walkers give c^2 between them, 0.999, standard error 0.001
    assert rows["eq7"].value == pytest.approx(1, abs=4e-3)
    assert rows["eq6"].value == pytest.approx(1, abs=0.08)


def test_numbers_and_statements(study):
    rows = {row.key: row for row in study.numbers()}
    assert rows["overlap"].value == pytest.approx(0.390, abs=5e-4)  # mol/L, printed 0.4
    assert rows["pfg"].value == pytest.approx(2.22, abs=5e-3)
    assert rows["box"].value < 0.2  # anions in a box from whole numbers
    assert [key for key, row in rows.items() if not row.verdict.startswith("agrees")] == ["minor"]
    # by hand: t+m - t+0 = c+ (m_unit (1 - t+0) - M_Li t+0)/rho, which is exact for the barycentre
    by_hand = 800.0 * (study.M_UNIT * 2 + study.M_LI) / study.DENSITY
    assert rows["minor"].value == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.slow
def test_the_twins_and_what_is_written(study, tmp_path):
    rows = {row.key: row for row in study.main(tmp_path)}
    assert rows["eq1"].verdict == "agrees"
    # four runs of 100 ns: half widths of t+0 as documented, 0.13 and 0.06
    assert rows["twin0"].value == pytest.approx(0.13, abs=0.03)
    assert rows["twin1"].value == pytest.approx(0.06, abs=0.02)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "5 cannot be checked" in text and "*synthetic* walkers" in text
    assert (tmp_path / "twin.png").stat().st_size > 10_000
