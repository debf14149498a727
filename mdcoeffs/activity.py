"""Thermodynamic factor chi = 1 + d ln gamma / d ln m of a salt in a solvent, from the composition of a running box.

All ions are one indistinguishable species s (rho_s = nu c N_A), the solvent is 0. In relative fluctuations
A_ij = V <dN_i dN_j>/(N_i N_j) = delta_ij/rho_i + G_ij the Kirkwood-Buff result reads

    chi = phi_0 / (1 + rho_s (G_ss - G_s0)) = 1/(rho_s (A_ss + A_00 - 2 A_s0)),
    phi_0 = (A_ss - A_s0)/(A_ss + A_00 - 2 A_s0):

1/chi is N_s times the variance of ln(molality). Two routes lead from one pass over the frames to it:

- ``waves``: composition waves of the box, k -> 0 (`mdcoeffs.waves`);
- ``pairs``: Kirkwood-Buff integrals of g(r) to half the box, weight of Krüger & Vlugt, with the offset of a closed box
  h_ij(infinity) = -A_ij/V taken away exactly (all terms are linear: A = (delta/rho + int h w)/(1 - int w/V)).

One call per concentration, and this signature stays: ``activity_of("runs/md/c2/SPECIES.toml")`` gives an `Activity`
with ``c`` [mol/m^3], ``chi`` and ``error`` [1], ``interval(level)``; folders of ``mdcoeffs simulate`` are taken as they
are (their ``positions.npz``).

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; Chitra & Smith, J. Phys. Chem. B 106, 1491 (2002),
doi:10.1021/jp012354y (indistinguishable ions); Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018),
doi:10.1103/PhysRevE.97.051301; Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675 (offset).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim.constants import N_A
from cellsim.errors import InputError
from mdcoeffs.blocks import Averaged, jackknife
from mdcoeffs.config import SpeciesFile, analysis_table, read_species
from mdcoeffs.radial import RadialSums, integral_weights, make_pair
from mdcoeffs.streams import Accumulator, Stream, open_stream, run_stream
from mdcoeffs.waves import COLUMNS, Limit, Vectors, WaveSums, composition, long_wave_limit, wave_vectors

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]

KEYS = ("route", "bin", "k_max", "sites")
ROUTES = ("waves", "pairs")
NAME = "activity"
REACH = 0.49
"""Largest distance of the pairs, of the shortest height of the box [1]; room for the fluctuations of a box."""
PLATEAU = 0.7
"""The running integral is averaged from here to its end, of its length [1]."""


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

    route: str = "waves"
    bin: float = 0.02e-9
    k_max: float | None = None
    sites: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The route of Kirkwood-Buff integrals.

    Parameters
    ----------
    reach : array (bins,)
        Upper ends L of the integrals [m].
    running : Averaged (bins,)
        rho_s (A_ss + A_00 - 2 A_s0) of the integrals to L; 1/chi on a plateau [1].
    integrals : Averaged (3,)
        G_ss, G_s0, G_00 averaged over the plateau [m^3].
    """

    reach: Array
    running: Averaged
    integrals: Averaged

    @property
    def plateau(self) -> NDArray[np.bool_]:
        """Bins the result is averaged over, (bins,)."""
        return np.asarray(self.reach >= PLATEAU * self.reach[-1])


@dataclass(frozen=True, eq=False)
class Waves:
    """The route of composition waves.

    Parameters
    ----------
    k : array (shells,)
        Wave number [1/m].
    Y : Averaged (shells,)
        Mean square of the composition wave [1].
    limit : Limit
        1/Y at k -> 0, the models and their weights.
    """

    k: Array
    Y: Averaged
    limit: Limit


@dataclass(frozen=True, eq=False)
class Activity:
    """chi at one concentration, with its error.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].
    chi : float
        Thermodynamic factor 1 + d ln gamma / d ln m, molal basis [1].
    error : float
        Its standard error: statistics and the extrapolation [1].
    route : str
        Where `chi` comes from, one of `ROUTES`.
    routes : mapping
        Route -> (chi, its error) [1].
    values : float
        Blocks behind the error, for Student's t [1].
    difference : tuple of float
        chi of the waves less chi of the pairs, and the standard error of that difference, for both see the same
        frames [1].
    phi_0 : tuple of float
        Volume fraction of the solvent c_0 V_0 from the same fluctuations, and its standard error [1].
    screening_length : tuple of float
        sqrt(S_zz/k^2) for k -> 0, the Debye length of the ions, and its standard error [m].
    pairs : Pairs
        What the Kirkwood-Buff integrals say.
    waves : Waves
        What the composition waves say.
    frames : tuple of int
        Frames of each replica.
    numbers : tuple of int
        Ions and solvent points in the box.
    volume : float
        Mean volume of the box [m^3].
    notes : tuple of str
        What the user must know.
    """

    title: str
    c: float
    T: float
    chi: float
    error: float
    route: str
    routes: Mapping[str, tuple[float, float]]
    values: float
    difference: tuple[float, float]
    phi_0: tuple[float, float]
    screening_length: tuple[float, float]
    pairs: Pairs
    waves: Waves
    frames: tuple[int, ...]
    numbers: tuple[int, int]
    volume: float
    notes: tuple[str, ...] = ()

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval that holds chi with probability `level` [1]; Student's t."""
        one = Averaged(np.array(self.chi), np.array(self.error), np.array(self.values), np.array(True))
        low, high = one.interval(level)
        return float(low), float(high)


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
        route=table.choice("route", ROUTES, "waves"), bin=table.quantity("bin", "m", 0.02e-9, above=0), k_max=k_max,
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
                    f"{one.arrays.parent}: holds summed displacements but no positions.npz, and activity needs positions; "
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


def activity_from_sums(
    pairs: Sequence[RadialSums], waves: Sequence[WaveSums], *, nu: float, T: float, title: str = "",
    route: str = "waves",
) -> Activity:  # fmt: skip
    """chi from the accumulators of all replicas.

    Parameters
    ----------
    pairs : sequence of RadialSums
        Pairs s-s, s-0, 0-0.
    waves : sequence of WaveSums
        Of the same frames.
    nu : float
        Ions of a formula unit [1].
    T : float
        Temperature [K].
    title : str
        For output.
    route : str
        One of `ROUTES`.

    Returns
    -------
    Activity

    Raises
    ------
    InputError
        Too few frames for an error.
    """
    n_ions, n_solvent = waves[0].ions.size, waves[0].solvent.size
    frames = tuple(one.sums.frames for one in waves)
    lengths = [one.sums.lengths for one in waves]
    wave_blocks = [one.sums.sums for one in waves]
    pair_blocks = [one.sums.sums for one in pairs]
    if sum(len(one) for one in lengths) < 12:
        raise InputError(f"{sum(frames)} frames are too few for an error of chi; at least 12 are needed")
    whole = np.asarray(sum(one.sum(axis=0) for one in wave_blocks))
    volume = float(whole[-2] / whole[-1])
    shells = waves[0].vectors.counts
    limit = long_wave_limit(wave_blocks, lengths, shells, n_ions)
    table = whole[:-2].reshape(len(COLUMNS), -1) / whole[-1]
    k = np.sqrt(table[COLUMNS.index("k2")])
    Y = jackknife(wave_blocks, lambda sums: composition(sums, n_ions), weights=lengths)
    function = _pair_function(pairs[0], n_ions, n_solvent)
    reach = pairs[0].edges[1:]
    running = jackknife(pair_blocks, lambda sums: function(sums)[0], weights=lengths)
    flat = reach >= PLATEAU * reach[-1]
    integrals = jackknife(pair_blocks, lambda sums: function(sums)[1][:, flat].mean(axis=1), weights=lengths)
    # both routes in one jackknife, for they see the same frames
    both = [np.concatenate([a, b], axis=1) for a, b in zip(wave_blocks, pair_blocks, strict=True)]
    cut, best, at = whole.size, float(limit.value.value), Y.value

    def results(sums: Array) -> Array:
        chi_waves = best + limit.gradient @ (composition(sums[:cut], n_ions) - at)
        chi_pairs = 1.0 / function(sums[cut:])[0][flat].mean()
        return np.array([chi_waves, chi_pairs, chi_waves - chi_pairs])

    joint = jackknife(both, results, weights=lengths)
    level = running.value[flat]
    spread = float(np.std(level) / np.mean(level) ** 2)
    found = {"waves": (best, float(np.hypot(joint.error[0], limit.spread))),
             "pairs": (float(joint.value[1]), float(np.hypot(joint.error[1], spread)))}  # fmt: skip
    chosen = ROUTES.index(route)
    difference = (float(joint.value[2]), float(np.sqrt(joint.error[2] ** 2 + limit.spread**2 + spread**2)))
    fraction, screening = _linear_limits(wave_blocks, lengths, limit, waves[0].charges, volume)
    return Activity(
        title=title, c=n_ions / (nu * N_A * volume), T=T, chi=found[route][0], error=found[route][1], route=route,
        routes=found, values=float(joint.blocks[chosen]), difference=difference, phi_0=fraction,
        screening_length=screening, pairs=Pairs(reach, running, integrals), waves=Waves(k, Y, limit), frames=frames,
        numbers=(n_ions, n_solvent), volume=volume,
        notes=tuple(_notes(found, difference, joint, level, k, screening, frames)),
    )  # fmt: skip


def _pair_function(sums: RadialSums, n_ions: int, n_solvent: int) -> Callable[[Array], tuple[Array, Array]]:
    """From sums of pairs: rho_s (A_ss + A_00 - 2 A_s0), (bins,), and G_ss, G_s0, G_00, (3, bins), of integrals to L."""
    edges = sums.edges
    bins, width = edges.size - 1, float(edges[1] - edges[0])
    matrix = integral_weights(0.5 * (edges[1:] + edges[:-1]), width)
    shell, size = 4.0 / 3.0 * np.pi * np.diff(edges**3), matrix.sum(axis=1)
    counts = np.array([n_ions * n_ions, n_ions * n_solvent, n_solvent * n_solvent], dtype=float)

    def function(total: Array) -> tuple[Array, Array]:
        volume = total[-2] / total[-1]
        g = total[:-2].reshape(3, bins) * volume / (total[-1] * counts[:, None] * shell)
        own = np.array([volume / n_ions, 0.0, volume / n_solvent])[:, None]
        A = (own + (g - 1.0) @ matrix.T) / (1.0 - size / volume)
        return n_ions / volume * (A[0] + A[2] - 2.0 * A[1]), A - own

    return function


def _linear_limits(
    blocks: list[Array], lengths: list[Array], limit: Limit, charges: Array, volume: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """phi_0 and the screening length: straight lines in k^2 through the longest waves."""
    size = min(6, limit.independent.size)
    n = limit.independent[:size]
    square = float(np.sum(charges**2))

    def function(total: Array) -> Array:
        ss, s0, zero, zz, k2 = total[:-2].reshape(len(COLUMNS), -1)[:, :size] / total[-1]
        return np.array([
            _intercept(k2, (ss - s0) / (ss + zero - 2.0 * s0), n),
            1.0 / np.sqrt(max(_intercept(k2, k2 * square / zz, n), 1e-300)),
        ])  # fmt: skip

    found = jackknife(blocks, function, weights=lengths)
    return (float(found.value[0]), float(found.error[0])), (float(found.value[1]), float(found.error[1]))


def _intercept(x: Array, y: Array, n: Array) -> float:
    x_0 = float(n @ x / n.sum())
    slope = float(n @ ((x - x_0) * y) / (n @ (x - x_0) ** 2))
    return float(n @ y / n.sum()) - slope * x_0


def _notes(
    found: Mapping[str, tuple[float, float]], difference: tuple[float, float], joint: Averaged, level: Array, k: Array,
    screening: tuple[float, float], frames: tuple[int, ...],
) -> list[str]:  # fmt: skip
    notes = []
    if not bool(joint.settled[:2].all()):
        notes.append("the run is worth fewer than ten independent compositions: the error is a lower bound")
    if abs(difference[0]) > 2.5 * difference[1]:
        notes.append(
            f"the two routes differ by {difference[0]:+.2g}, {abs(difference[0]) / difference[1]:.1f} standard errors: "
            f"the box is too small for one of them"
        )
    for name, (chi, error) in found.items():
        if error > 0.25 * chi:
            notes.append(f"{name}: the error of chi is {error / chi:.0%}; longer runs or more replicas are needed")
    if np.ptp(level) > 0.3 * abs(float(level.mean())):
        notes.append("the Kirkwood-Buff integrals have no plateau in this box: pairs cannot be believed")
    if 2.0 * screening[0] * k[0] < 1.0:
        pass
    elif screening[0] * k[0] > 1.0:
        notes.append(
            f"the longest wave of the box is shorter than the ions need to be screened (k = {screening[0] * k[0]:.2g} "
            f"over the Debye length): chi at k -> 0 is extrapolated over a bend; a larger box is needed"
        )
    if sum(frames) < 100:
        notes.append("fewer than 100 frames: errors are rough")
    return notes


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
