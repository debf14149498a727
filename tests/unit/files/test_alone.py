"""Folders of results when two work in one, when somebody was killed, and when the disk takes no more."""

import errno
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from cellsim.base import CellsimError, InputError
from cellsim.files.folder import LOCK, alone_in, check_room, result_folder, work_folder
from cellsim.files.writing import write_text

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from cellsim.files.folder import result_folder, work_folder
from cellsim.files.writing import write_text
with {what}(sys.argv[1]) as folder:
    write_text(folder / "half", "x")
    print("in", flush=True)
    time.sleep(60)
"""


def holder(folder, what="work_folder"):
    code = textwrap.dedent(HOLD.format(what=what))
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    with process.stdout:
        assert process.stdout.readline() == "in\n"
    return process


def test_a_folder_is_worked_in_by_one_process_and_a_dead_one_holds_nothing(tmp_path):
    other = holder(tmp_path / "o")
    with pytest.raises(InputError, match=rf"process {other.pid} on .* is working in it"), work_folder(tmp_path / "o"):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with work_folder(tmp_path / "o") as folder:  # the stale lock is taken over
        assert (folder / LOCK).is_file()
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["half"]


def test_one_process_may_enter_its_own_folder_twice(tmp_path):
    with alone_in(tmp_path), alone_in(tmp_path), result_folder(tmp_path) as fresh:
        write_text(fresh / "summary.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_what_a_killed_process_left_is_swept_by_the_next_and_nothing_else(tmp_path):
    other = holder(tmp_path / "o", "result_folder")
    alive = [path.name for path in tmp_path.iterdir()]
    assert len(alive) == 1
    for name in (".o-backup", ".o2-abcdefgh.partial", "o-old"):
        (tmp_path / name).mkdir()

    def write():
        with result_folder(tmp_path / "o") as fresh:
            write_text(fresh / "summary.json", "{}")

    write()
    assert (tmp_path / alive[0] / "half").is_file()  # its process lives
    other.send_signal(signal.SIGKILL)
    other.wait()
    write()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".o-backup", ".o2-abcdefgh.partial", "o", "o-old"]


def test_a_full_disk_leaves_the_old_result_and_no_new_folder(tmp_path):
    def full(name):
        def fill():
            with result_folder(tmp_path / name) as fresh:
                write_text(fresh / "summary.json", "new")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(CellsimError, match="cannot be written") as refused:
            fill()
        assert refused.value.__cause__.errno == errno.ENOSPC

    full("o")
    assert not list(tmp_path.iterdir())
    with result_folder(tmp_path / "o") as fresh:
        write_text(fresh / "summary.json", "old")
    full("o")
    assert (tmp_path / "o" / "summary.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_room_is_asked_for_before_work_begins(tmp_path):
    check_room(tmp_path, 1.0, "it")
    with pytest.raises(InputError, match=r"the chain needs 1e\+24 MB and the disk has"):
        check_room(tmp_path, 1e30, "the chain")
