"""What MyST alone cannot: pages made of files of the repository, links out of the site, API pages, the gallery.

A page may hold a line ``<!-- file: README.md -->``, which becomes that file; a block ``{modules}`` that names modules,
one or more to a line, which becomes their API; a line ``<!-- gallery -->``, or ``<!-- lecture -->`` for the notebook of
the same name. Nothing is written into docs/.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

FILE = re.compile(r"^<!-- file: (\S+) -->$", re.MULTILINE)
GALLERY = re.compile(r"^<!-- gallery -->$", re.MULTILINE)
LECTURE = re.compile(r"^<!-- lecture -->$", re.MULTILINE)
MODULES = re.compile(r"^```\{modules\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GLOB = re.compile(r"^([\w/]+\*)\n", re.MULTILINE)  # a line of a toctree; Sphinx warns where it matches nothing
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
PAGE = re.compile(r"`(docs/[\w/]+\.md)`")


def pages() -> dict[str, str]:
    """Files of the repository that have a page: path from the root -> page, path from docs/."""
    found = {}
    for page in sorted(DOCS.rglob("*.md")):
        name = page.relative_to(DOCS).as_posix()
        found[f"docs/{name}"] = name
        for path in FILE.findall(page.read_text()):
            found[path] = name
    return found


def mended(text: str, home: str, page: str, known: dict[str, str]) -> str:
    """Text of the file `home` as it must read on `page`: links to pages stay links, others name their file."""
    here = posixpath.dirname(page)

    def link(found: re.Match[str]) -> str:
        mark, label, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
        if mark:
            return f"![{label}]({posixpath.relpath(ROOT / path, DOCS / here)})"
        page_of = known.get(path) or known.get(f"{path}/README.md")
        if page_of:
            return f"[{label}]({posixpath.relpath(page_of, here or '.')}{hash_}{anchor})"
        if not (ROOT / path).exists():
            return found[0]  # MyST says so, which fails the build
        return label if path in label else f"{label} (`{path}`)"

    def words(piece: str) -> str:
        piece = PAGE.sub(lambda m: f"[`{m[1]}`](/{m[1]})" if m[1] in known else m[0], piece)
        piece = re.sub(
            r"\]\(/docs/", lambda _: "](" + posixpath.relpath("docs", posixpath.dirname(home) or ".") + "/", piece
        )
        return LINK.sub(link, piece)

    pieces, start = [], 0
    for fence in FENCE.finditer(text):
        pieces += [words(text[start : fence.start()]), fence[0]]
        start = fence.end()
    return "".join([*pieces, words(text[start:])])


def modules() -> list[str]:
    """Every public module of both packages, in dotted form."""
    names = []
    for package in ("cellsim", "mdcoeffs"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") for part in parts):
                names.append(".".join(parts))
    return names


def named_modules(patterns: str) -> list[str]:
    """The modules that a {modules} block names, in their order; `*`: anything; `rest`: what no page names."""
    chosen: list[str] = []
    for pattern in patterns.split():
        if pattern == "rest":
            blocks = [block for page in (DOCS / "api").glob("*.md") for block in MODULES.findall(page.read_text())]
            named = {name for block in blocks for name in named_modules(block.replace("rest\n", ""))}
            named |= {"cellsim", "mdcoeffs"}
            found = [name for name in modules() if name not in named]
        else:
            found = fnmatch.filter(modules(), pattern)
        chosen += [name for name in found if name not in chosen]
    return chosen


AUTOMODULE = """## {0}

```{{eval-rst}}
.. automodule:: {0}
   :members:
   :ignore-module-all:
   :member-order: bysource
```
"""


def _api(found: re.Match[str]) -> str:
    return "\n".join(AUTOMODULE.format(name) for name in named_modules(found[1]))


def on_source(app: Sphinx, docname: str, content: list[str]) -> None:
    """Before a page is parsed."""
    page, known = f"{docname}.md", pages()
    text = mended(content[0], f"docs/{page}", page, known)
    app.env.note_dependency(str(Path(__file__)))
    text = FILE.sub(lambda m: mended((ROOT / m[1]).read_text(), m[1], page, known), text)
    text = MODULES.sub(_api, text)
    text = GLOB.sub(lambda m: m[0] if any(DOCS.glob(f"{m[1]}.md")) else "", text)
    if GALLERY.search(text):
        from gallery import draw, page_text

        app.env.note_dependency(str(DOCS / "gallery.py"))
        text = GALLERY.sub(lambda _: page_text(draw()), text)
    if LECTURE.search(text):
        import lectures

        app.env.note_dependency(str(DOCS / f"{docname}.py"))
        text = LECTURE.sub(lambda _: lectures.text(posixpath.basename(docname)), text)
    for path in FILE.findall(content[0]):
        app.env.note_dependency(str(ROOT / path))
    content[0] = text


LITERAL = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_{0,2}|\\.)")


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings write |x|, rho_ and c* plainly; reStructuredText would read markup there."""
    for k, line in enumerate(lines):
        if line.lstrip().startswith((":", "..", "*", "- ")) and not line.lstrip().startswith(":param"):
            head = re.match(r"\s*(?::[^:]+:|\.\.|\*\*[^*]+\*\*|\*[^*]+\*|[*-] )", line)
        else:
            head = re.match(r"\s*(?::[^:]+:)?", line)
        cut = head.end() if head else 0
        parts = LITERAL.split(line[cut:])
        for j in range(0, len(parts), 2):
            parts[j] = re.sub(r"\|", r"\\|", parts[j])
            parts[j] = re.sub(r"(?<=[\w)])_(?![\w])", r"\\_", parts[j])
        lines[k] = line[:cut] + "".join(parts)


def add_interactive_page(app: Sphinx, failed: Exception | None) -> None:
    """Beside the pages of the site: the page with sliders, which docs/page.md shows."""
    if failed is None and app.builder.format == "html":
        from cellsim.app import write_page

        write_page(Path(app.outdir) / "polarization.html")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("source-read", on_source)
    app.connect("autodoc-process-docstring", on_docstring, priority=900)
    app.connect("build-finished", add_interactive_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
