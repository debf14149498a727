"""A transport set made of results of molecular dynamics: its text, what to say of it, the draws beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cellsim.base import Array
from cellsim.electrolyte.set_covariance import write_draws
from cellsim.files.writing import write_text

WIDTH = 0.2
"""A set from one composition is valid within this fraction of it, unless [range] says otherwise."""
FILLED = 0.1
"""How far the volumes may be from filling the box simulated [1]; force fields miss densities by less."""
DRAWS = ".draws.nc"
"""What the file of a set's draws adds to the stem of the set's."""
SOURCE_OF_DRAWS = "posterior samples of the Onsager matrices"


@dataclass(frozen=True)
class MadeSet:
    """A transport set made from Onsager matrices.

    Parameters
    ----------
    text : str
        The TOML.
    notes : tuple of str
        What the user must know.
    numbers : tuple of str
        Numbers of the set that have draws.
    draws : ndarray, shape (draws, numbers), optional
        Joint draws of them, in the units of the file.
    """

    text: str
    notes: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    draws: Array | None = None

    def write(self, path: str | Path) -> list[Path]:
        """Write the set, and its draws beside it under the same name with the ending .nc.

        Parameters
        ----------
        path : str or Path
            Of the TOML; its stem must be the name the set was made with.

        Returns
        -------
        list of Path
        """
        path = Path(path)
        written = []
        if self.draws is not None:  # first: a set never names draws that are not there
            beside = path.with_name(f"{path.stem}{DRAWS}")
            written.append(write_draws(beside, self.numbers, self.draws, source=SOURCE_OF_DRAWS))
        return [write_text(path, self.text), *written]


def rounded(values: Sequence[float] | Array) -> list[float]:
    """To ten digits, which is more than any of them has: a set should be the same on every machine that makes it."""
    return [float(f"{float(value):.10g}") for value in values]
