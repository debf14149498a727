"""Draws the figure of a calibration in docs/series.md: python docs/images/calibration.py (repository root)."""

import runpy
import sys
import tempfile
from pathlib import Path

from mdcoeffs.series.calibration import calibrate, family_of, read_targets
from mdcoeffs.series.calibration_page import draw_calibration
from mdcoeffs.series.recipe import read_series
from mdcoeffs.series.run import run_series


def main(folder: Path) -> None:
    """Make the walkers of cases/series/charge_scaling.py in a folder, analyse them, calibrate, and draw."""
    runpy.run_path("cases/series/charge_scaling.py")["make"](folder / "scaling")
    recipe = read_series(folder / "scaling" / "series.toml")
    series = run_series(recipe, folder / "out")
    found = calibrate(family_of(series), read_targets(folder / "scaling" / "measured.csv"))
    draw_calibration(found, "docs/images/calibration.png", recipe.title)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a folder that keeps the analyses
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
