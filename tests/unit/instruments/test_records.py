"""Data of n components: columns and sheets name a species or a sum; what does not fit is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet, short_sum, species_sum
from cellsim.electrolyte.set_file import load_set
from cellsim.files.schema import parse_toml
from cellsim.instruments.data import read_measurements, read_sheet
from cellsim.instruments.looks import ROLES, VelocityLook
from cellsim.instruments.records import Setup
from cellsim.solvers.solution import MixtureSolution

SETS = Path(__file__).parents[3] / "cases" / "mixed_solvent"
PROTOCOL = Protocol((hold_voltage(0.01, 600.0),))
R0 = np.array([0.2, 1.2])


def setup(name="lipf6_ec_emc", r0=R0):
    transport = load_electrolyte(SETS / f"{name}.toml")
    return Setup(Cell(4e-4, transport.T), transport, PROTOCOL, 1000.0, r0=r0)


def read(folder, text, kind=None, to=None):
    """A table with a column of that name, or a sheet of this text about a table."""
    (folder / "a.csv").write_text("time (s),position (mm)," + text)
    if kind is None:
        return read_measurements(folder / "a.csv", to or setup())[0]
    return read_sheet(parse_toml(f'file = "a.csv"\n{kind}', folder / "sheet.toml"), to or setup())[0]


ONE = "c (mol/m^3)\n60,0.1,5\n"
RASTER, XAM = "intensity\n-60,0.1,100\n60,0.1,100\n", 'kind = "xam"\nenergy = "8 keV"\npath_length = "1 mm"\n'


def run():
    """Two states of Li, X, b, S on three faces, by hand."""
    c = np.array([[1.0, 2, 3], [1, 2, 3], [6, 4, 2], [8, 8, 8]])
    v = np.array([[1.0, 1, 1], [-1, -1, -1], [2, 3, 4], [0, 0, 0]])
    face = np.broadcast_to(np.array([0.0, 1e-4, 2e-4]), (2, 3))
    arrays = {
        "c_face": np.repeat(c[:, None], 2, axis=1),
        "v": np.stack([np.repeat(v[:, None], 2, axis=1)] * 3),
        "position_face": face,
        "interface_shift": np.zeros(2),
        "v_interface": np.zeros(2),
    }
    coordinates = {"time": np.array([0.0, 100.0]), "x": face[0, :2] + 5e-5, "face": face[0]}
    return MixtureSolution(arrays, coordinates, "done", "", {"species": "Li,X,b,S"})


def test_sums_of_species_are_read_and_written():
    names = ("Li", "PF6", "EC", "b_2")
    assert species_sum("1e+2 Li+ 0.5*b_2 +EC", names) == {"Li": 100.0, "b_2": 0.5, "EC": 1.0}
    assert short_sum("0.0123456 Li + EC+8*PF6") == "0.0123 Li + EC + 8 PF6"


@pytest.mark.parametrize(
    "text", ["", "XX", "EC +", "-1 EC", "EC - Li", "4EC", "nan EC", "0 EC", "EC + 2 EC", "1e999 EC"]
)
def test_sums_that_are_none_are_refused(text):
    with pytest.raises(InputError, match=r"it has Li, EC, and sums|must be a positive number|contains EC twice"):
        species_sum(text, ("Li", "EC"))


def test_a_sum_of_a_run_adds_concentrations_and_averages_velocities_by_them():
    found = run()
    assert found["c_face_X + 2 b"][1] == pytest.approx([13, 10, 7])
    assert found["v_b"].shape == (3, 2, 3) and found["v_7 b"][0, 0] == pytest.approx([2, 3, 4])
    # (1 (-1) + 2 6 2)/(1 + 12), and so on
    assert found["v_X + 2 b"][1, 0] == pytest.approx([23 / 13, 22 / 10, 13 / 7])
    assert found.dimensions("v_X + 2 b") == ("frame", "time", "face") and found.dimensions("c_b") == ("time", "x")
    assert found.at("v_X + 2 b", np.array([5e-5]))[1, 0] == pytest.approx((23 / 13 + 22 / 10) / 2)
    with pytest.raises(InputError, match="is not a variable of a result"):
        found.dimensions("v_Q")


def test_columns_name_species_and_sums(tmp_path):
    found = read(tmp_path, "c_EC (mol/L),error (mol/L)\n60,0.1,6,0.1\n60,0.2,6.1,0.1\n")
    assert (found.kind, found.quantity, found.species) == ("profile", "c_EC", "EC")
    assert found.value == pytest.approx([6000, 6100])
    assert read(tmp_path, "c_4 EC + 8 EMC (mol/m^3)\n60,0.1,5\n").quantity == "c_4 EC + 8 EMC"
    seen = read(tmp_path, "v_EC (nm/s)\n60,0.1,5\n")
    assert isinstance(seen.look, VelocityLook) and (seen.quantity, seen.look.frame) == ("v_EC", "lab")
    assert read(tmp_path, "v_EC + PF6 (nm/s)\n60,0.1,5\n").look.frame == "interface"
    stated = read(tmp_path, "v (nm/s)\n60,0.1,-5\n", 'kind = "velocity"\nspecies = "EC"\nframe = "solvent"')
    assert (stated.quantity, stated.look.frame, stated.look.unsigned) == ("v_EC", "solvent", False)
    assert read(tmp_path, ONE, 'kind = "profile"\nspecies = "6 PF6"').species == "6 PF6"
    (tmp_path / "a.csv").write_text("x,0,60\n0.1,5000,5000\n0.2,5000,5100\n")
    units = 'unit = "mol/m^3"\ntime_unit = "s"\nposition_unit = "mm"\n'
    sheet = parse_toml(f'file = "a.csv"\nkind = "profile"\nspecies = "EC"\n{units}', tmp_path / "s.toml")
    assert read_sheet(sheet, setup())[0].quantity == "c_EC"
    # as filled: every species' concentration, weighted
    filled = setup().transport.concentrations(R0)
    assert setup().concentration("0.5 Li + EMC") == pytest.approx(0.5 * filled[0] + filled[3])
    assert filled @ np.array([0, 51e-6, 65.4e-6, 102.7e-6]) == pytest.approx(1.0)  # they fill the volume


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        (
            "c_XX (mol/L)\n60,0.1,1\n",
            None,
            "column \"c_XX\": 'XX' is no species of this electrolyte; it has Li, PF6, EC",
        ),
        (ONE, None, "must have one concentration of a species beside them: c_Li, c_PF6, c_EC, c_EMC"),
        ("c_EC (mol/L),c_Li (mol/L)\n60,0.1,1,1\n", None, "found c_EC, c_Li"),
        ("v_0 (nm/s)\n60,0.1,1\n", None, "column \"v_0\": '0' is no species"),
        ("v (nm/s)\n60,0.1,1\n", None, "one velocity of a species beside them: v_Li"),
        ("v (nm/s)\n60,0.1,1\n", 'kind = "velocity"\nspecies = "EC"\nframe = "bulk"', 'must be "lab" | "interface" |'),
        ("v (nm/s)\n60,0.1,1\n", 'kind = "velocity"\nquantity = "v_0"', "for a cell of n components name species"),
        (ONE, 'kind = "profile"\nspecies = "EC - Li"', "species = \"EC - Li\": 'EC - Li' is no species"),
        (ONE, 'kind = "profile"\nspecies = "2 EC + 0 Li"', "weight of a species must be a positive number"),
        (ONE, 'kind = "mri"\npositive = "lower"', "species is missing: it says whose nuclei"),
        (RASTER, f'{XAM}salt = "LiPF6"', "for a cell of n components give formulas"),
        (RASTER, XAM, "species is missing: all attenuation is counted as"),
        (RASTER, f'{XAM}species = "PF6"\nformulas = {{ Li = "Li" }}', "lacks PF6, EC, EMC"),
        (ONE, 'kind = "xpcs"', "needs species in a data sheet"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, text, kind, match):
    with pytest.raises(InputError) as told:
        read(tmp_path, text, kind)
    assert match in str(told.value) and "\n" not in str(told.value) and str(tmp_path) in str(told.value)


def test_species_are_refused_of_one_salt(tmp_path):
    salt = Setup(Cell(3e-3, 363.15), load_set("steinruck2020_rs", T=363.15), PROTOCOL, 1600.0)
    with pytest.raises(
        InputError, match="species = 'EC' is for a cell of n components; steinruck2020_rs is a set of one"
    ):
        read(tmp_path, ONE, 'kind = "profile"\nspecies = "EC"', salt)
    assert (salt.species, salt.concentration()) == ((), 1600.0)


def test_correlation_functions_see_the_only_solvent_or_the_species_named(tmp_path):
    speed = np.linspace(0, 1e-8, 5)
    values = {"time": [60.0], "position": [2e-4], "v_0": [5e-9], "v_0_error": [1e-9]}
    variables = {name: ("series", np.array(each)) for name, each in values.items()}
    table = {"likelihood_speed": speed, "likelihood_root": (speed - 5e-9) / 1e-9}
    variables |= {name: (("series", "node"), each[None]) for name, each in table.items()}
    xr.Dataset(variables).to_netcdf(tmp_path / "xpcs.nc")
    polymer = setup("two_salts_peo", np.array([0.05, 0.03]))
    assert read_measurements(tmp_path / "xpcs.nc", polymer)[0].quantity == "v_EO"
    with pytest.raises(InputError, match="needs species in a data sheet, whose velocity was measured"):
        read_measurements(tmp_path / "xpcs.nc", setup())
    text = 'kind = "xpcs"\nfile = "xpcs.nc"\nspecies = "88.06 EC + 104.1 EMC"\n'
    (named,) = read_sheet(parse_toml(text, tmp_path / "s.toml"), setup())
    assert named.quantity == "v_88.06 EC + 104.1 EMC"


def test_the_solvent_frame_is_that_of_the_reference():
    found, look = run(), VelocityLook(np.array([50.0]), np.array([5e-5]), "v_b", "solvent", unsigned=False)
    found.arrays["v"][1, 3] = 0.5  # the reference moves in the lab
    moving = MixtureSet.constant(np.eye(3), z=(-1, 0))
    assert look.predict(moving, found, ROLES) == pytest.approx([2.0])
