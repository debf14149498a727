"""Structure around the cations: g(r), first shells, coordination, who is bound to how many anions, clusters.

The analysis ``mdcoeffs structure`` takes two passes over the snapshots: `RADIAL` finds g(r) and from it the cutoffs
that were not given, the second one counts shells.

References
----------
Fang, Woolsey, Chakraborty, Halat, Balsara & Wang, J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F,
Figs. 4 and 5b, Eq. 7.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import N_A, Array, InputError, R
from cellsim.files.schema import read_json_table
from cellsim.files.writing import Rows
from mdcoeffs.analysis import Analysis, First, columns
from mdcoeffs.frames.snapshot import ANGSTROM, bins_over
from mdcoeffs.frames.stream import Accumulator, Stream, open_stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.onsager.result import read_onsager
from mdcoeffs.statistics.blocks import INDEPENDENT, Averaged, jackknife
from mdcoeffs.structure.radial import Radial, RadialSums, first_shell, make_pair, radial_of
from mdcoeffs.structure.result import Overlap, Shares, Structure
from mdcoeffs.structure.shells import MOST, GyrationSums, ShellSettings, ShellSums, gyration_of, read_shells, sites_of

log = logging.getLogger(__name__)

SPHERE = 2.0 * np.sqrt(5.0 / 3.0)
"""Diameter of a uniform sphere over its radius of gyration [1]."""
ROOM = 0.48
"""Reach of g(r) between centres, in units of the first box's least height [1]: half of it, less its fluctuations."""


# ---- the first pass: g(r) -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RadialFunctions:
    """g(r) of a run.

    Parameters
    ----------
    sites : tuple of Radial
        Cation to the sites of each partner, in the order of the settings.
    centres : tuple of Radial
        Between centres of molecules, every pair of species; empty where not asked for.
    """

    sites: tuple[Radial, ...]
    centres: tuple[Radial, ...]

    def tables(self) -> dict[str, Rows]:
        """g(r) between cation and sites, so that there is something to look at when no first shell is found."""
        named: dict[str, Any] = {"r_angstrom": self.sites[0].r / ANGSTROM}
        for radial in self.sites:
            named |= {f"g_{radial.name}": radial.g.value, f"error_{radial.name}": radial.g.error}
        return {"radial.csv": columns(named)}


def _to_half_the_box(file: SpeciesFile, settings: ShellSettings, first: First) -> ShellSettings:
    if not settings.centres:
        return settings
    half = min(ROOM * _least_height(file, number) for number in range(len(file.replicas)))
    return replace(settings, half=half)


def _least_height(file: SpeciesFile, number: int) -> float:
    return float(next(open_stream(file, number).snapshots()).heights.min())


def _radial_sums(stream: Stream, settings: ShellSettings) -> dict[str, RadialSums]:
    sites = sites_of(stream, settings)
    molecule = stream.molecule_of(sites.cations)
    pairs = []
    for k, name in enumerate(settings.partners):
        chosen = sites.partner == k
        owners = molecule, sites.molecule[chosen]
        pairs.append(make_pair(f"{settings.cation}-{name}", sites.cations, sites.atoms[chosen], *owners))
    sums = {"sites": RadialSums(pairs, _edges(settings.r_max, settings.bin))}
    if settings.centres:
        names = [species.name for species in stream.species]
        molecules = [stream.molecules_of(name) for name in names]
        between = []
        for i, a in enumerate(molecules):
            for j, b in enumerate(molecules[i:], start=i):
                between.append(make_pair(f"{names[i]}-{names[j]}", a, b, a, b, centres=True))
        sums["centres"] = RadialSums(between, _edges(settings.half, settings.bin))
    return sums


def _edges(reach: float, width: float) -> Array:
    return np.asarray(width * np.arange(bins_over(reach, width, "structure") + 1), dtype=np.float64)


def _radial_functions(
    file: SpeciesFile, settings: ShellSettings, runs: Sequence[Mapping[str, RadialSums]]
) -> RadialFunctions:
    sites = radial_of([run["sites"] for run in runs])
    centres = radial_of([run["centres"] for run in runs]) if settings.centres else []
    return RadialFunctions(tuple(sites), tuple(centres))


def _of_radial(s: ShellSettings) -> list[Any]:
    return [s.cation, list(s.partners), dict(s.sites), s.r_max, s.bin, s.half]


RADIAL = Analysis("radial", read_shells, _radial_sums, _radial_functions, _to_half_the_box, depends_on=_of_radial)
"""The pass for g(r) alone; other analyses take their cutoffs from it."""


def find_cutoffs(settings: ShellSettings, radial: Sequence[Radial]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Ends of the first shells: as given, else from g(r).

    Parameters
    ----------
    settings : ShellSettings
        With the cutoffs that are given.
    radial : sequence of Radial
        Cation to the sites of each partner.

    Returns
    -------
    cutoffs : dict
        Partner -> [m].
    from_radial : tuple of str
        Those that came from g(r).

    Raises
    ------
    InputError
        As :func:`mdcoeffs.structure.radial.first_shell`.
    """
    cutoffs, from_radial = {}, []
    for name, pair in zip(settings.partners, radial, strict=True):
        if name in settings.cutoffs:
            cutoffs[name] = settings.cutoffs[name]
            continue
        cutoffs[name] = first_shell(pair.r, pair.g.value, pair.g.error, name=pair.name)
        from_radial.append(name)
        log.info("%s: first shell ends at %.3g angstrom", pair.name, cutoffs[name] / ANGSTROM)
    return cutoffs, tuple(from_radial)


# ---- the second pass: shells ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ShellPass:
    """What the second pass needs.

    Parameters
    ----------
    shells : ShellSettings
        What is asked for.
    radial : RadialFunctions
        Of the first pass.
    cutoffs : mapping
        Partner -> end of the first shell [m].
    from_radial : tuple of str
        Partners whose cutoff was found from g(r).
    sized : str
        The anion whose size has to be measured; empty: none.
    """

    shells: ShellSettings
    radial: RadialFunctions
    cutoffs: Mapping[str, float]
    from_radial: tuple[str, ...]
    sized: str


def _with_cutoffs(file: SpeciesFile, settings: ShellSettings, first: First) -> ShellPass:
    radial = first(RADIAL, settings)
    cutoffs, from_radial = find_cutoffs(settings, radial.sites)
    return ShellPass(settings, radial, cutoffs, from_radial, _sized_anion(file, settings))


def _sized_anion(file: SpeciesFile, settings: ShellSettings) -> str:
    """The one anion species, where its size has to be measured."""
    anions = [species.name for species in file.species if species.role == "anion"]
    if settings.anion_size is not None or len(anions) != 1:
        return ""
    stream = open_stream(file)
    return anions[0] if stream.molecules.sizes[stream.molecules_of(anions[0])].min() > 1 else ""


def _shell_sums(stream: Stream, asked: ShellPass) -> dict[str, Accumulator]:
    shells = asked.shells
    reach = np.array([asked.cutoffs[name] for name in shells.partners])
    anions = np.isin(shells.partners, shells.anions)
    sums: dict[str, Accumulator] = {"shells": ShellSums(sites_of(stream, shells), reach, anions)}
    if asked.sized:
        sums["gyration"] = gyration_of(stream, asked.sized)
    return sums


def _structure(file: SpeciesFile, asked: ShellPass, runs: Sequence[Mapping[str, Any]]) -> Structure:
    shells, settings = [run["shells"] for run in runs], asked.shells
    lengths = [each.sums.lengths for each in shells]
    frames = shells[0].columns["frames"]

    def mean(name: str) -> Averaged:
        chosen = shells[0].columns[name]
        return jackknife([each.sums.sums for each in shells], lambda s: s[chosen] / s[frames], weights=lengths)

    def symmetry(s: Array) -> Array:
        n_4, q, var_4, n_6, var_6 = s[shells[0].columns["cages"]]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.array([q / n_4, np.sqrt(var_4 / n_4), np.sqrt(var_6 / n_6)])

    molecules = mean("molecules")
    notes = [
        f"{name}: fewer than {INDEPENDENT} independent coordination numbers, so the error is a lower bound"
        for k, name in enumerate(settings.partners)
        if not molecules.settled[k]
    ]
    if min(each.sums.frames for each in shells) < 20:
        notes.append("fewer than 20 frames: errors are rough")
    sites = asked.radial.sites
    gyration = [run["gyration"] for run in runs] if asked.sized else []
    return Structure(
        title=file.title,
        settings=settings,
        radial=sites,
        centres=asked.radial.centres,
        cutoffs=asked.cutoffs,
        from_radial=asked.from_radial,
        atoms=mean("atoms"),
        molecules=molecules,
        bound=mean("bound").reshape(len(settings.partners), MOST + 1),
        anions=mean("anions"),
        cations=mean("cations"),
        cation_clusters=mean("cation_clusters"),
        anion_clusters=mean("anion_clusters"),
        cluster_size=mean("sizes"),
        sites=mean("sites"),
        cages=jackknife([each.sums.sums for each in shells], symmetry, weights=lengths),
        overlap=_overlap(file, settings, gyration, sites[0].volume, sites[0].numbers[0]),
        shares=self_distinct(settings.onsager) if settings.onsager else None,
        volume=sites[0].volume,
        frames=tuple(each.sums.frames for each in shells),
        notes=tuple(notes),
    )


def _of_shells(asked: ShellPass) -> list[Any]:
    return [repr(asked.shells), list(asked.cutoffs.values())]


ANALYSIS = Analysis("structure", read_shells, _shell_sums, _structure, _with_cutoffs, depends_on=_of_shells)


# ---- what follows ---------------------------------------------------------------------------------------------------


def overlap_concentration(size: float, z_minus: float, z_plus: float = 1.0) -> float:
    """Cation concentration at which the mean distance of the anions equals their size.

    c_+ = |z_-| / (z_+ N_A size^3)

    Parameters
    ----------
    size : float
        Diameter of an anion [m].
    z_minus, z_plus : float
        Charge numbers [1].

    Returns
    -------
    float
        Concentration of cations [mol/m^3].

    Raises
    ------
    InputError
        A size that is not positive.

    References
    ----------
    doi:10.1039/D5TA05739F: 4.4 nm and z_- = -20 give 0.4 mol/L.
    """
    if not size > 0:
        raise InputError(f"size = {size!r} m must be positive")
    return abs(z_minus) / (z_plus * N_A * size**3)


def _overlap(
    file: SpeciesFile, settings: ShellSettings, gyration: Sequence[GyrationSums], volume: float, n_cations: int
) -> Overlap | None:
    anions = [species for species in file.species if species.role == "anion"]
    if len(anions) != 1 or (settings.anion_size is None and not gyration):
        return None
    z_plus = next(species.z for species in file.species if species.name == settings.cation)
    size, error, radius = settings.anion_size, np.nan, np.nan
    if size is None:
        sums, lengths = [each.sums.sums for each in gyration], [each.sums.lengths for each in gyration]
        measured = jackknife(sums, lambda s: np.sqrt(s[0] / s[1]), weights=lengths)
        radius = float(measured.value)
        size, error = SPHERE * radius, SPHERE * float(measured.error)
    n_anions = open_stream(file).molecules_of(anions[0].name).size
    distance, c_plus = float((volume / n_anions) ** (1 / 3)), n_cations / (N_A * volume)
    return Overlap(size, error, distance, c_plus, overlap_concentration(size, anions[0].z, z_plus), radius)


def self_distinct(folder: str | Path) -> Shares:
    """Self and distinct shares of L++ from a result of ``mdcoeffs onsager`` in the barycentric frame.

    Parameters
    ----------
    folder : str or Path
        Holds onsager.nc and summary.json.

    Returns
    -------
    Shares

    Raises
    ------
    InputError
        Not such a folder, another frame, or no self-diffusion coefficients in it.

    References
    ----------
    doi:10.1039/D5TA05739F, Eq. 7; there D c/(k_B T) is printed, which does not match its Eq. 1: the self part of
    Omega++ is c D/(R T).
    """
    folder = Path(folder)
    matrix = read_onsager(folder)
    if matrix.frame != "barycentric":
        raise InputError(
            f"{folder}: self and distinct shares are of the barycentric frame, this result is of the {matrix.frame} "
            f'frame; run mdcoeffs onsager with [estimate] frame = "barycentric"'
        )
    try:
        own = read_json_table(folder / "summary.json").table("self")
        D, errors = own.number("D_plus", above=0), own.data["standard_error"]
        error = np.nan if errors[0] is None else float(errors[0])
    except (InputError, LookupError, TypeError, ValueError) as problem:
        raise InputError(
            f'{folder}/summary.json contains no self-diffusion coefficients; run with self = "ions"'
        ) from problem
    share = D * float(matrix.c_ions[0]) / (R * matrix.T) / float(matrix.Omega[0, 0])
    relative = error / D
    if matrix.covariance is not None:
        relative = float(np.hypot(relative, np.sqrt(matrix.covariance[0, 0]) / matrix.Omega[0, 0]))
    return Shares(share, 1.0 - share, abs(share * relative))
