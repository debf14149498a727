"""Frames, bases and densities against algebra done by hand, independent of the code's formulas."""

from dataclasses import replace

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.electrolyte.set_file import load_set, parse_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes, DensityVolumes

M_E, M_0, V_E, V_0 = 0.28708, 0.04405, 134.9e-6, 39.99e-6  # LiTFSI, EO unit; Steinrueck 2020
N_A = 6.02214076e23
EQ_4 = "(M_e + M_0 / r) / (V_e + V_0 / r)"
EQ_4_IN_C = "M_e * c + M_0 * (1 - c * V_e) / V_0"

SET = f"""
name = "test"
status = "assumed"
note = "for tests"
[salt]
formula = "LiTFSI"
M = "{M_E} kg/mol"
[solvent]
name = "EO"
M = "{M_0} kg/mol"
[volumes]
source = "Steinrueck 2020, Eq. 4"
VOLUMES
[range]
RANGE
[kappa]
value = "0.1 S/m"
source = "assumed"
[D]
value = "1e-11 m^2/s"
source = "assumed"
[t_plus]
value = 0.2
frame = "FRAME"
source = "assumed"
[chi]
value = 1.7
basis = "BASIS"
source = "assumed"
"""
CONSTANT = f'V_e = "{V_E} m^3/mol"\nV_0 = "{V_0} m^3/mol"'


def make(
    volumes: str = CONSTANT,
    span: str = 'variable = "r"\nmin = 0.01\nmax = 0.3',
    frame: str = "solvent",
    basis: str = "molal",
) -> TransportSet:
    text = SET.replace("VOLUMES", volumes).replace("RANGE", span).replace("FRAME", frame).replace("BASIS", basis)
    return parse_set(text, "test.toml").bind()


def density_block(expression: str, units: str = "") -> str:
    constants = f"{{ M_e = {M_E}, M_0 = {M_0}, V_e = {V_E}, V_0 = {V_0} }}"
    return f'[volumes.density]\nexpression = "{expression}"\nunit = "kg/m^3"\nconstants = {constants}\n{units}'


def test_frame_from_the_currents_of_each_species():
    """t+ from its definition, without the formula: at uniform composition N0 = c0 v0, N- = t-0 i/(z- F) + c- v0,
    N+ = t+0 i/F + c+ v0; the volume frame is where V_e N- + V_0 N0 = 0 (the anion carries the salt's volume), and t+V
    the cation's share of the current seen there."""
    volume = make(frame="volume")
    c = np.array([300.0, 1000.0, 2500.0])
    c_0 = (1 - c * V_E) / V_0
    t_0 = volume.t_plus(c)
    i = 1.0  # i/F
    v_0 = V_E * (1 - t_0) * i / (V_E * c + V_0 * c_0)  # from V_e (-(1 - t+0) i + c v0) + V_0 c0 v0 = 0
    N_plus = t_0 * i + c * v_0
    assert N_plus / i == pytest.approx(0.2, rel=1e-12, abs=0)


def test_bases_from_the_derivatives_of_one_chemical_potential():
    """mu_e/(nu R T) as a function g of composition with g' = chi dln m/dc, each stated basis differentiated by hand."""
    c = 1500.0
    step = 1.0
    molal = make()

    def ln_m(x: float) -> float:
        return float(np.log(molal.m(x)))

    dln_m = (ln_m(c + step) - ln_m(c - step)) / (2 * step)  # truncation 2e-7 relative
    # molar: d mu = 1.7 dln c = chi dln m
    assert make(basis="molar").chi(c) == pytest.approx(1.7 * (1 / c) / dln_m, rel=1e-6, abs=0)
    # particle fraction: y = nu c/(c0 + nu c), d mu = 1.7 dln c/(c_T V_0): at constant volumes dln y = dln c/(c_T V_0)
    c_0 = (1 - c * V_E) / V_0

    def ln_y(x: float) -> float:
        return float(np.log(2 * x / ((1 - x * V_E) / V_0 + 2 * x)))

    dln_y = (ln_y(c + step) - ln_y(c - step)) / (2 * step)
    assert dln_y * c == pytest.approx(1 / ((c_0 + 2 * c) * V_0), rel=1e-6, abs=0)
    assert make(basis="particle_fraction").chi(c) == pytest.approx(1.7 * dln_y / dln_m, rel=1e-6, abs=0)
    assert molal.chi(c) == 1.7


def test_without_solvent_motion_nothing_is_converted():
    for basis in ("molal", "molar"):
        s = make(frame="volume", basis=basis).with_motion("none")
        assert s.chi(1500.0) == 1.7
        assert s.t_plus(1500.0) == pytest.approx(0.2, rel=1e-15, abs=0)
        assert s.phi_0(1500.0) == 1.0


R_TABLE = np.linspace(0.0, 0.3, 61)
RHO_TABLE = (M_E * R_TABLE + M_0) / (V_E * R_TABLE + V_0)
TABLE_R = (
    f'[volumes.density]\nvariable = "r"\nx = {R_TABLE.tolist()}\ny = {RHO_TABLE.tolist()}\nunit = "kg/m^3"'  # Eq. 4
)
SPAN_C = 'variable = "c"\nmin = 0.1\nmax = 3.0'
SPAN_M = 'variable = "m"\nmin = 0.2\nmax = 6.0'


@pytest.mark.parametrize(
    ("block", "span"),
    [
        (density_block(f"({EQ_4.replace('r', '(r + 1e-12)')})"), None),
        (density_block("(M_e * r + M_0) / (V_e * r + V_0)"), SPAN_C),
        (density_block("(M_e * r + M_0) / (V_e * r + V_0)"), SPAN_M),
        (density_block("(M_e * m * M_0 + M_0) / (V_e * m * M_0 + V_0)"), None),
        (density_block("(M_e * m * M_0 + M_0) / (V_e * m * M_0 + V_0)"), SPAN_C),
        (density_block(EQ_4_IN_C, 'units = { c = "mol/m^3" }'), None),
        (density_block(EQ_4_IN_C, 'units = { c = "mol/m^3" }'), SPAN_C),
        (density_block(EQ_4_IN_C, 'units = { c = "mol/m^3" }'), SPAN_M),
    ],
)
def test_steinruck_equation_4_round_trip(block, span):
    """The density of constant volumes, read as a density in any variable, gives the constant volumes back."""
    span = span or 'variable = "r"\nmin = 0.01\nmax = 0.3'
    constant, derived = make(span=span), make(block, span)
    assert derived.volumes.varies
    assert derived.c_range == pytest.approx(constant.c_range, rel=2e-11, abs=0)
    c = np.linspace(*constant.c_range, 50).clip(*derived.c_range)
    # measured: 3e-12 (c0), 6e-12 (volumes), from the 1e-12 that keeps the first form finite at r = 0; 1e-12 without
    assert derived.c_0(c) == pytest.approx(constant.c_0(c), rel=1e-11, abs=0)
    assert derived.V_e(c) == pytest.approx(V_E, rel=2e-11, abs=0)
    assert derived.V_0(c) == pytest.approx(V_0, rel=2e-11, abs=0)
    assert derived.phi_0(c) == pytest.approx(constant.phi_0(c), rel=2e-11, abs=0)
    assert derived.density(c) == pytest.approx(constant.density(c), rel=1e-11, abs=0)
    assert derived.c_of(r=0.1) == pytest.approx(constant.c_of(r=0.1), rel=1e-11, abs=0)


def test_a_density_table_is_as_good_as_its_points():
    constant, derived = make(), make(TABLE_R)
    c = np.linspace(*constant.c_range, 50).clip(*derived.c_range)
    # measured with 61 points: 3.2e-9 in rho, 4.6e-5 in V_e, which hangs on the slope of the table
    assert derived.density(c) == pytest.approx(constant.density(c), rel=1e-8, abs=0)
    assert derived.V_e(c) == pytest.approx(V_E, rel=1.4e-4, abs=0)


def test_a_density_that_does_not_reach():
    with pytest.raises(InputError, match=r"volumes\.density\.x ends at r = 0\.3, but \[range\] reaches 0\.35"):
        make(TABLE_R, 'variable = "r"\nmin = 0.01\nmax = 0.35')
    with pytest.raises(InputError, match=r"volumes\.density does not reach to the end of \[range\]"):
        make(TABLE_R, 'variable = "c"\nmin = 0.1\nmax = 5.0')
    with pytest.raises(InputError, match="must depend on one of c, m and r only"):
        make(density_block("c + r"))


def test_densities_that_cannot_be():
    with pytest.raises(InputError, match="leaves no room for solvent"):
        make('[volumes.density]\nvalue = "1 kg/L"', 'variable = "c"\nmin = 0.1\nmax = 3.6')
    with pytest.raises(InputError, match="negative partial molar volume"):
        make(
            '[volumes.density]\nexpression = "1000 + 300 * c + 800 * c**2"\nunit = "kg/m^3"',
            'variable = "c"\nmin = 0.1\nmax = 3',
        )


def test_a_varying_density_by_hand():
    """rho = a + b c + e c^2: c0 = (rho - M_e c)/M_0, V_0 = 1/(c0 - c c0'), V_e = -c0' V_0, differentiated by hand."""
    a, b, e = 1100.0, 0.12, -1e-5
    volumes = DensityVolumes.from_density(lambda c: a + b * c + e * c**2, M_E, M_0, 3000.0)
    s = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=0.2, c_range=(10.0, 3000.0))
    c = np.array([100.0, 1000.0, 2900.0])
    c_0 = (a + (b - M_E) * c + e * c**2) / M_0
    slope = ((b - M_E) + 2 * e * c) / M_0
    assert volumes.c_0(c) == pytest.approx(c_0, rel=1e-12, abs=0)
    assert volumes.dc_0(c) == pytest.approx(slope, rel=1e-9, abs=0)
    s = replace(s, volumes=volumes, M_e=M_E, M_0=M_0)
    solvent = 1 / (c_0 - c * slope)
    assert s.V_0(c) == pytest.approx(solvent, rel=1e-9, abs=0)
    assert s.V_e(c) == pytest.approx(-slope * solvent, rel=1e-9, abs=0)
    # V_e c + V_0 c0 = 1
    assert s.V_e(c) * c + s.V_0(c) * c_0 == pytest.approx(1.0, rel=1e-12, abs=0)


def test_density_of_the_reconstruction():
    """Steinrueck Eq. 4 at r = 0.1 by hand, in g/mol and cubic angstrom: 1.66054 (287.08 + 440.5)/(224 + 664)."""
    s = load_set("steinruck2020_rs")
    by_hand = (287.08 + 440.5) * 1e-3 / N_A / ((224 + 664) * 1e-30)
    assert s.density(s.c_of(r=0.1)) == pytest.approx(by_hand, rel=3e-4, abs=0)  # volumes shipped to four digits
    assert isinstance(s.volumes, ConstantVolumes)
