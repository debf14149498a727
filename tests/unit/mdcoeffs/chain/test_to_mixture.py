"""Matrices of all species and G to a set of n components: the binary salt, draws, several compositions, refusals."""

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from set_toys import RECIPE

from cellsim.base import InputError
from cellsim.electrolyte.mixture import SpeciesMatrix, frame_change
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix
from cellsim.electrolyte.set_file import load_set
from cellsim.files.schema import parse_toml
from cellsim.fit.bands import drawn_sets
from mdcoeffs.chain.to_set import set_from_recipe, transport_set
from mdcoeffs.cli import main

T, DRAWS = 300.0, 400
NAMES, Z = ("Li", "X", "A", "S"), (1.0, -1.0, 0.0, 0.0)
VOLUMES = '[volumes]\nX = "100 cm^3/mol"\nA = "60 cm^3/mol"\nS = "40 cm^3/mol"\nsource = "assumed"\n'
CORE = 1e-9 * np.array([[2.0, 0.6, 2.5], [0.6, 2.6, 1.5], [2.5, 1.5, 30.0]])


def write_matrix(folder, core, c, names=NAMES, z=Z, seed=0, samples=DRAWS):
    """A result of mdcoeffs onsager: `core` in the frame of the last species, written in that of all particles."""
    n = len(names)
    rng = np.random.default_rng(seed)
    Omega = np.zeros((n, n))
    Omega[:-1, :-1] = core
    scale = 1 + 0.05 * rng.standard_normal(samples)
    A = frame_change(c, np.ones(n))
    moved = A @ Omega @ A.T
    folder.mkdir()
    both = ("species", "species_2")
    variables = {
        "Omega": (both, moved),
        "samples": (("sample", *both), scale[:, None, None] * moved),
        "z": (("species",), np.array(z)),
        "c": (("species",), np.array(c)),
        "weights": (("species",), np.ones(n)),
    }
    xr.Dataset(variables, {"species": list(names)}, {"T": T, "frame": "molar"}).to_netcdf(folder / "onsager.nc")


def write_G(folder, G, r, components=("X", "A"), z=(1, -1, 0), error=0.02, **change):
    folder.mkdir(exist_ok=True)
    m = len(r) * (len(r) + 1) // 2
    i, j = np.triu_indices(len(r))
    size = error * np.sqrt(np.diag(G)[i] * np.diag(G)[j])
    summary = {"T": T, "cation": "Li", "solvent": "S", "components": components, "z": z, "r": list(r), "G": G.tolist()}
    summary["covariance"] = (np.diag(size**2) * np.eye(m)).tolist()
    summary["partial_volumes"] = {k: {"value": v} for k, v in {"X": 99e-6, "A": 61e-6, "S": 41e-6}.items()}
    (folder / "summary.json").write_text(json.dumps(summary | change))


def ternary(tmp_path, *c_X):
    """Results of compositions that fill their box, 5 mol/L of A; a G a tenth below the ideal one."""
    lists = {"onsager": [], "thermodynamics": []}
    for k, c in enumerate(c_X):
        c_S = (1 - c * 100e-6 - 5000 * 60e-6) / 40e-6
        r = np.array([c, 5000.0]) / c_S
        write_matrix(tmp_path / f"O{k}", CORE * c / 1000, (c, c, 5000.0, c_S), seed=k)
        write_G(tmp_path / f"G{k}", 0.9 * ideal_thermodynamic_matrix(r, (-1, 0), 1), r)
        lists["onsager"].append(f"O{k}")
        lists["thermodynamics"].append(f"G{k}")
    return "".join(f"{key} = {json.dumps(names)}\n" for key, names in lists.items()) + 'solvent = "S"\n'


def make(tmp_path, recipe, name="s"):
    (tmp_path / "SET.toml").write_text(recipe, encoding="utf-8")
    made = set_from_recipe(tmp_path / "SET.toml", name=name)
    made.write(tmp_path / f"{name}.toml")
    return made


def test_a_binary_salt_by_this_road_is_the_binary_set(tmp_path):
    """kappa, t_-, D and chi of both sets at the composition simulated, to the ten digits that files have."""
    core, c, chi = CORE[:2, :2], 1000.0, 1.3
    binary = transport_set(
        [OnsagerMatrix(core, (1, -1), (1, 1), c, T, "solvent")],
        parse_toml(RECIPE + f'value = {chi}\nsource = "x"'),
        name="b",
        origin="x",
    )
    (tmp_path / "b.toml").write_text(binary.text, encoding="utf-8")
    expected = MixtureSet.from_binary(load_set(tmp_path / "b.toml", T))
    c_S = (1 - c * 100e-6) / 40e-6
    r = np.array([c / c_S])
    write_matrix(tmp_path / "O", core, (c, c, c_S), ("Li", "X", "S"), (1.0, -1.0, 0.0))
    write_G(tmp_path / "G", np.array([[2 * chi / r[0]]]), r, ("X",), (1, -1))
    volumes = VOLUMES.replace('A = "60 cm^3/mol"\n', "")
    make(tmp_path, 'onsager = ["O"]\nthermodynamics = ["G"]\nsolvent = "S"\n' + volumes)
    found = load_electrolyte("s.toml", T, folder=tmp_path).at(r)
    wanted = expected.at(r)
    for key in ("kappa", "tau", "L", "G", "c_0", "diffusion"):
        assert getattr(found, key) == pytest.approx(getattr(wanted, key), rel=1e-8), key


def test_one_composition(tmp_path):
    """Omega in the frame of the reference, G and volumes as they were given; the draws are those of both."""
    made = make(tmp_path, ternary(tmp_path, 1000.0) + VOLUMES)
    read = load_electrolyte("s.toml", T, folder=tmp_path)
    c_S = 0.6 / 40e-6
    r = np.array([1000.0, 5000.0]) / c_S
    assert read.species == ("Li", "X", "A", "S")
    assert read.Omega(r) == pytest.approx(CORE, rel=1e-8)
    assert read.G(r) == pytest.approx(0.9 * ideal_thermodynamic_matrix(r, (-1, 0), 1), rel=1e-8)
    assert float(read.c_0(r)) == pytest.approx(c_S, rel=1e-8)
    assert read.r_range == pytest.approx(np.outer(r, [0.8, 1.2]), rel=1e-8)
    assert any("one composition" in note for note in made.notes)
    drawn = drawn_sets(load_electrolyte("s.toml", T, folder=tmp_path), 120, seed=1)
    kappa = np.array([float(each.at(r).kappa) for each in drawn])
    # one factor scales every entry of Omega: all of its draws move together
    assert kappa.std() / kappa.mean() == pytest.approx(0.05, rel=0.25)
    ratio = np.array([each.Omega(r)[0, 2] / each.Omega(r)[0, 0] for each in drawn])
    assert np.ptp(ratio) < 1e-8 * ratio.mean()
    G = np.array([each.G(r) for each in drawn])
    assert G[:, 0, 0].std() / G[:, 0, 0].mean() == pytest.approx(0.02, rel=0.25)
    assert abs(np.corrcoef(kappa, G[:, 0, 0])[0, 1]) < 0.2


def test_without_the_draws_the_covariance_serves(tmp_path):
    make(tmp_path, ternary(tmp_path, 1000.0) + VOLUMES)
    (tmp_path / "s.draws.nc").unlink()
    drawn = drawn_sets(load_electrolyte("s.toml", T, folder=tmp_path), 120, seed=1)
    kappa = np.array([float(each.at(np.array([0.0667, 0.333])).kappa) for each in drawn])
    assert kappa.std() / kappa.mean() == pytest.approx(0.05, rel=0.25)


def test_between_compositions_both_are_linear(tmp_path):
    """At the compositions what was given, halfway their mean, beyond the ends held; the order of the list is free."""
    recipe = ternary(tmp_path, 1200.0, 600.0, 1000.0) + 'variable = "X"\n' + VOLUMES
    made = make(tmp_path, recipe)
    read = load_electrolyte("s.toml", T, folder=tmp_path)
    c = np.array([600.0, 1000.0, 1200.0])
    c_S = (1 - c * 100e-6 - 0.3) / 40e-6
    r = np.column_stack([c / c_S, 5000 / c_S])
    assert read.Omega(r) == pytest.approx(CORE * c[:, None, None] / 1000, rel=1e-8)
    middle = read.Omega(0.5 * (r[:-1] + r[1:]))
    assert middle == pytest.approx(CORE * np.array([800.0, 1100.0])[:, None, None] / 1000, rel=1e-8)
    excess = -0.1 * ideal_thermodynamic_matrix(r, (-1, 0), 1)
    assert read.G(r) - ideal_thermodynamic_matrix(r, (-1, 0), 1) == pytest.approx(excess, rel=1e-7)
    assert read.r_range[0] == pytest.approx(r[[0, -1], 0], rel=1e-8)
    assert read.Omega(r[0] * 0.5) == pytest.approx(CORE * 0.6, rel=1e-8)
    assert any("3 compositions" in note for note in made.notes)
    assert any("r_A goes along, from 0.3125 to 0.3448" in note for note in made.notes)
    assert len(drawn_sets(load_electrolyte("s.toml", T, folder=tmp_path), 20)) == 20


def test_volumes_from_fluctuations_and_G_that_is_stated(tmp_path):
    recipe = ternary(tmp_path, 1000.0)
    made = make(tmp_path, recipe + '[volumes]\nfrom = "fluctuations"\n')
    assert 'V = "61 cm^3/mol"' in made.text
    stated = recipe.replace('thermodynamics = ["G0"]\n', "") + VOLUMES + '[G]\nideal = true\nsource = "assumed"\n'
    made = make(tmp_path, stated, name="t")
    read, r = load_electrolyte("t.toml", T, folder=tmp_path), np.array([0.05, 0.3])
    assert read.G(r) == pytest.approx(ideal_thermodynamic_matrix(r, (-1, 0), 1))
    assert len(made.numbers) == 6 and "G is taken as exact" in made.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('solvent = "S"', 'solvent = "X"', "solvent = 'X' must be"),
        ('solvent = "S"', 'solvent = "A"', "counted by cation Li and solvent S"),
        ('["O0"]', '["O9"]', "no such Onsager result"),
        ('["O0"]', "[]", "is empty"),
        ('["G0"]', '["G0", "G0"]', "2 results for 1"),
        ('["G0"]', '["O0"]', "summary.json"),
        ('["G0"]', '["G0"]\nvariable = "X"', "is for several compositions"),
        ('X = "100 cm', 'X = "900 cm', "fill 1.800 of the box"),
        ('A = "60 cm^3/mol"\n', "", "volumes.A"),
        ("[volumes]", "[salt]\nM = 1\n[volumes]", "salt"),
        ("[volumes]", "[range]\nr = { X = [0.1, 0.05] }\n[volumes]", "lower end first"),
    ],
)
def test_refused(tmp_path, old, new, message):
    recipe = ternary(tmp_path, 1000.0) + VOLUMES
    assert old in recipe
    (tmp_path / "SET.toml").write_text(recipe.replace(old, new), encoding="utf-8")
    done = CliRunner().invoke(main, ["to-set", str(tmp_path / "SET.toml"), "-o", str(tmp_path / "s.toml")])
    assert done.exit_code == 2, done.output
    assert message in done.output and done.output.count("\n") == 1


def test_results_of_other_boxes_are_refused(tmp_path):
    recipe = ternary(tmp_path, 1000.0) + VOLUMES
    write_G(tmp_path / "G0", np.diag([20.0, 2.0]), (0.08, 0.33))
    with pytest.raises(InputError, match="of the same boxes"):
        make(tmp_path, recipe)
    write_G(tmp_path / "G0", np.diag([20.0, 2.0]), (0.0667, 0.333), T=350.0)
    with pytest.raises(InputError, match="another temperature"):
        make(tmp_path, recipe)
    with pytest.raises(InputError, match="no \\[covariance\\]"):
        drawn_sets(load_electrolyte("cases/mixed_solvent/two_salts_peo.toml"), 9)


def test_a_matrix_is_read_as_it_was_written(tmp_path):
    from mdcoeffs.onsager.mixture import read_species_matrix

    write_matrix(tmp_path / "O", CORE, (1000.0, 1000.0, 5000.0, 15000.0))
    found = read_species_matrix(tmp_path / "O")
    assert isinstance(found, SpeciesMatrix) and found.names == NAMES and found.samples.shape == (DRAWS, 4, 4)
    assert found.to_frame("S").Omega[:3, :3] == pytest.approx(CORE, rel=1e-9)
