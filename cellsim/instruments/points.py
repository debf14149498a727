"""Tables of properties against concentration: what experiments say of a set itself, and no run is needed for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cellsim.base import Array, InputError, shortened
from cellsim.electrolyte.stated import OTHER_VARIABLES, salt_ratio
from cellsim.electrolyte.transport import Basis, Frame, TransportSet
from cellsim.instruments.looks import SetKind, SetLook
from cellsim.instruments.measurement import QUANTITIES, Measurement, left_out
from cellsim.instruments.noise import Noise
from cellsim.instruments.tables import DataTable

POINTS: Mapping[SetKind, tuple[str, ...]] = {
    "potential": ("u", "v"),
    "slope": ("du/dlnm", "du_dlnm"),
    "current_fraction": ("rho_plus", "current_fraction"),
    "conductivity": ("kappa",),
    "diffusion": ("d",),
    "transference": ("t_plus",),
    "factor": ("chi",),
}
"""What a table against concentration may hold, and the names of its column, lower case."""
_COMPOSITIONS = {"c": "mol/m^3", "m": "mol/kg", "r": "", "EO:Li": "", "w": ""}


def kinds_of(table: DataTable) -> tuple[SetKind, ...]:
    """The kinds of points that a table has columns for."""
    names = {column.name.lower() for column in table.columns}
    return tuple(kind for kind, known in POINTS.items() if names & set(known))


def read_points(
    table: DataTable,
    kind: SetKind,
    transport: TransportSet,
    *,
    reference: float | None = None,
    frame: Frame = "solvent",
    basis: Basis = "molal",
    label: str = "",
) -> Measurement:
    """One column of a table of properties against concentration.

    Parameters
    ----------
    table : DataTable
        ``c (mol/L)``, ``m (mol/kg)``, ``r``, ``EO:Li`` or ``w`` (mass fraction of salt); a column of :data:`POINTS`,
        which may have gaps; and, if known, ``error`` in the same unit, or ``error NAME`` where there are several.
    kind : str
        Of :data:`POINTS`.
    transport : TransportSet
        For its volumes, molar masses and range.
    reference : float, optional
        Concentration of the reference of a potential [mol/m^3].
    frame, basis : str
        Of a transference number and of a thermodynamic factor.
    label : str
        For reports.

    Returns
    -------
    Measurement
        Without the points outside the set's range, which is noted.

    Raises
    ------
    InputError
        A column missing or of the wrong unit, a potential without its reference, no point inside the range.
    """
    path, names, unit = table.path, POINTS[kind], QUANTITIES[kind].unit
    by = {key: table.quantity((key.lower(),), [si]) for key, si in _COMPOSITIONS.items()}
    composition = next(((key, values) for key, values in by.items() if values is not None), None)
    value = table.quantity(names, [unit], gaps=True)
    name = {"potential": "U", "diffusion": "D", "slope": "dU/dlnm"}.get(kind, names[0])
    for missing, wanted in ((composition is None, "c, m, r, EO:Li or w"), (value is None, f"{name} ({unit or '1'})")):
        if missing:
            raise InputError(f"{path}: no column {wanted}; found {shortened(', '.join(table.header[:6]), 300)}")
    if kind == "potential" and reference is None:
        raise InputError(f"{path}: a concentration potential needs reference, the concentration of its other half")
    assert composition is not None and value is not None
    error = table.errors([unit], value, of=names)
    c = _salt(table, *composition, transport)
    there, inside = np.isfinite(value), np.array([transport.contains(float(x)) for x in c])
    if not there.any():
        raise InputError(f'{path}: column "{name}" contains no number')
    keep = there & inside
    low, high = (x / 1e3 for x in transport.c_range)
    why = f"the range of {transport.name} is {low:.4g} to {high:.4g} mol/L"
    notes = left_out(value.size, [(there & ~inside, "outside the range of the set")], why=why)
    if not keep.any():
        raise InputError(f"{path}: no point lies inside the range of the set; {why}")
    look = SetLook(kind, c[keep], np.nan if reference is None else reference, frame, basis)
    noise = Noise(None if error is None else error[keep], np.zeros(look.c.size, dtype=np.int64))
    return Measurement(kind, label or path.name, value[keep], look, noise, np.zeros(0), notes=notes)


def _salt(table: DataTable, key: str, values: Array, transport: TransportSet) -> Array:
    """Concentrations [mol/m^3] from a column of composition; the message names the row."""
    c = np.empty(values.size)
    for k, x in enumerate(values.tolist()):
        try:
            if key in OTHER_VARIABLES:
                c[k] = transport.c_of(r=float(salt_ratio(key, x, transport.M_e, transport.M_0)))
            else:
                c[k] = transport.c_of(**{key: x})
        except InputError as error:
            raise InputError(f"{table.path}: row {table.lines[k]}: {error}") from error
    return c
