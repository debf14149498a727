"""The interactive page: one self-contained HTML file that solves a Li | electrolyte | Li cell in the browser.

`solver.js` is the one declared exception to "the physics, once": it repeats the salt balance and the voltage law of
:mod:`cellsim.model.equations` for constant properties, and is tested against the package (docs/page.md).
"""

from __future__ import annotations

from contextlib import suppress
from importlib import resources
from pathlib import Path

from cellsim.base import InputError

SOLVER = ("settings.js", "solver.js", "selftest.js")
"""What solves and needs no document, in order."""
SCRIPTS = (*SOLVER, "plot.js", "words.js", "cell.js", "files.js", "page.js", "main.js")
"""All scripts of the page, in order."""


def source(name: str) -> str:
    """One of the page's own source files.

    Parameters
    ----------
    name : str
        Such as ``"solver.js"``.

    Returns
    -------
    str
    """
    return (resources.files("cellsim.app") / name).read_text(encoding="utf-8")


def assemble() -> str:
    """The whole page as one HTML text that asks for nothing from outside.

    Returns
    -------
    str
    """
    page = source("page.html").replace("{{style}}", source("style.css").strip())
    return page.replace("{{script}}", "\n".join(source(name).strip() for name in SCRIPTS))


def write_page(path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        Of the HTML file; its folder must exist, a file that is there is replaced.

    Raises
    ------
    InputError
        If the name does not end in .html or the file cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the page is an .html file")
    partial = path.with_name(f".{path.name}.partial")  # a full disk leaves the old page, not half of a new one
    try:
        partial.write_text(assemble(), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # of a disk that is read-only: it was never there
            partial.unlink()
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
