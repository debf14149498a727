"""The code blocks of a Markdown page, found by markdown-it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
GLOBS = ("README.md", "CHANGELOG.md", "docs/**/*.md", "cases/**/*.md", "validation/**/*.md", "benchmarks/**/*.md")
SHOWN = ("code", "code-block", "code-cell", "doctest", "sourcecode")  # MyST directives whose argument is a language
_DIRECTIVE = re.compile(r"\{([\w-]+)\}\s*(\S*)")


@dataclass(frozen=True)
class Block:
    """One block: where it stands, its language ("" where none is named, "{name}" for a MyST directive), its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line without the comment behind it, by which the rules name it."""
        line = next((line.strip() for line in self.text.splitlines() if line.strip()), "")
        return re.split(r"\s+#", line)[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line} [{self.language or 'no language'}] {self.first}"


def pages(root: Path = ROOT) -> list[str]:
    """Every page of the repository, relative to its root; what a site build leaves is no page."""
    found = {path.relative_to(root) for glob in GLOBS for path in root.glob(glob)}
    left_out = {"build", "_build", "site", "node_modules"}
    return sorted(path.as_posix() for path in found if not left_out & set(path.parts))


def blocks(text: str, page: str) -> list[Block]:
    """The fenced and indented code blocks of a page, in order, those inside directives that hold text too."""
    found: list[Block] = []
    for token in MarkdownIt("commonmark").parse(text):
        if token.type not in ("fence", "code_block") or token.map is None:
            continue
        language, line = token.info.strip(), token.map[0] + 1
        directive = _DIRECTIVE.match(language)
        if directive and directive[1] in SHOWN:
            body = re.sub(r"\A(:[\w-]+:.*\n)*\n*", "", token.content)
            found.append(Block(page, line, directive[2], body))
        elif directive:
            found.append(Block(page, line, f"{{{directive[1]}}}", token.content))
            inner = blocks(token.content, page)
            found += [Block(page, line + one.line, one.language, one.text) for one in inner if "`" in token.content]
        else:
            found.append(Block(page, line, language.split()[0] if language else "", token.content))
    return found


def blocks_of(page: str, root: Path = ROOT) -> list[Block]:
    """The blocks of one page of the repository."""
    return blocks((root / page).read_text(encoding="utf-8"), page)


def inline_commands(page: str, root: Path = ROOT) -> list[str]:
    """What stands in a line of text as a call of `cellsim` or `mdcoeffs`."""
    tokens = MarkdownIt("commonmark").enable("table").parse((root / page).read_text(encoding="utf-8"))
    codes = [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]
    return [" ".join(code.split()) for code in codes if re.match(r"(cellsim|mdcoeffs) [a-z]", code)]
