import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from fit_toys import BASE, T

from cellsim.base import ConvergenceError, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.cli import main
from cellsim.compare.report import compare_case
from cellsim.fit.bands import bands, bands_of_case, everywhere, normal_draws
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.set_error import with_set_error
from cellsim.fit.set_model import SetModel, constant_form
from cellsim.run.case import load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

MODEL = SetModel(
    BASE,
    (constant_form("kappa", 0.13), constant_form("D", 1e-10), constant_form("t_plus", 0.2, extra={"frame": "solvent"})),
)
CELL = Cell(3e-4, T)
PROTOCOL = Protocol((hold_voltage(0.02, 300.0),))
TIMES, POSITIONS = np.array([0.0, 100.0, 300.0]), np.array([1e-4, 2.5e-4])
SD = np.array([0.02, 0.05, 0.03])
CORRELATION = np.array([[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1.0]])
C = np.outer(SD, SD) * CORRELATION


def outputs(u):
    s = simulate(
        CELL,
        MODEL.at(Space(MODEL.parameters).values(u), T),
        PROTOCOL,
        c0=1600.0,
        times=TIMES,
        solver="sundials",
        options=Options(rtol=1e-6),
    )
    rows = [np.interp(POSITIONS, f, c) for f, c in zip(s["position_face"], s["c_face"], strict=True)]
    return np.concatenate([np.interp(TIMES, s["time"], s["i"]), np.ravel(rows)])


def test_small_uncertainties_propagate_linearly():
    space = Space(MODEL.parameters)
    u = space.start
    J = np.column_stack([(outputs(u + e) - outputs(u - e)) / 0.02 for e in 0.01 * np.eye(3)])
    linear = np.sqrt(np.diag(J @ C @ J.T))
    n = 300
    found = bands(
        MODEL, normal_draws(space, u, C, n, seed=2), CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS
    )
    assert found.draws == n and found.failed == 0
    half = np.concatenate([(found.i[3] - found.i[1]) / 2, np.ravel((found.c[3] - found.c[1]) / 2)])
    # 16 % and 84 % are 0.994 of a standard deviation away; from 300 draws their distance/2 is known to 5.4 %
    moving = linear > 1e-6 * np.abs(outputs(u))
    assert moving.sum() == 7  # three currents, four concentrations: at t = 0 those do not move
    assert half[moving] == pytest.approx(0.994 * linear[moving], rel=0.16)
    assert found.i[2] == pytest.approx(outputs(u)[:3], rel=0.01)
    assert np.all(np.diff(found.i, axis=0) >= 0) and found.c.shape == found.v_minus.shape == (5, 3, 2)


def test_draws_have_their_covariance_and_stay_inside_the_bounds():
    space = Space((Parameter("a", 1.0, logarithmic=True), Parameter("b", 0.5, lower=0.0)))
    cov = np.array([[0.04, 0.005], [0.005, 0.0025]])
    draws = normal_draws(space, np.array([0.0, 0.5]), cov, 4000, seed=1)
    assert np.cov(draws.T) == pytest.approx(cov, rel=0.1)  # 4000 draws: 2 % for a variance, 5 % for the covariance
    assert np.array_equal(draws, normal_draws(space, np.array([0.0, 0.5]), cov, 4000, seed=1))
    cut = normal_draws(space, np.array([0.0, 0.05]), cov, 200)
    assert np.all(cut[:, 1] > 0)


def test_a_covariance_that_leaves_the_bounds():
    space = Space((Parameter("b", 0.5, lower=0.499, upper=0.501),))
    with pytest.raises(InputError, match="too wide"):
        normal_draws(space, np.array([0.5]), np.array([[1.0]]), 50)


def test_draws_that_cannot_be_run_are_counted_or_refused():
    good = np.tile(Space(MODEL.parameters).start, (6, 1))
    bad = good.copy()
    bad[:2, 0] = np.inf
    found = bands(MODEL, bad, CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS)
    assert (found.draws, found.failed) == (4, 2)
    bad[:, 0] = np.inf
    with pytest.raises(ConvergenceError, match="6 of 6 draws of the set could not be run"):
        bands(MODEL, bad, CELL, PROTOCOL, c0=1600.0, times=TIMES, positions=POSITIONS)


# ---- velocities, bands that hold everywhere, and data ----------------------------------------------------------------

COVARIANCE = """
[covariance]
parameters = ["kappa.value", "D.value", "t_plus.value", "volumes.V_e"]
matrix = [[4e-4, 0, 0, 0], [0, 1e-22, 0, 0], [0, 0, 4e-4, 0], [0, 0, 0, 25]]
source = "chosen"
"""
SET = """
name = "uncertain"
status = "model"
note = "made for a test"
[salt]
formula = "MX"
M = "0.1 kg/mol"
z_plus = 1
z_minus = -1
[solvent]
name = "S"
M = "0.05 kg/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "40 cm^3/mol"
source = "chosen"
[range]
variable = "c"
min = "1 mol/m^3"
max = "5000 mol/m^3"
T_min = "298.15 K"
T_max = "298.15 K"
[kappa]
value = "0.2 S/m"
source = "chosen"
[D]
value = "1e-10 m^2/s"
source = "chosen"
[t_plus]
value = 0.3
frame = "solvent"
source = "chosen"
[chi]
value = 1.5
basis = "molal"
source = "chosen"
"""
CASE = """
title = "uncertain"
[cell]
thickness = "300 um"
temperature = "298.15 K"
[electrolyte]
transport = "set.toml"
salt = { c = "1 mol/L" }
[[step]]
hold = "current"
value = "2 A/m^2"
duration = "2000 s"
"""


@pytest.fixture
def uncertain(tmp_path):
    (tmp_path / "set.toml").write_text(SET + COVARIANCE)
    (tmp_path / "case.toml").write_text(CASE)
    return load_case(tmp_path / "case.toml")


def test_bands_of_the_solvents_velocity_follow_the_volume_of_the_salt(uncertain):
    """At t = 0 the interface-frame v_0 = -V_e N_salt/(c_0 V_0 ...): its relative spread is that of V_e (1 - t+0).

    phi_e v_- + phi_0 v_0 = 0 and c v_- = -M i, so v_0 = V_e M i / phi_0, M = phi_0 (1 - t+0)/F: V_e (1 - t+0) i / F.
    """
    found = bands_of_case(uncertain, 400, seed=1)
    assert found.failed == 0
    v_0 = found.velocities["v_0", "interface"][:, 0, 5:-5]  # away from the walls, where it is zero
    exact = 100e-6 * 0.7 * 2 / 96485.33212
    assert np.abs(v_0[2]) == pytest.approx(np.full(v_0.shape[1], exact), rel=0.02)
    # ln V_e has 5 %, ln (1 - t+0) 2.9 %; both are normal, and 16 % to 84 % is two standard deviations
    spread = (v_0[3] - v_0[1]) / 2 / np.abs(v_0[2])
    assert np.abs(spread) == pytest.approx(np.full(v_0.shape[1], np.hypot(0.05, 0.02 / 0.7)), rel=0.15)
    moved = found.velocities["v_0", "lab"][2, 0, 5:-5] - v_0[2]  # the same shift at every place: the interfaces' motion
    assert np.ptp(moved) < 1e-3 * np.abs(moved).max() and np.abs(moved[0]) == pytest.approx(
        13e-6 * 2 / 96485.33212, rel=1e-3
    )


def test_a_band_that_holds_everywhere_holds_whole_curves():
    """Brownian paths: 95 % of them as a whole, on paths it was not made from; the pointwise band holds far fewer."""
    generator = np.random.default_rng(5)
    paths = np.cumsum(generator.standard_normal((4000, 100)), axis=1)
    low, high = everywhere(paths)
    fresh = np.cumsum(generator.standard_normal((4000, 100)), axis=1)
    inside = np.all((fresh >= low) & (fresh <= high), axis=1).mean()
    assert inside == pytest.approx(0.95, abs=0.015)
    low, high = np.quantile(paths, [0.025, 0.975], axis=0)
    assert np.all((fresh >= low) & (fresh <= high), axis=1).mean() < 0.85
    assert np.ptp(everywhere(np.ones((50, 3)))) == 0


def test_chi_squared_counts_the_error_of_the_set_once(uncertain, tmp_path):
    """V(0) = i L/kappa: 30 points, all off by the same share of kappa, within a microsecond: one direction."""
    t = np.linspace(1, 1.3, 30)
    V = 2 * 3e-4 / (0.2 * 1.2)  # kappa is 20 % (two standard errors) higher in the truth
    rows = "\n".join(f"{a:.4f},{V:.9f},{1e-5}" for a in t)
    (tmp_path / "V.csv").write_text(f"time (us),U (V),error (V)\n{rows}\n")
    comparison = compare_case(tmp_path / "case.toml", [tmp_path / "V.csv"])
    found = with_set_error(uncertain, comparison.items, 300)
    (chi2,), (plain,), (share,) = found.chi2, found.chi2_data, found.share
    sigma = 0.1 * 2 * 3e-4 / 0.2
    assert plain == pytest.approx((2e-1 / 1.2 * 3e-3 / 1e-5) ** 2, rel=0.05)
    assert share == pytest.approx(sigma / 1e-5, rel=0.1)
    # (r/sigma)^2 once, over 30 points; r = 1.67 sigma, and from 300 draws sigma^2 is known to 8 %
    assert 30 * chi2 == pytest.approx((2 / 1.2) ** 2, rel=0.35)


def test_the_command_compares_with_bands(uncertain, tmp_path):
    (tmp_path / "V.csv").write_text("time (s),U (V),error (V)\n10,0.004,0.001\n20,0.005,0.001\n")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["compare", str(tmp_path / "case.toml"), str(tmp_path / "V.csv"), "--bands", "20", "-o", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "with the error of the transport set" in done.output
    with xr.open_dataset(out / "bands.nc") as data:
        assert data["v_0"].dims == ("frame", "quantile", "time", "position") and data["v_0"].attrs["units"] == "m/s"
        assert np.all(data["c_everywhere"].sel(end="low") <= data["c"].sel(quantile=0.025) + 1e-9)
    assert len(json.loads((out / "bands.json").read_text())) == 1
