"""What both command lines share: errors as one line and an exit code, progress on standard error."""

from __future__ import annotations

import _thread
import errno
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cellsim.base import CellsimError, InputError, interrupted, shortened
from cellsim.base.errors import FULL, LONGEST_VALUE

FILE = click.Path(path_type=Path)
"""Type of an argument that names a file or folder."""
NO_FILE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
"""Of a name that can be no file's, or is a folder's: bad input."""
KEPT = "existing results are unchanged; make room, or name another place, and repeat the command"
"""What is said of it."""
GOES_ON = "existing results are unchanged; the same command continues from what this one has kept, if anything"
"""What is said of Ctrl-C."""
EXTRAS = {"MDAnalysis": "trajectories", "dask": "clusters", "distributed": "clusters"}
"""Packages that are not part of a plain installation -> the extra that installs them."""
SETTINGS = {"help_option_names": ["-h", "--help"]}
"""Context of both commands."""


class Commands(click.Group):
    """Turns an error the user can mend into one line and exit code 2, any other of ours into exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        _quiet()
        try:
            return super().invoke(ctx)
        except CellsimError as error:
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL
            click.echo(f"error: {error}" + (f"; {KEPT}" if full else ""), err=True)
            ctx.exit(2 if isinstance(error, InputError) and not full else 1)
        except (KeyboardInterrupt, SystemError) as error:
            if not interrupted(error):
                raise
            click.echo(f"interrupted; {GOES_ON}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").split(".")[0])
            if extra is None:
                raise
            wanted = f"python -m pip install 'cellsim[{extra}]'"
            click.echo(f"error: this command needs {error.name}, which is not installed; type {wanted}", err=True)
            ctx.exit(2)
        except MemoryError as error:
            reason = f" ({error})" if str(error) else ""
            click.echo(f"error: this takes more memory than there is{reason}; ask for less at a time", err=True)
            ctx.exit(1)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads what we print has gone
                raise
            place = f"{shortened(str(error.filename), LONGEST_VALUE)}: " if error.filename else ""
            if error.errno in NO_FILE:
                click.echo(f"error: {place}cannot be a file ({error.strerror}); name another one", err=True)
                ctx.exit(2)
            what = CellsimError(f"{place}cannot be read or written ({error.strerror or error}); {KEPT}")
            click.echo(f"error: {what}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, as they stand in the file of the command line."""
        return list(self.commands)


def _quiet() -> None:
    """Libraries' warnings and destructors go to the log; an interruption that one of them swallows comes again."""
    if sys.unraisablehook is sys.__unraisablehook__:  # else somebody looks at them: pytest, a notebook
        sys.unraisablehook = _unraisable
    if not sys.warnoptions:
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").propagate = False
        logging.getLogger("py.warnings").addHandler(logging.NullHandler())


def _unraisable(what: Any) -> None:
    """Ctrl-C inside a destructor is printed by Python and forgotten: the run went on and ended with 0 in 2 of 28."""
    if isinstance(what.exc_value, KeyboardInterrupt):
        main = threading.main_thread().ident
        if main is not None and hasattr(signal, "pthread_kill"):  # which ends a wait of the main thread as well
            threading.Timer(0.02, signal.pthread_kill, (main, signal.SIGINT)).start()
        else:
            threading.Timer(0.02, _thread.interrupt_main).start()
        return
    logging.getLogger("cellsim").debug("in a destructor: %s", what.exc_value)


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float], None] | None]:
    """A bar on the terminal.

    Parameters
    ----------
    label : str
        What is being done.

    Yields
    ------
    callable or None
        To be called with the share that is done; None where nobody watches.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:

        def advance(share: float) -> None:
            bar.update(max(0, round(1000 * share) - bar.pos))

        yield advance
        advance(1.0)


EVERY = 30.0
"""Between two lines of progress where a log may be watched but no terminal is [s]: quick commands say nothing."""


@contextmanager
def progress_line() -> Iterator[Callable[[str, int, int], None]]:
    """One line on the terminal that is written over, with the time since; elsewhere a line now and then.

    Yields
    ------
    callable
        To be called with what is being done, how much of it is done, and how much there is; also with the same numbers
        again, to show that the work goes on.
    """
    terminal, began = sys.stderr.isatty(), time.monotonic()
    last = began

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        since = f", {(now - began) / 60:.1f} min" if now - began > 5 else ""
        if terminal:
            click.echo(f"\r{what}: {done} of {total} done{since}".ljust(60), err=True, nl=done == total)
        elif now - last >= EVERY:
            last = now
            click.echo(f"{what}: {done} of {total} done{since}", err=True)

    yield tell
