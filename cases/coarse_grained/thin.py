"""Keep every fourth frame of the long run: runs/long -> cases/coarse_grained/long, the folder that is shipped.

mdcoeffs simulate cases/coarse_grained/long.toml -o runs/long
python cases/coarse_grained/thin.py runs/long
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from cellsim.files.writing import write_arrays
from mdcoeffs.md.simulate import run_folder
from mdcoeffs.md.system import read_system

EVERY = 4


def main(source: Path, target: Path) -> None:
    file = read_system(source / "system.toml")
    for point in file.all_points:
        here, there = run_folder(source, point), run_folder(target, point)
        if not (here / "run.json").is_file():
            print(f"{point.state}/{point.label} is not finished; left out")
            continue
        there.mkdir(parents=True, exist_ok=True)
        with np.load(here / "displacements.npz") as run:
            thinned = {
                "time": run["time"][::EVERY],
                "R": run["R"][::EVERY].astype(np.int32),
                "volume": run["volume"],
                "log": run["log"][::EVERY].astype(np.float32),
            }
            write_arrays(there / "displacements.npz", thinned)
        shutil.copy(here / "run.json", there)
        shutil.copy(here.parent / "SPECIES.toml", there.parent)
    shutil.copy(source / "system.toml", target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "long")
