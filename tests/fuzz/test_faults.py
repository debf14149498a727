"""Kills, a disk that fills, a read-only disk, two at once: one sentence, nothing half written, nothing left over."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import interrupted
from kinds import make_seeds

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")]

COMMANDS = {
    "run": ("cellsim", "run", "{seeds}/run/case.toml", "-o", "{out}/o", "--no-figures", "--solver", "material"),
    "export": ("cellsim", "export", "{seeds}/run/run", "--csv", "-o", "{out}/o"),
    "compare": ("cellsim", "compare", "{seeds}/run/case.toml", "-o", "{out}/o"),
    "onsager": ("mdcoeffs", "onsager", "{seeds}/traj/xtc.toml", "-o", "{out}/o", "--checkpoint", "0"),
}
WHOLE = {"run": {"case.toml", "solution.nc", "summary.json"}, "onsager": {"onsager.nc", "onsager.png", "summary.json"}}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_seeds(tmp_path_factory.mktemp("seeds"))


def begun(name, seeds, out, **options):
    package, *arguments = (each.format(seeds=seeds, out=out) for each in COMMANDS[name])
    code = f"from {package}.cli import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], **pipes, **options)


def ended(process):
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err[-2000:]
    assert "Exception ignored" not in err, err[-2000:]
    assert "Warning" not in err, err[-2000:]
    return process.returncode, err


def small_files():
    """No file beyond 3 kB, as on a disk that is full: the write fails, the process is not killed."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_takes_no_more(name, seeds, tmp_path):
    code, err = ended(begun(name, seeds, tmp_path, preexec_fn=small_files))
    assert code == 1
    assert err.count("\n") == 1
    assert "File too large" in err
    assert "repeat the command" in err
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".nc", ".csv", ".png", ".partial")]


def test_a_disk_that_is_full_where_code_is_compiled_is_no_fault_of_the_trajectory(seeds, tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    code, err = ended(begun("onsager", seeds, tmp_path, preexec_fn=small_files, env=environment))
    assert code == 1 and "cannot be read as a trajectory" not in err
    assert "File too large" in err and "repeat the command" in err


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    root = tmp_path_factory.mktemp("cases")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interrupted.make_cases(root / "seeds")
    return root / "work"


@pytest.mark.parametrize("command", interrupted.WRITERS, ids=lambda command: command.name)
def test_every_command_on_a_disk_that_takes_no_more(command, cases):
    folder = cases / f"full-{command.name}"
    end = interrupted.run(command, folder, before=small_files)
    assert (end.code, end.faults) == (1, []), end.err[-1500:]
    assert end.err.count("\n") == 1 and "File too large" in end.err and "repeat the command" in end.err
    left = interrupted.files(folder)
    assert not {name for name in left if not any(part in name for part in interrupted.TO_GO_ON)}


@pytest.mark.parametrize("command", interrupted.WRITERS, ids=lambda command: command.name)
def test_every_command_on_a_read_only_disk(command, cases):
    folder = cases / f"read-only-{command.name}"
    folder.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        end = interrupted.run(command, folder)
    finally:
        subprocess.run(["umount", folder], check=True)
    assert (end.code, end.faults, end.err.count("\n")) == (2, [], 1), end.err[-1500:]
    assert "Read-only file system" in end.err


@pytest.mark.parametrize("command", interrupted.LONG, ids=lambda command: command.name)
def test_kills_and_interruptions_change_no_number(command, cases):
    """As many as CELLSIM_KILLS says, two in the suite: after up to five of them the command is let end."""
    if command.name == "pipeline" and "CELLSIM_KILLS" not in os.environ:
        pytest.skip("a minute by itself: CELLSIM_KILLS asks for it")
    rng = np.random.default_rng([7, len(command.name)])
    place = cases.parent / f"kills-{command.name}"  # as deep as the seeds' paths are written for
    interrupted.run(command, place / "first")  # compiled here
    begun = time.monotonic()
    assert not interrupted.wrong(interrupted.run(command, place / "whole"), command, None)
    took, left = time.monotonic() - begun, int(os.environ.get("CELLSIM_KILLS", "2"))
    whole, names = interrupted.contents(place / "whole"), interrupted.files(place / "whole")
    while left > 0:
        folder = place / f"{command.name}-{left}"
        for _ in range(min(left, int(rng.integers(1, 6)))):
            left -= 1
            hit = (took * rng.uniform(), signal.SIGKILL if rng.integers(2) else signal.SIGINT)
            end = interrupted.run(command, folder, hit)
            assert not interrupted.wrong(end, command, hit), end.err[-1500:]
            found = interrupted.files(folder)
            if hit[1] == signal.SIGKILL and command.name in ("run", "onsager"):  # a result in one piece
                assert names <= found or "out/summary.json" not in found  # what vouches for the others arrives last
        end = interrupted.run(command, folder)
        assert not interrupted.wrong(end, command, None), end.err[-1500:]
        assert interrupted.differences(whole, interrupted.contents(folder)) == []
        assert interrupted.files(folder) == names
        assert not [path.name for path in place.iterdir() if path.name.startswith(".")]
        shutil.rmtree(folder)
    shutil.rmtree(place)


@pytest.mark.parametrize("name", ["export", "onsager"])
def test_a_read_only_disk(name, seeds, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    # root writes through permissions, so the disk itself must refuse
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "ro", "tmpfs", place], capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount")
    try:
        code, err = ended(begun(name, seeds, place))
    finally:
        subprocess.run(["umount", place], check=True)
    assert code == 2
    assert err.count("\n") == 1
    assert "is not writable (Read-only file system)" in err


def test_two_at_once(seeds, tmp_path):
    pair = [begun("onsager", seeds, tmp_path) for _ in range(2)]
    ends = sorted(ended(process) for process in pair)
    codes = [code for code, _ in ends]
    assert codes in ([0, 2], [0, 0])  # the second waits for nobody, or came after the first had ended
    if codes == [0, 2]:
        assert "is working in it" in ends[1][1]
    assert {path.name for path in (tmp_path / "o").iterdir()} == WHOLE["onsager"]


def test_interruptions(seeds, tmp_path):
    for k in range(2):
        process = begun("run", seeds, tmp_path)
        time.sleep(1.0 + 0.7 * k)
        os.kill(process.pid, signal.SIGINT)
        code, err = ended(process)
        assert code in (0, 1)
        assert code == 0 or err.strip()
