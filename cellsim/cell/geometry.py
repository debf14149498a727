"""The cell: geometry, temperature, separator, electrodes, and the salt profile it may begin with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from cellsim.base import V_LITHIUM, Array, InputError
from cellsim.cell.kinetics import Electrode


@dataclass(frozen=True)
class Separator:
    """A porous separator filled with electrolyte.

    Parameters
    ----------
    porosity : float
        Pore volume fraction, 0 < porosity <= 1.
    macmullin : float
        MacMullin number, tortuosity/porosity >= 1.
    """

    porosity: float = 1.0
    macmullin: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.porosity <= 1:
            raise InputError(f"cell.separator.porosity = {self.porosity!r} lies outside 0-1")
        if not self.macmullin >= 1:
            raise InputError(f"cell.separator.macmullin = {self.macmullin!r} must be at least 1")

    @classmethod
    def from_tortuosity(cls, porosity: float, tortuosity: float) -> Separator:
        """From porosity and tortuosity; both D and kappa are multiplied by porosity/tortuosity."""
        if not tortuosity > 0:
            raise InputError(f"cell.separator.tortuosity = {tortuosity!r} must be positive")
        if not 0 < porosity <= 1:
            raise InputError(f"cell.separator.porosity = {porosity!r} lies outside 0-1")
        return cls(porosity, tortuosity / porosity)

    @property
    def transport_factor(self) -> float:
        """What D and kappa are multiplied by, 1/MacMullin number."""
        return 1 / self.macmullin


@dataclass(frozen=True)
class Cell:
    """Li | electrolyte | Li. x = 0 is the positive electrode, where lithium dissolves while i > 0.

    Parameters
    ----------
    thickness : float
        Distance L between the electrodes [m].
    temperature : float
        [K]
    area : float, optional
        Electrode area [m^2]; only for total currents.
    positive, negative : Electrode
        At x = 0 and x = L.
    separator : Separator
        Default: free electrolyte.
    V_metal : float
        Molar volume of the metal [m^3/mol]; moves the interfaces in the lab frame.
    position_origin : {"positive", "centre"}
        Origin of the positions a user gives and sees.
    """

    thickness: float
    temperature: float
    area: float | None = None
    positive: Electrode = Electrode()
    negative: Electrode = Electrode()
    separator: Separator = Separator()
    V_metal: float = V_LITHIUM
    position_origin: Literal["positive", "centre"] = "positive"

    def __post_init__(self) -> None:
        for name, unit in (("thickness", "m"), ("temperature", "K")):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"cell.{name} = {value!r} {unit} must be positive")
        if not 1e-9 <= self.thickness <= 1.0:
            raise InputError(f"cell.thickness = {self.thickness:.4g} m lies outside 1 nm-1 m")
        if self.area is not None and not (np.isfinite(self.area) and self.area > 0):
            raise InputError(f"cell.area = {self.area!r} m^2 must be positive")
        if not (np.isfinite(self.V_metal) and self.V_metal >= 0):
            raise InputError(f"electrodes.V_metal = {self.V_metal!r} m^3/mol must not be negative")

    @property
    def has_double_layers(self) -> bool:
        """Whether an electrode has a capacitance."""
        return self.positive.capacitance > 0 or self.negative.capacitance > 0

    @property
    def is_blocked(self) -> bool:
        """Whether an electrode lets no charge cross, so that no current lasts."""
        return self.positive.blocking or self.negative.blocking

    def from_origin(self, position: float) -> float:
        """A position as the user gives it -> distance from the positive electrode at t = 0 [m]."""
        return position + (0.5 * self.thickness if self.position_origin == "centre" else 0.0)


UNCOVERED = 0.1
"""Part of the thickness that a table may leave out next to a wall, where its outermost concentration is held."""
OVERSHOOT = 1e-3
"""Of the span of a profile's concentrations: a spline that leaves it by more gives way to a monotone one."""


@dataclass(frozen=True, eq=False)
class InitialProfile:
    """The salt that a run begins with, where it is not uniform, as its integral over the distance from x = 0.

    The integral and not the concentration, so that no grid that takes it over can lose salt.

    Parameters
    ----------
    cumulated : scipy.interpolate.PPoly
        Salt between the positive electrode and x per volume of electrolyte and electrode area, the integral of c dx
        [mol/m^2] over x [m], from 0 to the thickness; once continuously differentiable.
    source : str
        Where it comes from, for messages and reports.
    time : float
        When the profile was there, on the clock of the run it comes from [s].
    """

    cumulated: Any
    source: str = "the initial profile"
    time: float = 0.0

    @classmethod
    def from_points(
        cls, x: Array, c: Array, thickness: float, *, source: str = "the initial profile"
    ) -> InitialProfile:
        """A profile through points by a monotone cubic (PCHIP), which passes neither above nor below them.

        Parameters
        ----------
        x : ndarray, shape (n,)
            Distances from the positive electrode, strictly increasing or decreasing [m].
        c : ndarray, shape (n,)
            Salt concentration there [mol/m^3]; held between the outermost points and the walls.
        thickness : float
            Of the electrolyte [m].
        source : str
            For messages.

        Raises
        ------
        InputError
            Fewer than two points, one that is no number, not positive or outside the cell, positions that do not run
            one way, more than a tenth of the thickness without points next to a wall.
        """
        from scipy.interpolate import PchipInterpolator

        x, c = np.asarray(x, dtype=float), np.asarray(c, dtype=float)
        if x.ndim != 1 or x.shape != c.shape or x.size < 2:
            raise InputError(f"{source}: needs two points or more, as many positions as concentrations")
        bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(c)))
        if bad.size:
            raise InputError(f"{source}: point {bad[0] + 1} is not a number; correct it or remove the row")
        if not np.all(c > 0):
            k = int(np.argmax(c <= 0))
            raise InputError(f"{source}: c = {c[k]:.4g} mol/m^3 of point {k + 1} must be positive")
        if np.all(np.diff(x) < 0):
            x, c = x[::-1], c[::-1]
        if not np.all(np.diff(x) > 0):
            raise InputError(f"{source}: positions must run one way, each once; sort the rows and merge double ones")
        near = 1e-9 * thickness
        if x[0] < -near or x[-1] > thickness + near:
            worst = float(x[0] if x[0] < -near else x[-1])
            raise InputError(
                f"{source}: a point {1e3 * worst:.6g} mm from the positive electrode lies outside the cell of "
                f"{1e3 * thickness:.6g} mm; positions are counted from cell.position_origin"
            )
        gap = max(x[0], thickness - x[-1])
        if gap > UNCOVERED * thickness:
            raise InputError(
                f"{source}: {1e3 * gap:.4g} mm next to a wall are without points, more than {UNCOVERED:.0%} of the "
                "thickness; add rows up to there"
            )
        x = np.clip(x, 0.0, thickness)
        if x[0] > 0:
            x, c = np.append(0.0, x), np.append(c[0], c)
        if x[-1] < thickness:
            x, c = np.append(x, thickness), np.append(c, c[-1])
        return cls(PchipInterpolator(x, c).antiderivative(), source)

    @classmethod
    def from_cells(
        cls, faces: Array, c: Array, wall: Array, *, source: str = "the initial profile", time: float = 0.0
    ) -> InitialProfile:
        """The profile of cell averages, by a cubic spline of the salt up to their faces, which keeps each average.

        Parameters
        ----------
        faces : ndarray, shape (n + 1,)
            Positions of the faces from the positive electrode, the first 0 [m].
        c : ndarray, shape (n,)
            Averages over the cells [mol/m^3].
        wall : ndarray, shape (2,)
            Concentrations at x = 0 and at the other wall [mol/m^3].
        source : str
            For messages.
        time : float
            When the profile was there [s].

        Raises
        ------
        InputError
            A concentration that is no number or not positive.
        """
        from scipy.interpolate import CubicSpline, PchipInterpolator

        every = np.concatenate([c, wall])
        if not (np.all(np.isfinite(every)) and np.all(every > 0)):
            raise InputError(f"{source}: its concentrations must be positive numbers")
        salt = np.concatenate([[0.0], np.cumsum(c * np.diff(faces))])
        profile = cls(CubicSpline(faces, salt, bc_type=((1, wall[0]), (1, wall[1]))), source, time)
        low, high = profile.extremes
        allowed = OVERSHOOT * np.ptp(every) + 1e-9 * every.max()
        if low < every.min() - allowed or high > every.max() + allowed:
            # a front between two cells: the integral of a positive concentration is monotone, and so is this
            profile = cls(PchipInterpolator(faces, salt), source, time)
        return profile

    @property
    def thickness(self) -> float:
        """Of the electrolyte [m]."""
        return float(self.cumulated.x[-1])

    @cached_property
    def average(self) -> float:
        """Average concentration [mol/m^3]."""
        return float(self.cumulated(self.thickness)) / self.thickness

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """Lowest and highest concentration, at the ends of the pieces and nine points within each [mol/m^3]."""
        x = self.cumulated.x
        c = self.at((x[:-1, None] + np.diff(x)[:, None] * np.linspace(0, 1, 11)).ravel())
        return float(c.min()), float(c.max())

    @property
    def wall(self) -> Array:
        """Concentrations at both walls, shape (2,) [mol/m^3]."""
        return self.at(np.array([0.0, self.thickness]))

    def at(self, x: Array) -> Array:
        """Concentration at distances `x` [m] from the positive electrode, shape of `x` [mol/m^3]."""
        return np.asarray(self.cumulated(np.clip(x, 0.0, self.thickness), 1))

    def salt(self, x: Array) -> Array:
        """Salt between the positive electrode and `x` [m], shape of `x` [mol/m^2]."""
        return np.asarray(self.cumulated(np.clip(x, 0.0, self.thickness)))

    def averages(self, faces: Array) -> Array:
        """Averages over cells with these `faces`, shape (n + 1,) [m] -> shape (n,) [mol/m^3]."""
        return np.diff(self.salt(faces)) / np.diff(faces)

    def scaled(self, average: float, thickness: float) -> InitialProfile:
        """The same shape with another average [mol/m^3] and thickness [m]."""
        from scipy.interpolate import PPoly

        if average == self.average and thickness == self.thickness:
            return self
        wider, more = thickness / self.thickness, average / self.average
        order = self.cumulated.c.shape[0] - 1
        powers = wider ** -np.arange(order, -1, -1.0)
        coefficients = self.cumulated.c * (powers * more * wider)[:, None]
        x = self.cumulated.x * wider
        x[-1] = thickness
        return InitialProfile(PPoly(coefficients, x), self.source, self.time)


def average_of(c0: float | InitialProfile) -> float:
    """The average salt concentration of a uniform start, which is that, or of a profile [mol/m^3]."""
    return c0.average if isinstance(c0, InitialProfile) else float(c0)
