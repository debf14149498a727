"""The current that a held voltage asks for: one equation in one unknown, found or honestly not found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cellsim.errors import ConvergenceError


def find_current(miss: Callable[[float], float], guess: float, scale: float, voltage_scale: float) -> float:
    """Root of `miss`, by the secant method and, where that fails, by bracketing.

    Parameters
    ----------
    miss : callable
        Cell voltage less the voltage asked for [V] as a function of the current density [A/m^2]; rising.
    guess : float
        Where to begin [A/m^2].
    scale : float
        A current density of the size of the answer [A/m^2].
    voltage_scale : float
        A voltage of the size at hand; the root is accepted within 1e-9 of it [V].

    Returns
    -------
    float
        [A/m^2]

    Raises
    ------
    ConvergenceError
        If no current gives the voltage: the profile has run dry, or a trial one is beyond reason.
    """
    accepted = 1e-9 * voltage_scale
    a, b = guess, guess + 1e-4 * scale
    f_a, f_b = miss(a), miss(b)
    for _ in range(30):
        if f_b == f_a:
            break
        a, b, f_a = b, b - f_b * (b - a) / (f_b - f_a), f_b
        f_b = miss(b)
        if not np.isfinite(f_b):
            break
        if abs(f_b) <= accepted and abs(b - a) <= 1e-10 * scale:
            return b
    if abs(f_b) <= accepted:
        return b
    return _bracketed(miss, guess, scale, accepted)


def _bracketed(miss: Callable[[float], float], guess: float, scale: float, accepted: float) -> float:
    from scipy.optimize import brentq

    low, high = guess, guess
    for k in range(12):
        reach = scale * 4.0 ** (k - 6)
        low, high = guess - reach, guess + reach
        f_low, f_high = miss(low), miss(high)
        if not (np.isfinite(f_low) and np.isfinite(f_high)):
            break
        if f_low * f_high <= 0:
            root = float(brentq(lambda x: miss(x), low, high, xtol=1e-14 * scale, rtol=1e-13))
            if abs(miss(root)) <= 1e3 * accepted:
                return root
            break
    raise ConvergenceError("no current gives the voltage asked for with this profile")
