"""The same function on many arguments in several processes; functions and problems that carry closures may travel."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

_FUNCTION: Callable[[Any], Any] | None = None


def mapped(function: Callable[[Any], Any], items: Sequence[Any], *, workers: int = 1) -> Iterator[tuple[int, Any]]:
    """(place, function(item)) as each is done.

    Parameters
    ----------
    function : callable
        Of one argument; sent to each process once.
    items : sequence
        Arguments; must be picklable.
    workers : int
        Processes; 1: in this one.

    Yields
    ------
    tuple
        In the order of completion.
    """
    if workers <= 1 or len(items) <= 1:
        for k, item in enumerate(items):
            yield k, function(item)
        return
    import cloudpickle  # type: ignore[import-untyped]

    payload = cloudpickle.dumps(function)
    count = min(workers, len(items))
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=_receive, initargs=(payload,)) as pool:
        waiting = {pool.submit(_apply, item): k for k, item in enumerate(items)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], pickle.loads(done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _receive(payload: bytes) -> None:
    global _FUNCTION
    _FUNCTION = pickle.loads(payload)


def _apply(item: Any) -> bytes:
    import cloudpickle

    assert _FUNCTION is not None
    return bytes(cloudpickle.dumps(_FUNCTION(item)))
