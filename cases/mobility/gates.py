"""Made-up cations that jump through windows of three atoms, for `mdcoeffs mobility` (docs/mobility.md).

    python cases/mobility/gates.py runs/gates
    mdcoeffs mobility runs/gates/SPECIES.toml -o runs/gates/mobility

24 Li, each between two sites 2.5 angstrom apart with a triangle of three S between them; 60 ps in frames of 20 fs. The
triangle is 25 % larger while a Li passes; of the jumps of two neighbours three in ten are jumps of both; Li vibrates
at 7.5 THz and S at 3.75 THz.
"""

import sys
from pathlib import Path

import numpy as np

from mdcoeffs.synthetic.jumps import Gates, gates

CATIONS, FRAMES, DT, LENGTH, SEED = 24, 3001, 20e-15, 2.5e-10, 20261129
WINDOW = 5
"""Frames on each side of a jump in which a neighbour's jump coincides: 0.1 ps."""
SPECIES = """title = "cations that jump through windows"
temperature = "300 K"
arrays = "run.npz"

[species.Li]
role = "cation"
charge = 1

[species.S]
role = "anion"
charge = -0.3333333333333333

[mobility]
framework = ["S"]
window = ["1 ps", "10 ps"]

[mobility.bottleneck]
corners = "S"
jump = "1.25 angstrom"
half = "0.1 ps"
longest = "0.6 ps"

[mobility.cooperative]
jump = "1.25 angstrom"
half = "0.1 ps"
window = "0.1 ps"
cutoff = "8.5 angstrom"

[mobility.vibrations]
resolution = "0.5 THz"
"""


def make(folder: Path, frames: int = FRAMES) -> Gates:
    """Write positions and SPECIES.toml; the run with its known answers."""
    run = gates(cations=CATIONS, frames=frames, rng=np.random.default_rng(SEED), noise=0.05)
    folder.mkdir(parents=True, exist_ok=True)
    positions = np.concatenate([run.cations, run.corners]) * LENGTH
    np.savez(
        folder / "run.npz",
        time=DT * np.arange(frames),
        positions=positions.transpose(1, 0, 2),
        labels=np.repeat(["Li", "S"], [CATIONS, 3 * CATIONS]),
        masses=np.repeat([6.94, 32.06], [CATIONS, 3 * CATIONS]) * 1.66053907e-27,
        box=np.diag([6.0, 3.0 * CATIONS, 6.0]) * LENGTH,
    )
    (folder / "SPECIES.toml").write_text(SPECIES, encoding="utf-8")
    return run


if __name__ == "__main__":
    made = make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES)
    closed = made.area * LENGTH**2 * 1e20
    print(
        f"window {closed:.3f} angstrom^2, +{100 * made.opening:g} % at a jump; jumps together {made.ratio(WINDOW):.3g}"
    )
