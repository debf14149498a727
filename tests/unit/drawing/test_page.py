"""Pages of results: what a screen reader and a keyboard need of them."""

from cellsim.drawing import page


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
