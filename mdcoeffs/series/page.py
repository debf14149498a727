"""What a series leaves: lines for the terminal, tables, NetCDF, figures with their data, and one page.

OUT/series.csv     a row for each quantity of each state, with its 95 % interval
OUT/series.nc      the same, quantity x state
OUT/fits.csv       parameters of the laws of temperature
OUT/FIGURE.png     and FIGURE.csv with the numbers behind it
OUT/summary.json   states, notes, fits
OUT/report.html    all of it on one page
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing import page
from cellsim.files.folder import result_folder
from cellsim.files.writing import Rows, write_json, write_netcdf, write_rows, write_text
from mdcoeffs.analysis import LEVEL
from mdcoeffs.series.figures import TITLES, draw_figure, drawn, figure_rows, figures_of, number
from mdcoeffs.series.interfaces import draw_interfaces, rows_of
from mdcoeffs.series.quantities import PANELS, Z95, Found, panel_of
from mdcoeffs.series.run import Series
from mdcoeffs.series.temperature import Fit, compare_laws, unit_of_parameter

if TYPE_CHECKING:
    import xarray as xr

LAST = "summary.json"
SAME = 1e-3
"""A measured value stands at a state where the variable differs by no more than this, relative [1]."""
WORDS = {"arrhenius": "Arrhenius", "vft": "Vogel-Fulcher-Tammann"}


def write_series(series: Series, directory: str | Path, *, figures: bool = True) -> list[Path]:
    """Write tables, NetCDF, figures and the page.

    Parameters
    ----------
    series : Series
        As :func:`mdcoeffs.series.run.run_series` gives it.
    directory : str or Path
        The folder.
    figures : bool
        Whether to draw, and to make the page.

    Returns
    -------
    list of Path
        The files written.
    """
    directory = Path(directory)
    names = figures_of(series)
    every = [*TITLES, "temperature", *(path.stem for path in directory.glob("barrier_*.csv"))]
    stale = [f"{name}.{end}" for name in every for end in ("png", "csv")] + ["fits.csv", "report.html"]
    with result_folder(directory, last=LAST, stale=stale) as fresh:
        write_rows(fresh / "series.csv", series_rows(series))
        write_netcdf(fresh / "series.nc", dataset(series))
        if series.fits:
            write_rows(fresh / "fits.csv", fit_rows(series))
        for name in names:
            write_rows(fresh / f"{name}.csv", figure_rows(series, name))
            if figures:
                draw_figure(series, name, fresh / f"{name}.png")
        for found in series.barriers:
            write_rows(fresh / f"{found.name}.csv", rows_of(found))
            if figures:
                draw_interfaces(found, fresh / f"{found.name}.png", series.recipe.title)
        if figures:
            shown = [*names, *(found.name for found in series.barriers)]
            write_text(fresh / "report.html", report(series, [fresh / f"{name}.png" for name in shown]))
        write_json(fresh / LAST, summary(series))
        written = sorted(path.name for path in fresh.iterdir())
    return [directory / name for name in written]


def variable_head(series: Series) -> str:
    """The variable with its unit, as the head of a column.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    str
    """
    recipe = series.recipe
    return f"{recipe.variable} ({recipe.unit})" if recipe.unit else recipe.variable


def series_rows(series: Series) -> Rows:
    """A row for each quantity of each state.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of list of str
        The head first; low and high are empty where there is no interval.
    """
    rows = [["state", variable_head(series), "quantity", "value", "low", "high", "unit"]]
    for name in series.quantities:
        for state in series.states:
            if name in state.found:
                each = state.found[name]
                numbers = [number(v) for v in (each.value, each.low, each.high)]
                rows.append([state.name, number(state.value), name, *numbers, each.unit])
    return rows


def fit_rows(series: Series) -> Rows:
    """A row for each parameter of each law.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of list of str
        The head first.
    """
    rows = [["quantity", "law", "parameter", "value", "low", "high", "unit", "chi2", "freedom", "p", "holds"]]
    for fit in series.fits:
        tail = [number(fit.chi2), str(fit.freedom), number(fit.p), "yes" if fit.holds else "no"]
        for name, ends in fit.parameters.items():
            rows.append([fit.quantity, fit.law, name, *map(number, ends), unit_of_parameter(fit, name), *tail])
    return rows


def dataset(series: Series) -> xr.Dataset:
    """Values and intervals, dimensions ``quantity`` and ``state``; NaN where a state does not have a quantity.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    xarray.Dataset
    """
    import xarray as xr

    names, recipe = series.quantities, series.recipe
    values = np.full((3, len(names), len(series.states)), np.nan)
    for i, name in enumerate(names):
        for j, state in enumerate(series.states):
            if name in state.found:
                each = state.found[name]
                values[:, i, j] = each.value, each.low, each.high
    dimensions = ("quantity", "state")
    text = "SI unit: see the coordinate unit"
    variables = {
        key: (dimensions, values[k], {"long_name": meaning, "comment": text})
        for k, (key, meaning) in enumerate(
            (("value", "estimate"), ("low", "lower end of the interval"), ("high", "upper end of the interval"))
        )
    }
    coordinates: dict[str, Any] = {
        "quantity": names,
        "unit": ("quantity", [PANELS[panel_of(name)].unit for name in names]),
        "state": [state.name for state in series.states],
        "at": ("state", [s.value for s in series.states], {"units": recipe.unit or "1", "long_name": recipe.variable}),
    }
    about = {"title": recipe.title, "variable": recipe.variable, "level": LEVEL, "mdcoeffs": __version__}
    return xr.Dataset(variables, coordinates, about | {"series_toml": recipe.text})


def summary(series: Series) -> dict[str, Any]:
    """What ``summary.json`` holds; SI, the variable in the series' unit.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    dict
    """
    states = {
        state.name: {
            "at": state.value,
            "folders": {name: str(folder) for name, folder in state.folders.items()},
            "quantities": {
                name: {"value": each.value, "interval": [each.low, each.high] if each.bounded else None}
                for name, each in state.found.items()
            },
            "frames": state.frames,
            "notes": state.notes,
            "failed": dict(state.failed),
        }
        for state in series.states
    }
    recipe = series.recipe
    return {
        "title": recipe.title,
        "variable": recipe.variable,
        "unit": recipe.unit,
        "level": LEVEL,
        "states": states,
        "fits": [fit.numbers() for fit in series.fits],
        "laws_not_fitted": series.refused,
        "compared": compared(series),
        "barriers": [found.numbers() for found in series.barriers],
        "mdcoeffs": __version__,
    }


def compared(series: Series) -> list[dict[str, Any]]:
    """Measured values beside those computed in the same state; nothing is interpolated.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of dict
        Quantity, state, both values, and the difference in standard errors of both together (None without errors).
    """
    rows = []
    for value in series.recipe.measured:
        for state in series.states:
            if value.quantity not in state.found or abs(state.value - value.at) > SAME * abs(value.at):
                continue
            each = state.found[value.quantity]
            spread = math.hypot((each.high - each.low) / (2 * Z95), value.error if value.error > 0 else math.nan)
            apart = (each.value - value.value) / spread if math.isfinite(spread) else None
            row = {"quantity": value.quantity, "state": state.name, "computed": each.value, "measured": value.value}
            rows.append(row | {"standard_errors_apart": apart, "source": value.source})
    return rows


def lines(series: Series) -> list[str]:
    """What the command prints: the main quantities of each state, the laws, what failed.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of str
    """
    recipe = series.recipe
    names = [name for name in _MAIN if name in series.quantities] or series.quantities[:4]
    head = ["", variable_head(series), *(f"{name}{'' if (u := _unit(name)) == '1' else f' [{u}]'}" for name in names)]
    table = [head]
    for state in series.states:
        cells = [with_interval(state.found[name]) if name in state.found else "-" for name in names]
        table.append([state.name, f"{state.value:.6g}", *cells])
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    text = [f"{recipe.title}: {len(series.states)} states, 95 % intervals"]
    text += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table]
    text += [f"  {sentence}" for sentence in fit_sentences(series)]
    text += [f"  {line}" for found in series.barriers for line in found.lines()]
    return text + [f"  failed: {failure}" for failure in series.failures]


_MAIN = ("kappa", "t_plus_solvent", "rho_plus", "ionicity", "bound", "chi")


def _unit(name: str) -> str:
    return PANELS[panel_of(name)].unit


def with_interval(each: Found) -> str:
    """A value with its interval.

    Parameters
    ----------
    each : Found
        The quantity.

    Returns
    -------
    str
    """
    ends = f" ({each.low:.4g} to {each.high:.4g})" if each.bounded else ""
    return f"{each.value:.4g}{ends}"


def fit_sentences(series: Series) -> list[str]:
    """The laws of the quantities that are drawn, in words, misfits named.

    Parameters
    ----------
    series : Series
        What was found.

    Returns
    -------
    list of str
    """
    sentences = []
    for fit in series.fits:
        if fit.quantity not in drawn(series, panel_of(fit.quantity)):
            continue
        straight = next((f for f in series.fits if f.law == "arrhenius" and f.quantity == fit.quantity), None)
        if fit.law == "vft" and straight is not None and straight.holds:
            continue  # the simpler law describes the values
        verdict = f"chi2 = {fit.chi2:.3g} with {fit.freedom} degrees of freedom, p = {fit.p:.2g}"
        if not fit.holds:
            verdict += ": the law misses the values"
        sentences.append(f"{fit.quantity}, {WORDS[fit.law]}: {_parameters(fit)}; {verdict}")
        if fit.law == "vft" and straight is not None and np.array_equal(straight.T, fit.T):
            p = compare_laws(straight, fit)
            if p < 0.01:
                sentences.append(f"{fit.quantity}: ln X against 1/T is bent (p = {p:.2g} for a straight line)")
    return sentences


def _parameters(fit: Fit) -> str:
    if fit.law == "arrhenius":
        E, low, high = (1e-3 * value for value in fit.parameters["E"])
        return f"E = {E:.4g} kJ/mol ({low:.4g} to {high:.4g})"
    (B, low, high), (T_0, cold, warm) = fit.parameters["B"], fit.parameters["T_0"]
    return f"B = {B:.4g} K ({low:.4g} to {high:.4g}), T_0 = {T_0:.4g} K ({cold:.4g} to {warm:.4g})"


# ---- the page -------------------------------------------------------------------------------------------------------


def report(series: Series, shown: list[Path]) -> str:
    """The page of a series.

    Parameters
    ----------
    series : Series
        What was found.
    shown : list of Path
        Figures.

    Returns
    -------
    str
        HTML, self-contained.
    """
    misfits = [fit for fit in series.fits if not fit.holds]
    warnings = [f"{failure}" for failure in series.failures]
    warnings += [f"{fit.quantity}: {WORDS[fit.law]}'s law misses the values (p = {fit.p:.2g})" for fit in misfits]
    parts = [page.heading("States"), page.table(*_state_table(series), numeric=(1, 3))]
    parts += [page.heading("Figures"), page.figures(shown)]
    if series.fits or series.refused:
        parts += [page.heading("Laws of temperature"), page.paragraph(_LAWS)]
        parts += [page.table(*_fit_table(series)), page.bullets([*_bent(series), *series.refused, *_left_out(series)])]
    if series.barriers:
        parts += [page.heading("Barriers at all temperatures"), page.paragraph(_BARRIERS)]
        parts += [page.bullets([line.strip() for found in series.barriers for line in found.lines()])]
    rows = compared(series)
    if series.recipe.measured:
        parts += [page.heading("Beside measured values"), page.paragraph(_MEASURED)]
        parts += [page.table(*_compared_table(rows))] if rows else []
    parts += [page.heading("All quantities"), page.paragraph(_ALL), page.table(*_quantity_table(series))]
    notes = [f"{state.name}, {note}" for state in series.states for note in state.notes]
    if notes:
        parts += [page.heading("What the analyses remark"), page.bullets(notes)]
    sources = [("SERIES.toml", series.recipe.text)]
    return page.report(series.recipe.title, *parts, warnings=warnings, sources=sources)


_LAWS = (
    "Fitted to the logarithms of the values, weighted by the logarithms of their intervals. Parameters have 95 % "
    "intervals from these alone: where a law misses the values (p below 0.01) they mean nothing."
)
_BARRIERS = (
    "dE from the counts of all temperatures together, dS from dE and the mean barrier; medians and 95 %. The barriers "
    "alone give both too, from the slope of dF over T: where the two disagree, one of the two does not hold."
)
_MEASURED = (
    "Only where a state was simulated at the same place; between states nothing is interpolated. The difference is in "
    "standard errors of both together."
)
_ALL = "95 % intervals in brackets, SI units. The same numbers are in series.csv and series.nc."


def _state_table(series: Series) -> tuple[list[str], list[list[str]]]:
    rows = []
    for state in series.states:
        came = "failed" if state.failed else ("from cache" if state.cached else "analysed")
        frames = ", ".join(str(n) for n in state.frames)
        analyses = ", ".join(state.folders) or "none"
        rows.append([state.name, f"{state.value:.6g}", analyses, frames, came])
    return ["state", variable_head(series), "analyses", "frames of each replica", ""], rows


def _quantity_table(series: Series) -> tuple[list[str], list[list[str]]]:
    rows = []
    for name in series.quantities:
        cells = [with_interval(state.found[name]) if name in state.found else "" for state in series.states]
        rows.append([name, "" if (unit := _unit(name)) == "1" else unit, *cells])
    return ["quantity", "unit", *(state.name for state in series.states)], rows


def _fit_table(series: Series) -> tuple[list[str], list[list[str]]]:
    rows = [
        [fit.quantity, WORDS[fit.law], _parameters(fit), f"{fit.chi2:.3g} / {fit.freedom}", f"{fit.p:.2g}"]
        for fit in series.fits
    ]
    return ["quantity", "law", "parameters (95 %)", "χ² / degrees of freedom", "p"], rows


def _bent(series: Series) -> list[str]:
    return [sentence for sentence in fit_sentences(series) if "is bent" in sentence]


def _left_out(series: Series) -> list[str]:
    return list(dict.fromkeys(f"{fit.quantity}, left out: {why}" for fit in series.fits for why in fit.left_out))


def _compared_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    cells = []
    for row in rows:
        apart = row["standard_errors_apart"]
        numbers = [f"{row[key]:.4g}" for key in ("computed", "measured")]
        cells.append(
            [row["quantity"], row["state"], *numbers, "" if apart is None else f"{apart:+.1f}", str(row["source"])]
        )
    return ["quantity", "state", "computed", "measured", "standard errors apart", "source"], cells
