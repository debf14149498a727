"""SPECIES.toml, array files and published tables: what is read, and one sentence for what cannot be."""

import shutil

import numpy as np
import pytest
from md_toys import WALK, walk_arrays, walkers

from cellsim.base import N_A, InputError
from mdcoeffs.analysis import analyse
from mdcoeffs.frames.molecules import check_density
from mdcoeffs.frames.stream import feed, open_stream
from mdcoeffs.inputs.arrays import read_published
from mdcoeffs.inputs.species import Species, read_species
from mdcoeffs.onsager import ANALYSIS, read_estimate
from mdcoeffs.onsager.motion import motion_accumulators, motion_of, motion_of_replica


def made(frames=200):
    return walkers(frames)


def write(folder, toml=WALK, **changes):
    arrays = walk_arrays(*made()) | changes
    np.savez(folder / "run.npz", **{k: v for k, v in arrays.items() if v is not None})
    (folder / "SPECIES.toml").write_text(toml)
    return read_species(folder / "SPECIES.toml")


def test_wrapped_particle_positions_give_the_summed_displacements(tmp_path):
    run, parts = made()
    stream = open_stream(write(tmp_path), scratch=tmp_path)
    gathered = motion_accumulators(stream, "ions")
    feed(stream, gathered)
    got = motion_of(stream, gathered).displacements
    # Positions of 25 angstrom in float64, 80 of them summed: 1e-24 m.
    assert np.abs(got.R - run.R).max() < 1e-22
    assert got.counts == run.counts
    assert got.frame == "barycentric"
    assert got.dt == pytest.approx(1e-12)
    paths = np.concatenate([store.block(0, 10, 200) for store in gathered["paths"].stores.values()])
    assert np.abs(np.swapaxes(paths, 0, 1) - (parts.positions - parts.positions[0])[:, :20]).max() < 1e-22


def test_summed_displacements_and_hdf5(tmp_path):
    import h5py

    run, _ = made()
    toml = (
        WALK.replace("run.npz", "run.h5")
        .replace('position = "angstrom"\n', "")
        .replace('role = "cation"', 'role = "cation"\ncount = 10\nmass = "7 g/mol"')
        .replace('role = "anion"', 'role = "anion"\ncount = 10\nmass = "280 g/mol"')
        .replace('role = "solvent"', 'role = "solvent"\ncount = 60\nmass = "88 g/mol"')
    )
    drift = np.outer(np.arange(200), [1e-12, 0, 0])
    with h5py.File(tmp_path / "run.h5", "w") as data:
        data["time"] = run.time * 1e12
        data["R"] = run.R + np.array(run.counts)[None, :, None] * drift[:, None]
        data["volume"] = run.volume
    (tmp_path / "SPECIES.toml").write_text(toml)
    reading = motion_of_replica(read_species(tmp_path / "SPECIES.toml"))
    assert np.abs(reading.displacements.R - run.R).max() < 1e-22
    assert np.abs(reading.drift - drift).max() < 1e-22
    assert reading.drift_velocity == pytest.approx([1, 0, 0], abs=1e-9)
    assert np.abs(reading.displacements.reference_displacement("barycentric")).max() < 1e-22
    assert reading.displacements.masses[0] == pytest.approx(7e-3 / N_A, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("positions", "angstrom", ""),
        ("time", "ps", ""),
        ("positions", "nm", r"positions is in 'nm' by the file, but \[units\] says 'angstrom'; say position = \"nm\""),
        ("box", "nm", "box is in 'nm' by the file"),
        ("time", "fs", r"time is in 'fs' by the file, but \[units\] says 'ps'"),
        ("volume", "nm^3", r"volume is in 'nm\^3' by the file, but \[units\] says nothing, which means m\^3"),
        ("time", "angstrom", "the unit of time"),
    ],
)
def test_units_stated_twice_must_agree(tmp_path, name, unit, message):
    import h5py

    run, _ = made()
    arrays = walk_arrays(*made()) | {"volume": np.array(run.volume)}
    with h5py.File(tmp_path / "run.h5", "w") as data:
        for key, values in arrays.items():
            data[key] = values.astype("S2") if key == "labels" else values
        data[name].attrs["units"] = unit
    (tmp_path / "SPECIES.toml").write_text(WALK.replace("run.npz", "run.h5"))
    if not message:
        assert motion_of_replica(read_species(tmp_path / "SPECIES.toml")).displacements.n_frames == 200
        return
    with pytest.raises(InputError, match=message):
        motion_of_replica(read_species(tmp_path / "SPECIES.toml"))


@pytest.mark.parametrize("factor", [0.5, 1.3, 1000.0])
def test_volume_and_box_must_agree(tmp_path, factor):
    run, _ = made()
    write(tmp_path)
    for volume, message in (
        (1.01 * run.volume, ""),
        (factor * run.volume, "the volume stated is .* but the box gives 16.6"),
    ):
        (tmp_path / "SPECIES.toml").write_text(f'volume = "{volume} m^3"\n' + WALK)
        file = read_species(tmp_path / "SPECIES.toml")
        if not message:
            assert motion_of_replica(file).displacements.volume == pytest.approx(volume, rel=1e-12)
            continue
        with pytest.raises(InputError, match=message):
            motion_of_replica(file)
        both = write(tmp_path, f'volume = "{volume} m^3"\n' + WALK, volume=np.array(run.volume), box=None)
        with pytest.raises(InputError, match=r"but the array volume gives 16\.6"):
            motion_of_replica(both)
        species = WALK
        for role, count in (("cation", 10), ("anion", 10), ("solvent", 60)):
            species = species.replace(f'role = "{role}"', f'role = "{role}"\ncount = {count}')
        sums = {"positions": None, "labels": None, "masses": None, "R": run.R * 1e10, "volume": np.array(volume)}
        with pytest.raises(InputError, match=r"but the box gives 16\.6"):
            motion_of_replica(write(tmp_path, species, **sums))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": None, "volume": 1.0}, "volume"),
        ({"time": np.arange(200.0)[::-1]}, "is earlier than the frame before"),
        ({"time": np.r_[np.arange(100.0), np.arange(99.0, 199.0)]}, "repeats the time of the frame before"),
        ({"labels": np.array(["Li"] * 80)}, "disagree about species S, X"),
        ({"labels": None}, r"positions have shape \(200, 80, 3\)"),
        ({"masses": np.zeros(80)}, "one positive, finite number per particle"),
        ({"masses": np.full(80, 1e308)}, "one positive, finite number per particle"),
        ({"positions": np.full((200, 80, 3), np.nan)}, "frame 0: the position of atom 0 is NaN"),
        ({"time": None}, "needs time and one of R, positions"),
    ],
)
def test_bad_arrays(tmp_path, changes, message):
    if changes == {"box": None, "volume": 1.0}:
        file = write(tmp_path, WALK.replace("temperature", 'coordinates = "wrapped"\ntemperature'), **changes)
        message = "has no box, so wrapped positions cannot be unwrapped"
    else:
        file = write(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        motion_of_replica(file)


def test_net_charge_and_too_few_frames_are_said_before_anything_is_read(tmp_path):
    charged = write(tmp_path, WALK.replace("charge = -1", "charge = -2"))
    with pytest.raises(InputError, match=r"run.npz: net charge of the box is -10 e"):
        ANALYSIS.accumulators(open_stream(charged, scratch=tmp_path), read_estimate(charged))
    short = write(tmp_path, WALK.replace("[units]", 'stop = "49 ps"\n[units]'))
    with pytest.raises(InputError, match=r"run.npz: 50 frames are too few, more than 50 are needed"):
        ANALYSIS.accumulators(open_stream(short, scratch=tmp_path), read_estimate(short))


@pytest.mark.parametrize(("frames", "enough"), [(20, False), (40, True)])
def test_too_few_frames_of_several_replicas_are_said_before_any_is_read(tmp_path, monkeypatch, frames, enough):
    write(tmp_path)
    run = dict(np.load(tmp_path / "run.npz"))
    other = {"positions": run["positions"][:, ::-1], "labels": run["labels"][::-1], "masses": run["masses"][::-1]}
    np.savez(tmp_path / "second.npz", **(run | other))
    text = (tmp_path / "SPECIES.toml").read_text().replace('arrays = "run.npz"', f'stop = "{frames - 1} ps"')
    text += '\n[[replica]]\narrays = "run.npz"\n[[replica]]\narrays = "second.npz"\n'
    (tmp_path / "two.toml").write_text(text)
    read = []
    monkeypatch.setattr("mdcoeffs.analysis.feed", lambda *_, **__: read.append(1))
    two = read_species(tmp_path / "two.toml")
    if enough:
        assert ANALYSIS.prepare(two, read_estimate(two), None) == read_estimate(two)
        return
    with pytest.raises(InputError, match=f"the 2 replicas hold {2 * frames} frames in all, which are too few"):
        analyse(ANALYSIS, two)
    assert not read


def with_stated(key, li, x, s):
    """The made-up run with a key for each species."""
    toml = WALK
    for role, value in (("cation", li), ("anion", x), ("solvent", s)):
        if value is not None:
            toml = toml.replace(f'role = "{role}"', f'role = "{role}"\n{key} = {value}')
    return toml


def test_masses_and_counts_stated_twice_must_agree(tmp_path):
    # The array has the masses 7, 280 and 88 g/mol, in any unit: what SPECIES.toml says must be in the same ratio.
    run, _ = made()
    M = list(run.masses)
    quoted = [f'"{m:.6g} g/mol"' for m in M]
    motion_of_replica(write(tmp_path, with_stated("mass", *quoted)))
    file = write(tmp_path, with_stated("mass", *quoted), masses=1e-3 / N_A * np.repeat(M, [10, 10, 60]))
    assert motion_of_replica(file).displacements.frame == "barycentric"
    for wrong in ((f'"{2 * M[0]:.6g} g/mol"', *quoted[1:]), (quoted[0], f'"{M[1] / 2:.6g} g/mol"', None)):
        with pytest.raises(InputError, match=r"\.mass = .* but the array masses give .* leave one of them out"):
            motion_of_replica(write(tmp_path, with_stated("mass", *wrong)))
    motion_of_replica(write(tmp_path, with_stated("count", 10, 10, 60)))
    with pytest.raises(InputError, match=r"species.S.count = 66, but the labels contain 60 of them"):
        motion_of_replica(write(tmp_path, with_stated("count", 10, 10, 66)))


@pytest.mark.parametrize(
    "time", [np.r_[np.arange(100.0), np.arange(99.0, 199.0)], np.r_[np.arange(100.0), np.arange(105.0, 205.0)]]
)
def test_frame_interval_hides_no_joint_of_arrays(tmp_path, time):
    file = write(tmp_path, WALK.replace('title = "made up"', 'frame_interval = "2 ps"'), time=time)
    with pytest.raises(InputError, match="frame 100 does not follow at the first step"):
        motion_of_replica(file)
    file = write(tmp_path, WALK.replace('title = "made up"', 'frame_interval = "2 ps"'), time=np.zeros(200))
    assert motion_of_replica(file).displacements.dt == pytest.approx(2e-12, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("temperature", "temprature", 'did you mean "temperature"'),
        ('"353 K"', "353", "has no unit"),
        ('"353 K"', '"353 m"', "temperature"),
        ("charge = 1\n", "charge = -1\n", "does not fit role = 'cation'"),
        ("charge = 1\n", "charges = 1\n", 'did you mean "charge"'),
        ('role = "anion"', 'role = "anoin"', '"cation" | "anion" | "solvent"'),
        ('arrays = "run.npz"', "", "needs exactly one of trajectory, arrays, octp; found none"),
        ('arrays = "run.npz"', 'arrays = "no.npz"', "names no file"),
        ('arrays = "run.npz"', 'arrays = "run.npz"\nocts = "a"', 'did you mean "octp"'),
        ('arrays = "run.npz"', 'trajectory = "run.npz"', "topology"),
        ('title = "made up"', "stride = 0", "must be at least 1"),
        ('title = "made up"', 'memory = "1 m"', "memory"),
        ("[units]", '[estimate]\nwindow = ["2 ns", "1 ns"]\n[units]', "two increasing times"),
        ("[units]", '[estimate]\nsolvents = ["Li"]\n[units]', "'Li' is not a solvent here; allowed: S"),
        ("[units]", '[estimate]\nframe = "lab"\n[units]', '"solvent" | "barycentric" | "volume"'),
        ('position = "angstrom"', 'position = "ps"', "units.position"),
        ('title = "made up"', 'timestep = "2 fs"', "timestep goes with trajectory and not with arrays"),
        ('title = "made up"', 'ignore = "type 1"', "ignore goes with trajectory and not with arrays"),
    ],
)
def test_bad_species_file(tmp_path, old, new, message):
    assert old in WALK
    with pytest.raises(InputError) as caught:
        read_estimate(write(tmp_path, WALK.replace(old, new, 1)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ('[units]\nposition = "bohr"', "units.position goes with arrays and not with trajectory"),
        ('timestep = "2 fs"\nframe_interval = "1 ps"', "timestep and frame_interval both say"),
    ],
)
def test_keys_that_a_trajectory_cannot_heed(tmp_path, key, message):
    for name in ("top.data", "run.xtc"):
        (tmp_path / name).write_bytes(b"")
    toml = WALK.replace('arrays = "run.npz"', 'topology = "top.data"\ntrajectory = "run.xtc"')
    toml = toml.replace(WALK[WALK.index("[units]") : WALK.index("[species.Li]")], key + "\n")
    (tmp_path / "SPECIES.toml").write_text(toml)
    with pytest.raises(InputError, match=message):
        read_species(tmp_path / "SPECIES.toml")


@pytest.mark.parametrize(("unit", "density"), [("nm", "0.00482"), ("pm", r"4.82e\+06"), ("m", "4.82e-30")])
def test_box_that_no_electrolyte_has(tmp_path, unit, density):
    # 10 Li, 10 X and 60 S at 1 mol/L: 0.602 x 8 = 4.82 per nm^3; by the units 10^-3, 10^6 and 10^-30 of that.
    file = write(tmp_path, WALK.replace('"angstrom"', f'"{unit}"'))
    with pytest.raises(
        InputError, match=rf"run.npz: {density} molecules per nm\^3 lie outside .*Li .* mol/L.*check the unit"
    ):
        feed(stream := open_stream(file, scratch=tmp_path), motion_accumulators(stream, "none"))


def test_density_of_liquids_salts_and_mistakes():
    salt = (Species("Li", 1, "cation"), Species("X", -1, "anion"))
    water = (*salt, Species("W", 0, "solvent"))
    nm3 = 1e-27
    good = [
        (salt, (418, 418), 10),  # molten LiF, 1.8 g/cm^3
        (salt, (6, 6), 1000),  # 10 mmol/L of ions in an implicit solvent
        (water, (6, 6, 330), 10),  # 1 mol/L in water
        (water, (200, 200, 25), 216),  # a polymer of 25 chains
        (water, (6, 6, 330), 100),  # a slab in nine parts of vacuum
    ]
    for species, counts, volume in good:
        check_density(species, counts, volume * nm3)
    bad = [(salt, (6, 6), 1e5), (salt, (418, 418), 0.01), (water, (6, 6, 330), 1e4), (water, (6, 6, 330), 0.01)]
    for species, counts, volume in bad:
        with pytest.raises(InputError, match=r"molecules per nm\^3 lie outside"):
            check_density(species, counts, volume * nm3)
    with pytest.raises(InputError, match=r"1.11 kg/m\^3 lies outside"):  # one water in 3 nm for 3 angstrom
        check_density(water, (0, 0, 1), 27 * nm3 / 50, mass=2.9915e-26 / 50)


@pytest.mark.parametrize("same", ["path", "link", "copy"])
def test_one_run_given_as_two_replicas(tmp_path, same):
    write(tmp_path)
    if same == "link":
        (tmp_path / "other.npz").symlink_to(tmp_path / "run.npz")
    elif same == "copy":
        shutil.copy(tmp_path / "run.npz", tmp_path / "other.npz")
    other = "run.npz" if same == "path" else "other.npz"
    replicas = f'[[replica]]\narrays = "run.npz"\n[[replica]]\narrays = "{other}"\n'
    (tmp_path / "SPECIES.toml").write_text(WALK.replace('arrays = "run.npz"', "") + replicas)
    with pytest.raises(InputError, match=rf"run.npz and {other} of replicas 1 and 2 contain the same run"):
        read_species(tmp_path / "SPECIES.toml")


def test_one_file_twice_in_a_run(tmp_path):
    (tmp_path / "top.data").write_bytes(b"")
    (tmp_path / "run.xtc").write_bytes(bytes(range(100)))
    toml = WALK.replace('arrays = "run.npz"', 'topology = "top.data"\ntrajectory = ["run.xtc", "run.xtc"]')
    (tmp_path / "SPECIES.toml").write_text(toml.replace(WALK[WALK.index("[units]") : WALK.index("[species.Li]")], ""))
    with pytest.raises(InputError, match=r"run.xtc and run.xtc of replica 1 contain the same run"):
        read_species(tmp_path / "SPECIES.toml")


PUBLISHED = """
source = "a paper"
temperature = "300 K"
z_plus = 2
z_minus = -1
convention = "fong"
frame = "solvent"
unit = "1/(J m s)"
c = ["0.5 mol/L", "1 mol/L"]
pp = [4e36, 5e36]
pm = [1e36, -1e36]
mm = [6e36, 7e36]
"""


def test_published_table(tmp_path):
    path = tmp_path / "L.toml"
    path.write_text(PUBLISHED)
    one, two = read_published(path)
    assert (one.c, two.c) == (500.0, 1000.0)
    assert one.nu == (1.0, 2.0)
    assert two.fong == pytest.approx(np.array([[5e36, -1e36], [-1e36, 7e36]]), rel=1e-12)
    assert one.covariance is None
    path.write_text(PUBLISHED.replace("fong", "wheeler-newman").replace("1/(J m s)", "m^5/(J s)"))
    assert read_published(path)[1].wheeler_newman[1, 1] == pytest.approx(7e36, rel=1e-12)
    path.write_text(PUBLISHED + "error_pp = [1e35, 1e35]\nerror_pm = [1e35, 1e35]\nerror_mm = [2e35, 2e35]\n")
    assert np.sqrt(read_published(path)[0].covariance[2, 2]) * N_A**2 == pytest.approx(2e35, rel=1e-12)
    for old, new, message in (
        ("mm = [6e36, 7e36]", "mm = [6e36]", "mm has 1 entries, c has 2"),
        ("[4e36", "[1e35", "positive definite"),
        ('"fong"', '"fang"', '"omega" | "fong" | "wheeler-newman"'),
        ("1/(J m s)", "m^5/(J s)", "unit"),
        ("z_minus = -1", "z_minus = 1", "must be negative"),
    ):
        path.write_text(PUBLISHED.replace(old, new))
        with pytest.raises(InputError) as caught:
            read_published(path)
        assert message in str(caught.value)


def test_front_door_of_python_users():
    import mdcoeffs

    run, parts = made()
    species = [
        mdcoeffs.Species("Li", 1, "cation"),
        mdcoeffs.Species("X", -1, "anion"),
        mdcoeffs.Species("S", 0, "solvent"),
    ]
    arrays = {
        "time": run.time,
        "positions": parts.positions,
        "volume": run.volume,
        "labels": np.array(["Li", "X", "S"])[parts.species],
        "masses": np.array(run.masses)[parts.species],
    }
    got = mdcoeffs.collective_displacements(arrays, species, temperature=353.0)
    assert np.abs(got.R - run.R).max() < 1e-22
    assert all(hasattr(mdcoeffs, name) for name in mdcoeffs.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mdcoeffs.nothing
