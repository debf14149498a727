"""Ions that cross the two faces of a slab at four temperatures, made up, for `mdcoeffs series` with `interface`.

    python cases/series/wall.py runs/wall
    mdcoeffs series runs/wall/series.toml -o runs/wall_series

A second argument is the number of frames, 8000 when left out.
The free energy has the features of Kozdra 2025 (doi:10.1039/d5cp01988e): a flank of 1850 K/angstrom, wells that lie
0.18, 0.35 and 0.45 angstrom nearer to the slab at 600, 500 and 400 K, and a barrier dF = dE - 1850 K/angstrom shift - T
dS that is 300 K higher on the left. The numbers on the right, dE and dS, are ours, so that enough ions cross. The ions
do not know of one another; their places at two frames are drawn from the exact probabilities of the walk in between.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

DE, DS, HIGHER = 3900.0, -0.5, 300.0  # K, 1, K
SLOPE, CURVE = 1850.0, 1000.0  # K/angstrom, K/angstrom^2
SHIFT = {400.0: 0.45, 500.0: 0.35, 600.0: 0.18, 700.0: 0.0}  # angstrom
FACE, END, HALF_BOX, STEP = 8.0, 17.0, 30.0, 0.2  # angstrom
IONS, FRAMES, INTERVAL = 120, 8000, 0.05  # ns
ENTRIES = 700  # expected at 700 K
Z = np.arange(-END + STEP / 2, END, STEP)
SPECIES = """title = "slab, {T:g} K (synthetic)"
temperature = "{T:g} K"
arrays = "run.npz"

[units]
position = "angstrom"
time = "ns"

[species.Li]
charge = 1
role = "cation"
mass = "6.94 g/mol"

[species.slab]
charge = -120
role = "anion"
mass = "1000 g/mol"

[interface]
origin = "slab"
bin = "0.2 angstrom"
charge = false

[interface.regions.slab]
points = "Li"
between = ["-8 angstrom", "8 angstrom"]
margin = "2 angstrom"

[interface.barriers.RIGHT]
points = "Li"
zero = "0.1 angstrom"
well = ["{near:.2f} angstrom", "{far:.2f} angstrom"]
top = ["7.3 angstrom", "8.7 angstrom"]
flank = ["9.4 angstrom", "{start:.2f} angstrom"]
region = "slab"

[interface.barriers.LEFT]
points = "Li"
zero = "-0.1 angstrom"
well = ["-{far:.2f} angstrom", "-{near:.2f} angstrom"]
top = ["-8.7 angstrom", "-7.3 angstrom"]
flank = ["-{start:.2f} angstrom", "-9.4 angstrom"]
region = "slab"
"""
SERIES = """title = "A slab at four temperatures (made up)"

[series]
variable = "T"
analyses = ["interface"]
fits = []
predict = ["330 K"]
"""
HALF = SLOPE / (2 * CURVE)


def well_of(T: float) -> float:
    """Where the outer well lies, from the face [angstrom]; the same on both sides."""
    return (DE - 2 * CURVE * HALF**2) / SLOPE + 2 * HALF - SHIFT[T]


def free_energy(T: float) -> np.ndarray:
    """F over k_B on the sites [K]; zero inside the slab."""
    x = np.abs(Z) - FACE  # from the face outwards
    right = DE - SLOPE * SHIFT[T] - T * DS
    inner = DE - SLOPE * SHIFT[T] + 300.0  # of the face from within
    top = np.where(Z > 0, right, right + HIGHER)
    bend = CURVE * HALF**2
    turn = np.clip((x - HALF) / 0.4, 0.0, 1.0)  # the entropy, and what the left face is higher, change beside the top
    drop = top - (DE - SLOPE * SHIFT[T])
    well = well_of(T)
    outer = np.where(x < well - HALF, -bend - SLOPE * (x - HALF), -(DE - SLOPE * SHIFT[T]) + CURVE * (x - well) ** 2)
    outer = np.where(x > well, np.minimum(outer, -(DE - SLOPE * SHIFT[T]) + 700.0), outer) - drop * turn**2 * (
        3 - 2 * turn
    )
    depth = np.minimum(inner, bend + SLOPE * (-x - HALF))
    return np.where(np.abs(x) < HALF, -CURVE * x**2, np.where(x > 0, outer, -depth)) + inner


def walk(T: float, steps: int, rng: np.random.Generator, frames: int = FRAMES) -> np.ndarray:
    """Sites of all ions, (frames, ions): they start in equilibrium and hop `steps` times between two frames."""
    F = free_energy(T)
    n, up = Z.size, 0.45 * T / 700.0 / (1 + np.exp(np.diff(F) / T))
    P = np.diag(up, 1) + np.diag(0.45 * T / 700.0 - up, -1)
    P += np.diag(1 - P.sum(axis=1))
    jump = np.cumsum(np.linalg.matrix_power(P, steps), axis=1)
    weight = np.exp(-(F - F.min()) / T)
    sites = np.empty((frames, IONS), dtype=int)
    sites[0] = rng.choice(n, IONS, p=weight / weight.sum())
    for k in range(1, frames):
        sites[k] = np.minimum((jump[sites[k - 1]] < rng.random((IONS, 1))).sum(axis=1), n - 1)
    return sites


def hops_between_frames() -> int:
    """So many that about `ENTRIES` ions enter at 700 K."""
    F, T = free_energy(700.0), 700.0
    weight = np.exp(-(F - F.min()) / T)
    weight /= weight.sum()
    flux = 0.0
    for side in (1, -1):
        over = (side * Z > FACE - 2) & (side * Z < FACE + 2)
        flux += 1 / np.sum(1 / (0.225 * weight[over]))
    return max(1, round(ENTRIES / (flux * IONS * FRAMES)))


def make(folder: Path, *, frames: int = FRAMES) -> None:
    """Write a trajectory and a SPECIES.toml for each temperature, and series.toml."""
    steps, text = hops_between_frames(), SERIES
    for k, T in enumerate(SHIFT):
        here = folder / f"T{T:g}"
        here.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([20261130, k])
        where = np.zeros((frames, IONS + 1, 3), dtype=np.float32)
        where[:, :-1, 2] = HALF_BOX + Z[walk(T, steps, rng, frames)] + rng.uniform(-0.09, 0.09, (frames, IONS))
        where[:, -1, 2] = HALF_BOX
        np.savez_compressed(
            here / "run.npz",
            time=np.arange(frames) * INTERVAL,
            positions=where,
            box=np.diag([25.0, 25.0, 2 * HALF_BOX]),
            labels=["Li"] * IONS + ["slab"],
        )
        well = FACE + well_of(T)
        places = {"near": well - 0.7, "far": well + 0.7, "start": well - HALF}
        (here / "SPECIES.toml").write_text(SPECIES.format(T=T, **places), encoding="utf-8")
        text += f'\n[[state]]\nspecies = "T{T:g}/SPECIES.toml"\n'
    (folder / "series.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), frames=int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES)
