"""What an interface costs: an area-specific resistance, and Butler-Volmer kinetics, solved, not linearised."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class ButlerVolmer:
    """i = j_0 [exp(alpha_a F eta/RT) - exp(-alpha_c F eta/RT)], j_0 = j_ref (c_face/c_ref)^alpha_a.

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

    def __post_init__(self) -> None:
        for name in ("j_ref", "c_ref", "alpha_a", "alpha_c"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"kinetics.{name} = {getattr(self, name)!r} must be positive")

    def exchange_current(self, c_face: float) -> float:
        """j_0 at face concentration `c_face` [mol/m^3], in A/m^2."""
        return float(self.j_ref * (max(c_face, 0.0) / self.c_ref) ** self.alpha_a)

    def current(self, eta: float, c_face: float, T: float) -> float:
        """Dissolution current density [A/m^2] at overpotential `eta` [V]."""
        x = F * eta / (R * T)
        return float(self.exchange_current(c_face) * (np.expm1(self.alpha_a * x) - np.expm1(-self.alpha_c * x)))

    def overpotential(self, i: float, c_face: float, T: float) -> float:
        """eta [V] that carries the dissolution current density `i` [A/m^2]: closed for equal alphas, else by Newton.

        Newton in asinh-like coordinates started from the dominant exponential converges monotonically: the current
        is increasing in eta, convex above zero and concave below.
        """
        y = i / max(self.exchange_current(c_face), 1e-300)
        if self.alpha_a == self.alpha_c:
            return float(R * T / (self.alpha_a * F) * np.arcsinh(y / 2))
        alpha = self.alpha_a if y > 0 else self.alpha_c
        x = (
            np.sign(y) * np.log1p(abs(y)) / alpha
        )  # beyond the root, where one exponential rules: Newton comes down to it
        for _ in range(100):
            up, down = np.expm1(self.alpha_a * x), np.expm1(-self.alpha_c * x)
            step = (up - down - y) / (self.alpha_a * (1 + up) + self.alpha_c * (1 + down))
            x -= step
            if abs(step) <= 1e-14 * abs(x):
                break
        return float(R * T / F * x)


@dataclass(frozen=True)
class Electrode:
    """One lithium electrode: a resistance and optional kinetics in series.

    Parameters
    ----------
    resistance : Resistance
        Area-specific resistance.
    kinetics : ButlerVolmer, optional
        Charge-transfer kinetics.
    """

    resistance: Resistance = Resistance(np.zeros(1))
    kinetics: ButlerVolmer | None = None

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
