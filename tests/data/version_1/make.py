"""Writes the files of version 1 that later versions must read (test_files_of_version_1.py): everything is made up.

    python tests/data/version_1/make.py        (from the root, with version 1.0; ten seconds)

Walkers of a known Onsager matrix are estimated (onsager/), made into a transport set (salt.toml, salt.draws.nc) and
polarised (cell.toml, run/). Do not run it again with a later version: its purpose is to be old.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mdcoeffs.synthetic.walkers import Solvent, walk

HERE = Path(__file__).parent
OMEGA = [[1.0e-10, 0.2e-10], [0.2e-10, 1.5e-10]]

SPECIES = """
title = "Walkers of a known Onsager matrix"
temperature = "300 K"
arrays = "walkers.npz"

[species.Li]
charge = 1
role = "cation"
count = 50
mass = "6.94 g/mol"

[species.TFSI]
charge = -1
role = "anion"
count = 50
mass = "280.15 g/mol"

[species.solvent]
role = "solvent"
count = 420
mass = "90.1 g/mol"
"""

RECIPE = """
title = "Made-up salt, from walkers of a known Onsager matrix"
onsager = ["onsager"]

[salt]
formula = "LiTFSI"
M = "287.08 g/mol"

[solvent]
name = "DME"
M = "90.1 g/mol"

[volumes]
V_e = "140 cm^3/mol"
V_0 = "104 cm^3/mol"
source = "assumed"

[chi]
value = 1.2
basis = "molal"
source = "assumed"
"""

CELL = """
title = "Files of version 1"

[cell]
thickness = "100 um"
temperature = "300 K"

[electrolyte]
transport = "salt.toml"
salt = { c = "0.923 mol/L" }

[[step]]
hold = "voltage"
value = "10 mV"
duration = "10 min"

[output]
interval = "1 min"
profiles_at = ["0 s", "1 min", "10 min"]

[solver]
cells = 12
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = walk(
            OMEGA, frames=400, dt=1e-11, seed=1, n_salt=50, c=923.0, masses=(6.94, 280.15), solvents=Solvent(420, 90.1)
        )
        np.savez(folder / "walkers.npz", time=run.time, R=run.R, volume=run.volume)
        for name, text in {"SPECIES.toml": SPECIES, "recipe.toml": RECIPE, "cell.toml": CELL}.items():
            (folder / name).write_text(text.lstrip(), encoding="utf-8")
        command(folder, "mdcoeffs", "onsager", "SPECIES.toml", "-o", "onsager")
        command(folder, "mdcoeffs", "to-set", "recipe.toml", "-o", "salt.toml")
        command(folder, "cellsim", "run", "cell.toml", "--solver", "sundials", "--no-figures", "-o", "run")
        summary = folder / "run" / "summary.json"
        summary.write_text(summary.read_text().replace(f"{folder}/", ""), encoding="utf-8")
        for name in ("SPECIES.toml", "walkers.npz", "cell.toml", "salt.toml", "salt.draws.nc", "run", "onsager"):
            source, target = folder / name, HERE / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.png", "*.html"))
            else:
                shutil.copy(source, target)


def command(folder: Path, program: str, *words: str) -> None:
    subprocess.run([sys.executable, "-m", program, *words], cwd=folder, check=True)


if __name__ == "__main__":
    main()
