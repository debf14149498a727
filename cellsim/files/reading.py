"""What this project and others wrote, read back with suspicion.

What is read is a user's input, whoever wrote it: a file may be damaged, cut short, of another program, or say that it
holds more than this machine. Sizes are read from headers and compared with the memory at hand before anything is read;
types and shapes are checked before anything is used. What is written goes through :mod:`.folder`.
"""

from __future__ import annotations

import json
import lzma
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, shortened

if TYPE_CHECKING:
    import xarray as xr

LARGEST_TEXT = 1 << 28
"""The largest text that is read into memory at once [byte]."""
_OF_PACKERS = (struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_OF_READERS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError, ArithmeticError)
UNREADABLE: tuple[type[Exception], ...] = (*_OF_READERS, *_OF_PACKERS, AssertionError)
"""What readers of arrays raise for a file they cannot read."""
Shape = tuple[int | str, ...]
"""Lengths of an array; the same word stands for the same length in all arrays of a file."""


def read_bytes(path: str | Path, *, largest: int = LARGEST_TEXT, what: str = "") -> bytes:
    """All of a file; a device that never ends is refused as a file too large is.

    Parameters
    ----------
    path : str or Path
        The file.
    largest : int
        Longest that is read [byte].
    what : str
        What it should be, for the message.

    Raises
    ------
    InputError
        It is not there, cannot be read, or is larger.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read{f' as {what}' if what else ''} ({reason})") from None
    if len(raw) > largest:
        raise InputError(f"{path}: holds more than {largest / 1e6:.0f} MB, which no such file does; name another one")
    return raw


def read_json(path: str | Path, *, what: str = "the file") -> Any:
    """Read a JSON file that this project wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What it should be, for the message: ``"the record of a run"``.

    Raises
    ------
    InputError
        It is not there, or no JSON.
    """
    raw = read_bytes(path, what=what)
    try:
        return json.loads(raw.decode("utf-8"))
    except RecursionError:
        raise InputError(f"{path}: cannot be read as {what} (lists in one another, too deep)") from None
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as {what} ({error})") from None


def memory_at_hand() -> float:
    """Memory that this process can still have [byte]; infinity where the system does not say."""
    limits = [math.inf]
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        limits.append(1024.0 * int(fields["MemAvailable"].split()[0]))
        group = Path("/sys/fs/cgroup")  # what a container may use, inside the container
        limits.append(float((group / "memory.max").read_text()) - float((group / "memory.current").read_text()))
    except (OSError, ValueError, KeyError):
        pass  # another system, or no limit ("max")
    return max(0.0, min(limits))


def check_memory(wanted: float, what: str) -> None:
    """Refuse what does not fit into memory.

    Parameters
    ----------
    wanted : float
        Size in memory [byte].
    what : str
        What it is, the beginning of the message.

    Raises
    ------
    InputError
        It is more than there is.
    """
    at_hand = memory_at_hand()
    if wanted > at_hand:
        raise InputError(
            f"{what} would take {wanted / 1e9:.3g} GB of memory, and {at_hand / 1e9:.3g} GB are free; correct the file "
            f"where that is not its size, or use a larger machine"
        )


@dataclass(frozen=True)
class Header:
    """What a file says of an array in it, before the array is read; `unit` where a data set of HDF5 names its own."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: str = ""

    @property
    def size(self) -> float:
        """In memory [byte]."""
        return math.prod(map(float, self.shape)) * max(1, self.dtype.itemsize)


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in (".h5", ".hdf", ".hdf5", ".nxs", ".nc")


_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_hdf5_length(path: Path) -> None:
    """Refuse an HDF5 file that is longer or shorter than its head says: what lies after a lost stretch is shifted.

    The library sees that a file is too short, and never that it is too long.

    Parameters
    ----------
    path : Path
        The file; one with a block of somebody else's before its head is taken as it is.

    Raises
    ------
    InputError
        Another length.

    References
    ----------
    "HDF5 File Format Specification", The HDF Group, section II.A: superblock.
    """
    with path.open("rb") as stream:
        head = stream.read(64)
    if head[:8] != _SIGNATURE or len(head) < 64:
        return
    version, at = head[8], {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8], 0)
    if not at or head[13 if version < 2 else 9] != 8:
        return  # a version or a width of addresses that is left to the library
    length, stated = path.stat().st_size, int.from_bytes(head[at : at + 8], "little")
    if length != stated:
        raise InputError(
            f"{path}: is {length} bytes long and says {stated}: parts of it were lost or added; take the file from its "
            "source again"
        )


def array_headers(path: str | Path, *, what: str = "a .npz or .h5 file of arrays") -> dict[str, Header]:
    """What the arrays of a .npz or HDF5 file are, by name; nothing of them is read.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What it should be, for the message.

    Raises
    ------
    InputError
        It is no such file.
    """
    path = Path(path)
    headers: dict[str, Header] = {}
    with reading(path, what):
        if _is_hdf5(path):
            check_hdf5_length(path)
            import h5py

            def add(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset):
                    unit = item.attrs.get("units", item.attrs.get("unit", ""))
                    unit = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
                    headers[name] = Header(tuple(item.shape or ()), item.dtype, unit)

            with h5py.File(path, "r") as file:
                file.visititems(add)
        else:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    with archive.open(member) as stream:
                        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
                    if any(length < 0 for length in shape):
                        raise ValueError(f"an array of shape {shape}")
                    headers[member.filename.removesuffix(".npy")] = Header(shape, dtype)
    return headers


def read_arrays(
    path: str | Path, names: Sequence[str] | None = None, *, what: str = "a .npz or .h5 file of arrays"
) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz or HDF5 file.

    Parameters
    ----------
    path : str or Path
        The file.
    names : sequence of str, optional
        Those to read, where they are there; all when left out.
    what : str
        What it should be, for the message.

    Returns
    -------
    dict
        Name -> array, as stored.

    Raises
    ------
    InputError
        It is no such file, or larger in memory than there is.
    """
    path = Path(path)
    headers = array_headers(path, what=what)
    headers = {name: header for name, header in headers.items() if names is None or name in names}
    check_memory(sum(header.size for header in headers.values()), f"{path}: by what it says of itself it")
    with reading(path, what):
        if _is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                return {name: np.asarray(file[name][()]) for name in headers}
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in headers}


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Whatever a reader of arrays raises for a damaged file, as one sentence.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should be, for the message.

    Raises
    ------
    InputError
        The reader failed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a reader thinks of a damaged file is said below, once
            yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UNREADABLE as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as {what} ({shortened(reason, 200)})") from error


def numbers(
    arrays: Mapping[str, Any],
    name: str,
    shape: Shape | None = None,
    *,
    where: str,
    finite: bool = True,
    lengths: dict[str, int] | None = None,
) -> Array:
    """An array that was read, as floats.

    Parameters
    ----------
    arrays : mapping
        What was read.
    name : str
        Of the array.
    shape : tuple, optional
        A length or a word for each axis; any shape when left out.
    where : str
        The file, for the message.
    finite : bool
        Whether NaN and infinity are refused.
    lengths : dict, optional
        The lengths that words stand for; those of this array are added to it.

    Returns
    -------
    array of float

    Raises
    ------
    InputError
        It is missing, holds no real numbers, or has another shape.
    """
    if name not in arrays:
        raise InputError(
            f'{where}: contains no array "{name}"; found {shortened(", ".join(map(str, arrays)), 500) or "nothing"}'
        )
    values = np.asarray(arrays[name])
    if values.dtype.kind not in "iuf":
        raise InputError(f"{where}: {name} must hold real numbers, it holds {values.dtype}")
    known = {} if lengths is None else lengths
    if shape is not None:
        if values.ndim == len(shape):
            for length, word in zip(values.shape, shape, strict=True):
                if isinstance(word, str):
                    known.setdefault(word, length)
        wanted = tuple(known.get(word, word) if isinstance(word, str) else word for word in shape)
        if values.shape != wanted:
            allowed = ", ".join(map(str, shape))
            raise InputError(
                f"{where}: {name} must have shape ({allowed})"
                + (f" = {wanted}" if wanted != shape else "")
                + f", it has {values.shape}"
            )
    result: Array = values.astype(np.float64)
    if finite and not np.all(np.isfinite(result)):
        raise InputError(
            f"{where}: {name} holds {int((~np.isfinite(result)).sum())} values that are not finite numbers"
        )
    return result


def read_netcdf(path: str | Path, *, what: str = "a NetCDF-4 file of this project") -> xr.Dataset:
    """Read a dataset that :func:`write_netcdf` wrote; times stay numbers.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What it should be, for the message.

    Returns
    -------
    xarray.Dataset
        All of it, in memory.

    Raises
    ------
    InputError
        It is no such file, or larger in memory than there is.
    """
    path = Path(path)
    headers = array_headers(path, what=what) if path.is_file() else {}
    check_memory(sum(header.size for header in headers.values()), f"{path}: by what it says of itself it")
    with reading(path, what):
        import xarray as xr

        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as data:
            return data.load()


def read_values(path: str | Path) -> Any:
    """What :func:`write_values` wrote.

    Raises
    ------
    InputError
        It is no such file.
    """
    try:
        arrays = read_arrays(path, what="values")
    except InputError as error:
        raise InputError(f"{path}: cannot be read back ({str(error).removeprefix(f'{path}: ')}); remove it") from error

    def value(item: Any) -> Any:
        ((kind, inner),) = item.items()
        if kind == "array":
            return arrays[inner]
        if kind == "scalar":
            return value(inner)[()]
        if kind == "mapping":
            return {key: value(each) for key, each in inner}
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](value(each) for each in inner)
        return inner

    try:
        return value(json.loads(str(arrays.pop("structure"))))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read back ({error}); remove it") from error
