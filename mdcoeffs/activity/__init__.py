"""Thermodynamic factors from the composition of a running box: chi of a salt in a solvent, G of n components.

One salt in one solvent: chi = 1 + d ln gamma / d ln m. All ions are one indistinguishable species s (rho_s = nu c N_A),
the solvent is 0. In relative fluctuations
A_ij = V <dN_i dN_j>/(N_i N_j) = delta_ij/rho_i + G_ij the Kirkwood-Buff result reads

    chi = phi_0 / (1 + rho_s (G_ss - G_s0)) = 1/(rho_s (A_ss + A_00 - 2 A_s0)),
    phi_0 = (A_ss - A_s0)/(A_ss + A_00 - 2 A_s0):

1/chi is N_s times the variance of ln(molality). Two routes lead from one pass over the snapshots to it:

- ``waves``: composition waves of the box, k -> 0 (`mdcoeffs.activity.waves`);
- ``pairs``: Kirkwood-Buff integrals of g(r) to half the box, weight of Krüger & Vlugt, with the offset of a closed box
  h_ij(infinity) = -A_ij/V taken away exactly (all terms are linear: A = (delta/rho + int h w)/(1 - int w/V)).

n components (mixed solvents, several salts): G, the slopes of the chemical potentials in r_k = N_k/N_0, is the inverse
of N_0 times the covariance of the r_k in a large open volume, by the same two routes (`mdcoeffs.activity.mixture`).

One call per concentration, and this signature stays: ``activity_of("runs/md/c2/SPECIES.toml")`` gives an `Activity`
with ``c`` [mol/m^3], ``chi`` and ``error`` [1], ``interval(level)``, or a `MixtureActivity` with ``G``; folders of
``mdcoeffs simulate`` are taken as they are (their ``positions.npz``).

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; Kusalik & Patey, J. Chem. Phys.
86, 5110 (1987) (ions in a solvent); Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018),
doi:10.1103/PhysRevE.97.051301; Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675 (offset).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, Ints, Progress
from cellsim.files.schema import Table
from mdcoeffs.activity.fluctuations import activity_from_sums
from mdcoeffs.activity.mixture import MixtureActivity, mixture_from_sums
from mdcoeffs.activity.result import ROUTES, Activity
from mdcoeffs.activity.waves import WaveSums, WaveVectors, wave_vectors
from mdcoeffs.analysis import Analysis, First, analyse
from mdcoeffs.frames.snapshot import bins_over
from mdcoeffs.frames.stream import Accumulator, Stream, open_stream
from mdcoeffs.inputs.species import ROLES, SpeciesFile, analysis_table
from mdcoeffs.structure.radial import Pair, RadialSums, make_pair

KEYS = ("route", "bin", "k_max", "sites", "matrix", "cation", "solvent")
MATRICES = ("salt", "species")
"""Of what: chi of one salt in one solvent, or G of all components there are."""
REACH = 0.49
"""Largest distance of the pairs, of the shortest height of the box [1]; room for the fluctuations of a box."""


@dataclass(frozen=True)
class ActivitySettings:
    """The table [activity] of a SPECIES.toml.

    Parameters
    ----------
    route : str
        Whose chi is reported first, one of `mdcoeffs.activity.result.ROUTES`.
    bin : float
        Width of the bins of g(r) [m].
    k_max : float or None
        Shortest waves used; pi over the mean distance of the points when None [1/m].
    sites : mapping
        Species -> selection of the atoms that stand for it; empty: centres of mass of all molecules.
    matrix : str
        One of `MATRICES`.
    cation, solvent : str
        Of n components the cation that counts none, and the reference; empty for a salt.
    """

    route: str = "both"
    bin: float = 0.02e-9
    k_max: float | None = None
    sites: Mapping[str, str] = field(default_factory=dict)
    matrix: str = "salt"
    cation: str = ""
    solvent: str = ""


def read_activity(file: SpeciesFile) -> ActivitySettings:
    """Read the table [activity] of a SPECIES.toml.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    ActivitySettings

    Raises
    ------
    InputError
        Unknown keys, names that are no species; for chi of a salt anything but one salt in one solvent, else no cation,
        anion or solvent, or several cations of which none is chosen.
    """
    table = analysis_table(file, "activity")
    table.only(*KEYS)
    names = {role: [species.name for species in file.species if species.role == role] for role in ROLES}
    single = all(len(members) == 1 for members in names.values())
    matrix = table.choice("matrix", MATRICES, "salt" if single else "species")
    for role, members in names.items():
        if not members or (matrix == "salt" and len(members) != 1):
            number, remedy = (
                ("exactly", '; matrix = "species" takes any number') if matrix == "salt" else ("at least", "")
            )
            what = "chi is that of one salt in one solvent" if matrix == "salt" else "G is that of salts in solvents"
            raise InputError(
                f"{file.path}: activity needs {number} one {role}, here: {', '.join(members) or 'none'}; {what}{remedy}"
            )
    sites = table.table("sites", {})
    sites.only(*(species.name for species in file.species), chosen=True)
    return ActivitySettings(
        route=table.choice("route", ROUTES, "both"),
        bin=table.quantity("bin", "m", 0.02e-9, above=0),
        k_max=table.quantity("k_max", "1/m", None, above=0),
        sites={name: sites.string(name) for name in sites},
        matrix=matrix,
        cation=_one_of(table, "cation", names["cation"], matrix),
        solvent=_one_of(table, "solvent", names["solvent"], matrix),
    )


def _one_of(table: Table, key: str, members: Sequence[str], matrix: str) -> str:
    """The cation that counts no component, or the reference solvent; the first solvent of the file when left out."""
    given = table.string(key, "")
    if matrix == "salt":
        if given:
            raise table.error(key, 'is for matrix = "species"; chi of one salt in one solvent leaves no choice')
        return ""
    if key == "cation" and len(members) > 1 and not given:
        raise table.error(key, f"must name the cation that crosses the interfaces, one of {', '.join(members)}")
    return table.choice(key, members, members[0])


# ---- the pass -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ActivityPass:
    """What the pass needs: the settings, and what the first box and the first composition decide for all replicas.

    Parameters
    ----------
    settings : ActivitySettings
        What is asked for.
    counts : tuple of int
        Points of each species.
    vectors : WaveVectors
        Of the first box.
    edges : array (bins + 1,)
        Of g(r) [m].
    """

    settings: ActivitySettings
    counts: tuple[int, ...]
    vectors: WaveVectors
    edges: Array


def _from_the_first_box(file: SpeciesFile, settings: ActivitySettings, first: First) -> ActivityPass:
    stream = open_stream(file)
    counts = tuple(rows.size for rows in points_of(stream, settings).values())
    snapshot = next(stream.snapshots())
    if snapshot.box is None:
        raise InputError(f"{stream.label}: has no box, and Kirkwood-Buff integrals need one")
    spacing = (snapshot.volume / sum(counts)) ** (1 / 3)
    vectors = wave_vectors(snapshot.box, settings.k_max or np.pi / spacing)
    bins = bins_over(REACH * snapshot.heights.min(), settings.bin, "activity") + 1
    edges = np.asarray(settings.bin * np.arange(bins), dtype=np.float64)
    return ActivityPass(settings, counts, vectors, edges)


def points_of(stream: Stream, settings: ActivitySettings) -> dict[str, Ints]:
    """Rows of the points of every species: of one salt cation, anion and solvent, else in the order of the file.

    Parameters
    ----------
    stream : Stream
        A replica.
    settings : ActivitySettings
        With the sites, if any.

    Returns
    -------
    dict
        Name -> molecules, or atoms where sites are given, array of int.

    Raises
    ------
    InputError
        An ion that has more or less than one site, a species without a point, a net charge.
    """
    points, charge, size = {}, 0.0, 0.0
    order = (
        sorted(stream.species, key=lambda each: ROLES.index(each.role)) if settings.matrix == "salt" else stream.species
    )
    for species in order:
        rows = molecules = stream.molecules_of(species.name)
        if settings.sites:
            where = f"activity.sites.{species.name}"
            rows = stream.select(settings.sites.get(species.name, species.name), where)
            if species.role != "solvent" and not np.array_equal(np.sort(stream.molecule_of(rows)), molecules):
                raise InputError(
                    f"{where}: {rows.size} atoms for {molecules.size} ions; every ion needs exactly one atom that "
                    f"represents it"
                )
        points[species.name] = rows
        charge += species.z * rows.size
        size += abs(species.z) * rows.size
    if abs(charge) > 1e-6 * size:
        raise InputError(
            f"{stream.label}: the ions carry a net charge of {charge:g}; a thermodynamic factor is that of neutral "
            f"salts, so the counts must balance the charges"
        )
    return points


def _accumulators(stream: Stream, asked: ActivityPass) -> dict[str, Accumulator]:
    points = points_of(stream, asked.settings)
    counts = tuple(rows.size for rows in points.values())
    if counts != asked.counts:
        here, first = (
            ", ".join(f"{n} {name}" for name, n in zip(points, each, strict=True)) for each in (counts, asked.counts)
        )
        raise InputError(
            f"{stream.label}: {here}, but the first replica has {first}; replicas must be of one composition"
        )
    centres, groups = not asked.settings.sites, list(points.values())
    return {
        "pairs": RadialSums(species_pairs(groups, centres=centres), asked.edges),
        "waves": WaveSums(asked.vectors, groups, centres=centres),
    }


def _told(names: Iterable[str], counts: Sequence[int]) -> str:
    return ", ".join(f"{count} points of {name}" for name, count in zip(names, counts, strict=True))


def species_pairs(groups: Sequence[Ints], *, centres: bool) -> list[Pair]:
    """All pairs of species, i <= j, of points that pair with every other but themselves.

    Parameters
    ----------
    groups : sequence of array of int
        Rows of the points of each species.
    centres : bool
        Points are centres of mass of molecules.

    Returns
    -------
    list of Pair
    """
    own = np.split(np.arange(sum(rows.size for rows in groups)), np.cumsum([rows.size for rows in groups])[:-1])
    return [
        make_pair(f"{i}-{j}", groups[i], groups[j], own[i], own[j], centres=centres)
        for i in range(len(groups))
        for j in range(i, len(groups))
    ]


def _activity(file: SpeciesFile, asked: ActivityPass, runs: Sequence[Mapping[str, Any]]) -> Activity | MixtureActivity:
    settings = asked.settings
    pairs, waves = [run["pairs"] for run in runs], [run["waves"] for run in runs]
    common: dict[str, Any] = {"T": file.temperature, "title": file.title, "route": settings.route}
    if settings.matrix == "salt":
        z = [species.z for role in ROLES for species in file.species if species.role == role]
        return activity_from_sums(pairs, waves, z=z, **common)
    names, charges = [species.name for species in file.species], [species.z for species in file.species]
    return mixture_from_sums(
        pairs, waves, names=names, z=charges, cation=settings.cation, solvent=settings.solvent, **common
    )


def _depends_on(asked: ActivityPass) -> list[Any]:
    return [repr(asked.settings), asked.vectors.whole.tolist(), len(asked.edges)]


ANALYSIS = Analysis("activity", read_activity, _accumulators, _activity, _from_the_first_box, depends_on=_depends_on)


def activity_of(
    file: SpeciesFile | str | Path,
    *,
    settings: ActivitySettings | None = None,
    folder: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> Activity | MixtureActivity:
    """chi, or G of n components, of one state: :func:`mdcoeffs.analysis.analyse` of this analysis.

    Parameters
    ----------
    file : SpeciesFile, str or Path
        A SPECIES.toml; a replica that holds only summed displacements is read from ``positions.npz`` beside it.
    settings : ActivitySettings, optional
        The table [activity] of the file when left out.
    folder : Path, optional
        Where checkpoints go; must exist. Without it none are kept.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (snapshots done, in all) of each replica.

    Returns
    -------
    Activity or MixtureActivity
        The latter where there is more than one salt in one solvent, or `settings.matrix` says so.

    Raises
    ------
    InputError
        No positions, no box, no salt in a solvent, a net charge, too few frames for an error.
    """
    options = {"settings": settings, "folder": folder, "checkpoint_every": checkpoint_every, "progress": progress}
    activity: Activity | MixtureActivity = analyse(ANALYSIS, file, **options)  # type: ignore[arg-type]
    return activity
