"""What Solution, TransportSet, OnsagerMatrix and Case say of themselves, and the figures they draw."""

from pathlib import Path

import numpy as np
import pytest

import cellsim

CASES = Path(__file__).parents[3] / "cases"


@pytest.fixture(scope="module")
def objects():
    case = cellsim.load_case(CASES / "steinruck2020" / "rs.toml")
    solution = cellsim.simulate(case.cell, case.transport, case.protocol, c0=case.c0)
    matrix = cellsim.OnsagerMatrix(
        [[1e-9, 2e-10], [2e-10, 3e-9]], (1, -1), (1, 1), 1000.0, 300.0, "solvent", np.diag([1e-22, 1e-23, 1e-21])
    )
    return {"case": case, "set": case.transport, "solution": solution, "matrix": matrix}


@pytest.mark.parametrize(
    ("name", "said", "panels"),
    [
        ("case", "hold 0.3 V, 1000 min", 1),
        ("set", "0.2 to 0.2 at the ends of the range", 4),
        ("solution", "done: the protocol ran to its end", 3),
        ("matrix", "1e-09 ± 1e-11 mol^2/(J m s)", 1),
    ],
)
def test_an_object_is_read_and_drawn(objects, name, said, panels):
    thing = objects[name]
    assert said in repr(thing) and max(map(len, repr(thing).splitlines())) < 400 and "\n  " in repr(thing)
    page = thing._repr_html_()
    assert said in page and page.startswith("<table>") and page.count("<tr>") == repr(thing).count("\n")
    assert len(thing.plot().axes) == panels


def test_profiles_shown_are_spread_in_the_change_of_concentration(objects):
    lines = objects["solution"].plot().axes[2].get_lines()
    steps = np.abs(np.diff([line.get_ydata() for line in lines], axis=0)).max(axis=1)
    assert len(lines) == 5 and steps.min() > 0.8 * steps.max()  # measured: 0.92; evenly in time 0.04
