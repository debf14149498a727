"""How the numbers of a transport set vary together: the optional [covariance] block of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.schema import Table

Array = NDArray[np.float64]

_PARAMETER = re.compile(r"(\w+(?:\.\w+)*)(?:\[(\d+)\])?")


@dataclass(frozen=True)
class ParameterCovariance:
    """Joint uncertainty of numbers in a set's file, as an estimate from simulation or a fit states it.

    It is carried along and changes no property; whoever draws ensembles reads it.

    Parameters
    ----------
    parameters : tuple of str
        Numbers of the file, ``"kappa.y[0]"``, ``"D.value"``, ``"t_plus.constants.a"``, in the unit they stand there.
    matrix : ndarray, shape (n, n)
        Covariance, symmetric and positive semi-definite.
    source : str
        Where it comes from.
    """

    parameters: tuple[str, ...]
    matrix: Array
    source: str = ""


def read_covariance(top: Table) -> ParameterCovariance | None:
    """The [covariance] block of a set's file, None where there is none.

    Parameters
    ----------
    top : Table
        The whole file.

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
    table.only("parameters", "matrix", "source")
    parameters = table.strings("parameters")
    for k, parameter in enumerate(parameters):
        if not _names_a_number(top.data, parameter):
            raise InputError(f'{table.where("parameters")}[{k}] = "{parameter}" names no number of this file')
    if not parameters or len(set(parameters)) != len(parameters):
        raise InputError(f"{table.where('parameters')} must name at least one number, each once")
    rows = table.data.get("matrix")
    n = len(parameters)
    if not isinstance(rows, list) or len(rows) != n or any(not isinstance(row, list) or len(row) != n for row in rows):
        raise InputError(f"{table.where('matrix')} must be {n} rows of {n} numbers, one for each of parameters")
    matrix = np.array([Table({"matrix": row}, table.file, table.name).array("matrix") for row in rows])
    variance = np.diag(matrix)
    if np.any(variance < 0):
        raise InputError(f"{table.where('matrix')} has a negative variance")
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    correlation = matrix / np.outer(scale, scale)
    symmetric = np.all(np.abs(correlation - correlation.T) <= 1e-6)
    if not symmetric or np.linalg.eigvalsh(correlation)[0] < -1e-6 * n:
        raise InputError(f"{table.where('matrix')} is no covariance: it must be symmetric and positive semi-definite")
    return ParameterCovariance(tuple(parameters), matrix, table.string("source", ""))


def _names_a_number(data: Mapping[str, Any], parameter: str) -> bool:
    match = _PARAMETER.fullmatch(parameter)
    value: Any = data
    for key in match.group(1).split(".") if match else ():
        value = value.get(key) if isinstance(value, dict) else None
    if match and match.group(2) is not None:
        value = value[int(match.group(2))] if isinstance(value, list) and int(match.group(2)) < len(value) else None
    if isinstance(value, str):  # "1e-11 m^2/s"
        return bool(re.match(r"\s*[-+]?\.?\d", value))
    return isinstance(value, int | float) and not isinstance(value, bool)
