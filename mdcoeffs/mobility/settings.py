"""The ``[mobility]`` table of a SPECIES.toml; ``docs/mobility.md`` lists every key."""

from __future__ import annotations

from dataclasses import dataclass

from cellsim.base import InputError, factor_to_si
from cellsim.files.schema import Table
from mdcoeffs.inputs.species import SpeciesFile, analysis_table

KEYS = (
    "cation", "window", "lags_per_decade", "permittivity", "conductivity", "follow", "rotor", "paddlewheel", "friction",
    "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Follow:
    """Atoms followed one by one, beside the centres of mass of the molecules.

    Parameters
    ----------
    name : str
        Name in the results.
    selection : str
        Selection of the atoms.
    """

    name: str
    selection: str


@dataclass(frozen=True)
class Rotor:
    """What turns.

    Parameters
    ----------
    name : str
        Name in the results.
    species : str
        Of which molecules.
    axis : tuple of str, optional
        Selections of where an axis begins (the mean place of the atoms) and ends (every atom gives an axis).
    plane : str, optional
        Selection of three atoms per molecule whose plane's normal is the axis.
    """

    name: str
    species: str
    axis: tuple[str, str] | None = None
    plane: str | None = None


@dataclass(frozen=True)
class Paddle:
    """What is asked about jumps and turns of the cage.

    Parameters
    ----------
    rotor : str
        Name of a rotor.
    jump : float
        Shortest jump [m].
    half : float
        Time averaged over before and after [s].
    longest : float
        Longest delay either way [s].
    neighbours : int
        Rotors that make the cage.
    cutoff : float
        None of them farther from the cation than this [m].
    """

    rotor: str
    jump: float
    half: float
    longest: float
    neighbours: int = 3
    cutoff: float = float("inf")


@dataclass(frozen=True)
class Friction:
    """Conductivities to fit kappa = A r exp(-r / r_star) to.

    Parameters
    ----------
    r : tuple of float
        Salt contents [1].
    kappa : tuple of float
        Conductivities [S/m].
    error : tuple of float, optional
        Standard errors [S/m].
    """

    r: tuple[float, ...]
    kappa: tuple[float, ...]
    error: tuple[float, ...] | None = None


@dataclass(frozen=True)
class MobilitySettings:
    """The ``[mobility]`` table, SI.

    Parameters
    ----------
    cation : str
        The working ion.
    window : tuple of float, optional
        First and last lag of the power laws [s].
    lags_per_decade : int
        Lags per factor of ten.
    permittivity : float, optional
        Relative permittivity of the solvent, for the Bjerrum length [1].
    conductivity : float, optional
        Measured conductivity, for the table [S/m].
    follow : tuple of Follow
        Atoms followed beside the molecules.
    rotors : tuple of Rotor
        What turns.
    paddlewheel : Paddle, optional
        Jumps and turns.
    friction : Friction, optional
        Conductivity data.
    seed : int
        Of the time shifts that tell the paddle-wheel from chance.
    """

    cation: str
    window: tuple[float, float] | None = None
    lags_per_decade: int = 12
    permittivity: float | None = None
    conductivity: float | None = None
    follow: tuple[Follow, ...] = ()
    rotors: tuple[Rotor, ...] = ()
    paddlewheel: Paddle | None = None
    friction: Friction | None = None
    seed: int = 0


def read_mobility(file: SpeciesFile) -> MobilitySettings:
    """Read the ``[mobility]`` table; without one, everything is at its default.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.

    Returns
    -------
    MobilitySettings

    Raises
    ------
    InputError
        Unknown keys, names that are not there, values of the wrong kind.
    """
    table = analysis_table(file, "mobility")
    table.only(*KEYS)
    names = [one.name for one in file.species]
    cations = [one.name for one in file.species if one.role == "cation"]
    if "cation" not in table and len(cations) != 1:
        raise InputError(
            f"{table.where('cation')} is missing: there are {len(cations)} cation species, name the working ion"
        )
    cation = table.choice("cation", names, cations[0] if cations else "")
    follow = tuple(_follow(table.table("follow"), name, names) for name in (table.table("follow", {}) or ()))
    rotors = tuple(_rotor(table.table("rotor"), name, names) for name in (table.table("rotor", {}) or ()))
    return MobilitySettings(
        cation=cation,
        window=_window(table),
        lags_per_decade=table.integer("lags_per_decade", 12, least=4),
        permittivity=table.number("permittivity", None, least=1),
        conductivity=table.quantity("conductivity", "S/m", None, above=0),
        follow=follow,
        rotors=rotors,
        paddlewheel=_paddle(table.table("paddlewheel"), rotors) if "paddlewheel" in table else None,
        friction=_friction(table.table("friction")) if "friction" in table else None,
        seed=table.integer("seed", 0, least=0),
    )


def _window(table: Table) -> tuple[float, float] | None:
    if "window" not in table:
        return None
    pair = table.quantities("window", "s")
    if len(pair) != 2 or not 0 < pair[0] < pair[1]:
        raise table.error("window", 'must be two increasing times above zero, for example ["1 ns", "5 ns"]')
    return pair[0], pair[1]


def _follow(tables: Table, name: str, taken: list[str]) -> Follow:
    entry = tables.table(name)
    entry.only("selection")
    if name in taken:
        raise entry.error("", "has the name of a species, whose molecules are followed anyway; choose another")
    return Follow(name, entry.string("selection"))


def _rotor(tables: Table, name: str, species: list[str]) -> Rotor:
    entry = tables.table(name)
    entry.only("species", "axis", "plane")
    which = entry.choice("species", species, name if name in species else species[0])
    if "species" not in entry and name not in species:
        raise entry.error("species", f"is missing; allowed: {', '.join(species)}")
    if entry.exactly_one("axis", "plane") == "plane":
        return Rotor(name, which, plane=entry.string("plane"))
    ends = entry.strings("axis")
    if len(ends) != 2:
        raise entry.error("axis", 'must be two selections, for example ["name P", "name S"]')
    return Rotor(name, which, axis=(ends[0], ends[1]))


def _paddle(table: Table, rotors: tuple[Rotor, ...]) -> Paddle:
    table.only("rotor", "jump", "half", "longest", "neighbours", "cutoff")
    names = [one.name for one in rotors]
    if not names:
        raise table.error("rotor", "needs a [mobility.rotor.NAME] table that says what turns")
    half = table.quantity("half", "s", above=0)
    return Paddle(
        rotor=table.choice("rotor", names, names[0]),
        jump=table.quantity("jump", "m", above=0),
        half=half,
        longest=table.quantity("longest", "s", 10 * half, least=half),
        neighbours=table.integer("neighbours", 3, least=1),
        cutoff=table.quantity("cutoff", "m", float("inf"), above=0),
    )


def _friction(table: Table) -> Friction:
    table.only("r", "kappa", "error", "unit")
    with table.located():
        scale = factor_to_si(table.string("unit", "S/m"), "S/m", field=table.where("unit"))
    r, kappa = table.array("r"), table.array("kappa")
    error = table.array("error") if "error" in table else None
    if len(r) != len(kappa) or (error is not None and len(error) != len(r)):
        raise table.error("kappa", f"and error need as many values as r, which has {len(r)}")
    return Friction(
        tuple(r), tuple(scale * one for one in kappa),
        None if error is None else tuple(scale * one for one in error),
    )  # fmt: skip
