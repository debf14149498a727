"""One look for all figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellsim.drawing import figstyle


def luminance(rgb: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2)."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_importing_it_does_not_import_matplotlib() -> None:
    import subprocess
    import sys

    code = "import sys, cellsim.drawing.figstyle, cellsim.run.figures; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_figure_is_written_without_touching_global_state(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with figstyle.drawing(tmp_path / "a.png", 2, title="Title", note="Note", sharex=True) as (figure, axes):
        axes[0].plot([0, 1], [0, 1])
        figstyle.points(axes[1], [0, 1], [1, 2], 0.1)
        figstyle.reference(axes[0], 0.5, "half")
        assert figure.get_figwidth() == figstyle.COLUMN
    assert dict(matplotlib.rcParams) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_drawing_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), figstyle.drawing(tmp_path / "a.png"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_all_text_has_at_least_8_points(tmp_path: Path) -> None:
    from matplotlib.text import Text

    with figstyle.drawing(tmp_path / "a.png", title="Title", note="Note") as (figure, axes):
        axes[0].plot([0, 1], [0, 1], label="line")
        axes[0].set_xlabel("x")
        figstyle.legend_above(axes[0], "legend")
        sizes = [float(text.get_fontsize()) for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 8


def test_sequential_shades_darken_in_order_and_stay_off_white() -> None:
    values = [luminance(colour) for colour in figstyle.shades(6)]
    assert np.all(np.diff(values) > 0)  # dark to pale, so that order survives in grey
    assert values[-1] < 0.65
    assert len(figstyle.shades(1)) == 1


def test_categories_differ_by_more_than_colour() -> None:
    assert len(figstyle.COLOURS) == len(figstyle.MARKERS) == len(figstyle.DASHES) == 7
    assert len(set(map(str, figstyle.DASHES))) == 7


@pytest.mark.parametrize("text", ["one word " * 40, "a line\nand another", ""])
def test_text_is_wrapped_and_its_own_breaks_are_kept(text: str) -> None:
    lines = figstyle.wrap(text).splitlines()
    assert all(len(line) <= 57 for line in lines)
    assert len(lines) >= len(text.splitlines())


def test_labels_carry_units_where_there_are_any() -> None:
    assert figstyle.label("$t_+$", "1") == "$t_+$"
    assert figstyle.label("$i$", "A", "current") == "current $i$ (A)"


def test_a_name_stands_where_the_curve_is_not():
    x = np.linspace(0, 10, 50)
    decay = 2 + 8 * np.exp(-x)  # towards the line from above: under it
    crossing = 2.3 - 0.06 * x + 8 * np.exp(-x)  # through it at the end: under it, at the left
    below = 1.8 + 8 * np.exp(-4 * x)  # under it for most of the run: above it
    places = [figstyle._clearest(x, curve, 2.0, (0.0, 10.0)) for curve in (decay, crossing, below)]
    assert places == [(True, False), (True, True), (False, False)]
