"""What a run predicts at the points of a measurement: profiles under a beam, velocities in any frame."""

from __future__ import annotations

import numpy as np

from cellsim.base import Array
from cellsim.instruments.concentration import ConcentrationMap
from cellsim.instruments.maps import VelocityTable
from cellsim.instruments.velocities import at_beam
from cellsim.instruments.xam import state_at
from cellsim.solvers.solution import Solution


def profile_at(solution: Solution, data: ConcentrationMap, beam_width: float = 0.0) -> Array:
    """Predicted c at the times and lab positions of a map, averaged over the beam [mol/m^3]; NaN outside."""
    offsets = np.linspace(-0.5, 0.5, 7) * beam_width if beam_width else np.zeros(1)
    rows = np.full(data.c.shape, np.nan)
    for k, time in enumerate(data.time):
        if 0 <= time <= solution["time"][-1] * (1 + 1e-9):
            x = data.position[:, None] + offsets - float(state_at(solution, "interface_shift", time))
            faces, c = state_at(solution, "position_face", time), state_at(solution, "c_face", time)
            rows[k] = np.interp(x, faces, c, left=np.nan, right=np.nan).mean(axis=1)
    return rows


def velocity_at(solution: Solution, data: VelocityTable) -> Array:
    """Predicted velocity at the points of a table, averaged over beam and position error [m/s]; NaN outside."""
    return _at_points(solution, data)[0]


def position_spread(solution: Solution, data: VelocityTable) -> Array:
    """What the position error alone does to the predicted velocity, one standard deviation [m/s]; 0 without one."""
    return _at_points(solution, data)[1]


def _at_points(solution: Solution, data: VelocityTable) -> tuple[Array, Array]:
    seen = at_beam(
        solution, data.quantity, data.positions, frame=data.frame, beam=data.beam_width,
        position_error=data.position_error,
    )  # fmt: skip
    found = np.empty((2, data.time.size))
    for k, place in enumerate(data.positions):
        here = data.position == place
        for row, values in zip(found, (seen.mean, seen.by_position), strict=True):
            row[here] = np.interp(data.time[here], solution["time"], values[:, k], left=np.nan, right=np.nan)
    return found[0], found[1]
