"""Runs drawn over one another: what the legends say, which curves stand in which panel, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellsim import Solution
from cellsim.base import InputError
from cellsim.files.schema import assignment
from cellsim.run.case import Case, load_case
from cellsim.run.figures import Look
from cellsim.run.folder import predict
from cellsim.run.overlay import differences, draw_overlay, overlay

CASE = """
title = "one"
[cell]
thickness = "50 um"
temperature = "25 degC"
[electrolyte]
transport = "dilute_ideal"
salt = { c = "0.1 mol/L" }
[[step]]
hold = "current"
value = "5 A/m^2"
duration = "20 s"
[[step]]
hold = "rest"
duration = "10 s"
"""


def made(tmp_path: Path, *settings: str, text: str = CASE) -> tuple[Case, Solution]:
    path = tmp_path / "case.toml"
    path.write_text(text)
    case = load_case(path, changes=dict(assignment(one) for one in settings))
    return case, predict(case, solver="compiled")


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ([["thickness=40 um"], ["thickness=60 um"]], ("thickness 40 um", "thickness 60 um")),
        ([["step[0].value=5 A/m^2"], ["step[0].value=4 A/m^2"]], ("current 5 A/m^2", "current 4 A/m^2")),
        ([["step[1].duration=10 s"], ["step[1].duration=9 s"]], ("step[1].duration 10 s", "step[1].duration 9 s")),
        ([[], ["set.t_plus=0.4"]], ("dilute_ideal, no t_plus", "dilute_ideal, changed, t_plus 0.4")),
        ([["c=0.1 mol/L"], ["m=0.1 mol/kg"]], ("c 0.1 mol/L, no m", "no c, m 0.1 mol/kg")),
        ([["cell.area=1 cm^2"], []], ("area 1 cm^2", "no area")),
        ([[], []], ("a", "b")),
        ([["title=other"], ["output.interval=1 s"]], ("a", "b")),
    ],
)
def test_legends_say_in_what_the_cases_differ(
    tmp_path: Path, settings: list[list[str]], labels: tuple[str, ...]
) -> None:
    runs = [made(tmp_path, *one) for one in settings]
    assert differences(runs, ["a", "b"]) == labels


def test_labels_that_would_be_alike_have_the_folder_or_a_number(tmp_path: Path) -> None:
    thin, thick = made(tmp_path, "thickness=40 um"), made(tmp_path, "thickness=60 um")
    three = differences([thin, thin, thick], ["a", "b", "c"])
    assert three == ("thickness 40 um (a)", "thickness 40 um (b)", "thickness 60 um")
    assert differences([thin, thin], ["a", "a"]) == ("a, 1", "a, 2")


def curves(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """By file, of every panel: its title, its curves by label, its axis labels."""
    from matplotlib.figure import Figure

    found: dict[str, list[dict[str, Any]]] = {}
    original = Figure.savefig

    def savefig(self: Figure, path: Path, **kwargs: Any) -> None:
        original(self, path, **kwargs)
        found[Path(path).name.split(".")[1]] = [
            {
                "title": axes.get_title(loc="right"),
                "lines": {line.get_label(): line.get_xydata() for line in axes.get_lines()},
                "labels": (axes.get_xlabel(), axes.get_ylabel()),
            }
            for axes in self.axes
        ]

    monkeypatch.setattr(Figure, "savefig", savefig)
    return found


def test_curves_are_those_of_the_runs_and_stop_where_a_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = made(tmp_path)
    short = made(tmp_path, "thickness=40 um", "step[1].duration=5 s")
    found = curves(monkeypatch)
    ready = overlay(
        [long, short], ["a", "b"], times=[15.0, 28.0], labels=["long", "short ^2"], look=Look(paper_units=True)
    )
    assert [path.name for path in draw_overlay(ready, tmp_path)] == ["current.png", "voltage.png", "profiles.png"]
    (current,), (voltage,) = found["current"], found["voltage"]
    assert "mA cm" in current["labels"][1] and "mV" in voltage["labels"][1]
    for label, (_, solution) in (("long", long), ("short $^{2}$", short)):
        np.testing.assert_allclose(current["lines"][label].T, [solution["time"], 0.1 * solution["i"]])
        np.testing.assert_allclose(voltage["lines"][label].T, [solution["time"], 1e3 * solution["V"]])
    titles = [panel["title"] for panel in found["profiles"]]
    assert titles == ["$t$ = 15 s", "$t$ = 28 s", "at the end of each run"]
    first, late, end = (panel["lines"] for panel in found["profiles"])
    assert set(first) == set(end) == {"long", "short $^{2}$"} and set(late) == {"long"}
    np.testing.assert_allclose(
        end["short $^{2}$"].T, [1e6 * short[1]["position_face"][-1], 1e-3 * short[1]["c_face"][-1]]
    )
    assert found["profiles"][-1]["labels"][0].endswith("(µm)")


def test_positions_count_from_the_centre_of_each_cell_or_from_one_electrode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = curves(monkeypatch)
    thin, thick = (made(tmp_path, f"thickness={L} um", "cell.position_origin=centre") for L in (40, 60))
    draw_overlay(overlay([thin, thick], ["a", "b"]), tmp_path)
    lines = found["profiles"][0]["lines"]
    assert [lines[f"thickness {L} um"][[0, -1], 0].tolist() for L in (40, 60)] == [[-20, 20], [-30, 30]]
    draw_overlay(overlay([thin, made(tmp_path)], ["a", "b"]), tmp_path)
    assert all(line[0, 0] == 0 for line in found["profiles"][0]["lines"].values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"times": [40.0]}, "after the end of every run, at 30 s the last"),
        ({"times": [-1.0]}, "before the start"),
        ({"labels": ["a"]}, "1 labels for 2 runs"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    one = made(tmp_path)
    with pytest.raises(InputError, match=words):
        overlay([one, one], ["a", "b"], **options)
    with pytest.raises(InputError, match="25 runs cannot be distinguished"):
        overlay([one] * 25, ["a"] * 25)
