"""One fit of several instruments and several cells: MRI beside XAM, XPCS and currents, and how the interfaces move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim import Solution
from cellsim.base import InputError
from cellsim.fit.estimate import directions, estimate
from cellsim.fit.recipe import Recipe, read_recipe
from cellsim.fit.report import FitResult
from cellsim.instruments.attenuation import attenuation
from cellsim.instruments.data import read_measurements
from cellsim.instruments.looks import ROLES
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.mri import Edges, predicted_signal
from cellsim.instruments.xam import Raster, counted, transmitted
from cellsim.run.case import Case, load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

TRUTH = {"D": 0.9e-11, "t_plus": 0.12, "chi": 1.6, "R_beam_line": 0.05, "R_scanner": 0.03}
MOTION, DRIFT, EDGE = 1.3, 1.2e-9, 25e-6
"""Of the interfaces over dense lithium [1]; of the stage of XAM [m/s]; by how much the edge in the MRI is off [m]."""
CELL = """
title = "SYNTHETIC"
[cell]
thickness = "{thickness}"
area = "1 cm^2"
temperature = "363.15 K"
[electrolyte]
transport = "steinruck2020_rs"
salt = {{ r = 0.1 }}
extrapolate = "clamp"
[electrolyte.change]
D = "{D} m^2/s"
t_plus = "{t_plus}"
chi = "{chi}"
[electrodes.positive]
resistance = "{half} ohm m^2"
[electrodes.negative]
resistance = "{half} ohm m^2"
[[step]]
{step}
duration = "30000 s"
"""
CELLS = {
    "beam line": ("2.6 mm", 'hold = "voltage"\nvalue = "0.3 V"'),
    "scanner": ("1.4 mm", 'hold = "current"\nvalue = "0.2 mA/cm^2"'),
}
FIT = """
title = "SYNTHETIC: two cells, one electrolyte"

[[experiment]]
name = "beam line"
case = "beam line.toml"
data = [{ file = "current.csv", error = "1 %" }, "xam.toml", "velocities.toml"]

[[experiment]]
name = "scanner"
case = "scanner.toml"
data = [{ file = "voltage.csv", error = "1 mV" }, "mri.toml"]

[fit.D]
form = "constant"
[fit.t_plus]
form = "constant"
[fit.chi]
form = "constant"

[nuisance.R_beam_line]
role = "R_int"
experiments = ["beam line"]
start = "0.04 ohm m^2"
[nuisance.R_scanner]
role = "R_int"
experiments = ["scanner"]
start = "0.04 ohm m^2"
[nuisance.interface_motion]
experiments = ["beam line"]
prior_sd = 0.5
[nuisance.stage]
role = "position_drift"
data = ["xam"]
prior_sd = "20 um/h"
[nuisance.edge]
role = "position_offset"
data = ["mri"]
prior_sd = "50 um"
"""


def case_of(folder: Path, name: str, values: dict[str, float]) -> Case:
    thickness, step = CELLS[name]
    resistance = values["R_" + name.replace(" ", "_")]
    text = CELL.format(thickness=thickness, step=step, half=0.5 * resistance, **values)
    (folder / f"{name}.toml").write_text(text)
    return load_case(folder / f"{name}.toml")


def run_of(case: Case, motion: float = 1.0) -> Solution:
    """Interfaces that move faster: as if the metal had that much more volume, which acts on nothing else."""
    cell = replace(case.cell, V_metal=motion * case.cell.V_metal)
    times = np.linspace(0.0, 30000.0, 301)
    return simulate(
        cell, case.transport, case.protocol, c0=case.c0, times=times, solver="compiled", options=Options(cells=320)
    )


def table(path: Path, head: str, *columns: np.ndarray) -> None:
    np.savetxt(path, np.column_stack(columns), delimiter=",", header=head, comments="", fmt="%.8g")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of both cells as their instruments write them, noise of seed 20261129, and the fit's file."""
    folder, rng = tmp_path_factory.mktemp("joint"), np.random.default_rng(20261129)
    case = case_of(folder, "beam line", TRUTH)
    run = run_of(case, MOTION)
    t = np.linspace(300.0, 29000.0, 40)
    i = np.interp(t, run["time"], run["i"])
    table(folder / "current.csv", "time (s),j (mA/cm^2)", t, 0.1 * (i + 0.01 * i.mean() * rng.standard_normal(t.size)))
    light, scans = attenuation(7.35e3 * 1.602176634e-19, salt="LiTFSI", solvent="EO"), np.array([2e3, 8e3, 16e3, 29e3])
    places = np.arange(0.1e-3, 2.5e-3, 0.05e-3)
    slope = float(light.depth_slope(case.transport, case.c0, 1e-3))
    photons = 1.5 / (0.02 * case.c0 * slope) ** 2 * float(np.exp(light.optical_depth(case.transport, case.c0, 1e-3)))
    rows = []  # the stage creeps: at t the beam stands DRIFT t further on than its motor says
    for at in (-600.0, 0.0, *scans):
        raster = Raster(places + DRIFT * max(at, 0.0), 1e-3, 0.0, photons)
        rows.append(counted(transmitted(run, case.transport, light, raster, [at]), rng).intensity[0])
    np.savez(folder / "xam.npz", time=[-600.0, 0.0, *scans], position=places, intensity=np.array(rows))
    (folder / "xam.toml").write_text(
        'kind = "xam"\nfile = "xam.npz"\nlabel = "xam"\nenergy = "7.35 keV"\npath_length = "1 mm"\nsalt = "LiTFSI"\n'
        'solvent = "EO"\ncounted = true\n'
    )
    when, where = (a.ravel() for a in np.meshgrid([3000.0, 9000.0, 28000.0], np.array([0.3, 0.8, 1.3, 1.8]) * 1e-3))
    v = np.array(
        [np.interp(a, run["time"], run.at("v_0", np.array([b]))[:, 0]) for a, b in zip(when, where, strict=True)]
    )
    v = np.abs(v + 0.5e-10 * rng.standard_normal(v.size)) * 1e10
    head = "time (s),position (mm),v_0 (angstrom/s),error (angstrom/s)"
    table(folder / "velocities.csv", head, when, 1e3 * where, v, np.full(v.size, 0.5))
    (folder / "velocities.toml").write_text(
        'kind = "velocity"\nfile = "velocities.csv"\nlabel = "xpcs"\nunsigned = true\n'
    )

    case = case_of(folder, "scanner", TRUTH)
    run = run_of(case)
    V = np.interp(t, run["time"], run["V"]) + 1e-3 * rng.standard_normal(t.size)
    table(folder / "voltage.csv", "time (s),U (V)", t, V)
    z, at = np.arange(128) * 2.8e-3 / 128, np.linspace(0.0, 29000.0, 20)
    # the true profile stands EDGE from where its edges seem to be, as where a susceptibility shifts one of them
    edges = Edges(0.7e-3, 2.1e-3, 30e-6)
    first = predicted_signal(run, z, at, edges=edges, positive="lower").signal
    moved = predicted_signal(
        run, z, at, edges=edges, positive="lower", values={**ROLES, "position_offset": EDGE}
    ).signal
    signal = first[:1] * np.where(first[:1] > 0.2 * case.c0, moved / np.maximum(moved[:1], 1e-9), 1.0)
    signal = 100.0 + signal + 0.01 * case.c0 * rng.standard_normal(signal.shape)
    table(folder / "mri.csv", "z_mm," + ",".join(f"t{x:.0f}s" for x in at), 1e3 * z, *signal)
    (folder / "mri.toml").write_text('kind = "mri"\nfile = "mri.csv"\nlabel = "mri"\npositive = "lower"\n')

    start = {"D": 1e-11, "t_plus": 0.2, "chi": 1.5, "R_beam_line": 0.04, "R_scanner": 0.04}
    for name in CELLS:
        case_of(folder, name, start)
    (folder / "fit.toml").write_text(FIT)
    return folder


@pytest.fixture(scope="module")
def recipe(place: Path) -> Recipe:
    return read_recipe(place / "fit.toml")


def test_every_instrument_of_every_cell_is_data_and_every_nuisance_acts_where_it_belongs(recipe: Recipe) -> None:
    beam_line, scanner = recipe.problem.experiments
    assert [(o.label, o.kind) for o in beam_line.observations] == [
        ("current.csv", "current"),
        ("xam", "profile"),
        ("xpcs", "velocity"),
    ]
    assert [(o.label, o.kind) for o in scanner.observations] == [("voltage.csv", "voltage"), ("mri", "profile")]
    roles = {o.label: dict(o.nuisance) for o in recipe.problem.observations}
    assert roles == {
        "current.csv": {},
        "xam": {"interface_motion": "interface_motion", "position_drift": "stage"},
        "xpcs": {"interface_motion": "interface_motion"},
        "voltage.csv": {},
        "mri": {"position_offset": "edge"},
    }


@pytest.mark.slow
def test_two_cells_and_five_instruments_give_the_truth_and_say_what_holds_it(recipe: Recipe) -> None:
    fit = estimate(recipe.problem, starts=1)
    truth = TRUTH | {"interface_motion": MOTION, "stage": DRIFT, "edge": EDGE}
    for k, p in enumerate(fit.space.parameters):
        # one draw; pulls measured -0.5 to 1.2
        assert abs(fit.u[k] - p.u(truth[p.name])) < 3.5 * fit.sd[k], p.name
    assert abs(fit.chi2 - fit.problem.size) < 4 * np.sqrt(2 * fit.problem.size)
    # both cells hold the set; each holds its own resistance; the interface's motion is held by what looks into the cell
    result = FitResult(recipe, fit, directions(fit.data_information, fit.space), {})
    held = {line.split(":")[0]: line for line in result.holders()}
    assert "R_beam_line: current.csv" in held["R_beam_line"]
    assert "R_scanner: voltage.csv (without it not determined)" in held["R_scanner"]
    assert (
        "xpcs" in held["interface_motion"] and "mri (without it" in held["edge"] and "xam (without it" in held["stage"]
    )
    assert not {"R_beam_line", "R_scanner", "D"} & set(result.unknown)


@pytest.mark.parametrize("name", ["xam.toml", "velocities.toml"])
def test_interface_motion_is_that_of_a_metal_of_more_volume(place: Path, name: str) -> None:
    case = load_case(place / "beam line.toml")
    (data,) = read_measurements(place / name, case.setup)
    dense, more = run_of(case), run_of(case, MOTION)
    found = data.predict(case.transport, dense, {**ROLES, "interface_motion": MOTION})
    expected, left = (data.predict(case.transport, run) for run in (more, dense))
    assert np.max(np.abs(found / expected - 1)) < 1e-9
    assert np.max(np.abs(left / expected - 1)) > 3e-3  # and it matters


def look_of_mri(place: Path) -> tuple[Case, Measurement]:
    case = load_case(place / "scanner.toml")
    (data,) = read_measurements(place / "mri.toml", case.setup)
    return case, data


def test_interface_motion_and_offsets_act_on_raw_mri_too(place: Path) -> None:
    case, data = look_of_mri(place)
    dense, more = run_of(case), run_of(case, MOTION)
    found = data.predict(case.transport, dense, {**ROLES, "interface_motion": MOTION})
    assert np.max(np.abs(found / data.predict(case.transport, more) - 1)) < 1e-9
    # far from the walls a profile looked at 20 um further on is the profile there
    assert data.position is not None
    late = data.time == data.time[-1]
    x = data.position[late]
    straight, moved = (
        data.predict(case.transport, dense, values)[late] for values in (ROLES, {**ROLES, "position_offset": 2e-5})
    )
    middle = (x > 0.4e-3) & (x < 1.0e-3)
    assert np.max(np.abs(moved - np.interp(x + 2e-5, x, straight))[middle]) < 0.02 * np.ptp(straight)
    drifted = data.predict(case.transport, dense, {**ROLES, "position_drift": 2e-5 / data.time[-1]})[late]
    # at the walls the first profile, to which the others refer, has not drifted yet
    assert np.max(np.abs(drifted - moved)[middle]) < 1e-4 * np.max(moved)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('prior_sd = "20 um/h"', 'prior_sd = "20 um"', "nuisance.stage.prior_sd"),
        ('data = ["mri"]\n', 'data = ["MRI"]\n', "edge changes nothing that was measured"),
        ('role = "position_drift"', 'role = "drift"', "role"),
        (
            'experiments = ["beam line"]\nprior_sd = 0.5',
            'experiments = ["beam"]\nprior_sd = 0.5',
            "is no experiment here",
        ),
    ],
)
def test_wrong_nuisances_are_refused_in_one_sentence(place: Path, old: str, new: str, told: str) -> None:
    text = (place / "fit.toml").read_text()
    assert old in text
    (place / "wrong.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=told) as caught:
        read_recipe(place / "wrong.toml")
    assert "\n" not in str(caught.value)
