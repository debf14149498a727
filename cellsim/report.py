"""A run as one HTML page: what was asked, what came out, the figures; one file, readable offline."""

from __future__ import annotations

import base64
import html
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim.plots import write_figures
from cellsim.plots.current import small_signal_limit
from cellsim.run_folder import REPORT
from cellsim.solution import Solution

if TYPE_CHECKING:
    from cellsim.case import Case

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.warn {{ border-left: 4px solid #D55E00; padding: .3rem .8rem; background: #fff5ee; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }}
.figures img {{ width: 20rem; max-width: 100%; }}
pre {{ background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }}
</style></head><body>
<h1>{title}</h1>
{warnings}
<h2>Result</h2>
<table>{rows}</table>
<h2>Figures</h2>
<div class="figures">{figures}</div>
<h2>Steps</h2>
<table><tr><th>step</th><th>drive</th><th>from (s)</th><th>to (s)</th><th>ended by</th></tr>{steps}</table>
<h2>Case</h2>
<pre>{case}</pre>
<h2>Transport set</h2>
<pre>{transport}</pre>
<h2>Made with</h2>
<p>{versions}</p>
</body></html>
"""


def write_report(
    solution: Solution, directory: str | Path, case: Case, *, figures: Sequence[Path] | None = None
) -> Path:
    """Write ``report.html`` into a folder.

    Parameters
    ----------
    solution : Solution
        The run, complete or partial.
    directory : str or Path
        An existing folder.
    case : Case
        What was run.
    figures : sequence of Path, optional
        Its figures, where they are drawn already.

    Returns
    -------
    Path
        The file: figures and texts are inside it, nothing is fetched when it is opened.
    """
    if figures is None:
        with tempfile.TemporaryDirectory() as name:
            shown = "".join(_figure(path) for path in write_figures(solution, name, case=case))
    else:
        shown = "".join(_figure(path) for path in figures)
    attributes = solution.attributes
    page = _PAGE.format(
        title=html.escape(case.title),
        warnings="".join(f'<p class="warn">{html.escape(text)}</p>' for text in _warnings(solution)),
        rows="".join(
            f'<tr><td>{html.escape(what)}</td><td class="n">{html.escape(value)}</td><td>{html.escape(unit)}</td></tr>'
            for what, value, unit in summary_rows(solution)
        ),
        figures=shown,
        steps="".join(_step(entry) for entry in solution.log),
        case=html.escape(case.text),
        transport=html.escape(str(attributes.get("transport_toml") or case.transport.text or case.transport.name)),
        versions=html.escape(_versions(solution)),
    )
    path = Path(directory) / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def summary_rows(solution: Solution) -> list[tuple[str, str, str]]:
    """What a run found, as (what, value, unit)."""
    i, c, r = solution["i"], solution["c_face"], solution["r"]
    rows = [
        ("status", solution.status, ""),
        ("duration", f"{solution['time'][-1] / 60:.4g}", "min"),
        ("current density at the start, i_0", f"{i[0]:.4g}", "A/m^2"),
        ("current density at the end", f"{i[-1]:.4g}", "A/m^2"),
        ("voltage at the start", f"{solution['V'][0]:.4g}", "V"),
        ("voltage at the end", f"{solution['V'][-1]:.4g}", "V"),
        ("Newman number at the start", f"{np.mean(solution['Ne'][0]):.4g}", ""),
        ("salt concentration, least and largest", f"{c.min() / 1e3:.4g} to {c.max() / 1e3:.4g}", "mol/L"),
        ("salt per solvent unit r in the cells", f"{r.min():.4g} to {r.max():.4g}", ""),
        ("largest anion speed, interface frame", f"{1e10 * np.max(np.abs(solution['v_minus'][0])):.4g}", "Å/s"),
        ("shift of the interfaces, lab frame", f"{1e6 * solution['interface_shift'][-1]:.4g}", "µm"),
        ("relative change of the salt inventory", f"{solution.salt_drift:.1e}", ""),
    ]
    limit = small_signal_limit(solution)
    if limit is not None:
        rows.insert(4, ("steady current density a small voltage would give, scaled", f"{limit:.4g}", "A/m^2"))
    return rows


def _warnings(solution: Solution) -> list[str]:
    attributes, found = solution.attributes, []
    status = str(attributes.get("transport_status", "measured"))
    if status != "measured":
        note = str(attributes.get("transport_note", ""))
        found.append(f"Transport set {attributes.get('transport')}: {status}" + (f", {note}" if note else ""))
    if attributes.get("clamped"):
        found.append("Properties were held at the ends of their range where the run left it.")
    if not solution.succeeded:
        found.append(f"The run ended early ({solution.status}): {solution.message}")
    return found


def _figure(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{path.stem.replace("_", " ")}" src="data:image/png;base64,{data}">'


def _step(entry: object) -> str:
    assert isinstance(entry, dict)
    cells = (entry["index"], entry["drive"], f"{entry['t_start']:.6g}", f"{entry['t_end']:.6g}", entry["ended_by"])
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _versions(solution: Solution) -> str:
    versions = json.loads(str(solution.attributes.get("versions", "{}")))
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{text}; solver {solution.attributes.get('solver', 'unknown')}; {solution.attributes.get('created', '')}"
