"""Does the 95 % interval of `mdcoeffs calibrate` hold a hidden parameter of the force field in 95 % of families?

    python benchmarks/calibration_coverage.py --n 200 --seed 20261130

A family is three to six values of a parameter; its Onsager matrix follows a law that the estimator is not told:
exponential, power, crossover, or wave in each of its three coordinates. Each state has a posterior as its runs would
give it: with ``--data posterior`` from a Wishart sum of 60 to 3000 amplitudes, with ``--data walkers`` from
displacements of synthetic walkers through the whole estimator. The experiment measures kappa, rho_+ and D (with a
thermodynamic factor) at a hidden value of the parameter, 1 to 10 % of error each. The study passes when at least 93 %
of the intervals hold it. Resumable; the random numbers of family k are those of (seed, k).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from studies import resumed

from cellsim.base import Array
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.plateau import flat_plateau
from mdcoeffs.series.calibration import Calibration, Family, calibrate
from mdcoeffs.series.interpolation import matrices_of
from mdcoeffs.series.joint_calibration import join_calibrations
from mdcoeffs.series.recipe import Measured
from mdcoeffs.synthetic.walkers import Onset, walk

SPAN = (0.6, 1.0)
T, C = 350.0, 1000.0
KINDS = ("exponential", "power", "crossover", "wave")
ASKED = 0.93


class Law:
    """A random dependence of the three coordinates of the matrix on the parameter."""

    def __init__(self, rng: np.random.Generator, states: int) -> None:
        self.start = np.array([math.log(1e-10), math.log(1.5e-10), 0.4]) + rng.uniform(-0.7, 0.7, 3)
        self.size = rng.uniform(-2, 2, 3) * np.array([1, 1, 0.5])
        self.kind = str(rng.choice(KINDS))
        spacing = 1.0 / (states - 1)
        self.where = rng.uniform(0.2, 0.8, 3)
        self.width = rng.uniform(0.6, 2.0, 3) * spacing
        self.turns = rng.uniform(0.2, 0.5, 3) * min(1.0, (states - 1) / 3)
        self.phase = rng.uniform(0, 2 * np.pi, 3)

    def __call__(self, x: float) -> Array:
        """The matrix at x (2, 2) [mol^2/(J m s)]."""
        u = (x - SPAN[0]) / (SPAN[1] - SPAN[0])
        shape: Any
        if self.kind == "exponential":
            shape = np.full(3, u)
        elif self.kind == "power":
            shape = np.full(3, math.log(x / SPAN[0]) / math.log(SPAN[1] / SPAN[0]))
        elif self.kind == "crossover":
            shape = 0.5 * (1 + np.tanh((u - self.where) / self.width))
        else:
            shape = 0.5 * np.sin(2 * np.pi * self.turns * u + self.phase)
        return matrices_of(self.start + self.size * shape)


def matrix(Omega: Array, samples: Array | None = None) -> OnsagerMatrix:
    """A 1:1 salt, solvent frame."""
    return OnsagerMatrix(Omega, (1, -1), (1, 1), C, T, "solvent", samples=samples)


def state(Omega: Array, walkers: bool, rng: np.random.Generator) -> OnsagerMatrix:
    """What its runs say of a state."""
    if walkers:
        onset = Onset(rng.uniform(2, 6) * 1e-12, rng.uniform(0.2, 2) * np.diag(np.diag(Omega)))
        frames = int(rng.integers(400, 1500))
        runs = [walk(Omega, frames=frames, dt=1e-12, seed=rng, n_salt=20, c=C, T=T, onset=onset) for _ in range(3)]
        return estimate_onsager(runs)
    dof = int(10 ** rng.uniform(math.log10(60), math.log10(3000)))
    rows = rng.standard_normal((dof, 2)) @ np.linalg.cholesky(Omega / 1e-10).T
    samples = flat_plateau(rows.T @ rows, dof, 2000, rng).samples * 1e-10
    return matrix(np.median(samples, axis=0), samples)


def family(k: int, seed: int, *, walkers: bool = False) -> dict[str, Any]:
    """Make family k, calibrate it, and say whether the interval holds the hidden value."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    states = int(rng.integers(3, 7))
    law = Law(rng, states)
    hidden = float(rng.uniform(*SPAN))
    found = calibrated(law, states, hidden, walkers, rng)
    low, high = found.interval
    inside = any(a <= hidden <= b for a, b in found.profile)
    row = {"k": k, "kind": law.kind, "states": states, "held": int(low <= hidden <= high), "profile": int(inside)}
    return row | {"width": (high - low) / (SPAN[1] - SPAN[0]), "p": found.p, "hidden": hidden, "low": low, "high": high}


def together(k: int, seed: int, conditions: int = 3) -> dict[str, Any]:
    """Families of several concentrations, each with its own law, that have one hidden value; calibrated together."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    hidden, parts, kinds = float(rng.uniform(*SPAN)), [], []
    for place in range(conditions):
        states = int(rng.integers(3, 7))
        law = Law(rng, states)
        kinds.append(law.kind)
        part = calibrated(law, states, hidden, False, rng)
        matrices = tuple(replace(m, c=C * (1 + place)) for m in part.family.matrices)
        parts.append(replace(part, family=replace(part.family, matrices=matrices)))
    found = join_calibrations(parts)
    low, high = found.interval
    span = SPAN[1] - SPAN[0]
    return {
        "k": k,
        "kind": kinds[0],
        "states": len(parts[0].family.at),
        "held": int(low <= hidden <= high),
        "profile": int(low <= hidden <= high),
        "width": (high - low) / span,
        "alone": float(np.mean([part.interval[1] - part.interval[0] for part in parts])) / span,
        "p": found.p,
    }


def calibrated(law: Law, states: int, hidden: float, walkers: bool, rng: np.random.Generator) -> Calibration:
    """Simulate and measure one family."""
    at = np.linspace(*SPAN, states)
    simulated = Family("charge_scaling", "", at, tuple(state(law(float(x)), walkers, rng) for x in at), {})
    truth, chi = matrix(law(hidden)), float(rng.uniform(0.8, 3.0))
    measured = []
    for name, value in (
        ("kappa", truth.kappa),
        ("rho_plus", truth.rho_plus),
        ("D_salt", truth.diffusion(chi)),
        ("chi", chi),
    ):
        error = value * 10 ** rng.uniform(-2, -1)
        if name == "rho_plus":
            error = min(error, 0.1 * (1 - value))
        measured.append(Measured(math.nan, name, value + error * float(rng.standard_normal()), error, "made up"))
    return calibrate(simulated, measured)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Coverage of all families, and by law and number of states."""
    lines = [
        "| families | n | interval holds it | profile holds it | median width, of the range | p below 0.05 |",
        "|---|---|---|---|---|---|",
    ]
    groups = {"all": list(rows)}
    groups |= {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    groups |= {f"{n} states": [row for row in rows if row["states"] == n] for n in range(3, 7)}
    for name, group in groups.items():
        if group:
            means = " | ".join(f"{np.mean([row[key] for row in group]):.3f}" for key in ("held", "profile"))
            share = np.mean([row["p"] < 0.05 for row in group])
            width = np.median([row["width"] for row in group])
            lines.append(f"| {name} | {len(group)} | {means} | {width:.2f} | {share:.3f} |")
    held = sum(row["held"] for row in rows)
    p = binomtest(held, len(rows), 0.95).pvalue
    lines.append(f"\n{held} of {len(rows)} intervals hold it (exact binomial test of 95 %: p = {p:.2g}).")
    lines.append(f"Rule: at least {ASKED:.0%}: {'PASS' if passed(rows) else 'FAIL'}")
    return "\n".join(lines)


def passed(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether enough intervals hold the hidden value."""
    return sum(row["held"] for row in rows) >= ASKED * len(rows)


class Study:
    """Family k of a study; what workers are sent."""

    def __init__(self, seed: int, walkers: bool, conditions: int) -> None:
        self.seed, self.walkers, self.conditions = seed, walkers, conditions

    def __call__(self, k: int) -> dict[str, Any]:
        if self.conditions > 1:
            return together(k, self.seed, self.conditions)
        return family(k, self.seed, walkers=self.walkers)


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="number of families")
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--data", choices=("posterior", "walkers"), default="posterior")
    parser.add_argument("--conditions", type=int, default=1, help="concentrations with one hidden value")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args(argv)
    store = options.store or Path(f"build/calibration_coverage_{options.data}_{options.conditions}.jsonl")
    head = {"seed": options.seed, "data": options.data, "version": 1}
    if options.conditions > 1:
        head["conditions"] = options.conditions
    study = Study(options.seed, options.data == "walkers", options.conditions)
    rows = resumed(store, head, study, options.n, workers=options.workers)
    print(table(rows))
    return 0 if passed(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
