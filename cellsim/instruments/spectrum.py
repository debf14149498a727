"""Impedance spectra from files: EC-Lab .mpt and .mpr, Gamry .DTA, tables with units in the header.

The imaginary part may stand as it is or, as is usual, with its sign turned; the heading says which: ``Im(Z)`` or
``-Im(Z)``. Modulus and phase do as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, shortened
from cellsim.instruments.exports import BINARY, read_export, text_of
from cellsim.instruments.potentiostat import FREQUENCIES, dta_table, dta_tables, parse_mpt, read_mpr
from cellsim.instruments.tables import DataTable, decimal_mark, parse_table, read_text

RESISTANCES = ("ohm", "ohm m^2")
REAL = ("re(z)", "rez", "zreal", "zre", "z'", "z_real", "real(z)", "zr")
IMAGINARY = ("im(z)", "imz", "zimag", "zim", "z''", 'z"', "z_imag", "imag(z)", "zi")
MODULUS = ("|z|", "zmod", "abs(z)", "modulus")
PHASE = ("phase(z)", "zphz", "phase", "arg(z)")


@dataclass(frozen=True)
class SpectrumData:
    """A recorded impedance spectrum.

    Parameters
    ----------
    path : Path
        The file.
    omega : ndarray, shape (n,)
        Angular frequencies, rising [rad/s].
    Z : ndarray, shape (n,)
        Complex, [ohm], or [ohm m^2] where `per_area`.
    per_area : bool
        Whether it is area-specific.
    notes : tuple of str
        What a reader of the data should know.
    """

    path: Path
    omega: Array
    Z: NDArray[np.complex128]
    per_area: bool
    notes: tuple[str, ...] = ()


def read_spectrum(path: str | Path) -> SpectrumData:
    """Read an impedance spectrum; the content decides the format, the name only for the binary .mpr.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    SpectrumData

    Raises
    ------
    InputError
        Missing or binary file, no frequencies, no impedance with a unit, several spectra in one file, anything that is
        not a number.
    """
    path = Path(path)
    notes: tuple[str, ...] = ()
    if path.suffix.lower() == ".mpr":
        return _from_table(read_mpr(path), ())
    binary = path.suffix.lower() in BINARY
    text = text_of(path) if binary else read_text(path, binary="is binary; export it as text, or name a binary .mpr")
    first = text.split("\n", 1)[0].strip()
    if first.startswith(("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")):
        table = parse_mpt(path, text)
    elif first.upper() == "EXPLAIN":
        tables = dta_tables(text)
        spectra = [entry for entry in tables if entry[1] == "ZCURVE"]
        if len(spectra) != 1:
            listed = shortened(", ".join(name for _, name, _ in tables), 300) or "none"
            raise InputError(
                f"{path}: holds {len(spectra)} impedance spectra (table ZCURVE), not one; tables: {listed}"
            )
        table, notes = dta_table(path, text, spectra[0])
    else:
        export = read_export(path, text)
        table, notes = (parse_table(text, path), ()) if export is None else (export.table, export.notes)
    return _from_table(table, notes)


def _from_table(table: DataTable, notes: tuple[str, ...]) -> SpectrumData:
    path = table.path
    headings = shortened(", ".join(f'"{heading}"' for heading in table.header[:8]), 300)
    frequency = next((k for k, c in enumerate(table.columns) if c.name.lower() in FREQUENCIES and c.fits(["Hz"])), None)
    if frequency is None:
        raise InputError(
            f'{path}: is no impedance spectrum: no column of frequency with a unit, such as "f (Hz)"; found {headings}'
        )
    cartesian = _find(table, REAL), _find(table, IMAGINARY)
    first, second = cartesian if None not in cartesian else (_find(table, MODULUS), _find(table, PHASE))
    if first is None or second is None:
        raise InputError(
            f'{path}: no columns of the real and the imaginary part such as "Re(Z) (ohm)" and "-Im(Z) (ohm)"; '
            f"found {headings}"
        )
    if not table.rows:
        raise InputError(f"{path}: holds a header and no rows of data")
    used = (frequency, first[0], second[0])
    decimal_mark([cell for k in used for cell in table.cells(k)], str(path))
    f = table.numbers(frequency) * table.columns[frequency].factor(["Hz"], field=table.header[frequency])[0]
    factor, unit = table.columns[first[0]].factor(RESISTANCES, field=f'{path}: column "{table.header[first[0]]}"')
    one, two = table.numbers(first[0]) * factor * first[1], table.numbers(second[0]) * second[1]
    if None not in cartesian:
        where = f'{path}: column "{table.header[second[0]]}"'
        other, other_unit = table.columns[second[0]].factor(RESISTANCES, field=where)
        if other_unit != unit:
            raise InputError(
                f"{path}: the real part is in {unit}, the imaginary part in {other_unit}; correct a heading"
            )
        Z = one + 1j * other * two
    else:
        degrees = table.columns[second[0]].unit in ("deg", "°", "degree")
        Z = one * np.exp(1j * (np.deg2rad(two) if degrees else two))
    recorded = f > 0  # EC-Lab keeps the rest before a spectrum in it, with a frequency of 0
    f, Z = f[recorded], Z[recorded]
    order = np.argsort(f, kind="stable")
    again = np.flatnonzero(np.diff(f[order]) <= 1e-6 * f[order][:-1])
    if again.size:
        raise InputError(
            f"{path}: the frequency {f[order][again[0]]:.6g} Hz occurs twice, so that it holds several spectra; "
            "export one per file"
        )
    return SpectrumData(path, 2 * np.pi * f[order], np.asarray(Z[order], dtype=complex), unit == "ohm m^2", notes)


def _find(table: DataTable, names: tuple[str, ...]) -> tuple[int, float] | None:
    """The column of one of `names` and the sign that its heading turns."""
    for k, column in enumerate(table.columns):
        name = re.sub(r"[\s]", "", column.name.lower()).replace("′", "'").replace("″", "''").replace("−", "-")
        if name.lstrip("-") in names:
            return k, -1.0 if name.startswith("-") else 1.0
    return None
