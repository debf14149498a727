"""What stands on the bench: an electrolyte in a symmetric lithium cell, and the noise of the instruments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.closed_forms import Layer
from cellsim.model.plan import layer_of
from cellsim.run.simulation import check_initial_state, simulate_whole
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution


@dataclass(frozen=True)
class InstrumentNoise:
    """Standard deviations of Gaussian noise on every reading; all zero: perfect instruments, no error bars.

    Parameters
    ----------
    voltage : float
        Of a voltage [V].
    current : float
        Of a current, relative [1].
    impedance : float
        Of the real and of the imaginary part of an impedance, relative to its modulus [1].
    velocity : float
        Of a velocity, relative [1].
    seed : int
        Of the random numbers.
    """

    voltage: float = 0.0
    current: float = 0.0
    impedance: float = 0.0
    velocity: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("voltage", "current", "impedance", "velocity"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"noise.{name} = {value!r} must be finite and not negative")

    @property
    def any(self) -> bool:
        """Whether anything is noisy."""
        return max(self.voltage, self.current, self.impedance, self.velocity) > 0

    def draw(self, experiment: int, size: int) -> Array:
        """`size` standard normal numbers [1], the same for the same seed and experiment."""
        return np.random.default_rng((self.seed, experiment)).standard_normal(size)


@dataclass(frozen=True)
class Bench:
    """An electrolyte between two equal lithium electrodes.

    Parameters
    ----------
    transport : TransportSet
        The electrolyte, which the experiments are to find.
    c : float
        Salt concentration [mol/m^3].
    thickness : float
        Distance of the electrodes [m].
    resistance : float
        Interfacial resistance of each electrode [ohm m^2].
    noise : InstrumentNoise
        Of the instruments.
    capacitance : float
        Double layer of each electrode, in its impedance only; default 10 uF/cm^2 [F/m^2].
    phase : float
        Exponent of the constant-phase element that takes its place below 1, at the same top of the arc [1].

    Raises
    ------
    InputError
        A concentration the set does not carry, t+0 = 1 there, or a negative resistance.
    """

    transport: TransportSet
    c: float
    thickness: float = 5e-4
    resistance: float = 1e-3
    noise: InstrumentNoise = InstrumentNoise()
    capacitance: float = 0.1
    phase: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.capacitance) and self.capacitance >= 0):
            raise InputError(f"capacitance = {self.capacitance!r} F/m^2 must be finite and not negative")
        if not 0.5 <= self.phase <= 1:
            raise InputError(f"phase = {self.phase!r} must lie between 0.5 and 1; 1 is a capacitance")
        if not (np.isfinite(self.resistance) and self.resistance >= 0):
            raise InputError(f"resistance = {self.resistance!r} ohm m^2 must be finite and not negative")
        check_initial_state(self.cell, self.transport, self.c)
        self.transport.check(self.c, what="the concentration on the bench")
        if abs(1 - float(self.transport.t_plus(self.c))) < 1e-9:
            raise InputError(
                f"t+0 = 1 in {self.transport.name} at {self.c / 1e3:.4g} mol/L: no salt moves, "
                "and there is nothing to measure"
            )

    @cached_property
    def cell(self) -> Cell:
        """The cell."""
        electrode = Electrode(Resistance(np.array([self.resistance])))
        return Cell(self.thickness, self.transport.T, positive=electrode, negative=electrode)

    @cached_property
    def layer(self) -> Layer:
        """The truth at the concentration on the bench: kappa, D, t+0, chi, Ne and what follows for small signals."""
        return layer_of(self.cell, self.transport, self.c)

    @property
    def rho_plus(self) -> float:
        """Current fraction 1/(1 + Ne) [1]."""
        return 1 / (1 + self.layer.newman_number)

    @property
    def slope(self) -> float:
        """dU/dln m, nu R T/(F z+ nu+) (1 - t+0) chi: what a concentration cell measures [V]."""
        return float(self.transport.thermal_voltage * self.transport.one_minus_t_plus_chi(self.c))

    @property
    def diffusion_time(self) -> float:
        """L^2/D [s]; the slowest mode of the salt decays pi^2 times faster."""
        return self.thickness**2 / self.layer.D

    @property
    def total_resistance(self) -> float:
        """R_b + R_i + R_d, voltage per current at steady state for small signals [ohm m^2]."""
        return self.layer.bulk_resistance + self.layer.resistance + self.layer.diffusion_resistance

    def changed(self, **what: object) -> Bench:
        """The same bench with other fields."""
        return replace(self, **what)  # type: ignore[arg-type]

    def run(self, protocol: Protocol, times: ArrayLike, *, rtol: float | None = None) -> Solution:
        """Simulate a protocol with the full, nonlinear, time-dependent model.

        Parameters
        ----------
        protocol : Protocol
            What the instrument imposes.
        times : array_like, shape (n,)
            When it reads [s].
        rtol : float, optional
            Error asked of a time step [1]; default: 2e-6, and less where the salt's part of the voltage is small.

        Returns
        -------
        Solution
            A run that reached its end.

        Raises
        ------
        InputError
            If a face runs empty or leaves the range of the set.
        """
        # Signals are small in the whole voltage, and the salt's part is what most experiments read: at R_i = 100 R_d a
        # solver's 2e-6 left no decay to be read and an impedance off by 40 % of the diffusion arc.
        share = self.layer.diffusion_resistance / self.total_resistance
        rtol = max(2e-6 * share**2, 1e-10) if rtol is None else rtol
        solution = simulate_whole(
            self.cell,
            self.transport,
            protocol,
            c0=self.c,
            times=times,
            solver="sundials",
            options=Options(cells=40, rtol=rtol),
        )
        if not solution.succeeded:
            raise InputError(
                f"the experiment cannot be done on {self.transport.name} at {self.c / 1e3:.4g} mol/L with this drive; "
                f"make it smaller ({solution.message})"
            )
        return solution


def bench_of(transport: TransportSet, c: float | None = None, **other: object) -> Bench:
    """A bench for a set; without a concentration 1 mol/L, or the middle of the range where that lies near its end.

    Parameters
    ----------
    transport : TransportSet
        The electrolyte.
    c : float, optional
        Salt concentration [mol/m^3].
    **other
        Further fields of :class:`Bench`.

    Returns
    -------
    Bench
    """
    if c is None:
        low, high = transport.c_range
        c = 1000.0 if 2 * low <= 1000.0 <= 0.75 * high else 0.5 * (low + high)
    return Bench(transport, float(c), **other)  # type: ignore[arg-type]
