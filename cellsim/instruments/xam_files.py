"""Maps of transmitted intensity from files: tables, arrays, and the scans of a SPEC file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.files.reading import numbers, read_arrays
from cellsim.instruments.headings import agreed_unit
from cellsim.instruments.tables import axes, grid, read_table
from cellsim.instruments.xam import IntensityMap


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
        time, position = axes(table, origin)
        seen = table.required(["intensity"], [""], gaps=True)
        columns = (seen, table.quantity(["monitor"], [""], gaps=True), table.errors([""], seen))
        time, position, (values, monitor, error) = grid(path, time, position, *columns)
        assert values is not None
        intensity = values
    whole = error is None and all(
        bool(np.all(np.isnan(values) | (values == np.round(values))))
        for values in (intensity, monitor)
        if values is not None
    )
    return IntensityMap(
        time, position, intensity, monitor, error, whole if counted is None else counted, label or path.name
    )


def _read_npz(path: Path) -> tuple[Array, Array, Array, Array | None, Array | None]:
    arrays = read_arrays(path, what="npz")
    factors = {
        axis: factor_to_si(str(arrays.get(f"{axis}_unit", si)), si, field=f"{path}: {axis}_unit")
        for axis, si in (("time", "s"), ("position", "m"))
    }
    lengths: dict[str, int] = {}

    def read(name: str, *shape: str) -> Array:
        return numbers(arrays, name, shape, where=str(path), lengths=lengths)

    time, position = read("time", "times") * factors["time"], read("position", "positions") * factors["position"]
    intensity = read("intensity", "times", "positions")
    monitor, error = (np.asarray(arrays[n], dtype=float) if n in arrays else None for n in ("monitor", "error"))
    return time, position, intensity, monitor, error


@dataclass(frozen=True)
class _Scan:
    """One scan of a SPEC file."""

    number: int
    labels: list[str]
    rows: Array
    began: float
    duration: float

    def column(self, label: str) -> Array:
        """The numbers of one column."""
        return np.asarray(self.rows[:, self.labels.index(label)])


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
    complete = [s for s in _spec_scans(path) if all(name in s.labels for name in wanted)]
    chosen = [s for s in complete if not scans or s.number in scans]
    if not chosen:
        raise InputError(f"{path}: no scan has the columns {', '.join(wanted)}")
    missing = set(scans) - {s.number for s in chosen}
    if missing or start_scan not in {s.number for s in chosen}:
        listed = ", ".join(str(n) for n in sorted(missing or {start_scan}))
        raise InputError(f"{path}: scan {listed} is not there or lacks the columns {', '.join(wanted)}")
    begin = next(s.began for s in chosen if s.number == start_scan)
    first = chosen[0].column(position)
    pixel = float(np.median(np.abs(np.diff(first))))
    for scan in chosen:
        places = scan.column(position)
        if places.shape != first.shape or np.max(np.abs(places - first)) > 0.05 * pixel:
            raise InputError(
                f"{path}: scan {scan.number} has other positions than scan {chosen[0].number}; leave it out"
            )
    order = np.argsort(first)
    time = np.array([s.began - begin + 0.5 * s.duration for s in chosen])
    values = np.array([s.column(intensity)[order] for s in chosen])
    before = np.array([s.column(monitor)[order] for s in chosen]) if monitor else None
    if counted is None:
        counted = bool(np.all(values == np.round(values)))
    agreed_unit(position, position_unit, field="position_unit")
    x = first[order] * factor_to_si(position_unit, "m", field="position_unit") + origin
    return IntensityMap(time, x, values, before, counted=counted, label=label or path.name)


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
