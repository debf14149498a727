"""Densities and displacement variances on the mica | water, K+ trajectory of MAICoS, beside what MAICoS gives.

    git clone --depth 1 https://github.com/maicos-devel/maicos
    python -m venv peers && peers/bin/pip install maicos            # an environment of its own: MAICoS is GPL-3.0
    peers/bin/python validation/maicos/peer.py maicos/tests/data/mica
    CELLSIM_MAICOS=maicos/tests/data/mica python validation/maicos/run.py [FOLDER]

CELLSIM_MAICOS names the folder with mica.tpr, mica.xtc and the peer.npz that peer.py wrote; neither data nor code of
MAICoS is part of this project. FOLDER (default: runs/validation/maicos) receives table.md and interface.png.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdcoeffs.analysis import analyse
from mdcoeffs.interface import ANALYSIS
from mdcoeffs.interface.result import InterfaceResult

VARIABLE = "CELLSIM_MAICOS"
ANGSTROM = 1e-10
SPECIES = """
title = "Mica | water with K+ (trajectory of MAICoS' tests)"
temperature = "300 K"
topology = "{data}/mica.tpr"
trajectory = "{data}/mica.xtc"
ignore = "name VW4"

[species.K]
selection = "name K+"
charge = 1
role = "cation"
molecule = "atom"

[species.mica]
selection = "resname SURF"
charge = -60
role = "anion"
molecule = "fragment"

[species.water]
selection = "resname SOL and not name VW4"
role = "solvent"
molecule = "residue"

[interface]
origin = "resname SURF"
bin = "0.5 angstrom"
charge_bin = "0.5 angstrom"
profiles.OW = "name OW1"

[interface.regions.K_free]
points = "K"
between = ["-20.2 angstrom", "-13 angstrom", "13 angstrom", "20.2 angstrom"]

[interface.regions.contact_water]
points = "OW"
between = ["-12.5 angstrom", "-8 angstrom", "8 angstrom", "12.5 angstrom"]
margin = "0.3 angstrom"

[interface.variance]
points = ["K", "OW"]
layers = ["-20 angstrom", "-15 angstrom", "-10 angstrom", "10 angstrom", "15 angstrom", "20 angstrom"]
lag = ["20 ps", "50 ps"]
"""


@dataclass(frozen=True)
class Check:
    """One comparison."""

    name: str
    deviation: float
    error: float
    allowed: float
    unit: str

    @property
    def agrees(self) -> bool:
        """Whether the deviation is allowed."""
        return self.deviation <= self.allowed


def our_result(data: Path, folder: Path) -> InterfaceResult:
    """Run ``mdcoeffs interface`` on the trajectory."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "SPECIES.toml"
    path.write_text(SPECIES.format(data=data.resolve()), encoding="utf-8")
    result: InterfaceResult = analyse(ANALYSIS, path)
    path.unlink()
    return result


def compare(data: Path, folder: Path) -> list[Check]:
    """Our numbers beside those of the peer; writes table and figure."""
    result = our_result(data, folder)
    peer = np.load(data / "peer.npz")
    frames, bins = result.frames[0], result.z.size
    rows = [Check("middles of the bins", float(np.abs(result.z / ANGSTROM - peer["z"]).max()), 0.0, 1e-9, "angstrom")]
    volume = 28.851799 * 29.9942 * 40.43 / bins
    for name in ("K", "OW"):
        k = result.profiles.index(name)
        ours = result.density.value[k] * ANGSTROM**3
        apart = np.abs(ours - peer[f"density_{name}"])
        # atoms on an edge to single precision may fall either way: a handful of counts among thousands
        rows.append(
            Check(
                f"density of {name}: largest difference in counts of a bin",
                float(apart.max() * volume * frames),
                float(np.nanmedian(result.density.error[k]) * ANGSTROM**3 * volume * frames),
                10.0,
                "counts",
            )
        )
        total = float(ours.sum() / peer[f"density_{name}"].sum() - 1)
        rows.append(Check(f"density of {name}: total", abs(total), 0.0, 1e-6, "relative"))
        ratio = result.variance[name].value / ANGSTROM**2 / peer[f"variance_{name}"] - 1
        relative = result.variance[name].error / result.variance[name].value
        rows.append(
            Check(
                f"displacement variance of {name}, 2 lags, 5 layers, x y z",
                float(np.nanmax(np.abs(ratio))),
                float(np.nanmedian(relative)),
                2e-6,
                "relative",
            )
        )
    result.draw(folder / "interface.png")
    (folder / "table.md").write_text(table(rows, str(peer["version"]), result), encoding="utf-8")
    return rows


def table(rows: list[Check], version: str, result: InterfaceResult) -> str:
    """The comparison in Markdown."""
    lines = [
        f"# Mica | water, K+: beside MAICoS {version}",
        "",
        "Written by `python validation/maicos/run.py`. Densities beside `maicos.DensityPlanar`, displacement variances "
        "beside a few lines with MDAnalysis' NoJump (MAICoS has none); standard error: ours, median over the bins or "
        "layers.",
        "",
        "| quantity | deviation | standard error | allowed | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for c in rows:
        verdict = "agrees" if c.agrees else "**disagrees**"
        lines.append(f"| {c.name} ({c.unit}) | {c.deviation:.2g} | {c.error:.2g} | {c.allowed:g} | {verdict} |")
    lines += ["", *(f"- {one.verdict.sentence}" for one in result.regions), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    place = os.environ.get(VARIABLE)
    if not place or not (Path(place) / "peer.npz").is_file():
        raise SystemExit(f"set {VARIABLE} to a folder with mica.tpr, mica.xtc and peer.npz; see the head of this file")
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/validation/maicos")
    found = compare(Path(place), target)
    sys.stdout.write((target / "table.md").read_text(encoding="utf-8"))
    raise SystemExit(0 if all(one.agrees for one in found) else 1)
