"""Runs of CP2K: times in the comments of an XYZ file; boxes and velocities in the files beside it."""

import numpy as np
import pytest
from trajectory_toys import BOX, FRAMES, TYPES, read, stream_of, system, write_binary, write_data

from cellsim.base import InputError
from mdcoeffs.inputs.units import STYLES

EVERY = 50
"""MD steps of 2 fs between frames."""


def write_positions(path, positions, *, wrap=True):
    with path.open("w") as stream:
        for t, frame in enumerate(positions):
            shown = frame - np.floor(frame / BOX) * BOX if wrap else frame
            stream.write(f"{len(frame):8d}\n i = {EVERY * t:8d}, time = {2.0 * EVERY * t:12.3f}, E = {-17.25:20.10f}\n")
            stream.writelines(f"X{TYPES[k]} {x:20.10f} {y:20.10f} {z:20.10f}\n" for k, (x, y, z) in enumerate(shown))


def write_cell(path, boxes, *, every=EVERY, unit="Angstrom"):
    head = "#   Step   Time [fs]" + "".join(f"       {v}{x} [{unit}]" for v in "ABC" for x in "xyz")
    rows = [f"{head}      Volume [{unit}^3]\n"]
    for t, box in enumerate(boxes):
        numbers = "".join(f" {v:19.10f}" for v in np.ravel(box))
        rows.append(f"{every * t:8d}{2.0 * every * t:12.3f}{numbers} {np.linalg.det(box):24.10f}\n")
    path.write_text("".join(rows))


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path / "top.data", system()[0])
    write_positions(tmp_path / "run-pos-1.xyz", system())
    write_cell(tmp_path / "run-1.cell", [np.diag(BOX)] * FRAMES)
    return tmp_path


def test_the_walk_of_a_plain_format(folder):
    write_binary(folder / "run.trr", system(), times=[0.1 * t for t in range(FRAMES)])
    truth = read(folder, "run.trr").displacements
    found = read(folder, "run-pos-1.xyz", cell=["run-1.cell"]).displacements
    assert found.time == pytest.approx(truth.time, rel=1e-6, abs=1e-20)
    assert found.volume == pytest.approx(4096e-30, rel=1e-9)
    assert np.abs(found.R - truth.R).max() < 1e-14  # TRR rounds positions in nm
    stated = read(folder, "run-pos-1.xyz", box=tuple(1e-10 * BOX)).displacements  # where the box did not change
    assert np.array_equal(stated.R, found.R)


def test_boxes_that_change_and_are_not_at_right_angles(folder):
    boxes = [np.array([[16.0, 0, 0], [2.0, 15.0 + 0.01 * t, 0], [1.0, 3.0, 17.0]]) for t in range(2 * FRAMES)]
    write_cell(folder / "run-1.cell", boxes, every=EVERY // 2)  # the cell is printed twice as often
    seen = [s.box.copy() for s in stream_of(folder, "run-pos-1.xyz", cell=["run-1.cell"]).snapshots()]
    assert np.array(seen) == pytest.approx(np.array(boxes[::2]) * 1e-10, rel=1e-12)
    strided = stream_of(folder, "run-pos-1.xyz", cell=["run-1.cell"], stride=3).snapshots()
    assert np.array([s.box.copy() for s in strided]) == pytest.approx(np.array(boxes[::6]) * 1e-10, rel=1e-12)
    write_cell(folder / "run-1.cell", [box / 0.529177210903 for box in boxes], every=EVERY // 2, unit="bohr")
    seen = [s.box.copy() for s in stream_of(folder, "run-pos-1.xyz", cell=["run-1.cell"]).snapshots()]
    assert np.array(seen) == pytest.approx(np.array(boxes[::2]) * 1e-10, rel=1e-9)


def test_a_restart_appends_to_the_cell_file(folder):
    write_positions(folder / "a.xyz", system()[:20])
    write_positions(folder / "whole.xyz", system())
    text = (folder / "whole.xyz").read_text()
    (folder / "b.xyz").write_text(text[len((folder / "a.xyz").read_text()) :])
    truth = read(folder, "run-pos-1.xyz", cell=["run-1.cell"]).displacements
    found = read(folder, "a.xyz", "b.xyz", cell=["run-1.cell", "run-1.cell"]).displacements
    assert np.array_equal(found.R, truth.R) and np.array_equal(found.time, truth.time)
    # frames that the restart repeats
    frame = len(text) // FRAMES
    (folder / "b.xyz").write_text(text[18 * frame :])
    options = {"cell": ["run-1.cell"] * 2, "drop_repeated": True}
    assert np.array_equal(read(folder, "a.xyz", "b.xyz", **options).displacements.R, truth.R)


V = np.random.default_rng(5).normal(scale=300.0, size=system().shape)
"""[m/s], of thermal size"""


def write_velocities(path, v=V, *, every=1):
    """In bohr per atomic unit of time, 2.18769e6 m/s: the speed of light times the fine-structure constant."""
    write_positions(path, v / (299792458 * 7.2973525693e-3), wrap=False)
    if every > 1:
        lines = path.read_text().splitlines(keepends=True)
        size = len(lines) // len(v)
        path.write_text("".join("".join(lines[k * size : (k + 1) * size]) for k in range(0, len(v), every)))


def test_velocities_are_those_of_the_frames_in_metres_per_second(folder):
    write_velocities(folder / "run-vel-1.xyz")
    given = {"cell": ["run-1.cell"], "velocities": ["run-vel-1.xyz"]}
    for stride in (1, 3):
        stream = stream_of(folder, "run-pos-1.xyz", stride=stride, **given)
        seen = np.array([stored.velocities.copy() for stored in stream.source(0)])
        assert seen == pytest.approx(V[::stride], rel=1e-5, abs=3e-4)  # ten decimals are 2e-4 m/s
    # printed twice as often as positions: steps decide, not the order
    write_velocities(folder / "often.xyz", np.repeat(V, 2, axis=0))
    text = (folder / "run-pos-1.xyz").read_text()
    (folder / "rare.xyz").write_text(
        "".join(text[k * (len(text) // FRAMES) :][: len(text) // FRAMES] for k in (0, 4, 8))
    )
    stream = stream_of(folder, "rare.xyz", cell=["run-1.cell"], velocities=["often.xyz"])
    assert np.array([s.velocities.copy() for s in stream.source(0)]) == pytest.approx(V[[0, 2, 4]], rel=1e-5, abs=3e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("i =      500", "i =      501"),
            "run-vel-1.xyz: has no frame of step 500, which is",
        ),
        (lambda text: text[: len(text) // 2], "run-vel-1.xyz: has no frame of step"),
        (lambda text: text.replace(" i =", " frame ="), "run-vel-1.xyz: its comments are not those of CP2K"),
        (lambda text: text.replace("1000.000, E", "1001.000, E"), "step 500 was at 1001 fs, and in run-pos-1.xyz at"),
        (lambda text: text.replace("X2", "X1"), "run-vel-1.xyz: atom .* is X1, and X2 in run-pos-1.xyz"),
        (lambda text: text.replace("0.0", "O.O"), "run-vel-1.xyz"),
        (
            lambda text: text[: len(text) // 2] + text[len(text) // 2 :].replace("-0.0", "-x.0"),
            "frame .* cannot be read",
        ),
        (lambda text: "", "run-vel-1.xyz"),
    ],
)
def test_hostile_velocity_files_are_one_sentence(folder, change, message):
    write_velocities(folder / "run-vel-1.xyz")
    path = folder / "run-vel-1.xyz"
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(InputError, match=message) as caught:
        list(stream_of(folder, "run-pos-1.xyz", cell=["run-1.cell"], velocities=["run-vel-1.xyz"]).source(0))
    assert "\n" not in str(caught.value)


def test_a_velocity_file_where_it_does_not_belong(folder):
    write_binary(folder / "run.xtc", system())
    with pytest.raises(InputError, match=r"run.xtc: velocities goes with XYZ files of CP2K, not with XTC files"):
        read(folder, "run.xtc", velocities=["run-1.cell"])


def test_a_cell_that_was_printed_less_often(folder):
    """Every third frame has a box; the two files join within a stride."""
    truth = read(folder, "run-pos-1.xyz", cell=["run-1.cell"], stride=3).displacements
    write_cell(folder / "run-1.cell", [np.diag(BOX)] * FRAMES, every=3 * EVERY)
    assert np.array_equal(read(folder, "run-pos-1.xyz", cell=["run-1.cell"], stride=3).displacements.R, truth.R)
    text = (folder / "run-pos-1.xyz").read_text()
    cut = 20 * (len(text) // FRAMES)
    (folder / "a.xyz").write_text(text[:cut])
    (folder / "b.xyz").write_text(text[cut:])
    assert np.array_equal(read(folder, "a.xyz", "b.xyz", cell=["run-1.cell"] * 2, stride=3).displacements.R, truth.R)
    with pytest.raises(
        InputError, match=r"has no row for step 50, which is frame 1 of .* frames that it covers \(stride\)"
    ):
        read(folder, "run-pos-1.xyz", cell=["run-1.cell"])


def changed(old, new, count=-1):
    return lambda text: text.replace(old, new, count)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("cell", lambda text: text.replace("\n     500", "\n     501"), "has no row for step 500, which is frame 10"),
        ("cell", lambda text: text[: len(text) // 2], "run-1.cell: has no row for step"),
        ("cell", lambda text: text[text.index("\n") + 1 :], "line 1 is .* and not the heading of a cell file of CP2K"),
        ("cell", changed("Angstrom", "furlong"), "units of length: angstrom, bohr, nm"),
        ("cell", changed("Time [fs]", "Time [ps]"), "not the heading"),
        ("cell", changed("16.0000000000", "nan", 1), "line 2 is .*: not a step, a time"),
        ("cell", changed("16.0000000000", "17.0000000000", 1), "line 2 is .*: not a step, a time"),
        ("cell", changed("     500    1000.000", "     500    1001.000"), "step 500 was at 1001 fs, and in"),
        (
            "cell",
            lambda text: text + text.splitlines()[-1].replace("16.0", "8.0").replace("4096.0", "512.0") + "\n",
            "an",
        ),
        ("cell", lambda text: "", "has no row for step 0"),
        (
            "xyz",
            changed("i =      500, time", "i =      500, tame"),
            "frame 10 is damaged: it states step and time and",
        ),
        ("xyz", changed(" i =", " frame ="), "do not say for certain when their frames were"),
        ("xyz", changed("1000.000, E", "900.000, E"), "in run-pos-1.xyz at 900 fs"),
        ("xyz", changed("1000.000, E", "********, E"), "frame 10 is damaged: its time is"),
    ],
)
def test_hostile_files_are_one_sentence(folder, name, change, message):
    path = folder / {"cell": "run-1.cell", "xyz": "run-pos-1.xyz"}[name]
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(InputError, match=message):
        read(folder, "run-pos-1.xyz", cell=["run-1.cell"])


def test_time_that_goes_backwards(folder):
    for name in ("run-pos-1.xyz", "run-1.cell"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("1000.000", " 750.000"))
    with pytest.raises(InputError, match=r"frame 10 at 7.5e-13 s is earlier than the frame before"):
        read(folder, "run-pos-1.xyz", cell=["run-1.cell"])


def test_a_cell_file_where_it_does_not_belong(folder):
    write_binary(folder / "run.xtc", system())
    with pytest.raises(InputError, match=r"run.xtc: cell goes with XYZ files of CP2K"):
        read(folder, "run.xtc", cell=["run-1.cell"])
    with pytest.raises(InputError, match=r"run.xtc: the units of this XTC file are fixed; leave \[units\] out"):
        read(folder, "run.xtc", run_units=STYLES["real"])
    with pytest.raises(InputError, match="leave the key box out"):
        read(folder, "run-pos-1.xyz", cell=["run-1.cell"], box=tuple(1e-10 * BOX))


def test_a_cell_row_that_is_cut(folder):
    text = (folder / "run-1.cell").read_text()
    (folder / "run-1.cell").write_text(text[:-30])  # within the last component
    with pytest.raises(InputError, match="has no row for step 1950, which is frame 39"):
        read(folder, "run-pos-1.xyz", cell=["run-1.cell"])
