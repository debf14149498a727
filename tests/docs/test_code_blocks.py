"""Every code block of README, docs, cases and validation is executed: a page at a time, in order, as a reader would.

Python runs in one namespace a page, commands run with their entry points, TOML goes to the reader it is meant for,
shown output is compared with what is printed. A language nobody runs, TOML without a reader, an unknown command fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import page_cluster
import pytest
from page_blocks import Block, blocks, blocks_of, inline_commands, pages
from page_files import repository, shorten
from page_rules import FILES, RULES
from page_runner import Rules, compare, lines_of, run_page, words_of, working_in

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:MDAnalysis.*"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:MDAnalysis.*"),
]
QUICK = ("README.md", "docs/howto", "docs/theory/voltage", "docs/mdcoeffs", "cases/README")  # others: slow suite
FOUND = {page: found for page in pages() if (found := blocks_of(page))}


def is_slow(page: str) -> bool:
    """Whether something of the page is left to the slow test."""
    return any(RULES.is_slow(page, line.strip()) for one in FOUND[page] for line in (one.first, *one.text.splitlines()))


@pytest.fixture(autouse=True)
def _end_what_was_started() -> Iterator[None]:
    yield
    page_cluster.stop()


def on_earlier_pages(page: str) -> frozenset[str]:
    """Slow lines that stand word for word on a page before this one, the README first: they are run there."""
    order = sorted(FOUND, key=lambda name: (name != "README.md", name))
    shells = [one for name in order[: order.index(page)] for one in FOUND[name] if one.language == "sh"]
    return frozenset(words_of(line) for one in shells for line in lines_of(one.text) if RULES.is_slow(one.page, line))


def prepare(page: str, folder: Path, *, slow: bool) -> None:
    repository(folder)
    shorten(folder / "cases/coarse_grained/short.toml")
    needed = slow or any(not RULES.is_slow(page, line) for one in FOUND[page] for line in one.text.splitlines())
    if page in FILES and needed:
        FILES[page](folder, FOUND[page])


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[] if page.startswith(QUICK) else [pytest.mark.slow]) for page in FOUND]
)
def test_page(page: str, tmp_path: Path) -> None:
    with working_in(tmp_path):
        prepare(page, tmp_path, slow=False)
        run_page(FOUND[page], tmp_path, RULES, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in FOUND if is_slow(page)])
def test_page_to_its_end(page: str, tmp_path: Path) -> None:
    with working_in(tmp_path):
        prepare(page, tmp_path, slow=True)
        run_page(FOUND[page], tmp_path, replace(RULES, elsewhere=on_earlier_pages(page)), slow=True)


def test_rules_are_all_used() -> None:
    """No exception outlives its block."""
    named = {(one.page, one.first) for found in FOUND.values() for one in found}
    assert set(RULES.toml) <= named, set(RULES.toml) - named
    assert set(RULES.text) <= named, set(RULES.text) - named
    assert set(FILES) <= set(FOUND), set(FILES) - set(FOUND)
    texts = [one.text for found in FOUND.values() for one in found]
    lines = [" ".join(line.split("#")[0].split()) for text in texts for line in text.splitlines()]
    unused = [pattern for pattern, _, _ in RULES.lines if not any(re.fullmatch(pattern, line) for line in lines)]
    assert not unused, unused
    assert all(reason for _, _, reason in (*RULES.lines, *RULES.slow))


@pytest.mark.parametrize("page", [page for page in pages() if inline_commands(page)])
def test_commands_named_in_a_line_exist(page: str) -> None:
    """Commands and options in running text are those of the help."""
    groups = {name: entry_points(group="console_scripts", name=name)[name].load() for name in ("cellsim", "mdcoeffs")}
    for code in inline_commands(page):
        program, *words = code.split()
        for name in words[0].split("|"):
            command = groups[program].commands.get(name)
            assert command is not None, f"{page}: `{code}`: {program} has no command {name}"
            options = {text for parameter in command.params for text in parameter.opts} | {"-h", "--help"}
            wrong = [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in options]
            assert not wrong, f"{page}: `{code}`: {program} {name} has no {wrong}"


# ---- the test of the test: each kind of block can fail -------------------------------------------------------------

BAD = {
    "python": "1 / 0",
    "toml": "a = 1",
    "text": "nothing printed this",
    "sh": "cellsim plan no_such_file.toml",
    "bash": "curl example",
    "fortran": "end",
    "": "an indented note",
    "{nonsense}": "x",
}


@pytest.mark.parametrize("language", list(BAD))
def test_a_bad_block_fails(language: str, tmp_path: Path) -> None:
    with working_in(tmp_path), pytest.raises(AssertionError, match=r"made_up\.md:3"):
        run_page([Block("made_up.md", 3, language, BAD[language])], tmp_path, Rules(), slow=False)


def test_good_blocks_pass_and_share_their_names(tmp_path: Path) -> None:
    page = "```python\na = 1.0\nprint(a / 3)\n```\n\n```text\n0.333\n```\n"
    page += "\n- x\n\n  ```python\n  >>> a + 1\n  2.0\n\n  ```\n"
    found = blocks(page, "made_up.md")
    assert [one.language for one in found] == ["python", "text", "python"]
    run_page(found, tmp_path, Rules(), slow=False)
    wrong = blocks(page.replace("0.333", "0.345"), "made_up.md")
    with pytest.raises(AssertionError, match="shown but not printed"):
        run_page(wrong, tmp_path, Rules(), slow=False)
    wrong = blocks(page.replace("  2.0", "  3.0"), "made_up.md")
    with pytest.raises(AssertionError, match="Expected"):
        run_page(wrong, tmp_path, Rules(), slow=False)


def test_shown_output_is_compared_line_by_line() -> None:
    printed = "kappa = 0.1761 S/m\nD = 1e-11 m^2/s\nmore\nlast = 3"
    compare("kappa = 0.176 S/m\nD = 1e-11 m^2/s", printed, "here")
    compare("kappa = 0.176 S/m\n...\nlast = 3", printed, "here")
    for wrong in ("kappa = 0.19 S/m", "kappa = 0.176 S/cm", "kappa = 0.176 S/m\nlast = 3", "last = 3\nkappa = 0.176"):
        with pytest.raises(AssertionError, match="shown but not printed"):
            compare(wrong, printed, "here")


def test_directives_that_show_code_are_code() -> None:
    text = ":::{note}\n```sh\ncellsim sets\n```\n:::\n\n```{code-block} python\n:caption: x\n\na = 1\n```\n"
    text += "\n````{tip}\n```toml\nb = 2\n```\n````\n"
    found = [(one.language, one.first) for one in blocks(text, "p") if not one.language.startswith("{")]
    assert found == [("sh", "cellsim sets"), ("python", "a = 1"), ("toml", "b = 2")]
