"""Correlation functions from files: both HDF5 layouts of beamline 8-ID (old, and since about 2022), CSV, npz.

A result of the newer layout that holds two-time correlations C(t1, t2) alone is averaged along its diagonals: g2 at a
delay is the mean over all ages, its error follows from the scatter between blocks of ages.

Points that never count: g2 = 0 with error 0 (empty bins), anything not finite, and a last delay whose error is below
half that of the one before (too few pairs to state one). `notes` say what was masked.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, factor_to_si
from cellsim.files.reading import array_headers, check_memory, numbers, read_arrays, reading
from cellsim.instruments.tables import DataTable, read_table
from cellsim.instruments.xpcs.correlation import CorrelationSet

INVERSE_ANGSTROM, DEGREE = 1e10, np.pi / 180
"""1/Angstrom in 1/m and a degree in rad: the units of q and azimuth in both layouts where the file names none."""
PER_OCTAVE = 24
"""Delays per doubling to which the diagonals of a two-time correlation are averaged."""
BLOCKS = 16
"""Blocks of ages whose scatter gives the error of a diagonal's mean."""
POOLED = 5
"""Neighbouring delays whose variances are averaged: that of 16 blocks alone is uncertain by a third."""
LAST_ERROR = 0.5
"""A last delay with a smaller share of the error before it is masked [1]."""


def mask_points(g2: Array, error: Array) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which points count, and what was masked in words.

    Parameters
    ----------
    g2, error : ndarray, shape (n, k)
        Curves and their errors [1].
    """
    with np.errstate(invalid="ignore"):
        good = np.isfinite(g2) & np.isfinite(error) & (error > 0) & (g2 != 0)
    notes = []
    empty = int(good.size - good.sum())
    if empty:
        notes.append(f"{empty} points without value or error masked")
    last = np.zeros_like(good)
    if g2.shape[1] > 2:
        before = np.where(good[:, -2], error[:, -2], np.inf)
        last[:, -1] = good[:, -1] & np.isfinite(before) & (error[:, -1] < LAST_ERROR * before)
    if last.any():
        notes.append(f"last delay of {int(last.sum())} curves masked, its error is too small")
    return good & ~last, tuple(notes)


def read_xpcs(
    path: str | Path, *, velocity_axis: float = 0.0, time: float = 0.0, sector: float | None = None
) -> CorrelationSet:
    """Read correlation functions from an HDF5, npz or text file, by its ending.

    Parameters
    ----------
    path : str or Path
        ``.h5``, ``.hdf``, ``.hdf5``, ``.nxs``: 8-ID; ``.npz``: arrays q, azimuth, tau, g2, error (SI, radians); else a
        table with columns ``q (1/nm)``, ``azimuth (deg)``, ``tau (s)``, ``g2``, ``error`` in any order and unit.
    velocity_axis : float
        Azimuth of the velocity's axis on the detector, taken off every azimuth of the file [rad].
    time : float
        Start of the series [s].
    sector : float, optional
        Width of azimuth over which each curve was averaged [rad]; needed where an HDF5 file has one bin of azimuth.

    Returns
    -------
    CorrelationSet

    Raises
    ------
    InputError
        Missing file, unknown layout, missing or ill-shaped entries, one bin of azimuth without its width.
    """
    path = Path(path)
    if not abs(velocity_axis) <= 2 * np.pi:
        raise InputError(f"velocity_axis = {velocity_axis!r} rad is more than a turn; give it in rad, not degrees")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() in (".h5", ".hdf", ".hdf5", ".nxs"):
        stored = _read_hdf5(path)
        if sector is None and np.unique(stored.azimuth).size == 1:
            raise InputError(
                f"{path}: has one bin of azimuth, and an average over all directions has no direction; bin it "
                "into sectors, or, if the bin is a narrow sector, give its width as sector"
            )
    elif path.suffix.lower() == ".npz":
        stored = _read_npz(path)
    else:
        stored = _read_text(read_table(path))
    return _correlation_set(path, stored, velocity_axis, time, sector)


class _Stored(NamedTuple):
    """What a file has: q (n,) [1/m], azimuth (n,) [rad], tau (k,) [s], g2 and error (n, k) [1], start [s] or None."""

    q: Array
    azimuth: Array
    tau: Array
    g2: Array
    error: Array
    time: float | None = None


def _correlation_set(
    path: Path, stored: _Stored, velocity_axis: float, time: float, sector: float | None
) -> CorrelationSet:
    """The curves and delays of a file that can be used."""
    q, azimuth, tau, g2, error, start = stored
    turned = azimuth[np.isfinite(azimuth)]
    if turned.size and np.abs(turned).max() > 2 * np.pi * (1 + 1e-9):
        raise InputError(f"{path}: an azimuth of {np.abs(turned).max():.4g} rad is more than a turn; correct its unit")
    if not (
        tau.ndim == 1 and g2.ndim == 2 and g2.shape == error.shape == (q.size, tau.size) and azimuth.size == q.size
    ):
        raise InputError(
            f"{path}: {q.size} scattering vectors and {tau.size} delays do not fit curves of shape {g2.shape} with "
            f"errors of shape {error.shape}"
        )
    curves, delays = np.isfinite(q) & (q > 0) & np.isfinite(azimuth), tau > 0
    good, notes = mask_points(g2[curves][:, delays], error[curves][:, delays])
    if not curves.all():
        notes = (*notes, f"{int((~curves).sum())} curves without a scattering vector left out")
    if not delays.all():
        notes = (*notes, f"{int((~delays).sum())} delays that are not positive left out")
    usable = good.any(axis=1)
    if not usable.any():
        raise InputError(f"{path}: no curve has a usable point")
    if not usable.all():
        notes = (*notes, f"{int((~usable).sum())} curves without a usable point left out")
    chosen = np.flatnonzero(curves)[usable]
    return CorrelationSet(
        q=q[chosen],
        azimuth=azimuth[chosen] - velocity_axis,
        tau=tau[delays],
        g2=g2[chosen][:, delays],
        error=error[chosen][:, delays],
        good=good[usable],
        time=time if start is None else start,
        label=path.stem,
        notes=notes,
        sector=sector,
    )


def _read_hdf5(path: Path) -> _Stored:
    import h5py

    what = "an HDF5 file of correlations"
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not a readable HDF5 file")
    largest = max((header.size for header in array_headers(path, what=what).values()), default=0.0)
    check_memory(largest, f"{path}: by what it says of itself its largest array")
    with reading(path, what), h5py.File(path, "r") as file:
        if "/xpcs/multitau/normalized_g2" in file:
            return _read_new(path, file)
        if "/exchange/norm-0-g2" in file:
            return _read_legacy(path, file)
        if TWO_TIME in file:
            return _read_two_time(path, file)
    raise InputError(
        f"{path}: holds none of /xpcs/multitau/normalized_g2, /exchange/norm-0-g2 and {TWO_TIME}; not an XPCS result "
        "of 8-ID"
    )


def _entry(path: Path, file: Any, name: str) -> Array:
    if name not in file:
        raise InputError(f"{path}: {name} is missing")
    return numbers({name: file[name][()]}, name, where=str(path), finite=False)


def _scalar(path: Path, file: Any, name: str) -> float:
    """A number stored with shape (), (1,) or (1, 1)."""
    value = _entry(path, file, name)
    if value.size != 1 or not np.isfinite(value).all() or value.item() <= 0:
        raise InputError(f"{path}: {name} must hold one positive number, it has shape {value.shape}")
    return float(value.item())


def _curves(path: Path, values: Array, delays: int, name: str) -> Array:
    """Curves as (n, k): files store (k, n)."""
    values = np.squeeze(values) if values.ndim > 2 else np.atleast_2d(values)
    if values.ndim != 2 or delays not in values.shape:
        raise InputError(f"{path}: {name} has shape {values.shape}, no side of which is the number of delays, {delays}")
    return values.T if values.shape[0] == delays else values


def _read_legacy(path: Path, file: Any) -> _Stored:
    period_at = "/measurement/instrument/detector/exposure_period"
    tau = np.ravel(_entry(path, file, "/exchange/tau")) * _scalar(path, file, period_at)
    g2 = _curves(path, _entry(path, file, "/exchange/norm-0-g2"), tau.size, "/exchange/norm-0-g2")
    error = _curves(path, _entry(path, file, "/exchange/norm-0-stderr"), tau.size, "/exchange/norm-0-stderr")
    q = np.ravel(_entry(path, file, "/xpcs/dqlist")) * _factor(path, file, "/xpcs/dqlist", "1/m", INVERSE_ANGSTROM)
    azimuth = np.ravel(_entry(path, file, "/xpcs/dphilist")) * _factor(path, file, "/xpcs/dphilist", "rad", DEGREE)
    if q.size != g2.shape[0] or azimuth.size != g2.shape[0]:
        rings, sectors = (int(_scalar(path, file, f"/xpcs/{name}")) for name in ("dnoq", "dnophi"))
        if (q.size, azimuth.size) != (rings, sectors) or rings * sectors != g2.shape[0]:
            raise InputError(
                f"{path}: /xpcs/dqlist and dphilist name {q.size} and {azimuth.size} vectors, the curves are "
                f"{g2.shape[0]}"
            )
        q, azimuth = np.repeat(q, sectors), np.tile(azimuth, rings)
    return _Stored(q, azimuth, tau, g2, error)


def _read_new(path: Path, file: Any) -> _Stored:
    root = "/xpcs/multitau"
    tau = np.ravel(_entry(path, file, f"{root}/delay_list")) * _step(path, file, root)
    g2 = _curves(path, _entry(path, file, f"{root}/normalized_g2"), tau.size, "normalized_g2")
    error = _curves(path, _entry(path, file, f"{root}/normalized_g2_err"), tau.size, "normalized_g2_err")
    q, azimuth = _bins(path, file)
    if q.size != g2.shape[0]:
        raise InputError(f"{path}: /xpcs/qmap/dynamic_index_mapping names {q.size} bins, the curves are {g2.shape[0]}")
    return _Stored(q, azimuth, tau, g2, error)


def _step(path: Path, file: Any, root: str) -> float:
    """Time between two frames that were correlated [s]."""
    step = _scalar(path, file, "/entry/instrument/detector_1/frame_time")
    return step * _scalar(path, file, f"{root}/config/stride_frame") * _scalar(path, file, f"{root}/config/avg_frame")


def _bins(path: Path, file: Any) -> tuple[Array, Array]:
    """q [1/m] and azimuth [rad] of every bin in which something was correlated."""
    first, units = _axis_of_q(path, file)
    lists = ["/xpcs/qmap/dynamic_v_list_dim0", "/xpcs/qmap/dynamic_v_list_dim1"]
    of_q, of_azimuth = (lists, lists[::-1])[first]
    q_list = np.ravel(_entry(path, file, of_q))
    q_list = q_list * _factor(path, file, of_q, "1/m", INVERSE_ANGSTROM, units[0])
    azimuths = np.ravel(_entry(path, file, of_azimuth)) * _factor(path, file, of_azimuth, "rad", DEGREE, units[1])
    shape = np.ravel(_entry(path, file, "/xpcs/qmap/dynamic_num_pts")).astype(int)
    index = np.ravel(_entry(path, file, "/xpcs/qmap/dynamic_index_mapping")).astype(int)
    if shape.size == 1:
        shape = np.array([shape[0], 1])
    sizes = (q_list.size, max(1, azimuths.size))
    if shape.size != 2 or tuple(shape) != (sizes if first == 0 else sizes[::-1]):
        raise InputError(
            f"{path}: /xpcs/qmap/dynamic_num_pts = {shape.tolist()} does not fit {q_list.size} q and "
            f"{azimuths.size} azimuths"
        )
    if not index.size or index.min() < 0 or index.max() >= shape[0] * shape[1]:
        raise InputError(
            f"{path}: /xpcs/qmap/dynamic_index_mapping names {index.size} bins up to {index.max(initial=-1)} of "
            f"{shape[0]} x {shape[1]}"
        )
    places = (index // shape[1], index % shape[1])
    azimuth = azimuths[places[1 - first]] if azimuths.size else np.zeros(index.size)
    return q_list[places[first]], azimuth


TWO_TIME = "/xpcs/twotime/correlation_map"
"""Group of two-time correlations, one upper triangle for every bin that was processed, its diagonal with shot noise."""


def _read_two_time(path: Path, file: Any) -> _Stored:
    q, azimuth = _bins(path, file)
    labels = np.ravel(_entry(path, file, "/xpcs/twotime/processed_bins")).astype(int)  # counted from 1
    names = sorted(file[TWO_TIME])
    if len(names) != labels.size or labels.min(initial=1) < 1 or labels.max(initial=0) > q.size:
        raise InputError(
            f"{path}: {TWO_TIME} holds {len(names)} correlations, /xpcs/twotime/processed_bins names {labels.size} of "
            f"{q.size} bins"
        )
    reduced = [averaged_along_diagonals(_entry(path, file, f"{TWO_TIME}/{name}"), label=path.name) for name in names]
    if len({lag.tobytes() for lag, _, _ in reduced}) != 1:
        raise InputError(f"{path}: the two-time correlations in {TWO_TIME} are not all of the same number of frames")
    tau = reduced[0][0] * _step(path, file, "/xpcs/twotime")
    g2, error = (np.stack([one[k] for one in reduced]) for k in (1, 2))
    return _Stored(q[labels - 1], azimuth[labels - 1], tau, g2, error)


def averaged_along_diagonals(C: Array, *, label: str = "") -> tuple[Array, Array, Array]:
    """A two-time correlation C(t1, t2) as g2(tau), with errors from the scatter between blocks of ages (t1 + t2)/2.

    A speed that changes evenly during the series moves the blocks along a line, about which they scatter.

    Parameters
    ----------
    C : ndarray, shape (frames, frames)
        Its upper triangle is used, without the diagonal, which holds the shot noise [1].
    label : str
        For messages.

    Returns
    -------
    lag : ndarray, shape (k,)
        Delays up to half of the series, :data:`PER_OCTAVE` for every doubling where there are as many, in frames [1].
    g2, error : ndarray, shape (k,)
        Mean over the ages and its standard error [1].

    Raises
    ------
    InputError
        No square matrix, or fewer frames than four in each block.
    """
    frames = len(C)
    if C.ndim != 2 or C.shape[1] != frames or frames < 4 * BLOCKS:
        raise InputError(
            f"{label}: a two-time correlation has shape {C.shape}; it must be square, of {4 * BLOCKS} frames or more"
        )
    longest = frames // 2
    octaves = np.log2(longest + 1)
    edges = np.unique(np.round(np.exp2(np.linspace(0, octaves, int(PER_OCTAVE * octaves) + 1)))).astype(int)
    x = np.linspace(-1, 1, BLOCKS)
    line = np.stack([np.ones(BLOCKS), x], axis=1)
    flat = np.eye(BLOCKS) - line @ np.linalg.pinv(line)  # what scatters about a straight line
    lag, mean, variance = np.empty((3, edges.size - 1))
    for j, (low, high) in enumerate(pairwise(edges)):
        blocks = np.zeros(BLOCKS)
        for k in range(low, high):
            diagonal = np.diagonal(C, k)
            starts = np.arange(BLOCKS) * diagonal.size // BLOCKS
            blocks += np.add.reduceat(diagonal, starts) / np.diff(starts, append=diagonal.size)
        blocks /= high - low
        lag[j], mean[j] = 0.5 * (low + high - 1), blocks.mean()
        variance[j] = np.sum((flat @ blocks) ** 2) / (BLOCKS - 2) / BLOCKS
    # neighbours are pooled as variances of a single point: one delay more in an average would otherwise jump by half
    points = np.diff(edges) * (frames - lag)
    near = np.ones(POOLED)
    pooled = np.convolve(variance * points, near, mode="same") / np.convolve(np.ones(lag.size), near, mode="same")
    return lag, mean, np.sqrt(pooled / points)


def _axis_of_q(path: Path, file: Any) -> tuple[int, tuple[str, str]]:
    """Which of the two axes of the map of bins is q, and the units of q and azimuth as far as the file names them."""
    names, units = (_texts(file, f"/xpcs/qmap/{name}") for name in ("map_names", "map_units"))
    if not names:
        return 0, ("", "")
    first = next((k for k, name in enumerate(names[:2]) if name.lower() in ("q", "qr", "|q|")), None)
    others = [name for k, name in enumerate(names[:2]) if k != first]
    if first is None or (others and others[0].lower() not in ("phi", "azimuth", "chi", "angle")):
        raise InputError(f"{path}: /xpcs/qmap/map_names = {names} are not q and phi, which a velocity needs")
    units = [*units, "", ""][: max(2, len(units))]
    return first, (units[first], units[1 - first])


def _texts(file: Any, name: str) -> list[str]:
    if name not in file:
        return []
    return [t.decode() if isinstance(t, bytes) else str(t) for t in np.ravel(file[name][()])]


def _factor(path: Path, file: Any, name: str, si: str, usual: float, stated: str = "") -> float:
    """To SI from the unit that the file names for an entry, in its map or as an attribute; else from the usual one."""
    attributes = [_attribute(file, name, key) for key in ("units", "unit")]
    unit = next((t.decode() if isinstance(t, bytes) else str(t) for t in attributes if t is not None), stated).strip()
    if not unit:
        return usual
    plain = re.sub(r"\bA\b", "angstrom", unit.replace("\u00c5", "angstrom").replace("\u212b", "angstrom"))
    plain = re.sub(r"\^?\{?-1\}?", "^-1", plain)
    plain = {"deg": "degree", "degrees": "degree", "°": "degree"}.get(plain.lower(), plain)
    return factor_to_si(plain, si, field=f"{path}: the unit of {name}")


def _attribute(file: Any, name: str, key: str) -> Any:
    return file[name].attrs.get(key) if name in file else None


def _read_npz(path: Path) -> _Stored:
    arrays = read_arrays(path, what="a .npz file of arrays")
    names = _Stored._fields[:5]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; needs q, azimuth, tau, g2 and error")
    q, azimuth, tau, g2, errors = (numbers(arrays, name, where=str(path), finite=False) for name in names)
    start = numbers(arrays, "time", where=str(path)).item() if np.size(arrays.get("time", ())) == 1 else None
    return _Stored(np.ravel(q), np.ravel(azimuth), tau, np.atleast_2d(g2), np.atleast_2d(errors), start)


def write_npz(data: CorrelationSet, path: str | Path) -> None:
    """Write a set as :func:`read_xpcs` reads it; masked points become g2 = 0 with error 0."""
    g2, error = (np.where(data.usable, a, 0.0) for a in (data.g2, data.error))
    start = np.array(data.time)
    np.savez_compressed(path, q=data.q, azimuth=data.azimuth, tau=data.tau, g2=g2, error=error, time=start)


def _read_text(table: DataTable) -> _Stored:
    """One row per point; the delays of all curves are laid on one axis, absent points masked."""
    q, azimuth = table.required(["q"], ["1/m"]), table.required(["azimuth"], ["rad"])
    tau, g2, error = table.required(["tau"], ["s"]), table.required(["g2"], [""]), table.required(["error"], [""])
    keys = np.round(np.stack([np.log(np.maximum(q, 1e-300)), azimuth], axis=1), 9)
    _, first, curve = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    log_tau = np.round(np.log(np.maximum(tau, 1e-300)), 9)
    _, first_tau, delay = np.unique(log_tau, return_index=True, return_inverse=True)
    place = (np.ravel(curve), np.ravel(delay))
    points = np.zeros((first.size, first_tau.size), dtype=np.intp)
    np.add.at(points, place, 1)
    if points.max() > 1:
        raise InputError(f"{table.path}: {int((points > 1).sum())} points occur twice (same q, azimuth and tau)")
    curves, errors = np.zeros((2, *points.shape))
    curves[place], errors[place] = g2, error
    return _Stored(q[first], azimuth[first], tau[first_tau], curves, errors)
