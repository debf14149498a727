"""Shells, populations and clusters of systems whose answer is prescribed."""

import json
import warnings

import numpy as np
import pytest
from md_toys import EXCHANGE, write_exchange

from cellsim.base import N_A, InputError, R
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.files.folder import keep
from mdcoeffs import structure
from mdcoeffs.analysis import analyse
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.inputs.species import read_species
from mdcoeffs.structure import overlap_concentration, self_distinct
from mdcoeffs.structure.shells import (
    MOST,
    CoordinationSites,
    ShellSums,
    angle_variance,
    read_shells,
    tetrahedral_order,
)
from mdcoeffs.synthetic.partners import Partner

PARTNERS = (Partner("X", 2, 8e-12, 0.4), Partner("S", 4, 3e-12, 0.7))


def write(folder, *, cations=27, frames=300, seed=1, toml=EXCHANGE):
    return write_exchange(folder, PARTNERS, cations=cations, frames=frames, seed=seed, toml=toml)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("structure")
    run = write(folder)
    return run, folder, analyse(structure.ANALYSIS, folder / "SPECIES.toml", folder=folder)


def test_prescribed_coordination(done):
    """Counted exactly from the states; the prescribed means lie within 4 standard errors."""
    run, _, found = done
    bound = [state.sum(axis=2).mean() for state in run.states]
    assert found.molecules.value == pytest.approx(bound, rel=1e-12)
    assert found.atoms.value == pytest.approx(bound, rel=1e-12)
    z = (found.molecules.value - [2 * 0.4, 4 * 0.7]) / found.molecules.error
    assert np.all(np.abs(z) < 4)
    # successive frames of the chain are correlated by s; its statistical inefficiency is (1 + s)/(1 - s) = 9.2 frames
    s = (np.exp(-1 / 8) - 0.4) / 0.6
    exact = np.sqrt(2 * 0.4 * 0.6 / (300 * 27) * (1 + s) / (1 - s))
    assert 0.5 * exact < found.molecules.error[0] < 2 * exact  # measured 1.6; few blocks
    assert found.molecules.settled.all()


def test_prescribed_populations(done):
    run, _, found = done
    number = run.states[0].sum(axis=2)
    for m in range(3):
        assert found.anions.value[m] == pytest.approx((number == m).mean(), rel=1e-12)
        assert found.bound.value[0, m] == found.anions.value[m]
    assert found.free.value == found.anions.value[0]
    assert np.all(np.abs(found.anions.value[:3] - [0.36, 0.48, 0.16]) < 4 * found.anions.error[:3])
    # every anion belongs to one cation: free or not; pair where its cation has no other
    assert found.cations.value[1] == pytest.approx(run.states[0].mean(), rel=1e-12)
    assert found.cation_clusters.value == pytest.approx([(number == m).mean() for m in (0, 1, 2)] + [0], rel=1e-12)
    assert found.cluster_size.value[1] == pytest.approx((1 + number.max(axis=1)).mean(), rel=1e-12)


def test_cutoffs_come_from_g_and_g_from_the_counts(done):
    run, _, found = done
    assert found.from_radial == ("X", "S")
    for one in found.cutoffs.values():
        assert 2.5e-10 < one < 5e-10
    for k in range(2):
        reach = found.cutoffs[("X", "S")[k]]
        assert found.radial[k].coordination(reach).value == pytest.approx(found.molecules.value[k], rel=1e-9)
    assert [one.name for one in found.centres] == ["Li-Li", "Li-X", "Li-S", "X-X", "X-S", "S-S"]
    assert found.volume == pytest.approx(run.edge() ** 3, rel=1e-12)


def test_output(done, tmp_path):
    _, folder, found = done
    keep(found, tmp_path, "structure")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["partners"]["X"]["molecules"]["value"] == pytest.approx(float(found.molecules.value[0]))
    low, high = summary["free"]["interval"]
    assert low < summary["free"]["value"] < high
    assert summary["partners"]["S"]["cutoff_from"] == "g(r)"
    import xarray as xr

    with xr.open_dataset(tmp_path / "structure.nc", engine="h5netcdf") as data:
        assert data["site_g"].dims == ("site_pair", "site_r")
        assert data["centre_G"].attrs["units"] == "m^3"
    assert (tmp_path / "structure.png").read_bytes()[:4] == b"\x89PNG"
    assert np.loadtxt(folder / "radial.csv", delimiter=",", skiprows=1).shape == (200, 5)
    assert "cations by number of anions bound  0:" in "\n".join(found.lines())


def chain(atoms, cations, anion_of):
    """Shells of a frame built by hand; all sites are anion atoms."""
    molecule = np.array(anion_of) + cations
    sites = CoordinationSites(
        np.arange(cations), cations + np.arange(len(anion_of)), np.zeros(len(anion_of), int), molecule
    )
    sums = ShellSums(sites, np.array([2.5e-10]), np.array([True]))
    sums.add(Snapshot(0, 0.0, np.array(atoms, dtype=float), np.eye(3) * 50e-10))
    return {name: sums.sums.sums[0][part].tolist() for name, part in sums.columns.items()}


def test_a_chain_of_ions_by_hand():
    """Li-X-Li-X (two sites of one anion on one Li), Li alone, X alone."""
    cations = [[10, 10, 10], [14, 10, 10], [30, 30, 30]]
    anions = [[12, 10, 10], [16, 10, 10], [14, 12, 10], [40, 10, 10]]  # sites of anions 0, 1, 1, 2
    found = chain(cations + anions, 3, [0, 1, 1, 2])
    assert found["atoms"] == [4 / 3]
    assert found["molecules"] == [1.0]
    assert found["anions"] == [1 / 3, 1 / 3, 1 / 3] + [0] * (MOST - 2)
    assert found["cations"] == [1 / 3, 1 / 3, 1 / 3] + [0] * (MOST - 2)
    assert found["cation_clusters"] == [1 / 3, 0, 0, 2 / 3]
    assert found["anion_clusters"] == [1 / 3, 0, 0, 2 / 3]
    assert found["sizes"] == [(16 + 1 + 1) / 6, 4]


def test_overlap_concentration_of_the_paper():
    """Fang et al. 2026: 4.4 nm wide, 20 charges: anions overlap from 0.4 mol/L."""
    assert overlap_concentration(4.4e-9, -20) == pytest.approx(0.39e3, abs=5)
    with pytest.raises(InputError, match=r"size = 0 m must be positive"):
        overlap_concentration(0, -20)


def test_overlap_from_the_radius_of_gyration(tmp_path):
    """Dumbbells of 4 angstrom: R_g = 2 angstrom, sphere of the same R_g 5.16 angstrom."""
    import MDAnalysis as mda

    rng = np.random.default_rng(2)
    n, frames = 8, 8
    u = mda.Universe.empty(
        3 * n, n_residues=2 * n, atom_resindex=[*range(n), *np.repeat(np.arange(n, 2 * n), 2)], trajectory=True
    )
    u.add_TopologyAttr("masses", [7.0] * n + [20.0] * 2 * n)
    u.add_TopologyAttr("resnames", ["Li"] * n + ["X"] * n)
    u.add_TopologyAttr("resids", np.arange(1, 2 * n + 1))
    u.add_TopologyAttr("names", ["Li"] * n + ["O1", "O2"] * n)
    u.add_TopologyAttr("elements", ["Li"] * n + ["O", "O"] * n)
    u.add_TopologyAttr("bonds", [(n + 2 * k, n + 2 * k + 1) for k in range(n)])
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3) * 15.0 + 3.0
    with mda.Writer(str(tmp_path / "run.xtc"), 3 * n) as writer:
        for t in range(frames):
            axis = rng.normal(size=(n, 3))
            axis /= np.linalg.norm(axis, axis=1, keepdims=True)
            ends = np.stack([grid - 2 * axis, grid + 2 * axis], axis=1).reshape(-1, 3)
            u.atoms.positions = np.concatenate([grid + np.array([7, 0, 0]), ends]) % 30.0
            u.dimensions = [30.0] * 3 + [90] * 3
            u.trajectory.ts.time = float(t)
            writer.write(u.atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        u.atoms.write(str(tmp_path / "top.pdb"), bonds="all")
    (tmp_path / "SPECIES.toml").write_text("""
temperature = "300 K"
topology = "top.pdb"
trajectory = "run.xtc"
[species.Li]
selection = "resname Li"
charge = 1
role = "cation"
molecule = "residue"
[species.X]
selection = "resname X"
charge = -1
role = "anion"
molecule = "residue"
[structure]
cutoffs = {X = "7 angstrom"}
""")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = analyse(structure.ANALYSIS, tmp_path / "SPECIES.toml", folder=tmp_path)
    # XTC keeps 0.01 angstrom
    assert found.overlap.radius_of_gyration == pytest.approx(2e-10, rel=3e-3)
    assert found.overlap.size == pytest.approx(2 * np.sqrt(5 / 3) * 2e-10, rel=3e-3)
    assert found.overlap.distance == pytest.approx(15e-10, rel=1e-6)
    assert found.overlap.c_plus == pytest.approx(8 / (N_A * 27e-27), rel=1e-6)


def test_self_and_distinct_shares(tmp_path):
    matrix = OnsagerMatrix(
        np.diag([4e-10, 6e-10]),
        (1, -1),
        (1, 1),
        1000.0,
        300.0,
        "barycentric",
        covariance=np.diag([4e-11, 1e-11, 6e-11]) ** 2,
    )

    class Saved:
        title, names, volume, correlations, lag = "x", ("a", "b"), 1e-26, np.zeros((1, 2, 2)), np.zeros(1)

    import xarray as xr

    def save(frame):
        data = xr.Dataset(
            {"Omega": (("ion", "ion_2"), matrix.Omega), "covariance": (("p", "q"), matrix.covariance)},
            attrs={"z": [1, -1], "nu": [1, 1], "c": 1000.0, "T": 300.0, "frame": frame},
        )
        data.to_netcdf(tmp_path / "onsager.nc", engine="h5netcdf")

    D = 0.25 * 4e-10 * R * 300 / 1000
    (tmp_path / "summary.json").write_text(json.dumps({"self": {"D_plus": D, "standard_error": [0.05 * D, 0]}}))
    save("barycentric")
    found = self_distinct(tmp_path)
    assert (found.own, found.distinct) == pytest.approx((0.25, 0.75), rel=1e-9)
    assert found.error == pytest.approx(0.25 * np.hypot(0.1, 0.05), rel=1e-9)
    save("solvent")
    with pytest.raises(InputError, match="self and distinct shares are of the barycentric frame"):
        self_distinct(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[structure]\ncation = "Na"', r"structure.cation: 'Na' is no species that fits here; allowed: Li, X, S"),
        ('[structure]\npartners = ["X", "Y"]', r"structure.partners: 'Y' is no species that fits here"),
        ('[structure.cutoffs]\nLi = "3 angstrom"', r"structure.cutoffs.Li: 'Li' is no species that fits here"),
        ('[structure]\nr_mx = "3 angstrom"', "r_mx"),
        ('[structure]\nr_max = "3 kg"', "r_max"),
        ('[structure]\nbin = "2 angstrom"', "must be at most a twentieth of r_max"),
        ("[structure]\npartners = []", "is empty; name the species that coordinate the cation"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    write(tmp_path, cations=1, frames=2, toml=EXCHANGE + text)
    with pytest.raises(InputError, match=message):
        read_shells(read_species(tmp_path / "SPECIES.toml"))


def test_no_shell_is_an_error_and_a_cutoff_mends_it(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(["Li", "X", "S"], [5, 5, 30])
    np.savez(
        tmp_path / "run.npz",
        time=np.arange(40.0),
        positions=rng.random((40, 40, 3)) * 24e-10,
        labels=labels,
        box=np.eye(3) * 24e-10,
    )
    (tmp_path / "SPECIES.toml").write_text(EXCHANGE.replace("-0.5", "-1"))
    with pytest.raises(InputError, match=r"g\(r\) of Li-X has no clear first peak"):
        analyse(structure.ANALYSIS, tmp_path / "SPECIES.toml", folder=tmp_path)
    text = '[structure.cutoffs]\nX = "3 angstrom"\nS = "4 angstrom"\n'
    (tmp_path / "SPECIES.toml").write_text(EXCHANGE.replace("-0.5", "-1") + text)
    found = analyse(structure.ANALYSIS, tmp_path / "SPECIES.toml", folder=tmp_path)
    for k, (n, reach) in enumerate(((5, 3.0), (30, 4.0))):  # an ideal gas: density times volume
        expected = n / 24**3 * 4 / 3 * np.pi * reach**3
        assert abs(found.molecules.value[k] - expected) < 4 * found.molecules.error[k]


# ---- symmetry of cages ------------------------------------------------------------------------------------------

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])
SQUARE = OCTAHEDRON[[0, 1, 3, 4]]


def test_symmetry_of_polyhedra_in_closed_form():
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert tetrahedral_order((TETRAHEDRON @ turn)[None]) == pytest.approx(1, abs=1e-12)
    assert angle_variance((TETRAHEDRON @ turn)[None]) == pytest.approx(0, abs=1e-9)
    assert angle_variance((OCTAHEDRON @ turn)[None]) == pytest.approx(0, abs=1e-9)
    # a square: four angles of 90 and two of 180 degrees
    assert tetrahedral_order(SQUARE[None]) == pytest.approx(0.5, abs=1e-12)
    ideal = np.degrees(np.arccos(-1 / 3))
    assert angle_variance(SQUARE[None]) == pytest.approx(
        (4 * (90 - ideal) ** 2 + 2 * (180 - ideal) ** 2) / 5, rel=1e-12
    )
    # a prism of regular triangles as high as their sides: 9 angles along edges, of cosine 1/7
    high = np.array([[np.cos(a), np.sin(a), s * np.sqrt(3) / 2] for a in 2 * np.pi * np.arange(3) / 3 for s in (-1, 1)])
    edge = np.degrees(np.arccos(1 / 7))
    others = np.degrees(np.arccos(-5 / 7))  # the three smallest of the six along diagonals
    prism = angle_variance((high / np.linalg.norm(high, axis=1)[:, None])[None])
    assert prism == pytest.approx((9 * (90 - edge) ** 2 + 3 * (90 - others) ** 2) / 11, rel=1e-9)
    # directions at random: q is 0 on average, its standard deviation 0.45
    u = rng.normal(size=(20000, 4, 3))
    q = tetrahedral_order(u / np.linalg.norm(u, axis=2, keepdims=True))
    assert abs(q.mean()) < 4 * q.std() / np.sqrt(20000)


def test_small_distortions_follow_their_linear_theory():
    # each direction moved by sigma along either tangent: an angle varies by 2 sigma^2, m/(m - 1) of it is the variance
    rng, sigma = np.random.default_rng(4), 0.01
    for ideal, m in ((TETRAHEDRON, 6), (OCTAHEDRON, 12)):
        moved = ideal + sigma * rng.normal(size=(4000, len(ideal), 3))
        moved /= np.linalg.norm(moved, axis=2, keepdims=True)
        expected = 2 * np.degrees(sigma) ** 2 * m / (m - 1)
        assert angle_variance(moved).mean() == pytest.approx(expected, rel=0.03)  # 4000 cages: 0.01


def test_cages_over_the_end_of_a_skewed_box():
    # one cation of four sites in a corner of the box, one of six in the middle, one alone
    cell = np.array([[12.0, 0, 0], [3.0, 11.0, 0], [-2.0, 2.5, 13.0]])
    middle = 0.5 * cell.sum(axis=0)
    cations = np.array([[0.3, 0.2, 0.1], middle, 0.25 * cell.sum(axis=0) + [0, 0, 2.0]])
    atoms = np.concatenate([cations, cations[0] + 2 * TETRAHEDRON, cations[1] + 2 * OCTAHEDRON])
    atoms = (atoms @ np.linalg.inv(cell) % 1.0) @ cell
    sites = CoordinationSites(np.arange(3), np.arange(3, 13), np.zeros(10, int), np.arange(3, 13))
    sums = ShellSums(sites, np.array([2.2e-10]), np.array([False]))
    sums.add(Snapshot(0, 0.0, atoms, cell * 1e-10))
    row = sums.sums.sums[0]
    assert row[sums.columns["sites"]][[0, 4, 6]] == pytest.approx([1 / 3] * 3)
    assert row[sums.columns["cages"]] == pytest.approx([1, 1, 0, 1, 0], abs=1e-4)


def test_symmetry_in_the_summary(done):
    _, _, found = done
    cages = found.numbers()["cages"]
    assert list(cages) == ["tetrahedral_order", "tetrahedral_angles", "octahedral_angles"]
    low, high = cages["tetrahedral_order"]["interval"]
    assert low < cages["tetrahedral_order"]["value"] < high < 1.0
    assert found.sites.value.sum() == pytest.approx(1, rel=1e-12)
    assert (found.sites.value * np.arange(MOST + 1)).sum() == pytest.approx(found.atoms.value.sum(), rel=1e-12)
    assert any("tetrahedral order q" in line for line in found.lines())
