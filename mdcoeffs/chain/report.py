"""The page of a pipeline, from the files its stages left: the chain, the set, the cell, what checks what."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing import page
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label, legend_above, points
from cellsim.electrolyte.set_file import SetFile, parse_set

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Json = dict[str, Any]

CELL_FIGURES = ("bands.png", "current.png", "profiles.png", "velocities.png")
WHAT = {
    "onsager": "trajectories to Omega", "chi": "trajectories to chi", "set": "Omega(c), chi(c) to a transport set",
    "polarization": "the set to a polarised cell", "consistency": "small-voltage cells", "field": "drift in a field",
}  # fmt: skip


def write_report(
    folder: Path,
    output: Path,
    *,
    title: str,
    states: Sequence[str],
    stages: Mapping[str, Path],
    seconds: Mapping[str, float],
    set_folder: Path,
    polarization: Path,
    consistency: Path,
    fields: Mapping[str, Path],
    case_text: str,
) -> None:
    """Write ``report.html`` and its figures.

    Parameters
    ----------
    folder : Path
        Where; a folder of `output`.
    output : Path
        The folder of the pipeline.
    title : str
        Of the page.
    states : sequence of str
        Names of the concentrations, in order.
    stages : mapping
        Name of a stage -> its folder, relative to `output`.
    seconds : mapping
        Name of a stage -> time it took to make [s].
    set_folder, polarization, consistency : Path
        Folders of these stages.
    fields : mapping
        Label -> JSON of ``mdcoeffs field``.
    case_text : str
        The CASE.toml.
    """
    summaries = {state: _json(output / "onsager" / state / "summary.json") for state in states}
    chis = {
        state: _json(output / stages[f"chi {state}"] / "summary.json") for state in states if f"chi {state}" in stages
    }
    text = (set_folder / "transport.toml").read_text(encoding="utf-8")
    made = parse_set(text, "transport.toml")
    rows = json.loads((consistency / "consistency.json").read_text(encoding="utf-8"))
    found = {name: _json(path) for name, path in fields.items()}
    transport_figure(made, summaries, folder / "transport.png", title=title)
    consistency_figure(rows, folder / "consistency.png", title=title)
    cell = _json(polarization / "summary.json")
    told = (polarization / "bands.txt").read_text(encoding="utf-8").splitlines()
    shown = [folder / "transport.png"]
    shown += [output / stages[f"chi {state}"] / "activity.png" for state in list(chis)[-1:]]
    pictures = [polarization / name for name in CELL_FIGURES if (polarization / name).is_file()]
    notes = [f"{state}: {note}" for state, one in summaries.items() for note in one["notes"]]
    notes += [f"chi, {state}: {note}" for state, one in chis.items() for note in one["notes"]]
    parts = [
        *(page.warning(one) for one in notes),
        page.heading("What came out"),
        page.paragraph(_sentence(cell, told)),
        page.bullets(told[1:]),
        page.heading("The chain"),
        page.paragraph("Each stage is a folder of files; its stage.json says what it was made from."),
        _chain(stages, seconds, folder, output),
        page.heading("From trajectories to a transport set"),
        page.table(*_omega_table(summaries)),
        page.bullets(_chi_lines(chis, set_folder)),
        page.figures(shown),
        page.heading("From the set to a cell"),
        page.paragraph(
            "Bands: the cell run again with draws of the set's numbers from the covariance in its file, which holds "
            "the posterior of Omega and, where it is given, the error of chi. They say nothing of what the force field "
            "leaves out, of the size of the box, or of the cell's electrodes."
        ),
        page.figures(pictures),
        page.heading("Does the chain close? i_ss/i_0 of a cell against Omega"),
        page.paragraph(
            f"Left: the steady over the initial current of cells without electrode resistance, simulated at "
            f"{1e3 * float(rows[0]['voltage']):g} mV with the set. Right: the current fraction by Shao and Zhang 2023, "
            f"Eq. 14 (doi:10.1063/5.0155301), from Omega alone, without chi. Both rest on the same trajectories: they "
            f"test the arithmetic of the chain, frames included, not the molecular dynamics; the drift in a field does."
        ),
        page.table(*_consistency_table(rows)),
        page.figures([folder / "consistency.png"]),
        page.heading("An independent route: drift in a field"),
        *(_field_parts(found) or [page.paragraph(
            "No runs in a field are here. Name [field] in the SYSTEM.toml, or results of `mdcoeffs field` as "
            "field = [...] in the CASE.toml (docs/engine.md)."
        )]),
        page.heading("CASE.toml"),
        page.verbatim(case_text),
        page.heading("Transport set"),
        page.verbatim(text),
    ]  # fmt: skip
    (folder / "report.html").write_text(page.page(title, *parts), encoding="utf-8")


def _json(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def _sentence(cell: Json, told: Sequence[str]) -> str:
    held = f"{cell['title']}: {cell['status']}; i_0 = {cell['i_0']:.4g} A/m², at the end {cell['i_end']:.4g} A/m²."
    return " ".join([held, *(f"{one}." for one in told[:1])])


def _chain(stages: Mapping[str, Path], seconds: Mapping[str, float], folder: Path, output: Path) -> str:
    rows = []
    for name, place in stages.items():
        files = sorted(p for p in (output / place).iterdir() if p.is_file())
        links = ", ".join(
            f'<a href="../{html.escape(str(place))}/{html.escape(p.name)}">{html.escape(p.name)}</a>' for p in files
        )
        what = WHAT.get(name.split()[0], "")
        rows.append(
            f"<tr><td>{html.escape(name)}</td><td>{what}</td><td class=n>{seconds[name]:.1f}</td><td>{links}</td></tr>"
        )
    more = [name for name in ("pipeline.toml", "md/system.toml", "cell.toml") if (output / name).is_file()]
    rows.append("<tr><td>inputs</td><td></td><td></td><td>"
                + ", ".join(f'<a href="../{name}">{name}</a>' for name in more) + "</td></tr>")  # fmt: skip
    return f"<table><tr><th>stage</th><th></th><th class=n>made in (s)</th><th>files</th></tr>{''.join(rows)}</table>"


def _omega_table(summaries: Mapping[str, Json]) -> tuple[list[str], list[list[str]]]:
    head = ["", "c (mol/L)", "κ (S/m)", "t₊⁰", "ρ₊ (Eq. 14)", "replicas", "independent origins"]
    rows = []
    for state, one in summaries.items():
        cells = [_with_interval(one["quantities"][name]) for name in ("kappa", "t_plus", "rho_plus")]
        origins = one.get("independent_origins")
        rows.append([state, f"{one['c'] / 1000:.4g}", *cells, str(one.get("replicas", "")),
                     "" if origins is None else f"{origins:.0f}"])  # fmt: skip
    return head, rows


def _with_interval(entry: Json) -> str:
    ends = entry.get("interval")
    return f"{entry['value']:.4g}" + ("" if not ends else f" ({ends[0]:.4g} to {ends[1]:.4g})")


def _chi_lines(chis: Mapping[str, Json], set_folder: Path) -> list[str]:
    lines = [
        f"χ, {state}: {one['chi']:.3g} ± {one['standard_error']:.2g} by {one['route']}; "
        + ", ".join(
            f"{name} {way['chi']:.3g} ± {way['standard_error']:.2g}"
            for name, way in one["routes"].items()
            if name != one["route"]
        )
        for state, one in chis.items()
    ]
    return [*lines, *(set_folder / "notes.txt").read_text(encoding="utf-8").splitlines()]


def _consistency_table(rows: Sequence[Json]) -> tuple[list[str], list[list[str]]]:
    head = ["", "c (mol/L)", "cell, i_ss/i_0 (95 %)", "Ω, Eq. 14 (95 %)", "difference"]
    return head, [
        [one["state"], f"{one['c'] / 1000:.4g}", _with_interval(one["cell"]), _with_interval(one["omega"]),
         f"{one['difference']:+.1e}"] for one in rows
    ]  # fmt: skip


def _field_parts(found: Mapping[str, Json]) -> list[str]:
    parts = []
    for name, one in found.items():
        labels = list(dict.fromkeys(entry["field"] for entry in one["differences"]))
        last = [entry for entry in one["differences"] if entry["field"] == labels[-1]]
        rows = [
            [entry["name"], f"{entry['at_rest']:.4g}", f"{entry['in_field']:.4g}",
             f"{entry['interval'][0]:+.3g} to {entry['interval'][1]:+.3g}", "yes" if entry["agrees"] else "no"]
            for entry in last
        ]  # fmt: skip
        p = one.get("p_linear")
        linear = "" if p is None else f"; the same κ at all fields: p = {p:.2g}"
        parts += [
            page.paragraph(f"{name}: {one['c'] / 1000:.4g} mol/L, field: {labels[-1]}{linear}"),
            page.table(["", "Ω at rest", "drift", "drift less Ω (95 %)", "agree"], rows),
        ]
    return parts


# ---- figures --------------------------------------------------------------------------------------------------------


def transport_figure(made: SetFile, summaries: Mapping[str, Json], path: Path, *, title: str = "") -> None:
    """Draw kappa, D, t+0 and chi of the set over concentration: lines, and its numbers with 95 % bars.

    Parameters
    ----------
    made : SetFile
        The set.
    summaries : mapping
        State -> summary of its Onsager matrix.
    path : Path
        PNG to write.
    title : str
        Above.
    """
    T = float(next(iter(summaries.values()))["temperature"])
    bound = made.bind(T)
    c = np.linspace(*bound.c_range, 101)
    at = np.array([one["c"] for one in summaries.values()])
    inside = np.clip(at, *bound.c_range)
    errors = _errors(made, len(at))
    panels = (("kappa", r"$\kappa$", "S/m", 1.0, bound.kappa), ("D", "$D$", "10$^{-9}$ m²/s", 1e9, bound.D),
              ("t_plus", "$t_+^0$", "", 1.0, bound.t_plus), ("chi", r"$\chi$", "", 1.0, bound.chi))  # fmt: skip
    note = f"{T:g} K, solvent frame. Points: the numbers of the set, 95 % bars; lines: monotone cubic between them."
    with drawing(path, 2, 2, title=title, note=note, width=TWO_COLUMNS, height=2.1, sharex=True) as (_, axes):
        for k, (name, symbol, unit, scale, function) in enumerate(panels):
            axes[k].plot(c / 1000, scale * np.asarray(function(c)), color=COLOURS[0])
            own = errors.get(name)
            if name != "chi" or own is not None:
                bar = None if own is None else 1.96 * scale * own
                points(axes[k], at / 1000, scale * np.asarray(function(inside)), bar)
            axes[k].set_ylabel(label(symbol, unit))
            axes[k].margins(y=0.15)
        for panel in axes[2:]:
            panel.set_xlabel(label("$c$", "mol/L"))


def _errors(made: SetFile, n: int) -> dict[str, Array]:
    """Standard errors of the numbers of each property, in SI, where all n of them have one."""
    if made.covariance is None:
        return {}
    sigma = dict(zip(made.covariance.parameters, np.sqrt(np.diag(made.covariance.matrix)), strict=True))
    found = {}
    for name in ("kappa", "D", "t_plus", "chi"):
        keys = [f"{name}.y[{k}]" for k in range(n)] if n > 1 else [f"{name}.value"]
        if all(key in sigma for key in keys):
            found[name] = np.array([sigma[key] for key in keys])
        elif f"{name}.value" in sigma:
            found[name] = np.full(n, sigma[f"{name}.value"])
    return found


def consistency_figure(rows: Sequence[Json], path: Path, *, title: str = "") -> None:
    """Draw the current fraction of the cells beside that of Omega, and their difference.

    Parameters
    ----------
    rows : sequence of dict
        As in ``consistency.json``.
    path : Path
        PNG to write.
    title : str
        Above.
    """
    c = np.array([one["c"] for one in rows]) / 1000
    shift = 0.006 * float(np.ptp(c) or c[0])
    note = "Bars: 95 %. Both rest on the same trajectories: what is tested is the chain, not the molecular dynamics."
    with drawing(path, 1, 2, title=title, note=note, width=TWO_COLUMNS, height=2.2) as (_, axes):
        for k, (name, text) in enumerate((("omega", r"$\Omega$, Shao Eq. 14"), ("cell", "simulated cells"))):
            _bars(axes[0], c + (k - 0.5) * shift, [one[name] for one in rows], "os"[k], COLOURS[k], text)
        axes[0].set_xlabel(label("$c$", "mol/L"))
        axes[0].set_ylabel(label(r"$i_\mathrm{ss}/i_0,\ \rho_+$", ""))
        legend_above(axes[0])
        axes[1].axhline(0.0, color=GREY, linestyle=":", linewidth=0.9)
        axes[1].plot(c, [1e4 * one["difference"] for one in rows], marker="D", color=COLOURS[2], linestyle="none")
        axes[1].set_xlabel(label("$c$", "mol/L"))
        axes[1].set_ylabel(label(r"$i_\mathrm{ss}/i_0 - \rho_+$", "10$^{-4}$"))
        axes[1].margins(y=0.3)


def _bars(axes: Axes, x: Array, entries: Sequence[Json], marker: str, colour: str, text: str) -> None:
    y = np.array([one["value"] for one in entries])
    ends = np.array([one["interval"] or (one["value"], one["value"]) for one in entries])
    error = np.abs(ends.T - y)
    points(axes, x, y, error, marker=marker, color=colour, label=text)
