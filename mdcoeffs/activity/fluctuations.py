"""chi from sums over frames: Kirkwood-Buff integrals, composition waves, and their mean of least variance.

What the symbols mean is said in `mdcoeffs.activity`. All terms of the route of pairs are linear in the
counts: with the offset of a closed box h_ij(infinity) = -A_ij/V (Lebowitz & Percus) and the weight w of Krüger & Vlugt,

    A_ij = (delta_ij/rho_i + int h_ij w dr) / (1 - int w dr/V).

References
----------
Lebowitz & Percus, Phys. Rev. 122, 1675 (1961), doi:10.1103/PhysRev.122.1675;
Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018), doi:10.1103/PhysRevE.97.051301.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cellsim.base import N_A, Array, InputError
from mdcoeffs.activity.result import PLATEAU, Activity, Pairs, Waves
from mdcoeffs.activity.waves import COLUMNS, Limit, WaveSums, composition, long_wave_limit
from mdcoeffs.statistics.blocks import Averaged, jackknife
from mdcoeffs.structure.radial import RadialSums, integral_weights


def activity_from_sums(
    pairs: Sequence[RadialSums],
    waves: Sequence[WaveSums],
    *,
    nu: float,
    T: float,
    title: str = "",
    route: str = "both",
) -> Activity:
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
    frames = tuple(each.sums.frames for each in waves)
    lengths = [each.sums.lengths for each in waves]
    wave_blocks, pair_blocks = [each.sums.sums for each in waves], [each.sums.sums for each in pairs]
    if sum(len(each) for each in lengths) < 12:
        raise InputError(f"{sum(frames)} frames are too few for an error of chi; at least 12 are needed")
    whole = np.asarray(sum(each.sum(axis=0) for each in wave_blocks))
    volume = float(whole[-2] / whole[-1])
    limit = long_wave_limit(wave_blocks, lengths, waves[0].vectors.counts, n_ions)
    k = np.sqrt(whole[:-2].reshape(len(COLUMNS), -1)[COLUMNS.index("k2")] / whole[-1])
    Y = jackknife(wave_blocks, lambda sums: composition(sums, n_ions), weights=lengths)
    function = _pair_function(pairs[0], n_ions, n_solvent)
    reach = pairs[0].edges[1:]
    running = jackknife(pair_blocks, lambda sums: function(sums)[0], weights=lengths)
    flat = reach >= PLATEAU[1] * reach[-1]
    integrals = jackknife(pair_blocks, lambda sums: function(sums)[1][:, flat].mean(axis=1), weights=lengths)
    # Both routes in one jackknife, for they see the same snapshots: what is common to them cancels in the difference.
    both = [np.concatenate(blocks, axis=1) for blocks in zip(wave_blocks, pair_blocks, strict=True)]
    cut, best, at = whole.size, float(limit.value.value), Y.value

    def results(sums: Array) -> Array:
        chi_waves = best + limit.gradient @ (composition(sums[:cut], n_ions) - at)
        chi_pairs = 1.0 / function(sums[cut:])[0][flat].mean()
        return np.array([chi_waves, chi_pairs, chi_waves - chi_pairs])

    joint = jackknife(both, results, weights=lengths)
    before = running.value[(reach >= PLATEAU[0] * reach[-1]) & ~flat].mean()
    spread = float(abs(1.0 / running.value[flat].mean() - 1.0 / before))
    routes, share = _combined(joint, limit.spread, spread)
    difference = (float(joint.value[2]), float(np.sqrt(joint.error[2] ** 2 + limit.spread**2 + spread**2)))
    fraction, screening = _linear_limits(wave_blocks, lengths, limit, waves[0].charges)
    activity = Activity(
        title=title,
        c=n_ions / (nu * N_A * volume),
        T=T,
        chi=routes[route][0],
        error=routes[route][1],
        route=route,
        routes=routes,
        share=share,
        values=float(joint.blocks[:2].min()),
        difference=difference,
        phi_0=fraction,
        screening_length=screening,
        pairs=Pairs(reach, running, integrals),
        waves=Waves(k, Y, limit),
        frames=frames,
        points=(n_ions, n_solvent),
        volume=volume,
    )
    return replace(activity, notes=tuple(_notes(activity, joint, spread)))


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
    values = {"both": (mean, var), "waves": (joint.value[0], var_waves), "pairs": (joint.value[1], var_pairs)}
    return {name: (float(chi), float(np.sqrt(variance))) for name, (chi, variance) in values.items()}, share


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
    blocks: list[Array], lengths: list[Array], limit: Limit, charges: Array
) -> tuple[tuple[float, float], tuple[float, float]]:
    """phi_0 and the screening length: straight lines in k^2 through the longest waves."""
    size = min(6, limit.independent.size)
    n = limit.independent[:size]
    square = float(np.sum(charges**2))

    def function(total: Array) -> Array:
        ss, s0, zero, zz, k2 = total[:-2].reshape(len(COLUMNS), -1)[:, :size] / total[-1]
        solvent = _intercept(k2, (ss - s0) / (ss + zero - 2.0 * s0), n)
        # k^2 sum z^2/<|rho_z|^2> = 1/lambda^2 + k^2 + ...: exactly a line in the theory of Debye and Hueckel
        return np.array([solvent, _intercept(k2, k2 * square / zz, n)])

    limits = jackknife(blocks, function, weights=lengths)
    length = float(limits.value[1] ** -0.5) if limits.value[1] > 0 else float("nan")
    return (float(limits.value[0]), float(limits.error[0])), (length, 0.5 * float(limits.error[1]) * length**3)


def _intercept(x: Array, y: Array, n: Array) -> float:
    x_0 = float(n @ x / n.sum())
    slope = float(n @ ((x - x_0) * y) / (n @ (x - x_0) ** 2))
    return float(n @ y / n.sum()) - slope * x_0


def _notes(activity: Activity, joint: Averaged, spread: float) -> list[str]:
    notes = []
    difference, screening, routes = activity.difference, activity.screening_length[0], activity.routes
    if not bool(joint.settled[:2].all()):
        notes.append("the run is worth fewer than ten independent compositions: the error is a lower bound")
    if abs(difference[0]) > 2.5 * difference[1]:
        notes.append(
            f"the two routes differ by {difference[0]:+.2g}, {abs(difference[0]) / difference[1]:.1f} standard errors: "
            f"the box is too small for one of them"
        )
    for name, (chi, error) in routes.items():
        if error > 0.25 * chi:
            notes.append(f"{name}: the error of chi is {error / chi:.0%}; longer runs or more replicas are needed")
    if spread > 0.1 * routes["pairs"][0] and spread > 2.0 * float(joint.error[1]):
        notes.append("the Kirkwood-Buff integrals have no plateau in this box: it is too small for them")
    longest = screening * activity.waves.k[0]
    if longest > 1.0:
        notes.append(
            f"the longest wave of the box is shorter than the ions need for screening (k times the Debye length is "
            f"{longest:.2g}): the limit lies behind a bend; a larger box is needed"
        )
    if sum(activity.frames) < 100:
        notes.append("fewer than 100 frames: errors are rough")
    return notes
