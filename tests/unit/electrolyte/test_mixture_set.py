"""Sets of n components: their file, its errors in one sentence, and the matrices behind it."""

from pathlib import Path

import numpy as np
import pytest
from mixture_toys import random_set

from cellsim import Cell, Protocol, hold_voltage
from cellsim.base import F, InputError, R
from cellsim.electrolyte import relations
from cellsim.electrolyte.describe import describe_mixture
from cellsim.electrolyte.mixture_file import load_electrolyte, parse_mixture
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.set_file import list_sets, load_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.schema import parse_toml
from cellsim.model import mixture

CASES = Path(__file__).parents[3] / "cases" / "mixed_solvent"
TEXT = """
name = "abc"
status = "assumed"
note = "for a test"
cation = "Li"
solvent = "S"
species = [
    { name = "Li", z = 1 },
    { name = "X", z = -1, V = "50 cm^3/mol" },
    { name = "b", V = "70 cm^3/mol" },
    { name = "S", V = "90 cm^3/mol" },
]
[range]
r = { X = [0.01, 0.3], b = [0.1, 2.0] }
[Omega]
matrix = [[3.0, "k * r_X", 0.2], ["k * r_X", 4.0, 0.1], [0.2, 0.1, 5.0]]
unit = "1e-10 mol^2/(J m s)"
source = "none"
[constants]
k = 2.0
[G]
ideal = true
source = "none"
"""


def parse(*changes, T=None):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return parse_mixture(parse_toml(text, "abc.toml"), T)


def test_a_file_gives_its_matrices_cation_first():
    found = parse()
    assert found.species == ("Li", "X", "b", "S") and found.charges == (1, -1, 0, 0)
    Omega = found.Omega(np.array([[0.1, 1.0], [0.2, 1.0]]))
    assert Omega[0] == pytest.approx(1e-10 * np.array([[3, 0.2, 0.2], [0.2, 4, 0.1], [0.2, 0.1, 5]]), rel=1e-12)
    assert Omega[1, 0, 1] == pytest.approx(4e-11, rel=1e-12)
    assert float(found.c_0([0.1, 1.0])) == pytest.approx(1 / (9e-5 + 0.1 * 5e-5 + 7e-5), rel=1e-12)
    first, second = '{ name = "Li", z = 1 }', '{ name = "X", z = -1, V = "50 cm^3/mol" }'
    moved = parse((f"{first},\n    {second}", f"{second},\n    {first}"))
    assert moved.Omega(np.array([0.1, 1.0]))[0, 0] == pytest.approx(4e-10, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("3.0,", "-3.0,"), "Omega is not positive definite"),
        (('["k * r_X", 4.0', '["2 * k * r_X", 4.0'), "Omega is not symmetric"),
        (("4.0, 0.1", "4.0, 9.0"), "not symmetric"),
        (("[0.2, 0.1, 5.0]]", "]"), "3 rows of 3 entries, for Li, X, b in this order; it has 2"),
        (("[0.2, 0.1, 5.0]", "[0.2, 0.1]"), "the row of b is not 3 entries"),
        (("ideal = true", "matrix = [[9.0, 1.0], [0.5, 3.0]]"), "G is not symmetric"),
        (("ideal = true", "matrix = [[1.0, 2.0], [2.0, 1.0]]"), "the mixture would separate"),
        (("ideal = true", "ideal = false"), "needs ideal = true, or a matrix"),
        (('V = "70 cm^3/mol"', 'V = "0 cm^3/mol"'), "must be positive"),
        (('V = "70 cm^3/mol"', 'V = "-7 cm^3/mol"'), "must be positive"),
        (('{ name = "b", V = "70 cm^3/mol" }', '{ name = "b" }'), "is missing"),
        (('{ name = "Li", z = 1 }', '{ name = "Li", z = 1, V = "9 cm^3/mol" }'), "must be left out for the cation"),
        (("z = -1", "z = 1"), "has no anion; the charges cannot balance"),
        (('solvent = "S"', 'solvent = "X"'), "the reference solvent is neutral"),
        (("X = [0.01, 0.3]", "X = [0.3, 0.01]"), "two positive numbers, the lower end first"),
        (('"k * r_X", 0.2]', '"k * r_Y", 0.2]'), "r_Y"),
        (("[range]", "[ranges]"), "ranges"),
    ],
)
def test_a_wrong_set_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError, match=r"^abc\.toml") as caught:
        parse(change)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_compositions_by_name():
    found = parse()
    r = found.r_of(r={"X": 0.1, "b": 1.5})
    c = found.c_0(r) * r
    again = found.r_of(c={"X": float(c[0]), "b": float(c[1]), "Li": float(c[0])})
    assert again == pytest.approx(r, rel=1e-12)
    for given, sentence in (
        ({"X": 0.1}, "b of abc is missing"),
        ({"X": 0.1, "b": 1.0, "q": 1.0}, "q is not a component"),
        ({"X": 0.1, "b": 1.0, "S": 1.0}, "S is the reference solvent, whose amount follows; leave it out"),
        ({"X": 0.1, "b": 1.0, "Li": 0.2}, "the charges do not balance"),
        ({"X": 0.1, "b": -1.0}, "must be positive"),
        ({"X": 0.5, "b": 1.0}, "lies outside 0.01-0.3"),
    ):
        with pytest.raises(InputError, match=sentence):
            found.r_of(r=given)
    with pytest.raises(InputError, match="no room is left for S"):
        found.r_of(c={"X": 1e4, "b": 1e4})


def test_stefan_maxwell_is_the_inverse_of_friction():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3, 3))
    Omega, c, c_0 = 1e-10 * (X @ X.T + np.eye(3)), np.array([900.0, 900.0, 4000.0]), 6000.0
    D = R * 298.15 / (relations.friction(Omega, c, c_0) + np.eye(4))
    back = relations.onsager_of_stefan_maxwell(D, c, c_0, 298.15)
    assert back == pytest.approx(Omega, rel=1e-9)


def test_components_and_omega_are_one_another():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2, 4, 4))
    Omega, z = 1e-10 * (X @ np.swapaxes(X, 1, 2) + np.eye(4)), (2, -1, 0, 1)
    kappa, tau, L = relations.component_transport(Omega, z)
    assert kappa == pytest.approx(F**2 * np.einsum("i,nij,j->n", z, Omega, z), rel=1e-12)
    assert relations.onsager_of_components(kappa, tau, L, z) == pytest.approx(Omega, rel=1e-9)
    assert np.linalg.eigvalsh(L).min() > 0


@pytest.mark.parametrize("name", ["landesfeind2019_ec_emc", "poss_ptf", "steinruck2020_rs_volume"])
def test_a_binary_set_is_a_special_case(name):
    assert name in list_sets()
    binary = load_set(name)
    mixed = MixtureSet.from_binary(binary)
    mixed.verify()
    c = np.geomspace(*binary.c_range, 7)[1:-1]
    r = (binary.nu_minus * binary.r(c))[:, None]
    at = mixed.at(r)
    assert at.kappa == pytest.approx(binary.kappa(c), rel=1e-9)
    assert at.diffusion[:, 0, 0] == pytest.approx(binary.D(c) * binary.c_0(c) ** 2, rel=1e-9)
    assert mixture.newman_number(at) == pytest.approx(binary.newman_number(c), rel=1e-9)
    assert 1 - binary.z_minus * at.tau[:, 0] == pytest.approx(binary.t_plus(c), rel=1e-9, abs=1e-9)
    assert mixture.current_fraction(mixed, r) == pytest.approx(1 / (1 + binary.newman_number(c)), rel=1e-7)
    with pytest.raises(InputError, match="has no place among n components"):
        MixtureSet.from_binary(binary.with_motion("none"))


def test_the_shipped_sets_say_what_is_measured():
    for name in ("lipf6_ec_emc.toml", "two_salts_peo.toml"):
        found = load_electrolyte(CASES / name)
        assert isinstance(found, MixtureSet)
        assert found.status == "assumed" and found.note
        words = ("measured", "assumed", "reconstruction", "kappa: measured")
        assert all(text.startswith(words) for text in found.source.values())
    assert isinstance(load_electrolyte("poss_ptf"), TransportSet)


def test_ideal_thermodynamic_matrix_of_a_binary_salt():
    # chi_y = 1: chi = c_0/(c_0 + nu c) on the molal basis, G = nu chi/r
    r = np.array([[0.05], [0.4]])
    chi = 1 / (1 + 2 * r[:, 0])
    assert relations.ideal_thermodynamic_matrix(r, (-1,), 1)[:, 0, 0] == pytest.approx(2 * chi / r[:, 0], rel=1e-12)


def test_what_plan_and_sets_print_of_a_second_cation():
    """Its component is its salt in place of that of lithium; it was called a lithium salt."""
    names = ("Li", "X", "Na", "b", "S")
    found = random_set(np.random.default_rng(3), (-1, 1, 0), names=names)
    lines = mixture.plan(Cell(1e-4, 298.15), found, Protocol((hold_voltage(0.01, 100.0),)), [0.2, 0.05, 0.3])
    kinds = {line.split()[0]: line.split("%")[1].strip() for line in lines if " %   " in line}
    assert kinds == {"X": "Li salt", "Na": "in place of Li", "b": "cosolvent"}
    (head,) = (line for line in describe_mixture(found) if "of modes" in line)
    assert "tau_b  D (m^2/s) of modes" in head
