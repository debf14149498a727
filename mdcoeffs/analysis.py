"""What an analysis of trajectories is, and the one way to run it: streams, checkpoints, progress, folder, clusters.

An `Analysis` has a name (its command, its files, its table in SPECIES.toml) and three functions: ``settings(file)``
reads the table, ``accumulators(stream, settings)`` says what looks at the snapshots of a replica, and
``result(file, settings, runs)`` makes of all replicas what is reported (`AnalysisResult`). Whoever knows one analysis
knows all.

:func:`analyse` gives the result, :func:`analyse_into` also writes it into a folder, :func:`analyse_many` spreads the
replicas of several files over a dask cluster.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import InputError, Progress
from cellsim.files.folder import Result, keep, work_folder
from cellsim.files.writing import Rows, write_rows
from cellsim.workers import check_files, local_folder, mapped
from mdcoeffs.frames.stream import Stream, feed, open_stream, set_aside
from mdcoeffs.inputs.species import SpeciesFile, read_species

LEVEL = 0.95
"""Probability that the intervals of a summary hold."""


class AnalysisResult(Result, Protocol):
    """What a finished analysis hands over: lines, numbers, dataset and figure, and tables beside them."""

    def tables(self) -> Mapping[str, Rows]:
        """Further tables: name of the file -> rows of texts, the head first."""


First = Callable[["Analysis", Any], Any]
"""Runs another analysis with given settings before this one, and gives its result."""


def _nothing_before(file: SpeciesFile, settings: Any, first: First) -> Any:
    return settings


def _no_table(file: SpeciesFile, number: int, settings: Any) -> Any:
    return None


def _as_they_are(stream: Stream, settings: Any, accumulators: Any) -> Any:
    return accumulators


@dataclass(frozen=True)
class Analysis:
    """One analysis: a name and what is done in which step; only the first four are needed.

    Parameters
    ----------
    name : str
        Of the command, of its table in SPECIES.toml and of its files.
    settings : callable
        SpeciesFile -> settings, a frozen record; reads the table and nothing else.
    accumulators : callable
        (Stream, settings) -> accumulators by name, made anew for every replica.
    result : callable
        (SpeciesFile, settings, what `reduce` gave of every replica) -> result.
    prepare : callable
        (SpeciesFile, settings, first) -> settings, completed by what all replicas must share: a grid from the first
        box; cutoffs from ``first(other_analysis, its_settings)``, a pass that must come before.
    reduce : callable
        (Stream, settings, accumulators) -> what is kept of a replica: that which travels from one machine to another.
    tabulated : callable
        (SpeciesFile, number, settings) -> the same for a replica that holds no snapshots, such as a table; None where
        there are snapshots to read.
    depends_on : callable
        Settings -> what of them decides the pass over the snapshots, in plain values: the rest may change without
        reading again.
    """

    name: str
    settings: Callable[[SpeciesFile], Any]
    accumulators: Callable[[Stream, Any], Any]
    result: Callable[[SpeciesFile, Any, Sequence[Any]], Any]
    prepare: Callable[[SpeciesFile, Any, First], Any] = _nothing_before
    reduce: Callable[[Stream, Any, Any], Any] = _as_they_are
    tabulated: Callable[[SpeciesFile, int, Any], Any] = _no_table
    depends_on: Callable[[Any], Any] = repr


def analyse(
    analysis: Analysis,
    file: SpeciesFile | str | Path,
    *,
    folder: Path | None = None,
    settings: Any = None,
    checkpoint_every: float = 60.0,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Any:
    """Run an analysis.

    Parameters
    ----------
    analysis : Analysis
        Which.
    file : SpeciesFile, str or Path
        A SPECIES.toml.
    folder : Path, optional
        An existing folder for checkpoints and scratch files: a call that was killed goes on from there. Without it
        nothing outlives the call.
    settings : object, optional
        In place of the table in the file.
    checkpoint_every : float
        Time between checkpoints [s].
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``, whose workers read the replicas; then no checkpoints.
    progress : callable, optional
        Called with (snapshots done, in all) of each replica and pass; on a cluster with replicas.

    Returns
    -------
    AnalysisResult
        As ``analysis.result`` gives it.

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    options: dict[str, Any] = {"settings": settings, "checkpoint_every": checkpoint_every, "progress": progress}
    with _analysed(analysis, file, folder, scheduler=scheduler, **options) as result:
        return result


def analyse_into(
    analysis: Analysis,
    file: SpeciesFile | str | Path,
    output: str | Path,
    *,
    settings: Any = None,
    checkpoint_every: float = 60.0,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Any:
    """Run an analysis and write ``NAME.nc``, ``NAME.png``, ``summary.json`` and its tables.

    Parameters
    ----------
    analysis, file, settings, checkpoint_every, scheduler, progress
        As for :func:`analyse`.
    output : str or Path
        Folder; made if it is not there. It also holds the checkpoints, until the results are written.

    Returns
    -------
    AnalysisResult

    Raises
    ------
    InputError
        As :func:`analyse`, or a folder that cannot be written.
    """
    options: dict[str, Any] = {"settings": settings, "checkpoint_every": checkpoint_every, "progress": progress}
    with work_folder(output) as folder, _analysed(analysis, file, folder, scheduler=scheduler, **options) as result:
        keep(result, folder, analysis.name, tables=result.tables())
    return result


def analyse_many(
    analysis: Analysis,
    files: Sequence[SpeciesFile],
    scheduler: str,
    *,
    settings: Sequence[Any] | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Any]]:
    """Results of several files by the workers of a dask cluster, each as soon as all its replicas are read.

    A replica is read where a worker is free, once; what travels back is what ``analysis.reduce`` keeps of it. A worker
    that dies loses the replica under way, which another one reads again from its start: there are no checkpoints, for
    two workers must never write one, and nobody can tell a dead worker from one that was cut off.

    Parameters
    ----------
    analysis : Analysis
        Which.
    files : sequence of SpeciesFile
        One per concentration, say. Every worker must see what they name under the same path.
    scheduler : str
        Address of the scheduler, ``"tcp://host:8786"``.
    settings : sequence, optional
        In place of the tables in the files, one for each.
    progress : callable, optional
        Called with (replicas done, in all).

    Yields
    ------
    index : int
        Place in `files`.
    result : AnalysisResult
        The same as without a cluster, bit for bit on machines of one kind.

    Raises
    ------
    InputError
        As :func:`analyse`; no scheduler at that address, workers of another version or blind to a file.
    CellsimError
        A replica that takes its workers down again and again.
    """
    whole = [file.anchored() for file in files]
    check_files(scheduler, [path for file in whole for path in file.paths])

    def prepared(file: SpeciesFile, asked: Any) -> Any:
        def first(other: Analysis, its_settings: Any) -> Any:
            return next(analyse_many(other, [file], scheduler, settings=[its_settings]))[1]

        return analysis.prepare(file, asked, first)

    asked = [analysis.settings(file) for file in whole] if settings is None else settings
    jobs = [(file, prepared(file, each)) for file, each in zip(whole, asked, strict=True)]
    items = [(index, number) for index, file in enumerate(whole) for number in range(len(file.replicas))]
    runs: list[dict[int, Any]] = [{} for _ in whole]
    replica = partial(_elsewhere, analysis, jobs)
    for done, returned in enumerate(mapped(replica, items, scheduler=scheduler, chunk=1), 1):
        index, number = items[returned.index]
        runs[index][number] = returned.result()
        if progress is not None:
            progress(done, len(items))
        if len(runs[index]) == len(whole[index].replicas):
            # In the order of the file, whatever the order they came in: sums of floating-point numbers depend on it.
            yield index, _result(analysis, *jobs[index], [run for _, run in sorted(runs[index].items())])
            runs[index] = {}


@contextmanager
def _analysed(
    analysis: Analysis,
    file: SpeciesFile | str | Path,
    folder: Path | None,
    *,
    settings: Any,
    checkpoint_every: float,
    scheduler: str | None,
    progress: Progress | None,
) -> Iterator[Any]:
    """The result; when the block ends well, checkpoints and scratch files are removed."""
    file = file if isinstance(file, SpeciesFile) else read_species(file)
    names = [analysis.name]
    if scheduler is not None:
        asked = None if settings is None else [settings]
        yield next(analyse_many(analysis, [file], scheduler, settings=asked, progress=progress))[1]
        return
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(str(folder)) as name:
        place = Path(name)

        def run(which: Analysis, its_settings: Any) -> Any:
            completed = which.prepare(file, its_settings, first)
            options: dict[str, Any] = {"checkpoint_every": checkpoint_every, "progress": progress}
            replicas = range(len(file.replicas))
            runs = mapped(partial(_here, which, file, completed, place, **options), replicas, workers=1)
            return _result(which, file, completed, [returned.result() for returned in runs])

        def first(other: Analysis, its_settings: Any) -> Any:
            names.append(other.name)
            result = run(other, its_settings)
            for table, rows in result.tables().items():  # to look at, whatever the analysis itself makes of it
                write_rows(place / table, rows)
            return result

        def clear(left_alone: Collection[Path] = ()) -> None:
            for each in names:
                # Checkpoints first: one is worth nothing without its scratch files.
                for path in {*place.glob(f"checkpoint-{each}-*.npz")} - {*left_alone}:
                    path.unlink(missing_ok=True)
                for number in range(len(file.replicas)):
                    path = _scratch(file, each, number, place)
                    if path not in left_alone:
                        shutil.rmtree(path, ignore_errors=True)

        began = time.monotonic()
        there = [path for path in (*place.glob("*"), *(file.scratch or place).glob("scratch-*"))]
        try:
            result = run(analysis, analysis.settings(file) if settings is None else settings)
        except InputError:
            # Long work serves a mended run of the same pass and stands in no other's way; short work leaves nothing.
            if time.monotonic() - began < checkpoint_every:
                clear(left_alone=there)
            for each in names:
                for path in {*place.glob(f"checkpoint-{each}-*.npz")} - {*there}:
                    set_aside(path)
            raise
        yield result
        clear()


def _result(analysis: Analysis, file: SpeciesFile, settings: Any, runs: Sequence[tuple[Any, tuple[str, ...]]]) -> Any:
    """The result of an analysis, with what was left out of the files of its replicas among its notes."""
    result = analysis.result(file, settings, [run for run, _ in runs])
    notes = [note for _, left_out in runs for note in left_out if note not in result.notes]
    return replace(result, notes=(*result.notes, *notes)) if notes else result


def _scratch(file: SpeciesFile, name: str, number: int, folder: Path) -> Path:
    return (file.scratch or folder) / f"scratch-{name}-{number}"


def _here(
    analysis: Analysis,
    file: SpeciesFile,
    settings: Any,
    folder: Path,
    number: int,
    *,
    checkpoint_every: float,
    progress: Progress | None,
) -> Any:
    """One replica in this process, with checkpoints, and what was left out of its files."""
    tabulated = analysis.tabulated(file, number, settings)
    if tabulated is not None:
        return tabulated, ()
    stream = open_stream(file, number, scratch=_scratch(file, analysis.name, number, folder))
    accumulators = analysis.accumulators(stream, settings)
    feed(
        stream,
        accumulators,
        checkpoint=folder / f"checkpoint-{analysis.name}-{number}.npz",
        settings=analysis.depends_on(settings),
        checkpoint_every=checkpoint_every,
        progress=progress,
    )
    return analysis.reduce(stream, settings, accumulators), stream.notes


def _elsewhere(analysis: Analysis, jobs: Sequence[tuple[SpeciesFile, Any]], item: tuple[int, int]) -> Any:
    """One replica in a worker of a cluster, with scratch files that are gone at the end, come what may."""
    index, number = item
    file, settings = jobs[index]
    tabulated = analysis.tabulated(file, number, settings)
    if tabulated is not None:
        return tabulated, ()
    with tempfile.TemporaryDirectory(prefix="mdcoeffs-", dir=file.scratch or local_folder()) as folder:
        stream = open_stream(file, number, scratch=Path(folder))
        accumulators = analysis.accumulators(stream, settings)
        feed(stream, accumulators)
        return analysis.reduce(stream, settings, accumulators), stream.notes


def columns(named: Mapping[str, ArrayLike], form: str = ".6g") -> Rows:
    """Rows of a table from its columns.

    Parameters
    ----------
    named : mapping
        Title -> values, (rows,).
    form : str
        Format of the numbers.

    Returns
    -------
    list of list of str
        The titles first.
    """
    rows = zip(*(np.asarray(values).tolist() for values in named.values()), strict=True)
    return [list(named), *([format(value, form) for value in row] for row in rows)]
