from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fit_toys import linear, toy, with_observation

from cellsim.base import ConvergenceError, InputError
from cellsim.fit import descent as module
from cellsim.fit.descent import inverse
from cellsim.fit.estimate import DOUBTFUL, describe, directions, estimate
from cellsim.fit.parameters import Parameter, Prior, Space
from cellsim.fit.recipe import Recipe
from cellsim.fit.report import FitResult
from cellsim.instruments.noise import independent

RNG = np.random.default_rng(11)
A = RNG.standard_normal((30, 3))
TRUTH = np.array([0.4, -0.2, 0.3])


def test_a_linear_fit_is_the_least_squares_solution_with_its_covariance():
    p = linear(A, TRUTH, sd=0.1)
    found = estimate(p, starts=3, seed=1)
    y = p.observations[0].value
    best = np.linalg.lstsq(A, y, rcond=None)[0]
    assert np.max(np.abs(found.u - best) / found.sd) < 1e-3  # 2.5e-4 of an error: the search's tolerance and its pull
    assert np.allclose(found.covariance, 0.01 * np.linalg.inv(A.T @ A), rtol=1e-6, atol=0)
    assert found.chi2 == pytest.approx(np.sum((y - A @ best) ** 2) / 0.01, rel=1e-7)
    assert found.degrees_of_freedom == 27 and len(found.starts) == 3
    assert all(s.chi2 == pytest.approx(found.chi2, rel=1e-6) for s in found.starts)
    low, high = found.interval("p1")
    assert (high - low) / 2 == pytest.approx(1.959964 * found.errors["p1"], rel=1e-6)
    assert set(found.held_by.values()) == {"data"}


def test_a_small_data_set_that_is_missed_does_not_drown_in_a_large_one():
    """60 points off by a standard error each way among 3300: 1.2 per degree of freedom in all, one set to blame."""
    rng = np.random.default_rng(3)
    large, small = rng.standard_normal((3300, 2)), rng.standard_normal((60, 2))
    wrong = np.where(np.arange(60) < 30, 1.0, -1.0)
    y = [large @ [0.4, -0.2] + rng.standard_normal(3300), small @ [0.4, -0.2] + rng.standard_normal(60) + wrong]
    parameters = [Parameter("a", 0.0), Parameter("b", 0.0)]
    pieces = [
        toy(lambda v, A=A: A @ [v["a"], v["b"]], values, parameters).experiments[0].observations[0]
        for A, values in zip((large, small), y, strict=True)
    ]
    p = toy(lambda v: np.zeros(1), np.zeros(1), parameters)
    p = replace(p, experiments=(replace(p.experiments[0], observations=tuple(pieces)),))
    found = estimate(p, starts=1)
    both = np.vstack([large, small])
    leverage = np.einsum("ij,jk,ik->i", both, np.linalg.inv(both.T @ both), both)
    best = np.linalg.lstsq(both, np.concatenate(y), rcond=None)[0]
    good, bad = found.data_sets
    assert [good.freedom, bad.freedom] == pytest.approx([3300 - leverage[:3300].sum(), 60 - leverage[3300:].sum()])
    assert bad.chi2 == pytest.approx(np.sum((y[1] - small @ best) ** 2), rel=1e-4)
    assert bad.p < DOUBTFUL / 2 < 0.05 < good.p
    assert found.chi2 < found.degrees_of_freedom + 5 * np.sqrt(2 * found.degrees_of_freedom)  # the sum alone is silent


def test_as_many_points_as_parameters_test_no_model_and_give_no_noise():
    p = linear(A[:3], TRUTH, sd=0.1)
    found = estimate(p, starts=1)
    (only,) = found.data_sets
    assert found.degrees_of_freedom == 0 and only.p == 1.0
    lines = FitResult(Recipe("exact", Path("fit.toml"), p, ()), found, (), {}).lines()
    assert "3 points, 3 parameters, no more points than parameters, so chi2 does not test the model" in lines[0]
    assert not any("degrees of freedom" in line for line in lines)
    unknown = with_observation(p, noise=independent(np.full(3, 0.1), free=True))
    with pytest.raises(
        InputError, match=r'noise = "free" needs more points than there are unknowns, and 3 points face 3'
    ):
        estimate(unknown, starts=1)


def test_priors_enter_as_data():
    p = linear(A[:, :1], np.array([0.4]), sd=0.5)
    prior = Space((Parameter("p0", 0.0, prior=Prior(1.0, 0.05)),))
    found = estimate(linear(A[:, :1], np.array([0.4]), sd=0.5, space=prior), starts=1)
    weight = np.array([A[:, 0] @ A[:, 0] / 0.25, 1 / 0.05**2])
    y = p.observations[0].value
    mean = np.array([A[:, 0] @ y / (A[:, 0] @ A[:, 0]), 1.0])
    assert found.u[0] == pytest.approx(weight @ mean / weight.sum(), abs=4e-3 * found.sd[0])  # 1.4e-3 of its error
    assert found.sd[0] == pytest.approx(weight.sum() ** -0.5, rel=1e-6)
    assert found.held_by["p0"] == "prior"
    assert found.data_information[0, 0] == pytest.approx(weight[0], rel=1e-6)


def test_free_noise_levels_scale_the_errors():
    p = linear(A, TRUTH, sd=0.1)
    known = estimate(p, starts=1)
    free = estimate(with_observation(p, noise=independent(np.full(30, 0.02), free=True)), starts=1)
    assert free.levels[0] == pytest.approx(5 * np.sqrt(known.chi2 / 27), rel=2e-3)
    assert free.u == pytest.approx(known.u, abs=1e-5)
    assert free.chi2_data == pytest.approx(27, rel=4e-3)


def test_a_free_level_gives_up_the_degrees_of_freedom_its_own_data_spend():
    # 6 numbers that only the first six-and-four points see, 400 points that see the last number alone
    rng = np.random.default_rng(8)
    B = np.vstack([np.column_stack([rng.standard_normal((10, 5)), np.zeros(10)]), np.zeros((400, 6))])
    B[10:, 5] = 1.0
    found = []
    for seed in range(60):
        p = linear(B, np.zeros(6), sd=1.0, seed=seed)
        e = p.experiments[0]
        o = e.observations[0]
        few, many = np.arange(410) < 10, np.arange(410) >= 10
        parts = tuple(replace(o.only(keep), noise=independent(np.ones(keep.sum()), free=True)) for keep in (few, many))
        fit = estimate(replace(p, experiments=(replace(e, observations=parts),)), starts=1)
        found.append(fit.levels**2)
    # chi2 with 5 degrees of freedom: mean 1 within sqrt(2/5/60) = 0.08; shared by the points it would be 0.51
    assert np.mean(found, axis=0) == pytest.approx([1.0, 1.0], abs=0.25)


def test_a_parameter_held_with_the_help_of_another_ones_prior_is_held():
    x = np.linspace(0, 1, 20)
    kappa, R = Parameter("kappa", 1.0, "S/m", True), Parameter("R", 0.1, "", True, prior=Prior(0.1, 0.5))
    found = estimate(toy(lambda v: (1 / v["kappa"] + v["R"]) * (1 + x), 1.1 * (1 + x), [kappa, R], sd=0.01), starts=1)
    assert found.sd[0] == pytest.approx(0.05, rel=0.1)  # 0.5 of R = 0.1 against 1/kappa = 1
    assert found.held_by == {"kappa": "data", "R": "prior"}


def test_what_the_data_do_not_hold_is_said_never_given_as_a_number():
    x = np.linspace(0, 1, 20)
    parameters = [Parameter("a", 1.0, "S/m", True), Parameter("b", 1.0, "", True), Parameter("c", 0.0)]
    p = toy(lambda v: v["a"] * v["b"] * np.exp(x) + v["c"], 2 * np.exp(x), parameters, sd=0.01)
    found = estimate(p, starts=1)
    assert found.held_by == {"a": "nothing", "b": "nothing", "c": "data"}
    text = "\n".join(describe(found))
    assert "a  not identified: the data do not determine it" in text
    assert np.exp(found.u[0] + found.u[1]) == pytest.approx(2, rel=1e-3)
    assert "correlations above 0.7" in text and "a ~ b" in text


def test_an_error_without_a_data_set_is_that_of_a_fit_without_it():
    B = np.zeros((60, 2))
    B[:20, 0], B[20:, 0], B[20:, 1] = 1.0, 0.3, np.linspace(0, 1, 40)
    p = linear(B, np.zeros(2), sd=1.0, seed=3)
    e, o = p.experiments[0], p.experiments[0].observations[0]
    first, second = np.arange(60) < 20, np.arange(60) >= 20
    parts = tuple(replace(o.only(keep), label=label) for keep, label in ((first, "one"), (second, "two")))
    fit = estimate(replace(p, experiments=(replace(e, observations=parts),)), starts=1)
    alone = estimate(replace(p, experiments=(replace(e, observations=parts[1:]),)), starts=1)
    assert fit.without["one"] == pytest.approx(alone.sd, rel=1e-6)
    J = B[:20] / 1.0
    assert fit.without["two"][0] == pytest.approx(1 / np.sqrt(np.sum(J[:, 0] ** 2)), rel=1e-3)
    assert fit.without["two"][1] > 1e3 * fit.sd[1]  # nothing else knows of it


def test_at_a_bound():
    x = np.linspace(0, 1, 20)
    p = toy(lambda v: v["b"] * x, -0.5 * x, [Parameter("b", 1.0, lower=0.0, upper=2.0)], sd=0.01)
    found = estimate(p, starts=2)
    assert found.values["b"] == pytest.approx(0, abs=1e-3) and found.held_by["b"] == "bound"
    assert describe(found)[0].endswith("[at its bound]")


def test_other_starts_find_the_deeper_minimum():
    # chi2 has minima near +1 (deep) and -1; from -0.9 the first search stays in the shallow one
    p = toy(
        lambda v: np.array([(v["k"] ** 2 - 1) * 5, 0.2 * v["k"]]),
        np.array([0.0, 0.5]),
        [Parameter("k", -0.9, spread=2.5)],
        sd=0.1,
    )
    assert estimate(p, starts=1).values["k"] < 0
    told = []
    best = estimate(p, starts=6, seed=2, progress=lambda done, of: told.append((done, of)))
    assert best.values["k"] > 0 and told[-1] == (6, 6)


def decays(v):
    return np.exp(-np.linspace(0, 3, 40)[:, None] * np.exp(v)) @ np.ones(v.size) + 0.1 * np.sum(v) ** 2


def slopes(v, one_sided):
    e = 1e-6 * np.eye(v.size)
    return np.column_stack([(decays(v + s) - decays(v - s)) / 2e-6 for s in e])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_search_learns_its_derivatives_and_survives_wrong_ones(sign):
    truth = np.array([-1.0, 0.2, 1.5])
    target, made = decays(truth) + 1e-3 * np.sin(np.arange(40)), []
    bounds = -np.full(3, 5.0), np.full(3, 5.0)
    exact = module.least_squares(lambda v: decays(v) - target, truth, jac=lambda v: slopes(v, True), xtol=1e-12)

    def derivatives(v, one_sided):
        made.append(one_sided)
        return slopes(v, one_sided) / 1e-3

    def residuals(v):
        return (decays(v) - target) / 1e-3

    begin = truth + 0.1
    found = module.descend(residuals, derivatives, begin, bounds, sign * slopes(begin, True) / 1e-3)
    assert found.ended and found.chi2 == pytest.approx(2 * exact.cost / 1e-6, abs=1e-4)
    if sign > 0:  # good ones to begin with: derivatives are made where it ends, the last of them central
        assert len(made) <= 3 and made[0] is True
    again = module.descend(residuals, derivatives, begin, bounds, slopes(begin, True) / 1e-3, known=found.chi2)
    assert again.ended and again.chi2 == pytest.approx(found.chi2, abs=1e-3)
    before = len(made)
    module.descend(residuals, derivatives, found.v, bounds, found.jacobian, rough=True, known=found.chi2)
    assert len(made) == before  # an end that is known needs no derivatives


def test_a_fit_that_cannot_end_says_so(monkeypatch):
    search = module.least_squares
    monkeypatch.setattr(module, "least_squares", lambda *a, **k: search(*a, **k | {"max_nfev": 1}))
    p = linear(A, TRUTH, sd=0.1)
    with pytest.raises(ConvergenceError, match="did not converge from any of 2 starts"):
        estimate(p, starts=2)


def test_runs_less_exact_than_the_data_do_not_keep_a_fit_from_its_end(monkeypatch):
    # an error of the runs, 1e-3 of a standard error and different at every point, where chi2 is nearly 0
    search = module.least_squares
    monkeypatch.setattr(module, "least_squares", lambda *a, **k: search(*a, **k | {"max_nfev": 4}))
    wobble = np.sin(1e9 * np.arange(1, 31))
    p = toy(
        lambda v: A @ [v["a"], v["b"], v["c"]] + 1e-3 * np.sin(1e7 * v["a"]) * wobble,
        A @ TRUTH,
        [Parameter(n, 0.0) for n in "abc"],
    )
    found = estimate(p, starts=1)
    assert np.max(np.abs(found.u - TRUTH) / found.sd) < 0.03


def test_a_cell_that_runs_nowhere_is_no_fit():
    p = toy(lambda v: np.full(5, np.nan), np.ones(5), [Parameter("k", 1.0)])
    with pytest.raises(ConvergenceError, match="cannot be run"):
        estimate(p, starts=2)


# ---- directions ---------------------------------------------------------------------------------------------------


def space3():
    return Space((Parameter("D", 1e-11, "m^2/s", True), Parameter("area", 1e-4, "m^2", True), Parameter("t_plus", 0.2)))


def test_directions_of_a_known_information():
    v = np.array([[1, 1, 0], [1, -1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    weights = np.array([1 / 4.0, 1e4, 25.0])
    weak, middle, strong = directions(v.T * weights @ v, space3())
    assert (weak.sd, middle.sd, strong.sd) == pytest.approx((2.0, 0.2, 0.01), rel=1e-9)
    assert weak.weak and not middle.weak
    assert weak.weights["D"] == pytest.approx(weak.weights["area"], rel=1e-9)
    assert weak.text.startswith("D and area trade off: D +11 %, area +11 %") and weak.text.endswith("along it 2")
    assert middle.text == "t_plus by itself: held to 20 %"
    assert "together (D +11 %, area -9.5 %): held to" in strong.text or "(area +11 %" in strong.text


def test_a_direction_nobody_sees():
    F = np.diag([1e6, 0.0, 1.0])
    flat = directions(F, space3())[0]
    assert flat.sd == np.inf and flat.text == "area by itself: the data do not see it"


def test_inverse_of_a_singular_information_is_huge_not_an_error():
    F = np.array([[4.0, 2.0], [2.0, 1.0]])
    assert np.min(np.diag(inverse(F))) > 1e10
    B = RNG.standard_normal((5, 3))
    scale = np.array([1e-8, 1.0, 1e9])
    expected = np.linalg.inv(B.T @ B) / np.outer(scale, scale)
    assert np.allclose(inverse((B.T @ B) * np.outer(scale, scale)), expected, rtol=1e-9, atol=0)
    unseen = np.zeros((4, 4))  # two numbers that the data see, between two that they do not
    unseen[1:3, 1:3] = [[4.0, 1.0], [1.0, 2.0]]
    unseen[1, 0] = unseen[0, 1] = 1e-17  # round-off
    covariance = inverse(unseen)
    assert np.allclose(covariance[1:3, 1:3], np.linalg.inv(unseen[1:3, 1:3]), rtol=1e-6)
    sd = np.sqrt(np.diag(covariance))
    assert np.all(sd[[0, 3]] == 1e6) and np.max(np.abs(covariance / np.outer(sd, sd) - np.eye(4))) < 0.4


def test_a_best_point_at_the_edge_of_what_can_be_run_is_named():
    """y = a falls with a, but beyond a = 0.5 there is no run: the search ends at the cliff and says so."""
    y = np.full(10, 0.8)

    def steps(values):
        a = values["a"]
        return np.full(10, a if a <= 0.5 else np.nan)

    found = estimate(toy(steps, y, (Parameter("a", 0.3),), sd=0.1), starts=1)
    assert 0.47 < found.u[0] <= 0.5 and found.edge == ("a",)
    inside = estimate(toy(lambda v: np.full(10, v["a"]), y, (Parameter("a", 0.3),), sd=0.1), starts=1)
    assert inside.u[0] == pytest.approx(0.8, abs=1e-3) and inside.edge == ()
