"""The one-page report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cellsim import Cell, Options, Protocol, Solution, TransportSet, hold_voltage, simulate
from cellsim.run.case import Case
from cellsim.run.folder import summary_rows, write_report

SET = TransportSet.constant(kappa=0.1, D=1e-11, t_plus=0.2, status="assumed", note="assumed <for> the test")
CASE = Case("Title & <more>", Cell(1e-3, 298.15), SET, Protocol((hold_voltage(0.01, 3e4),)), 1000.0, text="a = '<b>'")


@pytest.fixture(scope="module")
def solution() -> Solution:
    return simulate(CASE.cell, SET, CASE.protocol, c0=CASE.c0, solver="sundials", options=Options(cells=40, rtol=1e-3))


@pytest.fixture(scope="module")
def page(solution: Solution, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    path = write_report(solution, folder, CASE)
    assert [p.name for p in folder.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_the_report_is_one_file_that_fetches_nothing(page: str) -> None:
    assert page.count("data:image/png;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_text_is_escaped_and_the_status_of_the_set_shown(page: str) -> None:
    assert "Title &amp; &lt;more&gt;" in page
    assert "assumed &lt;for&gt; the test" in page
    assert "a = &#x27;&lt;b&gt;&#x27;" in page


def test_a_partial_run_says_so(solution: Solution, tmp_path: Path) -> None:
    partial = replace(solution, status="interrupted", message="stopped by hand")
    page = write_report(partial, tmp_path, CASE).read_text(encoding="utf-8")
    assert "The run ended early (interrupted): stopped by hand" in page


def test_rows_hold_the_run(solution: Solution) -> None:
    rows = {what: value for what, value, _ in summary_rows(solution)}
    assert rows["current density at the start, i_0"] == f"{solution['i'][0]:.4g}"
    assert rows["status"] == "done"
