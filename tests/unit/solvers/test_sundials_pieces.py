"""Pieces of the sundials and the compiled solver: tables, grids, kernels against equations.py, statuses, results."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import F
from cellsim.cell.geometry import Cell, Separator
from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
from cellsim.cell.protocol import Protocol, Step, StopConditions, hold_current, hold_voltage, rest
from cellsim.electrolyte.set_file import list_sets, load_set, read_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.fit.set_model import SetModel, constant_form
from cellsim.model import equations
from cellsim.run.case import load_case, parse_case
from cellsim.run.simulation import simulate
from cellsim.solvers import banded, kernels
from cellsim.solvers.banded import Banded, wall_weights
from cellsim.solvers.compiled import CompiledRun
from cellsim.solvers.march import Options
from cellsim.solvers.packing import Physics, property_tables
from cellsim.solvers.solution import VARIABLES, interpolated
from cellsim.solvers.spectral import Spectral, clenshaw_curtis, spectral_grid
from cellsim.solvers.sundials import CvodeRun

RUNS = {"compiled": CompiledRun, "sundials": CvodeRun}
fast_solvers = pytest.mark.parametrize("solver", list(RUNS))
RS = Path(__file__).parents[3] / "cases/steinruck2020/rs.toml"
L = 1e-3


def kinetic_cell() -> Cell:
    return Cell(
        L,
        298.15,
        positive=Electrode(Resistance(np.array([1e-3])), ButlerVolmer(5.0, 1000.0)),
        negative=Electrode(
            Resistance(np.array([1e-3, 3e-3]), np.array([0.0, 500.0])), ButlerVolmer(4.0, 900.0, 0.3, 0.6)
        ),
        separator=Separator(0.5, 3.0),
    )


def curved_set() -> TransportSet:
    base = TransportSet.constant(kappa=0.5, D=3e-10, t_plus=0.3, V_e=1e-4, V_0=1e-4, c_range=(1.0, 5000.0))
    return replace(
        base,
        kappa_source=lambda c, m, r: 8e-4 * c * np.exp(-c / 1500),
        D_source=lambda c, m, r: 3e-10 * np.exp(-c / 2000),
        t_plus_source=lambda c, m, r: 0.4 - c / 1e4,
        chi_source=lambda c, m, r: 0.8 + (c / 2000) ** 2,
    )


def wave(grid: Spectral | Banded) -> np.ndarray:
    """Cumulated salt of c = c_init (1 - 0.6 sin(pi xi/2)): what is left of the middle has more salt."""
    xi = spectral_grid(grid.n, grid.fine).xi[1:-1] if isinstance(grid, Spectral) else grid._xi[1:-1]
    return 1.2 / np.pi * np.cos(np.pi * xi / 2)


def grids() -> list[Spectral | Banded]:
    physics = Physics(kinetic_cell(), curved_set(), 1000.0, 1.0, 1e-9)
    return [Spectral(physics, 40), Banded(physics, 2000, 2.5)]


@pytest.mark.parametrize("grid", grids(), ids=["spectral", "banded"])
@pytest.mark.parametrize("voltage", [0.4, -0.05])
def test_compiled_current_and_flux_are_those_of_the_equations(grid: Spectral | Banded, voltage: float) -> None:
    """The voltage law and the salt flux, with kinetics and a resistance that changes, against equations.py."""
    cell, transport, t = kinetic_cell(), curved_set(), 200.0
    data = grid.data(hold_voltage(voltage, 1000.0), 0.0, ())
    state = wave(grid)
    seen = grid.observe(np.array([t]), state[None], data)
    assert seen.wall[0] == pytest.approx([1600.0, 400.0], rel=1e-6)
    x, weights = np.polynomial.legendre.leggauss(200)
    c = 1000 * (1 - 0.6 * np.sin(np.pi * x / 2))
    resistance = float(np.sum(weights / transport.kappa(c)) * L / 2 / cell.separator.transport_factor)
    assert seen.resistance[0] == pytest.approx(resistance, rel=1e-5)  # measured: 1e-10 and 1e-6
    i = equations.VoltageLaw(cell, transport).current(voltage, resistance, 1600.0, 400.0, t)
    assert seen.i[0] == pytest.approx(i, rel=1e-5)
    rate = np.empty_like(state)
    assert grid.rate(t, state, rate, data)
    xi = spectral_grid(40).xi[1:-1] if isinstance(grid, Spectral) else grid._xi[1:-1]
    c, slope = 1000 * (1 - 0.6 * np.sin(np.pi * xi / 2)), -600 * np.pi / L * np.cos(np.pi * xi / 2)
    N = equations.salt_flux(cell.separator.transport_factor * transport.D(c), transport.migration(c), slope, i)
    expected = -N * 2 / (cell.separator.porosity * 1000 * L)
    assert np.max(np.abs(rate - expected)) <= 1e-5 * np.max(np.abs(expected))


@pytest.mark.parametrize("drive", [hold_voltage(0.4, 1000.0), hold_current(20.0, 1000.0)], ids=["voltage", "current"])
def test_jacobians_are_the_derivatives(drive: Step) -> None:
    physics = Physics(kinetic_cell(), curved_set(), 1000.0, 1.0, 1e-9)
    for grid in (Spectral(physics, 16), Banded(physics, 16, 1.0)):
        data, m = grid.data(drive, 0.0, ()), grid.unknowns + 1  # and the charge passed
        state, ds, h = np.append(wave(grid), 0.1), np.empty(m), 1e-6
        numeric = np.empty((m, m))
        for j in range(m):
            up, down = np.empty(m), np.empty(m)
            step = h * np.eye(m)[j]
            grid.rate(100.0, state + step, up, data)
            grid.rate(100.0, state - step, down, data)
            numeric[:, j] = (up - down) / (2 * h)
        if isinstance(grid, Spectral):
            J = np.empty((m, m))
            kernels.jacobian(100.0, state, ds, J, data)
        else:
            bands, per_i, per_s = np.zeros((3, m - 1)), np.zeros(m - 1), np.zeros(m - 1)
            charge = grid.physics.per_charge
            banded.linearise(100.0, state, data, bands, per_i, per_s)
            J = np.empty((m, m))
            out = np.empty(m)
            for j in range(m):
                banded.multiply(bands, per_i, per_s, charge, np.eye(m)[j], out)
                J[:, j] = out
            gamma, r = 3.0, np.sin(np.arange(m))
            banded.solve(bands, per_i, per_s, charge, gamma, r, out)
            assert out - gamma * J @ out == pytest.approx(r, abs=1e-10)
        assert np.max(np.abs(J - numeric)) <= 1e-6 * np.max(np.abs(numeric))  # measured: 1e-9


@pytest.mark.parametrize("name", list_sets())
def test_tables_agree_with_every_shipped_set(name: str) -> None:
    """Within the tolerance on average between the nodes."""
    transport = load_set(name)
    low, high = transport.c_range
    tables = property_tables(transport, low, high, 1e-6)
    assert tables.mean_error <= 1e-6
    assert property_tables(transport, low, high, 1e-6) is tables
    # W is summed along the nodes; the set's own integral, by other panels, is the measure, beyond both ends too
    wide = property_tables(transport.with_extrapolation("clamp"), 0.5 * low, 1.4 * high, 1e-6)
    x = np.linspace(np.log(0.6 * low), np.log(1.3 * high), 777)
    place = (x - wide.start) / wide.pitch
    k = place.astype(int)
    W = np.sum(wide.cubics[3, k] * (place - k)[:, None] ** np.arange(4), axis=1)
    assert pytest.approx(transport.potential_integral(np.exp(x)), abs=3e-6) == W


def test_a_set_of_which_one_property_moved_has_the_tables_that_it_has_alone() -> None:
    """To the last bit: rows are shared by what they depend on, and by nothing else."""
    values = {"D": 1e-11, "kappa": 0.1, "t_plus": 0.2, "chi": 1.5}
    forms = tuple(constant_form(*one, extra={"basis": "molal"} if one[0] == "chi" else {}) for one in values.items())
    model = SetModel(read_set("steinruck2020_rs"), forms)

    def cubics(of: SetModel, changed: dict[str, float]) -> np.ndarray:
        return property_tables(of.at(values | changed, 363.15), 1.0, 3000.0, 1e-6).cubics

    first = cubics(model, {})
    for name, rows in (("D", [0]), ("kappa", [2]), ("t_plus", [1, 3]), ("chi", [3])):
        change = {name: 1.1 * values[name]}
        moved = cubics(model, change)
        assert np.array_equal(moved, cubics(SetModel(read_set("steinruck2020_rs"), forms), change))
        assert [k for k in range(4) if not np.array_equal(moved[k], first[k])] == rows
    assert np.array_equal(cubics(model, {}), first)


def test_profiles_between_the_points_of_a_grid() -> None:
    """As numpy's own, row by row, whether the grids stand still or move; outside there is nothing."""
    rng = np.random.default_rng(2)
    x, values = np.sort(rng.random(9)), rng.random((4, 9))
    places = np.concatenate([rng.random((4, 5)), np.tile([x[0], x[-1], x[4], -0.1, 1.1], (4, 1))], axis=1)
    rows = np.array([np.interp(p, x, v, left=np.nan, right=np.nan) for p, v in zip(places, values, strict=True)])
    for grid in (np.broadcast_to(x, values.shape), np.tile(x, (4, 1))):
        assert interpolated(places, grid, values) == pytest.approx(rows, rel=1e-13, nan_ok=True)


def test_grid_operators() -> None:
    """Differentiation and quadrature of what the grid can represent, and of a smooth function."""
    grid = spectral_grid(32)
    xi = grid.xi[1:-1]
    s = np.cos(np.pi * xi / 2)
    fine = np.cos(np.pi - np.pi * np.arange(65) / 64)
    assert grid.to_c @ s == pytest.approx(-np.pi / 2 * np.sin(np.pi * fine / 2), abs=1e-11)
    assert grid.to_slope @ s == pytest.approx(-((np.pi / 2) ** 2) * s, abs=1e-9)
    resolved = Spectral(Physics(Cell(L, 298.15), curved_set(), 1000.0, 1.0, 1e-9), 32)
    seen = resolved.observe(np.zeros(1), 0.3 * s[None], resolved.data(rest(1.0), 0.0, ()))
    assert seen.tail[0] <= 1e-11  # of a sine with two thirds of the average salt at one wall: resolved to rounding
    assert np.sum(clenshaw_curtis(16) * np.exp(spectral_grid(16).xi)) == pytest.approx(np.e - 1 / np.e, rel=1e-14)
    widths = np.array([1.0, 2.0, 4.0])
    edges = np.array([0.0, 1.0, 3.0, 7.0])
    averages = np.diff(2 * edges + edges**2 - edges**3 / 3) / widths  # of 2 + 2x - x^2
    assert wall_weights(widths) @ averages == pytest.approx(2.0, rel=1e-13)


def protocol_of_all() -> Protocol:
    table = Step("current", np.array([0.0, 3.0, 3.0, -1.0]), 600.0, np.array([0.0, 200.0, 400.0, 600.0]))
    return Protocol(
        (
            hold_voltage(0.1, 4000.0, StopConditions(current_below=0.8)),
            rest(2000.0, StopConditions(voltage_below=0.001)),
            hold_current(3.0, 3000.0, StopConditions(voltage_above=0.033)),
            table,
            hold_voltage(-0.1, 3000.0, StopConditions(current_rate_below=1e-3)),
            rest(10000.0),
            hold_current(2.0, 40000.0, StopConditions(c_above=1050.0)),
        )
    )


@fast_solvers
def test_every_kind_of_step_and_stop(solver: str) -> None:
    """The steps follow each other as FiPy's do, and end where their conditions are met."""
    transport = TransportSet.constant(kappa=0.5, D=3e-10, t_plus=0.3, chi=1.5, V_e=1e-4, V_0=1e-4)
    cell = replace(kinetic_cell(), positive=Electrode(), negative=Electrode(kinetic_cell().negative.resistance))
    s = simulate(cell, transport, protocol_of_all(), c0=1000.0, solver=solver)
    f = simulate(cell, transport, protocol_of_all(), c0=1000.0, solver="fipy", times=[1.0], options=Options(40, 5e-4))
    assert [e["ended_by"] for e in s.log] == [e["ended_by"] for e in f.log]
    assert s.status == f.status == "stopped"
    for a, b in zip(s.log, f.log, strict=True):
        assert a["t_end"] - a["t_start"] == pytest.approx(b["t_end"] - b["t_start"], rel=0.05)
    first, last = (np.flatnonzero(s["step"] == 0)[k] for k in (0, -1))
    assert s["i"][last] == pytest.approx(0.8 * s["i"][first], rel=1e-6)
    assert s["V"][s["step"] == 2][-1] == pytest.approx(0.033, rel=1e-6)
    assert s["c_face"][-1].max() == pytest.approx(1050.0, rel=1e-8)
    assert np.all(np.diff(s["time"]) > 0)
    assert s.salt_drift <= 1e-12


@fast_solvers
def test_lazy_result_is_complete_and_travels(solver: str, tmp_path: Path) -> None:
    case = load_case(RS)
    s = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver=solver)
    assert list(s.arrays) == list(VARIABLES)
    assert len(s.arrays) == len(VARIABLES)
    with pytest.raises(KeyError):
        s["nonsense"]
    again = pickle.loads(pickle.dumps(s))
    for name in VARIABLES:
        assert np.array_equal(again[name], s[name], equal_nan=True)
    s.to_netcdf(tmp_path / "s.nc")
    assert s.dataset["c"].shape == (200, 160)
    x = s["x"]
    assert x[0] + x[-1] == pytest.approx(case.cell.thickness, rel=1e-12)


@fast_solvers
def test_progress_gives_the_same_numbers(solver: str) -> None:
    """Watched output by output: the integrator's steps are the same, so are the results."""
    case = load_case(RS)
    seen: list[float] = []
    a = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver=solver, progress=seen.append)
    b = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver=solver)
    assert seen[-1] == pytest.approx(1.0)
    assert np.max(np.abs(a["i"] / b["i"] - 1)) <= 1e-3


@fast_solvers
def test_an_interrupt_keeps_what_was_done(solver: str) -> None:
    case = load_case(RS)

    def stop_half_way(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    s = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver=solver, progress=stop_half_way)
    assert s.status == "interrupted"
    assert 0.4 <= s["time"][-1] / case.protocol.duration <= 0.6
    assert s["c"].shape[0] == s["time"].size


@fast_solvers
def test_a_case_file_chooses_it(solver: str) -> None:
    text = RS.read_text(encoding="utf-8") + f'\n[solver]\nname = "{solver}"\n'
    case = parse_case(text, RS)
    s = simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver=case.solver.name)
    assert s.attributes["solver"] == solver


@fast_solvers
def test_too_many_steps_is_not_converged(solver: str) -> None:
    case = load_case(RS)
    s = simulate(
        case.cell, case.transport, case.protocol, c0=case.c0, solver=solver,
        times=[60000.0], options=Options(max_steps=20),
    )  # fmt: skip
    assert s.status == "not_converged"
    assert "step 1" in s.message
    assert s["time"].size >= 1


@fast_solvers
@pytest.mark.parametrize("times", [None, [100.0], [1.0, 3.0, 100.0]])
def test_charge_does_not_depend_on_the_output_times(times: list[float] | None, solver: str) -> None:
    """The charge is integrated along: the interface shift is FiPy's, -1.7202e-6 m, whatever is asked for."""
    transport = TransportSet.constant(kappa=1.0, D=3e-10, t_plus=0.3, chi=1.2, V_e=5e-5, V_0=1e-4)
    protocol = Protocol((hold_voltage(0.05, 100.0),))
    s = simulate(Cell(2e-4, 298.15), transport, protocol, c0=1000.0, solver=solver, times=times)
    assert s["interface_shift"][-1] == pytest.approx(-1.7202e-6, rel=1e-3)  # measured: 2e-4 from FiPy, 1e-7 apart
    shift_charge = s["interface_shift"][-1] / equations.interface_velocity(1.0, Cell(2e-4, 298.15).V_metal, 1)
    physics = Physics(Cell(2e-4, 298.15), transport, 1000.0, 1e-3, 1e-7)
    asked = np.array([100.0] if times is None else times)
    run = RUNS[solver](Banded(physics, 160, 2.5), protocol, asked, {}, Options(), None).go()
    assert run.states[-1][-1, -1] / physics.per_charge == pytest.approx(shift_charge, rel=1e-3)


def simple_set() -> TransportSet:
    return TransportSet.constant(kappa=1.0, D=3e-10, t_plus=0.3, chi=1.2, V_e=5e-5, V_0=1e-4)


@fast_solvers
@pytest.mark.parametrize(("duration", "rtol"), [(300.0, 2e-5), (300.0, 3e-4), (1.0, 2e-5)])
def test_sudden_depletion_is_judged_where_it_happens(duration: float, rtol: float, solver: str) -> None:
    """The last millionth of the salt, long before a thousandth of the step: 0.064216 s at 1e-8, any degree."""
    s = simulate(
        Cell(2e-4, 298.15), simple_set(), Protocol((hold_voltage(2.0, duration),)), c0=1000.0, solver=solver,
        options=Options(rtol=rtol),
    )  # fmt: skip
    assert s.status == "depleted"
    assert s["time"][-1] == pytest.approx(0.064216, rel=0.01)  # measured: 1e-4


@fast_solvers
@pytest.mark.parametrize(
    ("step", "name"),
    [
        (hold_current(1.0, 100.0, StopConditions(c_below=1200.0)), "c_below"),
        (hold_current(1.0, 100.0, StopConditions(c_above=900.0)), "c_above"),
        (hold_current(1.0, 100.0, StopConditions(voltage_above=-0.1)), "voltage_above"),
        (hold_voltage(0.01, 100.0, StopConditions(voltage_below=0.01)), "voltage_below"),
        (rest(100.0, StopConditions(current_below=0.5)), "duration"),
        (hold_voltage(0.0, 100.0, StopConditions(current_below=0.5)), "duration"),
        (rest(100.0, StopConditions(current_rate_below=1.0)), "duration"),
    ],
)
@pytest.mark.parametrize("first", [(), (rest(10.0),)], ids=["first", "second"])
def test_stop_conditions_met_at_the_start_end_the_step_at_once(
    step: Step, name: str, first: tuple[Step, ...], solver: str
) -> None:
    protocol = Protocol((*first, step, hold_current(0.1, 10.0)))
    s = simulate(Cell(2e-4, 298.15), simple_set(), protocol, c0=1000.0, solver=solver)
    entry = s.log[len(first)]
    assert entry["ended_by"] == name
    expected = 100.0 if name == "duration" else 0.0
    assert entry["t_end"] - entry["t_start"] == pytest.approx(expected, abs=1e-9)
    assert s.status == "done"
    assert np.all(np.diff(s["time"]) > 0)


@fast_solvers
def test_saturation_ends_no_run_without_a_volume_balance(solver: str) -> None:
    base = TransportSet.constant(kappa=0.1, D=3e-10, t_plus=0.3, V_e=5e-4, V_0=1e-4, c_range=(1.0, 1900.0))
    clamped, cell = base.with_extrapolation("clamp"), Cell(2e-4, 298.15)
    runs = [
        simulate(cell, transport, Protocol((hold_current(i, 2000.0),)), c0=1900.0, solver=solver)
        for transport, i in ((clamped, 3000.0), (clamped.with_motion("none"), 300.0))
    ]
    assert [s.status for s in runs] == ["out_of_range", "done"]
    rise = 300.0 * 0.7 * 2e-4 / (2 * F * 3e-10)  # of the linear steady profile, 725 mol/m^3
    assert runs[1]["c_face"][-1].max() == pytest.approx(1900.0 + rise, rel=1e-4)  # saturation would be 2000


@pytest.mark.parametrize("high", [2000.0, 40_000.0])
def test_tables_have_their_corners_where_the_range_of_a_set_ends(high: float) -> None:
    """Beyond the range values are held; a cubic across that corner had 6e-4 of D on 4096 intervals."""
    base = TransportSet.constant(kappa=1.0, D=1e-10, t_plus=0.3, T=298.15, c_range=(200.0, 2000.0))
    transport = replace(base, D_source=lambda c, m, r: 1e-10 * (c / 1000.0) ** -1.5)
    tables = property_tables(transport, 1.0, high, 1e-6)
    ends = [c * np.exp(x) for c in (200.0, 2000.0) for x in (-3e-3, -1e-4, 0.0, 1e-4, 3e-3)]
    inside = np.array([c for c in ends if c < high])
    u = (np.log(inside) - tables.start) / tables.pitch
    k = np.minimum(u.astype(int), tables.cubics.shape[1] - 1)
    found = np.einsum("kj,kj->k", tables.cubics[0, k], (u - k)[:, None] ** np.arange(4))
    exact = 1e-10 * (np.clip(inside, 200.0, 2000.0) / 1000.0) ** -1.5
    assert found == pytest.approx(exact, rel=2e-7)
    assert tables.cubics.shape[1] < 1200
