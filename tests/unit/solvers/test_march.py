"""Protocols, stop conditions, statuses and partial results, on both finite-volume solvers."""

from dataclasses import replace

import numpy as np
import pytest

import cellsim
from cellsim import Cell, Electrode, Options, Protocol, Resistance, StopConditions, TransportSet
from cellsim.base import ConvergenceError, F, InputError
from cellsim.cell.protocol import Step, hold_current, hold_voltage, ramp, rest, with_jumps
from cellsim.solvers.fipy import FipyStepper
from cellsim.solvers.resolution import Estimate

QUICK = Options(cells=24, rtol=3e-4)
CELL = Cell(1e-4, 298.15, positive=Electrode(Resistance(0.001)), negative=Electrode(Resistance(0.002)))
SET = TransportSet.constant(kappa=1.0, D=1e-10, t_plus=0.3, chi=1.2, V_e=6e-5, V_0=1e-4)
FIPY_AND_MATERIAL = pytest.mark.parametrize("solver", ["fipy", pytest.param("material", marks=pytest.mark.slow)])


def run(*steps, transport=SET, cell=CELL, c0=1000.0, solver="fipy", options=QUICK, **kwargs):
    kwargs.setdefault("times", np.linspace(0, sum(step.duration for step in steps), 21))
    return cellsim.simulate(cell, transport, Protocol(steps), c0=c0, solver=solver, options=options, **kwargs)


@FIPY_AND_MATERIAL
def test_steps_follow_each_other_and_keep_both_states_at_the_joint(solver):
    s = run(hold_voltage(0.01, 50.0), rest(20.0), hold_current(3.0, 20.0), solver=solver)
    assert s.status == "done" and s.succeeded
    assert [entry["ended_by"] for entry in s.log] == ["duration"] * 3
    assert np.all(np.diff(s["time"]) > 0)
    joint = np.searchsorted(s["time"], 50.0)
    assert s["time"][joint] == 50.0 and s["time"][joint + 1] == np.nextafter(50.0, np.inf)
    assert np.array_equal(s["c"][joint], s["c"][joint + 1])
    assert s["i"][joint] > 0 and s["i"][joint + 1] == 0
    assert s["V"][joint] == pytest.approx(0.01, rel=1e-9)
    assert s["V"][joint + 1] == pytest.approx(s["V_concentration"][joint], rel=2e-2)
    assert s["V"][-1] > 0
    assert s["i"][-1] == 3.0
    assert s.salt_drift <= 2e-15  # measured 2e-16; 4e-15 where profiles were summed, not their differences


@FIPY_AND_MATERIAL
def test_initial_current_is_that_of_the_uniform_cell(solver):
    s = run(hold_voltage(0.01, 1.0), solver=solver)
    # V/(L/kappa + R_0 + R_L) = 0.01/(1e-4 + 0.003)
    assert s["i"][0] == pytest.approx(0.01 / 0.0031, rel=1e-12)


def test_voltage_parts_add_up_and_the_potential_ends_at_the_interfaces():
    s = run(hold_voltage(0.02, 100.0))
    total = s["V_ohmic"] + s["V_concentration"] + s["V_positive"] + s["V_negative"]
    assert np.max(np.abs(total - s["V"])) <= 1e-15
    assert np.max(np.abs(s["V"] - 0.02)) <= 1e-11  # the closure's own tolerance, measured 2e-13
    assert np.all(np.diff(s["phi"], axis=1) < 0)
    assert np.all(s["phi"][:, 0] < s["V"] - s["V_positive"]) and np.all(s["phi"][:, -1] > s["V_negative"])


STOPS = {
    "current_below": (hold_voltage(0.02, 500.0, StopConditions(current_below=0.95)), lambda s: s["i"][-1] / s["i"][0]),
    "c_below": (hold_voltage(0.05, 500.0, StopConditions(c_below=960.0)), lambda s: s["c_face"][-1, -1]),
    "c_above": (hold_voltage(0.05, 500.0, StopConditions(c_above=1040.0)), lambda s: s["c_face"][-1, 0]),
    "voltage_above": (hold_current(5.0, 500.0, StopConditions(voltage_above=0.0157)), lambda s: s["V"][-1]),
}


@FIPY_AND_MATERIAL
@pytest.mark.parametrize("name", STOPS)
def test_stop_conditions_are_met_where_they_say(name, solver):
    step, value = STOPS[name]
    s = run(step, solver=solver)
    assert s.status == "stopped" and name in s.message
    assert s["time"][-1] < 500.0
    assert value(s) == pytest.approx(getattr(step.stop, name), rel=1e-6)


@pytest.mark.slow  # FiPy takes seconds
def test_current_rate_ends_a_step_near_the_steady_state():
    step = hold_voltage(0.02, 5000.0, StopConditions(current_rate_below=1e-4))
    s = run(step, times=np.linspace(0, 200, 401), options=Options(cells=24, rtol=1e-5))
    assert s.log[0]["ended_by"] == "current_rate_below"
    rate = np.abs(np.diff(s["i"]) / np.diff(s["time"]))
    assert rate[-1] == pytest.approx(1e-4, rel=0.05)
    assert np.all(rate[s["time"][1:] < 50.0] > 1e-4)


def test_voltage_below_ends_a_rest():
    s = run(hold_current(5.0, 30.0), rest(500.0, StopConditions(voltage_below=1e-4)))
    assert s["V"][-1] == pytest.approx(1e-4, rel=1e-6)


@FIPY_AND_MATERIAL
def test_depletion_keeps_the_partial_result_and_says_where_and_when(solver):
    s = run(hold_current(800.0, 500.0), solver=solver)
    assert s.status == "depleted" and not s.succeeded
    assert "negative electrode" in s.message and "t = " in s.message and "limiting current" in s.message
    assert s["c_face"][-1, -1] == pytest.approx(SET.c_range[0], abs=1e-3 * 1000)
    assert len(s["time"]) >= 2 and s.salt_drift <= 1e-12


def test_leaving_the_range_is_a_status_unless_clamped():
    narrow = TransportSet.constant(kappa=1.0, D=1e-10, t_plus=0.3, chi=1.2, c_range=(970.0, 1030.0))
    s = run(hold_voltage(0.05, 500.0), transport=narrow)
    assert s.status == "out_of_range" and 'extrapolate = "clamp"' in s.message
    assert max(s["c_face"].max() - 1030, 970 - s["c_face"].min()) <= 1e-3
    clamped = run(hold_voltage(0.05, 500.0), transport=narrow.with_extrapolation("clamp"))
    assert clamped.status == "done" and clamped.attributes["clamped"] == 1


@pytest.mark.slow  # FiPy takes seconds
def test_mirror_symmetry():
    symmetric = Cell(1e-4, 298.15)
    a = run(hold_voltage(0.03, 100.0), cell=symmetric)
    b = run(hold_voltage(-0.03, 100.0), cell=symmetric)
    assert np.max(np.abs(a["i"] + b["i"])) <= 1e-9 * a["i"][0]
    assert np.max(np.abs(a["c"] - b["c"][:, ::-1])) <= 1e-8 * 1000


def test_following_a_table_matches_holding_the_same_current():
    time = np.linspace(0, 40.0, 11)
    followed = run(Step("current", np.full(11, 4.0), 40.0, time=time))
    held = run(hold_current(4.0, 40.0))
    assert followed["V"][-1] == pytest.approx(held["V"][-1], rel=1e-6)


def test_following_a_ramp_with_corners_resolves_them():
    time = np.array([0.0, 10.0, 10.5, 40.0])
    value = np.array([1.0, 1.0, 6.0, 6.0])
    s = run(Step("current", value, 40.0, time=time), times=[10.0, 10.25, 10.5])
    assert np.interp([10.0, 10.25, 10.5], s["time"], s["i"]) == pytest.approx([1.0, 3.5, 6.0], rel=1e-9)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("fipy", "material")]
EVERY_SOLVER = pytest.mark.parametrize("solver", ["compiled", "sundials", *SLOW])


def ulps(times, count):
    """Times moved by `count` representable steps."""
    return times + count * np.spacing(times)


@EVERY_SOLVER
@pytest.mark.parametrize("moved", [-1, 2])
def test_times_that_differ_in_the_last_bit_are_one_moment(solver, moved):
    """Rows of a table, output times and the start and end of a step, a few ulp apart: the charge is the table's."""
    rows = np.linspace(0.0, 0.07, 6) * 3600
    table = Step("current", np.array([1.0, 2.0, -1.0, 0.5, 2.0, 1.0]), float(rows[-1]), rows)
    before = 100 / 3
    ends = before, before + rows[-1]
    times = ulps(np.concatenate([[before], before + rows[1:-1], [ends[1], ends[1] + 10.0, ends[1] + 20.0]]), moved)
    steps = hold_current(1.0, before), table, hold_current(-1.0, 20.0)
    s = run(*steps, solver=solver, times=np.sort(np.append(times, times[:3] + 1e-13)), options=Options(12, 1e-5))
    assert s.status == "done", s.message
    charge, miss = -s["interface_shift"] * F / CELL.V_metal, 1e-4 if solver in ("compiled", "sundials") else 1e-9
    exact = before * 1.0 + table.integral(rows[1:])
    for time, value in zip(before + rows[1:], exact, strict=True):
        # Simpson's rule over the time steps is exact for straight lines, measured 2e-14; CVODE integrates to rtol
        assert charge[np.argmin(np.abs(s["time"] - time))] == pytest.approx(value, rel=miss)
    assert charge[-1] == pytest.approx(exact[-1] - 20.0, rel=miss)
    # one state per moment, two where steps join
    assert s["time"].size == 1 + 2 + 4 + 2 + 1 + 1


def test_a_state_that_cannot_be_given_ends_the_run_and_keeps_the_rest(monkeypatch):
    """An output time within a step at which no current gives the voltage: what was reached before is there."""
    whole = FipyStepper.snapshot

    def snapshot(self, time):
        if time == 30.0:
            raise ConvergenceError("no current gives the voltage")
        return whole(self, time)

    monkeypatch.setattr(FipyStepper, "snapshot", snapshot)
    s = run(hold_voltage(0.01, 50.0), solver="fipy", options=Options(12, 1e-3), times=[10.0, 20.0, 30.0, 40.0])
    assert s.status == "not_converged" and s.message.startswith("step 1 after t = 20 s: no current gives")
    assert s["time"].tolist() == [0.0, 10.0, 20.0] and [entry["ended_by"] for entry in s.log] == ["not_converged"]


def states(c_face, c, i=0.0):
    """What the estimate of the spatial error takes, of one steady state on even cells over 1 m."""
    faces = np.linspace(0.0, 1.0, c.size + 1)[None]
    return c[None], c_face[[0, -1]][None], np.array([i]), np.zeros_like(faces), faces


def left(transport, *state):
    _, miss, total = Estimate(transport, 1.0).of(*state)
    return float(miss[0] / total[0])


def test_cells_too_coarse_for_the_properties_are_said(caplog):
    """D/M = c^2 on the steady profile c^3 = a + b x: of every interval Delta c the middle misses Delta c^2/12."""
    square = replace(SET.with_motion("none"), D_source=lambda c, m, r: 1e-16 * c**2)
    M = float(square.migration(1.0))
    found = []
    for cells in (20, 40, 80):
        x = np.linspace(0.0, 1.0, 2 * cells + 1)
        c = np.cbrt(1e9 - x * 0.9e9)
        # through M the current that has this profile: D dc/dx = -M i
        state = states(c, c[1::2], i=1e-16 * 0.3e9 / M)
        exact = np.sum(np.abs(np.diff(c[1::2])) ** 3) / 12 / (0.3e9)
        found.append(left(square, *state))
        assert found[-1] == pytest.approx(2 * exact, rel=2e-2)  # counted twice, FRONT; the walls add nothing
    assert np.log2(found[0] / found[1]) == pytest.approx(2.0, abs=0.2)
    assert left(square, *states(*(np.full(n, 3.0) for n in (41, 20)))) == 0
    front = replace(SET, D_source=lambda c, m, r: 1e-12 + 1e-10 / (1 + np.exp((c - 1050.0) / 15)))
    s = run(hold_current(25.0, 60.0), transport=front, solver="material", options=Options(24, 3e-4))
    assert s.succeeded and s.attributes["spatial_doubt"] > 3e-3 and s.attributes["unknowns"] == 24
    assert "in space an error of about" in s.message and "24 cells are too few" in s.message
    assert "in space" in caplog.text


def test_the_estimate_of_a_bent_profile():
    """Constant D, c = sin on even cells: the slope between centres misses (pi h)^2/24 of the slope."""
    plain = SET.with_motion("none")
    for cells in (40, 80):
        x = np.linspace(0.0, 1.0, 2 * cells + 1)
        c = 1000 + 100 * np.cos(np.pi * x)
        time_like = states(c, c[1::2])
        # the flux at the first faces, that of a profile that still moves
        time_like[3][0] = float(plain.D(1.0)) * 100 * np.pi * np.sin(np.pi * x[::2])
        assert left(plain, *time_like) == pytest.approx((np.pi / cells) ** 2 / 24, rel=0.02)  # measured 2e-3


def test_a_step_too_short_for_its_clock_is_refused():
    with pytest.raises(InputError, match="step 2: duration = 1e-09 s is too short to be resolved 3600 s after"):
        Protocol((rest(3600.0), rest(1e-9)))


def test_interrupt_keeps_what_is_done():
    def interrupt(fraction):
        if fraction > 0.3:
            raise KeyboardInterrupt

    s = run(hold_voltage(0.02, 100.0), progress=interrupt)
    assert s.status == "interrupted" and "kept" in s.message
    assert 20 < s["time"][-1] < 100


def test_too_many_steps_is_not_converged():
    s = run(hold_voltage(0.02, 100.0), options=Options(cells=24, max_steps=10))
    assert s.status == "not_converged" and "10 time steps" in s.message
    assert s["time"].size >= 2


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"c0": -1.0}, "must be positive"),
        ({"c0": float("nan")}, "must be positive"),
        ({"c0": 2e5}, "saturation"),
        ({"solver": "comsol"}, "must be one of"),
        ({"cell": Cell(1e-4, 310.0)}, "loaded at"),
    ],
)
def test_bad_input_is_refused_before_any_work(kwargs, words):
    with pytest.raises(InputError, match=words):
        run(hold_voltage(0.01, 1.0), **kwargs)


def test_netcdf_round_trip(tmp_path):
    s = run(hold_voltage(0.02, 50.0), rest(10.0))
    s.to_netcdf(tmp_path / "a.nc")
    t = cellsim.Solution.from_netcdf(tmp_path / "a.nc")
    assert (t.status, t.message, len(t.log)) == (s.status, s.message, 2)
    for name in s.arrays:
        assert np.array_equal(s[name], t[name], equal_nan=True), name
    assert t.dataset["i"].attrs["units"] == "A/m^2"


def test_frames_of_velocity():
    s = run(hold_voltage(0.05, 20.0))
    v, v_0 = s["v_minus"], s["v_0"]
    phi_0 = SET.phi_0(s["c_face"])
    inner = slice(1, -1)
    # interface frame: v_0 = -(phi_e/phi_0) v_minus; solvent frame: v_minus (1 + 1/eps) and v_0 = 0
    expected = (-(1 - phi_0) / phi_0 * v[0])[:, inner]
    assert np.max(np.abs(v_0[0][:, inner] - expected)) <= 1e-12 * np.max(np.abs(v[0]))
    solvent = (v[0] * (1 + (1 - phi_0) / phi_0))[:, inner]
    assert np.max(np.abs(v[2][:, inner] - solvent)) <= 1e-12 * np.max(np.abs(v[0]))
    assert np.all(v_0[2] == 0)
    lab = v[0] + s["v_interface"][:, None]
    assert np.array_equal(v[1], lab)
    assert s["v_interface"][0] == pytest.approx(-s["i"][0] * 13.0e-6 / 96485.33212, rel=1e-9)
    # charge is carried by the ions: F sum z N = i
    current = 96485.33212 * (s["N_plus"] - s["N_minus"])
    assert np.max(np.abs(current - s["i"][:, None])) <= 1e-9 * s["i"][0]


THIN = Cell(2e-4, 298.15)
FAST_SET = TransportSet.constant(kappa=1.0, D=3e-10, t_plus=0.3, chi=1.2, V_e=5e-5, V_0=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["fipy", "material"])
def test_a_voltage_that_begins_at_zero(solver):
    s = run(hold_voltage(0.0, 100.0), cell=THIN, transport=FAST_SET, solver=solver)
    assert s.status == "done"
    assert np.max(np.abs(s["i"])) <= 1e-8
    ramp = Step("voltage", np.array([0.0, 0.02, 0.0]), 100.0, time=np.array([0.0, 50.0, 100.0]))
    s = run(ramp, cell=THIN, transport=FAST_SET, solver=solver)
    assert s["i"][10] > 0
    assert s["i"][-1] < 0  # the salt gradient drives it back


@FIPY_AND_MATERIAL
def test_sudden_depletion_keeps_the_voltage_law(solver):
    s = run(
        hold_voltage(2.0, 300.0), cell=THIN, transport=FAST_SET, solver=solver, options=Options(cells=80, rtol=2e-5)
    )
    assert s.status == "depleted"
    # an independent finite-volume solution (600 nodes, LSODA) empties the face at 0.0642 s with 6850.7 A/m^2
    assert s["time"][-1] == pytest.approx(0.0642, rel=5e-3)
    assert s["i"][-1] == pytest.approx(6850.7, rel=2e-3)
    assert s["V"][-1] == pytest.approx(2.0, rel=1e-8)
    assert s["c_face"][-1, -1] == pytest.approx(FAST_SET.c_range[0], rel=1e-3)


@FIPY_AND_MATERIAL
def test_the_current_jumps_and_the_walls_do_not(solver):
    s = run(rest(100.0), hold_voltage(0.05, 10.0), rest(10.0), cell=THIN, transport=FAST_SET, solver=solver)
    joint = np.searchsorted(s["time"], 100.0) + 1
    assert s["i"][joint] == pytest.approx(250.0, rel=1e-9)  # V kappa/L
    off = np.searchsorted(s["time"], 110.0)
    assert s["i"][off] > 0
    assert s["i"][off + 1] == 0
    assert np.array_equal(s["c_face"][off], s["c_face"][off + 1])


@pytest.mark.slow  # FiPy takes seconds
def test_a_late_step_starts():
    thin = Cell(2e-6, 298.15)
    s = run(rest(30 * 86400.0), hold_voltage(0.05, 100.0), cell=thin, transport=FAST_SET)
    assert s.status == "done"
    early = run(hold_voltage(0.05, 100.0), cell=thin, transport=FAST_SET)
    assert s["i"][-1] == pytest.approx(early["i"][-1], rel=1e-6)


def test_a_limit_already_passed_ends_the_step_at_once():
    s = run(hold_current(50.0, 100.0, StopConditions(voltage_above=0.001)), rest(1.0))
    assert (s.log[0]["ended_by"], s.log[0]["t_end"], s.status) == ("voltage_above", 0.0, "done")


@pytest.mark.parametrize(
    "make", [lambda: StopConditions(current_below=1.0), lambda: Options(cells=2), lambda: Options(rtol=0)]
)
def test_senseless_settings_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_depletion_limit_above_the_initial_state_is_refused():
    with pytest.raises(InputError, match="c_min"):
        run(rest(1.0), options=Options(cells=24, c_min=1500.0))


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["fipy", "material"])
def test_interface_shift_does_not_depend_on_output_times(solver):
    few = run(hold_voltage(0.05, 100.0), cell=THIN, transport=FAST_SET, solver=solver, times=[100.0])
    many = run(hold_voltage(0.05, 100.0), cell=THIN, transport=FAST_SET, solver=solver, times=np.linspace(0, 100, 51))
    assert few["interface_shift"][-1] == pytest.approx(many["interface_shift"][-1], rel=1e-9)
    assert few["interface_shift"][-1] == pytest.approx(-1.72e-6, rel=3e-3)


EVERY = pytest.mark.parametrize("solver", ["sundials", "fipy", pytest.param("material", marks=pytest.mark.slow)])
STILL = TransportSet.constant(kappa=1.0, D=1e-10, t_plus=0.3)  # no salt volume: the closed forms are exact
FINE, THICK = Options(cells=120, rtol=1e-5), Cell(1e-3, 298.15)  # a half space for the first minute


def face(t, jumps):
    """c at the positive face less c0 in a half space, for the current that jumps by each of (time, A/m^2)."""
    M = float(STILL.migration(1000.0))
    return sum(2 * M * i * np.sqrt(np.maximum(t - at, 0) / (np.pi * 1e-10)) for at, i in jumps)


@EVERY
def test_a_ramp_of_the_current_moves_the_face_as_the_integral_of_steps(solver):
    """i = a t: 2 M a integral of sqrt((t - s)/(pi D)) ds = (4/3) M a t^1.5/sqrt(pi D). Measured: 2e-5 to 1e-3."""
    s = run(
        ramp("current", 0.0, 2.0, 0.05), transport=STILL, cell=THICK, times=[10.0, 40.0], solver=solver, options=FINE
    )
    t = s["time"][[1, 2]]
    exact = 4 / 3 * float(STILL.migration(1000.0)) * 0.05 * t**1.5 / np.sqrt(np.pi * 1e-10)
    np.testing.assert_allclose(s["c_face"][[1, 2], 0] - 1000.0, exact, rtol=3e-3)
    assert s["i"][-1] == pytest.approx(2.0, rel=1e-12)


@EVERY
@pytest.mark.parametrize("held", [True, False])
def test_a_followed_table_that_jumps(solver, held):
    """Held values, and two rows at one time, are the same staircase: the sum of the responses to its jumps."""
    table = ([0.0, 10.0, 20.0, 30.0], [2.0, -1.0, 3.0, 3.0])
    if not held:
        table = ([0.0, 10.0, 10.0, 20.0, 20.0, 30.0], [2.0, 2.0, -1.0, -1.0, 3.0, 3.0])
    time, value = with_jumps(np.array(table[0]), np.array(table[1]), held=held)
    step = Step("current", value, 30.0, time)
    s = run(step, transport=STILL, cell=THICK, times=[9.0, 19.0, 29.0], solver=solver, options=FINE)
    at = np.searchsorted(s["time"], [9.0, 19.0, 29.0])
    np.testing.assert_allclose(s["i"][at], [2.0, -1.0, 3.0], rtol=1e-9)
    exact = face(s["time"][at], [(0.0, 2.0), (10.0, -3.0), (20.0, 4.0)])
    np.testing.assert_allclose(s["c_face"][at, 0] - 1000.0, exact, rtol=0, atol=5e-3 * np.max(np.abs(exact)))
    # 20 - 10 + 30 C/m^2 have passed
    assert s["interface_shift"][-1] == pytest.approx(-40.0 * CELL.V_metal / F, rel=1e-5)


def test_jumps_are_short_lines_and_the_first_row_has_nothing_to_jump_from():
    time, value = with_jumps(np.array([0.0, 0.0, 5.0, 5.0, 5.0, 8.0]), np.array([9.0, 1.0, 2.0, 7.0, 3.0, 4.0]))
    assert np.all(np.diff(time) > 0)
    np.testing.assert_allclose(time, [0.0, 5.0, 5.0, 8.0], rtol=2e-6)
    assert list(value) == [1.0, 2.0, 3.0, 4.0] and time[1] == pytest.approx(5.0 - 5e-6, rel=1e-12)


@EVERY
def test_a_step_ends_on_the_charge_passed_within_it(solver):
    """At 2 A/m^2 30 C/m^2 have passed after 15 s; a second step counts its own charge, whatever its sign."""
    stop = StopConditions(charge_above=30.0)
    s = run(
        hold_current(2.0, 50.0, stop),
        hold_current(-3.0, 50.0, stop),
        hold_voltage(0.02, 500.0, stop),
        solver=solver,
        times=np.linspace(0, 30, 61),
    )
    assert [entry["ended_by"] for entry in s.log] == ["charge_above"] * 3
    assert [e["t_end"] - e["t_start"] for e in s.log[:2]] == pytest.approx([15.0, 10.0], rel=1e-5)
    last = s["step"] == 2
    assert np.trapezoid(s["i"][last], s["time"][last]) == pytest.approx(30.0, rel=3e-3)
    assert s["interface_shift"][-1] == pytest.approx(-30.0 * CELL.V_metal / F, rel=2e-4)


@EVERY
def test_a_step_ends_on_its_current_density(solver):
    s = run(hold_voltage(0.02, 500.0, StopConditions(current_density_below=6.4)), solver=solver)
    assert s.log[0]["ended_by"] == "current_density_below" and s["i"][0] > 6.4
    assert s["i"][-1] == pytest.approx(6.4, rel=1e-4)


@pytest.mark.parametrize("bad", [{"begin": 1.0, "end": 1.0, "rate": 1.0}, {"begin": 0.0, "end": 1.0, "rate": -1.0}])
def test_a_ramp_that_goes_nowhere_is_refused(bad):
    with pytest.raises(InputError, match="ramp voltage"):
        ramp("voltage", **bad)
