"""A comparison as numbers (JSON), as lines for the terminal, and as one HTML page that opens offline."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import InputError
from cellsim.compare.comparison import Compared, Comparison, check_origins, compare
from cellsim.compare.figures import write_comparison_figures
from cellsim.drawing import page
from cellsim.instruments.data import not_imposed, read_measurements
from cellsim.instruments.measurement import UNITS
from cellsim.run.case import load_case
from cellsim.run.folder import predict, read_run
from cellsim.solvers.solution import Solution

REPORT, NUMBERS = "comparison.html", "comparison.json"

_HEAD = ("data", "kind", "points", "mean residual", "rms residual", "unit", "chi² per point", "ratio, mean ± sd")
_NUMERIC = (2, 3, 4, 6, 7)


@dataclass(frozen=True)
class Wanted:
    """What a user may choose.

    Parameters
    ----------
    left_out : tuple of float
        Positions kept out of mean and spread of the velocity ratios, from the case's origin [m].
    window : tuple of float, optional
        Time over which velocity ratios are averaged [s].
    profile_time : float, optional
        When the symmetry of the profile is judged [s].
    """

    left_out: tuple[float, ...] = ()
    window: tuple[float, float] | None = None
    profile_time: float | None = None


def compare_case(path: str | Path, data: Sequence[str | Path], wanted: Wanted = Wanted()) -> Comparison:
    """Predict a case (or take a run that is kept) and compare it with data files and its own [[measured]] tables.

    Parameters
    ----------
    path : str or Path
        A case, or the folder of a run.
    data : sequence of str or Path
        Data files and data sheets.
    wanted : Wanted
        Choices.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Bad input, before anything is run where that can be known.
    """
    path = Path(path)
    kept: Solution | None = None
    if path.is_dir():
        case, kept = read_run(path)
    else:
        case = load_case(path)
    read = [m for name in data for m in read_measurements(name, case.setup)]
    if not read and not case.measured and all(step.measured_other is None for step in case.protocol.steps):
        raise InputError(f"{path}: there is nothing to compare with; name data files, or give the case [[measured]]")
    origin = case.cell.from_origin(0.0)
    places = [x + origin for x in wanted.left_out]
    measured = {float(x) for m in read if m.kind == "velocity" and m.position is not None for x in m.position}
    for x in places:
        if not any(abs(x - m) < 1e-6 for m in measured):
            listed = ", ".join(f"{1e3 * (m - origin):g} mm" for m in sorted(measured)) or "none"
            raise InputError(f"--leave-out {1e3 * (x - origin):g} mm: no velocity was measured there (at: {listed})")
    solution = kept or predict(case)
    return compare(
        case, solution, [*read, *case.measured, *not_imposed(case.protocol, solution)],
        left_out=places, window=wanted.window, profile_time=wanted.profile_time,
    )  # fmt: skip


def row(item: Compared) -> tuple[str, ...]:
    """One data set in the columns of the table."""
    scale, unit = (1e10, "Å/s") if item.measurement.kind == "velocity" else (1.0, UNITS[item.measurement.kind])
    ratio = item.ratio[np.isfinite(item.ratio)]
    chi2 = item.chi2
    return (
        item.measurement.label,
        item.measurement.kind,
        str(item.count),
        f"{scale * item.bias:+.4g}",
        f"{scale * item.rms:.4g}",
        unit,
        "" if chi2 is None else f"{chi2:.3g}",
        f"{ratio.mean():.3f} ± {ratio.std():.3f}" if ratio.size else "",
    )


def lines(one: Comparison) -> list[str]:
    """What the terminal shows."""
    told = [f"{one.case.title} (set {one.case.transport.name}, {one.case.transport.status}); nothing fitted"]
    for item in one.items:
        cells = row(item)
        chi2 = f", chi^2 per point {cells[6]}" if cells[6] else ""
        told.append(f"  {cells[1]:9s} {cells[0]}: {cells[2]} points, rms {cells[4]} {cells[5]}{chi2}, ratio {cells[7]}")
        told += [f"            {note}" for note in item.measurement.notes]
    return told + [f"  {merit.text}" for merit in one.merits]


def numbers(one: Comparison) -> dict[str, Any]:
    """What comparison.json holds of one case: SI numbers, None where a number does not exist."""
    return {
        "title": one.case.title,
        "transport": one.case.transport.name,
        "transport_status": one.case.transport.status,
        "status": one.solution.status,
        "data": [
            {
                "label": item.measurement.label,
                "kind": item.measurement.kind,
                "unit": UNITS[item.measurement.kind],
                "points": item.count,
                "bias": _number(item.bias),
                "rms": _number(item.rms),
                "chi2_per_point": None if item.chi2 is None else _number(item.chi2),
                "notes": list(item.measurement.notes),
            }
            for item in one.items
        ],
        "merits": [
            {"name": m.name, "text": m.text, "values": {k: _number(v) for k, v in m.values.items()}} for m in one.merits
        ],
        "velocity_ratios": [
            {
                "position": r.position,
                "ratio": _number(r.ratio),
                "error": _number(r.error),
                "published": _number(r.published),
                "left_out": r.left_out,
            }
            for r in one.ratios
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def write_comparison(
    found: Sequence[Comparison], directory: str | Path, *, title: str = "", note: str = ""
) -> list[Path]:
    """Write figures, ``comparison.json`` and ``comparison.html`` into a folder.

    Parameters
    ----------
    found : sequence of Comparison
        One per case.
    directory : str or Path
        Made if it is not there.
    title : str
        Of page and figures; default the title of the one case.
    note : str
        Said at the top of the page and under every figure.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        Cases that count the positions of one file from different origins.
    """
    check_origins(found)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    figures = write_comparison_figures(found, directory, title=title, note=note)
    data = directory / NUMBERS
    text = json.dumps([numbers(one) for one in found], indent=2, ensure_ascii=False)
    data.write_text(text + "\n", encoding="utf-8")
    written = directory / REPORT
    written.write_text(_page(found, figures, title, note), encoding="utf-8")
    return [*figures, data, written]


def _page(found: Sequence[Comparison], figures: Sequence[Path], title: str, note: str) -> str:
    warnings = [note] if note else []
    for one in found:
        if one.case.transport.status != "measured":
            warnings.append(
                f"Transport set {one.case.transport.name}: {one.case.transport.status}. {one.case.transport.note}"
            )
        if not one.solution.succeeded:
            warnings.append(f"The run of {one.case.title} ended early ({one.solution.status}): {one.solution.message}")
    title = title or (f"Measured and predicted: {found[0].case.title}" if len(found) == 1 else "Measured and predicted")
    return page.page(
        title,
        *(page.warning(text) for text in warnings),
        page.paragraph("Nothing was fitted: the prediction is that of the case as it stands."),
        *(_section(one) for one in found),
        page.heading("Figures"),
        page.figures(figures),
        *(page.heading(f"Case: {o.case.title}") + page.verbatim(o.case.text) for o in found),
        width=30 if len(found) == 1 else 52,
    )


def _section(one: Comparison) -> str:
    notes = [f"{item.measurement.label}: {note}" for item in one.items for note in item.measurement.notes]
    merits = page.bullets([m.text for m in one.merits])
    about = (
        f"Set {one.case.transport.name}. Residual: measured minus predicted. Ratio: predicted/measured of currents and "
        "voltages, measured/predicted of the rest."
    )
    return (
        page.heading(one.case.title)
        + page.paragraph(about)
        + page.table(_HEAD, [row(item) for item in one.items], numeric=_NUMERIC)
        + page.bullets(notes)
        + (page.heading("Figures of merit") + merits if merits else "")
        + _positions(one)
    )


def _positions(one: Comparison) -> str:
    if not one.ratios:
        return ""
    origin = one.case.cell.from_origin(0.0)
    rows = [
        (f"{1e3 * (r.position - origin):+.2f}", f"{r.ratio:.3f} ± {r.error:.3f}", f"{r.published:.3f}",
         "left out" if r.left_out else "")
        for r in one.ratios
    ]  # fmt: skip
    head = ("position (mm)", "velocity measured/predicted", "the published way", "")
    return page.table(head, rows, numeric=(0, 1, 2))
