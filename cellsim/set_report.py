"""A transport set in words: what it is worth, where it comes from, its values over its range."""

from __future__ import annotations

import numpy as np

from cellsim.equations import newman_number
from cellsim.set_file import SetFile, list_sets, read_set
from cellsim.transport import TransportSet


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
