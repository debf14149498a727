"""Walkers of known transport at six temperatures, three replicas each, for `mdcoeffs series`.

    python cases/series/walkers.py runs/walkers
    mdcoeffs series runs/walkers/series.toml -o runs/series

A second argument is the number of frames, 601 when left out.
A salt LiX in S whose particles do not know of one another. Its Onsager coefficients follow Arrhenius' law with 25
kJ/mol, the self-diffusion coefficients one with 22 kJ/mol, so the ionicity changes with temperature. Seeds are fixed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from cellsim.base import R
from mdcoeffs.synthetic.walkers import Solvent, particles, walk

HERE = Path(__file__).parent
TEMPERATURES = (300.0, 320.0, 340.0, 360.0, 380.0, 400.0)
REPLICAS = 3
FRAMES = 601
DT = 1e-12  # s
OMEGA = np.array([[1.0, 0.25], [0.25, 1.4]]) * 1e-10  # mol^2/(J m s), at 350 K
D_SELF = np.array([3.5e-10, 4.5e-10, 9e-10])  # m^2/s, of Li, X and S at 350 K
E_OMEGA, E_SELF = 25e3, 22e3  # J/mol
SPECIES = """title = "walkers, {T:g} K"
temperature = "{T:g} K"

[units]
position = "angstrom"
time = "ps"

[species.Li]
role = "cation"
charge = 1
[species.X]
role = "anion"
charge = -1
[species.S]
role = "solvent"

[structure]
cutoffs = {{ X = "4 angstrom", S = "4 angstrom" }}

{replicas}"""


def law(T: float, energy: float) -> float:
    """Arrhenius' factor, 1 at 350 K."""
    return float(np.exp(-energy / R * (1 / T - 1 / 350.0)))


def make(folder: Path, *, frames: int = FRAMES) -> None:
    """Write trajectories, SPECIES.toml of each temperature, series.toml and measured.csv."""
    for k, T in enumerate(TEMPERATURES):
        here = folder / f"T{T:g}"
        here.mkdir(parents=True, exist_ok=True)
        tables = []
        for replica in range(REPLICAS):
            seed = np.random.SeedSequence([20261129, k, replica]).spawn(2)
            run = walk(
                OMEGA * law(T, E_OMEGA), frames=frames, dt=DT, seed=seed[0], n_salt=16, T=T, solvents=Solvent(64, 88.0)
            )
            made = particles(run, D_SELF * law(T, E_SELF), seed=seed[1])
            edge = run.volume ** (1 / 3)
            np.savez_compressed(
                here / f"r{replica}.npz",
                time=run.time * 1e12,
                positions=np.asarray((made.positions % edge) * 1e10, dtype=np.float32),
                box=np.eye(3) * edge * 1e10,
                labels=np.array(["Li", "X", "S"])[made.species],
                masses=np.array(run.masses)[made.species],
            )
            tables.append(f'[[replica]]\narrays = "r{replica}.npz"\n')
        (here / "SPECIES.toml").write_text(SPECIES.format(T=T, replicas="\n".join(tables)), encoding="utf-8")
    for name in ("series.toml", "measured.csv"):
        shutil.copy(HERE / name, folder / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]), frames=int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES)
