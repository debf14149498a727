"""The Onsager matrix of a binary electrolyte and everything that follows from it. numpy only.

Omega_ij is the one stored normalisation (flux N_i = -sum_j Omega_ij grad mu_j, per mole); Fong's and
Wheeler-Newman's L are views of it. i, j run over (cation, anion), in the frame of reference named by ``frame``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import N_A, Array, F, InputError, R
from cellsim.drawing import figstyle
from cellsim.drawing.page import Carded
from cellsim.electrolyte.relations import (
    FRAMES,
    TWO_SIDED,
    Composition,
    conductivity,
    current_fraction,
    frame_matrix,
    friction,
    salt_diffusion,
    standard_error_of,
    transference,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FRAMES", "QUANTITIES", "Composition", "Ideal", "OnsagerMatrix", "StefanMaxwell", "WohdeRoling"]


@dataclass(frozen=True)
class StefanMaxwell:
    """Stefan-Maxwell diffusion coefficients; negative values are physical.

    Parameters
    ----------
    D_plus_0 : float
        Cation-solvent [m^2/s].
    D_minus_0 : float
        Anion-solvent [m^2/s].
    D_plus_minus : float
        Cation-anion [m^2/s].
    """

    D_plus_0: float
    D_minus_0: float
    D_plus_minus: float


@dataclass(frozen=True)
class WohdeRoling:
    """Wohde-Roling parameters of a z:z salt.

    Parameters
    ----------
    alpha : float
        1 - 2 O_+-/(O_++ + O_--).
    beta : float
        (O_++ - O_+-)/(O_-- - O_+-).
    anion_blocking : float
        The transference number under anion-blocking conditions they give.
    """

    alpha: float
    beta: float
    anion_blocking: float


@dataclass(frozen=True)
class Ideal:
    """What the self-diffusion coefficients alone would say (Nernst-Einstein).

    Parameters
    ----------
    t_app : float
        Apparent (PFG-NMR) transference number D_+/(D_+ - (z_-/z_+) D_-).
    kappa_NE : float
        Nernst-Einstein conductivity [S/m].
    ionicity : float
        kappa/kappa_NE, the inverse Haven ratio.
    Omega_self : (float, float)
        Self parts c_i D_i/(RT) of O_++ and O_-- [mol^2/(J m s)].
    Omega_distinct : (float, float) or None
        Distinct parts, O_ii of the barycentric frame less the self part, which belongs to that frame; None for a matrix
        of another frame whose composition is not known [mol^2/(J m s)].
    """

    t_app: float
    kappa_NE: float
    ionicity: float
    Omega_self: tuple[float, float]
    Omega_distinct: tuple[float, float] | None


@dataclass(frozen=True, eq=False, repr=False)
class OnsagerMatrix(Carded):
    """Onsager matrix of a binary salt in one frame of reference.

    Parameters
    ----------
    Omega : array (2, 2)
        Omega_ij, order (cation, anion), symmetric positive definite [mol^2/(J m s)].
    z : sequence of float (2,)
        Charge numbers, z_+ > 0 > z_-.
    nu : sequence of float (2,)
        Stoichiometric numbers, z_+ nu_+ + z_- nu_- = 0.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].
    frame : str
        ``"solvent"``, ``"barycentric"`` or ``"volume"``.
    covariance : array (3, 3), optional
        Covariance of (O_++, O_+-, O_--) [mol^4/(J^2 m^2 s^2)].
    samples : array (S, 2, 2), optional
        Posterior samples of Omega, each positive definite [mol^2/(J m s)].
    composition : Composition, optional
        Lets :meth:`to_frame` work without further arguments.

    Raises
    ------
    InputError
        Not symmetric or not positive definite, charges of one sign, a salt that is not neutral.

    References
    ----------
    doi:10.1063/5.0155301 (Shao & Zhang 2023), Eqs. 3-24.
    """

    Omega: Array
    z: tuple[float, float]
    nu: tuple[float, float]
    c: float
    T: float
    frame: str
    covariance: Array | None = None
    samples: Array | None = None
    composition: Composition | None = None

    def __post_init__(self) -> None:
        put: Callable[[str, Any], None] = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name, shape in (("Omega", (2, 2)), ("covariance", (3, 3)), ("samples", (-1, 2, 2))):
            if getattr(self, name) is None:
                continue
            array = np.array(getattr(self, name), dtype=float)
            if array.ndim != len(shape) or array.shape[-2:] != shape[-2:] or not np.all(np.isfinite(array)):
                raise InputError(f"{name} must be finite numbers of shape {shape}, got shape {array.shape}")
            array.setflags(write=False)
            put(name, array)
        for name in ("z", "nu"):
            value = tuple(float(v) for v in getattr(self, name))
            if len(value) != 2:
                raise InputError(f"{name} = {value} must have two entries, cation and anion")
            put(name, value)
        if not self.z[0] > 0 > self.z[1] or not (self.nu[0] > 0 and self.nu[1] > 0):
            raise InputError(f"z = {self.z} and nu = {self.nu}: z_+ > 0 > z_- and nu > 0 are needed")
        if abs(self.z[0] * self.nu[0] + self.z[1] * self.nu[1]) > 1e-9 * self.z[0] * self.nu[0]:
            raise InputError(f"the salt is not neutral: z = {self.z}, nu = {self.nu}")
        if not (self.c > 0 and self.T > 0):
            raise InputError(f"c = {self.c!r} mol/m^3 and T = {self.T!r} K must be positive")
        if self.frame not in FRAMES:
            raise InputError(f"frame = {self.frame!r} is unknown; allowed are {', '.join(FRAMES)}")
        _check_positive(self.Omega[None], "Omega")
        if self.samples is not None:
            _check_positive(self.samples, "samples")

    @property
    def standard_errors(self) -> Array | None:
        """Standard errors of (O_++, O_+-, O_--), where they are known (3,) [mol^2/(J m s)].

        Of a skewed posterior that of the longer side (:func:`cellsim.electrolyte.relations.standard_error_of`).
        """
        if self.samples is not None:
            return standard_error_of(self.samples[:, [0, 0, 1], [0, 1, 1]])
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance))

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        """What it is, and its numbers."""
        values, errors = self.Omega[[0, 0, 1], [0, 1, 1]], self.standard_errors
        told = [f"{v:.4g}" + ("" if errors is None else f" ± {errors[k]:.2g}") for k, v in enumerate(values)]
        rows = [(f"Omega_{pair}", f"{text} mol^2/(J m s)") for pair, text in zip(("++", "+-", "--"), told, strict=True)]
        rows += [("conductivity", f"{self.kappa:.4g} S/m"), ("t_plus", f"{self.t_plus:.4g} in the {self.frame} frame")]
        if self.frame == "solvent":
            rows.append(("rho_plus", f"{self.rho_plus:.4g}, the current fraction 1/(1 + Ne)"))
        return f"OnsagerMatrix, {self.frame} frame, c = {self.c / 1e3:.4g} mol/L, {self.T:.2f} K", rows

    def plot(self) -> Figure:
        """Draw its three coefficients, with 95 % intervals where errors are known.

        Returns
        -------
        Figure
            Of matplotlib; a notebook shows it.
        """
        values, errors = self.Omega[[0, 0, 1], [0, 1, 1]], self.standard_errors
        power = int(np.floor(np.log10(np.max(np.abs(values)))))
        title, rows = self._card()
        with figstyle.panels(title=title, note="; ".join(f"{name} {text}" for name, text in rows[3:])) as (
            figure,
            axes,
        ):
            bars = None if errors is None else TWO_SIDED * np.stack([errors, errors])
            if self.samples is not None:
                low, high = np.quantile(self.samples[:, [0, 0, 1], [0, 1, 1]], [0.025, 0.975], axis=0)
                bars = np.maximum([values - low, high - values], 0.0)
            shown = None if bars is None else bars / 10.0**power
            figstyle.points(axes[0], range(3), values / 10.0**power, shown, markersize=5)
            axes[0].axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
            axes[0].set_xticks(range(3), [r"$\Omega_{++}$", r"$\Omega_{+-}$", r"$\Omega_{--}$"])
            axes[0].set_xlim(-0.5, 2.5)
            axes[0].set_ylabel(f"$10^{{{power}}}$ mol$^2$ J$^{{-1}}$ m$^{{-1}}$ s$^{{-1}}$")
        return figure

    @classmethod
    def from_fong(cls, L: ArrayLike, **rest: Any) -> OnsagerMatrix:
        """Build from L_ij = N_A^2 Omega_ij [1/(J m s)] (Fong; Siegel 2021 Eq. 6)."""
        return cls(Omega=np.asarray(L, dtype=float) / N_A**2, **rest)

    @classmethod
    def from_wheeler_newman(cls, L: ArrayLike, **rest: Any) -> OnsagerMatrix:
        """Build from L_ij = Omega_ij/(c_i c_j) [m^5/(J s)] (Wheeler-Newman; Fang 2026 Eq. 1)."""
        c_ions = rest["c"] * np.asarray(rest["nu"], dtype=float)
        return cls(Omega=np.asarray(L, dtype=float) * np.outer(c_ions, c_ions), **rest)

    @property
    def c_ions(self) -> Array:
        """Concentrations of cation and anion (2,) [mol/m^3]."""
        return self.c * np.asarray(self.nu)

    @property
    def fong(self) -> Array:
        """L_ij = N_A^2 Omega_ij (2, 2) [1/(J m s)]."""
        L: Array = self.Omega * N_A**2
        return L

    @property
    def wheeler_newman(self) -> Array:
        """L_ij = Omega_ij/(c_i c_j) (2, 2) [m^5/(J s)]."""
        L: Array = self.Omega / np.outer(self.c_ions, self.c_ions)
        return L

    @property
    def kappa(self) -> float:
        """Ionic conductivity [S/m]."""
        return float(conductivity(self.Omega, self.z))

    @property
    def t_plus(self) -> float:
        """Cation transference number in this frame; t_+^0 in the solvent frame."""
        return float(transference(self.Omega, self.z)[0])

    @property
    def t_minus(self) -> float:
        """Anion transference number in this frame."""
        return float(transference(self.Omega, self.z)[1])

    @property
    def rho_plus(self) -> float:
        """Current fraction rho_+ = t_+,ss = 1/(1 + Ne); solvent frame only."""
        self._solvent_frame("rho_plus")
        return float(current_fraction(self.Omega, self.z))

    @property
    def newman_number(self) -> float:
        """Ne = 1/rho_+ - 1; solvent frame only."""
        return 1.0 / self.rho_plus - 1.0

    def diffusion(self, chi: float) -> float:
        """Salt diffusion coefficient for a thermodynamic factor `chi` (molal basis); solvent frame only [m^2/s]."""
        self._solvent_frame("diffusion")
        return float(salt_diffusion(self.Omega, self.nu, self.c, self.T, chi))

    def to_frame(self, frame: str, composition: Composition | None = None) -> OnsagerMatrix:
        """The matrix in another frame, A Omega A^T, samples and covariance with it.

        Parameters
        ----------
        frame : str
            ``"solvent"``, ``"barycentric"`` or ``"volume"``.
        composition : Composition, optional
            Masses and volumes; the stored one when left out.

        Returns
        -------
        OnsagerMatrix
            In the frame asked for.
        """
        mix = self.composition if composition is None else composition
        if frame == self.frame:
            return self
        if mix is None:
            raise InputError(f"to go from the {self.frame} to the {frame} frame a Composition is needed")
        A = frame_matrix(self.c_ions, frame, mix) @ np.linalg.inv(frame_matrix(self.c_ions, self.frame, mix))

        def turn(M: Array) -> Array:
            turned = A @ M @ A.T
            symmetric: Array = 0.5 * (turned + np.swapaxes(turned, -1, -2))
            return symmetric

        covariance = None
        if self.covariance is not None:
            basis = np.array([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]], dtype=float)
            J = np.array([turn(b)[[0, 0, 1], [0, 1, 1]] for b in basis]).T
            covariance = J @ self.covariance @ J.T
        return replace(
            self,
            Omega=turn(self.Omega),
            frame=frame,
            covariance=covariance,
            samples=None if self.samples is None else turn(self.samples),
            composition=mix,
        )

    def stefan_maxwell(self, c_solvent: float) -> StefanMaxwell:
        """Stefan-Maxwell coefficients from the inverse matrix; solvent frame only.

        c_i c_0 RT/(c_T D_i0) = c_i sum_j c_j (Omega^-1)_ij and RT/(c_T D_+-) = -(Omega^-1)_+-.

        Parameters
        ----------
        c_solvent : float
            Solvent concentration [mol/m^3].

        Returns
        -------
        StefanMaxwell
            D_+0, D_-0, D_+- [m^2/s].

        References
        ----------
        Newman & Balsara, Electrochemical Systems, 4th ed., Eq. 12.1.
        """
        self._solvent_frame("stefan_maxwell")
        if not c_solvent > 0:
            raise InputError(f"c_solvent = {c_solvent!r} mol/m^3 must be positive")
        D = R * self.T / friction(self.Omega, self.c_ions, c_solvent)[[0, 1, 0], [2, 2, 1]]
        return StefanMaxwell(float(D[0]), float(D[1]), float(D[2]))

    def wohde_roling(self) -> WohdeRoling:
        """Wohde-Roling alpha and beta of a z:z salt, and the anion-blocking transference they give.

        Raises
        ------
        InputError
            Charges that differ in size.

        References
        ----------
        doi:10.1149/2.0811605jes (Wohde, Balabajew & Roling 2016).
        """
        if abs(self.z[0] + self.z[1]) > 1e-9 * self.z[0]:
            raise InputError(f"Wohde-Roling parameters are for z:z salts, not for z = {self.z}; use rho_plus")
        (pp, pm), (_, mm) = self.Omega
        alpha = 1 - 2 * pm / (pp + mm)
        beta = (pp - pm) / (mm - pm)
        cross = 0.5 * (1 / alpha - 1)
        blocking = (beta + cross * (1 + beta) ** 2) / ((1 + beta) * (1 + cross * (1 + beta)))
        return WohdeRoling(float(alpha), float(beta), float(blocking))

    def potential_split(self) -> float:
        """Share of the steady-state voltage that is concentration overpotential, D(phi_salt)/D(V).

        (nu_+ O_-- - nu_- O_+-)/(nu O_--), with D(phi_salt) = (RT/(z_+ F)) D ln(gamma m); solvent frame only.

        References
        ----------
        doi:10.1063/5.0155301, Eq. 22, the z:z case.
        """
        self._solvent_frame("potential_split")
        (_, pm), (_, mm) = self.Omega
        return float((self.nu[0] * mm - self.nu[1] * pm) / (sum(self.nu) * mm))

    def ideal(self, D_plus: float, D_minus: float) -> Ideal:
        """Nernst-Einstein quantities from self-diffusion coefficients; self and distinct parts.

        Parameters
        ----------
        D_plus, D_minus : float
            Self-diffusion coefficients of cation and anion [m^2/s].

        Returns
        -------
        Ideal
            t_app, kappa_NE, ionicity, self and distinct parts (both of the barycentric frame, to which a matrix of
            another frame is taken by its composition).

        References
        ----------
        doi:10.1063/5.0155301, Eq. 15, for any valence.
        """
        if not (D_plus > 0 and D_minus > 0):
            raise InputError(f"self-diffusion coefficients {D_plus!r} and {D_minus!r} m^2/s must be positive")
        own = self.c_ions * np.array([D_plus, D_minus]) / (R * self.T)
        weights = np.square(self.z) * own
        kappa_NE = float(F**2 * weights.sum())
        distinct = None
        if self.frame == "barycentric" or self.composition is not None:
            total = np.diag(self.to_frame("barycentric").Omega)
            distinct = (float(total[0] - own[0]), float(total[1] - own[1]))
        return Ideal(
            t_app=float(weights[0] / weights.sum()),
            kappa_NE=kappa_NE,
            ionicity=self.kappa / kappa_NE,
            Omega_self=(float(own[0]), float(own[1])),
            Omega_distinct=distinct,
        )

    def draws(self, name: str, *, chi: float | None = None) -> Array:
        """Posterior samples of a derived quantity.

        Parameters
        ----------
        name : str
            One of `QUANTITIES`: ``"Omega_pp"``, ``"Omega_pm"``, ``"Omega_mm"``, ``"kappa"``, ``"t_plus"``,
            ``"t_minus"``, ``"rho_plus"``, ``"newman_number"``, ``"diffusion"``.
        chi : float, optional
            Thermodynamic factor, for ``"diffusion"``.

        Returns
        -------
        array (S,)
            The quantity for each sample of Omega, in SI.

        Raises
        ------
        InputError
            Unknown name, no samples, or a solvent-frame quantity in another frame.
        """
        if name not in QUANTITIES:
            raise InputError(f"quantity {name!r} is unknown; allowed are {', '.join(QUANTITIES)}")
        if self.samples is None:
            raise InputError(f"an interval of {name} needs posterior samples; this matrix has none")
        if name in ("rho_plus", "newman_number", "diffusion"):
            self._solvent_frame(name)
        if name == "diffusion":
            if chi is None:
                raise InputError("diffusion needs chi, the thermodynamic factor")
            return np.asarray(salt_diffusion(self.samples, self.nu, self.c, self.T, chi))
        return np.asarray(_OF_SAMPLES[name](self.samples, self.z))

    def interval(self, name: str, level: float = 0.95, *, chi: float | None = None) -> tuple[float, float]:
        """Equal-tailed credible interval of a derived quantity from the posterior samples.

        Parameters
        ----------
        name : str
            A quantity as in :meth:`draws`.
        level : float
            Probability held, between 0 and 1.
        chi : float, optional
            Thermodynamic factor, for ``"diffusion"``.

        Returns
        -------
        (float, float)
            Lower and upper end, in SI.
        """
        if not 0 < level < 1:
            raise InputError(f"level = {level!r} must lie between 0 and 1")
        low, high = np.quantile(self.draws(name, chi=chi), [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)

    def standard_error(self, name: str, *, chi: float | None = None) -> float:
        """Standard error of a derived quantity, of a skewed posterior that of its longer side.

        Parameters
        ----------
        name, chi
            As for :meth:`draws`.

        Returns
        -------
        float
            Two of them on either side of the median hold the 95 % interval (:func:`~.relations.standard_error_of`).
        """
        return float(standard_error_of(self.draws(name, chi=chi)))

    def _solvent_frame(self, name: str) -> None:
        if self.frame != "solvent":
            raise InputError(f"{name} is defined in the solvent frame, this matrix is {self.frame}; use to_frame")


_OF_SAMPLES: dict[str, Callable[[Array, Sequence[float]], Any]] = {
    "Omega_pp": lambda O, z: O[..., 0, 0],
    "Omega_pm": lambda O, z: O[..., 0, 1],
    "Omega_mm": lambda O, z: O[..., 1, 1],
    "kappa": conductivity,
    "t_plus": lambda O, z: transference(O, z)[..., 0],
    "t_minus": lambda O, z: transference(O, z)[..., 1],
    "rho_plus": current_fraction,
    "newman_number": lambda O, z: 1.0 / current_fraction(O, z) - 1.0,
}
QUANTITIES = (*_OF_SAMPLES, "diffusion")
"""Names of the quantities that have samples and intervals."""


def _check_positive(matrices: Array, name: str) -> None:
    a, b, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    if np.any(np.abs(b - matrices[:, 1, 0]) > 1e-9 * np.sqrt(np.abs(a * d))):
        raise InputError(f"{name} must be symmetric (Onsager's reciprocal relation)")
    if np.any(a <= 0) or np.any(a * d - b * b <= 0):
        raise InputError(f"{name} must be positive definite (second law); check the data or the frame")


# ---- potentials of single ions: what a choice decides, and what no choice moves ------------------------------------
#
# At the steady state of a cell whose electrodes pass the cation alone, in the solvent frame::
#
#     -J_i = sum_j Omega_ij (grad mu_j + z_j F grad phi),     J_- = 0,     z_+ F J_+ = i
#
# are two equations in three unknowns, grad phi, grad mu_+ and grad mu_-. A third, mu_+ = x mu_-, is a convention: no
# experiment tells x (Gibbs and Guggenheim). The electrochemical potential of the cation, which a cell's voltage is made
# of, and the chemical potential of the salt do not depend on it.


@dataclass(frozen=True)
class IonPotentials:
    """Gradients at the anion-blocking steady state under the convention mu_+ = x mu_-.

    Parameters
    ----------
    onsager : OnsagerMatrix
        The electrolyte.
    x : float
        The convention [1].
    phi : float
        Gradient of the Galvani potential of the solution [V/m].
    mu_plus, mu_minus : float
        Gradients of the chemical potentials of cation and anion [J/(mol m)].
    """

    onsager: OnsagerMatrix
    x: float
    phi: float
    mu_plus: float
    mu_minus: float

    @property
    def voltage(self) -> float:
        """Gradient of (mu_+ + z_+ F phi)/(z_+ F): the potential of an electrode of M, measurable [V/m]."""
        return self.mu_plus / (self.onsager.z[0] * F) + self.phi

    @property
    def salt(self) -> float:
        """Gradient of nu_+ mu_+ + nu_- mu_-, the chemical potential of the salt, measurable [J/(mol m)]."""
        nu_plus, nu_minus = self.onsager.nu
        return nu_plus * self.mu_plus + nu_minus * self.mu_minus

    @property
    def fluxes(self) -> tuple[float, float]:
        """J_+ and J_- relative to the solvent, by the flux law from the three gradients [mol/(m^2 s)]."""
        z = np.asarray(self.onsager.z)
        J = -self.onsager.Omega @ (np.array([self.mu_plus, self.mu_minus]) + z * F * self.phi)
        return float(J[0]), float(J[1])

    @property
    def current(self) -> float:
        """i = F sum z_i J_i [A/m^2]."""
        z, J = self.onsager.z, self.fluxes
        return F * (z[0] * J[0] + z[1] * J[1])

    @property
    def current_fraction(self) -> float:
        """Steady current over the initial one at the same voltage, i/(-kappa grad V) = rho_+ [1]."""
        return -self.current / (self.onsager.kappa * self.voltage)


def ion_potentials(onsager: OnsagerMatrix, x: float, i: float) -> IonPotentials:
    """Solve the steady state for the three gradients, x chosen.

    Parameters
    ----------
    onsager : OnsagerMatrix
        In the solvent frame.
    x : float
        mu_+ = x mu_-; 0 and 1 are the choices found in the literature. x = z_+/z_- is not allowed: the two potentials
        of ions then cannot add up to that of the salt [1].
    i : float
        Current density [A/m^2].

    Returns
    -------
    IonPotentials

    Raises
    ------
    InputError
        Another frame, a number that is not finite, or x = z_+/z_-.

    References
    ----------
    doi:10.1063/5.0155301 (Shao & Zhang 2023), Eqs. 16-20, for any valence.
    """
    if onsager.frame != "solvent":
        raise InputError(f"ion_potentials needs the solvent frame, this matrix is {onsager.frame}; use to_frame")
    if not (np.isfinite(x) and np.isfinite(i)):
        raise InputError(f"x = {x!r} and i = {i!r} A/m^2 must be finite numbers")
    z_plus, z_minus = onsager.z
    if abs(z_plus - x * z_minus) < 1e-9 * z_plus:
        raise InputError(f"x = {x!r} must differ from z_+/z_- = {z_plus / z_minus:.6g}, where the gradients diverge")
    scale = float(np.sqrt(onsager.Omega[0, 0] * onsager.Omega[1, 1]))
    law = np.zeros((3, 3))  # unknowns: F grad phi, grad mu_+, grad mu_-
    law[:2] = onsager.Omega / scale @ np.array([[z_plus, 1.0, 0.0], [z_minus, 0.0, 1.0]])
    law[2] = 0.0, 1.0, -x
    F_phi, mu_plus, mu_minus = np.linalg.solve(law, [-i / (z_plus * F * scale), 0.0, 0.0])
    return IonPotentials(onsager, float(x), float(F_phi) / F, float(mu_plus), float(mu_minus))
