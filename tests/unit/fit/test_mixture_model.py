"""Sets of n components as models of their own numbers: what is moved, what is drawn, and bands against closed forms."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import chi2

from cellsim.base import F, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.cli import main
from cellsim.electrolyte.mixture_file import load_electrolyte, parse_mixture
from cellsim.electrolyte.set_covariance import write_draws
from cellsim.files.schema import parse_toml
from cellsim.fit.bands import bands, prior_draws
from cellsim.fit.mixture_model import MixtureModel, mixture_number, own_model
from cellsim.fit.parameters import Space
from cellsim.model import mixture
from cellsim.run.ensemble import Member, sensitivities
from cellsim.run.mixture import read_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

NUMBERS = ("Omega.matrix[0][0]", "Omega.matrix[0][1]", "constants.g", "Omega.matrix[2][2]")
TEXT = """
name = "abc"
status = "assumed"
note = "for a test"
cation = "Li"
solvent = "S"
species = [
    { name = "Li", z = 1 },
    { name = "X", z = -1, V = "50 cm^3/mol" },
    { name = "b", V = "70 cm^3/mol" },
    { name = "S", V = "90 cm^3/mol" },
]
[range]
r = { X = [0.01, 0.3], b = [0.1, 2.0] }
[Omega]
matrix = [[3.0, 0.5, 0.2], [0.5, 4.0, 0.1], [0.2, 0.1, 5.0]]
unit = "1e-10 mol^2/(J m s)"
source = "none"
[constants]
g = 2.0
[G]
ideal = true
matrix = [["g", 0.0], [0.0, 0.5]]
source = "none"
[covariance]
parameters = ["Omega.matrix[0][0]", "Omega.matrix[0][1]", "constants.g", "Omega.matrix[2][2]"]
matrix = [[0.01, 0.006, 0.0, 0.0], [0.006, 0.01, 0.0, 0.0], [0.0, 0.0, 0.04, 0.0], [0.0, 0.0, 0.0, 0.09]]
source = "made up"
"""
CELL = Cell(1e-4, 298.15)
R0 = np.array([0.1, 1.0])


def parsed(text=TEXT):
    return parse_mixture(parse_toml(text, "abc.toml"))


def test_an_entry_beside_the_diagonal_moves_with_its_mirror_image():
    model = MixtureModel(parsed(), tuple(mixture_number(parsed(), path) for path in NUMBERS))
    found = model.at(dict(zip(NUMBERS, (3.5, -0.7, 9.0, 6.0), strict=True)), 298.15)
    Omega = 1e-10 * np.array([[3.5, -0.7, 0.2], [-0.7, 4.0, 0.1], [0.2, 0.1, 6.0]])
    assert found.Omega(R0) == pytest.approx(Omega, rel=1e-12)
    assert found.G(R0)[0, 0] - parsed().G(R0)[0, 0] == pytest.approx(7.0, rel=1e-12)
    with pytest.raises(InputError, match="second law is broken"):
        model.at(dict(zip(NUMBERS, (3.5, 9.0, 2.0, 6.0), strict=True)), 298.15)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Omega.matrix[0][9]", "is no number of this set, such as"),
        ("G.matrix[0][0]", "is no number of this set"),  # an expression
        ("components.kappa", "is no number of this set"),
        ("Omega", "is no number of this set"),
    ],
)
def test_what_is_no_number_is_refused(path, message):
    with pytest.raises(InputError, match=message):
        mixture_number(parsed(), path)
    with pytest.raises(InputError, match="names no number of this file"):
        parsed(TEXT.replace('"constants.g"', f'"{path}"'))


def test_one_number_is_not_named_by_both_its_places():
    with pytest.raises(InputError, match="one number of a symmetric matrix"):
        own_model(parsed(TEXT.replace('"constants.g"', '"Omega.matrix[1][0]"')))
    with pytest.raises(InputError, match=r"abc: has no \[covariance\]"):
        own_model(replace(parsed(), covariance=None))


def test_draws_have_the_covariance_of_the_file_and_those_beside_it_are_used(tmp_path):
    model, prior = own_model(parsed())
    space = Space(model.parameters)
    values = np.array([list(space.values(u).values()) for u in prior_draws(space, prior, 4000, seed=1)])
    stated = parsed().covariance.matrix
    sd = np.sqrt(np.diag(stated))
    # 4000 draws know a standard deviation to 1.1 %, a correlation of 0.6 to 0.01
    assert values.std(axis=0) == pytest.approx(sd, rel=0.06)
    assert np.corrcoef(values.T)[0, 1] == pytest.approx(0.6, abs=0.05)
    rng = np.random.default_rng(2)
    own = np.array([3.0, 0.5, 2.0, 5.0]) + rng.standard_normal((150, 4)) * sd
    write_draws(tmp_path / "abc.draws.nc", NUMBERS, own)
    (tmp_path / "abc.toml").write_text(TEXT.replace('source = "made up"', 'source = "made up"\ndraws = "abc.draws.nc"'))
    model, prior = own_model(load_electrolyte("abc.toml", folder=tmp_path))
    drawn = prior_draws(Space(model.parameters), prior, 40, seed=1)
    rows = {tuple(np.round(list(Space(model.parameters).values(u).values()), 9)) for u in drawn}
    assert rows <= {tuple(row) for row in np.round(own, 9)}


@pytest.mark.slow
def test_bands_of_a_small_voltage_are_those_of_its_closed_form():
    # i_0 = U kappa/d and i_ss = rho i_0 for every draw, without solving a cell
    model, prior = own_model(parsed())
    space, U = Space(model.parameters), 1e-4
    drawn = prior_draws(space, prior, 24, seed=3)
    sets = [model.at(space.values(u), 298.15) for u in drawn]
    slowest = max(CELL.thickness**2 / mixture.relaxation_modes(each.at(R0))[0][0] for each in sets)
    protocol = Protocol((hold_voltage(U, 3 * slowest),))
    found = bands(
        *(model, drawn, CELL, protocol),
        c0=R0,
        times=np.array([0.0, protocol.duration]),
        positions=np.array([2e-5, 8e-5]),
        solver="auto",
        options=Options(rtol=1e-4, cells=24),
    )
    first = np.array([U * float(each.at(R0).kappa) / CELL.thickness for each in sets])
    last = first * np.array([float(mixture.current_fraction(each, R0)) for each in sets])
    assert (found.draws, found.failed) == (24, 0)
    assert found.i[:, 0] == pytest.approx(np.quantile(first, found.quantiles, method="weibull"), rel=1e-6)
    assert found.i[:, 1] == pytest.approx(np.quantile(last, found.quantiles, method="weibull"), rel=1e-4)
    assert set(found.others) == {"c_X", "c_b", "c_S"} and found.others["c_X"] == pytest.approx(found.c, rel=1e-12)
    # b has half of the solvent's molecules as filled, and of two solvents the shares add up in every draw
    assert found.shares["b"][2, 0] == pytest.approx(0.5, rel=1e-9)
    assert found.shares["b"][0] + found.shares["S"][4] == pytest.approx(1.0, rel=1e-9)
    assert any(line.startswith("b of the solvent at the end, at the two electrodes: ") for line in found.lines())
    assert set(found.dataset()) >= {"share_b", "c_b", "c_b_everywhere", "v_Li", "v_S_everywhere"}


CASE = """
[cell]
thickness = "0.1 mm"
temperature = "298.15 K"
[electrolyte]
transport = "abc.toml"
composition = { r = { X = 0.1, b = 1.0 } }
[[step]]
hold = "voltage"
value = "10 mV"
duration = "60 s"
"""


@pytest.mark.slow
def test_run_with_bands_of_n_components(tmp_path):
    (tmp_path / "abc.toml").write_text(TEXT)
    (tmp_path / "case.toml").write_text(CASE)
    arguments = ["run", str(tmp_path / "case.toml"), "-o", str(tmp_path / "run"), "--no-figures", "--bands", "20"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0 and "(20 draws of the set)" in done.output
    assert {"bands.csv", "bands.nc", "bands.png"} <= {path.name for path in (tmp_path / "run").iterdir()}
    without = tomllib.loads(TEXT)["covariance"] and TEXT[: TEXT.index("[covariance]")]
    (tmp_path / "abc.toml").write_text(without)
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2 and "has no [covariance]" in refused.output


FIT = """
title = "two numbers of Omega"
[[experiment]]
case = "case.toml"
data = ["current.csv", "solvent.csv"]
[[fit.number]]
name = "Omega.matrix[0][0]"
[[fit.number]]
name = "Omega.matrix[0][1]"
start = 0.0
prior_sd = 2.0
"""


def data_of_fipy(folder, text, rng):
    """A current and profiles of the cosolvent of 1 % noise, made by the other solver from the set `text`."""
    (folder / "case.toml").write_text(CASE)
    case = read_case(folder / "case.toml")
    truth = parse_mixture(parse_toml(text, "abc.toml"), 298.15)
    run = simulate(case.cell, truth, case.protocol, c0=case.r0, solver="fipy", options=Options(rtol=1e-4, cells=60))
    times, i = run["time"][::8], run["i"][::8]
    rows = [
        f"{t:.9g},{v * (1 + 0.01 * rng.standard_normal()):.9g},{abs(0.01 * v):.9g}"
        for t, v in zip(times, i, strict=True)
    ]
    (folder / "current.csv").write_text("\n".join(["time (s),current density (A/m^2),error (A/m^2)", *rows]))
    x = np.linspace(1e-5, 9e-5, 12)
    rows = []
    for t in (2.0, 10.0, 60.0):
        k = int(np.argmin(np.abs(run["time"] - t)))
        c = np.interp(x, run["position_face"][k], run["c_face_b"][k]) + 5.0 * rng.standard_normal(x.size)
        rows += [f"{run['time'][k]:.9g},{1e3 * place:.9g},{v:.9g},5" for place, v in zip(x, c, strict=True)]
    (folder / "solvent.csv").write_text("\n".join(["time (s),position (mm),c_b (mol/m^3),error (mol/m^3)", *rows]))


@pytest.mark.slow
def test_a_fit_to_a_current_and_to_profiles_of_the_cosolvent_finds_the_truth(tmp_path):
    (tmp_path / "abc.toml").write_text(TEXT[: TEXT.index("[covariance]")])
    (tmp_path / "fit.toml").write_text(FIT)
    truth = TEXT.replace("3.0, 0.5, 0.2], [0.5, 4.0", "3.6, 0.9, 0.2], [0.9, 4.0")
    data_of_fipy(tmp_path, truth, np.random.default_rng(4))
    done = CliRunner().invoke(
        main, ["fit", str(tmp_path / "fit.toml"), "-o", str(tmp_path / "out"), "--no-profiles", "--starts", "1"]
    )
    assert done.exit_code == 0, done.output
    numbers = json.loads((tmp_path / "out" / "fit.json").read_text())
    for name, value in (("Omega.matrix[0][0]", 3.6), ("Omega.matrix[0][1]", 0.9)):
        found = numbers["parameters"][name]
        assert found["held_by"] == "data" and abs(found["value"] - value) < 3.5 * found["error"]
    # chi^2 of as many degrees of freedom: this far off once in ten thousand times
    assert chi2.sf(numbers["chi2"], numbers["degrees_of_freedom"]) > 1e-4
    fitted = load_electrolyte("fitted_set.toml", folder=tmp_path / "out")
    assert fitted.Omega(R0)[0, 1] == fitted.Omega(R0)[1, 0]
    assert fitted.covariance.parameters == ("Omega.matrix[0][0]", "Omega.matrix[0][1]")
    assert own_model(fitted)[1].sd[0] == pytest.approx(numbers["parameters"]["Omega.matrix[0][0]"]["relative_error"])


def test_sensitivities_of_n_components():
    # di_0/dOmega_++ = F^2 U/d times the unit of the file: kappa is F^2 times the sum of the ions' entries
    model = MixtureModel(parsed(), (mixture_number(parsed(), NUMBERS[0]),))
    protocol, U = Protocol((hold_voltage(1e-3, 1.0),)), 1e-3

    def build(p):
        return Member(
            CELL, model.at({NUMBERS[0]: float(p[0])}, 298.15), protocol, R0, [0.0], options=Options(rtol=1e-3)
        )

    found = sensitivities(build, [3.0], lambda s: s["i"][0])
    assert found.jacobian == pytest.approx(F**2 * 1e-10 * U / CELL.thickness, rel=1e-6)
