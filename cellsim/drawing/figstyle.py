"""One look for all figures: sizes, colours and fonts that survive print and colour blindness.

Figures are drawn on the Agg canvas without pyplot: no window, no global state, safe in threads and on servers.
Matplotlib is imported when the first figure is made.

>>> from cellsim.drawing.figstyle import drawing
>>> with drawing("current.png", title="Current decay") as (figure, axes):  # doctest: +SKIP
...     axes[0].plot([0, 1], [1, 0])
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 3.4
"""Width of a figure in one column of a journal page [inch]."""
TWO_COLUMNS = 7.0
"""Width of a figure across the page [inch]."""
FONT = 8.0
"""Size of all text [pt]."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that tell things apart (Okabe & Ito 2008, its yellow left out: too faint on paper)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Markers that go with them, so that no meaning rests on colour alone."""
DASHES = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)), (0, (6, 2)), (0, (1, 1)), ":")
"""Line styles that go with them."""
SEQUENTIAL = "cividis"
"""Colour map of a quantity that grows: even in lightness, readable by the colour-blind and in grey."""
GREY = "#666666"
"""References, limits and what is not data."""

CURRENT = "A m$^{-2}$"
"""Unit of a current density on an axis."""
SPEED = "Å s$^{-1}$"
"""Unit of a velocity on an axis; in SI times :data:`ANGSTROM`."""
ANGSTROM = 1e10
"""Angstrom in a metre."""
CONCENTRATION = "mol L$^{-1}$"
"""Unit of a concentration on an axis; in SI divided by 1000."""

_RC: Any = {
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "legend.fontsize": FONT,
    "legend.title_fontsize": FONT,
    "figure.titlesize": FONT,
    "figure.labelsize": FONT,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelpad": 3.0,
    "axes.formatter.useoffset": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.3,
    "legend.labelspacing": 0.25,
    "legend.columnspacing": 1.2,
    "savefig.dpi": 300,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


@contextmanager
def style() -> Iterator[None]:
    """The look, for as long as the block lasts; nothing outside it changes."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context(_RC | {"axes.prop_cycle": cycler(color=COLOURS)}):
        yield


@contextmanager
def panels(
    rows: int = 1,
    columns: int = 1,
    *,
    title: str = "",
    note: str = "",
    width: float = COLUMN,
    height: float = 2.2,
    ratios: Sequence[float] | None = None,
    sharex: bool = False,
    sharey: bool | Literal["row"] = False,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure to draw into and to keep in memory, for a notebook; laid out when the block ends.

    Parameters
    ----------
    rows, columns : int
        Panels.
    title : str
        Above the panels, wrapped to the width.
    note : str
        Below the panels, wrapped to the width: where the numbers come from, what is assumed.
    width : float
        :data:`COLUMN` or :data:`TWO_COLUMNS` [inch].
    height : float
        Of one row of panels, labels included [inch].
    ratios : sequence of float, optional
        Heights of the rows relative to one another.
    sharex : bool
        One position or time axis for a column of panels.
    sharey : bool or "row"
        One scale for all panels, or for those of a row.

    Yields
    ------
    figure : Figure
    axes : list of Axes
        Row by row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        title, note = wrap(title, 0.92 * width), wrap(note, width)
        lines = len(title.splitlines()) + len(note.splitlines())
        figure = Figure(figsize=(width, rows * height + 0.155 * lines + 0.05), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            rows, columns, squeeze=False, sharex="col" if sharex else False, sharey=sharey, height_ratios=ratios
        )
        if title:
            figure.suptitle(title, weight="bold", linespacing=1.15)
        if note:
            figure.supxlabel(note, x=0.02, ha="left", color=GREY, linespacing=1.15)
        yield figure, list(grid.flat)
        figure.draw_without_rendering()  # ticks are made here, in this style
        figure.set_layout_engine("none")  # the places are known; matplotlib would find them again at each drawing


@contextmanager
def drawing(path: str | Path, rows: int = 1, columns: int = 1, **layout: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure to draw into, written to `path` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        PNG, PDF or SVG; the folder must exist. Written whole or not at all.
    rows, columns : int
        Panels.
    **layout
        As of :func:`panels`.

    Yields
    ------
    figure : Figure
    axes : list of Axes
        Row by row.
    """
    with style():
        with panels(rows, columns, **layout) as (figure, axes):
            yield figure, axes
        save(figure, path)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure through a temporary file beside it, so that no half-written one is left.

    What a killed process left of that file is taken away by the next one that draws the same figure.
    """
    path = Path(path)
    aside = path.with_name(f".{path.stem}.partial{path.suffix}")
    metadata = {"Software": None} if path.suffix == ".png" else None
    try:
        figure.savefig(aside, metadata=metadata)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def wrap(text: str, width: float = COLUMN) -> str:
    """Text broken into lines that fit `width` [inch] at :data:`FONT`; line breaks in it are kept."""
    return "\n".join(line for part in text.splitlines() for line in textwrap.wrap(part, max(10, int(width * 16.5))))


def label(symbol: str, unit: str, what: str = "") -> str:
    """An axis label: what, symbol and unit, powers as in a file (m^2) raised, the unit left out for "" and "1"."""
    text = f"{what} {symbol}".strip()
    if "$" not in unit:
        unit = raised(unit)
    return text if unit in ("", "1") else f"{text} ({unit})"


def raised(text: str) -> str:
    """Text as it stands in a file, with its powers (m^2) raised; a dollar sign in it begins no formula."""
    return re.sub(r"\^(-?\d+)", r"$^{\1}$", text.replace("$", r"\$"))


def time_unit(longest: float) -> tuple[float, str]:
    """Factor from seconds, and name, of the unit in which times up to `longest` [s] have at most five digits."""
    units = ((1e15, "fs"), (1e12, "ps"), (1e9, "ns"), (1e6, "µs"))
    return next(((factor, unit) for factor, unit in units if longest * factor < 5e4), units[-1])


def shades(count: int, *, low: float = 0.0, high: float = 0.88) -> list[tuple[float, float, float, float]]:
    """`count` colours along :data:`SEQUENTIAL`, dark first; its pale end is left out."""
    from matplotlib import colormaps

    values = [0.35] if count == 1 else np.linspace(low, high, count)
    return [tuple(colormaps[SEQUENTIAL](float(v))) for v in values]  # type: ignore[misc]


def points(axes: Axes, x: ArrayLike, y: ArrayLike, error: ArrayLike | None = None, **look: Any) -> None:
    """Measured data: open markers with error bars, no line.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    x, y : array_like, shape (n,)
        The data.
    error : array_like, optional
        One standard error, one for all or one each; or two rows, below and above.
    **look
        ``color``, ``marker``, ``label`` and other arguments of ``Axes.errorbar``.
    """
    options: dict[str, Any] = {
        "color": "black",
        "marker": "o",
        "markersize": 2.6,
        "markerfacecolor": "white",
        "markeredgewidth": 0.7,
        "elinewidth": 0.6,
        "capsize": 0.0,
        "linestyle": "none",
        "zorder": 3,
    }
    axes.errorbar(np.asarray(x), np.asarray(y), yerr=error, **(options | look))


def reference(
    axes: Axes, y: float, text: str, *, above: bool = False, clear_of: tuple[ArrayLike, ArrayLike] | None = None
) -> None:
    """A dotted horizontal line with its name beside it.

    Parameters
    ----------
    axes : Axes
        Where to draw; its limits must be set.
    y : float
        Height of the line, in the unit of the axis.
    text : str
        Its name: under the line at the right, or where there is no room above it.
    above : bool
        Above the line wherever there is a choice.
    clear_of : tuple of array_like, optional
        A curve (x, y) that must not run through the name, which then stands where it meets least of it.
    """
    low, high = axes.get_ylim()
    under, left = not above and y - low > 0.1 * (high - low), False
    if clear_of is not None:
        under, left = _clearest(np.asarray(clear_of[0]), np.asarray(clear_of[1]), y, (low, high))
    axes.axhline(y, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.annotate(
        text,
        (0.02 if left else 1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(0, -2.0 if under else 2.0),
        textcoords="offset points",
        ha="left" if left else "right",
        va="top" if under else "bottom",
        color=GREY,
    )


def _clearest(x: ArrayLike, values: ArrayLike, y: float, limits: tuple[float, float]) -> tuple[bool, bool]:
    """Under the line at `y` or above it, at the left or at the right: where a name meets least of a curve."""
    x, deep = np.asarray(x, dtype=float), 0.1 * (limits[1] - limits[0])
    even = np.linspace(x[0], x[-1], 200)
    curve, part = np.interp(even, x, np.asarray(values, dtype=float)), np.linspace(0, 1, 200)

    def met(place: tuple[bool, bool]) -> int:
        under, left = place
        band = (curve > y - deep) & (curve < y) if under else (curve > y) & (curve < y + deep)
        outside = y - deep < limits[0] if under else y + deep > limits[1]
        return int(np.sum(band & (part < 0.75 if left else part > 0.25))) + 1000 * outside

    return min(((True, False), (False, False), (True, True), (False, True)), key=met)


def legend_above(axes: Axes, title: str = "", columns: int = 5, **more: Any) -> None:
    """The legend in a row above the panel, clear of the data; `more` goes to ``Axes.legend``."""
    axes.legend(
        **more,
        title=title,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=columns,
        handlelength=1.4,
        columnspacing=0.9,
        handletextpad=0.4,
        borderaxespad=0.0,
    )
