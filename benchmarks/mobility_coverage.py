"""Do the 95 % intervals of a mobility analysis hold the truth in 95 % of synthetic systems?

    python benchmarks/mobility_coverage.py --n 660 --seed 20261121

System k has the random stream (seed, k), fixed before anything is run. Walkers: a cage of alpha = 0 (trapped), 0.5
(fractional Brownian motion) or 1, cations of alpha = 1, 8 to 60 of each, 400 to 1500 frames, a window of one decade or
less that ends at 5 to 20 % of the run. Rotors: 8 to 60 axes, D_r from 0.002 to 0.02 rad^2 per frame, at least 15
relaxation times long. Paddle-wheel: 12 to 24 cations whose jumps turn the nearest rotor after -15 to 15 frames, or do
not. Resumable: every finished system is a line of the store.

Rules. For every quantity an exact two-sided binomial test of the coverage, at 1 % over all of them (Bonferroni), and
the mean of (estimate - truth) / error within 0.25. For jumps that know nothing of the rotors: called coupled no more
often than 1 % (exact one-sided test, at 1 %); for jumps that turn them: found in at least 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from mdcoeffs.mobility.paddlewheel import jumps, nearest, reorientation, response, sample
from mdcoeffs.mobility.rotation import autocorrelation, relaxation, unwrapped_angles
from mdcoeffs.mobility.translation import displacements, exponent, lags_for, order_parameter
from mdcoeffs.statistics.lagged import LaggedEstimate, spread
from mdcoeffs.synthetic.dynamics import fractional_walk, rotors, trapped_walk
from mdcoeffs.synthetic.jumps import paddlewheel

ALPHA, BIAS = 0.01, 0.25
CAGES = (0.0, 0.5, 1.0)

Row = dict[str, Any]


def held(found: LaggedEstimate, truth: float) -> list[float]:
    """[1 if the interval holds the truth, deviation in standard errors]."""
    low, high = found.interval()
    return [float(low <= truth <= high), (found.value - truth) / found.error]


def translation(rng: np.random.Generator, alpha: float) -> Row:
    """Walkers: exponent of cage and cation, M."""
    frames = int(rng.integers(400, 1500))
    last = frames * rng.uniform(0.05, 0.2)
    window = (last * rng.uniform(0.1, 0.3), last)
    lags = lags_for(frames, 1.0, window)

    def law(walk: Any) -> Any:
        return exponent(displacements(walk, 1.0, lags, longest=int(last)), window)

    n = rng.integers(8, 60, size=2)
    cage = (
        fractional_walk(alpha, particles=int(n[0]), frames=frames, rng=rng)
        if alpha
        else trapped_walk(window[0] / 8, particles=int(n[0]), frames=frames, rng=rng)
    )
    plus = law(fractional_walk(1.0, particles=int(n[1]), frames=frames, rng=rng))
    cage = law(cage)
    return {
        f"alpha {alpha:g}": held(cage.alpha, alpha),
        "alpha_+": held(plus.alpha, 1.0),
        f"M {alpha:g}": held(order_parameter(cage, plus), alpha),
    }


def rotation(rng: np.random.Generator) -> Row:
    """Rotors: exponent and slope of the unwrapped angle, relaxation times."""
    D = float(np.exp(rng.uniform(np.log(0.002), np.log(0.02))))
    frames = int(rng.uniform(15, 40) / (2 * D))
    # Steps on the sphere this fine change 1 / tau by less than 0.1 %.
    axes = rotors(D, particles=int(rng.integers(8, 60)), frames=frames, rng=rng, fine=int(np.ceil(D / 0.0025)))
    last = frames * rng.uniform(0.05, 0.15)
    window = (last * 0.2, last)
    path, _ = unwrapped_angles(axes)
    msad = displacements(path, 1.0, lags_for(frames, 1.0, window), longest=int(last))
    k = msad.lag.size // 2
    weights = np.zeros(msad.lag.size)
    weights[k] = 1 / (4 * msad.lag[k] * D)
    slope = LaggedEstimate(float(weights @ msad.mean), *spread([msad.influence(weights)]), ())
    lags = lags_for(frames, 1.0, (1.0, 2.0 / D))
    found = {"alpha_theta": held(exponent(msad, window).alpha, 1.0), "slope 4 D_r": held(slope, 1.0)}
    for order, C in enumerate(autocorrelation(axes, 1.0, lags, longest=int(1 / D)), start=1):
        fit = relaxation(C, order)
        found[f"tau_{order}"] = held(fit.log_tau, float(np.log(1 / (order * (order + 1) * D))))
    return found


def cage(rng: np.random.Generator, turned: bool) -> Row:
    """Paddle-wheel: is it found, and the delay."""
    delay = int(rng.integers(-15, 16)) if turned else None
    system = paddlewheel(cations=int(rng.integers(12, 25)), frames=int(rng.integers(1000, 2500)), rng=rng, delay=delay)
    half = 5
    events = jumps(system.cations, half=half, threshold=0.5)
    boxes = np.broadcast_to(np.eye(3) * system.edge, (events.count, 3, 3))
    near = nearest(events.before, system.centres[:, events.frame].transpose(1, 0, 2), boxes, count=1, cutoff=np.inf)
    delays = np.arange(-30, 31)
    theta = reorientation(system.axes, half=half)
    found = response([sample(events, near, [(0, theta)], delays, half=half, rng=rng)], delays, 1.0, half=half)
    assert found is not None
    if delay is None:
        return {"false": [float(found.coupled), found.chance]}
    return {"found": [float(found.coupled), 0.0], **({"lead": held(found.lead, delay)} if found.coupled else {})}


def run_one(k: int, seed: int) -> Row:
    """Make and analyse system k."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    return {"k": k, **translation(rng, CAGES[k % 3]), **rotation(rng), **cage(rng, bool(k % 2))}


def verdict(rows: Sequence[Row]) -> tuple[dict[str, dict[str, float]], bool]:
    """Numbers per quantity, and whether all rules are met."""
    names = sorted({name for row in rows for name in row if name not in ("k", "false", "found")})
    numbers, good = {}, True
    for name in names:
        pairs = np.array([row[name] for row in rows if name in row])
        n, hits = len(pairs), int(pairs[:, 0].sum())
        p = float(binomtest(hits, n, 0.95).pvalue)
        numbers[name] = {
            "n": n,
            "coverage": hits / n,
            "p": p,
            "bias": float(pairs[:, 1].mean()),
            "sd": float(pairs[:, 1].std()),
        }
        good &= p >= ALPHA / len(names) and abs(numbers[name]["bias"]) < BIAS + 3 / np.sqrt(n)
    false = [row["false"][0] for row in rows if "false" in row]
    if false:
        p = float(binomtest(int(sum(false)), len(false), 0.01, alternative="greater").pvalue)
        numbers["false"] = {"n": len(false), "rate": float(np.mean(false)), "p": p}
        good &= p >= ALPHA
    found = [row["found"][0] for row in rows if "found" in row]
    if found:
        numbers["found"] = {"n": len(found), "rate": float(np.mean(found))}
        good &= float(np.mean(found)) >= 0.95
    return numbers, bool(good)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=660)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--store", type=Path, default=None, help="JSON lines; taken up where it is there")
    chosen = parser.parse_args(arguments)
    store = chosen.store or Path(f"mobility_coverage_{chosen.seed}.jsonl")
    rows = [json.loads(line) for line in store.read_text().splitlines()] if store.is_file() else []
    rows = [row for row in rows if row["k"] < chosen.n]
    missing = sorted(set(range(chosen.n)) - {row["k"] for row in rows})
    start = time.monotonic()
    with Pool(chosen.jobs) as pool, store.open("a") as stream:
        for row in pool.imap_unordered(partial(run_one, seed=chosen.seed), missing):
            rows.append(row)
            stream.write(json.dumps(row) + "\n")
            stream.flush()
    numbers, good = verdict(rows)
    for name, one in numbers.items():
        print(f"{name:<14}" + "  ".join(f"{key} {value:.3g}" for key, value in one.items()))
    print(f"{'all rules met' if good else 'RULES BROKEN'}; {time.monotonic() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
