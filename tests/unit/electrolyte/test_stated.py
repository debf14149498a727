"""What papers state in place of kappa, D, t+0 and chi: the same set, stated twice, has the same properties."""

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.set_file import parse_set

PLAIN = """
name = "plain"
status = "model"
note = "made up"
[salt]
formula = "LiX"
M = "100 g/mol"
[solvent]
name = "EO"
M = "44 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "40 cm^3/mol"
source = "made up"
[range]
variable = "r"
min = 0.02
max = 0.2
T_min = "300 K"
T_max = "400 K"
[kappa]
expression = "10 * r * exp(-r / 0.1)"
unit = "mS/cm"
source = "made up"
[D]
value = "1e-7 cm^2/s"
source = "made up"
[t_plus]
expression = "0.3 - 2 * r"
frame = "solvent"
source = "made up"
[chi]
expression = "1 + 5 * r"
basis = "molal"
source = "made up"
"""
T_PLUS = 'expression = "0.3 - 2 * r"\nframe = "solvent"'
CHI = 'expression = "1 + 5 * r"\nbasis = "molal"'
K = 2 * R / F  # per kelvin


def same(text, T=350.0, rtol=1e-12, base=PLAIN):
    one, other = parse_set(base).bind(T), parse_set(text).bind(T)
    c = np.linspace(*one.c_range, 40)
    for name in ("kappa", "D", "t_plus", "chi", "one_minus_t_plus_chi"):
        np.testing.assert_allclose(getattr(other, name)(c), getattr(one, name)(c), rtol=rtol, err_msg=name)


def test_slopes_of_concentration_cells_in_volts():
    slope = f'expression = "{K!r} * T * (0.7 + 2 * r) * (1 + 5 * r) * 1e3"\nunit = "mV"\ngives = "dU/dlnm"'
    for T in (310.0, 390.0):
        same(PLAIN.replace(CHI, slope), T)


@pytest.mark.parametrize("gives", ["chi", "product"])
def test_current_fractions_in_place_of_t_plus(gives):
    """rho+ of the set itself, tabulated closely; measured 3e-6 in t+0, the table's."""
    base = PLAIN
    if gives == "product":
        base = PLAIN.replace(
            CHI, 'expression = "(0.7 + 2 * r) * (1 + 5 * r)"\nbasis = "molal"\ngives = "(1-t_plus)*chi"'
        )
    plain = parse_set(base).bind(350.0)
    r = np.linspace(0.02, 0.2, 400)
    rho = 1 / (1 + plain.newman_number(plain.c_of_r(r)))
    table = f'variable = "r"\nx = {r.tolist()}\ny = {rho.tolist()}\ngives = "rho_plus"'
    same(base.replace(T_PLUS, table), rtol=1e-5, base=base)


def test_newmans_thermodynamic_coefficient():
    stated = PLAIN.replace(
        'value = "1e-7 cm^2/s"', 'expression = "1e-7 / ((1 + 2 * r) * (1 + 5 * r))"\nunit = "cm^2/s"'
    )
    same(stated.replace('unit = "cm^2/s"', 'unit = "cm^2/s"\ngives = "thermodynamic"'))


def test_solvent_per_salt_and_mass_fractions():
    r = np.linspace(0.02, 0.2, 30)
    y = (10 * r * np.exp(-r / 0.1)).tolist()
    kappa = 'expression = "10 * r * exp(-r / 0.1)"'
    plain = PLAIN.replace(kappa, f'variable = "r"\nx = {r.tolist()}\ny = {y}')
    oxygen = PLAIN.replace(kappa, f'variable = "EO:Li"\nx = {(1 / r).tolist()}\ny = {y}')
    mass = PLAIN.replace(kappa, f'variable = "w"\nx = {(100 * r / (100 * r + 44)).tolist()}\ny = {y}')
    same(oxygen, base=plain)
    same(mass, base=plain)


def test_names_in_expressions():
    named = PLAIN.replace("[kappa]", '[let]\ns = "r / 0.1"\nhalf = 0.5\ndecay = "exp(-s) * 2 * half"\n[kappa]')
    named = named.replace("10 * r * exp(-r / 0.1)", "s * decay").replace("1 + 5 * r", "1 + half * s")
    same(named)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[kappa]", '[let]\nr = "c"\n[kappa]', "let.r"),
        ("[kappa]", '[let]\ny = "1 +"\n[kappa]', "let.y"),
        (T_PLUS, 'value = 0.5\ngives = "rho_plus"\nframe = "volume"', "needs chi on the molal basis"),
        (CHI, 'value = "80 mV"\ngives = "dU/dlnm"\nbasis = "molar"', "chi.basis"),
        (CHI, 'value = 0.08\ngives = "dU/dlnm"', "chi.value"),
        ('value = "1e-7 cm^2/s"', 'value = "1e-7 cm^2/s"\ngives = "thermo"', "D.gives"),
        (T_PLUS, 'value = 1.5\ngives = "rho_plus"', "t_plus"),
        (T_PLUS, 'variable = "r"\nx = [0.05, 0.2]\ny = [0.3, 0.3]\ngives = "rho_plus"', "t_plus.x begins"),
        ('expression = "10 * r', 'variable = "EO:Li"\nx = [5, 50]\ny = [1, 2]\n#', "must decrease"),
        ('expression = "10 * r', 'variable = "w"\nx = [0.1, 1.2]\ny = [1, 2]\n#', "below 1"),
    ],
)
def test_what_is_stated_wrongly_is_said(old, new, said):
    with pytest.raises(InputError, match=said):
        parse_set(PLAIN.replace(old, new)).bind(350.0)
