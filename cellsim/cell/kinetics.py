"""What an interface costs: an area-specific resistance, and kinetics of charge transfer, solved, not linearised."""

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


LAWS: Mapping[str, type[Kinetics]] = {cls.law: cls for cls in (ButlerVolmer,)}
"""The laws a case file can name."""


@dataclass(frozen=True)
class Electrode:
    """One lithium electrode: a resistance and optional kinetics in series.

    Parameters
    ----------
    resistance : Resistance
        Area-specific resistance.
    kinetics : Kinetics, optional
        Charge-transfer kinetics.
    """

    resistance: Resistance = Resistance(np.zeros(1))
    kinetics: Kinetics | None = None

    def loss(self, i: float, c_face: float, T: float, time: float) -> float:
        """Overpotential [V] of the dissolution current density `i` [A/m^2]; negative where metal is plated.

        Parameters
        ----------
        i : float
            Dissolution current density, +i at x = 0 and -i at x = L [A/m^2].
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

    def small_signal(self, c_face: float, T: float, time: float) -> float:
        """The resistance of a small signal, kinetics included [ohm m^2]; arguments as in :meth:`loss`."""
        resistance = self.resistance.at(time)
        return resistance if self.kinetics is None else resistance + self.kinetics.resistance(c_face, T)

    def describe(self) -> str:
        """What the interface costs, in a few words."""
        low, high = 1e4 * float(self.resistance.value.min()), 1e4 * float(self.resistance.value.max())
        words = []
        if high > 0:
            words.append(f"{low:.4g} ohm cm^2" if low == high else f"{low:.4g}-{high:.4g} ohm cm^2 in time")
        if self.kinetics is not None:
            words.append(self.kinetics.describe())
        return " and ".join(words) or "no loss"
