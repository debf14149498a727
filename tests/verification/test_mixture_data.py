"""Data of n components: one salt by that road, and synthetic data of a mixed solvent made by the other solver."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import chi2, norm

import cellsim
from cellsim import Cell, Options, Protocol, hold_current, hold_voltage
from cellsim.base import to_si
from cellsim.cli import main
from cellsim.compare.comparison import compare
from cellsim.drawing.figstyle import ANGSTROM
from cellsim.electrolyte.mixture_file import parse_mixture
from cellsim.electrolyte.mixture_set import MixtureSet, species_sum
from cellsim.electrolyte.set_file import load_set
from cellsim.files.schema import parse_toml
from cellsim.fit.estimate import estimate
from cellsim.fit.recipe import read_recipe
from cellsim.instruments import mri, xam
from cellsim.instruments.attenuation import attenuation, attenuation_of_species
from cellsim.instruments.data import read_measurements
from cellsim.instruments.looks import ROLES
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase, read_case

SET = (Path(__file__).parents[2] / "cases/mixed_solvent/lipf6_ec_emc.toml").read_text(encoding="utf-8")


def write(path, head, rows):
    path.write_text("\n".join([head, *(",".join(f"{value:.12g}" for value in row) for row in rows)]) + "\n")


def write_mri(path, signal):
    head = ",".join(["z (mm)", *(f"{time:g} s" for time in signal.time)])
    write(path, head, np.column_stack([1e3 * signal.z, signal.signal.T]))


def scans(run, transport, light, places, times, rng, file):
    """A raster of counted photons, beam 10 um wide, path 1 mm; many scans before, so that their noise hardly counts."""
    raster = xam.Raster(places, 1e-3, 10e-6, 1e7)
    seen = xam.counted(xam.transmitted(run, transport, light, raster, [*np.arange(-40.0, 0), *times]), rng)
    np.savez(file, time=seen.time, position=seen.position, intensity=seen.intensity)


# ---- one salt by both roads -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both_roads():
    """A cell of one salt in one solvent and its run, as such and as one of one component."""
    binary, cell = load_set("steinruck2020_rs", T=363.15), Cell(3e-4, 363.15)
    protocol, c0 = Protocol((hold_voltage(0.05, 600.0), hold_current(3.0, 300.0))), float(binary.c_of(r=0.1))
    one = Case("one salt", cell, binary, protocol, c0)
    mixed = MixtureSet.from_binary(binary)
    other = MixtureCase("one component", cell, mixed, protocol, np.array([float(binary.r(c0))]))
    times, options = np.arange(0, 901, 60.0), Options(rtol=1e-7, cells=2560)
    runs = (
        cellsim.simulate(cell, each.transport, protocol, c0=each.start, times=times, options=options)
        for each in (one, other)
    )
    return [(case, run) for case, run in zip((one, other), runs, strict=True)]


COLUMNS = {"c": "c_anion", "v_0": "v_solvent", "v_minus": "v_anion"}
TABLE = "time (s),position (mm),{} ({}),error ({})"


def of_one_salt(folder, kind, case, run, rng):
    """Files for both roads, of values that differ from the run by some per cent and by noise."""
    times, x = run["time"][1:-1:2], np.linspace(3e-5, 2.7e-4, 13)
    grid = [(k, t, p) for k, t in enumerate(run["time"]) if t in times for p in x]
    if kind == "current":
        rows = [(t, 1.3 * run["i"][k], 0.5) for k, t in enumerate(run["time"]) if t < 600]
        write(folder / "a.csv", "time (s),current density (A/m^2),error (A/m^2)", rows)
        return "a.csv", "a.csv"
    if kind in ("c", "v_0", "v_minus"):
        factor, unit = (1.0, "mol/m^3") if kind == "c" else (ANGSTROM, "angstrom/s")
        found = factor * run.at(kind, x)
        rows = [(t, 1e3 * p, 1.03 * found[k, list(x).index(p)] + rng.normal(), 3.0) for k, t, p in grid]
        for name, column in (
            ("a.csv", kind),
            ("b.csv", COLUMNS[kind]),
        ):
            write(folder / name, TABLE.format(column, unit, unit), rows)
        return "a.csv", "b.csv"
    if kind == "xam":
        pytest.importorskip("xraydb")
        light = attenuation(to_si("7.35 keV", "J"), salt="LiTFSI", solvent="EO")
        scans(run, case.transport, light, np.linspace(0, 3e-4, 25), times, rng, folder / "raster.npz")
        sheet = 'kind = "xam"\nfile = "raster.npz"\nenergy = "7.35 keV"\npath_length = "1.02 mm"\npath_error = "9 um"\n'
        (folder / "a.toml").write_text(sheet + 'salt = "LiTFSI"\nsolvent = "EO"\n')
        formulas = 'formulas = { cation = "Li", anion = "C2F6NO4S2", solvent = "EO" }\n'
        (folder / "b.toml").write_text(sheet + 'species = "anion"\n' + formulas)
        return "a.toml", "b.toml"
    z, edges = np.arange(0.8e-3, 1.5e-3, 5e-6), mri.Edges(1e-3, 1.3e-3, 8e-6)
    signal = mri.predicted_signal(run, z, np.unique(np.round(run["time"])), edges=edges, positive="lower", gain=1.0)
    noise = 0.02 * case.c0 * rng.standard_normal(signal.signal.shape)
    write_mri(folder / "mri.csv", replace(signal, signal=signal.signal + noise))
    sheet = 'kind = "mri"\nfile = "mri.csv"\npositive = "lower"\n'
    (folder / "a.toml").write_text(sheet)
    (folder / "b.toml").write_text(sheet + 'species = "6 anion"\n')
    return "a.toml", "b.toml"


# interpolated between the faces of two grids, in xi and in x; measured 4e-7, 4e-8, 4e-7, 2e-7, 9e-7 and 1e-7
@pytest.mark.parametrize(
    ("kind", "within"),
    [("current", 1.2e-6), ("c", 1.2e-7), ("v_0", 1.2e-6), ("v_minus", 7e-7), ("xam", 2.5e-6), ("mri", 3e-7)],
)
def test_chi_squared_of_one_salt_is_the_same_by_both_roads(both_roads, tmp_path, kind, within):
    files = of_one_salt(tmp_path, kind, *both_roads[0], np.random.default_rng(3))
    found = []
    for (case, run), file in zip(both_roads, files, strict=True):
        (item,) = compare(case, run, read_measurements(tmp_path / file, case.setup)).items
        found.append((item.count, item.chi2))
    assert found[0][0] == found[1][0] > 8 and found[0][1] > 0.1
    assert found[1][1] == pytest.approx(found[0][1], rel=within)


# ---- a mixed solvent ------------------------------------------------------------------------------------------------

CASE = """
title = "synthetic data of two solvents"
[cell]
thickness = "0.4 mm"
temperature = "25 degC"
[electrolyte]
transport = "set.toml"
composition = { c = { PF6 = "1.03 mol/L", EC = "6.22 mol/L" } }
[[step]]
hold = "current"
value = "40 A/m^2"
duration = "8 min"
[[step]]
hold = "rest"
duration = "4 min"
"""
MASSES = "88.06 EC + 104.1 EMC"
PLACES = np.linspace(3e-5, 3.7e-4, 15)
MOMENTS = (60.0, 180.0, 420.0, 540.0, 660.0)
SHEETS = {
    "solvents.toml": f'kind = "velocity"\nfile = "solvents.csv"\nspecies = "{MASSES}"\nframe = "lab"\n',
    "xam.toml": 'kind = "xam"\nfile = "raster.npz"\nenergy = "8 keV"\npath_length = "1 mm"\nspecies = "PF6"\n'
    'beam_width = "10 um"\nformulas = { Li = "Li", PF6 = "PF6", EC = "EC", EMC = "EMC" }\n',
    "mri.toml": 'kind = "mri"\nfile = "mri.csv"\npositive = "lower"\nspecies = "6 PF6"\n',
}
ALL = ("V.csv", "EC.csv", "EC_velocity.csv", *SHEETS)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """The cell by finite volumes, with numbers of the set that its file does not have."""
    folder = tmp_path_factory.mktemp("truth")
    (folder / "set.toml").write_text(SET)
    (folder / "case.toml").write_text(CASE)
    case = read_case(folder / "case.toml")
    hidden = SET.replace("EC = 2.86", "EC = 2.5").replace("l_solvents = 2.5e-10", "l_solvents = 3.0e-10")
    transport = parse_mixture(parse_toml(hidden, "truth.toml"), 298.15)
    # the errors of its velocities are below 0.04 of those of the data then; on 80 cells they were 0.5
    times, options = np.arange(0, 721, 15.0), Options(rtol=5e-6, cells=160)
    run = cellsim.simulate(case.cell, transport, case.protocol, c0=case.r0, times=times, solver="fipy", options=options)
    (folder / "set.toml").write_text(hidden)
    return case, transport, run


def seen(run, name, time, places):
    """A profile at places fixed in the lab, by its definition, without the code that is tested."""
    k = int(np.argmin(np.abs(run["time"] - time)))
    x, faces = places - run["interface_shift"][k], run["position_face"][k]
    if name[0] == "c":
        return np.interp(x, faces, run[f"c_face_{name[2:]}"][k])
    amount, total = 0.0, 0.0
    for species, weight in species_sum(name[2:], run.labels["species"]).items():
        c = weight * np.interp(x, faces, run[f"c_face_{species}"][k])
        amount, total = amount + c, total + c * np.interp(x, faces, run[f"v_{species}"][1, k])
    return total / amount


def measure(folder, truth, seed, *, case=CASE, moments=MOMENTS, files=ALL):
    """What would be measured of the truth, with known noise."""
    _, transport, run = truth
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    (folder / "case.toml").write_text(case)
    for name, text in SHEETS.items():
        (folder / name).write_text(text)
    away = (np.abs(run["time"] - 480) > 1) & (run["time"] > 0)  # the voltage jumps where the current does
    rows = [(t, V + 1e-4 * rng.normal(), 1e-4) for t, V in zip(run["time"][away], run["V"][away], strict=True)]
    write(folder / "V.csv", "time (s),U (V),error (V)", rows)
    for file, name, column, unit, scale, error in (
        ("EC.csv", "c_EC", "c_EC", "mol/L", 1e-3, 0.02),
        ("EC_velocity.csv", "v_EC", "v_EC", "angstrom/s", ANGSTROM, 6.0),
        ("solvents.csv", f"v_{MASSES}", "v", "angstrom/s", ANGSTROM, 3.0),
    ):
        rows = [
            (t, 1e3 * x, scale * value + error * rng.normal(), error)
            for t in moments
            for x, value in zip(PLACES, seen(run, name, t, PLACES), strict=True)
        ]
        write(folder / file, TABLE.format(column, unit, unit), rows)
    if "xam.toml" in files:
        light = attenuation_of_species(to_si("8 keV", "J"), {k: k for k in ("Li", "PF6", "EC", "EMC")}, "PF6")
        scans(run, transport, light, np.linspace(0, 4e-4, 31), MOMENTS, rng, folder / "raster.npz")
    if "mri.toml" in files:
        z, edges = np.arange(0.7e-3, 1.7e-3, 8e-6), mri.Edges(1e-3, 1.4e-3, 8e-6)
        signal = mri.predicted_signal(run, z, run["time"][::2], edges=edges, positive="lower", species="PF6")
        write_mri(
            folder / "mri.csv", replace(signal, signal=signal.signal + 10.0 * rng.normal(size=signal.signal.shape))
        )


@pytest.mark.slow
def test_synthetic_data_of_a_mixed_solvent_are_explained_by_the_set_that_made_them(truth, tmp_path):
    pytest.importorskip("xraydb")
    measure(tmp_path, truth, 8)
    (tmp_path / "set.toml").write_text(SET.replace("EC = 2.86", "EC = 2.5").replace("2.5e-10", "3.0e-10"))
    arguments = ["compare", str(tmp_path / "case.toml"), *(str(tmp_path / file) for file in ALL)]
    done = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "solvents.csv, v of 88.1 EC + 104 EMC: 75 points" in done.output
    assert "all attenuation is counted as that of one species: c of 0.000835 Li + PF6 + 0.173 EC" in done.output
    (numbers,) = json.loads((tmp_path / "out/comparison.json").read_text())
    assert [entry["quantity"] for entry in numbers["data"][:4]] == ["V", "c_EC", "v_EC", f"v_{MASSES}"]
    for entry in numbers["data"][:-1]:
        # each within what chance does in 999 of 1000 data sets; the raster's 40 scans before add 1/40
        low, high = chi2.ppf([5e-4, 1 - 5e-4], entry["points"]) / entry["points"]
        assert low < entry["chi2_per_point"] < high, entry
    # pixels of a scanner share the first profile and their background: as a fit whitens them, and the noise of a pixel
    # is itself known to 1 % from 24 profiles of 42
    case = read_case(tmp_path / "case.toml")
    (m,) = read_measurements(tmp_path / "mri.toml", case.setup)
    _, _, run = truth
    later = m.only(m.time > 0)
    white = later.noise.whiten(later.value - later.predict(case.transport, run, ROLES))
    assert np.mean(white**2) == pytest.approx(1.0, abs=norm.isf(5e-4) * np.hypot(np.sqrt(2 / white.size), 0.03))
    # another species, another frame: the report says which reading would fit
    wrong = (tmp_path / "EC_velocity.csv").read_text().replace("v_EC", "v_EMC")
    (tmp_path / "wrong.csv").write_text(wrong)
    said = CliRunner().invoke(main, [*arguments[:2], str(tmp_path / "wrong.csv"), "-o", str(tmp_path / "other")])
    assert "it would fit if it is v_EC in the lab frame, not v_EMC in the lab frame" in said.output


HELD = CASE[: CASE.rindex("[[step]]")].replace("8 min", "200 s")
FIT = """
[[experiment]]
case = "case.toml"
data = ["EC.csv", "EC_velocity.csv", "solvents.toml"]
[[fit.number]]
name = "constants.l_solvents"
"""


def deviation(folder, truth, seed):
    """Of the number that profiles and velocities give from the hidden one, in standard errors, and the error."""
    measure(folder, truth, seed, case=HELD, moments=MOMENTS[:2], files=())
    (folder / "set.toml").write_text(SET.replace("EC = 2.86", "EC = 2.5"))
    (folder / "fit.toml").write_text(FIT)
    found = estimate(read_recipe(folder / "fit.toml").problem, starts=1)
    (p,) = found.space.parameters
    return float((found.u[0] - p.u(3.0e-10)) / found.sd[0]), float(p.error(found.values[p.name], found.sd[0]))


@pytest.mark.slow
def test_a_fit_to_profiles_and_velocities_finds_a_hidden_number(truth, tmp_path):
    # the squares of the deviations are chi^2 of as many degrees of freedom
    found = [deviation(tmp_path / str(seed), truth, seed) for seed in range(20, 23)]
    square = sum(off**2 for off, _ in found)
    assert chi2.ppf(5e-4, len(found)) < square < chi2.ppf(1 - 5e-4, len(found))
    assert all(error < 0.05 * 3e-10 for _, error in found)  # an interval that holds everything says nothing
