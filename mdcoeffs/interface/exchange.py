"""From a counted rate to the resistance of an interface.

At equilibrium as many ions cross one way as the other. With N crossings in both directions, through n faces of area A,
in the time t, the one-way flux, the exchange current density and the resistance of one interface to a small current are

    J = N / (2 n A t) = Gamma n_s,    i_0 = |z| e J,    R = k_B T / (|z| e i_0) = k_B T / (z^2 e^2 Gamma n_s),

where Gamma is the rate at which one ion crosses one way and n_s the number of ions per area of one interface.

The interval is that of counting. The crossings of one ion alternate between in and out, so they are no Poisson process:
with entry and exit rates k_a and k_b, k = k_a + k_b, and a run of length T, their variance is their mean times

    phi = 1 + ((k_a - k_b)/k)^2 (1 - (1 - e^(-kT))/(kT)),

between 1 (a short run, or rates alike) and 2 (a long run in which ions are nearly always on one side).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cellsim.base import InputError, e, k_B
from mdcoeffs.interface.rates import CountEstimate, jump_rate

ONE_FACE = 8
"""So many crossings, all through one of two faces, are no chance (1 % at equal rates): the other is no interface."""


@dataclass(frozen=True)
class Exchange:
    """What crosses one interface at equilibrium.

    Parameters
    ----------
    rate : CountEstimate
        Gamma, one-way crossings of one interface by one ion outside [1/s].
    ions : float
        n_s, ions outside per area of one interface [1/m^2].
    current : CountEstimate
        Exchange current density i_0 [A/m^2].
    resistance : CountEstimate
        Of one interface, to a small current [ohm m^2].
    faces : int
        Interfaces that were counted over.
    crossings : int
        Through all of them, both ways.
    phi : float
        Variance of the crossings over their mean [1].
    """

    rate: CountEstimate
    ions: float
    current: CountEstimate
    resistance: CountEstimate
    faces: int
    crossings: int
    phi: float

    @property
    def line(self) -> str:
        """The line for [electrodes.positive] or [electrodes.negative] of a case of cellsim; empty without crossings."""
        R = self.resistance.value
        return f'resistance = "{R:.4g} ohm m^2"' if math.isfinite(R) else ""

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        return {
            "one_way_rate": self.rate.numbers(),
            "ions_per_area": self.ions,
            "exchange_current": self.current.numbers(),
            "resistance": self.resistance.numbers(),
            "faces": self.faces,
            "crossings": self.crossings,
            "variance_over_mean": self.phi,
            "case_line": self.line,
        }


def interfaces_crossed(entered: tuple[int, int], left: tuple[int, int], faces: tuple[int, int]) -> int:
    """How many interfaces the crossings went through.

    Parameters
    ----------
    entered, left : tuple of int
        Crossings through lower and upper faces.
    faces : tuple of int
        Lower and upper faces that the region has.

    Returns
    -------
    int
        All faces; without those of a kind that nothing crossed, where there are `ONE_FACE` crossings through the other.
    """
    lower, upper = (entered[k] + left[k] for k in (0, 1))
    if lower + upper >= ONE_FACE and not (lower and upper):
        return faces[0] if lower else faces[1]
    return sum(faces)


def exchange_of(
    entered: int,
    left: int,
    *,
    outside: float,
    inside: float,
    time: float,
    runs: int,
    faces: int,
    area: float,
    T: float,
    z: float,
    level: float = 0.95,
) -> Exchange:
    """Exchange current and resistance of one interface from crossings counted at equilibrium.

    Parameters
    ----------
    entered, left : int
        Crossings into and out of the region through all its faces.
    outside, inside : float
        Mean number of ions on either side [1].
    time : float
        Over which the crossings were counted, all runs together [s].
    runs : int
        Number of runs.
    faces : int
        Interfaces they went through.
    area : float
        Of one of them [m^2].
    T : float
        Temperature [K].
    z : float
        Charge number of the ion.
    level : float
        Probability of the intervals [1].

    Returns
    -------
    Exchange
        Without crossings the current has an upper end and the resistance a lower one only.

    Raises
    ------
    InputError
        No charge, no ions outside, no face, sizes that are not positive.

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., Eq. 8.24 for small overpotentials.
    """
    if not (z != 0 and outside > 0 and time > 0 and area > 0 and T > 0 and faces >= 1 and runs >= 1):
        raise InputError(
            f"an exchange current needs ions with a charge, a time, an area and a face, found z = {z:g}, "
            f"{outside:g} ions outside, {time:g} s, {area:g} m^2 and {faces} faces"
        )
    total = entered + left
    k_a = entered / (outside * time)
    k_b = left / (inside * time) if inside > 0 else 0.0
    k, phi = k_a + k_b, 1.0
    if k_a > 0 and k_b > 0:
        x = k * time / runs
        phi += ((k_a - k_b) / k) ** 2 * (1.0 + math.expm1(-x) / x)
    # as many independent events would scatter as much, relative to their number
    events = total / phi
    flux = _scaled(jump_rate(events, 1.0, level=level), phi / (2.0 * faces * area * time))  # 1/(m^2 s)
    ions = outside / (faces * area)
    charge = abs(z) * e
    current = _scaled(flux, charge)
    R = [k_B * T / (charge * value) if value > 0 else math.inf for value in (current.value, current.high, current.low)]
    return Exchange(
        rate=_scaled(flux, 1.0 / ions),
        ions=ions,
        current=current,
        resistance=CountEstimate(R[0], R[1], R[2], level),
        faces=faces,
        crossings=total,
        phi=phi,
    )


def _scaled(count: CountEstimate, factor: float) -> CountEstimate:
    return CountEstimate(count.value * factor, count.low * factor, count.high * factor, count.level)
