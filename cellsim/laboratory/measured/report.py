"""What `cellsim analyse` writes: figure, arrays and summary.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cellsim.files.folder import result_folder, write_json, write_netcdf, write_text
from cellsim.laboratory.measured.combined import Chain
from cellsim.laboratory.measured.quantity import Finding
from cellsim.laboratory.measured.request import KINDS

NUMBERS, SET = "summary.json", "set.toml"


def catalogue() -> list[str]:
    """The experiments, one line each."""
    return [
        *(f"{name:20} {kind.what}" for name, kind in KINDS.items()),
        f"{'chain':20} all four, named in a TOML file: κ, D, t₊⁰ and χ with covariance, a transport set",
        "cellsim analyse KIND FILE (docs/analyse.md)",
    ]


def write_measured(measured: Finding | Chain, directory: str | Path) -> list[Path]:
    """Write ``KIND.png``, ``KIND.nc`` and ``summary.json`` into a folder, all or nothing.

    Of a chain those of its four findings besides, and ``set.toml``.

    Parameters
    ----------
    measured : Finding or Chain
        What was measured.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files, the summary last.
    """
    directory = Path(directory)
    with result_folder(directory, last=NUMBERS, stale=(SET,)) as fresh:
        if isinstance(measured, Chain):
            written = [path for found in (*measured.parts, measured.finding) for path in _written(found, fresh)]
            written.append(write_text(fresh / SET, measured.text))
            numbers = measured.finding.numbers() | {"experiments": [found.numbers() for found in measured.parts]}
        else:
            written, numbers = _written(measured, fresh), measured.numbers()
        written.append(write_json(fresh / NUMBERS, numbers))
    return [directory / path.name for path in written]


def _written(found: Finding, folder: Path) -> list[Path]:
    """Figure and arrays of a finding."""
    import xarray as xr

    variables = {
        name: (tuple(f"{'columns' if k else 'points'}_{n}" for k, n in enumerate(np.shape(values))), np.asarray(values))
        for name, values in found.arrays.items()
    }
    return [
        found.draw(folder / f"{found.kind}.png"),
        write_netcdf(folder / f"{found.kind}.nc", xr.Dataset(variables, attrs={"title": found.title})),
    ]
