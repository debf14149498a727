"""An exported set in PyBaMM's electrolyte equations beside the same cell here: does the file mean the same there?

    python benchmarks/exchange.py --peer-python PEER/bin/python

Li | electrolyte | Li under a constant current of half the limiting one, to 0.2 L^2/D. Compared are the voltage and the
concentrations at both walls, for the frame that PyBaMM's equations ask for and for the other one, which is wrong by
what the docs say. No time is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from cellsim import Cell, Options, Protocol, hold_current, load_set, simulate
from cellsim.electrolyte.set_file import read_set
from cellsim.instruments.exchange import write_exchange
from cellsim.model.steady import limiting_current

THICKNESS = 5e-4
SETS = (
    ("landesfeind2019_ec_dmc", 298.15, 1000.0),
    ("nyman2008_ec_emc", 298.15, 1000.0),
    ("steinruck2020_pnb", 363.15, None),
)


def compare(name: str, T: float, c0: float | None, peer: str, cells: int) -> list[str]:
    """The rows of one set, a frame each."""
    transport = load_set(name, T)
    c0 = transport.c_of(r=0.06) if c0 is None else c0
    cell = Cell(thickness=THICKNESS, temperature=T)
    i = 0.5 * limiting_current(cell, transport, c0).i
    end = 0.2 * THICKNESS**2 / float(transport.D(c0))
    times = np.linspace(0, end, 41)
    options = Options(rtol=1e-7)
    own = simulate(
        cell, transport, Protocol((hold_current(i, end),)), c0=c0, times=times, solver="sundials", options=options
    )
    kept = np.isin(own["time"], times)
    here = {"V": own["V"][kept], "left": own["c_face"][kept, 0], "right": own["c_face"][kept, -1]}
    rows = []
    for frame in ("volume", "solvent"):
        with tempfile.TemporaryDirectory() as folder:
            exported = write_exchange(read_set(name), Path(folder) / "electrolyte.py", "pybamm", T=T, frame=frame, c=c0)
            np.savez(Path(folder) / "problem.npz", i=i, thickness=THICKNESS, T=T, c0=c0, times=times)
            command = [
                peer,
                "benchmarks/exchange_pybamm.py",
                str(exported),
                f"{folder}/problem.npz",
                f"{folder}/out.npz",
            ]
            subprocess.run([*command, str(cells)], check=True)
            there = dict(np.load(Path(folder) / "out.npz"))
        late = slice(1, None)
        worst = {key: float(np.max(np.abs(there[key] / value - 1)[late])) for key, value in here.items()}
        shown = " | ".join(f"{worst[key]:.1e}" for key in ("V", "left", "right"))
        rows.append(f"| {name} | {frame} | {shown} | PyBaMM {there['version']}, {cells} cells |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", required=True, help="The Python of an environment with PyBaMM.")
    parser.add_argument("--cells", type=int, default=200)
    asked = parser.parse_args()
    print("| set | frame | V | c at x = 0 | c at x = L | |\n|---|---|---|---|---|---|")
    for name, T, c0 in SETS:
        print("\n".join(compare(name, T, c0, asked.peer_python, asked.cells)), flush=True)


if __name__ == "__main__":
    main()
