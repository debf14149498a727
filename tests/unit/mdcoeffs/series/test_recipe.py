"""SERIES.toml: what is read, and that every mistake is one sentence with file, key and remedy."""

import numpy as np
import pytest
from series_toys import onsager_folder

from cellsim.base import InputError
from mdcoeffs.series.recipe import read_measured, read_series

SPECIES = """temperature = "300 K"
arrays = "run.npz"
[species.Li]
role = "cation"
charge = 1
count = 10
[species.X]
role = "anion"
charge = -1
count = 10
[species.S]
role = "solvent"
count = 50
"""


@pytest.fixture
def place(tmp_path):
    np.savez(tmp_path / "run.npz", time=np.arange(3.0), R=np.zeros((3, 3, 3)))
    np.savez(tmp_path / "warm.npz", time=np.arange(4.0), R=np.zeros((4, 3, 3)))
    (tmp_path / "SPECIES.toml").write_text(SPECIES)
    onsager_folder(tmp_path / "done", T=350.0)
    return tmp_path


def read(place, text):
    (place / "series.toml").write_text(text)
    return read_series(place / "series.toml")


GOOD = """
[series]
variable = "T"
[series.set]
"estimate.prior_flat" = 0.2
[[state]]
species = "SPECIES.toml"
[[state]]
value = "40 degC"
species = "SPECIES.toml"
set = { temperature = "313.15 K", arrays = "warm.npz" }
[[state]]
value = "350 K"
result = "done"
"""


def test_states_share_a_file_with_changes_and_take_results_that_are_there(place):
    recipe = read(place, GOOD)
    first, second, third = recipe.states
    assert (first.value, second.value, third.value) == (300.0, pytest.approx(313.15), 350.0)
    assert [state.name for state in recipe.states] == ["T_300", "T_313.15", "T_350"]
    assert second.species.temperature == 313.15 and second.species.replicas[0].arrays.name == "warm.npz"
    assert first.species.replicas[0].arrays.name == "run.npz"
    assert first.settings["onsager"].prior_flat == second.settings["onsager"].prior_flat == 0.2
    assert list(third.results) == ["onsager"] and third.species is None
    assert recipe.fits == ("arrhenius", "vft")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('variable = "T"', 'variable = "T"\nvariables = 1', r"series\.variables is not a key"),
        ('variable = "T"', "", r"series\.variable is missing"),
        ('variable = "T"', 'variable = "T"\nunit = "mK"', r"series\.unit = 'mK' of a temperature is K"),
        (
            'variable = "T"',
            'variable = "T"\nanalyses = ["onsagr"]',
            "'onsagr' is no analysis of mdcoeffs",
        ),
        (
            'variable = "T"',
            'variable = "T"\nfits = ["vft"]',
            "needs at least 4 states and the series has 3",
        ),
        (
            'variable = "T"',
            'variable = "T"\nfits = ["line"]',
            "'line' is no law of temperature; allowed: arr",
        ),
        ('"40 degC"', '"50 degC"', r"says 313\.15 K; correct one of the two"),
        ('"40 degC"', '"40"', r"state\[1\]\.value = '40'"),
        ('"350 K"', '"350 K"\nname = "a/b"', "cannot name a folder"),
        ('result = "done"', 'result = "gone"', r"contains no result of mdcoeffs \(no summary\.json\)"),
        ('result = "done"', 'result = ["done", "done"]', "two results of mdcoeffs onsager"),
        ('result = "done"', 'result = "done"\nspecies = "SPECIES.toml"', "exactly one of species, result"),
        ('result = "done"', 'result = "done"\nset = { temperature = "1 K" }', "changes a SPECIES.toml"),
        ('"350 K"', '"300 K"', "two states would both be called 'T_300'"),
        ('"warm.npz" }', '"cold.npz" }', "'cold.npz'"),
        ('"warm.npz" }', '"warm.npz", tempratur = "3 K" }', "tempratur is not a key of this file"),
        ("prior_flat", "prior_flt", r"estimate\.prior_flt is not a key"),
        ('species = "SPECIES.toml"\n[[state]]', 'species = "NONE.toml"\n[[state]]', "names no file that exists"),
        ('variable = "T"', 'variable = "charge_scaling"', r"state\[0\]\.value is missing; give the charge_scaling"),
        ('variable = "T"', 'variable = "p"\nunit = "bananas"', "bananas"),
    ],
)
def test_a_mistake_is_one_sentence(place, old, new, message):
    assert old in GOOD
    with pytest.raises(InputError, match=message):
        read(place, GOOD.replace(old, new, 1))


def test_replicas_of_several_files_are_one_state_if_the_files_agree(place):
    (place / "two.toml").write_text(SPECIES.replace("run.npz", "warm.npz"))
    text = '[series]\nvariable = "T"\n[[state]]\nspecies = ["SPECIES.toml", "two.toml"]\n'
    (state,) = read(place, text).states
    assert [replica.arrays.name for replica in state.species.replicas] == ["run.npz", "warm.npz"]
    (place / "two.toml").write_text(SPECIES.replace("run.npz", "warm.npz").replace("count = 50", "count = 60"))
    with pytest.raises(InputError, match="differ in more than their replicas"):
        read(place, text)
    with pytest.raises(InputError, match="contain the same run; give every run once"):
        read(place, text.replace("two.toml", "SPECIES.toml"))


def test_fits_go_with_temperature_only(place):
    with pytest.raises(InputError, match='they go with variable = "T"'):
        read(place, '[series]\nvariable = "r"\nfits = ["arrhenius"]\n[[state]]\nvalue = 0.1\nresult = "done"\n')
    recipe = read(place, '[series]\nvariable = "r"\n[[state]]\nvalue = 0.1\nresult = "done"\n')
    assert recipe.fits == () and recipe.unit == ""


def test_measured_values_in_units_of_their_own(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("T (degC),quantity,value,error,unit,source\n26.85,kappa,4.5,0.1,mS/cm,x\n50,ionicity,0.6,,1,\n")
    kappa, ionicity = read_measured(path, "T", "K", source="y")
    assert (
        kappa.at == pytest.approx(300.0) and kappa.value == pytest.approx(0.45) and kappa.error == pytest.approx(0.01)
    )
    assert (kappa.source, ionicity.source) == ("x", "y") and np.isnan(ionicity.error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("T (K),quantity,value\n300,kappa,1\n", "line 2, the unit of kappa is missing"),
        (
            "T (K),quantity,value,unit\n300,kapa,1,S/m\n",
            "line 2: 'kapa' is no quantity of a series; did you mean \"kappa\"",
        ),
        ("T (K),quantity,value,unit\n300,kappa,one,S/m\n", "line 2, value = 'one' must be a number"),
        ("T (K),quantity,value,unit\n300,kappa,1,m^2/s\n", "line 2, value"),
        ("T (K),quantity,value,unit,error\n300,kappa,1,S/m,-1\n", "error = -1 must be positive"),
        ("T,quantity,value,unit\n300,kappa,1,S/m\n", r"must be headed 'T \(K\)'"),
        ("T (K),quantity,unit\n300,kappa,S/m\n", "the column 'value' is missing"),
        ("T (K),quantity,value,units\n300,kappa,1,S/m\n", "column 'units' is not known"),
    ],
)
def test_a_mistake_in_a_table_names_its_line(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_measured(tmp_path / "m.csv", "T", "K")
