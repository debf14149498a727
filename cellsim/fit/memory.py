"""Predictions of a search that takes long, kept in a file: a search begun again after a kill goes through them at once.

A search is deterministic: from the same start through the same predictions it goes through the same points. So nothing
of its state is kept, only what each point predicted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError
from cellsim.files.reading import numbers, read_arrays
from cellsim.files.writing import write_arrays

EVERY = 30.0
"""Time between two writes [s]; a shorter search writes nothing."""

Predictions = list[Array]


class Memory:
    """Points and what they predict; read from a file, if it is there, and written every half minute.

    A file of another fit would give wrong predictions: the first and the last of its points are predicted anew, and if
    they differ, or the file is damaged, it is not used and written over.

    Parameters
    ----------
    file : Path
        The .npz file; it need not exist, nor its folder.
    predict : callable
        Point u, shape (p,) -> one array for each observation.
    """

    def __init__(self, file: Path, predict: Callable[[Array], Predictions]) -> None:
        self.file, self.predict = file, predict
        self._saved = time.monotonic()
        self._kept = self._read() if file.exists() else {}

    def __call__(self, u: Array) -> Predictions:
        """The predictions at a point."""
        key = np.asarray(u, dtype=float).tobytes()
        if key not in self._kept:
            self._kept[key] = self.predict(u)
            if time.monotonic() - self._saved > EVERY:
                self._write()
        return self._kept[key]

    def _write(self) -> None:
        rows = [np.concatenate([np.ravel(p) for p in predicted]) for predicted in self._kept.values()]
        points = [np.frombuffer(key) for key in self._kept]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self.file, {"points": np.array(points), "predictions": np.array(rows)}, synced=True)
        self._saved = time.monotonic()

    def _read(self) -> dict[bytes, Predictions]:
        where = str(self.file)
        try:
            arrays = read_arrays(self.file, what="the points of a search")
            points = numbers(arrays, "points", ("points", "parameters"), where=where)
            rows = numbers(arrays, "predictions", (len(points), "data"), where=where, finite=False)
            shapes = [p.shape for p in self._agreed(points, rows)]
        except InputError:
            return {}
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        parts = ([p.reshape(s) for p, s in zip(np.split(row, ends), shapes, strict=True)] for row in rows)
        return {u.tobytes(): part for u, part in zip(points, parts, strict=True)}

    def _agreed(self, points: Array, rows: Array) -> Predictions:
        """What the first point predicts, if it and the last one predict what the file says."""
        for k in (0, -1):
            try:
                predicted = self.predict(points[k])
                flat = np.concatenate([np.ravel(p) for p in predicted])
                if np.allclose(flat, rows[k], rtol=1e-9, atol=0, equal_nan=True):
                    continue
            except (ValueError, IndexError) as error:  # points of another number of parameters
                raise InputError(f"{self.file}: belongs to another fit") from error
            raise InputError(f"{self.file}: belongs to another fit")
        return predicted
