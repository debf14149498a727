"""One version everywhere, and a citation file that archives can read."""

import re
import tomllib
from pathlib import Path

import cellsim

ROOT = Path(__file__).parents[2]


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == cellsim.__version__
    assert cellsim.__version__ in re.findall(r"^## (\S+)", changes, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]


def test_the_citation_names_what_the_format_requires():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for key in ("cff-version", "message", "title", "authors", "license", "date-released", "abstract", "keywords"):
        assert re.search(rf"^{key}:", citation, re.M), key
