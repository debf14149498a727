"""A transport set in words and in a figure: what it rests on and what its four functions look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim.equations import newman_number
from cellsim.errors import InputError
from cellsim.figstyle import TWO_COLUMNS, drawing, label
from cellsim.set_file import SetFile, list_sets, read_set
from cellsim.transport import TransportSet

Array = NDArray[np.float64]


def catalogue() -> list[str]:
    """The shipped sets, one line each: name, status, temperatures, title."""
    names = list_sets()
    width = max(len(name) for name in names)
    lines = []
    for name in names:
        entry = read_set(name)
        lines.append(f"{name:{width}}  {entry.status:14}  {_temperatures(entry):14}  {entry.title}")
    return lines


def _temperatures(entry: SetFile) -> str:
    low, high = entry.T_range
    return f"{low:.6g} K" if high - low < 0.5 else f"{low:.6g}-{high:.6g} K"


def describe(name: str, T: float | None = None) -> list[str]:
    """A set in words: status, range, sources, and its values over the range.

    Parameters
    ----------
    name : str
        A shipped set, or the path of one.
    T : float, optional
        Temperature at which the values are shown [K]; default: 298.15 K or the nearest the set is valid at.

    Returns
    -------
    list of str
        Lines to print.

    Raises
    ------
    InputError
        If there is no such set, or it is not valid.
    """
    entry = read_set(name)
    bound = entry.bind(T)
    salt = entry.salt
    lines = [
        f"{entry.name}: {entry.title}",
        f"status        {entry.status}" + (f": {entry.note}" if entry.note else ""),
        f"salt          {salt['formula']}, z+ = {bound.z_plus}, z- = {bound.z_minus}, {1e3 * bound.M_e:.5g} g/mol",
        f"solvent       {entry.solvent['name']}, {1e3 * bound.M_0:.5g} g/mol",
        f"temperature   {_temperatures(entry)}",
        f"range         {_range(bound)}",
        f"t_plus        given with respect to the {entry.t_plus_frame}; shown with respect to the solvent",
        f"chi           given on the {entry.chi_basis} basis" + (" as (1 - t+0) chi" if entry.chi_is_product else "")
        + "; shown molal",
        "sources",
        *(f"  {key:10}  {text}" for key, text in entry.source.items()),
    ]  # fmt: skip
    if entry.uncertainty:
        lines += ["uncertainty", *(f"  {key:10}  {text}" for key, text in entry.uncertainty.items())]
    return [
        *lines,
        f"values at {bound.T:.6g} K, all checked to be finite, kappa, D and chi to be positive",
        *_table(bound),
    ]


def _range(bound: TransportSet) -> str:
    low, high = (np.asarray(c) for c in bound.c_range)
    return (
        f"c = {float(low) / 1e3:.4g}-{float(high) / 1e3:.4g} mol/L, m = {float(bound.m(low)):.4g}-"
        f"{float(bound.m(high)):.4g} mol/kg, r = {float(bound.r(low)):.4g}-{float(bound.r(high)):.4g}"
    )


def _table(bound: TransportSet, points: int = 7) -> list[str]:
    c = np.linspace(*bound.c_range, points)
    columns = {
        "c (mol/L)": c / 1e3,
        "r": bound.r(c),
        "kappa (S/m)": bound.kappa(c),
        "D (m^2/s)": bound.D(c),
        "t+0": bound.t_plus(c),
        "chi": bound.chi(c),
        "phi_0": bound.phi_0(c),
        "Ne": newman_number(bound, c),
    }
    rows = ["".join(f"{name:>13}" for name in columns)]
    return rows + ["".join(f"{value:13.4g}" for value in row) for row in zip(*columns.values(), strict=True)]


def draw(name: str, path: str | Path, T: float | None = None) -> None:
    """Draw a set's four functions over its range.

    Parameters
    ----------
    name : str
        A shipped set, or the path of one.
    path : str or Path
        The picture to write.
    T : float, optional
        Temperature [K].

    Raises
    ------
    InputError
        If there is no such set, or the picture cannot be written.
    """
    entry = read_set(name)
    bound = entry.bind(T)
    low, high = bound.c_range
    c = np.linspace(low, high, 400)
    x, x_label = {
        "c": (c / 1e3, label("c", "mol/L", "salt concentration")),
        "m": (bound.m(c), label("m", "mol/kg", "molality")),
        "r": (bound.r(c), label("r", "", "salt per solvent unit")),
    }[entry.range[0]]
    curves = {
        label("κ", "S/m", "conductivity"): bound.kappa(c),
        label("D", "m²/s", "diffusion coefficient"): bound.D(c),
        label("t₊⁰", "", "transference number"): bound.t_plus(c),
        label("χ", "", "thermodynamic factor"): bound.chi(c),
    }
    note = f"{bound.T:.2f} K; t₊⁰ with respect to the solvent, χ molal. " + (
        "" if entry.status == "measured" else f"{entry.status}: {entry.note}"
    )
    try:
        with drawing(path, 2, 2, title=entry.title, note=note, width=TWO_COLUMNS) as (_, panels):
            for axes, (y_label, values) in zip(panels, curves.items(), strict=True):
                axes.plot(x, values)
                axes.set(xlabel=x_label, ylabel=y_label)
                if y_label.startswith(("conductivity", "diffusion")):
                    axes.set_ylim(bottom=0)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the picture cannot be written ({error})") from error
