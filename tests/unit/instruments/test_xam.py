"""XAM forward and back: tabulated attenuation, exact round trip, refusals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim import Cell, Options, Protocol, Solution, TransportSet, hold_voltage, simulate
from cellsim.base import InputError, to_si
from cellsim.electrolyte.volumes import DensityVolumes
from cellsim.instruments.attenuation import Attenuation, Line, attenuation
from cellsim.instruments.looks import state_at
from cellsim.instruments.measurement import ConcentrationMap
from cellsim.instruments.xam import (
    IntensityMap,
    Raster,
    concentration,
    counted,
    transmitted,
)
from cellsim.instruments.xam_files import read_intensity, read_spec

V_E, V_0 = 134.9e-6, 39.99e-6
PEO = TransportSet.constant(
    kappa=0.15, D=1e-11, t_plus=0.2, chi=1.3, V_e=V_E, V_0=V_0, T=363.15, M_e=0.28708, M_0=0.04405, name="peo"
)
C_0 = PEO.c_of(r=0.1)
BEAM = Attenuation((Line(to_si("7.35 keV", "J"), 1.0, 1.1304586, 0.0383708, 32.3),), 0.2870754, 0.0440522)
DOUBLE = Attenuation(
    (replace(BEAM.lines[0], weight=0.99), Line(to_si("22.05 keV", "J"), 0.01, 0.04866, 0.002151, 9.553)),
    0.2870754,
    0.0440522,
)
TIMES = np.array([0.0, 600.0, 6e3, 6e4])


@pytest.fixture(scope="module")
def solution() -> Solution:
    return simulate(
        Cell(3e-3, 363.15),
        PEO,
        Protocol((hold_voltage(0.1, 6e4),)),
        c0=C_0,
        times=TIMES,
        options=Options(cells=60, rtol=1e-3),
    )


def truth(solution: Solution, position: np.ndarray) -> np.ndarray:
    """c at lab positions, from the solution's faces."""
    return np.array(
        [
            np.interp(
                position - state_at(solution, "interface_shift", t),
                state_at(solution, "position_face", t),
                state_at(solution, "c_face", t),
            )
            for t in TIMES[1:]
        ]
    )


# ---- attenuation


@pytest.mark.parametrize(
    ("energy", "salt", "solvent", "share"), [("7.35 keV", 40.34, 8.71, 0.115), ("11 keV", 12.56, 2.65, 0.112)]
)
def test_tabulated_attenuation_and_what_the_displaced_solvent_is_worth(
    energy: str, salt: float, solvent: float, share: float
) -> None:
    """Mass attenuation of TFSI- and EO [cm^2/g], and the error of forgetting the solvent (shared/data/README.md)."""
    pytest.importorskip("xraydb")
    found = attenuation(to_si(energy, "J"), salt="C2F6NO4S2", solvent="EO")
    (line,) = found.lines
    assert found.M_e is not None and found.M_0 is not None
    assert 10 * line.salt / found.M_e == pytest.approx(salt, abs=0.006)  # m^2/kg -> cm^2/g
    assert 10 * line.solvent / found.M_0 == pytest.approx(solvent, abs=0.006)
    assert float(found.displaced_share(PEO, C_0)) == pytest.approx(share, abs=0.0005)
    molar = 0.28014 * salt / 10 - 0.04405 * solvent / 10 * V_E / V_0  # M_salt mu_salt - M_EO mu_EO V_e/V_0
    assert float(found.slope(PEO, C_0)) == pytest.approx(molar, rel=1e-3)


def test_the_constants_of_these_tests_are_those_of_the_database() -> None:
    pytest.importorskip("xraydb")
    found = attenuation(BEAM.lines[0].energy, salt="LiTFSI", solvent="EO", harmonics={3: 0.01})
    for mine, theirs in zip(DOUBLE.lines, found.lines, strict=True):
        assert mine.weight == pytest.approx(theirs.weight, rel=1e-12)
        assert mine.energy == pytest.approx(theirs.energy, rel=1e-9)
        assert mine.salt == pytest.approx(theirs.salt, rel=0.01)
        assert mine.solvent == pytest.approx(theirs.solvent, rel=0.01)
        assert mine.metal == pytest.approx(theirs.metal, rel=0.02)


def test_without_xraydb_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xraydb", None)
    with pytest.raises(InputError, match=r"cellsim\[beamline\]"):
        attenuation(1e-15, salt="LiTFSI", solvent="EO")


def test_bad_attenuation_is_refused() -> None:
    with pytest.raises(InputError, match="add up to"):
        Attenuation((replace(BEAM.lines[0], weight=0.9),))
    with pytest.raises(InputError, match="harmonics"):
        attenuation(1e-15, salt="LiTFSI", solvent="EO", harmonics={1: 0.1})
    with pytest.raises(InputError, match=r"weighs 287\.08 g/mol"):
        BEAM.check(TransportSet.constant(kappa=1, D=1e-10, t_plus=0.3, M_e=0.152, M_0=0.088))
    pytest.importorskip("xraydb")
    with pytest.raises(InputError, match="no chemical formula"):
        attenuation(1e-15, salt="LiTSFI", solvent="EO")
    with pytest.raises(InputError, match="1-200 keV"):
        attenuation(1e-18, salt="LiTFSI", solvent="EO")


@pytest.mark.parametrize("salt", ["LiCl.H2O", "LiCl·H2O", "LiCl.2H2O", "MgCl2.6H2O", "LiCl.", "LiCl*H2O", "LiCl0", ""])
def test_a_formula_loses_no_atom(salt: str) -> None:
    pytest.importorskip("xraydb")
    with pytest.raises(InputError, match=r"write LiCl\(H2O\)2 for a hydrate|no chemical formula"):
        attenuation(to_si("7.35 keV", "J"), salt=salt, solvent="EO")


def test_hydrates_and_decimal_counts_weigh_what_they_should() -> None:
    pytest.importorskip("xraydb")
    beam = attenuation(to_si("7.35 keV", "J"), salt="LiCl(H2O)2", solvent="(C2H4O)10.5")
    # Atomic masses by hand: Li 6.94, Cl 35.45, H 1.008, O 15.999, C 12.011 g/mol.
    assert beam.M_e == pytest.approx((6.94 + 35.45 + 2 * (2 * 1.008 + 15.999)) * 1e-3, rel=1e-3)
    assert pytest.approx(10.5 * (2 * 12.011 + 4 * 1.008 + 15.999) * 1e-3, rel=1e-3) == beam.M_0


# ---- round trip


@pytest.mark.parametrize("light", [BEAM, DOUBLE], ids=["one energy", "third harmonic"])
def test_round_trip_is_exact_without_noise(solution: Solution, light: Attenuation) -> None:
    raster = Raster(np.linspace(1e-4, 2.9e-3, 57), path_length=1e-3, photons=3.7e6)
    seen = transmitted(solution, PEO, light, raster, TIMES)
    back = concentration(seen, PEO, light, raster.path_length, C_0)
    true = truth(solution, raster.position)
    assert np.ptp(true) > 0.5 * C_0
    assert np.max(np.abs(back.c / true - 1)) < 1e-12  # measured: 1.1e-15 at one energy, 1.3e-15 with the harmonic
    assert back.error is None


def test_round_trip_is_exact_where_partial_volumes_vary(solution: Solution) -> None:
    rho = lambda c: 1127.0 + 0.155 * c + 4e-6 * c**2  # noqa: E731
    varying = replace(PEO, volumes=DensityVolumes.from_density(rho, PEO.M_e, PEO.M_0, 4500.0), c_range=(1e-3, 4000.0))
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3)
    seen = transmitted(solution, varying, BEAM, raster, TIMES)
    back = concentration(seen, varying, BEAM, raster.path_length, C_0)
    assert np.max(np.abs(back.c / truth(solution, raster.position) - 1)) < 1e-12


def test_incident_intensity_windows_and_drift_of_the_source_drop_out(solution: Solution) -> None:
    """Windows scale all scans at a position alike; a monitor takes out what varies from scan to scan."""
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3)
    seen = transmitted(solution, PEO, BEAM, raster, TIMES)
    beam = np.linspace(2.0, 1.0, TIMES.size)[:, None] * np.ones(29)
    window = 0.3 + 0.1 * np.sin(np.arange(29))
    dressed = replace(seen, intensity=seen.intensity * beam * window, monitor=beam)
    a, b = (concentration(m, PEO, BEAM, raster.path_length, C_0).c for m in (seen, dressed))
    assert np.max(np.abs(a / b - 1)) < 1e-12


def test_forgetting_the_displaced_solvent_scales_the_change(solution: Solution) -> None:
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3)
    seen = transmitted(solution, PEO, BEAM, raster, TIMES)
    blind = Attenuation((replace(BEAM.lines[0], solvent=0.0),))
    change = concentration(seen, PEO, BEAM, 1e-3, C_0).c - C_0
    wrong = concentration(seen, PEO, blind, 1e-3, C_0).c - C_0
    far = np.abs(change) > 10
    np.testing.assert_allclose(wrong[far] / change[far], 1 - 0.1145, rtol=1e-4)


def test_beam_width_averages_the_intensity(solution: Solution) -> None:
    """A beam of 15 um changes nothing one could see, one of 0.5 mm rounds the profile at its ends."""
    narrow, wide = 15e-6, 0.5e-3
    position = np.linspace(3e-4, 2.7e-3, 49)
    true = truth(solution, position)
    off = {}
    for width in (narrow, wide):
        raster = Raster(position, 1e-3, width)
        off[width] = concentration(transmitted(solution, PEO, BEAM, raster, TIMES), PEO, BEAM, 1e-3, C_0).c - true
    assert np.max(np.abs(off[narrow])) < 2e-4 * C_0  # measured: 9e-5 C_0
    assert np.max(np.abs(off[wide])) > 5e-3 * C_0  # measured: 2e-2 C_0


def test_electrodes_are_seen_and_left_out(solution: Solution) -> None:
    raster = Raster(np.linspace(-5e-4, 3.5e-3, 81), path_length=1e-3, photons=1e6)
    seen = transmitted(solution, PEO, BEAM, raster, TIMES)
    outside = (raster.position < -1e-4) | (raster.position > 3.1e-3)
    np.testing.assert_allclose(seen.intensity[:, outside], 1e6 * np.exp(-32.3e-3), rtol=1e-12)
    back = concentration(seen, PEO, BEAM, 1e-3, C_0, inside=(5e-5, 2.9e-3))
    assert np.all(np.isnan(back.c[:, raster.position < 4e-5]))
    inner = (raster.position > 6e-5) & (raster.position < 2.89e-3)
    assert np.max(np.abs(back.c[:, inner] / truth(solution, raster.position)[:, inner] - 1)) < 1e-12


# ---- errors, refusals


def test_error_shrinks_with_more_scans_before_and_scales_with_the_path(solution: Solution) -> None:
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3, photons=1e6)
    generator = np.random.default_rng(20)
    one = counted(transmitted(solution, PEO, BEAM, raster, TIMES), generator)
    many = counted(
        transmitted(solution, PEO, BEAM, raster, np.concatenate([np.arange(-300.0, 1.0, 10), TIMES[1:]])), generator
    )
    a, b = (concentration(m, PEO, BEAM, 1e-3, C_0, path_error=2e-5) for m in (one, many))
    assert a.error is not None and b.error is not None and a.shared is not None and b.shared is not None
    assert np.median(b.error / a.error) == pytest.approx(np.sqrt((1 + 1 / 31) / 2), rel=0.01)
    assert np.median(a.shared / b.shared) == pytest.approx(np.sqrt(31), rel=0.01)
    assert a.scale_error == pytest.approx(0.02, rel=1e-12)


def test_errors_given_with_the_intensity_are_carried_through(solution: Solution) -> None:
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3)
    seen = transmitted(solution, PEO, BEAM, raster, TIMES)
    back = concentration(replace(seen, error=1e-3 * seen.intensity), PEO, BEAM, 1e-3, C_0)
    assert back.error is not None
    slope = 1e-3 * float(BEAM.slope(PEO, C_0))
    np.testing.assert_allclose(back.error, np.sqrt(2) * 1e-3 / slope, rtol=1e-9)


@pytest.mark.parametrize(
    ("pixel", "kind"),
    # at an end of the row a cubic tells a gross fault only
    [(0, "dead"), (56, "dead"), *((pixel, kind) for pixel in (1, 28, 54) for kind in ("dead", "bright", "spike"))],
)
def test_a_bad_pixel_is_left_out_and_the_rest_is_as_without_it(solution: Solution, kind: str, pixel: int) -> None:
    """The other pixels are, to the last digit, what they are in the same map without it."""
    raster = Raster(np.linspace(1e-4, 2.9e-3, 57), path_length=1e-3, photons=3.7e6)
    good = counted(transmitted(solution, PEO, BEAM, raster, TIMES), np.random.default_rng(4))
    intensity = good.intensity.copy()
    if kind == "spike":
        intensity[2, pixel] *= 1.5
    else:
        intensity[1:, pixel] = 3.0 if kind == "dead" else 2.0 * intensity[0, pixel]
    back = concentration(replace(good, intensity=intensity), PEO, BEAM, 1e-3, C_0)
    whole = concentration(good, PEO, BEAM, 1e-3, C_0)
    assert not whole.notes and np.isfinite(whole.c).all()
    bad = np.zeros(back.c.shape, dtype=bool)
    bad[slice(1, 2) if kind == "spike" else slice(None), pixel] = True
    assert np.array_equal(np.isnan(back.c), bad)
    np.testing.assert_allclose(back.c[~bad], whole.c[~bad], rtol=1e-12)
    assert f"at {1e3 * raster.position[pixel]:.4g} mm" in back.notes[0]


def test_good_maps_lose_no_pixel(solution: Solution) -> None:
    """Early boundary layers, without noise, with photon noise and with stated errors."""
    raster = Raster(np.linspace(6e-5, 2.94e-3, 145), path_length=1e-3, photons=3.7e6)
    times = np.array([0.0, 60.0, 600.0, 6e3, 6e4])
    seen = transmitted(solution, PEO, BEAM, raster, times)
    noisy = [counted(seen, np.random.default_rng(seed)) for seed in range(20)]
    for m in (seen, replace(seen, error=1e-3 * seen.intensity), *noisy):
        assert not concentration(m, PEO, BEAM, 1e-3, C_0).notes


def test_gaps_and_positions_outside(solution: Solution) -> None:
    raster = Raster(np.linspace(1e-4, 2.9e-3, 29), path_length=1e-3, photons=3.7e6)
    good = transmitted(solution, PEO, BEAM, raster, np.array([-60.0, 0.0, 600.0, 6e3]))
    intensity = good.intensity.copy()
    intensity[0, 3] = intensity[2, 7] = np.nan  # one scan before lacks a point, one after another
    back = concentration(replace(good, intensity=intensity), PEO, BEAM, 1e-3, C_0)
    whole = concentration(good, PEO, BEAM, 1e-3, C_0)
    assert np.argwhere(np.isnan(back.c)).tolist() == [[0, 7]]
    np.testing.assert_allclose(back.c[np.isfinite(back.c)], whole.c[np.isfinite(back.c)], rtol=1e-12)
    assert back.measurement(C_0).size == 57
    with pytest.raises(InputError, match=r"position_origin"):
        concentration(good, PEO, BEAM, 1e-3, C_0, inside=(5e-3, 6e-3))


def test_refusals(solution: Solution) -> None:
    position = np.array([1e-3, 2e-3])
    good = transmitted(solution, PEO, BEAM, Raster(position, 1e-3), TIMES)
    late = IntensityMap(good.time[1:], position, good.intensity[1:])
    with pytest.raises(InputError, match="before the polarisation"):
        concentration(late, PEO, BEAM, 1e-3, C_0)
    with pytest.raises(InputError, match="path_length"):
        concentration(good, PEO, BEAM, 0.0, C_0)
    with pytest.raises(InputError, match="after the end"):
        transmitted(solution, PEO, BEAM, Raster(position, 1e-3), [7e4])
    with pytest.raises(InputError, match="must be positive"):
        IntensityMap(good.time, position, np.zeros((4, 2)))
    with pytest.raises(InputError, match="shape"):
        IntensityMap(good.time, position, np.ones((2, 4)))
    with pytest.raises(InputError, match="increase"):
        IntensityMap(good.time, position[::-1].copy(), good.intensity)
    with pytest.raises(InputError, match=r"xam\.beam_width"):
        Raster(position, 1e-3, -1.0)
    flat = Attenuation((Line(1e-15, 1.0, 0.0383708 * V_E / V_0, 0.0383708),))
    with pytest.raises(InputError, match="another energy"):
        concentration(good, PEO, flat, 1e-3, C_0)


def test_salt_of_a_map_and_its_error() -> None:
    x = np.linspace(0, 1e-3, 11)
    c = np.tile(1000 + 1e6 * (x - 5e-4), (2, 1))
    c[:, 0] = np.nan
    found = ConcentrationMap(np.array([1.0, 2.0]), x, c, np.full((2, 11), 10.0))
    salt, error = found.salt()
    np.testing.assert_allclose(salt, 9e-4 * 1050, rtol=1e-12)
    np.testing.assert_allclose(error, 10 * 1e-4 * np.sqrt(8.5), rtol=1e-12)
    assert replace(found, resolution=4e-4).salt()[1][0] == pytest.approx(2 * error[0], rel=1e-9)
    with pytest.raises(InputError, match="fewer than two"):
        replace(found, c=np.full((2, 11), np.nan)).salt()


# ---- files ----------------------------------------------------------------------------------------------------

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
