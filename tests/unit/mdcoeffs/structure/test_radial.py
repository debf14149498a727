"""Radial distribution functions whose answer is known: gases, lattices, made-up shells."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.neighbours import dimensions, histogram, pairs_within
from mdcoeffs.frames.snapshot import Snapshot
from mdcoeffs.structure.radial import RadialSums, first_shell, integral_weights, make_pair, radial_of

EDGE = 20.0  # angstrom


def frames_of(positions, box=None):
    box = np.eye(3) * EDGE * 1e-10 if box is None else box * 1e-10
    return [Snapshot(k, float(k), one, box) for k, one in enumerate(positions)]


def gas(frames, n, seed):
    return np.random.default_rng(seed).random((frames, n, 3)) * EDGE


def radials(positions, pairs, reach=10.0, bins=50, box=None):
    sums = RadialSums(pairs, np.linspace(0, reach * 1e-10, bins + 1))
    for frame in frames_of(positions, box):
        sums.add(frame)
    return radial_of([sums])


def test_ideal_gas_of_two_species():
    """g = 1 and G = 0 within the errors, and the errors are those of Poisson counts."""
    a, b = np.arange(40), np.arange(40, 100)
    (found,) = radials(gas(400, 100, 1), [make_pair("a-b", a, b, a, b)])
    z = (found.g.value - 1) / found.g.error
    assert np.sum(z[3:] ** 2) < 80  # chi^2 of 47: 1 % at 72; bins below 0.6 angstrom hold too few pairs
    expected = 1 / np.sqrt(400 * 40 * 60 * found.shells / 8e-27)
    assert np.mean(found.g.error[3:] / expected[3:]) == pytest.approx(1.03, abs=0.05)  # measured 1.03
    G = found.running_integral()
    assert np.all(np.abs(G.value[10:]) < 4 * G.error[10:])


def test_ideal_gas_of_one_species_has_the_exact_offset_of_a_closed_box():
    """Per pair g = (N - 1)/N, so the plain integral is -V_R/N exactly on average; the closed-box g is 1."""
    n = 30
    a = np.arange(n)
    (found,) = radials(gas(600, n, 2), [make_pair("a-a", a, a, a, a)])
    plain = found.running_integral(extrapolate=False, closed=False)
    exact = -4 / 3 * np.pi * (found.r + found.width / 2) ** 3 / n
    assert np.all(np.abs(plain.value - exact)[10:] < 4 * plain.error[10:])
    assert abs(exact[-1]) > 10 * plain.error[-1]  # so the test can tell it from zero
    mended = found.running_integral(extrapolate=False, closed=True)
    assert np.all(np.abs(mended.value)[10:] < 4 * mended.error[10:])


def test_closed_box_is_exact_for_the_mean_of_an_ideal_gas():
    n, bins = 30, 50
    a = np.arange(n)
    (found,) = radials(gas(2, n, 2), [make_pair("a-a", a, a, a, a)], bins=bins)
    total = np.concatenate([n * (n - 1) * found.shells / 8e-27, [8e-27, 1.0]])
    assert found.g_of(total) == pytest.approx(np.full(bins, 1 - 1 / n), rel=1e-12)
    assert found.closed_box(total) == pytest.approx(np.ones(bins), rel=1e-12)


def test_weights_integrate_what_they_should():
    r = (np.arange(200) + 0.5) * 0.01
    step = np.where(r < 0.5, -1.0, 0.0)  # a hard core of radius 0.5: G = -4/3 pi 0.125
    plain = integral_weights(r, 0.01, extrapolate=False) @ step
    assert plain[-1] == pytest.approx(-4 / 3 * np.pi * 0.125, rel=1e-12)
    x = 0.5 / 2.0
    w = 4 * np.pi * 8 * (x**3 / 3 - 23 / 48 * x**6 + 3 / 28 * x**7 + 9 / 64 * x**8)
    assert (integral_weights(r, 0.01) @ step)[-1] == pytest.approx(-w, rel=1e-12)


@pytest.mark.parametrize("box", [np.eye(3) * 20.0, np.array([[20.0, 0, 0], [4.0, 20.0, 0], [0, 0, 20.0]])])
def test_simple_cubic_lattice(box):
    """6, 12, 8, 6, 24 neighbours at 4, 5.66, 6.93, 8, 8.94 angstrom; also across a sheared box that fits it."""
    place = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 4.0 + 1.0
    a = np.arange(125)
    (found,) = radials([place] * 8, [make_pair("a-a", a, a, a, a)], reach=9.5, bins=95, box=box)
    count = found.running_coordination()
    for reach, wanted in ((3.9, 0), (4.1, 6), (5.8, 18), (7.1, 26), (8.2, 32), (9.2, 56)):
        assert found.coordination(reach * 1e-10).value == pytest.approx(wanted, abs=1e-9)
        assert count.value[round(reach * 10) - 1] == pytest.approx(wanted, abs=1e-9)
    assert np.all(found.g.error == 0)  # nothing moves


def test_pairs_inside_a_molecule_do_not_count():
    """Diatomics of bond length 1.5 on far-apart sites: nothing within 3 angstrom once their own bond is left out."""
    place = np.array([[2.0, 2, 2], [3.5, 2, 2], [12.0, 12, 12], [13.5, 12, 12]])
    a, molecule = np.arange(4), np.array([0, 0, 1, 1])
    (found,) = radials([place] * 8, [make_pair("O-O", a, a, molecule, molecule)])
    assert found.coordination(3e-10).value == 0
    part = make_pair("x", np.array([0, 2]), np.array([1, 3]), molecule[[0, 2]], molecule[[1, 3]])
    assert part.without[0].tolist() == [0, 1]
    assert part.without[1].tolist() == [0, 1]


def test_neighbour_search_against_all_distances():
    rng = np.random.default_rng(5)
    a, b, box = rng.random((50, 3)) * EDGE, rng.random((80, 3)) * EDGE, np.array([EDGE] * 3 + [90] * 3, np.float32)
    d = a[:, None] - b[None]
    d = np.linalg.norm(d - EDGE * np.rint(d / EDGE), axis=-1)
    i, j, distance = pairs_within(a, b, 4.0, box)
    wanted = {(p, q): d[p, q] for p, q in np.argwhere(d < 4.0)}
    assert {(p, q) for p, q in zip(i.tolist(), j.tolist(), strict=True)} == set(wanted)
    # single precision of positions: measured 1.5e-6 angstrom
    assert distance == pytest.approx([wanted[p, q] for p, q in zip(i, j, strict=True)], abs=5e-6)
    edges = np.linspace(0, 8, 41)
    assert histogram(a, b, edges, box).tolist() == np.histogram(d, edges)[0].tolist()
    near = np.linspace(0, 4, 21)  # by the cell list
    assert histogram(a, b, near, box).tolist() == np.histogram(d, near)[0].tolist()


def shell(depth, peak=8.0, at=2.0, noise=0.0, seed=0):
    r = (np.arange(200) + 0.5) * 0.05
    g = 1 / (1 + np.exp(-(r - 4.5) / 0.15)) + peak * np.exp(-((r - at) ** 2) / 0.02) + depth * (r > at)
    g += np.random.default_rng(seed).normal(size=r.size) * noise
    return r * 1e-10, g


def test_first_shell():
    r, g = shell(0.0)
    assert first_shell(r, g) == pytest.approx(3.1e-10, abs=0.3e-10)  # anywhere on the floor between 2.5 and 3.7
    found = [first_shell(*shell(0.0, noise=0.03, seed=k), np.full(200, 0.03)) for k in range(20)]
    assert all(2.4e-10 < one < 3.9e-10 for one in found)


def test_no_first_shell_is_said_in_a_sentence():
    r = (np.arange(200) + 0.5) * 0.05e-10
    with pytest.raises(InputError, match="g\\(r\\) of Li-EC has no clear first peak"):
        first_shell(r, 1 / (1 + np.exp(-(r - 3e-10) / 0.2e-10)), name="Li-EC")
    noise = np.random.default_rng(3).normal(size=200) * 0.3
    with pytest.raises(InputError, match="no clear first peak"):
        first_shell(r, 1 + noise, np.full(200, 0.3))
    with pytest.raises(InputError, match="has a first peak but no minimum behind it"):
        first_shell(r, np.where(r < 2e-10, 0, 8 * np.exp(-(r - 2e-10) / 1e-10)))
    with pytest.raises(InputError, match=r"lies at .* angstrom, beyond 5"):
        first_shell(3 * r, shell(0.0)[1])


def test_bad_boxes_are_refused():
    a = np.arange(3)
    with pytest.raises(InputError, match="r_max = 10 angstrom reaches beyond half the box"):
        radials(gas(1, 3, 0), [make_pair("a", a, a, a, a)], box=np.diag([18.0, 30, 30]))
    turned = Snapshot(0, 0.0, np.zeros((3, 3)), np.array([[0, 20.0, 0], [20.0, 0, 0], [0, 0, 20.0]]) * 1e-10)
    with pytest.raises(InputError, match="the first box vector must lie along x"):
        dimensions(turned)
    with pytest.raises(InputError, match="frame 0 has no box"):
        RadialSums([], np.linspace(0, 1e-9, 3)).add(Snapshot(0, 0.0, np.zeros((3, 3)), None))
