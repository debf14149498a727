"""Interfaces at several temperatures: Kozdra's numbers as a series says them, refusals, the figure's numbers."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from mdcoeffs.interface.rates import mean_barrier
from mdcoeffs.series.interfaces import interfaces_of, join_states, rows_of
from mdcoeffs.series.recipe import read_series
from mdcoeffs.series.run import run_series

A = 1e-10
NS = 1e-9


def number(value, error):
    half = 2 * error
    return {"value": value, "standard_error": error, "interval": [value - half, value + half], "blocks": 16}


def summary(heights, shift, entered, time, state, slope=1850.0):
    """Kozdra 2025: wells at 28 angstrom on either side, nearer by `shift`, flanks of 1850 K/angstrom."""
    counted = {"entered": entered, "left": entered, "outside": 15 * time, "inside": 90 * time}
    region = {"state": state, "EC": 0.6, "entered": {"lower": 0, "upper": entered}, "counted": counted}
    region |= {"entry_rate": None, "exit_rate": None}
    barriers = {}
    for name, side, height in zip(("LEFT", "RIGHT"), (-1, 1), heights, strict=True):
        barriers[name] = {
            "region": "ceramic",
            "barrier_K": number(height, 100.0),
            "z_well": number(side * (28.0 - shift) * A, 0.005 * A),
            "z_top": number(side * 23.0 * A, 0.05 * A),
            "slope_K_per_m": number(-side * slope / A, 20.0 / A) if slope else None,
            "found": True,
            "frequency": 1.5e12,
            "well_range": sorted((side * 27 * A, side * 29 * A)),
        }
    return {"regions": {"ceramic": region | {"left": {"lower": 0, "upper": entered}}}, "barriers": barriers}


def profiles(shift, lift=0.0):
    """F(z) of both sides: a straight flank to the well, moved and raised as the paper finds it."""
    z = np.linspace(-35, 35, 701) * A
    x = np.abs(z) / A - (28.0 - shift)
    F = np.where(x < 0, -1850.0 * np.maximum(x, -5.0), 300.0 * x**2) - lift
    return dict.fromkeys(("LEFT", "RIGHT"), (z, F, np.full(z.size, 10.0)))


def kozdra(slope=1850.0, state="exchanging"):
    read = {
        700.0: summary((8000.0, 7500.0), 0.0, 7, 380 * NS, "equilibrated", slope),
        600.0: summary((7700.0, 7200.0), 0.18, 2, 300 * NS, state, slope),
    }
    return join_states("ceramic", read, {700.0: profiles(0.0), 600.0: profiles(0.18, lift=360.0)}, (400.0,))


def test_profiles_are_laid_over_one_another():
    found = kozdra()
    moved = {(a.barrier, a.T): a for a in found.aligned}
    # the shifts and the lift of Fig. 9(b), and its slope
    for name, side in (("LEFT", -1), ("RIGHT", 1)):
        assert moved[name, 600.0].shift == pytest.approx(side * 0.18 * A, rel=1e-9, abs=0)
    assert all(moved[name, 600.0].lift == pytest.approx(360.0, abs=5) for name in ("LEFT", "RIGHT"))  # bins of 0.1
    assert all(a.misfit < 5.0 for a in found.aligned)
    assert found.slope == pytest.approx(1850.0 / A) and found.slope_error == pytest.approx(10.0 / A)


def test_counts_reduction_and_mean_barrier_are_the_paper_s():
    found = kozdra()
    cold, warm = found.joint.states
    assert (warm.reduction, cold.reduction) == (0.0, pytest.approx(0.18 * 1850))
    assert warm.barrier == pytest.approx(mean_barrier((8000.0, 7500.0), 700.0)) and not cold.has_barrier
    # not equilibrated at 600 K: its crossings count, its barrier does not, as in the paper
    assert any("at 600 K the region is not equilibrated" in note for note in found.notes)
    gamma = 3.0  # dE and dS of the paper for its gamma lie in the middle of what the counts allow
    dE, dS = 4200 * math.log(gamma) + 2310, 6 * math.log(gamma) - 7.7
    assert found.joint.dE.low < dE < found.joint.dE.high and found.joint.dS.low < dS < found.joint.dS.high
    low, high = found.numbers()["predicted"][0]["rate"]["interval"]
    assert low < 6e3 < high  # Gamma(400 K), Eq. 12


def test_no_flank_no_reduction():
    found = kozdra(slope=None)
    assert all(state.reduction == 0.0 for state in found.joint.states)
    assert any("no barrier has a flank" in note for note in found.notes) and math.isnan(found.slope)


def test_rows_hold_what_is_drawn():
    rows = rows_of(kozdra())
    assert all(len(row) == len(rows[0]) for row in rows)
    panels = {row[0] for row in rows[1:]}
    assert panels == {"free energy", "barrier", "counts", "rate"}
    counted = [row for row in rows if row[:2] == ["counts", "entries"]]
    assert [row[4] for row in counted] == ["2", "7"]
    right = [row for row in rows if row[:3] == ["free energy", "RIGHT", "700"]]
    assert min(float(row[3]) for row in right) > 15 * A  # the other face has a shift of its own


def result(folder, entered=0, state="frozen"):
    """A folder as `mdcoeffs interface` leaves it, as far as it is read here."""
    folder.mkdir()
    data = summary((8000.0, 7500.0), 0.0, entered, 380 * NS, state)
    (folder / "summary.json").write_text(json.dumps(data))
    z, F, error = profiles(0.0)["LEFT"]
    names = {f"F_{name}": ("z", F) for name in ("LEFT", "RIGHT")}
    names |= {f"F_{name}_error": ("z", error) for name in ("LEFT", "RIGHT")}
    xr.Dataset(names, {"z": z}).to_netcdf(folder / "interface.nc", engine="h5netcdf")
    return folder


def test_two_states_of_one_temperature_are_no_series(tmp_path):
    text = '[series]\nvariable = "T"\nanalyses = ["interface"]\nfits = []\n'
    for name, T in (("a", 600), ("b", 600), ("c", 700)):
        result(tmp_path / name, 5, "equilibrated")
        text += f'[[state]]\nname = "{name}"\nvalue = "{T} K"\nresult = "{name}"\n'
    (tmp_path / "series.toml").write_text(text)
    found = run_series(read_series(tmp_path / "series.toml"), tmp_path / "out")
    assert found.barriers == () and "two states have the same temperature" in found.refused[0]


def test_frozen_everywhere_is_a_sentence(tmp_path):
    folders = {T: result(tmp_path / f"{T:g}") for T in (600.0, 700.0)}
    path = tmp_path / "700" / "summary.json"
    whole = path.read_text()
    path.write_text(whole.replace('"counted"', '"count"'))
    assert "damaged or incomplete (KeyError: 'counted'); make it again" in interfaces_of(folders)[1][0]
    path.write_text(whole)
    found, refused = interfaces_of(folders)
    assert found == () and refused == (
        "ceramic: no ion entered at any temperature, so the energy of the barrier is not known; run longer",
    )
