"""The figures of a run and of a transport set.

Prediction as line, measured data as points with error bars; the frame and the origin of positions are named, and so
is what the transport set rests on unless it was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsim.plots.current import draw_current
from cellsim.plots.profiles import draw_map, draw_profiles
from cellsim.plots.properties import plot_set
from cellsim.plots.velocities import draw_velocities, draw_velocity_at_positions
from cellsim.plots.view import make_view

if TYPE_CHECKING:
    from cellsim.case import Case
    from cellsim.solution import Solution

__all__ = ["FIGURES", "plot_set", "write_figures"]

FIGURES = ("current.png", "profiles.png", "velocities.png", "velocity_at_positions.png", "map.png")


def write_figures(solution: Solution, directory: str | Path, *, case: Case | None = None) -> list[Path]:
    """Draw all figures of a run.

    Parameters
    ----------
    solution : Solution
        The run, complete or partial.
    directory : str or Path
        An existing folder.
    case : Case, optional
        Its case: title, origin of positions, times, positions and data to overlay.

    Returns
    -------
    list of Path
        The files written, named as :data:`FIGURES`. A run that kept a single state has no figures.
    """
    if solution["time"].size < 2:
        return []
    view = make_view(solution, case)
    drawers = (draw_current, draw_profiles, draw_velocities, draw_velocity_at_positions, draw_map)
    paths = [Path(directory) / name for name in FIGURES]
    for draw, path in zip(drawers, paths, strict=True):
        draw(view, path)
    return paths
