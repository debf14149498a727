"""Translation, rotation, paddle-wheel, kappa(r): known answers of the pure-array functions."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.mobility.paddlewheel import jumps, nearest, reorientation, response, sample
from mdcoeffs.mobility.rotation import autocorrelation, relaxation, unit_vectors, unwrapped_angles
from mdcoeffs.mobility.translation import (
    bjerrum_length,
    displacements,
    exponent,
    fit_conductivity,
    fit_segments,
    lags_for,
    order_parameter,
)
from mdcoeffs.statistics.correlate import self_msd
from mdcoeffs.statistics.lagged import Lagged, blocks_of, groups_of, join, spread
from mdcoeffs.synthetic.dynamics import fractional_walk, librators, rotors, trapped_walk
from mdcoeffs.synthetic.jumps import paddlewheel

LAGS = lags_for(1000, 1.0, (20.0, 200.0))


def law(path, window=(20.0, 200.0), **options):
    return exponent(displacements(path, 1.0, LAGS, longest=200, **options), window)


# ---- averages over origins ----------------------------------------------------------------------------------------


def test_mean_square_is_that_of_the_fft_route():
    path = fractional_walk(0.5, particles=7, frames=1000, rng=np.random.default_rng(1))
    found = displacements(path, 1.0, LAGS, owner=np.array([0, 0, 1, 1, 1, 2, 3]), longest=200)
    assert found.sums.shape == (4, 4, LAGS.size)
    # measured 2e-14
    assert found.mean == pytest.approx(self_msd(path.transpose(1, 0, 2), LAGS), rel=1e-12)


def test_fractional_walk_has_its_covariance():
    rng = np.random.default_rng(2)
    for alpha in (0.5, 1.0, 1.5):
        path = fractional_walk(alpha, particles=4000, frames=65, rng=rng)
        for lag in (1, 8, 64):
            # 12000 squares of a normal: relative error sqrt(2/12000) = 0.013; measured up to 0.02
            assert np.mean(path[:, lag] ** 2) == pytest.approx(lag**alpha, rel=0.04)
    with pytest.raises(InputError, match="must lie between 0 and 2"):
        fractional_walk(2.0, particles=1, frames=3, rng=rng)


def test_influences_are_derivatives():
    rng = np.random.default_rng(3)
    sums, counts = rng.uniform(1, 2, (6, 4, LAGS.size)), rng.integers(5, 9, (6, 4, LAGS.size)).astype(float)
    sums *= LAGS**0.7 * counts
    base = Lagged(LAGS.astype(float), sums, counts)
    cells = exponent(base, (20.0, 200.0)).alpha.cells[0]
    assert abs(cells.sum()) < 1e-12
    h = 1e-5
    weight = np.ones((6, 4, 1))
    weight[2, 1] += h
    moved = exponent(Lagged(base.lag, sums * weight, counts * weight), (20.0, 200.0)).alpha.value
    # forward difference: error of order h; measured 2e-5
    assert (moved - exponent(base, (20.0, 200.0)).alpha.value) / h == pytest.approx(cells[2, 1], rel=1e-4)


def test_common_motion_is_found():
    rng = np.random.default_rng(4)
    own = fractional_walk(1.0, particles=30, frames=4000, rng=rng)
    lags = lags_for(4000, 1.0, (10.0, 100.0))
    alone = exponent(displacements(own, 1.0, lags, longest=100), (10.0, 100.0)).alpha
    shared = fractional_walk(1.0, particles=1, frames=4000, rng=rng)
    together = exponent(displacements(own + 3 * shared, 1.0, lags, longest=100), (10.0, 100.0)).alpha
    assert not alone.common
    assert together.common and together.error > 3 * alone.error
    assert together.interval()[0] < 1 < together.interval()[1]


def test_too_few_groups_have_no_error_and_replicas_help():
    rng = np.random.default_rng(5)
    runs = [
        displacements(fractional_walk(1.0, particles=2, frames=1000, rng=rng), 1.0, LAGS, longest=200) for _ in range(3)
    ]
    assert np.isnan(exponent(runs[0], (20.0, 200.0)).alpha.error)
    joined = join(runs)
    assert joined.sums.shape == (6, 12, LAGS.size)
    assert exponent(joined, (20.0, 200.0)).alpha.error > 0
    with pytest.raises(InputError, match="replicas have different lags"):
        join([runs[0], Lagged(runs[0].lag * 2, runs[0].sums, runs[0].counts)])


def test_groups_and_blocks():
    assert groups_of(np.array([7, 7, 3, 9])).tolist() == [1, 1, 0, 2]
    assert groups_of(np.arange(1000)).max() == 255
    assert blocks_of(1000, 200).tolist() == [0, 250, 500, 750, 1000]
    assert blocks_of(1000, 900).tolist() == [0, 1000]
    assert spread([np.zeros((9, 3))])[0] == 0.0


# ---- translation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_exponent_and_order_parameter(alpha):
    rng = np.random.default_rng(int(10 * alpha) + 6)
    cage = law(
        fractional_walk(alpha, particles=60, frames=1000, rng=rng)
        if alpha
        else trapped_walk(2.0, particles=60, frames=1000, rng=rng)
    )
    plus = law(fractional_walk(1.0, particles=60, frames=1000, rng=rng))
    M = order_parameter(cage, plus)
    for found in (cage.alpha, M):
        assert found.error < 0.05
        assert abs(found.value - alpha) < 3 * found.error
    # each lag's mean square is 3 t^alpha
    assert cage.prefactor == pytest.approx(3.0 if alpha else 6.0, rel=0.3)
    assert cage.window[0] >= 20 and cage.window[1] <= 200


def test_order_parameter_of_one_kind_with_itself_is_exact():
    walk = law(fractional_walk(1.0, particles=20, frames=1000, rng=np.random.default_rng(7)))
    same = order_parameter(walk, walk, same=True)
    assert same.value == 1.0 and same.error < 1e-12


def test_no_order_parameter_against_a_trapped_cation():
    rng = np.random.default_rng(8)
    trapped = law(trapped_walk(2.0, particles=20, frames=1000, rng=rng))
    assert np.isnan(order_parameter(law(fractional_walk(0.5, particles=20, frames=1000, rng=rng)), trapped).value)


def test_windows_that_do_not_fit():
    with pytest.raises(InputError, match=r"1 lags lie in 0.24 to 2.4 s, at least 3 are needed .* has 7 frames"):
        lags_for(7, 2.0, (0.24, 2.4))
    with pytest.raises(InputError, match="none longer than half of the run"):
        lags_for(1000, 1.0, (100.0, 700.0))
    with pytest.raises(InputError, match="do not move at all"):
        law(np.zeros((5, 1000, 3)))
    with pytest.raises(InputError, match="2 lags lie in the window"):
        law(np.ones((5, 1000, 3)), (10.0, 12.0))


def test_bjerrum_length():
    # e^2 / (4 pi eps0 k_B) = 1.671008e-5 m K; the paper says 0.7 and 7 nm
    assert bjerrum_length(80.1, 298.15) == pytest.approx(1.6710085e-5 / (80.1 * 298.15), rel=1e-6)
    assert bjerrum_length(80.1, 298.15) * 1e9 == pytest.approx(0.7, abs=0.05)
    assert bjerrum_length(7.5, 298.15) * 1e9 == pytest.approx(7.0, abs=0.5)
    with pytest.raises(InputError, match="permittivity = 0"):
        bjerrum_length(0.0, 300.0)


# ---- rotation -----------------------------------------------------------------------------------------------------


def test_a_steady_turn_unwraps():
    angle = 0.3 * np.arange(100)
    u = np.stack([np.cos(angle), np.sin(angle), np.zeros(100)], axis=-1)[None]
    path, step = unwrapped_angles(u)
    assert np.linalg.norm(path[0], axis=1) == pytest.approx(angle, rel=1e-12)  # far beyond 180 degrees
    assert step == pytest.approx(0.3, rel=1e-12)


def test_rolling_a_small_circle():
    """A cone of half-angle a rolls to an arc of radius tan a: known from unrolling the tangent cone."""
    a = 0.6
    turn = np.linspace(0, 2 * np.pi, 4001)
    u = np.stack([np.sin(a) * np.cos(turn), np.sin(a) * np.sin(turn), np.cos(a) * np.ones(turn.size)], axis=-1)[None]
    path, _ = unwrapped_angles(u)
    chord = 2 * np.tan(a) * np.sin(np.pi * np.cos(a))
    # measured 5e-7, falling with the square of the step
    assert np.linalg.norm(path[0, -1]) == pytest.approx(abs(chord), rel=2e-6)


def test_rotors_of_known_diffusion():
    D = 0.005
    u = rotors(D, particles=60, frames=3000, rng=np.random.default_rng(9))
    path, step = unwrapped_angles(u)
    lags = lags_for(3000, 1.0, (30.0, 300.0))
    msad = displacements(path, 1.0, lags, longest=300)
    assert step == pytest.approx(np.sqrt(4 * D), rel=0.02)
    assert np.all(np.abs(msad.mean / (4 * D * lags) - 1) < 4 * msad.standard_error() / msad.mean + 0.01)
    found = exponent(msad, (30.0, 300.0)).alpha
    assert abs(found.value - 1) < 3 * found.error and found.error < 0.05
    for order, C in enumerate(autocorrelation(u, 1.0, lags, longest=300), start=1):
        fit = relaxation(C, order)
        true = 1 / (order * (order + 1) * D)
        assert abs(fit.tau - true) < 3 * fit.error and fit.error < 0.06 * true
        assert fit.interval()[0] < fit.tau < fit.interval()[1]
        assert fit.misfit < 0.05


def test_a_rattling_axis_does_not_turn():
    u = librators(0.17, 3.0, particles=40, frames=5000, rng=np.random.default_rng(10))
    lags = lags_for(5000, 1.0, (100.0, 1000.0))
    path, _ = unwrapped_angles(u)
    msad = displacements(path, 1.0, lags, longest=1000)
    # what the swept area leaves: measured alpha = 0.015 here; the sum of rotation vectors has 0.63
    assert 0 <= exponent(msad, (100.0, 1000.0)).alpha.value < 0.04
    vectors = np.cross(u[:, :-1], u[:, 1:])
    angle = np.arctan2(np.linalg.norm(vectors, axis=-1), (u[:, :-1] * u[:, 1:]).sum(axis=-1))
    vectors *= (angle / np.maximum(np.linalg.norm(vectors, axis=-1), 1e-300))[..., None]
    summed = displacements(np.cumsum(vectors, axis=1), 1.0, lags, longest=1000)
    assert exponent(summed, (100.0, 1000.0)).alpha.value > 0.4
    C1, _ = autocorrelation(u, 1.0, lags, longest=1000)
    assert np.isnan(relaxation(C1).tau)


def test_axes_of_no_length():
    with pytest.raises(InputError, match="has no length"):
        unit_vectors(np.zeros((2, 3)))


# ---- paddle-wheel -------------------------------------------------------------------------------------------------


def test_jumps_are_found_where_they_are():
    path = np.zeros((2, 100, 3))
    path[0, 40:, 0] = 1.0
    path[1, 20:, 1] = 1.0
    path[1, 70:, 1] = 2.0
    events = jumps(path + 0.02 * np.random.default_rng(11).standard_normal(path.shape), half=5, threshold=0.5)
    assert list(zip(events.cation.tolist(), events.frame.tolist(), strict=True)) == [(0, 40), (1, 20), (1, 70)]
    assert events.before[2] == pytest.approx([0, 1, 0], abs=0.05)
    assert events.after[2] == pytest.approx([0, 2, 0], abs=0.05)
    assert jumps(path, half=5, threshold=1.5).count == 0
    with pytest.raises(InputError, match="more than 100 frames"):
        jumps(path, half=50, threshold=1.0)


def test_reorientation_is_the_angle():
    u = np.tile([1.0, 0, 0], (1, 60, 1))
    u[:, 30:] = [0, 1, 0]
    theta = reorientation(u, half=4)
    assert theta[0, 30] == pytest.approx(np.pi / 2, rel=1e-12)
    assert theta[0, 26] == 0 and theta[0, 35] == 0
    assert np.isnan(theta[0, 3]) and np.isnan(theta[0, 57]) and np.isfinite(theta[0, 56])


def test_nearest_across_the_box():
    centres = np.array([[[9.5, 0, 0], [4.0, 0, 0], [5.0, 5.0, 5.0]]])
    box = 10 * np.eye(3)[None]
    assert nearest([[0.5, 0, 0]], centres, box, count=2, cutoff=2.0).tolist() == [[0, -1]]
    assert nearest([[0.5, 0, 0]], centres, None, count=2, cutoff=np.inf).tolist() == [[1, 2]]


def cage_response(system, seed=0):
    half, delays = 5, np.arange(-30, 31)
    events = jumps(system.cations, half=half, threshold=0.5)
    boxes = np.broadcast_to(np.eye(3) * system.edge, (events.count, 3, 3))
    near = nearest(events.before, system.centres[:, events.frame].transpose(1, 0, 2), boxes, count=1, cutoff=np.inf)
    theta = reorientation(system.axes, half=half)
    blocks = [(0, theta[:25]), (25, theta[25:])]
    found = sample(events, near, blocks, delays, half=half, rng=np.random.default_rng(seed))
    return response([found], delays, 1e-12, half=half), found


@pytest.mark.parametrize("delay", [0, 9, -12])
def test_jumps_that_turn_the_cage(delay):
    found, _ = cage_response(paddlewheel(cations=12, frames=1500, rng=np.random.default_rng(12), delay=delay))
    assert found.coupled and found.chance == pytest.approx(1 / 300)
    assert found.lead.error < 0.2e-12
    assert abs(found.lead.value - delay * 1e-12) < 3 * found.lead.error + 0.02e-12
    assert found.peak.value > 1.2  # a fresh direction is 90 degrees away on average, half the turns blur
    assert found.delay[np.argmax(found.excess)] == pytest.approx(delay * 1e-12, abs=1.1e-12)


def test_jumps_that_do_not_turn_the_cage():
    found, sampled = cage_response(paddlewheel(cations=12, frames=1500, rng=np.random.default_rng(13), delay=None))
    assert not found.coupled and np.isnan(found.lead.value)
    assert found.peak.value < 0.2
    few = type(sampled)(sampled.excess[:5], sampled.baseline[:5], sampled.cation[:5], sampled.shifted)
    assert response([few], np.arange(-30, 31), 1.0, half=5) is None


# ---- kappa(r) -----------------------------------------------------------------------------------------------------

R_SALT = np.array([0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.24, 0.3])


@pytest.mark.parametrize("given", [False, True])
def test_kappa_fit_recovers_its_parameters_with_calibrated_errors(given):
    rng = np.random.default_rng(14)
    true = 4.3 * R_SALT * np.exp(-R_SALT / 0.085)  # Eq. 7, S/m
    exact = fit_conductivity(R_SALT, true, 0.05 * true if given else None)
    assert [exact.A, exact.r_star] == pytest.approx([4.3, 0.085], rel=1e-9)
    score = []
    for _ in range(300):
        if given:
            fit = fit_conductivity(R_SALT, true + 0.05 * true * rng.standard_normal(true.size), 0.05 * true)
        else:
            fit = fit_conductivity(R_SALT, true * np.exp(0.05 * rng.standard_normal(true.size)))
        score.append((np.array([fit.A, fit.r_star]) - [4.3, 0.085]) / np.sqrt(np.diag(fit.covariance)))
    score = np.array(score)
    # of 300: mean within 0.06, sd within 0.04 by themselves; Student's t of 9 degrees has sd 1.13; measured 1.0-1.15
    assert np.abs(score.mean(axis=0)).max() < 0.25
    assert np.all((score.std(axis=0) > 0.85) & (score.std(axis=0) < 1.3))
    assert fit.kappa(0.085) == pytest.approx(fit.A * 0.085 * np.exp(-0.085 / fit.r_star), rel=1e-12)


R_SEGMENTS = np.array([0.0, 0.02, 0.05, 0.08, 0.12])


@pytest.mark.parametrize("given", [False, True])
def test_friction_of_segments_with_calibrated_errors(given):
    # <dr^2> = D_0 t^(1/2) with zeta = exp(r/0.085): D_0 falls as exp(-r/0.17) (Siegel 2021, Figs. 5a and 5b)
    D_0 = 7.0 * np.exp(-0.5 * R_SEGMENTS / 0.085)
    kappa = 4.3 * R_SALT * np.exp(-R_SALT / 0.085)
    exact = fit_segments(R_SEGMENTS, D_0, 0.03 * D_0)
    assert exact.r_star == pytest.approx(0.085, rel=1e-9)
    assert exact.zeta(0.085) == pytest.approx(np.e, rel=1e-9)
    law = exact.conductivity(R_SALT, kappa)
    assert [law.A, law.r_star] == pytest.approx([4.3, 0.085], rel=1e-9)
    rng, score = np.random.default_rng(15), []
    for _ in range(400):
        noisy, measured = (y * np.exp(0.03 * rng.standard_normal(y.size)) for y in (D_0, kappa))
        fit = fit_segments(R_SEGMENTS, noisy, 0.03 * noisy if given else None)
        law = fit.conductivity(R_SALT, measured, 0.03 * measured if given else None)
        # ln A and 1/r* are close to normal
        score.append(
            [
                (1 / fit.r_star - 1 / 0.085) * fit.r_star**2 / fit.error,
                np.log(law.A / 4.3) * law.A / np.sqrt(law.covariance[0, 0]),
            ]
        )
    spread = np.std(score, axis=0)
    # given: normal, 1 within 0.035; by the scatter of five points, Student's t of 3 degrees has no such limit: wider
    assert np.all((spread > 0.88) & (spread < (1.12 if given else 2.6)))
    assert np.abs(np.median(score, axis=0)).max() < 0.2


def test_friction_by_another_exponent():
    # a Zimm chain, <dr^2> ~ t^(2/3): the same friction moves it more
    D_0 = np.exp(-(2 / 3) * R_SEGMENTS / 0.06)
    assert fit_segments(R_SEGMENTS, D_0, exponent=2 / 3).r_star == pytest.approx(0.06, rel=1e-9)


def test_friction_of_segments_refuses():
    with pytest.raises(InputError, match="at least 3 pairs"):
        fit_segments([0, 0.1], [1, 0.5])
    with pytest.raises(InputError, match="does not fall with r"):
        fit_segments([0, 0.1, 0.2], [1.0, 1.1, 1.2])
    with pytest.raises(InputError, match=r"exponent = 1\.5 must lie above 0"):
        fit_segments([0, 0.1, 0.2], [1.0, 0.8, 0.7], exponent=1.5)
    with pytest.raises(InputError, match="at least 2 positive pairs"):
        fit_segments([0, 0.1, 0.2], [1.0, 0.8, 0.7]).conductivity([0.1], [1.0])


def test_kappa_fit_refuses():
    with pytest.raises(InputError, match="at least 3 positive pairs"):
        fit_conductivity([0.1, 0.2], [1.0, 1.0])
    with pytest.raises(InputError, match="does not fall with r"):
        fit_conductivity([0.1, 0.2, 0.3], [1.0, 2.2, 3.6])
    with pytest.raises(InputError, match="error must be positive"):
        fit_conductivity([0.1, 0.2, 0.3], [1.0, 1.5, 1.6], [0.1, 0.1, 0.0])
