"""Many runs at once: on the cores of one machine, or on a dask cluster by the address of its scheduler."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base.errors import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.transport import TransportSet
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

Keep = Callable[[Solution], Any]


@dataclass(frozen=True)
class Member:
    """One run of an ensemble; arguments as :func:`cellsim.simulate`.

    Parameters
    ----------
    cell : Cell
    transport : TransportSet
    protocol : Protocol
    c0 : float
        Initial salt concentration [mol/m^3].
    times : array_like, optional
        Output times [s].
    solver : str
        Name of the solver.
    options : Options, optional
        Grid and tolerances.
    label : str
        For reports.
    """

    cell: Cell
    transport: TransportSet
    protocol: Protocol
    c0: float
    times: ArrayLike | None = None
    solver: str = "auto"
    options: Options | None = None
    label: str = ""

    def run(self) -> Solution:
        """The solution of this member."""
        return simulate(
            self.cell, self.transport, self.protocol, c0=self.c0, times=self.times, solver=self.solver,
            options=self.options,
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one member.

    Attributes
    ----------
    index : int
        Place in the ensemble.
    value : Solution or whatever `keep` made of it; None after a failure
    error : str
        What went wrong, "" where nothing did.
    label : str
        The member's.
    resumed : bool
        Whether it was read from the folder of an earlier call.
    """

    index: int
    value: Any
    error: str = ""
    label: str = ""
    resumed: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether there is a value."""
        return not self.error


class Workers:
    """Worker processes that stay warm between ensembles.

    Parameters
    ----------
    count : int, optional
        Number of processes; default one per core.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    @property
    def pool(self) -> ProcessPoolExecutor:
        """The processes, begun when first needed."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.count, mp_context=get_context("spawn"))
        return self._pool

    def restart(self) -> None:
        """Replace processes after one has died."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def simulate_many(
    members: Sequence[Member],
    *,
    workers: int | Workers | None = None,
    scheduler: str | None = None,
    keep: Keep | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    chunk: int | None = None,
) -> list[Outcome]:
    """Run an ensemble.

    Order is kept. A member that fails is reported in its place and stops nobody. A worker that dies (out of memory,
    killed) loses nothing: what it was doing is done again, member by member, and only a member that takes its worker
    down twice is given up.

    Parameters
    ----------
    members : sequence of Member
        Runs over sets, cells or protocols.
    workers : int or Workers, optional
        Processes on this machine, default one per core; 1: in this process. Pass :class:`Workers` to keep them warm.
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``; then its workers do the work.
    keep : callable, optional
        Makes of a Solution what is wanted, in the worker, ``lambda s: s["i"]``; default the whole Solution, some
        megabytes each, which takes longer to send than a sundials run takes.
    folder : str or Path, optional
        Where every result is kept as soon as it is there; a later call with the same members reads them instead of
        running again. Trust the folder: values made by `keep` are pickles.
    progress : callable, optional
        Called with the number done and the number of all.
    chunk : int, optional
        Members sent to a worker at a time; default a few dozen parcels per worker.

    Returns
    -------
    list of Outcome

    Raises
    ------
    InputError
        Both `workers` and `scheduler` given.
    """
    if workers is not None and scheduler is not None:
        raise InputError("give workers or scheduler, not both")
    done: dict[int, Outcome] = {}
    store = None if folder is None else _Store(Path(folder), members, keep)
    if store is not None:
        done |= store.found()
    total = len(members)

    def accept(outcome: Outcome) -> None:
        done[outcome.index] = outcome
        if store is not None:
            store.save(outcome)
        if progress is not None:
            progress(len(done), total)

    todo = [k for k in range(total) if k not in done]
    if not todo:
        return [done[k] for k in range(total)]
    if scheduler is not None:
        run_on: Iterator[Outcome] = _on_cluster(members, todo, keep, scheduler, chunk)
    else:
        count = workers.count if isinstance(workers, Workers) else (workers or os.cpu_count() or 1)
        if count == 1 and not isinstance(workers, Workers):
            run_on = (_run_one(k, members[k], keep) for k in todo)
        else:
            warm = isinstance(workers, Workers)
            pool = workers if isinstance(workers, Workers) else Workers(count)
            run_on = _on_machine(members, todo, keep, pool, chunk, keep_warm=warm)
    for outcome in run_on:
        accept(outcome)
    return [done[k] for k in range(total)]


def _run_one(index: int, member: Member, keep: Keep | None) -> Outcome:
    try:
        solution = member.run()
        return Outcome(index, solution if keep is None else keep(solution), "", member.label)
    except Exception as error:  # one member's trouble must not end the others'; it is reported in its place
        return Outcome(index, None, f"{type(error).__name__}: {error}", member.label)


def _run_parcel(parcel: bytes) -> bytes:
    """In the worker: run what the parcel says; both ways as bytes, since sets carry functions."""
    import cloudpickle  # type: ignore[import-untyped]

    work, keep = pickle.loads(parcel)
    return bytes(cloudpickle.dumps([_run_one(index, member, keep) for index, member in work]))


def _pack(members: Sequence[Member], indices: Sequence[int], keep: Keep | None) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(([(k, members[k]) for k in indices], keep)))


def _parcels(todo: Sequence[int], workers: int, chunk: int | None) -> list[list[int]]:
    size = chunk or int(np.clip(len(todo) // (24 * workers), 1, 64))
    return [list(todo[k : k + size]) for k in range(0, len(todo), size)]


def _on_machine(
    members: Sequence[Member], todo: Sequence[int], keep: Keep | None, workers: Workers, chunk: int | None,
    *, keep_warm: bool,
) -> Iterator[Outcome]:  # fmt: skip
    waiting = _parcels(todo, workers.count, chunk)[::-1]
    alone: list[int] = []  # members that were under way when a worker died: tried again one at a time
    running: dict[Future[bytes], list[int]] = {}
    try:
        while waiting or alone or running:
            if alone and not running:
                yield from _alone(members, alone.pop(), keep, workers)
                continue
            try:
                while waiting and not alone and len(running) < 2 * workers.count:
                    indices = waiting[-1]
                    running[workers.pool.submit(_run_parcel, _pack(members, indices, keep))] = indices
                    waiting.pop()
            except BrokenProcessPool:
                pass  # what was running says so too
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = False
            for future in finished:
                indices = running.pop(future)
                try:
                    yield from pickle.loads(future.result())
                except BrokenProcessPool:
                    alone += indices
                    broken = True
            if broken:
                workers.restart()
                for future, indices in list(running.items()):
                    if future.done() and future.exception() is None:
                        continue
                    alone += indices
                    del running[future]
    finally:
        if not keep_warm:
            workers.close()


def _alone(members: Sequence[Member], index: int, keep: Keep | None, workers: Workers) -> Iterator[Outcome]:
    try:
        yield from pickle.loads(workers.pool.submit(_run_parcel, _pack(members, [index], keep)).result())
    except BrokenProcessPool:
        workers.restart()
        yield Outcome(index, None, "the worker process died on it, twice", members[index].label)


def _on_cluster(
    members: Sequence[Member], todo: Sequence[int], keep: Keep | None, scheduler: str, chunk: int | None
) -> Iterator[Outcome]:
    from distributed import Client, as_completed

    with Client(scheduler) as client:
        threads = max(1, sum(client.nthreads().values()))
        parcels = {
            client.submit(_run_parcel, _pack(members, indices, keep), pure=False, retries=1): indices
            for indices in _parcels(todo, threads, chunk)
        }
        for future in as_completed(list(parcels)):
            error = future.exception()
            if error is None:
                yield from pickle.loads(future.result())
            else:
                for index in parcels[future]:
                    yield Outcome(index, None, f"{type(error).__name__}: {error}", members[index].label)
            future.release()


class _Store:
    """Results on disk, one file per member, named by its place and the digest of all that determines it."""

    def __init__(self, folder: Path, members: Sequence[Member], keep: Keep | None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        tag = "" if keep is None else getattr(keep, "__qualname__", type(keep).__name__)
        self.names = [f"member-{k:06d}-{_digest(member, tag)}" for k, member in enumerate(members)]
        self.labels = [member.label for member in members]

    def found(self) -> dict[int, Outcome]:
        """What an earlier call left."""
        outcomes = {}
        for k, name in enumerate(self.names):
            if (self.folder / f"{name}.nc").is_file():
                value: Any = Solution.from_netcdf(self.folder / f"{name}.nc")
            elif (self.folder / f"{name}.pickle").is_file():
                value = pickle.loads((self.folder / f"{name}.pickle").read_bytes())
            else:
                continue
            outcomes[k] = Outcome(k, value, "", self.labels[k], True)
        return outcomes

    def save(self, outcome: Outcome) -> None:
        """Keep a value, whole or not at all; failures are tried again next time."""
        if not outcome.succeeded:
            return
        name = self.names[outcome.index]
        partial = self.folder / f"{name}.partial"
        if isinstance(outcome.value, Solution):
            outcome.value.to_netcdf(partial)
            partial.replace(self.folder / f"{name}.nc")
        else:
            import cloudpickle

            partial.write_bytes(cloudpickle.dumps(outcome.value))
            partial.replace(self.folder / f"{name}.pickle")


def _digest(member: Member, tag: str) -> str:
    """Digest of what determines a result: for a set its values on its range, whatever functions they come from."""
    digest = hashlib.sha256(tag.encode())

    def add(value: Any) -> None:
        if isinstance(value, TransportSet):
            c = np.geomspace(*value.c_range, 64)
            held = value.with_extrapolation("clamp")
            for array in (c, held.kappa(c), held.D(c), held.t_plus(c), held.one_minus_t_plus_chi(c), held.phi_0(c)):
                digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
            for part in (value.name, value.T, value.extrapolate, value.solvent_motion, value.z_plus, value.z_minus,
                         value.nu_plus, value.nu_minus, value.M_e, value.M_0):  # fmt: skip
                add(part)
        elif is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                if field.name != "label":
                    digest.update(field.name.encode())
                    add(getattr(value, field.name))
        elif isinstance(value, Mapping):
            for key in sorted(value):
                digest.update(str(key).encode())
                add(value[key])
        elif isinstance(value, np.ndarray | list | tuple):
            if isinstance(value, np.ndarray) or all(isinstance(v, int | float) for v in value):
                digest.update(np.asarray(value, dtype=float).tobytes())
            else:
                for part in value:
                    add(part)
        else:
            digest.update(repr(value).encode() + b";")

    add(member)
    return digest.hexdigest()[:16]
