"""Runs the blocks of a page in order, in one folder that looks like the repository, as a reader would."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from page_blocks import Block

COMMANDS = ("cellsim", "mdcoeffs")
NOT_RUN = "left to the slow test"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Rules:
    """What is not simply run as printed; every entry with its reason.

    Parameters
    ----------
    lines : tuple of (str, str or None or callable, str)
        Pattern of a whole shell line; what is run in its place (None: nothing, a callable: it is called with the
        line, and must check something); reason.
    slow : tuple of (str, str, str)
        Page pattern, pattern of a shell line or of the first line of a block; what takes so long.
        Left out of the fast test.
    toml : mapping of (page, first line) to callable(block, folder)
        The reader a TOML block is given to.
    text : mapping of (page, first line) to callable(block, folder) or str
        A block without a language: what it is compared with, or the reason why it is no output.
    elsewhere : frozenset of str
        Slow shell lines that stand word for word on an earlier page, where they are run.
    """

    lines: tuple[tuple[str, Any, str], ...] = ()
    slow: tuple[tuple[str, str, str], ...] = ()
    toml: dict[tuple[str, str], Callable[[Block, Path], object]] = field(default_factory=dict)
    text: dict[tuple[str, str], Callable[[Block, Path], object] | str] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    def is_slow(self, page: str, text: str) -> bool:
        """Whether a shell line, or the block that begins so, is left to the slow test."""
        return any(re.fullmatch(where, page) and re.match(what, text) for where, what, _ in self.slow)


def run_page(found: list[Block], folder: Path, rules: Rules, *, slow: bool) -> None:
    """Run a page's blocks; the first that fails raises AssertionError with its place.

    Parameters
    ----------
    found : list of Block
        All blocks of one page.
    folder : Path
        Where they are run; the working folder is set by the caller.
    rules : Rules
        What is not run as printed.
    slow : bool
        Whether what takes long is run too.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    printed: str | None = None  # by the block before this one, or NOT_RUN
    for block in found:
        try:
            printed = _run(block, folder, rules, names, printed, slow)
        except Exception as error:
            what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            raise AssertionError(what if what.startswith(str(block)) else f"{block}\n{what or 'assertion'}") from error


def _run(
    block: Block, folder: Path, rules: Rules, names: dict[str, Any], printed: str | None, slow: bool
) -> str | None:
    key = (block.page, block.first)
    if not slow and rules.is_slow(block.page, block.first) and block.language in ("python", "toml"):
        return None
    match block.language:
        case "python":
            return _python(block, names)
        case "sh" | "bash" | "shell" | "console":
            said = [_shell(block, line, folder, rules, slow) for line in lines_of(block.text)]
            return NOT_RUN if None in said else "".join(one for one in said if one is not None)
        case "toml":
            assert key in rules.toml, f"{block}\nno reader is named for this block in page_rules.py"
            rules.toml[key](block, folder)
        case "" | "text":
            rule = rules.text.get(key)
            if callable(rule):
                rule(block, folder)
            elif rule is None:
                assert printed is not None, f"{block}\nneither output of the block before it nor in page_rules.py"
                if printed is not NOT_RUN:
                    compare(block.text, printed, str(block))
                assert printed is not NOT_RUN or not slow, (
                    f"{block}\nits command is run on an earlier page: show it there"
                )
        case language if language.startswith("{"):
            assert language in DIRECTIVES, f"{block}\na directive page_blocks.py does not know"
        case _:
            raise AssertionError(f"{block}\na language nobody runs; known: python, sh, toml, text")
    return None


DIRECTIVES = {
    f"{{{name}}}" for name in (
        "admonition", "autoclass", "autofunction", "automodule", "caution", "contents", "csv-table", "dropdown",
        "eval-rst", "figure", "hint", "image", "important", "include", "list-table", "literalinclude", "math", "note",
        "modules", "seealso", "tip", "toctree", "warning",
    )
}  # fmt: skip


def lines_of(text: str) -> list[str]:
    """The commands of a shell block: continued lines joined, prompts and comments taken off."""
    joined = text.replace("\\\n", " ")
    bare = (re.sub(r"^\$ ", "", line.strip()) for line in joined.splitlines())
    return [line for line in bare if line and not line.startswith("#")]


def words_of(line: str) -> str:
    """A shell line without its comment and needless spaces."""
    return " ".join(shlex.split(line, comments=True, posix=False))


def _python(block: Block, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(block.text, names, str(block), block.page, block.line)
            flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
            failed = doctest.DocTestRunner(optionflags=flags).run(test, clear_globs=False).failed
            names.update(test.globs)
            assert not failed, f"{block}\n{out.getvalue()}"
        else:
            exec(compile(block.text, str(block), "exec"), names)
    return out.getvalue()


def _shell(block: Block, line: str, folder: Path, rules: Rules, slow: bool) -> str | None:
    if rules.is_slow(block.page, line) and (not slow or words_of(line) in rules.elsewhere):
        return None
    for pattern, instead, _reason in rules.lines:
        if found := re.fullmatch(pattern, words_of(line)):
            if callable(instead):
                instead(found, folder)
                return ""
            if instead is None:
                return ""
            line = found.expand(instead)
            break
    said, code = call(shlex.split(line, comments=True))
    expected = int(wanted[1]) if (wanted := re.search(r"#.*exit code (\d)", line)) else 0
    assert code == expected, f"{block}\n$ {line}\nexit code {code}, not {expected}:\n{said[-3000:]}"
    return said


def call(words: list[str]) -> tuple[str, int]:
    """Run a command: ours by their entry points in this process, Python scripts in one of their own.

    Parameters
    ----------
    words : list of str
        The command and its arguments.

    Returns
    -------
    tuple of (str, int)
        What it printed, errors included, and its exit code.
    """
    command = Path(words[0]).name
    if command in COMMANDS:
        (entry,) = entry_points(group="console_scripts", name=command)
        result = CliRunner().invoke(entry.load(), words[1:], prog_name=command)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output, result.exit_code
    assert command in ("python", "python3"), f"{words[0]} is no command the test knows; name it in page_rules.py"
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode


def compare(shown: str, printed: str, where: str) -> None:
    """Assert that what a page shows is what is printed: every line, in order; numbers to 2 %, `...` for anything.

    Parameters
    ----------
    shown, printed : str
        The block of the page; the output. Lines of the output that the page leaves out are allowed only at `...`,
        and before the first and after the last line.
    where : str
        For the message.
    """
    lines = [_plain(line) for line in printed.splitlines() if line.strip()]
    at, free = 0, True
    for line in (_plain(one) for one in shown.splitlines() if one.strip()):
        if line == "...":
            free = True
            continue
        look = lines[at:] if free else lines[at : at + 1]
        hit = next((k for k, one in enumerate(look, start=at) if _alike(line, one)), None)
        assert hit is not None, f"{where}\nshown but not printed: {line}\nprinted:\n{printed}"
        at, free = hit + 1, False


def _plain(line: str) -> str:
    return " ".join(line.split())


def _alike(shown: str, printed: str) -> bool:
    if [_plain(part) for part in _NUMBER.split(shown)] != [_plain(part) for part in _NUMBER.split(printed)]:
        return "..." in shown and re.fullmatch(re.escape(shown).replace(r"\.\.\.", ".*"), printed) is not None
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(abs(float(a) - float(b)) <= 0.02 * abs(float(b)) for a, b in pairs)


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[Path]:
    """Go to a folder, and come back."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
