"""`mdcoeffs interface` as a user types it: ions in a double well of known barrier."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from double_well import study

from mdcoeffs.cli import main
from mdcoeffs.interface.rates import rate_at, rate_ratio, split_barrier

SPECIES = """
title = "Ions in a double well (synthetic)"
temperature = "600 K"
arrays = "run.npz"

[units]
position = "angstrom"
time = "ps"

[species.Li]
charge = 1
role = "cation"
mass = "6.94 g/mol"

[species.gel]
role = "solvent"
mass = "1000 g/mol"

[interface]
bin = "0.375 angstrom"
net_charge = 20
charge = false

[interface.regions.right]
points = "Li"
between = ["0 angstrom", "19 angstrom"]
margin = "6 angstrom"

[interface.barriers.top]
points = "Li"
zero = "-10 angstrom"
well = ["-13.5 angstrom", "-6.5 angstrom"]
top = ["-3 angstrom", "3 angstrom"]
region = "right"

[interface.prediction]
barrier = "top"
temperature = "500 K"
jumps = 12
ions = 10
time = "2 ns"
at = [{ temperature = "400 K" }]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("cli")
    well = study.make_well(4.0, 0.0)
    sites = study.simulate(well, 1500, round(8 * study.residence(well) / 1500), 11)
    where = np.zeros((1500, study.WALKERS + 1, 3))
    # a jitter within the site, so that no ion sits on the edge of a bin
    jitter = np.random.default_rng(1).uniform(-0.18, 0.18, sites.shape)
    where[:, :-1, 2] = np.mod(20.0 + 10.0 * study.X[sites] + jitter, 40.0)
    np.savez(
        here / "run.npz",
        positions=where,
        labels=["Li"] * study.WALKERS + ["gel"],
        time=np.arange(1500.0),
        box=np.diag([10.0, 10.0, 40.0]),
    )
    (here / "SPECIES.toml").write_text(SPECIES)
    return here


def test_barrier_rate_verdict_and_prediction(folder):
    done = CliRunner().invoke(main, ["interface", str(folder / "SPECIES.toml"), "-o", str(folder / "out")])
    assert done.exit_code == 0, done.output
    written = {path.name for path in (folder / "out").iterdir()}
    assert written == {"interface.nc", "summary.json", "profiles.csv", "populations.csv", "interface.png"}
    found = json.loads((folder / "out" / "summary.json").read_text())
    barrier = found["barriers"]["top"]["barrier_K"]
    # parabolas through a quartic top and bottom: 2398 K for 4 kT = 2400 K; measured 2324 +- 44
    exact = study.barrier_between(
        [np.stack([study.make_well(4.0, 0.0).density] * 2)], [np.ones(2)], 600.0, study.X, study.WELL, study.TOP
    )
    assert abs(barrier["value"] - exact.value[0]) < 4 * barrier["standard_error"] < 500
    k = float(exact.value[1]) * 1e18  # a unit of X is 10 angstrom
    assert found["barriers"]["top"]["k"]["value"] == pytest.approx(k, rel=0.1)
    region = found["regions"]["right"]
    assert region["state"] in ("equilibrated", "wandering") and region["EC"] > 0.8
    assert "EC = " in done.output and "at 400 K:" in done.output
    # the prediction is that of the formulas, carried by the counts at both temperatures
    entered = sum(region["entered"].values())
    gamma = rate_ratio((entered, 12), (region["donors"] * region["time"], 10 * 2e-9))
    assert found["prediction"]["gamma"]["value"] == pytest.approx(gamma.value, rel=1e-9)
    split = split_barrier(gamma.value, temperatures=(600.0, 500.0), barrier=barrier["value"], reduction=0.0)
    share = region["entry_rate"]["value"] / found["barriers"]["top"]["tst_rate"]
    expected = share * float(rate_at(400.0, split, found["barriers"]["top"]["frequency"]))
    assert found["prediction"]["at"][0]["rate"]["value"] == pytest.approx(expected, rel=1e-9)


def test_bad_input_is_one_line_and_code_2(folder, tmp_path):
    path = folder / "bad.toml"
    path.write_text(SPECIES.replace('zero = "-10 angstrom"', 'zero = "-17 angstrom"'))
    done = CliRunner().invoke(main, ["interface", str(path), "-o", str(tmp_path)])
    assert done.exit_code == 2
    assert (
        "barriers.top.zero = -17 angstrom: no Li was found there" in done.output and len(done.output.splitlines()) == 1
    )


def test_an_empty_interface_table_still_gives_profiles(folder, tmp_path):
    path = folder / "plain.toml"
    path.write_text(SPECIES[: SPECIES.index("[interface]")] + "[interface]\nnet_charge = 20\n")
    done = CliRunner().invoke(main, ["interface", str(path), "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "profiles.csv").is_file()
