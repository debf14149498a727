"""Renders the notebooks for the site: python docs/lectures.py [NAME ...] (repository root).

Each notebook runs once with its sliders where they stand at first. Its texts and figures go to build/lectures, which is
not committed; the site's build calls this, and what has not changed since is kept. With CELLSIM_GALLERY=keep a build
shows only what is there. marimo decodes with msgspec, which has open reports of crashes (msgspec issue 717), so each
notebook runs in a process of its own.
"""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

DOCS = Path(__file__).resolve().parent
NOTEBOOKS = sorted(path.stem for path in (DOCS / "notebooks").glob("*.py"))
FOLDER = DOCS.parent / "build" / "lectures"


@dataclass
class Group:
    """Parts that the notebook puts together: a stack, or answers behind a question."""

    parts: list[Any]
    titles: tuple[str, ...] = ()


class Writer:
    """What the page of one notebook shows below its title."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.figures = 0

    def page(self, outputs: Any) -> str:
        """The whole page."""
        parts = [part for output in outputs if output is not None for part in self.parts(output)]
        title = next(part for part in parts if part.startswith("# "))
        body = "\n\n".join([title.partition("\n")[2].strip(), *parts[parts.index(title) + 1 :]])
        body = re.sub(r"(?<=\n)(- \*|- slider)([^\n]*)\n\n(?=- \*|- slider)", r"\1\2\n", body)
        return re.sub(r"\n{3,}", "\n\n", body) + "\n"

    def parts(self, output: Any) -> Iterator[str]:
        """Markdown of what one cell shows."""
        from matplotlib.figure import Figure

        if isinstance(output, Group):
            for k, part in enumerate(output.parts):
                inner = "\n\n".join(self.parts(part))
                if output.titles:
                    yield f"**{output.titles[k]}**\n\n<details><summary>Answer</summary>\n\n{inner}\n\n</details>"
                elif inner:
                    yield inner
        elif isinstance(output, Figure):
            yield self.picture(output)
        elif isinstance(output, bytes):
            yield self.stored(output, "The measured cell beside its prediction, as cellsim compare draws it")
        elif hasattr(output, "_markdown_text"):
            yield tidy(output._markdown_text)
        elif hasattr(output, "value"):
            label = re.sub(r"<[^>]+>", "", unescape(str(getattr(output, "_label", "") or output._args.label)))
            value = output.value
            if isinstance(value, bool):
                value = "on" if value else "off"
            if label and value is not None:
                yield (
                    f"- slider *{tidy(label)}*: {value}"
                    if isinstance(value, int | float)
                    else f"- *{tidy(label)}*: {value}"
                )
        elif getattr(output, "text", ""):
            yield tidy(re.sub(r"<[^>]+>", "", unescape(output.text)))

    def picture(self, figure: Any) -> str:
        """A figure, described by its axes."""
        with BytesIO() as buffer:
            figure.savefig(buffer, dpi=150, metadata={"Software": None}, pil_kwargs={"optimize": True})
            data = buffer.getvalue()
        panels = [
            " against ".join(filter(None, (a.get_ylabel(), a.get_xlabel()))) for a in figure.axes if a.get_ylabel()
        ]
        return self.stored(data, plain("Figure: " + "; ".join(panels)))

    def stored(self, data: bytes, alt: str) -> str:
        """A picture in its file."""
        self.figures += 1
        path = FOLDER / f"{self.name}-{self.figures}.png"
        # 64 colours are more than a plot has, and make a third of the bytes; a photograph would need more.
        with Image.open(BytesIO(data)) as picture:
            picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
        return f"![{alt}](../../build/lectures/{path.name})"


def plain(text: str) -> str:
    """A label of an axis in plain words, for those who do not see the figure."""
    text = re.sub(r"\\mathrm\{([^}]*)\}|\\(?:rm|it|bf)\b", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[${}\\\[\]]", "", text)).strip()


def tidy(text: str) -> str:
    """Markdown without the indentation of the code around it."""
    lines = text.strip().splitlines()
    rest = textwrap.dedent("\n".join(lines[1:]))
    return (lines[0].strip() + ("\n" + rest if rest else "")).strip() if lines else ""


def render(name: str) -> None:
    """Run one notebook and write its page."""
    import marimo as mo

    mo.vstack = lambda items, **_: Group(list(items))  # type: ignore[assignment]
    mo.hstack = mo.vstack
    mo.center = lambda item: item  # type: ignore[assignment]
    mo.callout = lambda item, **_: item  # type: ignore[assignment]
    mo.image = lambda data, **_: data  # type: ignore[assignment]
    mo.accordion = lambda items, **_: Group(list(items.values()), tuple(items))  # type: ignore[assignment]
    path = DOCS / "notebooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outputs, _ = module.app.run()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(f"{name}-*.png"):
        old.unlink()
    (FOLDER / f"{name}.md").write_text(Writer(name).page(outputs), encoding="utf-8")


def _stamp(name: str) -> str:
    """Of everything a page rests on: the packages and the notebook."""
    digest = hashlib.sha256((DOCS / "notebooks" / f"{name}.py").read_bytes() + Path(__file__).read_bytes())
    for folder in ("cellsim", "mdcoeffs"):
        for path in sorted((DOCS.parent / folder).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def text(name: str) -> str:
    """The page of a notebook below its title, rendered if need be; nothing where a build keeps what is there."""
    page, stamp = FOLDER / f"{name}.md", FOLDER / f"{name}.stamp"
    keep = os.environ.get("CELLSIM_GALLERY") == "keep"
    if not keep and not (page.exists() and stamp.exists() and stamp.read_text() == _stamp(name)):
        subprocess.run([sys.executable, __file__, name], check=True)
        stamp.write_text(_stamp(name))
    return page.read_text(encoding="utf-8") if page.exists() else ""


def main(names: list[str]) -> int:
    """Render the notebooks named, each in its own process."""
    if len(names) == 1:
        render(names[0])
        return 0
    for name in names or NOTEBOOKS:
        subprocess.run([sys.executable, __file__, name], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
