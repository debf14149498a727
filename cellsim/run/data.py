"""What a prediction is compared with: data files, and data sheets that say what a file alone cannot (docs/compare.md).

A file that explains itself (a potentiostat export, a table with units in the header) is named as it is. What needs
more, a raster of intensities or raw MRI profiles, is named through a data sheet: a TOML file with `kind` and `file`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from cellsim.base import Array, InputError
from cellsim.files.schema import Table, read_toml
from cellsim.instruments.concentration import ConcentrationMap
from cellsim.instruments.maps import (
    VelocityTable,
    read_concentration,
    read_intensity,
    read_mri,
    read_spec,
    read_velocities,
)
from cellsim.instruments.potentiostat import PotentiostatData, read_potentiostat, split_heading
from cellsim.instruments.tables import read_table
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    from cellsim.run.case import Case

Kind = Literal["current", "voltage", "profile", "velocity"]
KINDS = ("current", "voltage", "profile", "velocity", "xam", "mri")


@dataclass(frozen=True)
class Series:
    """A measured current density or voltage.

    Parameters
    ----------
    time : ndarray, shape (n,)
        From the start of the run [s].
    value : ndarray, shape (n,)
        [A/m^2 or V]
    error : ndarray, shape (n,), optional
        Standard errors, in the unit of `value`.
    """

    time: Array
    value: Array
    error: Array | None = None


@dataclass(frozen=True)
class Dataset:
    """One thing that was measured.

    Parameters
    ----------
    kind : {"current", "voltage", "profile", "velocity"}
        What it is.
    label : str
        For figures and tables.
    data : Series, ConcentrationMap or VelocityTable
        The measurement.
    notes : tuple of str
        What a reader should know.
    forward : callable, optional
        Solution -> prediction in the shape of the data, where the instrument does more than look.
    beam_width : float
        Over which a profile was averaged, a box [m].
    """

    kind: Kind
    label: str
    data: Series | ConcentrationMap | VelocityTable
    notes: tuple[str, ...] = ()
    forward: Callable[[Solution], Array] | None = None
    beam_width: float = 0.0


def read_data(path: str | Path, case: Case) -> tuple[Dataset, ...]:
    """The data sets of one file, as a case needs them.

    Parameters
    ----------
    path : str or Path
        A potentiostat export, a table with units in its header, or a data sheet.
    case : Case
        For the electrode area, the origin of positions, the transport set and the steps.

    Returns
    -------
    tuple of Dataset
        A potentiostat file gives the current, the voltage or both, whichever the case does not impose throughout.

    Raises
    ------
    InputError
        Anything unreadable, or a file that needs a data sheet.
    """
    path = Path(path)
    if path.suffix.lower() == ".toml":
        return _sheet(read_toml(path), case)
    if path.suffix.lower() in (".mpt", ".dta", ".mpr"):
        return _series(read_potentiostat(path), case)
    if path.suffix.lower() in (".npz", ".spec"):
        raise InputError(f'{path}: intensities need a data sheet, a TOML file with kind = "xam" (docs/compare.md)')
    names = {split_heading(h)[0].lower() for h in read_table(path).header}
    if names & {"position", "x"}:
        origin = case.cell.from_origin(0.0)
        if names & {"c", "concentration"}:
            found = read_concentration(path, origin=origin)
            return (Dataset("profile", found.label, found),)
        if names & {"v", "v_0", "v_minus", "v_plus"}:
            table = read_velocities(path, origin=origin)
            return (Dataset("velocity", table.label, table),)
        if "intensity" in names:
            raise InputError(f'{path}: intensities need a data sheet, a TOML file with kind = "xam" (docs/compare.md)')
        raise InputError(f"{path}: has positions but neither c nor v_0, v_minus nor intensity")
    return _series(read_potentiostat(path), case)


def data_of_case(case: Case, solution: Solution) -> tuple[Dataset, ...]:
    """What the case itself names: its [[measured]] tables, and the drive a following step did not impose."""
    found = []
    for m in case.measured:
        data: Series | ConcentrationMap
        if m.kind == "profile":
            assert m.position is not None
            error = None if m.error is None else np.full(m.value.shape, m.error)
            data = ConcentrationMap(m.time, m.position, m.value, error, label=m.label)
        else:
            data = Series(m.time, m.value, None if m.error is None else np.full(m.value.shape, m.error))
        found.append(Dataset(m.kind, m.label, data))
    for entry in solution.log:
        step = case.protocol.steps[int(entry["index"])]
        if step.measured_other is not None:
            time, value = step.measured_other
            kind: Kind = "voltage" if step.drive == "current" else "current"
            found.append(Dataset(kind, f"{kind}, not imposed", Series(time + float(entry["t_start"]), value)))
    return tuple(found)


def _series(
    read: PotentiostatData, case: Case, *, only: str = "", label: str = "", sign: float = 1.0
) -> tuple[Dataset, ...]:
    """Current and voltage of a potentiostat file, what the case imposes from beginning to end left out."""
    free = {"current" if step.drive == "voltage" else "voltage" for step in case.protocol.steps}
    wanted = {only} if only else free
    found = []
    name = label or read.path.name
    if "current" in wanted and read.current is not None:
        density = sign * read.current_density(case.cell.area)
        notes = read.notes
        if not read.per_area and read.area is not None and case.cell.area is not None:
            off = abs(read.area / case.cell.area - 1) > 1e-3
            notes += (f"the file states an area of {1e4 * read.area:.4g} cm^2; the case's is used",) if off else ()
        found.append(Dataset("current", name, Series(read.time, density), notes))
    if "voltage" in wanted and read.voltage is not None:
        found.append(Dataset("voltage", name, Series(read.time, sign * read.voltage), read.notes))
    if not found:
        raise InputError(f"{read.path}: holds no {' or '.join(sorted(wanted))}, the quantity this case leaves free")
    return tuple(found)


# ---- data sheets --------------------------------------------------------------------------------------------------

_COMMON = ("kind", "file", "label", "time_offset")
_KEYS: dict[str, tuple[str, ...]] = {
    "current": ("columns", "sign", "error"),
    "voltage": ("columns", "sign", "error"),
    "profile": ("error", "beam_width"),
    "velocity": ("quantity", "frame", "unsigned", "error", "position_error", "beam_width"),
    "xam": (
        "energy", "salt", "solvent", "harmonics", "path_length", "path_error", "beam_width", "counted", "margin",
        "position", "intensity", "monitor", "position_unit", "start_scan", "scans",
    ),
    "mri": ("positive", "normalise", "profiles", "margin"),
}  # fmt: skip


def _sheet(sheet: Table, case: Case) -> tuple[Dataset, ...]:
    kind = sheet.choice("kind", KINDS)
    sheet.only(*_COMMON, *_KEYS[kind])
    path = sheet.path("file")
    label = sheet.string("label", path.name)
    offset = sheet.quantity("time_offset", "s", 0.0)
    with sheet.located():
        if kind in ("current", "voltage"):
            return _sheet_series(sheet, kind, path, label, offset, case)
        readers = {"profile": _sheet_profile, "velocity": _sheet_velocity, "xam": _sheet_xam, "mri": _sheet_mri}
        return (readers[kind](sheet, path, label, offset, case),)


def _sheet_series(sheet: Table, kind: str, path: Path, label: str, offset: float, case: Case) -> tuple[Dataset, ...]:
    columns = sheet.table("columns", {})
    columns.only("time", "voltage", "current")
    named = {key: columns.string(key) for key in columns}
    sign = sheet.number("sign", 1.0)
    if abs(sign) != 1:
        raise sheet.error("sign", "must be 1 or -1")
    read = read_potentiostat(path, columns=named)
    (found,) = _series(replace(read, time=read.time + offset), case, only=kind, label=label, sign=sign)
    error = sheet.quantity("error", "A/m^2" if kind == "current" else "V", None, above=0)
    series = cast(Series, found.data)
    if error is not None:
        series = replace(series, error=np.full(series.value.shape, error))
    return (replace(found, data=series),)


def _sheet_profile(sheet: Table, path: Path, label: str, offset: float, case: Case) -> Dataset:
    found = read_concentration(path, origin=case.cell.from_origin(0.0), label=label)
    error = sheet.quantity("error", "mol/m^3", None, above=0)
    errors = found.error if error is None else np.full(found.c.shape, error)
    data = replace(found, time=found.time + offset, error=errors)
    return Dataset("profile", label, data, beam_width=sheet.quantity("beam_width", "m", 0.0, least=0))


def _sheet_velocity(sheet: Table, path: Path, label: str, offset: float, case: Case) -> Dataset:
    found = read_velocities(
        path,
        origin=case.cell.from_origin(0.0),
        quantity=cast(Any, sheet.choice("quantity", ["v_0", "v_minus", "v_plus"], None)),
        frame=cast(Any, sheet.choice("frame", ["lab", "interface", "solvent"], None)),
        unsigned=sheet.boolean("unsigned", None),
        label=label,
    )
    error = sheet.quantity("error", "m/s", None, above=0)
    data = replace(
        found,
        time=found.time + offset,
        error=found.error if error is None else np.full(found.v.shape, error),
        position_error=sheet.quantity("position_error", "m", 0.0, least=0),
        beam_width=sheet.quantity("beam_width", "m", 0.0, least=0),
    )
    return Dataset("velocity", label, data)


def _sheet_xam(sheet: Table, path: Path, label: str, offset: float, case: Case) -> Dataset:
    from cellsim.instruments.attenuation import attenuation
    from cellsim.instruments.xam import concentration

    origin, counted = case.cell.from_origin(0.0), sheet.boolean("counted", None)
    if "start_scan" in sheet:
        measured = read_spec(
            path, position=sheet.string("position"), intensity=sheet.string("intensity"),
            monitor=sheet.string("monitor", None), start_scan=sheet.integer("start_scan"),
            position_unit=sheet.string("position_unit", "mm"), origin=origin, counted=counted, label=label,
            scans=tuple(int(n) for n in sheet.array("scans", [])),
        )  # fmt: skip
    else:
        measured = read_intensity(path, origin=origin, counted=counted, label=label)
    harmonics = sheet.table("harmonics", {})
    light = attenuation(
        sheet.quantity("energy", "J", above=0),
        salt=sheet.string("salt"),
        solvent=sheet.string("solvent"),
        harmonics={_order(harmonics, key): harmonics.number(key, least=0, most=1) for key in harmonics},
    )
    beam = sheet.quantity("beam_width", "m", 0.0, least=0)
    margin = sheet.quantity("margin", "m", max(50e-6, 2 * beam), least=0)
    data = concentration(
        replace(measured, time=measured.time + offset), case.transport, light,
        sheet.quantity("path_length", "m", above=0), case.c0,
        path_error=sheet.quantity("path_error", "m", 0.0, least=0), inside=(margin, case.cell.thickness - margin),
    )  # fmt: skip
    return Dataset("profile", label, data, beam_width=beam)


def _order(harmonics: Table, key: str) -> int:
    if not key.isdigit() or int(key) < 2:
        raise harmonics.error(key, "must be headed by the order of the harmonic, 2 or more")
    return int(key)


def _sheet_mri(sheet: Table, path: Path, label: str, offset: float, case: Case) -> Dataset:
    from cellsim.instruments.mri import predicted_signal, to_concentration

    profiles = read_mri(path, label=label)
    profiles = profiles.first(sheet.integer("profiles", profiles.time.size, least=2))
    positive = cast(Any, sheet.choice("positive", ["lower", "upper"]))
    normalise = cast(Any, sheet.choice("normalise", ["pixel", "mean"], "pixel"))
    margin = sheet.number("margin", 1.6, least=0)
    found = to_concentration(profiles, case.c0, positive=positive, normalise=normalise, margin=margin)
    data = replace(found.map, time=found.map.time + offset)

    def forward(solution: Solution) -> Array:
        """The prediction through the same scanner and the same steps."""
        seen = predicted_signal(solution, profiles.z, data.time, edges=found.edges, positive=positive)
        back = to_concentration(seen, case.c0, positive=positive, normalise=normalise, edges=found.edges, margin=margin)
        return np.where((data.time <= solution["time"][-1])[:, None], back.map.c, np.nan)

    balance = float(np.max(np.abs(found.balance - 1)))
    notes = (
        f"edges {1e3 * found.edges.thickness:.3f} mm apart, blur {1e6 * found.edges.blur:.0f} um, noise "
        f"{100 * found.noise:.1f} %, structure {100 * found.structure:.1f} % of the signal",
        f"salt balance: total signal within {100 * balance:.1f} % of the first profile's, noise of the pixels "
        f"{100 * found.balance_error:.1f} %",
    )
    return Dataset("profile", label, data, notes, forward)
