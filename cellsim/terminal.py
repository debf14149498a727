"""What both command lines share: errors as one line and an exit code, progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cellsim.base import CellsimError, InputError

FILE = click.Path(path_type=Path)
"""Type of an argument that names a file or folder."""
SETTINGS = {"help_option_names": ["-h", "--help"]}
"""Context of both commands."""


class Commands(click.Group):
    """Turns an error the user can mend into one line and exit code 2, any other of ours into exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CellsimError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, InputError) else 1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, as they stand in the file of the command line."""
        return list(self.commands)


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
