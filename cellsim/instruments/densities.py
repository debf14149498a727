"""Partial molar volumes from a table of densities (Steinrueck 2020, Eq. 4), as the [volumes] of a transport set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import N_A, InputError
from cellsim.electrolyte.volumes import PartialVolumes, partial_volumes
from cellsim.instruments.tables import read_table

CUBIC_CENTIMETRE, CUBIC_ANGSTROM = 1e-6, 1e-30
LIKELY = (300.0, 8000.0)
"""Densities that a liquid or polymer electrolyte may have [kg/m^3]."""


@dataclass(frozen=True)
class DensityVolumesFit:
    """Volumes from densities.

    Parameters
    ----------
    found : PartialVolumes
        V_e and V_0.
    path : Path
        The table.
    """

    found: PartialVolumes
    path: Path

    def lines(self) -> list[str]:
        """Volumes per mole and per molecule with 95 % intervals, whether a straight line does, a block for a set."""
        found = self.found
        known, lines = bool(np.all(np.isfinite(found.error))), []
        for name, V, error in zip(("V_e", "V_0"), (found.V_e, found.V_0), found.error, strict=True):
            per_mole, per_one = CUBIC_CENTIMETRE, CUBIC_ANGSTROM * N_A
            mole, one = (f" ± {error / unit:.2g}" if known else "" for unit in (per_mole, per_one))
            lines.append(
                f"{name} = {V / per_mole:.4g}{mole} cm^3/mol ({V / per_one:.4g}{one} Å^3 per molecule or repeat unit)"
            )
        if known:
            correlation = found.covariance[0, 1] / max(float(np.prod(found.error)), np.finfo(float).tiny)
            lines.append(f"standard errors, correlation {correlation:+.2f}; {found.points} solutions")
        else:
            lines.append(
                "no errors: the line goes through both solutions; measure a third one, or give the table a column error"
            )
        if np.isfinite(found.chi2) and found.points > 2:
            lines.append(
                f"chi2 {found.chi2:.3g} of {found.points - 2} degrees of freedom: "
                + (
                    "the volumes vary with composition more than the errors allow; give the set a density curve instead"
                    if found.curved
                    else "constant volumes agree with these densities"
                )
            )
        return [*lines, "", *self.block().splitlines()]

    def block(self) -> str:
        """The [volumes] block of a transport set."""
        return (
            f'[volumes]\nV_e = "{self.found.V_e / CUBIC_CENTIMETRE:.6g} cm^3/mol"\n'
            f'V_0 = "{self.found.V_0 / CUBIC_CENTIMETRE:.6g} cm^3/mol"\n'
            f'source = "densities in {self.path.name}, V = V_0 + r V_e"\n'
        )

    def numbers(self) -> dict[str, Any]:
        """The same [SI]."""
        e, s = self.found.error
        return {
            "V_e": self.found.V_e,
            "V_0": self.found.V_0,
            "standard_error_V_e": e,
            "standard_error_V_0": s,
            "covariance": self.found.covariance.tolist(),
            "chi2": self.found.chi2,
            "points": self.found.points,
        }


def volumes_of_densities(path: str | Path, *, M_e: float, M_0: float) -> DensityVolumesFit:
    """Partial molar volumes from a table of densities.

    The volume of the solution per mole of solvent, (M_0 + r M_e)/density, is V_0 + r V_e.

    Parameters
    ----------
    path : str or Path
        Table with the column r, m (mol/kg) or c (mol/L), the column density (g/cm^3), and, if known, its error.
    M_e, M_0 : float
        Molar masses of salt and solvent (of a polymer: its repeat unit) [kg/mol].

    Returns
    -------
    DensityVolumesFit

    Raises
    ------
    InputError
        A column missing, densities no solution has, too few solutions.

    References
    ----------
    doi:10.1039/D0EE02193H, Eq. 4.
    """
    table = read_table(path)
    density = table.required(("density", "rho"), ["kg/m^3"])
    error = table.errors(["kg/m^3"], density)
    wrong = np.flatnonzero((density < LIKELY[0]) | (density > LIKELY[1]))
    if wrong.size:
        raise InputError(
            f"{table.path}: row {table.lines[int(wrong[0])]}: a density of {density[wrong[0]]:.4g} kg/m^3 lies outside "
            f"{LIKELY[0]:g}-{LIKELY[1]:g}; check its unit"
        )
    by = {key: table.quantity((key,), [unit]) for key, unit in (("r", ""), ("m", "mol/kg"), ("c", "mol/m^3"))}
    given = [(key, values) for key, values in by.items() if values is not None]
    if len(given) != 1:
        raise InputError(f"{table.path}: needs one of the columns r, m (mol/kg) and c (mol/L), it has {len(given)}")
    key, values = given[0]
    if np.any(values < 0):
        raise InputError(f"{table.path}: {key} must not be negative")
    if key == "r":
        r = values
    elif key == "m":
        r = values * M_0
    else:
        solvent = (density - values * M_e) / M_0  # [mol/m^3]
        if np.any(solvent <= 0):
            raise InputError(f"{table.path}: the salt alone weighs more than the solution; check c, density and masses")
        r = values / solvent
    volume = (M_0 + r * M_e) / density
    try:
        found = partial_volumes(r, volume, None if error is None else volume * error / density)
    except InputError as complaint:
        raise InputError(f"{table.path}: {complaint}") from None
    return DensityVolumesFit(found, table.path)
