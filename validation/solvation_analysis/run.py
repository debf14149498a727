"""Coordination and residence of LiPF6 in BN/FEC, the test system of solvation-analysis, beside what that package gives.

    pip install solvation-analysis        # in an environment of its own: GPL-3, package and data
    CELLSIM_SOLVATION_ANALYSIS=.../solvation_analysis/tests/data python validation/solvation_analysis/run.py

The variable names the folder with ``bn_fec_data`` (trajectory of 10 frames, and the coordination of 500 frames as a
table). ``peer.json`` beside this file holds the package's own results (`peer.py`); nothing else of it is kept here.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")


from cellsim.base import InputError  # noqa: E402
from mdcoeffs.analysis import analyse  # noqa: E402
from mdcoeffs.residence.lifetimes import Intervals, lag_sums, survival  # noqa: E402
from mdcoeffs.structure import ANALYSIS  # noqa: E402
from mdcoeffs.structure.radial import first_shell  # noqa: E402

VARIABLE = "CELLSIM_SOLVATION_ANALYSIS"
PEER = json.loads((Path(__file__).parent / "peer.json").read_text())
SPECIES = """
title = "LiPF6 in BN/FEC (trajectory of solvation-analysis' tests)"
temperature = "298 K"
topology = "{data}/bn_fec.data"
trajectory = "{data}/bn_fec_short_wrap.dcd"
frame_interval = "1 ps"
[species.Li]
selection = "type 22"
charge = 1
role = "cation"
molecule = "atom"
[species.pf6]
selection = "byres type 20"
charge = -1
role = "anion"
molecule = "residue"
[species.bn]
selection = "byres type 5"
role = "solvent"
molecule = "residue"
[species.fec]
selection = "byres type 19"
role = "solvent"
molecule = "residue"
[structure]
centres = false
r_max = "8 angstrom"
[structure.cutoffs]
pf6 = "2.8 angstrom"
bn = "2.61468 angstrom"
fec = "2.43158 angstrom"
"""


@dataclass(frozen=True)
class Row:
    """One number of theirs and ours."""

    name: str
    peer: float
    ours: float
    error: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Within what is allowed."""
        return abs(self.ours - self.peer) <= self.allowed


def compare(data: Path) -> list[Row]:
    """All numbers, theirs and ours."""
    return coordination(data / "bn_fec_data") + residence(data / "bn_fec_data") + shells(data)


def coordination(data: Path) -> list[Row]:
    """Molecules per cation (their "coordination number"), share of cations with at least one; same radii."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "SPECIES.toml").write_text(SPECIES.format(data=data))
        found = analyse(ANALYSIS, folder / "SPECIES.toml")
    rows = []
    for k, name in enumerate(found.settings.partners):
        rows.append(
            Row(
                f"coordination number, {name}",
                PEER["coordination_numbers"][name],
                float(found.molecules.value[k]),
                float(found.molecules.error[k]),
                1e-9,
            )
        )
        rows.append(
            Row(
                f"share of Li with {name}",
                PEER["pairing"][name],
                1 - float(found.bound.value[k, 0]),
                float(found.bound.error[k, 0]),
                1e-9,
            )
        )
    return rows


def residence(data: Path) -> list[Row]:
    """The intermittent correlation of molecules at Li, from the same table of 500 frames; and its 1/e time."""
    with (data / "bn_solv_df_large.csv").open() as stream:
        table = list(csv.DictReader(stream))
    frame = np.array([int(row["frame"]) for row in table])
    frame -= frame.min()
    frames = int(frame.max()) + 1
    rows = []
    for name, theirs in PEER["autocovariance"].items():
        chosen = [k for k, row in enumerate(table) if row["solvent"] == name]
        keys = np.array([int(table[k]["solute_ix"]) * 100000 + int(table[k]["solvent_ix"]) for k in chosen])
        bonds, which = np.unique(keys, return_inverse=True)
        states = np.zeros((frames, bonds.size), dtype=bool)
        states[frame[chosen], which] = True
        sums = lag_sums(Intervals.of_states(states), frames // 2, mode="intermittent")
        found = survival([sums], 1.0)
        # The package divides by all frames where we divide by the origins that can be used; taken in its way here.
        pairs = sums.pairs.sum(axis=0) / (frames - np.arange(frames // 2))
        lags = np.arange(0, 5 * len(theirs), 5)
        same = pairs[lags] / pairs[0]
        worst = int(np.argmax(np.abs(same - theirs)))
        rows.append(
            Row(f"C({lags[worst]} frames), its normalisation, {name}", theirs[worst], float(same[worst]), 0.0, 2e-6)
        )
        C = sums.pairs.sum(axis=0) / sums.origins.sum(axis=0)
        at = int(np.argmin(np.abs(found.lag - 20)))
        error = float(found.C.error[at])
        lag = round(float(found.lag[at]) / 5) * 5
        rows.append(Row(f"C({lag} frames), {name}", theirs[lag // 5], float(C[lag]), error, 2 * error))
        time = PEER["residence_1_over_e_frames"][name]
        if np.isfinite(time):
            below = int(np.argmax(C * np.e < 1))
            spread = 2 * float(np.interp(time, found.lag, found.C.error)) / abs(float(C[below + 1] - C[below - 1]) / 2)
            rows.append(Row(f"1/e time in frames, {name}", time, below, spread / 2, max(spread, 1)))
    return rows


SOLVATED = {"fec_O": 3.30, "fec_all": 2.74, "bn_all": 2.64, "pf6_all": 2.77, "pf6_F": 3.03}
"""End of the first shell as the tests of the package state it [angstrom]."""


def shells(data: Path) -> list[Row]:
    """First minima of the package's example g(r), bins of 0.2 angstrom, and refusals where it wants none."""
    rows = []
    for name, theirs in SOLVATED.items():
        r, g = _load(data / "rdf_vs_li_easy", name)
        rows.append(Row(f"end of first shell, Li-{name}, angstrom", theirs, 1e10 * first_shell(r, g), 0.1, 0.2))
    refused = total = 0
    for path in sorted((data / "rdf_non_solvated").glob("*_bins.npz")):
        r, g = _load(path.parent, path.name[4:-9])
        total += 1
        try:
            first_shell(r, g)
        except InputError:
            refused += 1
    rows.append(Row("g(r) without a shell, refused", total, refused, 0.0, 0))
    return rows


def _load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    r, g = (next(iter(np.load(folder / f"rdf_{name}_{what}.npz").values())) for what in ("bins", "data"))
    return r * 1e-10, g


def main() -> int:
    if VARIABLE not in os.environ:
        print(f"set {VARIABLE}; see the head of this file")
        return 2
    rows = compare(Path(os.environ[VARIABLE]))
    print(f"solvation-analysis {PEER['version']}")
    for row in rows:
        print(
            f"{row.name:<46} theirs {row.peer:<10.6g} ours {row.ours:<10.6g} +- {row.error:<8.2g} "
            f"{'agrees' if row.agrees else 'DIFFERS'}"
        )
    return sum(not row.agrees for row in rows)


if __name__ == "__main__":
    sys.exit(main())
