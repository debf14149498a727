"""The four functions of a transport set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim import figstyle
from cellsim.plots.view import CONCENTRATION

if TYPE_CHECKING:
    from cellsim.transport import TransportSet


def plot_set(transport: TransportSet, path: str | Path) -> Path:
    """Draw the four functions of a transport set over its range, with their sources.

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
    c = np.linspace(*transport.c_range, 600)
    x = c / 1e3
    D = transport.D(c)
    scale = int(np.floor(np.log10(np.max(D))))
    third = ("$(1-t_+^0)\\,\\chi$", transport.one_minus_t_plus_chi(c), "chi", "1")
    curves = [
        ("$\\kappa$", transport.kappa(c), "kappa", "S m$^{-1}$"),
        ("$D$", D / 10.0**scale, "D", f"10$^{{{scale}}}$ m$^2$ s$^{{-1}}$"),
        ("$t_+^0$", transport.t_plus(c), "t_plus", "1"),
        third if transport.chi_is_product else ("$\\chi$", transport.chi(c), "chi", "1"),
    ]
    frame = "$t_+^0$ with respect to the solvent, $\\chi$ molal."
    names = {"kappa": "κ", "D": "D", "t_plus": "t+", "chi": "χ", "volumes": "volumes"}
    sources = [f"{names[key]}: {transport.source[key]}." for key in names if transport.source.get(key)]
    status = "" if transport.status == "measured" else f" — {transport.status.upper()}"
    title = f"{transport.title or transport.name}, {transport.T:.2f} K{status}"
    note = "\n".join([*([transport.note] if transport.note else []), *sources, frame])
    with figstyle.drawing(path, 2, 2, title=title, note=note, width=figstyle.TWO_COLUMNS, height=1.8, sharex=True) as (
        _,
        axes,
    ):
        for panel, (symbol, values, _key, unit), colour in zip(axes, curves, figstyle.COLOURS, strict=False):
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

    return Path(path)
