"""What every result has, whatever was run: lines for the terminal, plain numbers, a dataset and a figure.

An Onsager matrix, a fit, a comparison, a record of the virtual laboratory: whoever knows one knows all. :func:`keep`
writes any of them into a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from cellsim.files.folder import Rows, result_folder, write_json, write_netcdf, write_rows

if TYPE_CHECKING:
    import xarray as xr


class Result(Protocol):
    """What a finished analysis, fit, comparison or experiment hands over."""

    def lines(self) -> list[str]:
        """What the terminal shows."""

    def numbers(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Everything found as plain values, for JSON; a list where there is one entry for each of several cases."""

    def dataset(self) -> xr.Dataset | None:
        """The arrays behind the figure, with units and dimensions; None where there are none."""

    def draw(self, path: Path) -> Path:
        """The figure, written to `path`."""


def keep(
    result: Result,
    directory: str | Path,
    name: str,
    *,
    numbers: str = "summary.json",
    figure: bool = True,
    tables: Mapping[str, Rows] = MappingProxyType({}),
) -> list[Path]:
    """Write a result into a folder: ``NAME.nc``, ``NAME.png`` and its numbers, all or nothing.

    Parameters
    ----------
    result : Result
        What was found.
    directory : str or Path
        Made if it is not there; other files in it are left alone.
    name : str
        Of the dataset and the figure.
    numbers : str
        File of the numbers.
    figure : bool
        Whether to draw.
    tables : mapping
        Further tables: name of the file -> rows.

    Returns
    -------
    list of Path
        The files written.
    """
    directory = Path(directory)
    written = []
    with result_folder(directory, last=numbers) as fresh:
        data = result.dataset()
        if data is not None:
            written.append(write_netcdf(fresh / f"{name}.nc", data))
        written += [write_rows(fresh / table, rows) for table, rows in tables.items()]
        if figure:
            written.append(result.draw(fresh / f"{name}.png"))
        written.append(write_json(fresh / numbers, result.numbers()))
    return [directory / path.name for path in written]
