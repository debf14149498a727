"""The chain's error bars hold the truth as often as they say, noise drawn afresh for every repetition."""

import os
from dataclasses import replace

import pytest
from laboratory_toys import bench
from scipy.stats import binomtest

from cellsim.laboratory import chain, electrophoretic_nmr, low_frequency_impedance
from cellsim.laboratory.report import ORDINARY

REPEATS = int(os.environ.get("CELLSIM_REPEATS", "50"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["landesfeind2019_ec_dmc", "2:1"])
def test_intervals_cover_the_truth(name):
    on = bench(name, 1000.0)
    held: dict[tuple[str, str], int] = {}
    for seed in range(REPEATS):
        noisy = on.changed(noise=replace(ORDINARY, seed=seed))
        found = (chain(noisy), electrophoretic_nmr(noisy), low_frequency_impedance(noisy))
        keys = ("kappa", "D", "rho_plus", "dU/dlnm", "t_plus", "chi"), ("t_plus",), ("rho_plus",)
        for record, quantities in zip(found, keys, strict=True):
            for quantity in quantities:
                one = record[quantity]
                held[record.name, quantity] = held.get((record.name, quantity), 0) + (
                    abs(one.inferred - one.true) < 1.96 * one.error
                )
    # exact binomial test, 1 % level shared by the eight quantities
    wrong = {k: n for k, n in held.items() if binomtest(n, REPEATS, 0.95).pvalue < 0.01 / len(held)}
    assert wrong == {}
