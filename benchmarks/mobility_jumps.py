"""Do the 95 % intervals of windows, of jumps that come together, of vibrations and of D hold the truth?

    python benchmarks/mobility_jumps.py --n 300 --seed 20261129

System k has the random stream (seed, k), fixed before anything is run. Windows: 8 to 24 cations that jump through
triangles which open by 0 or by 10 to 50 %. Jumps: cations on a ring whose jumps are Poisson processes, independent or
with a process that two neighbours share, 3 to 300 coincidences. Vibrations: 10 to 40 damped oscillators of 0.03 to
0.1 per frame. D: 10 to 50 walkers, from the mean square at 3 to 20 % of the run. Resumable.

Rules. For every quantity an exact two-sided binomial test of the coverage, at 1 % over all of them (Bonferroni);
independent jumps, and windows that do not open, are called coupled no more often than 1 % (exact one-sided test, at
1 %).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from studies import resumed

from mdcoeffs.frames.paths import CHUNK, ParticleStore
from mdcoeffs.mobility.bottleneck import Opening, areas, windows_of
from mdcoeffs.mobility.cooperative import Coincidences, cooperation
from mdcoeffs.mobility.paddlewheel import jumps, response, sample
from mdcoeffs.mobility.translation import displacements
from mdcoeffs.mobility.vibration import frequencies, peak_of, spectra
from mdcoeffs.statistics.lagged import Lagged, estimate
from mdcoeffs.synthetic.dynamics import fractional_walk
from mdcoeffs.synthetic.jumps import gates, oscillators, shared_jumps

ALPHA = 0.01
Row = dict[str, Any]


def store_of(paths: Any) -> ParticleStore:
    """Paths (particles, frames, 3) as a pass over snapshots leaves them."""
    particles, frames, _ = paths.shape
    store = ParticleStore(np.zeros((-(-frames // CHUNK), particles, CHUNK, 3)))
    for k in range(frames):
        store.put(k, paths[:, k])
    return store


def window(rng: np.random.Generator) -> Row:
    """Relative opening at the jump."""
    amount = float(rng.choice([0.0, rng.uniform(0.1, 0.5)]))
    frames, half, delays = int(rng.integers(900, 2500)), 5, np.arange(-30, 31)
    system = gates(cations=2 * int(rng.integers(4, 13)), frames=frames, rng=rng, opening=amount)
    events = jumps(system.cations, half=half, threshold=0.5)
    store = store_of(system.corners)
    found = windows_of(events, store.at(events.frame), None, cutoff=3.0)
    sampled = sample(events, found.of_event[:, None], areas(found, store, frames), delays, half=half, rng=rng)
    opened = Opening(response([sampled], delays, 1.0, half=half), events.count, len(found.corners))
    truth = amount * (1 - system.open) / (1 + amount * system.open)
    low, high = opened.relative.interval()
    return {"open": amount > 0, "opening": int(low <= truth <= high), "coupled": int(opened.response.coupled)}


def ring(rng: np.random.Generator, ions: int, frames: int, rate: float, shared: float) -> Coincidences:
    """Poisson jumps on a ring; every pair of neighbours has a process that both follow, at most two frames apart."""
    made = shared_jumps(rate, shared, particles=ions, frames=frames, rng=rng)
    return Coincidences(*made, ions, 0, frames)


def together(rng: np.random.Generator) -> Row:
    """Ratio of coincidences to chance."""
    ions, frames, half = int(rng.integers(8, 24)), int(rng.integers(3000, 9000)), int(rng.integers(3, 8))
    rate = float(rng.uniform(0.001, 0.005))
    shared = float(rng.choice([0.0, rate * rng.uniform(0.02, 0.3)]))
    run = ring(rng, ions, frames, rate, shared)
    found = cooperation([run], window=half, rng=rng)
    assert found is not None
    _, low, high = found.ratio
    truth = 1 + shared / (rate**2 * (2 * half + 1))
    row = {"shared": shared > 0, "ratio": int(low <= truth <= high), "cooperative": int(found.together)}
    return row | {"coincidences": found.coincidences}


def vibrating(rng: np.random.Generator) -> Row:
    """Frequency of a peak that is resolved, and the power at it."""
    size, f_0 = int(rng.choice([64, 128, 256])), rng.uniform(0.03, 0.1)
    damping = rng.uniform(2, 5) * 2 * np.pi / size
    particles, frames = int(rng.integers(10, 41)), int(rng.integers(6, 31)) * size // 2 + 1
    x = oscillators(particles=particles, frames=frames, frequency=f_0, damping=damping, rng=rng)
    group = np.arange(particles)
    found = Lagged(frequencies(size, 1.0), *spectra(x, 1.0, size, group, particles))
    peak = peak_of(found)
    low, high = peak.interval()
    return {"given": int(np.isfinite(peak.value)), "peak": int(low <= f_0 <= high)}


def diffusing(rng: np.random.Generator) -> Row:
    """D of walkers, <dr^2>/6t at one lag; each axis has <dx^2> = t, so that it is 1/2."""
    frames = int(rng.integers(400, 1500))
    last = int(frames * rng.uniform(0.03, 0.2))
    paths = fractional_walk(1.0, particles=int(rng.integers(10, 50)), frames=frames, rng=rng)
    found = displacements(paths, 1.0, np.array([last]), longest=last)
    low, high = estimate(float(found.mean[0]) / 6 / last, [found.influence([1 / 6 / last])]).interval()
    return {"D": int(low <= 0.5 <= high)}


def system(k: int, seed: int) -> Row:
    """System k of all four kinds."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    return {"k": k} | window(rng) | together(rng) | vibrating(rng) | diffusing(rng)


def report(rows: list[Row]) -> bool:
    """Print coverages; True where the rules hold."""
    given = [row for row in rows if row["given"]]
    few, many = ([r for r in rows if (r["coincidences"] < 20) == small] for small in (True, False))
    held = {
        "opening": [row["opening"] for row in rows],
        "ratio, under 20 coincidences": [row["ratio"] for row in few],
        "ratio, from 20 on": [row["ratio"] for row in many],
        "peak": [row["peak"] for row in given],
        "D": [row["D"] for row in rows],
    }
    ok = True
    for name, each in held.items():
        p = binomtest(sum(each), len(each), 0.95).pvalue
        ok &= p > ALPHA / len(held)
        print(f"{name}: {sum(each)} of {len(each)} = {sum(each) / len(each):.3f}, p = {p:.2g}")
    for name, flag in (("coupled", "open"), ("cooperative", "shared")):
        none, some = ([row[name] for row in rows if row[flag] == there] for there in (False, True))
        p = binomtest(sum(none), len(none), 0.01, "greater").pvalue
        ok &= p > ALPHA
        print(f"{name}: {sum(none)} of {len(none)} without (p = {p:.2g}), {sum(some)} of {len(some)} with")
    print(f"peaks given in {len(given)} of {len(rows)}")
    return ok


class Study:
    """System k of the study; what workers are sent."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, k: int) -> Row:
        return system(k, self.seed)


def main() -> int:
    """Run or resume the study, print the table; exit code 0 when the rules hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="number of systems")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--store", type=Path, default=Path("build/mobility_jumps.jsonl"))
    options = parser.parse_args()
    rows = resumed(
        options.store, {"seed": options.seed, "version": 3}, Study(options.seed), options.n, workers=options.workers
    )
    return 0 if report(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
