"""Do the 95 % intervals on the page of `mdcoeffs series` hold the truth in 95 % of synthetic families?

    python benchmarks/series_coverage.py --n 200 --seed 20261129

A family is six temperatures with three replicas each: trajectories of walkers whose Onsager coefficients follow
Arrhenius' law exactly, read and estimated as the command does. With ``--motion bounded`` motions that end after 3 to 8
frames are added and the steps persist; runs of 200 frames are too short to show them, which is what that study
measures. A quantity passes when the exact binomial test over all states (laws:
over all families) does not find that its intervals hold the truth too rarely, 1 % level, Bonferroni over the
quantities; intervals that hold it more often than 95 % are shown as they are. Resumable; the random numbers of family
k are those of (seed, k).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from studies import resumed

from cellsim.base import Array, InputError, R
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs import onsager
from mdcoeffs.analysis import analyse
from mdcoeffs.inputs.species import read_species
from mdcoeffs.series.quantities import PAIRS, PANELS, Found, of_salt, panel_of
from mdcoeffs.series.temperature import fit_law
from mdcoeffs.synthetic.walkers import Onset, Solvent, particles, walk

TEMPERATURES = np.array([300.0, 320.0, 340.0, 360.0, 380.0, 400.0])
REPLICAS = 3
DT = 1e-12
OMEGA = np.array([[1.0, 0.25], [0.25, 1.4]]) * 1e-10
"""At 350 K [mol^2/(J m s)]."""
D_SELF = np.array([3.5e-10, 4.5e-10, 9e-10])
"""Of cation, anion and solvent at 350 K [m^2/s]."""
ENERGY = {"kappa": 25e3, "D_self_plus": 22e3, "D_self_minus": 22e3}
"""Of the quantities that follow Arrhenius' law exactly [J/mol]."""
LEVEL, ALPHA = 0.95, 0.01
SPECIES = """temperature = "{T} K"
[species.Li]
role = "cation"
charge = 1
[species.X]
role = "anion"
charge = -1
[species.S]
role = "solvent"
{replicas}
"""


def law(T: float, energy: float) -> float:
    """Arrhenius' factor, 1 at 350 K."""
    return math.exp(-energy / R * (1 / T - 1 / 350.0))


def state(folder: Path, T: float, frames: int, bounded: bool, rng: np.random.Generator) -> tuple[Array, Array]:
    """Write the trajectories of one state; its true Omega (solvent frame) and self-diffusion coefficients."""
    Omega, D = OMEGA * law(T, ENERGY["kappa"]), D_SELF * law(T, ENERGY["D_self_plus"])
    onset = (Onset(DT * rng.uniform(3, 8), rng.uniform(0.08, 0.3) * np.diag(np.diag(Omega))),) if bounded else ()
    tables, self_D = [], []
    for replica in range(REPLICAS):
        run = walk(
            Omega,
            frames=frames,
            dt=DT,
            seed=rng,
            n_salt=16,
            T=T,
            solvents=Solvent(64, 88.0),
            onset=onset,
            ballistic_time=0.3 * DT if bounded else 0.0,
        )
        made = particles(run, D, seed=rng)
        # a particle's long-time motion is its own and the long-time share of the collective one, in the box's frame
        shared = np.array([np.mean(np.diff(run.R[:, k] / run.counts[k], axis=0) ** 2) / (2 * DT) for k in (0, 1)])
        self_D.append(D[:2] - shared)
        np.savez(
            folder / f"r{replica}.npz",
            time=run.time,
            positions=made.positions % run.volume ** (1 / 3),
            box=np.eye(3) * run.volume ** (1 / 3),
            labels=np.array(["Li", "X", "S"])[made.species],
            masses=np.array(run.masses)[made.species],
        )
        tables.append(f'[[replica]]\narrays = "r{replica}.npz"')
    (folder / "SPECIES.toml").write_text(SPECIES.format(T=T, replicas="\n".join(tables)), encoding="utf-8")
    return Omega, np.mean(self_D, axis=0)


def truth(found: OnsagerMatrix, Omega: Array, own: Array, c_solvent: float) -> dict[str, float]:
    """True values of the page's quantities, by name."""
    m = OnsagerMatrix(Omega, found.z, found.nu, found.c, found.T, "solvent", composition=found.composition)
    box = m.to_frame("barycentric")
    D = own + np.diag(box.Omega) * R * m.T / m.c_ions / 16  # 16 ions of each kind share the collective motion
    ideal, D_ij = m.ideal(float(D[0]), float(D[1])), m.stefan_maxwell(c_solvent)
    assert ideal.Omega_distinct is not None
    values = {"kappa": m.kappa, "rho_plus": m.rho_plus, "t_plus_solvent": m.t_plus, "t_plus_barycentric": box.t_plus}
    for each in (m, box):
        values |= {f"Omega_{pair}_{each.frame}": float(each.Omega[i, j]) for pair, (i, j) in PAIRS.items()}
    values |= {"t_app": ideal.t_app, "kappa_NE": ideal.kappa_NE, "ionicity": ideal.ionicity}
    for k, ion in enumerate(("plus", "minus")):
        values |= {f"D_self_{ion}": float(D[k]), f"Omega_self_{ion}": ideal.Omega_self[k]}
        values[f"Omega_distinct_{ion}"] = ideal.Omega_distinct[k]
        values[f"self_share_{ion}"] = ideal.Omega_self[k] / (ideal.Omega_self[k] + ideal.Omega_distinct[k])
    for name in ("D_plus_0", "D_minus_0", "D_plus_minus"):
        values[name] = getattr(D_ij, name)
        values[name.replace("D_", "friction_", 1)] = R * m.T / getattr(D_ij, name)
    return values


def family(
    k: int, seed: int, frames: int, temperatures: Sequence[float] = tuple(TEMPERATURES), *, bounded: bool = False
) -> dict[str, Any]:
    """Make, estimate and fit family k: which intervals hold, by quantity."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    held: dict[str, list[int]] = {}
    values: dict[str, list[Found]] = {}
    used = []
    refused = 0
    for T in temperatures:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            Omega, own = state(folder, T, frames, bounded, rng)
            try:
                result = analyse(onsager.ANALYSIS, read_species(folder / "SPECIES.toml"))
            except InputError:
                refused += 1
                continue
        known = truth(result.matrix, Omega, own, result.c_solvent)
        used.append(T)
        for each in of_salt(result.matrix, result.numbers()):
            if not each.bounded:
                continue  # a Stefan-Maxwell coefficient whose inverse may be zero: the friction is counted instead
            held.setdefault(each.name, []).append(int(each.low <= known[each.name] <= each.high))
            values.setdefault(each.name, []).append(each)
    for name, energy in ENERGY.items():
        # with bounded motions the collective part of D_self follows another law than its own part
        if len(values.get(name, [])) == len(used) >= 3 and not (bounded and name != "kappa"):
            fit = fit_law("arrhenius", used, values[name], sign=PANELS[panel_of(name)].sign)
            low, high = fit.parameters["E"][1:]
            held[f"E of {name}"] = [int(low <= energy <= high)]
            held[f"p of {name}"] = [int(fit.p >= 0.05)]
            if name == "kappa":
                one = law(1e300, energy) * float(np.array([1, -1]) @ OMEGA @ np.array([1, -1])) * 96485.33212331**2
                low, high = fit.parameters["A"][1:]
                held["A of kappa"] = [int(low <= one <= high)]
    return {"k": k, "held": held, "refused": refused}


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Quantity -> intervals that hold, and all."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        for name, held in row["held"].items():
            before = found.get(name, (0, 0))
            found[name] = (before[0] + sum(held), before[1] + len(held))
    return found


def too_rare(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Quantities whose intervals hold the truth too rarely, with the probability of so few."""
    all_counts = counts(rows)
    p = {name: float(binomtest(k, n, LEVEL, alternative="less").pvalue) for name, (k, n) in all_counts.items()}
    return {name: value for name, value in p.items() if value < ALPHA / len(p)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Coverage by quantity; those of E, A and p (at least 0.05) are counted once a family."""
    head = ("families", "n", "quantity", "held", "of", "p (two-sided)")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, (held, of) in counts(rows).items():
        p = float(binomtest(held, of, LEVEL).pvalue)
        lines.append(f"| all | {len(rows)} | {name} | {held / of:.3f} | {of} | {p:.3g} |")
    lines.append(f"\nStates refused: {sum(row['refused'] for row in rows)}.")
    bad = too_rare(rows)
    verdict = f"FAIL ({', '.join(bad)})" if bad else "PASS"
    lines.append(f"Rule: no interval holds the truth too rarely: {verdict}")
    return "\n".join(lines)


class Study:
    """Family k of a study; what workers are sent."""

    def __init__(self, seed: int, frames: int, bounded: bool) -> None:
        self.seed, self.frames, self.bounded = seed, frames, bounded

    def __call__(self, k: int) -> dict[str, Any]:
        return family(k, self.seed, self.frames, bounded=self.bounded)


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rule holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="number of families")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--frames", type=int, default=201, help="frames of each replica")
    parser.add_argument("--motion", choices=("plain", "bounded"), default="plain")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--store", type=Path, default=Path("build/series_coverage.jsonl"))
    options = parser.parse_args(argv)
    head = {"seed": options.seed, "frames": options.frames, "motion": options.motion, "version": 2}
    study = Study(options.seed, options.frames, options.motion == "bounded")
    rows = resumed(options.store, head, study, options.n, workers=options.workers)
    print(table(rows))
    return 1 if too_rare(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
