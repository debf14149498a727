"""Do the 95 % bands of kappa and t+ over the lag hold the truth, lag by lag?

    python benchmarks/running_coverage.py --n 400 --seed 20261130 --workers 1

System k is a binary salt whose ions diffuse with a random matrix and each make a bounded motion beside it, whose time
and strengths are drawn too. Over a lag t the mobility is exactly Omega + B (1 - exp(-t/tau)) tau/t, and kappa and t+
follow. The band is `mdcoeffs.onsager.running.band`, at five lags from one frame to a quarter of the run. The random
numbers of system k are those of (seed, k), fixed before anything is run. The bands pass when the exact two-sided
binomial test rejects 95 % at none of the lags at the 1 % level, Bonferroni over the lags and both quantities.
Resumable: run the same command again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onsager_mixture import ALPHA, matrix
from scipy.stats import binomtest
from studies import resumed

from cellsim.base import Array, InputError
from cellsim.electrolyte.relations import band, conductivity
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.running import running
from mdcoeffs.synthetic.walkers import Onset, walk

DT = 1e-11
LAGS = (1, 5, 25, 125, 500)
"""In frames."""
Z = np.array([1.0, -1.0])


def system(k: int, seed: int) -> tuple[np.random.Generator, Array, Onset]:
    """Random numbers, matrix and bounded motion of system k: 3 to 30 frames, 0.5 to 8 times each self term."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    Omega = matrix(rng, 2)
    time = DT * float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
    strength = np.exp(rng.uniform(np.log(0.5), np.log(8.0), 2))
    return rng, Omega, Onset(time, np.diag(strength * np.diag(Omega)))


def truth(Omega: Array, onset: Onset, steps: Array) -> tuple[Array, Array]:
    """Exact kappa [S/m] and t+ over lags of so many steps."""
    t = steps * DT
    M = Omega + onset.Omega * ((1 - np.exp(-t / onset.time)) * onset.time / t)[:, None, None]
    flow = M @ Z
    return conductivity(M, Z), flow[:, 0] / (flow @ Z)


def run_one(k: int, seed: int, frames: int) -> dict[str, Any]:
    """Which bands of system k hold the truth, and which lie above it."""
    rng, Omega, onset = system(k, seed)
    try:
        estimate = estimate_onsager(walk(Omega, frames=frames, dt=DT, seed=rng, onset=onset), seed=k)
    except InputError as refusal:
        return {"k": k, "refused": str(refusal)}
    assert estimate.spectrum is not None
    steps = np.array(LAGS)
    over = running(estimate.spectrum, DT, steps, Z)
    row: dict[str, Any] = {"k": k, "warned": sorted(doubt.name for doubt in estimate.warnings)}
    for name, draws, value in zip(
        ("kappa", "t"), (over.kappa, over.t[..., 0]), truth(Omega, onset, steps), strict=True
    ):
        low, _, high = band(draws)
        row[name] = {"held": ((low <= value) & (value <= high)).tolist(), "above": (value < low).tolist()}
    return row


def table(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """Coverage at every lag (Markdown), and the verdict."""
    kept, tests = [row for row in rows if "kappa" in row], 2 * len(LAGS)
    lines = [
        f"{len(kept)} systems, {len(rows) - len(kept)} refused",
        "",
        "| quantity | lag (frames) | held | above | p |",
    ]
    lines, good = [*lines, "|---|---|---|---|---|"], True
    for name in ("kappa", "t"):
        for j, lag in enumerate(LAGS):
            held = sum(row[name]["held"][j] for row in kept)
            above = sum(row[name]["above"][j] for row in kept)
            p = float(binomtest(held, len(kept), 0.95).pvalue)
            good &= p >= ALPHA / tests
            lines.append(f"| {name} | {lag} | {held / len(kept):.3f} | {above / len(kept):.3f} | {p:.2g} |")
    return "\n".join([*lines, f"Rule: p >= {ALPHA / tests:.2g} at every lag: {'PASS' if good else 'FAIL'}"]), good


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400, help="systems")
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--frames", type=int, default=2001)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--store", type=Path, default=Path("build/running_coverage.jsonl"))
    options = parser.parse_args(argv)
    head = {"seed": options.seed, "frames": options.frames, "version": 2}
    study = partial(run_one, seed=options.seed, frames=options.frames)
    text, good = table(resumed(options.store, head, study, options.n, workers=options.workers))
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
