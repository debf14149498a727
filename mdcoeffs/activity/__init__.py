"""Thermodynamic factor chi = 1 + d ln gamma / d ln m of a salt in a solvent, from the composition of a running box.

All ions are one indistinguishable species s (rho_s = nu c N_A), the solvent is 0. In relative fluctuations
A_ij = V <dN_i dN_j>/(N_i N_j) = delta_ij/rho_i + G_ij the Kirkwood-Buff result reads

    chi = phi_0 / (1 + rho_s (G_ss - G_s0)) = 1/(rho_s (A_ss + A_00 - 2 A_s0)),
    phi_0 = (A_ss - A_s0)/(A_ss + A_00 - 2 A_s0):

1/chi is N_s times the variance of ln(molality). Two routes lead from one pass over the snapshots to it:

- ``waves``: composition waves of the box, k -> 0 (`mdcoeffs.activity.waves`);
- ``pairs``: Kirkwood-Buff integrals of g(r) to half the box, weight of Krüger & Vlugt, with the offset of a closed box
  h_ij(infinity) = -A_ij/V taken away exactly (all terms are linear: A = (delta/rho + int h w)/(1 - int w/V)).

One call per concentration, and this signature stays: ``activity_of("runs/md/c2/SPECIES.toml")`` gives an `Activity`
with ``c`` [mol/m^3], ``chi`` and ``error`` [1], ``interval(level)``; folders of ``mdcoeffs simulate`` are taken as they
are (their ``positions.npz``).

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; Kusalik & Patey, J. Chem. Phys.
86, 5110 (1987) (ions in a solvent); Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018),
doi:10.1103/PhysRevE.97.051301; Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675 (offset).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, Ints, Progress
from mdcoeffs.activity.fluctuations import activity_from_sums
from mdcoeffs.activity.result import ROUTES, Activity
from mdcoeffs.activity.waves import WaveSums, WaveVectors, wave_vectors
from mdcoeffs.analysis import Analysis, First, analyse
from mdcoeffs.frames.snapshot import bins_over
from mdcoeffs.frames.stream import Accumulator, Stream, open_stream
from mdcoeffs.inputs.species import SpeciesFile, analysis_table
from mdcoeffs.structure.radial import RadialSums, make_pair

KEYS = ("route", "bin", "k_max", "sites")
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
    """

    route: str = "both"
    bin: float = 0.02e-9
    k_max: float | None = None
    sites: Mapping[str, str] = field(default_factory=dict)


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
        Unknown keys, names that are no species, anything but one salt in one solvent.
    """
    table = analysis_table(file, "activity")
    table.only(*KEYS)
    for role in ("cation", "anion", "solvent"):
        members = [species.name for species in file.species if species.role == role]
        if len(members) != 1:
            raise InputError(
                f"{file.path}: activity needs exactly one {role}, here: {', '.join(members) or 'none'}; chi is that of "
                f"one salt in one solvent"
            )
    sites = table.table("sites", {})
    sites.only(*(species.name for species in file.species), chosen=True)
    return ActivitySettings(
        route=table.choice("route", ROUTES, "both"),
        bin=table.quantity("bin", "m", 0.02e-9, above=0),
        k_max=table.quantity("k_max", "1/m", None, above=0),
        sites={name: sites.string(name) for name in sites},
    )


# ---- the pass -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ActivityPass:
    """What the pass needs: the settings, and what the first box and the first composition decide for all replicas.

    Parameters
    ----------
    settings : ActivitySettings
        What is asked for.
    counts : tuple of int
        Ions and solvent points.
    vectors : WaveVectors
        Of the first box.
    edges : array (bins + 1,)
        Of g(r) [m].
    """

    settings: ActivitySettings
    counts: tuple[int, int]
    vectors: WaveVectors
    edges: Array


def _from_the_first_box(file: SpeciesFile, settings: ActivitySettings, first: First) -> ActivityPass:
    stream = open_stream(file)
    ions, solvent, _ = points_of(stream, settings)
    snapshot = next(stream.snapshots())
    if snapshot.box is None:
        raise InputError(f"{stream.label}: has no box, and Kirkwood-Buff integrals need one")
    spacing = (snapshot.volume / (ions.size + solvent.size)) ** (1 / 3)
    vectors = wave_vectors(snapshot.box, settings.k_max or np.pi / spacing)
    bins = bins_over(REACH * snapshot.heights.min(), settings.bin, "activity") + 1
    edges = np.asarray(settings.bin * np.arange(bins), dtype=np.float64)
    return ActivityPass(settings, (ions.size, solvent.size), vectors, edges)


def points_of(stream: Stream, settings: ActivitySettings) -> tuple[Ints, Ints, Array]:
    """Rows of the ions and of the solvent points, and the charge numbers of the ions.

    Parameters
    ----------
    stream : Stream
        A replica.
    settings : ActivitySettings
        With the sites, if any.

    Returns
    -------
    ions, solvent : array of int (n,), (m,)
        Molecules, or atoms where sites are given.
    charges : array (n,)
        Charge numbers [1].

    Raises
    ------
    InputError
        An ion that has more or less than one site, no solvent, a net charge.
    """
    ions, charges, solvent = [], [], []
    for species in stream.species:
        rows = molecules = stream.molecules_of(species.name)
        if settings.sites:
            where = f"activity.sites.{species.name}"
            rows = stream.select(settings.sites.get(species.name, species.name), where)
            if species.role != "solvent" and not np.array_equal(np.sort(stream.molecule_of(rows)), molecules):
                raise InputError(
                    f"{where}: {rows.size} atoms for {molecules.size} ions; every ion needs exactly one atom that "
                    f"represents it"
                )
        if species.role == "solvent":
            solvent.append(rows)
        else:
            ions.append(rows)
            charges.append(np.full(rows.size, species.z))
    z = np.concatenate(charges)
    if abs(z.sum()) > 1e-6 * np.abs(z).sum():
        raise InputError(
            f"{stream.label}: the ions carry a net charge of {z.sum():g}; chi is that of a neutral salt, so the counts "
            f"must balance the charges"
        )
    return np.concatenate(ions), np.concatenate(solvent), z


def _accumulators(stream: Stream, asked: ActivityPass) -> dict[str, Accumulator]:
    ions, solvent, charges = points_of(stream, asked.settings)
    if (ions.size, solvent.size) != asked.counts:
        raise InputError(
            f"{stream.label}: {ions.size} ions and {solvent.size} solvent points, the first replica has "
            f"{asked.counts[0]} and {asked.counts[1]}; replicas must be of one composition"
        )
    centres = not asked.settings.sites
    i, j = np.arange(ions.size), -1 - np.arange(solvent.size)  # a point pairs with every other but itself
    pairs = [
        make_pair("ss", ions, ions, i, i, centres=centres),
        make_pair("s0", ions, solvent, i, j, centres=centres),
        make_pair("00", solvent, solvent, j, j, centres=centres),
    ]
    waves = WaveSums(asked.vectors, ions, solvent, charges, centres=centres)
    return {"pairs": RadialSums(pairs, asked.edges), "waves": waves}


def _activity(file: SpeciesFile, asked: ActivityPass, runs: Sequence[Mapping[str, Any]]) -> Activity:
    plus, minus = (abs(s.z) for role in ("cation", "anion") for s in file.species if s.role == role)
    return activity_from_sums(
        [run["pairs"] for run in runs],
        [run["waves"] for run in runs],
        nu=(plus + minus) / min(plus, minus),
        T=file.temperature,
        title=file.title,
        route=asked.settings.route,
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
) -> Activity:
    """chi of one concentration from its trajectories: :func:`mdcoeffs.analysis.analyse` of this analysis.

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
    Activity

    Raises
    ------
    InputError
        No positions, no box, no single salt in a single solvent, a net charge, too few frames for an error.
    """
    options = {"settings": settings, "folder": folder, "checkpoint_every": checkpoint_every, "progress": progress}
    activity: Activity = analyse(ANALYSIS, file, **options)  # type: ignore[arg-type]
    return activity
