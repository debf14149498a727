"""Designs of experiments on n components: what a measurement tells, and what such a design does not have."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import cellsim
from cellsim import Options, Protocol, hold_voltage
from cellsim.base import InputError
from cellsim.fit.design import design, read_design
from cellsim.fit.mixture_model import MixtureModel
from cellsim.run.mixture import read_case

CASES = Path(__file__).parents[3] / "cases/mixed_solvent"
ONE = """
case = "segregation.toml"
[goal]
shrink = "components.tau.EC"
[candidates]
voltage = ["40 mV"]
thickness = ["0.2 mm"]
duration = ["30 s", "60 s"]
[[measure.profile]]
species = "EC"
interval = "30 s"
positions = 10
error = "20 mol/m^3"
[[measure.profile]]
species = "PF6 + 0.5 EMC"
interval = "30 s"
positions = 10
error = "1 %"
[[fit.number]]
name = "components.tau.EC"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("segregation.toml", "lipf6_ec_emc.toml", "two_salts_peo.toml", "design.toml"):
        shutil.copy(CASES / name, tmp_path / name)
    return tmp_path


@pytest.mark.slow
def test_a_design_is_the_fisher_information_of_profiles_of_its_species(folder):
    """Of one unknown: 1/sqrt(sum (dc/dtau)^2/error^2), with runs and differences of our own (measured 1e-3)."""
    (folder / "one.toml").write_text(ONE)
    found = design(read_design(folder / "one.toml"), choose=2)
    case = read_case(folder / "segregation.toml", changes={"thickness": "0.2 mm"}, whole=False)
    model = MixtureModel(case.transport, read_design(folder / "one.toml").candidates[0].problem.model.parameters)
    x, runs = (np.arange(10) + 0.5) * 2e-5, []
    for tau in (2.85, 2.87):
        transport = model.at({"components.tau.EC": tau}, 298.15)
        run = cellsim.simulate(
            case.cell,
            transport,
            Protocol((hold_voltage(0.04, 60.0),)),
            c0=case.r0,
            times=[30.0, 60.0],
            options=Options(cells=320, rtol=1e-6),
        )
        places = np.flatnonzero(np.isin(run["time"], [30.0, 60.0]))
        c = {name: run.at(f"c_{name}", x)[places] for name in ("EC", "PF6", "EMC")}
        runs.append((c["EC"], c["PF6"] + 0.5 * c["EMC"]))
    filled = dict(zip(case.transport.species, case.transport.concentrations(case.r0), strict=True))
    errors = (20.0, 0.01 * (filled["PF6"] + 0.5 * filled["EMC"]))
    slopes = [(b - a) / 0.02 / error for a, b, error in zip(*runs, errors, strict=True)]
    typical = 2.86  # merits are in units of the number's own size
    for rated in found.rated:
        kept = slice(0, 1 if rated.duration == 30 else 2)
        exact = [1 / np.sqrt(np.sum(s[kept] ** 2)) / typical for s in slopes]
        alone = [rated.share[kind] for kind in ("profile of EC", "profile of PF6 + 0.5 EMC")]
        assert alone == pytest.approx(exact, rel=3e-3)
        assert rated.merit == pytest.approx(1 / np.sqrt(sum(e**-2 for e in exact)), rel=3e-3)
    assert {c.kind for c in found.choices} <= {"profile of EC", "profile of PF6 + 0.5 EMC"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('species = "EC"', 'species = "ECC"', "'ECC' is no species of this electrolyte; it has Li, PF6, EC, EMC"),
        ('species = "EC"\n', "", r"measure.profile\[0\].species is missing"),
        ('species = "PF6 + 0.5 EMC"', 'species = "EC"', "profile of EC is named twice"),
        ('shrink = "components.tau.EC"', 'shrink = "t_plus"', "'t_plus' is no parameter of this fit"),
        ('[[fit.number]]\nname = "components.tau.EC"', "", r"name the numbers of the set under \[\[fit.number\]\]"),
        ("[[fit.number]]", '[fit.D]\nform = "constant"\n[[fit.number]]', "fit.D is not a key"),
        (
            'shrink = "components.tau.EC"',
            'separate = ["lipf6_ec_emc.toml", "dilute_ideal"]',
            "fit has no meaning where two sets are separated",
        ),
        ("[[fit.number]]", '[nuisance.c0]\nprior_sd = "1 %"\n[[fit.number]]', "c0 is no nuisance of a cell of n comp"),
    ],
)
def test_what_such_a_design_does_not_have_is_refused(folder, old, new, told):
    assert old in ONE
    (folder / "bad.toml").write_text(ONE.replace(old, new))
    with pytest.raises(InputError, match=told):
        read_design(folder / "bad.toml")


def test_sets_of_other_species_are_not_separated(folder):
    text = ONE.replace('shrink = "components.tau.EC"', 'separate = ["lipf6_ec_emc.toml", "dilute_ideal"]')
    (folder / "bad.toml").write_text(text.partition("[[fit.number]]")[0])
    with pytest.raises(InputError, match="dilute_ideal is no set of the species of the case, Li, PF6, EC, EMC"):
        read_design(folder / "bad.toml")


@pytest.mark.slow
def test_the_shipped_design_is_read(folder):
    offer = read_design(folder / "design.toml")
    assert len(offer.candidates) == 2 and offer.shrink == "components.tau.EC"
