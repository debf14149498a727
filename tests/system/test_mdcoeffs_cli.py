"""The commands of mdcoeffs, as a user types them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from md_toys import HEAD, OMEGA, UNITS, walk_arrays, walkers
from md_toys import mdcoeffs as call

from cellsim.base import N_A, k_B
from cellsim.electrolyte.set_file import load_set, read_set
from mdcoeffs.chain.to_set import chi_from_activity
from mdcoeffs.onsager.result import read_onsager

REPLICAS = '[[replica]]\narrays = "run0.npz"\n[[replica]]\narrays = "run1.npz"\n'
TOML = 'memory = "100 kB"\n' + HEAD.format(T=353, z=-1, arrays="", units=UNITS) + REPLICAS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("md")
    for k in range(2):
        np.savez(where / f"run{k}.npz", **walk_arrays(*walkers(600, seed=k, of_particles=k + 10)))
    (where / "SPECIES.toml").write_text(TOML)
    return where


@pytest.fixture(scope="module")
def done(folder):
    """The one estimate that several tests look at."""
    return call("onsager", folder / "SPECIES.toml", "-o", folder / "out")


def test_onsager_writes_its_folder(folder, done):
    result, out = done, folder / "out"
    assert result.exit_code == 0, result.output
    assert "scratch file" in result.output  # announced, because the cap is 100 kB
    assert "t+0" in result.output
    assert sorted(p.name for p in out.iterdir()) == ["onsager.nc", "onsager.png", "summary.json"]
    found = json.loads((out / "summary.json").read_text())
    low, high = found["quantities"]["t_plus"]["interval"]
    assert low < found["quantities"]["t_plus"]["value"] < high
    assert found["replicas"] == 2
    assert found["self"]["D_plus"] == pytest.approx(2e-10, rel=0.1)
    for name, value in {"D_plus": 2e-10, "D_minus": None, "t_app": None, "ionicity": None}.items():
        low, high = found["self"][f"{name}_interval"]
        assert low < (found["self"][name] if value is None else value) < high
    assert found["stefan_maxwell"]["D_plus_0"]["RT_over_D_interval"][0] > 0
    assert found["wohde_roling"]["alpha_interval"][0] < found["wohde_roling"]["alpha"]
    assert set(found["inputs"]) == {"SPECIES.toml", "run0.npz", "run1.npz"}
    matrix = read_onsager(out)
    # 1198 steps x 3 directions: 2.4 % on the diagonal; 5 standard errors
    assert np.diag(matrix.Omega) == pytest.approx(np.diag(OMEGA), rel=0.15)
    # what was read back knows its composition, so the frame can still be changed
    barycentric = matrix.to_frame("barycentric")
    assert barycentric.kappa == pytest.approx(matrix.kappa, rel=1e-9)
    assert abs(barycentric.t_plus - matrix.t_plus) > 1e-3
    assert barycentric.to_frame("solvent").Omega == pytest.approx(matrix.Omega, rel=1e-9)
    with xr.open_dataset(out / "onsager.nc", engine="h5netcdf") as data:
        assert data["Omega"].attrs["units"] == "mol^2/(J m s)"
        assert data["correlation"].dims == ("lag", "ion", "ion_2")
    assert (out / "onsager.png").read_bytes()[:4] == b"\x89PNG"


SET = """
title = "from MD"
onsager = ["out"]
[salt]
formula = "LiX"
M = "287 g/mol"
[solvent]
name = "S"
M = "88 g/mol"
[volumes]
V_e = "130 cm^3/mol"
V_0 = "67 cm^3/mol"
source = "assumed"
[chi]
value = 1.5
basis = "molal"
source = "assumed"
"""


def test_to_set_from_one_concentration(folder, done):
    assert done.exit_code == 0
    (folder / "SET.toml").write_text(SET)
    result = call("to-set", folder / "SET.toml", "-o", folder / "my_set.toml")
    assert result.exit_code == 0, result.output
    assert "one concentration (1 mol/L): the set is constant" in result.output
    made, matrix = load_set(folder / "my_set.toml"), read_onsager(folder / "out")
    assert float(made.kappa(1000.0)) == pytest.approx(matrix.kappa, rel=1e-9)
    assert float(made.t_plus(1000.0)) == pytest.approx(matrix.t_plus, rel=1e-9)
    assert float(made.D(1000.0)) == pytest.approx(matrix.diffusion(1.5), rel=1e-9)
    covariance = read_set(folder / "my_set.toml").covariance
    assert covariance.parameters == ("kappa.value", "D.value", "t_plus.value")
    assert covariance.matrix[0, 0] == pytest.approx(np.var(matrix.draws("kappa"), ddof=1), rel=1e-6)
    again = call("to-set", folder / "SET.toml", "-o", folder / "my_set.toml")
    assert again.exit_code == 2
    assert "--force" in again.output


def test_to_set_from_a_published_table(folder):
    (folder / "L.toml").write_text("""
source = "a paper, Table 1"
temperature = "353 K"
z_plus = 1
z_minus = -1
convention = "omega"
frame = "solvent"
unit = "mol^2/(J m s)"
c = ["0.5 mol/L", "1 mol/L", "1.5 mol/L"]
pp = [3e-11, 5.2e-11, 6e-11]
pm = [3e-12, 9e-12, 20e-12]
mm = [4e-11, 7e-11, 8e-11]
""")
    recipe = SET.replace('onsager = ["out"]', 'published = "L.toml"')
    activity = '[activity]\nm = [0.2, 0.5, 1.0, 2.0]\ngamma = [0.5, 0.55, 0.65, 0.9]\nsource = "assumed"\n'
    (folder / "SET3.toml").write_text(recipe[: recipe.index("[chi]")] + activity)
    result = call("to-set", folder / "SET3.toml", "-o", folder / "three.toml")
    assert result.exit_code == 0, result.output
    assert "no [covariance]" in result.output
    made = load_set(folder / "three.toml")
    F2 = 96485.33212**2
    assert made.kappa(np.array([500.0, 1500.0])) == pytest.approx([6.4e-11 * F2, 1e-10 * F2], rel=1e-9)
    assert float(made.t_plus(1500.0)) == pytest.approx(0.4, rel=1e-9)
    for old, new, message in (
        ("[salt]", "[slat]", 'did you mean "salt"'),
        ('published = "L.toml"', "", "needs exactly one of onsager, published"),
        ('formula = "LiX"', "", "formula"),
    ):
        (folder / "bad.toml").write_text((folder / "SET3.toml").read_text().replace(old, new, 1))
        bad = call("to-set", folder / "bad.toml", "-o", folder / "bad_set.toml")
        assert bad.exit_code == 2
        assert message in bad.output
        assert not (folder / "bad_set.toml").exists()


def test_chi_from_activity_recovers_a_power_law():
    m = np.geomspace(0.1, 3, 12)
    assert chi_from_activity(m, 0.7 * m**-0.25) == pytest.approx(0.75, rel=1e-12)


def test_octp_tables_of_an_electrolyte(folder):
    lag = np.arange(1, 101) * 1000.0  # fs
    volume, T = 2e-26, 300.0
    slope = OMEGA * k_B * T * volume * N_A**2 * 1e20 / 1e15  # angstrom^2/fs of <dR dR>/6, barycentric
    for k, factor in enumerate((0.96, 1.03, 1.04, 0.97)):
        rows = [
            f"{t:g} {factor * t * slope[0, 0]} {factor * t * slope[0, 1]} {factor * t * slope[1, 1]} "
            f"{t * 1e-3} {t * 1e-3} {t * 1e-3}"
            for t in lag
        ]
        header = "#Time MSD__Li_Li MSD__Li_X MSD__X_X MSD__Li_S MSD__X_S MSD__S_S\n"
        (folder / f"octp{k}.dat").write_text(header + "\n".join(rows) + "\n")
    replicas = "\n".join(f'[[replica]]\noctp = "octp{k}.dat"' for k in range(4))
    (folder / "OCTP.toml").write_text(f"""
temperature = "300 K"
volume = "{volume} m^3"
[species.X]
charge = -1
role = "anion"
count = 12
[species.Li]
charge = 1
role = "cation"
count = 12
[species.S]
role = "solvent"
count = 100
[estimate]
frame = "barycentric"
{replicas}
""")
    result = call("onsager", folder / "OCTP.toml", "-o", folder / "octp")
    assert result.exit_code == 0, result.output
    assert "there is no posterior" in result.output
    matrix = read_onsager(folder / "octp")
    assert pytest.approx(OMEGA, rel=1e-6) == matrix.Omega
    # standard error of the mean of four runs, 0.0408/2
    assert np.sqrt(matrix.covariance[0, 0]) == pytest.approx(OMEGA[0, 0] * 0.0408248 / 2, rel=1e-4)
    text = (folder / "OCTP.toml").read_text().replace('frame = "barycentric"', "")
    (folder / "OCTP.toml").write_text(text)
    bad = call("onsager", folder / "OCTP.toml", "-o", folder / "octp")
    assert bad.exit_code == 2
    assert "needs mass for every species" in bad.output


def test_bad_input_is_one_line_and_exit_code_2(folder):
    result = call("onsager", folder / "none.toml", "-o", folder / "out")
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert result.output.startswith("error: ")
    short = TOML.replace("[units]", 'stop = "20 ps"\n[units]')
    (folder / "short.toml").write_text(short)
    result = call("onsager", folder / "short.toml", "-o", folder / "short")
    assert result.exit_code == 2
    assert "2 replicas hold 42 frames in all, which are too few" in result.output.splitlines()[-1]
    two = TOML + '[species.Na]\ncharge = 1\nrole = "cation"\n[estimate]\nmatrix = "salt"\n'
    (folder / "two.toml").write_text(two)
    result = call("onsager", folder / "two.toml", "-o", folder / "two")
    assert "one cation species, found 2 (Li, Na)" in result.output


def test_help_shows_a_worked_line_and_imports_nothing_heavy():
    for command in ([], ["onsager"], ["to-set"]):
        result = call(*command, "--help")
        assert result.exit_code == 0
        assert "mdcoeffs onsager SPECIES.toml" in result.output or "mdcoeffs to-set SET.toml" in result.output
    code = "import sys, mdcoeffs.cli; print([m for m in ('numpy', 'MDAnalysis', 'scipy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
