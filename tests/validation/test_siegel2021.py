"""Siegel 2021, Eq. 7 against other people's conductivities: the documented numbers, also where they disagree."""

import sys

import pytest
from scripts import loaded


@pytest.fixture(scope="module")
def study():
    return loaded("validation/siegel2021/run.py")


def test_fits_are_as_documented(study):
    found = {one.mass: one for one in study.series()}
    # A in S/m, r*, scatter, deviation of the printed curve: as in validation/README.md, to its digits
    documented = {
        5e3: (5.34, 0.0751, 0.32, 0.35),
        29.5e3: (5.77, 0.0715, 0.09, 0.21),
        275e3: (6.82, 0.0692, 0.22, 0.36),
    }
    for mass, (a, r_star, scatter, off) in documented.items():
        one = found[mass]
        assert pytest.approx(a, rel=2e-3) == one.fit.A
        assert one.fit.r_star == pytest.approx(r_star, rel=2e-3)
        assert one.fit.scatter == pytest.approx(scatter, abs=0.006)
        assert one.printed_off == pytest.approx(off, abs=0.006)


def test_the_printed_pair_lies_outside(study):
    for one in study.series():
        assert one.interval(0)[0] > study.A_PRINTED
        assert one.interval(1)[1] < study.R_PRINTED


def test_table_is_written(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", str(tmp_path)])
    study.main()
    assert "0.700 nm, printed 0.7 nm" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "conductivity.png").stat().st_size > 10_000
    assert "Eq. 7" in capsys.readouterr().out
