"""Maps in time and position: intensities of a raster (CSV, npz, SPEC), concentrations, velocities, raw MRI profiles.

Tables are long: one row per point, the units in the header, ``time (min),position (mm),c (mol/m^3),error (mol/m^3)``.
Raw MRI profiles are wide: a column of positions, ``z_mm`` or ``z (mm)``, and one column per profile that names its
time, ``t513s``, ``513 s`` or ``10 min``. Positions count from the case's origin; `origin` is where that lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.instruments.concentration import ConcentrationMap
from cellsim.instruments.mri import MriProfiles
from cellsim.instruments.potentiostat import decimal_mark, split_heading
from cellsim.instruments.tables import DataTable, read_table, unit_factor
from cellsim.instruments.xam import IntensityMap

Quantity = Literal["v_0", "v_minus", "v_plus"]
Frame = Literal["lab", "interface", "solvent"]


@dataclass(frozen=True)
class VelocityTable:
    """Measured velocities, one row per point.

    Parameters
    ----------
    time, position : ndarray, shape (n,)
        [s] from the start of the polarisation; distance from the positive interface at t = 0, fixed in the lab [m].
    v : ndarray, shape (n,)
        [m/s]; a magnitude where `unsigned`.
    error : ndarray, shape (n,), optional
        Standard errors [m/s].
    quantity : {"v_0", "v_minus", "v_plus"}
        Whose velocity: solvent, anion, cation.
    frame : {"lab", "interface", "solvent"}
        Measured against what.
    unsigned : bool
        True where only the magnitude was measured, as by XPCS.
    position_error, beam_width : float
        Standard error of the positions, width of the beam [m].
    label : str
        For figures.
    """

    time: Array
    position: Array
    v: Array
    error: Array | None = None
    quantity: Quantity = "v_0"
    frame: Frame = "lab"
    unsigned: bool = True
    position_error: float = 0.0
    beam_width: float = 0.0
    label: str = ""

    @property
    def positions(self) -> Array:
        """The different positions, increasing [m]."""
        return np.unique(self.position)


# ---- long tables --------------------------------------------------------------------------------------------------


def _column(table: DataTable, names: tuple[str, ...], units: list[str], *, required: bool = True) -> Array | None:
    """The column of one of `names`, in SI; dimensionless where no unit stands with it and "" is allowed."""
    for k, heading in enumerate(table.header):
        name, unit = split_heading(heading)
        if name.lower() in names:
            decimal_mark([row[k].strip() for row in table.rows], f'{table.path}: column "{heading}"')
            if unit in ("", "1", "counts", "photons") and "" in units:
                return table.numbers(k)
            return table.numbers(k) * unit_factor(unit, units, field=f'{table.path}: column "{heading}"')[0]
    if required:
        wanted = f"{names[0]} ({units[0]})" if units[0] else names[0]
        raise InputError(f'{table.path}: no column "{wanted}"; found {", ".join(table.header[:8])}')
    return None


TIME, POSITION, ERROR = ("time", "t"), ("position", "x"), ("error", "sigma", "stderr")


def _axes(table: DataTable, origin: float) -> tuple[Array, Array]:
    time, position = _column(table, TIME, ["s"]), _column(table, POSITION, ["m"])
    assert time is not None and position is not None
    return time, position + origin


def _grid(path: Path, time: Array, position: Array, *columns: Array | None) -> tuple[Array, Array, list[Array | None]]:
    """Long columns as arrays (time, position); every time must have every position once."""
    times, rows = np.unique(time, return_inverse=True)
    places, places_of = np.unique(position, return_inverse=True)
    if times.size * places.size != time.size or np.unique(rows * places.size + places_of).size != time.size:
        raise InputError(
            f"{path}: {time.size} rows do not make {times.size} times x {places.size} positions; every time needs "
            "every position once"
        )
    filled: list[Array | None] = []
    for column in columns:
        grid = None if column is None else np.empty((times.size, places.size))
        if grid is not None and column is not None:
            grid[rows, places_of] = column
        filled.append(grid)
    return times, places, filled


def read_concentration(path: str | Path, *, origin: float = 0.0, label: str = "") -> ConcentrationMap:
    """A table of concentrations: time, position, c and, if known, error.

    Parameters
    ----------
    path : str or Path
        Long table with units in the header.
    origin : float
        Where its positions count from: distance from the positive interface [m].
    label : str
        For figures; default the name of the file.

    Returns
    -------
    ConcentrationMap

    Raises
    ------
    InputError
        A column missing or without unit, an incomplete grid, anything not a number.
    """
    table = read_table(path)
    time, position = _axes(table, origin)
    c = _column(table, ("c", "concentration"), ["mol/m^3"])
    error = _column(table, ERROR, ["mol/m^3"], required=False)
    times, places, (grid, errors) = _grid(table.path, time, position, c, error)
    assert grid is not None
    return ConcentrationMap(times, places, grid, errors, label=label or table.path.name)


def read_velocities(
    path: str | Path,
    *,
    origin: float = 0.0,
    quantity: Quantity | None = None,
    frame: Frame | None = None,
    unsigned: bool | None = None,
    label: str = "",
) -> VelocityTable:
    """A table of velocities: time, position, v and, if known, error.

    Parameters
    ----------
    path : str or Path
        Long table with units in the header. The column is ``v_0`` (solvent), ``v_minus``, ``v_plus``, or ``v``.
    origin : float
        Where its positions count from: distance from the positive interface [m].
    quantity, frame : str, optional
        What ``v`` is; default: by the column's name, the lab frame for the solvent, the interface frame for ions.
    unsigned : bool, optional
        Only the magnitude was measured; default: true where no value is negative.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    VelocityTable

    Raises
    ------
    InputError
        A column missing or without unit, anything not a number, a negative value among magnitudes.
    """
    table = read_table(path)
    time, position = _axes(table, origin)
    named = {split_heading(h)[0] for h in table.header}
    known = [name for name in ("v_0", "v_minus", "v_plus") if name in named]
    chosen = quantity or (known[0] if known else "v_0")
    v = _column(table, (chosen, "v"), ["m/s"])
    assert v is not None
    magnitudes = bool(np.all(v >= 0)) if unsigned is None else unsigned
    if magnitudes and np.any(v < 0):
        raise InputError(f"{table.path}: a velocity is negative, but only magnitudes were announced")
    return VelocityTable(
        time, position, v, _column(table, ERROR, ["m/s"], required=False), chosen,
        frame or ("lab" if chosen == "v_0" else "interface"), magnitudes, label=label or table.path.name,
    )  # fmt: skip


# ---- intensities --------------------------------------------------------------------------------------------------


def read_intensity(
    path: str | Path, *, origin: float = 0.0, counted: bool | None = None, label: str = ""
) -> IntensityMap:
    """A map of transmitted intensity from a long table or an npz.

    The table has time, position, intensity and, if known, monitor and error. The npz holds arrays of these names,
    ``time`` [s] and ``position`` [m] as vectors and the others (time, position); ``time_unit`` and ``position_unit``
    may name other units.

    Parameters
    ----------
    path : str or Path
        The file.
    origin : float
        Where its positions count from: distance from the positive interface [m].
    counted : bool, optional
        Numbers of photons with Poisson statistics; default: true where all are whole and no errors are given.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    IntensityMap

    Raises
    ------
    InputError
        Something missing, shapes that do not agree, an intensity that is not positive.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        time, position, intensity, monitor, error = _read_npz(path)
        position = position + origin
    else:
        table = read_table(path)
        t, x = _axes(table, origin)
        columns = [_column(table, (name,), [""], required=name == "intensity") for name in ("intensity", "monitor")]
        time, position, (grid, monitor, error) = _grid(
            path, t, x, *columns, _column(table, ERROR, [""], required=False)
        )
        assert grid is not None
        intensity = grid
    whole = bool(np.all(intensity == np.round(intensity))) and error is None
    if monitor is not None:
        whole = whole and bool(np.all(monitor == np.round(monitor)))
    return IntensityMap(
        time, position, intensity, monitor, error, whole if counted is None else counted, label or path.name
    )


def _read_npz(path: Path) -> tuple[Array, Array, Array, Array | None, Array | None]:
    try:
        with np.load(path, allow_pickle=False) as data:
            held = {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as npz ({error})") from None
    for name in ("time", "position", "intensity"):
        if name not in held:
            raise InputError(f'{path}: holds no array "{name}"; found {", ".join(held) or "none"}')
    factors = {
        axis: factor_to_si(str(held.get(f"{axis}_unit", si)), si, field=f"{path}: {axis}_unit")
        for axis, si in (("time", "s"), ("position", "m"))
    }
    optional = [np.asarray(held[n], dtype=float) if n in held else None for n in ("monitor", "error")]
    return (
        np.asarray(held["time"], dtype=float) * factors["time"],
        np.asarray(held["position"], dtype=float) * factors["position"],
        np.asarray(held["intensity"], dtype=float),
        optional[0],
        optional[1],
    )


@dataclass(frozen=True)
class _Scan:
    """One scan of a SPEC file."""

    number: int
    labels: list[str]
    rows: Array
    began: float
    duration: float


def read_spec(
    path: str | Path,
    *,
    position: str,
    intensity: str,
    start_scan: int,
    monitor: str | None = None,
    position_unit: str = "mm",
    origin: float = 0.0,
    scans: tuple[int, ...] = (),
    counted: bool | None = None,
    label: str = "",
) -> IntensityMap:
    """Raster scans of a SPEC file, one row per scan that has the columns asked for.

    A scan's time is the middle of it: its ``#D`` plus half its duration, by the column ``Epoch`` or by ``#T``.

    Parameters
    ----------
    path : str or Path
        The SPEC file.
    position, intensity, monitor : str
        Columns (``#L``): motor, detector, monitor.
    start_scan : int
        The polarisation starts when this scan starts; the scans before it are the reference.
    position_unit : str
        Of the motor.
    origin : float
        Where the motor's zero lies: distance from the positive interface [m].
    scans : tuple of int
        Scans to take; empty: all that have the columns.
    counted : bool, optional
        As in :func:`read_intensity`.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    IntensityMap

    Raises
    ------
    InputError
        No such column or scan, scans over different positions, a scan without a date.
    """
    path = Path(path)
    wanted = [position, intensity, *([monitor] if monitor else [])]
    found = [s for s in _spec_scans(path) if all(w in s.labels for w in wanted) and (not scans or s.number in scans)]
    if not found:
        raise InputError(f"{path}: no scan has the columns {', '.join(wanted)}")
    missing = set(scans) - {s.number for s in found}
    if missing or start_scan not in {s.number for s in found}:
        listed = ", ".join(str(n) for n in sorted(missing or {start_scan}))
        raise InputError(f"{path}: scan {listed} is not there or lacks the columns {', '.join(wanted)}")
    begin = next(s.began for s in found if s.number == start_scan)
    first = found[0].rows[:, found[0].labels.index(position)]
    pixel = float(np.median(np.abs(np.diff(first))))
    for scan in found:
        own = scan.rows[:, scan.labels.index(position)]
        if own.shape != first.shape or np.max(np.abs(own - first)) > 0.05 * pixel:
            raise InputError(
                f"{path}: scan {scan.number} has other positions than scan {found[0].number}; leave it out"
            )
    order = np.argsort(first)
    taken = {w: np.array([s.rows[order, s.labels.index(w)] for s in found]) for w in wanted}
    time = np.array([s.began - begin + 0.5 * s.duration for s in found])
    values, before = taken[intensity], taken[monitor] if monitor else None
    whole = bool(np.all(values == np.round(values)))
    place = first[order] * factor_to_si(position_unit, "m", field="position_unit") + origin
    return IntensityMap(
        time, place, values, before, None, whole if counted is None else counted, label or path.name
    )  # fmt: skip


def _spec_scans(path: Path) -> list[_Scan]:
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    scans = []
    for block in re.split(r"(?m)^(?=#S )", text)[1:]:
        lines = block.splitlines()
        number = int(re.match(r"#S\s+(\d+)", lines[0]).group(1))  # type: ignore[union-attr]
        tags = {line[1]: line[2:].strip() for line in lines if re.match(r"#[DTL]\s", line)}
        cells = [line.split() for line in lines if line and line[0] not in "#@"]
        labels = re.split(r"\s{2,}", tags.get("L", "").strip())
        cells = [row for row in cells if len(row) == len(labels)]
        if not cells:
            continue
        try:
            rows = np.array(cells, dtype=float)
            began = datetime.strptime(tags.get("D", ""), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
        except ValueError as error:
            raise InputError(f"{path}: scan {number}: {error}") from None
        if "Epoch" in labels:
            duration = float(np.ptp(rows[:, labels.index("Epoch")]))
        else:
            seconds = re.match(r"[\d.eE+-]+", tags.get("T", ""))
            duration = float(seconds.group()) * len(cells) if seconds else 0.0
        scans.append(_Scan(number, labels, rows, began, duration))
    return scans


# ---- MRI ----------------------------------------------------------------------------------------------------------


def read_mri(path: str | Path, *, label: str = "") -> MriProfiles:
    """Raw MRI profiles: a column of positions and one column per profile, headed by its time.

    Parameters
    ----------
    path : str or Path
        Wide table; ``z_mm`` or ``z (mm)``, then ``t513s``, ``513 s``, ``10 min``.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    MriProfiles

    Raises
    ------
    InputError
        A header without unit or time, positions that do not increase evenly, anything not a number.
    """
    table = read_table(path)
    name, unit = split_heading(table.header[0].replace("_", "/", 1) if "(" not in table.header[0] else table.header[0])
    if not unit:
        raise InputError(f'{table.path}: the first column, "{name}", needs a unit of length, such as "z (mm)"')
    times = []
    for heading in table.header[1:]:
        found = re.search(r"([\d.]+)\s*(s|min|h)\s*$", heading)
        if not found:
            raise InputError(f'{table.path}: column "{heading}" must end in its time with a unit, such as "513 s"')
        times.append(float(found.group(1)) * factor_to_si(found.group(2), "s"))
    z = table.numbers(0) * factor_to_si(unit, "m", field=f"{table.path}: {table.header[0]}")
    signal = np.array([table.numbers(k) for k in range(1, len(table.header))])
    return MriProfiles(np.array(times), z, signal, label or table.path.name)
