import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellsim.base import InputError
from cellsim.fit.parameters import JointPrior, Parameter, Prior, Space


@given(st.floats(1e-13, 1e3), st.floats(-50, 50), st.floats(1e-3, 1e3))
def test_values_come_back_from_u(positive, any_sign, typical):
    p, q = Parameter("p", 1.0, logarithmic=True), Parameter("q", 0.0, typical=typical)
    assert p.value(p.u(positive)) == pytest.approx(positive, rel=1e-13)
    assert q.value(q.u(any_sign)) == pytest.approx(any_sign, rel=1e-13, abs=1e-300)


def test_u_of_a_positive_parameter_is_relative_of_another_in_typical_units():
    p = Parameter("D", 1e-11, "m^2/s", logarithmic=True)
    q = Parameter("offset", 0.0, "s", typical=20.0)
    assert p.u(1.01e-11) - p.u(1e-11) == pytest.approx(np.log(1.01), rel=1e-10)
    assert p.error(1e-11, 0.05) == pytest.approx(5e-13, rel=1e-12)
    assert q.u(30.0) == 1.5 and q.error(123.0, 0.5) == 10.0


def test_bounds_in_u():
    low, high = Space(
        (
            Parameter("a", 1.0, logarithmic=True),
            Parameter("b", 2.0, logarithmic=True, lower=1.0, upper=4.0),
            Parameter("c", 0.0, typical=2.0, lower=-4.0, upper=6.0),
            Parameter("d", 0.0),
        )
    ).bounds
    assert low.tolist() == [-np.inf, 0.0, -2.0, -np.inf]
    assert high.tolist() == [np.inf, np.log(4.0), 3.0, np.inf]


def test_points_and_values():
    space = Space((Parameter("a", 2.0, logarithmic=True), Parameter("b", 3.0, typical=2.0)))
    assert space.values(space.point({"b": 5.0})) == pytest.approx({"a": 2.0, "b": 5.0}, rel=1e-14)
    assert space.start == pytest.approx([np.log(2.0), 1.5], rel=1e-14)
    assert space.size == 2 and space.index("b") == 1


def test_priors_are_residuals_single_and_joint():
    C = np.array([[0.04, 0.01], [0.01, 0.09]])
    parameters = (
        Parameter("a", 1.0, logarithmic=True),
        Parameter("b", 0.0),
        Parameter("area", 1e-4, "m^2", logarithmic=True, prior=Prior(1e-4, 0.1)),
        Parameter("offset", 0.0, typical=10.0, prior=Prior(5.0, 20.0)),
    )
    space = Space(parameters, JointPrior(np.array([0.1, -0.2]), C))
    u = np.array([0.3, 0.4, np.log(1.2e-4), 4.5])
    r = space.prior_residuals(u)
    assert r[:2] == pytest.approx([np.log(1.2) / 0.1, (45.0 - 5.0) / 20.0], rel=1e-12)
    d = u[:2] - [0.1, -0.2]
    assert r[2:] @ r[2:] == pytest.approx(d @ np.linalg.inv(C) @ d, rel=1e-12)
    assert space.without_priors().prior_residuals(u).size == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Parameter("R", 2.0, "ohm m^2", upper=1.0), "R: start = 2 ohm m^2 lies outside its bounds, -inf to 1"),
        (lambda: Parameter("D", -1.0, logarithmic=True), "D: start = -1  lies outside its bounds, 0 to inf"),
        (lambda: Parameter("D", 0.0, logarithmic=True), "D: start = 0"),
        (lambda: Parameter("D", np.nan), "D: start = nan"),
        (lambda: Parameter("D", 1.0, prior=Prior(1.0, 0.0)), "D: a prior needs sd > 0"),
        (lambda: Parameter("D", 1.0, logarithmic=True, prior=Prior(-1.0, 1.0)), "needs sd > 0 and mean > 0"),
        (lambda: Space(()), "a fit needs at least one parameter"),
        (lambda: Space((Parameter("a", 1.0), Parameter("a", 2.0))), "the parameter a is named twice"),
        (lambda: Space((Parameter("a", 1.0),)).index("b"), "'b' is no parameter of this fit; there are a"),
    ],
)
def test_bad_parameters(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def test_set_numbers_and_nuisances_are_told_apart():
    assert Parameter("gain", 1.0).nuisance and not Parameter("D", 1.0, path="D.value").nuisance
