"""Structure around the cations: g(r), first shells, coordination, who is bound to how many anions, clusters.

Two passes over the frames: the first finds g(r) and from it the cutoffs that were not given, the second counts shells.

References
----------
Fang, Woolsey, Chakraborty, Halat, Balsara & Wang, J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F,
Figs. 4 and 5b, Eq. 7.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellsim.base import N_A, Array, InputError, Progress, R
from mdcoeffs.frames.reading import ANGSTROM
from mdcoeffs.frames.stream import Stream, open_stream, run_stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.onsager.report import read_onsager
from mdcoeffs.statistics.blocks import INDEPENDENT, Averaged, jackknife
from mdcoeffs.structure.radial import Radial, RadialSums, first_shell, make_pair, radial_of
from mdcoeffs.structure.shells import MOST, GyrationSums, ShellSettings, ShellSums, gyration_of, read_shells, sites_of

log = logging.getLogger(__name__)

SPHERE = 2.0 * np.sqrt(5.0 / 3.0)
"""Diameter of a uniform sphere over its radius of gyration [1]."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """Where anions begin to overlap: their distance equals their size.

    Parameters
    ----------
    size : float
        Diameter of an anion [m].
    error : float
        Its standard error; NaN where it was given [m].
    distance : float
        (V/N)^(1/3) of the anions [m].
    c_plus : float
        Cation concentration of this run [mol/m^3].
    c_overlap : float
        Cation concentration at which distance = size [mol/m^3].
    radius_of_gyration : float
        Root mean square; NaN where the size was given [m].
    """

    size: float
    error: float
    distance: float
    c_plus: float
    c_overlap: float
    radius_of_gyration: float


@dataclass(frozen=True)
class Shares:
    """Self and distinct shares of the cations' Onsager coefficient, barycentric frame.

    Parameters
    ----------
    own : float
        Omega++ self / Omega++ [1].
    distinct : float
        1 - own [1].
    error : float
        Standard error of both [1].
    """

    own: float
    distinct: float
    error: float


@dataclass(frozen=True, eq=False)
class Structure:
    """What ``mdcoeffs structure`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    settings : ShellSettings
        What was asked for.
    radial : tuple of Radial
        Cation to the sites of each partner, in the order of ``settings.partners``.
    centres : tuple of Radial
        Between centres of molecules, every pair of species; empty where not asked for.
    cutoffs : mapping
        Partner -> end of the first shell [m].
    found : tuple of str
        Partners whose cutoff was found from g(r), not given.
    atoms, molecules : Averaged (partners,)
        Coordinating atoms and molecules in the shell of a cation [1].
    bound : Averaged (partners, MOST + 1)
        Fraction of cations with 0, 1, ... molecules of each partner; the last class holds the rest [1].
    anions : Averaged (MOST + 1,)
        Fraction of cations bound to 0, 1, ... anions of any kind [1].
    cations : Averaged (MOST + 1,)
        Fraction of anions bound to 0, 1, ... cations [1].
    cation_clusters, anion_clusters : Averaged (4,)
        Fraction of cations and of anions that are free, in a pair, in a triple, in something larger [1].
    cluster_size : Averaged (2,)
        Mean number of ions in the cluster of an ion, and in the largest cluster [1].
    overlap : Overlap or None
        None without a single anion species of several atoms or a size.
    shares : Shares or None
        None unless [structure] names an Onsager result.
    volume : float
        Mean volume of the box [m^3].
    frames : tuple of int
        Frames of each replica.
    notes : tuple of str
        What the user must know.
    """

    title: str
    settings: ShellSettings
    radial: tuple[Radial, ...]
    centres: tuple[Radial, ...]
    cutoffs: Mapping[str, float]
    found: tuple[str, ...]
    atoms: Averaged
    molecules: Averaged
    bound: Averaged
    anions: Averaged
    cations: Averaged
    cation_clusters: Averaged
    anion_clusters: Averaged
    cluster_size: Averaged
    overlap: Overlap | None
    shares: Shares | None
    volume: float
    frames: tuple[int, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def free(self) -> Averaged:
        """Fraction of cations bound to no anion [1]; bound: one minus it."""
        return self.anions[0]


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
        own = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["self"]
        D, error = float(own["D_plus"]), float(own["standard_error"][0] or np.nan)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f'{folder}/summary.json holds no self-diffusion coefficients; run with self = "ions"'
        ) from problem
    factor = float(matrix.c_ions[0]) / (R * matrix.T) / float(matrix.Omega[0, 0])
    relative = error / D
    if matrix.covariance is not None:
        relative = float(np.hypot(relative, np.sqrt(matrix.covariance[0, 0]) / matrix.Omega[0, 0]))
    return Shares(factor * D, 1.0 - factor * D, abs(factor * D * relative))


def structure_from_file(
    file: SpeciesFile,
    *,
    folder: Path,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
    look: Callable[[list[Radial]], None] | None = None,
) -> Structure:
    """Read all replicas twice: g(r), then shells.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    folder : Path
        Where checkpoints go; must exist.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica and pass.
    look : callable, optional
        Called with the g(r) of the first pass, before shells are sought in them.

    Returns
    -------
    Structure

    Raises
    ------
    InputError
        Bad input of any kind; no first shell where a cutoff is needed.
    """
    settings = read_shells(file)
    radial, centres = radial_functions(file, settings, folder, checkpoint_every, progress)
    if look is not None:
        look(radial)
    cutoffs, found = find_cutoffs(settings, radial)
    reach = np.array([cutoffs[name] for name in settings.partners])
    anions = np.isin(settings.partners, settings.anions)
    sized = _sized_anion(file, settings)

    def make(stream: Stream) -> dict[str, ShellSums | GyrationSums]:
        parts: dict[str, ShellSums | GyrationSums] = {"shells": ShellSums(sites_of(stream, settings), reach, anions)}
        if sized:
            parts["gyration"] = gyration_of(stream, sized)
        return parts

    runs = run_stream(
        file, make, name="shells", folder=folder, whole=bool(sized), checkpoint_every=checkpoint_every,
        progress=progress, settings={"structure": repr(settings), "cutoffs": reach.tolist()},
    )  # fmt: skip
    shells = [one["shells"] for one in runs]
    lengths = [one.sums.lengths for one in shells]

    def mean(name: str) -> Averaged:
        part, frames = shells[0].parts[name], shells[0].parts["frames"]
        return jackknife([one.sums.sums for one in shells], lambda s: s[part] / s[frames], weights=lengths)

    counts = mean("molecules")
    notes = [
        f"{name}: worth fewer than {INDEPENDENT} independent coordination numbers, so the error is a lower bound"
        for k, name in enumerate(settings.partners)
        if not counts.settled[k]
    ]
    if min(one.sums.frames for one in shells) < 20:
        notes.append("fewer than 20 frames: errors are rough")
    volume = radial[0].volume
    gyration = [one["gyration"] for one in runs] if sized else []
    return Structure(
        title=file.title, settings=settings, radial=tuple(radial), centres=tuple(centres), cutoffs=cutoffs,
        found=found, atoms=mean("atoms"), molecules=mean("molecules"),
        bound=mean("bound").reshape(len(settings.partners), MOST + 1),
        anions=mean("anions"), cations=mean("cations"), cation_clusters=mean("cation_clusters"),
        anion_clusters=mean("anion_clusters"), cluster_size=mean("sizes"),
        overlap=_overlap(file, settings, gyration, volume, radial[0].numbers[0]),
        shares=self_distinct(settings.onsager) if settings.onsager else None, volume=volume,
        frames=tuple(one.sums.frames for one in shells), notes=tuple(notes),
    )  # fmt: skip


def radial_functions(
    file: SpeciesFile, settings: ShellSettings, folder: Path, checkpoint_every: float, progress: Progress | None
) -> tuple[list[Radial], list[Radial]]:
    """First pass: g(r) from the cation to the sites of each partner, and between the centres of all species.

    Parameters
    ----------
    file : SpeciesFile
        The file.
    settings : ShellSettings
        What is asked for.
    folder : Path
        Where checkpoints go.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        As in :func:`structure_from_file`.

    Returns
    -------
    sites, centres : list of Radial
    """
    names = [one.name for one in file.species]
    half = min(_half_box(file, number) for number in range(len(file.replicas))) if settings.centres else 0.0

    def make(stream: Stream) -> dict[str, RadialSums]:
        sites = sites_of(stream, settings)
        molecule = stream.molecule_of(sites.cations)
        pairs = []
        for k, name in enumerate(settings.partners):
            chosen = sites.partner == k
            pairs.append(
                make_pair(f"{settings.cation}-{name}", sites.cations, sites.atoms[chosen], molecule,
                          sites.molecule[chosen])
            )  # fmt: skip
        parts = {"sites": RadialSums(pairs, _edges(settings.r_max, settings.bin))}
        if settings.centres:
            own = [stream.molecules_of(name) for name in names]
            between = [
                make_pair(f"{names[i]}-{names[j]}", own[i], own[j], own[i], own[j], centres=True)
                for i in range(len(names)) for j in range(i, len(names))
            ]  # fmt: skip
            parts["centres"] = RadialSums(between, _edges(half, settings.bin))
        return parts

    asked = [settings.cation, list(settings.partners), dict(settings.sites), settings.r_max, settings.bin, half]
    runs = run_stream(
        file, make, name="radial", folder=folder, whole=settings.centres, checkpoint_every=checkpoint_every,
        progress=progress, settings={"structure": asked},
    )  # fmt: skip
    sites = radial_of([one["sites"] for one in runs])
    return sites, radial_of([one["centres"] for one in runs]) if settings.centres else []


def find_cutoffs(settings: ShellSettings, radial: list[Radial]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Ends of the first shells: as given, else from g(r).

    Parameters
    ----------
    settings : ShellSettings
        With the cutoffs that are given.
    radial : list of Radial
        Cation to the sites of each partner.

    Returns
    -------
    cutoffs : dict
        Partner -> [m].
    found : tuple of str
        Those that came from g(r).

    Raises
    ------
    InputError
        As :func:`mdcoeffs.structure.radial.first_shell`.
    """
    cutoffs, found = {}, []
    for name, one in zip(settings.partners, radial, strict=True):
        if name in settings.cutoffs:
            cutoffs[name] = settings.cutoffs[name]
            continue
        cutoffs[name] = first_shell(one.r, one.g.value, one.g.error, name=one.name)
        found.append(name)
        log.info("%s: first shell ends at %.3g angstrom", one.name, cutoffs[name] / ANGSTROM)
    return cutoffs, tuple(found)


def _edges(reach: float, width: float) -> Array:
    return np.asarray(width * np.arange(round(reach / width) + 1), dtype=np.float64)


def _half_box(file: SpeciesFile, number: int) -> float:
    """Half the shortest height of the first box, with room for its fluctuations [m]."""
    frame = next(open_stream(file, number).frames())
    volume = frame.volume
    assert frame.box is not None
    heights = volume / np.linalg.norm(np.cross(frame.box[[1, 2, 0]], frame.box[[2, 0, 1]]), axis=1)
    return float(0.48 * heights.min())


def _sized_anion(file: SpeciesFile, settings: ShellSettings) -> str:
    """The one anion species, where its size has to be measured."""
    anions = [one.name for one in file.species if one.role == "anion"]
    if settings.anion_size is not None or len(anions) != 1:
        return ""
    stream = open_stream(file)
    atoms = np.diff(stream.molecules.first)[stream.molecules_of(anions[0])]
    return anions[0] if atoms.min() > 1 else ""


def _overlap(
    file: SpeciesFile, settings: ShellSettings, gyration: list[GyrationSums], volume: float, n_cations: int
) -> Overlap | None:
    anions = [one for one in file.species if one.role == "anion"]
    if len(anions) != 1 or (settings.anion_size is None and not gyration):
        return None
    z_plus = next(one.z for one in file.species if one.name == settings.cation)
    error, radius = np.nan, np.nan
    if settings.anion_size is not None:
        size = settings.anion_size
    else:
        found = jackknife([one.sums.sums for one in gyration], lambda s: np.sqrt(s[0] / s[1]),
                          weights=[one.sums.lengths for one in gyration])  # fmt: skip
        radius = float(found.value)
        size, error = SPHERE * radius, SPHERE * float(found.error)
    n_anions = open_stream(file).molecules_of(anions[0].name).size
    return Overlap(
        size=size, error=error, distance=float((volume / n_anions) ** (1 / 3)), c_plus=n_cations / (N_A * volume),
        c_overlap=overlap_concentration(size, anions[0].z, z_plus), radius_of_gyration=radius,
    )  # fmt: skip
