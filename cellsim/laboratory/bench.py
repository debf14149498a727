"""What stands on the bench: an electrolyte in a symmetric lithium cell, and the noise of the instruments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.laboratory.reading import Check, swing_checks
from cellsim.model.closed_forms import Layer
from cellsim.model.mixture import MixtureLayer
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


class _Stand:
    """What every bench has, whatever stands on it."""

    thickness: float

    @property
    def layer(self) -> Layer | MixtureLayer:
        """Coefficients at what stands on the bench, for small signals."""
        raise NotImplementedError

    @property
    def rho_plus(self) -> float:
        """Current fraction 1/(1 + Ne) [1]."""
        return 1 / (1 + self.layer.newman_number)

    @property
    def diffusion_time(self) -> float:
        """L^2/D [s], of several modes that of the slowest, which decays pi^2 times faster."""
        return self.thickness**2 / self.layer.D

    @property
    def total_resistance(self) -> float:
        """R_b + R_i + R_d, voltage per current at steady state for small signals [ohm m^2]."""
        return self.layer.bulk_resistance + self.layer.resistance + self.layer.diffusion_resistance

    def changed(self, **what: object) -> Self:
        """The same bench with other fields."""
        return replace(self, **what)  # type: ignore[type-var]


@dataclass(frozen=True)
class Bench(_Stand):
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
        _check_interfaces(self)
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
        return _symmetric(self)

    @cached_property
    def layer(self) -> Layer:
        """The truth at the concentration on the bench: kappa, D, t+0, chi, Ne and what follows for small signals."""
        return layer_of(self.cell, self.transport, self.c)

    @property
    def slope(self) -> float:
        """dU/dln m, nu R T/(F z+ nu+) (1 - t+0) chi: what a concentration cell measures [V]."""
        return float(self.transport.thermal_voltage * self.transport.one_minus_t_plus_chi(self.c))

    def run(self, protocol: Protocol, times: ArrayLike, *, rtol: float | None = None) -> Solution:
        """Simulate a protocol; see :func:`simulated`."""
        return simulated(self, self.c, protocol, times, rtol)

    def swing(self, solution: Solution) -> tuple[Check, ...]:
        """Whether the signal of a run was small; see :func:`.swing_checks`."""
        return swing_checks(self.transport, self.c, solution)


@dataclass(frozen=True, eq=False)
class MixtureBench(_Stand):
    """An electrolyte of n components between two equal lithium electrodes.

    Parameters
    ----------
    transport : MixtureSet
        The electrolyte, which the experiments are to find.
    r : ndarray, shape (K,)
        Its composition, moles per mole of the reference solvent [1].
    thickness, resistance, noise, capacitance, phase
        As of :class:`Bench`.

    Raises
    ------
    InputError
        A composition the set does not carry, or as of :class:`Bench`.
    """

    transport: MixtureSet
    r: Array
    thickness: float = 5e-4
    resistance: float = 1e-3
    noise: InstrumentNoise = InstrumentNoise()
    capacitance: float = 0.1
    phase: float = 1.0

    def __post_init__(self) -> None:
        _check_interfaces(self)
        object.__setattr__(self, "r", self.transport.initial(self.r))

    @cached_property
    def cell(self) -> Cell:
        """The cell."""
        return _symmetric(self)

    @property
    def c(self) -> float:
        """Concentration of the cation [mol/m^3]."""
        return float(self.transport.r_plus(self.r) * self.transport.c_0(self.r))

    @cached_property
    def layer(self) -> MixtureLayer:
        """The truth at the composition on the bench: kappa, Ne, the modes and what follows for small signals."""
        return MixtureLayer.of(self.cell, self.transport, self.r)

    def run(self, protocol: Protocol, times: ArrayLike, *, rtol: float | None = None) -> Solution:
        """Simulate a protocol; see :func:`simulated`."""
        return simulated(self, self.r, protocol, times, rtol)

    def swing(self, solution: Solution) -> tuple[Check, ...]:
        """Whether the signal of a run was small: amounts at the electrodes, and coefficients over what was met."""
        K, limit = self.r.size, 0.2
        walls = solution["c_face"][:, :, [0, -1]]  # (species, time, electrode)
        r = np.moveaxis(walls[1:-1] / walls[-1], 0, -1).reshape(-1, K)
        change = float(np.max(np.abs(r / self.r - 1)))
        met = r[np.unique(np.concatenate([r.argmin(axis=0), r.argmax(axis=0)]))]
        at, true = self.transport.at(met), self.transport.at(self.r)
        worst = {
            "kappa": np.abs(at.kappa / true.kappa - 1).max(),
            "the moles carried": np.abs(at.tau - true.tau).max() / np.abs(true.tau).max(),
            "the diffusion matrix": np.abs(at.diffusion - true.diffusion).max() / np.abs(true.diffusion).max(),
        }
        which = max(worst, key=lambda name: float(worst[name]))
        return (
            Check("change of a component at the electrodes", change, limit),
            Check(f"change of {which} over these compositions", float(worst[which]), limit),
        )


AnyBench = Bench | MixtureBench
"""What an experiment that needs no more than small signals is done on."""


def one_mode(bench: AnyBench, *, since: float | None = None, pulse: float = np.inf) -> tuple[Check, ...]:
    """Whether the voltage of the gradients behaves as that of one salt; nothing to check for one salt.

    Parameters
    ----------
    bench : Bench or MixtureBench
        What stands on the bench.
    since : float, optional
        Time after the current stopped at which one mode should be left [s]; default: none stopped.
    pulse : float
        How long it had flowed [s].

    Returns
    -------
    tuple of Check
    """
    if isinstance(bench, Bench):
        return ()
    layer = bench.layer
    rates = np.pi**2 * np.array(layer.modes) / bench.thickness**2
    parts = np.array(layer.shares)
    if since is not None:
        parts = parts * (1 - np.exp(-rates * pulse)) * np.exp(-(rates - rates[0]) * since)
    others = float(parts[1:].sum() / parts.sum()) if parts.sum() else 0.0
    when = "" if since is None else " where the line begins"
    return (Check(f"share of the faster modes in the voltage of the gradients{when}", others, 0.01),)


def simulated(
    bench: AnyBench, start: float | Array, protocol: Protocol, times: ArrayLike, rtol: float | None = None
) -> Solution:
    """Simulate a protocol with the full, nonlinear, time-dependent model.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    start : float or ndarray, shape (K,)
        Salt concentration [mol/m^3], or the composition [1].
    protocol : Protocol
        What the instrument imposes.
    times : array_like, shape (n,)
        When it reads [s].
    rtol : float, optional
        Error asked of a time step [1]; default: 2e-6, and less where the gradients' part of the voltage is small.

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
    share = bench.layer.diffusion_resistance / bench.total_resistance
    rtol = max(2e-6 * share**2, 1e-10) if rtol is None else rtol
    options = Options(cells=40, rtol=rtol)
    solution = simulate_whole(
        bench.cell, bench.transport, protocol, c0=start, times=times, solver="sundials", options=options
    )
    if not solution.succeeded:
        raise InputError(
            f"the experiment cannot be done on {bench.transport.name} at {bench.c / 1e3:.4g} mol/L with this drive; "
            f"make it smaller ({solution.message})"
        )
    return solution


def _check_interfaces(bench: AnyBench) -> None:
    if not (np.isfinite(bench.capacitance) and bench.capacitance >= 0):
        raise InputError(f"capacitance = {bench.capacitance!r} F/m^2 must be finite and not negative")
    if not 0.5 <= bench.phase <= 1:
        raise InputError(f"phase = {bench.phase!r} must lie between 0.5 and 1; 1 is a capacitance")
    if not (np.isfinite(bench.resistance) and bench.resistance >= 0):
        raise InputError(f"resistance = {bench.resistance!r} ohm m^2 must be finite and not negative")


def _symmetric(bench: AnyBench) -> Cell:
    electrode = Electrode(Resistance(np.array([bench.resistance])))
    return Cell(bench.thickness, bench.transport.T, positive=electrode, negative=electrode)


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
