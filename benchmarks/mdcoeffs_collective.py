"""Collective path against bare iteration: how fast is unwrapping and summing, where MDAnalysis only reads the file?

    OMP_NUM_THREADS=1 python benchmarks/mdcoeffs_collective.py [--gigabytes 1.0] [--repeats 3] [--folder DIR]

Writes an XTC of 30 000 atoms (600 Li, 600 anions of 15 atoms, 6800 solvents of 3 atoms). In turn it reads the file
bare, with MDAnalysis' reader; with the reader of `mdcoeffs`, which checks what it decodes; and through the pass of
`mdcoeffs onsager`. It prints the least time of each, the ratios of speeds and the load of the machine, compares all
positions of the two readers bit for bit and the result with the walk that was written; the file is deleted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import MDAnalysis as mda

from mdcoeffs.frames.stream import feed, stream_of_universe
from mdcoeffs.frames.xtc import XtcReader
from mdcoeffs.inputs.species import Species, SpeciesFile
from mdcoeffs.onsager.motion import ReplicaMotion, motion_accumulators, motion_of

SIZES = np.concatenate([np.full(600, 1), np.full(600, 15), np.full(6800, 3)])
SPECIES = (
    Species("Li", 1, "cation", "resname LI", molecule="residue"),
    Species("AN", -1, "anion", "resname AN", molecule="residue"),
    Species("SOL", 0, "solvent", "resname SOL", molecule="residue"),
)


def topology() -> mda.Universe:
    residues = np.repeat(np.arange(SIZES.size), SIZES)
    universe = mda.Universe.empty(int(SIZES.sum()), n_residues=SIZES.size, atom_resindex=residues, trajectory=True)
    universe.add_TopologyAttr("masses", np.full(residues.size, 10.0))
    universe.add_TopologyAttr("resnames", ["LI"] * 600 + ["AN"] * 600 + ["SOL"] * 6800)
    return universe


def write(path: Path, size: float) -> tuple[int, np.ndarray]:
    """Random walk of whole molecules with rattling atoms, wrapped; (frames, final summed displacement of Li)."""
    universe = topology()
    rng = np.random.default_rng(1)
    edge = (universe.atoms.n_atoms / 0.1) ** (1 / 3)
    owner = np.repeat(np.arange(SIZES.size), SIZES)
    centre = rng.uniform(0, edge, (SIZES.size, 3))
    shape = np.clip(rng.normal(0, 1.5, (owner.size, 3)), -4, 4)
    rattle = rng.normal(0, 0.1, (8, owner.size, 3))
    start = centre.copy()
    frames = 0
    with mda.Writer(str(path), owner.size) as writer:
        while frames < 2 or path.stat().st_size < size:
            if frames:
                centre += rng.normal(0, 0.3, centre.shape)
            place = centre[owner] + shape + rattle[frames % 8] * (np.repeat(SIZES, SIZES) > 1)[:, None]
            universe.atoms.positions = place % edge
            universe.dimensions = [edge, edge, edge, 90, 90, 90]
            universe.trajectory.ts.time, universe.trajectory.ts.frame = float(frames), frames
            writer.write(universe.atoms)
            frames += 1
    li = centre[:600] + shape[:600] - start[:600] - shape[:600]
    return frames, li.sum(axis=0)


def motion(universe: mda.Universe, path: Path, stop: float | None = None) -> ReplicaMotion:
    stream = stream_of_universe(SpeciesFile(path, 300.0, SPECIES, (), stop=stop), universe, [(path, {})])
    accumulators = motion_accumulators(stream, "none")
    feed(stream, accumulators)
    return motion_of(stream, accumulators)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        path = Path(name) / "run.xtc"
        frames, truth = write(path, arguments.gigabytes * 1e9)
        size = path.stat().st_size / 1e9
        universe = topology()
        universe.load_new(str(path))
        motion(universe, path, stop=2e-12)  # compile, index the file
        ours = XtcReader(str(path), n_atoms=int(SIZES.sum()))
        for theirs, own in zip(universe.trajectory, ours, strict=True):
            assert theirs.positions.tobytes() == own.positions.tobytes(), f"frame {own.frame} differs"
        ways = {
            "MDAnalysis, reading only": lambda: iterate(universe.trajectory),
            "mdcoeffs, reading only": lambda: iterate(ours),
            "mdcoeffs, collective": lambda: motion(universe, path),
        }
        least = dict.fromkeys(ways, np.inf)
        for _ in range(arguments.repeats):
            for name, way in ways.items():
                begin = time.perf_counter()
                measured = way()
                least[name] = min(least[name], time.perf_counter() - begin)
                print(f"{name:25s} {(time.perf_counter() - begin) / frames * 1e3:.3f} ms a frame", flush=True)
        lab = measured.displacements.R[-1, 0] + 600 * measured.drift[-1]
        error = np.abs(lab * 1e10 - truth).max()
        print(f"{size:.2f} GB, {frames} frames, {SIZES.sum()} atoms, load {os.getloadavg()[0]:.1f}; least times:")
        for name, seconds in least.items():
            ratio = least["MDAnalysis, reading only"] / seconds
            print(f"{name:25s} {seconds / frames * 1e3:.3f} ms a frame, {ratio:.2f} of the speed of MDAnalysis")
        print(f"largest error of the summed displacement of 600 Li: {error:.3f} angstrom (XTC rounds to 0.01 per atom)")


def iterate(trajectory: Any) -> None:
    for _ in trajectory:
        pass


if __name__ == "__main__":
    main()
