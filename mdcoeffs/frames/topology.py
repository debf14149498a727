"""Which atoms of a topology make which molecules, and which molecules are of which species."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from MDAnalysis.exceptions import NoDataError, SelectionError

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.molecules import Molecules, Selected, sort_molecules
from mdcoeffs.inputs.species import Species

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
    return sort_molecules(selections, _masses(universe), lambda atom: _describe(universe, atom), ignored=ignored)


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
    if mass.size and np.max(np.abs(mass)) > HEAVIEST:
        atom = int(np.argmax(np.abs(mass)))
        raise InputError(
            f"{_describe(universe, atom)} (atom {atom}) has a mass of {mass[atom]:.3g} u by the topology; correct it"
        )
    return mass


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
