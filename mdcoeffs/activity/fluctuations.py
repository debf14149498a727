"""chi from sums over frames: Kirkwood-Buff integrals, composition waves, and their mean of least variance.

What the symbols mean stands in `mdcoeffs.activity.analysis`. All terms of the route of pairs are linear in the
counts: with the offset of a closed box h_ij(infinity) = -A_ij/V (Lebowitz & Percus) and the weight w of Krüger & Vlugt,

    A_ij = (delta_ij/rho_i + int h_ij w dr) / (1 - int w dr/V).

References
----------
Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675;
Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018), doi:10.1103/PhysRevE.97.051301.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError
from mdcoeffs.activity.waves import COLUMNS, Limit, WaveSums, composition, long_wave_limit
from mdcoeffs.statistics.blocks import Averaged, jackknife
from mdcoeffs.structure.radial import RadialSums, integral_weights

ROUTES = ("both", "waves", "pairs")
"""Ways to chi; both: the mean of least variance of the other two."""
PLATEAU = (0.7, 0.85)
"""The running integral is averaged from the second to its end, of its length; less the mean from the first to the
second, that is the error of the truncation [1]."""


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
        return np.asarray(self.reach >= PLATEAU[1] * self.reach[-1])


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
        Route -> (chi, its error) [1]; both: their mean of least variance.
    share : float
        Weight of the waves in that mean [1].
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
    share: float
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


def activity_from_sums(
    pairs: Sequence[RadialSums], waves: Sequence[WaveSums], *, nu: float, T: float, title: str = "",
    route: str = "both",
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
    flat = reach >= PLATEAU[1] * reach[-1]
    integrals = jackknife(pair_blocks, lambda sums: function(sums)[1][:, flat].mean(axis=1), weights=lengths)
    # both routes in one jackknife, for they see the same frames
    both = [np.concatenate([a, b], axis=1) for a, b in zip(wave_blocks, pair_blocks, strict=True)]
    cut, best, at = whole.size, float(limit.value.value), Y.value

    def results(sums: Array) -> Array:
        chi_waves = best + limit.gradient @ (composition(sums[:cut], n_ions) - at)
        chi_pairs = 1.0 / function(sums[cut:])[0][flat].mean()
        return np.array([chi_waves, chi_pairs, chi_waves - chi_pairs])

    joint = jackknife(both, results, weights=lengths)
    before = running.value[(reach >= PLATEAU[0] * reach[-1]) & ~flat].mean()
    spread = abs(1.0 / running.value[flat].mean() - 1.0 / before)
    found, share = _combined(joint, limit.spread, float(spread))
    difference = (float(joint.value[2]), float(np.sqrt(joint.error[2] ** 2 + limit.spread**2 + spread**2)))
    fraction, screening = _linear_limits(wave_blocks, lengths, limit, waves[0].charges, volume)
    return Activity(
        title=title, c=n_ions / (nu * N_A * volume), T=T, chi=found[route][0], error=found[route][1], route=route,
        routes=found, share=share, values=float(joint.blocks[:2].min()), difference=difference, phi_0=fraction,
        screening_length=screening, pairs=Pairs(reach, running, integrals), waves=Waves(k, Y, limit), frames=frames,
        numbers=(n_ions, n_solvent), volume=volume,
        notes=tuple(_notes(found, difference, joint, float(spread), k, screening, frames)),
    )  # fmt: skip


def _combined(joint: Averaged, waves: float, pairs: float) -> tuple[dict[str, tuple[float, float]], float]:
    """chi of each route and of their mean of least variance; and the share of the waves in it.

    `joint` holds chi of waves, of pairs and the difference, whose error gives their covariance; `waves` and `pairs` are
    the errors of the two extrapolations.
    """
    statistical = joint.error**2
    shared = 0.5 * (statistical[0] + statistical[1] - statistical[2])
    var_waves, var_pairs = statistical[0] + waves**2, statistical[1] + pairs**2
    share = float(np.clip((var_pairs - shared) / max(var_waves + var_pairs - 2.0 * shared, 1e-300), 0.0, 1.0))
    var = share**2 * var_waves + (1 - share) ** 2 * var_pairs + 2.0 * share * (1 - share) * shared
    mean = share * joint.value[0] + (1.0 - share) * joint.value[1]
    return {
        "both": (float(mean), float(np.sqrt(var))),
        "waves": (float(joint.value[0]), float(np.sqrt(var_waves))),
        "pairs": (float(joint.value[1]), float(np.sqrt(var_pairs))),
    }, share


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
            _intercept(k2, k2 * square / zz, n),
        ])  # fmt: skip

    found = jackknife(blocks, function, weights=lengths)
    # k^2 sum z^2/<|rho_z|^2> = 1/lambda^2 + k^2 + ...: exactly a line in the theory of Debye and Hueckel
    length = float(found.value[1] ** -0.5) if found.value[1] > 0 else float("nan")
    return (float(found.value[0]), float(found.error[0])), (length, 0.5 * float(found.error[1]) * length**3)


def _intercept(x: Array, y: Array, n: Array) -> float:
    x_0 = float(n @ x / n.sum())
    slope = float(n @ ((x - x_0) * y) / (n @ (x - x_0) ** 2))
    return float(n @ y / n.sum()) - slope * x_0


def _notes(
    found: Mapping[str, tuple[float, float]], difference: tuple[float, float], joint: Averaged, spread: float, k: Array,
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
    if spread > 0.1 * found["pairs"][0] and spread > 2.0 * float(joint.error[1]):
        notes.append("the Kirkwood-Buff integrals have no plateau in this box: it is too small for them")
    if screening[0] * k[0] > 1.0:
        notes.append(
            f"the longest wave of the box is shorter than the ions need for screening (k times the Debye length is "
            f"{screening[0] * k[0]:.2g}): the limit lies behind a bend; a larger box is needed"
        )
    if sum(frames) < 100:
        notes.append("fewer than 100 frames: errors are rough")
    return notes
