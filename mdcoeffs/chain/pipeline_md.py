"""The first half of a pipeline: runs of molecular dynamics, the Onsager matrix and chi of every concentration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cellsim.base import InputError, Progress
from mdcoeffs.activity.analysis import NAME as ACTIVITY
from mdcoeffs.activity.analysis import activity_of, read_activity, with_positions
from mdcoeffs.activity.report import activity_figure, write_activity
from mdcoeffs.chain.pipeline_file import PipelineFile, check_species
from mdcoeffs.chain.stage import Done, Stage, current, file_hash, make
from mdcoeffs.frames.stream import remove_checkpoints
from mdcoeffs.inputs.species import SpeciesFile, read_species
from mdcoeffs.md.run_record import read_record
from mdcoeffs.md.simulate import run_folder, simulate_system
from mdcoeffs.onsager.analysis import OnsagerResult, onsager_from_file
from mdcoeffs.onsager.cluster import onsager_on_cluster
from mdcoeffs.onsager.report import onsager_figure, read_onsager, write_netcdf, write_summary

Tell = Callable[[str], None]


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

    def keep(self, name: str, found: Done) -> Done:
        """Take a stage in, and tell of it."""
        how = "from cache" if found.cached else f"made in {found.seconds:.1f} s"
        self.tell(f"{name}: {how}")
        self.done[name] = found
        return found


# ---- trajectories ---------------------------------------------------------------------------------------------------


def simulated(chain: Chain, platform: str | None, jobs: int | None, progress: Progress | None) -> dict[str, Path]:
    """The runs of the SYSTEM.toml, found or made.

    Parameters
    ----------
    chain : Chain
        The pipeline.
    platform : str, optional
        OpenMM platform.
    jobs : int, optional
        Runs side by side.
    progress : callable, optional
        Called with (steps done, in all).

    Returns
    -------
    dict
        State -> its SPECIES.toml.
    """
    system, folder = chain.file.system, chain.output / "md"
    assert system is not None
    found = [(point, read_record(run_folder(folder, point), point)) for point in system.all_points]
    missing = [point for point, record in found if record is None or record.frames < point.frames]
    species = {state: folder / state / "SPECIES.toml" for state in chain.file.states}
    if missing or not all(path.is_file() for path in species.values()):
        done = simulate_system(system, folder, platform=platform, jobs=jobs, progress=progress)
        chain.tell(f"simulate: {len(missing)} of {len(found)} runs made in {done.seconds:.1f} s")
    else:
        chain.tell(f"simulate: {len(found)} runs, from cache")
    return species


def _data(file: SpeciesFile) -> dict[str, str]:
    """Content hashes of a SPECIES.toml and of the files it names."""
    found = {"SPECIES.toml": file_hash(file.path)}
    for number, one in enumerate(file.replicas):
        paths = [one.topology, *one.trajectory, one.arrays, one.octp, one.octp_self]
        found |= {f"replica-{number}-{k}": file_hash(path) for k, path in enumerate(paths) if path is not None}
    return found


# ---- Omega and chi --------------------------------------------------------------------------------------------------


def matrices_of(
    chain: Chain, species: Mapping[str, Path], scheduler: str | None, progress: Progress | None
) -> dict[str, Done]:
    """Omega of every concentration.

    Parameters
    ----------
    chain : Chain
        The pipeline.
    species : mapping
        State -> its SPECIES.toml.
    scheduler : str, optional
        Address of a dask scheduler.
    progress : callable, optional
        Called with (done, in all).

    Returns
    -------
    dict
        State -> its stage, in the order of concentration.
    """
    modules = ("mdcoeffs.onsager.analysis", "mdcoeffs.onsager.report", "mdcoeffs.onsager.report")
    stages, files = {}, {}
    for state, path in species.items():
        files[state] = read_species(path)
        check_species(files[state])
        stages[state] = Stage(chain.output / "onsager" / state, _data(files[state]), {}, modules)
    found = {state: done for state, stage in stages.items() if (done := current(stage)) is not None}
    stale = [state for state in stages if state not in found]
    if scheduler is None:
        for state in stale:

            def work(folder: Path, file: SpeciesFile = files[state]) -> None:
                write_onsager(onsager_from_file(file, folder=folder, progress=progress), folder)

            found[state] = make(stages[state], work)
    elif stale:
        for number, result in onsager_on_cluster([files[s] for s in stale], scheduler, progress=progress):

            def keep(folder: Path, result: OnsagerResult = result) -> None:
                write_onsager(result, folder)

            found[stale[number]] = make(stages[stale[number]], keep)
    order = sorted(stages, key=lambda state: read_onsager(found[state].folder).c)
    return {state: chain.keep(f"onsager {state}", found[state]) for state in order}


def write_onsager(result: OnsagerResult, folder: Path) -> None:
    """Write ``onsager.nc``, ``summary.json`` and ``onsager.png``, as the command does.

    Parameters
    ----------
    result : OnsagerResult
        Of one concentration.
    folder : Path
        An existing folder.
    """
    write_netcdf(result, folder / "onsager.nc")
    write_summary(result, folder / "summary.json")
    onsager_figure(result, folder / "onsager.png")


def activities_of(chain: Chain, species: Mapping[str, Path], progress: Progress | None) -> dict[str, Done]:
    """chi of every concentration, from the positions of the trajectories.

    Parameters
    ----------
    chain : Chain
        The pipeline.
    species : mapping
        State -> its SPECIES.toml.
    progress : callable, optional
        Called with (frames done, in all).

    Returns
    -------
    dict
        State -> its stage.
    """
    route = chain.file.route
    found = {}
    for state, path in species.items():
        file = with_positions(read_species(path))

        def work(folder: Path, file: SpeciesFile = file) -> None:
            settings = replace(read_activity(file), route=str(route))
            found = activity_of(file, settings=settings, folder=folder, progress=progress)
            write_activity(found, folder)
            activity_figure(found, folder / "activity.png")
            remove_checkpoints(folder, ACTIVITY)

        stage = Stage(
            chain.output / "chi" / state,
            _data(file),
            {"route": route},
            ("mdcoeffs.activity.analysis", "mdcoeffs.activity.report"),
        )
        found[state] = chain.keep(f"chi {state}", make(stage, work))
    return found


def chi_block(c: Sequence[float], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The table [chi] of a recipe: what the trajectories say at each concentration, with its error.

    Parameters
    ----------
    c : sequence of float
        Concentrations, increasing [mol/m^3].
    found : sequence of mapping
        ``summary.json`` of ``mdcoeffs activity`` of each.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        A chi that its error does not tell from zero.
    """
    bad = [one for one in found if not (one["chi"] and one["chi"] > 0 and one["standard_error"] < one["chi"])]
    if bad:
        raise InputError(
            f"chi = {bad[0]['chi']} +- {bad[0]['standard_error']} at {bad[0]['c'] / 1000:.4g} mol/L is not told from "
            f"zero; use longer runs, or give [chi] in place of [kirkwood_buff]"
        )
    block = {"basis": "molal", "source": f"fluctuations in the trajectories (Kirkwood-Buff), by {found[0]['route']}"}
    if len(c) == 1:
        return block | {"value": found[0]["chi"], "standard_error": found[0]["standard_error"]}
    return block | {
        "variable": "c", "x": [float(f"{one / 1000:.10g}") for one in c], "y": [one["chi"] for one in found],
        "standard_error": [one["standard_error"] for one in found],
    }  # fmt: skip
