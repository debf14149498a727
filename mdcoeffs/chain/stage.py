"""One stage of a chain: a folder of files, and what they were made from; made again only where that changed.

``stage.json`` in the folder holds the key, a hash of the inputs' contents, the options and the code that makes it, and
the hash of every file that was made. A folder is current if its key is that of the stage and its files are as they were
left.
"""

from __future__ import annotations

import ast
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsim.base import InputError
from cellsim.files.folder import file_hash, values_hash
from cellsim.files.reading import read_json
from cellsim.files.writing import write_json, write_text

if TYPE_CHECKING:
    from mdcoeffs.inputs.species import SpeciesFile

RECORD = "stage.json"
PACKAGES = ("mdcoeffs", "cellsim")


@dataclass(frozen=True)
class Stage:
    """What is to be made.

    Parameters
    ----------
    folder : Path
        Where.
    inputs : mapping
        Name -> content hash of what it is made from.
    options : mapping
        Whatever else decides the result, in plain values.
    modules : tuple of str
        The modules that make it; their code and all they import of the two packages is part of the key.
    """

    folder: Path
    inputs: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 of everything that decides the result."""
        return values_hash([dict(self.inputs), dict(self.options), code_hash(self.modules)])


@dataclass(frozen=True)
class Done:
    """What came of a stage.

    Parameters
    ----------
    folder : Path
        Where it lies.
    files : mapping
        File name -> content hash.
    seconds : float
        Time it took to make [s].
    cached : bool
        Whether it was there already.
    """

    folder: Path
    files: Mapping[str, str]
    seconds: float
    cached: bool

    def inputs(self, prefix: str) -> dict[str, str]:
        """Its files as inputs of another stage."""
        return {f"{prefix}/{name}": digest for name, digest in self.files.items()}


def contents(file: SpeciesFile) -> dict[str, str]:
    """Content hashes of a SPECIES.toml and of the files it names, as inputs of a stage.

    Parameters
    ----------
    file : SpeciesFile
        The file.

    Returns
    -------
    dict
        Name -> SHA-256.
    """
    hashes = {"SPECIES.toml": file_hash(file.path)}
    for number, replica in enumerate(file.replicas):
        hashes |= {f"replica-{number}-{k}": file_hash(path) for k, path in enumerate(replica.files)}
    return hashes


def current(stage: Stage) -> Done | None:
    """The stage's folder, if it holds what the stage would make.

    Parameters
    ----------
    stage : Stage
        What is wanted.

    Returns
    -------
    Done or None
    """
    try:
        record = read_json(stage.folder / RECORD)
        files = dict(record["files"])
        if record["key"] != stage.key or any(file_hash(stage.folder / name) != files[name] for name in files):
            return None
        return Done(stage.folder, files, float(record["seconds"]), True)
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def make(stage: Stage, work: Callable[[Path], None]) -> Done:
    """The stage, from its folder or by doing the work.

    Parameters
    ----------
    stage : Stage
        What is wanted.
    work : callable
        Called with the folder to write into; a folder that an earlier call of the same key left half done is given
        again, with what it holds. It takes the place of the stage's folder when the call returns.

    Returns
    -------
    Done

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    done = current(stage)
    if done is not None:
        return done
    partial = stage.folder.with_name(f".{stage.folder.name}.partial")
    try:
        mark = partial / RECORD
        if partial.exists() and not (mark.is_file() and mark.read_bytes() == stage.key.encode()):
            shutil.rmtree(partial)
        partial.mkdir(parents=True, exist_ok=True)
        write_text(mark, stage.key)
        begun = time.monotonic()
        work(partial)
        seconds = time.monotonic() - begun
        made = [path for path in sorted(partial.rglob("*")) if path.is_file() and path != mark]
        files = {str(path.relative_to(partial)): file_hash(path) for path in made}
        record = {"key": stage.key, "seconds": seconds, "inputs": stage.inputs, "options": stage.options}
        write_json(mark, record | {"modules": stage.modules, "files": files})
        if stage.folder.exists():
            shutil.rmtree(stage.folder)
        partial.replace(stage.folder)
    except OSError as error:
        raise InputError(f"{stage.folder}: cannot be written ({error.strerror or error})") from error
    return Done(stage.folder, files, seconds, False)


def code_hash(modules: tuple[str, ...]) -> str:
    """SHA-256 of the source of modules and of all they import, in functions too, of the two packages.

    Parameters
    ----------
    modules : tuple of str
        Names such as ``"mdcoeffs.onsager"``.

    Returns
    -------
    str
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        digest, needed = _source(name)
        seen[name] = digest
        waiting += needed
    return values_hash(seen)


@cache
def _source(name: str) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's source, and the modules of the two packages it imports; a package's own file imports none."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return "", ()
    needed: list[str] = []
    if name not in PACKAGES:
        for node in ast.walk(ast.parse(Path(spec.origin).read_bytes())):
            if isinstance(node, ast.Import):
                needed += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                needed.append(node.module)
                needed += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [module for module in needed if module.split(".")[0] in PACKAGES and _is_module(module)]
    return file_hash(spec.origin), tuple(ours)


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a name inside a module
        return False
