"""How the numbers of a transport set vary together: their covariance, and draws of them, beside the set.

The [covariance] block stands in docs/schema.md, section 2. A matrix says all of a normal distribution; where one has a
long tail, as a ratio of estimates has, draws in a NetCDF file beside the set carry it whole.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, shortened
from cellsim.files.reading import read_netcdf
from cellsim.files.schema import Table
from cellsim.files.writing import write_netcdf

logger = logging.getLogger(__name__)

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:\s+[A-Za-z%].*)?\s*")
_PARAMETER = re.compile(r"(\w+(?:\.\w+)*)((?:\[\d+\])*)")


@dataclass(frozen=True)
class ParameterCovariance:
    """Joint uncertainty of numbers in a set's file, as an estimate from simulation or a fit states it.

    It is carried along and changes no property; whoever draws ensembles reads it.

    Parameters
    ----------
    parameters : tuple of str
        Numbers of the file, ``"kappa.y[0]"``, ``"D.value"``, ``"Omega.matrix[0][1]"``, in the unit they stand there.
    matrix : ndarray, shape (n, n)
        Covariance, symmetric and positive semi-definite.
    source : str
        Where it comes from.
    draws : ndarray, shape (k, n), optional
        Draws of the same numbers, where the file names them: the whole distribution, of which the matrix is the second
        moment.
    """

    parameters: tuple[str, ...]
    matrix: Array
    source: str = ""
    draws: Array | None = None


def read_covariance(top: Table, *, beside: bool = False) -> ParameterCovariance | None:
    """The [covariance] block of a set's file, None where there is none.

    Parameters
    ----------
    top : Table
        The whole file.
    beside : bool
        Whether the draws that it names are read from their file.

    Returns
    -------
    ParameterCovariance or None

    Raises
    ------
    InputError
        A parameter that names no number of the file, a matrix that is not square, symmetric and positive
        semi-definite (correlations to 1e-6).
    """
    table = top.table("covariance", None)
    if table is None:
        return None
    table.only("parameters", "matrix", "source", "draws")
    parameters = table.strings("parameters")
    for k, parameter in enumerate(parameters):
        if number_of(top.data, parameter) is None:
            raise InputError(f'{table.where("parameters")}[{k}] = "{parameter}" names no number of this file')
    if not parameters or len(set(parameters)) != len(parameters):
        raise InputError(f"{table.where('parameters')} must name at least one number, each once")
    rows = table.data.get("matrix")
    n = len(parameters)
    if not isinstance(rows, list) or len(rows) != n or any(not isinstance(row, list) or len(row) != n for row in rows):
        raise InputError(f"{table.where('matrix')} must be {n} rows of {n} numbers, one for each of parameters")
    each = [(f"matrix[{k}]", row) for k, row in enumerate(rows)]
    matrix = np.array([Table({key: row}, table.file, table.name).array(key) for key, row in each])
    variance = np.diag(matrix)
    if np.any(variance < 0):
        raise InputError(f"{table.where('matrix')} has a negative variance")
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = matrix / np.outer(scale, scale)
    symmetric = np.all(np.abs(correlation - correlation.T) <= 1e-6)
    if not symmetric or np.linalg.eigvalsh(correlation)[0] < -1e-6 * n:
        raise InputError(f"{table.where('matrix')} is no covariance: it must be symmetric and positive semi-definite")
    stated = ParameterCovariance(tuple(parameters), matrix, table.string("source", ""))
    if "draws" not in table:
        return stated
    path = table.file.parent / table.string("draws")
    if not beside:
        return stated
    if not path.is_file():  # a run needs no draws, and a set that was copied alone is still one
        logger.warning("%s names no file that exists; the covariance is used in its place", table.where("draws"))
        return stated
    values = np.array([number_of(top.data, parameter) for parameter in parameters], dtype=float)
    return replace(stated, draws=read_draws(path, stated, values))


def write_draws(path: str | Path, parameters: Sequence[str], draws: Array, *, source: str = "") -> Path:
    """Draws of the numbers of a set as a NetCDF file, which its [covariance] names as `draws`.

    Parameters
    ----------
    path : str or Path
        The file.
    parameters : sequence of str, length n
        Numbers of the set's file.
    draws : ndarray, shape (k, n)
        In the unit they stand there.
    source : str
        Where they come from.

    Returns
    -------
    Path
    """
    import xarray as xr

    about = {"title": "joint draws of the numbers of a transport set", "source": source}
    return write_netcdf(
        path, xr.Dataset({"draws": (("draw", "parameter"), draws)}, {"parameter": list(parameters)}, about)
    )


def read_draws(path: Path, of: ParameterCovariance, values: Array) -> Array:
    """The draws of a set's numbers, in the order of its covariance.

    Parameters
    ----------
    path : Path
        The file.
    of : ParameterCovariance
        What they are draws of.
    values : ndarray, shape (n,)
        These numbers as they stand in the set, in the unit there.

    Returns
    -------
    ndarray, shape (k, n)

    Raises
    ------
    InputError
        No such file, other parameters, too few draws, values that are not numbers, a spread that is not the
        covariance's, or draws that do not lie around the set's numbers.
    """
    with read_netcdf(path, what="draws of a transport set") as data:
        if "draws" not in data or data["draws"].dims != ("draw", "parameter") or "parameter" not in data.coords:
            raise InputError(f"{path}: contains no draws of a set's numbers (draw, parameter)")
        names = [str(name) for name in data["parameter"].values]
        draws = np.asarray(data["draws"].values)
    if sorted(names) != sorted(of.parameters):
        raise InputError(f"{path}: holds draws of {shortened(', '.join(names), 200)}, not of the covariance's numbers")
    if draws.dtype.kind != "f" or not np.all(np.isfinite(draws)):
        raise InputError(f"{path}: holds draws that are not numbers")
    if len(draws) < LEAST_DRAWS:
        raise InputError(f"{path}: holds {len(draws)} draws; {LEAST_DRAWS} are needed")
    draws = draws[:, [names.index(name) for name in of.parameters]]
    spread, stated = draws.std(axis=0), np.sqrt(np.diag(of.matrix))
    wrong = np.flatnonzero(np.abs(spread - stated) > WIDTH * np.maximum(spread, stated))
    if wrong.size:
        k = int(wrong[0])
        raise InputError(
            f"{path}: the draws of {of.parameters[k]} scatter by {spread[k]:.4g}, but [covariance] says "
            f"{stated[k]:.4g}; they belong to another set"
        )
    middle = np.median(draws, axis=0)
    far = np.flatnonzero(np.abs(middle - values) > AWAY * np.maximum(spread, stated) + 1e-6 * np.abs(values))
    if far.size:
        k = int(far[0])
        raise InputError(
            f"{path}: the draws of {of.parameters[k]} lie around {middle[k]:.4g}, but the set says {values[k]:.4g}, "
            f"more than {AWAY:g} standard errors away; they belong to another set"
        )
    return draws


LEAST_DRAWS = 100
"""Fewer give no 95 % interval."""
WIDTH = 0.3
"""How far the spread of draws may be from the stated one, relative: a hundred of a long tail scatter by so much."""
AWAY = 3.0
"""How far the median of draws may be from the set's number, in standard errors: a best fit at a bound, or the mean of a
long tail, is off by one."""


def number_of(data: Mapping[str, Any], parameter: str) -> float | None:
    """The number of a set's file that a name stands for, in the unit there; None where it names none.

    Parameters
    ----------
    data : mapping
        The file.
    parameter : str
        ``"kappa.y[0]"``, ``"D.value"``, ``"Omega.matrix[0][1]"``.
    """
    match = _PARAMETER.fullmatch(parameter)
    value: Any = data
    for key in match.group(1).split(".") if match else ():
        value = value.get(key) if isinstance(value, dict) else None
    for place in re.findall(r"\d+", match.group(2)) if match else ():
        value = value[int(place)] if isinstance(value, list) and int(place) < len(value) else None
    if isinstance(value, str):  # "1e-11 m^2/s", but no expression
        quantity = _QUANTITY.fullmatch(value)
        return float(quantity.group(1)) if quantity else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
