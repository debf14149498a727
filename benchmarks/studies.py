"""A study of many synthetic systems that can be stopped and resumed: every finished system is a line of its store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cellsim.workers import mapped

Row = dict[str, Any]


def stored(store: Path, head: Row) -> dict[int, Row]:
    """Rows of an earlier run with the same settings, by their number; an incomplete last line is dropped.

    Parameters
    ----------
    store : Path
        JSON lines; made where it is not there.
    head : dict
        The settings, the first line.

    Raises
    ------
    SystemExit
        The store is of other settings.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    text = store.read_text() if store.exists() else json.dumps(head) + "\n"
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines or json.loads(lines[0]) != head:
        was = lines[0] if lines else "empty"
        raise SystemExit(f"{store} belongs to other settings ({was}); choose another --store")
    store.write_text("\n".join(lines) + "\n")
    return {row["k"]: row for row in map(json.loads, lines[1:])}


def resumed(store: Path, head: Row, study: Callable[[int], Row], n: int, *, workers: int | None) -> list[Row]:
    """Systems 0 to n - 1 of a study, those that are not in its store yet computed and added to it.

    Parameters
    ----------
    store, head : Path, dict
        As :func:`stored` takes them.
    study : callable
        Gives the row of system k, with its number as "k"; it is sent to processes.
    n : int
        Systems.
    workers : int, optional
        Processes; default one per core.
    """
    done = stored(store, head)
    missing = [k for k in range(n) if k not in done]
    with store.open("a") as out:
        for returned in mapped(study, missing, workers=workers, chunk=1):
            row = returned.result()
            done[row["k"]] = row
            out.write(json.dumps(row) + "\n")
            out.flush()
            if sys.stderr.isatty():
                print(f"\r{len(done)}/{n}", end="", file=sys.stderr)
    return [done[k] for k in range(n)]
