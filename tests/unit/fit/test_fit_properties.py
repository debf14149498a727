import tomllib

import numpy as np
import pytest
from fit_toys import BASE, T

from cellsim.base import InputError
from cellsim.electrolyte.set_file import parse_set, read_set
from cellsim.fit.set_model import (
    SetModel,
    constant_form,
    numbers_form,
    own_numbers,
    polynomial_form,
    scaled_block,
    scaled_form,
    spline_form,
)

SET = BASE.bind(T)
C = np.array([300.0, 1000.0, 1600.0, 2500.0])
RNG = 1e-12


def c_of(r):
    return np.array([SET.c_of(r=float(x)) for x in np.atleast_1d(r)])


def at(form, **values):
    wanted = {p.name: values.get(p.name, p.start) for p in form.parameters}
    return SetModel(BASE, (form,)).at(wanted, T)


def test_constants():
    assert at(constant_form("kappa", 0.1), kappa=0.23).kappa(C) == pytest.approx(0.23, rel=RNG)
    assert at(constant_form("D", 1e-11), D=7.3e-12).D(C) == pytest.approx(7.3e-12, rel=RNG)
    assert at(constant_form("t_plus", 0.2), t_plus=-0.4).t_plus(C) == pytest.approx(-0.4, rel=RNG)
    found = at(constant_form("chi", 1.0, extra={"basis": "molal"}), chi=2.5)
    assert found.chi(C) == pytest.approx(2.5, rel=RNG)


def test_constant_t_plus_of_the_volume_frame_and_chi_as_a_product():
    volume = at(constant_form("t_plus", 0.2, extra={"frame": "volume"}))
    assert volume.t_plus(C) == pytest.approx(1 - 0.8 / SET.phi_0(C), rel=RNG)
    product = at(constant_form("chi", 1.2, extra={"basis": "molal", "gives": "(1-t_plus)*chi"}))
    assert product.one_minus_t_plus_chi(C) == pytest.approx(1.2, rel=RNG)
    assert product.chi(C) == pytest.approx(1.5, rel=RNG)  # t+0 of the base is 0.2


@pytest.mark.parametrize(("variable", "centre"), [("c", 1600.0), ("m", 2.0), ("r", 0.1)])
def test_polynomials_in_any_variable(variable, centre):
    x = {"c": C, "m": SET.m(C), "r": SET.r(C)}[variable]
    s = x / centre - 1
    D = at(polynomial_form("D", 1e-11, 2, variable=variable, centre=centre), **{"D.a1": -0.4, "D.a2": 0.1})
    assert D.D(C) == pytest.approx(1e-11 * np.exp(-0.4 * s + 0.1 * s**2), rel=1e-11)
    t = at(polynomial_form("t_plus", 0.2, 1, variable=variable, centre=centre), **{"t_plus.a1": -0.3})
    assert t.t_plus(C) == pytest.approx(0.2 - 0.3 * s, rel=1e-11)


def test_spline_goes_through_its_knots_does_not_overshoot_and_is_held_outside():
    knots, y = [0.02, 0.06, 0.1, 0.2], [0.05, 0.14, 0.15, 0.02]
    form = spline_form("kappa", y, knots, variable="r", covers=(1e-4, 0.3))
    found = at(form)
    assert found.kappa(c_of(knots)) == pytest.approx(y, rel=1e-9)
    r = np.linspace(0.1, 0.2, 60)
    assert np.all(np.diff(found.kappa(c_of(r))) < 0)
    ends = found.kappa(c_of([2e-4, 0.01, 0.25, 0.299]))
    assert ends == pytest.approx([0.05, 0.05, 0.02, 0.02], rel=1e-9)
    assert [p.path for p in form.parameters] == [f"kappa.y[{k}]" for k in (1, 2, 3, 4)]
    assert [p.logarithmic for p in form.parameters] == [True] * 4


def test_spline_in_concentration_with_knots_at_the_ends():
    ends = SET.c_range
    form = spline_form("t_plus", [0.4, 0.1, -0.3], [ends[0], 1500.0, ends[1]], variable="c", covers=ends)
    assert at(form).t_plus(np.array([1500.0])) == pytest.approx(0.1, rel=1e-9)
    assert form.parameters[1].name == "t_plus(c=1.5 mol/L)" and form.parameters[0].path == "t_plus.y[0]"
    assert not any(p.logarithmic for p in form.parameters)


def test_scaled_sets():
    data = tomllib.loads(BASE.text)
    kappa = at(scaled_form("kappa", data["kappa"], of="RS"), **{"kappa factor": 1.7})
    assert kappa.kappa(C) == pytest.approx(1.7 * SET.kappa(C), rel=1e-9)
    D = at(scaled_form("D", data["D"], of="RS"), **{"D factor": 0.5})
    assert D.D(C) == pytest.approx(0.5 * SET.D(C), rel=1e-9)
    t = at(scaled_form("t_plus", data["t_plus"], of="RS"), **{"t_plus factor": 1.1})
    assert 1 - t.t_plus(C) == pytest.approx(1.1 * (1 - SET.t_plus(C)), rel=1e-9)
    chi = at(scaled_form("chi", data["chi"], of="RS"), **{"chi factor": 1.2})
    assert chi.one_minus_t_plus_chi(C) == pytest.approx(1.2 * SET.one_minus_t_plus_chi(C), rel=1e-9)
    pnb = tomllib.loads(read_set("steinruck2020_pnb").text)["t_plus"]
    assert scaled_block("t_plus", pnb, 2.0)["y"] == pytest.approx([2 * y - 1 for y in pnb["y"]], rel=1e-12)


def test_scaled_expressions():
    block = {"expression": "0.4 - 0.1*r", "frame": "solvent"}
    assert scaled_block("t_plus", block, 2.0)["expression"] == "1 - 2.0*(1 - (0.4 - 0.1*r))"
    assert scaled_block("kappa", {"expression": "k0*r"}, 3.0)["expression"] == "3.0*(k0*r)"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: polynomial_form("D", 1e-11, 5, variable="r", centre=0.1), "D: a polynomial of degree 5 is not"),
        (lambda: polynomial_form("D", 1e-11, 0, variable="r", centre=0.1), "degree 0 is not offered; 1 to 4"),
        (lambda: spline_form("D", [1e-11], [0.1], variable="r", covers=(0, 1)), "D: knots must be two or more"),
        (lambda: spline_form("D", [1e-11] * 2, [0.2, 0.1], variable="r", covers=(0, 1)), "increasing, inside 0 to 1"),
        (lambda: spline_form("D", [1e-11] * 2, [0.1, 2.0], variable="r", covers=(0, 1)), "inside 0 to 1"),
        (lambda: own_numbers(BASE), "has no [covariance], so the uncertainty of its numbers is not known"),
    ],
)
def test_bad_forms(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def test_a_set_with_a_property_that_is_not_positive_is_refused():
    form = numbers_form("kappa", tomllib.loads(BASE.text)["kappa"], ["kappa.y[3]"])
    with pytest.raises(InputError, match="kappa"):
        SetModel(BASE, (form,)).at({"kappa.y[3]": -1e-3}, T)


# ---- the whole set ------------------------------------------------------------------------------------------------


def fitted_model():
    data = tomllib.loads(BASE.text)
    forms = (
        spline_form("kappa", [0.1, 0.14, 0.06], [0.03, 0.1, 0.2], variable="r", covers=(1e-4, 0.3)),
        polynomial_form("D", 1e-11, 1, variable="r", centre=0.1),
        constant_form("t_plus", 0.31, extra={"frame": "volume"}),
        scaled_form("chi", data["chi"], of="RS"),
    )
    model = SetModel(BASE, forms)
    values = {p.name: p.start for p in model.parameters} | {"D.a1": -0.2, "chi factor": 1.13}
    return model, values


def test_the_document_is_the_set():
    model, values = fitted_model()
    text = model.document(values, name="mine", title="fitted", note="a note", source="fit of 2026")
    read = parse_set(text, "mine.toml")
    back, ours = read.bind(T), model.at(values, T)
    for name in ("kappa", "D", "t_plus", "chi", "one_minus_t_plus_chi", "phi_0"):
        assert getattr(back, name)(C) == pytest.approx(getattr(ours, name)(C), rel=1e-12), name
    assert read.name == "mine" and "fit of 2026" in read.source["kappa"]


def test_the_numbers_of_a_covariance_become_parameters():
    model, values = fitted_model()
    paths = [p.path for p in model.parameters if "factor" not in p.name]
    sd = np.array([0.004, 0.003, 0.002, 4e-13, 0.05, 0.02])
    matrix = np.outer(sd, sd) * (0.5 + 0.5 * np.eye(6))
    text = model.document(values, name="mine", title="fitted", note="a note", source="fit", covariance=(paths, matrix))
    read = parse_set(text, "mine.toml")
    own, prior = own_numbers(read)
    mean, covariance = prior.mean, prior.covariance
    assert sorted(p.path for p in own.parameters) == sorted(paths)
    point = {p.name: p.value(float(u)) for p, u in zip(own.parameters, mean, strict=True)}
    assert own.at(point, T).kappa(C) == pytest.approx(model.at(values, T).kappa(C), rel=1e-12)
    for k, p in enumerate(own.parameters):
        error = p.error(p.start, np.sqrt(covariance[k, k]))
        assert error == pytest.approx(sd[paths.index(p.path)], rel=0.01), p.path  # the floor adds up to 1e-3
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(0.5, abs=0.01)
