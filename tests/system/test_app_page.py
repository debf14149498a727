"""The page as a file: self-contained, accessible by construction, and alive in a real browser."""

import json
import re

import pytest
from app_browser import BROWSER, chromium, selftest
from click.testing import CliRunner

from cellsim.app import SCRIPTS, assemble, source
from cellsim.cli import main

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


def test_the_command_writes_the_page(tmp_path):
    path = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["app", "-o", str(path)])
    assert done.exit_code == 0 and path.read_text(encoding="utf-8") == assemble()
    assert path.stat().st_size < 150_000


@pytest.mark.parametrize(("name", "told"), [("page.txt", "is an .html file"), ("none/page.html", "cannot be written")])
def test_a_bad_name_is_one_sentence_and_exit_2(tmp_path, name, told):
    done = CliRunner().invoke(main, ["app", "-o", str(tmp_path / name)])
    assert done.exit_code == 2 and told in done.output and done.output.count("\n") == 1


def test_nothing_comes_from_outside():
    page = assemble()
    outside = re.findall(r"https?:[^\s\"'`)]*", page.replace("http://www.w3.org/2000/svg", ""))
    assert outside == []
    assert not re.search(r"\b(src|href)\s*=|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", page)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert "{{" not in page and page.count("<script>") == 1
    assert not re.search(r"innerHTML|document\.write|\beval\(", page)  # text from the address is never markup


def test_every_control_has_a_name():
    page = source("page.html")
    controls = re.findall(r'<(?:input|select)[^>]*\bid="([^"]+)"', page)
    assert set(controls) == {"preset", "motion", "time"}
    assert all(f'for="{name}"' in page for name in controls)
    assert 'lang="en"' in page and page.count("<h1") == 1 and 'aria-live="polite"' in page


def test_source_files_are_short():
    assert all(source(name).count("\n") < 450 for name in (*SCRIPTS, "page.html", "style.css"))


@needs_browser
def test_in_a_browser_nothing_is_complained_of_or_asked_for():
    report = selftest("selftest=64")
    assert report["errors"] == [] and report["console"] == [] and report["requests"] == []
    assert len(report["corners"]) == 8 and all(a["status"] in ("steady", "depleted") for a in report["corners"])
    assert report["width"] == 1400 and report["overflow"] <= 0


@needs_browser
def test_it_fits_a_telephone():
    report = selftest("selftest=256", width=360)
    assert report["overflow"] <= 0


@needs_browser
def test_a_setting_in_the_address_is_shown():
    document, log = chromium(
        "V=0.05&thickness=1e-4&t_plus=-1.2&r=0.05&kappa=0.02&motion=off&frame=lab&axis=linear&at=0.5"
    )
    assert "CONSOLE" not in log
    assert "A negative transference number" in document and "Solvent held still" in document
    assert re.search(r'id="n-V"[^>]*value="50 mV"', document) and re.search(r'id="n-t_plus"[^>]*value="−1.2"', document)
    for plot in ("cell", "current", "salt", "velocity", "fraction", "share"):
        svg = re.search(rf'<svg id="plot-{plot}" role="img"[^>]*>(.*?)</svg>', document, re.DOTALL)[1]
        assert "<title>" in svg and "<desc>" in svg and "NaN" not in svg and svg.count("<text") >= 5
    assert 'aria-valuetext="50 mV"' in document


@needs_browser
def test_nonsense_in_the_address_does_no_harm():
    document, log = chromium("V=abc&thickness=1e99&t_plus=&r=<b>x</b>&frame=%3Cscript%3E&at=-7&axis=7")
    assert "CONSOLE" not in log and "<b>x" not in document.split("<script>")[0]
    assert "current starts at" in document or "used up after" in document


@needs_browser
@pytest.mark.parametrize(
    ("width", "height"), [(1400, 900), pytest.param(1920, 1080, marks=pytest.mark.slow), (700, 1043)]
)  # less 143 of the window
def test_cell_plots_and_controls_are_on_one_screen(width, height):
    report = selftest("selftest=512", width=width, height=height)
    assert report["errors"] == [] and report["overflow"] <= 0
    assert set(report["ends"]) == {"R_int", "plot-cell", "plot-current", "plot-salt", "play"}
    assert max(report["ends"].values()) <= report["height"], report["ends"]


def used(script, fragment=""):
    """What the page logs as an answer when a user does what `script` does."""
    document, log = chromium(
        fragment, script=f"console.log('ANSWER' + JSON.stringify((() => {{ {script} }})()) + 'END')"
    )
    assert "Uncaught" not in log, log[-2000:]
    return json.loads(re.search(r"ANSWER(.*?)END", log)[1].replace('\\"', '"')), document


TYPE = """const type = (n, t) => {
  const e = document.getElementById('n-' + n); e.value = t; e.dispatchEvent(new Event('change')); };"""


@needs_browser
def test_numbers_are_typed_with_units_and_refused_in_a_sentence():
    told, _ = used(
        TYPE + "type('thickness', '0.25 mm'); type('kappa', '0.5 S/m'); type('D', '1e-11 m2/s'); const said = [];"
        "for (const [n, t] of [['V', '7 V'], ['V', 'many'], ['V', '3 mm']]) { type(n, t); "
        "said.push(document.getElementById('entry').textContent); } Page.update(); return [Page.state.setting, said]"
    )
    setting, said = told
    assert setting["thickness"] == pytest.approx(2.5e-4) and setting["kappa"] == 0.5 and setting["D"] == 1e-11
    assert said[0] == "Cell voltage: 7 V lies outside 10 mV to 500 mV." and setting["V"] == 0.3
    assert all("is not a number with a unit; write one such as 300 mV" in text for text in said[1:])


@needs_browser
def test_a_kept_curve_stays_while_the_cell_changes_and_reset_drops_it():
    click = "const click = (id) => { document.getElementById(id).click(); Page.update(); };"
    curve = "const kept = () => document.getElementById('legend-current').textContent.includes('kept');"
    told, _ = used(
        TYPE
        + click
        + curve
        + "const out = [kept()]; click('keep'); type('V', '100 mV'); Page.update(); Page.rest(); out.push(kept());"
        "out.push(document.getElementById('inputs').textContent); click('reset');"
        "out.push(kept(), Page.state.setting.V);"
        "return out"
    )
    assert told[:2] == [False, True] and told[3:] == [False, 0.3]
    assert told[2].startswith("V = 100 mV, L = 3 mm") and "Kept curve: V = 300 mV" in told[2]


@needs_browser
@pytest.mark.slow  # a browser of its own each, a second
def test_numbers_leave_as_a_table():
    text, _ = used(
        "const r = Solver.solve(Page.state.setting);"
        "return Files.csv(r, Solver.at(r, 3600), null).split('\\n').slice(0, 5)"
    )
    assert text[0].startswith("# Li | electrolyte | Li") and "V = 300 mV" in text[0]
    assert text[2] == "time (s),i (A/m^2)" and float(text[3].split(",")[1]) == pytest.approx(
        0.3 * 0.145 / 3e-3, rel=1e-3
    )


@needs_browser
@pytest.mark.slow  # a browser of its own each, a second
def test_dots_keep_what_lies_between_them():
    """Between two anion dots there is the same share of the salt at every time, though they have moved."""
    told, _ = used(
        "const r = Solver.solve(Page.state.setting);"
        "const share = (t) => { const p = Solver.at(r, t), a = Cell.tracers(p, r.setting);"
        "const L = p.x[p.x.length - 1]; let sum = 0, total = 0; for (let k = 1; k < p.x.length; k++) {"
        "const d = 0.5 * (p.c[k] + p.c[k - 1]) * (p.x[k] - p.x[k - 1]); total += d;"
        "if (p.x[k] <= a.anions[7] * L) sum += d; } return [sum / total, a.anions[7], a.solvent[7]]; };"
        "return [share(0), share(r.t_end)]"
    )
    (first, a0, s0), (last, a1, s1) = told
    assert first == pytest.approx(7.5 / 16, abs=0.02) and last == pytest.approx(7.5 / 16, abs=0.02)  # one cell: 0.01
    assert a0 == pytest.approx(s0, abs=0.01) and a1 < a0 - 0.05 and s1 > s0 + 0.01
