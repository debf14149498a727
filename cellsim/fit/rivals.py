"""Rival sets on the same data, nuisances refitted for each: the problems that evidence judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cellsim.case import Case, load_case
from cellsim.compare_data import Dataset, data_of_case, read_data
from cellsim.errors import InputError
from cellsim.fit.data import Use, observe
from cellsim.fit.evidence import Evidence
from cellsim.fit.experiment import CELL_ROLES, Experiment
from cellsim.fit.nuisance import DATA_ROLES, LINEAR_ROLES, ROLE_UNITS, default_start, typical
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.problem import Problem
from cellsim.fit.set_model import SetModel
from cellsim.run_folder import predict
from cellsim.set_file import parse_set

START_RESISTANCE = 0.01
"""Where a resistance begins that the case does not state [ohm m^2]."""
STRONG = 10.0
"""A difference in AIC that counts as strong evidence (Burnham & Anderson, doi:10.1177/0049124104268644)."""
REACH = 100.0
"""A nuisance may go so many times up or down from its start."""


def rival(case: Case, datasets: Sequence[Dataset], nuisances: Sequence[str]) -> Problem:
    """A case with its set as it stands and nuisances free.

    Parameters
    ----------
    case : Case
        Cell, protocol and set.
    datasets : sequence of Dataset
        What was measured; where no errors are stated the noise level is found.
    nuisances : sequence of str
        Which are refitted: R_int, area, gain, background, time_offset, ...

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        An unknown nuisance, or none.
    """
    parameters = tuple(_parameter(role, case) for role in nuisances)
    if not parameters:
        raise InputError("--refit needs the name of at least one nuisance, such as R_int")
    seen = []
    for dataset in datasets:
        roles = {
            role: role for role in nuisances
            if role in DATA_ROLES and (role not in ("gain", "background") or dataset.kind == "profile")
            and (role != "velocity_scale" or dataset.kind == "velocity")
        }  # fmt: skip
        seen.append(observe(dataset, case, Use(free=dataset.data.error is None, nuisance=roles)))
    cell_roles = {role: role for role in nuisances if role in CELL_ROLES}
    e = Experiment(
        case.path.stem, case.cell, case.protocol, case.c0, tuple(seen), cell_roles,
        "material" if case.transport.volumes.varies else "sundials", driven_by_total="area" in cell_roles,
    )  # fmt: skip
    base = parse_set(case.transport.text, case.transport.name)
    return Problem(Space(parameters), SetModel(base, (), case.transport.solvent_motion), (e,))


def _parameter(role: str, case: Case) -> Parameter:
    if role not in ROLE_UNITS:
        raise InputError(f"--refit {role}: is no nuisance; there are {', '.join(ROLE_UNITS)}")
    start = default_start(role, case)
    if start is None and role.startswith("R_"):
        stated = case.cell.negative if role == "R_negative" else case.cell.positive
        start = stated.resistance.at(0.0) or START_RESISTANCE
    if start is None:
        raise InputError(f"--refit {role}: the case must state it, so that there is somewhere to begin")
    logarithmic = role not in LINEAR_ROLES
    p = Parameter(role, start, ROLE_UNITS[role], logarithmic, typical(role, case), spread=0.3)
    return replace(p, lower=start / REACH, upper=start * REACH) if logarithmic else p


def rivals(cases: Sequence[str | Path], data: Sequence[str | Path], nuisances: Sequence[str]) -> dict[str, Problem]:
    """The problems of several cases with the same data.

    Parameters
    ----------
    cases : sequence of path
        Case files; they may differ in their set only as far as the data are concerned.
    data : sequence of path
        As `cellsim compare` takes them.
    nuisances : sequence of str
        Which are refitted.

    Returns
    -------
    dict
        Name of the set -> problem.
    """
    found: dict[str, Problem] = {}
    for path in cases:
        case = load_case(path)
        datasets = [d for name in data for d in read_data(name, case)]
        if not data or case.measured:
            datasets += list(data_of_case(case, predict(case)))
        name = case.transport.name
        found[name if name not in found else f"{name} ({Path(path).stem})"] = rival(case, datasets, nuisances)
    return found


def lines(found: Sequence[Evidence]) -> list[str]:
    """The verdict as a table for the terminal, the best set first."""
    best_aic, best_bic = min(e.aic for e in found), min(e.bic for e in found)
    width = max(len(e.name) for e in found)
    told = [f"{'set':<{width}}  {'chi2':>10}  {'dAIC':>8}  {'dBIC':>8}  held-out ln L, less the best's   refitted"]
    top = found[0].held_out
    for e in found:
        held = "-" if e.held_out is None or top is None else f"{e.held_out - top:+.1f} (scatter {e.held_out_error:.1f})"
        values = ", ".join(
            f"{name} = {e.fit.values[name]:.4g}"
            + (" (at its bound)" if e.fit.held_by[name] == "bound" else "")
            + ("" if e.fit.held_by[name] != "nothing" else " (not identified)")
            for name in e.fit.space.names
        )
        score = f"{e.fit.chi2_data:10.1f}  {e.aic - best_aic:8.1f}  {e.bic - best_bic:8.1f}"
        told.append(f"{e.name:<{width}}  {score}  {held:<32}  {values}")
    if len(found) > 1:
        close = [e.name for e in found if e.aic < best_aic + STRONG]
        told.append(
            f"{close[0]} is favoured over all others" if len(close) == 1
            else f"these data do not tell {' and '.join(close)} apart"
            + ("" if len(close) == len(found) else "; the others are disfavoured")
        )  # fmt: skip
        told.append(f"(a difference of {STRONG:g} in AIC counts as strong evidence)")
    return told
