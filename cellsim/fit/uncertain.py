"""A case whose set states its covariance: prediction bands."""

from __future__ import annotations

from collections.abc import Callable

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
