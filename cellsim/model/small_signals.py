"""Small signals about a uniform cell: voltage and current after a step, how they settle, and the impedance.

Exact for the :class:`.Layer` of `closed_forms` as the signal vanishes. Step responses and impedance are Laplace
transforms of one another. Plain numbers in, numbers out; never a solver.

References
----------
Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11-12 and 17; Carslaw & Jaeger, *Conduction of Heat in
Solids*, 2nd ed., section 3.8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

from cellsim.base import Array
from cellsim.model.closed_forms import SHORT, Layer, ramp_built

PEAK = 2.54065
"""w tau, tau = L^2/(4 D), at which -Im of tanh(q)/q, q = sqrt(i w tau), is largest [1]."""


def bruce_vincent(voltage: float, i_0: float, i_ss: float, R_0: float, R_ss: float) -> float:
    """i_ss (V - i_0 R_0)/(i_0 (V - i_ss R_ss)): the current ratio without its interfaces.

    Parameters
    ----------
    voltage : float
        Voltage held [V].
    i_0, i_ss : float
        First and last current density [A/m^2].
    R_0, R_ss : float
        Resistance of both interfaces at the start and at the end [ohm m^2].

    Returns
    -------
    float
        rho+ [1].

    References
    ----------
    Evans, Vincent & Bruce, Polymer 28 (1987) 2324, doi:10.1016/0032-3861(87)90394-6.
    """
    return i_ss * (voltage - i_0 * R_0) / (i_0 * (voltage - i_ss * R_ss))


def voltage_response(layer: Layer, i: float, t: ArrayLike) -> Array:
    """Small-signal voltage after a current step, i [R_b + R_i + R_d f(t)], f from 0 to 1 as the profile builds up.

    f(t) = 1 - (8/pi^2) sum over odd n of exp(-n^2 pi^2 D t/L^2)/n^2; early, f = 4 sqrt(D t/(pi L^2)).

    Parameters
    ----------
    layer : Layer
        Properties.
    i : float
        Current density [A/m^2].
    t : array_like, shape (n,)
        Time since the step [s].

    Returns
    -------
    ndarray, shape (n,)
        Cell voltage [V].

    References
    ----------
    Carslaw & Jaeger, section 3.8; Newman & Balsara, 4th ed., ch. 14.
    """
    built = 2 * ramp_built(layer, np.zeros(1), t)[..., 0]
    return i * (layer.bulk_resistance + layer.resistance + layer.diffusion_resistance * built)


def current_response(layer: Layer, voltage: float, t: ArrayLike) -> Array:
    """Small-signal current after a voltage step, exact for any ratio of resistances.

    With R_s = R_b + R_i, B = R_d/R_s and s = D t/L^2::

        i R_s/V = 1/(1 + B) + sum over n of 2 B exp(-4 lambda_n^2 s)/(B^2 + B + lambda_n^2),  tan lambda_n = -lambda_n/B
        i R_s/V = exp(4 B^2 s) erfc(2 B sqrt(s))   while the two diffusion layers do not meet

    the inverse of i/V = 1/(R_s + R_d tanh(q)/q), q = (L/2) sqrt(p/D).

    Parameters
    ----------
    layer : Layer
        Properties.
    voltage : float
        Voltage held [V], far below RT/F.
    t : array_like, shape (n,)
        Time since the step [s].

    Returns
    -------
    ndarray, shape (n,)
        Current density [A/m^2].

    References
    ----------
    Impedance: Sorensen & Jacobsen, Electrochim. Acta 27 (1982) 1671; inverted as in Carslaw & Jaeger, ch. 12.
    """
    series = layer.bulk_resistance + layer.resistance
    s = np.asarray(t, dtype=float) * layer.D_time / layer.thickness**2
    return np.asarray(voltage / series * _response(layer.diffusion_resistance / series, s))


def held_rate(layer: Layer, B: float | None = None) -> float:
    """Rate of the slowest mode at a held voltage, 4 q^2 D/L^2 with q cot q = -B and pi/2 < q < pi.

    A pole of 1/Z, Z of :func:`impedance`. Quicker than restricted diffusion (:attr:`Layer.relaxation_rate`), to which
    it falls as B -> 0: a profile that lags behind lets more current through, which builds it up.

    Parameters
    ----------
    layer : Layer
        Properties.
    B : float, optional
        Concentration voltage over the rest of the voltage for a small change of the current [1]; default that of a
        uniform cell, Ne R_b/(R_b + R_i).

    Returns
    -------
    float
        [1/s]
    """
    q = float(_response_roots(_feedback(layer) if B is None else B, 1)[0])
    return 4 * q**2 * layer.D_time / layer.thickness**2


def settling_time(layer: Layer, left: float = 0.01, B: float | None = None) -> float:
    """When the current at a held voltage is within `left` of its steady value, from all modes of the response.

    Parameters
    ----------
    layer : Layer
        Properties.
    left : float
        Difference to the steady current, relative to it [1].
    B : float, optional
        As for :func:`held_rate`: about another steady state than the uniform one [1].

    Returns
    -------
    float
        [s]; 0 where the current never falls by that much.
    """
    from scipy.optimize import brentq

    B = _feedback(layer) if B is None else B
    if left >= B:
        return 0.0

    def miss(log_s: float) -> float:
        return float(np.log((_response(B, np.exp(log_s)) * (1 + B) - 1) / left))

    # until the layers meet, i R_s/V > 1 - 4 B sqrt(s/pi): not before the lower end. All modes decay by pi^2 or more
    low = 2 * np.log(max((B - left) / (4 * B * (1 + B)), 1e-9)) - 1
    q = float(_response_roots(B, 1)[0])
    late = np.log((np.log(2 * (1 + B) / left) + 1) / (4 * q**2))
    return float(np.exp(brentq(miss, low, late, xtol=1e-12)) * layer.thickness**2 / layer.D_time)


def held_modes(B: float, count: int) -> tuple[Array, Array]:
    """Rates and weights of the modes by which the current at a small held voltage settles.

    i(t)/i_ss - 1 = sum over n of w_n exp(-r_n D t/L^2), the late form of :func:`current_response`.

    Parameters
    ----------
    B : float
        Concentration voltage over the rest of the voltage, R_d/(R_b + R_i) [1].
    count : int
        Modes, slowest first.

    Returns
    -------
    rates, weights : ndarray, shape (count,)
        r_n = 4 lambda_n^2 and w_n = (1 + B) 2 B/(B^2 + B + lambda_n^2) [1].
    """
    roots = _response_roots(B, count)
    return 4 * roots**2, (1 + B) * 2 * B / (B**2 + B + roots**2)


def _feedback(layer: Layer) -> float:
    """Ne R_b/(R_b + R_i): concentration voltage over the rest, small signals about a uniform cell."""
    return layer.diffusion_resistance / (layer.bulk_resistance + layer.resistance)


def _response(B: float, s: ArrayLike) -> Array:
    """Current over the first one at s = D t/L^2 after a small voltage step."""
    s = np.asarray(s, dtype=float)
    early = erfcx(2 * B * np.sqrt(np.minimum(s, 0.4 * SHORT)))
    roots = _response_roots(B, 60)
    terms = np.exp(-4 * np.maximum(s, 0.4 * SHORT)[..., None] * roots**2) * 2 * B / (B**2 + B + roots**2)
    late = 1 / (1 + B) + terms.sum(axis=-1)
    return np.asarray(np.where(s < 0.4 * SHORT, early, late))


def _response_roots(B: float, count: int) -> Array:
    """lambda_n in ((n - 1/2) pi, n pi) with tan(lambda) = -lambda/B, by Newton on lambda + atan(lambda/B) = n pi."""
    n = np.arange(1, count + 1)
    root = (n - 0.25) * np.pi
    for _ in range(60):  # the left side is concave and increasing: Newton converges monotonically after one step
        root = root - (root + np.arctan2(root, B) - n * np.pi) / (1 + B / (B**2 + root**2))
    return np.asarray(root, dtype=float)


# ---- impedance ------------------------------------------------------------------------------------------------------


def interface_impedance(resistance: float, time: float, omega: ArrayLike, phase: float = 1.0) -> NDArray[np.complex128]:
    """R/(1 + (i w t)^phase): a resistance beside a double layer, or a constant-phase element where phase < 1.

    Parameters
    ----------
    resistance : float
        R [ohm m^2].
    time : float
        t, one over the angular frequency at the top of the arc: R C of a double layer, (R Q)^(1/phase) of a
        constant-phase element 1/(Q (i w)^phase) [s].
    omega : array_like, shape (n,)
        Angular frequencies, not negative [rad/s].
    phase : float
        Exponent; 1 is a capacitance [1].

    Returns
    -------
    ndarray, shape (n,)
        Complex [ohm m^2].

    References
    ----------
    Cole & Cole 1941, doi:10.1063/1.1750906; capacitance t/R of such an arc: Hsu & Mansfeld 2001, doi:10.5006/1.3280607.
    """
    return np.asarray(resistance / (1 + (1j * np.asarray(omega, dtype=float) * time) ** phase))


def impedance(layer: Layer, omega: ArrayLike) -> NDArray[np.complex128]:
    """Small-signal impedance, Z = R_b + R_i + R_d tanh(q)/q with q = (L/2) sqrt(i w/D).

    From dc/dt = D d2c/dx2 with -D dc/dx = M i at both walls: the change of c is odd about the middle, c(0) - c(L) =
    2 M i/(D k) tanh(k L/2), k = sqrt(i w/D), and the voltage of that difference is i R_d tanh(q)/q, R_d = R_b Ne.
    Linear kinetics only add their resistance to R_i: the exchange current's dependence on c multiplies an overpotential
    that is zero at rest. No double layer: R_i is there at any frequency (:mod:`cellsim.model.charging` has them).

    Parameters
    ----------
    layer : Layer
        Properties.
    omega : array_like, shape (n,)
        Angular frequencies, not negative [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Impedance times area, complex [ohm m^2].

    References
    ----------
    Sorensen & Jacobsen, Electrochim. Acta 27 (1982) 1671; :func:`current_response` is its inverse.
    """
    arc = finite_warburg(layer.thickness, layer.D_time, omega)
    return np.asarray(layer.bulk_resistance + layer.resistance + layer.diffusion_resistance * arc)


def finite_warburg(thickness: float, D: float, omega: ArrayLike) -> NDArray[np.complex128]:
    """tanh(q)/q, q = (L/2) sqrt(i w/D): the share of a diffusion resistance that is left at a frequency.

    Parameters
    ----------
    thickness : float
        L [m].
    D : float
        Diffusion coefficient that sets the pace [m^2/s].
    omega : array_like, shape (n,)
        Angular frequencies, not negative [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Complex [1].
    """
    q = 0.5 * thickness * np.sqrt(1j * np.asarray(omega, dtype=float) / D)
    small = np.abs(q) < 1e-4  # tanh(q)/q = 1 - q^2/3 to 1e-17
    safe = np.where(small, 1.0, q)
    return np.asarray(np.where(small, 1 - q**2 / 3, np.tanh(safe) / safe))
