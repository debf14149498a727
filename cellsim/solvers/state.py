"""What a solver hands over: snapshots of the cell in time, and the small contract every time stepper meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.protocol import Step

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
    """The cell at one instant.

    Attributes
    ----------
    time : float
        [s]
    i : float
        Current density [A/m^2].
    c : ndarray, shape (n,)
        Cell averages [mol/m^3].
    wall : ndarray, shape (2,)
        c at x = 0 and x = L [mol/m^3].
    parts : tuple of float
        Ohmic, concentration, positive and negative part of the voltage [V].
    N_salt : ndarray, shape (n + 1,)
        N-/nu- at all faces, interface frame [mol/(m^2 s)].
    N_0 : ndarray, shape (n + 1,)
        Solvent flux at all faces, interface frame [mol/(m^2 s)].
    faces : ndarray, shape (n + 1,)
        Positions of the faces from the positive interface [m].
    """

    time: float
    i: float
    c: Array
    wall: Array
    parts: tuple[float, ...]
    N_salt: Array
    N_0: Array
    faces: Array

    @property
    def voltage(self) -> float:
        """Cell voltage [V]."""
        return float(sum(self.parts))

    @property
    def c_min(self) -> float:
        """Lowest concentration, walls included [mol/m^3]."""
        return float(min(self.c.min(), self.wall.min()))

    @property
    def c_max(self) -> float:
        """Highest concentration, walls included [mol/m^3]."""
        return float(max(self.c.max(), self.wall.max()))


class Stepper(Protocol):
    """A time stepper in the manner of scipy's OdeSolver: one accepted step at a time, dense output within it."""

    time: float
    count: int

    def start(self, step: Step, t_start: float) -> None:
        """Begin a protocol step at `t_start` [s], within the last time step, from the state there."""
        ...

    def advance(self, t_bound: float) -> None:
        """Take one accepted time step, not beyond `t_bound` [s].

        Raises
        ------
        ConvergenceError
            If no step, however small, converges.
        """
        ...

    def snapshot(self, time: float) -> Snapshot:
        """The cell at `time` [s], within the last accepted time step."""
        ...


@dataclass(frozen=True)
class Options:
    """How finely to solve.

    Parameters
    ----------
    cells : int
        Cells across the electrolyte.
    rtol : float
        Error asked of one time step, relative to the average concentration.
    c_min : float, optional
        A face below this is depleted [mol/m^3]; default: the lower end of the set's range where that lies below 1 %
        of the average concentration, else 0.1 % of the average.
    stretch : float
        Grading of the grid, 0 for uniform.
    fixed_step : float, optional
        Constant time step without error control, for measuring the order of accuracy [s].
    max_steps : int
        Time steps after which the run ends as not converged.
    unknowns : int, optional
        Unknowns of the sundials solver, which otherwise chooses and refines them itself; `cells` is its output grid.
    """

    cells: int = 160
    rtol: float = 2e-5
    c_min: float | None = None
    stretch: float = 2.5
    fixed_step: float | None = None
    max_steps: int = 50_000
    unknowns: int | None = None

    def __post_init__(self) -> None:
        if not (self.cells >= 4 and int(self.cells) == self.cells):
            raise InputError(f"solver.cells = {self.cells!r} must be a whole number of at least 4")
        if self.cells > 20_000:
            raise InputError(f"solver.cells = {self.cells!r} must be at most 20000")
        for name in ("rtol", "c_min", "fixed_step", "max_steps"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"solver.{name} = {value!r} must be positive")
        if not 1e-12 <= self.rtol <= 0.1:
            raise InputError(f"solver.rtol = {self.rtol!r} lies outside 1e-12-0.1")
        if not 0 <= self.stretch <= 5:
            raise InputError(f"solver.stretch = {self.stretch!r} lies outside 0-5")
