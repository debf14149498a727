"""Which atoms of a topology make which molecules, and which molecules are of which species."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from MDAnalysis.exceptions import NoDataError, SelectionError
from MDAnalysis.guesser.tables import masses as ELEMENTS

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.molecules import Molecules, Selected, sort_molecules
from mdcoeffs.inputs.species import Species

log = logging.getLogger(__name__)

HEAVIEST = 1e9
"""Mass of an atom beyond which the topology is taken to be damaged [u]."""
LONGEST_ADVICE = 600
"""Characters of a reader's message that are passed on; the advice stands at its end [1]."""


def molecules_of(universe: Any, species: Sequence[Species], *, ignore: str = "") -> Molecules:
    """Sort the atoms into molecules and the molecules into species.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology with masses.
    species : sequence of Species
        Selections, and how atoms make molecules.
    ignore : str
        Selection of massless sites that belong to no species.

    Returns
    -------
    Molecules
        Masses in dalton.

    Raises
    ------
    InputError
        Selections that are empty, overlap, miss atoms or cut molecules; masses that are not positive.
    """
    ignored = select(universe, ignore, "ignore") if ignore else None
    selections = [_selected(universe, each) for each in species]
    found = sort_molecules(selections, _masses(universe), lambda atom: _describe(universe, atom), ignored=ignored)
    if masses_of_names(universe):
        log.warning(
            "%s has no masses; those of the names of its atoms make %s g/mol: use a topology with masses if that is "
            "wrong",
            Path(str(universe.filename)).name,
            ", ".join(f"{each.name} {mass:.4g}" for each, mass in zip(species, found.masses, strict=True)),
        )
    return found


def _selected(universe: Any, species: Species) -> Selected:
    name = f"species.{species.name}"
    index = select(universe, species.selection, name)
    tracer = None if species.centre == "mass" else select(universe, species.centre, f"{name}.centre")
    if species.molecule == "atom":
        return Selected(species, index, index, None, tracer)
    try:
        if species.molecule == "fragment":
            if not len(universe.bonds):
                raise NoDataError("no bonds")
            whole = np.asarray(universe.atoms.fragindices, dtype=np.int64)
            return Selected(species, index, whole[index], np.bincount(whole)[whole[index]], tracer)
        atoms = universe.atoms[index]
        key = atoms.resindices if species.molecule == "residue" else atoms.molnums
    except (NoDataError, AttributeError) as error:
        missing = "bonds" if species.molecule == "fragment" else "molecule numbers"
        raise InputError(
            f'{name}: the topology has no {missing}, so molecule = "{species.molecule}" is not possible; choose '
            f'"residue" or "atom"'
        ) from error
    return Selected(species, index, np.asarray(key, dtype=np.int64), None, tracer)


def select(universe: Any, selection: str, name: str) -> Ints:
    """Indices of the atoms of a selection; `name` is its place in the file, for messages."""
    try:
        index = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{name}: selection {selection!r} is not understood ({brief(error)})") from error
    if not index.size:
        raise InputError(f"{name}: selection {selection!r} selects no atoms")
    return np.asarray(index, dtype=np.int64)


def _masses(universe: Any) -> Array:
    try:
        mass = np.array(universe.atoms.masses, dtype=float)
    except NoDataError as error:
        raise InputError("the topology has no masses and they cannot be guessed; use a topology with masses") from error
    mass = np.nan_to_num(mass, nan=0.0)
    if masses_of_names(universe):  # which MDAnalysis looks up in upper case, where Li, Al and Si are not found
        for atom in np.flatnonzero(mass == 0).tolist():
            mass[atom] = ELEMENTS.get(str(universe.atoms.types[atom]).capitalize(), 0.0)
    if mass.size and np.max(np.abs(mass)) > HEAVIEST:
        atom = int(np.argmax(np.abs(mass)))
        raise InputError(
            f"{_describe(universe, atom)} (atom {atom}) has a mass of {mass[atom]:.3g} u by the topology; correct it"
        )
    return mass


def masses_of_names(universe: Any) -> bool:
    """Whether the topology has neither masses nor elements, so that masses are those of the names of its atoms."""
    stated = hasattr(universe.atoms, "elements") or not hasattr(universe.atoms, "masses")
    return not stated and bool(universe._topology.masses.is_guessed)


def check_dump_masses(universe: Any, name: str, columns: Sequence[str]) -> None:
    """Refuse a LAMMPS dump as topology that does not tell masses: its atoms would all have a mass of 1 u.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Made of the dump.
    name : str
        Of the file, for messages.
    columns : sequence of str
        Of the dump.

    Raises
    ------
    InputError
        No column mass, and no column element or an element that is none.
    """
    if "mass" in columns:
        return
    remedy = "add mass to the columns of dump custom, or use a data file as topology"
    if "element" not in columns:
        raise InputError(f"{name}: has no column mass or element, so the masses of its atoms are not known; {remedy}")
    unknown = np.flatnonzero(universe.atoms.elements == "")
    if unknown.size:
        raise InputError(
            f"{name}: atom {unknown[0]} ({_describe(universe, unknown[0])}) has no known element, so its mass is not "
            f"known; {remedy}"
        )


def bonds_of(universe: Any) -> Ints | None:
    """Bonded pairs (bonds, 2), or None where the topology has none."""
    try:
        return np.asarray(universe.bonds.indices, dtype=np.int64)
    except (NoDataError, AttributeError):
        return None


def _describe(universe: Any, atom: int) -> str:
    for name in ("resname", "type", "name"):
        value = getattr(universe.atoms[atom], name, "")
        if value:
            return f"{name} {value}"
    return "no name"


def brief(error: BaseException) -> str:
    """The message of an error on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_ADVICE else text[:LONGEST_ADVICE].rsplit(" ", 1)[0] + " ..."
