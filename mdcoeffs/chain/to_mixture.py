"""Onsager matrices of all species and matrices G to a set of n components that cellsim reads (docs/mixtures.md).

Omega in the frame of the reference solvent and the excess of G over that of an ideal mixture are written as named
constants, one per entry of the triangles, so that the file's covariance and draws reach all of them. Between several
compositions along one r both are linear, which keeps what is positive definite at the ends so in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tomli_w

from cellsim.base import Array, InputError
from cellsim.electrolyte.mixture import SpeciesMatrix
from cellsim.electrolyte.mixture_file import parse_mixture
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix
from cellsim.files.schema import Table, parse_toml
from mdcoeffs.activity.mixture import ThermodynamicMatrix, read_thermodynamics
from mdcoeffs.activity.waves import triangle
from mdcoeffs.chain.made_set import DRAWS, FILLED, SOURCE_OF_DRAWS, WIDTH, MadeSet, rounded
from mdcoeffs.onsager.mixture import FRAMEWORK, read_species_matrix

KEYS = ("title", "note", "onsager", "thermodynamics", "G", "cation", "solvent", "volumes", "variable", "range")
SAME = 1e-3
"""How far r of an Onsager matrix may be from that of G, relative: both count the same box."""


def is_mixture_recipe(top: Table) -> bool:
    """Whether a SET.toml makes a set of n components: it names results of G, or states G."""
    return "thermodynamics" in top or "G" in top


@dataclass(frozen=True, eq=False)
class _State:
    """One composition: the cation first, then the components in the order of the set."""

    r: Array
    Omega: Array
    samples: Array | None
    excess: Array | None
    spread: Array | None
    draws: Array | None


def mixture_from_recipe(top: Table, *, name: str) -> MadeSet:
    """Make a set of n components from a recipe.

    Parameters
    ----------
    top : Table
        ``onsager`` and ``thermodynamics``, lists of result folders of the same compositions, or [G] in place of the
        latter; ``solvent``, ``cation``, ``variable``; [volumes], [range].
    name : str
        Name of the set; the stem of its file.

    Returns
    -------
    MadeSet

    Raises
    ------
    InputError
        A recipe that is not complete, results that do not belong together, a set that cellsim would not read.
    """
    top.only(*KEYS)
    folders = top.strings("onsager")
    matrices = [read_species_matrix(top.file.parent / folder) for folder in folders]
    if not matrices:
        raise top.error("onsager", "is empty; name the result of at least one composition")
    results: list[ThermodynamicMatrix] = []
    if top.exactly_one("thermodynamics", "G") == "thermodynamics":
        names = top.strings("thermodynamics")
        results = [read_thermodynamics(top.file.parent / folder) for folder in names]
        if len(results) != len(matrices):
            raise top.error("thermodynamics", f"names {len(results)} results for {len(matrices)} of onsager")
    first = matrices[0]
    cation, solvent = _roles(top, first)
    components = tuple(each for each in first.names if each not in (cation, solvent))
    for m in matrices:
        if m.names != first.names or m.z != first.z or abs(m.T - first.T) > 0.5:
            raise top.error("onsager", "names results of other species or temperatures; a set is of one mixture")
    for G in results:
        _check_same(top, G, cation, solvent, first)
    pairs: Sequence[ThermodynamicMatrix | None] = results or [None] * len(matrices)
    states = [_state(m, G, cation, solvent, components) for m, G in zip(matrices, pairs, strict=True)]
    variable, states = _ordered(top, states, components)
    volumes, told = _volumes(top, results, (*components, solvent))
    _check_box(top, first, volumes)
    document = _document(top, name, first, cation, solvent, volumes, states, variable, folders)
    numbers, covariance, draws = _joint(states, (cation, *components), components)
    if draws is not None and covariance is not None:
        carried = "Omega and G" if results else "Omega alone; G is taken as exact"
        source = f"{SOURCE_OF_DRAWS} and fluctuations: {carried}"
        rows = [rounded(row) for row in covariance]
        document["covariance"] = {"parameters": list(numbers), "matrix": rows, "source": source}
        document["covariance"]["draws"] = f"{name}{DRAWS}"
    text = tomli_w.dumps(document)
    parse_mixture(parse_toml(text, f"{name}.toml"), first.T)
    notes = [told, *_told(states, variable, components)]
    if draws is None:
        notes.append("the matrices have no samples, so the set has no [covariance]")
    return MadeSet(text, tuple(notes), tuple(numbers) if draws is not None else (), draws)


def _roles(top: Table, m: SpeciesMatrix) -> tuple[str, str]:
    """The cation that crosses the interfaces and the reference solvent."""
    if FRAMEWORK in m.names:
        raise top.error("onsager", "names the result of a framework; a set of n components needs a neutral solvent")
    cations = [name for name, z in zip(m.names, m.z, strict=True) if z > 0]
    neutral = [name for name, z in zip(m.names, m.z, strict=True) if z == 0]
    if not neutral:
        raise top.error("onsager", f"names a result without a neutral species ({', '.join(m.names)}); none is solvent")
    if "cation" not in top and len(cations) > 1:
        raise top.error("cation", f"must name the cation that crosses the interfaces, one of {', '.join(cations)}")
    return top.choice("cation", cations, cations[0]), top.choice("solvent", neutral)


def _check_same(top: Table, G: ThermodynamicMatrix, cation: str, solvent: str, m: SpeciesMatrix) -> None:
    if {G.cation, G.solvent, *G.components} != set(m.names) or abs(G.T - m.T) > 0.5:
        raise top.error("thermodynamics", "names a result of other species or another temperature than onsager")
    if (G.cation, G.solvent) != (cation, solvent):
        raise top.error(
            "thermodynamics",
            f"names a G counted by cation {G.cation} and solvent {G.solvent}, but this set is counted by {cation} and "
            f"{solvent}; name the same in [activity] of its SPECIES.toml and here",
        )


def _state(
    m: SpeciesMatrix, G: ThermodynamicMatrix | None, cation: str, solvent: str, components: Sequence[str]
) -> _State:
    moved = m.to_frame(solvent)
    rows = [m.names.index(each) for each in (cation, *components)]
    c = np.array(m.c)
    r = c[rows[1:]] / c[m.names.index(solvent)]
    Omega = moved.Omega[np.ix_(rows, rows)]
    samples = None if moved.samples is None else moved.samples[:, rows][:, :, rows]
    if G is None:
        return _State(r, Omega, samples, None, None, None)
    places = [G.components.index(each) for each in components]
    if np.any(np.abs(G.r[places] / r - 1) > SAME):
        raise InputError(
            f"thermodynamics: r of {', '.join(components)} is {_list(G.r[places])}, but {_list(r)} in the Onsager "
            f"matrix of the same place; name results of the same boxes in the same order, molecules counted alike"
        )
    ideal = ideal_thermodynamic_matrix(r, [m.z[k] for k in rows[1:]], m.z[rows[0]])
    spread, draws = None, None
    if samples is not None:
        drawn = G.draws(len(samples), seed=len(samples))[:, places][:, :, places]
        draws, spread = drawn - ideal, np.cov(triangle(drawn).T).reshape(2 * (triangle(ideal).size,))
    return _State(r, Omega, samples, G.G[np.ix_(places, places)] - ideal, spread, draws)


def _list(values: Array) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _ordered(top: Table, states: Sequence[_State], components: Sequence[str]) -> tuple[str, list[_State]]:
    """The r along which the compositions lie, and they in its order."""
    if len(states) == 1:
        if "variable" in top:
            raise top.error("variable", "is for several compositions; one makes a constant set")
        return "", list(states)
    variable = top.choice("variable", components)
    place = list(components).index(variable)
    ordered = sorted(states, key=lambda state: float(state.r[place]))
    x = np.array([state.r[place] for state in ordered])
    if np.any(np.diff(x) <= 1e-6 * x[:-1]):
        raise top.error("variable", f"= {variable!r} is the same in two compositions ({_list(x)})")
    return variable, ordered


def _volumes(top: Table, results: Sequence[ThermodynamicMatrix], names: Sequence[str]) -> tuple[dict[str, float], str]:
    """Partial molar volumes of the components and of the solvent [m^3/mol], and what to say of them."""
    table = top.table("volumes")
    if "from" not in table:
        table.only(*names, "source", chosen=True)
        return {name: table.quantity(name, "m^3/mol", above=0) for name in names}, "volumes as given"
    table.only("from", "source")
    table.choice("from", ("fluctuations",))
    if not results:
        raise table.error("from", '= "fluctuations" needs results of mdcoeffs activity; give the volumes')
    found = {name: float(np.mean([G.volumes[name] for G in results])) for name in names}
    for name, V in found.items():
        if not V > 0:
            raise table.error("from", f'= "fluctuations" gives {1e6 * V:.4g} cm^3/mol for {name}; give the volumes')
    told = ", ".join(f"{name} {1e6 * V:.4g}" for name, V in found.items())
    return found, f"volumes from fluctuations: {told} cm^3/mol"


def _check_box(top: Table, m: SpeciesMatrix, volumes: Mapping[str, float]) -> None:
    filled = sum(c * volumes.get(name, 0.0) for name, c in zip(m.names, m.c, strict=True))
    if abs(filled - 1) > FILLED:
        raise InputError(
            f"{top.table('volumes').where()}: these volumes fill {filled:.3f} of the box simulated, allowed is "
            f'{1 - FILLED:g}-{1 + FILLED:g}; take them from the simulation, from = "fluctuations"'
        )


# ---- the tables of the set ------------------------------------------------------------------------------------------


def _document(
    top: Table,
    name: str,
    m: SpeciesMatrix,
    cation: str,
    solvent: str,
    volumes: Mapping[str, float],
    states: Sequence[_State],
    variable: str,
    folders: Sequence[str],
) -> dict[str, Any]:
    order = tuple(each for each in m.names if each not in (cation, solvent))
    z = dict(zip(m.names, m.z, strict=True))
    for each, charge in z.items():
        if charge != round(charge):
            raise InputError(f"species {each}: charge {charge:g} is not whole; a transport set needs whole charges")
    volume_source = top.table("volumes").string("source", "fluctuations of composition")
    species = [
        {"name": each, "z": round(z[each])}
        | ({"V": f"{volumes[each] * 1e6:.10g} cm^3/mol", "source": volume_source} if each != cation else {})
        for each in (cation, *order, solvent)
    ]
    T, origin = f"{m.T:.10g} K", f"mdcoeffs, from {', '.join(folders)}"
    constants, omega = _entries("O", (cation, *order), [state.Omega for state in states], states, variable, order)
    document: dict[str, Any] = {
        "name": name,
        "title": top.string("title", name),
        "status": "simulated",
        "note": top.string("note", "transport coefficients and thermodynamics from molecular dynamics"),
        "cation": cation,
        "solvent": solvent,
        "species": species,
        "range": {"r": _range(top, states, order, variable), "T_min": T, "T_max": T},
        "Omega": {"matrix": omega, "unit": "mol^2/(J m s)", "source": origin},
    }
    if "G" in top:
        document["G"] = dict(top.table("G").data)
        document["constants"] = constants
        return document
    excess = [state.excess for state in states if state.excess is not None]
    more, matrix = _entries("E", order, excess, states, variable, order)
    document["constants"] = constants | more
    source = "an ideal mixture and the excess over it from fluctuations of composition in the trajectories"
    document["G"] = {"ideal": True, "matrix": matrix, "source": source}
    return document


def _named(letter: str, names: Sequence[str], state: int, number: int) -> list[str]:
    """Names of the constants of a triangle, row by row; numbered where there are several compositions."""
    after = f"_{state + 1}" if number > 1 else ""
    return [f"{letter}_{a}_{b}{after}" for k, a in enumerate(names) for b in names[k:]]


def _entries(
    letter: str,
    names: Sequence[str],
    values: Sequence[Array],
    states: Sequence[_State],
    variable: str,
    components: Sequence[str],
) -> tuple[dict[str, float], list[list[str]]]:
    """Constants, and a matrix of expressions in them."""
    number = len(states)
    each = [_named(letter, names, k, number) for k in range(number)]
    constants = {
        key: value for k, rows in enumerate(each) for key, value in zip(rows, rounded(triangle(values[k])), strict=True)
    }
    hats = (
        [""] if number == 1 else _hats(variable, [float(state.r[list(components).index(variable)]) for state in states])
    )
    size = len(names)
    i, j = np.triu_indices(size)
    matrix = [["" for _ in names] for _ in names]
    for e, (a, b) in enumerate(zip(i, j, strict=True)):
        terms = [f"{rows[e]} * {hat}" if hat else rows[e] for rows, hat in zip(each, hats, strict=True)]
        matrix[a][b] = matrix[b][a] = " + ".join(terms)
    return constants, matrix


def _hats(variable: str, x: Sequence[float]) -> list[str]:
    """Expressions that are one at a composition, zero at the others, linear between and constant beyond the ends."""
    x = [float(f"{value:.10g}") for value in x]
    r, hats = f"r_{variable}", []
    for k, at in enumerate(x):
        rise = f"({r} - {x[k - 1]!r}) / {at - x[k - 1]!r}" if k else "1"
        fall = f"({x[k + 1]!r} - {r}) / {x[k + 1] - at!r}" if k + 1 < len(x) else "1"
        hats.append(f"max(0, min(1, min({rise}, {fall})))")
    return hats


def _range(top: Table, states: Sequence[_State], components: Sequence[str], variable: str) -> dict[str, list[float]]:
    given = top.table("range", {})
    given.only("r")
    spans = given.table("r", {})
    spans.only(*components, chosen=True)
    found = {}
    for k, name in enumerate(components):
        r = np.array([state.r[k] for state in states])
        low, high = float(r.min()) * (1 - WIDTH), float(r.max()) * (1 + WIDTH)
        if name == variable:
            low, high = float(r.min()), float(r.max())
        if name in spans:
            found[name] = spans.array(name)  # checked when the set is read
            if (
                name == variable
                and len(found[name]) == 2
                and (found[name][0] < low * 0.999 or found[name][1] > high * 1.001)
            ):
                raise spans.error(name, f"reaches beyond the compositions simulated, {low:.4g} to {high:.4g}")
        else:
            found[name] = rounded([low, high])
    return found


# ---- what varies together -------------------------------------------------------------------------------------------


def _joint(
    states: Sequence[_State], ions: Sequence[str], components: Sequence[str]
) -> tuple[list[str], Array | None, Array | None]:
    """Names of the numbers that have draws, their covariance and the draws; None where a matrix has no samples.

    Boxes of different compositions are independent, and so are, of one box, motion and composition.
    """
    samples = [state.samples for state in states]
    if any(each is None for each in samples):
        return [], None, None
    size = min(len(each) for each in samples if each is not None)
    names: list[str] = []
    columns: list[Array] = []
    for letter, order in (("O", ions), ("E", components)):
        for k, state in enumerate(states):
            drawn = state.samples if letter == "O" else state.draws
            if drawn is None:
                continue
            rng = np.random.default_rng([k, len(names)])
            names += [f"constants.{each}" for each in _named(letter, order, k, len(states))]
            columns.append(triangle(drawn)[rng.permutation(len(drawn))[:size]])
    covariance = np.zeros((len(names), len(names)))
    at = 0
    for block in columns:
        n = block.shape[1]
        covariance[at : at + n, at : at + n] = np.cov(block.T).reshape(n, n)
        at += n
    return names, covariance, np.hstack(columns)


def _told(states: Sequence[_State], variable: str, components: Sequence[str]) -> list[str]:
    if len(states) == 1:
        where = ", ".join(f"r_{name} = {r:.4g}" for name, r in zip(components, states[0].r, strict=True))
        return [f"one composition ({where}): Omega and the excess of G are constant"]
    others = [name for name in components if name != variable]
    notes = [f"{len(states)} compositions: Omega and the excess of G are linear in r_{variable} between them"]
    for name in others:
        r = np.array([state.r[list(components).index(name)] for state in states])
        if np.ptp(r) > SAME * r.max():
            notes.append(f"r_{name} goes along, from {r.min():.4g} to {r.max():.4g}; off that line the set is a guess")
    return notes
