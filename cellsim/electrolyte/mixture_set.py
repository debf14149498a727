"""A transport set of n components: mixed solvents, several salts. `mixture_file` reads one.

One neutral species is the reference solvent 0 and one cation crosses the interfaces. Every other species counts a
neutral component, an anion its lithium salt, and the composition is r_k = c_k/c_0. The Onsager matrix is in the frame
of the reference.

References
----------
doi:10.48550/arXiv.2211.13505 (structural electroneutrality, the salt-charge basis); Newman & Balsara,
*Electrochemical Systems*, 4th ed., ch. 12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError, R, RangeError
from cellsim.electrolyte.relations import (
    component_transport,
    ideal_thermodynamic_matrix,
    onsager_of_components,
)
from cellsim.electrolyte.set_covariance import ParameterCovariance
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.schema import did_you_mean

Composition = Callable[[Array], Array]
"""A property of composition: called with r, shape (..., K) [1], returns SI values, shape (..., more)."""

SAMPLES = 64
"""Compositions inside the range at which a set is checked, besides its corners and its middle."""
SYMMETRY = 1e-6
"""How far a matrix may be from symmetric, relative to its diagonal."""


@dataclass(frozen=True)
class Coefficients:
    """What the equations of n components need at some compositions, first axes those of the compositions.

    Attributes
    ----------
    kappa : ndarray, shape (...)
        Conductivity [S/m].
    tau : ndarray, shape (..., K)
        Moles of each component carried per faraday at uniform composition [1].
    L, G : ndarray, shape (..., K, K)
        Mobilities of the components [mol^2/(J m s)], slopes of their chemical potentials over RT [1].
    c_0 : ndarray, shape (...)
        Concentration of the reference solvent [mol/m^3].
    T : float
        Temperature [K].
    """

    kappa: Array
    tau: Array
    L: Array
    G: Array
    c_0: Array
    T: float

    @property
    def diffusion(self) -> Array:
        """RT c_0 L G, what a slope of r per solvent, d r/d xi, moves, shape (..., K, K) [mol^2/(m^4 s)]."""
        return np.asarray(R * self.T * self.c_0[..., None, None] * (self.L @ self.G))


@dataclass(frozen=True, eq=False)
class MixtureSet:
    """Transport and thermodynamics of n components at one temperature.

    Parameters
    ----------
    name : str
        Identifier.
    cation, solvent : str
        The species that crosses the interfaces, and the reference of the frame.
    components : tuple of str (K,)
        All other species; each counts a neutral component.
    z_plus : int
        Charge number of the cation.
    z : tuple of int (K,)
        Those of the components.
    T : float
        Temperature [K].
    Omega : callable
        r (..., K) -> Onsager matrix (..., K + 1, K + 1), the cation first [mol^2/(J m s)].
    G : callable
        r (..., K) -> d mu_l/d r_m over RT (..., K, K) [1].
    volume : callable
        r (..., K) -> volume per mole of the reference solvent, 1/c_0 (...) [m^3/mol].
    partial_volumes : callable
        r (..., K) -> its slopes, the partial molar volumes (..., K) [m^3/mol].
    r_range : ndarray (K, 2)
        Validity range of r [1].
    extrapolate : {"error", "clamp"}
        Outside it: end the run, or hold the values at the ends.
    title, status, note, text : str
        As of :class:`.TransportSet`.
    source : mapping
        Number, or block of the file, -> where it comes from.
    covariance : ParameterCovariance, optional
        Of the file's numbers.

    Raises
    ------
    InputError
        No cation, no component that balances it, or a temperature or range that is not positive.
    """

    name: str
    cation: str
    solvent: str
    components: tuple[str, ...]
    z_plus: int
    z: tuple[int, ...]
    T: float
    Omega: Composition
    G: Composition
    volume: Composition
    partial_volumes: Composition
    r_range: Array
    extrapolate: Literal["error", "clamp"] = "error"
    title: str = ""
    status: str = "assumed"
    note: str = ""
    text: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    covariance: ParameterCovariance | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "r_range", np.array(self.r_range, dtype=float).reshape(-1, 2))
        if not (self.z_plus > 0 and any(q < 0 for q in self.z)):
            raise InputError(f"{self.name}: the cation {self.cation} needs a positive charge, and an anion beside it")
        if len({self.cation, self.solvent, *self.components}) != len(self.components) + 2:
            raise InputError(f"{self.name}: every species needs a name of its own")
        low, high = self.r_range.T
        if low.size != len(self.components) or not np.all((low > 0) & (low < high) & np.isfinite(high)):
            raise InputError(f"{self.name}: the range of every r must be positive and increasing")
        if not self.T > 0:
            raise InputError(f"{self.name}: the temperature must be positive")

    @classmethod
    def constant(
        cls,
        Omega: ArrayLike,
        G: ArrayLike | None = None,
        *,
        z_plus: int = 1,
        z: Sequence[int] = (-1,),
        V_0: float = 1e-4,
        V: ArrayLike | None = None,
        T: float = 298.15,
        names: Sequence[str] | None = None,
        r_range: ArrayLike | None = None,
        name: str = "constant",
        **other: object,
    ) -> MixtureSet:
        """A set of constants, for closed forms, teaching and a first look.

        Parameters
        ----------
        Omega : array_like (K + 1, K + 1)
            The cation first [mol^2/(J m s)].
        G : array_like (K, K), optional
            Slopes of the chemical potentials over RT; default: the ideal mixture's, which depends on r [1].
        z_plus, z : int, sequence of int (K,)
            Charge numbers.
        V_0, V : float, array_like (K,)
            Partial molar volumes of the reference and of the components (default 0) [m^3/mol].
        T : float
            Temperature [K].
        names : sequence of str (K + 2,), optional
            Cation, components, reference.
        r_range : array_like (K, 2), optional
            Default 1e-6 to 1e3 for each.
        name : str
            Name of the set.
        **other
            Further fields of :class:`MixtureSet`.

        Returns
        -------
        MixtureSet
        """
        O, charges = np.array(Omega, dtype=float), tuple(z)
        K = len(charges)
        names = tuple(names or ("Li", *(f"k{k + 1}" for k in range(K)), "S"))
        V = np.zeros(K) if V is None else np.array(V, dtype=float)
        constant_G = None if G is None else np.array(G, dtype=float)
        fields: dict[str, Any] = {
            "name": name,
            "cation": names[0],
            "components": names[1:-1],
            "solvent": names[-1],
            "z_plus": z_plus,
            "z": charges,
            "T": T,
            "Omega": everywhere(O),
            "G": ideal_G(charges, z_plus) if constant_G is None else everywhere(constant_G),
            "volume": linear_volume(V_0, V),
            "partial_volumes": everywhere(V),
            "r_range": np.tile([1e-6, 1e3], (K, 1)) if r_range is None else np.array(r_range),
        }
        return cls(**(fields | other))

    @classmethod
    def from_binary(cls, transport: TransportSet) -> MixtureSet:
        """One salt in one solvent as the special case that it is: the same kappa, D, t+0, chi and volumes.

        L_-- = nu_-^2 D c/(nu R T chi) and G_-- = nu chi/(nu_- r_-), so that RT L G = D c_0 (sections 2 and 5).

        Parameters
        ----------
        transport : TransportSet
            Any binary set with solvent motion.

        Returns
        -------
        MixtureSet
            Of one component, the anion; the range is the set's own.

        Raises
        ------
        InputError
            A set without solvent motion, which no exact balance has.
        """
        if transport.solvent_motion == "none":
            raise InputError(f'{transport.name}: solvent_motion = "none" has no place among n components; leave it out')
        binary, nu, nu_minus = transport.with_extrapolation("clamp"), transport.nu, transport.nu_minus
        low, high = (float(binary.r(c)) * nu_minus for c in binary.c_range)

        def c_of(r: Array) -> Array:
            return binary.c_of_r(r[..., 0] / nu_minus)

        def Omega(r: Array) -> Array:
            c = c_of(r)
            kappa, D, t_plus, drive = binary.kappa(c), binary.D(c), binary.t_plus(c), binary.one_minus_t_plus_chi(c)
            # a set that gives (1 - t+0) chi leaves chi open where t+0 = 1; any one then makes the same cell
            chi = np.where(t_plus == 1, 1.0, drive / np.where(t_plus == 1, 1.0, 1 - t_plus))
            L = nu_minus**2 * D * c / (nu * R * binary.T * chi)
            return onsager_of_components(
                kappa, ((1 - t_plus) / binary.z_minus)[..., None], L[..., None, None], (binary.z_plus, binary.z_minus)
            )

        def G(r: Array) -> Array:
            chi = binary.chi(c_of(r))
            return np.asarray(nu * np.where(np.isfinite(chi), chi, 1.0) / (nu_minus * np.asarray(r)[..., 0]))[
                ..., None, None
            ]

        return cls(
            name=transport.name,
            cation="cation",
            components=("anion",),
            solvent="solvent",
            z_plus=transport.z_plus,
            z=(transport.z_minus,),
            T=transport.T,
            Omega=Omega,
            G=G,
            volume=lambda r: 1 / binary.c_0(c_of(r)),
            partial_volumes=lambda r: (binary.V_e(c_of(r)) / nu_minus)[..., None],
            r_range=np.array([[low, high]]),
            extrapolate=transport.extrapolate,
            title=transport.title,
            status=transport.status,
            note=transport.note,
            text=transport.text,
            source=transport.source,
        )

    # ---- composition ----------------------------------------------------------------------------------------------

    @property
    def species(self) -> tuple[str, ...]:
        """All species: cation, components, reference solvent."""
        return (self.cation, *self.components, self.solvent)

    @property
    def charges(self) -> tuple[int, ...]:
        """Charge numbers of :attr:`species`."""
        return (self.z_plus, *self.z, 0)

    @property
    def neutral(self) -> tuple[int, ...]:
        """Places of the cosolvents among the components."""
        return tuple(k for k, q in enumerate(self.z) if not q)

    def r_plus(self, r: ArrayLike) -> Array:
        """Moles of the cation per mole of the reference, by electroneutrality, shape (...) of r (..., K) [1]."""
        return np.asarray(-(np.asarray(r, dtype=float) @ np.array(self.z, dtype=float)) / self.z_plus)

    def c_0(self, r: ArrayLike) -> Array:
        """Concentration of the reference solvent, shape (...) of r (..., K) [mol/m^3]."""
        return 1 / self.volume(np.asarray(r, dtype=float))

    def concentrations(self, r: ArrayLike) -> Array:
        """Of all :attr:`species`, shape (..., K + 2) of r (..., K) [mol/m^3]."""
        r = np.asarray(r, dtype=float)
        every = np.concatenate([self.r_plus(r)[..., None], r, np.ones((*r.shape[:-1], 1))], axis=-1)
        return np.asarray(every * self.c_0(r)[..., None])

    def r_of(
        self, *, r: Mapping[str, float] | None = None, c: Mapping[str, float] | None = None, where: str = "composition"
    ) -> Array:
        """A composition by name, in order and checked.

        Parameters
        ----------
        r, c : mapping
            One of the two: moles per mole of the reference [1], or concentrations [mol/m^3], of every component; the
            cation may be left out, since it follows.
        where : str
            Name used in messages.

        Returns
        -------
        ndarray, shape (K,)
            r [1].

        Raises
        ------
        InputError
            A species that is missing or unknown, an amount that is not positive, charges that do not balance, no room
            left for the reference, or a composition outside the range (unless it is clamped).
        """
        if (r is None) == (c is None):
            raise InputError(f"{where} needs exactly one of r and c")
        given = dict(r if r is not None else cast(Mapping[str, float], c))
        for name, value in given.items():
            if name == self.solvent:
                raise InputError(f"{where}: {name} is the reference solvent, whose amount follows; leave it out")
            if name not in (self.cation, *self.components):
                hint = did_you_mean(name, (self.cation, *self.components))
                raise InputError(f"{where}: {name} is not a component of {self.name}{hint}")
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{where}: {name} = {value!r} must be positive")
        missing = [name for name in self.components if name not in given]
        if missing:
            raise InputError(f"{where}: {', '.join(missing)} of {self.name} is missing; give every component an amount")
        amounts = np.array([given[name] for name in self.components])
        plus = float(self.r_plus(amounts))
        if not plus > 0 or (self.cation in given and abs(plus - given[self.cation]) > 1e-6 * plus):
            raise InputError(
                f"{where}: the charges do not balance: the anions less the other cations ask for {self.cation} = "
                f"{plus:.6g}"
                + (f", not {given[self.cation]:.6g}" if self.cation in given else ", which must be positive")
            )
        found = amounts if c is None else self._r_of_c(amounts, where)
        if self.extrapolate == "error":
            try:
                self.check(found, what=where)
            except RangeError as error:
                raise InputError(str(error)) from error
        return found

    def initial(self, c0: Mapping[str, float] | ArrayLike) -> Array:
        """A composition as :func:`cellsim.simulate` takes it: concentrations by name [mol/m^3], or r (K,) [1].

        Raises
        ------
        InputError
            As :meth:`r_of`, or an array of another length.
        """
        if isinstance(c0, Mapping):
            return self.r_of(c=c0, where="c0")
        r = np.atleast_1d(np.asarray(c0, dtype=float))
        if r.shape != (len(self.components),):
            raise InputError(f"c0: {self.name} needs r of {', '.join(self.components)}, got {r.size} numbers")
        return self.r_of(r=dict(zip(self.components, r.tolist(), strict=True)), where="c0")

    def _r_of_c(self, c: Array, where: str) -> Array:
        """r of concentrations: c_0 = 1/volume(c/c_0), by a root in one unknown."""
        from scipy.optimize import brentq

        def room(log_c_0: float) -> float:
            c_0 = np.exp(log_c_0)
            return float(np.log(self.volume(c / c_0) * c_0))

        # the volume of the solution per volume, volume(c/c_0) c_0, grows with c_0 from that of the components alone
        low, high = np.log(1e-6 * c.sum()), -np.log(float(self.volume(np.full(c.size, 1e-12))))
        if room(low) >= 0:
            raise InputError(f"{where}: the components alone fill the volume; no room is left for {self.solvent}")
        return np.asarray(c / np.exp(brentq(room, low, high + 1e-9, xtol=1e-14, rtol=1e-14)))

    def contains(self, r: ArrayLike) -> bool:
        """Whether all compositions r (..., K) lie in the range (to round-off)."""
        r = np.asarray(r, dtype=float)
        low, high = self.r_range.T
        return bool(np.all(r >= low * (1 - 1e-9)) and np.all(r <= high * (1 + 1e-9)))

    def check(self, r: ArrayLike, *, what: str = "r") -> None:
        """Raise :class:`RangeError` where r (..., K) [1] leaves the range."""
        rows = np.asarray(r, dtype=float).reshape(-1, len(self.components))
        for name, values, (low, high) in zip(self.components, rows.T, self.r_range, strict=True):
            bad = (values < low * (1 - 1e-9)) | (values > high * (1 + 1e-9))
            if np.any(bad):
                worst = float(values[int(np.argmax(np.maximum(low - values, values - high)))])
                raise RangeError(
                    f"{what}: r_{name} = {worst:.4g} lies outside {low:.4g}-{high:.4g} of {self.name}; choose another "
                    'set or extrapolate = "clamp"',
                    name,
                    worst,
                )

    def with_extrapolation(self, extrapolate: Literal["error", "clamp"]) -> MixtureSet:
        """The same set, ending a run outside its range or holding its values there."""
        return self if extrapolate == self.extrapolate else replace(self, extrapolate=extrapolate)

    # ---- properties -----------------------------------------------------------------------------------------------

    def at(self, r: ArrayLike) -> Coefficients:
        """All coefficients at compositions r, shape (..., K) [1]; outside the range those of its nearest end.

        Volumes are never held: the balance of volume has no range.
        """
        r = np.asarray(r, dtype=float)
        held = np.clip(r, *self._ends)
        kappa, tau, L = component_transport(self.Omega(held), self.charges[:-1])
        return Coefficients(kappa, tau, L, self.G(held), self.c_0(r), self.T)

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        return self.r_range[:, 0].copy(), self.r_range[:, 1].copy()

    @cached_property
    def samples(self) -> Array:
        """Compositions at which a set is checked: corners and middle of its range, and some inside it, (S, K) [1]."""
        low, high = np.log(self.r_range).T
        K = low.size
        inside = np.random.default_rng(0).random((SAMPLES, K))
        corners = np.array(np.meshgrid(*[[0.0, 1.0]] * min(K, 6), indexing="ij")).reshape(min(K, 6), -1).T
        corners = np.hstack([corners, np.full((corners.shape[0], K - corners.shape[1]), 0.5)])
        return np.exp(low + (high - low) * np.vstack([np.full(K, 0.5), corners, inside]))

    def verify(self) -> None:
        """Refuse what no electrolyte is.

        Raises
        ------
        InputError
            Omega or G that is not finite, symmetric and positive definite, or a volume that is not positive, somewhere
            in the range; the sentence says where.
        """
        r = self.samples
        r = r[self.r_plus(r) > 0]
        if not r.size:
            raise InputError(
                f"{self.name}: nowhere in its range do the charges leave a positive amount of {self.cation}"
            )
        with np.errstate(all="ignore"):
            matrices = {"Omega": (self.Omega(r), (self.cation, *self.components)), "G": (self.G(r), self.components)}
            volume = np.broadcast_to(self.volume(r), r.shape[:1])
        for name, (matrix, rows) in matrices.items():
            self._verify(name, matrix, rows, r)
        if not np.all(np.isfinite(volume) & (volume > 0)):
            k = int(np.argmin(np.where(np.isfinite(volume), volume, -np.inf)))
            raise InputError(
                f"{self.name}: the volume per mole of {self.solvent} must be positive at {self._words(r[k])}"
            )

    def _verify(self, name: str, matrix: Array, rows: Sequence[str], r: Array) -> None:
        if not np.all(np.isfinite(matrix)):
            k = int(np.argmax(~np.all(np.isfinite(matrix), axis=(1, 2))))
            raise InputError(f"{self.name}: {name} is not finite at {self._words(r[k])}; correct it or narrow [range]")
        diagonal = np.diagonal(matrix, axis1=1, axis2=2)
        size = np.sqrt(np.abs(diagonal[:, :, None] * diagonal[:, None, :])) + 1e-300
        skew = np.abs(matrix - np.swapaxes(matrix, 1, 2)) / size
        if skew.max() > SYMMETRY:
            k, a, b = (int(place) for place in np.unravel_index(int(np.argmax(skew)), skew.shape))
            raise InputError(
                f"{self.name}: {name} is not symmetric: at {self._words(r[k])} its entry {rows[a]}, {rows[b]} is "
                f"{matrix[k, a, b]:.6g} and its entry {rows[b]}, {rows[a]} is {matrix[k, b, a]:.6g}"
            )
        lowest = np.linalg.eigvalsh(matrix / size)[:, 0]
        if np.any(diagonal <= 0) or lowest.min() <= 1e-12:
            k = int(np.argmin(np.where(np.any(diagonal <= 0, axis=1), -np.inf, lowest)))
            reason = "the second law is broken" if name == "Omega" else "the mixture would separate into two"
            raise InputError(
                f"{self.name}: {name} is not positive definite at {self._words(r[k])}, so that {reason}; correct it or "
                "narrow [range]"
            )

    def _words(self, r: Array) -> str:
        return ", ".join(f"r_{name} = {value:.4g}" for name, value in zip(self.components, r, strict=True))


_TERM = re.compile(r"\s*(?:([\d.]+(?:[eE][-+]?\d+)?)(?:\s*\*\s*|\s+))?([^\W\d]\w*)\s*")
"""A species, and before it its weight, as in ``4 EC`` or ``0.4 * BOB``."""
_PLUS = re.compile(r"(?<![\d.][eE])\+")
"""A plus sign that is not one of an exponent."""


def species_sum(text: str, species: Sequence[str]) -> dict[str, float]:
    """The weights of a sum of species: ``"PF6"``, ``"4 EC + 8 EMC"``, ``"TFSI + 0.4 * BOB"``.

    Parameters
    ----------
    text : str
        One species or several, each with its weight before it where that is not 1.
    species : sequence of str
        Those that there are.

    Returns
    -------
    dict
        Species -> weight, positive [1].

    Raises
    ------
    InputError
        No such sum, a species that there is not, one that occurs twice, a weight that is not positive.

    Examples
    --------
    >>> species_sum("4 EC + 8*EMC", ("Li", "PF6", "EC", "EMC"))
    {'EC': 4.0, 'EMC': 8.0}
    """
    weights: dict[str, float] = {}
    for part in _PLUS.split(text):
        term = _TERM.fullmatch(part)
        name = "" if term is None else term.group(2)
        if name not in species:
            said = repr(name or part.strip())
            raise InputError(
                f"{said} is no species of this electrolyte; it has {', '.join(species)}, and sums with positive "
                f'weights such as "{species[-1]} + 0.5 {species[0]}"'
            )
        assert term is not None
        try:
            weight = float(term.group(1) or 1.0)
        except ValueError:
            weight = np.nan
        if not (weight > 0 and np.isfinite(weight)):
            raise InputError(f"{part.strip()!r}: the weight of a species must be a positive number")
        if name in weights:
            raise InputError(f"{text.strip()!r}: contains {name} twice; give each species one weight")
        weights[name] = weight
    return weights


def sum_name(weights: Mapping[str, float]) -> str:
    """A sum of species in words, as :func:`species_sum` reads it.

    Examples
    --------
    >>> sum_name({"PF6": 1.0, "EC": 0.125})
    'PF6 + 0.125 EC'
    """
    return " + ".join(name if weight == 1 else f"{float(weight)!r} {name}" for name, weight in weights.items())


def short_sum(text: str) -> str:
    """A sum of species with three digits of every weight, for figures and messages.

    Examples
    --------
    >>> short_sum("PF6 + 0.123456 EC")
    'PF6 + 0.123 EC'
    """
    terms = [term for part in _PLUS.split(text) if (term := _TERM.fullmatch(part))]
    return " + ".join(f"{float(term[1]):.3g} {term[2]}" if term[1] else term[2] for term in terms)


def everywhere(value: Array) -> Composition:
    """The same at every composition."""
    return lambda r: np.broadcast_to(value, (*np.shape(r)[:-1], *value.shape))


def ideal_G(z: Sequence[int], z_plus: int) -> Composition:
    """G of an ideal mixture; see :func:`.ideal_thermodynamic_matrix`."""
    return lambda r: ideal_thermodynamic_matrix(r, z, z_plus)


def linear_volume(V_0: float, V: Array) -> Composition:
    """Volume per mole of the reference at constant partial molar volumes `V_0` and `V` (K,) [m^3/mol]."""
    return lambda r: V_0 + np.asarray(r, dtype=float) @ V


Electrolyte = TransportSet | MixtureSet
"""A set of a binary salt or of n components."""
