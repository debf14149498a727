"""A case in words: what will be run, in a few lines."""

from __future__ import annotations

import numpy as np

from cellsim.case import Case
from cellsim.kinetics import Electrode
from cellsim.protocol import Step
from cellsim.simulation import choose_solver

STOP_UNITS = {
    "current_below": "of the initial current",
    "current_rate_below": "A/m^2/s",
    "c_below": "mol/m^3",
    "c_above": "mol/m^3",
    "voltage_above": "V",
    "voltage_below": "V",
}


def duration(seconds: float) -> str:
    """A time span with a unit that suits it.

    Examples
    --------
    >>> duration(90), duration(60000), duration(300000)
    ('90 s', '1000 min', '83.33 h')
    """
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 100_000 else f"{seconds / 3600:.4g} h"


def describe(case: Case) -> list[str]:
    """What will be run.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    list of str
        Lines to print.

    Raises
    ------
    InputError
        If the solver named cannot run this case.
    """
    cell, transport = case.cell, case.transport
    separator = cell.separator
    pores = f", separator: porosity {separator.porosity:g}, MacMullin number {separator.macmullin:.4g}"
    area = "" if cell.area is None else f", {1e4 * cell.area:.4g} cm^2"
    clamp = ', held at the ends of its range (extrapolate = "clamp")' if transport.extrapolate == "clamp" else ""
    return [
        case.title,
        f"cell          {1e3 * cell.thickness:.4g} mm{area}, {cell.temperature:.2f} K"
        + (pores if separator.porosity < 1 or separator.macmullin > 1 else ""),
        f"electrolyte   {transport.name} ({transport.status}){clamp}",
        f"salt          c = {case.c0 / 1e3:.4g} mol/L, m = {float(transport.m(case.c0)):.4g} mol/kg, "
        f"r = {float(transport.r(case.c0)):.4g}; solvent motion: {transport.solvent_motion}",
        f"electrodes    positive: {_electrode(cell.positive)}; negative: {_electrode(cell.negative)}",
        *(f"step {k}        {_step(step)}" for k, step in enumerate(case.protocol.steps, 1)),
        *(f"measured      {data.kind}: {data.label}" for data in case.measured),
        f"solver        {choose_solver(case.solver.name, transport)}, {case.solver.cells} cells, "
        f"rtol {case.solver.rtol:g}",
    ]


def _electrode(electrode: Electrode) -> str:
    values = electrode.resistance.value
    parts = []
    if np.any(values):
        low, high = 1e4 * float(values.min()), 1e4 * float(values.max())
        parts.append(f"{low:.4g} ohm cm^2" if low == high else f"{low:.4g}-{high:.4g} ohm cm^2 in time")
    if electrode.kinetics is not None:
        parts.append(f"Butler-Volmer, {electrode.kinetics.j_ref:.4g} A/m^2")
    return " and ".join(parts) or "no loss"


def _step(step: Step) -> str:
    unit = "V" if step.drive == "voltage" else "A/m^2"
    if step.time is not None:
        text = f"follow a {step.drive} of {step.value.min():.4g} to {step.value.max():.4g} {unit}"
        text += f", {step.value.size} points"
    elif step.is_rest:
        text = "rest"
    else:
        text = f"hold {step.value[0]:.4g} {unit}"
    text += f", {duration(step.duration)}"
    stops = [f"{key.replace('_', ' ')} {value:.4g} {STOP_UNITS[key]}" for key, value in step.stop.given.items()]
    return text + (f"; stop when {' or '.join(stops)}" if stops else "")
