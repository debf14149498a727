"""What an interface costs: an area-specific resistance and kinetics of charge transfer, and the double layer beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cellsim.base import Array, F, InputError, R


@dataclass(frozen=True)
class Resistance:
    """Area-specific interfacial resistance, constant or a table in time (linear between its points, held beyond).

    Parameters
    ----------
    value : ndarray, shape (n,)
        Resistances [ohm m^2].
    time : ndarray, shape (n,), optional
        Increasing times [s]; left out for a constant.
    """

    value: Array
    time: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", np.atleast_1d(np.asarray(self.value, dtype=float)))
        if not np.all(np.isfinite(self.value)) or np.any(self.value < 0):
            raise InputError(f"resistance = {float(np.min(self.value)):.4g} ohm m^2 must be finite and not negative")
        if self.time is not None:
            object.__setattr__(self, "time", np.asarray(self.time, dtype=float))
            if self.time.shape != self.value.shape or np.any(np.diff(self.time) <= 0):
                raise InputError("resistance table: times must be strictly increasing, one per value")
        elif self.value.size != 1:
            raise InputError("resistance: several values need as many times")

    def at(self, time: float) -> float:
        """The resistance at `time` [s], in ohm m^2."""
        if self.time is None:
            return float(self.value[0])
        return float(np.interp(time, self.time, self.value))


class Kinetics:
    """What a law of charge transfer says: the overpotential is a function of i/j_0(c_face), rising through zero.

    A law is a frozen dataclass that derives from this class and stands in :data:`LAWS`; case files, plans and all
    solvers, compiled ones too, take it from there. It says `law`, its name in a case file, and `units`, its parameters
    with their SI units, and has the two methods below.
    """

    law: ClassVar[str]
    units: ClassVar[Mapping[str, str]]

    def exchange_current(self, c_face: float) -> float:
        """j_0 at the concentration at the electrode, `c_face` [mol/m^3], in A/m^2."""
        raise NotImplementedError

    def overpotential_of_ratio(self, ratio: float, T: float) -> float:
        """eta [V] at i/j_0 = `ratio` [1], T [K]."""
        raise NotImplementedError

    @property
    def is_symmetric(self) -> bool:
        """Whether eta is proportional to asinh(i/(2 j_0)), so that two points tabulate it."""
        return False

    def overpotential(self, i: float, c_face: float, T: float) -> float:
        """eta [V] that carries the dissolution current density `i` [A/m^2]."""
        return self.overpotential_of_ratio(i / max(self.exchange_current(c_face), 1e-300), T)

    def resistance(self, c_face: float, T: float) -> float:
        """d eta/di at rest, of a small signal [ohm m^2]; infinite where the exchange current vanishes."""
        j_0 = self.exchange_current(c_face)
        small = 1e-6  # eta is linear to a millionth there, and known to ten digits
        rise = self.overpotential_of_ratio(small, T) - self.overpotential_of_ratio(-small, T)
        return rise / (2 * small * j_0) if j_0 > 0 else math.inf

    def describe(self) -> str:
        """The law in a few words."""
        return self.law.replace("_", " ")


@dataclass(frozen=True)
class ButlerVolmer(Kinetics):
    """i = j_0 [exp(alpha_a F eta/RT) - exp(-alpha_c F eta/RT)], j_0 = j_ref (c_face/c_ref)^alpha_a.

    The exponent follows from an assumption: the electrode's equilibrium potential has the Nernst slope RT/F (ideal
    solution, z+ = 1), and dissolution does not depend on c. With eta = E - (RT/F) ln(c/c_ref), E against the lithium at
    c_ref, the law reads::

        i = j_ref [exp(alpha_a F E/RT) - (c/c_ref)^(alpha_a + alpha_c) exp(-alpha_c F E/RT)]

    so the anodic branch is free of c and the cathodic reaction is of order alpha_a + alpha_c in the salt: first order
    where the two coefficients add up to one, as for a single electron in one step. Any other sum is an order that the
    product states wherever it describes the electrode (:attr:`cathodic_order`).

    Parameters
    ----------
    j_ref : float
        Exchange current density at `c_ref` [A/m^2].
    c_ref : float
        Reference concentration [mol/m^3].
    alpha_a, alpha_c : float
        Transfer coefficients [1].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., eq. 8.10; PHYSICS section 3.
    """

    j_ref: float
    c_ref: float
    alpha_a: float = 0.5
    alpha_c: float = 0.5

    law: ClassVar[str] = "butler_volmer"
    units: ClassVar[Mapping[str, str]] = {"j_ref": "A/m^2", "c_ref": "mol/m^3", "alpha_a": "", "alpha_c": ""}

    def __post_init__(self) -> None:
        for name in self.units:
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"kinetics.{name} = {getattr(self, name)!r} must be positive")
        for name in ("alpha_a", "alpha_c"):
            if getattr(self, name) >= 1:
                raise InputError(f"kinetics.{name} = {getattr(self, name)!r} must lie between 0 and 1")

    def exchange_current(self, c_face: float) -> float:
        """j_0 at the concentration at the electrode, `c_face` [mol/m^3], in A/m^2."""
        return float(self.j_ref * (max(c_face, 0.0) / self.c_ref) ** self.alpha_a)

    def current(self, eta: float, c_face: float, T: float) -> float:
        """Dissolution current density [A/m^2] at overpotential `eta` [V]."""
        x = F * eta / (R * T)
        return float(self.exchange_current(c_face) * (np.expm1(self.alpha_a * x) - np.expm1(-self.alpha_c * x)))

    def overpotential_of_ratio(self, ratio: float, T: float) -> float:
        """eta [V] at i/j_0 = `ratio` [1]: closed for equal alphas, else by Newton.

        Newton starts from the dominant exponential, beyond the root, and converges monotonically from there: the
        current is increasing in eta, convex above zero and concave below.
        """
        if self.is_symmetric:
            return float(R * T / (self.alpha_a * F) * np.arcsinh(ratio / 2))
        alpha = self.alpha_a if ratio > 0 else self.alpha_c
        x = np.sign(ratio) * np.log1p(abs(ratio)) / alpha
        for _ in range(100):
            up, down = np.expm1(self.alpha_a * x), np.expm1(-self.alpha_c * x)
            step = (up - down - ratio) / (self.alpha_a * (1 + up) + self.alpha_c * (1 + down))
            x -= step
            if abs(step) <= 1e-14 * abs(x):
                break
        return float(R * T / F * x)

    def resistance(self, c_face: float, T: float) -> float:
        """RT/[F (alpha_a + alpha_c) j_0], of a small signal [ohm m^2]."""
        slope = (self.alpha_a + self.alpha_c) * self.exchange_current(c_face)
        return R * T / (F * slope) if slope else math.inf

    @property
    def cathodic_order(self) -> float:
        """Order of lithium plating in the salt concentration at a fixed electrode potential [1]."""
        return self.alpha_a + self.alpha_c

    @property
    def is_symmetric(self) -> bool:
        """Whether both transfer coefficients are the same."""
        return self.alpha_a == self.alpha_c

    def describe(self) -> str:
        """The law in a few words."""
        text = f"Butler-Volmer, {self.j_ref:.4g} A/m^2"
        order = self.cathodic_order
        return text if abs(order - 1) < 1e-9 else f"{text}, plating of order {order:.3g} in c (alpha_a + alpha_c)"


LEAST_PHASE = 0.5
"""Smallest exponent of a constant-phase element; that of diffusion into a porous electrode."""

LAWS: Mapping[str, type[Kinetics]] = {cls.law: cls for cls in (ButlerVolmer,)}
"""The laws a case file can name."""


@dataclass(frozen=True)
class Electrode:
    """One electrode: a resistance and optional kinetics in series, and a double layer beside both.

    With a double layer the overpotential eta is a state of its own, i = i_F(eta) + C d(eta)/dt, with i the dissolution
    current density that the electrolyte carries and i_F the part of it that crosses by charge transfer. Without, i_F is
    i. A blocking electrode (stainless steel, gold) has the double layer alone, i_F = 0.

    Parameters
    ----------
    resistance : Resistance
        Area-specific resistance.
    kinetics : Kinetics, optional
        Charge-transfer kinetics.
    capacitance : float
        Of the double layer; 0: none [F/m^2].
    phase : float
        Exponent of the constant-phase element that takes its place below 1, in an impedance only [1].
    blocking : bool
        Whether no charge crosses.
    area : float, optional
        Its own area, where a case states one beside that of the cell, to which everything above refers [m^2].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 7.
    """

    resistance: Resistance = Resistance(np.zeros(1))
    kinetics: Kinetics | None = None
    capacitance: float = 0.0
    phase: float = 1.0
    blocking: bool = False
    area: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.capacitance) and self.capacitance >= 0):
            raise InputError(f"capacitance = {self.capacitance!r} F/m^2 must be finite and not negative")
        if not LEAST_PHASE <= self.phase <= 1:
            raise InputError(f"phase = {self.phase!r} must lie between {LEAST_PHASE} and 1; 1 is a capacitance")
        if self.phase != 1 and not self.capacitance:
            raise InputError(f"phase = {self.phase:g} is the exponent of a capacitance; give capacitance too")
        if self.blocking:
            if not self.capacitance:
                raise InputError("blocking = true needs a capacitance; without one no current passes at all")
            if self.kinetics is not None or np.any(self.resistance.value > 0):
                raise InputError("blocking = true has no place beside a resistance or kinetics: no charge crosses")
        elif self.capacitance and self.kinetics is None and np.any(self.resistance.value == 0):
            raise InputError(
                f"capacitance = {self.capacitance:.4g} F/m^2 needs a resistance above zero, or kinetics, beside it; "
                "for an electrode that no charge crosses say blocking = true"
            )

    def loss(self, i: float, c_face: float, T: float, time: float) -> float:
        """Overpotential [V] of the dissolution current density `i` [A/m^2]; negative where metal is plated.

        Parameters
        ----------
        i : float
            Dissolution current density by charge transfer, +i at x = 0 and -i at x = L [A/m^2].
        c_face : float
            Salt concentration at the interface [mol/m^3].
        T : float
            Temperature [K].
        time : float
            Time [s], for a resistance that changes.

        Returns
        -------
        float
        """
        loss = i * self.resistance.at(time)
        return loss if self.kinetics is None else loss + self.kinetics.overpotential(i, c_face, T)

    def transferred(self, eta: float, c_face: float, T: float, time: float) -> float:
        """i_F, the dissolution current density by charge transfer at an overpotential: the inverse of :meth:`loss`.

        Parameters
        ----------
        eta : float
            Overpotential [V].
        c_face, T, time
            As in :meth:`loss`.

        Returns
        -------
        float
            [A/m^2]
        """
        if self.blocking or eta == 0:
            return 0.0
        R = self.resistance.at(time)
        if self.kinetics is None:
            return eta / R
        from scipy.optimize import brentq

        def miss(x: float) -> float:  # in asinh of the current over j_0, in which the overpotential is almost linear
            return self.loss(j_0 * math.sinh(x), c_face, T, time) / eta - 1

        j_0 = self.kinetics.exchange_current(c_face) or 1e-300
        end = math.copysign(1.0, eta)
        while miss(end) < 0:
            end *= 2
        return float(j_0 * math.sinh(brentq(miss, 0.0, end, xtol=1e-14, rtol=1e-13)))

    def small_signal(self, c_face: float, T: float, time: float) -> float:
        """The resistance of a small signal, kinetics included [ohm m^2]; arguments as in :meth:`loss`.

        Infinite where the electrode is blocking.
        """
        if self.blocking:
            return math.inf
        resistance = self.resistance.at(time)
        return resistance if self.kinetics is None else resistance + self.kinetics.resistance(c_face, T)

    def at_once(self, c_face: float, T: float, time: float) -> float:
        """The resistance that a sudden small current meets: none beside a double layer [ohm m^2]; as :meth:`loss`."""
        return 0.0 if self.capacitance else self.small_signal(c_face, T, time)

    def describe(self) -> str:
        """What the interface costs, in a few words."""
        low, high = 1e4 * float(self.resistance.value.min()), 1e4 * float(self.resistance.value.max())
        words = []
        if high > 0:
            words.append(f"{low:.4g} ohm cm^2" if low == high else f"{low:.4g}-{high:.4g} ohm cm^2 in time")
        if self.kinetics is not None:
            words.append(self.kinetics.describe())
        text = "blocking" if self.blocking else " and ".join(words) or "no loss"
        if self.capacitance:
            element = "" if self.phase == 1 else f" with exponent {self.phase:g}"
            text += f", double layer {100 * self.capacitance:.4g} uF/cm^2{element}"
        own = "" if self.area is None else f" (per area of the cell; its own area is {1e4 * self.area:.4g} cm^2)"
        return text + own
