"""Measured data sets, as `cellsim compare` reads them, made observations of a fit: errors, correlations, use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.electrolyte.transport import TransportSet
from cellsim.fit.experiment import Look, Observation
from cellsim.fit.looks import ProfileLook, SeriesLook, SetLook, VelocityLook
from cellsim.fit.noise import Noise, independent
from cellsim.instruments.concentration import ConcentrationMap
from cellsim.instruments.maps import VelocityTable
from cellsim.instruments.potentiostat import split_heading
from cellsim.instruments.tables import read_table, unit_factor
from cellsim.run.case import Case
from cellsim.run.data import Dataset, Series
from cellsim.solvers.solution import Solution

Mask = NDArray[np.bool_]

MOST_POINTS = 400
"""A series is thinned to this many points: a potentiostat's thousands are no more independent than that."""


@dataclass(frozen=True)
class Use:
    """What of a data set is used, and how it is said to scatter.

    Parameters
    ----------
    error : float, optional
        Standard error of every point [SI]; instead of the file's own.
    relative_error : float, optional
        The same, relative to the mean magnitude of the data [1].
    free : bool
        Whether the level of the noise is found with the rest.
    correlation : float
        Length over which neighbouring points of a profile scatter together [m].
    start, stop : float
        Times used [s], on the run's clock.
    every : int
        Every so many of the profiles or points.
    profiled : tuple of str
        "gain", "background": free in every profile.
    nuisance : mapping
        Role -> parameter.
    """

    error: float | None = None
    relative_error: float | None = None
    free: bool = False
    correlation: float = 0.0
    start: float = -np.inf
    stop: float = np.inf
    every: int = 1
    profiled: tuple[str, ...] = ()
    nuisance: Mapping[str, str] = field(default_factory=dict)


def observe(dataset: Dataset, case: Case, use: Use = Use()) -> Observation:
    """One data set as an observation of a fit.

    Points outside the run, outside the cell, or without a number are left out.

    Parameters
    ----------
    dataset : Dataset
        As :func:`cellsim.run.data.read_data` gives it.
    case : Case
        What it was measured on.
    use : Use
        Errors and what is used.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        No errors and none asked, nothing left of the data, profiled gains of something that is no profile.
    """
    if use.profiled and not isinstance(dataset.data, ConcentrationMap):
        raise InputError(f"{dataset.label}: a gain or background of each profile needs profiles")
    if isinstance(dataset.data, Series):
        return _series(dataset, dataset.data, case, use)
    if isinstance(dataset.data, ConcentrationMap):
        return _profiles(dataset, dataset.data, case, use)
    return _velocities(dataset, dataset.data, case, use)


def _span(time: Array, case: Case, use: Use) -> Mask:
    """Points the run reaches; a tenth of a per cent over its end is rounding."""
    end = min(use.stop, case.protocol.duration)
    return np.asarray((time >= max(use.start, 0.0)) & (time <= end * (1 + 1e-3)))


def _errors(stated: Array | None, values: Array, use: Use, label: str) -> Array:
    if use.error is not None:
        return np.full(values.shape, use.error)
    if use.relative_error is not None:
        return np.full(values.shape, use.relative_error * float(np.mean(np.abs(values))))
    if stated is not None:
        return stated
    if use.free:
        return np.full(values.shape, 0.01 * float(np.mean(np.abs(values))))
    raise InputError(f'{label}: states no errors; give error = "2 %", or noise = "free" to find the level with the fit')


def _left(mask: Mask, label: str) -> Mask:
    if not mask.any():
        raise InputError(f"{label}: no point lies within the run, the cell and the times used")
    return mask


def _series(dataset: Dataset, data: Series, case: Case, use: Use) -> Observation:
    keep = _left(_span(data.time, case, use) & np.isfinite(data.value), dataset.label)
    places = np.flatnonzero(keep)[:: use.every]
    places = places[:: max(1, -(-places.size // MOST_POINTS))]
    time, value = np.minimum(data.time[places], case.protocol.duration), data.value[places]
    error = _errors(None if data.error is None else data.error[places], value, use, dataset.label)
    look = SeriesLook("i" if dataset.kind == "current" else "V", time)
    return Observation(
        dataset.label, dataset.kind, value, independent(error, free=use.free), look, use.nuisance, (), time
    )


def _profiles(dataset: Dataset, data: ConcentrationMap, case: Case, use: Use) -> Observation:
    rows = np.flatnonzero(_left(_span(data.time, case, use), dataset.label))[:: use.every]
    time = np.minimum(data.time[rows], case.protocol.duration)
    c = data.c[rows]
    error = _errors(None if data.error is None else data.error[rows], c, use, dataset.label)
    inside = (data.position > 0) & (data.position < case.cell.thickness)
    keep = _left(np.isfinite(c) & (error > 0) & inside, dataset.label)
    group, column = np.nonzero(keep)
    sigma, columns = error[keep], []
    if data.shared is not None and use.error is None and use.relative_error is None:
        common = data.shared[column]
        sigma = np.sqrt(np.maximum(sigma**2 - common**2, (0.1 * sigma) ** 2))
        one_each = np.zeros((sigma.size, data.position.size))
        one_each[np.arange(sigma.size), column] = common / sigma
        columns.append(one_each[:, np.any(one_each > 0, axis=0)])
    if data.scale_error > 0:
        columns.append((data.scale_error * (c[keep] - case.c0) / sigma)[:, None])
    shared = np.concatenate(columns, axis=1) if columns else None
    length = use.correlation or 0.5 * data.resolution
    noise = Noise(sigma, group, data.position[column], length, shared, use.free)
    look: Look
    if dataset.forward is None:
        look = ProfileLook(time, data.position, keep, dataset.beam_width)
    else:
        look = _Forward(time, dataset.forward, rows, keep)
    return Observation(
        dataset.label, "profile", c[keep], noise, look, use.nuisance, use.profiled, time[group], data.position[column]
    )


def _velocities(dataset: Dataset, data: VelocityTable, case: Case, use: Use) -> Observation:
    keep = _left(_span(data.time, case, use) & np.isfinite(data.v), dataset.label)
    places = np.flatnonzero(keep)[:: use.every]
    error = _errors(None if data.error is None else data.error[places], data.v[places], use, dataset.label)
    table = VelocityTable(
        np.minimum(data.time[places], case.protocol.duration), data.position[places], data.v[places], error,
        data.quantity, data.frame, data.unsigned, data.position_error, data.beam_width, data.label,
    )  # fmt: skip
    return Observation(
        dataset.label, "velocity", table.v, independent(error, free=use.free), VelocityLook(table), use.nuisance, (),
        table.time, table.position,
    )  # fmt: skip


@dataclass(frozen=True)
class _Forward:
    """An instrument that brings its own prediction, such as normalised MRI profiles."""

    time: Array
    forward: Callable[[Solution], Array]
    rows: NDArray[np.int64]
    keep: Mask

    def times(self, values: Mapping[str, float]) -> Array:
        return self.time + values["time_offset"]

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        assert solution is not None
        return np.asarray(self.forward(solution)[self.rows][self.keep])


# ---- what needs no run --------------------------------------------------------------------------------------------

POINT_KINDS = ("potential", "current_fraction", "conductivity")
_UNITS = {"potential": "V", "current_fraction": "", "conductivity": "S/m"}
_NAMES = {"potential": ("U", "V"), "current_fraction": ("rho_plus", "current_fraction"), "conductivity": ("kappa",)}


def read_points(
    path: Path, kind: str, transport: TransportSet, *, reference: float | None = None, use: Use = Use(), label: str = ""
) -> Observation:
    """Concentration potentials, current fractions or conductivities at several concentrations.

    Parameters
    ----------
    path : Path
        Table: ``c (mol/L)``, ``m (mol/kg)`` or ``r``; then ``U (V)``, ``rho_plus`` or ``kappa (S/cm)``; and, if known,
        ``error`` in the same unit.
    kind : {"potential", "current_fraction", "conductivity"}
        What it holds.
    transport : TransportSet
        For its volumes.
    reference : float, optional
        Concentration of the reference of U [mol/m^3].
    use : Use
        Errors.
    label : str
        For reports.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        A column missing or of the wrong unit, a potential without its reference.
    """
    table = read_table(path)
    label = label or path.name
    unit = _UNITS[kind]
    headings = [split_heading(h) for h in table.header]
    found: dict[str, Array] = {}
    for k, (name, stated) in enumerate(headings):
        if name in ("c", "m", "r"):
            si = {"c": "mol/m^3", "m": "mol/kg", "r": ""}[name]
            factor = unit_factor(stated, [si], field=f"{path}: {name}")[0] if si else 1.0
            found["c"] = np.array([transport.c_of(**{name: float(x) * factor}) for x in table.numbers(k)])
        elif name in _NAMES[kind] or name.lower() == "error":
            factor = unit_factor(stated, [unit], field=f"{path}: {name}")[0] if unit else 1.0
            found["error" if name.lower() == "error" else "value"] = table.numbers(k) * factor
    for key, wanted in (("c", "c, m or r"), ("value", f"{_NAMES[kind][0]} ({unit or '1'})")):
        if key not in found:
            raise InputError(f"{path}: no column {wanted}; found {', '.join(table.header[:6])}")
    if kind == "potential" and reference is None:
        raise InputError(f"{path}: a concentration potential needs reference, the concentration of its other half")
    error = _errors(found.get("error"), found["value"], use, label)
    look = SetLook(cast(Literal["potential"], kind), found["c"], np.nan if reference is None else reference)
    return Observation(
        label, cast(Literal["potential"], kind), found["value"], independent(error, free=use.free), look, use.nuisance
    )
