"""Do the 95 % intervals of `mdcoeffs.estimate_onsager` hold the truth in 95 % of synthetic systems?

    python benchmarks/onsager_coverage.py --n 1000 --seed 20261128

Resumable: every finished system is a line of the store; run the same command again to go on. System k has the
scenario k mod 24 and the random stream (seed, k), both fixed before anything is run. A quantity passes when the
exact two-sided binomial test does not reject 95 % at the 1 % level, Bonferroni over the six quantities.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.plateau import Beliefs
from mdcoeffs.synthetic.walkers import Onset, walk

QUANTITIES = ("Omega_pp", "Omega_pm", "Omega_mm", "kappa", "t_plus", "rho_plus")
LEVEL = 0.95
ALPHA = 0.01
SALTS: dict[tuple[str, str], tuple[tuple[int, int], float, list[list[float]]]] = {
    ("1:1", "weak"): ((1, -1), 1000.0, [[1.0, 0.15], [0.15, 1.6]]),
    ("1:1", "strong"): ((1, -1), 1000.0, [[1.0, 0.9], [0.9, 1.6]]),
    ("1:-20", "weak"): ((1, -20), 20.0, [[1.0, 0.004], [0.004, 0.02]]),
    ("1:-20", "strong"): ((1, -20), 20.0, [[1.0, 0.059], [0.059, 0.003864]]),
}
"""Charges, concentration [mol/m^3], Omega [1e-10 mol^2/(J m s)]; the last has t+0 = -0.97 and rho+ = 0.53."""
DT = 1e-11
"""Time between frames [s]."""


@dataclass(frozen=True)
class Scenario:
    """One cell of the study: salt, correlation, onset, number of replicas."""

    salt: str
    correlation: str
    onset: bool
    replicas: int


SCENARIOS = tuple(
    Scenario(salt, correlation, onset, replicas)
    for (salt, correlation), onset, replicas in itertools.product(SALTS, (False, True), (1, 2, 4))
)


def stream(seed: int, k: int) -> np.random.Generator:
    """The random numbers of system k."""
    return np.random.default_rng(np.random.SeedSequence([seed, k]))


def onset_of(scenario: Scenario, rng: np.random.Generator, kind: str = "random") -> tuple[Onset, ...]:
    """Bounded motions of both ions.

    random: two of them, time (3-30 frames) and strength (0.5-8 times Omega) drawn; weak: +30 % over 8 frames, which
    one run of 4000 frames hardly shows; liquid: +8 to 30 % over 3-12 frames behind steps that persist a third of a
    frame, as the spectrum of a salt solution looks; ballistic: none (the steps persist instead).
    """
    if not scenario.onset or kind == "ballistic":
        return ()
    if kind == "weak":
        rows = SALTS[scenario.salt, scenario.correlation][2]
        return (Onset(8 * DT, 0.3 * np.diag(np.diag(1e-10 * np.array(rows)))),)
    if kind == "liquid":
        slow = DT * float(np.exp(rng.uniform(np.log(3.0), np.log(12.0))))
        rows = SALTS[scenario.salt, scenario.correlation][2]
        return (Onset(slow, rng.uniform(0.08, 0.3) * np.diag(np.diag(1e-10 * np.array(rows)))),)
    relaxation = DT * float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(8.0))))
    own = strength * np.diag(np.diag(1e-10 * np.array(SALTS[scenario.salt, scenario.correlation][2])))
    return (Onset(relaxation, 0.6 * own), Onset(relaxation / 5, 0.4 * own))


def system(
    scenario: Scenario, rng: np.random.Generator, frames: int, kind: str = "random"
) -> list[CollectiveDisplacements]:
    """Replicas of one synthetic system."""
    z, c, rows = SALTS[scenario.salt, scenario.correlation]
    Omega = 1e-10 * np.array(rows)
    onset = onset_of(scenario, rng, kind)
    persistence = 0.3 * DT if kind == "liquid" else 0.0
    if kind == "ballistic" and scenario.onset:
        persistence = DT * float(np.exp(rng.uniform(np.log(1.0), np.log(10.0))))
    return [
        walk(Omega, frames=frames, dt=DT, seed=rng, z=z, c=c, onset=onset, ballistic_time=persistence)
        for _ in range(scenario.replicas)
    ]


def truth(scenario: Scenario) -> dict[str, float]:
    """The six true values."""
    z, c, rows = SALTS[scenario.salt, scenario.correlation]
    m = OnsagerMatrix(1e-10 * np.array(rows), z, (-z[1], z[0]), c, 300.0, "solvent")
    (pp, pm), (_, mm) = m.Omega
    return dict(zip(QUANTITIES, (pp, pm, mm, m.kappa, m.t_plus, m.rho_plus), strict=True))


def oracle_width(k: int, seed: int, frames: int, kind: str = "random") -> float:
    """Relative width of the interval of Omega_++ for one who knows up to which frequency the plateau reaches.

    All amplitudes whose true spectrum lies within 10 % of the plateau, as a Wishart matrix; for plain diffusion
    all of them.
    """
    scenario = SCENARIOS[k % len(SCENARIOS)]
    rise = np.zeros(frames - 1)
    s = 2 * np.sin(np.pi * np.arange(1, frames) / (2 * frames))
    for mode in onset_of(scenario, stream(seed, k), kind):
        rho = np.exp(-DT / mode.time)
        share = mode.Omega[0, 0] * mode.time / DT * (1 - rho**2) / 2
        rise += share * s**2 / ((1 - rho) ** 2 + rho * s**2) / 1e-10
    usable = int(np.count_nonzero(rise < 0.1))
    return float(2 * 1.959964 * np.sqrt(2.0 / (3 * max(usable, 1) * scenario.replicas)))


def run_one(k: int, seed: int, frames: int, kind: str = "random", prior_flat: float = Beliefs.flat) -> dict[str, Any]:
    """Simulate and estimate system k; which intervals hold, which lie above the truth, how wide they are."""
    scenario = SCENARIOS[k % len(SCENARIOS)]
    replicas = system(scenario, stream(seed, k), frames, kind)
    began = time.perf_counter()
    try:
        estimate = estimate_onsager(replicas, seed=k, prior_flat=prior_flat)
    except InputError as refusal:
        return {"k": k, "refused": str(refusal)}
    wall = time.perf_counter() - began
    held, above, width = [], [], []
    for name, value in truth(scenario).items():
        low, high = estimate.interval(name, LEVEL)
        held.append(int(low <= value <= high))
        above.append(int(value < low))
        width.append(round((high - low) / abs(value), 6))
    return {"k": k, "held": held, "above": above, "width": width, "n": round(estimate.n_origins, 2), "s": wall}


def stored(path: Path, head: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Finished systems of an earlier run with the same settings; an incomplete last line is dropped."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(head) + "\n")
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    lines = whole.splitlines()
    if not lines or json.loads(lines[0]) != head:
        raise SystemExit(f"{path} belongs to other settings ({lines[0] if lines else 'empty'}); choose another --store")
    return {row["k"]: row for row in map(json.loads, lines[1:])}


def p_value(held: Sequence[int]) -> float:
    """Exact two-sided binomial test of the coverage."""
    return float(binomtest(int(np.sum(held)), len(held), LEVEL).pvalue)


def groups() -> Iterator[tuple[str, list[int]]]:
    """Names and scenario numbers of the rows of the table: all, each factor's levels, each scenario."""
    yield "all", list(range(len(SCENARIOS)))
    for factor in ("salt", "correlation", "onset", "replicas"):
        for value in dict.fromkeys(getattr(s, factor) for s in SCENARIOS):
            yield f"{factor} = {value}", [k for k, s in enumerate(SCENARIOS) if getattr(s, factor) == value]
    for k, s in enumerate(SCENARIOS):
        yield f"{s.salt} {s.correlation} {'onset' if s.onset else 'plain'} x{s.replicas}", [k]


def table(rows: Sequence[dict[str, Any]], seed: int, frames: int, kind: str = "random") -> tuple[str, bool]:
    """Coverage table (Markdown) and the verdict."""
    kept = [row for row in rows if "refused" not in row]
    limit = ALPHA / len(QUANTITIES)
    lines = [
        "| systems | n | " + " | ".join(QUANTITIES) + " | smallest p | width/oracle (median) | origins (median) |",
        "|" + "---|" * (len(QUANTITIES) + 5),
    ]
    passed = True
    for name, members in groups():
        chosen = [row for row in kept if row["k"] % len(SCENARIOS) in members]
        if not chosen:
            continue
        held = np.array([row["held"] for row in chosen])
        p = min(p_value(column) for column in held.T)
        if name == "all":
            passed = p >= limit
        ratio = [row["width"][0] / oracle_width(row["k"], seed, frames, kind) for row in chosen]
        cells = " | ".join(f"{v:.3f}" for v in held.mean(axis=0))
        lines.append(
            f"| {name} | {len(chosen)} | {cells} | {p:.4f} | {np.median(ratio):.2f} | "
            f"{np.median([row['n'] for row in chosen]):.0f} |"
        )
    above = np.mean([row["above"] for row in kept], axis=0)
    lines += [
        "",
        "Share of intervals wholly above the truth (2.5 % is even): "
        + ", ".join(f"{q} {v:.3f}" for q, v in zip(QUANTITIES, above, strict=True)),
        f"Refused for too few independent origins: {len(rows) - len(kept)} of {len(rows)}.",
        f"Rule: smallest p of 'all' >= {limit:.5f} (exact binomial, 1 %, Bonferroni over {len(QUANTITIES)}): "
        + ("PASS" if passed else "FAIL"),
    ]
    return "\n".join(lines), passed


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="number of systems")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--frames", type=int, default=4001, help="frames of each replica")
    parser.add_argument(
        "--onset", choices=("random", "weak", "liquid", "ballistic"), default="random", help="kind of onset"
    )
    parser.add_argument("--prior-flat", type=float, default=Beliefs.flat, help="as in estimate_onsager")
    parser.add_argument("--store", type=Path, default=Path("build/onsager_coverage.jsonl"))
    options = parser.parse_args(argv)
    head = {
        "seed": options.seed,
        "frames": options.frames,
        "onset": options.onset,
        "prior_flat": options.prior_flat,
        "version": 2,
    }
    done = stored(options.store, head)
    with options.store.open("a") as out:
        for k in range(options.n):
            if k not in done:
                done[k] = run_one(k, options.seed, options.frames, options.onset, options.prior_flat)
                out.write(json.dumps(done[k]) + "\n")
                out.flush()
                if sys.stderr.isatty():
                    print(f"\r{k + 1}/{options.n}", end="", file=sys.stderr)
    text, passed = table([done[k] for k in range(options.n)], options.seed, options.frames, options.onset)
    print(text)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
