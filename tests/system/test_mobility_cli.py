"""`mdcoeffs mobility` as a user types it: a glass of turning anions, a killed run, a run that is too short."""

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import MDAnalysis as mda
import numpy as np
import pytest
import xarray as xr
from md_toys import mdcoeffs as call
from scripts import loaded

from mdcoeffs.synthetic.dynamics import fractional_walk, rotors, trapped_walk

HTP = Path(__file__).parents[1] / "data" / "htp_md"
N, EDGE, FRAMES, D_R = 16, 30.0, 800, 0.01  # 16 Li, 16 anions of two atoms; angstrom; rad^2 per frame (0.1 ps)
TOML = """
title = "glass of rotors"
temperature = "300 K"
topology = "top.data"
trajectory = "run.xtc"
[species.Li]
selection = "type 1"
charge = 1
role = "cation"
[species.X]
selection = "type 2 3"
charge = -1
role = "anion"
[mobility]
window = ["2 ps", "16 ps"]
permittivity = 7.5
conductivity = "2e-4 S/cm"
[mobility.follow.tip]
selection = "type 3"
[mobility.rotor.X]
axis = ["type 2", "type 3"]
[mobility.paddlewheel]
jump = "2.5 angstrom"
half = "0.4 ps"
neighbours = 2
[mobility.vibrations]
of = ["X"]
[mobility.friction]
r = [0.01, 0.04, 0.08, 0.16]
kappa = [0.38, 1.07, 1.34, 1.05]
unit = "mS/cm"
[mobility.friction.segments]
r = [0, 0.03, 0.06, 0.1]
D_0 = [1.0, 0.846, 0.699, 0.558]
error = [0.02, 0.02, 0.02, 0.02]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("mobility")
    rng = np.random.default_rng(21)
    ions = rng.uniform(0, EDGE, (N, 1, 3)) + 0.5 * fractional_walk(1.0, particles=N, frames=FRAMES, rng=rng)
    centre = rng.uniform(0, EDGE, (N, 1, 3)) + 0.2 * trapped_walk(3.0, particles=N, frames=FRAMES, rng=rng)
    axis = rotors(D_R, particles=N, frames=FRAMES, rng=rng)
    atoms = np.empty((3 * N, FRAMES, 3))
    atoms[:N], atoms[N::2], atoms[N + 1 :: 2] = ions, centre - 0.5 * axis, centre + 0.5 * axis
    lines = ["LAMMPS data file", "", f"{3 * N} atoms", f"{N} bonds", "3 atom types", "1 bond types", ""]
    lines += [f"0 {EDGE} {a}lo {a}hi" for a in "xyz"]
    lines += ["", "Masses", "", "1 7.0", "2 50.0", "3 50.0", "", "Atoms # full", ""]
    for k, (x, y, z) in enumerate(atoms[:, 0] % EDGE):
        molecule, kind = (k + 1, 1) if k < N else (N + 1 + (k - N) // 2, 2 + (k - N) % 2)
        lines.append(f"{k + 1} {molecule} {kind} 0.0 {x} {y} {z}")
    lines += ["", "Bonds", ""] + [f"{k + 1} 1 {N + 2 * k + 1} {N + 2 * k + 2}" for k in range(N)]
    (where / "top.data").write_text("\n".join(lines) + "\n")
    universe = mda.Universe.empty(3 * N, trajectory=True)
    with mda.Writer(str(where / "run.xtc"), 3 * N, precision=4) as writer:
        for t in range(FRAMES):
            universe.atoms.positions, universe.dimensions = atoms[:, t] % EDGE, [EDGE] * 3 + [90] * 3
            universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.1 * t, t
            writer.write(universe.atoms)
    (where / "SPECIES.toml").write_text(TOML)
    return where


def test_glass_of_rotors(folder, tmp_path):
    out = tmp_path / "out"
    result = call("mobility", folder / "SPECIES.toml", "-o", out)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == ["mobility.nc", "mobility.png", "summary.json", "table.csv"]
    found = json.loads((out / "summary.json").read_text())
    moved, turned = found["translation"], found["rotation"]["X"]
    # measured: 1.03 +- 0.05 (Li), 0.05 +- 0.01 (X: recoils from the ions), M_theta 0.97 +- 0.07, tau 5.0 and 1.69 ps
    assert moved["Li"]["alpha"]["value"] == pytest.approx(1.0, abs=4 * moved["Li"]["alpha"]["standard_error"])
    assert moved["X"]["M"]["value"] == pytest.approx(0.0, abs=0.1)
    assert moved["X"]["structure"] == "cage" and moved["X"]["what"] == "molecules"
    assert moved["tip"]["what"] == "atoms" and moved["tip"]["count"] == N
    assert turned["M_theta"]["value"] == pytest.approx(1.0, abs=0.3)
    assert turned["tau_1"]["value"] == pytest.approx(5e-12, rel=0.25)
    assert turned["tau_2"]["value"] == pytest.approx(5e-12 / 3, rel=0.25)
    assert found["bjerrum_length"] == pytest.approx(7.427e-9, rel=1e-3)
    # fit of data made with Eq. 7: A = 0.043 S/cm, r* = 0.085, rounded to three digits
    assert found["friction"]["A"] == pytest.approx(4.3, rel=0.02)
    assert found["friction"]["r_star"] == pytest.approx(0.085, rel=0.02)
    # segments of the same friction: D_0 = exp(-r/0.17), rounded
    segments = found["friction"]["segments"]
    assert segments["r_star"] == pytest.approx(0.085, abs=3 * segments["error"]) and segments["error"] < 0.01
    assert segments["conductivity"]["A"] == pytest.approx(4.3, rel=0.1)
    assert "friction of the segments: r* 0.08" in result.output
    assert found["paddlewheel"]["jumps"] > 10 and not found["paddlewheel"]["coupled"]
    assert {name: each["what"] for name, each in found["vibrations"].items()} == {"X": "molecules", "axes of X": "axes"}
    # walkers and axes that diffuse from frame to frame have no inertia that these frames could resolve
    assert "axes of X moves faster than the frames can show" in " ".join(found["notes"])
    with (out / "table.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][2:] == ["Solvation structure", "Mobility order parameter", "Conductivity (S/cm)"]
    assert rows[1][:3] == ["glass of rotors, 300 K", "X", "cage"] and rows[1][4] == "0.0002"
    assert rows[3][3].startswith("M_theta = ")
    with xr.open_dataset(out / "mobility.nc", engine="h5netcdf") as data:
        assert data.msd.dims == ("entity", "lag") and data.msd.attrs["units"] == "m^2"
        # Li: <dr^2> = 3 (0.5 angstrom)^2 at 0.1 ps, less the drift of the centre of mass, 0.7 % of it
        assert float(data.msd.sel(entity="Li")[0]) == pytest.approx(0.75e-20, rel=0.1)
        assert data.correlation.sel(rotor="X", order=1).values[0] == pytest.approx(np.exp(-2 * D_R), rel=0.01)
        assert data.excess.units == "rad"
    for text in ("M_theta", "cage", "Bjerrum length 7.43 nm", "paddlewheel"):
        assert text in result.output


@pytest.mark.slow  # processes that are started and killed
def test_a_killed_run_goes_on(folder, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    out.mkdir()
    script = textwrap.dedent("""
        import os, signal, sys
        import mdcoeffs.frames.paths as paths
        plain = paths.PathRecorder.add
        def add(self, snapshot):
            plain(self, snapshot)
            if snapshot.number == 120:
                os.kill(os.getpid(), signal.SIGKILL)
        paths.PathRecorder.add = add
        from mdcoeffs.cli import main
        main(sys.argv[1:])
    """)
    (folder / "coarse.toml").write_text("stride = 4\n" + TOML)
    arguments = ["mobility", str(folder / "coarse.toml"), "-o", str(out), "--checkpoint", "0"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert (out / "checkpoint-mobility-0.npz").is_file()
    assert call(*arguments).exit_code == 0
    assert call("mobility", folder / "coarse.toml", "-o", whole).exit_code == 0
    assert (out / "summary.json").read_text() == (whole / "summary.json").read_text()
    assert not list(out.glob("checkpoint*")) and not list(out.glob("scratch-*"))


@pytest.mark.slow  # 10 s of reading text; the other tests of this file read what the runs made up here have
def test_real_run_that_is_too_short(tmp_path):
    text = f"""
title = "LiTFSI in a polymer"
temperature = "353 K"
topology = "{HTP / "relaxed.lmp.bz2"}"
trajectory = "{HTP / "traj.lammpstrj.bz2"}"
timestep = "2 fs"
[species.Li]
selection = "type 90"
charge = 1
role = "cation"
[species.TFSI]
selection = "type 91 92 93 94 95"
charge = -1
role = "anion"
[species.polymer]
selection = "not type 90 91 92 93 94 95"
role = "solvent"
"""
    (tmp_path / "S.toml").write_text(text)
    short = call("mobility", tmp_path / "S.toml", "-o", tmp_path / "out")
    assert short.exit_code == 2
    assert "error: mobility.window: 1 lags lie in 2.4e-13 to 2.4e-12 s, at least 3 are needed" in short.output
    assert "7 frames" in short.output
    # What was read is not read again: another window only.
    (tmp_path / "S.toml").write_text(text + '[mobility]\nwindow = ["2 ps", "6 ps"]\nlags_per_decade = 20\n')
    again = call("mobility", tmp_path / "S.toml", "-o", tmp_path / "out")
    assert again.exit_code == 0, again.output
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "Li does not diffuse over this window" in " ".join(found["notes"])
    assert "M is not given" in " ".join(found["notes"])
    assert found["translation"]["TFSI"]["M"]["value"] is None
    assert not list((tmp_path / "out").glob("scratch-*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('window = ["2 ps", "16 ps"]', 'window = ["2 ps", "70 ps"]'), "none longer than half of the run"),
        (('window = ["2 ps", "16 ps"]', 'windw = ["2 ps", "16 ps"]'), "did you mean"),
        (('window = ["2 ps", "16 ps"]', 'window = ["16 ps", "2 ps"]'), "two increasing times"),
        (('axis = ["type 2", "type 3"]', 'axis = ["type 2"]'), "must be two selections"),
        (('axis = ["type 2", "type 3"]', 'plane = "type 2 3"'), "exactly three atoms of every molecule"),
        (('axis = ["type 2", "type 3"]', 'axis = ["type 2", "type 2"]'), "has no length"),
        (('selection = "type 3"\n[mobility.rotor', 'selection = "type 9"\n[mobility.rotor'), "mobility.follow.tip"),
        (('half = "0.4 ps"', 'half = "30 ps"'), "need a run of"),
        (("kappa = [0.38, 1.07", "kappa = [1.07"), "need as many values as r"),
        (("[mobility.follow.tip]", "[mobility.follow.Li]"), "has the name of a species"),
        (('jump = "2.5 angstrom"', 'jump = "4 s"'), "mobility.paddlewheel.jump"),
        (("permittivity = 7.5", 'cation = "Na"'), "mobility.cation"),
    ],
)
def test_one_sentence(folder, tmp_path, change, message):
    for name in ("top.data", "run.xtc"):
        (tmp_path / name).symlink_to(folder / name)
    assert change[0] in TOML
    (tmp_path / "S.toml").write_text(TOML.replace(*change))
    result = call("mobility", tmp_path / "S.toml", "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and message in lines[0], result.output


def test_arrays_replicas_and_a_frozen_species(tmp_path):
    rng = np.random.default_rng(31)
    for k in range(2):
        ions = fractional_walk(1.0, particles=12, frames=600, rng=rng)
        cage = fractional_walk(0.5, particles=12, frames=600, rng=rng)
        paths = np.concatenate([ions, cage, np.zeros((6, 600, 3))])
        labels = np.repeat(["Li", "X", "S"], [12, 12, 6])
        np.savez(tmp_path / f"run{k}.npz", time=np.arange(600.0), positions=paths.transpose(1, 0, 2), labels=labels)
    text = """
temperature = "300 K"
coordinates = "unwrapped"
units = {position = "angstrom", time = "ps"}
species = {Li = {charge = 1, role = "cation"}, X = {charge = -1, role = "anion"}, S = {role = "solvent"}}
replica = [{arrays = "run0.npz"}, {arrays = "run1.npz"}]
"""
    (tmp_path / "S.toml").write_text(text)
    result = call("mobility", tmp_path / "S.toml", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["frames"] == [600, 600] and "S does not move at all: left out" in found["notes"]
    M = found["translation"]["X"]["M"]
    # measured 0.461 +- 0.018
    assert abs(M["value"] - 0.5) < 4 * M["standard_error"] and M["standard_error"] < 0.06
    (tmp_path / "R.toml").write_text(text + '[mobility.rotor.X]\naxis = ["a", "b"]\n')
    refused = call("mobility", tmp_path / "R.toml", "-o", tmp_path / "other")
    assert refused.exit_code == 2 and "mobility.rotor.X.axis[0]: 'a' is not a species here" in refused.output


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """Half of the run of cases/mobility, and what is true of it."""
    folder = tmp_path_factory.mktemp("gates")
    return folder, loaded("cases/mobility/gates.py").make(folder, 1501)


def test_windows_jumps_together_and_vibrations(gated, tmp_path):
    folder, made = gated
    result = call("mobility", folder / "SPECIES.toml", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out/summary.json").read_text())
    window, together = found["bottleneck"], found["cooperative"]
    mean = 1 + made.opening * made.open
    assert window["area"] == pytest.approx(made.area * 6.25e-20 * mean, rel=0.01)
    low, high = window["relative_opening"]["interval"]
    assert low < made.opening * (1 - made.open) / mean < high and high - low < 0.1
    assert window["windows"] == 24 and window["jumps"] == window["jumps_counted"]
    low, high = together["ratio"]["interval"]
    assert low < made.ratio(5) < high and together["cooperative"] and together["neighbours"] == 2
    vibrating = found["vibrations"]
    assert vibrating["Li"]["peak_frequency"]["value"] == pytest.approx(7.5e12, rel=0.01)  # measured 7.51
    assert vibrating["S"]["peak_frequency"]["value"] == pytest.approx(3.75e12, rel=0.02)  # measured 3.74
    with xr.open_dataset(tmp_path / "out/mobility.nc", engine="h5netcdf") as data:
        g = data.density_of_states.sel(vibrating="Li")
        assert float(g.integrate("frequency")) == pytest.approx(1)
        assert float(g.frequency[int(np.argmax(g.values))]) == pytest.approx(7.5e12, rel=0.03)
        assert float(data.opening.sel(passage=0)) > 5 * float(data.opening_error.sel(passage=0))
        assert float(data.jump_correlation.sel(apart=0, method="nearest")) > 5
    for text in ("windows of 11.", "jumps are cooperative", "vibration of Li: peak 7.5"):
        assert text in result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('corners = "S"', 'corners = "Li"'), "mobility.bottleneck.corners = 'Li' is the working ion"),
        (('corners = "S"', 'corners = "P"'), "mobility.bottleneck.corners = 'P'"),
        (
            ('longest = "0.6 ps"', 'longest = "20 ps"'),
            "mobility.bottleneck: half = 1e-13 s and longest = 2e-11 s need a",
        ),
        (('window = "0.1 ps"', 'window = "3 ps"'), "mobility.cooperative: a window of 150 frames needs a run of 3000"),
        (('window = "0.1 ps"', 'window = "-1 ps"'), "mobility.cooperative.window"),
        (('cutoff = "8.5 angstrom"\n', ""), "mobility.cooperative.cutoff is missing"),
        (('"0.5 THz"', '"1 GHz"'), "mobility.vibrations: resolution = 1e+09 Hz: with 1501 frames 2e-14 s apart"),
        (('"0.5 THz"', '"0.5 ps"'), "mobility.vibrations.resolution"),
        (('resolution = "0.5 THz"', 'of = ["Na"]'), "mobility.vibrations.of names 'Na', which is not followed"),
        (('resolution = "0.5 THz"', 'resolutoin = "0.5 THz"'), "did you mean"),
    ],
)
def test_one_sentence_about_jumps(gated, tmp_path, change, message):
    text = (gated[0] / "SPECIES.toml").read_text()
    assert change[0] in text
    (tmp_path / "S.toml").write_text(text.replace(*change))
    (tmp_path / "run.npz").symlink_to(gated[0] / "run.npz")
    result = call("mobility", tmp_path / "S.toml", "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and message in lines[0], result.output


PINNED = """
temperature = "300 K"
[units]
position = "angstrom"
time = "ps"
[species.Li]
charge = 1
role = "cation"
[species.X]
charge = -1
role = "anion"
[species.Y]
role = "solvent"
[mobility]
window = ["2 ps", "16 ps"]
{more}
[[replica]]
arrays = "run.npz"
"""


def pinned(folder, more, *, masses=True):
    """Sixteen walkers in a framework of two species that rattles about places fixed in the box."""
    rng = np.random.default_rng(5)
    ions = 0.5 * fractional_walk(1.0, particles=16, frames=400, rng=rng)
    lattice = 0.2 * trapped_walk(3.0, particles=32, frames=400, rng=rng)
    positions = rng.uniform(0, EDGE, (48, 1, 3)) + np.concatenate([ions, lattice])
    arrays = {"masses": np.repeat([23.0, 12.0, 24.0], 16)} if masses else {}
    np.savez(
        folder / "run.npz",
        time=0.1 * np.arange(400),
        positions=np.moveaxis(positions, 0, 1) % EDGE,
        box=EDGE * np.eye(3),
        labels=np.repeat(["Li", "X", "Y"], 16),
        **arrays,
    )
    (folder / "SPECIES.toml").write_text(PINNED.format(more=more))
    return call("mobility", folder / "SPECIES.toml", "-o", folder / "out")


def moved(folder):
    return json.loads((folder / "out/summary.json").read_text())["translation"]


@pytest.mark.slow  # twice the whole analysis
def test_a_pinned_framework_is_at_rest_in_its_own_frame(tmp_path):
    result = pinned(tmp_path, "")
    assert result.exit_code == 0, result.output
    recoil = moved(tmp_path)
    result = pinned(tmp_path, 'framework = ["X", "Y"]')
    assert result.exit_code == 0, result.output
    rest = moved(tmp_path)
    # in the frame of everything the lattice recoils from the ions, M = 0.53 and 0.54; in its own -0.001 and 0.001
    assert min(recoil[name]["M"]["value"] for name in "XY") > 0.4
    for name in "XY":
        assert abs(rest[name]["M"]["value"]) < 0.05 and rest[name]["structure"] == "cage"
    # the frame of everything takes (2 f - f^2)/16 of D of the ions, f = 0.39 their share of the mass: 0.040
    assert rest["Li"]["D"]["value"] / recoil["Li"]["D"]["value"] == pytest.approx(1 / (1 - 0.040), abs=0.015)


@pytest.mark.parametrize(
    ("more", "masses", "said"),
    [
        ('framework = ["X", "Z"]', True, "mobility.framework names 'Z', which is no species; allowed: Li, X, Y"),
        ('framework = ["Li"]', True, "mobility.framework holds Li, the working ion"),
        ('framework = ["X", "Y"]', False, "the common centre of mass of X, Y needs masses"),
    ],
)
def test_frameworks_that_cannot_be(tmp_path, more, masses, said):
    result = pinned(tmp_path, more, masses=masses)
    assert result.exit_code == 2 and said in result.output
