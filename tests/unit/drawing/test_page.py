"""Pages of results: what a screen reader and a keyboard need of them."""

import re

import pytest

from cellsim.drawing import figstyle, page


def test_a_report_can_be_read_without_eyes_and_scrolled_without_a_mouse(tmp_path):
    (tmp_path / "current.png").write_bytes(b"")
    (tmp_path / "other_figure.png").write_bytes(b"")
    table = page.table(["a", "b"], [["1", "2"]], numeric=[1])
    drawn = [tmp_path / "current.png", tmp_path / "other_figure.png"]
    text = page.report("A run", table, drawn=drawn, sources=[("case.toml", "x = 1")])
    assert 'lang="en"' in text and text.count("<main>") == 1 and text.count("<h1>") == 1
    assert '<pre tabindex="0">x = 1</pre>' in text
    assert '<th scope="col">a</th><th scope="col" class="n">b</th>' in table
    assert 'alt="The current density against time' in text and 'alt="Figure: other figure"' in text


def test_a_card_has_a_line_for_every_number():
    rows = [("a", "1"), ("longer", "<2>")]
    assert page.card("Thing", rows) == "Thing\n  a       1\n  longer  <2>"
    assert page.html_card("Thing", rows).count("<tr>") == 2 and "&lt;2&gt;" in page.html_card("Thing", rows)


def test_a_narrow_figure_is_not_shown_larger_than_its_width_allows(tmp_path):
    """Their widths on paper, 3.4 and 7.0 inch, are in the files."""
    for name, inches in (("narrow", 3.4), ("wide", 7.0)):
        with figstyle.drawing(tmp_path / f"{name}.png", width=inches, height=1.0):
            pass
    shown = page.figures([tmp_path / "narrow.png", tmp_path / "wide.png"])
    letters = [float(text) for text in re.findall(r"max-width: min\(100%, ([\d.]+)rem\)", shown)]
    assert letters == pytest.approx([3.4 * page.LETTERS_PER_INCH, 7.0 * page.LETTERS_PER_INCH], rel=0.01)
