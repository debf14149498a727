"""XPCS files: both layouts of 8-ID, npz and text; what is masked, what is refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.xpcs.correlation import CorrelationSet, geometry, heterodyne_g2
from cellsim.instruments.xpcs.files import averaged_along_diagonals, mask_points, read_xpcs, write_npz
from cellsim.instruments.xpcs.fit import fit_velocity

RINGS, SECTORS = np.array([0.003, 0.005, 0.008]), np.array([0.0, 45.0, 90.0, 135.0])  # 1/Angstrom, degrees
Q, AZIMUTH = geometry(RINGS * 1e10, np.deg2rad(SECTORS))
DELAYS = np.unique(np.round(np.geomspace(1, 400, 30)))
FRAME = 0.5
G2 = heterodyne_g2(Q, AZIMUTH, DELAYS * FRAME, v=40e-10, contrast=0.2, h=0.4, tau0=60.0, stretch=0.9)
ERROR = np.full(G2.shape, 2e-3)


def legacy(path, *, period=FRAME, q=None, phi=None):
    with h5py.File(path, "w") as file:
        file["/exchange/norm-0-g2"] = G2.T
        file["/exchange/norm-0-stderr"] = ERROR.T
        file["/exchange/tau"] = DELAYS[None]
        file["/xpcs/dqlist"] = (Q / 1e10 if q is None else q)[None]
        file["/xpcs/dphilist"] = (np.rad2deg(AZIMUTH) if phi is None else phi)[None]
        file["/xpcs/dnoq"], file["/xpcs/dnophi"] = [[3]], [[4]]
        file["/measurement/instrument/detector/exposure_period"] = np.full((1, 1), period)
    return path


def new(path, *, frame_time=FRAME, stride=1, average=1, keep=slice(None), drop=()):
    index = np.arange(Q.size)[keep]
    entries = {
        "/xpcs/multitau/normalized_g2": G2[index].T,
        "/xpcs/multitau/normalized_g2_err": ERROR[index].T,
        "/xpcs/multitau/delay_list": DELAYS[None],
        "/xpcs/multitau/config/stride_frame": stride,
        "/xpcs/multitau/config/avg_frame": average,
        "/xpcs/qmap/dynamic_v_list_dim0": RINGS,
        "/xpcs/qmap/dynamic_v_list_dim1": SECTORS,
        "/xpcs/qmap/dynamic_num_pts": np.array([3, 4]),
        "/xpcs/qmap/dynamic_index_mapping": index,
        "/entry/instrument/detector_1/frame_time": frame_time,
    }
    with h5py.File(path, "w") as file:
        for name, value in entries.items():
            if name not in drop:
                file[name] = value
    return path


def same(found):
    assert np.allclose(found.q, Q, rtol=1e-12, atol=0)
    assert np.allclose(found.azimuth, AZIMUTH, rtol=1e-12, atol=1e-15)
    assert np.allclose(found.tau, DELAYS * FRAME, rtol=1e-12, atol=0)
    assert np.array_equal(found.g2, G2) and np.array_equal(found.error, ERROR)
    assert found.usable.all()


@pytest.mark.parametrize("frame_time", [FRAME, np.array([[FRAME]]), np.array([FRAME])])
def test_new_layout_frame_time_of_any_shape(tmp_path, frame_time):
    same(read_xpcs(new(tmp_path / "a.hdf", frame_time=frame_time)))


def test_legacy_layout(tmp_path):
    same(read_xpcs(legacy(tmp_path / "a.h5")))
    # lists of rings and sectors in place of one entry per curve
    same(read_xpcs(legacy(tmp_path / "b.h5", q=RINGS, phi=SECTORS)))


def test_stride_and_average_stretch_the_delays(tmp_path):
    found = read_xpcs(new(tmp_path / "a.hdf", stride=3, average=2))
    assert np.allclose(found.tau, 6 * DELAYS * FRAME, rtol=1e-12, atol=0)


def test_index_mapping_names_the_bins_that_are_there(tmp_path):
    found = read_xpcs(new(tmp_path / "a.hdf", keep=[0, 3, 5, 10]))
    assert np.allclose(found.q, Q[[0, 3, 5, 10]], rtol=1e-12, atol=0)
    assert np.allclose(found.azimuth, AZIMUTH[[0, 3, 5, 10]], rtol=1e-12, atol=1e-15)


def test_velocity_axis_is_taken_off(tmp_path):
    found = read_xpcs(new(tmp_path / "a.hdf"), velocity_axis=0.3, time=12.0)
    assert np.allclose(found.azimuth, AZIMUTH - 0.3, rtol=0, atol=1e-14)
    assert found.time == 12.0


def test_zero_points_and_a_small_last_error_are_masked(tmp_path):
    path = new(tmp_path / "a.hdf")
    with h5py.File(path, "a") as file:
        file["/xpcs/multitau/normalized_g2"][4, 2] = 0.0
        file["/xpcs/multitau/normalized_g2_err"][4, 2] = 0.0
        file["/xpcs/multitau/normalized_g2"][7, 1] = np.nan
        file["/xpcs/multitau/normalized_g2_err"][-1, :] = 1e-6
    found = read_xpcs(path)
    assert not found.usable[2, 4] and not found.usable[1, 7]
    assert not found.usable[:, -1].any()
    assert found.usable.sum() == G2.size - Q.size - 2
    assert "2 points" in found.notes[0] and "12 curves" in found.notes[1]
    assert fit_velocity(found).v == pytest.approx(40e-10, rel=1e-3)


def test_an_honest_last_error_is_kept():
    good, notes = mask_points(G2, ERROR)
    assert good.all() and notes == ()


def test_npz_round_trip(tmp_path):
    good = np.ones(G2.shape, dtype=bool)
    good[3, 5] = False
    write_npz(CorrelationSet(Q, AZIMUTH, DELAYS, G2, ERROR, good, time=30.0), tmp_path / "a.npz")
    found = read_xpcs(tmp_path / "a.npz")
    assert np.array_equal(found.usable, good) and found.time == 30.0
    assert np.array_equal(found.g2[good], G2[good]) and np.array_equal(found.q, Q)


def test_text_table_in_any_order_and_unit(tmp_path):
    rows = ["azimuth (deg);g2;tau (ms);error;q (1/nm)"]
    for n in reversed(range(Q.size)):
        rows += [
            f"{np.rad2deg(AZIMUTH[n]):.12g};{G2[n, k]:.15g};{1e3 * FRAME * DELAYS[k]:.12g};"
            f"{ERROR[n, k]};{Q[n] / 1e9:.12g}"
            for k in range(DELAYS.size)
            if (n, k) != (1, 4)
        ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows).replace(".", ","))  # decimal comma
    found = read_xpcs(path)
    order = np.lexsort((found.azimuth, found.q))
    assert np.allclose(found.q[order], Q, rtol=1e-9, atol=0)
    assert np.allclose(found.g2[order][found.usable[order]], G2[found.usable[order]], rtol=1e-12, atol=0)
    assert found.usable.sum() == G2.size - 1 and not found.usable[order][1, 4]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("/xpcs/multitau/delay_list", "delay_list is missing"),
        ("/entry/instrument/detector_1/frame_time", "frame_time is missing"),
        ("/xpcs/multitau/normalized_g2", "not an XPCS result"),
    ],
)
def test_missing_entries(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        read_xpcs(new(tmp_path / "a.hdf", drop=(entry,)))


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_xpcs(tmp_path / "none.h5")
    broken = tmp_path / "a.h5"
    broken.write_bytes(b"not hdf5 at all")
    with pytest.raises(InputError, match="not a readable HDF5"):
        read_xpcs(broken)
    with pytest.raises(InputError, match="one positive number"):
        read_xpcs(legacy(tmp_path / "b.h5", period=0.0))
    with pytest.raises(InputError, match="name 2 and 12 vectors"):
        read_xpcs(legacy(tmp_path / "c.h5", q=RINGS[:2]))
    bad = tmp_path / "d.npz"
    np.savez(bad, q=Q, tau=DELAYS)
    with pytest.raises(InputError, match="lacks azimuth, g2, error"):
        read_xpcs(bad)
    np.savez(bad, q=Q, azimuth=AZIMUTH, tau=DELAYS[:-1], g2=G2, error=ERROR)
    with pytest.raises(InputError, match="do not fit curves"):
        read_xpcs(bad)
    np.savez(bad, q=Q, azimuth=AZIMUTH, tau=DELAYS, g2=0 * G2, error=0 * ERROR)
    with pytest.raises(InputError, match="no curve has a usable point"):
        read_xpcs(bad)
    table = tmp_path / "e.csv"
    table.write_text("q,azimuth (deg),tau (s),g2,error\n1,2,3,4,5\n")
    with pytest.raises(InputError, match="names no unit"):
        read_xpcs(table)
    table.write_text("q (1/nm),azimuth (deg),tau (s),g2\n1,2,3,4\n")
    with pytest.raises(InputError, match='no column "error"'):
        read_xpcs(table)
    table.write_text("q (1/nm),azimuth (deg),tau (s),g2,error\n1,2,3,4,5\n1,2,3,4,6\n")
    with pytest.raises(InputError, match="occur twice"):
        read_xpcs(table)


# ---- what files say of themselves, and numbers that stand in another form ------------------------------------------


@pytest.mark.parametrize(
    ("unit", "factor"), [("nm^-1", 1e9), ("1/nm", 1e9), ("1/Å", 1e10), ("Å^{-1}", 1e10), ("A-1", 1e10)]
)
def test_units_of_q_are_those_the_file_names(tmp_path, unit, factor):
    stated, attribute = new(tmp_path / "a.hdf"), new(tmp_path / "b.hdf")
    with h5py.File(stated, "a") as file:
        file["/xpcs/qmap/map_names"], file["/xpcs/qmap/map_units"] = [b"q", b"phi"], [unit.encode(), b"deg"]
    with h5py.File(attribute, "a") as file:
        file["/xpcs/qmap/dynamic_v_list_dim0"].attrs["units"] = unit
    old = legacy(tmp_path / "c.h5")
    with h5py.File(old, "a") as file:
        file["/xpcs/dqlist"].attrs["units"] = unit
    for path in (stated, attribute, old):
        assert np.allclose(read_xpcs(path).q, Q * factor / 1e10, rtol=1e-12, atol=0)
    with h5py.File(attribute, "a") as file:
        file["/xpcs/qmap/dynamic_v_list_dim0"].attrs["units"] = "mm"
    with pytest.raises(InputError, match="dynamic_v_list_dim0"):
        read_xpcs(attribute)


def test_the_order_of_the_axes_is_that_of_their_names(tmp_path):
    """The same curves with phi as the slow axis of the map."""
    path = new(tmp_path / "a.hdf")
    order = np.arange(12).reshape(3, 4).T.ravel()  # curve of every bin, phi first
    with h5py.File(path, "a") as file:
        for name, value in (("dim0", SECTORS), ("dim1", RINGS)):
            del file[f"/xpcs/qmap/dynamic_v_list_{name}"]
            file[f"/xpcs/qmap/dynamic_v_list_{name}"] = value
        file["/xpcs/qmap/dynamic_num_pts"][...] = [4, 3]
        file["/xpcs/qmap/map_names"] = [b"phi", b"q"]
        file["/xpcs/multitau/normalized_g2"][...] = G2[order].T
    found = read_xpcs(path)
    assert np.allclose(found.q, Q[order], rtol=1e-12, atol=0)
    assert np.allclose(found.azimuth, AZIMUTH[order], rtol=1e-12, atol=1e-15)
    assert fit_velocity(found).v == pytest.approx(40e-10, rel=1e-3)
    with h5py.File(path, "a") as file:
        file["/xpcs/qmap/map_names"][...] = [b"x", b"y"]
    with pytest.raises(InputError, match="map_names"):
        read_xpcs(path)


def test_one_bin_of_azimuth_is_no_direction(tmp_path):
    with pytest.raises(InputError, match="one bin of azimuth"):
        read_xpcs(legacy(tmp_path / "a.h5", phi=np.zeros(Q.size)))
    assert read_xpcs(legacy(tmp_path / "a.h5", phi=np.zeros(Q.size)), sector=0.1).sector == 0.1
    with pytest.raises(InputError, match="60 degrees"):
        read_xpcs(legacy(tmp_path / "a.h5", phi=np.zeros(Q.size)), sector=2 * np.pi)


@pytest.mark.parametrize(
    ("azimuth", "g2", "match"),
    [
        (np.rad2deg(AZIMUTH), G2, "more than a turn"),
        (AZIMUTH, G2 - 1, "add 1 to g2 - 1"),
        (AZIMUTH, 0 * G2 + 1e-3, "add 1 to g2 - 1"),
        (AZIMUTH, 1 + 10 * (G2 - 1), "at most 1 and g2 at most 2"),
    ],
)
def test_numbers_in_another_form_are_refused(azimuth, g2, match):
    with pytest.raises(InputError, match=match):
        CorrelationSet(Q, azimuth, DELAYS * FRAME, g2, ERROR)


@pytest.mark.slow
def test_sectors_are_told_apart_from_directions():
    """Curves averaged over 20 degrees by a Gauss rule: with the sector stated their speed comes back."""
    width, speed, tau = np.deg2rad(20), 5e-9, np.geomspace(1, 400, 40)
    q, azimuth = geometry(np.array([2e7, 3e7, 4.5e7]), np.deg2rad(np.arange(0, 360, 30)))
    x, weight = np.polynomial.legendre.leggauss(21)
    shape = {"v": speed, "contrast": 0.15, "h": 0.4, "tau0": 150.0, "stretch": 1.0}
    curves = np.tensordot(0.5 * weight, [heterodyne_g2(q, azimuth + 0.5 * width * y, tau, **shape) for y in x], 1)
    g2 = curves + 2e-4 * np.random.default_rng(0).standard_normal(curves.shape)
    bare = CorrelationSet(q, azimuth, tau, g2, np.full(g2.shape, 2e-4))
    unsaid, said = (fit_velocity(data, v_max=5e-8) for data in (bare, replace(bare, sector=width)))
    assert speed - unsaid.v > 50 * unsaid.error  # measured: 66 errors low, at chi2 of 388 per degree of freedom
    assert "The model misses these curves" in unsaid.describe() and "30 degrees apart" in unsaid.describe()
    assert said.v == pytest.approx(speed, rel=8e-4)  # measured: 3.8e-4, chi2 of 3.1
    assert said.chi2 < 0.02 * unsaid.chi2 and "apart" not in said.describe()
    clean = fit_velocity(CorrelationSet(Q, AZIMUTH, DELAYS * FRAME, G2, ERROR, sector=0.0))
    assert "misses" not in clean.describe() and "apart" not in clean.describe()


def two_time(path, *, frames=800, noise=0.05, seed=4, drift=0.0, keep=slice(None), labels=None):
    """C(t1, t2) of a steady flow as upper triangles, every point with noise of its own, the level drifting with age."""
    rng, lag = np.random.default_rng(seed), np.arange(frames)
    g2 = heterodyne_g2(Q, AZIMUTH, np.maximum(lag, 0.5) * FRAME, v=40e-10, contrast=0.2, h=0.4, tau0=60.0, stretch=0.9)
    age = (lag[:, None] + lag) / (2 * frames) - 0.5
    new(path, drop=("/xpcs/multitau/normalized_g2", "/xpcs/multitau/normalized_g2_err", "/xpcs/multitau/delay_list"))
    index = np.arange(Q.size)[keep]
    with h5py.File(path, "a") as file:
        for n, k in enumerate(index):
            C = g2[k][np.abs(lag[:, None] - lag)] + drift * age + noise * rng.standard_normal((frames, frames))
            file[f"/xpcs/twotime/correlation_map/c2_{n + 1:05d}"] = np.triu(C + 5.0 * np.eye(frames))  # shot noise
        file["/xpcs/twotime/processed_bins"] = index + 1 if labels is None else labels
        file["/xpcs/twotime/config/stride_frame"] = file["/xpcs/twotime/config/avg_frame"] = 1
    return path


def test_two_time_correlations_are_averaged_over_all_ages(tmp_path):
    found = read_xpcs(two_time(tmp_path / "a.hdf", keep=[0, 1, 4, 5]))
    assert np.allclose(found.q, Q[[0, 1, 4, 5]], rtol=1e-12, atol=0) and found.tau[0] == FRAME
    assert found.tau[-1] == pytest.approx(0.5 * 800 * FRAME, rel=0.05)
    shape = {"contrast": 0.2, "h": 0.4, "tau0": 60.0, "stretch": 0.9}
    pull = (found.g2 - heterodyne_g2(found.q, found.azimuth, found.tau, v=40e-10, **shape)) / found.error
    assert np.mean(pull**2) == pytest.approx(1, abs=0.4)  # 1.21, 1.07, 1.25 of three seeds
    k = np.flatnonzero(found.tau <= 5 * FRAME)  # one delay each: the error of a mean of frames - delay points
    expected = 0.05 / np.sqrt(800 - found.tau[k] / FRAME)
    assert np.mean(found.error[:, k] / expected) == pytest.approx(1, abs=0.1)  # 1.04


def test_errors_of_diagonals_are_those_of_repeated_draws():
    rng, means, variances = np.random.default_rng(1), [], []
    for _ in range(150):
        _, mean, error = averaged_along_diagonals(rng.standard_normal((200, 200)))
        means.append(mean)
        variances.append(error**2)
    assert np.mean(np.var(means, axis=0) / np.mean(variances, axis=0)) == pytest.approx(1, abs=0.04)  # 1.013


def test_an_even_drift_of_the_level_does_not_count_as_noise(tmp_path):
    steady, moved = (read_xpcs(two_time(tmp_path / f"{d}.hdf", keep=[0, 1], drift=d)) for d in (0.0, 0.1))
    assert np.mean(moved.error / steady.error) == pytest.approx(1, abs=1e-3)  # 1.00005; as scatter it would be 5.6


def test_a_velocity_from_two_time_correlations(tmp_path):
    fit = fit_velocity(read_xpcs(two_time(tmp_path / "a.hdf", frames=400)))
    assert abs(fit.v - 40e-10) < 4 * fit.error and fit.error < 0.02e-10  # -2.8, -2.0, 1.9 errors of three seeds


def test_two_time_files_that_do_not_fit_together_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds 2 correlations, /xpcs/twotime/processed_bins names 3 of 12 bins"):
        read_xpcs(two_time(tmp_path / "a.hdf", frames=70, keep=[0, 1], labels=[1, 2, 3]))
    with pytest.raises(InputError, match="must be square, of 64 frames or more"):
        read_xpcs(two_time(tmp_path / "b.hdf", frames=40, keep=[0, 1]))
    path = two_time(tmp_path / "c.hdf", frames=70, keep=[0, 1])
    with h5py.File(path, "a") as file:
        del file["/xpcs/twotime/correlation_map/c2_00002"]
        file["/xpcs/twotime/correlation_map/c2_00002"] = np.ones((80, 80))
    with pytest.raises(InputError, match="same number of frames"):
        read_xpcs(path)
