"""A design's own file: the cell, what may be chosen, what can be measured and how well, and the goal (docs/fit.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellsim.case import Case, load_case
from cellsim.cell import Cell
from cellsim.errors import InputError
from cellsim.fit.design import Candidate, candidates
from cellsim.fit.looks import ProfileLook, SeriesLook, VelocityLook
from cellsim.fit.noise import Noise, independent
from cellsim.fit.nuisance import read_nuisances
from cellsim.fit.observation import Observation
from cellsim.fit.parameters import Space
from cellsim.fit.recipe import read_set_model
from cellsim.fit.set_model import SetModel
from cellsim.readers.maps import VelocityTable
from cellsim.schema import Table, read_toml
from cellsim.set_file import read_set
from cellsim.simulation import simulate
from cellsim.solvers.state import Options

KINDS = ("current", "profile", "velocity")


@dataclass(frozen=True)
class DesignFile:
    """A design, read and checked.

    Parameters
    ----------
    title : str
        For figure and table.
    found : tuple of Candidate
        Every cell that may be built.
    durations : tuple of float
        [s]
    overhead : float
        Beam time of a cell beside its duration [s].
    shrink : str
        A parameter, or "".
    rival : SetModel, optional
        The set to be told from the case's own.
    """

    title: str
    found: tuple[Candidate, ...]
    durations: tuple[float, ...]
    overhead: float
    shrink: str
    rival: SetModel | None


def read_design(path: str | Path) -> DesignFile:
    """Read and check a design's file.

    Parameters
    ----------
    path : str or Path
        The TOML file.

    Returns
    -------
    DesignFile

    Raises
    ------
    InputError
        Anything unknown, missing or out of bounds.
    """
    top = read_toml(path)
    top.only("title", "case", "set", "goal", "candidates", "measure", "fit", "nuisance", "overhead")
    case = load_case(top.path("case"))
    goal = top.table("goal")
    goal.only("shrink", "separate")
    which = goal.exactly_one("shrink", "separate")
    model, joint = read_set_model(top, case)
    rival = None
    if which == "separate":
        names = goal.strings("separate")
        if len(names) != 2:
            raise goal.error("separate", "must name two sets")
        if "fit" in top:
            raise top.error("fit", "has no meaning where two sets are separated as they stand; nuisances do")
        first, second = (read_set(name, folder=top.file.parent) for name in names)
        model = SetModel(first, (), case.transport.solvent_motion)
        rival = SetModel(second, (), case.transport.solvent_motion)
    elif joint is not None:
        raise top.error("fit", 'prior = "set" is not offered here; name the properties that are unknown')
    nuisances, roles = read_nuisances(top, case)
    if not model.parameters and which == "shrink":
        raise InputError(f"{top.file}: nothing is unknown; name the properties under [fit]")
    choices = top.table("candidates")
    choices.only("voltage", "thickness", "duration")
    durations = tuple(sorted(choices.quantities("duration", "s")))
    measure = top.table("measure")
    measure.only(*KINDS)
    if not measure.data:
        raise InputError(f"{top.file}: measure names nothing; there are {', '.join(KINDS)}")
    found = candidates(
        model, Space(nuisances) if nuisances else None, case.cell, case.c0,
        lambda cell: tuple(_observation(measure.table(kind), kind, cell, case, durations[-1]) for kind in measure),
        voltages=choices.quantities("voltage", "V"),
        thicknesses=choices.quantities("thickness", "m"), duration=durations[-1], cell_roles=roles,
    )  # fmt: skip
    shrink = goal.string("shrink", "")
    if shrink:
        found[0].problem.space.index(shrink)
    return DesignFile(
        top.string("title", top.file.stem), tuple(found), durations, top.quantity("overhead", "s", 0.0, least=0),
        shrink, rival,
    )  # fmt: skip


def _observation(table: Table, kind: str, cell: Cell, case: Case, end: float) -> Observation:
    own = {"current": (), "profile": ("positions", "margin"), "velocity": ("positions", "beam_width", "position_error")}
    table.only("error", "interval", *own[kind])
    interval = table.quantity("interval", "s", above=0)
    times = interval * np.arange(1.0, max(1, round(end / interval)) + 1)
    times = times[times <= end * (1 + 1e-9)]
    raw = table.data.get("error")
    relative = isinstance(raw, str) and raw.strip().endswith("%")
    unit = {"current": "A/m^2", "profile": "mol/m^3", "velocity": "m/s"}[kind]
    error = table.quantity("error", "" if relative else unit, above=0)
    if kind == "current":
        size = error * _typical_current(cell, case) if relative else error
        seen = independent(np.full(times.size, size))
        return Observation("current", "current", np.zeros(times.size), seen, SeriesLook("i", times), time=times)
    if relative and kind == "velocity":
        raise table.error("error", 'must be a velocity, such as "2 angstrom/s"')
    if kind == "profile":
        margin = table.quantity("margin", "m", 0.0, least=0)
        count = table.integer("positions", 40, least=2)
        x = margin + (np.arange(count) + 0.5) / count * (cell.thickness - 2 * margin)
        sigma = np.full(times.size * count, error * case.c0 if relative else error)
        group = np.repeat(np.arange(times.size), count)
        look = ProfileLook(times, x, np.ones((times.size, count), dtype=bool))
        return Observation(
            "profiles", "profile", np.zeros(sigma.size), Noise(sigma, group), look, time=np.repeat(times, count),
            position=np.tile(x, times.size),
        )  # fmt: skip
    places = np.array([cell.thickness * f for f in table.array("positions")])
    if np.any(places <= 0) or np.any(places >= cell.thickness):
        raise table.error("positions", "are fractions of the thickness, between 0 and 1")
    t, x = np.repeat(times, places.size), np.tile(places, times.size)
    data = VelocityTable(
        t, x, np.zeros(t.size), None, "v_0", "lab", False, table.quantity("position_error", "m", 0.0, least=0),
        table.quantity("beam_width", "m", 0.0, least=0),
    )  # fmt: skip
    noise = independent(np.full(t.size, error))
    return Observation("velocities", "velocity", np.zeros(t.size), noise, VelocityLook(data), time=t, position=x)


def _typical_current(cell: Cell, case: Case) -> float:
    """Mean current of the case as it stands, scaled to another thickness [A/m^2]."""
    run = simulate(
        case.cell, case.transport.with_extrapolation("clamp"), case.protocol, c0=case.c0, solver="sundials",
        options=Options(rtol=1e-4),
    )  # fmt: skip
    return float(np.mean(np.abs(run["i"]))) * case.cell.thickness / cell.thickness
