"""A run as one HTML page: what was asked, what came out, the figures; one file, readable offline."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim.drawing import page
from cellsim.run.figures import small_signal_limit, write_figures
from cellsim.run.folder import REPORT
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    from cellsim.run.case import Case


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
            shown = page.figures(write_figures(solution, name, case=case))
    else:
        shown = page.figures(figures)
    transport = str(solution.attributes.get("transport_toml") or case.transport.text or case.transport.name)
    text = page.page(
        case.title,
        *(page.warning(text) for text in _warnings(solution)),
        page.heading("Result"),
        page.table(None, summary_rows(solution), numeric=(1,)),
        page.heading("Figures"),
        shown,
        page.heading("Steps"),
        page.table(("step", "drive", "from (s)", "to (s)", "ended by"), [_step(entry) for entry in solution.log]),
        page.heading("Case"),
        page.verbatim(case.text),
        page.heading("Transport set"),
        page.verbatim(transport),
        page.heading("Made with"),
        page.paragraph(_versions(solution)),
        width=20,
    )
    path = Path(directory) / REPORT
    path.write_text(text, encoding="utf-8")
    return path


def summary_rows(solution: Solution) -> list[tuple[str, str, str]]:
    """What a run warnings, as (what, value, unit)."""
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
    attributes, warnings = solution.attributes, []
    status = str(attributes.get("transport_status", "measured"))
    if status != "measured":
        note = str(attributes.get("transport_note", ""))
        warnings.append(f"Transport set {attributes.get('transport')}: {status}" + (f", {note}" if note else ""))
    if attributes.get("clamped"):
        warnings.append("Properties were held at the ends of their range where the run left it.")
    if not solution.succeeded:
        warnings.append(f"The run ended early ({solution.status}): {solution.message}")
    return warnings


def _step(entry: object) -> tuple[str, ...]:
    assert isinstance(entry, dict)
    return str(entry["index"]), entry["drive"], f"{entry['t_start']:.6g}", f"{entry['t_end']:.6g}", entry["ended_by"]


def _versions(solution: Solution) -> str:
    versions = json.loads(str(solution.attributes.get("versions", "{}")))
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{text}; solver {solution.attributes.get('solver', 'unknown')}; {solution.attributes.get('created', '')}"
