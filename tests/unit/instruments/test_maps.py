"""Readers of maps: intensities (CSV, npz, SPEC), concentrations, velocities, raw MRI profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.instruments.maps import read_concentration, read_intensity, read_mri, read_spec, read_velocities

CASE = Path(__file__).parents[3] / "cases/thienenkamp2022"

SPEC = """#F xam
#E 1283335200
#D Wed Sep 01 10:00:00 2010

#S 1  ascan  samx -1 1 2 5
#D Wed Sep 01 10:00:00 2010
#T 5  (Seconds)
#N 3
#L samx  pin4  mon one
-1 1000 500
0 1100 500
1 1200 500

#S 2  ct 1
#D Wed Sep 01 10:01:00 2010
#L other  pin4
1 2

#S 3  ascan  samx -1 1 2 5
#D Wed Sep 01 10:10:00 2010
#T 5  (Seconds)
#N 3
#L samx  pin4  mon one
-1 900 499
0 1100 501
1 1300 500
#C a comment
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_long_tables_in_any_order(tmp_path: Path) -> None:
    rows = ["10,0.5,1.2,0.1", "0,-0.5,1.0,0.1", "10,-0.5,0.8,0.1", "0,0.5,1.1,0.1"]
    text = "time (min),position (mm),c (mol/L),error (mol/L)\n" + "\n".join(rows) + "\n"
    found = read_concentration(written(tmp_path, "c.csv", text), origin=1.5e-3)
    np.testing.assert_allclose(found.time, [0, 600], rtol=1e-12)
    np.testing.assert_allclose(found.position, [1e-3, 2e-3], rtol=1e-12)
    np.testing.assert_allclose(found.c, [[1000, 1100], [800, 1200]], rtol=1e-12)
    assert found.error is not None
    np.testing.assert_allclose(found.error, 100, rtol=1e-12)
    with pytest.raises(InputError, match="every position once"):
        read_concentration(written(tmp_path, "d.csv", "\n".join(text.splitlines()[:-1]) + "\n"))
    with pytest.raises(InputError, match="no column"):
        read_concentration(written(tmp_path, "e.csv", "time (min),position (mm),g (mol/L)\n0,0,1\n"))


def test_intensities_as_table_and_npz_agree(tmp_path: Path) -> None:
    text = "time (s);x (mm);intensity (counts);monitor\n-10;0;100;50\n-10;1,5;110;50\n5;0;90;51\n5;1,5;120;49\n"
    a = read_intensity(written(tmp_path, "i.csv", text))
    np.savez(
        tmp_path / "i.npz",
        time=[-10, 5],
        position=[0, 1.5],
        position_unit="mm",
        intensity=a.intensity,
        monitor=a.monitor,
    )
    b = read_intensity(tmp_path / "i.npz")
    assert a.counted and b.counted
    for name in ("time", "position", "intensity", "monitor"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12)
    np.savez(tmp_path / "j.npz", time=[1], position=[0])
    with pytest.raises(InputError, match='no array "intensity"'):
        read_intensity(tmp_path / "j.npz")
    with pytest.raises(InputError, match="cannot be read as npz"):
        read_intensity(written(tmp_path, "k.npz", "text"))


def test_spec_scans(tmp_path: Path) -> None:
    path = written(tmp_path, "xam.spec", SPEC)
    found = read_spec(path, position="samx", intensity="pin4", monitor="mon one", start_scan=3, origin=1.5e-3)
    np.testing.assert_allclose(found.time, [-600 + 7.5, 7.5], rtol=1e-12)
    np.testing.assert_allclose(found.position, [0.5e-3, 1.5e-3, 2.5e-3], rtol=1e-12)
    assert found.intensity.tolist() == [[1000, 1100, 1200], [900, 1100, 1300]]
    assert found.monitor is not None and found.monitor[1, 1] == 501 and found.counted
    with pytest.raises(InputError, match="no scan has the columns"):
        read_spec(path, position="samz", intensity="pin4", start_scan=3)
    with pytest.raises(InputError, match="scan 2 is not there"):
        read_spec(path, position="samx", intensity="pin4", start_scan=2)
    moved = written(tmp_path, "b.spec", SPEC.replace("\n0 1100 501", "\n0.2 1100 501"))
    with pytest.raises(InputError, match="other positions"):
        read_spec(moved, position="samx", intensity="pin4", start_scan=3)


def test_velocities(tmp_path: Path) -> None:
    text = "time (min),position (mm),v_0 (angstrom/s),error (angstrom/s)\n10,-0.85,20,1\n10,0.2,35,2\n"
    found = read_velocities(written(tmp_path, "v.csv", text), origin=1.5e-3)
    assert (found.quantity, found.frame, found.unsigned) == ("v_0", "lab", True)
    np.testing.assert_allclose(found.v, [2e-9, 3.5e-9], rtol=1e-12)
    np.testing.assert_allclose(found.positions, [0.65e-3, 1.7e-3], rtol=1e-12)
    signed = read_velocities(written(tmp_path, "w.csv", text.replace("v_0", "v_minus").replace(",20", ",-20")))
    assert (signed.quantity, signed.frame, signed.unsigned) == ("v_minus", "interface", False)
    with pytest.raises(InputError, match="only magnitudes"):
        read_velocities(tmp_path / "w.csv", unsigned=True)


def test_raw_mri_profiles_of_thienenkamp() -> None:
    found = read_mri(CASE / "Li_Li_profiles_raw.csv")
    assert found.signal.shape == (94, 256)
    np.testing.assert_allclose(found.time, 513.0 * np.arange(94), rtol=1e-12)
    assert found.pixel == pytest.approx(4e-3 / 256, rel=1e-5)
    assert found.signal[0, 0] == 17238.9


def test_mri_headers_without_unit_or_time(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a unit of length"):
        read_mri(written(tmp_path, "a.csv", "z,0 s,1 s\n0,1,2\n1,1,2\n"))
    with pytest.raises(InputError, match="must end in its time"):
        read_mri(written(tmp_path, "a.csv", "z (mm),first,1 s\n0,1,2\n1,1,2\n"))
