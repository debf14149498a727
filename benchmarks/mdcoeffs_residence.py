"""Residence of partners at ions: time and peak memory beside waterdynamics (MDAnalysis) and solvation-analysis.

    python benchmarks/mdcoeffs_residence.py [--cations 1429] [--frames 10000] [--lags 100] [--peers waterdynamics]

1429 cations with six partners each are 10003 atoms. Partners come and go with known residence times and belong to one
cation each, so all methods measure the same: continuous for SurvivalProbability of waterdynamics, intermittent
for solvation-analysis (which needs frames x cations x solvents cells of memory: keep it small). Each method reads the
same DCD file in a process of its own, one thread. mdcoeffs reads, searches neighbours, follows sites, molecules and
linkers of both species, does continuous and intermittent curves at half the run's lags, fits and finds errors;
the peers stop at the curve of the anion, at --lags lags for waterdynamics. Compared is processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
warnings.simplefilter("ignore")

TOML = """
title = "benchmark"
temperature = "300 K"
topology = "top.pdb"
trajectory = "run.dcd"
frame_interval = "1 ps"
memory = "200 MB"
[species.Li]
selection = "resname Li"
charge = 1
role = "cation"
molecule = "residue"
[species.X]
selection = "resname X"
charge = -0.5
role = "anion"
molecule = "residue"
[species.S]
selection = "resname S"
role = "solvent"
molecule = "residue"
[structure]
cutoffs = {X = "4 angstrom", S = "4 angstrom"}
"""


def make(folder: Path, cations: int, frames: int) -> None:
    import MDAnalysis as mda

    from mdcoeffs.synthetic.partners import Partner, exchange

    run = exchange(
        [Partner("X", 2, 40e-12, 0.4), Partner("S", 4, 10e-12, 0.7)], cations=cations, frames=frames, dt=1e-12, seed=1
    )
    n = run.labels.size
    u = mda.Universe.empty(n, n_residues=n, atom_resindex=np.arange(n), trajectory=True)
    for key, value in (
        ("resnames", run.labels),
        ("names", ["O"] * n),
        ("elements", ["O"] * n),
        ("resids", np.arange(1, n + 1) % 10000),
    ):
        u.add_TopologyAttr(key, value)
    edge = run.edge() * 1e10
    with mda.Writer(str(folder / "run.dcd"), n, dt=1.0) as writer:
        for k in range(frames):
            u.atoms.positions = (run.positions(k) * 1e10) % edge
            u.dimensions = [edge] * 3 + [90] * 3
            writer.write(u.atoms)
    u.atoms.write(str(folder / "top.pdb"))
    (folder / "SPECIES.toml").write_text(TOML)


def with_mdcoeffs(folder: Path, lags: int) -> dict[str, list[float]]:
    from mdcoeffs.analysis import analyse
    from mdcoeffs.residence import ANALYSIS

    curves = analyse(ANALYSIS, folder / "SPECIES.toml", folder=folder, checkpoint_every=1e9).curves
    both = {mode: curves["Li-X", mode] for mode in ("continuous", "intermittent")}
    return {
        "lag": (both["continuous"].lag * 1e12).tolist(),
        **{mode: one.C.value.tolist() for mode, one in both.items()},
        **{f"{mode}_error": one.C.error.tolist() for mode, one in both.items()},
    }


def with_waterdynamics(folder: Path, lags: int) -> dict[str, list[float]]:
    import MDAnalysis as mda
    from waterdynamics import SurvivalProbability

    u = mda.Universe(str(folder / "top.pdb"), str(folder / "run.dcd"))
    one = SurvivalProbability(u, "resname X and around 4 resname Li")
    one.run(tau_max=lags)
    return {"lag": list(map(float, one.tau_timeseries)), "continuous": list(map(float, one.sp_timeseries))}


def with_solvation_analysis(folder: Path, lags: int) -> dict[str, list[float]]:
    import MDAnalysis as mda
    from solvation_analysis.residence import Residence
    from solvation_analysis.solute import Solute

    u = mda.Universe(str(folder / "top.pdb"), str(folder / "run.dcd"))
    solute = Solute.from_atoms(
        u.select_atoms("resname Li"), {"X": u.select_atoms("resname X")}, radii={"X": 4.0}, skip_rdf=True
    )
    solute.run()
    C = Residence.from_solute(solute).auto_covariances["X"]
    return {"lag": list(map(float, range(lags))), "intermittent": C[:lags].tolist()}


METHODS = {
    "mdcoeffs": with_mdcoeffs,
    "waterdynamics": with_waterdynamics,
    "solvation-analysis": with_solvation_analysis,
}


def child(method: str, folder: Path, lags: int) -> None:
    begin, cpu = time.perf_counter(), time.process_time()
    result = METHODS[method](folder, lags)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        "RESULT "
        + json.dumps(
            {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu, "peak_MB": peak, **result}
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cations", type=int, default=1429)
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--lags", type=int, default=100)
    parser.add_argument("--peers", nargs="*", default=["waterdynamics"], choices=list(METHODS)[1:])
    parser.add_argument("--child", choices=list(METHODS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.folder, given.lags)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, given.cations, given.frames)
        print(f"{7 * given.cations} atoms x {given.frames} frames", flush=True)
        ours: dict[str, list[float]] = {}
        base = np.nan
        for method in ("mdcoeffs", *given.peers):
            run = subprocess.run(
                [sys.executable, __file__, "--child", method, "--folder", name, "--lags", str(given.lags)],
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            line = next((one for one in run.stdout.splitlines() if one.startswith("RESULT ")), None)
            if line is None:
                print(f"{method:<20} failed (exit {run.returncode})", flush=True)
                continue
            found = json.loads(line[7:])
            text = f"{method:<20} {found['cpu']:8.1f} s of processor ({found['seconds']:.0f} s)"
            text += f"  peak {found['peak_MB']:6.0f} MB"
            if method == "mdcoeffs":
                ours, base = found, found["cpu"]
            else:
                mode = "continuous" if "continuous" in found else "intermittent"
                lag = np.array([one for one in ours["lag"] if one in set(found["lag"])])
                a = np.interp(lag, ours["lag"], ours[mode])
                b = np.interp(lag, found["lag"], found[mode])
                error = np.interp(lag, ours["lag"], ours[f"{mode}_error"])
                text += (
                    f"  {found['cpu'] / base:6.2f} x our processor time; {mode} C(t) differs by at most "
                    f"{np.abs(a - b).max():.1e} (our standard error there {error[np.abs(a - b).argmax()]:.1e})"
                )
            print(text, flush=True)


if __name__ == "__main__":
    main()
