"""What the uncertainty of a set does to a prediction: bands on current, profiles and anion velocity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim import figstyle
from cellsim.plots.view import ANGSTROM, CURRENT, SPEED

if TYPE_CHECKING:
    from cellsim.fit.bands import Bands

_FRACTIONS = (0.03, 0.1, 0.3, 1.0)
"""Of the run: when profiles are drawn."""


def draw_bands(found: Bands, path: str | Path, *, title: str = "", note: str = "") -> Path:
    """Median, 68 % and 95 % of i(t), and 95 % of c(x) and v-(x) at four times of the run.

    Parameters
    ----------
    found : Bands
        With the five quantiles of :data:`cellsim.fit.bands.QUANTILES`.
    path : str or Path
        PNG, PDF or SVG.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    unit, scale_t = ("min", 60.0) if found.time[-1] > 1200 else ("s", 1.0)
    t_shown, mm = found.time / scale_t, 1e3 * found.position
    text = f"{found.draws} draws; shaded: 95 % (dark: 68 %)." + (
        f" {found.failed} draws could not be run and are left out." if found.failed else ""
    )
    with figstyle.drawing(
        path, 1, 3, title=title, note=f"{text} {note}".strip(), width=figstyle.TWO_COLUMNS, height=2.3
    ) as (_, axes):
        blue = figstyle.COLOURS[0]
        for low, high, alpha in ((0, 4, 0.2), (1, 3, 0.3)):
            axes[0].fill_between(t_shown, found.i[low], found.i[high], color=blue, alpha=alpha, linewidth=0)
        axes[0].plot(t_shown, found.i[2], color=blue)
        axes[0].set_xlabel(figstyle.label("$t$", unit))
        axes[0].set_ylabel(figstyle.label("$i$", CURRENT))
        shown = np.unique(np.searchsorted(found.time, np.array(_FRACTIONS) * found.time[-1]))
        for k, colour in zip(shown, figstyle.shades(shown.size), strict=True):
            k = min(int(k), found.time.size - 1)
            for panel, values, scale in ((axes[1], found.c, 1e-3), (axes[2], found.v_minus, ANGSTROM)):
                panel.fill_between(
                    mm, scale * values[0, k], scale * values[4, k], color=colour, alpha=0.25, linewidth=0
                )
                panel.plot(mm, scale * values[2, k], color=colour, label=f"{t_shown[k]:.3g} {unit}")
        axes[1].set_ylabel(figstyle.label("$c$", "mol L$^{-1}$"))
        axes[2].set_ylabel(figstyle.label("$v_-$", SPEED))
        axes[1].legend(fontsize=6)
        for panel in axes[1:]:
            panel.set_xlabel(figstyle.label("$x$", "mm"))
    return Path(path)
