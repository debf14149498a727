"""Trajectories analysed on a dask cluster: one worker process against two, and what a frame costs.

Random walks of 3000 atoms in XTC files, read by MDAnalysis, unwrapped and summed, self part included; then the Onsager
matrix. Workers are warm (each has analysed a short trajectory before the clock starts). Two measures: the wall clock,
which means something on a quiet machine only, and the processor time of the busiest worker, which the load of the
machine hardly touches: the analysis cannot end before its busiest worker has.

    python benchmarks/mdcoeffs_dask.py --trajectories 8 --frames 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

IONS, SOLVENT, BOX = 500, 2000, 50.0  # angstrom
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def write_system(folder: Path, trajectories: int, frames: int) -> Path:
    import MDAnalysis as mda

    n = 2 * IONS + SOLVENT
    kinds = np.repeat([1, 2, 3], [IONS, IONS, SOLVENT])
    head = ["benchmark", "", f"{n} atoms", "3 atom types", "", *(f"0 {BOX} {x}lo {x}hi" for x in "xyz"), ""]
    head += ["Masses", "", "1 7.0", "2 280.0", "3 90.0", "", "Atoms # atomic", ""]
    atoms = [f"{k + 1} {kind} 0.0 0.0 0.0" for k, kind in enumerate(kinds)]
    (folder / "top.data").write_text("\n".join([*head, *atoms]) + "\n")
    universe = mda.Universe.empty(n, trajectory=True)
    rows = ['temperature = "300 K"']
    for kind, (role, z) in enumerate((("cation", 1), ("anion", -1), ("solvent", 0)), start=1):
        rows += [f"[species.k{kind}]", f'selection = "type {kind}"', f'role = "{role}"', f"charge = {z}"]
        rows.append('molecule = "atom"')
    for k in range(trajectories):
        rng = np.random.default_rng(k)
        x = rng.uniform(0, BOX, (n, 3))
        with mda.Writer(str(folder / f"t{k}.xtc"), n_atoms=n) as out:
            for frame in range(frames):
                universe.atoms.positions = x % BOX
                universe.trajectory.ts.dimensions = [BOX, BOX, BOX, 90, 90, 90]
                universe.trajectory.ts.time = float(frame)
                out.write(universe.atoms)
                x += rng.normal(0, 0.5, x.shape)
        rows.append(f'[[replica]]\ntopology = "top.data"\natom_style = "id type x y z"\ntrajectory = "t{k}.xtc"')
    path = folder / "SPECIES.toml"
    path.write_text("\n".join(rows) + "\n")
    return path


def cpu() -> float:
    return time.process_time()


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=8)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    from distributed import Client, LocalCluster

    from mdcoeffs.analysis import analyse_many
    from mdcoeffs.inputs.species import read_species
    from mdcoeffs.onsager import ANALYSIS

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        file = read_species(write_system(folder, arguments.trajectories, arguments.frames))
        warm = read_species(write_system(folder / "warm", 2, 60))
        size = sum((folder / f"t{k}.xtc").stat().st_size for k in range(arguments.trajectories))
        whole = arguments.trajectories * arguments.frames
        print(
            f"{arguments.trajectories} trajectories, {arguments.frames} frames each, {2 * IONS + SOLVENT} atoms, "
            f"{size / whole / 1000:.1f} kB a frame; load {os.getloadavg()[0]:.1f}"
        )
        clusters = {
            n: LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None, silence_logs=50) for n in (1, 2)
        }
        wall: dict[int, list[float]] = {1: [], 2: []}
        busiest: dict[int, list[float]] = {1: [], 2: []}
        watch = {n: Client(cluster, set_as_default=False) for n, cluster in clusters.items()}
        results = {}
        for cluster in clusters.values():
            list(analyse_many(ANALYSIS, [warm, warm], cluster.scheduler_address))
        for _ in range(arguments.rounds):
            for n, cluster in clusters.items():
                before, begun = watch[n].run(cpu), time.perf_counter()
                [(_, results[n])] = analyse_many(ANALYSIS, [file], cluster.scheduler_address)
                wall[n].append(time.perf_counter() - begun)
                after = watch[n].run(cpu)
                busiest[n].append(max(after[w] - before[w] for w in after))
        same = np.array_equal(results[1].matrix.samples, results[2].matrix.samples)
        for n in (1, 2):
            print(
                f"{n} worker(s): wall {statistics.median(wall[n]):.2f} s, busiest worker "
                f"{statistics.median(busiest[n]):.2f} s of processor time "
                f"({1e3 * statistics.median(busiest[1]) / whole:.2f} ms a frame with one)"
            )
        print(
            f"two over one: {statistics.median(wall[1]) / statistics.median(wall[2]):.2f} x by the wall clock, "
            f"{statistics.median(busiest[1]) / statistics.median(busiest[2]):.2f} x by processor time; the same "
            f"numbers: {same}; load {os.getloadavg()[0]:.1f}"
        )
        for n in (1, 2):
            watch[n].close()
            clusters[n].close()


if __name__ == "__main__":
    main()
