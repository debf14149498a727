"""One experiment of a fit: a cell, what is done to it, its own nuisances, and each thing that was measured on it."""

from __future__ import annotations

import logging
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.transport import TransportSet
from cellsim.fit.noise import Noise
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

Kind = Literal["current", "voltage", "profile", "velocity", "signal", "potential", "current_fraction", "conductivity"]
ROLES: Mapping[str, float] = {
    "gain": 1.0, "background": 0.0, "time_offset": 0.0, "position_offset": 0.0, "velocity_scale": 1.0,
}  # fmt: skip
"""Nuisances of a measurement, and their values where they are not fitted."""


class Look(typing.Protocol):
    """What an instrument makes of a run."""

    def times(self, values: Mapping[str, float]) -> Array:
        """When a run must be kept for it [s]; empty where it looks at the set alone."""

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """The prediction, shape (n,), NaN where there is none. `values`: nuisances by role."""


@dataclass(frozen=True)
class Observation:
    """A measurement with its error model and its nuisances.

    Parameters
    ----------
    label : str
        For reports.
    kind : str
        What it is; one of :data:`Kind`.
    measured : ndarray, shape (n,)
        In SI, or in the unit of a raw signal.
    noise : Noise
        How it scatters.
    look : Look
        What predicts it.
    nuisance : mapping
        Role (:data:`ROLES`, or one of the look's own) -> name of the parameter that plays it.
    profiled : tuple of {"gain", "background"}
        What is free in every profile by itself: the best value is taken for each, at no cost in parameters.
    time : ndarray, shape (n,)
        When each point was measured [s], for holding out late ones and for figures.
    position : ndarray, shape (n,), optional
        Where [m], from the positive interface.
    """

    label: str
    kind: Kind
    measured: Array
    noise: Noise
    look: Look
    nuisance: Mapping[str, str] = field(default_factory=dict)
    profiled: tuple[str, ...] = ()
    time: Array = field(default_factory=lambda: np.zeros(0))
    position: Array | None = None

    def __post_init__(self) -> None:
        if self.measured.shape != self.noise.sigma.shape or not self.measured.size:
            raise InputError(f"{self.label}: {self.measured.size} points, but {self.noise.sigma.size} errors")
        if not np.all(np.isfinite(self.measured)):
            raise InputError(f"{self.label}: holds points that are not numbers; take them out")

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.measured.size)

    def roles(self, values: Mapping[str, float]) -> dict[str, float]:
        """The nuisances of this observation by role, from all parameters by name."""
        return dict(ROLES) | {role: values[name] for role, name in self.nuisance.items()}

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """Prediction, shape (n,); gain and background of the whole measurement applied.

        Parameters
        ----------
        transport : TransportSet
            The trial set.
        solution : Solution or None
            The run, where one is needed.
        values : mapping
            Nuisances by role, as :meth:`roles` gives them.
        """
        return np.asarray(values["background"] + values["gain"] * self.look.predict(transport, solution, values))

    def adjusted(self, predicted: Array) -> Array:
        """A prediction with each profile's own best gain and background, shape (n,)."""
        if not self.profiled:
            return predicted
        made = predicted.copy()
        for part, best in zip(self.noise.slices, self._best(predicted), strict=True):
            made[part] = self._columns(predicted[part]) @ best
            if "gain" not in self.profiled:
                made[part] += predicted[part]
        return made

    def residual(self, predicted: Array) -> Array:
        """Whitened measured minus predicted, shape (n,) [1]; large where there is no prediction."""
        missing = ~np.isfinite(predicted)
        if missing.any():
            predicted = np.where(missing, self.measured, predicted)
        w = self.noise.whiten(self.measured - self.adjusted(predicted))
        if missing.any():
            w = w + NO_PREDICTION * missing
        return w

    def _columns(self, predicted: Array) -> Array:
        columns = {"gain": predicted, "background": np.ones(predicted.size)}
        return np.column_stack([columns[name] for name in self.profiled])

    def _best(self, predicted: Array) -> list[Array]:
        """Each profile's own linear nuisances, by least squares weighted by the errors, those in common included."""
        columns = self._columns(predicted)
        target = self.measured if "gain" in self.profiled else self.measured - predicted
        y = self.noise.correlated(target / self.noise.sigma)
        A = np.column_stack([self.noise.correlated(column / self.noise.sigma) for column in columns.T])
        size = np.maximum(np.linalg.norm(A, axis=0), 1e-300)
        A /= size
        if self.noise.common is None:
            best = [np.linalg.lstsq(A[part], y[part], rcond=None)[0] for part in self.noise.slices]
            return [np.asarray(b / size, dtype=np.float64) for b in best]
        U, weight = self.noise.common
        less = (1 + weight) ** 2 - 1  # C^-1 = 1 + U less U^T, the rest whitened
        k = A.shape[1]
        seen = np.concatenate([A[part].T @ U[part] for part in self.noise.slices])
        normal = (seen * less) @ seen.T
        right = np.concatenate([A[part].T @ y[part] for part in self.noise.slices]) + (seen * less) @ (U.T @ y)
        for j, part in enumerate(self.noise.slices):
            normal[j * k : (j + 1) * k, j * k : (j + 1) * k] += A[part].T @ A[part]
        found = np.linalg.lstsq(normal, right, rcond=None)[0].reshape(-1, k)
        return [np.asarray(row / size, dtype=np.float64) for row in found]

    def only(self, keep: NDArray[np.bool_]) -> Observation:
        """Some of the points; the look must know how to be cut (:meth:`Cut`)."""
        return replace(
            self, measured=self.measured[keep], noise=self.noise.only(keep), look=Cut(self.look, keep),
            time=self.time[keep] if self.time.size else self.time,
            position=None if self.position is None else self.position[keep],
        )  # fmt: skip


NO_PREDICTION = 30.0
"""Residual of a point the run does not reach, in standard errors: enough to drive a search away."""


@dataclass(frozen=True)
class Cut:
    """A look of which only some points are used."""

    look: Look
    keep: NDArray[np.bool_]

    def times(self, values: Mapping[str, float]) -> Array:
        """As the whole look."""
        return self.look.times(values)

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """The points kept."""
        return self.look.predict(transport, solution, values)[self.keep]


CELL_ROLES = ("area", "R_int", "R_positive", "R_negative", "thickness", "c0")
"""Nuisances of a cell: area [m^2], resistances of both or one interface [ohm m^2], thickness [m], salt [mol/m^3]."""


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
    c0 : float
        Initial salt concentration [mol/m^3].
    observations : tuple of Observation
        At least one.
    nuisance : mapping
        Role (:data:`CELL_ROLES`) -> name of the parameter that plays it.
    solver : str
        "sundials" or "material".
    options : Options
        Its tolerances.
    driven_by_total : bool
        Whether the imposed current was measured in A, so that the area divides it.

    Raises
    ------
    InputError
        No observation, a role that does not exist, both R_int and one side's resistance.
    """

    name: str
    cell: Cell
    protocol: Protocol | None
    c0: float
    observations: tuple[Observation, ...]
    nuisance: Mapping[str, str] = field(default_factory=dict)
    solver: str = "sundials"
    options: Options = field(default_factory=lambda: Options(rtol=1e-5, cells=320))
    driven_by_total: bool = False

    def __post_init__(self) -> None:
        if not self.observations:
            raise InputError(f"experiment {self.name}: nothing was measured; name data")
        for role in self.nuisance:
            if role not in CELL_ROLES:
                raise InputError(f"experiment {self.name}: {role!r} is no nuisance of a cell: {', '.join(CELL_ROLES)}")
        if "R_int" in self.nuisance and {"R_positive", "R_negative"} & set(self.nuisance):
            raise InputError(f"experiment {self.name}: give R_int for both interfaces, or R_positive and R_negative")
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

    def build(self, values: Mapping[str, float]) -> tuple[Cell, Protocol | None, float]:
        """Cell, protocol and initial concentration with the nuisances at `values`."""
        role = {r: values[name] for r, name in self.nuisance.items()}
        cell = self.cell
        for side, key in (("positive", "R_positive"), ("negative", "R_negative")):
            resistance = role.get(key, role.get("R_int"))
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

    def run(self, transport: TransportSet, values: Mapping[str, float]) -> Solution | None:
        """The run that all observations look at; None where none is needed.

        Raises
        ------
        CellsimError
            The cell cannot be run at these values.
        """
        cell, protocol, c0 = self.build(values)
        if protocol is None:
            return None
        asked = [o.look.times(o.roles(values)) for o in self.observations]
        times = np.unique(np.concatenate([*asked, [0.0]]))
        times = times[(times >= 0) & (times <= protocol.duration)]
        with _quiet_solver():
            return simulate(cell, transport, protocol, c0=c0, times=times, solver=self.solver, options=self.options)

    def look(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> list[Array]:
        """Predictions of all observations from a run, each of its own shape (n,)."""
        ratio = {"area_ratio": self.area_ratio(values)}
        return [o.predict(transport, solution, o.roles(values) | ratio) for o in self.observations]


@contextmanager
def _quiet_solver() -> Iterator[None]:
    """A search tries sets no grid resolves; what the solver says of each would drown the rest."""
    logger = logging.getLogger("cellsim.solvers.sundials")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
