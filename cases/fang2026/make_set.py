"""Writes fang2026.toml: walkers of a known Onsager matrix -> estimate with error bars -> transport set.

    python cases/fang2026/make_set.py        (from the root of the repository; half a minute)

The matrix has what Fang 2026 (doi:10.1039/D5TA05739F) reports for POSS salts with z- = -20 at c+ = 0.2 mol/L: three
coefficients of comparable magnitude, t+0 = -1 and a current fraction above one half at once. Its size is assumed, so
that kappa is 0.06 S/m; a bounded motion with a relaxation time of 0.1 ns makes the onset sub-diffusive. Box, length and
number of runs are those of the paper: 7.9 nm, 100 ns in steps of 10 ps, four runs. No trajectory of the paper is used.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cellsim.base import F
from mdcoeffs.synthetic.walkers import Onset, Solvent, walk

HERE = Path(__file__).parent
C_SALT, Z = 10.0, (1, -20)
C_IONS = np.array([20 * C_SALT, C_SALT])
KAPPA, RHO_PLUS = 0.06, 0.7


def omega() -> np.ndarray:
    """Solvent-frame matrix with t+0 = -1: in Wheeler-Newman form L++ = a - s, L+- = a, L-- = a + 2 s."""
    s = KAPPA / (F * C_IONS[0]) ** 2
    newman = 1 / RHO_PLUS - 1
    a = s * (2 + 4 / newman)
    return np.array([[a - s, a], [a, a + 2 * s]]) * np.outer(C_IONS, C_IONS)


SPECIES = """
title = "POSS-like salt, z- = -20: walkers of known Onsager matrix"
temperature = "303 K"

[species.Li]
charge = 1
role = "cation"
count = {n_plus}
mass = "6.94 g/mol"

[species.POSS]
charge = -20
role = "anion"
count = {n_minus}
mass = "7361 g/mol"

[species.solvent]
role = "solvent"
count = {n_solvent}
mass = "89.06 g/mol"
"""

RECIPE = """
title = "POSS-like salt, z- = -20, from walkers of known Onsager matrix"
onsager = ["onsager"]

[salt]
formula = "POSS-PSLiTFSI (20 Li)"
M = "7.5 kg/mol"

[solvent]
name = "EC:DMC 1:1 by weight"
M = "89.06 g/mol"

[volumes]
V_e = "5400 cm^3/mol"
V_0 = "75.6 cm^3/mol"
source = "assumed, as in the set poss_ptf"

[chi]
value = 1
basis = "molal"
source = "assumed; the steady current fraction does not depend on it"
"""


def main() -> None:
    n_minus = 3
    n_solvent = round(n_minus * (1 / C_SALT - 5400e-6) / 75.6e-6)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text = SPECIES.format(n_plus=20 * n_minus, n_minus=n_minus, n_solvent=n_solvent)
        for k in range(4):
            run = walk(
                omega(), frames=10_001, dt=1e-11, seed=2026 + k, z=Z, n_salt=n_minus, c=C_SALT, T=303.0,
                masses=(6.94, 7361.0), solvents=Solvent(n_solvent, 89.06), onset=Onset(1e-10, omega()),
            )  # fmt: skip
            np.savez(folder / f"run{k}.npz", time=run.time, R=run.R, volume=run.volume)
            text += f'\n[[replica]]\narrays = "run{k}.npz"\n'
        (folder / "species.toml").write_text(text)
        (folder / "set.toml").write_text(RECIPE)
        command = str(Path(sys.executable).with_name("mdcoeffs"))
        subprocess.run([command, "onsager", "species.toml", "-o", "onsager"], cwd=folder, check=True)
        subprocess.run([command, "to-set", "set.toml", "-o", "fang2026.toml"], cwd=folder, check=True)
        made = (folder / "fang2026.toml").read_text()
        named = made.replace("from molecular dynamics;", "from synthetic walkers, not from a molecular simulation;")
        alone = "".join(line for line in named.splitlines(keepends=True) if not line.startswith("draws = "))
        # without the draws beside it: its covariance is enough for an example, and a file less is shipped
        (HERE / "fang2026.toml").write_text("# Written by make_set.py beside this file.\n" + alone)


if __name__ == "__main__":
    main()
