"""Do the 95 % intervals of `cellsim.instruments.xpcs.fit.fit_velocity` hold the speed in 95 % of synthetic series?

    python benchmarks/xpcs_coverage.py --n 1200 --seed 20261207

Resumable: every finished series is a line of the store; run the same command again to go on. Series k has the random
stream (seed, k), fixed before anything is run: 18 azimuths x 9 q (or fewer), moving fraction 0.1-0.9, stretch 0.5-1.5,
relaxation times from one tenth to ten times the longest delay, speeds from 0 through the resolvable limit to the
fastest that the delays follow, noise from a photon count. The limit is computed from the true shape, not the data.

Rules. Above the limit: exact two-sided binomial test of the coverage at 1 %, and the mean of (v_fit - v)/error within
0.2. Below it: the upper limit holds in at least 95 % (one-sided exact test at 1 % does not reject that).
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
from numpy.typing import NDArray
from scipy.stats import binomtest
from studies import resumed

from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, geometry, heterodyne_g2, photon_error
from cellsim.instruments.xpcs.fit import fit_velocity
from cellsim.instruments.xpcs.window import Window, usable_window

LEVEL, ALPHA, BIAS = 0.95, 0.01, 0.2
DESIGNS = ((18, 9), (18, 9), (18, 9), (12, 6), (6, 3))
"""Azimuths and rings of series k: number k mod 5."""


@dataclass(frozen=True)
class Series:
    """A synthetic series and what is true of it."""

    data: CorrelationSet
    v: float
    window: Window
    h: float
    stretch: float
    shape: dict[str, NDArray[np.float64]]


def make(k: int, seed: int) -> Series:
    """Series k: everything from the random stream (seed, k)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    azimuths, rings = DESIGNS[k % len(DESIGNS)]
    ring_q = np.linspace(0.0025, 0.0105, 9)[:rings] * 1e10
    turn = rng.uniform(0, 2 * np.pi / azimuths) if rng.random() < 0.5 else 0.0
    q, azimuth = geometry(ring_q, turn + 2 * np.pi * np.arange(azimuths) / azimuths)
    frames = 1000
    tau = np.unique(np.round(np.geomspace(1, 300, 42)))
    ring = np.repeat(np.arange(rings), azimuths)
    h = np.clip(rng.uniform(0.1, 0.9) + rng.normal(0, 0.02, rings), 0.1, 0.9)
    stretch = np.clip(rng.uniform(0.5, 1.5) + rng.normal(0, 0.05, rings), 0.5, 1.5)
    slowest = 300 * np.exp(rng.uniform(np.log(0.1), np.log(10.0)))
    tau0 = slowest * (ring_q[0] / ring_q) ** rng.uniform(0.5, 2.0)
    contrast = rng.uniform(0.05, 0.3) * (1 + rng.normal(0, 0.03, rings))
    shape = {"contrast": contrast[ring], "h": h[ring], "tau0": tau0[ring], "stretch": stretch[ring]}
    counts = np.exp(rng.uniform(np.log(0.005), np.log(0.05)))
    pixels = rng.integers(1000, 6000) * (q / q[0])
    at_rest = heterodyne_g2(q, azimuth, tau, v=0.0, **shape)
    error = np.array([
        photon_error(row, tau, frame_time=1.0, frames=frames, pixels=float(n), counts=counts)
        for row, n in zip(at_rest, pixels, strict=True)
    ])  # fmt: skip
    clean = CorrelationSet(q, azimuth, tau, at_rest, error)
    window = usable_window(clean, **shape, points=16)  # type: ignore[arg-type]
    top = 0.5 * window.high if np.isfinite(window.low) else 0.01 * window.high
    low = min(window.low, top)
    draw = rng.random()
    if draw < 0.3 or not np.isfinite(window.low) or window.low >= top:
        v = low * max(0.0, rng.uniform(-0.15, 1.0))
    else:
        v = low * np.exp(rng.uniform(0, 1) * np.log(min(top / low, 60.0)))
    exact = CorrelationSet(q, azimuth, tau, heterodyne_g2(q, azimuth, tau, v=v, **shape), error)
    return Series(add_noise(exact, rng), float(v), window, float(np.mean(h)), float(np.mean(stretch)), shape)


def run_one(k: int, seed: int) -> dict[str, Any]:
    """Make and fit series k."""
    series = make(k, seed)
    began, used = time.perf_counter(), time.process_time()
    fit = fit_velocity(series.data)
    low, high = fit.interval
    return {
        "k": k, "above": series.window.contains(series.v), "v": series.v, "limit": series.window.low,
        "h": series.h, "stretch": series.stretch, "fit": fit.v, "error": fit.error, "low": low, "high": high,
        "fringe": fit.fringe,
        "resolved": fit.resolved, "ambiguous": fit.ambiguous, "ratio": fit.rest.ratio, "p": fit.rest.p_value,
        "bias": fit.bias, "chi2": fit.reduced_chi2, "curves": int(series.data.q.size),
        "s": time.perf_counter() - began, "cpu": time.process_time() - used,
    }  # fmt: skip


def held(row: dict[str, Any]) -> bool:
    """Whether the statement made holds the truth: the interval where v = 0 is excluded, else the upper limit."""
    return bool((row["low"] if row["resolved"] else 0.0) <= row["v"] <= row["high"])


def verdict(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, float], bool]:
    """The numbers that count, and whether all rules hold."""
    above = [row for row in rows if row["above"]]
    below = [row for row in rows if not row["above"]]
    inside = [row["low"] <= row["v"] <= row["high"] for row in above]
    under = [row["v"] <= row["high"] for row in below]
    pull = np.array([(row["fit"] - row["v"]) / row["error"] for row in above])
    numbers = {
        "above": len(above), "coverage": float(np.mean(inside)),
        "p": float(binomtest(int(np.sum(inside)), len(inside), LEVEL).pvalue),
        "bias": float(np.mean(pull)), "pull_sd": float(np.std(pull)),
        "missed_low": float(np.mean([row["v"] < row["low"] for row in above])),
        "missed_high": float(np.mean([row["v"] > row["high"] for row in above])),
        "below": len(below), "upper": float(np.mean(under)),
        "p_upper": float(binomtest(int(np.sum(under)), len(under), LEVEL, alternative="less").pvalue),
        "statement": float(np.mean([held(row) for row in rows])),
        "resolved_above": float(np.mean([row["resolved"] for row in above])),
        "resolved_below": float(np.mean([row["resolved"] for row in below])),
    }  # fmt: skip
    good = numbers["p"] >= ALPHA and abs(numbers["bias"]) <= BIAS and numbers["p_upper"] >= ALPHA
    return numbers, good


def report(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """The table (Markdown) and the verdict."""
    groups = {
        "all": rows,
        "h < 0.37": [r for r in rows if r["h"] < 0.37],
        "0.37 <= h < 0.63": [r for r in rows if 0.37 <= r["h"] < 0.63],
        "h >= 0.63": [r for r in rows if r["h"] >= 0.63],
        "stretch < 0.8": [r for r in rows if r["stretch"] < 0.8],
        "stretch >= 1.2": [r for r in rows if r["stretch"] >= 1.2],
        "limit < v < 3 limit": [r for r in rows if not r["above"] or r["v"] < 3 * r["limit"]],
        "full set": [r for r in rows if r["curves"] == 162],
    }
    lines = ["| series | above | coverage | p | bias (error) | sd | below | upper limit holds | statement holds |",
             "|" + "---|" * 9]  # fmt: skip
    for name, chosen in groups.items():
        if not any(r["above"] for r in chosen) or all(r["above"] for r in chosen):
            continue
        n, _ = verdict(chosen)
        lines.append(
            f"| {name} | {n['above']} | {n['coverage']:.3f} | {n['p']:.3f} | {n['bias']:+.3f} | {n['pull_sd']:.3f} "
            f"| {n['below']} | {n['upper']:.3f} | {n['statement']:.3f} |"
        )
    numbers, good = verdict(rows)
    full = [r for r in rows if r["curves"] == 162]
    at_rest = [r for r in rows if r["v"] == 0]
    lines += [
        "",
        f"Above the limit, truth below the interval {numbers['missed_low']:.3f}, above it "
        f"{numbers['missed_high']:.3f}; "
        f"motion declared in {numbers['resolved_above']:.3f}, below the limit in {numbers['resolved_below']:.3f}.",
        f"At rest: p(v = 0) < 0.05 in {np.mean([r['p'] < 0.05 for r in at_rest] or [0]):.3f} of {len(at_rest)}.",
        f"Fit of 162 curves: median {np.median([r['s'] for r in full] or [0]):.2f} s, largest "
        f"{max((r['s'] for r in full), default=0):.2f} s; processor time median "
        f"{np.median([r['cpu'] for r in full] or [0]):.2f} s, largest "
        f"{max((r['cpu'] for r in full), default=0):.2f} s.",
        f"Rules: p >= {ALPHA}, |bias| <= {BIAS}, upper limit >= {LEVEL:.0%}: " + ("PASS" if good else "FAIL"),
    ]
    return "\n".join(lines), good


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rules hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1200, help="number of series")
    parser.add_argument("--seed", type=int, default=20261207)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--store", type=Path, default=Path("build/xpcs_coverage.jsonl"))
    options = parser.parse_args(argv)
    study = partial(run_one, seed=options.seed)
    head = {"seed": options.seed, "version": 2}
    text, good = report(resumed(options.store, head, study, options.n, workers=options.jobs))
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
