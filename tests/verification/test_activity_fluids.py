"""chi and Kirkwood-Buff integrals against fluids whose thermodynamics is known: hard spheres, Lennard-Jones."""

import numpy as np
import pytest
from fluids import hard_spheres, lennard_jones, mansoori_fluctuations

from mdcoeffs.activity import species_pairs
from mdcoeffs.activity.fluctuations import activity_from_sums, pair_fluctuations
from mdcoeffs.activity.waves import WaveSums, wave_vectors
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.statistics.blocks import jackknife
from mdcoeffs.structure.radial import RadialSums


def activity(runs, n_ions, edge):
    """chi of particles 0 .. n_ions - 1 in the others; the unit of length is an angstrom."""
    n = runs[0].shape[1]
    box = np.eye(3) * edge * 1e-10
    vectors = wave_vectors(box, np.pi / (edge / n ** (1 / 3)) * 1e10)
    edges = np.linspace(0, 0.49 * edge * 1e-10, round(0.49 * edge / 0.05) + 1)
    s, zero = np.arange(n_ions), np.arange(n_ions, n)
    species = (s[::2], s[1::2], zero)
    pairs, waves = [], []
    for run in runs:
        pairs.append(RadialSums(species_pairs(species, centres=False), edges))
        waves.append(WaveSums(vectors, species, centres=False))
        for k, points in enumerate(run):
            frame = Snapshot(k, float(k), points, box)
            pairs[-1].add(frame)
            waves[-1].add(frame)
    return activity_from_sums(pairs, waves, T=300.0), pairs


@pytest.mark.slow
def test_hard_sphere_mixture():
    """Sizes 1 and 0.6, packing 0.3: chi, phi_0 and the three integrals of Mansoori et al. (BMCSL)."""
    numbers, sizes, packing = (60, 196), np.array([1.0, 0.6]), 0.30
    volume = np.pi / 6 * np.sum(numbers * sizes**3) / packing
    A = mansoori_fluctuations(np.array(numbers) / volume, sizes)
    difference = A[0, 0] + A[1, 1] - 2 * A[0, 1]
    chi, phi_0 = volume / (numbers[0] * difference), (A[0, 0] - A[0, 1]) / difference
    assert (chi, phi_0) == pytest.approx((0.8535, 0.5599), abs=1e-4)  # the ideal value of chi is 196/256 = 0.766
    edge = volume ** (1 / 3)
    found, _ = activity([hard_spheres(numbers, sizes, edge, 1000, seed=seed) for seed in range(2)], numbers[0], edge)
    assert abs(found.routes["pairs"][0] - chi) < 3 * found.routes["pairs"][1]  # measured 0.847 +- 0.056 at plateau 0.7
    assert abs(found.routes["waves"][0] - chi) < 3 * found.routes["waves"][1]
    assert abs(found.chi - chi) < 3 * found.error
    assert found.error < 0.08
    assert abs(found.phi_0[0] - phi_0) < 3 * found.phi_0[1]  # measured 0.5614 +- 0.010
    exact = np.array([A[0, 0] - volume / numbers[0], A[0, 1], A[1, 1] - volume / numbers[1]]) * 1e-30
    G = found.pairs.integrals
    assert np.all(np.abs(G.value - exact) < 3 * G.error)  # measured 0.0, 0.3, 0.1 standard errors
    assert np.all(G.error < 0.1e-30)


@pytest.mark.slow
def test_lennard_jones_compressibility():
    """T = 2, rho = 0.5: rho kT kappa = 0.4054 of three equations of state (0.4049, 0.4064, 0.4057).

    Thol et al. 2016 (doi:10.1063/1.4945000), Johnson et al. 1993 (doi:10.1080/00268979300100411), Kolafa & Nezbeda
    1994 (doi:10.1016/0378-3812(94)80001-4), evaluated with teqp 0.23.2. The fluid is cut off at 4 sigma; the mean-field
    part of the tail, 32 pi rho/(3 T 4^3) = 0.131, is taken from 1/(rho kT kappa). Half the particles are called ions
    at random: chi of such a mixture is its mole fraction of solvent, 1/2, whatever the forces.
    """
    T, rho, reach = 2.0, 0.5, 4.0
    exact = 1 / (1 / 0.4054 + 32 * np.pi * rho / (3 * T * reach**3))
    runs, edge = [], 0.0
    for seed in range(2):
        x, edge = lennard_jones(500, rho, T, reach, 500, seed=seed)
        runs.append(x)
    found, pairs = activity(runs, 250, edge)
    # labels do not matter to the whole; one jackknife, for the errors of the integrals are correlated
    flat, share = found.pairs.plateau, np.array([0.25, 0.25, 0.5])
    inner = pair_fluctuations(pairs[0], (125, 125, 250))
    G = jackknife([one.sums.sums for one in pairs], lambda total: share @ inner(total)[1][flat].mean(axis=0) @ share)
    compressibility, error = 1 + rho * 1e30 * float(G.value), rho * 1e30 * float(G.error)
    # Too low by 0.06: measured 0.312 +- 0.035 here, 0.301 and 0.328 +- 0.012 with 256 particles and longer runs.
    # The running integral still rises at half the box. The compressibility cancels in chi, so chi has no such error.
    assert abs(compressibility - exact) < 3 * error + 0.06
    assert error < 0.1
    assert abs(found.chi - 0.5) < 3 * found.error
    assert found.error < 0.15  # measured 0.05 and 0.06
