"""Made-up runs whose dynamics are known, as a user would have them: a SPECIES.toml beside an array file."""

import numpy as np
from click.testing import CliRunner

from mdcoeffs.cli import main
from mdcoeffs.synthetic.dynamics import exchange
from mdcoeffs.synthetic.walkers import Solvent, particles, walk

HEAD = """
title = "made up"
temperature = "{T} K"
{arrays}
{units}
[species.Li]
charge = 1
role = "cation"
[species.X]
charge = {z}
role = "anion"
[species.S]
role = "solvent"
"""
EXCHANGE = HEAD.format(T=300, z=-0.5, arrays='arrays = "run.npz"', units="")
"""Li among two X and some S each, in m and s."""
UNITS = '[units]\nposition = "angstrom"\ntime = "ps"'
WALK = HEAD.format(T=353, z=-1, arrays='arrays = "run.npz"', units=UNITS)
"""A salt LiX in S, in angstrom and ps."""
OMEGA = np.array([[5.35e-11, 0.9e-11], [0.9e-11, 7.1e-11]])
"""Its Onsager coefficients [mol^2/(J m s)]."""


def write_exchange(folder, partners, *, cations, frames, seed=1, toml=EXCHANGE, name="run.npz"):
    """Cations whose partners come and go with prescribed residence times."""
    run = exchange(partners, cations=cations, frames=frames, dt=1e-12, seed=seed)
    positions = np.array([run.positions(k) for k in range(frames)]) % run.edge()
    box = np.eye(3) * run.edge()
    np.savez(folder / name, time=run.time, positions=positions, labels=run.labels, box=box)
    (folder / "SPECIES.toml").write_text(toml)
    return run


def walkers(frames, *, seed=1, of_particles=2):
    """A walk of known Omega, and particles whose sums are that walk."""
    run = walk(OMEGA, frames=frames, dt=1e-12, seed=seed, n_salt=10, T=353, solvents=Solvent(count=60, mass=88.0))
    return run, particles(run, [2e-10, 3e-10, 5e-10], seed=of_particles)


def walk_arrays(run, made):
    """Wrapped positions of the particles, as an array file has them, in angstrom and ps."""
    edge = run.volume ** (1 / 3)
    return {
        "time": run.time * 1e12,
        "positions": (made.positions % edge) * 1e10,
        "box": np.eye(3) * edge * 1e10,
        "labels": np.array(["Li", "X", "S"])[made.species],
        "masses": np.array(run.masses)[made.species],
    }


def mdcoeffs(*arguments):
    """A command line of mdcoeffs, in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
