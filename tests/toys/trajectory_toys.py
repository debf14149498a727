"""A small walk of ions and solvent, written as trajectory files, and what a pass over them gives."""

from dataclasses import dataclass, replace
from pathlib import Path

import MDAnalysis as mda
import numpy as np

from mdcoeffs.frames.paths import PathRecorder
from mdcoeffs.frames.stream import feed, stream_of_universe
from mdcoeffs.frames.trajectory import open_replica
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile
from mdcoeffs.onsager.motion import ReplicaMotion, motion_accumulators, motion_of

BOX = np.array([16.0, 16.0, 16.0])
SPECIES = (
    Species("Li", 1, "cation", "type 1"),
    Species("X", -1, "anion", "type 2 3"),
    Species("S", 0, "solvent", "type 4"),
)
IONS, FRAMES = 4, 40
STEP = 1e-15


def system(seed=1, frames=FRAMES):
    """4 Li, 4 X (two atoms), 8 solvent atoms; positions multiples of 2^-10 angstrom, exact in single precision."""
    rng = np.random.default_rng(seed)

    def walk(n):
        start = rng.integers(0, 16, size=(n, 3))
        return start + np.rint(rng.normal(size=(frames, n, 3)) * 1024).cumsum(axis=0) / 1024

    li, anion, solvent = walk(IONS), walk(IONS), walk(2 * IONS)
    pair = np.stack([anion, anion + np.array([1.0, 0.5, 0.0])], axis=2).reshape(frames, 2 * IONS, 3)
    return np.concatenate([li, pair, solvent], axis=1)


TYPES = np.array([1] * IONS + [2, 3] * IONS + [4] * 2 * IONS)
MASSES = np.array([7.0, 16.0, 32.0, 18.0])


def write_data(path, positions, types=TYPES, masses=MASSES, bonds=True):
    n = len(types)
    pairs = [(IONS + 2 * k + 1, IONS + 2 * k + 2) for k in range(IONS)] if bonds else []
    lines = ["LAMMPS data file", "", f"{n} atoms", f"{len(masses)} atom types"]
    lines += [f"{len(pairs)} bonds", "1 bond types"] if bonds else []
    lines += ["", "0 16 xlo xhi", "0 16 ylo yhi", "0 16 zlo zhi", "", "Masses", ""]
    lines += [f"{k + 1} {m}" for k, m in enumerate(masses)] + ["", "Atoms # full", ""]
    molecule = [k + 1 if k < IONS else (k - IONS) // 2 + IONS + 1 if k < 3 * IONS else k for k in range(n)]
    lines += [f"{k + 1} {molecule[k]} {types[k]} 0 {x} {y} {z}" for k, (x, y, z) in enumerate(positions)]
    if bonds:
        lines += ["", "Bonds", ""] + [f"{k + 1} 1 {a} {b}" for k, (a, b) in enumerate(pairs)]
    path.write_text("\n".join(lines) + "\n")


def write_dump(path, positions, *, flags=False, unwrapped=False, steps=None, box=True, heads=None, v=None, unit=1.0):
    """A dump; `heads`: what stands before each frame, such as its unit style and time; `v`: velocities of the atoms."""
    images = np.floor(positions / BOX)
    shown = (positions if unwrapped else positions - images * BOX) / unit
    names = "xu yu zu" if unwrapped else "x y z ix iy iz" if flags else "x y z"
    with path.open("w") as stream:
        for t in range(len(positions)):
            stream.write("" if heads is None else heads[t])
            stream.write(f"ITEM: TIMESTEP\n{100 * t if steps is None else steps[t]}\nITEM: NUMBER OF ATOMS\n")
            stream.write(f"{positions.shape[1]}\nITEM: BOX BOUNDS pp pp pp\n")
            stream.write(f"0 {16 / unit}\n" * 3 if box else "0 0\n" * 3)
            stream.write(f"ITEM: ATOMS id type {names}{'' if v is None else ' vx vy vz'}\n")
            for k, (x, y, z) in enumerate(shown[t]):
                more = [int(n) for n in images[t, k]] if flags else []
                more += [] if v is None else [float(n) for n in v[t, k]]
                stream.write(f"{k + 1} {TYPES[k]} {x} {y} {z} {' '.join(map(str, more))}\n")


def write_yaml(path, positions, *, unit_style="", times=None, steps=None):
    """The same walk as ``dump yaml`` writes it, with thermodynamic data in the head."""
    with path.open("w") as stream:
        for t, frame in enumerate(positions - np.floor(positions / BOX) * BOX):
            stream.write(f"---\ncreator: LAMMPS\ntimestep: {100 * t if steps is None else steps[t]}\n")
            stream.write(f"units: {unit_style}\n" if unit_style else "")
            stream.write("" if times is None else f"time: {times[t]}\n")
            stream.write(f"natoms: {len(frame)}\nboundary: [ p, p, p, p, p, p, ]\n")
            stream.write(f"thermo:\n  - keywords: [ Step, Temp, ]\n  - data: [ {100 * t}, 300.5, ]\n")
            stream.write("box:\n" + "  - [ 0, 16 ]\n" * 3 + "keywords: [ id, type, x, y, z,  ]\ndata:\n")
            stream.writelines(
                f"  - [ {k + 1}, {TYPES[k]}, {x}, {y}, {z}, ]\n" for k, (x, y, z) in reversed(list(enumerate(frame)))
            )
            stream.write("...\n")


def write_binary(path, positions, *, wrap=True, times=None, box=True):
    universe = mda.Universe.empty(positions.shape[1], trajectory=True)
    options = {"dt": 0.1, "nsavc": 1, "istart": 0} if path.suffix == ".dcd" else {}
    with mda.Writer(str(path), positions.shape[1], **options) as writer:
        for t, frame in enumerate(positions):
            universe.atoms.positions = frame - np.floor(frame / BOX) * BOX if wrap else frame
            universe.dimensions = [*BOX, 90, 90, 90] if box else None
            universe.trajectory.ts.time = 0.1 * t if times is None else times[t]
            universe.trajectory.ts.frame = t
            writer.write(universe.atoms)


def write_xyz(path, positions):
    with path.open("w") as stream:
        for t, frame in enumerate(positions):
            stream.write(f"{len(frame)}\n i = {t}, time = {0.5 * t}\n")
            stream.writelines("X {} {} {}\n".format(*row) for row in frame)


def write_pdb(path, positions):
    with path.open("w") as stream:
        for t, frame in enumerate(positions):
            stream.write(f"MODEL {t + 1:8d}\n")
            for k, (x, y, z) in enumerate(frame):
                stream.write(f"ATOM  {k + 1:5d}  X   RES A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           X\n")
            stream.write("ENDMDL\n")


def write_extended(path, positions, boxes=None, properties="species:S:1:pos:R:3:forces:R:3", wrap=True):
    """Extended XYZ with a box in every comment, and columns behind the positions."""
    with path.open("w") as stream:
        for t, frame in enumerate(positions):
            box = np.diag(BOX) if boxes is None else boxes[t]
            lattice = "" if box is None else 'Lattice="{}" '.format(" ".join(map(str, np.ravel(box))))
            stream.write(f'{len(frame)}\n{lattice}Properties={properties} energy=-1.5 pbc="T T T"\n')
            shown = frame - np.floor(frame / BOX) * BOX if wrap else frame
            stream.writelines(f"X{TYPES[k]} {x:.6f} {y:.6f} {z:.6f} 0 0 0\n" for k, (x, y, z) in enumerate(shown))


def true_displacements(positions):
    """Sums over species of the centres of mass, drift of the total momentum taken away [m]."""
    weight = MASSES[TYPES - 1]
    pair = positions[:, IONS : 3 * IONS].reshape(len(positions), IONS, 2, 3)
    centre = (16 * pair[:, :, 0] + 32 * pair[:, :, 1]) / 48
    sums = np.stack([positions[:, :IONS].sum(1), centre.sum(1), positions[:, 3 * IONS :].sum(1)], axis=1)
    sums -= sums[0]
    drift = np.einsum("a,tax->tx", weight / weight.sum(), positions - positions[0])
    return (sums - np.array([IONS, IONS, 2 * IONS])[None, :, None] * drift[:, None]) * 1e-10, drift * 1e-10


@dataclass
class Read:
    """What a pass over a trajectory gave."""

    motion: ReplicaMotion
    paths: PathRecorder | None

    @property
    def displacements(self):
        return self.motion.displacements

    def path(self, k):
        """Of an ion (frames, 3) [m]: cations first."""
        kind, number = divmod(k, IONS)
        store = self.paths.stores[str(kind)]
        return store.block(number, number + 1, self.paths.frames)[0]


def stream_of(folder, *names, species=SPECIES, topology="top.data", cell=(), velocities=(), **options):
    replica = Replica(
        topology=folder / topology,
        trajectory=tuple(folder / name for name in names),
        cell=tuple(folder / name for name in cell),
        velocities=tuple(folder / name for name in velocities),
    )
    drop = options.get("cut_last_frame") == "drop"
    universe, files = open_replica(
        replica, timestep=options.get("timestep", STEP), units=options.get("run_units"), drop_cut=drop
    )
    if "frame_interval" not in options:
        # What each kind of file needs: a dump numbers its frames in steps, a DCD of MDAnalysis has no remark.
        options = {"lammpstrj": {"timestep": STEP}, "gz": {"timestep": STEP}, "dcd": {"timestep": 100 * STEP}}.get(
            names[0].rsplit(".", 1)[-1], {}
        ) | options
    file = SpeciesFile(Path("SPECIES.toml"), 300.0, species, (), **options)
    return replace(stream_of_universe(file, universe, files, label=names[0]), scratch=folder / "scratch")


def read(folder, *names, self_part="ions", checkpoint=None, checkpoint_every=60.0, progress=None, **options):
    stream = stream_of(folder, *names, **options)
    gathered = motion_accumulators(stream, self_part)
    feed(stream, gathered, checkpoint=checkpoint, checkpoint_every=checkpoint_every, progress=progress)
    return Read(motion_of(stream, gathered), gathered.get("paths"))
