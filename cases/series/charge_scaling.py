"""Walkers of known transport at five charge scalings, two replicas each, for `mdcoeffs calibrate`.

    python cases/series/charge_scaling.py runs/scaling
    mdcoeffs calibrate runs/scaling/series.toml --measured runs/scaling/measured.csv -o runs/calibration

A second argument is the number of frames, 1001 when left out.
The law of the Onsager coefficients is made up: the smaller the charges, the faster and the less correlated the ions.
The "measured" values are those of a scaling of 0.78, with noise. Seeds are fixed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.synthetic.walkers import Onset, Solvent, walk

SCALINGS = (0.65, 0.72, 0.8, 0.9, 1.0)
HIDDEN, CHI = 0.78, 1.6
C, T, FRAMES, DT, RUNS, SEED = 1000.0, 350.0, 1001, 1e-12, 2, 20261130
N_SALT, N_SOLVENT = 20, 200
SPECIES = """title = "walkers, charges times {s:g}"
temperature = "350 K"

[species.Li]
role = "cation"
charge = 1
count = {n}
mass = "6.94 g/mol"
[species.X]
role = "anion"
charge = -1
count = {n}
mass = "280 g/mol"
[species.S]
role = "solvent"
count = {n_solvent}
mass = "88 g/mol"

{replicas}"""
SERIES = """title = "walkers of known transport, charges scaled"

[series]
variable = "charge_scaling"
"""
STATE = """
[[state]]
value = {s:g}
species = "s{s:g}/SPECIES.toml"
"""


def omega(s: float) -> np.ndarray:
    """The made-up matrix, solvent frame [mol^2/(J m s)]."""
    plus, minus = 1e-10 * np.exp(-5.0 * (s - 0.8)), 1.5e-10 * np.exp(-3.5 * (s - 0.8) - 4.0 * (s - 0.8) ** 2)
    cross = np.tanh(0.15 + 1.6 * (s - 0.65)) * np.sqrt(plus * minus)
    return np.array([[plus, cross], [cross, minus]])


def make(folder: Path, frames: int = FRAMES) -> None:
    """Write displacements, SPECIES.toml of each state, series.toml and measured.csv."""
    series = SERIES
    for k, s in enumerate(SCALINGS):
        here = folder / f"s{s:g}"
        here.mkdir(parents=True, exist_ok=True)
        tables = []
        for replica in range(RUNS):
            run = walk(
                omega(s),
                frames=frames,
                dt=DT,
                seed=np.random.SeedSequence([SEED, k, replica]),
                n_salt=N_SALT,
                c=C,
                T=T,
                masses=(6.94, 280.0),
                solvents=Solvent(N_SOLVENT, 88.0),
                onset=Onset(5e-12, 0.5 * omega(s)),
            )
            np.savez(here / f"r{replica}.npz", time=run.time, R=run.R, volume=run.volume)
            tables.append(f'[[replica]]\narrays = "r{replica}.npz"\n')
        text = SPECIES.format(s=s, n=N_SALT, n_solvent=N_SOLVENT, replicas="\n".join(tables))
        (here / "SPECIES.toml").write_text(text, encoding="utf-8")
        series += STATE.format(s=s)
    (folder / "series.toml").write_text(series, encoding="utf-8")
    m = OnsagerMatrix(omega(HIDDEN), (1, -1), (1, 1), C, T, "solvent")
    rng = np.random.default_rng(SEED)
    true = {"kappa": (m.kappa, 0.03, "S/m"), "rho_plus": (m.rho_plus, 0.05, "1"), "chi": (CHI, 0.05, "1")}
    true["D_salt"] = (m.diffusion(CHI), 0.05, "m^2/s")
    rows = ["quantity,value,error,unit,source"]
    for name, (value, relative, unit) in true.items():
        noisy = value * (1 + relative * rng.standard_normal())
        rows.append(f"{name},{noisy:.4g},{relative * value:.2g},{unit},made up: a scaling of {HIDDEN} with noise")
    (folder / "measured.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES)
