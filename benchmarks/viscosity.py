"""Do the 95 % intervals of `mdcoeffs.onsager.viscosity` hold the viscosity of liquids whose stress is known exactly?

    python benchmarks/viscosity.py --n 1000 --seed 20261130 --workers 1

The stress is Gaussian with a stated autocorrelation, made exactly, and the viscosity is the integral of that. System k
is of kind k mod 5: one exponential; two, whose times lie a factor of 3 to 30 apart and of which the slow one has 10 to
90 % of the viscosity; a fast one and a stretched exponential (exponent 0.4 to 0.9); a damped oscillation and a slower
exponential; three exponentials over two decades. One run or four, together 30 to 2000 slowest times long (the mean time
of a stretched one), with five components of the stress. The estimator is told none of this. The random numbers of
system k are those of (seed, k), fixed before anything is run. A kind passes when the exact two-sided binomial test does
not reject 95 % at the 1 % level, Bonferroni over kinds. Resumable: run the same command again.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from studies import resumed

from cellsim.base import Array, InputError, k_B
from mdcoeffs.onsager.viscosity import StressSeries, estimate_viscosity
from mdcoeffs.synthetic.dynamics import stationary

KINDS = ("one", "two", "stretched", "oscillating", "three")
ALPHA = 0.01
T, VOLUME, FAST, VARIANCE = 300.0, 30e-27, 1e-13, 1e15
MOST = 60_000
"""Rows of a run: a longer one is cut."""


def covariance(kind: str, rng: np.random.Generator) -> tuple[Callable[[Array], Array], float, float]:
    """Autocorrelation at times in units of the fast one, its integral, and its slowest time."""
    terms: list[tuple[float, float, float]] = [(1.0, 1.0, 1.0)]  # weight, time, exponent
    if kind == "two":
        slow, share = float(np.exp(rng.uniform(math.log(3), math.log(30)))), float(rng.uniform(0.1, 0.9))
        terms = [(1 - share, 1.0, 1.0), (share / slow, slow, 1.0)]
    elif kind == "stretched":
        terms.append((float(rng.uniform(0.1, 0.7)), float(rng.uniform(2, 6)), float(rng.uniform(0.4, 0.9))))
    elif kind == "oscillating":
        terms = [(float(rng.uniform(0.2, 0.6)), float(rng.uniform(1, 6)), 1.0)]
    elif kind == "three":
        times = np.exp(np.sort(rng.uniform(math.log(1), math.log(100), 3)))
        terms = [(float(w) / float(t), float(t), 1.0) for w, t in zip(rng.uniform(0.1, 1, 3), times, strict=True)]
    oscillation = kind == "oscillating"

    def C(t: Array) -> Array:
        total = sum(a * np.exp(-((t / tau) ** beta)) for a, tau, beta in terms)
        return np.asarray(total + (np.exp(-t) * np.cos(2 * t) if oscillation else 0.0))

    means = [tau * math.gamma(1 + 1 / beta) for _, tau, beta in terms]
    # the integral of exp(-t) cos(2 t) is 1/(1 + 4)
    whole = sum(a * mean for (a, _, _), mean in zip(terms, means, strict=True)) + (0.2 if oscillation else 0.0)
    return C, whole, max(means)


def system(k: int, seed: int) -> tuple[str, list[StressSeries], float, float]:
    """Kind, runs, viscosity [Pa s] and length of all runs in slowest times."""
    rng = np.random.default_rng([seed, k])
    kind = KINDS[k % len(KINDS)]
    C, whole, slow = covariance(kind, rng)
    length, runs = float(np.exp(rng.uniform(math.log(30), math.log(3000)))), 1 if rng.random() < 0.5 else 4
    fine = 1 / rng.uniform(3, 6)  # a row, in fast times
    rows = min(int(length * slow / fine / runs), MOST)
    t = fine * np.arange(rows + 1)
    stress = math.sqrt(VARIANCE) * stationary(C(t), (runs, 5), rng)
    series = [StressSeries(FAST * t[:-1], each, f"run {k}") for each in stress]
    eta = VOLUME / (k_B * T) * VARIANCE * whole * FAST
    return kind, series, eta, runs * rows * fine / slow


def run_one(k: int, seed: int) -> dict[str, Any]:
    """One system: whether the interval holds, which side it misses, its ends over the truth."""
    try:
        kind, series, eta, length = system(k, seed)
    except InputError as error:
        return {"k": k, "kind": KINDS[k % len(KINDS)], "refused": str(error)}
    row = {"k": k, "kind": kind, "length": round(length, 1), "runs": len(series)}
    began = time.process_time()
    try:
        found = estimate_viscosity(series, T=T, volume=VOLUME, seed=k, n_samples=2000)
    except InputError as error:
        return row | {"refused": str(error)}
    low, high = (end / eta for end in found.interval())
    return row | {
        "low": round(low, 4),
        "value": round(found.value / eta, 4),
        "high": round(high, 4),
        "steps": found.steps,
        "warned": len(found.warnings),
        "s": round(time.process_time() - began, 3),
    }


def verdict(rows: Sequence[dict[str, Any]]) -> tuple[list[str], bool]:
    """Lines by kind and by length, and whether all kinds pass."""
    done, good = [row for row in rows if "refused" not in row], True
    groups = [(kind, [row for row in done if row["kind"] == kind]) for kind in KINDS]
    edges = (0, 100, 200, 500, 1e4)
    groups += [
        (f"{a:.0f} to {b:.0f} times", [row for row in done if a <= row["length"] < b]) for a, b in pairwise(edges)
    ]
    groups += [("all", done)]
    lines = ["| stress | n | held | p | too low | ratio of the ends | warned | s |", "|" + "---|" * 8]
    for name, some in groups:
        held = sum(row["low"] <= 1 <= row["high"] for row in some)
        if not some:
            lines.append(f"| {name} | 0 |")
            continue
        p = float(binomtest(held, len(some), 0.95).pvalue)
        good = good and not (name in KINDS and p < ALPHA / len(KINDS))
        cells = (
            f"{held / len(some):.3f}",
            f"{p:.2g}",
            f"{np.mean([row['high'] < 1 for row in some]):.3f}",
            f"{np.median([row['high'] / row['low'] for row in some]):.2f}",
            f"{np.mean([row['warned'] > 0 for row in some]):.2f}",
            f"{np.median([row['s'] for row in some]):.2f}",
        )
        lines.append(f"| {name} | {len(some)} | " + " | ".join(cells) + " |")
    return [*lines, f"refused {len(rows) - len(done)} of {len(rows)}"], good


def main() -> None:
    """The study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    store = options.store or Path(f"runs/viscosity-{options.seed}.jsonl")
    head = {"seed": options.seed, "kinds": list(KINDS)}
    rows = resumed(store, head, partial(run_one, seed=options.seed), options.n, workers=options.workers)
    lines, good = verdict(rows)
    print("\n".join([*lines, "pass" if good else "FAIL"]))


if __name__ == "__main__":
    main()
