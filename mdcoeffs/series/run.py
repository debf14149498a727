"""The states of a family, analysed and read back; what is there and current is taken as it is.

OUT/series.toml            the file, verbatim
OUT/states/STATE/ANALYSIS/ what the command of that analysis writes, with stage.json (`mdcoeffs.chain.stage`)
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cellsim.base import CellsimError, InputError, Progress, factor_to_si
from cellsim.files.folder import keep, work_folder
from cellsim.files.writing import write_text
from cellsim.workers import check_files, mapped
from mdcoeffs.analysis import analyse, analyse_into
from mdcoeffs.chain.stage import Stage, contents, current, make
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.series.interfaces import Interfaces, interfaces_of
from mdcoeffs.series.quantities import PANELS, Found, Summary, panel_of, read_summary
from mdcoeffs.series.recipe import Recipe, State
from mdcoeffs.series.temperature import FEWEST, Fit, fit_law

log = logging.getLogger(__name__)

STATES = "states"
"""Folder in that of the series with a folder for each state."""
APART = 0.02
"""Relative difference between a stated concentration and that of the box beyond which it is remarked [1]."""


@dataclass(frozen=True)
class StateResult:
    """What is known of one state.

    Parameters
    ----------
    name : str
        Of the state.
    value : float
        Of the series' variable, in the series' unit.
    folders : mapping
        Analysis -> folder of its result.
    found : mapping
        Name -> Found.
    notes : tuple of str
        What the analyses remarked.
    failed : mapping
        Analysis -> why there is no result.
    frames : tuple of int
        Snapshots of each replica.
    cached : bool
        Whether nothing had to be analysed.
    """

    name: str
    value: float
    folders: Mapping[str, Path]
    found: Mapping[str, Found]
    notes: tuple[str, ...]
    failed: Mapping[str, str]
    frames: tuple[int, ...]
    cached: bool


@dataclass(frozen=True)
class Series:
    """A family of states, read.

    Parameters
    ----------
    recipe : Recipe
        What was asked.
    states : tuple of StateResult
        In the order of the variable; those of which nothing is known last.
    fits : tuple of Fit
        Laws of temperature, where the variable is one.
    refused : tuple of str
        Why some laws were not fitted.
    barriers : tuple of Interfaces
        Regions of interfaces with a barrier at several temperatures.
    """

    recipe: Recipe
    states: tuple[StateResult, ...]
    fits: tuple[Fit, ...] = ()
    refused: tuple[str, ...] = ()
    barriers: tuple[Interfaces, ...] = ()

    @property
    def quantities(self) -> list[str]:
        """Names of all quantities, in the order of the panels."""
        names = dict.fromkeys(name for state in self.states for name in state.found)
        order = list(PANELS)
        return sorted(names, key=lambda name: order.index(panel_of(name)))

    @property
    def failures(self) -> list[str]:
        """What went wrong, a sentence each."""
        return [f"{s.name}, {analysis}: {why}" for s in self.states for analysis, why in s.failed.items()]

    def over(self, name: str) -> tuple[list[float], list[Found]]:
        """The values of one quantity over the variable.

        Parameters
        ----------
        name : str
            Of the quantity.

        Returns
        -------
        at : list of float
            In the series' unit.
        found : list of Found
        """
        pairs = [(state.value, state.found[name]) for state in self.states if name in state.found]
        return [at for at, _ in pairs], [each for _, each in pairs]


@dataclass(frozen=True)
class Job:
    """One analysis of one state.

    Parameters
    ----------
    stage : Stage
        Where it goes and what it rests on.
    analysis : str
        Its name.
    file : SpeciesFile
        The state.
    settings : object
        Of the analysis.
    """

    stage: Stage
    analysis: str
    file: SpeciesFile
    settings: Any


def run_series(
    recipe: Recipe,
    output: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Series:
    """Analyse what is not there, read all, and fit the laws of temperature.

    Parameters
    ----------
    recipe : Recipe
        As :func:`mdcoeffs.series.recipe.read_series` gives it.
    output : str or Path
        Folder to write, or to go on with.
    jobs : int, optional
        Processes; one per core when left out.
    scheduler : str, optional
        Address of a dask scheduler; a worker then reads a whole state.
    tell : callable, optional
        Called with a line about every analysis of a state.
    progress : callable, optional
        Called with (analyses done, in all).

    Returns
    -------
    Series
        A state that cannot be analysed is reported in its place and leaves the others alone.

    Raises
    ------
    InputError
        Not a single state could be analysed, then the first one's reason; or a folder that cannot be written.
    """
    with work_folder(output) as folder:
        write_text(folder / "series.toml", recipe.text)
        series = _run(recipe, folder, jobs, scheduler, tell or log.info, progress)
    return series


def _run(
    recipe: Recipe,
    output: Path,
    jobs: int | None,
    scheduler: str | None,
    tell: Callable[[str], None],
    progress: Progress | None,
) -> Series:
    wanted = {(state.name, job.analysis): job for state in recipe.states for job in _jobs(recipe, state, output)}
    folders: dict[tuple[str, str], Path] = {}
    failed: dict[tuple[str, str], CellsimError] = {}
    stale = {}
    for key, job in wanted.items():
        done = current(job.stage)
        if done is None:
            stale[key] = job
        else:
            folders[key] = done.folder
            tell(f"{' '.join(key)}: from cache")
    for key, outcome in _made(stale, jobs, scheduler, progress):
        if isinstance(outcome, Path):
            folders[key] = outcome
            tell(f"{' '.join(key)}: made")
        else:
            failed[key] = outcome
            tell(f"{' '.join(key)}: failed, {outcome}")
    for state in recipe.states:
        folders |= {(state.name, analysis): place for analysis, place in state.results.items()}
    results = []
    for state in recipe.states:
        own = {analysis: place for (name, analysis), place in folders.items() if name == state.name}
        why = {analysis: error for (name, analysis), error in failed.items() if name == state.name}
        results.append(_read(recipe, state, own, why, cached=not any(key[0] == state.name for key in stale)))
    if not any(state.found or state.folders for state, _ in results):
        raise next(error for _, errors in results for error in errors)
    # NaN sorts nowhere
    ordered = sorted((state for state, _ in results), key=lambda s: math.inf if math.isnan(s.value) else s.value)
    series = Series(recipe, tuple(ordered))
    fits, refused = _fitted(series)
    barriers, without = _barriers(series)
    return replace(series, fits=fits, refused=(*refused, *without), barriers=barriers)


def _jobs(recipe: Recipe, state: State, output: Path) -> list[Job]:
    if state.species is None:
        return []
    inputs, made = contents(state.species), []
    for name in recipe.analyses:
        settings = state.settings[name]
        options = {"settings": repr(settings), "changes": repr(state.species.changes)}
        stage = Stage(output / STATES / state.name / name, inputs, options, (f"mdcoeffs.{name}",))
        made.append(Job(stage, name, state.species, settings))
    return made


def _made(
    stale: Mapping[tuple[str, str], Job], jobs: int | None, scheduler: str | None, progress: Progress | None
) -> Iterator[tuple[tuple[str, str], Path | CellsimError]]:
    """What came of each job, as it is done: its folder, or what it complained of."""
    keys, items = list(stale), list(stale.values())
    if scheduler is None:
        runs = mapped(_here, items, workers=jobs, chunk=1)
    else:
        items = [replace(job, file=job.file.anchored()) for job in items]
        if items:
            check_files(scheduler, list(dict.fromkeys(path for job in items for path in job.file.paths)))
        runs = mapped(_away, items, scheduler=scheduler, chunk=1)
    for count, returned in enumerate(runs, 1):
        job, error = items[returned.index], returned.error
        if progress is not None:
            progress(count, len(items))
        if error is not None:
            if not isinstance(error, CellsimError):
                raise error
            yield keys[returned.index], error
            continue
        if scheduler is not None:

            def write(folder: Path, job: Job = job, result: Any = returned.value) -> None:
                keep(result, folder, job.analysis, tables=result.tables())

            make(job.stage, write)
        yield keys[returned.index], job.stage.folder


def _here(job: Job) -> None:
    """One analysis in a process of this machine, into its folder."""
    analysis = import_module(f"mdcoeffs.{job.analysis}").ANALYSIS

    def work(folder: Path) -> None:
        analyse_into(analysis, job.file, folder, settings=job.settings)

    make(job.stage, work)


def _away(job: Job) -> Any:
    """One analysis in a worker of a cluster; its result travels back."""
    return analyse(import_module(f"mdcoeffs.{job.analysis}").ANALYSIS, job.file, settings=job.settings)


# ---- reading --------------------------------------------------------------------------------------------------------


def _read(
    recipe: Recipe, state: State, folders: Mapping[str, Path], failed: Mapping[str, CellsimError], *, cached: bool
) -> tuple[StateResult, list[CellsimError]]:
    errors, summaries = dict(failed), {}
    for analysis, folder in folders.items():
        try:
            summaries[analysis] = read_summary(folder, analysis)
        except InputError as unreadable:
            errors[analysis] = unreadable
    value, notes = _value(recipe, state, summaries)
    for analysis, summary in summaries.items():
        notes += [f"{analysis}: {note}" for note in summary.notes]
    found: dict[str, Found] = {}
    for summary in summaries.values():
        found |= {each.name: each for each in summary.found}
    frames = next((summary.frames for summary in summaries.values() if summary.frames), ())
    why = {analysis: str(error) for analysis, error in errors.items()}
    if math.isnan(value):
        found = {}
        if not errors:
            error = InputError(f"its results do not say what {recipe.variable} is; give value in [[state]]")
            why["value"], errors["value"] = str(error), error
    kept = {analysis: folders[analysis] for analysis in summaries}
    result = StateResult(state.name, value, kept, found, tuple(notes), why, frames, cached)
    return result, list(errors.values())


def _value(recipe: Recipe, state: State, summaries: Mapping[str, Summary]) -> tuple[float, list[str]]:
    """The variable of a state, as stated or as its results say; what is wrong with the statement."""
    own = math.nan
    if recipe.variable == "c":
        own = next((s.c for s in summaries.values() if math.isfinite(s.c)), math.nan)
        own /= factor_to_si(recipe.unit, "mol/m^3")
    elif recipe.variable == "T":
        own = next((s.temperature for s in summaries.values() if math.isfinite(s.temperature)), math.nan)
    if math.isnan(state.value):
        return own, []
    if math.isfinite(own) and abs(own - state.value) > APART * abs(state.value):
        unit = f" {recipe.unit}" if recipe.unit else ""
        return state.value, [f"stated {recipe.variable} = {state.value:g}{unit}, but its results say {own:.4g}{unit}"]
    return state.value, []


def _barriers(series: Series) -> tuple[tuple[Interfaces, ...], tuple[str, ...]]:
    """Interfaces over temperature, and why there are none where states have them."""
    if series.recipe.variable != "T":
        return (), ()
    states = [state for state in series.states if "interface" in state.folders and math.isfinite(state.value)]
    folders = {state.value: state.folders["interface"] for state in states}
    if len(folders) < len(states):
        return (), ("barriers: two states have the same temperature; give their runs as replicas of one state",)
    return interfaces_of(folders, series.recipe.predict)


def _fitted(series: Series) -> tuple[tuple[Fit, ...], tuple[str, ...]]:
    """The laws of temperature of all quantities that have a sign of their own."""
    fits, refused = [], []
    if series.recipe.variable != "T":
        return (), ()
    for name in series.quantities:
        sign = PANELS[panel_of(name)].sign
        if not sign:
            continue
        T, found = series.over(name)
        for law in series.recipe.fits:
            if len(T) < FEWEST[law] and len(T) < len(series.states):
                refused.append(f"{name}: in {len(T)} states only, too few for the law {law!r}")
                continue
            try:
                fits.append(fit_law(law, T, found, sign=sign))
            except InputError as error:
                refused.append(str(error))
    return tuple(fits), tuple(refused)
