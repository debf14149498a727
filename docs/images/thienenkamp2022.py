"""Draws the figure of validation/thienenkamp2022: python docs/images/thienenkamp2022.py (repository root, a minute)."""

import sys
from pathlib import Path

from cellsim.fit.checks import whiteness

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "validation" / "thienenkamp2022"))

from thienenkamp2022_cell import Choice, fit, noise_of, signal_size  # noqa: E402
from thienenkamp2022_checks import voltage  # noqa: E402
from thienenkamp2022_figure import draw  # noqa: E402


def main() -> None:
    first = fit(Choice())
    found = fit(Choice(), first.values, noise_of(first)[:2], signal_size(first)[1])
    look = whiteness(found, signal_size(found)[0].shape)
    draw(HERE / "thienenkamp2022.png", found, look, voltage(Choice(), found, 80))


if __name__ == "__main__":
    main()
