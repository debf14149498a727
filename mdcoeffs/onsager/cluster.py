"""Replicas and concentrations analysed on a dask cluster, by the address of its scheduler.

Every replica is read where a worker is free, and read once; what travels is its summed displacements and the sums of
its self part, some hundred bytes a frame. The matrix of a concentration is estimated on a worker when all its replicas
are there. A worker that dies (killed, out of memory) loses the replica under way, which another worker reads again.
Results are those of :func:`mdcoeffs.onsager.analysis.onsager_from_file`, by the same functions in the same order.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellsim.base import CellsimError, InputError, Progress, __version__
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.onsager.analysis import (
    OnsagerResult,
    ReplicaPart,
    binary_salt,
    onsager_from_file,
    onsager_from_parts,
    read_part,
)

log = logging.getLogger(__name__)

CONNECT = 10.0
"""Longest wait for the scheduler [s]."""
WORKERS = 60.0
"""Longest wait for its first worker [s]."""


def onsager_on_cluster(
    files: Sequence[SpeciesFile], scheduler: str, *, progress: Progress | None = None
) -> Iterator[tuple[int, OnsagerResult]]:
    """Onsager results of several concentrations, each as soon as it is there.

    Parameters
    ----------
    files : sequence of SpeciesFile
        One per concentration, as :func:`mdcoeffs.inputs.species.read_species` gives it.
    scheduler : str
        Address of a dask scheduler, ``"tcp://host:8786"``. Every worker must see the files under the same path.
    progress : callable, optional
        Called with (tasks done, tasks in all): one per replica, one per concentration.

    Yields
    ------
    index : int
        Place in `files`.
    result : OnsagerResult
        The same as without a cluster, bit for bit on machines of one kind.

    Raises
    ------
    InputError
        Bad input of any kind, no scheduler at that address, workers of another version or blind to a file.
    CellsimError
        A task that takes its workers down again and again.
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    whole = [_anchored(one) for one in files]
    for one in whole:
        binary_salt(one)
    with _client(scheduler) as client:
        _check_workers(client, scheduler, whole)
        waiting: dict[Any, int | None] = {}
        for number, one in enumerate(whole):
            if one.replicas[0].octp is not None:
                waiting[client.submit(_octp, one, pure=False)] = number
                continue
            parts = [client.submit(_read, one, k, pure=False) for k in range(len(one.replicas))]
            waiting |= dict.fromkeys(parts)
            waiting[client.submit(onsager_from_parts, one, parts, pure=False)] = number
        total = len(waiting)
        for done, future in enumerate(as_completed(list(waiting), loop=client.loop), start=1):
            number_of = waiting.pop(future)
            try:
                error = future.exception()
                if error is not None:
                    raise error
                if number_of is not None:
                    yield number_of, future.result()
            except KilledWorker as error:
                raise CellsimError(
                    f"{scheduler}: {error.allowed_failures + 1} workers died on one task, for lack of memory, perhaps; "
                    f"give them more, or a smaller `memory` in SPECIES.toml"
                ) from error
            if progress is not None:
                progress(done, total)


def _read(file: SpeciesFile, number: int) -> ReplicaPart:
    """In the worker: read a replica, with scratch files of its own that are gone at the end, come what may."""
    with tempfile.TemporaryDirectory(prefix="mdcoeffs-", dir=file.scratch or _local()) as folder:
        part = read_part(file, number, folder=Path(folder))
        if part.reading.store is not None:
            part.reading.store.close()
        return replace(part, reading=replace(part.reading, store=None))


def _octp(file: SpeciesFile) -> OnsagerResult:
    return onsager_from_file(file, folder=Path(_local() or "."))


def _local() -> str | None:
    """The folder of the worker's own disk."""
    from distributed import get_worker

    try:
        return str(get_worker().local_directory)
    except (ValueError, AttributeError):
        return None


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler = {scheduler!r}: no dask scheduler answers there; `dask scheduler` prints its address, "
            f'such as "tcp://host:8786"'
        ) from error
    with client:
        yield client


def _check_workers(client: Any, scheduler: str, files: Sequence[SpeciesFile]) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS)
    except TimeoutError as error:
        raise InputError(f"{scheduler}: has no workers; start some with `dask worker {scheduler}`") from error
    paths = [str(path) for one in files for path in _paths(one)]
    for worker, (version, blind) in client.run(_look, paths).items():
        if version != __version__:
            raise InputError(f"worker {worker}: has mdcoeffs {version}, here it is {__version__}; install the same")
        if blind:
            raise InputError(f"worker {worker}: does not see {blind[0]}; all need one file system, under one path")


def _look(paths: Sequence[str]) -> tuple[str, list[str]]:
    return __version__, [path for path in paths if not os.path.isfile(path)]


def _paths(file: SpeciesFile) -> list[Path]:
    found = [file.path]
    for one in file.replicas:
        found += [p for p in (one.topology, *one.trajectory, one.arrays, one.octp, one.octp_self) if p is not None]
    return found


def _anchored(file: SpeciesFile) -> SpeciesFile:
    """The same with absolute paths: a worker has another working folder."""
    replicas = tuple(
        replace(
            one, trajectory=tuple(path.resolve() for path in one.trajectory),
            **{name: path.resolve() for name in ("topology", "arrays", "octp", "octp_self")
               if (path := getattr(one, name)) is not None},
        )
        for one in file.replicas
    )  # fmt: skip
    scratch = None if file.scratch is None else file.scratch.resolve()
    return replace(file, path=file.path.resolve(), replicas=replicas, scratch=scratch)
