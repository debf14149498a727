from dataclasses import replace

import numpy as np
import pytest
from fit_toys import linear, toy

from cellsim.files.reading import read_values
from cellsim.files.writing import write_values
from cellsim.fit import likelihood_profile as module
from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.likelihood_profile import delta_at, profile, profiles
from cellsim.fit.parameters import Parameter

A = np.random.default_rng(11).standard_normal((30, 3))
TRUTH = np.array([0.4, -0.2, 0.3])
X = np.linspace(0.1, 1, 15)


def test_a_linear_problem_has_a_parabola():
    found = estimate(linear(A, TRUTH, sd=0.1), starts=1)
    for name in found.space.names:  # the fit ended 2.5e-4 of an error off the minimum: 5e-4 z in delta
        one = profile(found, name)
        z = (one.value - found.values[name]) / found.errors[name]
        assert one.delta == pytest.approx(z**2, abs=3e-3) and np.all(np.diff(one.value) > 0)
        assert one.interval == pytest.approx(found.interval(name), abs=3e-3 * found.errors[name])
        assert one.shape == "bounded" and one.checked and not one.better
        assert one.threshold == pytest.approx(3.841459, rel=1e-6)
        assert delta_at(found, name, found.interval(name)[1]) == pytest.approx(3.841459, abs=3e-3)
    wide = profile(found, "p0", level=0.99).interval
    assert wide == pytest.approx(found.interval("p0", 0.99), abs=3e-3 * found.errors["p0"])


def test_the_text_names_the_interval_and_the_unit():
    p = toy(lambda v: v["D"] * X, X, [Parameter("D", 1.2, "m^2/s", True)], sd=0.1)
    found = estimate(p, starts=1)
    one = profile(found, "D")
    text = one.text(found.space.parameters[0])
    assert text.startswith("D between 0.9") and text.endswith("m^2/s")
    sd = 0.1 / np.sqrt(X @ X)  # linear in D, so exact in D: not symmetric in ln D
    assert one.interval == pytest.approx((1 - 1.959964 * sd, 1 + 1.959964 * sd), abs=2e-3 * sd)


def test_an_exactly_flat_direction():
    p = toy(lambda v: (v["a"] + v["b"]) * X, 0.7 * X, [Parameter("a", 0.2), Parameter("b", 0.2)], sd=0.01)
    found = estimate(p, starts=1)
    for one in profiles(found).values():
        assert one.shape == "flat" and one.interval == (-np.inf, np.inf)
        assert np.max(np.abs(one.delta)) < 1e-3
        assert "any value fits" in one.text(found.space.parameters[0])


def rates():
    return [Parameter("k", 20.0, "1/s", True)]


def test_open_above():
    # a rate faster than anything the data resolve
    y = 1 + 0.05 * np.random.default_rng(2).standard_normal(X.size)
    one = profile(estimate(toy(lambda v: 1 - np.exp(-v["k"] * X), y, rates(), sd=0.05), starts=1), "k")
    assert one.shape == "open above" and 5 < one.interval[0] < 60 and one.interval[1] == np.inf
    assert one.text(rates()[0]).startswith("k above ") and "nothing bounds it from above" in one.text(rates()[0])


def test_open_below():
    # a rate too slow to have done anything yet
    y = 0.05 * np.random.default_rng(3).standard_normal(X.size)
    slow = [replace(rates()[0], start=0.03)]
    one = profile(estimate(toy(lambda v: 1 - np.exp(-v["k"] * X), y, slow, sd=0.05), starts=1), "k")
    assert one.shape == "open below" and one.interval[0] == 0 and 0.005 < one.interval[1] < 0.2
    assert "nothing bounds it from below" in one.text(rates()[0])


def test_a_bound_ends_a_profile_and_is_its_limit():
    p = toy(lambda v: v["b"] * X, 0.02 * X, [Parameter("b", 0.5, lower=0.0, upper=2.0)], sd=0.1)
    one = profile(estimate(p, starts=1), "b")
    assert one.shape == "open below" and one.interval[0] == 0.0 and one.value.min() == pytest.approx(0, abs=1e-9)


def test_a_lower_minimum_elsewhere_is_reported():
    # minima near k = -1 (shallow, where the fit sits) and +1 (deep)
    p = toy(
        lambda v: np.array([(v["k"] ** 2 - 1) * 0.3, 0.2 * v["k"]]),
        np.array([0.0, 0.5]),
        [Parameter("k", -0.9)],
        sd=0.1,
    )
    u = np.array([-0.95])
    found = Estimate(p, u, p.jacobian(u), p.residuals(u), p.levels)
    assert profile(found, "k").better


def test_profiles_are_kept_and_not_made_again(tmp_path):
    found = estimate(linear(A, TRUTH, sd=0.1), starts=1)
    told = []
    first = profiles(found, folder=tmp_path, progress=lambda *n: told.append(n))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]  # said at once, for the first one takes its time
    file = tmp_path / "profile-p1.npz"
    write_values(file, read_values(file) | {"threshold": 99.0})  # a mark to know it by
    (tmp_path / "profile-p2.npz").write_bytes(b"PK")  # damaged
    again = profiles(found, folder=tmp_path)
    assert again["p1"].threshold == 99.0
    assert again["p2"].interval == first["p2"].interval and list(again) == ["p0", "p1", "p2"]
    other = estimate(linear(A, TRUTH, sd=0.1, seed=1), starts=1)  # another fit: nothing of the old is used
    assert profiles(other, folder=tmp_path)["p1"].threshold == pytest.approx(3.841459, rel=1e-6)


def test_two_processes_give_the_same():
    found = estimate(linear(A[:, :2], TRUTH[:2], sd=0.1), starts=1)
    one, two = profiles(found), profiles(found, workers=2)
    for name in one:
        assert two[name].delta == pytest.approx(one[name].delta, rel=1e-12, abs=1e-15)


# ---- what ends a profile, and refits that stop short --------------------------------------------------------------


def resistances(upper: float):
    """A cell's kappa and R_int act by their sum 1/kappa + R alone, up to a lean of 1e-4; D has data of its own."""

    def look(v):
        total = 1 / v["kappa"] + v["R_int"]
        return np.concatenate([total * X, v["D"] * X + 0.3 * total * X**2, [1e-4 * np.log(v["kappa"])]])

    y = look({"kappa": 1.0, "R_int": 0.5, "D": 1.0}) + 0.02 * np.random.default_rng(1).standard_normal(31)
    kappa = Parameter("kappa", 1.0, "S/m", True, lower=1 / 30, upper=upper)
    return toy(
        look, y, [kappa, Parameter("R_int", 0.5, "ohm", True, lower=0.2), Parameter("D", 1.0, "", True)], sd=0.02
    )


def test_a_bound_counts_only_where_pulling_its_parameter_inside_costs_something():
    """D's interval is that of the linear problem in (1/kappa + R_int, D), wherever kappa stands on its flat line."""
    p = resistances(upper=1.0 + 1e-5)  # the best kappa is as good as at its bound
    found = estimate(p, starts=1)
    y = p.observations[0].value[:30]
    A = np.block([[X[:, None], np.zeros((15, 1))], [0.3 * X[:, None] ** 2, X[:, None]]])
    best, sd = np.linalg.lstsq(A, y, rcond=None)[0][1], 0.02 * np.sqrt(np.linalg.inv(A.T @ A)[1, 1])
    one = profile(found, "D")
    assert one.shape == "bounded" and one.leans == ("", "")
    assert one.interval == pytest.approx((best - 1.959964 * sd, best + 1.959964 * sd), abs=0.01 * sd)
    # R_int >= 0.2 does end kappa below: 1/kappa can rise by no more than R_int can fall
    low = profile(found, "kappa")
    assert low.leans[0] == "the bound of R_int" and low.shape != "bounded"
    assert "only the bound of R_int bounds it from below" in low.text(found.space.parameters[0])


@pytest.mark.parametrize("excess", [3.0, 40.0])
def test_refits_that_stop_short_are_made_again(monkeypatch, excess):
    """Every second value is first answered too high, as by a search that is lost; the parabola stands all the same."""
    found = estimate(linear(A, TRUTH, sd=0.1), starts=1)
    honest, seen = module._refit, []

    def lost(fit, k, fixed, guess, also=(), **most):
        refit = honest(fit, k, fixed, guess, also, **most)
        if fixed in seen:
            return refit
        seen.append(fixed)
        return replace(refit, chi2=refit.chi2 + excess * (len(seen) % 2))

    monkeypatch.setattr(module, "_refit", lost)
    one = profile(found, "p0")
    z = (one.value - found.values["p0"]) / found.errors["p0"]
    assert one.delta == pytest.approx(z**2, abs=3e-3)
    assert one.interval == pytest.approx(found.interval("p0"), abs=3e-3 * found.errors["p0"])
    assert one.shape == "bounded"


def test_a_search_that_does_not_end_is_no_profile(monkeypatch):
    found = estimate(linear(A, TRUTH, sd=0.1), starts=1)
    honest = module._refit
    monkeypatch.setattr(module, "_refit", lambda *arguments, **most: replace(honest(*arguments, **most), ended=False))
    assert not profile(found, "p0").checked
