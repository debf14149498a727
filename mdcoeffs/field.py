"""Conductivity and transference numbers from drift in a field: a route that shares no estimator with Omega.

A field E along x gives the species the drift velocities v_i. With d_r the velocity of the reference r (the solvent, or
the centre of mass),

    i = sum_i z_i e N_i v_i / V,    kappa = i/E,    t_i^r = z_i e N_i (v_i - v_r) / (V i)

(kappa needs no frame, since the box is neutral). In the limit of a small field both are those of the Onsager matrix,
kappa = F^2 sum z_i z_j Omega_ij and t_i^r = z_i sum_j z_j Omega_ij^r / sum z z Omega. The error is that of the means of
blocks much longer than any memory of the current, with Student's t for their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cellsim.constants import e
from cellsim.errors import InputError
from mdcoeffs.displacements import CollectiveDisplacements

Array = NDArray[np.float64]

BLOCKS = 40
"""Blocks that the runs are cut into, all together, unless `block` says how long one is."""
FEWEST = 10
"""Fewest blocks an interval is given for."""
_DRAWS = 20000


@dataclass(frozen=True, eq=False)
class Drift:
    """Response to one field.

    Parameters
    ----------
    field : float
        Strength [V/m].
    velocity : array (species,)
        Mean drift velocity along the field, barycentric [m/s].
    covariance : array (species, species)
        Covariance of those means [m^2/s^2].
    blocks : int
        Number of blocks behind it.
    block : float
        Length of a block [s].
    kappa : float
        Conductivity [S/m].
    t_solvent, t_barycentric : float
        Cation transference number in the two frames [1].
    draws : array (draws, 3)
        Joint draws of kappa, t_solvent, t_barycentric.
    """

    field: float
    velocity: Array
    covariance: Array
    blocks: int
    block: float
    kappa: float
    t_solvent: float
    t_barycentric: float
    draws: Array

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Central interval of ``"kappa"``, ``"t_solvent"`` or ``"t_barycentric"``."""
        column = self.draws[:, ("kappa", "t_solvent", "t_barycentric").index(name)]
        low, high = np.quantile(column, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def drift_in_field(
    runs: CollectiveDisplacements | Sequence[CollectiveDisplacements],
    field: float,
    *,
    block: float | None = None,
    skip: float = 0.0,
    seed: int = 0,
) -> Drift:
    """Conductivity and transference numbers from runs in one field along x.

    Parameters
    ----------
    runs : CollectiveDisplacements or sequence of them
        Replicas in the same field; cation, anion and solvent, masses known.
    field : float
        Its strength [V/m].
    block : float, optional
        Length of a block; `BLOCKS` of them in all when left out [s].
    skip : float
        Start of every run that is left out, until the current is steady [s].
    seed : int
        Of the draws.

    Returns
    -------
    Drift

    Raises
    ------
    InputError
        No field, fewer than `FEWEST` blocks, no masses, ions that do not move.
    """
    replicas = [runs] if isinstance(runs, CollectiveDisplacements) else list(runs)
    if not replicas:
        raise InputError("no run in a field given; at least one is needed")
    if not (math.isfinite(field) and field != 0):
        raise InputError(f"field = {field!r} V/m must be a number other than zero")
    moved = [run.to_frame("barycentric") for run in replicas]
    first = moved[0]
    begin = [round(skip / run.dt) for run in moved]
    usable = sum(run.duration - at * run.dt for run, at in zip(moved, begin, strict=True))
    length = usable / BLOCKS if block is None else float(block)
    if not (usable > 0 and length >= first.dt * (1 - 1e-9)):
        raise InputError(
            f"the runs in the field are {sum(run.duration for run in moved) * 1e12:.4g} ps long, too short for "
            f"{BLOCKS} blocks after the first {skip * 1e12:g} ps of each are left out"
        )
    parts = [_block_velocities(run, at, length) for run, at in zip(moved, begin, strict=True)]
    v = np.concatenate(parts)
    if len(v) < FEWEST:
        raise InputError(
            f"the runs hold {len(v)} blocks of {length * 1e12:.3g} ps, at least {FEWEST} are needed: use a longer run"
        )
    counts, masses = np.asarray(first.counts, dtype=float), np.asarray(first.masses, dtype=float)
    charge = np.asarray(first.z) * e * counts / first.volume
    mean = v.mean(axis=0)
    covariance = np.cov(v.T) / len(v)
    rng = np.random.default_rng(seed)
    normal = rng.multivariate_normal(np.zeros(len(mean)), covariance / np.max(np.diag(covariance)), size=_DRAWS)
    student = np.sqrt((len(v) - 1) / rng.chisquare(len(v) - 1, size=_DRAWS))[:, None]
    drawn = mean + normal * student * math.sqrt(float(np.max(np.diag(covariance))))
    if not charge @ mean / field > 0:
        raise InputError("the current does not flow along the field: too short a run, or a field that was not applied")
    plus = first.ions[0]
    weights = counts * masses
    kappa, t_0, t_M = (float(x) for x in _response(mean[None], charge, weights, plus, first.solvents, field)[0])
    draws = _response(drawn, charge, weights, plus, first.solvents, field)
    return Drift(field, mean, covariance, len(v), length, kappa, t_0, t_M, draws)


def _block_velocities(run: CollectiveDisplacements, begin: int, length: float) -> Array:
    size = max(1, round(length / run.dt))
    ends = run.R[begin::size, :, 0]
    v: Array = np.diff(ends, axis=0) / (size * run.dt) / np.asarray(run.counts, dtype=float)
    return v


def _response(v: Array, charge: Array, weights: Array, plus: int, solvents: Sequence[int], field: float) -> Array:
    """kappa, t_solvent, t_barycentric (draws, 3) of barycentric drift velocities (draws, species)."""
    current = v @ charge
    v_0 = v[:, list(solvents)] @ weights[list(solvents)] / weights[list(solvents)].sum()
    return np.stack(
        [current / field, charge[plus] * (v[:, plus] - v_0) / current, charge[plus] * v[:, plus] / current], axis=1
    )


@dataclass(frozen=True)
class Agreement:
    """One quantity by two routes.

    Parameters
    ----------
    name : str
        ``"kappa"``, ``"t_solvent"`` or ``"t_barycentric"``.
    first, second : float
        The two values [S/m or 1].
    difference : (float, float)
        95 % interval of second minus first, the two independent.
    """

    name: str
    first: float
    second: float
    difference: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Zero lies in the interval of the difference."""
        return self.difference[0] <= 0 <= self.difference[1]


def compare_draws(name: str, first: Array, second: Array, *, values: tuple[float, float], seed: int = 0) -> Agreement:
    """Difference of two independent estimates given by draws.

    Parameters
    ----------
    name : str
        Of the quantity.
    first, second : array (draws,)
        Draws of either.
    values : (float, float)
        Central values.
    seed : int
        Of the pairing.

    Returns
    -------
    Agreement
    """
    rng = np.random.default_rng(seed)
    size = max(len(first), len(second))
    difference = rng.choice(second, size) - rng.choice(first, size)
    low, high = np.quantile(difference, [0.025, 0.975])
    return Agreement(name, values[0], values[1], (float(low), float(high)))


def zero_field(drifts: Sequence[Drift]) -> Array:
    """kappa, t_solvent, t_barycentric at zero field from several fields: a straight line in E^2, weighted.

    Parameters
    ----------
    drifts : sequence of Drift
        Two or more fields.

    Returns
    -------
    array (draws, 3)
        Joint draws of the intercepts; their spread holds the price of the extrapolation.

    Raises
    ------
    InputError
        Fewer than two different fields.
    """
    E2 = np.array([one.field**2 for one in drifts])
    if len(set(E2.tolist())) < 2:
        raise InputError("an extrapolation to zero field needs runs in at least two fields")
    found = np.empty((min(len(one.draws) for one in drifts), 3))
    for k in range(3):
        y = np.stack([one.draws[: len(found), k] for one in drifts], axis=1)
        w = 1 / y.var(axis=0, ddof=1)
        centre = w @ E2 / w.sum()
        slope = (y - y @ w[:, None] / w.sum()) @ (w * (E2 - centre)) / (w @ (E2 - centre) ** 2)
        found[:, k] = y @ w / w.sum() - slope * centre
    return found


def linear_response(drifts: Sequence[Drift]) -> float:
    """Probability of a kappa at least as unequal between the fields, were it the same at all (chi-squared test).

    Parameters
    ----------
    drifts : sequence of Drift
        Two or more fields.

    Returns
    -------
    float
        p-value [1]; below 0.01 the response is not linear.
    """
    kappa = np.array([one.kappa for one in drifts])
    w = 1 / np.array([one.draws[:, 0].var(ddof=1) for one in drifts])
    mean = w @ kappa / w.sum()
    return float(stats.chi2.sf(w @ (kappa - mean) ** 2, len(drifts) - 1))
