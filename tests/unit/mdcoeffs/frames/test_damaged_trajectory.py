"""Damaged trajectory files: every structural damage is told before a decoder, which trusts what it reads, gets it."""

import struct

import MDAnalysis as mda
import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.file_bytes import check_packed, check_structure

ATOMS, FRAMES, EDGE = 40, 6, 20.0


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(1)
    path = rng.uniform(0, EDGE, (ATOMS, 3)) + rng.normal(size=(FRAMES, ATOMS, 3)).cumsum(axis=0)
    universe = mda.Universe.empty(ATOMS, trajectory=True)
    for ending in ("xtc", "trr", "dcd"):
        options = {"dt": 0.1, "nsavc": 1, "istart": 0} if ending == "dcd" else {}
        with mda.Writer(str(folder / f"run.{ending}"), ATOMS, **options) as writer:
            for t in range(FRAMES):
                universe.atoms.positions, universe.dimensions = path[t], [EDGE] * 3 + [90] * 3
                universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
                writer.write(universe.atoms)
    return folder


def checked(path):
    places = check_structure(path, path.suffix[1:].upper(), ATOMS)
    for place in places or ():
        check_packed(path, place)
    return places


def damaged(good, tmp_path, ending, at, new):
    raw = bytearray((good / f"run.{ending}").read_bytes())
    raw[at : at + len(new)] = new
    path = tmp_path / f"run.{ending}"
    path.write_bytes(raw)
    return path


def test_good_files_pass(good):
    assert len(checked(good / "run.xtc")) == FRAMES
    assert checked(good / "run.trr") is None
    assert checked(good / "run.dcd") is None


def frames_of(path):
    return check_structure(path, "XTC", ATOMS)


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (0, struct.pack(">i", 1996)),
        (4, struct.pack(">i", ATOMS + 1)),
        (12, struct.pack(">f", np.nan)),
        (16, struct.pack(">f", np.inf)),
        (52, struct.pack(">i", ATOMS - 1)),
        (56, struct.pack(">f", -1000.0)),
        (56, struct.pack(">f", np.nan)),
        (60, struct.pack(">i", 2**31 - 1)),  # a least coordinate above the largest
        (84, struct.pack(">i", 73)),  # behind the decoder's table
        (84, struct.pack(">i", 8)),
        (84, struct.pack(">i", -5)),
        (88, struct.pack(">i", 2**31 - 1)),
        (88, struct.pack(">i", -4)),
        (88, struct.pack(">i", 0)),
    ],
)
@pytest.mark.parametrize("frame", [0, 3])
def test_every_field_of_an_xtc_head(good, tmp_path, frame, at, new):
    path = damaged(good, tmp_path, "xtc", frames_of(good / "run.xtc")[frame] + at, new)
    with pytest.raises(InputError, match=r"run\.xtc"):
        checked(path)


def test_the_bits_of_an_xtc(good, tmp_path):
    begin, end = frames_of(good / "run.xtc")[2:4]
    raw = (good / "run.xtc").read_bytes()
    refused = 0
    bits = range(8 * (begin + 92), 8 * (end - 4), 7)
    for bit in bits:
        path = damaged(good, tmp_path, "xtc", bit // 8, bytes([raw[bit // 8] ^ 1 << bit % 8]))
        try:
            checked(path)
        except InputError:
            refused += 1
    # Most bits are those of a coordinate: nothing but plausibility tells that they changed. Those that say how many
    # bits follow are 9.2 % here (measured), and with one of them wrong the frame does not end where its bits end.
    assert 0.05 < refused / len(bits) < 0.2


@pytest.mark.parametrize("lost", [1, 4, 50, 200])
@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd"])
def test_a_file_cut_short(good, tmp_path, ending, lost):
    path = tmp_path / f"run.{ending}"
    path.write_bytes((good / f"run.{ending}").read_bytes()[:-lost])
    with pytest.raises(InputError, match="cut short"):
        checked(path)


@pytest.mark.parametrize("at", [4, 8, 20, 32, 40, 52, 56, 60, 64])
def test_every_size_of_a_trr_head(good, tmp_path, at):
    path = damaged(good, tmp_path, "trr", at, struct.pack(">i", 4000))
    with pytest.raises(InputError, match=r"run\.trr"):
        checked(path)


@pytest.mark.parametrize("record", range(6))
def test_every_record_of_a_dcd(good, tmp_path, record):
    raw = (good / "run.dcd").read_bytes()
    frame = 56 + 3 * (4 * ATOMS + 8)
    start = len(raw) - FRAMES * frame + 2 * frame
    places = [start, start + 52, *(start + 56 + k * (4 * ATOMS + 8) for k in range(3)), start + frame - 4]
    path = damaged(good, tmp_path, "dcd", places[record], b"\xff\xff\0\0")
    with pytest.raises(InputError, match="frame 2 is damaged"):
        checked(path)


def test_files_that_are_none(tmp_path):
    for ending in ("xtc", "trr"):
        for content in (b"", b"no trajectory at all", bytes(300)):
            path = tmp_path / f"run.{ending}"
            path.write_bytes(content)
            with pytest.raises(InputError, match="cannot be read as a trajectory"):
                checked(path)
