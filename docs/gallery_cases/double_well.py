"""Positions of ions that hop in a double well of known barrier: python docs/gallery_cases/double_well.py FOLDER.

Synthetic: the walk of benchmarks/interface_double_well.py, 4 k_B T high at 600 K, symmetric, one fixed seed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SPECIES = """title = "Ions in a double well (synthetic)"
temperature = "600 K"
arrays = "run.npz"

[units]
position = "angstrom"
time = "ps"

[species.Li]
charge = 1
role = "cation"
mass = "6.94 g/mol"

[species.gel]
role = "solvent"
mass = "1000 g/mol"

[interface]
bin = "0.375 angstrom"
net_charge = 20
charge = false

[interface.regions.right]
points = "Li"
between = ["0 angstrom", "19 angstrom"]
margin = "6 angstrom"

[interface.barriers.top]
points = "Li"
zero = "-10 angstrom"
well = ["-13.5 angstrom", "-6.5 angstrom"]
top = ["-3 angstrom", "3 angstrom"]
region = "right"
"""


def main(folder: Path) -> None:
    """Write run.npz and SPECIES.toml."""
    name = "interface_double_well"
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    study = importlib.util.module_from_spec(spec)
    sys.modules[name] = study
    spec.loader.exec_module(study)
    frames, well = 1500, study.make_well(4.0, 0.0)
    sites = study.simulate(well, frames, round(8 * study.residence(well) / frames), 11)
    where = np.zeros((frames, study.WALKERS + 1, 3))
    jitter = np.random.default_rng(1).uniform(-0.18, 0.18, sites.shape)  # no ion on the edge of a bin
    where[:, :-1, 2] = np.mod(20.0 + 10.0 * study.X[sites] + jitter, 40.0)
    labels = ["Li"] * study.WALKERS + ["gel"]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "run.npz", positions=where, labels=labels, time=np.arange(frames), box=np.diag([10, 10, 40.0]))
    (folder / "SPECIES.toml").write_text(SPECIES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
