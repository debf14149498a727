"""How the transport properties of a binary electrolyte hang together: pure functions of numbers.

The first ones start from the properties of a transport set and take floats and arrays alike; the others start from an
Onsager matrix and are vectorised over its leading axes, so that posterior samples pass through them as one array.

References
----------
Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, F, InputError, R

FRAMES = ("solvent", "barycentric", "volume")
"""Frames of reference an Onsager matrix can be in."""
TWO_SIDED = 1.959964
"""Standard deviations from the middle of a Gaussian to the ends of its 95 % interval."""
QUANTILES = (0.025, 0.5, 0.975)
"""Ends and middle of a 95 % band [1]."""


# ---- from the properties of a set ---------------------------------------------------------------------------------


def charge_per_salt(z_plus: int, nu_plus: int) -> float:
    """z+ nu+ F, the charge of the cations of one mole of salt [C/mol]."""
    return z_plus * nu_plus * F


def thermal_voltage(nu: int, T: float, charge: float) -> float:
    """K = nu R T/(F z+ nu+), what one unit of (1 - t+0) chi ln m is worth [V]; `charge` is z+ nu+ F [C/mol]."""
    return nu * R * T / charge


def migration(phi_0: Any, t_plus: Any, charge: float) -> Any:
    """M = phi_0 (1 - t+0)/(z+ nu+ F): salt moved per charge, interface frame [mol/C]."""
    return phi_0 * (1 - t_plus) / charge


def in_frame(t_plus: Any, of_solvent: Any, of_cation: Any) -> Any:
    """The transference number in a frame whose velocity is a weighted mean of those of the species.

    Anions and cations carry the current, 1 - t+ = a_0 (1 - t+0) + a_+, with a_0 + a_+ + a_- = 1. For the volume
    a_0 = phi_0 and a_+ = 0 (all of the salt's volume on the anion), for the mass and the number of particles a_i is
    the fraction of species i by mass and by number.

    Parameters
    ----------
    t_plus : array_like
        With respect to the solvent [1].
    of_solvent, of_cation : array_like
        a_0 and a_+ [1].

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., ch. 12 (reference velocities).
    """
    return 1 - (of_solvent * (1 - t_plus) + of_cation)


def newman_number(kappa: Any, D: Any, t_plus: Any, drive: Any, c: Any, *, nu: int, T: float, charge: float) -> Any:
    """Ne = nu/(z+ nu+)^2 kappa R T (1 - t+0)^2 chi/(F^2 D c), the same with and without solvent motion [1].

    Parameters
    ----------
    kappa, D, t_plus : array_like
        Conductivity [S/m], salt diffusion coefficient [m^2/s], transference number in the solvent frame [1].
    drive : array_like
        (1 - t+0) chi [1]: written with it, t+0 = 1 gives 0.
    c : array_like
        Salt concentration [mol/m^3].
    nu : int
        Ions per formula unit.
    T : float
        Temperature [K].
    charge : float
        z+ nu+ F [C/mol].

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes.
    """
    return nu * R * T / charge**2 * kappa * ((1 - t_plus) * drive) / (D * c)


# ---- from an Onsager matrix ---------------------------------------------------------------------------------------


def conductivity(Omega: ArrayLike, z: ArrayLike) -> Any:
    """Ionic conductivity kappa = F^2 sum_ij z_i z_j Omega_ij, the same in every frame.

    Parameters
    ----------
    Omega : array (..., 2, 2)
        Onsager matrix [mol^2/(J m s)].
    z : array (2,)
        Charge numbers.

    Returns
    -------
    array (...)
        kappa [S/m].

    References
    ----------
    doi:10.1063/5.0155301, Eq. 6, for any valence.
    """
    q = np.asarray(z, dtype=float)
    return F**2 * np.einsum("i,...ij,j->...", q, np.asarray(Omega, dtype=float), q)


def transference(Omega: ArrayLike, z: ArrayLike) -> Any:
    """Transference numbers t_i = z_i sum_j z_j Omega_ij / sum_ij z_i z_j Omega_ij in the frame of Omega.

    Parameters
    ----------
    Omega : array (..., 2, 2)
        Onsager matrix [mol^2/(J m s)].
    z : array (2,)
        Charge numbers.

    Returns
    -------
    array (..., 2)
        t_+ and t_-; their sum is one.
    """
    q = np.asarray(z, dtype=float)
    current = q * np.einsum("...ij,j->...i", np.asarray(Omega, dtype=float), q)
    return current / np.sum(current, axis=-1, keepdims=True)


def current_fraction(Omega: ArrayLike, z: ArrayLike) -> Any:
    """Anion-blocking current fraction z_+^2 (O_++ - O_+-^2/O_--) / sum_ij z_i z_j O_ij.

    Parameters
    ----------
    Omega : array (..., 2, 2)
        Onsager matrix [mol^2/(J m s)]; rho_+ is its value in the solvent frame.
    z : array (2,)
        Charge numbers.

    Returns
    -------
    array (...)
        The fraction, between 0 and 1.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 14, for any valence.
    """
    O = np.asarray(Omega, dtype=float)
    q = np.asarray(z, dtype=float)
    free = O[..., 0, 0] - O[..., 0, 1] ** 2 / O[..., 1, 1]
    return q[0] ** 2 * free / np.einsum("i,...ij,j->...", q, O, q)


def friction(Omega: ArrayLike, c: ArrayLike, c_reference: float) -> Array:
    """RT over the Stefan-Maxwell coefficients, from a matrix in the frame of one species.

    RT/D_ij = -c_T (Omega^-1)_ij between the others, RT/D_i0 = c_T sum_j c_j (Omega^-1)_ij / c_0 with the reference 0.

    Parameters
    ----------
    Omega : array (..., n, n)
        Of all species but the reference, in its frame [mol^2/(J m s)].
    c : array (n,)
        Their concentrations [mol/m^3].
    c_reference : float
        That of the reference [mol/m^3].

    Returns
    -------
    array (..., n + 1, n + 1)
        The reference last, 0 on the diagonal; negative values are physical [J s/m^2].

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., Eq. 12.1.
    """
    H, others = np.linalg.inv(np.asarray(Omega, dtype=float)), np.asarray(c, dtype=float)
    n, total = others.size, float(others.sum()) + c_reference
    K = np.zeros((*H.shape[:-2], n + 1, n + 1))
    K[..., :n, :n] = -total * H
    K[..., :n, n] = K[..., n, :n] = total * (H @ others) / c_reference
    K[..., range(n), range(n)] = 0.0
    return K


def salt_diffusion(Omega: ArrayLike, nu: ArrayLike, c: float, T: float, chi: ArrayLike) -> Any:
    """Salt diffusion coefficient D = nu R T chi / (c n^T Omega^-1 n), n = (nu_+, nu_-).

    Parameters
    ----------
    Omega : array (..., 2, 2)
        Onsager matrix in the solvent frame [mol^2/(J m s)].
    nu : array (2,)
        Stoichiometric numbers.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].
    chi : array (...)
        Thermodynamic factor, molal basis.

    Returns
    -------
    array (...)
        D, the one measured in the volume frame [m^2/s].
    """
    O = np.asarray(Omega, dtype=float)
    n = np.asarray(nu, dtype=float)
    det = O[..., 0, 0] * O[..., 1, 1] - O[..., 0, 1] ** 2
    quad = (n[0] ** 2 * O[..., 1, 1] - 2 * n[0] * n[1] * O[..., 0, 1] + n[1] ** 2 * O[..., 0, 0]) / det
    return n.sum() * R * T * np.asarray(chi, dtype=float) / (c * quad)


@dataclass(frozen=True)
class Composition:
    """What a change of frame needs to know of the mixture.

    Parameters
    ----------
    molar_masses : (float, float)
        Molar mass of cation and anion [kg/mol].
    solvent_density : float
        Mass of all solvents per volume of solution [kg/m^3].
    partial_volumes : (float, float), optional
        Partial molar volumes of cation and anion; the cation's is zero by convention, the anion's V_e/nu_-
        [m^3/mol].

    Raises
    ------
    InputError
        A mass or density that is not positive.
    """

    molar_masses: tuple[float, float]
    solvent_density: float
    partial_volumes: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not all(m > 0 for m in self.molar_masses) or not self.solvent_density > 0:
            raise InputError("molar_masses and solvent_density must be positive")


def frame_matrix(c_ions: ArrayLike, frame: str, composition: Composition) -> Array:
    """A that takes solvent-frame fluxes (or displacements) of the ions to `frame`.

    barycentric: A_ik = (delta_ik + c_i M_k / rho_0)^-1;  volume: A_ik = delta_ik - c_i V_k.

    Parameters
    ----------
    c_ions : array (2,)
        Concentrations of cation and anion [mol/m^3].
    frame : str
        ``"solvent"``, ``"barycentric"`` or ``"volume"``.
    composition : Composition
        Masses and volumes.

    Returns
    -------
    array (2, 2)
        A; Omega transforms as A Omega A^T.

    Raises
    ------
    InputError
        Unknown frame, or the volume frame without partial volumes.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 24 (its A is the inverse of the barycentric one here).
    """
    c = np.asarray(c_ions, dtype=float)
    identity = np.eye(2)
    if frame == "solvent":
        return identity
    if frame == "barycentric":
        to_solvent = identity + np.outer(c, composition.molar_masses) / composition.solvent_density
        return np.asarray(np.linalg.inv(to_solvent), dtype=float)
    if frame == "volume":
        if composition.partial_volumes is None:
            raise InputError("the volume frame needs partial_volumes in the composition")
        return identity - np.outer(c, composition.partial_volumes)
    raise InputError(f"frame = {frame!r} is unknown; allowed are {', '.join(FRAMES)}")


# ---- n components, in the frame of one solvent --------------------------------------------------------------------


def component_transport(Omega: ArrayLike, z: ArrayLike) -> tuple[Array, Array, Array]:
    """What carries the current and what diffuses, by neutral components counted at the cation.

    With (Omega z)_k the flux per electrochemical force: kappa = F^2 z^T Omega z, tau_k = F^2 (Omega z)_k/kappa,
    L_kl = Omega_kl - F^2 (Omega z)_k (Omega z)_l/kappa, k and l not the cation.

    Parameters
    ----------
    Omega : array (..., n, n)
        Onsager matrix in the frame of the reference solvent, the cation first [mol^2/(J m s)].
    z : array (n,)
        Charge numbers.

    Returns
    -------
    kappa : array (...)
        Conductivity [S/m].
    tau : array (..., n - 1)
        Moles of each component carried per faraday at uniform composition [1].
    L : array (..., n - 1, n - 1)
        Flux of k per gradient of the chemical potential of l without current; symmetric, positive definite
        [mol^2/(J m s)].

    References
    ----------
    doi:10.48550/arXiv.2211.13505 (the salt-charge basis); Newman & Balsara, Electrochemical Systems, 4th ed., ch. 12.
    """
    O, q = np.asarray(Omega, dtype=float), np.asarray(z, dtype=float)
    flow = O @ q
    charge = flow @ q
    tau = flow[..., 1:] / charge[..., None]
    L = O[..., 1:, 1:] - tau[..., :, None] * flow[..., None, 1:]
    return np.asarray(F**2 * charge), tau, L


def onsager_of_components(kappa: Array, tau: Array, L: Array, z: ArrayLike) -> Array:
    """The Onsager matrix of conductivity, tau and L: the inverse of :func:`component_transport`.

    Parameters
    ----------
    kappa : array (...)
        Conductivity [S/m].
    tau : array (..., n - 1)
        Moles of each component carried per faraday [1].
    L : array (..., n - 1, n - 1)
        As :func:`component_transport` gives it [mol^2/(J m s)].
    z : array (n,)
        Charge numbers, the cation first.

    Returns
    -------
    array (..., n, n)
        [mol^2/(J m s)]
    """
    q, per = np.asarray(z, dtype=float), np.asarray(kappa)[..., None] / F**2
    n = q.size
    O = np.zeros((*np.shape(kappa), n, n))
    O[..., 1:, 1:] = L + per[..., None] * tau[..., :, None] * tau[..., None, :]
    O[..., 0, 1:] = O[..., 1:, 0] = (per * tau - O[..., 1:, 1:] @ q[1:]) / q[0]
    first = per[..., 0] * (1 - tau @ q[1:]) / q[0]
    O[..., 0, 0] = (first - O[..., 0, 1:] @ q[1:]) / q[0]
    return O


def onsager_of_stefan_maxwell(D: ArrayLike, c: ArrayLike, c_reference: ArrayLike, T: float) -> Array:
    """The Onsager matrix of Stefan-Maxwell coefficients in the frame of the reference; inverse of :func:`friction`.

    Parameters
    ----------
    D : array (..., n + 1, n + 1)
        Symmetric, the reference last; its diagonal is not used [m^2/s].
    c : array (..., n)
        Concentrations of all others [mol/m^3].
    c_reference : array (...)
        That of the reference [mol/m^3].
    T : float
        Temperature [K].

    Returns
    -------
    array (..., n, n)
        [mol^2/(J m s)]

    References
    ----------
    Newman & Balsara, Electrochemical Systems, 4th ed., Eq. 12.1.
    """
    others = np.asarray(c, dtype=float)
    every = np.concatenate([others, np.asarray(c_reference, dtype=float)[..., None]], axis=-1)
    n = others.shape[-1]
    # the friction of a pair, RT/(c_T D_ij); its diagonal is met by the sum over all partners
    pair = R * T / (every.sum(axis=-1)[..., None, None] * np.asarray(D, dtype=float))
    pair = np.where(np.eye(n + 1, dtype=bool), 0.0, pair)
    H = -pair[..., :n, :n]
    H[..., range(n), range(n)] = (pair @ every[..., None])[..., :n, 0] / others
    return np.asarray(np.linalg.inv(H))


def ideal_thermodynamic_matrix(r: ArrayLike, z: ArrayLike, z_plus: float) -> Array:
    """G of an ideal mixture by particle fraction, every particle counted alike.

    G_lm = delta_lm/r_l + z_l z_m/(z_+^2 r_+) - nu_l nu_m/(1 + r_+ + sum r), nu_l = 1 - z_l/z_+,
    r_+ = -sum z_l r_l/z_+.

    Parameters
    ----------
    r : array (..., K)
        Moles of each component per mole of the reference solvent, cation and reference left out [1].
    z : array (K,)
        Charge numbers.
    z_plus : float
        That of the cation.

    Returns
    -------
    array (..., K, K)
        Slope of the chemical potentials over RT [1].
    """
    r, q = np.asarray(r, dtype=float), np.asarray(z, dtype=float) / z_plus
    r_plus = -(r @ q)
    nu = 1 - q
    with np.errstate(divide="ignore"):
        G = np.eye(q.size) / r[..., None, :] + np.outer(q, q) / r_plus[..., None, None]
    return np.asarray(G - np.outer(nu, nu) / (1 + r_plus + r.sum(axis=-1))[..., None, None])


# ---- what a posterior says in one number ---------------------------------------------------------------------------


def band(draws: ArrayLike, quantiles: Sequence[float] = QUANTILES, axis: int = 0) -> Array:
    """Quantiles of what was drawn a few hundred times.

    They are at the places of the ordered draws below which one more draw lies with that probability (Weibull 1939);
    those of ``np.quantile`` are nearer to the middle, and its 95 % bands of 200 draws hold 94.1 %.

    Parameters
    ----------
    draws : array (draws, ...)
        From a posterior.
    quantiles : sequence of float
        Probabilities [1].
    axis : int
        That of the draws.

    Returns
    -------
    array (quantiles, ...)

    References
    ----------
    Hyndman & Fan 1996, doi:10.1080/00031305.1996.10473566, definition 6.
    """
    return np.asarray(np.quantile(np.asarray(draws), list(quantiles), axis=axis, method="weibull"))


def standard_error_of(draws: Array) -> Array:
    """Standard error of a quantity from its posterior samples, for those who want one number on both sides.

    The longer side of the 95 % interval, seen from the median, over 1.96: the standard deviation of a Gaussian, and of
    a skewed posterior the number of which two reach the far end as well.

    Parameters
    ----------
    draws : array (S, ...)
        Posterior samples.

    Returns
    -------
    array (...)
        In the unit of the samples.
    """
    low, middle, high = np.quantile(draws, QUANTILES, axis=0)
    return np.asarray(np.maximum(high - middle, middle - low) / TWO_SIDED)
