"""Tables of measured values as measurements on a cell: currents, voltages, concentrations and velocities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import Electrolyte, MixtureSet, species_sum
from cellsim.instruments.looks import Frame, VelocityLook
from cellsim.instruments.measurement import ConcentrationMap, Measurement, series, velocities
from cellsim.instruments.potentiostat import PotentiostatData, per_area
from cellsim.instruments.tables import DataTable, axes, grid
from cellsim.solvers.solution import VELOCITIES, Solution


@dataclass(frozen=True)
class Setup:
    """What was measured on, as far as data need it.

    Parameters
    ----------
    cell : Cell
        Electrode area, thickness, and the origin of positions.
    transport : TransportSet or MixtureSet
        The electrolyte.
    protocol : Protocol
        Which of current and voltage is imposed.
    c0 : float
        Average concentration of the salt, of n components that of the cation [mol/m^3].
    uniform : bool
        Whether the run begins with it everywhere.
    r0 : ndarray, shape (K,), optional
        Of n components: the composition as filled [1].
    """

    cell: Cell
    transport: Electrolyte
    protocol: Protocol
    c0: float
    uniform: bool = True
    r0: Array | None = None

    @property
    def origin(self) -> float:
        """Where positions count from: distance from the positive interface [m]."""
        return self.cell.from_origin(0.0)

    @property
    def species(self) -> tuple[str, ...]:
        """Of n components, the cation first and the reference solvent last; empty of a binary salt."""
        return self.transport.species if isinstance(self.transport, MixtureSet) else ()

    def concentration(self, species: str = "") -> float:
        """As filled, of the salt, or of a sum of species of n components (:func:`.species_sum`) [mol/m^3]."""
        if not species:
            return self.c0
        assert isinstance(self.transport, MixtureSet) and self.r0 is not None
        filled = dict(zip(self.species, self.transport.concentrations(self.r0).tolist(), strict=True))
        return float(sum(weight * filled[name] for name, weight in species_sum(species, self.species).items()))


def recorded(
    data: PotentiostatData, setup: Setup, *, only: str = "", label: str = "", error: float | None = None
) -> tuple[Measurement, ...]:
    """Current and voltage of a potentiostat file, what the protocol imposes from beginning to end left out.

    Parameters
    ----------
    data : PotentiostatData
        The file.
    setup : Setup
        What was measured on.
    only : str
        "current" or "voltage": this one, imposed or not.
    label : str
        Default the name of the file.
    error : float, optional
        Standard error of every point [A/m^2 or V]; default those of the file.

    Returns
    -------
    tuple of Measurement

    Raises
    ------
    InputError
        None of them, or a total current without an area.
    """
    free = {"current" if step.drive == "voltage" else "voltage" for step in setup.protocol.steps}
    wanted = {only} if only else free
    label = label or data.path.name
    taken = []
    if "current" in wanted and data.current is not None:
        density = data.current_density(setup.cell.area)
        notes = data.notes
        stated, used = None if data.per_area else data.area, setup.cell.area
        if stated is not None and used is not None and abs(stated / used - 1) > 1e-3:
            notes += (f"the file states an area of {1e4 * stated:.4g} cm^2; the case's is used",)
        stated_error = data.errors.get("current")
        error_of_each: Array | float | None = error
        if error is None and stated_error is not None:
            error_of_each = stated_error if data.per_area else stated_error / per_area(used, label)
        taken.append(series("current", data.time, density, error=error_of_each, label=label, notes=notes))
    if "voltage" in wanted and data.voltage is not None:
        error_of_each = data.errors.get("voltage") if error is None else error
        taken.append(series("voltage", data.time, data.voltage, error=error_of_each, label=label, notes=data.notes))
    if not taken:
        said = f" ({'; '.join(data.notes)})" if data.notes else ""
        raise InputError(
            f"{data.path}: contains no {' or '.join(sorted(wanted))}, the quantity this case leaves free{said}"
        )
    return tuple(taken)


def species_of(table: DataTable, stem: str, species: Sequence[str]) -> str:
    """Whose values the one column of a table are that is headed ``c_EC`` or ``v_EC``, or by a sum of species.

    Parameters
    ----------
    table : DataTable
        The file.
    stem : {"c", "v"}
        Concentrations or velocities.
    species : sequence of str
        Those of the electrolyte.

    Returns
    -------
    str
        As it stands in the heading.

    Raises
    ------
    InputError
        No such column or several, or a species that there is not.
    """
    named = [column.name for column in table.columns if column.name.startswith(f"{stem}_")]
    if len(named) != 1:
        what = {"c": "concentration", "v": "velocity"}[stem]
        columns = ", ".join(f"{stem}_{name}" for name in species)
        raise InputError(
            f"{table.path}: has positions and must have one {what} of a species beside them: {columns}, or {stem} with "
            f"species in a data sheet; found {', '.join(named) or 'none'}"
        )
    try:
        species_sum(named[0][2:], species)
    except InputError as error:
        raise InputError(f'{table.path}: column "{named[0]}": {error}') from None
    return named[0][2:]


def concentrations(table: DataTable, setup: Setup, *, label: str = "", species: str = "") -> ConcentrationMap:
    """A long table of concentrations: time, position, c and, if known, error, one row per point; some may be missing.

    Parameters
    ----------
    table : DataTable
        Units in the header. The column is ``c``; of n components ``c_EC``, or ``c`` where `species` says whose.
    setup : Setup
        What was measured on.
    label : str
        For figures; default the name of the file.
    species : str
        Of n components: whose concentration it is, also a sum; default by the heading of the column.

    Returns
    -------
    ConcentrationMap

    Raises
    ------
    InputError
        A column missing or without unit, a point twice, an error that is not positive, anything not a number.
    """
    time, position = axes(table, setup.origin)
    own = ("c", "concentration") if not setup.species or species else ()
    species = species or (species_of(table, "c", setup.species) if setup.species else "")
    c = table.required((*own, f"c_{species}"), ["mol/m^3"], gaps=True)
    error = table.errors(["mol/m^3"], c)
    # noise about an empty wall may be negative, a concentration may not
    noise = 0.05 * float(np.nanmax(np.abs(c))) if error is None else error
    wrong = np.flatnonzero(c < -5 * noise) if error is not None else np.flatnonzero(c < -noise)
    if wrong.size:
        raise InputError(
            f"{table.path}: row {table.lines[int(wrong[0])]}: a concentration of {c[wrong[0]]:.4g} mol/m^3 is negative "
            "beyond its error; give concentrations, not their changes, or remove the row"
        )
    times, places, (values, errors) = grid(table.path, time, position, c, error)
    assert values is not None
    return ConcentrationMap(times, places, values, errors, label=label or table.path.name, species=species)


def velocity_points(
    table: DataTable,
    setup: Setup,
    *,
    quantity: str | None = None,
    frame: Frame | None = None,
    unsigned: bool | None = None,
    label: str = "",
) -> Measurement:
    """A long table of velocities: time, position, v and, if known, error, one row per point.

    Parameters
    ----------
    table : DataTable
        Units in the header. The column is ``v_0`` (solvent), ``v_minus``, ``v_plus``, or ``v``; of n components
        ``v_EC``, or ``v`` where `quantity` says whose.
    setup : Setup
        What was measured on.
    quantity, frame : str, optional
        What ``v`` is; default: by the column's name, the lab frame for solvents, the interface frame for ions.
    unsigned : bool, optional
        Only the magnitude was measured; default: true where no value is negative.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    Measurement

    Raises
    ------
    InputError
        A column missing or without unit, anything not a number, a negative value among magnitudes.
    """
    time, position = axes(table, setup.origin)
    names = {column.name for column in table.columns}
    if quantity is not None:
        chosen = quantity
    elif setup.species:
        chosen = f"v_{species_of(table, 'v', setup.species)}"
    else:
        chosen = next((name for name in VELOCITIES if name in names), VELOCITIES[0])
    own = ("v",) if quantity is not None or not setup.species else ()
    v = table.required((chosen, *own), ["m/s"])
    magnitudes = bool(np.all(v >= 0)) if unsigned is None else unsigned
    if magnitudes and np.any(v < 0):
        raise InputError(f"{table.path}: a velocity is negative, but only magnitudes were announced")
    look = VelocityLook(time, position, chosen, frame or usual_frame(chosen, setup), magnitudes)
    return velocities(look, v, error=table.errors(["m/s"], v), label=label or table.path.name)


def usual_frame(quantity: str, setup: Setup) -> Frame:
    """The frame of a velocity that states none: the lab for solvents, where scattering sees them, else the interface.

    Parameters
    ----------
    quantity : str
        As of :class:`.VelocityLook`.
    setup : Setup
        What it was measured on.

    Returns
    -------
    {"lab", "interface"}
    """
    if not isinstance(setup.transport, MixtureSet):
        return "lab" if quantity == "v_0" else "interface"
    charges = dict(zip(setup.species, setup.transport.charges, strict=True))
    return "interface" if any(charges[name] for name in species_sum(quantity[2:], setup.species)) else "lab"


def not_imposed(protocol: Protocol, solution: Solution) -> tuple[Measurement, ...]:
    """What the tables of following steps hold of the drive that was measured and not imposed.

    Parameters
    ----------
    protocol : Protocol
        The steps.
    solution : Solution
        Their run: its log says when each began.

    Returns
    -------
    tuple of Measurement
    """
    others = []
    for entry in solution.log:
        step = protocol.steps[int(entry["index"])]
        if step.measured_other is not None:
            time, value = step.measured_other
            kind: Literal["current", "voltage"] = "voltage" if step.drive == "current" else "current"
            others.append(series(kind, time + float(entry["t_start"]), value, label=f"{kind}, not imposed"))
    return tuple(others)
