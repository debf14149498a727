"""How long `cellsim fit` takes for a beam time: 60 currents, 60 profiles of 50 points, 300 velocities.

    python benchmarks/fit_beam_time.py [--keep FOLDER]

Seven parameters (kappa, D with its slope, t+0 with its slope, chi, R_int), profile likelihoods included; one core, the
SYNTHETIC data of seed 20261129 made from steinruck2020_rs in the cell of cases/fit_example.

Measured in turns, three times, on two cores at a load average of 4 to 5: 7.8 to 8.2 s of processor time and 334 MB;
with differences between whole runs for derivatives 7.1 to 8.6 s and 355 MB.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cellsim.run.case import load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

SEED = 20261129
CELL = Path(__file__).parents[1] / "cases" / "fit_example" / "cell.toml"
FIT = """
[[experiment]]
case = "cell.toml"
data = [{ file = "current.csv", error = "1 %" }, "profiles.csv", "velocities.csv"]

[fit.kappa]
form = "scaled"

[fit.D]
form = "polynomial"
degree = 1
variable = "r"

[fit.t_plus]
form = "polynomial"
degree = 1
variable = "r"

[fit.chi]
form = "scaled"

[nuisance.R_int]
start = "0.04 ohm m^2"
prior_sd = "10 %"
"""


def make(folder: Path) -> None:
    """The cell, its data and the fit's file."""
    shutil.copy(CELL, folder / "cell.toml")
    case, rng = load_case(CELL), np.random.default_rng(SEED)
    times = np.linspace(0, 40000, 60)
    run = simulate(case.cell, case.transport, case.protocol, c0=case.c0, times=times, options=Options(rtol=1e-6))
    kept = np.searchsorted(run["time"], times)
    current = run["i"][kept] * case.cell.area * 1e3 * (1 + 0.01 * rng.standard_normal(60))
    rows = [f"{t:.3f},{i:.6f}" for t, i in zip(times, current, strict=True)]
    (folder / "current.csv").write_text("time (s),I (mA)\n" + "\n".join(rows) + "\n")
    places = (np.arange(50) + 0.5) / 50 * case.cell.thickness
    sigma = 0.02 * case.c0
    seen = run.at("c", places, frame="lab")[kept] + sigma * rng.standard_normal((60, 50))
    rows = [
        f"{t:.3f},{1e3 * x:.4f},{c / 1e3:.5f},{sigma / 1e3:.5f}"
        for t, row in zip(times[1:], seen[1:], strict=True)
        for x, c in zip(places, row, strict=True)
        if np.isfinite(c)
    ]
    (folder / "profiles.csv").write_text("time (s),position (mm),c (mol/L),error (mol/L)\n" + "\n".join(rows) + "\n")
    places = np.array([0.1, 0.3, 0.5, 0.7, 0.9]) * case.cell.thickness
    speed = np.abs(run.at("v_0", places, frame="lab")[kept] + 2e-10 * rng.standard_normal((60, 5)))
    rows = [
        f"{t:.3f},{1e3 * x:.4f},{1e10 * v:.4f},2"
        for t, row in zip(times[1:], speed[1:], strict=True)
        for x, v in zip(places, row, strict=True)
    ]
    header = "time (s),position (mm),v_0 (angstrom/s),error (angstrom/s)\n"
    (folder / "velocities.csv").write_text(header + "\n".join(rows) + "\n")
    (folder / "fit.toml").write_text(FIT)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        make(folder)
        command = [sys.executable, "-c", "from cellsim.cli import main; main()", "fit", str(folder / "fit.toml")]
        one_core = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        begun = time.perf_counter()
        done = subprocess.run([*command, "-o", str(folder / "fitted")], env=one_core, text=True, capture_output=True)
        wall = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(done.stdout[-3000:], done.stderr[-2000:], sep="\n")
        print(
            f"exit {done.returncode}; {wall:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor time, "
            f"{used.ru_maxrss / 1024:.0f} MB"
        )


if __name__ == "__main__":
    main()
