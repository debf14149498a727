"""G of n components: closed forms, the binary salt as a special case, what is written and read back."""

import json

import numpy as np
import pytest
from activity_toys import solvate_counts, solvate_G
from click.testing import CliRunner

from cellsim.base import InputError
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix
from mdcoeffs.activity import activity_of
from mdcoeffs.activity.mixture import ThermodynamicMatrix, read_thermodynamics
from mdcoeffs.activity.waves import composition_map, neutral_map, triangle
from mdcoeffs.cli import main
from mdcoeffs.statistics.blocks import jackknife, jackknife_covariance

COMPOSITIONS = {
    "one salt": ((1, -1, 0), (20, 20, 60)),
    "1:2 salt": ((2, -1, 0), (20, 40, 60)),
    "two solvents": ((1, -1, 0, 0), (20, 20, 30, 60)),
    "two anions": ((1, -1, -2, 0), (40, 20, 10, 60)),
    "two cations and two solvents": ((1, 1, -1, 0, 0), (20, 15, 35, 40, 60)),
}


def G_of(a, z, counts):
    """G of relative fluctuations a_ij in a box; the first species is the cation, the last the reference."""
    places = list(range(1, len(z) - 1))
    r = np.array(counts)[places] / counts[-1]
    M = composition_map(counts, z, places, len(z) - 1)
    return np.linalg.inv(M @ a @ M.T) / np.sqrt(np.outer(r, r))


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_independent_particles_are_an_ideal_mixture(name):
    z, counts = COMPOSITIONS[name]
    r = np.array(counts[1:-1]) / counts[-1]
    G = G_of(np.diag(1 / np.array(counts, dtype=float)), z, counts)
    assert pytest.approx(ideal_thermodynamic_matrix(r, z[1:-1], z[0]), rel=1e-12) == G


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_constant_volume_then_constant_pressure(name):
    """The long way: C, its inverse d mu_k/d c_l at constant volume, then a change of c along r_m at dP = 0."""
    z, counts = COMPOSITIONS[name]
    rng, n, N = np.random.default_rng(len(z)), len(z), np.array(counts, dtype=float)
    root = rng.normal(size=(n, n + 3))
    neutral = neutral_map(counts, z)
    a = neutral @ (root @ root.T / np.outer(N, N) ** 0.5) @ neutral.T  # no wave of it carries charge
    c = N[1:]  # all but the cation; per volume of the box
    C = a[1:, 1:] * np.outer(c, c)
    dmu_dc = np.linalg.inv(C)
    pressure = c @ dmu_dc  # d P/d c_l over RT
    G = np.empty((n - 2, n - 2))
    for m in range(n - 2):
        along = np.zeros(n - 1)
        along[m] = c[-1]  # d c for d r_m at constant c_0, then all of them thinned until dP = 0
        along -= c * (pressure @ along) / (pressure @ c)
        G[:, m] = (dmu_dc @ along)[:-1]
    assert pytest.approx(G.T, rel=1e-9) == G
    assert G_of(a, z, counts) == pytest.approx(G, rel=1e-9)


def test_solvates_are_an_ideal_mixture_of_what_they_are():
    """Ion pairs that carry an A: the cross term is -1/r of free A, whatever the frame the points are counted in."""
    n = (15, 15, 40)
    N = np.array(solvate_counts(*n), dtype=float)
    together = np.array([[15, 15, 15, 0], [15, 15, 15, 0], [15, 15, 30, 0], [0, 0, 0, 40.0]])
    found = G_of(together / np.outer(N, N), (1, -1, 0, 0), N.astype(int))
    assert found == pytest.approx(solvate_G(*n), rel=1e-12)
    assert found[0, 1] == pytest.approx(-40 / 15 + 0.0 * 40 / 70, rel=1e-12)


def test_jackknife_covariance_of_means():
    """Independent blocks: the covariance is that of the mean, and variances are those of the jackknife."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(120, 3)) @ np.array([[1.0, 0.9, 0], [0, 0.3, 0], [0, 0, 2.0]])
    blocks = [np.c_[rows, np.ones(120)]]
    averaged, covariance = jackknife_covariance(blocks, lambda total: total[:3] / total[3])
    plain = jackknife(blocks, lambda total: total[:3] / total[3])
    assert averaged.error == pytest.approx(plain.error, rel=1e-12)
    assert np.diag(covariance) == pytest.approx(plain.error**2, rel=1e-12)
    assert np.linalg.eigvalsh(covariance)[0] >= -1e-15
    sampled = np.cov(rows.T) / 120
    assert (
        np.abs(covariance / np.sqrt(np.outer(np.diag(sampled), np.diag(sampled)))[()] - np.corrcoef(rows.T)).max() < 0.2
    )


def species_file(where, extra=""):
    rng = np.random.default_rng(11)
    labels = np.repeat(["M", "X", "S"], [10, 10, 60])
    (where / "r0").mkdir()
    box = np.eye(3) * 2000.0
    np.savez(
        where / "r0" / "p.npz", time=np.arange(60.0), positions=rng.random((60, 80, 3)) * 2000, labels=labels, box=box
    )
    text = 'title = "points"\ntemperature = "300 K"\n' + extra + '[units]\nposition = "pm"\ntime = "ps"\n'
    for name, role, z in (("M", "cation", 1), ("X", "anion", -1), ("S", "solvent", 0)):
        text += f'[species.{name}]\nrole = "{role}"\ncharge = {z}\n'
    (where / "SPECIES.toml").write_text(text + '[[replica]]\narrays = "r0/p.npz"\n', encoding="utf-8")
    return where / "SPECIES.toml"


def test_a_binary_salt_by_this_road_is_chi(tmp_path):
    """G = nu chi/(nu_- r_-), errors and shares with it, to round-off; and the command writes what to-set reads."""
    (tmp_path / "a").mkdir()
    chi = activity_of(species_file(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    file = species_file(tmp_path / "b", '[activity]\nmatrix = "species"\n')
    done = CliRunner().invoke(main, ["activity", str(file), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    G = read_thermodynamics(tmp_path / "out")
    per = 2 / G.r[0]
    assert (G.components, G.cation, G.solvent, G.r[0]) == (("X",), "M", "S", pytest.approx(10 / 60))
    assert G.G[0, 0] == pytest.approx(per * chi.chi, rel=1e-10)
    assert G.error[0, 0] == pytest.approx(per * chi.error, rel=1e-9)
    for route, (value, error) in chi.routes.items():
        assert summary["Gamma"][route]["value"] == [[pytest.approx(2 * value, rel=1e-10)]]
        assert summary["Gamma"][route]["standard_error"] == [[pytest.approx(2 * error, rel=1e-9)]]
    volumes = summary["partial_volumes"]["S"]["value"] * 60 / 6.02214076e23 / 8e-27
    assert volumes == pytest.approx(chi.phi_0[0], rel=1e-10)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"summary.json", "waves.csv", "pairs.csv", "activity.png"}
    assert "95 % interval" in done.output


def test_draws_scatter_as_the_covariance_says_and_are_stable():
    covariance = np.diag([0.04, 0.01, 0.0025]) + 0.003
    r, mean = np.array([0.1, 1]), np.diag([12.0, 0.5])
    G = ThermodynamicMatrix("M", "B", ("X", "A"), (1, -1, 0), r, 300, mean, covariance)
    draws = G.draws(4000, seed=1)
    assert np.cov(triangle(draws).T) == pytest.approx(covariance, abs=0.002)
    assert np.all(np.linalg.eigvalsh(draws) > 0)
    with pytest.raises(InputError, match="separates"):
        ThermodynamicMatrix(
            "M", "B", ("X",), (1, -1), np.array([0.1]), 300, np.array([[1.0]]), np.array([[25.0]])
        ).draws(99)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"G": None}, "contains no matrix G"),
        ({"chi": 1.0, "G": None}, 'matrix = "species"'),
        ({"G": [[1.0, 0.0]]}, "shape"),
        ({"covariance": [["x"]]}, "covariance"),
        ({"T": -3.0}, "T = -3"),
    ],
)
def test_a_summary_that_is_none_is_refused(tmp_path, change, message):
    good = {"T": 300.0, "cation": "M", "solvent": "S", "components": ["X"], "z": [1, -1], "r": [0.1], "G": [[20.0]]}
    both = good | {"covariance": [[1.0]]} | change
    (tmp_path / "summary.json").write_text(json.dumps({k: v for k, v in both.items() if v is not None}))
    with pytest.raises(InputError, match=message):
        read_thermodynamics(tmp_path)
