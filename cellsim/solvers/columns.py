"""Every variable of a binary salt's result from what a solver found: properties, fluxes, velocities, potential."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import equations
from cellsim.solvers.grid import cell_resistances
from cellsim.solvers.solution import VARIABLES


@dataclass(frozen=True)
class Columns:
    """What a solver hands over for every kept time, stacked: first axis time.

    Attributes
    ----------
    time, step, i : ndarray, shape (t,)
        Time [s], index of the protocol step [1], current density [A/m^2].
    c : ndarray, shape (t, n)
        Cell averages [mol/m^3].
    c_face : ndarray, shape (t, n + 1)
        Concentrations at the faces, walls included [mol/m^3].
    parts : ndarray, shape (t, 4)
        Ohmic, concentration, positive and negative part of the voltage [V].
    faces : ndarray, shape (t, n + 1)
        Positions of the faces from the positive interface [m].
    N_salt, N_0 : ndarray, shape (t, n + 1)
        N-/nu- and solvent flux at the faces, interface frame [mol/(m^2 s)].
    charge : ndarray, shape (t,), optional
        Charge since t = 0 that dissolved metal at the positive electrode [C/m^2]; left out: the trapezoidal rule over
        the kept times.
    i_dissolving : ndarray, shape (t,), optional
        Current density that dissolves metal there [A/m^2]; left out: all of `i`, as without a double layer.
    """

    time: Array
    step: NDArray[Any]
    i: Array
    c: Array
    c_face: Array
    parts: Array
    faces: Array
    N_salt: Array
    N_0: Array
    charge: Array | None = None
    i_dissolving: Array | None = None

    def subset(self, some: slice) -> Columns:
        """Those of some states."""
        pieces: dict[str, Any] = {name: None if column is None else column[some] for name, column in vars(self).items()}
        return Columns(**pieces)


def derive(columns: Columns, cell: Cell, transport: TransportSet, name: str | None = None) -> dict[str, Array]:
    """Every variable of docs/schema.md section 3, by name, or one of them with those that come along.

    Parameters
    ----------
    columns : Columns
        What the solver found.
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    name : str, optional
        Only this one: a fit to velocities has no use for the potential, which takes ten times as long.

    Returns
    -------
    dict
    """
    if columns.i_dissolving is None:
        columns = replace(columns, i_dissolving=columns.i)
    if columns.charge is None:
        steps = 0.5 * np.diff(columns.time) * (columns.i[1:] + columns.i[:-1])
        columns = replace(columns, charge=np.concatenate([[0.0], np.cumsum(steps)]))
    states, arrays = columns.time.size, dict[str, Array]()
    # piece by piece: evaluating a set leaves dozens of temporary arrays, which for all states at once are most of a run
    for begin in range(0, states, AT_ONCE):
        piece = slice(begin, begin + AT_ONCE)
        for each, values in _derive(columns.subset(piece), cell, transport, name).items():
            axis = VARIABLES[each][0].index("time")
            if each not in arrays:
                arrays[each] = np.empty((*values.shape[:axis], states, *values.shape[axis + 1 :]), values.dtype)
            arrays[each][(slice(None),) * axis + (piece,)] = values
    return arrays


AT_ONCE = 256
"""States that are derived at a time."""


def _derive(columns: Columns, cell: Cell, transport: TransportSet, name: str | None) -> dict[str, Array]:
    clamped, made = transport.with_extrapolation("clamp"), dict[str, Array]()
    for names, group in GROUPS:
        if name is None or name in names:
            made |= group(columns, cell, clamped)
    return {each: made[each] for each in VARIABLES if each in made}


def _cell_and_profile(columns: Columns, cell: Cell, transport: TransportSet) -> dict[str, Array]:
    faces, parts, c = columns.faces, columns.parts, columns.c
    assert columns.charge is not None and columns.i_dissolving is not None
    return {
        "step": columns.step,
        "i": columns.i,
        "V": parts.sum(axis=1),
        "V_ohmic": parts[:, 0],
        "V_concentration": parts[:, 1],
        "V_positive": parts[:, 2],
        "V_negative": parts[:, 3],
        "c": c,
        "c_face": columns.c_face,
        "v_interface": equations.interface_velocity(columns.i_dissolving, cell.V_metal, transport.z_plus),
        "interface_shift": equations.interface_velocity(columns.charge, cell.V_metal, transport.z_plus),
        "position": 0.5 * (faces[:, 1:] + faces[:, :-1]),
        "position_face": faces,
        "thickness": faces[:, -1],
        "salt_inventory": cell.separator.porosity * np.sum(c * np.diff(faces, axis=1), axis=1),
    }


def _properties(columns: Columns, cell: Cell, transport: TransportSet) -> dict[str, Array]:
    c = columns.c
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = transport.chi(c)
    return {
        "m": transport.m(c),
        "r": transport.r(c),
        "t_plus": transport.t_plus(c),
        "kappa": transport.kappa(c),
        "D": transport.D(c),
        "chi": chi,
        "Ne": transport.newman_number(c),
    }


def _fluxes_and_velocities(columns: Columns, cell: Cell, transport: TransportSet) -> dict[str, Array]:
    porosity, c_face = cell.separator.porosity, columns.c_face
    i, N_salt, N_0 = columns.i, columns.N_salt, columns.N_0
    N_plus = equations.cation_flux(N_salt, i[:, None], transport)
    v_s = equations.interface_velocity(columns.i_dissolving, cell.V_metal, transport.z_plus)
    v_plus, v_minus, v_0 = (
        _in_frames(N / (porosity * concentration), N_0 / (porosity * transport.c_0(c_face)), v_s)
        for N, concentration in (
            (N_plus, transport.nu_plus * c_face),
            (transport.nu_minus * N_salt, transport.nu_minus * c_face),
            (N_0, transport.c_0(c_face)),
        )
    )
    fluxes = {"N_plus": N_plus, "N_minus": transport.nu_minus * N_salt, "N_0": N_0}
    return fluxes | {"v_plus": v_plus, "v_minus": v_minus, "v_0": v_0}


def _potential_of(columns: Columns, cell: Cell, transport: TransportSet) -> dict[str, Array]:
    wall, widths = columns.c_face[:, [0, -1]], np.diff(columns.faces, axis=1)
    return {"phi": _potential(transport, cell, columns.c, wall, widths, columns.i, columns.parts)}


_OWN = (
    ("m", "r", "t_plus", "kappa", "D", "chi", "Ne"),
    ("N_plus", "N_minus", "N_0", "v_plus", "v_minus", "v_0"),
    ("phi",),
)
GROUPS = (
    (tuple(name for name in VARIABLES if not any(name in own for own in _OWN)), _cell_and_profile),
    (_OWN[0], _properties),
    (_OWN[1], _fluxes_and_velocities),
    (_OWN[2], _potential_of),
)
"""Variables that are made together, and by what."""


def _in_frames(v: Array, v_0: Array, v_s: Array) -> Array:
    """Interface-frame velocities (time, face) -> (frame, time, face): interface, lab, solvent."""
    return np.stack([v, v + v_s[:, None], v - v_0])


def _potential(
    transport: TransportSet, cell: Cell, c: Array, wall: Array, widths: Array, i: Array, parts: Array
) -> Array:
    """phi at the cell centres against the negative electrode: V less the losses from the positive one up to x."""
    resistance = cell_resistances(widths, c, wall, transport.kappa) / cell.separator.transport_factor
    before = np.cumsum(resistance, axis=1) - 0.5 * resistance
    ohmic = i[:, None] * before
    concentration = transport.concentration_voltage(wall[:, :1], c)
    return (parts.sum(axis=1) - parts[:, 2])[:, None] - ohmic - concentration
