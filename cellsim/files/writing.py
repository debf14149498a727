"""One file written whole or not at all: texts, JSON, tables, NetCDF, arrays.

A file is written under a hidden name beside its place and takes that place in one step, so that a kill, an error or a
full disk leaves the old file or the new one and never half of one.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import InputError

if TYPE_CHECKING:
    import xarray as xr


Rows = Sequence[Sequence[str]]
"""A table as texts, row by row."""


def check_parent(path: Path) -> None:
    """Refuse the name of a file to be written whose folder does not exist."""
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or name another place")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file to write that takes the place of `path` when the block ends well.

    Parameters
    ----------
    path : str or Path
        Where the file is to be.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    InputError
        Its folder does not exist.
    """
    path = Path(path)
    check_parent(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(partial)):
            error.filename = str(path)  # a write that fails does not say to which file, or names one of ours
        with suppress(OSError):  # of a disk that is read-only: it was never there
            partial.unlink()
        raise


def write_text(path: str | Path, text: str) -> Path:
    """Write a text, UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write plain values as JSON; see :func:`plain` for what becomes of NaN, arrays and paths."""
    return write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def write_rows(path: str | Path, rows: Rows) -> Path:
    """Write rows of texts as CSV."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return Path(path)


def write_netcdf(path: str | Path, data: xr.Dataset, encoding: Mapping[str, Any] | None = None) -> Path:
    """Write an xarray Dataset as NetCDF-4, made in memory first.

    HDF5 keeps what it could not write on a full disk and tries again in its destructors: forty tracebacks, and then the
    process dies by a signal (5 of 5). Bytes that are complete are written as any other.
    """
    content = io.BytesIO()
    data.to_netcdf(content, engine="h5netcdf", encoding=dict(encoding or {}))
    return _write_bytes(path, content)


Variables = Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, str]]]
"""Name -> dimensions, values, attributes, as xarray takes them."""


def write_variables(
    path: str | Path, variables: Variables, coordinates: Variables, attributes: Mapping[str, Any]
) -> Path:
    """Write variables as NetCDF-4, compressed, as :func:`write_netcdf` writes the Dataset of them.

    Without xarray: to import it, and what it asks for of dask, takes longer than most runs.

    Parameters
    ----------
    path : str or Path
        The file.
    variables, coordinates : mapping
        Arrays of numbers, or lists of texts.
    attributes : mapping
        Of the file.
    """
    import h5netcdf
    import h5py

    content = io.BytesIO()
    with h5netcdf.File(content, "w") as file:
        file.attrs.update(attributes)
        for name, (dims, values, words) in {**variables, **coordinates}.items():
            values = np.asarray(values)
            for dim, length in zip(dims, values.shape, strict=True):
                if dim not in file.dimensions:
                    file.dimensions[dim] = length
            # shuffled, the bytes that neighbouring values share lie together: a sixth smaller, in a third of the time
            made = file.create_variable(
                name,
                dims,
                h5py.string_dtype() if values.dtype.kind == "U" else values.dtype,
                data=values.astype(object) if values.dtype.kind == "U" else values,
                fillvalue=np.nan if values.dtype.kind == "f" else None,
                **({"compression": "gzip", "shuffle": True} if name in variables else {}),
            )
            made.attrs.update(words)
    return _write_bytes(path, content)


def _write_bytes(path: str | Path, content: io.BytesIO) -> Path:
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())
    return Path(path)


def write_arrays(path: str | Path, arrays: Mapping[str, Any], *, compressed: bool = True, synced: bool = False) -> Path:
    """Write arrays as .npz.

    Parameters
    ----------
    path : str or Path
        The file.
    arrays : mapping
        Name -> array.
    compressed : bool
        Whether to compress; checkpoints, written every minute, are not.
    synced : bool
        Whether to wait until the disk has it: a checkpoint must outlive a crash of the machine.
    """
    with replacing(path) as partial, partial.open("wb") as stream:
        (np.savez_compressed if compressed else np.savez)(stream, **arrays)
        if synced:
            stream.flush()
            os.fsync(stream.fileno())
    return Path(path)


def plain(value: Any) -> Any:
    """The same in values that JSON has: NaN and infinity become null, tuples and arrays lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def write_values(path: str | Path, value: Any) -> Path:
    """Write nested mappings, lists, tuples, numbers, texts and arrays as .npz, with nothing in it that runs when read.

    Parameters
    ----------
    path : str or Path
        The file.
    value : object
        What to write.

    Raises
    ------
    InputError
        It holds something else.
    """
    arrays: dict[str, Any] = {}

    def shape(item: Any) -> Any:
        if isinstance(item, np.ndarray) and item.dtype.kind in "biufcU":
            arrays[f"array_{len(arrays)}"] = item
            return {"array": f"array_{len(arrays) - 1}"}
        if isinstance(item, np.generic):
            return {"scalar": shape(np.asarray(item))}
        if isinstance(item, Mapping):
            return {"mapping": [[str(key), shape(inner)] for key, inner in item.items()]}
        if isinstance(item, list | tuple):
            return {type(item).__name__: [shape(inner) for inner in item]}
        if item is None or isinstance(item, bool | int | float | str):
            return {"plain": item}
        raise InputError(
            f"{path}: a {type(item).__name__} cannot be kept; numbers, texts, arrays and lists of them can"
        )

    structure = json.dumps(shape(value))
    return write_arrays(path, {**arrays, "structure": np.array(structure)})
