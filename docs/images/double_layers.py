"""Draws the figure of docs/theory/double_layers.md: python docs/images/double_layers.py (repository root, seconds)."""

from pathlib import Path

import numpy as np

from cellsim import Cell, Electrode, Protocol, Resistance, hold_voltage, load_set, simulate
from cellsim.drawing import figstyle
from cellsim.model.charging import Charging, cell_impedance

VOLTAGE = 0.01
STEEL = Electrode(capacitance=0.15, blocking=True)


def main() -> None:
    salt = load_set("steinruck2020_rs")
    c0 = float(salt.c_of(r=0.08))
    sides = [Electrode(Resistance(np.array([R])), capacitance=C) for R, C in ((5e-3, 0.1), (2e-3, 0.25))]
    cell = Cell(1e-4, salt.T, positive=sides[0], negative=sides[1])
    blocked = Cell(1e-4, salt.T, positive=sides[0], negative=STEEL)
    run = simulate(cell, salt, Protocol((hold_voltage(VOLTAGE, 1800.0),)), c0=c0)
    times = np.geomspace(2e-6, 1800.0, 28)
    path = Path(__file__).with_suffix(".png")
    with figstyle.drawing(path, 1, 2, width=figstyle.TWO_COLUMNS) as (_, (left, right)):
        left.plot(run["time"][1:], run["i"][1:], label="run")
        figstyle.points(left, times, Charging.of(cell, salt, c0).current(VOLTAGE, times), label="closed form")
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_xlabel(figstyle.label("$t$", "s", "time"))
        left.set_ylabel(figstyle.label("$i$", figstyle.CURRENT, "current density"))
        figstyle.legend_above(left)
        omega = 2 * np.pi * np.geomspace(1e-3, 1e6, 600)
        for each, name, dash in ((cell, "Li | Li", "-"), (blocked, "Li | steel", "--")):
            Z = 1e4 * cell_impedance(each, salt, c0, omega)
            right.plot(Z.real, -Z.imag, dash, label=name)
        right.set_xlim(0, 130)
        right.set_ylim(0, 65)
        right.set_xlabel(figstyle.label("Re $Z$", "Ω cm$^2$"))
        right.set_ylabel(figstyle.label("$-$Im $Z$", "Ω cm$^2$"))
        figstyle.legend_above(right)


if __name__ == "__main__":
    main()
