"""Tables against concentration in a fit's file: alone, beside experiments, at temperatures; what they refuse."""

from pathlib import Path

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.set_file import load_set, parse_set
from cellsim.fit.estimate import estimate
from cellsim.fit.recipe import read_recipe
from cellsim.fit.report import fitted_set
from cellsim.instruments.tables import parse_table

EXAMPLE = Path(__file__).parents[3] / "cases" / "fit_example"
ELECTROLYTE = """
[salt]
formula = "LiX"
M = "100 g/mol"
M_plus = "7 g/mol"
[solvent]
name = "S"
M = "44 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "40 cm^3/mol"
source = "made up"
[range]
variable = "c"
min = 0.1
max = 3.0
T_min = "300 K"
T_max = "400 K"
"""
CONSTANTS = "".join(f'[fit.{name}]\nform = "constant"\n' for name in ("kappa", "D", "t_plus", "chi"))


def written(folder: Path, body: str, **tables: str) -> Path:
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    path = folder / "fit.toml"
    path.write_text(body)
    return path


def test_four_numbers_at_one_concentration_are_the_method_of_balsara_and_newman(tmp_path):
    """t+0 = 1 - F D c (1/rho - 1)/(kappa S), chi = S/(K (1 - t+0)), and their covariance by their derivatives."""
    y, sd = np.array([0.15, 1e-11, 0.2, 0.05]), np.array([0.003, 2e-13, 0.004, 5e-4])  # kappa, D, rho+, dU/dln m
    c, K = 1000.0, 2 * R * 350.0 / F
    head = "c (mol/L),kappa (S/m),kappa error (S/m),D (m^2/s),D error (m^2/s),rho_plus,sd_rho_plus,dU/dlnm (V),sd (V)"
    row = ",".join(f"{x!r},{e!r}" for x, e in zip(y.tolist(), sd.tolist(), strict=True))
    points = '[[points]]\nfile = "t.csv"\ntemperature = "350 K"\n'
    path = written(tmp_path, ELECTROLYTE + points + CONSTANTS, t=f"{head}\n1.0,{row}\n")
    found = estimate(read_recipe(path).problem)

    def by_hand(x):
        kappa, D, rho, slope = x
        t_plus = 1 - F * D * c * (1 / rho - 1) / (kappa * slope)
        return np.array([kappa, D, t_plus, slope / (K * (1 - t_plus))])

    np.testing.assert_allclose([found.values[name] for name in found.space.names], by_hand(y), rtol=1e-6)
    steps = 1e-6 * np.diag(y)
    slope = np.array([(by_hand(y + h) - by_hand(y - h)) / (2 * h.sum()) for h in steps]).T
    covariance = slope * sd**2 @ slope.T
    values = by_hand(y)
    units = np.array([values[0], values[1], 1.0, values[3]])  # the fit moves logarithms, but t+
    # the fit's central differences of 2 % leave 0.6 %
    np.testing.assert_allclose(found.covariance, covariance / np.outer(units, units), rtol=0.01, atol=1e-7)


def test_one_table_of_a_set_in_every_convention_gives_that_set_back(tmp_path):
    """Exact numbers of t+ in the frame of the mass and chi on the molar basis, against the mass fraction of salt."""
    text = ELECTROLYTE + "".join(
        f'[{name}]\n{law}\nsource = "s"\n'
        for name, law in (
            ("kappa", 'value = "0.2 S/m"'),
            ("D", 'value = "2e-11 m^2/s"'),
            ("t_plus", 'value = 0.15\nframe = "solvent"'),
            ("chi", 'value = 1.7\nbasis = "molal"'),
        )
    )
    truth = parse_set('name = "truth"\nstatus = "model"\nnote = "made up"\n' + text).bind(350.0)
    c = np.array([500.0, 1000.0, 2000.0])
    w = 0.1 * c / truth.density(c)
    columns = {
        "w": w,
        "kappa (mS/cm)": 10 * truth.kappa(c),
        "D (cm^2/s)": 1e4 * truth.D(c),
        "t_plus": truth.t_plus_in("mass", c),
        "chi": truth.chi_on("molar", c),
    }
    rows = "\n".join(",".join(f"{x!r}" for x in row) for row in np.array(list(columns.values())).T.tolist())
    points = '[[points]]\nfile = "t.csv"\nframe = "mass"\nbasis = "molar"\nerror = "1 %"\ntemperature = "350 K"\n'
    path = written(tmp_path, ELECTROLYTE + points + CONSTANTS, t=",".join(columns) + f"\n{rows}\n")
    found = estimate(read_recipe(path).problem, starts=1)
    for name, value in (("kappa", 0.2), ("D", 2e-11), ("t_plus", 0.15), ("chi", 1.7)):
        assert found.values[name] == pytest.approx(value, rel=1e-5)
    written_set = parse_set(fitted_set(found, name="mine", title="t", source="s").text)
    assert written_set.covariance is not None and len(written_set.covariance.parameters) == 4
    assert written_set.bind(350.0).t_plus_in("mass", c) == pytest.approx(columns["t_plus"], rel=1e-4)


def test_a_gain_is_the_cell_constant_of_a_whole_table(tmp_path):
    """Weighted mean y of n points of error s and a common factor known to 5 %: variance s^2/n + 0.05^2 of ln y."""
    n, s = 8, 0.02
    y = 0.2 * np.exp(s * np.random.default_rng(1).standard_normal(n))
    rows = "".join(f"{0.5 + 0.1 * k},{v!r},{s * v!r}\n" for k, v in enumerate(y.tolist()))
    gain = '[nuisance.gain]\ndata = ["k.csv"]\nprior_sd = "5 %"\n'
    body = f'[[points]]\nfile = "k.csv"\n{gain}[fit.kappa]\nform = "constant"\n'
    path = written(tmp_path, 'set = "dilute_ideal"\n' + body, k="c (mol/L),kappa (S/m),error (S/m)\n" + rows)
    found = estimate(read_recipe(path).problem, starts=1)
    assert found.sd[0] == pytest.approx(np.sqrt(s**2 / n + 0.05**2), rel=0.01)


def test_tables_at_two_temperatures_move_one_factor(tmp_path):
    """kappa of a set whose law knows the temperature: each table is compared at its own."""
    kappa = {T: float(load_set("landesfeind2019_ec_dmc", T).kappa(1000.0)) for T in (280, 320)}
    assert kappa[320] > 1.5 * kappa[280]
    tables = {f"k{T}": f"c (mol/L),kappa (S/m)\n1.0,{1.1 * value!r}\n" for T, value in kappa.items()}
    body = "".join(f'[[points]]\nfile = "k{T}.csv"\ntemperature = "{T} K"\nerror = "1 %"\n' for T in (280, 320))
    path = written(tmp_path, f'set = "landesfeind2019_ec_dmc"\n{body}[fit.kappa]\nform = "scaled"\n', **tables)
    found = estimate(read_recipe(path).problem, starts=1)
    assert found.values["kappa factor"] == pytest.approx(1.1, rel=1e-6) and found.chi2 < 1e-6


def test_points_outside_the_range_and_gaps_are_left_out_and_said(tmp_path):
    table = "c (mol/L),kappa (S/m),D (m^2/s)\n1.0,0.1,1e-11\n2.0,0.2,\n9.0,0.3,2e-11\n"
    path = written(tmp_path, ELECTROLYTE + '[[points]]\nfile = "t.csv"\nerror = "1 %"\n' + CONSTANTS, t=table)
    kappa, D = read_recipe(path).problem.observations
    assert kappa.value.tolist() == [0.1, 0.2] and D.value.tolist() == [1e-11]
    assert "1 of 3 points are left out: 1 outside the range of the set" in kappa.notes[0]


def test_errors_are_found_by_the_name_of_their_quantity():
    table = parse_table("r,rho_plus,error rho_plus,t_plus,t_plus_sd,chi\n0.1,0.2,0.01,0.3,0.02,1\n")
    assert table.errors([""], of=("rho_plus",)) == [0.01] and table.errors([""], of=("t_plus",)) == [0.02]
    assert table.errors([""], of=("chi",)) is None
    assert parse_table("r,rho_plus,error\n0.1,0.2,0.01\n").errors([""], of=("rho_plus",)) == [0.01]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[solvent]", "[solvant]", "solvant is not a key"),
        (ELECTROLYTE, "", "names no set and states no electrolyte"),
        (ELECTROLYTE, 'set = "dilute_ideal"\n[salt]\nformula = "LiX"\n', "salt has no place beside set"),
        ('[fit.chi]\nform = "constant"', "", "fit.chi is missing; where no set is named"),
        ("kappa (S/m)", "sigma0 (S/m)", "start is missing, and no table tells the size"),
        ('error = "1 %"', "", "states no errors"),
        ('error = "1 %"', 'error = "1 %"\ntemperature = "500 K"', "T = 500 K lies outside"),
        ('error = "1 %"', 'error = "1 %"\nkind = "potential"', "no column U"),
        (
            'error = "1 %"',
            'error = "1 %"\nkind = "transference"\n',
            "frame is missing; a table of t_plus must state it",
        ),
        ('error = "1 %"', 'error = "1 %"\nreference = { c = "9 mol/L" }', "lies outside 0.1 to 3 mol/L"),
        ('error = "1 %"', 'error = "1 %"\nframe = "lab"\n', '"solvent" | "volume" | "mass" | "molar"'),
        ("[[points]]", '[nuisance.R_int]\nstart = "1 ohm m^2"\n[[points]]', "needs an [[experiment]]"),
        ("1.0,0.1", "-1.0,0.1", "row 2: salt c = -1000.0 must be positive"),
        ("1.0,0.1", "0.01,0.1", "no point lies inside the range"),
        ("1.0,0.1", "1.0,much", "is not a number"),
        ("c (mol/L)", "c (K)", "c (K)"),
        ("c (mol/L)", "w", "w must be positive and below 1"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, old, new, words):
    body = ELECTROLYTE + '[[points]]\nfile = "t.csv"\nerror = "1 %"\n' + CONSTANTS + "start = 1.2\n"
    table = "c (mol/L),kappa (S/m),D (m^2/s)\n1.0,0.1,1e-11\n"
    assert old in body + table
    with pytest.raises(InputError) as caught:
        read_recipe(written(tmp_path, body.replace(old, new), t=table.replace(old, new)))
    assert words in str(caught.value) and "\n" not in str(caught.value)
