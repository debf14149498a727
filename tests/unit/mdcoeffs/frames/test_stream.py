"""The shared pass over frames: the same frames from every source, and a killed pass goes on bit for bit."""

import os
import re
import signal
import subprocess
import sys
import textwrap

import md_toys
import MDAnalysis as mda
import numpy as np
import pytest
from md_toys import BY_TYPE

from cellsim.base import InputError
from mdcoeffs.frames.stream import feed, open_stream
from mdcoeffs.inputs.species import Species, read_species
from mdcoeffs.onsager.motion import collective_displacements

EDGE = 16.0  # angstrom
N = 12  # 4 Li, 4 X, 4 S; single particles
MASS = np.repeat([7.0, 96.0, 18.0], 4)
TOML = (
    """
temperature = "300 K"
{source}
"""
    + BY_TYPE
)
ARRAYS = 'arrays = "run.npz"\nunits = {position = "angstrom", time = "ps"}'
FILES = 'topology = "top.data"\ntrajectory = "run.xtc"'


def walk(frames, seed=1):
    """Unwrapped positions on a grid of 2^-6 angstrom: exact in single precision."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 16 * 64, size=(N, 3)) / 64
    return start + np.rint(rng.normal(size=(frames, N, 3)) * 64).cumsum(axis=0) / 64


def write(folder, frames=60, **extra):
    path = walk(frames)
    wrapped = path % EDGE
    kinds = np.repeat(["Li", "X", "S"], 4)
    np.savez(
        folder / "run.npz",
        time=0.1 * np.arange(frames),
        positions=wrapped,
        labels=kinds,
        masses=MASS,
        box=np.eye(3) * EDGE,
    )
    lines = ["LAMMPS data file", "", f"{N} atoms", "3 atom types", "", "0 16 xlo xhi", "0 16 ylo yhi", "0 16 zlo zhi"]
    lines += ["", "Masses", "", "1 7.0", "2 96.0", "3 18.0", "", "Atoms # full", ""]
    lines += [
        f"{k + 1} {k + 1} {k // 4 + 1} {[0.8, -0.8, 0][k // 4]} {x} {y} {z}" for k, (x, y, z) in enumerate(wrapped[0])
    ]
    (folder / "top.data").write_text("\n".join(lines) + "\n")
    universe = mda.Universe.empty(N, trajectory=True)
    with mda.Writer(str(folder / "run.xtc"), N, precision=4) as writer:
        for t in range(frames):
            universe.atoms.positions, universe.dimensions = wrapped[t], [EDGE] * 3 + [90] * 3
            universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
            writer.write(universe.atoms)
    (folder / "arrays.toml").write_text(TOML.format(source=ARRAYS))
    (folder / "files.toml").write_text(TOML.format(source=FILES))
    return path


class Sums:
    """A test accumulator: sums of squares of the centres, and every time."""

    follow = "unwrap"

    def __init__(self):
        self.total, self.times = np.zeros((N, 3)), np.zeros(0)

    def add(self, snapshot):
        self.total += snapshot.centres**2
        self.times = np.append(self.times, snapshot.time)

    def arrays(self):
        return {"total": self.total, "times": self.times}

    def restore(self, arrays):
        self.total, self.times = arrays["total"], arrays["times"]


def summed(path, **options):
    sums = Sums()
    feed(open_stream(read_species(path)), {"sums": sums}, **options)
    return sums


@pytest.mark.parametrize("name", ["arrays.toml", "files.toml"])
def test_centres_are_unwrapped_and_free_of_drift(tmp_path, name):
    path = write(tmp_path)
    moved = path - path[0]
    drift = np.einsum("a,tax->tx", MASS / MASS.sum(), moved)
    wanted = (path[0] % EDGE + moved - drift[:, None]) * 1e-10
    stream = open_stream(read_species(tmp_path / name))
    assert stream.n_frames == 60
    for k, frame in enumerate(stream.snapshots("unwrap")):
        assert frame.number == k
        # XTC with four digits stores 1e-4 nm; measured 1e-13 m from arrays, 5e-14 m from the file
        assert np.abs(frame.centres - wanted[k]).max() < 3e-13
        assert np.abs(frame.drift - drift[k] * 1e-10).max() < 3e-13
        assert np.abs(frame.positions - path[k] % EDGE * 1e-10).max() < 3e-13
        assert frame.time == pytest.approx(1e-13 * k, rel=1e-6, abs=1e-20)
        assert frame.lengths == pytest.approx([16e-10] * 3, rel=1e-6)
    assert k == 59
    assert frame.volume == pytest.approx(4.096e-27, rel=1e-5)


def test_who_is_who(tmp_path):
    write(tmp_path)
    stream = open_stream(read_species(tmp_path / "files.toml"))
    assert stream.select("X").tolist() == [4, 5, 6, 7]
    assert stream.select("type 1 3").tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert stream.molecules_of("S").tolist() == [8, 9, 10, 11]
    assert stream.molecule_of(np.array([5, 0])).tolist() == [5, 0]
    assert stream.charges == pytest.approx(np.repeat([0.8, -0.8, 0], 4), rel=1e-6, abs=0)  # single precision
    assert stream.molecule_masses[0] == pytest.approx(7 * 1.66054e-27, rel=1e-5)
    with pytest.raises(InputError, match=r"residence.cations: 'Na' is not a species here; allowed: Li, X, S"):
        stream.number_of("Na", "residence.cations")
    arrays = open_stream(read_species(tmp_path / "arrays.toml"))
    assert arrays.charges is None
    assert arrays.select("X").tolist() == [4, 5, 6, 7]
    with pytest.raises(InputError, match="is not a species here"):
        arrays.select("type 1")


@pytest.mark.parametrize("name", ["arrays.toml", "files.toml"])
def test_start_stop_and_stride(tmp_path, name):
    write(tmp_path)
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text('start = "1 ps"\nstop = "3 ps"\nstride = 2\n' + text)
    assert summed(tmp_path / name).times == pytest.approx(np.arange(1.0, 3.01, 0.2) * 1e-12, rel=1e-5)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    write(tmp_path)
    file, checkpoint = tmp_path / "arrays.toml", tmp_path / "check.npz"
    summed(file, checkpoint=checkpoint, settings={"cutoff": 1.0})
    with pytest.raises(InputError, match="belongs to a run with other settings; remove it and start again"):
        summed(file, checkpoint=checkpoint, settings={"cutoff": 2.0})
    checkpoint.unlink()
    summed(file, checkpoint=checkpoint, settings={"cutoff": 2.0})


def test_a_checkpoint_knows_the_box_that_the_file_states(tmp_path):
    write(tmp_path)
    universe = mda.Universe(str(tmp_path / "top.data"), atom_style="id resid type charge x y z")
    universe.add_TopologyAttr("names", ["X"] * N)
    universe.load_new(str(tmp_path / "run.xtc")).atoms.write(str(tmp_path / "run.xyz"), frames="all")
    known = []
    for edge in (EDGE, EDGE + 1):
        box = f'frame_interval = "0.1 ps"\nbox = ["{edge} angstrom", "{edge} angstrom", "{edge} angstrom"]'
        source = f'topology = "top.data"\ntrajectory = "run.xyz"\n{box}'
        (tmp_path / "xyz.toml").write_text(TOML.format(source=source))
        known.append(open_stream(read_species(tmp_path / "xyz.toml")).identity)
    assert known[0] != known[1]


CHILD = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from mdcoeffs.inputs.species import read_species
    from mdcoeffs.frames.stream import feed, open_stream
    sys.path[:0] = {tests!r}
    from test_stream import Sums

    class Slow(Sums):
        def add(self, snapshot):
            super().add(snapshot)
            time.sleep({sleep})

    folder = Path({folder!r})
    sums = Slow()
    feed(open_stream(read_species(folder / {name!r})), {{"sums": sums}}, checkpoint=folder / "check.npz",
         checkpoint_every=0.0, progress=lambda done, total: print(done, flush=True))
    np.save(folder / "total.npy", sums.total)
"""


def test_a_killed_pass_goes_on_and_gives_the_same(tmp_path):
    name = "files.toml"
    write(tmp_path, frames=30)
    whole = summed(tmp_path / name)

    def child(sleep):
        text = textwrap.dedent(CHILD).format(
            tests=[os.path.dirname(path) for path in (__file__, md_toys.__file__)],
            sleep=sleep,
            folder=str(tmp_path),
            name=name,
        )
        return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)

    first = child(0.02)
    seen = [int(first.stdout.readline()) for _ in range(12)]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert seen[-1] == 12 and not (tmp_path / "total.npy").exists()
    second = child(0.0)
    printed = second.communicate(timeout=60)[0].split()
    assert second.returncode == 0
    assert int(printed[0]) > 10  # it went on, it did not start again
    assert int(printed[-1]) == 30
    assert np.array_equal(np.load(tmp_path / "total.npy"), whole.total)


def broken(folder, **changes):
    write(folder, frames=6)
    data = dict(np.load(folder / "run.npz"))
    np.savez(folder / "run.npz", **(data | changes))
    return list(open_stream(read_species(folder / "arrays.toml")).snapshots("unwrap" if "box" in changes else ""))


def test_bad_frames_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"run.npz: frame 2 at 1e-13 s repeats the time of the frame before"):
        broken(tmp_path, time=np.array([0, 1, 1, 2, 3, 4]) * 0.1)
    with pytest.raises(InputError, match="frames are not evenly spaced: step 2e-13 s, the first was 1e-13 s"):
        broken(tmp_path, time=np.array([0, 1, 2, 4, 5, 6]) * 0.1)
    spoilt = walk(6) % EDGE
    spoilt[4, 7, 1] = np.nan
    with pytest.raises(InputError, match="frame 4: the position of atom 7 is NaN or infinite"):
        broken(tmp_path, positions=spoilt)
    with pytest.raises(InputError, match="too far to unwrap"):
        broken(tmp_path, box=np.eye(3) * 2.0)
    with pytest.raises(InputError, match=r"labels and SPECIES\.toml disagree about species Na"):
        broken(tmp_path, labels=np.repeat(["Li", "X", "S", "Na"], 3))
    np.savez(tmp_path / "run.npz", time=np.arange(6), R=np.zeros((6, 3, 3)))
    with pytest.raises(InputError, match="needs positions and labels, not summed displacements R"):
        open_stream(read_species(tmp_path / "arrays.toml"))


# ---- joins of trajectory files --------------------------------------------------------------------------------------


def split(folder, *parts, changed=None):
    """The run of `write` in several XTC files; `changed`: (part, its frame) whose first atom is moved by 1 angstrom."""
    universe, whole = mda.Universe(str(folder / "top.data"), atom_style="id resid type charge x y z"), []
    universe.load_new(str(folder / "run.xtc"))
    for number, (begin, end) in enumerate(parts):
        with mda.Writer(str(folder / f"part{number}.xtc"), N, precision=4) as writer:
            for frame in range(begin, end):
                ts = universe.trajectory[frame]
                if changed == (number, frame - begin):
                    ts.positions[0] += 1.0
                writer.write(universe.atoms)
        whole.append(f"part{number}.xtc")
    return whole


def stream_of_parts(folder, names, more=""):
    text = TOML.format(source=f'topology = "top.data"\ntrajectory = {names!r}\n{more}'.replace("'", '"'))
    (folder / "parts.toml").write_text(text)
    return open_stream(read_species(folder / "parts.toml"))


def taken(stream):
    return [(s.time, s.positions.copy()) for s in stream.snapshots("unwrap")]


@pytest.mark.parametrize("more", ["", "stride = 3", 'start = "1.5 ps"\nstop = "5 ps"', 'frame_interval = "0.1 ps"'])
def test_repeated_frames_at_joins_are_left_out_bit_for_bit(tmp_path, more):
    """A run in three files whose joins repeat one and five frames is the unbroken run."""
    write(tmp_path)
    names = split(tmp_path, (0, 20), (19, 40), (35, 60))
    whole = taken(stream_of_parts(tmp_path, ["run.xtc"], more))
    stream = stream_of_parts(tmp_path, names, f"drop_repeated = true\n{more}")
    parts = taken(stream)
    assert len(parts) == len(whole) and stream.n_frames == {"stride = 3": 20}.get(more, 60)
    for (t, positions), (t_whole, positions_whole) in zip(parts, whole, strict=True):
        assert t == t_whole
        np.testing.assert_array_equal(positions, positions_whole)


def test_a_pass_over_joined_files_goes_on_where_it_was_killed(tmp_path):
    write(tmp_path)
    stream = stream_of_parts(tmp_path, split(tmp_path, (0, 20), (19, 40), (35, 60)), "drop_repeated = true")
    whole = [(s.number, s.positions.copy()) for s in stream.source(0)]
    for begin in (5, 20, 21, 40, 59):
        number, positions = next((s.number, s.positions.copy()) for s in stream.source(begin))
        assert number == begin
        np.testing.assert_array_equal(positions, whole[begin][1])


@pytest.mark.parametrize("changed", [(1, 0), (2, 3)])
def test_frames_of_one_time_and_other_positions_are_no_repeated_ones(tmp_path, changed):
    write(tmp_path)
    names = split(tmp_path, (0, 20), (19, 40), (35, 60), changed=changed)
    words = f"part{changed[0]}.xtc: frame {changed[1]} has the time of a frame at the end of .* other positions"
    with pytest.raises(InputError, match=words):
        stream_of_parts(tmp_path, names, "drop_repeated = true")


def test_files_that_join_need_no_word_and_others_are_refused(tmp_path):
    write(tmp_path)
    joined = taken(stream_of_parts(tmp_path, split(tmp_path, (0, 20), (20, 60)), "drop_repeated = true"))
    assert len(joined) == 60


@pytest.mark.parametrize(
    ("parts", "more", "words"),
    [
        (((0, 20), (19, 60)), "", "repeated frames"),  # not asked for
        (((0, 60), (50, 58)), "drop_repeated = true", "part1.xtc: holds only frames that part0.xtc ends with"),
    ],
)
def test_what_repeats_and_is_not_to_be_left_out_is_refused(tmp_path, parts, more, words):
    write(tmp_path)
    with pytest.raises(InputError, match=re.escape(words)):
        taken(stream_of_parts(tmp_path, split(tmp_path, *parts), more))


def test_frames_without_times_cannot_be_told_as_repeated(tmp_path):
    write(tmp_path)
    path = walk(40)
    for name, frames in (("a.xyz", range(20)), ("b.xyz", range(19, 40))):
        rows = [[f"{N}", name, *(f"X {x} {y} {z}" for x, y, z in path[frame])] for frame in frames]
        (tmp_path / name).write_text("\n".join(line for frame in rows for line in frame) + "\n")
    with pytest.raises(InputError, match="do not say when their frames were, so that drop_repeated cannot"):
        stream_of_parts(tmp_path, ["a.xyz", "b.xyz"], 'drop_repeated = true\nframe_interval = "0.1 ps"')


def test_drop_repeated_says_nothing_of_arrays(tmp_path):
    write(tmp_path)
    (tmp_path / "arrays.toml").write_text(TOML.format(source=ARRAYS + "\ndrop_repeated = true"))
    with pytest.raises(InputError, match="drop_repeated goes with trajectory"):
        read_species(tmp_path / "arrays.toml")


def test_log_spaced_frames_of_arrays_are_used_at_an_interval():
    run, made = md_toys.walkers(121)
    whole = md_toys.walk_arrays(run, made)
    whole = whole | {"time": run.time, "positions": made.positions, "box": whole["box"] * 1e-10}
    # a block of 20 ps begins at each multiple, and in it frames are 1, 2, 4, 8 and 16 ps after the first
    kept = [begin + after for begin in range(0, 120, 20) for after in (0, 1, 2, 4, 8, 16)]
    species = species_of(run)
    for keys in (("positions", "labels", "box"), ("R", "volume")):
        source = {"time": run.time, "R": run.R, "volume": np.array(run.volume)} | whole
        arrays = {key: source[key] for key in keys}
        some = {key: values[kept] if np.shape(values)[:1] == (121,) else values for key, values in arrays.items()}
        options = {"temperature": 353.0, "coordinates": "unwrapped"}
        found = collective_displacements(some | {"time": run.time[kept]}, species, every=2e-11, **options)
        even = {key: values[:120:20] if np.shape(values)[:1] == (121,) else values for key, values in arrays.items()}
        truth = collective_displacements(even | {"time": run.time[:120:20]}, species, **options)
        assert found.time.tolist() == truth.time.tolist() and found.time.size == 6
        assert np.array_equal(found.R, truth.R) and found.volume == truth.volume
        with pytest.raises(
            InputError, match=r"arrays: frame 4 at 8e-12 s: no frame before it is at 5e-12 s, but every"
        ):
            collective_displacements(some | {"time": run.time[kept]}, species, every=5e-12, **options)


def species_of(run):
    return tuple(
        Species(name, z, role, count=count)
        for name, z, role, count in zip(("Li", "X", "S"), run.z, run.roles, run.counts, strict=True)
    )
