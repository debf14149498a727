"""What a measured voltage leaves for the interfaces, and whether a constant resistance is all that is missing.

    R_app(t) = (U_measured - U_electrolyte)/i        with a whole current for i it is in ohm

U_electrolyte comes from draws of the set, so the band of R_app is what the electrolyte's uncertainty does to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError

Array = NDArray[np.float64]

CONVINCING = 0.05
"""A predictive probability below this fails the check."""


@dataclass(frozen=True)
class ApparentResistance:
    """Resistance that closes the gap between measured and electrolyte voltage.

    Parameters
    ----------
    time : ndarray, shape (t,)
        [s]
    value, low, high : ndarray, shape (t,)
        Median and 95 % band over the draws [ohm m^2].
    share : ndarray, shape (t,)
        Of the measured voltage that the median electrolyte explains [1].
    """

    time: Array
    value: Array
    low: Array
    high: Array
    share: Array


@dataclass(frozen=True)
class VoltageCheck:
    """Posterior predictive check of electrolyte plus a constant resistance over a stretch of time.

    Parameters
    ----------
    start, stop : float
        The stretch [s].
    resistance : float
        That fits best [ohm m^2].
    rms : float
        What it leaves of the voltage [V].
    expected : float
        What the set's uncertainty and the voltmeter's would leave, median [V].
    p : float
        Share of draws that leave as much or more [1].
    """

    start: float
    stop: float
    resistance: float
    rms: float
    expected: float
    p: float

    @property
    def passed(self) -> bool:
        """Whether the voltage may enter a likelihood there."""
        return self.p >= CONVINCING


def apparent_resistance(time: Array, U: Array, i: Array, electrolyte: Array) -> ApparentResistance:
    """R_app(t) with its band.

    Parameters
    ----------
    time, U, i : ndarray, shape (t,)
        Measured [s, V, A/m^2]; i nowhere zero; the whole current [A] does as well.
    electrolyte : ndarray, shape (draws, t)
        Its voltage [V].

    Returns
    -------
    ApparentResistance

    Raises
    ------
    InputError
        A current of zero.
    """
    if np.any(i == 0):
        raise InputError("an apparent resistance needs a current at every time asked")
    low, middle, high = np.quantile((U - electrolyte) / i, [0.025, 0.5, 0.975], axis=0)
    return ApparentResistance(time, middle, low, high, np.median(electrolyte, axis=0) / U)


def voltage_check(
    time: Array,
    U: Array,
    i: Array,
    electrolyte: Array,
    *,
    error: float,
    stretch: tuple[float, float],
    seed: int = 0,
) -> VoltageCheck:
    """Could U be the electrolyte's voltage plus i times one constant, within what is known?

    Parameters
    ----------
    time, U, i : ndarray, shape (t,)
        Measured [s, V, A/m^2].
    electrolyte : ndarray, shape (draws, t)
        Its voltage [V].
    error : float
        Of the voltmeter [V].
    stretch : tuple of float
        First and last time looked at [s].
    seed : int
        Of the made-up voltmeter errors.

    Returns
    -------
    VoltageCheck

    Raises
    ------
    InputError
        Fewer than three points in the stretch.
    """
    use = (time >= stretch[0]) & (time <= stretch[1])
    if np.count_nonzero(use) < 3:
        raise InputError(f"fewer than three voltages between {stretch[0]:.6g} and {stretch[1]:.6g} s")
    drive = i[use]

    def left(voltage: Array) -> tuple[float, Array]:
        resistance = float(voltage @ drive / (drive @ drive))
        return resistance, voltage - resistance * drive

    centre = np.median(electrolyte[:, use], axis=0)
    resistance, residual = left(U[use] - centre)
    generator = np.random.default_rng(seed)
    made = []
    for row in electrolyte[:, use]:
        rest = left(row - centre + error * generator.standard_normal(drive.size))[1]
        made.append(float(np.sqrt(np.mean(rest**2))))
    rms = float(np.sqrt(np.mean(residual**2)))
    p = (1 + np.count_nonzero(np.array(made) >= rms)) / (1 + len(made))
    return VoltageCheck(stretch[0], stretch[1], resistance, rms, float(np.median(made)), float(p))
