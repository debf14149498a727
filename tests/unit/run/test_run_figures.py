"""Figures of a run and of a set: they are drawn, name what they must, and show the right numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim import Cell, Electrode, Options, Protocol, Resistance, Solution, TransportSet, hold_current, rest, simulate
from cellsim import hold_voltage as hold
from cellsim.cell.protocol import Step
from cellsim.cli import main
from cellsim.drawing import figstyle
from cellsim.electrolyte.describe import plot_set
from cellsim.instruments.measurement import ConcentrationMap, series
from cellsim.run.animation import animate
from cellsim.run.case import Case, Output
from cellsim.run.figures import (
    FIGURES,
    Look,
    View,
    draw_current,
    draw_voltage,
    make_view,
    position_axis,
    small_signal_limit,
    write_figures,
)

SET = TransportSet.constant(
    kappa=0.1, D=1e-11, t_plus=0.2, chi=1.5, V_e=1.3e-4, V_0=4e-5, c_range=(1.0, 4000.0), status="assumed",
    note="every number is assumed",
)  # fmt: skip
COARSE = Options(cells=40, rtol=1e-3)


def run(*steps: Step, cell: Cell | None = None) -> Solution:
    cell = cell or Cell(1e-3, 298.15)
    return simulate(cell, SET, Protocol(steps), c0=1000.0, solver="sundials", options=COARSE)


@pytest.fixture(scope="module")
def polarised() -> Solution:
    return run(hold(0.05, 3e4))


@pytest.fixture(scope="module")
def pulsed() -> Solution:
    return run(hold_current(1.0, 2000.0), rest(2000.0))


def case_of(solution: Solution, **fields: Any) -> Case:
    cell = Cell(1e-3, 298.15, position_origin="centre")
    return Case("A title", cell, SET, Protocol((hold(0.05, 3e4),)), 1000.0, **fields)


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects every text of every figure saved from now on."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    found: list[str] = []
    original = Figure.savefig

    def savefig(self: Figure, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        found.append("\n".join(text.get_text() for text in self.findobj(Text)))

    monkeypatch.setattr(Figure, "savefig", savefig)
    return found


def test_all_figures_are_written_with_and_without_a_case(polarised: Solution, tmp_path: Path) -> None:
    for name, case in (("without", None), ("with", case_of(polarised, output=Output(positions=(2e-4, 6e-4))))):
        folder = tmp_path / name
        folder.mkdir()
        paths = write_figures(polarised, folder, case=case)
        assert [path.name for path in paths] == list(FIGURES)
        assert {path.name for path in folder.iterdir()} == set(FIGURES)
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_every_figure_says_what_the_set_rests_on(
    polarised: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = texts(monkeypatch)
    write_figures(polarised, tmp_path, case=case_of(polarised))
    assert len(found) == len(FIGURES)
    for text in found:
        assert "A title" in text
        assert "ASSUMED, every number" in text.replace("\n", " ")


def test_velocities_name_their_frames(polarised: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = texts(monkeypatch)
    write_figures(polarised, tmp_path)
    profile, at_positions = found[3], found[4]
    assert "Interface frame" in profile
    assert "interface frame" in at_positions
    assert "lab frame" in at_positions


def test_a_voltage_panel_appears_when_the_voltage_is_not_held(
    polarised: Solution, pulsed: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = texts(monkeypatch)
    for solution in (polarised, pulsed):
        draw_current(make_view(solution), tmp_path / "current.png")
    assert "voltage $V$" not in found[0]
    assert "voltage $V$" in found[1]
    assert "concentration" in found[1]


def test_a_held_voltage_is_split_and_other_axes_are_drawn(
    polarised: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = texts(monkeypatch)
    look = Look("svg", title=False, note=False, time="log", paper_units=True)
    view = replace(make_view(polarised), look=look)
    draw_voltage(view, tmp_path / "voltage.svg")
    draw_current(replace(view, look=replace(look, time="root")), tmp_path / "current.pdf")
    assert {"ohmic", "concentration"} <= set(found[0].splitlines()) and "(mV)" in found[0]
    assert "mA cm" in found[1] and "root of time" in found[1]
    assert (tmp_path / "current.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("name", "start"), [("a.gif", b"GIF89a"), ("a.html", b"\n<link")])
def test_a_moving_picture(polarised: Solution, tmp_path: Path, name: str, start: bytes) -> None:
    path = animate(polarised, tmp_path / name, frames=3)
    assert path.read_bytes().startswith(start)
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_measured_data_are_drawn_as_points(
    polarised: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = texts(monkeypatch)
    x, c = np.linspace(1e-4, 9e-4, 9), np.full((2, 9), 1000.0)
    data = (
        ConcentrationMap(np.array([0.0, 3e4]), x, c, 0.04 * c, label="a profile").measurement(1000.0),
        series("current", np.array([100.0, 2e4, 1e9]), np.array([4.0, 2.0, 0.0]), error=0.1, label="a current"),
        series("voltage", np.array([100.0, 2e4]), np.array([0.05, 0.05]), label="a voltage"),
    )
    write_figures(polarised, tmp_path, case=case_of(polarised, measured=data))
    assert "a current" in found[0]
    assert "a voltage" in found[0]
    assert "a profile" in found[1]


def test_the_drive_that_was_not_imposed_is_overlaid() -> None:
    step = Step("current", np.array([1.0, 1.0]), 1000.0, np.array([0.0, 1000.0]),
                measured_other=(np.array([0.0, 900.0]), np.array([0.01, 0.02])))  # fmt: skip
    solution = run(rest(500.0), step)
    case = replace(case_of(solution), protocol=Protocol((rest(500.0), step)))
    (data,) = make_view(solution, case).of_kind("voltage")
    np.testing.assert_allclose(data.time, [500.0, 1400.0], rtol=1e-9, atol=0)


@pytest.mark.parametrize("resistance", [0.0, 0.004])
def test_small_signal_limit_is_what_a_small_voltage_reaches(resistance: float) -> None:
    electrode = Electrode(Resistance(np.array([resistance])))
    solution = run(hold(1e-3, 5e5), cell=Cell(1e-3, 298.15, positive=electrode, negative=electrode))
    limit = small_signal_limit(solution)
    assert limit is not None
    assert solution["i"][-1] == pytest.approx(limit, rel=3e-4)  # measured 6e-5, 1 mV on 40 cells


def test_profiles_of_many_steps_are_spread_over_the_run() -> None:
    """Ends of the first seven steps once stood for a run of thirty."""
    times = make_view(run(*(rest(100.0) for _ in range(30)))).profile_times
    assert len(times) == 7 and (times[0], times[-1]) == (0.0, pytest.approx(3000.0))
    assert max(np.diff(times)) <= 1000.0  # a third of the run
    found = make_view(run(*(hold_current(0.5 * (-1) ** k, 100.0) for k in range(60))))
    ends = np.rint(np.array(found.profile_times) / 100.0)
    assert sum(ends[1:] % 2 == 1) == 3  # of both halves of a cycle; all were ends of the second half


@pytest.mark.parametrize(("seconds", "words"), [(0.033, "0.033 s"), (4800.0, "80 min"), (1.296e7, "3600 h")])
def test_the_time_of_a_run_is_told_in_a_unit_that_suits_it(seconds: float, words: str, tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(
        f'title = "t"\n[cell]\nthickness = "1 mm"\ntemperature = "90 degC"\n[electrolyte]\n'
        f'transport = "steinruck2020_rs"\nsalt = {{ r = 0.1 }}\n[[step]]\nhold = "rest"\nduration = "{seconds} s"\n'
    )
    called = CliRunner().invoke(main, ["run", str(tmp_path / "case.toml"), "-o", str(tmp_path / "out"), "--no-figures"])
    assert called.output.startswith(f"t: {words} in "), called.output


def test_no_small_signal_limit_for_several_steps(pulsed: Solution) -> None:
    assert small_signal_limit(pulsed) is None


def test_a_variable_between_two_kept_states_is_interpolated(polarised: Solution) -> None:
    view = View(polarised)
    t = polarised["time"]
    middle = view.at_time("c_face", 0.5 * (t[10] + t[11]))
    np.testing.assert_allclose(middle, 0.5 * (polarised["c_face"][10] + polarised["c_face"][11]), rtol=1e-12, atol=0)
    np.testing.assert_allclose(view.at_time("v_minus", t[-1]), polarised["v_minus"][0, -1], rtol=1e-12, atol=0)


def test_positions_count_from_the_origin_of_the_case(polarised: Solution) -> None:
    view = make_view(polarised, case_of(polarised))
    assert view.along(0.5e-3) == pytest.approx(0.0, abs=1e-12)
    assert view.along(1e-3) == pytest.approx(0.5, rel=1e-12)
    assert "cell centre" in view.position_label
    assert View(polarised).along(1e-3) == pytest.approx(1.0, rel=1e-12)


def test_a_run_that_ended_early_shows_its_last_state(polarised: Solution) -> None:
    case = case_of(polarised, output=Output(profiles_at=(0.0, 1e4, 9e9)))
    assert make_view(polarised, case).profile_times == (0.0, 1e4, pytest.approx(3e4))
    partial = replace(polarised, status="depleted", message="gone at 12 s")
    assert "gone at 12 s" in make_view(partial, case).note


def test_a_single_state_has_no_figures(polarised: Solution, tmp_path: Path) -> None:
    one = replace(polarised, coordinates=dict(polarised.coordinates) | {"time": np.zeros(1)})
    assert write_figures(one, tmp_path) == []


def test_a_rest_without_gradient_is_drawn(tmp_path: Path) -> None:
    assert len(write_figures(run(rest(100.0)), tmp_path)) == len(FIGURES)


def test_a_set_is_drawn_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = texts(monkeypatch)
    assert plot_set(SET, tmp_path / "set.png").is_file()
    assert plot_set(replace(SET, chi_is_product=True), tmp_path / "product.png").is_file()
    assert "ASSUMED" in found[0]


@pytest.mark.parametrize("width", [figstyle.COLUMN, 2.0])
def test_electrode_marks_are_clear_of_label_and_numbers(polarised: Solution, tmp_path: Path, width: float) -> None:
    """At a third of a page too, where the label is as wide as the panel."""
    view = make_view(polarised, case_of(polarised))
    with figstyle.drawing(tmp_path / "axis.png", note="a note", width=width) as (figure, axes):
        axes[0].plot([-0.5, 0.5], [0, 1])
        position_axis(axes[0], view)
        figure.canvas.draw()
        marks = [text for text in axes[0].texts if text.get_text() in ("(+)", "(−)")]
        others = [axes[0].xaxis.label, *axes[0].get_xticklabels()]
        boxes = [[text.get_window_extent() for text in texts] for texts in (marks, others)]
    assert len(marks) == 2
    assert not any(a.overlaps(b) for a in boxes[0] for b in boxes[1])
    assert all(b.y1 < a.y0 for a in boxes[0] for b in boxes[1][:1])
