"""The page of a pipeline, from the files its stages left: the chain, the set, the cell, what checks what."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, InputError
from cellsim.drawing import page
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label, legend_above, points
from cellsim.electrolyte.set_file import SetFile, parse_set
from cellsim.files.reading import read_json
from cellsim.files.schema import Table, read_json_table
from cellsim.files.writing import write_text
from mdcoeffs.chain.stage import Done

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Json = dict[str, Any]

CELL_FIGURES = ("bands.png", "current.png", "profiles.png", "velocities.png")
MIXTURE_FIGURES = ("bands.png", "solvents.png", "current.png", "profiles.png")
WHAT = {
    "onsager": "trajectories to Omega",
    "chi": "trajectories to chi, or to G of n components",
    "set": "Omega and chi, or G, to a transport set",
    "polarization": "the set to a polarised cell",
    "consistency": "small-voltage cells",
    "field": "drift in a field",
}
"""First word of a stage's name -> what it does."""
BANDS = (
    "Bands: the cell run again with draws of the set's numbers from the covariance in its file, which contains the "
    "posterior of Omega and, where it is given, the error of chi. They say nothing of what the force field leaves out, "
    "of the size of the box, or of the cell's electrodes."
)
CLOSURE = (
    "Left: the steady over the initial current of cells without electrode resistance, simulated at {:g} mV with the "
    "set. Right: the current fraction by Shao and Zhang 2023, Eq. 14 (doi:10.1063/5.0155301), from Omega alone, "
    "without chi. Both rest on the same trajectories: they test the arithmetic of the chain, frames included, not the "
    "molecular dynamics; the drift in a field does."
)
MIXTURE_CLOSURE = (
    "Left: the steady over the initial current of a cell without electrode resistance, simulated at {:g} mV with the "
    "set. Right: the current fraction 1/((Omega^-1)_++ z^T Omega z), from Omega alone, without G. Both rest on the "
    "same trajectories: they test the arithmetic of the chain, frames included, not the molecular dynamics."
)
NO_FIELD = (
    "No runs in a field are here. Name [field] in the SYSTEM.toml, or results of `mdcoeffs field` as field = [...] in "
    "the CASE.toml (docs/engine.md)."
)


def write_report(
    folder: Path,
    output: Path,
    stages: Mapping[str, Done],
    fields: Mapping[str, Path],
    *,
    title: str,
    case_text: str,
) -> None:
    """Write ``report.html`` and its figures.

    Parameters
    ----------
    folder : Path
        Where; a folder of `output`.
    output : Path
        The folder of the pipeline.
    stages : mapping
        Name of a stage, such as ``"onsager c2"`` -> what came of it; the concentrations in order.
    fields : mapping
        Label -> JSON of ``mdcoeffs field``.
    title : str
        Of the page.
    case_text : str
        The CASE.toml.
    """
    matrices, chis = _summaries(stages, "onsager"), _summaries(stages, "chi")
    set_folder = stages["set"].folder
    rows = read_json(stages["consistency"].folder / "consistency.json")
    made = parse_set((set_folder / "transport.toml").read_text(encoding="utf-8"), "transport.toml")
    transport_figure(made, matrices, folder / "transport.png", title=title)
    consistency_figure(rows, folder / "consistency.png", title=title)
    shown = [folder / "transport.png", *(stages[f"chi {state}"].folder / "activity.png" for state in list(chis)[-1:])]
    drift = _field_parts(
        {name: read_json_table(path, what="the result of mdcoeffs field") for name, path in fields.items()}
    )
    parts = _chain_parts(
        *(stages, output, {"": matrices, "chi, ": chis}),
        of_set=[page.table(*_omega_table(matrices)), page.bullets(_chi_lines(chis, set_folder)), page.figures(shown)],
        bands=BANDS,
        figures=CELL_FIGURES,
        closure=[
            page.paragraph(CLOSURE.format(1e3 * float(rows[0]["voltage"]))),
            page.table(*_consistency_table(rows)),
            page.figures([folder / "consistency.png"]),
            page.heading("An independent route: drift in a field"),
            *(drift or [page.paragraph(NO_FIELD)]),
        ],
        case_text=case_text,
    )
    write_text(folder / "report.html", page.page(title, *parts))


def write_mixture_report(folder: Path, output: Path, stages: Mapping[str, Done], *, title: str, case_text: str) -> None:
    """Write ``report.html`` of a chain of n components; parameters as of :func:`write_report`."""
    matrices, thermodynamics = _summaries(stages, "onsager"), _summaries(stages, "chi")
    rows = read_json(stages["consistency"].folder / "consistency.json")
    drawn = [stages[f"onsager {state}"].folder / "onsager.png" for state in list(matrices)[-1:]]
    drawn += [stages[f"chi {state}"].folder / "activity.png" for state in list(thermodynamics)[-1:]]
    notes = (stages["set"].folder / "notes.txt").read_text(encoding="utf-8").splitlines()
    parts = _chain_parts(
        *(stages, output, {"": matrices, "G, ": thermodynamics}),
        of_set=[
            page.table(*_species_table(matrices)),
            page.table(*_matrix_table(thermodynamics)),
            page.bullets(notes),
            page.figures(drawn),
        ],
        bands=BANDS.replace("the error of chi", "that of G"),
        figures=MIXTURE_FIGURES,
        closure=[
            page.paragraph(MIXTURE_CLOSURE.format(1e3 * float(rows[0]["voltage"]))),
            page.table(*_consistency_table(rows)),
        ],
        case_text=case_text,
    )
    write_text(folder / "report.html", page.page(title, *parts))


def _chain_parts(
    stages: Mapping[str, Done],
    output: Path,
    results: Mapping[str, Mapping[str, Json]],
    *,
    of_set: Sequence[str],
    bands: str,
    figures: Sequence[str],
    closure: Sequence[str],
    case_text: str,
) -> list[str]:
    """The page of a chain, whatever it leads to: what came out, the stages, the set, the cell, what checks it."""
    cell = stages["polarization"].folder
    told = (cell / "bands.txt").read_text(encoding="utf-8").splitlines()
    notes = [
        f"{what}{state}: {note}"
        for what, summaries in results.items()
        for state, summary in summaries.items()
        for note in summary["notes"]
    ]
    return [
        *(page.warning(note) for note in notes),
        page.heading("What came out"),
        page.paragraph(_sentence(read_json(cell / "summary.json"), told)),
        page.bullets(told[1:]),
        page.heading("The chain"),
        page.paragraph("Each stage is a folder of files; its stage.json says what it was made from."),
        _chain(stages, output),
        page.heading("From trajectories to a transport set"),
        *of_set,
        page.heading("From the set to a cell"),
        page.paragraph(bands),
        page.figures([cell / name for name in figures if (cell / name).is_file()]),
        page.heading("Does the chain close? i_ss/i_0 of a cell against Omega"),
        *closure,
        page.heading("CASE.toml"),
        page.verbatim(case_text),
        page.heading("Transport set"),
        page.verbatim((stages["set"].folder / "transport.toml").read_text(encoding="utf-8")),
    ]


def _species_table(summaries: Mapping[str, Json]) -> tuple[list[str], list[list[str]]]:
    """kappa, transference numbers, drags and current fractions of every composition."""
    names = [name for name in next(iter(summaries.values()))["quantities"]]
    head = [
        "",
        "composition (mol/L)",
        "frame",
        "κ (S/m)",
        *(name.replace("_", " ") for name in names if name != "kappa"),
    ]
    rows = []
    for state, summary in summaries.items():
        content = zip(summary["species"], summary["c"], strict=True)
        composition = ", ".join(f"{name} {c / 1000:.4g}" for name, c in content)
        cells = [_with_interval(summary["quantities"][name]) for name in names]
        rows.append([state, composition, summary["frame"], *cells])
    return head, rows


def _matrix_table(summaries: Mapping[str, Json]) -> tuple[list[str], list[list[str]]]:
    """Entries of G of every composition, with those of an ideal mixture."""
    head, rows = ["", "entry of G", "value", "ideal mixture"], []
    for state, summary in summaries.items():
        names = summary["components"]
        for i, a in enumerate(names):
            for j, b in enumerate(names[i:], start=i):
                value, error = summary["G"][i][j], summary["standard_error"][i][j]
                rows.append([state, f"{a}, {b}", f"{value:.4g} ± {error:.2g}", f"{summary['ideal'][i][j]:.4g}"])
    return head, rows


def _summaries(stages: Mapping[str, Done], kind: str) -> dict[str, Json]:
    """State -> summary.json of all stages of a kind."""
    names = [name for name in stages if name.split()[0] == kind]
    return {name.split(maxsplit=1)[1]: read_json(stages[name].folder / "summary.json") for name in names}


def _sentence(cell: Json, bands: Sequence[str]) -> str:
    held = f"{cell['title']}: {cell['status']}; i_0 = {cell['i_0']:.4g} A/m², at the end {cell['i_end']:.4g} A/m²."
    return " ".join([held, *(f"{line}." for line in bands[:1])])


def _chain(stages: Mapping[str, Done], output: Path) -> str:
    rows = []
    for name, done in stages.items():
        place = done.folder.relative_to(output).as_posix()
        links = [_link(f"{place}/{path.name}") for path in sorted(done.folder.iterdir()) if path.is_file()]
        what, seconds = WHAT.get(name.split()[0], ""), f"{done.seconds:.1f}"
        rows.append(_row(html.escape(name), what, seconds, ", ".join(links)))
    inputs = [name for name in ("pipeline.toml", "md/system.toml", "cell.toml") if (output / name).is_file()]
    rows.append(_row("inputs", "", "", ", ".join(_link(name, name) for name in inputs)))
    return f"<table><tr><th>stage</th><th></th><th class=n>made in (s)</th><th>files</th></tr>{''.join(rows)}</table>"


def _link(place: str, text: str = "") -> str:
    text = text or place.rsplit("/", 1)[-1]
    return f'<a href="../{html.escape(place)}">{html.escape(text)}</a>'


def _row(name: str, what: str, seconds: str, links: str) -> str:
    return f"<tr><td>{name}</td><td>{what}</td><td class=n>{seconds}</td><td>{links}</td></tr>"


def _omega_table(summaries: Mapping[str, Json]) -> tuple[list[str], list[list[str]]]:
    head = ["", "c (mol/L)", "κ (S/m)", "t₊⁰", "ρ₊ (Eq. 14)", "replicas", "independent origins"]
    rows = []
    for state, summary in summaries.items():
        cells = [_with_interval(summary["quantities"][name]) for name in ("kappa", "t_plus", "rho_plus")]
        origins = summary.get("independent_origins")
        counts = [str(summary.get("replicas", "")), "" if origins is None else f"{origins:.0f}"]
        rows.append([state, f"{summary['c'] / 1000:.4g}", *cells, *counts])
    return head, rows


def _with_interval(entry: Json) -> str:
    ends = entry.get("interval")
    return f"{entry['value']:.4g}" + ("" if not ends else f" ({ends[0]:.4g} to {ends[1]:.4g})")


def _chi_lines(chis: Mapping[str, Json], set_folder: Path) -> list[str]:
    lines = []
    for state, summary in chis.items():
        others = [
            f"{name} {way['chi']:.3g} ± {way['standard_error']:.2g}"
            for name, way in summary["routes"].items()
            if name != summary["route"]
        ]
        chi = f"{summary['chi']:.3g} ± {summary['standard_error']:.2g} by {summary['route']}"
        lines.append(f"χ, {state}: {chi}; {', '.join(others)}")
    return [*lines, *(set_folder / "notes.txt").read_text(encoding="utf-8").splitlines()]


def _consistency_table(rows: Sequence[Json]) -> tuple[list[str], list[list[str]]]:
    head = ["", "c (mol/L)", "cell, i_ss/i_0 (95 %)", "Ω, Eq. 14 (95 %)", "difference"]
    cells = []
    for row in rows:
        both = [_with_interval(row["cell"]), _with_interval(row["omega"])]
        cells.append([row["state"], f"{row['c'] / 1000:.4g}", *both, f"{row['difference']:+.1e}"])
    return head, cells


def _field_parts(results: Mapping[str, Table]) -> list[str]:
    parts = []
    for name, result in results.items():
        differences = result.tables("differences")
        labels = list(dict.fromkeys(entry.string("field") for entry in differences))
        if not labels:
            raise InputError(f"{result.file}: differences is empty; make it again with mdcoeffs field")
        rows = []
        for entry in differences:
            if entry.string("field") != labels[-1]:
                continue
            low, high = entry.array("interval")
            numbers = [f"{entry.number(key):.4g}" for key in ("at_rest", "in_field")]
            rows.append(
                [
                    entry.string("name"),
                    *numbers,
                    f"{low:+.3g} to {high:+.3g}",
                    "yes" if entry.boolean("agrees") else "no",
                ]
            )
        p = result.number("p_linear", None)
        linear = "" if p is None else f"; the same κ at all fields: p = {p:.2g}"
        parts += [
            page.paragraph(f"{name}: {result.number('c') / 1000:.4g} mol/L, field: {labels[-1]}{linear}"),
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
    at = np.array([summary["c"] for summary in summaries.values()])
    inside = np.clip(at, *bound.c_range)
    errors = _errors(made, len(at))
    panels = (
        ("kappa", r"$\kappa$", "S/m", 1.0, bound.kappa),
        ("D", "$D$", "10$^{-9}$ m²/s", 1e9, bound.D),
        ("t_plus", "$t_+^0$", "", 1.0, bound.t_plus),
        ("chi", r"$\chi$", "", 1.0, bound.chi),
    )
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
    errors = {}
    for name in ("kappa", "D", "t_plus", "chi"):
        keys = [f"{name}.y[{k}]" for k in range(n)] if n > 1 else [f"{name}.value"]
        if all(key in sigma for key in keys):
            errors[name] = np.array([sigma[key] for key in keys])
        elif f"{name}.value" in sigma:
            errors[name] = np.full(n, sigma[f"{name}.value"])
    return errors


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
    c = np.array([row["c"] for row in rows]) / 1000
    shift = 0.006 * float(np.ptp(c) or c[0])
    note = "Bars: 95 %. Both rest on the same trajectories: what is tested is the chain, not the molecular dynamics."
    with drawing(path, 1, 2, title=title, note=note, width=TWO_COLUMNS, height=2.2) as (_, axes):
        for k, (name, text) in enumerate((("omega", r"$\Omega$, Shao Eq. 14"), ("cell", "simulated cells"))):
            _bars(axes[0], c + (k - 0.5) * shift, [row[name] for row in rows], "os"[k], COLOURS[k], text)
        axes[0].set_xlabel(label("$c$", "mol/L"))
        axes[0].set_ylabel(label(r"$i_\mathrm{ss}/i_0,\ \rho_+$", ""))
        legend_above(axes[0])
        axes[1].axhline(0.0, color=GREY, linestyle=":", linewidth=0.9)
        axes[1].plot(c, [1e4 * row["difference"] for row in rows], marker="D", color=COLOURS[2], linestyle="none")
        axes[1].set_xlabel(label("$c$", "mol/L"))
        axes[1].set_ylabel(label(r"$i_\mathrm{ss}/i_0 - \rho_+$", "10$^{-4}$"))
        axes[1].margins(y=0.3)


def _bars(axes: Axes, x: Array, entries: Sequence[Json], marker: str, colour: str, text: str) -> None:
    y = np.array([entry["value"] for entry in entries])
    ends = np.array([entry["interval"] or (entry["value"], entry["value"]) for entry in entries])
    error = np.abs(ends.T - y)
    points(axes, x, y, error, marker=marker, color=colour, label=text)
