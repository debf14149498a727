"""CollectiveDisplacements: what it refuses, and the change of frame on the data themselves."""

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.onsager.displacements import (
    CollectiveDisplacements,
    SelfMSD,
    check_even_times,
    check_replicas,
    mean_volume,
)

RNG = np.random.default_rng(20)
GOOD = {
    "R": np.cumsum(RNG.standard_normal((6, 4, 3)), axis=0),
    "time": np.arange(6.0),
    "volume": 1e-26,
    "temperature": 300.0,
    "z": (2, -1, 0, 0),
    "counts": (3, 6, 20, 10),
    "frame": "lab",
    "masses": (24.0, 280.0, 88.0, 90.0),
    "molecular_volumes": (0.0, 5e-28, 2e-28, 3e-28),
    "names": ("Mg", "TFSI", "EC", "DMC"),
}


def build(**change):
    return CollectiveDisplacements(**{**GOOD, **change})


def test_derived_numbers():
    d = build()
    assert d.roles == ("cation", "anion", "solvent", "solvent")
    assert d.ions == (0, 1) and d.solvents == (2, 3) and d.nu == (1, 2)
    assert d.c == pytest.approx(3 / (6.02214076e23 * 1e-26), rel=1e-14)
    assert d.dt == 1.0 and d.duration == 5.0 and d.n_frames == 6


def test_solvent_frame_has_no_solvent_momentum_and_barycentric_none_at_all():
    d = build()
    solvent, bary = d.to_frame("solvent"), d.to_frame("barycentric")
    m = np.asarray(GOOD["masses"])
    scale = np.max(np.abs(d.R)) * m.sum()
    assert np.max(np.abs(np.einsum("k,tkx->tx", m[2:], solvent.R[:, 2:]))) < 1e-13 * scale
    assert np.max(np.abs(np.einsum("k,tkx->tx", m, bary.R))) < 1e-13 * scale
    volume = d.to_frame("volume")
    v = np.asarray(GOOD["molecular_volumes"])
    assert np.max(np.abs(np.einsum("k,tkx->tx", v, volume.R))) < 1e-13 * np.max(np.abs(d.R)) * v.sum()


def test_frames_by_hand():
    # dr_i^0 = dr_i - N_i d_0, two solvents mass-averaged
    d = build()
    d_0 = (88 * d.R[:, 2] + 90 * d.R[:, 3]) / (88 * 20 + 90 * 10)
    np.testing.assert_allclose(d.to_frame("solvent").R[:, 1], d.R[:, 1] - 6 * d_0, rtol=1e-12, atol=1e-13)
    one = d.to_frame("solvent", solvents=["DMC"])
    np.testing.assert_allclose(one.R[:, 0], d.R[:, 0] - 3 * d.R[:, 3] / 10, rtol=1e-12, atol=1e-13)
    assert np.max(np.abs(one.R[:, 3])) < 1e-13 * np.max(np.abs(d.R))


@pytest.mark.parametrize("frame", ["solvent", "barycentric", "volume"])
def test_any_road_leads_to_the_same_frame(frame):
    d = build()
    drifting = build(R=d.R + 7.0 * np.asarray(d.counts)[None, :, None] * d.time[:, None, None])
    want = d.to_frame(frame).R
    for other in (drifting, d.to_frame("barycentric"), d.to_frame("solvent"), d.to_frame("volume")):
        # the drift is 7 x 20 x 5 = 700 against displacements of order 1: round-off 1e-13 x 700
        np.testing.assert_allclose(other.to_frame(frame).R, want, rtol=0.0, atol=1e-11)


def test_net_current_is_the_same_in_all_frames():
    d = build()
    J = np.einsum("k,tkx->tx", d.z, d.R)
    for frame in ("solvent", "barycentric", "volume"):
        moved = np.einsum("k,tkx->tx", d.z, d.to_frame(frame).R)
        np.testing.assert_allclose(moved, J, rtol=0.0, atol=1e-12)


def test_data_cannot_be_changed_afterwards():
    d = build()
    with pytest.raises(ValueError, match="read-only"):
        d.R[0] = 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"R": np.zeros((6, 4))}, "frames, species, 3"),
        ({"R": np.full((6, 4, 3), np.nan)}, "NaN"),
        ({"R": "abc"}, "numbers"),
        ({"time": np.arange(5.0)}, "6 frames"),
        ({"time": [0, 1, 2, 2, 3, 4]}, "same time"),
        ({"time": [0, 1, 2, 1.5, 3, 4]}, "earlier"),
        ({"time": [0, 1, 2, 3, 4, 9]}, "not evenly spaced"),
        ({"volume": -1.0}, "volume"),
        ({"temperature": 0.0}, "temperature"),
        ({"z": (1, -1, 0, 0)}, "net charge"),
        ({"z": (1, -1, 0)}, "entries"),
        ({"counts": (3, 6, 20, 0)}, "at least 1"),
        ({"counts": (3, 6, 20, 1.5)}, "whole"),
        ({"masses": (24.0, -280.0, 88.0, 90.0)}, "masses"),
        ({"masses": (24.0, 0.0, 88.0, 90.0)}, "masses"),
        ({"molecular_volumes": (0.0, 5e-28, -1.0, 0.0)}, "molecular_volumes"),
        ({"frame": "moon"}, "allowed are"),
        ({"roles": ("cation", "anion", "solvent", "polymer")}, "roles"),
        ({"roles": ("anion", "cation", "solvent", "solvent")}, "cannot have"),
    ],
)
def test_bad_input_is_one_sentence(change, says):
    with pytest.raises(InputError, match=says) as caught:
        build(**change)
    assert "\n" not in str(caught.value)


def test_frames_that_cannot_be_reached():
    with pytest.raises(InputError, match="masses"):
        build(masses=None).to_frame("barycentric")
    with pytest.raises(InputError, match="masses"):
        build(masses=None).to_frame("solvent")
    build(masses=None).to_frame("solvent", solvents=["EC"])
    with pytest.raises(InputError, match="fill"):
        build(molecular_volumes=(0.0, 5e-27, 2e-27, 3e-27)).to_frame("volume")
    with pytest.raises(InputError, match="not among"):
        build().to_frame("solvent", solvents=["PC"])
    with pytest.raises(InputError, match="not a solvent"):
        build().to_frame("solvent", solvents=[0])
    with pytest.raises(InputError, match="cannot be changed to"):
        build().to_frame("lab2")
    ions = build(R=GOOD["R"][:, :2], z=(2, -1), counts=(3, 6), masses=(24.0, 280.0), molecular_volumes=None, names=None)
    with pytest.raises(InputError, match="solvent"):
        ions.to_frame("solvent")
    with pytest.raises(InputError, match="one cation and one anion"):
        _ = (
            build(z=(2, -1, 0, 0), counts=(3, 6, 20, 10), roles=None, R=GOOD["R"])
            .__class__(**{**GOOD, "z": (2, -1, -1, 0), "counts": (3, 3, 3, 10)})
            .ions
        )


def test_times_in_single_precision_pass():
    check_even_times(np.float32(1e-3) + np.arange(50_000, dtype=np.float32) * np.float32(0.01))


def test_replicas_that_differ_are_refused():
    with pytest.raises(InputError, match="temperature"):
        check_replicas([build(), build(temperature=310.0)])
    with pytest.raises(InputError, match="counts"):
        check_replicas([build(), build(counts=(3, 6, 21, 10))])
    check_replicas([build(), build(volume=1.01e-26)])
    assert mean_volume([build(), build(volume=1.01e-26)]) == pytest.approx(1.005e-26, rel=1e-12)


def long(seed, frames=400, drift=0.0):
    rng = np.random.default_rng(seed)
    R = np.cumsum(rng.standard_normal((frames, 4, 3)) + drift, axis=0)
    return build(R=R, time=np.arange(float(frames)))


def test_one_run_given_as_two_replicas_is_refused():
    whole = long(1)
    rounded = build(R=np.round(whole.R, 1), time=whole.time)  # as another format would store it
    part = build(R=whole.R[150:350] - whole.R[150], time=np.arange(200.0))
    later = build(R=np.concatenate([whole.R[300:], whole.R[-1] + long(2).R[:300]]), time=whole.time)
    for other, steps in ((whole, 399), (rounded, 399), (part, 199), (later, 99)):
        with pytest.raises(InputError, match=rf"replicas 2 and 3 move alike over {steps} steps"):
            check_replicas([long(3), whole, other])
    # Runs that only share a drift, or are short, are not the same.
    check_replicas([long(seed, drift=10.0) for seed in range(6)])
    check_replicas([long(seed, frames=30) for seed in range(12)])


def test_self_msd_checks():
    SelfMSD([0.0, 1.0], [[0.0], [2.0]], (5,))
    with pytest.raises(InputError, match="shape"):
        SelfMSD([0.0, 1.0], [[0.0, 2.0]], (5,))
    with pytest.raises(InputError, match="increase"):
        SelfMSD([1.0, 1.0], [[0.0], [2.0]], (5,))
    with pytest.raises(InputError, match="negative"):
        SelfMSD([0.0, 1.0], [[0.0], [-2.0]], (5,))
    with pytest.raises(InputError, match="frame"):
        SelfMSD([0.0, 1.0], [[0.0], [2.0]], (5,), frame="moon")
