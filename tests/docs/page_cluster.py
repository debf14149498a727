"""A scheduler and its workers by the page's own commands, and what is run on them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from page_runner import call

from mdcoeffs.md.system import read_system
from mdcoeffs.synthetic.walkers import Solvent, walk

CASE = """
title = "walkers (made up)"
species = ["c1/SPECIES.toml", "c2/SPECIES.toml"]
[salt]
formula = "LiX"
M = "287 g/mol"
[solvent]
name = "S"
M = "90 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "80 cm^3/mol"
source = "assumed"
[chi]
value = 1.2
basis = "molal"
source = "assumed"
[cell]
thickness = "0.1 mm"
[electrolyte]
salt = { c = "0.75 mol/L" }
[[step]]
hold = "voltage"
value = "10 mV"
duration = "10 min"
[bands]
draws = 20
[consistency]
draws = 20
"""
ADDRESS = "scheduler_address"
STARTED: list[subprocess.Popen[bytes]] = []


def cases(folder: Path) -> None:
    """SPECIES.toml and CASE.toml of walkers at two concentrations."""
    for k, c in enumerate((500.0, 1000.0), start=1):
        here = folder / f"c{k}"
        here.mkdir()
        lines = ['temperature = "300 K"']
        for name, role, z, mass, count in (("Li", "cation", 1, 7, 50), ("X", "anion", -1, 280, 50),
                                           ("S", "solvent", 0, 90, 100)):  # fmt: skip
            lines.append(f'[species.{name}]\nrole = "{role}"\ncharge = {z}\ncount = {count}\nmass = "{mass} g/mol"')
        made = walk(np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10 * c / 1000, frames=1500, dt=1e-11, c=c, n_salt=50,
                    seed=k, solvents=Solvent(100, 90.0))  # fmt: skip
        np.savez(here / "r.npz", time=made.time, R=made.R, volume=made.volume)
        lines.append('[[replica]]\narrays = "r.npz"')
        (here / "SPECIES.toml").write_text("\n".join(lines) + "\n")
    (folder / "CASE.toml").write_text(CASE)
    (folder / "SPECIES.toml").write_text((folder / "c1/SPECIES.toml").read_text().replace("r.npz", "c1/r.npz"))


def start(found: re.Match[str], folder: Path) -> None:
    """`dask scheduler` on a free port of this machine, `dask worker` with two processes in place of sixteen."""
    file = folder / ADDRESS
    words = shlex.split(found[0])[1:]
    if words[0] == "scheduler":
        words += ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    else:
        words = [word for word in words if not word.startswith("tcp://")]
        words += ["--scheduler-file", str(file), "--no-dashboard"]
        words[words.index("--nworkers") + 1] = "2"
    STARTED.append(subprocess.Popen([sys.executable, "-m", "dask", *words], cwd=folder, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL))  # fmt: skip
    deadline = time.monotonic() + 60
    while not file.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert file.is_file(), "the scheduler did not start"


def by_address(found: re.Match[str], folder: Path) -> None:
    """The command with the scheduler's own address."""
    address = json.loads((folder / ADDRESS).read_text())["address"]
    said, code = call([*shlex.split(found[1]), "--scheduler", address])
    assert code == 0, said


def stop() -> None:
    """End what was started here."""
    while STARTED:
        process = STARTED.pop()
        process.terminate()
        process.wait(30)


def long_run(found: re.Match[str], folder: Path) -> None:
    """The long form, with runs as short as an estimate allows: the same command, file and folders."""
    path = folder / "cases/coarse_grained/long.toml"
    assert len(read_system(path).all_points) > 8
    text = re.sub(r'(equilibration = )".*?"', r'\1"1 ps"', path.read_text(encoding="utf-8"))
    at_rest, field = text.split("[field]")
    at_rest = re.sub(r'(production = )".*?"', r'\1"14 ps"', at_rest)
    field = re.sub(r'(production = )".*?"', r'\1"70 ps"', field)  # 20 ps are left out there
    path.write_text(at_rest + "[field]" + field, encoding="utf-8")
    said, code = call(shlex.split(found[0], comments=True))
    assert code == 0, said
