"""One experiment of a fit: a cell, what is done to it, its own nuisances, and each thing that was measured on it.

An observation is a measurement of which a fit uses some points, with errors for all of them, and the parameters that
play the roles of its nuisances.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import cast

import numpy as np

from cellsim.base import Array, Bools, InputError
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import Electrolyte, MixtureSet
from cellsim.files.schema import Table
from cellsim.instruments.looks import ROLES
from cellsim.instruments.measurement import QUANTITIES, Measurement, Spans, left_out, what_would_fit, where_inside
from cellsim.instruments.records import Setup
from cellsim.run.simulation import FASTEST, Call, simulate_beside, simulate_whole
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

NO_PREDICTION = 30.0
"""Residual of a point the run does not reach, in standard errors: enough to drive a search away."""
MOST_POINTS = 400
"""A series is thinned to this many points: a potentiostat's thousands are no more independent than that."""
BEYOND = 1e-3
"""Share of a run's duration by which a point may lie after its end: clocks and tables round."""
GUESS = 0.01
"""First guess of a free noise level, relative to the mean magnitude of the data."""


class NothingMeasured(InputError):
    """No data yet, or none that a parameter acts on: more of them would mend it."""

    @property
    def lack(self) -> str:
        """The message without its last part, which says what to change in the fit's file."""
        return str(self).rpartition("; ")[0]


@dataclass(frozen=True)
class Observation(Measurement):
    """A measurement as a fit uses it: every point has an error, and its nuisances have names.

    Parameters
    ----------
    nuisance : mapping
        Role (:data:`.ROLES`, or one of the look's own) -> name of the parameter that plays it.
    profiled : tuple of {"gain", "background"}
        What is free in every profile by itself: the best value is taken for each, at no cost in parameters.

    Raises
    ------
    InputError
        Errors that are not stated, or not positive.
    """

    nuisance: Mapping[str, str] = field(default_factory=dict)
    profiled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            _ = self.noise.own
        except InputError as error:
            raise InputError(f"{self.label}: {error}") from error

    @classmethod
    def of(
        cls, measurement: Measurement, nuisance: Mapping[str, str] | None = None, profiled: tuple[str, ...] = ()
    ) -> Observation:
        """A measurement whose errors are known, with its nuisances."""
        known = {f.name: getattr(measurement, f.name) for f in fields(Measurement)}
        return cls(**known, nuisance=dict(nuisance or {}), profiled=profiled)

    @property
    def profiled_numbers(self) -> int:
        """How many numbers are profiled out [1]."""
        return len(self.profiled) * len(self.noise.slices)

    def roles(self, values: Mapping[str, float]) -> dict[str, float]:
        """The nuisances of this observation by role, from all parameters by name."""
        return dict(ROLES) | {role: values[name] for role, name in self.nuisance.items()}

    def adjusted(self, predicted: Array) -> Array:
        """A prediction with each profile's own best gain and background, shape (n,)."""
        if not self.profiled:
            return predicted
        adjusted = predicted.copy()
        for points, best in zip(self.noise.slices, self._best(predicted), strict=True):
            adjusted[points] = self._columns(predicted[points]) @ best
            if "gain" not in self.profiled:
                adjusted[points] += predicted[points]
        return adjusted

    def residual(self, predicted: Array) -> Array:
        """Whitened measured minus predicted, shape (n,) [1]; large where there is no prediction."""
        missing = ~np.isfinite(predicted)
        if missing.any():
            predicted = np.where(missing, self.value, predicted)
        w = self.noise.whiten(self.value - self.adjusted(predicted))
        if missing.any():
            w = w + NO_PREDICTION * missing
        return w

    def _columns(self, predicted: Array) -> Array:
        columns = {"gain": predicted, "background": np.ones(predicted.size)}
        return np.column_stack([columns[name] for name in self.profiled])

    def _best(self, predicted: Array) -> list[Array]:
        """Each profile's own linear nuisances, by least squares weighted by the errors, those in common included."""
        columns = self._columns(predicted)
        target = self.value if "gain" in self.profiled else self.value - predicted
        y = self.noise.correlated(target / self.noise.own)
        A = np.column_stack([self.noise.correlated(column / self.noise.own) for column in columns.T])
        size = np.maximum(np.linalg.norm(A, axis=0), 1e-300)
        A /= size
        if self.noise.common is None:
            best = [np.linalg.lstsq(A[points], y[points], rcond=None)[0] for points in self.noise.slices]
            return [np.asarray(b / size, dtype=np.float64) for b in best]
        # Errors in common tie the profiles together: one system for the gains of all, of two rows for each profile.
        # C^-1 = 1 + U less U^T, the rest whitened, so it is built from the few directions U.
        U, weight = self.noise.common
        less = (1 + weight) ** 2 - 1
        k = A.shape[1]
        projected = np.concatenate([A[points].T @ U[points] for points in self.noise.slices])
        normal = (projected * less) @ projected.T
        right = np.concatenate([A[points].T @ y[points] for points in self.noise.slices])
        right = right + (projected * less) @ (U.T @ y)
        for j, points in enumerate(self.noise.slices):
            normal[j * k : (j + 1) * k, j * k : (j + 1) * k] += A[points].T @ A[points]
        solved = np.linalg.lstsq(normal, right, rcond=None)[0].reshape(-1, k)
        return [np.asarray(row / size, dtype=np.float64) for row in solved]


@dataclass(frozen=True)
class Selection:
    """Which points of a measurement a fit uses, and how they are said to scatter.

    Parameters
    ----------
    error : float, optional
        Standard error of every point [SI]; instead of the measurement's own.
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
    """

    error: float | None = None
    relative_error: float | None = None
    free: bool = False
    correlation: float = 0.0
    start: float = -np.inf
    stop: float = np.inf
    every: int = 1


def read_selection(entry: Table, kind: str) -> Selection:
    """The errors that an entry states, or that their level is to be found."""
    absolute, relative = _error(entry, QUANTITIES[kind].unit)
    return Selection(absolute, relative, entry.choice("noise", ["stated", "free"], "stated") == "free")


def _error(entry: Table, unit: str) -> tuple[float | None, float | None]:
    """The error of every point, absolute [SI] or relative to the mean magnitude [1], as stated; None where not."""
    raw = entry.data.get("error")
    if isinstance(raw, str) and raw.strip().endswith("%"):
        return None, entry.quantity("error", "", above=0)
    if raw is None:
        return None, None
    return (entry.quantity("error", unit, above=0) if unit else entry.number("error", above=0)), None


def observe(
    measurement: Measurement,
    setup: Setup | None,
    selection: Selection = Selection(),
    *,
    nuisance: Mapping[str, str] | None = None,
    profiled: tuple[str, ...] = (),
    spans: Spans | None = None,
) -> Observation:
    """A measurement as an observation of a fit.

    Points outside the run and outside the cell are left out, and those at which the case imposes what was measured.

    Parameters
    ----------
    measurement : Measurement
        As :func:`.read_measurements` gives it.
    setup : Setup, optional
        What it was measured on; None where no run is needed.
    selection : Selection
        Points and errors.
    nuisance, profiled
        As :class:`Observation`.
    spans : sequence of tuple, optional
        When each step drives what, of a run; default those of a protocol of which no step ends early.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        No errors and none asked, nothing left of the data, profiled gains of something that is no profile.
    """
    m, label = measurement, measurement.label
    if profiled and m.kind != "profile":
        raise InputError(f"{label}: a gain or background of each profile needs profiles")
    if spans is None:
        spans = [("rest", 0.0, np.inf)] if setup is None else setup.protocol.spans()
    keep, end = np.ones(m.size, dtype=bool), spans[-1][2]
    causes: list[tuple[Bools, str]] = []
    if m.time.size:
        causes = [
            (m.time < 0, "before the run begins"),
            (m.time > end * (1 + BEYOND), f"after the run ends at {end:.6g} s"),
            (m.imposed(spans), f"where the case imposes the {m.kind}"),
        ]
        keep = (m.time >= selection.start) & (m.time <= selection.stop * (1 + BEYOND))
    given = selection.error is not None or selection.relative_error is not None
    if m.error is not None and not given:
        causes.append((m.error <= 0, "with an error of zero"))
    for points, _ in causes:
        keep &= ~points
    _not_empty(keep, label, left_out(m.size, causes))
    notes = list(m.notes)
    if m.time.size:
        whole = np.count_nonzero(keep)
        keep = _thinned(keep, m, selection.every)
        if m.kind != "profile" and selection.every == 1 and np.count_nonzero(keep) < whole:
            notes.append(f"{np.count_nonzero(keep)} of its {whole} points are used, spread evenly")
    value = m.value[keep]
    sigma = _errors(None if m.error is None else m.error[keep], value, selection, label)
    inside, why = np.ones(value.size, dtype=bool), ""
    if m.kind == "profile" and m.position is not None and setup is not None:
        outside = (m.position <= 0) | (m.position >= setup.cell.thickness)
        causes.append((outside, "outside the cell"))
        inside, why = ~outside[keep], where_inside(m.position, setup.cell.thickness)
        _not_empty(inside, label, left_out(m.size, causes, why=why))
        keep[keep] = inside
    used = m.only(keep, end=end)
    noise = replace(used.noise, free=selection.free, length=selection.correlation or used.noise.length)
    if m.error is None or given:
        noise = noise.with_errors(sigma[inside])
    notes += [*left_out(m.size, causes, why=why), *m.clock_note(spans, 0.0 if setup is None else setup.protocol.moved)]
    return Observation.of(replace(used, noise=noise, notes=tuple(notes)), nuisance, profiled)


def _not_empty(keep: Bools, label: str, causes: tuple[str, ...]) -> None:
    if not keep.any():
        said = f": {causes[0]}" if causes else ""
        raise InputError(f"{label}: no point lies within the run, the cell and the times used{said}")


def _thinned(keep: Bools, m: Measurement, every: int) -> Bools:
    """Every so many of the profiles, or of the points, and of a series no more than :data:`MOST_POINTS`."""
    if m.kind == "profile":
        return np.asarray(keep & np.isin(m.time, np.unique(m.time[keep])[::every]))
    places = np.flatnonzero(keep)[::every]
    if m.kind in ("current", "voltage"):
        places = places[:: max(1, -(-places.size // MOST_POINTS))]
    thinned = np.zeros(m.size, dtype=bool)
    thinned[places] = True
    return thinned


def _errors(stated: Array | None, values: Array, selection: Selection, label: str) -> Array:
    """Standard errors: those the fit's file gives, else those of the data, else a guess where the level is free."""
    if selection.error is not None:
        return np.full(values.shape, selection.error)
    if selection.relative_error is not None:
        return np.full(values.shape, selection.relative_error * float(np.mean(np.abs(values))))
    if stated is not None:
        return stated
    if selection.free:
        return np.full(values.shape, GUESS * float(np.mean(np.abs(values))))
    raise InputError(f'{label}: states no errors; give error = "2 %", or noise = "free" to find the level with the fit')


CELL_ROLES = ("area", "R_int", "R_positive", "R_negative", "thickness", "c0")
"""Nuisances of a cell: area [m^2], resistance of both interfaces together or of one [ohm m^2], thickness [m], salt."""


@dataclass(frozen=True)
class Experiment:
    """A cell, a protocol and the observations made on it.

    Parameters
    ----------
    name : str
        For reports.
    cell : Cell
        As built; its nuisances take the place of what it states.
    protocol : Protocol
        The steps; None where only the set itself is looked at (concentration cells, conductivities).
    c0 : float or ndarray
        Average salt concentration [mol/m^3]; of n components r, shape (K,) [1].
    observations : tuple of Observation
        At least one.
    nuisance : mapping
        Role (:data:`CELL_ROLES`) -> name of the parameter that plays it.
    solver : str
        As :func:`cellsim.simulate`.
    options : Options
        Its tolerances.
    driven_by_total : bool
        Whether the imposed current was measured in A, so that the area divides it.
    notes : tuple of str
        What of its data is left aside, and why.
    initial : InitialProfile, optional
        The profile it begins with, scaled to the nuisances `c0` and `thickness`; None: uniform.

    Raises
    ------
    InputError
        No observation, a role that does not exist, both R_int and one side's resistance.
    """

    name: str
    cell: Cell
    protocol: Protocol | None
    c0: float | Array
    observations: tuple[Observation, ...]
    nuisance: Mapping[str, str] = field(default_factory=dict)
    solver: str = FASTEST
    options: Options = field(default_factory=lambda: Options(rtol=1e-5, cells=320))
    driven_by_total: bool = False
    notes: tuple[str, ...] = ()
    initial: InitialProfile | None = None

    def __post_init__(self) -> None:
        if not self.observations:
            raise NothingMeasured(f"experiment {self.name}: it has no data; name some under data")
        for role in self.nuisance:
            if role not in CELL_ROLES:
                raise InputError(f"experiment {self.name}: {role!r} is no nuisance of a cell: {', '.join(CELL_ROLES)}")
        if "R_int" in self.nuisance and {"R_positive", "R_negative"} & set(self.nuisance):
            raise InputError(
                f"experiment {self.name}: give R_int for both interfaces together, or R_positive and R_negative"
            )
        if "area" in self.nuisance and self.cell.area is None:
            raise InputError(
                f"experiment {self.name}: area as a nuisance needs cell.area in the case, its nominal value"
            )

    @property
    def size(self) -> int:
        """Number of points."""
        return sum(o.size for o in self.observations)

    def area_ratio(self, values: Mapping[str, float]) -> float:
        """Area over nominal area [1]."""
        if "area" not in self.nuisance or self.cell.area is None:
            return 1.0
        return values[self.nuisance["area"]] / self.cell.area

    def build(self, values: Mapping[str, float]) -> tuple[Cell, Protocol | None, float | Array]:
        """Cell, protocol and initial concentration with the nuisances at `values`."""
        role = {r: values[name] for r, name in self.nuisance.items()}
        cell = self.cell
        for side, key in (("positive", "R_positive"), ("negative", "R_negative")):
            total = role.get("R_int")  # shared equally: only the sum acts on currents, voltages and profiles
            resistance = role.get(key, None if total is None else 0.5 * total)
            if resistance is not None:
                electrode: Electrode = getattr(cell, side)
                new = replace(electrode, resistance=Resistance(np.array([resistance])))
                cell = replace(cell, positive=new) if side == "positive" else replace(cell, negative=new)
        cell = replace(cell, thickness=role.get("thickness", cell.thickness), area=role.get("area", cell.area))
        protocol, ratio = self.protocol, self.area_ratio(values)
        if protocol is not None and ratio != 1.0 and self.driven_by_total:
            steps = tuple(
                replace(step, value=step.value / ratio) if step.drive == "current" else step for step in protocol.steps
            )
            protocol = Protocol(steps)
        return cell, protocol, role.get("c0", self.c0)

    def _start(self, cell: Cell, c0: float | Array) -> float | InitialProfile | Array:
        return c0 if self.initial is None or not isinstance(c0, float) else self.initial.scaled(c0, cell.thickness)

    def resistance(self, transport: Electrolyte, values: Mapping[str, float]) -> float:
        """That of the fresh cell, thickness/kappa and both interfaces, as a first current sees it [ohm m^2]."""
        cell, _, c0 = self.build(values)
        kappa = transport.at(c0).kappa if isinstance(transport, MixtureSet) else transport.kappa(c0)
        bulk = cell.thickness * cell.separator.macmullin / float(kappa)
        return bulk + cell.positive.resistance.at(0.0) + cell.negative.resistance.at(0.0)

    def run(self, transport: Electrolyte, values: Mapping[str, float]) -> Solution | None:
        """The run that all observations look at; None where none is needed.

        Raises
        ------
        CellsimError
            The cell cannot be run at these values.
        """
        cell, protocol, c0 = self.build(values)
        if protocol is None:
            return None
        start, times = self._start(cell, c0), self._times(values, protocol)
        with _quiet_solver():
            return simulate_whole(
                cell, transport, protocol, c0=start, times=times, solver=self.solver, options=self.options
            )

    def run_beside(
        self, runs: Sequence[tuple[Electrolyte, Mapping[str, float]]], known: Solution | None, *, precise: bool
    ) -> list[Solution]:
        """The run of the first set and values, `known` or not, and of the others, which differ little, by its steps.

        All are more exact than the first by itself if `precise`; see :func:`.simulate_beside`.

        Raises
        ------
        CellsimError
            A cell that cannot be run at these values, or not beside the first.
        """
        calls = []
        for transport, values in runs:
            cell, protocol, c0 = self.build(values)
            assert protocol is not None and not isinstance(transport, MixtureSet)
            start = cast(float | InitialProfile, self._start(cell, c0))
            calls.append(Call(cell, transport, protocol, start, self._times(values, protocol), self.options))
        with _quiet_solver():
            return simulate_beside(calls[0], calls[1:], precise=precise, known=known)

    def _times(self, values: Mapping[str, float], protocol: Protocol) -> Array:
        """When the observations look at the run [s]."""
        wanted = [o.look.times(o.roles(values)) for o in self.observations]
        times = np.unique(np.concatenate([*wanted, [0.0]]))
        return np.asarray(times[(times >= 0) & (times <= protocol.duration)])

    def hints(self, transport: Electrolyte, values: Mapping[str, float]) -> tuple[str, ...]:
        """For each observation, which misreading of its file would explain that a run at `values` misses it by far."""
        cell, protocol, c0 = self.build(values)
        if protocol is None:
            return ("",) * len(self.observations)
        with _quiet_solver():
            start = self._start(cell, c0)
            run = simulate_whole(cell, transport, protocol, c0=start, solver=self.solver, options=self.options)
        return tuple(what_would_fit(o, transport, run) for o in self.observations)

    def look(self, transport: Electrolyte, solution: Solution | None, values: Mapping[str, float]) -> list[Array]:
        """Predictions of all observations from a run, each of its own shape (n,)."""
        ratio = {"area_ratio": self.area_ratio(values)}
        return [o.predict(transport, solution, o.roles(values) | ratio) for o in self.observations]


@contextmanager
def _quiet_solver() -> Iterator[None]:
    """A search tries sets no grid resolves; what the solver says of each would drown the rest."""
    logger = logging.getLogger("cellsim.solvers.refinement")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
