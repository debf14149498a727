"""Do barriers, free energies and rates of `mdcoeffs interface` hold the truth as often as they say?

    python benchmarks/interface_double_well.py --n 240 --seed 20261121

Walkers hop on a lattice in a double well; stationary density and rates are known exactly, by linear algebra, also for
frames that are stored only now and then. System k has its own well and the random stream (seed, k), fixed before
anything is run; resumable: every finished system is a line of the store. Long runs (8 mean residence times of 20
walkers) give the barrier, the curvature of the well, the difference of the two wells and both rates; short runs (about
as many crossings as Kozdra 2025 counted, 7) give rates only. A quantity passes when the exact two-sided binomial test
does not reject 95 % at the 1 % level, Bonferroni over the seven quantities.

    python benchmarks/interface_double_well.py --few --n 150 --seed 41

has higher barriers and half as long runs, so that about nine counts lie in a bin of the top.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from mdcoeffs.interface.free_energy import barrier_between, free_energy_profile
from mdcoeffs.interface.rates import CountEstimate, jump_rate
from mdcoeffs.interface.settings import Region
from mdcoeffs.interface.sums import RegionCounts
from mdcoeffs.statistics.blocks import BlockSums

Array = NDArray[np.float64]

QUANTITIES = ("barrier", "k", "difference", "entry", "exit", "entry_few", "exit_few")
LEVEL, ALPHA = 0.95, 0.01
SITES, HALF = 81, 1.5
T = 600.0
WALKERS, FRAMES = 20, 2000
MARGIN, BOX = 0.6, 20.0
HOP = 0.4
"""Probability of a hop downhill, either way, per step."""
X = np.linspace(-HALF, HALF, SITES)
WELL, TOP = np.abs(X + 1.0) < 0.35, np.abs(X) < 0.3
ZERO, OTHER = int(np.argmin(np.abs(X + 1.0))), int(np.argmin(np.abs(X - 1.0)))


@dataclass(frozen=True, eq=False)
class Well:
    """A double well: energies of the sites over kT, stationary density, transition matrix of one step."""

    U: Array
    density: Array
    step: Array


def make_well(height: float, tilt: float) -> Well:
    """U = height (x^2 - 1)^2 + tilt x, over kT."""
    U = height * (X**2 - 1.0) ** 2 + tilt * X
    step = np.zeros((SITES, SITES))
    for i in range(SITES):
        for j in (i - 1, i + 1):
            if 0 <= j < SITES:
                step[i, j] = HOP * min(1.0, np.exp(U[i] - U[j]))
        step[i, i] = 1.0 - step[i].sum()
    density = np.exp(-U)
    return Well(U, density / density.sum(), step)


def true_rates(well: Well, every: int) -> tuple[float, float]:
    """Crossings from core to core per stored frame, per walker on the left and on the right of x = 0; exact.

    Transition-path theory of the chain of stored frames: flux = sum over A of pi_i P_ij q_j, q the committor.
    """
    P = np.linalg.matrix_power(well.step, every)
    a, b = X < -MARGIN, X > MARGIN
    middle = ~(a | b)
    q = b.astype(float)
    q[middle] = np.linalg.solve(np.eye(middle.sum()) - P[np.ix_(middle, middle)], P[np.ix_(middle, b)].sum(axis=1))
    flux = float(well.density[a] @ P[a] @ q)
    # The site at x = 0 belongs to the region on the right, as in `inside`.
    left = float(well.density[X < -1e-9].sum())
    return flux / left, flux / (1.0 - left)


def residence(well: Well) -> float:
    """Mean residence time in a well, in steps; the mean of both."""
    return float(np.mean([1.0 / rate for rate in true_rates(well, 1)]))


@numba.njit(cache=True)
def walk(start, up, down, frames, every, seed):  # type: ignore[no-untyped-def]
    """Sites of all walkers at the stored frames, (frames, walkers)."""
    np.random.seed(seed)  # noqa: NPY002 (numba's own generator)
    found = np.empty((frames, start.size), dtype=np.int64)
    for w in range(start.size):
        i = start[w]
        for t in range(frames):
            found[t, w] = i
            for _ in range(every):
                r = np.random.random()  # noqa: NPY002
                if r < up[i]:
                    i += 1
                elif r < up[i] + down[i]:
                    i -= 1
    return found


def simulate(well: Well, frames: int, every: int, seed: int) -> NDArray[np.int64]:
    """A run that starts in equilibrium."""
    rng = np.random.default_rng(seed)
    up = np.append(np.diag(well.step, 1), 0.0)
    down = np.insert(np.diag(well.step, -1), 0, 0.0)
    start = rng.choice(SITES, WALKERS, p=well.density)
    return np.asarray(walk(start, up, down, frames, every, int(rng.integers(2**31))))


def rates_of(sites: NDArray[np.int64]) -> tuple[CountEstimate, CountEstimate]:
    """Entry and exit rate of the right well, per frame, through `RegionCounts`."""
    counts = RegionCounts(Region("right", "walkers", ((0.0, 4.0),), MARGIN), WALKERS, len(sites))
    x = X[sites]
    for t, here in enumerate(x):
        counts.add(here, BOX, t, True)
    entered, left = counts.crossings.sum(axis=1)
    inside = float(counts.population.mean())
    time = len(sites) - 1
    return jump_rate(int(entered), (WALKERS - inside) * time), jump_rate(int(left), inside * time)


def run_one(k: int, seed: int, counts: bool = False) -> dict[str, Any]:
    """Simulate and analyse system k, of few counts or not; which intervals hold, and how wide they are."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    well = make_well(float(rng.uniform(*((5.0, 6.5) if counts else (3.5, 5.0)))), float(rng.uniform(-0.4, 0.4)))
    one = residence(well)
    every, few = max(1, round((4.0 if counts else 8.0) * one / FRAMES)), max(1, round(0.35 * one / FRAMES))
    sites = simulate(well, FRAMES, every, int(rng.integers(2**31)))
    blocks = BlockSums(SITES)
    for here in sites:
        blocks.add(np.bincount(here, minlength=SITES))
    sums, frames = [blocks.sums], [blocks.lengths]
    numbers = barrier_between(sums, frames, T, X, WELL, TOP)
    exact = [np.stack([well.density] * 2)]
    truth_numbers = barrier_between(exact, [np.ones(2)], T, X, WELL, TOP).value
    profile = free_energy_profile(sums, frames, T, ZERO)[OTHER]
    truth = [truth_numbers[0], truth_numbers[1], T * (well.U[OTHER] - well.U[ZERO]), *true_rates(well, every)]
    found = [tuple(numbers[0].interval()), tuple(numbers[1].interval()), tuple(profile.interval())]
    found += [(rate.low, rate.high) for rate in rates_of(sites)]
    short = rates_of(simulate(well, FRAMES, few, int(rng.integers(2**31))))
    truth += list(true_rates(well, few))
    found += [(rate.low, rate.high) for rate in short]
    held = [int(low <= value <= high) for (low, high), value in zip(found, truth, strict=True)]
    width = [float((high - low) / abs(value)) for (low, high), value in zip(found, truth, strict=True)]
    error = [float(numbers.value[0] / truth[0] - 1), float(np.mean(found[3]) / truth[3] - 1)]
    settled = [bool(numbers.settled[0]), bool(numbers.settled[1]), bool(profile.settled)]
    row = {"k": k, "held": held, "width": width, "error": error, "settled": settled}
    found = abs(numbers.value[2] + 1.0) < 0.35 and abs(numbers.value[3]) < 0.3
    return row | {"found": bool(found), "off": float(numbers.value[0] - truth[0])}


def p_value(held: Sequence[int]) -> float:
    """Exact two-sided binomial test of the coverage."""
    return float(binomtest(int(np.sum(held)), len(held), LEVEL).pvalue)


def table(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """Coverage table (Markdown) and the verdict."""
    held = np.array([row["held"] for row in rows])
    width = np.median([row["width"] for row in rows], axis=0)
    p = [p_value(column) for column in held.T]
    passed = min(p) >= ALPHA / len(QUANTITIES)
    lines = ["| quantity | coverage | p | width / value (median) |", "|---|---|---|---|"]
    for name, column, chance, wide in zip(QUANTITIES, held.T, p, width, strict=True):
        lines.append(f"| {name} | {column.mean():.3f} | {chance:.4f} | {wide:.3g} |")
    error = np.mean([row["error"] for row in rows], axis=0)
    off = np.array([row["off"] for row in rows if row["found"]])
    lines += [
        "",
        f"{len(rows)} systems; mean relative error of the barrier {error[0]:.1e}, of the entry rate {error[1]:.1e}.",
        f"{off.size} barriers with both vertices in their ranges: mean error {off.mean():.0f} +- "
        f"{off.std() / np.sqrt(off.size):.0f} K.",
        f"Rule: smallest p >= {ALPHA / len(QUANTITIES):.5f} (exact binomial, 1 %, Bonferroni over "
        f"{len(QUANTITIES)}): " + ("PASS" if passed else "FAIL"),
    ]
    return "\n".join(lines), passed


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=240, help="number of systems")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--few", action="store_true", help="few counts on the top")
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args(argv)
    options.store = options.store or Path(f"build/interface_double_well{'_few' * options.few}.jsonl")
    head = {"seed": options.seed, "version": 3} | ({"few": True} if options.few else {})
    options.store.parent.mkdir(parents=True, exist_ok=True)
    lines = options.store.read_text().splitlines() if options.store.exists() else [json.dumps(head)]
    if json.loads(lines[0]) != head:
        raise SystemExit(f"{options.store} belongs to other settings ({lines[0]}); choose another --store")
    if lines[-1:] and not lines[-1].endswith("}"):
        lines = lines[:-1]  # killed while writing
    options.store.write_text("\n".join(lines) + "\n")
    done = {row["k"]: row for row in map(json.loads, lines[1:])}
    with options.store.open("a") as out:
        for k in range(options.n):
            if k not in done:
                done[k] = run_one(k, options.seed, options.few)
                out.write(json.dumps(done[k]) + "\n")
                out.flush()
                if sys.stderr.isatty():
                    print(f"\r{k + 1}/{options.n}", end="", file=sys.stderr)
    text, passed = table([done[k] for k in range(options.n)])
    print(text)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
