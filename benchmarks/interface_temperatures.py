"""Do the joint dE, dS and barriers of an interface at three temperatures hold the truth as often as they say?

    python benchmarks/interface_temperatures.py --n 300 --seed 20261129

Walkers hop on a lattice between a slab (z < 0) and its surroundings, over a barrier that is known in closed form:

    F(z, T) = parabolas for wells and top, a straight flank between them outside the slab,
    dF(T) = dE - slope * shift(T) - T dS,

where the flank becomes shorter by shift(T) in the colder boxes, and the entropy changes over 0.8 angstrom beside the
top.
The hopping of a walker has one friction at all temperatures (its probability grows as T), so that transmission times
frequency is the same at all of them. System k has its own well and the random stream (seed, k), fixed before anything
is run; resumable. Every run goes through `RegionCounts`, `barrier_between`, `flank_slope` and the way of
`mdcoeffs series` (`join_states`). A quantity passes when the exact two-sided binomial test does not reject 95 % at the
1 % level, Bonferroni over all quantities.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from interface_double_well import p_value
from numpy.typing import NDArray
from studies import resumed

from mdcoeffs.interface.free_energy import barrier_between, flank_slope, free_energy_profile
from mdcoeffs.interface.rates import equilibration_coefficient, judge, well_frequency
from mdcoeffs.interface.settings import Region
from mdcoeffs.interface.sums import RegionCounts
from mdcoeffs.series.interfaces import Interfaces, join_states
from mdcoeffs.statistics.blocks import average

Array = NDArray[np.float64]
Sites = NDArray[np.int64]

ALPHA = 0.01
T = (500.0, 600.0, 700.0)
COLD = 450.0
"""A temperature that was not simulated, at which the rate is predicted [K]."""
STEP = 0.3
Z = STEP * np.arange(-23, 30)
"""Sites [angstrom]."""
STEEP, BENT = 900.0, 360.0
"""Slope of the flank [K/angstrom] and curvature of wells and top [K/angstrom^2], F = BENT z^2."""
HALF = STEEP / (2 * BENT)
"""A parabola has the slope of the flank so far from its vertex [angstrom]."""
MELT = 0.8
"""The entropy changes over so much beside the parabola of the top [angstrom]."""
WALKERS, FRAMES = 12, 6400
MARGIN, BOX = 3.0, 60.0
HOP = 0.45
QUANTITIES = ("dE", "dS", *(f"barrier_{t:g}" for t in T), "joint_barrier", "slope", "shift_500", "rate_450")


@dataclass(frozen=True)
class Wall:
    """A barrier: energy and entropy over k_B, and how much nearer its well is at each temperature [angstrom]."""

    dE: float
    dS: float
    shift: tuple[float, float, float]

    def barrier(self, t: float) -> float:
        """dF at one temperature [K]."""
        return self.dE - STEEP * self.shift_at(t) - t * self.dS

    def shift_at(self, t: float) -> float:
        """Straight in T, as the states are."""
        return float(np.polyval(np.polyfit(T, self.shift, 1), t))

    def free_energy(self, t: float) -> Array:
        """F over k_B on the sites; the top is zero [K]."""
        half, bend = HALF, BENT * HALF**2
        length = (self.dE - 2 * bend) / STEEP - self.shift_at(t)
        x = np.abs(Z)
        long = np.where(Z < 0, self.dE / STEEP - 2 * bend / STEEP, length)  # the slab does not shrink
        well = long + 2 * half
        top, flank = -BENT * x**2, -bend - STEEP * (x - half)
        bottom = -(2 * bend + STEEP * long) + BENT * (x - well) ** 2
        F = np.where(x < half, top, np.where(x < half + long, flank, bottom))
        # ions inside and out have the entropy that the top has not
        turn = np.clip((x - half) / MELT, 0.0, 1.0)
        return np.asarray(F + t * self.dS * turn**2 * (3 - 2 * turn))


def make_wall(rng: np.random.Generator) -> Wall:
    """A barrier of its own."""
    per_kelvin = rng.uniform(0.0, 0.003)
    shift = tuple(per_kelvin * (T[-1] - t) for t in T)
    return Wall(float(rng.uniform(3200.0, 3800.0)), float(rng.uniform(-0.6, 0.6)), shift)  # type: ignore[arg-type]


def hops(F: Array, t: float) -> tuple[Array, Array]:
    """Probabilities of a hop up and down from each site in a step."""
    pace = HOP * t / T[-1]
    up, down = np.zeros(Z.size), np.zeros(Z.size)
    up[:-1] = pace / (1 + np.exp(np.diff(F) / t)) * 2
    down[1:] = pace / (1 + np.exp(-np.diff(F) / t)) * 2
    return 0.5 * up, 0.5 * down


def walk(
    start: NDArray[np.int64], rates: tuple[Array, Array], every: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Sites of all walkers at the stored frames, (frames, walkers), from the exact probabilities of `every` steps."""
    up, down = rates
    P = np.diag(up[:-1], 1) + np.diag(down[1:], -1) + np.diag(1 - up - down)
    jump = np.cumsum(np.linalg.matrix_power(P, every), axis=1)
    found = np.empty((FRAMES, start.size), dtype=np.int64)
    found[0] = start
    for k in range(1, FRAMES):
        found[k] = np.minimum((jump[found[k - 1]] < rng.random((start.size, 1))).sum(axis=1), Z.size - 1)
    return found


def true_rate(wall: Wall, t: float) -> float:
    """Passages from core to core per step and walker outside, exact (`interface_double_well.true_rates`)."""
    F = wall.free_energy(t)
    up = hops(F, t)[0]
    pi = np.exp(-(F - F.min()) / t)
    pi /= pi.sum()
    a, b = np.flatnonzero(Z < -MARGIN)[-1], np.flatnonzero(Z > MARGIN)[0]
    # flux through a chain of resistances 1/(pi_i up_i)
    flux = 1.0 / np.sum(1.0 / (pi[a:b] * up[a:b]))
    return float(flux / pi[Z > 1e-9].sum())


def summary_of(wall: Wall, t: float, every: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """One run, as ``summary.json`` and ``interface.nc`` of `mdcoeffs interface` say it; times in steps."""
    rng = np.random.default_rng(seed)
    F = wall.free_energy(t)
    density = np.exp(-(F - F.min()) / t)
    start = rng.choice(Z.size, WALKERS, p=density / density.sum())
    sites = walk(start, hops(F, t), every, rng)
    counts = RegionCounts(Region("slab", "walkers", ((-12.0, 0.0),), MARGIN), WALKERS, FRAMES)
    for k, here in enumerate(sites):
        counts.add(Z[here], BOX, k, True)
    parts = [part.ravel() for part in np.array_split(sites, 64)]
    sums = [np.array([np.bincount(part, minlength=Z.size) for part in parts], dtype=float)]
    frames = [np.array([part.size / WALKERS for part in parts])]
    place = float(Z[np.argmin(F + 1e9 * (Z < 0))])
    well, top = np.abs(Z - place) < HALF, np.abs(Z) < HALF + 1e-9
    numbers = barrier_between(sums, frames, t, Z, well, top)
    slope = flank_slope(sums, frames, t, Z, (HALF + MELT - 1e-9 < Z) & (place - HALF - STEP > Z))
    profile = free_energy_profile(sums, frames, t, int(np.argmin(F + 1e9 * (Z > 0))))
    (entered, left), inside = (int(n) for n in counts.crossings.sum(axis=1)), float(counts.population.mean())
    time = (FRAMES - 1) * every
    state = judge(
        "slab",
        entered,
        left,
        donors=WALKERS - inside,
        time=time,
        settled=bool(average([counts.population.astype(float)]).settled),
    ).state
    region = {
        "state": state,
        "EC": float(equilibration_coefficient(entered, left)),
        "entered": {"lower": 0, "upper": entered},
        "left": {"lower": 0, "upper": left},
        "counted": {"entered": entered, "left": left, "outside": (WALKERS - inside) * time, "inside": inside * time},
    }
    barrier = {name: numbers[k].numbers() for k, name in enumerate(("barrier_K", "k", "z_well", "z_top"))} | {
        "region": "slab",
        "found": bool(abs(numbers.value[2] - place) < HALF and abs(numbers.value[3]) < HALF),
        "frequency": float(well_frequency(1.0, 1.0)),
        "slope_K_per_m": slope.numbers(),
        "well_range": [place - HALF, place + HALF],
    }
    return {"regions": {"slab": region}, "barriers": {"wall": barrier}}, {"wall": (Z, profile.value, profile.error)}


def system(k: int, seed: int) -> tuple[Wall, int, Interfaces, dict[float, Any]]:
    """Simulate and analyse system k."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    wall = make_wall(rng)
    # 8 residence times of an ion outside at the lowest temperature
    every = max(1, round(8.0 / true_rate(wall, T[0]) / FRAMES))
    made = {t: summary_of(wall, t, every, int(rng.integers(2**31))) for t in T}
    read = {t: summary for t, (summary, _) in made.items()}
    found = join_states("slab", read, {t: profile for t, (_, profile) in made.items()}, (COLD,))
    return wall, every, found, read


def run_one(k: int, seed: int) -> dict[str, Any]:
    """Which intervals hold, how wide they are, and by how much the middles are off."""
    wall, _, found, read = system(k, seed)
    joint = found.joint
    dE, dS = joint.dE, joint.dS
    assert dS is not None
    ends = [(dE.value, dE.low, dE.high), (dS.value, dS.low, dS.high)]
    truth = [wall.dE, wall.dS]
    for t in T:
        barrier = read[t]["barriers"]["wall"]
        height = barrier["barrier_K"]
        ends.append((height["value"], *height["interval"]) if barrier["found"] else (np.nan,) * 3)
        truth.append(wall.barrier(t))
    band = joint.barrier(600.0)
    assert band is not None
    ends.append(tuple(float(v) for v in band))  # type: ignore[arg-type]
    truth.append(wall.barrier(600.0))
    ends.append((found.slope, found.slope - 1.96 * found.slope_error, found.slope + 1.96 * found.slope_error))
    truth.append(STEEP)
    cold = next(a for a in found.aligned if T[0] == a.T)
    ends.append((cold.shift, cold.shift - 1.96 * cold.shift_error, cold.shift + 1.96 * cold.shift_error))
    truth.append(wall.shift_at(T[0]))
    ends.append(tuple(float(v) for v in joint.rate(COLD)))  # type: ignore[arg-type]
    truth.append(true_rate(wall, COLD))
    # a barrier that was not found has no interval
    held = [
        float(low <= value <= high) if np.isfinite(low) else np.nan
        for (_, low, high), value in zip(ends, truth, strict=True)
    ]
    width = [high - low for _, low, high in ends]
    off = [middle - value for (middle, _, _), value in zip(ends, truth, strict=True)]
    return {
        "k": k,
        "held": held,
        "width": width,
        "off": off,
        "entered": [state.entered for state in joint.states],
        "p": joint.p_counts,
    }


def table(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """Coverage table (Markdown) and the verdict."""
    held = np.array([row["held"] for row in rows])
    width = np.nanmedian([row["width"] for row in rows], axis=0)
    off = np.nanmean([row["off"] for row in rows], axis=0)
    columns = [column[np.isfinite(column)] for column in held.T]
    p = [p_value(column) for column in columns]
    passed = min(p) >= ALPHA / len(QUANTITIES)
    lines = ["| quantity | coverage | p | width (median) | mean error |", "|---|---|---|---|---|"]
    for name, column, chance, wide, aside in zip(QUANTITIES, columns, p, width, off, strict=True):
        held_in = f"{column.sum():.0f}/{column.size} = {column.mean():.3f}"
        lines.append(f"| {name} | {held_in} | {chance:.4f} | {wide:.3g} | {aside:.2g} |")
    entered = np.median([row["entered"] for row in rows], axis=0)
    counts = ", ".join(f"{n:.0f} at {t:g} K" for n, t in zip(entered, T, strict=True))
    lines += [
        "",
        f"{len(rows)} systems; entries (median) {counts}; p of the counts below 0.05 in "
        f"{np.mean([row['p'] < 0.05 for row in rows]):.3f}.",
        f"Rule: smallest p >= {ALPHA / len(QUANTITIES):.5f} (exact binomial, 1 %, Bonferroni over "
        f"{len(QUANTITIES)}): " + ("PASS" if passed else "FAIL"),
    ]
    return "\n".join(lines), passed


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="number of systems")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--store", type=Path, default=Path("build/interface_temperatures.jsonl"))
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args(argv)
    head = {"seed": options.seed, "version": 2}
    study = partial(run_one, seed=options.seed)
    rows = resumed(options.store, head, study, options.n, workers=options.workers)
    text, passed = table(rows)
    print(text)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
