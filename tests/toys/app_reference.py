"""The package's answer to a setting of the interactive page, and how far the page's solver is from it."""

from __future__ import annotations

import json

import numpy as np
from py_mini_racer import MiniRacer

from cellsim import app, simulate
from cellsim.base import F
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.march import Options

EMPTY, FULL = 1e-3, 0.999


def engine():
    """V8 with the page's solver loaded."""
    context = MiniRacer()
    for name in app.SOLVER:
        context.eval(app.source(name))
    return context


def ask(context, expression):
    """The value of a JavaScript expression."""
    return json.loads(context.eval(f"JSON.stringify({expression})"))


def probe(context, setting, count=8, stride=3):
    """Status, profiles and velocities of a setting, from the page's solver."""
    return ask(context, f"Selftest.probe({json.dumps(setting)}, {count}, {stride})")


def build(setting):
    """(cell, transport, c0): the same constants as a transport set of the package."""
    T, V_e, V_0 = 363.15, 224e-30 * 6.02214076e23, 66.4e-30 * 6.02214076e23
    c0 = 1 / (V_e + V_0 / setting["r"])
    transport = TransportSet.constant(
        kappa=setting["kappa"], D=setting["D"], t_plus=setting["t_plus"], chi=setting["chi"], V_e=V_e, V_0=V_0, T=T,
        c_range=(0.2 * EMPTY * c0, FULL / V_e), solvent_motion="volume" if setting["motion"] else "none",
    )  # fmt: skip
    half = Electrode(Resistance(np.array([0.5 * setting["R_int"]])))
    return Cell(setting["thickness"], T, positive=half, negative=half), transport, c0


def reach(answer):
    """How far the salt can move, of the average: tolerances are relative to it."""
    g = answer["closed"]
    return min(1.0, 0.5 * g["J_0"] / (1 + g["B"]))


def package(setting, times, end, reach, cells=500):
    """The package's runs: a little longer than the page's, then shorter ones for the early times.

    The package resolves space from a thousandth of a step's duration on, so earlier times come from shorter steps.
    While the salt layers are thin, the middle of a cell with constant conductivity is a resistor: such a step is run
    on a cell of thirty layers' thickness with that resistor added to its interfaces, and its layers can be resolved.
    Returns (solution, distance between the two halves of that cell [m]), one per step.
    """
    rtol = float(np.clip(1e-4 * reach, 1e-9, 1e-7))
    runs, duration, left, L = [], 1.02 * end, np.asarray(times), setting["thickness"]
    while left.size:
        thickness = min(L, 30 * np.sqrt(setting["D"] * duration))
        resistor = (L - thickness) / setting["kappa"]
        short = setting | {"thickness": thickness, "R_int": setting["R_int"] + resistor}
        cell, transport, c0 = build(short)
        layer = np.sqrt(0.02 * setting["D"] * duration) / thickness
        options = Options(  # thin layers need a high degree, which the package's own choice may miss
            cells=cells, stretch=5.0, rtol=rtol, c_min=EMPTY * c0, unknowns=255 if layer < 0.02 else None
        )
        protocol = Protocol((hold_voltage(setting["V"], duration),))
        now = left[left >= 2e-2 * duration]
        run = simulate(cell, transport, protocol, c0=c0, times=now, solver="sundials", options=options)
        runs.append((run, L - thickness))
        left = left[left < 2e-2 * duration]
        duration = 1.02 * left[-1] if left.size else 0.0
    return runs


def errors(answer, runs):
    """Largest deviations of the page from the package, each relative to what the docs name.

    i: pointwise, of the current at that time. c: of the average concentration, walls included. v: of the largest
    speed of that species at that time, but at least of the mean speed i/(F c0) of the cations; all three frames,
    where at least 2 % of the average salt is left. t_end: of the time of depletion.
    """
    c0 = answer["closed"]["c0"]
    worst = {"i": 0.0, "c": 0.0, "v": 0.0, "t_end": 0.0}
    if answer["status"] == "depleted":
        worst["t_end"] = abs(answer["t_end"] / runs[0][0]["time"][-1] - 1)
    for p in answer["profiles"]:
        found = [
            (run, k, apart) for run, apart in runs for k in np.flatnonzero(np.abs(run["time"] / p["time"] - 1) <= 1e-9)
        ]
        if not found:
            assert runs[0][0].status != "done" and p["time"] >= runs[0][0]["time"][-1]
            continue
        solution, row, apart = found[0]
        x, faces = np.array(p["x"]), solution["face"]
        half = 0.5 * faces[-1]
        x = np.where(x < half, x, np.maximum(x - apart, half))

        def seen(name, frame=None, solution=solution, row=row, x=x, faces=faces):
            values = solution[name][row] if frame is None else solution[name][frame][row]
            return np.interp(x, faces, values)

        worst["i"] = max(worst["i"], abs(p["i"] / solution["i"][row] - 1))
        worst["c"] = max(worst["c"], float(np.max(np.abs(np.array(p["c"]) - seen("c_face"))) / c0))
        salty = seen("c_face") > 0.02 * c0
        for key, name, frame in (
            ("plus", "v_plus", 0), ("minus", "v_minus", 0), ("solvent", "v_0", 0), ("lab", "v_0", 1),
            ("relative", "v_minus", 2),
        ):  # fmt: skip
            want = seen(name, frame)
            scale = max(np.max(np.abs(want[salty])), abs(p["i"]) / (F * c0))
            miss = np.abs(np.array(p[key]) - want)[salty]
            worst["v"] = max(worst["v"], float(np.max(miss) / scale))
    return worst
