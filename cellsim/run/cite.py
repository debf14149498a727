"""What to cite: the program, a run by the checksums of its files, and the sources of its transport set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cellsim.base import InputError, __version__
from cellsim.electrolyte.mixture_file import is_mixture, parse_mixture
from cellsim.electrolyte.set_file import parse_set, read_set
from cellsim.files.folder import file_hash
from cellsim.files.schema import parse_toml
from cellsim.run.folder import SOLUTION, read_solution
from cellsim.solvers.solution import dois

TITLE = "cellsim: lithium-electrolyte transport from molecular dynamics to a polarised cell and back to the beamline"
AUTHOR = "The cellsim developers"


def citation(what: str | None = None) -> list[str]:
    """What to cite, line by line.

    Parameters
    ----------
    what : str, optional
        A run folder, a shipped set or the file of a set; None: the program alone.

    Returns
    -------
    list of str
        The program; of a run its title, date, checksums of the result and of every input; the sources of the transport
        set with their DOIs.

    Raises
    ------
    InputError
        It is neither.
    """
    lines = ["program", f"  {AUTHOR}. {TITLE}. Version {__version__}."]
    if what is None:
        return lines
    if not Path(what).is_dir():
        file = read_set(what)
        return [*lines, *_sources(file.name, file.status, file.source, file.text)]
    solution = read_solution(what)
    own = {name: str(value) for name, value in solution.attributes.items()}
    lines += [
        "run",
        f"  {own.get('title') or Path(what).name}, {own.get('created', '')[:10]}, solver {own.get('solver', '')}, "
        f"{solution.status}; made with {_versions(own)}",
        f"  SHA-256 {file_hash(Path(what) / SOLUTION)}  {SOLUTION}",
    ]
    lines += [f"  SHA-256 {digest}  input {name}" for name, digest in _inputs(own, what).items()]
    text = own.get("transport_toml", "")
    if not text:
        return lines
    top = parse_toml(text, f"{what}: transport set")
    read: Any = parse_mixture(top) if is_mixture(top) else parse_set(text, f"{what}: transport set")
    return [*lines, *_sources(read.name, read.status, read.source, text)]


def _inputs(attributes: dict[str, str], what: str) -> dict[str, str]:
    try:
        return {str(name): str(digest) for name, digest in json.loads(attributes.get("inputs", "{}")).items()}
    except (ValueError, AttributeError) as error:
        raise InputError(f"{what}: the list of inputs in {SOLUTION} cannot be read") from error


def _versions(attributes: dict[str, str]) -> str:
    try:
        found = json.loads(attributes.get("versions", "{}"))
        return ", ".join(f"{name} {version}" for name, version in found.items()) or f"cellsim {__version__}"
    except (ValueError, AttributeError):
        return "versions unknown"


def _sources(name: str, status: str, source: Any, text: str) -> list[str]:
    lines = [f"transport set {name} ({status})", *(f"  {key:10}  {each}" for key, each in source.items())]
    found = dois(text)
    return [*lines, *(["works to cite for it", *(f"  {doi}" for doi in found)] if found else [])]
