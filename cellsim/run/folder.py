"""A run and the folder it is kept in: case, solution, summary, figures, report (docs/schema.md, section 4).

Everything is written into a hidden folder first and moved into place file by file when it is complete, summary.json
last. A finished run is never replaced by one that ended early: that one goes to a folder beside it.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import ConvergenceError, InputError, RangeError, __version__
from cellsim.drawing import page
from cellsim.files.folder import check_writable, result_folder, values_hash
from cellsim.files.reading import read_json
from cellsim.files.schema import read_json_table
from cellsim.files.writing import plain, write_json, write_text
from cellsim.model.closed_forms import current_fraction
from cellsim.model.plan import layer_of
from cellsim.model.small_signals import bruce_vincent
from cellsim.model.steady import limiting_current
from cellsim.run.case import Case, load_case
from cellsim.run.figures import FIGURES, small_signal_limit, write_figures
from cellsim.run.simulation import charging, output_times, simulate
from cellsim.solvers.solution import MixtureSolution, Solution
from cellsim.solvers.tape import kept_steps

if TYPE_CHECKING:
    import xarray as xr

    from cellsim.run.mixture import MixtureCase

log = logging.getLogger(__name__)

CASE, SOLUTION, SUMMARY = "case.toml", "solution.nc", "summary.json"
REPORT = "report.html"
STEPS = "steps.partial"
"""Folder of the time steps of a run that has not ended."""


@dataclass(frozen=True)
class Kept:
    """Where a run was kept.

    Parameters
    ----------
    directory : Path
        The folder written to.
    summary : dict
        What summary.json holds.
    beside : bool
        True where the folder asked for holds a finished run, which this one, ended early, did not replace.
    """

    directory: Path
    summary: dict[str, Any]
    beside: bool = False


# ---- running ------------------------------------------------------------------------------------------------------


def predict(
    case: Case | MixtureCase,
    *,
    solver: str | None = None,
    folder: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Solution:
    """Run a case.

    Parameters
    ----------
    case : Case or MixtureCase
        What to run.
    solver : str, optional
        Instead of the solver the case names.
    folder : str or Path, optional
        The run's folder, whose :data:`STEPS` keeps the time steps of a run of finite volumes that takes longer than
        half a minute, so that a call after a kill goes on from them.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    Solution
        With the case verbatim and the checksums of its inputs among its attributes.

    Raises
    ------
    InputError
        Bad input, before any work is done.
    """
    chosen, inputs = solver or case.solver.name, json.dumps(dict(case.inputs))

    def run() -> Solution:
        return simulate(
            case.cell,
            case.transport,
            case.protocol,
            c0=case.start,
            times=wanted_times(case),
            solver=chosen,
            options=case.solver.options,
            attributes={"title": case.title, "case_toml": case.text, "inputs": inputs},
            progress=progress,
        )

    if folder is None:
        return run()
    with kept_steps(Path(folder) / STEPS, values_hash([case.text, inputs, chosen, __version__])) as tape:
        solution = run()
        tape.finished = solution.status != "interrupted"
    return solution


def wanted_times(case: Case | MixtureCase) -> NDArray[np.float64]:
    """The times a case wants its result at: those of its interval, the extra ones and those of its figures [s]."""
    end, interval = case.protocol.duration, case.output.interval
    if interval is not None and end / interval > 100_000:
        states = end / interval
        raise InputError(f"output.interval = {interval:.4g} s asks for {states:.3g} states; at most 100000 are kept")
    even = output_times(case.protocol) if interval is None else np.append(np.arange(0.0, end, interval), end)
    if interval is None and isinstance(case, Case) and case.cell.has_double_layers:
        even = np.append(even, charging(case.cell, case.transport, case.start).times(case.protocol))
    return np.unique(np.concatenate([even, case.output.times, case.output.profiles_at]))


# ---- summary ------------------------------------------------------------------------------------------------------


def _with_interfaces(case: Case, solution: Solution) -> dict[str, float | None]:
    """Of one held voltage: the ratio of currents that a small one gives with these interfaces, and Bruce-Vincent's.

    Both are None where there is no resistance, or more than one step: 1/(1 + Ne) is then what to compare with, or
    nothing is.
    """
    step, i, V = case.protocol.steps[0], solution["i"], solution["V"]
    R = np.array([solution[name][[0, -1]] for name in ("V_positive", "V_negative")]).sum(axis=0)
    if (
        len(solution.log) > 1
        or case.initial is not None
        or step.drive != "voltage"
        or step.time is not None
        or case.cell.is_blocked
        or not (np.all(i[[0, -1]]) and R.any())
    ):
        return {"ratio_expected": None, "bruce_vincent": None}
    R = R / i[[0, -1]]
    ends = (0.0, float(solution["time"][-1]))
    first, last = (layer_of(case.cell, case.transport.with_extrapolation("clamp"), case.c0, t) for t in ends)
    sides = (case.cell.positive, case.cell.negative)
    expected = current_fraction(
        first.newman_number,
        bulk_resistance=first.bulk_resistance,
        resistance_initial=sum(e.at_once(case.c0, case.cell.temperature, 0.0) for e in sides),
        resistance_steady=last.resistance,
    )
    corrected = bruce_vincent(float(V[0]), float(i[0]), float(i[-1]), float(R[0]), float(R[1]))
    return {"ratio_expected": expected, "bruce_vincent": corrected}


def summarise(case: Case, solution: Solution) -> dict[str, Any]:
    """What summary.json holds.

    Parameters
    ----------
    case : Case
        What was run.
    solution : Solution
        What came out.

    Returns
    -------
    dict
        The keys of docs/schema.md section 4; None where a number does not exist.
    """
    attributes = solution.attributes
    i, V, c, c_face = (solution[name] for name in ("i", "V", "c", "c_face"))
    low, high = float(min(c.min(), c_face.min())), float(max(c.max(), c_face.max()))
    clamped = case.transport.with_extrapolation("clamp")
    Ne = float(clamped.newman_number(case.c0))
    return {
        "title": case.title,
        "case": str(case.path.resolve()),
        "transport": case.transport.name,
        "transport_status": case.transport.status,
        "solvent_motion": case.transport.solvent_motion,
        "solver": attributes["solver"],
        "status": solution.status,
        "message": solution.message,
        "exit_code": 0 if solution.succeeded else 1,
        "steps": [dict(entry) for entry in solution.log],
        "i_0": i[0],
        "i_end": i[-1],
        "i_end_over_i_0": i[-1] / i[0] if i[0] and not case.cell.is_blocked else None,
        "rho_plus": 1 / (1 + Ne),
        "Ne": Ne,
        **_with_interfaces(case, solution),
        "V_0": V[0],
        "V_end": V[-1],
        "limiting_current": _limiting_current(case),
        "initial": None if case.initial is None else case.initial.source,
        "c_average": case.c0,
        "c_min": low,
        "c_max": high,
        "r_min": clamped.r(low),
        "r_max": clamped.r(high),
        "v_minus_max": np.max(np.abs(solution["v_minus"][0])),
        "interface_shift_end": solution["interface_shift"][-1],
        "salt_drift": solution.salt_drift,
        "time_end": float(solution["time"][-1]),
        "time_steps": int(attributes["time_steps"]) if "time_steps" in attributes else None,
        "unknowns": int(attributes["unknowns"]) if "unknowns" in attributes else None,
        "spatial_doubt": attributes.get("spatial_doubt"),
        "wall_time": attributes["wall_time"],
        "clamped": bool(attributes["clamped"]),
        "versions": json.loads(attributes["versions"]),
        "inputs": dict(case.inputs),
    }


def _limiting_current(case: Case) -> float | None:
    """Of this cell, in the direction of the first current or voltage that is not zero [A/m^2]."""
    if case.cell.is_blocked:
        return None
    values = [value for step in case.protocol.steps for value in step.value if value]
    direction = -1 if values and values[0] < 0 else 1
    try:
        limit = limiting_current(case.cell, case.transport, case.c0, direction=direction)
    except (ConvergenceError, RangeError) as error:
        log.info("no limiting current: %s", error)
        return None
    return limit.i


# ---- writing ------------------------------------------------------------------------------------------------------


def write_run(
    directory: str | Path,
    case: Case | MixtureCase,
    solution: Solution,
    *,
    draw: Callable[[Path], object] | None = None,
    summary: Mapping[str, Any] | None = None,
) -> Kept:
    """Keep a run.

    Parameters
    ----------
    directory : str or Path
        The run folder; other files in it are left alone.
    case : Case
        What was run.
    solution : Solution
        What came out.
    draw : callable, optional
        Draws the figures, and writes the report, into the folder it is given.
    summary : mapping, optional
        What summary.json holds; left out, it is made from a binary case.

    Returns
    -------
    Kept
        Where it went: `directory`, or ``<directory>-partial`` where `directory` holds a finished run and this one
        ended early.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    directory = check_writable(directory)
    beside = not solution.succeeded and is_finished(directory)
    if beside:
        directory = directory.with_name(f"{directory.name}-partial")
    if summary is None:
        assert isinstance(case, Case)
        summary = summarise(case, solution)
    kept: dict[str, Any] = plain(dict(summary))
    with result_folder(directory, last=SUMMARY, stale=(*FIGURES, REPORT)) as fresh:
        write_text(fresh / CASE, case.text)
        solution.to_netcdf(fresh / SOLUTION)
        if draw is not None:
            draw(fresh)
        write_json(fresh / SUMMARY, kept)
    return Kept(directory, kept, beside)


def drawer(case: Case, solution: Solution) -> Callable[[Path], None]:
    """What draws the figures of a run and writes its report into a folder.

    Parameters
    ----------
    case : Case
        What was run.
    solution : Solution
        What came out.

    Returns
    -------
    callable
        Of the folder.
    """

    def draw(directory: Path) -> None:
        write_report(solution, directory, case, figures=write_figures(solution, directory, case=case))

    return draw


def is_finished(directory: Path) -> bool:
    """Whether a folder holds a run that reached its end."""
    try:
        return bool(read_json(directory / SUMMARY)["exit_code"] == 0)
    except (InputError, LookupError, TypeError):
        return False


# ---- reading back -------------------------------------------------------------------------------------------------


def read_run(directory: str | Path, case_path: str | Path | None = None) -> tuple[Case, Solution]:
    """A kept run.

    Parameters
    ----------
    directory : str or Path
        The run folder.
    case_path : str or Path, optional
        Where the case came from; its folder holds the files the case names. Default: what summary.json says.

    Returns
    -------
    case : Case
        From the copy in the folder.
    solution : Solution
        From solution.nc.

    Raises
    ------
    InputError
        If it is no run folder, or a file the case names is not where it was.
    """
    directory = Path(directory)
    solution = read_solution(directory)
    if isinstance(solution, MixtureSolution):
        raise InputError(f"{directory}: holds a run of n components, which plot, export and compare take")
    if case_path is None:
        try:
            case_path = read_json_table(directory / SUMMARY, what="the summary of a run").string("case")
        except InputError as error:
            raise InputError(f"{error}; say where the case was with --case") from error
    try:
        return load_case(directory / CASE, folder=Path(str(case_path)).parent), solution
    except InputError as error:
        raise InputError(f"{error}; if the case has moved, say where it is with --case") from error


def read_solution(directory: str | Path) -> Solution:
    """The solution.nc of a run folder.

    Raises
    ------
    InputError
        If it is no run folder.
    """
    directory = Path(directory)
    if not (directory / SOLUTION).is_file():
        raise InputError(f"{directory}: no {SOLUTION} in it, so no run folder; make one with cellsim run")
    return Solution.from_netcdf(directory / SOLUTION)


# ---- CSV ----------------------------------------------------------------------------------------------------------


def export_csv(solution: Solution, directory: str | Path) -> list[Path]:
    """Write the result as CSV, one file per group of variables with the same dimensions, units in the header.

    ``series.csv`` (one row per time), ``cells.csv`` (time, x), ``faces.csv`` (time, face) and ``velocities.csv``
    (time, face; a column per species and frame).

    Parameters
    ----------
    solution : Solution
        What to write.
    directory : str or Path
        Where to; made if it is not there.

    Returns
    -------
    list of Path
        The files written.
    """
    with result_folder(directory, last="velocities.csv") as fresh:
        names = [path.name for path in _write_csv(solution, fresh)]
    return [Path(directory) / name for name in names]


def _write_csv(solution: Solution, directory: Path) -> list[Path]:
    data = solution.dataset
    groups = {"series": ("time",), "cells": ("time", "x"), "faces": ("time", "face"), "velocities": ("time", "face")}
    written = []
    for group, dims in groups.items():
        columns = {_heading(data[dim]): grid for dim, grid in zip(dims, _grid(data, dims), strict=True)}
        for name, variable in data.data_vars.items():
            named = [dim for dim in variable.dims if dim in ("frame", "species", "component")]
            if (group == "velocities") != ("frame" in named) or tuple(variable.dims[len(named) :]) != dims:
                continue
            # the species before the frame, v_EC_lab, as it is v_minus_lab of a binary salt
            for labels in product(*(data[dim].values for dim in named)):
                words = [name, *(labels[::-1])]
                chosen = variable.sel(dict(zip(named, labels, strict=True)))
                columns[_heading(variable, "_".join(map(str, words)))] = chosen.values.ravel()
        path = directory / f"{group}.csv"
        np.savetxt(
            path,
            np.column_stack(list(columns.values())),
            "%.10g",
            ",",
            header=",".join(columns),
            comments="",
            encoding="utf-8",
        )
        written.append(path)
    return written


def _grid(data: xr.Dataset, dims: tuple[str, ...]) -> list[NDArray[np.float64]]:
    return [values.ravel() for values in np.meshgrid(*(data[dim].values for dim in dims), indexing="ij")]


def _heading(variable: xr.DataArray, name: str | None = None) -> str:
    return f"{name or variable.name} ({variable.attrs.get('units') or '1'})"


# ---- the page ----------------------------------------------------------------------------------------------------


def write_report(
    solution: Solution,
    directory: str | Path,
    case: Case | MixtureCase,
    *,
    figures: Sequence[Path] | None = None,
    rows: Sequence[tuple[str, str, str]] | None = None,
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
    rows : sequence of tuple, optional
        What is said first, as (what, value, unit); left out, it is made from a binary run.

    Returns
    -------
    Path
        The file: figures and texts are inside it, nothing is fetched when it is opened.
    """
    if figures is None:
        assert isinstance(case, Case)
        with tempfile.TemporaryDirectory() as name:
            shown = page.figures(write_figures(solution, name, case=case))
    else:
        shown = page.figures(figures)
    transport = str(solution.attributes.get("transport_toml") or case.transport.text or case.transport.name)
    text = page.page(
        case.title,
        *(page.warning(text) for text in _warnings(solution)),
        page.heading("Result"),
        page.table(None, summary_rows(solution) if rows is None else list(rows), numeric=(1,)),
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
    return (
        str(entry["index"] + 1),
        entry["drive"],
        f"{entry['t_start']:.6g}",
        f"{entry['t_end']:.6g}",
        entry["ended_by"],
    )


def _versions(solution: Solution) -> str:
    try:
        versions = json.loads(str(solution.attributes.get("versions", "{}")))
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
    except (ValueError, AttributeError, RecursionError):  # of a damaged file; the page can do without
        text = "versions not known"
    return f"{text}; solver {solution.attributes.get('solver', 'unknown')}; {solution.attributes.get('created', '')}"
