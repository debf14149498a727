"""Thermodynamic factor chi = 1 + d ln gamma / d ln m of a salt in a solvent, from the composition of a running box.

All ions are one indistinguishable species s (rho_s = nu c N_A), the solvent is 0. In relative fluctuations
A_ij = V <dN_i dN_j>/(N_i N_j) = delta_ij/rho_i + G_ij the Kirkwood-Buff result reads

    chi = phi_0 / (1 + rho_s (G_ss - G_s0)) = 1/(rho_s (A_ss + A_00 - 2 A_s0)),
    phi_0 = (A_ss - A_s0)/(A_ss + A_00 - 2 A_s0):

1/chi is N_s times the variance of ln(molality). Two routes lead from one pass over the frames to it:

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

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, Ints, Progress
from mdcoeffs.activity.fluctuations import ROUTES, Activity, activity_from_sums
from mdcoeffs.activity.waves import WaveSums, wave_vectors
from mdcoeffs.frames.stream import Accumulator, Stream, open_stream, run_stream
from mdcoeffs.inputs.species import SpeciesFile, analysis_table, read_species
from mdcoeffs.structure.radial import RadialSums, make_pair

KEYS = ("route", "bin", "k_max", "sites")
NAME = "activity"
REACH = 0.49
"""Largest distance of the pairs, of the shortest height of the box [1]; room for the fluctuations of a box."""


@dataclass(frozen=True)
class ActivitySettings:
    """The table [activity] of a SPECIES.toml.

    Parameters
    ----------
    route : str
        Whose chi is reported first, one of `ROUTES`.
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
        Unknown keys, names that are no species.
    """
    table = analysis_table(file, NAME)
    table.only(*KEYS)
    sites = table.table("sites", {})
    names = [one.name for one in file.species]
    sites.only(*names)
    k_max = table.quantity("k_max", "1/m", None, above=0)
    return ActivitySettings(
        route=table.choice("route", ROUTES, "both"), bin=table.quantity("bin", "m", 0.02e-9, above=0), k_max=k_max,
        sites={name: sites.string(name) for name in sites},
    )  # fmt: skip


def activity_of(
    file: SpeciesFile | str | Path,
    *,
    settings: ActivitySettings | None = None,
    folder: Path | None = None,
    checkpoint_every: float = 60.0,
    progress: Progress | None = None,
) -> Activity:
    """chi of one concentration from its trajectories.

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
        Called with (frames done, frames in all) of each replica.

    Returns
    -------
    Activity

    Raises
    ------
    InputError
        No positions, no box, no single salt in a single solvent, a net charge, too few frames for an error.
    """
    file = with_positions(read_species(file) if isinstance(file, (str, Path)) else file)
    settings = read_activity(file) if settings is None else settings
    nu = _salt(file)
    first = open_stream(file)
    groups = points_of(first, settings)
    n_ions, n_solvent = groups[0].size, groups[1].size
    box = _first_box(first)
    heights = np.abs(np.linalg.det(box)) / np.linalg.norm(np.cross(box[[1, 2, 0]], box[[2, 0, 1]]), axis=1)
    volume = float(np.abs(np.linalg.det(box)))
    spacing = (volume / (n_ions + n_solvent)) ** (1 / 3)
    vectors = wave_vectors(box, settings.k_max or np.pi / spacing)
    edges = settings.bin * np.arange(round(REACH * heights.min() / settings.bin) + 1)

    def make(stream: Stream) -> dict[str, Accumulator]:
        ions, solvent, charges = points_of(stream, settings)
        if (ions.size, solvent.size) != (n_ions, n_solvent):
            raise InputError(
                f"{stream.label}: {ions.size} ions and {solvent.size} solvent points, the first replica has {n_ions} "
                f"and {n_solvent}; replicas must be of one composition"
            )
        centres = not settings.sites
        i, j = np.arange(n_ions), -1 - np.arange(n_solvent)  # a point pairs with every other but itself
        radial = RadialSums(
            [make_pair("ss", ions, ions, i, i, centres=centres), make_pair("s0", ions, solvent, i, j, centres=centres),
             make_pair("00", solvent, solvent, j, j, centres=centres)], edges,
        )  # fmt: skip
        return {"pairs": radial, "waves": WaveSums(vectors, ions, solvent, charges, centres=centres)}

    asked = {"activity": [repr(settings), vectors.whole.tolist(), len(edges)]}
    with tempfile.TemporaryDirectory() as scratch:
        runs = run_stream(
            file, make, name=NAME, folder=folder or Path(scratch), settings=asked, whole=not settings.sites,
            checkpoint_every=checkpoint_every if folder else np.inf, progress=progress,
        )  # fmt: skip
    return activity_from_sums(
        [one["pairs"] for one in runs], [one["waves"] for one in runs], nu=nu, T=file.temperature, title=file.title,
        route=settings.route,
    )  # fmt: skip


def with_positions(file: SpeciesFile) -> SpeciesFile:
    """The same file with ``positions.npz`` in place of summed displacements where it lies beside them.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    SpeciesFile
    """
    replicas = []
    for one in file.replicas:
        beside = one.arrays.parent / "positions.npz" if one.arrays is not None else None
        if beside is not None and one.arrays is not None and one.arrays.name == "displacements.npz":
            if not beside.is_file():
                raise InputError(
                    f"{one.arrays.parent}: holds displacements but no positions.npz, and activity needs positions; "
                    f'run mdcoeffs simulate with [run] positions_interval, such as "5 ps"'
                )
            one = replace(one, arrays=beside)
        replicas.append(one)
    return replace(file, replicas=tuple(replicas))


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
    for one in stream.species:
        rows = molecules = stream.molecules_of(one.name)
        if settings.sites:
            rows = stream.select(settings.sites.get(one.name, one.name), f"activity.sites.{one.name}")
            owner = stream.molecule_of(rows)
            if one.role != "solvent" and not np.array_equal(np.sort(owner), molecules):
                raise InputError(
                    f"activity.sites.{one.name}: {rows.size} atoms for {molecules.size} ions; every ion needs exactly "
                    f"one atom that stands for it"
                )
        if one.role == "solvent":
            solvent.append(rows)
        else:
            ions.append(rows)
            charges.append(np.full(rows.size, one.z))
    s, z = np.concatenate(ions), np.concatenate(charges)
    if abs(z.sum()) > 1e-6 * np.abs(z).sum():
        raise InputError(
            f"{stream.label}: the ions carry a net charge of {z.sum():g}; chi is that of a neutral salt, so the counts "
            f"must balance the charges"
        )
    return s, np.concatenate(solvent), z


def _salt(file: SpeciesFile) -> float:
    """Ions of a formula unit; refuses what is not one salt in one solvent."""
    found = {role: [one for one in file.species if one.role == role] for role in ("cation", "anion", "solvent")}
    for role, members in found.items():
        if len(members) != 1:
            names = ", ".join(one.name for one in members) or "none"
            raise InputError(
                f"{file.path}: activity needs exactly one {role}, here: {names}; chi is that of one salt in one solvent"
            )
    plus, minus = abs(found["cation"][0].z), abs(found["anion"][0].z)
    least = min(plus, minus)
    return float((plus + minus) / least)


def _first_box(stream: Stream) -> Array:
    frame = next(stream.frames())
    if frame.box is None:
        raise InputError(f"{stream.label}: has no box, and Kirkwood-Buff integrals need one")
    return frame.box
