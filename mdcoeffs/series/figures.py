"""The figures of a series, and the rows of numbers behind each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing.figstyle import (
    COLOURS,
    DASHES,
    MARKERS,
    TWO_COLUMNS,
    drawing,
    label,
    legend_above,
    points,
    time_unit,
)
from cellsim.files.writing import Rows
from mdcoeffs.series.quantities import OMEGA, PANELS, Z95, Found, legend_of, panel_of
from mdcoeffs.series.recipe import Measured
from mdcoeffs.series.run import Series
from mdcoeffs.series.temperature import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {
    "transport": "Transport coefficients",
    "onsager": "Onsager coefficients in two frames",
    "structure": "Shells and clusters",
    "dynamics": "Residence and motion",
    "interface": "Crossings of interfaces",
    "activity": "Thermodynamic factor",
}
"""Figure -> what stands above it."""
MOST = 6
"""Quantities drawn in a panel; the others are in the data of the figure."""
SHIFT = 0.006
"""Points of neighbouring quantities are drawn so far apart, of the span of the variable [1]."""
SYMBOLS = {"c": "$c$", "T": "$T$", "m": "$m$", "r": "$r$", "charge_scaling": "charge scaling"}
UNITS = {
    "S/m": "S m$^{-1}$",
    "m^2/s": "m$^2$ s$^{-1}$",
    OMEGA: "mol$^2$/(J m s)",
    "1/s": "s$^{-1}$",
    "A/m^2": "A m$^{-2}$",
    "ohm m^2": "Ω m$^2$",
    "mol/L": "mol L$^{-1}$",
    "mol/kg": "mol kg$^{-1}$",
    "1": "",
}
_HEAD = ("panel", "quantity", "kind", "at", "value", "low", "high", "unit", "source")
_POINTS = 101


def figures_of(series: Series) -> list[str]:
    """Names of the figures for which there is something to draw, in the order of the page.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of str
    """
    there = {PANELS[panel].figure for panel in _panels(series, None)}
    return [name for name in TITLES if name in there] + (["temperature"] if series.fits else [])


def _panels(series: Series, figure: str | None) -> list[str]:
    names = dict.fromkeys(panel_of(name) for name in series.quantities)
    return [name for name in PANELS if name in names and (figure is None or PANELS[name].figure == figure)]


def drawn(series: Series, panel: str) -> list[str]:
    """The quantities of a panel that are drawn; the data of the figure hold them all.

    Parameters
    ----------
    series : Series
        What was found.
    panel : str
        A key of `PANELS`.

    Returns
    -------
    list of str
        Of several ways to count the first: molecules, not sites; continuous times; clusters of cations.
    """
    names = [name for name in series.quantities if panel_of(name) == panel]
    if panel in ("residence", "linkers"):
        names = [name for name in names if "_continuous" in name]
        names = [name for name in names if "-site(" not in name] or names
    elif panel == "coordination":
        names = [name for name in names if name.startswith("molecules_")]
    elif panel == "clusters":
        names = [name for name in names if name.startswith("cations_")]
    elif panel == "bound":
        names = ["bound"] if "bound" in names else names
    return names[:MOST]


def axis_label(series: Series) -> str:
    """The label of the variable's axis.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    str
    """
    recipe = series.recipe
    return label(SYMBOLS.get(recipe.variable, recipe.variable.replace("_", " ")), UNITS.get(recipe.unit, recipe.unit))


def scale_of(unit: str, values: Sequence[float]) -> tuple[float, str]:
    """Factor from SI, and name, of a unit in which values have few digits.

    Parameters
    ----------
    unit : str
        SI unit; "1" for pure numbers.
    values : sequence of float
        In SI.

    Returns
    -------
    factor : float
    name : str
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    if unit == "s":
        return time_unit(largest)
    if unit == "m":
        return 1e9, "nm"
    if unit not in ("1", "S/m") and largest > 0:
        power = math.floor(math.log10(largest))
        return 10.0**-power, f"10$^{{{power}}}$ {UNITS.get(unit, unit)}"
    return 1.0, UNITS.get(unit, unit)


# ---- over the variable ----------------------------------------------------------------------------------------------


def draw_figure(series: Series, figure: str, path: str | Path) -> Path:
    """Draw one figure over the variable: filled points computed, open points measured, 95 % bars.

    Parameters
    ----------
    series : Series
        What was found.
    figure : str
        One of :func:`figures_of`.
    path : str or Path
        PNG to write.

    Returns
    -------
    Path
    """
    if figure == "temperature":
        return draw_temperature(series, path)
    names = _panels(series, figure)
    columns = min(2 if len(names) in (1, 2, 4) else 3, len(names))
    rows = -(-len(names) // columns)
    note = (
        "Bars: 95 % intervals; points of one state are drawn a little apart. No line joins the states: nothing was "
        "simulated between them."
    )
    if "residence" in names:
        note += " Times: present in every frame (continuous)."
    if any(panel_of(value.quantity) in names for value in series.recipe.measured):
        note += " Open symbols: measured."
    title = f"{series.recipe.title}: {TITLES[figure]}"
    with drawing(path, rows, columns, title=title, note=note, width=TWO_COLUMNS, height=2.25) as (_, axes):
        for k, panel in enumerate(axes):
            if k >= len(names):
                panel.set_axis_off()
                continue
            _draw_panel(panel, series, names[k])
            panel.set_xlabel(axis_label(series))
    return Path(path)


def _measured(series: Series, quantity: str) -> list[Measured]:
    return [value for value in series.recipe.measured if value.quantity == quantity]


def _draw_panel(axes: Axes, series: Series, panel: str) -> None:
    names, kind = drawn(series, panel), PANELS[panel]
    everything = [each.value for name in names for each in series.over(name)[1]]
    everything += [value.value for name in names for value in _measured(series, name)]
    factor, unit = scale_of(kind.unit, everything)
    for k, name in enumerate(names):
        at, found = series.over(name)
        look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        aside = SHIFT * (k - 0.5 * (len(names) - 1)) * max(float(np.ptp(at)), 0.01 * abs(at[0]))
        _bars(axes, np.array(at) + aside, found, factor, label=legend_of(name), markerfacecolor=look["color"], **look)
        own = _measured(series, name)
        if own:
            bars = np.nan_to_num([Z95 * value.error * factor for value in own])
            y = [value.value * factor for value in own]
            points(axes, [value.at for value in own], y, bars, **look | {"markersize": 4.5, "zorder": 2})
    axes.set_ylabel(_two_lines(kind.label, unit))
    _limits(axes, everything, factor, log=bool(kind.sign))
    if len(names) > 1:
        legend_above(axes, columns=3 if max(len(legend_of(name)) for name in names) < 14 else 2)


def _bars(axes: Axes, at: Array, found: Sequence[Found], factor: float, **look: Any) -> None:
    y = np.array([each.value for each in found]) * factor
    ends = np.array([(each.low, each.high) if each.bounded else (each.value, each.value) for each in found]).T * factor
    error = np.maximum(np.array([y - ends[0], ends[1] - y]), 0.0)
    points(axes, at, y, error, **look)


def _two_lines(text: str, unit: str) -> str:
    """A label, its unit in a line of its own where both together are longer than a panel is high."""
    return f"{text}\n({unit})" if unit and len(text) + len(unit) > 30 else label(text, unit)


def _logarithmic(axes: Axes) -> None:
    """A logarithmic axis with plain numbers, also between the powers of ten where there are few of them."""
    from matplotlib.ticker import FuncFormatter

    axes.set_yscale("log")
    few = np.ptp(np.log10(axes.get_ylim())) < 2

    def between(value: float, _: int | None = None) -> str:
        digit = round(value / 10 ** math.floor(math.log10(value)))
        return f"{value:g}" if few and digit in (2, 5) else ""

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(between))


def _limits(axes: Axes, values: Sequence[float], factor: float, *, log: bool) -> None:
    """A logarithmic axis for rates that span more than a decade; else limits by the values, where bars are longer."""
    y = np.array([value for value in values if math.isfinite(value)]) * factor
    if log and y.size and y.min() > 0 and y.max() > 10 * y.min():
        _logarithmic(axes)
        return
    low, high = axes.get_ylim()
    span = max(float(np.ptp(y)), 0.25 * float(np.abs(y).max())) if y.size else 1.0
    if y.size:
        axes.set_ylim(max(low, y.min() - 1.5 * span), min(high, y.max() + 1.5 * span))


# ---- over the temperature -------------------------------------------------------------------------------------------


def _fitted_panels(series: Series) -> dict[str, list[str]]:
    """Panel -> its fitted quantities that are drawn."""
    found: dict[str, list[str]] = {}
    for fit in series.fits:
        panel = panel_of(fit.quantity)
        names = found.setdefault(panel, [])
        if fit.quantity not in names and fit.quantity in drawn(series, panel):
            names.append(fit.quantity)
    return {panel: names for panel, names in found.items() if names}


def chosen_law(series: Series, quantity: str) -> Fit:
    """The law that is drawn: the straight one where it holds, else the bent one.

    Parameters
    ----------
    series : Series
        What was found.
    quantity : str
        A quantity that was fitted.

    Returns
    -------
    Fit
    """
    own = [fit for fit in series.fits if fit.quantity == quantity]
    return next((fit for fit in own if fit.holds), own[-1])


def draw_temperature(series: Series, path: str | Path) -> Path:
    """Draw the fitted quantities over 1000/T on logarithmic axes with their laws and 95 % bands.

    Parameters
    ----------
    series : Series
        Of temperatures, with fits.
    path : str or Path
        PNG to write.

    Returns
    -------
    Path
    """
    panels = _fitted_panels(series)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    note = (
        "Lines: Arrhenius (solid), or Vogel-Fulcher-Tammann (dashed) where Arrhenius' law misses the values; bands: "
        "95 %, of the law's parameters."
    )
    title = f"{series.recipe.title}: temperature"
    with drawing(path, rows, columns, title=title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
        for k, panel in enumerate(axes):
            if k >= len(panels):
                panel.set_axis_off()
                continue
            _draw_laws(panel, series, *list(panels.items())[k])
    return Path(path)


def _draw_laws(axes: Axes, series: Series, panel: str, names: Sequence[str]) -> None:
    kind = PANELS[panel]
    factor, unit = scale_of(kind.unit, [each.value for name in names for each in series.over(name)[1]])
    for k, name in enumerate(names):
        T, found = series.over(name)
        colour, fit = COLOURS[k % len(COLOURS)], chosen_law(series, name)
        look: dict[str, Any] = {"color": colour, "marker": MARKERS[k % len(MARKERS)], "markerfacecolor": colour}
        positive = [(t, each) for t, each in zip(T, found, strict=True) if each.value > 0]
        _bars(axes, 1e3 / np.array([t for t, _ in positive]), [each for _, each in positive], factor, **look)
        grid = _grid(fit)
        middle, low, high = (factor * line for line in fit.curve(grid))
        dash, text = (
            (DASHES[0], f"{legend_of(name)}, {1e-3 * fit.parameters['E'][0]:.3g} kJ/mol")
            if (fit.law == "arrhenius")
            else (DASHES[1], legend_of(name))
        )
        axes.plot(1e3 / grid, middle, color=colour, linestyle=dash, label=text, linewidth=1.0)
        axes.fill_between(1e3 / grid, low, high, color=colour, alpha=0.2, linewidth=0)
    _logarithmic(axes)
    axes.set_xlabel(label("$1000/T$", "K$^{-1}$"))
    axes.set_ylabel(_two_lines(kind.label, unit))
    legend_above(axes, columns=2)


def _grid(fit: Fit) -> Array:
    return np.asarray(1 / np.linspace(1 / fit.T[0], 1 / fit.T[-1], _POINTS))


# ---- the data -------------------------------------------------------------------------------------------------------


def figure_rows(series: Series, figure: str) -> Rows:
    """The numbers behind a figure, all quantities of its panels.

    Parameters
    ----------
    series : Series
        What was found.
    figure : str
        One of :func:`figures_of`.

    Returns
    -------
    list of list of str
        The head first; kind is computed, measured or the name of a law.
    """
    rows = [list(_HEAD)]
    if figure == "temperature":
        for fit in series.fits:
            rows += list(_law_rows(fit))
        return rows
    names = _panels(series, figure)
    for name in series.quantities:
        panel = panel_of(name)
        if panel not in names:
            continue
        unit = PANELS[panel].unit
        for at, each in zip(*series.over(name), strict=True):
            rows.append(_row(panel, name, "computed", at, (each.value, each.low, each.high), unit))
        for value in _measured(series, name):
            half = Z95 * value.error
            ends = (value.value, value.value - half, value.value + half)
            rows.append(_row(panel, name, "measured", value.at, ends, unit, value.source))
    return rows


def _law_rows(fit: Fit) -> Iterator[list[str]]:
    grid = _grid(fit)
    for at, *values in zip(grid, *fit.curve(grid), strict=True):
        yield _row(panel_of(fit.quantity), fit.quantity, fit.law, float(at), values, fit.unit)


def _row(
    panel: str, name: str, kind: str, at: float, values: Sequence[float], unit: str, source: str = ""
) -> list[str]:
    return [panel, name, kind, number(at), *(number(float(value)) for value in values), unit, source]


def number(value: float) -> str:
    """A number in a table; nothing where there is none.

    Parameters
    ----------
    value : float
        Any unit.

    Returns
    -------
    str
    """
    return f"{value:.8g}" if math.isfinite(value) else ""
