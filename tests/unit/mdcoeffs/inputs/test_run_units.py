"""Units of a run: the styles of LAMMPS by their definitions, reduced units by the argon of the textbooks."""

import numpy as np
import pytest
from md_toys import WALK

from cellsim.base import InputError, k_B
from cellsim.base.units import registry
from mdcoeffs.inputs.species import read_species
from mdcoeffs.inputs.units import STYLES, units_of_file
from mdcoeffs.onsager import read_estimate

TRAJECTORY = WALK.replace('arrays = "run.npz"', 'topology = "top.data"\ntrajectory = "run.dump"')
TRAJECTORY = TRAJECTORY[: TRAJECTORY.index("[units]")] + TRAJECTORY[TRAJECTORY.index("[species.Li]") :]
TRAJECTORY = TRAJECTORY.replace("role =", 'selection = "all"\nrole =')
ARGON = '[units]\nlength = "3.405 angstrom"\nmass = "39.948 g/mol"\nenergy = "0.99607 kJ/mol"\n'  # 119.8 K
AS_DOCUMENTED = {
    "real": ("angstrom", "fs", "g/mol", "angstrom/fs"),
    "metal": ("angstrom", "ps", "g/mol", "angstrom/ps"),
    "si": ("m", "s", "kg", "m/s"),
    "cgs": ("cm", "s", "g", "cm/s"),
    "electron": ("bohr", "fs", "amu", "bohr/(1.03275e-15 s)"),
    "micro": ("um", "us", "pg", "um/us"),
    "nano": ("nm", "ns", "ag", "nm/ns"),
}
"""LAMMPS documentation, "units command"."""


def read(folder, text, *, run=""):
    for name in ("top.data", "run.dump"):
        (folder / name).write_text("")
    (folder / "SPECIES.toml").write_text(run + TRAJECTORY.replace("[species.Li]", text + "[species.Li]", 1))
    return read_species(folder / "SPECIES.toml")


@pytest.mark.parametrize("style", AS_DOCUMENTED)
def test_the_styles_of_lammps(style):
    pint = registry()
    for value, unit, si in zip(
        (STYLES[style].length, STYLES[style].time, STYLES[style].mass, STYLES[style].velocity),
        AS_DOCUMENTED[style],
        ("m", "s", "kg", "m/s"),
        strict=True,
    ):
        meant = pint.Quantity(unit)
        meant = meant / pint.avogadro_constant if unit == "g/mol" else meant
        assert value == pytest.approx(meant.to(si).magnitude, rel=1e-8)


def test_argon(tmp_path):
    units = read(tmp_path, ARGON).run_units
    assert units.time == pytest.approx(2.156e-12, rel=1e-3)  # Rahman 1964, doi:10.1103/PhysRev.136.A405: his constants
    assert units.velocity == pytest.approx(units.length / units.time, rel=1e-12)
    assert units.mass * units.velocity**2 / k_B == pytest.approx(119.8, rel=1e-4)
    assert read(tmp_path, ARGON.replace("[units]", '[units]\nstyle = "lj"')).run_units == units


def test_values_in_reduced_units(tmp_path):
    (tmp_path / "x").mkdir()
    run = 'timestep = "0.005 tau"\nstart = "1e3 tau"\nbox = ["10 sigma", "10 sigma", "2e1 sigma"]\n'
    window = '[estimate]\nwindow = ["10 tau", "50 tau"]\n'
    text = TRAJECTORY.replace('temperature = "353 K"', 'temperature = "1.5 epsilon"')
    assert text != TRAJECTORY
    for name in ("top.data", "run.dump"):
        (tmp_path / name).write_text("")
    path = tmp_path / "SPECIES.toml"
    path.write_text(run + text.replace("[species.Li]", ARGON + window + "[species.Li]", 1))
    file = read_species(path)
    tau, sigma = file.run_units.time, file.run_units.length
    assert (file.timestep, file.start) == (pytest.approx(0.005 * tau, rel=1e-14), pytest.approx(1e3 * tau, rel=1e-14))
    assert np.array(file.box) == pytest.approx(np.array([10, 10, 20]) * sigma, rel=1e-14)
    assert file.temperature == pytest.approx(1.5 * 119.8, rel=1e-4)
    assert read_estimate(file).window == pytest.approx((10 * tau, 50 * tau), rel=1e-14)
    path.write_text(path.read_text().replace(ARGON, ""))
    with pytest.raises(InputError, match="is in reduced units; say what they are"):
        read_species(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ARGON.replace('energy = "0.99607 kJ/mol"\n', ""),
            "units leaves out energy: reduced units mean something only",
        ),
        ('[units]\nstyle = "lj"\nlength = "3.4 angstrom"\n', "units leaves out mass and energy"),
        ('[units]\nstyle = "real"\nlength = "3.4 angstrom"\n', 'says what style = "real" fixes already'),
        ('[units]\nstyle = "reel"\n', "units.style = 'reel' must be \"real\""),
        (ARGON.replace("g/mol", "g"), "units.mass"),
        (ARGON.replace("0.99607", "-0.99607"), "must be positive"),
        (ARGON.replace("3.405", "nan"), "units.length"),
        ('[units]\nposition = "angstrom"\n', "units.position goes with arrays and not with trajectory"),
        ('[units]\nsigma = "3.4 angstrom"\n', "is not a key of"),
    ],
)
def test_units_stated_in_half_or_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_run_units_do_not_go_with_arrays(tmp_path):
    np.savez(tmp_path / "run.npz", time=[0.0])
    (tmp_path / "SPECIES.toml").write_text(WALK.replace("[units]", '[units]\nstyle = "real"'))
    with pytest.raises(InputError, match=r"units.style goes with trajectory and not with arrays; leave it out"):
        read_species(tmp_path / "SPECIES.toml")


def test_the_file_and_the_table_must_agree():
    real, metal = STYLES["real"], STYLES["metal"]
    assert units_of_file("a", "", None) is None
    assert units_of_file("a", "real", None) == units_of_file("a", "", real) == units_of_file("a", "real", real) == real
    for said, stated, message in (
        ("real", metal, "is in real units, and"),
        ("lj", None, "is in Lennard-Jones units"),
        ("lj", real, "is in lj units, and"),
        ("miles", None, "which LAMMPS does not have"),
    ):
        with pytest.raises(InputError, match=message):
            units_of_file("a", said, stated)
