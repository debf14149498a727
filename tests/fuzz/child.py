"""A call in a process of its own that may die of it: what it said, how it ended."""

import contextlib
import gc
import os
import re
import resource
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass

LIMIT = 20.0
"""Longest processor time a command may take over a damaged file [s]."""
WAITING = 10
"""How much longer it may take by the clock: other work on the machine is no hang."""
MEMORY = 6 << 30
"""Address space a command may take [byte]."""
CRASH, WRONG = 70, 71
"""Exit codes of a call that raised, and of one that took something for what it is not."""


@dataclass(frozen=True)
class End:
    """How a call ended: exit code, signal or time over, and what it wrote."""

    code: int
    signal: int
    late: bool
    out: str
    err: str

    @property
    def faults(self):
        """What must never be, in words."""
        text = self.out + self.err
        found = []
        if self.late:
            found.append("hang")
        if self.signal and not self.late:
            found.append(f"signal {self.signal}")
        if "Traceback" in text or self.code == CRASH:
            found.append("traceback")
        if "Exception ignored" in text:
            found.append("ignored exception")
        if re.search(r"\w*Warning\b", text):
            found.append("warning")
        if self.code == WRONG:
            found.append("took damage for data")
        if not self.late and not self.signal and self.code not in (0, 1, 2, CRASH, WRONG):
            found.append(f"exit {self.code}")
        if self.code not in (0, WRONG) and not self.signal and not self.late and not self.err.strip():
            found.append("no word")
        if max(map(len, text.split("\n")), default=0) > 1600:
            found.append("long line")
        if re.search(r"(.)\1{299}", text):
            found.append("long echo")
        # a number has its name before it; what begins a line is the title, which may be anything, and "nan m" is a text
        # that the mutation put into the source of a property
        if self.code == 0 and re.search(r"(?<=[^\w/.\n])(nan|inf)(?! m\n)(?![\w/.])", self.out, re.IGNORECASE):
            found.append("nan with exit 0")
        return found


def run_command(command, arguments):
    """A click command, as the shell would run it: its exit code."""
    try:
        command.main(arguments, standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    return 0


def in_child(call, *, limit=LIMIT, hit=None):
    """call() in a forked process; its value is the exit code.

    `hit`: after how many seconds it gets which signal. A kill is for the process alone: helpers of its own must find
    out for themselves, and what they still write to keeps the time running. Ctrl-C reaches them all, as in a terminal.
    """
    pipes = [os.pipe(), os.pipe()]
    pid = os.fork()
    if pid == 0:
        code, begun = CRASH, False
        try:
            gc.freeze()  # what the parent made is not looked through again below: that copies all its memory
            os.setpgid(0, 0)  # its own helpers end with it
            for number, (_, end) in enumerate(pipes, 1):
                os.dup2(end, number)
            # what pytest put in their place
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            begun = True
            code = call() or 0
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is over
            gc.collect()  # destructors speak now or never
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not begun:  # it hit this function, not the command
                print("interrupted before the command began", file=sys.stderr)
                code = 1
            else:
                traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    for _, end in pipes:
        os.close(end)
    reading = {pipes[0][0]: b"", pipes[1][0]: b""}
    open_ends, late, begun = set(reading), False, time.monotonic()
    while open_ends:
        if hit and time.monotonic() - begun > hit[0]:
            with contextlib.suppress(ProcessLookupError):
                (os.kill if hit[1] == signal.SIGKILL else os.killpg)(pid, hit[1])
            hit = None
        ready, _, _ = select.select(list(open_ends), [], [], 0.01 if hit else 0.5)
        for end in ready:
            piece = os.read(end, 1 << 16)
            reading[end] += piece
            if not piece:
                open_ends.discard(end)
        if not late and time.monotonic() - begun > WAITING * limit:
            late = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    for end in reading:
        os.close(end)
    out, err = (text.decode("utf-8", "replace") for text in reading.values())
    late = late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    return End(os.waitstatus_to_exitcode(status), os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, late, out, err)
