"""Self mean-squared displacement at all lags: time and memory beside freud and MDAnalysis, error beside time.

    python benchmarks/mdcoeffs_msd.py [--particles 2000] [--frames 10000] [--repeats 3]

Needs the peers of requirements-peers.lock and this project in one environment (PYTHONPATH will do). Each method runs
in a process of its own, one thread, on the same random walk (float32 input for all, as trajectories hold it); memory is
the peak above the input.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

METHODS = ("mdcoeffs", "freud", "MDAnalysis")


def walk(frames: int, particles: int) -> np.ndarray:
    """Random walk, (frames, particles, 3), single precision, made step by step to keep the peak at the array itself."""
    rng = np.random.default_rng(3)
    path = np.zeros((frames, particles, 3), dtype=np.float32)
    for t in range(1, frames):
        path[t] = path[t - 1] + rng.standard_normal((particles, 3), dtype=np.float32)
    return path


def with_mdcoeffs(path: np.ndarray) -> np.ndarray:
    from mdcoeffs.statistics.correlate import self_msd

    return np.asarray(self_msd(path))


def with_freud(path: np.ndarray) -> np.ndarray:
    import freud

    box = freud.box.Box.cube(1e6)
    return np.asarray(freud.msd.MSD(box, "window").compute(path, reset=True).msd)


def with_mdanalysis(path: np.ndarray) -> np.ndarray:
    import MDAnalysis as mda
    from MDAnalysis.analysis.msd import EinsteinMSD

    universe = mda.Universe.empty(path.shape[1], trajectory=True)
    universe.load_new(path, order="fac")
    return np.asarray(EinsteinMSD(universe, msd_type="xyz", fft=True).run().results.timeseries)


def naive(path: np.ndarray, lags: list[int]) -> np.ndarray:
    """The definition, in double precision, at a few lags."""
    found = []
    for lag in lags:
        total = 0.0
        for t in range(len(path) - lag):
            step = path[t + lag].astype(np.float64) - path[t]
            total += float(np.einsum("px,px->", step, step))
        found.append(total / (len(path) - lag) / path.shape[1])
    return np.array(found)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one(method: str, particles: int, frames: int) -> None:
    """Run one method and print what it took."""
    warnings.simplefilter("ignore")
    run = {"mdcoeffs": with_mdcoeffs, "freud": with_freud, "MDAnalysis": with_mdanalysis}[method]
    run(walk(64, 8))  # imports and compilation are not part of the measurement
    path = walk(frames, particles)
    before = peak()
    begin, cpu = time.perf_counter(), time.process_time()
    msd = run(path)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    memory = peak() - before
    lags = [1, 10, frames // 10, frames // 2, frames - 1]
    error = float(np.max(np.abs(msd[lags] / naive(path, lags) - 1)))
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory, "error": error}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--particles", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--method", choices=METHODS)
    arguments = parser.parse_args()
    if arguments.method:
        one(arguments.method, arguments.particles, arguments.frames)
        return
    size = arguments.particles * arguments.frames * 12 / 1e6
    print(f"{arguments.particles} particles x {arguments.frames} frames, all lags, one thread; input {size:.0f} MB")
    found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for _ in range(arguments.repeats):
        for method in METHODS:
            command = [
                sys.executable,
                __file__,
                "--method",
                method,
                "--particles",
                str(arguments.particles),
                "--frames",
                str(arguments.frames),
            ]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[method].append(json.loads(out.splitlines()[-1]))
    ours = found["mdcoeffs"]
    for method in METHODS:
        rows = found[method]
        ratios = [b["cpu"] / a["cpu"] for a, b in zip(ours, rows, strict=True)]
        print(
            f"{method:<11} wall {np.median([r['wall'] for r in rows]):7.2f} s  processor "
            f"{np.median([r['cpu'] for r in rows]):7.2f} s  {np.median(ratios):5.1f} x ours in processor time "
            f"({min(ratios):.1f}-{max(ratios):.1f})  peak above input {max(r['memory'] for r in rows) / 1e6:7.0f} MB  "
            f"worst relative error {max(r['error'] for r in rows):.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
