"""Solvent and anion velocities, measured and predicted: frames, local epsilon, the published way, ratio statistics."""

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, Step
from cellsim.electrolyte.set_file import load_set
from cellsim.instruments.looks import at_beam
from cellsim.instruments.velocities import (
    MeasuredSpeeds,
    anion_speed_as_published,
    anion_velocity,
    compare_velocities,
    epsilon,
    ratios_by_position,
)
from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, g2_of_solution, geometry
from cellsim.instruments.xpcs.fit import fit_velocity
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

MINUTE = 60.0
POSITIONS = 1.5e-3 + np.array([-0.85, -0.5, -0.15, 0.2, 0.55]) * 1e-3


@pytest.fixture(scope="module")
def transport():
    return load_set("steinruck2020_rs", T=363.15).with_extrapolation("clamp")


@pytest.fixture(scope="module")
def run(transport):
    c0 = transport.c_of(r=0.1)
    times = np.unique(np.r_[np.linspace(0, 60, 31), np.linspace(60, 420, 73)]) * MINUTE
    return simulate(
        Cell(thickness=3e-3, temperature=363.15),
        transport,
        Protocol((Step("voltage", 0.3, 420 * MINUTE),)),
        c0=c0,
        times=times,
        solver="sundials",
        options=Options(cells=80),
    )


def exact(run, times, positions=POSITIONS, error=1e-11):
    t, x = (a.ravel() for a in np.meshgrid(times, positions, indexing="ij"))
    v = np.array([np.interp(a, run["time"], run.at("v_0", np.array([b]))[:, 0]) for a, b in zip(t, x, strict=True)])
    return MeasuredSpeeds(x, t, np.abs(v), np.full(t.size, error))


def test_epsilon_of_the_paper(transport):
    # 2.96 at r = 0.1, 7.4 at 0.04, 1.85 at 0.16 (molecular volumes 66.4 and 224 cubic Angstrom)
    found = [float(epsilon(transport, transport.c_of(r=r))) for r in (0.1, 0.04, 0.16)]
    assert np.allclose(found, [2.964, 7.411, 1.853], rtol=1e-3, atol=0)
    with pytest.raises(InputError, match="takes no volume"):
        epsilon(transport.with_motion("none"), 1000.0)


def test_frames_agree_with_the_run_itself(run, transport):
    # identities of the interface frame, point by point: v- from v0,lab by the local epsilon
    c, v_0, v_s = run["c_face"][:, 1:-1], run["v_0"][1][:, 1:-1], run["v_interface"][:, None]
    eps = epsilon(transport, c)
    later = run["time"] > 60
    for k, frame in enumerate(("interface", "lab", "solvent")):
        found, wanted = anion_velocity(v_0, v_s, eps, frame), run["v_minus"][k][:, 1:-1]
        assert np.max(np.abs(found - wanted)[later]) < 1e-9 * np.abs(wanted).max()
    with pytest.raises(InputError, match="frame"):
        anion_velocity(1.0, 0.0, 2.0, "detector")


def test_the_published_way_under_reads(run, transport):
    # at r = 0.1: (eps + 1)|v0,lab| against (eps + 1)|v0,lab - v_s|; 13-23 % over the cell after the first hour
    eps = float(epsilon(transport, transport.c_of(r=0.1)))
    t = 300 * MINUTE
    v_0 = np.array([np.interp(t, run["time"], a) for a in run.at("v_0", POSITIONS).T])
    v_s = np.interp(t, run["time"], run["v_interface"])
    under = 1 - anion_speed_as_published(v_0, eps) / np.abs(anion_velocity(v_0, v_s, eps, "solvent"))
    assert v_s < 0 < v_0.min()
    assert np.all((under > 0.08) & (under < 0.30))


def test_beam_average(run):
    sharp = at_beam(run, "v_0", POSITIONS)
    assert np.array_equal(sharp.mean, run.at("v_0", POSITIONS)) and np.all(sharp.by_position == 0)
    narrow = at_beam(run, "v_0", POSITIONS, beam=15e-6)
    later = run["time"] > 30 * MINUTE
    assert np.max(np.abs(narrow.mean / sharp.mean - 1)[later]) < 0.01
    loose = at_beam(run, "v_0", POSITIONS, beam=15e-6, position_error=40e-6)
    slope = (run.at("v_0", POSITIONS + 2e-5) - run.at("v_0", POSITIONS - 2e-5))[later] / 4e-5
    assert np.allclose(loose.by_position[later], 40e-6 * np.abs(slope), rtol=0.3, atol=2e-11)
    for frame in ("interface", "lab", "solvent"):
        found = at_beam(run, "v_minus", POSITIONS, frame=frame).mean
        lab = run.at("v_minus", POSITIONS)
        taken = {"interface": run["v_interface"][:, None], "lab": 0.0, "solvent": run.at("v_0", POSITIONS)}[frame]
        assert np.max(np.abs(found - (lab - taken))) < 1e-18
    edge = at_beam(run, "v_0", [1e-6], beam=15e-6).mean[:, 0]  # the interface recedes from the beam, v_s < 0
    assert np.isnan(edge[0]) and np.isfinite(edge[-1])
    with pytest.raises(InputError, match="must not be negative"):
        at_beam(run, "v_0", POSITIONS, beam=-1.0)


def test_perfect_data_give_ratio_one_the_local_way_only(run, transport):
    times = np.arange(200, 401, 20) * MINUTE
    found = compare_velocities(run, transport, exact(run, times))
    assert np.max(np.abs(found.ratio - 1)) < 0.02  # measured 0.007: faces between which v is interpolated
    local, published = (
        ratios_by_position(found, start=200 * MINUTE, end=400 * MINUTE, published=way).ratio for way in (False, True)
    )
    assert abs(local.mean() - 1) < 0.01 and local.std(ddof=1) < 0.01
    # one epsilon and interfaces at rest tilt the ratio over the cell
    assert published.std(ddof=1) > 3 * local.std(ddof=1)
    assert np.all(np.sign(found.v_0) == np.sign(found.v_0_model))


def test_ratios_by_position(run, transport):
    times = np.arange(200, 401, 20) * MINUTE
    data = exact(run, times)
    shifted = MeasuredSpeeds(
        data.position, data.time, np.where(np.isclose(data.position, POSITIONS[0]), 1.5, 1.0) * data.speed, data.error
    )
    found = compare_velocities(run, transport, shifted, beam=15e-6, position_error=40e-6)
    ratios = ratios_by_position(found, start=200 * MINUTE, end=400 * MINUTE)
    assert np.array_equal(ratios.position, POSITIONS)
    assert ratios.ratio[0] > 1.3 and np.std(ratios.ratio, ddof=1) > 0.1 > np.std(ratios.ratio[1:], ddof=1)
    assert np.all(ratios.error > 0) and abs(np.mean(ratios.ratio[1:]) - 1) < 0.02
    with pytest.raises(InputError, match="no measured velocity"):
        ratios_by_position(found, start=401 * MINUTE, end=402 * MINUTE)


def test_refusals(run, transport):
    with pytest.raises(InputError, match="equal length"):
        MeasuredSpeeds([1e-3], [0.0, 1.0], [1e-9], [1e-10])
    with pytest.raises(InputError, match="must not be negative"):
        MeasuredSpeeds([1e-3], [0.0], [-1e-9], [1e-10])
    with pytest.raises(InputError, match="outside the run"):
        compare_velocities(run, transport, MeasuredSpeeds([1e-3], [1e6], [1e-9], [1e-10]))
    with pytest.raises(InputError, match="out of the electrolyte"):
        compare_velocities(run, transport, MeasuredSpeeds([2.9999e-3], [6000.0], [1e-9], [1e-10]), beam=1e-3)


def test_from_run_to_curves_and_back(run):
    # what the beam on the simulated cell reports, with noise, gives back the solvent velocity in the lab
    q, azimuth = geometry(np.linspace(0.003, 0.009, 5) * 1e10, np.deg2rad(np.arange(0, 180, 15.0)))
    tau = np.unique(np.round(np.geomspace(1, 250, 35)))
    shape = {"contrast": 0.15, "h": 0.4, "tau0": 70 * (0.006e10 / q) ** 1.5, "stretch": 0.9}
    start, duration = 300 * MINUTE, 900.0
    g2 = g2_of_solution(
        run, q, azimuth, tau, position=POSITIONS[2], start=start, duration=duration, beam=15e-6, **shape
    )
    fit = fit_velocity(add_noise(CorrelationSet(q, azimuth, tau, g2, np.full(g2.shape, 3e-3)), 8))
    t = run["time"]
    truth = np.interp(start + duration / 2, t, run.at("v_0", POSITIONS[2:3])[:, 0])
    assert fit.resolved
    assert abs(fit.v - abs(truth)) < 4 * fit.error + 0.005 * abs(truth)
