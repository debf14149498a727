"""The same function on many items: in this process, on the cores of this machine, or on a dask cluster.

Functions and items may carry closures (transport sets do), so both travel by cloudpickle; a function is laid down once
for all its items. A worker that dies, killed or out of memory, loses nothing: what it was doing is done again, item by
item, and only an item that takes its worker down twice is given up. Results come as they are ready.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import CellsimError, InputError

CONNECT = 10.0
"""Longest wait for a dask scheduler [s]."""
FIRST_WORKER = 60.0
"""Longest wait for its first worker [s]."""
LOOK = 1.0
"""How often progress inside of items is looked at [s]."""

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Returned:
    """What became of one item.

    Attributes
    ----------
    index : int
        Its place among the items.
    value : object
        What the function returned; None after a failure.
    error : Exception or None
        What it raised, or what ended its worker.
    """

    index: int
    value: Any
    error: Exception | None = None

    def result(self) -> Any:
        """The value; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.value


def cores() -> int:
    """How many processes this machine has room for: the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mapped(
    function: Function,
    items: Sequence[Any],
    *,
    workers: int | Workers | None = None,
    scheduler: str | None = None,
    chunk: int | None = None,
    told: Callable[[float], None] | None = None,
) -> Iterator[Returned]:
    """function(item) for every item, each as it is done.

    Parameters
    ----------
    function : callable
        Of one argument.
    items : sequence
        Arguments.
    workers : int or Workers, optional
        Processes on this machine, default one per core; 1: in this process. :class:`Workers` stay warm between calls.
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``; then its workers do the work.
    chunk : int, optional
        Items sent to a worker at a time; default a few dozen parcels per worker.
    told : callable, optional
        Called now and then with the share of all items that is done, by what the items themselves :func:`tell`.

    Yields
    ------
    Returned
        An item that fails is reported in its place and stops nobody.

    Raises
    ------
    InputError
        Both `workers` and `scheduler` given, or no scheduler answers.
    """
    if workers is not None and scheduler is not None:
        raise InputError("give workers or scheduler, not both")
    if not items:
        return
    if scheduler is not None:
        yield from _on_cluster(function, items, scheduler, chunk)
        return
    count = workers.count if isinstance(workers, Workers) else min(workers or cores(), len(items))
    if count == 1 and not isinstance(workers, Workers):
        yield from _here(function, items, told)
        return
    pool = workers if isinstance(workers, Workers) else Workers(count, slots=len(items))
    try:
        with _laid_down(function) as held:
            yield from _on_machine(held, items, pool, chunk, told)
    finally:
        if not isinstance(workers, Workers):
            pool.close()


# ---- here -------------------------------------------------------------------------------------------------------

_tell: Callable[[float], None] | None = None


def tell(share: float) -> None:
    """Say, from inside of an item, which share of it is done; ignored where nobody listens."""
    if _tell is not None:
        _tell(share)


def _one(function: Function, index: int, item: Any) -> Returned:
    try:
        return Returned(index, function(item))
    except Exception as error:  # one item's trouble must not end the others'; it is reported in its place
        return Returned(index, None, error)


def _here(function: Function, items: Sequence[Any], told: Callable[[float], None] | None) -> Iterator[Returned]:
    global _tell
    for index, item in enumerate(items):
        if told is not None:
            _tell = partial(_share_of_all, told, index, len(items))
        try:
            yield _one(function, index, item)
        finally:
            _tell = None


def _share_of_all(told: Callable[[float], None], index: int, count: int, share: float) -> None:
    told((index + share) / count)


# ---- processes of this machine ----------------------------------------------------------------------------------


class Workers:
    """Worker processes that stay warm between calls.

    Parameters
    ----------
    count : int, optional
        Number of processes; default one per core.
    slots : int
        Items whose progress can be followed.
    """

    def __init__(self, count: int | None = None, *, slots: int = 0) -> None:
        self.count = count or cores()
        self.slots = slots
        self.shares: Any = None
        self._pool: ProcessPoolExecutor | None = None

    @property
    def pool(self) -> ProcessPoolExecutor:
        """The processes, begun when first needed."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self.shares = context.Array("d", self.slots) if self.slots else None
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=context, initializer=_begin, initargs=(self.shares,)
            )
        return self._pool

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        if self._pool is None:
            return
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:  # a task under way would otherwise hold up the end of this process
            process.terminate()
        self._pool = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@contextmanager
def holding(function: Function, workers: int) -> Iterator[Callable[[Sequence[Any]], list[Any]]]:
    """A function held by worker processes, to be called on one batch of items after another.

    Parameters
    ----------
    function : callable
        Of one argument.
    workers : int
        Processes; 1: in this one.

    Yields
    ------
    callable
        Of a sequence of items; returns the values in their order and raises the first error.
    """
    if workers == 1:
        yield lambda items: [function(item) for item in items]
        return
    with Workers(workers) as pool, _laid_down(function) as held:

        def call(items: Sequence[Any]) -> list[Any]:
            size = -(-len(items) // workers)
            done = sorted(_on_machine(held, items, pool, size, None), key=lambda one: one.index)
            return [one.result() for one in done]

        yield call


@contextmanager
def _laid_down(function: Function) -> Iterator[str]:
    """A file that holds a function, where every process of this machine finds it."""
    import cloudpickle  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory(prefix="cellsim-") as folder:
        path = Path(folder) / "function"
        path.write_bytes(cloudpickle.dumps(function))
        yield str(path)


def _begin(shares: Any) -> None:
    """In a worker: Ctrl-C is for the parent, and the end of the parent is the end of the worker."""
    global _shares
    _shares = shares
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


_shares: Any = None
_held: tuple[str, Function] | None = None


def _run_file(path: str, parcel: bytes) -> bytes:
    """In a worker of this machine: the function of a file on the items of a parcel."""
    global _held
    if _held is None or _held[0] != path:
        _held = (path, pickle.loads(Path(path).read_bytes()))
    return _run(_held[1], parcel)


def _run(function: Function, parcel: bytes) -> bytes:
    import cloudpickle

    global _tell
    done = []
    for index, item in pickle.loads(parcel):
        if _shares is not None:
            _tell = partial(_shares.__setitem__, index)
        one = _one(function, index, item)
        if one.error is not None and not _travels(one.error):
            one = Returned(index, None, CellsimError(f"{type(one.error).__name__}: {one.error}"))
        done.append(one)
    return bytes(cloudpickle.dumps(done))


def _travels(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a foreign exception does when it is copied
        return False
    return True


def _pack(items: Sequence[Any], indices: Sequence[int]) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps([(k, items[k]) for k in indices]))


def _parcels(count: int, workers: int, chunk: int | None) -> list[list[int]]:
    size = chunk or int(np.clip(count // (24 * workers), 1, 64))
    return [list(range(k, min(k + size, count))) for k in range(0, count, size)]


def _on_machine(
    held: str, items: Sequence[Any], workers: Workers, chunk: int | None, told: Callable[[float], None] | None
) -> Iterator[Returned]:
    # Small parcels keep all workers busy to the end and cost little; two under way per worker, so that none waits for
    # the other process to hand it the next.
    waiting = _parcels(len(items), workers.count, chunk)[::-1]
    alone: list[int] = []  # items that were under way when a worker died: tried again one at a time
    running: dict[Future[bytes], list[int]] = {}
    finished_items = set[int]()
    while waiting or alone or running:
        if alone and not running:
            index = alone.pop()
            try:
                yield from pickle.loads(workers.pool.submit(_run_file, held, _pack(items, [index])).result())
            except BrokenProcessPool:
                workers.close()
                yield Returned(index, None, CellsimError("the worker process died on it, twice"))
            finished_items.add(index)
            continue
        try:
            while waiting and not alone and len(running) < 2 * workers.count:
                indices = waiting[-1]
                running[workers.pool.submit(_run_file, held, _pack(items, indices))] = indices
                waiting.pop()
        except BrokenProcessPool:
            pass  # what was running says so too
        finished, _ = wait(running, timeout=None if told is None else LOOK, return_when=FIRST_COMPLETED)
        broken = False
        for future in finished:
            indices = running.pop(future)
            try:
                done = pickle.loads(future.result())
            except BrokenProcessPool:
                alone += indices
                broken = True
                continue
            finished_items.update(indices)
            yield from done
        if broken:
            # one death breaks the whole pool, and nobody says whose item it was: all that was under way is tried again,
            # one item at a time, so that the culprit is known by its second death
            workers.close()
            for future, indices in list(running.items()):
                if not (future.done() and future.exception() is None):
                    alone += indices
                    del running[future]
        if told is not None and workers.shares is not None:
            under_way = sum(workers.shares[k] for k in range(len(items)) if k not in finished_items)
            told((len(finished_items) + under_way) / len(items))


# ---- a dask cluster ---------------------------------------------------------------------------------------------


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """A client of a dask scheduler that has workers.

    Parameters
    ----------
    scheduler : str
        Its address.

    Raises
    ------
    InputError
        Nobody answers there, it has no workers, or a worker has another version of this project.
    """
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler = {scheduler!r}: no dask scheduler answers there; `dask scheduler` prints its address, "
            f'such as "tcp://host:8786"'
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER)
        except TimeoutError as error:
            raise InputError(f"{scheduler}: has no workers; start some with `dask worker {scheduler}`") from error
        here = _version()
        for worker, version in client.run(_version).items():
            if version != here:
                raise InputError(f"worker {worker}: has cellsim {version}, here it is {here}; install the same")
        yield client


def check_files(scheduler: str, paths: Sequence[Path]) -> None:
    """Refuse a cluster whose workers do not see these files.

    Raises
    ------
    InputError
        A worker is blind to a file.
    """
    names = [str(path) for path in paths]
    with connected(scheduler) as client:
        for worker, blind in client.run(_unseen, names).items():
            if blind:
                raise InputError(f"worker {worker}: does not see {blind[0]}; all need one file system, under one path")


def local_folder() -> str | None:
    """In a dask worker: the folder of its own disk; None elsewhere."""
    try:
        from distributed import get_worker

        return str(get_worker().local_directory)
    except (ImportError, ValueError, AttributeError):
        return None


def _version() -> str:
    from cellsim.base import __version__

    return __version__


def _unseen(names: Sequence[str]) -> list[str]:
    return [name for name in names if not os.path.isfile(name)]


def _run_bytes(function: bytes, parcel: bytes) -> bytes:
    """In a worker of a cluster: the function on the items of a parcel."""
    return _run(pickle.loads(function), parcel)


def _on_cluster(function: Function, items: Sequence[Any], scheduler: str, chunk: int | None) -> Iterator[Returned]:
    import cloudpickle
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    with connected(scheduler) as client:
        threads = max(1, sum(client.nthreads().values()))
        # A task's value, not scattered data: when the worker that has it dies, the scheduler makes it again.
        laid_down = client.submit(bytes, cloudpickle.dumps(function), pure=False)
        parcels = {
            client.submit(_run_bytes, laid_down, _pack(items, indices), pure=False, retries=1): indices
            for indices in _parcels(len(items), threads, chunk)
        }
        for future in as_completed(list(parcels), loop=client.loop):
            error = future.exception()
            if error is None:
                yield from pickle.loads(future.result())
            else:
                if isinstance(error, KilledWorker):
                    error = CellsimError(
                        f"{scheduler}: {error.allowed_failures + 1} workers died on one task, for lack of memory, "
                        f"perhaps; give them more, or less to do at a time"
                    )
                for index in parcels[future]:
                    yield Returned(index, None, error)
            future.release()
