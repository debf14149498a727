"""Draws a figure of docs/series.md: python docs/images/hidden.py (repository root, after the simulations there)."""

from pathlib import Path

from mdcoeffs.series.calibration import calibrate, family_of, read_targets
from mdcoeffs.series.calibration_page import draw_calibration
from mdcoeffs.series.recipe import read_series
from mdcoeffs.series.run import run_series

if __name__ == "__main__":
    cases = Path("cases/coarse_grained")
    recipe = read_series(cases / "calibrate.toml")
    found = calibrate(family_of(run_series(recipe, Path("runs/calibrated"))), read_targets(cases / "hidden" / "a.csv"))
    draw_calibration(found, "docs/images/hidden.png", recipe.title)
