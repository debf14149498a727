"""Drift in a field gives back the Onsager matrix that drives it, with intervals that hold what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cellsim.base import F, InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.chain.field import compare_draws, drift_in_field, linear_response, zero_field
from mdcoeffs.synthetic.walkers import Solvent, walk

OMEGA = np.array([[5.0, -1.0], [-1.0, 3.0]]) * 1e-9
DT, E = 5e-13, 6e7
TRUTH = OnsagerMatrix(OMEGA, (1, -1), (1, 1), 1000.0, 300.0, "solvent")
MASSES, SOLVENT = (40.0, 300.0), Solvent(count=448, mass=60.0)


def driven(seed, *, field=E, frames=2001, z=(1, -1), n_salt=26, extra=0.0):
    """A walk of known Omega with the drift that this Omega and a field along x make; as in the box, with a drift."""
    run = walk(OMEGA, frames=frames, dt=DT, seed=seed, z=z, n_salt=n_salt, c=1000.0, solvents=SOLVENT, masses=MASSES)
    flux = OMEGA @ (np.array(z) * F * field * (1 + extra))  # N_i = Omega_ij z_j F E, solvent frame
    R = run.R.copy()
    N_A_V = run.counts[0] / run.concentrations[0]
    R[:, :2, 0] += run.time[:, None] * flux * N_A_V
    R += np.array(run.counts)[None, :, None] * run.time[:, None, None] * 3.0  # the box drifts at 3 m/s
    return replace(run, R=R, frame="lab")


def barycentric(truth):
    """t+ barycentric by the definition: v_M = sum m v/sum m, solvent at rest."""
    m = np.array([*MASSES, SOLVENT.mass]) * np.array([26, 26, SOLVENT.count])
    v = np.append(truth.Omega @ np.array(truth.z) / truth.c_ions, 0.0)
    v -= m @ v / m.sum()
    charge = np.array([1, -1, 0]) * np.array([26, 26, 0])
    return charge[0] * v[0] / (charge @ v)


def test_a_long_run_gives_kappa_and_both_transference_numbers():
    got = drift_in_field([driven(seed, frames=20001) for seed in range(4)], E)
    low, high = got.interval("kappa", 0.999)
    assert low < TRUTH.kappa < high
    assert high - low < 0.08 * TRUTH.kappa  # measured 0.026
    low, high = got.interval("t_solvent", 0.999)
    assert low < TRUTH.t_plus < high
    low, high = got.interval("t_barycentric", 0.999)
    assert low < barycentric(TRUTH) < high
    assert barycentric(TRUTH) - TRUTH.t_plus > 2 * (high - low)  # the frames are told apart


def test_the_drift_of_the_box_does_not_matter():
    run = driven(1)
    moved = replace(run, R=run.R + np.array(run.counts)[None, :, None] * run.time[:, None, None] * 50.0)
    a, b = drift_in_field(run, E), drift_in_field(moved, E)
    assert a.kappa == pytest.approx(b.kappa, rel=1e-9)
    assert a.t_solvent == pytest.approx(b.t_solvent, rel=1e-9)


def test_a_field_backwards_gives_the_same():
    a, b = drift_in_field(driven(1, field=-E), -E), drift_in_field(driven(1), E)
    both = (a.draws[:, 0].var() + b.draws[:, 0].var()) ** 0.5
    assert abs(a.kappa - b.kappa) < 4 * both


def test_intervals_hold_the_truth():
    hits, runs = np.zeros(3), 200
    for seed in range(runs):
        got = drift_in_field(driven(1000 + seed, frames=801), E)
        truth = (TRUTH.kappa, TRUTH.t_plus, barycentric(TRUTH))
        for k, name in enumerate(("kappa", "t_solvent", "t_barycentric")):
            low, high = got.interval(name)
            hits[k] += low <= truth[k] <= high
    for count in hits:  # measured 182, 186, 186; with 2000 runs 95.4, 95.0, 95.0 %
        assert stats.binomtest(int(count), runs, 0.95).pvalue > 0.01


def test_several_fields_linear_or_not():
    weak, strong = (drift_in_field(driven(7, field=f, frames=20001), f) for f in (E / 2, E))
    assert linear_response([weak, strong]) > 0.01
    bent = drift_in_field(driven(7, frames=20001, extra=0.5), E)
    assert linear_response([weak, bent]) < 1e-3
    # straight line in E^2: from kappa (1 + b E^2) at two fields back to kappa
    exact = [
        replace(one, draws=np.full((10, 3), value) + np.arange(10)[:, None] * 1e-9)
        for one, value in ((weak, 1.25), (strong, 2.0))
    ]
    np.testing.assert_allclose(zero_field(exact).mean(axis=0), 1.0, rtol=1e-6, atol=0)
    with pytest.raises(InputError, match="at least two fields"):
        zero_field([weak, weak])


def test_agreement_is_judged_by_the_difference():
    rng = np.random.default_rng(1)
    a, b = rng.normal(10.0, 0.3, 4000), rng.normal(10.5, 0.4, 8000)
    near = compare_draws("kappa", a, b, values=(10.0, 10.5))
    assert near.agrees
    assert near.difference == pytest.approx((0.5 - 1.96 * 0.5, 0.5 + 1.96 * 0.5), abs=0.05)
    assert not compare_draws("kappa", a, b + 1.0, values=(10.0, 11.5)).agrees


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"field": 0.0}, "other than zero"),
        ({"field": -E}, "does not flow along the field"),
        ({"field": E, "block": 2e-10}, "at least 10 are needed"),
        ({"field": E, "skip": 1e-8}, "too short for 40 blocks"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    with pytest.raises(InputError, match=message):
        drift_in_field(driven(1), **change)
