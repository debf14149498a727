"""One state of a simulation by two routes: Omega of the runs at rest, drift of the runs in a field, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.errors import InputError
from mdcoeffs.displacements import CollectiveDisplacements
from mdcoeffs.estimate import OnsagerEstimate, estimate_onsager
from mdcoeffs.field import Agreement, Drift, compare_draws, drift_in_field, linear_response, zero_field
from mdcoeffs.run_record import read_record
from mdcoeffs.simulate import run_folder
from mdcoeffs.system import StatePoint, read_system
from mdcoeffs.tables import load_arrays

NAMES = ("kappa", "t_solvent", "t_barycentric")
"""What is compared: conductivity [S/m], cation transference number in the solvent and the barycentric frame [1]."""
SETTLE = 20e-12
"""Start of a run in a field that is left out [s]."""
LINEAR = 0.01
"""p-value below which the response is called non-linear."""


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
    keep = data["time"] * 1e-12 <= (point.frames + 0.5) * point.frame_interval
    return CollectiveDisplacements(
        R=data["R"][keep].astype(float) * 1e-12, time=data["time"][keep] * 1e-12, volume=point.volume,
        temperature=point.temperature, z=point.z, counts=point.counts, frame="lab", masses=point.masses,
        roles=tuple(one.role for one in point.species), names=tuple(one.name for one in point.species),
    ).to_frame("barycentric")  # fmt: skip


def field_result(folder: str | Path, *, block: float | None = None, seed: int = 0) -> FieldResult:
    """Compare the two routes for one state of a simulation.

    Parameters
    ----------
    folder : str or Path
        OUT/STATE, as :func:`mdcoeffs.simulate.simulate_system` leaves it.
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
    at_rest = [one for one in file.points if one.state == folder.name]
    in_field = [one for one in file.field_points if one.state == folder.name]
    if not at_rest:
        names = dict.fromkeys(one.state for one in file.points)
        raise InputError(f"{folder}: is not a state of {file.path.name}; allowed: {', '.join(names)}")
    if not in_field:
        raise InputError(f"{folder}: has no runs in a field; name the state in [field] of the SYSTEM.toml")
    runs = [displacements_of(run_folder(folder.parent, one), one) for one in at_rest]
    solvent = estimate_onsager(runs, frame="solvent", seed=seed)
    barycentric = estimate_onsager(runs, frame="barycentric", seed=seed)
    drifts = []
    for E in sorted({one.field for one in in_field}):
        driven = [displacements_of(run_folder(folder.parent, one), one) for one in in_field if one.field == E]
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
    found, labels = [], []
    for one in drifts:
        for k, name in enumerate(NAMES):
            values = (rest[name][0], float(getattr(one, name)))
            found.append(compare_draws(name, rest[name][1], one.draws[:, k], values=values))
            labels.append(f"{one.field * 1e-9:.4g} V/nm")
    p = float("nan")
    if len(drifts) > 1:
        p = linear_response(drifts)
        limit = zero_field(drifts)
        for k, name in enumerate(NAMES):
            values = (rest[name][0], float(np.median(limit[:, k])))
            found.append(compare_draws(name, rest[name][1], limit[:, k], values=values))
            labels.append("zero field")
    return FieldResult(state, solvent, barycentric, tuple(drifts), tuple(found), tuple(labels), p)


def field_lines(result: FieldResult) -> list[str]:
    """What the command prints.

    Parameters
    ----------
    result : FieldResult
        The comparison.

    Returns
    -------
    list of str
    """
    m = result.solvent
    lines = [f"{result.state}: {m.c / 1000:.4g} mol/L, {m.T:g} K; 95 % intervals"]
    width = max(len(label) for label in (*result.labels, "at rest (Omega)"))
    lines.append(f"  {'':<{width}}  {'kappa [S/m]':<22}{'t+ solvent frame':<24}t+ barycentric")
    rest = [m.interval("kappa"), m.interval("t_plus"), result.barycentric.interval("t_plus")]
    lines.append(_row("at rest (Omega)", width, (m.kappa, m.t_plus, result.barycentric.t_plus), rest))
    for one in result.drifts:
        ends = [one.interval(name) for name in NAMES]
        lines.append(_row(f"{one.field * 1e-9:.4g} V/nm", width, tuple(getattr(one, n) for n in NAMES), ends))
    lines.append("  field less rest:")
    for label in dict.fromkeys(result.labels):
        these = [a for a, here in zip(result.agreements, result.labels, strict=True) if here == label]
        lines.append(_row(label, width, tuple(a.second - a.first for a in these), [a.difference for a in these]))
    apart = [f"{a.name} ({here})" for a, here in zip(result.agreements, result.labels, strict=True) if not a.agrees]
    lines.append(f"  {'apart: ' + ', '.join(apart) if apart else 'the two routes agree within their errors'}")
    if result.p_linear == result.p_linear:
        verdict = "linear" if result.p_linear >= LINEAR else "not linear: use weaker fields"
        lines.append(f"  same kappa at all fields: p = {result.p_linear:.2g}, {verdict}")
    return lines + [f"  note     {doubt.name}: {doubt.text}" for doubt in m.warnings]


def _row(label: str, width: int, values: tuple[float, ...], ends: Sequence[tuple[float, float]]) -> str:
    cells = []
    for value, (low, high), digits in zip(values, ends, (2, 4, 4), strict=True):
        cells.append(f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
    return f"  {label:<{width}}  {cells[0]:<22}{cells[1]:<24}{cells[2]}".rstrip()


def write_field(result: FieldResult, path: str | Path) -> None:
    """Write the comparison as JSON.

    Parameters
    ----------
    result : FieldResult
        The comparison.
    path : str or Path
        File to write.
    """
    m = result.solvent
    found: dict[str, Any] = {
        "state": result.state, "c": m.c, "temperature": m.T, "level": 0.95,
        "at_rest": {
            "kappa": {"value": m.kappa, "interval": m.interval("kappa")},
            "t_solvent": {"value": m.t_plus, "interval": m.interval("t_plus")},
            "t_barycentric": {
                "value": result.barycentric.t_plus, "interval": result.barycentric.interval("t_plus")
            },
            "notes": [f"{doubt.name}: {doubt.text}" for doubt in m.warnings],
        },
        "in_field": [
            {"field": one.field, "blocks": one.blocks, "block": one.block, "velocity": one.velocity.tolist(),
             **{name: {"value": getattr(one, name), "interval": one.interval(name)} for name in NAMES}}
            for one in result.drifts
        ],
        "differences": [
            {"field": label, "name": a.name, "at_rest": a.first, "in_field": a.second, "interval": a.difference,
             "agrees": a.agrees}
            for a, label in zip(result.agreements, result.labels, strict=True)
        ],
        "p_linear": None if result.p_linear != result.p_linear else result.p_linear,
    }  # fmt: skip
    Path(path).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
