"""The posterior of a matrix travels whole: to the file beside the set, to bands, and as prior of a fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm
from set_toys import RECIPE

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.electrolyte.set_covariance import write_draws
from cellsim.electrolyte.set_file import parse_set, read_set
from cellsim.files.schema import parse_toml
from cellsim.fit.bands import bands_of_case, prior_draws
from cellsim.fit.estimate import estimate
from cellsim.fit.likelihood_profile import delta_at
from cellsim.fit.parameters import JointPrior, Parameter, Space
from cellsim.fit.recipe import read_recipe
from cellsim.fit.report import fitted_set
from cellsim.fit.set_model import own_numbers
from cellsim.run.case import load_case
from mdcoeffs.chain.to_set import transport_set

T = 300.0
COUNT = 800
CASE = """
[cell]
thickness = "100 um"
temperature = "300 K"
[electrolyte]
transport = "s.toml"
salt = { c = "1 mol/L" }
[[step]]
hold = "voltage"
value = "1 mV"
duration = "3 h"
"""


def skewed(c: float, seed: int, draws: int = COUNT) -> OnsagerMatrix:
    """A matrix whose correlation is barely known: rho+ has a long tail, as with few independent pieces."""
    rng = np.random.default_rng(seed)
    r = 0.75 - 0.12 * (rng.gamma(1.3, 1.0, draws) - 0.5)
    r = np.clip(r, -0.5, 0.97)
    a, b = (scale * np.exp(0.06 * rng.standard_normal(draws)) for scale in (1.0, 1.4))
    samples = np.array([[a, r * np.sqrt(a * b)], [r * np.sqrt(a * b), b]]).transpose(2, 0, 1) * 1e-10 * c / 1000
    return OnsagerMatrix(np.median(samples, axis=0), (1, -1), (1, 1), c, T, "solvent", samples=samples)


def made(folder: Path, chi: str, *concentrations: float) -> list[OnsagerMatrix]:
    found = [skewed(c, k) for k, c in enumerate(concentrations)]
    transport_set(found, parse_toml(RECIPE + chi), name="s", origin="test").write(folder / "s.toml")
    return found


@pytest.mark.parametrize("concentrations", [(1000.0,), pytest.param((500.0, 1000.0), marks=pytest.mark.slow)])
def test_rho_plus_of_a_set_has_the_interval_of_its_matrix(tmp_path, concentrations):
    matrices = made(tmp_path, 'value = 1.5\nsource = "x"', *concentrations)
    model, prior = own_numbers(read_set(tmp_path / "s.toml"))
    space = Space(model.parameters)
    drawn = prior_draws(space, prior, COUNT, seed=3)
    normal = prior_draws(space, replace(prior, draws=None), COUNT, seed=3)

    def interval(points, c):
        rho = [1 / (1 + float(model.at(space.values(u), T).newman_number(c))) for u in points]
        return np.quantile(rho, [0.025, 0.975])

    for matrix, c in zip(matrices, concentrations, strict=True):
        own = np.quantile(matrix.draws("rho_plus"), [0.025, 0.975])
        width = float(np.ptp(own))
        # all of them: only the order of the draws changes, and PCHIP does not enter at a point of the table
        assert np.abs(interval(drawn, c) - own).max() < 0.01 * width  # asked: 5 %
    # the same numbers by mean and covariance miss it: that is why draws travel
    own = np.quantile(matrices[0].draws("rho_plus"), [0.025, 0.975])
    assert np.abs(interval(normal, concentrations[0]) - own).max() > 0.1 * float(np.ptp(own))


def test_draws_have_the_moments_of_the_covariance_and_concentrations_are_independent(tmp_path):
    made(tmp_path, 'value = 1.5\nstandard_error = 0.2\nsource = "x"', 500.0, 1000.0)
    stated = read_set(tmp_path / "s.toml").covariance
    assert stated is not None and stated.draws is not None and stated.draws.shape == (COUNT, 7)
    sd = np.sqrt(np.diag(stated.matrix))
    assert stated.draws.std(axis=0) == pytest.approx(sd, rel=0.05)
    correlation = np.corrcoef(stated.draws.T) - stated.matrix / np.outer(sd, sd)
    assert np.abs(correlation).max() < 4 / np.sqrt(COUNT)
    # in every draw D is proportional to chi
    names = list(stated.parameters)
    ratio = stated.draws[:, names.index("D.y[0]")] / stated.draws[:, names.index("chi.value")]
    assert abs(np.corrcoef(ratio, stated.draws[:, names.index("chi.value")])[0, 1]) < 4 / np.sqrt(COUNT)


def test_bands_use_the_draws_of_the_set(tmp_path):
    made(tmp_path, 'value = 1.5\nsource = "x"', 1000.0)
    (tmp_path / "case.toml").write_text(CASE)
    case = load_case(tmp_path / "case.toml")
    assert case.transport.draws is not None
    found = bands_of_case(case, 200, seed=1)
    # small signals: i_ss = kappa rho+ V/L, draw by draw
    steady = skewed(1000.0, 0)
    whole = np.quantile(steady.draws("kappa") * steady.draws("rho_plus"), [0.025, 0.5, 0.975]) * 1e-3 / 100e-6
    width = float(whole[2] - whole[0])
    for p, expected in zip((0.025, 0.5, 0.975), whole, strict=True):
        k = int(np.argmin(np.abs(np.array(found.quantiles) - p)))
        # ends of an interval by 200 draws scatter by 6 % of its width, long tails by more
        assert found.i[k, -1] == pytest.approx(expected, abs=0.15 * width)


def test_a_fit_takes_the_draws_as_its_prior(tmp_path):
    made(tmp_path, 'value = 1.5\nsource = "x"', 1000.0)
    (tmp_path / "case.toml").write_text(CASE)
    (tmp_path / "i.csv").write_text("time (s),i (A/m^2)\n60,2.0\n120,1.9\n")
    (tmp_path / "fit.toml").write_text(
        '[[experiment]]\ncase = "case.toml"\ndata = [{ file = "i.csv", error = "1000 A/m^2" }]\n[fit]\nprior = "set"\n'
    )
    found = estimate(read_recipe(tmp_path / "fit.toml").problem, starts=1)
    draws = read_set(tmp_path / "s.toml").covariance.draws
    assert [p.path for p in found.space.parameters] == ["kappa.value", "D.value", "t_plus.value"]
    for k, name in enumerate(found.space.names):  # data that say nothing leave the prior as it is
        low, middle, high = np.quantile(draws[:, k], [0.025, 0.5, 0.975])
        assert found.values[name] == pytest.approx(middle, abs=0.05 * (high - low))
        # the likelihood ratio at the ends of the 95 % interval of the draws is 3.84, on the long and the short side
        assert [delta_at(found, name, float(x)) for x in (low, high)] == pytest.approx([3.84, 3.84], abs=0.25)
    u = found.problem.space.joint.draws[:2000]
    fitted = fitted_set(found, name="mine", title="t", source="s", draws=u)
    assert fitted.draws is not None and fitted.draws[:, 2] == pytest.approx(draws[: len(u), 2], rel=1e-9)
    write_draws(tmp_path / "fitted_set.draws.nc", fitted.numbers, fitted.draws)
    (tmp_path / "fitted_set.toml").write_text(fitted.text)
    again = read_set(tmp_path / "fitted_set.toml").covariance
    assert again is not None and np.array_equal(again.draws, fitted.draws)


# ---- the prior ------------------------------------------------------------------------------------------------------


def test_scores_turn_quantiles_of_draws_into_standard_errors():
    rng = np.random.default_rng(5)
    draws = np.exp(0.8 * rng.standard_normal((20000, 1)))
    prior = JointPrior(np.array([1.0]), np.array([[1.0]]), draws)
    for z in (-2.5, -1.96, -1.0, 0.0, 1.0, 1.96, 2.5):  # a lognormal: u = exp(0.8 z)
        assert prior.residuals(np.exp(0.8 * np.array([z])))[0] == pytest.approx(z, abs=0.06)
    x = np.linspace(0.01, 12.0, 2401)
    density = [norm.pdf(prior.residuals(np.array([u]))[0]) * np.exp(prior.log_jacobian(np.array([u]))) for u in x]
    cumulative = np.cumsum(density) * (x[1] - x[0])
    assert cumulative[-1] == pytest.approx(1.0, abs=0.01)
    for p in (0.025, 0.5, 0.975):
        assert x[np.searchsorted(cumulative, p)] == pytest.approx(np.exp(0.8 * norm.ppf(p)), rel=0.05)
    beyond = [prior.residuals(np.array([u]))[0] for u in (0.0, -1.0, 30.0, 60.0)]
    assert beyond[0] > beyond[1] and beyond[3] > beyond[2] > 3


def test_scores_of_normal_draws_are_the_normal_prior():
    rng = np.random.default_rng(6)
    mean, covariance = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 0.6, 0.0], [0.6, 2.0, -0.3], [0.0, -0.3, 0.5]])
    normal = JointPrior(mean, covariance)
    scores = replace(normal, draws=rng.multivariate_normal(mean, covariance, 40000))
    for _ in range(20):
        u = rng.multivariate_normal(mean, covariance)
        assert np.sum(scores.residuals(u) ** 2) == pytest.approx(np.sum(normal.residuals(u) ** 2), abs=0.35)
    space = Space(tuple(Parameter(n, 0.0) for n in "abc"), scores)
    assert space.prior_residuals(mean) == pytest.approx(np.zeros(3), abs=0.05)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_files_of_draws_that_do_not_belong_are_one_sentence(tmp_path):
    made(tmp_path, 'value = 1.5\nsource = "x"', 1000.0)
    good = xr.load_dataset(tmp_path / "s.draws.nc")
    names = [str(n) for n in good["parameter"].values]
    wrong = {
        "scatter by": good["draws"].values * 2,
        "not numbers": good["draws"].values * np.nan,
        "100 are needed": good["draws"].values[:50],
    }
    for told, values in wrong.items():
        write_draws(tmp_path / "s.draws.nc", names, values)
        with pytest.raises(InputError, match=told):
            read_set(tmp_path / "s.toml")
    write_draws(tmp_path / "s.draws.nc", ["a", "b", "c"], good["draws"].values)
    with pytest.raises(InputError, match="not of the covariance's numbers"):
        read_set(tmp_path / "s.toml")
    good.rename(draws="other").to_netcdf(tmp_path / "s.draws.nc")
    with pytest.raises(InputError, match="contains no draws"):
        read_set(tmp_path / "s.toml")
    (tmp_path / "s.draws.nc").write_text("not a NetCDF file")
    with pytest.raises(InputError, match=r"s.draws.nc"):
        read_set(tmp_path / "s.toml")
    (tmp_path / "s.draws.nc").unlink()
    alone = read_set(tmp_path / "s.toml").covariance  # said in the log: a run needs no draws
    assert alone is not None and alone.draws is None
    # a copy of the text keeps its covariance
    copy = parse_set((tmp_path / "s.toml").read_text(), "s.toml")
    assert copy.covariance is not None and copy.covariance.draws is None


def test_draws_of_another_set_with_the_same_spread_are_refused(tmp_path):
    """Two files swapped: names and spread agree, the numbers lie elsewhere."""
    made(tmp_path, 'value = 1.5\nsource = "x"', 1000.0)
    path = tmp_path / "s.draws.nc"
    with xr.open_dataset(path) as data:
        names, draws = [str(name) for name in data["parameter"].values], data["draws"].values
    shift = np.where(np.array(names) == "t_plus.value", 6 * draws.std(axis=0), 0.0)
    write_draws(path, names, draws + shift)
    with pytest.raises(InputError, match=r"t_plus.value lie around .* but the set says .* another set"):
        read_set(tmp_path / "s.toml")
    write_draws(path, names, draws + 0.1 * shift)  # within the standard errors
    assert read_set(tmp_path / "s.toml").covariance is not None
