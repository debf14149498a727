"""Profiles and current of a run as a moving picture: GIF for a talk, one HTML file for a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import InputError
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import CONCENTRATION
from cellsim.files.writing import check_parent, replacing
from cellsim.run.figures import make_view, position_axis, time_text
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    from cellsim.run.case import Case

FRAMES, PER_SECOND, DOTS = 40, 10, 100
"""Pictures, how many a second, and their resolution [dot/inch]."""


def animate(solution: Solution, path: str | Path, *, case: Case | None = None, frames: int = FRAMES) -> Path:
    """The concentration profile and the current as they move in time.

    Pictures lie even in the square root of time, so that the first, quick part is seen.

    Parameters
    ----------
    solution : Solution
        The run of a binary electrolyte.
    path : str or Path
        ``.gif``, or ``.html`` for one file with buttons that opens offline.
    case : Case, optional
        Its case: title and origin of positions.
    frames : int
        Pictures.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        Another ending, or a run that kept a single state.
    """
    path = Path(path)
    if path.suffix not in (".gif", ".html"):
        raise InputError(f"{path}: an animation is a .gif or .html file")
    check_parent(path)
    if solution["time"].size < 2:
        raise InputError(f"{path}: the run kept a single state, so nothing moves")
    from matplotlib.animation import FuncAnimation, PillowWriter

    view = make_view(solution, case)
    end = float(solution["time"][-1])
    times = end * np.linspace(0, 1, frames) ** 2
    factor, unit = view.current_unit
    shown = figstyle.panels(1, 2, title=view.title, note=view.note, width=figstyle.TWO_COLUMNS, height=2.6)
    with shown as (figure, (left, right)):
        c = solution["c_face"] / 1e3
        (line,) = left.plot(view.along(view.at_time("position_face", 0.0)), c[0], color=figstyle.COLOURS[0])
        left.plot(
            view.along(view.at_time("position_face", 0.0)), c[0], color=figstyle.GREY, linestyle=":", linewidth=0.9
        )
        margin = 0.06 * max(float(np.ptp(c)), 0.02 * float(c.max()))
        left.set_ylim(max(float(c.min()) - margin, 0.0), float(c.max()) + margin)
        left.set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        position_axis(left, view)
        right.plot(view.time, factor * solution["i"], color=figstyle.COLOURS[1])
        (dot,) = right.plot(view.time[:1], factor * solution["i"][:1], "o", color="black", zorder=4)
        right.set_ylabel(figstyle.label("$i$", unit, "current density"))
        low, high = right.get_ylim()
        right.set_ylim(min(0.0, low), max(0.0, high))
        view.time_axis(right)
        told = left.set_title(" ", loc="right")

    def show(k: int) -> tuple[Any, ...]:
        t = float(times[k])
        line.set_data(view.along(view.at_time("position_face", t)), view.at_time("c_face", t) / 1e3)
        i = factor * np.interp(t, solution["time"], solution["i"])
        dot.set_data([t / view.time_scale], [i])
        told.set_text(f"$t$ = {time_text(view, t)} {view.time_unit}")
        return line, dot, told

    with figstyle.style():
        moving = FuncAnimation(figure, show, frames=frames, blit=False)
        with replacing(path) as partial:
            if path.suffix == ".gif":
                moving.save(partial.with_suffix(".gif"), writer=PillowWriter(fps=PER_SECOND), dpi=DOTS)
                partial.with_suffix(".gif").replace(partial)
            else:
                figure.set_dpi(DOTS)
                partial.write_text(moving.to_jshtml(fps=PER_SECOND, embed_frames=True), encoding="utf-8")
    return path
