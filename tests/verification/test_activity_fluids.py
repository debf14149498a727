"""chi and Kirkwood-Buff integrals against fluids whose thermodynamics is known: hard spheres, Lennard-Jones."""

from itertools import pairwise

import numpy as np
import pytest
from fluids import hard_spheres, lennard_jones, lennard_jones_mixture, mansoori_fluctuations

from cellsim.electrolyte.relations import ideal_thermodynamic_matrix
from mdcoeffs.activity import species_pairs
from mdcoeffs.activity.fluctuations import activity_from_sums, pair_fluctuations
from mdcoeffs.activity.mixture import mixture_from_sums
from mdcoeffs.activity.waves import WaveSums, composition_map, wave_vectors
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.statistics.blocks import jackknife
from mdcoeffs.structure.radial import RadialSums


def sums(runs, counts, edge):
    """Pairs and waves of particles sorted by species; the unit of length is an angstrom."""
    n, box = sum(counts), np.eye(3) * edge * 1e-10
    vectors = wave_vectors(box, np.pi / (edge / n ** (1 / 3)) * 1e10)
    edges = np.linspace(0, 0.49 * edge * 1e-10, round(0.49 * edge / 0.05) + 1)
    species = np.split(np.arange(n), np.cumsum(counts)[:-1])
    pairs, waves = [], []
    for run in runs:
        pairs.append(RadialSums(species_pairs(species, centres=False), edges))
        waves.append(WaveSums(vectors, species, centres=False))
        for k, points in enumerate(run):
            frame = Snapshot(k, float(k), points, box)
            pairs[-1].add(frame)
            waves[-1].add(frame)
    return pairs, waves


def activity(runs, n_ions, edge):
    """chi of particles 0 .. n_ions - 1 in the others."""
    pairs, waves = sums(runs, (n_ions // 2, n_ions // 2, runs[0].shape[1] - n_ions), edge)
    return activity_from_sums(pairs, waves, T=300.0), pairs


def relabelled(runs, numbers, seed=0):
    """The particles of each kind in a new order in every frame: what they are called is free, and independent then."""
    rng, edges = np.random.default_rng(seed), np.cumsum([0, *numbers])
    kinds = list(pairwise(edges))
    return [np.array([np.concatenate([rng.permutation(x[a:b]) for a, b in kinds]) for x in run]) for run in runs]


def matrix(made, route):
    """G where the particles are called cation M, anion X and solvents A and B, in their order."""
    species = {"names": ("M", "X", "A", "B"), "z": (1, -1, 0, 0), "cation": "M", "solvent": "B"}
    return mixture_from_sums(*made, **species, T=300.0, route=route)


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
    runs = [hard_spheres(numbers, sizes, edge, 1000, seed=seed) for seed in range(2)]
    found, _ = activity(runs, numbers[0], edge)
    assert abs(found.routes["pairs"][0] - chi) < 3 * found.routes["pairs"][1]  # measured 0.847 +- 0.056 at plateau 0.7
    assert abs(found.routes["waves"][0] - chi) < 3 * found.routes["waves"][1]
    assert abs(found.chi - chi) < 3 * found.error
    assert found.error < 0.08
    assert abs(found.phi_0[0] - phi_0) < 3 * found.phi_0[1]  # measured 0.5614 +- 0.010
    exact = np.array([A[0, 0] - volume / numbers[0], A[0, 1], A[1, 1] - volume / numbers[1]]) * 1e-30
    G = found.pairs.integrals
    assert np.all(np.abs(G.value - exact) < 3 * G.error)  # measured 0.0, 0.3, 0.1 standard errors
    assert np.all(G.error < 0.1e-30)
    # labels of one size mix ideally: half of the large ones are M and X, the small ones are A and B
    counts, kind = np.array([30, 30, 98, 98]), np.array([0, 0, 1, 1])
    labelled = (
        A[np.ix_(kind, kind)] / volume - (np.diag(1 / np.array(numbers)))[np.ix_(kind, kind)] + np.diag(1 / counts)
    )
    M = composition_map(counts, (1, -1, 0, 0), (1, 2), 3)
    r = counts[[1, 2]] / counts[3]
    exact_G = np.linalg.inv(M @ labelled @ M.T) / np.sqrt(np.outer(r, r))
    made = sums(relabelled([run[::2] for run in runs], numbers), counts, edge)
    for route in ("both", "waves", "pairs"):
        mixed = matrix(made, route)
        assert np.all(np.abs(mixed.G - exact_G) < 3 * mixed.matrix.error), route
        assert mixed.matrix.error[1, 1] < 0.3 * exact_G[1, 1]


@pytest.mark.slow
def test_lennard_jones_mixture():
    """G of two kinds that dislike one another, against their chemical potentials by changes of kind.

    Wells of 1 and 0.8 between unlike kinds, T = 2, density 0.5. A particle that becomes one of the other kind gives
    mu_1 - mu_0 at a composition (Widom 1963, doi:10.1063/1.1734110); by symmetry the slope in x at
    x = 1/2 is also that at constant pressure, d(mu_1 - mu_0)/dx = 4 + a in kT. Kind 0 is called M, X and A, which mix
    ideally: G = ideal + (a/8) nu nu^T with nu = 2, 1.
    """
    depth = np.array([[1, 0.8], [0.8, 1]]) / 2.0
    _, _, factors = lennard_jones_mixture((100, 156), 0.5, depth, 3.0, 150, seed=99)
    down, up = -np.log(factors.mean(axis=0))
    a = 0.5 * (down - up) / (28 / 256)
    assert a == pytest.approx(-1.139, abs=0.06)  # odd in x - 1/2: the cubic term is 1 % here
    made = [lennard_jones_mixture((128, 128), 0.5, depth, 3.0, 200, seed=seed, between=4) for seed in (2, 3)]
    runs, edge = [each[0] for each in made], made[0][1]
    exact = ideal_thermodynamic_matrix(np.array([0.25, 0.5]), (-1, 0), 1) + a / 8 * np.outer([2, 1], [2, 1])
    named = sums(relabelled(runs, (128, 128)), (32, 32, 64, 128), edge)
    for route in ("both", "waves", "pairs"):
        found = matrix(named, route)
        assert np.all(np.abs(found.G - exact) < 3 * found.matrix.error), route
        assert found.matrix.error[0, 0] < 0.25 * exact[0, 0]
    # two neutral kinds alone: Gamma = r G; by waves, for the integrals to 4 diameters lie 10 % too high
    two = {"names": ("A", "B"), "z": (0, 0), "cation": "", "solvent": "B"}
    both = mixture_from_sums(*sums(runs, (128, 128), edge), **two, T=300.0, route="waves")
    assert abs(both.G[0, 0] - 0.5 * (1 + a / 4)) < 3 * both.matrix.error[0, 0]
    assert both.matrix.error[0, 0] < 0.05


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
