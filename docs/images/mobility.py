"""Draws the figure of docs/mobility.md: python docs/images/mobility.py (repository root)."""

import runpy
import shutil
import tempfile
from pathlib import Path

from click.testing import CliRunner

from mdcoeffs.cli import main as mdcoeffs


def main(folder: Path) -> None:
    """Make the run of cases/mobility in a folder, analyse it, and keep the figure."""
    runpy.run_path("cases/mobility/gates.py")["make"](folder)
    result = CliRunner().invoke(mdcoeffs, ["mobility", str(folder / "SPECIES.toml"), "-o", str(folder / "out")])
    assert result.exit_code == 0, result.output
    shutil.copy(folder / "out" / "mobility.png", "docs/images/mobility.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
