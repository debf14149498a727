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

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from cellsim.base import Array, ConvergenceError, InputError, Progress
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.mixture import SpeciesMatrix
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.relations import band
from cellsim.electrolyte.set_file import file_of
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import file_hash, keep, text_hash
from cellsim.files.reading import read_json
from cellsim.files.writing import write_json, write_text
from cellsim.fit.bands import bands_of_case, prior_draws, write_bands
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import own_numbers
from cellsim.model.mixture import relaxation_modes
from cellsim.run import mixture
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.folder import drawer, predict, write_run
from cellsim.run.mixture import MixtureCase, read_case
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution
from cellsim.workers import cores
from mdcoeffs import activity, onsager
from mdcoeffs.analysis import Analysis, analyse_into, analyse_many
from mdcoeffs.chain.field import field_result
from mdcoeffs.chain.pipeline_file import PipelineFile, check_species
from mdcoeffs.chain.report import write_mixture_report, write_report
from mdcoeffs.chain.stage import Done, Stage, contents, current, make
from mdcoeffs.chain.to_set import set_from_recipe
from mdcoeffs.frames.stream import with_positions
from mdcoeffs.inputs.species import SpeciesFile, read_species
from mdcoeffs.md.record import read_record
from mdcoeffs.md.simulate import run_folder, simulate_system
from mdcoeffs.onsager.mixture import read_species_matrix
from mdcoeffs.onsager.result import read_onsager

log = logging.getLogger(__name__)

Tell = Callable[[str], None]
STEADY = 4.0
"""A small-voltage cell is held for so many L^2/D; what is left of the transient is exp(-pi^2 times this)."""


@dataclass(eq=False)
class Chain:
    """What the stages share; filled as they go.

    Parameters
    ----------
    file : PipelineFile
        The CASE.toml.
    output : Path
        The folder.
    tell : callable
        Called with a line about every stage.
    done : dict
        Name of a stage -> what came of it, in order.
    """

    file: PipelineFile
    output: Path
    tell: Tell
    done: dict[str, Done] = field(default_factory=dict)

    def take(self, name: str, done: Done) -> Done:
        """Take a stage in, and tell of it."""
        self.tell(f"{name}: {'from cache' if done.cached else f'made in {done.seconds:.1f} s'}")
        self.done[name] = done
        return done


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
    progress: Progress | None = None,
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
        write_text(output / "pipeline.toml", file.text)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from error
    chain = Chain(file, output, tell or log.info)
    paths = dict(file.species) if file.system is None else _simulated(chain, platform, jobs, progress)
    species = {state: read_species(path) for state, path in paths.items()}
    matrices = _matrices(chain, species, scheduler, progress)
    activities = _activities(chain, species, scheduler, progress) if file.route else {}
    made = _set(chain, matrices, activities)
    cell = _cell(chain, next(iter(species.values())).temperature)
    polarized = _polarize(chain, cell, made)
    checked = _consistency(chain, cell, made, matrices)
    report = _report(chain, {} if file.mixture else _fields(chain))
    lines = (made.folder / "notes.txt").read_text(encoding="utf-8").splitlines()
    lines += (polarized.folder / "bands.txt").read_text(encoding="utf-8").splitlines()
    for row in read_json(checked.folder / "consistency.json"):
        cell_value, from_omega = _shown(row["cell"]), _shown(row["omega"])
        lines.append(
            f"{row['state']}: i_ss/i_0 of a small-voltage cell {cell_value}, Shao Eq. 14 from Omega {from_omega}"
        )
    return PipelineResult(output, report.folder / "report.html", chain.done, tuple(lines))


def _report(chain: Chain, fields: Mapping[str, Path]) -> Done:
    file, output, done = chain.file, chain.output, dict(chain.done)
    inputs = {f"{name}/{path}": digest for name, stage in done.items() for path, digest in stage.files.items()}
    options = {"title": file.title, "text": text_hash(file.text), "field": [file_hash(p) for p in fields.values()]}

    def write(folder: Path) -> None:
        if file.mixture:
            write_mixture_report(folder, output, done, title=file.title, case_text=file.text)
            return
        write_report(folder, output, done, fields, title=file.title, case_text=file.text)

    return chain.take("report", make(Stage(output / "report", inputs, options, ("mdcoeffs.chain.report",)), write))


def _shown(entry: Mapping[str, Any]) -> str:
    ends = entry["interval"]
    return f"{entry['value']:.4f}" + ("" if ends is None else f" (95 %: {ends[0]:.4f} to {ends[1]:.4f})")


# ---- trajectories ---------------------------------------------------------------------------------------------------


def _simulated(chain: Chain, platform: str | None, jobs: int | None, progress: Progress | None) -> dict[str, Path]:
    """State -> SPECIES.toml of the runs of the SYSTEM.toml, found or made."""
    system, folder = chain.file.system, chain.output / "md"
    assert system is not None
    records = [(point, read_record(run_folder(folder, point), point)) for point in system.all_points]
    missing = [point for point, record in records if record is None or record.frames < point.frames]
    species = {state: folder / state / "SPECIES.toml" for state in chain.file.states}
    if missing or not all(path.is_file() for path in species.values()):
        done = simulate_system(system, folder, platform=platform, jobs=jobs, progress=progress)
        chain.tell(f"simulate: {len(missing)} of {len(records)} runs made in {done.seconds:.1f} s")
    else:
        chain.tell(f"simulate: {len(records)} runs, from cache")
    return species


def _analysed(
    chain: Chain,
    analysis: Analysis,
    folder: str,
    species: Mapping[str, SpeciesFile],
    settings: Mapping[str, Any],
    scheduler: str | None,
    progress: Progress | None,
) -> dict[str, Done]:
    """State -> an analysis of it, from its folder or made; on a cluster all replicas of all states at once."""
    stages, modules = {}, (f"mdcoeffs.{analysis.name}",)
    for state, file in species.items():
        options = {"settings": repr(settings[state])}
        stages[state] = Stage(chain.output / folder / state, contents(file), options, modules)
    done = {state: valid for state, stage in stages.items() if (valid := current(stage)) is not None}
    stale = [state for state in stages if state not in done]
    if scheduler is None:
        for state in stale:

            def work(output: Path, state: str = state) -> None:
                analyse_into(analysis, species[state], output, settings=settings[state], progress=progress)

            done[state] = make(stages[state], work)
    elif stale:
        files, asked = [species[state] for state in stale], [settings[state] for state in stale]
        for number, result in analyse_many(analysis, files, scheduler, settings=asked, progress=progress):

            def write(output: Path, result: Any = result) -> None:
                keep(result, output, analysis.name, tables=result.tables())

            done[stale[number]] = make(stages[stale[number]], write)
    return done


def _matrices(
    chain: Chain, species: Mapping[str, SpeciesFile], scheduler: str | None, progress: Progress | None
) -> dict[str, Done]:
    """State -> Omega of it, in the order of concentration."""
    for file in species.values():
        if check_species(file) != chain.file.mixture:
            raise InputError(f"{file.path}: is not of the kind of the others; repeat the command")
    settings = {state: onsager.read_estimate(file) for state, file in species.items()}
    done = _analysed(chain, onsager.ANALYSIS, "onsager", species, settings, scheduler, progress)
    order = list(species)
    if not chain.file.mixture:
        order.sort(key=lambda state: read_onsager(done[state].folder).c)
    return {state: chain.take(f"onsager {state}", done[state]) for state in order}


def _activities(
    chain: Chain, species: Mapping[str, SpeciesFile], scheduler: str | None, progress: Progress | None
) -> dict[str, Done]:
    """State -> chi of it, from the positions of the trajectories."""
    files, settings = {}, {}
    for state, file in species.items():
        files[state] = replace(file, replicas=tuple(with_positions(replica) for replica in file.replicas))
        asked = replace(activity.read_activity(file), route=str(chain.file.route))
        if chain.file.mixture:  # counted as the set is
            recipe = chain.file.recipe
            asked = replace(
                asked, matrix="species", solvent=recipe["solvent"], cation=recipe.get("cation", asked.cation)
            )
        settings[state] = asked
    done = _analysed(chain, activity.ANALYSIS, "chi", files, settings, scheduler, progress)
    return {state: chain.take(f"chi {state}", done[state]) for state in species}


def chi_block(c: Sequence[float], activities: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The table [chi] of a recipe: what the trajectories say at each concentration, with its error.

    Parameters
    ----------
    c : sequence of float
        Concentrations, increasing [mol/m^3].
    activities : sequence of mapping
        ``summary.json`` of ``mdcoeffs activity`` of each.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        A chi that its error does not tell from zero.
    """
    chi, error = ([each[key] for each in activities] for key in ("chi", "standard_error"))
    for value, spread, each in zip(chi, error, activities, strict=True):
        if not (value and value > 0 and spread < value):
            raise InputError(
                f"chi = {value} +- {spread} at {each['c'] / 1000:.4g} mol/L is compatible with zero; use longer runs, "
                f"or give [chi] in place of [kirkwood_buff]"
            )
    source = f"fluctuations in the trajectories (Kirkwood-Buff), by {activities[0]['route']}"
    block = {"basis": "molal", "source": source}
    if len(c) == 1:
        return block | {"value": chi[0], "standard_error": error[0]}
    x = [float(f"{each / 1000:.10g}") for each in c]
    return block | {"variable": "c", "x": x, "y": chi, "standard_error": error}


# ---- the set --------------------------------------------------------------------------------------------------------


def _set(chain: Chain, matrices: Mapping[str, Done], activities: Mapping[str, Done]) -> Done:
    recipe = dict(chain.file.recipe) | {"onsager": [f"../onsager/{state}" for state in matrices]}
    if activities and chain.file.mixture:
        recipe["thermodynamics"] = [f"../chi/{state}" for state in matrices]
    elif activities:
        c = [read_onsager(done.folder).c for done in matrices.values()]
        recipe["chi"] = chi_block(c, [read_json(activities[state].folder / "summary.json") for state in matrices])
    text = tomli_w.dumps(recipe)
    inputs = {"recipe": text_hash(text)} | _inputs(matrices)
    inputs |= _inputs({f"chi {state}": done for state, done in activities.items()})

    def work(folder: Path) -> None:
        write_text(folder / "SET.toml", text)
        made = set_from_recipe(folder / "SET.toml", name="transport")
        made.write(folder / "transport.toml")
        write_text(folder / "notes.txt", "\n".join(made.notes) + "\n")

    return chain.take("set", make(Stage(chain.output / "set", inputs, {}, ("mdcoeffs.chain.to_set",)), work))


def _inputs(stages: Mapping[str, Done]) -> dict[str, str]:
    """The files of some stages, as inputs of another one."""
    return {name: digest for prefix, done in stages.items() for name, digest in done.inputs(prefix).items()}


# ---- the cell -------------------------------------------------------------------------------------------------------


def _cell(chain: Chain, T: float) -> Path:
    """Write the case of the cell."""
    case = dict(chain.file.case)
    case["cell"] = {"temperature": f"{T:.10g} K"} | dict(case["cell"])
    case["electrolyte"] = {"transport": "set/transport.toml"} | dict(case["electrolyte"])
    path = chain.output / "cell.toml"
    return write_text(path, tomli_w.dumps(case))


def _polarize(chain: Chain, cell: Path, made: Done) -> Done:
    case = read_case(cell)
    draws, seed = chain.file.draws, chain.file.seed
    inputs = {"cell.toml": file_hash(cell), **made.inputs("set")}
    modules = ("cellsim.run.folder", "cellsim.run.figures", "cellsim.fit.bands", "cellsim.fit.mixture_model")
    stage = Stage(chain.output / "polarization", inputs, {"draws": draws, "seed": seed}, modules)

    def work(folder: Path) -> None:
        solution = predict(case, folder=chain.output)
        if isinstance(case, MixtureCase):
            summary = mixture.summarise(case, solution)
            write_run(folder, case, solution, draw=mixture.drawer(case, solution), summary=summary)
        else:
            write_run(folder, case, solution, draw=drawer(case, solution))
        if not solution.succeeded:
            lines = [f"the run ended early, so there are no bands: {solution.message}"]
        elif not _has_covariance(case.transport):
            lines = ["the set has no covariance, so there are no bands"]
        else:
            workers = cores() if isinstance(case, MixtureCase) else 1
            found = bands_of_case(case, draws, seed=seed, workers=workers, folder=chain.output)
            lines = write_bands(case, found, folder)
        write_text(folder / "bands.txt", "\n".join(lines) + "\n")

    return chain.take("polarization", make(stage, work))


def _has_covariance(transport: TransportSet | MixtureSet) -> bool:
    known = transport.covariance if isinstance(transport, MixtureSet) else file_of(transport).covariance
    return known is not None


def _consistency(chain: Chain, cell: Path, made: Done, matrices: Mapping[str, Done]) -> Done:
    case, file = read_case(cell), chain.file
    transport = case.transport
    options: dict[str, Any] = {"thickness": case.cell.thickness, "voltage": file.voltage}
    inputs = made.inputs("set") | _inputs(matrices)
    if isinstance(transport, MixtureSet):
        modules: tuple[str, ...] = ("mdcoeffs.chain.pipeline", "cellsim.run.simulation", "cellsim.solvers.mixture")
        stage = Stage(chain.output / "consistency", inputs, options, modules)

        def compare(folder: Path) -> None:
            each = {state: read_species_matrix(done.folder) for state, done in matrices.items()}
            rows = [{"state": state, **mixture_row(transport, m, **options)} for state, m in each.items()]
            write_json(folder / "consistency.json", rows)

        return chain.take("consistency", make(stage, compare))
    options |= {"draws": file.cell_draws, "seed": file.seed}
    modules = ("mdcoeffs.chain.pipeline", "cellsim.run.simulation", "cellsim.solvers.sundials")
    decides = options | {"motion": transport.solvent_motion}
    stage = Stage(chain.output / "consistency", inputs, decides, modules)

    def work(folder: Path) -> None:
        rows = []
        for state, done in matrices.items():
            m = read_onsager(done.folder)
            value, spread = current_fraction_of_cell(transport, m.c, **options)
            ends = None if spread is None else band(spread, (0.025, 0.975))
            of_omega = None if m.samples is None else m.interval("rho_plus")
            cell_row = {"value": value, "interval": ends}
            row = {"state": state, "c": m.c, "voltage": file.voltage, "cell": cell_row}
            rows.append(row | {"omega": {"value": m.rho_plus, "interval": of_omega}, "difference": value - m.rho_plus})
        write_json(folder / "consistency.json", rows)

    return chain.take("consistency", make(stage, work))


def mixture_row(transport: MixtureSet, m: SpeciesMatrix, *, thickness: float, voltage: float) -> dict[str, Any]:
    """i_ss/i_0 of a simulated cell of n components at a small voltage beside the current fraction of its matrix.

    Parameters
    ----------
    transport : MixtureSet
        The set.
    m : SpeciesMatrix
        The matrix of all species of one composition, which is that of the cell.
    thickness : float
        Of the cell [m].
    voltage : float
        Held until the current is steady [V].

    Returns
    -------
    dict
        ``c`` of the cation [mol/m^3], ``voltage`` [V], ``cell`` and ``omega`` (value, 95 % interval), ``difference``.

    Raises
    ------
    ConvergenceError
        The cell cannot be run.
    """
    of = dict(zip(m.names, m.c, strict=True))
    r = np.array([of[name] for name in transport.components]) / of[transport.solvent]
    slowest = float(relaxation_modes(transport.at(r))[0].min())
    protocol = Protocol((hold_voltage(voltage, STEADY * thickness**2 / slowest),))
    held = transport.with_extrapolation("clamp")
    solution = Member(Cell(thickness, transport.T), held, protocol, r, None, "auto", Options(rtol=1e-7)).run()
    if not solution.succeeded:
        raise ConvergenceError(f"the small-voltage cell at {solution.message}")
    name = f"rho_{transport.cation}"
    value, rho = float(solution["i"][-1] / solution["i"][0]), float(m.quantities()[name])
    omega = {"value": rho, "interval": None if m.samples is None else m.interval(name)}
    row = {"c": of[transport.cation], "voltage": voltage, "cell": {"value": value, "interval": None}}
    return row | {"omega": omega, "difference": value - rho}


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
    sets, file = [transport.with_extrapolation("clamp")], file_of(transport)
    if file.covariance is not None:
        model, prior = own_numbers(file, transport.solvent_motion)
        space = Space(model.parameters)
        sets += [model.at(space.values(u), T) for u in prior_draws(space, prior, draws, seed)]
    members = []
    for each in sets:
        duration = STEADY * thickness**2 / float(each.D(c))
        protocol, times = Protocol((hold_voltage(voltage, duration),)), np.array([0.0, duration])
        members.append(Member(Cell(thickness, T), each, protocol, c, times, "sundials", Options(rtol=1e-8)))
    cells = simulate_many(members, workers=1, keep=_ratio)
    values = [each.value for each in cells if each.succeeded and each.value is not None]
    if not cells[0].succeeded or cells[0].value is None or len(values) < len(members) / 2:
        why = next((each.error for each in cells if each.error), "the cells end early")
        raise ConvergenceError(f"the small-voltage cells at {c / 1000:.4g} mol/L cannot be run: {why}")
    return float(values[0]), np.array(values[1:]) if len(values) > 1 else None


def _ratio(solution: Solution) -> float | None:
    return float(solution["i"][-1] / solution["i"][0]) if solution.succeeded else None


# ---- the independent route ------------------------------------------------------------------------------------------


def _fields(chain: Chain) -> dict[str, Path]:
    """Label -> JSON of ``mdcoeffs field``: those the file names, and those of states simulated in a field."""
    results, folders = {}, {}
    for path in chain.file.field:
        if path.is_file():
            results[f"{path.parent.name}/{path.name}"] = path
        else:
            folders[f"{path.parent.name}_{path.name}"] = path
    system = chain.file.system
    if system is not None:
        folders |= {point.state: chain.output / "md" / point.state for point in system.field_points}
    for name, state in folders.items():
        runs = [state.parent / "system.toml", *sorted(state.glob("*/displacements.npz"))]
        inputs = {path.relative_to(state.parent).as_posix(): file_hash(path) for path in runs}

        def work(folder: Path, state: Path = state) -> None:
            write_json(folder / "field.json", field_result(state).numbers())

        stage = Stage(chain.output / "field" / name, inputs, {}, ("mdcoeffs.chain.field",))
        results[name] = chain.take(f"field {name}", make(stage, work)).folder / "field.json"
    return results
