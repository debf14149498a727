"""The file of a set of n components: TOML that lists species and gives matrices between them (docs/mixtures.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from cellsim.base import Array, InputError, factor_to_si
from cellsim.electrolyte.expression import parse_expression
from cellsim.electrolyte.mixture_set import Composition, MixtureSet, everywhere, ideal_G, linear_volume
from cellsim.electrolyte.properties import Constant, Curve, Formula, Law
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix, onsager_of_components, onsager_of_stefan_maxwell
from cellsim.electrolyte.set_covariance import read_covariance
from cellsim.electrolyte.set_file import T_DEFAULT, changed_set, read_set
from cellsim.electrolyte.transport import STATUSES, TransportSet
from cellsim.files.schema import Table, did_you_mean, read_toml

_FORMS = ("Omega", "stefan_maxwell", "components")
_BLOCKS = ("G", "constants", "covariance")


def load_electrolyte(
    name_or_path: str | Path,
    T: float | None = None,
    *,
    folder: str | Path = ".",
    changes: Mapping[str, Any] | None = None,
) -> TransportSet | MixtureSet:
    """A transport set of a binary salt or of n components, whichever the file states.

    Parameters
    ----------
    name_or_path, T, folder
        As for :func:`.load_set`.
    changes : mapping, optional
        As for :func:`.read_set`. A number beside the diagonal of a symmetric matrix is changed in both its places.

    Raises
    ------
    InputError
        With one sentence: file, key, value, what is allowed.
    """
    path = Path(folder) / str(name_or_path)
    if path.is_file() and path.suffix == ".toml":
        top = read_toml(path)
        if is_mixture(top):
            return parse_mixture(changed_set(top, changes or {}, mirror_of), T, beside=not changes)
    return read_set(name_or_path, folder=folder, changes=changes).bind(T)


SYMMETRIC = re.compile(r"(Omega\.matrix|components\.L|G\.matrix)\[(\d+)\]\[(\d+)\]")
"""A number of a matrix that is symmetric: its name, row and column."""


def mirror_of(path: str) -> str | None:
    """The other place of a number beside the diagonal of a symmetric matrix; None of any other number.

    Examples
    --------
    >>> mirror_of("Omega.matrix[0][1]")
    'Omega.matrix[1][0]'
    """
    match = SYMMETRIC.fullmatch(path)
    if match is None or match[2] == match[3]:
        return None
    return f"{match[1]}[{match[3]}][{match[2]}]"


def is_mixture(top: Table) -> bool:
    """Whether a TOML file states a set of n components: it lists species."""
    return "species" in top


def parse_mixture(top: Table, T: float | None = None, *, beside: bool = False) -> MixtureSet:
    """A set of n components from its file, checked and bound to one temperature.

    Parameters
    ----------
    top : Table
        The whole file (docs/mixtures.md).
    T : float, optional
        Temperature [K]; default 298.15 K, or the nearest temperature the set is valid at.
    beside : bool
        Whether the draws that its [covariance] names are read from their file.

    Returns
    -------
    MixtureSet

    Raises
    ------
    InputError
        With one sentence: file, key, value, what is allowed.
    """
    top.only("name", "title", "status", "note", "cation", "solvent", "species", "range", *_FORMS, *_BLOCKS)
    name, status = top.string("name"), top.choice("status", STATUSES)
    species = _read_species(top)
    cation, solvent = top.choice("cation", list(species)), top.choice("solvent", list(species))
    if species[cation].z <= 0:
        raise top.error(
            "cation", f"has charge {species[cation].z}; the species that crosses the interfaces is a cation"
        )
    if species[solvent].z != 0:
        raise top.error("solvent", f"has charge {species[solvent].z}; the reference solvent is neutral")
    components = tuple(each for each in species if each not in (cation, solvent))
    if not any(species[each].z < 0 for each in components):
        raise InputError(f"{top.where('species')} has no anion; the charges cannot balance")
    span, T_range = _read_range(top.table("range"), components)
    T = float(np.clip(T_DEFAULT, *T_range)) if T is None else float(T)
    if not T_range[0] - 1e-3 <= T <= T_range[1] + 1e-3:
        raise InputError(f"{top.file}: T = {T:.6g} K lies outside {T_range[0]:.6g}-{T_range[1]:.6g} K of {name}")
    z, z_plus = tuple(species[each].z for each in components), species[cation].z
    V, V_0 = np.array([species[each].V for each in components]), species[solvent].V
    volume = linear_volume(V_0, V)
    entries = _Entries(top, components, cation, z, z_plus, T, volume)
    source = {each: s.source for each, s in species.items() if s.source}
    form = top.exactly_one(*_FORMS)
    table = top.table(form)
    if form == "Omega":
        order = [each for each in species if each != solvent]
        Omega = entries.matrix(table, order, (cation, *components), "mol^2/(J m s)")
    elif form == "components":
        Omega = entries.by_components(table)
    else:
        Omega = entries.stefan_maxwell(table, list(species), (cation, *components, solvent))
    source[table.name] = table.string("source")
    thermodynamics = top.table("G")
    G = entries.thermodynamics(thermodynamics, components, z, z_plus)
    source["G"] = thermodynamics.string("source")
    with top.located():
        found = MixtureSet(
            name=name,
            cation=cation,
            solvent=solvent,
            components=components,
            z_plus=z_plus,
            z=z,
            T=T,
            Omega=Omega,
            G=G,
            volume=volume,
            partial_volumes=everywhere(V),
            r_range=span,
            title=top.string("title", name),
            status=status,
            note=top.string("note") if status != "measured" else top.string("note", ""),
            text=top.text,
            source=source,
            covariance=read_covariance(top, beside=beside),
        )
        found.verify()
    return found


@dataclass(frozen=True)
class _Species:
    z: int
    V: float
    source: str


def _read_species(top: Table) -> dict[str, _Species]:
    species: dict[str, _Species] = {}
    for table in top.tables("species"):
        table.only("name", "z", "V", "source")
        name, z = table.string("name"), table.integer("z", 0)
        if not name.isidentifier():
            raise table.error("name", "must be letters, digits and underscores, since expressions name it r_NAME")
        if name in species:
            raise table.error("name", "is there twice")
        cation = name == top.data.get("cation")
        if cation and table.data.get("V", "0 m^3/mol") not in ("0 m^3/mol", "0 cm^3/mol"):
            remedy = "only volumes of whole salts are measurable, and the anion carries them"
            raise table.error("V", f"must be left out for the cation: {remedy}")
        V = 0.0 if cation else table.quantity("V", "m^3/mol", above=0)
        species[name] = _Species(z, V, table.string("source", ""))
    if len(species) < 3:
        raise InputError(f"{top.where('species')} must list a cation, an anion and a solvent at least")
    return species


def _read_range(table: Table, components: Sequence[str]) -> tuple[Array, tuple[float, float]]:
    table.only("r", "T_min", "T_max")
    spans = table.table("r")
    spans.only(*components, chosen=True)
    rows = []
    for each in components:
        pair = spans.array(each)
        if len(pair) != 2 or not 0 < pair[0] < pair[1]:
            raise spans.error(each, "must be two positive numbers, the lower end first")
        rows.append(pair)
    T_range = table.quantity("T_min", "K", 1.0, above=0), table.quantity("T_max", "K", 1e4, above=0)
    if T_range[0] > T_range[1]:
        raise table.error("T_max", "must not be below range.T_min")
    return np.array(rows), T_range


@dataclass(frozen=True)
class _Entries:
    """Reads the entries of matrices: numbers, expressions in r_NAME, c_0 and T, tables of one r_NAME."""

    top: Table
    components: tuple[str, ...]
    cation: str
    z: tuple[int, ...]
    z_plus: int
    T: float
    volume: Composition

    def entry(self, value: Any, table: Table, where: str, factor: float) -> Law:
        """One entry as a law that gives SI values."""
        names = [f"r_{name}" for name in (self.cation, *self.components)]
        if isinstance(value, bool) or not isinstance(value, int | float | str | dict):
            raise InputError(f"{table.file}: {where} must be a number, an expression in quotes or a table")
        if isinstance(value, str):
            constants = self.top.table("constants", {})
            numbers = {key: constants.number(key) for key in constants}
            with table.located():
                expression = parse_expression(value, (*names, "c_0", "T"), numbers, field=where)
            return Formula(expression, factor, dict.fromkeys((*names, "c_0", "T"), 1.0))
        if isinstance(value, dict):
            curve = Table(value, table.file, where)
            curve.only("variable", "x", "y", "log", "below")
            x, y = np.array(curve.array("x")), np.array(curve.array("y"))
            if x.size != y.size or x.size < 2 or np.any(np.diff(x) <= 0):
                raise InputError(f"{curve.where('x')} must increase, and have as many values as y")
            below = cast(Any, curve.choice("below", ("proportional", "constant"), "constant"))
            return Curve(curve.choice("variable", names), x, y, factor, curve.boolean("log", False), below)
        if not np.isfinite(value):
            raise InputError(f"{table.file}: {where} must be finite")
        return Constant(float(value) * factor)

    def values(self, r: Array) -> dict[str, Array]:
        """What laws are called with."""
        named = {f"r_{name}": r[..., k] for k, name in enumerate(self.components)}
        named |= {f"r_{self.cation}": self.r_plus(r), "c_0": 1 / self.volume(r), "T": np.full(r.shape[:-1], self.T)}
        return named | {"c": r[..., 0]}

    def r_plus(self, r: Array) -> Array:
        """As :meth:`MixtureSet.r_plus`."""
        return np.asarray(-(r @ np.array(self.z, dtype=float)) / self.z_plus)

    def _table_of_laws(self, table: Table, order: Sequence[str], factor: float) -> list[list[Law]]:
        rows, n = table.data.get("matrix"), len(order)
        wanted = f"{n} rows of {n} entries, for {', '.join(order)} in this order"
        if not isinstance(rows, list) or len(rows) != n:
            number = len(rows) if isinstance(rows, list) else "none"
            raise InputError(f"{table.where('matrix')} must have {wanted}; it has {number}")
        for name, row in zip(order, rows, strict=True):
            if not isinstance(row, list) or len(row) != n:
                raise InputError(
                    f"{table.where('matrix')}: the row of {name} is not {n} entries; there must be {wanted}"
                )
        return [
            [self.entry(rows[a][b], table, f"{table.name}.matrix[{a}][{b}]", factor) for b in range(n)]
            for a in range(n)
        ]

    def matrix(self, table: Table, order: Sequence[str], wanted: Sequence[str], unit: str) -> Composition:
        """A matrix stated for the species in `order` as a function of r, its rows those of `wanted`."""
        table.only("matrix", "unit", "source")
        laws = self._table_of_laws(table, order, self._factor(table, unit))
        places = [list(order).index(name) for name in wanted]
        return self._function([[laws[a][b] for b in places] for a in places])

    def _factor(self, table: Table, unit: str) -> float:
        with table.located():
            return factor_to_si(table.string("unit"), unit, field=f"{table.name}.unit")

    def _function(self, laws: Sequence[Sequence[Law]]) -> Composition:
        n = len(laws)
        fixed = np.array([[law.value if isinstance(law, Constant) else 0.0 for law in row] for row in laws])
        moving = [(a, b, laws[a][b]) for a in range(n) for b in range(n) if not isinstance(laws[a][b], Constant)]

        def evaluate(r: Array) -> Array:
            r = np.asarray(r, dtype=float)
            found = np.empty((*r.shape[:-1], n, n))
            found[...] = fixed
            values = self.values(r) if moving else {}
            for a, b, law in moving:
                found[..., a, b] = law(values)
            return found

        return evaluate

    def by_components(self, table: Table) -> Composition:
        """Omega from what experiments give: the conductivity, the moles carried per faraday, and L."""
        table.only("kappa", "kappa_unit", "tau", "L", "L_unit", "source")
        with table.located():
            per = [
                factor_to_si(table.string(key), unit, field=f"{table.name}.{key}")
                for key, unit in (("kappa_unit", "S/m"), ("L_unit", "mol^2/(J m s)"))
            ]
        if "kappa" not in table:
            raise InputError(f"{table.where('kappa')} is missing; write a number, an expression or a table")
        kappa = self.entry(table.data["kappa"], table, f"{table.name}.kappa", per[0])
        given = table.table("tau")
        given.only(*self.components, chosen=True)
        missing = [name for name in self.components if name not in given]
        if missing:
            raise InputError(f"{given.where()} lacks {', '.join(missing)}; every component needs a row")
        tau = [self.entry(given.data[name], given, f"{given.name}.{name}", 1.0) for name in self.components]
        rows = Table({"matrix": table.data.get("L")}, table.file, table.name)
        L = self._function(self._table_of_laws(rows, self.components, per[1]))
        charges = (self.z_plus, *self.z)

        def Omega(r: Array) -> Array:
            r = np.asarray(r, dtype=float)
            values = self.values(r)
            carried = np.stack([law(values) for law in tau], axis=-1)
            return onsager_of_components(kappa(values), carried, L(r), charges)

        return Omega

    def stefan_maxwell(self, table: Table, listed: Sequence[str], order: Sequence[str]) -> Composition:
        """Omega from a coefficient of every pair of species; `order` has the cation first, the solvent last."""
        table.only("pairs", "unit", "source")
        factor, n = self._factor(table, "m^2/s"), len(order)
        laws: dict[tuple[int, int], Law] = {}
        rows = table.data.get("pairs")
        if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
            raise InputError(f'{table.where("pairs")} must be a list such as [["Li", "EC", 1e-10], ...]')
        for k, (a, b, value) in enumerate(rows):
            where = f"{table.name}.pairs[{k}]"
            for name in (a, b):
                if name not in listed:
                    raise InputError(f"{table.file}: {where}: {name!r} is no species{did_you_mean(str(name), listed)}")
            pair = cast(tuple[int, int], tuple(sorted((order.index(a), order.index(b)))))
            if pair in laws or pair[0] == pair[1]:
                raise InputError(f"{table.file}: {where}: {a}, {b} is not a pair of two species, or is listed twice")
            laws[pair] = self.entry(value, table, where, factor)
        missing = [f"{order[a]}-{order[b]}" for a in range(n) for b in range(a + 1, n) if (a, b) not in laws]
        if missing:
            raise InputError(f"{table.where('pairs')} lacks {', '.join(missing)}; every pair of species needs a row")
        nothing = Constant(1.0)
        D = self._function(
            [[laws.get(cast(tuple[int, int], tuple(sorted((a, b)))), nothing) for b in range(n)] for a in range(n)]
        )

        def Omega(r: Array) -> Array:
            r = np.asarray(r, dtype=float)
            c_0 = 1 / self.volume(r)
            c = c_0[..., None] * np.concatenate([self.r_plus(r)[..., None], r], axis=-1)
            return onsager_of_stefan_maxwell(D(r), c, c_0, self.T)

        return Omega

    def thermodynamics(self, table: Table, components: Sequence[str], z: Sequence[int], z_plus: int) -> Composition:
        """G: a matrix, the ideal mixture's, or the ideal mixture's with the matrix added to it."""
        table.only("ideal", "matrix", "source")
        ideal = table.boolean("ideal", False)
        if "matrix" not in table:
            if not ideal:
                raise InputError(
                    f"{table.where()} needs ideal = true, or a matrix, or both: an excess over the ideal one"
                )
            return ideal_G(z, z_plus)
        given = self._function(self._table_of_laws(table, components, 1.0))
        if not ideal:
            return given
        return lambda r: ideal_thermodynamic_matrix(r, z, z_plus) + given(r)
