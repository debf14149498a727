"""GSD files of HOOMD-blue: the walk of a plain dump, tilted boxes, velocities; where the package gsd is installed."""

from pathlib import Path

import numpy as np
import pytest
from trajectory_toys import BOX, FRAMES, IONS, MASSES, STEP, TYPES, read, stream_of, system, write_data, write_dump

from cellsim.base import InputError
from mdcoeffs.inputs.units import RunUnits, reduced

LENGTH, MASS, TIME = 2e-10, 3e-26, 1.5e-12
UNITS = reduced(LENGTH, MASS, MASS * (LENGTH / TIME) ** 2)


def write_gsd(path, positions, *, velocities=None, tilts=(0, 0, 0)):
    hoomd = pytest.importorskip("gsd.hoomd", exc_type=ImportError)
    with hoomd.open(path, "w") as stream:
        for t, frame in enumerate(positions):
            made, n = hoomd.Frame(), len(frame)
            made.configuration.step, made.configuration.box = 100 * t, [*(BOX * 1e-10 / LENGTH), *tilts]
            made.particles.N, made.particles.types, made.particles.typeid = n, ["1", "2", "3", "4"], TYPES - 1
            made.particles.mass = MASSES[TYPES - 1] * 1.66053906660e-27 / MASS
            made.particles.position = (frame - np.floor(frame / BOX) * BOX - BOX / 2) * 1e-10 / LENGTH
            made.particles.velocity = None if velocities is None else velocities[t]
            made.bonds.N, made.bonds.types, made.bonds.typeid = IONS, ["bond"], [0] * IONS
            made.bonds.group = [[IONS + 2 * k, IONS + 2 * k + 1] for k in range(IONS)]
            stream.append(made)


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    return tmp_path


def test_the_walk_of_a_plain_format(folder):
    v = np.random.default_rng(3).normal(size=(FRAMES, 20, 3))
    write_gsd(folder / "run.gsd", system(), velocities=v)
    write_dump(folder / "run.lammpstrj", system())
    truth = read(folder, "run.lammpstrj").displacements
    options = {"topology": "run.gsd", "run_units": UNITS, "timestep": STEP}
    found = read(folder, "run.gsd", **options).displacements
    assert np.abs(found.R - truth.R).max() < 1e-6 * np.abs(truth.R).max()  # single precision
    assert (found.dt, found.counts) == (pytest.approx(truth.dt, rel=1e-12), truth.counts)
    assert np.array(found.masses) == pytest.approx(np.array(truth.masses), rel=1e-6)
    assert found.volume == pytest.approx(truth.volume, rel=1e-6)
    seen = np.array([s.velocities for s in stream_of(folder, "run.gsd", **options).snapshots()])
    assert seen == pytest.approx(v * LENGTH / TIME, rel=1e-6)


def test_a_tilted_box(folder):
    write_gsd(folder / "run.gsd", system(), tilts=(1.5, -0.2, 0.3))
    snapshot = next(stream_of(folder, "run.gsd", topology="run.gsd", run_units=UNITS, timestep=STEP).snapshots())
    vectors = 16e-10 * np.array([[1, 0, 0], [1.5, 1, 0], [-0.2, 0.3, 1]])
    assert snapshot.box == pytest.approx(vectors, rel=1e-6, abs=1e-16)


def test_what_a_gsd_file_does_not_say(folder):
    write_gsd(folder / "run.gsd", system())
    with pytest.raises(InputError, match=r"GSD files do not say for certain when .* timestep = "):
        read(folder, "run.gsd", topology="run.gsd", run_units=UNITS, timestep=None)
    raw = (folder / "run.gsd").read_bytes()
    (folder / "cut.gsd").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match=r"cut\.gsd: cannot be read as a trajectory \(Corrupt GSD file"):
        read(folder, "cut.gsd", run_units=UNITS, timestep=STEP)


def test_units_and_package_are_asked_for(folder):
    Path(folder / "run.gsd").write_bytes(b"none")
    with pytest.raises(InputError, match=r"GSD files do not say in which units they are; give a table \[units\]"):
        read(folder, "run.gsd")
    with pytest.raises(InputError, match=r"pip install gsd, or convert the file|Not a GSD file"):
        read(folder, "run.gsd", run_units=RunUnits("metal", 1e-10, 1e-12, 1.0, 100.0))
