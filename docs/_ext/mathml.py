"""Formulas as MathML: TeX by docutils' own converter, drawn by the browser, no script and no font fetched."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


ACCENT = re.compile(r"\\(bar|dot|hat|overline|tilde)\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\\[a-zA-Z]+|\w)")
FUNCTION = r"\\(ln|exp|cos|tanh)(?![a-z])"


def prepared(tex: str) -> str:
    """TeX that the converter sets well: thin spaces around ln, accents in braces, so that they can take an index."""
    tex = ACCENT.sub(r"{\\\1 \2{}}", tex)  # {}: more than the accent in the braces, or they are dropped
    tex = re.sub(r"(?<=[\w})\]])(\s*)" + FUNCTION, r"\1\\,\\\2", tex)
    return re.sub(FUNCTION + r"\s*(?=[\w\\{])", r"\\\1\\,", tex)


def _markup(node: nodes.Element, block: bool) -> str:
    """The formula as MathML; a formula that cannot be converted is a warning, which fails the build."""
    try:
        return str(tex2mathml(prepared(node.astext()), as_block=block))
    except (MathError, SyntaxError) as error:
        logger.warning("formula not understood: %s (%s)", node.astext(), error, location=node)
        return "<code>formula</code>"


def inline(translator: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    translator.body.append(_markup(node, block=False))
    raise nodes.SkipNode


def display(translator: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own, with its number."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(_markup(node, block=True))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; conf.py chooses it by html_math_renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
