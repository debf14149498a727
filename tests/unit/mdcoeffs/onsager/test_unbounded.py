"""Self-diffusion without the images of the box: the constant of the cubic lattice, the error, the keys."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import erfc

from cellsim.base import InputError, k_B
from mdcoeffs.inputs.species import read_species
from mdcoeffs.onsager import read_estimate
from mdcoeffs.onsager.self_motion import CUBIC, SelfDiffusion, Viscosity, without_images

SPECIES = """
title = "walkers"
arrays = "run.npz"
temperature = "300 K"
[species.Li]
role = "cation"
charge = 1
[species.X]
role = "anion"
charge = -1
[species.S]
role = "solvent"
"""


def test_the_constant_is_the_lattice_sum_of_a_cube():
    """Minus the potential of a point charge among its images and a uniform background, by Ewald's sums."""
    a, n = 2.0, np.array([k for k in itertools.product(range(-6, 7), repeat=3) if any(k)])
    r = np.linalg.norm(n, axis=1)
    real = np.sum(erfc(a * r) / r)
    waves = np.sum(np.exp(-((np.pi * r / a) ** 2)) / (np.pi * r**2))
    assert -(real + waves - 2 * a / np.sqrt(np.pi) - np.pi / a**2) == pytest.approx(CUBIC, abs=1e-6)


def test_what_the_images_took_and_its_error():
    own = SelfDiffusion(np.array([1e-10, 2e-10]), np.array([5e-12, 4e-12]), np.ones(2), (0.0, 1.0))
    L, eta = 4e-9, 1e-3
    added = 2.837297 * k_B * 300 / (6 * np.pi * eta * L)
    assert added == pytest.approx(1.5586e-10, rel=1e-3)  # water-like, 4 nm: as much as a slow ion's own
    found = without_images(own, Viscosity(eta, 0.1), T=300.0, volume=L**3)
    assert pytest.approx(own.D + added, rel=1e-12) == found.D
    assert found.standard_error == pytest.approx(np.hypot(own.standard_error, 0.1 * added), rel=1e-12)
    rng = np.random.default_rng(1)
    samples = own.D + own.standard_error * rng.standard_normal((20000, 2))
    known = SelfDiffusion(own.D, own.standard_error, np.ones(2), (0.0, 1.0), samples)
    drawn = without_images(known, Viscosity(eta, 0.1), T=300.0, volume=L**3)
    assert drawn.samples.std(axis=0) == pytest.approx(found.standard_error, rel=0.03)
    # the viscosity moves both ions together
    expected = (0.1 * added) ** 2 / np.prod(found.standard_error)
    assert np.corrcoef(drawn.samples.T)[0, 1] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('viscosity = "0.6"', "viscosity"),
        ('viscosity = "-1 mPa s"', "positive"),
        ('viscosity = "1e9 Pa s"', "must lie between"),
        ('viscosity_error = "5 %"', "which is not given"),
        ('viscosity = "1 mPa s"\nviscosity_error = "200 %"', "at most"),
    ],
)
def test_keys_that_do_not_do_are_one_sentence(tmp_path, text, told):
    (tmp_path / "run.npz").touch()
    (tmp_path / "SPECIES.toml").write_text(SPECIES + "[estimate]\n" + text)
    with pytest.raises(InputError, match=told):
        read_estimate(read_species(tmp_path / "SPECIES.toml"))
    (tmp_path / "SPECIES.toml").write_text(SPECIES + '[estimate]\nviscosity = "0.6 mPa s"\nviscosity_error = "5 %"\n')
    assert read_estimate(read_species(tmp_path / "SPECIES.toml")).viscosity == Viscosity(6e-4, 0.05)
