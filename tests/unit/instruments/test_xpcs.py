"""Heterodyne XPCS: the model, its noise, and what the fit finds on known series."""

from types import SimpleNamespace

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.xpcs import engine
from cellsim.instruments.xpcs.correlation import (
    CorrelationSet,
    add_noise,
    envelope,
    g2_of_solution,
    geometry,
    heterodyne_g2,
    photon_error,
)
from cellsim.instruments.xpcs.curves import fit_curves, frequencies_to_velocity
from cellsim.instruments.xpcs.drift import fit_spread, trend
from cellsim.instruments.xpcs.fit import fastest, fit_velocity
from cellsim.instruments.xpcs.window import master_curve, usable_window, window_of

Q, AZIMUTH = geometry(np.linspace(0.003, 0.010, 4) * 1e10, np.deg2rad(np.arange(0, 360, 30.0)))
TAU = np.unique(np.round(np.geomspace(1, 300, 40)))
SHAPE = {"contrast": 0.2, "h": 0.3, "tau0": 80 * (0.006e10 / Q) ** 1.5, "stretch": 0.8}
V = 25e-10


def series(v=V, noise=0.004, seed=1, tau=TAU, **other):
    g2 = heterodyne_g2(Q, AZIMUTH, tau, v=v, **(SHAPE | other))
    clean = CorrelationSet(Q, AZIMUTH, tau, g2, np.full(g2.shape, noise))
    return clean if seed is None else add_noise(clean, seed)


def test_model_is_the_published_equation_term_by_term():
    # Steinrueck 2020 Eqs. 1 and 2, written out for one point
    q, chi, tau, v, beta, h, t0, gamma = 0.0038e10, 0.4, 37.0, 30e-10, 0.17, 0.35, 60.0, 0.7
    E = np.exp(-((tau / t0) ** gamma))
    expected = 1 + beta * (1 - h) ** 2 + h**2 * beta * E**2
    expected += 2 * h * (1 - h) * beta * np.cos(q * v * np.cos(chi) * tau) * E
    found = heterodyne_g2(q, chi, [tau], v=v, contrast=beta, h=h, tau0=t0, stretch=gamma)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(expected, rel=1e-14)


def test_model_limits():
    early = heterodyne_g2(Q, AZIMUTH, [1e-9], v=V, **SHAPE)
    late = heterodyne_g2(Q, AZIMUTH, [1e9], v=V, **SHAPE)
    assert np.max(np.abs(early - 1.2)) < 1e-5
    assert np.max(np.abs(late - 1 - 0.2 * 0.7**2)) < 1e-12
    assert np.array_equal(heterodyne_g2(Q, AZIMUTH, TAU, v=V, **SHAPE), heterodyne_g2(Q, AZIMUTH, TAU, v=-V, **SHAPE))
    still = heterodyne_g2(Q, AZIMUTH, TAU, v=0.0, **SHAPE)
    E = envelope(TAU, SHAPE["tau0"][:, None], 0.8)
    assert np.max(np.abs(still - 1 - 0.2 * (0.7 + 0.3 * E) ** 2)) < 1e-14


def test_spread_is_the_average_over_a_drifting_velocity():
    speeds = V + 8e-10 * ((np.arange(400) + 0.5) / 400 - 0.5)
    average = np.mean([heterodyne_g2(Q, AZIMUTH, TAU, v=v, **SHAPE) for v in speeds], axis=0)
    assert np.max(np.abs(heterodyne_g2(Q, AZIMUTH, TAU, v=V, spread=8e-10, **SHAPE) - average)) < 1e-5


@pytest.mark.parametrize(
    ("levels", "free"),
    [
        (engine.JOINT, range(6)),
        (engine.SINGLE, range(6)),
        ((2, 2, 1, 1, 2, 0), range(6)),
        ((2, 0, 0, 1, 2, 1), range(5)),
    ],
)
def test_engine_derivatives_and_elimination(levels, free):
    problem = engine.prepare(series(), join=False)
    rng = np.random.default_rng(0)
    theta = engine.start_values(problem, levels, 1)
    theta = engine.Parameters(*(a + 0.2 * rng.standard_normal(a.shape) for a in theta))
    theta = theta._replace(v=theta.v + 20)
    f, columns = engine.model(problem, theta, levels, free)
    for i, p in enumerate(free):
        up, down = list(theta), list(theta)
        up[p], down[p] = up[p] + 1e-6, down[p] - 1e-6
        slope = (
            engine.model(problem, engine.Parameters(*up), levels, [])[0]
            - engine.model(problem, engine.Parameters(*down), levels, [])[0]
        ) / 2e-6
        assert np.max(np.abs(slope - columns[i])) < 1e-7 * max(1.0, np.abs(slope).max())
    # damped step against the dense normal equations
    equations = engine.normal(problem, theta, levels, free)
    damping = np.full((1, 1), 0.3)
    step = engine.back_substitute(problem, engine.eliminate(problem, equations, levels, free, damping, engine.ALL))
    dense, place = [], []
    for i, p in enumerate(free):
        group = problem.groups(levels[p])
        for k in range(group.max() + 1):
            dense.append((columns[i][0] * problem.root_weight * (group == k)[:, None]).ravel())
            place.append((i, k))
    J, r = np.array(dense).T, ((problem.y - f)[0] * problem.root_weight).ravel()
    A = J.T @ J
    expected = np.linalg.solve(A + np.diag(0.3 * np.diag(A) + 1e-12), J.T @ r)
    found = np.array([step[i][0, k] for i, k in place])
    assert np.max(np.abs(found - expected)) < 1e-8 * np.abs(expected).max()


def test_joined_curves_give_the_same_chi2():
    data = series()
    joined, single = engine.prepare(data), engine.prepare(data, join=False)
    assert joined.ring.size < single.ring.size
    theta = engine.start_values(single, engine.JOINT, 1)._replace(v=np.full((1, 1), 30.0))
    totals = [engine.normal(p, theta, engine.JOINT, [engine.V]).chi2.sum() + p.constant for p in (joined, single)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-12)


def test_exact_data_give_the_exact_answer():
    fit = fit_velocity(series(seed=None, noise=1e-3))
    assert fit.v == pytest.approx(V, rel=1e-6)  # measured 2e-9
    assert fit.chi2 < 1e-3
    assert np.max(np.abs(fit.h - 0.3)) < 1e-3
    assert np.max(np.abs(fit.tau0 / SHAPE["tau0"] - 1)) < 2e-3
    assert fit.interval[0] < V < fit.interval[1]


def test_noisy_data():
    data = series()
    fit = fit_velocity(data)
    assert fit.resolved and not fit.ambiguous
    assert abs(fit.v - V) < 4 * fit.error
    assert fit.interval[0] < V < fit.interval[1]
    assert fit.interval[1] - fit.interval[0] == pytest.approx(2 * 1.96 * fit.error, rel=0.1)
    assert 0.9 < fit.reduced_chi2 < 1.1
    assert fit.rest.delta_aic > 100 and fit.rest.delta_bic > 100 and fit.rest.p_global < 1e-10
    first = fit.first_of_ring
    assert np.all(np.abs(fit.tau0 - SHAPE["tau0"])[first] < 5 * fit.tau0_error[first])
    assert np.all(np.abs(fit.h - 0.3)[first] < 5 * fit.h_error[first])
    assert "sign comes from the model" in fit.describe()
    assert np.max(np.abs(fit.g2(TAU) - heterodyne_g2(Q, AZIMUTH, TAU, v=V, **SHAPE))) < 0.01


def test_a_sample_at_rest_gets_an_upper_limit():
    fit = fit_velocity(series(v=0.0, seed=2))
    assert not fit.resolved
    assert 0 <= fit.fringe[1] < 2e-10
    assert "No motion is resolved" in fit.describe()


def test_a_homodyne_sample_does_not_limit_the_speed():
    # everything moves: g2 = 1 + contrast E^2 knows nothing of v
    fit = fit_velocity(series(h=1.0))
    assert not fit.resolved


@pytest.mark.parametrize("h", [0.1, 0.9])
def test_the_far_ends_of_h(h):
    fit = fit_velocity(series(h=h, seed=4))
    assert fit.resolved
    assert abs(fit.v - V) < 4 * fit.error
    assert abs(float(np.median(fit.h)) - h) < 0.05


def test_mirrored_azimuths_and_reversed_motion_change_nothing():
    data = series()
    turned = CorrelationSet(Q, np.pi - AZIMUTH, TAU, data.g2, data.error)
    assert fit_velocity(turned).v == pytest.approx(fit_velocity(data).v, rel=1e-6)


def test_units_scale():
    data = series()
    longer = CorrelationSet(Q, AZIMUTH, 1e-3 * TAU, data.g2, data.error)
    assert fit_velocity(longer).v == pytest.approx(1e3 * fit_velocity(data).v, rel=1e-5)


def test_masked_points_do_not_matter():
    data = series()
    broken = np.where(np.arange(TAU.size) % 7 == 3, 0.0, data.g2)
    error = np.where(np.arange(TAU.size) % 7 == 3, 0.0, data.error)
    fit = fit_velocity(CorrelationSet(Q, AZIMUTH, TAU, broken, error))
    assert abs(fit.v - V) < 4 * fit.error
    assert fit.points == Q.size * np.count_nonzero(np.arange(TAU.size) % 7 != 3)


def test_shared_and_single_levels():
    data = series(seed=6)
    widths = {}
    for name, options in {
        "all": {"contrast": "all", "h": "all", "stretch": "all"},
        "curve": {"contrast": "curve", "h": "curve"},
        "baseline": {"baseline": "curve"},
    }.items():
        fit = fit_velocity(data, **options)
        assert abs(fit.v - V) < 4 * fit.error
        assert np.all(np.isfinite(fit.h_error)) and np.all(fit.tau0_error > 0)
        widths[name] = fit
    assert widths["all"].parameters == 1 + 3 + 4
    assert widths["curve"].parameters == 1 + 2 * Q.size + 8
    assert widths["all"].error < 1.01 * widths["curve"].error


def test_errors_that_are_too_small_are_found_and_mended():
    data = series(seed=None)
    noisy = add_noise(CorrelationSet(Q, AZIMUTH, TAU, data.g2, 3 * data.error), 5)
    stated = CorrelationSet(Q, AZIMUTH, TAU, noisy.g2, data.error)
    plain, robust = fit_velocity(stated), fit_velocity(stated, errors="robust")
    assert plain.inflation > 3 and any("robust" in text for text in plain.warnings)
    assert robust.error / plain.error == pytest.approx(np.sqrt(robust.inflation), rel=0.05)
    assert 2 < robust.error / plain.error < 4.5


def test_curve_by_curve_then_the_line():
    data = series()
    curves = fit_curves(data)
    line = frequencies_to_velocity(data, curves)
    assert np.all(curves.omega >= 0)
    assert abs(line.v - V) < 4 * line.error
    assert abs(line.intercept) < 5 * line.intercept_error
    used = line.used
    assert line.chi2 < used.sum() + 5 * np.sqrt(2 * used.sum())
    assert np.nanmax(np.abs(line.ring_v - V) / line.ring_error) < 5
    joint = fit_velocity(data)
    assert joint.error < 1.05 * line.error


def test_master_curve_collapses():
    data = series()
    fit = fit_velocity(data)
    master = master_curve(data, fit, largest_error=0.3)
    pull = (master.cosine - np.cos(fit.v * master.path)) / master.cosine_error
    assert np.all(np.diff(master.path) >= 0)
    assert abs(np.mean(pull)) < 0.2 and 0.9 < np.std(pull) < 1.1
    path, mean, error = master.binned(np.linspace(0, 6 * np.pi / fit.v, 60))
    assert np.max(np.abs(mean - np.cos(fit.v * path)) / np.hypot(error, 0.02)) < 5
    clear = master.envelope_error < 0.3
    pull = (master.envelope - np.exp(-master.age))[clear] / master.envelope_error[clear]
    assert 0.8 < np.std(pull) < 1.2


def test_window():
    data = series()
    window = window_of(data, fit_velocity(data))
    assert window.contains(V) and window.high == fastest(data)
    noisier = CorrelationSet(Q, AZIMUTH, TAU, data.g2, 4 * data.error)
    wider = usable_window(noisier, **SHAPE)
    # next to rest the ratio goes as v^4/error^2, so the limit goes as the root of the error
    assert wider.low / usable_window(data, **SHAPE).low == pytest.approx(2.0, rel=0.25)
    assert usable_window(data, **(SHAPE | {"h": 1.0})).low == np.inf


def test_bias_is_foreseen_where_the_envelope_hardly_decays():
    # tau0 far beyond the delays: h is poorly known in every ring; measured mean pull +0.97 over 20 fits. Fits without
    # bias would pass 0.45 over six with 13 %.
    slow = {"tau0": 2000.0, "h": 0.6}
    clean = series(seed=None, v=0.7e-10, noise=0.003, **slow)
    fits = [fit_velocity(add_noise(clean, seed)) for seed in range(6)]
    assert np.mean([(fit.v - 0.7e-10) / fit.error for fit in fits]) > 0.45
    assert any(fit.bias > 0.2 and any("bias" in text for text in fit.warnings) for fit in fits)
    window = usable_window(clean, **(SHAPE | slow))
    assert window.low > 0.7e-10
    assert np.interp(0.7e-10, window.v, window.ratio / window.needed) > 1  # the likelihood ratio alone lets it in
    assert np.interp(0.7e-10, window.v, window.bias) > 0.5
    assert abs(fit_velocity(series()).bias) < 0.05


def test_drift_within_a_series():
    g2 = heterodyne_g2(Q, AZIMUTH, TAU, v=V, spread=8e-10, **SHAPE)
    data = add_noise(CorrelationSet(Q, AZIMUTH, TAU, g2, np.full(g2.shape, 0.004)), 7)
    found = fit_spread(data, points=5)
    assert found.p_value < 1e-4
    assert found.interval[0] < 8e-10 < found.interval[1]
    assert abs(found.fit.v - V) < 4 * found.fit.error


def fake(v, error=1e-11, resolved=True):
    return SimpleNamespace(v=v, error=error, resolved=resolved)


def test_drift_from_series_to_series():
    times = np.arange(8) * 600.0
    fits = [fake(30e-10 - 1e-13 * t) for t in times] + [fake(1e-9, resolved=False)]
    found = trend(fits, [*times, 9000.0])
    assert found.rate == pytest.approx(-1e-13, rel=1e-9)
    assert found.used.sum() == 8 and found.p_constant < 1e-6 and found.chi2_line < 1e-9
    with pytest.raises(InputError, match="a drift needs three"):
        trend(fits[:2], times[:2])


class Moving:
    """A stand-in for a run: the solvent at one speed everywhere, or one that falls in time."""

    def __init__(self, v, rate=0.0, edge=np.inf):
        self.time = np.linspace(0, 4000, 401)
        self.v, self.rate, self.edge = v, rate, edge

    def __getitem__(self, name):
        return {"time": self.time}[name]

    def at(self, name, positions, *, frame="lab"):
        values = np.repeat((self.v + self.rate * self.time)[:, None], np.size(positions), axis=1)
        return np.where(np.asarray(positions) < self.edge, values, np.nan)


def test_g2_from_a_run_of_one_velocity_is_the_model():
    found = g2_of_solution(Moving(V), Q, AZIMUTH, TAU, position=1e-3, start=100.0, duration=1000.0, beam=15e-6, **SHAPE)
    assert np.max(np.abs(found - heterodyne_g2(Q, AZIMUTH, TAU, v=V, **SHAPE))) < 1e-9


@pytest.mark.parametrize("level", [1.0, 1.1])
def test_flat_curves_limit_no_speed_and_nothing_else_is_said_of_one(level):
    # with 1.1 the contrast has a value and v none: it was said to be wrong by -2.5e+08 errors
    shape = (6, TAU.size)
    flat = CorrelationSet(Q[:6], AZIMUTH[:6], TAU, np.full(shape, level), np.full(shape, 0.01))
    fit = fit_velocity(add_noise(flat, 0))
    assert fit.describe() == (
        "These curves do not limit the speed: no mixing of moving and static fields is seen. "
        "g2 is even in v: the sign comes from the model."
    )


def test_a_bias_beyond_the_error_is_said_without_a_number():
    from cellsim.instruments.xpcs.fit import _warnings

    (small,), (large,) = (_warnings(1.0, 1.0, bias, 1e-9, 1e-7) for bias in (-0.31, -2.7e10))
    assert "a bias of -0.31 errors" in small and "a bias larger than the error" in large and "e+" not in large


def test_g2_from_a_run_that_drifts_shows_as_spread():
    run = Moving(40e-10, rate=-1e-12)
    tau = TAU[TAU < 100]
    found = g2_of_solution(run, Q, AZIMUTH, tau, position=1e-3, start=0.0, duration=2000.0, moments=60, **SHAPE)
    # a delay t begins at moments over 2000 s - t, and its mean speed is that of its middle, on average at 1000 s
    expected = [heterodyne_g2(Q, AZIMUTH, [t], v=30e-10, spread=(2000 - t) * 1e-12, **SHAPE)[:, 0] for t in tau]
    assert np.max(np.abs(found - np.transpose(expected))) < 1.5e-5  # measured 5.6e-6, the sum of 60 moments


def test_g2_from_a_run_refuses_what_lies_outside():
    with pytest.raises(InputError, match="leaves the electrolyte"):
        g2_of_solution(
            Moving(V, edge=1e-3), Q, AZIMUTH, TAU, position=1e-3, start=0.0, duration=1000.0, beam=1e-4, **SHAPE
        )
    with pytest.raises(InputError, match="outside the run"):
        g2_of_solution(Moving(V), Q, AZIMUTH, TAU, position=1e-3, start=3900.0, duration=1000.0, **SHAPE)
    with pytest.raises(InputError, match="longer than"):
        g2_of_solution(Moving(V), Q, AZIMUTH, TAU, position=1e-3, start=0.0, duration=100.0, **SHAPE)


def test_photon_error_falls_with_photons_pixels_and_frames():
    base = {"frame_time": 1.0, "frames": 2000, "pixels": 1000, "counts": 0.01}
    error = photon_error(np.full(TAU.size, 1.1), TAU, **base)
    assert error[0] == pytest.approx(np.sqrt((1.1 + 0.02) / 0.01**2 / (1000 * 1999)), rel=1e-12)
    assert np.all(photon_error(1.1, TAU, **(base | {"pixels": 4000})) == pytest.approx(0.5 * error, rel=1e-12))
    assert error[-1] < error[0]
    with pytest.raises(InputError, match="delays reach"):
        photon_error(1.1, [3000.0], **base)
    with pytest.raises(InputError, match="must be positive"):
        photon_error(1.1, TAU, **(base | {"counts": 0}))


def test_correlated_noise_has_the_stated_correlation():
    clean = CorrelationSet([1e7], [0.0], TAU, np.ones((1, TAU.size)), np.ones((1, TAU.size)))
    rng = np.random.default_rng(3)
    draws = np.array([add_noise(clean, rng, correlation=0.5).g2[0] - 1 for _ in range(4000)])
    found = np.corrcoef(draws.T)
    expected = np.exp(-np.abs(np.subtract.outer(np.log(TAU), np.log(TAU))) / 0.5)
    assert np.max(np.abs(found - expected)) < 0.08
    assert np.max(np.abs(draws.std(axis=0) - 1)) < 0.06


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": TAU[::-1]}, "increase strictly"),
        ({"q": -Q}, "every q must be positive"),
        ({"g2": np.ones((2, 2))}, "one row per q"),
        ({"error": np.zeros((Q.size, TAU.size))}, "no point"),
        ({"azimuth": AZIMUTH[:3]}, "equal length"),
        ({"good": np.ones(3, dtype=bool)}, "shape of g2"),
    ],
)
def test_bad_sets(change, message):
    whole = {"q": Q, "azimuth": AZIMUTH, "tau": TAU, "g2": np.ones((Q.size, TAU.size))}
    with pytest.raises(InputError, match=message):
        CorrelationSet(**(whole | {"error": whole["g2"]} | change))


def test_bad_options():
    data = series()
    with pytest.raises(InputError, match="must be one of curve, ring, all"):
        fit_velocity(data, h="cell")
    with pytest.raises(InputError, match="given or robust"):
        fit_velocity(data, errors="guess")
    with pytest.raises(InputError, match="must be positive"):
        fit_velocity(data, v_max=-1.0)
    across = CorrelationSet(Q, np.full(Q.size, np.pi / 2), TAU, data.g2, data.error)
    with pytest.raises(InputError, match="right angle"):
        fit_velocity(across)
    few = CorrelationSet(Q[:1], AZIMUTH[:1], TAU[:4], data.g2[:1, :4], data.error[:1, :4])
    with pytest.raises(InputError, match="cannot fix"):
        fit_velocity(few)
    with pytest.raises(InputError, match="no motion is resolved"):
        fit_spread(series(v=0.0, seed=2))
    with pytest.raises(InputError, match="three curves"):
        frequencies_to_velocity(series(v=0.0, seed=2), fit_curves(series(v=0.0, seed=2)))
