"""Closed forms of the polarised cell: what every solver must meet. Plain numbers in, numbers out; never a solver.

Most hold for a :class:`Layer`, an electrolyte of constant properties between two lithium electrodes, where

    porosity dc/dt = D_eff d2c/dx2,   -D_eff dc/dx = M i at both walls,   M = phi_0 (1 - t+0)/(z+ nu+ F)

with D_eff = D/MacMullin number. That is exact where phi_0 (1 - t+0) is constant: V_e = 0, or no solvent motion, or a
constant transference number in the volume frame; otherwise it is the limit of small changes of concentration. The
dilute ideal salt (chi = 1, V_e = 0, no interaction of the ions) has forms of its own, for any valence and voltage.

References
----------
Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11-12 and 17; Carslaw & Jaeger, *Conduction of Heat in
Solids*, 2nd ed., sections 2.9 and 3.8; Crank, *The Mathematics of Diffusion*, 2nd ed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, erfc, erfcx

from cellsim.base import Array, F, R
from cellsim.electrolyte import relations

SHORT = 0.02
"""Below this D t/L^2 series of images are summed, above it Fourier series; both are exact to round-off there."""


@dataclass(frozen=True)
class Layer:
    """An electrolyte of constant properties between two lithium electrodes.

    Parameters
    ----------
    thickness : float
        Distance L of the electrodes [m].
    c : float
        Average salt concentration [mol/m^3].
    kappa, D : float
        Conductivity [S/m] and salt diffusion coefficient [m^2/s] of the free electrolyte.
    t_plus, chi : float
        Transference number, solvent frame, and thermodynamic factor, molal basis [1].
    T : float
        Temperature [K].
    z_plus, nu_plus, nu_minus : int
        Charge of the cation and ions per formula unit.
    phi_0 : float
        Volume fraction of solvent; 1 without solvent motion [1].
    porosity, macmullin : float
        Of a separator; 1 for free electrolyte [1].
    resistance : float
        Sum of both interfacial resistances [ohm m^2].
    """

    thickness: float
    c: float
    kappa: float
    D: float
    t_plus: float
    chi: float = 1.0
    T: float = 298.15
    z_plus: int = 1
    nu_plus: int = 1
    nu_minus: int = 1
    phi_0: float = 1.0
    porosity: float = 1.0
    macmullin: float = 1.0
    resistance: float = 0.0

    @property
    def migration(self) -> float:
        """M = phi_0 (1 - t+0)/(z+ nu+ F), salt moved per charge [mol/C]."""
        return self.phi_0 * (1 - self.t_plus) / (self.z_plus * self.nu_plus * F)

    @property
    def D_eff(self) -> float:
        """Diffusion coefficient of the superficial flux, D/MacMullin number [m^2/s]."""
        return self.D / self.macmullin

    @property
    def D_time(self) -> float:
        """Diffusion coefficient that sets the pace, D/(MacMullin number x porosity) [m^2/s]."""
        return self.D_eff / self.porosity

    @property
    def relaxation_rate(self) -> float:
        """pi^2 D_time/L^2 [1/s]: at rest or at a held current; at a held voltage see :func:`held_rate`."""
        return float(np.pi**2 * self.D_time / self.thickness**2)

    @property
    def bulk_resistance(self) -> float:
        """R_b = L MacMullin number/kappa [ohm m^2]."""
        return self.thickness * self.macmullin / self.kappa

    @property
    def newman_number(self) -> float:
        """Ne, see :func:`newman_number` [1]."""
        return newman_number(
            self.kappa,
            self.D,
            self.t_plus,
            self.chi,
            self.c,
            self.T,
            z_plus=self.z_plus,
            nu_plus=self.nu_plus,
            nu_minus=self.nu_minus,
        )

    @property
    def diffusion_resistance(self) -> float:
        """R_d = R_b Ne: concentration voltage per current at steady state, small signals [ohm m^2]."""
        return self.bulk_resistance * self.newman_number


# ---- small signals ------------------------------------------------------------------------------------------------


def newman_number(
    kappa: float,
    D: float,
    t_plus: float,
    chi: float,
    c: float,
    T: float,
    *,
    z_plus: int = 1,
    nu_plus: int = 1,
    nu_minus: int = 1,
) -> float:
    """Newman number, Ne = nu/(z+ nu+)^2 kappa R T (1 - t+0)^2 chi/(F^2 D c).

    Parameters
    ----------
    kappa, D : float
        Conductivity [S/m], salt diffusion coefficient [m^2/s].
    t_plus, chi : float
        Transference number, solvent frame, and thermodynamic factor, molal basis [1].
    c, T : float
        Salt concentration [mol/m^3], temperature [K].
    z_plus, nu_plus, nu_minus : int
        Charge of the cation and ions per formula unit.

    Returns
    -------
    float
        Ne [1]; the solvent's volume fraction cancels.

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes, any valence.
    """
    charge = relations.charge_per_salt(z_plus, nu_plus)
    nu = nu_plus + nu_minus
    return float(relations.newman_number(kappa, D, t_plus, (1 - t_plus) * chi, c, nu=nu, T=T, charge=charge))


def current_fraction(
    Ne: float, *, bulk_resistance: float = 1.0, resistance_initial: float = 0.0, resistance_steady: float | None = None
) -> float:
    """Steady over initial current at small voltage, (R_b + R_i)/(R_b (1 + Ne) + R_i); 1/(1 + Ne) without interfaces.

    Parameters
    ----------
    Ne : float
        Newman number [1].
    bulk_resistance : float
        R_b = L/kappa [ohm m^2].
    resistance_initial : float
        Sum of both interfacial resistances at the start [ohm m^2].
    resistance_steady : float, optional
        The same at the end [ohm m^2]; default: unchanged.

    Returns
    -------
    float
        i_ss/i_0 [1].

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes; Bruce, Evans & Vincent, Solid State Ionics 28-30 (1988) 918.
    """
    end = resistance_initial if resistance_steady is None else resistance_steady
    return (bulk_resistance + resistance_initial) / (bulk_resistance * (1 + Ne) + end)


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
    built = 2 * _ramp_built(layer, np.zeros(1), t)[..., 0]
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


# ---- profiles in time -----------------------------------------------------------------------------------------------


def _steady_difference(layer: Layer, i: float) -> float:
    """c(0) - c(L) at steady state, M i L/D_eff [mol/m^3]."""
    return layer.migration * i * layer.thickness / layer.D_eff


def _ierfc(u: Array) -> Array:
    """Integral of erfc from u to infinity."""
    return np.asarray(np.exp(-(u**2)) / np.sqrt(np.pi) - u * erfc(u))


def galvanostatic_profile(layer: Layer, i: float, x: ArrayLike, t: ArrayLike) -> Array:
    """Concentration after a current step on a uniform profile, exact for constant D and phi_0 (1 - t+0).

    c - c0 = (M i L/D_eff) [1/2 - x/L - sum over odd n of 4/(n pi)^2 cos(n pi x/L) exp(-n^2 pi^2 D t/L^2)]

    Parameters
    ----------
    layer : Layer
        Properties.
    i : float
        Current density [A/m^2].
    x : array_like, shape (m,)
        Distance from the positive electrode [m].
    t : array_like, shape (n,) or scalar
        Time since the step [s].

    Returns
    -------
    ndarray, shape (n, m) or (m,)
        Salt concentration [mol/m^3].

    References
    ----------
    Carslaw & Jaeger, section 3.8 (constant flux at both faces).
    """
    return np.asarray(layer.c + _steady_difference(layer, i) * _ramp_built(layer, x, t))


def _ramp_built(layer: Layer, x: ArrayLike, t: ArrayLike) -> Array:
    """What a constant flux has built of the ramp 1/2 - x/L, of which at rest the rest remains."""
    y = np.asarray(x, dtype=float) / layer.thickness
    s = (np.asarray(t, dtype=float) * layer.D_time / layer.thickness**2)[..., None]
    n = np.arange(1, 40, 2)
    modes = 4 / (n * np.pi) ** 2 * np.cos(n * np.pi * y[..., None])
    late = 0.5 - y - (np.exp(-((n * np.pi) ** 2) * np.maximum(s, SHORT)[..., None]) * modes).sum(axis=-1)
    width = 2 * np.sqrt(np.clip(s, 1e-300, SHORT))
    early = width * (_ierfc(y / width) - _ierfc((1 - y) / width) - _ierfc((1 + y) / width) + _ierfc((2 - y) / width))
    return np.where(s < SHORT, np.where(s > 0, early, 0.0), late)


def relaxation_from_ramp(layer: Layer, difference: float, x: ArrayLike, t: ArrayLike) -> Array:
    """Restricted diffusion after a linear profile: a current switched off at steady state.

    Parameters
    ----------
    layer : Layer
        Properties.
    difference : float
        c(0) - c(L) at the start [mol/m^3].
    x : array_like, shape (m,)
        Distance from the positive electrode [m].
    t : array_like, shape (n,) or scalar
        Time since the current stopped [s].

    Returns
    -------
    ndarray, shape (n, m) or (m,)
        Salt concentration [mol/m^3].

    References
    ----------
    Harned & French, Ann. N. Y. Acad. Sci. 46 (1945) 267; Newman & Chapman, AIChE J. 19 (1973) 343.
    """
    ramp = 0.5 - np.asarray(x, dtype=float) / layer.thickness
    return np.asarray(layer.c + difference * (ramp - _ramp_built(layer, x, t)))


def relaxation_from_step(
    layer: Layer, c_left: float, c_right: float, where: float, x: ArrayLike, t: ArrayLike
) -> Array:
    """Restricted diffusion after two uniform halves: c_left for x < `where`, c_right beyond.

    Parameters
    ----------
    layer : Layer
        Properties (its `c` is not used).
    c_left, c_right : float
        Concentrations at the start [mol/m^3].
    where : float
        Position of the step [m].
    x : array_like, shape (m,)
        Distance from the positive electrode [m].
    t : array_like, shape (n,) or scalar
        Time [s].

    Returns
    -------
    ndarray, shape (n, m) or (m,)
        Salt concentration [mol/m^3].

    References
    ----------
    Carslaw & Jaeger, ch. 3; Crank, ch. 2 (reflection at a boundary).
    """
    y, a = np.asarray(x, dtype=float) / layer.thickness, where / layer.thickness
    s = (np.asarray(t, dtype=float) * layer.D_time / layer.thickness**2)[..., None]
    n = np.arange(1, 40)
    modes = 2 / (n * np.pi) * np.sin(n * np.pi * a) * np.cos(n * np.pi * y[..., None])
    late = a + (np.exp(-((n * np.pi) ** 2) * np.maximum(s, SHORT)[..., None]) * modes).sum(axis=-1)
    width = 2 * np.sqrt(np.clip(s, 1e-300, SHORT))
    early = np.zeros(np.broadcast_shapes(s.shape, y.shape))
    for k in (-1, 0, 1):  # the left block reaches from -a to a about every even image
        early = early + 0.5 * (erf((y - 2 * k + a) / width) - erf((y - 2 * k - a) / width))
    return np.asarray(c_right + (c_left - c_right) * np.where(s < SHORT, early, late))


# ---- face concentration and depletion at constant current ---------------------------------------------------------


def face_change(layer: Layer, i: float, t: ArrayLike) -> Array:
    """Short-time rise of c at the stripping face (the plating face falls as much), 2 M i sqrt(t/(pi D_eff porosity)).

    Parameters
    ----------
    layer : Layer
        Properties.
    i : float
        Current density [A/m^2].
    t : array_like, shape (n,)
        Time since the step, t << L^2/D [s].

    Returns
    -------
    ndarray, shape (n,)
        Change of concentration [mol/m^3].

    References
    ----------
    Carslaw & Jaeger, section 2.9; Newman & Balsara, 4th ed., ch. 17.
    """
    return np.asarray(2 * layer.migration * i * np.sqrt(np.asarray(t) / (np.pi * layer.D_eff * layer.porosity)))


def sand_time(layer: Layer, i: float) -> float:
    """Sand's time, at which the short-time law empties a face: pi D_eff porosity [c/(2 M i)]^2.

    Exact for constant D and phi_0 (1 - t+0) while it is short against L^2/D; where V_e > 0 and t+0 is constant,
    migration grows as the face empties, by 1/phi_0 in all: depletion comes 20 % early at phi_0 = 0.75.

    Parameters
    ----------
    layer : Layer
        Properties.
    i : float
        Current density [A/m^2].

    Returns
    -------
    float
        [s]; infinite where nothing migrates.

    References
    ----------
    Sand 1901, doi:10.1080/14786440109462590; Newman & Balsara, 4th ed., ch. 17.
    """
    rate = 2 * layer.migration * i
    return float(np.pi * layer.D_eff * layer.porosity * (layer.c / rate) ** 2) if rate else float("inf")


def depletion_time(layer: Layer, i: float, c_min: float = 0.0) -> float:
    """When a face falls to `c_min` at constant current, from the full series: finite thickness included.

    Parameters
    ----------
    layer : Layer
        Properties.
    i : float
        Current density [A/m^2].
    c_min : float
        Concentration that counts as depleted [mol/m^3].

    Returns
    -------
    float
        [s]; infinite where the steady profile stays above.
    """
    fall = layer.c - c_min
    total = abs(_steady_difference(layer, i)) / 2
    if fall >= total:
        return float("inf")
    from scipy.optimize import brentq

    def miss(log_s: float) -> float:  # in ln(D t/L^2): the face falls by 2 sqrt(s/pi) of the difference, then slower
        t = np.exp(log_s) * layer.thickness**2 / layer.D_time
        risen = galvanostatic_profile(layer, abs(i), np.zeros(1), t)[0] - layer.c
        return float(abs(risen) / fall - 1)

    short = np.log(np.pi) + 2 * np.log(fall / (4 * total))
    scale = layer.thickness**2 / layer.D_time
    return float(scale * np.exp(brentq(miss, short - 1e-6, np.log(10.0), xtol=1e-13, rtol=1e-13)))


def dilute_ideal_properties(
    D_plus: float,
    D_minus: float,
    c: float,
    T: float,
    *,
    z_plus: int = 1,
    z_minus: int = -1,
    nu_plus: int = 1,
    nu_minus: int = 1,
) -> tuple[float, float, float]:
    """Properties of a dilute ideal salt by Nernst-Einstein and Nernst-Hartley.

    Parameters
    ----------
    D_plus, D_minus : float
        Diffusion coefficients of the ions [m^2/s].
    c, T : float
        Salt concentration [mol/m^3], temperature [K].
    z_plus, z_minus, nu_plus, nu_minus : int
        Charges and stoichiometric numbers.

    Returns
    -------
    tuple of float
        kappa [S/m], D [m^2/s], t_plus [1].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11.
    """
    kappa = F**2 * c / (R * T) * (z_plus**2 * nu_plus * D_plus + z_minus**2 * nu_minus * D_minus)
    mobility = z_plus * D_plus - z_minus * D_minus
    return kappa, D_plus * D_minus * (z_plus - z_minus) / mobility, z_plus * D_plus / mobility


def dilute_ideal_current(
    voltage: ArrayLike,
    *,
    D_plus: float,
    c: float,
    thickness: float,
    T: float,
    z_plus: int = 1,
    z_minus: int = -1,
    nu_plus: int = 1,
    macmullin: float = 1.0,
) -> Array:
    """Steady current of a dilute ideal salt at any voltage; for 1:1 it is (4 F D+ c/L) tanh(F V/4RT).

    The anion stands still in Boltzmann equilibrium, so c(x) is linear and c(0)/c(L) = exp(2 a) with
    a = F V/(2 R T (1/z+ - 1/z-)); i = 2 z+ nu+ F D+ (1 - z+/z-) c tanh(a)/L.

    Parameters
    ----------
    voltage : array_like, shape (n,)
        Cell voltage without interfacial losses [V].
    D_plus : float
        Diffusion coefficient of the cation [m^2/s].
    c, thickness, T : float
        Average concentration [mol/m^3], distance of the electrodes [m], temperature [K].
    z_plus, z_minus, nu_plus : int
        Charges and cations per formula unit.
    macmullin : float
        MacMullin number of a separator [1].

    Returns
    -------
    ndarray, shape (n,)
        Current density [A/m^2].

    References
    ----------
    Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11, with N- = 0.
    """
    a = F * np.asarray(voltage, dtype=float) / (2 * R * T * (1 / z_plus - 1 / z_minus))
    limit = 2 * z_plus * nu_plus * F * D_plus * (1 - z_plus / z_minus) * c / (macmullin * thickness)
    return np.asarray(limit * np.tanh(a))


PEAK = 2.54065
"""w tau, tau = L^2/(4 D), at which -Im of tanh(q)/q, q = sqrt(i w tau), is largest [1]."""


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
    that is zero at rest. The model has no double layer, so R_i is there at any frequency (:func:`interface_impedance`).

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
    q = 0.5 * layer.thickness * np.sqrt(1j * np.asarray(omega, dtype=float) / layer.D_time)
    small = np.abs(q) < 1e-4  # tanh(q)/q = 1 - q^2/3 to 1e-17
    safe = np.where(small, 1.0, q)
    warburg = np.where(small, 1 - q**2 / 3, np.tanh(safe) / safe)
    return np.asarray(layer.bulk_resistance + layer.resistance + layer.diffusion_resistance * warburg)
