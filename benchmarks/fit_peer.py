"""One fit, several fitters: cellsim.fit, lmfit on the same residuals, lmfit on a cell of its own (PyBaMM).

    python benchmarks/fit_peer.py --peer-python PYTHON [-o runs/fit_peer] [--seed 20261121]

PYTHON is an interpreter with requirements-peers.lock, requirements.lock and cellsim installed. The data are experiment
0 of fit_coverage.py: six parameters, 46 currents and 46 x 60 concentrations. All begin at the same starts. lmfit
minimises by MINPACK's leastsq with forward differences of its own. Printed: how far each optimum lies from ours in our
standard errors, the ratio of errors, and times as ratios to ours, all in one run on one machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import fit_coverage

from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.problem import Problem, synthetic
from cellsim.solvers.march import Options

SCALE = {"kappa": 0.13, "D.k0": 1e-11}
"""What a parameter is a multiple of on the peer's side; 1 otherwise."""


def make(seed: int) -> dict[str, Any]:
    """The data of experiment 0 and all that a peer must know, as numbers."""
    problem = fit_coverage.exact("six")
    u = problem.space.point(fit_coverage.truth_of("six"))
    drawn = synthetic(problem, u, np.random.default_rng(np.random.SeedSequence([seed, 0])))
    current, profiles = drawn.observations
    space, transport = problem.space, problem.model.at(problem.space.values(u), fit_coverage.T)
    return {
        "names": np.array(space.names), "start": np.array([p.start for p in space.parameters]),
        "scale": np.array([SCALE.get(n, 1.0) for n in space.names]), "times": fit_coverage.TIMES,
        "i": current.value, "i_error": current.noise.own,
        "c": profiles.value.reshape(fit_coverage.TIMES.size, -1), "c_error": profiles.noise.own[0],
        "L": fit_coverage.THICKNESS, "T": fit_coverage.T, "V": 0.3, "R_int": 0.02, "r0": fit_coverage.R0,
        "V_metal": drawn.experiments[0].cell.V_metal, "V_e": float(transport.V_e(1000.0)),
        "V_0": float(transport.V_0(1000.0)), "c0": drawn.experiments[0].c0,
    }  # fmt: skip


def problem_of(data: dict[str, Any]) -> Problem:
    """The same as a problem of cellsim.fit."""
    problem = fit_coverage.exact("six")
    e = problem.experiments[0]
    current, profiles = e.observations
    measured = (replace(current, measured=np.asarray(data["i"])), replace(profiles, measured=np.ravel(data["c"])))
    return replace(problem, experiments=(replace(e, observations=measured),))


def finer(problem: Problem) -> Problem:
    """Four times the output grid, between whose faces profiles are read by straight lines, and a tighter solver."""
    return replace(problem, experiments=(replace(problem.experiments[0], options=Options(rtol=1e-8, cells=640)),))


def ours(problem: Problem) -> tuple[Estimate, dict[str, Any]]:
    """Our fit, and its row."""
    problem.residuals(problem.space.start)  # compiled and cached things of the first call
    begun, processor = time.perf_counter(), time.process_time()
    found = estimate(problem, starts=1)
    return found, {
        "value": found.values, "error": found.errors, "chi2": found.chi2, "runs": found.evaluations,
        "s": time.perf_counter() - begun, "cpu": time.process_time() - processor,
    }  # fmt: skip


def compare(reference: dict[str, Any], row: dict[str, Any], scale: dict[str, float]) -> dict[str, float]:
    """Largest distance of the optima in our errors, extreme ratios of errors, ratios of times."""
    off, ratio = [], []
    for name, value in reference["value"].items():
        off.append(abs(row["value"][name] * scale[name] - value) / reference["error"][name])
        ratio.append(row["error"][name] * scale[name] / reference["error"][name])
    return {
        "off": max(off), "low": min(ratio), "high": max(ratio), "chi2": row["chi2"] - reference["chi2"],
        "runs": row["runs"] / reference["runs"], "cpu": row["cpu"] / reference["cpu"],
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="interpreter with requirements-peers.lock")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/fit_peer"))
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    data = make(options.seed)
    given, taken = options.output / "data.npz", options.output / "peer.json"
    np.savez(given, **data)
    _, reference = ours(problem_of(data))
    script = Path(__file__).with_name("fit_peer_lmfit.py")
    subprocess.run([options.peer_python, str(script), str(given), str(taken)], check=True)
    rows = json.loads(taken.read_text(encoding="utf-8"))
    scale = dict(zip(data["names"].tolist(), data["scale"].tolist(), strict=True))
    print(f"cellsim.fit: chi2 {reference['chi2']:.3f}, {reference['runs']} runs, {reference['cpu']:.2f} s of processor")
    _, fine = ours(finer(problem_of(data)))
    here = {n: v / scale[n] for n, v in fine["value"].items()}, {n: e / scale[n] for n, e in fine["error"].items()}
    print(f"lmfit {rows.pop('lmfit')}; distances in our standard errors, the rest as ratios to ours\n")
    print("| fitter | optimum off by | errors | chi2 less ours | runs | processor time |\n|" + "---|" * 6)
    rows["cellsim.fit, 640 cells, rtol 1e-8"] = fine | {"value": here[0], "error": here[1]}
    rows |= {f"{name}, against the finer": row for name, row in rows.items() if "PyBaMM" in name}
    for name, row in rows.items():
        c = compare(fine if name.endswith("finer") else reference, row, scale)
        print(f"| {name} | {c['off']:.4f} | {c['low']:.3f} to {c['high']:.3f} | {c['chi2']:+.4f} | {c['runs']:.2f} "
              f"| {c['cpu']:.2f} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
