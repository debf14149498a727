"""Sets that go out to PyBaMM, BPX and tables and come back, and what those files mean in the equations they serve."""

import ast
import json

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from cellsim.electrolyte.expression import parse_expression
from cellsim.electrolyte.set_file import parse_set, read_set
from cellsim.instruments.exchange import portable, write_exchange
from cellsim.instruments.foreign_sets import read_exchange

NYMAN = "nyman2008_ec_emc"


def difference(one, other, T=None, inner=1e-9):
    """Largest differences of the properties over the range both have, relative to the largest value."""
    a, b = one.bind(T), other.bind(T)
    low, high = max(a.c_range[0], b.c_range[0]), min(a.c_range[1], b.c_range[1])
    c = np.geomspace(low * (1 + inner), high * (1 - inner), 1001)
    worst = {}
    for name in ("kappa", "D", "t_plus", "one_minus_t_plus_chi"):
        x, y = getattr(a, name)(c), getattr(b, name)(c)
        worst[name] = float(np.max(np.abs(x - y)) / np.max(np.abs(x)))
    return worst


@pytest.mark.parametrize(
    ("name", "kind", "suffix"),
    [
        ("landesfeind2019_ec_dmc", "bpx", "json"),  # a formula with T, chi on the molar basis
        (NYMAN, "csv", "csv"),  # (1 - t+0) chi on the molar basis
        ("steinruck2020_pnb", "pybamm", "py"),  # tables in r
        ("steinruck2020_rs_volume", "bpx", "json"),  # t+ in the frame of the volume
    ],
)
def test_a_set_that_went_out_comes_back(tmp_path, name, kind, suffix):
    """Worst of all: 6e-7, tables between their points; formulas 1e-15."""
    own = read_set(name)
    path = write_exchange(own, tmp_path / f"out.{suffix}", kind)
    back = read_exchange(path, own)
    worst = difference(own, back)
    assert max(worst.values()) < 1e-6, worst
    assert back.bind().c_range[1] == pytest.approx(own.bind().c_range[1], rel=1e-9)


@pytest.mark.parametrize("frame", ["volume", "solvent"])
def test_formulas_keep_their_temperature(tmp_path, frame):
    own = read_set("landesfeind2019_ec_dmc")
    path = write_exchange(own, tmp_path / "out.py", "pybamm", frame=frame)
    back = read_exchange(path, own, frame=frame)
    for T in (273.15, 313.15):
        assert max(difference(own, back, T).values()) < 1e-12
    assert "np.array" not in path.read_text()


def test_the_terms_are_those_of_the_equations():
    """Salt carried and slope of the potential, from the exported numbers as PyBaMM combines them, against the set's."""
    own = read_set("landesfeind2019_ec_dmc")
    transport = own.bind(298.15)
    c = np.linspace(*transport.c_range, 50)
    found = portable(own, transport, "volume", "pchip")
    t_plus, factor = (
        parse_expression(found[n].text, ("c", "T"))(c=c, T=np.full(50, 298.15)) for n in ("t_plus", "factor")
    )
    # N- = N+ - i/F in a medium at rest: (1 - t+)/F per current; ours is migration(), M = phi_0 (1 - t+0)/F
    np.testing.assert_allclose((1 - t_plus) / F, transport.migration(c), rtol=1e-12)
    # 2 (1 - t+) TDF RT/(F c) per concentration; ours is K dW/dc, by differences of the integral
    step = 1e-4 * c
    inner = slice(1, -1)
    slope = transport.concentration_voltage((c + step)[inner], (c - step)[inner]) / (2 * step[inner])
    peer = (2 * (1 - t_plus) * factor * R * 298.15 / (F * c))[inner]
    np.testing.assert_allclose(peer, slope, rtol=1e-6)  # measured 3e-8, the differences'


def test_pybamm_file_is_python_that_states_the_four(tmp_path):
    text = write_exchange(read_set(NYMAN), tmp_path / "nyman.py", "pybamm", c=1200.0).read_text()
    ast.parse(text)
    for key in ("Electrolyte conductivity [S.m-1]", "Electrolyte diffusivity [m2.s-1]", "Cation transference number"):
        assert f'"{key}": ' in text
    assert '"Initial concentration in electrolyte [mol.m-3]": 1200.0' in text
    assert "Nyman, Behm & Lindbergh 2008" in text


def test_bpx_holds_expressions_of_its_grammar(tmp_path):
    path = write_exchange(read_set(NYMAN), tmp_path / "nyman.json", "bpx")
    electrolyte = json.loads(path.read_text())["Parameterisation"]["Electrolyte"]
    transport = read_set(NYMAN).bind()
    assert electrolyte["Cation transference number"] == pytest.approx(
        1 - float(transport.phi_0(1000.0)) * (1 - float(transport.t_plus(1000.0))), rel=1e-12
    )
    kappa = eval(electrolyte["Conductivity [S.m-1]"], {"x": 1000.0})
    assert kappa == pytest.approx(float(transport.kappa(1000.0)), rel=1e-12)


FOREIGN = '''
import numpy as np
from pybamm import exp, constants
import pybamm

RISE = 17100

def base(c_e, T, coeffs):
    a, b = coeffs
    return a * (c_e / 1000) + b

def diffusivity(c_e, T):
    """Of somebody."""
    arrhenius = exp(RISE / constants.R * (1 / 298.15 - 1 / T))
    return 3e-10 * arrhenius * pybamm.maximum(1 - 0.1 * c_e / 1000, 0.2)

def conductivity(c_e, T):
    return base(c_e, T, np.array([0.2, 0.7]))

def get_parameter_values():
    return {
        "Electrolyte diffusivity [m2.s-1]": diffusivity,
        "Electrolyte conductivity [S.m-1]": conductivity,
        "Cation transference number": 0.3,
        "Other": 1,
    }
'''


def test_parameter_values_of_somebody(tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(FOREIGN)
    like = read_set("landesfeind2019_ec_dmc")
    transport = read_exchange(path, like, frame="solvent").bind(310.0)
    assert float(transport.D(1000.0)) == pytest.approx(2.7e-10 * np.exp(17100 / R * (1 / 298.15 - 1 / 310)), rel=1e-12)
    assert float(transport.kappa(1000.0)) == pytest.approx(0.9, rel=1e-12)
    assert float(transport.t_plus(1000.0)) == pytest.approx(0.3)
    assert float(transport.chi(1000.0)) == pytest.approx(
        float(transport.phi_0(1000.0))
    )  # theirs is 1 on the molar basis
    volume = read_exchange(path, like, frame="volume").bind(310.0)
    assert float(volume.t_plus(1000.0)) == pytest.approx(1 - 0.7 / float(volume.phi_0(1000.0)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("return 3e-10 * arrhenius", "open('x')|open is no function"),
        ("RISE = 17100", "RISE is not defined"),
        ('"Cation transference number": 0.3,', "not an electrolyte for PyBaMM"),
        ("a, b = coeffs", "is not understood"),
    ],
)
def test_what_is_no_electrolyte_is_refused(tmp_path, wrong, said):
    path = tmp_path / "theirs.py"
    new = {"return 3e-10 * arrhenius": "return open('x')", "a, b = coeffs": "a, b, d = coeffs"}.get(wrong, "")
    path.write_text(FOREIGN.replace(wrong, new, 1).replace("return open('x') * pybamm", "return open('x') + pybamm"))
    with pytest.raises(InputError, match=said.split("|")[-1]):
        read_exchange(path, read_set("landesfeind2019_ec_dmc"))


def test_nothing_is_executed(tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(f"open({str(tmp_path / 'made')!r}, 'w').close()\n" + FOREIGN)
    read_exchange(path, read_set("landesfeind2019_ec_dmc"))
    assert not (tmp_path / "made").exists()


def test_bpx_of_somebody_is_ideal_and_its_tables_are_tables(tmp_path):
    path = tmp_path / "cell.json"
    electrolyte = {
        "Cation transference number": 0.26,
        "Conductivity [S.m-1]": {"x": [0, 500, 1000, 2000], "y": [0.0, 0.7, 0.95, 0.8]},
        "Diffusivity [m2.s-1]": "8.8e-17 * x * x - 3.9e-13 * x + 4.8e-10",
    }
    path.write_text(json.dumps({"Header": {"BPX": "0.4"}, "Parameterisation": {"Electrolyte": electrolyte}}))
    transport = read_exchange(path, read_set(NYMAN)).bind()
    assert float(transport.kappa(1000.0)) == pytest.approx(0.95, rel=1e-9)
    assert float(transport.kappa(1400.0)) == pytest.approx(0.89, rel=1e-6)  # BPX joins points by straight lines
    assert transport.c_range[1] == 2000.0
    phi = float(transport.phi_0(1000.0))
    assert float(transport.one_minus_t_plus_chi(1000.0)) == pytest.approx(phi * 0.74, rel=1e-12)
    for text, said in (
        ("{}", "no electrolyte in BPX"),
        ('{"Parameterisation": {"Electrolyte": {}}}', "must be a number"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_exchange(path, read_set(NYMAN))


def test_salts_that_those_programs_do_not_have():
    with pytest.raises(InputError, match="1:1 salts only"):
        portable(read_set("poss_ptf"), read_set("poss_ptf").bind(), "volume", "pchip")


def test_a_density_curve_is_sampled(tmp_path):
    text = read_set(NYMAN).text
    start, end = text.index("V_e ="), text.index("source", text.index("V_e ="))
    density = 'density = { expression = "1130 + 95 * c - 4 * c**2", unit = "kg/m^3" }\n'
    own = parse_set(text[:start] + density + text[end:])
    back = read_exchange(write_exchange(own, tmp_path / "out.py", "pybamm"), own)
    assert max(difference(own, back).values()) < 1e-6
