"""Bands of a run of n components: closed forms of what the draws do, what is kept, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.cli import main
from cellsim.fit.bands import UNFINISHED, bands_of_case, drawn_sets
from cellsim.run.ensemble import Member
from cellsim.run.mixture import read_case

SET = """
name = "drawn"
status = "assumed"
note = "a test"
cation = "Li"
solvent = "S"
species = [{ name = "Li", z = 1 }, { name = "X", z = -1, V = "80 cm^3/mol" }, { name = "A", V = "60 cm^3/mol" },
    { name = "S", V = "70 cm^3/mol" }]
[range]
r = { X = [0.05, 0.2], A = [0.5, 2.0] }
[constants]
s = 1.0
[Omega]
matrix = [["s * 2e-9", "s * 0.6e-9", "s * 3e-9"], ["s * 0.6e-9", "s * 2.6e-9", "s * 1e-9"],
    ["s * 3e-9", "s * 1e-9", "s * 30e-9"]]
unit = "mol^2/(J m s)"
source = "assumed"
[G]
ideal = true
source = "assumed"
[covariance]
parameters = ["constants.s"]
matrix = [[0.0025]]
"""
CASE = """
title = "drawn"
[cell]
thickness = "0.1 mm"
temperature = "298.15 K"
[electrolyte]
transport = "set.toml"
composition = { r = { X = 0.1, A = 1.0 } }
[[step]]
hold = "voltage"
value = "1 mV"
duration = "20 s"
[solver]
cells = 16
rtol = 1e-4
"""


@pytest.fixture
def case(tmp_path):
    (tmp_path / "set.toml").write_text(SET, encoding="utf-8")
    (tmp_path / "case.toml").write_text(CASE, encoding="utf-8")
    return tmp_path / "case.toml"


def test_draws_that_were_run_before_a_kill_are_not_run_again(case, tmp_path, monkeypatch):
    read, at = read_case(case), tmp_path / "run"
    whole = bands_of_case(read, 4, seed=3)

    def killed(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bands_of_case(read, 4, seed=3, folder=at, progress=killed)
    assert len(list((at / UNFINISHED).iterdir())) == 3
    run = Member.run
    count = []
    monkeypatch.setattr(Member, "run", lambda member: (count.append(1), run(member))[1])
    again = bands_of_case(read, 4, seed=3, folder=at)
    assert len(count) == 1
    assert not (at / UNFINISHED).exists()
    assert np.array_equal(again.i, whole.i) and np.array_equal(again.c, whole.c)
    assert all(np.array_equal(again.velocities[key], each) for key, each in whole.velocities.items())


def test_the_current_has_the_spread_of_the_mobilities(case):
    """Omega times s: i at the begin and at the end is proportional to s, and no profile at the end depends on it."""
    read = read_case(case)
    found = bands_of_case(read, 8, seed=3)
    s = np.array([each.at(read.r0).kappa for each in drawn_sets(read.transport, 8, seed=3)])
    assert found.draws == 8 and found.failed == 0
    expected = np.quantile(s, found.quantiles, method="weibull") * 1e-3 / 1e-4  # kappa V/L
    assert found.i[:, 0] == pytest.approx(expected, rel=1e-3)
    assert found.i[:, -1] / found.i[2, -1] == pytest.approx(expected / expected[2], rel=1e-3)
    for name, share in found.shares.items():
        assert np.ptp(share[:, -1], axis=0).max() < 1e-5, name
        assert np.ptp(share[2, -1]) > 1e-4, name
    assert sum(found.shares[name][2] for name in ("A", "S")) == pytest.approx(1.0, abs=1e-6)
    text = " ".join(found.lines())
    assert "A of the solvent at the end" in text and "8 draws" in text
    low, high = found.everywhere["i"]
    assert np.all(low <= found.i[0] * (1 + 1e-9)) and np.all(high >= found.i[-1] * (1 - 1e-9))


@pytest.mark.slow
def test_command(case):
    done = CliRunner().invoke(main, ["run", str(case), "-o", str(case.parent / "out"), "--bands", "20", "--no-figures"])
    assert done.exit_code == 0, done.output
    assert {"bands.csv", "bands.nc", "bands.png"} <= {path.name for path in (case.parent / "out").iterdir()}
    assert "95 %" in done.output


def test_refused(case):
    path = Path(case.parent / "set.toml")
    path.write_text(path.read_text().replace('[covariance]\nparameters = ["constants.s"]\nmatrix = [[0.0025]]\n', ""))
    done = CliRunner().invoke(main, ["run", str(case), "-o", str(case.parent / "out"), "--bands", "40", "--no-figures"])
    assert done.exit_code == 2 and "has no [covariance]" in done.output
