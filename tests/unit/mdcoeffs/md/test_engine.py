"""The molecular dynamics engine: forces, conservation laws, resuming, refusals."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import N_A, ConvergenceError, InputError, e, k_B
from mdcoeffs.md.engine import build, openmm, simulate_point, sites_of, start_positions
from mdcoeffs.md.record import read_record
from mdcoeffs.md.simulate import simulate_system, species_text
from mdcoeffs.md.system import read_system

EPS_0 = 8.8541878128e-12  # CODATA 2018 [F/m]
SMALL = """
title = "a small box"
temperature = "300 K"
relative_permittivity = 36
well_depth = "1.2472 kJ/mol"
cutoff = "0.6 nm"
[species.M]
role = "cation"
charge = 1
mass = "40 g/mol"
diameter = "0.30 nm"
[species.X]
role = "anion"
charge = -1
mass = "300 g/mol"
diameter = "0.50 nm"
[species.S]
role = "solvent"
mass = "60 g/mol"
diameter = "0.40 nm"
[volumes]
V_e = "103.6 cm^3/mol"
V_0 = "47.23 cm^3/mol"
[thermostat]
kind = "nose-hoover"
time = "1 ps"
[run]
timestep = "20 fs"
equilibration = "1 ps"
production = "2 ps"
frame_interval = "0.1 ps"
positions_interval = "0.2 ps"
[[state]]
salt = 3
solvent = 18
[field]
strengths = ["0.05 V/nm"]
"""


@pytest.fixture
def system(tmp_path):
    def write(text=SMALL, **swaps):
        for old, new in swaps.values():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "SYSTEM.toml"
        path.write_text(text)
        return read_system(path)

    return write


def contexts(point):
    """A context with an integrator that is not used, on the double-precision platform."""
    mm = openmm()
    return mm.Context(build(mm, point), mm.VerletIntegrator(1e-6), mm.Platform.getPlatformByName("Reference"))


def lone_pair(system, apart, **changes):
    """Two ions far from their images, energy [J/mol] and forces [J/(mol m)]; the solvent particle far from both."""
    point = replace(system().points[0], counts=(1, 1, 1), volume=(14e-9) ** 3, cutoff=1.5e-9, **changes)
    context = contexts(point)
    context.setPositions(np.array([[5.0, 7, 7], [5.0 + apart * 1e9, 7, 7], [12.0, 13, 13]]))
    state = context.getState(getEnergy=True, getForces=True)
    return state.getPotentialEnergy()._value * 1e3, state.getForces(asNumpy=True)._value * 1e12, point


@pytest.mark.parametrize("apart", [0.40e-9, 0.55e-9, 1.2e-9])
def test_a_pair_of_ions_feels_coulomb_in_the_medium_and_lennard_jones(system, apart):
    _, force, point = lone_pair(system, apart)
    s, eps = 0.40e-9, point.well_depth  # mean of the diameters
    images = 4 * math.pi / 3 * apart**3 / point.volume  # of a dipole in a cubic lattice, conducting surroundings
    coulomb = -N_A * e**2 / (4 * math.pi * EPS_0 * 36 * apart**2) * (1 - images)
    lennard_jones = 24 * eps * (2 * (s / apart) ** 12 - (s / apart) ** 6) / apart
    want = -(coulomb + lennard_jones)
    # Ewald tolerance 1e-3 of the direct part
    assert force[0, 0] == pytest.approx(want, rel=2e-3)  # measured 6.4e-4 at most
    assert np.abs(force[2]).max() < 1e-3 * abs(want)


def test_the_field_pulls_each_ion_with_its_charge_and_the_box_with_nothing(system):
    E = 5e7
    _, rest, _ = lone_pair(system, 0.6e-9)
    _, force, point = lone_pair(system, 0.6e-9, field=E)
    pull = force - rest
    want = np.zeros((3, 3))
    want[:2, 0] = np.array([1, -1]) * N_A * e * E
    np.testing.assert_allclose(pull, want, rtol=1e-6, atol=1e-6 * N_A * e * E)
    assert point.digest != replace(point, field=0.0).digest


def test_scaled_charges_act_as_in_a_larger_permittivity_and_are_pulled_whole(system):
    """Coulomb forces between ions are those at permittivity/s^2; the pull of a field is that on whole charges."""
    energy, force, point = lone_pair(system, 0.55e-9, charge_scaling=0.7)
    other, same, _ = lone_pair(system, 0.55e-9, permittivity=36 / 0.7**2)
    whole = lone_pair(system, 0.55e-9)[1]
    assert energy == pytest.approx(other, rel=1e-6)  # the charges are handed over in double precision
    np.testing.assert_allclose(force, same, rtol=1e-6, atol=1e-6 * np.abs(whole).max())
    assert abs(force[0, 0] / whole[0, 0] - 1) > 0.1
    E = 5e7
    pull = lone_pair(system, 0.55e-9, charge_scaling=0.7, field=E)[1] - force
    assert pull[0, 0] == pytest.approx(N_A * e * E, rel=1e-6)
    assert point.digest != replace(point, charge_scaling=1.0).digest


def test_a_scaling_of_all_states_or_of_one(system):
    text = SMALL.replace("cutoff =", "charge_scaling = 0.8\ncutoff =") + "[[state]]\nsalt = 3\nsolvent = 18\n"
    points = system(text + "charge_scaling = 0.6\n").points
    assert [point.charge_scaling for point in points] == [0.8, 0.6] and points[0].z == (1, -1, 0)
    assert "charge = 1" in species_text("scaled", [points[0]])  # currents are of whole charges
    # runs from before there was a scaling are found again
    one = system(SMALL.replace("cutoff =", "charge_scaling = 1\ncutoff =")).points[0]
    assert one.digest == system().points[0].digest == "1e81fc318521bfc68feed8ccf3511cf9a0338bafd91ae296298c6be74bab657f"


def test_energy_is_conserved_without_thermostat_to_second_order_in_the_step(system):
    """The swing of the total energy of the uncharged box falls as timestep^2: forces and energy belong together.

    (With charges the cut of the Ewald sum, 1e-3 of the direct part, sets a floor.)
    """
    mm = openmm()
    point = replace(system().points[0], permittivity=1e8)
    rng = np.random.default_rng(3)
    start = contexts(point)
    edge = point.volume ** (1 / 3) * 1e9
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)[rng.permutation(27)[:24]]
    start.setPositions((grid + 0.5) * edge / 3)
    mm.LocalEnergyMinimizer.minimize(start, maxIterations=200)
    start.setVelocitiesToTemperature(300.0, 5)
    warm = start.getState(getPositions=True, getVelocities=True)
    swings = []
    for step in (0.02, 0.01, 0.005):  # ps
        integrator = mm.VerletIntegrator(step)
        context = mm.Context(build(mm, point), integrator, mm.Platform.getPlatformByName("Reference"))
        context.setPositions(warm.getPositions())
        context.setVelocities(warm.getVelocities())
        total = []
        for _ in range(40):
            integrator.step(round(0.02 / step))
            state = context.getState(getEnergy=True)
            total.append(state.getKineticEnergy()._value + state.getPotentialEnergy()._value)
        swings.append(np.std(total) / 24 / (k_B * N_A * 0.3))
    order = np.log2(np.array(swings[:-1]) / swings[1:])
    assert np.all((order > 1.7) & (order < 2.3)), (order, swings)


@pytest.mark.parametrize("field", [False, True])
@pytest.mark.parametrize("thermostat", ["nose-hoover", "dpd", "none"])
def test_momentum_is_conserved_whatever_the_thermostat_and_the_field(system, tmp_path, thermostat, field):
    file = system(swap=('kind = "nose-hoover"', f'kind = "{thermostat}"'))
    record = simulate_point(file.all_points[field], tmp_path / "run", platform="Reference")
    assert record.momentum < 3e-4  # of the thermal speed of the box; measured 1.0e-4, from the mesh
    R = np.load(tmp_path / "run" / "displacements.npz")["R"] * 1e-12
    shift = np.einsum("k,tkx->tx", file.points[0].masses, R) / np.dot(file.points[0].masses, file.points[0].counts)
    assert np.abs(shift).max() < 1e-4 * file.points[0].volume ** (1 / 3)


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(system, tmp_path):
    """On the double-precision platform the resumed run is the uninterrupted one to the last digit."""
    point = system().points[0]
    simulate_point(point, tmp_path / "whole", platform="Reference")

    def stop(done, _):
        if done > at:
            raise KeyboardInterrupt

    for limit in (20, 90):  # in the equilibration, in the production
        at = limit
        with pytest.raises(KeyboardInterrupt):
            simulate_point(point, tmp_path / "cut", platform="Reference", checkpoint_every=0.0, progress=stop)
        assert read_record(tmp_path / "cut", point) is None
    # what was written after the last checkpoint, or half written, does not count
    with open(tmp_path / "cut" / "frames.bin", "ab") as stream:
        stream.write(b"half a frame")
    record = simulate_point(point, tmp_path / "cut", platform="Reference")
    assert record.frames == 20
    for name in ("displacements.npz", "positions.npz"):
        a, b = (np.load(tmp_path / which / name) for which in ("whole", "cut"))
        for key in a.files:
            np.testing.assert_array_equal(a[key], b[key])


def test_a_finished_run_is_found_again_and_a_longer_one_goes_on(system, tmp_path):
    point = system().points[0]
    first = simulate_point(point, tmp_path / "run", platform="Reference")
    before = np.load(tmp_path / "run" / "displacements.npz")["R"]
    again = simulate_point(point, tmp_path / "run", platform="no such platform")  # not asked for
    assert again.cached and not first.cached
    longer = simulate_point(replace(point, frames=30), tmp_path / "run", platform="Reference")
    R = np.load(tmp_path / "run" / "displacements.npz")["R"]
    assert longer.frames == 30 and R.shape == (31, 3, 3)
    np.testing.assert_array_equal(R[:21], before)
    assert np.load(tmp_path / "run" / "positions.npz")["positions"].shape == (16, 24, 3)


def test_stored_positions_and_summed_displacements_are_one_run(system, tmp_path):
    point = system().points[0]
    simulate_point(point, tmp_path / "run", platform="Reference")
    x, run = np.load(tmp_path / "run" / "positions.npz"), np.load(tmp_path / "run" / "displacements.npz")
    moved = x["positions"].astype(float) - x["positions"][0]
    for k, name in enumerate(("M", "X", "S")):
        summed = moved[:, x["labels"] == name].sum(axis=1)
        np.testing.assert_allclose(summed, run["R"][::2, k], rtol=0, atol=0.55)  # R is kept in whole pm
    np.testing.assert_allclose(x["time"], run["time"][::2], rtol=1e-12, atol=0)


def test_simulate_side_by_side_and_read_back(system, tmp_path):
    file = system(swap=("positions_interval", "replicas = 2\npositions_interval"))
    done = simulate_system(file, tmp_path / "out", jobs=2)
    assert [r.folder.name for r in done.records] == ["r0", "r1", "E0.05_r0"]
    runs = [np.load(r.folder / "displacements.npz")["R"] for r in done.records]
    assert not np.array_equal(runs[0], runs[1])  # replicas differ
    again = simulate_system(file, tmp_path / "out", jobs=1)
    assert all(r.cached for r in again.records)
    from mdcoeffs.inputs.species import read_species
    from mdcoeffs.onsager.motion import motion_of_replica

    species = read_species(tmp_path / "out" / "c1" / "SPECIES.toml")
    reading = motion_of_replica(species, 1)
    point = file.points[1]
    assert reading.displacements.frame == "barycentric"
    assert reading.displacements.volume == pytest.approx(point.volume, rel=1e-12)
    assert reading.displacements.dt == pytest.approx(1e-13, rel=1e-9)
    assert reading.displacements.masses == pytest.approx(point.masses, rel=1e-9)


def test_the_content_hash_tells_runs_apart_but_not_their_length(system):
    file = system()
    point = file.points[0]
    assert replace(point, frames=7).digest == point.digest
    assert system().points[0].digest == point.digest
    changed = [
        system(swap=(old, new)).points[0].digest
        for old, new in (
            ("300 K", "301 K"),
            ("= 36", "= 37"),
            ("1.2472", "1.25"),
            ("0.6 nm", "0.61 nm"),
            ("40 g/mol", "41 g/mol"),
            ("20 fs", "10 fs"),
            ("solvent = 18", "solvent = 19"),
            ('"1 ps"', '"2 ps"'),
        )
    ]
    assert len({point.digest, *changed, file.field_points[0].digest}) == 10


def test_several_fields_of_different_length(system):
    text = (
        SMALL[: SMALL.index("[field]")]
        + """
[[field]]
strengths = ["0.02 V/nm"]
replicas = 2
production = "4 ps"
[[field]]
strengths = ["0.05 V/nm", "0.1 V/nm"]
"""
    )
    points = system(text).field_points
    assert [(p.label, p.frames) for p in points] == [
        ("E0.02_r0", 40),
        ("E0.02_r1", 40),
        ("E0.05_r0", 20),
        ("E0.1_r0", 20),
    ]
    with pytest.raises(InputError, match=r"field\[1\].strengths gives 0.02 V/nm for state c1 a second time"):
        system(text.replace('"0.05 V/nm"', '"0.02 V/nm"'))


def test_species_toml_takes_any_name(system):
    text = species_text('a "quoted" title', [system(swap=("species.M", 'species."Li+"')).points[0]])
    import tomllib

    assert tomllib.loads(text)["species"]["Li+"]["charge"] == 1


# ---- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", 'did you mean "title"'),
        ("salt = 3", "salt = 0", "state.0..salt = 0 must be at least 1"),
        ("solvent = 18", "solvent = 5", "at least twice the cutoff of 0.6 nm is needed; use more particles"),
        ("charge = -1", "charge = 1", "does not fit role = 'anion'"),
        ('role = "solvent"', 'role = "anion"\ncharge = -1', "is taken by species X"),
        ("[species.S]", "[ignored]", "did you mean|not a key"),
        ('"0.1 ps"', '"0.11 ps"', "not a multiple of the timestep, 20 fs"),
        ('"0.1 ps"', '"0 ps"', "shorter than the timestep"),
        ('"0.2 ps"', '"0.14 ps"', "must be a multiple of frame_interval"),
        ('"2 ps"', '"0 ps"', "shorter than frame_interval"),
        ('"2 ps"', '"1 year"', "allowed are at most"),
        ('["0.05 V/nm"]', '["0 V/nm"]', "different positive fields"),
        ("[field]", '[field]\nstates = ["c9"]', "'c9' is not a state here; allowed: c1"),
        ("solvent = 18", 'solvent = 18\nname = "a/b"', "must be a folder name"),
        ("nose-hoover", "langevin", '"nose-hoover" . "dpd" . "none"'),
        ("= 36", "= 0.5", "at least 1"),
        (
            "cutoff =",
            "charge_scaling = -0.8\ncutoff =",
            "charge_scaling = -0.8 must not be negative",
        ),
        ("solvent = 18", "solvent = 18\ncharge_scaling = 20", r"state.0..charge_scaling = 20 must be at most 2"),
        ("solvent = 18", 'solvent = 18\ncharge_scaling = "0.8"', "must be a bare number"),
        ("solvent = 18", "solvent = 18\ncharge_scaling = nan", "charge_scaling"),
    ],
)
def test_a_bad_system_file_is_one_sentence(system, old, new, message):
    with pytest.raises(InputError, match=message) as caught:
        system(swap=(old, new))
    assert "SYSTEM.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


TWO = {
    "species": ("[volumes]", '[species.T]\nrole = "solvent"\nmass = "90 g/mol"\ndiameter = "0.45 nm"\n[volumes]'),
    "volumes": ('V_0 = "47.23 cm^3/mol"', 'V_0 = { T = "60 cm^3/mol", S = "47.23 cm^3/mol" }'),
    "state": ("solvent = 18", "solvent = { S = 10, T = 8 }"),
}


def test_several_solvents(system):
    """Particles in the order cation, anion, solvents of the file; the box follows all volumes; field on the ions."""
    file = system(**TWO)
    point = file.points[0]
    assert [particle.name for particle in point.species] == ["M", "X", "S", "T"] and point.counts == (3, 3, 10, 8)
    assert point.volume == pytest.approx((3 * 103.6 + 10 * 47.23 + 8 * 60) * 1e-6 / N_A, rel=1e-12)
    built = build(openmm(), file.field_points[0])
    assert built.getNumParticles() == 24 and built.getForce(1).getNumParticles() == 6
    assert built.getParticleMass(23)._value == pytest.approx(90)
    assert 'matrix = "species"' in species_text("two", [point])


@pytest.mark.parametrize(
    ("key", "new", "message"),
    [
        ("state", "solvent = 18", "must be a table with a value for each of the solvents S, T"),
        ("state", "solvent = { S = 10 }", "solvent.T is missing"),
        ("state", "solvent = { S = 10, T = 8, U = 1 }", "U"),
        ("volumes", 'V_0 = "47.23 cm^3/mol"', "must be a table with a value for each of the solvents S, T"),
        ("volumes", 'V_0 = { T = "-60 cm^3/mol", S = "47.23 cm^3/mol" }', "V_0.T"),
    ],
)
def test_several_solvents_need_a_value_each(system, key, new, message):
    with pytest.raises(InputError, match=message):
        system(**TWO | {key: (TWO[key][0], new)})


def test_without_openmm_one_sentence_says_what_to_install(system, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(InputError, match=r"pip install 'cellsim\[md\]'"):
        simulate_point(system().points[0], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folders_of_other_runs_and_broken_files_are_refused(system, tmp_path):
    point, folder = system().points[0], tmp_path / "run"
    simulate_point(point, folder, platform="Reference")
    with pytest.raises(InputError, match="holds a run of other inputs"):
        simulate_point(replace(point, temperature=310.0), folder, platform="Reference")
    with pytest.raises(InputError, match="'SSE' is not one this OpenMM has"):
        simulate_point(point, tmp_path / "other", platform="SSE")
    (folder / "run.json").unlink()  # as a killed run leaves it
    with pytest.raises(InputError, match="holds a run of other inputs"):
        simulate_point(replace(point, temperature=310.0), folder, platform="Reference")
    (folder / "frames.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"frames.bin: is shorter than the checkpoint says"):
        simulate_point(point, folder, platform="Reference")
    (folder / "checkpoint.npz").write_bytes(b"PK not a checkpoint")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        simulate_point(point, folder, platform="Reference")
    (folder / "run.json").write_text(json.dumps({"frames": 3}))
    with pytest.raises(InputError, match="cannot be read as the record of a run"):
        simulate_point(point, folder, platform="Reference")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        simulate_point(point, tmp_path / "file" / "run", platform="Reference")
    with pytest.raises(InputError, match="allowed: c1"):
        simulate_system(system(), tmp_path / "out", states=["c2"])


def test_two_processes_cannot_run_one_folder(system, tmp_path):
    fcntl = pytest.importorskip("fcntl", reason="file locks are a Unix matter")
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / "lock", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is running it"):
            simulate_point(system().points[0], tmp_path / "run", platform="Reference")
    simulate_point(system().points[0], tmp_path / "run", platform="Reference")
    assert not (tmp_path / "run" / "lock").exists()


def test_a_time_step_that_is_too_long_is_said_to_be(system, tmp_path):
    point = replace(system().points[0], timestep=1e-12, thermostat="none")
    with pytest.raises(ConvergenceError, match=r"broke down .*; use a timestep shorter than 1000 fs"):
        simulate_point(point, Path(tmp_path) / "run", platform="Reference")


# ---- water -------------------------------------------------------------------------------------------------------

AQUEOUS = Path(__file__).parents[4] / "cases" / "aqueous" / "nacl.toml"


def few_molecules(n_salt, n_water, edge):
    point = read_system(AQUEOUS).points[0]
    return replace(point, counts=(n_salt, n_salt, n_water), volume=edge**3, cutoff=0.45 * edge)


def test_salt_water_has_the_energy_of_the_same_force_field_read_from_its_file():
    """Independent route: OpenMM's own copy of Joung & Cheatham's ions and SPC/E water."""
    from openmm import app

    mm = openmm()
    point = few_molecules(2, 20, 1.2e-9)
    x = start_positions(point)
    topology = app.Topology()
    chain = topology.addChain()
    for name, symbol, count in (("NA", "Na", 2), ("CL", "Cl", 2)):
        for _ in range(count):
            topology.addAtom(name, app.Element.getBySymbol(symbol), topology.addResidue(name, chain))
    for _ in range(20):
        residue = topology.addResidue("HOH", chain)
        O, H1, H2 = (topology.addAtom(n, app.Element.getBySymbol(n[0]), residue) for n in ("O", "H1", "H2"))
        topology.addBond(O, H1)
        topology.addBond(O, H2)
    topology.setPeriodicBoxVectors(np.eye(3) * 1.2)
    theirs = app.ForceField("amber14/spce.xml").createSystem(
        topology, nonbondedMethod=app.PME, nonbondedCutoff=0.54, rigidWater=True, ewaldErrorTolerance=1e-5
    )
    ours = build(mm, point)
    for system in (ours, theirs):
        for force in system.getForces():
            if isinstance(force, mm.NonbondedForce):
                force.setUseSwitchingFunction(False)
                force.setUseDispersionCorrection(False)
                force.setEwaldErrorTolerance(1e-5)
    energies = []
    for system in (ours, theirs):
        context = mm.Context(system, mm.VerletIntegrator(1e-6), mm.Platform.getPlatformByName("Reference"))
        context.setPositions(x)
        energies.append(context.getState(getEnergy=True).getPotentialEnergy()._value)
    assert energies[0] == pytest.approx(energies[1], rel=1e-4)  # measured 3.8e-5 (their diameter of oxygen is 3.1657 A)
    assert [ours.getParticleMass(k)._value for k in range(8)] == pytest.approx(
        [theirs.getParticleMass(k)._value for k in range(8)], rel=1e-3
    )
    assert ours.getNumConstraints() == theirs.getNumConstraints() == 60


def test_a_little_salt_water_runs_and_its_molecules_stay_whole(tmp_path):
    point = few_molecules(2, 60, 1.26e-9)
    point = replace(point, equilibration=200, frames=20, frame_every=10, positions_every=100)
    record = simulate_point(point, tmp_path / "run", platform="CPU")
    assert record.momentum < 0.01
    assert 150 < record.temperature < 450  # 64 molecules for 0.4 ps: the thermostat has hardly begun
    sites = sites_of(point)
    assert sites.freedom == 3 * 184 - 3 * 60 - 3
    run, x = np.load(tmp_path / "run" / "displacements.npz"), np.load(tmp_path / "run" / "positions.npz")
    assert x["positions"].shape == (3, 64, 3)  # one centre of mass per molecule
    moved = (x["positions"][-1].astype(float) - x["positions"][0])[x["labels"] == "water"].sum(axis=0)
    np.testing.assert_allclose(moved, run["R"][-1, 2], rtol=0, atol=1.0)  # pm; float32 of some nm, 60 molecules
    shift = np.einsum("k,kx->x", point.masses, run["R"][-1]) / np.dot(point.masses, point.counts)
    assert np.abs(shift).max() < 0.5  # pm


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('model = "spc/e"', 'model = "tip5p"', '"spc/e"'),
        ('model = "spc/e"', 'model = "spc/e"\nmass = "18 g/mol"', "mass is not a key"),
        ('well_depth = "0.3526418 kcal/mol"', "", "well_depth is missing"),
        ("charge = 1\n", 'charge = 1\nmodel = "spc/e"\n', "is for a solvent; ions are spheres"),
    ],
)
def test_a_bad_water_file_is_one_sentence(tmp_path, old, new, message):
    text = AQUEOUS.read_text()
    assert old in text
    (tmp_path / "SYSTEM.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_system(tmp_path / "SYSTEM.toml")
