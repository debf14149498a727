"""What a run predicts at the points of a measurement: profiles under a beam, velocities in any frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.observables.concentration import ConcentrationMap
from cellsim.observables.xam import state_at
from cellsim.readers.maps import VelocityTable
from cellsim.solution import Solution

Array = NDArray[np.float64]


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
    if data.frame not in ("lab", "interface", "solvent"):
        raise InputError(f"{data.label}: frame = {data.frame!r} must be lab, interface or solvent")
    return averaged(solution, data, lambda x: in_frame(solution, data.quantity, data.frame, x))


def position_spread(solution: Solution, data: VelocityTable) -> Array:
    """What the position error alone does to the predicted velocity, one standard deviation [m/s]; 0 without one."""
    if not data.position_error:
        return np.zeros(data.time.size)

    def off(by: float) -> Array:
        point = replace(data, position=data.position + by, position_error=0.0)
        return velocity_at(solution, point)

    return np.asarray(0.5 * np.abs(off(data.position_error) - off(-data.position_error)))


def averaged(solution: Solution, data: VelocityTable, quantity: Callable[[Array], Array]) -> Array:
    """A quantity (time, position) at the points of a table: mean over a box of the beam's width and a normal error."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    offsets = data.position_error * nodes if data.position_error else np.zeros(1)
    share = weights / weights.sum() if data.position_error else np.ones(1)
    if data.beam_width:
        box, part = np.polynomial.legendre.leggauss(3)
        offsets = (offsets[:, None] + 0.5 * data.beam_width * box).ravel()
        share = (share[:, None] * 0.5 * part).ravel()
    mean = np.zeros(data.time.size)
    for offset, weight in zip(offsets, share, strict=True):
        places = data.positions
        values = quantity(places + offset)
        at = np.empty(data.time.size)
        for k, place in enumerate(places):
            here = data.position == place
            at[here] = np.interp(data.time[here], solution["time"], values[:, k], left=np.nan, right=np.nan)
        mean += weight * at
    return mean


def in_frame(solution: Solution, name: str, frame: str, positions: Array) -> Array:
    """A velocity against time at positions fixed in the lab, in any frame, shape (time, positions) [m/s]."""
    v = solution.at(name, positions)
    if frame == "interface":
        return v - solution["v_interface"][:, None]
    return v - solution.at("v_0", positions) if frame == "solvent" else v
