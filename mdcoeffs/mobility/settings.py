"""The ``[mobility]`` table of a SPECIES.toml, and what of a snapshot is followed for it.

``docs/mobility.md`` lists every key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, InputError, Ints, factor_to_si
from cellsim.files.schema import Table
from mdcoeffs.frames.paths import Followed
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.frames.stream import Stream
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.mobility.rotation import unit_vectors

KEYS = ("cation", "window", "framework", "lags_per_decade", "permittivity", "conductivity", "seed")
TABLES = ("follow", "rotor", "paddlewheel", "bottleneck", "cooperative", "vibrations", "friction")


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
class Bottleneck:
    """What is asked about the windows that the cation jumps through.

    Parameters
    ----------
    corners : str
        Species, or name of followed atoms, that are the corners of windows.
    jump : float
        Shortest jump [m].
    half : float
        Time averaged over before and after [s].
    longest : float
        Longest time before and after the jump [s].
    cutoff : float
        No corner farther from the middle of the jump than this [m].
    """

    corners: str
    jump: float
    half: float
    longest: float
    cutoff: float


@dataclass(frozen=True)
class Cooperative:
    """What is asked about jumps of neighbouring cations.

    Parameters
    ----------
    jump : float
        Shortest jump [m].
    half : float
        Time averaged over before and after [s].
    window : float
        Longest time between two jumps that coincide [s].
    cutoff : float
        Farthest neighbour before the jump [m].
    """

    jump: float
    half: float
    window: float
    cutoff: float


@dataclass(frozen=True)
class Vibrations:
    """What is asked about power spectra of velocities.

    Parameters
    ----------
    of : tuple of str
        Names of species, followed atoms and rotors; everything that is followed when empty.
    resolution : float, optional
        Distance of frequencies [Hz].
    """

    of: tuple[str, ...] = ()
    resolution: float | None = None


@dataclass(frozen=True)
class Segments:
    """Displacements of segments, <dr^2> = D_0 t^alpha, at several salt contents.

    Parameters
    ----------
    r : tuple of float
        Salt contents [1].
    D_0 : tuple of float
        Prefactors, in one unit.
    error : tuple of float, optional
        Standard errors, in that unit.
    exponent : float
        alpha [1].
    """

    r: tuple[float, ...]
    D_0: tuple[float, ...]
    error: tuple[float, ...] | None = None
    exponent: float = 0.5


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
    segments : Segments, optional
        Displacements from which the friction follows without the conductivities.
    """

    r: tuple[float, ...]
    kappa: tuple[float, ...]
    error: tuple[float, ...] | None = None
    segments: Segments | None = None


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
        Of the time shifts that tell what goes with a jump from chance.
    framework : tuple of str
        Species whose common centre of mass is at rest; that of everything when empty.
    bottleneck : Bottleneck, optional
        Windows that jumps lead through.
    cooperative : Cooperative, optional
        Jumps of neighbours.
    vibrations : Vibrations, optional
        Power spectra of velocities.
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
    framework: tuple[str, ...] = ()
    bottleneck: Bottleneck | None = None
    cooperative: Cooperative | None = None
    vibrations: Vibrations | None = None


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
    table.only(*KEYS, *TABLES)
    names = [species.name for species in file.species]
    cations = [species.name for species in file.species if species.role == "cation"]
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
        framework=_framework(table, names, cation),
        bottleneck=_bottleneck(table.table("bottleneck"), names, follow, cation) if "bottleneck" in table else None,
        cooperative=_cooperative(table.table("cooperative")) if "cooperative" in table else None,
        vibrations=_vibrations(table.table("vibrations"), names, follow, rotors) if "vibrations" in table else None,
    )


def _framework(table: Table, names: list[str], cation: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(table.strings("framework", [])))
    for name in chosen:
        if name not in names:
            raise table.error("framework", f"names {name!r}, which is no species; allowed: {', '.join(names)}")
        if name == cation:
            raise table.error("framework", f"holds {name}, the working ion, which moves through it; leave it out")
    return chosen


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
    names = [rotor.name for rotor in rotors]
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


def _bottleneck(table: Table, species: list[str], follow: tuple[Follow, ...], cation: str) -> Bottleneck:
    table.only("corners", "jump", "half", "longest", "cutoff")
    if table.data.get("corners") == cation:
        raise table.error("corners", "is the working ion, which jumps through windows of other atoms")
    half = table.quantity("half", "s", above=0)
    return Bottleneck(
        corners=table.choice("corners", [*species, *(each.name for each in follow)]),
        jump=table.quantity("jump", "m", above=0),
        half=half,
        longest=table.quantity("longest", "s", 10 * half, least=half),
        cutoff=table.quantity("cutoff", "m", 5e-10, above=0),
    )


def _cooperative(table: Table) -> Cooperative:
    table.only("jump", "half", "window", "cutoff")
    half = table.quantity("half", "s", above=0)
    return Cooperative(
        jump=table.quantity("jump", "m", above=0),
        half=half,
        window=table.quantity("window", "s", half, above=0),
        cutoff=table.quantity("cutoff", "m", above=0),
    )


def _vibrations(table: Table, species: list[str], follow: tuple[Follow, ...], rotors: tuple[Rotor, ...]) -> Vibrations:
    table.only("of", "resolution")
    known = list(dict.fromkeys([*species, *(each.name for each in follow), *(each.name for each in rotors)]))
    of = tuple(dict.fromkeys(table.strings("of", [])))
    for name in of:
        if name not in known:
            raise table.error("of", f"names {name!r}, which is not followed; allowed: {', '.join(known)}")
    return Vibrations(of, table.quantity("resolution", "Hz", None, above=0))


def _friction(table: Table) -> Friction:
    table.only("r", "kappa", "error", "unit", "segments")
    with table.located():
        scale = factor_to_si(table.string("unit", "S/m"), "S/m", field=table.where("unit"))
    r, kappa = table.array("r"), table.array("kappa")
    error = table.array("error") if "error" in table else None
    if len(r) != len(kappa) or (error is not None and len(error) != len(r)):
        raise table.error("kappa", f"and error need as many values as r, which has {len(r)}")
    errors = None if error is None else tuple(scale * value for value in error)
    segments = _segments(table.table("segments")) if "segments" in table else None
    return Friction(tuple(r), tuple(scale * value for value in kappa), errors, segments)


def _segments(table: Table) -> Segments:
    table.only("r", "D_0", "error", "exponent")
    r, D_0 = table.array("r"), table.array("D_0")
    error = table.array("error") if "error" in table else None
    if len(r) != len(D_0) or (error is not None and len(error) != len(r)):
        raise table.error("D_0", f"and error need as many values as r, which has {len(r)}")
    exponent = table.number("exponent", 0.5, above=0, most=1)
    return Segments(tuple(r), tuple(D_0), None if error is None else tuple(error), exponent)


# ---- what is followed -----------------------------------------------------------------------------------------------


def followed_in(stream: Stream, settings: MobilitySettings) -> dict[str, Followed]:
    """Everything that is followed in a replica: molecules of every species, chosen atoms, axes of rotors.

    Parameters
    ----------
    stream : Stream
        The replica.
    settings : MobilitySettings
        What is asked.

    Returns
    -------
    dict
        Keys ``"species NAME"``, ``"follow NAME"``, ``"rotor NAME"``.

    Raises
    ------
    InputError
        Selections that do not fit.
    """
    rest = _at_rest(stream, settings.framework)
    followed = {f"species {species.name}": _centres(stream, species.name, rest) for species in stream.species}
    for extra in settings.follow:
        where = f"mobility.follow.{extra.name}.selection"
        followed[f"follow {extra.name}"] = _atoms(*_places(stream, stream.select(extra.selection, where), where), rest)
    for rotor in settings.rotors:
        followed[f"rotor {rotor.name}"] = _axes(stream, rotor)
    return followed


def _at_rest(stream: Stream, framework: tuple[str, ...]) -> Callable[[Snapshot], Array]:
    """What is added to `centres`, in which the centre of mass of everything is at rest, so that the framework's is."""
    if not framework:
        return lambda snapshot: np.zeros(3)
    if len(framework) > 1 and not stream.has_masses:
        raise InputError(
            f"mobility.framework: the common centre of mass of {', '.join(framework)} needs masses, and the arrays "
            "have none; name one species, or give the masses"
        )
    weights = np.zeros(len(stream.species))
    for k, species in enumerate(stream.species):
        if species.name in framework:
            weights[k] = stream.molecule_masses[stream.molecules_of(species.name)[0]]
    counts = np.array([stream.molecules_of(species.name).size for species in stream.species])
    weights /= weights @ counts
    return lambda snapshot: np.asarray(snapshot.drift - weights @ snapshot.summed)


def _centres(stream: Stream, name: str, rest: Callable[[Snapshot], Array]) -> Followed:
    rows = stream.molecules_of(name)
    mass = float(stream.molecule_masses[rows[0]]) if stream.has_masses else None
    return Followed(rows, lambda snapshot: np.asarray(snapshot.centres[rows] + rest(snapshot)), mass)


def _atoms(place: Ints, owner: Ints, rest: Callable[[Snapshot], Array]) -> Followed:
    return Followed(
        owner, lambda snapshot: np.asarray(snapshot.centres[owner] + snapshot.relative[place] + rest(snapshot))
    )


def _axes(stream: Stream, rotor: Rotor) -> Followed:
    where = f"mobility.rotor.{rotor.name}"
    molecules = stream.molecules_of(rotor.species)
    if rotor.plane is not None:
        place, owner = _of_species(stream, rotor.plane, f"{where}.plane", molecules)
        if place.size != 3 * molecules.size or np.any(_count(owner, molecules) != 3):
            raise InputError(f"{where}.plane = {rotor.plane!r} must select exactly three atoms of every molecule")
        return Followed(molecules, _normals(place.reshape(-1, 3)))
    assert rotor.axis is not None
    begin, begin_owner = _of_species(stream, rotor.axis[0], f"{where}.axis[0]", molecules)
    end, end_owner = _of_species(stream, rotor.axis[1], f"{where}.axis[1]", molecules)
    for what, owner in (("begins", begin_owner), ("ends", end_owner)):
        if np.setdiff1d(molecules, owner).size:
            raise InputError(f"{where}.axis: where it {what} there is no atom in some molecules of {rotor.species}")
    first, counts = np.searchsorted(begin_owner, molecules), _count(begin_owner, molecules)
    number = np.searchsorted(molecules, end_owner)  # of the molecule, for every end

    def axis(snapshot: Snapshot) -> Array:
        root = np.add.reduceat(snapshot.relative[begin], first, axis=0) / counts[:, None]
        return unit_vectors(snapshot.relative[end] - root[number])

    return Followed(end_owner, axis)


def _normals(corners: Ints) -> Callable[[Snapshot], Array]:
    def normal(snapshot: Snapshot) -> Array:
        a, b, c = np.moveaxis(snapshot.relative[corners], 1, 0)
        return unit_vectors(np.cross(b - a, c - a))

    return normal


def _count(owner: Ints, molecules: Ints) -> Ints:
    """How many atoms each of the molecules has."""
    return np.bincount(owner, minlength=int(molecules.max()) + 1)[molecules]


def _of_species(stream: Stream, selection: str, where: str, molecules: Ints) -> tuple[Ints, Ints]:
    """Places and owners, sorted by owner; only molecules of the species."""
    place, owner = _places(stream, stream.select(selection, where), where)
    keep = np.isin(owner, molecules)
    order = np.argsort(owner[keep], kind="stable")
    return place[keep][order], owner[keep][order]


def _places(stream: Stream, atoms: Ints, where: str) -> tuple[Ints, Ints]:
    """Places of atoms in ``snapshot.relative``, and their molecules."""
    owner = stream.molecule_of(atoms)
    if np.any(owner < 0):
        raise InputError(f"{where}: {int((owner < 0).sum())} of the atoms belong to no species")
    return stream.places_of(atoms), owner
