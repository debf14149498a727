"""The cell: geometry, temperature, separator and electrodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellsim.base import V_LITHIUM, InputError
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

    def from_origin(self, position: float) -> float:
        """A position as the user gives it -> distance from the positive electrode at t = 0 [m]."""
        return position + (0.5 * self.thickness if self.position_origin == "centre" else 0.0)
