"""The error of chi in the covariance of a set: D is proportional to chi, so the two move together."""

from dataclasses import replace

import numpy as np
import pytest
from set_toys import RECIPE

from cellsim.base import InputError
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from cellsim.electrolyte.set_file import parse_set
from cellsim.files.schema import parse_toml
from mdcoeffs.chain.to_set import transport_set


def matrices(*concentrations):
    rng = np.random.default_rng(7)
    found = []
    for c in concentrations:
        Omega = np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10 * c / 1000
        scale = np.exp(0.05 * rng.standard_normal((4000, 2)))
        L = np.linalg.cholesky(Omega)
        samples = np.einsum("sk,ik,jk->sij", scale, L, L)
        found.append(OnsagerMatrix(Omega, (1, -1), (1, 1), c, 300.0, "solvent", samples=samples))
    return found


def made(chi, *concentrations):
    text = transport_set(matrices(*concentrations), parse_toml(RECIPE + chi), name="s", origin="test").text
    return parse_set(text, "s.toml")


def part(found, one, two):
    names = list(found.covariance.parameters)
    return found.covariance.matrix[names.index(one), names.index(two)]


def test_one_value_of_chi_moves_all_D_together():
    exact = made('value = 1.5\nsource = "x"', 500.0, 1000.0)
    found = made('value = 1.5\nstandard_error = 0.3\nsource = "x"', 500.0, 1000.0)
    assert "chi.value" not in exact.covariance.parameters
    assert part(found, "chi.value", "chi.value") == pytest.approx(0.09, rel=1e-9)
    D = found.bind(300.0).D(np.array([500.0, 1000.0]))
    for k in range(2):
        added = part(found, f"D.y[{k}]", f"D.y[{k}]") - part(exact, f"D.y[{k}]", f"D.y[{k}]")
        assert added == pytest.approx((0.2 * D[k]) ** 2, rel=1e-6)
        assert part(found, f"D.y[{k}]", "chi.value") == pytest.approx(0.2 * D[k] * 0.3, rel=1e-6)
        assert part(found, f"kappa.y[{k}]", f"D.y[{k}]") == pytest.approx(part(exact, f"kappa.y[{k}]", f"D.y[{k}]"))
    assert part(found, "D.y[0]", "D.y[1]") == pytest.approx(0.04 * D[0] * D[1], rel=1e-6)
    assert part(exact, "D.y[0]", "D.y[1]") == 0.0


def test_chi_by_concentration_is_independent_and_needs_no_common_grid():
    table = 'variable = "c"\nx = [0.4, 0.7, 1.2]\ny = [1.1, 1.4, 2.0]\nstandard_error = [0.1, 0.0, 0.2]\nsource = "x"'
    found = made(table, 500.0, 1000.0)
    assert [p for p in found.covariance.parameters if p.startswith("chi")] == ["chi.y[0]", "chi.y[2]"]
    assert part(found, "chi.y[0]", "chi.y[2]") == 0.0
    # the slope of D with a number of chi, against the set read again with that number moved
    base, moved = (made(table.replace("2.0]", f"{y}]"), 500.0, 1000.0) for y in (2.0, 2.001))
    for k, c in enumerate((500.0, 1000.0)):
        slope = float(moved.bind(300.0).D(c) - base.bind(300.0).D(c)) / 0.001
        assert part(found, f"D.y[{k}]", "chi.y[2]") == pytest.approx(slope * 0.04, rel=2e-3)  # second order: 2e-4


def test_volumes_must_fill_the_box_simulated():
    # 1 mol/L of a salt of 100 cm^3/mol leaves 0.9 of a litre for a solvent of 40 cm^3/mol: 22.5 mol/L, 990 g/L.
    (matrix,) = matrices(1000.0)
    chi = 'value = 1.5\nsource = "x"'
    box = replace(matrix, composition=Composition((0.007, 0.28), 990.0))
    recipe = RECIPE + chi
    transport_set([box], parse_toml(recipe), name="s", origin="test")
    for old, new, filled in (("100 cm", "310 cm", 1.21), ("40 cm", "48 cm", 1.18), ("40 cm", "4 cm", 0.19)):
        with pytest.raises(InputError, match=rf"volumes: V_e = .* fill {filled:.3f} of the box simulated"):
            transport_set([box], parse_toml(recipe.replace(old, new)), name="s", origin="test")
    for old, new, message in (
        ("287 g", "287 kg", "the ions simulated weigh 287 g/mol"),
        ("44 g", "44 kg", "fill 0.101 of the box"),
    ):
        with pytest.raises(InputError, match=message):
            transport_set([box], parse_toml(recipe.replace(old, new)), name="s", origin="test")


@pytest.mark.parametrize(
    ("chi", "message"),
    [
        ('value = 1.5\nstandard_error = -1\nsource = "x"', "must not be negative"),
        ('x = [0.4, 1.2]\nvariable = "c"\ny = [1, 2]\nstandard_error = [0.1]\nsource = "x"', "must be 2 numbers"),
        (
            'x = [0.4, 0.4503, 1.2]\nvariable = "c"\ny = [1, 0, 2]\nsource = "x"',
            "chi falls to zero at c = 0.4503 mol/L",
        ),
        ('expression = "1 + c"\nstandard_error = 0.1\nsource = "x"', "not with an expression"),
    ],
)
def test_what_is_refused(chi, message):
    with pytest.raises(InputError, match=message):
        made(chi, 500.0)


# ---- volumes from the boxes -----------------------------------------------------------------------------------------

V_E, V_0, M_SOLVENT = 105e-6, 41e-6, 0.044
BOXES = RECIPE.replace('V_e = "100 cm^3/mol"\nV_0 = "40 cm^3/mol"\nsource = "assumed"', 'from = "boxes"')
CHI = 'value = 1.5\nsource = "x"'


def boxed(noise, seed, *concentrations):
    rng = np.random.default_rng(seed)
    found = []
    for m in matrices(*concentrations):
        solvent = (1 - m.c * V_E) / V_0 * (1 + noise * rng.standard_normal())
        found.append(replace(m, composition=Composition((0.007, 0.280), solvent * M_SOLVENT)))
    return found


def test_volumes_that_fill_the_boxes():
    found = transport_set(boxed(0.0, 0, 500.0, 1000.0), parse_toml(BOXES + CHI), name="s", origin="test")
    read = parse_set(found.text, "s.toml")
    assert read.volumes.V_e == pytest.approx(V_E, rel=1e-6) and pytest.approx(V_0, rel=1e-6) == read.volumes.V_0
    assert any("do not tell their errors" in note for note in found.notes)
    noisy = transport_set(boxed(1e-3, 1, 250, 500.0, 1000.0, 1500.0), parse_toml(BOXES + CHI), name="s", origin="test")
    stated = parse_set(noisy.text, "s.toml").covariance
    assert stated.parameters[-2:] == ("volumes.V_e", "volumes.V_0") and noisy.numbers == stated.parameters
    sd = np.sqrt(np.diag(stated.matrix))[-2:]
    read = parse_set(noisy.text, "s.toml")
    assert abs(read.volumes.V_e - V_E) * 1e6 < 4 * sd[0] and abs(read.volumes.V_0 - V_0) * 1e6 < 4 * sd[1]
    assert noisy.draws[:, -2:].std(axis=0) == pytest.approx(sd, rel=0.05)


@pytest.mark.parametrize(
    ("recipe", "concentrations", "told"),
    [
        (BOXES, (1000.0,), "two concentrations"),
        (BOXES.replace('"boxes"', '"box"'), (500.0, 1000.0), "from"),
        (BOXES.replace('from = "boxes"', 'from = "boxes"\nV_e = "1 cm^3/mol"'), (500.0, 1000.0), "V_e"),
        (BOXES.replace('M = "287 g/mol"', 'M = "187 g/mol"'), (500.0, 1000.0), "the ions simulated weigh 287 g/mol"),
    ],
)
def test_boxes_that_do_not_tell_volumes(recipe, concentrations, told):
    with pytest.raises(InputError, match=told):
        transport_set(boxed(0.0, 0, *concentrations), parse_toml(recipe + CHI), name="s", origin="test")


def test_results_that_do_not_know_their_box_give_no_volumes():
    with pytest.raises(InputError, match="know their box"):
        transport_set(matrices(500.0, 1000.0), parse_toml(BOXES + CHI), name="s", origin="test")
