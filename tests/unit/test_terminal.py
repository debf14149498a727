"""The door of both commands: what a user's terminal shows of errors, warnings and interruptions."""

import errno
import os
import subprocess
import sys

import click
from click.testing import CliRunner

from cellsim.base import CellsimError, InputError
from cellsim.terminal import Commands


def shown(error, cause=None):
    def fail():
        raise error from cause

    result = CliRunner().invoke(Commands("main", commands={"go": click.Command("go", callback=fail)}), ["go"])
    return result.exit_code, result.stderr


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/a.nc")


def test_exit_codes_and_sentences():
    assert shown(InputError("x = 1 is wrong")) == (2, "error: x = 1 is wrong\n")
    assert shown(CellsimError("no")) == (1, "error: no\n")
    code, text = shown(FULL)
    assert code == 1
    assert text.startswith(
        "error: out/a.nc: cannot be read or written (No space left on device); existing results are unchanged"
    )
    code, text = shown(InputError("o: cannot be written"), FULL)
    assert code == 1
    assert "repeat the command" in text
    code, text = shown(MemoryError("Unable to allocate 11.2 TiB"))
    assert (code, text.count("\n")) == (1, 1)
    assert "more memory than there is (Unable to allocate 11.2 TiB)" in text
    code, text = shown(ModuleNotFoundError("No module named 'MDAnalysis'", name="MDAnalysis.lib"))
    assert (code, text.count("\n")) == (2, 1)
    assert "python -m pip install 'cellsim[trajectories]'" in text
    code, text = shown(InputError("y = " + "9" * 100_000))
    assert len(text) < 1300


def test_an_interruption_in_a_destructor_comes_again():
    code = """
import signal, sys, time
from cellsim import terminal

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background with it ignored

class Swallows:
    def __del__(self):
        raise KeyboardInterrupt

terminal._quiet()
begun = time.monotonic()
try:
    thing = Swallows()
    del thing
    time.sleep(30)
except KeyboardInterrupt:
    print(time.monotonic() - begun < 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_no_warning_and_no_destructor_of_a_library_reaches_the_terminal():
    code = """
import warnings, click
from cellsim.terminal import Commands

class Late:
    def __del__(self):
        raise RuntimeError("late")

def go():
    warnings.warn("a library's opinion", RuntimeWarning)
    thing = Late()
    del thing
    click.echo("done")

Commands("main", commands={"go": click.Command("go", callback=go)})(["go"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_name_that_no_file_can_have_is_bad_input():
    for number in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
        code, text = shown(OSError(number, os.strerror(number), "x" * 5000))
        assert code == 2
        assert text.count("\n") == 1 and len(text) < 300 and os.strerror(number) in text


def test_ctrl_c_is_one_sentence_also_where_compiled_code_hides_it():
    inside = SystemError("<function unpickle> returned a result with an exception set")
    inside.__cause__ = KeyboardInterrupt()
    hidden = SystemError("CPUDispatcher returned a result with an exception set")
    for error, cause in ((KeyboardInterrupt(), None), (hidden, inside)):
        code, text = shown(error, cause)
        assert code == 1
        assert text.startswith("interrupted; ") and text.count("\n") == 1
    result = CliRunner().invoke(Commands("main", commands={"go": click.Command("go", callback=fails)}), ["go"])
    assert isinstance(result.exception, SystemError)  # of anything else, the traceback is wanted


def fails():
    raise SystemError("something else")


def test_both_commands_run_as_modules():
    for package in ("cellsim", "mdcoeffs"):
        done = subprocess.run([sys.executable, "-m", package, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"{package}, version")
