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
from numpy.typing import ArrayLike
from scipy.special import erf, erfc

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
        """pi^2 D_time/L^2 [1/s]: at rest or at a held current; at a held voltage see :func:`.held_rate`."""
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


# ---- numbers of a set -----------------------------------------------------------------------------------------------


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
    return np.asarray(layer.c + _steady_difference(layer, i) * ramp_built(layer, x, t))


def ramp_built(layer: Layer, x: ArrayLike, t: ArrayLike) -> Array:
    """What a constant current has made of its final ramp: (c - c0) over the steady c(0) - c(L).

    Parameters
    ----------
    layer : Layer
        Properties.
    x : array_like, shape (m,)
        Distance from the positive electrode [m].
    t : array_like, shape (n,)
        Since the current began [s].

    Returns
    -------
    ndarray, shape (n, m)
        1/2 - x/L in the end [1].
    """
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
    return np.asarray(layer.c + difference * (ramp - ramp_built(layer, x, t)))


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
