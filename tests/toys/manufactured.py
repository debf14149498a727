"""A manufactured solution with all four properties varying: chosen c(x, t), and the salt source that makes it exact.

c is a cubic in x at every time, with wall values that move in time and wall slopes that obey the no-flux condition, so
the boundary law, the coupling of current and voltage and every nonlinearity are exercised. The cell average of the
source follows from exact face fluxes; nothing here uses a solver's discretisation.
"""

from dataclasses import dataclass

import numpy as np

from cellsim import Cell, Electrode, Resistance, TransportSet
from cellsim.cell.geometry import Separator
from cellsim.electrolyte.volumes import ConstantVolumes
from cellsim.model import equations

C = 1000.0
LENGTH = 1e-3
PERIOD = 20_000.0


def varying_set() -> TransportSet:
    """All four properties depend on c, smoothly and strongly; V_e > 0."""
    return TransportSet(
        name="manufactured",
        z_plus=1,
        z_minus=-1,
        nu_plus=1,
        nu_minus=1,
        M_e=0.287,
        M_0=0.044,
        T=350.0,
        volumes=ConstantVolumes(1.3e-4, 4e-5),
        c_range=(1.0, 5000.0),
        kappa_source=lambda c, m, r: 0.2 * (c / C) / (1 + (c / C) ** 2) + 0.02,
        D_source=lambda c, m, r: 2e-11 * np.exp(-0.5 * c / C),
        t_plus_source=lambda c, m, r: 0.4 - 0.3 * (c / C),
        chi_source=lambda c, m, r: 1 + 0.6 * c / C,
    )


@dataclass(frozen=True)
class Manufactured:
    """The exact solution on a cell with a porous separator and interfacial resistance."""

    transport: TransportSet
    cell: Cell

    def current(self, t: float) -> float:
        return 1.5 + 0.5 * np.sin(2 * np.pi * t / PERIOD)

    def properties(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D with the separator's factor, and M."""
        return self.cell.separator.transport_factor * self.transport.D(c), self.transport.migration(c)

    def walls(self, t: float) -> np.ndarray:
        phase = 2 * np.pi * t / PERIOD
        return np.array([C * (1.4 + 0.2 * np.sin(phase)), C * (0.5 + 0.15 * np.cos(phase))])

    def _cubic(self, t: float) -> np.ndarray:
        """Coefficients of the cubic in s = x/L, highest power first."""
        a, b = self.walls(t)
        p, q = LENGTH * equations.wall_slope(*self.properties(np.array([a, b])), self.current(t))
        return np.array([2 * a - 2 * b + p + q, -3 * a + 3 * b - 2 * p - q, p, a])

    def c(self, x: np.ndarray, t: float) -> np.ndarray:
        return np.polyval(self._cubic(t), x / LENGTH)

    def flux(self, x: np.ndarray, t: float) -> np.ndarray:
        cubic = self._cubic(t)
        slope = np.polyval(np.polyder(cubic), x / LENGTH) / LENGTH
        return equations.salt_flux(*self.properties(np.polyval(cubic, x / LENGTH)), slope, self.current(t))

    def average(self, faces: np.ndarray, t: float) -> np.ndarray:
        antiderivative = np.polyint(self._cubic(t))
        return np.diff(np.polyval(antiderivative, faces / LENGTH)) / (np.diff(faces) / LENGTH)

    def source(self, faces: np.ndarray, t: float) -> np.ndarray:
        """Cell averages of porosity dc/dt + dN/dx; the time derivative by an 8th-order central difference."""
        h = PERIOD / 500
        weights = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280]) / h
        rate = sum(w * self.average(faces, t + k * h) for k, w in zip(range(-4, 5), weights, strict=True))
        return self.cell.separator.porosity * rate + np.diff(self.flux(faces, t)) / np.diff(faces)

    def voltage(self, t: float) -> float:
        """The exact cell voltage; the ohmic integral by 40-point Gauss-Legendre."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        x = 0.5 * LENGTH * (nodes + 1)
        resistance = 0.5 * LENGTH * np.sum(weights / self.transport.kappa(self.c(x, t)))
        resistance /= self.cell.separator.transport_factor
        a, b = self.walls(t)
        return equations.VoltageLaw(self.cell, self.transport).voltage(self.current(t), resistance, a, b, t)


def make() -> Manufactured:
    cell = Cell(
        LENGTH,
        350.0,
        positive=Electrode(Resistance(0.01)),
        negative=Electrode(Resistance(0.02)),
        separator=Separator.from_tortuosity(0.6, 1.8),
    )
    return Manufactured(varying_set(), cell)


@dataclass(frozen=True)
class ExactDrive:
    """Stands in for a protocol step: the exact voltage or current as the drive."""

    drive: str
    function: object

    def at(self, t: float) -> float:
        return self.function(t)  # type: ignore[operator]
