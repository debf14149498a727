"""Small Monte Carlo fluids whose composition fluctuations are known, for the tests of activity.

Hard-sphere mixtures (Mansoori et al. 1971), the Lennard-Jones fluid, and a Lennard-Jones mixture whose chemical
potentials are measured beside; a few hundred particles, unit of length sigma.
"""

import numba
import numpy as np


@numba.njit
def _apart(one, other, edge):
    """Squared distance of two points, periodic images included."""
    r2 = 0.0
    for a in range(3):
        d = other[a] - one[a]
        d -= edge * np.rint(d / edge)
        r2 += d * d
    return r2


@numba.njit
def _free(x, size, kind, j, new, edge, hard, reach):
    """Energy of particle j at `new` [kT]: infinite where hard spheres overlap; Lennard-Jones at T = -hard < 0."""
    energy = 0.0
    for m in range(len(x)):
        if m == j:
            continue
        r2 = _apart(x[m], new, edge)
        if hard > 0:
            least = 0.5 * (size[kind[j]] + size[kind[m]])
            if r2 < least * least:
                return np.inf
        elif r2 < reach * reach:
            s6 = 1.0 / (r2 * r2 * r2)
            energy += 4.0 * (s6 * s6 - s6) / -hard
    return energy


@numba.njit
def _sweeps(rng, x, size, kind, edge, n, step, hard, reach, swaps):
    count, taken = len(x), 0
    for _ in range(n * count):
        j = rng.integers(0, count)
        new = x[j] + step * (rng.random(3) - 0.5)
        new -= edge * np.floor(new / edge)
        after = _free(x, size, kind, j, new, edge, hard, reach)
        if after < np.inf:
            before = 0.0 if hard > 0 else _free(x, size, kind, j, x[j], edge, hard, reach)
            if after <= before or rng.random() < np.exp(before - after):
                x[j] = new
                taken += 1
        if swaps:  # two spheres of different size change places
            j, m = rng.integers(0, count), rng.integers(0, count)
            if kind[j] != kind[m]:
                kind[j], kind[m] = kind[m], kind[j]
                if (
                    _free(x, size, kind, j, x[j], edge, hard, reach) == np.inf
                    or _free(x, size, kind, m, x[m], edge, hard, reach) == np.inf
                ):
                    kind[j], kind[m] = kind[m], kind[j]
    return taken


def hard_spheres(numbers, sizes, edge, frames, *, seed, between=2, warm=300):
    """Frames (frames, particles, 3) of a hard-sphere mixture, sorted by kind."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.repeat([0, 1], numbers))
    side = int(np.ceil(len(kind) ** (1 / 3) - 1e-9))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x = (grid[rng.permutation(len(grid))[: len(kind)]] + 0.5) * edge / side
    size = np.array(sizes, dtype=float)
    if edge / side < size.max():  # begin small, then grow
        size = size * edge / side / size.max() * 0.999
    while size[0] < sizes[0] * (1 - 1e-12):
        _sweeps(rng, x, size, kind, edge, 5, 0.15, 1.0, 0.0, False)
        room = min(1.03, sizes[0] / size[0], _closest(x, size[kind], edge) * 0.999999)
        size = size * max(room, 1.0)
    _sweeps(rng, x, size, kind, edge, warm, 0.2, 1.0, 0.0, True)
    out = np.empty((frames, len(kind), 3))
    for k in range(frames):
        _sweeps(rng, x, size, kind, edge, between, 0.2, 1.0, 0.0, True)
        out[k] = x[np.argsort(kind, kind="stable")]
    return out


def _closest(x, size, edge):
    d = x[:, None] - x[None]
    r = np.linalg.norm(d - edge * np.rint(d / edge), axis=2) / (0.5 * (size[:, None] + size[None]))
    return r[np.triu_indices(len(x), 1)].min()


def lennard_jones(number, density, temperature, reach, frames, *, seed, between=5, warm=300):
    """Frames (frames, particles, 3) of the Lennard-Jones fluid cut off at `reach`; and the box edge."""
    rng = np.random.default_rng(seed)
    edge = (number / density) ** (1 / 3)
    side = int(np.ceil(number ** (1 / 3) - 1e-9))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x = (grid[rng.permutation(len(grid))[:number]] + 0.5) * edge / side
    kind, size = np.zeros(number, dtype=np.int64), np.ones(1)
    _sweeps(rng, x, size, kind, edge, warm, 0.35, -temperature, reach, False)
    out = np.empty((frames, number, 3))
    for k in range(frames):
        _sweeps(rng, x, size, kind, edge, between, 0.35, -temperature, reach, False)
        out[k] = x
    return out, edge


def mansoori_free_energy(rho, size):
    """Excess Helmholtz energy per volume [kT] of a hard-sphere mixture, doi:10.1063/1.1675048 (BMCSL)."""
    z0, z1, z2, z3 = (np.pi / 6 * np.sum(rho * size**p) for p in range(4))
    inner = (z2**3 / z3**2 - z0) * np.log(1 - z3) + 3 * z1 * z2 / (1 - z3) + z2**3 / (z3 * (1 - z3) ** 2)
    return 6 / np.pi * inner


def mansoori_fluctuations(rho, size):
    """A_ij = V <dN_i dN_j>/(N_i N_j) (2, 2) of a hard-sphere mixture: inverse of rho_i rho_j d2(a)/d(rho_i)d(rho_j)."""
    rho, size = np.asarray(rho, float), np.asarray(size, float)
    second = np.diag(1 / rho)
    h = 1e-4 * rho
    for i in range(2):
        for j in range(2):
            for si in (1, -1):
                for sj in (1, -1):
                    shift = np.zeros(2)
                    shift[i] += si * h[i]
                    shift[j] += sj * h[j]
                    second[i, j] += si * sj * mansoori_free_energy(rho + shift, size) / (4 * h[i] * h[j])
    return np.linalg.inv(second * np.outer(rho, rho))


@numba.njit
def _pair_energy(x, kind, j, new, as_kind, edge, depth, reach):
    """Energy of particle j at `new` as one of `as_kind` [kT]."""
    energy = 0.0
    for m in range(len(x)):
        if m == j:
            continue
        r2 = _apart(x[m], new, edge)
        if r2 < reach * reach:
            s6 = 1.0 / (r2 * r2 * r2)
            energy += 4.0 * depth[as_kind, kind[m]] * (s6 * s6 - s6)
    return energy


@numba.njit
def _mixture_sweeps(rng, x, kind, edge, n, step, depth, reach):
    """Moves, and exchanges of two unlike particles."""
    count = len(x)
    for _ in range(n * count):
        j = rng.integers(0, count)
        new = x[j] + step * (rng.random(3) - 0.5)
        new -= edge * np.floor(new / edge)
        change = _pair_energy(x, kind, j, new, kind[j], edge, depth, reach) - _pair_energy(
            x, kind, j, x[j], kind[j], edge, depth, reach
        )
        if change <= 0 or rng.random() < np.exp(-change):
            x[j] = new
        j, m = rng.integers(0, count), rng.integers(0, count)
        if kind[j] != kind[m]:
            before = _pair_energy(x, kind, j, x[j], kind[j], edge, depth, reach)
            before += _pair_energy(x, kind, m, x[m], kind[m], edge, depth, reach)
            kind[j], kind[m] = kind[m], kind[j]
            after = _pair_energy(x, kind, j, x[j], kind[j], edge, depth, reach)
            after += _pair_energy(x, kind, m, x[m], kind[m], edge, depth, reach)
            # the bond between the two is of unlike kinds before and after, and counts twice in both
            if not (after <= before or rng.random() < np.exp(before - after)):
                kind[j], kind[m] = kind[m], kind[j]


@numba.njit
def _flips(x, kind, edge, depth, reach):
    """Mean Boltzmann factors of one particle that changes its kind: of those of kind 0, and of those of kind 1."""
    sums, numbers = np.zeros(2), np.zeros(2)
    for j in range(len(x)):
        own = kind[j]
        change = _pair_energy(x, kind, j, x[j], 1 - own, edge, depth, reach) - _pair_energy(
            x, kind, j, x[j], own, edge, depth, reach
        )
        sums[own] += np.exp(-change)
        numbers[own] += 1
    return sums / numbers


def lennard_jones_mixture(numbers, density, depth, reach, frames, *, seed, between=3, warm=300):
    """Frames of a mixture of two kinds of one size, sorted by kind, the box edge, and factors of changes of kind.

    `depth` are the wells [kT], (2, 2). The factors (frames, 2) are the means of exp(-change of energy/kT) of a particle
    of either kind that becomes one of the other.
    """
    rng = np.random.default_rng(seed)
    count = int(np.sum(numbers))
    edge = (count / density) ** (1 / 3)
    side = int(np.ceil(count ** (1 / 3) - 1e-9))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x = (grid[rng.permutation(len(grid))[:count]] + 0.5) * edge / side
    kind, depth = rng.permutation(np.repeat([0, 1], numbers)), np.array(depth, dtype=float)
    _mixture_sweeps(rng, x, kind, edge, warm, 0.35, depth, reach)
    out, factors = np.empty((frames, count, 3)), np.empty((frames, 2))
    for k in range(frames):
        _mixture_sweeps(rng, x, kind, edge, between, 0.35, depth, reach)
        out[k] = x[np.argsort(kind, kind="stable")]
        factors[k] = _flips(x, kind, edge, depth, reach)
    return out, edge, factors
