"""The whole chain as one call: trajectories, Onsager matrices, chi, a transport set, a polarised cell, a report.

Every stage leaves a folder of files and is made again only where what it rests on has changed
(`mdcoeffs.chain.stage`). The one module of mdcoeffs that uses the simulator: the cell is run by cellsim's public
functions.

OUT/pipeline.toml   the file, verbatim
OUT/md/             runs of ``mdcoeffs simulate``, where there is a SYSTEM.toml
OUT/onsager/STATE/  Omega of one concentration, as ``mdcoeffs onsager`` writes it
OUT/chi/STATE/      chi of one concentration, where it comes from the trajectories
OUT/set/            SET.toml, the recipe, and transport.toml, as ``mdcoeffs to-set`` writes it
OUT/cell.toml       the case, as ``cellsim run`` takes it
OUT/polarization/   the run with its bands, as ``cellsim run --bands`` writes it
OUT/consistency/    i_ss/i_0 of small-voltage cells beside Shao Eq. 14
OUT/field/STATE/    drift in a field beside Omega, where such runs are
OUT/report/         report.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from cellsim.base import Array, ConvergenceError, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.set_file import parse_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.fit.bands import bands_of_case, normal_draws, write_bands
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import own_numbers
from cellsim.run.case import load_case
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.figures import write_figures
from cellsim.run.folder import predict, write_run
from cellsim.run.report import write_report as write_cell_report
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution
from mdcoeffs.chain.field import field_result, write_field
from mdcoeffs.chain.pipeline_file import PipelineFile
from mdcoeffs.chain.pipeline_md import Chain, Tell, activities_of, chi_block, matrices_of, simulated
from mdcoeffs.chain.report import write_report
from mdcoeffs.chain.stage import Done, Stage, file_hash, make, text_hash
from mdcoeffs.chain.to_set import set_from_recipe
from mdcoeffs.onsager.report import read_onsager

log = logging.getLogger(__name__)

STEADY = 4.0
"""A small-voltage cell is held for so many L^2/D; what is left of the transient is exp(-pi^2 times this)."""


@dataclass(frozen=True)
class PipelineResult:
    """What a call of `run_pipeline` did.

    Parameters
    ----------
    output : Path
        The folder.
    report : Path
        The page.
    stages : mapping
        Name of a stage, such as ``"onsager c2"`` -> what came of it, in order.
    lines : tuple of str
        What was found.
    """

    output: Path
    report: Path
    stages: Mapping[str, Done]
    lines: tuple[str, ...]


def run_pipeline(
    file: PipelineFile,
    output: str | Path,
    *,
    scheduler: str | None = None,
    platform: str | None = None,
    jobs: int | None = None,
    tell: Tell | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PipelineResult:
    """Go through the chain, taking from the folder what is there and current.

    Parameters
    ----------
    file : PipelineFile
        As :func:`mdcoeffs.chain.pipeline_file.read_pipeline` gives it.
    output : str or Path
        Folder to write, or to go on with.
    scheduler : str, optional
        Address of a dask scheduler that reads and estimates.
    platform : str, optional
        OpenMM platform of the simulation.
    jobs : int, optional
        Simulations side by side.
    tell : callable, optional
        Called with a line about every stage.
    progress : callable, optional
        Called with (done, in all) while the simulation runs or trajectories are read.

    Returns
    -------
    PipelineResult

    Raises
    ------
    InputError
        Bad input at any stage; what was made before it stays.
    ConvergenceError
        A simulation or a cell that broke down.
    """
    output = Path(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / "pipeline.toml").write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from error
    chain = Chain(file, output, tell or log.info)
    species = dict(file.species)
    if file.system is not None:
        species = simulated(chain, platform, jobs, progress)
    matrices = matrices_of(chain, species, scheduler, progress)
    activities = activities_of(chain, species, progress) if file.route else {}
    made = _set(chain, matrices, activities)
    cell = _cell(chain, matrices)
    polarized = _polarize(chain, cell, made)
    checked = _consistency(chain, cell, made, matrices)
    fields = _fields(chain)
    names = {name: dict(one.files) for name, one in chain.done.items()}
    stage = Stage(
        output / "report", {f"{name}/{one}": digest for name, files in names.items() for one, digest in files.items()},
        {"title": file.title, "text": text_hash(file.text), "field": [file_hash(path) for path in fields.values()]},
        ("mdcoeffs.chain.report",),
    )  # fmt: skip
    stages = {name: one.folder.relative_to(output) for name, one in chain.done.items()}
    seconds = {name: one.seconds for name, one in chain.done.items()}

    def write(folder: Path) -> None:
        write_report(
            folder, output, title=file.title, states=tuple(matrices), stages=stages, seconds=seconds,
            set_folder=made.folder, polarization=polarized.folder, consistency=checked.folder, fields=fields,
            case_text=file.text,
        )  # fmt: skip

    report = chain.keep("report", make(stage, write))
    lines = (made.folder / "notes.txt").read_text(encoding="utf-8").splitlines()
    lines += (polarized.folder / "bands.txt").read_text(encoding="utf-8").splitlines()
    for one in json.loads((checked.folder / "consistency.json").read_text(encoding="utf-8")):
        lines.append(f"{one['state']}: i_ss/i_0 of a small-voltage cell {_shown(one['cell'])}, "
                     f"Shao Eq. 14 from Omega {_shown(one['omega'])}")  # fmt: skip
    return PipelineResult(output, report.folder / "report.html", chain.done, tuple(lines))


def _shown(entry: Mapping[str, Any]) -> str:
    ends = entry["interval"]
    return f"{entry['value']:.4f}" + ("" if ends is None else f" (95 %: {ends[0]:.4f} to {ends[1]:.4f})")


# ---- the set --------------------------------------------------------------------------------------------------------


def _set(chain: Chain, matrices: Mapping[str, Done], activities: Mapping[str, Done]) -> Done:
    recipe = dict(chain.file.recipe) | {"onsager": [f"../onsager/{state}" for state in matrices]}
    if activities:
        recipe["chi"] = chi_block(
            [read_onsager(one.folder).c for one in matrices.values()],
            [json.loads((activities[one].folder / "summary.json").read_text(encoding="utf-8")) for one in matrices],
        )
    text = tomli_w.dumps(recipe)
    inputs = {"recipe": text_hash(text)}
    for state, one in (*matrices.items(), *((f"chi {k}", v) for k, v in activities.items())):
        inputs |= one.inputs(state)

    def work(folder: Path) -> None:
        (folder / "SET.toml").write_text(text, encoding="utf-8")
        made = set_from_recipe(folder / "SET.toml", name="transport")
        (folder / "transport.toml").write_text(made.text, encoding="utf-8")
        (folder / "notes.txt").write_text("\n".join(made.notes) + "\n", encoding="utf-8")

    return chain.keep("set", make(Stage(chain.output / "set", inputs, {}, ("mdcoeffs.chain.to_set",)), work))


# ---- the cell -------------------------------------------------------------------------------------------------------


def _cell(chain: Chain, matrices: Mapping[str, Done]) -> Path:
    """Write the case of the cell."""
    case = dict(chain.file.case)
    T = read_onsager(next(iter(matrices.values())).folder).T
    case["cell"] = {"temperature": f"{T:.10g} K"} | dict(case["cell"])
    case["electrolyte"] = {"transport": "set/transport.toml"} | dict(case["electrolyte"])
    path = chain.output / "cell.toml"
    path.write_text(tomli_w.dumps(case), encoding="utf-8")
    return path


def _polarize(chain: Chain, cell: Path, made: Done) -> Done:
    case = load_case(cell)
    draws, seed = chain.file.draws, chain.file.seed
    modules = (
        "cellsim.run.folder",
        "cellsim.run.figures",
        "cellsim.run.report",
        "cellsim.fit.bands",
    )
    stage = Stage(
        chain.output / "polarization", {"cell.toml": file_hash(cell), **made.inputs("set")},
        {"draws": draws, "seed": seed}, modules,
    )  # fmt: skip

    def work(folder: Path) -> None:
        solution = predict(case)

        def draw(directory: Path) -> None:
            write_cell_report(solution, directory, case, figures=write_figures(solution, directory, case=case))

        write_run(folder, case, solution, draw=draw)
        told = [] if solution.succeeded else [f"the run ended early, so there are no bands: {solution.message}"]
        if solution.succeeded and _has_covariance(case.transport):
            told = write_bands(case, bands_of_case(case, draws, seed=seed), folder)
        elif solution.succeeded:
            told = ["the set has no covariance, so there are no bands"]
        (folder / "bands.txt").write_text("\n".join(told) + "\n", encoding="utf-8")

    return chain.keep("polarization", make(stage, work))


def _has_covariance(transport: TransportSet) -> bool:
    return parse_set(transport.text, transport.name).covariance is not None


def _consistency(chain: Chain, cell: Path, made: Done, matrices: Mapping[str, Done]) -> Done:
    case = load_case(cell)
    thickness, voltage, draws, seed = case.cell.thickness, chain.file.voltage, chain.file.cell_draws, chain.file.seed
    inputs = made.inputs("set")
    for state, one in matrices.items():
        inputs |= one.inputs(state)
    stage = Stage(
        chain.output / "consistency", inputs,
        {"thickness": thickness, "voltage": voltage, "draws": draws, "seed": seed,
         "motion": case.transport.solvent_motion},
        ("mdcoeffs.chain.pipeline", "cellsim.run.simulation", "cellsim.solvers.sundials"),
    )  # fmt: skip

    def work(folder: Path) -> None:
        rows = []
        for state, one in matrices.items():
            m = read_onsager(one.folder)
            value, spread = current_fraction_of_cell(
                case.transport, m.c, thickness=thickness, voltage=voltage, draws=draws, seed=seed
            )
            ends = None if spread is None else np.quantile(spread, [0.025, 0.975]).tolist()
            rows.append({
                "state": state, "c": m.c, "voltage": voltage, "cell": {"value": value, "interval": ends},
                "omega": {"value": m.rho_plus, "interval": None if m.samples is None else list(m.interval("rho_plus"))},
                "difference": value - m.rho_plus,
            })  # fmt: skip
        (folder / "consistency.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")

    return chain.keep("consistency", make(stage, work))


def current_fraction_of_cell(
    transport: TransportSet, c: float, *, thickness: float, voltage: float, draws: int, seed: int = 0
) -> tuple[float, Array | None]:
    """i_ss/i_0 measured in simulated Li | electrolyte | Li cells without resistance at a small voltage.

    Parameters
    ----------
    transport : TransportSet
        The set; with a covariance in its file, draws of it are run as well.
    c : float
        Salt concentration [mol/m^3].
    thickness : float
        Of the cells [m].
    voltage : float
        Held until the current is steady [V].
    draws : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    value : float
        Of the set as it stands [1].
    spread : array (draws,) or None
        Of the draws that could be run; None for a set without a covariance [1].

    Raises
    ------
    ConvergenceError
        The cell cannot be run, or half of the draws cannot.
    """
    T = transport.T
    sets, file = [transport.with_extrapolation("clamp")], parse_set(transport.text, transport.name)
    if file.covariance is not None:
        model, mean, covariance = own_numbers(file, transport.solvent_motion)
        space = Space(model.parameters)
        sets += [model.at(space.values(u), T) for u in normal_draws(space, mean, covariance, draws, seed)]
    members = []
    for one in sets:
        duration = STEADY * thickness**2 / float(one.D(c))
        members.append(Member(Cell(thickness, T), one, Protocol((hold_voltage(voltage, duration),)), c,
                              np.array([0.0, duration]), "sundials", Options(rtol=1e-8)))  # fmt: skip
    found = simulate_many(members, workers=1, keep=_ratio)
    values = [one.value for one in found if one.succeeded and one.value is not None]
    if not found[0].succeeded or found[0].value is None or len(values) < len(members) / 2:
        why = next((one.error for one in found if one.error), "the cells end early")
        raise ConvergenceError(f"the small-voltage cells at {c / 1000:.4g} mol/L cannot be run: {why}")
    return float(values[0]), np.array(values[1:]) if len(values) > 1 else None


def _ratio(solution: Solution) -> float | None:
    return float(solution["i"][-1] / solution["i"][0]) if solution.succeeded else None


# ---- the independent route ------------------------------------------------------------------------------------------


def _fields(chain: Chain) -> dict[str, Path]:
    """Label -> JSON of ``mdcoeffs field``: those the file names, and those of states simulated in a field."""
    found, folders = {}, {}
    for path in chain.file.field:
        if path.is_file():
            found[f"{path.parent.name}/{path.name}"] = path
        else:
            folders[f"{path.parent.name}_{path.name}"] = path
    system = chain.file.system
    if system is not None:
        folders |= {point.state: chain.output / "md" / point.state for point in system.field_points}
    for name, state in folders.items():
        runs = [state.parent / "system.toml", *sorted(state.glob("*/displacements.npz"))]
        inputs = {path.relative_to(state.parent).as_posix(): file_hash(path) for path in runs}

        def work(folder: Path, state: Path = state) -> None:
            write_field(field_result(state), folder / "field.json")

        stage = Stage(chain.output / "field" / name, inputs, {}, ("mdcoeffs.chain.field",))
        found[name] = chain.keep(f"field {name}", make(stage, work)).folder / "field.json"
    return found
