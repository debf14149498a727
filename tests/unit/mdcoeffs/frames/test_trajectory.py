"""Files to displacements: every format gives the same, and every bad file one clear sentence."""

import gc
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import h5py
import MDAnalysis as mda
import numpy as np
import pytest
import trajectory_toys
from trajectory_toys import (
    BOX,
    FRAMES,
    IONS,
    SPECIES,
    TYPES,
    read,
    stream_of,
    system,
    true_displacements,
    write_binary,
    write_data,
    write_dump,
    write_extended,
    write_pdb,
    write_xyz,
)

from cellsim.base import InputError
from mdcoeffs import collective_displacements
from mdcoeffs.frames.topology import molecules_of
from mdcoeffs.frames.trajectory import open_replica, stored_snapshots
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile
from mdcoeffs.inputs.units import reduced


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    return tmp_path


@pytest.mark.parametrize("kind", ["dump", "flags", "xu", "gz", "trr", "dcd", "xtc"])
def test_every_format_gives_the_unwrapped_path(folder, kind):
    positions = system()
    true, drift = true_displacements(positions)
    if kind in ("dump", "flags", "xu"):
        name = "run.lammpstrj"
        write_dump(folder / name, positions, flags=kind == "flags", unwrapped=kind == "xu")
    elif kind == "gz":
        import gzip

        name = "run.lammpstrj.gz"
        write_dump(folder / "plain", positions, flags=True)
        (folder / name).write_bytes(gzip.compress((folder / "plain").read_bytes()))
    else:
        name = f"run.{kind}"
        write_binary(folder / name, positions)
    reading = read(folder, name)
    got = reading.displacements
    # Positions are exact in single precision; TRR rounds them in nm (1.6 nm at 24 bits: 1e-16 m, 8 molecules per sum;
    # measured 3e-16 m); XTC rounds to 0.01 angstrom (measured 0.04 angstrom).
    tolerance = {"xtc": 0.06e-10, "trr": 1e-15}.get(kind, 1e-20)
    assert np.abs(got.R - true).max() <= tolerance
    assert np.abs(reading.motion.drift - drift).max() <= tolerance
    assert got.counts == (4, 4, 8)
    assert got.frame == "barycentric"
    assert np.array(got.masses) * 6.02214076e26 == pytest.approx([7, 48, 18], rel=1e-12)
    assert got.dt == pytest.approx(1e-13, rel=1e-5)
    assert got.volume == pytest.approx(4096e-30, rel=1e-6)


def test_single_particle_paths_and_memory_cap(folder, caplog):
    positions = system()
    write_dump(folder / "run.lammpstrj", positions)
    whole = read(folder, "run.lammpstrj")
    assert not caplog.records
    small = read(folder, "run.lammpstrj", memory=100.0)
    assert caplog.records[0].getMessage().startswith("single-particle displacements: scratch file")
    store = small.paths.stores["0"]
    paths = store.block(0, 4, FRAMES)
    assert np.abs(paths - np.moveaxis((positions - positions[0])[:, :4], 0, 1) * 1e-10).max() < 1e-20
    assert np.array_equal(store.at(np.array([0, 7, 39])), np.moveaxis(paths, 0, 1)[[0, 7, 39]])
    blocks = list(store.blocks(FRAMES, memory=6 * 24 * FRAMES * 3))
    assert [(first, len(block)) for first, block in blocks] == [(0, 3), (3, 1)]
    # one particle at a time or all together: the sums of the self part differ by rounding
    for kind, sums in small.motion.self_sums.items():
        assert sums.msd() == pytest.approx(whole.motion.self_sums[kind].msd(), rel=1e-10, abs=1e-30)
    away = pickle.loads(pickle.dumps(store))  # to a machine that does not see the file
    assert np.array_equal(away.block(0, 4, FRAMES), paths)
    assert read(folder, "run.lammpstrj", self_part="none").paths is None


def test_parts_of_one_run_and_a_part_of_the_time(folder):
    positions = system()
    write_dump(folder / "run.lammpstrj", positions)
    write_dump(folder / "a.lammpstrj", positions[:15])
    write_dump(folder / "b.lammpstrj", positions[15:], steps=[100 * t for t in range(15, FRAMES)])
    joined = read(folder, "a.lammpstrj", "b.lammpstrj", stride=2)
    whole = read(folder, "run.lammpstrj", stride=2)
    assert np.array_equal(joined.displacements.R, whole.displacements.R)
    part = read(folder, "run.lammpstrj", start=1e-12, stop=2e-12).displacements
    true, _ = true_displacements(positions[10:21])
    assert np.abs(part.R - true).max() < 1e-20


def test_in_memory_universe_and_unwrapped_without_box(folder):
    positions = system()
    write_data(folder / "top.data", positions[0])
    universe, _ = open_with(folder, positions)
    options = {"temperature": 300, "coordinates": "unwrapped", "frame_interval": 1e-13}
    got = collective_displacements(universe, SPECIES, volume=4096e-30, **options)
    assert np.abs(got.R - true_displacements(positions)[0]).max() < 1e-20
    assert got.volume == 4096e-30
    with pytest.raises(InputError, match="there is no box, so give volume"):
        collective_displacements(universe, SPECIES, **options)


def open_with(folder, positions):
    universe = mda.Universe(str(folder / "top.data"))
    universe.load_new(positions.astype(np.float32), dt=0.1)
    universe.trajectory.ts.dimensions = None
    return universe, ()


def test_each_snapshot_keeps_its_own_box(folder):
    # The next frame is read while this one is worked on: nothing handed over may belong to the reader.
    universe = mda.Universe.empty(20, trajectory=True)
    with mda.Writer(str(folder / "run.xtc"), 20) as writer:
        for t, frame in enumerate(system()):
            universe.atoms.positions = frame % 16
            universe.dimensions = [16 + 0.1 * t, 16, 16, 90, 90, 90]
            universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
            writer.write(universe.atoms)
    universe, files = open_replica(Replica(topology=folder / "top.data", trajectory=(folder / "run.xtc",)))
    file = SpeciesFile(Path("SPECIES.toml"), 300.0, SPECIES, ())
    boxes = [stored.box for stored in stored_snapshots(universe, files, file, 0, False)]
    assert np.array(boxes)[:, 0, 0] == pytest.approx(16 + 0.1 * np.arange(FRAMES), rel=1e-5)
    volume = read(folder, "run.xtc").displacements.volume
    assert volume == pytest.approx((16 + 0.1 * (FRAMES - 1) / 2) * 256e-30, rel=1e-5)


# ---- times ------------------------------------------------------------------------------------------------------


def write_dcd(path, positions, remarks, *, dt=0.1, nsavc=100, istart=0):
    """As each program writes it: the time step in AKMA units, but LAMMPS in its own."""
    universe = mda.Universe.empty(positions.shape[1], trajectory=True)
    options = {"dt": dt, "nsavc": nsavc, "istart": istart, "remarks": remarks}
    with mda.Writer(str(path), positions.shape[1], **options) as writer:
        for frame in positions:
            universe.atoms.positions = frame % 16
            universe.dimensions = [*BOX, 90, 90, 90]
            writer.write(universe.atoms)


@pytest.mark.parametrize(
    "remarks", ["REMARKS FILENAME=run.dcd CREATED BY NAMD", "Created by OpenMM", "* CHARMM 45 OF A LIQUID"]
)
def test_a_dcd_of_a_known_writer_says_its_times(folder, remarks):
    write_dcd(folder / "run.dcd", system(), remarks, dt=0.1, nsavc=100, istart=500)
    displacements = read(folder, "run.dcd", timestep=None).displacements
    # Written with 0.1 ps between frames, the first after 500 steps of 1 fs.
    assert displacements.dt == pytest.approx(1e-13, rel=1e-5)
    assert displacements.time[0] == pytest.approx(5e-13, rel=1e-5)
    with pytest.raises(InputError, match=r"the units of this DCD file are fixed; leave \[units\] out"):
        read(folder, "run.dcd", timestep=None, run_units=reduced(1e-10, 1e-26, 1e-21))


@pytest.mark.parametrize(
    "remarks", ["", "REMARKS FILENAME=namd.dcd CREATED BY LAMMPS", "Created by DCD plugin", "my charmming liquid"]
)
def test_a_dcd_of_another_writer_needs_its_time(folder, remarks):
    write_dcd(folder / "run.dcd", system(), remarks, dt=7.0, nsavc=100, istart=500)
    with pytest.raises(InputError, match=r"run.dcd: DCD files do not say .* timestep = .* or frame_interval = "):
        read(folder, "run.dcd", timestep=None)
    by_step = read(folder, "run.dcd", timestep=3e-15).displacements
    # positions in sigma: a run in reduced units whose sigma is 2 angstrom
    twice = read(folder, "run.dcd", timestep=3e-15, run_units=reduced(2e-10, 3.3e-27, 1e-21)).displacements
    assert twice.volume == pytest.approx(8 * by_step.volume, rel=1e-6)
    assert np.abs(twice.R - 2 * by_step.R).max() < 1e-6 * np.abs(by_step.R).max()
    assert by_step.dt == pytest.approx(3e-13, rel=1e-12)
    assert by_step.time[0] == pytest.approx(500 * 3e-15, rel=1e-12)
    assert read(folder, "run.dcd", frame_interval=2e-13).displacements.dt == pytest.approx(2e-13, rel=1e-12)


@pytest.mark.parametrize("kind", ["xyz", "pdb"])
def test_frames_without_times_need_frame_interval(folder, kind):
    path = folder / f"run.{kind}"
    positions = system()
    {"xyz": write_xyz, "pdb": write_pdb}[kind](path, positions)
    options = {"coordinates": "unwrapped", "volume": 4096e-30}
    with pytest.raises(InputError, match=rf"run.{kind}: {kind.upper()} files do not say .* give frame_interval = "):
        read(folder, path.name, **options)
    with pytest.raises(InputError, match="timestep goes with files that number their frames in MD steps"):
        read(folder, path.name, timestep=1e-15, **options)
    got = read(folder, path.name, frame_interval=2e-13, **options).displacements
    assert got.dt == pytest.approx(2e-13, rel=1e-12)


def test_a_box_that_the_file_does_not_have_is_stated(folder):
    positions = system()
    write_xyz(folder / "run.xyz", positions - np.floor(positions / BOX) * BOX)
    edges = tuple(1e-10 * BOX)
    got = read(folder, "run.xyz", coordinates="wrapped", frame_interval=1e-13, box=edges).displacements
    assert np.abs(got.R - true_displacements(positions)[0]).max() < 0.06e-10
    assert got.volume == pytest.approx(np.prod(edges), rel=1e-12)
    with pytest.raises(InputError, match="has no box, so wrapped positions cannot be unwrapped"):
        read(folder, "run.xyz", coordinates="wrapped", frame_interval=1e-13, volume=4096e-30)
    write_dump(folder / "run.lammpstrj", positions)
    with pytest.raises(InputError, match="carries a box of its own; leave the key box out"):
        read(folder, "run.lammpstrj", timestep=1e-15, box=edges)


@pytest.mark.filterwarnings("ignore:Reader has no dt information")
def test_a_universe_of_several_files_and_one_in_memory(folder):
    positions = system()
    write_binary(folder / "a.xtc", positions[:20])
    write_binary(folder / "b.xtc", positions[20:], times=[0.1 * t for t in range(20, FRAMES)])
    write_xyz(folder / "c.xyz", positions[20:])
    for second, certain in (("b.xtc", True), ("c.xyz", False)):
        universe = mda.Universe(str(folder / "top.data"), [str(folder / "a.xtc"), str(folder / second)])
        if certain:
            got = collective_displacements(universe, SPECIES, temperature=300.0)
            assert np.abs(got.R - true_displacements(positions)[0]).max() < 0.06e-10
            assert got.time[-1] == pytest.approx(3.9e-12, rel=1e-6)
        else:
            with pytest.raises(InputError, match="CHAIN files do not say"):
                collective_displacements(universe, SPECIES, temperature=300.0)
    with pytest.raises(InputError, match="MEMORY files do not say"):
        collective_displacements(open_with(folder, positions)[0], SPECIES, temperature=300.0)


def test_both_keys_of_time_contradict(folder):
    write_dump(folder / "run.lammpstrj", system())
    with pytest.raises(InputError, match="timestep and frame_interval both say"):
        read(folder, "run.lammpstrj", timestep=1e-15, frame_interval=1e-13)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([100 * t for t in range(20)] + [1900] + [100 * t for t in range(20, 39)], "frame 20 repeats the time"),
        ([100 * t for t in range(20)] + [100 * t for t in range(10, 30)], "frame 20 is earlier than"),
        ([100 * t for t in range(20)] + [100 * t + 500 for t in range(20, 40)], "frame 20 does not follow"),
    ],
)
def test_frame_interval_hides_no_joint(folder, steps, message):
    write_dump(folder / "run.lammpstrj", system(), steps=steps)
    with pytest.raises(InputError, match=message):
        read(folder, "run.lammpstrj", timestep=None, frame_interval=1e-13)
    write_binary(folder / "run.xtc", system(), times=[1e-3 * step for step in steps])
    with pytest.raises(InputError, match=message):
        read(folder, "run.xtc", frame_interval=1e-13)
    write_dump(folder / "a.lammpstrj", system()[:20], steps=steps[:20])
    write_dump(folder / "b.lammpstrj", system()[20:], steps=steps[20:])
    with pytest.raises(InputError, match=f"b.lammpstrj: {message.replace('20', '0')}"):  # counted in its own file
        read(folder, "a.lammpstrj", "b.lammpstrj", frame_interval=1e-13)


def test_frame_interval_that_contradicts_the_file_is_said(folder, caplog):
    write_binary(folder / "run.xtc", system())
    assert read(folder, "run.xtc", frame_interval=2e-13, stride=2).displacements.dt == pytest.approx(4e-13, rel=1e-12)
    said = "run.xtc: frames are 0.1 ps apart by the file; frame_interval makes it 0.2 ps"
    assert [record.getMessage() for record in caplog.records] == [said]
    caplog.clear()
    read(folder, "run.xtc", frame_interval=1e-13, stride=2)
    assert not caplog.records


def test_frame_interval_goes_on_over_a_restart_of_the_count(folder):
    positions = system()
    write_dump(folder / "a.lammpstrj", positions[:20])
    write_dump(folder / "b.lammpstrj", positions[20:])
    joined = read(folder, "a.lammpstrj", "b.lammpstrj", frame_interval=1e-13).displacements
    assert np.abs(joined.R - true_displacements(positions)[0]).max() < 1e-20
    assert joined.time == pytest.approx(1e-13 * np.arange(FRAMES), rel=1e-12)
    write_dump(folder / "b.lammpstrj", positions[19:])  # begins with the last frame of a
    with pytest.raises(InputError, match=r"b.lammpstrj: frame 0 has the very positions of the frame before"):
        read(folder, "a.lammpstrj", "b.lammpstrj", frame_interval=1e-13)
    write_binary(folder / "zero.xtc", positions, times=[0.0] * FRAMES)
    assert read(folder, "zero.xtc", frame_interval=1e-13).displacements.dt == pytest.approx(1e-13, rel=1e-12)


def write_breathing(path, positions, columns):
    """At constant pressure: the box breathes about its middle, the positions with it; by `columns` of a LAMMPS dump."""
    with path.open("w") as stream:
        for t, frame in enumerate(positions):
            edge = 16 + np.sin(1.3 * t)
            low = 8 - edge / 2
            inside = (frame - np.floor(frame / 16) * 16) / 16 if columns in ("x y z", "xs ys zs") else frame / 16
            shown = inside if columns.startswith("xs") else low + inside * edge
            stream.write(f"ITEM: TIMESTEP\n{100 * t}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n")
            stream.write(f"ITEM: BOX BOUNDS pp pp pp\n{f'{low} {low + edge}' + chr(10)}" + f"{low} {low + edge}\n" * 2)
            stream.write(f"ITEM: ATOMS id type {columns}\n")
            stream.writelines(f"{k + 1} {TYPES[k]} {x} {y} {z}\n" for k, (x, y, z) in enumerate(shown))


@pytest.mark.parametrize("columns", ["xs ys zs", "xsu ysu zsu", "xu yu zu"])
def test_scaled_coordinates_at_constant_pressure(folder, columns):
    write_breathing(folder / "plain.lammpstrj", system(), "x y z")
    write_breathing(folder / "other.lammpstrj", system(), columns)
    plain, other = (read(folder, f"{name}.lammpstrj") for name in ("plain", "other"))
    # float32 positions of 16 angstrom, summed over 8 molecules and 40 frames: measured 6e-16 m
    assert np.abs(other.displacements.R - plain.displacements.R).max() < 2e-15
    assert np.abs(other.motion.drift - plain.motion.drift).max() < 2e-15


@pytest.mark.parametrize("kind", ["xtc", "lammpstrj", "flags", "xyz"])
def test_wrapped_positions_called_unwrapped(folder, kind):
    positions = system() * 0.25 + 6.0 * np.arange(20)[None, :, None]  # steps of 0.25 angstrom, all over the box
    name = "run.lammpstrj" if kind == "flags" else f"run.{kind}"
    options = {"xtc": {}, "xyz": {"frame_interval": 1e-13, "volume": 4096e-30}}.get(kind, {})
    if kind == "xtc":
        write_binary(folder / name, positions)
    elif kind == "xyz":
        write_xyz(folder / name, positions % 16)
    else:
        write_dump(folder / name, positions, flags=kind == "flags")
    if kind == "flags":  # a restart that lost them: counted anew from frame 20 on
        lines = (folder / name).read_text().splitlines()
        new = [" ".join([*line.split()[:5], "0 0 0"]) if len(line.split()) == 8 else line for line in lines[29 * 20 :]]
        (folder / name).write_text("\n".join([*lines[: 29 * 20], *new]) + "\n")
    with pytest.raises(InputError, match=r"of the box where molecules else move less .* the positions are wrapped"):
        read(folder, name, coordinates="unwrapped", **options)


@pytest.mark.parametrize("step", [0.05, 0.3, 1.0, 3.0])
def test_unwrapped_positions_are_believed_however_far_they_move(folder, step):
    positions = (16 * step * np.random.default_rng(7).normal(size=(200, 20, 3))).cumsum(axis=0)
    data = {"time": np.arange(200.0), "positions": positions * 1e-10, "labels": np.repeat(["Li", "X", "S"], [4, 4, 12])}
    for box in ({"box": np.eye(3) * 16e-10}, {}):
        run = collective_displacements(data | box, SPECIES, temperature=300.0, coordinates="unwrapped", volume=4.1e-27)
        assert run.n_frames == 200


# ---- a killed run resumes ---------------------------------------------------------------------------------------


@pytest.mark.slow  # two processes; test_stream has the same for made-up sums
def test_killed_run_resumes(folder):
    positions = system(frames=300)
    write_dump(folder / "run.lammpstrj", positions)
    # The child reads with a checkpoint after every frame and is killed without warning once one is on disk.
    code = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {os.path.dirname(trajectory_toys.__file__)!r})
        import trajectory_toys as t
        from pathlib import Path
        folder = Path({str(folder)!r})
        t.read(folder, "run.lammpstrj", checkpoint=folder / "check.npz", checkpoint_every=0.0,
               progress=lambda done, total: time.sleep(0.02))
    """)
    child = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (folder / "check.npz").exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    assert child.poll() is None, "the child ended before it could be killed"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    seen = []
    resumed = read(folder, "run.lammpstrj", checkpoint=folder / "check.npz", progress=lambda *at: seen.append(at))
    paths = [resumed.path(k).copy() for k in range(8)]
    assert 1 < seen[0][0] < 300 and seen[-1] == (300, 300)
    shutil.rmtree(folder / "scratch")
    straight = read(folder, "run.lammpstrj")
    assert np.array_equal(resumed.displacements.R, straight.displacements.R)
    assert all(np.array_equal(paths[k], straight.path(k)) for k in range(8))
    assert resumed.motion.longest_step == straight.motion.longest_step


def test_checkpoint_of_another_run_is_refused(folder):
    write_dump(folder / "run.lammpstrj", system())
    read(folder, "run.lammpstrj", checkpoint=folder / "check.npz")
    with pytest.raises(InputError, match="belongs to a run with other options"):
        read(folder, "run.lammpstrj", checkpoint=folder / "check.npz", stride=2)
    (folder / "check.npz").write_text(json.dumps({}))
    with pytest.raises(InputError, match="is not a checkpoint"):
        read(folder, "run.lammpstrj", checkpoint=folder / "check.npz")


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("species", "message"),
    [
        ((*SPECIES[:2], Species("S", 0, "solvent", "type 4 1")), "species.S and species.Li overlap in 4 atoms"),
        (SPECIES[:2], "the selections miss 8 of 20 atoms, the first is atom 12"),
        ((Species("Li", 1, "cation", "type 9"), *SPECIES[1:]), "species.Li: selection 'type 9' selects no atoms"),
        ((Species("Li", 1, "cation", "typo 9"), *SPECIES[1:]), "species.Li: selection 'typo 9' is not understood"),
        ((SPECIES[0], Species("X", -1, "anion", "type 2"), SPECIES[2]), "cuts the molecule of atom 4"),
        ((SPECIES[0], Species("X", -2, "anion", "type 2 3"), SPECIES[2]), "net charge of the box is -4 e"),
        ((SPECIES[0], Species("X", -1, "anion", "type 2 3", centre="type 4"), SPECIES[2]), "exactly one atom of every"),
        ((Species("Li", 1, "cation", "type 1", molecule="molecule"), *SPECIES[1:]), "has no molecule numbers"),
    ],
)
def test_bad_species(folder, species, message):
    write_dump(folder / "run.lammpstrj", system())
    with pytest.raises(InputError, match=message):
        read(folder, "run.lammpstrj", species=species)


def test_bad_masses(folder):
    write_data(folder / "top.data", system()[0], masses=[7, 16, 0, 18])
    write_dump(folder / "run.lammpstrj", system())
    with pytest.raises(InputError, match=r"species.X: atom 5 \(type 3\) has mass 0, masses must be positive"):
        read(folder, "run.lammpstrj")
    with pytest.raises(InputError, match="ignore selects atoms that have mass"):
        read(folder, "run.lammpstrj", ignore="type 1 3")
    species = (SPECIES[0], Species("X", -1, "anion", "type 2", molecule="atom"), SPECIES[2])
    assert read(folder, "run.lammpstrj", ignore="type 3", species=species).displacements.counts == (4, 4, 8)
    write_data(folder / "top.data", system()[0], masses=[7, 16, 1e308, 18])
    with pytest.raises(InputError, match=r"type 3 \(atom \d+\) has a mass of 1e\+308 u by the topology"):
        read(folder, "run.lammpstrj")


def test_masses_and_counts_beside_a_topology_must_agree(folder):
    write_dump(folder / "run.lammpstrj", system())
    anion = replace(SPECIES[1], mass=48.1e-3 / 6.02214076e23, count=4)
    assert read(folder, "run.lammpstrj", species=(SPECIES[0], anion, SPECIES[2])).displacements.counts[1] == 4
    heavy, many = replace(anion, mass=2 * anion.mass), replace(anion, count=8)
    for other, message in (
        (heavy, "mass = 96.2 g/mol, but the masses of the topology give 48"),
        (many, "contain 4 of"),
    ):
        with pytest.raises(InputError, match=message):
            read(folder, "run.lammpstrj", species=(SPECIES[0], other, SPECIES[2]))


def test_masses_by_the_names_of_atoms_are_told(folder, caplog):
    """A GRO file has no masses; MDAnalysis finds none for lithium, since it looks for LI."""
    names = [*["Li"] * IONS, *["P", "F"] * IONS, *["O"] * 2 * IONS]
    residue = [*range(IONS), *(IONS + k // 2 for k in range(2 * IONS)), *range(2 * IONS, 4 * IONS)]
    rows = [f"{residue[k] + 1:5d}RES  {names[k]:>5s}{k + 1:5d}" + "   0.000" * 3 for k in range(len(names))]
    (folder / "top.gro").write_text("\n".join(["a box", str(len(names)), *rows, "   1.6 1.6 1.6", ""]))
    write_dump(folder / "run.lammpstrj", system())
    kinds = ("name Li", "name P F", "name O")
    species = [replace(each, selection=kind, molecule="residue") for each, kind in zip(SPECIES, kinds, strict=True)]
    found = read(folder, "run.lammpstrj", topology="top.gro", species=species).displacements
    assert np.array(found.masses) * 6.02214076e26 == pytest.approx([6.94, 30.974 + 18.998, 15.999], rel=1e-3)
    assert "top.gro has no masses; those of the names of its atoms make Li 6.941, X 49.97, S 16 g/mol" in caplog.text
    caplog.clear()
    read(folder, "run.lammpstrj")
    assert not caplog.text


def test_topology_without_bonds(folder):
    write_data(folder / "top.data", system()[0], bonds=False)
    write_dump(folder / "run.lammpstrj", system())
    with pytest.raises(InputError, match="the topology has no bonds"):
        read(folder, "run.lammpstrj")
    species = tuple(Species(s.name, s.z, s.role, s.selection, molecule="residue") for s in SPECIES)
    true, _ = true_displacements(system())
    assert np.abs(read(folder, "run.lammpstrj", species=species).displacements.R - true).max() < 1e-20


@pytest.mark.parametrize("kind", ["lammpstrj", "xtc", "dcd", "trr"])
@pytest.mark.parametrize("cut", [7, 150])
def test_last_frame_cut_short(folder, kind, cut):
    path = folder / f"run.{kind}"
    if kind == "lammpstrj":
        write_dump(path, system())
    else:
        write_binary(path, system())
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"cut short|cannot be read"):
        read(folder, path.name)


def test_an_atom_lost_on_the_way(folder):
    write_dump(folder / "run.lammpstrj", system())
    lines = (folder / "run.lammpstrj").read_text().splitlines()
    for frame in range(25, FRAMES):  # 29 lines a frame, the count in the fourth
        lines[29 * frame + 3] = "19"
    lost = {29 * frame + 28 for frame in range(25, FRAMES)}
    text = "\n".join(line for k, line in enumerate(lines) if k not in lost) + "\n"
    (folder / "run.lammpstrj").write_text(text)
    with pytest.raises(InputError, match="frame 25 has 19 atoms and the topology 20: atoms were lost or added there"):
        read(folder, "run.lammpstrj")


def test_extended_xyz_brings_its_boxes(folder):
    positions = system()
    write_extended(folder / "run.xyz", positions)
    write_binary(folder / "run.trr", positions)
    found, truth = (read(folder, name, frame_interval=1e-13) for name in ("run.xyz", "run.trr"))
    assert found.displacements.volume == pytest.approx(16.0**3 * 1e-30)
    difference = np.abs(found.displacements.R - truth.displacements.R).max()
    assert difference < 1e-14 and np.abs(truth.displacements.R).max() > 1e-10
    # a box of its own in every frame, and not at right angles: rows are its vectors
    slanted = [np.array([[16.0, 0, 0], [2.0, 15.0 + 0.01 * t, 0], [1.0, 3.0, 17.0]]) for t in range(FRAMES)]
    write_extended(folder / "run.xyz", positions, slanted)
    seen = [snapshot.box for snapshot in stream_of(folder, "run.xyz", frame_interval=1e-13).snapshots()]
    assert np.array(seen) == pytest.approx(np.array(slanted) * 1e-10, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"boxes": [None] + [np.diag(BOX)] * (FRAMES - 1)}, "frame 1.*Lattice"),
        ({"boxes": [np.diag(BOX)] * 5 + [None] * (FRAMES - 5)}, "frame 5.*Lattice"),
        ({"boxes": [BOX] * FRAMES}, "not nine numbers"),
        ({"boxes": [[1.0] * 8 + [np.nan]] * FRAMES}, "not nine numbers"),
        ({"boxes": [np.zeros((3, 3))] * FRAMES}, "spans no volume"),
        ({"properties": "pos:R:3:species:S:1"}, "must come first"),
    ],
)
def test_extended_xyz_that_is_refused(folder, options, words):
    write_extended(folder / "run.xyz", system(), **options)
    with pytest.raises(InputError, match=words):
        read(folder, "run.xyz", frame_interval=1e-13)


def test_h5md_without_units_is_refused_by_name(folder):
    positions = system()
    with h5py.File(folder / "run.h5md", "w") as file:
        file.create_group("h5md").attrs["version"] = (1, 1)
        group = file.create_group("particles/trajectory")
        box = group.create_group("box")
        box.attrs["dimension"], box.attrs["boundary"] = 3, ["periodic"] * 3
        box.create_group("edges")["value"] = np.tile(np.diag(BOX), (FRAMES, 1, 1))
        place = group.create_group("position")
        place["value"], place["step"], place["time"] = positions % BOX, np.arange(FRAMES), 0.1 * np.arange(FRAMES)
    with pytest.raises(InputError, match=r"run.h5md: cannot be read as a trajectory: .* have no attribute unit"):
        read(folder, "run.h5md")


def test_extended_xyz_with_species_last_is_refused_by_its_columns(folder):
    write_extended(folder / "run.xyz", system(), properties="pos:R:3:species:S:1")
    rows = (folder / "run.xyz").read_text().splitlines()
    turned = [" ".join([*row.split()[1:4], row.split()[0]]) if row.startswith("X") else row for row in rows]
    (folder / "run.xyz").write_text("\n".join([*turned, ""]))
    with pytest.raises(
        InputError, match="has the columns 'pos:R:3:species:S:1'; species and positions must come first"
    ):
        read(folder, "run.xyz", frame_interval=1e-13)


STYLES = {
    "atomic": "{id} {type} {x} {y} {z}",
    "charge": "{id} {type} 0.5 {x} {y} {z}",
    "molecular": "{id} {molecule} {type} {x} {y} {z}",
    "full": "{id} {molecule} {type} 0.5 {x} {y} {z}",
    "sphere": "{id} {type} 1.0 2.0 {x} {y} {z}",
}


def in_style(folder, style, form, images=""):
    """The topology of the folder again, in another style."""
    head, rows = (folder / "full.data").read_text().split("Atoms # full\n\n")
    names = ("id", "molecule", "type", "charge", "x", "y", "z")
    atoms, _, bonds = rows.partition("\n\n")
    atoms = "".join(
        form.format(**dict(zip(names, row.split(), strict=True))) + images + "\n" for row in atoms.splitlines()
    )
    (folder / "top.data").write_text(f"{head}Atoms  # {style}\n\n{atoms}\n{bonds}")


@pytest.mark.parametrize("images", ["", " 0 0 0"])
@pytest.mark.parametrize("style", STYLES)
def test_the_style_of_a_data_file_is_the_one_that_it_names(folder, style, images):
    # seven columns are full to MDAnalysis and six are molecular: charge and sphere were read as something else
    write_binary(folder / "run.xtc", system())
    truth = stream_of(folder, "run.xtc").molecules
    (folder / "top.data").rename(folder / "full.data")
    in_style(folder, style, STYLES[style], images)
    found = stream_of(folder, "run.xtc").molecules
    assert np.array_equal(found.atoms, truth.atoms) and np.array_equal(found.species, truth.species)
    assert np.array_equal(found.masses, truth.masses)


def test_a_style_that_its_atoms_do_not_have(folder):
    write_binary(folder / "run.xtc", system())
    (folder / "top.data").rename(folder / "full.data")
    in_style(folder, "charge", STYLES["full"])
    with pytest.raises(InputError, match=r"of the style charge, id type charge x y z, and the first one has 7 columns"):
        stream_of(folder, "run.xtc")
    in_style(folder, "hybrid sphere", STYLES["full"])  # unknown: seven columns are taken for full, as before
    assert stream_of(folder, "run.xtc").molecules.count


def log_spaced(blocks, length=1000):
    """Steps of frames that are log-spaced within blocks, as for studies of short and long times at once."""
    within = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    return [length * block + step for block in range(blocks) for step in within]


def test_evenly_spaced_frames_among_log_spaced_ones(folder):
    steps = log_spaced(FRAMES)
    even = np.flatnonzero(np.array(steps) % 1000 == 0)
    positions = np.repeat(system(), 11, axis=0)
    positions += np.arange(len(positions))[:, None, None] * 2.0**-10  # what lies between is not the same
    write_dump(folder / "run.lammpstrj", positions, steps=steps)
    write_dump(folder / "even.lammpstrj", positions[even], steps=[steps[k] for k in even])
    truth = read(folder, "even.lammpstrj")
    with pytest.raises(InputError, match="frame 3: frames are not evenly spaced"):
        read(folder, "run.lammpstrj")
    found = read(folder, "run.lammpstrj", every=1e-12)
    assert np.array_equal(found.displacements.R, truth.displacements.R)
    assert np.array_equal(found.path(5), truth.path(5))
    assert found.displacements.time == pytest.approx(1e-12 * np.arange(FRAMES), rel=1e-12, abs=1e-24)
    # from start on: the frames at 2, 1002, 2002 ... fs
    shifted = read(folder, "run.lammpstrj", every=1e-12, start=2e-15).displacements
    write_dump(folder / "even.lammpstrj", positions[even + 2], steps=[steps[k] for k in even])
    assert np.array_equal(shifted.R, read(folder, "even.lammpstrj").displacements.R)
    with pytest.raises(InputError, match=r"frame 10 at 5.12e-13 s: no frame before it is at 3e-13 s, but every"):
        read(folder, "run.lammpstrj", every=0.3e-12)
    # what is passed over is in order too, and one block that is missing is seen
    write_dump(folder / "run.lammpstrj", positions, steps=[*steps[:50], steps[40], *steps[51:]])
    with pytest.raises(InputError, match=r"frame 50 at .* is earlier than the frame before"):
        read(folder, "run.lammpstrj", every=1e-12)
    write_dump(folder / "run.lammpstrj", positions[:-11], steps=[k for k in steps if not 5000 <= k < 6000])
    with pytest.raises(InputError, match="no frame before it is at 5e-12 s, but every = 1e-12 s asks for one"):
        read(folder, "run.lammpstrj", every=1e-12)


def test_a_pass_over_log_spaced_frames_resumes(folder):
    """Of times that are at a multiple to rounding the first counts, and does so after a kill."""
    steps = [5 * 10**6 * block + step for block in range(1, 13) for step in (0, 1, 2, 1000)]
    write_dump(folder / "run.lammpstrj", np.repeat(system(frames=12), 4, axis=0), steps=steps)
    stream = stream_of(folder, "run.lammpstrj", every=5e-9)
    whole = [(stored.number, stored.time) for stored in stream.source(0)]
    assert [number for number, _ in whole] == list(range(0, 48, 4))
    for begin in range(1, 48):
        assert [(each.number, each.time) for each in stream.source(begin)] == [w for w in whole if w[0] >= begin]


def test_frames_out_of_order_or_duplicated(folder):
    positions = system()
    steps = [100 * t for t in range(FRAMES)]
    write_dump(folder / "run.lammpstrj", positions, steps=[*steps[:20], steps[19], *steps[21:]])
    with pytest.raises(InputError, match=r"frame 20 at 1.9e-12 s repeats the time of .* with drop_repeated = true"):
        read(folder, "run.lammpstrj")
    write_dump(folder / "run.lammpstrj", positions, steps=[*steps[:20], *steps[:20]])
    with pytest.raises(InputError, match="frame 20 at 0 s is earlier than the frame before"):
        read(folder, "run.lammpstrj")
    write_dump(folder / "run.lammpstrj", positions, steps=[*steps[:20], *(s + 500 for s in steps[20:])])
    with pytest.raises(InputError, match=r"not evenly spaced.*at a fixed interval, by every = "):
        read(folder, "run.lammpstrj")
    write_dump(folder / "run.lammpstrj", positions, steps=[0, *(2**k for k in range(FRAMES - 1))])
    with pytest.raises(InputError, match=r"frame 3: .*of log-spaced frames those at a fixed interval"):
        read(folder, "run.lammpstrj")
    write_binary(folder / "run.xtc", positions, times=[0.1 * (t % 20) for t in range(FRAMES)])
    with pytest.raises(InputError, match="frame 20 at 0 s is earlier"):
        read(folder, "run.xtc")


def test_nan_no_box_no_time(folder):
    positions = system()
    write_dump(folder / "run.lammpstrj", positions, box=False, unwrapped=False)
    with pytest.raises(InputError, match=r"frame 0 has no box, so wrapped positions cannot be .* the key box"):
        read(folder, "run.lammpstrj")
    positions[7, 3, 1] = np.nan
    write_binary(folder / "run.trr", positions)
    with pytest.raises(InputError, match=r"run.trr: frame 7: the position of atom 3 is NaN"):
        read(folder, "run.trr")
    write_dump(folder / "run.lammpstrj", system())
    with pytest.raises(InputError, match='give timestep = "2 fs"'):
        read(folder, "run.lammpstrj", timestep=None)
    with pytest.raises(InputError, match=r"1 frame\(s\) lie in the part of the run"):
        read(folder, "run.lammpstrj", stop=0.0)


def test_jump_too_long(folder):
    positions = system()
    positions[20:, 0] += 8.0
    write_dump(folder / "run.lammpstrj", positions)
    with pytest.raises(InputError, match="too far to unwrap"):
        read(folder, "run.lammpstrj")


@pytest.mark.parametrize("content", [b"no trajectory at all", b""], ids=["noise", "empty"])
@pytest.mark.parametrize(
    "kind", ["xtc", "trr", "dcd", "nc", "xyz", "tng", "gsd", "h5md", "trz", "pdb", "inpcrd", "mol2", "lammpstrj", "foo"]
)
def test_wrong_files(folder, monkeypatch, kind, content):
    # A reader that fails while it is made must not complain a second time when it is collected.
    later = []
    monkeypatch.setattr(sys, "unraisablehook", later.append)
    (folder / f"noise.{kind}").write_bytes(content)
    with pytest.raises(InputError, match=rf"noise.{kind}: (cannot be read as a trajectory|needs a reader)") as caught:
        read(folder, f"noise.{kind}", run_units=reduced(1e-10, 1e-26, 1e-21) if kind == "gsd" else None)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 450
    expected = {
        "tng": "please install pytng",
        "gsd": "please install gsd",
        "foo": 'say trajectory_format, such as "XTC"',
    }
    assert (expected.get(kind, "") if content else "the file is empty") in message
    if kind == "xtc":
        for name, text in (("other.data", "LAMMPS data file\n\nnothing\n"), ("other.gro", "none"), ("other.foo", "x")):
            (folder / name).write_text(text)
            with pytest.raises(InputError, match="cannot be read as a topology"):
                open_replica(Replica(topology=folder / name, trajectory=(folder / "noise.xtc",)))
    del caught
    gc.collect()
    assert not later


def test_molecules_of_unequal_mass_are_not_an_ion(folder):
    write_dump(folder / "run.lammpstrj", system())
    universe, _ = open_replica(Replica(topology=folder / "top.data", trajectory=(folder / "run.lammpstrj",)))
    mixed = (Species("Li", 1, "cation", "type 1 4"), SPECIES[1])
    with pytest.raises(InputError, match=r"species.Li holds molecules of different mass"):
        molecules_of(universe, mixed)
