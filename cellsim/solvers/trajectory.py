"""What the sundials solver keeps of a run: states, and a Solution whose arrays are made when first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cellsim.base import Array
from cellsim.cell.geometry import Cell
from cellsim.electrolyte.transport import TransportSet
from cellsim.model import equations
from cellsim.solvers.banded import Banded
from cellsim.solvers.columns import Columns, derive
from cellsim.solvers.march import Options, StepLog
from cellsim.solvers.solution import VARIABLES, SolverRun
from cellsim.solvers.spectral import Fields, Observed, Spectral

PARTS = ("V", "V_ohmic", "V_concentration", "V_positive", "V_negative")


@dataclass
class Trajectory:
    """States of a run in time order, with what belongs to each, and how the run ended."""

    grid: Spectral | Banded
    options: Options
    time: list[Array] = field(default_factory=list)
    states: list[Array] = field(default_factory=list)
    step: list[tuple[int, int]] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)
    log: list[StepLog] = field(default_factory=list)
    status: str = "done"
    message: str = "the protocol ran to its end"
    evaluations: int = 0
    tail: float = 0.0
    quadrature: float = 0.0

    @property
    def doubt(self) -> float:
        """Estimated relative error of the spatial discretisation, from a thousandth of each step on."""
        return max(self.tail, self.quadrature)

    def add(self, index: int, times: Array, states: Array, observed: Observed) -> None:
        """Keep states."""
        self.time.append(times)
        self.states.append(states)
        self.step.append((index, times.size))
        self.observed.append(observed)

    def fail(self, status: str, message: str) -> None:
        """Say how the run ended."""
        self.status, self.message = status, message

    def solver_run(self, cell: Cell, transport: TransportSet) -> SolverRun:
        """What was found; the arrays are made when first asked for."""
        arrays = LazyArrays(self, cell, transport)
        return SolverRun(
            arrays,
            arrays.coordinates,
            self.status,
            self.message,
            tuple(dict(vars(entry)) for entry in self.log),
            self.grid.physics.seen(np.concatenate([s.extremes for s in self.observed])),
            {"time_steps": self.evaluations, "unknowns": self.grid.unknowns, "spatial_doubt": self.doubt},
        )


class LazyFields:
    """Profiles of a run on the output cells, made when first asked for.

    Arrays and coordinates share this and do not hold each other: a cycle would keep the states of thousands of runs
    until the garbage collector comes by, which saw a gigabyte grow.
    """

    def __init__(self, run: Trajectory) -> None:
        self._run = run

    @cached_property
    def fields(self) -> Fields:
        """Profiles on the output cells."""
        run = self._run
        frame = run.grid.physics.frame
        fields = run.grid.fields(np.concatenate(run.states), np.concatenate([s.i for s in run.observed]), run.options)
        return fields if frame is None else frame.fields(fields)


class LazyArrays(Mapping[str, Array]):
    """The variables of a Solution, made from the states when first asked for, the cheap ones before the rest."""

    def __init__(self, run: Trajectory, cell: Cell, transport: TransportSet) -> None:
        self._run, self._cell, self._transport = run, cell, transport
        self._arrays: dict[str, Array] = {"i": np.concatenate([s.i for s in run.observed])}
        self._profiles = LazyFields(run)
        self.coordinates = LazyCoordinates(self._profiles, np.concatenate(run.time))

    @property
    def trajectory(self) -> Trajectory:
        """What it is made from."""
        return self._run

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            if name not in VARIABLES:
                raise KeyError(name)
            if name in ("c", "c_face"):
                self._arrays[name] = getattr(self.fields, name)
            elif name in ("interface_shift", "v_interface"):
                moved = self._dissolved[name == "v_interface"]
                velocity = equations.interface_velocity(moved, self._cell.V_metal, self._transport.z_plus)
                self._arrays[name] = velocity
            elif name == "position_face":
                self._arrays[name] = self._faces
            elif name == "step":
                self._arrays[name] = np.repeat(*np.array(self._run.step).T)
            elif name in PARTS:
                self._arrays |= self._voltage()
            else:
                self._arrays = derive(self._columns, self._cell, self._transport, name) | self._arrays
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VARIABLES)

    def __len__(self) -> int:
        return len(VARIABLES)

    def __contains__(self, name: object) -> bool:
        return name in VARIABLES

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    @property
    def fields(self) -> Fields:
        """Profiles on the output cells."""
        return self._profiles.fields

    @property
    def _faces(self) -> Array:
        faces, position = self.fields.faces, self.fields.position
        return np.broadcast_to(faces, (self.coordinates["time"].size, faces.size)) if position is None else position

    @cached_property
    def _dissolved(self) -> tuple[Array, Array]:
        """Charge since the start [C/m^2] and current density [A/m^2] that dissolve metal at the positive electrode."""
        run, electrode = self._run, self._cell.positive
        states, m = np.concatenate(run.states), run.grid.unknowns
        charge, i = np.asarray(states[:, m] / run.grid.physics.per_charge), self._arrays["i"]
        if not electrode.capacitance:
            return charge, i
        u, T = states[:, m + 1], self._cell.temperature
        wall = run.grid.physics.seen(np.concatenate([s.wall for s in run.observed]))
        rows = zip(u.tolist(), wall[:, 0].tolist(), self.coordinates["time"].tolist(), strict=True)
        return charge - electrode.capacitance * u, np.array([electrode.transferred(x, c, T, t) for x, c, t in rows])

    def _parts(self) -> Array:
        run, clamped = self._run, self._transport.with_extrapolation("clamp")
        wall = run.grid.physics.seen(np.concatenate([s.wall for s in run.observed]))
        resistance = np.concatenate([s.resistance for s in run.observed])
        parts = voltage_parts(self._cell, clamped, self.coordinates["time"], self._arrays["i"], resistance, wall)
        for side, electrode in enumerate((self._cell.positive, self._cell.negative)):
            if electrode.capacitance:
                parts[:, 2 + side] = np.concatenate(run.states)[:, run.grid.unknowns + 1 + side]
        return parts

    def _voltage(self) -> dict[str, Array]:
        parts = self._parts()
        return {"V": parts.sum(axis=1)} | {name: parts[:, k] for k, name in enumerate(PARTS[1:])}

    @cached_property
    def _columns(self) -> Columns:
        fields, clamped, i = self.fields, self._transport.with_extrapolation("clamp"), self._arrays["i"]
        return Columns(
            time=self.coordinates["time"],
            step=self["step"],
            i=i,
            c=fields.c,
            c_face=fields.c_face,
            parts=self._parts(),
            faces=self._faces,
            N_salt=fields.N_salt,
            N_0=equations.solvent_flux(fields.N_salt, clamped.volume_ratio(fields.c_face))
            if fields.N_0 is None
            else fields.N_0,
            charge=self._dissolved[0],
            i_dissolving=self._dissolved[1],
        )


class LazyCoordinates(Mapping[str, Array]):
    """`time` at once, `x` and `face` with the profiles."""

    def __init__(self, profiles: LazyFields, time: Array) -> None:
        self._profiles, self._time = profiles, time

    def __getitem__(self, name: str) -> Array:
        if name == "time":
            return self._time
        faces = self._profiles.fields.faces
        if name == "face":
            return faces
        if name == "x":
            return 0.5 * (faces[1:] + faces[:-1])
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("time", "x", "face"))

    def __len__(self) -> int:
        return 3

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def voltage_parts(cell: Cell, transport: TransportSet, time: Array, i: Array, resistance: Array, wall: Array) -> Array:
    """The four parts of the voltage for many states [V], shape (t, 4); see :class:`.VoltageLaw`."""
    T = cell.temperature
    parts = np.empty((time.size, 4))
    parts[:, 0] = i * resistance
    parts[:, 1] = transport.concentration_voltage(wall[:, 0], wall[:, 1])
    rows = zip(i.tolist(), wall.tolist(), time.tolist(), strict=True)
    parts[:, 2:] = [(cell.positive.loss(j, w[0], T, t), -cell.negative.loss(-j, w[1], T, t)) for j, w, t in rows]
    return parts
