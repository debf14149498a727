"""What papers state in place of kappa, D, t+0 and chi: the same set, stated twice, has the same properties."""

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.relations import Composition, frame_matrix, transference
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


@pytest.mark.parametrize("frame", ["volume", "mass", "molar"])
@pytest.mark.parametrize("z_minus", [-1, -2])
def test_transference_numbers_in_other_frames_are_those_of_the_onsager_matrix_there(frame, z_minus):
    """Omega of the solvent's frame, moved by A Omega A^T; by number is by mass where all particles weigh the same."""
    ions = f'formula = "LiX"\nM_plus = "7 g/mol"\nz_minus = {z_minus}'
    plain = parse_set(PLAIN.replace('formula = "LiX"', ions)).bind(350.0)
    heavy = (0.007, (0.1 - plain.nu_plus * 0.007) / plain.nu_minus)
    z, cross = np.array([1, z_minus]), 0.1
    for c in np.linspace(*plain.c_range, 5):
        t_plus = float(plain.t_plus(c))
        # a symmetric matrix of this transference number with respect to the solvent; O+- is free
        O = np.array([[t_plus - z_minus * cross, cross], [cross, (1 - t_plus - z_minus * cross) / z_minus**2]])
        assert transference(O, z)[0] == pytest.approx(t_plus, abs=1e-12)
        masses, of_solvent = ((1.0, 1.0), 1.0) if frame == "molar" else (heavy, 0.044)
        mixture = Composition(masses, of_solvent * float(plain.c_0(c)), (0.0, 1e-4 / plain.nu_minus))
        ions_at = [plain.nu_plus * c, plain.nu_minus * c]
        A = frame_matrix(ions_at, "volume" if frame == "volume" else "barycentric", mixture)
        assert plain.t_plus_in(frame, c) == pytest.approx(transference(A @ O @ A.T, z)[0], abs=1e-12)


@pytest.mark.parametrize("frame", ["volume", "mass", "molar"])
def test_a_set_that_states_t_plus_in_another_frame_is_the_same_set(frame):
    """Tabulated closely in that frame and read back; the curve of the table is worth 1e-5."""
    base = PLAIN.replace('formula = "LiX"', 'formula = "LiX"\nM_plus = "7 g/mol"')
    plain = parse_set(base).bind(350.0)
    r = np.linspace(0.02, 0.2, 400)
    c = plain.c_of_r(r)
    there = plain.t_plus_in(frame, c)
    assert np.max(np.abs(there - plain.t_plus(c))) > 0.01
    table = base.replace(T_PLUS, f'variable = "r"\nx = {r.tolist()}\ny = {there.tolist()}\nframe = "{frame}"')
    same(table, rtol=1e-5, base=base)
    still = parse_set(table).bind(350.0).with_motion("none")
    np.testing.assert_allclose(still.t_plus(c), there, rtol=1e-9)  # without solvent motion all frames are one
