"""Windows that cations jump through: geometry in closed form, openings of known size, periodic images."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.paths import CHUNK, ParticleStore
from mdcoeffs.mobility.bottleneck import Opening, area, areas, pierced, windows_of
from mdcoeffs.mobility.paddlewheel import Events, jumps, response, sample
from mdcoeffs.synthetic.jumps import gates


def store_of(paths):
    particles, frames, _ = paths.shape
    store = ParticleStore(np.zeros((-(-frames // CHUNK), particles, CHUNK, 3)))
    for k in range(frames):
        store.put(k, paths[:, k])
    return store


def opening(system, *, shift=None, box=None, half=5):
    delays = np.arange(-30, 31)
    events = jumps(system.cations, half=half, threshold=0.5)
    corners = system.corners if shift is None else system.corners + shift[:, None]
    store, frames = store_of(corners), corners.shape[1]
    boxes = None if box is None else np.broadcast_to(box, (events.count, 3, 3))
    found = windows_of(events, store.at(events.frame), boxes, cutoff=3.0)
    rng = np.random.default_rng(1)
    sampled = sample(events, found.of_event[:, None], areas(found, store, frames), delays, half=half, rng=rng)
    return Opening(response([sampled], delays, 1e-12, half=half), events.count, len(found.corners)), found


def test_area_is_that_of_heron():
    corners = np.random.default_rng(1).standard_normal((50, 3, 3))
    a, b, c = (np.linalg.norm(corners[:, k] - corners[:, k - 1], axis=-1) for k in range(3))
    s = (a + b + c) / 2
    np.testing.assert_allclose(area(corners), np.sqrt(s * (s - a) * (s - b) * (s - c)), rtol=1e-9)


def test_a_line_pierces_where_barycentric_coordinates_say():
    rng = np.random.default_rng(2)
    triangle = rng.standard_normal((3, 3))
    inside = rng.dirichlet([1, 1, 1], 200)
    outside = inside + 2 * np.eye(3)[rng.integers(0, 3, 200)] @ (np.eye(3) - 1 / 3)  # off the triangle, in its plane
    normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
    for weights, want in ((inside, True), (outside, False)):
        for point in weights @ triangle:
            tilt = normal + 0.3 * rng.standard_normal(3)
            assert pierced(point - tilt, point + tilt, triangle[None])[0] == want
            assert not pierced(point + 0.1 * tilt, point + tilt, triangle[None])[0]  # ends before it
    assert not pierced(triangle[0], triangle[1], triangle[None])[0]  # in its plane


def test_the_window_between_two_tetrahedra_is_their_shared_face():
    face = np.array([[0, 1, 0], [0, -0.5, np.sqrt(0.75)], [0, -0.5, -np.sqrt(0.75)]])
    tips = np.array([[-np.sqrt(2), 0, 0], [np.sqrt(2), 0, 0]])
    atoms = np.concatenate([tips[:1], face, tips[1:]])
    atoms += 0.01 * np.random.default_rng(3).standard_normal(atoms.shape)
    jump = Events(np.array([0]), np.array([7]), tips[:1] / 4, tips[1:] / 4)  # from one centre to the other
    found = windows_of(jump, atoms[None], None, cutoff=2.0)
    assert found.corners.tolist() == [[1, 2, 3]] and found.of_event.tolist() == [0]
    assert windows_of(jump, atoms[None], None, cutoff=0.9).of_event.tolist() == [-1]  # no corner is that near
    away = np.array([0.0, 3.0, 0.0])
    aside = Events(jump.cation, jump.frame, jump.before + away, jump.after + away)
    assert windows_of(aside, atoms[None], None, cutoff=9.0).of_event.tolist() == [-1]


@pytest.mark.parametrize("amount", [0.0, 0.25])
def test_openings_of_known_size(amount):
    system = gates(cations=12, frames=1500, rng=np.random.default_rng(4), opening=amount)
    found, windows = opening(system)
    assert found.windows == 12 and np.all(windows.of_event >= 0)
    # the mean over the run holds the openings themselves
    mean = 1 + amount * system.open
    assert found.response.baseline == pytest.approx(system.area * mean, rel=3e-3)  # measured 4e-4, rattling
    truth = amount * (1 - system.open) / mean
    assert abs(found.relative.value - truth) < 3 * found.relative.error and found.relative.error < 0.03
    assert found.response.coupled == (amount > 0)
    assert found.relative.numbers()["value"] == found.summary()["relative_opening"]["value"]


def test_windows_across_the_box():
    system = gates(cations=4, frames=900, rng=np.random.default_rng(5))
    plain, windows = opening(system)
    box = np.diag([7.0, 18.0, 7.0])
    shift = np.random.default_rng(6).integers(-2, 3, (12, 3)) @ box
    moved, same = opening(system, shift=shift, box=box)
    assert np.array_equal(same.corners, windows.corners)
    np.testing.assert_allclose(moved.response.excess, plain.response.excess, rtol=0, atol=1e-12)
    assert moved.response.baseline == pytest.approx(plain.response.baseline, rel=1e-12)
    with pytest.raises(InputError, match="cations = 3 must be even"):
        gates(cations=3, frames=900, rng=np.random.default_rng(5))
