"""Do the 95 % intervals of `mdcoeffs.onsager.mixture.estimate_species` hold the truth of synthetic mixtures?

    python benchmarks/onsager_mixture.py --n 2000 --seed 20261216 --workers 1
    python benchmarks/onsager_mixture.py --n 2000 --seed 20261216 --workers 1 --flat

System k has three independent species beside its reference where k is even (a salt and a cosolvent), four where it is
odd (two salts of one cation and a cosolvent), plain diffusion or bounded motions on top of it, and one run or two
replicas. Its matrix is drawn at random: self terms over a decade, correlations of any sign. The random numbers of
system k are those of (seed, k), fixed before anything is run. With ``--flat`` no system has bounded motions, and the
estimator is told so by its window: then the intervals are exact in theory, and what is tested is all that surrounds
the estimate: frames, the species left out, derived quantities. Both sizes pass when the exact two-sided binomial test
rejects 95 % for no quantity at the 1 % level, Bonferroni over the quantities. Resumable: run the same command again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from studies import resumed

from cellsim.base import N_A, Array, InputError
from cellsim.electrolyte.mixture import SpeciesMatrix
from mdcoeffs.onsager.mixture import estimate_species
from mdcoeffs.synthetic.walkers import Onset, mixture_walk

ALPHA = 0.01
DT, T, VOLUME = 1e-11, 300.0, 78e-27
REFERENCE = "EC"
BOXES: dict[int, dict[str, tuple[Any, ...]]] = {
    3: dict(z=(1, -1, 0, 0), counts=(100, 100, 300, 400), masses=(7, 145, 104, 88), names=("Li", "PF6", "EMC", "EC")),
    4: dict(
        z=(1, -1, -1, 0, 0),
        counts=(100, 60, 40, 300, 400),
        masses=(7, 145, 280, 104, 88),
        names=("Li", "PF6", "TFSI", "EMC", "EC"),
    ),
}
"""Independent species -> the box; the last species is the reference."""


@dataclass(frozen=True)
class Scenario:
    """One cell of the study: size, onset, replicas."""

    size: int
    onset: bool
    replicas: int


SCENARIOS = tuple(Scenario(size, onset, replicas) for replicas in (1, 2) for onset in (False, True) for size in (3, 4))


def matrix(rng: np.random.Generator, n: int) -> Array:
    """A random Onsager matrix (n, n): correlations of a Wishart matrix of n + 2 draws, self terms over a decade."""
    rows = rng.standard_normal((n, n + 2))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    size = np.sqrt(1e-10 * 10 ** rng.uniform(-0.5, 0.5, n))
    return np.asarray(rows @ rows.T * np.outer(size, size))


def onset_of(rng: np.random.Generator, Omega: Array) -> tuple[Onset, ...]:
    """Bounded motions of every species: one time of 3 to 30 frames and a fifth of it, 0.5 to 8 times Omega."""
    slow = DT * float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
    own = float(np.exp(rng.uniform(np.log(0.5), np.log(8.0)))) * np.diag(np.diag(Omega))
    return Onset(slow, 0.6 * own), Onset(slow / 5, 0.4 * own)


def quantities(found: SpeciesMatrix, Omega: Array) -> dict[str, Array]:
    """What is judged of matrices (..., n + 1, n + 1): entries, kappa, transport numbers, drag, current fraction."""
    n = len(found.names) - 1
    derived = {
        name: value
        for name, value in found.quantities(Omega).items()
        if not name.startswith("friction") and name != f"drag_{REFERENCE}"
    }
    entries = {f"{found.names[i]}-{found.names[j]}": Omega[..., i, j] for i in range(n) for j in range(i, n)}
    return entries | derived


def run_one(k: int, seed: int, frames: int, flat: bool = False) -> dict[str, Any]:
    """Make and estimate system k: which intervals hold, which lie above the truth."""
    chosen = SCENARIOS[k % len(SCENARIOS)]
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    Omega, box = matrix(rng, chosen.size), BOXES[chosen.size]
    onset = onset_of(rng, Omega) if chosen.onset and not flat else ()
    walk: Any = partial(mixture_walk, Omega, frames=frames, dt=DT, seed=rng, volume=VOLUME, T=T, onset=onset, **box)
    runs = [walk() for _ in range(chosen.replicas)]
    began = time.perf_counter()
    try:
        estimate = estimate_species(runs, frame=REFERENCE, seed=k, window=(DT, frames * DT) if flat else None)
    except InputError as refusal:
        return {"k": k, "refused": str(refusal)}
    wall = time.perf_counter() - began
    found = estimate.matrix
    whole = np.zeros((chosen.size + 1,) * 2)
    whole[:-1, :-1] = Omega
    weights = np.eye(chosen.size + 1)[-1]
    c = np.array(box["counts"]) / (N_A * VOLUME)
    true = SpeciesMatrix(whole, box["names"], box["z"], c, T, REFERENCE, weights)
    assert found.samples is not None
    truth, draws = quantities(true, whole), quantities(found, found.samples)
    held, above, width = {}, {}, {}
    for name, value in truth.items():
        low, high = np.quantile(draws[name], [0.025, 0.975])
        held[name], above[name] = int(low <= value <= high), int(value < low)
        width[name] = float(high - low)
    relative = width["Li-Li"] / float(Omega[0, 0])
    return {"k": k, "held": held, "above": above, "width": relative, "n": estimate.found.n_origins, "s": wall}


def verdict(rows: Sequence[dict[str, Any]], size: int) -> tuple[dict[str, dict[str, float]], bool]:
    """For every quantity of one size: systems, coverage, share above, p; and whether the rule holds."""
    kept = [row for row in rows if "held" in row and SCENARIOS[row["k"] % len(SCENARIOS)].size == size]
    numbers = {}
    for name in kept[0]["held"]:
        held = sum(row["held"][name] for row in kept)
        p = float(binomtest(held, len(kept), 0.95).pvalue)
        above = float(np.mean([row["above"][name] for row in kept]))
        numbers[name] = {"n": len(kept), "coverage": held / len(kept), "above": above, "p": p}
    return numbers, all(one["p"] >= ALPHA / len(numbers) for one in numbers.values())


def table(rows: Sequence[dict[str, Any]], flat: bool = False) -> tuple[str, bool]:
    """Coverage of both sizes and, unless `flat`, of every kind of system (Markdown), and the verdict."""
    lines, good = [], True
    for size in BOXES:
        numbers, passed = verdict(rows, size)
        good &= passed
        some = next(iter(numbers.values()))["n"]
        lines += [f"\n{size} independent species, {some} systems", "", "| quantity | coverage | above | p |"]
        lines += ["|---|---|---|---|"]
        lines += [f"| {n} | {v['coverage']:.3f} | {v['above']:.3f} | {v['p']:.2g} |" for n, v in numbers.items()]
        lines.append(f"Rule: p >= {ALPHA / len(numbers):.2g} for every quantity: {'PASS' if passed else 'FAIL'}")
    refused = sum("refused" in row for row in rows)
    lines.append(f"\nRefused: {refused} of {len(rows)}.")
    if flat:
        return "\n".join(lines), good
    lines += ["", "| systems | n | kappa | least of all | width of Omega Li-Li over it (median) | s (median) |"]
    lines += ["|---|---|---|---|---|---|"]
    for place, scenario in enumerate(SCENARIOS):
        chosen = [row for row in rows if "held" in row and row["k"] % len(SCENARIOS) == place]
        if not chosen:
            continue
        rates = {name: np.mean([row["held"][name] for row in chosen]) for name in chosen[0]["held"]}
        words = f"{scenario.size}, {'onset' if scenario.onset else 'plain'}, x{scenario.replicas}"
        width, wall = (np.median([row[key] for row in chosen]) for key in ("width", "s"))
        rest = f"{rates['kappa']:.3f} | {min(rates.values()):.3f} | {width:.2f} | {wall:.1f} |"
        lines.append(f"| {words} | {len(chosen)} | {rest}")
    return "\n".join(lines), good


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the tables; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="systems, of both sizes together")
    parser.add_argument("--seed", type=int, default=20261216)
    parser.add_argument("--frames", type=int, default=2001, help="frames of each replica")
    parser.add_argument("--flat", action="store_true", help="diffusion alone, and the estimator told so")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args(argv)
    store = options.store or Path(f"build/onsager_mixture{'_flat' if options.flat else ''}.jsonl")
    head = {"seed": options.seed, "frames": options.frames, "version": 2} | ({"flat": True} if options.flat else {})
    study = partial(run_one, seed=options.seed, frames=options.frames, flat=options.flat)
    rows = resumed(store, head, study, options.n, workers=options.workers)
    text, good = table(rows, options.flat)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
