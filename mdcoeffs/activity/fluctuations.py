"""Thermodynamic factors from sums over frames: Kirkwood-Buff integrals, composition waves, and their mean.

What the symbols mean is said in `mdcoeffs.activity` and `mdcoeffs.activity.waves`. All terms of the route of pairs are
linear in the counts: with the offset of a closed box h_ij(infinity) = -A_ij/V (Lebowitz & Percus) and the weight w of
Krüger & Vlugt,

    A_ij = (delta_ij/rho_i + int h_ij w dr) / (1 - int w dr/V),        Y = M A M^T/V.

References
----------
Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675;
Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018), doi:10.1103/PhysRevE.97.051301.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cellsim.base import N_A, Array, InputError
from mdcoeffs.activity.result import PLATEAU, Activity, Pairs, Waves
from mdcoeffs.activity.waves import (
    Limit,
    WaveSums,
    composition,
    composition_map,
    fluctuations,
    long_wave_limit,
    neutral_map,
    square,
    triangle,
)
from mdcoeffs.statistics.blocks import Averaged, jackknife, jackknife_covariance
from mdcoeffs.structure.radial import RadialSums, integral_weights


@dataclass(frozen=True, eq=False)
class Factors:
    """Y^-1 of a composition at k = 0 by both routes; matrices by their upper triangles, `entries` numbers.

    Parameters
    ----------
    routes : mapping
        Route -> (entries (entries,), their covariance (entries, entries)) [1]; both: the mean of least variance.
    share : float
        Weight of the waves in that mean [1].
    values : array (entries,)
        Blocks behind the errors, for Student's t [1].
    settled : bool
        False where the run contains fewer than ten independent compositions.
    difference : tuple of array (entries,)
        Waves less pairs, and the standard error of that [1].
    spread : array (entries,)
        How far the integrals move between the two ends of the plateau [1].
    running : Averaged (bins, entries)
        Y of the integrals to every reach [1].
    Y : Averaged (shells, entries)
        Mean squares of the waves of composition [1].
    limit : Limit
        Y^-1 of the waves at k = 0.
    """

    routes: Mapping[str, tuple[Array, Array]]
    share: float
    values: Array
    settled: bool
    difference: tuple[Array, Array]
    spread: Array
    running: Averaged
    Y: Averaged
    limit: Limit


def factors_from_sums(pairs: Sequence[RadialSums], waves: Sequence[WaveSums], M: Array) -> Factors:
    """Y^-1 from the accumulators of all replicas.

    Parameters
    ----------
    pairs : sequence of RadialSums
        Pairs of all species, i <= j.
    waves : sequence of WaveSums
        Of the same frames.
    M : array (K, species)
        From `composition_map`.

    Returns
    -------
    Factors

    Raises
    ------
    InputError
        Too few frames for an error.
    """
    lengths = [each.sums.lengths for each in waves]
    wave_blocks, pair_blocks = [each.sums.sums for each in waves], [each.sums.sums for each in pairs]
    if sum(len(each) for each in lengths) < 12:
        frames = sum(each.sums.frames for each in waves)
        raise InputError(f"{frames} frames are too few for an error of chi; at least 12 are needed")
    limit = long_wave_limit(wave_blocks, lengths, waves[0].vectors.counts, M)
    Y = jackknife(wave_blocks, lambda sums: composition(sums, M), weights=lengths)
    function, reach = pair_fluctuations(pairs[0], waves[0].counts), pairs[0].edges[1:]

    def of_pairs(total: Array) -> Array:
        return triangle(M @ function(total)[0] @ M.T / (total[-2] / total[-1]))

    running = jackknife(pair_blocks, of_pairs, weights=lengths)
    flat = reach >= PLATEAU[1] * reach[-1]
    # Both routes in one jackknife, for they see the same snapshots: what is common to them cancels in the difference.
    both = [np.concatenate(blocks, axis=1) for blocks in zip(wave_blocks, pair_blocks, strict=True)]
    cut = wave_blocks[0].shape[1]

    def results(sums: Array) -> Array:
        from_waves = limit.moved(composition(sums[:cut], M) - Y.value)
        return np.concatenate([from_waves, _inverse(of_pairs(sums[cut:])[flat].mean(axis=0))])

    joint, covariance = jackknife_covariance(both, results, weights=lengths)
    before = running.value[(reach >= PLATEAU[0] * reach[-1]) & ~flat].mean(axis=0)
    spread = abs(_inverse(running.value[flat].mean(axis=0)) - _inverse(before))
    routes, share = _combined(joint.value, covariance, limit.spread, np.outer(spread, spread))
    m = spread.size
    own = np.diag(covariance)
    apart = own[:m] + own[m:] - 2.0 * np.diag(covariance[:m, m:]) + np.diag(limit.spread) + spread**2
    return Factors(
        routes=routes,
        share=share,
        values=np.minimum(joint.blocks[:m], joint.blocks[m:]),
        settled=bool(joint.settled.all()),
        difference=(joint.value[:m] - joint.value[m:], np.sqrt(np.maximum(apart, 0.0))),
        spread=spread,
        running=running,
        Y=Y,
        limit=limit,
    )


def _inverse(entries: Array) -> Array:
    return triangle(np.linalg.inv(square(entries)))


def _combined(
    value: Array, covariance: Array, waves: Array, pairs: Array
) -> tuple[dict[str, tuple[Array, Array]], float]:
    """Y^-1 of each route and of their mean of least variance, with covariances; and the share of the waves in it.

    `value` and `covariance` are those of waves and pairs side by side; `waves` and `pairs` are the covariances of the
    two extrapolations. All entries have one share, the one of least summed variance.
    """
    m = value.size // 2
    shared = 0.5 * (covariance[:m, m:] + covariance[m:, :m])
    of_waves, of_pairs = covariance[:m, :m] + waves, covariance[m:, m:] + pairs
    total = float(np.trace(of_waves + of_pairs - 2.0 * shared))
    share = float(np.clip(np.trace(of_pairs - shared) / max(total, 1e-300), 0.0, 1.0))
    var = share**2 * of_waves + (1 - share) ** 2 * of_pairs + 2.0 * share * (1 - share) * shared
    mean = share * value[:m] + (1.0 - share) * value[m:]
    return {"both": (mean, var), "waves": (value[:m], of_waves), "pairs": (value[m:], of_pairs)}, share


def pair_fluctuations(sums: RadialSums, counts: Sequence[int]) -> Callable[[Array], tuple[Array, Array]]:
    """From sums of pairs of all species, i <= j: A_ij and G_ij (bins, species, species) of integrals to every reach.

    Parameters
    ----------
    sums : RadialSums
        With the bins.
    counts : sequence of int
        Points of each species.

    Returns
    -------
    callable
        Sums over blocks -> A_ij = delta_ij/rho_i + G_ij, and G_ij [m^3].
    """
    edges, N = sums.edges, np.array(counts, dtype=float)
    bins, width = edges.size - 1, float(edges[1] - edges[0])
    matrix = integral_weights(0.5 * (edges[1:] + edges[:-1]), width)
    shell, size = 4.0 / 3.0 * np.pi * np.diff(edges**3), matrix.sum(axis=1)
    i, j = np.triu_indices(N.size)

    def function(total: Array) -> tuple[Array, Array]:
        volume = total[-2] / total[-1]
        g = total[:-2].reshape(i.size, bins) * volume / (total[-1] * (N[i] * N[j])[:, None] * shell)
        own = np.where(i == j, volume / N[i], 0.0)[:, None]
        A = (own + (g - 1.0) @ matrix.T) / (1.0 - size / volume)
        return square(A.T), square((A - own).T)

    return function


def linear_limits(
    waves: Sequence[WaveSums], z: Sequence[float], components: Sequence[int], limit: Limit
) -> tuple[Averaged, tuple[float, float]]:
    """Volume fractions and the screening length: straight lines in k^2 through the longest waves.

    From A of the neutral components V_k c_k = (A^-1 1)_k/(1^T A^-1 1), for dP = sum c_k dmu_k.

    Parameters
    ----------
    waves : sequence of WaveSums
        Of all replicas.
    z : sequence of float (species,)
        Charge numbers.
    components : sequence of int
        Species that count a component, the reference among them.
    limit : Limit
        Says how many independent waves there are.

    Returns
    -------
    fractions : Averaged (components,)
        Of the volume [1].
    screening : (float, float)
        sqrt(S_zz/k^2) for k -> 0 and its standard error; NaN without ions [m].
    """
    counts = waves[0].counts
    neutral = neutral_map(counts, z)[list(components)]
    size = min(6, limit.independent.size)
    n, charge = limit.independent[:size], np.array(z) * counts
    every = float(np.array(z) ** 2 @ np.array(counts))

    def function(total: Array) -> Array:
        a, k2 = (each[:size] for each in fluctuations(total, len(counts)))
        filled = np.linalg.solve(neutral @ a @ neutral.T, np.ones((size, len(components), 1)))[..., 0]
        shares = [_intercept(k2, row, n) for row in (filled / filled.sum(axis=1, keepdims=True)).T]
        if not every:
            return np.array([*shares, np.nan])
        # k^2 sum z^2/<|rho_z|^2> = 1/lambda^2 + k^2 + ...: exactly a line in the theory of Debye and Hueckel
        with np.errstate(divide="ignore", invalid="ignore"):  # ions that never part have no charge waves
            return np.array([*shares, _intercept(k2, k2 * every / (charge @ a @ charge), n)])

    limits = jackknife([each.sums.sums for each in waves], function, weights=[each.sums.lengths for each in waves])
    length = float(limits.value[-1] ** -0.5) if limits.value[-1] > 0 else float("nan")
    return limits[:-1], (length, 0.5 * float(limits.error[-1]) * length**3)


def _intercept(x: Array, y: Array, n: Array) -> float:
    x_0 = float(n @ x / n.sum())
    slope = float(n @ ((x - x_0) * y) / (n @ (x - x_0) ** 2))
    return float(n @ y / n.sum()) - slope * x_0


# ---- one salt in one solvent ----------------------------------------------------------------------------------------


def activity_from_sums(
    pairs: Sequence[RadialSums],
    waves: Sequence[WaveSums],
    *,
    z: Sequence[float] = (1, -1, 0),
    T: float,
    title: str = "",
    route: str = "both",
) -> Activity:
    """chi of a binary salt from the accumulators of all replicas.

    Parameters
    ----------
    pairs : sequence of RadialSums
        Pairs of cation, anion and solvent, i <= j.
    waves : sequence of WaveSums
        Of the same frames, the species in this order.
    z : sequence of float (3,)
        Charge numbers.
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
    plus, minus, n_solvent = waves[0].counts
    n_ions = plus + minus
    # counted by all ions instead of the anions alone, Y^-1 is chi itself
    found = factors_from_sums(pairs, waves, composition_map(waves[0].counts, z, [1], 2) * np.sqrt(n_ions / minus))
    lengths, pair_blocks = [each.sums.lengths for each in waves], [each.sums.sums for each in pairs]
    whole = np.asarray(sum(each.sums.sums.sum(axis=0) for each in waves))
    volume, k = float(whole[-2] / whole[-1]), np.sqrt(fluctuations(whole, 3)[1])
    function, reach = pair_fluctuations(pairs[0], waves[0].counts), pairs[0].edges[1:]
    flat = reach >= PLATEAU[1] * reach[-1]
    merge = np.array([[plus / n_ions, minus / n_ions, 0.0], [0.0, 0.0, 1.0]])
    own = np.array([1.0 / n_ions, 0.0, 1.0 / n_solvent])

    def integrals(sums: Array) -> Array:
        A = triangle(merge @ function(sums)[0][flat].mean(axis=0) @ merge.T)
        return np.asarray(A - own * sums[-2] / sums[-1])

    routes = {name: (float(chi[0]), float(np.sqrt(var[0, 0]))) for name, (chi, var) in found.routes.items()}
    fractions, screening = linear_limits(waves, z, (1, 2), found.limit)
    smaller = min(abs(charge) for charge in z[:2])
    activity = Activity(
        title=title,
        c=n_ions / ((abs(z[0]) + abs(z[1])) / smaller * N_A * volume),
        T=T,
        chi=routes[route][0],
        error=routes[route][1],
        route=route,
        routes=routes,
        share=found.share,
        values=float(found.values[0]),
        difference=(float(found.difference[0][0]), float(found.difference[1][0])),
        phi_0=(float(fractions.value[1]), float(fractions.error[1])),
        screening_length=screening,
        pairs=Pairs(reach, found.running[:, 0], jackknife(pair_blocks, integrals, weights=lengths)),
        waves=Waves(k, found.Y[:, 0], found.limit),
        frames=tuple(each.sums.frames for each in waves),
        points=(n_ions, n_solvent),
        volume=volume,
    )
    return replace(activity, notes=tuple(_notes(activity, found)))


def _notes(activity: Activity, found: Factors) -> list[str]:
    difference, routes = activity.difference, activity.routes
    notes = doubts(found, activity.screening_length[0] * activity.waves.k[0], sum(activity.frames))
    if abs(difference[0]) > 2.5 * difference[1]:
        notes.append(
            f"the two routes differ by {difference[0]:+.2g}, {abs(difference[0]) / difference[1]:.1f} standard errors: "
            f"the box is too small for one of them"
        )
    for name, (chi, error) in routes.items():
        if error > 0.25 * chi:
            notes.append(f"{name}: the error of chi is {error / chi:.0%}; longer runs or more replicas are needed")
    return notes


def doubts(found: Factors, screened: float, frames: int) -> list[str]:
    """What the user must know of both routes, whatever the number of components.

    Parameters
    ----------
    found : Factors
        Both routes.
    screened : float
        Screening length times the wave number of the longest waves; NaN without ions [1].
    frames : int
        In all.

    Returns
    -------
    list of str
    """
    notes = []
    if not found.settled:
        notes.append("the run contains fewer than ten independent compositions: the error is a lower bound")
    value, covariance = found.routes["pairs"]
    own = np.equal(*np.triu_indices(square(value).shape[0]))
    statistical = np.sqrt(np.maximum(np.diag(covariance) - found.spread**2, 0.0))
    if np.any((found.spread > 0.1 * np.abs(value))[own] & (found.spread > 2.0 * statistical)[own]):
        notes.append("the Kirkwood-Buff integrals have no plateau in this box: it is too small for them")
    if screened > 1.0:
        notes.append(
            f"the box is too small for the screening length of the ions (k of the longest wave times the Debye length "
            f"is {screened:.2g}), so the limit k -> 0 cannot be extrapolated; use a larger box"
        )
    if frames < 100:
        notes.append("fewer than 100 frames: errors are rough")
    return notes
