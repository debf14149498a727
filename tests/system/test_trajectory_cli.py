"""One walk of known Onsager coefficients in the formats of several programs, through the command."""

import json

import numpy as np
import pytest
from md_toys import BY_TYPE, mdcoeffs, walkers

N, FRAMES = 80, 240
"""10 cations, 10 anions, 60 solvent molecules; 1 ps between frames."""
TYPES = np.repeat([1, 2, 3], (10, 10, 60))
HEAD = (
    """temperature = "353 K"
topology = "top.data"
self = "none"
{}
"""
    + BY_TYPE
    + """[estimate]
window = ["2 ps", "20 ps"]
"""
)
SIGMA, MASS, TAU = 3.0, 20.0, 2.0
"""Units of a run in reduced units [angstrom, g/mol, ps]; epsilon is m (sigma/tau)^2."""
REDUCED = (
    f'[units]\nlength = "{SIGMA} angstrom"\nmass = "{MASS} g/mol"\nenergy = "{10 * MASS * (SIGMA / TAU) ** 2} J/mol"'
)


def data_file(path, edge, mass=1.0):
    lines = ["LAMMPS data file", "", f"{N} atoms", "3 atom types", ""]
    lines += [f"0 {edge} {axis}lo {axis}hi" for axis in "xyz"] + ["", "Masses", ""]
    lines += [f"{k} {m / mass}" for k, m in ((1, 7.0), (2, 145.0), (3, 88.0))] + ["", "Atoms # atomic", ""]
    path.write_text("\n".join([*lines, *(f"{k + 1} {kind} 0 0 0" for k, kind in enumerate(TYPES)), ""]))


def dump(path, columns, edge, head=lambda t: "", names="x y z"):
    with path.open("w") as stream:
        for t, frame in enumerate(columns):
            stream.write(f"{head(t)}ITEM: TIMESTEP\n{500 * t}\nITEM: NUMBER OF ATOMS\n{N}\nITEM: BOX BOUNDS pp pp pp\n")
            stream.write(f"0 {edge!r}\n" * 3 + f"ITEM: ATOMS id type {names}\n")
            stream.writelines(
                f"{k + 1} {TYPES[k]} {' '.join(map(repr, row))}\n" for k, row in enumerate(frame.tolist())
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("formats")
    run, made = walkers(FRAMES)
    edge = float(run.volume ** (1 / 3) * 1e10)
    data_file(where / "top.data", edge)
    dump(where / "run.dump", made.positions * 1e10 % edge, edge)
    np.savez(where / "walk.npz", positions=made.positions * 1e10 % edge, edge=edge)
    return where


def walk(folder):
    with np.load(folder / "walk.npz") as data:
        return data["positions"], float(data["edge"])


def onsager(folder, keys, units=""):
    """What the command says of a file with these keys."""
    text = HEAD.format(keys).replace("[species.Li]", units + "\n[species.Li]")
    (folder / "SPECIES.toml").write_text(text)
    return mdcoeffs("onsager", folder / "SPECIES.toml", "-o", folder / "out")


def omega(folder, keys, units=""):
    done = onsager(folder, keys, units)
    assert done.exit_code == 0, done.output
    return summary(folder)


def summary(folder):
    """The entries of Omega and their errors."""
    told = json.loads((folder / "out" / "summary.json").read_text())
    return {name: told[name] for name in ("Omega", "Omega_standard_error")}


def near(one, other, relative):
    return all(one[name][key] == pytest.approx(other[name][key], rel=relative) for name in one for key in one[name])


@pytest.mark.slow
def test_omega_of_one_walk_in_every_format(folder):
    positions, edge = walk(folder)
    plain = omega(folder, 'trajectory = "run.dump"\ntimestep = "2 fs"')
    stated = lambda t: ("ITEM: UNITS\nreal\n" if not t else "") + f"ITEM: TIME\n{1000.0 * t}\n"  # noqa: E731
    dump(folder / "headed.dump", positions, edge, stated)
    raw = (folder / "headed.dump").read_bytes()
    (folder / "cut.dump").write_bytes(raw + raw[: len(raw) // FRAMES // 2])  # the run died within another frame
    assert omega(folder, 'trajectory = "cut.dump"\ncut_last_frame = "drop"') == plain
    told = json.loads((folder / "out" / "summary.json").read_text())
    assert f"cut.dump: frame {FRAMES} is cut short and left out" in told["notes"]
    # CP2K: times in the comments, boxes in a file beside
    rows = ["# Step Time [fs] " + " ".join(f"{v}{x} [Angstrom]" for v in "ABC" for x in "xyz") + " Volume [Angstrom^3]"]
    with (folder / "run-pos-1.xyz").open("w") as stream:
        for t, frame in enumerate(positions):
            stream.write(f"{N}\n i = {500 * t:8d}, time = {1000.0 * t:12.3f}, E = {-17.0:20.10f}\n")
            stream.writelines(f"A{TYPES[k]} {x!r} {y!r} {z!r}\n" for k, (x, y, z) in enumerate(frame.tolist()))
            box = " ".join(map(repr, (np.eye(3) * edge).ravel().tolist()))
            rows.append(f"{500 * t} {1000.0 * t:.3f} {box} {edge**3!r}")
    (folder / "run-1.cell").write_text("\n".join([*rows, ""]))
    found = omega(folder, 'trajectory = "run-pos-1.xyz"\ncell = "run-1.cell"')
    assert near(found, plain, 1e-5)  # MDAnalysis keeps the box of a dump in single precision
    # Lennard-Jones units
    data_file(folder / "lj.data", edge / SIGMA, MASS)
    dump(folder / "lj.dump", positions / SIGMA, edge / SIGMA)
    lj = f'trajectory = "lj.dump"\ntimestep = "{0.002 / TAU} tau"\n'
    text = HEAD.format(lj).replace("top.data", "lj.data").replace("[species.Li]", REDUCED + "\n[species.Li]")
    (folder / "SPECIES.toml").write_text(text)
    assert mdcoeffs("onsager", folder / "SPECIES.toml", "-o", folder / "out").exit_code == 0
    assert near(summary(folder), plain, 1e-5)


@pytest.mark.slow
def test_velocities_of_a_dump_give_the_same_current(folder):
    """Positions are the trapezoidal integral of velocities that persist, so that both routes agree to rounding."""
    _, edge = walk(folder)
    v = np.empty((FRAMES, N, 3))
    rng = np.random.default_rng(4)
    v[0] = rng.normal(size=(N, 3))
    for t in range(1, FRAMES):
        v[t] = 0.8 * v[t - 1] + 0.6 * rng.normal(size=(N, 3))
    v *= 0.4  # angstrom/ps, 1 ps between frames
    moved = np.concatenate([np.zeros((1, N, 3)), np.cumsum((v[1:] + v[:-1]) / 2, axis=0)])
    positions = rng.random((N, 3)) * edge + moved
    heads = {"metal": lambda t: "" if t else "ITEM: UNITS\nmetal\n", "none": lambda t: ""}
    for name, head in heads.items():
        dump(folder / f"{name}.dump", np.concatenate([positions % edge, v], axis=2), edge, head, "x y z vx vy vz")
    asked = "[estimate]\nvelocities = true"
    text = HEAD.format('trajectory = "metal.dump"\ntimestep = "2 fs"').replace("[estimate]", asked)
    (folder / "SPECIES.toml").write_text(text)
    done = mdcoeffs("onsager", folder / "SPECIES.toml", "-o", folder / "out")
    assert done.exit_code == 0, done.output
    told = json.loads((folder / "out" / "summary.json").read_text())
    assert told["velocities"]["over_displacements"] == pytest.approx(1, rel=1e-5)
    (folder / "SPECIES.toml").write_text(text.replace("metal.dump", "none.dump"))
    done = mdcoeffs("onsager", folder / "SPECIES.toml", "-o", folder / "out")
    assert done.exit_code == 2 and 'its units ([units] style = "real", say)' in done.output


@pytest.mark.parametrize(
    ("keys", "units", "message"),
    [
        ('trajectory = "run.dump"', "", 'give timestep = "2 fs"'),
        ('trajectory = "short.dump"\ntimestep = "2 fs"', "", 'set cut_last_frame = "drop" to leave it out'),
        ('trajectory = "run.dump"\ntimestep = "2 fs"\ncut_last_frame = "keep"', "", 'must be "refuse" | "drop"'),
        ('trajectory = "run.dump"\ntimestep = "0.001 tau"', "", "is in reduced units; say what they are"),
        (
            'trajectory = "run.dump"\ntimestep = "2 fs"',
            '[units]\nstyle = "lj"',
            "leaves out length and mass and energy",
        ),
        ('trajectory = "run.dump"\ntimestep = "2 fs"\ncell = "top.data"', "", "cell goes with XYZ files of CP2K"),
        ('trajectory = "run.dump"\ntimestep = "2 fs"\nevery = "1.5 ps"', "", "no frame before it is at 1.5e-12 s"),
        (
            'trajectory = "run.dump"\ntimestep = "2 fs"',
            '[units]\nstyle = "si"',
            "has a mass of 8.73e+28 u by the topology",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(folder, keys, units, message):
    (folder / "short.dump").write_bytes((folder / "run.dump").read_bytes()[:-500])
    done = onsager(folder, keys, units)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.splitlines()[-1].startswith("error: ") and "Traceback" not in done.output
