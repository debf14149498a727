"""From the snapshots of a march to a Solution: every derived quantity, vectorised over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import equations
from cellsim.solvers.march import Run
from cellsim.solvers.solution import SolverRun


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
        Charge passed since t = 0 [C/m^2]; left out: the trapezoidal rule over the kept times.
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


def assemble(run: Run, cell: Cell, transport: TransportSet) -> SolverRun:
    """What a march found, every derived quantity with it.

    Parameters
    ----------
    run : Run
        Snapshots with at least one entry.
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties; evaluated clamped, since a run may end a hair outside the range.

    Returns
    -------
    SolverRun
    """
    columns = _stack(run)
    arrays = derive(columns, cell, transport)
    coordinates = {"time": columns.time, "x": arrays["position"][0].copy(), "face": columns.faces[0].copy()}
    extremes = np.array([(s.c_min, s.c_max) for s in run.snapshots])
    log = tuple(asdict(entry) for entry in run.log)
    return SolverRun(arrays, coordinates, run.status, run.message, log, extremes, {"time_steps": run.time_steps})


def _stack(run: Run) -> Columns:
    c = np.array([s.c for s in run.snapshots])
    wall = np.array([s.wall for s in run.snapshots])
    faces = np.array([s.faces for s in run.snapshots])
    widths = np.diff(faces, axis=1)
    near = widths[:, 1:] / (widths[:, :-1] + widths[:, 1:])
    inner = near * c[:, :-1] + (1 - near) * c[:, 1:]
    return Columns(
        time=np.array([s.time for s in run.snapshots]),
        step=np.array(run.step_index),
        i=np.array([s.i for s in run.snapshots]),
        c=c,
        c_face=np.concatenate([wall[:, :1], inner, wall[:, 1:]], axis=1),
        parts=np.array([s.parts for s in run.snapshots]),
        faces=faces,
        N_salt=np.array([s.N_salt for s in run.snapshots]),
        N_0=np.array([s.N_0 for s in run.snapshots]),
        charge=np.array(run.charge),
    )


def derive(columns: Columns, cell: Cell, transport: TransportSet) -> dict[str, Array]:
    """Every variable of docs/schema.md section 3, by name.

    Parameters
    ----------
    columns : Columns
        What the solver found.
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.

    Returns
    -------
    dict
    """
    held = transport.with_extrapolation("clamp")
    porosity = cell.separator.porosity
    time, i, c, c_face, parts = columns.time, columns.i, columns.c, columns.c_face, columns.parts
    faces, N_salt, N_0 = columns.faces, columns.N_salt, columns.N_0
    wall, widths = c_face[:, [0, -1]], np.diff(faces, axis=1)
    N_plus = equations.cation_flux(N_salt, i[:, None], held)
    v_s = equations.interface_velocity(i, cell.V_metal, transport.z_plus)
    charge = columns.charge
    if charge is None:
        charge = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(time) * (i[1:] + i[:-1]))])
    v_plus, v_minus, v_0 = (
        _in_frames(N / (porosity * concentration), N_0 / (porosity * held.c_0(c_face)), v_s)
        for N, concentration in (
            (N_plus, transport.nu_plus * c_face),
            (transport.nu_minus * N_salt, transport.nu_minus * c_face),
            (N_0, held.c_0(c_face)),
        )
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = held.chi(c)
    return {
        "step": columns.step,
        "i": i,
        "V": parts.sum(axis=1),
        "V_ohmic": parts[:, 0],
        "V_concentration": parts[:, 1],
        "V_positive": parts[:, 2],
        "V_negative": parts[:, 3],
        "c": c,
        "m": held.m(c),
        "r": held.r(c),
        "phi": _potential(held, cell, c, wall, widths, i, parts),
        "c_face": c_face,
        "t_plus": held.t_plus(c),
        "kappa": held.kappa(c),
        "D": held.D(c),
        "chi": chi,
        "Ne": held.newman_number(c),
        "N_plus": N_plus,
        "N_minus": transport.nu_minus * N_salt,
        "N_0": N_0,
        "v_plus": v_plus,
        "v_minus": v_minus,
        "v_0": v_0,
        "v_interface": v_s,
        "interface_shift": equations.interface_velocity(charge, cell.V_metal, transport.z_plus),
        "position": 0.5 * (faces[:, 1:] + faces[:, :-1]),
        "position_face": faces,
        "thickness": faces[:, -1],
        "salt_inventory": porosity * np.sum(c * widths, axis=1),
    }


def _in_frames(v: Array, v_0: Array, v_s: Array) -> Array:
    """Interface-frame velocities (time, face) -> (frame, time, face): interface, lab, solvent."""
    return np.stack([v, v + v_s[:, None], v - v_0])


def _potential(
    transport: TransportSet, cell: Cell, c: Array, wall: Array, widths: Array, i: Array, parts: Array
) -> Array:
    """phi at the cell centres against the negative electrode: V less the losses from the positive one up to x."""
    resistance = widths / (transport.kappa(c) * cell.separator.transport_factor)
    before = np.cumsum(resistance, axis=1) - 0.5 * resistance
    ohmic = i[:, None] * before
    concentration = transport.concentration_voltage(wall[:, :1], c)
    return (parts.sum(axis=1) - parts[:, 2])[:, None] - ohmic - concentration
