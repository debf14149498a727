"""Draws the figures of docs/tutorial.md by the page's own commands: python docs/images/tutorial.py (a minute).

The fit is run with its profile likelihoods, as a reader runs it.
"""

import shutil
import tempfile
from pathlib import Path

from cellsim.cli import main as cellsim

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "cases" / "fit_example"
FIGURES = {
    "tutorial_current.png": "cell/current.png",
    "tutorial_profiles.png": "cell/profiles.png",
    "tutorial_velocities.png": "cell/velocities.png",
    "tutorial_beside.png": "beside/compare_current.png",
    "tutorial_interfaces.png": "beside_again/compare_current.png",
    "tutorial_measured.png": "beside_again/compare_profiles.png",
    "tutorial_fit.png": "fit/fit_profiles.png",
}


def main() -> None:
    data = [str(EXAMPLE / "current.csv"), str(EXAMPLE / "profiles.csv")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case, area = str(folder / "my_cell.toml"), ["--set", "area=1 cm^2"]
        interfaces = ["--set", "resistance=200 ohm cm^2"]
        for words in (
            ["new", case],
            ["run", case, *area, "-o", str(folder / "cell")],
            ["compare", str(folder / "cell"), *data, "-o", str(folder / "beside")],
            ["run", case, *area, *interfaces, "-o", str(folder / "again"), "--no-figures"],
            ["compare", str(folder / "again"), *data, "-o", str(folder / "beside_again")],
            ["fit", str(EXAMPLE / "fit.toml"), "-o", str(folder / "fit")],
        ):
            cellsim(words, standalone_mode=False)
        for figure, made in FIGURES.items():
            shutil.copyfile(folder / made, HERE / figure)


if __name__ == "__main__":
    main()
