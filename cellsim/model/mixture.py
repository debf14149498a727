"""The physics of n components, once: mixed solvents and several salts between two lithium electrodes.

Material coordinate of the reference solvent 0, d xi = c_0 dx, exact for any density; r_k = c_k/c_0::

    porosity dr_k/dt = -dJ_k/dxi,   J_k = tau_k i/F - RT c_0 sum_lm L_kl G_lm dr_m/dxi,   J_k = 0 at both walls
    V = i integral dx/kappa + (RT/F) sum_k integral tau_k sum_m G_km dr_m + eta_0 - eta_L

The second integral runs along the profile and depends in general on the path. kappa and L carry the separator's factor
1/MacMullin. Functions of values, for any number of points; solvers bring the grid and the time stepping.

References
----------
doi:10.48550/arXiv.2211.13505; Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfc

from cellsim.base import Array, F, R
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, lasting
from cellsim.electrolyte.mixture_set import Coefficients, MixtureSet
from cellsim.model.small_signals import finite_warburg


def component_flux(tau: Array, A: Array, slope: Array, i: Any) -> Array:
    """J_k = tau_k i/F - sum_m A_km dr_m/dxi, in the frame of the reference solvent.

    Parameters
    ----------
    tau : ndarray, shape (..., K)
        Moles of each component carried per faraday [1].
    A : ndarray, shape (..., K, K)
        RT c_0 L G, the separator's factor in it [mol^2/(m^4 s)].
    slope : ndarray, shape (..., K)
        dr/dxi [m^2/mol].
    i : float or ndarray, shape (...)
        Current density [A/m^2].

    Returns
    -------
    ndarray, shape (..., K)
        [mol/(m^2 s)]
    """
    drift = tau * (np.asarray(i, dtype=float)[..., None] / F)
    return np.asarray(drift - (A @ slope[..., None])[..., 0])


def wall_slope(tau: Array, A: Array, i: Any) -> Array:
    """dr/dxi at a wall, where no component crosses, shape (..., K) [m^2/mol]; arguments as :func:`component_flux`."""
    drift = tau * (np.asarray(i, dtype=float)[..., None] / F)
    return np.asarray(np.linalg.solve(A, drift[..., None])[..., 0])


def potential_slopes(at: Coefficients, slope: Array) -> Array:
    """(RT/F) tau_k sum_m G_km dr_m, the potential that each component adds, per whatever `slope` is per.

    Parameters
    ----------
    at : Coefficients
        At the points.
    slope : ndarray, shape (..., K)
        dr/dxi, or the change of r along a piece of the profile.

    Returns
    -------
    ndarray, shape (..., K)
        [V] per the same.
    """
    return np.asarray(R * at.T / F * at.tau * (at.G @ slope[..., None])[..., 0])


def solvent_velocity(J: Array, partial_volumes: Array) -> Array:
    """Velocity of the reference solvent times the porosity, interface frame, at the faces of cells [m/s].

    The volume of what lies between the positive interface and a face that moves with the solvent changes by what the
    components carry across: porosity v_0 = -integral sum_k V_k dJ_k; with constant volumes no net volume moves.

    Parameters
    ----------
    J : ndarray, shape (..., cells + 1, K)
        Fluxes at the faces [mol/(m^2 s)].
    partial_volumes : ndarray, shape (..., cells, K)
        In the cells [m^3/mol].
    """
    filled = np.sum(partial_volumes * np.diff(J, axis=-2), axis=-1)
    return np.concatenate([np.zeros((*filled.shape[:-1], 1)), -np.cumsum(filled, axis=-1)], axis=-1)


def species_fluxes(J: Array, v_0: Array, c: Array, c_0: Array, i: Any, z: ArrayLike, z_plus: float) -> Array:
    """Fluxes of all species in the interface frame, the cation first and the reference solvent last.

    N_k = J_k + c_k v_0, N_0 = c_0 v_0 and N_+ = (i/F - sum_k z_k N_k)/z_+.

    Parameters
    ----------
    J, c : ndarray, shape (..., K)
        Fluxes against the reference [mol/(m^2 s)] and concentrations of the components [mol/m^3].
    v_0, c_0 : ndarray, shape (...)
        Velocity of the reference times the porosity [m/s], and its concentration [mol/m^3].
    i : float or ndarray, shape (...)
        Current density [A/m^2].
    z, z_plus : array_like (K,), float
        Charge numbers.

    Returns
    -------
    ndarray, shape (..., K + 2)
        [mol/(m^2 s)]
    """
    N = J + c * v_0[..., None]
    N_plus = (np.asarray(i) / F - N @ np.asarray(z, dtype=float)) / z_plus
    return np.concatenate([N_plus[..., None], N, (c_0 * v_0)[..., None]], axis=-1)


# ---- closed forms of small signals --------------------------------------------------------------------------------


def newman_number(at: Coefficients) -> Array:
    """Ne of n components, (kappa/F^2) tau^T L^-1 tau [1].

    For one salt in one solvent it is nu/(z+ nu+)^2 kappa RT (1 - t+0)^2 chi/(F^2 D c).

    Parameters
    ----------
    at : Coefficients
        At compositions of shape (...).

    Returns
    -------
    ndarray, shape (...)
    """
    back = np.linalg.solve(at.L, at.tau[..., None])[..., 0]
    return np.asarray(at.kappa / F**2 * np.sum(at.tau * back, axis=-1))


def current_fraction(transport: MixtureSet, r: ArrayLike) -> Array:
    """rho_+ = z_+^2/((Omega^-1)_++ z^T Omega z) = 1/(1 + Ne), i_ss/i_0 of a small voltage without interfaces [1].

    Parameters
    ----------
    transport : MixtureSet
        The set.
    r : array_like, shape (..., K)
        Compositions [1].

    Returns
    -------
    ndarray, shape (...)
    """
    z = np.array(transport.charges[:-1], dtype=float)
    Omega = transport.Omega(np.asarray(r, dtype=float))
    charge = np.einsum("i,...ij,j->...", z, Omega, z)
    return np.asarray(z[0] ** 2 / (np.linalg.inv(Omega)[..., 0, 0] * charge))


def relaxation_modes(at: Coefficients) -> tuple[Array, Array]:
    """Diffusion coefficients of the modes of RT L G/c_0, slowest first, and what each is made of.

    Between blocking walls a mode decays with D (pi/thickness)^2, with constant properties.

    Parameters
    ----------
    at : Coefficients
        At one composition.

    Returns
    -------
    D : ndarray, shape (K,)
        [m^2/s]
    modes : ndarray, shape (K, K)
        Columns: the change of r in each mode, largest entry 1 [1].
    """
    # L G is similar to a symmetric matrix, by the root of G: real and positive for every stable mixture
    root = np.linalg.cholesky(at.G)
    values, vectors = np.linalg.eigh(root.T @ at.L @ root)
    modes = np.linalg.solve(root.T, vectors)
    largest = np.take_along_axis(modes, np.argmax(np.abs(modes), axis=0)[None], axis=0)
    return np.asarray(R * at.T / at.c_0 * values), modes / largest


@dataclass(frozen=True)
class MixtureLayer:
    """An electrolyte of n components with constant coefficients between two lithium electrodes; see :class:`.Layer`.

    Parameters
    ----------
    thickness : float
        Distance L of the electrodes [m].
    kappa, newman_number : float
        Conductivity of the free electrolyte [S/m], and Ne [1].
    modes : tuple of float (K,)
        Diffusion coefficients of the modes of the free electrolyte, slowest first [m^2/s].
    shares : tuple of float (K,)
        Share of each mode in the diffusion resistance; sum 1 [1].
    porosity, macmullin : float
        Of a separator; 1 for free electrolyte [1].
    resistance : float
        Sum of both interfacial resistances [ohm m^2].
    """

    thickness: float
    kappa: float
    newman_number: float
    modes: tuple[float, ...]
    shares: tuple[float, ...]
    porosity: float = 1.0
    macmullin: float = 1.0
    resistance: float = 0.0

    @classmethod
    def of(cls, cell: Cell, transport: MixtureSet, r: ArrayLike) -> MixtureLayer:
        """That of a cell at a uniform composition r, shape (K,) [1]; kinetics enter by their small-signal resistance.

        tau^T L^-1 tau, of which Ne is made, is a sum over the modes: with G = B B^T and B^T L B = V diag(l) V^T, the
        mode j adds (V^T B^T tau)_j^2/l_j.
        """
        at = transport.at(np.asarray(r, dtype=float))
        root = np.linalg.cholesky(at.G)
        values, vectors = np.linalg.eigh(root.T @ at.L @ root)
        parts = (vectors.T @ root.T @ at.tau) ** 2 / values
        salt = float(transport.r_plus(r) * at.c_0)
        return cls(
            cell.thickness,
            float(at.kappa),
            float(newman_number(at)),
            tuple((R * at.T / at.c_0 * values).tolist()),
            tuple((parts / parts.sum()).tolist()),
            cell.separator.porosity,
            cell.separator.macmullin,
            sum(e.small_signal(salt, cell.temperature, 0.0) for e in (cell.positive, cell.negative)),
        )

    @property
    def D(self) -> float:
        """Diffusion coefficient of the slowest mode [m^2/s]."""
        return self.modes[0]

    @property
    def bulk_resistance(self) -> float:
        """R_b = L MacMullin number/kappa [ohm m^2]."""
        return self.thickness * self.macmullin / self.kappa

    @property
    def diffusion_resistance(self) -> float:
        """R_d = R_b Ne: what the gradients add to the voltage per current at steady state, small signals [ohm m^2]."""
        return self.bulk_resistance * self.newman_number


def impedance(layer: MixtureLayer, omega: ArrayLike) -> NDArray[np.complex128]:
    """Small-signal impedance of n components, Z = R_b + R_i + R_d sum_j s_j tanh(q_j)/q_j, q_j = (L/2) sqrt(i w/D_j).

    Every mode j obeys the diffusion equation of one salt, with its share s_j of the diffusion resistance
    (:func:`.small_signals.impedance`); no double layer.

    Parameters
    ----------
    layer : MixtureLayer
        Coefficients.
    omega : array_like, shape (n,)
        Angular frequencies, not negative [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Impedance times area, complex [ohm m^2].
    """
    pace = 1 / (layer.macmullin * layer.porosity)
    arcs = (
        share * finite_warburg(layer.thickness, pace * D, omega)
        for D, share in zip(layer.modes, layer.shares, strict=True)
    )
    return np.asarray(layer.bulk_resistance + layer.resistance + layer.diffusion_resistance * sum(arcs))


def sand_time(cell: Cell, transport: MixtureSet, r: ArrayLike, i: float) -> float:
    """Sand's time of n components, at which the short-time law uses up the first of them [s].

    With constant coefficients and little time, r changes by 2 sqrt(t) D^(1/2) ierfc(x/(2 sqrt(D t))) dr/dx at the
    distance x from a wall, where the current prescribes the slope dr/dx, and D is the matrix of the diffusion
    coefficients of r. Of one salt this is Sand's law; of several components the change may be largest inside.

    Parameters
    ----------
    cell : Cell
        Geometry.
    transport : MixtureSet
        The set.
    r : array_like, shape (K,)
        The uniform composition at the start [1].
    i : float
        Current density [A/m^2].

    Returns
    -------
    float
        Infinite where no current flows.

    References
    ----------
    Sand 1901, doi:10.1080/14786440109462590, and Carslaw & Jaeger, section 2.9, with a matrix in place of D.
    """
    r = np.asarray(r, dtype=float)
    at = transport.at(r)
    D, modes = relaxation_modes(at)
    A = cell.separator.transport_factor * at.diffusion
    slope = float(at.c_0) * wall_slope(at.tau, A, i)  # dr/dx
    pace = cell.separator.transport_factor / cell.separator.porosity
    reach = np.sqrt(pace * D)
    far = np.linspace(0.0, 3 * reach[-1], 2000)[:, None] / reach  # x/(2 sqrt(t)), over the root of each D
    ierfc = np.exp(-(far**2)) / np.sqrt(np.pi) - far * erfc(far)
    change = (ierfc * reach * np.linalg.solve(modes, slope)) @ modes.T  # per 2 sqrt(t)
    changes = np.column_stack([change, transport.r_plus(change)])
    largest = np.abs(changes).max(axis=0)  # what falls at one electrode rises as much at the other
    with np.errstate(divide="ignore"):
        return float(np.min(0.25 * (np.append(r, transport.r_plus(r)) / largest) ** 2))


def voltage_shares(at: Coefficients) -> Array:
    """The share of each component in the steady potential that is not ohmic, of a small signal, shape (K,); sum 1.

    At the steady state L grad mu = tau i/F, so that the part of k is tau_k (L^-1 tau)_k over the sum of all.
    """
    parts = at.tau * np.linalg.solve(at.L, at.tau[..., None])[..., 0]
    return np.asarray(parts / parts.sum(axis=-1, keepdims=True))


# ---- before any run -----------------------------------------------------------------------------------------------


def plan(cell: Cell, transport: MixtureSet, protocol: Protocol, r0: ArrayLike) -> list[str]:
    """What can be said of a cell of n components before any run, in words.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : MixtureSet
        The set.
    protocol : Protocol
        Steps in order.
    r0 : array_like, shape (K,)
        Initial composition [1].

    Returns
    -------
    list of str
        Lines to print.
    """
    r, names = np.asarray(r0, dtype=float), transport.components
    at, factor = transport.at(r), cell.separator.transport_factor
    Ne, rho = float(newman_number(at)), float(current_fraction(transport, r))
    bulk = cell.thickness / (factor * float(at.kappa))
    salt = float(transport.r_plus(r) * at.c_0)
    interfaces = sum(e.small_signal(salt, cell.temperature, 0.0) for e in (cell.positive, cell.negative))
    D, modes = relaxation_modes(at)
    rates = factor * D * (np.pi / cell.thickness) ** 2 / cell.separator.porosity
    shares = voltage_shares(at)
    lines = [
        f"{transport.name}: {', '.join(names)} in {transport.solvent}, {transport.cation} crosses the interfaces",
        f"  conductivity                            {float(at.kappa):.4g} S/m",
        f"  bulk resistance                         {1e4 * bulk:.4g} ohm cm^2",
        f"  interfacial resistance                  {1e4 * interfaces:.4g} ohm cm^2",
        f"  current fraction rho+ of small voltages {rho:.4g}   1/(1 + Ne), Ne = {Ne:.4g}, any number of components",
        f"  with the interfaces                     {(bulk + interfaces) / (bulk * (1 + Ne) + interfaces):.4g}",
    ]
    for name, tau, z in zip(names, at.tau, transport.z, strict=True):
        what = f"transference number {z * tau:.4g}" if z else "electro-osmotic drag"
        carried = f"moles of {name} carried per faraday"
        lines.append(f"  {carried:<39} {tau:.4g}   {what}, relative to {transport.solvent}")
    lines.append(f"  relaxation between blocking walls       {len(D)} mode{'s' * (len(D) > 1)}:")
    for rate, D_mode, mode in zip(rates, D, modes.T, strict=True):
        mix = ", ".join(f"{part:+.2g} {name}" for name, part in zip(names, mode, strict=True) if abs(part) > 1e-6)
        lines.append(f"    {lasting(1 / rate):<12} D = {D_mode:.4g} m^2/s   of r: {mix}")
    if Ne > 0:
        lines.append("  share in the steady voltage that is not ohmic, of a small signal:")
        for name, share, z in zip(names, shares, transport.z, strict=True):
            kind = f"{transport.cation} salt" if z < 0 else f"in place of {transport.cation}" if z else "cosolvent"
            lines.append(f"    {name:<12} {100 * share:.3g} %   {kind}")
        lines.append(f"  {_in_words(transport, shares)}")
    for number, step in enumerate(protocol.steps, 1):
        peak = float(step.value[np.argmax(np.abs(step.value))])
        if step.drive == "voltage":
            i_0 = peak / (bulk + interfaces)
            i_ss = peak / (bulk * (1 + Ne) + interfaces)
            text = f"{peak:.4g} V: i_0 = {i_0:.4g} A/m^2; were it small, it would end at {i_ss:.4g} A/m^2"
        elif peak:
            text = f"{peak:.4g} A/m^2: begins at {peak * (bulk + interfaces):.4g} V; linear response ends at "
            text += f"{peak * (bulk * (1 + Ne) + interfaces):.4g} V"
        else:
            text = "rest"
        lines.append(f"step {number}: {text}, for {lasting(step.duration)}")
    if any(e.kinetics is not None for e in (cell.positive, cell.negative)):
        lines.append("kinetics enter by their small-signal resistance")
    return lines


def _in_words(transport: MixtureSet, shares: Array) -> str:
    """What the cosolvents do to the steady voltage."""
    if not transport.neutral:
        return "there is no cosolvent: what is not ohmic is the salts'"
    share = float(shares[list(transport.neutral)].sum())
    names = " and ".join(transport.components[k] for k in transport.neutral)
    if abs(share) < 0.01:
        return f"that {names} is dragged along hardly shows in the voltage"
    verb = "adds" if share > 0 else "takes"
    return (
        f"the gradient of {names} {verb} {100 * abs(share):.3g} % of it; a binary set would attribute this to the salt"
    )
