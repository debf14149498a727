import numpy as np
import pytest
from fit_toys import BASE, CELL, Function, T, toy, with_observation

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, Step, hold_current, hold_voltage
from cellsim.fit.experiment import NO_PREDICTION, Experiment, Observation
from cellsim.fit.parameters import Parameter, Prior, Space
from cellsim.fit.problem import Problem, synthetic
from cellsim.fit.set_model import SetModel, constant_form
from cellsim.instruments.looks import SetLook
from cellsim.instruments.measurement import ConcentrationMap, series
from cellsim.instruments.noise import independent
from cellsim.solvers.march import Options

X = np.linspace(0, 2, 9)


def decay():
    parameters = [Parameter("A", 2.0, logarithmic=True, prior=Prior(2.0, 0.3)), Parameter("k", 1.0, typical=0.5)]
    return toy(lambda v: v["A"] * np.exp(-v["k"] * X), 2 * np.exp(-X), parameters, sd=0.05)


def test_derivatives_against_the_closed_form():
    p = decay()
    u = np.array([np.log(2.2), 2.4])
    v = p.space.values(u)
    y = v["A"] * np.exp(-v["k"] * X)
    exact = np.vstack([np.column_stack([-y, X * y * 0.5]) / 0.05, [[1 / 0.3, 0.0]]])
    found = p.jacobian(u)
    # the curvature error of central differences, step^2/6 f''': 7e-5 in ln A, 4e-4 x in k
    assert np.max(np.abs(found - exact)) < 3e-4 * np.max(np.abs(exact))
    assert p.jacobian(u, columns=np.array([1]))[:, 0] == pytest.approx(found[:, 1], rel=1e-13)


def test_one_sided_where_a_run_cannot_be_made():
    p = toy(
        lambda v: np.sqrt(v["k"] - 1.0) * np.ones(4) if v["k"] >= 1 else np.full(4, np.nan),
        np.ones(4),
        [Parameter("k", 2.0)],
    )
    found = p.jacobian(np.array([1.01]))  # 0.99 cannot be made
    assert found[:, 0] == pytest.approx(-(np.sqrt(0.03) - np.sqrt(0.01)) / 0.02, rel=1e-9)


def test_levels_divide_the_data_not_the_priors():
    p = decay()
    u = np.array([0.5, 1.0])
    one, two = p.residuals(u), p.residuals(u, np.array([2.0]))
    assert two[:-1] == pytest.approx(one[:-1] / 2, rel=1e-14) and two[-1] == one[-1] == (0.5 - np.log(2)) / 0.3


def test_free_levels_are_found_at_a_point():
    rng = np.random.default_rng(0)
    y = 1 + 0.3 * rng.standard_normal(400)
    p = with_observation(
        toy(lambda v: np.full(400, v["m"]), y, [Parameter("m", 1.0)]), noise=independent(np.full(400, 0.1), free=True)
    )
    assert p.noise_levels(np.array([y.mean()]))[0] == pytest.approx(np.std(y, ddof=1) / 0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Problem(Space((Parameter("a", 1.0),)), SetModel(BASE), (look(),)),
            "the parameter a changes nothing that was measured; take it out",
        ),
        (
            lambda: Problem(Space((Parameter("a", 1.0),)), SetModel(BASE), (look({"gain": "g"}),)),
            "'g' is no parameter of this fit; there are a",
        ),
        (lambda: Experiment("cell", CELL, None, 1e3, ()), "experiment cell: it has no data; name some under data"),
        (
            lambda: Experiment("cell", CELL, None, 1e3, look().observations, {"width": "w"}),
            "'width' is no nuisance of a cell: area, R_int",
        ),
        (
            lambda: Experiment("cell", CELL, None, 1e3, look().observations, {"R_int": "a", "R_positive": "b"}),
            "give R_int for both interfaces together, or R_positive and R_negative",
        ),
        (
            lambda: Experiment("cell", CELL, None, 1e3, look().observations, {"area": "a"}),
            "area as a nuisance needs cell.area in the case",
        ),
    ],
)
def test_bad_problems(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def look(nuisance=None):
    sees = Function(lambda v: np.ones(2))
    noise, none = independent(np.ones(2)), np.zeros(0)
    o = Observation("conductivity", "kappa", np.ones(2), sees, noise, none, nuisance=nuisance or {})
    return Experiment("set", CELL, None, 1000.0, (o,))


def test_looks_at_the_set_alone():
    c = np.array([500.0, 1500.0])
    transport = BASE.bind(T).with_extrapolation("clamp")
    assert SetLook("conductivity", c).predict(transport, None, {}) == pytest.approx(transport.kappa(c), rel=1e-14)
    rho = SetLook("current_fraction", c).predict(transport, None, {})
    F, R = 96485.33212, 8.314462618
    Ne = (
        2 * transport.kappa(c) * R * T * (1 - transport.t_plus(c)) ** 2 * transport.chi(c) / (F**2 * transport.D(c) * c)
    )
    assert rho == pytest.approx(1 / (1 + Ne), rel=1e-9)
    U = SetLook("potential", c, 500.0).predict(transport, None, {})
    assert U[0] == pytest.approx(0, abs=1e-12) and U[1] > 0


# ---- with a cell --------------------------------------------------------------------------------------------------


def cell_problem(solver="sundials", rtol=1e-7):
    forms = (constant_form("kappa", 0.13), constant_form("D", 1e-10))
    model = SetModel(BASE, forms)
    electrode = Electrode(Resistance(np.array([0.002])))
    cell = Cell(3e-4, T, positive=electrode, negative=electrode, area=1e-4)
    times, x = np.array([0.0, 50.0, 120.0, 300.0]), np.array([0.5e-4, 1.5e-4, 2.5e-4])
    o_i = Observation.of(series("current", times, np.ones(4), error=0.1), {"gain": "gain"})
    o_c = Observation.of(ConcentrationMap(times, x, np.ones((4, 3)), np.full((4, 3), 10.0)).measurement(1600.0))
    e = Experiment(
        "cell",
        cell,
        Protocol((hold_voltage(0.02, 300.0),)),
        1600.0,
        (o_i, o_c),
        {"R_int": "R", "area": "area"},
        solver=solver,
        options=Options(rtol=rtol),
    )
    space = Space(
        (
            *model.parameters,
            Parameter("R", 0.004, "ohm m^2", True),
            Parameter("area", 1e-4, "m^2", True),
            Parameter("gain", 1.0),
        )
    )
    return Problem(space, model, (e,))


def test_nuisances_of_cell_and_instrument():
    p = cell_problem()
    u = p.space.start
    i, c = p.predictions(u)
    more = {"gain": 1.5, "area": 1.2e-4}
    i_2, c_2 = p.predictions(p.space.point(more))
    assert i_2 == pytest.approx(1.8 * i, rel=1e-9)  # density by the nominal area, times the gain
    assert c_2 == pytest.approx(c, rel=1e-9)
    i_3, _ = p.predictions(p.space.point({"R": 0.008}))  # R_int is the total
    resistance = 3e-4 / 0.13
    assert i_3[0] / i[0] == pytest.approx((resistance + 0.004) / (resistance + 0.008), rel=1e-6)
    assert i[0] == pytest.approx(0.02 / (resistance + 0.004), rel=1e-6)


def test_kept_runs_give_the_same_numbers(monkeypatch):
    p, count = cell_problem(), []
    run = Experiment.run
    monkeypatch.setattr(Experiment, "run", lambda self, *a: count.append(1) or run(self, *a))
    u, moved = p.space.start, p.space.point({"gain": 1.1})
    first, second = p.residuals(u), p.residuals(moved)
    assert len(count) == 1  # the gain needs no new run
    assert p.residuals(u) == pytest.approx(first, rel=1e-14) and len(count) == 1
    fresh = cell_problem()
    assert fresh.residuals(moved) == pytest.approx(second, rel=1e-12)
    for k in range(20):  # more than are kept
        p.residuals(p.space.point({"D": 1e-10 * (1 + 0.01 * k)}))
    assert len(p._runs) <= 8 and p.residuals(u) == pytest.approx(first, rel=1e-12)


def test_derivatives_of_a_run_against_other_differences():
    p = cell_problem()
    u = p.space.start
    found = p.jacobian(u)
    e = 0.04 * np.eye(u.size)
    other = np.column_stack(
        [
            (8 * (p.residuals(u + x) - p.residuals(u - x)) - (p.residuals(u + 2 * x) - p.residuals(u - 2 * x))) / 0.48
            for x in e
        ]
    )
    assert np.max(np.abs(found - other)) < 3e-4 * np.max(np.abs(other))  # 1.1e-4: a second against a fourth order


def test_the_material_solver_predicts_the_same():
    u = cell_problem().space.start
    ours, other = (np.concatenate(cell_problem(s, 1e-4).predictions(u)) for s in ("sundials", "material"))
    assert ours == pytest.approx(other, rel=2e-4)  # 7.5e-5


def test_a_cell_that_cannot_be_run_is_far_away_not_an_error():
    p = cell_problem()
    u = p.space.point({"kappa": np.inf})
    assert np.all(np.isnan(np.concatenate(p.predictions(u))))
    assert p.residuals(u) == pytest.approx(np.full(16, NO_PREDICTION), rel=1e-14)


def test_some_points_only():
    p = cell_problem()
    keep = [np.array([True, False, True, True]), np.zeros(12, dtype=bool)]
    some = p.only(keep)
    assert some.size == 3 and len(some.observations) == 1
    u = p.space.start
    assert some.residuals(u) == pytest.approx(p.residuals(u)[[0, 2, 3]], rel=1e-12)


def test_synthetic_data_are_the_predictions_and_their_noise():
    p = cell_problem()
    u = p.space.point({"D": 1.2e-10})
    clean = synthetic(p, u, None)
    assert clean.residuals(u) == pytest.approx(np.zeros(16), abs=1e-12)
    first, again = (synthetic(p, u, np.random.default_rng(4)).residuals(u) for _ in range(2))
    assert np.array_equal(first, again) and 0.4 < np.std(first) < 1.8
    with pytest.raises(InputError, match="the run does not reach all points at these values"):
        synthetic(p, p.space.point({"kappa": np.inf}), None)


# ---- derivatives from runs that share their time steps --------------------------------------------------------------


HELD, DRIVEN = hold_voltage(0.3, 30_000.0), hold_current(20.0, 30_000.0)


def polarised(solver: str, rtol: float, *, offset: bool = False, step: Step = HELD) -> Problem:
    """Currents and profiles of a cell; D, kappa, the interfaces and the gain of the profiles are to be found."""
    transport = BASE.bind(T)
    cell = Cell(3e-3, T, positive=Electrode(resistance=Resistance(np.array([0.02]))))
    forms = (constant_form("D", 1.5e-11), constant_form("kappa", 0.1))
    times = np.array([300.0, 1500.0, 6000.0, 20_000.0])
    current = Observation.of(series("current", times, np.ones(4), error=0.01))
    profiles = ConcentrationMap(times, np.array([0.3e-3, 1e-3, 2.5e-3]), np.ones((4, 3)), 10.0 * np.ones((4, 3)))
    seen = Observation.of(profiles.measurement(0.0), {"gain": "gain"} | ({"time_offset": "late"} if offset else {}))
    more = [Parameter("R", 0.04, "ohm m^2", True), Parameter("gain", 1.0, logarithmic=True)]
    more += [Parameter("late", 60.0, "s", typical=600.0)] if offset else []
    e = Experiment(
        *("held", cell, Protocol((step,)), transport.c_of(r=0.08), (current, seen)),
        nuisance={"R_int": "R"},
        solver=solver,
        options=Options(rtol=rtol, cells=80),
    )
    model = SetModel(BASE, forms)
    return Problem(Space((*model.parameters, *more)), model, (e,))


@pytest.mark.parametrize("offset", [False, True])
def test_derivatives_from_shared_time_steps_are_those_of_exact_runs(offset):
    fast, exact = polarised("compiled", 1e-5, offset=offset), polarised("sundials", 1e-7, offset=offset)
    u = fast.space.start
    found, reference = fast.jacobian(u), exact.jacobian(u)
    size = np.linalg.norm(reference, axis=0)
    # measured: 1e-5 to 6.6e-5; that of the gain is the curvature error of the reference, which takes differences
    assert np.all(np.linalg.norm(found - reference, axis=0) < 2e-4 * size)
    assert fast.together and not exact.together
    some = fast.jacobian(u, columns=np.array([2, 0]))
    assert np.array_equal(some, found[:, [2, 0]])
    for slopes, o in zip(fast.slopes(u), fast.observations, strict=True):
        rows = np.column_stack([-o.noise.whiten(column) for column in slopes.T])
        place = 0 if o is fast.observations[0] else 4
        assert rows == pytest.approx(found[place : place + o.size], rel=1e-6, abs=1e-6 * np.max(size))


def test_derivatives_where_the_run_ends_before_the_data():
    p = polarised("compiled", 1e-5, step=DRIVEN)
    u = p.space.start
    missing = ~np.isfinite(p.predictions(u)[1])
    assert 0 < np.count_nonzero(missing) < missing.size
    J, reference = p.jacobian(u), polarised("sundials", 1e-7, step=DRIVEN).jacobian(u)
    assert np.all(J[4:][missing] == 0)
    # measured: 6.6e-5
    assert np.max(np.abs(J - reference)) < 2e-4 * np.max(np.abs(reference))


def test_differences_where_the_steps_cannot_be_shared(monkeypatch):
    p = polarised("compiled", 1e-5)
    u = p.space.start
    by_tangents = p.jacobian(u)

    def refuse(*arguments: object, **more: object) -> None:
        raise InputError("not here")

    monkeypatch.setattr("cellsim.fit.experiment.simulate_beside", refuse)
    by_differences = p.jacobian(u)
    assert not np.array_equal(by_tangents, by_differences)
    # measured: 6.3e-5, the curvature over the step of the differences
    assert np.max(np.abs(by_tangents - by_differences)) < 2e-4 * np.max(np.abs(by_differences))
