"""Damaged trajectory files: every structural damage is told before a decoder, which trusts what it reads, gets it."""

import struct
import warnings
from types import SimpleNamespace

import MDAnalysis as mda
import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.binary_frames import CutShort
from mdcoeffs.frames.file_bytes import check_structure
from mdcoeffs.frames.trajectory import check_complete
from mdcoeffs.frames.xtc import XtcReader

ATOMS, FRAMES, EDGE = 40, 6, 20.0
KINDS = {".xyz": "XYZ", ".pdb": "PDB", ".dump": "LAMMPSDUMP"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # netCDF4 would write faster
        return written(tmp_path_factory)


def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(1)
    path = rng.uniform(0, EDGE, (ATOMS, 3)) + rng.normal(size=(FRAMES, ATOMS, 3)).cumsum(axis=0)
    universe = mda.Universe.empty(ATOMS, trajectory=True)
    for ending in ("xtc", "trr", "dcd", "nc", "xyz"):
        options = {"dt": 0.1, "nsavc": 1, "istart": 0} if ending == "dcd" else {}
        with mda.Writer(str(folder / f"run.{ending}"), ATOMS, **options) as writer:
            for t in range(FRAMES):
                universe.atoms.positions, universe.dimensions = path[t], [EDGE] * 3 + [90] * 3
                universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
                writer.write(universe.atoms)
    return folder


def checked(path):
    if path.suffix in (".xyz", ".pdb", ".dump"):
        check_complete(path, SimpleNamespace(format=KINDS[path.suffix], n_atoms=ATOMS))
        return None
    places = check_structure(path, path.suffix[1:].upper(), ATOMS)
    if places is not None:
        for _ in XtcReader(str(path), n_atoms=ATOMS):
            pass
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
    for ending in ("dcd", "nc", "xyz"):
        assert checked(good / f"run.{ending}") is None


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
    # bits follow are 9.2 % here (measured), and with one of them wrong the frame does not end where its bits end;
    # with 4.4 % more a number is above the largest that the head states.
    assert 0.05 < refused / len(bits) < 0.2


@pytest.mark.parametrize("lost", [1, 4, 50, 200])
@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "nc", "xyz"])
def test_a_file_cut_short(good, tmp_path, ending, lost):
    path = tmp_path / f"run.{ending}"
    raw = (good / f"run.{ending}").read_bytes().replace(b"\n\n", b"\n")  # an XYZ may end with an empty line
    path.write_bytes(raw[:-lost])
    with pytest.raises(InputError, match="cut short"):
        checked(path)


@pytest.mark.parametrize("ending", ["xtc", "trr"])
def test_a_rest_that_is_no_beginning_of_a_frame(good, tmp_path, ending):
    """A part of a frame that stands twice leaves a rest; it is not taken for a frame that was cut short."""
    raw = (good / f"run.{ending}").read_bytes()
    path = tmp_path / f"run.{ending}"
    path.write_bytes(raw + raw[-20:])
    with pytest.raises(InputError, match="frame 6 is damaged: it does not begin as a frame does"):
        checked(path)
    path.write_bytes(raw + raw[:20])
    with pytest.raises(CutShort, match="cut short") as caught:
        checked(path)
    assert caught.value.whole == FRAMES


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


def test_every_number_of_an_amber_head_that_says_where_things_lie(good, tmp_path):
    raw = (good / "run.nc").read_bytes()
    names = (b"coordinates", b"time", b"cell_lengths", b"cell_angles")
    places = [raw.index(b"atom") + 4, raw.index(b"spatial") + 8, raw.rindex(b"coordinates") - 8]  # lengths; variables
    for name, following in zip(names, (*names[1:], b"alphabeta "), strict=True):
        begin = raw.rindex(name) + -(-len(name) // 4) * 4
        end = raw.rindex(following) - 4 * (following != b"alphabeta ")
        # length of the name, number of axes, the first of them; type and the two halves of where it begins
        places += [raw.rindex(name) - 4, begin, begin + 4, end - 16, end - 8, end - 4]
    for at in places:
        for new in (int.from_bytes(raw[at : at + 4], "big") + 1, 2**31 - 1):
            with pytest.raises(InputError, match=r"run\.nc"):
                checked(damaged(good, tmp_path, "nc", at, struct.pack(">I", new)))


@pytest.mark.parametrize(
    ("frames", "message"),
    [(FRAMES + 1, "says that it holds 7 frames"), (FRAMES - 1, "says that it holds 5 frames"), (2**32 - 1, None)],
)
def test_the_frames_an_amber_head_says(good, tmp_path, frames, message):
    path = damaged(good, tmp_path, "nc", 4, struct.pack(">I", frames))
    if message is None:  # written as a stream: as many as the file is long
        checked(path)
        return
    with pytest.raises(InputError, match=message):
        checked(path)


def test_an_amber_file_of_other_atoms_or_of_another_kind(good, tmp_path):
    with pytest.raises(InputError, match="it holds 40 atoms, the topology 41"):
        check_structure(good / "run.nc", "NCDF", ATOMS + 1)
    for content, message in (
        (b"", "is empty"),
        (b"no trajectory", "does not begin as NetCDF does"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "nccopy"),
        (b"CDF\x02\0\0\0\x01", "its head is damaged"),
    ):
        path = tmp_path / "run.nc"
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            checked(path)


def lines_of(path):
    return path.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:50] + lines[51:], "frame 1 is damaged|frame 2 is damaged"),
        (lambda lines: lines[:50] + lines[49:], "is damaged"),
        (lambda lines: ["41\n", *lines[1:]], "frame 0 is damaged: its first line is not the number of atoms"),
        (lambda lines: [*lines[:60], "Y" + lines[60].strip()[1:] + "\n", *lines[61:]], "atom 16 is 'Y"),
        (lambda lines: [*lines[:-2], lines[-2].rstrip("\n")], "cut short .its last line has no end"),
    ],
)
def test_lines_of_an_xyz(good, tmp_path, change, message):
    path = tmp_path / "run.xyz"
    path.write_text("".join(change(lines_of(good / "run.xyz"))))
    with pytest.raises(InputError, match=message):
        checked(path)


def pdb_of(models, atoms=ATOMS):
    text = ""
    for number in models:
        text += f"MODEL     {number:4d}\n"
        text += "".join(f"ATOM  {k:5d}  C   MOL A{k:4d}       1.000   2.000   3.000\n" for k in range(atoms))
        text += "ENDMDL\n"
    return text + "END\n"


@pytest.mark.parametrize("models", [range(1, 5), range(1, 40, 10), (1, 1, 1), (*range(9996, 10000), 0, 1)])
def test_models_of_a_pdb_that_follow_one_another(tmp_path, models):
    path = tmp_path / "run.pdb"
    path.write_text(pdb_of(models, atoms=3))
    assert checked(path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pdb_of((1, 2, 4)), "frame 2 is damaged: model 4 follows model 2"),
        (pdb_of((1, 2, 1)), "model 1 follows model 2"),
        (pdb_of((1, 2)).replace("A   7", "A   8", 2).replace("A   8", "A   7", 1), "not those of the first model"),
        (pdb_of((1, 2)).replace("ENDMDL\nMODEL        2\n", ""), "not those|cut short|outside"),
        (pdb_of((1, 2))[:-20], "cut short"),
    ],
)
def test_models_of_a_pdb_that_do_not(tmp_path, text, message):
    path = tmp_path / "run.pdb"
    path.write_text(text)
    if "MODEL        2" not in text and text.count("ENDMDL") == 1:
        assert checked(path) is None  # one model of twice the atoms: the reader tells them from the topology's
        return
    with pytest.raises(InputError, match=message):
        checked(path)
