"""mdcoeffs simulate and field, as a user types them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from md_toys import mdcoeffs as call

LONG = Path(__file__).parents[2] / "cases" / "coarse_grained" / "long.toml"


@pytest.fixture
def small(tmp_path):
    """The shipped electrolyte, fewer particles for a shorter time."""
    text = LONG.read_text()
    for old, new in (
        ('cutoff = "1.0 nm"', 'cutoff = "0.6 nm"'),
        ("solvent = 474", "solvent = 18"),
        ("salt = 13", "salt = 3"),
        ('production = "4 ns"', 'production = "20 ps"'),
        ('production = "6 ns"', 'production = "30 ps"'),
        ('equilibration = "200 ps"', 'equilibration = "2 ps"'),
        ('["c2", "c4"]', '["c1"]'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "SYSTEM.toml"
    path.write_text(text)
    return path


def test_from_a_system_file_to_coefficients_and_drift(small, tmp_path):
    out = tmp_path / "md"
    made = call("simulate", small, "-o", out, "--state", "c1", "--jobs", 1, "--platform", "CPU")
    assert made.exit_code == 0, made.output
    assert "c1/r1: 0.02 ns" in made.output and "steps/s" in made.output and "ns/day on CPU" in made.output
    again = call("simulate", small, "-o", out, "--state", "c1")
    assert again.output.count("found, ") == 4
    result = call("onsager", out / "c1" / "SPECIES.toml", "-o", tmp_path / "onsager")
    assert result.exit_code == 0, result.output
    assert "kappa" in result.output
    # 10 ps after the first 20 are left out, in 0.25 ps frames: 40 blocks of one frame
    drift = call("field", out / "c1")
    assert drift.exit_code in (0, 2)  # so short a run may find its current against the field, and says so
    assert "zero field" in drift.output or "against" in drift.output or "along the field" in drift.output


def test_what_cannot_be_done_is_one_line_and_exit_code_2(small, tmp_path):
    for arguments, message in (
        (("simulate", tmp_path / "none.toml", "-o", tmp_path / "md"), "no such file"),
        (("simulate", small, "-o", tmp_path / "md", "--state", "c7"), "allowed: c1, c2, c3, c4"),
        (("simulate", small, "-o", tmp_path / "md", "--state", "c1", "--platform", "TPU"), "allowed: "),
        (("simulate", small, "-o", tmp_path / "md", "--state", "c2"), "at least twice the cutoff"),
        (("field", tmp_path / "c1"), "no such file"),
    ):
        if message == "at least twice the cutoff":
            small.write_text(small.read_text().replace("solvent = 448", "solvent = 2").replace("salt = 26", "salt = 1"))
        result = call(*arguments)
        assert result.exit_code == 2
        assert message in result.output
        assert result.output.count("\n") == 1


@pytest.mark.slow
def test_a_run_killed_without_warning_goes_on_and_loses_nothing(small, tmp_path):
    out, folder = tmp_path / "md", tmp_path / "md" / "c1" / "r0"
    small.write_text(small.read_text().replace('production = "20 ps"', 'production = "2 ns"'))
    command = [
        sys.executable,
        "-m",
        "mdcoeffs.cli",
        "simulate",
        str(small),
        "-o",
        str(out),
        "--state",
        "c1",
        "--jobs",
        "1",
        "--checkpoint",
        "0.5",
        "--platform",
        "CPU",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not ((folder / "frames.bin").is_file() and (folder / "frames.bin").stat().st_size > 72 * 400):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "run.json").exists()
    with np.load(folder / "checkpoint.npz") as stored:
        kept = int(stored["sizes"][0])
    before = np.fromfile(folder / "frames.bin")[: kept // 8].reshape(-1, 3, 3)
    assert len(before) > 100
    small.write_text(small.read_text().replace('production = "2 ns"', 'production = "200 ps"'))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "c1/r0: 0.2 ns" in done.stdout
    with np.load(folder / "displacements.npz") as run:
        R, t = run["R"], run["time"]
    assert len(R) == json.loads((folder / "run.json").read_text())["frames"] + 1
    np.testing.assert_allclose(np.diff(t), 0.25, rtol=1e-9, atol=0)
    overlap = min(len(before), len(R))
    np.testing.assert_array_equal(R[:overlap], np.rint((before - before[0]) * 1e3)[:overlap])
    # no jump where the two parts meet: the largest step of the run is not there alone
    steps = np.abs(np.diff(R, axis=0)).max(axis=(1, 2))
    assert steps.max() < 8 * np.median(steps)
