"""Transport sets in TOML: reading, checking, binding to a temperature, and the shipped library.

The format stands in docs/schema.md, section 2; docs/sets.md says what each shipped set rests on. The optional
[covariance] block says how the numbers of a set vary together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from math import gcd
from pathlib import Path
from typing import Any, cast

import numpy as np
import tomli_w

from cellsim.base import Array, F, InputError, factor_to_si
from cellsim.electrolyte.properties import (
    DEFAULT_UNITS,
    PROPERTIES,
    SI_UNITS,
    PropertyBlock,
    PropertyKind,
    read_property,
)
from cellsim.electrolyte.set_covariance import ParameterCovariance, read_covariance
from cellsim.electrolyte.stated import (
    FromFraction,
    FromSlope,
    FromThermodynamic,
    tables_of,
    with_composition,
    with_names,
)
from cellsim.electrolyte.transport import CHI_BASES, STATUSES, T_PLUS_FRAMES, Basis, Frame, TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes, DensityVolumes, Volumes
from cellsim.files.schema import Table, did_you_mean, parse_toml, read_toml, with_values

T_DEFAULT = 298.15
"""Temperature of a set that is valid there and is loaded without one [K]."""
_T_ROUNDING = 1e-3
WIDEST_T_PLUS = 10.0
"""Transference numbers beyond this are another quantity, such as per cent [1]."""
DENSITIES = (200.0, 20e3)
"""Mass densities that a solution may have by its molar masses and volumes [kg/m^3]."""
_DENSITY = PropertyKind("density", "ρ", r"$\rho$", "kg/m^3", "kg m$^{-3}$")


@dataclass(frozen=True)
class SetFile:
    """A transport set as its file states it, not yet bound to a temperature.

    Parameters
    ----------
    name, title, status, note : str
        As in the file.
    file : Path
        Where it was read.
    text : str
        The file verbatim.
    salt : mapping
        ``formula``, ``M`` [kg/mol], ``z_plus``, ``z_minus``, ``nu_plus``, ``nu_minus``; ``M_plus`` [kg/mol] or None.
    solvent : mapping
        ``name``, ``M`` [kg/mol].
    volumes : ConstantVolumes or PropertyBlock
        Constant volumes, or the density [kg/m^3].
    range : tuple
        (variable, min, max), in SI.
    T_range : tuple of float
        Temperatures it is valid at [K].
    properties : mapping
        By name, see :data:`.PROPERTIES`.
    t_plus_frame, chi_basis : str
        As in the file.
    chi_is_product : bool
        Whether [chi] gives (1 - t+0) chi.
    source, uncertainty : mapping
        Per property and for the volumes.
    covariance : ParameterCovariance, optional
        Of the file's numbers.
    """

    name: str
    title: str
    status: str
    note: str
    file: Path
    text: str
    salt: Mapping[str, Any]
    solvent: Mapping[str, Any]
    volumes: ConstantVolumes | PropertyBlock
    range: tuple[str, float, float]
    T_range: tuple[float, float]
    properties: Mapping[str, PropertyBlock]
    t_plus_frame: Frame
    chi_basis: Basis
    chi_is_product: bool
    source: Mapping[str, str]
    uncertainty: Mapping[str, str]
    covariance: ParameterCovariance | None

    @property
    def T_default(self) -> float:
        """298.15 K, or the nearest temperature the set is valid at [K]."""
        return float(np.clip(T_DEFAULT, *self.T_range))

    def bind(self, T: float | None = None) -> TransportSet:
        """The set at temperature `T` [K].

        Parameters
        ----------
        T : float, optional
            Temperature [K]; default :attr:`T_default`.

        Returns
        -------
        TransportSet

        Raises
        ------
        InputError
            Outside the temperature range, or where a property is not finite, kappa, D or chi not positive, or a
            table or the density does not reach over the range.
        """
        T = self.T_default if T is None else float(T)
        low, high = self.T_range
        if not low - _T_ROUNDING <= T <= high + _T_ROUNDING:
            raise InputError(f"{self.file}: T = {T:.6g} K lies outside {self._temperatures()} of {self.name}")
        volumes = self._bind_volumes(T)
        t_plus = self.properties["t_plus"].bind(T)
        sources: dict[str, Any] = {f"{name}_source": block.bind(T, t_plus) for name, block in self.properties.items()}
        try:
            bound = TransportSet(
                name=self.name,
                z_plus=self.salt["z_plus"],
                z_minus=self.salt["z_minus"],
                nu_plus=self.salt["nu_plus"],
                nu_minus=self.salt["nu_minus"],
                M_e=self.salt["M"],
                M_0=self.solvent["M"],
                T=T,
                volumes=volumes,
                c_range=self._c_range(volumes),
                **sources,
                t_plus_frame=self.t_plus_frame,
                chi_basis=self.chi_basis,
                chi_is_product=self.chi_is_product,
                M_plus=self.salt["M_plus"],
                title=self.title,
                status=self.status,
                note=self.note,
                source=self.source,
                text=self.text,
                draws=None if self.covariance is None else self.covariance.draws,
            )
        except InputError as error:
            raise InputError(f"{self.file}: {error}") from error
        self._check(bound)
        return bound

    def _temperatures(self) -> str:
        low, high = self.T_range
        return f"{low:.6g} K, the only temperature" if high - low < _T_ROUNDING else f"{low:.6g}-{high:.6g} K"

    # ---- composition ----------------------------------------------------------------------------------------------

    def _bind_volumes(self, T: float) -> Volumes:
        if isinstance(self.volumes, ConstantVolumes):
            return self.volumes
        M_e, M_0 = self.salt["M"], self.solvent["M"]
        rho = self.volumes.bind(T)
        nothing = np.zeros
        variable, _, top = self.range
        reach = self.volumes.law.covers[1] if self.volumes.law.covers else np.inf
        uses = self.volumes.law.uses
        own = "c" if "c" in uses or not uses else min(uses - {"T"})
        try:
            if own == "c":

                def c_0(c: Array) -> Array:
                    return (rho(c, nothing(c.shape), nothing(c.shape)) - M_e * c) / M_0

                scale = {"c": 0.0, "m": M_0, "r": 1.0}[variable]
                end = top if variable == "c" else _root(lambda c: c - scale * top * c_0(c), 1e3, reach)
                c = np.linspace(0.0, end, 801)
                return DensityVolumes(c, c_0(c))
            to_r = M_0 if own == "m" else 1.0

            def solution(r: Array) -> tuple[Array, Array]:
                density = rho(nothing(r.shape), r / M_0, r)
                return density * r / (M_e * r + M_0), density / (M_e * r + M_0)

            if variable == "c":
                end = _root(lambda r: solution(r)[0] - top, 0.1, reach * to_r)
            else:
                end = top * (M_0 if variable == "m" else 1.0)
            return DensityVolumes(*solution(np.linspace(0.0, end, 801)))
        except InputError as error:
            raise InputError(f"{self.file}: {error}") from error

    def _c_range(self, volumes: Volumes) -> tuple[float, float]:
        variable, low, high = self.range
        if variable == "c":
            return low, high
        scale = self.solvent["M"] if variable == "m" else 1.0
        if isinstance(volumes, ConstantVolumes):
            return tuple(float(1 / (volumes.V_e + volumes.V_0 / (scale * x))) for x in (low, high))  # type: ignore[return-value]
        c_low = _root(lambda c: c - scale * low * volumes.c_0(c), volumes.c_saturation, volumes.c_saturation)
        return c_low, volumes.c_saturation

    # ---- checks ---------------------------------------------------------------------------------------------------

    def _check(self, bound: TransportSet) -> None:
        c = _looked_at(*bound.c_range)
        composition = {"c": c, "m": bound.m(c), "r": bound.r(c)}
        laws = {name: block.law for name, block in self.properties.items()}
        if isinstance(self.volumes, PropertyBlock):
            laws["volumes.density"] = self.volumes.law
        for name, law in ((key, table) for key, one in laws.items() for table in tables_of(one)):
            variable = law.variable
            span = composition[variable]
            for end, missing in (
                (0, span[0] < law.covers[0] * (1 - 1e-6)),
                (-1, span[-1] > law.covers[1] * (1 + 1e-6)),
            ):
                if missing:
                    factor = factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])
                    unit = f" {DEFAULT_UNITS[variable]}".rstrip()
                    remedy = "extend the table, narrow [range]" + (" or set below" if end == 0 else "")
                    raise InputError(
                        f"{self.file}: {name}.x {'begins' if end == 0 else 'ends'} at {variable} = "
                        f"{law.covers[end] / factor:.4g}{unit}, but [range] reaches "
                        f"{span[end] / factor:.4g}{unit}; {remedy}"
                    )
        with np.errstate(all="ignore"):
            values = {name: getattr(bound, name)(c) for name in PROPERTIES}
            if bound.chi_is_product:
                values["chi"] = np.where(np.isinf(values["chi"]), 1.0, values["chi"])
        for name, value in values.items():
            positive = PROPERTIES[name].positive
            bad = ~(np.isfinite(value) & (value > 0)) if positive else ~np.isfinite(value)
            if np.any(bad):
                k = int(np.argmax(bad))
                wanted = "positive and finite" if positive else "finite"
                raise InputError(
                    f"{self.file}: {name} = {value[k]:.4g} {PROPERTIES[name].unit} at c = {c[k] / 1e3:.4g} mol/L "
                    f"(r = {composition['r'][k]:.4g}), T = {bound.T:.6g} K must be {wanted}; "
                    f"correct the property or narrow [range]".replace("  ", " ")
                )
            if positive:
                self._check_dip(bound, name, c, value)
        wide = np.abs(values["t_plus"]) > WIDEST_T_PLUS
        if np.any(wide):
            k = int(np.argmax(wide))
            raise InputError(
                f"{self.file}: t_plus = {values['t_plus'][k]:.4g} at c = {c[k] / 1e3:.4g} mol/L lies outside "
                f"-{WIDEST_T_PLUS:g} to {WIDEST_T_PLUS:g}; it is a number such as 0.4, not a percentage"
            )
        density = c * bound.M_e + bound.c_0(c) * bound.M_0
        bad = (density < DENSITIES[0]) | (density > DENSITIES[1])
        if np.any(bad):
            k = int(np.argmax(bad))
            raise InputError(
                f"{self.file}: salt.M = {bound.M_e * 1e3:.4g} g/mol, solvent.M = {bound.M_0 * 1e3:.4g} g/mol and "
                f"[volumes] make a solution of {density[k]:.4g} kg/m^3 at c = {c[k] / 1e3:.4g} mol/L, outside "
                f"{DENSITIES[0]:g}-{DENSITIES[1]:g} kg/m^3; check their units"
            )

    def _check_dip(self, bound: TransportSet, name: str, c: Array, value: Array) -> None:
        """Refuse a property that touches zero between the points looked at: salt there does not move, or demixes."""
        k = int(np.argmin(value))
        # The points lie close: a dip to zero between two of them shows in both, and other sets need no search.
        if not 0 < k < c.size - 1 or value[k] > 0.05 * value.max() or (bound.chi_is_product and name == "chi"):
            return
        from scipy.optimize import minimize_scalar

        def at(x: float) -> float:
            return float(getattr(bound, name)(np.array([x]))[0])

        span = (float(c[k - 1]), float(c[k + 1]))
        lowest = minimize_scalar(at, bounds=span, method="bounded", options={"xatol": 1e-9 * span[1]})
        if lowest.fun < 1e-6 * value.max():
            raise InputError(
                f"{self.file}: {name} falls to zero at c = {lowest.x / 1e3:.4g} mol/L and must be positive; correct "
                "the property or narrow [range]"
            )


@lru_cache(maxsize=16)
def _looked_at(low: float, high: float) -> Array:
    """Concentrations at which a set is checked [mol/m^3]."""
    c = np.unique(np.clip(np.concatenate([np.geomspace(low, high, 301), np.linspace(low, high, 301)]), low, high))
    c.flags.writeable = False
    return c


def _root(function: Any, start: float, reach: float) -> float:
    """The root of an increasing function of a positive number, at most `reach`; negative at 0."""
    from scipy.optimize import brentq

    def value(x: float) -> float:
        return float(function(np.array([x]))[0])

    high = min(start, reach)
    while value(high) < 0:
        if high >= reach or high > 1e12:
            raise InputError("volumes.density does not reach to the end of [range]; extend it or narrow [range]")
        high = min(2 * high, reach)
    return float(brentq(value, 0.0, high, xtol=1e-12 * high, rtol=1e-14))


# ---- reading ------------------------------------------------------------------------------------------------------


def load_set(name_or_path: str | Path, T: float | None = None, *, folder: str | Path = ".") -> TransportSet:
    """A transport set, checked and bound to one temperature.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped set (:func:`list_sets`), or the path of a TOML file.
    T : float, optional
        Temperature [K]; default 298.15 K, or the nearest temperature the set is valid at.
    folder : str or Path
        What a relative path is relative to.

    Returns
    -------
    TransportSet

    Raises
    ------
    InputError
        With one sentence: file, key, value, what is allowed.

    Examples
    --------
    >>> peo = load_set("peo_litfsi_siegel2021")
    >>> f"{float(peo.kappa(peo.c_of(r=0.1))):.4f} S/m"
    '0.1326 S/m'
    """
    return read_set(name_or_path, folder=folder).bind(T)


def list_sets() -> tuple[str, ...]:
    """Names of the shipped sets, in alphabetical order."""
    library = resources.files("cellsim.electrolyte") / "library"
    return tuple(sorted(entry.name[:-5] for entry in library.iterdir() if entry.name.endswith(".toml")))


def read_set(
    name_or_path: str | Path, *, folder: str | Path = ".", changes: Mapping[str, Any] | None = None
) -> SetFile:
    """A transport set as its file states it; parameters as for :func:`load_set`.

    Parameters
    ----------
    name_or_path, folder
        As of :func:`load_set`.
    changes : mapping, optional
        Key of the file (``D.value``, ``kappa.y[0]``) -> value that takes the place of the file's; the name of a
        property alone makes it a constant. The set's name and note tell of it.

    Raises
    ------
    InputError
        Unknown name, missing file, or anything wrong inside.
    """
    text = str(name_or_path)
    names = list_sets()
    if isinstance(name_or_path, str) and text in names:
        entry = resources.files("cellsim.electrolyte") / "library" / f"{text}.toml"
        top = parse_toml(entry.read_text(encoding="utf-8"), f"{text}.toml")
        return _parse(changed_set(top, changes or {}), beside=not changes)
    path = Path(folder) / text
    if not path.is_file() and not text.endswith(".toml") and len(path.parts) <= len(Path(folder).parts) + 1:
        raise InputError(f'transport = "{text}" is neither a shipped set nor a file{did_you_mean(text, names)}')
    return _parse(changed_set(read_toml(path), changes or {}), beside=not changes)


def changed_set(top: Table, changes: Mapping[str, Any], mirror: Callable[[str], str | None] = lambda _: None) -> Table:
    """A set's file with some of its values changed; its name and note tell of it.

    Parameters
    ----------
    top : Table
        The file, of a binary salt or of n components.
    changes : mapping
        As of :func:`read_set`; the name of a property alone is for a binary salt.
    mirror : callable, optional
        Key -> the other key that states the same number, None where there is none.

    Returns
    -------
    Table
        The same where nothing changes.

    Raises
    ------
    InputError
        A key that the file has not.
    """
    if not changes:
        return top
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key in PROPERTIES and "species" not in top:
            # "gives" goes: whoever writes chi = 1.5 means chi, not (1 - t+0) chi, of which the set may hold a table
            own = set(PROPERTIES[key].extra) - {"gives"}
            kept = {k: v for k, v in top.table(key).data.items() if k in ("source", *own)}
            values[key] = {**kept, "value": value}
        elif re.split(r"[.\[]", key)[0] not in top.data:
            raise InputError(f"{top.file}: {key} is no key of this set{did_you_mean(key, top.data)}")
        else:
            values |= {place: value for place in (key, mirror(key)) if place is not None}
    told = ", ".join(f"{key} = {value}" for key, value in changes.items())
    note = f"{top.string('note', '')}; changed: {told}".removeprefix("; ")
    return with_values(top, values | {"name": f"{top.string('name')}, changed", "note": note})


def parse_set(text: str, path: str | Path = "<text>") -> SetFile:
    """The same for TOML text in memory, such as the copy a result keeps; `path` stands in messages.

    Draws in a file beside the set are not read: a copy has no neighbours.

    Raises
    ------
    InputError
        As :func:`read_set`.
    """
    return _parse(parse_toml(text, path))


COMPOSITION = ("salt", "solvent", "volumes", "range")
"""Blocks of a set's file that say what it is of, and not how it conducts."""


def constant_set(top: Table, constants: Mapping[str, float], *, note: str) -> SetFile:
    """A set of constants for the salt, solvent, volumes and range that another file states: where its fit begins.

    Parameters
    ----------
    top : Table
        A file with the blocks of :data:`COMPOSITION`.
    constants : mapping
        Of every property, in SI, t+0 and molal chi.
    note : str
        Of the set.

    Returns
    -------
    SetFile

    Raises
    ------
    InputError
        As :func:`read_set`.
    """
    salt, solvent = _read_salt(top.table("salt")), _read_solvent(top.table("solvent"))
    volumes, volume_source = _read_volumes(top.table("volumes"))
    span, T_range = _read_range(top.table("range"))
    blocks: dict[str, dict[str, Any]] = {
        name: {"value": f"{value!r} {unit}" if (unit := PROPERTIES[name].unit) else value, "source": "first guess"}
        for name, value in constants.items()
    }
    blocks["t_plus"]["frame"], blocks["chi"]["basis"] = "solvent", "molal"
    name = top.file.stem
    stated = {"name": name, "status": "model", "note": note} | {key: top.table(key).data for key in COMPOSITION}
    return SetFile(
        name=name,
        title=name,
        status="model",
        note=note,
        file=top.file,
        text=tomli_w.dumps(stated | blocks),
        salt=salt,
        solvent=solvent,
        volumes=volumes,
        range=span,
        T_range=T_range,
        properties={key: read_property(Table(blocks[key], Path(note), key), kind) for key, kind in PROPERTIES.items()},
        t_plus_frame="solvent",
        chi_basis="molal",
        chi_is_product=False,
        source={key: "first guess" for key in PROPERTIES} | {"volumes": volume_source},
        uncertainty={},
        covariance=None,
    )


def file_of(transport: TransportSet) -> SetFile:
    """The file that a bound set was read from, as it was: its text, and the draws that stood beside it.

    Parameters
    ----------
    transport : TransportSet
        The set.

    Returns
    -------
    SetFile
    """
    file = parse_set(transport.text, transport.name)
    if file.covariance is None or transport.draws is None:
        return file
    return replace(file, covariance=replace(file.covariance, draws=transport.draws))


def _parse(top: Table, *, beside: bool = False) -> SetFile:
    top.only("name", "title", "status", "note", "let", "salt", "solvent", "volumes", "range", *PROPERTIES, "covariance")
    top = with_names(top)
    name = top.string("name")
    status = top.choice("status", STATUSES)
    note = top.string("note") if status != "measured" else top.string("note", "")
    salt, solvent = _read_salt(top.table("salt")), _read_solvent(top.table("solvent"))
    volumes, volume_source = _read_volumes(top.table("volumes"))
    span, T_range = _read_range(top.table("range"))
    properties, frame, basis, chi_is_product = _read_properties(top, salt, solvent["M"])
    return SetFile(
        name=name,
        title=top.string("title", name),
        status=status,
        note=note,
        file=top.file,
        text=top.text,
        salt=salt,
        solvent=solvent,
        volumes=volumes,
        range=span,
        T_range=T_range,
        properties=properties,
        t_plus_frame=cast(Frame, frame),
        chi_basis=cast(Basis, basis),
        chi_is_product=chi_is_product,
        source={key: block.source for key, block in properties.items()} | {"volumes": volume_source},
        uncertainty={key: block.uncertainty for key, block in properties.items() if block.uncertainty},
        covariance=read_covariance(top, beside=beside),
    )


def _read_properties(
    top: Table, salt: Mapping[str, Any], M_0: float
) -> tuple[dict[str, PropertyBlock], str, str, bool]:
    """The properties, the frame of t+, the basis of chi, and whether chi is (1 - t+0) chi."""
    t_plus, chi = top.table("t_plus"), top.table("chi")
    gives = chi.choice("gives", ("chi", "(1-t_plus)*chi", "dU/dlnm"), "chi")
    fraction = t_plus.choice("gives", ("t_plus", "rho_plus"), "t_plus") == "rho_plus"
    kinds = dict(PROPERTIES) | ({"chi": replace(PROPERTIES["chi"], unit="V")} if gives == "dU/dlnm" else {})
    properties = {
        name: read_property(with_composition(top.table(name), salt["M"], M_0), kind) for name, kind in kinds.items()
    }
    frame = "solvent" if fraction and "frame" not in t_plus else t_plus.choice("frame", T_PLUS_FRAMES)
    if frame == "mass" and salt["M_plus"] is None:
        raise t_plus.error("frame", 'is "mass", which needs [salt] M_plus, the molar mass of the cation ("6.94 g/mol")')
    basis = "molal" if gives == "dU/dlnm" and "basis" not in chi else chi.choice("basis", CHI_BASES)
    nu, charge = salt["nu_plus"] + salt["nu_minus"], salt["z_plus"] * salt["nu_plus"] * F
    if gives == "dU/dlnm":
        if basis != "molal":
            raise chi.error("basis", 'must be "molal" where gives = "dU/dlnm", or be left out')
        properties["chi"] = replace(properties["chi"], law=FromSlope(properties["chi"].law, nu, charge))
    D = top.table("D")
    if D.choice("gives", ("D", "thermodynamic"), "D") != "D":
        own = properties["chi"].law
        if basis != "molal" or gives != "chi" or "t_plus" in own.uses:
            raise D.error("gives", 'is "thermodynamic", which needs chi itself, molal and without t_plus')
        properties["D"] = replace(properties["D"], law=FromThermodynamic(properties["D"].law, own, nu))
    if fraction:
        if frame != "solvent" or basis != "molal":
            raise InputError(
                f'{t_plus.where("gives")} = "rho_plus" needs chi on the molal basis, and gives t+0, of the solvent'
            )
        if "t_plus" in properties["chi"].law.uses:
            raise InputError(f"{chi.where()} must not use t_plus where t_plus follows from it")
        rho, kappa, measured, own = (properties[name].law for name in ("t_plus", "kappa", "D", "chi"))
        derived = FromFraction(rho, kappa, measured, own, gives != "chi", nu, charge)
        properties["t_plus"] = replace(properties["t_plus"], law=derived)
    return properties, frame, basis, gives != "chi"


def _read_salt(salt: Table) -> dict[str, Any]:
    salt.only("formula", "M", "M_plus", "z_plus", "z_minus", "nu_plus", "nu_minus")
    z_plus, z_minus = salt.integer("z_plus", 1), salt.integer("z_minus", -1)
    if z_plus <= 0:
        raise salt.error("z_plus", "must be a positive charge number")
    if z_minus >= 0:
        raise salt.error("z_minus", "must be a negative charge number")
    divisor = gcd(z_plus, -z_minus)
    nu_plus = salt.integer("nu_plus", -z_minus // divisor, least=1)
    nu_minus = salt.integer("nu_minus", z_plus // divisor, least=1)
    charge = z_plus * nu_plus + z_minus * nu_minus
    if charge:
        raise InputError(
            f"{salt.where()}: z_plus nu_plus + z_minus nu_minus = {charge}, but a salt is neutral; "
            f"leave nu_plus and nu_minus out to have them follow from the charges"
        )
    M, M_plus = salt.quantity("M", "kg/mol", above=0), salt.quantity("M_plus", "kg/mol", None, above=0)
    if M_plus is not None and nu_plus * M_plus >= M:
        raise salt.error("M_plus", "is the molar mass of the cation, and must be below salt.M")
    return {
        "formula": salt.string("formula"),
        "M": M,
        "M_plus": M_plus,
        "z_plus": z_plus,
        "z_minus": z_minus,
        "nu_plus": nu_plus,
        "nu_minus": nu_minus,
    }


def _read_solvent(solvent: Table) -> dict[str, Any]:
    solvent.only("name", "M")
    return {"name": solvent.string("name"), "M": solvent.quantity("M", "kg/mol", above=0)}


def _read_volumes(table: Table) -> tuple[ConstantVolumes | PropertyBlock, str]:
    table.only("V_e", "V_0", "density", "source")
    source = table.string("source")
    if table.exactly_one("V_0", "density") == "V_0":
        V_e = table.quantity("V_e", "m^3/mol", 0.0, least=0)
        return ConstantVolumes(V_e, table.quantity("V_0", "m^3/mol", above=0)), source
    if "V_e" in table:
        raise table.error("V_e", "does not go with density, from which V_e follows")
    density = table.table("density")
    block = read_property(Table({"source": source, **density.data}, density.file, density.name), _DENSITY)
    if len(block.law.uses - {"T"}) > 1:
        raise InputError(f"{density.where()} must depend on one of c, m and r only")
    return block, source


def _read_range(table: Table) -> tuple[tuple[str, float, float], tuple[float, float]]:
    table.only("variable", "min", "max", "T_min", "T_max")
    variable = table.choice("variable", ("c", "m", "r"))

    def end(key: str) -> float:
        value = table.data.get(key)
        if isinstance(value, str) or key not in table or variable == "r":
            return table.quantity(key, SI_UNITS[variable], above=0)
        return table.number(key, above=0) * factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])

    low, high = end("min"), end("max")
    if low >= high:
        raise table.error("max", "must be above range.min")
    T_low = table.quantity("T_min", "K", 1.0, above=0)
    T_high = table.quantity("T_max", "K", 1e4, above=0)
    if T_low > T_high:
        raise table.error("T_max", "must not be below range.T_min")
    return (variable, low, high), (T_low, T_high)
