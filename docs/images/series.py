"""Draws figures of docs/series.md and docs/interface.md: python docs/images/series.py (repository root, minutes)."""

import runpy
import shutil
import sys
import tempfile
from pathlib import Path

from mdcoeffs.series.page import write_series
from mdcoeffs.series.recipe import read_series
from mdcoeffs.series.run import run_series


def main(folder: Path) -> None:
    """Make the runs of cases/series in a folder, analyse them, and keep one figure of each."""
    for case, figure, kept in (("walkers", "transport", "series"), ("wall", "barrier_slab", "barrier_slab")):
        runpy.run_path(f"cases/series/{case}.py")["make"](folder / case)
        out = folder / f"{case}_out"
        write_series(run_series(read_series(folder / case / "series.toml"), out), out)
        shutil.copy(out / f"{figure}.png", f"docs/images/{kept}.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a folder that keeps the analyses
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
