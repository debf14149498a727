"""The matrix of all species from displacements: mixed solvents, salts without solvent, lattices."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import N_A, F, InputError
from cellsim.electrolyte.mixture import SpeciesMatrix
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.mixture import estimate_species
from mdcoeffs.onsager.result import read_onsager
from mdcoeffs.synthetic.walkers import Onset, Solvent, mixture_walk, walk
from tests.toys.md_toys import mdcoeffs

OMEGA = 1e-10 * np.array([[1.2, 0.3, 0.2], [0.3, 1.6, -0.2], [0.2, -0.2, 3.0]])
MIXED = dict(z=(1, -1, 0, 0), counts=(100, 100, 300, 400), masses=(7, 145, 104, 88), names=("Li", "PF6", "EMC", "EC"))
VOLUME = 78e-27


def mixed(frames=1500, seed=4):
    return mixture_walk(OMEGA, frames=frames, dt=1e-11, seed=seed, volume=VOLUME, **MIXED)


def melt(frames=800, seed=5, **rest):
    salt = dict(z=(1, -1), counts=(200, 200), masses=(23.0, 35.5), names=("Na", "Cl"), volume=11e-27)
    return mixture_walk([[2e-10]], frames=frames, dt=1e-11, seed=seed, **salt | rest)


def test_a_lattice_that_is_not_named_as_framework_is_told():
    """P rattles about S. It was told that a relaxation of four frames is too slow for a run of a hundred."""
    rattling = Onset(4e-12, np.diag([0.0, 5e-10]))
    solid = {"z": (1, 5, -2), "counts": (12, 12, 36), "masses": (7, 31, 32), "names": ("Li", "P", "S")}
    Omega = np.diag([1e-10, 1e-16])
    run = mixture_walk(Omega, frames=100, dt=1e-12, seed=2, volume=2e-27, onset=rattling, own=0.1, **solid)
    with pytest.raises(
        InputError, match=r"at long times P moves \d+ % of .* all species of an immobile lattice as fram"
    ):
        estimate_species(run, frame="S")


def test_a_binary_salt_gives_what_the_binary_estimate_gives():
    run = walk([[1e-10, 3e-11], [3e-11, 1.5e-10]], frames=800, dt=1e-11, seed=3, solvents=Solvent(500, 50.0))
    binary, all_species = estimate_onsager(run), estimate_species(run)
    found = all_species.matrix
    assert found.frame == "solvent"
    assert found.Omega[:2, :2] == pytest.approx(binary.Omega, rel=1e-9)
    for name, mine in {"kappa": "kappa", "t_plus": "t_cation", "rho_plus": "rho_cation"}.items():
        assert found.interval(mine) == pytest.approx(binary.interval(name), rel=1e-9)


def test_three_independent_species_are_found_in_any_frame():
    run = mixed()
    truth = np.zeros((4, 4))
    truth[:3, :3] = OMEGA
    c = np.array(MIXED["counts"]) / (N_A * VOLUME)
    true = SpeciesMatrix(truth, MIXED["names"], MIXED["z"], c, 300.0, "EC", (0, 0, 0, 1))
    found = estimate_species(run, frame="EC", n_samples=2000).matrix
    draws = found.quantities(found.samples)
    for name, value in true.quantities().items():
        if name != "drag_EC":
            assert abs(np.median(draws[name]) - value) < 3.5 * np.std(draws[name]), name
    # another frame is another choice of what is estimated, and the answer moves by less than its error
    other = estimate_species(run, frame="barycentric", n_samples=2000).matrix.to_frame("EC")
    assert abs(other.Omega - found.Omega)[:3, :3].max() < 0.3 * np.std(found.samples[:, 0, 0])


def test_a_labelled_solvent_changes_nothing():
    run = walk([[1e-10, 3e-11], [3e-11, 1.5e-10]], frames=1500, dt=1e-11, seed=8, solvents=Solvent(500, 50.0))
    rng = np.random.default_rng(1)
    # 200 of the 500 molecules are called b: they follow the solvent and exchange places with the others
    swap = np.cumsum(0.5 * np.std(np.diff(run.R[:, 0], axis=0)) * rng.standard_normal((run.n_frames, 3)), axis=0)
    swap -= swap[:1]
    R = np.stack([run.R[:, 0], run.R[:, 1], 0.6 * run.R[:, 2] - swap, 0.4 * run.R[:, 2] + swap], axis=1)
    counts, masses = (*run.counts[:2], 300, 200), (*run.masses[:2], 50.0, 50.0)
    names = ("cation", "anion", "a", "b")
    labelled = replace(run, R=R, z=(1, -1, 0, 0), counts=counts, masses=masses, names=names, roles=None)
    binary, found = estimate_onsager(run), estimate_species(labelled, frame="a", n_samples=2000).matrix
    in_solvent = found.to_frame("solvent", (0, 0, 50.0, 50.0))
    truth = replace(binary, Omega=np.array([[1e-10, 3e-11], [3e-11, 1.5e-10]]), samples=None)
    for name, mine in {"kappa": "kappa", "t_plus": "t_cation", "rho_plus": "rho_cation"}.items():
        # of twelve seeds the two differ by 0.08 of the error at most
        error = np.std(binary.draws(name))
        assert abs(float(in_solvent.quantities()[mine]) - getattr(binary, name)) < 0.2 * error, name
        low, high = in_solvent.interval(mine)
        assert low < getattr(truth, name) < high


def test_a_salt_without_solvent_has_a_conductivity_and_transport_numbers_of_its_masses():
    run = melt()
    found = estimate_species(run).matrix
    low, high = found.interval("kappa", 0.999)
    assert found.frame == "barycentric"
    assert low < F**2 * 2e-10 < high
    assert found.quantities()["t_Na"] == pytest.approx(35.5 / (23 + 35.5), rel=1e-12)
    assert "rho_Na" not in found.quantities()
    # the mean slope of the squared displacement of the charge, an estimate of its own
    charge = run.R[:, 0] - run.R[:, 1]
    slope = np.mean(np.diff(charge, axis=0) ** 2) / (2 * 1.380649e-23 * 300 * run.volume * N_A**2 * run.dt)
    assert low < F**2 * slope < high


def test_rank_one_displacements_are_recognised_and_not_taken_for_a_salt_in_a_solvent():
    run = melt()
    shift = (run.R[:, 0] * 23 + run.R[:, 1] * 35.5) / (200 * (23 + 35.5))
    centred = run.R - 200 * shift[:, None, :]
    rounded = np.round(centred * 1e10, 2) * 1e-10  # a file's three decimals of a nanometre
    for R in (centred, rounded):
        with pytest.raises(InputError, match="matrix of all species"):
            estimate_onsager(replace(run, R=R, frame="barycentric"), frame="barycentric")
        again = estimate_species(replace(run, R=R)).matrix
        assert again.kappa == pytest.approx(estimate_species(run).matrix.kappa, rel=2e-2)


def test_a_lattice_is_one_body():
    rng = np.random.default_rng(2)
    ions = dict(z=(1, -2, -1), counts=(200, 50, 100), masses=(7.0, 32.0, 35.5), names=("Li", "S", "Cl"))
    run = mixture_walk(np.diag([2e-10, 0.0]), frames=600, dt=1e-11, seed=5, volume=11e-27, own=0, **ions)
    R = run.R.copy()
    R[:, 1:] += 1e-10 * rng.standard_normal(R[:, 1:].shape)  # S and Cl rattle
    run = replace(run, R=R - R[:1])
    found = estimate_species(run, framework=("S", "Cl"), n_samples=1000).matrix
    assert found.names == ("Li", "framework")
    assert found.frame == "framework"
    assert found.z == (1.0, -200.0)
    assert found.quantities()["t_Li"] == pytest.approx(1.0)
    low, high = found.interval("kappa", 0.999)
    assert low < F**2 * 2e-10 < high


def test_frames_that_cannot_be_reached_are_refused():
    run = mixed(200)
    for options, message in (
        ({"frame": "lab"}, "allowed are solvent, barycentric, volume, molar, Li"),
        ({"frame": "framework"}, "unknown"),
        ({"frame": "volume"}, "molecular_volumes"),
        ({"solvents": ["Li"]}, "must name solvent species"),
        ({"framework": ["Zr"]}, "'Zr' is not among"),
        ({"framework": ["Li", "PF6", "EMC", "EC"]}, "one species alone"),
        ({"prior_flat": 2.0}, "prior_flat"),
    ):
        with pytest.raises(InputError, match=message):
            estimate_species(run, **options)
    with pytest.raises(InputError, match="masses are needed"):
        estimate_species(replace(run, masses=None))
    with pytest.raises(InputError, match="needs a solvent species"):
        estimate_species(melt(200), frame="solvent")


SPECIES = """\
title = "LiPF6 in EC:EMC, walkers"
temperature = "300 K"
[units]
position = "angstrom"
time = "ps"
[species.Li]
role = "cation"
charge = 1
count = 100
mass = "6.94 g/mol"
[species.PF6]
role = "anion"
charge = -1
count = 100
mass = "145 g/mol"
[species.EMC]
role = "solvent"
charge = 0
count = 300
mass = "104.1 g/mol"
[species.EC]
role = "solvent"
count = 400
mass = "88.06 g/mol"
[estimate]
frame = "EC"
matrix = "species"
[[replica]]
arrays = "run.npz"
"""


def test_the_command_writes_the_matrix_of_all_species(tmp_path):
    run = mixed(600)
    np.savez(tmp_path / "run.npz", time=run.time * 1e12, R=run.R * 1e10, volume=run.volume)
    (tmp_path / "SPECIES.toml").write_text(SPECIES)
    done = mdcoeffs("onsager", tmp_path / "SPECIES.toml", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "drag_EMC" in done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["species"] == ["Li", "PF6", "EMC", "EC"]
    low, high = summary["quantities"]["rho_Li"]["interval"]
    assert low < summary["quantities"]["rho_Li"]["value"] < high
    assert (tmp_path / "out" / "onsager.png").stat().st_size > 10_000
    with pytest.raises(InputError, match=r"matrix of all species \(Li, PF6, EMC, EC\)"):
        read_onsager(tmp_path / "out")
    for old, new, message in (
        ('frame = "EC"', 'frame = "DMC"', "DMC"),
        ('frame = "EC"', 'frame = "framework"', "needs framework"),
        ('frame = "EC"', 'framework = ["Zr"]', "'Zr' is not a species here"),
        ('matrix = "species"', 'matrix = "salt"\nframework = ["EC"]', "frame"),
        ('matrix = "species"', 'matrix = "all"', "matrix"),
    ):
        (tmp_path / "SPECIES.toml").write_text(SPECIES.replace(old, new))
        refused = mdcoeffs("onsager", tmp_path / "SPECIES.toml", "-o", tmp_path / "out2")
        assert refused.exit_code == 2, refused.output
        assert message in refused.output
        assert not (tmp_path / "out2").exists()
