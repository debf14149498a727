"""OCTP tables: columns found by name, slopes recovered, bad tables refused."""

import numpy as np
import pytest

from cellsim.base import N_A, InputError, k_B
from mdcoeffs.onsager.octp import fit_slopes, read_octp, read_octp_self

SLOPE = np.array([[1.6e-3, -0.9e-3], [-0.9e-3, 0.55e-3]])  # angstrom^2/fs
LAG = np.concatenate([np.arange(1, 26) * 1e3, np.arange(1, 26) * 25e3])


def write(path, *, order=("a_a", "a_b", "b_b"), slope=SLOPE, offset=0.0, lag=LAG, note="#NOTE: divide by N\n"):
    index = {"a": 0, "b": 1}
    values = [slope[index[p[0]], index[p[2]]] for p in order]
    lines = [note + "#Time\t" + "\t".join(f"MSD__{p}" for p in order)]
    lines += [" ".join(f"{v:.12g}" for v in [t, *[s * t + offset * np.sign(s) for s in values]]) for t in lag]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_are_found_by_name(tmp_path):
    one = read_octp(write(tmp_path / "1"), ["a", "b"])
    other = read_octp(write(tmp_path / "2", order=("b_b", "b_a", "a_a")), ["a", "b"])
    assert np.array_equal(one.curves, other.curves)
    assert one.curves[0, 0, 1] == pytest.approx(-0.9e-20, rel=1e-12)
    assert one.lag.size == LAG.size - 1  # 25 000 fs stands twice
    assert np.array_equal(one.curves, np.swapaxes(one.curves, 1, 2))


def test_slopes_spread_and_units(tmp_path):
    files = [write(tmp_path / str(factor), slope=SLOPE * factor, offset=2.0) for factor in (0.9, 1.1)]
    runs = [read_octp(file, ["a", "b"]) for file in files]
    slopes = fit_slopes(runs)
    assert slopes.value == pytest.approx(SLOPE * 1e-5, rel=1e-9)
    assert slopes.spread == pytest.approx(np.abs(SLOPE) * 1e-5 * np.sqrt(2) * 0.1, rel=1e-7)
    assert slopes.standard_error == pytest.approx(np.abs(SLOPE) * 1e-6, rel=1e-7)
    value, _ = slopes.per_molecule(2000)
    assert value == pytest.approx(SLOPE * 1e-5 / 2000, rel=1e-9)
    omega, each = slopes.omega(300.0, 1e-25)
    assert omega == pytest.approx(SLOPE * 1e-5 / (k_B * 300 * 1e-25 * N_A**2), rel=1e-9)
    assert each.shape == (2, 2, 2)
    # the constant offset bends the curve at short lags: |beta - 1| <= 0.1 from 0.55e-3 t >= 9 * 2 on
    assert slopes.window[0] > 15e-12
    assert np.all(np.abs(slopes.exponent - 1) < 0.1)


def test_window_by_hand_and_single_run(tmp_path):
    run = read_octp(write(tmp_path / "1"), ["a", "b"])
    slopes = fit_slopes([run], (5e-12, 20e-12))
    assert slopes.window == pytest.approx((5e-12, 20e-12))
    assert np.isnan(slopes.spread).all()
    with pytest.raises(InputError, match="holds 3 lags of the table, at least 6"):
        fit_slopes([run], (5e-12, 7e-12))
    with pytest.raises(InputError, match="no OCTP table"):
        fit_slopes([])


def test_self_table(tmp_path):
    path = tmp_path / "diffself.dat"
    path.write_text("#Time\tMSD__b\tMSD__a\n" + "".join(f"{t} {t * 2} {t * 3}\n" for t in LAG))
    lag, msd = read_octp_self(path, ["a", "b"], [10, 20])
    assert lag[0] == pytest.approx(1e-12)
    assert msd[0] == pytest.approx([6e-20 * 3000 / 10, 6e-20 * 2000 / 20], rel=1e-12)
    with pytest.raises(InputError, match="no column for species c"):
        read_octp_self(path, ["c"], [1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ("a_a", "a_b")}, "no column for the pair b, b"),
        ({"order": ("a_a", "a_b", "b_a", "b_b")}, "the pair a, b is in two columns"),
        ({"lag": LAG[::-1]}, "lag times must be positive and increase"),
        ({"lag": LAG[:3]}, "3 lags are too few"),
    ],
)
def test_bad_tables(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read_octp(write(tmp_path / "t", **options), ["a", "b"])


def test_more_bad_tables(tmp_path):
    path = write(tmp_path / "t")
    with pytest.raises(InputError, match="column 'MSD__a_b' names no pair of the species a"):
        read_octp(path, ["a"])
    text = path.read_text()
    path.write_text(text.replace("\n2000 ", "\n2000 nan "))
    with pytest.raises(InputError, match="line 4 does not hold 4 finite numbers"):
        read_octp(path, ["a", "b"])
    path.write_text(text + "cut shor")
    with pytest.raises(InputError, match="line 53 is not a row of numbers"):
        read_octp(path, ["a", "b"])
    path.write_text("nothing")
    with pytest.raises(InputError, match="this is not an OCTP table"):
        read_octp(path, ["a", "b"])
    bent = np.array([[1.0, -0.5], [-0.5, 1.0]])
    one = read_octp(write(tmp_path / "one", slope=bent * 1e-6, offset=100.0), ["a", "b"])
    with pytest.raises(InputError, match="every pair grows linearly"):
        fit_slopes([one])
    two = read_octp(write(tmp_path / "two", lag=2 * LAG), ["a", "b"])
    with pytest.raises(InputError, match="OCTP table 1 has other species or lags"):
        fit_slopes([one, two])
