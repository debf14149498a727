"""A transport set in words and as a figure: what it is worth, where it comes from, its values over its range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import CONCENTRATION
from cellsim.electrolyte.mixture_file import is_mixture, parse_mixture
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.properties import PRODUCT, PROPERTIES
from cellsim.electrolyte.set_file import SetFile, list_sets, read_set
from cellsim.electrolyte.transport import T_PLUS_FRAMES, TransportSet
from cellsim.files.schema import read_toml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cellsim.electrolyte.transport import TransportSet


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


def is_set(path: str | Path) -> bool:
    """Whether a file is a transport set rather than a case: it has properties and no cell.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    top = read_toml(path)
    return "cell" not in top and "solvent" in top and "salt" in top


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
    if Path(name).suffix == ".toml" and Path(name).is_file():
        top = read_toml(name)
        if is_mixture(top):
            return describe_mixture(parse_mixture(top, T))
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
        f"chi           given on the {entry.chi_basis} basis"
        + (" as (1 - t+0) chi" if entry.chi_is_product else "")
        + "; shown molal",
        "sources",
        *(f"  {key:10}  {text}" for key, text in entry.source.items()),
    ]
    if entry.uncertainty:
        lines += ["uncertainty", *(f"  {key:10}  {text}" for key, text in entry.uncertainty.items())]
    return [
        *lines,
        f"values at {bound.T:.6g} K, all checked to be finite, kappa, D and chi to be positive",
        *_table(bound),
        "t_plus in the frames of the solvent, the volume, the number of particles"
        + (" and the mass" if bound.M_plus else "; [salt] M_plus, the cation's molar mass, would add the mass"),
        *_frames(bound),
    ]


def describe_mixture(transport: MixtureSet) -> list[str]:
    """A set of n components in words: species, sources, coefficients at the middle and the corners of its range.

    Parameters
    ----------
    transport : MixtureSet
        The set.

    Returns
    -------
    list of str
        Lines to print.
    """
    names = transport.components
    spans = (f"{low:.4g}-{high:.4g}" for low, high in transport.r_range)
    lines = [
        f"{transport.name}: {transport.title}",
        f"status        {transport.status}" + (f": {transport.note}" if transport.note else ""),
        f"cation        {transport.cation}, z = {transport.z_plus}; it alone crosses the interfaces",
        f"components    {', '.join(f'{name} (z = {z})' for name, z in zip(names, transport.z, strict=True))}",
        f"solvent       {transport.solvent}: composition is r = moles per mole of it, and the frame is its own",
        f"temperature   {transport.T:.6g} K",
        f"range         {', '.join(f'r_{name} = {span}' for name, span in zip(names, spans, strict=True))}",
        "sources",
        *(f"  {key:14}  {text}" for key, text in transport.source.items()),
        "Omega and G symmetric and positive definite at every composition looked at; values at some of them:",
    ]
    columns = [
        *(f"r_{name}" for name in names),
        "kappa (S/m)",
        *(f"tau_{name}" for name in names),
        "  D (m^2/s) of modes",
    ]
    lines.append("".join(f"{name:>13}" for name in columns))
    rows = transport.samples[: 1 + 2 ** min(len(names), 3)]
    for r in rows[transport.r_plus(rows) > 0]:
        at = transport.at(r)
        # L G is similar to a symmetric matrix; its eigenvalues are those of the modes of diffusion
        D = np.sort(np.linalg.eigvals(at.diffusion / at.c_0**2).real)
        lines.append("".join(f"{value:13.4g}" for value in (*r, float(at.kappa), *at.tau, *D)))
    return lines


def _range(bound: TransportSet) -> str:
    low, high = (np.asarray(c) for c in bound.c_range)
    return (
        f"c = {float(low) / 1e3:.4g}-{float(high) / 1e3:.4g} mol/L, m = {float(bound.m(low)):.4g}-"
        f"{float(bound.m(high)):.4g} mol/kg, r = {float(bound.r(low)):.4g}-{float(bound.r(high)):.4g}"
    )


def _table(bound: TransportSet, points: int = 7) -> list[str]:
    c = np.linspace(*bound.c_range, points)
    columns = {"c (mol/L)": c / 1e3, "r": bound.r(c)}
    for name, kind in PROPERTIES.items():
        heading = "t+0" if name == "t_plus" else f"{name} ({kind.unit})" if kind.unit else name
        columns[heading] = getattr(bound, name)(c)
    return _lines(columns | {"phi_0": bound.phi_0(c), "Ne": bound.newman_number(c)})


def _frames(bound: TransportSet, points: int = 7) -> list[str]:
    """t+ in every frame that the set knows enough for."""
    c = np.linspace(*bound.c_range, points)
    known = [frame for frame in T_PLUS_FRAMES if frame != "mass" or bound.M_plus]
    return _lines({"c (mol/L)": c / 1e3} | {frame: bound.t_plus_in(frame, c) for frame in known})


def _lines(columns: Mapping[str, Array]) -> list[str]:
    rows = ["".join(f"{name:>13}" for name in columns)]
    return rows + ["".join(f"{value:13.4g}" for value in row) for row in zip(*columns.values(), strict=True)]


def plot_sets(transports: Sequence[TransportSet], path: str | Path) -> Path:
    """Draw the four functions of several sets over one another, each over its own range.

    Parameters
    ----------
    transports : sequence of TransportSet
        Bound to their temperatures.
    path : str or Path
        PNG, PDF or SVG.

    Returns
    -------
    Path
        The file written.
    """
    product = any(one.chi_is_product for one in transports)
    last = "one_minus_t_plus_chi" if product else "chi"
    rows = [(kind.symbol, name, kind.figure_unit) for name, kind in PROPERTIES.items() if name != "chi"]
    rows.append((PRODUCT if product else PROPERTIES["chi"].symbol, last, "1"))
    unmeasured = [f"{one.name} is {one.status}" for one in transports if one.status != "measured"]
    note = ". ".join([*unmeasured, "$t_+^0$ with respect to the solvent, $\\chi$ molal."])
    shown = {"width": figstyle.TWO_COLUMNS, "height": 1.8, "sharex": True, "note": note}
    with figstyle.drawing(path, 2, 2, **shown) as (_, axes):
        for panel, (symbol, name, unit) in zip(axes, rows, strict=True):
            curves = []
            for one in transports:
                c = np.linspace(*one.c_range, 400)
                curves.append((c / 1e3, getattr(one, name)(c)))
            power = int(np.floor(np.log10(max(float(np.max(np.abs(y))) for _, y in curves))))
            power = power if power < -3 else 0
            for one, (x, y), colour, dash in zip(
                transports, curves, cycle(figstyle.COLOURS), cycle(figstyle.DASHES), strict=False
            ):
                label = f"{one.name}, {one.T:.5g} K"
                panel.plot(x, y / 10.0**power, color=colour, linestyle=dash, linewidth=1.1, label=label)
            panel.set_ylabel(figstyle.label(symbol, f"10$^{{{power}}}$ {unit}" if power else unit))
            if min(float(y.min()) for _, y in curves) >= 0:
                panel.set_ylim(0, None)
            else:
                panel.axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
        figstyle.legend_above(axes[0], columns=1)
        for panel in axes[2:]:
            panel.set_xlabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
            panel.set_xlim(0, None)
    return Path(path)


def plot_set(transport: TransportSet, path: str | Path) -> Path:
    """Draw the four functions of a transport set over its range, with their sources, into a file.

    Parameters
    ----------
    transport : TransportSet
        Bound to a temperature.
    path : str or Path
        PNG, PDF or SVG.

    Returns
    -------
    Path
        The file written.
    """
    with figstyle.style():
        return figstyle.save(figure_of_set(transport), path)


def figure_of_set(transport: TransportSet) -> Figure:
    """The four functions of a transport set over its range, with their sources, as a figure in memory.

    Parameters
    ----------
    transport : TransportSet
        Bound to a temperature.

    Returns
    -------
    Figure
    """
    c = np.linspace(*transport.c_range, 600)
    x = c / 1e3
    curves = []
    for name, kind in PROPERTIES.items():
        if name == "chi" and transport.chi_is_product:
            curves.append((PRODUCT, transport.one_minus_t_plus_chi(c), kind.figure_unit))
            continue
        values = getattr(transport, name)(c)
        power = int(np.floor(np.log10(np.max(np.abs(values)))))
        small = power < -3  # a power of ten on the axis, as journals print it
        unit = f"10$^{{{power}}}$ {kind.figure_unit}" if small else kind.figure_unit
        curves.append((kind.symbol, values / 10.0**power if small else values, unit))
    frame = "$t_+^0$ with respect to the solvent, $\\chi$ molal."
    letters = {name: kind.letter for name, kind in PROPERTIES.items()} | {"volumes": "volumes"}
    sources = [f"{letters[key]}: {transport.source[key]}." for key in letters if transport.source.get(key)]
    status = "" if transport.status == "measured" else f" — {transport.status.upper()}"
    title = f"{transport.title or transport.name}, {transport.T:.2f} K{status}"
    note = "\n".join([*([transport.note] if transport.note else []), *sources, frame])
    layout: Any = {"title": title, "note": note, "width": figstyle.TWO_COLUMNS, "height": 1.8, "sharex": True}
    with figstyle.panels(2, 2, **layout) as (figure, axes):
        for panel, (symbol, values, unit), colour in zip(axes, curves, figstyle.COLOURS, strict=False):
            panel.plot(x, values, color=colour)
            panel.set_ylabel(figstyle.label(symbol, unit))
            low, high = float(np.min(values)), float(np.max(values))
            if low >= 0:
                panel.set_ylim(0, 1.1 * high)
            else:
                panel.axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
        for panel in axes[2:]:
            panel.set_xlabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
            panel.set_xlim(0, None)
    return figure
