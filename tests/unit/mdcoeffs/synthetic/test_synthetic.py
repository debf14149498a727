"""The synthetic walks have the statistics they promise."""

import numpy as np
import pytest

from cellsim.base import N_A, InputError, k_B
from mdcoeffs.onsager.spectrum import current_spectrum
from mdcoeffs.statistics.correlate import collective_msd, self_msd
from mdcoeffs.synthetic.walkers import (
    Onset,
    Solvent,
    bounded_motion,
    inertia,
    particles,
    stretched_motion,
    walk,
    walk_of_spectrum,
)

OMEGA = np.array([[1.0, 0.5], [0.5, 1.6]]) * 1e-10
DT = 1e-11


def measured(run, lag):
    """Omega from the correlation at one lag, non-overlapping blocks; standard error 1/sqrt(3 blocks)."""
    R = run.R[::lag, :2]
    steps = np.diff(R, axis=0)
    scale = 6 * k_B * run.temperature * run.volume * N_A**2 * lag * DT
    return np.einsum("tix,tjx->ij", steps, steps) / (len(steps) * scale), len(steps)


@pytest.mark.parametrize(("z", "nu"), [((1, -1), (1, 1)), ((2, -1), (1, 2)), ((1, -20), (20, 1))])
def test_plain_walk_has_the_prescribed_matrix(z, nu):
    run = walk(OMEGA, frames=20001, dt=DT, seed=1, z=z, c=50.0)
    assert run.nu == nu
    assert run.c == pytest.approx(50.0, rel=1e-12)
    got, n = measured(run, 1)
    scale = np.sqrt(np.outer(np.diag(OMEGA), np.diag(OMEGA)))
    assert np.max(np.abs(got - OMEGA) / scale) < 4 * np.sqrt(2 / (3 * n))  # four standard errors


def test_onset_is_gone_at_long_lags_and_there_at_short_ones():
    extra = np.array([[3.0, 0.0], [0.0, 2.0]]) * 1e-10
    run = walk(OMEGA, frames=200001, dt=DT, seed=2, onset=Onset(20 * DT, extra))
    short, _ = measured(run, 1)
    # exact at lag dt: Omega + extra (1 - e^-u)/u, u = dt/tau
    u = 1 / 20
    want = OMEGA + extra * (1 - np.exp(-u)) / u
    np.testing.assert_allclose(np.diag(short), np.diag(want), rtol=0.02, atol=0.0)
    long, n = measured(run, 500)
    u = 25.0
    want = OMEGA + extra * (1 - np.exp(-u)) / u
    assert np.max(np.abs(np.diag(long) / np.diag(want) - 1)) < 4 * np.sqrt(2 / (3 * n))


def test_ballistic_start_grows_quadratically_and_ends_at_the_prescribed_slope():
    run = walk(OMEGA, frames=200001, dt=DT, seed=3, ballistic_time=20 * DT)
    C = collective_msd(run.R, [1, 2, 400, 800])[:, 0, 0]
    assert C[1] / C[0] == pytest.approx(4.0, rel=0.03)
    slope = (C[3] - C[2]) / (400 * DT * 6 * k_B * run.temperature * run.volume * N_A**2)
    assert slope == pytest.approx(OMEGA[0, 0], rel=0.25)  # standard error about 6 % at 250 blocks of 800


def test_explicit_solvent_conserves_momentum_and_gives_back_the_solvent_frame_walk():
    kw = {"frames": 301, "dt": DT, "seed": 4, "n_salt": 20}
    plain = walk(OMEGA, **kw)
    run = walk(OMEGA, **kw, solvents=[Solvent(150, 88.0), Solvent(80, 90.0)])
    assert run.frame == "barycentric"
    momentum = np.einsum("k,tkx->tx", run.masses, run.R)
    assert np.max(np.abs(momentum)) < 1e-12 * np.max(np.abs(run.R)) * max(run.masses)
    back = run.to_frame("solvent").R[:, :2]
    np.testing.assert_allclose(back, plain.R, rtol=0.0, atol=1e-12 * np.max(np.abs(run.R)))
    # the algebra of frames on the correlations: A C A^T equals the correlation of the moved displacements
    m, N = np.asarray(run.masses), np.asarray(run.counts, dtype=float)
    A = np.eye(2) + np.outer(N[:2], m[:2]) / (m[2:] @ N[2:])
    C = collective_msd(run.R[:, :2], [1, 7, 50])
    want = collective_msd(back, [1, 7, 50])
    np.testing.assert_allclose(A @ C @ A.T, want, rtol=0.0, atol=1e-11 * np.max(np.abs(want)))


def test_particles_add_up_and_diffuse_as_told():
    run = walk(OMEGA, frames=2001, dt=DT, seed=5, n_salt=40)
    D = (8e-7, 1.5e-6)
    tracks = particles(run, D, seed=6)
    for k in (0, 1):
        mine = tracks.positions[:, tracks.species == k]
        summed = np.sum(mine - mine[:1], axis=1)
        np.testing.assert_allclose(summed, run.R[:, k], rtol=0.0, atol=1e-10 * np.max(np.abs(run.R)))
        msd = self_msd(mine, [1])[0]
        assert msd / (6 * DT) == pytest.approx(D[k], rel=0.02)  # standard error 0.2 %, collective share 2 %


def test_same_seed_same_walk():
    a, b = (walk(OMEGA, frames=11, dt=DT, seed=7, ballistic_time=DT) for _ in range(2))
    assert np.array_equal(a.R, b.R)


@pytest.mark.parametrize(
    ("Omega", "options", "says"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], {}, "positive definite"),
        ([[1.0, 0.1], [0.2, 1.0]], {}, "symmetric"),
        (np.eye(3), {}, "2 x 2"),
        (np.eye(2), {"z": (1, 1)}, "z"),
        (np.eye(2), {"frames": 1}, "frames"),
        (np.eye(2), {"ballistic_time": -1.0}, "ballistic_time"),
    ],
)
def test_bad_input(Omega, options, says):
    with pytest.raises(InputError, match=says):
        walk(Omega, **{"frames": 10, "dt": DT, "seed": 1, **options})


def test_bad_parts():
    with pytest.raises(InputError, match="positive"):
        Onset(0.0, np.eye(2))
    with pytest.raises(InputError, match="count"):
        Solvent(0, 18.0)
    run = walk(OMEGA, frames=100, dt=DT, seed=1, n_salt=2)
    with pytest.raises(InputError, match="does not fit"):
        particles(run, (1e-30, 1e-30), seed=2)


# ---- walks of any spectrum ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inertia", "bounded", "stretched"])
def test_a_walk_of_a_spectrum_has_it(kind):
    own = np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10
    factor = {
        "inertia": lambda w: inertia(w, 2.0),
        "bounded": lambda w: 1 + bounded_motion(w, 5.0),
        "stretched": lambda w: 1 + stretched_motion(w, 5.0, 0.6),
    }[kind]
    run = walk_of_spectrum(lambda w: factor(w)[:, None, None] * own, frames=20001, dt=1e-11, seed=8)
    spectrum = current_spectrum([run])
    omega = np.linspace(0, np.pi, 2**17 + 1)
    want = np.interp(2 * np.arcsin(spectrum.s / 2), omega, factor(omega)) * own[0, 0]
    z = (spectrum.W[:, 0, 0] / want - spectrum.dof) / np.sqrt(2 * spectrum.dof)
    assert np.std(z) == pytest.approx(1.0, abs=0.3)  # about a hundred bins: 0.07
    assert abs(np.mean(z)) < 0.5  # 0.1


def test_bounded_motions_of_a_single_time_are_stretched_ones_of_exponent_one():
    omega = np.linspace(0, np.pi, 4097)
    np.testing.assert_allclose(stretched_motion(omega, 9.0, 1.0), bounded_motion(omega, 9.0), atol=1e-12)
    assert inertia(omega, 3.0)[0] == pytest.approx(1.0, rel=1e-12)  # no effect on Omega
    assert bounded_motion(omega, 9.0)[0] == 0.0


def test_a_spectrum_must_be_positive():
    with pytest.raises(InputError, match="positive semi-definite"):
        walk_of_spectrum(lambda w: np.cos(w)[:, None, None] * np.eye(2), frames=100, dt=1e-11, seed=1)
