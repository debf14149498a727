"""What a finished run of molecular dynamics leaves in its folder, and the way back.

``run.json`` beside ``displacements.npz`` (and ``positions.npz``), arrays as `mdcoeffs.inputs.arrays` reads them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError
from mdcoeffs.md.system import StatePoint

_STORED = (
    "frames", "temperature", "temperature_error", "potential_energy", "momentum", "steps_per_second", "platform",
    "digest",
)  # fmt: skip


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
        found = json.loads(path.read_text(encoding="utf-8"))
        record = RunRecord(Path(folder), **{name: found[name] for name in _STORED}, cached=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as the record of a run ({error}); remove the folder") from error
    if point is not None and record.digest != point.digest:
        raise InputError(f"{path.parent}: holds a run of other inputs; choose another output folder or remove it")
    return record


def write_record(folder: str | Path, point: StatePoint, found: Mapping[str, Any]) -> RunRecord:
    """Write ``run.json``, whole or not at all.

    Parameters
    ----------
    folder : str or Path
        The run folder.
    point : StatePoint
        What was run.
    found : mapping
        The fields of :class:`RunRecord` but `folder`, `digest` and `cached`, and more to keep beside them.

    Returns
    -------
    RunRecord
    """
    folder = Path(folder)
    told = {"state": point.state, "field": point.field, "frame_interval": point.frame_interval,
            **found, "digest": point.digest}  # fmt: skip
    partial = folder / "run.json.partial"
    partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / "run.json")
    return RunRecord(folder, **{name: told[name] for name in _STORED})


def put_arrays(path: Path, **arrays: Any) -> None:
    """Write a compressed .npz, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as stream:
        np.savez_compressed(stream, **arrays)
    partial.replace(path)


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
    means = [float(part.mean()) for part in np.array_split(values, min(blocks, len(values)))]
    return float(np.std(means, ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None
