"""One look for all pages: a single HTML file that opens offline, figures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.warn {{ border-left: 4px solid #D55E00; padding: .3rem .8rem; background: #fff5ee; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }}
.figures img {{ max-width: 100%; width: {width}rem; }}
pre {{ background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }}
</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""


def page(title: str, *parts: str, width: int = 52) -> str:
    """A whole page.

    Parameters
    ----------
    title : str
        Plain text.
    *parts : str
        HTML, in order.
    width : int
        Of a figure, in letters.

    Returns
    -------
    str
    """
    return _PAGE.format(title=html.escape(title), width=width, body="\n".join(p for p in parts if p))


def report(
    title: str,
    *parts: str,
    warnings: Sequence[str] = (),
    drawn: Sequence[Path] = (),
    sources: Sequence[tuple[str, str]] = (),
    width: int = 52,
) -> str:
    """The page of a result: what must not be overlooked, what was found, the figures, the files it was made from.

    Parameters
    ----------
    title : str
        Plain text.
    *parts : str
        What was found, HTML.
    warnings : sequence of str
        Plain texts.
    drawn : sequence of Path
        Pictures.
    sources : sequence of tuple
        Heading and text of each file.
    width : int
        Of a figure, in letters.

    Returns
    -------
    str
    """
    shown = (heading("Figures"), figures(drawn)) if drawn else ()
    files = (heading(name) + verbatim(text) for name, text in sources)
    return page(title, *map(warning, warnings), *parts, *shown, *files, width=width)


def card(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """An object in a few lines of plain text: its name, then one line for each of its numbers.

    Parameters
    ----------
    title : str
        First line.
    rows : sequence of tuple
        Name and value of each further line.

    Returns
    -------
    str
    """
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def html_card(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """The same as a table, as notebooks show it."""
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{html.escape(title)}</caption>'
    return f"<table>{caption}<tbody>{cells}</tbody></table>"


class Carded:
    """An object that is printed as a :func:`card`, and shown as a table in notebooks.

    A dataclass that inherits this is made with ``repr=False``.
    """

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        """Its title, and name and value of each row."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """In a few lines of text."""
        return card(*self._card())

    def _repr_html_(self) -> str:
        """As notebooks show it."""
        return html_card(*self._card())


def warning(text: str) -> str:
    """A paragraph that must not be overlooked."""
    return f'<p class="warn">{html.escape(text.strip())}</p>'


def paragraph(text: str) -> str:
    """Plain text."""
    return f"<p>{html.escape(text)}</p>"


def heading(text: str) -> str:
    """Of a section."""
    return f"<h2>{html.escape(text)}</h2>"


def verbatim(text: str) -> str:
    """A file as it is; its box scrolls, so the keyboard must reach it."""
    return f'<pre tabindex="0">{html.escape(text)}</pre>'


def bullets(items: Sequence[str]) -> str:
    """A list of plain texts; nothing where there is none."""
    return "<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in items) + "</ul>" if items else ""


def table(head: Sequence[str] | None, rows: Sequence[Sequence[str]], *, numeric: Sequence[int] = ()) -> str:
    """A table of plain texts, with a head or without; the columns `numeric` are set flush right."""

    def cells(values: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{' class=' + chr(34) + 'n' + chr(34) if k in numeric else ''}>{html.escape(v)}</{tag}>"
            for k, v in enumerate(values)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    top = f"<tr>{cells(head, 'th')}</tr>" if head else ""
    return f"<table>{top}{body}</table>"


DESCRIBED = {
    "current": "The current density against time, and the voltage with its parts where the current is imposed",
    "voltage": "The held voltage against time, and its ohmic, concentration and interfacial parts",
    "profiles": "The salt concentration against position at several times",
    "velocities": "The velocities of anions and solvent against position at several times",
    "velocity_at_positions": "The velocities of anions and solvent against time at fixed positions",
    "map": "The salt concentration as a map over time and position",
    "solvents": "The composition of the solvent against position at several times",
    "compare_current": "Measured and predicted current or voltage against time, and their ratio",
    "compare_profiles": "Measured and predicted salt concentration against position at several times",
    "compare_residuals": "Measured less predicted values against time",
    "fit_data": "Measured data with the fit, and the residuals",
    "fit_properties": "The fitted properties of the electrolyte against concentration, with 95 % bands",
}
"""What the figures show, for readers who do not see them, by the name of the file."""


def described(stem: str) -> str:
    """What a figure shows: a sentence where there is one, else the name of its file in words."""
    return DESCRIBED.get(stem, "Figure: " + stem.replace("_", " "))


LETTERS_PER_INCH = 7.1
"""Largest width of a figure on a page, over its width on paper: text of 8 pt is then nearly as large as the page's."""


def figures(paths: Sequence[Path]) -> str:
    """PNG pictures inside the page, none of them larger than its own width makes legible."""
    return f'<div class="figures">{"".join(_figure(path) for path in paths)}</div>'


def _figure(path: Path) -> str:
    png = path.read_bytes()
    width = LETTERS_PER_INCH * _inches(png)
    size = f' style="max-width: min(100%, {width:.3g}rem)"' if width else ""
    return (
        f'<img alt="{html.escape(described(path.stem))}"{size} '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
    )


def _inches(png: bytes) -> float:
    """Width on paper: the pixels of the header over those per metre (chunk pHYs); 0 where the file states none."""
    at = png.find(b"pHYs", 0, 200)
    return int.from_bytes(png[16:20], "big") / int.from_bytes(png[at + 4 : at + 8], "big") / 0.0254 if at > 0 else 0.0
