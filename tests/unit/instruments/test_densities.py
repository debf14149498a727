"""Partial molar volumes from densities: the line of Steinrueck 2020, Eq. 4, its errors, and tables that do not do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.base import N_A, InputError
from cellsim.cli import main
from cellsim.electrolyte.set_file import parse_set, read_set
from cellsim.electrolyte.volumes import partial_volumes
from cellsim.instruments.densities import volumes_of_densities

M_E, M_0 = 287.09e-3, 44.053e-3
V_E, V_0 = 224e-30 * N_A, 66.4e-30 * N_A
"""Those of the paper [m^3/mol]."""
R = np.array([0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3])


def density(r, V_e=V_E, V_0=V_0):
    return (M_0 + r * M_E) / (V_0 + r * V_e)


def table(path: Path, head: str, *columns) -> Path:
    rows = [",".join(f"{x:.10g}" for x in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.mark.parametrize("key", ["r", "m (mol/kg)", "c (mol/L)"])
def test_exact_densities_give_the_volumes_whatever_the_coordinate(tmp_path, key):
    rho = density(R)
    x = {"r": R, "m (mol/kg)": R / M_0, "c (mol/L)": 1e-3 * R / (V_0 + R * V_E)}[key]
    found = volumes_of_densities(table(tmp_path / "d.csv", f"{key},density (g/cm^3)", x, rho / 1e3), M_e=M_E, M_0=M_0)
    assert found.found.V_e == pytest.approx(V_E, rel=1e-7) and pytest.approx(V_0, rel=1e-8) == found.found.V_0


def test_errors_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(20261201)
    hits, by_scatter, n = np.zeros(2), np.zeros(2), 2000
    rho = density(R)
    for _ in range(n):
        seen = rho * (1 + 0.004 * rng.standard_normal(R.size))
        volume = (M_0 + R * M_E) / seen
        found = partial_volumes(R, volume, 0.004 * volume)
        hits += np.abs([found.V_e - V_E, found.V_0 - V_0]) < 1.96 * np.array(found.error)
        free = partial_volumes(R, volume)
        # errors by the scatter of 8 points: Student's t with 6 degrees of freedom
        by_scatter += np.abs([free.V_e - V_E, free.V_0 - V_0]) < 2.447 * np.array(free.error)
    # errors are widened where chi^2 is above its mean by chance: 0.968 and 0.969; by the scatter 0.947 and 0.948
    assert np.all(hits / n > 0.94) and np.all(hits / n < 0.985)
    assert np.all(np.abs(by_scatter / n - 0.95) < 4 * np.sqrt(0.05 * 0.95 / n))


def test_volumes_that_vary_are_said():
    volume = V_0 + R * V_E * (1 + 0.3 * R)
    found = partial_volumes(R, volume, 1e-4 * volume)
    assert found.curved and not partial_volumes(R, V_0 + R * V_E, 1e-4 * volume).curved


def test_the_command_prints_a_block_that_a_set_reads(tmp_path):
    rho = density(R)
    path = table(tmp_path / "d.csv", "r,density (g/cm^3),error (g/cm^3)", R, rho / 1e3, 0.003 * rho / 1e3)
    arguments = ["volumes", str(path), "--salt", "287.09 g/mol", "--solvent", "44.053 g/mol"]
    done = CliRunner().invoke(main, [*arguments, "--json", str(tmp_path / "v.json")])
    assert done.exit_code == 0, done.output
    assert "224 ± " in done.output and "66.4 ± " in done.output and "agree" in done.output
    assert json.loads((tmp_path / "v.json").read_text())["V_e"] == pytest.approx(V_E, rel=1e-6)
    block = done.output[done.output.index("[volumes]") :]
    text = read_set("steinruck2020_rs").text
    start = text.index("[volumes]")
    parse_set(text[:start] + block + text[text.index("[range]") :]).bind()


@pytest.mark.parametrize(
    ("head", "columns", "told"),
    [
        ("r,density (g/cm^3)", ([0.1], [1.2]), "two concentrations"),
        ("r,density (g/cm^3)", ([0.1, 0.1], [1.2, 1.2]), "two concentrations"),
        ("r,density (kg/m^3)", ([0.1, 0.2], [1.2, 1.3]), "check its unit"),
        ("r,density", ([0.1, 0.2], [1.2, 1.3]), "names no unit"),
        ("density (g/cm^3),x", ([1.2, 1.3], [1, 2]), "one of the columns r, m"),
        ("r,c (mol/L),density (g/cm^3)", ([0.1, 0.2], [1, 2], [1.2, 1.3]), "it has 2"),
        ("r,density (g/cm^3)", ([-0.1, 0.2], [1.2, 1.3]), "must not be negative"),
        ("c (mol/L),density (g/cm^3)", ([1, 9], [1.2, 1.3]), "weighs more than the solution"),
        ("r,rho (g/cm^3)", ([0.1, 0.9], [3.0, 0.4]), "V_0 = "),
    ],
)
def test_tables_that_do_not_do_are_one_sentence(tmp_path, head, columns, told):
    with pytest.raises(InputError, match=told):
        volumes_of_densities(table(tmp_path / "d.csv", head, *columns), M_e=M_E, M_0=M_0)


def test_two_solutions_without_errors_say_why_there_are_none(tmp_path):
    path = table(tmp_path / "d.csv", "r,density (g/cm^3)", R[:2], density(R[:2]) / 1e3)
    told = "\n".join(volumes_of_densities(path, M_e=M_E, M_0=M_0).lines())
    assert "nan" not in told and "measure a third one" in told and "V_0 = " in told
    path = table(tmp_path / "e.csv", "r,density (g/cm^3),error (g/cm^3)", R[:2], density(R[:2]) / 1e3, [0.003, 0.003])
    told = "\n".join(volumes_of_densities(path, M_e=M_E, M_0=M_0).lines())
    assert "chi2" not in told and "±" in told  # a line through two points agrees with anything


def test_masses_in_another_unit_are_refused(tmp_path):
    path = table(tmp_path / "d.csv", "r,density (g/cm^3)", R, density(R) / 1e3)
    done = CliRunner().invoke(main, ["volumes", str(path), "--salt", "287 kg/mol", "--solvent", "44 g/mol"])
    assert done.exit_code == 2 and "between 1 g/mol and 10 kg/mol" in done.output
