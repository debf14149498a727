"""A last frame that is cut short: refused by a sentence that names the remedy, and left out on request."""

import gzip
import warnings

import MDAnalysis as mda
import numpy as np
import pytest
from trajectory_toys import (
    BOX,
    FRAMES,
    STEP,
    read,
    system,
    write_binary,
    write_data,
    write_dump,
    write_extended,
    write_pdb,
    write_yaml,
)

from cellsim.base import InputError

HEADS = [("ITEM: UNITS\nreal\n" if not t else "") + f"ITEM: TIME\n{100.0 * t}\n" for t in range(FRAMES)]
OPTIONS = {"pdb": {"frame_interval": 1e-13, "box": tuple(BOX * 1e-10)}, "xyz": {"frame_interval": 1e-13}}
OPTIONS |= {kind: {"timestep": STEP} for kind in ("lammpstrj", "lammpstrj.gz", "headed.lammpstrj", "yaml")}


def write_netcdf(path, positions):
    universe = mda.Universe.empty(positions.shape[1], trajectory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # netCDF4 would write faster
        with mda.Writer(str(path), positions.shape[1]) as writer:
            for t, frame in enumerate(positions):
                universe.atoms.positions = frame - np.floor(frame / BOX) * BOX
                universe.dimensions = [*BOX, 90, 90, 90]
                universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
                writer.write(universe.atoms)


def write(path, positions):
    kind = path.name.partition(".")[2]
    if kind == "lammpstrj.gz":
        write_dump(path, positions)
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif kind == "headed.lammpstrj":
        write_dump(path, positions, heads=HEADS)
    else:
        writers = {"lammpstrj": write_dump, "yaml": write_yaml, "xyz": write_extended, "pdb": write_pdb}
        writers |= dict.fromkeys(("xtc", "trr", "dcd"), write_binary) | {"nc": write_netcdf}
        writers[kind](path, positions)


def cut(path, lost):
    """Lose the last bytes; of a compressed file, of what was compressed."""
    raw = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(raw)[:-lost]) if path.suffix == ".gz" else raw[:-lost])


@pytest.mark.parametrize(
    "kind", ["lammpstrj", "lammpstrj.gz", "headed.lammpstrj", "yaml", "xyz", "pdb", "xtc", "trr", "dcd"]
)
def test_what_stands_before_the_cut_is_used_bit_by_bit(tmp_path, kind, caplog):
    positions = system()
    write_data(tmp_path / "top.data", positions[0])
    options = {"self_part": "none", **OPTIONS.get(kind, {})}
    write(tmp_path / f"whole.{kind}", positions[:-1])
    truth = read(tmp_path, f"whole.{kind}", **options).displacements
    for lost in (5, 130):  # bytes: of the last line; of the last frame
        path = tmp_path / f"run{lost}.{kind}"
        write(path, positions)
        cut(path, lost)
        with pytest.raises(InputError, match=r'the last frame is cut short.* set cut_last_frame = "drop"'):
            read(tmp_path, path.name, **options)
        found = read(tmp_path, path.name, cut_last_frame="drop", **options).displacements
        assert np.array_equal(found.R, truth.R) and np.array_equal(found.time, truth.time)
        assert found.volume == truth.volume
        assert caplog.records[-1].getMessage() == f"{path.name}: frame {FRAMES - 1} is cut short and left out"
    # a file that is whole stays whole
    assert np.array_equal(read(tmp_path, f"whole.{kind}", cut_last_frame="drop", **options).displacements.R, truth.R)


def test_an_amber_file_that_died_within_a_frame(tmp_path):
    positions = system()
    write_data(tmp_path / "top.data", positions[0])
    for name, frames in (("whole.nc", positions[:-1]), ("run.nc", positions)):
        write_netcdf(tmp_path / name, frames)
    raw = bytearray((tmp_path / "run.nc").read_bytes()[:-100])
    (tmp_path / "run.nc").write_bytes(raw)  # as a copy that was interrupted: the head says more than there is
    with pytest.raises(InputError, match=r"its head says that there are 40 frames, not 39; copy the file"):
        read(tmp_path, "run.nc", cut_last_frame="drop")
    raw[4:8] = (FRAMES - 1).to_bytes(4, "big")  # as a run that was killed: the head counts whole frames
    (tmp_path / "run.nc").write_bytes(raw)
    with pytest.raises(InputError, match=r'the last frame is cut short.* set cut_last_frame = "drop"'):
        read(tmp_path, "run.nc")
    found, truth = (read(tmp_path, name, cut_last_frame="drop").displacements for name in ("run.nc", "whole.nc"))
    assert np.array_equal(found.R, truth.R) and np.array_equal(found.time, truth.time)


@pytest.mark.parametrize("kind", ["lammpstrj", "xtc", "yaml"])
def test_a_run_that_was_killed_and_went_on(tmp_path, kind):
    """The second part begins again with the frame that was cut, or with the two before it."""
    positions = system()
    write_data(tmp_path / "top.data", positions[0])
    times = (
        {"times": [0.1 * t for t in range(FRAMES)]} if kind == "xtc" else {"steps": [100 * t for t in range(FRAMES)]}
    )
    (key, moments), options = *times.items(), {"self_part": "none", **OPTIONS.get(kind, {})}
    writer = {"lammpstrj": write_dump, "xtc": write_binary, "yaml": write_yaml}[kind]
    write(tmp_path / f"whole.{kind}", positions)
    truth = read(tmp_path, f"whole.{kind}", stride=2, **options).displacements
    writer(tmp_path / f"a.{kind}", positions[:21])
    cut(tmp_path / f"a.{kind}", 77)
    for first in (20, 18):
        writer(tmp_path / f"{first}.{kind}", positions[first:], **{key: moments[first:]})
        options["drop_repeated"] = first < 20
        joined = read(tmp_path, f"a.{kind}", f"{first}.{kind}", cut_last_frame="drop", stride=2, **options)
        assert np.array_equal(joined.displacements.R, truth.R)


def test_compressed_data_that_are_cut(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    path = tmp_path / "run.lammpstrj.gz"
    write(path, system())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"its compressed data are cut short; unpack what is there, and set cut_last"):
        read(tmp_path, path.name)


def test_nothing_whole(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    for kind in ("lammpstrj", "yaml", "xtc"):
        write(tmp_path / f"run.{kind}", system()[:1])
        cut(tmp_path / f"run.{kind}", 30)
        with pytest.raises(InputError, match=r"holds no whole frame|cannot be read as a trajectory"):
            read(tmp_path, f"run.{kind}", cut_last_frame="drop", **OPTIONS.get(kind, {}))
