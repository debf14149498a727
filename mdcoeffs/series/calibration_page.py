"""What a calibration leaves: lines for the terminal, tables, a figure with its data, and one page.

OUT/calibration.csv   parameter, posterior density, chi^2, and each compared quantity with its interval
OUT/points.csv        the same quantities in the simulated states, and as measured
OUT/calibration.png   computed and measured values over the parameter, and the posterior
OUT/summary.json      interval, misfit, what each measured quantity holds
OUT/report.html       all of it on one page
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim.drawing import page
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label, points
from cellsim.files.folder import result_folder
from cellsim.files.writing import Rows, write_json, write_rows, write_text
from mdcoeffs.series.calibration import FROM_MATRIX, SALT, Calibration, degrees, state_values
from mdcoeffs.series.figures import SYMBOLS, number, scale_of
from mdcoeffs.series.quantities import PANELS, Z95, Panel, legend_of, panel_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAST = "summary.json"
_ALPHA = 0.3


def write_calibration(found: Calibration, directory: str | Path, title: str, *, figures: bool = True) -> list[Path]:
    """Write tables, the figure and the page.

    Parameters
    ----------
    found : Calibration
        As :func:`mdcoeffs.series.calibration.calibrate` gives it.
    directory : str or Path
        The folder.
    title : str
        Of the page.
    figures : bool
        Whether to draw, and to make the page.

    Returns
    -------
    list of Path
        The files written.
    """
    directory = Path(directory)
    with result_folder(directory, last=LAST, stale=["calibration.png", "report.html"]) as fresh:
        write_rows(fresh / "calibration.csv", rows_of(found))
        write_rows(fresh / "points.csv", points_of(found))
        if figures:
            draw_calibration(found, fresh / "calibration.png", title)
            write_text(fresh / "report.html", report(found, title, fresh / "calibration.png"))
        write_json(fresh / LAST, {"title": title} | found.numbers())
        written = sorted(path.name for path in fresh.iterdir())
    return [directory / name for name in written]


def lines(found: Calibration) -> list[str]:
    """What the command prints: the interval, what holds it, the misfit, doubts.

    Parameters
    ----------
    found : Calibration
        The result.

    Returns
    -------
    list of str
    """
    family = found.family
    unit = f" {family.unit}" if family.unit else ""
    low, high = found.interval
    text = [f"{family.name} = {found.best:.4g}{unit} ({low:.4g} to {high:.4g}, 95 %)"]
    if found.freedom:
        text.append(f"chi2 = {found.chi2.min():.3g} with {degrees(found.freedom)}, p = {found.p:.2g}")
    text += [f"  {sentence}" for sentence in _held(found)]
    return text + [f"note: {note}" for note in found.notes]


def _held(found: Calibration) -> list[str]:
    said = []
    for name, each in found.held.items():
        low, high = each.alone
        without = "" if math.isnan(each.without) else f", without it the interval is {each.without:.2g} times as wide"
        said.append(f"{name}: {each.pull:+.1f} standard errors; alone {low:.4g} to {high:.4g}{without}")
    return said


def rows_of(found: Calibration) -> Rows:
    """The curves as a table.

    Parameters
    ----------
    found : Calibration
        The result.

    Returns
    -------
    list of list of str
        The head first; SI, the parameter in its unit.
    """
    family = found.family
    head = [f"{family.name} ({family.unit})" if family.unit else family.name, "density", "chi2"]
    for name in found.predicted:
        head += [name, f"{name}_low", f"{name}_high"]
    rows = [head]
    for k, x in enumerate(found.at):
        numbers = [x, found.density[k], found.chi2[k], *(v for each in found.predicted.values() for v in each[k])]
        rows.append([number(float(v)) for v in numbers])
    return rows


def points_of(found: Calibration) -> Rows:
    """The points of the figure: every compared quantity in each state, and as measured, with 95 % intervals.

    Parameters
    ----------
    found : Calibration
        The result.

    Returns
    -------
    list of list of str
        The head first; SI, the parameter in its unit, empty where it is what is asked.
    """
    family = found.family
    head = f"{family.name} ({family.unit})" if family.unit else family.name
    rows = [["quantity", "kind", head, "value", "low", "high", "unit", "source"]]
    for m in found.measured:
        unit, half = _panel(m.quantity).unit, Z95 * m.error
        ends = [number(v) for v in (m.value, m.value - half, m.value + half)]
        rows.append([m.quantity, "measured", "", *ends, unit, m.source])
        if m.quantity in found.held:
            for x, values in zip(family.at, state_values(found, m.quantity), strict=True):
                rows.append([m.quantity, "computed", *(number(float(v)) for v in (x, *values)), unit, ""])
    return rows


# ---- the figure -----------------------------------------------------------------------------------------------------


def _panel(name: str) -> Panel:
    return SALT[name] if name in SALT else PANELS[panel_of(name)]


def draw_calibration(found: Calibration, path: str | Path, title: str) -> Path:
    """Draw every compared quantity over the parameter, and the posterior.

    Parameters
    ----------
    found : Calibration
        The result.
    path : str or Path
        PNG to write.
    title : str
        Of the figure.

    Returns
    -------
    Path
    """
    family = found.family
    count = len(found.held) + 1
    columns = 2 if count in (2, 4) else min(3, count)
    note = (
        "Blue points: simulated states, 95 %; blue band: interpolated between them, 95 %. Grey band: measured, 95 %. "
        "Orange: 95 % interval of the parameter."
    )
    with drawing(path, -(-count // columns), columns, title=title, note=note, width=TWO_COLUMNS, height=2.25) as (
        _,
        axes,
    ):
        for panel, name in zip(axes, found.held, strict=False):
            _draw_quantity(panel, found, name)
        last = axes[count - 1]
        last.fill_between(found.at, found.density, color=COLOURS[0], alpha=_ALPHA, linewidth=0)
        last.plot(found.at, found.density, color=COLOURS[0], label="posterior")
        profile = np.exp(-0.5 * (found.chi2 - found.chi2.min())) * found.density.max()
        last.plot(found.at, profile, "--", color=GREY, label="profile likelihood")
        last.set_ylim(0, 1.35 * found.density.max())
        last.set_ylabel("density")
        last.legend(loc="upper right")
        for panel in axes[:count]:
            panel.axvspan(*found.interval, color=COLOURS[1], alpha=0.15, linewidth=0)
            margin = 0.02 * (found.at[-1] - found.at[0])
            panel.set_xlim(found.at[0] - margin, found.at[-1] + margin)
            panel.set_xlabel(label(SYMBOLS.get(family.name, family.name.replace("_", " ")), family.unit))
        for panel in axes[count:]:
            panel.set_axis_off()
    return Path(path)


def _draw_quantity(axes: Axes, found: Calibration, name: str) -> None:
    kind, curve = _panel(name), found.predicted[name]
    target = next(m for m in found.measured if m.quantity == name)
    factor, unit = scale_of(kind.unit, [*curve[:, 0], target.value])
    low, high = (factor * (target.value + sign * Z95 * target.error) for sign in (-1, 1))
    axes.axhspan(low, high, color=GREY, alpha=_ALPHA, linewidth=0)
    axes.plot(found.at, factor * curve[:, 0], color=COLOURS[0])
    axes.fill_between(found.at, factor * curve[:, 1], factor * curve[:, 2], color=COLOURS[0], alpha=_ALPHA, linewidth=0)
    values = factor * state_values(found, name)
    error = np.array([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]])
    points(axes, found.family.at, values[:, 0], error, color=COLOURS[0], markerfacecolor=COLOURS[0])
    text = "$D$" if name == "D_salt" else legend_of(name)
    axes.set_ylabel(label(text, unit))
    # a measured value that no state reaches is seen too
    low = float(min(low, values[:, 1].min(), factor * curve[:, 1].min()))
    high = float(max(high, values[:, 2].max(), factor * curve[:, 2].max()))
    spread = max(high - low, 1e-12)
    axes.set_ylim(low - 0.08 * spread, high + 0.08 * spread)


# ---- the page -------------------------------------------------------------------------------------------------------

_MEANING = (
    "The prior is flat between the first and the last state, and nothing is extrapolated. The interval is the region "
    "of highest posterior density; it has the errors of the measured values, of the runs, and of the interpolation "
    "between the states. A value of p below 0.01 says that no value of the parameter fits."
)


def report(found: Calibration, title: str, figure: Path) -> str:
    """The page of a calibration.

    Parameters
    ----------
    found : Calibration
        The result.
    title : str
        Of the page.
    figure : Path
        The figure.

    Returns
    -------
    str
        HTML, self-contained.
    """
    first, *rest = lines(found)
    head = ["quantity", "measured", "error", "standard errors apart", "alone", "times wider without", "source"]
    table = []
    for m in found.measured:
        unit = _panel(m.quantity).unit
        row = [m.quantity, f"{m.value:.4g}{'' if unit == '1' else f' {unit}'}", f"{m.error:.2g}"]
        each = found.held.get(m.quantity)
        if each is None:
            table.append([*row, "", "used for D", "", m.source])
            continue
        without = "" if math.isnan(each.without) else f"{each.without:.2g}"
        table.append([*row, f"{each.pull:+.1f}", f"{each.alone[0]:.4g} to {each.alone[1]:.4g}", without, m.source])
    misfit = [line for line in rest if line.startswith("chi2")]
    parts = [page.paragraph(". ".join([first, *misfit]) + "."), page.paragraph(_MEANING)]
    parts += [page.heading("Figure"), page.figures([figure])]
    parts += [page.heading("What holds it"), page.table(head, table)]
    others = sorted({name for name in found.held if name not in FROM_MATRIX})
    if others:
        parts.append(page.paragraph(f"Interpolated on their own, without correlation: {', '.join(others)}."))
    return page.report(title, *parts, warnings=list(found.notes))
