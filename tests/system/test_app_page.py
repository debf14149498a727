"""The page as a file: self-contained, accessible by construction, and alive in a real browser."""

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
    assert path.stat().st_size < 100_000


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
    assert re.search(r'id="o-V"[^>]*>50 mV<', document) and re.search(r'id="o-t_plus"[^>]*>−1.2<', document)
    for plot in ("current", "salt", "velocity", "fraction", "share"):
        svg = re.search(rf'<svg id="plot-{plot}" role="img"[^>]*>(.*?)</svg>', document, re.DOTALL)[1]
        assert "<title>" in svg and "<desc>" in svg and "NaN" not in svg and svg.count("<text") > 5
    assert 'aria-valuetext="50 mV"' in document


@needs_browser
def test_nonsense_in_the_address_does_no_harm():
    document, log = chromium("V=abc&thickness=1e99&t_plus=&r=<b>x</b>&frame=%3Cscript%3E&at=-7&axis=7")
    assert "CONSOLE" not in log and "<b>x" not in document.split("<script>")[0]
    assert "current starts at" in document or "used up after" in document
