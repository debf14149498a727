"""Units of the numbers of a run whose files do not fix them: unit styles of LAMMPS, Lennard-Jones units, stated units.

References
----------
LAMMPS documentation, "units command": the styles and their units.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellsim.base import N_A, InputError, k_B
from cellsim.files.schema import Table

_BOHR = 5.29177210903e-11  # CODATA 2018 [m]


@dataclass(frozen=True)
class RunUnits:
    """What one unit of each kind is in SI.

    Parameters
    ----------
    style : str
        As LAMMPS calls it; empty where the units themselves were stated.
    length : float
        [m]
    time : float
        [s]
    mass : float
        Of one particle [kg].
    velocity : float
        [m/s]
    """

    style: str
    length: float
    time: float
    mass: float
    velocity: float


_GRAM_PER_MOLE = 1e-3 / N_A
STYLES: Mapping[str, RunUnits] = {
    units.style: units
    for units in (
        RunUnits("real", 1e-10, 1e-15, _GRAM_PER_MOLE, 1e5),
        RunUnits("metal", 1e-10, 1e-12, _GRAM_PER_MOLE, 1e2),
        RunUnits("si", 1.0, 1.0, 1.0, 1.0),
        RunUnits("cgs", 1e-2, 1.0, 1e-3, 1e-2),
        RunUnits("electron", _BOHR, 1e-15, _GRAM_PER_MOLE, _BOHR / 1.03275e-15),
        RunUnits("micro", 1e-6, 1e-6, 1e-15, 1.0),
        RunUnits("nano", 1e-9, 1e-9, 1e-21, 1.0),
    )
}
"""Unit styles of LAMMPS that say what their units are; ``lj`` does not."""
LJ = "lj"
REDUCED = ("length", "mass", "energy")
"""What fixes all units of a run in reduced units: sigma, m and epsilon."""
RUN_KEYS = ("style", *REDUCED)
"""Keys of [units] that are about a trajectory."""


def read_units(table: Table) -> RunUnits | None:
    """Units of the numbers in trajectory files, as the table [units] states them.

    Parameters
    ----------
    table : Table
        With ``style``, or ``length``, ``mass`` and ``energy`` of a run in reduced units, or none of them.

    Returns
    -------
    RunUnits or None
        None where nothing is stated.

    Raises
    ------
    InputError
        Units that are stated in half, or twice.
    """
    style = table.choice("style", (*STYLES, LJ), None)
    length = table.quantity("length", "m", None, above=0)
    mass = table.quantity("mass", "kg/mol", None, above=0)
    energy = table.quantity("energy", "J/mol", None, above=0)
    given = [key for key in REDUCED if key in table]
    if style is not None and style != LJ:
        if given:
            raise table.error(given[0], f'says what style = "{style}" fixes already; leave it out, or say style = "lj"')
        return STYLES[style]
    if style is None and not given:
        return None
    if length is None or mass is None or energy is None:
        missing = [key for key in REDUCED if key not in given]
        raise InputError(
            f"{table.where()} leaves out {' and '.join(missing)}: reduced units mean something only with all three, "
            'length (sigma) such as "3.4 angstrom", mass (m) such as "39.95 g/mol" and energy (epsilon) such as '
            '"0.996 kJ/mol"'
        )
    return reduced(length, mass / N_A, energy / N_A)


def reduced(length: float, mass: float, energy: float) -> RunUnits:
    """Lennard-Jones units: the time is length sqrt(mass / energy).

    Parameters
    ----------
    length, mass, energy : float
        Sigma [m], m [kg] and epsilon [J] of one particle.

    Returns
    -------
    RunUnits

    References
    ----------
    LAMMPS documentation, "units command", style lj.
    """
    time = length * math.sqrt(mass / energy)
    return RunUnits(LJ, length, time, mass, length / time)


_REDUCED = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(tau|sigma|epsilon)\s*")


def with_reduced(top: Table, units: RunUnits | None) -> Table:
    """A file whose values in tau, sigma and epsilon are values with units.

    Parameters
    ----------
    top : Table
        The file.
    units : RunUnits, optional
        Of its run.

    Returns
    -------
    Table
        ``"0.005 tau"`` is a time, ``"12 sigma"`` a length and ``"1.2 epsilon"`` a temperature, that of k_B T.

    Raises
    ------
    InputError
        Such a value where the units are not reduced ones.
    """
    scale: dict[str, tuple[float, str]] = {}
    if units is not None and units.style == LJ:
        kelvin = units.mass * units.velocity**2 / k_B
        scale = {"tau": (units.time, "s"), "sigma": (units.length, "m"), "epsilon": (kelvin, "K")}

    def meant(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: meant(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [meant(inner) for inner in value]
        found = _REDUCED.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        if not scale:
            raise InputError(
                f"{top.file}: {value!r} is in reduced units; say what they are by a table [units] with length, mass "
                "and energy"
            )
        size, unit = scale[found[2]]
        return f"{float(found[1]) * size!r} {unit}"

    return Table(meant(dict(top.data)), top.file, top.name, top.text)


def units_of_file(name: str, said: str, stated: RunUnits | None) -> RunUnits | None:
    """Units of one file: as the file says and as [units] states, which must not contradict each other.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    said : str
        Unit style that the file names; empty where it names none.
    stated : RunUnits, optional
        From [units].

    Returns
    -------
    RunUnits or None
        None where neither says anything.

    Raises
    ------
    InputError
        A style that LAMMPS does not have, that [units] contradicts, or Lennard-Jones units without their meaning.
    """
    if said and said not in (*STYLES, LJ):
        raise InputError(f"{name}: is in units {said!r}, which LAMMPS does not have; the file is damaged")
    if stated is not None:
        if said and said != stated.style:
            raise InputError(f"{name}: is in {said} units, and [units] states {stated.style} units; correct [units]")
        return stated
    if said == LJ:
        raise InputError(
            f"{name}: is in Lennard-Jones units; say what they are by a table [units] with length (sigma) such as "
            '"3.4 angstrom", mass such as "39.95 g/mol" and energy (epsilon) such as "0.996 kJ/mol"'
        )
    return STYLES.get(said)
