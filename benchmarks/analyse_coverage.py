"""Do the 95 % intervals of `cellsim analyse` hold the truth in 95 % of synthetic experiments?

    python benchmarks/analyse_coverage.py --n 200 --seed 20261201

Resumable: every finished experiment is a line of the store; run the same command again to go on. Experiment k of a kind
has the random stream (seed, kind, k), fixed before anything is run. Rests, steps and the chain are simulated with the
full model, nonlinear and with solvent motion, on six shipped sets; spectra are the closed form with one or two
depressed arcs; concentration cells come from the set's own potential.

What the estimators do not know: electrode transients, noise that wanders slowly (half of its variance, over 1 or 10 %
of the slowest relaxation), interfaces, signals from 3 to 30 mV, and thicknesses and resistances typed with an error of
0, 1 or 3 % that they really have.

Rule: the exact two-sided binomial test does not reject 95 % at the 1 % level, shared by the quantities (Bonferroni).
Refusals (a rest too short for its noise) are counted beside it and are no interval.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.stats import binomtest

from cellsim.base import F, InputError
from cellsim.cell.protocol import Protocol, hold_current, hold_voltage, rest
from cellsim.electrolyte.set_file import load_set
from cellsim.laboratory import Bench, bench_of, solve_chain
from cellsim.laboratory.measured import (
    Finding,
    Measured,
    Resistances,
    Typed,
    fraction,
    limiting,
    potentials,
    relaxation,
    spectrum,
)
from cellsim.model.small_signals import impedance
from cellsim.model.steady import limiting_current
from cellsim.model.steady import steady_curve as steady_states

LEVEL, ALPHA = 0.95, 0.01
SETS = (
    ("landesfeind2019_ec_dmc", 1000.0),
    ("steinruck2020_rs", None),
    ("nyman2008_ec_emc", 1200.0),
    ("peo_litfsi_siegel2021", None),
    ("poss_ptf", 20.0),
    ("steinruck2020_pnb", None),
    ("valoen2005_pc_ec_dmc", 1000.0),
)
SMOOTH = (0, 1, 2, 3, 5, 6)
"""For concentration cells: t+0 of poss_ptf is a table of seven points, and its kinks are no smooth curve."""
SWEPT = (1, 3, 5, 6)
"""For the limiting current: 1:1 salts whose set reaches down to a wall that is nearly empty."""
KINDS = ("relaxation", "fraction", "impedance", "concentration-cell", "chain", "limiting-current")
QUANTITIES = {
    "relaxation": ("D",),
    "fraction": ("rho_plus",),
    "impedance": ("R_b", "R_int", "rho_plus", "D", "C", "alpha"),
    "concentration-cell": ("dU/dlnm",),
    "chain": ("t_plus", "chi"),
    "limiting-current": ("i_L",),
}
Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def bench(which: int, ratio: float) -> Bench:
    """A set on the bench, its interfaces `ratio` times its bulk resistance."""
    name, c = SETS[which]
    made = bench_of(load_set(name), c)
    return made.changed(resistance=0.5 * ratio * made.layer.bulk_resistance)


@lru_cache(maxsize=256)
def resting(which: int, pulse: float, signal: float, length: float) -> tuple[Array, Array]:
    """Time since a current stopped and the voltage, no noise: 1500 readings."""
    on = bench(which, 0.4)
    begin, end = pulse * on.diffusion_time, length * on.diffusion_time
    times = np.concatenate([np.linspace(0, begin, 30), begin + np.linspace(0, end, 1500)[1:]])
    solution = on.run(Protocol((hold_current(signal / on.total_resistance, begin), rest(end))), times)
    after = solution["time"] > begin * (1 + 1e-9)
    return solution["time"][after] - begin, solution["V"][after]


@lru_cache(maxsize=256)
def holding(which: int, signal: float, ratio: float, length: float) -> tuple[Array, Array]:
    """Time since a voltage was applied and the current, no noise."""
    on = bench(which, ratio)
    end = length * on.diffusion_time
    times = np.unique(np.concatenate([[0.0], np.geomspace(1e-7 * end, end, 250), np.linspace(0, end, 1500)]))
    solution = on.run(Protocol((hold_voltage(signal, end),)), times)
    return solution["time"], solution["i"]


def noise(random: np.random.Generator, t: Array, scale: float, diffusion_time: float) -> Array:
    """White noise, or half of its variance a wander over 1 or 10 % of the slowest relaxation."""
    white, kind = random.standard_normal(t.size), int(random.integers(3))
    if not kind:
        return scale * white
    keep = np.exp(-np.diff(t) / ((0.01, 0.1)[kind - 1] * diffusion_time / np.pi**2))
    steps, wander = random.standard_normal(t.size), np.empty(t.size)
    wander[0] = steps[0]
    for j in range(1, t.size):
        wander[j] = keep[j - 1] * wander[j - 1] + np.sqrt(1 - keep[j - 1] ** 2) * steps[j]
    return scale * np.sqrt(0.5) * (white + wander)


def pick(random: np.random.Generator, *values: float) -> float:
    """One of them."""
    return values[int(random.integers(len(values)))]


def stated(random: np.random.Generator, true: float, error: float, label: str) -> Typed:
    """A number as somebody types it, off by as much as its error says."""
    return Typed(true * (1 + error * random.standard_normal()), true * error, label)


def a_relaxation(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    which = int(random.integers(len(SETS)))
    on = bench(which, 0.4)
    t, U = resting(which, pick(random, 0.05, 0.2, 0.6), pick(random, 3e-3, 0.01, 0.03), pick(random, 0.25, 0.45, 0.9))
    at = np.linspace(t[0], t[-1], int(pick(random, 100, 400, 1500)))
    U = np.interp(at, t, U) + noise(random, at, 10 ** random.uniform(-6, -4.3), on.diffusion_time)
    U = U + random.normal(0, 2e-4)
    if random.random() < 0.3:  # electrodes that come to rest in a hundredth of the relaxation
        U = U + 1e-3 * random.uniform(-1, 1) * np.exp(-at / (1e-3 * on.diffusion_time))
    L = stated(random, on.thickness, pick(random, 0.0, 0.01, 0.03), f"thickness {k}")
    return relaxation(at, U, L, seed=k), {"D": on.layer.D}


def a_fraction(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    which, signal, ratio = int(random.integers(len(SETS))), pick(random, 3e-3, 0.01, 0.02), pick(random, 0.05, 0.5, 2.0)
    on = bench(which, ratio)
    t, i = holding(which, signal, ratio, pick(random, 0.3, 0.6, 1.2))
    end = t[-1]
    late = np.linspace(0.01 * end, end, int(pick(random, 100, 400, 1200)))
    at = np.unique(np.concatenate([np.geomspace(1e-5 * end, 0.01 * end, 60), late]))
    i = np.interp(at, t, i)
    i = i + noise(random, at, 10 ** random.uniform(-4, -2) * i[-1], on.diffusion_time)
    if random.random() < 0.3:  # double layers that charge
        i = i + 0.2 * i[0] * np.exp(-at / (2e-5 * end))
    error, R = pick(random, 0.0, 0.01, 0.03), on.layer.resistance
    before, after = (stated(random, R, error, f"{name} {k}").draws() for name in ("before", "after"))
    bulk = stated(random, on.layer.bulk_resistance, 0.01, f"bulk {k}").draws() if random.random() < 0.5 else None
    V = stated(random, signal, 1e-3, f"voltage {k}")
    return fraction(at, i, V, Resistances(before, after, bulk), seed=k), {"rho_plus": on.rho_plus}


def a_spectrum(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    which, ratio = int(random.integers(len(SETS))), pick(random, 0.2, 1.0, 4.0)
    on = bench(which, ratio)
    tau, top = on.diffusion_time / 4, 2e6 * np.pi
    low = pick(random, 0.03, 0.3, 1.0) / tau
    omega = np.geomspace(low, top, int(pick(random, 6, 10) * np.log10(top / low)))
    Z = impedance(replace(on.layer, resistance=0.0), omega)
    time_constant = 10 ** random.uniform(-4.5, -3.5)
    parts_of = ((0.3, 1.0), (0.7, 30.0)) if random.random() < 0.4 else ((1.0, 1.0),)
    for part, factor in parts_of:
        exponent = pick(random, 1.0, 0.9, 0.8)
        Z = Z + part * on.layer.resistance / (1 + (1j * omega * time_constant * factor) ** exponent)
    parts = random.standard_normal((2, omega.size))
    Z = Z + 10 ** random.uniform(-3.5, -2) * np.abs(Z) * (parts[0] + 1j * parts[1])
    L = stated(random, on.thickness, pick(random, 0.0, 0.01, 0.03), f"thickness {k}")
    truth = {"R_b": on.layer.bulk_resistance, "R_int": on.layer.resistance, "rho_plus": on.rho_plus, "D": on.layer.D}
    alone = len(parts_of) == 1  # two arcs that are read as one have no capacitance of their own
    truth |= {"C": 2 * time_constant / on.layer.resistance if alone else np.nan, "alpha": exponent if alone else np.nan}
    return spectrum(omega, Z, thickness=L, per_area=True, seed=k), truth


def a_potential(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    on = bench(int(pick(random, *SMOOTH)), 0.4)
    count, span = int(pick(random, 7, 9, 13)), pick(random, 1.15, 1.3, 1.5)
    low, high = on.transport.c_range
    c = np.geomspace(max(on.c / span, 1.001 * low), min(on.c * span, 0.999 * high), count)
    U = on.transport.concentration_voltage(c, np.full(count, on.c))
    U = U + 10 ** random.uniform(-5, -3) * random.standard_normal(count)
    still = on.transport.solvent_motion == "none"
    x = np.log(c / on.c if still else on.transport.m(c) / on.transport.m(np.array(on.c)))
    return potentials(x, U, seed=k), {"dU/dlnm": on.slope}


def a_chain(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    """One cell through all four, its thickness and area typed with an error that they share."""
    which = int(pick(random, *SMOOTH))
    on, tau = bench(which, 0.5), bench(which, 0.5).diffusion_time
    L = stated(random, on.thickness, pick(random, 0.0, 0.01), f"thickness {k}")
    A = stated(random, 1e-4, pick(random, 0.0, 0.01), f"area {k}")
    omega = np.geomspace(0.2 / tau, 2e6 * np.pi, 90)
    Z = impedance(replace(on.layer, resistance=0.0), omega)
    Z = (Z + on.layer.resistance / (1 + (2e-4j * omega) ** 0.9)) / 1e-4
    parts = random.standard_normal((2, omega.size))
    arcs = spectrum(omega, Z * (1 + 2e-3 * (parts[0] + 1j * parts[1])), thickness=L, area=A, seed=4 * k)
    t, U = resting(which, 0.6, 0.01, 0.9)
    diffusing = relaxation(t, U + noise(random, t, 1e-5, tau), L, seed=4 * k + 1)
    t, i = holding(which, 0.01, 0.5, 1.2)
    i = (i + noise(random, t, 1e-3 * i[-1], tau)) * 1e-4
    R_int, R_b = arcs["R_int"].draws, arcs["R_b"].draws
    steady = fraction(t, i, Typed(0.01), Resistances(R_int, R_int, R_b, per_area=False), seed=4 * k + 2)
    c = np.geomspace(on.c / 1.3, min(on.c * 1.3, 0.999 * on.transport.c_range[1]), 9)
    U = on.transport.concentration_voltage(c, np.full(9, on.c)) + 3e-5 * random.standard_normal(9)
    still = on.transport.solvent_motion == "none"
    x = np.log(c / on.c if still else on.transport.m(c) / on.transport.m(np.array(on.c)))
    cells = potentials(x, U, seed=4 * k + 3)
    drawn = [
        f[q].draws for f, q in zip((arcs, diffusing, steady, cells), ("kappa", "D", "rho_plus", "dU/dlnm"), strict=True)
    ]
    K, charge = float(on.transport.thermal_voltage), on.transport.z_plus * on.transport.nu_plus * F
    t_plus, chi = solve_chain(*drawn, on.c, K=K, charge=charge)  # type: ignore[arg-type]
    measured = (Measured.of("t_plus", "1", np.asarray(t_plus), ""), Measured.of("chi", "1", np.asarray(chi), ""))
    tests = (*arcs.assumptions, *diffusing.assumptions, *steady.assumptions, *cells.assumptions)
    found = Finding("chain", "", (), measured, tests, (), "")
    return found, {"t_plus": on.layer.t_plus, "chi": on.layer.chi}


@lru_cache(maxsize=64)
def steady_curve(which: int, ratio: float) -> tuple[Array, Array, float]:
    """Voltages, currents relative to the limiting one, and the limiting current itself [V, 1, A/m^2]."""
    on = bench(which, ratio)
    still = on.transport.with_extrapolation("clamp")
    limit = limiting_current(on.cell, still, on.c).i
    parts = 1 - np.concatenate([np.linspace(0.98, 0.1, 45), np.geomspace(0.1, 1e-4, 40)[1:]])
    states = steady_states(on.cell, still, on.c, parts * limit)
    return np.array([state.V for state in states]), parts, limit


def a_sweep(random: np.random.Generator, k: int) -> tuple[Finding, dict[str, float]]:
    """Steps or a slow sweep to the plateau, with a lag of the sweep, noise, and a leak beside it."""
    which = int(pick(random, *SWEPT))
    V, parts, limit = steady_curve(which, pick(random, 0.05, 0.5, 2.0))
    reached = pick(random, 0.98, 0.99, 0.998)  # the last current, as a part of the limiting one
    end = float(np.interp(reached, parts, V))
    at = np.linspace(0.02 * end, end, int(pick(random, 30, 100, 600)))
    # interpolated in what is straight on both ends: the logarithm of what is left
    i = limit * (1 - np.exp(CubicSpline(V, np.log1p(-parts))(at)))
    i = i + noise(random, at, 10 ** random.uniform(-3.5, -2) * limit, end)
    return limiting(at, i, seed=k), {"i_L": limit}


MAKERS = dict(zip(KINDS, (a_relaxation, a_fraction, a_spectrum, a_potential, a_chain, a_sweep), strict=True))


def run_one(task: tuple[str, int], seed: int) -> dict[str, Any]:
    """One experiment of a kind: intervals, truth and time."""
    kind, k = task
    random = np.random.default_rng(np.random.SeedSequence([seed, KINDS.index(kind), k]))
    begin = time.perf_counter()
    row: dict[str, Any] = {"kind": kind, "k": k, "refused": "", "quantities": {}}
    try:
        found, truth = MAKERS[kind](random, k)
    except InputError as error:
        return row | {"refused": str(error)}
    names = {one.quantity for one in found.measured}
    for quantity in QUANTITIES[kind]:
        if quantity in names and np.isfinite(truth[quantity]):
            one, true = found[quantity], truth[quantity]
            row["quantities"][quantity] = [true, one.value, *one.interval]
    return row | {"holds": found.holds, "seconds": time.perf_counter() - begin}


def verdict(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, dict[str, float]], bool]:
    """Coverage of each kind's quantities, and whether the rule holds."""
    numbers: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        for quantity in QUANTITIES[kind]:
            some = [row for row in rows if row["kind"] == kind and quantity in row["quantities"]]
            if not some:
                continue
            values = np.array([row["quantities"][quantity] for row in some])
            true, value, low, high = values.T
            held = (low <= true) & (true <= high)
            holding = np.array([row["holds"] for row in some])
            pull = (value - true) / ((high - low) / 3.92)
            numbers[f"{kind} {quantity}"] = {
                "n": len(some),
                "coverage": float(held.mean()),
                "p": float(binomtest(int(held.sum()), len(some), LEVEL).pvalue),
                "holding": float(holding.mean()),
                "coverage_holding": float(held[holding].mean()) if holding.any() else float("nan"),
                "pull": float(np.median(pull)),
                "width": float(np.median((high - low) / np.abs(true))) / 3.92,
            }
    return numbers, all(one["p"] >= ALPHA / len(numbers) for one in numbers.values())


def report(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """The table and whether the rule holds."""
    numbers, good = verdict(rows)
    lines = [
        "| quantity | n | coverage | p | all assumptions hold | coverage of those | median pull | median error |",
        "|" + "---|" * 8,
    ]
    for name, one in numbers.items():
        lines.append(
            f"| {name} | {one['n']:.0f} | {one['coverage']:.3f} | {one['p']:.3f} | {one['holding']:.2f} | "
            f"{one['coverage_holding']:.3f} | {one['pull']:+.2f} | {100 * one['width']:.2g} % |"
        )
    refused = {kind: sum(bool(row["refused"]) for row in rows if row["kind"] == kind) for kind in KINDS}
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    lines.append(f"refused: {', '.join(f'{kind} {n}' for kind, n in refused.items() if n) or 'none'}")
    lines.append(f"an analysis takes {np.median(seconds):.1f} s, the slowest {max(seconds):.1f} s")
    lines.append(
        f"Rule: every p >= {ALPHA / len(numbers):.5f} (exact binomial, 1 %, Bonferroni): {'PASS' if good else 'FAIL'}"
    )
    return "\n".join(lines), good


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="experiments of each kind")
    parser.add_argument("--seed", type=int, default=20261201)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--store", type=Path, default=Path("build/analyse_coverage.jsonl"))
    options = parser.parse_args(argv)
    options.store.parent.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[str, int], dict[str, Any]] = {}
    if options.store.is_file():
        for line in options.store.read_text().splitlines():
            row = json.loads(line)
            if row["seed"] == options.seed:
                done[row["kind"], row["k"]] = row
    tasks = [(kind, k) for kind in options.kinds for k in range(options.n)]
    with options.store.open("a") as out, Pool(options.jobs) as pool:
        for row in pool.imap(partial(run_one, seed=options.seed), [task for task in tasks if task not in done]):
            done[row["kind"], row["k"]] = row
            out.write(json.dumps(row | {"seed": options.seed}) + "\n")
            out.flush()
            if sys.stderr.isatty():
                print(f"\r{len(done)}", end="", file=sys.stderr)
    text, good = report([done[task] for task in tasks])
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
