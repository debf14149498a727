"""What a finished run of molecular dynamics leaves: its record, ``run.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError
from cellsim.files.schema import Table, read_json_table
from cellsim.files.writing import write_json
from mdcoeffs.md.system import StatePoint


@dataclass(frozen=True)
class RunRecord:
    """What ``run.json`` says of a finished run.

    Parameters
    ----------
    folder : Path
        Where it lies.
    frames : int
        Frames after frame 0.
    temperature : float
        Mean kinetic temperature [K].
    temperature_error : float, optional
        Its standard error, from ten blocks [K].
    potential_energy : float
        Mean potential energy of the box [J/mol].
    momentum : float
        Largest drift speed of the centre of mass over its thermal speed [1].
    steps_per_second : float
        Speed of the production [1/s].
    platform : str
        OpenMM platform.
    digest : str
        Content hash of what decides the run.
    cached : bool
        True where the folder held the run already.
    """

    folder: Path
    frames: int
    temperature: float
    temperature_error: float | None
    potential_energy: float
    momentum: float
    steps_per_second: float
    platform: str
    digest: str
    cached: bool = False


def read_record(folder: str | Path, point: StatePoint | None = None) -> RunRecord | None:
    """The record of a finished run, None where there is none.

    Parameters
    ----------
    folder : str or Path
        A run folder.
    point : StatePoint, optional
        The run it must hold.

    Returns
    -------
    RunRecord or None

    Raises
    ------
    InputError
        The folder holds a run of other inputs, or its record cannot be read.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        return None
    try:
        record = RunRecord(Path(folder), **_stored(read_json_table(path, what="the record of a run")), cached=True)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: cannot be read as the record of a run ({reason}); remove the folder") from error
    if point is not None and record.digest != point.digest:
        raise InputError(f"{path.parent}: holds a run of other inputs; choose another output folder or remove it")
    return record


def write_record(folder: Path, values: Mapping[str, Any]) -> RunRecord:
    """Write ``run.json``.

    Parameters
    ----------
    folder : Path
        A run folder.
    values : mapping
        The fields of :class:`RunRecord` but `folder`, and whatever else helps who looks into the file.

    Returns
    -------
    RunRecord
        As it will be read.
    """
    return RunRecord(folder, **_stored(read_json_table(write_json(folder / "run.json", values))))


def _stored(values: Table) -> dict[str, Any]:
    """Those of the values in run.json that a record has; the others are kept for who looks into the file."""
    texts = {name: values.string(name) for name in ("platform", "digest")}
    known = ("temperature", "potential_energy", "momentum", "steps_per_second")
    return {
        **texts,
        **{name: values.number(name, math.nan) for name in known},
        "frames": values.integer("frames", least=0),
        "temperature_error": values.number("temperature_error", None),
    }


def block_error(values: Array, blocks: int = 10) -> float | None:
    """Standard error of a mean from the means of blocks; None where there are fewer than two values.

    Parameters
    ----------
    values : array (values,)
        In the order of time.
    blocks : int
        Number of blocks at most.

    Returns
    -------
    float or None
    """
    means = [float(piece.mean()) for piece in np.array_split(values, min(blocks, len(values)))]
    return float(np.std(means, ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None
