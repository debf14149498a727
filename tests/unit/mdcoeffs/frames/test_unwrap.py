"""Unwrapping on arrays: a trajectory wrapped on purpose comes back exactly, whatever the box."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.molecules import Molecules, whole_molecules
from mdcoeffs.frames.snapshot import box_volume
from mdcoeffs.frames.unwrap import Track, advance, box_matrix

CUBE = np.diag([16.0, 8.0, 32.0])
SKEW = np.array([[16.0, 0.0, 0.0], [4.0, 16.0, 0.0], [-2.0, 6.0, 16.0]])


def molecules(sizes, species=None, tracer=None):
    """Molecules of the given sizes, all atoms of one mass."""
    sizes = np.asarray(sizes)
    first = np.concatenate([[0], np.cumsum(sizes)])
    kind = np.zeros(sizes.size, dtype=np.int64) if species is None else np.asarray(species)
    weights = np.concatenate([[1.0 / n] * n for n in sizes])
    return Molecules(
        np.arange(first[-1]),
        first,
        weights,
        kind,
        np.ones(sizes.size),
        np.array([float(sizes[kind == k].mean()) for k in range(kind.max() + 1)]),
        np.full(sizes.size, -1) if tracer is None else np.asarray(tracer),
    )


def dyadic(rng, shape, scale):
    """Random multiples of 2^-10: sums and wrapping are exact in float64."""
    return np.rint(rng.normal(scale=scale, size=shape) * 1024) / 1024


def bonds_of(who):
    """A linear chain through every molecule."""
    pairs = [(k, k + 1) for a, b in zip(who.first[:-1], who.first[1:], strict=True) for k in range(a, b - 1)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def wrap(positions, box):
    return positions - np.floor(positions @ np.linalg.inv(box)) @ box


def follow(who, frames, boxes, *, bonds=None, images=None, known=False):
    track = Track.empty(who)
    if not known:
        track.relative[:] = whole_molecules(who, frames[0], boxes[0], bonds)
    out = []
    for t, (positions, box) in enumerate(zip(frames, boxes, strict=True)):
        flags = None if images is None else images[t]
        advance(who, track, positions, box, images=flags, known=known, start=t == 0)
        out.append(track.displacement.copy())
    return np.array(out), track


@pytest.mark.parametrize("box", [CUBE, SKEW], ids=["orthorhombic", "triclinic"])
@pytest.mark.parametrize("size", [1, 4, 64])
def test_wrapped_on_purpose_comes_back_exactly(box, size):
    # 64 atoms in a chain are longer than the box: only bonds and memory keep such a molecule whole.
    rng = np.random.default_rng(size)
    who = molecules([size] * 8)
    shape = dyadic(rng, (8, size, 3), 0.4).cumsum(axis=1)
    path = dyadic(rng, (400, 8, 1, 3), 0.5).cumsum(axis=0)
    jitter = dyadic(rng, (400, 8, size, 3), 0.1)
    atoms = (rng.integers(0, 8, size=(8, 1, 3)) + shape + path + jitter).reshape(400, -1, 3)
    true = atoms.reshape(400, 8, size, 3).mean(axis=2)
    wrapped = np.array([wrap(frame, box) for frame in atoms])
    assert np.abs(true[-1] - true[0]).max() > 8  # it did cross the box
    got, track = follow(who, wrapped, [box] * 400, bonds=bonds_of(who))
    # sizes are powers of two and positions multiples of 2^-10; only inv(SKEW) rounds, and only inside rint
    assert np.abs(got - (true - true[0])).max() <= (0.0 if box is CUBE else 1e-12)
    assert np.abs(track.summed[0] - (true[-1] - true[0]).sum(axis=0)).max() < 1e-11


@pytest.mark.parametrize("box", [CUBE, SKEW], ids=["orthorhombic", "triclinic"])
def test_image_flags_follow_steps_longer_than_the_box(box):
    rng = np.random.default_rng(5)
    who = molecules([2] * 5)
    atoms = np.repeat(dyadic(rng, (50, 5, 3), 20.0).cumsum(axis=0), 2, axis=1)
    atoms[:, 1::2] += 0.5
    images = np.floor(atoms @ np.linalg.inv(box))
    wrapped = atoms - images @ box
    got, _ = follow(who, wrapped, [box] * 50, images=images, known=True)
    true = atoms.reshape(50, 5, 2, 3).mean(axis=2)
    assert np.abs(got - (true - true[0])).max() <= 1e-10
    with pytest.raises(InputError, match="too far to unwrap"):
        follow(who, wrapped, [box] * 50)


def test_molecule_cut_by_the_box_is_made_whole_without_bonds():
    who = molecules([2])
    frame = np.array([[15.75, 4.0, 4.0], [0.25, 4.0, 4.0]])
    assert whole_molecules(who, frame, CUBE, None).tolist() == [[0, 0, 0], [0.5, 0, 0]]


def test_large_molecule_without_bonds_is_refused():
    who = molecules([3])
    frame = np.array([[0.0, 1, 1], [4.0, 1, 1], [7.9, 1, 1]])
    with pytest.raises(InputError, match="no bonds to make it whole"):
        whole_molecules(who, frame, CUBE, None)
    assert whole_molecules(who, frame, CUBE, np.array([[0, 1], [1, 2]]))[2, 0] == 7.9


def test_tracer_atom_is_followed_beside_the_centre():
    who = molecules([2, 2], tracer=[1, -1])
    frames = np.array([[[1.0, 1, 1], [2, 1, 1], [5, 5, 5], [6, 5, 5]], [[1.0, 1, 1], [1, 2, 1], [5, 5, 6], [6, 5, 6]]])
    track = Track.empty(who)
    track.relative[:] = whole_molecules(who, frames[0], CUBE, None)
    advance(who, track, frames[0], CUBE, start=True)
    before = track.tracer_offsets(who)
    advance(who, track, frames[1], CUBE)
    path = track.displacement + track.tracer_offsets(who) - before
    assert path.tolist() == [[-1, 1, 0], [0, 0, 1]]


def test_nan_is_refused():
    who = molecules([1])
    with pytest.raises(InputError, match="position of atom 0 is NaN"):
        advance(who, Track.empty(who), np.array([[np.nan, 0, 0]]), CUBE, start=True)


def test_box_matrix_agrees_with_its_angles():
    box = box_matrix(np.array([10, 12, 14, 80, 75, 65.0]))
    lengths = np.linalg.norm(box, axis=1)
    cosines = [box[i] @ box[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    assert lengths == pytest.approx([10, 12, 14], rel=1e-14)
    assert np.degrees(np.arccos(cosines)) == pytest.approx([80, 75, 65], rel=1e-13)
    assert box_matrix(None) is None
    assert box_matrix(np.zeros(6)) is None
    with pytest.raises(InputError, match="spans no volume"):
        box_matrix(np.array([10, 10, 10, 10, 10, 170.0]))


@pytest.mark.parametrize(
    ("box", "volume"), [(np.eye(3) * 2, 8.0), (np.eye(3) * 1e200, np.inf), (np.zeros((3, 3)), 0.0)]
)
def test_the_volume_of_any_box_is_a_number_without_a_warning(box, volume):
    assert box_volume(box) == pytest.approx(volume)
    assert np.isnan(box_volume(np.where(np.eye(3) > 0, np.nan, 1.0)))
    assert not np.isfinite(box_volume(np.full((3, 3), np.inf)))
