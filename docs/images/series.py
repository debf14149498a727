"""Draws the figure of docs/series.md: python docs/images/series.py (repository root, a few minutes)."""

import runpy
import shutil
import sys
import tempfile
from pathlib import Path

from mdcoeffs.series.page import write_series
from mdcoeffs.series.recipe import read_series
from mdcoeffs.series.run import run_series


def main(folder: Path) -> None:
    """Make the walkers of cases/series in a folder, analyse them, and keep the figure of the transport coefficients."""
    runpy.run_path("cases/series/walkers.py")["make"](folder / "walkers")
    series = run_series(read_series(folder / "walkers" / "series.toml"), folder / "out")
    write_series(series, folder / "out")
    shutil.copy(folder / "out" / "transport.png", "docs/images/series.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a folder that keeps the analyses
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
