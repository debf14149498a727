"""X-ray attenuation of salt and solvent, per mole, from their formulas and the photon energy.

    mu(c) = a_e c + a_0 c_0(c),    a = sum over the atoms of a formula unit of (molar mass x mass attenuation)
    dmu/dc = a_e - a_0 V_e/V_0     constant partial molar volumes: the salt displaces solvent
    mu = sum_k a_k c_k             n components, counted as a_s C with C = sum_k (a_k/a_s) c_k of one species s

Mass attenuation from xraydb (Elam, Ravel & Sieber 2002, doi:10.1016/S0969-806X(01)00227-4), imported when it is needed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError, e
from cellsim.electrolyte.mixture_set import Electrolyte, sum_name
from cellsim.electrolyte.transport import TransportSet

FORMULAS: Mapping[str, str] = {
    "LiTFSI": "LiC2F6NO4S2",
    "LiFSI": "LiF2NO4S2",
    "LiTf": "LiCF3SO3",
    "EO": "C2H4O",
    "PEO": "C2H4O",
    "EC": "C3H4O3",
    "PC": "C4H6O3",
    "DMC": "C3H6O3",
    "EMC": "C4H8O3",
    "DEC": "C5H10O3",
}
"""Names that are no formulas."""
_DOT = re.compile(r"[·•*]|(?<!\d)\.|\.(?!\d)|\.\d+[A-Za-z(]")
"""A dot that is no decimal point at the end of a count, as in (C2H4O)10.5."""
LITHIUM_DENSITY = 534.0
"""Lithium metal at room temperature [kg/m^3]."""


@dataclass(frozen=True)
class Line:
    """Attenuation at one photon energy.

    Parameters
    ----------
    energy : float
        Photon energy [J].
    weight : float
        Share of the detector's signal with no electrolyte in the beam [1].
    salt, solvent : float
        Molar attenuation coefficients a_e, a_0 [m^2/mol].
    metal : float
        Linear attenuation coefficient of the electrodes [1/m].
    """

    energy: float
    weight: float
    salt: float
    solvent: float
    metal: float = 0.0


@dataclass(frozen=True)
class Attenuation:
    """Attenuation of an electrolyte at the energy of the beam and of its harmonics.

    Parameters
    ----------
    lines : tuple of Line
        The fundamental first; the weights add up to 1.
    M_e, M_0 : float, optional
        Molar masses of the formulas [kg/mol]; compared with those of the transport set.

    Raises
    ------
    InputError
        No line, a weight or coefficient that is negative, weights that do not add up to 1.
    """

    lines: tuple[Line, ...]
    M_e: float | None = None
    M_0: float | None = None

    species: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.lines or any(
            line.weight < 0 or min(line.salt, line.solvent, line.metal) < 0 for line in self.lines
        ):
            raise InputError("attenuation: needs at least one energy; weights and coefficients must not be negative")
        total = sum(line.weight for line in self.lines)
        if abs(total - 1) > 1e-9:
            raise InputError(f"attenuation: the weights of the energies add up to {total:.6g}, not to 1")

    def optical_depth(self, transport: Electrolyte, c: ArrayLike, path_length: float) -> Array:
        """-ln of the transmission at uniform concentration.

        Parameters
        ----------
        transport : TransportSet or MixtureSet
            For its volume balance c_0(c).
        c : array_like
            Salt concentration [mol/m^3].
        path_length : float
            Length of the electrolyte along the beam [m].

        Returns
        -------
        ndarray
            Shape of `c` [1].
        """
        return np.asarray(-np.log(self._transmissions(transport, c, path_length).sum(axis=0)))

    def depth_slope(self, transport: Electrolyte, c: ArrayLike, path_length: float) -> Array:
        """Derivative of :meth:`optical_depth` with respect to c [m^3/mol]; for one energy path_length dmu/dc."""
        shares = self._transmissions(transport, c, path_length)
        slopes = np.stack([self._slope(line, transport, c) for line in self.lines])
        return np.asarray(path_length * np.sum(shares * slopes, axis=0) / shares.sum(axis=0))

    def slope(self, transport: Electrolyte, c: ArrayLike) -> Array:
        """dmu/dc at the fundamental energy, the displaced solvent taken off [m^2/mol]."""
        return self._slope(self.lines[0], transport, c)

    def displaced_share(self, transport: Electrolyte, c: ArrayLike) -> Array:
        """a_0 V_e/(V_0 a_e): by how much dmu/dc is too large if the displaced solvent is forgotten, per a_e [1]."""
        return np.asarray(1 - self.slope(transport, c) / self.lines[0].salt)

    def _transmissions(self, transport: Electrolyte, c: ArrayLike, path_length: float) -> Array:
        assert isinstance(transport, TransportSet)
        c = np.asarray(c, dtype=float)
        c_0 = transport.volumes.c_0(c)
        return np.stack([s.weight * np.exp(-path_length * (s.salt * c + s.solvent * c_0)) for s in self.lines])

    @staticmethod
    def _slope(line: Line, transport: Electrolyte, c: ArrayLike) -> Array:
        assert isinstance(transport, TransportSet)
        return np.asarray(line.salt + line.solvent * transport.volumes.dc_0(np.asarray(c, dtype=float)))

    def metal_transmission(self, path_length: float) -> float:
        """Transmission of the electrodes over `path_length` [m]."""
        return float(sum(line.weight * np.exp(-path_length * line.metal) for line in self.lines))

    def check(self, transport: Electrolyte) -> None:
        """Refuse formulas whose molar masses are not those of the transport set (0.5 %), and sets of n components.

        Raises
        ------
        InputError
        """
        if not isinstance(transport, TransportSet):
            raise InputError(f"attenuation: {transport.name} has n components; give the formula of every species")
        for what, mass, wanted in (("salt", self.M_e, transport.M_e), ("solvent", self.M_0, transport.M_0)):
            if mass is not None and abs(mass - wanted) > 5e-3 * wanted:
                raise InputError(
                    f"attenuation: the formula of the {what} weighs {1e3 * mass:.5g} g/mol, that of {transport.name} "
                    f"{1e3 * wanted:.5g} g/mol; give the {what} of the set"
                )


@dataclass(frozen=True)
class SpeciesAttenuation:
    """Attenuation of n components at one photon energy, counted as that of one of them; the counterpart of
    :class:`Attenuation`, whose methods it has.

    Parameters
    ----------
    species : str
        The sum C of all species, each with its molar attenuation over that of the one (:func:`.species_sum`).
    molar : float
        Molar attenuation coefficient of the one [m^2/mol].
    metal : float
        Linear attenuation coefficient of the electrodes [1/m].

    Raises
    ------
    InputError
        A species that does not attenuate.
    """

    species: str
    molar: float
    metal: float = 0.0

    def __post_init__(self) -> None:
        if not self.molar > 0:
            raise InputError("attenuation: the species that all attenuation is counted as must attenuate itself")

    def optical_depth(self, transport: Electrolyte, c: ArrayLike, path_length: float) -> Array:
        """As :meth:`Attenuation.optical_depth`, of C [1]; exactly linear."""
        return np.asarray(path_length * self.molar * np.asarray(c, dtype=float))

    def depth_slope(self, transport: Electrolyte, c: ArrayLike, path_length: float) -> Array:
        """As :meth:`Attenuation.depth_slope`, of C [m^3/mol]."""
        return np.full(np.shape(c), path_length * self.molar)

    def metal_transmission(self, path_length: float) -> float:
        """Transmission of the electrodes over `path_length` [m]."""
        return float(np.exp(-path_length * self.metal))

    def check(self, transport: Electrolyte) -> None:
        """Refuse a set of one salt; one of n components states no molar masses to compare.

        Raises
        ------
        InputError
        """
        if isinstance(transport, TransportSet):
            raise InputError(f"attenuation: {transport.name} is a set of one salt; give its salt and solvent")


Absorber = Attenuation | SpeciesAttenuation
"""What attenuates in the beam: a salt in a solvent, or n components."""


def attenuation_of_species(
    energy: float,
    formulas: Mapping[str, str],
    species: str,
    *,
    metal: str = "Li",
    metal_density: float = LITHIUM_DENSITY,
) -> SpeciesAttenuation:
    """Attenuation of n components from the chemical formula of every species.

    Parameters
    ----------
    energy : float
        Photon energy [J].
    formulas : mapping
        Every species, ions alone and not their salts, -> its formula, or a name of :data:`FORMULAS`.
    species : str
        The one as which all attenuation is counted.
    metal, metal_density
        As of :func:`attenuation`.

    Returns
    -------
    SpeciesAttenuation

    Raises
    ------
    InputError
        As :func:`attenuation`.
    """
    database, eV = _xraydb(), _electronvolts(energy)
    molar = {name: _molar(database, formula, eV)[0] for name, formula in formulas.items()}
    a_m, M_m = _molar(database, metal, eV)
    weights = {name: a / molar[species] for name, a in molar.items()}
    return SpeciesAttenuation(sum_name(weights), molar[species], a_m * metal_density / M_m)


def _electronvolts(energy: float) -> float:
    keV = energy / (1e3 * e)
    if not 1 <= keV <= 200:
        raise InputError(f"attenuation: {keV:.4g} keV lies outside 1-200 keV")
    return 1e3 * keV


def attenuation(
    energy: float,
    *,
    salt: str,
    solvent: str,
    harmonics: Mapping[int, float] | None = None,
    metal: str = "Li",
    metal_density: float = LITHIUM_DENSITY,
) -> Attenuation:
    """Attenuation from chemical formulas.

    Parameters
    ----------
    energy : float
        Photon energy of the fundamental [J]; ``to_si("7.35 keV", "J")``.
    salt, solvent : str
        Formula units, ``"LiC2F6NO4S2"``, ``"C2H4O"``, or a name of :data:`FORMULAS`.
    harmonics : mapping, optional
        Order -> share of the detector's signal with no electrolyte in the beam [1], such as ``{3: 1e-3}``.
    metal : str
        The electrodes.
    metal_density : float
        Their density [kg/m^3].

    Returns
    -------
    Attenuation

    Raises
    ------
    InputError
        xraydb is not installed, an unreadable formula, an energy outside 1-200 keV, shares that leave nothing.
    """
    shares = dict(harmonics or {})
    if any(order < 2 or not 0 <= share < 1 for order, share in shares.items()) or sum(shares.values()) >= 1:
        raise InputError("attenuation: harmonics are orders of 2 and more, with shares that add up to less than 1")
    database = _xraydb()
    weighted = {1: 1 - sum(shares.values())} | shares
    lines = []
    for order, weight in weighted.items():
        eV = _electronvolts(order * energy)
        a = {name: _molar(database, formula, eV) for name, formula in (("e", salt), ("0", solvent), ("m", metal))}
        lines.append(Line(order * energy, weight, a["e"][0], a["0"][0], a["m"][0] * metal_density / a["m"][1]))
    return Attenuation(tuple(lines), _molar(database, salt, 8e3)[1], _molar(database, solvent, 8e3)[1])


def _xraydb() -> Any:
    try:
        return importlib.import_module("xraydb")
    except ImportError:
        raise InputError(
            "attenuation from formulas needs xraydb; install it with pip install 'cellsim[beamline]'"
        ) from None


def _molar(database: Any, formula: str, eV: float) -> tuple[float, float]:
    """Molar attenuation coefficient [m^2/mol] and molar mass [kg/mol] of a formula."""
    written = FORMULAS.get(formula, formula)
    if _DOT.search(written):
        # The parser takes the dot for a decimal point: LiCl.H2O became Li, no Cl at all, and H2O.
        raise InputError(
            f"attenuation: {formula!r} has a dot that may join two formulas or be a decimal point; write LiCl(H2O)2 "
            "for a hydrate"
        )
    try:
        atoms = database.chemparse(written)
    except ValueError:
        atoms = {}
    if not atoms or not all(count > 0 for count in atoms.values()):
        raise InputError(f"attenuation: {formula!r} is no chemical formula, such as LiC2F6NO4S2")
    a = M = 0.0
    for symbol, count in atoms.items():
        mass = database.atomic_mass(symbol)  # g/mol
        a += count * mass * float(database.mu_elam(symbol, eV, kind="total")) * 1e-4  # cm^2/mol -> m^2/mol
        M += count * mass * 1e-3
    return a, M
