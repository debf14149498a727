"""Coefficients along some of the axes: crystals and confined liquids."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import N_A, InputError, k_B
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.judgement import local_exponent
from mdcoeffs.onsager.mixture import estimate_species
from mdcoeffs.synthetic.walkers import Solvent, walk
from tests.toys.md_toys import mdcoeffs

OMEGA = 1e-10 * np.array([[1.0, 0.3], [0.3, 1.5]])
STRETCH = np.array([1.0, 1.0, 2.0])


def crystal(frames=1500, seed=3):
    """A walk that is twice as far along z as along x and y: four times the matrix there."""
    run = walk(OMEGA, frames=frames, dt=1e-11, seed=seed, solvents=Solvent(500, 50.0))
    return replace(run, R=run.R * STRETCH)


def slope(run, axis):
    """The matrix by the mean square of the steps, an estimate of its own."""
    moved = run.to_frame("solvent")
    steps = np.diff(moved.R[:, :2, axis], axis=0)
    scale = 2 * k_B * run.temperature * run.volume * N_A**2 * run.dt
    return steps.T @ steps / len(steps) / scale


@pytest.mark.parametrize("axes", [(2,), (0, 1)])
def test_every_direction_has_its_own_matrix(axes):
    run = replace(crystal(), axes=axes)
    truth = OMEGA * np.mean(STRETCH[list(axes)] ** 2)
    found, all_species = estimate_onsager(run), estimate_species(run).matrix
    plain = estimate_onsager(run, window=(run.dt, run.duration))  # diffusive from its first step on
    ends = np.quantile(found.samples, [0.0005, 0.9995], axis=0)
    assert np.all(ends[0] < truth) and np.all(truth < ends[1])
    assert all_species.Omega[:2, :2] == pytest.approx(found.Omega, rel=1e-9)
    own = np.mean([slope(run, axis) for axis in axes], axis=0)
    assert plain.Omega == pytest.approx(own, rel=0.02)
    # 1500 steps in d directions know a diagonal element to sqrt(2/(3000 d)); 4000 draws know that to 1.2 %
    spread = np.std(np.log(plain.samples[:, 0, 0]))
    assert spread == pytest.approx(np.sqrt(2 / (1499 * len(axes))), rel=0.06)
    assert plain.n_origins == pytest.approx(1499, rel=0.12)


def test_all_three_axes_are_what_they_were():
    run = walk(OMEGA, frames=400, dt=1e-11, seed=5)
    whole = estimate_onsager(run)
    assert np.array_equal(estimate_onsager(replace(run, axes=(0, 1, 2))).Omega, whole.Omega)
    # sqrt(3) times the noise of an exponent from a third of the directions
    ratio = local_exponent(replace(run, axes=(1,))).noise / local_exponent(run).noise
    assert ratio == pytest.approx(np.sqrt(3), rel=1e-12)
    for axes in ((), (0, 0), (3,)):
        with pytest.raises(InputError, match="each once"):
            replace(run, axes=axes)


SPECIES = """\
title = "a crystal"
temperature = "300 K"
arrays = "run.npz"
[species.cation]
role = "cation"
charge = 1
count = 100
mass = "7 g/mol"
[species.anion]
role = "anion"
charge = -1
count = 100
mass = "280 g/mol"
[species.S]
role = "solvent"
count = 500
mass = "50 g/mol"
[estimate]
"""


@pytest.mark.slow
def test_the_command_along_one_axis(tmp_path):
    run = crystal(600)
    np.savez(tmp_path / "run.npz", time=run.time, R=run.R, volume=run.volume)
    (tmp_path / "s.toml").write_text(SPECIES + 'axes = "z"\n')
    done = mdcoeffs("onsager", tmp_path / "s.toml", "-o", tmp_path / "out")
    assert done.exit_code == 0 and "along z only" in done.output, done.output
    kappa = json.loads((tmp_path / "out/summary.json").read_text())["quantities"]["kappa"]
    assert kappa["value"] == pytest.approx(estimate_onsager(replace(run, axes=(2,))).kappa, rel=1e-6)
    top, rest = SPECIES.split("[species.cation]")
    for thermostat, warned in (("langevin", True), ("nose-hoover", False)):
        (tmp_path / "s.toml").write_text(f'{top}thermostat = "{thermostat}"\n[species.cation]{rest}')
        done = mdcoeffs("onsager", tmp_path / "s.toml", "-o", tmp_path / "out")
        assert done.exit_code == 0 and ("destroys momentum" in done.output) is warned
    for key, message in (
        ('axes = "zz"', "each once"),
        ('axes = "w"', "must be some of the letters x, y and z"),
        ('axes = "z"\nviscosity = "1 mPa s"', "leaves self-diffusion out"),
    ):
        (tmp_path / "s.toml").write_text(SPECIES + key)
        refused = mdcoeffs("onsager", tmp_path / "s.toml", "-o", tmp_path / "no")
        assert refused.exit_code == 2 and message in refused.output, refused.output
