"""The [interface] table of a SPECIES.toml: axis, profiles, regions, layers, barriers and what is to be predicted.

``docs/interface.md`` lists every key.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from cellsim.base import InputError
from cellsim.files.schema import Table, did_you_mean
from mdcoeffs.inputs.species import SpeciesFile, analysis_table

KEYS = ("axis", "origin", "bin", "settled", "sample", "scale", "charge", "charge_bin", "correlation", "net_charge")
TABLES = ("profiles", "regions", "variance", "barriers", "prediction")
AXES = ("x", "y", "z")
REGION_KEYS = ("points", "between", "margin", "stoichiometric", "donors", "rates_from")
VARIANCE_KEYS = ("points", "layers", "lag")
BARRIER_KEYS = ("points", "zero", "well", "top", "flank", "region", "mass")
PREDICTION_KEYS = ("barrier", "temperature", "jumps", "ions", "time", "reduction", "at")
AT_KEYS = ("temperature", "reduction")


@dataclass(frozen=True)
class Region:
    """A part of the box that is watched.

    Parameters
    ----------
    name : str
        Its name.
    points : str
        The profile whose points are watched.
    edges : tuple of tuple of float
        Lower and upper ends of its intervals [m].
    margin : float
        How far beyond an edge an ion must come for a crossing to count [m].
    stoichiometric : float
        Number of points that belong there; the excess is counted from it [1].
    donors : str
        Region from which ions enter; empty: everywhere else.
    rates_from : float, optional
        Excess from which on crossings count towards the rates; without it all do. The verdict takes all [1].
    """

    name: str
    points: str
    edges: tuple[tuple[float, float], ...]
    margin: float = 0.0
    stoichiometric: float = 0.0
    donors: str = ""
    rates_from: float | None = None


@dataclass(frozen=True)
class Barrier:
    """A well and the top of the barrier beside it.

    Parameters
    ----------
    name : str
        Its name.
    points : str
        The profile.
    zero : float
        Where the free energy is zero [m].
    well, top : tuple of float
        Ranges a parabola is laid through, lower and upper end [m].
    flank : tuple of float, optional
        Range between top and well a straight line is laid through.
    region : str
        The region behind the barrier: its entries are compared with transition-state theory; empty: none.
    mass : float, optional
        Mass of one point; that of its species when left out [kg].
    """

    name: str
    points: str
    zero: float
    well: tuple[float, float]
    top: tuple[float, float]
    flank: tuple[float, float] | None = None
    region: str = ""
    mass: float | None = None


@dataclass(frozen=True)
class Prediction:
    """A second temperature, and those that are asked about.

    Parameters
    ----------
    barriers : tuple of str
        The barriers (one, or one for each face), all of one region; their Boltzmann mean counts.
    temperature : float
        Of the other run [K].
    jumps : int
        Entries counted there.
    ions : float
        Ions that could enter there [1].
    time : float
        Length of that run [s].
    reduction : float
        How much lower the barrier is there, for its other box, over k_B [K].
    at : tuple of tuple of float
        Temperature and reduction of each prediction [K].
    """

    barriers: tuple[str, ...]
    temperature: float
    jumps: int
    ions: float
    time: float
    reduction: float = 0.0
    at: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class InterfaceSettings:
    """The [interface] table; SI floats.

    Parameters
    ----------
    axis : int
        Normal of the interface, 0 to 2.
    origin : str
        Species or selection whose centre of mass is z = 0; empty: the middle of the box.
    width, charge_width : float
        Width of the bins [m].
    settled : float
        Time from which averages are taken; populations are followed from the start [s].
    sample : float
        Least time between two samples of the populations; 0: every frame [s].
    scale : float
        lambda of the equilibration coefficient [1].
    charge : bool
        Integrate the charge.
    profiles : dict
        Name -> species or selection.
    regions : tuple of Region
        What is watched.
    layers : tuple of float, optional
        Edges of the layers of the displacement variance [m].
    layer_points : tuple of str
        Profiles whose displacements are taken.
    lags : tuple of float
        Lags [s].
    correlation : tuple of str, optional
        Two regions, the second as a function of the first.
    barriers : tuple of Barrier
        Wells and barriers.
    prediction : Prediction, optional
        Other temperatures.
    net_charge : float
        Charge of all species together, where electrodes outside the list carry the opposite one [e].
    """

    axis: int = 2
    origin: str = ""
    width: float = 2e-11
    charge_width: float = 3.26e-11
    settled: float = 0.0
    sample: float = 0.0
    scale: float = 10.0
    charge: bool = True
    profiles: dict[str, str] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    layers: tuple[float, ...] | None = None
    layer_points: tuple[str, ...] = ()
    lags: tuple[float, ...] = ()
    correlation: tuple[str, str] | None = None
    barriers: tuple[Barrier, ...] = ()
    prediction: Prediction | None = None
    net_charge: float = 0.0


def read_interface(file: SpeciesFile) -> InterfaceSettings:
    """Read the [interface] table of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.

    Returns
    -------
    InterfaceSettings

    Raises
    ------
    InputError
        Unknown keys, names that are not defined, ranges that are none.
    """
    top = analysis_table(file, "interface")
    top.only(*KEYS, *TABLES)
    profiles = _profiles(top.table("profiles", {}), file)
    tables = top.table("regions", {})
    regions = tuple(_region(tables.table(name), name, tuple(profiles), tuple(tables)) for name in tables)
    names = tuple(region.name for region in regions)
    variance = top.table("variance", None)
    layers, layer_points, lags = (None, (), ()) if variance is None else _variance(variance, tuple(profiles))
    tables = top.table("barriers", {})
    barriers = tuple(_barrier(tables.table(name), name, tuple(profiles), regions) for name in tables)
    prediction = top.table("prediction", None)
    if prediction is not None and prediction.quantity("temperature", "K", above=0) == file.temperature:
        raise prediction.error("temperature", "is that of this run; a prediction needs a run at another temperature")
    return InterfaceSettings(
        axis=AXES.index(top.choice("axis", AXES, "z")),
        origin=top.string("origin", ""),
        width=top.quantity("bin", "m", 2e-11, above=0),
        charge_width=top.quantity("charge_bin", "m", 3.26e-11, above=0),
        settled=top.quantity("settled", "s", 0.0, least=0),
        sample=top.quantity("sample", "s", 0.0, least=0),
        scale=top.number("scale", 10.0, above=0),
        charge=top.boolean("charge", True),
        profiles=profiles,
        regions=regions,
        layers=layers,
        layer_points=layer_points,
        lags=lags,
        correlation=_correlation(top, names),
        barriers=barriers,
        prediction=None if prediction is None else _prediction(prediction, barriers),
        net_charge=top.number("net_charge", 0.0),
    )


def _profiles(table: Table, file: SpeciesFile) -> dict[str, str]:
    """Name -> species or selection; every species is a profile of its own name unless that name is given away."""
    return {species.name: species.name for species in file.species} | {name: table.string(name) for name in table}


def _named(table: Table, key: str, options: tuple[str, ...], default: str | None = None) -> str:
    name = table.string(key) if default is None else table.string(key, default)
    if name and name not in options:
        raise table.error(key, f"is not defined{did_you_mean(name, options)}")
    return name


def _pair(table: Table, key: str) -> tuple[float, float]:
    pair = table.quantities(key, "m")
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise table.error(key, 'must be two increasing places, for example ["26 angstrom", "31 angstrom"]')
    return pair[0], pair[1]


def _region(table: Table, name: str, profiles: tuple[str, ...], regions: tuple[str, ...]) -> Region:
    table.only(*REGION_KEYS)
    flat = table.quantities("between", "m")
    if len(flat) < 2 or len(flat) % 2 or any(low >= high for low, high in zip(flat[::2], flat[1::2], strict=True)):
        raise table.error("between", 'must hold pairs of increasing places, such as ["-23 angstrom", "23 angstrom"]')
    margin = table.quantity("margin", "m", 0.0, least=0)
    narrowest = min(high - low for low, high in zip(flat[::2], flat[1::2], strict=True))
    if 2 * margin >= narrowest:
        raise table.error("margin", "must be less than half the width of the region")
    return Region(
        name=name,
        points=_named(table, "points", profiles),
        edges=tuple(zip(flat[::2], flat[1::2], strict=True)),
        margin=margin,
        stoichiometric=table.number("stoichiometric", 0.0, least=0),
        donors=_named(table, "donors", tuple(other for other in regions if other != name), ""),
        rates_from=table.number("rates_from", None),
    )


def _variance(table: Table, profiles: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[str, ...], tuple[float, ...]]:
    table.only(*VARIANCE_KEYS)
    layers = tuple(table.quantities("layers", "m"))
    if len(layers) < 2 or any(b <= a for a, b in itertools.pairwise(layers)):
        raise table.error("layers", "must be increasing places, the edges of the layers")
    points = tuple(table.strings("points"))
    for name in points:
        if name not in profiles:
            raise InputError(f"{table.where('points')}: {name!r} is not defined{did_you_mean(name, profiles)}")
    value = table.data.get("lag")
    lags = tuple(table.quantities("lag", "s")) if isinstance(value, list) else (table.quantity("lag", "s", above=0),)
    if not lags or min(lags) <= 0:
        raise table.error("lag", "must be positive times")
    return layers, points, lags


def _correlation(top: Table, regions: tuple[str, ...]) -> tuple[str, str] | None:
    names = top.strings("correlation", [])
    if not names:
        return None
    if len(names) != 2 or any(name not in regions for name in names):
        raise top.error("correlation", f"must be two of the regions {', '.join(regions) or '(none)'}")
    return names[0], names[1]


def _barrier(table: Table, name: str, profiles: tuple[str, ...], regions: tuple[Region, ...]) -> Barrier:
    table.only(*BARRIER_KEYS)
    return Barrier(
        name=name,
        points=_named(table, "points", profiles),
        zero=table.quantity("zero", "m"),
        well=_pair(table, "well"),
        top=_pair(table, "top"),
        flank=_pair(table, "flank") if "flank" in table else None,
        region=_named(table, "region", tuple(each.name for each in regions), ""),
        mass=table.quantity("mass", "kg", None, above=0),
    )


def _prediction(table: Table, barriers: tuple[Barrier, ...]) -> Prediction:
    table.only(*PREDICTION_KEYS)
    known = {barrier.name: barrier for barrier in barriers}
    value = table.data.get("barrier")
    names = tuple(table.strings("barrier")) if isinstance(value, list) else (table.string("barrier"),)
    for name in names:
        if name not in known:
            raise InputError(f"{table.where('barrier')}: {name!r} is not defined{did_you_mean(name, known)}")
    regions = {known[name].region for name in names}
    if len(regions) != 1 or "" in regions:
        raise InputError(
            f"{table.where('barrier')}: its barriers must name one region, whose entries are counted "
            f"(interface.barriers.NAME.region)"
        )
    at: list[tuple[float, float]] = []
    for each in table.tables("at"):
        each.only(*AT_KEYS)
        at.append((each.quantity("temperature", "K", above=0), each.quantity("reduction", "K", 0.0)))
    return Prediction(
        barriers=names,
        temperature=table.quantity("temperature", "K", above=0),
        jumps=table.integer("jumps", least=0),
        ions=table.number("ions", above=0),
        time=table.quantity("time", "s", above=0),
        reduction=table.quantity("reduction", "K", 0.0),
        at=tuple(at),
    )
