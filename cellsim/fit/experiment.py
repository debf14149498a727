"""One experiment of a fit: a cell and what is done to it, its own nuisances, and all that was measured on it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cellsim.cell import Cell
from cellsim.errors import InputError
from cellsim.fit.observation import Observation
from cellsim.kinetics import Electrode, Resistance
from cellsim.protocol import Protocol
from cellsim.simulation import simulate
from cellsim.solution import Solution
from cellsim.solvers.state import Options
from cellsim.transport import TransportSet

Array = NDArray[np.float64]

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
