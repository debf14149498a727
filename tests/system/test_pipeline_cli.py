"""mdcoeffs pipeline, as a user types it: the whole chain on walkers of known Omega, its cache, its refusals."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from md_toys import mdcoeffs as call

from cellsim.electrolyte.set_file import load_set
from mdcoeffs.chain.pipeline_file import read_pipeline
from mdcoeffs.synthetic.walkers import Solvent, mixture_walk, walk

ROOT = Path(__file__).parents[2]
CASE = """
title = "walkers"
species = ["c1/SPECIES.toml", "c2/SPECIES.toml"]
[salt]
formula = "LiX"
M = "287 g/mol"
[solvent]
name = "S"
M = "90 g/mol"
[volumes]
V_e = "100 cm^3/mol"
V_0 = "80 cm^3/mol"
source = "assumed"
[chi]
variable = "c"
x = [0.5, 1.0]
y = [1.1, 1.3]
standard_error = [0.1, 0.1]
basis = "molal"
source = "assumed"
[cell]
thickness = "0.1 mm"
[electrolyte]
salt = { c = "0.75 mol/L" }
[[step]]
hold = "voltage"
value = "10 mV"
duration = "10 min"
[bands]
draws = 20
[consistency]
draws = 20
"""


def made_in(output):
    """Names of the stages that were not taken from the cache."""
    return [name for name, how in re.findall(r"^(\S+(?: \S+)?): (made|from cache)", output, re.M) if how == "made"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Two concentrations of walkers whose Omega grows with c."""
    folder = tmp_path_factory.mktemp("case")
    for k, c in enumerate((500.0, 1000.0), start=1):
        here = folder / f"c{k}"
        here.mkdir()
        lines = ['temperature = "300 K"']
        for name, role, z, mass, count in (
            ("Li", "cation", 1, 7, 50),
            ("X", "anion", -1, 280, 50),
            ("S", "solvent", 0, 90, 100),
        ):
            lines.append(f'[species.{name}]\nrole = "{role}"\ncharge = {z}\ncount = {count}\nmass = "{mass} g/mol"')
        for number in range(2):
            made = walk(
                np.array([[1.0, 0.3], [0.3, 1.6]]) * 1e-10 * c / 1000,
                frames=1500,
                dt=1e-11,
                c=c,
                n_salt=50,
                seed=10 * k + number,
                solvents=Solvent(100, 90.0),
            )
            np.savez(here / f"r{number}.npz", time=made.time, R=made.R, volume=made.volume)
            lines.append(f'[[replica]]\narrays = "r{number}.npz"')
        (here / "SPECIES.toml").write_text("\n".join(lines) + "\n")
    (folder / "pipeline.toml").write_text(CASE)
    return folder / "pipeline.toml"


@pytest.fixture(scope="module")
def done(case):
    out = case.parent / "out"
    result = call("pipeline", case, "-o", out)
    assert result.exit_code == 0, result.output
    assert len(made_in(result.output)) == 6
    return out


def test_every_arrow_is_there_as_files(done, case):
    for name in (
        "pipeline.toml",
        "cell.toml",
        "onsager/c2/onsager.nc",
        "onsager/c2/onsager.png",
        "set/SET.toml",
        "set/transport.toml",
        "polarization/solution.nc",
        "polarization/bands.csv",
        "polarization/bands.png",
        "consistency/consistency.json",
        "report/report.html",
        "report/transport.png",
    ):
        assert (done / name).is_file(), name
    found = load_set(done / "set" / "transport.toml", T=300.0)
    # D = nu R T chi/(c n Omega^-1 n) of the truth is 4.896e-10 at 1 mol/L, its standard error 3 %
    assert float(found.D(1000.0)) == pytest.approx(4.896e-10, rel=0.1)
    page = (done / "report" / "report.html").read_text()
    assert "Shao and Zhang 2023" in page and "No runs in a field are here" in page and 'src="data:image/png' in page
    assert all((done / "report" / link).is_file() for link in re.findall(r'href="([^"]+)"', page))
    # the recipe it leaves makes the same set by hand
    again = call("to-set", done / "set" / "SET.toml", "-o", case.parent / "transport.toml", "--force")
    assert again.exit_code == 0, again.output
    assert (case.parent / "transport.toml").read_text() == (done / "set" / "transport.toml").read_text()


def test_the_simulated_cell_gives_the_current_fraction_of_omega(done):
    for row in json.loads((done / "consistency" / "consistency.json").read_text()):
        assert abs(row["difference"]) < 5e-5  # measured: up to 1.6e-5, from the held ends of the range
        low, high = row["cell"]["interval"]
        assert low < row["omega"]["value"] < high
        # 20 draws against 4000 posterior samples
        ends = row["omega"]["interval"]
        assert (high - low) / (ends[1] - ends[0]) == pytest.approx(1.0, abs=0.6)


def changed(case, out, old, new):
    """Stages that are made again after a change of the CASE.toml."""
    text = case.read_text()
    assert old in text
    other = case.parent / "changed.toml"
    other.write_text(text.replace(old, new))
    result = call("pipeline", other, "-o", out)
    assert result.exit_code == 0, result.output
    return made_in(result.output)


@pytest.mark.slow  # a worker beside would make the whole chain once more
def test_found_again_and_made_again_only_where_it_changed(done, case, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    assert made_in(call("pipeline", case, "-o", out).output) == []
    # what was touched by hand is made again; it gives the same files, so nothing follows from it
    path = out / "onsager" / "c1" / "summary.json"
    path.write_text(path.read_text() + " ")
    assert made_in(call("pipeline", case, "-o", out).output) == ["onsager c1"]
    assert changed(case, out, "[consistency]\ndraws = 20", "[consistency]\ndraws = 21") == ["consistency", "report"]


@pytest.mark.slow
def test_a_change_of_chi_or_of_the_cell_leaves_the_trajectories_alone(done, case, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    assert changed(case, out, 'value = "10 mV"', 'value = "20 mV"') == ["polarization", "report"]
    assert changed(case, out, "1.1, 1.3]", "1.1, 1.4]") == ["set", "polarization", "consistency", "report"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*:UserWarning")
def test_a_dask_cluster_makes_the_same_set(done, case, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        result = call("pipeline", case, "-o", tmp_path / "out", "--scheduler", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    made = (tmp_path / "out" / "set" / "transport.toml").read_text()
    assert made == (done / "set" / "transport.toml").read_text()


def test_the_shipped_example_reads():
    file = read_pipeline(ROOT / "cases" / "coarse_grained" / "pipeline.toml")
    assert file.states == ("c1", "c2", "c3", "c4") and file.route == "both"
    assert file.recipe["salt"] == {"formula": "MX", "M": "340 g/mol"}
    assert file.recipe["volumes"]["V_e"] == "103.6 cm^3/mol"
    assert [path.name for path in file.field] == ["c2", "c4"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[bands]", "[band]", "did you mean"),
        ('"c2/SPECIES.toml"', '"c7/SPECIES.toml"', "names no file that exists"),
        ("draws = 20", "draws = 2", "draws"),
        ("[electrolyte]\n", '[electrolyte]\ntransport = "x.toml"\n', "leave it out"),
        ("[chi]", "[kirkwood_buff]\n[chi]", "exactly one of chi, activity, kirkwood_buff"),
        ('hold = "voltage"', 'file = "i.csv"\nhold = "voltage"', "names a file"),
        ('salt = { c = "0.75 mol/L" }', 'salt = { c = "3 mol/L" }', "lies outside"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(case, done, tmp_path, old, new, message):
    text = case.read_text()
    assert old in text
    bad = case.parent / "bad.toml"
    bad.write_text(text.replace(old, new, 1))
    out = tmp_path / "out"
    shutil.copytree(done, out)
    result = call("pipeline", bad, "-o", out)
    assert result.exit_code == 2
    line = result.output.strip().splitlines()[-1]
    assert line.startswith("error: ") and message in line


# ---- mixed solvents -------------------------------------------------------------------------------------------------

MIXED = """
title = "walkers in two solvents"
species = ["mix/SPECIES.toml"]
solvent = "EC"
[volumes]
PF6 = "55 cm^3/mol"
EMC = "62 cm^3/mol"
EC = "57 cm^3/mol"
source = "assumed"
[G]
ideal = true
source = "assumed"
[cell]
thickness = "0.1 mm"
[electrolyte]
composition = { r = { PF6 = 0.25, EMC = 0.75 } }
[[step]]
hold = "voltage"
value = "1 mV"
duration = "10 min"
[solver]
cells = 16
rtol = 1e-4
[bands]
draws = 20
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Walkers of known Omega in two solvents."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "mix").mkdir()
    Omega = 1e-10 * np.array([[1.2, 0.3, 0.2], [0.3, 1.6, -0.2], [0.2, -0.2, 3.0]])
    counts, masses, names = (100, 100, 300, 400), (7, 145, 104, 88), ("Li", "PF6", "EMC", "EC")
    run = mixture_walk(
        Omega,
        frames=800,
        dt=1e-11,
        seed=4,
        volume=78e-27,
        z=(1, -1, 0, 0),
        counts=counts,
        masses=masses,
        names=names,
    )
    np.savez(folder / "mix" / "r0.npz", time=run.time, R=run.R, volume=run.volume)
    lines = ['temperature = "300 K"', '[estimate]\nmatrix = "species"']
    roles, charges = ("cation", "anion", "solvent", "solvent"), (1, -1, 0, 0)
    for name, role, z, n, M in zip(names, roles, charges, counts, masses, strict=True):
        lines.append(f'[species.{name}]\nrole = "{role}"\ncharge = {z}\ncount = {n}\nmass = "{M} g/mol"')
    (folder / "mix" / "SPECIES.toml").write_text("\n".join([*lines, '[[replica]]\narrays = "r0.npz"', ""]))
    (folder / "pipeline.toml").write_text(MIXED)
    return folder / "pipeline.toml"


@pytest.mark.slow
def test_two_solvents_to_a_cell_with_bands(mixed):
    out = mixed.parent / "out"
    result = call("pipeline", mixed, "-o", out)
    assert result.exit_code == 0, result.output
    assert made_in(result.output) == ["onsager mix", "set", "polarization", "consistency", "report"]
    made = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"set/transport.toml", "set/transport.draws.nc", "polarization/bands.png", "report/report.html"} <= made
    (row,) = json.loads((out / "consistency" / "consistency.json").read_text())
    assert abs(row["difference"]) < 5e-5 and row["omega"]["interval"][0] < row["cell"]["value"]
    page = (out / "report" / "report.html").read_text()
    assert "EMC" in page and all((out / "report" / link).is_file() for link in re.findall(r'href="([^"]+)"', page))
    assert "EMC of the solvent at the end" in result.output
    assert made_in(call("pipeline", mixed, "-o", out).output) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('solvent = "EC"', 'solvent = "DMC"', "solvent = 'DMC' must be"),
        ('solvent = "EC"\n', "", "solvent is missing"),
        ("[G]\nideal = true", "[chi]\nvalue = 1.0", "chi"),
        ('title = "walkers', 'field = ["x"]\ntitle = "walkers', "leave it out of a mixture"),
        ("[G]\n", "[kirkwood_buff]\n[G]\n", "exactly one of G, kirkwood_buff"),
    ],
)
def test_a_bad_mixture_is_one_line(mixed, tmp_path, old, new, message):
    text = mixed.read_text()
    assert old in text
    bad = mixed.parent / "bad.toml"
    bad.write_text(text.replace(old, new, 1))
    result = call("pipeline", bad, "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    line = result.output.strip().splitlines()[-1]
    assert line.startswith("error: ") and message in line


def test_the_shipped_mixture_reads():
    file = read_pipeline(ROOT / "cases" / "coarse_grained" / "demixing.toml")
    assert file.mixture and file.states == ("c1",) and file.recipe["volumes"] == {"from": "fluctuations"}
    assert file.system.points[0].counts == (26, 26, 224, 224)
