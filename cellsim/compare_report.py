"""A comparison as numbers (JSON), as lines for the terminal, and as one HTML page that opens offline."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.case import load_case
from cellsim.compare import UNITS, Compared, Comparison, compare
from cellsim.compare_data import data_of_case, read_data
from cellsim.errors import InputError
from cellsim.plots.compare import write_comparison_figures
from cellsim.readers.maps import VelocityTable
from cellsim.run_folder import predict, read_run
from cellsim.solution import Solution

REPORT, NUMBERS = "comparison.html", "comparison.json"

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.warn {{ border-left: 4px solid #D55E00; padding: .3rem .8rem; background: #fff5ee; }}
.figures img {{ max-width: 100%; display: block; margin: 1rem 0; width: {width}rem; }}
pre {{ background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }}
</style></head><body>
<h1>{title}</h1>
{warnings}
<p>Nothing was fitted: the prediction is that of the case as it stands.</p>
{sections}
<h2>Figures</h2>
<div class="figures">{figures}</div>
{cases}
</body></html>
"""

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
    read = [dataset for name in data for dataset in read_data(name, case)]
    if not read and not case.measured and all(step.measured_other is None for step in case.protocol.steps):
        raise InputError(f"{path}: there is nothing to compare with; name data files, or give the case [[measured]]")
    origin = case.cell.from_origin(0.0)
    places = [x + origin for x in wanted.left_out]
    measured = {float(x) for d in read if isinstance(d.data, VelocityTable) for x in d.data.positions}
    for x in places:
        if not any(abs(x - m) < 1e-6 for m in measured):
            listed = ", ".join(f"{1e3 * (m - origin):g} mm" for m in sorted(measured)) or "none"
            raise InputError(f"--leave-out {1e3 * (x - origin):g} mm: no velocity was measured there (at: {listed})")
    solution = kept or predict(case)
    return compare(
        case, solution, [*read, *data_of_case(case, solution)],
        left_out=places, window=wanted.window, profile_time=wanted.profile_time,
    )  # fmt: skip


def row(item: Compared) -> tuple[str, ...]:
    """One data set in the columns of the table."""
    scale, unit = (1e10, "Å/s") if item.dataset.kind == "velocity" else (1.0, UNITS[item.dataset.kind])
    ratio = item.ratio[np.isfinite(item.ratio)]
    chi2 = item.chi2
    return (
        item.dataset.label,
        item.dataset.kind,
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
        told += [f"            {note}" for note in item.dataset.notes]
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
                "label": item.dataset.label,
                "kind": item.dataset.kind,
                "unit": UNITS[item.dataset.kind],
                "points": item.count,
                "bias": _number(item.bias),
                "rms": _number(item.rms),
                "chi2_per_point": None if item.chi2 is None else _number(item.chi2),
                "notes": list(item.dataset.notes),
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
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    figures = write_comparison_figures(found, directory, title=title, note=note)
    data = directory / NUMBERS
    text = json.dumps([numbers(one) for one in found], indent=2, ensure_ascii=False)
    data.write_text(text + "\n", encoding="utf-8")
    page = directory / REPORT
    page.write_text(_page(found, figures, title, note), encoding="utf-8")
    return [*figures, data, page]


def _page(found: Sequence[Comparison], figures: Sequence[Path], title: str, note: str) -> str:
    warnings = [note] if note else []
    for one in found:
        if one.case.transport.status != "measured":
            warnings.append(
                f"Transport set {one.case.transport.name}: {one.case.transport.status}. {one.case.transport.note}"
            )
        if not one.solution.succeeded:
            warnings.append(f"The run of {one.case.title} ended early ({one.solution.status}): {one.solution.message}")
    shown = "".join(
        f'<img alt="{path.stem.replace("_", " ")}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode("ascii")}">'
        for path in figures
    )
    title = title or (f"Measured and predicted: {found[0].case.title}" if len(found) == 1 else "Measured and predicted")
    return _PAGE.format(
        title=html.escape(title),
        width=30 if len(found) == 1 else 52,
        warnings="".join(f'<p class="warn">{html.escape(text.strip())}</p>' for text in warnings),
        sections="".join(_section(one) for one in found),
        figures=shown,
        cases="".join(
            f"<h2>Case: {html.escape(o.case.title)}</h2><pre>{html.escape(o.case.text)}</pre>" for o in found
        ),
    )


def _section(one: Comparison) -> str:
    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=' + chr(34) + 'n' + chr(34) if k in _NUMERIC else ''}>{html.escape(v)}</{tag}>"
            for k, v in enumerate(values)
        )

    rows = "".join(f"<tr>{cells(row(item), 'td')}</tr>" for item in one.items)
    notes = "".join(
        f"<li>{html.escape(item.dataset.label)}: {html.escape(note)}</li>"
        for item in one.items
        for note in item.dataset.notes
    )
    merits = "".join(f"<li>{html.escape(m.text)}</li>" for m in one.merits)
    return (
        f"<h2>{html.escape(one.case.title)}</h2><p>Set {html.escape(one.case.transport.name)}. Residual: measured "
        f"minus predicted. Ratio: predicted/measured of currents and voltages, measured/predicted of the rest.</p>"
        f"<table><tr>{cells(_HEAD, 'th')}</tr>{rows}</table>"
        + (f"<ul>{notes}</ul>" if notes else "")
        + (f"<h2>Figures of merit</h2><ul>{merits}</ul>" if merits else "")
        + _positions(one)
    )


def _positions(one: Comparison) -> str:
    if not one.ratios:
        return ""
    origin = one.case.cell.from_origin(0.0)
    rows = "".join(
        f'<tr><td class="n">{1e3 * (r.position - origin):+.2f}</td><td class="n">{r.ratio:.3f} ± {r.error:.3f}</td>'
        f'<td class="n">{r.published:.3f}</td><td>{"left out" if r.left_out else ""}</td></tr>'
        for r in one.ratios
    )
    return (
        "<table><tr><th>position (mm)</th><th>velocity measured/predicted</th><th>the published way</th><th></th></tr>"
        f"{rows}</table>"
    )
