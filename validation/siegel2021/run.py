"""Siegel 2021: Eq. 7 fitted to measured conductivities, and the Bjerrum lengths it prints.

    python validation/siegel2021/run.py [FOLDER]

FOLDER (default: runs/validation/siegel2021) receives table.md and conductivity.png.

Reference: Siegel, Nazar, Chiang, Fang & Balsara, Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004. The
paper's own points of Fig. 5b are not tabulated; these are other measurements, a compilation of several groups
(conductivity.csv says whose). So this asks how far A = 0.043 S/cm and r* = 0.085 hold elsewhere.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from cellsim.drawing.figstyle import COLOURS, GREY, MARKERS, drawing, label
from mdcoeffs.mobility.translation import FrictionFit, bjerrum_length, fit_conductivity

A_PRINTED, R_PRINTED = 4.3, 0.085
ROOM = 298.15
MASSES = (5000.0, 29500.0, 275000.0)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Series:
    """One molar mass: data, fit, and how far the printed curve is off."""

    mass: float
    r: NDArray[np.float64]
    kappa: NDArray[np.float64]
    fit: FrictionFit

    @property
    def printed_off(self) -> float:
        """Root mean square relative deviation of the printed curve [1]."""
        model = A_PRINTED * self.r * np.exp(-self.r / R_PRINTED)
        return float(np.sqrt(np.mean((self.kappa / model - 1) ** 2)))

    def interval(self, k: int) -> tuple[float, float]:
        """95 % interval of A (0) or r* (1)."""
        half = float(np.sqrt(self.fit.covariance[k, k]) * student.ppf(0.975, self.fit.points - 2))
        value = (self.fit.A, self.fit.r_star)[k]
        return value - half, value + half


def series() -> list[Series]:
    """The data, one series per molar mass, each with its fit (the same relative error for every point)."""
    data = np.loadtxt(HERE / "conductivity.csv", delimiter=",", comments="#", skiprows=3)
    found = []
    for mass in MASSES:
        mine = data[data[:, 0] == mass]
        r, kappa = mine[:, 1], mine[:, 2] * 100.0
        found.append(Series(mass, r, kappa, fit_conductivity(r, kappa)))
    return found


def table() -> str:
    """The comparison as text."""
    lines = [
        "# Siegel 2021",
        "",
        "Written by `python validation/siegel2021/run.py`.",
        "",
        "| molar mass (kg/mol) | points | A (S/cm), 95 % | r*, 95 % | scatter | printed curve off by (rms) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in series():
        (a_low, a_high), (r_low, r_high) = one.interval(0), one.interval(1)
        lines.append(
            f"| {one.mass / 1000:g} | {one.fit.points} "
            f"| {one.fit.A / 100:.4f} ({a_low / 100:.4f} to {a_high / 100:.4f}) "
            f"| {one.fit.r_star:.4f} ({r_low:.4f} to {r_high:.4f}) | {one.fit.scatter:.0%} | {one.printed_off:.0%} |"
        )
    lines += ["", f"Printed (Eq. 7): A = {A_PRINTED / 100:g} S/cm, r* = {R_PRINTED:g}.", ""]
    for name, permittivity, printed in (("water", 80.1, 0.7), ("PEO", 7.5, 7.0)):
        found = bjerrum_length(permittivity, ROOM) * 1e9
        lines.append(
            f"Bjerrum length of {name} (permittivity {permittivity:g}, {ROOM:g} K): {found:.3f} nm, printed "
            f"{printed:g} nm.  "
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write table and figure."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/validation/siegel2021")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table(), encoding="utf-8")
    note = "points: compilation of published measurements; lines: fits of A r exp(-r/r*)"
    with drawing(folder / "conductivity.png", title="PEO-LiTFSI, 90 °C", width=4.5, height=2.8, note=note) as (_, axes):
        x = np.linspace(0, 0.46, 300)
        for k, one in enumerate(series()):
            axes[0].plot(
                one.r,
                10 * one.kappa,
                color=COLOURS[k],
                marker=MARKERS[k],
                linestyle="",
                markerfacecolor="none",
                label=f"{one.mass / 1000:g} kg/mol",
            )
            axes[0].plot(x, 10 * one.fit.kappa(x), color=COLOURS[k])
        axes[0].plot(x, 10 * A_PRINTED * x * np.exp(-x / R_PRINTED), color=GREY, linestyle="--", label="Eq. 7, printed")
        axes[0].set_xlabel(label("$r$", "", "Li per EO"))
        axes[0].set_ylabel(label(r"$\kappa$", "mS/cm"))
        axes[0].legend()
    print((folder / "table.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
