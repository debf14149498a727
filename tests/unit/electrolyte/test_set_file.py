"""Reading transport sets: every form a block can take, and one sentence for everything that is wrong."""

import subprocess
import sys

import numpy as np
import pytest

from cellsim.base import InputError, RangeError
from cellsim.electrolyte.set_file import list_sets, load_set, parse_set, read_set

BASE = """
name = "test"
title = "a test set"
status = "assumed"
note = "for tests"

[salt]
formula = "LiX"
M = "100 g/mol"

[solvent]
name = "S"
M = "50 g/mol"

[volumes]
V_e = "100 cm^3/mol"
V_0 = "50 cm^3/mol"
source = "assumed"

[range]
variable = "r"
min = 0.01
max = 0.2

[kappa]
expression = "a * r"
unit = "mS/cm"
constants = { a = 2.0 }
source = "assumed"

[D]
value = "1e-7 cm^2/s"
source = "assumed"

[t_plus]
variable = "r"
x = [0.01, 0.1, 0.2]
y = [0.4, 0.3, 0.1]
frame = "solvent"
source = "assumed"

[chi]
value = 1.5
basis = "molal"
source = "assumed"
"""


def edited(*pairs: tuple[str, str]) -> str:
    text = BASE
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def bound(*pairs: tuple[str, str], T: float | None = None):
    return parse_set(edited(*pairs), "test.toml").bind(T)


def test_the_base_set():
    s = bound()
    c = s.c_of(r=0.1)
    assert s.kappa(c) == pytest.approx(0.02, rel=1e-12, abs=0)
    assert s.D(c) == pytest.approx(1e-11, rel=1e-12, abs=0)
    assert s.t_plus(c) == pytest.approx(0.3, rel=1e-12, abs=0)
    assert s.chi(c) == 1.5
    assert s.T == 298.15
    assert (s.M_e, s.M_0) == (0.1, 0.05)
    assert (s.nu_plus, s.nu_minus) == (1, 1)
    assert s.text == BASE
    assert s.source["kappa"] == "assumed"
    # c = 1 / (V_e + V_0 / r), by hand: 1 / (100e-6 + 50e-6 / 0.01) and 1 / (100e-6 + 50e-6 / 0.2)
    assert s.c_range == pytest.approx((1 / 5.1e-3, 1 / 3.5e-4), rel=1e-12, abs=0)


def test_nothing_outside_the_range():
    s = bound()
    with pytest.raises(RangeError, match="outside"):
        s.kappa(1.0)
    assert s.with_extrapolation("clamp").kappa(1.0) == pytest.approx(0.002, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ('variable = "c"\nmin = 0.1\nmax = "2000 mol/m^3"', (100.0, 2000.0)),
        # molality 1 and 4 mol/kg of a 50 g/mol solvent: r = 0.05 and 0.2
        ('variable = "m"\nmin = 1\nmax = "4 mol/kg"', (1 / 1.1e-3, 1 / 3.5e-4)),
    ],
)
def test_ranges_in_c_and_m(span, expected):
    s = bound(('variable = "r"\nmin = 0.01\nmax = 0.2', span), ("x = [0.01, 0.1, 0.2]", "x = [0.001, 0.1, 0.3]"))
    assert s.c_range == pytest.approx(expected, rel=1e-12, abs=0)


def test_expressions_read_their_variables_in_the_stated_units():
    c = 500.0
    assert bound(('"a * r"', '"a * c"')).kappa(c) == pytest.approx(0.1, rel=1e-12, abs=0)  # 2 * 0.5 mol/L mS/cm
    assert bound(('"a * r"', '"a * c"\nunits = { c = "mol/m^3" }')).kappa(c) == pytest.approx(100.0, rel=1e-12, abs=0)
    m = float(bound().m(c))
    assert bound(('"a * r"', '"a * m"')).kappa(c) == pytest.approx(0.2 * m, rel=1e-12, abs=0)
    assert bound(('"a * r"', '"a * T"'), T=310.0).kappa(c) == pytest.approx(62.0, rel=1e-12, abs=0)
    warm = bound(('"a * r"', '"F / (R * T)"'), T=300.0)
    assert warm.kappa(c) == pytest.approx(0.1 * 96485.33212 / (8.314462618 * 300), rel=1e-9, abs=0)
    product = bound(("value = 1.5", 'expression = "1 - t_plus"'))
    assert product.chi(c) == pytest.approx(1 - product.t_plus(c), rel=1e-12, abs=0)


def test_products():
    s = bound(("value = 1.5", 'value = 0.9\ngives = "(1-t_plus)*chi"'))
    c = s.c_of(r=0.1)
    assert s.one_minus_t_plus_chi(c) == 0.9
    assert s.chi(c) == pytest.approx(0.9 / 0.7, rel=1e-12, abs=0)


TABLE = 'variable = "r"\nx = [0.05, 0.1, 0.2]\ny = [1, 2, 8]\nunit = "mS/cm"'
KAPPA = 'expression = "a * r"\nunit = "mS/cm"\nconstants = { a = 2.0 }'


def test_tables_below_their_first_point():
    s = bound((KAPPA, TABLE + '\nbelow = "proportional"'))
    r = np.array([0.01, 0.025, 0.05])
    c = np.array([s.c_of(r=float(x)) for x in r])
    assert s.kappa(c) == pytest.approx(0.1 * r / 0.05, rel=1e-9, abs=0)
    assert bound((KAPPA, TABLE + '\nbelow = "constant"')).kappa(c) == pytest.approx([0.1] * 3, rel=1e-9, abs=0)


def test_logarithmic_tables_keep_power_laws():
    power = 'variable = "r"\nx = [0.01, 0.1, 0.2]\ny = [1e-4, 1e-2, 4e-2]\nunit = "S/m"\nlog = true'
    s = bound((KAPPA, power))
    r = np.array([0.02, 0.05, 0.15])
    c = np.array([s.c_of(r=float(x)) for x in r])
    assert s.kappa(c) == pytest.approx(r**2, rel=1e-9, abs=0)


def test_tables_in_c_read_mol_per_litre_unless_told():
    s = bound((KAPPA, 'variable = "c"\nx = [0.1, 4]\ny = [1, 1]\nunit = "S/m"'))
    assert s.kappa(2000.0) == 1.0
    s = bound((KAPPA, 'variable = "c"\nx = [1, 4000]\ny = [1, 4000]\nx_unit = "mol/m^3"\nunit = "S/m"'))
    assert s.kappa(2000.0) == pytest.approx(2000, rel=1e-12, abs=0)


def test_the_dilute_convention():
    s = bound(('V_e = "100 cm^3/mol"\n', ""))
    assert s.V_e(100.0) == 0
    assert s.phi_0(100.0) == 1


def test_temperature():
    only = ("max = 0.2", 'max = 0.2\nT_min = "90 degC"\nT_max = "90 degC"')
    assert bound(only).T == 363.15
    with pytest.raises(InputError, match=r"T = 300 K lies outside 363\.15 K, the only temperature of test"):
        bound(only, T=300.0)
    some = ("max = 0.2", 'max = 0.2\nT_min = "310 K"\nT_max = "330 K"')
    assert bound(some).T == 310.0
    with pytest.raises(InputError, match="T = 340 K lies outside 310-330 K of test"):
        bound(some, T=340.0)


def test_charges():
    s = bound(('M = "100 g/mol"', 'M = "100 g/mol"\nz_minus = -20'))
    assert (s.nu_plus, s.nu_minus, s.nu) == (20, 1, 21)
    s = bound(('M = "100 g/mol"', 'M = "100 g/mol"\nz_plus = 2\nz_minus = -2'))
    assert (s.nu_plus, s.nu_minus) == (1, 1)


COVARIANCE = """
[covariance]
parameters = ["t_plus.y[0]", "D.value", "kappa.constants.a"]
matrix = [[0.01, 0, 0], [0, 1e-16, 0], [0, 0, 0.04]]
source = "simulation"
"""


def test_a_covariance_rides_along():
    read = parse_set(BASE + COVARIANCE, "test.toml")
    assert read.covariance is not None
    assert read.covariance.parameters == ("t_plus.y[0]", "D.value", "kappa.constants.a")
    assert np.array_equal(read.covariance.matrix, np.diag([0.01, 1e-16, 0.04]))
    assert "[covariance]" in read.bind().text
    assert np.array_equal(read.bind().kappa([300.0]), bound().kappa([300.0]))
    assert parse_set(BASE, "test.toml").covariance is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("t_plus.y[0]", "t_plus.y[9]", '[0] = "t_plus.y[9]" names no number of this file'),
        ("t_plus.y[0]", "t_plus.source", "names no number"),
        ("t_plus.y[0]", "kapa.y[0]", "names no number"),
        ("t_plus.y[0]", "D.value", "each once"),
        ("[0.01, 0, 0], ", "", "3 rows of 3 numbers"),
        ("[0.01, 0, 0]", "[0.01, 1e-8, 0]", "symmetric"),
        ("[[0.01, 0, 0], [0, 1e-16, 0]", "[[0.01, 2e-9, 0], [2e-9, 1e-16, 0]", "positive semi-definite"),
        ("[0.01, 0, 0]", "[-0.01, 0, 0]", "negative variance"),
        ("[0.01, 0, 0]", "[0.01, nan, 0]", "finite number"),
    ],
)
def test_bad_covariances(old, new, message):
    with pytest.raises(InputError, match=r"^test\.toml: covariance\.") as caught:
        parse_set(BASE + COVARIANCE.replace(old, new, 1), "test.toml")
    assert message in str(caught.value)


BAD = [
    ('name = "test"', 'nam = "test"', 'test.toml: nam is not a key of this file; did you mean "name"?'),
    ("unit =", "units_ =", "kappa.units_ is not a key of [kappa]; did you mean"),
    ('status = "assumed"', 'status = "guessed"', "test.toml: status = 'guessed' must be \"measured\" | "),
    ('note = "for tests"\n', "", "test.toml: note is missing"),
    ('[D]\nvalue = "1e-7 cm^2/s"\nsource = "assumed"', "", "test.toml: the table [D] is missing"),
    ('source = "assumed"\n\n[D]', "\n[D]", "test.toml: kappa.source is missing"),
    ('"1e-7 cm^2/s"', '"1e-7 S/cm"', "D.value = '1e-7 S/cm' is in S / cm, which is not a diffusion coefficient"),
    ('"1e-7 cm^2/s"', "1e-7", "D.value = 1e-07 has no unit"),
    ('"1e-7 cm^2/s"', '"-1e-7 cm^2/s"', "D = -1e-11 m^2/s at c = 0.1961 mol/L"),
    ('unit = "mS/cm"', 'unit = "m^2/s"', "kappa.unit = '1 m^2/s' is in"),
    ('unit = "mS/cm"', "", "test.toml: kappa.unit is missing"),
    ('"1e-7 cm^2/s"', '"1e-7 cm^2/s"\nexpression = "r"', "exactly one of value, table (x, y) and expression; found"),
    ('"1e-7 cm^2/s"', '"1e-7 cm^2/s"\nunit = "m^2/s"', "D.unit = 'm^2/s' does not go with `value`"),
    ('value = "1e-7 cm^2/s"\n', "", "D needs exactly one of value, table (x, y) and expression; found none"),
    ("x = [0.01, 0.1, 0.2]", "x = [0.01, 0.2, 0.1]", "t_plus.x[2] = 0.1 is not above the value before it"),
    ("x = [0.01, 0.1, 0.2]", "x = [0.01, 0.01, 0.2]", "t_plus.x[1] = 0.01 is not above the value before it"),
    ("x = [0.01, 0.1, 0.2]", "x = [0.01, 0.1]", "t_plus.y has 3 values for 2 in x"),
    ("x = [0.01, 0.1, 0.2]", "x = [-0.01, 0.1, 0.2]", "must not be negative"),
    ("x = [0.01, 0.1, 0.2]\ny = [0.4, 0.3, 0.1]", "x = [0.1]\ny = [0.4]", "needs at least two points"),
    ("y = [0.4, 0.3, 0.1]", "y = [0.4, nan, 0.1]", "test.toml: t_plus.y[1] = nan must be a finite number"),
    ("y = [0.4, 0.3, 0.1]", 'y = [0.4, "0.3", 0.1]', "t_plus.y[1] = '0.3' must be a finite number"),
    ("y = [0.4, 0.3, 0.1]", "y = [0.4, -0.3, 0.1]\nlog = true", "log = true needs positive x and y"),
    ("x = [0.01, 0.1, 0.2]", "x = [0.02, 0.1, 0.2]", "t_plus.x begins at r = 0.02, but [range] reaches 0.01; extend"),
    ("x = [0.01, 0.1, 0.2]", "x = [0.01, 0.1, 0.15]", "t_plus.x ends at r = 0.15, but [range] reaches 0.2"),
    ('"a * r"', "\"__import__('os')\"", 'kappa.expression: unknown function "__import__"'),
    ('"a * r"', '"r.real"', "kappa.expression: only numbers"),
    ('"a * r"', '"a * rr"', 'kappa.expression: unknown name "rr"; did you mean "r"?'),
    ('"a * r"', '"a * t_plus"', 'unknown name "t_plus"'),
    ('"a * r"', '"a / (r - r)"', "kappa = inf S/m at"),
    ('"a * r"', '"a * (0.1 - r)"', "S/m at c = 1.669 mol/L (r = 0.1001)"),
    ("a = 2.0", "r = 2.0", "kappa.constants.r cannot name a constant"),
    ("a = 2.0", 'a = "2 m"', "must be a bare number"),
    ('unit = "mS/cm"', 'unit = "mS/cm"\nunits = { T = "degC" }', "has an offset"),
    ('unit = "mS/cm"', 'unit = "mS/cm"\nunits = { c = "mol/kg" }', "kappa.units.c"),
    ('frame = "solvent"', 'frame = "lab"', 'frame = \'lab\' must be "solvent" | "volume" | "mass" | "molar"'),
    ('frame = "solvent"', 'frame = "mass"', "t_plus.frame = 'mass' is \"mass\", which needs [salt] M_plus"),
    (
        'M = "100 g/mol"',
        'M = "100 g/mol"\nM_plus = "200 g/mol"',
        "salt.M_plus = '200 g/mol' is the molar mass",
    ),
    ('frame = "solvent"\n', "", "t_plus.frame is missing"),
    ('basis = "molal"\n', "", 'chi.basis is missing; choose "molal" | "molar" | "particle_fraction"'),
    ("value = 1.5", "value = nan", "chi.value = nan is not a finite number"),
    ("value = 1.5", "value = -1.5", "chi = -1.5 at"),
    ('M = "100 g/mol"', 'M = "100 g/mol"\nz_minus = -2\nnu_plus = 1', "z_plus nu_plus + z_minus nu_minus = -1, but a"),
    ('M = "100 g/mol"', 'M = "100 g/mol"\nz_minus = 1', "salt.z_minus = 1 must be a negative charge number"),
    ('M = "100 g/mol"', 'M = "100 g/mol"\nz_plus = 0', "salt.z_plus = 0 must be a positive charge number"),
    ("y = [0.4, 0.3, 0.1]", "y = [40.0, 30.0, 10.0]", "t_plus = 40 at c = 0.1961 mol/L lies outside -10 to 10"),
    ('M = "100 g/mol"', 'M = "100 kg/mol"', "salt.M = 1e+05 g/mol, solvent.M = 50 g/mol and [volumes] make a solution"),
    ('M = "50 g/mol"', 'M = "50 kg/mol"', "check their units"),
    ("value = 1.5", 'variable = "r"\nx = [0.01, 0.05, 0.2]\ny = [1, 0, 2]', "chi falls to zero at c = 0.9091 mol/L"),
    ("value = 1.5", 'expression = "(r - 0.0501)**2"', "chi falls to zero at c = 0.9107"),
    ('value = "1e-7 cm^2/s"', 'x = [0, 0.7, 5]\ny = [1, 0, 1]\nvariable = "c"\nunit = "m^2/s"', "D falls to zero at"),
    ('M = "100 g/mol"', 'M = "-100 g/mol"', "salt.M = '-100 g/mol' must be positive"),
    ('variable = "r"\nmin = 0.01\nmax = 0.2', 'variable = "c"\nmin = 0.2\nmax = 10.5', "no room is left for solvent"),
    ('V_e = "100 cm^3/mol"', 'V_e = "-1 cm^3/mol"', "volumes.V_e = '-1 cm^3/mol' must not be negative"),
    ('V_0 = "50 cm^3/mol"\n', "", "test.toml: volumes needs exactly one of V_0, density; found none"),
    ('source = "assumed"\n\n[range]', 'density = { value = "1 kg/L" }\n\n[range]', "volumes.source is missing"),
    ('V_0 = "50 cm^3/mol"', 'density = { value = "1 kg/L" }', "does not go with density, from which V_e follows"),
    ("max = 0.2", "max = 0.005", "range.max = 0.005 must be above range.min"),
    ("min = 0.01", "min = 0", "range.min = 0 must be positive"),
    ("max = 0.2", 'max = "0.2 mol/L"', "range.max = '0.2 mol/L'"),
    ("max = 0.2", 'max = 0.2\nT_min = "300 K"\nT_max = "290 K"', "T_max = '290 K' must not be below range.T_min"),
    ("max = 0.2", 'max = 0.2\nT_min = "25 C"', '("C" is coulomb; write "degC")'),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=[f"{k}" for k in range(len(BAD))])
def test_bad_sets_are_one_sentence(old, new, message):
    with pytest.raises(InputError, match=r"^test\.toml: ") as caught:
        bound((old, new))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_paths(tmp_path):
    with pytest.raises(InputError, match='neither a shipped set nor a file; did you mean "steinruck2020_rs"'):
        load_set("steinruck2020_r")
    with pytest.raises(InputError, match="no such file"):
        load_set(tmp_path / "none.toml")
    (tmp_path / "mine.toml").write_text(BASE)
    assert load_set(tmp_path / "mine.toml").name == "test"
    assert load_set("mine.toml", folder=tmp_path).name == "test"
    assert read_set(str(tmp_path / "mine.toml")).file == tmp_path / "mine.toml"
    assert "dilute_ideal" in list_sets()


def test_importing_costs_no_scipy():
    code = "import sys, cellsim.electrolyte.set_file; sys.exit('scipy' in sys.modules or 'pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
