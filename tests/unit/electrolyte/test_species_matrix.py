"""The matrix of n species: its derived numbers against the binary's and against direct algebra, frames, refusals."""

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.base import R as GAS
from cellsim.electrolyte.mixture import SpeciesMatrix, frame_change
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix

NAMES = ("Li", "X", "B", "Na", "A")


def positive(n, seed):
    A = np.random.default_rng(seed).normal(size=(n, n + 1))
    return 1e-10 * A @ A.T


def mixture(n=4, seed=1):
    """Cation, anion and solvents (a second cation is the fourth of five), in the frame of the last."""
    full = np.zeros((n, n))
    full[:-1, :-1] = positive(n - 1, seed)
    z = {3: (1, -1, 0), 4: (1, -1, 0, 0), 5: (1, -1, 0, 1, 0)}[n]
    c = {3: (1000, 1000, 9000), 4: (1000, 1000, 3000, 6000), 5: (700, 1000, 3000, 300, 6000)}[n]
    return SpeciesMatrix(full, (*NAMES[: n - 1], "A"), z, c, 300.0, "A", (0,) * (n - 1) + (1,))


@pytest.mark.parametrize("seed", range(3))
def test_one_salt_in_one_solvent_gives_the_numbers_of_the_binary_matrix(seed):
    m = mixture(3, seed)
    binary = OnsagerMatrix(m.Omega[:2, :2], (1, -1), (1, 1), 1000.0, 300.0, "solvent")
    found = m.quantities()
    for name, value in {"kappa": binary.kappa, "t_Li": binary.t_plus, "rho_Li": binary.rho_plus}.items():
        assert found[name] == pytest.approx(value, rel=1e-12)
    D, expected = m.stefan_maxwell(), binary.stefan_maxwell(9000.0)
    assert [D[0, 1], D[0, 2], D[1, 2]] == pytest.approx(
        [expected.D_plus_minus, expected.D_plus_0, expected.D_minus_0], rel=1e-10
    )
    masses = (7e-3, 145e-3, 88e-3)
    moved = m.to_frame("barycentric", masses)
    there = binary.to_frame("barycentric", Composition(masses[:2], 9000.0 * masses[2]))
    assert moved.Omega[:2, :2] == pytest.approx(there.Omega, rel=1e-10)
    assert moved.quantities()["t_Li"] == pytest.approx(there.t_plus, rel=1e-10)


@pytest.mark.parametrize(("n", "seed"), [(4, 1), (4, 2), (5, 3), (5, 4)])
def test_the_current_fraction_is_the_formula_of_an_inverse_and_no_frame_changes_it(n, seed):
    m = mixture(n, seed)
    inside, z = m.Omega[:-1, :-1], np.array(m.z[:-1])
    expected = 1 / (np.linalg.inv(inside)[0, 0] * (z @ inside @ z))
    friction = m.stefan_maxwell()
    for frame in ("A", "X", "B", "molar"):
        moved = m.to_frame(frame)
        assert moved.quantities()["rho_Li"] == pytest.approx(expected, rel=1e-9)
        assert moved.kappa == pytest.approx(m.kappa, rel=1e-12)
        assert sum(moved.quantities()[f"t_{name}"] for k, name in enumerate(m.names) if m.z[k]) == pytest.approx(1.0)
        off = ~np.eye(n, dtype=bool)
        assert moved.stefan_maxwell()[off] == pytest.approx(friction[off], rel=1e-7)


def test_stefan_maxwell_coefficients_balance_the_forces():
    # c_i grad mu_i = sum_j R T c_i c_j/(c_T D_ij) (v_j - v_i), Newman & Balsara Eq. 12.1; v comes from the matrix
    m = mixture(5, 7)
    c, force = np.array(m.c), np.random.default_rng(2).normal(size=5)
    force[-1] = -(c[:-1] @ force[:-1]) / c[-1]  # Gibbs and Duhem
    v = -(m.Omega @ force) / c
    D = m.stefan_maxwell()
    np.fill_diagonal(D, np.inf)
    drag = GAS * 300.0 * c[:, None] * c[None, :] / (c.sum() * D) * (v[None, :] - v[:, None])
    assert drag.sum(axis=1) == pytest.approx(c * force, rel=1e-9)


def test_frames_and_samples_move_together():
    m = mixture(4)
    sampled = SpeciesMatrix(m.Omega, m.names, m.z, m.c, m.T, "A", m.weights, samples=np.array([m.Omega, 2 * m.Omega]))
    moved = sampled.to_frame("X")
    assert moved.samples[1] == pytest.approx(2 * moved.Omega)
    assert moved.interval("kappa", 0.5) == pytest.approx((1.25 * m.kappa, 1.75 * m.kappa))
    assert moved.to_frame("A").Omega == pytest.approx(m.Omega, abs=1e-22)
    A = frame_change([1.0, 2.0], [0.0, 1.0])
    assert A @ np.array([3.0, 4.0]) == pytest.approx([1.0, 0.0])


def test_bad_matrices_are_refused_in_a_sentence():
    m = mixture(4)
    rest = dict(names=m.names, z=m.z, c=m.c, T=300.0, frame="A", weights=m.weights)
    for change, message in (
        ({"Omega": m.Omega + 1e-11}, "this is not the A frame"),
        ({"Omega": np.triu(m.Omega)}, "symmetric"),
        ({"Omega": m.Omega[:2, :2]}, "shape"),
        ({"Omega": m.Omega * np.nan}, "finite"),
        ({"z": (1, -2, 0, 0)}, "not neutral"),
        ({"z": (0, 0, 0, 0)}, "no ions"),
        ({"c": (1000, 1000, 0, 6000)}, "positive"),
        ({"c": (1000, 1000)}, "2 entries for 4 species"),
        ({"weights": (0, 0, 0, 0)}, "not all 0"),
    ):
        with pytest.raises(InputError, match=message):
            SpeciesMatrix(**{"Omega": m.Omega, **rest, **change})
    with pytest.raises(InputError, match="needs weights"):
        m.to_frame("barycentric")
    with pytest.raises(InputError, match="none"):
        m.interval("kappa")
