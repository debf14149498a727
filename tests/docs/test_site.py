"""The documentation site: its parts, and the whole, built without a warning and without the network."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path[:0] = [str(DOCS), str(DOCS / "_ext")]

import gallery  # noqa: E402
import mathml  # noqa: E402
import site_pages  # noqa: E402
from docutils.utils.math import MathError  # noqa: E402
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402

PAGES = sorted(path for path in DOCS.rglob("*.md") if "_ext" not in path.parts)
FENCE = re.compile(r"^(`{3,}|:{3,}).*?^\1", re.MULTILINE | re.DOTALL)


class Fetched(HTMLParser):
    """What a browser fetches by itself from elsewhere when it opens the page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        addresses = [at.get("src"), at.get("srcset"), at.get("poster")]
        if tag == "link" and at.get("rel") not in ("canonical", "author", "license"):
            addresses.append(at.get("href"))
        self.found += [a for a in addresses if a and re.match(r"(https?:)?//", a.strip())]


def formulas(text):
    """TeX of every formula of a page."""
    bare = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    return re.findall(r"\$\$(.+?)\$\$", bare, re.DOTALL) + re.findall(r"(?<![\$\\])\$(?!\$)([^\$\n]+)\$", bare)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_every_formula_can_be_set(page):
    wrong = []
    for tex in formulas(page.read_text()):
        try:
            tex2mathml(mathml.prepared(tex))
        except (MathError, SyntaxError) as error:
            wrong.append(f"{tex}: {error}")
    assert not wrong


def test_a_formula_that_cannot_be_set_is_seen():
    with pytest.raises(MathError, match="nonsense"):
        tex2mathml(mathml.prepared(r"\nonsense x"))


def test_accents_take_their_index_beside_them():
    for tex in (r"\bar V_e", r"\hat\Omega_{ij}", r"\dot{\mathbf r}_i"):
        assert "munderover" not in str(tex2mathml(mathml.prepared(tex)))
    assert "munderover" in str(tex2mathml(mathml.prepared(r"\sum_{i=0}^n x_i"), as_block=True))


def test_every_theory_page_has_the_same_four_parts():
    pages = [page for page in (DOCS / "theory").glob("*.md") if page.stem != "index"]
    assert len(pages) == 13
    for page in pages:
        text = page.read_text()
        heads = [head.split(":")[0] for head in re.findall(r"^## (.*)$", FENCE.sub("", text), re.MULTILINE)]
        assert heads == ["Definition", "Derivation", "Code", "Common mistakes"], page
        assert re.search(r"^assert ", text, re.MULTILINE), f"{page}: no relation is asserted"
        assert "doi.org" in text, f"{page}: no source"


READ = sorted((*PAGES, ROOT / "README.md", *ROOT.glob("cases/**/*.md"), *ROOT.glob("validation/**/*.md")))
PRIVATE = ("mended", "at its word", "at their word", "is said to", "runs empty", "ran empty", "told apart", "to dear")


@pytest.mark.parametrize("page", READ, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_sources_are_links_and_images_have_words(page):
    """The rules of docs/style.md that a machine can check."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert not re.findall(r"(?<!\[)doi:10\.\S+", text), "a DOI that is no link"
    assert all(len(words.split()) >= 6 for words in re.findall(r"!\[(.*?)\]\(", text)), "an image without a description"
    if page.name != "style.md":
        assert not [word for word in PRIVATE if word in text], "words in a private sense"


def test_every_module_has_its_place_in_the_api():
    blocks = [block for page in (DOCS / "api").glob("*.md") for block in site_pages.MODULES.findall(page.read_text())]
    shown = [name for block in blocks for name in site_pages.named_modules(block)]
    assert sorted(shown) == sorted(set(site_pages.modules()) - {"cellsim", "mdcoeffs"})  # once each; those two: index


def test_links_of_included_files_are_mended():
    known = {"docs/fit.md": "fit.md", "validation/README.md": "trust/validation.md"}
    text = (
        "see [fit](docs/fit.md#measured), [v](validation), `docs/fit.md`, [c](cases/README.md), ![p](docs/images/x.png)"
    )
    found = site_pages.mended(text, "README.md", "start.md", known)
    assert found == (
        "see [fit](fit.md#measured), [v](trust/validation.md), [`docs/fit.md`](fit.md), c (`cases/README.md`), "
        "![p](images/x.png)"
    )
    assert site_pages.mended("```\n[a](docs/fit.md)\n```", "README.md", "start.md", known).count("docs/fit.md") == 1


def test_gallery_names_commands_and_files_that_go_together():
    items, shipped = gallery.read()
    assert len({item.name for item in items}) == len(items) >= 10
    for item in items:
        assert all(command.split()[0] in ("cellsim", "mdcoeffs", "python") for command in item.commands)
        for file, caption in item.figures:
            assert any(file.startswith(word) for command in item.commands for word in shlex.split(command)), file
            assert caption.endswith(".")
    for one in shipped:
        assert (ROOT / one["file"]).exists() and (ROOT / one["command"].split()[1]).exists()


def test_numbers_of_the_verdicts_stand_in_their_sources():
    """The table repeats; it invents nothing."""
    sources = "".join(
        path.read_text()
        for path in (*DOCS.glob("*.md"), *(ROOT / "validation").rglob("*.md"))
        if path.name != "index.md"
    ).replace("−", "-")
    table = (DOCS / "trust" / "index.md").read_text().replace("−", "-")
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    numbers = {
        n for row in rows for n in re.findall(r"(?<![\w.])\d+\.\d+(?:e-?\d+)?", re.sub(r"\(http\S+\)|doi:\S+", "", row))
    }
    assert len(numbers) > 60
    assert not sorted(n for n in numbers if n not in sources)


@pytest.mark.slow
def test_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    """Continuous integration draws the gallery and the lectures, which take minutes: it sets CELLSIM_GALLERY."""
    environment = {"CELLSIM_GALLERY": "keep"} | os.environ | {"PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        tmp_path / "tree",
        DOCS,
        tmp_path / "site",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        text = page.read_text()
        assert not Fetched(text).found, page
        assert "ˉ</mo></munderover>" not in text
    if environment["CELLSIM_GALLERY"] != "keep":
        for notebook in (DOCS / "notebooks").glob("*.py"):
            lecture = (tmp_path / "site" / "notebooks" / f"{notebook.stem}.html").read_text()
            assert lecture.count("<h2") >= 3 and "build/lectures" not in lecture and "_images/" in lecture, notebook
    styles = "".join(path.read_text() for path in (tmp_path / "site" / "_static").rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//\S+", styles)
    assert "[mol/m^3]" in (tmp_path / "site/api/model.html").read_text(), "arguments carry their unit"
    assert tomllib.loads((DOCS / "gallery.toml").read_text())["item"]
