"""Hittorf's method: the salt that a known charge has carried from one compartment into another."""

from __future__ import annotations

import numpy as np

from cellsim.base import Array
from cellsim.cell.protocol import Protocol, hold_current
from cellsim.laboratory import figures
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.solvers.solution import Solution

REFERENCE = (
    "Newman & Balsara, Electrochemical Systems, 4th ed., ch. 12; "
    "Bruce, Hardgrave & Vincent, Solid State Ionics 53-56 (1992) 1087"
)


def amounts(solution: Solution, values: Array, walls: Array) -> Array:
    """What lies between walls, from cell averages at the last time.

    Parameters
    ----------
    solution : Solution
        The run.
    values : ndarray, shape (n,)
        Cell averages of a concentration [mol/m^3].
    walls : ndarray, shape (k,)
        Positions from the positive electrode [m].

    Returns
    -------
    ndarray, shape (k - 1,)
        [mol/m^2]
    """
    faces = solution["position_face"][-1]
    total = np.concatenate([[0.0], np.cumsum(values * np.diff(faces))])
    return np.asarray(np.diff(np.interp(walls, faces, total)))


def hittorf(bench: Bench, *, duration: float = 0.004, change: float = 0.2) -> Record:
    """A current through three equal compartments; salt and solvent of the outer ones are weighed afterwards.

    Parameters
    ----------
    bench : Bench
        The cell; its thirds are the compartments.
    duration : float
        In L^2/D [1].
    change : float
        Change of concentration at the electrodes that sets the current [1].

    Returns
    -------
    Record
        t+ from the salt per mass of solvent (t+0), and from the salt in a fixed volume (t+V).
    """
    transport, layer, c = bench.transport, bench.layer, bench.c
    time = duration * bench.diffusion_time
    i = float(change * c / (2 * abs(layer.migration)) / np.sqrt(time / (np.pi * layer.D)))
    solution = bench.run(Protocol((hold_current(i, time),)), np.linspace(0, time, 21))
    walls = np.array([0.0, 1 / 3, 2 / 3, 1.0]) * bench.thickness
    after = solution["c"][-1]
    width = np.diff(walls)
    salt = amounts(solution, after, walls) - c * width
    still = transport.solvent_motion == "none"
    solvent = np.zeros(3) if still else amounts(solution, transport.c_0(after), walls) - transport.c_0(c) * width
    excess = salt - float(transport.r(c)) * solvent  # salt beyond what the solvent there brought with it
    charge = i * time / transport.charge_per_salt
    t_solvent, t_volume = 1 + excess[-1] / charge, 1 + salt[-1] / charge
    true_volume = 1 - layer.phi_0 * (1 - layer.t_plus)
    centre = 0.5 * (solution["position_face"][-1][1:] + solution["position_face"][-1][:-1])
    middle = (centre > walls[1]) & (centre < walls[2])  # its total tells nothing: as much leaves it as enters
    reached = float(np.max(np.abs(after[middle] - c)) / np.max(np.abs(solution["c_face"][-1] - c)))
    checks = (
        Check("change of c within the middle compartment per change at the electrodes", reached, 0.01),
        Check("anode and cathode compartment disagree by", float(abs(salt[0] + salt[-1]) / abs(salt[-1])), 0.01),
    )
    volume = Check("volume fraction of the salt, not allowed for", 1 - layer.phi_0, 0.01)
    return Record(
        bench,
        "hittorf",
        "Hittorf",
        "the middle compartment keeps its composition",
        REFERENCE,
        (
            Reading(
                "t_plus", "1", layer.t_plus, float(t_solvent), 0.0, "salt per mass of solvent, cathode side", checks
            ),
            Reading("t_plus_V", "1", true_volume, float(t_volume), 0.0, "salt in the compartment's volume", checks),
            Reading("t_plus", "1", layer.t_plus, float(t_volume), 0.0, "the same, taken for t+0", (*checks, volume)),
        ),
        {
            "x": centre,
            "c": after,
            "walls": walls,
            "salt": salt,
            "excess": excess,
        },
        {"duration": time, "current": i, "charge": i * time},
        panels=(figures.compartments, figures.carried),
    )
