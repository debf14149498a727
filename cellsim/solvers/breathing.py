"""Partial molar volumes that vary, for the solvers whose grid does not move: a set in the solvent's own coordinate.

In the material coordinate d xi = c_0 dx no solvent flows (PHYSICS: porosity dr/dt = -dJ/dxi, J = N_s/phi_0, r = c/c_0).
With rho = r c_00 in the place of c and y = xi/c_00 in the place of x, c_00 being the average concentration of the
solvent at the start, dc/dx = phi_0 (c_0/c_00)^2 drho/dy, since dr/dc = 1/(phi_0 c_0) for any density. So::

    porosity drho/dt = -dJ/dy,   J = -D' drho/dy - M' i,   integral dx/kappa = integral dy/kappa'
    D' = D (c_0/c_00)^2,   M' = M/phi_0 = (1 - t+0)/(z+ nu+ F),   kappa' = kappa c_0/c_00,   dW = (1 - t+0) chi dln rho

which are the equations of a cell of fixed thickness whose solvent stands still. Such a set is an ordinary
:class:`.TransportSet` without solvent motion: grids, kernels, refinement and time integration take it as they take any
other, and here is only how it is made and how its results are read back, in c and on faces that move.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cellsim.base import Array
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.kinetics import Electrode, Kinetics
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes
from cellsim.solvers.march import Options, fatal_limits
from cellsim.solvers.refinement import Integration, Job, Progress, refining
from cellsim.solvers.solution import SolverRun
from cellsim.solvers.spectral import Fields

FULL = 0.99999
"""Part of the density curve's end up to which concentrations are told from one another."""
NODES = 4000
"""Of an initial profile over the thickness, besides its own."""


def solving(
    integration: type[Integration],
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    times: Array,
    c0: float | InitialProfile,
    options: Options,
    progress: Progress | None = None,
) -> Generator[Job, None, SolverRun]:
    """A run by an `integration` as a generator of its jobs, whether volumes vary or not; else as :func:`.refined`."""
    carried = as_carried(cell, transport, protocol, c0, options)
    run = yield from refining(integration, *carried.refining(times, progress))
    return run.solver_run(cell, transport)


@dataclass(frozen=True)
class Carried:
    """A run as the grid carries it: in c, or where volumes vary in what stands for c in the solvent's coordinate.

    Attributes
    ----------
    cell, transport, protocol, c0, options
        As of :func:`cellsim.simulate`.
    limits : dict
        That end a run, by name [mol/m^3].
    frame : SolventFrame or None
        How results are seen in c; None where c itself is carried.
    """

    cell: Cell
    transport: TransportSet
    protocol: Protocol
    c0: float | InitialProfile
    options: Options
    limits: dict[str, float]
    frame: SolventFrame | None

    def refining(self, times: Array, progress: Progress | None) -> tuple[Any, ...]:
        """The arguments of :func:`.refining` behind the integration."""
        return (
            *(self.cell, self.transport, self.protocol, times, self.c0, self.options, progress),
            *(self.frame, self.limits),
        )


def as_carried(
    cell: Cell, transport: TransportSet, protocol: Protocol, c0: float | InitialProfile, options: Options
) -> Carried:
    """A run as the grid carries it; arguments as of :func:`cellsim.simulate`."""
    limits = fatal_limits(transport, average_of(c0), options)
    if not (transport.volumes.varies and transport.solvent_motion == "volume"):
        return Carried(cell, transport, protocol, c0, options, limits, None)
    frame = _frame(cell, transport, c0)
    if options.c_min is not None:
        options = replace(options, c_min=float(frame.rho(options.c_min)))
    limits = {name: float(frame.rho(limit)) for name, limit in limits.items()}
    return Carried(frame.cell, frame.set, frame.protocol(protocol), frame.start, options, limits, frame)


@dataclass(frozen=True, eq=False)
class SolventFrame:
    """A cell and a set as seen by one who moves with the solvent.

    Parameters
    ----------
    original : Cell
        As it is given.
    transport : TransportSet
        Whose partial molar volumes vary.
    c0 : float or InitialProfile
        To begin with [mol/m^3].
    """

    original: Cell
    transport: TransportSet
    c0: float | InitialProfile

    @cached_property
    def clamped(self) -> TransportSet:
        """The set held at the ends of its range."""
        return self.transport.with_extrapolation("clamp")

    @cached_property
    def _profile(self) -> tuple[Array, Array, Array]:
        """Of an initial profile: salt up to nodes, r there and solvent up to them [mol/m^2, 1, mol/m^2]."""
        assert isinstance(self.c0, InitialProfile)
        own = self.c0
        even = np.linspace(0.0, own.thickness, NODES + 1)
        at = np.clip(np.searchsorted(own.cumulated.x, even), 1, own.cumulated.x.size - 1)
        near = np.minimum(np.abs(even - own.cumulated.x[at - 1]), np.abs(even - own.cumulated.x[at]))
        x = np.union1d(own.cumulated.x, even[near > 0.1 * own.thickness / NODES])  # no two that are almost one
        nodes, weights = np.polynomial.legendre.leggauss(4)
        inside = x[:-1, None] + 0.5 * np.diff(x)[:, None] * (nodes + 1)
        pieces = 0.5 * np.diff(x) * (self.transport.c_0(own.at(inside)) @ weights)
        return own.salt(x), self.transport.r(own.at(x)), np.concatenate([[0.0], np.cumsum(pieces)])

    @cached_property
    def c_00(self) -> float:
        """Average concentration of the solvent at the start [mol/m^3]."""
        if isinstance(self.c0, InitialProfile):
            return float(self._profile[2][-1] / self.c0.thickness)
        return float(self.transport.c_0(self.c0))

    @cached_property
    def start(self) -> float | InitialProfile:
        """rho to begin with [mol/m^3]: the average is that of c."""
        if not isinstance(self.c0, InitialProfile):
            return self.c0
        from scipy.interpolate import CubicHermiteSpline

        salt, r, solvent = self._profile
        return replace(self.c0, cumulated=CubicHermiteSpline(solvent / self.c_00, salt, r * self.c_00))

    @cached_property
    def cell(self) -> Cell:
        """The cell; what its electrodes read is rho."""
        thickness = self.c0.thickness if isinstance(self.c0, InitialProfile) else self.original.thickness
        positive, negative = (self._electrode(e) for e in (self.original.positive, self.original.negative))
        return replace(self.original, thickness=thickness, positive=positive, negative=negative)

    def _electrode(self, electrode: Electrode) -> Electrode:
        kinetics = electrode.kinetics
        return electrode if kinetics is None else replace(electrode, kinetics=_Kinetics(kinetics, self._c_near))

    def rho(self, c: Any) -> Array:
        """rho of concentrations [mol/m^3], below the end of the density curve."""
        c = np.minimum(np.asarray(c, dtype=float), FULL * self.transport.volumes.c_saturation)
        return np.asarray(self.c_00 * self.transport.r(c))

    def c(self, rho: Any) -> Array:
        """The concentrations [mol/m^3] of rho [mol/m^3]."""
        return self.transport.c_of_r(np.minimum(rho, self._ends[1]) / self.c_00)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, _ = self.transport.c_range
        return float(self.rho(low)), float(self.rho(np.inf))

    @cached_property
    def _c_near(self) -> Callable[[float], float]:
        """:meth:`c` of single numbers by a spline, to 1e-10: kinetics are tabulated one number at a time."""
        from scipy.interpolate import CubicSpline

        x = np.linspace(np.log(1e-6 * self._ends[0]), np.log(self._ends[1]), 8001)
        spline = CubicSpline(x, np.log(self.c(np.exp(x))))
        return lambda rho: float(np.exp(spline(np.clip(np.log(rho), x[0], x[-1]))))

    @cached_property
    def set(self) -> TransportSet:
        """The set with rho in the place of c, without solvent motion."""
        s, c_00, of = self.clamped, self.c_00, self.c
        low, high = self.transport.c_range
        if self.transport.extrapolate == "clamp":
            high = FULL * s.volumes.c_saturation  # D and kappa are held, the solvent's concentration is not
        return replace(
            s,
            volumes=ConstantVolumes(0.0, 1 / c_00),
            solvent_motion="none",
            extrapolate=self.transport.extrapolate,
            c_range=(float(self.rho(low)), float(self.rho(high))),
            kappa_source=lambda rho, m, r: s.kappa(of(rho)) * s.c_0(of(rho)) / c_00,
            D_source=lambda rho, m, r: s.D(of(rho)) * (s.c_0(of(rho)) / c_00) ** 2,
            t_plus_source=lambda rho, m, r: s.t_plus(of(rho)),
            chi_source=lambda rho, m, r: s.potential_slope(of(rho)) * s.phi_0(of(rho)),
            t_plus_frame="solvent",
            chi_basis="molal",
            chi_is_product=True,
        )

    def protocol(self, protocol: Protocol) -> Protocol:
        """The protocol, with limits on c as limits on rho."""

        def seen(step: Step) -> Step:
            limits = {name: float(self.rho(c)) for name, c in step.stop.given.items() if name in ("c_below", "c_above")}
            return replace(step, stop=replace(step.stop, **limits)) if limits else step

        return replace(protocol, steps=tuple(seen(step) for step in protocol.steps))

    def fields(self, inside: Fields) -> Fields:
        """Profiles in c, on faces that move, from those in rho; the salt of every cell is kept.

        A cell is as wide as its solvent takes, the integral of dy c_00/c_0, by Simpson's rule on the parabola through
        both faces that has its average: with c_0 at the average, the change of the thickness was 1e-4 off. Solvent
        moves as the cells between it and the positive electrode swell, by V_e for each mole of salt.
        """
        rho, faces, J, s = inside.c, inside.c_face, inside.N_salt, self.clamped
        c_face, lengths = self.c(faces), np.diff(inside.faces)
        left, right = faces[:, :-1], faces[:, 1:]
        middle = 1.5 * rho - 0.25 * (left + right)
        # an unresolved profile must not make it negative; held between the faces, a cell with an extremum was 3e-8 off
        middle = np.clip(middle, 0.5 * np.minimum(left, right), 2 * np.maximum(left, right))
        room = self.c_00 / s.c_0(c_face)
        widths = lengths / 6 * (room[:, :-1] + 4 * self.c_00 / s.c_0(self.c(middle)) + room[:, 1:])
        c = rho * lengths / widths
        v_0 = np.pad(-np.cumsum(s.V_e(c) * np.diff(J, axis=1), axis=1), ((0, 0), (1, 0)))
        N_salt = J + c_face * v_0
        position = np.pad(np.cumsum(widths, axis=1), ((0, 0), (1, 0)))
        return Fields(inside.faces, lambda: c, lambda: c_face, lambda: N_salt, position, s.c_0(c_face) * v_0)


@dataclass(frozen=True)
class _Kinetics(Kinetics):
    """Kinetics that read rho."""

    own: Kinetics
    c: Callable[[float], float]

    def exchange_current(self, c_face: float) -> float:
        return self.own.exchange_current(self.c(c_face))

    def overpotential_of_ratio(self, ratio: float, T: float) -> float:
        return self.own.overpotential_of_ratio(ratio, T)

    @property
    def is_symmetric(self) -> bool:
        return self.own.is_symmetric


_FRAMES: dict[tuple[int, ...], SolventFrame] = {}
MOST_FRAMES = 8


def _frame(cell: Cell, transport: TransportSet, c0: float | InitialProfile) -> SolventFrame:
    """That of an earlier run, with the tables of its set, or a new one."""
    key = id(cell), id(transport), id(c0) if isinstance(c0, InitialProfile) else hash(float(c0))
    frame = _FRAMES.get(key)  # it keeps all of them alive, so that nothing else can have their identities
    if frame is None or frame.c0 != c0:
        if len(_FRAMES) >= MOST_FRAMES:
            _FRAMES.pop(list(_FRAMES)[0], None)  # noqa: RUF015 - another thread may change it while it is iterated
        frame = _FRAMES[key] = SolventFrame(cell, transport, c0)
    return frame
