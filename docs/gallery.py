"""Every figure of the gallery, by the command that stands under it: python docs/gallery.py (repository root).

They are listed in gallery.toml and go to build/gallery, which is not committed. The site's build calls this; what has
not changed since is kept.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "gallery"
OUT = "build/gallery/work"


@dataclass(frozen=True)
class Item:
    """Commands and what to show of what they write.

    Parameters
    ----------
    name : str
        Of the figures' files.
    title : str
        Heading.
    commands : tuple of str
        Typed in the repository root.
    figures : tuple of (str, str)
        File, relative to the root, and caption.
    """

    name: str
    title: str
    commands: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]


def read() -> tuple[list[Item], list[dict[str, str]]]:
    """What docs/gallery.toml lists: figures drawn here, and shipped ones."""
    table = tomllib.loads((ROOT / "docs" / "gallery.toml").read_text(encoding="utf-8"))
    items = [
        Item(
            one["name"],
            one["title"],
            tuple(command.replace("OUT", OUT) for command in one["commands"]),
            tuple((figure["file"].replace("OUT", OUT), figure["caption"]) for figure in one["figures"]),
        )
        for one in table["item"]
    ]
    return items, table["shipped"]


def _stamp(item: Item) -> str:
    """Of everything a figure rests on: the packages, the cases, this file."""
    digest = hashlib.sha256(repr(item).encode())
    for folder, suffixes in (
        ("cellsim", (".py", ".toml")),
        ("mdcoeffs", (".py",)),
        ("cases", (".toml", ".csv", ".py")),
    ):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "long" not in path.parts:
                digest.update(path.read_bytes())
    for path in sorted((ROOT / "docs" / "gallery_cases").iterdir()):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def call(command: str) -> None:
    """One command as it stands under the figure, with the programs of this environment.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    words = shlex.split(command)
    program = Path(sys.executable).parent / words[0]
    first = [sys.executable] if words[0] == "python" else [str(program)]
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([*first, *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"gallery: {command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")


def draw(names: Sequence[str] = (), *, say: bool = False) -> list[Item]:
    """Make the figures that are not there or no longer right.

    Parameters
    ----------
    names : sequence of str
        Items to make; all if empty.
    say : bool
        Print time and name of each.

    Returns
    -------
    list of Item
        What can be shown.
    """
    items, _ = read()
    keep = os.environ.get("CELLSIM_GALLERY") == "keep"  # while writing pages: only what is there, whatever changed
    shown = []
    for item in items:
        if names and item.name not in names:
            continue
        stamp, begun = FOLDER / f"{item.name}.stamp", time.perf_counter()
        wanted = [FOLDER / f"{item.name}_{Path(file).name}" for file, _ in item.figures]
        there = all(path.exists() for path in wanted) and stamp.exists()
        if there or not keep:
            shown.append(item)
        if keep or (there and stamp.read_text() == _stamp(item)):
            continue
        (ROOT / OUT).mkdir(parents=True, exist_ok=True)
        for command in item.commands:
            folder = command.split(" -o ")[-1].strip() if " -o " in command else ""
            if folder.startswith(OUT):
                shutil.rmtree(ROOT / folder, ignore_errors=True)
            call(command)
        for (file, _), path in zip(item.figures, wanted, strict=True):
            shutil.copyfile(ROOT / file, path)
        stamp.write_text(_stamp(item))
        if say:
            print(f"{time.perf_counter() - begun:6.1f} s  {item.name}")
    return shown


def page_text(items: Sequence[Item]) -> str:
    """The gallery as MyST text."""
    parts = []
    for item in items:
        commands = "\n".join(command.replace(OUT, "runs") for command in item.commands)
        parts.append(f"## {item.title}\n\n```sh\n{commands}\n```\n")
        parts += [_figure(f"../build/gallery/{item.name}_{Path(file).name}", caption) for file, caption in item.figures]
    parts.append("## Figures of the front page and of the validation\n")
    for one in read()[1]:
        parts.append(f"```sh\n{one['command']}\n```\n")
        parts.append(_figure(f"../{one['file']}", one["caption"]))
    return "\n".join(parts)


def _figure(path: str, caption: str) -> str:
    return f":::{{figure}} {path}\n:alt: {caption}\n:figclass: gallery\n\n{caption}\n:::\n"


if __name__ == "__main__":
    draw(sys.argv[1:], say=True)
