"""CASE.toml of ``mdcoeffs pipeline``: where the trajectories are, what the set needs beside them, and the cell.

``docs/pipeline.md`` lists every key. The tables of the cell are those of a case of cellsim, less its transport set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellsim.base import InputError
from cellsim.files.schema import Table, read_toml
from mdcoeffs.activity.result import ROUTES
from mdcoeffs.inputs.species import SpeciesFile, read_species
from mdcoeffs.md.system import SystemFile, read_system
from mdcoeffs.onsager import read_estimate

CELL_KEYS = ("cell", "electrolyte", "electrodes", "step", "output", "solver")
"""Tables that go into the case of cellsim as they are."""
SET_KEYS = ("salt", "solvent", "volumes", "chi", "activity", "range")
"""Tables that go into the recipe of the set."""
MIXTURE_KEYS = ("solvent", "cation", "variable", "volumes", "range", "G")
"""What goes into the recipe of a set of n components."""
OWN_KEYS = ("title", "note", "system", "species", "field", "kirkwood_buff", "bands", "consistency")
"""What is the chain's own."""
CHI = ("chi", "activity", "kirkwood_buff")
"""Where chi comes from."""
MIXTURE_G = ("G", "kirkwood_buff")
"""Where the thermodynamics of n components comes from."""


@dataclass(frozen=True)
class PipelineFile:
    """A CASE.toml, read and checked as far as it can be before there is a set.

    Parameters
    ----------
    path : Path
        The file.
    title : str
        For the report.
    system : SystemFile, optional
        What is to be simulated first.
    species : mapping
        Name of a concentration -> its SPECIES.toml; empty where a system is simulated.
    recipe : mapping
        Tables of the set's recipe.
    mixture : bool
        Whether the set is one of n components: mixed solvents, several salts.
    route : str, optional
        One of `mdcoeffs.activity.result.ROUTES`, chi or G from the trajectories; None where the recipe states it.
    case : mapping
        Tables of the cell.
    field : tuple of Path
        Results of ``mdcoeffs field`` to show beside, or folders of states with runs in a field.
    draws : int
        Draws of the set behind the bands of the polarization.
    seed : int
        Of the draws.
    voltage : float
        Of the cells in which the current fraction is measured [V].
    cell_draws : int
        Draws of the set behind the error of that.
    text : str
        The file verbatim.
    """

    path: Path
    title: str
    system: SystemFile | None
    species: Mapping[str, Path]
    recipe: Mapping[str, Any]
    mixture: bool
    route: str | None
    case: Mapping[str, Any]
    field: tuple[Path, ...]
    draws: int
    seed: int
    voltage: float
    cell_draws: int
    text: str

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the concentrations, in the order of the file."""
        if self.system is not None:
            return tuple(dict.fromkeys(point.state for point in self.system.points))
        return tuple(self.species)


def read_pipeline(path: str | Path) -> PipelineFile:
    """Read a CASE.toml.

    Parameters
    ----------
    path : str or Path
        The file; paths in it are relative to it.

    Returns
    -------
    PipelineFile

    Raises
    ------
    InputError
        Unreadable TOML, unknown or missing keys, values out of bounds, files that are not there.
    """
    top = read_toml(path)
    top.only(*OWN_KEYS, *SET_KEYS, *MIXTURE_KEYS, *CELL_KEYS)
    source = top.exactly_one("system", "species")
    system = read_system(top.path("system")) if source == "system" else None
    species = {} if system is not None else _species(top)
    mixture = _is_mixture(top, system, species)
    top.only(*OWN_KEYS, *(MIXTURE_KEYS if mixture else SET_KEYS), *CELL_KEYS)
    if mixture and "field" in top:
        raise top.error("field", "compares a salt in one solvent; leave it out of a mixture")
    chosen = top.exactly_one(*(MIXTURE_G if mixture else CHI))
    route = None
    if chosen == "kirkwood_buff":
        table = top.table("kirkwood_buff")
        table.only("route")
        route = table.choice("route", ROUTES, "both")
    bands, check = top.table("bands", {}), top.table("consistency", {})
    bands.only("draws", "seed")
    check.only("voltage", "draws")
    title = top.string("title", top.file.stem)
    return PipelineFile(
        path=Path(path),
        title=title,
        system=system,
        species=species,
        recipe=_mixture_recipe(top, title, system, species) if mixture else _recipe(top, title, system),
        mixture=mixture,
        route=route,
        case=_case(top, title),
        field=_field(top),
        draws=bands.integer("draws", 200, least=20),
        seed=bands.integer("seed", 0, least=0),
        voltage=check.quantity("voltage", "V", 1e-4, above=0, most=0.01),
        cell_draws=check.integer("draws", 100, least=20),
        text=top.text,
    )


def check_species(file: SpeciesFile) -> bool:
    """Refuse what the chain cannot follow: a framework, for one salt a frame that is not the solvent's.

    Parameters
    ----------
    file : SpeciesFile
        Of one composition.

    Returns
    -------
    bool
        Whether it asks for the matrix of all species.

    Raises
    ------
    InputError
        With what to write instead.
    """
    settings = read_estimate(file)
    if settings.matrix == "species":
        if settings.framework or not any(species.role == "solvent" for species in file.species):
            raise InputError(f"{file.path}: the chain needs a neutral solvent, in whose frame the set is; here is none")
        return True
    if settings.frame != "solvent":
        raise InputError(f'{file.path}: estimate.frame = "{settings.frame}", but the chain needs "solvent"')
    return False


def _is_mixture(top: Table, system: SystemFile | None, species: Mapping[str, Path]) -> bool:
    """Whether the set is one of n components; all trajectories must ask for the same kind."""
    if system is not None:
        return len(system.points[0].species) > 3
    kinds = {check_species(read_species(path)) for path in species.values()}
    if len(kinds) > 1:
        raise top.error("species", 'names files with matrix = "salt" and with "species" in [estimate]; choose one kind')
    return kinds.pop()


def _mixture_recipe(top: Table, title: str, system: SystemFile | None, species: Mapping[str, Path]) -> dict[str, Any]:
    """What the recipe of a set of n components says; volumes come from the trajectories where none are given."""
    if system is not None:
        solvents = [particle.name for particle in system.points[0].species if particle.role == "solvent"]
    else:
        first = read_species(next(iter(species.values())))
        solvents = [each.name for each in first.species if each.role == "solvent"]
    recipe: dict[str, Any] = {"title": title, "solvent": top.choice("solvent", solvents)}
    for key in ("note", "cation", "variable"):
        if key in top:
            recipe[key] = top.string(key)
    recipe["volumes"] = dict(top.table("volumes").data) if "volumes" in top else {"from": "fluctuations"}
    for key in ("range", "G"):
        if key in top:
            recipe[key] = dict(top.table(key).data)
    return recipe


def _species(top: Table) -> dict[str, Path]:
    species: dict[str, Path] = {}
    for name in top.strings("species"):
        path = top.file.parent / name
        if not path.is_file():
            raise InputError(f"{top.where('species')}: {name!r} names no file that exists")
        label = path.parent.resolve().name if path.name == "SPECIES.toml" else path.stem
        if label in species:
            raise InputError(f"{top.where('species')}: two files would both be called {label!r}; rename one")
        species[label] = path
    if not species:
        raise InputError(f"{top.where('species')} is empty; name one SPECIES.toml per concentration")
    return species


def _recipe(top: Table, title: str, system: SystemFile | None) -> dict[str, Any]:
    """Tables of the set's recipe; masses and volumes come from the system where it has them."""
    recipe: dict[str, Any] = {"title": title}
    if "note" in top:
        recipe["note"] = top.string("note")
    known: dict[str, dict[str, Any]] = {"salt": {}, "solvent": {}, "volumes": {}}
    if system is not None:
        cation, anion, solvent = system.points[0].species
        common = math.gcd(cation.z, anion.z)
        nu = (-anion.z // common, cation.z // common)
        mass = nu[0] * cation.mass + nu[1] * anion.mass
        known["salt"] = {"formula": f"{cation.name}{anion.name}", "M": f"{mass * 1e3:.10g} g/mol"}
        known["solvent"] = {"name": solvent.name, "M": f"{solvent.mass * 1e3:.10g} g/mol"}
        known["volumes"] = dict(read_toml(system.path).table("volumes").data)
    for name, given in known.items():
        recipe[name] = given | dict(top.table(name, {}).data)
        if not recipe[name]:
            raise InputError(f"{top.file}: the table [{name}] is missing; it is that of a transport set")
    for name in ("chi", "activity", "range"):
        if name in top:
            recipe[name] = dict(top.table(name).data)
    return recipe


def _case(top: Table, title: str) -> dict[str, Any]:
    case: dict[str, Any] = {"title": title}
    for name in CELL_KEYS:
        if name not in top.data:
            continue
        case[name] = top.data[name]
        if _names_a_file(case[name]):
            raise InputError(
                f"{top.where(name)}: names a file, which the chain does not carry along; run the case it writes, "
                f"cell.toml, with your own additions instead"
            )
    for name in ("cell", "electrolyte"):
        top.table(name)
    if "transport" in top.table("electrolyte"):
        raise top.table("electrolyte").error("transport", "is what the chain makes; leave it out")
    if not top.tables("step"):
        raise InputError(f"{top.file}: at least one [[step]] is needed, as in a case of cellsim")
    return case


def _names_a_file(value: Any) -> bool:
    if isinstance(value, dict):
        return "file" in value or any(_names_a_file(inner) for inner in value.values())
    return isinstance(value, list) and any(_names_a_file(inner) for inner in value)


def _field(top: Table) -> tuple[Path, ...]:
    paths = tuple(top.file.parent / name for name in top.strings("field", []))
    for path in paths:
        if not path.is_file() and not (path.parent / "system.toml").is_file():
            raise InputError(
                f"{top.where('field')}: {str(path)!r} is neither what mdcoeffs field wrote nor a state's folder of "
                f"mdcoeffs simulate"
            )
    return paths
