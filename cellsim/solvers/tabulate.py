"""Property functions as tables for compiled code: made from the set through equations.py, never a second copy of it.

Nodes lie evenly in ln c; between two nodes every property is a cubic with the values and slopes of the set's own
functions at the nodes. The number of nodes doubles until the tables agree with the functions they were made from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cellsim import equations
from cellsim.kinetics import ButlerVolmer
from cellsim.transport import TransportSet

Array = NDArray[np.float64]

FEWEST, MOST = 512, 16384
U_MAX = 60.0
"""Overpotentials are tabulated for |asinh(i/2 j_0)| up to this."""


@dataclass(frozen=True)
class PropertyTables:
    """Cubics for D, M, 1/kappa and W over ln c.

    Attributes
    ----------
    start, pitch : float
        First node and distance of nodes in ln(c [mol/m^3]) [1].
    cubics : ndarray, shape (4, n, 4)
        D [m^2/s], M [mol/C], 1/kappa [m/S], W [1]; in every interval a + b w + c w^2 + d w^3, w from 0 to 1.
    error : float
        Largest difference from the set's functions, relative to the value (W: absolute), between the nodes.
    mean_error : float
        The same, averaged over ln c: what is left at the corners of a piecewise table hardly counts.
    """

    start: float
    pitch: float
    cubics: Array
    error: float
    mean_error: float

    @property
    def c_range(self) -> tuple[float, float]:
        """Concentrations covered [mol/m^3]; beyond them values are held."""
        return float(np.exp(self.start)), float(np.exp(self.start + self.pitch * self.cubics.shape[1]))


_CACHE: dict[int, tuple[weakref.ref[TransportSet], dict[tuple[float, float, float], PropertyTables]]] = {}


def property_tables(transport: TransportSet, c_low: float, c_high: float, tolerance: float) -> PropertyTables:
    """Tables of a set, made once and kept for as long as the set lives.

    Parameters
    ----------
    transport : TransportSet
        Properties; evaluated clamped to their range.
    c_low, c_high : float
        Concentrations to cover [mol/m^3].
    tolerance : float
        Mean relative error that is small enough; at single corners of a piecewise table ten times that.

    Returns
    -------
    PropertyTables
    """
    key = id(transport)
    if key not in _CACHE or _CACHE[key][0]() is not transport:
        _CACHE[key] = (weakref.ref(transport, lambda _: _CACHE.pop(key, None)), {})
    made = _CACHE[key][1]
    which = (c_low, c_high, tolerance)
    if which not in made:
        made[which] = _make(transport.with_extrapolation("clamp"), c_low, c_high, tolerance)
    return made[which]


def functions(transport: TransportSet) -> tuple[Callable[[Array], Array], ...]:
    """D, M, 1/kappa and W of a set as functions of c [mol/m^3], in the order of the tables."""
    return (
        transport.D,
        lambda c: equations.migration(transport, c),
        lambda c: 1 / transport.kappa(c),
        transport.potential_integral,
    )


def _make(transport: TransportSet, c_low: float, c_high: float, tolerance: float) -> PropertyTables:
    low, high = np.log(c_low), np.log(c_high)
    intervals = FEWEST
    while True:
        pitch = (high - low) / intervals
        x = low + pitch * np.arange(intervals + 1)
        middle = np.exp(x[:-1] + 0.5 * pitch)
        cubics = np.empty((4, intervals, 4))
        error, mean_error = 0.0, 0.0
        for k, function in enumerate(functions(transport)):
            y, slope = function(np.exp(x)), _slope(transport, function, k, x) * pitch
            cubics[k] = _hermite(y, slope)
            exact = function(middle)
            scale = 1.0 if k == 3 else np.maximum(np.abs(exact), 1e-6 * np.max(np.abs(exact)) + 1e-300)
            miss = np.abs(cubics[k] @ (0.5 ** np.arange(4)) - exact) / scale
            error, mean_error = max(error, float(miss.max())), max(mean_error, float(miss.mean()))
        if mean_error <= tolerance or intervals >= MOST:
            return PropertyTables(low, pitch, cubics, error, mean_error)
        intervals *= 2


def _slope(transport: TransportSet, function: Callable[[Array], Array], k: int, x: Array) -> Array:
    """d(property)/d(ln c) at the nodes; that of W is known."""
    if k == 3:
        return transport.potential_slope(np.exp(x))
    h = 1e-5
    both = function(np.exp(np.concatenate([x - h, x + h])))
    return np.asarray((both[x.size :] - both[: x.size]) / (2 * h))


def _hermite(y: Array, slope: Array) -> Array:
    """Coefficients of the cubics through values and slopes (per interval) at both ends, shape (n, 4)."""
    y_0, y_1, s_0, s_1 = y[:-1], y[1:], slope[:-1], slope[1:]
    return np.stack([y_0, s_0, 3 * (y_1 - y_0) - 2 * s_0 - s_1, 2 * (y_0 - y_1) + s_0 + s_1], axis=1)


@dataclass(frozen=True)
class KineticTables:
    """Butler-Volmer kinetics for compiled code: the exchange current over ln c, the overpotential over asinh(i/2 j_0).

    Attributes
    ----------
    exchange : ndarray, shape (n, 4)
        Cubics of j_0 on the nodes of the property tables [A/m^2].
    overpotential : ndarray, shape (m, 4)
        Cubics of eta [V] over u = asinh(i/(2 j_0)), from -U_MAX to U_MAX.
    """

    exchange: Array
    overpotential: Array


def kinetic_tables(kinetics: ButlerVolmer, T: float, properties: PropertyTables) -> KineticTables:
    """Tables of one electrode's kinetics at temperature `T` [K] on the nodes of `properties`."""
    return _kinetic_tables(kinetics, T, properties.start, properties.pitch, properties.cubics.shape[1])


@lru_cache(maxsize=64)
def _kinetic_tables(kinetics: ButlerVolmer, T: float, start: float, pitch: float, intervals: int) -> KineticTables:
    x = start + pitch * np.arange(intervals + 1)
    h = 1e-5
    j_0, below, above = (np.array([kinetics.exchange_current(float(c)) for c in np.exp(x + d)]) for d in (0.0, -h, h))
    exchange = _hermite(j_0, (above - below) / (2 * h) * pitch)
    linear = kinetics.alpha_a == kinetics.alpha_c  # then eta is proportional to u
    u = np.linspace(-U_MAX, U_MAX, 3 if linear else 4097)

    def eta(u: float) -> float:
        return kinetics.overpotential(float(2 * kinetics.j_ref * np.sinh(u)), kinetics.c_ref, T)

    value = np.array([eta(v) for v in u])
    step = 1e-4
    slope = np.array([(eta(v + step) - eta(v - step)) / (2 * step) for v in u]) * (u[1] - u[0])
    return KineticTables(exchange, _hermite(value, slope))
