"""One state of a simulation by two routes: Omega of the runs at rest, drift of the runs in a field, side by side.

The drift shares no estimator with Omega. A field E along x gives the species the drift velocities v_i. With v_r the
velocity of the reference r (the solvent, or the centre of mass),

    i = sum_i z_i e N_i v_i / V,    kappa = i/E,    t_i^r = z_i e N_i (v_i - v_r) / (V i)

(kappa needs no frame, since the box is neutral). In the limit of a small field both are those of the Onsager matrix,
kappa = F^2 sum z_i z_j Omega_ij and t_i^r = z_i sum_j z_j Omega_ij^r / sum z z Omega. The error is that of the means of
blocks much longer than any memory of the current, with Student's t for their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from cellsim.base import Array, InputError, e
from mdcoeffs.inputs.arrays import load_arrays
from mdcoeffs.md.record import read_record
from mdcoeffs.md.simulate import run_folder
from mdcoeffs.md.system import StatePoint, read_system
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import OnsagerEstimate, estimate_onsager

BLOCKS = 40
"""Blocks that the runs are cut into, all together, unless `block` says how long one is."""
FEWEST = 10
"""Fewest blocks an interval is given for."""
_DRAWS = 20000
NAMES = ("kappa", "t_solvent", "t_barycentric")
"""What is compared: conductivity [S/m], cation transference number in the solvent and the barycentric frame [1]."""
SETTLE = 20e-12
"""Start of a run in a field that is left out [s]."""
LINEAR = 0.01
"""p-value below which the response is called non-linear."""


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
        column = self.draws[:, NAMES.index(name)]
        low, high = np.quantile(column, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        own = {"field": self.field, "blocks": self.blocks, "block": self.block, "velocity": self.velocity.tolist()}
        return own | {name: {"value": getattr(self, name), "interval": self.interval(name)} for name in NAMES}


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

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        values = {"name": self.name, "at_rest": self.first, "in_field": self.second, "interval": self.difference}
        return values | {"agrees": self.agrees}


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
    E2 = np.array([drift.field**2 for drift in drifts])
    if len(set(E2.tolist())) < 2:
        raise InputError("an extrapolation to zero field needs runs in at least two fields")
    intercepts = np.empty((min(len(drift.draws) for drift in drifts), 3))
    for k in range(3):
        y = np.stack([drift.draws[: len(intercepts), k] for drift in drifts], axis=1)
        w = 1 / y.var(axis=0, ddof=1)
        centre = w @ E2 / w.sum()
        slope = (y - y @ w[:, None] / w.sum()) @ (w * (E2 - centre)) / (w @ (E2 - centre) ** 2)
        intercepts[:, k] = y @ w / w.sum() - slope * centre
    return intercepts


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
    kappa = np.array([drift.kappa for drift in drifts])
    w = 1 / np.array([drift.draws[:, 0].var(ddof=1) for drift in drifts])
    mean = w @ kappa / w.sum()
    return float(stats.chi2.sf(w @ (kappa - mean) ** 2, len(drifts) - 1))


@dataclass(frozen=True, eq=False)
class FieldResult:
    """One state by both routes.

    Parameters
    ----------
    state : str
        Its name.
    solvent, barycentric : OnsagerEstimate
        Onsager matrices of the runs at rest, in the two frames.
    drifts : tuple of Drift
        One per field, weakest first.
    agreements : tuple of Agreement
        Every field beside the equilibrium, `NAMES` for each; after them the limit of zero field where there are two
        fields or more.
    labels : tuple of str
        The field of each of them.
    p_linear : float
        p-value of the same kappa at all fields; NaN for one field [1].
    """

    state: str
    solvent: OnsagerEstimate
    barycentric: OnsagerEstimate
    drifts: tuple[Drift, ...]
    agreements: tuple[Agreement, ...]
    labels: tuple[str, ...]
    p_linear: float

    def lines(self) -> list[str]:
        """What the terminal shows."""
        m = self.solvent
        lines = [f"{self.state}: {m.c / 1000:.4g} mol/L, {m.T:g} K; 95 % intervals"]
        width = max(len(label) for label in (*self.labels, "at rest (Omega)"))
        lines.append(f"  {'':<{width}}  {'kappa [S/m]':<24}{'t+ solvent frame':<26}t+ barycentric")
        rest = [m.interval("kappa"), m.interval("t_plus"), self.barycentric.interval("t_plus")]
        lines.append(_row("at rest (Omega)", width, (m.kappa, m.t_plus, self.barycentric.t_plus), rest))
        for drift in self.drifts:
            ends = [drift.interval(name) for name in NAMES]
            lines.append(_row(f"{drift.field * 1e-9:.4g} V/nm", width, tuple(getattr(drift, n) for n in NAMES), ends))
        lines.append("  field less rest:")
        for label in dict.fromkeys(self.labels):
            these = [a for a, here in zip(self.agreements, self.labels, strict=True) if here == label]
            lines.append(_row(label, width, tuple(a.second - a.first for a in these), [a.difference for a in these]))
        apart = [f"{a.name} ({here})" for a, here in zip(self.agreements, self.labels, strict=True) if not a.agrees]
        lines.append(f"  {'apart: ' + ', '.join(apart) if apart else 'the two routes agree within their errors'}")
        if self.p_linear == self.p_linear:
            verdict = "linear" if self.p_linear >= LINEAR else "not linear: use weaker fields"
            lines.append(f"  same kappa at all fields: p = {self.p_linear:.2g}, {verdict}")
        return lines + [f"  note     {doubt.name}: {doubt.text}" for doubt in m.warnings]

    def numbers(self) -> dict[str, Any]:
        """Everything found, for JSON."""
        m = self.solvent
        at_rest = {
            "kappa": {"value": m.kappa, "interval": m.interval("kappa")},
            "t_solvent": {"value": m.t_plus, "interval": m.interval("t_plus")},
            "t_barycentric": {"value": self.barycentric.t_plus, "interval": self.barycentric.interval("t_plus")},
            "notes": [f"{doubt.name}: {doubt.text}" for doubt in m.warnings],
        }
        head = {"state": self.state, "c": m.c, "temperature": m.T, "level": 0.95, "at_rest": at_rest}
        in_field = [drift.numbers() for drift in self.drifts]
        compared = zip(self.labels, self.agreements, strict=True)
        differences = [{"field": label, **agreement.numbers()} for label, agreement in compared]
        return head | {"in_field": in_field, "differences": differences, "p_linear": self.p_linear}


def displacements_of(folder: str | Path, point: StatePoint) -> CollectiveDisplacements:
    """Summed displacements of a finished run.

    Parameters
    ----------
    folder : str or Path
        The run folder.
    point : StatePoint
        What it must hold.

    Returns
    -------
    CollectiveDisplacements
        Barycentric; the first ``point.frames`` steps, or as many of them as the file keeps at even times.

    Raises
    ------
    InputError
        Not finished, or another run.
    """
    folder = Path(folder)
    record = read_record(folder, point)
    if record is None or record.frames < point.frames:
        raise InputError(f"{folder}: no finished run; mdcoeffs simulate makes it")
    data = load_arrays(folder / "displacements.npz")
    used = data["time"] * 1e-12 <= (point.frames + 0.5) * point.frame_interval
    lab = CollectiveDisplacements(
        R=data["R"][used].astype(float) * 1e-12,
        time=data["time"][used] * 1e-12,
        volume=point.volume,
        temperature=point.temperature,
        z=point.z,
        counts=point.counts,
        frame="lab",
        masses=point.masses,
        roles=tuple(particle.role for particle in point.species),
        names=tuple(particle.name for particle in point.species),
    )
    return lab.to_frame("barycentric")


def field_result(folder: str | Path, *, block: float | None = None, seed: int = 0) -> FieldResult:
    """Compare the two routes for one state of a simulation.

    Parameters
    ----------
    folder : str or Path
        OUT/STATE, as :func:`mdcoeffs.md.simulate.simulate_system` leaves it.
    block : float, optional
        Length of the blocks of the runs in a field [s].
    seed : int
        Of the posterior and of the draws.

    Returns
    -------
    FieldResult

    Raises
    ------
    InputError
        Not such a folder, no runs in a field, runs that are not finished.
    """
    folder = Path(folder).resolve()
    file = read_system(folder.parent / "system.toml")
    at_rest = [point for point in file.points if point.state == folder.name]
    in_field = [point for point in file.field_points if point.state == folder.name]
    if not at_rest:
        names = dict.fromkeys(point.state for point in file.points)
        raise InputError(f"{folder}: is not a state of {file.path.name}; allowed: {', '.join(names)}")
    if not in_field:
        raise InputError(f"{folder}: has no runs in a field; name the state in [field] of the SYSTEM.toml")
    runs = [displacements_of(run_folder(folder.parent, point), point) for point in at_rest]
    solvent = estimate_onsager(runs, frame="solvent", seed=seed)
    barycentric = estimate_onsager(runs, frame="barycentric", seed=seed)
    drifts = []
    for E in sorted({point.field for point in in_field}):
        driven = [displacements_of(run_folder(folder.parent, point), point) for point in in_field if point.field == E]
        drifts.append(drift_in_field(driven, E, block=block, skip=SETTLE, seed=seed))
    return compare_routes(folder.name, solvent, barycentric, drifts)


def compare_routes(
    state: str, solvent: OnsagerEstimate, barycentric: OnsagerEstimate, drifts: Sequence[Drift]
) -> FieldResult:
    """Put the drift in one or several fields beside Omega.

    Parameters
    ----------
    state : str
        Name.
    solvent, barycentric : OnsagerEstimate
        The matrices in the two frames.
    drifts : sequence of Drift
        One per field.

    Returns
    -------
    FieldResult
    """
    rest = {
        "kappa": (solvent.kappa, solvent.draws("kappa")),
        "t_solvent": (solvent.t_plus, solvent.draws("t_plus")),
        "t_barycentric": (barycentric.t_plus, barycentric.draws("t_plus")),
    }
    agreements, labels = [], []
    for drift in drifts:
        for k, name in enumerate(NAMES):
            values = (rest[name][0], float(getattr(drift, name)))
            agreements.append(compare_draws(name, rest[name][1], drift.draws[:, k], values=values))
            labels.append(f"{drift.field * 1e-9:.4g} V/nm")
    p = float("nan")
    if len(drifts) > 1:
        p = linear_response(drifts)
        limit = zero_field(drifts)
        for k, name in enumerate(NAMES):
            values = (rest[name][0], float(np.median(limit[:, k])))
            agreements.append(compare_draws(name, rest[name][1], limit[:, k], values=values))
            labels.append("zero field")
    return FieldResult(state, solvent, barycentric, tuple(drifts), tuple(agreements), tuple(labels), p)


def _row(label: str, width: int, values: tuple[float, ...], ends: Sequence[tuple[float, float]]) -> str:
    cells = []
    for value, (low, high), digits in zip(values, ends, (2, 4, 4), strict=True):
        cells.append(f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
    return f"  {label:<{width}}  {cells[0]:<24}{cells[1]:<26}{cells[2]}".rstrip()
