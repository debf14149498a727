"""Sweeps over cases of n components: each run is that of its own case; what a case does not have is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import cellsim
from cellsim.base import InputError
from cellsim.cli import main
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.model.mixture import sand_time
from cellsim.run.axes import Axis, Sweep, read_sweep
from cellsim.run.mixture import read_case
from cellsim.run.sweep import run_sweep

SET = """
name = "swept"
status = "assumed"
note = "a test"
cation = "Li"
solvent = "S"
species = [{ name = "Li", z = 1 }, { name = "X", z = -1, V = "80 cm^3/mol" }, { name = "A", V = "60 cm^3/mol" },
    { name = "S", V = "70 cm^3/mol" }]
[range]
r = { X = [0.001, 0.2], A = [0.01, 2.0] }
[Omega]
matrix = [[2e-9, 0.6e-9, 3e-9], [0.6e-9, 2.6e-9, 1e-9], [3e-9, 1e-9, 30e-9]]
unit = "mol^2/(J m s)"
source = "assumed"
[G]
ideal = true
source = "assumed"
"""
CASE = """
title = "small"
[cell]
thickness = "0.1 mm"
temperature = "298.15 K"
[electrolyte]
transport = "set.toml"
composition = { r = { X = 0.1, A = 1.0 } }
[[step]]
hold = "current"
value = "1 A/m^2"
duration = "20 s"
[solver]
cells = 16
rtol = 1e-4
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "set.toml").write_text(SET)
    (tmp_path / "case.toml").write_text(CASE)
    return tmp_path / "case.toml"


def test_every_run_of_a_sweep_is_the_run_of_its_own_case(case, tmp_path):
    result = run_sweep(read_sweep(case, ["r.A=0.9, 1", "current=1, 40000 A/m^2"]), tmp_path / "out")
    assert list(result.status) == ["done", "out_of_range"] * 2
    for k, point in enumerate(result.sweep.points()):
        own = read_case(case, changes=point)
        alone = cellsim.simulate(own.cell, own.transport, own.protocol, c0=own.r0, options=own.solver.options)
        share = alone["c_face_A"] / (alone["c_face_A"] + alone["c_face_S"])
        expected = {
            "V_end": alone["V"][-1],
            "V_end_A": alone["V_component_A"][-1],
            "c_min_X": min(alone["c_X"].min(), alone["c_face_X"].min()),
            "share_max_A": share.max(),
        }
        assert {name: result.values[name][k] for name in expected} == pytest.approx(expected, rel=1e-9)
        # a first voltage is i L/kappa, whatever the composition does afterwards
        exact = alone["i"][0] * own.cell.thickness / float(own.transport.at(own.r0).kappa)
        assert result.values["V_0"][k] == pytest.approx(exact, rel=1e-6)
        assert result.values["sand_time"][k] == sand_time(own.cell, own.transport, own.r0, alone["i"][0])


@pytest.mark.slow
def test_the_command_writes_columns_for_every_species(case, tmp_path):
    out = tmp_path / "swept"
    done = CliRunner().invoke(main, ["sweep", str(case), "--over", "current=1, 2 A/m^2", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["sweep.csv", "sweep.nc", "sweep.png", "sweep_curves.png"]
    with xr.open_dataset(out / "sweep.nc") as data:
        assert {"c_min_S", "c_max_Li", "V_end_X", "share_min_A", "sand_time"} <= set(data) and "c_min" not in data
        assert data["V_0"].values[1] == pytest.approx(2 * data["V_0"].values[0])
    header = (out / "sweep.csv").read_text().splitlines()[0]
    assert "c_min_X (mol/m^3)" in header and "limit" not in header and "settling" not in header


def test_a_number_beside_the_diagonal_is_changed_in_both_places(case):
    changes = {"electrolyte.change": {"Omega.matrix[0][1]": 1e-10}}
    transport = read_case(case, changes=changes).transport
    Omega = transport.Omega(np.array([0.1, 1.0]))
    assert Omega[0, 1] == Omega[1, 0] == 1e-10 and "changed: Omega.matrix[0][1] = 1e-10" in transport.note
    plain = load_electrolyte("set.toml", folder=case.parent).Omega(np.array([0.1, 1.0]))
    assert plain[0, 1] == 0.6e-9 and np.array_equal(np.delete(plain, [1, 3]), np.delete(Omega, [1, 3]))


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ("c=1, 2 mol/L", "name a species, such as c.NAME"),
        ("c.A=1, 2 mol/L", "states its composition by r; change r.A"),
        ("r.AA=1, 2", 'AA is not a component of swept; did you mean "A"'),
        ("r.S=1, 2", "S is the reference solvent, whose amount follows"),
        ("r.A=1 mV, 2 mV", "composition.r.A = '1 mV'"),
        ("r.A=7, 8", "lies outside 0.01-2 of swept"),
        ("set.D=1e-10, 2e-10 m^2/s", "D is no key of this set"),
        ("set.components.tau.A=1, 2", "components.tau.A is no key of this set"),
        ("set.Omega.matrix[0][1]=1e-7, 1e-8", "second law is broken"),
        ("electrolyte.salt.c=1, 2 mol/L", "belongs to a set of one salt"),
        ("set=nothing.toml", "nothing.toml"),
    ],
)
def test_what_such_a_case_does_not_have_is_one_sentence(case, tmp_path, over, told):
    done = CliRunner().invoke(main, ["sweep", str(case), "--over", over, "-o", str(tmp_path / "out")])
    assert done.exit_code == 2 and told in done.output and not (tmp_path / "out").exists()


def test_a_species_of_a_binary_case_and_sets_of_other_species_are_refused(case, tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_text(
        CASE.replace("composition = { r = { X = 0.1, A = 1.0 } }", 'salt = { c = "1 mol/L" }').replace(
            "set.toml", "dilute_ideal"
        )
    )
    with pytest.raises(InputError, match=r"c\.EC names a species, and this case states one salt; change c"):
        run_sweep(read_sweep(binary, ["c.EC=1 mol/L"]), tmp_path / "out")
    other = tmp_path / "other.toml"
    other.write_text(SET.replace('"A"', '"B"').replace("A = [", "B = ["))
    electrolytes = (
        {"transport": "set.toml", "composition": {"r": {"X": 0.1, "A": 1.0}}},
        {"transport": "other.toml", "composition": {"r": {"X": 0.1, "B": 1.0}}},
    )
    sweep = Sweep(read_sweep(case, ["current=1 A/m^2"]).top, (Axis("electrolyte", electrolytes),))
    with pytest.raises(
        InputError, match="sets of the same species, and these have Li, X, A, S in one run and Li, X, B"
    ):
        run_sweep(sweep, tmp_path / "out")
