"""A case whose set states its covariance: prediction bands, as a table and a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellsim.case import Case
from cellsim.errors import InputError
from cellsim.fit.bands import Bands, bands, normal_draws
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import own_numbers
from cellsim.set_file import parse_set

POSITIONS = 41
TIMES = 60


def bands_of_case(
    case: Case, draws: int, *, seed: int = 0, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> Bands:
    """Bands on i(t), c(x, t), v-(x, t) by draws of the set's own covariance.

    Parameters
    ----------
    case : Case
        Its set must have a [covariance].
    draws : int
        How many.
    seed : int
        Of the draws.
    workers : int
        Processes.
    progress : callable, optional
        Called with (runs done, of all).

    Returns
    -------
    Bands

    Raises
    ------
    InputError
        A set without a covariance, or with volumes that vary.
    """
    if case.transport.volumes.varies:
        raise InputError(f"{case.path}: bands need constant partial molar volumes")
    model, mean, covariance = own_numbers(
        parse_set(case.transport.text, case.transport.name), case.transport.solvent_motion
    )
    points = normal_draws(Space(model.parameters), mean, covariance, draws, seed)
    end = case.protocol.duration
    times = np.union1d(np.geomspace(1e-3 * end, end, TIMES // 2), np.linspace(0, end, TIMES // 2))
    positions = np.linspace(0, case.cell.thickness, POSITIONS)
    return bands(
        model, points, case.cell, case.protocol, c0=case.c0, times=times, positions=positions, workers=workers,
        progress=progress,
    )  # fmt: skip


def write_bands(case: Case, found: Bands, directory: str | Path) -> list[str]:
    """Write ``bands.csv`` (i and V with their quantiles) and ``bands.png``; what was found, in lines."""
    from cellsim.plots.bands import draw_bands

    directory = Path(directory)
    names = [f"{100 * q:g}%" for q in found.quantiles]
    head = ["time (s)", *(f"i {n} (A/m^2)" for n in names), *(f"V {n} (V)" for n in names)]
    table = np.column_stack([found.time, found.i.T, found.V.T])
    np.savetxt(directory / "bands.csv", table, delimiter=",", header=",".join(head), comments="", fmt="%.9g")
    draw_bands(found, directory / "bands.png", title=case.title, note=case.transport.note)
    low, middle, high = (float(found.i[k, -1]) for k in (0, 2, 4))
    told = [f"i at the end: {middle:.4g} A/m^2, 95 % {low:.4g} to {high:.4g} ({found.draws} draws of the set)"]
    if found.failed:
        told.append(f"{found.failed} draws could not be run and are left out: the bands are too narrow")
    return told
