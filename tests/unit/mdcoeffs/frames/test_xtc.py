"""The decoder of XTC against MDAnalysis', bit for bit; what is damaged is refused, and nothing outside is touched."""

import struct

import MDAnalysis as mda
import numba
import numpy as np
import pytest
from MDAnalysis.coordinates.XTC import XTCReader
from MDAnalysis.transformations import translate

from cellsim.base import InputError
from mdcoeffs import Species, collective_displacements
from mdcoeffs.frames import xtc
from mdcoeffs.frames.binary_frames import xtc_head
from mdcoeffs.frames.xtc import XtcReader, is_plain, own_reader, unpack

SHAPES = [[30.0, 30.0, 30.0, 90.0, 90.0, 90.0], [31.7, 29.9, 44.4, 81.0, 97.3, 62.5], None]


def write(path, frames, *, precision=3, box=SHAPES[0]):
    universe = mda.Universe.empty(frames.shape[1], trajectory=True)
    with mda.Writer(str(path), frames.shape[1], precision=precision) as writer:
        for t, positions in enumerate(frames):
            universe.atoms.positions, universe.dimensions = positions, box
            universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.3 * t, t
            writer.write(universe.atoms)
    return path


def rows(rng, atoms, edge, step, frames=3):
    """Molecules of three atoms, the first anywhere in a box, the others `step` away; the last one may be cut."""
    roots = rng.uniform(-0.2, 0.8, (frames, -(-atoms // 3), 1, 3)) * edge
    steps = rng.normal(size=(frames, roots.shape[1], 3, 3)) * step * np.array([0, 1, 1])[:, None]
    return (roots + steps).reshape(frames, -1, 3)[:, :atoms]


def states(reader):
    """All that a reader gives, as bits."""
    return [
        (
            *(ts.frame, ts.time, ts.data["step"], ts.positions.tobytes()),
            None if ts.dimensions is None else ts.dimensions.tobytes(),
        )
        for ts in reader
    ]


def same(path):
    theirs = XTCReader(str(path))
    ours = XtcReader(str(path), n_atoms=theirs.n_atoms)
    found = states(ours)
    assert found == states(theirs) and len(found) == ours.n_frames
    return found


@pytest.mark.parametrize("box", SHAPES)
@pytest.mark.parametrize("atoms", [1, 2, 9, 10, 11, 40, 600])
def test_few_atoms_and_every_kind_of_box(tmp_path, atoms, box):
    same(write(tmp_path / "run.xtc", rows(np.random.default_rng(atoms), atoms, 30.0, 1.0), box=box))


@pytest.mark.parametrize("precision", [0, 1, 3, 4, 6])
@pytest.mark.parametrize("step", [0.0, 1e-3, 0.1, 1.0, 10.0])  # 100 with six digits MDAnalysis' writer cannot
def test_bits_of_every_number(tmp_path, step, precision):
    same(write(tmp_path / "run.xtc", rows(np.random.default_rng(3), 150, 40.0, step), precision=precision))


@pytest.mark.parametrize(
    ("edge", "least", "most"),
    [
        ([0.0] * 3, 1, 1),  # all atoms at one place
        ([1e5, 1e5, 2e4], 65, 72),  # three numbers in more than a word
        ([1.6e5] * 3, 65, 72),
        ([2e5, 1.0, 1.0], 0, 0),  # a number of more than 24 bits: each coordinate by itself
        ([1e6, 1e6, 1e6], 0, 0),
    ],
)
@pytest.mark.parametrize("step", [0.0, 1.0, 3e3])
def test_sizes_for_which_the_format_has_other_ways(tmp_path, monkeypatch, edge, least, most, step):
    seen, decode = [], xtc._unpacked
    monkeypatch.setattr(xtc, "_unpacked", lambda *given: seen.append(given[4]) or decode(*given))
    path = rows(np.random.default_rng(4), 300, np.array(edge), step * (np.array(edge) > 0))
    same(write(tmp_path / "run.xtc", path, box=None))
    assert (least and step) or least <= min(seen) <= max(seen) <= most


def test_neighbours_that_are_far_apart(tmp_path):
    """Neighbours up to 2000 nm apart in a box of 16000."""
    rng = np.random.default_rng(5)
    path = (np.cumsum(rng.choice([-1, 1], (2, 900, 3)) * rng.uniform(5e3, 2e4, (2, 900, 3)), axis=1)) % 1.6e5
    same(write(tmp_path / "run.xtc", path, box=None))


@pytest.mark.parametrize("bits", range(9, 73))
def test_three_numbers_in_one(bits):
    """Against whole numbers of any length."""
    rng = np.random.default_rng(bits)
    for _ in range(5):
        most = [int(v) for v in 2 ** (bits / 3 + rng.uniform(-1, 0, 3))]
        numbers = [int(rng.integers(0, size)) for size in most]
        value = (numbers[0] * most[1] + numbers[1]) * most[2] + numbers[2]
        whole, last = divmod(bits - 1, 8)
        stored = int.from_bytes((value % 256**whole).to_bytes(whole, "little"), "big") << last + 1 | value >> 8 * whole
        stream = stored << 128 - bits | int(rng.integers(0, 2**31)) % 2 ** min(128 - bits, 31)  # other bits follow
        word, more = np.uint64(stream >> 64), np.uint64(stream % 2**64)
        assert list(xtc._three(word, more, bits, *most[1:])) == numbers


def of_2023(raw, places):
    """The same frames as GROMACS writes those of very many atoms: another magic number, the length in eight bytes."""
    frames = [raw[a:b] for a, b in zip(places, [*places[1:], len(raw)], strict=True)]
    return b"".join(struct.pack(">i", 2023) + frame[4:88] + bytes(4) + frame[88:] for frame in frames)


def test_the_magic_number_of_2023(tmp_path):
    path = write(tmp_path / "run.xtc", rows(np.random.default_rng(6), 60, 30.0, 1.0))
    ours = XtcReader(str(path), n_atoms=60)
    (tmp_path / "new.xtc").write_bytes(of_2023(path.read_bytes(), ours.places[:-1]))
    assert states(XtcReader(str(tmp_path / "new.xtc"), n_atoms=60)) == states(ours)


def test_frames_in_any_order_a_stride_and_times_given(tmp_path):
    path = write(tmp_path / "run.xtc", rows(np.random.default_rng(7), 60, 30.0, 1.0, frames=7))
    theirs, ours = XTCReader(str(path)), XtcReader(str(path), n_atoms=60, format=XtcReader)
    assert ours.dt == theirs.dt > 0
    for frame in (5, 0, 6, -1, 3, 3):
        assert states([ours[frame]]) == states([theirs[frame]])
    assert states(ours[1::2]) == states(theirs[1::2])
    copy = ours.copy()
    assert copy.frame == ours.frame and states(copy) == states(theirs)
    with pytest.raises(IndexError):
        ours[7]
    stated = [ts.time for ts in XtcReader(str(path), n_atoms=60, dt=2.5)]
    assert stated == [ts.time for ts in XTCReader(str(path), dt=2.5)] == [2.5 * t for t in range(7)]


def test_mdanalysis_keeps_its_reader(tmp_path):
    path = write(tmp_path / "run.xtc", rows(np.random.default_rng(8), 60, 30.0, 1.0))
    assert type(mda.Universe.empty(60).load_new(str(path)).trajectory) is XTCReader


# ---- damage ---------------------------------------------------------------------------------------------------------

ATOMS = 40


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "run.xtc"
    return write(path, rows(np.random.default_rng(9), ATOMS, 20.0, 1.0))


def test_flipped_bytes_are_refused_or_give_what_mdanalysis_gives(good, tmp_path):
    """What is accepted makes as many atoms as there are, so that MDAnalysis may read it without harm."""
    raw, rng = good.read_bytes(), np.random.default_rng(10)
    path, taken, told = tmp_path / "run.xtc", 0, []
    for _ in range(150):
        damaged = bytearray(raw)
        for at in rng.integers(0, len(raw), rng.integers(1, 4)):
            damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            ours = states(XtcReader(str(path), n_atoms=ATOMS))
        except InputError as error:
            told.append(str(error))
            continue
        taken += 1
        assert ours == states(XTCReader(str(path), refresh_offsets=True))
    assert taken > 20 and len(told) > 20 and all("run.xtc" in each for each in told)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_bits_are_nothing_outside_of_the_arrays_is_touched(checked, seed):
    rng = np.random.default_rng(seed)
    verdicts = []
    for _ in range(400):
        atoms, length = int(rng.integers(1, 60)), int(rng.integers(1, 200))
        words = np.zeros(-(-length // 8) + 2, ">u8")
        noise = rng.integers(0, 256, length, np.uint8)
        words.view(np.uint8)[:length] = noise & rng.integers(0, 256, length, np.uint8) if rng.random() < 0.5 else noise
        most = 2 ** rng.uniform(0, 30 if seed == 2 else 24, 3)
        sizes = tuple(int(size) for size in most)
        bits = 0 if max(sizes) > 0xFFFFFF else (sizes[0] * sizes[1] * sizes[2]).bit_length()
        given = (words.astype(np.uint64), 8 * length, (0, -5, 7), sizes, bits, int(rng.integers(9, 73)), np.float32(1))
        ours, theirs = np.zeros((2, atoms, 3), np.float32)
        verdicts.append(xtc._unpacked(*given, ours))
        assert verdicts[-1] == checked(*given, theirs)
        assert np.array_equal(ours, theirs)
    assert False in verdicts


@pytest.fixture(scope="module")
def checked():
    """The decoder, compiled so that a place outside of an array is an error."""
    return numba.njit(boundscheck=True, error_model="numpy")(xtc._unpacked.py_func)


def test_the_check_of_places_is_one(checked):
    """Too few words for the bits: what the test above relies on is told."""
    words = np.zeros(2, np.uint64)
    with pytest.raises(IndexError):
        checked(words, 10_000, (0, 0, 0), (9, 9, 9), 10, 9, np.float32(1), np.zeros((50, 3), np.float32))


def test_a_number_above_the_stated_largest_is_refused(tmp_path):
    """Where the head says one less than the first atom has, the bits are as many, and no writer wrote them."""
    path = rows(np.random.default_rng(12), ATOMS, 20.0, 1.0, frames=1)
    path[0, 0] = [50.0, 3.0, 3.0]
    raw = write(tmp_path / "run.xtc", path).read_bytes()
    head, positions = xtc_head(raw[:96], ATOMS, tmp_path, 0), np.zeros((ATOMS, 3), np.float32)
    assert unpack(raw, head, positions) and positions[0, 0] == 50.0
    assert not unpack(raw, head._replace(most=(head.most[0] - 1, *head.most[1:])), positions)


# ---- universes ------------------------------------------------------------------------------------------------------

SPECIES = [
    Species("Li", 1, "cation", "index 0:9", molecule="atom"),
    Species("X", -1, "anion", "index 10:19", molecule="atom"),
    Species("S", 0, "solvent", "index 20:39", molecule="atom"),
]


def universe_of(path):
    universe = mda.Universe.empty(ATOMS, trajectory=True)
    universe.add_TopologyAttr("masses", np.full(ATOMS, 30.0))
    return universe.load_new(path if isinstance(path, list) else str(path))


def moved(universe, path):
    return collective_displacements(universe, SPECIES, temperature=300.0, files=[(path, {})]).R


@pytest.fixture
def walk(tmp_path):
    rng = np.random.default_rng(11)
    frames = 10 + rng.normal(0, 1, (6, ATOMS, 3)).cumsum(axis=0)
    return write(tmp_path / "walk.xtc", frames)


@pytest.mark.parametrize("damage", [False, True])
def test_a_universe_of_several_files(walk, damage):
    """A chain of files gives what MDAnalysis gives, and a damaged frame in one of them is told by its name."""
    parts = [walk.with_name(f"part{k}.xtc") for k in range(2)]
    ours = XtcReader(str(walk), n_atoms=ATOMS)
    raw, middle = bytearray(walk.read_bytes()), ours.places[3]
    if damage:  # not of the first two frames, which MDAnalysis reads when it opens a file
        raw[ours.places[5] + 92 : ours.places[5] + 120] = b"\xff" * 28
    for part, some in zip(parts, (raw[:middle], raw[middle:]), strict=True):
        part.write_bytes(some)
    universe = universe_of([str(part) for part in parts])
    chain = own_reader(universe.trajectory)
    assert is_plain(universe.trajectory) and chain is not universe.trajectory
    if damage:
        with pytest.raises(InputError, match=r"part1\.xtc: frame 2 is damaged: its packed positions"):
            collective_displacements(universe, SPECIES, temperature=300.0)
        return
    assert [type(reader) for reader in chain.readers] == [XtcReader] * 2
    for begin in (0, 2, 4):
        assert states(chain[begin::2]) == states(universe.trajectory[begin::2])
    apart = collective_displacements(universe, SPECIES, temperature=300.0)
    assert np.array_equal(apart.R, moved(universe_of(walk), walk))


def test_a_universe_stays_as_it_is(walk):
    universe = universe_of(walk)
    reader, ts = universe.trajectory, universe.trajectory[3]
    before = ts.positions.copy()
    moved(universe, walk)
    assert universe.trajectory is reader and ts.frame == 3 and np.array_equal(universe.atoms.positions, before)


def test_a_universe_with_transformations_gives_what_it_was_told(walk):
    plain, shifted = universe_of(walk), universe_of(walk)
    shifted.trajectory.add_transformations(lambda ts: translate(np.array([0.1, 0, 0]) * ts.frame)(ts))
    difference = moved(shifted, walk) - moved(plain, walk)
    assert np.abs(difference).max() < 1e-14  # barycentric: a shift of everything is none
    squeezed = universe_of(walk)

    def squeeze(ts):
        ts.positions[:10] += 0.1 * ts.frame
        return ts

    squeezed.trajectory.add_transformations(squeeze)
    # ten ions of forty equal masses: 0.5 angstrom less a quarter of it, each
    difference = moved(squeezed, walk) - moved(plain, walk)
    assert difference[-1, 0] * 1e10 == pytest.approx(10 * 0.5 * 0.75, abs=1e-3)


def test_a_damaged_frame_of_a_universe_with_transformations_is_told_before_it_is_decoded(walk):
    universe = universe_of(walk)
    universe.trajectory.add_transformations(translate(np.zeros(3)))
    places = XtcReader(str(walk), n_atoms=ATOMS).places
    raw = bytearray(walk.read_bytes())
    raw[places[4] + 92 : places[4] + 120] = b"\xff" * 28
    walk.write_bytes(raw)
    with pytest.raises(InputError, match=r"walk\.xtc: frame 4 is damaged: its packed positions"):
        moved(universe, walk)


@pytest.mark.parametrize("frame", [0, 1, 5])
def test_any_damaged_frame_of_a_file_that_is_opened_here(walk, frame):
    """MDAnalysis decodes the first two frames when it opens a file: it must not see them."""
    places, raw = XtcReader(str(walk), n_atoms=ATOMS).places, bytearray(walk.read_bytes())
    whole = walk.with_name("whole.xtc")
    whole.write_bytes(raw)
    raw[places[frame] + 92 : places[frame] + 120] = b"\xff" * 28
    walk.write_bytes(raw)
    universe, files = universe_of(whole), [(walk, {}), (whole, {})]
    with pytest.raises(InputError, match=rf"walk\.xtc: frame {frame} is damaged: its packed positions"):
        collective_displacements(universe, SPECIES, temperature=300.0, files=files)
