"""The experiment of Steinrück 2020 with three sets, and what is read off the runs.

Steinrück et al., Energy Environ. Sci. 13 (2020) 4312, doi:10.1039/D0EE02193H. Line numbers are those of the accepted
manuscript. x counts from the centre of the cell and grows towards the negative (plating) electrode; the manuscript
does not say which electrode lies at positive x, so the velocity statements are read both ways ("as here", "mirrored").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim import Solution, load_case, load_set, simulate
from cellsim.run.case import Case
from cellsim.run.simulation import output_times

Array = NDArray[np.float64]

FOLDER = Path(__file__).resolve().parent
CASES = FOLDER.parents[1] / "cases" / "steinruck2020"
SETS = ("rs", "rs_volume", "pnb")
TRIAL = ("trial_rs", "trial_pnb")  # an earlier pair that an independent solver has run
NAMES = {"rs": "RS", "rs_volume": "RS volume", "pnb": "PNB"}
BEAMS = np.array([-0.85, -0.50, -0.15, 0.20, 0.55])  # mm from the centre, each +- 0.04 (caption of Fig. 5)
COLOURS = ("magenta", "black", "yellow", "green", "blue")  # the manuscript's names of these positions
MINUTE, ANGSTROM = 60.0, 1e-10


@dataclass(frozen=True)
class Run:
    """One set carried through the experiment."""

    name: str
    case: Case
    solution: Solution

    def row(self, minutes: float) -> int:
        """Index of a kept time."""
        k = int(np.argmin(np.abs(self.solution["time"] - minutes * MINUTE)))
        assert abs(self.solution["time"][k] - minutes * MINUTE) < 1.0
        return k

    def along(self, name: str, minutes: float) -> Array:
        """A face variable at a time, interface frame [SI]."""
        values = self.solution[name]
        return np.asarray((values[0] if values.ndim == 3 else values)[self.row(minutes)])

    def x(self, minutes: float) -> Array:
        """Faces, from the centre [mm]."""
        return self.along("position_face", minutes) * 1e3 - 1.5

    def excess(self, minutes: float) -> Array:
        """c/c_average - 1 at the faces."""
        return self.along("c_face", minutes) / self.case.c0 - 1

    def crossing(self, minutes: float) -> float:
        """Where the profile crosses its mean [mm from the centre]."""
        x, y = self.x(minutes), self.excess(minutes)
        (k,) = np.flatnonzero(np.diff(np.sign(y)))[:1]
        return float(x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k]))

    def asymmetry(self, minutes: float) -> float:
        """Even part of the excess over its odd part, 0 for a profile symmetric about the centre."""
        x = np.linspace(-1.5, 1.5, 601)
        y = np.interp(x, self.x(minutes), self.excess(minutes))
        return float(np.sum(np.abs(y + y[::-1])) / np.sum(np.abs(y - y[::-1])))

    def speeds(self, positions: Array = BEAMS, *, relative: bool = False) -> Array:
        """|v-| against time at positions fixed in the lab: interface frame, or relative to the solvent [A/s]."""
        s, place = self.solution, np.asarray(positions) * 1e-3 + 1.5e-3
        other = s.at("v_0", place) if relative else s["v_interface"][:, None]
        return np.abs(s.at("v_minus", place) - other) / ANGSTROM

    def solvent(self, positions: Array = BEAMS) -> Array:
        """v0 in the lab frame against time at positions fixed in the lab [A/s]."""
        return self.solution.at("v_0", np.asarray(positions) * 1e-3 + 1.5e-3) / ANGSTROM

    def average(self, values: Array) -> Array:
        """Time average from 200 to 400 min."""
        t = self.solution["time"]
        inside = (t >= 200 * MINUTE) & (t <= 400 * MINUTE)
        return np.asarray(np.trapezoid(values[inside], t[inside], axis=0) / np.ptp(t[inside]))


def run_all() -> dict[str, Run]:
    """The three sets and the trial pair through the experiment; milliseconds each, RS volume two seconds."""
    runs = {name: _run(name, load_case(CASES / f"{name}.toml")) for name in SETS}
    for name in TRIAL:
        case = runs[name.removeprefix("trial_")].case
        transport = load_set(FOLDER / f"{name}.toml", case.cell.temperature).with_motion("volume")
        runs[name] = _run(name, replace(case, transport=transport))
    return runs


def _run(name: str, case: Case) -> Run:
    times = np.union1d(output_times(case.protocol), np.array([*case.output.times, *case.output.profiles_at]))
    times = np.union1d(times, np.arange(0, 1001, 10) * MINUTE)
    return Run(name, case, simulate(case.cell, case.transport, case.protocol, c0=case.c0, times=times))


def ratio(runs: dict[str, Run], a: str, b: str) -> Array:
    """Current of `a` over current of `b` at the times of `a`, from the first instant after t = 0."""
    t = runs[a].solution["time"][1:]
    return np.asarray(runs[a].solution["i"][1:] / np.interp(t, runs[b].solution["time"], runs[b].solution["i"]))


@dataclass(frozen=True)
class Check:
    """A statement, where it stands, our number and what it says about the statement."""

    key: str
    where: str
    statement: str
    number: str
    verdict: str
    values: dict[str, float] = field(default_factory=dict)


def verdict(part: float) -> str:
    """From the fraction of a statement that holds."""
    return "holds" if part == 1 else "fails" if part == 0 else "holds in part"


def listed(values: Array, digits: int = 0) -> str:
    """Numbers with slashes between them."""
    return "/".join(f"{v:.{digits}f}" for v in values)
