"""A fit's file and a design's file: what is read from them, and what they refuse, in one sentence."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.electrolyte.set_file import parse_set
from cellsim.fit.descent import inverse
from cellsim.fit.design import design, read_design
from cellsim.fit.estimate import Estimate
from cellsim.fit.problem import Problem
from cellsim.fit.property_bands import visited
from cellsim.fit.recipe import read_recipe
from cellsim.fit.report import FitResult, fitted_set, run_fit
from cellsim.fit.rivals import rivals, verdict
from cellsim.instruments.data import read_measurements
from cellsim.instruments.measurement import Measurement
from cellsim.run.case import Case, load_case
from cellsim.run.folder import predict

EXAMPLE = Path(__file__).parents[3] / "cases" / "fit_example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped example, to be changed."""
    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def changed(folder: Path, old: str, new: str, name: str = "fit.toml") -> Path:
    """The file with one piece replaced."""
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder / name


def test_the_example_is_read_as_it_says() -> None:
    problem = read_recipe(EXAMPLE / "fit.toml").problem
    assert problem.space.names == ("kappa factor", "D.k0", "D.a1", "t_plus", "chi factor", "R_int")
    assert [o.size for o in problem.observations] == [46, 600]
    prior = problem.space.parameters[-1].prior
    assert prior is not None and (prior.mean, prior.sd) == (0.04, 0.1)
    current, profiles = problem.observations
    assert np.ptp(current.noise.own) == 0 and current.noise.own[0] == pytest.approx(
        0.01 * np.mean(current.value), rel=1e-12
    )
    assert profiles.noise.own[0] == pytest.approx(37.4, rel=1e-12)  # mol/m^3, as in the file


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[fit.kappa]", "[fit.kapa]", "kapa"),
        ('form = "constant"', 'form = "constnt"', "form"),
        ("degree = 1", "degree = 7", "degree 7"),
        ("degree = 1", "", "degree"),
        ('variable = "r"', 'variable = "x"', "variable"),
        ("start = 0.3", "start = 0.3\nmin = 0.4", "outside its bounds"),
        ("start = 0.3", 'start = "0.3 V"', "t_plus.start"),
        ('file = "current.csv"', 'file = "courant.csv"', "courant.csv"),
        ('case = "cell.toml"', 'case = "sell.toml"', "names no file"),
        ('error = "1 %"', 'error = "1 V"', "error"),
        ('error = "1 %"', 'error = "-1 %"', "error"),
        (', error = "1 %"', "", "states no errors"),
        ('error = "1 %"', 'error = "1 %", from = "20 h"', "no point lies"),
        ("[nuisance.R_int]", "[nuisance.Rint]", "role"),
        ('prior_sd = "10 %"', 'prior_sd = "10 %"\nexperiments = ["two"]', "no experiment"),
        ('start = "0.04 ohm m^2"', "", "start"),
        ("[[experiment]]", "[[experiments]]", "experiments"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(folder: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_recipe(changed(folder, old, new))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize("early", [False, True])
def test_what_a_step_imposes_is_no_data(folder: Path, early: bool) -> None:
    """A hold of an hour and a rest in one file of t, U, I: each quantity counts where the case leaves it free.

    Where the hold ends early, by the current that the hold alone reaches after half an hour, the rest begins there.
    """
    alone = predict(load_case(folder / "cell.toml"), solver="sundials")
    limit = float(np.interp(1800.0, alone["time"], alone["i"]) / alone["i"][0])
    stop = f"stop = {{ current_below = {limit!r} }}\n" if early else ""
    cell = (folder / "cell.toml").read_text().split("[[step]]")[0]
    hold = f'[[step]]\nhold = "voltage"\nvalue = "0.3 V"\nduration = "1 h"\n{stop}'
    (folder / "cell.toml").write_text(cell + hold + '[[step]]\nhold = "rest"\nduration = "1 h"\n')
    t = np.arange(0.0, 7201.0, 60.0)
    on = t <= 3600
    I, U = np.where(on, 2.0, 0.0), np.where(on, 0.3, 0.05)
    rows = "".join(f"{a},{b},{c}\n" for a, b, c in zip(t, U, I, strict=True))
    (folder / "all.csv").write_text("time (s),U (V),i (A/m^2)\n" + rows)
    recipe = changed(folder, 'file = "current.csv", error = "1 %"', 'file = "all.csv", error = "0.5 %"')
    recipe.write_text(recipe.read_text().replace('    { file = "profiles.csv" },', "    #"))
    (experiment,) = read_recipe(recipe).problem.experiments
    free = {o.kind: o for o in experiment.observations}
    if early:
        assert abs(free["current"].time[-1] - 1800) <= 61 and free["voltage"].time[0] - free["current"].time[-1] <= 120
        return
    assert free["current"].time.tolist() == t[t < 3600].tolist()
    assert free["voltage"].time.tolist() == t[t > 3600].tolist()
    np.testing.assert_allclose(free["current"].noise.own, 0.01, rtol=1e-12)  # 0.5 % of 2, not of a mean with zeros
    np.testing.assert_allclose(free["voltage"].noise.own, 0.005 * 0.05, rtol=1e-12)
    assert "61 where the case imposes the current" in free["current"].notes[0]


def test_where_kappa_and_an_interface_share_one_resistance_their_sum_is_printed(folder: Path) -> None:
    """By Ohm's law: the voltage over the first current of a run at the same values."""
    text = (folder / "fit.toml").read_text().split("[fit.D]")[0].replace('    { file = "profiles.csv" },', "    #")
    path = folder / "fit.toml"
    path.write_text(text + '[nuisance.R_int]\nstart = "0.04 ohm m^2"\n')
    recipe = read_recipe(path)
    problem, u = recipe.problem, recipe.problem.space.start
    fit = Estimate(problem, u, problem.jacobian(u), problem.residuals(u), problem.levels)
    (line,) = (x for x in FitResult(recipe, fit, (), {}).lines() if "thickness/kappa" in x)
    value, error = (float(x) for x in line.split(": ")[-1].removesuffix(" ohm m^2").split(" +/- "))
    first = predict(load_case(folder / "cell.toml"), solver="sundials")["i"][0]
    assert value == pytest.approx(0.3 / first, rel=1e-4)
    alone = fit.errors["R_int"]
    assert error < 0.2 * alone  # the sum is held where its parts are not


@pytest.mark.slow
def test_a_fit_says_which_data_set_it_misses_and_what_would_make_it_fit(folder: Path) -> None:
    """Reversed leads in one of two sets, at the start of the fit."""
    text = (folder / "current.csv").read_text()
    (folder / "current.csv").write_text(re.sub(r"(?m)^([\d.]+),", r"\1,-", text))
    recipe = read_recipe(folder / "fit.toml")
    problem, u = recipe.problem, recipe.problem.space.start
    fit = Estimate(problem, u, np.eye(problem.size + 1, u.size), problem.residuals(u), problem.levels)
    said = [line for line in FitResult(recipe, fit, (), {}).agreement() if line.startswith("current.csv")]
    assert "the model misses this data set" in said[0] and "reversed" in said[1]


@pytest.mark.slow
def test_a_run_that_ends_before_its_data_gives_no_verdict(folder: Path) -> None:
    """A current that empties the cell after an hour, voltages of three: whatever D within 1 %, the run ends before."""
    cell = (folder / "cell.toml").read_text().split("[[step]]")[0]
    (folder / "cell.toml").write_text(cell + '[[step]]\nhold = "current"\nvalue = "12 A/m^2"\nduration = "20 h"\n')
    alone = predict(load_case(folder / "cell.toml"), solver="sundials")
    end = float(alone["time"][-1])
    assert alone.status == "depleted"
    rows = "".join(f"{t},{0.5 + 1e-5 * t}\n" for t in np.linspace(0.1, 3.0, 30) * end)
    (folder / "v.csv").write_text("time (s),U (V)\n" + rows)
    D = float(load_case(folder / "cell.toml").transport.D(1600.0))
    (folder / "fit.toml").write_text(
        '[[experiment]]\ncase = "cell.toml"\ndata = [{ file = "v.csv", error = "10 mV" }]\n[fit.D]\nform = "constant"\n'
        f'start = "{D!r} m^2/s"\nmin = "{0.99 * D!r} m^2/s"\nmax = "{1.01 * D!r} m^2/s"\n'
    )
    result = run_fit(read_recipe(folder / "fit.toml"), folder / "out", starts=1)
    assert result.profiles == {} and result.unknown == ("D",)
    said = next(line for line in result.lines() if "the run ends at" in line)
    assert float(said.split("ends at ")[1].split()[0]) == pytest.approx(end, rel=0.1)  # D constant, not the set's table
    assert "(depleted" in said and "of 30 points have no prediction" in said
    assert "no verdict" in result.lines()[-1] and len(result.numbers()["ended_early"]) == 1


def test_a_spline_outside_the_range_is_refused(folder: Path) -> None:
    path = changed(folder, 'form = "constant"\nstart = 0.3', 'form = "spline"\nknots = { r = [0.05, 0.5] }')
    with pytest.raises(InputError, match="inside the set's range"):
        read_recipe(path)


def test_a_nuisance_that_acts_on_nothing_is_refused(folder: Path) -> None:
    path = folder / "fit.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[nuisance.velocity_scale]\n", encoding="utf-8")
    with pytest.raises(InputError, match="changes nothing that was measured"):
        read_recipe(path)


def test_a_set_without_covariance_has_no_numbers_of_its_own(folder: Path) -> None:
    text = (folder / "fit.toml").read_text(encoding="utf-8")
    head, _, _ = text.partition("[fit.kappa]")
    (folder / "fit.toml").write_text(head + '[fit]\nprior = "set"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"no \[covariance\]"):
        read_recipe(folder / "fit.toml")


def test_points_of_a_concentration_cell_and_conductivities_join_a_fit(folder: Path) -> None:
    (folder / "U.csv").write_text("r,U (mV)\n0.06,40\n0.08,20\n0.12,-18\n", encoding="utf-8")
    (folder / "kappa.csv").write_text("c (mol/L),kappa (mS/cm),error (mS/cm)\n1.5,1.4,0.05\n2.0,1.5,0.05\n")
    path = folder / "fit.toml"
    extra = (
        '\n[[points]]\nkind = "potential"\nfile = "U.csv"\nreference = { r = 0.1 }\nerror = "1 mV"\n'
        '\n[[points]]\nkind = "conductivity"\nfile = "kappa.csv"\n'
    )
    path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
    problem = read_recipe(path).problem
    potential, conductivity = problem.observations[2:]
    assert potential.value == pytest.approx([0.04, 0.02, -0.018], rel=1e-12)
    assert conductivity.value == pytest.approx([0.14, 0.15], rel=1e-12)
    predicted = problem.predictions(problem.space.start)[2]
    assert np.sign(predicted).tolist() in ([1, 1, -1], [-1, -1, 1])
    path.write_text(path.read_text(encoding="utf-8").replace("reference = { r = 0.1 }\n", ""), encoding="utf-8")
    with pytest.raises(InputError, match="needs reference"):
        read_recipe(path)


def test_the_fitted_set_reads_back_as_what_was_fitted() -> None:
    """Written as TOML and read by the ordinary reader: the same functions over what was visited."""
    from cellsim.fit.estimate import Estimate

    problem = read_recipe(EXAMPLE / "fit.toml").problem
    u = problem.space.start
    J, r = problem.jacobian(u), problem.residuals(u)
    found = Estimate(problem, u, J, r, problem.levels)
    text = fitted_set(found, name="mine", title="t", source="s", unknown=("D.a1",)).text
    T = problem.experiments[0].cell.temperature
    read = parse_set(text, "mine.toml").bind(T)
    direct = problem.transport(found.values, T)
    low, high = visited(found)
    assert read.c_range[0] == pytest.approx(0.95 * low, rel=1e-6)
    c = np.linspace(low, high, 30)
    for name in ("kappa", "D", "t_plus", "one_minus_t_plus_chi"):
        assert getattr(read, name)(c) == pytest.approx(getattr(direct, name)(c), rel=1e-9)
    kept = parse_set(text, "mine.toml").covariance
    assert kept is not None and kept.parameters == ("D.constants.k0", "t_plus.value")
    assert kept.matrix[1, 1] == pytest.approx(found.covariance[3, 3], rel=1e-9)
    assert "NOT identified by these data, and no more than a guess: D.a1" in read.note


# ---- design -------------------------------------------------------------------------------------------------------


def small(folder: Path, name: str = "design.toml") -> Path:
    """The design with few candidates."""
    changed(folder, 'voltage = ["0.1 V", "0.2 V", "0.3 V"]', 'voltage = ["0.2 V"]', name)
    text = (folder / name).read_text(encoding="utf-8")
    for old in ('thickness = ["1 mm", "2 mm", "3 mm"]', 'thickness = ["1 mm", "3 mm"]'):
        text = text.replace(old, 'thickness = ["2 mm"]')
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_design_is_the_fisher_information_of_the_experiment_it_names(folder: Path) -> None:
    """Against the same experiment set up on its own, to its own end, with its own run."""
    offer = read_design(small(folder))
    found = design(offer)
    four = next(r for r in found.rated if r.duration == 4 * 3600)
    whole = offer.candidates[0].problem
    e = whole.experiments[0]
    assert e.protocol is not None
    keep = [o.time <= 4 * 3600 for o in e.observations]
    alone = Problem(whole.space, whole.model, whole.experiments).only(keep)
    J = alone.jacobian(whole.space.start)
    k = whole.space.index("t_plus")
    expected = float(np.sqrt(inverse(J.T @ J)[k, k]))
    assert four.merit == pytest.approx(expected, rel=2e-3)  # 3e-4 measured: the two runs keep other times
    assert four.hours == 5.0
    assert four.rate == pytest.approx(1 / (four.merit**2 * 5), rel=1e-12)
    assert all(four.share[kind] >= four.merit for kind in four.share)


def test_longer_runs_never_tell_less_and_choices_only_help(folder: Path) -> None:
    found = design(read_design(small(folder)), choose=4)
    by_time = sorted(found.rated, key=lambda r: r.duration)
    assert all(a.merit >= b.merit for a, b in pairwise(by_time))
    merits = [c.merit for c in found.choices]
    assert merits == sorted(merits, reverse=True) and merits[-1] > found.rated[0].merit


def test_two_sets_are_separated_by_what_nuisances_cannot_take_up(folder: Path) -> None:
    offer = read_design(small(folder, "separate.toml"))
    found = design(offer, choose=2)
    assert found.separates
    longest = max(found.rated, key=lambda r: r.duration)
    assert longest.merit > 1000 and longest.merit >= longest.share["profile"]
    same = design(replace(offer, rival=offer.candidates[0].problem.model), choose=1)
    assert max(r.merit for r in same.rated) < 1e-12


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('shrink = "t_plus"', 'shrink = "t_pluss"', "no parameter of this fit"),
        ('shrink = "t_plus"', "", "shrink"),
        ("positions = [0.25, 0.5, 0.75]", "positions = [0.25, 1.5]", "fractions"),
        ('error = "2 angstrom/s"', 'error = "2 %"', "must be a velocity"),
        ("[measure.current]", "[measure.curent]", "curent"),
        ("[nuisance.R_int]", "[nuisance.gain]\n[nuisance.R_int]", "belongs to a measurement"),
    ],
)
def test_bad_designs_are_refused_in_one_sentence(folder: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_design(changed(folder, old, new, "design.toml"))
    assert "\n" not in str(caught.value)


# ---- rivals -------------------------------------------------------------------------------------------------------


def measured(folder: Path, name: str) -> tuple[Case, tuple[Measurement, ...]]:
    case = load_case(folder / name)
    return case, read_measurements(folder / "profiles.csv", case.setup)


def test_an_unknown_nuisance_of_a_refit_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="is not a nuisance parameter"):
        rivals([measured(folder, "cell.toml")], ["R_in"])


def test_rivals_are_judged_with_their_nuisances_refitted(folder: Path) -> None:
    """RS made the data: PNB loses, and the lines say so."""
    from cellsim.fit.rivals import evidence

    changed(folder, "steinruck2020_rs", "steinruck2020_pnb", "cell.toml")
    shutil.copy(folder / "cell.toml", folder / "pnb.toml")
    shutil.copy(EXAMPLE / "cell.toml", folder / "rs.toml")
    cases = [measured(folder, name) for name in ("pnb.toml", "rs.toml")]
    judged = evidence(rivals(cases, ["R_int"]), folds=0, starts=1)
    assert [e.name for e in judged] == ["steinruck2020_rs", "steinruck2020_pnb"]
    assert judged[1].aic - judged[0].aic > 500  # 1500 measured
    assert "steinruck2020_rs is favoured over all others" in verdict(judged)[-2]


def test_two_voltages_share_the_set_and_keep_their_own_nuisances(folder: Path) -> None:
    """Twice the experiments: information on the set adds up, on each cell's resistance it does not."""
    from cellsim.fit.problem import synthetic

    second = (folder / "cell.toml").read_text(encoding="utf-8").replace('"0.3 V"', '"0.15 V"')
    (folder / "low.toml").write_text(second, encoding="utf-8")
    data = 'data = [{ file = "current.csv", error = "1 %" }, { file = "profiles.csv", every = 5 }]\n'
    fitted = '[fit.D]\nform = "constant"\n[fit.t_plus]\nform = "constant"\n'
    nuisance = '[nuisance.{0}]\nrole = "R_int"\nexperiments = ["{1}"]\nstart = "0.04 ohm m^2"\n'
    one = f'[[experiment]]\ncase = "cell.toml"\nname = "high"\n{data}'
    two = f'[[experiment]]\ncase = "low.toml"\nname = "low"\n{data}'
    problems = []
    for body in (
        one + fitted + nuisance.format("R", "high"),
        two + fitted + nuisance.format("R", "low"),
        one + two + fitted + nuisance.format("R_high", "high") + nuisance.format("R_low", "low"),
    ):
        (folder / "many.toml").write_text(body, encoding="utf-8")
        p = read_recipe(folder / "many.toml").problem
        problems.append(synthetic(p, p.space.start, None))
    F = [p.information(p.jacobian(p.space.start)) for p in problems]
    assert problems[2].space.names == ("D", "t_plus", "R_high", "R_low")
    assert F[2][:2, :2] == pytest.approx(F[0][:2, :2] + F[1][:2, :2], rel=1e-9)
    assert F[2][2, 2] == pytest.approx(F[0][2, 2], rel=1e-9)
    assert F[2][3, 3] == pytest.approx(F[1][2, 2], rel=1e-9)
    assert F[2][2, 3] == 0.0


def test_r_int_starts_at_the_total_and_one_side_at_its_own(folder: Path) -> None:
    """The case states 0.02 ohm m^2 at each interface; what an impedance arc shows is 0.04."""
    from cellsim.fit.rivals import _parameter
    from cellsim.run.case import load_case

    case = load_case(folder / "cell.toml")
    assert _parameter("R_int", case).start == pytest.approx(0.04, rel=1e-12)
    assert _parameter("R_negative", case).start == pytest.approx(0.02, rel=1e-12)


def test_a_set_from_simulation_and_a_current_give_a_posterior_set(tmp_path: Path) -> None:
    """Prior covariance and data add up as information; the written set carries the sum."""
    from cellsim.fit.estimate import estimate
    from cellsim.fit.problem import synthetic

    cases = EXAMPLE.parent / "fang2026"
    for name in ("walkers.toml", "fang2026.toml"):
        shutil.copy(cases / name, tmp_path)
    times = np.linspace(0, 180, 30)
    (tmp_path / "i.csv").write_text("time (s),i (A/m^2)\n" + "".join(f"{t:.3f},2.0\n" for t in times))
    (tmp_path / "fit.toml").write_text(
        '[[experiment]]\ncase = "walkers.toml"\ndata = [{ file = "i.csv", error = "0.5 %" }]\n[fit]\nprior = "set"\n'
    )
    problem = read_recipe(tmp_path / "fit.toml").problem
    problem = synthetic(problem, problem.space.start, None)
    found = estimate(problem, starts=1)
    assert found.u == pytest.approx(problem.space.start, abs=1e-6)  # the data say what the prior says
    assert problem.space.joint is not None
    before = problem.space.joint.covariance
    assert before is not None
    expected = np.linalg.inv(np.linalg.inv(before) + found.data_information)
    assert found.covariance == pytest.approx(expected, rel=1e-6)
    assert np.all(found.sd < np.sqrt(np.diag(before)))
    assert found.sd[0] < 0.1 * np.sqrt(before[0, 0])  # kappa: the first current holds it
    read = parse_set(fitted_set(found, name="mine", title="t", source="s").text, "mine.toml")
    assert read.covariance is not None and read.covariance.parameters == ("kappa.value", "D.value", "t_plus.value")
    k = float(read.bind().kappa(10.0))
    assert read.covariance.matrix[0, 0] == pytest.approx((k * found.sd[0]) ** 2, rel=1e-6)
