"""Made-up runs whose dynamics are known, as a user would have them: a SPECIES.toml beside an array file."""

import numpy as np
from click.testing import CliRunner

from cellsim.files.folder import keep
from mdcoeffs.cli import main
from mdcoeffs.onsager.mixture import SpeciesResult, estimate_species
from mdcoeffs.synthetic.partners import exchange
from mdcoeffs.synthetic.walkers import Solvent, mixture_walk, particles, walk

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
BY_TYPE = """[species.Li]
selection = "type 1"
charge = 1
role = "cation"
molecule = "atom"
[species.X]
selection = "type 2"
charge = -1
role = "anion"
molecule = "atom"
[species.S]
selection = "type 3"
role = "solvent"
molecule = "atom"
"""
"""The species of a topology whose atoms have the types 1 (cation), 2 (anion) and 3 (solvent)."""
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


def box_result(folder, edge, seed, T=300.0, counts=(100, 100, 400)):
    """A result of ``mdcoeffs onsager`` for walkers of a known matrix in a cube of this edge."""
    Omega = 1e-10 * np.array([[1.2, 0.3], [0.3, 1.6]])
    scale = (edge / 4.3e-9) ** 3
    run = mixture_walk(
        Omega,
        frames=300,
        dt=1e-11,
        seed=seed,
        volume=edge**3,
        z=(1, -1, 0),
        counts=tuple(round(n * scale) for n in counts),
        masses=(7, 145, 88),
        names=("Li", "PF6", "EC"),
        T=T,
    )
    estimate = estimate_species(run, frame="EC", window=(1e-11, 3e-9), n_samples=500)
    keep(SpeciesResult("walkers", estimate, {"Li": (1e-10, 1e-12)}), folder, "onsager", figure=False)
    return folder
