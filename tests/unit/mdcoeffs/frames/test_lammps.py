"""Dumps of LAMMPS in the forms that dump_modify and dump yaml give them: the walk of a plain dump, bit for bit."""

import gzip
import re

import numpy as np
import pytest
from trajectory_toys import FRAMES, MASSES, STEP, read, stream_of, system, write_data, write_dump, write_yaml

from cellsim.base import InputError
from mdcoeffs.inputs.species import Species
from mdcoeffs.inputs.units import STYLES, reduced

HEADS = {
    "units": ["ITEM: UNITS\nreal\n" if not t else "" for t in range(FRAMES)],
    "time": [f"ITEM: TIME\n{100.0 * t}\n" for t in range(FRAMES)],
    "both": [("ITEM: UNITS\nreal\n" if not t else "") + f"ITEM: TIME\n{100.0 * t}\n" for t in range(FRAMES)],
}
"""What LAMMPS writes before a frame: the units once for each file, the time in every frame; 1 fs a step."""


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    write_dump(tmp_path / "plain.lammpstrj", system())
    return tmp_path


def positions_of(folder, name, **options):
    """Copies of the raw positions of every snapshot."""
    return np.array([s.raw.copy() for s in stream_of(folder, name, **options).snapshots()])


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("packed", [False, True])
def test_units_and_times_in_the_head_change_nothing(folder, head, packed):
    write_dump(folder / "run.lammpstrj", system(), heads=HEADS[head])
    name = "run.lammpstrj"
    if packed:
        (folder / "run.lammpstrj.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        name += ".gz"
    plain, found = read(folder, "plain.lammpstrj", timestep=STEP), read(folder, name, timestep=STEP)
    assert np.array_equal(found.displacements.R, plain.displacements.R)
    assert np.array_equal(found.displacements.time, plain.displacements.time)
    assert found.displacements.volume == plain.displacements.volume
    # strides read frames out of order of the file
    assert np.array_equal(positions_of(folder, name, stride=3), positions_of(folder, "plain.lammpstrj", stride=3))


def test_stated_units_and_times_need_no_timestep(folder):
    write_dump(folder / "run.lammpstrj", system(), heads=HEADS["both"])
    assert read(folder, "run.lammpstrj", timestep=None).displacements.dt == pytest.approx(1e-13, rel=1e-12)
    write_dump(folder / "run.lammpstrj", system(), heads=HEADS["time"])
    with pytest.raises(InputError, match=r'give \[units\] style = "real" .* timestep = .* or frame_interval = '):
        read(folder, "run.lammpstrj", timestep=None)
    stated = read(folder, "run.lammpstrj", timestep=None, run_units=STYLES["metal"]).displacements
    assert stated.dt == pytest.approx(1e-10, rel=1e-12)  # 100 ps
    # write_data leaves the unit style in the first line of a data file
    data = (folder / "top.data").read_text()
    (folder / "top.data").write_text(data.replace("file", "file via write_data, timestep = 0, units = real", 1))
    assert read(folder, "run.lammpstrj", timestep=None).displacements.dt == pytest.approx(1e-13, rel=1e-12)
    with pytest.raises(InputError, match=r"top.data: is in real units, and \[units\] states metal units"):
        read(folder, "run.lammpstrj", timestep=None, run_units=STYLES["metal"])


def test_the_yaml_form_is_the_same_walk(folder):
    write_yaml(folder / "run.yaml", system(), unit_style="real", times=[100.0 * t for t in range(FRAMES)])
    plain, found = read(folder, "plain.lammpstrj", timestep=STEP), read(folder, "run.yaml", timestep=None)
    assert np.array_equal(found.displacements.R, plain.displacements.R)
    assert found.displacements.time == pytest.approx(plain.displacements.time, rel=1e-12)
    write_yaml(folder / "bare.yaml", system())
    assert np.array_equal(read(folder, "bare.yaml", timestep=STEP).displacements.R, plain.displacements.R)


def test_a_tilted_box_in_yaml(folder):
    write_yaml(folder / "run.yaml", system())
    tilted = "  - [ -2, 18 ]\n  - [ 0, 17 ]\n  - [ 0, 16 ]\n  - [ 1.5, -1, 0.5 ]\n"
    (folder / "run.yaml").write_text((folder / "run.yaml").read_text().replace("  - [ 0, 16 ]\n" * 3, tilted))
    box = next(stream_of(folder, "run.yaml", timestep=STEP).snapshots()).box
    # LAMMPS writes the bounds of the box around the tilted one: xlo + min(0, xy, xz, xy + xz) and so on
    assert box * 1e10 == pytest.approx(np.array([[17.5, 0, 0], [1.5, 16.5, 0], [-1, 0.5, 16]]), abs=1e-5)


@pytest.mark.parametrize(("style", "scale"), [("real", 1e5), ("metal", 1e2), ("lj", None)])
def test_velocities_in_the_units_of_the_run(folder, style, scale):
    v = np.random.default_rng(2).normal(size=(FRAMES, 20, 3))
    units = reduced(3.4e-10, 6.6335e-26, 1.65e-21) if style == "lj" else STYLES[style]
    scale = np.sqrt(1.65e-21 / 6.6335e-26) if scale is None else scale  # sigma / tau
    write_dump(folder / "run.lammpstrj", system(), v=v)
    found = np.array(
        [s.velocities for s in stream_of(folder, "run.lammpstrj", timestep=STEP, run_units=units).snapshots()]
    )
    assert found == pytest.approx(v * scale, rel=1e-6)
    assert next(stream_of(folder, "run.lammpstrj", timestep=STEP).snapshots()).velocities is None


def test_reduced_units_are_converted(folder):
    sigma, tau = 3.4, 2.156e-12
    units = reduced(sigma * 1e-10, 6.6335e-26, 6.6335e-26 * (sigma * 1e-10 / tau) ** 2)
    heads = [("ITEM: UNITS\nlj\n" if not t else "") + f"ITEM: TIME\n{0.005 * 100 * t}\n" for t in range(FRAMES)]
    write_dump(folder / "run.lammpstrj", system(), heads=heads, unit=sigma)
    plain = read(folder, "plain.lammpstrj", timestep=STEP).displacements
    found = read(folder, "run.lammpstrj", timestep=None, run_units=units).displacements
    assert found.dt == pytest.approx(0.5 * tau, rel=1e-9)
    assert found.volume == pytest.approx(plain.volume, rel=1e-9)
    # the drift is taken away with the same weights; positions are rounded to single precision
    assert np.abs(found.R - plain.R).max() < 2e-6 * np.abs(plain.R).max()
    # masses of a data file are in the units of the run
    assert np.array(found.masses) == pytest.approx(np.array(plain.masses) / 1.66053906660e-27 * 6.6335e-26, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("ITEM: UNITS\nreal", "ITEM: UNITS\nlj"), "is in Lennard-Jones units; say what"),
        (lambda text: text.replace("ITEM: UNITS\nreal", "ITEM: UNITS\nreel"), "units 'reel', which LAMMPS does not"),
        (lambda text: text.replace("ITEM: TIME\n500.0", "ITEM: TIME\nnan"), r"give \[units\]|timestep"),
        (lambda text: text.replace("ITEM: TIME\n500.0", "ITEM: TIME\nsoon"), "frame 5 is damaged: its head says"),
        (lambda text: text.replace("ITEM: TIME\n500.0", "ITEM: TIME\n300.0"), "is earlier than|frames are not evenly"),
        (lambda text: text.replace("ITEM: TIME\n500.0\n", ""), "give timestep"),
        (lambda text: text.replace("NUMBER OF ATOMS\n20", "NUMBER OF ATOMS\n19", 3), "frame 0 has 19 atoms|damaged"),
        (lambda text: text.replace("ITEM: TIMESTEP\n600", "TIMESTEP\n600"), "frame 6 is damaged: a line of its head"),
        (
            lambda text: text.replace("ITEM: TIME\n500.0", "ITEM: UNITS\nmetal\nITEM: TIME\n500.0"),
            "in metal units, and",
        ),
        (lambda text: text[: len(text) // 2], r"the last frame is cut short .* set cut_last_frame = \"drop\""),
        (lambda text: text[:100], "holds no whole frame|cut short"),
        (lambda text: text.replace(" 2 ", " 2 nan ", 1), "cannot be read|damaged|NaN"),
    ],
)
def test_hostile_heads_are_one_sentence(folder, change, message):
    write_dump(folder / "run.lammpstrj", system(), heads=HEADS["both"])
    text = (folder / "run.lammpstrj").read_text()
    assert change(text) != text
    (folder / "run.lammpstrj").write_text(change(text))
    with pytest.raises(InputError, match=message):
        read(folder, "run.lammpstrj", timestep=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("natoms: 20", "natoms: many", 1), "frame 0 is damaged: its head says"),
        (lambda text: text.replace("natoms: 20", "natoms: 19", 1), "behind its atoms stands"),
        (lambda text: text.replace("  - [ 0, 16 ]\n", "", 1), "its box is"),
        (lambda text: text.replace("keywords: [ id", "keywords: [ di", 1), "cannot be read|damaged"),
        (lambda text: text.replace("creator: LAMMPS\ntimestep: 700\n", "creator: LAMMPS\n"), "cannot be read|damaged"),
        (lambda text: text[:-4], "the last frame is cut short"),
        (lambda text: text[:-300], "the last frame is cut short"),
        (lambda text: text.replace("time: 500.0", "time: .nan"), "frame 5 is damaged: its head says"),
    ],
)
def test_hostile_yaml_is_one_sentence(folder, change, message):
    write_yaml(folder / "run.yaml", system(), unit_style="real", times=[100.0 * t for t in range(FRAMES)])
    text = (folder / "run.yaml").read_text()
    assert change(text) != text
    (folder / "run.yaml").write_text(change(text))
    with pytest.raises(InputError, match=message):
        read(folder, "run.yaml", timestep=None)


def test_units_that_contradict_and_timesteps_that_do(folder):
    write_dump(folder / "run.lammpstrj", system(), heads=HEADS["both"])
    with pytest.raises(InputError, match=r"is in real units, and \[units\] states metal units"):
        read(folder, "run.lammpstrj", run_units=STYLES["metal"])
    with pytest.raises(InputError, match="frame 1 is 1e-13 s after the first one by the file and 2e-13 s by timestep"):
        read(folder, "run.lammpstrj", timestep=2 * STEP)


def test_a_dump_as_topology(folder):
    write_dump(folder / "top.lammpstrj", system()[:1], heads=["ITEM: UNITS\nreal\nITEM: TIME\n0\n"])
    write_yaml(folder / "top.yaml", system()[:1], unit_style="real")

    def with_masses(path, head, rows, end):
        text = path.read_text().replace(head, head.replace("z", "z mass" if not end else "z, mass"))
        path.write_text(re.sub(rows, lambda row: f"{row[1]} {MASSES[int(row[2]) - 1]}{end}", text, flags=re.MULTILINE))

    with_masses(folder / "top.lammpstrj", "type x y z", r"^(\d+ (\d) .*)$", "")
    with_masses(folder / "top.yaml", "y, z,", r"^(  - \[ \d+, (\d), .*)\]$", ", ]")
    roles = ((1, "cation"), (-1, "anion"), (0, "solvent"), (0, "solvent"))
    atoms = [Species(f"s{k}", z, role, f"type {k}", molecule="atom") for k, (z, role) in enumerate(roles, 1)]
    kept = [read(folder, "plain.lammpstrj", topology=f"top.{name}", species=atoms) for name in ("lammpstrj", "yaml")]
    assert np.array_equal(*(each.displacements.R for each in kept))
    assert np.array(kept[0].displacements.masses) * 6.02214076e26 == pytest.approx(MASSES, rel=1e-6)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("", "top.lammpstrj: has no column mass or element, so the masses of its atoms are not known; add mass to"),
        ("Li H C Qq", r"top.lammpstrj: atom 12 \(type 4\) has no known element, so its mass is not known"),
        ("Li H C O", None),
    ],
)
def test_a_dump_as_topology_must_tell_masses(folder, column, message):
    """MDAnalysis gives every atom a mass of 1 u where it finds none, and the centre of mass is then a wrong one."""
    write_dump(folder / "top.lammpstrj", system()[:1])
    text = (folder / "top.lammpstrj").read_text()
    if column:
        text = text.replace("type x y z", "type x y z element")
        element = column.split()
        text = re.sub(r"^(\d+ (\d) .*)$", lambda row: f"{row[1]} {element[int(row[2]) - 1]}", text, flags=re.MULTILINE)
    (folder / "top.lammpstrj").write_text(text)
    roles = ((1, "cation"), (-1, "anion"), (0, "solvent"), (0, "solvent"))
    atoms = [Species(f"s{k}", z, role, f"type {k}", molecule="atom") for k, (z, role) in enumerate(roles, 1)]
    if message:
        with pytest.raises(InputError, match=message):
            read(folder, "plain.lammpstrj", topology="top.lammpstrj", species=atoms)
        return
    found = read(folder, "plain.lammpstrj", topology="top.lammpstrj", species=atoms).displacements.masses
    assert np.array(found) * 6.02214076e26 == pytest.approx([6.94, 1.008, 12.011, 15.999], rel=1e-3)


def test_a_dump_without_ids_is_read_with_a_warning(folder, caplog):
    """Atoms of one type that changed places are not seen, and their paths are then those of two."""
    text = (folder / "plain.lammpstrj").read_text().replace("ATOMS id", "ATOMS line")
    (folder / "run.lammpstrj").write_text(text)
    found = read(folder, "run.lammpstrj").displacements
    assert "run.lammpstrj: has no column id, so its atoms are taken to be in the order of the topology" in caplog.text
    caplog.clear()
    assert np.array_equal(read(folder, "plain.lammpstrj").displacements.R, found.R)
    assert not caplog.text


def test_a_box_of_three_vectors_is_refused_by_name(folder):
    text = (folder / "plain.lammpstrj").read_text()
    general = text.replace(
        "ITEM: BOX BOUNDS pp pp pp\n" + "0 16.0\n" * 3,
        "ITEM: BOX BOUNDS abc origin pp pp pp\n16 0 0 0\n0 16 0 0\n0 0 16 0\n",
    )
    assert general != text
    (folder / "general.lammpstrj").write_text(general)
    with pytest.raises(InputError, match=r"general.lammpstrj: states its box by three vectors .* triclinic/general no"):
        read(folder, "general.lammpstrj")
