"""The command that turns files of correlation functions into velocities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.base import InputError
from cellsim.cli import main
from cellsim.instruments.data import read_measurements
from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, geometry, heterodyne_g2, photon_error
from cellsim.instruments.xpcs.files import write_npz
from cellsim.instruments.xpcs.series import read_list
from cellsim.run.case import load_case

ROOT = Path(__file__).parents[3]
SPEEDS = {"a": 30.0, "b": 12.0, "c": 0.0}
"""Angstrom per second."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("xpcs")
    q, azimuth = geometry(np.linspace(0.003, 0.01, 5) * 1e10, np.deg2rad(np.arange(0, 360, 30.0)))
    tau = np.unique(np.round(np.geomspace(1, 300, 30)))
    for k, (name, v) in enumerate(SPEEDS.items()):
        shape = {"contrast": 0.2, "h": 0.3, "tau0": 80 * (0.006e10 / q) ** 1.5, "stretch": 0.9}
        g2 = heterodyne_g2(q, azimuth, tau, v=v * 1e-10, **shape)
        error = photon_error(g2, tau, frame_time=1.0, frames=1000, pixels=3000, counts=0.02)
        write_npz(add_noise(CorrelationSet(q, azimuth, tau, g2, error), k), where / f"{name}.npz")
    (where / "bad.npz").write_bytes(b"not a zip")
    places = {"a": ("0.5 mm", "30 min"), "b": ("1.5 mm", "30 min"), "c": ("1.5 mm", "60 min")}
    text = 'title = "SYNTHETIC"\n' + "".join(
        f'[[series]]\nfile = "{name}.npz"\nposition = "{x}"\ntime = "{t}"\n' for name, (x, t) in places.items()
    )
    (where / "list.toml").write_text(text)
    (where / "with_bad.toml").write_text(text + '[[series]]\nfile = "bad.npz"\nposition = "1 mm"\ntime = "1 min"\n')
    return where


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def test_a_list_becomes_velocities_that_compare_reads(folder, tmp_path):
    code, text = call("xpcs", folder / "list.toml", "-o", tmp_path / "out")
    assert code == 0 and "b.npz (1.5 mm, 30 min): |v| =" in text and "c.npz (1.5 mm, 60 min): No motion" in text
    found = json.loads((tmp_path / "out" / "xpcs.json").read_text())["series"]
    for row, v in zip(found, SPEEDS.values(), strict=True):
        low, high = row["interval"]
        assert low <= v * 1e-10 <= high and row["resolved"] == (v > 0)
    setup = load_case(ROOT / "cases/steinruck2020/rs.toml").setup
    (measured,) = read_measurements(tmp_path / "out" / "velocities.csv", setup)
    assert measured.kind == "velocity" and measured.time == pytest.approx([1800, 1800, 3600])
    assert np.all(np.abs(measured.value * 1e10 - list(SPEEDS.values())) < 4 * measured.error * 1e10)
    # what is not told from rest: 0, and two standard errors reach the upper limit
    assert measured.value[2] == 0 and measured.error[2] * 1.96 == pytest.approx(found[2]["upper_limit"], rel=1e-5)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "velocities.png",
        "curves.png",
        "xpcs.html",
        "xpcs.nc",
    }


def test_a_single_file_may_state_its_place(folder, tmp_path):
    code, _ = call("xpcs", folder / "a.npz", "--position", "0.5 mm", "--time", "2 h", "-o", tmp_path / "out")
    assert code == 0
    row = (tmp_path / "out" / "velocities.csv").read_text().splitlines()[1].split(",")
    assert [float(x) for x in row[:2]] == [120, 0.5] and abs(float(row[2]) - 30) < 1
    code, _ = call("xpcs", folder / "a.npz", folder / "b.npz", "-o", tmp_path / "two")  # without places: no table
    assert code == 0 and not (tmp_path / "two" / "velocities.csv").exists()


def test_a_file_that_cannot_be_read_is_named_and_stops_nobody(folder, tmp_path):
    code, text = call("xpcs", folder / "with_bad.toml", "-o", tmp_path / "out")
    assert code == 1 and "bad.npz" in text
    assert len((tmp_path / "out" / "velocities.csv").read_text().splitlines()) == 4
    code, text = call("xpcs", folder / "bad.npz", "-o", tmp_path / "none")
    assert code == 2 and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"no \[\[series\]\]"),
        ('[[series]]\nfile = "a.npz"\n', "position is missing"),
        ('[[series]]\nfile = "nowhere.npz"\nposition = "1 mm"\ntime = "1 s"\n', "no file"),
        ('sectr = "1 deg"\n', 'did you mean "sector"'),
        ('h = "each"\n', "must be"),
        (2 * '[[series]]\nfile = "a.npz"\nposition = "1 mm"\ntime = "1 s"\n', "same position and time"),
    ],
)
def test_lists_that_cannot_be_used_are_one_sentence(folder, text, told):
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(InputError, match=told):
        read_list([folder / "wrong.toml"])


def test_places_are_stated_once(folder, tmp_path):
    code, text = call("xpcs", folder / "list.toml", "--time", "1 s", "-o", tmp_path / "out")
    assert code == 2 and "single file" in text
