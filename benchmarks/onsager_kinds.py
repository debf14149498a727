"""Do the intervals of `mdcoeffs.estimate_onsager` hold whatever the motion is? Coverage by kind of motion.

    python benchmarks/onsager_kinds.py --n 2000 --seed 20261211 --workers 2
    python benchmarks/onsager_kinds.py --n 100 --export FOLDER && PEERS benchmarks/onsager_kinds_peer.py FOLDER

Seven kinds: plain walks, one slow bounded motion, two, Rouse ladders, stretched exponentials (beta 0.4 to 0.9), inertia
of 1 to 4 frames, and inertia with a slow motion. Of every system all is drawn: Omega (correlation -0.3 to 0.97), the
anion's charge (-1 to -20), 300 to 20 000 frames, one or four replicas, the slowest time (log-uniform from 2 frames to a
twentieth of the run, or to a third with `--short`), and how strong the motion is (0.1 to 5). System k of a kind has the
random stream (seed, kind, k), fixed before anything is run. Resumable: every finished system is a line of the store.

What a prior costs in plain walks and gains where a motion is hardly seen (`weak`: a bounded motion of a 25th of the run
that makes the ions 40 % faster at short times)::

    python benchmarks/onsager_kinds.py --n 60 --seed 20270505 --kinds plain,weak --prior-flat 0.05 --store FILE

Beside it, for the width only, the same estimator told the true form of the spectrum (for a stretched exponential: that
it is one).

The table: coverage of 95 % intervals of kappa, t+ and rho+; the share of runs with a warning, among those at least 100
slowest times long too; misses of kappa by more than two of its own standard errors without a warning (of the longer
side of its interval, which `standard_error` gives, then of half its width, then those of the informed estimator by half
the width); the median ratio of the ends of the interval of kappa, and that over the ratio of the informed estimator's,
in logarithms.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from cellsim.base import N_A, Array, Bools, InputError, k_B
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.electrolyte.relations import TWO_SIDED, conductivity
from cellsim.workers import mapped
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.plateau import Beliefs, relaxing_plateau
from mdcoeffs.onsager.spectrum import current_spectrum
from mdcoeffs.synthetic.walkers import bounded_motion, inertia, stretched_motion, walk_of_spectrum

KINDS = ("plain", "slow", "two", "ladder", "stretched", "inertia", "inertia and slow")
WEAK = "weak"
"""A kind that is run where it is named: what no test tells from a plain walk."""
QUANTITIES = ("kappa", "t_plus", "rho_plus")
DT = 1e-11
"""Time between frames [s]."""
SCALE = 1e-10
"""Size of Omega [mol^2/(J m s)]."""


def matrix(rng: np.random.Generator, most: float) -> Array:
    """A random matrix of correlation -0.3 to `most`."""
    rho, size = rng.uniform(-0.3, most), np.exp(rng.normal(0, 0.5, 2))
    cross = rho * np.sqrt(size[0] * size[1])
    return np.array([[size[0], cross], [cross, size[1]]])


def system(kind: str, rng: np.random.Generator, short: bool) -> dict[str, Any]:
    """What is simulated: Omega, z, frames, replicas, the slowest time in frames, the spectrum over omega."""
    frames, replicas = int(np.exp(rng.uniform(np.log(300), np.log(20_000)))), int(rng.choice([1, 4]))
    z = (1, -int(rng.choice([1, 1, 2, 3, 20])))
    scale = np.outer([1, -1 / z[1]], [1, -1 / z[1]])  # the anions of a salt 1:-20 are few
    Omega = matrix(rng, 0.97) * scale
    slowest = float(np.exp(rng.uniform(np.log(2), np.log(max(frames / (3 if short else 20), 2.2)))))
    strength = float(np.exp(rng.uniform(np.log(0.1), np.log(5))))
    if kind == WEAK:
        slowest, strength = frames / 25, 0.4

    def gain() -> Array:
        """As Omega, or correlated in a way of its own and as large."""
        own = matrix(rng, 0.9) * scale
        return own * np.sqrt(np.linalg.det(Omega) / np.linalg.det(own)) if rng.random() < 0.5 else Omega

    terms: list[tuple[Array, Callable[[Array], Array]]] = []
    persistence = None
    if kind in ("slow", "two", "inertia and slow", WEAK):
        terms.append((strength * slowest * gain(), partial(bounded_motion, time=slowest)))
    if kind == "two":
        second = float(np.exp(rng.uniform(np.log(2), np.log(max(slowest / 3, 2.1)))))
        own = float(np.exp(rng.uniform(np.log(0.1), np.log(5))))
        terms.append((own * second * gain(), partial(bounded_motion, time=second)))
    if kind == "ladder":
        each, modes = gain(), int(rng.integers(3, 20))
        times = [slowest / p**2 for p in range(1, modes + 1) if slowest / p**2 >= 0.3]
        terms += [(strength / 3 * t * each, partial(bounded_motion, time=t)) for t in times]
    if kind == "stretched":
        beta = float(rng.uniform(0.4, 0.9))
        terms.append((strength * slowest * gain(), partial(stretched_motion, mean_time=slowest, beta=beta)))
    if kind in ("inertia", "inertia and slow"):
        persistence = float(rng.uniform(1, 4))

    def spectrum(omega: Array) -> Array:
        factor = np.ones(omega.size) if persistence is None else inertia(omega, persistence)
        return SCALE * (factor[:, None, None] * Omega + sum(term(omega)[:, None, None] * B for B, term in terms))

    times = ([] if kind in ("plain", "inertia") else [slowest]) + ([] if persistence is None else [persistence])
    return {
        "Omega": SCALE * Omega,
        "z": z,
        "frames": frames,
        "replicas": replicas,
        "slowest": max(times, default=0.0),
        "spectrum": spectrum,
    }


def informed(kind: str) -> Beliefs:
    """What somebody believes who knows the form of the spectrum."""
    inertia = (0.0, 1.0) if kind.startswith("inertia") else (1.0, 0.0)
    some = Beliefs(
        flat=0.0,
        further=1e-9,
        inertia=inertia,
        trust=((math.inf, 1.0),),
        motions=1,
        coarse=(1.0, 1.0),
        alike=(0.0, 0.1),
    )
    if kind in ("plain", "inertia"):
        return replace(some, flat=1.0, motions=0)
    weights = {"ladder": (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0), "stretched": (0.0, 0.4, 0.3, 0.3, 0.0, 0.0, 0.0)}
    some = replace(some, shapes=weights.get(kind, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)))
    return replace(some, further=1 - 1e-9, motions=2) if kind == "two" else some


def simulated(item: tuple[str, int], seed: int, short: bool) -> tuple[dict[str, Any], list[CollectiveDisplacements]]:
    """One system and its runs."""
    kind, k = item
    rng = np.random.default_rng([seed, (*KINDS, WEAK).index(kind), k])
    s = system(kind, rng, short)
    z = s["z"]
    nu = (-z[1], z[0])
    walks = (
        walk_of_spectrum(s["spectrum"], frames=s["frames"], dt=DT, seed=rng, z=z, nu=nu, c=1000.0 / nu[0])
        for _ in range(s["replicas"])
    )
    return s, list(walks)


def export(item: tuple[str, int], seed: int, short: bool, folder: Path) -> None:
    """Displacements of the charge, dt = 1, in units in which their diffusion coefficient is 1, for the peers."""
    s, runs = simulated(item, seed, short)
    z = np.array(s["z"])
    unit = 2 * k_B * runs[0].temperature * runs[0].volume * N_A**2 * DT * (z @ s["Omega"] @ z) / 2
    q = np.array([np.einsum("fix,i->fx", run.R[:, list(run.ions)], z) for run in runs]) / np.sqrt(unit)
    np.savez(folder / f"{item[0].replace(' ', '_')}-{item[1]:04d}.npz", q=q, slowest=s["slowest"])


def run_one(
    item: tuple[str, int], seed: int, short: bool, compare: bool = True, prior_flat: float = Beliefs.flat
) -> dict[str, Any]:
    """Simulate and estimate one system; with `compare` the informed estimator's width as well."""
    kind, k = item
    s, runs = simulated(item, seed, short)
    z = s["z"]
    nu = (-z[1], z[0])
    row = {"kind": kind, "k": k, "frames": s["frames"], "replicas": s["replicas"], "slowest": s["slowest"]}
    began = time.process_time()
    try:
        found = estimate_onsager(runs, seed=k, prior_flat=prior_flat)
    except InputError as refusal:
        return row | {"refused": str(refusal)}
    truth = OnsagerMatrix(s["Omega"], z, nu, 1000.0 / nu[0], 300.0, "solvent")
    ends = [found.interval(name, 0.95) for name in QUANTITIES]
    values = [getattr(truth, name) for name in QUANTITIES]
    spent = time.process_time() - began
    if compare:
        best = relaxing_plateau(current_spectrum(runs), 2000, np.random.default_rng(k), beliefs=informed(kind)).samples
        of_best = np.quantile(conductivity(best, z), [0.025, 0.5, 0.975]) / values[0]
        row |= {"informed": float(np.log(of_best[2] / of_best[0])), "informed_kappa": of_best.tolist()}
    median = float(np.median(found.draws("kappa")))
    return row | {
        "held": [int(low <= value <= high) for (low, high), value in zip(ends, values, strict=True)],
        "kappa": [end / values[0] for end in (ends[0][0], median, ends[0][1])],
        "origins": round(found.n_origins, 2),
        "warnings": [doubt.name for doubt in found.warnings],
        "s": spent,
    }


def stored(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """Finished systems of an earlier run with the same settings."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(head) + "\n")
        return []
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines or json.loads(lines[0]) != head:
        raise SystemExit(f"{path} belongs to other settings; choose another --store")
    path.write_text("\n".join(lines) + "\n")
    return [json.loads(line) for line in lines[1:]]


def missed(rows: Sequence[dict[str, Any]], name: str, *, longer: bool = True) -> Bools:
    """Whether kappa is off by more than two standard errors, of the longer side of its interval or of half of it."""
    low, middle, high = np.array([row[name] for row in rows]).T
    error = np.maximum(high - middle, middle - low) if longer else 0.5 * (high - low)
    return np.asarray(np.abs(middle - 1) > 2 * error / TWO_SIDED)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Coverage by kind (Markdown)."""
    lines = [
        "| kind | n | kappa | t_plus | rho_plus | smallest p | warned | warned at 100 times | silent misses | "
        "width (median) | over informed | refused | s (median) |",
        "|" + "---|" * 13,
    ]
    for kind in (*KINDS, WEAK):
        every = [row for row in rows if row["kind"] == kind]
        done = [row for row in every if "refused" not in row]
        if not done:
            continue
        held = np.array([row["held"] for row in done])
        p = min(binomtest(int(h), len(done), 0.95).pvalue for h in held.sum(axis=0))
        warned = np.array([bool(row["warnings"]) for row in done])
        long = np.array([row["frames"] >= 100 * row["slowest"] for row in done])
        told = [row for row in done if "informed_kappa" in row]
        silent = [
            np.mean(missed(done, "kappa") & ~warned),
            np.mean(missed(done, "kappa", longer=False) & ~warned),
            np.mean(missed(told, "informed_kappa", longer=False)) if told else math.nan,
        ]
        widths = np.array([np.log(row["kappa"][2] / row["kappa"][0]) for row in done])
        ratio = np.median(widths / [row["informed"] for row in done])
        cells = [
            *(f"{v:.3f}" for v in held.mean(axis=0)),
            f"{p:.3f}",
            f"{warned.mean():.3f}",
            f"{warned[long].mean():.3f}" if long.any() else "",
            " / ".join(f"{share:.3f}" for share in silent),
            f"{np.exp(np.median(widths)):.2f}",
            f"{ratio:.2f}",
            str(len(every) - len(done)),
            f"{np.median([row['s'] for row in done]):.2f}",
        ]
        lines.append(f"| {kind} | {len(done)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="systems of each kind")
    parser.add_argument("--seed", type=int, default=20261201)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"which, separated by commas; {WEAK} as well")
    parser.add_argument("--prior-flat", type=float, default=Beliefs.flat, help="as in estimate_onsager")
    parser.add_argument("--short", action="store_true", help="slowest times up to a third of the run")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("build/onsager_kinds.jsonl"))
    parser.add_argument("--export", type=Path, help="write the systems for onsager_kinds_peer.py, and stop")
    options = parser.parse_args(argv)
    if options.export:
        options.export.mkdir(parents=True, exist_ok=True)
        for k, kind in product(range(options.n), options.kinds.split(",")):
            export((kind, k), options.seed, options.short, options.export)
        return 0
    head = {"seed": options.seed, "short": options.short, "version": 9}
    if options.prior_flat != Beliefs.flat:
        head["prior_flat"] = options.prior_flat
    rows = stored(options.store, head)
    done = {(row["kind"], row["k"]) for row in rows}
    items = [(kind, k) for k in range(options.n) for kind in options.kinds.split(",") if (kind, k) not in done]
    work = partial(run_one, seed=options.seed, short=options.short, prior_flat=options.prior_flat)
    with options.store.open("a") as out:
        for returned in mapped(work, items, workers=options.workers):
            rows.append(returned.result())
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
