"""A transport set: what an electrolyte's four properties and two volumes are, as functions of concentration.

Bound to one temperature, converted once: whatever frame and basis its source used, `t_plus` is with respect to the
solvent and `chi` is molal from here on (Newman & Balsara, *Electrochemical Systems*, 4th ed., ch. 11-12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError, RangeError
from cellsim.drawing.page import Carded
from cellsim.electrolyte import relations
from cellsim.electrolyte.volumes import ConstantVolumes, Volumes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Property = Callable[[Array, Array, Array], Array]
"""A property of composition: called with c [mol/m^3], m [mol/kg], r [1], equal shapes, returns SI values."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)

Frame = Literal["solvent", "volume", "mass", "molar"]
Basis = Literal["molal", "molar", "particle_fraction"]
T_PLUS_FRAMES: tuple[Frame, ...] = ("solvent", "volume", "mass", "molar")
"""What the velocity of a transference number's frame is a mean over: one species, or all by volume, mass or number."""
CHI_BASES: tuple[Basis, ...] = ("molal", "molar", "particle_fraction")
STATUSES = ("measured", "reconstruction", "assumed", "simulated", "model")


def constant(value: float) -> Property:
    """A property that does not depend on composition; `value` in SI."""
    return lambda c, m, r: np.full(np.shape(c), float(value))


@dataclass(frozen=True, repr=False)
class TransportSet(Carded):
    """Transport properties of a binary electrolyte at one temperature.

    The public methods take concentrations c [mol/m^3] of any shape and return arrays of that shape, in SI, always
    with `t_plus` in the solvent frame and `chi` on the molal basis.

    Parameters
    ----------
    name : str
        Identifier; for a shipped set the file's stem.
    z_plus, z_minus, nu_plus, nu_minus : int
        Charges and stoichiometric numbers, z+ nu+ + z- nu- = 0.
    M_e, M_0 : float
        Molar masses of salt and solvent [kg/mol].
    T : float
        Temperature [K].
    volumes : Volumes
        The volume balance, c0(c).
    c_range : tuple of float
        Validity range [mol/m^3].
    kappa_source, D_source, t_plus_source, chi_source : Property
        The properties as their source states them, SI.
    t_plus_frame : {"solvent", "volume", "mass", "molar"}
        Frame of `t_plus_source`; converted by :func:`.relations.in_frame`.
    chi_basis : {"molal", "molar", "particle_fraction"}
        Basis of `chi_source`.
    chi_is_product : bool
        True where `chi_source` gives (1 - t+0) chi, as concentration cells do.
    M_plus : float, optional
        Molar mass of the cation, which the frame of the mass needs [kg/mol].
    solvent_motion : {"volume", "none"}
        "none": the dilute-salt limit phi_0 = 1, in which no conversion is made and the solvent stands still.
    extrapolate : {"error", "clamp"}
        Outside `c_range`: raise, or hold the value at the end of the range.
    title, status, note : str
        For figures and reports; `status` is one of :data:`STATUSES`.
    source : mapping
        Property name -> where it comes from.
    text : str
        The TOML the set was read from, verbatim.
    draws : ndarray, shape (k, n), optional
        Joint draws of the numbers that the file's [covariance] names, where a file beside the set holds them.

    Raises
    ------
    InputError
        If the charges do not balance or a constant is out of bounds.
    """

    name: str
    z_plus: int
    z_minus: int
    nu_plus: int
    nu_minus: int
    M_e: float
    M_0: float
    T: float
    volumes: Volumes
    c_range: tuple[float, float]
    kappa_source: Property
    D_source: Property
    t_plus_source: Property
    chi_source: Property
    t_plus_frame: Frame = "solvent"
    chi_basis: Basis = "molal"
    chi_is_product: bool = False
    M_plus: float | None = None
    solvent_motion: Literal["volume", "none"] = "volume"
    extrapolate: Literal["error", "clamp"] = "error"
    title: str = ""
    status: str = "assumed"
    note: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    draws: Array | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.z_plus > 0 > self.z_minus and self.nu_plus > 0 and self.nu_minus > 0):
            raise InputError(f"salt of {self.name}: z_plus > 0 > z_minus and nu_plus, nu_minus > 0 are required")
        if self.z_plus * self.nu_plus + self.z_minus * self.nu_minus != 0:
            raise InputError(
                f"salt of {self.name}: z_plus nu_plus + z_minus nu_minus = "
                f"{self.z_plus * self.nu_plus + self.z_minus * self.nu_minus}, but a salt is neutral"
            )
        if not (self.M_0 > 0 and self.M_e > 0 and self.T > 0):
            raise InputError(f"{self.name}: molar masses and temperature must be positive")
        if self.t_plus_frame == "mass":
            self._cation_mass()
        low, high = self.c_range
        if not 0 < low < high < np.inf:
            raise InputError(f"{self.name}: the range {low:.4g} to {high:.4g} mol/m^3 must be positive and increasing")
        if high >= self.volumes.c_saturation * (1 + 1e-9):
            raise InputError(
                f"{self.name}: the range ends at {high:.4g} mol/m^3, where no room is left for solvent "
                f"(saturation of the volume balance at {self.volumes.c_saturation:.4g} mol/m^3)"
            )

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        """Its name, and what it is in a few lines."""
        low, high = self.c_range
        rows = [
            ("status", self.status),
            ("temperature", f"{self.T:.2f} K"),
            ("range", f"c = {low / 1e3:.4g} to {high / 1e3:.4g} mol/L"),
        ]
        for name, factor, unit in (
            ("kappa", 10.0, "mS/cm"),
            ("D", 1.0, "m^2/s"),
            ("t_plus", 1.0, ""),
            ("chi", 1.0, ""),
        ):
            first, last = (float(v) * factor for v in getattr(self, name)(np.array([low, high])))
            rows.append((name, f"{first:.3g} to {last:.3g} {unit} at the ends of the range".replace("  ", " ")))
        return f"TransportSet {self.name}" + (f": {self.title}" if self.title else ""), rows

    def plot(self) -> Figure:
        """Draw its four properties over its range.

        Returns
        -------
        Figure
            Of matplotlib; a notebook shows it.
        """
        from cellsim.electrolyte.describe import figure_of_set  # which reads files, and so imports this module

        return figure_of_set(self)

    @classmethod
    def constant(
        cls,
        *,
        kappa: float,
        D: float,
        t_plus: float,
        chi: float = 1.0,
        V_e: float = 0.0,
        V_0: float = 1e-4,
        T: float = 298.15,
        z_plus: int = 1,
        z_minus: int = -1,
        c_range: tuple[float, float] | None = None,
        name: str = "constant",
        **other: object,
    ) -> TransportSet:
        """A set of constants, for closed forms, teaching and a first look.

        Parameters
        ----------
        kappa, D, t_plus, chi : float
            Conductivity [S/m], diffusion coefficient [m^2/s], transference number and thermodynamic factor [1].
        V_e, V_0 : float
            Partial molar volumes [m^3/mol].
        T : float
            Temperature [K].
        z_plus, z_minus : int
            Charges; nu+ and nu- follow.
        c_range : tuple of float, optional
            Validity [mol/m^3]; default 1e-3 to 1e5 or just below saturation.
        name : str
            Name of the set.
        **other
            Further fields of :class:`TransportSet`.

        Returns
        -------
        TransportSet
        """
        divisor = int(np.gcd(z_plus, -z_minus))
        volumes = ConstantVolumes(V_e, V_0)
        fields: dict[str, object] = {
            "name": name,
            "z_plus": z_plus,
            "z_minus": z_minus,
            "nu_plus": -z_minus // divisor,
            "nu_minus": z_plus // divisor,
            "M_e": 0.1,
            "M_0": 0.1,
            "T": T,
            "volumes": volumes,
            "c_range": c_range or (1e-3, min(1e5, 0.999 * volumes.c_saturation)),
            "kappa_source": constant(kappa),
            "D_source": constant(D),
            "t_plus_source": constant(t_plus),
            "chi_source": constant(chi),
        }
        return cls(**(fields | other))  # type: ignore[arg-type]

    # ---- variants -------------------------------------------------------------------------------------------------

    def with_motion(self, solvent_motion: Literal["volume", "none"]) -> TransportSet:
        """The same set with or without solvent motion."""
        return self if solvent_motion == self.solvent_motion else replace(self, solvent_motion=solvent_motion)

    def with_extrapolation(self, extrapolate: Literal["error", "clamp"]) -> TransportSet:
        """The same set, raising or clamping outside its range."""
        if extrapolate == self.extrapolate:
            return self
        return self._clamped if extrapolate == "clamp" else replace(self, extrapolate=extrapolate)

    @cached_property
    def _clamped(self) -> TransportSet:
        """The set held at its ends, made once: its potential's panels are worth a dozen runs of the compiled solver."""
        return replace(self, extrapolate="clamp")

    # ---- composition ----------------------------------------------------------------------------------------------

    @property
    def nu(self) -> int:
        """Ions per formula unit, nu+ + nu-."""
        return self.nu_plus + self.nu_minus

    def c_0(self, c: ArrayLike) -> Array:
        """Solvent concentration [mol/m^3]."""
        return self.volumes.c_0(c)

    def r(self, c: ArrayLike) -> Array:
        """Salt per solvent molecule (or repeat unit), c/c0 [1]."""
        return np.asarray(c, dtype=float) / self.volumes.c_0(c)

    def m(self, c: ArrayLike) -> Array:
        """Molality [mol/kg]."""
        return self.r(c) / self.M_0

    def V_0(self, c: ArrayLike) -> Array:
        """Partial molar volume of the solvent [m^3/mol]."""
        return 1 / (self.volumes.c_0(c) - np.asarray(c, dtype=float) * self.volumes.dc_0(c))

    def V_e(self, c: ArrayLike) -> Array:
        """Partial molar volume of the salt [m^3/mol]."""
        return -self.volumes.dc_0(c) * self.V_0(c)

    def phi_0(self, c: ArrayLike) -> Array:
        """Volume fraction of solvent, c0 V_0; 1 by decree with ``solvent_motion = "none"``."""
        if self.solvent_motion == "none":
            return np.ones(np.shape(c))
        c_0 = self.volumes.c_0(c)
        return c_0 * (1 / (c_0 - np.asarray(c, dtype=float) * self.volumes.dc_0(c)))

    def volume_ratio(self, c: ArrayLike) -> Array:
        """V_e/V_0: moles of solvent that make room for one mole of salt [1]; 0 without solvent motion."""
        return np.zeros(np.shape(c)) if self.solvent_motion == "none" else self.V_e(c) / self.V_0(c)

    def density(self, c: ArrayLike) -> Array:
        """Mass density, M_e c + M_0 c0 [kg/m^3]."""
        return self.M_e * np.asarray(c, dtype=float) + self.M_0 * self.volumes.c_0(c)

    def c_of(self, *, c: float | None = None, m: float | None = None, r: float | None = None) -> float:
        """Concentration from one of c [mol/m^3], m [mol/kg], r [1].

        Raises
        ------
        InputError
            If not exactly one is given, or it is negative or beyond saturation of the volume balance.
        """
        given = {k: v for k, v in {"c": c, "m": m, "r": r}.items() if v is not None}
        if len(given) != 1:
            raise InputError("give the salt by exactly one of c, m and r")
        ((key, value),) = given.items()
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"salt {key} = {value!r} must be positive")
        if key == "c":
            if value >= self.volumes.c_saturation:
                raise InputError(
                    f"salt c = {value:.4g} mol/m^3 lies beyond saturation of the volume balance of {self.name}, "
                    f"{self.volumes.c_saturation:.4g} mol/m^3; no room is left for solvent"
                )
            return float(value)
        ratio = value * self.M_0 if key == "m" else value
        if isinstance(self.volumes, ConstantVolumes):
            return float(1 / (self.volumes.V_e + self.volumes.V_0 / ratio))
        from scipy.optimize import brentq

        high = self.volumes.c_saturation
        if ratio > float(self.r(high)):
            raise InputError(
                f"salt {key} = {value!r} lies beyond the density curve of {self.name}, which ends at "
                f"c = {high:.4g} mol/m^3"
            )
        return float(brentq(lambda x: float(self.r(x)) - ratio, 0.0, high, xtol=1e-12 * high, rtol=1e-14))

    def c_of_r(self, r: ArrayLike) -> Array:
        """Concentrations of salt [mol/m^3] from many r [1], of the same shape; r must be one that the volumes allow.

        Exact where the volumes are constant, else by Newton's method on c = r c_0(c), d(ln r)/d(ln c) = 1/phi_0.
        """
        r = np.asarray(r, dtype=float)
        if isinstance(self.volumes, ConstantVolumes):
            return np.asarray(r / (self.volumes.V_0 + self.volumes.V_e * r))
        c = r / (self.V_0(0.0) + self.V_e(0.0) * r)
        for _ in range(60):
            c_0, slope = self.volumes.c_0(c), self.volumes.dc_0(c)
            step = (c - r * c_0) / (1 - r * slope)
            c = c - step
            if np.all(np.abs(step) <= 1e-13 * np.abs(c)):
                break
        return np.asarray(c)

    # ---- properties -----------------------------------------------------------------------------------------------

    def contains(self, c: ArrayLike) -> bool:
        """Whether all of `c` lies in the validity range (to round-off)."""
        low, high = self.c_range
        if isinstance(c, float):
            return low * (1 - 1e-9) <= c <= high * (1 + 1e-9)
        c = np.asarray(c, dtype=float)
        return bool(np.all(c >= low * (1 - 1e-9)) and np.all(c <= high * (1 + 1e-9)))

    def check(self, c: ArrayLike, *, what: str = "c") -> None:
        """Raise :class:`RangeError` where `c` [mol/m^3] leaves the range, whatever `extrapolate` says."""
        if not self.contains(c):
            low, high = self.c_range
            values = np.asarray(c, dtype=float)
            worst = float(values.flat[int(np.argmax(np.maximum(low - values, values - high)))])
            raise RangeError(
                f"{what} = {worst / 1e3:.4g} mol/L lies outside {low / 1e3:.4g}-{high / 1e3:.4g} mol/L of {self.name}; "
                f'choose another set or extrapolate = "clamp"',
                "c",
                worst,
            )

    def _admit(self, c: ArrayLike) -> Array:
        if self.extrapolate == "error":
            self.check(c)
        low, high = self.c_range
        return np.minimum(np.maximum(np.asarray(c, dtype=float), low), high)  # np.clip takes five times as long

    def _evaluate(self, source: Property, c: Array) -> Array:
        r = self.r(c)
        return np.asarray(source(c, r / self.M_0, r), dtype=float)

    def kappa(self, c: ArrayLike) -> Array:
        """Conductivity [S/m]."""
        return self._evaluate(self.kappa_source, self._admit(c))

    def D(self, c: ArrayLike) -> Array:
        """Salt diffusion coefficient, the measured one [m^2/s]."""
        return self._evaluate(self.D_source, self._admit(c))

    def t_plus(self, c: ArrayLike) -> Array:
        """Cation transference number with respect to the solvent [1]."""
        c = self._admit(c)
        stated = self._evaluate(self.t_plus_source, c)
        if self.t_plus_frame == "solvent":
            return stated
        of_solvent, of_cation = self._weights(self.t_plus_frame, c)
        return 1 - (1 - stated - of_cation) / of_solvent

    def t_plus_in(self, frame: Frame, c: ArrayLike) -> Array:
        """Cation transference number in another frame [1], see :func:`.relations.in_frame`.

        Raises
        ------
        InputError
            The frame of the mass, where the molar mass of the cation is not known.
        """
        c = self._admit(c)
        return np.asarray(relations.in_frame(self.t_plus(c), *self._weights(frame, c)))

    def _weights(self, frame: Frame, c: Array) -> tuple[Array, Array]:
        """What solvent and cations count in the velocity of a frame [1]; without solvent motion all frames are one."""
        nothing = np.zeros(np.shape(c))
        if frame == "solvent" or self.solvent_motion == "none":
            return 1 + nothing, nothing
        if frame == "volume":
            return self.phi_0(c), nothing
        c_0, cations = self.volumes.c_0(c), self.nu_plus * c
        if frame == "molar":
            total = c_0 + self.nu * c
            return c_0 / total, cations / total
        total = self.density(c)
        return c_0 * self.M_0 / total, cations * self._cation_mass() / total

    def _cation_mass(self) -> float:
        if self.M_plus is None or not 0 < self.nu_plus * self.M_plus < self.M_e:
            raise InputError(
                f"salt of {self.name}: a t_plus in the frame of the mass needs M_plus, the molar mass of the cation, "
                'as in M_plus = "6.94 g/mol", below that of the salt'
            )
        return self.M_plus

    def chi(self, c: ArrayLike) -> Array:
        """Thermodynamic factor, molal basis, 1 + dln gamma/dln m [1].

        Infinite where only (1 - t+0) chi is known and t+0 = 1.
        """
        c = self._admit(c)
        chi = self._molal(c)
        if not self.chi_is_product:
            return chi
        with np.errstate(divide="ignore"):
            return np.asarray(chi / (1 - self.t_plus(c)))

    def chi_on(self, basis: Basis, c: ArrayLike) -> Array:
        """Thermodynamic factor on another basis [1]: molal chi = phi_0 chi_c = chi_y c0/(c0 + nu c)."""
        c = self._admit(c)
        return self.chi(c) / self._to_molal(basis, c)

    def one_minus_t_plus_chi(self, c: ArrayLike) -> Array:
        """(1 - t+0) chi, molal basis: what a concentration cell measures [1]."""
        c = self._admit(c)
        chi = self._molal(c)
        return chi if self.chi_is_product else (1 - self.t_plus(c)) * chi

    def _molal(self, c: Array) -> Array:
        """`chi_source` on the molal basis."""
        chi = self._evaluate(self.chi_source, c)
        return chi if self.chi_basis == "molal" else self._to_molal(self.chi_basis, c) * chi

    def _to_molal(self, basis: Basis, c: Array) -> Array:
        """What a factor on `basis` is multiplied by to be molal [1]: phi_0 for molar, c0/(c0 + nu c) by particles."""
        if basis == "molar":
            return self.phi_0(c)
        if basis == "particle_fraction":
            c_0 = 1 / self.V_0(c) if self.solvent_motion == "none" else self.volumes.c_0(c)
            return np.asarray(c_0 / (c_0 + self.nu * c))
        return np.ones(np.shape(c))

    # ---- what the properties amount to ----------------------------------------------------------------------------

    @property
    def charge_per_salt(self) -> float:
        """z+ nu+ F, the charge of the cations of one mole of salt [C/mol]."""
        return relations.charge_per_salt(self.z_plus, self.nu_plus)

    @cached_property
    def thermal_voltage(self) -> float:
        """K = nu R T/(F z+ nu+), what one unit of (1 - t+0) chi ln m is worth [V]."""
        return relations.thermal_voltage(self.nu, self.T, self.charge_per_salt)

    def migration(self, c: ArrayLike) -> Array:
        """M = phi_0 (1 - t+0)/(z+ nu+ F): salt moved per charge, interface frame [mol/C]."""
        return np.asarray(relations.migration(self.phi_0(c), self.t_plus(c), self.charge_per_salt))

    def newman_number(self, c: ArrayLike) -> Array:
        """Ne [1]; i_ss/i_0 of a small voltage is 1/(1 + Ne). See :func:`.relations.newman_number`."""
        c = np.asarray(c, dtype=float)
        properties = self.kappa(c), self.D(c), self.t_plus(c), self.one_minus_t_plus_chi(c)
        return np.asarray(relations.newman_number(*properties, c, nu=self.nu, T=self.T, charge=self.charge_per_salt))

    def concentration_voltage(self, c_positive: ArrayLike, c_negative: ArrayLike) -> Array:
        """K [W(c(0)) - W(c(L))], the concentration part of a cell's voltage [V]; at rest it is the cell's voltage.

        Parameters
        ----------
        c_positive, c_negative : array_like
            Concentrations at the positive (x = 0) and the negative interface (x = L) [mol/m^3].
        """
        both = self.potential_integral(np.stack(np.broadcast_arrays(c_positive, c_negative)))
        return self.thermal_voltage * (both[0] - both[1])

    # ---- the concentration potential's integral -------------------------------------------------------------------

    def potential_slope(self, c: ArrayLike) -> Array:
        """(1 - t+0) chi dln m/dln c = (1 - t+0) chi / phi_0 [1], held at its end values outside the range."""
        clamped = self.with_extrapolation("clamp")
        c = clamped._admit(c)
        return clamped.one_minus_t_plus_chi(c) / clamped.phi_0(c)

    def potential_integral(self, c: ArrayLike) -> Array:
        """W(c), the integral of (1 - t+0) chi dln m from the upper end of the range to c [1].

        U(c; c_ref) = nu R T/(F z+ nu+) [W(c) - W(c_ref)]. Gauss-Legendre panels in ln c, about 1e-10 for smooth
        properties; beyond the range the slope is held.
        """
        x = np.log(np.maximum(np.asarray(c, dtype=float), 1e-30))
        edges, cumulated = self._potential_panels
        inside = np.clip(x, edges[0], edges[-1])
        panel = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, edges.size - 2)
        value = cumulated[panel] + self._gauss(edges[panel], inside)
        below, above = self._potential_ends
        return (
            value
            + np.where(x < edges[0], below * (x - edges[0]), 0.0)
            + np.where(x > edges[-1], above * (x - edges[-1]), 0.0)
        )

    @cached_property
    def _potential_ends(self) -> Array:
        """The slope at both ends of the range, shape (2,)."""
        return self.potential_slope(np.exp(self._potential_panels[0][[0, -1]]))

    def _gauss(self, low: Array, high: Array) -> Array:
        """Integral of the slope over ln c from `low` to `high`, 4-point Gauss-Legendre."""
        half = 0.5 * (high - low)
        points = (low + half)[..., None] + half[..., None] * _NODES
        return np.asarray(half * (self.potential_slope(np.exp(points)) @ _WEIGHTS))

    @cached_property
    def _potential_panels(self) -> tuple[Array, Array]:
        low, high = np.log(self.c_range)
        edges = np.linspace(low, high, max(200, int(100 * (high - low))) + 1)
        parts = self._gauss(edges[:-1], edges[1:])
        cumulated = np.concatenate([[0.0], np.cumsum(parts)])
        return edges, cumulated - cumulated[-1]
